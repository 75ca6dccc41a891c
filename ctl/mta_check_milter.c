/*
 * mta_check_milter.c - is our milter asked for every message, last, and is no mail let
 * through when it can't be asked?
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/slice.h"
#include "ctl/mta_finding.h"
#include "ctl/mta_probe.h"

#define SOCKET_MAX (PATH_MAX + 64)

/* ---- one milter of a list ---- */

/* "{ unix:/a, default_action=accept }" -> "unix:/a", and the value of an attribute or "". */
static void
take_apart(struct slice item, char *socket, size_t size, char *action, size_t action_size)
{
	struct slice rest = item, part;
	bool first = true;

	*action = '\0';
	if (item.len >= 2 && item.p[0] == '{') {
		rest = slice_skip(slice_head(item, item.len - 1), 1);
	}
	while (mta_facts_item(&rest, &part)) {
		if (first)
			snprintf(socket, size, "%.*s", SLICE_FMT(part));
		else if (slice_startsi(part, SLICE_LIT("default_action=")))
			snprintf(action, action_size, "%.*s", SLICE_FMT(slice_skip(part, 15)));
		first = false;
	}
	if (first)
		*socket = '\0';
}

/* What a daemon opens for this socket; NULL: it is no path. */
static const char *
as_seen(const struct mta_check *ck, const char *socket, bool chroot, char out[SOCKET_MAX])
{
	const char *queue = mta_facts_main(&ck->now, "queue_directory");
	const char *path = strchr(socket, ':');

	if (path == NULL || (strncmp(socket, "unix:", 5) != 0 && strncmp(socket, "local:", 6) != 0))
		return NULL;
	path++;
	if (*path != '/')
		snprintf(out, SOCKET_MAX, "%s/%s", queue, path);
	else
		snprintf(out, SOCKET_MAX, "%s%s", chroot ? queue : "", path);
	return out;
}

static const char *
our_path(const struct mta_check *ck)
{
	return strncmp(ck->conf->milter.socket, "inet", 4) == 0
	           ? NULL
	           : strchr(ck->conf->milter.socket, '/');
}

/* Ours, whether it can be reached like this or not? `needed` is how the script writes it. */
static bool
is_ours(const struct mta_check *ck, const char *socket, const char *needed)
{
	const char *path = our_path(ck);
	char seen[SOCKET_MAX];

	if (slice_eqi(slice_str(socket), slice_str(needed)))
		return true;
	return path != NULL &&
	       ((as_seen(ck, socket, false, seen) != NULL && strcmp(seen, path) == 0) ||
		   (as_seen(ck, socket, true, seen) != NULL && strcmp(seen, path) == 0));
}

/* ---- the list of a service ---- */

struct place {               /* where a list of milters stands, and who reads it */
	const char *service; /* "127.0.0.1:25/inet"; for what is asked */
	const char *set_in;  /* the same, or NULL: main.cf */
	const char *name;    /* "smtpd_milters" */
	const char *list, *needed;
	bool chroot;
};

static void
remedy_last(const struct mta_check *ck, const struct place *p, struct buf *out)
{
	struct slice rest = slice_str(p->list), item;
	char socket[SOCKET_MAX], action[64];
	struct buf list;

	buf_init(&list, BUF_NO_LIMIT);
	while (mta_facts_item(&rest, &item)) {
		take_apart(item, socket, sizeof(socket), action, sizeof(action));
		if (is_ours(ck, socket, p->needed))
			continue;
		buf_add(&list, item);
		buf_adds(&list, ", ");
	}
	buf_adds(&list, p->needed);
	mta_remedy_set(out, p->set_in, p->name, buf_str(&list));
	buf_free(&list);
}

static void
found_in(struct mta_check *ck, enum mta_severity how, const struct place *p, const char *why)
{
	struct buf setting, remedy;

	buf_init(&setting, BUF_NO_LIMIT);
	buf_init(&remedy, BUF_NO_LIMIT);
	buf_printf(&setting, "%s = %s", p->name, p->list);
	remedy_last(ck, p, &remedy);
	mta_found(ck, how, p->service, buf_str(&setting), why, buf_str(&remedy));
	buf_free(&setting);
	buf_free(&remedy);
}

static bool
lets_through(const char *action)
{
	return slice_eqi(slice_str(action), SLICE_LIT("accept")) ||
	       slice_eqi(slice_str(action), SLICE_LIT("quarantine"));
}

static void
check_chroot(struct mta_check *ck, const struct place *p, const char *socket)
{
	const char *path = our_path(ck);
	char seen[SOCKET_MAX];
	struct buf why, remedy;

	if (path == NULL || as_seen(ck, socket, p->chroot, seen) == NULL || strcmp(seen, path) == 0)
		return;
	buf_init(&why, BUF_NO_LIMIT);
	buf_init(&remedy, BUF_NO_LIMIT);
	buf_printf(&why, "it looks for the milter's socket at %s; the socket is %s", seen, path);
	if (p->chroot) {
		buf_printf(&remedy, "postconf -c %%D -F '%s/chroot=n'", p->service);
		mta_found(ck, MTA_WRONG, p->service, "chroot = y", buf_str(&why), buf_str(&remedy));
	} else {
		mta_found(ck, MTA_WRONG, p->service, p->name, buf_str(&why),
		    mta_remedy_set(&remedy, p->set_in, p->name, p->needed));
	}
	buf_free(&why);
	buf_free(&remedy);
}

static void
check_list(struct mta_check *ck, const struct place *p)
{
	struct slice rest = slice_str(p->list), item;
	char socket[SOCKET_MAX], action[64];
	bool here = false, last = false;

	while (mta_facts_item(&rest, &item)) {
		take_apart(item, socket, sizeof(socket), action, sizeof(action));
		last = is_ours(ck, socket, p->needed);
		here = here || last;
		if (!last)
			continue;
		check_chroot(ck, p, socket);
		if (lets_through(action))
			found_in(ck, MTA_DANGEROUS, p,
			    "mail passes unfiltered whenever the milter can't be asked");
	}
	if (!here)
		found_in(ck, MTA_MISSING, p, "signalpost-milter is not asked");
	else if (!last)
		found_in(ck, MTA_WRONG, p,
		    "a milter comes after signalpost-milter: what it changes breaks our signature");
}

/* ---- the services ---- */

static void
check_smtpd(struct mta_check *ck, const struct mta_service *s, const char *needed)
{
	const struct mta_param *own = mta_facts_find(&ck->now, s->key, "smtpd_milters");
	struct place p = { s->key, own != NULL ? s->key : NULL, "smtpd_milters",
		mta_facts_in(&ck->now, s->key, "smtpd_milters"), needed, s->chroot };
	const char *maps = mta_facts_in(&ck->now, s->key, "smtpd_milter_maps");
	struct buf remedy;

	check_list(ck, &p);
	if (*maps == '\0')
		return;
	buf_init(&remedy, BUF_NO_LIMIT);
	mta_found(ck, MTA_DANGEROUS, s->key, "smtpd_milter_maps",
	    "it can take the milter away from a client",
	    mta_remedy_set(&remedy, s->key, "smtpd_milter_maps", ""));
	buf_free(&remedy);
}

static void
check_pickup(struct mta_check *ck, const char *needed)
{
	const struct mta_service *s = mta_facts_service(&ck->now, "cleanup/unix");
	const struct mta_param *own = mta_facts_find(&ck->now, "cleanup/unix", "non_smtpd_milters");
	struct place p = { "cleanup/unix", own != NULL ? "cleanup/unix" : NULL, "non_smtpd_milters",
		mta_facts_in(&ck->now, "cleanup/unix", "non_smtpd_milters"), needed,
		s != NULL && s->chroot };

	check_list(ck, &p);
}

/* For whom the milter is not asked, or not waited for. */
static void
check_action(struct mta_check *ck, const struct mta_param *p)
{
	struct buf setting, remedy;

	buf_init(&setting, BUF_NO_LIMIT);
	buf_init(&remedy, BUF_NO_LIMIT);
	buf_printf(&setting, "%s = %s", p->name, p->value);
	if (strcmp(p->name, "milter_default_action") == 0 && lets_through(p->value))
		mta_found(ck, MTA_DANGEROUS, p->service, buf_str(&setting),
		    slice_eqi(slice_str(p->value), SLICE_LIT("accept"))
			? "mail passes unfiltered, for whoever sends it, whenever the milter can't "
			  "be asked"
			: "mail is put on hold, where nobody looks, whenever the milter can't be "
			  "asked",
		    mta_remedy_set(&remedy, p->service, p->name, "tempfail"));
	else if (strcmp(p->name, "receive_override_options") == 0 &&
		 mta_facts_has(p->value, "no_milters"))
		mta_found(ck, MTA_DANGEROUS, p->service, buf_str(&setting),
		    "no milter is asked, and the relay rule is the milter's",
		    mta_remedy_set(&remedy, p->service, p->name, ""));
	buf_free(&setting);
	buf_free(&remedy);
}

/* ---- macros ---- */

static const struct {
	const char *parameter, *macros;
} needed_macros[] = {
	{ "milter_connect_macros", "{daemon_addr}" },
	{ "milter_mail_macros", "{auth_authen}" },
	{ "milter_rcpt_macros", "{rcpt_mailer}" },
	{ "milter_data_macros", "i" },
	{ "milter_end_of_header_macros", "i" },
	{ "milter_end_of_data_macros", "i" },
};

static void
check_macros(struct mta_check *ck)
{
	struct buf setting, why, remedy;

	buf_init(&setting, BUF_NO_LIMIT);
	buf_init(&why, BUF_NO_LIMIT);
	buf_init(&remedy, BUF_NO_LIMIT);
	for (size_t i = 0; i < ck->now.n_params; i++)
		for (size_t k = 0; k < COUNT(needed_macros); k++) {
			const struct mta_param *p = &ck->now.params[i];

			if (strcmp(p->name, needed_macros[k].parameter) != 0 ||
			    mta_facts_has(p->value, needed_macros[k].macros))
				continue;
			buf_clear(&setting);
			buf_clear(&why);
			buf_clear(&remedy);
			buf_printf(&setting, "%s = %s", p->name, p->value);
			buf_printf(
			    &why, "signalpost-milter needs the macro %s", needed_macros[k].macros);
			if (p->service != NULL)
				buf_printf(
				    &remedy, "postconf -c %%D -PX '%s/%s'", p->service, p->name);
			else
				buf_printf(&remedy, "postconf -c %%D -X %s", p->name);
			mta_found(ck, MTA_MISSING, p->service, buf_str(&setting), buf_str(&why),
			    buf_str(&remedy));
		}
	buf_free(&setting);
	buf_free(&why);
	buf_free(&remedy);
}

/* ---- the socket ---- */

static void
check_socket(struct mta_check *ck)
{
	const char *user = mta_facts_main(&ck->now, "mail_owner");
	char where[SOCKET_MAX];
	struct buf why, remedy;

	buf_init(&why, BUF_NO_LIMIT);
	buf_init(&remedy, BUF_NO_LIMIT);
	switch (mta_probe(ck->conf->milter.socket, user, where, sizeof(where))) {
	case MTA_PROBE_OK:
		break;
	case MTA_PROBE_UNKNOWN:
		fprintf(
		    stderr, "signalpost: only root can see whether Postfix reaches %s\n", where);
		break;
	case MTA_PROBE_NO_SOCKET:
		mta_found(ck, MTA_MISSING, NULL, where,
		    "there is no such socket: the milter does not run, or with another <milter> "
		    "socket",
		    "systemctl restart signalpost-milter");
		break;
	case MTA_PROBE_NO_ANSWER:
		mta_found(ck, MTA_MISSING, NULL, where, "nobody listens there",
		    "systemctl restart signalpost-milter");
		break;
	case MTA_PROBE_DIRECTORY:
		buf_printf(&why,
		    "the user %s may not pass this directory, on the way to the milter's socket",
		    user);
		buf_printf(&remedy, "chgrp %s %s && chmod g+x %s", user, where, where);
		mta_found(ck, MTA_WRONG, NULL, where, buf_str(&why), buf_str(&remedy));
		break;
	case MTA_PROBE_PERMISSION:
		buf_printf(&why, "the user %s may not connect to the milter's socket", user);
		buf_printf(&remedy, "chgrp %s %s && chmod g+rw %s", user, where, where);
		mta_found(ck, MTA_WRONG, NULL, where, buf_str(&why), buf_str(&remedy));
		break;
	}
	buf_free(&why);
	buf_free(&remedy);
}

void
mta_check_milters(struct mta_check *ck)
{
	const char *needed = mta_facts_main(&ck->need, "smtpd_milters");

	check_socket(ck);
	for (size_t i = 0; i < ck->now.n_params; i++)
		check_action(ck, &ck->now.params[i]);
	for (size_t i = 0; i < ck->now.n_services; i++) {
		const struct mta_service *s = &ck->now.services[i];
		const struct mta_service *need = mta_facts_service(&ck->need, s->key);

		if (need != NULL && strcmp(s->command, "smtpd") == 0 &&
		    strcmp(s->type, "unix") != 0)
			check_smtpd(ck, s, needed);
	}
	check_pickup(ck, needed);
	check_macros(ck);
}
