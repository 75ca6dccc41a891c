#include "uploader/transfer_log.h"

#include <string.h>

#include "common/slice.h"
#include "t/tap.h"

static char lines[2000];

static void
take(const char *text)
{
	size_t n = strlen(lines);

	snprintf(lines + n, sizeof(lines) - n, "%s\n", text);
}

/*
 * What happens, a letter each: f found, t transferred, i an interval's scan,
 * r nothing more can be sent now, e the end. `waiting` is what is in the queue.
 */
static void
play(struct transfer_log *l, const char *what)
{
	size_t waiting = 0;

	lines[0] = '\0';
	for (; *what != '\0'; what++)
		switch (*what) {
		case 'f':
			transfer_log_found(l, "sp1-A.json");
			waiting++;
			break;
		case 't':
			transfer_log_transferred(l, "sp1-A.json");
			waiting--;
			break;
		case 'i':
			transfer_log_interval(l, waiting);
			break;
		case 'r':
			transfer_log_round(l, waiting);
			break;
		default:
			transfer_log_end(l, waiting);
		}
}

#define FOUND "Signals: Discovered sp1-A.json\n"
#define SENT  "Signals: Transferred sp1-A.json successfully.\n"
#define NONE  "Signals: Discovered 0 files\n"
#define ONE   "Signals: Discovered 1 file, transferred 1 file successfully\n"
#define TWO   "Signals: Discovered 2 files, transferred 2 files successfully\n"

int
main(void)
{
	static const struct {
		bool verbose;
		const char *happens, *want;
	} rows[] = {
		{ false, "ir", NONE },
		{ true, "ir", NONE },
		{ false, "irrr", NONE }, /* once an interval */
		{ false, "irir", NONE NONE },
		{ false, "fitr", ONE },
		{ false, "ffittr", TWO },
		{ true, "fitr", FOUND SENT ONE },
		{ false, "irftr", NONE }, /* by inotify: with the next interval */
		{ false, "irftrftrir", NONE TWO },
		{ true, "irftr", NONE FOUND SENT ONE },
		{ true, "irftrir", NONE FOUND SENT ONE NONE },
		{ true, "irffttr", NONE FOUND FOUND SENT SENT TWO },
		{ false, "firir",
		    "Signals: Discovered 1 file, transferred 0 files successfully\n"
		    "Signals: Discovered 1 file, transferred 0 files successfully\n" },
		{ false, "firtir",
		    "Signals: Discovered 1 file, transferred 0 files successfully\n" ONE },
		{ true, "irfr", NONE FOUND }, /* it waits: with the next interval */
		{ false, "fffiti",
		    "Signals: Discovered 3 files, transferred 1 file successfully\n" }, /* a long
		                                                                           queue */
		{ false, "fffititir",
		    "Signals: Discovered 3 files, transferred 1 file successfully\n"
		    "Signals: Discovered 2 files, transferred 1 file successfully\n"
		    "Signals: Discovered 1 file, transferred 0 files successfully\n" },
		{ false, "irfte", NONE ONE },
		{ false, "irfe", NONE }, /* at the end only what has been done */
		{ true, "irftre", NONE FOUND SENT ONE },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct transfer_log l;

		transfer_log_init(&l, rows[i].verbose, take);
		play(&l, rows[i].happens);
		if (!ok(strcmp(lines, rows[i].want) == 0, "%s%s", rows[i].happens,
			rows[i].verbose ? ", verbose" : ""))
			printf("# got %s", lines);
	}
	return tap_done();
}
