/*
 * cmd_rewrite.c - dry run: the message as it would leave on standard output,
 * what was done to it and why not on standard error. Nothing is sent, spooled
 * or changed.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/outgoing.h"
#include "common/policy.h"
#include "common/xalloc.h"
#include "ctl/ctl.h"

#define FILE_MAX ((size_t)256 << 20)

struct run {
	const char *conf_file, *from, *user, *client;
	bool unauthenticated, html, explain;
	char **rcpts;
	size_t n_rcpts, room;
	struct sockaddr_storage peer;
	struct outgoing_context ctx; /* owned */
	struct conf *conf;
	struct conf_source source;
	struct message msg;
	struct buf sender; /* MAIL FROM, without <> */
	struct slice *accepted;
	size_t n_accepted;
};

static int
usage(void)
{
	fputs("usage: signalpost rewrite [-c file] [-f sender] [-t recipient ...] [-a user | -u]\n"
	      "           [-s client-address] [--explain] file.eml\n"
	      "       signalpost rewrite --html [-c file] [-t recipient] [--explain] file.html\n"
	      "  -f  MAIL FROM; default: Return-Path, else From\n"
	      "  -t  RCPT TO; default: the first address in To\n"
	      "  -a  as this authenticated user; default: the first smtp-user\n"
	      "  -u  not authenticated\n"
	      "  -s  from this address; default 127.0.0.1\n"
	      "  --explain  a line for each link: what became of it, and why\n",
	    stderr);
	return EX_USAGE;
}

static int
options(struct run *r, int argc, char **argv)
{
	static const struct option longer[] = {
		{ "explain", no_argument, NULL, 'e' },
		{ "html", no_argument, NULL, 'H' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:f:t:a:us:h", longer, NULL)) != -1)
		switch (c) {
		case 'e':
			r->explain = true;
			break;
		case 'H':
			r->html = true;
			break;
		case 'c':
			r->conf_file = optarg;
			break;
		case 'f':
			r->from = optarg;
			break;
		case 't':
			r->rcpts = xgrow(r->rcpts, r->n_rcpts, &r->room, sizeof(*r->rcpts));
			r->rcpts[r->n_rcpts++] = xstrdup(optarg);
			break;
		case 'a':
			r->user = optarg;
			break;
		case 'u':
			r->unauthenticated = true;
			break;
		case 's':
			r->client = optarg;
			break;
		default:
			return usage();
		}
	return argc - optind == 1 ? EX_OK : usage();
}

static int
set_peer(struct run *r)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&r->peer;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&r->peer;

	r->peer.ss_family = AF_INET;
	if (inet_pton(AF_INET, r->client, &v4->sin_addr) == 1)
		return 0;
	r->peer.ss_family = AF_INET6;
	if (inet_pton(AF_INET6, r->client, &v6->sin6_addr) == 1)
		return 0;
	fprintf(stderr, "signalpost rewrite: '%s' is no IP address\n", r->client);
	return -1;
}

static int
load(struct run *r)
{
	struct signing_keys *keys;
	struct err e;

	r->conf = conf_load(r->conf_file, &e);
	r->ctx.conf = r->conf;
	if (r->conf == NULL || (keys = signing_keys_load(r->conf, &e)) == NULL) {
		fprintf(stderr, "signalpost rewrite: %s\n", e.text);
		return -1;
	}
	r->ctx.keys = keys;
	r->ctx.ring = token_ring_open(r->conf->token_keys.directory, &e);
	if (r->ctx.ring == NULL)
		fprintf(stderr, "no X-Signalpost-ID and no tracked links: %s\n", e.text);
	if (r->user == NULL && !r->unauthenticated)
		r->user = r->conf->n_smtp_users > 0 ? r->conf->smtp_users[0].name : "user";
	if (r->unauthenticated)
		r->user = NULL;
	return 0;
}

/* MAIL FROM and RCPT TO, from the options or the headers. */
static void
set_envelope(struct run *r)
{
	const struct message_header *h;
	struct buf to;

	buf_init(&r->sender, 4096);
	if (r->from != NULL) {
		struct slice s = slice_trim(slice_str(r->from));

		if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
			s = slice_head(slice_skip(s, 1), s.len - 2);
		buf_add(&r->sender, s);
	} else if ((h = message_find(&r->msg, "Return-Path", 0)) != NULL ||
	    (h = message_find(&r->msg, "From", 0)) != NULL) {
		address_first(slice_str(h->value), &r->sender, NULL);
	}
	if (r->n_rcpts > 0 || (h = message_find(&r->msg, "To", 0)) == NULL)
		return;
	buf_init(&to, 4096);
	if (address_first(slice_str(h->value), &to, NULL)) {
		r->rcpts = xgrow(r->rcpts, 0, &r->room, sizeof(*r->rcpts));
		r->rcpts[r->n_rcpts++] = buf_take(&to);
	}
	buf_free(&to);
}

static bool
refused(const char *what, const char *whom, const struct policy_answer *a)
{
	if (a->verdict != POLICY_CONTINUE)
		fprintf(stderr, "%s <%s>: refused: %s %s %s\n", what, whom, a->code, a->xcode, a->text);
	return a->verdict != POLICY_CONTINUE;
}

/* The answers that the client would get. False: nothing of it would be accepted. */
static bool
admit(struct run *r, uint64_t size)
{
	struct conf_peer peer = {
		.addr = (const struct sockaddr *)&r->peer,
		.auth_user = r->user,
	};
	struct policy_answer a;

	conf_source_for(r->conf, &peer, &r->source);
	fprintf(stderr, "client %s, %s%s\n", r->client, r->user != NULL ? "authenticated as " : "",
	    r->user != NULL ? r->user : "not authenticated");
	policy_mail(&r->source, r->user != NULL, size, &a);
	if (refused("MAIL FROM", buf_str(&r->sender), &a))
		return false;
	r->accepted = xcalloc(r->n_rcpts, sizeof(*r->accepted));
	for (size_t i = 0; i < r->n_rcpts; i++) {
		policy_rcpt(r->conf, &r->source, false, r->n_accepted, slice_str(r->rcpts[i]), &a);
		if (refused("RCPT TO", r->rcpts[i], &a))
			continue;
		if (a.report == CONF_RELAY_NO)
			r->accepted[r->n_accepted++] = slice_str(r->rcpts[i]);
		else
			fprintf(stderr, "RCPT TO:<%s>: captured for the %s processor\n", r->rcpts[i],
			    a.report == CONF_RELAY_BOUNCE ? "bounce" : "feedback-loop");
	}
	if (r->n_rcpts == 0)
		fputs("no recipient: no To header; name one with -t\n", stderr);
	return r->n_accepted > 0;
}

static void
show_headers(const struct message *m)
{
	for (size_t i = 0; i < m->n_headers; i++) {
		const struct message_header *h = &m->headers[i];

		if (h->deleted && h->index != 0)
			fprintf(stderr, "- %s:%s\n", h->name, h->value);
		else if (h->changed || (h->index == 0 && !h->deleted))
			fprintf(stderr, "%s %s:%s\n", h->changed && h->index != 0 ? "~" : "+", h->name,
			    h->value);
	}
}

static void
explain(void *unused, const struct track_note *n)
{
	struct buf line;

	(void)unused;
	buf_init(&line, 65536);
	buf_printf(&line, "%-8s", n->what);
	if (n->why != NULL)
		buf_printf(&line, " (%s)", n->why);
	outgoing_log_value(&line, "at", n->target);
	fprintf(stderr, "%s\n", buf_str(&line));
	buf_free(&line);
}

static int
put_out(const struct buf *text)
{
	if (fwrite(buf_str(text), 1, text->len, stdout) == text->len && fflush(stdout) == 0)
		return EX_OK;
	perror("signalpost rewrite: standard output");
	return 1;
}

/* --html: one HTML text, as if it were the only part of a message. */
static int
rewrite_html(struct run *r, struct slice html)
{
	struct track_options opt = {
		.ring = r->ctx.ring,
		.base = conf_tracking_base(r->conf),
		.message = ids_take(1),
		.rcpt = slice_str(r->n_rcpts > 0 ? r->rcpts[0] : "reader@example.com"),
		.links = true,
		.pixels = true,
		.note = r->explain ? explain : NULL,
	};
	struct track_report report;
	struct buf out;
	int rc;

	if (r->ctx.ring == NULL)
		return EX_CONFIG;
	buf_init(&out, BUF_NO_LIMIT);
	track_html(html, SLICE_LIT("utf-8"), &opt, &out, &report);
	fprintf(stderr, "links=%u pixels=%u%s%s\n", report.links,
	    (unsigned)report.initial_pixel + (unsigned)report.open_pixel,
	    report.part_why != NULL ? " untracked: " : "",
	    report.part_why != NULL ? report.part_why : "");
	rc = put_out(&out);
	buf_free(&out);
	return rc;
}

static int
rewrite(struct run *r, uint64_t size)
{
	struct outgoing_envelope env = {
		.source = &r->source,
		.auth_user = r->user,
		.client_ip = r->client,
		.from = buf_slice(&r->sender),
		.rcpts = r->accepted,
		.n_rcpts = r->n_accepted,
		.size = size,
		.now = clock_wall_s(),
		.note = r->explain ? explain : NULL,
	};
	struct outgoing o;
	struct buf text;
	struct err e;
	int rc = EX_OK;

	outgoing_init(&o);
	buf_init(&text, BUF_NO_LIMIT);
	outgoing_decide(&r->ctx, &env, &r->msg, &o);
	if (outgoing_edit(&r->ctx, &env, &r->msg, &o, &e) < 0) {
		fprintf(stderr, "signalpost rewrite: %s\n", e.text);
		rc = 1;
	} else {
		o.events = o.signals ? env.n_rcpts : 0;
		outgoing_log(&env, &o, &text);
		fprintf(stderr, "would do:%s\n", buf_str(&text));
		show_headers(&r->msg);
		buf_clear(&text);
		message_print(&r->msg, false, &text);
		rc = put_out(&text);
	}
	buf_free(&text);
	outgoing_free(&o);
	return rc;
}

static void
run_free(struct run *r)
{
	token_ring_close((struct token_ring *)(uintptr_t)r->ctx.ring);
	signing_keys_free((struct signing_keys *)(uintptr_t)r->ctx.keys);
	conf_free(r->conf);
	message_free(&r->msg);
	buf_free(&r->sender);
	free(r->accepted);
	for (size_t i = 0; i < r->n_rcpts; i++)
		free(r->rcpts[i]);
	free(r->rcpts);
}

int
cmd_rewrite(int argc, char **argv)
{
	struct run r = { .conf_file = CONF_DEFAULT_FILE, .client = "127.0.0.1" };
	struct buf text;
	struct err e;
	int rc = options(&r, argc, argv);

	if (rc != EX_OK)
		return rc;
	buf_init(&text, FILE_MAX);
	message_init(&r.msg, FILE_MAX);
	if (set_peer(&r) < 0) {
		rc = EX_USAGE;
	} else if (load(&r) < 0) {
		rc = EX_CONFIG;
	} else if (file_read(AT_FDCWD, argv[optind], &text, &e) < 0) {
		fprintf(stderr, "signalpost rewrite: %s\n", e.text);
		rc = 1;
	} else if (r.html) {
		rc = rewrite_html(&r, buf_slice(&text));
	} else {
		message_parse(&r.msg, buf_slice(&text));
		set_envelope(&r);
		rc = admit(&r, text.len) ? rewrite(&r, text.len) : 1;
	}
	buf_free(&text);
	run_free(&r);
	return rc;
}
