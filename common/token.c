#include "common/token.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/xalloc.h"

#define VERSION      1
#define KEY_SIZE     64 /* AES-256-SIV takes two AES-256 keys */
#define KEY_FILE_MAX 256
#define IV_SIZE      16
#define HEAD_SIZE    (2 + IV_SIZE) /* version, key id, synthetic IV */
#define RING_MAX     256           /* keys that one id byte can tell apart */

struct key {
	char *name; /* of its file */
	unsigned char id;
	/* Keyed once; every seal and open works on a copy, which takes half the time
	 * of keying anew and leaves this one as it is for other threads. */
	EVP_CIPHER_CTX *seal, *open;
};

struct token_ring {
	EVP_CIPHER *cipher;
	struct key *keys; /* oldest first */
	size_t n;
};

/* ---- the ring ---- */

static bool
is_key_name(const char *name)
{
	return name[0] != '.' && slice_endsi(slice_str(name), SLICE_LIT(".key"));
}

/* The bytes of a key file. */
static int
read_key(int dirfd, const char *name, unsigned char key[KEY_SIZE], struct err *e)
{
	struct buf text, bytes;
	struct stat st;
	int rc = 0;

	buf_init(&text, KEY_FILE_MAX);
	buf_init(&bytes, KEY_FILE_MAX);
	if (fstatat(dirfd, name, &st, 0) < 0)
		rc = err_errno(e, "%s", name);
	else if (S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO) != 0)
		rc = err_set(e, "%s: others may use it (mode %04o); chmod o= it", name,
		    (unsigned)st.st_mode & 07777);
	else
		rc = file_read(dirfd, name, &text, e);
	if (rc == 0 && (!base64_decode(&bytes, slice_trim(buf_slice(&text)), BASE64_STD) ||
			   bytes.len != KEY_SIZE))
		rc = err_set(e, "%s: not a token key (%d bytes in base64)", name, KEY_SIZE);
	if (rc == 0)
		memcpy(key, bytes.p, KEY_SIZE);
	OPENSSL_cleanse(text.p, text.len);
	OPENSSL_cleanse(bytes.p, bytes.len);
	buf_free(&text);
	buf_free(&bytes);
	return rc;
}

static unsigned char
key_id(const unsigned char key[KEY_SIZE])
{
	unsigned char md[HASH_SHA256_SIZE];

	hash_sha256((struct slice){ (const char *)key, KEY_SIZE }, md);
	return md[0];
}

static EVP_CIPHER_CTX *
keyed(const EVP_CIPHER *cipher, const unsigned char *bytes, int seal)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx != NULL && EVP_CipherInit_ex2(ctx, cipher, bytes, NULL, seal, NULL) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static int
add_key(struct token_ring *r, int dirfd, const char *name, struct err *e)
{
	unsigned char bytes[KEY_SIZE];
	struct key *key = &r->keys[r->n];
	int rc = 0;

	if (read_key(dirfd, name, bytes, e) < 0)
		return -1;
	*key = (struct key){ .name = xstrdup(name), .id = key_id(bytes) };
	key->seal = keyed(r->cipher, bytes, 1);
	key->open = keyed(r->cipher, bytes, 0);
	r->n++;
	OPENSSL_cleanse(bytes, sizeof(bytes));
	if (key->seal == NULL || key->open == NULL)
		rc = err_set(e, "%s: libcrypto refuses the key", name);
	for (size_t i = 0; i + 1 < r->n && rc == 0; i++)
		if (r->keys[i].id == key->id)
			rc = err_set(e, "%s: has the same key id (%u) as %s; remove one of them",
			    name, key->id, r->keys[i].name);
	return rc;
}

/* A key file's NAME, without ".key". */
static struct slice
stem(const char *name)
{
	return (struct slice){ name, strlen(name) - strlen(".key") };
}

static int
compare_names(struct slice a, struct slice b)
{
	int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int
by_name(const void *a, const void *b)
{
	return compare_names(stem(*(char *const *)a), stem(*(char *const *)b));
}

/* Names of the key files in `dirfd`, sorted. -1 and *e. */
static int
key_names(int dirfd, char ***names, size_t *n, struct err *e)
{
	/* A description of its own: rewinding must not move dirfd's. */
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t room = 0;

	*names = NULL;
	*n = 0;
	if (d == NULL) {
		int rc = err_errno(e, "read directory");

		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((entry = readdir(d)) != NULL)
		if (is_key_name(entry->d_name)) {
			*names = xgrow(*names, *n, &room, sizeof(**names));
			(*names)[(*n)++] = xstrdup(entry->d_name);
		}
	closedir(d);
	if (*n > 0)
		qsort(*names, *n, sizeof(**names), by_name);
	return 0;
}

/* Every key in the directory; there may be none. */
static int
load(struct token_ring *r, int dirfd, struct err *e)
{
	char **names;
	size_t n;
	int rc = 0;

	r->cipher = EVP_CIPHER_fetch(NULL, "AES-256-SIV", NULL);
	if (r->cipher == NULL)
		return err_set(e, "libcrypto has no AES-256-SIV");
	if (key_names(dirfd, &names, &n, e) < 0)
		return -1;
	if (n > RING_MAX)
		rc = err_set(e, "more than %d keys", RING_MAX);
	else
		r->keys = xcalloc(n, sizeof(*r->keys));
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = add_key(r, dirfd, names[i], e);
		free(names[i]);
	}
	free(names);
	return rc;
}

static int
open_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "%s", dir) : fd;
}

struct token_ring *
token_ring_open(const char *dir, struct err *e)
{
	struct token_ring *r;
	struct err why;
	int rc, fd = open_dir(dir, e);

	if (fd < 0)
		return NULL;
	r = xcalloc(1, sizeof(*r));
	rc = load(r, fd, &why);
	close(fd);
	if (rc == 0 && r->n == 0)
		rc = err_set(&why, "no *.key file; signalpost genkey makes one");
	if (rc < 0) {
		err_text(e, 0, "%s: %s", dir, why.text);
		token_ring_close(r);
		return NULL;
	}
	return r;
}

void
token_ring_close(struct token_ring *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++) {
		EVP_CIPHER_CTX_free(r->keys[i].seal);
		EVP_CIPHER_CTX_free(r->keys[i].open);
		free(r->keys[i].name);
	}
	free(r->keys);
	EVP_CIPHER_free(r->cipher);
	free(r);
}

static const struct key *
find_key(const struct token_ring *r, unsigned char id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->keys[i].id == id)
			return &r->keys[i];
	return NULL;
}

/* ---- new keys ---- */

/* A random key whose id is none of the ring's: two of one id would make the ring unusable. */
static int
make_key(const struct token_ring *r, unsigned char bytes[KEY_SIZE], struct err *e)
{
	if (r->n >= RING_MAX)
		return err_set(e, "all %d key ids are taken; remove old keys", RING_MAX);
	do
		hash_random(bytes, KEY_SIZE);
	while (find_key(r, key_id(bytes)) != NULL);
	return 0;
}

/*
 * NAME.key by the time, UTC, to the microsecond. Where the newest key has a
 * greater name (the clock was set back, somebody chose a name), that one goes
 * in front: the new key must be the one that seals.
 */
static void
make_name(const struct token_ring *r, struct buf *name)
{
	int64_t now = clock_wall_us();
	time_t s = now / 1000000;
	char stamp[32];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	buf_clear(name);
	buf_printf(name, "%s.%06dZ.key", stamp, (int)(now % 1000000));
	if (r->n > 0 && compare_names(stem(r->keys[r->n - 1].name), stem(buf_str(name))) >= 0) {
		buf_clear(name);
		buf_add(name, stem(r->keys[r->n - 1].name));
		buf_printf(name, "_%s.%06dZ.key", stamp, (int)(now % 1000000));
	}
}

/* Write `text` as `name`; if that name exists, it stays and this fails with EEXIST. */
static int
write_new(int dirfd, const char *name, struct slice text, struct err *e)
{
	struct stat dir;
	char tmp[64];
	int fd, rc = 0;

	/* A dot in front: a ring that is opened meanwhile must not see half a key. */
	snprintf(tmp, sizeof(tmp), ".new-key.%ld", (long)getpid());
	unlinkat(dirfd, tmp, 0);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, "create %s", tmp);
	/* Who makes keys is often root; who reads them is in the directory's group.
	 * Without the right to give the file away it stays in our own group. */
	if (fstat(dirfd, &dir) == 0 && fchown(fd, (uid_t)-1, dir.st_gid) < 0)
		rc = 0;
	if (file_write_all(fd, text) < 0 || fchmod(fd, 0640) < 0 || fsync(fd) < 0)
		rc = err_errno(e, "write %s", tmp);
	close(fd);
	if (rc == 0 && linkat(dirfd, tmp, dirfd, name, 0) < 0)
		rc = err_errno(e, "create %s", name);
	unlinkat(dirfd, tmp, 0);
	return rc < 0 ? rc : file_sync_dir(dirfd, name, e);
}

static int
new_key(int dirfd, struct buf *name, struct err *e)
{
	struct token_ring *r = xcalloc(1, sizeof(*r));
	unsigned char bytes[KEY_SIZE];
	struct buf text;
	int rc = load(r, dirfd, e);

	buf_init(&text, KEY_FILE_MAX);
	if (rc == 0)
		rc = make_key(r, bytes, e);
	if (rc == 0) {
		make_name(r, name);
		base64_encode(&text, (struct slice){ (const char *)bytes, KEY_SIZE }, BASE64_STD);
		buf_addc(&text, '\n');
		rc = write_new(dirfd, buf_str(name), buf_slice(&text), e);
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	OPENSSL_cleanse(text.p, text.len);
	buf_free(&text);
	token_ring_close(r);
	return rc;
}

int
token_ring_new_key(const char *dir, struct buf *path, struct err *e)
{
	struct buf name;
	struct err why;
	int rc, fd = open_dir(dir, e);

	if (fd < 0)
		return -1;
	buf_init(&name, 4096);
	rc = new_key(fd, &name, &why);
	if (rc < 0)
		rc = err_set(e, "%s: %s", dir, why.text);
	else if (path != NULL)
		buf_printf(path, "%s/%s", dir, buf_str(&name));
	buf_free(&name);
	close(fd);
	return rc;
}

/* ---- sealing and opening ---- */

static _Noreturn void
broken(void)
{
	fputs("libcrypto: AES-256-SIV failed; the OpenSSL installation is broken\n", stderr);
	abort();
}

/* A copy of a keyed context that has taken the associated data. */
static EVP_CIPHER_CTX *
begin(const EVP_CIPHER_CTX *key, unsigned char id, enum token_kind kind)
{
	const unsigned char aad[] = { VERSION, id, (unsigned char)kind };
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	if (ctx == NULL || EVP_CIPHER_CTX_copy(ctx, key) != 1 ||
	    EVP_CipherUpdate(ctx, NULL, &n, aad, sizeof(aad)) != 1)
		broken();
	return ctx;
}

int
token_seal(const struct token_ring *r, enum token_kind kind, enum token_text as, struct slice plain,
    struct buf *out, struct err *e)
{
	unsigned char sealed[HEAD_SIZE + TOKEN_PLAIN_MAX];
	const struct key *key = &r->keys[r->n - 1];
	EVP_CIPHER_CTX *ctx;
	struct slice bytes;
	int n, end;

	/* SIV takes no empty text, not in libcrypto. */
	if (plain.len == 0 || plain.len > TOKEN_PLAIN_MAX)
		return err_set(e, "can't seal %zu bytes; 1 to %d", plain.len, TOKEN_PLAIN_MAX);
	sealed[0] = VERSION;
	sealed[1] = key->id;
	ctx = begin(key->seal, key->id, kind);
	if (EVP_EncryptUpdate(
		ctx, sealed + HEAD_SIZE, &n, (const unsigned char *)plain.p, (int)plain.len) != 1 ||
	    (size_t)n != plain.len || EVP_EncryptFinal_ex(ctx, sealed + HEAD_SIZE + n, &end) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, IV_SIZE, sealed + 2) != 1)
		broken();
	EVP_CIPHER_CTX_free(ctx);
	bytes = (struct slice){ (const char *)sealed, HEAD_SIZE + plain.len };
	if (as == TOKEN_BASE32)
		base32_encode(out, bytes);
	else
		base64_encode(out, bytes, BASE64_URL);
	return out->full ? err_set(e, "no room for a token") : 0;
}

/* SIV knows whether the text is right only after all of it: `out` counts only if this is true. */
static bool
unseal(const struct key *key, enum token_kind kind, struct slice bytes, unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = begin(key->open, key->id, kind);
	struct slice text = slice_skip(bytes, HEAD_SIZE);
	unsigned char iv[IV_SIZE];
	int n, end;
	bool good;

	memcpy(iv, bytes.p + 2, IV_SIZE);
	good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, IV_SIZE, iv) == 1 &&
	       EVP_DecryptUpdate(ctx, out, &n, (const unsigned char *)text.p, (int)text.len) == 1 &&
	       (size_t)n == text.len && EVP_DecryptFinal_ex(ctx, out + n, &end) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

bool
token_open(const struct token_ring *r, enum token_kind kind, enum token_text as, struct slice token,
    struct buf *plain)
{
	unsigned char text[TOKEN_PLAIN_MAX];
	const struct key *key = NULL;
	struct buf bytes;
	bool good;

	/* More than base32 needs for the longest token. */
	if (token.len > 2 * (HEAD_SIZE + TOKEN_PLAIN_MAX))
		return false;
	buf_init(&bytes, HEAD_SIZE + TOKEN_PLAIN_MAX);
	good = as == TOKEN_BASE32 ? base32_decode(&bytes, token)
	                          : base64_decode(&bytes, token, BASE64_URL);
	good = good && bytes.len > HEAD_SIZE && bytes.p[0] == VERSION;
	if (good)
		key = find_key(r, (unsigned char)bytes.p[1]);
	good = key != NULL && unseal(key, kind, buf_slice(&bytes), text);
	if (good)
		good = buf_reserve(plain, bytes.len - HEAD_SIZE);
	if (good)
		buf_add(plain, (struct slice){ (const char *)text, bytes.len - HEAD_SIZE });
	buf_free(&bytes);
	return good;
}
