/*
 * workers.h - threads that do what takes time - reading, checking, compressing,
 * writing archives - beside the loop. A job is the loop's until it is given away,
 * and again once it comes back; in between only the worker touches it.
 */
#ifndef UPLOADER_WORKERS_H
#define UPLOADER_WORKERS_H

#include <stddef.h>

#include <stdbool.h>

#include "common/err.h"

#define WORKERS_END_S 5
#define WORKERS_MAX   64

struct worker_job {                          /* part of something larger */
	void (*run)(struct worker_job *job); /* in a worker */
	void *owner;                         /* whose it is, for the loop */
	struct worker_job *next;             /* the workers' */
};

struct workers;

/* All signals that the program waits for are blocked before. NULL and *e. */
struct workers *workers_open(unsigned threads, struct err *e);
/* So many threads more than it was opened with, for jobs that may hang. -1 and *e. */
int workers_reserve(struct workers *w, unsigned more, struct err *e);
/*
 * Waits for jobs that have begun; those that have not are dropped. NULL is fine. False: one has not
 * come to its end in WORKERS_END_S seconds, and what it works on must stay as it is.
 */
bool workers_close(struct workers *w);

void workers_start(struct workers *w, struct worker_job *job);
int workers_fd(const struct workers *w); /* readable when a job is done */
/* A job that is done, or NULL. */
struct worker_job *workers_done(struct workers *w);

#endif
