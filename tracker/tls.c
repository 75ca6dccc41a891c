#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "tracker/tls.h"

#include <stdlib.h>

#ifndef HAVE_GNUTLS

struct tls_identity *
tls_identity_load(const char *certificate, const char *key, struct err *e)
{
	(void)key;
	err_text(
	    e, 0, "tls-certificate %s: built without GnuTLS; put a proxy in front", certificate);
	return NULL;
}

void
tls_identity_free(struct tls_identity *id)
{
	(void)id;
}

void
tls_show(const struct tls_identity *id)
{
	(void)id;
}

tls_callback *
tls_certificate_callback(void)
{
	return NULL;
}

#else

#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/xalloc.h"

#define CHAIN_MAX 16
#define FILE_MAX_ (256 * 1024)

/* As read; every handshake gets its own copies, so nothing that it uses can go away. */
struct tls_identity {
	struct buf certificate, key;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls_identity *shown; /* under lock */

struct parsed {
	gnutls_pcert_st *chain; /* gnutls_malloc'ed */
	unsigned n;
	gnutls_privkey_t key;
};

static gnutls_datum_t
datum(const struct buf *b)
{
	return (gnutls_datum_t){ (unsigned char *)b->p, (unsigned)b->len };
}

static void
parsed_free(struct parsed *p)
{
	for (unsigned i = 0; i < p->n; i++)
		gnutls_pcert_deinit(&p->chain[i]);
	gnutls_free(p->chain);
	gnutls_privkey_deinit(p->key);
}

static int
parse_chain(const struct tls_identity *id, struct parsed *p)
{
	gnutls_datum_t pem = datum(&id->certificate);
	int rc;

	p->chain = gnutls_malloc(CHAIN_MAX * sizeof(*p->chain));
	p->n = CHAIN_MAX;
	rc = p->chain == NULL
	         ? GNUTLS_E_MEMORY_ERROR
	         : gnutls_pcert_list_import_x509_raw(p->chain, &p->n, &pem, GNUTLS_X509_FMT_PEM, 0);
	if (rc < 0)
		p->n = 0;
	return rc;
}

static int
parse_key(const struct tls_identity *id, struct parsed *p)
{
	gnutls_datum_t pem = datum(&id->key);
	int rc = gnutls_privkey_init(&p->key);

	return rc < 0 ? rc
	              : gnutls_privkey_import_x509_raw(p->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
}

static int
read_pem(const char *path, bool secret, struct buf *out, struct err *e)
{
	struct stat st;

	buf_init(out, FILE_MAX_);
	if (stat(path, &st) < 0)
		return err_errno(e, "%s", path);
	if (secret && (st.st_mode & S_IRWXO) != 0)
		return err_set(e, "%s: others may use it (mode %04o); chmod o= it", path,
		    (unsigned)st.st_mode & 07777);
	return file_read(AT_FDCWD, path, out, e);
}

/* Is the key that of the first certificate? */
static bool
belong_together(const struct parsed *p)
{
	unsigned char a[64], b[64];
	size_t na = sizeof(a), nb = sizeof(b);
	gnutls_pubkey_t public;
	bool same = false;

	if (p->n == 0 || gnutls_pubkey_init(&public) < 0)
		return false;
	if (gnutls_pubkey_import_privkey(public, p->key, 0, 0) == 0)
		same = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, a, &na) == 0 &&
		       gnutls_pubkey_get_key_id(
			   p->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &nb) == 0 &&
		       na == nb && memcmp(a, b, na) == 0;
	gnutls_pubkey_deinit(public);
	return same;
}

static int
check(const struct tls_identity *id, const char *certificate, const char *key, struct err *e)
{
	struct parsed p = { 0 };
	int rc = parse_chain(id, &p);

	if (rc < 0) {
		rc = err_set(e, "%s: %s", certificate, gnutls_strerror(rc));
	} else if ((rc = parse_key(id, &p)) < 0) {
		rc = err_set(e, "%s: %s", key, gnutls_strerror(rc));
	} else if (!belong_together(&p)) {
		rc = err_set(e, "%s: not the key of the certificate in %s", key, certificate);
	}
	parsed_free(&p);
	return rc < 0 ? -1 : 0;
}

struct tls_identity *
tls_identity_load(const char *certificate, const char *key, struct err *e)
{
	struct tls_identity *id = xcalloc(1, sizeof(*id));

	buf_init(&id->key, FILE_MAX_);
	if (read_pem(certificate, false, &id->certificate, e) == 0 &&
	    read_pem(key, true, &id->key, e) == 0 && check(id, certificate, key, e) == 0)
		return id;
	tls_identity_free(id);
	return NULL;
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		gnutls_memset(b->p, 0, b->len);
	buf_free(b);
}

void
tls_identity_free(struct tls_identity *id)
{
	if (id == NULL)
		return;
	buf_free(&id->certificate);
	wipe(&id->key);
	free(id);
}

void
tls_show(const struct tls_identity *id)
{
	struct tls_identity *fresh = NULL, *old;

	if (id != NULL) {
		fresh = xcalloc(1, sizeof(*fresh));
		buf_init(&fresh->certificate, FILE_MAX_);
		buf_init(&fresh->key, FILE_MAX_);
		buf_add(&fresh->certificate, buf_slice(&id->certificate));
		buf_add(&fresh->key, buf_slice(&id->key));
	}
	pthread_mutex_lock(&lock);
	old = shown;
	shown = fresh;
	pthread_mutex_unlock(&lock);
	tls_identity_free(old);
}

/* A gnutls_certificate_retrieve_function3; GnuTLS frees what it gets, as the flag says. */
static int
retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certs,
    unsigned *n_certs, gnutls_ocsp_data_st **ocsp, unsigned *n_ocsp, gnutls_privkey_t *key,
    unsigned *flags)
{
	struct parsed p = { 0 };
	int rc = -1;

	(void)session, (void)info;
	pthread_mutex_lock(&lock);
	if (shown != NULL && parse_chain(shown, &p) >= 0 && parse_key(shown, &p) >= 0)
		rc = 0;
	pthread_mutex_unlock(&lock);
	if (rc < 0) {
		parsed_free(&p);
		return -1;
	}
	*certs = p.chain;
	*n_certs = p.n;
	*ocsp = NULL;
	*n_ocsp = 0;
	*key = p.key;
	*flags = GNUTLS_CERT_RETR_DEINIT_ALL;
	return 0;
}

tls_callback *
tls_certificate_callback(void)
{
	return (tls_callback *)(void *)retrieve;
}

#endif
