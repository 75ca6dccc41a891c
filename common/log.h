/*
 * log.h - where a program says what it did: standard error in the foreground,
 * syslog (facility mail) as a daemon, or a file.
 *
 * Only programs log; library code returns an error text instead. One call is
 * one line; control characters become '?'. Safe to call from any thread.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Start logging as `program` (kept by reference). `foreground`: lines go to
 * standard error as "2026-11-22 11:47:57 program: text"; without it they go to
 * syslog, as they do when systemd has connected standard error to its journal,
 * which has its own time and wants the priority. Before the first call lines go
 * to standard error. May be called again, while no other thread logs.
 */
void log_open(const char *program, bool foreground);

/*
 * From now on lines go to the end of this file, made with mode 0660, as
 * "2026-11-22 11:47:57 program[123]: text", and not to syslog any more; to standard error
 * they go as before. Each is one write(2), so that several programs may
 * share the file. A line that can't be written there goes to syslog. NULL: no file.
 * -1 and *e: it can't be opened, and lines go where they went before.
 */
int log_file(const char *path, struct err *e);

/* Open the file again by its name: it may have been rotated. -1 and *e: as above. */
int log_reopen(struct err *e);

/* Lines of a later level are dropped; LOG_LEVEL_INFO unless this is called. */
void log_set_level(enum log_level last);

/*
 * Errors and warnings may come by the thousand, one for each message when the disk
 * is full. Of each place in the code LOG_BURST lines are logged in LOG_BURST_S
 * seconds; how many more there were is said when these are over and
 * anything is logged, with the last of them.
 */
#define LOG_BURST   20
#define LOG_BURST_S 60

struct log_site { /* zero at first */
	int64_t began_s;
	unsigned said, held; /* in this time: logged, and not logged */
	int level;
	struct log_site *next; /* of those that hold lines */
	char last[256];
};

#define log_error(...) log_limited(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_limited(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#define log_limited(level, ...)                                                                    \
	do {                                                                                       \
		static struct log_site log_site_;                                                  \
		log_at(&log_site_, level, __VA_ARGS__);                                            \
	} while (0)

__attribute__((format(printf, 3, 4))) void log_at(
    struct log_site *site, enum log_level level, const char *fmt, ...);

/* Every line, however many. */
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

/* Say what is held back: the program ends. */
void log_flush(void);

/*
 * A line that others read by program: on standard error and in the file the time and the
 * text, "2026-11-22 11:47:57 text", without the program's name. Level info.
 */
__attribute__((format(printf, 1, 2))) void log_plain(const char *fmt, ...);

#endif
