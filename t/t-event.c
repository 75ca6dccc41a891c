/*
 * Events: what is written, what is read, what is refused and why.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/file.h"
#include "common/utf8.h"
#include "t/tap.h"

static struct buf line, store; /* of the test at hand */

static void
names(void)
{
	static const struct {
		enum event_type type;
		const char *wire, *public, *class;
	} cases[] = {
		{ EVENT_RECEPTION, "reception", "injection", "message_event" },
		{ EVENT_DELIVERY, "delivery", "delivery", "message_event" },
		{ EVENT_INBAND, "inband", "bounce", "message_event" },
		{ EVENT_TEMPFAIL, "tempfail", "delay", "message_event" },
		{ EVENT_OUTOFBAND, "outofband", "out_of_band", "message_event" },
		{ EVENT_FEEDBACK, "feedback", "spam_complaint", "message_event" },
		{ EVENT_REJECTION, "rejection", "policy_rejection", "message_event" },
		{ EVENT_GEN_FAIL, "gen_fail", "generation_failure", "gen_event" },
		{ EVENT_GEN_REJECTION, "gen_rejection", "generation_rejection", "gen_event" },
		{ EVENT_OPEN, "open", "open", "track_event" },
		{ EVENT_INITIAL_OPEN, "initial_open", "initial_open", "track_event" },
		{ EVENT_CLICK, "click", "click", "track_event" },
		{ EVENT_AMP_OPEN, "amp_open", "amp_open", "track_event" },
		{ EVENT_AMP_INITIAL_OPEN, "amp_initial_open", "amp_initial_open", "track_event" },
		{ EVENT_AMP_CLICK, "amp_click", "amp_click", "track_event" },
		{ EVENT_LIST, "list", "list_unsubscribe", "unsubscribe_event" },
		{ EVENT_LINK, "link", "link_unsubscribe", "unsubscribe_event" },
	};
	enum event_type type;

	ok(COUNT(cases) == EVENT_TYPES, "every type has its row");
	for (size_t i = 0; i < COUNT(cases); i++) {
		ok(strcmp(event_type_name(cases[i].type), cases[i].wire) == 0 &&
			strcmp(event_public_name(cases[i].type), cases[i].public) == 0 &&
			strcmp(event_class_name(event_class_of(cases[i].type)), cases[i].class) ==
			    0,
		    "%s is %s in %s", cases[i].wire, cases[i].public, cases[i].class);
		ok(event_type_find(slice_str(cases[i].wire), &type) && type == cases[i].type &&
			event_type_find(slice_str(cases[i].public), &type) && type == cases[i].type,
		    "%s is found by either name", cases[i].wire);
	}
	ok(!event_type_find(SLICE_LIT("Delivery"), &type) &&
		!event_type_find(SLICE_LIT(""), &type) &&
		!event_type_find(SLICE_LIT("relay_delivery"), &type),
	    "other names are not");
}

static void
full_event(struct event *ev)
{
	event_init(ev, EVENT_INBAND);
	ev->event_id = INT64_MAX;
	ev->timestamp = 1785844802;
	ev->message_id = SLICE_LIT("000040d4716a5b1c9e02");
	ev->custom_message_id = SLICE_LIT("<a.b@example.com>");
	ev->rcpt_to = SLICE_LIT("anna@example.net");
	ev->raw_rcpt_to = SLICE_LIT("Anna@Example.NET");
	ev->rcpt_hash = SLICE_LIT("0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33");
	ev->rcpt_domain = SLICE_LIT("example.net");
	ev->msg_from = SLICE_LIT("b-7f3a@bounces.brand.example");
	ev->friendly_from = SLICE_LIT("news@brand.example");
	ev->subject = SLICE_LIT("\xc3\x9c"
				"bung \"1/2\" \\ \t\x01");
	ev->campaign_id = SLICE_LIT("spring_sale");
	ev->binding = SLICE_LIT("mta1");
	ev->binding_group = SLICE_LIT("default");
	ev->sending_ip = SLICE_LIT("192.0.2.10");
	ev->ip_address = SLICE_LIT("198.51.100.25");
	ev->remote_addr = SLICE_LIT("203.0.113.9");
	ev->routing_domain = SLICE_LIT("example.net");
	ev->recv_method = SLICE_LIT("esmtp");
	ev->delv_method = SLICE_LIT("smtp");
	ev->raw_reason = SLICE_LIT("550 5.1.1 <anna@example.net> User unknown");
	ev->reason = SLICE_LIT("550 5.1.1 ...@... User unknown");
	ev->error_code = SLICE_LIT("550");
	ev->fbtype = SLICE_LIT("abuse");
	ev->report_by = SLICE_LIT("fbl.provider.example");
	ev->report_to = SLICE_LIT("fbl@fbl.brand.example");
	ev->mailfrom = SLICE_LIT("x@brand.example");
	ev->user_agent = SLICE_LIT("Mozilla/5.0");
	ev->target_link_url = SLICE_LIT("https://brand.example/sale?a=1&b=2");
	ev->target_link_name = SLICE_LIT("banner");
	ev->rcpt_meta =
	    SLICE_LIT("{ \"plan\": \"gold\", \"n\": 1.50, \"deep\": {\"a\":[[[[[{}]]]]]} }");
	ev->rcpt_tags = SLICE_LIT("[\"a\",\"b\"]");
	ev->subaccount_id = 101;
	ev->msg_size = 31533;
	ev->num_retries = 0;
	ev->queue_time_ms = 1840;
	ev->bounce_class = 10;
	ev->open_tracking = EVENT_TRUE;
	ev->click_tracking = EVENT_FALSE;
	ev->initial_pixel = EVENT_TRUE;
}

static const char full_line[] =
    "{\"msys\":{\"message_event\":{\"type\":\"inband\",\"event_id\":\"9223372036854775807\","
    "\"timestamp\":\"1785844802\",\"recv_method\":\"esmtp\",\"delv_method\":\"smtp\","
    "\"bounce_class\":\"10\",\"error_code\":\"550\","
    "\"raw_reason\":\"550 5.1.1 <anna@example.net> User unknown\","
    "\"reason\":\"550 5.1.1 ...@... User unknown\",\"fbtype\":\"abuse\","
    "\"report_by\":\"fbl.provider.example\",\"report_to\":\"fbl@fbl.brand.example\","
    "\"ip_address\":\"198.51.100.25\",\"remote_addr\":\"203.0.113.9\","
    "\"user_agent\":\"Mozilla/5.0\","
    "\"target_link_url\":\"https://brand.example/sale?a=1&b=2\","
    "\"target_link_name\":\"banner\",\"msg_size\":\"31533\",\"num_retries\":\"0\","
    "\"queue_time\":\"1840\",\"open_tracking\":true,\"click_tracking\":false,"
    "\"initial_pixel\":true,\"binding\":\"mta1\",\"binding_group\":\"default\","
    "\"sending_ip\":\"192.0.2.10\",\"routing_domain\":\"example.net\","
    "\"campaign_id\":\"spring_sale\",\"friendly_from\":\"news@brand.example\","
    "\"msg_from\":\"b-7f3a@bounces.brand.example\",\"mailfrom\":\"x@brand.example\","
    "\"subject\":\"\xc3\x9c"
    "bung \\\"1/2\\\" \\\\ \\t\\u0001\","
    "\"rcpt_meta\":{\"plan\":\"gold\",\"n\":1.50,\"deep\":{\"a\":[[[[[{}]]]]]}},"
    "\"rcpt_tags\":[\"a\",\"b\"],"
    "\"message_id\":\"000040d4716a5b1c9e02\",\"custom_message_id\":\"<a.b@example.com>\","
    "\"raw_rcpt_to\":\"Anna@Example.NET\",\"rcpt_to\":\"anna@example.net\","
    "\"rcpt_hash\":\"0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33\",\"rcpt_domain\":\"example.net\","
    "\"subaccount_id\":101}}}\n";

static void
written(void)
{
	struct event ev, back;
	struct err e = { .text = "" };
	struct buf again;

	buf_init(&again, BUF_NO_LIMIT);
	full_event(&ev);
	buf_clear(&line);
	ok(event_json(&ev, &line, &e) == 0 && strcmp(buf_str(&line), full_line) == 0,
	    "every field is written %s", e.text);
	ok(event_read(buf_slice(&line), &back, &store, &e) == 0 &&
		event_json(&back, &again, &e) == 0 && slice_eq(buf_slice(&line), buf_slice(&again)),
	    "and read back %s", e.text);
	ok(slice_eq(back.subject, ev.subject) && back.queue_time_ms == 1840 &&
		back.num_retries == 0 && back.event_id == INT64_MAX &&
		back.click_tracking == EVENT_FALSE && back.subaccount_id == 101,
	    "values are as they were");
	event_init(&ev, EVENT_OPEN);
	ok(ev.event_id == EVENT_UNSET && ev.timestamp == EVENT_UNSET &&
		ev.msg_size == EVENT_UNSET && ev.subaccount_id == 0 && ev.rcpt_to.len == 0 &&
		ev.open_tracking == EVENT_UNKNOWN,
	    "all is unset, the subaccount is 0");
	ev.event_id = 0;
	ev.timestamp = 0;
	ev.message_id = SLICE_LIT("m");
	ev.delv_method = SLICE_LIT("esmtp");
	buf_clear(&line);
	ok(event_json(&ev, &line, &e) == 0 &&
		strcmp(buf_str(&line),
		    "{\"msys\":{\"track_event\":{\"type\":\"open\",\"event_id\":\"0\","
		    "\"timestamp\":\"0\",\"delv_method\":\"esmtp\",\"message_id\":\"m\","
		    "\"subaccount_id\":0}}}\n") == 0,
	    "what is unset is left out: %s", buf_str(&line));
	event_json(&ev, &line, &e);
	ok(strchr(buf_str(&line), '\n') != strrchr(buf_str(&line), '\n'), "lines are appended");
	buf_free(&again);
}

static void
not_written(void)
{
	static char big[EVENT_LINE_MAX + 1];
	static const struct {
		const char *what;
		const char *error;
	} cases[] = {
		{ "event_id", "Missing event_id on inband event" },
		{ "timestamp", "Missing timestamp on inband event" },
		{ "message_id", "Missing message_id on inband event" },
		{ "methods", "Missing recv_method or delv_method on inband event" },
		{ "fbtype", "Missing fbtype on feedback event" },
		{ "rcpt_hash", "Missing rcpt_hash on event with rcpt_domain" },
		{ "rcpt_domain", "Missing rcpt_domain on event with rcpt_hash" },
		{ "meta", "rcpt_meta: not a JSON object" },
		{ "meta2", "rcpt_meta: not a JSON object" },
		{ "meta3", "rcpt_meta: not a JSON object" },
		{ "tags", "rcpt_tags: not a JSON array of strings" },
		{ "tags2", "rcpt_tags: not a JSON array of strings" },
		{ "long", "event line longer than 262144 bytes" },
		{ "longer", "subject: longer than 262144 bytes" },
		{ "room", "no room for an event line" },
		{ "gen_fail", NULL }, /* needs no message id */
		{ "one method", NULL },
	};
	struct buf out;

	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *w = cases[i].what;
		struct err e = { .text = "" };
		struct event ev;
		int rc;

		buf_init(&out, strcmp(w, "room") == 0 ? 100 : BUF_NO_LIMIT);
		full_event(&ev);
		if (strcmp(w, "event_id") == 0)
			ev.event_id = -1;
		else if (strcmp(w, "timestamp") == 0)
			ev.timestamp = EVENT_UNSET;
		else if (strcmp(w, "message_id") == 0)
			ev.message_id.len = 0;
		else if (strcmp(w, "methods") == 0)
			ev.recv_method.len = ev.delv_method.len = 0;
		else if (strcmp(w, "fbtype") == 0)
			ev.type = EVENT_FEEDBACK, ev.fbtype.len = 0;
		else if (strcmp(w, "rcpt_hash") == 0)
			ev.rcpt_hash.len = 0;
		else if (strcmp(w, "rcpt_domain") == 0)
			ev.rcpt_domain.len = 0;
		else if (strcmp(w, "meta") == 0)
			ev.rcpt_meta = SLICE_LIT("[1]");
		else if (strcmp(w, "meta2") == 0)
			ev.rcpt_meta = SLICE_LIT("{\"a\":NaN}");
		else if (strcmp(w, "meta3") == 0)
			ev.rcpt_meta = SLICE_LIT("{\"a\":[[[[[[[[[[[[[[1]]]]]]]]]]]]]]}");
		else if (strcmp(w, "tags") == 0)
			ev.rcpt_tags = SLICE_LIT("[\"a\",1]");
		else if (strcmp(w, "tags2") == 0)
			ev.rcpt_tags = SLICE_LIT("{}");
		else if (strcmp(w, "long") == 0)
			ev.subject = (struct slice){ big, EVENT_LINE_MAX - 100 };
		else if (strcmp(w, "longer") == 0)
			ev.subject = (struct slice){ big, EVENT_LINE_MAX + 1 };
		else if (strcmp(w, "gen_fail") == 0)
			ev.type = EVENT_GEN_FAIL, ev.message_id.len = 0;
		else if (strcmp(w, "one method") == 0)
			ev.recv_method.len = 0;
		rc = event_json(&ev, &out, &e);
		if (cases[i].error == NULL)
			ok(rc == 0, "%s: written %s", w, e.text);
		else
			ok(rc < 0 && slice_starts(slice_str(e.text), slice_str(cases[i].error)) &&
				out.len == 0,
			    "%s: %s", w, e.text);
		buf_free(&out);
	}
}

/* Any bytes in any text: the line is UTF-8, has one LF, and comes back cleaned. */
static void
any_bytes(void)
{
	size_t bad = 0;

	for (unsigned c = 0; c < 256 * 256; c++) {
		char text[4] = { 'a', (char)(c >> 8), (char)c, 'z' };
		struct event ev, back;
		struct buf clean;
		struct err e;

		full_event(&ev);
		ev.subject = (struct slice){ text, sizeof(text) };
		buf_init(&clean, BUF_NO_LIMIT);
		utf8_clean(&clean, ev.subject);
		buf_clear(&line);
		bad += event_json(&ev, &line, &e) != 0 || !utf8_valid(buf_slice(&line)) ||
		       slice_find(buf_slice(&line), '\n') != line.len - 1 ||
		       event_read(buf_slice(&line), &back, &store, &e) != 0 ||
		       !slice_eq(back.subject, buf_slice(&clean));
		buf_free(&clean);
	}
	ok(bad == 0, "every pair of bytes in a text");
}

#define OPEN  "{\"msys\":{\"message_event\":{"
#define BASE  "\"type\":\"delivery\",\"event_id\":\"1\",\"timestamp\":\"2\",\"message_id\":\"m\","
#define GOOD  BASE "\"delv_method\":\"esmtp\""
#define CLOSE "}}}"

static void
refused(void)
{
	static const struct {
		const char *in, *error; /* NULL: it is read */
	} cases[] = {
		{ OPEN GOOD CLOSE, NULL },
		{ OPEN GOOD CLOSE "\r\n", NULL },
		{ " " OPEN GOOD " } } } ", NULL },
		{ OPEN GOOD ",\"geo_ip\":{\"a\":[1,{\"b\":2.5}]},\"template_id\":\"t\"" CLOSE,
		    NULL },
		{ OPEN GOOD ",\"event_id\":\"3\"" CLOSE, NULL }, /* twice */
		{ OPEN GOOD ",\"subject\":null,\"msg_size\":\"\",\"rcpt_meta\":null" CLOSE, NULL },
		/* no JSON */
		{ "", "not JSON" },
		{ "\n", "not JSON" },
		{ "null", "not JSON: incomplete" },
		{ "{}", "not {\"msys\":{...}}" },
		{ "[]", "not {\"msys\":{...}}" },
		{ "\"msys\"", "not {\"msys\":{...}}" },
		{ "12", "not JSON: incomplete" },
		{ "msys", "not JSON" },
		{ OPEN GOOD "}}", "not JSON: incomplete" },
		{ OPEN GOOD CLOSE "}", "not JSON: unexpected character" },
		{ OPEN GOOD CLOSE OPEN GOOD CLOSE, "not JSON: unexpected character" },
		{ OPEN GOOD ",\"x\":NaN" CLOSE, "not JSON" },
		{ OPEN GOOD ",\"x\":Infinity" CLOSE, "not JSON" },
		{ OPEN GOOD ",'x':1" CLOSE, "not JSON" },
		{ OPEN GOOD ",\"x\":1." CLOSE, "not JSON" },
		{ OPEN GOOD ",\"x\":01" CLOSE, "not JSON: number expected" },
		{ OPEN GOOD "," CLOSE, "not JSON: unexpected character" },
		{ OPEN GOOD ",\"x\":\"\t\"" CLOSE, "not JSON" },
		{ OPEN GOOD ",\"x\":\"\xff\"" CLOSE, "not JSON: not UTF-8" },
		{ OPEN GOOD ",\"x\":\"\xc1\x9a\"" CLOSE, "not JSON: not UTF-8" },
		{ OPEN GOOD ",\"x\":\"\xed\xa0\x80\"" CLOSE, "not JSON: not UTF-8" },
		{ OPEN GOOD ",\"x\":\"\\" CLOSE, "not JSON" },
		{ OPEN GOOD "/**/" CLOSE, "not JSON" },
		{ OPEN GOOD ",\"x\":[[[[[[[[[[[[[[1]]]]]]]]]]]]]]" CLOSE,
		    "not JSON: nesting too deep" },
		{ OPEN GOOD ",\"x\":[[[[[[[[[[[[[1]]]]]]]]]]]]]" CLOSE, NULL },
		/* the wrapper */
		{ "{\"msys\":{}}", "not one event class in msys" },
		{ "{\"msys\":[]}", "not one event class in msys" },
		{ "{\"msys\":1}", "not one event class in msys" },
		{ "{\"msys\":null}", "not {\"msys\":{...}}" },
		{ "{\"msys\":{\"message_event\":[]}}", "not one event class in msys" },
		{ "{\"msys\":{\"message_event\":null}}", "not one event class in msys" },
		{ "{\"MSYS\":{\"message_event\":{" GOOD CLOSE, "not {\"msys\":{...}}" },
		{ "{\"a\":1,\"msys\":{\"message_event\":{" GOOD CLOSE, "not {\"msys\":{...}}" },
		{ "{\"msys\":{\"track_event\":{},\"message_event\":{" GOOD CLOSE,
		    "not one event class in msys" },
		{ "{\"msys\":{\"relay_event\":{" GOOD CLOSE,
		    "unknown event class \"relay_event\"" },
		{ "{\"msys\":{\"track_event\":{" GOOD CLOSE, "type \"delivery\" in track_event" },
		/* the type */
		{ OPEN CLOSE, "Missing type on message_event" },
		{ OPEN "\"type\":5" CLOSE, "type: not a string" },
		{ OPEN "\"type\":\"sent\"" CLOSE, "unknown type \"sent\"" },
		{ OPEN "\"type\":\"bounce\"" CLOSE,
		    "unknown type \"bounce\": ingest calls it \"inband\"" },
		/* what is required */
		{ OPEN "\"type\":\"delivery\"" CLOSE, "Missing event_id on delivery event" },
		{ OPEN "\"type\":\"delivery\",\"event_id\":\"\"" CLOSE,
		    "Missing event_id on delivery event" },
		{ OPEN "\"type\":\"delivery\",\"event_id\":\"1\"" CLOSE,
		    "Missing timestamp on delivery event" },
		{ OPEN "\"type\":\"delivery\",\"event_id\":\"1\",\"timestamp\":\"2\"" CLOSE,
		    "Missing message_id on delivery event" },
		{ OPEN BASE "\"recv_method\":\"\"" CLOSE,
		    "Missing recv_method or delv_method on delivery event" },
		{ OPEN "\"type\":\"feedback\",\"event_id\":\"1\",\"timestamp\":\"2\",\"message_"
		       "id\":\"m\","
		       "\"delv_method\":\"smtp\"" CLOSE,
		    "Missing fbtype on feedback event" },
		{ OPEN GOOD ",\"rcpt_hash\":\"a\"" CLOSE,
		    "Missing rcpt_domain on event with rcpt_hash" },
		{ OPEN GOOD ",\"rcpt_domain\":\"a\"" CLOSE,
		    "Missing rcpt_hash on event with rcpt_domain" },
		{ "{\"msys\":{\"gen_event\":{\"type\":\"gen_fail\",\"event_id\":\"1\","
		  "\"timestamp\":\"2\",\"recv_method\":\"rest\"" CLOSE,
		    NULL },
		/* kinds */
		{ OPEN GOOD ",\"message_id\":5" CLOSE, "message_id: not a string" },
		{ OPEN GOOD ",\"subject\":[\"a\"]" CLOSE, "subject: not a string" },
		{ OPEN GOOD ",\"event_id\":\"x\"" CLOSE, "event_id: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"event_id\":\"-1\"" CLOSE, "event_id: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"event_id\":\"9223372036854775808\"" CLOSE,
		    "event_id: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"event_id\":9223372036854775808" CLOSE,
		    "event_id: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"event_id\":99999999999999999999999" CLOSE,
		    "event_id: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"event_id\":-1" CLOSE, "event_id: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"event_id\":9223372036854775807" CLOSE, NULL },
		{ OPEN GOOD ",\"event_id\":{}" CLOSE, "event_id: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"timestamp\":\"2026-11-22\"" CLOSE,
		    "timestamp: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"timestamp\":1e300" CLOSE, "timestamp: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"timestamp\":1e999" CLOSE, "timestamp: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"timestamp\":-0.5" CLOSE, "timestamp: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"subaccount_id\":true" CLOSE,
		    "subaccount_id: not a number of 0..2^63-1" },
		{ OPEN GOOD ",\"open_tracking\":\"yes\"" CLOSE, "open_tracking: not a boolean" },
		{ OPEN GOOD ",\"open_tracking\":2" CLOSE, "open_tracking: not a boolean" },
		{ OPEN GOOD ",\"rcpt_meta\":[]" CLOSE, "rcpt_meta: not an object" },
		{ OPEN GOOD ",\"rcpt_tags\":[1]" CLOSE, "rcpt_tags: not an array of strings" },
		{ OPEN GOOD ",\"rcpt_tags\":{}" CLOSE, "rcpt_tags: not an array of strings" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = { .text = "" };
		struct event ev;
		int rc = event_read(slice_str(cases[i].in), &ev, &store, &e);

		ok(cases[i].error == NULL ? rc == 0 : rc < 0 && strcmp(e.text, cases[i].error) == 0,
		    "read %s: %s", cases[i].in, e.text);
	}
}

static void
spellings(void)
{
	static const char in[] = OPEN
	    "\"type\":\"inband\",\"event_id\":12,\"timestamp\":1549054731.75,\"message_id\":\"m\","
	    "\"recv_method\":\"esmtp\",\"bounce_class\":10,\"error_code\":551,\"msg_size\":\"\","
	    "\"queue_time\":2,\"num_retries\":\"3\",\"subaccount_id\":\"101\","
	    "\"open_tracking\":\"1\",\"click_tracking\":0,\"initial_pixel\":true,"
	    "\"subject\":\"\\u00dc \\ud83d\\ude00 \\ud800 \\u0000.\\/\"" CLOSE;
	static const char subject[] = "\xc3\x9c \xf0\x9f\x98\x80 \xef\xbf\xbd \0./";
	static const char nul[] = OPEN GOOD CLOSE "\0";
	struct event ev;
	struct err e = { .text = "" };

	ok(event_read(slice_str(in), &ev, &store, &e) == 0, "other spellings %s", e.text);
	ok(ev.event_id == 12 && ev.timestamp == 1549054731 && ev.bounce_class == 10 &&
		ev.num_retries == 3 && ev.queue_time_ms == 2 && ev.subaccount_id == 101,
	    "numbers as numbers and as strings");
	ok(ev.msg_size == EVENT_UNSET, "an empty number is unset");
	ok(slice_eq(ev.error_code, SLICE_LIT("551")), "a code as a number");
	ok(ev.open_tracking == EVENT_TRUE && ev.click_tracking == EVENT_FALSE &&
		ev.initial_pixel == EVENT_TRUE,
	    "flags");
	ok(slice_eq(ev.subject, (struct slice){ subject, sizeof(subject) - 1 }),
	    "escapes, half a pair, a NUL");
	ok(event_read((struct slice){ nul, sizeof(nul) }, &ev, &store, &e) < 0 &&
		strcmp(e.text, "not JSON") == 0,
	    "a NUL behind the line: %s", e.text);
}

/* What the sample lines say is kept, and `store` holds it: the line may go. */
static void
samples(const char *file)
{
	struct buf text, out, copy;
	struct slice rest, in;
	unsigned types = 0, n = 0;
	struct err e = { .text = "" };

	buf_init(&text, 1 << 20);
	buf_init(&out, BUF_NO_LIMIT);
	buf_init(&copy, BUF_NO_LIMIT);
	ok(file_read(AT_FDCWD, file, &text, &e) == 0, "%s %s", file, e.text);
	rest = buf_slice(&text);
	while (slice_line(&rest, &in)) {
		struct event ev, again;
		struct buf other;

		buf_init(&other, EVENT_LINE_MAX);
		buf_clear(&out);
		buf_clear(&copy);
		buf_add(&copy, in);
		ok(event_read(buf_slice(&copy), &ev, &store, &e) == 0, "line %u %s", ++n, e.text);
		memset(copy.p, 'X', copy.len);
		ok(event_json(&ev, &out, &e) == 0 &&
			event_read(buf_slice(&out), &again, &other, &e) == 0 &&
			ev.type == again.type && ev.event_id == again.event_id &&
			slice_eq(ev.message_id, again.message_id) &&
			slice_eq(ev.rcpt_to, again.rcpt_to) &&
			slice_eq(ev.raw_reason, again.raw_reason) &&
			ev.bounce_class == again.bounce_class,
		    "line %u, %s, is written and read again %s", n, event_type_name(ev.type),
		    e.text);
		types |= 1u << ev.type;
		buf_free(&other);
	}
	ok(n == 14 && __builtin_popcount(types) == 14, "%u lines of as many types", n);
	buf_free(&text);
	buf_free(&out);
	buf_free(&copy);
}

/* One writer for many events writes what event_json() writes, whatever it wrote before. */
static void
many(void)
{
	static const char *const texts[] = { "", "a", "\"quoted\" \\ / \t", "\xff\xfe no UTF-8",
		"gr\xc3\xbc\xc3\x9f", "a much longer text than any of the others: 0123456789" };
	static const enum event_type type[] = { EVENT_OPEN, EVENT_CLICK, EVENT_INBAND };
	static const char *const meta[] = { "", "{\"a\":1}", "{\"b\":[2]}", "broken" };
	struct event_writer *w = event_writer_new();
	struct buf one, other;
	unsigned n = 0, seed = 1, wrong = 0, refused = 0;

	buf_init(&one, BUF_NO_LIMIT);
	buf_init(&other, BUF_NO_LIMIT);
	for (; n < 20000; n++) {
		struct err e = { .text = "" }, e2 = { .text = "" };
		struct event ev;
		unsigned r;

		seed = seed * 1103515245 + 12345;
		r = seed >> 8;
		event_init(&ev, type[r % COUNT(type)]);
		ev.event_id = n;
		ev.timestamp = n % 500 == 0 ? EVENT_UNSET : (int64_t)r;
		ev.message_id = SLICE_LIT("000040d4716a5b1c9e02");
		ev.delv_method = SLICE_LIT("esmtp");
		ev.user_agent = slice_str(texts[(r >> 2) % COUNT(texts)]);
		ev.target_link_url = slice_str(texts[(r >> 5) % COUNT(texts)]);
		ev.subaccount_id = r >> 20;
		ev.prefetched = (enum event_flag)((r >> 8) % 3);
		ev.bounce_class = (r >> 10) % 2 == 0 ? EVENT_UNSET : (int64_t)(r >> 12);
		if (n % 7 == 0)
			ev.rcpt_meta = slice_str(meta[(r >> 13) % COUNT(meta)]);
		buf_clear(&one);
		buf_clear(&other);
		if (event_json(&ev, &one, &e) != event_write(w, &ev, &other, &e2) ||
		    strcmp(e.text, e2.text) != 0 || !slice_eq(buf_slice(&one), buf_slice(&other)))
			wrong++;
		refused += one.len == 0;
	}
	ok(wrong == 0 && refused > 100, "%u events by one writer, %u of them refused: %u differ", n,
	    refused, wrong);
	buf_free(&one);
	buf_free(&other);
	event_writer_free(w);
	event_writer_free(NULL);
}

static void
ids(void)
{
	struct slice m = SLICE_LIT("000040d4716a5b1c9e02"), none = SLICE_LIT("");
	int64_t id = event_id_for(EVENT_RECEPTION, m, none);

	/* A released version must not change these: a repeat would count as another event. */
	ok(id == INT64_C(6627046476899499158), "the id of a reception: %lld", (long long)id);
	ok(event_id_for(EVENT_RECEPTION, m, none) == id, "is the same again");
	ok(event_id_for(EVENT_DELIVERY, m, none) != id, "another type has another id");
	ok(event_id_for(EVENT_RECEPTION, m, SLICE_LIT("1")) != id, "so has another cause");
	ok(event_id_for(EVENT_RECEPTION, SLICE_LIT("ab"), SLICE_LIT("c")) !=
		event_id_for(EVENT_RECEPTION, SLICE_LIT("a"), SLICE_LIT("bc")),
	    "message id and cause don't run together");
	for (int i = 0; i < 1000; i++) {
		struct slice cause = { (const char *)&i, sizeof(i) };

		if (event_id_for(EVENT_CLICK, m, cause) < 0)
			ok(false, "id %d is negative", i);
	}
}

static void
limits(void)
{
	struct event ev;
	struct err e;
	struct buf small;

	buf_clear(&line);
	buf_adds(&line, OPEN GOOD ",\"subject\":\"");
	while (line.len < EVENT_LINE_MAX)
		buf_addc(&line, 's');
	buf_adds(&line, "\"" CLOSE);
	ok(event_read(buf_slice(&line), &ev, &store, &e) < 0 &&
		strcmp(e.text, "event line longer than 262144 bytes") == 0,
	    "%s", e.text);
	buf_init(&small, 10);
	full_event(&ev);
	buf_clear(&line);
	event_json(&ev, &line, &e);
	ok(event_read(buf_slice(&line), &ev, &small, &e) < 0 &&
		strcmp(e.text, "event longer than 10 bytes") == 0,
	    "%s", e.text);
	ok(ev.subject.p == NULL && ev.message_id.p == NULL, "no pointers are left");
	buf_free(&small);
	/* Many members: json-c's table must not go quadratic on us. */
	buf_clear(&line);
	buf_adds(&line, OPEN GOOD);
	for (int i = 0; i < 20000; i++)
		buf_printf(&line, ",\"k%d\":1", i);
	buf_adds(&line, CLOSE);
	ok(event_read(buf_slice(&line), &ev, &store, &e) == 0, "20000 unknown fields");
}

static void
speed(void)
{
	enum { N = 20000 };
	struct event ev, back;
	int64_t us;
	struct err e;

	full_event(&ev);
	us = clock_wall_us();
	for (int i = 0; i < N; i++) {
		buf_clear(&line);
		event_json(&ev, &line, &e);
	}
	printf(
	    "# event_json: %.1f us a line, every field set\n", (double)(clock_wall_us() - us) / N);
	us = clock_wall_us();
	for (int i = 0; i < N; i++)
		event_read(buf_slice(&line), &back, &store, &e);
	printf("# event_read: %.1f us a line\n", (double)(clock_wall_us() - us) / N);
}

/* Yes is only right where the thorough reader takes the line, with the same time. */
static bool
scans_rightly(struct slice text)
{
	struct event ev;
	int64_t at;

	return !event_scan(text, &at) ||
	       (event_read(text, &ev, &store, NULL) == 0 && ev.timestamp == at);
}

/* Each byte as every other, gone, and twice. How many answers were wrong? */
static unsigned
damage(struct slice text)
{
	struct buf b;
	unsigned wrong = 0;

	buf_init(&b, BUF_NO_LIMIT);
	for (size_t i = 0; i < text.len; i++) {
		buf_clear(&b);
		buf_add(&b, text);
		for (int c = 0; c < 256; c++) {
			b.p[i] = (char)c;
			wrong += !scans_rightly(buf_slice(&b));
		}
		buf_clear(&b);
		buf_add(&b, slice_head(text, i));
		wrong += !scans_rightly(buf_slice(&b)); /* torn */
		buf_add(&b, slice_skip(text, i + 1));
		wrong += !scans_rightly(buf_slice(&b));
		buf_clear(&b);
		buf_add(&b, slice_head(text, i + 1));
		buf_add(&b, slice_skip(text, i));
		wrong += !scans_rightly(buf_slice(&b));
	}
	buf_free(&b);
	return wrong;
}

static void
quickly(void)
{
	static const struct {
		bool yes;
		const char *text;
	} rows[] = {
		{ true, OPEN GOOD CLOSE },
		{ true, "{\"msys\":{\"track_event\":{\"delv_method\":\"x\",\"message_id\":\"m\","
			"\"timestamp\":\"20\",\"event_id\":\"0\",\"type\":\"open\"}}}" },
		{ true, " { \"msys\" : { \"message_event\" : { " GOOD " , \"y\" : [ ] } } } " },
		{ true, OPEN GOOD ",\"rcpt_meta\":{\"a\":[1,-2.50,{\"b\":null}],\"c\":true},"
				  "\"rcpt_tags\":[\"a\",\"b\"]" CLOSE },
		{ true, OPEN GOOD ",\"subject\":\"\\u00fc\\n\\\\\\\"/\xc3\xbc\",\"msg_size\":12,"
				  "\"subaccount_id\":\"7\",\"open_tracking\":false" CLOSE },
		{ true, OPEN GOOD ",\"x\":[[[[[[[[1]]]]]]]]" CLOSE },
		{ false, OPEN GOOD ",\"x\":[[[[[[[[[1]]]]]]]]]" CLOSE },
		{ false, OPEN GOOD ",\"timestamp\":\"3\"" CLOSE },
		{ false, OPEN GOOD ",\"type\":\"open\"" CLOSE },
		{ false, OPEN GOOD ",\"timest\\u0061mp\":\"3\"" CLOSE },
		{ false, OPEN GOOD ",\"subject\":\"\\ud800\"" CLOSE },
		{ false, OPEN GOOD ",\"subject\":\"\xc3\"" CLOSE },
		{ false, OPEN GOOD ",\"subject\":null" CLOSE },
		{ false, OPEN GOOD ",\"rcpt_meta\":[]" CLOSE },
		{ false, OPEN GOOD ",\"rcpt_tags\":[1]" CLOSE },
		{ false, OPEN GOOD ",\"x\":NaN" CLOSE },
		{ false, OPEN GOOD ",\"x\":01" CLOSE },
		{ false, OPEN GOOD ",\"x\":1." CLOSE },
		{ false, OPEN GOOD ",\"x\":1e3" CLOSE },
		{ false, OPEN GOOD ",\"msg_size\":1.5" CLOSE },
		{ false, OPEN GOOD ",\"msg_size\":-1" CLOSE },
		{ false, OPEN GOOD ",\"msg_size\":\"9223372036854775808\"" CLOSE },
		{ false, OPEN GOOD "," CLOSE },
		{ false, OPEN GOOD CLOSE "x" },
		{ false, OPEN GOOD ",\"rcpt_hash\":\"00\"" CLOSE },
		{ false, OPEN BASE "\"x\":1" CLOSE },
		{ false, "{\"msys\":{\"track_event\":{" GOOD CLOSE },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice text = slice_str(rows[i].text);
		int64_t at;

		ok(event_scan(text, &at) == rows[i].yes, "%s: %s", rows[i].yes ? "quickly" : "not",
		    rows[i].text);
		ok(damage(text) == 0, "damaged: never yes to what is none");
	}
}

/*
 * The quick answer: yes for what we write, and whatever byte of it
 * changes, never yes where the thorough one is no.
 */
static void
scanned(const char *file)
{
	static const char *const no[] = { "", "{", "{\"msys\":{}}",
		"{\"msys\":{\"message_event\":{}}}" };
	struct buf all, out;
	struct slice rest, text;
	struct event ev;
	struct err e;
	unsigned quick = 0, wrong = 0, lines = 0;
	int64_t at = 0;

	for (size_t i = 0; i < COUNT(no); i++)
		ok(!event_scan(slice_str(no[i]), &at), "not quickly: %s", no[i]);
	buf_init(&all, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	if (!ok(file_read(AT_FDCWD, file, &all, &e) == 0, "%s", file))
		return;
	for (rest = buf_slice(&all); slice_line(&rest, &text); lines++) {
		buf_clear(&out);
		if (event_read(text, &ev, &store, &e) < 0)
			continue;
		event_json(&ev, &out, &e);
		out.len--; /* LF */
		quick += event_scan(buf_slice(&out), &at) && at == ev.timestamp;
		for (size_t i = 0; i < out.len; i++) {
			static const char instead[] = "\"\\{},:0a\x01\x7f\xc3 ";
			char was = out.p[i];

			out.p[i] = instead[(i + lines) % (sizeof(instead) - 1)];
			if (event_scan(buf_slice(&out), &at) &&
			    (event_read(buf_slice(&out), &ev, &store, &e) < 0 ||
				ev.timestamp != at))
				wrong++;
			out.p[i] = was;
		}
	}
	ok(wrong == 0, "%u wrong answers in %u lines", wrong, lines);
	ok(quick == lines, "%u of %u lines quickly", quick, lines);
	buf_free(&all);
	buf_free(&out);
}

/* For receivers that know tables. */
static void
flat(void)
{
	struct event ev;
	struct buf out;
	struct err e;

	buf_init(&out, BUF_NO_LIMIT);
	event_init(&ev, EVENT_CLICK);
	ev.event_id = INT64_MAX;
	ev.timestamp = 1785844800;
	ev.message_id = SLICE_LIT("000040d4716a5b1c9e02");
	ev.delv_method = SLICE_LIT("esmtp");
	ev.num_retries = 3;
	ev.error_code = SLICE_LIT("550");
	ev.prefetched = EVENT_TRUE;
	ev.rcpt_meta = SLICE_LIT("{\"a\":1}");
	ok(event_flat(&ev, &out, &e) == 0 &&
		slice_eq(buf_slice(&out),
		    SLICE_LIT(
			"{\"event_class\":\"track_event\",\"type\":\"click\","
			"\"event_id\":\"9223372036854775807\",\"timestamp\":1785844800,"
			"\"delv_method\":\"esmtp\",\"error_code\":\"550\",\"prefetched\":true,"
			"\"num_retries\":3,\"rcpt_meta\":{\"a\":1},"
			"\"message_id\":\"000040d4716a5b1c9e02\",\"subaccount_id\":0}\n")),
	    "flat: %.*s", SLICE_FMT(buf_slice(&out)));
	buf_clear(&out);
	ev.message_id.len = 0;
	ok(event_flat(&ev, &out, &e) < 0 && out.len == 0, "flat: %s", e.text);
	buf_free(&out);
}

int
main(void)
{
	const char *srcdir = getenv("srcdir");
	char file[4096];

	buf_init(&line, BUF_NO_LIMIT);
	buf_init(&store, EVENT_LINE_MAX);
	snprintf(file, sizeof(file), "%s/t/data/events.ndjson", srcdir != NULL ? srcdir : ".");
	names();
	written();
	not_written();
	any_bytes();
	refused();
	spellings();
	samples(file);
	quickly();
	scanned(file);
	flat();
	many();
	ids();
	limits();
	speed();
	buf_free(&line);
	buf_free(&store);
	return tap_done();
}
