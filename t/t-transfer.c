#include "common/transfer.h"

#include <stdlib.h>
#include <time.h>

#include "t/tap.h"

/* Shown in a test's name: what is not printable as "<0a>". */
static const char *
shown(struct slice s)
{
	static char text[300];
	size_t n = 0;

	for (size_t i = 0; i < s.len && n + 5 < sizeof(text); i++) {
		unsigned char c = (unsigned char)s.p[i];

		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, c >= 0x20 && c < 0x7f ? "%c" : "<%02x>", c);
	}
	text[n] = '\0';
	return text;
}

static void
names(void)
{
	static const struct {
		const char *in;
		enum transfer want;
	} rows[] = {
		{ "", TRANSFER_7BIT },
		{ "7bit", TRANSFER_7BIT },
		{ "7BIT", TRANSFER_7BIT },
		{ "8Bit", TRANSFER_8BIT },
		{ "binary", TRANSFER_BINARY },
		{ "Quoted-Printable", TRANSFER_QUOTED_PRINTABLE },
		{ "BASE64", TRANSFER_BASE64 },
		{ "x-uuencode", TRANSFER_UNKNOWN },
		{ "8bits", TRANSFER_UNKNOWN },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(transfer_parse(slice_str(rows[i].in)) == rows[i].want, "encoding '%s'",
		    rows[i].in);
	ok(strcmp(transfer_name(TRANSFER_QUOTED_PRINTABLE), "quoted-printable") == 0, "its name");
}

static void
decoding(void)
{
	static const struct {
		enum transfer how;
		struct slice in, want;
		bool good;
	} rows[] = {
		{ TRANSFER_7BIT, SLICE_LIT("a=3D\n"), SLICE_LIT("a=3D\n"), true },
		{ TRANSFER_8BIT, SLICE_LIT("\377"), SLICE_LIT("\377"), true },
		{ TRANSFER_UNKNOWN, SLICE_LIT("YQ=="), SLICE_LIT("YQ=="), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT(""), SLICE_LIT(""), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a=3Db=C3=a4\n"), SLICE_LIT("a=b\303\244\n"),
		    true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a=\nb=\r\nc"), SLICE_LIT("abc"), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a= \t\nb"), SLICE_LIT("ab"), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a \t\r\nb  "), SLICE_LIT("a\r\nb"), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a=20\r\nb"), SLICE_LIT("a \r\nb"), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a="), SLICE_LIT("a"), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a\rb=0D=00"), SLICE_LIT("a\rb\r\0"), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("\303\244"), SLICE_LIT("\303\244"), true },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a=b"), SLICE_LIT("a=b"), false },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a=4"), SLICE_LIT("a=4"), false },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("a==41"), SLICE_LIT("a=A"), false },
		{ TRANSFER_QUOTED_PRINTABLE, SLICE_LIT("==\nb"), SLICE_LIT("=b"), false },
		{ TRANSFER_BASE64, SLICE_LIT(""), SLICE_LIT(""), true },
		{ TRANSFER_BASE64, SLICE_LIT("YQ=="), SLICE_LIT("a"), true },
		{ TRANSFER_BASE64, SLICE_LIT("YWI="), SLICE_LIT("ab"), true },
		{ TRANSFER_BASE64, SLICE_LIT("YWJj\r\nZGVm\r\n"), SLICE_LIT("abcdef"), true },
		{ TRANSFER_BASE64, SLICE_LIT("+/+/ AP8\t="), SLICE_LIT("\373\377\277\000\377"),
		    true },
		{ TRANSFER_BASE64, SLICE_LIT("YQ"), SLICE_LIT("a"), true },
		{ TRANSFER_BASE64, SLICE_LIT("YWJjZ"), SLICE_LIT("abc"), false },
		{ TRANSFER_BASE64, SLICE_LIT("YW!Jj\303"), SLICE_LIT("abc"), false },
		{ TRANSFER_BASE64, SLICE_LIT("YQ==\nYWJj"), SLICE_LIT("a"), false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got;
		bool good;

		buf_init(&got, 1000);
		good = transfer_decode(&got, rows[i].in, rows[i].how);
		ok(slice_eq(buf_slice(&got), rows[i].want), "%s '%s'", transfer_name(rows[i].how),
		    shown(rows[i].in));
		ok(good == rows[i].good, "%s '%s' is %s", transfer_name(rows[i].how),
		    shown(rows[i].in), rows[i].good ? "right" : "broken");
		buf_free(&got);
	}
}

#define X10 "xxxxxxxxxx"
#define X70 X10 X10 X10 X10 X10 X10 X10

static void
encoding_qp(void)
{
	static const struct {
		const char *what;
		struct slice in, want;
	} rows[] = {
		{ "nothing", SLICE_LIT(""), SLICE_LIT("") },
		{ "plain", SLICE_LIT("Hello, world!\r\n"), SLICE_LIT("Hello, world!\r\n") },
		{ "LF stays LF", SLICE_LIT("a\nb\r\nc"), SLICE_LIT("a\nb\r\nc") },
		{ "8-bit", SLICE_LIT("Gr\303\266\303\237e\n"), SLICE_LIT("Gr=C3=B6=C3=9Fe\n") },
		{ "equals", SLICE_LIT("a=b\n"), SLICE_LIT("a=3Db\n") },
		{ "NUL, DEL, ESC", SLICE_LIT("a\0b\177\033\n"), SLICE_LIT("a=00b=7F=1B\n") },
		{ "bare CR", SLICE_LIT("a\rb\r\r\nc\r"), SLICE_LIT("a=0Db=0D\r\nc=0D") },
		{ "blank at the end", SLICE_LIT("a \nb\t\r\nc "), SLICE_LIT("a=20\nb=09\r\nc=20") },
		{ "blanks at the end", SLICE_LIT("a  \n \n"), SLICE_LIT("a =20\n=20\n") },
		{ "tab within", SLICE_LIT("a\tb\n"), SLICE_LIT("a\tb\n") },
		{ "mbox line", SLICE_LIT("From me\n From you\nFromage\n"),
		    SLICE_LIT("=46rom me\n From you\nFromage\n") },
		{ "a dot alone", SLICE_LIT(".\n..\n.x\n."), SLICE_LIT("=2E\n..\n.x\n=2E") },
		{ "what could be a boundary", SLICE_LIT("--x\n-y\n--"),
		    SLICE_LIT("=2D-x\n-y\n=2D-") },
		{ "76 columns", SLICE_LIT(X70 "123456\n"), SLICE_LIT(X70 "123456\n") },
		{ "77 columns", SLICE_LIT(X70 "1234567\n"), SLICE_LIT(X70 "12345=\r\n67\n") },
		{ "escape ends in column 76", SLICE_LIT(X70 "123\377\n"),
		    SLICE_LIT(X70 "123=FF\n") },
		{ "escape would end in column 77", SLICE_LIT(X70 "1234\377\n"),
		    SLICE_LIT(X70 "1234=\r\n=FF\n") },
		{ "escape in column 73, more to come", SLICE_LIT(X70 "123\377y\n"),
		    SLICE_LIT(X70 "123=\r\n=FFy\n") },
		{ "blank at the soft break", SLICE_LIT(X70 "1234 67\n"),
		    SLICE_LIT(X70 "1234 =\r\n67\n") },
		{ "mbox line behind a soft break", SLICE_LIT(X70 "12345From x\n"),
		    SLICE_LIT(X70 "12345=\r\n=46rom x\n") },
		{ "boundary behind a soft break", SLICE_LIT(X70 "12345--x\n"),
		    SLICE_LIT(X70 "12345=\r\n=2D-x\n") },
		{ "dot behind a soft break", SLICE_LIT(X70 "123\377.\n"),
		    SLICE_LIT(X70 "123=\r\n=FF.\n") },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got, back;

		buf_init(&got, 1000);
		buf_init(&back, 1000);
		transfer_encode_qp(&got, rows[i].in, "\r\n");
		ok(slice_eq(buf_slice(&got), rows[i].want), "qp: %s: '%s'", rows[i].what,
		    shown(buf_slice(&got)));
		ok(transfer_decode(&back, buf_slice(&got), TRANSFER_QUOTED_PRINTABLE) &&
			slice_eq(buf_slice(&back), rows[i].in),
		    "qp: %s: and back", rows[i].what);
		buf_free(&got);
		buf_free(&back);
	}
}

static void
encoding_base64(void)
{
	struct buf in, got, back;

	buf_init(&in, 1000);
	buf_init(&got, 1000);
	buf_init(&back, 1000);
	transfer_encode_base64(&got, SLICE_LIT(""), "\n");
	ok(got.len == 0, "base64: nothing");
	for (int i = 0; i < 58; i++)
		buf_addc(&in, (char)(200 + i));
	transfer_encode_base64(&got, slice_head(buf_slice(&in), 57), "\r\n");
	ok(got.len == 76 && slice_find(buf_slice(&got), '\n') == 76,
	    "base64: 57 bytes are one line");
	buf_clear(&got);
	transfer_encode_base64(&got, buf_slice(&in), "\r\n");
	ok(got.len == 76 + 2 + 4 && slice_find(buf_slice(&got), '\n') == 77, "base64: 58 are two");
	ok(transfer_decode(&back, buf_slice(&got), TRANSFER_BASE64) &&
		slice_eq(buf_slice(&back), buf_slice(&in)),
	    "base64: and back");
	buf_free(&in);
	buf_free(&got);
	buf_free(&back);
}

#define X100  X70 X10 X10 X10
#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
#define L75   X70 "xxxxx=\r\n"

static void
repairing_qp(void)
{
	static const struct {
		const char *what;
		struct slice in, want;
	} rows[] = {
		{ "nothing to do", SLICE_LIT("a=3Db \n=zz\n"), SLICE_LIT("a=3Db \n=zz\n") },
		{ "90 columns are no harm", SLICE_LIT(X70 X10 X10 "\n"),
		    SLICE_LIT(X70 X10 X10 "\n") },
		{ "8-bit", SLICE_LIT("a=3D\303\244=C3=A4\r\n"), SLICE_LIT("a=3D=C3=A4=C3=A4\r\n") },
		{ "8-bit and a soft break", SLICE_LIT("\303\244=\r\nx"),
		    SLICE_LIT("=C3=A4=\r\nx") },
		{ "blanks behind stay", SLICE_LIT("\303 \t\n\303= \nx"),
		    SLICE_LIT("=C3 \t\n=C3= \nx") },
		{ "NUL, bare CR", SLICE_LIT("\0\rx\n"), SLICE_LIT("=00=0Dx\n") },
		{ "'=' that starts nothing", SLICE_LIT("\303=x=\303\n"),
		    SLICE_LIT("=C3=3Dx=3D=C3\n") },
		{ "'==' at the end", SLICE_LIT("\303==\nx"), SLICE_LIT("=C3=3D=\nx") },
		{ "only the line that needs it", SLICE_LIT("--a\n\303\n--b\n"),
		    SLICE_LIT("--a\n=C3\n--b\n") },
		{ "a long line", SLICE_LIT(X1000 "\n"),
		    SLICE_LIT(
			L75 L75 L75 L75 L75 L75 L75 L75 L75 L75 L75 L75 L75 X10 X10 "xxxxx\n") },
		{ "escapes are not torn", SLICE_LIT(X70 "1234=3D\377\n"),
		    SLICE_LIT(X70 "1234=\r\n=3D=FF\n") },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got, before, after;

		buf_init(&got, 3000);
		buf_init(&before, 3000);
		buf_init(&after, 3000);
		transfer_repair_qp(&got, rows[i].in, "\r\n");
		ok(slice_eq(buf_slice(&got), rows[i].want), "repair: %s: '%s'", rows[i].what,
		    shown(buf_slice(&got)));
		transfer_decode(&before, rows[i].in, TRANSFER_QUOTED_PRINTABLE);
		transfer_decode(&after, buf_slice(&got), TRANSFER_QUOTED_PRINTABLE);
		ok(slice_eq(buf_slice(&before), buf_slice(&after)), "repair: %s: the same decoded",
		    rows[i].what);
		buf_free(&got);
		buf_free(&before);
		buf_free(&after);
	}
}

static void
repairing_base64(void)
{
	struct buf in, got;

	buf_init(&in, 5000);
	buf_init(&got, 5000);
	for (int i = 0; i < 500; i++)
		buf_adds(&in, "YWJj");
	ok(transfer_repair_base64(&got, buf_slice(&in), "\n") && got.len == 2000 + 26 &&
		slice_find(buf_slice(&got), '\n') == 76,
	    "repair: one long line of base64");
	buf_clear(&got);
	ok(transfer_repair_base64(&got, SLICE_LIT("YW\rJj\r\n ZA==\r\n"), "\r\n") &&
		slice_eq(buf_slice(&got), SLICE_LIT("YWJjZA==\r\n")),
	    "repair: blanks and a bare CR in base64");
	buf_clear(&got);
	ok(!transfer_repair_base64(&got, SLICE_LIT("YWJj\n-- \nfooter\n"), "\n") && got.len == 0,
	    "repair: not base64");
	ok(!transfer_repair_base64(&got, SLICE_LIT("YW\0Jj"), "\n") && got.len == 0,
	    "repair: NUL in base64");
	buf_free(&in);
	buf_free(&got);
}

static void
caps(void)
{
	struct buf out;

	buf_init(&out, 10);
	transfer_decode(&out, SLICE_LIT("YWJjYWJjYWJjYWJj"), TRANSFER_BASE64);
	ok(out.full && out.len <= 10, "a full buffer takes nothing more");
	buf_free(&out);
}

static void
hostile(void)
{
	static const char bytes[] = "=\r \t-F.\377";
	struct buf in, out;
	double start = (double)clock() / CLOCKS_PER_SEC, took;

	buf_init(&in, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	for (size_t b = 0; b < sizeof(bytes); b++) {
		buf_clear(&in);
		buf_clear(&out);
		for (int i = 0; i < 300000; i++)
			buf_addc(&in, bytes[b]);
		transfer_encode_qp(&out, buf_slice(&in), "\n");
		transfer_repair_qp(&out, buf_slice(&in), "\n");
		transfer_decode(&out, buf_slice(&in), TRANSFER_QUOTED_PRINTABLE);
		transfer_decode(&out, buf_slice(&in), TRANSFER_BASE64);
	}
	took = (double)clock() / CLOCKS_PER_SEC - start;
	ok(took < 2, "lines of 300000 equal bytes in %.2f s", took);
	buf_free(&in);
	buf_free(&out);
}

int
main(void)
{
	names();
	decoding();
	encoding_qp();
	encoding_base64();
	repairing_qp();
	repairing_base64();
	caps();
	hostile();
	return tap_done();
}
