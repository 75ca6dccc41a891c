/*
 * onward_file.c - the files of inbound/onward/.
 */
#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/inbound.h"
#include "common/xalloc.h"
#include "uploader/onward.h"

#define ORDER_MAX ((size_t)4 << 20)
#define RCPTS_MAX 100000

/* "in1-....eml" -> "in1-....json" */
static void
order_name(const char *name, char out[INBOUND_NAME_SIZE + 2])
{
	size_t len = strlen(name);

	snprintf(out, INBOUND_NAME_SIZE + 2, "%.*s.json", (int)(len > 4 ? len - 4 : 0), name);
}

int
onward_dir(struct spool *sp, struct err *e)
{
	struct buf path;
	int fd = -1;

	buf_init(&path, BUF_NO_LIMIT);
	buf_printf(&path, "%s/inbound/onward", spool_dir(sp));
	if (file_mkdirs(buf_str(&path), SPOOL_DIR_MODE, e) == 0) {
		fd = open(buf_str(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			err_text(e, errno, "%s", buf_str(&path));
	}
	buf_free(&path);
	return fd;
}

/* ---- the order ---- */

static struct json_object *
text(struct slice s)
{
	return json_object_new_string_len(s.len == 0 ? "" : s.p, (int)s.len);
}

int
onward_order_write(int onward_fd, const char *name, const struct onward_order *order, struct err *e)
{
	struct json_object *o = json_object_new_object(), *rcpts = json_object_new_array();
	char file[INBOUND_NAME_SIZE + 2];
	const char *json;
	size_t len;
	int rc;

	order_name(name, file);
	json_object_object_add(o, "why", text(order->why));
	json_object_object_add(o, "from", text(order->from));
	for (size_t i = 0; i < order->n_rcpts; i++)
		json_object_array_add(rcpts, text(order->rcpts[i]));
	json_object_object_add(o, "rcpts", rcpts);
	json = json_object_to_json_string_length(
	    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	rc = file_replace(onward_fd, file, (struct slice){ json, len }, SPOOL_FILE_MODE, e);
	json_object_put(o);
	return rc;
}

/* A string of the order, copied to the store; its slice is made when all are there. */
static bool
keep(struct json_object *o, struct buf *store, size_t *len)
{
	if (!json_object_is_type(o, json_type_string))
		return false;
	*len = (size_t)json_object_get_string_len(o);
	buf_add(store, (struct slice){ json_object_get_string(o), *len });
	return true;
}

static struct slice
next(const char **at, size_t len)
{
	struct slice s = { *at, len };

	*at += len;
	return s;
}

static int
order_parse(struct json_object *o, struct onward_order *out, struct buf *store)
{
	struct json_object *why, *from, *rcpts;
	size_t n, why_len, from_len, *lens;
	const char *at;
	int rc = -1;

	if (!json_object_object_get_ex(o, "why", &why) ||
	    !json_object_object_get_ex(o, "from", &from) ||
	    !json_object_object_get_ex(o, "rcpts", &rcpts) ||
	    !json_object_is_type(rcpts, json_type_array))
		return -1;
	n = json_object_array_length(rcpts);
	if (n == 0 || n > RCPTS_MAX)
		return -1;
	lens = xcalloc(n, sizeof(*lens));
	if (!keep(why, store, &why_len) || !keep(from, store, &from_len))
		goto out;
	for (size_t i = 0; i < n; i++)
		if (!keep(json_object_array_get_idx(rcpts, i), store, &lens[i]) || lens[i] == 0)
			goto out;
	at = buf_str(store);
	out->why = next(&at, why_len);
	out->from = next(&at, from_len);
	out->n_rcpts = n;
	out->rcpts = xcalloc(n, sizeof(*out->rcpts));
	for (size_t i = 0; i < n; i++)
		out->rcpts[i] = next(&at, lens[i]);
	rc = 0;
out:
	free(lens);
	return rc;
}

int
onward_order_read(
    int onward_fd, const char *name, struct onward_order *out, struct buf *store, struct err *e)
{
	char file[INBOUND_NAME_SIZE + 2];
	struct json_object *o;
	struct buf bytes;
	int rc;

	*out = (struct onward_order){ 0 };
	buf_clear(store);
	order_name(name, file);
	if (faccessat(onward_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	buf_init(&bytes, ORDER_MAX);
	if (file_read(onward_fd, file, &bytes, e) < 0) {
		buf_free(&bytes);
		return -1;
	}
	o = json_tokener_parse(buf_str(&bytes));
	rc = o != NULL && order_parse(o, out, store) == 0
	         ? 1
	         : err_set(e, "inbound/onward/%s: no order", file);
	json_object_put(o);
	buf_free(&bytes);
	return rc;
}

/* ---- putting and removing ---- */

int
onward_put(int inbound_fd, int onward_fd, const char *name, const struct onward_order *order,
    struct err *e)
{
	if (onward_order_write(onward_fd, name, order, e) < 0)
		return -1;
	/* In one directory or the other, at any moment; both must remember it. */
	if (renameat2(inbound_fd, name, onward_fd, name, RENAME_NOREPLACE) < 0)
		return err_errno(e, "move inbound/%s to inbound/onward", name);
	if (file_sync_dir(onward_fd, "inbound/onward", e) < 0)
		return -1;
	return file_sync_dir(inbound_fd, "inbound", e);
}

int
onward_remove(int onward_fd, const char *name, struct err *e)
{
	char file[INBOUND_NAME_SIZE + 2];

	order_name(name, file);
	if (unlinkat(onward_fd, name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "remove inbound/onward/%s", name);
	/* Without its order a mail would stay for ever: the mail's going is durable first. */
	if (file_sync_dir(onward_fd, "inbound/onward", e) < 0)
		return -1;
	if (unlinkat(onward_fd, file, 0) < 0 && errno != ENOENT)
		return err_errno(e, "remove inbound/onward/%s", file);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* An order's name, and what its mail would be called. */
static bool
is_order(const char *file, char mail[INBOUND_NAME_SIZE + 2])
{
	size_t len = strlen(file);

	if (len < 5 || len > INBOUND_NAME_SIZE || strcmp(file + len - 5, ".json") != 0)
		return false;
	snprintf(mail, INBOUND_NAME_SIZE + 2, "%.*s.eml", (int)(len - 5), file);
	return inbound_is_name(mail);
}

static void
remove_forsaken(int fd, const char *file, const char *mail)
{
	if (faccessat(fd, mail, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		unlinkat(fd, file, 0);
}

ssize_t
onward_list(int onward_fd, size_t max, char ***names, struct err *e)
{
	int fd = openat(onward_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char mail[INBOUND_NAME_SIZE + 2], **list = NULL;
	const struct dirent *d;
	size_t n = 0, room = 0;

	*names = NULL;
	if (dir == NULL) {
		err_text(e, errno, "read inbound/onward");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((d = readdir(dir)) != NULL) {
		if (is_order(d->d_name, mail))
			remove_forsaken(onward_fd, d->d_name, mail);
		if (!inbound_is_name(d->d_name))
			continue;
		list = xgrow(list, n, &room, sizeof(*list));
		list[n++] = xstrdup(d->d_name);
	}
	closedir(dir);
	if (n > 0)
		qsort(list, n, sizeof(*list), by_name);
	while (n > max)
		free(list[--n]);
	*names = list;
	return (ssize_t)n;
}
