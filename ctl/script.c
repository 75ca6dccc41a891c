#include "ctl/script.h"

#include "common/buf.h"

void
script_quoted(FILE *out, const char *text)
{
	putc('\'', out);
	for (; *text != '\0'; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else
			putc(*text, out);
	putc('\'', out);
}

/* Postfix would take "$name" in a value for a parameter. */
void
script_set(FILE *out, const char *name, const char *value)
{
	struct buf line;

	buf_init(&line, BUF_NO_LIMIT);
	buf_printf(&line, "%s = ", name);
	for (; *value != '\0'; value++) {
		if (*value == '$')
			buf_addc(&line, '$');
		buf_addc(&line, *value);
	}
	fputs("set_main ", out);
	script_quoted(out, buf_str(&line));
	putc('\n', out);
	buf_free(&line);
}

void
script_set_number(FILE *out, const char *name, uint64_t n, const char *unit)
{
	char value[32];

	snprintf(value, sizeof(value), "%llu%s", (unsigned long long)n, unit);
	script_set(out, name, value);
}

void
script_option(FILE *out, const char *name, const char *value)
{
	struct buf line;

	buf_init(&line, BUF_NO_LIMIT);
	buf_printf(&line, "%s = %s", name, value);
	fputs("option ", out);
	script_quoted(out, buf_str(&line));
	putc('\n', out);
	buf_free(&line);
}

void
script_at(FILE *out, const char *directive, const struct conf_at *at)
{
	if (at->line != 0)
		fprintf(out, "# %s (%s:%u)\n", directive, at->file, at->line);
	else
		fprintf(out, "# %s\n", directive);
}

static const char head[] =
    "set -eu\n"
    "PATH=$PATH:/usr/sbin:/sbin\n"
    "umask 022\n"
    "dir=${1:-$(postconf -h config_directory 2>/dev/null || echo /etc/postfix)}\n"
    "signalpost=${SIGNALPOST:-signalpost}\n"
    "case $dir in\n"
    "*[!A-Za-z0-9/._+-]* | [!/]* | '')\n"
    "\techo \"the configuration directory must be an absolute path without blanks: $dir\" >&2\n"
    "\texit 64\n"
    "\t;;\n"
    "esac\n"
    "# Where the settings will stand; they are written in $dir.\n"
    "home=${SIGNALPOST_HOME:-$dir}\n"
    "# A machine where Postfix was installed with \"No configuration\" has neither file.\n"
    "[ -f \"$dir/main.cf\" ] || echo 'compatibility_level = 3.6' >\"$dir/main.cf\"\n"
    "[ -f \"$dir/master.cf\" ] || cp /usr/share/postfix/master.cf.dist \"$dir/master.cf\"\n"
    "queue=$(postconf -c \"$dir\" -hx queue_directory)\n"
    "\n"
    "set_main() {\n"
    "\tpostconf -c \"$dir\" -e \"$1\"\n"
    "\t# Postfix waits before it reads a main.cf that has just been written.\n"
    "\t[ \"$home\" = \"$dir\" ] || touch -t 200001010000 \"$dir/main.cf\"\n"
    "}\n"
    "list_has() { # list_has PARAMETER VALUE: first in the list, before what is there already\n"
    "\told=$(postconf -c \"$dir\" -h \"$1\")\n"
    "\tcase \" $(printf %s \"$old\" | tr ',\\n' '  ') \" in\n"
    "\t*\" $2 \"*) ;;\n"
    "\t*) set_main \"$1 = $2${old:+, $old}\" ;;\n"
    "\tesac\n"
    "}\n"
    "list_hasnt() { # list_hasnt PARAMETER VALUE\n"
    "\told=$(postconf -c \"$dir\" -h \"$1\")\n"
    "\tcase \" $(printf %s \"$old\" | tr ',\\n' '  ') \" in\n"
    "\t*\" $2 \"*)\n"
    "\t\tset_main \"$1 = $(printf %s \"$old\" | tr ',' '\\n' | grep -vxF -e \"$2\" -e \" $2\" | paste -sd , -)\"\n"
    "\t\t;;\n"
    "\tesac\n"
    "}\n"
    "table() { # table NAME: a file below $dir/signalpost, rewritten only if it changes\n"
    "\tcat >\"$dir/signalpost/$1.new\"\n"
    "\tif cmp -s \"$dir/signalpost/$1.new\" \"$dir/signalpost/$1\"; then\n"
    "\t\trm \"$dir/signalpost/$1.new\"\n"
    "\telse\n"
    "\t\tmv \"$dir/signalpost/$1.new\" \"$dir/signalpost/$1\"\n"
    "\tfi\n"
    "}\n"
    "service() { # service NAME TYPE REST: begins a master.cf entry\n"
    "\tentry=\"$1/$2=$1 $2 $3\"\n"
    "}\n"
    "option() { # option 'NAME = VALUE'\n"
    "\tentry=\"$entry -o { $1 }\"\n"
    "}\n"
    "service_done() {\n"
    "\tpostconf -c \"$dir\" -M \"$entry\"\n"
    "}\n"
    "mkdir -p \"$dir/signalpost\"\n";

void
script_begin(const struct conf *c, const char *conf_file, FILE *out)
{
	fputs("#!/bin/sh\n# Postfix as ", out);
	fprintf(out, "%s asks for it. Made by `signalpost mta-config postfix`; run it by\n#\n",
	    c->file);
	fputs("#\tsignalpost mta-config postfix | sh -s [CONFIG-DIRECTORY]\n#\n"
	      "# and then `postfix check` and `systemctl restart postfix`. Run again, it changes "
	      "nothing more.\n"
	      "# $SIGNALPOST names the signalpost command if it is not in $PATH.\n",
	    out);
	fputs(head, out);
	fputs("conf=", out);
	script_quoted(out, conf_file);
	putc('\n', out);
}
