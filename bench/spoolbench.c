/*
 * spoolbench - events a second that are on stable storage when their writer goes on, for
 * numbers of writers that wait for each other's syncs.
 *
 * Usage: spoolbench DIR SECONDS WRITERS...
 *
 * Each writer is a thread that appends one event of common size at a time. One line for each
 * number of writers: events, events/s, syncs, events a sync, the longest wait of a writer, and
 * fdatasync calls a second of a lone file on the same disk, measured just before.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/spool.h"
#include "common/xalloc.h"

struct run {
	struct spool_writer *writer;
	struct buf line;
	int64_t end_ms;
	atomic_ullong events, worst_us;
};

static void
must(int rc, const struct err *e)
{
	if (rc < 0) {
		fprintf(stderr, "spoolbench: %s\n", e->text);
		exit(1);
	}
}

/* As the milter makes it. */
static void
make_line(struct buf *line)
{
	struct event ev;
	struct err e;

	event_init(&ev, EVENT_RECEPTION);
	ev.event_id = 4611686018427387905;
	ev.timestamp = clock_wall_s();
	ev.message_id = SLICE_LIT("000040d4716a5b1c9e02");
	ev.rcpt_to = SLICE_LIT("anna.example@example.net");
	ev.raw_rcpt_to = ev.rcpt_to;
	ev.msg_from = SLICE_LIT("b-7f3a@bounces.brand.example");
	ev.friendly_from = SLICE_LIT("news@brand.example");
	ev.subject = SLICE_LIT("Spring sale: everything must go, and quickly");
	ev.campaign_id = SLICE_LIT("spring_sale");
	ev.binding = SLICE_LIT("mta1");
	ev.binding_group = SLICE_LIT("default");
	ev.sending_ip = SLICE_LIT("192.0.2.10");
	ev.routing_domain = SLICE_LIT("example.net");
	ev.recv_method = SLICE_LIT("esmtp");
	ev.queue_id = SLICE_LIT("4XyZ123456z7Qq");
	ev.msg_size = 31533;
	must(event_json(&ev, line, &e), &e);
}

static void *
work(void *arg)
{
	struct run *r = arg;
	struct err e;

	while (clock_mono_ms() < r->end_ms) {
		int64_t began = clock_wall_us(), took;
		unsigned long long worst;

		must(spool_append(r->writer, buf_slice(&r->line), 1, &e), &e);
		took = clock_wall_us() - began;
		worst = atomic_load(&r->worst_us);
		while (took > (int64_t)worst && !atomic_compare_exchange_weak(
						    &r->worst_us, &worst, (unsigned long long)took))
			;
		atomic_fetch_add(&r->events, 1);
	}
	return NULL;
}

/* What the disk does for one writer that has nobody to share with, writing the same line. */
static double
lone_syncs(const char *dir, const struct buf *line)
{
	char path[4096];
	int64_t began, end;
	unsigned n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/lone", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	began = clock_wall_us();
	end = began + 500000;
	while (clock_wall_us() < end) {
		if (write(fd, line->p, line->len) < 0 || fdatasync(fd) < 0)
			perror(path);
		n++;
	}
	close(fd);
	unlink(path);
	return (double)n * 1000000.0 / (double)(clock_wall_us() - began);
}

static void
run(const char *dir, unsigned seconds, unsigned writers)
{
	struct spool_writer_options opt = {
		.segment_size = 4500000, .segment_age_ms = 10000, .sync = true
	};
	struct run r = { 0 };
	pthread_t *threads = xcalloc(writers, sizeof(*threads));
	struct spool_stats st;
	struct spool *sp;
	struct err e;
	double alone, took;
	int64_t began;

	buf_init(&r.line, BUF_NO_LIMIT);
	make_line(&r.line);
	alone = lone_syncs(dir, &r.line);
	sp = spool_open(dir, &e);
	must(sp == NULL ? -1 : 0, &e);
	r.writer = spool_writer_open(sp, &opt, &e);
	must(r.writer == NULL ? -1 : 0, &e);
	began = clock_wall_us();
	r.end_ms = clock_mono_ms() + (int64_t)seconds * 1000;
	for (unsigned i = 0; i < writers; i++)
		if (pthread_create(&threads[i], NULL, work, &r) != 0)
			exit(1);
	for (unsigned i = 0; i < writers; i++)
		pthread_join(threads[i], NULL);
	took = (double)(clock_wall_us() - began) / 1000000.0;
	st = spool_writer_stats(r.writer);
	printf("writers=%u events=%llu events/s=%.0f syncs=%llu events/sync=%.1f longest=%.1fms "
	       "lone-syncs/s=%.0f ratio=%.2f\n",
	    writers, (unsigned long long)st.events, (double)st.events / took,
	    (unsigned long long)st.syncs, (double)st.events / (double)(st.syncs > 0 ? st.syncs : 1),
	    (double)r.worst_us / 1000.0, alone, (double)st.events / took / alone);
	fflush(stdout);
	spool_writer_close(r.writer);
	spool_close(sp);
	buf_free(&r.line);
	free(threads);
}

int
main(int argc, char **argv)
{
	if (argc < 4) {
		fputs("usage: spoolbench DIR SECONDS WRITERS...\n", stderr);
		return 64;
	}
	for (int i = 3; i < argc; i++)
		run(argv[1], (unsigned)strtoul(argv[2], NULL, 10),
		    (unsigned)strtoul(argv[i], NULL, 10));
	return 0;
}
