/*
 * dkimsign - signs the message on standard input and prints it with CRLF line
 * ends and the DKIM-Signature on top, as an MTA would send it: what common/dkim.h
 * does, for verifiers that are not ours.
 *
 * Usage: dkimsign -d DOMAIN -k SELECTOR:KEYFILE... [-c HEADER/BODY] [-i IDENTITY]
 *            [-t TIME] [-x TIME] [-l] [-e HEADER]... [-o HEADER]... [-p BYTES]
 *        dkimsign -r -d DOMAIN -k SELECTOR:KEYFILE...
 *
 * -e signs HEADER too, -o oversigns it, -p hands the body over in pieces of that
 * size. With several keys the signature of the first is on top. -r prints the keys'
 * records instead, as "SELECTOR._domainkey.DOMAIN v=DKIM1; ...".
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/dkim.h"
#include "common/header.h"
#include "common/xalloc.h"

#define MAX_LIST 32

struct options {
	struct dkim_signing how;
	const char *keys[MAX_LIST + 1], *extra[MAX_LIST + 1], *oversign[MAX_LIST + 1];
	size_t piece;
	bool records;
};

static _Noreturn void
die(const char *text)
{
	fprintf(stderr, "dkimsign: %s\n", text);
	exit(1);
}

static void
add(const char **list, const char *text)
{
	size_t n = 0;

	while (list[n] != NULL)
		n++;
	if (n == MAX_LIST)
		die("too many of one option");
	list[n] = text;
}

static uint64_t
number(const char *text)
{
	uint64_t n;

	if (!slice_uint(slice_str(text), INT64_MAX, &n))
		die("not a number");
	return n;
}

static enum dkim_canon
canon(struct slice s)
{
	if (slice_eq(s, SLICE_LIT("relaxed")))
		return DKIM_RELAXED;
	if (!slice_eq(s, SLICE_LIT("simple")))
		die("-c takes relaxed and simple");
	return DKIM_SIMPLE;
}

static void
set_option(struct options *o, int c)
{
	struct slice text = slice_str(optarg);

	switch (c) {
	case 'd':
		o->how.domain = optarg;
		break;
	case 'k':
		add(o->keys, optarg);
		break;
	case 'c':
		o->how.header_canon = canon(slice_cut(&text, '/'));
		o->how.body_canon = canon(text);
		break;
	case 'i':
		o->how.identity = text;
		break;
	case 't':
		o->how.timestamp = (int64_t)number(optarg);
		break;
	case 'x':
		o->how.expires = (int64_t)number(optarg);
		break;
	case 'l':
		o->how.body_limit = true;
		break;
	case 'e':
		add(o->extra, optarg);
		break;
	case 'o':
		add(o->oversign, optarg);
		break;
	case 'p':
		o->piece = (size_t)number(optarg);
		break;
	case 'r':
		o->records = true;
		break;
	default:
		exit(64);
	}
}

/* SELECTOR:KEYFILE; *selector is the caller's to free. */
static struct dkim_key *
load(const char *option, char **selector)
{
	struct slice rest = slice_str(option);
	struct dkim_key *k;
	struct err e;

	*selector = xslicedup(slice_cut(&rest, ':'));
	k = dkim_key_load(rest.p, &e);
	if (k == NULL)
		die(e.text);
	return k;
}

static void
print_records(const struct options *o)
{
	for (size_t i = 0; o->keys[i] != NULL; i++) {
		char *selector;
		struct dkim_key *k = load(o->keys[i], &selector);
		struct buf text;

		buf_init(&text, BUF_NO_LIMIT);
		dkim_key_record(k, &text);
		printf("%s._domainkey.%s %s\n", selector, o->how.domain, buf_str(&text));
		buf_free(&text);
		dkim_key_close(k);
		free(selector);
	}
}

/* ---- the message ---- */

static void
read_input(struct buf *b)
{
	char chunk[65536];
	size_t n;

	while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		buf_add(b, (struct slice){ chunk, n });
}

/* With CRLF at the end of each line, the last one too. */
static void
print_crlf(struct slice text)
{
	while (text.len > 0) {
		size_t n = slice_find(text, '\n');
		size_t end = n > 0 && n < text.len && text.p[n - 1] == '\r' ? n - 1 : n;

		fwrite(text.p, 1, end, stdout);
		fputs("\r\n", stdout);
		text = slice_skip(text, n + 1);
	}
}

static struct dkim_field *
split(struct slice *rest, size_t *n)
{
	struct dkim_field *fields = NULL;
	struct header h;
	size_t room = 0;
	int found;

	*n = 0;
	while ((found = header_next(rest, &h)) != 0) {
		if (found < 0)
			die("the header holds a line that is no field");
		fields = xgrow(fields, *n, &room, sizeof(*fields));
		/* With the blanks before the colon: simple canonicalization needs them. */
		fields[*n].value = h.value;
		fields[*n].name = slice_head(h.whole, h.whole.len - h.value.len - 1);
		++*n;
	}
	return fields;
}

static void
hash_body(const struct options *o, struct slice body, unsigned char hash[32], uint64_t *length)
{
	struct dkim_body *b = dkim_body_begin(o->how.body_canon);
	size_t piece = o->piece > 0 ? o->piece : body.len;

	while (body.len > 0) {
		dkim_body_add(b, slice_head(body, piece));
		body = slice_skip(body, piece);
	}
	dkim_body_end(b, hash, length);
}

static void
sign_and_print(struct options *o, struct slice message)
{
	struct slice body = message;
	size_t n;
	struct dkim_field *fields = split(&body, &n);
	struct slice head = slice_head(message, message.len - body.len);
	unsigned char hash[32];

	hash_body(o, body, hash, &o->how.body_length);
	for (size_t i = 0; o->keys[i] != NULL; i++) {
		char *selector;
		struct dkim_key *k = load(o->keys[i], &selector);
		struct buf value;
		struct err e;

		buf_init(&value, BUF_NO_LIMIT);
		o->how.selector = selector;
		if (dkim_signature(k, &o->how, fields, n, hash, &value, &e) < 0)
			die(e.text);
		fputs("DKIM-Signature:", stdout);
		print_crlf(buf_slice(&value));
		buf_free(&value);
		dkim_key_close(k);
		free(selector);
	}
	print_crlf(head);
	print_crlf(body);
	free(fields);
}

int
main(int argc, char **argv)
{
	static struct options o;
	struct buf message;
	int c;

	o.how.extra = o.extra;
	o.how.oversign = o.oversign;
	while ((c = getopt(argc, argv, "d:k:c:i:t:x:le:o:p:r")) != -1)
		set_option(&o, c);
	if (o.how.domain == NULL || o.keys[0] == NULL || optind < argc)
		die("-d and -k are needed, and no arguments");
	if (o.records) {
		print_records(&o);
		return 0;
	}
	buf_init(&message, BUF_NO_LIMIT);
	read_input(&message);
	sign_and_print(&o, buf_slice(&message));
	buf_free(&message);
	return fflush(stdout) == 0 ? 0 : 1;
}
