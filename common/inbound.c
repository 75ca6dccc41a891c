#include "common/inbound.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/inbound_private.h"
#include "common/spool_file.h"
#include "common/xalloc.h"

#define PREFIX    "in1-"
#define SUFFIX    ".eml"
#define DIGITS    16
#define TRIES     100   /* at names that turn out to be taken */
#define PENDING   65536 /* bytes that wait for a write */

struct inbound_writer {
	struct spool *sp;
	int fd;
	char name[INBOUND_NAME_SIZE];
	struct buf pending;
	bool synced; /* all bytes are on stable storage */
};

/* ---- names ---- */

bool
inbound_is_name(const char *name)
{
	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
		return false;
	name += sizeof(PREFIX) - 1;
	return strspn(name, "0123456789ABCDEF") == DIGITS && strcmp(name + DIGITS, SUFFIX) == 0;
}

static void
new_name(char name[INBOUND_NAME_SIZE])
{
	snprintf(name, INBOUND_NAME_SIZE, PREFIX "%016llX" SUFFIX,
	    (unsigned long long)spool_file_number());
}

static bool
is_taken(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- the milter's side ---- */

int
inbound_room(const struct spool *sp, uint64_t reserve, struct err *e)
{
	struct statvfs fs;

	if (reserve == 0)
		return 0;
	if (fstatvfs(sp->inbound_tmp, &fs) < 0)
		return err_errno(e, "free space of %s", sp->dir);
	if ((uint64_t)fs.f_bavail * fs.f_frsize >= reserve)
		return 0;
	errno = ENOSPC;
	return err_errno(e, "%s: less than %llu bytes are free", sp->dir,
	    (unsigned long long)reserve);
}

/* One try. The descriptor; -2 if the name is taken or a recovery removed the file before we locked
 * it. */
static int
create(struct spool *sp, char name[INBOUND_NAME_SIZE], struct err *e)
{
	int fd, locked;

	new_name(name);
	if (is_taken(sp->inbound, name) || is_taken(sp->onward, name))
		return -2;
	fd = openat(
	    sp->inbound_tmp, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, SPOOL_FILE_MODE);
	if (fd < 0)
		return errno == EEXIST ? -2
		                       : err_errno(e, "create %s/inbound/tmp/%s", sp->dir, name);
	locked = spool_file_lock(sp->inbound_tmp, name, fd, e);
	if (locked > 0)
		return fd;
	if (locked < 0)
		unlinkat(sp->inbound_tmp, name, 0);
	close(fd);
	return locked < 0 ? -1 : -2;
}

struct inbound_writer *
inbound_create(struct spool *sp, const struct inbound_envelope *env, struct err *e)
{
	struct inbound_writer *w = xcalloc(1, sizeof(*w));

	*w = (struct inbound_writer){ .sp = sp, .fd = -1 };
	buf_init(&w->pending, BUF_NO_LIMIT);
	if (inbound_envelope_write(env, &w->pending, e) < 0)
		goto fail;
	w->fd = -2;
	for (int tries = 0; tries < TRIES && w->fd == -2; tries++)
		w->fd = create(sp, w->name, e);
	if (w->fd == -2)
		err_text(e, 0, "%s/inbound/tmp: no free name after %d tries", sp->dir, TRIES);
	if (w->fd >= 0)
		return w;
fail:
	buf_free(&w->pending);
	free(w);
	return NULL;
}

static int
flush(struct inbound_writer *w, struct err *e)
{
	if (file_write_all(w->fd, buf_slice(&w->pending)) < 0)
		return err_errno(e, "write %s/inbound/tmp/%s", w->sp->dir, w->name);
	buf_clear(&w->pending);
	return 0;
}

int
inbound_write(struct inbound_writer *w, struct slice bytes, struct err *e)
{
	w->synced = false;
	if (w->pending.len + bytes.len > PENDING && flush(w, e) < 0)
		return -1;
	if (bytes.len <= PENDING) {
		buf_add(&w->pending, bytes);
		return 0;
	}
	if (file_write_all(w->fd, bytes) < 0)
		return err_errno(e, "write %s/inbound/tmp/%s", w->sp->dir, w->name);
	return 0;
}

int
inbound_sync(struct inbound_writer *w, struct err *e)
{
	if (w->synced)
		return 0;
	if (flush(w, e) < 0)
		return -1;
	if (fsync(w->fd) < 0)
		return err_errno(e, "sync %s/inbound/tmp/%s", w->sp->dir, w->name);
	w->synced = true;
	return 0;
}

static void
writer_free(struct inbound_writer *w)
{
	close(w->fd);
	buf_free(&w->pending);
	free(w);
}

void
inbound_abandon(struct inbound_writer *w)
{
	if (w == NULL)
		return;
	unlinkat(w->sp->inbound_tmp, w->name, 0);
	writer_free(w);
}

/* Into inbound/, under another name if that is taken; `name` gets it. */
static int
publish(struct inbound_writer *w, char name[INBOUND_NAME_SIZE], struct err *e)
{
	memcpy(name, w->name, INBOUND_NAME_SIZE);
	for (int tries = 0; tries < TRIES; tries++) {
		if (file_rename_new(w->sp->inbound_tmp, w->name, w->sp->inbound, name) == 0)
			return 0;
		if (errno != EEXIST)
			return err_errno(e, "move %s to %s/inbound", w->name, w->sp->dir);
		new_name(name);
	}
	return err_set(e, "%s: no free name in %s/inbound", w->name, w->sp->dir);
}

int
inbound_commit(struct inbound_writer *w, char name[INBOUND_NAME_SIZE], struct err *e)
{
	if (inbound_sync(w, e) < 0 || publish(w, name, e) < 0) {
		inbound_abandon(w);
		return -1;
	}
	if (file_sync_dir(w->sp->inbound, "inbound", e) < 0) {
		/* The sender will come again with it. */
		unlinkat(w->sp->inbound, name, 0);
		writer_free(w);
		return -1;
	}
	writer_free(w);
	return 0;
}

/* ---- the uploader's side ---- */

struct opened {
	void *map;
	size_t size;
	struct buf store;
	struct inbound_rcpt *rcpts;
};

int
inbound_parse(struct slice bytes, struct inbound_file *out, struct err *e)
{
	struct opened *o = xcalloc(1, sizeof(*o));
	size_t line = slice_find(slice_head(bytes, INBOUND_ENVELOPE_MAX + 1), '\n');
	int rc;

	*out = (struct inbound_file){ .priv = o };
	buf_init(&o->store, INBOUND_ENVELOPE_MAX + 1);
	if (line == bytes.len)
		rc = err_set(e, "no envelope: its line does not end");
	else if (line > INBOUND_ENVELOPE_MAX)
		rc = err_set(e, "envelope longer than %u bytes", INBOUND_ENVELOPE_MAX);
	else
		rc = inbound_envelope_read(
		    slice_head(bytes, line), &out->env, &o->store, &o->rcpts, e);
	if (rc < 0) {
		inbound_close(out);
		return -1;
	}
	out->mail = slice_skip(bytes, line + 1);
	return 0;
}

/* The bytes of a regular file. */
static int
map_file(int fd, void **map, size_t *size, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(e, "not a regular file");
	if (st.st_size == 0)
		return err_set(e, "empty");
	*size = (size_t)st.st_size;
	*map = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	return *map == MAP_FAILED ? err_errno(e, "map") : 0;
}

int
inbound_open(int dirfd, const char *name, struct inbound_file *out, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct err why;
	size_t size;
	void *map;
	int rc;

	*out = (struct inbound_file){ 0 };
	if (fd < 0)
		return err_errno(e, "%s", name);
	rc = map_file(fd, &map, &size, &why);
	close(fd);
	if (rc == 0 && (rc = inbound_parse((struct slice){ map, size }, out, &why)) < 0)
		munmap(map, size);
	if (rc < 0) {
		err_text(e, 0, "%s: %s", name, why.text);
		if (e != NULL)
			e->num = why.num;
		return -1;
	}
	((struct opened *)out->priv)->map = map;
	((struct opened *)out->priv)->size = size;
	return 0;
}

void
inbound_close(struct inbound_file *f)
{
	struct opened *o = f->priv;

	if (o == NULL)
		return;
	if (o->map != NULL)
		munmap(o->map, o->size);
	buf_free(&o->store);
	free(o->rcpts);
	free(o);
	*f = (struct inbound_file){ 0 };
}

/* 1: removed; 0: a running writer's, or nothing that is ours. */
static int
remove_debris(struct spool *sp, const char *name)
{
	struct stat st;
	int fd, rc = 0;

	/* Looked at before it is opened: some devices do things when they are. */
	if (!inbound_is_name(name) ||
	    fstatat(sp->inbound_tmp, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	fd = openat(sp->inbound_tmp, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (spool_file_lock(sp->inbound_tmp, name, fd, NULL) > 0)
		rc = unlinkat(sp->inbound_tmp, name, 0) == 0;
	close(fd);
	return rc;
}

int
inbound_recover(struct spool *sp, struct err *e)
{
	char **names;
	ssize_t n = spool_file_names(sp->inbound_tmp, false, &names, e);
	int removed = 0;

	if (n < 0)
		return -1;
	for (ssize_t i = 0; i < n; i++) {
		removed += remove_debris(sp, names[i]);
		free(names[i]);
	}
	free(names);
	return removed;
}
