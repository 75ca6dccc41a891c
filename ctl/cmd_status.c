/*
 * cmd_status.c - how things stand: does the ledger add up, what waits and since when,
 * what is unknown, and what to do about it.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/spool.h"
#include "common/xalloc.h"
#include "ctl/ctl.h"
#include "ctl/status.h"

static int
fail(const struct err *e)
{
	fprintf(stderr, "signalpost status: %s\n", e->text);
	return 1;
}

/* ---- as text ---- */

static void
print_since(const char *what, int64_t s, const struct status *st, FILE *out)
{
	char age[32];

	if (s > 0)
		fprintf(out, "%s%s", what, spool_view_age(st->now_s - s, age));
}

static void
print_ago(const char *what, int64_t s, const struct status *st, FILE *out)
{
	print_since(what, s, st, out);
	if (s > 0 && s <= st->now_s)
		fputs(" ago", out);
}

static void
print_files(const char *what, const struct status_files *f, const struct status *st, FILE *out)
{
	char size[32];

	fprintf(out, "%s%llu (%s", what, (unsigned long long)f->n, spool_view_size(f->bytes, size));
	print_since(", oldest ", f->oldest_s, st, out);
	fputs(")", out);
}

static void
print_sink(const struct ledger_sums *s, const struct status *st, FILE *out)
{
	const struct ledger_counts *c = &s->counts;
	char size[32];

	fprintf(out, "sink      %s, %s\n", c->name,
	    c->retired    ? "no longer configured"
	    : c->required ? "required"
			  : "not required");
	fprintf(out,
	    "          made %llu = uploaded %llu + waiting %llu + purged %llu + rejected "
	    "%llu + expired %llu%s\n",
	    (unsigned long long)c->made, (unsigned long long)c->fate[LEDGER_UPLOADED],
	    (unsigned long long)s->waiting, (unsigned long long)c->fate[LEDGER_PURGED],
	    (unsigned long long)c->fate[LEDGER_REJECTED],
	    (unsigned long long)c->fate[LEDGER_EXPIRED],
	    s->difference == 0 ? "" : "  DOES NOT ADD UP");
	if (s->difference != 0)
		fprintf(out, "          unaccounted for: %lld\n", (long long)s->difference);
	fprintf(out, "          %llu batches sent (%s), %llu sent again",
	    (unsigned long long)c->sent, spool_view_size(c->bytes, size),
	    (unsigned long long)c->retried);
	print_ago(", last success ", c->success_s, st, out);
	print_ago(", last try ", c->tried_s, st, out);
	if (c->status[0] != '\0') {
		fputs(": ", out);
		spool_view_print(out, slice_str(c->status));
	}
	fputs("\n", out);
	if (s->unconfirmed_batches > 0) {
		fprintf(out,
		    "          uploaded, and not confirmed yet: %llu events in %llu batches",
		    (unsigned long long)s->unconfirmed, (unsigned long long)s->unconfirmed_batches);
		print_since(", oldest ", s->unconfirmed_s, st, out);
		fputs("\n", out);
	}
	if (s->waiting > 0 && s->oldest_s > 0) {
		print_since("          oldest event that waits: ", s->oldest_s, st, out);
		fputs("\n", out);
	}
}

static void
print_ledger(const struct status *st, FILE *out)
{
	const struct ledger_check *l = &st->ledger;
	char size[32];

	if (!st->has_ledger) {
		fputs("ledger    none yet: the uploader makes it\n", out);
		return;
	}
	for (size_t i = 0; i < l->n_sinks; i++)
		print_sink(&l->sinks[i], st, out);
	if (l->uncounted_segments > 0)
		fprintf(out, "          not yet counted: %llu segments, %s\n",
		    (unsigned long long)l->uncounted_segments,
		    spool_view_size(l->uncounted_bytes, size));
	for (size_t i = 0; i < st->n_missing; i++)
		fprintf(out, "missing   %s, %llu events\n", st->missing[i].segment,
		    (unsigned long long)st->missing[i].events);
}

static void
print_unknown(const struct status_unknown *u, FILE *out)
{
	char iso[CLOCK_ISO_SIZE];

	clock_iso(u->received_s * 1000, iso);
	fprintf(out, "          %s  %.10s %.8s  ", u->queue_id, iso, iso + 11);
	spool_view_print(out, slice_str(u->rcpt));
	if (u->campaign[0] != '\0') {
		fputs("  ", out);
		spool_view_print(out, slice_str(u->campaign));
	}
	fputs("\n", out);
}

static void
print_index(const struct status *st, FILE *out)
{
	char size[32];

	if (!st->has_index)
		return;
	fprintf(out, "log       %lld recipients whose fate is not known yet",
	    (long long)st->index.waiting);
	print_since(", oldest ", st->index.oldest_waiting_s, st, out);
	fprintf(out, "; %lld whose fate will not be known; index %s\n",
	    (long long)st->index.unknown, spool_view_size((uint64_t)st->index.bytes, size));
	for (size_t i = 0; i < st->n_unknown; i++)
		print_unknown(&st->unknown[i], out);
	if (st->index.unknown > (int64_t)st->n_unknown)
		fprintf(out, "          and %lld more\n",
		    (long long)st->index.unknown - (long long)st->n_unknown);
}

void
status_print(const struct status *st, FILE *out)
{
	char size[32];

	fprintf(out, "spool     %s, %s free\n", st->conf->spool.directory,
	    spool_view_size(st->free_bytes, size));
	if (st->uploader_runs)
		fprintf(out, "uploader  runs, process %ld\n", st->uploader_pid);
	else
		fputs("uploader  does not run\n", out);
	print_files("segments  being written ", &st->open, st, out);
	print_files(", closed ", &st->closed, st, out);
	fputs("\n", out);
	print_ledger(st, out);
	print_files("reports   to process ", &st->inbound, st, out);
	print_files(", going on ", &st->onward, st, out);
	fputs("\n", out);
	fprintf(out, "rejected  %llu lines in %llu files, %s%s\n",
	    (unsigned long long)st->rejected_lines, (unsigned long long)st->rejected_files,
	    spool_view_size(st->rejected_bytes, size),
	    st->rejected_files > 0 ? ": signalpost events --rejected" : "");
	print_index(st, out);
	for (size_t i = 0; i < st->n_problems; i++) {
		fputs("PROBLEM   ", out);
		spool_view_print(out, slice_str(st->problems[i]));
		fputs("\n", out);
	}
	if (st->n_problems == 0)
		fputs("no problems\n", out);
}

/* ---- writing off ---- */

struct lost {
	size_t n, room;
	struct status_missing *v;
};

static void
remember(void *arg, const char *segment, uint64_t events)
{
	struct lost *lost = arg;

	lost->v = xgrow(lost->v, lost->n, &lost->room, sizeof(*lost->v));
	lost->v[lost->n++] = (struct status_missing){ xstrdup(segment), events };
}

static int
write_off_all(struct ledger *l, const struct lost *lost, struct err *e)
{
	for (size_t i = 0; i < lost->n; i++) {
		if (ledger_purge(l, lost->v[i].segment, NULL, e) < 0)
			return -1;
		printf("%s: %llu events count as purged\n", lost->v[i].segment,
		    (unsigned long long)lost->v[i].events);
	}
	return 0;
}

/* The ledger has one writer, and whoever holds the lock is it. */
static int
write_off(const struct spool_view *v, struct err *e)
{
	int lock = openat(
	    v->events, "../" SPOOL_UPLOADER_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
	struct ledger_check check;
	struct lost lost = { 0 };
	struct ledger *l;
	bool none;
	int rc;

	if (lock < 0)
		return err_errno(e, "%s/" SPOOL_UPLOADER_LOCK, v->dir);
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		close(lock);
		return err_set(e, "the uploader runs: stop it, try again, and start it");
	}
	l = ledger_open(v->dir, false, &none, e);
	if (l == NULL && none) {
		close(lock);
		puts("there is no ledger yet");
		return 0;
	}
	ledger_close(l);
	l = ledger_open(v->dir, true, NULL, e);
	rc = l == NULL ? -1 : ledger_check(l, &check, remember, &lost, e);
	if (rc == 0) {
		ledger_check_free(&check);
		rc = write_off_all(l, &lost, e);
	}
	if (rc == 0 && lost.n == 0)
		puts("nothing is missing");
	for (size_t i = 0; i < lost.n; i++)
		free(lost.v[i].segment);
	free(lost.v);
	ledger_close(l);
	close(lock);
	return rc;
}

/* ---- the command ---- */

static int
run(const struct conf *conf, bool json, bool off)
{
	struct spool_view v;
	struct status st;
	struct err e;
	int rc;

	if (off) {
		if (spool_view_open(conf, &v, &e) < 0)
			return fail(&e);
		rc = write_off(&v, &e) < 0 ? fail(&e) : EX_OK;
		spool_view_close(&v);
		return rc;
	}
	if (status_gather(conf, &st, &e) < 0)
		return fail(&e);
	if (json)
		status_print_json(&st, stdout);
	else
		status_print(&st, stdout);
	rc = st.n_problems > 0;
	status_free(&st);
	return rc;
}

int
cmd_status(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "write-off", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	const char *file = CONF_DEFAULT_FILE;
	bool json = false, off = false;
	struct conf *conf;
	struct err e;
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "c:j", longopts, NULL)) != -1)
		if (opt == 'c')
			file = optarg;
		else if (opt == 'j')
			json = true;
		else if (opt == 'w')
			off = true;
		else
			return ctl_usage("status");
	if (optind != argc)
		return ctl_usage("status");
	conf = conf_load(file, &e);
	if (conf == NULL) {
		fail(&e);
		return EX_CONFIG;
	}
	rc = run(conf, json, off);
	conf_free(conf);
	return rc;
}
