#include "tracker/answer.h"

#include <microhttpd.h>

#include "common/slice.h"

/* GIF89a, 1x1, two colours of which the first, the pixel's, is transparent. */
static const char pixel[] = "GIF89a\1\0\1\0\200\0\0\0\0\0\377\377\377"
			    "!\371\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";

static const struct {
	unsigned status;
	const char *type;
	const char *body;
	size_t len;
	const char *allow;
} answers[] = {
#define TEXT(t) "text/plain; charset=utf-8", t, sizeof("" t) - 1
	[ANSWER_PIXEL] = { 200, "image/gif", pixel, sizeof(pixel) - 1, NULL },
	[ANSWER_ROBOTS] = { 200, TEXT("User-agent: *\nDisallow: /\n"), NULL },
	[ANSWER_HEALTH] = { 200, TEXT("ok\n"), NULL },
	[ANSWER_UNKNOWN] = { 404, TEXT("There is nothing here.\n"), NULL },
	[ANSWER_EXPIRED] = { 410, TEXT("This link has expired.\n"), NULL },
	[ANSWER_METHOD] = { 405, TEXT("Only GET and HEAD are allowed here.\n"), "GET, HEAD" },
	[ANSWER_BODY] = { 413, TEXT("A request has no body here.\n"), NULL },
	[ANSWER_TOO_LONG] = { 414, TEXT("The URL is too long.\n"), NULL },
#undef TEXT
};
_Static_assert(COUNT(answers) == ANSWERS, "every answer is there");

void
answer_forbid_storing(struct MHD_Response *r)
{
	MHD_add_response_header(
	    r, "Cache-Control", "no-store, no-cache, must-revalidate, private, max-age=0");
	MHD_add_response_header(r, "Pragma", "no-cache");
	MHD_add_response_header(r, "Expires", "Thu, 01 Jan 1970 00:00:00 GMT");
}

unsigned
answer_status(enum answer a)
{
	return answers[a].status;
}

struct MHD_Response *
answer_fixed(enum answer a)
{
	union {
		const char *in;
		void *out;
	} body = { .in = answers[a].body }; /* it is only read */
	struct MHD_Response *r =
	    MHD_create_response_from_buffer(answers[a].len, body.out, MHD_RESPMEM_PERSISTENT);

	if (r == NULL)
		return NULL;
	answer_forbid_storing(r);
	MHD_add_response_header(r, "Content-Type", answers[a].type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (answers[a].allow != NULL)
		MHD_add_response_header(r, "Allow", answers[a].allow);
	return r;
}
