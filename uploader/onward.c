/*
 * onward.c - mails of inbound/onward/ to the MTA, one recipient at a time over libcurl.
 */
#include "uploader/onward.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/header.h"
#include "common/inbound.h"
#include "common/log.h"
#include "common/onward.h"
#include "common/rejected.h"
#include "common/token.h"
#include "common/xalloc.h"
#include "uploader/backoff.h"
#include "uploader/smtp.h"

#define LIST_MAX      100000
#define RESCAN_MS     60000
#define KEYS_RETRY_MS 60000
#define RCPT_SHOWN    320
#define LAST_WORD_MS  2000 /* for the relay's last answer when we end */
#define MANY          1000 /* mails: the directory is then read every few seconds at most */
#define MANY_MS       3000

/* Our own traces, so that a mail that is sent back to us is known. */
#define TRACE_HEADER "X-Signalpost-Forwarded"
#define TRACE_WORD   "forwarded "

static const struct backoff_range one_mail = { 5000, 30000, 1800 * 1000 };

struct item {
	char name[INBOUND_NAME_SIZE];
	struct backoff backoff;
	int64_t not_before_ms;
};

struct current { /* the mail that is being sent */
	struct item *item;
	struct inbound_file file;
	struct onward_order order;
	struct buf store; /* what the order borrows from */
	struct buf head;  /* our own fields before the mail's */
	size_t at;        /* the recipient whose turn it is; those before it wait */
	char said[200];   /* the last answer to one that waits */
};

struct onward {
	const struct conf *conf;
	struct spool *sp;
	int dir;
	struct rejected *rejected;
	struct token_ring *keys; /* NULL: not there yet */
	struct smtp *smtp;
	struct item *items; /* by name */
	size_t n_items;
	int64_t rescan_ms, not_before_ms;
	struct backoff backoff; /* the relay's */
	bool keys_missing;      /* and it has been logged */
	int64_t scanned_ms;
	bool open;    /* there is a current mail */
	bool closing; /* no other transfer is begun */
	struct current cur;
};

static void finished(struct onward *o, const struct smtp_result *r);

static int64_t
wait_ms(struct backoff *b, const struct backoff_range *range)
{
	uint32_t r;

	hash_random(&r, sizeof(r));
	return backoff_next(b, range, 0, r);
}

/* ---- opening ---- */

struct onward *
onward_job_open(const struct conf *conf, struct spool *sp, struct err *e)
{
	struct onward *o = xcalloc(1, sizeof(*o));

	o->conf = conf;
	o->sp = sp;
	buf_init(&o->cur.store, BUF_NO_LIMIT);
	buf_init(&o->cur.head, BUF_NO_LIMIT);
	o->dir = onward_dir(sp, e);
	if (o->dir < 0 || (o->smtp = smtp_open(e)) == NULL) {
		onward_job_close(o);
		return NULL;
	}
	o->rejected = rejected_open(spool_rejected_fd(sp), NULL);
	return o;
}

static void
close_current(struct onward *o)
{
	if (!o->open)
		return;
	inbound_close(&o->cur.file);
	free(o->cur.order.rcpts);
	o->cur.order.rcpts = NULL;
	o->open = false;
}

/* A mail that is given up while the relay thinks about its answer may come twice. */
static void
await_last_word(struct onward *o)
{
	struct pollfd pfd = { .fd = smtp_fd(o->smtp), .events = POLLIN };
	int64_t end = clock_mono_ms() + LAST_WORD_MS;
	const struct smtp_result *r;

	o->closing = true;
	while (o->open && smtp_is_ending(o->smtp) && clock_mono_ms() < end) {
		poll(&pfd, 1, 50);
		smtp_step(o->smtp);
		if ((r = smtp_take(o->smtp)) != NULL)
			finished(o, r);
	}
}

void
onward_job_close(struct onward *o)
{
	if (o == NULL)
		return;
	if (o->smtp != NULL)
		await_last_word(o);
	smtp_close(o->smtp);
	close_current(o);
	token_ring_close(o->keys);
	rejected_close(o->rejected);
	if (o->dir >= 0)
		close(o->dir);
	buf_free(&o->cur.store);
	buf_free(&o->cur.head);
	free(o->items);
	free(o);
}

void
onward_job_wake(struct onward *o)
{
	o->rescan_ms = o->n_items < MANY ? 0 : o->scanned_ms + MANY_MS;
}

int
onward_job_fd(const struct onward *o)
{
	return smtp_fd(o->smtp);
}

/* ---- what is there ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

/* Read the directory; what is known of a mail is kept. Only between two mails. */
static void
rescan(struct onward *o, int64_t now)
{
	struct item *items;
	char **names;
	struct err e;
	ssize_t n = onward_list(o->dir, LIST_MAX, &names, &e);

	o->scanned_ms = now;
	o->rescan_ms = now + RESCAN_MS;
	if (n < 0) {
		log_error("%s", e.text);
		return;
	}
	items = xcalloc((size_t)n + 1, sizeof(*items));
	for (size_t i = 0; i < (size_t)n; i++) {
		const struct item *old;

		snprintf(items[i].name, sizeof(items[i].name), "%s", names[i]);
		old = o->n_items == 0
		          ? NULL
		          : bsearch(&items[i], o->items, o->n_items, sizeof(*items), by_name);
		if (old != NULL)
			items[i] = *old;
		free(names[i]);
	}
	free(names);
	free(o->items);
	o->items = items;
	o->n_items = (size_t)n;
}

static void
forget(struct onward *o, struct item *item)
{
	size_t i = (size_t)(item - o->items);

	memmove(item, item + 1, (o->n_items - i - 1) * sizeof(*item));
	o->n_items--;
}

static bool
have_keys(struct onward *o)
{
	struct err e;

	if (o->keys == NULL &&
	    (o->keys = token_ring_open(o->conf->token_keys.directory, &e)) == NULL) {
		if (!o->keys_missing)
			log_error("onward: %s; what must go on waits in %s/inbound/onward", e.text,
			    spool_dir(o->sp));
		o->keys_missing = true;
		return false;
	}
	o->keys_missing = false;
	return true;
}

/* ---- refused for good ---- */

/* The mail `file` of the directory to rejected/. */
static int
reject_file(struct onward *o, const char *file, const char *name, const char *why, struct err *e)
{
	char kept[REJECTED_NAME_SIZE];
	struct rejected_why w = {
		.sink = SLICE_LIT("onward"), .reason = slice_str(why), .segment = slice_str(name)
	};

	if (rejected_take(o->rejected, o->dir, file, &w, kept, e) < 0)
		return -1;
	log_error("onward: %s: %s; the mail is kept in %s/rejected/%s", name, why, spool_dir(o->sp),
	    kept);
	return 0;
}

/* Others of its recipients may still have hope: then a second name of the mail goes. */
static int
reject_rcpt(struct onward *o, struct slice rcpt, const char *reply, struct err *e)
{
	char why[SMTP_REPLY_MAX + RCPT_SHOWN + 40], copy[INBOUND_NAME_SIZE + 8];
	const char *name = o->cur.item->name;

	snprintf(why, sizeof(why), "the relay refused <%.*s>: %s",
	    SLICE_FMT(slice_head(rcpt, RCPT_SHOWN)), reply);
	if (o->cur.order.n_rcpts == 1)
		return reject_file(o, name, name, why, e);
	snprintf(copy, sizeof(copy), "again-%s", name);
	if (linkat(o->dir, name, o->dir, copy, 0) < 0 && errno != EEXIST)
		return err_errno(e, "link inbound/onward/%s", name);
	return reject_file(o, copy, name, why, e);
}

/* ---- one mail ---- */

/* Wait with this mail. */
static void
later(struct onward *o, const char *why)
{
	struct item *item = o->cur.item;
	int64_t wait = wait_ms(&item->backoff, &one_mail);

	item->not_before_ms = clock_mono_ms() + wait;
	log_warn("onward: %s waits: %s; next try in %lld s", item->name, why,
	    (long long)(wait + 999) / 1000);
	close_current(o);
}

/* Wait with all: it is not this mail that is the trouble. */
static void
all_later(struct onward *o, const char *why)
{
	int64_t wait = wait_ms(&o->backoff, &backoff_normal);

	o->not_before_ms = clock_mono_ms() + wait;
	log_warn("onward: %s waits: %s; next try in %lld s", o->cur.item->name, why,
	    (long long)(wait + 999) / 1000);
	close_current(o);
}

static void
remove_item(struct onward *o, struct item *item)
{
	struct err e;

	if (onward_remove(o->dir, item->name, &e) < 0)
		log_error("%s; it may be sent again", e.text);
	forget(o, item);
}

static void
done(struct onward *o)
{
	/* Unmapped first; then it may go. */
	close_current(o);
	remove_item(o, o->cur.item);
}

/* The recipient whose turn it was is dealt with. */
static void
strike_out(struct onward *o)
{
	struct onward_order *order = &o->cur.order;
	struct err e;

	order->n_rcpts--;
	memmove(&order->rcpts[o->cur.at], &order->rcpts[o->cur.at + 1],
	    (order->n_rcpts - o->cur.at) * sizeof(*order->rcpts));
	if (order->n_rcpts == 0)
		done(o);
	else if (onward_order_write(o->dir, o->cur.item->name, order, &e) < 0)
		log_error("%s: %s; it may be sent again", o->cur.item->name, e.text);
}

/* Has it been sent on from here before, and come back? Only our keys can have made the trace. */
static bool
has_returned(const struct onward *o)
{
	struct slice rest = o->cur.file.mail;
	struct buf plain;
	struct header h;
	bool yes = false;
	int rc;

	buf_init(&plain, TOKEN_PLAIN_MAX);
	while (!yes && (rc = header_next(&rest, &h)) != 0) {
		if (rc < 0 || !slice_eqi(h.name, SLICE_LIT(TRACE_HEADER)))
			continue;
		buf_clear(&plain);
		yes = token_open(
			  o->keys, TOKEN_ONWARD, TOKEN_BASE64URL, slice_trim(h.value), &plain) &&
		      slice_starts(buf_slice(&plain), SLICE_LIT(TRACE_WORD));
	}
	buf_free(&plain);
	return yes;
}

/* Microseconds since 1970 are in its name. */
static int64_t
age_s(const char *name)
{
	uint64_t made = strtoull(name + 4, NULL, 16);

	return clock_wall_s() - (int64_t)(made / 1000000);
}

static void
expire(struct onward *o)
{
	struct item *item = o->cur.item;
	char why[sizeof(o->cur.said) + 80];
	struct err e;

	snprintf(
	    why, sizeof(why), "not taken within onward-age, %zu recipients", o->cur.order.n_rcpts);
	if (reject_file(o, item->name, item->name, why, &e) < 0) {
		later(o, e.text);
		return;
	}
	done(o);
}

/* It can't be read: to rejected/. */
static void
reject_unread(struct onward *o, struct item *item, const struct err *why)
{
	struct err e;

	if (reject_file(o, item->name, item->name, why->text, &e) < 0) {
		log_error("onward: %s: %s; %s", item->name, why->text, e.text);
		item->not_before_ms = clock_mono_ms() + RESCAN_MS;
	} else {
		remove_item(o, item);
	}
}

/* Open the mail and its order. False: nothing to send now. */
static bool
open_current(struct onward *o, struct item *item)
{
	struct err e;
	int rc;

	o->cur.item = item;
	o->cur.at = 0;
	rc = onward_order_read(o->dir, item->name, &o->cur.order, &o->cur.store, &e);
	if (rc == 0)
		err_text(&e, 0, "there is no order for it");
	if (rc <= 0) {
		reject_unread(o, item, &e);
		return false;
	}
	o->open = true;
	if (inbound_open(o->dir, item->name, &o->cur.file, &e) < 0) {
		close_current(o);
		reject_unread(o, item, &e);
		return false;
	}
	if (has_returned(o)) {
		log_warn("onward: %s has been sent on from here before and came back: dropped",
		    item->name);
		done(o);
		return false;
	}
	if (age_s(item->name) > (int64_t)o->conf->inbound.onward_age_s) {
		expire(o);
		return false;
	}
	return true;
}

/* Our fields: the seal for the milter, the trace, and who sent it. */
static int
make_head(struct onward *o, struct err *e)
{
	const struct onward_order *order = &o->cur.order;
	const char *name = o->cur.item->name;
	struct buf trace, *head = &o->cur.head;
	int rc;

	buf_clear(head);
	buf_adds(head, ONWARD_HEADER ": ");
	if (onward_seal(o->keys, name, order->rcpts[o->cur.at], clock_wall_s(), head, e) < 0)
		return -1;
	buf_adds(head, "\r\n" TRACE_HEADER ": ");
	buf_init(&trace, TOKEN_PLAIN_MAX);
	buf_printf(&trace, TRACE_WORD "%s", name);
	rc = token_seal(o->keys, TOKEN_ONWARD, TOKEN_BASE64URL, buf_slice(&trace), head, e);
	buf_free(&trace);
	buf_adds(head, "\r\nX-Signalpost-Sender: <");
	for (size_t i = 0; i < order->from.len && i < RCPT_SHOWN; i++) {
		unsigned char c = (unsigned char)order->from.p[i];

		buf_addc(head, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
	buf_adds(head, ">\r\n");
	return rc;
}

/*
 * Whom a bounce of it may reach: the operator, who is told that mail got lost. Never the
 * sender: anybody's name can stand there. What came without a sender goes without one.
 */
static struct slice
sender(const struct onward *o)
{
	const char *postmaster = o->conf->postmaster;
	enum conf_relay relay;

	if (o->cur.order.from.len == 0 || postmaster == NULL)
		return SLICE_LIT("");
	relay = conf_relay_for(o->conf, slice_str(postmaster));
	if (relay == CONF_RELAY_BOUNCE || relay == CONF_RELAY_FEEDBACK)
		return SLICE_LIT("");
	return slice_str(postmaster);
}

/* Begin with the recipient whose turn it is. */
static void
send_current(struct onward *o)
{
	struct smtp_mail mail;
	struct buf relay;
	struct err e;
	unsigned port;
	int rc;

	buf_init(&relay, 128);
	conf_onward_relay(o->conf, &relay, &port);
	rc = make_head(o, &e);
	mail = (struct smtp_mail){ .relay = buf_str(&relay),
		.port = port,
		.helo = o->conf->host_names.n > 0 ? o->conf->host_names.v[0] : o->conf->node_name,
		.from = sender(o),
		.rcpt = o->cur.order.rcpts[o->cur.at],
		.head = buf_slice(&o->cur.head),
		.mail = o->cur.file.mail };
	if (rc == 0)
		rc = smtp_start(o->smtp, &mail, &e);
	buf_free(&relay);
	if (rc < 0)
		later(o, e.text);
}

/* All of its recipients have been tried: those that are left wait. Else the next one's turn. */
static void
go_on(struct onward *o)
{
	if (!o->open || o->closing)
		return;
	if (o->cur.at < o->cur.order.n_rcpts)
		send_current(o);
	else
		later(o, o->cur.said);
}

static void
finished(struct onward *o, const struct smtp_result *r)
{
	struct slice rcpt = o->cur.order.rcpts[o->cur.at];
	struct err e;

	switch (r->outcome) {
	case SMTP_RELAY_TROUBLE:
		all_later(o, r->reply);
		return;
	case SMTP_TAKEN:
		log_info("onward: %s to=<%.*s> (%.*s): %s", o->cur.item->name,
		    SLICE_FMT(slice_head(rcpt, RCPT_SHOWN)), SLICE_FMT(o->cur.order.why), r->reply);
		strike_out(o);
		break;
	case SMTP_REFUSED:
		if (reject_rcpt(o, rcpt, r->reply, &e) < 0) {
			later(o, e.text);
			return;
		}
		strike_out(o);
		break;
	case SMTP_LATER:
		snprintf(o->cur.said, sizeof(o->cur.said), "%.180s", r->reply);
		o->cur.at++;
		break;
	}
	backoff_reset(&o->backoff);
	go_on(o);
}

/* ---- the job ---- */

/* The oldest mail whose time has come; else *wake is when the first one's will. */
static struct item *
next_item(struct onward *o, int64_t now, int64_t *wake)
{
	for (size_t i = 0; i < o->n_items; i++) {
		if (o->items[i].not_before_ms <= now)
			return &o->items[i];
		if (o->items[i].not_before_ms < *wake)
			*wake = o->items[i].not_before_ms;
	}
	return NULL;
}

int64_t
onward_job_step(struct onward *o)
{
	const struct smtp_result *r;
	struct item *item;
	int64_t now = clock_mono_ms(), wake;

	smtp_step(o->smtp);
	if ((r = smtp_take(o->smtp)) != NULL)
		finished(o, r);
	if (o->open)
		return smtp_wake_ms(o->smtp);
	if (now >= o->rescan_ms)
		rescan(o, now);
	wake = o->rescan_ms;
	if (o->n_items == 0)
		return wake;
	if (now < o->not_before_ms)
		return o->not_before_ms < wake ? o->not_before_ms : wake;
	item = next_item(o, now, &wake);
	if (item == NULL)
		return wake;
	if (!have_keys(o)) {
		o->not_before_ms = now + KEYS_RETRY_MS;
		return o->not_before_ms;
	}
	/* One a turn, also of those that are not sent: nothing else is kept waiting. */
	if (open_current(o, item))
		send_current(o);
	return o->open ? smtp_wake_ms(o->smtp) : now;
}
