#include "milter/socket.h"

#include <fcntl.h>
#include <grp.h>
#include <libmilter/mfapi.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/slice.h"
#include "common/xalloc.h"

const char *
socket_unix_path(const char *socket)
{
	if (slice_startsi(slice_str(socket), SLICE_LIT("unix:")))
		return socket + 5;
	if (slice_startsi(slice_str(socket), SLICE_LIT("local:")))
		return socket + 6;
	return socket[0] == '/' ? socket : NULL;
}

static int
find_group(const char *name, gid_t *gid, struct err *e)
{
	const struct group *gr = getgrnam(name);

	if (gr == NULL)
		return err_set(e,
		    "group: no group '%s' on this host; the MTA must be able to reach the socket", name);
	*gid = gr->gr_gid;
	return 0;
}

/* As root: owned by the user that we will be, so that the socket can be removed again. */
static int
prepare_dir(const struct conf_milter *m, const char *path, gid_t gid, struct err *e)
{
	char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	const struct passwd *pw = *m->user != '\0' ? getpwnam(m->user) : NULL;
	int rc = 0;

	if (slash == NULL || slash == dir) {
		free(dir);
		return 0;
	}
	*slash = '\0';
	if (mkdir(dir, 0750) < 0) {
		if (errno != EEXIST)
			rc = err_errno(e, "socket: make directory %s", dir);
	} else if (geteuid() == 0 &&
	    (chown(dir, pw != NULL ? pw->pw_uid : 0, gid) < 0 || chmod(dir, 02750) < 0)) {
		rc = err_errno(e, "socket: owner and mode of %s", dir);
	}
	free(dir);
	return rc;
}

/* smfi_opensocket() removes what is there, be it stale or a running milter's. */
static int
refuse_live(const char *path, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool live;
	int fd;

	if (strlen(path) >= sizeof(un.sun_path))
		return err_set(e, "socket: %s is longer than the %zu bytes a socket path may have", path,
		    sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	live = connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0 || errno == EAGAIN;
	close(fd);
	return live ? err_set(e, "socket: another process already listens on %s", path) : 0;
}

static int
set_rights(const struct conf_milter *m, const char *path, gid_t gid, struct err *e)
{
	const struct passwd *pw = *m->user != '\0' ? getpwnam(m->user) : NULL;

	if (geteuid() == 0 && chown(path, pw != NULL ? pw->pw_uid : 0, gid) < 0)
		return err_errno(e, "socket: owner of %s", path);
	if (geteuid() != 0 && chown(path, (uid_t)-1, gid) < 0 && errno != EPERM)
		return err_errno(e, "socket: group of %s", path);
	/* connect(2) asks for write permission. */
	return chmod(path, m->socket_mode) < 0 ? err_errno(e, "socket: mode of %s", path) : 0;
}

int
socket_open(const struct conf_milter *m, struct err *e)
{
	const char *path = socket_unix_path(m->socket);
	mode_t mask;
	gid_t gid = (gid_t)-1;

	if (path != NULL && ((geteuid() == 0 && find_group(m->group, &gid, e) < 0) ||
				prepare_dir(m, path, gid, e) < 0 || refuse_live(path, e) < 0))
		return -1;
	if (smfi_setconn((char *)(uintptr_t)m->socket) != MI_SUCCESS)
		return err_set(e, "socket: '%s' is no socket that libmilter takes", m->socket);
	/* Nobody may connect before owner and mode are right. */
	mask = umask(0777);
	if (smfi_opensocket(true) != MI_SUCCESS) {
		umask(mask);
		return err_errno(e, "socket: can't listen on %s", m->socket);
	}
	umask(mask);
	return path != NULL ? set_rights(m, path, gid, e) : 0;
}

void
socket_remove(const char *socket)
{
	const char *path = socket_unix_path(socket);

	if (path != NULL)
		unlink(path);
}
