#include "ctl/mta_remedy.h"

#include <string.h>

#include "common/slice.h"
#include "ctl/mta_facts.h"

void
mta_quote(struct buf *out, const char *text)
{
	buf_addc(out, '\'');
	for (; *text != '\0'; text++)
		if (*text == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, *text);
	buf_addc(out, '\'');
}

/* postconf -P takes no blanks. Lists may do without; false: this value can't. */
static bool
without_blanks(const char *value, struct buf *out)
{
	struct slice rest = slice_str(value), item;

	while (mta_facts_item(&rest, &item)) {
		if (out->len > 0)
			buf_addc(out, ',');
		buf_add(out, item);
	}
	return strchr(buf_str(out), ' ') == NULL;
}

const char *
mta_remedy_set(struct buf *out, const char *service, const char *name, const char *value)
{
	struct buf word, list;
	bool works = true;

	buf_init(&word, BUF_NO_LIMIT);
	buf_init(&list, BUF_NO_LIMIT);
	buf_clear(out);
	if (service != NULL) {
		works = without_blanks(value, &list);
		buf_printf(&word, "%s/%s=%s", service, name, buf_str(&list));
		buf_adds(out, "postconf -c %D -P ");
	} else {
		buf_printf(&word, "%s = %s", name, value);
		buf_adds(out, "postconf -c %D -e ");
	}
	mta_quote(out, buf_str(&word));
	if (!works) {
		buf_clear(out);
		buf_adds(out, "signalpost mta-config postfix --apply %D");
	}
	buf_free(&word);
	buf_free(&list);
	return buf_str(out);
}

void
mta_remedy_in(struct buf *out, const char *remedy, const char *dir)
{
	const char *mark;

	for (; (mark = strstr(remedy, "%D")) != NULL; remedy = mark + 2) {
		buf_add(out, (struct slice){ remedy, (size_t)(mark - remedy) });
		buf_adds(out, dir);
	}
	buf_adds(out, remedy);
}
