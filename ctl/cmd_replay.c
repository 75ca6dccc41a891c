/*
 * cmd_replay.c - puts what was rejected back into the spool, as new segments for all
 * sinks. The lines are durable there before they go here: a crash in between sends the
 * same event ids twice, which receivers drop. What is no event stays, with its reason.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/daemon.h"
#include "common/event.h"
#include "common/file.h"
#include "common/lines.h"
#include "common/rejected.h"
#include "common/spool.h"
#include "common/xalloc.h"
#include "ctl/ctl.h"
#include "ctl/spool_view.h"

#define APPEND_BYTES ((size_t)1 << 20) /* lines that are made durable at once */

struct replay {
	const char *conf_file, *sink;
	bool all, dry_run;
	struct spool *sp;
	struct spool_writer *writer;
	struct rejected *rejected;
	struct buf lines, details; /* events that are to be appended; why others are none */
	struct buf store;          /* for event_read() */
	unsigned n_lines;          /* in `lines` */
	uint64_t good, bad;        /* lines of the file that is looked at */
	uint64_t sent, stayed, files;
	int rc;
};

__attribute__((format(printf, 3, 4))) static void
problem(struct replay *r, const char *name, const char *fmt, ...)
{
	struct err e;
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_text(&e, 0, "%s: %s", name, text);
	fputs("signalpost replay: ", stderr);
	spool_view_print(stderr, slice_str(e.text));
	fputs("\n", stderr);
	r->rc = 1;
}

static int
flush_lines(struct replay *r, struct err *e)
{
	int rc = 0;

	if (r->n_lines > 0 && !r->dry_run)
		rc = spool_append(r->writer, buf_slice(&r->lines), r->n_lines, e);
	buf_clear(&r->lines);
	r->n_lines = 0;
	return rc;
}

static int
take_good(struct replay *r, struct slice text, struct err *e)
{
	r->good++;
	r->n_lines++;
	buf_add(&r->lines, text);
	buf_addc(&r->lines, '\n');
	return r->lines.len >= APPEND_BYTES ? flush_lines(r, e) : 0;
}

/* To be kept, as it is: from the file, as it may be longer than what is in memory. */
static int
keep_bad(struct replay *r, int fd, const struct line *line, struct err *e)
{
	r->bad++;
	return r->dry_run ? 0 : rejected_write_range(r->rejected, fd, line->offset, line->next, e);
}

static int
sort_line(struct replay *r, int fd, const struct line *line, uint64_t number, struct err *e)
{
	struct event ev;
	struct err why;

	if (!line->ended)
		err_text(&why, 0, "torn");
	else if (event_read(line->text, &ev, &r->store, &why) == 0)
		return take_good(r, line->text, e);
	buf_printf(&r->details, "line %llu: %s\n", (unsigned long long)number, why.text);
	return keep_bad(r, fd, line, e);
}

static int
sort_lines(struct replay *r, int fd, struct err *e)
{
	uint64_t number = 0;
	struct lines l;
	struct line line;
	int rc;

	lines_open(&l, fd, 0);
	while ((rc = lines_next(&l, &line, e)) > 0)
		if ((rc = sort_line(r, fd, &line, ++number, e)) < 0)
			break;
	lines_close(&l);
	return rc < 0 ? -1 : flush_lines(r, e);
}

/* Its events are in the spool: what is left of it replaces it, or it goes. */
static int
settle(struct replay *r, const char *name, const struct rejected_why *old, struct err *e)
{
	struct rejected_why why = *old;

	if (r->bad == 0 || r->good == 0 || r->dry_run)
		rejected_abandon(r->rejected);
	if (r->good == 0 || r->dry_run)
		return 0;
	if (r->bad == 0)
		return rejected_remove(spool_rejected_fd(r->sp), name, e);
	why.details = buf_slice(&r->details);
	why.events = why.bytes = 0; /* as they are now */
	return rejected_commit_over(r->rejected, &why, e);
}

static void
count(struct replay *r, const char *name)
{
	r->sent += r->good;
	r->stayed += r->bad;
	r->files += r->good > 0;
	printf("%s: %llu events %s", name, (unsigned long long)r->good,
	    r->dry_run ? "would be sent again" : "are sent again");
	if (r->bad > 0) {
		printf(", %llu lines are none and stay", (unsigned long long)r->bad);
		r->rc = 1;
	}
	fputs("\n", stdout);
	if (r->bad > 0) {
		struct slice rest = buf_slice(&r->details), line;

		slice_line(&rest, &line);
		fputs("    ", stdout);
		spool_view_print(stdout, line);
		fputs("\n", stdout);
	}
}

static void
replay_one(struct replay *r, const char *name)
{
	struct rejected_why why = { .reason = SLICE_LIT("") };
	struct buf store;
	struct err e;
	int fd = file_open_regular(spool_rejected_fd(r->sp), name, &e);

	if (fd < 0) {
		problem(r, name, "stays: %s", e.text);
		return;
	}
	buf_init(&store, BUF_NO_LIMIT);
	rejected_read_why(spool_rejected_fd(r->sp), name, &why, &store, NULL);
	if (r->sink == NULL || slice_eqi(why.sink, slice_str(r->sink))) {
		r->good = r->bad = 0;
		buf_clear(&r->details);
		r->details.full = false;
		if ((!r->dry_run && rejected_begin(r->rejected, name, &e) < 0) ||
		    sort_lines(r, fd, &e) < 0 || settle(r, name, &why, &e) < 0) {
			rejected_abandon(r->rejected);
			problem(r, name, "%s", e.text);
		} else {
			count(r, name);
		}
	}
	close(fd);
	buf_free(&store);
}

static void
replay_all(struct replay *r)
{
	struct rejected_entry *list;
	struct err e;
	ssize_t n = rejected_list(spool_rejected_fd(r->sp), &list, &e);

	if (n < 0)
		problem(r, "rejected/", "%s", e.text);
	for (ssize_t i = 0; i < n; i++)
		replay_one(r, list[i].name);
	rejected_free_list(list, n);
}

static void
replay_named(struct replay *r, const char *arg)
{
	const char *slash = strrchr(arg, '/'), *name = slash != NULL ? slash + 1 : arg;

	if (rejected_is_name(name))
		replay_one(r, name);
	else
		problem(
		    r, arg, "no name of a rejected file; signalpost events --rejected lists them");
}

/* ---- the command ---- */

/* Two at once would send everything twice. */
static int
open_spool(struct replay *r, const struct conf *conf, struct err *e)
{
	struct spool_writer_options opt = { .segment_size = conf->spool.segment_size,
		.segment_age_ms = 3600000, /* it is closed at the end */
		.sync = true };
	struct spool_view v;

	/* Also makes us the spool's owner. */
	if (spool_view_open(conf, &v, e) < 0)
		return -1;
	spool_view_close(&v);
	umask(DAEMON_UMASK);
	r->sp = spool_open(conf->spool.directory, e);
	if (r->sp == NULL)
		return -1;
	if (flock(spool_rejected_fd(r->sp), LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? err_set(e, "another replay is under way")
		                            : err_errno(e, "lock rejected/");
	r->rejected = rejected_open(spool_rejected_fd(r->sp), NULL);
	if (!r->dry_run && (r->writer = spool_writer_open(r->sp, &opt, e)) == NULL)
		return -1;
	return 0;
}

static int
run(struct replay *r, const struct conf *conf, int argc, char **argv)
{
	struct err e;

	if (open_spool(r, conf, &e) < 0) {
		fprintf(stderr, "signalpost replay: %s\n", e.text);
		r->rc = 1;
	} else {
		buf_init(&r->lines, BUF_NO_LIMIT);
		buf_init(&r->details, REJECTED_DETAILS_MAX);
		buf_init(&r->store, EVENT_LINE_MAX);
		if (r->all)
			replay_all(r);
		for (int i = 0; i < argc; i++)
			replay_named(r, argv[i]);
		printf("%llu events of %llu files %s; %llu lines stay\n",
		    (unsigned long long)r->sent, (unsigned long long)r->files,
		    r->dry_run ? "would be sent again" : "wait to be sent again",
		    (unsigned long long)r->stayed);
		buf_free(&r->lines);
		buf_free(&r->details);
		buf_free(&r->store);
	}
	spool_writer_close(r->writer);
	rejected_close(r->rejected);
	spool_close(r->sp);
	return r->rc;
}

static bool
read_options(struct replay *r, int argc, char **argv)
{
	static const struct option longer[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "dry-run", no_argument, NULL, 'd' },
		{ "sink", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:", longer, NULL)) != -1)
		switch (c) {
		case 'a':
			r->all = true;
			break;
		case 'c':
			r->conf_file = optarg;
			break;
		case 'd':
			r->dry_run = true;
			break;
		case 's':
			r->sink = optarg;
			break;
		default:
			return false;
		}
	return r->all == (optind == argc);
}

int
cmd_replay(int argc, char **argv)
{
	struct replay r = { .conf_file = CONF_DEFAULT_FILE };
	struct conf *conf;
	struct err e;
	int rc;

	if (!read_options(&r, argc, argv))
		return ctl_usage("replay");
	conf = conf_load(r.conf_file, &e);
	if (conf == NULL) {
		fprintf(stderr, "signalpost replay: %s\n", e.text);
		return EX_CONFIG;
	}
	rc = run(&r, conf, argc - optind, argv + optind);
	conf_free(conf);
	return rc;
}
