/*
 * ledger_anew.c - what becomes of a ledger that can't be relied on any more.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/ledger_private.h"

static void
set_name(struct buf *out, const char *dir, const char *aside, const char *suffix)
{
	buf_clear(out);
	buf_printf(out, "%s/" LEDGER_NAME "%s%s", dir, aside, suffix);
}

/* sqlite3(1) finds the log of the damaged one by its name. */
int
ledger_set_aside(const char *dir, struct err *e)
{
	static const char *const suffixes[] = { "-shm", "-wal", "" };
	struct buf from, to;
	int rc = 0;

	buf_init(&from, BUF_NO_LIMIT);
	buf_init(&to, BUF_NO_LIMIT);
	for (size_t i = 0; rc == 0 && i < COUNT(suffixes); i++) {
		set_name(&from, dir, "", suffixes[i]);
		set_name(&to, dir, ".damaged", suffixes[i]);
		if (unlink(buf_str(&to)) < 0 && errno != ENOENT)
			rmdir(buf_str(&to));
		if (rename(buf_str(&from), buf_str(&to)) < 0 && errno != ENOENT)
			rc = err_errno(e, "rename %s to %s", buf_str(&from), buf_str(&to));
	}
	buf_free(&from);
	buf_free(&to);
	return rc;
}

/* A new one may need the room that the damaged one takes. */
static void
drop_damaged(const char *dir)
{
	struct buf path;

	buf_init(&path, BUF_NO_LIMIT);
	set_name(&path, dir, ".damaged", "-wal");
	unlink(buf_str(&path));
	set_name(&path, dir, ".damaged", "");
	if (truncate(buf_str(&path), 0) < 0)
		unlink(buf_str(&path));
	buf_free(&path);
}

struct ledger *
ledger_open_anew(const char *dir, struct err *said, struct err *e)
{
	enum ledger_why why;
	struct ledger *l = ledger_try_open(dir, true, &why, e);
	struct err found = *e;

	err_text(said, 0, "%s", "");
	if (l != NULL || why != LEDGER_WHY_DAMAGED)
		return l;
	if (ledger_set_aside(dir, e) < 0)
		return NULL;
	err_text(said, 0,
	    "%.300s; it is now " LEDGER_NAME ".damaged, and a new ledger is begun: what is in "
	    "events/ is counted from 0, and sent again if it had been",
	    found.text);
	l = ledger_try_open(dir, true, &why, e);
	if (l == NULL && (e->num == ENOSPC || e->num == EDQUOT)) {
		drop_damaged(dir);
		l = ledger_try_open(dir, true, &why, e);
	}
	return l;
}

/* What was not there when it was opened can't be missed. */
static bool
is_other(const char *dir, const char *suffix, const struct stat *was, struct err *why)
{
	struct buf path;
	struct stat st;
	bool other;

	if (was->st_ino == 0)
		return false;
	buf_init(&path, BUF_NO_LIMIT);
	set_name(&path, dir, "", suffix);
	other = lstat(buf_str(&path), &st) < 0
	            ? errno == ENOENT
	            : st.st_ino != was->st_ino || st.st_dev != was->st_dev;
	if (other)
		err_text(why, 0, "%s was removed or replaced while it was in use", buf_str(&path));
	buf_free(&path);
	return other;
}

bool
ledger_is_damaged(const struct ledger *l)
{
	return l->damaged;
}

bool
ledger_is_lost(const struct ledger *l, struct err *why)
{
	if (!l->damaged)
		return is_other(l->dir, "", &l->db_file, why) ||
		       is_other(l->dir, "-wal", &l->wal_file, why);
	err_text(why, 0, "%s/" LEDGER_NAME " is damaged", l->dir);
	return true;
}
