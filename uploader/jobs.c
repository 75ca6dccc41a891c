#include "uploader/jobs.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "uploader/auth_watch.h"
#include "uploader/inbox.h"
#include "uploader/learn.h"
#include "uploader/mail_log.h"
#include "uploader/onward.h"

struct jobs {
	struct learn *learn;     /* NULL: nobody asks the index */
	struct mail_log *log;    /* NULL: no <mail-log> */
	struct auth_watch *auth; /* NULL: nobody counts failures */
	struct inbox *inbox;     /* NULL: no processor */
	struct onward *onward;   /* likewise */
	int epoll;               /* of the jobs' descriptors */
};

/* Have `fd` looked at; -1: there is none. */
static int
watch(struct jobs *j, int fd, struct err *e)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (fd >= 0 && epoll_ctl(j->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_errno(e, "epoll");
	return 0;
}

static int
open_inbox(struct jobs *j, const struct conf *conf, struct spool *sp, struct err *e)
{
	j->inbox = inbox_open(conf, sp, j->learn, e);
	if (j->inbox == NULL || watch(j, inbox_fd(j->inbox), e) < 0)
		return -1;
	return watch(j, inbox_auth_fd(j->inbox), e);
}

struct jobs *
jobs_open(const struct conf *conf, struct spool *sp, struct err *e)
{
	bool log = conf->mail_log.given, reports = conf->bounce.given || conf->feedback.given;
	struct jobs *j = xcalloc(1, sizeof(*j));

	j->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (j->epoll < 0) {
		err_text(e, errno, "epoll");
		jobs_close(j);
		return NULL;
	}
	if (((log || reports) && (j->learn = learn_open(conf, sp, e)) == NULL) ||
	    (log && (j->log = mail_log_open(conf, j->learn, e)) == NULL) ||
	    (reports && ((j->onward = onward_job_open(conf, sp, e)) == NULL ||
			    watch(j, onward_job_fd(j->onward), e) < 0)) ||
	    (reports && open_inbox(j, conf, sp, e) < 0)) {
		jobs_close(j);
		return NULL;
	}
	j->auth = auth_watch_open(conf, spool_dir(sp));
	return j;
}

void
jobs_close(struct jobs *j)
{
	if (j == NULL)
		return;
	inbox_close(j->inbox);
	onward_job_close(j->onward);
	mail_log_close(j->log);
	auth_watch_close(j->auth);
	learn_close(j->learn);
	if (j->epoll >= 0)
		close(j->epoll);
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
	bool onward;

	if (j->log != NULL)
		wake = sooner(wake, mail_log_step(j->log));
	if (j->auth != NULL)
		wake = sooner(wake, auth_watch_step(j->auth));
	if (j->learn != NULL)
		wake = sooner(wake, learn_step(j->learn));
	if (j->inbox != NULL) {
		wake = sooner(wake, inbox_step(j->inbox, &onward));
		if (onward)
			onward_job_wake(j->onward);
	}
	if (j->onward != NULL)
		wake = sooner(wake, onward_job_step(j->onward));
	return wake;
}

int
jobs_fd(const struct jobs *j)
{
	return j->epoll;
}
