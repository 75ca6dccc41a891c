/*
 * workers.h - threads that do what takes time - reading, checking, compressing,
 * writing archives - beside the loop. A job is the loop's until it is given away,
 * and again once it comes back; in between only the worker touches it.
 */
#ifndef UPLOADER_WORKERS_H
#define UPLOADER_WORKERS_H

#include <stddef.h>

#include "common/err.h"

struct worker_job {                          /* part of something larger */
	void (*run)(struct worker_job *job); /* in a worker */
	void *owner;                         /* whose it is, for the loop */
	struct worker_job *next;             /* the workers' */
};

struct workers;

/* All signals that the program waits for are blocked before. NULL and *e. */
struct workers *workers_open(unsigned threads, struct err *e);
/* Waits for jobs that have begun; those that have not are dropped. NULL is fine. */
void workers_close(struct workers *w);

void workers_start(struct workers *w, struct worker_job *job);
int workers_fd(const struct workers *w); /* readable when a job is done */
/* A job that is done, or NULL. */
struct worker_job *workers_done(struct workers *w);

#endif
