#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/inbound.h"
#include "common/rejected.h"
#include "common/spool.h"
#include "common/xalloc.h"
#include "ctl/status.h"

#define QUIET_MAX_S  600   /* without a success while something waits */
#define OLD_EVENT_S  21600 /* the first of the uploader's own warnings */
#define OLD_REPORT_S 600   /* a report is processed within seconds */
#define NO_ROOM      65536 /* the ledger needs more, to say what became of anything */

__attribute__((format(printf, 2, 3))) static void
problem(struct status *st, const char *fmt, ...)
{
	struct buf text;
	va_list ap;
	char line[1000];

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buf_init(&text, sizeof(line));
	buf_adds(&text, line);
	st->problems =
	    xgrow(st->problems, st->n_problems, &st->problems_room, sizeof(*st->problems));
	st->problems[st->n_problems++] = buf_take(&text);
}

/* ---- files ---- */

static bool
counts_all(const char *name)
{
	return name[0] != '.';
}

static void
look_into(int parent, const char *name, bool (*counts)(const char *), struct status_files *out)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct stat st;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (!counts(entry->d_name) ||
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		out->n++;
		out->bytes += (uint64_t)st.st_size;
		if (out->oldest_s == 0 || st.st_mtim.tv_sec < out->oldest_s)
			out->oldest_s = st.st_mtim.tv_sec;
	}
	closedir(dir);
}

static void
look_at_files(struct status *st, const struct spool_view *v)
{
	look_into(v->events, ".", spool_is_segment, &st->closed);
	look_into(v->events, "open", counts_all, &st->open);
	look_into(v->events, "../inbound", inbound_is_name, &st->inbound);
	look_into(v->events, "../inbound/onward", inbound_is_name, &st->onward);
	if (st->inbound.n > 0 && st->now_s - st->inbound.oldest_s > OLD_REPORT_S)
		problem(st,
		    "%llu captured reports wait in inbound/, the oldest for %lld minutes: see the "
		    "uploader's log",
		    (unsigned long long)st->inbound.n,
		    (long long)(st->now_s - st->inbound.oldest_s) / 60);
}

static void
look_at_rejected(struct status *st, const struct spool_view *v)
{
	struct rejected_entry *list;
	struct rejected_why why;
	struct buf store;
	ssize_t n = v->rejected < 0 ? 0 : rejected_list(v->rejected, &list, NULL);

	if (n <= 0)
		return;
	buf_init(&store, BUF_NO_LIMIT);
	for (ssize_t i = 0; i < n; i++) {
		st->rejected_files++;
		st->rejected_bytes += list[i].bytes;
		if (rejected_read_why(v->rejected, list[i].name, &why, &store, NULL) == 0)
			st->rejected_lines += why.events;
	}
	buf_free(&store);
	rejected_free_list(list, n);
}

static void
look_at_space(struct status *st, const struct spool_view *v)
{
	uint64_t least = st->conf->signals.min_free_space;
	struct statvfs fs;
	char have[32], want[32];

	if (fstatvfs(v->events, &fs) < 0)
		return;
	st->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	st->free_inodes = (uint64_t)fs.f_favail;
	if (st->free_bytes < NO_ROOM || st->free_inodes == 0)
		problem(st,
		    "there is no room where the spool is (%s free, %llu inodes): nothing can be "
		    "written, mail is tempfailed; remove other files, see df and df -i",
		    spool_view_size(st->free_bytes, have), (unsigned long long)st->free_inodes);
	else if (st->free_bytes < least)
		problem(st,
		    "%s are free where the spool is, less than min-free-space %s: the oldest "
		    "events are "
		    "purged",
		    spool_view_size(st->free_bytes, have), spool_view_size(least, want));
}

/* ---- the uploader ---- */

static void
look_at_uploader(struct status *st, const struct spool_view *v)
{
	int fd = openat(v->events, "../" SPOOL_UPLOADER_LOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[24] = "";
	ssize_t n;

	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		st->uploader_runs = true;
		n = pread(fd, text, sizeof(text) - 1, 0);
		st->uploader_pid = n > 0 ? strtol(text, NULL, 10) : 0;
	}
	if (fd >= 0)
		close(fd);
	if (!st->uploader_runs)
		problem(st, "signalpost-uploader does not run: nothing is sent; systemctl start "
			    "signalpost-uploader");
}

/* ---- the ledger ---- */

static void
missing(void *arg, const char *segment, uint64_t events)
{
	struct status *st = arg;

	if (st->n_missing < STATUS_MISSING_MAX)
		st->missing[st->n_missing++] = (struct status_missing){ xstrdup(segment), events };
}

/* Answers that come again until somebody changes the configuration: the wrong key or address. */
static bool
wants_a_change(const char *status)
{
	static const char *const answers[] = { "HTTP 3", "HTTP 401", "HTTP 403", "HTTP 404",
		"HTTP 405", "HTTP 407", "HTTP 410", "HTTP 415" };

	for (size_t i = 0; i < COUNT(answers); i++)
		if (strncmp(status, answers[i], strlen(answers[i])) == 0)
			return true;
	return false;
}

static void
judge_sink(struct status *st, const struct ledger_sums *s)
{
	const struct ledger_counts *c = &s->counts;
	int64_t since_s;
	char age[32];

	if (s->difference != 0)
		problem(st, "sink %s: %lld events are unaccounted for", c->name,
		    (long long)s->difference);
	if (c->retired || s->waiting == 0)
		return;
	if (s->oldest_s > 0 && st->now_s - s->oldest_s > OLD_EVENT_S)
		problem(st, "sink %s: the oldest event that waits is %s old%s", c->name,
		    spool_view_age(st->now_s - s->oldest_s, age),
		    c->required ? "" : " (the sink is not required)");
	since_s = s->oldest_s > 0 ? s->oldest_s : st->closed.oldest_s;
	if (since_s < c->success_s)
		since_s = c->success_s;
	if (c->tried_s > c->success_s &&
	    (st->now_s - since_s > QUIET_MAX_S || wants_a_change(c->status)))
		problem(st, "sink %s takes nothing: %s", c->name,
		    c->status[0] != '\0' ? c->status : "no answer");
}

/* Segments have no reader: they collect until the disk is full. */
static void
look_for_sinks(struct status *st)
{
	const struct conf_signals *s = &st->conf->signals;

	if (st->closed.n == 0 || st->conf->n_sinks > 0 ||
	    (s->given && s->api_key != NULL && s->upload_url != NULL))
		return;
	problem(st,
	    "segments wait and go nowhere (%llu): the configuration has no <signals> block with an "
	    "api-key, and no <sink>",
	    (unsigned long long)st->closed.n);
}

/* Whoever removes it has seen it. */
static void
look_for_damaged(struct status *st, const struct spool_view *v)
{
	char since[CLOCK_ISO_SIZE];
	struct stat file;

	if (fstatat(v->events, "../" LEDGER_NAME ".damaged", &file, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	clock_iso((int64_t)file.st_ctim.tv_sec * 1000, since);
	problem(st,
	    "the ledger was found damaged at %s and began anew: its numbers count from then on; "
	    "when you have seen this, remove %s/" LEDGER_NAME ".damaged",
	    since, v->dir);
}

static void
look_at_ledger(struct status *st, const struct spool_view *v)
{
	struct err e;
	bool none;
	struct ledger *l = ledger_open(v->dir, false, &none, &e);

	look_for_damaged(st, v);
	if (l == NULL) {
		if (!none)
			problem(st, "%s", e.text);
		return;
	}
	st->has_ledger = ledger_check(l, &st->ledger, missing, st, &e) == 0;
	ledger_close(l);
	if (!st->has_ledger) {
		problem(st, "%s", e.text);
		return;
	}
	for (size_t i = 0; i < st->ledger.n_sinks; i++)
		judge_sink(st, &st->ledger.sinks[i]);
	if (st->ledger.missing_segments > 0)
		problem(st,
		    "%llu segments have gone from events/ and were not sent: put them back, or "
		    "count "
		    "them as purged with: signalpost status --write-off",
		    (unsigned long long)st->ledger.missing_segments);
}

/* ---- the index ---- */

static void
unknown(void *arg, const struct index_message *m, int64_t at_s)
{
	struct status *st = arg;

	if (st->n_unknown == STATUS_UNKNOWN_MAX)
		return;
	st->unknown[st->n_unknown++] = (struct status_unknown){
		.message_id = xslicedup(m->facts.message_id),
		.queue_id = xslicedup(m->facts.queue_id),
		.rcpt = xslicedup(m->facts.rcpt_to.len > 0 ? m->facts.rcpt_to : m->facts.rcpt_hash),
		.campaign = xslicedup(m->facts.campaign_id),
		.received_s = m->received_s,
		.given_up_s = at_s,
	};
}

static void
look_at_index(struct status *st, const struct spool_view *v)
{
	struct index *ix;
	struct buf path;
	struct err e;
	bool none;

	buf_init(&path, BUF_NO_LIMIT);
	if (st->conf->mail_log.index != NULL)
		buf_adds(&path, st->conf->mail_log.index);
	else
		buf_printf(&path, "%s/index.db", v->dir);
	ix = index_open_reader(buf_str(&path), &none, &e);
	st->has_index = ix != NULL && index_pending(ix, &st->index, &e) == 0 &&
	                index_unknown(ix, STATUS_UNKNOWN_MAX, unknown, st, &e) == 0;
	if (!st->has_index && !none)
		problem(st, "%s", e.text);
	index_close(ix);
	buf_free(&path);
}

int
status_gather(const struct conf *conf, struct status *out, struct err *e)
{
	struct spool_view v;

	*out = (struct status){ .conf = conf, .now_s = clock_wall_s() };
	if (spool_view_open(conf, &v, e) < 0)
		return -1;
	look_at_uploader(out, &v);
	look_at_files(out, &v);
	look_at_rejected(out, &v);
	look_at_space(out, &v);
	look_for_sinks(out);
	look_at_ledger(out, &v);
	look_at_index(out, &v);
	spool_view_close(&v);
	return 0;
}

void
status_free(struct status *st)
{
	if (st->has_ledger)
		ledger_check_free(&st->ledger);
	for (size_t i = 0; i < st->n_missing; i++)
		free(st->missing[i].segment);
	for (size_t i = 0; i < st->n_unknown; i++) {
		free(st->unknown[i].message_id);
		free(st->unknown[i].queue_id);
		free(st->unknown[i].rcpt);
		free(st->unknown[i].campaign);
	}
	for (size_t i = 0; i < st->n_problems; i++)
		free(st->problems[i]);
	free(st->problems);
}
