#include "common/conf_type.h"

static int
parse_vmta_choice(struct conf_value *v, void *out, struct err *e)
{
	struct conf_source *s = v->owner;

	(void)out;
	s->default_vmta = NULL;
	if (slice_eqi(conf_arg_n(v, 0)->text, SLICE_LIT("by-smtp-source-ip"))) {
		s->default_vmta_choice = CONF_VMTA_BY_SOURCE_IP;
		buf_adds(&v->text, "by-smtp-source-ip");
		return 0;
	}
	s->default_vmta_choice = CONF_VMTA_NAMED;
	return conf_parse_name(v, &s->default_vmta, e);
}

/* An address, or '@' and a domain. */
static bool
is_identity(struct slice s)
{
	return s.len > 0 && s.p[0] == '@' ? conf_is_host(slice_skip(s, 1)) : conf_is_address(s);
}

static int
parse_dkim_identity(struct conf_value *v, void *out, struct err *e)
{
	static const struct conf_word words[] = {
		{ "sender-or-from", CONF_DKIM_SENDER_OR_FROM },
		{ "strict-from", CONF_DKIM_STRICT_FROM },
		{ NULL, 0 },
	};
	struct conf_domain *d = v->owner;
	struct slice s = conf_arg_n(v, 0)->text;
	int value;

	(void)out;
	d->dkim_identity_text = NULL;
	if (conf_find_word(words, s, &value) == 0) {
		d->dkim_identity = (enum conf_dkim_identity)value;
		conf_print_arg(v, slice_str(conf_word_of(words, value)));
		return 0;
	}
	if (s.len > CONF_ADDRESS_MAX)
		return conf_too_long(e, "address", CONF_ADDRESS_MAX);
	if (!is_identity(s))
		return conf_unexpected(e);
	d->dkim_identity = CONF_DKIM_FIXED;
	return conf_store_text(v, s, &d->dkim_identity_text);
}

static int
parse_dkim_fallback(struct conf_value *v, void *out, struct err *e)
{
	if (conf_arg_n(v, 0)->text.len > CONF_ADDRESS_MAX)
		return conf_too_long(e, "address", CONF_ADDRESS_MAX);
	if (!is_identity(conf_arg_n(v, 0)->text))
		return conf_unexpected(e);
	return conf_store_text(v, conf_arg_n(v, 0)->text, out);
}

static int
parse_domain_key(struct conf_value *v, void *out, struct err *e)
{
	struct conf_domain_key k = { .at = v->at };
	struct slice selector = conf_arg_n(v, 0)->text, domain = conf_arg_n(v, 1)->text;

	if (!conf_is_host(selector))
		return err_set(e, "expected a selector (a DNS name), found '%.*s'",
		    SLICE_FMT(slice_head(selector, 64)));
	if (!slice_eq(domain, SLICE_LIT("*")) && !conf_is_host(domain))
		return err_set(
		    e, "expected a domain or *, found '%.*s'", SLICE_FMT(slice_head(domain, 64)));
	if (conf_check_path(conf_arg_n(v, 2)->text, e) < 0)
		return conf_unexpected(e);
	k.selector = conf_mem_dup(v->mem, selector);
	k.domain = slice_eq(domain, SLICE_LIT("*"))
	               ? NULL
	               : conf_mem_lower(v->mem, conf_no_final_dot(domain));
	k.file = conf_mem_dup(v->mem, conf_arg_n(v, 2)->text);
	conf_arg_print(selector, CONF_ARGS_COMMAS, &v->text);
	buf_printf(&v->text, ",%s,", k.domain == NULL ? "*" : k.domain);
	conf_arg_print(conf_arg_n(v, 2)->text, CONF_ARGS_COMMAS, &v->text);
	memcpy(out, &k, sizeof(k));
	return 0;
}

/* "subaccount=N", N > 0. */
static bool
parse_subaccount(struct slice s, uint64_t *n)
{
	struct slice prefix = SLICE_LIT("subaccount=");

	return slice_startsi(s, prefix) && slice_uint(slice_skip(s, prefix.len), UINT32_MAX, n) &&
	       *n > 0;
}

static int
parse_enable_signals(struct conf_value *v, void *out, struct err *e)
{
	struct conf_enable_signals s = { .enable = CONF_SIGNALS_FILTER };
	struct slice text = conf_arg_n(v, 0)->text;
	int value;

	if (!conf_arg_n(v, 0)->quoted && conf_find_word(conf_bool_words, text, &value) == 0)
		s.enable = value != 0 ? CONF_SIGNALS_ON : CONF_SIGNALS_OFF;
	else if (text.len == 0 || text.len > CONF_NAME_MAX)
		return conf_unexpected(e);
	if (v->n == 2) {
		if (s.enable != CONF_SIGNALS_ON)
			return err_set(e, "a subaccount is possible only with true");
		if (!parse_subaccount(conf_arg_n(v, 1)->text, &s.subaccount))
			return conf_unexpected(e);
		s.has_subaccount = true;
	}
	if (s.enable == CONF_SIGNALS_FILTER) {
		v->ref = conf_mem_dup(v->mem, text);
		conf_print_arg(v, text);
	} else {
		buf_adds(&v->text, s.enable == CONF_SIGNALS_ON ? "true" : "false");
	}
	if (s.has_subaccount)
		buf_printf(&v->text, ",subaccount=%llu", (unsigned long long)s.subaccount);
	memcpy(out, &s, sizeof(s));
	return 0;
}

static int
parse_sender_rule(struct conf_value *v, void *out, struct err *e)
{
	struct conf_sender_rule r = { .at = v->at };
	struct slice verb = conf_arg_n(v, 1)->text;

	if (conf_take_pattern(v, conf_arg_n(v, 0)->text, &r.pattern, e) < 0)
		return -1;
	r.enable = slice_eqi(verb, SLICE_LIT("enable-signals"));
	if (!r.enable && !slice_eqi(verb, SLICE_LIT("disable-signals")))
		return conf_unexpected(e);
	if (v->n == 3) {
		if (!r.enable || !parse_subaccount(conf_arg_n(v, 2)->text, &r.subaccount))
			return conf_unexpected(e);
		r.has_subaccount = true;
	}
	buf_adds(&v->text, r.enable ? " enable-signals" : " disable-signals");
	if (r.has_subaccount)
		buf_printf(&v->text, ",subaccount=%llu", (unsigned long long)r.subaccount);
	memcpy(out, &r, sizeof(r));
	return 0;
}

struct mail_from_part { /* one side of mail-from */
	bool null;
	const char *local, *domain; /* NULL: '*' */
};

/* a@b, a@*, *@b, *@*, <> */
static bool
parse_mail_from_part(struct conf_value *v, struct slice s, struct mail_from_part *out)
{
	struct slice local, domain;
	const char *at;

	*out = (struct mail_from_part){ 0 };
	if (slice_eq(s, SLICE_LIT("<>"))) {
		out->null = true;
		return true;
	}
	if (s.len > 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		s = (struct slice){ s.p + 1, s.len - 2 };
	at = s.len > 0 && s.len <= CONF_ADDRESS_MAX ? memrchr(s.p, '@', s.len) : NULL;
	if (at == NULL)
		return false;
	local = slice_head(s, (size_t)(at - s.p));
	domain = slice_skip(s, local.len + 1);
	if (!slice_eq(local, SLICE_LIT("*"))) {
		if (local.len == 0 || local.len > 64 || slice_find(local, '*') < local.len)
			return false;
		for (size_t i = 0; i < local.len; i++)
			if (local.p[i] <= 0x20 || strchr("<>()[],;:\\\"@", local.p[i]) != NULL)
				return false; /* not ASCII, or it would need quotes */
		out->local = conf_mem_dup(v->mem, local);
	}
	if (!slice_eq(domain, SLICE_LIT("*"))) {
		for (size_t i = 0; i < domain.len; i++)
			if ((unsigned char)domain.p[i] >= 0x80)
				return false; /* the A-label form is meant */
		if (!conf_is_host(domain))
			return false;
		out->domain = conf_mem_lower(v->mem, conf_no_final_dot(domain));
	}
	return true;
}

static void
print_mail_from_part(struct conf_value *v, const struct mail_from_part *p)
{
	if (v->text.len > 0)
		buf_addc(&v->text, ' ');
	if (p->null) {
		buf_adds(&v->text, "<>");
		return;
	}
	conf_arg_print(slice_str(p->local == NULL ? "*" : p->local), 0, &v->text);
	buf_addc(&v->text, '@');
	buf_adds(&v->text, p->domain == NULL ? "*" : p->domain);
}

static int
parse_mail_from(struct conf_value *v, void *out, struct err *e)
{
	struct mail_from_part from, to;
	struct conf_mail_from m = { .at = v->at };

	for (size_t i = 0; i < 2; i++)
		if (!parse_mail_from_part(v, conf_arg_n(v, i)->text, i == 0 ? &from : &to))
			return err_set(e, "expected a@b, a@*, *@b, *@* or <> (ASCII), found '%.*s'",
			    SLICE_FMT(slice_head(conf_arg_n(v, i)->text, 64)));
	if (from.null && !to.null && (to.local == NULL || to.domain == NULL))
		return err_set(e, "<> has nothing that a '*' could stand for");
	m.from_null = from.null;
	m.from_local = from.local;
	m.from_domain = from.domain;
	m.to_null = to.null;
	m.to_local = to.local;
	m.to_domain = to.domain;
	print_mail_from_part(v, &from);
	print_mail_from_part(v, &to);
	memcpy(out, &m, sizeof(m));
	return 0;
}

static int
parse_from_domain(struct conf_value *v, void *out, struct err *e)
{
	struct conf_from_domain d = { .at = v->at };

	if (conf_take_pattern(v, conf_arg_n(v, 0)->text, &d.from, e) < 0)
		return -1;
	if (!conf_is_host(conf_arg_n(v, 1)->text))
		return conf_unexpected(e);
	conf_store_lower(v, conf_no_final_dot(conf_arg_n(v, 1)->text), &d.to);
	memcpy(out, &d, sizeof(d));
	return 0;
}

/* /REGEX/ CATEGORY, or "/REGEX/ virtual-mta=NAME" behind a verb: kept as text until something acts
 * on it. */
static int
parse_category(struct conf_value *v, void *out, struct err *e)
{
	bool has_regex = false;

	(void)out;
	for (size_t i = 0; i < v->n; i++) {
		const struct conf_arg *a = conf_arg_n(v, i);
		struct regex *r;

		if (!a->regex) {
			if (a->text.len == 0 || a->text.len > CONF_NAME_MAX)
				return conf_unexpected(e);
			conf_print_arg(v, a->text);
			continue;
		}
		has_regex = true;
		r = regex_compile(a->text, e);
		if (r == NULL)
			return -1;
		regex_free(r);
		if (v->text.len > 0)
			buf_addc(&v->text, ' ');
		buf_addc(&v->text, '/');
		buf_add(&v->text, a->text);
		buf_addc(&v->text, '/');
	}
	return has_regex ? 0 : conf_unexpected(e);
}

static int
parse_bounce_category(struct conf_value *v, void *out, struct err *e)
{
	struct conf_bounce_category c = { .at = v->at };
	const struct conf_arg *regex = conf_arg_n(v, 0), *category = conf_arg_n(v, 1);

	if (!regex->regex || category->regex || category->text.len == 0 ||
	    category->text.len > CONF_NAME_MAX)
		return conf_unexpected(e);
	if (conf_take_regex(v, regex->text, &c.regex, e) < 0)
		return -1;
	c.category = conf_mem_dup(v->mem, category->text);
	conf_print_arg(v, category->text);
	memcpy(out, &c, sizeof(c));
	return 0;
}

/* NAME DOMAIN,...: what <domain $NAME> stands for; conf_block.c takes it from the text. */
static int
parse_domain_macro(struct conf_value *v, void *out, struct err *e)
{
	struct domain_pattern p;

	(void)out;
	if (conf_arg_n(v, 0)->text.len > CONF_NAME_MAX)
		return conf_too_long(e, "name", CONF_NAME_MAX);
	if (conf_arg_n(v, 0)->text.len == 0 || conf_arg_n(v, 0)->text.p[0] == '$')
		return conf_unexpected(e);
	conf_print_arg(v, conf_arg_n(v, 0)->text);
	for (size_t i = 1; i < v->n; i++) {
		if (domain_pattern_parse(conf_arg_n(v, i)->text, &p, e) < 0)
			return -1;
		buf_addc(&v->text, i == 1 ? ' ' : ',');
		domain_pattern_print(&p, &v->text);
		domain_pattern_free(&p);
	}
	return 0;
}

/* ---- the types ---- */

TYPE(vmta_choice, "{NAME | by-smtp-source-ip}",
    "the name of a virtual MTA or pool, or by-smtp-source-ip", 1, 1, 0, 0, parse_vmta_choice);
TYPE(dkim_identity, "{ADDRESS | @DOMAIN | sender-or-from | strict-from}",
    "sender-or-from, strict-from, an address or @DOMAIN", 1, 1, 0, 0, parse_dkim_identity);
TYPE(
    dkim_fallback, "{ADDRESS | @DOMAIN}", "an address or @DOMAIN", 1, 1, 0, 0, parse_dkim_fallback);
TYPE(domain_key, "SELECTOR,{DOMAIN | *},FILE", "SELECTOR,DOMAIN,FILE with an absolute path", 3, 3,
    COMMAS, sizeof(struct conf_domain_key), parse_domain_key);
TYPE(enable_signals, "{true[,subaccount=N] | false | FILTER}",
    "true, false, true,subaccount=N or the name of a signals-filter", 1, 2, COMMAS, 0,
    parse_enable_signals);
TYPE(sender_rule, "DOMAIN-PATTERN {enable-signals[,subaccount=N] | disable-signals}",
    "a domain pattern and enable-signals, enable-signals,subaccount=N or disable-signals", 2, 3,
    COMMAS, sizeof(struct conf_sender_rule), parse_sender_rule);
TYPE(domain_macro, "NAME DOMAIN-PATTERN[,DOMAIN-PATTERN...]",
    "a name and domains with commas between them", 2, MANY, COMMAS, 0, parse_domain_macro);
TYPE(mail_from, "SOURCE DESTINATION", "two of a@b, a@*, *@b, *@* and <>", 2, 2, 0,
    sizeof(struct conf_mail_from), parse_mail_from);
TYPE(from_domain, "DOMAIN-PATTERN DOMAIN", "a domain pattern and a domain", 2, 2, 0,
    sizeof(struct conf_from_domain), parse_from_domain);
TYPE(category, "/REGEX/ CATEGORY", "a /REGEX/ and what it stands for", 2, 3, REGEX, 0,
    parse_category);
TYPE(bounce_category, "/REGEX/ CATEGORY", "a /REGEX/ and a category", 2, 2, REGEX,
    sizeof(struct conf_bounce_category), parse_bounce_category);
