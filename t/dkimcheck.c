/*
 * dkimcheck - verifies all DKIM signatures of the messages in FILEs, or of the one
 * on standard input, with libopendkim and public keys from a file: no DNS.
 *
 * Usage: dkimcheck KEYS [FILE...]
 *
 * KEYS has lines "SELECTOR._domainkey.DOMAIN v=DKIM1; k=rsa; p=...". Line ends may
 * be LF or CRLF. One line a signature, behind the file's name; exit status 0 if
 * each message has at least one and all pass.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include <opendkim/dkim.h>

#include "common/buf.h"
#include "common/slice.h"

/* libopendkim takes bytes that it does not write to as `unsigned char *`. */
static unsigned char *
bytes(struct slice s)
{
	return (unsigned char *)(uintptr_t)s.p;
}

static const char *label = "", *colon = "";

static void
read_input(FILE *f, struct buf *b)
{
	int c, before = 0;

	while ((c = getc(f)) != EOF) {
		if (c == '\n' && before != '\r')
			buf_addc(b, '\r');
		buf_addc(b, (char)c);
		before = c;
	}
}

static DKIM_LIB *
open_library(char *keys)
{
	DKIM_LIB *lib = dkim_init(NULL, NULL);
	dkim_query_t query = DKIM_QUERY_FILE;

	if (lib == NULL ||
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_QUERYMETHOD, &query, sizeof(query)) !=
		DKIM_STAT_OK ||
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_QUERYINFO, keys, strlen(keys) + 1) !=
		DKIM_STAT_OK) {
		fprintf(stderr, "dkimcheck: libopendkim can't be set up\n");
		exit(2);
	}
	return lib;
}

/* Length of the field at the start of `s`, folds included, last CRLF not. */
static size_t
field_length(struct slice s)
{
	size_t at = 0;

	for (;;) {
		at += slice_find(slice_skip(s, at), '\n') + 1;
		if (at >= s.len || (s.p[at] != ' ' && s.p[at] != '\t'))
			break;
	}
	if (at > s.len)
		return s.len;
	return at < 2 ? 0 : at - 2;
}

static bool
feed_header(DKIM *d, struct slice *rest)
{
	while (rest->len > 0 && rest->p[0] != '\r') {
		size_t n = field_length(*rest);
		DKIM_STAT st = dkim_header(d, bytes(*rest), n);

		if (st != DKIM_STAT_OK) {
			printf("%s%sFAIL header: %s\n", label, colon, dkim_getresultstr(st));
			return false;
		}
		*rest = slice_skip(*rest, n + 2);
	}
	*rest = slice_skip(*rest, 2);
	return true;
}

static bool
feed(DKIM *d, struct slice message)
{
	DKIM_STAT st;

	if (!feed_header(d, &message))
		return false;
	st = dkim_eoh(d);
	if (st != DKIM_STAT_OK) {
		printf("%s%sFAIL %s\n", label, colon, dkim_getresultstr(st));
		return false;
	}
	if (message.len > 0)
		dkim_body(d, bytes(message), message.len);
	dkim_eom(d, NULL);
	return true;
}

static bool
report(DKIM *d, DKIM_SIGINFO *sig)
{
	bool good;
	dkim_alg_t algorithm = -1;

	dkim_sig_process(d, sig);
	dkim_sig_getsignalg(sig, &algorithm);
	good = (dkim_sig_getflags(sig) & DKIM_SIGFLAG_PASSED) != 0 &&
	       dkim_sig_getbh(sig) == DKIM_SIGBH_MATCH;
	printf("%s%s%s d=%s s=%s a=%d bh=%s%s%s\n", label, colon, good ? "pass" : "FAIL",
	    dkim_sig_getdomain(sig), dkim_sig_getselector(sig), algorithm,
	    dkim_sig_getbh(sig) == DKIM_SIGBH_MATCH ? "match" : "mismatch",
	    good ? "" : " error: ", good ? "" : dkim_sig_geterrorstr(dkim_sig_geterror(sig)));
	return good;
}

static bool
verify(DKIM_LIB *lib, FILE *f)
{
	const unsigned char id[] = "check";
	DKIM_SIGINFO **sigs = NULL;
	struct buf message;
	bool good;
	int n = 0;
	DKIM_STAT st;
	DKIM *d = dkim_verify(lib, id, NULL, &st);

	buf_init(&message, BUF_NO_LIMIT);
	read_input(f, &message);
	good = d != NULL && feed(d, buf_slice(&message)) &&
	       dkim_getsiglist(d, &sigs, &n) == DKIM_STAT_OK && n > 0;
	for (int i = 0; i < n; i++)
		good &= report(d, sigs[i]);
	if (n == 0)
		printf("%s%sFAIL no signature was checked\n", label, colon);
	if (d != NULL)
		dkim_free(d);
	buf_free(&message);
	return good;
}

int
main(int argc, char **argv)
{
	DKIM_LIB *lib;
	bool good = true;

	if (argc < 2) {
		fprintf(stderr, "usage: dkimcheck KEYS [FILE...]\n");
		return 64;
	}
	lib = open_library(argv[1]);
	if (argc == 2)
		good = verify(lib, stdin);
	for (int i = 2; i < argc; i++) {
		FILE *f = fopen(argv[i], "r");

		if (f == NULL) {
			fprintf(stderr, "dkimcheck: %s: can't be opened\n", argv[i]);
			return 2;
		}
		label = argv[i];
		colon = ": ";
		good &= verify(lib, f);
		fclose(f);
	}
	dkim_close(lib);
	return good ? 0 : 1;
}
