#include "uploader/mail_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/maillog.h"
#include "common/xalloc.h"
#include "uploader/follow.h"
#include "uploader/journal.h"
#include "uploader/outcome.h"

#define STEP_MS      30                /* of work in a step */
#define STEP_LINES   64                /* between two looks at the clock */
#define EVENTS_MAX   ((size_t)2 << 20) /* bytes of events in a step */
#define POLL_BUSY_MS 200
#define POLL_IDLE_MS 1000
#define BUSY_MS      10000 /* what was read this long ago makes us look often */
#define RETRY_MS     5000  /* after the disk or the index failed */
#define TIDY_MS      30000
#define SUMMARY_MS   60000
#define RECOVER_MS   2000 /* a line waits for a segment: its writer may be dead */
#define FREED_S      60   /* after the queue id is free no line of it comes any more */
#define HORIZON_US   2000000
#define OVERDUE_STEP 1000
#define FORMLESS     200 /* lines of an unknown form in a row are no accident */
#define OFF_CLOCK    5   /* nor are stamps of another time, if the lines are new */
#define OFF_CLOCK_S  600

struct line {
	struct maillog_line m;
	int64_t at_us;
};

struct source {
	char *key; /* of its state in the index */
	struct follow *follow;
	struct journal *journal;
	struct maillog_clock clock;
	struct line next;       /* its next line, if there is one */
	bool has_next, blocked; /* blocked: in this round nothing more is taken of it */
	int64_t waits_ms;       /* since when a line waits; 0: none */
	int64_t last_line_us;   /* MAILLOG_NO_TIME: none yet */
	bool at_end;            /* there was nothing more to read, */
	bool was_at_end;        /* and in the round before */
	bool unsaved;           /* lines have been taken since its state was saved */
	unsigned formless;      /* lines of no form that is known, one after the other */
	int64_t seen_us;        /* when the line that waits was seen first */
	unsigned off_clock; /* lines just written whose stamps are not of now, one after another */
};

struct mail_log {
	const struct conf *conf;
	struct learn *learn; /* not ours */
	struct index *ix;    /* its */
	struct classifier *rules;
	struct outcome outcome;
	size_t n_sources;
	struct source *sources;
	size_t turn; /* whose it is */
	enum maillog_mta mta;

	bool looked; /* in this step */
	int64_t retry_ms, read_ms, tidy_ms, summary_ms;
	bool failing; /* and it has been logged */
	bool overran; /* a line waited in vain, and it has been logged */
	struct outcome_counts said;
	struct buf state;
};

/* ---- what the operator is told ---- */

static void
tell(void *arg, const char *text)
{
	(void)arg;
	log_warn("mail-log: %s", text);
}

static void
trouble(struct mail_log *l, const char *text)
{
	if (!l->failing)
		log_error("mail-log: %s; trying again every %d s", text, RETRY_MS / 1000);
	l->failing = true;
	l->retry_ms = clock_mono_ms() + RETRY_MS;
}

static void
summary(struct mail_log *l)
{
	const struct outcome_counts *c = &l->outcome.counts, *s = &l->said;
	uint64_t events = c->deliveries + c->bounces + c->delays;

	if (events > s->deliveries + s->bounces + s->delays || c->local > s->local)
		log_info("mail-log: %llu delivered, %llu bounced, %llu delayed, %llu local",
		    (unsigned long long)(c->deliveries - s->deliveries),
		    (unsigned long long)(c->bounces - s->bounces),
		    (unsigned long long)(c->delays - s->delays),
		    (unsigned long long)(c->local - s->local));
	if (c->unknown > s->unknown)
		log_warn(
		    "mail-log: the fate of %llu recipients will not be known: lines are missing",
		    (unsigned long long)(c->unknown - s->unknown));
	if (c->dropped > s->dropped)
		log_warn("mail-log: the logger says that it lost %llu lines or more: "
			 "see RateLimit in journald.conf(5), rsyslog's imuxsock and imjournal",
		    (unsigned long long)(c->dropped - s->dropped));
	if (c->unwritable > s->unwritable)
		log_error("mail-log: %llu events are too long to be written",
		    (unsigned long long)(c->unwritable - s->unwritable));
	l->said = *c;
}

/* ---- opening ---- */

static struct slice
saved_state(struct mail_log *l, const struct source *s)
{
	struct err e;

	if (index_state_get(l->ix, s->key, &l->state, &e) < 0)
		log_error("mail-log: %s", e.text);
	return buf_slice(&l->state);
}

/*
 * Since when lines may matter, if we have never read any: since the oldest
 * message that waits in the index, or may be in a segment that is open.
 */
static int64_t
oldest_waiting(struct mail_log *l)
{
	struct index_counts counts;
	struct err e;
	int rc = 1;

	while (rc > 0)
		if (index_begin(l->ix, &e) < 0 || (rc = learn_more(l->learn, &e)) < 0 ||
		    index_commit(l->ix, &e) < 0) {
			log_error("mail-log: %s", e.text);
			index_rollback(l->ix);
			break;
		}
	if (index_count(l->ix, &counts, NULL) == 0 && counts.oldest_waiting_s != 0)
		return counts.oldest_waiting_s;
	return learn_horizon_us(l->learn) / 1000000;
}

static int
open_source(struct mail_log *l, struct source *s, const char *path, struct err *e)
{
	struct slice saved = saved_state(l, s);
	int64_t since = saved.len == 0 ? oldest_waiting(l) : 0;

	follow_close(s->follow);
	journal_close(s->journal);
	s->follow = NULL;
	s->journal = NULL;
	if (path != NULL)
		s->follow = follow_open(path, saved, since, tell, l);
	else if ((s->journal = journal_open(NULL, saved, since, e)) == NULL)
		return -1;
	if (s->journal != NULL && !journal_is_there(s->journal))
		tell(l,
		    "there is no journal that this user may read: the user needs the group adm, "
		    "or the host has no journald and needs a file");
	maillog_clock_init(
	    &s->clock, l->conf->mail_log.utc ? MAILLOG_ZONE_FIXED : MAILLOG_ZONE_LOCAL, 0);
	s->unsaved = s->at_end = s->has_next = s->blocked = false;
	s->waits_ms = 0;
	s->last_line_us = MAILLOG_NO_TIME;
	return 0;
}

static int
open_sources(struct mail_log *l, struct err *e)
{
	const struct conf_mail_log *c = &l->conf->mail_log;
	struct buf key;

	l->sources = xcalloc(c->files.n + 1, sizeof(*l->sources));
	buf_init(&key, BUF_NO_LIMIT);
	for (size_t i = 0; i < c->files.n; i++) {
		struct source *s = &l->sources[l->n_sources++];

		buf_printf(&key, "file %s", c->files.v[i]);
		s->key = buf_take(&key);
		open_source(l, s, c->files.v[i], e);
	}
	buf_free(&key);
	if (!c->journal)
		return 0;
	l->sources[l->n_sources++].key = xstrdup("journal");
	return open_source(l, &l->sources[l->n_sources - 1], NULL, e);
}

struct mail_log *
mail_log_open(const struct conf *conf, struct learn *learn, struct err *e)
{
	static const enum maillog_mta mta[] = {
		[CONF_MTA_AUTO] = MAILLOG_ANY,
		[CONF_MTA_POSTFIX] = MAILLOG_POSTFIX,
		[CONF_MTA_SENDMAIL] = MAILLOG_SENDMAIL,
	};
	struct mail_log *l = xcalloc(1, sizeof(*l));

	l->conf = conf;
	l->learn = learn;
	l->ix = learn_index(learn);
	l->mta = mta[conf->mail_log.mta];
	buf_init(&l->state, 64 * 1024);
	l->summary_ms = l->tidy_ms = clock_mono_ms();
	if ((l->rules = classify_open(conf, e)) == NULL || open_sources(l, e) < 0) {
		mail_log_close(l);
		return NULL;
	}
	outcome_init(&l->outcome, l->ix, l->rules);
	l->outcome.mask = conf->signals.privacy_sha1;
	return l;
}

void
mail_log_close(struct mail_log *l)
{
	if (l == NULL)
		return;
	if (l->outcome.ix != NULL)
		summary(l);
	for (size_t i = 0; i < l->n_sources; i++) {
		follow_close(l->sources[i].follow);
		journal_close(l->sources[i].journal);
		free(l->sources[i].key);
	}
	free(l->sources);
	outcome_free(&l->outcome);
	classify_close(l->rules);
	buf_free(&l->state);
	free(l);
}

/* ---- lines ---- */

static bool
about_messages(enum maillog_kind kind)
{
	return kind != MAILLOG_OTHER && kind != MAILLOG_AUTH_FAILURE;
}

/* A log whose lines we can't read would look like one in which nothing happens. */
static void
count_form(struct mail_log *l, struct source *s, const struct maillog_line *m)
{
	char text[300];

	if (m->tag.len > 0)
		s->formless = 0;
	else if (m->text.len > 0 && ++s->formless == FORMLESS) {
		snprintf(text, sizeof(text),
		    "%.100s: its lines have no form that is known, so nothing in it counts: %.*s",
		    follow_path(s->follow), m->text.len < 120 ? (int)m->text.len : 120, m->text.p);
		tell(l, text);
	}
}

/* The next line of a source that says something. 1, 0: none now, -1 and *e. */
static int
next_line(struct mail_log *l, struct source *s, struct line *out, int *budget, struct err *e)
{
	int64_t now_s = clock_wall_s();
	struct journal_entry entry;
	struct slice text;
	int rc;

	for (; *budget > 0; --*budget) {
		if (s->follow != NULL) {
			rc = follow_peek(s->follow, &text);
			if (rc > 0 && about_messages(maillog_parse(text, l->mta, &out->m))) {
				out->at_us = maillog_time(&s->clock, out->m.stamp, now_s);
				if (out->at_us != MAILLOG_NO_TIME) {
					s->formless = 0;
					return 1;
				}
			}
			if (rc > 0)
				count_form(l, s, &out->m);
		} else {
			rc = journal_peek(s->journal, &entry, e);
			out->at_us = entry.at_us;
			if (rc > 0 && about_messages(maillog_parse_text(
					  entry.tag, entry.text, l->mta, &out->m)))
				return 1;
		}
		if (rc <= 0) {
			s->at_end = rc == 0;
			return rc;
		}
		s->unsaved = true;
		if (s->follow != NULL)
			follow_take(s->follow);
		else
			journal_take(s->journal);
	}
	return 0;
}

/*
 * In another time zone than ours no line would fit its message: those of the past came before
 * it. `live`: all that was there before had been read, so the line is new.
 */
static void
compare_clocks(struct mail_log *l, struct source *s, int64_t at_us, bool live)
{
	int64_t ahead_s = (at_us - clock_wall_us()) / 1000000;
	char text[300];

	if (s->follow == NULL || (!live && ahead_s < OFF_CLOCK_S))
		return;
	if (ahead_s < OFF_CLOCK_S && ahead_s > -OFF_CLOCK_S) {
		s->off_clock = 0;
	} else if (++s->off_clock == OFF_CLOCK) {
		snprintf(text, sizeof(text),
		    "%.100s: new lines have stamps %lld minutes %s this host's clock and may fit "
		    "no message: is `time-zone` in <mail-log> the log's, and TZ the MTA's?",
		    follow_path(s->follow), (long long)(ahead_s < 0 ? -ahead_s : ahead_s) / 60,
		    ahead_s < 0 ? "behind" : "ahead of");
		tell(l, text);
	}
}

/* May a line of that time be about a message that the index does not have yet? */
static bool
may_be_known_later(struct mail_log *l, struct source *s, int64_t at_us, int64_t now)
{
	if (s->waits_ms == 0)
		s->seen_us = clock_wall_us();
	/* It was written by then, whatever its stamp says. */
	if (learn_horizon_us(l->learn) > (at_us < s->seen_us ? at_us : s->seen_us) + HORIZON_US)
		return false;
	if (s->waits_ms == 0 || now - s->waits_ms < learn_wait_ms(l->learn))
		return true;
	if (!l->overran)
		log_warn("mail-log: a segment in events/open is older than wait-for-message: "
			 "lines about its messages may be taken for others'");
	l->overran = true;
	return false;
}

/* See to it that `next` is there if there is a line. 0; -1 and *e. */
static int
peek_source(struct mail_log *l, struct source *s, int *budget, struct err *e)
{
	int rc;

	if (s->has_next || s->blocked || (s->follow == NULL && s->journal == NULL))
		return 0;
	rc = next_line(l, s, &s->next, budget, e);
	s->has_next = rc > 0;
	s->blocked = rc == 0;
	return rc < 0 ? -1 : 0;
}

/* Of lines of one second those come last that may say who the next hop is. */
static bool
is_before(const struct line *a, const struct line *b)
{
	bool a_last = a->m.kind == MAILLOG_ATTEMPT && a->m.other_id.len > 0;
	bool b_last = b->m.kind == MAILLOG_ATTEMPT && b->m.other_id.len > 0;

	return a->at_us != b->at_us ? a->at_us < b->at_us : !a_last && b_last;
}

/*
 * What one instance sends on to another is in the logs of both: lines are taken in the order of
 * their stamps. *out NULL: there are none. 0; -1 and *e.
 */
static int
earliest(struct mail_log *l, int *budget, struct source **out, struct err *e)
{
	*out = NULL;
	for (size_t i = 0; i < l->n_sources; i++) {
		struct source *s = &l->sources[(l->turn + i) % l->n_sources];

		if (peek_source(l, s, budget, e) < 0)
			return -1;
		if (s->has_next && !s->blocked &&
		    (*out == NULL || is_before(&s->next, &(*out)->next)))
			*out = s;
	}
	return 0;
}

/* "queued as ID": the other log has had its line since we looked, if it has one. */
static void
look_again(struct mail_log *l, const struct source *s)
{
	if (s->next.m.kind != MAILLOG_ATTEMPT || s->next.m.other_id.len == 0)
		return;
	for (size_t i = 0; i < l->n_sources; i++)
		if (&l->sources[i] != s && l->sources[i].at_end && !l->sources[i].has_next)
			l->sources[i].blocked = false;
}

/* Take the next line of a source. 1; 0: it waits; -1 and *e. */
static int
take_line(struct mail_log *l, struct source *s, int64_t now, struct err *e)
{
	struct line *line = &s->next;
	int rc;

	rc = outcome_line(
	    &l->outcome, &line->m, line->at_us, !may_be_known_later(l, s, line->at_us, now), e);
	if (rc == 0 && !l->looked) {
		/* Perhaps it is in a segment that was closed meanwhile. */
		rc = learn_more(l->learn, e);
		l->looked = rc == 0;
		return rc < 0 ? -1 : 1;
	}
	if (rc == 0 && s->waits_ms == 0)
		s->waits_ms = now;
	if (rc <= 0)
		return rc;
	s->waits_ms = 0;
	compare_clocks(l, s, line->at_us, s->was_at_end);
	s->last_line_us = line->at_us;
	s->unsaved = true;
	s->has_next = false;
	if (s->follow != NULL)
		follow_take(s->follow);
	else
		journal_take(s->journal);
	return 1;
}

/* Some lines of all sources. 1: there may be more; 0: none, or all wait; -1 and *e. */
static int
read_round(struct mail_log *l, int64_t now, struct err *e)
{
	int budget = STEP_LINES, taken = 0;

	for (size_t i = 0; i < l->n_sources; i++) {
		struct source *s = &l->sources[i];

		s->was_at_end = s->at_end;
		s->at_end = s->blocked = false;
	}
	while (budget > 0 && l->outcome.lines.len < EVENTS_MAX) {
		struct source *s, *first;
		int rc;

		if (earliest(l, &budget, &s, e) < 0)
			return -1;
		if (s == NULL || (budget <= 0 && l->n_sources > 1))
			break;
		first = s;
		look_again(l, s);
		if (l->n_sources > 1 && earliest(l, &budget, &s, e) < 0)
			return -1;
		if (s == NULL)
			s = first;
		rc = take_line(l, s, now, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return taken;
		taken = 1;
		--budget;
	}
	return taken || budget <= 0;
}

static int
save_sources(struct mail_log *l, struct err *e)
{
	for (size_t i = 0; i < l->n_sources; i++) {
		struct source *s = &l->sources[i];

		if (!s->unsaved)
			continue;
		if (s->follow != NULL)
			follow_save(s->follow, &l->state);
		else
			journal_save(s->journal, &l->state);
		if (index_state_set(l->ix, s->key, buf_slice(&l->state), e) < 0)
			return -1;
	}
	return 0;
}

/* Events first, then what they mean and where we are. */
static int
finish(struct mail_log *l, struct err *e)
{
	if (l->outcome.n_lines > 0 && spool_append(learn_writer(l->learn),
					  buf_slice(&l->outcome.lines), l->outcome.n_lines, e) < 0)
		return -1;
	if (save_sources(l, e) < 0 || index_commit(l->ix, e) < 0)
		return -1;
	for (size_t i = 0; i < l->n_sources; i++)
		l->sources[i].unsaved = false;
	return 0;
}

/* Back to what is on disk. */
static void
give_back(struct mail_log *l, const struct outcome_counts *before)
{
	struct err e;

	index_rollback(l->ix);
	l->outcome.counts = *before;
	for (size_t i = 0; i < l->n_sources; i++) {
		struct source *s = &l->sources[i];
		char *path = s->follow == NULL ? NULL : xstrdup(follow_path(s->follow));

		if (open_source(l, s, path, &e) < 0)
			log_error("mail-log: %s", e.text);
		free(path);
	}
}

/* Work in one transaction. 1: there may be more at once; 0; -1 and *e. */
static int
read_sources(struct mail_log *l, int64_t now, struct err *e)
{
	bool more = true;

	/* What was peeked at may be gone: the journal's is good until it is asked again. */
	for (size_t i = 0; i < l->n_sources; i++)
		l->sources[i].has_next = false;
	if (index_begin(l->ix, e) < 0)
		return -1;
	while (more && clock_mono_ms() - now < STEP_MS && l->outcome.lines.len < EVENTS_MAX) {
		int rc = read_round(l, now, e);

		if (rc < 0)
			return -1;
		more = rc > 0;
		if (more)
			l->read_ms = now;
	}
	l->turn++;
	return finish(l, e) < 0 ? -1 : more;
}

/* ---- housekeeping ---- */

static bool
all_at_end(const struct mail_log *l)
{
	for (size_t i = 0; i < l->n_sources; i++)
		if (!l->sources[i].at_end)
			return false;
	return true;
}

/* The time that the reading has come to. */
static int64_t
log_time_s(const struct mail_log *l)
{
	int64_t us = clock_wall_us();

	for (size_t i = 0; i < l->n_sources; i++)
		if (!l->sources[i].at_end && l->sources[i].last_line_us < us)
			us = l->sources[i].last_line_us;
	return us == MAILLOG_NO_TIME ? 0 : us / 1000000;
}

/* 1: come again soon; 0; -1 and *e. */
static int
tidy(struct mail_log *l, struct err *e)
{
	const struct conf_mail_log *c = &l->conf->mail_log;
	int64_t now_s = clock_wall_s(), received_s = INT64_MIN;
	int lost;

	/* Nobody is overdue while there are lines to read. */
	if (all_at_end(l))
		received_s = now_s - (int64_t)c->unknown_after_s;
	if (index_begin(l->ix, e) < 0)
		return -1;
	lost = outcome_overdue(
	    &l->outcome, received_s, log_time_s(l) - FREED_S, now_s, OVERDUE_STEP, e);
	if (lost < 0)
		return -1;
	if (index_commit(l->ix, e) < 0)
		return -1;
	return lost == OVERDUE_STEP;
}

static int
step(struct mail_log *l, int64_t now, struct err *e)
{
	int more, untidy = 0;

	l->looked = false;
	buf_clear(&l->outcome.lines);
	l->outcome.n_lines = 0;
	more = read_sources(l, now, e);
	if (more < 0)
		return -1;
	if (now >= l->tidy_ms) {
		untidy = tidy(l, e);
		if (untidy < 0)
			return -1;
		l->tidy_ms = untidy > 0 ? now : now + TIDY_MS;
	}
	return more || untidy;
}

/* A line that waits for a segment may wait for one whose writer is dead. */
static bool
someone_waits(struct mail_log *l, int64_t now)
{
	for (size_t i = 0; i < l->n_sources; i++)
		if (l->sources[i].waits_ms != 0) {
			if (now - l->sources[i].waits_ms >= RECOVER_MS)
				learn_recover(l->learn, now);
			return true;
		}
	return false;
}

int64_t
mail_log_step(struct mail_log *l)
{
	struct outcome_counts before = l->outcome.counts;
	int64_t now = clock_mono_ms();
	struct err e;
	int more;

	if (now < l->retry_ms)
		return l->retry_ms;
	more = step(l, now, &e);
	if (more < 0) {
		trouble(l, e.text);
		give_back(l, &before);
		return l->retry_ms;
	}
	if (l->failing)
		log_info("mail-log: goes on");
	l->failing = false;
	if (now - l->summary_ms >= SUMMARY_MS) {
		summary(l);
		l->summary_ms = now;
	}
	if (more > 0)
		return now;
	if (someone_waits(l, now) || now - l->read_ms < BUSY_MS)
		return now + POLL_BUSY_MS;
	return now + POLL_IDLE_MS;
}
