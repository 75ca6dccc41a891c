/*
 * The log line of a message, read back: every key, and values that try to be
 * something else. What is read here is what signalpost-milter(8) explains.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/outgoing.h"
#include "t/tap.h"

#define ED25519                                                                                    \
	"-----BEGIN PRIVATE KEY-----\n"                                                            \
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"                       \
	"-----END PRIVATE KEY-----\n"

/* ---- a reader, as an operator's program would have it ---- */

struct pair {
	char key[40];
	struct buf value;
};

struct line {
	size_t n;
	struct pair v[64];
};

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One quoted value behind its first quote; false if it is malformed. */
static bool
read_quoted(struct slice *rest, struct buf *out)
{
	while (rest->len > 0 && rest->p[0] != '"') {
		char c = rest->p[0];
		size_t used = 1;

		if (c == '\\') {
			if (rest->len < 2)
				return false;
			c = rest->p[1];
			used = 2;
			if (c == 'x') {
				if (rest->len < 4 || hex(rest->p[2]) < 0 || hex(rest->p[3]) < 0)
					return false;
				c = (char)(hex(rest->p[2]) << 4 | hex(rest->p[3]));
				used = 4;
			} else if (c != '"' && c != '\\') {
				return false;
			}
		}
		buf_addc(out, c);
		*rest = slice_skip(*rest, used);
	}
	if (rest->len == 0)
		return false;
	*rest = slice_skip(*rest, 1);
	return true;
}

/* " key=value key=value ..." */
static bool
read_line(struct slice rest, struct line *out)
{
	while (rest.len > 0) {
		struct pair *p = &out->v[out->n];
		struct slice key;

		if (out->n == COUNT(out->v) || rest.p[0] != ' ')
			return false;
		rest = slice_skip(rest, 1);
		key = slice_head(rest, slice_find(rest, '='));
		if (key.len == 0 || key.len == rest.len || key.len >= sizeof(p->key) ||
		    slice_find(key, ' ') < key.len)
			return false;
		snprintf(p->key, sizeof(p->key), "%.*s", SLICE_FMT(key));
		rest = slice_skip(rest, key.len + 1);
		buf_init(&p->value, BUF_NO_LIMIT);
		out->n++;
		if (rest.len > 0 && rest.p[0] == '"') {
			rest = slice_skip(rest, 1);
			if (!read_quoted(&rest, &p->value))
				return false;
		} else {
			struct slice word = slice_head(rest, slice_find(rest, ' '));

			if (word.len == 0 || slice_find(word, '"') < word.len)
				return false;
			buf_add(&p->value, word);
			rest = slice_skip(rest, word.len);
		}
	}
	return true;
}

static void
line_free(struct line *l)
{
	for (size_t i = 0; i < l->n; i++)
		buf_free(&l->v[i].value);
	l->n = 0;
}

/* The `nth` value of this key, or nothing. */
static struct slice
value(const struct line *l, const char *key, size_t nth)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].key, key) == 0 && nth-- == 0)
			return buf_slice(&l->v[i].value);
	return (struct slice){ NULL, 0 };
}

/* ---- values ---- */

#define X10  "xxxxxxxxxx"
#define X80  X10 X10 X10 X10 X10 X10 X10 X10
#define X320 X80 X80 X80 X80

static const struct {
	struct slice value;
	const char *text;
} values[] = {
	{ SLICE_LIT("plain"), " k=plain" },
	{ SLICE_LIT("a=b"), " k=a=b" },
	{ SLICE_LIT("<a@b>"), " k=<a@b>" },
	{ SLICE_LIT("none(no-key)"), " k=none(no-key)" },
	{ SLICE_LIT(""), " k=\"\"" },
	{ SLICE_LIT("a b"), " k=\"a b\"" },
	{ SLICE_LIT("x result=accepted"), " k=\"x result=accepted\"" },
	{ SLICE_LIT("\" result=accepted \""), " k=\"\\\" result=accepted \\\"\"" },
	{ SLICE_LIT("\\"), " k=\"\\\\\"" },
	{ SLICE_LIT("\\\" k=v"), " k=\"\\\\\\\" k=v\"" },
	{ SLICE_LIT("\r\n\0\t\x7f"), " k=\"\\x0d\\x0a\\x00\\x09\\x7f\"" },
	{ SLICE_LIT("\xc3\xa4 \xc2\x85 \xe2\x80\xa8"),
	    " k=\"\\xc3\\xa4 \\xc2\\x85 \\xe2\\x80\\xa8\"" },
	{ SLICE_LIT("\x1b[2J"), " k=\"\\x1b[2J\"" },
	{ SLICE_LIT("%s%n"), " k=%s%n" },
	{ SLICE_LIT(X320), " k=" X320 },
};

static void
read_values(void)
{
	for (size_t i = 0; i < COUNT(values); i++) {
		struct line l = { 0 };
		struct buf out;
		bool good;

		buf_init(&out, 4096);
		outgoing_log_value(&out, "k", values[i].value);
		good = read_line(buf_slice(&out), &l);
		ok(strcmp(buf_str(&out), values[i].text) == 0, "%s", values[i].text);
		ok(good && l.n == 1 && slice_eq(value(&l, "k", 0), values[i].value),
		    "comes back as one value");
		line_free(&l);
		buf_free(&out);
	}
}

static void
room(void)
{
	struct buf out;

	buf_init(&out, 400);
	outgoing_log_value(&out, "k", SLICE_LIT(X320 "y"));
	ok(strcmp(buf_str(&out), " k=\"" X320 "...\"") == 0, "a long value is cut");
	outgoing_log_value(&out, "l", SLICE_LIT(X80));
	outgoing_log_value(&out, "m", SLICE_LIT("1"));
	ok(strcmp(buf_str(&out), " k=\"" X320 "...\" m=1") == 0,
	    "what has no room is left out whole");
	buf_free(&out);
}

/* ---- lines ---- */

static const char hostile[] = "a\" result=accepted\r\nFAKE: client=\\ \xff@b";

/* Everything at once, with a hostile text wherever one can come from outside. */
static void
fill(struct outgoing_envelope *env, struct outgoing *o, struct slice *rcpts)
{
	for (size_t i = 0; i < 7; i++)
		rcpts[i] = slice_str(i == 1 ? hostile : "r@x.example");
	env->auth_user = hostile;
	env->from = slice_str(hostile);
	env->rcpts = rcpts;
	env->n_rcpts = 7;
	env->body_too_big = true;
	o->from_changed = o->from_invalid = true;
	buf_adds(&o->new_from, hostile);
	o->verp = "multi-recipient";
	for (int i = 0; i < 5; i++)
		buf_adds(&o->jobid, hostile);
	o->not_routed = "untrusted-source";
	o->vmta_unknown = "x-virtual-mta";
	o->api_error = "bad";
	o->subaccount = 7;
	o->signals = true;
	o->events = 7;
	o->track = (struct track_report){
		.links = 3, .open_pixel = true, .parts_passed = 1, .part_why = "too-big"
	};
	o->sevenbit.parts = 1;
	o->sevenbit.headers = 2;
	o->sevenbit.unsafe = true;
}

static const struct {
	const char *key;
	size_t nth;
	const char *want;
} all_keys[] = {
	{ "client", 0, "192.0.2.1" }, { "auth", 0, hostile }, { "to", 0, "<r@x.example>" },
	{ "to", 4, "<r@x.example>" }, { "to", 5, NULL }, { "source", 0, "{auth}" },
	{ "listener", 0, "[2001:db8::1]:587" }, { "env", 1, "invalid(unchanged)" },
	{ "verp", 0, "multi-recipient" }, { "rcpts", 0, "7" }, { "size", 0, "1234" },
	{ "vmta", 0, "mta1" }, { "pool", 0, "default" }, { "route", 0, "none(untrusted-source)" },
	{ "x-virtual-mta", 0, "unknown" }, { "x-msys-api", 0, "bad" }, { "subaccount", 0, "7" },
	{ "events", 0, "7" }, { "links", 0, "3" }, { "pixels", 0, "1" },
	{ "untracked-parts", 0, "1(too-big)" }, { "edit", 0, "none(too-big)" },
	{ "requoted", 0, "1" }, { "refolded", 0, "2" }, { "sevenbit", 0, "unsafe" },
	{ "dkim", 0, "signed" }, { "d", 0, "example.com" }, { "s", 1, "two" },
	{ "a", 1, "ed25519-sha256" }, { "result", 0, NULL }, /* nobody but the milter says that */
};

/* Each key stands in the manual page. */
static void
documented(const struct line *l)
{
	const char *srcdir = getenv("srcdir");
	char path[300], want[60];
	struct buf page;
	struct err e;

	snprintf(path, sizeof(path), "%s/man/signalpost-milter.8", srcdir != NULL ? srcdir : ".");
	buf_init(&page, 1 << 20);
	if (file_read(AT_FDCWD, path, &page, &e) < 0)
		ok(false, "%s", e.text);
	for (size_t i = 0; i < l->n; i++) {
		snprintf(want, sizeof(want), "%s=", l->v[i].key);
		ok(strstr(buf_str(&page), want) != NULL, "%s is in the manual page", want);
	}
	buf_free(&page);
}

static void
everything(void)
{
	struct err e;
	struct conf *c = conf_parse("t",
	    SLICE_LIT("<source {auth}>\n</source>\n<virtual-mta mta1>\n</virtual-mta>\n"
		      "<virtual-mta-pool default>\nvirtual-mta mta1\n</virtual-mta-pool>\n"),
	    &e);
	struct dkim_key *key = dkim_key_parse("k", SLICE_LIT(ED25519), &e);
	struct slice rcpts[7];
	struct outgoing_envelope env = { .source = &c->sources[0],
		.client_ip = "192.0.2.1",
		.listener_ip = "2001:db8::1",
		.listener_port = 587,
		.size = 1234 };
	struct line l = { 0 };
	struct outgoing o;
	struct buf out;
	char path[100];

	ok(key != NULL, "%s", key != NULL ? "a key" : e.text);
	outgoing_init(&o);
	fill(&env, &o, rcpts);
	o.vmta = c->vmtas[0];
	o.pool = &c->pools[0];
	o.signed_ok = true;
	o.signing.n = 2;
	for (size_t i = 0; i < 2; i++) {
		o.signing.by[i].key = key;
		o.signing.by[i].domain = "example.com";
		o.signing.by[i].selector = i == 0 ? "one" : "two";
	}
	buf_init(&out, 3500);
	outgoing_log(&env, &o, &out);
	ok(read_line(buf_slice(&out), &l), "the line can be read");
	for (size_t i = 0; i < out.len; i++)
		if (out.p[i] < 0x20 || out.p[i] > 0x7e)
			ok(false, "byte %zu is no printable ASCII", i);
	for (size_t i = 0; i < COUNT(all_keys); i++) {
		struct slice got = value(&l, all_keys[i].key, all_keys[i].nth);

		ok(slice_eq(got, slice_str(all_keys[i].want)), "%s: %.*s", all_keys[i].key,
		    SLICE_FMT(got));
	}
	snprintf(path, sizeof(path), "<%s>", hostile);
	ok(slice_eq(value(&l, "from", 0), slice_str(path)) &&
		slice_eq(value(&l, "env", 0), slice_str(path)) &&
		slice_eq(value(&l, "to", 1), slice_str(path)),
	    "addresses come back as they were");
	ok(value(&l, "campaign", 0).len == 64 &&
		slice_eq(value(&l, "job", 0), buf_slice(&o.jobid)) && value(&l, "id", 0).len == 20,
	    "campaign, job and id");
	documented(&l);
	line_free(&l);
	buf_free(&out);
	outgoing_free(&o);
	dkim_key_close(key);
	conf_free(c);
}

/* The shortest one, and what is said when something was not done. */
static void
nothing(void)
{
	struct conf_source source = { 0 };
	struct outgoing_envelope env = { .source = &source, .local = true };
	struct line l = { 0 };
	struct outgoing o;
	struct buf out;

	outgoing_init(&o);
	o.track.why_not = "signed";
	o.signing.why_not = "no-key";
	buf_init(&out, 3500);
	outgoing_log(&env, &o, &out);
	ok(strcmp(buf_str(&out),
	       " client=local from=<> rcpts=0 size=0 events=off track=none(signed) "
	       "dkim=none(no-key)") == 0,
	    "%s", buf_str(&out));
	ok(read_line(buf_slice(&out), &l) && l.n == 7, "seven keys");
	documented(&l);
	line_free(&l);
	buf_free(&out);
	outgoing_free(&o);
}

int
main(void)
{
	read_values();
	room();
	everything();
	nothing();
	return tap_done();
}
