#include "ctl/sendmail_check.h"

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
	} else {
		return 0;
	}
	buf_printf(remedy, "make -C %s && systemctl restart sendmail", dir);
	return 1;
}
