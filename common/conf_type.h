/*
 * conf_type.h - what the types of arguments are made with; nobody else includes it.
 * A family of types has a file: conf_type_word.c, conf_type_number.c,
 * conf_type_text.c, conf_type_host.c, conf_type_address.c, conf_type_url.c, and
 * conf_type_rule.c for what has a grammar of its own.
 */
#ifndef COMMON_CONF_TYPE_H
#define COMMON_CONF_TYPE_H

#include "common/conf_value.h"

/* Characters. */
#define CONF_TEXT_MAX    1024
#define CONF_NAME_MAX    255
#define CONF_HOST_MAX    253
#define CONF_ADDRESS_MAX 254

/* Behind the functions of each file: the types that use them (struct conf_type). */
#define TYPE(id, arg_, expect_, least_, most_, split_, size_, parse_)                              \
	const struct conf_type conf_type_##id = { arg_, expect_, least_, most_, split_, size_,     \
		parse_ }
#define COMMAS    CONF_ARGS_COMMAS
#define REGEX     CONF_ARGS_REGEX
#define MANY      CONF_ARGS_MAX
#define TEXT_SIZE sizeof(const char *)

static inline const struct conf_arg *
conf_arg_n(const struct conf_value *v, size_t i)
{
	return &v->args[i];
}

/* Both return -1. Of the first, conf_value_parse() makes "expected ..., found ...". */
int conf_unexpected(struct err *e);
int conf_too_long(struct err *e, const char *what, size_t max);

/* Append an argument to the canonical text. */
void conf_print_arg(struct conf_value *v, struct slice text);
/* Append it, and put a copy (in lower case) into *(const char **)out. 0. */
int conf_store_text(struct conf_value *v, struct slice text, void *out);
int conf_store_lower(struct conf_value *v, struct slice text, void *out);

extern const struct conf_word conf_bool_words[];
/* -1: none of the words, which end with NULL. */
int conf_find_word(const struct conf_word *words, struct slice s, int *value);
/* The first word for a value, which has one. */
const char *conf_word_of(const struct conf_word *words, int value);

bool conf_is_host(struct slice s);
bool conf_is_ip(struct slice s);
bool conf_is_address(struct slice s);
struct slice conf_no_final_dot(struct slice s);

/* 0, or -1 and *e. */
int conf_check_path(struct slice s, struct err *e);
int conf_check_header(struct slice s, struct err *e);

/* Types that others are made of. */
int conf_parse_path(struct conf_value *v, void *out, struct err *e);
int conf_parse_name(struct conf_value *v, void *out, struct err *e);

/* A domain pattern or a regex: read, owned by v->mem, its canonical text appended. */
int conf_take_pattern(
    struct conf_value *v, struct slice s, struct domain_pattern *p, struct err *e);
int conf_take_regex(struct conf_value *v, struct slice s, struct regex **out, struct err *e);

#endif
