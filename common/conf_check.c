#include "common/conf_builder.h"

/* Links lead somewhere; who has not said where must know it. */
static bool
check_tracking(struct conf_builder *b)
{
	const struct conf *c = b->conf;
	const struct conf_tracker *t = &c->tracker;

	if (c->signals.engagement_tracking != CONF_TRACKING_OFF &&
	    c->signals.tracking_domain == NULL) {
		if (c->tracking_base != NULL)
			conf_warn(b, c->signals.at,
			    "no tracking-domain: tracked links lead to %s/, "
			    "where signalpost-tracker must answer",
			    c->tracking_base);
		else
			conf_warn(b, c->signals.at,
			    "neither tracking-domain nor host-name: "
			    "nothing can be tracked");
	}
	if ((t->tls_certificate == NULL) != (t->tls_key == NULL))
		return conf_fail(b, t->at, "<tracker>: %s is missing",
		    t->tls_key == NULL ? "tls-key" : "tls-certificate");
	return true;
}

/* A block that asks for nothing is a mistake. */
static bool
check_mail_log(struct conf_builder *b)
{
	const struct conf_mail_log *l = &b->conf->mail_log;

	if (l->given && l->files.n == 0 && !l->journal)
		return conf_fail(
		    b, l->at, "<mail-log>: neither file nor journal says where the log is");
	if (l->given && l->unknown_after_s > l->index_age_s)
		return conf_fail(b, l->at, "<mail-log>: unknown-after is longer than index-age");
	return true;
}

/* Failed authentications are seen in the MTA's log and nowhere else. */
static void
check_auth_rate(struct conf_builder *b)
{
	const struct conf_block *in = b->priv->root.blocks;

	if (b->conf->mail_log.given)
		return;
	for (; in != NULL; in = in->next)
		for (const struct conf_item *i = in->items; i != NULL; i = i->next)
			if (slice_eq(slice_str(i->name), SLICE_LIT("smtp-max-auth-failure-rate")) &&
			    !slice_eq(slice_str(i->text), SLICE_LIT("unlimited"))) {
				conf_warn(b, i->at,
				    "smtp-max-auth-failure-rate: nobody is refused by it without a "
				    "<mail-log>, where failures are seen");
				return;
			}
}

#define SINK_NAME_MAX 40 /* it becomes part of file names */

static bool
check_sink(struct conf_builder *b, const struct conf_sink *k)
{
	bool file = k->type == CONF_SINK_FILE;

	if (slice_eqi(slice_str(k->name), SLICE_LIT("signals")))
		return conf_fail(b, k->at, "<sink signals>: that is upload-url's in <signals>");
	if (strlen(k->name) > SINK_NAME_MAX ||
	    strspn(k->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
		strlen(k->name))
		return conf_fail(b, k->at,
		    "<sink %s>: a name has %d letters, digits, - and _ at most", k->name,
		    SINK_NAME_MAX);
	if (k->type == CONF_SINK_NONE)
		return conf_fail(b, k->at, "<sink %s>: type is missing", k->name);
	if (file && k->directory == NULL)
		return conf_fail(b, k->at, "<sink %s>: directory is missing", k->name);
	if (file && (k->url != NULL || k->api_key != NULL || k->headers.n > 0))
		return conf_fail(
		    b, k->at, "<sink %s>: url, api-key and header are not for type file", k->name);
	if (!file && k->url == NULL)
		return conf_fail(b, k->at, "<sink %s>: url is missing", k->name);
	if (!file && k->directory != NULL)
		return conf_fail(b, k->at, "<sink %s>: directory is for type file", k->name);
	if (k->type == CONF_SINK_SPARKPOST && k->api_key == NULL)
		return conf_fail(b, k->at, "<sink %s>: api-key is missing", k->name);
	if (k->type == CONF_SINK_SPARKPOST && (k->flat || !k->gzip))
		return conf_fail(b, k->at,
		    "<sink %s>: type sparkpost takes format msys and compress gzip only", k->name);
	return true;
}

/* Where to ask is derived from where batches are posted; see uploader/confirm_url.c. */
static void
check_confirm(struct conf_builder *b, struct conf_at at, const char *directive, const char *url)
{
	struct slice posted = SLICE_LIT("/ingest/events");
	struct slice path;

	if (url == NULL) {
		conf_warn(b, at, "confirm-batches: is for type sparkpost; nothing is asked");
		return;
	}
	path = slice_head(slice_str(url), strcspn(url, "?#"));
	while (path.len > 0 && path.p[path.len - 1] == '/')
		path.len--;
	if (path.len < posted.len || !slice_eq(slice_skip(path, path.len - posted.len), posted))
		conf_warn(b, at,
		    "confirm-batches: the path of %s does not end in /ingest/events, so what "
		    "becomes "
		    "of batches can't be asked",
		    directive);
}

static bool
check_sinks(struct conf_builder *b)
{
	const struct conf *c = b->conf;
	bool required = c->signals.given, go_on = true;

	for (size_t i = 0; i < c->n_sinks && go_on; i++) {
		go_on = check_sink(b, &c->sinks[i]);
		if (go_on && c->sinks[i].confirm_batches)
			check_confirm(b, c->sinks[i].at, "url",
			    c->sinks[i].type == CONF_SINK_SPARKPOST ? c->sinks[i].url : NULL);
		required = required || c->sinks[i].required;
	}
	if (go_on && c->n_sinks > 0 && !required)
		return conf_fail(b, c->sinks[0].at,
		    "<sink %s>: no sink is required: segments would never go", c->sinks[0].name);
	return go_on;
}

static bool
is_ascii(const char *s)
{
	while (*s != '\0' && (*s & 0x80) == 0)
		s++;
	return *s == '\0';
}

/*
 * Names are compared as they are written, and nothing here knows which one with xn-- (RFC 5890
 * 2.3.2.1) is which one in UTF-8: of those there should be no more.
 */
static void
check_utf8_domains(struct conf_builder *b, const struct conf_block *list)
{
	size_t utf8 = 0, ascii = 0;

	for (const struct conf_item *i = list->items; i != NULL; i = i->next) {
		if (strcmp(i->row->name, "domain") != 0)
			continue;
		utf8 += !is_ascii(i->text);
		ascii += strncmp(i->text, "xn--", 4) == 0 || strstr(i->text, ".xn--") != NULL;
	}
	for (const struct conf_item *i = list->items; i != NULL && utf8 > ascii; i = i->next)
		if (strcmp(i->row->name, "domain") == 0 && !is_ascii(i->text))
			conf_warn(b, i->at,
			    "domain: only recipients that are written so in UTF-8 are meant: give "
			    "the form with xn--, too (idn2 %s prints it)",
			    i->text);
}

/* What only shows when all is read. */
void
conf_check_whole(struct conf_builder *b)
{
	const struct conf *c = b->conf;
	bool go_on = check_tracking(b) && check_mail_log(b) && check_sinks(b);

	check_auth_rate(b);
	if (c->signals.confirm_batches && c->signals.upload_url != NULL)
		check_confirm(b, c->signals.at, "upload-url", c->signals.upload_url);
	if (go_on && c->signals.given && c->signals.api_key == NULL)
		go_on = conf_fail(b, c->signals.at, "<signals>: api-key is missing");
	if (c->enable_signals.enable == CONF_SIGNALS_ON && !c->signals.given)
		conf_warn(b, ((struct conf_at){ c->file, 0 }),
		    "enable-signals without a <signals> block: "
		    "events have nowhere to go");
	for (const struct conf_block *in = b->priv->root.blocks; in != NULL && go_on;
	     in = in->next) {
		const struct conf_block *vmta;

		if (in->scope == CONF_IN_PROCESSOR)
			for (const struct conf_block *list = in->blocks; list != NULL;
			     list = list->next)
				check_utf8_domains(b, list);
		if (in->scope == CONF_IN_SMTP_USER &&
		    ((struct conf_smtp_user *)in->owner)->password == NULL)
			go_on = conf_fail(
			    b, in->at, "<smtp-user %s>: password is missing", in->name_text);
		if (in->scope != CONF_IN_POOL)
			continue;
		vmta = conf_find_block(b, "virtual-mta", in->name);
		if (vmta != NULL)
			go_on = conf_fail(b, in->at,
			    "<virtual-mta-pool %s>: there is a <virtual-mta> of that name at %s:%u",
			    in->name_text, vmta->at.file, vmta->at.line);
	}
}

/* What is forwarded to a processor's own address would come back to be forwarded. */
void
conf_check_inbound(struct conf_builder *b)
{
	for (const struct conf_block *in = b->priv->root.blocks; in != NULL; in = in->next)
		for (const struct conf_item *i = in->items; i != NULL; i = i->next) {
			enum conf_relay relay;

			/* The resolver of libc takes nothing else from us. */
			if (strcmp(i->row->name, "dns-resolver") == 0 && i->text[0] == '[' &&
			    !conf_fail(b, i->at, "dns-resolver: expected an IPv4 address, found %s",
				i->text))
				return;

			if (in->scope != CONF_IN_PROCESSOR ||
			    strncmp(i->row->name, "forward-", 8) != 0)
				continue;
			relay = conf_relay_for(b->conf, slice_str(i->text));
			if ((relay == CONF_RELAY_BOUNCE || relay == CONF_RELAY_FEEDBACK) &&
			    !conf_fail(b, i->at,
				"%s: %s is in the address-list of <%s>: it would come back",
				i->row->name, i->text,
				relay == CONF_RELAY_BOUNCE ? "bounce-processor"
							   : "feedback-loop-processor"))
				return;
		}
}
