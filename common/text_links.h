/*
 * text_links.h - the links of a text/plain part, with SparkPost's marks behind them:
 *
 *	http://www.example.com/[[data-msys-clicktrack="0"]]
 *
 *	struct slice rest = text;
 *	struct text_link l;
 *
 *	while (text_link_next(&rest, &l))
 *		...
 *
 * A link begins with http:// or https:// and ends at a blank, a control or 8-bit byte,
 * one of <>"`, or a mark. Without a mark, punctuation at its end belongs to the
 * sentence, and so does a closing bracket that was not opened in it. One pass.
 *
 * Mail programs find links in text by themselves, and many go on over 8-bit letters.
 * A URL that is put in the place of such a link would get the letters, too, and lead nowhere.
 */
#ifndef COMMON_TEXT_LINKS_H
#define COMMON_TEXT_LINKS_H

#include "common/slice.h"

struct text_link { /* slices lie in the text */
	struct slice url;
	struct slice marks; /* right behind the url; empty if there are none */
	bool untracked;     /* data-msys-clicktrack="0" */
	bool unsubscribe;   /* data-msys-unsubscribe="1" */
	bool goes_on;       /* 8-bit letters right behind it, which readers may take for a part */
	struct slice sublink;
};

/* The next link; *rest moves past it and its marks. False if there is none. */
bool text_link_next(struct slice *rest, struct text_link *out);

#endif
