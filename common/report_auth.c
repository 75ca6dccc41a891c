#include "common/report_auth.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <unistd.h>

#include <opendkim/dkim.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/dns_txt.h"
#include "common/header.h"
#include "common/xalloc.h"

#define CACHE_SIZE  256
#define CACHE_MS    300000
#define SILENT_MAX  3 /* mails in a row that the name server kept waiting */
#define HEADERS_MAX ((size_t)1 << 20)
#define BODY_CHUNK  65536

struct key { /* what DNS said */
	char *name;
	char *text; /* NULL: there is none */
	int64_t until_ms;
};

struct report_auth {
	DKIM_LIB *lib;
	struct dns_source dns;
	char *dns_file;
	struct key cache[CACHE_SIZE];
	size_t next; /* of the cache, to be replaced */
	unsigned silent;
	int64_t paused_ms; /* until then nobody is asked */

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	bool stop, pending, ready; /* under lock */
	struct slice mail;
	struct report_auth_verdict verdict;
	int event;
};

struct mail_check { /* one mail's verification */
	struct report_auth *ra;
	struct buf from_domain;
	bool one_from;
	int64_t deadline_ms;
	bool not_now; /* a key could not be had */
	bool silent;
};

/* libopendkim takes bytes that it does not write to as `unsigned char *`. */
static unsigned char *
bytes(const char *p)
{
	return (unsigned char *)(uintptr_t)p;
}

/* ---- keys ---- */

static struct key *
cached(struct report_auth *ra, const char *name, int64_t now)
{
	for (size_t i = 0; i < CACHE_SIZE; i++)
		if (ra->cache[i].name != NULL && ra->cache[i].until_ms > now &&
		    strcasecmp(ra->cache[i].name, name) == 0)
			return &ra->cache[i];
	return NULL;
}

static struct key *
remember(struct report_auth *ra, const char *name, const char *text)
{
	struct key *k = &ra->cache[ra->next];

	ra->next = (ra->next + 1) % CACHE_SIZE;
	free(k->name);
	free(k->text);
	k->name = xstrdup(name);
	k->text = text != NULL ? xstrdup(text) : NULL;
	k->until_ms = clock_mono_ms() + CACHE_MS;
	return k;
}

/* Of several records the first that holds a key. */
static const char *
key_of(const struct dns_txt *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const char *text = buf_str(&t->text[i]);

		if (strstr(text, "p=") != NULL)
			return text;
	}
	return NULL;
}

static struct key *
ask(struct mail_check *m, const char *name)
{
	struct report_auth *ra = m->ra;
	struct dns_txt t;
	struct key *k = NULL;
	int rc = dns_txt_get(&ra->dns, name, &t, NULL);

	if (rc >= 0)
		k = remember(ra, name, rc > 0 ? key_of(&t) : NULL);
	else
		m->silent = true;
	dns_txt_free(&t);
	return k;
}

static DKIM_CBSTAT
look_up(DKIM *d, DKIM_SIGINFO *sig, unsigned char *out, size_t size)
{
	struct mail_check *m = dkim_get_user_context(d);
	int64_t now = clock_mono_ms();
	char name[512];
	struct key *k;
	int n = snprintf(name, sizeof(name), "%s._domainkey.%s",
	    (const char *)dkim_sig_getselector(sig), (const char *)dkim_sig_getdomain(sig));

	if (n < 0 || (size_t)n >= sizeof(name))
		return DKIM_CBSTAT_NOTFOUND;
	k = cached(m->ra, name, now);
	if (k == NULL && now < m->deadline_ms && now >= m->ra->paused_ms)
		k = ask(m, name);
	if (k == NULL) {
		m->not_now = true;
		return DKIM_CBSTAT_TRYAGAIN;
	}
	if (k->text == NULL || strlen(k->text) >= size)
		return DKIM_CBSTAT_NOTFOUND;
	memcpy(out, k->text, strlen(k->text) + 1);
	return DKIM_CBSTAT_CONTINUE;
}

/* ---- one mail ---- */

static bool
ends_with_label(struct slice name, struct slice end)
{
	return name.len > end.len && name.p[name.len - end.len - 1] == '.' &&
	       slice_eqi(slice_skip(name, name.len - end.len), end);
}

static bool
has_dot(struct slice name)
{
	return slice_find(name, '.') < name.len;
}

static bool
is_aligned(const struct mail_check *m, struct slice d)
{
	struct slice from = buf_slice(&m->from_domain);

	if (!m->one_from || from.len == 0 || d.len == 0)
		return false;
	return slice_eqi(d, from) || (has_dot(d) && ends_with_label(from, d)) ||
	       (has_dot(from) && ends_with_label(d, from));
}

/* The d= of a DKIM-Signature; libopendkim reads it again, with more care. */
static struct slice
domain_of(struct slice value)
{
	while (value.len > 0) {
		struct slice tag = slice_trim(slice_cut(&value, ';'));

		if (tag.len > 2 && (tag.p[0] == 'd' || tag.p[0] == 'D') &&
		    slice_find(tag, '=') < tag.len) {
			struct slice name = slice_trim(slice_cut(&tag, '='));

			if (name.len == 1)
				return slice_trim(tag);
		}
	}
	return value;
}

static void
read_from(struct mail_check *m, struct slice mail)
{
	struct slice rest = slice_head(mail, HEADERS_MAX);
	struct header h;
	struct buf addr;
	unsigned n = 0;
	int rc;

	buf_init(&addr, 1024);
	while ((rc = header_next(&rest, &h)) != 0)
		if (rc > 0 && slice_eqi(h.name, SLICE_LIT("From")) && ++n == 1 &&
		    address_first(h.value, &addr, NULL))
			buf_add(&m->from_domain, address_split(buf_slice(&addr)).domain);
	m->one_from = n == 1;
	buf_free(&addr);
}

/* Which signatures are looked at: at most so many, aligned ones first. */
static size_t
choose(
    const struct mail_check *m, struct slice mail, const char *chosen[REPORT_AUTH_MAX_SIGNATURES])
{
	size_t n = 0;

	for (int pass = 0; pass < 2; pass++) {
		struct slice rest = slice_head(mail, HEADERS_MAX);
		struct header h;
		int rc;

		while (n < REPORT_AUTH_MAX_SIGNATURES && (rc = header_next(&rest, &h)) != 0)
			if (rc > 0 && slice_eqi(h.name, SLICE_LIT("DKIM-Signature")) &&
			    is_aligned(m, domain_of(h.value)) == (pass == 0))
				chosen[n++] = h.whole.p;
	}
	return n;
}

static bool
is_chosen(const char *p, const char *const *chosen, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (chosen[i] == p)
			return true;
	return false;
}

/* libopendkim wants CRLF in folds. */
static DKIM_STAT
feed_field(DKIM *d, struct slice whole, struct buf *b)
{
	buf_clear(b);
	for (size_t i = 0; i < whole.len; i++) {
		if (whole.p[i] == '\n' && (i == 0 || whole.p[i - 1] != '\r'))
			buf_addc(b, '\r');
		buf_addc(b, whole.p[i]);
	}
	return dkim_header(d, bytes(b->p), b->len);
}

static void
feed(DKIM *d, struct slice mail, const char *const *chosen, size_t n)
{
	struct slice body, rest = mail;
	struct header h;
	struct buf field;
	int rc;

	buf_init(&field, BUF_NO_LIMIT);
	while ((rc = header_next(&rest, &h)) != 0)
		if (rc > 0 && (!slice_eqi(h.name, SLICE_LIT("DKIM-Signature")) ||
				  is_chosen(h.whole.p, chosen, n)))
			(void)feed_field(d, h.whole, &field);
	buf_free(&field);
	if (dkim_eoh(d) != DKIM_STAT_OK)
		return;
	for (body = rest; body.len > 0; body = slice_skip(body, BODY_CHUNK))
		if (dkim_body(d, bytes(body.p), body.len < BODY_CHUNK ? body.len : BODY_CHUNK) !=
		    DKIM_STAT_OK)
			return;
	dkim_eom(d, NULL);
}

/* NULL: it is valid, over the whole body, by means that still count. */
static const char *
fault_of(DKIM *d, DKIM_SIGINFO *sig)
{
	ssize_t all = 0, canon = 0, length = -1;
	dkim_alg_t alg = DKIM_SIGN_UNKNOWN;

	dkim_sig_process(d, sig);
	if ((dkim_sig_getflags(sig) & DKIM_SIGFLAG_PASSED) == 0)
		return dkim_sig_geterrorstr(dkim_sig_geterror(sig));
	if (dkim_sig_getbh(sig) != DKIM_SIGBH_MATCH)
		return "the body was changed";
	if (dkim_sig_getsignalg(sig, &alg) == DKIM_STAT_OK && alg == DKIM_SIGN_RSASHA1)
		return "rsa-sha1 counts no longer (RFC 8301)";
	if (dkim_sig_getcanonlen(d, sig, &all, &canon, &length) == DKIM_STAT_OK && length >= 0 &&
	    canon < all)
		return "it covers only a part of the body";
	return NULL;
}

static void
decide(struct mail_check *m, DKIM *d, struct report_auth_verdict *out)
{
	DKIM_SIGINFO **sigs = NULL;
	int n = 0;

	if (dkim_getsiglist(d, &sigs, &n) != DKIM_STAT_OK)
		n = 0;
	for (int i = 0; i < n; i++) {
		const char *domain = (const char *)dkim_sig_getdomain(sigs[i]);
		const char *selector = (const char *)dkim_sig_getselector(sigs[i]);
		bool aligned = domain != NULL && is_aligned(m, slice_str(domain));
		const char *fault = fault_of(d, sigs[i]);

		/* The best so far stays: aligned before others, the first of equals. */
		if (fault != NULL ? out->domain[0] != '\0'
				  : out->result == REPORT_AUTH_PASS && (out->aligned || !aligned))
			continue;
		out->result = fault == NULL ? REPORT_AUTH_PASS : REPORT_AUTH_FAIL;
		out->aligned = aligned;
		snprintf(out->domain, sizeof(out->domain), "%s", domain != NULL ? domain : "");
		snprintf(
		    out->selector, sizeof(out->selector), "%s", selector != NULL ? selector : "");
		snprintf(out->why, sizeof(out->why), "%s", fault != NULL ? fault : "");
	}
	if (out->result != REPORT_AUTH_PASS && m->not_now) {
		out->result = REPORT_AUTH_TEMPERROR;
		snprintf(out->why, sizeof(out->why), "no answer from the name server");
	}
}

/* Who keeps us waiting again and again is left alone for a while. */
static void
count_silence(struct mail_check *m)
{
	struct report_auth *ra = m->ra;

	if (!m->silent) {
		if (!m->not_now)
			ra->silent = 0;
		return;
	}
	if (++ra->silent >= SILENT_MAX) {
		ra->paused_ms = clock_mono_ms() + REPORT_AUTH_PAUSE_MS;
		ra->silent = SILENT_MAX - 1;
	}
}

static void
clean(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
}

void
report_auth_check(struct report_auth *ra, struct slice mail, struct report_auth_verdict *out)
{
	struct mail_check m = { .ra = ra, .deadline_ms = clock_mono_ms() + REPORT_AUTH_MAX_MS };
	const char *chosen[REPORT_AUTH_MAX_SIGNATURES];
	DKIM_STAT st;
	DKIM *d;
	size_t n;

	*out = (struct report_auth_verdict){ .result = REPORT_AUTH_NONE };
	buf_init(&m.from_domain, ADDRESS_DOMAIN_MAX);
	read_from(&m, mail);
	n = choose(&m, mail, chosen);
	d = n > 0 ? dkim_verify(ra->lib, bytes("report"), NULL, &st) : NULL;
	if (d != NULL) {
		out->result = REPORT_AUTH_FAIL;
		dkim_set_user_context(d, &m);
		feed(d, mail, chosen, n);
		decide(&m, d, out);
		dkim_free(d);
		if (out->result == REPORT_AUTH_FAIL && out->why[0] == '\0')
			snprintf(out->why, sizeof(out->why), "the signature can't be read");
		count_silence(&m);
	}
	clean(out->domain);
	clean(out->selector);
	clean(out->why);
	buf_free(&m.from_domain);
}

/* ---- in a thread of its own ---- */

static void *
work(void *arg)
{
	struct report_auth *ra = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&ra->lock);
	for (;;) {
		struct report_auth_verdict v;
		struct slice mail;

		while (!ra->pending && !ra->stop)
			pthread_cond_wait(&ra->wanted, &ra->lock);
		if (ra->stop)
			break;
		mail = ra->mail;
		pthread_mutex_unlock(&ra->lock);
		report_auth_check(ra, mail, &v);
		pthread_mutex_lock(&ra->lock);
		ra->verdict = v;
		ra->pending = false;
		ra->ready = true;
		if (write(ra->event, &one, sizeof(one)) < 0)
			continue; /* it is readable already */
	}
	pthread_mutex_unlock(&ra->lock);
	return NULL;
}

static bool
start_thread(struct report_auth *ra)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ra->has_thread = pthread_create(&ra->thread, NULL, work, ra) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ra->has_thread;
}

void
report_auth_begin(struct report_auth *ra, struct slice mail)
{
	const uint64_t one = 1;

	if (!ra->has_thread && !start_thread(ra)) {
		ra->verdict = (struct report_auth_verdict){ .result = REPORT_AUTH_TEMPERROR,
			.why = "no thread can be started" };
		ra->ready = true;
		if (write(ra->event, &one, sizeof(one)) < 0)
			return;
		return;
	}
	pthread_mutex_lock(&ra->lock);
	ra->mail = mail;
	ra->ready = false;
	ra->pending = true;
	pthread_cond_signal(&ra->wanted);
	pthread_mutex_unlock(&ra->lock);
}

bool
report_auth_take(struct report_auth *ra, struct report_auth_verdict *out)
{
	uint64_t n;
	bool ready;

	pthread_mutex_lock(&ra->lock);
	ready = ra->ready;
	if (ready) {
		*out = ra->verdict;
		ra->ready = false;
		while (read(ra->event, &n, sizeof(n)) > 0)
			;
	}
	pthread_mutex_unlock(&ra->lock);
	return ready;
}

int
report_auth_fd(const struct report_auth *ra)
{
	return ra->event;
}

/* ---- opening ---- */

static int
open_library(struct report_auth *ra, struct err *e)
{
	unsigned flags = DKIM_LIBFLAGS_FIXCRLF;

	ra->lib = dkim_init(NULL, NULL);
	if (ra->lib == NULL ||
	    dkim_options(ra->lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags)) !=
		DKIM_STAT_OK ||
	    dkim_set_key_lookup(ra->lib, look_up) != DKIM_STAT_OK)
		return err_set(e, "libopendkim can't be set up");
	return 0;
}

struct report_auth *
report_auth_open(const struct conf *conf, struct err *e)
{
	struct report_auth *ra = xcalloc(1, sizeof(*ra));

	ra->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_init(&ra->lock, NULL);
	pthread_cond_init(&ra->wanted, NULL);
	if (ra->event < 0) {
		err_text(e, errno, "eventfd");
		report_auth_close(ra);
		return NULL;
	}
	if (conf != NULL && conf->inbound.dns_resolver != NULL &&
	    dns_source_resolver(conf->inbound.dns_resolver, &ra->dns, e) < 0) {
		report_auth_close(ra);
		return NULL;
	}
	if (conf != NULL && conf->inbound.dns_file != NULL)
		ra->dns.file = ra->dns_file = xstrdup(conf->inbound.dns_file);
	ra->dns.brief = true;
	if (open_library(ra, e) < 0) {
		report_auth_close(ra);
		return NULL;
	}
	return ra;
}

void
report_auth_close(struct report_auth *ra)
{
	if (ra == NULL)
		return;
	if (ra->has_thread) {
		pthread_mutex_lock(&ra->lock);
		ra->stop = true;
		pthread_cond_signal(&ra->wanted);
		pthread_mutex_unlock(&ra->lock);
		pthread_join(ra->thread, NULL);
	}
	pthread_mutex_destroy(&ra->lock);
	pthread_cond_destroy(&ra->wanted);
	for (size_t i = 0; i < CACHE_SIZE; i++) {
		free(ra->cache[i].name);
		free(ra->cache[i].text);
	}
	if (ra->lib != NULL)
		dkim_close(ra->lib);
	if (ra->event >= 0)
		close(ra->event);
	free(ra->dns_file);
	free(ra);
}

const char *
report_auth_name(enum report_auth_result result)
{
	static const char *const names[] = {
		[REPORT_AUTH_NONE] = "none",
		[REPORT_AUTH_PASS] = "pass",
		[REPORT_AUTH_FAIL] = "fail",
		[REPORT_AUTH_TEMPERROR] = "temperror",
	};

	return names[result];
}
