#include "uploader/auth_watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/auth_failures.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/maillog.h"
#include "common/spool.h"
#include "common/xalloc.h"
#include "uploader/follow.h"
#include "uploader/journal.h"

#define STEP_MS      20
#define STEP_LINES   64    /* between two looks at the clock */
#define POLL_MS      250   /* how late a failure is seen at most, if there is nothing else to do */
#define WRITE_MS     100   /* the file is written at most so often, */
#define BIG_WRITE_MS 1000  /* and so often when it is big: */
#define BIG          1000  /* windows */
#define SAVE_MS      60000 /* without failures, how far we are */
#define RETRY_MS     5000
#define TEXT_MAX     ((size_t)8 << 20)

struct source {
	char *name; /* of its position in the file */
	struct follow *follow;
	struct journal *journal;
	struct maillog_clock clock;
};

struct auth_watch {
	const struct conf *conf;
	char *path; /* of the directory */
	int dir;    /* -1: not begun */
	enum maillog_mta mta;
	size_t n_windows, n_sources;
	uint64_t *windows; /* seconds */
	struct source *sources;
	struct auth_failures *failures;
	bool counted, moved; /* since the file was written */
	bool failing;        /* and it has been logged */
	uint64_t said_forgotten;
	int64_t written_ms, retry_ms;
	struct buf text, state;
};

/* ---- opening ---- */

static void
tell(void *unused, const char *text)
{
	(void)unused;
	/* mail_log.h's reading says the same, to people. */
	log_debug("auth-failures: %s", text);
}

/* Nothing older than the longest window matters. */
static int64_t
since_s(const struct auth_watch *w)
{
	uint64_t longest = 1;
	int64_t now = clock_wall_s();

	for (size_t i = 0; i < w->n_windows; i++)
		if (w->windows[i] > longest)
			longest = w->windows[i];
	return (int64_t)longest < now ? now - (int64_t)longest : 1;
}

static void
read_file(struct auth_watch *w, struct slice *positions)
{
	struct err e;

	*positions = (struct slice){ 0 };
	if (faccessat(w->dir, AUTH_FAILURES_FILE, F_OK, 0) < 0)
		return;
	if (file_read(w->dir, AUTH_FAILURES_FILE, &w->text, &e) < 0 ||
	    auth_failures_read(w->failures, buf_slice(&w->text), positions, &e) < 0)
		log_warn("%s; counting begins anew", e.text);
}

/* `path` NULL: the journal. */
static int
open_source(struct auth_watch *w, const char *path, struct slice positions, struct err *e)
{
	struct source *s = &w->sources[w->n_sources++];
	struct buf name;

	buf_init(&name, BUF_NO_LIMIT);
	buf_printf(&name, "%s%s", path != NULL ? "file " : "journal", path != NULL ? path : "");
	s->name = buf_take(&name);
	auth_failures_position(positions, s->name, &w->state);
	maillog_clock_init(
	    &s->clock, w->conf->mail_log.utc ? MAILLOG_ZONE_FIXED : MAILLOG_ZONE_LOCAL, 0);
	if (path != NULL)
		s->follow = follow_open(path, buf_slice(&w->state), since_s(w), tell, w);
	else
		s->journal = journal_open(NULL, buf_slice(&w->state), since_s(w), e);
	return s->follow == NULL && s->journal == NULL ? -1 : 0;
}

struct auth_watch *
auth_watch_open(const struct conf *conf, const char *dir)
{
	static const enum maillog_mta mta[] = {
		[CONF_MTA_AUTO] = MAILLOG_ANY,
		[CONF_MTA_POSTFIX] = MAILLOG_POSTFIX,
		[CONF_MTA_SENDMAIL] = MAILLOG_SENDMAIL,
	};
	const struct conf_mail_log *c = &conf->mail_log;
	uint64_t *windows = xcalloc(conf->n_sources + 1, sizeof(*windows));
	size_t n = conf_auth_windows(conf, windows);
	struct auth_watch *w;

	if (n == 0 || !c->given) {
		free(windows);
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->conf = conf;
	w->path = xstrdup(dir);
	w->dir = -1;
	w->mta = mta[c->mta];
	w->windows = windows;
	w->n_windows = n;
	w->sources = xcalloc(c->files.n + 1, sizeof(*w->sources));
	buf_init(&w->text, TEXT_MAX);
	buf_init(&w->state, 64 * 1024);
	return w;
}

static void
close_sources(struct auth_watch *w)
{
	for (size_t i = 0; i < w->n_sources; i++) {
		follow_close(w->sources[i].follow);
		journal_close(w->sources[i].journal);
		free(w->sources[i].name);
		w->sources[i] = (struct source){ 0 };
	}
	w->n_sources = 0;
	auth_failures_free(w->failures);
	w->failures = NULL;
	if (w->dir >= 0)
		close(w->dir);
	w->dir = -1;
}

/* What is in the file, and the log from there on. -1 and *e: it can't be read now. */
static int
begin(struct auth_watch *w, struct err *e)
{
	const struct conf_mail_log *c = &w->conf->mail_log;
	struct slice positions;
	int rc = 0;

	w->failures = auth_failures_new();
	w->written_ms = clock_mono_ms();
	w->dir = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dir < 0)
		return err_errno(e, "%s", w->path);
	read_file(w, &positions);
	for (size_t i = 0; rc == 0 && i < c->files.n; i++)
		rc = open_source(w, c->files.v[i], positions, e);
	if (rc == 0 && c->journal)
		rc = open_source(w, NULL, positions, e);
	buf_free(&w->text);
	return rc;
}

/* ---- writing ---- */

static void
print_all(struct auth_watch *w)
{
	auth_failures_trim(w->failures, clock_wall_s());
	auth_failures_print(w->failures, &w->text);
	for (size_t i = 0; i < w->n_sources; i++) {
		if (w->sources[i].follow != NULL)
			follow_save(w->sources[i].follow, &w->state);
		else
			journal_save(w->sources[i].journal, &w->state);
		auth_failures_put_position(&w->text, w->sources[i].name, buf_slice(&w->state));
	}
}

/* What could not be written is counted on and tried again: nobody's mail depends on it. */
static void
write_file(struct auth_watch *w, int64_t now)
{
	struct err e;

	print_all(w);
	if (file_replace(w->dir, AUTH_FAILURES_FILE, buf_slice(&w->text), SPOOL_FILE_MODE, &e) <
	    0) {
		if (!w->failing)
			log_error("%s: clients that fail to authenticate are not refused until "
				  "this can be written; trying again every %d s",
			    e.text, RETRY_MS / 1000);
		w->failing = true;
		w->retry_ms = now + RETRY_MS;
	} else {
		if (w->failing)
			log_info("%s: written again", AUTH_FAILURES_FILE);
		w->failing = w->counted = w->moved = false;
		w->written_ms = now;
	}
	buf_free(&w->text);
}

static int64_t
due_ms(const struct auth_watch *w)
{
	int64_t due = INT64_MAX;

	if (w->counted)
		due = w->written_ms +
		      (auth_failures_count(w->failures) > BIG ? BIG_WRITE_MS : WRITE_MS);
	else if (w->moved)
		due = w->written_ms + SAVE_MS;
	return due < w->retry_ms ? w->retry_ms : due;
}

void
auth_watch_close(struct auth_watch *w)
{
	if (w == NULL)
		return;
	if (w->counted || w->moved)
		write_file(w, clock_mono_ms());
	close_sources(w);
	free(w->sources);
	free(w->windows);
	free(w->path);
	buf_free(&w->text);
	buf_free(&w->state);
	free(w);
}

/* ---- reading ---- */

static void
count(struct auth_watch *w, const struct maillog_line *m, int64_t at_us)
{
	int64_t now_s = clock_wall_s();
	struct auth_client client;

	if (at_us == MAILLOG_NO_TIME || !auth_client_parse(m->ip, &client))
		return;
	for (size_t i = 0; i < w->n_windows * m->times; i++)
		if (auth_failures_add(w->failures, &client, (uint32_t)w->windows[i % w->n_windows],
			at_us / 1000000, now_s))
			w->counted = true;
}

/* Most lines can be told without being parsed. */
static bool
may_be_failure(struct slice line)
{
	return memmem(line.p, line.len, "authentication failed:", 22) != NULL ||
	       memmem(line.p, line.len, "AUTH failure (", 14) != NULL;
}

static int
next_of_file(struct auth_watch *w, struct source *s)
{
	struct maillog_line m;
	struct slice line;

	if (follow_peek(s->follow, &line) <= 0)
		return 0;
	if (line.len > 0 && may_be_failure(line) &&
	    maillog_parse(line, w->mta, &m) == MAILLOG_AUTH_FAILURE)
		count(w, &m, maillog_time(&s->clock, m.stamp, clock_wall_s()));
	follow_take(s->follow);
	return 1;
}

static int
next_of_journal(struct auth_watch *w, struct source *s, struct err *e)
{
	struct journal_entry entry;
	struct maillog_line m;
	int rc = journal_peek(s->journal, &entry, e);

	if (rc <= 0)
		return rc;
	if (maillog_parse_text(entry.tag, entry.text, w->mta, &m) == MAILLOG_AUTH_FAILURE)
		count(w, &m, entry.at_us);
	journal_take(s->journal);
	return 1;
}

/* Some lines of one source. 1: there may be more; 0; -1: it can't be read now. */
static int
read_some(struct auth_watch *w, struct source *s)
{
	struct err e;
	int rc = 1;

	for (int i = 0; i < STEP_LINES; i++) {
		rc = s->follow != NULL ? next_of_file(w, s) : next_of_journal(w, s, &e);
		if (rc <= 0)
			break;
		w->moved = true;
	}
	if (rc < 0)
		log_debug("auth-failures: %s", e.text);
	return rc;
}

static void
tell_forgotten(struct auth_watch *w)
{
	uint64_t n = auth_failures_forgotten(w->failures);

	if (n == w->said_forgotten)
		return;
	log_warn("more clients than %zu fail to authenticate: %llu of them were forgotten "
		 "before their time was over",
	    AUTH_FAILURES_MAX, (unsigned long long)(n - w->said_forgotten));
	w->said_forgotten = n;
}

int64_t
auth_watch_step(struct auth_watch *w)
{
	int64_t began = clock_mono_ms(), now = began;
	bool more = true, later = false;
	struct err e;

	if (w->dir < 0) {
		if (begin(w, &e) < 0) {
			close_sources(w);
			if (!w->failing)
				log_error("smtp-max-auth-failure-rate has no effect: %s; trying "
					  "again every %d s",
				    e.text, RETRY_MS / 1000);
			w->failing = true;
			return now + RETRY_MS;
		}
		w->failing = false;
	}
	while (more && now - began < STEP_MS) {
		more = false;
		for (size_t i = 0; i < w->n_sources; i++) {
			int rc = read_some(w, &w->sources[i]);

			more = more || rc > 0;
			later = later || rc < 0;
		}
		now = clock_mono_ms();
	}
	if (now >= due_ms(w)) {
		tell_forgotten(w);
		write_file(w, now);
	}
	if (more)
		return now;
	if (later)
		return now + RETRY_MS;
	return due_ms(w) < now + POLL_MS ? due_ms(w) : now + POLL_MS;
}
