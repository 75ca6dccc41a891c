#include "ctl/dkim_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <opendkim/dkim.h>

#include "common/buf.h"
#include "common/file.h"

static const char body[] = "a test of the key\r\n";

static unsigned char *
bytes(const char *p)
{
	return (unsigned char *)(uintptr_t)p;
}

/* "From: postmaster@DOMAIN" and the signature over it, as two header fields. */
static int
sign(const struct dkim_key *k, const char *selector, const char *domain, struct buf *from,
    struct buf *signature, struct err *e)
{
	struct dkim_signing how = { .selector = selector, .domain = domain };
	struct dkim_body *b = dkim_body_begin(DKIM_RELAXED);
	unsigned char hash[32];
	struct dkim_field field;
	int rc;

	dkim_body_add(b, (struct slice){ body, sizeof(body) - 1 });
	dkim_body_end(b, hash, NULL);
	buf_printf(from, "From: postmaster@%s", domain);
	field.name = SLICE_LIT("From");
	field.value = slice_skip(buf_slice(from), strlen("From:"));
	buf_adds(signature, "DKIM-Signature:");
	rc = dkim_signature(k, &how, &field, 1, hash, signature, e);
	return rc;
}

/* libopendkim wants CRLF in folds. */
static void
crlf(const struct buf *in, struct buf *out)
{
	for (size_t i = 0; i < in->len; i++) {
		if (in->p[i] == '\n')
			buf_addc(out, '\r');
		buf_addc(out, in->p[i]);
	}
}

static int
judge(DKIM *d, struct err *e)
{
	DKIM_SIGINFO **sigs = NULL;
	DKIM_STAT st = dkim_eom(d, NULL);
	int n = 0;

	if (dkim_getsiglist(d, &sigs, &n) != DKIM_STAT_OK || n == 0)
		return err_set(e, "%s", dkim_getresultstr(st));
	dkim_sig_process(d, sigs[0]);
	if ((dkim_sig_getflags(sigs[0]) & DKIM_SIGFLAG_PASSED) != 0 &&
	    dkim_sig_getbh(sigs[0]) == DKIM_SIGBH_MATCH)
		return 0;
	return err_set(e, "%s", dkim_sig_geterrorstr(dkim_sig_geterror(sigs[0])));
}

static int
verify(DKIM_LIB *lib, const struct buf *from, const struct buf *signature, struct err *e)
{
	DKIM_STAT st;
	DKIM *d = dkim_verify(lib, bytes("testkey"), NULL, &st);
	int rc = -1;

	if (d == NULL)
		return err_set(e, "libopendkim: %s", dkim_getresultstr(st));
	if ((st = dkim_header(d, bytes(signature->p), signature->len)) != DKIM_STAT_OK ||
	    (st = dkim_header(d, bytes(from->p), from->len)) != DKIM_STAT_OK ||
	    (st = dkim_eoh(d)) != DKIM_STAT_OK ||
	    (st = dkim_body(d, bytes(body), sizeof(body) - 1)) != DKIM_STAT_OK)
		err_text(e, 0, "libopendkim: %s", dkim_getresultstr(st));
	else
		rc = judge(d, e);
	dkim_free(d);
	return rc;
}

/* libopendkim reads keys from DNS or from a file; in the file is what DNS said. */
static int
verify_by(char *keys, const struct buf *from, const struct buf *signature, struct err *e)
{
	DKIM_LIB *lib = dkim_init(NULL, NULL);
	dkim_query_t query = DKIM_QUERY_FILE;
	int rc;

	if (lib == NULL ||
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_QUERYMETHOD, &query, sizeof(query)) !=
		DKIM_STAT_OK ||
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_QUERYINFO, keys, strlen(keys) + 1) !=
		DKIM_STAT_OK)
		rc = err_set(e, "libopendkim can't be set up");
	else
		rc = verify(lib, from, signature, e);
	if (lib != NULL)
		dkim_close(lib);
	return rc;
}

static int
write_keys(int fd, const char *selector, const char *domain, struct slice record, struct err *e)
{
	struct buf line;
	int rc;

	buf_init(&line, BUF_NO_LIMIT);
	buf_printf(&line, "%s._domainkey.%s ", selector, domain);
	buf_add(&line, record);
	buf_addc(&line, '\n');
	rc = file_write_all(fd, buf_slice(&line)) < 0 ? err_errno(e, "temporary file") : 0;
	buf_free(&line);
	return rc;
}

int
dkim_probe(const struct dkim_key *k, const char *selector, const char *domain, struct slice record,
    struct err *e)
{
	char keys[] = "/tmp/signalpost-testkey.XXXXXX";
	struct buf from, signature, folded;
	int fd = mkstemp(keys), rc;

	if (fd < 0)
		return err_errno(e, "temporary file");
	buf_init(&from, BUF_NO_LIMIT);
	buf_init(&signature, BUF_NO_LIMIT);
	buf_init(&folded, BUF_NO_LIMIT);
	rc = write_keys(fd, selector, domain, record, e);
	if (rc == 0)
		rc = sign(k, selector, domain, &from, &signature, e);
	if (rc == 0) {
		crlf(&signature, &folded);
		rc = verify_by(keys, &from, &folded, e);
	}
	close(fd);
	unlink(keys);
	buf_free(&from);
	buf_free(&signature);
	buf_free(&folded);
	return rc;
}
