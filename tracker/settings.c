#include "tracker/settings.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/xalloc.h"

/* Without the directive the file need not be there; one that is there must be good. */
static int
load_machines(struct settings *s, struct err *e)
{
	const char *file = s->conf->tracker.machine_readers;

	if (file == NULL) {
		file = CONF_MACHINE_READERS;
		if (access(file, F_OK) < 0 && errno == ENOENT)
			return 0;
	}
	s->machines = machine_rules_load(file, e);
	return s->machines == NULL ? -1 : 0;
}

static int
load_identity(struct settings *s, struct err *e)
{
	const struct conf_tracker *t = &s->conf->tracker;

	if (t->tls_certificate == NULL)
		return 0;
	s->identity = tls_identity_load(t->tls_certificate, t->tls_key, e);
	return s->identity == NULL ? -1 : 0;
}

static int
load(struct settings *s, const char *file, struct err *e)
{
	s->conf = conf_load(file, e);
	if (s->conf == NULL)
		return -1;
	s->proxies = (struct client_proxies){ s->conf->tracker.n_trusted_proxies,
		s->conf->tracker.trusted_proxies };
	s->ring = token_ring_open(s->conf->token_keys.directory, e);
	if (s->ring == NULL)
		return -1;
	return load_machines(s, e) < 0 || load_identity(s, e) < 0 ? -1 : 0;
}

struct settings *
settings_load(const char *file, struct err *e)
{
	struct settings *s = xcalloc(1, sizeof(*s));

	atomic_init(&s->refs, 1);
	if (load(s, file, e) == 0)
		return s;
	settings_release(s);
	return NULL;
}

struct settings *
settings_hold(struct settings *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void
settings_release(struct settings *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	tls_identity_free(s->identity);
	machine_rules_free(s->machines);
	token_ring_close(s->ring);
	conf_free(s->conf);
	free(s);
}
