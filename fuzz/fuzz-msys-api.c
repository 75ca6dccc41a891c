/*
 * X-MSYS-API: what is taken goes into an event, whatever it is. So a header that is
 * accepted must make an event line that can be written and read back.
 */
#include <assert.h>
#include <stdint.h>

#include "common/jobid.h"
#include "common/msys_api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msys_api m;
	struct event ev, again;
	struct buf line, store, job;
	struct err e;

	msys_api_init(&m);
	if (msys_api_parse(&m, (struct slice){ (const char *)data, size }, &e) == 0) {
		buf_init(&line, EVENT_LINE_MAX * 8);
		buf_init(&store, EVENT_LINE_MAX * 8);
		buf_init(&job, 65536);
		jobid_from_header(buf_slice(&m.campaign_id), (struct slice){ 0 }, &job);
		event_init(&ev, EVENT_RECEPTION);
		ev.event_id = 1;
		ev.timestamp = 1;
		ev.message_id = ev.rcpt_to = ev.recv_method = SLICE_LIT("x");
		ev.campaign_id = jobid_campaign(buf_slice(&job));
		ev.rcpt_meta = buf_slice(&m.metadata);
		ev.rcpt_tags = buf_slice(&m.tags);
		assert(event_json(&ev, &line, &e) == 0);
		assert(event_read((struct slice){ line.p, line.len - 1 }, &again, &store, &e) == 0);
		assert(slice_eq(again.campaign_id, ev.campaign_id));
		buf_free(&line);
		buf_free(&store);
		buf_free(&job);
	}
	msys_api_free(&m);
	return 0;
}
