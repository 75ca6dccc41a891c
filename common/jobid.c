#include "common/jobid.h"

static bool
is_safe(char c)
{
	return c > 0x20 && c < 0x7f && c != '"' && c != '`';
}

void
jobid_sanitize(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++)
		buf_addc(out, is_safe(in.p[i]) ? in.p[i] : '_');
}

/* How many bytes at `i` are the line end of a fold (RFC 5322 2.2.3); 0: none. */
static size_t
fold_at(struct slice s, size_t i)
{
	size_t n = s.p[i] == '\r' && i + 1 < s.len && s.p[i + 1] == '\n' ? 2 : s.p[i] == '\n';

	if (n == 0 || i + n >= s.len)
		return 0;
	return s.p[i + n] == ' ' || s.p[i + n] == '\t' ? n : 0;
}

void
jobid_from_header(struct slice value, struct slice prefix, struct buf *out)
{
	buf_clear(out);
	value = slice_trim(value);
	if (value.len == 0)
		return;
	jobid_sanitize(prefix, out);
	for (size_t i = 0; i < value.len;) {
		size_t fold = fold_at(value, i);

		if (fold == 0)
			jobid_sanitize((struct slice){ value.p + i, 1 }, out);
		i += fold > 0 ? fold : 1;
	}
}

struct slice
jobid_campaign(struct slice jobid)
{
	return slice_head(jobid, JOBID_CAMPAIGN_MAX);
}
