/*
 * cmd_genkey.c - new keys: for DKIM, with the DNS record that has to be published
 * for them, and for tokens.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/dkim.h"
#include "common/file.h"
#include "common/token.h"
#include "common/xalloc.h"
#include "ctl/ctl.h"
#include "common/dns_txt.h"

#define DEFAULT_RSA_BITS 2048
#define ED25519_SELECTOR "-ed25519" /* behind the selector when there are two keys */

static int
failed(const struct err *e)
{
	fprintf(stderr, "signalpost genkey: %s\n", e->text);
	return 1;
}

/* ---- the private key's file ---- */

/* fsync of the directory that holds `path`, so that the name lasts as the key does. */
static int
sync_directory_of(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? xstrdup(".")
	                          : xslicedup((struct slice){ path, (size_t)(slash - path) + 1 });
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? err_errno(e, "%s", dir) : file_sync_dir(fd, dir, e);

	if (fd >= 0)
		close(fd);
	free(dir);
	return rc;
}

/* O_EXCL: a key that is there may be in use and its record published. */
static int
write_new(const char *path, struct slice pem, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd < 0)
		return errno == EEXIST
		           ? err_set(e, "%s is there already and is not overwritten", path)
		           : err_errno(e, "create %s", path);
	/* Whatever the umask: the owner must be able to read it, nobody else. */
	if (fchmod(fd, 0600) < 0 || file_write_all(fd, pem) < 0 || fsync(fd) < 0)
		rc = err_errno(e, "write %s", path);
	close(fd);
	if (rc == 0)
		rc = sync_directory_of(path, e);
	if (rc < 0)
		unlink(path);
	return rc;
}

/* ---- DKIM ---- */

struct dkim_job {
	enum dkim_algorithm algorithm;
	struct buf selector, path;
	struct dkim_key *key; /* once it is on disk */
};

struct dkim_request {
	const char *selector, *path;
	struct buf domain;
	bool rsa, ed25519;
	unsigned bits;
	size_t n;
	struct dkim_job jobs[2];
};

/*
 * One record has one key (RFC 6376 3.6.2.2), so two keys need two selectors. The
 * one that all receivers can verify has the selector that was asked for.
 */
static void
add_job(struct dkim_request *r, enum dkim_algorithm algorithm)
{
	struct dkim_job *job = &r->jobs[r->n++];
	const char *suffix = r->n > 1 ? ED25519_SELECTOR : "";

	job->algorithm = algorithm;
	buf_init(&job->selector, BUF_NO_LIMIT);
	buf_init(&job->path, BUF_NO_LIMIT);
	buf_printf(&job->selector, "%s%s", r->selector, suffix);
	if (r->path != NULL)
		buf_printf(&job->path, "%s%s", r->path, suffix);
	else
		buf_printf(&job->path, "%s.%s.key", buf_str(&job->selector), buf_str(&r->domain));
}

static int
make_key(struct dkim_job *job, unsigned bits, struct err *e)
{
	const char *path = buf_str(&job->path);
	struct buf pem;
	int rc;

	buf_init(&pem, BUF_NO_LIMIT);
	/* All the room at once: a buffer that moved would leave pieces of the key behind. */
	buf_reserve(&pem, 16384);
	rc = dkim_key_generate(job->algorithm, bits, &pem, e);
	if (rc == 0)
		rc = write_new(path, buf_slice(&pem), e);
	explicit_bzero(pem.p, pem.len);
	buf_free(&pem);
	if (rc < 0)
		return -1;
	/* Read back as the milter will read it: what is published belongs to what is there. */
	job->key = dkim_key_load(path, e);
	if (job->key != NULL)
		return 0;
	unlink(path);
	return -1;
}

/* All keys, or none. */
static int
make_keys(struct dkim_request *r, struct err *e)
{
	for (size_t i = 0; i < r->n; i++) {
		if (make_key(&r->jobs[i], r->bits, e) == 0)
			continue;
		while (i > 0)
			unlink(buf_str(&r->jobs[--i].path));
		return -1;
	}
	return 0;
}

/*
 * For a zone file; what is not the record is in comments, so that all of it may be
 * pasted. The record is there twice: whole for a form that takes a name and a value,
 * and cut into the strings that a zone file needs.
 */
static void
print_record(const struct dkim_job *job, const char *domain)
{
	const char *selector = buf_str(&job->selector);
	char *path = realpath(buf_str(&job->path), NULL);
	struct buf name, text;

	buf_init(&name, BUF_NO_LIMIT);
	buf_init(&text, BUF_NO_LIMIT);
	dkim_key_record(job->key, &text);
	printf("; %s, %u bits; private key in %s\n", dkim_algorithm_name(job->algorithm),
	    dkim_key_bits(job->key), path != NULL ? path : buf_str(&job->path));
	printf(
	    "; domain-key %s,%s,%s\n", selector, domain, path != NULL ? path : buf_str(&job->path));
	printf("; name:  %s._domainkey.%s\n", selector, domain);
	printf("; value: %s\n", buf_str(&text));
	buf_printf(&name, "%s._domainkey.%s", selector, domain);
	dns_txt_print_zone(buf_str(&name), buf_slice(&text), stdout);
	buf_free(&name);
	buf_free(&text);
	free(path);
}

static int
check_names(const struct dkim_request *r, struct err *e)
{
	if (!dkim_is_host_name(buf_str(&r->domain)))
		return err_set(e, "\"%s\" is not a domain name", buf_str(&r->domain));
	if (!dkim_is_host_name(r->selector))
		return err_set(e, "\"%s\" can't be a selector: letters, digits, '-', '_' and '.'",
		    r->selector);
	if (r->domain.len + strlen(r->selector) + sizeof(ED25519_SELECTOR "._domainkey.") > 254)
		return err_set(e, "selector and domain are too long for a DNS name");
	return 0;
}

static int
run_dkim(struct dkim_request *r)
{
	struct err e;
	int rc;

	if (check_names(r, &e) < 0) {
		failed(&e);
		return EX_USAGE;
	}
	if (r->rsa)
		add_job(r, DKIM_RSA_SHA256);
	if (r->ed25519)
		add_job(r, DKIM_ED25519_SHA256);
	rc = make_keys(r, &e) < 0 ? failed(&e) : EX_OK;
	for (size_t i = 0; i < r->n; i++) {
		if (rc == EX_OK)
			print_record(&r->jobs[i], buf_str(&r->domain));
		dkim_key_close(r->jobs[i].key);
		buf_free(&r->jobs[i].selector);
		buf_free(&r->jobs[i].path);
	}
	return rc;
}

static bool
set_algorithm(struct dkim_request *r, const char *name)
{
	static const struct {
		const char *name;
		bool rsa, ed25519;
	} rows[] = {
		{ "rsa-sha256", true, false },
		{ "rsa", true, false },
		{ "ed25519-sha256", false, true },
		{ "ed25519", false, true },
		{ "both", true, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(name, rows[i].name) == 0) {
			r->rsa = rows[i].rsa;
			r->ed25519 = rows[i].ed25519;
			return true;
		}
	fprintf(stderr, "signalpost genkey: -a takes rsa-sha256, ed25519-sha256 or both\n");
	return false;
}

static bool
set_bits(struct dkim_request *r, const char *text)
{
	uint64_t n;

	if (!slice_uint(slice_str(text), DKIM_RSA_MAX_BITS, &n) || n < DKIM_RSA_MIN_BITS) {
		fprintf(stderr, "signalpost genkey: -b takes %d to %d bits (RFC 8301)\n",
		    DKIM_RSA_MIN_BITS, DKIM_RSA_MAX_BITS);
		return false;
	}
	r->bits = (unsigned)n;
	return true;
}

static bool
dkim_option(struct dkim_request *r, int opt)
{
	switch (opt) {
	case 'a':
		return set_algorithm(r, optarg);
	case 'b':
		return set_bits(r, optarg);
	case 'd':
		buf_clear(&r->domain);
		buf_adds(&r->domain, optarg);
		/* "example.com." says the same. */
		if (r->domain.len > 1 && optarg[r->domain.len - 1] == '.')
			r->domain.p[--r->domain.len] = '\0';
		return true;
	case 'o':
		r->path = optarg;
		return true;
	case 's':
		r->selector = optarg;
		return true;
	default:
		return false;
	}
}

static int
genkey_dkim(int argc, char **argv)
{
	struct dkim_request r = { .rsa = true, .bits = DEFAULT_RSA_BITS };
	bool good = true;
	int opt, rc;

	buf_init(&r.domain, BUF_NO_LIMIT);
	while (good && (opt = getopt(argc, argv, "a:b:d:o:s:")) != -1)
		good = dkim_option(&r, opt);
	if (good && optind == argc && r.domain.len > 0 && r.selector != NULL)
		rc = run_dkim(&r);
	else
		rc = ctl_usage("genkey");
	buf_free(&r.domain);
	return rc;
}

/* ---- tokens ---- */

static int
new_token_key(const char *dir)
{
	struct buf path;
	struct err e;
	int rc = EX_OK;

	buf_init(&path, BUF_NO_LIMIT);
	if (token_ring_new_key(dir, &path, &e) < 0)
		rc = failed(&e);
	else
		printf("%s\n", buf_str(&path));
	buf_free(&path);
	return rc;
}

static int
configured_token_key(const char *file)
{
	struct err e;
	struct conf *c = conf_load(file, &e);
	int rc;

	if (c == NULL) {
		failed(&e);
		return EX_CONFIG;
	}
	rc = new_token_key(c->token_keys.directory);
	conf_free(c);
	return rc;
}

static int
genkey_token(int argc, char **argv)
{
	const char *file = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "c:")) != -1) {
		if (opt != 'c')
			return ctl_usage("genkey");
		file = optarg;
	}
	if (argc - optind == 1 && file == NULL)
		return new_token_key(argv[optind]);
	if (optind != argc)
		return ctl_usage("genkey");
	return configured_token_key(file != NULL ? file : CONF_DEFAULT_FILE);
}

int
cmd_genkey(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "dkim") == 0)
		return genkey_dkim(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "token") == 0)
		return genkey_token(argc - 1, argv + 1);
	return ctl_usage("genkey");
}
