/* Any bytes: encoding and decoding give them back, repair keeps what they decode to. */
#include <stdlib.h>

#include "common/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
lines_are_safe(struct slice text, size_t max)
{
	struct slice line;

	while (text.len > 0) {
		line = slice_cut(&text, '\n');
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		check(line.len <= max);
		for (size_t i = 0; i < line.len; i++)
			check((unsigned char)line.p[i] < 0x80 && line.p[i] != '\0' &&
			      line.p[i] != '\r');
	}
}

static void
qp_gives_it_back(struct slice in, const char *eol)
{
	struct buf text, back;
	struct slice rest, line;

	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&back, BUF_NO_LIMIT);
	transfer_encode_qp(&text, in, eol);
	lines_are_safe(buf_slice(&text), TRANSFER_LINE_MAX);
	rest = buf_slice(&text);
	while (slice_line(&rest, &line))
		check(!slice_starts(line, SLICE_LIT("--")) &&
		      !slice_starts(line, SLICE_LIT("From ")) && !slice_eq(line, SLICE_LIT(".")));
	check(transfer_decode(&back, buf_slice(&text), TRANSFER_QUOTED_PRINTABLE));
	check(slice_eq(buf_slice(&back), in));
	buf_free(&text);
	buf_free(&back);
}

static void
base64_gives_it_back(struct slice in, const char *eol)
{
	struct buf text, back;

	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&back, BUF_NO_LIMIT);
	transfer_encode_base64(&text, in, eol);
	lines_are_safe(buf_slice(&text), TRANSFER_LINE_MAX);
	check(transfer_decode(&back, buf_slice(&text), TRANSFER_BASE64));
	check(slice_eq(buf_slice(&back), in));
	buf_free(&text);
	buf_free(&back);
}

static void
repair_keeps_it(struct slice in, const char *eol)
{
	struct buf before, text, after, again;

	buf_init(&before, BUF_NO_LIMIT);
	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&after, BUF_NO_LIMIT);
	buf_init(&again, BUF_NO_LIMIT);
	transfer_repair_qp(&text, in, eol);
	lines_are_safe(buf_slice(&text), 998);
	transfer_decode(&before, in, TRANSFER_QUOTED_PRINTABLE);
	transfer_decode(&after, buf_slice(&text), TRANSFER_QUOTED_PRINTABLE);
	check(slice_eq(buf_slice(&before), buf_slice(&after)));
	transfer_repair_qp(&again, buf_slice(&text), eol);
	check(slice_eq(buf_slice(&again), buf_slice(&text)));

	buf_clear(&before);
	buf_clear(&text);
	buf_clear(&after);
	if (transfer_repair_base64(&text, in, eol)) {
		lines_are_safe(buf_slice(&text), TRANSFER_LINE_MAX);
		transfer_decode(&before, in, TRANSFER_BASE64);
		transfer_decode(&after, buf_slice(&text), TRANSFER_BASE64);
		check(slice_eq(buf_slice(&before), buf_slice(&after)));
	} else {
		check(text.len == 0);
	}
	buf_free(&before);
	buf_free(&text);
	buf_free(&after);
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	const char *eol = size % 2 == 0 ? "\n" : "\r\n";

	qp_gives_it_back(in, eol);
	base64_gives_it_back(in, eol);
	repair_keeps_it(in, eol);
	transfer_name(transfer_parse(in));
	return 0;
}
