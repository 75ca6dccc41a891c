/*
 * signalpost-uploader: takes closed segments from the spool to the event
 * collector. See signalpost-uploader(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "common/spool.h"
#include "uploader/loop.h"

#define PROGRAM      "signalpost-uploader"
#define ROOM_RETRY_S 2

static int
check(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_warnings; i++)
		fprintf(stderr, "%s:%u: %s\n", conf->warnings[i].at.file, conf->warnings[i].at.line,
		    conf->warnings[i].text);
	if (!conf->signals.given || conf->signals.api_key == NULL)
		fprintf(stderr,
		    "%s: no <signals> block with an api-key: nothing will be uploaded\n",
		    conf->file);
	printf("%s: good\n", conf->file);
	return EX_OK;
}

/* Who holds the lock wrote its number into it. */
static void
say_locked(int fd, const char *path, struct err *e)
{
	char text[24];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	while (n > 0 && (text[n - 1] < '0' || text[n - 1] > '9'))
		n--;
	text[n > 0 ? n : 0] = '\0';
	err_text(e, 0, "%s: another " PROGRAM " works on this spool, process %s", path,
	    text[0] != '\0' ? text : "unknown");
}

/* One uploader a spool: two would send everything twice. Held until the process ends. */
static int
lock_spool(const char *dir, struct err *e)
{
	char path[4096], pid[24];
	int fd, n;

	snprintf(path, sizeof(path), "%s/" SPOOL_UPLOADER_LOCK, dir);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0660);
	if (fd < 0)
		return err_errno(e, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			say_locked(fd, path, e);
		else
			err_text(e, errno, "%s", path);
		close(fd);
		return -1;
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* The number is for people; a full disk does not keep us from emptying the spool. */
	if (ftruncate(fd, 0) < 0 || file_write_all(fd, (struct slice){ pid, (size_t)n }) < 0)
		log_warn("%s: can't write the process number", path);
	return fd;
}

static int
serve(struct loop *loop, const struct conf *conf, const struct daemon_options *opt, struct err *e)
{
	int rc;

	if (daemon_ready(NULL, e) < 0)
		return -1;
	log_open(PROGRAM, opt->foreground);
	daemon_log(conf);
	rc = loop_run(loop, e);
	if (rc <= 0)
		daemon_stopping(NULL);
	return rc;
}

/*
 * A start on a full disk: there may be room later, and who is in the foreground has somebody who
 * reads the log. False: it is other trouble, or we are to end.
 */
static bool
awaits_room(const struct daemon_options *opt, const struct err *e, bool *said)
{
	sigset_t set;

	if (!opt->foreground || (e->num != ENOSPC && e->num != EDQUOT))
		return false;
	if (!*said)
		log_error("%s; nothing is sent until there is room: trying again every %d s",
		    e->text, ROOM_RETRY_S);
	*said = true;
	/* Blocked or not, as far as we have come. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return sigtimedwait(&set, NULL, &(struct timespec){ .tv_sec = ROOM_RETRY_S }) < 0;
}

/* Takes `conf` over. An exit code. */
static int
run(struct conf *conf, const struct daemon_options *opt)
{
	struct spool *spool = NULL;
	struct loop *loop = NULL;
	const struct conf *logs;
	int lock = -1, code = EX_OSERR, rc;
	bool said = false;
	struct err e;

	if (daemon_detach(opt, &e) < 0)
		goto out;
	daemon_prepare_log(conf, conf->milter.user);
	if (daemon_drop_rights(conf->milter.user, &e) < 0)
		goto out;
	code = EX_TEMPFAIL;
	while ((spool = spool_open(conf->spool.directory, &e)) == NULL)
		if (!awaits_room(opt, &e, &said))
			goto out;
	lock = lock_spool(conf->spool.directory, &e);
	if (lock < 0)
		goto out;
	code = EX_OSERR;
	do {
		while ((loop = loop_open(conf, spool, &e)) == NULL)
			if (!awaits_room(opt, &e, &said))
				goto out;
		logs = conf;
		conf = NULL; /* the loop's now */
		rc = serve(loop, logs, opt, &e);
		if (rc > 0) {
			conf = loop_end(loop);
			loop = NULL;
		}
	} while (rc > 0);
	if (rc == 0)
		code = EX_OK;
out:
	if (code != EX_OK)
		log_error("%s", e.text);
	loop_close(loop);
	spool_close(spool);
	if (lock >= 0)
		close(lock);
	conf_free(conf);
	return code;
}

int
main(int argc, char **argv)
{
	struct daemon_options opt;
	struct conf *conf;
	struct err e;

	daemon_options(argc, argv, PROGRAM, &opt);
	log_open(PROGRAM, true);
	conf = conf_load(opt.conf_file, &e);
	if (conf == NULL) {
		log_error("%s", e.text);
		return EX_CONFIG;
	}
	if (opt.check_only) {
		int code = check(conf);

		conf_free(conf);
		return code;
	}
	return run(conf, &opt);
}
