#include "common/sevenbit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/mime.h"
#include "t/tap.h"

#define QP    "Content-Transfer-Encoding: quoted-printable\n"
#define SEVEN "Content-Transfer-Encoding: 7bit\n"
#define EIGHT "Content-Transfer-Encoding: 8bit\n"
#define V     "MIME-Version: 1.0\n"
#define MIXED "Content-Type: multipart/mixed; boundary=b\n"
#define AE    "\303\244"

#define UNSAFE 1u

static const struct {
	const char *what;
	struct slice in, want; /* an empty one: nothing changes */
	unsigned parts, headers, unsafe;
} rows[] = {
	{ "7-bit text", SLICE_LIT("A: b\n\nHello\n"), { 0 }, 0, 0, 0 },
	{ "nothing", SLICE_LIT(""), { 0 }, 0, 0, 0 },
	{ "7-bit text, labelled", SLICE_LIT(V SEVEN "\nHello\n"), { 0 }, 0, 0, 0 },
	{ "bytes that quoted-printable would encode are no reason",
	    SLICE_LIT("A: b\n\na=b \n.\nFrom x\n\033\177\n"), { 0 }, 0, 0, 0 },
	{ "8-bit text without MIME", SLICE_LIT("A: b\n\nHell\303\266 \na=b\n"),
	    SLICE_LIT("A: b\n" QP V "\nHell=C3=B6=20\na=3Db\n"), 1, 0, 0 },
	{ "8-bit text, labelled",
	    SLICE_LIT(V "Content-Type: text/plain; charset=utf-8\n" EIGHT "X: y\n\n" AE "\n"),
	    SLICE_LIT(V "Content-Type: text/plain; charset=utf-8\n" QP "X: y\n\n=C3=A4\n"), 1, 0,
	    0 },
	{ "labelled 7bit, but isn't", SLICE_LIT(V SEVEN "\n" AE "\n"), SLICE_LIT(V QP "\n=C3=A4\n"),
	    1, 0, 0 },
	{ "labelled binary", SLICE_LIT(V "content-transfer-encoding: BINARY\n\n" AE "\n"),
	    SLICE_LIT(V "content-transfer-encoding: quoted-printable\n\n=C3=A4\n"), 1, 0, 0 },
	{ "labelled twice", SLICE_LIT(V EIGHT SEVEN "\n" AE "\n"), SLICE_LIT(V QP "\n=C3=A4\n"), 1,
	    0, 0 },
	{ "labelled 8bit, but is 7-bit", SLICE_LIT(V EIGHT "\nx\n"), SLICE_LIT(V SEVEN "\nx\n"), 0,
	    0, 0 },
	{ "NUL", SLICE_LIT(V "\na\0b\n"), SLICE_LIT(V QP "\na=00b\n"), 1, 0, 0 },
	{ "bare CR", SLICE_LIT(V "\na\rb\n"), SLICE_LIT(V QP "\na=0Db\n"), 1, 0, 0 },
	{ "8-bit header", SLICE_LIT("Subject: " AE "\n\nx\n"), { 0 }, 0, 0, 0 },
	{ "quoted-printable with 8-bit", SLICE_LIT(V QP "\na=3D \n=zz\n" AE "=3D=\nx\n"),
	    SLICE_LIT(V QP "\na=3D \n=zz\n=C3=A4=3D=\nx\n"), 1, 0, 0 },
	{ "base64 with 8-bit", SLICE_LIT(V "Content-Transfer-Encoding: base64\n\nYWJj\n" AE "\n"),
	    { 0 }, 0, 0, UNSAFE },
	{ "base64 with a bare CR", SLICE_LIT(V "Content-Transfer-Encoding: base64\n\nYW\rJj\n"),
	    SLICE_LIT(V "Content-Transfer-Encoding: base64\n\nYWJj\n"), 1, 0, 0 },
	{ "unknown encoding", SLICE_LIT(V "Content-Transfer-Encoding: x-uu\n\n" AE "\n"), { 0 }, 0,
	    0, UNSAFE },
	{ "one part of two",
	    SLICE_LIT(V MIXED EIGHT "\npre \n--b \nContent-Type: text/plain\n" EIGHT "X: y\n\n" AE
				    "\n\n--b\n\nb=c \n--b--\nepi\n"),
	    SLICE_LIT(V MIXED SEVEN "\npre \n--b \nContent-Type: text/plain\n" QP
				    "X: y\n\n=C3=A4\n\n--b\n\nb=c \n--b--\nepi\n"),
	    1, 0, 0 },
	{ "part without headers", SLICE_LIT(V MIXED "\n--b\n\n" AE "\n--b--\n"),
	    SLICE_LIT(V MIXED "\n--b\n" QP "\n=C3=A4\n--b--\n"), 1, 0, 0 },
	{ "part without headers and empty line", SLICE_LIT(V MIXED "\n--b\nx " AE ": y\n--b--\n"),
	    SLICE_LIT(V MIXED "\n--b\n" QP "\nx =C3=A4: y\n--b--\n"), 1, 0, 0 },
	{ "part without empty line", SLICE_LIT(V MIXED "\n--b\nA: b\nx " AE "\n--b--\n"),
	    SLICE_LIT(V MIXED "\n--b\nA: b\n" QP "\nx =C3=A4\n--b--\n"), 1, 0, 0 },
	{ "all labels, no 8-bit",
	    SLICE_LIT(
		V MIXED EIGHT "\n--b\nContent-Type: multipart/alternative; boundary=c\n" EIGHT
			      "\n--c\nContent-Transfer-Encoding: binary\n\nx\n--c--\n--b--\n"),
	    SLICE_LIT(V MIXED SEVEN "\n--b\nContent-Type: multipart/alternative; boundary=c\n" SEVEN
				    "\n--c\n" SEVEN "\nx\n--c--\n--b--\n"),
	    0, 0, 0 },
	{ "multipart without MIME-Version", SLICE_LIT(MIXED "\n--b\n\n" AE "\n--b--\n"),
	    SLICE_LIT(MIXED V "\n--b\n" QP "\n=C3=A4\n--b--\n"), 1, 0, 0 },
	{ "message in a part",
	    SLICE_LIT(V MIXED "\n--b\nContent-Type: message/rfc822\n" EIGHT "\nSubject: " AE
			      "\n\n" AE "\n--b--\n"),
	    SLICE_LIT(V MIXED "\n--b\nContent-Type: message/rfc822\n" SEVEN "\nSubject: " AE
			      "\n" V QP "\n=C3=A4\n--b--\n"),
	    1, 0, 0 },
	{ "message in a message, with MIME",
	    SLICE_LIT(V "Content-Type: message/rfc822\n" EIGHT "\n" EIGHT V "\n" AE "\n"),
	    SLICE_LIT(V "Content-Type: message/rfc822\n" SEVEN "\n" QP V "\n=C3=A4\n"), 1, 0, 0 },
	{ "message in a digest, without any header",
	    SLICE_LIT(V "Content-Type: multipart/digest; boundary=b\n\n--b\n" AE "\n--b--\n"),
	    SLICE_LIT(
		V "Content-Type: multipart/digest; boundary=b\n\n--b\n\n" V QP "\n=C3=A4\n--b--\n"),
	    1, 0, 0 },
	{ "message that begins without an empty line",
	    SLICE_LIT(V MIXED "\n--b\nContent-Type: message/rfc822\nx " AE "\n--b--\n"),
	    SLICE_LIT(V MIXED "\n--b\nContent-Type: message/rfc822\n\n" V QP "\nx =C3=A4\n--b--\n"),
	    1, 0, 0 },
	{ "text that looks like the boundary",
	    SLICE_LIT(V MIXED "\n--b\n\n" AE "\n--bc\n--c\n--b--\n"),
	    SLICE_LIT(V MIXED "\n--b\n" QP "\n=C3=A4\n=2D-bc\n=2D-c\n--b--\n"), 1, 0, 0 },
	{ "signed",
	    SLICE_LIT(V "Content-Type: multipart/signed; boundary=b\n\n--b\n\n" AE "\n--b--\n"),
	    { 0 }, 0, 0, UNSAFE },
	{ "signed and 7-bit",
	    SLICE_LIT(V "Content-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b--\n"), { 0 },
	    0, 0, 0 },
	{ "signed, labels 8bit",
	    SLICE_LIT(V "Content-Type: multipart/signed; boundary=b\n\n--b\n" EIGHT "\nx\n--b--\n"),
	    { 0 }, 0, 0, UNSAFE },
	{ "signed beside text",
	    SLICE_LIT(
		V MIXED EIGHT "\n--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\n" AE
			      "\n--c--\n--b\n\n" AE "\n--b--\n"),
	    SLICE_LIT(
		V MIXED EIGHT "\n--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\n" AE
			      "\n--c--\n--b\n" QP "\n=C3=A4\n--b--\n"),
	    1, 0, UNSAFE },
	{ "PKCS#7", SLICE_LIT(V "Content-Type: application/pkcs7-mime\n\n\200\n"), { 0 }, 0, 0,
	    UNSAFE },
	{ "encrypted",
	    SLICE_LIT(V "Content-Type: multipart/encrypted; boundary=b\n\n--b\n\n" AE "\n"), { 0 },
	    0, 0, UNSAFE },
	{ "8-bit preamble", SLICE_LIT(V MIXED EIGHT "\n" AE "\n--b\n\n" AE "\n--b--\n"),
	    SLICE_LIT(V MIXED EIGHT "\n" AE "\n--b\n" QP "\n=C3=A4\n--b--\n"), 1, 0, UNSAFE },
	{ "8-bit epilogue", SLICE_LIT(V MIXED "\n--b\n\nx\n--b--\n" AE "\n"), { 0 }, 0, 0, UNSAFE },
	{ "multipart without boundary", SLICE_LIT(V "Content-Type: multipart/mixed\n\n" AE "\n"),
	    { 0 }, 0, 0, UNSAFE },
	{ "delivery status", SLICE_LIT(V "Content-Type: message/delivery-status\n\nA: " AE "\n"),
	    { 0 }, 0, 0, UNSAFE },
	{ "global delivery status",
	    SLICE_LIT(V "Content-Type: message/global-delivery-status\n\nA: " AE "\n"),
	    SLICE_LIT(V "Content-Type: message/global-delivery-status\n" QP "\nA: =C3=A4\n"), 1, 0,
	    0 },
	{ "8-bit in a part's header",
	    SLICE_LIT(V MIXED "\n--b\nContent-Disposition: " AE "\n\nx\n--b--\n"), { 0 }, 0, 0, 0 },
	{ "NUL in a part's header", SLICE_LIT(V MIXED "\n--b\nA: \0\n\nx\n--b--\n"), { 0 }, 0, 0,
	    UNSAFE },
};

static bool
run(struct slice in, bool crlf, struct buf *out, struct sevenbit_report *report)
{
	struct message m;
	bool changed;

	message_init(&m, BUF_NO_LIMIT);
	message_parse(&m, in);
	changed = sevenbit_make(&m, report);
	message_print(&m, crlf, out);
	message_free(&m);
	return changed;
}

static void
with_crlf(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++) {
		if (in.p[i] == '\n')
			buf_addc(out, '\r');
		buf_addc(out, in.p[i]);
	}
}

static void
row(size_t i, bool crlf)
{
	bool none = rows[i].want.len == 0, changed;
	struct sevenbit_report report = { 0 };
	struct buf in, want, got;

	buf_init(&in, BUF_NO_LIMIT);
	buf_init(&want, BUF_NO_LIMIT);
	buf_init(&got, BUF_NO_LIMIT);
	if (crlf) {
		with_crlf(rows[i].in, &in);
		with_crlf(none ? rows[i].in : rows[i].want, &want);
	} else {
		buf_add(&in, rows[i].in);
		buf_add(&want, none ? rows[i].in : rows[i].want);
	}
	if (rows[i].in.len == 0)
		buf_adds(&want, crlf ? "\r\n" : "\n");
	changed = run(buf_slice(&in), crlf, &got, &report);
	if (!ok(slice_eq(buf_slice(&got), buf_slice(&want)), "%s%s", rows[i].what,
		crlf ? ", CRLF" : ""))
		printf("# got:\n%s# want:\n%s", buf_str(&got), buf_str(&want));
	ok(changed == !none && report.parts == rows[i].parts && report.headers == rows[i].headers &&
		report.unsafe == rows[i].unsafe,
	    "%s: changed %d, parts %u, headers %u, unsafe %d", rows[i].what, changed, report.parts,
	    report.headers, report.unsafe);
	buf_free(&in);
	buf_free(&want);
	buf_free(&got);
}

/* A second time there is nothing left to do. */
static void
twice(size_t i)
{
	struct sevenbit_report report;
	struct buf once, again;

	buf_init(&once, BUF_NO_LIMIT);
	buf_init(&again, BUF_NO_LIMIT);
	run(rows[i].in, false, &once, &report);
	ok(!run(buf_slice(&once), false, &again, &report) && report.parts == 0 &&
		report.unsafe == rows[i].unsafe && slice_eq(buf_slice(&once), buf_slice(&again)),
	    "%s: twice", rows[i].what);
	buf_free(&once);
	buf_free(&again);
}

static void
repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_adds(b, s);
}

static size_t
longest_line(struct slice s)
{
	struct slice line;
	size_t longest = 0;

	while (slice_line(&s, &line))
		longest = line.len > longest ? line.len : longest;
	return longest;
}

static void
long_lines(void)
{
	static const struct {
		const char *before, *unit, *after;
		size_t n;
		unsigned parts, headers, unsafe;
	} cases[] = {
		{ V "\n", "x", "\n", 998, 0, 0, 0 },
		{ V "\n", "x", "\r\n", 998, 0, 0, 0 },
		{ V "\n", "x", "", 998, 0, 0, 0 },
		{ V "\n", "x", "\n", 999, 1, 0, 0 },
		{ V "\n", "x", "\r\n", 999, 1, 0, 0 },
		{ V "\n", "x", "", 999, 1, 0, 0 },
		{ V "\n"
		    "a\n",
		    "x", "\nb\n", 998, 0, 0, 0 },
		{ V "\n"
		    "a\n",
		    "x", "\nb\n", 999, 1, 0, 0 },
		{ V "\n"
		    "a\r\n",
		    "x", "\r\nb\r\n", 998, 0, 0, 0 },
		{ V "\n"
		    "a\r\n",
		    "x", "\r\nb\r\n", 999, 1, 0, 0 },
		{ V QP "\n", "=3D", "\n", 500, 1, 0, 0 },
		{ V "Content-Transfer-Encoding: base64\n\n", "YWJj", "\n", 500, 1, 0, 0 },
		{ V "Content-Transfer-Encoding: base64\n\n", "YWJj!", "\n", 500, 0, 0, UNSAFE },
		{ "Subject: ", "word ", "\n\nx\n", 500, 0, 1, 0 },
		{ "Subject:", "word", "\n\nx\n", 500, 0, 1, 0 },
		{ "Subject: x\n ", "word ", "\n\nx\n", 500, 0, 1, 0 },
		{ "", "n", ": x\n\nx\n", 1000, 0, 0, UNSAFE },
		{ V MIXED "\n--b\nA: ", "word ", "\n\nx\n--b--\n", 500, 0, 1, 0 },
		{ V MIXED "\n--b\nContent-Type: message/rfc822\n\nA: ", "word ", "\n\nx\n--b--\n",
		    500, 0, 1, 0 },
		{ V MIXED "\n", "pre", "\n--b\n\nx\n--b--\n", 500, 0, 0, UNSAFE },
		{ V "Content-Type: multipart/signed; boundary=b\n\n--b\nA: ", "word ",
		    "\n\nx\n--b--\n", 500, 0, 0, UNSAFE },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sevenbit_report report;
		struct buf in, out;
		bool changed;

		buf_init(&in, BUF_NO_LIMIT);
		buf_init(&out, BUF_NO_LIMIT);
		buf_adds(&in, cases[i].before);
		repeat(&in, cases[i].unit, cases[i].n);
		buf_adds(&in, cases[i].after);
		changed = run(buf_slice(&in), false, &out, &report);
		ok(report.parts == cases[i].parts && report.headers == cases[i].headers &&
			report.unsafe == cases[i].unsafe &&
			changed == (cases[i].parts + cases[i].headers > 0),
		    "line of %zu '%s' behind '%s': parts %u, headers %u, unsafe %d", cases[i].n,
		    cases[i].unit, cases[i].before, report.parts, report.headers, report.unsafe);
		ok(report.unsafe || longest_line(buf_slice(&out)) <= 998, "longest line %zu",
		    longest_line(buf_slice(&out)));
		buf_free(&in);
		buf_free(&out);
	}
}

/* A line end style is the body's own, whatever is printed. */
static void
line_ends(void)
{
	struct sevenbit_report report;
	struct message m;

	message_init(&m, BUF_NO_LIMIT);
	message_parse(&m, SLICE_LIT(V MIXED "\n\r\n--b\r\n\r\n" AE "\nx\r\n--b--\r\n"));
	sevenbit_make(&m, &report);
	ok(slice_eq(buf_slice(&m.body),
	       SLICE_LIT(
		   "\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\nx\r\n"
		   "--b--\r\n")),
	    "added lines are CRLF in a CRLF body, a bare LF stays: '%s'", buf_str(&m.body));
	ok(m.body_changed, "the body is marked");
	message_free(&m);
}

static void
untouched(void)
{
	struct sevenbit_report report;
	struct message m;
	const char *body;

	message_init(&m, BUF_NO_LIMIT);
	message_parse(&m, SLICE_LIT(V MIXED EIGHT "\n--b\n\nx\n--b--\n"));
	body = m.body.p;
	ok(sevenbit_make(&m, &report) && !m.body_changed && m.body.p == body &&
		m.headers[2].changed && m.headers[2].index == 1,
	    "where a label of the top is all that changes, the body is not rebuilt");
	message_free(&m);
	message_parse(&m, SLICE_LIT("A: b\n" EIGHT "\nx\n"));
	m.headers[1].deleted = true;
	ok(!sevenbit_make(&m, &report), "a deleted header is none");
	message_free(&m);
}

static void
over_budget(void)
{
	struct sevenbit_report report;
	struct buf in, out;

	buf_init(&in, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	buf_adds(&in, V MIXED "\n");
	repeat(&in, "--b\n\n" AE "\n", MIME_MAX_PARTS);
	ok(!run(buf_slice(&in), false, &out, &report) && report.unsafe &&
		slice_eq(buf_slice(&in), buf_slice(&out)),
	    "too many parts: all stays, and is said to be unsafe");
	buf_clear(&in);
	buf_clear(&out);
	buf_adds(&in, V MIXED "\n");
	repeat(&in, "--b\n\n" AE "\n", MIME_MAX_PARTS - 1);
	ok(run(buf_slice(&in), false, &out, &report) && report.parts == MIME_MAX_PARTS - 1 &&
		!report.unsafe,
	    "one fewer is done");
	buf_free(&in);
	buf_free(&out);
}

/* One byte of each sort in each place, so that no offset of the sixteen-byte scan is missed. */
static void
every_offset(void)
{
	static const char bad[] = { '\0', '\r', (char)0x80, (char)0xff };
	unsigned missed = 0, wrong = 0;
	struct sevenbit_report report;

	for (size_t len = 1; len < 70; len++) {
		for (size_t at = 0; at <= len; at++) {
			for (size_t b = 0; b < sizeof(bad); b++) {
				struct message m;

				message_init(&m, BUF_NO_LIMIT);
				repeat(&m.body, "x", len);
				if (at < len)
					m.body.p[at] = bad[b];
				else if (len > 2)
					memcpy(m.body.p + len - 2, "\r\n", 2);
				if (sevenbit_make(&m, &report) != (at < len))
					*(at < len ? &missed : &wrong) += 1;
				message_free(&m);
			}
		}
	}
	ok(missed == 0 && wrong == 0, "one bad byte in each place: %u missed, %u found wrongly",
	    missed, wrong);
}

/* All parts as bytes: type, then decoded body with LF line ends. */
static void
decode_all(struct slice text, struct buf *out)
{
	struct mime_walk w;
	struct mime_part p;
	struct buf one;

	buf_init(&one, BUF_NO_LIMIT);
	mime_begin_entity(&w, text);
	while (mime_next(&w, &p) > 0) {
		buf_printf(out, "%u %d ", p.depth, p.kind);
		buf_add(out, p.type);
		buf_add(out, p.subtype);
		buf_clear(&one);
		transfer_decode(&one, p.body, p.encoding);
		for (size_t i = 0; i < one.len; i++)
			if (one.p[i] != '\r' || i + 1 == one.len || one.p[i + 1] != '\n')
				buf_addc(out, one.p[i]);
		buf_addc(out, '\n');
	}
	buf_free(&one);
}

/* `text` with something no hop must see behind every 97th letter of its body. */
static void
spoil(struct slice text, const char *with, struct buf *out)
{
	struct slice rest = text, line;
	bool in_body = false;
	unsigned n = 0;

	while (slice_line(&rest, &line)) {
		in_body |= line.len == 0;
		for (size_t i = 0; i < line.len; i++) {
			buf_addc(out, line.p[i]);
			if (in_body && line.p[i] == 'e' && ++n % 97 == 0 &&
			    slice_find(line, ' ') < line.len && slice_find(line, ':') == line.len)
				buf_adds(out, with);
		}
		buf_adds(out, "\n");
	}
}

static void
check_file(const char *name, struct slice text)
{
	static const char *const with[] = { "", "\303\244", "\r!", "\177\200\033", "=\377" };

	for (size_t i = 0; i < COUNT(with); i++) {
		struct buf in, out, before, after;
		struct sevenbit_report report;

		buf_init(&in, BUF_NO_LIMIT);
		buf_init(&out, BUF_NO_LIMIT);
		buf_init(&before, BUF_NO_LIMIT);
		buf_init(&after, BUF_NO_LIMIT);
		spoil(text, with[i], &in);
		run(buf_slice(&in), false, &out, &report);
		decode_all(buf_slice(&in), &before);
		decode_all(buf_slice(&out), &after);
		ok(slice_eq(buf_slice(&before), buf_slice(&after)),
		    "%s with '%s': the same parts, parts %u, headers %u, unsafe %d", name, with[i],
		    report.parts, report.headers, report.unsafe);
		buf_free(&in);
		buf_free(&out);
		buf_free(&before);
		buf_free(&after);
	}
}

static void
real_mail(void)
{
	const char *top = getenv("srcdir");
	char path[1000], chunk[4096];
	struct dirent *entry;
	unsigned files = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/t/data/mime", top != NULL ? top : ".");
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		struct buf text;
		ssize_t n;
		int fd;

		if (!slice_endsi(slice_str(entry->d_name), SLICE_LIT(".eml")))
			continue;
		buf_init(&text, BUF_NO_LIMIT);
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0)
			buf_add(&text, (struct slice){ chunk, (size_t)n });
		if (fd >= 0)
			close(fd);
		check_file(entry->d_name, buf_slice(&text));
		files++;
		buf_free(&text);
	}
	if (dir != NULL)
		closedir(dir);
	ok(files >= 10, "%u files in %s", files, path);
}

static void
hostile(void)
{
	clock_t start = clock();
	struct sevenbit_report report;
	struct buf in, out;
	double took;

	buf_init(&in, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	buf_adds(&in, V "\n");
	repeat(&in, "\377", 3000000);
	run(buf_slice(&in), true, &out, &report);
	ok(report.parts == 1 && longest_line(buf_slice(&out)) <= 76, "3 MB of 0xff");
	buf_clear(&in);
	buf_clear(&out);
	buf_adds(&in, V MIXED "\n--b\n");
	repeat(&in, "Content-Transfer-Encoding: 8bit\nX: y\n", 100000);
	buf_adds(&in, "\n" AE "\n");
	run(buf_slice(&in), true, &out, &report);
	ok(report.parts == 1, "200000 header fields in a part");
	buf_clear(&in);
	buf_clear(&out);
	repeat(&in, "X: y\n" EIGHT, 100000);
	buf_adds(&in, "\n" AE "\n");
	run(buf_slice(&in), true, &out, &report);
	ok(report.parts == 1, "200000 header fields at the top");
	took = (double)(clock() - start) / CLOCKS_PER_SEC;
	ok(took < 5, "all of that in %.2f s", took);
	buf_free(&in);
	buf_free(&out);
}

int
main(void)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		row(i, false);
		row(i, true);
		twice(i);
	}
	long_lines();
	line_ends();
	untouched();
	over_budget();
	every_offset();
	real_mail();
	hostile();
	return tap_done();
}
