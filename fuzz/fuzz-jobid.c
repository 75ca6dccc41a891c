/*
 * jobid: nothing but safe bytes comes out, as many as went in, and twice is once.
 * Input: prefix, LF, header value.
 */
#include <stdlib.h>

#include "common/jobid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_safe(struct slice id)
{
	for (size_t i = 0; i < id.len; i++)
		check(id.p[i] > 0x20 && id.p[i] < 0x7f && id.p[i] != '"' && id.p[i] != '`');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size }, value = in;
	struct slice prefix = slice_cut(&value, '\n');
	struct buf once, twice, id;

	buf_init(&once, BUF_NO_LIMIT);
	buf_init(&twice, BUF_NO_LIMIT);
	buf_init(&id, BUF_NO_LIMIT);

	jobid_sanitize(in, &once);
	check(once.len == in.len);
	check_safe(buf_slice(&once));
	jobid_sanitize(buf_slice(&once), &twice);
	check(slice_eq(buf_slice(&once), buf_slice(&twice)));

	jobid_from_header(value, prefix, &id);
	check_safe(buf_slice(&id));
	check(id.len <= prefix.len + value.len);
	check((id.len == 0) == (slice_trim(value).len == 0));
	check(jobid_campaign(buf_slice(&id)).len <= JOBID_CAMPAIGN_MAX);

	buf_free(&once);
	buf_free(&twice);
	buf_free(&id);
	return 0;
}
