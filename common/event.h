/*
 * event.h - one fact about one message and one recipient: the record that every
 * program makes, spools, posts and reads. The fields and their JSON spelling
 * are one table (event.c); SparkPost's ingest documentation names them.
 *
 * All slices are borrowed. A field that is unset is left out of the JSON.
 */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

enum event_type {
	EVENT_RECEPTION,
	EVENT_DELIVERY,
	EVENT_INBAND,
	EVENT_TEMPFAIL,
	EVENT_OUTOFBAND,
	EVENT_FEEDBACK,
	EVENT_REJECTION,
	EVENT_GEN_FAIL,
	EVENT_GEN_REJECTION,
	EVENT_OPEN,
	EVENT_INITIAL_OPEN,
	EVENT_CLICK,
	EVENT_AMP_OPEN,
	EVENT_AMP_INITIAL_OPEN,
	EVENT_AMP_CLICK,
	EVENT_LIST,
	EVENT_LINK,
	EVENT_TYPES
};

enum event_class {
	EVENT_CLASS_MESSAGE, /* message_event */
	EVENT_CLASS_TRACK,   /* track_event */
	EVENT_CLASS_GEN,     /* gen_event */
	EVENT_CLASS_UNSUBSCRIBE,
	EVENT_CLASSES
};

enum event_flag { EVENT_UNKNOWN, EVENT_FALSE, EVENT_TRUE };

#define EVENT_UNSET INT64_MIN /* an absent number */

struct event {
	enum event_type type;
	int64_t event_id;  /* 0..2^63-1, the same at every repeat */
	int64_t timestamp; /* Unix seconds */
	struct slice message_id, custom_message_id;
	struct slice rcpt_to, raw_rcpt_to, rcpt_hash, rcpt_domain;
	struct slice msg_from, friendly_from, subject, campaign_id;
	struct slice binding, binding_group, sending_ip, ip_address, remote_addr, routing_domain;
	struct slice recv_method, delv_method;
	struct slice queue_id; /* the MTA's, ours: the log is joined by it; no receiver needs it */
	struct slice raw_reason, reason, error_code;
	struct slice fbtype, report_by, report_to, mailfrom;
	struct slice header_message_id, envid; /* ours: reports quote them, reports are joined by them */
	struct slice matched_by;  /* ours, of a report: how its message was found (correlate.h) */
	struct slice likely_message_id; /* ours: the message that a report may be about; a guess */
	struct slice final_rcpt;  /* ours: whom the report names, if that is not rcpt_to */
	struct slice report_dkim; /* ours: what became of the report's DKIM signature */
	struct slice user_agent, target_link_url, target_link_name;
	struct slice machine_reader; /* ours: the rule that knew this reader to be a program */
	struct slice rcpt_meta; /* a JSON object, as text */
	struct slice rcpt_tags; /* a JSON array of strings, as text */
	int64_t subaccount_id, msg_size, num_retries, queue_time_ms, bounce_class;
	enum event_flag open_tracking, click_tracking, initial_pixel;
	enum event_flag prefetched; /* ours: no person may have looked */
	enum event_flag authenticated; /* ours: the report quotes what only the message had, sealed */
};

/* All unset; subaccount_id 0. */
void event_init(struct event *ev, enum event_type type);

const char *event_type_name(enum event_type type);   /* on the wire: "inband" */
const char *event_public_name(enum event_type type); /* in SparkPost's Events API: "bounce" */
bool event_type_find(struct slice name, enum event_type *out); /* either name */
enum event_class event_class_of(enum event_type type);
const char *event_class_name(enum event_class c); /* "message_event" */

/*
 * The id for the n-th event of this type about this message and recipient;
 * depends on nothing else, so a repeat has the same id.
 */
int64_t event_id_for(enum event_type type, struct slice message_id, struct slice what_made_it);

/*
 * Append one NDJSON line, LF included: {"msys":{CLASS:{...}}}. Text that is not
 * UTF-8 is cleaned. 0; -1 and *e if a field that the ingest API requires is
 * missing, if rcpt_meta or rcpt_tags is not the JSON it should be (EVENT_DEPTH in
 * event_field.h bounds its nesting), or if the line would pass EVENT_LINE_MAX;
 * nothing is added then.
 */
#define EVENT_LINE_MAX (256 * 1024)
int event_json(const struct event *ev, struct buf *out, struct err *e);

/*
 * The same line, for one thread that writes many: events of a type that have the same fields share
 * what their lines have in common, which makes a line cost half.
 */
struct event_writer;

struct event_writer *event_writer_new(void);
void event_writer_free(struct event_writer *w); /* NULL is fine */
int event_write(struct event_writer *w, const struct event *ev, struct buf *out, struct err *e);

/*
 * The same as one flat object, for receivers that know tables: event_class and type first, then
 * the fields; those that are numbers by nature are JSON numbers, but for event_id, which
 * is more than a double can hold.
 */
int event_flat(const struct event *ev, struct buf *out, struct err *e);

/*
 * Read a line back. `store` owns the text that the slices point into (it is
 * cleared first). -1 and *e: no JSON, a wrong wrapper, an unknown type, a required
 * field missing, a known field of the wrong kind, rcpt_hash without rcpt_domain or
 * the other way round. Unknown fields are ignored. A number may come as a JSON
 * string or number, a flag as a boolean, "1" or "0"; null and an empty number
 * count as absent. Only wire names of types are taken.
 */
int event_read(struct slice line, struct event *out, struct buf *store, struct err *e);

/*
 * Is this line (without LF) certainly one that event_read() takes? Quickly; *timestamp is the
 * event's. False: only event_read() can tell.
 */
bool event_scan(struct slice line, int64_t *timestamp);

#endif
