/*
 * log.h - where a program says what it did: standard error in the foreground,
 * syslog (facility mail) as a daemon.
 *
 * Only programs log; library code returns an error text instead. One call is
 * one line; control characters become '?'. Safe to call from any thread.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Start logging as `program` (kept by reference). `foreground`: lines go to
 * standard error as "2026-11-22 11:47:57 program: text"; without it they go to
 * syslog, as they do when systemd has connected standard error to its journal,
 * which has its own time and wants the priority. Before the first call lines go
 * to standard error. May be called again, while no other thread logs.
 */
void log_open(const char *program, bool foreground);

/* Debug lines are dropped unless this was set. */
void log_set_debug(bool on);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

/*
 * A line that others read by program: on standard error the time and the text,
 * "2026-11-22 11:47:57 text", without the program's name. Level info.
 */
__attribute__((format(printf, 1, 2))) void log_plain(const char *fmt, ...);

#endif
