/*
 * html_links.h - what must change in an HTML part so that its links and its opening are
 * seen: places and lengths, in order. Nothing is changed here, and what to put there is the
 * caller's to make.
 *
 *	struct html_links_options opt = HTML_LINKS_DEFAULTS;
 *	struct html_edits edits;
 *
 *	opt.charset = SLICE_LIT("utf-8");
 *	if (html_links_find(&opt, part, &edits) == HTML_LINKS_FOUND)
 *		for (size_t i = 0; i < edits.count; i++)
 *			...edits.edit[i]
 *	html_edits_free(&edits);
 *
 * The rules:
 * - Links are the href of <a> and <area>, read as a browser reads it (the first one of
 *   a tag, character references resolved, tabs and line ends dropped, blanks around it cut
 *   off), whose target starts with http:// or https://.
 * - data-msys-clicktrack="0" keeps a link as it is. The attribute goes from every tag. (Of
 *   two in one tag the first one: the other is none to a reader; see opt.duplicates.)
 * - The initial pixel comes behind the first <body>, or else where the body starts; the open
 *   pixel before the first </body>, or else </html>, or else at the end, unless the end is
 *   inside a comment, a tag or raw text. There are none in frameset documents, and none
 *   where one of ours is already.
 * - What HTML takes for comments, conditional ones too, stays as it is.
 */
#ifndef COMMON_HTML_LINKS_H
#define COMMON_HTML_LINKS_H

#include "common/buf.h"
#include "common/slice.h"

#define HTML_LINK_NAME_MAX 63 /* bytes of a link's name */

struct html_links_options {
	struct slice charset; /* as the Content-Type has it; empty is fine */
	bool links;           /* find links to wrap */
	bool initial_pixel, open_pixel;
	bool remove_all; /* remove data-msys-linkname, -unsubscribe and -sublink, too */
	bool duplicates; /* remove a second one of a name in a tag, too, which readers ignore */
	bool explain;    /* fill edits.left */
	size_t max_part, max_href,
	    max_target; /* bytes; of the part, of an href as it stands and read */
	size_t max_edits;
	/* Is that URL one of ours, wrapped already, or our pixel? May be NULL. */
	bool (*is_ours)(void *arg, struct slice url);
	void *arg;
};

#define HTML_LINKS_DEFAULTS                                                                        \
	{                                                                                          \
		.links = true, .initial_pixel = true, .open_pixel = true, .max_part = 10 << 20,    \
		.max_href = 8192, .max_target = 4096, .max_edits = 10000                           \
	}

/* Why nothing is to be changed. */
enum html_links_result {
	HTML_LINKS_FOUND,    /* the edits are there; there may be none */
	HTML_LINKS_CHARSET,  /* of a kind that is left alone */
	HTML_LINKS_TOO_BIG,  /* longer than max_part */
	HTML_LINKS_TOO_MANY, /* more than max_edits */
	HTML_LINKS_RESULTS,
};

/* "charset", "too-big", "too-many"; "found". For the log. */
const char *html_links_result_name(enum html_links_result r);

enum html_edit_kind {
	HTML_EDIT_LINK,   /* put "URL" there, in double quotes: the bytes go from quote to quote */
	HTML_EDIT_REMOVE, /* take the bytes away */
	HTML_EDIT_INITIAL_PIXEL, /* length 0: put an element there */
	HTML_EDIT_OPEN_PIXEL,
};

struct html_edit {
	enum html_edit_kind kind;
	size_t offset, length;
	/* Of a link; the slices live as long as the edits. */
	struct slice target;  /* absolute, without tabs, line ends and blanks around it */
	struct slice name;    /* data-msys-linkname, UTF-8, at most HTML_LINK_NAME_MAX bytes */
	struct slice sublink; /* data-msys-sublink */
	bool unsubscribe;     /* data-msys-unsubscribe="1" */
};

/* Why a link was left alone. */
enum html_left {
	HTML_LEFT_OPTED_OUT, /* data-msys-clicktrack="0" */
	HTML_LEFT_NOT_HTTP,  /* mailto:, relative, empty, a template's mark */
	HTML_LEFT_OURS,
	HTML_LEFT_TOO_LONG,
	HTML_LEFT_CHARSET, /* ISO-2022-JP: the target holds escapes */
	HTML_LEFT_OFF,     /* opt.links is false */
	HTML_LEFTS,
};

/* "data-msys-clicktrack", "not http", "wrapped already", "too long", "charset", "off". */
const char *html_left_name(enum html_left why);

struct html_left_link {
	enum html_left why;
	size_t offset;       /* of the value, or of the attribute that has none */
	struct slice target; /* as far as it was read */
};

struct html_edits {
	struct html_edit *edit; /* by offset; they don't overlap */
	size_t count, room;
	size_t links, removed;          /* how many of them are links, and attributes */
	bool initial_pixel, open_pixel; /* is there one */
	bool frameset;                  /* no pixels, for that reason */
	bool ours;                      /* one of our pixels was there */
	size_t left_count[HTML_LEFTS];
	struct html_left_link *left; /* if opt.explain */
	size_t lefts, left_room;
	struct buf text; /* what the slices point into */
};

/*
 * Find the edits of a whole part, transfer encoding taken off. `out` need not be
 * initialised; free it with html_edits_free() whatever the result is. If that isn't
 * HTML_LINKS_FOUND there are no edits. Linear in the length of the part.
 */
enum html_links_result html_links_find(
    const struct html_links_options *opt, struct slice html, struct html_edits *out);
void html_edits_free(struct html_edits *edits);

/*
 * Append the decoded value of an attribute: references resolved, NUL as U+FFFD; other
 * bytes as they are. As a `url`, tabs and line ends are dropped.
 */
void html_links_value(struct buf *out, struct slice raw, bool url);

#endif
