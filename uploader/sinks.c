#include "uploader/sinks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "uploader/sink.h"

#define SETTLE_RETRY_MS 2000
#define STALE_MS        60000 /* a batch that waited so long is made anew: for events' age */

static const struct {
	int64_t age_s;
	const char *text;
} ages[] = {
	{ 6 * 3600, "6" },
	{ 18 * 3600, "18" },
	{ 23 * 3600, "23" },
};

uint32_t
sink_random(void)
{
	uint32_t r;

	hash_random(&r, sizeof(r));
	return r;
}

/* ---- which there are ---- */

void
sinks_init(struct sinks *s, const struct sinks_env *env)
{
	*s = (struct sinks){ .env = *env };
}

static void
slot_free(struct slot *t)
{
	batch_free(&t->batch);
	buf_free(&t->host);
	buf_free(&t->secret);
	buf_free(&t->archive.dir);
	buf_free(&t->archive.sink);
	free(t);
}

static void
sink_free(struct sink *k)
{
	for (size_t i = 0; i < k->n_slots; i++)
		slot_free(k->slots[i]);
	free(k);
}

void
sinks_free(struct sinks *s)
{
	while (s->list != NULL) {
		struct sink *k = s->list;

		s->list = k->next;
		sink_free(k);
	}
}

static struct sink *
find(const struct sinks *s, const char *name)
{
	struct sink *k = s->list;

	while (k != NULL && strcmp(k->name, name) != 0)
		k = k->next;
	return k;
}

/* upload-url as a sink. False: there is none. */
static bool
signals_sink(const struct conf_signals *c, struct conf_sink *out)
{
	*out = (struct conf_sink){
		.name = SINKS_SIGNALS,
		.at = c->at,
		.type = CONF_SINK_SPARKPOST,
		.required = true,
		.gzip = true,
		.max_event_age_s = c->max_event_age_s,
		.url = c->upload_url,
		.api_key = c->api_key,
		.ca_file = c->ca_file,
		.uploads = c->uploads,
		.confirm_batches = c->confirm_batches,
		.confirm_window_s = c->confirm_window_s,
	};
	return c->given && c->api_key != NULL && c->upload_url != NULL;
}

/* The sinks of the configuration, signals first. The array is the caller's. */
static struct conf_sink *
list_sinks(const struct conf *conf, size_t *n)
{
	struct conf_sink *v = xcalloc(conf->n_sinks + 1, sizeof(*v));

	*n = signals_sink(&conf->signals, &v[0]);
	for (size_t i = 0; i < conf->n_sinks; i++)
		v[(*n)++] = conf->sinks[i];
	return v;
}

static bool
is_listed(const char *name, const struct conf_sink *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			return true;
	return false;
}

/* Where there is no sink at all nothing goes, and nobody is given up. */
static bool
retires(const struct ledger_counts *known, const struct conf_sink *v, size_t n)
{
	return n > 0 && !known->retired && !is_listed(known->name, v, n);
}

/* Into the ledger, in one transaction; ids[] are the sinks' numbers. */
static int
register_sinks(struct ledger *l, const struct conf_sink *v, size_t n, int64_t *ids, struct err *e)
{
	struct ledger_counts *known;
	size_t n_known;
	int rc = 0;

	if (ledger_begin(l, e) < 0)
		return -1;
	if (ledger_sinks(l, &known, &n_known, e) < 0) {
		ledger_rollback(l);
		return -1;
	}
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = ledger_sink(l, v[i].name, v[i].required, &ids[i], e);
	for (size_t i = 0; rc == 0 && i < n_known; i++)
		if (retires(&known[i], v, n))
			rc = ledger_retire(l, known[i].name, e);
	if (rc == 0)
		rc = ledger_settle(l, e);
	if (rc == 0)
		rc = ledger_commit(l, e);
	for (size_t i = 0; rc == 0 && i < n_known; i++)
		if (retires(&known[i], v, n))
			log_warn("sink %s is no longer configured: %llu segments that it has not "
				 "taken count as purged for it",
			    known[i].name, (unsigned long long)known[i].segments);
	free(known);
	if (rc < 0)
		ledger_rollback(l);
	return rc;
}

static struct sink *
add_sink(struct sinks *s, const struct conf_sink *c, int64_t id)
{
	struct sink *k = find(s, c->name), **end = &s->list;

	if (k == NULL) {
		k = xcalloc(1, sizeof(*k));
		snprintf(k->name, sizeof(k->name), "%s", c->name);
		k->all = s;
		while (*end != NULL)
			end = &(*end)->next;
		*end = k;
	}
	k->id = id;
	k->conf = *c;
	k->leaving = false;
	k->position = 0;
	k->max_bytes = BATCH_BYTES;
	return k;
}

/* Those that want to know what becomes of their batches. */
static int
confirm_sinks(
    struct sinks *s, const struct conf_sink *v, size_t n, const int64_t *ids, struct err *e)
{
	struct confirm_target *t = xcalloc(n + 1, sizeof(*t));
	size_t made = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		if (v[i].type == CONF_SINK_SPARKPOST && v[i].confirm_batches)
			t[made++] = (struct confirm_target){ .sink = ids[i],
				.name = v[i].name,
				.url = v[i].url,
				.api_key = v[i].api_key,
				.ca_file = v[i].ca_file,
				.headers = v[i].headers.v,
				.n_headers = v[i].headers.n,
				.window_s = (int64_t)v[i].confirm_window_s,
				.max_age_s = v[i].max_event_age_s == CONF_UNLIMITED
				                 ? INT32_MAX
				                 : (int64_t)v[i].max_event_age_s };
	rc = confirm_configure(s->env.confirm, t, made, e);
	free(t);
	return rc;
}

/* A file system may hang; with a thread for each, that is its own sink's trouble. */
static int
reserve_threads(struct sinks *s, const struct conf_sink *v, size_t n, struct err *e)
{
	unsigned files = 0;

	for (size_t i = 0; i < n; i++)
		files += v[i].type == CONF_SINK_FILE;
	return workers_reserve(s->env.workers, files, e);
}

int
sinks_configure(struct sinks *s, const struct conf *conf, struct err *e)
{
	size_t n;
	struct conf_sink *v = list_sinks(conf, &n);
	int64_t *ids = xcalloc(n + 1, sizeof(*ids));
	int rc = reserve_threads(s, v, n, e);

	if (rc == 0)
		rc = register_sinks(s->env.ledger, v, n, ids, e);
	if (rc == 0)
		rc = confirm_sinks(s, v, n, ids, e);
	if (rc == 0) {
		s->reports = NULL;
		s->node = conf->node_name;
		s->gone = true;
		for (struct sink *k = s->list; k != NULL; k = k->next)
			k->leaving = true;
		for (size_t i = n; i-- > 0;)
			s->reports = add_sink(s, &v[i], ids[i]);
		sinks_try_now(s);
	}
	free(v);
	free(ids);
	return rc;
}

bool
sinks_any(const struct sinks *s)
{
	for (const struct sink *k = s->list; k != NULL; k = k->next)
		if (!k->leaving)
			return true;
	return false;
}

void
sinks_try_now(struct sinks *s)
{
	for (struct sink *k = s->list; k != NULL; k = k->next) {
		backoff_reset(&k->backoff);
		k->not_before_ms = 0;
	}
	s->n_told = 0;
	sinks_entered(s);
}

/* ---- segments ---- */

void
sinks_entered(struct sinks *s)
{
	for (struct sink *k = s->list; k != NULL; k = k->next) {
		k->more = true;
		if (k->passed_over)
			k->position = 0;
		k->passed_over = false;
	}
}

size_t
sinks_waiting(const struct sinks *s)
{
	struct ledger_counts c;

	if (s->reports == NULL || ledger_counts(s->env.ledger, s->reports->id, &c, NULL) < 0)
		return 0;
	return c.segments;
}

bool
sinks_release(struct sinks *s, const char *segment)
{
	for (struct sink *k = s->list; k != NULL; k = k->next)
		for (size_t i = 0; i < k->n_slots; i++) {
			const struct slot *t = k->slots[i];

			if (t->stage != SLOT_FREE && t->stage != SLOT_READY &&
			    strcmp(t->seg.name, segment) == 0)
				return false;
		}
	for (struct sink *k = s->list; k != NULL; k = k->next)
		for (size_t i = 0; i < k->n_slots; i++)
			if (k->slots[i]->stage == SLOT_READY &&
			    strcmp(k->slots[i]->seg.name, segment) == 0)
				slot_free_up(k->slots[i]);
	return true;
}

bool
sinks_tell(struct sinks *s, const char *segment)
{
	for (size_t i = 0; i < s->n_told; i++)
		if (strcmp(s->told[i], segment) == 0)
			return false;
	if (s->n_told == COUNT(s->told))
		return false;
	snprintf(s->told[s->n_told++], SPOOL_NAME_SIZE, "%s", segment);
	return true;
}

/* Each of the warnings once, until what waits is young again. */
static void
watch_age(struct sink *k)
{
	int64_t oldest, age;

	if (k->leaving)
		return;
	if (ledger_oldest(k->all->env.ledger, k->id, &oldest, NULL) <= 0)
		oldest = clock_wall_s();
	age = clock_wall_s() - oldest;
	while (k->age_told > 0 && age < ages[k->age_told - 1].age_s)
		k->age_told--;
	if (k->age_told == COUNT(ages) || age < ages[k->age_told].age_s)
		return;
	while (k->age_told < COUNT(ages) && age >= ages[k->age_told].age_s)
		k->age_told++;
	if (k->conf.max_event_age_s == CONF_UNLIMITED)
		log_warn("sink %s: the oldest event that waits is older than %s hours", k->name,
		    ages[k->age_told - 1].text);
	else
		log_warn("sink %s: the oldest event that waits is older than %s hours; it is not "
			 "sent any more when it is %.4g hours old",
		    k->name, ages[k->age_told - 1].text, (double)k->conf.max_event_age_s / 3600);
}

void
sinks_interval(struct sinks *s)
{
	for (struct sink *k = s->list; k != NULL; k = k->next) {
		watch_age(k);
		if (k->passed_over) {
			k->position = 0;
			k->passed_over = false;
			k->more = true;
		}
	}
}

/* ---- the endpoint's trouble ---- */

int64_t
sink_failed(
    struct sink *k, const struct slot *t, const struct backoff_range *range, int64_t retry_after_s)
{
	int64_t now = clock_mono_ms(), wait;

	/* It had begun before the trouble was known: the same trouble. */
	if (k->down && t->began_ms < k->failed_ms && retry_after_s <= 0 && k->not_before_ms > now)
		return k->not_before_ms - now;
	wait = backoff_next(&k->backoff, range, retry_after_s, sink_random());
	if (now + wait > k->not_before_ms)
		k->not_before_ms = now + wait;
	k->failed_ms = now;
	k->down = true;
	return k->not_before_ms - now;
}

void
sink_works(struct sink *k, const char *host)
{
	if (k->down)
		log_info("%s takes events again", host);
	k->down = false;
	backoff_reset(&k->backoff);
	k->not_before_ms = 0;
}

/* ---- going on ---- */

static bool
is_in_slot(const struct sink *k, int64_t segment)
{
	for (size_t i = 0; i < k->n_slots; i++)
		if (k->slots[i]->stage != SLOT_FREE && k->slots[i]->seg.id == segment)
			return true;
	return false;
}

static size_t
slots_of(const struct sink *k)
{
	return k->conf.type == CONF_SINK_FILE ? 1 : (size_t)k->conf.uploads;
}

static struct slot *
free_slot(struct sink *k)
{
	struct slot *t;

	for (size_t i = 0; i < k->n_slots && i < slots_of(k); i++)
		if (k->slots[i]->stage == SLOT_FREE)
			return k->slots[i];
	if (k->n_slots >= slots_of(k) || k->n_slots == SINK_SLOTS_MAX)
		return NULL;
	t = xcalloc(1, sizeof(*t));
	t->sink = k;
	batch_init(&t->batch);
	buf_init(&t->host, 300);
	buf_init(&t->secret, BUF_NO_LIMIT);
	buf_init(&t->archive.dir, BUF_NO_LIMIT);
	buf_init(&t->archive.sink, BUF_NO_LIMIT);
	k->slots[k->n_slots++] = t;
	return t;
}

static size_t
count(const struct sink *k, enum slot_stage stage)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_slots; i++)
		n += k->slots[i]->stage == stage;
	return n;
}

/* All of it was sent, and what became of it is not known yet. */
static bool
is_held(const struct sink *k, const struct ledger_segment *seg)
{
	return seg->offset >= seg->bytes && seg->taken >= seg->events &&
	       confirm_holds(k->all->env.confirm, k->id, seg->name);
}

/* More segments into free slots. False: there is one, but it may not go yet. */
static bool
fill_slots(struct sink *k)
{
	struct sinks *s = k->all;
	struct ledger_segment seg;
	struct slot *t;
	int rc;

	/* While it is down, one batch is enough to ask with. */
	while (k->more && (!k->down || count(k, SLOT_FREE) == k->n_slots) &&
	       (t = free_slot(k)) != NULL) {
		rc = ledger_next(s->env.ledger, k->id, k->position, &seg, NULL);
		if (rc <= 0) {
			k->more = rc < 0;
			return rc == 0;
		}
		if (!s->env.may_go(s->env.arg, seg.name))
			return false;
		k->position = seg.id;
		if (is_in_slot(k, seg.id) || is_held(k, &seg))
			continue;
		t->seg = seg;
		t->sent = seg.taken > 0;
		slot_prepare(t);
	}
	return true;
}

static void
send_ready(struct sink *k, int64_t now)
{
	size_t sending = count(k, SLOT_SENDING) + count(k, SLOT_PREPARING) * k->down;

	for (size_t i = 0; i < k->n_slots; i++) {
		struct slot *t = k->slots[i];

		if (t->stage != SLOT_READY || now < k->not_before_ms)
			continue;
		if (sending >= (k->down ? 1 : slots_of(k)))
			return;
		if (k->conf.type == CONF_SINK_FILE ||
		    (k->conf.max_event_age_s != CONF_UNLIMITED && now - t->made_ms > STALE_MS))
			slot_prepare(t);
		else if (!sink_http_send(t))
			return;
		sending++;
	}
}

static bool
is_idle(const struct sink *k)
{
	return count(k, SLOT_FREE) + count(k, SLOT_READY) == k->n_slots;
}

static int64_t
step(struct sink *k, int64_t now)
{
	bool waits = false;

	if (k->leaving)
		return INT64_MAX;
	if (now >= k->not_before_ms)
		waits = !fill_slots(k);
	send_ready(k, now);
	if (waits)
		return now + 5000;
	return now < k->not_before_ms && (k->more || count(k, SLOT_READY) > 0) ? k->not_before_ms
	                                                                       : INT64_MAX;
}

int64_t
sinks_step(struct sinks *s, int64_t now)
{
	struct sink **at = &s->list, *k;
	int64_t wake = s->settle_failed ? s->settle_ms : INT64_MAX, t;

	while ((k = *at) != NULL) {
		if (k->leaving && is_idle(k)) {
			*at = k->next;
			sink_free(k);
			continue;
		}
		t = step(k, now);
		wake = t < wake ? t : wake;
		at = &k->next;
	}
	return wake;
}

bool
sinks_rest(const struct sinks *s, int64_t now)
{
	const struct sink *k = s->reports;

	return k == NULL ||
	       (is_idle(k) && (now < k->not_before_ms || (!k->more && count(k, SLOT_READY) == 0)));
}

void
sinks_answered(struct sinks *s, const struct upload_result *r)
{
	(void)s;
	sink_http_answered(r->owner, r);
}

void
sinks_worked(struct sinks *s, struct worker_job *job)
{
	(void)s;
	slot_prepared((struct slot *)(void *)job);
}

/* ---- the ledger ---- */

/* Slots whose outcome is to be written; their number. */
static size_t
gather(struct sinks *s, struct slot ***out, struct err *e, bool *failed)
{
	size_t n = 0, room = 0;

	*out = NULL;
	for (struct sink *k = s->list; k != NULL; k = k->next)
		for (size_t i = 0; i < k->n_slots; i++) {
			struct slot *t = k->slots[i];

			if (t->stage != SLOT_SETTLING)
				continue;
			if (k->leaving) {
				slot_free_up(t);
			} else if (slot_keep_rejected(t, e) < 0) {
				*failed = true;
			} else {
				*out = xgrow(*out, n, &room, sizeof(**out));
				(*out)[n++] = t;
			}
		}
	return n;
}

static int
write_all(struct sinks *s, struct slot **v, size_t n, bool *gone, struct err *e)
{
	struct ledger *l = s->env.ledger;

	if (ledger_begin(l, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (slot_settle(v[i], &gone[i], e) < 0) {
			ledger_rollback(l);
			return -1;
		}
	return ledger_commit(l, e);
}

void
sinks_settle(struct sinks *s, int64_t now)
{
	struct slot **v = NULL;
	bool failed = false, *gone;
	struct err e;
	size_t n;

	if (s->settle_failed && now < s->settle_ms)
		return;
	n = gather(s, &v, &e, &failed);
	gone = xcalloc(n + 1, sizeof(*gone));
	if (n > 0 && write_all(s, v, n, gone, &e) < 0) {
		failed = true;
		n = 0;
	}
	for (size_t i = 0; i < n; i++)
		slot_settled(v[i], gone[i]);
	free(gone);
	free(v);
	if (failed && !s->settle_failed)
		log_error("what became of events can't be written down, nothing is removed until "
			  "it can: %s",
		    e.text);
	else if (!failed && s->settle_failed)
		log_info("what became of events can be written down again");
	s->settle_failed = failed;
	s->settle_ms = now + SETTLE_RETRY_MS;
}
