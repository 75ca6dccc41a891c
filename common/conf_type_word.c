#include "common/conf_type.h"

static int
parse_word(struct conf_value *v, void *out, struct err *e)
{
	int value;

	if (conf_find_word(v->row->words, conf_arg_n(v, 0)->text, &value) < 0)
		return conf_unexpected(e);
	if (v->row->size == sizeof(value))
		memcpy(out, &value, sizeof(value));
	conf_print_arg(v, slice_str(conf_word_of(v->row->words, value)));
	return 0;
}

static int
parse_word_bool(struct conf_value *v, void *out, struct err *e)
{
	int value;
	bool is;

	if (conf_find_word(v->row->words, conf_arg_n(v, 0)->text, &value) < 0)
		return conf_unexpected(e);
	is = value != 0;
	memcpy(out, &is, sizeof(is));
	conf_print_arg(v, slice_str(conf_word_of(v->row->words, value)));
	return 0;
}

static int
parse_bool(struct conf_value *v, void *out, struct err *e)
{
	int value;
	bool is;

	if (conf_find_word(conf_bool_words, conf_arg_n(v, 0)->text, &value) < 0)
		return conf_unexpected(e);
	is = value != 0;
	memcpy(out, &is, sizeof(is));
	buf_adds(&v->text, is ? "yes" : "no");
	return 0;
}

static int
parse_dkim_algorithm(struct conf_value *v, void *out, struct err *e)
{
	enum conf_dkim_algorithms which;
	struct slice s = conf_arg_n(v, 0)->text;

	if (slice_eqi(s, SLICE_LIT("rsa-sha1")))
		buf_adds(&v->remark, "RFC 8301 forbids rsa-sha1; rsa-sha256 is used");
	if (slice_eqi(s, SLICE_LIT("rsa-sha256")) || v->remark.len > 0)
		which = CONF_DKIM_RSA_ONLY;
	else if (slice_eqi(s, SLICE_LIT("ed25519-sha256")))
		which = CONF_DKIM_ED25519_ONLY;
	else
		return conf_unexpected(e);
	memcpy(out, &which, sizeof(which));
	buf_adds(&v->text, which == CONF_DKIM_RSA_ONLY ? "rsa-sha256" : "ed25519-sha256");
	return 0;
}

/* ---- the types ---- */

TYPE(bool, "BOOLEAN", "yes, no, true or false", 1, 1, 0, 0, parse_bool);
TYPE(word, NULL, NULL, 1, 1, 0, 0, parse_word);
TYPE(word_bool, NULL, NULL, 1, 1, 0, 0, parse_word_bool);
TYPE(dkim_algorithm, "{rsa-sha256 | ed25519-sha256}", "rsa-sha256 or ed25519-sha256", 1, 1, 0, 0,
    parse_dkim_algorithm);
