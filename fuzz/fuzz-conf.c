/*
 * Configuration: whatever the text, reading it ends, with a configuration or
 * with one error line that names the file; what is printed reads back and
 * prints the same; looking things up stays in bounds.
 * Input: the configuration.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static char *
printed(const struct conf *c, bool verbose)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	conf_print(c, verbose, true, f);
	fclose(f);
	return text;
}

static void
round_trip(const struct conf *c)
{
	char *once = printed(c, false), *verbose = printed(c, true), *twice, *thrice;
	struct conf *again = conf_parse("again", slice_str(once), NULL);
	struct conf *more = conf_parse("more", slice_str(verbose), NULL);

	check(again != NULL && more != NULL);
	twice = printed(again, false);
	thrice = printed(more, false);
	check(strcmp(once, twice) == 0 && strcmp(once, thrice) == 0);
	check(again->n_sources == c->n_sources && again->n_vmtas == c->n_vmtas &&
	      again->n_relay_domains == c->n_relay_domains && again->keys.n == c->keys.n);
	conf_free(again);
	conf_free(more);
	free(once);
	free(verbose);
	free(twice);
	free(thrice);
}

static void
look_up(const struct conf *c, struct slice text)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };
	struct conf_peer peer = { .addr = (const struct sockaddr *)&sa,
		.listener_address = "127.0.0.1",
		.listener_port = c->n_listeners > 0 ? c->listeners[0].port : 25,
		.auth_user = c->n_smtp_users > 0 ? c->smtp_users[0].name : NULL };
	const struct conf_vmta *v = c->n_vmtas > 0 ? c->vmtas[0] : NULL;
	const struct conf_pool *p = c->n_pools > 0 ? &c->pools[0] : NULL;
	struct conf_source source;
	struct conf_domain domain;
	struct buf out;
	uint64_t n;
	bool has;

	conf_source_for(c, &peer, &source);
	peer.addr = NULL;
	conf_source_for(c, &peer, &source);
	conf_relay_for(c, text);
	conf_domain_for(c, v, p, text, &domain);
	conf_signals_for(c, v, p, text, &has, &n);
	check(p == NULL || p->n_members == 0 || conf_pool_next(p) != NULL);
	buf_init(&out, 1000);
	if (conf_rewrite_mail_from(source.rewrite_list, text, &out))
		buf_str(&out);
	conf_rewrite_from_domain(c->rewrite_list, text);
	buf_free(&out);
	for (size_t i = 0; i < c->n_vmtas; i++)
		check(conf_vmta_find(c, c->vmtas[i]->name) == c->vmtas[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	struct err e = { .text = "" };
	struct conf *c = conf_parse("t", text, &e);

	check((c == NULL) == (e.text[0] != '\0'));
	if (c == NULL) {
		check(strncmp(e.text, "t:", 2) == 0);
		return 0;
	}
	round_trip(c);
	look_up(c, slice_head(text, 300));
	look_up(c, SLICE_LIT("a@b.example"));
	conf_free(c);
	return 0;
}
