/* Made by t/make-html-tables.py; change that. */

/*
 * html_names.h - the names of elements that mean something to the scanner, as numbers.
 */
#ifndef COMMON_HTML_NAMES_H
#define COMMON_HTML_NAMES_H

#include "common/slice.h"

enum html_name {
	HTML_UNKNOWN,
	HTML_A,
	HTML_ADDRESS,
	HTML_ANNOTATION_XML,
	HTML_APPLET,
	HTML_AREA,
	HTML_ARTICLE,
	HTML_ASIDE,
	HTML_B,
	HTML_BASE,
	HTML_BASEFONT,
	HTML_BGSOUND,
	HTML_BIG,
	HTML_BLOCKQUOTE,
	HTML_BODY,
	HTML_BR,
	HTML_BUTTON,
	HTML_CAPTION,
	HTML_CENTER,
	HTML_CODE,
	HTML_COL,
	HTML_COLGROUP,
	HTML_DD,
	HTML_DESC,
	HTML_DETAILS,
	HTML_DIALOG,
	HTML_DIR,
	HTML_DIV,
	HTML_DL,
	HTML_DT,
	HTML_EM,
	HTML_EMBED,
	HTML_FIELDSET,
	HTML_FIGCAPTION,
	HTML_FIGURE,
	HTML_FONT,
	HTML_FOOTER,
	HTML_FOREIGNOBJECT,
	HTML_FORM,
	HTML_FRAME,
	HTML_FRAMESET,
	HTML_H1,
	HTML_H2,
	HTML_H3,
	HTML_H4,
	HTML_H5,
	HTML_H6,
	HTML_HEAD,
	HTML_HEADER,
	HTML_HGROUP,
	HTML_HR,
	HTML_HTML,
	HTML_I,
	HTML_IFRAME,
	HTML_IMAGE,
	HTML_IMG,
	HTML_INPUT,
	HTML_KEYGEN,
	HTML_LABEL,
	HTML_LI,
	HTML_LINK,
	HTML_LISTING,
	HTML_MAIN,
	HTML_MALIGNMARK,
	HTML_MARQUEE,
	HTML_MATH,
	HTML_MENU,
	HTML_META,
	HTML_MGLYPH,
	HTML_MI,
	HTML_MN,
	HTML_MO,
	HTML_MS,
	HTML_MTEXT,
	HTML_NAV,
	HTML_NOBR,
	HTML_NOEMBED,
	HTML_NOFRAMES,
	HTML_NOSCRIPT,
	HTML_OBJECT,
	HTML_OL,
	HTML_OPTGROUP,
	HTML_OPTION,
	HTML_P,
	HTML_PARAM,
	HTML_PLAINTEXT,
	HTML_PRE,
	HTML_RUBY,
	HTML_S,
	HTML_SCRIPT,
	HTML_SEARCH,
	HTML_SECTION,
	HTML_SELECT,
	HTML_SMALL,
	HTML_SOURCE,
	HTML_SPAN,
	HTML_STRIKE,
	HTML_STRONG,
	HTML_STYLE,
	HTML_SUB,
	HTML_SUMMARY,
	HTML_SUP,
	HTML_SVG,
	HTML_TABLE,
	HTML_TBODY,
	HTML_TD,
	HTML_TEMPLATE,
	HTML_TEXTAREA,
	HTML_TFOOT,
	HTML_TH,
	HTML_THEAD,
	HTML_TITLE,
	HTML_TR,
	HTML_TRACK,
	HTML_TT,
	HTML_U,
	HTML_UL,
	HTML_VAR,
	HTML_WBR,
	HTML_XMP,
	HTML_NAMES,
};

#define HTML_IS_ACTS 1u /* changes what follows: text, foreign content, a choice list, a template */
#define HTML_IS_VOID 2u /* has no content and no end tag */
#define HTML_IS_HEAD 4u /* stands in the head, without content */
#define HTML_IS_BREAKOUT 8u /* ends svg and math */
#define HTML_IS_NO_FRAMESET 16u /* behind it a frameset is ignored */
#define HTML_IS_TABLE_PART 32u /* its end tag reaches as far as the table */
#define HTML_IS_MATH_TEXT 64u /* in math: HTML inside */
#define HTML_IS_SVG_HTML 128u /* in svg: HTML inside */
#define HTML_IS_FORMATTING 256u /* its end tag may pass other elements */
#define HTML_IS_SPECIAL 512u /* an end tag of another name stops at it */

extern const uint16_t html_name_flags[HTML_NAMES];

/*
 * The number of a name, whatever its case; HTML_UNKNOWN if it has none. `readable` bytes
 * may be read at name.p: a number >= name.len; 8 or more makes it fast.
 */
enum html_name html_name_find(struct slice name, size_t readable);

#endif
