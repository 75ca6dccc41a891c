#include "uploader/follow.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/xalloc.h"

#define CHUNK     ((size_t)256 * 1024)
#define FILES_MAX 16    /* rotated ones that are read still */
#define HEAD_MAX  512   /* a file is known by its first bytes, too: inodes come again */
#define POLL_MS   200   /* between two looks at the directory entry */
#define QUIET_MS  2000  /* a rotated file at its end is left for the next one after this */
#define GRACE_MS  60000 /* and closed after this */

struct file {
	int fd;
	dev_t dev;
	ino_t ino;
	off_t offset; /* behind the last line taken */
	off_t seen;   /* its size when its end was reached */
	size_t head_len;
	char head[HEAD_MAX];
	int64_t end_ms; /* since when we are at its end; 0: we are not */
};

struct follow {
	char *path, *dir;
	const char *base; /* of path */
	void (*say)(void *arg, const char *text);
	void *arg;
	size_t n, cur; /* cur: whose bytes are in the buffer */
	struct file files[FILES_MAX];
	int64_t poll_ms; /* not before: look for rotation */
	bool said_missing;
	struct timespec said_compressed; /* how new the newest is that has been said */
	bool skipping;                   /* in a line that is too long */
	char *buf;
	size_t start, end; /* unread bytes; buf[start] is at files[cur].offset */
	size_t line;       /* length of the line that was peeked at, LF included; 0: none */
};

struct sibling { /* a file beside ours that has been, or is, our log */
	char *path;
	struct stat st;
};

static void say(const struct follow *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
say(const struct follow *f, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->say(f->arg, text);
}

const char *
follow_path(const struct follow *f)
{
	return f->path;
}

/* ---- files ---- */

static int
open_log(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

/* Is `len` bytes at the start of the file what we know? */
static bool
same_head(int fd, const char *head, size_t len)
{
	char now[HEAD_MAX];

	return pread(fd, now, len, 0) == (ssize_t)len && memcmp(now, head, len) == 0;
}

static void
know_head(struct file *file)
{
	size_t want = file->offset < HEAD_MAX ? (size_t)file->offset : HEAD_MAX;
	char head[HEAD_MAX];

	if (want <= file->head_len || pread(file->fd, head, want, 0) != (ssize_t)want)
		return;
	memcpy(file->head, head, want);
	file->head_len = want;
}

static void
drop_file(struct follow *f, size_t i)
{
	close(f->files[i].fd);
	f->n--;
	memmove(&f->files[i], &f->files[i + 1], (f->n - i) * sizeof(f->files[0]));
}

/* Put a file into the chain. The buffer belongs to files[cur] still. */
static void
insert_file(struct follow *f, size_t at, int fd, const struct stat *st, off_t offset)
{
	if (f->n == FILES_MAX) {
		say(f,
		    "%s: more than %d rotated files that have not been read: the oldest is skipped",
		    f->path, FILES_MAX - 1);
		drop_file(f, 0);
		at -= at > 0;
		f->cur -= f->cur > 0;
	}
	memmove(&f->files[at + 1], &f->files[at], (f->n - at) * sizeof(f->files[0]));
	f->files[at] =
	    (struct file){ .fd = fd, .dev = st->st_dev, .ino = st->st_ino, .offset = offset };
	know_head(&f->files[at]);
	f->n++;
}

static void
forget_buffer(struct follow *f)
{
	f->start = f->end = f->line = 0;
	f->skipping = false;
}

static bool
in_chain(const struct follow *f, const struct stat *st)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->files[i].ino == st->st_ino && f->files[i].dev == st->st_dev)
			return true;
	return false;
}

/* ---- the files beside it ---- */

static bool
is_compressed(const char *name)
{
	static const char *const ends[] = { ".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z" };

	for (size_t i = 0; i < COUNT(ends); i++)
		if (slice_endsi(slice_str(name), slice_str(ends[i])))
			return true;
	return false;
}

static int
by_age(const void *a, const void *b)
{
	const struct timespec *x = &((const struct sibling *)a)->st.st_mtim;
	const struct timespec *y = &((const struct sibling *)b)->st.st_mtim;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

struct siblings {
	struct sibling *v;
	size_t n, room;
};

/* `base`: "mail.log" for mail.log, mail.log.1, mail.log-20261122; "" for all */
static void
list_folder(struct siblings *list, const char *folder, const char *base)
{
	size_t len = strlen(base);
	DIR *dir = opendir(folder);
	const struct dirent *d;
	struct buf path;

	buf_init(&path, BUF_NO_LIMIT);
	while (dir != NULL && (d = readdir(dir)) != NULL) {
		struct stat st;
		char end;

		if (strncmp(d->d_name, base, len) != 0)
			continue;
		end = d->d_name[len];
		if ((len > 0 && end != '\0' && end != '.' && end != '-') ||
		    fstatat(dirfd(dir), d->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
			continue;
		buf_printf(&path, "%s/%s", folder, d->d_name);
		list->v = xgrow(list->v, list->n, &list->room, sizeof(*list->v));
		list->v[list->n++] = (struct sibling){ buf_take(&path), st };
	}
	if (dir != NULL)
		closedir(dir);
	buf_free(&path);
}

/*
 * What is beside the log, oldest first; also the compressed ones. A log that is a
 * symbolic link is rotated where it leads to. `any`: whatever their names are.
 */
static struct sibling *
list_siblings(const struct follow *f, bool any, size_t *n)
{
	struct siblings list = { 0 };
	char *real = realpath(f->path, NULL), *slash = real == NULL ? NULL : strrchr(real, '/');

	list_folder(&list, f->dir, any ? "" : f->base);
	if (slash != NULL && slash > real && strcmp(real, f->path) != 0) {
		*slash = '\0';
		list_folder(&list, real, any ? "" : slash + 1);
	}
	free(real);
	if (list.n > 0)
		qsort(list.v, list.n, sizeof(*list.v), by_age);
	*n = list.n;
	return list.v;
}

static void
free_siblings(struct sibling *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].path);
	free(list);
}

/* Does it begin like a file that is being read? Then it is a copy of it. */
static bool
is_copy(const struct follow *f, int fd)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->files[i].head_len > 0 &&
		    same_head(fd, f->files[i].head, f->files[i].head_len))
			return true;
	return false;
}

/* Compressing leaves the time, some tools its seconds only: a file that we have opened before? */
static bool
is_open_still(const struct follow *f, const struct sibling *s)
{
	const struct timespec *at = &s->st.st_mtim;
	struct stat st;

	for (size_t i = 0; i < f->n; i++)
		if (fstat(f->files[i].fd, &st) == 0 && st.st_mtim.tv_sec == at->tv_sec &&
		    (st.st_mtim.tv_nsec == at->tv_nsec || at->tv_nsec == 0))
			return true;
	return false;
}

static void
say_compressed(struct follow *f, const struct sibling *s)
{
	const struct sibling before = { .st.st_mtim = f->said_compressed };

	if (is_open_still(f, s) || by_age(s, &before) <= 0)
		return;
	f->said_compressed = s->st.st_mtim;
	say(f,
	    "%s is compressed and can't be read: what it holds and was not read before is "
	    "missing",
	    s->path);
}

/*
 * Add what was rotated away unseen (written to at `since` or later), and at last
 * the file itself, to the end of the chain.
 */
static void
add_new(struct follow *f, const struct timespec *since)
{
	struct sibling mark = { .st.st_mtim = *since };
	struct stat st, file;
	size_t n;
	struct sibling *list = list_siblings(f, false, &n);
	int fd;

	if (stat(f->path, &st) < 0)
		st.st_ino = 0;
	for (size_t i = 0; i < n; i++) {
		if ((list[i].st.st_ino == st.st_ino && list[i].st.st_dev == st.st_dev) ||
		    by_age(&list[i], &mark) < 0 || in_chain(f, &list[i].st))
			continue;
		if (is_compressed(list[i].path)) {
			say_compressed(f, &list[i]);
			continue;
		}
		fd = open_log(list[i].path, &file);
		if (fd < 0)
			continue;
		if (file.st_size == 0 || in_chain(f, &file) || is_copy(f, fd))
			close(fd);
		else
			insert_file(f, f->n, fd, &file, 0);
	}
	free_siblings(list, n);
	fd = open_log(f->path, &st);
	if (fd < 0) {
		if (!f->said_missing)
			say(f, "%s: %s; it is read when it is there", f->path, strerror(errno));
		f->said_missing = true;
		return;
	}
	f->said_missing = false;
	if (in_chain(f, &st))
		close(fd);
	else
		insert_file(f, f->n, fd, &st, 0);
}

/* A file that begins as this one did and has what we have read of it, and more or the same. */
static int
find_copy(const struct follow *f, const char *head, size_t len, uint64_t hash, off_t offset,
    struct stat *st)
{
	size_t n;
	struct sibling *list = list_siblings(f, false, &n);
	int found = -1;

	for (size_t i = n; i-- > 0 && found < 0 && len > 0;) {
		char now[HEAD_MAX];
		int fd;

		if (is_compressed(list[i].path) || (fd = open_log(list[i].path, st)) < 0)
			continue;
		if (!in_chain(f, st) && st->st_size >= offset &&
		    pread(fd, now, len, 0) == (ssize_t)len &&
		    (head != NULL ? memcmp(now, head, len) == 0
				  : hash_id63((struct slice){ now, len }) == hash))
			found = fd;
		else
			close(fd);
	}
	free_siblings(list, n);
	return found;
}

/* ---- where we were ---- */

/* "1 SECONDS NANOSECONDS", then a line for each file: device, inode, offset, head. */
void
follow_save(struct follow *f, struct buf *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now); /* what the file system stamps with */
	buf_clear(out);
	buf_printf(out, "1 %lld %ld\n", (long long)now.tv_sec, now.tv_nsec);
	for (size_t i = 0; i < f->n; i++) {
		struct file *file = &f->files[i];

		know_head(file);
		buf_printf(out, "%llu %llu %lld %zu %llu\n", (unsigned long long)file->dev,
		    (unsigned long long)file->ino, (long long)file->offset, file->head_len,
		    (unsigned long long)hash_id63((struct slice){ file->head, file->head_len }));
	}
}

static bool
numbers(struct slice line, uint64_t *out, size_t n)
{
	struct slice word;

	for (size_t i = 0; i < n; i++)
		if (!slice_word(&line, &word) || !slice_uint(word, UINT64_MAX, &out[i]))
			return false;
	return true;
}

static int
head_matches(int fd, size_t len, uint64_t hash)
{
	char head[HEAD_MAX];

	return len <= HEAD_MAX && pread(fd, head, len, 0) == (ssize_t)len &&
	       hash_id63((struct slice){ head, len }) == hash;
}

/* Find a file of the saved chain again: by inode, or as a copy. */
static bool
resume_file(struct follow *f, const uint64_t saved[5])
{
	size_t n, len = saved[3] <= HEAD_MAX ? (size_t)saved[3] : 0;
	struct sibling *list = list_siblings(f, true, &n);
	off_t offset = (off_t)saved[2];
	struct stat st;
	int fd = -1;

	for (size_t i = 0; i < n && fd < 0; i++) {
		if (list[i].st.st_ino != saved[1] || list[i].st.st_dev != saved[0] ||
		    is_compressed(list[i].path))
			continue;
		fd = open_log(list[i].path, &st);
		if (fd >= 0 && (st.st_ino != saved[1] || in_chain(f, &st) || st.st_size < offset ||
				   !head_matches(fd, len, saved[4]))) {
			close(fd);
			fd = -1;
		}
	}
	free_siblings(list, n);
	if (fd < 0)
		fd = find_copy(f, NULL, len, saved[4], offset, &st);
	if (fd >= 0)
		insert_file(f, f->n, fd, &st, offset);
	return fd >= 0 || offset == 0;
}

static void
resume(struct follow *f, struct slice saved, int64_t since_s)
{
	struct timespec since = { .tv_sec = since_s > 0 ? since_s : INT32_MAX };
	uint64_t v[5];
	struct slice line;
	size_t lost = 0;

	if (slice_line(&saved, &line) && numbers(line, v, 3) && v[0] == 1) {
		since = (struct timespec){ .tv_sec = (time_t)v[1], .tv_nsec = (long)v[2] };
		while (slice_line(&saved, &line))
			if (numbers(line, v, 5) && !resume_file(f, v))
				lost++;
	}
	if (lost > 0)
		say(f,
		    "%s: the file that was read before is gone, compressed or cut: what it "
		    "held and had not been read is missing",
		    f->path);
	add_new(f, &since);
}

struct follow *
follow_open(const char *path, struct slice saved, int64_t since_s,
    void (*say_fn)(void *arg, const char *text), void *arg)
{
	struct follow *f = xcalloc(1, sizeof(*f));
	const char *slash = strrchr(path, '/');

	f->path = xstrdup(path);
	f->dir =
	    slash == NULL
		? xstrdup(".")
		: xslicedup((struct slice){ path, slash == path ? 1 : (size_t)(slash - path) });
	f->base = slash == NULL ? f->path : f->path + (slash - path) + 1;
	f->say = say_fn;
	f->arg = arg;
	f->buf = xcalloc(1, CHUNK + FOLLOW_LINE_MAX);
	resume(f, saved, since_s);
	return f;
}

void
follow_close(struct follow *f)
{
	if (f == NULL)
		return;
	while (f->n > 0)
		drop_file(f, f->n - 1);
	free(f->buf);
	free(f->path);
	free(f->dir);
	free(f);
}

/* ---- reading ---- */

/* Cut to less than we have read, or cut and written to again: its old content may be in a copy. */
static bool
was_truncated(struct file *file)
{
	struct stat st;

	know_head(file);
	if (fstat(file->fd, &st) < 0)
		return false;
	return st.st_size < file->offset ||
	       (file->head_len > 0 && !same_head(file->fd, file->head, file->head_len));
}

/* The last file of the chain, which is being read, begins anew. */
static void
restart_truncated(struct follow *f)
{
	struct file *file = &f->files[f->n - 1];
	struct stat st;
	int copy = find_copy(f, file->head, file->head_len, 0, file->offset, &st);
	off_t offset = file->offset;

	file->offset = file->seen = 0;
	file->head_len = 0;
	file->end_ms = 0;
	forget_buffer(f);
	if (copy < 0) {
		say(f,
		    "%s was cut and no copy of it is there: lines behind byte %lld may be missing",
		    f->path, (long long)offset);
		return;
	}
	insert_file(f, f->n - 1, copy, &st, offset);
	f->cur = f->n - 2;
}

/* Look at the directory entry: true if there is something new to read. */
static bool
look_for_rotation(struct follow *f)
{
	struct stat st, last;
	size_t before = f->n;

	if (f->n == 0) {
		add_new(f, &(struct timespec){ .tv_sec = INT32_MAX });
		return f->n > 0;
	}
	if (stat(f->path, &st) < 0 || fstat(f->files[f->n - 1].fd, &last) < 0 ||
	    (st.st_ino == last.st_ino && st.st_dev == last.st_dev))
		return false;
	add_new(f, &last.st_mtim);
	return f->n > before;
}

/* A rotated file to which something has been added, although we had left it. */
static bool
look_back(struct follow *f)
{
	struct stat st;

	for (size_t i = 0; i + 1 < f->n; i++)
		if (fstat(f->files[i].fd, &st) == 0 && st.st_size > f->files[i].seen) {
			f->cur = i;
			forget_buffer(f);
			return true;
		}
	return false;
}

static void
retire(struct follow *f, int64_t now)
{
	while (f->n > 1 && f->cur > 0 && f->files[0].end_ms != 0 &&
	       now - f->files[0].end_ms >= GRACE_MS) {
		drop_file(f, 0);
		f->cur--;
	}
}

/* At the end of files[cur]. True if another one has something. */
static bool
go_on(struct follow *f)
{
	struct file *file = &f->files[f->cur];
	int64_t now = clock_mono_ms();
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return false;
	if (file->end_ms == 0 || st.st_size > file->seen)
		file->end_ms = now;
	file->seen = st.st_size;
	if (f->cur + 1 < f->n) {
		/* What has not been written to for long will not be. */
		if (now - file->end_ms < QUIET_MS &&
		    clock_wall_us() / 1000 - (int64_t)st.st_mtim.tv_sec * 1000 < QUIET_MS + 1000)
			return false;
		f->cur++;
		forget_buffer(f);
		return true;
	}
	retire(f, now);
	if (now < f->poll_ms)
		return false;
	f->poll_ms = now + POLL_MS;
	return look_back(f) || look_for_rotation(f);
}

/* More bytes behind those in the buffer; 0: the end. */
static size_t
fill(struct follow *f)
{
	struct file *file = &f->files[f->cur];
	ssize_t n;

	if (f->cur + 1 == f->n && was_truncated(file)) {
		restart_truncated(f);
		file = &f->files[f->cur];
	}
	if (f->start > 0) {
		memmove(f->buf, f->buf + f->start, f->end - f->start);
		f->end -= f->start;
		f->start = 0;
	}
	n = pread(file->fd, f->buf + f->end, CHUNK + FOLLOW_LINE_MAX - f->end,
	    file->offset + (off_t)f->end);
	if (n > 0)
		f->end += (size_t)n;
	return n > 0 ? (size_t)n : 0;
}

/* Take n bytes off the buffer for good. */
static void
advance(struct follow *f, size_t n)
{
	f->start += n;
	f->files[f->cur].offset += (off_t)n;
}

/* A writer that does not append leaves a hole behind when its file is cut. */
static void
skip_hole(struct follow *f)
{
	size_t n = f->start;

	while (n < f->end && f->buf[n] == '\0')
		n++;
	advance(f, n - f->start);
}

/* The line at the start of the buffer; false: it is not whole. */
static bool
whole_line(struct follow *f, struct slice *line)
{
	for (;;) {
		const char *p, *lf;
		size_t n;

		if (!f->skipping)
			skip_hole(f);
		p = f->buf + f->start;
		n = f->end - f->start;
		lf = n == 0 ? NULL : memchr(p, '\n', n);
		if (lf == NULL) {
			if (n > FOLLOW_LINE_MAX) {
				f->skipping = true;
				advance(f, n);
			}
			return false;
		}
		f->line = (size_t)(lf - p) + 1;
		if (!f->skipping && f->line <= FOLLOW_LINE_MAX + 1) {
			*line = (struct slice){ p, f->line - 1 };
			return true;
		}
		advance(f, f->line);
		f->skipping = false;
	}
}

int
follow_peek(struct follow *f, struct slice *line)
{
	if (f->n == 0) {
		int64_t now = clock_mono_ms();

		if (now < f->poll_ms)
			return 0;
		f->poll_ms = now + POLL_MS;
		if (!look_for_rotation(f))
			return 0;
	}
	while (!whole_line(f, line)) {
		size_t cur = f->cur;

		if (fill(f) > 0 || f->cur != cur)
			continue;
		if (!go_on(f))
			return 0;
	}
	return 1;
}

void
follow_take(struct follow *f)
{
	advance(f, f->line);
	f->line = 0;
}
