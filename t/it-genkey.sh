#!/bin/sh
# signalpost genkey: keys that nobody else can read, records that others verify with.
# shellcheck source=t/lib/it.sh
. "${srcdir:-.}/t/lib/it.sh"
it_begin genkey
cd "$D" || exit 1

genkey() { # genkey ARGUMENT...: output in out, errors in err, exit status in $rc
	"$build/signalpost" genkey "$@" >"$D/out" 2>"$D/err"
	rc=$?
}

mode() { stat -c %a "$1"; }

public_of() { # what openssl says is the public half, as base64
	openssl pkey -in "$1" -pubout -outform DER 2>/dev/null | if [ "$2" = ed25519 ]; then
		tail -c 32
	else
		cat
	fi | base64 -w 0
}

strings() { sed -n 's/^.*"\(.*\)".*$/\1/p' "$1"; }

# ---- one key ----

genkey dkim -d example.com -s one
is 'an RSA key is made' "$rc" 0
is 'its file is for the owner only' "$(mode one.example.com.key)" 600
openssl pkey -in one.example.com.key -noout -text 2>/dev/null | grep -q '2048 bit'
is 'it has 2048 bits' $? 0
value="v=DKIM1; k=rsa; p=$(public_of one.example.com.key rsa)"
has 'the name of its record' "$(cat out)" '; name:  one._domainkey.example.com'
has 'the record whole, with the public half that openssl sees' "$(cat out)" "; value: $value"
is 'the strings of the zone file make up the record' "$(strings out | tr -d '\n')" "$value"
is 'no string is longer than 255 bytes' "$(strings out | awk 'length > 255' | wc -l)" 0
has 'the zone file names it absolutely' "$(cat out)" \
	'one._domainkey.example.com. IN TXT ('
has 'the directive for the configuration' "$(cat out)" \
	"; domain-key one,example.com,$(realpath one.example.com.key)"
is 'nothing on standard error' "$(cat err)" ''

cp one.example.com.key before
genkey dkim -d example.com -s one
is 'a key that is there is not overwritten' "$rc:$(cat out err)" \
	'1:signalpost genkey: one.example.com.key is there already and is not overwritten'
ok 'it is as it was' cmp before one.example.com.key

mkdir sub
(umask 0777 && "$build/signalpost" genkey dkim -a ed25519-sha256 -d e.co -s s -o sub/k >out 2>err)
is 'an Ed25519 key, in the file that -o names' $? 0
is 'its mode does not depend on the umask' "$(mode sub/k)" 600
has 'its record' "$(cat out)" "\"v=DKIM1; k=ed25519; p=$(public_of sub/k ed25519)\" )"

# ---- both ----

genkey dkim -a both -b 1024 -d Example.com. -s two
is 'two keys' "$rc" 0
has 'the RSA key keeps the selector' "$(cat out)" 'two._domainkey.Example.com. IN TXT'
has 'the Ed25519 key has one of its own' "$(cat out)" \
	'two-ed25519._domainkey.Example.com. IN TXT'
has 'the bits that were asked for' "$(cat out)" 'rsa-sha256, 1024 bits'
ls -A >files
: >taken-ed25519
genkey dkim -a both -b 1024 -d example.com -s x -o taken
is 'when the second can not be written' "$rc:$(cat err)" \
	'1:signalpost genkey: taken-ed25519 is there already and is not overwritten'
ok 'the first is not left behind' test ! -e taken
is 'and no record is printed' "$(cat out)" ''

# What was printed is what verifies.
if [ -x "$build/t/dkimsign" ] && [ -x "$build/t/dkimcheck" ]; then
	genkey dkim -a both -d example.com -s v
	sed -n 's/^; name:  //p' out >names
	sed -n 's/^; value: //p' out | paste -d ' ' names - >keys
	printf 'From: joe@example.com\n\nHello\n' | "$build/t/dkimsign" -d example.com \
		-k v:v.example.com.key -k v-ed25519:v-ed25519.example.com.key >signed.eml
	ok 'libopendkim verifies with the records' "$build/t/dkimcheck" keys signed.eml
fi

# ---- refusals ----

while IFS='|' read -r status text arguments; do
	# shellcheck disable=SC2086 # words
	genkey $arguments
	is "genkey $arguments: status" "$rc" "$status"
	has "genkey $arguments: $text" "$(cat err)" "$text"
	is "genkey $arguments: nothing is printed" "$(cat out)" ''
done <<'END'
64|usage: signalpost genkey|
64|usage: signalpost genkey|other
64|usage: signalpost genkey|dkim
64|usage: signalpost genkey|dkim -d example.com
64|usage: signalpost genkey|dkim -s s
64|usage: signalpost genkey|dkim -d example.com -s s more
64|-a takes rsa-sha256, ed25519-sha256 or both|dkim -d example.com -s s -a rsa-sha1
64|-b takes 1024 to 4096 bits (RFC 8301)|dkim -d example.com -s s -b 512
64|-b takes 1024 to 4096 bits (RFC 8301)|dkim -d example.com -s s -b 8192
64|-b takes 1024 to 4096 bits (RFC 8301)|dkim -d example.com -s s -b 2k
64|"exa..mple.com" is not a domain name|dkim -d exa..mple.com -s s
64|"a;b" can't be a selector|dkim -d example.com -s a;b
1|create none/k: No such file or directory|dkim -b 1024 -d example.com -s s -o none/k
64|usage: signalpost genkey|token a b
64|usage: signalpost genkey|token -c a b
78|none.conf: No such file or directory|token -c none.conf
1|none: |token none
END

# ---- token keys ----

mkdir -m 0750 ring
genkey token ring
is 'a token key' "$rc:$(find ring -name '*.key' | wc -l)" 0:1
is 'its path is printed' "$(cat out)" "$(find ring -name '*.key')"
printf '<token-keys>\ndirectory %s/ring\n</token-keys>\n' "$D" >c.conf
genkey token -c c.conf
is "a second one, in the configuration's directory" "$rc:$(find ring -name '*.key' | wc -l)" 0:2
printf 'nonsense 1\n' >bad.conf
genkey token -c bad.conf
is 'not with a configuration that is wrong' "$rc:$(find ring -name '*.key' | wc -l)" 78:2
it_done
