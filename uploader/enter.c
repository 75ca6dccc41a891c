#include "uploader/enter.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void
enter_init(struct enter *n, int dirfd)
{
	memset(n, 0, sizeof(*n));
	n->dirfd = dirfd;
}

static void
run(struct worker_job *job)
{
	struct enter *n = (struct enter *)(void *)job;

	uint64_t bytes = 0;

	for (n->done = 0; n->done < n->n && bytes < ENTER_BYTES; n->done++) {
		batch_count(n->dirfd, n->names[n->done], &n->counts[n->done]);
		bytes += n->counts[n->done].bytes;
	}
}

void
enter_start(struct enter *n, struct scan *s, struct workers *w)
{
	const char *name;

	if (n->busy || n->counted)
		return;
	while (n->n < ENTER_AT_ONCE && (name = scan_next(s)) != NULL)
		memcpy(n->names[n->n++], name, SPOOL_NAME_SIZE);
	if (n->n == 0)
		return;
	n->busy = true;
	n->job.run = run;
	n->job.owner = n;
	workers_start(w, &n->job);
}

void
enter_counted(struct enter *n)
{
	n->busy = false;
	n->counted = true;
}

/*
 * Is it there still? Its name may have come twice, from inotify and from the directory: then it
 * may have been entered, sent, removed and forgotten while it was counted again.
 */
static bool
is_there(const struct enter *n, const char *name)
{
	return faccessat(n->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
write_all(struct enter *n, struct ledger *l, bool entered[ENTER_AT_ONCE], struct err *e)
{
	for (size_t i = 0; i < n->done; i++) {
		const struct batch_count *c = &n->counts[i];
		int rc = c->state == BATCH_READY && is_there(n, n->names[i])
		             ? ledger_enter(l, n->names[i], c->events, c->bytes, c->oldest_s, e)
		             : 0;

		if (rc < 0)
			return -1;
		entered[i] = rc > 0;
	}
	return 0;
}

int
enter_write(struct enter *n, struct ledger *l, const struct enter_calls *calls, struct err *e)
{
	bool entered[ENTER_AT_ONCE] = { false };
	int any = 0;

	if (!n->counted)
		return 0;
	if (ledger_begin(l, e) < 0)
		return -1;
	if (write_all(n, l, entered, e) < 0) {
		ledger_rollback(l);
		return -1;
	}
	if (ledger_commit(l, e) < 0)
		return -1;
	n->counted = false;
	for (size_t i = 0; i < n->done; i++) {
		if (entered[i]) {
			calls->entered(calls->arg, n->names[i]);
			any = 1;
		} else if (n->counts[i].state == BATCH_NOTHING) {
			calls->empty(calls->arg, n->names[i]);
		} else if (n->counts[i].state == BATCH_FAILED) {
			calls->bad(calls->arg, n->names[i], n->counts[i].why.text);
		}
	}
	/* The others come first next time. */
	n->n -= n->done;
	memmove(n->names, n->names + n->done, n->n * sizeof(n->names[0]));
	n->done = 0;
	return any;
}
