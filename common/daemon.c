#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "common/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "common/clock.h"
#include "common/conf.h"
#include "common/file.h"
#include "common/log.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unreleased"
#endif

static int parent_pipe = -1; /* the waiting parent's; -1: nobody waits */

const char *
daemon_version(void)
{
	return PACKAGE_VERSION;
}

static void
usage(const char *program)
{
	fprintf(stderr, "usage: %s [-fnV] [-c file]\n", program);
	exit(EX_USAGE);
}

static void
hold_reloads(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void
daemon_options(int argc, char **argv, const char *program, struct daemon_options *out)
{
	int c;

	/* Who reloads or rotates logs does not know that we have just been started. */
	hold_reloads();
	/* ulimit -f: a file that can't grow is an error like a full disk, and not the end. */
	signal(SIGXFSZ, SIG_IGN);
	*out = (struct daemon_options){ .conf_file = CONF_DEFAULT_FILE };
	while ((c = getopt(argc, argv, "c:fnV")) != -1)
		switch (c) {
		case 'c':
			out->conf_file = optarg;
			break;
		case 'f':
			out->foreground = true;
			break;
		case 'n':
			out->check_only = true;
			break;
		case 'V':
			printf("%s %s\n", program, daemon_version());
			exit(EX_OK);
		default:
			usage(program);
		}
	if (optind != argc)
		usage(program);
	umask(DAEMON_UMASK);
}

/* The parent's rest of life: it answers for the child to whoever started us. */
static void
wait_for_child(pid_t child, int fd)
{
	int status;
	char up;
	ssize_t n;

	while ((n = read(fd, &up, 1)) < 0 && errno == EINTR)
		;
	if (n == 1)
		_exit(EX_OK);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EX_OSERR);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE);
}

static int
to_null(int fd, int mode, struct err *e)
{
	int null = open("/dev/null", mode | O_CLOEXEC);
	int rc = 0;

	if (null < 0)
		return err_errno(e, "/dev/null");
	if (dup2(null, fd) < 0)
		rc = err_errno(e, "/dev/null");
	if (null > STDERR_FILENO)
		close(null);
	return rc;
}

int
daemon_detach(const struct daemon_options *opt, struct err *e)
{
	int fds[2];
	pid_t child;

	if (opt->foreground)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	fflush(NULL);
	child = fork();
	if (child < 0) {
		int rc = err_errno(e, "fork");

		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	if (child > 0) {
		close(fds[1]);
		wait_for_child(child, fds[0]);
	}
	close(fds[0]);
	parent_pipe = fds[1];
	if (setsid() < 0)
		return err_errno(e, "setsid");
	if (to_null(STDIN_FILENO, O_RDONLY, e) < 0 || to_null(STDOUT_FILENO, O_WRONLY, e) < 0)
		return -1;
	return 0;
}

static int
write_pid(const char *path, struct err *e)
{
	char text[32];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	int n, rc = 0;

	if (fd < 0)
		return err_errno(e, "pid file %s", path);
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (file_write_all(fd, (struct slice){ text, (size_t)n }) < 0)
		rc = err_errno(e, "pid file %s", path);
	close(fd);
	return rc;
}

static void
notify(const char *state)
{
#ifdef HAVE_LIBSYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

int
daemon_ready(const char *pid_file, struct err *e)
{
	static const char up = 1;

	if (pid_file != NULL && write_pid(pid_file, e) < 0)
		return -1;
	if (parent_pipe >= 0) {
		if (to_null(STDERR_FILENO, O_WRONLY, e) < 0)
			return -1;
		/* A parent that was killed meanwhile is no reason to stop serving. */
		(void)file_write_all(parent_pipe, (struct slice){ &up, 1 });
		close(parent_pipe);
		parent_pipe = -1;
	}
	notify("READY=1");
	return 0;
}

void
daemon_reloading(bool begin)
{
	char text[80];

	struct err e;

	if (!begin) {
		notify("READY=1");
		return;
	}
	if (log_reopen(&e) < 0)
		log_warn("%s; what was open is written on", e.text);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_mono_ms() * 1000);
	notify(text);
}

void
daemon_stopping(const char *pid_file)
{
	notify("STOPPING=1");
	log_flush();
	/* Without the right to remove it (made by root) an old pid file stays behind. */
	if (pid_file != NULL)
		unlink(pid_file);
}

void
daemon_log(const struct conf *c)
{
	struct err e;

	log_set_level(c->log_level);
	if (log_file(c->log_file, &e) < 0)
		log_warn("%s; lines go where they went before", e.text);
}

void
daemon_prepare_log(const struct conf *c, const char *user)
{
	const struct passwd *pw;
	int fd;

	if (c->log_file == NULL || geteuid() != 0 || user == NULL || *user == '\0' ||
	    (pw = getpwnam(user)) == NULL)
		return;
	/* What is there already is not touched, wherever it leads. */
	fd = open(c->log_file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660);
	if (fd < 0)
		return;
	if (fchown(fd, pw->pw_uid, pw->pw_gid) < 0)
		log_warn("log-file %s: owner: %s", c->log_file, strerror(errno));
	close(fd);
}

unsigned
daemon_watchdog_ms(void)
{
#ifdef HAVE_LIBSYSTEMD
	uint64_t usec;

	/* A third of what systemd waits for: one late turn of the loop is no reason to be killed.
	 */
	if (sd_watchdog_enabled(0, &usec) > 0)
		return usec < 3000                ? 1
		       : usec / 3000 > UINT32_MAX ? UINT32_MAX
		                                  : (unsigned)(usec / 3000);
#endif
	return 0;
}

void
daemon_alive(void)
{
	notify("WATCHDOG=1");
}

int
daemon_drop_rights(const char *user, struct err *e)
{
	struct passwd pw, *found = NULL;
	char store[16384];
	int rc;

	if (geteuid() != 0 || user == NULL || user[0] == '\0')
		return 0;
	rc = getpwnam_r(user, &pw, store, sizeof(store), &found);
	if (found == NULL) {
		errno = rc;
		return rc != 0 ? err_errno(e, "user %s", user)
		               : err_set(e, "user %s: there is no such user", user);
	}
	/* Groups first: afterwards we have no right to change them. */
	if (initgroups(user, pw.pw_gid) < 0 || setresgid(pw.pw_gid, pw.pw_gid, pw.pw_gid) < 0 ||
	    setresuid(pw.pw_uid, pw.pw_uid, pw.pw_uid) < 0)
		return err_errno(e, "become user %s", user);
	if (pw.pw_uid != 0 && setuid(0) == 0)
		return err_set(e, "become user %s: root's rights came back", user);
	/* Nor by executing a set-user-id program. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "become user %s", user);
	return 0;
}
