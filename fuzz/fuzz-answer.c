/*
 * What an ingest endpoint answers: three digits of status, the rest is
 * the body. Whatever it is, only a 200 that names a batch is taken, and what is
 * quoted is printable, bounded and without the key.
 */
#include <stdlib.h>

#include "uploader/answer.h"

#define KEY "0123456789abcdef0123456789abcdef01234567"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text, size_t max)
{
	size_t n = strlen(text);

	if (n > max)
		abort();
	for (size_t i = 0; i < n; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			abort();
	for (size_t i = 0; i < n; i++)
		if (slice_startsi(slice_str(text + i), SLICE_LIT(KEY)))
			abort();
}

/* Is `word` in the text at all? */
static bool
holds(struct slice text, struct slice word)
{
	for (; text.len >= word.len; text = slice_skip(text, 1))
		if (slice_starts(text, word))
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer a;
	struct slice body;
	long status;

	if (size < 3)
		return 0;
	/* Three digits, so that the corpus is text. */
	status = (data[0] - '0') * 100L + (data[1] - '0') * 10L + (data[2] - '0');
	body = (struct slice){ (const char *)data + 3, size - 3 };
	answer_read(status, body, SLICE_LIT(KEY), false, &a);
	check_text(a.id, ANSWER_ID_MAX);
	if ((a.verdict == ANSWER_DONE) != (status >= 200 && status <= 299))
		abort();
	answer_read(status, body, SLICE_LIT(KEY), true, &a);
	check_text(a.id, ANSWER_ID_MAX);
	check_text(a.quote, ANSWER_QUOTE_MAX);
	if (a.verdict == ANSWER_DONE && (status != 200 || a.id[0] == '\0' || a.advice != NULL))
		abort();
	/* A name may be spelled with escapes; without any, the words must be there. */
	if (a.verdict == ANSWER_DONE && !holds(body, SLICE_LIT("\\")) &&
	    (!holds(body, SLICE_LIT("\"results\"")) || !holds(body, SLICE_LIT("\"id\""))))
		abort();
	if (a.verdict != ANSWER_DONE && a.id[0] != '\0')
		abort();
	return 0;
}
