#include "ctl/run.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"

/* Files in memory: a program that says much can't wait for us while we wait for it. */
struct ends {
	int in, out, said;
};

static void
close_ends(const struct ends *p)
{
	if (p->in >= 0)
		close(p->in);
	if (p->out >= 0)
		close(p->out);
	if (p->said >= 0)
		close(p->said);
}

static void
collect(int fd, struct buf *out)
{
	char chunk[4096];
	ssize_t n;

	if (out == NULL || lseek(fd, 0, SEEK_SET) < 0)
		return;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(out, (struct slice){ chunk, (size_t)n });
}

static void
become(const char *const *argv, const struct ends *p, bool one)
{
	const char *path = getenv("PATH");
	struct buf longer;

	buf_init(&longer, BUF_NO_LIMIT);
	buf_printf(&longer, "%s:/usr/sbin:/sbin", path != NULL ? path : "/usr/bin:/bin");
	setenv("PATH", buf_str(&longer), 1);
	setenv("LC_ALL", "C", 1);
	if (dup2(p->in, 0) >= 0 && dup2(p->out, 1) >= 0 && dup2(one ? p->out : p->said, 2) >= 0)
		execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(errno == ENOENT ? 127 : 126);
}

static int
wait_for(pid_t pid, const char *name, struct err *e)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, "wait for %s", name);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, "%s: no such command; is Postfix installed?", name);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
run_program(
    const char *const *argv, struct slice input, struct buf *out, struct buf *said, struct err *e)
{
	struct ends p = {
		.in = memfd_create("in", MFD_CLOEXEC),
		.out = memfd_create("out", MFD_CLOEXEC),
		.said = memfd_create("said", MFD_CLOEXEC),
	};
	int rc = -1;
	pid_t pid;

	if (p.in < 0 || p.out < 0 || p.said < 0 || file_write_all(p.in, input) < 0 ||
	    lseek(p.in, 0, SEEK_SET) < 0 || (pid = fork()) < 0) {
		err_text(e, errno, "run %s", argv[0]);
		goto out;
	}
	if (pid == 0)
		become(argv, &p, out != NULL && out == said);
	rc = wait_for(pid, argv[0], e);
	collect(p.out, out);
	if (said != out)
		collect(p.said, said);
out:
	close_ends(&p);
	return rc;
}
