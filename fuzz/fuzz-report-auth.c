/* Any mail before libopendkim, with a key that is there for one name. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/report_auth.h"

#define RECORD                                                                                     \
	"s._domainkey.isp.example v=DKIM1; k=ed25519; "                                            \
	"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct report_auth *
open_auth(void)
{
	char path[] = "/tmp/fuzz-report-auth.XXXXXX", text[100];
	int fd = mkstemp(path);
	struct report_auth *ra;
	struct report_auth_verdict v;
	struct conf *c;
	struct err e;

	if (fd < 0 || write(fd, RECORD, sizeof(RECORD) - 1) < 0)
		abort();
	close(fd);
	snprintf(text, sizeof(text), "<inbound>\ndns-file %s\n</inbound>\n", path);
	c = conf_parse("fuzz", slice_str(text), &e);
	if (c == NULL || (ra = report_auth_open(c, &e)) == NULL)
		abort();
	conf_free(c);
	/* What the file says is remembered, and that other names are not there is no failure. */
	report_auth_check(ra, SLICE_LIT("DKIM-Signature: v=1; d=isp.example; s=s\r\n\r\n"), &v);
	unlink(path);
	return ra;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct report_auth *ra;
	struct report_auth_verdict v;
	char *copy = malloc(size > 0 ? size : 1);

	if (ra == NULL)
		ra = open_auth();
	if (copy == NULL)
		abort();
	memcpy(copy, data, size); /* exactly as long as it is: reading past the end is seen */
	report_auth_check(ra, (struct slice){ size > 0 ? copy : NULL, size }, &v);
	if (v.result > REPORT_AUTH_TEMPERROR || (v.result == REPORT_AUTH_NONE && v.domain[0] != '\0') ||
	    (v.result == REPORT_AUTH_FAIL && v.why[0] == '\0') ||
	    (v.result == REPORT_AUTH_PASS && v.why[0] != '\0'))
		abort();
	free(copy);
	return 0;
}
