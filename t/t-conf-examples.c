/* Every directive has an example, and every example is read in its place. */
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/conf_table.h"
#include "t/tap.h"

/* What the examples refer to. */
static const char definitions[] = "host-name mail.example.com\n"
				  "domain-key s0,example.com,/etc/signalpost/dkim/s0.pem\n"
				  "<rewrite-list bounces>\n"
				  "</rewrite-list>\n"
				  "<domain-key-list brands>\n"
				  "</domain-key-list>\n"
				  "<virtual-mta mta1>\n"
				  "</virtual-mta>\n"
				  "<virtual-mta-pool pool1>\n"
				  "    virtual-mta mta1\n"
				  "</virtual-mta-pool>\n"
				  "<signals>\n"
				  "api-key 0123456789abcdef0123456789abcdef01234567\n"
				  "</signals>\n"
				  "<pattern-list patterns>\n"
				  "</pattern-list>\n";

static const char *const names[] = {
	[CONF_TAG_NOTHING] = "",
	[CONF_TAG_NAME] = " example",
	[CONF_TAG_SOURCE] = " 0/0",
	[CONF_TAG_DOMAIN] = " *",
	[CONF_TAG_PATH_IF_ANY] = "",
	[CONF_TAG_COMMAND] = " /var/log/acct.csv",
};

/* What a block can't be without. */
static const char *const companions[CONF_N_SCOPES] = {
	[CONF_IN_SINK] = "type http\nurl http://127.0.0.1:1/\n",
	[CONF_IN_SMTP_USER] = "password secret\n",
	[CONF_IN_MAIL_LOG] = "journal yes\n",
	[CONF_IN_TRACKER] = "tls-certificate /t.crt\ntls-key /t.key\n",
};

static const char *
companions_of(enum conf_scope scope, const struct conf_row *row)
{
	if (scope == CONF_IN_SINK && strcmp(row->name, "directory") == 0)
		return "type file\n";
	return companions[scope] != NULL ? companions[scope] : "";
}

/* What only a configuration in a file can say. */
static const char *const files_only[] = { "only a file can include files",
	"only a configuration in a file can name one" };

static bool
is_for_files(const char *error)
{
	for (size_t i = 0; i < COUNT(files_only); i++)
		if (strstr(error, files_only[i]) != NULL)
			return true;
	return false;
}

static const struct conf_tag *
tag_of(enum conf_scope scope)
{
	for (size_t i = 0; i < conf_n_tags; i++)
		if (conf_tags[i].scope == scope)
			return &conf_tags[i];
	return NULL;
}

/* The row's `line` inside its block, and that inside the one that it stands in. */
static void
wrap(enum conf_scope scope, const struct conf_row *row, const char *line, struct buf *out)
{
	const struct conf_tag *tag = tag_of(scope);
	struct buf inner;
	unsigned parent = 0;

	if (tag == NULL) {
		buf_printf(out, "%s\n", line);
		return;
	}
	buf_init(&inner, 65536);
	buf_printf(&inner, "<%s%s>\n%s%s\n</%s>\n", tag->name, names[tag->takes],
	    companions_of(scope, row), line, tag->name);
	while ((tag->parents & 1U << parent) == 0)
		parent++;
	wrap((enum conf_scope)parent, row, buf_str(&inner), out);
	buf_free(&inner);
}

static void
test_row(const struct conf_row *row)
{
	struct buf line, text;
	struct conf *c;
	struct err e = { .text = "" };

	buf_init(&line, 4096);
	buf_init(&text, 65536);
	if (!conf_example(row, &line)) {
		ok((row->flags & CONF_ROW_FAMILY) != 0, "%s has an example", row->name);
		return;
	}
	buf_adds(&text, definitions);
	wrap(row->scope, row, buf_str(&line), &text);
	c = conf_parse("t", buf_slice(&text), &e);
	ok(c != NULL || is_for_files(e.text), "%s: %s", buf_str(&line), e.text);
	conf_free(c);
	buf_free(&line);
	buf_free(&text);
}

int
main(void)
{
	for (size_t i = 0; i < conf_n_rows; i++)
		test_row(&conf_rows[i]);
	return tap_done();
}
