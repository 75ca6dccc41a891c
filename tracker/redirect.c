#include "tracker/redirect.h"

#include <microhttpd.h>
#include <stdlib.h>

#include "common/hash.h"
#include "common/link.h"
#include "common/xalloc.h"
#include "tracker/answer.h"

struct redirect {
	struct MHD_Response *response;
	struct buf url;
	unsigned held;
};

static struct MHD_Response *
make_response(struct slice url)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	struct buf location;

	buf_init(&location, BUF_NO_LIMIT);
	link_location(url, &location);
	if (r != NULL) {
		/* Nothing is left in it that could end or split the header. */
		if (MHD_add_response_header(r, "Location", buf_str(&location)) == MHD_YES) {
			answer_forbid_storing(r);
		} else {
			MHD_destroy_response(r);
			r = NULL;
		}
	}
	buf_free(&location);
	return r;
}

static struct redirect *
make_redirect(struct slice url)
{
	struct MHD_Response *response = make_response(url);
	struct redirect *r;

	if (response == NULL)
		return NULL;
	r = xcalloc(1, sizeof(*r));
	r->response = response;
	r->held = 1;
	buf_init(&r->url, BUF_NO_LIMIT);
	buf_add(&r->url, url);
	return r;
}

void
redirect_release(struct redirect *r)
{
	if (r == NULL || --r->held > 0)
		return;
	MHD_destroy_response(r->response);
	buf_free(&r->url);
	free(r);
}

void
redirects_free(struct redirects *kept)
{
	for (size_t i = 0; i < REDIRECTS_KEPT; i++)
		redirect_release(kept->kept[i]);
	*kept = (struct redirects){ { NULL } };
}

struct redirect *
redirect_to(struct redirects *kept, struct slice url)
{
	struct redirect **r = &kept->kept[hash_fnv1a(url) % REDIRECTS_KEPT];

	if (*r == NULL || !slice_eq(buf_slice(&(*r)->url), url)) {
		struct redirect *new = make_redirect(url);

		if (new == NULL)
			return NULL;
		redirect_release(*r);
		*r = new;
	}
	(*r)->held++;
	return *r;
}

struct MHD_Response *
redirect_response(const struct redirect *r)
{
	return r->response;
}
