/*
 * jobid: for every byte the result is pmtaSafeJobID's, lengths, header values.
 */
#include "common/jobid.h"
#include "t/tap.h"

/* The set of PowerMTA's regular expression, spelled out letter by letter. */
static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			   "!#$%&'()*+,-./:;<=>?@[\\]^_{|}~";

static void
every_byte(void)
{
	unsigned replaced = 0;

	for (int c = 0; c < 256; c++) {
		char in = (char)c;
		struct buf out;
		bool keep = c != 0 && memchr(kept, c, sizeof(kept) - 1) != NULL;

		buf_init(&out, 16);
		jobid_sanitize((struct slice){ &in, 1 }, &out);
		ok(out.len == 1 && out.p[0] == (keep ? in : '_'), "byte 0x%02x", c);
		replaced += !keep;
		buf_free(&out);
	}
	ok(replaced == 256 - 92, "92 bytes are kept as they are");
}

/* 0x20..0xff in one go, as the documentation of the expression shows it. */
static void
printed_example(void)
{
	char in[224];
	struct buf out;
	size_t underscores = 0;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i + 32);
	buf_init(&out, 1000);
	jobid_sanitize((struct slice){ in, sizeof(in) }, &out);
	for (size_t i = 0; i < out.len; i++)
		underscores += out.p[i] == '_';
	ok(out.len == 224 && underscores == 133, "224 characters in, 133 underscores out");
	ok(slice_starts(buf_slice(&out),
	       slice_str("_!_#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^__"
			 "abcdefghijklmnopqrstuvwxyz{|}~__")),
	    "as printed");
	buf_free(&out);
}

#define TEN "0123456789"

static void
header_values(void)
{
	static const struct {
		const char *value, *prefix, *want;
	} rows[] = {
		{ " summer", "", "summer" },
		{ "\tsummer sale \r\n", "", "summer_sale" },
		{ " summer\r\n sale", "", "summer_sale" },
		{ " summer\n\tsale", "", "summer_sale" },
		{ " summer\r\n  \tsale", "",
		    "summer___sale" }, /* the white space of a fold stays */
		{ "a\rb", "", "a_b" }, /* no fold: bytes like others */
		{ "a\nb", "", "a_b" },
		{ "a\r\nb", "", "a__b" },
		{ "a\r\r\n b", "", "a__b" },
		{ " summer", "joe-", "joe-summer" },
		{ " summer", "joe smith/", "joe_smith/summer" },
		{ "", "", "" },
		{ "", "joe-", "" },
		{ " \r\n\t ", "joe-", "" },
		{ " \xc5\xbc"
		  "aba",
		    "", "__aba" },
		{ " \xe2\x82\xac", "", "___" },
		{ " \"x`y\"", "", "_x_y_" },
		{ " " TEN TEN TEN TEN TEN TEN TEN, "", TEN TEN TEN TEN TEN TEN TEN },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf out;

		buf_init(&out, 1000);
		buf_adds(&out, "old");
		jobid_from_header(slice_str(rows[i].value), slice_str(rows[i].prefix), &out);
		ok(strcmp(buf_str(&out), rows[i].want) == 0, "'%s' with '%s' is '%s', got '%s'",
		    rows[i].value, rows[i].prefix, rows[i].want, buf_str(&out));
		buf_free(&out);
	}
}

static void
lengths(void)
{
	struct slice in = slice_str(TEN TEN TEN TEN TEN TEN "abcde");
	struct buf out;

	ok(jobid_campaign(in).len == 64 && jobid_campaign(in).p == in.p, "65 bytes are cut to 64");
	ok(slice_eq(jobid_campaign(slice_head(in, 64)), slice_head(in, 64)), "64 stay");
	ok(jobid_campaign((struct slice){ NULL, 0 }).len == 0, "nothing stays nothing");

	buf_init(&out, 1000);
	jobid_sanitize((struct slice){ NULL, 0 }, &out);
	ok(out.len == 0, "no bytes, no job id");
	jobid_sanitize((struct slice){ "a\0b\n", 4 }, &out);
	ok(strcmp(buf_str(&out), "a_b_") == 0, "NUL and LF");
	jobid_sanitize(slice_str("c"), &out);
	ok(strcmp(buf_str(&out), "a_b_c") == 0, "appended");
	buf_free(&out);
	buf_init(&out, 4);
	jobid_sanitize(slice_str("abcdef"), &out);
	ok(out.full && strcmp(buf_str(&out), "abcd") == 0, "the cap holds");
	buf_free(&out);
}

int
main(void)
{
	every_byte();
	printed_example();
	header_values();
	lengths();
	return tap_done();
}
