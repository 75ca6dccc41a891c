/*
 * conf_value.h - the types of arguments: how they are read, checked, stored and
 * written in their canonical form.
 */
#ifndef COMMON_CONF_VALUE_H
#define COMMON_CONF_VALUE_H

#include "common/conf.h"
#include "common/conf_mem.h"
#include "common/conf_read.h"
#include "common/conf_table.h"

struct conf_value { /* one directive being read */
	const struct conf_row *row;
	struct conf_at at;
	const struct conf_arg *args;
	size_t n;
	struct conf_mem *mem;
	void *owner;         /* the scope's struct, for types that set two members of it */
	bool may_read_files; /* address-file */
	const char *ref;     /* set by parse: the name of something else that must exist */
	struct buf text;     /* the canonical arguments are appended */
	struct buf remark;   /* a warning, if any */
};

struct conf_type {
	const char *arg;      /* as the manual page shows it */
	const char *expect;   /* behind "expected "; NULL: the row's words */
	unsigned least, most; /* arguments */
	unsigned split;       /* CONF_ARGS_* */
	size_t size;          /* of an element, in lists */

	/*
	 * Read v->args into *out (a member, or an element of a list) and append the
	 * canonical text. -1: *e has what is wrong, or "" for "expected ..., found ...".
	 */
	int (*parse)(struct conf_value *v, void *out, struct err *e);
};

extern const struct conf_type conf_type_bool, conf_type_time, conf_type_time_or_never,
    conf_type_size, conf_type_size_or_unlimited, conf_type_count, conf_type_count_or_unlimited,
    conf_type_word, conf_type_word_bool, conf_type_text, conf_type_secret, conf_type_path,
    conf_type_host, conf_type_address, conf_type_header, conf_type_headers, conf_type_listener,
    conf_type_pattern, conf_type_address_or_regex, conf_type_mail_from, conf_type_from_domain,
    conf_type_domain_key, conf_type_enable_signals, conf_type_sender_rule, conf_type_source_host,
    conf_type_certificate, conf_type_vmta_choice, conf_type_dkim_identity, conf_type_dkim_fallback,
    conf_type_auth_rate, conf_type_api_key, conf_type_upload_url, conf_type_socket, conf_type_mode,
    conf_type_user, conf_type_listen, conf_type_name, conf_type_address_file,
    conf_type_dkim_algorithm, conf_type_two_paths, conf_type_ip, conf_type_any, conf_type_list,
    conf_type_category, conf_type_bounce_category, conf_type_network, conf_type_tracking_domain,
    conf_type_sink_url, conf_type_http_header, conf_type_domain_macro, conf_type_times;

/*
 * Check the number of arguments, parse, and make the whole error text: "NAME: expected X, found Y".
 * `name` is the directive as it is shown.
 */
int conf_value_parse(struct conf_value *v, const char *name, void *out, struct err *e);

/* What the row takes, for a person: "yes, no, true or false", "a size from 64k to 4500000". */
void conf_value_expected(const struct conf_row *row, struct buf *out);

/* Canonical forms. */
void conf_time_print(uint64_t seconds, struct buf *out);
void conf_size_print(uint64_t bytes, struct buf *out);

/* 4d12h, 300s, 90 (seconds). False if malformed or over 100 years. */
bool conf_time_parse(struct slice s, uint64_t *out);
/* 20M, 64k, 100 (bytes). */
bool conf_size_parse(struct slice s, uint64_t *out);

/* smtp-listener's, <collector>'s and <tracker>'s ADDRESS:PORT, [ADDRESS]:PORT. */
bool conf_listen_parse(struct slice s, struct slice *address, unsigned *port);

/*
 * May events go there: https://, or http:// to a loopback address; no user:password@, no controls.
 * -1: *e says why not.
 */
int conf_upload_url_check(struct slice url, struct err *e);

#endif
