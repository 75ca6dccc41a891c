/*
 * reportbench.c - reads mails again and again and says how many in a second of CPU, with the
 * class of each recipient.
 *
 *	reportbench ROUNDS FILE...
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "common/file.h"
#include "common/report_class.h"
#include "common/xalloc.h"

#define MAIL_MAX ((size_t)100 * 1024 * 1024)

static double
cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t
read_once(struct report_reader *rr, const struct classifier *c, struct slice mail)
{
	struct classification v;
	struct report r;

	report_read(rr, mail, &r);
	if (r.kind == REPORT_BOUNCE)
		for (size_t i = 0; i < r.n_rcpts; i++)
			report_class(c, &r, &r.rcpts[i], &v);
	return r.n_rcpts;
}

int
main(int argc, char **argv)
{
	struct report_reader *rr = report_open();
	struct classifier *c;
	struct buf *mails;
	struct err e;
	size_t n = 0, bytes = 0, rcpts = 0;
	long rounds = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	double began, took;

	c = classify_open(NULL, &e);
	if (rounds < 1 || c == NULL) {
		fprintf(stderr, "usage: reportbench rounds file ...\n");
		return EX_USAGE;
	}
	mails = xcalloc((size_t)argc, sizeof(*mails));
	for (int i = 2; i < argc; i++) {
		buf_init(&mails[n], MAIL_MAX);
		if (file_read(AT_FDCWD, argv[i], &mails[n], &e) < 0) {
			fprintf(stderr, "reportbench: %s\n", e.text);
			return 1;
		}
		bytes += mails[n++].len;
	}
	began = cpu_s();
	for (long k = 0; k < rounds; k++)
		for (size_t i = 0; i < n; i++)
			rcpts += read_once(rr, c, buf_slice(&mails[i]));
	took = cpu_s() - began;
	printf("%zu mails of %zu bytes on average, %zu recipients: %.0f mails/s\n", n, bytes / n,
	    rcpts / (size_t)rounds, (double)n * (double)rounds / took);
	for (size_t i = 0; i < n; i++)
		buf_free(&mails[i]);
	free(mails);
	report_close(rr);
	classify_close(c);
	return 0;
}
