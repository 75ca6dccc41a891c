#include "ctl/as_user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNKNOWN 255 /* no errno is that */

/* In a child: there is no way back from another user. */
static int
ask(const struct passwd *pw, const char *user, const char *path, int mode)
{
	if (initgroups(user, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0)
		return UNKNOWN;
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0 : errno;
}

int
as_user_access(const char *user, const char *path, int mode)
{
	const struct passwd *pw;
	int status;
	pid_t pid;

	if (user == NULL || *user == '\0')
		return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0 : errno;
	pw = getpwnam(user);
	if (pw == NULL || (geteuid() != 0 && geteuid() != pw->pw_uid))
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0)
		_exit(geteuid() == 0                                     ? ask(pw, user, path, mode)
		      : faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0
									 : errno);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) != UNKNOWN ? WEXITSTATUS(status) : -1;
}

const char *
as_user_group(const char *user)
{
	const struct passwd *pw = user != NULL && *user != '\0' ? getpwnam(user) : NULL;
	const struct group *gr = getgrgid(pw != NULL ? pw->pw_gid : getegid());

	return gr != NULL ? gr->gr_name : "root";
}
