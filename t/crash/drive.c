/*
 * drive.c - writes to a spool as the programs do, from several threads: events, captured
 * reports, refused lines; and says what was acknowledged, a line each on standard output, the
 * moment it is.
 *
 * Usage: drive SPOOL THREADS ROUNDS [tolerant]
 *
 * What fails ends it; if it is to be tolerant, what fails is not acknowledged, and said on
 * standard error.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/event.h"
#include "common/file.h"
#include "common/inbound.h"
#include "common/rejected.h"
#include "common/spool.h"

static struct spool *sp;
static struct spool_writer *writer;
static struct rejected *rejected;
static pthread_mutex_t rejected_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned rounds;
static bool tolerant;
static int out; /* not one of the first three, which the recorder does not look at */

static void
say(const char *what, const char *which)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "%s %s\n", what, which);

	if (file_write_all(out, (struct slice){ line, (size_t)n }) < 0)
		exit(1);
}

static void
must(int rc, const struct err *e)
{
	if (rc < 0) {
		fprintf(stderr, "drive: %s\n", e->text);
		exit(1);
	}
}

/* May we go on and say that it was done? */
static bool
good(int rc, const struct err *e)
{
	if (rc < 0 && tolerant) {
		fprintf(stderr, "drive: %s\n", e->text);
		return false;
	}
	must(rc, e);
	return true;
}

static void
event(unsigned thread, unsigned i, struct buf *line)
{
	struct event ev;
	struct err e;
	char id[32], mail[64];

	snprintf(id, sizeof(id), "%08x%08x0000", thread, i);
	snprintf(mail, sizeof(mail), "t%u.%u@example.net", thread, i);
	event_init(&ev, EVENT_RECEPTION);
	ev.event_id = (int64_t)thread * 1000000 + i + 1;
	ev.timestamp = (int64_t)time(NULL);
	ev.message_id = slice_str(id);
	ev.rcpt_to = slice_str(mail);
	ev.recv_method = SLICE_LIT("esmtp");
	must(event_json(&ev, line, &e), &e);
}

static void
append(unsigned thread, unsigned i)
{
	struct buf line;
	struct err e;
	char id[32];

	buf_init(&line, BUF_NO_LIMIT);
	event(thread, i, &line);
	snprintf(id, sizeof(id), "%u", thread * 1000000 + i + 1);
	if (good(spool_append(writer, buf_slice(&line), 1, &e), &e))
		say("event", id);
	buf_free(&line);
}

static void
capture(unsigned thread, unsigned i)
{
	struct inbound_rcpt rcpt = { SLICE_LIT("b@bounces.example"), INBOUND_BOUNCE };
	struct inbound_envelope env = { .n_rcpts = 1, .rcpts = &rcpt, .received_s = 1 };
	char name[INBOUND_NAME_SIZE], text[100];
	struct inbound_writer *w;
	struct err e;
	int rc;

	w = inbound_create(sp, &env, &e);
	if (!good(w == NULL ? -1 : 0, &e))
		return;
	snprintf(text, sizeof(text), "Subject: %u\r\n\r\n", thread * 1000000 + i);
	rc = inbound_write(w, slice_str(text), &e);
	for (int piece = 0; rc == 0 && piece < 40; piece++)
		rc = inbound_write(w, SLICE_LIT("a line of a report, as long as one is\r\n"), &e);
	if (!good(rc, &e))
		inbound_abandon(w);
	else if (good(inbound_commit(w, name, &e), &e))
		say("inbound", name);
}

static void
reject(unsigned thread, unsigned i)
{
	char segment[SPOOL_NAME_SIZE], name[REJECTED_NAME_SIZE];
	struct rejected_why why = { .reason = SLICE_LIT("400 no"), .sink = SLICE_LIT("signals") };
	struct buf line;
	struct err e;
	int rc;

	buf_init(&line, BUF_NO_LIMIT);
	event(thread, i, &line);
	snprintf(segment, sizeof(segment), "sp1-%016X.json", thread * 1000000 + i);
	rejected_name(segment, why.sink, 0, name);
	pthread_mutex_lock(&rejected_lock);
	rc = rejected_add(rejected, name, &why, buf_slice(&line), &e);
	pthread_mutex_unlock(&rejected_lock);
	if (good(rc, &e))
		say("rejected", name);
	buf_free(&line);
}

static void *
work(void *arg)
{
	unsigned thread = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < rounds; i++) {
		append(thread, i);
		if (i % 10 == 3)
			capture(thread, i);
		if (i % 10 == 7)
			reject(thread, i);
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	struct spool_writer_options opt = {
		.segment_size = 4000, .segment_age_ms = 20, .sync = true
	};
	pthread_t threads[64];
	unsigned n;
	struct err e;

	tolerant = argc == 5;
	if (argc < 4 || argc > 5 || (n = (unsigned)strtoul(argv[2], NULL, 10)) < 1 || n > 64)
		return 64;
	rounds = (unsigned)strtoul(argv[3], NULL, 10);
	out = fcntl(STDOUT_FILENO, F_DUPFD, 3);
	sp = spool_open(argv[1], &e);
	for (unsigned tries = 0; sp == NULL && tolerant && tries < 1000; tries++)
		sp = spool_open(argv[1], &e);
	must(sp == NULL ? -1 : 0, &e);
	writer = spool_writer_open(sp, &opt, &e);
	must(writer == NULL ? -1 : 0, &e);
	rejected = rejected_open(spool_rejected_fd(sp), NULL);
	for (unsigned i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	spool_writer_close(writer);
	rejected_close(rejected);
	spool_close(sp);
	return 0;
}
