#include "common/message.h"

#include <search.h>
#include <stdlib.h>

#include "common/header.h"
#include "common/xalloc.h"

/*
 * A sender may put a hundred thousand fields into one message, so the number of
 * one among those of its name comes from a tree, not from looking at all others.
 */
struct count {
	const char *name; /* the first header's copy */
	unsigned n;
};

void
message_init(struct message *m, size_t body_max)
{
	*m = (struct message){ 0 };
	buf_init(&m->body, body_max);
}

void
message_free(struct message *m)
{
	tdestroy(m->counts, free);
	for (size_t i = 0; i < m->n_headers; i++) {
		free(m->headers[i].name);
		free(m->headers[i].value);
	}
	free(m->headers);
	buf_free(&m->body);
	message_init(m, m->body.max);
}

/* A C string: the CR of a fold goes, and a NUL does, so that it cuts nothing off. */
static char *
copy_value(struct slice value)
{
	char *copy = xslicedup(value);
	size_t n = 0;

	if (memchr(copy, '\r', value.len) == NULL && strlen(copy) == value.len)
		return copy;
	for (size_t i = 0; i < value.len; i++)
		if (copy[i] != '\0' && (copy[i] != '\r' || copy[i + 1] != '\n'))
			copy[n++] = copy[i];
	copy[n] = '\0';
	return copy;
}

static struct message_header *
insert(struct message *m, size_t at, struct slice name, struct slice value)
{
	struct message_header *h;

	m->headers = xgrow(m->headers, m->n_headers, &m->room, sizeof(*m->headers));
	h = &m->headers[at];
	memmove(h + 1, h, (m->n_headers - at) * sizeof(*h));
	m->n_headers++;
	*h = (struct message_header){ .name = xslicedup(name), .value = copy_value(value) };
	return h;
}

static int
compare_names(const void *a, const void *b)
{
	return strcasecmp(((const struct count *)a)->name, ((const struct count *)b)->name);
}

static unsigned
count_name(struct message *m, const char *name)
{
	struct count *mine = xcalloc(1, sizeof(*mine));
	struct count **node, *have;

	mine->name = name;
	node = tsearch(mine, &m->counts, compare_names);
	have =
	    node != NULL ? *node : mine; /* NULL: no memory, which xcalloc() above would have met */
	if (have != mine)
		free(mine);
	return ++have->n;
}

void
message_add_original(struct message *m, struct slice name, struct slice value)
{
	struct message_header *h = insert(m, m->n_headers, name, value);

	h->index = count_name(m, h->name);
}

void
message_parse(struct message *m, struct slice text)
{
	struct slice rest = text, before = text;
	struct header h;
	int got;

	while ((got = header_next(&rest, &h)) != 0) {
		if (got > 0)
			message_add_original(m, h.name, h.value);
		else if (before.p != text.p || !slice_starts(h.whole, SLICE_LIT("From "))) {
			rest = before;
			break;
		}
		before = rest;
	}
	buf_add(&m->body, rest);
}

struct message_header *
message_find(const struct message *m, const char *name, size_t from)
{
	for (size_t i = from; i < m->n_headers; i++)
		if (!m->headers[i].deleted && strcasecmp(m->headers[i].name, name) == 0)
			return &m->headers[i];
	return NULL;
}

size_t
message_position(const struct message *m, const struct message_header *h)
{
	return (size_t)(h - m->headers);
}

void
message_put_field(const struct message *m, const char *name, struct buf *out)
{
	const struct message_header *h = message_find(m, name, 0);

	if (h != NULL)
		buf_printf(out, "%s:%s\n", name, h->value);
}

void
message_set(struct message_header *h, struct slice value)
{
	char *copy = copy_value(value); /* before the old one goes: `value` may be a part of it */

	free(h->value);
	h->value = copy;
	h->changed = true;
}

void
message_delete(struct message *m, const char *name)
{
	struct message_header *h;

	for (size_t at = 0; (h = message_find(m, name, at)) != NULL;
	     at = message_position(m, h) + 1)
		h->deleted = true;
}

void
message_append(struct message *m, const char *name, struct slice value)
{
	insert(m, m->n_headers, slice_str(name), value);
}

void
message_prepend(struct message *m, const char *name, struct slice value)
{
	insert(m, 0, slice_str(name), value)->top = true;
}

void
message_set_body(struct message *m, struct buf *new_body)
{
	size_t max = new_body->max;

	free(m->body.p);
	m->body = *new_body;
	m->body_changed = true;
	buf_init(new_body, max);
}

/* Every line of `text` with `eol` at its end. */
static void
add_lines(struct buf *out, struct slice text, const char *eol)
{
	while (text.len > 0) {
		size_t at = slice_find(text, '\n');
		struct slice line = slice_head(text, at);

		if (at < text.len && line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		buf_add(out, line);
		buf_adds(out, eol);
		text = slice_skip(text, at + 1);
	}
}

void
message_print(const struct message *m, bool crlf, struct buf *out)
{
	const char *eol = crlf ? "\r\n" : "\n";

	for (size_t i = 0; i < m->n_headers; i++) {
		const struct message_header *h = &m->headers[i];

		if (h->deleted)
			continue;
		buf_adds(out, h->name);
		buf_addc(out, ':');
		if (h->value[0] == '\0')
			buf_adds(out, eol);
		add_lines(out, slice_str(h->value), eol);
	}
	buf_adds(out, eol);
	add_lines(out, buf_slice(&m->body), eol);
}
