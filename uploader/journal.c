#include "config.h"

#include "uploader/journal.h"

#ifdef HAVE_LIBSYSTEMD

#include <stdlib.h>
#include <systemd/sd-journal.h>

#include "common/xalloc.h"

struct journal {
	sd_journal *sd;
	bool have;      /* the current entry has been peeked at and not taken */
	bool maybe_end; /* nothing came last time: ask for changes first */
	char *cursor;   /* of the last entry taken; NULL: none */
	struct buf tag, text;
};

/* Facility mail (2), or journald speaking of itself. */
static const char *const mail_match = "SYSLOG_FACILITY=2";
static const char *const own_match = "SYSLOG_IDENTIFIER=systemd-journald";

static int
failed(int rc, const char *what, struct err *e)
{
	err_text(e, -rc, "journal: %s", what);
	return -1;
}

static int
start(struct journal *j, struct slice saved, int64_t since_s, struct err *e)
{
	struct buf cursor;
	int rc;

	if ((rc = sd_journal_add_match(j->sd, mail_match, 0)) < 0 ||
	    (rc = sd_journal_add_disjunction(j->sd)) < 0 ||
	    (rc = sd_journal_add_match(j->sd, own_match, 0)) < 0)
		return failed(rc, "match", e);
	if (saved.len > 0) {
		buf_init(&cursor, 4096);
		buf_add(&cursor, saved);
		rc = sd_journal_seek_cursor(j->sd, buf_str(&cursor));
		/* The entry itself has been taken; it may have been rotated away. */
		if (rc >= 0 && (rc = sd_journal_next(j->sd)) > 0 &&
		    sd_journal_test_cursor(j->sd, buf_str(&cursor)) <= 0)
			j->have = true;
		j->cursor = xslicedup(saved);
		buf_free(&cursor);
		return rc < 0 ? failed(rc, "seek", e) : 0;
	}
	if (since_s > 0) {
		rc = sd_journal_seek_realtime_usec(j->sd, (uint64_t)since_s * 1000000);
	} else {
		/* Behind the last entry: without a step back the next step would find nothing new.
		 */
		rc = sd_journal_seek_tail(j->sd);
		if (rc >= 0)
			rc = sd_journal_previous(j->sd);
	}
	return rc < 0 ? failed(rc, "seek", e) : 0;
}

struct journal *
journal_open(const char *dir, struct slice saved, int64_t since_s, struct err *e)
{
	struct journal *j = xcalloc(1, sizeof(*j));
	int rc = dir != NULL ? sd_journal_open_directory(&j->sd, dir, 0)
	                     : sd_journal_open(&j->sd, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

	buf_init(&j->tag, 200);
	buf_init(&j->text, JOURNAL_TEXT_MAX);
	if (rc < 0) {
		j->sd = NULL;
		failed(rc, dir != NULL ? dir : "open", e);
		journal_close(j);
		return NULL;
	}
	/* New files are noticed from here on: before anything is looked for. */
	rc = sd_journal_get_fd(j->sd);
	if (rc < 0) {
		failed(rc, "watch", e);
		journal_close(j);
		return NULL;
	}
	sd_journal_set_data_threshold(j->sd, JOURNAL_TEXT_MAX);
	if (start(j, saved, since_s, e) < 0) {
		journal_close(j);
		return NULL;
	}
	return j;
}

bool
journal_is_there(const struct journal *j)
{
	/* What may not be read is not counted, and opening says nothing of it. */
	return sd_journal_has_persistent_files(j->sd) > 0 ||
	       sd_journal_has_runtime_files(j->sd) > 0;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	sd_journal_close(j->sd);
	buf_free(&j->tag);
	buf_free(&j->text);
	free(j->cursor);
	free(j);
}

/* A field's value, copied; empty if the entry has none. */
static void
get(struct journal *j, const char *field, struct buf *out)
{
	const void *data;
	size_t len, skip = strlen(field) + 1;

	buf_clear(out);
	if (sd_journal_get_data(j->sd, field, &data, &len) >= 0 && len > skip)
		buf_add(out,
		    slice_head((struct slice){ (const char *)data + skip, len - skip }, out->max));
}

int
journal_peek(struct journal *j, struct journal_entry *out, struct err *e)
{
	uint64_t us;
	int rc;

	if (!j->have) {
		/* Rotation and vacuuming are seen here, too. */
		if (j->maybe_end && (rc = sd_journal_process(j->sd)) < 0)
			return failed(rc, "changes", e);
		rc = sd_journal_next(j->sd);
		if (rc < 0)
			return failed(rc, "next entry", e);
		j->maybe_end = rc == 0;
		if (rc == 0)
			return 0;
		j->have = true;
	}
	get(j, "SYSLOG_IDENTIFIER", &j->tag);
	get(j, "MESSAGE", &j->text);
	if (sd_journal_get_realtime_usec(j->sd, &us) < 0)
		us = 0;
	*out = (struct journal_entry){ buf_slice(&j->tag), buf_slice(&j->text), (int64_t)us };
	return 1;
}

void
journal_take(struct journal *j)
{
	char *cursor;

	if (sd_journal_get_cursor(j->sd, &cursor) >= 0) {
		free(j->cursor);
		j->cursor = cursor;
	}
	j->have = false;
}

void
journal_save(struct journal *j, struct buf *out)
{
	buf_clear(out);
	if (j->cursor != NULL)
		buf_adds(out, j->cursor);
}

#else

struct journal *
journal_open(const char *dir, struct slice saved, int64_t since_s, struct err *e)
{
	(void)dir, (void)saved, (void)since_s;
	err_text(e, 0, "journal: this program was built without libsystemd");
	return NULL;
}

bool
journal_is_there(const struct journal *j)
{
	(void)j;
	return false;
}

void
journal_close(struct journal *j)
{
	(void)j;
}

int
journal_peek(struct journal *j, struct journal_entry *out, struct err *e)
{
	(void)j, (void)out, (void)e;
	return 0;
}

void
journal_take(struct journal *j)
{
	(void)j;
}

void
journal_save(struct journal *j, struct buf *out)
{
	(void)j;
	buf_clear(out);
}

#endif
