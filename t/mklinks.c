/*
 * mklinks - tracked URLs for tests and measurements.
 *
 *	mklinks [-n COUNT] [-t TIME] [-s SUBACCOUNT] [-p SUBLINK] KEYDIR BASE KIND RCPT [NAME URL]
 *
 * KIND is c, u, o or i. One line a link; each has a message id of its own, made
 * at TIME (default: now), counted up from one that is taken by chance.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/link.h"

static uint64_t
number(const char *text)
{
	uint64_t n;

	if (!slice_uint(slice_str(text), UINT32_MAX, &n)) {
		fprintf(stderr, "mklinks: %s is no number\n", text);
		exit(64);
	}
	return n;
}

static int
print_links(const struct token_ring *r, const char *base, struct link *l, uint64_t count)
{
	struct buf url;
	struct err e;
	int rc = 0;

	buf_init(&url, BUF_NO_LIMIT);
	for (uint64_t i = 0; i < count && rc == 0; i++, l->message.serial++) {
		buf_clear(&url);
		rc = link_make(r, base, l, &url, &e);
		if (rc == 0)
			puts(buf_str(&url));
		else
			fprintf(stderr, "mklinks: %s\n", e.text);
	}
	buf_free(&url);
	return rc;
}

int
main(int argc, char **argv)
{
	struct link l = { .message = { .time = (uint32_t)clock_wall_s() } };
	struct token_ring *r;
	uint64_t count = 1;
	struct err e;
	int c, rc;

	hash_random(&l.message.serial, sizeof(l.message.serial));
	while ((c = getopt(argc, argv, "n:t:s:p:")) != -1)
		if (c == 'n')
			count = number(optarg);
		else if (c == 't')
			l.message.time = (uint32_t)number(optarg);
		else if (c == 's')
			l.subaccount = number(optarg);
		else if (c == 'p')
			l.sublink = slice_str(optarg);
		else
			return 64;
	argv += optind;
	argc -= optind;
	if (argc != 4 && argc != 6)
		return 64;
	r = token_ring_open(argv[0], &e);
	if (r == NULL) {
		fprintf(stderr, "mklinks: %s\n", e.text);
		return 1;
	}
	l.kind = (enum token_kind)argv[2][0];
	l.rcpt = slice_str(argv[3]);
	if (argc == 6) {
		l.name = slice_str(argv[4]);
		l.url = slice_str(argv[5]);
	}
	rc = print_links(r, argv[1], &l, count);
	token_ring_close(r);
	return rc < 0 ? 1 : 0;
}
