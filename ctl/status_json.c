#include "ctl/json_out.h"
#include "ctl/status.h"

static void
add(struct json_object *o, const char *key, struct json_object *value)
{
	json_object_object_add(o, key, value);
}

static struct json_object *
files(const struct status_files *f)
{
	struct json_object *o = json_object_new_object();

	json_out_count(o, "files", f->n);
	json_out_count(o, "bytes", f->bytes);
	json_out_time(o, "oldest", f->oldest_s * 1000);
	return o;
}

static struct json_object *
sink(const struct ledger_sums *s)
{
	const struct ledger_counts *c = &s->counts;
	struct json_object *o = json_object_new_object();

	json_out_text(o, "name", slice_str(c->name));
	json_out_bool(o, "required", c->required);
	json_out_bool(o, "retired", c->retired);
	json_out_count(o, "made", c->made);
	for (int f = 0; f < LEDGER_FATES; f++)
		json_out_count(o, ledger_fate_name((enum ledger_fate)f), c->fate[f]);
	json_out_count(o, "waiting", s->waiting);
	add(o, "unaccounted", json_object_new_int64(s->difference));
	json_out_time(o, "oldest_waiting", s->oldest_s * 1000);
	json_out_count(o, "unconfirmed", s->unconfirmed);
	json_out_count(o, "unconfirmed_batches", s->unconfirmed_batches);
	json_out_count(o, "batches_sent", c->sent);
	json_out_count(o, "batches_retried", c->retried);
	json_out_count(o, "bytes_sent", c->bytes);
	json_out_text(o, "last_status", slice_str(c->status));
	json_out_time(o, "last_try", c->tried_s * 1000);
	json_out_time(o, "last_success", c->success_s * 1000);
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

		json_out_text(m, "segment", slice_str(st->missing[i].segment));
		json_out_count(m, "events", st->missing[i].events);
		json_object_array_add(missing, m);
	}
	json_out_bool(o, "good", st->ledger.good);
	add(o, "sinks", sinks);
	json_out_count(o, "segments", st->ledger.segments);
	json_out_count(o, "uncounted_segments", st->ledger.uncounted_segments);
	json_out_count(o, "uncounted_bytes", st->ledger.uncounted_bytes);
	json_out_count(o, "missing_segments", st->ledger.missing_segments);
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
	json_out_time(o, "oldest_waiting", st->index.oldest_waiting_s * 1000);
	add(o, "unknown", json_object_new_int64(st->index.unknown));
	add(o, "index_bytes", json_object_new_int64(st->index.bytes));
	for (size_t i = 0; i < st->n_unknown; i++) {
		const struct status_unknown *u = &st->unknown[i];
		struct json_object *one = json_object_new_object();

		json_out_text(one, "message_id", slice_str(u->message_id));
		json_out_text(one, "queue_id", slice_str(u->queue_id));
		json_out_text(one, "rcpt_to", slice_str(u->rcpt));
		json_out_text(one, "campaign_id", slice_str(u->campaign));
		json_out_time(one, "received", u->received_s * 1000);
		json_out_time(one, "given_up", u->given_up_s * 1000);
		json_object_array_add(list, one);
	}
	add(o, "latest_unknown", list);
	return o;
}

static struct json_object *
rejected(const struct status *st)
{
	struct json_object *o = json_object_new_object();

	json_out_count(o, "files", st->rejected_files);
	json_out_count(o, "lines", st->rejected_lines);
	json_out_count(o, "bytes", st->rejected_bytes);
	return o;
}

void
status_print_json(const struct status *st, FILE *out)
{
	struct json_object *o = json_object_new_object(), *problems = json_object_new_array();

	json_out_time(o, "time", st->now_s * 1000);
	json_out_text(o, "spool", slice_str(st->conf->spool.directory));
	json_out_count(o, "free_bytes", st->free_bytes);
	json_out_count(o, "free_inodes", st->free_inodes);
	json_out_bool(o, "uploader_runs", st->uploader_runs);
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
		json_object_array_add(problems, json_out_string(slice_str(st->problems[i])));
	add(o, "problems", problems);
	fprintf(out, "%s\n",
	    json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}
