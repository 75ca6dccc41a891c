#!/usr/bin/env python3
"""signalpost testkey: keys against a name server of our own and against a file, right and wrong in every way."""
import os
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading

SRC = os.environ.get("srcdir", ".")
BUILD = os.path.abspath(os.environ.get("builddir", "."))
SIGNALPOST = os.path.join(BUILD, "signalpost")

count = failed = 0


def ok(good, what, more=""):
    global count, failed
    count += 1
    print("%sok %d - %s" % ("" if good else "not ", count, what), flush=True)
    if not good:
        failed += 1
        for line in str(more).splitlines():
            print("# " + line)


# ---- a name server: NAME -> list of TXT records, each a list of strings, or an rcode ----

records = {}
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


def read_name(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += packet[at] + 1
    return ".".join(labels).lower(), at + 5


def answer(packet, room):
    name, end = read_name(packet)
    what = records.get(name, NXDOMAIN)
    if what == "garbage":
        return packet[:2] + b"\x81\x80\x00\x01\x00\x09\x00\x00\x00\x00" + packet[12:end] + b"\xc0\x0c\x00"
    if what == "silence":
        return None
    rcode = what if isinstance(what, int) else 0
    body, n = b"", 0
    for strings in what if rcode == 0 else []:
        data = b"".join(bytes([len(s)]) + s for s in strings)
        body += b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, 60, len(data)) + data
        n += 1
    flags = 0x8180 | rcode
    if 12 + (end - 12) + len(body) > room:
        flags, body, n = flags | 0x0200, b"", 0
    return packet[:2] + struct.pack("!HHHHH", flags, 1, n, 0, 0) + packet[12:end] + body


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        packet, sock = self.request
        reply = answer(packet, 512)
        if reply is not None:
            sock.sendto(reply, self.client_address)


class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        head = self.request.recv(2)
        if len(head) < 2:
            return
        packet = self.request.recv(struct.unpack("!H", head)[0])
        reply = answer(packet, 65535)
        self.request.sendall(struct.pack("!H", len(reply)) + reply)
        tcp_seen.append(1)


tcp_seen = []


def serve():
    socketserver.TCPServer.allow_reuse_address = True
    for _ in range(50):
        udp = socketserver.UDPServer(("127.0.0.1", 0), Udp)
        try:
            tcp = socketserver.TCPServer(udp.server_address, Tcp)
            break
        except OSError:
            udp.server_close()
    for server in (udp, tcp):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return "127.0.0.1:%d" % udp.server_address[1]


def strings_of(text, size=255):
    text = text.encode()
    return [text[i:i + size] for i in range(0, len(text), size)]


def run(*args):
    return subprocess.run([SIGNALPOST, *args], capture_output=True, text=True, timeout=120)


def make_keys(d, domain, selector):
    """Both keys; their records by name."""
    path = os.path.join(d, "%s.%s" % (selector, domain))
    r = run("genkey", "dkim", "-a", "both", "-d", domain, "-s", selector, "-o", path)
    lines = r.stdout.splitlines()
    names = [x.split()[-1] for x in lines if x.startswith("; name:")]
    values = [x[len("; value: "):] for x in lines if x.startswith("; value: ")]
    return path, path + "-ed25519", dict(zip(names, values))


def main():
    d = tempfile.mkdtemp(prefix="sp-testkey.")
    resolver = serve()
    rsa, ed, values = make_keys(d, "example.com", "one")
    rsa_name, ed_name = "one._domainkey.example.com", "one-ed25519._domainkey.example.com"
    ok(set(values) == {rsa_name, ed_name}, "genkey made two keys", values)

    def test(name, key, what):
        records[name] = what
        selector = name.split("._domainkey.")[0]
        return run("testkey", "-s", selector, "-d", "example.com", "-r", resolver, key)

    def row(text, name, key, what, code, words):
        r = test(name, key, what)
        ok(r.returncode == code and words in r.stdout, text, (r.returncode, r.stdout, r.stderr))
        return r

    good = values[rsa_name]
    row("RSA, in two strings", rsa_name, rsa, [strings_of(good)], 0, "pass  one._domainkey.example.com  rsa-sha256 2048")
    row("in strings of 20 bytes", rsa_name, rsa, [strings_of(good, 20)], 0, "pass")
    row("Ed25519", ed_name, ed, [strings_of(values[ed_name])], 0, "pass  one-ed25519._domainkey.example.com  ed25519")
    before = len(tcp_seen)
    row("an answer that is too long for UDP", rsa_name, rsa, [strings_of(good + "; n=" + "x" * 400)], 0, "pass")
    ok(len(tcp_seen) > before, "came by TCP")
    row("t=y is said", rsa_name, rsa, [strings_of(good.replace("; k=", "; t=y; k="))], 0, "t=y")

    r = row("no such name", rsa_name, rsa, NXDOMAIN, 1, "there is no such name (NXDOMAIN)")
    ok(good in r.stdout and "one._domainkey.example.com. IN TXT (" in r.stdout, "what to publish is shown, twice", r.stdout)
    ok(all(len(x.strip().strip(" )")) <= 257 for x in r.stdout.splitlines() if x.startswith('\t"')),
       "in strings that DNS can hold", r.stdout)
    records[rsa_name + ".example.com"] = [strings_of(good)]
    row("published below itself", rsa_name, rsa, NXDOMAIN, 1,
        "there is a TXT record at one._domainkey.example.com.example.com: in the zone file the name has no dot at its end")
    del records[rsa_name + ".example.com"]
    row("a name without TXT", rsa_name, rsa, [], 1, "it has no TXT record")
    r = row("SERVFAIL", rsa_name, rsa, SERVFAIL, 1, "no answer from the resolver, or it failed")
    ok(r.stdout.startswith("????") and good not in r.stdout, "then nothing is known, and nothing to publish shown", r.stdout)
    row("REFUSED", rsa_name, rsa, REFUSED, 1, "????")
    row("garbage", rsa_name, rsa, "garbage", 1, "one._domainkey")
    row("two records", rsa_name, rsa, [strings_of(good), [b"v=spf1 -all"]], 1, "there are 2 TXT records")
    row("the other key's record", rsa_name, rsa, [strings_of(values[ed_name])], 1, "k=ed25519, but the private key is rsa")
    row("only the first string", rsa_name, rsa, [strings_of(good)[:1]], 1, "p= is cut off")
    row("quotes in the value", rsa_name, rsa, [[b'"v=DKIM1; p=' + b'"']], 1, "quotes in it")
    row("revoked", rsa_name, rsa, [[b"v=DKIM1; p="]], 1, "the key is revoked")
    row("another record", rsa_name, rsa, [[b"google-site-verification=xyz"]], 1, "it has no p=")
    row("no DKIM1", rsa_name, rsa, [strings_of(good.replace("DKIM1", "DKIM2"))], 1, "v= must stand first")
    row("not for mail", rsa_name, rsa, [strings_of(good + "; s=tlsrpt")], 1, "s= does not allow email")
    row("control bytes", rsa_name, rsa, [[b"v=DKIM1; \x1b[2J\x00\xff; p=AAAA"]], 1, "FAIL")
    ok("\x1b" not in test(rsa_name, rsa, [[b"v=DKIM1; \x1b[2J=\x00\xff p=A\x1bA"]]).stdout, "none reaches the terminal")

    # ---- the configuration ----
    other, _, theirs = make_keys(d, "other.example", "two")
    with open(os.path.join(d, "c"), "w") as f:
        f.write("domain-key one,example.com,%s\ndomain-key one-ed25519,example.com,%s\n" % (rsa, ed))
        f.write("<virtual-mta v>\n  domain-key two,other.example,%s\n  domain-key any,*,%s\n</virtual-mta>\n" % (other, other))
    conf = ["-c", os.path.join(d, "c"), "-r", resolver]
    records.update({rsa_name: [strings_of(good)], ed_name: [strings_of(good)]})
    records["two._domainkey.other.example"] = [strings_of(theirs["two._domainkey.other.example"])]
    r = run("testkey", *conf)
    ok(r.returncode == 1 and "pass  one._domainkey" in r.stdout and "FAIL  one-ed25519._domainkey" in r.stdout
       and "k=rsa, but the private key is ed25519" in r.stdout and "pass  two._domainkey.other.example" in r.stdout,
       "of two keys the one that fails is named, and why", r.stdout)
    ok("c:5: domain-key any,*: not tested" in r.stderr, "'*' needs a domain", r.stderr)
    records["any._domainkey.other.example"] = records["two._domainkey.other.example"]
    r = run("testkey", *conf, "other.example")
    ok(r.returncode == 0 and "one._domainkey" not in r.stdout and "pass  any._domainkey.other.example" in r.stdout,
       "only the domain that is asked for, '*' with it", r.stdout + r.stderr)
    r = run("testkey", *conf, "nowhere.example")
    ok(r.returncode == 1 and "any._domainkey.nowhere.example" in r.stdout, "a domain that only '*' has", r.stdout)
    os.chmod(rsa, 0o644)
    r = run("testkey", *conf, "example.com")
    ok(r.returncode == 1 and rsa in r.stdout, "a key that others may read", r.stdout)
    os.chmod(rsa, 0o600)

    # ---- a file, and usage ----
    with open(os.path.join(d, "keys"), "w") as f:
        for name, value in values.items():
            f.write("%s %s\n" % (name, value))
    r = run("testkey", "-c", os.path.join(d, "c"), "-k", os.path.join(d, "keys"), "example.com")
    ok(r.returncode == 1 and r.stdout.count("pass") == 2 and "any._domainkey.example.com" in r.stdout, "from a file", r.stdout)
    for args, words in (
        (["-r", "nonsense", "-c", "x"], "is no resolver"), (["-r", "127.0.0.1:0"], "is no resolver"),
        (["-s", "one"], "usage"), (["-s", "one", "-d", "a b", rsa], "can't be a DNS name"), (["-x"], "usage"),
    ):
        r = run("testkey", *args)
        ok(r.returncode == 64 and words in r.stderr, "usage: " + " ".join(args)[:40].replace(d, ""), r.stderr)
    r = run("testkey", "-c", os.path.join(d, "none"))
    ok(r.returncode == 78, "no configuration: 78", r.stderr)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    r = run("testkey", "-s", "one", "-d", "example.com", "-r", "127.0.0.1:%d" % port, rsa)
    ok(r.returncode == 1 and r.stdout.startswith("????"), "nobody at the resolver's port", r.stdout)
    subprocess.run(["rm", "-rf", d], check=True)
    print("1..%d" % count)
    return failed > 0


sys.exit(main())
