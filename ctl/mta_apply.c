#include "ctl/mta_apply.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/slice.h"
#include "common/xalloc.h"
#include "ctl/mta_facts.h"
#include "ctl/mta_remedy.h"
#include "ctl/mta_stage.h"
#include "ctl/open_relay.h"
#include "ctl/run.h"

#define LONG_PATH     (PATH_MAX + NAME_MAX + 64)
#define FILE_MAX_SIZE ((size_t)64 << 20)

struct change {                   /* a file that will be another one */
	char name[NAME_MAX + 16]; /* below the folder: "main.cf", "signalpost/guard.cidr" */
	bool is_new, done;
};

struct work {
	const char *dir;
	struct mta_stage stage, backup;
	struct mta_facts before, after;
	struct change *changes;
	size_t n_changes, room;
};

/* ---- is it Postfix's? ---- */

static int
check_file(const char *dir, const char *name, bool *there, struct err *e)
{
	char path[LONG_PATH];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*there = lstat(path, &st) == 0;
	if (!*there)
		return errno == ENOENT ? 0 : err_errno(e, "%s", path);
	if (S_ISLNK(st.st_mode))
		return err_set(e, "%s is a link; name the folder that it points into", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, "%s is not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, "%s is not root's: chown root %s", path, path);
	if ((st.st_mode & 022) != 0)
		return err_set(e, "others than its owner may write %s: chmod go-w %s", path, path);
	return 0;
}

/* Where Postfix was installed with "No configuration" there is no main.cf, and master.cf or not. */
static int
check_folder(const char *dir, bool *configured, struct err *e)
{
	bool main_cf, master_cf, maps, files;

	if (check_file(dir, "main.cf", &main_cf, e) < 0 ||
	    check_file(dir, "master.cf", &master_cf, e) < 0 ||
	    check_file(dir, "dynamicmaps.cf", &maps, e) < 0 ||
	    check_file(dir, "postfix-files", &files, e) < 0)
		return -1;
	*configured = main_cf && master_cf;
	if (main_cf && !master_cf)
		return err_set(
		    e, "%s has main.cf and no master.cf: not a configuration of Postfix", dir);
	if (!main_cf && !maps && !files)
		return err_set(e, "%s has %s: not a configuration of Postfix", dir,
		    master_cf ? "master.cf and no main.cf" : "neither main.cf nor master.cf");
	return 0;
}

/* ---- what it would become ---- */

static void
tell_open(void *arg, const struct open_relay *found)
{
	struct buf remedy, command;

	fprintf(stderr, "signalpost: %s%s%s = %s: %s\n",
	    found->service != NULL ? found->service : "", found->service != NULL ? ": " : "",
	    found->setting, found->value, found->why);
	buf_init(&remedy, BUF_NO_LIMIT);
	buf_init(&command, BUF_NO_LIMIT);
	mta_remedy_in(
	    &command, mta_remedy_set(&remedy, found->service, found->setting, found->safe), arg);
	fprintf(stderr, "\tto mend it: %s\n", buf_str(&command));
	buf_free(&remedy);
	buf_free(&command);
}

static bool
differs(const char *a, const char *b)
{
	struct buf x, y;
	struct err e;
	bool same;

	buf_init(&x, FILE_MAX_SIZE);
	buf_init(&y, FILE_MAX_SIZE);
	same = file_read(AT_FDCWD, a, &x, &e) == 0 && file_read(AT_FDCWD, b, &y, &e) == 0 &&
	       slice_eq(buf_slice(&x), buf_slice(&y));
	buf_free(&x);
	buf_free(&y);
	return !same;
}

static void
consider(struct work *w, const char *folder, const char *name)
{
	char old[LONG_PATH], new[LONG_PATH];
	struct change c = { .done = false };

	if (snprintf(c.name, sizeof(c.name), "%s%s%s", folder, *folder != '\0' ? "/" : "", name) >=
		(int)sizeof(c.name) ||
	    snprintf(old, sizeof(old), "%s/%s", w->dir, c.name) >= (int)sizeof(old) ||
	    snprintf(new, sizeof(new), "%s/%s", w->stage.dir, c.name) >= (int)sizeof(new) ||
	    access(new, F_OK) < 0)
		return;
	c.is_new = access(old, F_OK) < 0;
	if (!c.is_new && !differs(old, new))
		return;
	w->changes = xgrow(w->changes, w->n_changes, &w->room, sizeof(*w->changes));
	w->changes[w->n_changes++] = c;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct change *)a)->name, ((const struct change *)b)->name);
}

/* Tables first, main.cf last: a daemon that starts in between finds what it is told of. */
static void
find_changes(struct work *w)
{
	static const char *const folders[] = { "sasl", "signalpost" };

	for (size_t i = 0; i < COUNT(folders); i++) {
		char path[LONG_PATH];
		struct dirent *entry;
		DIR *d;

		snprintf(path, sizeof(path), "%s/%s", w->stage.dir, folders[i]);
		d = opendir(path);
		while (d != NULL && (entry = readdir(d)) != NULL)
			if (entry->d_name[0] != '.')
				consider(w, folders[i], entry->d_name);
		if (d != NULL)
			closedir(d);
	}
	if (w->n_changes > 1)
		qsort(w->changes, w->n_changes, sizeof(*w->changes), by_name);
	consider(w, "", "master.cf");
	consider(w, "", "main.cf");
}

/* ---- showing it ---- */

static int
show_diff(const struct work *w, const struct change *c, struct err *e)
{
	char old[LONG_PATH], new[LONG_PATH], label[LONG_PATH + 16];
	const char *const argv[] = { "diff", "-u", "--label", old, "--label", label,
		c->is_new ? "/dev/null" : old, new, NULL };
	struct buf out;
	int rc;

	if (strcmp(c->name, "sasl/sasldb2") == 0) {
		printf("%s/%s: users or passwords change\n", w->dir, c->name);
		return 0;
	}
	snprintf(old, sizeof(old), "%s/%s", w->dir, c->name);
	snprintf(new, sizeof(new), "%s/%s", w->stage.dir, c->name);
	snprintf(label, sizeof(label), "%s (new)", old);
	buf_init(&out, FILE_MAX_SIZE);
	rc = run_program(argv, (struct slice){ 0 }, &out, &out, e);
	fputs(buf_str(&out), stdout);
	buf_free(&out);
	return rc < 0 ? -1 : 0;
}

static void
show_override(const struct mta_param *was, const struct mta_param *is)
{
	const char *old = was->raw != NULL ? was->raw : was->value;
	const char *new = is == NULL ? "Postfix's default" : is->raw != NULL ? is->raw : is->value;

	if (strcmp(old, new) != 0)
		printf("your setting changes: %s%s%s = %s (was: %s)\n",
		    was->service != NULL ? was->service : "", was->service != NULL ? ": " : "",
		    was->name, new, old);
}

/* Who changed a setting by hand shall not have to find it in the difference. */
static void
show_overridden(const struct work *w)
{
	for (size_t i = 0; i < w->before.n_params; i++) {
		const struct mta_param *was = &w->before.params[i];

		if (was->given && strcmp(was->name, "config_directory") != 0 &&
		    (was->service == NULL || mta_facts_service(&w->after, was->service) != NULL))
			show_override(was, mta_facts_find(&w->after, was->service, was->name));
	}
	for (size_t i = 0; i < w->before.n_services; i++) {
		const struct mta_service *was = &w->before.services[i];
		const struct mta_service *is = mta_facts_service(&w->after, was->key);

		if (is == NULL)
			printf("your service goes: %s\n", was->key);
		else if (is->chroot != was->chroot || strcmp(is->command, was->command) != 0 ||
			 strcmp(is->maxproc, was->maxproc) != 0)
			printf("your service changes: %s\n", was->key);
	}
}

static bool
confirmed(const struct mta_apply_options *o)
{
	char answer[16];

	if (o->yes)
		return true;
	if (isatty(STDIN_FILENO) == 0) {
		fputs("signalpost: nothing was changed: --yes says that it shall be\n", stderr);
		return false;
	}
	printf("\nChange %s as shown? [y/N] ", o->dir);
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) != NULL && (*answer == 'y' || *answer == 'Y');
}

/* ---- doing it ---- */

static int
keep_backup(struct work *w, struct err *e)
{
	char name[LONG_PATH], when[32];
	time_t now = (time_t)clock_wall_s();
	struct tm tm;

	if (mta_stage_make(&w->backup, w->dir, w->dir, e) < 0)
		return -1;
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned n = 1; n < 100; n++) {
		int len =
		    n == 1 ? snprintf(name, sizeof(name), "%s/signalpost-backup-%s", w->dir, when)
			   : snprintf(
				 name, sizeof(name), "%s/signalpost-backup-%s-%u", w->dir, when, n);

		if (len >= (int)sizeof(name) ||
		    renameat2(AT_FDCWD, w->backup.dir, AT_FDCWD, name, RENAME_NOREPLACE) == 0)
			break;
		if (errno != EEXIST)
			return err_errno(e, "%s", name);
	}
	if (snprintf(w->backup.dir, sizeof(w->backup.dir), "%s", name) >=
	    (int)sizeof(w->backup.dir))
		return err_set(e, "%s: path too long", name);
	return 0;
}

/* With the owner and the mode that the file has, on the disk before it has its name. */
static int
put_file(const char *from, const char *to, struct err *e)
{
	struct stat st;
	int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;

	if (fd < 0)
		return err_errno(e, "%s", from);
	if (stat(to, &st) == 0 &&
	    (fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0))
		rc = err_errno(e, "%s", from);
	else if (futimens(fd, NULL) < 0 || fsync(fd) < 0 || rename(from, to) < 0)
		rc = err_errno(e, "%s", to);
	close(fd);
	return rc;
}

static int
sync_folder(const char *dir, const char *name, struct err *e)
{
	char path[LONG_PATH];
	int fd, rc;

	snprintf(path, sizeof(path), "%s%s%s", dir, *name != '\0' ? "/" : "", name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s", path);
	rc = file_sync_dir(fd, path, e);
	close(fd);
	return rc;
}

static int
put_changes(struct work *w, struct err *e)
{
	char from[LONG_PATH], to[LONG_PATH];

	for (size_t i = 0; i < w->n_changes; i++) {
		struct change *c = &w->changes[i];
		const char *slash = strchr(c->name, '/');

		if (slash != NULL) {
			snprintf(
			    to, sizeof(to), "%s/%.*s", w->dir, (int)(slash - c->name), c->name);
			if (file_mkdirs(to, 0755, e) < 0)
				return -1;
		}
		snprintf(from, sizeof(from), "%s/%s", w->stage.dir, c->name);
		snprintf(to, sizeof(to), "%s/%s", w->dir, c->name);
		if (put_file(from, to, e) < 0)
			return -1;
		c->done = true;
	}
	return sync_folder(w->dir, "sasl", e) < 0 || sync_folder(w->dir, "signalpost", e) < 0
	           ? -1
	           : sync_folder(w->dir, "", e);
}

/* Postfix's own word on it. */
static int
check_result(const struct work *w, struct err *e)
{
	const char *const argv[] = { "postfix", "-c", w->dir, "check", NULL };
	struct mta_facts f;
	struct buf said;
	int rc;

	if (mta_facts_read(w->dir, &f, e) < 0)
		return -1;
	mta_facts_free(&f);
	buf_init(&said, 65536);
	rc = run_program(argv, (struct slice){ 0 }, &said, &said, e);
	if (said.len > 0)
		fputs(buf_str(&said), stderr);
	if (rc > 0)
		rc = err_set(e, "`postfix -c %s check` fails (%d)", w->dir, rc);
	buf_free(&said);
	return rc;
}

static void
put_back(struct work *w)
{
	static const char *const folders[] = { "sasl", "signalpost" };
	char from[LONG_PATH], to[LONG_PATH];
	bool all = true;
	struct err e;

	for (size_t i = w->n_changes; i-- > 0;) {
		struct change *c = &w->changes[i];

		if (!c->done)
			continue;
		snprintf(from, sizeof(from), "%s/%s", w->backup.dir, c->name);
		snprintf(to, sizeof(to), "%s/%s", w->dir, c->name);
		if (c->is_new ? unlink(to) < 0 : put_file(from, to, &e) < 0) {
			fprintf(stderr, "signalpost: %s could not be put back; it is in %s\n", to,
			    w->backup.dir);
			all = false;
		}
	}
	for (size_t i = 0; i < COUNT(folders); i++) { /* if we made them, they are empty now */
		snprintf(to, sizeof(to), "%s/%s", w->dir, folders[i]);
		rmdir(to);
	}
	if (all)
		mta_stage_remove(&w->backup);
	if (sync_folder(w->dir, "", &e) < 0)
		fprintf(stderr, "signalpost: %s\n", e.text);
}

static void
say_next(const struct work *w)
{
	const char *const argv[] = { "postfix", "-c", w->dir, "status", NULL };
	struct buf said;
	struct err e;
	bool runs;

	buf_init(&said, 4096);
	runs = run_program(argv, (struct slice){ 0 }, &said, &said, &e) == 0;
	buf_free(&said);
	printf("done; the files as they were are in %s\nnext: ", w->backup.dir);
	if (strcmp(w->dir, "/etc/postfix") == 0)
		printf("postfix %s\n", runs ? "reload" : "start");
	else
		printf("postfix -c %s %s\n", w->dir, runs ? "reload" : "start");
}

/* Not to be interrupted between two files. */
static int
install(struct work *w, struct err *e)
{
	sigset_t stop, old;
	int rc;

	if (keep_backup(w, e) < 0)
		return -1;
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	sigaddset(&stop, SIGQUIT);
	sigprocmask(SIG_BLOCK, &stop, &old);
	rc = put_changes(w, e);
	if (rc == 0)
		rc = check_result(w, e);
	if (rc < 0)
		put_back(w);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		say_next(w);
	return rc;
}

/* ---- the whole ---- */

/* What a run left behind that was killed; nobody else is at work here. */
static void
remove_stale(const char *dir)
{
	struct mta_stage stale;
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, ".signalpost-", 12) == 0 &&
		    snprintf(stale.dir, sizeof(stale.dir), "%s/%s", dir, entry->d_name) <
			(int)sizeof(stale.dir))
			mta_stage_remove(&stale);
	if (d != NULL)
		closedir(d);
}

static int
prepare(struct work *w, const struct conf *c, const struct mta_apply_options *o, struct err *e)
{
	struct buf said;
	bool configured;
	int rc;

	remove_stale(w->dir);
	if (check_folder(w->dir, &configured, e) < 0 ||
	    (configured && mta_facts_read(w->dir, &w->before, e) < 0) ||
	    mta_stage_make(&w->stage, w->dir, w->dir, e) < 0)
		return -1;
	buf_init(&said, 65536);
	rc = mta_stage_run(&w->stage, c, o->conf_file, w->dir, true, &said, e);
	if (rc == 0 && said.len > 0)
		fputs(buf_str(&said), stdout);
	buf_free(&said);
	if (rc < 0 || mta_facts_read(w->stage.dir, &w->after, e) < 0)
		return -1;
	if (open_relay_find(&w->after, tell_open, (char *)(uintptr_t)w->dir) > 0)
		return err_set(e, "this Postfix would relay for everybody; nothing was changed");
	find_changes(w);
	return 0;
}

static int
go_on(struct work *w, const struct mta_apply_options *o, struct err *e)
{
	if (w->n_changes == 0) {
		printf("%s is as the configuration asks: nothing to do\n", w->dir);
		return 0;
	}
	for (size_t i = 0; i < w->n_changes; i++)
		if (show_diff(w, &w->changes[i], e) < 0)
			return -1;
	show_overridden(w);
	if (o->dry_run)
		return 0;
	fflush(stdout);
	return confirmed(o) ? install(w, e) : 1;
}

int
mta_apply(const struct conf *c, const struct mta_apply_options *o, struct err *e)
{
	struct work w = { .dir = NULL };
	char *dir = realpath(o->dir, NULL);
	int lock, rc = -1;

	if (dir == NULL)
		return err_errno(e, "%s", o->dir);
	if (geteuid() != 0) {
		free(dir);
		return err_set(e, "only root can set up Postfix");
	}
	w.dir = dir;
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		rc = err_errno(e, "%s", dir);
	else if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(e, "%s: another signalpost is at work there", dir);
	else if (prepare(&w, c, o, e) == 0)
		rc = go_on(&w, o, e);
	mta_stage_remove(&w.stage);
	mta_facts_free(&w.before);
	mta_facts_free(&w.after);
	free(w.changes);
	if (lock >= 0)
		close(lock);
	free(dir);
	return rc;
}
