/*
 * sink_http.c - sinks that are asked by POST: the ingest API, and whatever answers 2xx.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "uploader/sink.h"

#define MIN_BYTES ((size_t)65536) /* what is asked of an endpoint in one piece at least */

static void
add_encoded(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-._~", c) != NULL)
			buf_addc(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* {batch}: of the same lines always the same, of others another. */
static void
add_variable(struct buf *out, const struct slot *t, struct slice name)
{
	struct slice segment = slice_head(slice_str(t->seg.name), strlen(t->seg.name) - 5);
	time_t now = (time_t)clock_wall_s();
	struct tm tm;

	if (slice_eq(name, SLICE_LIT("batch"))) {
		buf_printf(out, "%.*s-%llu-%llu", SLICE_FMT(segment),
		    (unsigned long long)t->batch.offset, (unsigned long long)t->batch.end);
	} else if (slice_eq(name, SLICE_LIT("segment"))) {
		buf_add(out, segment);
	} else if (slice_eq(name, SLICE_LIT("node"))) {
		add_encoded(out, t->sink->all->node);
	} else {
		gmtime_r(&now, &tm);
		buf_printf(out, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	}
}

static void
make_url(struct buf *out, const struct slot *t)
{
	struct slice rest = slice_str(t->sink->conf.url);

	while (rest.len > 0) {
		size_t open = slice_find(rest, '{'), end = slice_find(rest, '}');

		buf_add(out, slice_head(rest, open));
		rest = slice_skip(rest, open);
		if (rest.len == 0 || end < open)
			break;
		add_variable(out, t, slice_head(slice_skip(rest, 1), end - open - 1));
		rest = slice_skip(rest, end - open + 1);
	}
	buf_add(out, rest);
}

/* Say why a batch is kept, what the operator should do, and when the next try is. */
static void
log_kept(const struct slot *t, const char *why, const struct answer *a, int64_t wait_ms)
{
	log_line(a->verdict == ANSWER_LATER ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR,
	    "%s kept: %s: %s; next try in %lld s", t->seg.name, buf_str(&t->host), why,
	    (long long)(wait_ms + 999) / 1000);
}

/* Several sinks may be at one host: all but upload-url say which they are. */
static void
name_place(struct slot *t, const char *url)
{
	buf_clear(&t->host);
	if (strcmp(t->sink->name, SINKS_SIGNALS) != 0)
		buf_printf(&t->host, "sink %s at ", t->sink->name);
	upload_host(url, &t->host);
}

bool
sink_http_send(struct slot *t)
{
	const struct conf_sink *c = &t->sink->conf;
	struct upload_request r = {
		.api_key = c->api_key,
		.ca_file = c->ca_file,
		.headers = c->headers.v,
		.n_headers = c->headers.n,
		.gzip = c->gzip,
		.body = buf_slice(&t->batch.body),
		.owner = t,
	};
	struct buf url;
	struct err e;
	int rc;

	buf_init(&url, BUF_NO_LIMIT);
	make_url(&url, t);
	r.url = buf_str(&url);
	name_place(t, r.url);
	buf_clear(&t->secret);
	buf_adds(&t->secret, c->api_key != NULL ? c->api_key : "");
	t->began_ms = clock_mono_ms();
	rc = upload_start(t->sink->all->env.up, &r, &e);
	buf_free(&url);
	if (rc < 0) {
		struct answer a = { .verdict = ANSWER_SLOW };

		log_kept(t, e.text, &a, sink_failed(t->sink, t, &backoff_slow, 0));
		return false;
	}
	t->stage = SLOT_SENDING;
	return true;
}

/* The directive of <signals> is upload-url, that of <sink> is url. */
static void
add_advice(struct buf *out, const struct slot *t, const char *advice)
{
	static const char of_signals[] = "upload-url";
	const char *at =
	    strcmp(t->sink->name, SINKS_SIGNALS) != 0 ? strstr(advice, of_signals) : NULL;

	if (at != NULL)
		buf_printf(
		    out, " (%.*surl%s)", (int)(at - advice), advice, at + sizeof(of_signals) - 1);
	else
		buf_printf(out, " (%s)", advice);
}

/* "HTTP 400 "what it said" (what to do)" */
static void
describe(
    struct buf *out, const struct slot *t, const struct upload_result *r, const struct answer *a)
{
	if (r->status == 0)
		buf_adds(out, r->error.text);
	else
		buf_printf(out, "HTTP %ld", r->status);
	if (a->quote[0] != '\0')
		buf_printf(out, " \"%s\"", a->quote);
	if (a->advice != NULL)
		add_advice(out, t, a->advice);
}

/* `why` is what describe() made of it, or what there is to say of a success. */
static void
note_try(struct slot *t, const char *why, bool good)
{
	struct ledger_try *y = &t->out.tried;

	snprintf(t->out.status, sizeof(t->out.status), "%.*s", LEDGER_STATUS_MAX - 1, why);
	y->status = t->out.status;
	y->at_s = clock_wall_s();
	y->good = good;
	y->sent = good;
	y->retried = !good;
	y->bytes = good ? t->batch.body.len : 0;
}

/* Not a failure of ours if the ledger can't be told of a try that came to nothing. */
static void
tell_failed(struct slot *t, const char *why)
{
	note_try(t, why, false);
	ledger_tried(t->sink->all->env.ledger, t->sink->id, &t->out.tried, NULL);
	t->out.tried = (struct ledger_try){ 0 };
}

static void
taken(struct slot *t, const char *why, const struct answer *a)
{
	sink_works(t->sink, buf_str(&t->host));
	note_try(t, why, true);
	t->out.fates[LEDGER_UPLOADED] = t->batch.events;
	memcpy(t->out.id, a->id, sizeof(t->out.id));
	t->stage = SLOT_SETTLING;
}

/* What the endpoint takes at once is remembered, for other segments too. */
static void
learn_size(struct slot *t)
{
	struct sink *k = t->sink;
	uint64_t half = (t->batch.end - t->batch.offset) / 2;

	t->small = true;
	if (half >= MIN_BYTES && half < k->max_bytes)
		k->max_bytes = (size_t)half;
}

/*
 * Something in it is not to its liking: halves, until it is one line or no use. Sizes
 * are found out once; lines are looked for so many times.
 */
static void
refused(struct slot *t, const struct answer *a, const char *why)
{
	bool too_large = a->verdict == ANSWER_TOO_LARGE;

	tell_failed(t, why);
	if (t->batch.events > 1 && (too_large || t->refusals < SINK_REFUSALS_MAX)) {
		if (t->refusals == 0 && !t->small)
			log_warn(
			    "%s: %s: %s: it is sent in parts", t->seg.name, buf_str(&t->host), why);
		t->max_events = t->batch.events / 2;
		if (too_large)
			learn_size(t);
		else
			t->refusals++;
		slot_prepare(t);
		return;
	}
	snprintf(t->out.reason, sizeof(t->out.reason), "%.*s", (int)sizeof(t->out.reason) - 1, why);
	t->out.refused = true;
	t->out.fates[LEDGER_REJECTED] += t->batch.events;
	t->stage = SLOT_SETTLING;
}

/* It stays as it is: the trouble is the sink's, and holds up all of its batches. */
static void
not_taken(struct slot *t, const struct upload_result *r, const struct answer *a, const char *why)
{
	int64_t wait = sink_failed(t->sink, t,
	    a->verdict == ANSWER_SLOW ? &backoff_slow : &backoff_normal, r->retry_after_s);

	tell_failed(t, why);
	log_kept(t, why, a, wait);
	t->stage = SLOT_READY;
}

void
sink_http_answered(struct slot *t, const struct upload_result *r)
{
	struct answer a = { .verdict = ANSWER_LATER };
	struct buf why;

	if (t->sink->leaving) {
		slot_free_up(t);
		return;
	}
	if (r->status != 0)
		answer_read(r->status, buf_slice(&r->body), buf_slice(&t->secret),
		    t->sink->conf.type == CONF_SINK_SPARKPOST, &a);
	else if (r->tls)
		a.advice = "check ca-file, the clock, and the name in upload-url";
	buf_init(&why, BUF_NO_LIMIT); /* its parts are bounded */
	describe(&why, t, r, &a);
	switch (a.verdict) {
	case ANSWER_DONE:
		taken(t, buf_str(&why), &a);
		break;
	case ANSWER_REFUSED:
	case ANSWER_TOO_LARGE:
		refused(t, &a, buf_str(&why));
		break;
	case ANSWER_LATER:
	case ANSWER_SLOW:
		not_taken(t, r, &a, buf_str(&why));
		break;
	}
	buf_free(&why);
}
