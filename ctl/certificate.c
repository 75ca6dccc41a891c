#include "ctl/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define SOON_S (14 * 86400)

static int
give_password(char *out, int size, int rwflag, void *arg)
{
	const char *password = arg != NULL ? arg : "";
	int n = snprintf(out, (size_t)size, "%s", password);

	(void)rwflag;
	return n < size ? n : -1;
}

/* When it ends, as openssl prints it. */
static const char *
end_of(const X509 *x, char out[40])
{
	BIO *b = BIO_new(BIO_s_mem());
	int n = 0;

	if (b != NULL && ASN1_TIME_print(b, X509_get0_notAfter(x)) == 1)
		n = BIO_read(b, out, 39);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(b);
	return out;
}

/* Clients that look at names look for the name that MX records and users have: host-name. */
static bool
has_a_name(X509 *x, const struct conf *c)
{
	if (c->host_names.n == 0)
		return true;
	for (size_t i = 0; i < c->host_names.n; i++)
		if (X509_check_host(x, c->host_names.v[i], 0, 0, NULL) == 1)
			return true;
	return false;
}

static int
judge(X509 *x, EVP_PKEY *key, const struct conf *c, struct err *e)
{
	const char *file = c->tls_certificate;
	time_t soon = time(NULL) + SOON_S;
	char end[40];

	if (X509_check_private_key(x, key) != 1)
		return err_set(e, "%s: the private key is not the certificate's", file);
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		return err_set(e, "%s: the certificate has expired: %s", file, end_of(x, end));
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		return err_set(e, "%s: the certificate is not valid yet: see the clock", file);
	if (X509_cmp_time(X509_get0_notAfter(x), &soon) < 0)
		return err_set(e, "%s: the certificate expires soon: %s", file, end_of(x, end));
	if (!has_a_name(x, c))
		return err_set(
		    e, "%s: the certificate is not for host-name %s", file, c->host_names.v[0]);
	return 0;
}

int
certificate_check(const struct conf *c, struct err *e)
{
	FILE *f = c->tls_certificate != NULL ? fopen(c->tls_certificate, "re") : NULL;
	EVP_PKEY *key;
	X509 *x;
	int rc;

	if (f == NULL)
		return 0;
	x = PEM_read_X509(f, NULL, NULL, NULL);
	rewind(f);
	key = PEM_read_PrivateKey(
	    f, NULL, give_password, (char *)(uintptr_t)c->tls_certificate_password);
	fclose(f);
	if (x == NULL)
		rc = err_set(e, "%s: there is no certificate in it (PEM)", c->tls_certificate);
	else if (key == NULL)
		rc = err_set(e,
		    "%s: there is no private key in it (PEM), or it has another password",
		    c->tls_certificate);
	else
		rc = judge(x, key, c, e);
	ERR_clear_error();
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}
