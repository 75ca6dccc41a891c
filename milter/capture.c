#include "milter/capture.h"

#include <stdlib.h>

#include "common/onward.h"
#include "common/outgoing.h"
#include "common/xalloc.h"

#define TOKEN_TEXT_MAX 8192 /* a longer header is no loop guard */
#define RESERVE        (20u << 20)
#define LOGGED_MAX     8 /* recipients in the log line; the rest is counted */
#define ADDRESS_SHOWN  254

uint64_t
capture_reserve(uint64_t min_free_space)
{
	return min_free_space < RESERVE ? min_free_space : RESERVE;
}

void
capture_free(struct capture *c)
{
	inbound_abandon(c->writer);
	for (size_t i = 0; i < c->n; i++) {
		free(c->paths[i]);
		free(c->read[i]);
	}
	free(c->paths);
	free(c->read);
	free(c->rcpts);
	free(c->token);
	*c = (struct capture){ 0 };
}

static struct slice
without_brackets(const char *path)
{
	struct slice p = slice_trim(slice_str(path));

	if (p.len >= 2 && p.p[0] == '<' && p.p[p.len - 1] == '>')
		p = slice_head(slice_skip(p, 1), p.len - 2);
	return p;
}

/* In brackets; NULL if that is `path`. */
static char *
another_form(const char *path, const char *read)
{
	struct buf b;

	if (read == NULL || *read == '\0')
		return NULL;
	buf_init(&b, BUF_NO_LIMIT);
	buf_printf(&b, "<%s>", read);
	if (strcmp(buf_str(&b), path) != 0)
		return buf_take(&b);
	buf_free(&b);
	return NULL;
}

void
capture_add(struct capture *c, enum inbound_list list, const char *path, const char *read)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->paths[i], path) == 0)
			return;
	c->paths = xgrow(c->paths, c->n, &c->path_room, sizeof(*c->paths));
	c->read = xgrow(c->read, c->n, &c->read_room, sizeof(*c->read));
	c->rcpts = xgrow(c->rcpts, c->n, &c->room, sizeof(*c->rcpts));
	c->paths[c->n] = xstrdup(path);
	c->read[c->n] = another_form(path, read);
	c->rcpts[c->n] = (struct inbound_rcpt){ without_brackets(c->paths[c->n]), list };
	c->n++;
}

/* ---- the mail as it comes ---- */

static void
give_up(struct capture *c)
{
	c->failed = true;
	inbound_abandon(c->writer);
	c->writer = NULL;
}

void
capture_begin(struct capture *c, struct spool *sp, const struct inbound_envelope *env,
    uint64_t limit, uint64_t reserve)
{
	struct inbound_envelope whole = *env;

	if (c->begun || c->n == 0)
		return;
	c->begun = true;
	c->limit = limit;
	whole.rcpts = c->rcpts;
	whole.n_rcpts = c->n;
	if (inbound_room(sp, reserve, &c->error) == 0)
		c->writer = inbound_create(sp, &whole, &c->error);
	c->failed = c->writer == NULL;
}

static void
put(struct capture *c, struct slice bytes)
{
	if (c->writer == NULL)
		return;
	c->bytes += bytes.len;
	if (c->bytes > c->limit) {
		err_text(&c->error, 0, "more than %llu bytes", (unsigned long long)c->limit);
		give_up(c);
	} else if (inbound_write(c->writer, bytes, &c->error) < 0) {
		give_up(c);
	}
}

/* Folds come as LF; in the file lines end with CRLF. */
static void
put_value(struct capture *c, struct slice value)
{
	while (value.len > 0) {
		size_t n = slice_find(value, '\n');

		put(c, slice_head(
			   value, n > 0 && n < value.len && value.p[n - 1] == '\r' ? n - 1 : n));
		put(c, SLICE_LIT("\r\n"));
		value = slice_skip(value, n + 1);
	}
}

void
capture_header(struct capture *c, struct slice name, struct slice value)
{
	if (slice_eqi(name, SLICE_LIT(ONWARD_HEADER))) {
		if (c->n_tokens++ == 0 && value.len <= TOKEN_TEXT_MAX)
			c->token = xslicedup(value);
	}
	put(c, name);
	put(c, SLICE_LIT(":"));
	if (value.len == 0)
		put(c, SLICE_LIT("\r\n"));
	put_value(c, value);
}

static void
end_headers(struct capture *c)
{
	if (!c->in_body)
		put(c, SLICE_LIT("\r\n"));
	c->in_body = true;
}

void
capture_body(struct capture *c, struct slice bytes)
{
	end_headers(c);
	put(c, bytes);
}

/* ---- the end ---- */

bool
capture_is_onward(struct capture *c, const struct token_ring *ring, const struct slice *ordinary,
    size_t n_ordinary, int64_t now, char name[INBOUND_NAME_SIZE])
{
	/* A token is for one recipient: with others beside it somebody has copied it. */
	if (c->token == NULL || c->n + n_ordinary != 1 ||
	    !onward_open(
		ring, slice_str(c->token), c->n > 0 ? c->rcpts[0].address : ordinary[0], now, name))
		return false;
	inbound_abandon(c->writer);
	c->writer = NULL;
	return true;
}

int
capture_sync(struct capture *c)
{
	end_headers(c);
	if (c->writer != NULL && inbound_sync(c->writer, &c->error) < 0)
		give_up(c);
	return c->failed ? -1 : 0;
}

int
capture_commit(struct capture *c, char name[INBOUND_NAME_SIZE])
{
	struct inbound_writer *w = c->writer;

	if (c->failed)
		return -1;
	c->writer = NULL; /* it is gone, whatever comes */
	if (w == NULL)
		return err_set(&c->error, "nothing was captured");
	if (inbound_commit(w, name, &c->error) == 0)
		return 0;
	c->failed = true;
	return -1;
}

void
capture_log(const struct capture *c, struct buf *line)
{
	bool has[2] = { false, false };

	for (size_t i = 0; i < c->n; i++)
		has[c->rcpts[i].list] = true;
	buf_printf(line, " capture=%s%s%s", has[INBOUND_BOUNCE] ? "bounce" : "",
	    has[INBOUND_BOUNCE] && has[INBOUND_FEEDBACK] ? "," : "",
	    has[INBOUND_FEEDBACK] ? "feedback" : "");
	for (size_t i = 0; i < c->n && i < LOGGED_MAX; i++)
		outgoing_log_path(line, "to", slice_head(c->rcpts[i].address, ADDRESS_SHOWN));
	buf_printf(line, " rcpts=%zu bytes=%llu", c->n, (unsigned long long)c->bytes);
}
