/*
 * event_field.h - the table of an event's fields, for the writer and the reader
 * of event lines only. Everything else uses event.h.
 */
#ifndef COMMON_EVENT_FIELD_H
#define COMMON_EVENT_FIELD_H

#include "common/event.h"

enum event_field_kind {
	EVENT_TEXT,    /* slice: JSON string */
	EVENT_CODE,    /* slice of digits: JSON string; a JSON integer is read as well */
	EVENT_NUMBER,  /* int64_t: JSON string of decimal digits; a JSON number is read as well */
	EVENT_INTEGER, /* int64_t: JSON integer; a string of digits is read as well */
	EVENT_FLAG,    /* enum event_flag: true or false; "1", "0", 1, 0 are read as well */
	EVENT_OBJECT,  /* slice: a JSON object */
	EVENT_STRINGS  /* slice: a JSON array of strings */
};

struct event_field {
	const char *name; /* on the wire */
	enum event_field_kind kind;
	size_t offset; /* in struct event */
};

/* In the order in which they are written, behind "type". */
extern const struct event_field event_fields[];
extern const size_t event_field_count;
#define EVENT_FIELDS_MAX 64 /* of them */

/* Where a field's value is, by its kind. */
static inline struct slice *
event_slice(struct event *ev, const struct event_field *f)
{
	return (struct slice *)(void *)((char *)ev + f->offset);
}

static inline int64_t *
event_number(struct event *ev, const struct event_field *f)
{
	return (int64_t *)(void *)((char *)ev + f->offset);
}

static inline enum event_flag *
event_flag(struct event *ev, const struct event_field *f)
{
	return (enum event_flag *)(void *)((char *)ev + f->offset);
}

/* What the ingest API asks of an event; the same for the writer and the reader. */
int event_check(const struct event *ev, struct err *e);

/*
 * Nesting of objects and arrays that a line may have, and how much of it the
 * line's own objects take; what is left is more than X-MSYS-API may have.
 */
#define EVENT_DEPTH    16
#define EVENT_WRAPPERS 3

#endif
