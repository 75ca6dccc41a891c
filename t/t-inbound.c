/*
 * Captured reports: envelope and mail go to disk and come back byte for byte, faults of the
 * disk, what a dead writer leaves, and what is no report.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/inbound.h"
#include "common/xalloc.h"
#include "t/spooldir.h"
#include "t/tap.h"

/* ---- a disk with faults; what was called is written down ---- */

/* Of each thread, so that the threads' test has no faults and no races. */
static _Thread_local char calls[200];
static _Thread_local struct {
	const char *name; /* of the call that fails; NULL: none */
	int skip, error;
} fault;

static bool
strikes(const char *name)
{
	size_t used = strlen(calls);

	snprintf(calls + used, sizeof(calls) - used, "%s%s", used > 0 ? " " : "", name);
	if (fault.name == NULL || strcmp(fault.name, name) != 0 || fault.skip-- > 0)
		return false;
	errno = fault.error;
	return true;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	static _Thread_local bool half; /* as a full disk does it: a part first, then the error */

	if (fd <= 2) /* our own report */
		return syscall(SYS_write, fd, p, n);
	if (fault.name != NULL && strcmp(fault.name, "write") == 0 && fault.skip == 0 && !half) {
		half = true;
		return syscall(SYS_write, fd, p, n / 2);
	}
	half = false;
	return strikes("write") ? -1 : syscall(SYS_write, fd, p, n);
}

int
fsync(int fd)
{
	return strikes("fsync") ? -1 : (int)syscall(SYS_fsync, fd);
}

int
renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	return strikes("rename") ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

static void
no_faults(void)
{
	fault.name = NULL;
	calls[0] = '\0';
}

/* ---- tools ---- */

static struct inbound_rcpt one_rcpt[] = { { { "b+x=y@bounces.example", 21 }, INBOUND_BOUNCE } };
static const struct inbound_envelope plain = {
	.n_rcpts = 1,
	.rcpts = one_rcpt,
	.queue_id = { "4RxyZ", 5 },
	.received_s = 1785845120,
};

static struct slice
some_mail(void)
{
	return SLICE_LIT(
	    "From: <>\r\nSubject:\tx\r\n\tfolded\r\n\r\n.\r\n..\r\n\xff\x80 8 bit\r\n");
}

static void
put(int dirfd, const char *name, struct slice data)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || file_write_all(fd, data) < 0)
		perror(name);
	close(fd);
}

static bool
same_envelope(const struct inbound_envelope *a, const struct inbound_envelope *b)
{
	bool same = slice_eq(a->from, b->from) && slice_eq(a->queue_id, b->queue_id) &&
	            slice_eq(a->client_ip, b->client_ip) &&
	            slice_eq(a->client_name, b->client_name) && slice_eq(a->helo, b->helo) &&
	            a->received_s == b->received_s && a->n_rcpts == b->n_rcpts;

	for (size_t i = 0; same && i < a->n_rcpts; i++)
		same = slice_eq(a->rcpts[i].address, b->rcpts[i].address) &&
		       a->rcpts[i].list == b->rcpts[i].list;
	return same;
}

/* ---- names ---- */

static void
names(void)
{
	static const struct {
		const char *name;
		bool is;
	} rows[] = {
		{ "in1-0006449A1B2C3D4E.eml", true },
		{ "in1-0006449a1B2C3D4E.eml", false },
		{ "in1-0006449A1B2C3D4.eml", false },
		{ "in1-0006449A1B2C3D4E.em", false },
		{ "in1-0006449A1B2C3D4E.eml~", false },
		{ "sp1-0006449A1B2C3D4E.json", false },
		{ "../in1-0006449A1B2C3D4E.eml", false },
		{ "", false },
		{ "tmp", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(inbound_is_name(rows[i].name) == rows[i].is, "name \"%s\"", rows[i].name);
}

/* ---- there and back ---- */

static void
round_trips(struct spool *sp)
{
	static char long_address[3000];
	struct inbound_rcpt many[500];
	struct inbound_rcpt both[] = {
		{ SLICE_LIT("Bounce@BOUNCES.example"), INBOUND_BOUNCE },
		{ SLICE_LIT("\"a \\\"b\\\" <c>\"@fbl.example"), INBOUND_FEEDBACK },
		{ SLICE_LIT("J\xc3\xbcrgen@bounces.example"), INBOUND_BOUNCE },
		{ SLICE_LIT("J\xfcrgen\xff@bounces.example"), INBOUND_BOUNCE },
	};
	struct inbound_envelope rows[] = {
		plain,
		{ .from = SLICE_LIT("abuse@isp.example"),
		    .n_rcpts = COUNT(both),
		    .rcpts = both,
		    .queue_id = SLICE_LIT("4bXyZ9012345"),
		    .client_ip = SLICE_LIT("2001:db8::1"),
		    .client_name = SLICE_LIT("mx.isp.example"),
		    .helo = SLICE_LIT("[192.0.2.1]\xe9"),
		    .received_s = 0 },
		{ .from = SLICE_LIT("a/b\\c\"d@x.example"), .n_rcpts = COUNT(many), .rcpts = many },
	};
	struct inbound_file f;
	struct inbound_writer *w;
	struct stat st;
	char name[INBOUND_NAME_SIZE] = "";
	struct err e = { 0 };

	memset(long_address, 'x', sizeof(long_address));
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = (struct inbound_rcpt){ { long_address, sizeof(long_address) - i },
			INBOUND_FEEDBACK };
	for (size_t i = 0; i < COUNT(rows); i++) {
		w = inbound_create(sp, &rows[i], &e);
		ok(w != NULL && inbound_write(w, some_mail(), &e) == 0 &&
			spooldir_entries(spool_inbound_tmp_fd(sp)) == 1 &&
			inbound_commit(w, name, &e) == 0,
		    "envelope %zu is written: %s", i, e.text);
		ok(inbound_is_name(name) && spooldir_entries(spool_inbound_tmp_fd(sp)) == 0,
		    "as %s, and nothing is left in tmp/", name);
		ok(inbound_open(spool_inbound_fd(sp), name, &f, &e) == 0 &&
			same_envelope(&f.env, &rows[i]) && slice_eq(f.mail, some_mail()),
		    "and comes back: %s", e.text);
		inbound_close(&f);
		ok(fstatat(spool_inbound_fd(sp), name, &st, 0) == 0 && (st.st_mode & 07777) == 0660,
		    "its mode is 0660");
		unlinkat(spool_inbound_fd(sp), name, 0);
	}
}

static void
controls(struct spool *sp)
{
	struct inbound_rcpt rcpt = { SLICE_LIT("a\rRSET\n\x7f@bounces.example"), INBOUND_BOUNCE };
	struct inbound_envelope env = { .from = { "x\0y", 3 }, .n_rcpts = 1, .rcpts = &rcpt };
	struct inbound_writer *w = inbound_create(sp, &env, NULL);
	char name[INBOUND_NAME_SIZE];
	struct inbound_file f;

	ok(w != NULL && inbound_commit(w, name, NULL) == 0 &&
		inbound_open(spool_inbound_fd(sp), name, &f, NULL) == 0,
	    "an envelope with control characters");
	ok(slice_eq(f.env.rcpts[0].address, SLICE_LIT("a?RSET??@bounces.example")) &&
		slice_eq(f.env.from, SLICE_LIT("x?y")) && f.mail.len == 0,
	    "has none when it comes back: %.*s", SLICE_FMT(f.env.rcpts[0].address));
	inbound_close(&f);
	unlinkat(spool_inbound_fd(sp), name, 0);
}

static void
big(struct spool *sp)
{
	enum { CHUNKS = 300 };
	static char chunk[70000];
	struct inbound_writer *w = inbound_create(sp, &plain, NULL);
	char name[INBOUND_NAME_SIZE] = "";
	struct inbound_file f = { 0 };
	size_t total = 0;
	bool good = w != NULL;

	for (size_t i = 0; good && i < CHUNKS; i++) {
		memset(chunk, 'a' + (int)(i % 26), sizeof(chunk));
		good = inbound_write(w, (struct slice){ chunk, i * 233 }, NULL) == 0;
		total += i * 233;
	}
	good = good && inbound_commit(w, name, NULL) == 0 &&
	       inbound_open(spool_inbound_fd(sp), name, &f, NULL) == 0 && f.mail.len == total;
	total = 0;
	for (size_t i = 0; good && i < CHUNKS; total += i++ * 233)
		for (size_t k = 0; good && k < i * 233; k++)
			good = f.mail.p[total + k] == 'a' + (char)(i % 26);
	ok(good, "%zu bytes in pieces of all sizes", total);
	inbound_close(&f);
	unlinkat(spool_inbound_fd(sp), name, 0);
}

/* ---- faults ---- */

static void
disk_faults(struct spool *sp)
{
	static const struct {
		const char *call;
		int skip, error;
		bool big; /* a mail that is written before the commit */
		const char *text;
	} rows[] = {
		{ "write", 0, ENOSPC, false, "No space left on device" },
		{ "write", 0, EDQUOT, false, "Disk quota exceeded" },
		{ "write", 0, ENOSPC, true, "No space left on device" },
		{ "write", 1, EIO, true, "Input/output error" },
		{ "fsync", 0, ENOSPC, false, "No space left on device" },
		{ "fsync", 0, EIO, false, "Input/output error" },
		{ "rename", 0, EIO, false, "Input/output error" },
		{ "fsync", 1, EIO, false, "sync directory inbound: Input/output error" },
	};
	static char much[200000];
	char name[INBOUND_NAME_SIZE];

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct inbound_writer *w = inbound_create(sp, &plain, NULL);
		struct err e = { .text = "" };
		int rc;

		no_faults();
		fault.name = rows[i].call;
		fault.skip = rows[i].skip;
		fault.error = rows[i].error;
		rc = rows[i].big ? inbound_write(w, (struct slice){ much, sizeof(much) }, &e)
		                 : inbound_write(w, some_mail(), &e);
		if (rc == 0)
			rc = inbound_commit(w, name, &e);
		else
			inbound_abandon(w);
		no_faults();
		ok(rc == -1 && e.num == rows[i].error && strstr(e.text, rows[i].text) != NULL,
		    "%s fails: %s", rows[i].call, e.text);
		ok(spooldir_entries(spool_inbound_tmp_fd(sp)) == 0 &&
			spooldir_entries(spool_inbound_fd(sp)) == 2,
		    "and nothing is left");
	}
}

static void
no_room(struct spool *sp)
{
	struct err e = { .text = "" };

	ok(inbound_room(sp, 0, &e) == 0 && inbound_room(sp, 1, &e) == 0, "there is room");
	ok(inbound_room(sp, UINT64_MAX, &e) < 0 && e.num == ENOSPC &&
		strstr(e.text, "bytes are free: No space left on device") != NULL,
	    "there is none: %s", e.text);
}

static void
refused(struct spool *sp)
{
	static char huge[INBOUND_ENVELOPE_MAX];
	struct inbound_rcpt rcpt = { { huge, sizeof(huge) }, INBOUND_BOUNCE };
	struct inbound_envelope env = { .rcpts = &rcpt };
	struct err e = { .text = "" };

	ok(inbound_create(sp, &env, &e) == NULL && strcmp(e.text, "no recipient") == 0, "%s",
	    e.text);
	env.n_rcpts = 1;
	memset(huge, '\x01', sizeof(huge));
	ok(inbound_create(sp, &env, &e) == NULL &&
		strcmp(e.text, "envelope longer than 8388608 bytes") == 0,
	    "%s", e.text);
	ok(spooldir_entries(spool_inbound_tmp_fd(sp)) == 0, "nothing was begun");
}

/* The order that makes it durable, and no more than it takes. */
static void
order(struct spool *sp)
{
	char name[INBOUND_NAME_SIZE];
	struct inbound_writer *w;

	w = inbound_create(sp, &plain, NULL);
	no_faults();
	ok(inbound_write(w, some_mail(), NULL) == 0 && inbound_commit(w, name, NULL) == 0 &&
		strcmp(calls, "write fsync rename fsync") == 0,
	    "a small report costs: %s", calls);
	unlinkat(spool_inbound_fd(sp), name, 0);
	w = inbound_create(sp, &plain, NULL);
	no_faults();
	ok(inbound_write(w, some_mail(), NULL) == 0 && inbound_sync(w, NULL) == 0 &&
		inbound_sync(w, NULL) == 0 && strcmp(calls, "write fsync") == 0 &&
		inbound_commit(w, name, NULL) == 0 &&
		strcmp(calls, "write fsync rename fsync") == 0,
	    "also in two steps: %s", calls);
	unlinkat(spool_inbound_fd(sp), name, 0);
	no_faults();
}

/* ---- names are never taken from another file ---- */

static void
name_taken(struct spool *sp)
{
	struct inbound_writer *w = inbound_create(sp, &plain, NULL);
	char name[INBOUND_NAME_SIZE];
	struct buf old;
	struct dirent *entry;
	DIR *d = fdopendir(openat(spool_inbound_tmp_fd(sp), ".", O_RDONLY | O_DIRECTORY));
	char mine[INBOUND_NAME_SIZE] = "";

	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			snprintf(mine, sizeof(mine), "%.31s", entry->d_name);
	closedir(d);
	put(spool_inbound_fd(sp), mine, SLICE_LIT("another's"));
	ok(inbound_commit(w, name, NULL) == 0 && strcmp(name, mine) != 0,
	    "a name that is taken is not used");
	buf_init(&old, 100);
	ok(file_read(spool_inbound_fd(sp), mine, &old, NULL) == 0 &&
		slice_eq(buf_slice(&old), SLICE_LIT("another's")),
	    "and its file stays");
	buf_free(&old);
	unlinkat(spool_inbound_fd(sp), mine, 0);
	unlinkat(spool_inbound_fd(sp), name, 0);
}

#define THREADS 8
#define EACH    50

static void *
capture_some(void *arg)
{
	char name[INBOUND_NAME_SIZE];

	for (size_t i = 0; i < EACH; i++) {
		struct inbound_writer *w = inbound_create(arg, &plain, NULL);

		if (w == NULL || inbound_write(w, some_mail(), NULL) < 0 ||
		    inbound_commit(w, name, NULL) < 0)
			return NULL;
	}
	return arg;
}

static void
many_threads(const char *dir)
{
	pthread_t threads[THREADS];
	struct spool *sp;
	bool good = true;
	void *rc;
	char own[SPOOLDIR_SIZE + 8];

	snprintf(own, sizeof(own), "%s/many", dir);
	sp = spool_open(own, NULL);
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, capture_some, sp);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &rc);
		good = good && rc != NULL;
	}
	ok(good && spooldir_entries(spool_inbound_fd(sp)) == 2 + THREADS * EACH &&
		spooldir_entries(spool_inbound_tmp_fd(sp)) == 0,
	    "%d threads capture %d reports", THREADS, THREADS * EACH);
	spool_close(sp);
}

/* ---- what dead writers leave ---- */

static void
recovery(struct spool *sp)
{
	struct spool *other = spool_open(spool_dir(sp), NULL);
	struct inbound_writer *live = inbound_create(sp, &plain, NULL);
	char name[INBOUND_NAME_SIZE];
	struct err e = { .text = "" };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct inbound_writer *w = inbound_create(other, &plain, NULL);

		if (w != NULL && inbound_write(w, some_mail(), NULL) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
		spooldir_entries(spool_inbound_tmp_fd(sp)) == 2,
	    "a killed writer leaves its file");
	put(spool_inbound_tmp_fd(sp), "notes.txt", SLICE_LIT("the operator's"));
	mkfifoat(spool_inbound_tmp_fd(sp), "in1-0006449A1B2C3D4E.eml", 0600);
	ok(symlinkat("/etc/passwd", spool_inbound_tmp_fd(sp), "in1-0006449A1B2C3D4F.eml") == 0,
	    "a link among them");
	put(spool_inbound_fd(sp), "in1-0006449A1B2C3D4E.eml", SLICE_LIT("captured"));
	ok(inbound_recover(other, &e) == 1 && spooldir_entries(spool_inbound_tmp_fd(sp)) == 4,
	    "it is removed; a live writer's and foreign files stay");
	ok(faccessat(spool_inbound_fd(sp), "in1-0006449A1B2C3D4E.eml", F_OK, 0) == 0,
	    "and so does what was captured");
	ok(inbound_write(live, some_mail(), NULL) == 0 && inbound_commit(live, name, NULL) == 0,
	    "the live writer goes on");
	unlinkat(spool_inbound_fd(sp), name, 0);
	unlinkat(spool_inbound_fd(sp), "in1-0006449A1B2C3D4E.eml", 0);
	for (const char *const *n = (const char *const[]){ "notes.txt", "in1-0006449A1B2C3D4E.eml",
		 "in1-0006449A1B2C3D4F.eml", NULL };
	     *n != NULL; n++)
		unlinkat(spool_inbound_tmp_fd(sp), *n, 0);
	live = inbound_create(sp, &plain, NULL);
	inbound_abandon(live);
	inbound_abandon(NULL);
	ok(inbound_recover(sp, &e) == 0 && spooldir_entries(spool_inbound_tmp_fd(sp)) == 0,
	    "what is given up is gone");
	spool_close(other);
}

/* ---- what is no report ---- */

#define GOOD_TEXTS                                                                                 \
	"\"from\":\"\",\"queue_id\":\"\",\"client_ip\":\"\",\"client_name\":\"\","                 \
	"\"helo\":\"\","

static void
bad_envelopes(void)
{
	static const struct {
		const char *text, *error; /* NULL: it is one */
	} rows[] = {
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":[{\"to\":\"a\",\"list\":\"bounce\"}]}\n",
		    NULL },
		{ "{" GOOD_TEXTS "\"received\":1,\"more\":{},\"rcpts\":[{\"to\":\"a\",\"list\":"
		  "\"feedback\",\"x\":1}]}\nmail",
		    NULL },
		{ "{" GOOD_TEXTS
		  "\"received\":1,\"rcpts\":[{\"to_b64\":\"YQ==\",\"list\":\"bounce\"}]}\n",
		    NULL },
		{ "", "no envelope: its line does not end" },
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":[{\"to\":\"a\",\"list\":\"bounce\"}]}",
		    "no envelope: its line does not end" },
		{ "\n", "envelope: not JSON" },
		{ "From: a@b\r\n\r\nmail\r\n", "envelope: not JSON" },
		{ "{" GOOD_TEXTS "\"received\":1,\n", "envelope: not JSON: incomplete" },
		{ "[]\n", "envelope: not an object" },
		{ "{}\n", "envelope: no text \"from\"" },
		{ "{\"from\":7}\n", "envelope: no text \"from\"" },
		{ "{\"from_b64\":\"YQ=\"}\n", "envelope: no text \"from\"" },
		{ "{\"from\":\"a\\u0000b\"}\n", "envelope: control character in \"from\"" },
		{ "{\"from_b64\":\"DQo=\"}\n", "envelope: control character in \"from\"" },
		{ "{" GOOD_TEXTS "\"rcpts\":[]}\n", "envelope: no number \"received\"" },
		{ "{" GOOD_TEXTS "\"received\":-1}\n", "envelope: no number \"received\"" },
		{ "{" GOOD_TEXTS "\"received\":1}\n", "envelope: no recipients" },
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":{}}\n", "envelope: no recipients" },
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":[]}\n", "envelope: no recipients" },
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":[1]}\n",
		    "envelope: a recipient that is no object" },
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":[{\"to\":\"\",\"list\":\"bounce\"}]}\n",
		    "envelope: an empty recipient" },
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":[{\"to\":\"a\"}]}\n",
		    "envelope: no text \"list\"" },
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":[{\"to\":\"a\",\"list\":\"spam\"}]}\n",
		    "envelope: unknown list \"spam\"" },
		{ "{" GOOD_TEXTS "\"received\":1,\"rcpts\":[[[[[[]]]]]]}\n",
		    "envelope: not JSON: nesting too deep" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { .text = "" };
		struct inbound_file f;
		int rc = inbound_parse(slice_str(rows[i].text), &f, &e);

		if (rows[i].error == NULL)
			ok(rc == 0, "%s: %s", rows[i].text, e.text);
		else
			ok(rc < 0 && strcmp(e.text, rows[i].error) == 0, "%s: %s", rows[i].text,
			    e.text);
		inbound_close(&f);
	}
}

static void
no_files(struct spool *sp)
{
	static char endless[INBOUND_ENVELOPE_MAX + 2];
	static const struct {
		const char *name, *error;
	} rows[] = {
		{ "none", "none: No such file or directory" },
		{ "fifo", "fifo: not a regular file" },
		{ "dir", "dir: not a regular file" },
		{ "link", "link: Too many levels of symbolic links" },
		{ "empty", "empty: empty" },
		{ "endless", "endless: envelope longer than 8388608 bytes" },
	};
	int fd = spool_inbound_fd(sp);
	struct inbound_file f;

	mkfifoat(fd, "fifo", 0600);
	mkdirat(fd, "dir", 0700);
	ok(symlinkat("/etc/passwd", fd, "link") == 0, "a link");
	put(fd, "empty", SLICE_LIT(""));
	memset(endless, ' ', sizeof(endless));
	put(fd, "endless", (struct slice){ endless, sizeof(endless) });
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { .text = "" };

		ok(inbound_open(fd, rows[i].name, &f, &e) < 0 && strcmp(e.text, rows[i].error) == 0,
		    "%s", e.text);
		inbound_close(&f);
		unlinkat(fd, rows[i].name, strcmp(rows[i].name, "dir") == 0 ? AT_REMOVEDIR : 0);
	}
}

int
main(void)
{
	char dir[SPOOLDIR_SIZE];
	struct spool *sp = (umask(007), spool_open(spooldir_make(dir), NULL));

	names();
	round_trips(sp);
	controls(sp);
	big(sp);
	order(sp);
	disk_faults(sp);
	no_room(sp);
	refused(sp);
	name_taken(sp);
	recovery(sp);
	bad_envelopes();
	no_files(sp);
	spool_close(sp);
	many_threads(dir);
	spooldir_remove(dir);
	return tap_done();
}
