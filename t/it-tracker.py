#!/usr/bin/env python3
"""The real signalpost-tracker over real HTTP on loopback. Prints TAP.

The programs are $TRACKER and $MKLINKS, or those in $builddir.
"""

import base64
import http.client
import json
import os
import random
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import SLOW, free_port, ok, plan, skip, wait  # noqa: E402

BUILD = os.environ.get("builddir", ".")
PROGRAM = os.path.abspath(os.environ.get("TRACKER", os.path.join(BUILD, "signalpost-tracker")))
MKLINKS = os.path.abspath(os.environ.get("MKLINKS", os.path.join(BUILD, "t", "mklinks")))
URL = "https://brand.example/sale?a=1&b=2"
# A stop gives what runs a second, and clients have 15 s: what is below SOON has not waited for them.
SOON = 12 * SLOW
GIF_HEAD = b"GIF89a\x01\x00\x01\x00"


def new_key(directory, name):
    path = os.path.join(directory, name + ".key")
    with open(path, "w") as f:
        os.fchmod(f.fileno(), 0o640)
        f.write(base64.b64encode(os.urandom(64)).decode() + "\n")


# ---- the daemon ----


class Tracker:
    def __init__(self, directory, extra="", top="", host="127.0.0.1", spool=None):
        self.dir = directory
        self.host = host
        self.port = free_port(host)
        self.keys = os.path.join(directory, "keys")
        self.spool = spool or os.path.join(directory, "spool")
        self.conf = os.path.join(directory, "tracker.conf")
        self.log_path = os.path.join(directory, "log")
        self.rules = os.path.join(directory, "machines")
        self.process = None
        self.tls = None
        os.makedirs(self.keys, exist_ok=True)
        if not os.listdir(self.keys):
            new_key(self.keys, "2026-01")
        self.write_rules("Robots user-agent /robot/\nImages user-agent /ImageProxy/ proxy\n")
        self.write_conf(extra, top)

    def write_rules(self, text):
        with open(self.rules, "w") as f:
            f.write(text)

    def write_conf(self, extra="", top="", age="1h"):
        listen = "[%s]" % self.host if ":" in self.host else self.host
        with open(self.conf, "w") as f:
            f.write(top)
            f.write("<spool>\n directory %s\n segment-age %s\n</spool>\n" % (self.spool, age))
            f.write("<token-keys>\n directory %s\n</token-keys>\n" % self.keys)
            f.write("<tracker>\n listen %s:%d\n" % (listen, self.port))
            f.write(' user ""\n machine-readers %s\n%s</tracker>\n' % (self.rules, extra))

    def run(self, *options):
        return subprocess.run(
            [PROGRAM, "-c", self.conf, *options], capture_output=True, text=True, timeout=120 * SLOW
        )

    def start(self, before=None):
        self.log = open(self.log_path, "a")
        starts = self.text().count(" listening on ")
        self.process = subprocess.Popen(
            [PROGRAM, "-f", "-c", self.conf], stderr=self.log, stdout=self.log, preexec_fn=before
        )
        # Not by connecting: that can be done before the spool is recovered.
        wait(lambda: self.process.poll() is not None or self.text().count(" listening on ") > starts)
        if self.process.poll() is not None or self.text().count(" listening on ") <= starts:
            raise RuntimeError("tracker did not start: " + self.text())
        return self

    def text(self):
        with open(self.log_path) as f:
            return f.read()

    def wait_for(self, words, times=1):
        return wait(lambda: self.text().count(words) >= times)

    def reload(self, how=signal.SIGHUP):
        def said():
            return [x for x in self.text().splitlines() if "settings reloaded" in x or "reload refused" in x]
        n = len(said())
        self.process.send_signal(how)
        if not wait(lambda: len(said()) > n):
            return None
        return "settings reloaded" in said()[-1]

    def stop(self, how=signal.SIGTERM):
        """Exit code and seconds."""
        begin = time.time()
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(120 * SLOW)
        self.log.close()
        return code, time.time() - begin

    def connection(self, timeout=120):
        if self.tls:
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=timeout * SLOW, context=self.tls
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout * SLOW)

    def get(self, path, headers=None, connection=None, method="GET", body=None):
        c = connection or self.connection()
        c.request(method, path, body=body, headers=headers or {})
        r = c.getresponse()
        data = r.read()
        if connection is None:
            c.close()
        return Answer(r.status, dict((k.lower(), v) for k, v in r.getheaders()), data)

    def raw(self, data, timeout=60):
        """Send bytes, return all that comes until the peer closes or is silent."""
        s = socket.create_connection((self.host, self.port), 120)
        s.settimeout(timeout * SLOW)
        out = b""
        try:
            s.sendall(data)
            while True:
                more = s.recv(65536)
                if not more:
                    break
                out += more
        except OSError:
            pass
        s.close()
        return out

    def links(self, kind, n=1, rcpt="anna@example.net", name="banner", url=URL, options=()):
        target = [name, url] if kind in "cu" else []
        text = subprocess.run(
            [MKLINKS, "-n", str(n), *options, self.keys, "", kind, rcpt, *target],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return text.split()

    def link(self, kind, **more):
        return self.links(kind, **more)[0]

    def lines(self):
        """All events in the spool, as objects, sorted by segment."""
        out = []
        for folder in ("events", "events/open"):
            where = os.path.join(self.spool, folder)
            for name in sorted(os.listdir(where)):
                if name.endswith(".json"):
                    with open(os.path.join(where, name)) as f:
                        out += [json.loads(line) for line in f.read().split("\n")[:-1]]
        return [(c, e) for line in out for c, e in line["msys"].items()]

    def counted(self):
        """The totals of the last line that has them."""
        for line in reversed(self.text().splitlines()):
            if "opens=" in line:
                return dict(
                    (k, int(v)) for k, v in (x.split("=") for x in line.split() if "=" in x)
                )
        return {}


class Answer:
    def __init__(self, status, headers, data):
        self.status, self.headers, self.data = status, headers, data

    def is_pixel(self):
        return (
            self.status == 200
            and self.headers.get("content-type") == "image/gif"
            and self.data.startswith(GIF_HEAD)
            and len(self.data) == 43
        )

    def leads_to(self, url):
        return self.status == 302 and self.headers.get("location") == url and self.data == b""

    def is_not_stored(self):
        h = self.headers
        return "no-store" in h.get("cache-control", "") and "pragma" in h and "expires" in h

    def __repr__(self):
        return "%d %r %r" % (self.status, self.headers, self.data[:200])


# ---- what is answered ----


def test_answers(directory):
    t = Tracker(directory, top="host-name h.example\n", extra=" open-window 1h\n").start()
    c = t.connection()
    link = {k: t.link(k) for k in "cuoi"}
    for kind in "cu":
        a = t.get(link[kind], connection=c)
        ok(a.leads_to(URL) and a.is_not_stored(), "%s: 302 to the target" % kind, a)
    for kind in "oi":
        a = t.get(link[kind], connection=c)
        ok(a.is_pixel() and a.is_not_stored(), "%s: the pixel" % kind, a)
    events = t.lines()
    ok(
        [(k, e["type"]) for k, e in events]
        == [
            ("track_event", "click"),
            ("unsubscribe_event", "link"),
            ("track_event", "open"),
            ("track_event", "initial_open"),
        ],
        "four events, on disk before the answers",
        events,
    )
    e = events[0][1]
    ok(
        e["target_link_url"] == URL
        and e["target_link_name"] == "banner"
        and e["rcpt_to"] == "anna@example.net"
        and e["ip_address"] == "127.0.0.1"
        and e["subaccount_id"] == 0
        and e["delv_method"] == "esmtp"
        and abs(int(e["timestamp"]) - time.time()) < 60 * SLOW
        and len(e["message_id"]) == 20,
        "a click has what it needs",
        e,
    )
    ok("recv_method" in events[1][1] and "recv_method" not in e, "recv_method where it must be")
    a = t.get(link["c"] + "?utm_source=x&target=http://evil.example", connection=c)
    ok(a.leads_to(URL), "a query behind the token changes nothing", a)
    raw = "HTTPS://Brand.Example/%41?q=\"<>'`{}|\\^~é#frag;x=1".encode()
    path = t.link("c", name="n", url=os.fsdecode(raw))
    out = t.raw(b"GET %s HTTP/1.0\r\n\r\n" % path.encode())
    ok(b"\r\nLocation: " + raw + b"\r\n" in out, "every byte of the target as it was", out)
    ok(t.lines()[-1][1]["target_link_url"] == raw.decode(), "in the event too", t.lines()[-1])
    n = len(t.lines())
    for kind in "cuoi":
        get, head = t.get(link[kind], connection=c), t.get(link[kind], method="HEAD", connection=c)
        get.headers.pop("date"), head.headers.pop("date")
        ok(
            head.status == get.status and head.headers == get.headers and head.data == b"",
            "HEAD %s is answered alike" % kind,
            (get, head),
        )
    ok(len(t.lines()) == n + 2, "and not counted (nor is the open that was just counted)", n)
    ok(t.link("c", options=("-p", "app")).startswith("/app/"), "a sublink is the first part")
    a = t.get(t.link("c", options=("-p", "app", "-s", "42")), connection=c)
    ok(a.leads_to(URL) and t.lines()[-1][1]["subaccount_id"] == 42, "and leads to the target", a)
    a = t.get("/robots.txt", connection=c)
    ok(a.status == 200 and a.data == b"User-agent: *\nDisallow: /\n", "robots.txt", a)
    a = t.get("/healthz", connection=c)
    ok(a.status == 200 and a.data == b"ok\n", "healthz", a)
    code, seconds = t.stop()
    ok(code == 0 and seconds < SOON, "SIGTERM: %.2f s" % seconds, code)
    ok(os.listdir(os.path.join(t.spool, "events/open")) == [], "the segment is closed")
    total = t.counted()
    ok(
        total["clicks"] == 5 and total["heads"] == 4 and total["folded"] == 2 and total["lost"] == 0,
        "counted",
        total,
    )


def test_refusals(directory):
    t = Tracker(directory, extra=" link-expiry 1d\n").start()
    click, pixel = t.link("c"), t.link("o")
    old = ("-t", str(int(time.time()) - 90000))
    c = t.connection()
    for path in (
        "/",
        "/c/",
        "/c/x",
        "/favicon.ico",
        click[:-1],
        click + "A",
        click + "/",
        click.swapcase(),
        "/o" + click[2:][:-1],
        "/c" + pixel[2:],
        "//" + click,
        click.replace("/c/", "/c/%2e/"),
        "/c/" + "A" * 6000,
        "/../etc/passwd",
        "/c/http://evil.example/",
    ):
        a = t.get(path, connection=c)
        ok(
            a.status == 404 and "location" not in a.headers and len(a.data) < 200,
            "404: %.40s" % path,
            a,
        )
    a = t.get(t.link("c", options=old), connection=c)
    ok(a.status == 410 and "location" not in a.headers, "an expired click: 410", a)
    a = t.get(t.link("o", options=old), connection=c)
    ok(a.status == 404, "an expired open: 404", a)
    other = tempfile.mkdtemp(dir=directory)
    new_key(other, "a")
    foreign = subprocess.run(
        [MKLINKS, other, "", "c", "a@b", "n", "https://evil.example/"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    ok(t.get(foreign, connection=c).status == 404, "another host's key: 404")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "X"):
        a = t.get(click, method=method)
        ok(a.status == 405 and a.headers.get("allow") == "GET, HEAD", "%s: 405" % method, a)
    ok(t.get("/healthz", method="POST", body=b"x").status == 405, "POST /healthz: 405")
    a = t.get(click, body=b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    ok(a.status == 413, "a body: 413", a)
    out = t.raw(
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 44\r\n\r\n"
        b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n" + b" " * 5
    )
    ok(out.count(b"HTTP/1.1 ") == 1 and b" 413 " in out, "which is not read as a request", out)
    out = t.raw(
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    ok(out.count(b"HTTP/1.1 ") == 1 and b" 413 " in out, "nor a chunked one", out)
    ok(t.get("/c/" + "A" * 17000).status in (414, 431), "a URL of 17 KB")
    ok(t.get("/c/" + "A" * 100000).status in (414, 431), "a URL of 100 KB")
    a = t.get(click, headers={"X-%d" % i: "y" * 100 for i in range(50)})
    ok(a.leads_to(URL), "5 KB of headers", a)
    a = t.get(click, headers={"Cookie": "c" * 12000})
    ok(a.leads_to(URL), "12 KB of cookies", a)
    out = t.raw(b"GET %s HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (click.encode(), b"y" * 60000))
    ok(b" 302 " not in out, "60 KB of headers", out[:100])
    out = t.raw(
        b"GET %s HTTP/1.1\r\nHost: x\r\n" % click.encode() + b"A: b\r\n" * 20000 + b"\r\n"
    )
    ok(b" 302 " not in out, "20000 headers", out[:100])
    ok(t.get(click).leads_to(URL), "all is well after that")
    code, seconds = t.stop()
    ok(code == 0, "stopped", code)
    total = t.counted()
    ok(total["unknown"] >= 16 and total["expired"] == 2 and total["refused"] >= 12, "counted", total)


def test_garbage(directory):
    t = Tracker(directory).start()
    click = t.link("c").encode()
    rnd = random.Random(20261122)
    pieces = [
        b"GET ", b"HEAD ", b"POST ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/9.9\r\n", b"\r\n",
        b"\r\n\r\n", b"\n", b"\0", b"Host: x\r\n", b"Content-Length: 18446744073709551616\r\n",
        b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"X-Forwarded-For: ,,,\r\n",
        b"User-Agent: \xff\xfe\r\n", click, b"/c/", b"/../", b"?", b"%00", b"%zz", b"\x16\x03\x01",
        b"Connection: close\r\n", b" ", b"\t folded\r\n", b"Expect: 100-continue\r\n",
    ]
    seconds = 4
    end = time.time() + seconds
    n = 0
    while time.time() < end:
        try:
            s = socket.create_connection((t.host, t.port), 60 * SLOW)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if rnd.random() < 0.3:
                s.sendall(rnd.randbytes(rnd.randrange(400)))
            else:
                s.sendall(b"".join(rnd.choices(pieces, k=rnd.randrange(1, 12))))
            if rnd.random() < 0.2:
                s.settimeout(0.02)
                s.recv(100)
        except OSError:
            pass
        s.close()
        n += 1
    ok(t.process.poll() is None, "alive after %d connections of garbage" % n)
    for text in (click[:i] for i in range(0, len(click), 7)):
        t.raw(b"GET " + text, 0.01)
    ok(t.get(click.decode()).leads_to(URL), "and it works")
    ok(t.stop()[0] == 0, "stopped")


# ---- who asks ----


def test_pipelined(directory):
    """Requests that come together, while the ones before them wait for the disk."""
    t = Tracker(directory, extra=" open-window 0\n").start()
    links = t.links("c", n=100)
    last = t.link("o")
    data = b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % x.encode() for x in links)
    out = t.raw(data + b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % last.encode())
    ok(
        out.count(b"HTTP/1.1 302 ") == 100 and out.rpartition(b"HTTP/1.1 ")[2][:3] == b"200",
        "100 clicks and an open in one piece: %d redirects, then the pixel" % out.count(b"HTTP/1.1 302 "),
        out[-300:],
    )
    ok(len(t.lines()) == 101, "as many events")
    s = socket.create_connection((t.host, t.port), 120 * SLOW)
    for b in b"GET %s HTTP/1.0\r\nHost: x\r\n\r\n" % links[0].encode():
        s.sendall(bytes([b]))
    s.shutdown(socket.SHUT_WR)
    out = s.recv(12)
    s.close()
    ok(out.endswith(b" 302"), "byte by byte, by one who sends no more", out)
    t.stop()


def test_clients(directory):
    extra = " trusted-proxy 127.0.0.1\n trusted-proxy 10/8\n"
    t = Tracker(directory, extra=extra + " open-window 0\n").start()
    rows = [
        ({}, "127.0.0.1"),
        ({"X-Forwarded-For": "203.0.113.9"}, "203.0.113.9"),
        ({"X-Forwarded-For": "1.2.3.4, 203.0.113.9"}, "203.0.113.9"),
        ({"X-Forwarded-For": "1.2.3.4, 203.0.113.9, 10.0.0.1"}, "203.0.113.9"),
        ({"x-forwarded-for": "2001:DB8::9"}, "2001:db8::9"),
        ({"X-Forwarded-For": "nonsense"}, "127.0.0.1"),
        ({"Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.8"}, "127.0.0.1"),
    ]
    pixel = t.link("o")
    for headers, want in rows:
        t.get(pixel, headers)
        got = t.lines()[-1][1]["ip_address"]
        ok(got == want, "%s: %s" % (headers, want), got)
    out = t.raw(
        b"GET %s HTTP/1.0\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
        % pixel.encode()
    )
    ok(t.lines()[-1][1]["ip_address"] == "203.0.113.7", "the last of two lines counts", out)
    t.write_conf()
    ok(t.reload(), "reloaded without trusted proxies")
    t.get(t.link("o"), {"X-Forwarded-For": "203.0.113.9"})
    ok(t.lines()[-1][1]["ip_address"] == "127.0.0.1", "then nobody is believed")
    for agent, name, ahead in (
        ("a Robot", "Robots", True),
        ("via ImageProxy", "Images", False),
        ("Mozilla/5.0 (X11)", None, None),
    ):
        t.get(t.link("i"), {"User-Agent": agent})
        e = t.lines()[-1][1]
        ok(
            e["user_agent"] == agent
            and e.get("machine_reader") == name
            and e.get("prefetched") == ahead,
            "%s: %s" % (agent, name),
            e,
        )
    t.get(t.link("i"), {"User-Agent": "x" * 3000})
    ok(len(t.lines()[-1][1]["user_agent"]) == 512, "a long User-Agent is cut")
    t.stop()
    if socket.has_ipv6:
        sub = os.path.join(directory, "six")
        os.mkdir(sub)
        try:
            six = Tracker(sub, host="::1").start()
        except OSError:
            skip("IPv6", "there is no ::1")
            return
        six.get(six.link("o"))
        ok(six.lines()[-1][1]["ip_address"] == "::1", "IPv6")
        six.stop()


def test_folding(directory):
    t = Tracker(directory, extra=" open-window 1h\n").start()
    a, b, first = t.link("o"), t.link("o"), t.link("i")
    c = t.connection()
    for path in (a, a, b, a, first, b, first):
        ok(t.get(path, connection=c).is_pixel(), "answered")
    ok(len(t.lines()) == 3, "seven requests for three pixels: three events", t.lines())
    click = t.link("c")
    for _ in range(3):
        t.get(click, connection=c)
    events = t.lines()[3:]
    ok(len(events) == 3, "every click counts", events)
    ok(len({e["event_id"] for _, e in events}) == 3, "with an id of its own", events)
    t.write_conf(" open-window 1s\n")
    t.reload()
    time.sleep(1.1)
    t.get(a, connection=c)
    ok(len(t.lines()) == 7, "after the window an open counts again")
    t.write_conf(" open-window 0\n")
    t.reload()
    for _ in range(3):
        t.get(a, connection=c)
    ok(len(t.lines()) == 10, "open-window 0: every one counts")
    t.stop()
    ok(t.counted()["folded"] == 4, "folded ones are counted", t.counted())


def test_privacy(directory):
    top = "<signals>\nprivacy-policy sha1\napi-key %s\n</signals>\n" % ("0" * 40)
    t = Tracker(directory, top=top).start()
    t.get(t.link("c", rcpt="Anna@Example.NET"))
    e = t.lines()[-1][1]
    ok(
        "rcpt_to" not in e
        and e["rcpt_hash"] == "2ea681cc9a67d94b591bafe03a09c43c8f9d22ad"
        and e["rcpt_domain"] == "example.net",
        "privacy-policy sha1",
        e,
    )
    t.stop()


# ---- reload ----


def test_reload(directory):
    t = Tracker(directory).start()
    old = t.link("c")
    new_key(t.keys, "2026-02")
    new = t.link("c")
    ok(t.get(new).status == 404, "a key that is not read yet opens nothing")
    ok(t.reload(signal.SIGUSR1), "SIGUSR1")
    ok(t.get(new).leads_to(URL) and t.get(old).leads_to(URL), "then both keys open")
    t.write_rules("Broken user-agent /(/\n")
    ok(t.reload() is False and "machines:1: " in t.text(), "a bad rule file is refused", t.text())
    t.get(t.link("o"), {"User-Agent": "robot"})
    ok(t.lines()[-1][1].get("machine_reader") == "Robots", "the old rules stay")
    t.write_rules("")
    ok(t.reload(), "an empty one is fine")
    with open(t.conf, "a") as f:
        f.write("nonsense\n")
    ok(t.reload() is False, "a bad configuration is refused")
    ok(t.get(old).leads_to(URL), "and changes nothing")
    os.remove(os.path.join(t.keys, "2026-01.key"))
    t.write_conf(" link-expiry 1m\n timeout 1m\n max-connections 100\n")
    ok(t.reload(), "reloaded without the old key")
    ok(t.get(old).status == 404 and t.get(new).leads_to(URL), "whose links are gone")
    ok("timeout: the change takes effect at the next start" in t.text(), "what can't change: said")
    back = ("-t", str(int(time.time()) - 100))
    ok(t.get(t.link("c", options=back)).status == 410, "link-expiry follows")
    stop = threading.Event()
    bad = []

    def traffic():
        c = t.connection()
        while not stop.is_set():
            if not t.get(new, connection=c).leads_to(URL):
                bad.append(1)

    threads = [threading.Thread(target=traffic) for _ in range(4)]
    for x in threads:
        x.start()
    for _ in range(30):
        t.process.send_signal(signal.SIGHUP)
        time.sleep(0.03)
    stop.set()
    for x in threads:
        x.join()
    ok(not bad, "30 reloads under traffic", len(bad))
    ok(t.stop()[0] == 0, "stopped")


def test_start(directory):
    t = Tracker(directory)
    r = t.run("-n")
    ok(r.returncode == 0 and "is good" in r.stderr, "-n", r)
    r = t.run("-V")
    ok(r.returncode == 0 and r.stdout.startswith("signalpost-tracker "), "-V", r)
    for extra, words in (
        (" listen 127.0.0.1\n", "listen: expected IP:PORT"),
        (" machine-readers /nonexistent/rules\n", "/nonexistent/rules"),
        (" tls-certificate /nonexistent/c\n", "tls-key is missing"),
        (" tls-certificate /nonexistent/c\n tls-key /nonexistent/k\n", "/nonexistent/c"),
    ):
        t.write_conf(extra)
        for options in (("-n",), ("-f",)):
            r = t.run(*options)
            ok(r.returncode == 78 and words in r.stderr, "78: %s" % words, r)
    t.write_conf()
    os.remove(os.path.join(t.keys, "2026-01.key"))
    r = t.run("-f")
    ok(r.returncode == 78 and "no *.key file" in r.stderr, "without a key: 78", r)
    new_key(t.keys, "a")
    s = socket.socket()
    s.bind(("127.0.0.1", t.port))
    s.listen()
    r = t.run("-f")
    ok(r.returncode == 71 and "Address already in use" in r.stderr, "a port in use: 71", r)
    s.close()
    r = t.run()
    ok(r.returncode == 0, "in the background", r)
    a = t.get(t.link("c"))
    ok(a.leads_to(URL), "it serves", a)
    pids = subprocess.run(["pgrep", "-f", t.conf], capture_output=True, text=True).stdout.split()
    for pid in pids:
        os.kill(int(pid), signal.SIGTERM)
    wait(lambda: not os.listdir(os.path.join(t.spool, "events/open")))
    ok(len(pids) == 1 and len(t.lines()) == 1, "and ends")
    listen = " listen 127.0.0.2:%d\n" % t.port
    t.write_conf(listen)
    t.start()
    t.host = "127.0.0.2"
    ok(t.get(t.link("c")).leads_to(URL), "a second listener")
    t.host = "127.0.0.1"
    ok(t.get(t.link("c")).leads_to(URL), "beside the first")
    t.stop()


def test_explain(directory):
    program = os.path.abspath(os.environ.get("CTL", os.path.join(BUILD, "signalpost")))
    t = Tracker(directory, extra=" link-expiry 1d\n")

    def explain(*urls):
        r = subprocess.run(
            [program, "explain", "link", "-c", t.conf, *urls], capture_output=True, text=True
        )
        return r.returncode, [json.loads(line) for line in r.stdout.splitlines()]

    made = ("-t", "1785844802", "-s", "17")
    code, lines = explain("https://t.example" + t.link("c", options=made) + "?x=1#y")
    want = {
        "opens": True,
        "kind": "click",
        "recipient": "anna@example.net",
        "subaccount": 17,
        "name": "banner",
        "target": URL,
        "made": "2026-08-04T12:00:02.000Z",
        "expires": "2026-08-05T12:00:02.000Z",
    }
    ok(code == 0 and want.items() <= lines[0].items(), "explain link", (code, lines))
    ok(0 <= lines[0]["key"] < 256 and lines[0]["message_id"].startswith("000042d4716a"), "its ids")
    code, lines = explain(t.link("o"), "https://t.example/c/AfgSrWNFB", "x")
    ok(
        code == 1
        and [x["opens"] for x in lines] == [True, False, False]
        and lines[0]["kind"] == "open"
        and "target" not in lines[0]
        and lines[1]["key"] == 0xF8
        and "key" not in lines[2],
        "those that open and those that don't",
        (code, lines),
    )
    t.write_conf(" link-expiry never\n")
    ok("expires" not in explain(t.link("i"))[1][0], "never")
    r = subprocess.run([program, "explain", "link", "-c", t.conf], capture_output=True)
    ok(r.returncode == 64, "without a URL: 64", r)


# ---- what goes wrong ----


def test_crash(directory):
    t = Tracker(directory, extra=" open-window 0\n").start()
    links = t.links("c", n=500, name="k", url="https://k.example/")
    acknowledged = []
    lock = threading.Lock()

    def reader(part):
        c = t.connection()
        try:
            for path in part:
                if t.get(path, connection=c).status == 302:
                    with lock:
                        acknowledged.append(path)
        except (OSError, http.client.HTTPException):
            pass

    threads = [threading.Thread(target=reader, args=(links[i::8] * 20,)) for i in range(8)]
    for x in threads:
        x.start()
    while len(acknowledged) < 1500 and t.process.poll() is None:
        time.sleep(0.005)
    t.stop(signal.SIGKILL)
    for x in threads:
        x.join()
    n = len(acknowledged)
    t.start()
    events = len(t.lines())
    ok(n <= events <= n + 8, "kill -9 after %d clicks: %d are in the spool" % (n, events))
    names = os.listdir(os.path.join(t.spool, "events"))
    ok(sum(x.endswith(".json") for x in names) == 1, "in a closed segment", names)
    t.stop()


def test_no_space(directory):
    t = Tracker(directory, extra=" open-window 0\n").start()
    click, pixel = t.link("c"), t.link("o")
    c = t.connection()
    for _ in range(200):
        t.get(click, connection=c)
    # No file may grow beyond what this one has: what a full disk is to a program. The log may.
    resource.prlimit(t.process.pid, resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
    answers = [t.get(click, connection=c) for _ in range(20)]
    ok(all(a.leads_to(URL) for a in answers), "no space: readers are led on", answers)
    ok(t.get(pixel, connection=c).is_pixel(), "and see the pixel")
    ok(t.wait_for("events lost"), "it is said", t.text())
    resource.prlimit(
        t.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    ok(t.get(click).leads_to(URL), "space again")
    t.stop()
    ok(len(t.lines()) == 201, "what came before and after is there", len(t.lines()))
    total = t.counted()
    ok(total["lost"] == 21 and total["written"] == 201, "the loss is counted", total)
    ok(t.text().count("events lost") <= 4, "and said only now and then", t.text())


def test_full_tmpfs(directory):
    where = os.path.join(directory, "small")
    os.mkdir(where)
    r = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", where], capture_output=True
    )
    if r.returncode != 0:
        skip("a full tmpfs", "mount is not allowed")
        return
    try:
        t = Tracker(directory, extra=" open-window 0\n", spool=os.path.join(where, "spool")).start()
        click = t.link("c")
        c = t.connection()
        bad = [a for a in (t.get(click, connection=c) for _ in range(2000)) if not a.leads_to(URL)]
        ok(not bad, "2000 clicks on a full tmpfs", bad[:3])
        t.stop()
        total = t.counted()
        ok(
            total["lost"] > 100
            and total["written"] > 100
            and total["lost"] + total["written"] == 2000
            and len(t.lines()) == total["written"],
            "lost=%d written=%d, as many are there" % (total["lost"], total["written"]),
            total,
        )
    finally:
        subprocess.run(["umount", where])


def test_idle(directory):
    """5000 connections that say nothing, or never finish."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 5000
    if hard != resource.RLIM_INFINITY and hard < want + 500:
        want = hard - 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want + 400), hard))
    # The tracker itself is started with the usual small limit, and raises it.
    t = Tracker(directory, extra=" timeout 5s\n").start(
        lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    )
    click = t.link("c")
    sockets = []
    for i in range(want):
        s = socket.create_connection((t.host, t.port), 120)
        try:
            if i % 3 == 1:
                s.send(b"GET /c/AAAA")
            elif i % 3 == 2:
                s.send(b"GET %s HTTP/1.1\r\nHost: x\r\nX-Slow" % click.encode())
        except OSError:
            pass  # its time was over already
        sockets.append(s)
    times = []
    for _ in range(200):
        one = time.time()
        if not t.get(click).leads_to(URL):
            break
        times.append(time.time() - one)
    # Most of them: one may come when the machine has something else to do.
    ok(
        len(times) == 200 and sorted(times)[100] < 1 * SLOW,
        "%d idle connections: 200 clicks, the slowest took %.1f ms"
        % (want, 1000 * max(times + [0])),
        len(times),
    )
    end = time.time() + 90 * SLOW
    alive = list(sockets)
    while alive and time.time() < end:
        time.sleep(0.5)
        rest = []
        for s in alive:
            s.setblocking(False)
            try:
                if s.recv(4096) != b"":
                    rest.append(s)
            except BlockingIOError:
                rest.append(s)
            except OSError:
                pass
        alive = rest
    ok(not alive, "all are closed after the timeout", len(alive))
    for s in sockets:
        s.close()
    code, seconds = t.stop()
    ok(code == 0 and seconds < SOON, "SIGTERM: %.2f s" % seconds, code)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_stop_under_load(directory):
    t = Tracker(directory, extra=" open-window 0\n").start()
    links = t.links("c", n=100)
    done = []

    def reader(part):
        c = t.connection()
        try:
            while True:
                for path in part:
                    if t.get(path, connection=c).status == 302:
                        done.append(1)
        except (OSError, http.client.HTTPException):
            pass

    threads = [threading.Thread(target=reader, args=(links[i::8],)) for i in range(8)]
    for x in threads:
        x.start()
    time.sleep(0.5)
    code, seconds = t.stop()
    for x in threads:
        x.join()
    ok(code == 0 and seconds < SOON, "SIGTERM under load: %.2f s" % seconds, code)
    ok(
        len(done) <= len(t.lines()) <= len(done) + 8,
        "%d answered, %d in the spool" % (len(done), len(t.lines())),
    )
    names = os.listdir(os.path.join(t.spool, "events/open"))
    ok(names == [], "the segment is closed", names)


# ---- TLS ----


def certificate(directory, name):
    """Self-signed, with its key; their paths."""
    c, k = (os.path.join(directory, name + end) for end in (".crt", ".key"))
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=%s -addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s" % (name, k, c),
        shell=True,
        check=True,
        capture_output=True,
    )
    os.chmod(k, 0o600)
    return c, k


def shown(t):
    s = socket.create_connection((t.host, t.port), 120)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(s) as w:
        return w.getpeercert(True), w.version()


def test_tls(directory):
    one, two = certificate(directory, "one"), certificate(directory, "two")
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    shutil.copy(one[0], cert), shutil.copy(one[1], key)
    extra = " tls-certificate %s\n tls-key %s\n" % (cert, key)
    t = Tracker(directory, extra=extra)
    r = t.run("-n")
    if "built without GnuTLS" in r.stderr:
        skip("TLS", "built without GnuTLS")
        return
    os.chmod(key, 0o644)
    r = t.run("-n")
    ok(r.returncode == 78 and "others may use it" in r.stderr, "a key for all to read", r)
    os.chmod(key, 0o600)
    shutil.copy(two[1], key)
    r = t.run("-n")
    ok(r.returncode == 78 and "not the key of the certificate" in r.stderr, "another's key", r)
    shutil.copy(one[1], key)
    # Not with start(): a plain connection tells nothing.
    t.start()
    t.tls = ssl.create_default_context(cafile=one[0])
    ok(t.get(t.link("c")).leads_to(URL), "a click over HTTPS, certificate verified")
    first, version = shown(t)
    ok(version == "TLSv1.3", "TLS 1.3", version)
    kept = t.connection()
    t.get("/healthz", connection=kept)
    shutil.copy(two[1], key)
    ok(t.reload() is False, "certificate and key that don't fit are refused")
    ok(shown(t)[0] == first, "the old one is still shown")
    shutil.copy(two[0], cert)
    ok(t.reload(), "the new pair is taken")
    second = shown(t)[0]
    ok(first != second, "and shown to new connections")
    ok(t.get("/healthz", connection=kept).status == 200, "old ones go on")
    t.tls = ssl.create_default_context(cafile=two[0])
    ok(t.get(t.link("o")).is_pixel(), "which verify it")
    ok(b"200" not in t.raw(b"GET /healthz HTTP/1.0\r\n\r\n", 2), "no plain HTTP on this port")
    for _ in range(50):
        t.raw(random.randbytes(60), 0.01)
    ok(t.get("/healthz").status == 200, "garbage in place of a handshake")
    for old in ("TLSv1", "TLSv1_1"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, old)
        try:
            s = socket.create_connection((t.host, t.port), 60 * SLOW)
            context.wrap_socket(s).close()
            ok(False, old + " is refused")
        except OSError:
            ok(True, old + " is refused")
    code, seconds = t.stop()
    ok(code == 0 and seconds < SOON, "SIGTERM: %.2f s" % seconds, code)


def main():
    tests = [f for name, f in sorted(globals().items()) if name.startswith("test_")]
    only = sys.argv[1:]
    for test in tests:
        if only and test.__name__ not in only:
            continue
        directory = tempfile.mkdtemp(prefix="it-tracker-")
        print("# " + test.__name__)
        before = set(id(t) for t in running)
        try:
            test(directory)
        except Exception:
            ok(False, test.__name__, traceback.format_exc())
            for name in os.listdir(directory):
                if name == "log":
                    with open(os.path.join(directory, name)) as f:
                        for line in f.read().splitlines()[-20:]:
                            print("# " + line)
        for t in running:
            if id(t) not in before and t.process and t.process.poll() is None:
                t.process.kill()
                t.process.wait()
        shutil.rmtree(directory, ignore_errors=True)
    return plan()


running = []
_start = Tracker.start


def _remember(self, *args):
    running.append(self)
    return _start(self, *args)


Tracker.start = _remember

if __name__ == "__main__":
    sys.exit(main())
