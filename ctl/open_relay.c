#include "ctl/open_relay.h"

#include <stdlib.h>
#include <string.h>

#include "common/slice.h"

#define CLASSES_DEEP 8 /* restriction classes that name each other */

/* Networks of at most so many bits are everybody's, or nearly. */
#define WIDE_V4 7
#define WIDE_V6 15

static const char safe_relay[] = "permit_sasl_authenticated, reject_unauth_destination";
static const char safe_networks[] = "127.0.0.0/8 [::1]/128";

/* ---- mynetworks ---- */

static bool
is_wide(struct slice item)
{
	bool v6 = memchr(item.p, '[', item.len) != NULL;
	size_t at = slice_find(item, '/');
	uint64_t bits;

	if (item.p[0] == '!' || at >= item.len)
		return false;
	if (item.p[0] == '/' || (memchr(item.p, ':', item.len) != NULL && !v6))
		return slice_starts(item, SLICE_LIT("static:"));
	return slice_uint(slice_skip(item, at + 1), 128, &bits) && bits <= (v6 ? WIDE_V6 : WIDE_V4);
}

static bool
networks_are_open(const char *list)
{
	struct slice rest = slice_str(list), item;

	while (mta_facts_item(&rest, &item))
		if (is_wide(item) || slice_starts(item, SLICE_LIT("static:")))
			return true;
	return false;
}

/* ---- restriction lists ---- */

enum outcome { PASSES_BY, OPENS, CLOSES }; /* for a stranger who wants to relay */

static bool
is_one_of(struct slice item, const char *const *names)
{
	for (; *names != NULL; names++)
		if (slice_eqi(item, slice_str(*names)))
			return true;
	return false;
}

static bool
says_yes(struct slice table)
{
	static const char *const yes[] = { "static:ok", "static:permit", "static:{ok}",
		"static:{permit}", "static:{ ok }", "static:{ permit }", NULL };

	return is_one_of(table, yes);
}

static enum outcome
judge(const struct mta_facts *f, const char *service, const char *list, unsigned deep)
{
	static const char *const closing[] = { "reject_unauth_destination",
		"defer_unauth_destination", "reject", "defer", NULL };
	struct slice rest = slice_str(list), item, table;
	bool only_warns = false;

	while (mta_facts_item(&rest, &item)) {
		bool warns = only_warns;
		enum outcome in_class = PASSES_BY;
		char name[128];

		only_warns = slice_eqi(item, SLICE_LIT("warn_if_reject"));
		if (is_one_of(item, closing)) {
			if (!warns)
				return CLOSES;
		} else if (slice_eqi(item, SLICE_LIT("permit"))) {
			return OPENS;
		} else if (slice_eqi(item, SLICE_LIT("permit_mynetworks"))) {
			if (networks_are_open(mta_facts_in(f, service, "mynetworks")))
				return OPENS;
		} else if (slice_startsi(item, SLICE_LIT("check_")) &&
			   slice_endsi(item, SLICE_LIT("_access"))) {
			if (mta_facts_item(&rest, &table) && says_yes(table))
				return OPENS;
		} else if (item.len < sizeof(name) && deep < CLASSES_DEEP) {
			memcpy(name, item.p, item.len);
			name[item.len] = '\0';
			if (mta_facts_has(mta_facts_main(f, "smtpd_restriction_classes"), name))
				in_class =
				    judge(f, service, mta_facts_in(f, service, name), deep + 1);
			if (in_class != PASSES_BY && !warns)
				return in_class;
		}
	}
	return PASSES_BY;
}

/* Our listeners let every recipient through to the milter, and look again at DATA. */
static bool
is_guarded(const struct mta_facts *f, const char *service)
{
	const char *at_data = mta_facts_in(f, service, "smtpd_data_restrictions");

	return strstr(at_data, "signalpost/guard.cidr") != NULL &&
	       mta_facts_has(at_data, "reject_unauth_destination");
}

static bool
judge_service(const struct mta_facts *f, const struct mta_service *s, struct open_relay *found)
{
	const char *relay = mta_facts_in(f, s->key, "smtpd_relay_restrictions");
	const char *rcpt = mta_facts_in(f, s->key, "smtpd_recipient_restrictions");
	enum outcome a = judge(f, s->key, relay, 0), b = judge(f, s->key, rcpt, 0);

	if (a == CLOSES || b == CLOSES || is_guarded(f, s->key))
		return false;
	found->setting = a == PASSES_BY && b == OPENS ? "smtpd_recipient_restrictions"
	                                              : "smtpd_relay_restrictions";
	found->value = a == PASSES_BY && b == OPENS ? rcpt : relay;
	found->why = a == OPENS || b == OPENS ? "permits a stranger to relay"
	                                      : "nothing in it refuses a stranger who relays";
	found->safe = safe_relay;
	/* A client that may not be asked at all would be let in by the default. */
	found->service = mta_facts_find(f, s->key, found->setting) != NULL ? s->key : NULL;
	return true;
}

unsigned
open_relay_find(
    const struct mta_facts *f, void (*tell)(void *arg, const struct open_relay *found), void *arg)
{
	struct open_relay found = { .setting = "mynetworks", .safe = safe_networks };
	unsigned n = 0;

	found.value = mta_facts_main(f, "mynetworks");
	found.why = "holds everybody, whom permit_mynetworks trusts";
	if (networks_are_open(found.value)) {
		tell(arg, &found);
		n++;
	}
	for (size_t i = 0; i < f->n_services; i++) {
		const struct mta_service *s = &f->services[i];
		const struct mta_param *own = mta_facts_find(f, s->key, "mynetworks");

		if (strcmp(s->command, "smtpd") != 0 || !mta_facts_is_public(f, s))
			continue;
		if (own != NULL && networks_are_open(own->value)) {
			found = (struct open_relay){ s->key, "mynetworks", own->value,
				"holds everybody, whom permit_mynetworks trusts", safe_networks };
			tell(arg, &found);
			n++;
		} else if (judge_service(f, s, &found)) {
			tell(arg, &found);
			n++;
		}
	}
	return n;
}
