#include "uploader/smtp.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/xalloc.h"

#define RCPT_MAX 1000

/* What the next answer is about. */
enum stage { GREETING, HELLO, MAIL, RCPT, DATA, CONTENT, OVER };

struct smtp {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *rcpts;
	int epoll;
	int socket;       /* of the connection, which libcurl keeps; -1: none */
	int64_t timer_ms; /* libcurl's; INT64_MAX: none */
	bool busy, finished;
	char curl_error[CURL_ERROR_SIZE];

	enum stage stage, failed_at;
	unsigned code; /* of the last whole answer; 0: there was none */

	struct slice parts[2]; /* what is still to be sent */
	char before;           /* the byte that was sent last */
	bool owe_lf;           /* the CR of a line end that was LF alone has been sent */
	struct smtp_result result;
};

/* ---- libcurl's events ---- */

static int
socket_event(CURL *easy, curl_socket_t fd, int what, void *arg, void *per_socket)
{
	struct smtp *s = arg;
	struct epoll_event ev = { .data.fd = fd };

	(void)easy, (void)per_socket;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	ev.events = (what != CURL_POLL_OUT ? EPOLLIN : 0u) | (what != CURL_POLL_IN ? EPOLLOUT : 0u);
	if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, fd, &ev) < 0)
		epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev);
	return 0;
}

static int
timer_event(CURLM *multi, long timeout_ms, void *arg)
{
	struct smtp *s = arg;

	(void)multi;
	s->timer_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
	return 0;
}

static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct smtp *s = arg;

	(void)purpose;
	s->socket = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	return s->socket;
}

static int
close_socket(void *arg, curl_socket_t fd)
{
	struct smtp *s = arg;

	if (s->socket == fd)
		s->socket = -1;
	return close(fd);
}

/*
 * When libcurl closes a connection it says QUIT and waits for the answer, for minutes, and
 * holds up all that we do. There is nothing to wait for.
 */
static void
hang_up(const struct smtp *s)
{
	if (s->socket >= 0)
		shutdown(s->socket, SHUT_RDWR);
}

struct smtp *
smtp_open(struct err *e)
{
	struct smtp *s = xcalloc(1, sizeof(*s));

	s->timer_ms = INT64_MAX;
	s->socket = -1;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->multi = curl_multi_init();
	s->easy = curl_easy_init();
	if (s->epoll < 0 || s->multi == NULL || s->easy == NULL) {
		err_text(e, s->epoll < 0 ? errno : 0, "libcurl or epoll can't be set up");
		smtp_close(s);
		return NULL;
	}
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, socket_event);
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, timer_event);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
	return s;
}

void
smtp_close(struct smtp *s)
{
	if (s == NULL)
		return;
	hang_up(s);
	if (s->busy)
		curl_multi_remove_handle(s->multi, s->easy);
	curl_easy_cleanup(s->easy);
	curl_multi_cleanup(s->multi);
	curl_slist_free_all(s->rcpts);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s);
}

/* ---- the conversation ---- */

static void
sent_command(struct smtp *s, struct slice line)
{
	static const struct {
		struct slice verb;
		enum stage stage;
	} verbs[] = {
		{ SLICE_LIT("EHLO"), HELLO },
		{ SLICE_LIT("HELO"), HELLO },
		{ SLICE_LIT("MAIL"), MAIL },
		{ SLICE_LIT("RCPT"), RCPT },
		{ SLICE_LIT("DATA"), DATA },
	};

	for (size_t i = 0; i < COUNT(verbs); i++)
		if (slice_startsi(line, verbs[i].verb)) {
			s->stage = verbs[i].stage;
			return;
		}
	s->stage = OVER; /* QUIT */
	hang_up(s);
}

/* Keep what it said last, and at which stage it said no first. */
static void
got_line(struct smtp *s, struct slice line)
{
	uint64_t code;

	line = slice_trim(line);
	if (s->stage == OVER || line.len < 3 || !slice_uint(slice_head(line, 3), 599, &code))
		return;
	if (line.len > 3 && line.p[3] == '-')
		return;
	if (s->failed_at != OVER) /* what follows a refusal is of no interest */
		return;
	s->code = (unsigned)code;
	snprintf(s->result.reply, sizeof(s->result.reply), "%.*s", SLICE_FMT(line));
	for (char *c = s->result.reply; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	if (code >= 400)
		s->failed_at = s->stage;
	else if (s->stage == DATA && code == 354)
		s->stage = CONTENT;
	else if (s->stage == CONTENT)
		s->stage = OVER;
}

static int
debug_event(CURL *easy, curl_infotype type, char *data, size_t len, void *arg)
{
	struct slice bytes = { data, len };

	(void)easy;
	if (type == CURLINFO_HEADER_OUT)
		sent_command(arg, bytes);
	else if (type == CURLINFO_HEADER_IN)
		got_line(arg, bytes);
	return 0;
}

/* The next bytes, with each line end made CRLF (a lone CR becomes a blank). */
static size_t
give(char *out, size_t size, size_t n, void *arg)
{
	struct smtp *s = arg;
	size_t room = size * n, used = 0;

	while (used < room) {
		struct slice *part = s->parts[0].len > 0 ? &s->parts[0] : &s->parts[1];
		char c;

		if (s->owe_lf) {
			out[used++] = s->before = '\n';
			s->owe_lf = false;
			continue;
		}
		if (part->len == 0)
			break;
		c = *part->p;
		*part = slice_skip(*part, 1);
		if (c == '\n' && s->before != '\r') {
			c = '\r';
			s->owe_lf = true;
		} else if (c == '\r' && (part->len == 0 || *part->p != '\n')) {
			c = ' ';
		}
		out[used++] = s->before = c;
	}
	return used;
}

#define SET(option, value)                                                                         \
	do                                                                                         \
		if (rc == CURLE_OK)                                                                \
			rc = curl_easy_setopt(s->easy, (option), (value));                         \
	while (0)

static CURLcode
set_transfer(struct smtp *s, const char *url, const char *from)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_URL, url);
	SET(CURLOPT_PROTOCOLS_STR, "smtp");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_USE_SSL, (long)CURLUSESSL_NONE);
	if (from[0] != '\0') /* else it is the null sender */
		SET(CURLOPT_MAIL_FROM, from);
	SET(CURLOPT_MAIL_RCPT, s->rcpts);
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_READFUNCTION, give);
	SET(CURLOPT_READDATA, s);
	SET(CURLOPT_CONNECTTIMEOUT, (long)SMTP_CONNECT_TIMEOUT_S);
	SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)SMTP_REPLY_TIMEOUT_S);
	SET(CURLOPT_TIMEOUT, (long)SMTP_TIMEOUT_S);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_ERRORBUFFER, s->curl_error);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, s);
	SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, s);
	SET(CURLOPT_VERBOSE, 1L); /* for the debug function alone */
	SET(CURLOPT_DEBUGFUNCTION, debug_event);
	SET(CURLOPT_DEBUGDATA, s);
	return rc;
}

#undef SET

/* libcurl puts it between < and > as it is. */
static bool
is_path(struct slice rcpt)
{
	if (rcpt.len > RCPT_MAX)
		return false;
	for (size_t i = 0; i < rcpt.len; i++) {
		unsigned char c = (unsigned char)rcpt.p[i];

		if (c < 0x20 || c == 0x7f || c == '<' || c == '>')
			return false;
	}
	return true;
}

static void
make_url(const struct smtp_mail *mail, struct buf *url)
{
	bool v6 = strchr(mail->relay, ':') != NULL;

	buf_init(url, BUF_NO_LIMIT);
	buf_printf(url, "smtp://%s%s%s:%u/", v6 ? "[" : "", mail->relay, v6 ? "]" : "", mail->port);
	for (const char *c = mail->helo; *c != '\0'; c++)
		if ((*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') ||
		    (*c >= 'a' && *c <= 'z') || *c == '.' || *c == '-')
			buf_addc(url, *c);
}

int
smtp_start(struct smtp *s, const struct smtp_mail *mail, struct err *e)
{
	struct buf text, from;
	CURLcode rc;

	if (mail->rcpt.len == 0 || !is_path(mail->rcpt) || !is_path(mail->from))
		return err_set(e, "an address that can't be one");
	curl_slist_free_all(s->rcpts);
	buf_init(&text, BUF_NO_LIMIT);
	buf_add(&text, mail->rcpt);
	s->rcpts = curl_slist_append(NULL, buf_str(&text));
	buf_free(&text);
	s->parts[0] = mail->head;
	s->parts[1] = mail->mail;
	s->before = '\0';
	s->owe_lf = s->finished = false;
	s->stage = GREETING;
	s->failed_at = OVER;
	s->code = 0;
	s->curl_error[0] = s->result.reply[0] = '\0';
	make_url(mail, &text);
	curl_easy_reset(s->easy); /* keeps the connection */
	buf_init(&from, BUF_NO_LIMIT);
	buf_add(&from, mail->from);
	rc = s->rcpts == NULL ? CURLE_OUT_OF_MEMORY
	                      : set_transfer(s, buf_str(&text), buf_str(&from));
	buf_free(&from);
	buf_free(&text);
	if (rc != CURLE_OK)
		return err_set(e, "smtp: %s", curl_easy_strerror(rc));
	if (curl_multi_add_handle(s->multi, s->easy) != CURLM_OK)
		return err_set(e, "smtp: libcurl takes no transfer");
	s->busy = true;
	return 0;
}

/* What the conversation came to. */
static enum smtp_outcome
judge(const struct smtp *s, CURLcode code)
{
	if (code == CURLE_OK)
		return SMTP_TAKEN;
	/* Our 250 stands, whatever came of the connection then. */
	if (s->stage == OVER && s->failed_at == OVER && s->code / 100 == 2)
		return SMTP_TAKEN;
	if (s->failed_at != OVER)
		return s->failed_at < RCPT ? SMTP_RELAY_TROUBLE
		       : s->code >= 500    ? SMTP_REFUSED
		                           : SMTP_LATER;
	return s->stage < RCPT ? SMTP_RELAY_TROUBLE : SMTP_LATER;
}

static void
finish(struct smtp *s, CURLcode code)
{
	long os_errno = 0;

	curl_multi_remove_handle(s->multi, s->easy);
	s->busy = false;
	s->finished = true;
	s->result.outcome = judge(s, code);
	if (s->result.outcome == SMTP_TAKEN || s->failed_at != OVER)
		return;
	/* The relay did not say it; libcurl does. */
	curl_easy_getinfo(s->easy, CURLINFO_OS_ERRNO, &os_errno);
	snprintf(s->result.reply, sizeof(s->result.reply), "%s%s%s",
	    s->curl_error[0] != '\0' ? s->curl_error : curl_easy_strerror(code),
	    os_errno != 0 ? ": " : "", os_errno != 0 ? strerror((int)os_errno) : "");
}

int
smtp_fd(const struct smtp *s)
{
	return s->epoll;
}

int64_t
smtp_wake_ms(const struct smtp *s)
{
	return s->finished ? 0 : s->timer_ms;
}

void
smtp_step(struct smtp *s)
{
	struct epoll_event ev[4];
	int running, left, n = epoll_wait(s->epoll, ev, COUNT(ev), 0);
	CURLMsg *m;

	for (int i = 0; i < n; i++) {
		int mask = ((ev[i].events & (EPOLLIN | EPOLLHUP)) != 0 ? CURL_CSELECT_IN : 0) |
		           ((ev[i].events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
		           ((ev[i].events & EPOLLERR) != 0 ? CURL_CSELECT_ERR : 0);

		curl_multi_socket_action(s->multi, ev[i].data.fd, mask, &running);
	}
	if (clock_mono_ms() >= s->timer_ms) {
		s->timer_ms = INT64_MAX;
		curl_multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	while ((m = curl_multi_info_read(s->multi, &left)) != NULL)
		if (m->msg == CURLMSG_DONE)
			finish(s, m->data.result);
}

bool
smtp_is_ending(const struct smtp *s)
{
	return s->busy && s->stage == CONTENT && s->failed_at == OVER && s->parts[0].len == 0 &&
	       s->parts[1].len == 0;
}

const struct smtp_result *
smtp_take(struct smtp *s)
{
	if (!s->finished)
		return NULL;
	s->finished = false;
	return &s->result;
}
