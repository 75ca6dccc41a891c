#include "common/report_frame.h"

#include <stdatomic.h>

#include "common/ascii.h"
#include "common/words.h"

#define BANNER_MAX ((size_t)640)
#define FOOTER_MAX ((size_t)2048)

static const char *const banner_words[] = { "originated from outside", "originated outside",
	"sent from outside", "external email", "external e-mail", "external mail",
	"external sender", "external message", "[external", "[ext]", "outside of the organi",
	"outside the organi", "outside your organi", "outside of our", "outside our",
	"do not click", "report phishing", "recognize the sender", "recognise the sender",
	"externe e-mail", "externe mail", "von extern", "externer absender", "expéditeur externe",
	"courriel externe", "correo externo", "mittente esterno", "remetente externo",
	"externe afzender" };

static const char *const footer_words[] = { "confidential", "received in error",
	"received it in error", "received this in error", "received this message in error",
	"received this email in error", "received this e-mail in error", "virus scanned",
	"scanned for virus", "scanned by", "was scanned", "virus-free", "virenfrei",
	"checked for virus", "vertraulich", "confidentiel", "riservat", "message was checked",
	"signature database", "virus database", "poufn", "конфиденциальн", "vertrouwelijk", "gizli",
	"legally privileged", "disclaimer", "please consider the environment" };

enum { BANNER, FOOTER };

/* Which kinds of words are in it: most texts have none. Made when the first text comes. */
static uint64_t
kinds_in(struct slice s)
{
	static _Atomic(struct words *) finder;
	struct words *w = atomic_load_explicit(&finder, memory_order_acquire), *other = NULL;
	uint64_t kinds = 0;

	if (w == NULL) {
		w = words_new();
		for (size_t i = 0; i < COUNT(banner_words); i++)
			words_add(w, banner_words[i], BANNER);
		for (size_t i = 0; i < COUNT(footer_words); i++)
			words_add(w, footer_words[i], FOOTER);
		words_ready(w);
		if (!atomic_compare_exchange_strong(&finder, &other, w)) {
			words_free(w); /* another thread was faster */
			w = other;
		}
	}
	words_find(w, s, &kinds);
	return kinds;
}

static size_t
lowered(char *to, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.p[i]);
	return s.len;
}

static const char *
first_of(const char *p, size_t len, const char *const *words, size_t n)
{
	const char *first = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *at = memmem(p, len, words[i], strlen(words[i]));

		if (at != NULL && (first == NULL || at < first)) {
			first = at;
			len = (size_t)(at - p) + strlen(words[i]);
		}
	}
	return first;
}

static bool
is_empty(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (ascii_is_alnum(line.p[i]) || (unsigned char)line.p[i] >= 0x80)
			return false;
	return true;
}

/* Length of the first paragraph, with the empty lines before it; lines of dashes are empty. */
static size_t
paragraph(struct slice s)
{
	struct slice rest = s, line;
	bool begun = false;

	for (struct slice at = rest; slice_line(&rest, &line); at = rest) {
		if (is_empty(line) && begun)
			return s.len - at.len;
		begun = begun || !is_empty(line);
	}
	return s.len;
}

struct slice
report_frame_skip_banner(struct slice text)
{
	for (int i = 0; i < 3; i++) {
		size_t n = paragraph(slice_head(text, BANNER_MAX));
		uint64_t kinds;

		if (n >= BANNER_MAX || n >= text.len)
			return text;
		kinds = kinds_in(slice_head(text, n));
		if ((kinds >> BANNER & 1) == 0 && (i == 0 || kinds == 0))
			return text;
		text = slice_skip(text, n);
	}
	return text;
}

/* Where the paragraph begins that a gateway's words are in; the end of the text if there is none.
 */
static size_t
footer_at(struct slice text)
{
	size_t from = text.len > FOOTER_MAX ? text.len - FOOTER_MAX : 0, at, start;
	struct slice tail = slice_skip(text, from);
	char lower[FOOTER_MAX];
	const char *word;

	if ((kinds_in(tail) >> FOOTER & 1) == 0)
		return text.len;
	word = first_of(lower, lowered(lower, tail), footer_words, COUNT(footer_words));
	if (word == NULL)
		return text.len;
	/* back to the start of its paragraph */
	at = start = from + (size_t)(word - lower);
	while (at > 0) {
		size_t line = at;

		while (line > 0 && text.p[line - 1] != '\n')
			line--;
		if (is_empty((struct slice){ text.p + line, at - line }) && at < start)
			break;
		start = line;
		at = line > 0 ? line - 1 : 0;
		if (line == 0)
			break;
	}
	return start;
}

struct slice
report_frame_cut_footer(struct slice text)
{
	struct slice before = slice_head(text, footer_at(text));

	/* A report that begins with it has nothing else to say. */
	return slice_find(before, '@') < before.len ? before : text;
}

bool
report_frame_only(struct slice text)
{
	struct slice inner = report_frame_skip_banner(text);

	inner = slice_head(inner, footer_at(inner));
	return slice_find(inner, '@') == inner.len;
}
