#!/bin/sh
# Debian's sendmail for tests, beside the Postfix that it can't be installed with: its
# packages are fetched into DIR and unpacked to DIR/root. Nothing is installed and
# nothing gets rights. Does nothing if it is there.
#
#	get-sendmail.sh DIR
#
# 1: it could not be had; DIR/log says why. The tests that need it are skipped then.
set -eu
dir=$1
packages='sendmail-bin sendmail-base sendmail-cf libwrap0'

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ ! -f "$dir/root/complete" ] || exit 0
exec >"$dir/log" 2>&1
cd "$dir"
rm -rf root
# shellcheck disable=SC2086 # a list of words
apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root download $packages || exit 1
for file in *.deb; do
	dpkg-deb --fsys-tarfile "$file" | {
		mkdir -p root
		tar -x -C root --no-same-owner --no-same-permissions
	}
done
# It is not to run with the rights of a group.
chmod 755 root/usr/libexec/sendmail/sendmail
LD_LIBRARY_PATH=$(dirname "$(find root -name 'libwrap.so.0')")
export LD_LIBRARY_PATH
if ldd root/usr/libexec/sendmail/sendmail | grep 'not found'; then
	exit 1
fi
touch root/complete
