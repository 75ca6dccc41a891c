#include "ctl/sendmail_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/slice.h"
#include "ctl/mta_sendmail.h"

#define FILE_LIMIT ((size_t)4 << 20)

bool
sendmail_is_mta(void)
{
	return access(SENDMAIL_DIR "/sendmail.mc", F_OK) == 0 &&
	       access("/usr/sbin/postconf", X_OK) < 0;
}

/* A file below `dir`, or an empty text if there is none that may be read. */
static void
text_of(const char *dir, const char *name, struct buf *out)
{
	char path[4200];
	struct err e;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (file_read(AT_FDCWD, path, out, &e) < 0)
		buf_clear(out);
}

static bool
holds(const char *dir, const char *name, const char *words)
{
	struct buf text;
	bool is;

	buf_init(&text, FILE_LIMIT);
	text_of(dir, name, &text);
	is = strstr(buf_str(&text), words) != NULL;
	buf_free(&text);
	return is;
}

/* The lines that are wanted are those that are there. -1: they can't be had. */
static int
same_lines(const struct conf *c, const char *dir, struct err *e)
{
	struct buf there;
	char *wanted = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&wanted, &len);
	int rc;

	if (out == NULL)
		return err_errno(e, "memory");
	rc = mta_sendmail_mc(c, out, e);
	fclose(out);
	if (rc == 0) {
		buf_init(&there, FILE_LIMIT);
		text_of(dir, "signalpost.m4", &there);
		rc = there.len == len && memcmp(buf_str(&there), wanted, len) == 0;
		buf_free(&there);
	}
	free(wanted);
	return rc;
}

/* sendmail.cf was not made anew since the lines were written. */
static bool
is_stale(const char *dir)
{
	char path[4200];
	struct stat m4, cf;

	snprintf(path, sizeof(path), "%s/signalpost.m4", dir);
	if (stat(path, &m4) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/sendmail.cf", dir);
	return stat(path, &cf) < 0 || cf.st_mtim.tv_sec < m4.st_mtim.tv_sec;
}

/* ---- lines of sendmail.mc and sendmail.cf ---- */

/* The first line behind `from` that begins with `start`; what dnl hides begins with that. */
static bool
find_line(const struct buf *text, size_t from, const char *start, struct slice *line, size_t *at)
{
	struct slice rest = slice_skip(buf_slice(text), from);

	while (rest.len > 0) {
		size_t end = slice_find(rest, '\n');

		*line = slice_head(rest, end);
		*at = (size_t)(line->p - text->p);
		if (slice_startsi(*line, slice_str(start)))
			return true;
		rest = slice_skip(rest, end + 1);
	}
	return false;
}

static bool
has_line(const struct buf *text, const char *start)
{
	struct slice line;
	size_t at;

	return find_line(text, 0, start, &line, &at);
}

/* include(`.../signalpost.m4'): above what makes mailers of the flags in it. */
static bool
is_included_above(const struct buf *mc)
{
	struct slice line;
	size_t at = 0, mailers;

	while (find_line(mc, at, "include(", &line, &at)) {
		if (memmem(line.p, line.len, "signalpost.m4", 13) != NULL)
			return !(find_line(mc, 0, "MAILER_DEFINITIONS", &line, &mailers) ||
				   find_line(mc, 0, "MAILER(", &line, &mailers)) ||
			       at < mailers;
		at += line.len;
	}
	return false;
}

/* "O InputMailFilters=a,b": 1: ours is the last; 0: another is; -1: it is not there. */
static int
place_of_ours(const struct buf *cf)
{
	struct slice line, item, rest;
	size_t at;
	int place = -1;

	if (!find_line(cf, 0, "O InputMailFilters=", &line, &at))
		return -1;
	rest = slice_skip(line, sizeof("O InputMailFilters=") - 1);
	while (rest.len > 0) {
		item = slice_trim(slice_cut(&rest, ','));
		if (slice_eq(item, SLICE_LIT("signalpost")))
			place = 1;
		else if (item.len > 0 && place == 1)
			place = 0;
	}
	return place;
}

/* MASQUERADE_AS(`'), as Debian has it, does nothing. */
static bool
masquerades(const struct buf *mc)
{
	struct slice line;
	size_t at;

	if (has_line(mc, "FEATURE(`genericstable'"))
		return true;
	return find_line(mc, 0, "MASQUERADE_AS(", &line, &at) && line.len > 14 &&
	       !slice_startsi(slice_skip(line, 14), SLICE_LIT("`'")) && line.p[14] != ')';
}

#define INCLUDE_AGAIN                                                                              \
	"sed -i -e '/^include.*signalpost\\.m4/d' -e 's/^define(.confINPUT_MAIL_FILTERS/dnl &/' "  \
	"%s/sendmail.mc && sed -i '/^MAILER_DEFINITIONS/i include(`%s/signalpost.m4'\"')dnl\" "    \
	"%s/sendmail.mc && "

/* What else in sendmail.mc undoes it. True: `found` and `remedy` say what. */
static bool
is_spoiled(const struct conf *c, const char *conf_file, const char *dir, struct buf *found,
    struct buf *remedy)
{
	struct buf mc, cf, submit;
	bool pickup = holds(dir, "signalpost.m4", "Name=signalpost-pickup");
	char passwords[4200];
	int place;

	buf_init(&mc, FILE_LIMIT);
	buf_init(&cf, FILE_LIMIT);
	buf_init(&submit, FILE_LIMIT);
	text_of(dir, "sendmail.mc", &mc);
	text_of(dir, "sendmail.cf", &cf);
	text_of(dir, "submit.mc", &submit);
	snprintf(passwords, sizeof(passwords), "%s/signalpost/sasldb2", dir);
	place = place_of_ours(&cf);
	if (!is_included_above(&mc) || place < 1) {
		buf_printf(found, "%s/sendmail.mc: %s", dir,
		    !is_included_above(&mc)
			? "signalpost.m4 is not included, or below MAILER_DEFINITIONS"
		    : place < 0
			? "the milter is not among confINPUT_MAIL_FILTERS: it is not asked"
			: "a milter comes after signalpost: what it changes breaks our signature");
		buf_printf(remedy, INCLUDE_AGAIN, dir, dir, dir);
	} else if (masquerades(&mc)) {
		buf_printf(found,
		    "%s/sendmail.mc: MASQUERADE_AS or genericstable changes From after it was "
		    "signed",
		    dir);
		buf_printf(remedy,
		    "sed -i -e 's/^MASQUERADE_AS/dnl &/' -e 's/^FEATURE(.genericstable/dnl &/' "
		    "%s/sendmail.mc && ",
		    dir);
	} else if (pickup && submit.len > 0 &&
		   !has_line(&submit, "define(`RELAY_MAILER_ARGS', `TCP $h 24')")) {
		buf_printf(found,
		    "%s/submit.mc: what programs on this host send comes as a stranger's, and is "
		    "refused",
		    dir);
		buf_printf(remedy,
		    "sed -i '/^FEATURE(.msp/i define(`RELAY_MAILER_ARGS'\"', \"'`TCP $h "
		    "24'\"')dnl\" "
		    "%s/submit.mc && ",
		    dir);
	} else if (c->n_smtp_users > 0 && access(passwords, F_OK) < 0 && errno == ENOENT) {
		buf_printf(
		    found, "%s: there is no password of an smtp-user: every AUTH fails", passwords);
		buf_printf(remedy,
		    "signalpost mta-config sendmail -c %s -u | sh -s %s/signalpost && ", conf_file,
		    dir);
	}
	buf_free(&mc);
	buf_free(&cf);
	buf_free(&submit);
	return found->len > 0;
}

int
sendmail_check(const struct conf *c, const char *conf_file, const char *dir, struct buf *found,
    struct buf *remedy, struct err *e)
{
	int same = same_lines(c, dir, e);

	if (same < 0)
		return -1;
	if (same == 0) {
		buf_printf(found, "%s/signalpost.m4 is not what the configuration asks for", dir);
		buf_printf(remedy, "signalpost mta-config sendmail -c %s >%s/signalpost.m4 && ",
		    conf_file, dir);
	} else if (!holds(dir, "sendmail.mc", "signalpost.m4")) {
		buf_printf(found, "%s/sendmail.mc does not include signalpost.m4", dir);
		buf_printf(remedy,
		    "sed -i '/^MAILER_DEFINITIONS/i include(`%s/signalpost.m4'\"')dnl\" "
		    "%s/sendmail.mc && ",
		    dir, dir);
	} else if (is_stale(dir) || !holds(dir, "sendmail.cf", "\nXsignalpost,")) {
		buf_printf(found,
		    "%s/sendmail.cf is older than signalpost.m4, or without the milter", dir);
	} else if (!is_spoiled(c, conf_file, dir, found, remedy)) {
		return 0;
	}
	buf_printf(remedy, "make -C %s && systemctl restart sendmail", dir);
	return 1;
}
