#!/usr/bin/env python3
"""make-html-tables.py - writes the tables of the HTML scanner.

	t/make-html-tables.py names.h   > common/html_names.h
	t/make-html-tables.py names     > common/html_names.c
	t/make-html-tables.py entities  > common/html_entities_table.h

The element names and what they do are the lists below (HTML, section 13.2.6);
the character references are those that Python knows (html.entities.html5).
"""

import html.entities
import sys

# What a start tag of that name does; see the flags in html_names.h.
FLAGS = {
    "ACTS": "svg math select template title style script textarea xmp iframe noembed noframes"
    " plaintext frameset",
    "VOID": "area base basefont bgsound br col embed frame hr image img input keygen link meta param"
    " source track wbr",
    "HEAD": "base basefont bgsound link meta",
    "BREAKOUT": "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i"
    " img li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var",
    "NO_FRAMESET": "applet area body br button dd dt embed hr iframe image img input keygen li listing"
    " marquee object pre select table template textarea wbr xmp",
    "TABLE_PART": "caption table tbody tfoot thead tr td th",
    "MATH_TEXT": "mi mo mn ms mtext",
    "SVG_HTML": "foreignobject desc title",
    "FORMATTING": "a b big code em font i nobr s small strike strong tt u",
    "SPECIAL": "address applet area article aside base basefont bgsound blockquote body br button caption"
    " center col colgroup dd details dir div dl dt embed fieldset figcaption figure footer form frame"
    " frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input keygen li link listing main"
    " marquee menu meta nav noembed noframes noscript object ol p param plaintext pre script search"
    " section select source style summary table tbody td template textarea tfoot th thead title tr track"
    " ul wbr xmp",
}
OTHER = "annotation-xml mglyph malignmark label option optgroup dialog"

names = sorted(set(OTHER.split()) | {n for list_ in FLAGS.values() for n in list_.split()})
macro = lambda name: "HTML_" + name.upper().replace("-", "_")
NOTE = "/* Made by t/make-html-tables.py; change that. */\n"


def key(name):
    """The first 8 bytes as a little-endian number, zeros behind a shorter name."""
    return int.from_bytes(name.encode()[:8].ljust(8, b"\0"), "little")


def perfect_hash(bits):
    """A multiplier whose product's top bits differ for all names."""
    mul = 0x9E3779B97F4A7C15
    while True:
        if len({(key(n) * mul % 2**64) >> (64 - bits) for n in names}) == len(names):
            return mul
        mul = (mul * 6364136223846793005 + 1442695040888963407) % 2**64 | 1


def names_h():
    print(NOTE)
    print(
        """/*
 * html_names.h - the names of elements that mean something to the scanner, as numbers.
 */
#ifndef COMMON_HTML_NAMES_H
#define COMMON_HTML_NAMES_H

#include "common/slice.h"

enum html_name {
	HTML_UNKNOWN,"""
    )
    for n in names:
        print(f"\t{macro(n)},")
    print("\tHTML_NAMES,\n};\n")
    notes = {
        "ACTS": "changes what follows: text, foreign content, a choice list, a template",
        "VOID": "has no content and no end tag",
        "HEAD": "stands in the head, without content",
        "BREAKOUT": "ends svg and math",
        "NO_FRAMESET": "behind it a frameset is ignored",
        "TABLE_PART": "its end tag reaches as far as the table",
        "MATH_TEXT": "in math: HTML inside",
        "SVG_HTML": "in svg: HTML inside",
        "FORMATTING": "its end tag may pass other elements",
        "SPECIAL": "an end tag of another name stops at it",
    }
    for i, flag in enumerate(FLAGS):
        print(f"#define HTML_IS_{flag} {1 << i}u /* {notes[flag]} */")
    print(
        """
extern const uint16_t html_name_flags[HTML_NAMES];

/*
 * The number of a name, whatever its case; HTML_UNKNOWN if it has none. `readable` bytes
 * may be read at name.p: a number >= name.len; 8 or more makes it fast.
 */
enum html_name html_name_find(struct slice name, size_t readable);

#endif"""
    )


def names_c():
    bits = 11
    mul = perfect_hash(bits)
    table = [0] * (1 << bits)
    for i, n in enumerate(names):
        table[(key(n) * mul % 2**64) >> (64 - bits)] = i + 1
    print(NOTE)
    print('#include "common/html_names.h"\n\n#include <endian.h>\n')
    print("const uint16_t html_name_flags[HTML_NAMES] = {")
    for n in names:
        flags = [f"HTML_IS_{f}" for f, list_ in FLAGS.items() if n in list_.split()]
        if flags:
            print(f"\t[{macro(n)}] = {' | '.join(flags)},")
    print("};\n")
    print("static const struct {\n\tuint64_t key; /* the first 8 bytes, little-endian */")
    print("\tconst char *name;\n\tsize_t len;\n} names[HTML_NAMES] = {")
    print("\t[HTML_UNKNOWN] = { 0, \"\", 0 },")
    for n in names:
        print(f'\t[{macro(n)}] = {{ 0x{key(n):016x}, "{n}", {len(n)} }},')
    print("};\n")
    print("/* A perfect hash: the top bits of key * MULTIPLIER are different for all names. */")
    print(f"#define MULTIPLIER UINT64_C(0x{mul:016x})\n#define SHIFT {64 - bits}\n")
    print(f"static const uint8_t slots[1 << {bits}] = {{")
    for i in range(0, len(table), 16):
        print("\t" + ", ".join(str(v) for v in table[i : i + 16]) + ",")
    print("};")
    print(
        """
/* Letters to lower case in all 8 bytes; controls become digits, which the caller knows. */
static uint64_t
first8(struct slice name, size_t readable)
{
	uint64_t key = 0;
	size_t len = name.len < 8 ? name.len : 8;

	if (readable >= 8)
		memcpy(&key, name.p, 8);
	else
		memcpy(&key, name.p, len);
	key = le64toh(key) | UINT64_C(0x2020202020202020);
	return len == 8 ? key : key & ((UINT64_C(1) << (8 * len)) - 1);
}

enum html_name
html_name_find(struct slice name, size_t readable)
{
	uint64_t key;
	enum html_name n;

	if (name.len == 0 || name.len > 14)
		return HTML_UNKNOWN;
	key = first8(name, readable);
	n = (enum html_name)slots[(key * MULTIPLIER) >> SHIFT];
	if (names[n].key != key || names[n].len != name.len)
		return HTML_UNKNOWN;
	if (name.len > 8 && strncasecmp(name.p + 8, names[n].name + 8, name.len - 8) != 0)
		return HTML_UNKNOWN;
	/* "h" and the control 0x11 have become "h1". */
	if (n >= HTML_H1 && n <= HTML_H6 && name.p[1] < '0')
		return HTML_UNKNOWN;
	return n;
}"""
    )


def entities():
    table = {}
    for name, value in html.entities.html5.items():
        plain = name.rstrip(";")
        legacy = not name.endswith(";")
        old = table.get(plain, (value, False))
        table[plain] = (value, old[1] or legacy)
    blob, rows = b"", []
    for name in sorted(table, key=lambda n: n.encode()):
        value, legacy = table[name]
        utf8 = value.encode()
        rows.append((len(blob), len(name), len(utf8), legacy, name))
        blob += name.encode() + utf8
    assert len(blob) < 65536
    starts = [sum(1 for r in rows if r[4] < chr(c)) for c in range(ord("A"), ord("z") + 2)]
    print(NOTE)
    print("/* Name and UTF-8 text of each reference, one behind the other. */")
    print("static const char entity_text[] =")
    for at, nlen, vlen, _, name in rows:
        value = blob[at + nlen : at + nlen + vlen]
        text = "".join(f"\\{b:03o}" for b in value)
        print(f'    "{name}{text}"')
    print("    ;\n")
    print("struct entity {\n\tuint16_t at;\n\tuint8_t name_len;\n\tuint8_t text_len : 7;")
    print("\tuint8_t bare : 1; /* known without the semicolon, too */\n};\n")
    print("/* In the order of their names. */")
    print(f"static const struct entity entities[{len(rows)}] = {{")
    line = "\t"
    for at, nlen, vlen, legacy, _ in rows:
        item = f"{{ {at}, {nlen}, {vlen}, {int(legacy)} }}, "
        if len(line) + len(item) > 92:
            print(line.rstrip())
            line = "\t"
        line += item
    print(line.rstrip() + "\n};\n")
    print("/* Where the names that start with 'A', 'B', ... begin; the last one is the end. */")
    print(f"static const uint16_t entity_start[{len(starts)}] = {{")
    for i in range(0, len(starts), 12):
        print("\t" + ", ".join(str(v) for v in starts[i : i + 12]) + ",")
    print("};\n")
    print(f"#define ENTITY_NAME_MAX {max(r[1] for r in rows)}")
    print(f"#define ENTITY_BARE_MAX {max(r[1] for r in rows if r[3])}")


{"names.h": names_h, "names": names_c, "entities": entities}[sys.argv[1]]()
