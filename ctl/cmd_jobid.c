/*
 * cmd_jobid.c - the sanitizer on its own, for those who write X-Job headers and
 * want to know beforehand what their campaign will be called.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/jobid.h"
#include "ctl/ctl.h"

#define STDIN_MAX ((size_t)1 << 20)

static void
print_jobid(struct slice text)
{
	struct slice campaign;
	struct buf id;

	buf_init(&id, BUF_NO_LIMIT);
	jobid_sanitize(text, &id);
	printf("%s\n", buf_str(&id));
	campaign = jobid_campaign(buf_slice(&id));
	if (campaign.len < id.len)
		fprintf(stderr, "signalpost jobid: %zu bytes; as campaign_id: %.*s\n", id.len,
		    SLICE_FMT(campaign));
	buf_free(&id);
}

/* All bytes count: NUL, and the line end that echo(1) adds. */
static int
from_stdin(void)
{
	struct buf text;
	char chunk[4096];
	size_t n;
	int rc = EX_OK;

	buf_init(&text, STDIN_MAX);
	while (!text.full && (n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		buf_add(&text, (struct slice){ chunk, n });
	if (ferror(stdin)) {
		perror("signalpost jobid: standard input");
		rc = 1;
	} else if (text.full) {
		fprintf(
		    stderr, "signalpost jobid: standard input: larger than %zu bytes\n", STDIN_MAX);
		rc = 1;
	} else {
		print_jobid(buf_slice(&text));
	}
	buf_free(&text);
	return rc;
}

int
cmd_jobid(int argc, char **argv)
{
	/* "+": what stands behind the first text is text, even with a '-'. */
	if (getopt(argc, argv, "+") != -1 || optind == argc)
		return ctl_usage("jobid");
	if (argc - optind == 1 && strcmp(argv[optind], "-") == 0)
		return from_stdin();
	for (int i = optind; i < argc; i++)
		print_jobid(slice_str(argv[i]));
	return EX_OK;
}
