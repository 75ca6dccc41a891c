#include "common/spool_sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/inbound.h"

static bool
is_events(const char *name)
{
	return spool_is_segment(name);
}

static const struct place {
	int (*fd)(const struct spool *sp);
	bool (*is_ours)(const char *name);
	const char *dirs[2]; /* that belong there */
	const char *foreign;
} places[] = {
	{ spool_events_fd, is_events, { "open", NULL }, "not the name of a segment" },
	{ spool_inbound_fd, inbound_is_name, { "tmp", "onward" }, "not the name of a report" },
};

bool
spool_sweep_is_young(const struct stat *st, int64_t age_s)
{
	int64_t now = clock_wall_s();

	return st->st_mtim.tv_sec <= now && st->st_mtim.tv_sec + age_s > now;
}

int
spool_sweep_evict(struct rejected *r, int dirfd, const char *name, const char *reason,
    spool_sweep_report *report, void *arg, struct err *e)
{
	const struct rejected_why why = { .reason = slice_str(reason) };
	char there[REJECTED_NAME_SIZE];
	struct err text; /* makes control characters harmless */

	if (rejected_take(r, dirfd, name, &why, there, e) < 0)
		return -1;
	err_text(&text, 0, "%s: %s: moved to rejected/%s", name, reason, there);
	if (report != NULL)
		report(arg, text.text);
	return 0;
}

static bool
belongs(const struct place *p, const struct dirent *d)
{
	const char *name = d->d_name;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	for (size_t i = 0; i < COUNT(p->dirs); i++)
		if (p->dirs[i] != NULL && strcmp(name, p->dirs[i]) == 0)
			return true;
	/* With 100,000 of them, looking at each would cost. */
	return d->d_type == DT_REG && p->is_ours(name);
}

/* 1: it went; 0: it may stay; -1 and *e. */
static int
sweep_one(struct rejected *r, const struct place *p, int fd, const char *name,
    spool_sweep_report *report, void *arg, struct err *e)
{
	struct stat st;
	const char *reason = "not a regular file";

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "stat");
	if (S_ISREG(st.st_mode)) {
		if (p->is_ours(name) || spool_sweep_is_young(&st, SPOOL_SWEEP_GRACE_S))
			return 0;
		reason = p->foreign;
	}
	return spool_sweep_evict(r, fd, name, reason, report, arg, e) < 0 ? -1 : 1;
}

static int
sweep(struct spool *sp, struct rejected *r, const struct place *p, spool_sweep_report *report,
    void *arg, struct err *e)
{
	/* A description of its own: reading must not move the spool's offset. */
	int fd = openat(p->fd(sp), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), swept = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;

	if (dir == NULL) {
		err_text(e, errno, "read the spool %s", spool_dir(sp));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((d = readdir(dir)) != NULL) {
		struct err why = { .text = "" }, text;
		int rc;

		if (belongs(p, d))
			continue;
		rc = sweep_one(r, p, p->fd(sp), d->d_name, report, arg, &why);
		if (rc > 0)
			swept++;
		err_text(&text, 0, "%s: left alone: %s", d->d_name, why.text);
		if (rc < 0 && report != NULL)
			report(arg, text.text);
	}
	closedir(dir);
	return swept;
}

int
spool_sweep(
    struct spool *sp, struct rejected *r, spool_sweep_report *report, void *arg, struct err *e)
{
	int swept = 0;

	for (size_t i = 0; i < COUNT(places); i++) {
		int n = sweep(sp, r, &places[i], report, arg, e);

		if (n < 0)
			return -1;
		swept += n;
	}
	return swept;
}

int
spool_sweep_unreadable(struct spool *sp, struct rejected *r, const char *name,
    spool_sweep_report *report, void *arg, struct err *e)
{
	int dirfd = spool_events_fd(sp), fd;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return spool_sweep_evict(r, dirfd, name, "not a regular file", report, arg, e);
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return err_set(e, "%s: it can be opened now", name);
	}
	if (errno != EACCES && errno != EPERM)
		return err_errno(e, "%s", name);
	if (st.st_uid == geteuid() && st.st_nlink == 1 &&
	    fchmodat(dirfd, name, SPOOL_FILE_MODE, 0) == 0)
		return 1;
	return spool_sweep_evict(r, dirfd, name, "it can't be read", report, arg, e);
}
