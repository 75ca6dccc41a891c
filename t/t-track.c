/*
 * Messages of many shapes are tracked and then put back: every tracked URL opened, every
 * pixel taken out, it must be the message that went in, decoded to the byte.
 */
#include <stdlib.h>
#include <unistd.h>

#include "common/header.h"
#include "common/mime.h"
#include "common/track.h"
#include "t/tap.h"

#define BASE "https://track.example.com"

static struct token_ring *ring;

#define LINKED                                                                                     \
	"<p>see <a href=\"https://x.example/a?b=1\">this</a> or <a "                               \
	"href=\"http://y.example/\">that</a>,\r\nor <a href=\"mailto:z@x.example\">mail</a></p>"
#define LINKED_QP                                                                                  \
	"<p>see <a href=3D\"https://x.example/a?b=3D1\">this</a> or <a href=3D\"http://y.=\r\n"     \
	"example/\">that</a>,\r\nor <a href=3D\"mailto:z@x.example\">mail</a></p>"
/* base64 of LINKED */
#define LINKED_B64                                                                                 \
	"PHA+c2VlIDxhIGhyZWY9Imh0dHBzOi8veC5leGFtcGxlL2E/Yj0xIj50aGlz\r\n"                           \
	"PC9hPiBvciA8YSBocmVmPSJodHRwOi8veS5leGFtcGxlLyI+dGhhdDwvYT4s\r\n"                           \
	"DQpvciA8YSBocmVmPSJtYWlsdG86ekB4LmV4YW1wbGUiPm1haWw8L2E+PC9w\r\n"                           \
	"Pg=="
#define HTML(cte) "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: " cte "\r\n"
#define MULTI(kind) "Content-Type: multipart/" kind "; boundary=\"B\"\r\n"
#define TEXT_PART "--B\r\nContent-Type: text/plain\r\n\r\nsee https://x.example/t\r\n"

static const struct {
	const char *name, *head, *body;
	bool text;
	unsigned links, pixels;
	const char *why_not;
	unsigned passed;
} rows[] = {
	{ "quoted-printable", HTML("quoted-printable"), LINKED_QP "\r\n", 0, 2, 2, NULL, 0 },
	{ "base64", HTML("base64"), LINKED_B64 "\r\n", 0, 2, 2, NULL, 0 },
	{ "base64, and something behind its padding", HTML("base64"), LINKED_B64 "\r\nPHA+\r\n", 0, 0, 0, NULL, 1 },
	{ "base64, padding and junk", HTML("base64"), LINKED_B64 "=\r\n--\r\n.!\r\n", 0, 2, 2, NULL, 0 },
	{ "7bit", HTML("7bit"), LINKED "\r\n", 0, 2, 2, NULL, 0 },
	{ "8bit", HTML("8bit"), "<p>gr\303\274\303\237e</p>" LINKED "\r\n", 0, 2, 2, NULL, 0 },
	{ "no line end at the end", HTML("quoted-printable"), LINKED_QP, 0, 2, 2, NULL, 0 },
	{ "LF line ends", HTML("quoted-printable"), "<a href=3D\"http://x.example/=\n\">x</a>\n", 0, 1, 2,
	    NULL, 0 },
	{ "upper-case type, no charset", "CONTENT-TYPE: TEXT/HTML\r\n", LINKED "\r\n", 0, 2, 2, NULL, 0 },
	{ "body tags", HTML("7bit"),
	    "<html><body class=\"x\">" LINKED "</body></html>\r\n", 0, 2, 2, NULL, 0 },
	{ "alternative", MULTI("alternative"),
	    TEXT_PART "--B\r\n" HTML("quoted-printable") "\r\n" LINKED_QP "\r\n--B--\r\n", 0, 2, 2, NULL, 0 },
	{ "alternative, text too", MULTI("alternative"),
	    TEXT_PART "--B\r\n" HTML("quoted-printable") "\r\n" LINKED_QP "\r\n--B--\r\n", 1, 3, 2, NULL, 0 },
	{ "two html parts: pixels in the first", MULTI("mixed"),
	    "--B\r\n" HTML("7bit") "\r\n" LINKED "\r\n--B\r\n" HTML("base64") "\r\n" LINKED_B64 "\r\n--B--\r\n", 0,
	    4, 2, NULL, 0 },
	{ "an attachment is not a part that is shown", MULTI("mixed"),
	    TEXT_PART "--B\r\n" HTML("7bit") "Content-Disposition: attachment; filename=x.html\r\n\r\n" LINKED
		"\r\n--B--\r\n", 0, 0, 0, "no-html", 0 },
	{ "nor is what a forwarded message holds", MULTI("mixed"),
	    TEXT_PART "--B\r\nContent-Type: message/rfc822\r\n\r\n" HTML("7bit") "\r\n" LINKED "\r\n--B--\r\n", 0, 0,
	    0, "no-html", 0 },
	{ "AMP", MULTI("alternative"),
	    "--B\r\nContent-Type: text/x-amp-html\r\n\r\n" LINKED "\r\n--B\r\n" HTML("7bit") "\r\n" LINKED
	    "\r\n--B--\r\n", 0, 2, 2, NULL, 0 },
	{ "signed", "Content-Type: multipart/signed; boundary=B; protocol=\"application/pgp-signature\"\r\n",
	    "--B\r\n" HTML("7bit") "\r\n" LINKED "\r\n--B\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n"
	    "--B--\r\n", 0, 0, 0, "signed", 0 },
	{ "a signed part somewhere", MULTI("mixed"),
	    "--B\r\n" HTML("7bit") "\r\n" LINKED "\r\n--B\r\nContent-Type: application/pkcs7-mime\r\n\r\nx\r\n--B--\r\n",
	    0, 0, 0, "signed", 0 },
	{ "inline PGP", MULTI("alternative"),
	    "--B\r\nContent-Type: text/plain\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nx\r\n--B\r\n" HTML("7bit")
	    "\r\n" LINKED "\r\n--B--\r\n", 0, 0, 0, "pgp", 0 },
	{ "text only", "Content-Type: text/plain\r\n", "https://x.example/\r\n", 0, 0, 0, "no-html", 0 },
	{ "text only, tracked", "Content-Type: text/plain\r\n", "see https://x.example/ .\r\n", 1, 1, 0, NULL, 0 },
	{ "no Content-Type", "", "https://x.example/\r\n", 0, 0, 0, "no-html", 0 },
	{ "UTF-16", "Content-Type: text/html; charset=utf-16\r\n", LINKED "\r\n", 0, 0, 0, NULL, 1 },
	{ "uuencode", "Content-Type: text/html\r\nContent-Transfer-Encoding: x-uuencode\r\n", LINKED "\r\n", 0, 0, 0,
	    "no-html", 0 },
	{ "no closing boundary", MULTI("mixed"), "--B\r\n" HTML("quoted-printable") "\r\n" LINKED_QP "\r\n", 0, 2, 2,
	    NULL, 0 },
	{ "nothing to do: no links, and no pixel in a frameset", HTML("7bit"),
	    "<html><frameset><frame src=\"http://x.example/\"></frameset></html>\r\n", 0, 0, 0, NULL, 0 },
	{ "empty", HTML("7bit"), "", 0, 0, 2, NULL, 0 },
};

/* ---- putting it back ---- */

/* The tracked URL at the start of `s`: its length, and the link it opens to. */
static size_t
tracked(struct slice s, struct link *l, struct buf *store)
{
	size_t n = strlen(BASE);

	if (!slice_starts(s, SLICE_LIT(BASE "/")))
		return 0;
	while (n < s.len && s.p[n] != '"' && (unsigned char)s.p[n] > 0x20)
		n++;
	return link_open(ring, slice_head(slice_skip(s, strlen(BASE)), n - strlen(BASE)), l, store) ? n : 0;
}

/* Append `s` with every pixel gone and every tracked URL back to what it was. */
static unsigned
put_back(struct slice s, struct buf *out, unsigned *pixels)
{
	static const char img[] = "<img border=\"0\" width=\"1\" height=\"1\" alt=\"\" src=\"";
	unsigned links = 0;
	struct buf store;
	struct link l;
	size_t n;

	buf_init(&store, 65536);
	while (s.len > 0) {
		if (slice_starts(s, slice_str(img)) && tracked(slice_skip(s, sizeof(img) - 1), &l, &store) > 0) {
			*pixels += l.kind == TOKEN_OPEN || l.kind == TOKEN_INITIAL_OPEN;
			s = slice_skip(s, slice_find(s, '>') + 1);
		} else if ((n = tracked(s, &l, &store)) > 0) {
			buf_add(out, l.url);
			links++;
			s = slice_skip(s, n);
		} else {
			buf_addc(out, s.p[0]);
			s = slice_skip(s, 1);
		}
	}
	buf_free(&store);
	return links;
}

/* All leaf parts decoded, with what they were called, put back. */
static void
flatten(const char *head, struct slice body, struct buf *out, unsigned *links, unsigned *pixels)
{
	struct mime_walk w;
	struct mime_part p;
	struct buf plain;

	buf_init(&plain, 1 << 20);
	mime_begin(&w, slice_str(head), body);
	while (mime_next(&w, &p) > 0) {
		buf_printf(out, "[%u %.*s/%.*s]", p.depth, SLICE_FMT(p.type), SLICE_FMT(p.subtype));
		buf_add(out, p.depth > 0 ? p.header : (struct slice){ 0 });
		buf_clear(&plain);
		transfer_decode(&plain, p.body, p.encoding);
		*links += put_back(buf_slice(&plain), out, pixels);
	}
	buf_free(&plain);
}

static size_t
widest(struct slice s)
{
	struct slice line;
	size_t most = 0;

	while (slice_line(&s, &line))
		most = line.len > most ? line.len : most;
	return most;
}

static void
run(size_t i)
{
	const char *name = rows[i].name;
	struct track_options opt = {
		.ring = ring,
		.base = BASE,
		.message = { 1785844800, 77 },
		.rcpt = SLICE_LIT("anna@example.net"),
		.links = true,
		.pixels = true,
		.text = rows[i].text,
	};
	struct track_report report;
	struct buf text, before, after;
	unsigned links = 0, pixels = 0, none = 0;
	struct message m;

	buf_init(&text, 1 << 20);
	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	buf_printf(&text, "From: a@example.com\r\n%s\r\n%s", rows[i].head, rows[i].body);
	message_init(&m, 1 << 20);
	message_parse(&m, buf_slice(&text));
	track_message(&m, &opt, &report);
	ok(report.links == rows[i].links &&
		(unsigned)report.initial_pixel + (unsigned)report.open_pixel == rows[i].pixels,
	    "%s: %u links, pixels %d %d", name, report.links, report.initial_pixel, report.open_pixel);
	ok((report.why_not == NULL) == (rows[i].why_not == NULL) &&
		(report.why_not == NULL || strcmp(report.why_not, rows[i].why_not) == 0) &&
		report.parts_passed == rows[i].passed,
	    "%s: why not: %s", name, report.why_not != NULL ? report.why_not : "-");
	flatten(rows[i].head, slice_str(rows[i].body), &before, &none, &none);
	flatten(rows[i].head, buf_slice(&m.body), &after, &links, &pixels);
	ok(links == rows[i].links && pixels == rows[i].pixels && none == 0,
	    "%s: %u tracked URLs and %u pixels are in it", name, links, pixels);
	if (!ok(slice_eq(buf_slice(&before), buf_slice(&after)), "%s: put back, it is what it was", name))
		printf("# %s\n# %s\n", buf_str(&before), buf_str(&after));
	ok(m.body_changed == (links + pixels > 0), "%s: changed %d", name, m.body_changed);
	if (strstr(rows[i].head, "quoted-printable") != NULL || strstr(rows[i].head, "base64") != NULL)
		ok(widest(buf_slice(&m.body)) <= 76, "%s: no line over 76", name);
	message_free(&m);
	buf_free(&text);
	buf_free(&before);
	buf_free(&after);
}

/* A message that was tracked already passes as it is. */
static void
twice(void)
{
	struct track_options opt = { .ring = ring, .base = BASE, .rcpt = SLICE_LIT("x@example.com"),
		.links = true, .pixels = true };
	struct track_report report;
	struct buf once, again;

	buf_init(&once, 1 << 20);
	buf_init(&again, 1 << 20);
	track_html(SLICE_LIT("<body>" LINKED "</body>"), SLICE_LIT("utf-8"), &opt, &once, &report);
	track_html(buf_slice(&once), SLICE_LIT("utf-8"), &opt, &again, &report);
	ok(slice_eq(buf_slice(&once), buf_slice(&again)) && report.links == 0, "tracked once is enough");
	buf_free(&once);
	buf_free(&again);
}

static void
attributes(void)
{
	struct track_options opt = { .ring = ring, .base = BASE, .rcpt = SLICE_LIT("x@example.com"),
		.links = true };
	struct track_report report;
	struct buf out, store;
	struct link l;
	size_t at;

	buf_init(&out, 1 << 20);
	buf_init(&store, 65536);
	track_html(SLICE_LIT("<a data-msys-clicktrack=\"0\" href=\"http://x.example/\">x</a>"), SLICE_LIT("utf-8"),
	    &opt, &out, &report);
	ok(report.links == 0 && strstr(buf_str(&out), "clicktrack") == NULL &&
		strstr(buf_str(&out), "\"http://x.example/\"") != NULL,
	    "data-msys-clicktrack=\"0\": %s", buf_str(&out));
	buf_clear(&out);
	track_html(SLICE_LIT("<a href=http://x.example/ data-msys-sublink='a/b'>x</a><a href=http://y.example/ "
			     "data-msys-sublink=' p '>y</a><a href=http://z.example/ data-msys-sublink>z</a>"),
	    SLICE_LIT("utf-8"), &opt, &out, &report);
	ok(report.links == 3 && strstr(buf_str(&out), "href=\"" BASE "/c/") != NULL &&
		strstr(buf_str(&out), "href=\"" BASE "/p/") != NULL,
	    "a sublink that can't be one keeps no link out: %s", buf_str(&out));
	buf_clear(&out);
	track_html(SLICE_LIT("<a href=http://x.example/?a&amp;b data-msys-linkname='Sale' data-msys-unsubscribe=1 "
			     "data-msys-sublink=app>x</a>"),
	    SLICE_LIT("utf-8"), &opt, &out, &report);
	ok(strstr(buf_str(&out), "href=\"" BASE "/app/") != NULL, "data-msys-sublink: %s", buf_str(&out));
	at = (size_t)(strstr(buf_str(&out), BASE) - buf_str(&out));
	ok(tracked(slice_skip(buf_slice(&out), at), &l, &store) > 0 && l.kind == TOKEN_UNSUBSCRIBE &&
		slice_eq(l.name, SLICE_LIT("Sale")) && slice_eq(l.url, SLICE_LIT("http://x.example/?a&b")),
	    "name, kind and target are in the token");
	buf_free(&out);
	buf_free(&store);
}

/* What Chromium asks for when it follows such links itself. */
static void
targets(void)
{
	static const struct {
		const char *charset, *href, *want;
	} links[] = {
		{ "iso-8859-1", "http://x/caf\351?q=\351&r#\351", "http://x/caf\303\251?q=%E9&r#\303\251" },
		{ "ISO-8859-15", "http://x/\244", "http://x/\342\202\254" },
		{ "windows-1251", "https://x/?\356", "https://x/?%EE" },
		{ "shift_jis", "http://x/\223\372#?\223", "http://x/\346\227\245#?\357\277\275" },
		{ "iso-8859-1", "http://x/caf&eacute;", "http://x/caf\303\251" },
		{ "iso-8859-1", "http://x/&eacute;\351", "http://x/\303\251\351" }, /* both: as it is */
		{ "utf-8", "http://x/caf\303\251?q=\303\251", "http://x/caf\303\251?q=\303\251" },
		{ "utf-8", "http://x/caf\351", "http://x/caf\351" },
		{ "", "http://x/caf\351", "http://x/caf\351" },
		{ "x-unknown", "http://x/caf\351", "http://x/caf\351" },
		{ "iso-8859-1", "http://x/?a=%E9&amp;b", "http://x/?a=%E9&b" },
	};

	for (size_t i = 0; i < COUNT(links); i++) {
		struct track_options opt = { .ring = ring, .base = BASE, .rcpt = SLICE_LIT("x@example.com"),
			.links = true };
		struct track_report report;
		struct buf in, out, store;
		struct link l = { 0 };
		const char *at;

		buf_init(&in, 1000);
		buf_init(&out, 1 << 20);
		buf_init(&store, 65536);
		buf_printf(&in, "<a href=\"%s\">x</a>", links[i].href);
		track_html(buf_slice(&in), slice_str(links[i].charset), &opt, &out, &report);
		at = strstr(buf_str(&out), BASE);
		ok(at != NULL &&
			tracked(slice_skip(buf_slice(&out), (size_t)(at - out.p)), &l, &store) > 0 &&
			slice_eq(l.url, slice_str(links[i].want)),
		    "%s, %s: %.*s", links[i].charset, links[i].href, SLICE_FMT(l.url));
		buf_free(&in);
		buf_free(&out);
		buf_free(&store);
	}
}

int
main(void)
{
	char dir[] = "/tmp/t-track.XXXXXX";
	struct buf path;
	struct err e = { .text = "" };

	buf_init(&path, 4096);
	if (mkdtemp(dir) == NULL || token_ring_new_key(dir, &path, &e) < 0 ||
	    (ring = token_ring_open(dir, &e)) == NULL) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	for (size_t i = 0; i < COUNT(rows); i++)
		run(i);
	twice();
	attributes();
	targets();
	token_ring_close(ring);
	unlink(buf_str(&path));
	rmdir(dir);
	buf_free(&path);
	return tap_done();
}
