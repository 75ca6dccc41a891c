/*
 * null-milter - a filter that says yes to everything: what stands at the milter's
 * socket when our relay rule does not.
 *
 * Usage: null-milter SOCKET
 */
#include <libmilter/mfapi.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

int
main(int argc, char **argv)
{
	static char name[] = "null";
	struct smfiDesc filter = { .xxfi_name = name, .xxfi_version = SMFI_VERSION };

	if (argc != 2) {
		fputs("usage: null-milter socket\n", stderr);
		return 64;
	}
	umask(0);
	if (smfi_setconn(argv[1]) != MI_SUCCESS || smfi_register(filter) != MI_SUCCESS ||
	    smfi_opensocket(1) != MI_SUCCESS)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
