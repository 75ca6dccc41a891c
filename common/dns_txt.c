#include "common/dns_txt.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fcntl.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/xalloc.h"

#define ANSWER_MAX    65535 /* RFC 1035 4.2.2 */
#define STRING_MAX    255   /* RFC 1035 3.3.14: the length is one byte */
#define TEXT_MAX      65535
#define SECONDS_A_TRY 3
#define TRIES         2
#define KEYFILE_MAX   ((size_t)1 << 20)

int
dns_source_resolver(const char *text, struct dns_source *out, struct err *e)
{
	struct slice rest = slice_str(text), host = slice_cut(&rest, ':');
	char address[INET_ADDRSTRLEN];
	uint64_t port = NS_DEFAULTPORT;

	*out = (struct dns_source){ .resolver.sin_family = AF_INET };
	snprintf(address, sizeof(address), "%.*s", SLICE_FMT(slice_head(host, 64)));
	if (host.len >= sizeof(address) ||
	    inet_pton(AF_INET, address, &out->resolver.sin_addr) != 1 ||
	    (host.len < strlen(text) && (!slice_uint(rest, 65535, &port) || port == 0)))
		return err_set(
		    e, "\"%.60s\" is no resolver: ADDRESS or ADDRESS:PORT is expected, IPv4", text);
	out->resolver.sin_port = htons((uint16_t)port);
	return 0;
}

void
dns_txt_free(struct dns_txt *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_free(&t->text[i]);
	t->n = 0;
}

static struct buf *
new_text(struct dns_txt *out)
{
	struct buf *b = &out->text[out->n++];

	buf_init(b, TEXT_MAX);
	return b;
}

/* ---- a file ---- */

static int
from_file(const char *path, const char *name, struct dns_txt *out, struct err *e)
{
	struct buf content;
	struct slice rest, line, first;

	buf_init(&content, KEYFILE_MAX);
	if (file_read(AT_FDCWD, path, &content, e) < 0) {
		buf_free(&content);
		return -1;
	}
	for (rest = buf_slice(&content); slice_line(&rest, &line) && out->n < DNS_TXT_MAX;)
		if (slice_word(&line, &first) && slice_eqi(first, slice_str(name)))
			buf_add(new_text(out), slice_trim(line));
	buf_free(&content);
	if (out->n == 0)
		err_text(e, 0, "it is not in %s", path);
	return out->n > 0;
}

/* ---- the network ---- */

/* The strings of one TXT record: a length byte, then so many bytes. */
static void
add_strings(struct buf *out, const unsigned char *data, size_t len)
{
	while (len > 0) {
		size_t n = data[0] < len ? data[0] : len - 1;

		buf_add(out, (struct slice){ (const char *)data + 1, n });
		data += n + 1;
		len -= n + 1;
	}
}

static int
read_answer(const unsigned char *answer, int len, struct dns_txt *out, struct err *e)
{
	ns_msg msg;
	ns_rr rr;

	if (ns_initparse(answer, len, &msg) < 0)
		return err_set(e, "the resolver's answer can't be read");
	for (int i = 0; i < ns_msg_count(msg, ns_s_an) && out->n < DNS_TXT_MAX; i++) {
		if (ns_parserr(&msg, ns_s_an, i, &rr) < 0)
			return err_set(e, "the resolver's answer can't be read");
		if (ns_rr_type(rr) == ns_t_txt)
			add_strings(new_text(out), ns_rr_rdata(rr), ns_rr_rdlen(rr));
	}
	if (out->n == 0)
		err_text(e, 0, "it has no TXT record");
	return out->n > 0;
}

static int
no_answer(int why, struct err *e)
{
	switch (why) {
	case HOST_NOT_FOUND:
		err_text(e, 0, "there is no such name (NXDOMAIN)");
		return 0;
	case NO_DATA:
		err_text(e, 0, "it has no TXT record");
		return 0;
	case TRY_AGAIN:
		return err_set(e, "no answer from the resolver, or it failed (SERVFAIL)");
	default:
		return err_set(e, "the resolver refuses, or the name is none");
	}
}

static int
from_network(const struct dns_source *s, const char *name, struct dns_txt *out, struct err *e)
{
	unsigned char *answer;
	struct __res_state state = { 0 };
	int n, rc;

	if (res_ninit(&state) < 0)
		return err_set(e, "the resolver can't be set up: see /etc/resolv.conf");
	state.retrans = SECONDS_A_TRY;
	state.retry = TRIES;
	if (s->resolver.sin_family == AF_INET) {
		state.nscount = 1;
		state.nsaddr_list[0] = s->resolver;
	}
	if (s->brief) {
		state.nscount = 1;
		state.retrans = 1;
		/* TCP knows no timeout there. A key of 4096 bits fits into what EDNS allows. */
		state.options |= RES_IGNTC | RES_USE_EDNS0;
	}
	answer = xcalloc(1, ANSWER_MAX);
	n = res_nquery(&state, name, ns_c_in, ns_t_txt, answer, ANSWER_MAX);
	rc = n < 0 ? no_answer(state.res_h_errno, e) : read_answer(answer, n, out, e);
	free(answer);
	res_nclose(&state);
	return rc;
}

int
dns_txt_get(const struct dns_source *s, const char *name, struct dns_txt *out, struct err *e)
{
	out->n = 0;
	return s->file != NULL ? from_file(s->file, name, out, e) : from_network(s, name, out, e);
}

void
dns_txt_print_zone(const char *name, struct slice text, FILE *out)
{
	fprintf(out, "%s. IN TXT (", name);
	for (; text.len > 0; text = slice_skip(text, STRING_MAX)) {
		struct slice part = slice_head(text, STRING_MAX);

		fprintf(out, "\n\t\"%.*s\"", SLICE_FMT(part));
	}
	fputs(" )\n", out);
}
