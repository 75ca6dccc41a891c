#include "common/event.h"

#include <stdlib.h>

#include "common/event_field.h"
#include "common/hash.h"

static const struct {
	const char *wire, *public;
	enum event_class class;
} types[] = {
	[EVENT_RECEPTION] = { "reception", "injection", EVENT_CLASS_MESSAGE },
	[EVENT_DELIVERY] = { "delivery", "delivery", EVENT_CLASS_MESSAGE },
	[EVENT_INBAND] = { "inband", "bounce", EVENT_CLASS_MESSAGE },
	[EVENT_TEMPFAIL] = { "tempfail", "delay", EVENT_CLASS_MESSAGE },
	[EVENT_OUTOFBAND] = { "outofband", "out_of_band", EVENT_CLASS_MESSAGE },
	[EVENT_FEEDBACK] = { "feedback", "spam_complaint", EVENT_CLASS_MESSAGE },
	[EVENT_REJECTION] = { "rejection", "policy_rejection", EVENT_CLASS_MESSAGE },
	[EVENT_GEN_FAIL] = { "gen_fail", "generation_failure", EVENT_CLASS_GEN },
	[EVENT_GEN_REJECTION] = { "gen_rejection", "generation_rejection", EVENT_CLASS_GEN },
	[EVENT_OPEN] = { "open", "open", EVENT_CLASS_TRACK },
	[EVENT_INITIAL_OPEN] = { "initial_open", "initial_open", EVENT_CLASS_TRACK },
	[EVENT_CLICK] = { "click", "click", EVENT_CLASS_TRACK },
	[EVENT_AMP_OPEN] = { "amp_open", "amp_open", EVENT_CLASS_TRACK },
	[EVENT_AMP_INITIAL_OPEN] = { "amp_initial_open", "amp_initial_open", EVENT_CLASS_TRACK },
	[EVENT_AMP_CLICK] = { "amp_click", "amp_click", EVENT_CLASS_TRACK },
	[EVENT_LIST] = { "list", "list_unsubscribe", EVENT_CLASS_UNSUBSCRIBE },
	[EVENT_LINK] = { "link", "link_unsubscribe", EVENT_CLASS_UNSUBSCRIBE },
};
_Static_assert(COUNT(types) == EVENT_TYPES, "one row for each type");

static const char *const class_name[] = {
	[EVENT_CLASS_MESSAGE] = "message_event",
	[EVENT_CLASS_TRACK] = "track_event",
	[EVENT_CLASS_GEN] = "gen_event",
	[EVENT_CLASS_UNSUBSCRIBE] = "unsubscribe_event",
};
_Static_assert(COUNT(class_name) == EVENT_CLASSES, "name every class");

const struct event_field event_fields[] = {
#define AT(member) offsetof(struct event, member)
	{ "event_id", EVENT_NUMBER, AT(event_id) },
	{ "timestamp", EVENT_NUMBER, AT(timestamp) },
	{ "recv_method", EVENT_TEXT, AT(recv_method) },
	{ "delv_method", EVENT_TEXT, AT(delv_method) },
	{ "bounce_class", EVENT_NUMBER, AT(bounce_class) },
	{ "error_code", EVENT_CODE, AT(error_code) },
	{ "raw_reason", EVENT_TEXT, AT(raw_reason) },
	{ "reason", EVENT_TEXT, AT(reason) },
	{ "fbtype", EVENT_TEXT, AT(fbtype) },
	{ "report_by", EVENT_TEXT, AT(report_by) },
	{ "report_to", EVENT_TEXT, AT(report_to) },
	{ "matched_by", EVENT_TEXT, AT(matched_by) },
	{ "authenticated", EVENT_FLAG, AT(authenticated) },
	{ "likely_message_id", EVENT_TEXT, AT(likely_message_id) },
	{ "final_rcpt", EVENT_TEXT, AT(final_rcpt) },
	{ "report_dkim", EVENT_TEXT, AT(report_dkim) },
	{ "ip_address", EVENT_TEXT, AT(ip_address) },
	{ "remote_addr", EVENT_TEXT, AT(remote_addr) },
	{ "queue_id", EVENT_TEXT, AT(queue_id) },
	{ "header_message_id", EVENT_TEXT, AT(header_message_id) },
	{ "envid", EVENT_TEXT, AT(envid) },
	{ "user_agent", EVENT_TEXT, AT(user_agent) },
	{ "prefetched", EVENT_FLAG, AT(prefetched) },
	{ "machine_reader", EVENT_TEXT, AT(machine_reader) },
	{ "target_link_url", EVENT_TEXT, AT(target_link_url) },
	{ "target_link_name", EVENT_TEXT, AT(target_link_name) },
	{ "msg_size", EVENT_NUMBER, AT(msg_size) },
	{ "num_retries", EVENT_NUMBER, AT(num_retries) },
	{ "queue_time", EVENT_NUMBER, AT(queue_time_ms) },
	{ "open_tracking", EVENT_FLAG, AT(open_tracking) },
	{ "click_tracking", EVENT_FLAG, AT(click_tracking) },
	{ "initial_pixel", EVENT_FLAG, AT(initial_pixel) },
	{ "binding", EVENT_TEXT, AT(binding) },
	{ "binding_group", EVENT_TEXT, AT(binding_group) },
	{ "sending_ip", EVENT_TEXT, AT(sending_ip) },
	{ "routing_domain", EVENT_TEXT, AT(routing_domain) },
	{ "campaign_id", EVENT_TEXT, AT(campaign_id) },
	{ "friendly_from", EVENT_TEXT, AT(friendly_from) },
	{ "msg_from", EVENT_TEXT, AT(msg_from) },
	{ "mailfrom", EVENT_TEXT, AT(mailfrom) },
	{ "subject", EVENT_TEXT, AT(subject) },
	{ "rcpt_meta", EVENT_OBJECT, AT(rcpt_meta) },
	{ "rcpt_tags", EVENT_STRINGS, AT(rcpt_tags) },
	{ "message_id", EVENT_TEXT, AT(message_id) },
	{ "custom_message_id", EVENT_TEXT, AT(custom_message_id) },
	{ "raw_rcpt_to", EVENT_TEXT, AT(raw_rcpt_to) },
	{ "rcpt_to", EVENT_TEXT, AT(rcpt_to) },
	{ "rcpt_hash", EVENT_TEXT, AT(rcpt_hash) },
	{ "rcpt_domain", EVENT_TEXT, AT(rcpt_domain) },
	{ "subaccount_id", EVENT_INTEGER, AT(subaccount_id) },
#undef AT
};
const size_t event_field_count = COUNT(event_fields);
_Static_assert(COUNT(event_fields) <= EVENT_FIELDS_MAX, "event_scan.c has a bit for each");

void
event_init(struct event *ev, enum event_type type)
{
	*ev = (struct event){ .type = type };
	for (size_t i = 0; i < COUNT(event_fields); i++)
		if (event_fields[i].kind == EVENT_NUMBER)
			*event_number(ev, &event_fields[i]) = EVENT_UNSET;
}

const char *
event_type_name(enum event_type type)
{
	return types[type].wire;
}

const char *
event_public_name(enum event_type type)
{
	return types[type].public;
}

bool
event_type_find(struct slice name, enum event_type *out)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (slice_eq(name, slice_str(types[i].wire)) ||
		    slice_eq(name, slice_str(types[i].public))) {
			*out = (enum event_type)i;
			return true;
		}
	return false;
}

enum event_class
event_class_of(enum event_type type)
{
	return types[type].class;
}

const char *
event_class_name(enum event_class c)
{
	return class_name[c];
}

static void
add_size(struct buf *b, size_t n)
{
	char digits[24], *end = digits + sizeof(digits), *p = end;

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_add(b, (struct slice){ p, (size_t)(end - p) });
}

int64_t
event_id_for(enum event_type type, struct slice message_id, struct slice what_made_it)
{
	struct buf b;
	int64_t id;

	buf_init(&b, BUF_NO_LIMIT);
	buf_reserve(&b, 64 + message_id.len + what_made_it.len);
	buf_adds(&b, types[type].wire);
	buf_addc(&b, ' ');
	/* The length keeps ("ab", "c") and ("a", "bc") apart. */
	add_size(&b, message_id.len);
	buf_addc(&b, ' ');
	buf_add(&b, message_id);
	buf_add(&b, what_made_it);
	id = (int64_t)hash_id63(buf_slice(&b));
	buf_free(&b);
	return id;
}

int
event_check(const struct event *ev, struct err *e)
{
	const char *type = types[ev->type].wire;

	if (ev->event_id < 0)
		return err_set(e, "Missing event_id on %s event", type);
	if (ev->timestamp < 0)
		return err_set(e, "Missing timestamp on %s event", type);
	/* What fails in generation never became a message. */
	if (ev->message_id.len == 0 && types[ev->type].class != EVENT_CLASS_GEN)
		return err_set(e, "Missing message_id on %s event", type);
	if (ev->recv_method.len == 0 && ev->delv_method.len == 0)
		return err_set(e, "Missing recv_method or delv_method on %s event", type);
	if (ev->fbtype.len == 0 && ev->type == EVENT_FEEDBACK)
		return err_set(e, "Missing fbtype on %s event", type);
	if (ev->rcpt_hash.len > 0 && ev->rcpt_domain.len == 0)
		return err_set(e, "Missing rcpt_domain on event with rcpt_hash");
	if (ev->rcpt_domain.len > 0 && ev->rcpt_hash.len == 0)
		return err_set(e, "Missing rcpt_hash on event with rcpt_domain");
	return 0;
}
