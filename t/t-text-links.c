/* Links in plain text and the marks behind them. */
#include "common/buf.h"
#include "common/text_links.h"
#include "t/tap.h"

static void
describe(struct slice text, struct buf *out)
{
	struct slice rest = text;
	struct text_link l;

	while (text_link_next(&rest, &l)) {
		buf_printf(out, "[%.*s", SLICE_FMT(l.url));
		if (l.marks.len > 0)
			buf_printf(out, " marks=%zu", l.marks.len);
		if (l.untracked)
			buf_adds(out, " untracked");
		if (l.unsubscribe)
			buf_adds(out, " unsubscribe");
		if (l.goes_on)
			buf_adds(out, " goes-on");
		if (l.sublink.len > 0)
			buf_printf(out, " sublink=%.*s", SLICE_FMT(l.sublink));
		buf_addc(out, ']');
	}
}

int
main(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "no link here, h ht http http: http:/", "" },
		{ "http://x.example", "[http://x.example]" },
		{ "HTTPS://X.example/a?b=c&d=%20#e", "[HTTPS://X.example/a?b=c&d=%20#e]" },
		{ "see http://x.example/.", "[http://x.example/]" },
		{ "(see http://x.example/a_(b)).", "[http://x.example/a_(b)]" },
		{ "<http://x.example/>", "[http://x.example/]" },
		{ "\"http://x.example/\"", "[http://x.example/]" },
		{ "'http://x.example/', and", "[http://x.example/]" },
		{ "http://a.example\nhttp://b.example\r\n", "[http://a.example][http://b.example]" },
		{ "http://", "" },
		{ "http://.", "" },
		{ "xhttp://x.example https://y.example", "[https://y.example]" },
		{ "http://x.example\303\274ber", "[http://x.example goes-on]" },
		{ "http://x.example/.\344", "[http://x.example/ goes-on]" },
		{ "http://x.example/\303", "[http://x.example/ goes-on]" },
		{ "http://x.example/\343\200\202 \342\200\234http://y.example/\342\200\235",
		    "[http://x.example/][http://y.example/]" },
		{ "http://x.example/\343\201\202", "[http://x.example/ goes-on]" },
		{ "http://x.example/[[data-msys-clicktrack=\"0\"]] more", "[http://x.example/ marks=28 untracked]" },
		{ "http://x.example/[[data-msys-clicktrack=\"1\"]]", "[http://x.example/ marks=28]" },
		{ "http://x.example/.[[data-msys-unsubscribe=\"1\"]]", "[http://x.example/. marks=29 unsubscribe]" },
		{ "http://x.example/[[data-msys-sublink=\"open\"]][[data-msys-clicktrack=\"0\"]]x",
		    "[http://x.example/ marks=56 untracked sublink=open]" },
		{ "http://x.example/[[data-msys-sublink=open]]", "[http://x.example/[[data-msys-sublink=open]" },
		{ "http://x.example/[[other=\"0\"]]", "[http://x.example/[[other=]" },
		{ "http://x.example/?a[]=1&b[0]=2", "[http://x.example/?a[]=1&b[0]=2]" },
		{ "http://u.example/http://v.example", "[http://u.example/http://v.example]" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf out;

		buf_init(&out, 4096);
		describe(slice_str(rows[i].text), &out);
		ok(strcmp(buf_str(&out), rows[i].want) == 0, "row %zu: %s", i, buf_str(&out));
		buf_free(&out);
	}
	return tap_done();
}
