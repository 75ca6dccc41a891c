#include "uploader/transfer_log.h"

#include <stdio.h>

void
transfer_log_init(struct transfer_log *l, bool verbose, void (*line)(const char *text))
{
	*l = (struct transfer_log){ .verbose = verbose, .line = line };
}

static const char *
files(size_t n)
{
	return n == 1 ? "file" : "files";
}

static void
summary(struct transfer_log *l, size_t waiting)
{
	char text[120];

	snprintf(text, sizeof(text), "Signals: Discovered %zu %s, transferred %zu %s successfully",
	    l->discovered, files(l->discovered), l->transferred, files(l->transferred));
	l->line(l->discovered == 0 ? "Signals: Discovered 0 files" : text);
	l->discovered = waiting;
	l->transferred = 0;
	l->due = false;
}

void
transfer_log_found(struct transfer_log *l, const char *name)
{
	char text[120];

	l->discovered++;
	if (!l->verbose)
		return;
	snprintf(text, sizeof(text), "Signals: Discovered %s", name);
	l->line(text);
}

void
transfer_log_transferred(struct transfer_log *l, const char *name)
{
	char text[120];

	l->transferred++;
	if (!l->verbose)
		return;
	snprintf(text, sizeof(text), "Signals: Transferred %s successfully.", name);
	l->line(text);
}

void
transfer_log_interval(struct transfer_log *l, size_t waiting)
{
	/* A long queue is still being worked off: say how far it has come. */
	if (l->due)
		summary(l, waiting);
	l->due = true;
}

void
transfer_log_round(struct transfer_log *l, size_t waiting)
{
	if (l->due || (l->verbose && l->transferred > 0))
		summary(l, waiting);
}

void
transfer_log_end(struct transfer_log *l, size_t waiting)
{
	if (l->transferred > 0)
		summary(l, waiting);
}
