/*
 * check.c - starts on a spool as the programs do, after a crash, and says what is there:
 * one line for each event, report and refusal, "bad WHAT" for what should not be. It reads
 * names of spools, and ends the answer for each with "end".
 *
 * Usage: check <LIST
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/event.h"
#include "common/file.h"
#include "common/inbound.h"
#include "common/ledger.h"
#include "common/rejected.h"
#include "common/spool_file.h"

#define SEGMENT_MAX ((size_t)64 << 20)

static void
events_of(int dirfd, const char *name)
{
	struct buf text, store;
	struct slice rest, line;
	struct event ev;
	struct err e;

	buf_init(&text, SEGMENT_MAX);
	buf_init(&store, BUF_NO_LIMIT);
	if (file_read(dirfd, name, &text, &e) < 0)
		printf("bad %s\n", e.text);
	for (rest = buf_slice(&text); slice_line(&rest, &line);)
		if (event_read(line, &ev, &store, &e) == 0)
			printf("event %lld\n", (long long)ev.event_id);
		else
			printf("bad %s: %s\n", name, e.text);
	if (text.len > 0 && text.p[text.len - 1] != '\n')
		printf("bad %s: a torn end\n", name);
	buf_free(&text);
	buf_free(&store);
}

static void
segments(struct spool *sp)
{
	char **names;
	struct err e;
	ssize_t n = spool_list(sp, &names, &e);

	if (n < 0)
		printf("bad %s\n", e.text);
	for (ssize_t i = 0; i < n; i++) {
		events_of(spool_events_fd(sp), names[i]);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void
reports(struct spool *sp)
{
	struct inbound_file f;
	struct err e;
	char **names;
	ssize_t n = spool_file_names(spool_inbound_fd(sp), false, &names, &e);

	for (ssize_t i = 0; i < n; i++) {
		if (!inbound_is_name(names[i])) {
			/* tmp/ and onward/ */
		} else if (inbound_open(spool_inbound_fd(sp), names[i], &f, &e) < 0) {
			printf("bad %s: %s\n", names[i], e.text);
		} else {
			printf("%s %s\n", f.mail.len > 1000 ? "inbound" : "bad", names[i]);
			inbound_close(&f);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void
refused(struct spool *sp)
{
	struct rejected_entry *list;
	struct rejected_why why;
	struct buf store;
	struct err e;
	ssize_t n = rejected_list(spool_rejected_fd(sp), &list, &e);

	buf_init(&store, BUF_NO_LIMIT);
	for (ssize_t i = 0; i < n; i++)
		if (rejected_read_why(spool_rejected_fd(sp), list[i].name, &why, &store, &e) < 0)
			printf("bad %s: %s\n", list[i].name, e.text);
		else
			printf("%s %s\n", list[i].bytes > 50 ? "rejected" : "bad", list[i].name);
	if (n >= 0)
		rejected_free_list(list, n);
	buf_free(&store);
}

/* What is in the ledger can be opened, whatever was lost, and adds up. */
static void
ledger(const char *dir)
{
	struct ledger_check check;
	struct err e;
	struct ledger *l;
	char path[4200];

	snprintf(path, sizeof(path), "%s/" LEDGER_NAME, dir);
	if (access(path, F_OK) < 0)
		return;
	l = ledger_open(dir, true, NULL, &e); /* as the uploader does at its start */
	if (l == NULL) {
		printf("bad %s\n", e.text);
		return;
	}
	if (ledger_check(l, &check, NULL, NULL, &e) < 0) {
		printf("bad %s\n", e.text);
	} else {
		if (!check.good)
			printf("bad ledger: it does not add up\n");
		ledger_check_free(&check);
	}
	ledger_close(l);
}

int
main(void)
{
	char dir[4096];

	while (fgets(dir, sizeof(dir), stdin) != NULL) {
		struct spool *sp;
		struct err e;

		dir[strcspn(dir, "\n")] = '\0';
		sp = spool_open(dir, &e);
		if (sp == NULL || spool_recover(sp, NULL, NULL, &e) < 0 ||
		    inbound_recover(sp, &e) < 0) {
			printf("bad %s\n", e.text);
		} else {
			segments(sp);
			reports(sp);
			refused(sp);
			ledger(dir);
		}
		spool_close(sp);
		puts("end");
		fflush(stdout);
	}
	return 0;
}
