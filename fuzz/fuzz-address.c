/*
 * address: parts lie inside the input and make it up again; what is found in a
 * header is found again in itself; return paths lead back.
 * Input: taken as an address and as a header value; up to the first LF as
 * sender, behind it as recipient of a return path.
 */
#include <stdlib.h>

#include "common/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static bool
inside(struct slice part, struct slice in)
{
	return part.len == 0 || (part.p >= in.p && part.p + part.len <= in.p + in.len);
}

static void
no_controls(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		check((s.p[i] < 0 || s.p[i] >= 0x20) && s.p[i] != 0x7f);
}

static void
split_and_check(struct slice in)
{
	struct address a = address_split(in);

	check(inside(a.local, in) && inside(a.domain, in));
	if (address_check(in, NULL) < 0 || in.len == 0)
		return;
	check(in.len <= ADDRESS_MAX);
	check(a.local.len + 1 + a.domain.len == in.len);
	check(a.local.len <= ADDRESS_LOCAL_MAX && a.domain.len <= ADDRESS_DOMAIN_MAX);
	no_controls(in);
}

static void
first_mailbox(struct slice in)
{
	struct buf addr, name, again;
	struct address a;

	buf_init(&addr, 2000);
	buf_init(&name, 2000);
	buf_init(&again, 2000);
	if (address_first(in, &addr, &name)) {
		a = address_split(buf_slice(&addr));
		check(a.local.len > 0 && a.domain.len > 0);
		check(a.local.len + 1 + a.domain.len == addr.len);
		no_controls(buf_slice(&addr));
		no_controls(buf_slice(&name));
		check(strlen(addr.p) == addr.len);
		/* A valid address is a header of its own. */
		if (address_check(buf_slice(&addr), NULL) == 0) {
			check(address_first(buf_slice(&addr), &again, NULL));
			check(slice_eq(buf_slice(&addr), buf_slice(&again)));
		}
	} else {
		check(addr.len == 0 && name.len == 0);
	}
	buf_free(&addr);
	buf_free(&name);
	buf_free(&again);
}

static void
all_domains(struct slice in)
{
	struct slice found[50];
	size_t n = address_domains(in, found, sizeof(found) / sizeof(found[0]));
	const char *end = in.p;

	for (size_t i = 0; i < n; i++) {
		check(found[i].len > 0 && inside(found[i], in) && found[i].p >= end);
		end = found[i].p + found[i].len;
	}
}

static void
return_path(struct slice in)
{
	struct slice rest = in, first = slice_cut(&rest, '\n');
	struct address sender = address_split(first), rcpt = address_split(rest);
	struct buf path, back;
	struct address a;

	buf_init(&path, 1000);
	buf_init(&back, 1000);
	if (address_verp(sender, rcpt, &path, NULL) == 0) {
		check(address_check(buf_slice(&path), NULL) == 0);
		check(address_unverp(buf_slice(&path), &back) ||
		      rcpt.local.p[rcpt.local.len - 1] == '-' ||
		      slice_find(rcpt.local, '-') < rcpt.local.len);
		if (slice_find(rcpt.local, '-') == rcpt.local.len &&
		    slice_find(rcpt.domain, '=') == rcpt.domain.len) {
			a = address_split(buf_slice(&back));
			check(slice_eq(a.local, rcpt.local) && slice_eq(a.domain, rcpt.domain));
		}
	} else {
		check(path.len == 0);
	}
	check(address_unverp(in, &back) == (back.len > 0));
	buf_free(&path);
	buf_free(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };

	split_and_check(in);
	first_mailbox(in);
	all_domains(in);
	return_path(in);
	return 0;
}
