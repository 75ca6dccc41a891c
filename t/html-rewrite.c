/*
 * html-rewrite.c - rewrites HTML files, for the judge of t/html5: a link becomes
 * PREFIX + base64url(target), a pixel an <img> whose src starts with PREFIX.
 *
 *	html-rewrite PREFIX FILE			to standard output
 *	html-rewrite PREFIX FOLDER FOLDER		each file of the first into the second
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/base64.h"
#include "common/html_links.h"

static void
put_edit(struct buf *out, const struct html_edit *e, const char *prefix)
{
	switch (e->kind) {
	case HTML_EDIT_LINK:
		buf_printf(out, "\"%s", prefix);
		base64_encode(out, e->target, BASE64_URL);
		buf_addc(out, '"');
		break;
	case HTML_EDIT_INITIAL_PIXEL:
		buf_printf(out, "<img border=\"0\" width=\"1\" height=\"1\" alt=\"\" src=\"%si\">",
		    prefix);
		break;
	case HTML_EDIT_OPEN_PIXEL:
		buf_printf(out, "<img border=\"0\" width=\"1\" height=\"1\" alt=\"\" src=\"%so\">",
		    prefix);
		break;
	case HTML_EDIT_REMOVE:
		break;
	}
}

static void
rewrite(struct buf *out, struct slice in, const char *prefix)
{
	struct html_links_options opt = HTML_LINKS_DEFAULTS;
	struct html_edits edits;
	size_t done = 0;

	/* The judge wants every link, however long. */
	opt.max_href = opt.max_target = opt.max_edits = SIZE_MAX;
	html_links_find(&opt, in, &edits);
	for (size_t i = 0; i < edits.count; i++) {
		const struct html_edit *e = &edits.edit[i];

		buf_add(out, (struct slice){ in.p + done, e->offset - done });
		put_edit(out, e, prefix);
		done = e->offset + e->length;
	}
	buf_add(out, slice_skip(in, done));
	html_edits_free(&edits);
}

static void
rewrite_file(const char *from, FILE *to, const char *prefix)
{
	FILE *in = fopen(from, "rb");
	struct buf text, out;
	char block[65536];
	size_t n;

	if (in == NULL) {
		perror(from);
		exit(1);
	}
	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	buf_reserve(&text, 1); /* an empty file is no NULL */
	while ((n = fread(block, 1, sizeof(block), in)) > 0)
		buf_add(&text, (struct slice){ block, n });
	fclose(in);
	rewrite(&out, buf_slice(&text), prefix);
	fwrite(out.p, 1, out.len, to);
	buf_free(&text);
	buf_free(&out);
}

static int
rewrite_folder(const char *from, const char *to, const char *prefix)
{
	char in[PATH_MAX], out[PATH_MAX];
	struct dirent *de;
	struct stat st;
	DIR *d = opendir(from);
	FILE *f;

	if (d == NULL) {
		perror(from);
		return 1;
	}
	while ((de = readdir(d)) != NULL) {
		snprintf(in, sizeof(in), "%s/%s", from, de->d_name);
		snprintf(out, sizeof(out), "%s/%s", to, de->d_name);
		if (stat(in, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		f = fopen(out, "wb");
		if (f == NULL) {
			perror(out);
			closedir(d);
			return 1;
		}
		rewrite_file(in, f, prefix);
		fclose(f);
	}
	closedir(d);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 4)
		return rewrite_folder(argv[2], argv[3], argv[1]);
	if (argc != 3) {
		fprintf(stderr, "usage: html-rewrite PREFIX FILE | PREFIX FOLDER FOLDER\n");
		return 64;
	}
	rewrite_file(argv[2], stdout, argv[1]);
	return 0;
}
