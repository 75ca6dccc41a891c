#include "ctl/mta_stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/slice.h"
#include "ctl/mta_postfix.h"
#include "ctl/run.h"

#define COPY_MAX ((size_t)64 << 20) /* bytes of a file */

const char *const mta_stage_folders[] = { "signalpost", "sasl", "dynamicmaps.cf.d", NULL };

/* ---- copying ---- */

static int
copy_file(const char *from, const char *to, struct err *e)
{
	struct timespec times[2];
	struct stat st;
	struct buf text;
	int fd, rc = -1;

	if (lstat(from, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s", from);
	if (!S_ISREG(st.st_mode))
		return 0;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	buf_init(&text, COPY_MAX);
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file_read(AT_FDCWD, from, &text, e) < 0)
		goto out;
	if (fd < 0 || file_write_all(fd, buf_slice(&text)) < 0 ||
	    (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0) ||
	    fchmod(fd, st.st_mode & 07777) < 0 || futimens(fd, times) < 0) {
		rc = err_errno(e, "%s", to);
		goto out;
	}
	rc = 0;
out:
	if (fd >= 0)
		close(fd);
	buf_free(&text);
	return rc;
}

static int
copy_named(const char *from, const char *to, const char *name, struct err *e)
{
	char a[PATH_MAX], b[PATH_MAX];

	if (snprintf(a, sizeof(a), "%s/%s", from, name) >= (int)sizeof(a) ||
	    snprintf(b, sizeof(b), "%s/%s", to, name) >= (int)sizeof(b))
		return err_set(e, "%s: path too long", name);
	return copy_file(a, b, e);
}

/* Who may not read a folder (the passwords') goes on without it. */
static int
copy_folder(const char *from, const char *to, const char *name, struct err *e)
{
	char a[PATH_MAX], b[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *d;
	int rc = 0;

	if (snprintf(a, sizeof(a), "%s/%s", from, name) >= (int)sizeof(a) ||
	    snprintf(b, sizeof(b), "%s/%s", to, name) >= (int)sizeof(b))
		return err_set(e, "%s: path too long", name);
	if (stat(a, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s", a);
	if (mkdir(b, st.st_mode & 0777) < 0)
		return err_errno(e, "%s", b);
	d = opendir(a);
	if (d == NULL)
		return geteuid() != 0 && errno == EACCES ? 0 : err_errno(e, "%s", a);
	while (rc == 0 && (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			rc = copy_named(a, b, entry->d_name, e);
			if (rc < 0 && geteuid() != 0 && errno == EACCES)
				rc = 0;
		}
	closedir(d);
	return rc;
}

int
mta_stage_make(struct mta_stage *st, const char *from, const char *below, struct err *e)
{
	static const char *const files[] = { "main.cf", "master.cf", "dynamicmaps.cf" };
	int rc = 0;

	if (snprintf(st->dir, sizeof(st->dir), "%s/.signalpost-XXXXXX", below) >=
	    (int)sizeof(st->dir)) {
		st->dir[0] = '\0';
		return err_set(e, "%s: path too long", below);
	}
	if (mkdtemp(st->dir) == NULL) {
		rc = err_errno(e, "make a folder in %s", below);
		st->dir[0] = '\0';
		return rc;
	}
	for (size_t i = 0; i < COUNT(files) && rc == 0; i++)
		rc = copy_named(from, st->dir, files[i], e);
	for (size_t i = 0; mta_stage_folders[i] != NULL && rc == 0; i++)
		rc = copy_folder(from, st->dir, mta_stage_folders[i], e);
	if (rc < 0)
		mta_stage_remove(st);
	return rc;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

void
mta_stage_remove(struct mta_stage *st)
{
	if (st->dir[0] != '\0')
		nftw(st->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	st->dir[0] = '\0';
}

/* ---- the script ---- */

static int
make_script(const struct conf *c, const char *conf_file, struct buf *out, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc;

	if (f == NULL)
		return err_errno(e, "memory");
	rc = mta_postfix_script(c, conf_file, f, e);
	fclose(f);
	buf_add(out, (struct slice){ text, n });
	free(text);
	return rc;
}

int
mta_stage_run(struct mta_stage *st, const struct conf *c, const char *conf_file, const char *home,
    bool users, struct buf *said, struct err *e)
{
	const char *const argv[] = { "sh", "-s", st->dir, NULL };
	char *path = realpath(conf_file, NULL);
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct buf script;
	int rc;

	buf_init(&script, BUF_NO_LIMIT);
	rc = make_script(c, path != NULL ? path : conf_file, &script, e);
	if (rc == 0) {
		self[n > 0 ? n : 0] = '\0';
		setenv("SIGNALPOST", n > 0 ? self : "signalpost", 1);
		setenv("SIGNALPOST_HOME", home, 1);
		setenv("SIGNALPOST_USERS", users ? "yes" : "no", 1);
		rc = run_program(argv, buf_slice(&script), said, said, e);
		if (rc > 0)
			rc = err_set(e, "setting it up failed: %.*s",
			    SLICE_FMT(slice_trim(buf_slice(said))));
	}
	buf_free(&script);
	free(path);
	return rc;
}
