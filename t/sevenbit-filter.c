/*
 * A message on standard input, the same message safe for 7-bit hops on standard
 * output; what was done goes to standard error. -c: with CRLF line ends. -w: the
 * parts instead, one line each. For it-sevenbit.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mime.h"
#include "common/sevenbit.h"

static void
read_all(struct buf *in)
{
	char chunk[65536];
	ssize_t n;

	buf_init(in, BUF_NO_LIMIT);
	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		buf_add(in, (struct slice){ chunk, (size_t)n });
}

static void
list_parts(struct slice text)
{
	static const char *const kinds[] = { "leaf", "multipart", "message" };
	struct mime_walk w;
	struct mime_part p;
	int got;

	mime_begin_entity(&w, text);
	while ((got = mime_next(&w, &p)) > 0)
		printf("%u %s %.*s/%.*s %s %zu\n", p.depth, kinds[p.kind], SLICE_FMT(p.type),
		    SLICE_FMT(p.subtype), transfer_name(p.encoding), p.body.len);
	printf("end %d\n", got);
}

int
main(int argc, char **argv)
{
	struct sevenbit_report report;
	struct message m;
	struct buf in, out;
	bool changed;

	read_all(&in);
	if (argc > 1 && strcmp(argv[1], "-w") == 0) {
		list_parts(buf_slice(&in));
		buf_free(&in);
		return 0;
	}
	message_init(&m, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	message_parse(&m, buf_slice(&in));
	changed = sevenbit_make(&m, &report);
	message_print(&m, argc > 1 && strcmp(argv[1], "-c") == 0, &out);
	fwrite(out.p, 1, out.len, stdout);
	fprintf(stderr, "changed=%d parts=%u headers=%u unsafe=%d\n", changed, report.parts,
	    report.headers, report.unsafe);
	buf_free(&in);
	buf_free(&out);
	message_free(&m);
	return 0;
}
