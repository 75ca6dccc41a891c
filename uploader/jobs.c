#include "uploader/jobs.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "uploader/learn.h"
#include "uploader/mail_log.h"

struct jobs {
	struct learn *learn;  /* NULL: nobody asks the index */
	struct mail_log *log; /* NULL: no <mail-log> */
};

struct jobs *
jobs_open(const struct conf *conf, struct spool *sp, struct err *e)
{
	bool log = conf->mail_log.given, reports = conf->bounce.given || conf->feedback.given;
	struct jobs *j = xcalloc(1, sizeof(*j));

	if (((log || reports) && (j->learn = learn_open(conf, sp, e)) == NULL) ||
	    (log && (j->log = mail_log_open(conf, j->learn, e)) == NULL)) {
		jobs_close(j);
		return NULL;
	}
	return j;
}

void
jobs_close(struct jobs *j)
{
	if (j == NULL)
		return;
	mail_log_close(j->log);
	learn_close(j->learn);
	free(j);
}

int
jobs_before_upload(struct jobs *j, const char *segment, struct err *e)
{
	return j->learn == NULL ? 0 : learn_segment(j->learn, segment, e);
}

void
jobs_gone(struct jobs *j, const char *segment)
{
	if (j->learn != NULL)
		learn_gone(j->learn, segment);
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
jobs_step(struct jobs *j)
{
	int64_t wake = INT64_MAX;

	if (j->log != NULL)
		wake = sooner(wake, mail_log_step(j->log));
	if (j->learn != NULL)
		wake = sooner(wake, learn_step(j->learn));
	return wake;
}

int
jobs_fd(const struct jobs *j)
{
	(void)j;
	return -1;
}
