#include "common/conf_type.h"

#define SOCKET_PATH_MAX 107 /* sun_path, with its NUL */

static int
parse_host(struct conf_value *v, void *out, struct err *e)
{
	if (conf_arg_n(v, 0)->text.len > CONF_HOST_MAX + 1)
		return conf_too_long(e, "host name", CONF_HOST_MAX);
	if (!conf_is_host(conf_arg_n(v, 0)->text))
		return conf_unexpected(e);
	return conf_store_lower(v, conf_no_final_dot(conf_arg_n(v, 0)->text), out);
}

static int
parse_network(struct conf_value *v, void *out, struct err *e)
{
	struct cidr net;

	if (cidr_parse(conf_arg_n(v, 0)->text, &net, NULL) < 0)
		return conf_unexpected(e);
	cidr_print(&net, &v->text);
	memcpy(out, &net, sizeof(net));
	return 0;
}

static int
parse_ip(struct conf_value *v, void *out, struct err *e)
{
	(void)out;
	if (!conf_is_ip(conf_arg_n(v, 0)->text))
		return conf_unexpected(e);
	conf_print_arg(v, conf_arg_n(v, 0)->text);
	return 0;
}

bool
conf_listen_parse(struct slice s, struct slice *address, unsigned *port)
{
	const char *colon = s.len > 0 ? memrchr(s.p, ':', s.len) : NULL;
	uint64_t n;

	if (colon == NULL)
		return false;
	*address = slice_head(s, (size_t)(colon - s.p));
	if (!slice_uint(slice_skip(s, address->len + 1), 65535, &n) || n == 0)
		return false;
	if (address->len > 2 && address->p[0] == '[' && address->p[address->len - 1] == ']')
		*address = (struct slice){ address->p + 1, address->len - 2 };
	*port = (unsigned)n;
	return conf_is_ip(*address);
}

static void
print_listen(struct slice address, unsigned port, struct buf *out)
{
	bool v6 = slice_find(address, ':') < address.len;

	buf_printf(out, "%s%.*s%s:%u", v6 ? "[" : "", SLICE_FMT(address), v6 ? "]" : "", port);
}

static int
parse_listener(struct conf_value *v, void *out, struct err *e)
{
	struct conf_listener l = { .at = v->at };
	struct slice s = conf_arg_n(v, 0)->text, address, prefix = SLICE_LIT("source=");
	char all[16];

	/* "0/0:25", as PowerMTA's own sample has it, is every IPv4 address. */
	if (slice_starts(s, SLICE_LIT("0/0:")) && s.len < 4 + 6) {
		int n = snprintf(all, sizeof(all), "0.0.0.0:%.*s", SLICE_FMT(slice_skip(s, 4)));

		s = (struct slice){ all, n > 0 && (size_t)n < sizeof(all) ? (size_t)n : 0 };
	}
	if (!conf_listen_parse(s, &address, &l.port))
		return conf_unexpected(e);
	l.address = conf_mem_lower(v->mem, address);
	print_listen(slice_str(l.address), l.port, &v->text);
	if (v->n == 2) {
		struct slice source = slice_skip(conf_arg_n(v, 1)->text, prefix.len);

		if (!slice_startsi(conf_arg_n(v, 1)->text, prefix) || source.len == 0 ||
		    source.len > CONF_NAME_MAX)
			return err_set(e, "expected source=NAME behind the address, found '%.*s'",
			    SLICE_FMT(slice_head(conf_arg_n(v, 1)->text, 64)));
		l.source = v->ref = conf_mem_dup(v->mem, source);
		conf_print_arg(v, conf_arg_n(v, 1)->text);
	}
	memcpy(out, &l, sizeof(l));
	return 0;
}

static int
parse_listen(struct conf_value *v, void *out, struct err *e)
{
	struct slice address;
	unsigned port;

	if (!conf_listen_parse(conf_arg_n(v, 0)->text, &address, &port))
		return conf_unexpected(e);
	return conf_store_text(v, conf_arg_n(v, 0)->text, out);
}

/* unix:/PATH (or local:), inet:PORT@HOST, inet6:PORT@HOST: what libmilter takes. */
static int
parse_socket(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = conf_arg_n(v, 0)->text, rest = s;
	struct slice kind = slice_cut(&rest, ':'), port;
	uint64_t n;

	if (slice_eqi(kind, SLICE_LIT("unix")) || slice_eqi(kind, SLICE_LIT("local"))) {
		if (rest.len == 0 || rest.p[0] != '/')
			return conf_unexpected(e);
		if (rest.len > SOCKET_PATH_MAX)
			return conf_too_long(e, "path of a socket", SOCKET_PATH_MAX);
		return conf_store_text(v, s, out);
	}
	if (!slice_eqi(kind, SLICE_LIT("inet")) && !slice_eqi(kind, SLICE_LIT("inet6")))
		return conf_unexpected(e);
	port = slice_cut(&rest, '@');
	if (rest.len > 2 && rest.p[0] == '[' && rest.p[rest.len - 1] == ']')
		rest = (struct slice){ rest.p + 1, rest.len - 2 };
	if (!slice_uint(port, 65535, &n) || n == 0 || !(conf_is_host(rest) || conf_is_ip(rest)))
		return conf_unexpected(e);
	return conf_store_text(v, s, out);
}

static int
parse_source_host(struct conf_value *v, void *out, struct err *e)
{
	struct conf_vmta *vmta = v->owner;

	(void)out;
	if (!conf_is_ip(conf_arg_n(v, 0)->text) || !conf_is_host(conf_arg_n(v, 1)->text))
		return conf_unexpected(e);
	conf_store_lower(v, conf_arg_n(v, 0)->text, &vmta->source_ip);
	return conf_store_lower(v, conf_no_final_dot(conf_arg_n(v, 1)->text), &vmta->source_host);
}

/* ---- the types ---- */

TYPE(host, "HOST", "a host name", 1, 1, 0, TEXT_SIZE, parse_host);
TYPE(network, "IP | NETWORK", "an IP address or a network like 10.0.0.0/8", 1, 1, 0,
    sizeof(struct cidr), parse_network);
TYPE(ip, "IP", "an IP address", 1, 1, 0, 0, parse_ip);
TYPE(listener, "IP:PORT [source=NAME]", "IP:PORT, and source=NAME if any", 1, 2, 0,
    sizeof(struct conf_listener), parse_listener);
TYPE(listen, "IP:PORT", "IP:PORT", 1, 1, 0, TEXT_SIZE, parse_listen);
TYPE(socket, "{unix:PATH | inet:PORT@HOST}", "unix:/PATH or inet:PORT@HOST", 1, 1, 0, 0,
    parse_socket);
TYPE(source_host, "IP HOST", "an IP address and a host name", 2, 2, 0, 0, parse_source_host);
