#include "ctl/spool_view.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ledger.h"
#include "common/spool.h"
#include "common/utf8.h"

#define NEEDS_RIGHTS " (run this as root, or as one of the spool's group)"

static int
become_owner(const struct stat *st, const char *dir, struct err *e)
{
	if (geteuid() != 0 || st->st_uid == 0)
		return 0;
	if (setgroups(1, &st->st_gid) < 0 || setgid(st->st_gid) < 0 || setuid(st->st_uid) < 0)
		return err_errno(e, "work as the owner of %s", dir);
	return 0;
}

/* Half of it would be told as if it were all. */
static int
may_read(int root, const char *dir, struct err *e)
{
	static const char *const parts[] = { "events", "events/open", "rejected", "inbound",
		SPOOL_UPLOADER_LOCK, LEDGER_NAME };

	for (size_t i = 0; i < COUNT(parts); i++) {
		int mode = i < 4 ? R_OK | X_OK : R_OK;

		if (faccessat(root, parts[i], mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno == EACCES)
			return err_set(
			    e, "spool %s: %s: Permission denied" NEEDS_RIGHTS, dir, parts[i]);
	}
	return 0;
}

static int
open_parts(int root, const char *dir, struct spool_view *out, struct err *e)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;

	if (may_read(root, dir, e) < 0)
		return -1;
	out->events = openat(root, "events", flags);
	if (out->events < 0)
		return err_errno(e, "spool %s: events", dir);
	out->open = openat(out->events, "open", flags);
	out->rejected = openat(root, "rejected", flags);
	return 0;
}

int
spool_view_open(const struct conf *conf, struct spool_view *out, struct err *e)
{
	const char *dir = conf->spool.directory;
	int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	struct stat st;

	*out = (struct spool_view){ .dir = dir, .events = -1, .open = -1, .rejected = -1 };
	if (root < 0)
		return err_set(
		    e, "spool %s: %s%s", dir, strerror(errno), errno == EACCES ? NEEDS_RIGHTS : "");
	if (fstat(root, &st) < 0)
		rc = err_errno(e, "spool %s", dir);
	else
		rc = become_owner(&st, dir, e);
	if (rc == 0)
		rc = open_parts(root, dir, out, e);
	close(root);
	return rc;
}

void
spool_view_close(struct spool_view *v)
{
	if (v->events >= 0)
		close(v->events);
	if (v->open >= 0)
		close(v->open);
	if (v->rejected >= 0)
		close(v->rejected);
	v->events = v->open = v->rejected = -1;
}

const char *
spool_view_age(int64_t s, char out[32])
{
	if (s < 0)
		snprintf(out, 32, "in the future");
	else if (s < 60)
		snprintf(out, 32, "%llds", (long long)s);
	else if (s < 3600)
		snprintf(out, 32, "%lldm", (long long)s / 60);
	else if (s < 86400)
		snprintf(out, 32, "%lldh %lldm", (long long)s / 3600, (long long)s % 3600 / 60);
	else
		snprintf(out, 32, "%lldd %lldh", (long long)s / 86400, (long long)s % 86400 / 3600);
	return out;
}

const char *
spool_view_size(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double n = (double)bytes;
	size_t unit = 0;

	while (n >= 1000 && unit + 1 < COUNT(units)) {
		n /= 1000;
		unit++;
	}
	snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", n, units[unit]);
	return out;
}

void
spool_view_print(FILE *out, struct slice text)
{
	while (text.len > 0) {
		size_t n = utf8_next(text);
		unsigned char c = (unsigned char)*text.p;

		/* C0, DEL, and C1, which is two bytes in UTF-8. */
		if (n == 0 || c < 0x20 || c == 0x7f ||
		    (c == 0xc2 && n == 2 && (unsigned char)text.p[1] < 0xa0)) {
			fputc('?', out);
			text = slice_skip(text, n == 0 ? 1 : n);
			continue;
		}
		fwrite(text.p, 1, n, out);
		text = slice_skip(text, n);
	}
}

bool
spool_view_count(const char *text, size_t *out)
{
	uint64_t n;

	if (!slice_uint(slice_str(text), 1000000, &n) || n == 0)
		return false;
	*out = (size_t)n;
	return true;
}
