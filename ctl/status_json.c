#include <json-c/json.h>

#include "common/clock.h"
#include "common/utf8.h"
#include "ctl/status.h"

static void
add(struct json_object *o, const char *key, struct json_object *value)
{
	json_object_object_add(o, key, value);
}

static void
add_number(struct json_object *o, const char *key, uint64_t n)
{
	add(o, key, json_object_new_uint64(n));
}

static struct json_object *
text(const char *s)
{
	struct json_object *o;
	struct buf clean;

	buf_init(&clean, BUF_NO_LIMIT);
	utf8_clean(&clean, slice_str(s));
	o = json_object_new_string_len(buf_str(&clean), (int)clean.len);
	buf_free(&clean);
	return o;
}

/* A time as ISO 8601, null if it is not known. */
static void
add_time(struct json_object *o, const char *key, int64_t s)
{
	char iso[CLOCK_ISO_SIZE];

	if (s > 0)
		clock_iso(s * 1000, iso);
	add(o, key, s > 0 ? json_object_new_string(iso) : NULL);
}

static struct json_object *
files(const struct status_files *f)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "files", f->n);
	add_number(o, "bytes", f->bytes);
	add_time(o, "oldest", f->oldest_s);
	return o;
}

static struct json_object *
sink(const struct ledger_sums *s)
{
	const struct ledger_counts *c = &s->counts;
	struct json_object *o = json_object_new_object();

	add(o, "name", text(c->name));
	add(o, "required", json_object_new_boolean(c->required));
	add(o, "retired", json_object_new_boolean(c->retired));
	add_number(o, "made", c->made);
	for (int f = 0; f < LEDGER_FATES; f++)
		add_number(o, ledger_fate_name((enum ledger_fate)f), c->fate[f]);
	add_number(o, "waiting", s->waiting);
	add(o, "unaccounted", json_object_new_int64(s->difference));
	add_time(o, "oldest_waiting", s->oldest_s);
	add_number(o, "batches_sent", c->sent);
	add_number(o, "batches_retried", c->retried);
	add_number(o, "bytes_sent", c->bytes);
	add(o, "last_status", text(c->status));
	add_time(o, "last_try", c->tried_s);
	add_time(o, "last_success", c->success_s);
	return o;
}

static struct json_object *
ledger(const struct status *st)
{
	struct json_object *o, *sinks, *missing;

	if (!st->has_ledger)
		return NULL;
	o = json_object_new_object();
	sinks = json_object_new_array();
	missing = json_object_new_array();
	for (size_t i = 0; i < st->ledger.n_sinks; i++)
		json_object_array_add(sinks, sink(&st->ledger.sinks[i]));
	for (size_t i = 0; i < st->n_missing; i++) {
		struct json_object *m = json_object_new_object();

		add(m, "segment", text(st->missing[i].segment));
		add_number(m, "events", st->missing[i].events);
		json_object_array_add(missing, m);
	}
	add(o, "good", json_object_new_boolean(st->ledger.good));
	add(o, "sinks", sinks);
	add_number(o, "segments", st->ledger.segments);
	add_number(o, "uncounted_segments", st->ledger.uncounted_segments);
	add_number(o, "uncounted_bytes", st->ledger.uncounted_bytes);
	add_number(o, "missing_segments", st->ledger.missing_segments);
	add(o, "missing", missing);
	return o;
}

static struct json_object *
mail_log(const struct status *st)
{
	struct json_object *o, *list;

	if (!st->has_index)
		return NULL;
	o = json_object_new_object();
	list = json_object_new_array();
	add(o, "waiting", json_object_new_int64(st->index.waiting));
	add_time(o, "oldest_waiting", st->index.oldest_waiting_s);
	add(o, "unknown", json_object_new_int64(st->index.unknown));
	add(o, "index_bytes", json_object_new_int64(st->index.bytes));
	for (size_t i = 0; i < st->n_unknown; i++) {
		const struct status_unknown *u = &st->unknown[i];
		struct json_object *one = json_object_new_object();

		add(one, "message_id", text(u->message_id));
		add(one, "queue_id", text(u->queue_id));
		add(one, "rcpt_to", text(u->rcpt));
		add(one, "campaign_id", text(u->campaign));
		add_time(one, "received", u->received_s);
		add_time(one, "given_up", u->given_up_s);
		json_object_array_add(list, one);
	}
	add(o, "latest_unknown", list);
	return o;
}

static struct json_object *
rejected(const struct status *st)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "files", st->rejected_files);
	add_number(o, "lines", st->rejected_lines);
	add_number(o, "bytes", st->rejected_bytes);
	return o;
}

void
status_print_json(const struct status *st, FILE *out)
{
	struct json_object *o = json_object_new_object(), *problems = json_object_new_array();

	add_time(o, "time", st->now_s);
	add(o, "spool", text(st->conf->spool.directory));
	add_number(o, "free_bytes", st->free_bytes);
	add_number(o, "free_inodes", st->free_inodes);
	add(o, "uploader_runs", json_object_new_boolean(st->uploader_runs));
	add(o, "uploader_pid",
	    st->uploader_pid > 0 ? json_object_new_int64(st->uploader_pid) : NULL);
	add(o, "being_written", files(&st->open));
	add(o, "closed", files(&st->closed));
	add(o, "ledger", ledger(st));
	add(o, "reports", files(&st->inbound));
	add(o, "onward", files(&st->onward));
	add(o, "rejected", rejected(st));
	add(o, "mail_log", mail_log(st));
	for (size_t i = 0; i < st->n_problems; i++)
		json_object_array_add(problems, text(st->problems[i]));
	add(o, "problems", problems);
	fprintf(out, "%s\n",
	    json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}
