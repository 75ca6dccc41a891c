#include "common/conf_type.h"

#include "common/ascii.h"

#define URL_MAX 2048

/* host[:port] of a URL; false if there is anything else in it. */
static bool
split_authority(struct slice authority, struct slice *host)
{
	size_t colon;
	uint64_t port;

	/* Every byte that some URL reader takes for the end or for user:password is out. */
	for (size_t i = 0; i < authority.len; i++)
		if (!ascii_is_alnum(authority.p[i]) && strchr(".-_:[]", authority.p[i]) == NULL)
			return false;
	if (authority.len > 0 && authority.p[0] == '[') {
		size_t end = slice_find(authority, ']');
		struct slice behind = slice_skip(authority, end + 1);

		*host = slice_skip(slice_head(authority, end), 1);
		if (end == authority.len || !conf_is_ip(*host) ||
		    (behind.len > 0 && behind.p[0] != ':'))
			return false;
		return behind.len == 0 || slice_uint(slice_skip(behind, 1), 65535, &port);
	}
	colon = slice_find(authority, ':');
	*host = slice_head(authority, colon);
	if (colon < authority.len && !slice_uint(slice_skip(authority, colon + 1), 65535, &port))
		return false;
	return conf_is_host(*host) || conf_is_ip(*host);
}

static bool
is_loopback(struct slice host)
{
	static const struct cidr v4 = { AF_INET, { 127 }, 8 };
	static const struct cidr v6 = { AF_INET6, { [15] = 1 }, 128 };
	struct cidr a;

	if (slice_eqi(host, SLICE_LIT("localhost")))
		return true;
	if (!conf_is_ip(host) || cidr_parse(host, &a, NULL) < 0)
		return false;
	return a.family == AF_INET ? a.addr[0] == v4.addr[0]
	                           : memcmp(a.addr, v6.addr, sizeof(a.addr)) == 0;
}

int
conf_upload_url_check(struct slice url, struct err *e)
{
	struct slice rest, host;
	bool tls = slice_startsi(url, SLICE_LIT("https://"));
	size_t end = 0;

	if (url.len > URL_MAX)
		return conf_too_long(e, "URL", URL_MAX);
	if (!tls && !slice_startsi(url, SLICE_LIT("http://")))
		return err_set(e, "expected a URL with https://, or http:// to a loopback address");
	for (size_t i = 0; i < url.len; i++)
		if (url.p[i] <= 0x20 || url.p[i] > 0x7e)
			return err_set(e, "a URL has no blanks, controls or 8-bit characters");
	rest = slice_skip(url, tls ? 8 : 7);
	while (end < rest.len && strchr("/?#", rest.p[end]) == NULL)
		end++;
	if (slice_find(slice_head(rest, end), '@') < end)
		return err_set(e, "a URL with user:password@ is not taken: the key is in api-key");
	if (!split_authority(slice_head(rest, end), &host))
		return err_set(e, "the URL has no valid host and port");
	if (!tls && !is_loopback(host))
		return err_set(e,
		    "http:// only to a loopback address (127.0.0.0/8, ::1, localhost); "
		    "use https://");
	return 0;
}

static int
parse_upload_url(struct conf_value *v, void *out, struct err *e)
{
	if (conf_upload_url_check(conf_arg_n(v, 0)->text, e) < 0)
		return -1;
	return conf_store_text(v, conf_arg_n(v, 0)->text, out);
}

/* What a sink's URL may have in braces. */
static bool
is_variable(struct slice s)
{
	static const char *const names[] = { "batch", "segment", "node", "date" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (slice_eq(s, slice_str(names[i])))
			return true;
	return false;
}

/* A URL as for upload-url, with variables and blanks behind the host. */
static int
parse_sink_url(struct conf_value *v, void *out, struct err *e)
{
	struct slice url = conf_arg_n(v, 0)->text;
	size_t host = slice_find(url, ':') + 3, i = host;
	struct buf plain;
	int rc;

	while (i < url.len && strchr("/?#", url.p[i]) == NULL)
		i++;
	buf_init(&plain, CONF_LINE_MAX);
	buf_add(&plain, slice_head(url, i));
	for (; i < url.len; i++) {
		struct slice rest = slice_skip(url, i + 1);
		size_t end = slice_find(rest, '}');

		if (url.p[i] == ' ') {
			buf_adds(&plain, "%20");
		} else if (url.p[i] != '{') {
			buf_addc(&plain, url.p[i]);
		} else if (end < rest.len && is_variable(slice_head(rest, end))) {
			buf_add(&plain, slice_head(slice_skip(url, i), end + 2));
			i += end + 1;
		} else {
			buf_free(&plain);
			return err_set(e,
			    "unknown variable %.*s in the URL: there are {batch}, {segment}, "
			    "{node} and {date}; other braces are written %%7B and %%7D",
			    SLICE_FMT(slice_head(slice_skip(url, i), end < 40 ? end + 2 : 40)));
		}
	}
	rc = conf_upload_url_check(buf_slice(&plain), e);
	if (rc == 0)
		rc = conf_store_text(v, buf_slice(&plain), out);
	buf_free(&plain);
	return rc;
}

/*
 * "host", "http://host[:port]", "https://host[:port]". Every tracked link begins
 * so, in any part of a mail: only what needs no escaping anywhere.
 */
static int
parse_tracking_domain(struct conf_value *v, void *out, struct err *e)
{
	static const char *const schemes[] = { "http://", "https://" };
	struct slice s = conf_arg_n(v, 0)->text, authority = s, host;
	const char *scheme = "";
	struct buf text;
	int rc;

	for (size_t i = 0; i < COUNT(schemes); i++)
		if (slice_startsi(s, slice_str(schemes[i]))) {
			scheme = schemes[i];
			authority = slice_skip(s, strlen(scheme));
			if (authority.len > 0 && authority.p[authority.len - 1] == '/')
				authority.len--;
		}
	if (authority.len > CONF_HOST_MAX + 6)
		return conf_too_long(e, "host name", CONF_HOST_MAX);
	if (!split_authority(authority, &host) || authority.p[0] == '[' ||
	    (scheme[0] == '\0' && host.len < authority.len))
		return conf_unexpected(e);
	buf_init(&text, CONF_TEXT_MAX);
	buf_adds(&text, scheme);
	buf_add(&text, conf_no_final_dot(host));
	buf_add(&text, slice_skip(authority, host.len));
	rc = conf_store_lower(v, buf_slice(&text), out);
	buf_free(&text);
	return rc;
}

/* ---- the types ---- */

TYPE(upload_url, "URL", "a URL with https://, or http:// to a loopback address", 1, 1, 0, 0,
    parse_upload_url);
TYPE(sink_url, "URL", "a URL with https://, or http:// to a loopback address", 1, 1, 0, 0,
    parse_sink_url);
TYPE(tracking_domain, "HOST | {http | https}://HOST[:PORT]",
    "a host name, http://HOST[:PORT] or https://HOST[:PORT]", 1, 1, 0, 0, parse_tracking_domain);
