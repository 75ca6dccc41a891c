#include "common/index_private.h"

/* A field has its letter for good: files outlive versions. */
enum kind { TEXT, NUMBER, FLAG };

static const struct {
	char letter;
	enum kind kind;
	size_t offset;
} kept[] = {
#define AT(member) offsetof(struct event, member)
	{ 'c', TEXT, AT(custom_message_id) },
	{ 'r', TEXT, AT(rcpt_to) },
	{ 'R', TEXT, AT(raw_rcpt_to) },
	{ 'h', TEXT, AT(rcpt_hash) },
	{ 'd', TEXT, AT(rcpt_domain) },
	{ 'f', TEXT, AT(msg_from) },
	{ 'F', TEXT, AT(friendly_from) },
	{ 's', TEXT, AT(subject) },
	{ 'j', TEXT, AT(campaign_id) },
	{ 'b', TEXT, AT(binding) },
	{ 'B', TEXT, AT(binding_group) },
	{ 'i', TEXT, AT(sending_ip) },
	{ 'D', TEXT, AT(routing_domain) },
	{ 'm', TEXT, AT(recv_method) },
	{ 'q', TEXT, AT(queue_id) },
	{ 'M', TEXT, AT(header_message_id) },
	{ 'e', TEXT, AT(envid) },
	{ 'x', TEXT, AT(rcpt_meta) },
	{ 'X', TEXT, AT(rcpt_tags) },
	{ 'a', NUMBER, AT(subaccount_id) },
	{ 'z', NUMBER, AT(msg_size) },
	{ 't', NUMBER, AT(timestamp) },
	{ 'o', FLAG, AT(open_tracking) },
	{ 'k', FLAG, AT(click_tracking) },
	{ 'p', FLAG, AT(initial_pixel) },
#undef AT
};

static void
add_varint(struct buf *b, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		buf_addc(b, (char)(n | 0x80));
	buf_addc(b, (char)n);
}

static bool
take_varint(struct slice *s, uint64_t *n)
{
	unsigned shift = 0;

	for (*n = 0; s->len > 0 && shift < 64; shift += 7) {
		unsigned char c = (unsigned char)s->p[0];

		*s = slice_skip(*s, 1);
		*n |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return true;
	}
	return false;
}

/* Letter, length and text; or letter and number. */
void
index_pack(const struct event *ev, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < COUNT(kept); i++) {
		const char *at = (const char *)ev + kept[i].offset;
		struct slice text;
		int64_t n;

		if (kept[i].kind == TEXT) {
			memcpy(&text, at, sizeof(text));
			if (text.len == 0)
				continue;
			/* The same twice: rcpt_to as it came is the rule. */
			if (kept[i].letter == 'R' && slice_eq(text, ev->rcpt_to))
				continue;
			buf_addc(out, kept[i].letter);
			add_varint(out, text.len);
			buf_add(out, text);
			continue;
		}
		n = kept[i].kind == FLAG ? (int64_t) * (const enum event_flag *)(const void *)at
		                         : *(const int64_t *)(const void *)at;
		if (n <= 0 && !(n == 0 && kept[i].letter == 'z'))
			continue;
		buf_addc(out, kept[i].letter);
		add_varint(out, (uint64_t)n);
	}
}

static bool
unpack_one(struct slice *rest, struct event *ev)
{
	char letter = rest->p[0];
	uint64_t n;
	size_t i = 0;
	char *at;

	*rest = slice_skip(*rest, 1);
	while (i < COUNT(kept) && kept[i].letter != letter)
		i++;
	if (i == COUNT(kept) || !take_varint(rest, &n))
		return false;
	at = (char *)ev + kept[i].offset;
	if (kept[i].kind == NUMBER) {
		*(int64_t *)(void *)at = (int64_t)n;
	} else if (kept[i].kind == FLAG) {
		*(enum event_flag *)(void *)at = n == EVENT_TRUE ? EVENT_TRUE : EVENT_FALSE;
	} else {
		if (n > rest->len)
			return false;
		*(struct slice *)(void *)at = slice_head(*rest, n);
		*rest = slice_skip(*rest, n);
	}
	return true;
}

void
index_unpack(struct slice bytes, struct event *ev)
{
	event_init(ev, EVENT_RECEPTION);
	while (bytes.len > 0 && unpack_one(&bytes, ev))
		;
	if (ev->raw_rcpt_to.len == 0)
		ev->raw_rcpt_to = ev->rcpt_to;
}
