/* Would the watchdog notice a milter that does not answer? */
#include "milter/watchdog.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "t/tap.h"

struct server {
	int fd;
	const char *answer; /* NULL: closes at once */
	size_t len;
};

/* One connection: reads the question, answers, closes. */
static void *
serve(void *arg)
{
	const struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);
	char question[17];
	size_t have = 0;
	ssize_t n;

	while (s->answer != NULL && have < sizeof(question) &&
	       (n = read(fd, question + have, sizeof(question) - have)) > 0)
		have += (size_t)n;
	if (s->answer != NULL && write(fd, s->answer, s->len) < 0)
		perror("write");
	close(fd);
	return NULL;
}

static void
test_answer(const char *path, const char *answer, size_t len, const char *error)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct server s = { socket(AF_UNIX, SOCK_STREAM, 0), answer, len };
	pthread_t thread;
	char name[200];
	struct err e = { .text = "" };
	int rc;

	unlink(path);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (bind(s.fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(s.fd, 1) < 0 ||
	    pthread_create(&thread, NULL, serve, &s) != 0)
		abort();
	snprintf(name, sizeof(name), "unix:%s", path);
	rc = watchdog_ask(name, &e);
	pthread_join(thread, NULL);
	close(s.fd);
	unlink(path);
	if (error == NULL)
		ok(rc == 0, "an answer %s", e.text);
	else
		ok(rc < 0 && strstr(e.text, error) != NULL, "%s", e.text);
}

#define ANSWER(text) (text), sizeof(text) - 1

int
main(void)
{
	char dir[] = "/tmp/sp-watchdog.XXXXXX", path[100];
	struct err e = { .text = "" };

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	test_answer(path, ANSWER("\0\0\0\x0dO\0\0\0\6\0\0\0\0\0\0\0\0"), NULL);
	test_answer(path, ANSWER("\0\0\0\1r"), "the answer is none to a negotiation");
	test_answer(path, ANSWER("\0\0"), "closed without an answer");
	test_answer(path, NULL, 0, "");
	ok(watchdog_ask("unix:/nonexistent/socket", &e) < 0 &&
		strstr(e.text, "/nonexistent") != NULL,
	    "%s", e.text);
	ok(watchdog_ask("inet:1@127.0.0.1", &e) < 0, "%s", e.text);
	ok(watchdog_ask("inet:x@", &e) < 0, "%s", e.text);
	rmdir(dir);
	return tap_done();
}
