/*
 * replay.c - a main() for a fuzz target that any compiler can build: it feeds the
 * target each file of the folders it is given, in memory of exactly that size.
 *
 *	replay-NAME [FOLDER...]		default: $srcdir/fuzz/corpus/NAME
 *
 * Prints TAP. A target reports a broken property by abort(), so that reaching
 * the end is what passing means.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
feed(int dirfd, const char *name)
{
	struct stat st;
	uint8_t *data;
	size_t have = 0;
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return 0;
	}
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	if (data == NULL)
		abort();
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, data + have, (size_t)st.st_size - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	LLVMFuzzerTestOneInput(data, have);
	free(data);
	return 1;
}

static void
replay(int number, const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *de;
	unsigned files = 0, unreadable = 0;

	if (d == NULL) {
		printf("not ok %d - %s: %s\n", number, folder, strerror(errno));
		return;
	}
	while ((de = readdir(d)) != NULL) {
		int rc = feed(dirfd(d), de->d_name);

		if (rc < 0)
			unreadable++;
		else
			files += (unsigned)rc;
	}
	closedir(d);
	printf("%sok %d - %u inputs of %s, %u unreadable\n",
	    files == 0 || unreadable != 0 ? "not " : "", number, files, folder, unreadable);
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/'), *srcdir = getenv("srcdir");
	char folder[4096];

	setvbuf(stdout, NULL, _IOLBF, 0);
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			replay(i, argv[i]);
		printf("1..%d\n", argc - 1);
		return 0;
	}
	name = name == NULL ? argv[0] : name + 1;
	if (strncmp(name, "replay-", 7) == 0)
		name += 7;
	snprintf(folder, sizeof(folder), "%s/fuzz/corpus/%s", srcdir == NULL ? "." : srcdir, name);
	replay(1, folder);
	printf("1..1\n");
	return 0;
}
