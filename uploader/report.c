#include "uploader/report.h"

#include <stdio.h>

void
report_init(struct report *r, bool verbose, void (*line)(const char *text))
{
	*r = (struct report){ .verbose = verbose, .line = line };
}

static const char *
files(size_t n)
{
	return n == 1 ? "file" : "files";
}

static void
summary(struct report *r, size_t waiting)
{
	char text[120];

	snprintf(text, sizeof(text), "Signals: Discovered %zu %s, transferred %zu %s successfully",
	    r->discovered, files(r->discovered), r->transferred, files(r->transferred));
	r->line(r->discovered == 0 ? "Signals: Discovered 0 files" : text);
	r->discovered = waiting;
	r->transferred = 0;
	r->due = false;
}

void
report_found(struct report *r, const char *name)
{
	char text[120];

	r->discovered++;
	if (!r->verbose)
		return;
	snprintf(text, sizeof(text), "Signals: Discovered %s", name);
	r->line(text);
}

void
report_transferred(struct report *r, const char *name)
{
	char text[120];

	r->transferred++;
	if (!r->verbose)
		return;
	snprintf(text, sizeof(text), "Signals: Transferred %s successfully.", name);
	r->line(text);
}

void
report_interval(struct report *r, size_t waiting)
{
	/* A long queue is still being worked off: say how far it has come. */
	if (r->due)
		summary(r, waiting);
	r->due = true;
}

void
report_round(struct report *r, size_t waiting)
{
	if (r->due || (r->verbose && r->transferred > 0))
		summary(r, waiting);
}

void
report_end(struct report *r, size_t waiting)
{
	if (r->transferred > 0)
		summary(r, waiting);
}
