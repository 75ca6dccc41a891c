#!/bin/sh
# The operator's command from outside: usage, exit codes, job ids, check.
# shellcheck source=t/lib/it.sh
. "${srcdir:-.}/t/lib/it.sh"
signalpost=${SIGNALPOST:-$build/signalpost}
it_begin ctl
[ -x "$signalpost" ] || it_bail "$signalpost is not built"

# run ARGUMENT...: $rc, $out (standard output), $err (standard error)
run() {
	"$signalpost" "$@" >"$D/out" 2>"$D/err" </dev/null
	rc=$?
	out=$(cat "$D/out")
	err=$(cat "$D/err")
}

# ---- commands, help, wrong usage ----

commands='check directives genkey help jobid mta-config rewrite version'

run
is "no command: 64" "$rc" 64
is "no command: nothing on standard output" "$out" ""
has "no command: usage" "$err" "usage: signalpost command"
run help
is "help: 0" "$rc" 0
is "help: nothing on standard error" "$err" ""
for c in $commands; do
	has "help lists $c" "$out" "
  $c "
done
run -h
has "-h is help" "$out" "
  check "
for c in $commands; do
	run help "$c"
	is "help $c: 0" "$rc" 0
	has "help $c: how it is used" "$out" "usage: signalpost $c"
	text=$out
	run "$c" -h
	is "$c -h says the same" "$rc $out" "0 $text"
	case $c in help | version) continue ;; esac
	run "$c" -Z
	is "$c -Z: 64" "$rc" 64
	has "$c -Z: usage" "$err" "usage: signalpost $c"
	is "$c -Z: nothing on standard output" "$out" ""
done
for wrong in "check x" "directives x" "jobid" "version x" "help x y" "mta-config" "mta-config exim" \
	"rewrite" "rewrite a b" "genkey" "genkey x" "genkey dkim" "genkey token a b"; do
	# shellcheck disable=SC2086 # words
	run $wrong
	is "$wrong: 64" "$rc" 64
	is "$wrong: nothing on standard output" "$out" ""
done
run chekc
is "chekc: 64" "$rc" 64
has "chekc: the name that was meant" "$err" "signalpost: unknown command 'chekc'; did you mean 'check'?"
has "chekc: usage" "$err" "usage: signalpost command"
run job-id
has "job-id is near jobid" "$err" "did you mean 'jobid'?"
run xyzzy
is "xyzzy is near nothing" "$(printf '%s\n' "$err" | head -1)" "signalpost: unknown command 'xyzzy'"
run help chekc
is "help chekc: 64" "$rc" 64
has "help chekc: the name that was meant" "$err" "did you mean 'check'?"
run -V
is "-V: 0" "$rc" 0
text=$out
has "-V: name and version" "$out" "signalpost "
run version
is "version says the same" "$rc $out" "0 $text"
"$signalpost" help >/dev/full 2>"$D/err"
is "standard output full: 1" "$?" 1
has "standard output full: said" "$(cat "$D/err")" "signalpost: standard output: No space left"

# ---- jobid ----

run jobid 'Summer sale "2026"'
is "jobid of a text" "$rc $out" "0 Summer_sale__2026_"
is "a short one says nothing more" "$err" ""
run jobid a ' b ' '' 'c d'
is "one line for each text, not trimmed" "$out" "a
_b_

c_d"
run jobid -- -x
is "behind -- all is text" "$rc $out" "0 -x"
run jobid a -x --
is "behind the first text, too" "$out" "a
-x
--"
ten=0123456789
run jobid $ten$ten$ten$ten$ten${ten}abcd
is "64 bytes: all of it" "$out,$err" "$ten$ten$ten$ten$ten${ten}abcd,"
run jobid $ten$ten$ten$ten$ten${ten}abcde
is "65 bytes: not cut" "$rc $out" "0 $ten$ten$ten$ten$ten${ten}abcde"
is "65 bytes: what becomes of it" "$err" \
	"signalpost jobid: 65 bytes; as campaign_id: $ten$ten$ten$ten$ten${ten}abcd"

# The expression as its users write it, against each byte on its own and all at once.
text=$(python3 - "$signalpost" <<'END'
import re, subprocess, sys
def want(data):
    text = data.decode("latin-1")
    return re.sub(r"[^A-Za-z0-9!#$%&'()*+,\-./:;<=>?@\[\\\]^_{|}~]", "_", text).encode() + b"\n"
def got(data):
    return subprocess.run([sys.argv[1], "jobid", "-"], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=True).stdout
def got_argument(data):
    return subprocess.run([sys.argv[1], "jobid", "--", data], stdout=subprocess.PIPE, check=True).stdout
for c in range(256):
    if got(bytes([c])) != want(bytes([c])):
        print("byte", hex(c), "on standard input")
    if c not in (0, ord("-")) and got_argument(bytes([c])) != want(bytes([c])):
        print("byte", hex(c), "as argument")
every = bytes(range(256)) * 3
if got(every) != want(every):
    print("all bytes at once")
print("compared")
END
)
is "each of the 256 bytes as the expression has it" "$text" compared
is "standard input keeps its line ends" "$(printf ' a\n\n' | "$signalpost" jobid -)" "_a__"
is "no bytes, no job id" "$("$signalpost" jobid - </dev/null | wc -c | tr -d ' ')" 1
head -c 1048576 /dev/zero | "$signalpost" jobid - >"$D/out" 2>"$D/err"
is "1 MB: as many bytes come out" "$? $(wc -c <"$D/out" | tr -d ' ')" "0 1048577"
head -c 1048577 /dev/zero | "$signalpost" jobid - >"$D/out" 2>"$D/err"
is "more than 1 MB: 1" "$? $(wc -c <"$D/out" | tr -d ' ')" "1 0"
has "more than 1 MB: said" "$(cat "$D/err")" "standard input: larger than 1048576 bytes"

# ---- check ----

mkdir "$D/keys"
conf() { # conf NAME: standard input is the configuration, with $D/keys for its keys
	{
		cat
		printf '<token-keys>\n    directory %s\n</token-keys>\n' "$D/keys"
	} >"$D/$1"
}
secret=0123456789abcdef0123456789abcdef01234567

run check -c "$D/none.conf"
is "no such file: 78" "$rc" 78
has "no such file: named" "$err" "$D/none.conf: No such file or directory"
is "no such file: nothing on standard output" "$out" ""

conf good.conf <<END
host-name mta.example.com
smtp-listener 127.0.0.1:2525
relay-domain example.com
<signals>
    api-key $secret
    upload-url http://127.0.0.1:8460/api/v1/ingest/events
</signals>
<virtual-mta v1>
    smtp-source-host 127.0.0.1 mta.example.com
</virtual-mta>
END
run check -c "$D/good.conf"
is "no key in the ring: still good" "$rc" 0
has "no key in the ring: a warning" "$err" \
	"warning: $D/good.conf: token-keys: $D/keys: no key yet; the first start of signalpost-milter makes one"
has "no key in the ring: counted" "$out" "$D/good.conf: configuration is good, 1 warning"
run genkey token "$D/keys"
is "genkey token: 0" "$rc" 0
run check -c "$D/good.conf"
is "good: 0" "$rc" 0
is "good: nothing on standard error" "$err" ""
is "good: said" "$out" "$D/good.conf: configuration is good, 0 warnings"
hasnt "good: no secret is shown" "$out$err" "$secret"
chmod 644 "$D"/keys/*.key
run check -c "$D/good.conf"
is "a token key that others may read: 78" "$rc" 78
has "a token key that others may read: named" "$err" "error: $D/good.conf: token-keys: $D/keys: "
chmod 640 "$D"/keys/*.key

# What is said of several mistakes, in one go.
conf bad.conf <<'END'
host-name mta.example.com
relay-domian example.com
<source 0/0>
    always-allow-relaying perhaps
    rewrite-list none
</source>
END
run check -c "$D/bad.conf"
is "mistakes: 78" "$rc" 78
has "mistakes: line and the name that was meant" "$err" "error: $D/bad.conf:2: "
has "mistakes: the name that was meant" "$err" "relay-domain"
has "mistakes: line of a wrong value" "$err" "error: $D/bad.conf:4: always-allow-relaying: "
has "mistakes: line of a list that is not there" "$err" "error: $D/bad.conf:5: rewrite-list: "
has "mistakes: counted" "$err" "$D/bad.conf: 3 errors, 0 warnings"
is "mistakes: nothing on standard output" "$out" ""
run check -v -c "$D/bad.conf"
is "mistakes with -v: the same" "$rc $out" "78 "

conf old.conf <<'END'
http-mgmt-port 8080
END
run check -c "$D/old.conf"
is "a directive that means nothing here: 0" "$rc" 0
has "a directive that means nothing here: a warning" "$err" "warning: $D/old.conf:1: http-mgmt-port"
has "a directive that means nothing here: counted" "$out" "configuration is good, 1 warning"

# ---- check: DKIM keys ----

conf key.conf <<END
domain-key s1, example.com, $D/dkim.pem
END
run check -c "$D/key.conf"
is "a DKIM key that is not there: still good" "$rc" 0
is "a DKIM key that is not there: a warning" "$err" "warning: $D/key.conf:1: domain-key: $D/dkim.pem:\
 No such file or directory; signalpost-milter will not start until it is there"
has "a DKIM key that is not there: counted" "$out" "configuration is good, 1 warning"
run genkey dkim -s s1 -d example.com -o "$D/dkim.pem"
is "genkey dkim: 0" "$rc" 0
has "genkey dkim: the record" "$out" "s1._domainkey.example.com. IN TXT ("
has "genkey dkim: the line for the configuration" "$out" "domain-key s1,example.com,$D/dkim.pem"
run genkey dkim -s s1 -d example.com -o "$D/dkim.pem"
is "genkey dkim: does not overwrite" "$rc $out" "1 "
run check -c "$D/key.conf"
is "a DKIM key" "$rc $err" "0 "
chmod 644 "$D/dkim.pem"
run check -c "$D/key.conf"
is "a DKIM key that others may read: 78" "$rc" 78
has "a DKIM key that others may read: named" "$err" "error: $D/key.conf:1: domain-key: $D/dkim.pem"
has "a DKIM key that others may read: counted" "$err" "$D/key.conf: 1 error, 0 warnings"
chmod 600 "$D/dkim.pem"
echo garbage >"$D/dkim.pem"
run check -c "$D/key.conf"
is "a DKIM key that is none: 78" "$rc" 78
has "a DKIM key that is none: named" "$err" "error: $D/key.conf:1: domain-key: $D/dkim.pem"

conf list.conf <<END
<domain-key-list l>
    domain-key s1, example.com, $D/none.pem
</domain-key-list>
<virtual-mta v1>
    domain-key-list l
</virtual-mta>
<virtual-mta v2>
    domain-key-list l
    domain-key s2, example.com, $D/none2.pem
</virtual-mta>
END
run check -c "$D/list.conf"
is "keys of virtual MTAs: one warning for each line" "$(printf '%s\n' "$err" | grep -c 'domain-key:')" 2

# ---- check: other files ----

conf tls.conf <<END
smtp-server-tls-certificate $D/cert.pem
END
run check -c "$D/tls.conf"
is "a certificate that is not there" "$rc $err" "0 warning: $D/tls.conf: smtp-server-tls-certificate:\
 $D/cert.pem: No such file or directory; the MTA needs it"
it_certificate "$D/cert.pem" mail.example.com
chmod 644 "$D/cert.pem"
run check -c "$D/tls.conf"
is "a certificate that others may read" "$rc $err" "0 warning: $D/tls.conf: smtp-server-tls-certificate:\
 $D/cert.pem: others may read it (mode 0644)"
chmod 600 "$D/cert.pem"
run check -c "$D/tls.conf"
is "a certificate" "$rc $err" "0 "
cert_says() { # cert_says TEXT WANTED: with what is now in cert.pem
	run check -c "$D/tls.conf"
	is "$1" "$rc $err" "0 warning: $D/tls.conf: smtp-server-tls-certificate: $D/cert.pem: $2"
}
cp "$D/cert.pem" "$D/cert.good"
it_certificate "$D/cert2.pem" mail.example.com
chmod 600 "$D/cert.pem"
{ sed '/BEGIN CERT/,$d' "$D/cert2.pem"; sed -n '/BEGIN CERT/,$p' "$D/cert.good"; } >"$D/cert.pem"
cert_says "another certificate's key" "the private key is not the certificate's"
sed -n '/BEGIN CERT/,$p' "$D/cert.good" >"$D/cert.pem"
cert_says "no key" "there is no private key in it (PEM), or it has another password"
echo x >"$D/cert.pem"
cert_says "no certificate" "there is no certificate in it (PEM)"
cp "$D/cert.good" "$D/cert.pem"
echo "host-name other.example.com" >>"$D/tls.conf"
cert_says "another's certificate" "the certificate is not for host-name other.example.com"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 5 -subj /CN=other.example.com \
	-keyout "$D/soon.key" -out "$D/soon.crt" 2>/dev/null
cat "$D/soon.key" "$D/soon.crt" >"$D/cert.pem"
run check -c "$D/tls.conf"
has "one that ends soon" "$err" "the certificate expires soon: "

# ---- check -v, and back ----

for file in "$src"/t/data/*.conf "$src"/t/data/conf/*.conf "$D/good.conf" "$D/tls.conf" "$D/list.conf"; do
	[ -f "$file" ] || continue
	name=$(basename "$file")
	run check -c "$file"
	[ "$rc" = 0 ] || continue
	run check -v -c "$file"
	is "$name: -v: 0" "$rc" 0
	has "$name: -v: the verdict is on standard error" "$err" "$file: configuration is good"
	hasnt "$name: -v: and only there" "$out" "configuration is good"
	cp "$D/out" "$D/first.conf"
	run check -v -c "$D/first.conf"
	is "$name: -v, read back: 0" "$rc" 0
	cp "$D/out" "$D/second.conf"
	# The file's own name is in comments.
	sed "s|$file|FILE|g" "$D/first.conf" >"$D/first"
	sed "s|$D/first.conf|FILE|g" "$D/second.conf" >"$D/second"
	is "$name: -v, read back, gives the same" "$(sed 's/#.*//' "$D/second")" "$(sed 's/#.*//' "$D/first")"
done
run check -v -c "$D/good.conf"
has "-v shows the secret, to be read back" "$out" "$secret"

# ---- directives ----

run directives
is "directives: 0" "$rc $err" "0 "
for d in host-name smtp-listener relay-domain api-key jobid-prefix dkim-sign max-message-size; do
	has "directives lists $d" "$out" "$d"
done
run directives -m
is "directives -m: 0" "$rc $err" "0 "
has "directives -m is mdoc" "$out" ".It"

it_done
