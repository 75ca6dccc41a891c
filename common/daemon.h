/*
 * daemon.h - what every daemon does the same way: options, going to the
 * background, dropping rights, telling systemd.
 *
 *	-c FILE	configuration (default CONF_DEFAULT_FILE)
 *	-f	stay in the foreground, log to standard error
 *	-n	check the configuration and exit
 *	-V	print the version and exit
 *
 * Exit codes are those of sysexits(3): 64 usage, 78 configuration, 71/75 for
 * what the system refused.
 */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"

struct daemon_options {
	const char *conf_file;
	bool foreground, check_only;
};

const char *daemon_version(void); /* "1.0" */

/*
 * Read the options; prints and exits for -V and for wrong usage. What the daemon makes is then
 * for its user and group alone (umask). SIGHUP and SIGUSR1 are blocked from here on, by all threads
 * and children too: the daemon takes them (sigwait, signalfd) as soon as it can reload. Call first
 * in main().
 */
#define DAEMON_UMASK 007
void daemon_options(int argc, char **argv, const char *program, struct daemon_options *out);

/*
 * Go to the background (unless foreground): fork, new session, standard input
 * and output to /dev/null. Standard error follows at daemon_ready(), so that
 * the operator sees what goes wrong until then. The parent waits until
 * daemon_ready() and exits 0, or exits with the child's code if that ends
 * before (70 if by a signal). The working directory stays: relative paths mean
 * the same at a reload. Call before any thread exists.
 */
int daemon_detach(const struct daemon_options *opt, struct err *e);

/*
 * Up and serving: write `pid_file` (NULL: none), release the waiting parent and
 * tell systemd (sd_notify READY=1, where $NOTIFY_SOCKET is set and libsystemd
 * was there at build time). -1: the pid file can't be written, the parent still waits.
 */
int daemon_ready(const char *pid_file, struct err *e);
void daemon_reloading(bool begin);          /* RELOADING=1, then READY=1 */
void daemon_stopping(const char *pid_file); /* STOPPING=1; removes the pid file (NULL: none) */

/*
 * log-level and log-file of the configuration come into force, at the start (with our final
 * rights) and at a reload; before it daemon_reloading(true) opens the file anew, whatever
 * the configuration now says. A file that can't be opened is warned of.
 */
void daemon_log(const struct conf *c);
/* Before: while we are root, make the file as `user`'s, if it is missing. */
void daemon_prepare_log(const struct conf *c, const char *user);

/*
 * systemd's watchdog: call daemon_alive() at least every daemon_watchdog_ms();
 * 0: nobody watches, and daemon_alive() does nothing.
 */
unsigned daemon_watchdog_ms(void);
void daemon_alive(void);

/*
 * Become `user` (with its groups) for good. Nothing happens when we are not
 * root or `user` is "". -1: no such user, or the system refused.
 */
int daemon_drop_rights(const char *user, struct err *e);

#endif
