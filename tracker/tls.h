/*
 * tls.h - the certificate that readers are shown. libmicrohttpd speaks TLS with
 * GnuTLS and asks us for the certificate at every handshake, so a new one needs
 * no restart.
 */
#ifndef TRACKER_TLS_H
#define TRACKER_TLS_H

#include "common/err.h"

struct tls_identity; /* immutable; thread-safe */

/*
 * Read the certificate with its chain and the key, both PEM. NULL and *e: also if
 * others may read the key, if it is not the certificate's, or if this was built
 * without GnuTLS.
 */
struct tls_identity *tls_identity_load(const char *certificate, const char *key, struct err *e);
void tls_identity_free(struct tls_identity *id); /* NULL is fine */

/*
 * What handshakes from now on show; `id` stays the caller's and is copied.
 * NULL: none, and handshakes fail. One for the process. Thread-safe.
 */
void tls_show(const struct tls_identity *id);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK2, or NULL if this was built without GnuTLS. */
typedef void tls_callback(void);
tls_callback *tls_certificate_callback(void);

#endif
