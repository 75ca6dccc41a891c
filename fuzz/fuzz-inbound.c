/*
 * inbound: the first line of a captured report is an envelope or it is not; the mail is what
 * is behind it; an envelope that was read is written and read again as the same.
 */
#include <stdlib.h>

#include "common/inbound_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_clean(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		check((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f);
}

static void
check_same(const struct inbound_envelope *a, const struct inbound_envelope *b)
{
	check(slice_eq(a->from, b->from) && slice_eq(a->queue_id, b->queue_id));
	check(slice_eq(a->client_ip, b->client_ip) && slice_eq(a->client_name, b->client_name));
	check(slice_eq(a->helo, b->helo) && a->received_s == b->received_s);
	check(a->n_rcpts == b->n_rcpts && a->n_rcpts > 0);
	for (size_t i = 0; i < a->n_rcpts; i++) {
		check_clean(a->rcpts[i].address);
		check(a->rcpts[i].address.len > 0);
		check(slice_eq(a->rcpts[i].address, b->rcpts[i].address));
		check(a->rcpts[i].list == b->rcpts[i].list);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct inbound_file f, again;
	struct buf line;
	struct err e = { .text = "" };

	if (inbound_parse(in, &f, &e) < 0) {
		check(e.text[0] != '\0' && f.priv == NULL);
		return 0;
	}
	check(f.mail.p + f.mail.len == in.p + in.len && f.mail.p > in.p && f.mail.p[-1] == '\n');
	check_clean(f.env.from);
	check_clean(f.env.queue_id);
	check_clean(f.env.helo);
	buf_init(&line, BUF_NO_LIMIT);
	check(inbound_envelope_write(&f.env, &line, &e) == 0);
	check(inbound_parse(buf_slice(&line), &again, &e) == 0 && again.mail.len == 0);
	check_same(&f.env, &again.env);
	inbound_close(&again);
	inbound_close(&f);
	buf_free(&line);
	return 0;
}
