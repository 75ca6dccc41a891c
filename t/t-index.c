#include "common/index.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/hash.h"
#include "common/ids.h"
#include "t/spooldir.h"
#include "t/tap.h"

static char dir[SPOOLDIR_SIZE], path[SPOOLDIR_SIZE + 20];
static struct err e;

/* The n-th message: received at `at`, its id of that second. */
static struct event
reception(unsigned n, int64_t at, const char *queue_id, const char *rcpt)
{
	static char id[8][IDS_SIZE];
	struct event ev;

	event_init(&ev, EVENT_RECEPTION);
	ev.event_id = n;
	ev.timestamp = at;
	ev.message_id =
	    slice_str(ids_text((struct message_id){ (uint32_t)at, 0xfffffff0 + n }, id[n % 8]));
	ev.queue_id = slice_str(queue_id);
	ev.rcpt_to = ev.raw_rcpt_to = slice_str(rcpt);
	ev.recv_method = SLICE_LIT("esmtp");
	return ev;
}

static int
learn(struct index *ix, struct event ev)
{
	return index_learn(ix, &ev, &e);
}

/* Whose recipient is found; "" if nobody's. */
static const char *
found(struct index *ix, const char *queue_id, const char *rcpt, int64_t until_s)
{
	static char text[100];
	struct index_message m;
	int rc = index_find(ix, slice_str(queue_id), slice_str(rcpt), INDEX_FIRST, until_s, &m, &e);

	if (rc <= 0)
		return rc < 0 ? e.text : "";
	snprintf(
	    text, sizeof(text), "%.*s %lld", SLICE_FMT(m.facts.rcpt_to), (long long)m.received_s);
	return text;
}

static void
is_found(
    struct index *ix, const char *queue_id, const char *rcpt, int64_t until_s, const char *want)
{
	const char *got = found(ix, queue_id, rcpt, until_s);

	ok(strcmp(got, want) == 0, "%s %s until %lld: \"%s\", wanted \"%s\"", queue_id, rcpt,
	    (long long)until_s, got, want);
}

static int
settle(struct index *ix, const char *queue_id, const char *rcpt)
{
	struct index_message m;

	return index_find(
		   ix, slice_str(queue_id), slice_str(rcpt), INDEX_FIRST, INT64_MAX, &m, &e) == 1 &&
	               index_settle(ix, &m, &e) == 0
	           ? 0
	           : -1;
}

static struct index *
reopen(struct index *ix)
{
	index_close(ix);
	ix = index_open(path, &e);
	ok(ix != NULL, "open again %s", ix == NULL ? e.text : "");
	return ix;
}

static struct index *
finding(struct index *ix)
{
	struct event ev = reception(1, 1000, "AAAA01", "a@x");

	ok(index_begin(ix, &e) == 0 && learn(ix, ev) == 1 && learn(ix, ev) == 0, "learned once");
	ok(learn(ix, reception(2, 1000, "AAAA01", "b@x")) == 1 &&
		learn(ix, reception(3, 1500, "AAAA01", "a@x")) == 1 && index_commit(ix, &e) == 0,
	    "another recipient, and the same queue id later");
	is_found(ix, "AAAA01", "a@x", 999, "");
	is_found(ix, "AAAA01", "a@x", 1000, "a@x 1000");
	is_found(ix, "AAAA01", "A@X", 2000, "a@x 1000");
	is_found(ix, "AAAA01", "c@x", 2000, "");
	is_found(ix, "AAAA02", "a@x", 2000, "");
	ok(settle(ix, "AAAA01", "a@x") == 0, "the older one is settled");
	is_found(ix, "AAAA01", "a@x", 1400, "");
	is_found(ix, "AAAA01", "a@x", 1500, "a@x 1500");
	is_found(ix, "AAAA01", "b@x", 1500, "b@x 1000");
	ok(learn(ix, ev) == 0, "and does not come back when its segment is read again");
	ix = reopen(ix);
	is_found(ix, "AAAA01", "a@x", 1500, "a@x 1500");
	ev.queue_id = (struct slice){ 0 };
	ok(learn(ix, ev) == 0, "no queue id");
	ev = reception(4, 1000, "AAAA03", "x@x");
	ev.message_id = SLICE_LIT("foreign");
	ok(learn(ix, ev) == 0, "no id of ours");
	return ix;
}

static void
all_of(struct index *ix)
{
	struct index_message m = { .id = INDEX_FIRST };
	int n = 0;

	for (unsigned i = 0; i < 5; i++)
		learn(ix, reception(i, 2000, "BBBB01", i % 2 == 0 ? "even@x" : "odd@x"));
	while (index_find(ix, SLICE_LIT("BBBB01"), (struct slice){ 0 }, m.id, 2000, &m, &e) == 1) {
		n++;
		index_settle(ix, &m, &e);
	}
	ok(n == 5, "all who wait under an id: %d", n);
	is_found(ix, "BBBB01", "even@x", 3000, "");
}

static struct index *
all_facts(struct index *ix)
{
	struct event ev = reception(1, 2500, "CCCC01", "who@x"), back;
	struct index_message m;
	struct buf was, is;
	int64_t id;

	ev.raw_rcpt_to = SLICE_LIT("Who@X");
	ev.custom_message_id = SLICE_LIT("custom");
	ev.msg_from = SLICE_LIT("b@b");
	ev.friendly_from = SLICE_LIT("f@f");
	ev.subject = SLICE_LIT("\xc3\xa4 subject");
	ev.campaign_id = SLICE_LIT("c");
	ev.binding = SLICE_LIT("v");
	ev.binding_group = SLICE_LIT("p");
	ev.sending_ip = SLICE_LIT("192.0.2.1");
	ev.routing_domain = SLICE_LIT("x");
	ev.rcpt_meta = SLICE_LIT("{\"a\":1}");
	ev.rcpt_tags = SLICE_LIT("[\"t\"]");
	ev.subaccount_id = 4000000000;
	ev.msg_size = 0;
	ev.open_tracking = EVENT_TRUE;
	ev.click_tracking = EVENT_FALSE;
	ok(learn(ix, ev) == 1, "learned");
	ix = reopen(ix);
	ok(index_get(ix, ev.message_id, &m, &e) == 1, "found by its id");
	back = m.facts;
	id = ev.event_id;
	back.event_id = id;
	buf_init(&was, 10000);
	buf_init(&is, 10000);
	ok(event_json(&ev, &was, &e) == 0 && event_json(&back, &is, &e) == 0 &&
		slice_eq(buf_slice(&was), buf_slice(&is)),
	    "all fields: %s%s", buf_str(&was), buf_str(&is));
	buf_free(&was);
	buf_free(&is);
	ok(index_get(ix, SLICE_LIT("000000000000ffffffff"), &m, &e) == 0 &&
		index_get(ix, SLICE_LIT("x"), &m, &e) == 0,
	    "an unknown id, and none");
	settle(ix, "CCCC01", "who@x");
	ok(index_get(ix, ev.message_id, &m, &e) == 1, "also when its fate is known");
	return ix;
}

/* privacy-policy sha1: the log has the address, the event its hash. */
static struct index *
hashed(struct index *ix)
{
	struct event ev = reception(1, 2600, "DDDD01", "");
	char hex[2 * HASH_SHA1_SIZE + 1];
	unsigned char md[HASH_SHA1_SIZE];
	struct index_message m;

	hash_sha1(SLICE_LIT("anna@example.net"), md);
	ev.rcpt_hash = slice_str(hash_hex(md, sizeof(md), hex));
	ev.rcpt_domain = SLICE_LIT("example.net");
	ok(learn(ix, ev) == 1, "learned");
	ix = reopen(ix);
	ok(index_find(ix, SLICE_LIT("DDDD01"), SLICE_LIT("Anna@example.net"), INDEX_FIRST, 3000, &m,
	       &e) == 1 &&
		slice_eq(m.facts.rcpt_hash, ev.rcpt_hash),
	    "found by the address");
	ok(index_settle(ix, &m, &e) == 0 &&
		index_find(ix, SLICE_LIT("DDDD01"), SLICE_LIT("Anna@example.net"), INDEX_FIRST,
		    3000, &m, &e) == 0,
	    "and settled");
	return ix;
}

static struct index *
undone(struct index *ix)
{
	struct index_message m;

	ok(index_begin(ix, &e) == 0 && learn(ix, reception(1, 2700, "EEEE01", "a@x")) == 1,
	    "learned");
	index_rollback(ix);
	is_found(ix, "EEEE01", "a@x", 3000, "");
	learn(ix, reception(1, 2700, "EEEE01", "a@x"));
	ok(index_begin(ix, &e) == 0 && settle(ix, "EEEE01", "a@x") == 0, "settled");
	is_found(ix, "EEEE01", "a@x", 3000, "");
	index_rollback(ix);
	is_found(ix, "EEEE01", "a@x", 3000, "a@x 2700");
	ok(index_find(ix, SLICE_LIT("EEEE01"), SLICE_LIT("a@x"), INDEX_FIRST, 3000, &m, &e) == 1 &&
		m.tries == 0 && m.last_reply.len == 0,
	    "nothing tried");
	ok(index_failed(ix, &m, 5000000, -7, SLICE_LIT("4.2.2\n452 full"), &e) == 0, "failed");
	ix = reopen(ix);
	ok(index_find(ix, SLICE_LIT("EEEE01"), SLICE_LIT("a@x"), INDEX_FIRST, 3000, &m, &e) == 1 &&
		m.tries == 1 && m.last_us == 5000000 && m.last_line == -7 &&
		slice_eq(m.last_reply, SLICE_LIT("4.2.2\n452 full")),
	    "tried once");
	settle(ix, "EEEE01", "a@x");
	return ix;
}

static int64_t unknown_at;
static char unknown_rcpt[100];

static void
take_unknown(void *arg, const struct index_message *m, int64_t at_s)
{
	++*(int *)arg;
	unknown_at = at_s;
	snprintf(unknown_rcpt, sizeof(unknown_rcpt), "%.*s", SLICE_FMT(m->facts.rcpt_to));
}

static void
overdue(struct index *ix)
{
	struct index_counts counts;
	struct index_message m;
	int n = 0;

	while (index_overdue(ix, INT64_MAX, 0, &m, &e) == 1)
		index_settle(ix, &m, &e);
	learn(ix, reception(1, 3000, "FFFF01", "old@x"));
	learn(ix, reception(2, 4000, "FFFF02", "freed@x"));
	learn(ix, reception(3, 4000, "FFFF03", "new@x"));
	ok(index_count(ix, &counts, &e) == 0 && counts.waiting == 3 && counts.unknown == 0 &&
		counts.oldest_waiting_s == 3000 && counts.messages >= 3 && counts.bytes > 0,
	    "counted");
	ok(index_freed(ix, SLICE_LIT("FFFF02"), 4000, 4100, &e) == 0, "an id is freed");
	is_found(ix, "FFFF02", "freed@x", 5000, "freed@x 4000");
	ok(index_overdue(ix, 3000, 4100, &m, &e) == 0, "nobody is overdue");
	ok(index_overdue(ix, 3000, 4101, &m, &e) == 1 &&
		slice_eq(m.facts.rcpt_to, SLICE_LIT("freed@x")) &&
		index_give_up(ix, &m, 9000, &e) == 0,
	    "who waits under a free id is given up");
	ok(index_overdue(ix, 3001, 4101, &m, &e) == 1 &&
		slice_eq(m.facts.rcpt_to, SLICE_LIT("old@x")) &&
		index_give_up(ix, &m, 9001, &e) == 0,
	    "and who has waited for too long");
	ok(index_overdue(ix, 3001, 4101, &m, &e) == 0, "nobody else");
	ok(index_unknown(ix, 10, take_unknown, &n, &e) == 0 && n == 2 && unknown_at == 9000 &&
		strcmp(unknown_rcpt, "freed@x") == 0,
	    "both are listed, the latest first");
	n = 0;
	ok(index_unknown(ix, 1, take_unknown, &n, &e) == 0 && n == 1 && unknown_at == 9001,
	    "or one");
	ok(index_count(ix, &counts, &e) == 0 && counts.waiting == 1 && counts.unknown == 2,
	    "counted");
}

static void
trimmed(struct index *ix)
{
	struct index_counts counts;
	int steps = 0;

	ok(index_begin(ix, &e) == 0, "begin");
	for (unsigned i = 0; i < 5000; i++)
		learn(ix, reception(0, 5000 + i, "ABCDEF", "a@x"));
	ok(index_commit(ix, &e) == 0, "5000 messages");
	while (index_trim(ix, 7000, INT64_MAX, &e) == 1)
		steps++;
	ok(steps > 1 && index_count(ix, &counts, &e) == 0 && counts.messages == 3000 &&
		counts.waiting == 3000 && counts.unknown == 0 && counts.oldest_waiting_s == 7000,
	    "by age: %lld messages, %lld wait", (long long)counts.messages,
	    (long long)counts.waiting);
	is_found(ix, "ABCDEF", "a@x", 100000, "a@x 7000");
	while (index_trim(ix, 0, counts.bytes / 2, &e) == 1)
		;
	ok(index_count(ix, &counts, &e) == 0 && counts.messages < 3000, "by size: %lld messages",
	    (long long)counts.messages);
}

static void
small_things(struct index *ix)
{
	struct buf b;

	buf_init(&b, 1000);
	ok(index_state_get(ix, "k", &b, &e) == 0 && b.len == 0, "no state");
	ok(index_state_set(ix, "k", SLICE_LIT("v1"), &e) == 0 &&
		index_state_set(ix, "k", SLICE_LIT("v2"), &e) == 0 &&
		index_state_get(ix, "k", &b, &e) == 1 && slice_eq(buf_slice(&b), SLICE_LIT("v2")),
	    "the last state");
	buf_free(&b);
	ok(index_has_segment(ix, "s", &e) == 0 && index_add_segment(ix, "s", &e) == 0 &&
		index_add_segment(ix, "s", &e) == 0 && index_has_segment(ix, "s", &e) == 1 &&
		index_forget_segment(ix, "s", &e) == 0 && index_has_segment(ix, "s", &e) == 0,
	    "segments");
}

static void
refused(void)
{
	char other[SPOOLDIR_SIZE + 20], aside[SPOOLDIR_SIZE + 40];
	struct index *ix;
	struct err why;
	bool missing;
	sqlite3 *db;
	FILE *f;

	snprintf(other, sizeof(other), "%s/text", dir);
	f = fopen(other, "w");
	fprintf(f, "%0500d", 7);
	fclose(f);
	ok(index_open(other, &e) == NULL && strstr(e.text, "file is not a database") != NULL, "%s",
	    e.text);
	ix = index_open_anew(other, &why, &e);
	snprintf(aside, sizeof(aside), "%s" INDEX_DAMAGED, other);
	ok(ix != NULL && strstr(why.text, "file is not a database") != NULL &&
		access(aside, F_OK) == 0,
	    "what is damaged is set aside: %s", ix == NULL ? e.text : why.text);
	index_close(ix);
	ix = index_open_anew(other, &why, &e);
	ok(ix != NULL && why.text[0] == '\0', "and the new one is good");
	index_close(ix);
	snprintf(other, sizeof(other), "%s/fifo", dir);
	ok(mkfifo(other, 0600) == 0 && index_open_anew(other, &why, &e) == NULL &&
		strstr(e.text, "not a regular file") != NULL,
	    "%s", e.text);
	snprintf(other, sizeof(other), "%s/other.db", dir);
	ok(sqlite3_open(other, &db) == SQLITE_OK &&
		sqlite3_exec(db, "CREATE TABLE x (y)", NULL, NULL, NULL) == SQLITE_OK,
	    "another program's database");
	sqlite3_close(db);
	ok(index_open_anew(other, &why, &e) == NULL &&
		strstr(e.text, "some other program's: move it away") != NULL,
	    "%s", e.text);
	ok(index_open_reader(other, &missing, &e) == NULL &&
		strstr(e.text, "some other program's") != NULL,
	    "%s", e.text);
	snprintf(other, sizeof(other), "%s/no/where.db", dir);
	ok(index_open(other, &e) == NULL && strstr(e.text, "No such file") != NULL, "%s", e.text);
}

/* Which message is found: "SERIAL RCPT", with " +" if there are several; "" if none. */
static const char *
named(struct index *ix, enum index_name what, const char *name, const char *rcpt)
{
	static char text[100];
	struct index_message m;
	bool several;
	int rc = index_named(ix, what, slice_str(name), slice_str(rcpt), &m, &several, &e);
	struct slice who = m.facts.rcpt_to;

	if (rc <= 0)
		return rc < 0 ? e.text : "";
	snprintf(text, sizeof(text), "%lld %.*s%s", (long long)m.facts.timestamp, SLICE_FMT(who),
	    several ? " +" : "");
	return text;
}

static const struct {
	enum index_name what;
	const char *name, *rcpt, *want;
} names[] = {
	{ INDEX_MESSAGE_ID, "one@x", "", "1000 a@x" },
	{ INDEX_MESSAGE_ID, "one@x", "A@x", "1000 a@x" },
	{ INDEX_MESSAGE_ID, "one@x", "b@x", "" },
	{ INDEX_MESSAGE_ID, "ONE@x", "a@x", "" }, /* it has case */
	{ INDEX_MESSAGE_ID, "two@x", "a@x", "1001 a@x" },
	{ INDEX_MESSAGE_ID, "two@x", "b@x", "1001 b@x" },
	{ INDEX_MESSAGE_ID, "two@x", "", "1001 b@x +" },
	{ INDEX_MESSAGE_ID, "env-1", "a@x", "" },
	{ INDEX_MESSAGE_ID, "", "a@x", "" },
	{ INDEX_ENVID, "env-1", "a@x", "1000 a@x" },
	{ INDEX_ENVID, "one@x", "a@x", "" },
	{ INDEX_RCPT, "a@x", "", "1001 a@x +" }, /* the latest */
	{ INDEX_RCPT, "B@X", "", "1001 b@x" },
	{ INDEX_RCPT, "c@x", "", "" },
};

static struct event
with_names(struct event ev, const char *message_id, const char *envid)
{
	ev.header_message_id = slice_str(message_id);
	ev.envid = slice_str(envid);
	return ev;
}

static void
naming(void)
{
	char own[SPOOLDIR_SIZE + 20];
	struct index_message m;
	struct index *ix;
	struct slice first;

	snprintf(own, sizeof(own), "%s/named.db", dir);
	ix = index_open(own, &e);
	index_begin(ix, &e);
	learn(ix, with_names(reception(1, 1000, "N1", "a@x"), "one@x", "env-1"));
	learn(ix, with_names(reception(2, 1001, "N2", "a@x"), "two@x", NULL));
	learn(ix, with_names(reception(3, 1001, "N2", "b@x"), "two@x", NULL));
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *got = named(ix, names[i].what, names[i].name, names[i].rcpt);

		ok(strcmp(got, names[i].want) == 0, "name \"%s\" of %s: \"%s\"", names[i].name,
		    names[i].rcpt, got);
	}
	first = reception(2, 1001, "N2", "").message_id;
	ok(index_among(ix, first, 2, SLICE_LIT("B@x"), &m, &e) == 1 &&
		slice_eq(m.facts.rcpt_to, SLICE_LIT("b@x")),
	    "among the recipients of a message");
	ok(index_among(ix, first, 1, SLICE_LIT("b@x"), &m, &e) == 0 &&
		index_among(ix, first, 2, SLICE_LIT("c@x"), &m, &e) == 0,
	    "not among them");
	index_set_use(ix, false, false);
	learn(ix, with_names(reception(4, 1002, "N3", "d@x"), "three@x", NULL));
	ok(strcmp(named(ix, INDEX_RCPT, "d@x", ""), "") == 0 &&
		index_find(ix, SLICE_LIT("N3"), SLICE_LIT("d@x"), INDEX_FIRST, INT64_MAX, &m, &e) ==
		    0,
	    "neither names nor who waits, where nobody asks");
	ok(index_trim(ix, 1001, INT64_MAX, &e) == 1 &&
		strcmp(named(ix, INDEX_MESSAGE_ID, "one@x", ""), "") == 0 &&
		strcmp(named(ix, INDEX_RCPT, "b@x", ""), "1001 b@x") == 0,
	    "names go with their message");
	index_commit(ix, &e);
	index_close(ix);
}

/* Recipients that the events have as hashes are found by their address. */
static void
naming_hashed(void)
{
	char own[SPOOLDIR_SIZE + 20];
	struct index_message m;
	char hex[2 * HASH_SHA1_SIZE + 1];
	unsigned char md[HASH_SHA1_SIZE];
	struct index *ix;
	struct event ev = with_names(reception(1, 1000, "H1", ""), "h@x", NULL);
	bool several;

	snprintf(own, sizeof(own), "%s/hashed.db", dir);
	ix = index_open(own, &e);
	ev.rcpt_to = ev.raw_rcpt_to = (struct slice){ 0 };
	ev.rcpt_domain = SLICE_LIT("x");
	hash_sha1(SLICE_LIT("a@x"), md);
	ev.rcpt_hash = slice_str(hash_hex(md, sizeof(md), hex));
	index_begin(ix, &e);
	learn(ix, ev);
	ok(index_named(
	       ix, INDEX_MESSAGE_ID, SLICE_LIT("h@x"), SLICE_LIT("A@x"), &m, &several, &e) == 1 &&
		index_named(
		    ix, INDEX_RCPT, SLICE_LIT("a@X"), (struct slice){ 0 }, &m, &several, &e) == 1 &&
		index_among(ix, ev.message_id, 1, SLICE_LIT("a@x"), &m, &e) == 1,
	    "hashed recipients");
	index_commit(ix, &e);
	index_close(ix);
}

/* A file of a version that knew no names gets their table. */
static void
migrating(void)
{
	char own[SPOOLDIR_SIZE + 20];
	sqlite3 *db;
	struct index *ix;

	snprintf(own, sizeof(own), "%s/old.db", dir);
	ix = index_open(own, &e);
	learn(ix, reception(1, 1000, "O1", "a@x"));
	index_close(ix);
	sqlite3_open(own, &db);
	ok(sqlite3_exec(db, "DROP TABLE name", NULL, NULL, NULL) == SQLITE_OK, "an old file");
	sqlite3_close(db);
	ix = index_open(own, &e);
	ok(ix != NULL, "it opens %s", ix == NULL ? e.text : "");
	learn(ix, with_names(reception(2, 1001, "O2", "b@x"), "new@x", NULL));
	ok(strcmp(named(ix, INDEX_MESSAGE_ID, "new@x", "b@x"), "1001 b@x") == 0, "and takes names");
	index_close(ix);
}

int
main(void)
{
	struct index *ix;

	spooldir_make(dir);
	snprintf(path, sizeof(path), "%s/index.db", dir);
	ix = index_open(path, &e);
	if (ok(ix != NULL, "a new index %s", ix == NULL ? e.text : "")) {
		ix = finding(ix);
		all_of(ix);
		ix = all_facts(ix);
		ix = hashed(ix);
		ix = undone(ix);
		overdue(ix);
		trimmed(ix);
		small_things(ix);
	}
	index_close(ix);
	naming();
	naming_hashed();
	migrating();
	refused();
	spooldir_remove(dir);
	return tap_done();
}
