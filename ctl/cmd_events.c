/*
 * cmd_events.c - what waits in the spool, and what was rejected: names, numbers of
 * events, ages, reasons. Reads beside a running uploader and without one.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/file.h"
#include "common/ledger.h"
#include "common/lines.h"
#include "common/rejected.h"
#include "common/spool_file.h"
#include "common/utf8.h"
#include "common/xalloc.h"
#include "ctl/ctl.h"
#include "ctl/json_out.h"
#include "ctl/spool_view.h"

#define LIST_DEFAULT 20
#define SHOW_DEFAULT 1000
#define READ_BUDGET  ((uint64_t)256 << 20) /* bytes of segments that are read to be counted */

struct options {
	const char *conf_file, *show;
	bool waiting, rejected, json;
	size_t n; /* 0: not said */
};

struct segment {
	char *name;
	uint64_t bytes, events;
	bool counted; /* events is known */
	int64_t since_s;
};

struct waiting {
	size_t n_segments;
	struct segment *segments; /* oldest first */
	uint64_t bytes, events, uncounted;
	int64_t oldest_s; /* 0: nothing waits */
	size_t n_open;
	uint64_t open_bytes;
	struct ledger_check ledger;
	bool has_ledger;
	bool trouble; /* said already */
};

struct refused {
	ssize_t n;
	struct rejected_entry *list;
	uint64_t bytes, events;
};

static int
fail(const struct err *e)
{
	fprintf(stderr, "signalpost events: %s\n", e->text);
	return 1;
}

/* "1 event", "2 events" */
static void
print_number(uint64_t n, const char *what)
{
	printf("%llu %s%s", (unsigned long long)n, what, n == 1 ? "" : "s");
}

/* ---- what waits ---- */

static uint64_t
count_lines(int fd)
{
	struct lines l;
	struct line line;
	uint64_t n = 0;

	lines_open(&l, fd, 0);
	while (lines_next(&l, &line, NULL) > 0)
		n += line.ended;
	lines_close(&l);
	return n;
}

/* From the file, as long as that is not too much. */
static void
count_events(const struct spool_view *v, struct segment *s, uint64_t *budget)
{
	int fd;

	if (s->bytes > *budget || (fd = file_open_regular(v->events, s->name, NULL)) < 0)
		return;
	*budget -= s->bytes;
	s->events = count_lines(fd);
	s->counted = true;
	close(fd);
}

/* The name is when it was begun; a name from the future says nothing. */
static int64_t
begun_s(const char *name, const struct stat *st)
{
	int64_t us = (int64_t)strtoull(name + 4, NULL, 16), now = clock_wall_s();

	return us > 0 && us / 1000000 <= now ? us / 1000000 : st->st_mtim.tv_sec;
}

static void
look_at_open(const struct spool_view *v, struct waiting *w)
{
	char **names;
	ssize_t n = v->open < 0 ? -1 : spool_file_names(v->open, true, &names, NULL);

	for (ssize_t i = 0; i < n; i++) {
		struct stat st;

		if (fstatat(v->open, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_size > 0) {
			w->n_open++;
			w->open_bytes += (uint64_t)st.st_size;
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void
look_at(const struct spool_view *v, struct ledger *l, struct waiting *w, const char *name,
    uint64_t *budget)
{
	struct segment *s = &w->segments[w->n_segments];
	struct ledger_segment known;
	struct stat st;
	bool counted;

	if (fstatat(v->events, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	counted = l != NULL && ledger_find(l, 0, name, &known, NULL) == 1;
	/* Everybody has it; only its file is still there. */
	if (counted && known.gone)
		return;
	*s = (struct segment){
		.name = xstrdup(name), .bytes = (uint64_t)st.st_size, .since_s = begun_s(name, &st)
	};
	if (counted) {
		s->events = known.events;
		s->counted = true;
		s->since_s = known.oldest_s > 0 ? known.oldest_s : s->since_s;
	} else {
		count_events(v, s, budget);
	}
	w->n_segments++;
	w->bytes += s->bytes;
	w->events += s->events;
	w->uncounted += !s->counted;
	if (w->oldest_s == 0 || s->since_s < w->oldest_s)
		w->oldest_s = s->since_s;
}

static int
read_waiting(const struct spool_view *v, struct waiting *w, struct err *e)
{
	bool missing;
	struct ledger *l = ledger_open(v->dir, false, &missing, e);
	char **names;
	ssize_t n;
	uint64_t budget = READ_BUDGET;

	/* What is in the directories can be told without it. */
	if (l == NULL && !missing) {
		fail(e);
		w->trouble = true;
	}
	n = spool_file_names(v->events, true, &names, e);
	if (n < 0) {
		ledger_close(l);
		return -1;
	}
	w->segments = xcalloc((size_t)n + 1, sizeof(*w->segments));
	for (ssize_t i = 0; i < n; i++) {
		look_at(v, l, w, names[i], &budget);
		free(names[i]);
	}
	free(names);
	look_at_open(v, w);
	w->has_ledger = l != NULL && ledger_check(l, &w->ledger, NULL, NULL, NULL) == 0;
	ledger_close(l);
	return 0;
}

static void
free_waiting(struct waiting *w)
{
	for (size_t i = 0; i < w->n_segments; i++)
		free(w->segments[i].name);
	free(w->segments);
	if (w->has_ledger)
		ledger_check_free(&w->ledger);
}

static void
print_time(int64_t s)
{
	char iso[CLOCK_ISO_SIZE], age[32];

	clock_iso(s * 1000, iso);
	printf("%.10s %.8s (%s)", iso, iso + 11, spool_view_age(clock_wall_s() - s, age));
}

static void
print_sinks(const struct waiting *w)
{
	for (size_t i = 0; w->has_ledger && i < w->ledger.n_sinks; i++) {
		const struct ledger_sums *s = &w->ledger.sinks[i];

		if (s->counts.retired)
			continue;
		printf("  for %s: ", s->counts.name);
		print_number(s->waiting, "event");
		if (s->oldest_s > 0 && s->waiting > 0) {
			fputs(", the oldest from ", stdout);
			print_time(s->oldest_s);
		}
		fputs("\n", stdout);
	}
}

static void
print_waiting(const struct waiting *w, size_t max)
{
	char size[32];

	fputs("waiting: ", stdout);
	print_number(w->n_segments, "segment");
	fputs(w->uncounted > 0 ? ", at least " : ", ", stdout);
	print_number(w->events, "event");
	printf(", %s", spool_view_size(w->bytes, size));
	if (w->oldest_s > 0) {
		fputs(", the oldest from ", stdout);
		print_time(w->oldest_s);
	}
	fputs("\n", stdout);
	print_sinks(w);
	for (size_t i = 0; i < w->n_segments && i < max; i++) {
		const struct segment *s = &w->segments[i];

		printf("  %s  ", s->name);
		print_time(s->since_s);
		if (s->counted) {
			fputs("  ", stdout);
			print_number(s->events, "event");
		}
		printf("  %s\n", spool_view_size(s->bytes, size));
	}
	if (w->n_segments > max)
		printf("  and %zu more\n", w->n_segments - max);
	if (w->n_open > 0)
		printf("being written: %zu file%s, %s\n", w->n_open, w->n_open == 1 ? "" : "s",
		    spool_view_size(w->open_bytes, size));
}

/* ---- what was rejected ---- */

static int
read_refused(const struct spool_view *v, struct refused *r, struct err *e)
{
	struct rejected_why why;
	struct buf store;

	if (v->rejected < 0)
		return 0;
	r->n = rejected_list(v->rejected, &r->list, e);
	if (r->n < 0) {
		r->n = 0;
		return -1;
	}
	buf_init(&store, BUF_NO_LIMIT);
	for (ssize_t i = 0; i < r->n; i++) {
		r->bytes += r->list[i].bytes;
		if (rejected_read_why(v->rejected, r->list[i].name, &why, &store, NULL) == 0)
			r->events += why.events;
	}
	buf_free(&store);
	return 0;
}

static void
print_one(const struct spool_view *v, const struct rejected_entry *one)
{
	struct rejected_why why;
	struct buf store;
	char size[32];

	buf_init(&store, BUF_NO_LIMIT);
	if (rejected_read_why(v->rejected, one->name, &why, &store, NULL) < 0)
		why.reason = SLICE_LIT("no reason was written down");
	fputs("  ", stdout);
	spool_view_print(stdout, slice_str(one->name));
	fputs("  ", stdout);
	print_time(why.time_ms != 0 ? why.time_ms / 1000 : one->time_us / 1000000);
	fputs("  ", stdout);
	print_number(why.events, "line");
	printf("  %s\n    ", one->regular ? spool_view_size(one->bytes, size) : "not a file");
	if (why.sink.len > 0) {
		spool_view_print(stdout, slice_head(why.sink, 100));
		fputs(": ", stdout);
	}
	spool_view_print(stdout, utf8_head(why.reason, REJECTED_REASON_MAX));
	fputs("\n", stdout);
	buf_free(&store);
}

static void
print_refused(const struct spool_view *v, const struct refused *r, size_t max)
{
	ssize_t shown = r->n < (ssize_t)max ? r->n : (ssize_t)max;
	char size[32];

	fputs("rejected: ", stdout);
	print_number((uint64_t)r->n, "file");
	fputs(", ", stdout);
	print_number(r->events, "line");
	printf(", %s\n", spool_view_size(r->bytes, size));
	for (ssize_t i = 0; i < shown; i++)
		print_one(v, &r->list[i]);
	if (r->n > shown)
		printf("  and %zd more\n", r->n - shown);
}

/* ---- as JSON ---- */

static struct json_object *
json_segments(const struct waiting *w, size_t max)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < w->n_segments && i < max; i++) {
		const struct segment *s = &w->segments[i];
		struct json_object *o = json_object_new_object();

		json_out_text(o, "name", slice_str(s->name));
		json_object_object_add(
		    o, "events", s->counted ? json_object_new_uint64(s->events) : NULL);
		json_out_count(o, "bytes", s->bytes);
		json_out_time(o, "since", s->since_s * 1000);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *
json_sinks(const struct waiting *w)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; w->has_ledger && i < w->ledger.n_sinks; i++) {
		const struct ledger_sums *s = &w->ledger.sinks[i];
		struct json_object *o;

		if (s->counts.retired)
			continue;
		o = json_object_new_object();
		json_out_text(o, "name", slice_str(s->counts.name));
		json_out_count(o, "events", s->waiting);
		json_out_count(o, "segments", s->counts.segments);
		json_out_time(o, "oldest", s->oldest_s * 1000);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *
json_waiting(const struct waiting *w, size_t max)
{
	struct json_object *o = json_object_new_object();

	json_out_count(o, "segments", w->n_segments);
	json_out_count(o, "events", w->events);
	json_out_count(o, "uncounted_segments", w->uncounted);
	json_out_count(o, "bytes", w->bytes);
	json_out_time(o, "oldest", w->oldest_s * 1000);
	json_out_count(o, "open_files", w->n_open);
	json_out_count(o, "open_bytes", w->open_bytes);
	json_object_object_add(o, "sinks", json_sinks(w));
	json_object_object_add(o, "list", json_segments(w, max));
	return o;
}

static struct json_object *
json_one(const struct spool_view *v, const struct rejected_entry *one)
{
	struct json_object *o = json_object_new_object();
	struct rejected_why why;
	struct buf store;

	buf_init(&store, BUF_NO_LIMIT);
	rejected_read_why(v->rejected, one->name, &why, &store, NULL);
	json_out_text(o, "name", slice_str(one->name));
	json_out_time(o, "time", why.time_ms != 0 ? why.time_ms : one->time_us / 1000);
	json_out_text(o, "sink", why.sink);
	json_out_text(o, "reason", utf8_head(why.reason, REJECTED_REASON_MAX));
	json_out_text(o, "batch", why.batch);
	json_out_text(o, "segment", why.segment);
	json_out_count(o, "events", why.events);
	json_out_count(o, "bytes", one->bytes);
	json_out_bool(o, "file", one->regular);
	buf_free(&store);
	return o;
}

static struct json_object *
json_refused(const struct spool_view *v, const struct refused *r, size_t max)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	for (ssize_t i = 0; i < r->n && i < (ssize_t)max; i++)
		json_object_array_add(list, json_one(v, &r->list[i]));
	json_out_count(o, "files", (uint64_t)r->n);
	json_out_count(o, "events", r->events);
	json_out_count(o, "bytes", r->bytes);
	json_object_object_add(o, "list", list);
	return o;
}

static void
print_json(const struct options *opt, const struct spool_view *v, const struct waiting *w,
    const struct refused *r, size_t max)
{
	struct json_object *o = json_object_new_object();

	if (!opt->rejected)
		json_object_object_add(o, "waiting", json_waiting(w, max));
	if (!opt->waiting)
		json_object_object_add(o, "rejected", json_refused(v, r, max));
	puts(json_object_to_json_string_ext(
	    o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

/* ---- the command ---- */

static int
list(const struct options *opt, const struct spool_view *v)
{
	size_t max = opt->n > 0 ? opt->n : LIST_DEFAULT;
	struct waiting w = { .n_segments = 0 };
	struct refused r = { .n = 0 };
	struct err e;
	int rc = EX_OK;

	if ((!opt->rejected && read_waiting(v, &w, &e) < 0) ||
	    (!opt->waiting && read_refused(v, &r, &e) < 0)) {
		rc = fail(&e);
	} else if (opt->json) {
		print_json(opt, v, &w, &r, max);
	} else {
		if (!opt->rejected)
			print_waiting(&w, max);
		if (!opt->waiting)
			print_refused(v, &r, max);
	}
	if (w.trouble)
		rc = 1;
	free_waiting(&w);
	rejected_free_list(r.list, r.n);
	return rc;
}

/* The lines as they are; a terminal gets nothing that it would obey. */
static void
print_line(struct slice text)
{
	if (isatty(STDOUT_FILENO))
		spool_view_print(stdout, slice_trim(text));
	else
		fwrite(text.p, 1, text.len, stdout);
	fputs("\n", stdout);
}

static int
print_lines(int fd, size_t max)
{
	struct lines l;
	struct line line;
	struct err e;
	size_t n = 0;
	int rc;

	lines_open(&l, fd, 0);
	while ((rc = lines_next(&l, &line, &e)) > 0) {
		if (n++ >= max)
			continue;
		if (line.len <= EVENT_LINE_MAX)
			print_line(line.text);
		else
			fprintf(stderr, "signalpost events: line %zu: %llu bytes, not shown\n", n,
			    (unsigned long long)line.len);
	}
	lines_close(&l);
	if (rc < 0)
		return fail(&e);
	if (n > max)
		fprintf(
		    stderr, "signalpost events: %zu more lines: -n %zu shows all\n", n - max, n);
	return EX_OK;
}

static int
show(const struct options *opt, const struct spool_view *v)
{
	const char *slash = strrchr(opt->show, '/');
	const char *name = slash != NULL ? slash + 1 : opt->show;
	const int dirs[] = { v->rejected, v->events, v->open };
	struct err e;
	int fd = -1, rc;

	err_text(&e, 0, "%s: no such name in the spool", name);
	for (size_t i = 0; i < COUNT(dirs) && fd < 0; i++)
		if (dirs[i] >= 0 && rejected_is_name(name) &&
		    faccessat(dirs[i], name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			fd = file_open_regular(dirs[i], name, &e);
	if (fd < 0)
		return fail(&e);
	rc = print_lines(fd, opt->n > 0 ? opt->n : SHOW_DEFAULT);
	close(fd);
	return rc;
}

static bool
read_options(struct options *o, int argc, char **argv)
{
	static const struct option longer[] = {
		{ "waiting", no_argument, NULL, 'w' },
		{ "rejected", no_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "show", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:n:", longer, NULL)) != -1)
		switch (c) {
		case 'c':
			o->conf_file = optarg;
			break;
		case 'n':
			if (!spool_view_count(optarg, &o->n))
				return false;
			break;
		case 'w':
			o->waiting = true;
			break;
		case 'r':
			o->rejected = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 's':
			o->show = optarg;
			break;
		default:
			return false;
		}
	return optind == argc && !(o->waiting && o->rejected) &&
	       !(o->show != NULL && (o->waiting || o->rejected || o->json));
}

int
cmd_events(int argc, char **argv)
{
	struct options opt = { .conf_file = CONF_DEFAULT_FILE };
	struct spool_view v;
	struct conf *conf;
	struct err e;
	int rc;

	if (!read_options(&opt, argc, argv))
		return ctl_usage("events");
	conf = conf_load(opt.conf_file, &e);
	if (conf == NULL) {
		fail(&e);
		return EX_CONFIG;
	}
	if (spool_view_open(conf, &v, &e) < 0) {
		rc = fail(&e);
	} else {
		rc = opt.show != NULL ? show(&opt, &v) : list(&opt, &v);
		spool_view_close(&v);
	}
	conf_free(conf);
	return rc;
}
