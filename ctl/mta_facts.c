#include "ctl/mta_facts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pattern.h"
#include "common/slice.h"
#include "common/xalloc.h"
#include "ctl/run.h"

#define TEXT_MAX ((size_t)16 << 20)

/* ---- postconf ---- */

/* Appends what `postconf -c DIR OPTION` prints, with a NUL. Returns where, or SIZE_MAX. */
static size_t
ask(const char *dir, const char *option, struct buf *text, struct err *e)
{
	const char *const argv[] = { "postconf", "-c", dir, option, NULL };
	size_t at = text->len;
	struct buf said;
	int rc;

	buf_init(&said, 4096);
	rc = run_program(argv, (struct slice){ 0 }, text, &said, e);
	buf_addc(text, '\0');
	if (rc > 0)
		rc = err_set(e, "Postfix can't read %s: %.*s", dir,
		    (int)strcspn(buf_str(&said), "\n"), buf_str(&said));
	else if (rc == 0 && text->full)
		rc = err_set(e, "%s: too much configuration", dir);
	buf_free(&said);
	return rc == 0 ? at : SIZE_MAX;
}

static char *
cut_word(char **at)
{
	char *word = *at + strspn(*at, " \t");

	*at = word + strcspn(word, " \t");
	if (**at != '\0')
		*(*at)++ = '\0';
	return word;
}

static char *
next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (*line == '\0')
		return NULL;
	*at = end != NULL ? end + 1 : line + strlen(line);
	if (end != NULL)
		*end = '\0';
	return line;
}

/* "NAME = VALUE"; with services, "NAME/TYPE/PARAMETER = VALUE". */
static void
take_params(struct mta_facts *f, char *text, bool of_services)
{
	char *line;

	while ((line = next_line(&text)) != NULL) {
		char *eq = strstr(line, " ="), *slash;
		struct mta_param p = { .name = line, .given = of_services };

		if (eq == NULL)
			continue;
		*eq = '\0';
		p.value = eq + 2 + strspn(eq + 2, " ");
		if (of_services) {
			slash = strrchr(line, '/');
			if (slash == NULL)
				continue;
			*slash = '\0';
			p.service = line;
			p.name = slash + 1;
		}
		f->params = xgrow(f->params, f->n_params, &f->room_params, sizeof(*f->params));
		f->params[f->n_params++] = p;
	}
}

static void
mark_given(struct mta_facts *f, char *text)
{
	char *line;

	while ((line = next_line(&text)) != NULL) {
		char *eq = strstr(line, " =");
		struct mta_param *p;

		if (eq == NULL)
			continue;
		*eq = '\0';
		p = (struct mta_param *)(uintptr_t)mta_facts_find(f, NULL, line);
		if (p != NULL) {
			p->given = true;
			p->raw = eq + 2 + strspn(eq + 2, " ");
		}
	}
}

/* "NAME TYPE PRIVATE UNPRIVILEGED CHROOT WAKEUP MAXPROC COMMAND ARGUMENTS"; folds begin with a
 * blank. */
static void
take_services(struct mta_facts *f, char *text)
{
	const char *level = mta_facts_main(f, "compatibility_level");
	bool chroot_by_default = strcmp(level, "0") == 0 || strcmp(level, "") == 0;
	char *line;

	while ((line = next_line(&text)) != NULL) {
		struct mta_service s;
		char *chroot;

		if (*line == ' ' || *line == '\t' || *line == '\0')
			continue;
		s.name = cut_word(&line);
		s.type = cut_word(&line);
		cut_word(&line);
		cut_word(&line);
		chroot = cut_word(&line);
		cut_word(&line);
		s.maxproc = cut_word(&line);
		s.command = cut_word(&line);
		s.chroot = *chroot == 'y' || (*chroot == '-' && chroot_by_default);
		s.key = NULL;
		buf_printf(&f->keys, "%s/%s", s.name, s.type);
		buf_addc(&f->keys, '\0');
		f->services =
		    xgrow(f->services, f->n_services, &f->room_services, sizeof(*f->services));
		f->services[f->n_services++] = s;
	}
}

int
mta_facts_read(const char *dir, struct mta_facts *f, struct err *e)
{
	static const char *const options[] = { "-x", "-n", "-Mx", "-Px" };
	size_t at[COUNT(options)];
	const char *key;

	*f = (struct mta_facts){ .dir = xstrdup(dir) };
	buf_init(&f->text, TEXT_MAX);
	buf_init(&f->keys, TEXT_MAX);
	/* All of it first: pointers go into the text, which moves while it grows. */
	for (size_t i = 0; i < COUNT(options); i++)
		if ((at[i] = ask(dir, options[i], &f->text, e)) == SIZE_MAX) {
			mta_facts_free(f);
			return -1;
		}
	take_params(f, f->text.p + at[0], false);
	mark_given(f, f->text.p + at[1]);
	take_services(f, f->text.p + at[2]);
	take_params(f, f->text.p + at[3], true);
	key = buf_str(&f->keys);
	for (size_t i = 0; i < f->n_services; i++, key += strlen(key) + 1)
		f->services[i].key = key;
	return 0;
}

void
mta_facts_free(struct mta_facts *f)
{
	free(f->dir);
	free(f->params);
	free(f->services);
	buf_free(&f->text);
	buf_free(&f->keys);
	*f = (struct mta_facts){ .params = NULL };
}

/* ---- looking things up ---- */

const struct mta_param *
mta_facts_find(const struct mta_facts *f, const char *service, const char *name)
{
	for (size_t i = 0; i < f->n_params; i++) {
		const struct mta_param *p = &f->params[i];

		if ((service == NULL) == (p->service == NULL) && strcmp(p->name, name) == 0 &&
		    (service == NULL || strcmp(p->service, service) == 0))
			return p;
	}
	return NULL;
}

const char *
mta_facts_main(const struct mta_facts *f, const char *name)
{
	const struct mta_param *p = mta_facts_find(f, NULL, name);

	return p != NULL ? p->value : "";
}

const char *
mta_facts_in(const struct mta_facts *f, const char *service, const char *name)
{
	const struct mta_param *p = service != NULL ? mta_facts_find(f, service, name) : NULL;

	return p != NULL ? p->value : mta_facts_main(f, name);
}

const struct mta_service *
mta_facts_service(const struct mta_facts *f, const char *key)
{
	for (size_t i = 0; i < f->n_services; i++)
		if (strcmp(f->services[i].key, key) == 0)
			return &f->services[i];
	return NULL;
}

bool
mta_facts_is_private(struct slice host)
{
	struct cidr net;
	static const char *const private[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16" };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	char text[64];

	snprintf(text, sizeof(text), "%.*s", SLICE_FMT(slice_head(host, sizeof(text) - 1)));
	if (inet_pton(AF_INET, text, &sin.sin_addr) == 1)
		for (size_t i = 0; i < COUNT(private); i++)
			if (cidr_parse(slice_str(private[i]), &net, NULL) == 0 &&
			    cidr_match(&net, (const struct sockaddr *)&sin))
				return true;
	return slice_starts(host, SLICE_LIT("127.")) || slice_eqi(host, SLICE_LIT("localhost")) ||
	       slice_eq(host, SLICE_LIT("[::1]")) || slice_eq(host, SLICE_LIT("::1"));
}

bool
mta_facts_is_public(const struct mta_facts *f, const struct mta_service *s)
{
	const char *colon = strrchr(s->name, ':');
	struct slice rest, item;

	if (strcmp(s->type, "pass") == 0)
		return true;
	if (strcmp(s->type, "inet") != 0)
		return false;
	if (colon != NULL && colon != s->name)
		return !mta_facts_is_private((struct slice){ s->name, (size_t)(colon - s->name) });
	rest = slice_str(mta_facts_in(f, s->key, "inet_interfaces"));
	while (mta_facts_item(&rest, &item))
		if (!mta_facts_is_private(item) && !slice_eq(item, SLICE_LIT("loopback-only")))
			return true;
	return false;
}

/* ---- lists ---- */

static bool
is_separator(char c)
{
	return c == ' ' || c == '\t' || c == ',' || c == '\n' || c == '\r';
}

bool
mta_facts_item(struct slice *rest, struct slice *item)
{
	size_t n = 0;
	unsigned deep = 0;

	while (rest->len > 0 && is_separator(rest->p[0]))
		*rest = slice_skip(*rest, 1);
	for (; n < rest->len && (deep > 0 || !is_separator(rest->p[n])); n++)
		if (rest->p[n] == '{')
			deep++;
		else if (rest->p[n] == '}' && deep > 0)
			deep--;
	*item = slice_head(*rest, n);
	*rest = slice_skip(*rest, n);
	return n > 0;
}

bool
mta_facts_has(const char *list, const char *wanted)
{
	struct slice rest = slice_str(list), item;

	while (mta_facts_item(&rest, &item))
		if (slice_eqi(item, slice_str(wanted)))
			return true;
	return false;
}
