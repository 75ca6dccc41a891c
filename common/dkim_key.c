/*
 * Private keys. A key is parsed once: libcrypto's decoder takes longer than the
 * signature it is needed for.
 */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/dkim.h"
#include "common/hash.h"
#include "common/xalloc.h"

#define KEY_FILE_MAX 65536 /* an RSA key of 16384 bits is 13 KB of PEM */

struct dkim_key {
	EVP_PKEY *pkey;
	enum dkim_algorithm algorithm;
};

const char *
dkim_algorithm_name(enum dkim_algorithm a)
{
	return a == DKIM_RSA_SHA256 ? "rsa-sha256" : "ed25519-sha256";
}

/* libcrypto's own words for what went wrong, and its queue of errors emptied. */
static int
crypto_error(struct err *e, const char *what)
{
	unsigned long code = ERR_get_error();
	char text[256] = "no reason given";

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return err_set(e, "%s: %s", what, text);
}

/* ---- reading ---- */

static int
read_fd(int fd, const char *path, struct buf *out, struct err *e)
{
	char chunk[4096];
	ssize_t n;

	do {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			buf_add(out, (struct slice){ chunk, (size_t)n });
		if (out->full)
			return err_set(
			    e, "%s: larger than %d bytes: not a private key", path, KEY_FILE_MAX);
	} while (n > 0 || (n < 0 && errno == EINTR));
	OPENSSL_cleanse(chunk, sizeof(chunk));
	return n < 0 ? err_errno(e, "read %s", path) : 0;
}

/* The open file is asked for its mode, so that it is the mode of what is read. */
static int
read_guarded(const char *path, struct buf *out, struct err *e)
{
	/* O_NONBLOCK: opening a FIFO for reading would wait for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int rc;

	if (fd < 0)
		return err_errno(e, "%s", path);
	if (fstat(fd, &st) < 0)
		rc = err_errno(e, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, "%s: not a regular file", path);
	else if ((st.st_mode & 077) != 0)
		rc = err_set(e,
		    "%s: mode %04o lets others than its owner at this private key; "
		    "run: chmod 600 %s",
		    path, (unsigned)(st.st_mode & 07777), path);
	else
		rc = read_fd(fd, path, out, e);
	close(fd);
	return rc;
}

/* A passphrase can't be asked for in a daemon; remember that one was wanted. */
static int
no_passphrase(char *buf, int size, int rwflag, void *wanted)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)wanted = true;
	return -1;
}

static EVP_PKEY *
parse_pem(const char *name, struct slice pem, struct err *e)
{
	bool wants_passphrase = false;
	EVP_PKEY *pkey;
	BIO *bio;

	if (pem.len == 0)
		pem = SLICE_LIT(""); /* libcrypto and memmem() take no NULL */
	bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	if (bio == NULL) {
		crypto_error(e, name);
		return NULL;
	}
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &wants_passphrase);
	BIO_free(bio);
	if (pkey == NULL && wants_passphrase)
		err_text(e, 0,
		    "%s: has a passphrase, which nobody can type in here; take it off with: "
		    "openssl pkey -in FILE -out NEWFILE",
		    name);
	else if (pkey == NULL && memmem(pem.p, pem.len, "PUBLIC KEY-----", 15) != NULL)
		err_text(e, 0, "%s: a public key; signing needs the private one", name);
	else if (pkey == NULL)
		err_text(
		    e, 0, "%s: not a private key in PEM form (-----BEGIN PRIVATE KEY-----)", name);
	ERR_clear_error();
	return pkey;
}

/* ---- what we can sign with ---- */

static int
check_type(struct dkim_key *k, const char *name, struct err *e)
{
	int bits = EVP_PKEY_get_bits(k->pkey);

	switch (EVP_PKEY_get_base_id(k->pkey)) {
	case EVP_PKEY_RSA:
		k->algorithm = DKIM_RSA_SHA256;
		if (bits < DKIM_RSA_MIN_BITS)
			return err_set(e,
			    "%s: an RSA key of %d bits; receivers refuse less than %d "
			    "(RFC 8301), make one of 2048",
			    name, bits, DKIM_RSA_MIN_BITS);
		return 0;
	case EVP_PKEY_ED25519:
		k->algorithm = DKIM_ED25519_SHA256;
		return 0;
	default:
		return err_set(e, "%s: a key of type %s; DKIM knows RSA and Ed25519", name,
		    EVP_PKEY_get0_type_name(k->pkey) != NULL ? EVP_PKEY_get0_type_name(k->pkey)
							     : "unknown");
	}
}

static bool
verifies(const struct dkim_key *k, struct slice data, struct slice signature)
{
	bool rsa = k->algorithm == DKIM_RSA_SHA256;
	unsigned char hash[HASH_SHA256_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good;

	hash_sha256(data, hash);
	if (!rsa)
		data = (struct slice){ (const char *)hash, sizeof(hash) };
	good = ctx != NULL &&
	       EVP_DigestVerifyInit(ctx, NULL, rsa ? EVP_sha256() : NULL, NULL, k->pkey) == 1 &&
	       EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.len,
		   (const unsigned char *)data.p, data.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/*
 * One signature at load time: a damaged key is found when the operator looks, not
 * when mail is there, and what libcrypto computes at the first use is computed.
 */
static int
check_pair(const struct dkim_key *k, const char *name, struct err *e)
{
	struct slice text = SLICE_LIT("signalpost");
	struct buf signature;
	struct err why;
	int rc = 0;

	buf_init(&signature, BUF_NO_LIMIT);
	if (dkim_key_sign(k, text, &signature, &why) < 0)
		rc = err_set(e, "%s: a damaged key: %s", name, why.text);
	else if (!verifies(k, text, buf_slice(&signature)))
		rc = err_set(
		    e, "%s: a damaged key: its public half does not verify what it signs", name);
	buf_free(&signature);
	return rc;
}

struct dkim_key *
dkim_key_parse(const char *name, struct slice pem, struct err *e)
{
	struct dkim_key *k;
	EVP_PKEY *pkey;

	if (pem.len > KEY_FILE_MAX) {
		err_text(e, 0, "%s: larger than %d bytes: not a private key", name, KEY_FILE_MAX);
		return NULL;
	}
	pkey = parse_pem(name, pem, e);
	if (pkey == NULL)
		return NULL;
	k = xcalloc(1, sizeof(*k));
	k->pkey = pkey;
	if (check_type(k, name, e) < 0 || check_pair(k, name, e) < 0) {
		dkim_key_close(k);
		return NULL;
	}
	return k;
}

struct dkim_key *
dkim_key_load(const char *path, struct err *e)
{
	struct dkim_key *k = NULL;
	struct buf pem;

	buf_init(&pem, KEY_FILE_MAX);
	/* All the room at once: a buffer that moved would leave pieces of the key behind. */
	buf_reserve(&pem, KEY_FILE_MAX);
	if (read_guarded(path, &pem, e) == 0)
		k = dkim_key_parse(path, buf_slice(&pem), e);
	OPENSSL_cleanse(pem.p, pem.len);
	buf_free(&pem);
	return k;
}

void
dkim_key_close(struct dkim_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

enum dkim_algorithm
dkim_key_algorithm(const struct dkim_key *k)
{
	return k->algorithm;
}

unsigned
dkim_key_bits(const struct dkim_key *k)
{
	return (unsigned)EVP_PKEY_get_bits(k->pkey);
}

/* ---- the public half ---- */

/*
 * RFC 6376 3.6.1 says RSAPublicKey; what everybody publishes and every verifier
 * reads is SubjectPublicKeyInfo (erratum 3017).
 */
static void
record_rsa(const struct dkim_key *k, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(k->pkey, &der);

	buf_adds(out, "v=DKIM1; k=rsa; p=");
	if (n > 0)
		base64_encode(out, (struct slice){ (const char *)der, (size_t)n }, BASE64_STD);
	OPENSSL_free(der);
}

static void
record_ed25519(const struct dkim_key *k, struct buf *out)
{
	unsigned char raw[32];
	size_t n = sizeof(raw);

	buf_adds(out, "v=DKIM1; k=ed25519; p=");
	if (EVP_PKEY_get_raw_public_key(k->pkey, raw, &n) == 1)
		base64_encode(out, (struct slice){ (const char *)raw, n }, BASE64_STD);
}

void
dkim_key_record(const struct dkim_key *k, struct buf *out)
{
	if (k->algorithm == DKIM_RSA_SHA256)
		record_rsa(k, out);
	else
		record_ed25519(k, out);
}

/* ---- making ---- */

static int
write_pem(EVP_PKEY *pkey, struct buf *pem, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n;
	int rc = 0;

	if (bio == NULL || PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) != 1) {
		rc = crypto_error(e, "write the new key");
	} else {
		n = BIO_get_mem_data(bio, &text);
		buf_add(pem, (struct slice){ text, n > 0 ? (size_t)n : 0 });
	}
	BIO_free(bio);
	return rc;
}

int
dkim_key_generate(enum dkim_algorithm a, unsigned bits, struct buf *pem, struct err *e)
{
	EVP_PKEY *pkey;
	int rc;

	if (a == DKIM_RSA_SHA256 && (bits < DKIM_RSA_MIN_BITS || bits > DKIM_RSA_MAX_BITS))
		return err_set(e, "an RSA key for DKIM has %d to %d bits (RFC 8301), not %u",
		    DKIM_RSA_MIN_BITS, DKIM_RSA_MAX_BITS, bits);
	pkey = a == DKIM_RSA_SHA256 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
	                            : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (pkey == NULL)
		return crypto_error(e, "make a key");
	rc = write_pem(pkey, pem, e);
	EVP_PKEY_free(pkey);
	return rc;
}

/* ---- signing ---- */

int
dkim_key_sign(const struct dkim_key *k, struct slice data, struct buf *out, struct err *e)
{
	bool rsa = k->algorithm == DKIM_RSA_SHA256;
	unsigned char hash[HASH_SHA256_SIZE];
	size_t n = (size_t)EVP_PKEY_get_size(k->pkey);
	EVP_MD_CTX *ctx;
	int rc = 0;

	if (!rsa) {
		hash_sha256(data, hash);
		data = (struct slice){ (const char *)hash, sizeof(hash) };
	}
	if (!buf_reserve(out, n))
		return err_set(e, "signature too long");
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL ||
	    EVP_DigestSignInit(ctx, NULL, rsa ? EVP_sha256() : NULL, NULL, k->pkey) != 1 ||
	    EVP_DigestSign(ctx, (unsigned char *)out->p + out->len, &n,
		(const unsigned char *)data.p, data.len) != 1) {
		rc = crypto_error(e, "sign");
	} else {
		out->len += n;
		out->p[out->len] = '\0';
	}
	EVP_MD_CTX_free(ctx);
	return rc;
}
