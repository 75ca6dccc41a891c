/* Report authentication: signatures of our own signer before libopendkim, and a name server
 * that answers, or does not. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/dkim.h"
#include "common/header.h"
#include "common/report_auth.h"
#include "t/tap.h"

static struct dkim_key *key;
static struct buf record;

/* A signature of the mail, as a header field with its line end. */
static void
sign(struct slice mail, const char *domain, const char *selector, bool limit, struct buf *out)
{
	struct dkim_signing how = {
		.selector = selector, .domain = domain, .timestamp = 1790000000, .body_limit = limit
	};
	struct dkim_body *b = dkim_body_begin(DKIM_RELAXED);
	struct dkim_field fields[20];
	unsigned char hash[32];
	struct header h;
	struct err e;
	size_t n = 0;

	while (header_next(&mail, &h) > 0 && n < COUNT(fields))
		fields[n++] = (struct dkim_field){ h.name, h.value };
	dkim_body_add(b, mail);
	dkim_body_end(b, hash, &how.body_length);
	buf_adds(out, "DKIM-Signature:");
	if (dkim_signature(key, &how, fields, n, hash, out, &e) < 0)
		ok(false, "sign: %s", e.text);
	buf_adds(out, "\r\n");
}

#define FROM(from) "From: " from "\r\nTo: fbl@brand.example\r\nSubject: report\r\n"
#define BODY       "\r\nThis is a report.\r\n"

enum change { NOTHING, BODY_CHANGED, SUBJECT_CHANGED, BODY_LONGER, LF_ONLY, UNSIGNED };

static const struct {
	const char *from, *domain, *selector;
	enum change change;
	bool limit;
	enum report_auth_result result;
	bool aligned;
	const char *why;
} rows[] = {
	{ FROM("Abuse <abuse@isp.example>"), "isp.example", "s", NOTHING, false, REPORT_AUTH_PASS,
	    true, "" },
	{ FROM("abuse@ISP.example"), "isp.example", "s", NOTHING, false, REPORT_AUTH_PASS, true,
	    "" },
	{ FROM("abuse@mx.isp.example"), "isp.example", "s", NOTHING, false, REPORT_AUTH_PASS, true,
	    "" },
	{ FROM("abuse@isp.example"), "mail.isp.example", "s", NOTHING, false, REPORT_AUTH_PASS,
	    true, "" },
	{ FROM("abuse@other.example"), "isp.example", "s", NOTHING, false, REPORT_AUTH_PASS, false,
	    "" },
	{ FROM("abuse@notisp.example"), "isp.example", "s", NOTHING, false, REPORT_AUTH_PASS, false,
	    "" },
	{ FROM("abuse@example"), "isp.example", "s", NOTHING, false, REPORT_AUTH_PASS, false, "" },
	{ FROM("a@isp.example") "From: b@isp.example\r\n", "isp.example", "s", NOTHING, false,
	    REPORT_AUTH_PASS, false, "" },
	{ FROM("abuse@isp.example"), "isp.example", "s", LF_ONLY, false, REPORT_AUTH_PASS, true,
	    "" },
	{ FROM("abuse@isp.example"), "isp.example", "s", BODY_CHANGED, false, REPORT_AUTH_FAIL,
	    true, "the body was changed" },
	{ FROM("abuse@isp.example"), "isp.example", "s", SUBJECT_CHANGED, false, REPORT_AUTH_FAIL,
	    true, NULL },
	{ FROM("abuse@isp.example"), "isp.example", "s", NOTHING, true, REPORT_AUTH_PASS, true,
	    "" },
	{ FROM("abuse@isp.example"), "isp.example", "s", BODY_LONGER, true, REPORT_AUTH_FAIL, true,
	    "it covers only a part of the body" },
	{ FROM("abuse@isp.example"), "isp.example", "nokey", NOTHING, false, REPORT_AUTH_FAIL, true,
	    NULL },
	{ FROM("abuse@isp.example"), "isp.example", "revoked", NOTHING, false, REPORT_AUTH_FAIL,
	    true, NULL },
	{ FROM("abuse@isp.example"), "isp.example", "s", UNSIGNED, false, REPORT_AUTH_NONE, false,
	    "" },
	{ "Subject: nobody\r\n", "isp.example", "s", UNSIGNED, false, REPORT_AUTH_NONE, false, "" },
};

static void
make(size_t i, struct buf *out)
{
	char mail[600];
	struct buf all;
	const char *subject = rows[i].change == SUBJECT_CHANGED ? "other" : NULL;

	snprintf(mail, sizeof(mail), "%s%s", rows[i].from, BODY);
	buf_init(&all, BUF_NO_LIMIT);
	if (rows[i].change != UNSIGNED)
		sign(slice_str(mail), rows[i].domain, rows[i].selector, rows[i].limit, &all);
	buf_adds(&all, mail);
	if (rows[i].change == BODY_CHANGED)
		all.p[all.len - 4] = '!';
	if (rows[i].change == BODY_LONGER)
		buf_adds(&all, "and more\r\n");
	if (subject != NULL)
		memcpy(strstr(all.p, "Subject: report") + 9, "other!", 6);
	for (size_t k = 0; k < all.len; k++)
		if (rows[i].change != LF_ONLY || all.p[k] != '\r')
			buf_addc(out, all.p[k]);
	buf_free(&all);
}

static struct report_auth *
open_with(const char *inbound)
{
	struct report_auth *ra;
	struct conf *c;
	struct buf text;
	struct err e;

	buf_init(&text, BUF_NO_LIMIT);
	buf_printf(&text, "<inbound>\n%s\n</inbound>\n", inbound);
	c = conf_parse("t", buf_slice(&text), &e);
	if (!ok(c != NULL, "configuration"))
		exit(1);
	ra = report_auth_open(c, &e);
	if (!ok(ra != NULL, "open"))
		exit(1);
	conf_free(c);
	buf_free(&text);
	return ra;
}

static void
check_row(struct report_auth *ra, size_t i, bool thread)
{
	struct report_auth_verdict v;
	struct buf mail;
	struct pollfd pfd = { report_auth_fd(ra), POLLIN, 0 };

	buf_init(&mail, BUF_NO_LIMIT);
	make(i, &mail);
	if (thread) {
		report_auth_begin(ra, buf_slice(&mail));
		while (!report_auth_take(ra, &v))
			poll(&pfd, 1, -1);
		ok(!report_auth_take(ra, &v), "a verdict is taken once");
	} else {
		report_auth_check(ra, buf_slice(&mail), &v);
	}
	ok(v.result == rows[i].result && v.aligned == rows[i].aligned &&
		(rows[i].why == NULL ? v.why[0] != '\0' : strcmp(v.why, rows[i].why) == 0),
	    "%zu%s: %s%s d=%s s=%s %s", i, thread ? " in the thread" : "",
	    report_auth_name(v.result), v.aligned ? " aligned" : "", v.domain, v.selector, v.why);
	ok(strcmp(v.domain, v.result == REPORT_AUTH_NONE ? "" : rows[i].domain) == 0, "its domain");
	ok(report_auth_good(&v) == (v.result == REPORT_AUTH_PASS && rows[i].aligned),
	    "good or not");
	buf_free(&mail);
}

/* Many signatures: the one of the From domain is found, and no more than a few are looked at. */
static void
many(struct report_auth *ra)
{
	static const char mail[] = FROM("abuse@isp.example") BODY;
	struct report_auth_verdict v;
	struct buf all;

	buf_init(&all, BUF_NO_LIMIT);
	for (int i = 0; i < 2000; i++)
		buf_adds(&all, "DKIM-Signature: v=1; a=rsa-sha256; d=junk.example; s=s; h=From;\r\n"
			       "\tbh=AAAA; b=BBBB\r\n");
	sign(slice_str(mail), "other.example", "s", false, &all);
	sign(slice_str(mail), "isp.example", "s", false, &all);
	buf_adds(&all, mail);
	report_auth_check(ra, buf_slice(&all), &v);
	ok(v.result == REPORT_AUTH_PASS && v.aligned && strcmp(v.domain, "isp.example") == 0,
	    "the sender's own signature counts, behind 2000 others");
	buf_clear(&all);
	sign(slice_str(mail), "other.example", "s", false, &all);
	buf_adds(&all, "DKIM-Signature: v=1; a=rsa-sha256; d=isp.example; s=s; h=From;\r\n"
		       "\tbh=AAAA; b=BBBB\r\n");
	buf_adds(&all, mail);
	report_auth_check(ra, buf_slice(&all), &v);
	ok(v.result == REPORT_AUTH_PASS && !v.aligned && strcmp(v.domain, "other.example") == 0,
	    "one that is valid beside one that is not");
	for (size_t n = 0; n < all.len; n += 7)
		report_auth_check(ra, slice_head(buf_slice(&all), n), &v);
	ok(true, "cut anywhere");
	buf_clear(&all);
	buf_adds(&all,
	    "DKIM-Signature: \r\nDKIM-Signature: d=;;=;d=isp.example\r\nDKIM-Signature:;\r\n");
	buf_adds(&all, mail);
	report_auth_check(ra, buf_slice(&all), &v);
	ok(v.result == REPORT_AUTH_FAIL && v.why[0] != '\0', "signatures that are none: %s", v.why);
	buf_free(&all);
}

/* ---- a name server ---- */

static int server = -1;
static atomic_uint queries;
static atomic_bool silent;
static atomic_bool nxdomain;

/* The question back, and one TXT record: the key. */
static void *
serve(void *unused)
{
	unsigned char p[1500];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(server, p, 512, 0, (struct sockaddr *)&from, &len)) > 12) {
		size_t end = 12, text = record.len;
		static unsigned char last[2];

		/* The same one again: it was asked before we came to answer. */
		if (queries == 0 || memcmp(last, p, sizeof(last)) != 0)
			queries++;
		memcpy(last, p, sizeof(last));
		while (p[end] != 0)
			end += p[end] + 1u;
		end += 5;
		p[2] = 0x81, p[3] = nxdomain ? 0x83 : 0x80;
		p[6] = 0, p[7] = nxdomain ? 0 : 1;
		memset(p + 8, 0, 4);
		if (!nxdomain) {
			static const unsigned char rr[] = { 0xc0, 12, 0, 16, 0, 1, 0, 0, 1, 0 };

			memcpy(p + end, rr, sizeof(rr));
			end += sizeof(rr);
			p[end++] = (unsigned char)((text + 1 + text / 256) >> 8);
			p[end++] = (unsigned char)((text + 1 + text / 256) & 255);
			for (size_t at = 0; at < text; at += 255) {
				size_t part = text - at < 255 ? text - at : 255;

				p[end++] = (unsigned char)part;
				memcpy(p + end, record.p + at, part);
				end += part;
			}
		}
		if (!silent)
			sendto(server, p, end, 0, (struct sockaddr *)&from, len);
		len = sizeof(from);
	}
	return unused;
}

static void
by_network(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct report_auth_verdict v;
	struct report_auth *ra;
	struct buf mail;
	char inbound[64];
	pthread_t thread;
	unsigned before;

	server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(server, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(server, (struct sockaddr *)&a, &len) < 0 ||
	    pthread_create(&thread, NULL, serve, NULL) != 0) {
		ok(false, "a name server");
		return;
	}
	snprintf(inbound, sizeof(inbound), "dns-resolver 127.0.0.1:%u", ntohs(a.sin_port));
	ra = open_with(inbound);
	check_row(ra, 0, false);
	ok(queries == 1, "one query");
	check_row(ra, 0, false);
	ok(queries == 1, "what was said is remembered");
	nxdomain = true;
	buf_init(&mail, BUF_NO_LIMIT);
	make(3, &mail);
	for (int i = 0; i < 2; i++) {
		report_auth_check(ra, buf_slice(&mail), &v);
		ok(v.result == REPORT_AUTH_FAIL, "there is no key: %s", v.why);
	}
	ok(queries == 2, "that there is none is remembered too");
	nxdomain = false;
	silent = true;
	for (int i = 0; i < 3; i++) {
		char domain[40];

		snprintf(domain, sizeof(domain), "d%d.isp.example", i);
		buf_clear(&mail);
		sign(SLICE_LIT(FROM("abuse@isp.example") BODY), domain, "s", false, &mail);
		buf_adds(&mail, FROM("abuse@isp.example") BODY);
		report_auth_check(ra, buf_slice(&mail), &v);
		ok(v.result == REPORT_AUTH_TEMPERROR, "silence: %s", v.why);
	}
	before = queries;
	silent = false;
	buf_clear(&mail);
	sign(SLICE_LIT(FROM("abuse@isp.example") BODY), "d9.isp.example", "s", false, &mail);
	buf_adds(&mail, FROM("abuse@isp.example") BODY);
	report_auth_check(ra, buf_slice(&mail), &v);
	ok(v.result == REPORT_AUTH_TEMPERROR && queries == before,
	    "who is silent again and again is left alone");
	check_row(ra, 0, false);
	buf_free(&mail);
	report_auth_close(ra);
	shutdown(server, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(server);
}

int
main(void)
{
	char path[] = "/tmp/t-report-auth.XXXXXX", inbound[100];
	static const char *const domains[] = { "isp.example", "mail.isp.example", "other.example" };
	int fd = mkstemp(path);
	struct report_auth *ra;
	struct buf pem;
	struct err e;
	FILE *f = fdopen(fd, "w");

	buf_init(&pem, BUF_NO_LIMIT);
	buf_init(&record, BUF_NO_LIMIT);
	if (!ok(f != NULL && dkim_key_generate(DKIM_RSA_SHA256, 2048, &pem, &e) == 0 &&
		    (key = dkim_key_parse("t", buf_slice(&pem), &e)) != NULL,
		"a key"))
		return 1;
	dkim_key_record(key, &record);
	for (size_t i = 0; i < COUNT(domains); i++)
		fprintf(f, "s._domainkey.%s %s\n", domains[i], buf_str(&record));
	fprintf(f, "revoked._domainkey.isp.example v=DKIM1; p=\n");
	fclose(f);
	snprintf(inbound, sizeof(inbound), "dns-file %s", path);
	ra = open_with(inbound);
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(ra, i, false);
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(ra, i, true);
	many(ra);
	report_auth_close(ra);
	by_network();
	unlink(path);
	dkim_key_close(key);
	buf_free(&pem);
	buf_free(&record);
	return tap_done();
}
