/*
 * Any bytes as a mail: what is found is valid UTF-8 without controls, bounded, and the same when
 * the mail is read again.
 */
#include <stdlib.h>

#include "common/report.h"
#include "common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
is_clean(struct slice s)
{
	check(utf8_valid(s));
	for (size_t i = 0; i < s.len; i++)
		check((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
}

static void
is_sound(const struct report *r)
{
	const struct slice texts[] = { r->sender, r->to, r->subject, r->reporting_mta,
		r->message_id, r->signalpost_id, r->envelope_id, r->job, r->return_path,
		r->original_from, r->original_to, r->original_subject, r->feedback_type,
		r->user_agent, r->source_ip, r->reported_domain, r->feedback_id, r->arrival };

	for (size_t i = 0; i < COUNT(texts); i++)
		is_clean(texts[i]);
	check(r->n_rcpts <= REPORT_MAX_RCPTS && r->text.len <= REPORT_MAX_TEXT);
	check(report_kind_name(r->kind) != NULL && r->format != NULL);
	check(r->n_rcpts == 0 || r->kind == REPORT_BOUNCE || r->kind == REPORT_SUCCESS ||
	      r->kind == REPORT_FEEDBACK || r->kind == REPORT_AUTH_FAILURE);
	for (size_t i = 0; i < r->n_rcpts; i++) {
		const struct report_rcpt *one = &r->rcpts[i];

		is_clean(one->rcpt);
		is_clean(one->original);
		is_clean(one->final);
		is_clean(one->status);
		is_clean(one->diagnostic);
		is_clean(one->remote_mta);
		check(one->code == 0 || (one->code >= 400 && one->code < 600));
		check(one->status.len == 0 || (one->status.len >= 5 && one->status.len <= 9));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct report_reader *rr;
	struct slice mail = { (const char *)data, size };
	struct report a, b;
	enum report_kind kind;
	size_t n;

	if (rr == NULL)
		rr = report_open();
	report_read(rr, mail, &a);
	is_sound(&a);
	kind = a.kind;
	n = a.n_rcpts;
	report_read(rr, mail, &b);
	is_sound(&b);
	check(b.kind == kind && b.n_rcpts == n);
	return 0;
}
