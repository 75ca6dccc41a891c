#!/usr/bin/env python3
"""The real signalpost-collector over real HTTP on loopback. Prints TAP.

The program is $COLLECTOR, or signalpost-collector in $builddir.
"""

import base64
import gzip
import hashlib
import http.client
import json
import os
import pwd
import random
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import SLOW, free_port, gone, ok, plan, skip, wait  # noqa: E402

BUILD = os.environ.get("builddir", ".")
PROGRAM = os.path.abspath(os.environ.get("COLLECTOR", os.path.join(BUILD, "signalpost-collector")))
KEY = "0123456789abcdef0123456789abcdef01234567"
OLD_KEY = "fedcba9876543210fedcba9876543210fedcba98"
NEW_KEY = "1111111111111111111111111111111111111111"
INGEST = "/api/v1/ingest/events"
STATUS = "/api/v1/events/ingest"
MESSAGES = "/api/v1/events/message"


# ---- the daemon ----


class Collector:
    def __init__(self, directory, host="127.0.0.1", extra="", keys=(KEY, OLD_KEY), signals=""):
        self.dir = directory
        self.host = host
        self.port = free_port(host)
        self.database = os.path.join(directory, "data", "collector.db")
        self.conf = os.path.join(directory, "collector.conf")
        self.log_path = os.path.join(directory, "log")
        self.process = None
        self.write_conf(extra, keys, signals)

    def write_conf(self, extra="", keys=(KEY, OLD_KEY), signals=""):
        listen = "[%s]" % self.host if ":" in self.host else self.host
        with open(self.conf, "w") as f:
            f.write(signals)
            f.write("<collector>\n")
            f.write("    listen %s:%d\n" % (listen, self.port))
            f.write("    database %s\n" % self.database)
            f.write('    user ""\n')
            for key in keys:
                f.write("    api-key %s\n" % key)
            f.write(extra)
            f.write("</collector>\n")

    def run(self, *options):
        return subprocess.run(
            [PROGRAM, "-c", self.conf, *options], capture_output=True, text=True, timeout=120 * SLOW
        )

    def start(self):
        self.log = open(self.log_path, "a")
        starts = self.text().count(" listening on ")
        self.process = subprocess.Popen(
            [PROGRAM, "-f", "-c", self.conf], stderr=self.log, stdout=self.log
        )
        # Not by connecting: that can be done before the rights are dropped and the database is there.
        wait(lambda: self.process.poll() is not None or self.text().count(" listening on ") > starts)
        if self.process.poll() is not None or self.text().count(" listening on ") <= starts:
            raise RuntimeError("collector did not start: " + self.text())
        return self

    def text(self):
        with open(self.log_path) as f:
            return f.read()

    def wait_for(self, words, times=1):
        return wait(lambda: self.text().count(words) >= times)

    def stop(self, how=signal.SIGTERM):
        """Exit code and seconds."""
        begin = time.time()
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(120 * SLOW)
        self.log.close()
        return code, time.time() - begin

    def connection(self, timeout=120):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout * SLOW)

    def request(self, method, path, body=None, headers=None, connection=None, key=KEY):
        h = {"Authorization": key} if key else {}
        h.update(headers or {})
        c = connection or self.connection()
        c.request(method, path, body=body, headers=h)
        r = c.getresponse()
        data = r.read()
        if connection is None:
            c.close()
        return Answer(r.status, dict((k.lower(), v) for k, v in r.getheaders()), data)

    def get(self, path, **params):
        if params:
            path += "?" + urllib.parse.urlencode(params)
        return self.request("GET", path)

    def post(self, lines, connection=None, key=KEY):
        return self.post_raw(gzip.compress(ndjson(lines)), connection=connection, key=key)

    def post_raw(self, body, headers=None, connection=None, key=KEY):
        h = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        h.update(headers or {})
        return self.request("POST", INGEST, body, h, connection, key)

    def statuses(self, batch):
        return self.get(STATUS, batch_ids=batch).json()["results"]

    def raw(self, data, timeout=2):
        """Send bytes, return all that comes until the peer closes, or is silent after it has said something."""
        s = socket.create_connection((self.host, self.port), 120)
        s.sendall(data)
        out = b""
        try:
            while True:
                s.settimeout(timeout if out else 60 * SLOW)
                more = s.recv(65536)
                if not more:
                    break
                out += more
        except OSError:
            pass
        s.close()
        return out


class Answer:
    def __init__(self, status, headers, data):
        self.status, self.headers, self.data = status, headers, data

    def json(self):
        return json.loads(self.data)

    def id(self):
        return self.json()["results"]["id"]

    def __repr__(self):
        return "%d %r %r" % (self.status, self.headers, self.data[:600])


# ---- events ----

CLASSES = {"open": "track_event", "initial_open": "track_event", "click": "track_event"}
CLASSES.update(list="unsubscribe_event", link="unsubscribe_event")
next_id = 10**15


def event(kind="delivery", **fields):
    global next_id
    next_id += 1
    f = {
        "type": kind,
        "event_id": str(next_id),
        "timestamp": "1785844800",
        "recv_method": "esmtp",
        "delv_method": "esmtp",
        "message_id": "000040d4716a5b%06x" % (next_id % 0xFFFFFF),
        "rcpt_to": "anna@example.net",
        "subaccount_id": 0,
    }
    if kind == "feedback":
        f["fbtype"] = "abuse"
    f.update(fields)
    return {"msys": {CLASSES.get(kind, "message_event"): f}}


def inner(e):
    return next(iter(e["msys"].values()))


def ndjson(lines):
    return b"".join(
        (x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines
    )


def is_error(a, status, words=""):
    try:
        errors = a.json()["errors"]
        return (
            a.status == status
            and a.headers["content-type"].startswith("application/json")
            and isinstance(errors[0]["message"], str)
            and words in json.dumps(errors)
        )
    except (ValueError, KeyError, IndexError):
        return False


# ---- tests: each gets a running collector with an empty store ----


def test_authorization(c):
    def with_header(value):
        h = {} if value is None else {"Authorization": value}
        return c.request("GET", STATUS, headers=h, key=None)

    def basic(text):
        return "Basic " + base64.b64encode(text.encode()).decode()

    good = [KEY, OLD_KEY, basic(KEY + ":"), basic(OLD_KEY + ":x"), basic(KEY), "basic " + basic(KEY + ":")[6:]]
    bad = [None, "", "x", KEY + "x", KEY[:-1], KEY.upper(), "Bearer " + KEY, basic("x:" + KEY),
           basic(":" + KEY), "Basic", "Basic ", "Basic !!!!", basic(KEY + "x:"), "x" * 8000, KEY + " " + KEY]
    for value in good:
        a = with_header(value)
        ok(a.status == 200, "authorized: %.30s" % value, a)
    for value in bad:
        a = with_header(value)
        ok(is_error(a, 401, "Unauthorized") and "www-authenticate" in a.headers,
           "not authorized: %.30s" % value, a)
    a = c.post([event()], key="wrong")
    ok(is_error(a, 401, "Unauthorized"), "batch with a wrong key", a)
    ok(c.get(STATUS).json()["total_count"] == 0, "and nothing of it is kept")
    for path in (MESSAGES, STATUS, INGEST + "/x", INGEST + "/failures/" + "0" * 8 + "-0000-0000-0000-" + "0" * 12):
        a = c.request("GET", path, key=None)
        ok(a.status in (401, 404, 405), "no key, no answer: " + path, a)
    ok(KEY not in c.text() and OLD_KEY not in c.text(), "no key in the log")


def test_routes(c):
    zero = "00000000-0000-0000-0000-000000000000"
    rows = [
        ("GET", "/", 404, None), ("GET", "/api/v1", 404, None), ("GET", "//api/v1/events/message", 404, None),
        ("GET", "/api/v1/events/message/", 404, None), ("GET", "/api/v1/events/../events/message", 404, None),
        ("GET", "/api/v1/events/%6dessage", 404, None), ("GET", "/api/v1/events/message%00", 404, None),
        ("GET", "/api/v1/events/message%00.html", 404, None), ("GET", "/API/v1/events/message", 404, None),
        ("GET", "/api/v1/events/message%2f", 404, None), ("GET", "/api/v1/events/message;x", 404, None),
        ("GET", "/" + "a" * 3000, 404, None), ("GET", INGEST + "/" + zero, 404, None),
        ("GET", INGEST + "/failures/" + zero, 404, None), ("GET", INGEST + "/failures/", 404, None),
        ("GET", INGEST + "/failures/../../../etc/passwd", 404, None), ("GET", INGEST + "/" + zero + "x", 404, None),
        ("GET", INGEST + "/failures/" + zero[:-1] + "'", 404, None), ("GET", INGEST + "/" + "%30" + zero[1:], 404, None),
        ("GET", INGEST, 405, "POST"), ("PUT", INGEST, 405, "POST"), ("DELETE", INGEST, 405, "POST"),
        ("HEAD", INGEST, 405, "POST"), ("OPTIONS", INGEST, 405, "POST"), ("TRACE", INGEST, 405, "POST"),
        ("POST", MESSAGES, 405, "GET, HEAD"), ("DELETE", MESSAGES, 405, "GET, HEAD"), ("PUT", STATUS, 405, "GET, HEAD"),
        ("POST", INGEST + "/" + zero, 405, "GET, HEAD"), ("BREW", MESSAGES, 405, "GET, HEAD"),
        ("GET", MESSAGES, 200, None), ("HEAD", MESSAGES, 200, None), ("GET", MESSAGES + "?", 200, None),
        ("HEAD", STATUS, 200, None), ("GET", STATUS, 200, None),
    ]
    for method, path, want, allow in rows:
        a = c.request(method, path)
        good = a.status == want and a.headers.get("allow") == allow
        good = good and (want == 200 or method == "HEAD" or is_error(a, want))
        ok(good and (method != "HEAD" or a.data == b""), "%s %.60s: %d" % (method, path, want), a)
    a = c.raw(b"GET /api/v1/events/message HTTP/1.1\r\n\r\n")
    ok(b" 400 " in a.split(b"\r\n")[0], "HTTP/1.1 without Host", a)
    a = c.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    ok(b"200" not in a[:20], "TLS on a plain port", a)
    a = c.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 60000 + b"\r\n\r\n")
    ok(b"200" not in a[:20], "headers over the limit", a[:100])
    ok(c.get(STATUS).status == 200, "and it still serves")


def test_media_type(c):
    body = gzip.compress(ndjson([event()]))
    rows = [
        ("application/x-ndjson", "gzip", 200), ("application/x-ndjson; charset=utf-8", "gzip", 200),
        ("Application/X-NDJSON ;charset=utf-8", "GZIP", 200), ("application/json", "gzip", 415),
        ("application/x-ndjsonx", "gzip", 415), ("text/plain", "gzip", 415), ("", "gzip", 415),
        ("application/x-ndjson", "", 415), ("application/x-ndjson", "deflate", 415),
        ("application/x-ndjson", "identity", 415), ("application/x-ndjson", "gzip, gzip", 415),
        (None, "gzip", 415), ("application/x-ndjson", None, 415),
    ]
    for media, encoding, want in rows:
        h = {"Content-Type": media, "Content-Encoding": encoding}
        h = dict((k, v) for k, v in h.items() if v is not None)
        a = c.request("POST", INGEST, body, h)
        ok(a.status == want and (want == 200 or is_error(a, 415)), "%r %r: %d" % (media, encoding, want), a)


def test_batch(c):
    lines = [event("reception"), event("inband", extra={"a": [1, 2.50, None]}, subject="é ≠ \u0000x")]
    a = c.post(lines)
    ok(a.status == 200 and list(a.json()) == ["results"] and list(a.json()["results"]) == ["id"]
       and len(a.id()) == 36, "200 and an id", a)
    s = c.statuses(a.id())
    ok(len(s) == 1 and s[0]["type"] == "success" and s[0]["batch_id"] == a.id()
       and (s[0]["number_succeeded"], s[0]["number_failed"], s[0]["number_duplicates"]) == (2, 0, 0)
       and "error_type" not in s[0] and "href" not in s[0] and "retryable" not in s[0]
       and s[0]["customer_id"] == 0 and s[0]["subaccount_id"] == 0 and len(s[0]["event_id"]) == 36, "one success", s)
    stamp, expires = s[0]["timestamp"], s[0]["expiration_timestamp"]
    ok(stamp.startswith("20") and stamp[-1] == "Z" and expires > stamp, "with times", s)
    r = c.get(MESSAGES).json()
    ok(r["total_count"] == 2 and r["links"] == {} and len(r["results"]) == 2, "two events", r)
    got = dict((x["type"], x) for x in r["results"])
    for line, name in zip(lines, ("injection", "bounce")):
        want = dict(inner(line), type=name, timestamp="2026-08-04T12:00:00.000Z")
        ok(got.get(name) == want, "%s as it was posted, by its public name" % name, got)
    d = c.request("GET", INGEST + "/" + a.id())
    ok(d.status == 200 and d.headers["content-type"] == "application/gzip"
       and d.headers["content-disposition"].startswith("attachment") and gzip.decompress(d.data) == ndjson(lines),
       "the batch can be fetched", d)
    d = c.request("HEAD", INGEST + "/" + a.id())
    ok(d.status == 200 and d.data == b"", "HEAD of it", d)
    d = c.request("GET", INGEST + "/failures/" + a.id())
    ok(d.status == 200 and gzip.decompress(d.data) == b"", "it has no failures", d)
    ok(oct(os.stat(c.database).st_mode & 0o777) == "0o640", "mode of the database")
    ok(oct(os.stat(os.path.dirname(c.database)).st_mode & 0o777) == "0o750", "mode of its directory")


def test_validation(c):
    good = [event(), event(), event()]
    long_line = json.dumps(event(subject="x" * 300000)).encode()
    at_limit = json.dumps(event(subject="")).encode()
    at_limit = at_limit.replace(b'"subject": ""', b'"subject": "' + b"y" * (262144 - len(at_limit)) + b'"')
    no_domain = event(rcpt_hash="ab")
    no_type = event()
    del inner(no_type)["type"]
    future = event(timestamp="1785844800000")
    lines = [good[0], b"junk", b"{}", b"", good[1], long_line, b"\xff\xfe", no_domain, b'{"msys":{}}', no_type,
             future, at_limit, b"   ", b"[" * 5000, b'"\x01"', good[2]]
    a = c.post(lines)
    ok(a.status == 200, "a batch with bad lines is taken", a)
    s = c.statuses(a.id())
    ok([x["type"] for x in s] == ["error", "success"], "an error and a success", s)
    ok(all((x["number_succeeded"], x["number_failed"], x["number_duplicates"]) == (4, 10, 0) for x in s), "numbers", s)
    ok(s[0]["error_type"] == "validation" and s[0]["retryable"] is False
       and s[0]["href"] == INGEST + "/failures/" + a.id(), "validation", s)
    d = c.request("GET", s[0]["href"])
    failures = [json.loads(x) for x in gzip.decompress(d.data).splitlines()]
    ok([x["line"] for x in failures] == [2, 3, 6, 7, 8, 9, 10, 11, 14, 15], "lines", [x["line"] for x in failures])
    ok(all(sorted(x) == ["event", "line", "reason"] and x["reason"] for x in failures), "each with its reason")
    by_line = dict((x["line"], x) for x in failures)
    ok(by_line[2]["event"] == "junk" and by_line[3]["event"] == "{}", "the line as it was", by_line[2])
    ok(by_line[6]["reason"] == "line longer than 262144 bytes" and len(by_line[6]["event"]) == 1024
       and long_line.startswith(by_line[6]["event"].encode()), "a long line is cut", by_line[6]["reason"])
    ok(by_line[7]["event"] == "\ufffd\ufffd", "bytes that are not UTF-8", by_line[7])
    ok("rcpt_domain" in by_line[8]["reason"], "rcpt_hash without rcpt_domain", by_line[8])
    ok("timestamp" in by_line[11]["reason"], "a time in milliseconds", by_line[11])
    ok(c.get(MESSAGES).json()["total_count"] == 4, "the good ones are there")
    a = c.post([b"junk 2"])
    s = c.statuses(a.id())
    ok(len(s) == 1 and s[0]["error_type"] == "validation" and s[0]["number_succeeded"] == 0, "all bad: no success", s)
    crlf = ndjson([event(), event()]).replace(b"\n", b"\r\n")[:-2]
    s = c.statuses(c.post_raw(gzip.compress(crlf)).id())
    ok(len(s) == 1 and s[0]["number_succeeded"] == 2, "CRLF, and no line end at the end", s)


def test_many_failures(c):
    a = c.post([b"x"] * 10050 + [event()])
    s = c.statuses(a.id())
    ok(s[0]["number_failed"] == 10050 and s[0]["number_succeeded"] == 1, "all failures are counted", s)
    lines = gzip.decompress(c.request("GET", s[0]["href"]).data).splitlines()
    ok(len(lines) == 10000, "ten thousand are kept", len(lines))


def test_gzip(c):
    plain = ndjson([event() for _ in range(50)])
    whole = gzip.compress(plain)
    corrupt = bytearray(whole)
    corrupt[len(whole) // 2] ^= 0xFF
    crc = bytearray(whole)
    crc[-6] ^= 1
    bad = [("cut short", whole[:-30]), ("without its trailer", whole[:-8]), ("with half a trailer", whole[:-3]),
           ("corrupt", bytes(corrupt)), ("with a wrong checksum", bytes(crc)), ("plain text", plain),
           ("zlib", zlib.compress(plain)), ("no byte", b""), ("one byte", b"\x1f"), ("junk behind it", whole + b"junk"),
           ("a second member cut short", whole + whole[:-1])]
    for name, body in bad:
        a = c.post_raw(body)
        s = c.statuses(a.id()) if a.status == 200 else []
        ok(a.status == 200 and len(s) == 1 and (s[0]["type"], s[0]["error_type"]) == ("error", "decompress"),
           "decompress: " + name, (a, s))
    ok(c.get(MESSAGES).json()["total_count"] == 0, "nothing was taken from them")
    for name, body in [("no line", gzip.compress(b"")), ("blank lines", gzip.compress(b"\n\r\n  \n"))] * 2:
        s = c.statuses(c.post_raw(body).id())
        ok(len(s) == 1 and (s[0]["type"], s[0]["error_type"], s[0]["number_succeeded"]) == ("error", "empty_batch", 0),
           "empty_batch: " + name, s)
    half = plain.find(b"\n", len(plain) // 2) - 20
    members = gzip.compress(plain[:half]) + gzip.compress(b"") + gzip.compress(plain[half:])
    a = c.post_raw(members)
    s = c.statuses(a.id())
    ok(s[0]["type"] == "success" and s[0]["number_succeeded"] == 50, "several members are one batch", s)
    ok(gzip.decompress(c.get(INGEST + "/" + a.id()).data) == plain, "and their lines are whole")
    s = c.statuses(c.post_raw(whole).id())
    ok(s[0]["error_type"] == "duplicate_batch", "the same text in one member is a duplicate", s)


def test_duplicates(c):
    lines = [event() for _ in range(5)]
    first = c.post(lines)
    again = c.post_raw(gzip.compress(ndjson(lines), 1))
    s = c.statuses(again.id())
    ok(again.id() != first.id(), "a repeat has an id of its own")
    ok(len(s) == 1 and (s[0]["type"], s[0]["error_type"], s[0]["retryable"]) == ("error", "duplicate_batch", False),
       "duplicate_batch", s)
    ok(c.statuses(first.id())[0]["type"] == "success", "the first stays a success")
    ok(gzip.decompress(c.get(INGEST + "/" + again.id()).data) == b"", "the repeat has no events")
    mixed = c.post(lines[2:] + [event(), event(), lines[0]])
    s = c.statuses(mixed.id())
    ok(len(s) == 1 and (s[0]["type"], s[0]["number_succeeded"], s[0]["number_duplicates"]) == ("success", 2, 4),
       "events that were there are counted and dropped", s)
    e = event()
    s = c.statuses(c.post([e, dict(e), b"bad"]).id())
    ok([x["number_duplicates"] for x in s] == [1, 1], "twice in one batch", s)
    ok(c.get(MESSAGES).json()["total_count"] == 8, "eight events in all")


def test_limits(c):
    limit = 5000000
    block = os.urandom(limit + 1)
    a = c.post_raw(block)
    ok(is_error(a, 413, "5000000"), "one byte over max-body", a)
    a = c.post_raw(block[:limit])
    ok(a.status == 200, "max-body", a)
    a = c.raw(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/x-ndjson\r\n"
              b"Content-Encoding: gzip\r\nContent-Length: 6000000\r\n\r\n" % (INGEST.encode(), KEY.encode()))
    ok(a.startswith(b"HTTP/1.1 413 "), "413 at the Content-Length, before the body", a[:200])
    a = c.raw(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/x-ndjson\r\n"
              b"Content-Encoding: gzip\r\nContent-Length: 99999999999999999999999\r\n\r\n"
              % (INGEST.encode(), KEY.encode()))
    ok(a.startswith(b"HTTP/1.1 4"), "an absurd Content-Length", a[:200])
    a = c.raw(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/x-ndjson\r\n"
              b"Content-Encoding: gzip\r\nContent-Length: -1\r\n\r\n" % (INGEST.encode(), KEY.encode()))
    ok(a.startswith(b"HTTP/1.1 400 "), "a negative Content-Length", a[:200])

    def chunks(data):
        for i in range(0, len(data), 100000):
            yield data[i:i + 100000]

    a = c.post_raw(chunks(block))
    ok(is_error(a, 413), "chunked, over max-body", a)
    a = c.post_raw(chunks(gzip.compress(ndjson([event()]))))
    ok(a.status == 200 and c.statuses(a.id())[0]["number_succeeded"] == 1, "chunked, within it", a)
    try:
        a = c.post_raw(chunks(block * 6))
        ok(is_error(a, 413), "chunked without end", a)
    except OSError as e:
        ok(True, "chunked without end: cut off", e)
    # With Expect, the client is told before it sends anything.
    a = c.raw(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: wrong\r\nContent-Type: application/x-ndjson\r\n"
              b"Content-Encoding: gzip\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n" % INGEST.encode())
    ok(a.startswith(b"HTTP/1.1 401 "), "401 instead of 100", a[:200])
    a = c.request("GET", MESSAGES, b"x" * 1000)
    ok(a.status == 200, "a GET with a body", a)


def bomb(size, byte=b"\0", level=9):
    """gzip of `size` bytes, made without holding them."""
    z = zlib.compressobj(level, zlib.DEFLATED, 31)
    piece = byte * 1048576
    out = [z.compress(piece) for _ in range(size // len(piece))]
    return b"".join(out) + z.flush()


def cpu(pid):
    """Seconds that it has computed: others on this machine do not count."""
    with open("/proc/%d/stat" % pid) as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def rss(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(next(x for x in f if x.startswith("VmHWM")).split()[1])


def test_bombs(c):
    body = bomb(1 << 28)
    body = body * (4900000 // len(body))  # some 5 GB in several members
    before = rss(c.process.pid)
    begin = cpu(c.process.pid)
    a = c.post_raw(body)
    ok(is_error(a, 413, "104857600"), "4.9 MB that inflate to 5 GB", a)
    ok(cpu(c.process.pid) - begin < 5 * SLOW, "end soon", cpu(c.process.pid) - begin)
    a = c.post_raw(bomb(1 << 30))
    ok(is_error(a, 413), "one member of 1 GB", a)
    a = c.post_raw(bomb(9 << 20, b"\n"))
    ok(is_error(a, 413, "lines"), "nine million blank lines", a)
    a = c.post_raw(gzip.compress(b"") * 200000)
    ok(a.status == 200, "200000 empty members", a)
    a = c.post_raw(bomb(90 << 20, b" "))
    ok(a.status == 200 and c.statuses(a.id())[0]["error_type"] == "empty_batch", "90 MB of blanks", a)
    a = c.post_raw(bomb(90 << 20, b"["))
    s = c.statuses(a.id())
    ok(a.status == 200 and s[0]["number_failed"] == 1, "one line of 90 MB", s)
    grown = rss(c.process.pid) - before
    ok(grown < 60000 or SLOW > 1, "in bounded memory", grown)


def test_big_batch(c):
    lines = [event(message_id="%020x" % i, subject="s" * 800) for i in range(60000)]
    plain = ndjson(lines)
    body = gzip.compress(plain, 6)
    before = rss(c.process.pid)
    begin = time.time()
    a = c.post_raw(body)
    ok(a.status == 200 and c.statuses(a.id())[0]["number_succeeded"] == 60000,
       "%d MB of events, in %.1f s" % (len(plain) >> 20, time.time() - begin), a)
    grown = rss(c.process.pid) - before
    ok(grown < 40000 or SLOW > 1, "in bounded memory", grown)
    d = c.get(INGEST + "/" + a.id())
    ok(gzip.decompress(d.data) == plain, "and all of it comes back", len(d.data))
    grown = rss(c.process.pid) - before
    ok(grown < 40000 or SLOW > 1, "in bounded memory", grown)


def test_slow_and_keep_alive(c):
    body = gzip.compress(ndjson([event()]))
    s = socket.create_connection((c.host, c.port), 120 * SLOW)
    head = (b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/x-ndjson\r\n"
            b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (INGEST.encode(), KEY.encode(), len(body)))
    for b in head[:40]:
        s.sendall(bytes([b]))
        time.sleep(0.002)
    s.sendall(head[40:])
    for i in range(len(body) - 1):
        s.sendall(body[i:i + 1])
        time.sleep(0.001)
    others = c.get(STATUS)
    ok(others.status == 200 and others.json()["total_count"] == 0, "others are served while one is slow", others)
    s.sendall(body[-1:])
    answer = s.recv(65536)
    ok(answer.startswith(b"HTTP/1.1 200 "), "byte by byte", answer)
    s.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/events/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n"
              % KEY.encode())
    answer = b""
    while answer.count(b"HTTP/1.1 ") < 2 or not answer.endswith(b"}"):
        more = s.recv(65536)
        if not more:
            break
        answer += more
    ok(b"HTTP/1.1 404" in answer and b"HTTP/1.1 200" in answer, "two requests at once on the same connection", answer)
    s.close()
    k = c.connection()
    statuses = [c.post([event()], connection=k).status for _ in range(20)]
    sock = k.sock
    statuses.append(c.post([event()], connection=k, key="wrong").status)
    statuses.append(c.post([event()], connection=k).status)
    ok(statuses == [200] * 20 + [401, 200] and k.sock is sock, "keep-alive, over a refused batch too", statuses)
    k.close()
    for cut in (10, len(head) - 2, len(head) + len(body) // 2):
        s = socket.create_connection((c.host, c.port), 120 * SLOW)
        s.sendall((head + body)[:cut])
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    ok(c.get(MESSAGES).json()["total_count"] == 22, "broken connections leave nothing", c.get(MESSAGES).json()["total_count"])
    hundred = [socket.create_connection((c.host, c.port), 120 * SLOW) for _ in range(300)]
    ok(c.get(STATUS).status == 200, "300 idle connections do not matter")
    for s in hundred:
        s.close()


def test_concurrent(c):
    per_thread, threads = 15, 8
    shared = [event() for _ in range(10)]
    results = [[] for _ in range(threads)]
    batches = [[[event() for _ in range(20)] + shared for _ in range(per_thread)] for _ in range(threads)]

    def work(n):
        k = c.connection()
        for lines in batches[n]:
            results[n].append((c.post(lines, connection=k), lines))
            if n % 2:
                c.request("GET", MESSAGES + "?per_page=50", connection=k)
        k.close()

    pool = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for t in pool:
        t.start()
    for t in pool:
        t.join()
    answers = [x for r in results for x in r]
    ok(len(answers) == per_thread * threads and all(a.status == 200 for a, _ in answers), "8 threads post 120 batches")
    ids = ",".join(a.id() for a, _ in answers)
    s = c.get(STATUS, batch_ids=ids, per_page=10000).json()
    ok(s["total_count"] == 120 and all(x["type"] == "success" for x in s["results"]), "each has one status", s["total_count"])
    ok(sum(x["number_succeeded"] for x in s["results"]) == 120 * 20 + 10
       and sum(x["number_duplicates"] for x in s["results"]) == 119 * 10, "every event counts once")
    a, lines = answers[50]
    got = gzip.decompress(c.get(INGEST + "/" + a.id()).data).splitlines()
    own = [json.dumps(x).encode() for x in lines[:20]]
    ok(set(own) <= set(got) <= set(own) | set(json.dumps(x).encode() for x in shared), "no batch has another's events")
    same = ndjson([event() for _ in range(30)])
    out = []
    pool = [threading.Thread(target=lambda: out.append(c.post_raw(gzip.compress(same)))) for _ in range(8)]
    for t in pool:
        t.start()
    for t in pool:
        t.join()
    kinds = sorted(c.statuses(a.id())[0].get("error_type", "success") for a in out)
    ok(kinds == ["duplicate_batch"] * 7 + ["success"], "the same batch eight times at once", kinds)


def test_kill(c):
    ids = []
    for _ in range(6):
        lines = [event() for _ in range(20)]
        ids.append((c.post(lines).id(), lines))
        c.stop(signal.SIGKILL)
        c.start()
    for batch, lines in ids:
        s = c.statuses(batch)
        ok(len(s) == 1 and s[0]["number_succeeded"] == 20
           and gzip.decompress(c.get(INGEST + "/" + batch).data) == ndjson(lines), "answered, then killed: it is there", s)
    # Killed in the middle of the work: all of a batch, or nothing.
    acknowledged, stop = [], []

    def work():
        while not stop:
            lines = [event() for _ in range(200)]
            try:
                a = c.post(lines)
                if a.status == 200:
                    acknowledged.append(a.id())
            except OSError:
                time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for _ in range(4):
        before = len(acknowledged)
        wait(lambda: len(acknowledged) >= before + 2)
        time.sleep(0.1 * random.random())
        c.stop(signal.SIGKILL)
        c.start()
    stop.append(1)
    for t in threads:
        t.join()
    found = dict((x["batch_id"], x) for x in c.get(STATUS, per_page=10000).json()["results"])
    ok(len(acknowledged) > 4 and all(found.get(b, {}).get("number_succeeded") == 200 for b in acknowledged),
       "killed four times under load: %d acknowledged batches are whole" % len(acknowledged))
    total = c.get(MESSAGES, per_page=1).json()["total_count"]
    ok(total == 6 * 20 + 200 * (len(found) - 6), "and no batch is there in part", (total, len(found)))


def test_paging(c):
    times = [1785844800 + i // 7 for i in range(2500)]
    events = [event(timestamp=str(t), campaign_id="page") for t in times]
    for i in range(0, 2500, 500):
        c.post(events[i:i + 500])
    want = sorted(((int(inner(e)["timestamp"]), int(inner(e)["event_id"])) for e in events), reverse=True)
    for per_page in (None, 1000, 499, 2499, 2500, 2501, 10000):
        got, pages, url = [], 0, MESSAGES + ("?per_page=%d" % per_page if per_page else "")
        totals = set()
        while url:
            r = c.request("GET", url).json()
            got += [int(x["event_id"]) for x in r["results"]]
            totals.add(r["total_count"])
            url = r["links"].get("next")
            pages += 1
        ok(got == [x for _, x in want] and totals == {2500} and pages == -(-2500 // (per_page or 1000)),
           "2500 events by %s, newest first" % per_page, (len(got), pages, totals))
    # What comes meanwhile does not move the pages.
    r = c.get(MESSAGES, per_page=1000, cursor="initial", campaigns="page,o'th\"er %&=?#").json()
    got = [int(x["event_id"]) for x in r["results"]]
    c.post([event(timestamp="1785999999", campaign_id="page") for _ in range(100)])
    c.post([event(timestamp="1785844900", campaign_id="page") for _ in range(100)])
    while "next" in r["links"]:
        r = c.request("GET", r["links"]["next"]).json()
        got += [int(x["event_id"]) for x in r["results"]]
    ok(got == [x for _, x in want] and r["total_count"] == 2500, "stable while events come in", len(got))
    ok(c.get(MESSAGES).json()["total_count"] == 2700, "a new question sees them")
    url = STATUS + "?per_page=2"
    got = []
    while url:
        r = c.request("GET", url).json()
        got += [x["event_id"] for x in r["results"]]
        url = r["links"].get("next")
    ok(len(got) == len(set(got)) == r["total_count"] == 7, "statuses by pages", got)
    message_next = c.get(MESSAGES, per_page=1).json()["links"]["next"]
    cursor = urllib.parse.parse_qs(urllib.parse.urlsplit(message_next).query)["cursor"][0]
    a = c.get(STATUS, cursor=cursor)
    ok(is_error(a, 400, "cursor"), "a cursor of another question", a)
    big = [event(subject="z" * 200000, timestamp="1786000000") for _ in range(60)]
    c.post(big)
    r = c.get(MESSAGES, per_page=10000).json()
    n = len(r["results"])
    ok(30 <= n < 60 and "next" in r["links"], "a page of big events ends early", n)
    while "next" in r["links"]:
        r = c.request("GET", r["links"]["next"]).json()
        n += len(r["results"])
    ok(n == 2760, "and the rest follows", n)


def test_filters(c):
    kinds = {"reception": "injection", "delivery": "delivery", "inband": "bounce", "tempfail": "delay",
             "outofband": "out_of_band", "feedback": "spam_complaint", "rejection": "policy_rejection", "open": "open",
             "initial_open": "initial_open", "click": "click", "list": "list_unsubscribe", "link": "link_unsubscribe"}
    events = [event(k, timestamp=str(1785844800 + i), campaign_id="c%d" % (i % 3), subaccount_id=i % 2,
                    rcpt_to="User%d@Example.net" % i, message_id="m-%d" % i) for i, k in enumerate(kinds)]
    inner(events[3])["custom_message_id"] = "custom,1"
    hashed = event("delivery", rcpt_hash="AbC=", rcpt_domain="example.net", timestamp="1785844900")
    del inner(hashed)["rcpt_to"]
    c.post(events + [hashed])

    def ids(**params):
        a = c.get(MESSAGES, **params)
        r = a.json()
        if a.status != 200 or r["total_count"] != len(r["results"]):
            return a
        return [x["message_id"] for x in r["results"]]

    for i, (wire, public) in enumerate(kinds.items()):
        want = ["m-%d" % i] if wire != "delivery" else [inner(hashed)["message_id"], "m-1"]
        ok(ids(events=wire) == ids(events=public) == want, "events=%s, events=%s" % (wire, public), ids(events=public))
    rows = [
        (dict(events="open,click"), ["m-9", "m-7"]),
        (dict(events=" open , ,click,"), ["m-9", "m-7"]),
        (dict(recipients="user3@example.net"), ["m-3"]), (dict(recipients="USER3@EXAMPLE.NET,user5@example.net"), ["m-5", "m-3"]),
        (dict(recipients="' OR 1=1 --"), []), (dict(recipients="AbC="), [inner(hashed)["message_id"]]),
        (dict(campaigns="c1"), ["m-10", "m-7", "m-4", "m-1"]), (dict(campaigns="C1"), []),
        (dict(campaigns="c1", events="open"), ["m-7"]), (dict(campaigns="c0,c1", events="click"), ["m-9"]),
        (dict(message_ids="m-2,m-4,none"), ["m-4", "m-2"]), (dict(message_ids="custom|x", delimiter="|"), []),
        (dict(message_ids="custom,1|m-0", delimiter="|"), ["m-3", "m-0"]),
        (dict(event_ids=inner(events[6])["event_id"]), ["m-6"]),
        (dict(subaccounts="1", events="delivery,tempfail"), ["m-3", "m-1"]),
        ({"from": "2026-08-04T12:00:05Z", "to": "2026-08-04T12:00:07Z"}, ["m-6", "m-5"]),
        ({"from": "2026-08-04T12:00:05.001Z", "to": "2026-08-04T12:00:06.001Z"}, ["m-6"]),
        ({"from": "2026-08-04T12:00", "to": "2026-08-04T12:00:02"}, ["m-1", "m-0"]),
        ({"from": "2026-08-04T12:01"}, [inner(hashed)["message_id"]]), ({"to": "2026-08-04T12:00Z"}, []),
        ({"timezone": "UTC", "events": "open"}, ["m-7"]),
    ]
    for params, want in rows:
        got = ids(**params)
        ok(got == want, "%s" % params, got)
    # The same name twice: both lists count. Percent signs and plus.
    a = c.request("GET", MESSAGES + "?events=open&events=click&campaigns=%631%2Cc0")
    ok([x["message_id"] for x in a.json()["results"]] == ["m-9", "m-7"], "a list in two parameters, percent-encoded", a)


def test_status_filters(c):
    good = c.post([event()]).id()
    mixed = c.post([event(), b"bad"]).id()
    empty = c.post([]).id()
    broken = c.post_raw(b"broken").id()

    def kinds(**params):
        a = c.get(STATUS, **params)
        return [(x["batch_id"], x.get("error_type")) for x in a.json()["results"]] if a.status == 200 else a

    everything = [(broken, "decompress"), (empty, "empty_batch"), (mixed, "validation"), (mixed, None), (good, None)]
    ok(kinds() == everything, "the last minute is not hidden", kinds())
    first = c.get(STATUS).json()["results"][0]
    rows = [
        (dict(batch_ids=good), [(good, None)]), (dict(batch_ids=mixed.upper()), [(mixed, "validation"), (mixed, None)]),
        (dict(batch_ids="%s,%s" % (empty, good)), [(empty, "empty_batch"), (good, None)]), (dict(batch_ids="nothing"), []),
        (dict(events="success"), [(mixed, None), (good, None)]), (dict(events="error,success"), everything),
        (dict(events="error"), everything[:3]), (dict(error_types="validation,decompress"), [everything[0], everything[2]]),
        (dict(error_types="system"), []), (dict(retryable="true"), []), (dict(retryable="false"), everything[:3]),
        (dict(event_ids=first["event_id"]), everything[:1]), (dict(subaccounts="0"), everything), (dict(subaccounts="7"), []),
        ({"from": "2020-01-01T00:00Z"}, everything), ({"to": "2020-01-01T00:00Z"}, []), ({"from": "2999-01-01T00:00"}, []),
        ({"from": first["timestamp"]}, [x for x in everything if x[0] == broken]), (dict(events="error", batch_ids=good), []),
    ]
    for params, want in rows:
        got = kinds(**params)
        if "from" in params and params["from"] == first["timestamp"]:
            got = got[:1]  # others may have the same millisecond
        ok(got == want, "%s" % params, got)


def test_malformed(c):
    times = ["x", "2026", "2026-08-04", "2026-08-04 12:00", "2026-02-30T00:00", "2026-13-01T00:00", "2026-08-04T25:00",
             "2026-08-04T12:60", "2026-08-04T12:00:61Z", "2026-08-04T12:00:00+02:00", "2026-08-04T12:00ZZ",
             "1969-12-31T23:59", "2026-08-04T12:00:00.5Z", "-026-08-04T12:00", "", "1785844800", "2026-8-4T12:00"]
    rows = [(path, which, t) for path in (MESSAGES, STATUS) for which in ("from", "to") for t in times]
    rows += [(path, "per_page", v) for path in (MESSAGES, STATUS) for v in ("0", "10001", "-1", "x", "", "1.5", "1e3", "99999999999999999999")]
    rows += [(path, "cursor", v) for path in (MESSAGES, STATUS) for v in ("", "x", "INITIAL", "bS4x", "initial ", "A" * 2000,
             base64.urlsafe_b64encode(b"m.1.2.3").decode().strip("="),
             base64.urlsafe_b64encode(b"m.1.2.3.4.5").decode().strip("="),
             base64.urlsafe_b64encode(b"m.-1.2.3.4").decode().strip("="))]
    rows += [(MESSAGES, "events", v) for v in ("", ",", "nothing", "open,nothing", "Open", "open;click")]
    rows += [(MESSAGES, "subaccounts", v) for v in ("", "x", "-1", "1,x")] + [(MESSAGES, "event_ids", "9223372036854775808")]
    rows += [(MESSAGES, n, "") for n in ("recipients", "campaigns", "message_ids")]
    rows += [(MESSAGES, "delimiter", v) for v in ("", "||", " ", "é")] + [(MESSAGES, "timezone", "Europe/Berlin")]
    rows += [(STATUS, "events", "good"), (STATUS, "error_types", "bad"), (STATUS, "retryable", "maybe"), (STATUS, "retryable", ""),
             (STATUS, "batch_ids", ""), (MESSAGES, "batch_ids", "x"), (STATUS, "recipients", "x"), (MESSAGES, "recipient", "x"),
             (MESSAGES, ":events", "open"), (MESSAGES, "", "x")]
    bad = 0
    for path, name, value in rows:
        a = c.get(path, **{name: value})
        named = is_error(a, 400) and a.json()["errors"][0]["param"] == name
        if not named:
            ok(False, "malformed %s=%s" % (name, value), a)
            bad += 1
    ok(bad == 0, "%d malformed parameters are refused by name" % len(rows))
    for raw in ("recipients=%ff", "recipients=a%00b", "recipients=%", "events=%zz", "per_page", "from", "&&per_page=x&&"):
        a = c.request("GET", MESSAGES + "?" + raw)
        ok(a.status == (200 if raw == "recipients=%" else 400), "?" + raw, a)
    a = c.request("GET", MESSAGES + "?" + "&".join("events=open" for _ in range(65)))
    ok(is_error(a, 400, "64"), "too many parameters", a)
    a = c.request("GET", MESSAGES + "?recipients=" + ",".join("u%d@x" % i for i in range(3000)))
    ok(a.status == 200, "a long list", a)


def test_disk_full(c):
    lines = [event(subject=hashlib.sha256(str(i).encode()).hexdigest() * 10) for i in range(2000)]
    size = max(os.path.getsize(os.path.join(os.path.dirname(c.database), f)) for f in os.listdir(os.path.dirname(c.database)))
    no_limit = resource.prlimit(c.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(c.process.pid, resource.RLIMIT_FSIZE, (size + 100000, no_limit[1]))
    a = c.post(lines)
    ok(is_error(a, 503) and "retry-after" in a.headers, "no room: 503", a)
    ok("not stored" in c.text(), "the reason is in the log", c.text()[-500:])
    r = c.get(MESSAGES)
    ok(r.status == 200 and r.json()["total_count"] == 0 and c.get(STATUS).json()["total_count"] == 0, "nothing was stored", r)
    resource.prlimit(c.process.pid, resource.RLIMIT_FSIZE, no_limit)
    a = c.post(lines)
    ok(a.status == 200 and c.statuses(a.id())[0]["number_succeeded"] == 2000, "room again: the same batch is taken", a)
    locker = sqlite3.connect(c.database, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    a = c.post([event()])
    ok(is_error(a, 503), "somebody holds the database: 503", a)
    locker.execute("ROLLBACK")
    locker.close()
    ok(c.post([event()]).status == 200, "and afterwards it goes on")


def test_reload(c):
    k = c.connection()
    ok(c.post([event()], connection=k, key=OLD_KEY).status == 200, "before")
    c.write_conf("    max-body 2000\n", keys=(NEW_KEY,))
    c.process.send_signal(signal.SIGHUP)
    ok(c.wait_for("settings reloaded"), "HUP reloads", c.text())
    ok(c.post([event()], connection=k, key=OLD_KEY).status == 401, "the old key is gone, on an open connection too")
    ok(c.post([event()], connection=k, key=NEW_KEY).status == 200, "the new one is there")
    a = c.post_raw(os.urandom(3000), key=NEW_KEY)
    ok(is_error(a, 413, "2000"), "limits too", a)
    k.close()
    with open(c.conf, "a") as f:
        f.write("no-such-directive 1\n")
    c.process.send_signal(signal.SIGUSR1)
    ok(c.wait_for("reload refused, settings unchanged") and "no-such-directive" in c.text(), "a bad file is refused", c.text())
    ok(c.post([event()], key=NEW_KEY).status == 200, "and the old settings stay")
    c.write_conf(keys=())
    c.process.send_signal(signal.SIGUSR1)
    ok(c.wait_for("reload refused", 2) and c.post([event()], key=NEW_KEY).status == 200, "no key: refused", c.text())
    c.write_conf()
    stop = []
    bad = []

    def work():
        while not stop:
            try:
                if c.post([event()]).status != 200:
                    bad.append(1)
            except OSError as e:
                bad.append(e)

    c.process.send_signal(signal.SIGUSR1)
    c.wait_for("settings reloaded", 2)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(30):
        c.process.send_signal((signal.SIGUSR1, signal.SIGHUP)[i % 2])
        time.sleep(0.02)
    stop.append(1)
    for t in threads:
        t.join()
    ok(not bad, "30 reloads under load", bad)


def test_retention(c):
    old = c.post([event() for _ in range(3500)] + [b"bad"]).id()
    new = c.post([event() for _ in range(10)]).id()
    c.stop()
    db = sqlite3.connect(c.database)
    db.execute("UPDATE batch SET received = received - 864001000 WHERE uuid = ?", (old,))
    db.commit()
    db.close()
    c.start()
    ok(wait(lambda: c.get(INGEST + "/" + old).status == 404) and c.get(INGEST + "/failures/" + old).status == 404, "an old batch is gone")
    ok(c.get(MESSAGES).json()["total_count"] == 10 and [x["batch_id"] for x in c.get(STATUS).json()["results"]] == [new],
       "the new one is not", c.get(STATUS))
    db = sqlite3.connect(c.database)
    ok(db.execute("SELECT count(*) FROM failure").fetchone()[0] == 0, "its failures went with it")
    db.close()


# The daemon gives what runs 1.2 s, clients 30 s and a whole request minutes: what is below SOON has
# waited for none of the latter.
SOON = 20 * SLOW


def test_stop(c):
    k = c.connection()
    c.post([event()], connection=k)
    idle = socket.create_connection((c.host, c.port))
    code, seconds = c.stop()
    ok(code == 0 and seconds < SOON, "SIGTERM with idle connections: 0 in %.2f s" % seconds, code)
    ok(sorted(os.listdir(os.path.dirname(c.database))) == ["collector.db"], "the log is in the database",
       os.listdir(os.path.dirname(c.database)))
    idle.close()
    k.close()
    c.start()
    result = []
    running = gzip.compress(ndjson([event(subject="q" * 700) for _ in range(3000)]))
    t = threading.Thread(target=lambda: result.append(post_quietly(c, running)))
    body = gzip.compress(ndjson([event()]))
    slow = socket.create_connection((c.host, c.port))
    slow.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/x-ndjson\r\n"
                 b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (INGEST.encode(), KEY.encode(), len(body)))
    t.start()
    time.sleep(0.15)
    code, seconds = c.stop()
    ok(code == 0 and seconds < SOON, "SIGTERM with a client that does not go on: 0 in %.2f s" % seconds, code)
    t.join()
    # On a busy machine it may not have begun: then it is refused.
    status = getattr(result[0], "status", None)
    ok(status in (200, 503, None), "a running request is finished", result)
    slow.close()
    c.start()
    found = len(c.statuses(result[0].id())) if status == 200 else 0
    ok(found == (status == 200), "and kept if it was answered", (found, status))

    before = c.get(STATUS).json()["total_count"]
    line = ndjson([event()])
    lines = gzip.compress(line * (99000000 // len(line)), 1)  # seconds of work, more than the grace
    t = threading.Thread(target=lambda: result.append(post_quietly(c, lines)))
    t.start()
    time.sleep(0.5)
    code, seconds = c.stop()
    t.join()
    ok(code == 0 and seconds < SOON, "SIGTERM in a long request: 0 in %.2f s" % seconds, (code, result[-1]))
    # A very fast machine has done it in that time.
    done = getattr(result[-1], "status", 503) == 200
    ok(done or getattr(result[-1], "status", 503) == 503, "which is not answered with an id", result[-1])
    c.start()
    ok(c.get(STATUS).json()["total_count"] == before + done, "and of which nothing is kept")


def post_quietly(c, body):
    try:
        return c.post_raw(body)
    except OSError as e:
        return e


# ---- starting ----


def test_start(directory):
    def fresh(name, **kw):
        d = os.path.join(directory, name)
        os.mkdir(d)
        return Collector(d, **kw)

    c = fresh("nokey", keys=())
    r = c.run("-f")
    ok(r.returncode == 78 and "api-key" in r.stderr, "no key: 78", r)
    r = c.run("-n")
    ok(r.returncode == 78 and "api-key" in r.stderr, "no key, -n: 78", r)
    c = fresh("signalskey", keys=(), signals="<signals>\n    api-key " + NEW_KEY + "\n    customer-id 42\n</signals>\n")
    r = c.run("-n")
    ok(r.returncode == 0 and not os.path.exists(c.database), "-n: 0, and nothing is made", r)
    c.start()
    ok(c.request("GET", STATUS, key=NEW_KEY).status == 200, "the key of <signals>")
    a = c.post([event()], key=NEW_KEY)
    r = c.request("GET", STATUS, key=NEW_KEY).json()
    ok(r["results"][0]["customer_id"] == 42, "customer_id", r)
    other = fresh("busy")
    other.port = c.port
    other.write_conf()
    r = other.run("-f")
    ok(r.returncode == 71 and str(c.port) in r.stderr, "the port is in use: 71", r)
    c.stop()
    try:
        c = fresh("v6", host="::1")
    except OSError as e:
        skip("IPv6", e)
    else:
        c.start()
        ok(c.get(STATUS).status == 200 and c.wait_for("listening on [::1]:%d" % c.port), "IPv6", c.text())
        c.stop()
    c = fresh("badfile")
    with open(c.conf, "a") as f:
        f.write("nonsense\n")
    r = c.run("-f")
    ok(r.returncode == 78 and "nonsense" in r.stderr, "bad configuration: 78", r)
    c = fresh("future")
    c.start()
    c.stop()
    db = sqlite3.connect(c.database)
    db.execute("PRAGMA user_version = 7")
    db.close()
    r = c.run("-f")
    ok(r.returncode == 71 and "schema version 7" in r.stderr and c.database in r.stderr, "a schema of the future", r)
    c = fresh("foreign")
    os.mkdir(os.path.dirname(c.database))
    db = sqlite3.connect(c.database)
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    before = open(c.database, "rb").read()
    r = c.run("-f")
    ok(r.returncode == 71 and "not a database of signalpost-collector" in r.stderr, "somebody else's database", r)
    ok(open(c.database, "rb").read() == before, "is left as it was")
    c = fresh("junk")
    os.mkdir(os.path.dirname(c.database))
    with open(c.database, "wb") as f:
        f.write(b"no database" * 500)
    r = c.run("-f")
    ok(r.returncode == 71 and "not a database" in r.stderr, "no database at all", r)
    c = fresh("daemon")
    r = c.run()
    try:
        ok(r.returncode == 0 and c.get(STATUS).status == 200, "in the background, serving when the parent exits", r)
    finally:
        for pid in processes_of(c.conf):
            os.kill(pid, signal.SIGTERM)
            wait(lambda: gone(pid))
    r = c.run("-x")
    ok(r.returncode == 64, "usage", r)
    if os.geteuid() == 0:
        test_rights(fresh("rights"), directory)


def test_rights(c, top):
    """Started by root, it is root no more, and the database is the user's."""
    os.chmod(top, 0o755)
    with open(c.conf) as f:
        text = f.read()
    with open(c.conf, "w") as f:
        f.write(text.replace('user ""', "user nobody"))
    nobody = pwd.getpwnam("nobody").pw_uid
    c.start()
    with open("/proc/%d/status" % c.process.pid) as f:
        uids = next(x for x in f if x.startswith("Uid:")).split()[1:]
    ok(uids == [str(nobody)] * 4, "it runs as nobody", uids)
    ok(c.post([event()]).status == 200 and os.stat(c.database).st_uid == nobody
       and os.stat(os.path.dirname(c.database)).st_uid == nobody, "and can write")
    c.stop()
    with open(c.conf, "w") as f:
        f.write(text.replace('user ""', "user no-such-user"))
    r = c.run("-f")
    ok(r.returncode == 71 and "no-such-user" in r.stderr, "no such user: 71", r)


def processes_of(conf):
    """Our own daemon, found by the file that only it was given."""
    out = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if conf.encode() in words:
            out.append(int(pid))
    return out


def main():
    if not os.access(PROGRAM, os.X_OK):
        print("1..0 # SKIP no %s" % PROGRAM)
        return 0
    only = sys.argv[1:]
    top = tempfile.mkdtemp(prefix="it-collector-")
    try:
        tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and n not in ("test_start", "test_rights")]
        for name, function in tests:
            if only and name not in only:
                continue
            print("# " + name)
            directory = os.path.join(top, name)
            os.mkdir(directory)
            c = Collector(directory)
            try:
                c.start()
                function(c)
            except Exception:
                ok(False, name + " got through", traceback.format_exc())
            if c.process and c.process.poll() is not None and not c.log.closed:
                ok(False, name + ": the daemon has died", c.text()[-3000:])
            elif c.process:
                code, _ = c.stop()
                ok(code == 0, name + ": the daemon ends well", (code, c.text()[-3000:]))
            shutil.rmtree(directory)
        if not only or "test_start" in only:
            print("# test_start")
            test_start(top)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return plan()


if __name__ == "__main__":
    sys.exit(main())
