/* X-MSYS-API: what is taken, and what is refused with which words. */
#include "common/msys_api.h"
#include "t/tap.h"

int
main(void)
{
	static const struct {
		const char *in, *error; /* NULL: good */
		const char *campaign, *pool, *meta, *tags;
		enum event_flag open, click;
	} rows[] = {
		{ " {\"campaign_id\":\"spring\"}", NULL, "spring", "", "", "", 0, 0 },
		{ " {\"campaign_id\"\n : \"a b\", \"options\" :\n\t{\"open_tracking\":false,"
		  "\"click_tracking\":true,\"ip_pool\":\"p1\"}}",
		    NULL, "a b", "p1", "", "", EVENT_FALSE, EVENT_TRUE },
		{ "{\"metadata\":{\"k\":{\"n\":1}},\"tags\":[\"x\",\"y/z\"]}", NULL, "", "",
		    "{\"k\":{\"n\":1}}", "[\"x\",\"y/z\"]", 0, 0 },
		{ "{\"cc\":[],\"bcc\":[],\"archive\":[],\"key\":1}", NULL, "", "", "", "", 0, 0 },
		{ "{\"campaign_id\":null,\"tags\":null,\"metadata\":null,\"options\":null}", NULL, "", "",
		    "", "", 0, 0 },
		{ "{}", NULL, "", "", "", "", 0, 0 },
		{ "", "not JSON", 0, 0, 0, 0, 0, 0 },
		{ "[]", "not a JSON object", 0, 0, 0, 0, 0, 0 },
		{ "12", "not JSON: incomplete", 0, 0, 0, 0, 0, 0 },
		{ "{\"campaign_id\":1}", "campaign_id is not a string", 0, 0, 0, 0, 0, 0 },
		{ "{\"options\":[]}", "options is not an object", 0, 0, 0, 0, 0, 0 },
		{ "{\"options\":{\"open_tracking\":\"yes\"}}", "open_tracking is neither true nor false", 0,
		    0, 0, 0, 0, 0 },
		{ "{\"metadata\":\"x\"}", "metadata is not an object", 0, 0, 0, 0, 0, 0 },
		{ "{\"tags\":{}}", "tags is not an array", 0, 0, 0, 0, 0, 0 },
		{ "{\"tags\":[1]}", "tags holds something that is not a string", 0, 0, 0, 0, 0, 0 },
		{ "{\"tags\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\"]}",
		    "more than 10 tags", 0, 0, 0, 0, 0, 0 },
		{ "{\"a\":[[[[[[[[[[1]]]]]]]]]]}", "not JSON: nesting too deep", 0, 0, 0, 0, 0, 0 },
		{ "{\"campaign_id\":\"x\"} trailing", "not JSON", 0, 0, 0, 0, 0, 0 },
		{ "{\"campaign_id\":\"\377\"}", "not JSON: not UTF-8", 0, 0, 0, 0, 0, 0 },
		/* what an event line could not hold */
		{ "{\"metadata\":{\"k\":NaN}}", "not JSON", 0, 0, 0, 0, 0, 0 },
		{ "{\"metadata\":{\"k\":\"\301\232\"}}", "not JSON: not UTF-8", 0, 0, 0, 0, 0, 0 },
		{ "{'campaign_id':'x'}", "not JSON", 0, 0, 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct msys_api m;
		struct err e = { .text = "" };
		int rc;

		msys_api_init(&m);
		rc = msys_api_parse(&m, slice_str(rows[i].in), &e);
		if (rows[i].error != NULL)
			ok(rc < 0 && strcmp(e.text, rows[i].error) == 0, "row %zu: %s", i, e.text);
		else
			ok(rc == 0 && strcmp(buf_str(&m.campaign_id), rows[i].campaign) == 0 &&
				strcmp(buf_str(&m.ip_pool), rows[i].pool) == 0 &&
				strcmp(buf_str(&m.metadata), rows[i].meta) == 0 &&
				strcmp(buf_str(&m.tags), rows[i].tags) == 0 &&
				m.open_tracking == rows[i].open && m.click_tracking == rows[i].click,
			    "row %zu: %s", i, e.text);
		msys_api_free(&m);
	}
	return tap_done();
}
