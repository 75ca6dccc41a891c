#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
err_text(struct err *e, int errnum, const char *fmt, ...)
{
	char text[sizeof(e->text)], why[128];
	int saved = errno;
	va_list ap;

	if (e == NULL)
		return;
	/* Into a buffer of our own: callers may pass the old e->text as an argument. */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (errnum != 0) {
		const char *reason = strerror_r(errnum, why, sizeof(why));
		size_t used = strlen(text), room = sizeof(text) - strlen(reason) - sizeof(": ");

		/* Of a text that is too long the reason is what matters. */
		used = used < room ? used : room;
		snprintf(text + used, sizeof(text) - used, ": %s", reason);
	}
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	memcpy(e->text, text, sizeof(text));
	e->num = errnum;
	errno = saved;
}
