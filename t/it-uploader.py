#!/usr/bin/env python3
"""signalpost-uploader against an ingest endpoint that does whatever a test says.

Everything is on 127.0.0.1. TAP on standard output.
"""
import gzip
import http.server
import json
import os
import pwd
import random
import re
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import SLOW, free_port, gone, ok, plan, wait  # noqa: E402

BUILD = os.environ.get("builddir", ".")
PROGRAM = os.environ.get("UPLOADER", os.path.join(BUILD, "signalpost-uploader"))
KEY = "0123456789abcdef0123456789abcdef01234567"
LINE = ('{"msys":{"message_event":{"type":"reception","event_id":"%s","timestamp":"%d",'
        '"message_id":"000040d4716a5b1c9e02","rcpt_to":"anna@example.net","recv_method":"esmtp",'
        '"friendly_from":"news@brand.example","msg_from":"b@bounces.brand.example",'
        '"routing_domain":"example.net","sending_ip":"192.0.2.10","subject":"%s",'
        '"subaccount_id":0}}}\n')


def event(word, age=0):
    """A whole event; the word is its subject."""
    return LINE % (zlib.crc32(str(word).encode()), time.time() - age, word)


def events(text):
    """Each line a whole event, but for those that are JSON, or torn, or blank, already."""
    return "".join(n if not n.strip() or n[0] == "{" or not n.endswith("\n") else event(n[:-1])
                   for n in text.splitlines(True))


def words(text):
    """The other way round."""
    return re.sub(r'\{"msys.*"subject":"([^"]*)".*\}', r"\1", text)


STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "

top = None
everything = []  # all log files, for the hunt for the key
live = []


# ---- what the endpoint does; each takes the handler, after the request was read ----

def answer(status, body, headers=()):
    def act(h):
        data = body.encode() if isinstance(body, str) else body
        h.send_response(status)
        for name, value in headers:
            h.send_header(name, value)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data)
    return act


def error(status, message, headers=()):
    return answer(status, json.dumps({"errors": [{"message": message}]}), headers)


def taken(h):
    answer(200, json.dumps({"results": {"id": "batch-%d" % len(h.server.seen)}}))(h)


def reset(h):
    h.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    h.connection.close()
    h.close_connection = True


def half_answer(h):
    h.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"results\":{\"id\":\"a\"}}")
    h.close_connection = True


def hang(h):
    h.server.released.wait(120)
    h.close_connection = True


def endless(first, more):
    def act(h):
        h.close_connection = True
        h.wfile.write(first)
        while not h.server.released.is_set():
            h.wfile.write(more)
    return act


endless_headers = endless(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 100)
endless_body = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                       b"3e8\r\n" + b" " * 1000 + b"\r\n")


def after(seconds, then):
    def act(h):
        h.server.released.wait(seconds)
        then(h)
    return act


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body are two writes

    def log_message(self, *args):
        pass

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        with server.lock:
            server.seen.append({"path": self.path, "headers": self.headers, "body": body,
                                "text": text.decode(), "at": time.monotonic()})
            act = server.script.pop(0) if server.script else server.usual
        try:
            act(self)
        except OSError:
            self.close_connection = True

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass


class Endpoint(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script=(), usual=taken, port=0, tls=None):
        self.seen, self.script, self.usual = [], list(script), usual
        self.lock, self.released = threading.Lock(), threading.Event()
        super().__init__(("127.0.0.1", port), Handler)
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that went away, or did not like our certificate

    def url(self):
        return "%s://127.0.0.1:%d/api/v1/ingest/events" % (self.scheme, self.server_address[1])

    def close(self):
        self.released.set()
        self.shutdown()
        self.server_close()

    def texts(self):
        return [words(r["text"]) for r in self.seen]


# ---- the uploader ----

class Uploader:
    count = 0

    def __init__(self, url, interval="1s", verbose=True, start=True, env=None, extra="", key=KEY, blocks=""):
        Uploader.count += 1
        self.dir = os.path.join(top, "u%d" % Uploader.count)
        self.spool = os.path.join(self.dir, "spool")
        self.events = os.path.join(self.spool, "events")
        self.open = os.path.join(self.events, "open")
        os.makedirs(self.open, 0o750)
        self.conf = os.path.join(self.dir, "conf")
        self.log = os.path.join(self.dir, "log")
        everything.append(self.log)
        self.url, self.interval, self.verbose, self.extra, self.key = (
            url, interval, verbose, extra, key)
        self.blocks = blocks
        self.env = dict(os.environ, **(env or {}))
        self.next = 0x3FBD
        self.proc = None
        live.append(self)
        self.write_conf()
        if start:
            self.start()

    def write_conf(self, junk=""):
        signals = ""
        if self.key:
            signals = ("<signals>\n  api-key %s\n  upload-url %s\n  upload-interval %s\n"
                       "  log-verbose %s\n%s</signals>\n" % (
                           self.key, self.url, self.interval, "yes" if self.verbose else "no",
                           self.extra))
        with open(self.conf, "w") as f:
            f.write("%s<spool>\n  directory %s\n</spool>\n<milter>\n  user \"\"\n</milter>\n%s%s" % (
                signals, self.spool, self.blocks.replace("@DIR@", self.dir), junk))

    def start(self):
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([PROGRAM, "-f", "-c", self.conf], stderr=log,
                                         stdin=subprocess.DEVNULL, env=self.env)

    def stop(self, how=signal.SIGTERM):
        if self.proc is None:
            return None
        self.proc.send_signal(how)
        try:
            code = self.proc.wait(60 * SLOW)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            code = "did not end by itself"
        self.proc = None
        return code

    def text(self):
        try:
            with open(self.log) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def signals_lines(self):
        """PowerMTA's lines, each checked for its time stamp and stripped of it."""
        lines = [line for line in self.text().splitlines() if " Signals: " in line]
        bad = [line for line in lines if not re.match(STAMP + "Signals: ", line)]
        return bad or [line[20:] for line in lines]

    def says(self, pattern, seconds=120):
        return wait(lambda: re.search(pattern, self.text()), seconds)

    def put(self, text=None, name=None, raw=False):
        """A closed segment, as the milter leaves it: renamed into place when it is whole."""
        if name is None:
            name = "sp1-%016X.json" % self.next
            self.next += 1
        text = event(self.next) if text is None else text if raw else events(text)
        tmp = os.path.join(self.spool, "putting")
        with open(tmp, "w") as f:
            f.write(text)
        os.rename(tmp, os.path.join(self.events, name))
        return name

    def left(self):
        return sorted(n for n in os.listdir(self.events) if n != "open")

    def rejected(self):
        """The lines that are kept in rejected/, a text for each file."""
        path = os.path.join(self.spool, "rejected")
        return [open(os.path.join(path, n), errors="replace").read() for n in sorted(os.listdir(path))
                if n.endswith(".json")]

    def fates(self, seconds=60):
        """What the ledger counts for each sink, once all is settled:
        made, uploaded, waiting, purged, rejected, expired."""
        db = sqlite3.connect("file:%s?mode=ro" % os.path.join(self.spool, "ledger.db"), uri=True)
        try:
            def look():
                db.execute("BEGIN")
                rows = db.execute("SELECT id, name, made, uploaded, purged, rejected, expired FROM sink"
                                  " WHERE retired = 0").fetchall()
                found = {}
                for k, name, made, uploaded, purged, rejected, expired in rows:
                    waiting = sum(n for file, n in db.execute(
                        "SELECT s.name, s.events - coalesce(c.taken, 0) FROM segment s LEFT JOIN cursor c"
                        " ON c.segment = s.id AND c.sink = ? WHERE gone = 0 AND coalesce(done, 0) = 0", (k,))
                        if os.path.exists(os.path.join(self.events, file)))
                    found[name] = (made, uploaded, waiting, purged, rejected, expired)
                db.execute("ROLLBACK")
                return found
            wait(lambda: all(f[0] == sum(f[1:]) for f in look().values()), seconds)
            return look()
        finally:
            db.close()

    def empty(self, seconds=120):
        return wait(lambda: not self.left(), seconds)


# ---- tests ----

def t_lines():
    """What is logged, word for word, and that a segment is found at once."""
    e = Endpoint()
    u = Uploader(e.url(), interval="10m")
    ok(u.says("Discovered 0 files"), "an idle start says so", u.text())
    ok(re.fullmatch(STAMP + "Signals: Discovered 0 files\n", u.text()), "exactly so", u.text())
    began = time.monotonic()
    name = u.put("a\n")
    ok(u.empty(), "a segment is transferred and removed", u.text())
    ok(e.seen and e.seen[0]["at"] - began < 300, "by inotify, not at the interval's end")
    ok(u.says("transferred 1 file"), "a summary", u.text())
    ok(u.signals_lines() == [
        "Signals: Discovered 0 files",
        "Signals: Discovered %s" % name,
        "Signals: Transferred %s successfully." % name,
        "Signals: Discovered 1 file, transferred 1 file successfully",
    ], "PowerMTA's lines, in their order", u.text())
    ok(u.says(name + ": 127.0.0.1:\\d+ calls it batch batch-1\n"), "the batch id is logged", u.text())
    ok(u.stop() == 0, "SIGTERM ends it with 0")
    e.close()

    e = Endpoint()
    u = Uploader(e.url(), verbose=False)
    ok(u.says("(?s)Discovered 0 files.*Discovered 0 files"), "idle: a line each interval", u.text())
    lines = len(u.signals_lines())
    u.put()
    u.put()
    ok(u.says("transferred \\d"), "not verbose: a summary", u.text())
    new = [n for n in u.signals_lines()[lines:] if n != "Signals: Discovered 0 files"]
    # The two, or one's discovery and its transfer, may fall on both sides of an interval's end.
    ok(wait(lambda: sum(map(int, re.findall(r"transferred (\d)", u.text()))) == 2) and
       all(re.fullmatch(r"Signals: Discovered [12] files?, transferred [012] files? successfully", n) for n in new),
       "and nothing but summaries", u.text())
    u.stop()
    e.close()

    e = Endpoint()
    u = Uploader(e.url(), interval="10m", verbose=False, start=False)
    for _ in range(3):
        u.put()
    u.start()
    ok(u.says("Signals: Discovered 3 files, transferred 3 files successfully\n"),
       "what is found at the start is summed up when it is done", u.text())
    u.stop()
    e.close()


def t_request():
    e = Endpoint()
    # A proxy that isn't there: nothing on this host is asked of it.
    dead = "http://127.0.0.1:1"
    u = Uploader(e.url(), env={"http_proxy": dead, "https_proxy": dead, "all_proxy": dead})
    text = event("one") + event("two")
    u.put(text)
    ok(u.empty(), "sent without the environment's proxy", u.text())
    r = e.seen[0]
    h = r["headers"]
    want = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip",
            "Authorization": KEY, "Expect": None, "Transfer-Encoding": None}
    for name, value in want.items():
        ok(h[name] == value, "%s: %s" % (name, value), h)
    ok(re.fullmatch(r"signalpost/[0-9A-Za-z.]+", h["User-Agent"]), "User-Agent", h)
    ok(len(h.get_all("Content-Type")) == 1, "each header once", h)
    ok(r["path"] == "/api/v1/ingest/events", "the path", r["path"])
    ok(r["text"] == text, "the segment's bytes", r["text"])
    ok(r["body"][4:8] == b"\0\0\0\0", "no time in the gzip header")
    u.stop()
    e.close()


def t_trouble():
    """Whatever the endpoint does, the segment stays until it is taken; then the same bytes come."""
    rows = [
        ("500", answer(500, ""), "HTTP 500;"),
        ("503, HTML", answer(503, "<html>down</html>"), "HTTP 503;"),
        ("503 with words", error(503, "over capacity"), 'HTTP 503 "over capacity";'),
        ("429", error(429, "slow down"), 'HTTP 429 "slow down";'),
        ("200, HTML", answer(200, "<html>sign in</html>"),
         "HTTP 200 \\(this is not what an ingest endpoint answers"),
        ("200, no id", answer(200, '{"results":{}}'), "HTTP 200 \\(this is not"),
        ("200, empty id", answer(200, '{"results":{"id":""}}'), "HTTP 200 \\(this is not"),
        ("200, empty body", answer(200, ""), "HTTP 200 \\(this is not"),
        ("200 and errors", error(200, "no"), 'HTTP 200 "no" \\(this is not'),
        ("202", answer(202, '{"results":{"id":"a"}}'), "HTTP 202 \\(this is not"),
        ("200, cut off", half_answer, "127.0.0.1:\\d+: .*; next try"),
        ("200, 2 MB", answer(200, '{"results":{"id":"%s"}}' % ("x" * 2000000)),
         "the answer has more than 1048576 bytes, or 65536 of headers"),
        ("200, endless headers", endless_headers, "the answer has more than 1048576 bytes, or 65536"),
        ("200, endless body", endless_body, "the answer has more than 1048576 bytes, or 65536"),
        ("no HTTP", lambda h: h.wfile.write(b"220 mail.example.com ESMTP\r\n"),
         "127.0.0.1:\\d+: .*; next try"),
        ("reset", reset, "127.0.0.1:\\d+: .*; next try"),
        ("words of several lines", error(500, "a\nb\x1b[31m\x00c"), 'HTTP 500 "a\\?b\\?\\[31m\\?c"'),
    ]
    for what, act, want in rows:
        e = Endpoint(script=[act])
        u = Uploader(e.url(), interval="60s", start=False)
        name = u.put()
        u.start()
        ok(u.says("%s kept: 127.0.0.1:\\d+: .*next try in \\d+ s\n" % name), "%s: kept" % what,
           u.text())
        ok(re.search(want, u.text()), "%s: why" % what, u.text())
        ok(u.empty(), "%s: taken at the next try" % what, u.text())
        ok(len(e.seen) == 2 and e.seen[0]["body"] == e.seen[1]["body"], "%s: same bytes" % what)
        ok(u.signals_lines().count("Signals: Transferred %s successfully." % name) == 1,
           "%s: transferred once" % what, u.text())
        u.stop()
        e.close()


def t_operator():
    """What only an operator can change is tried seldom, said loudly, and again after a reload."""
    rows = [
        (401, "check api-key"),
        (403, "Incoming Events: Write"),
        (404, "check upload-url"),
        (405, "check upload-url"),
        (415, "gzipped NDJSON"),
    ]
    for status, advice in rows:
        # The endpoint repeats the key, in two spellings; that must not reach the log.
        e = Endpoint(script=[error(status, "key %s, %s" % (KEY, KEY.upper()))])
        u = Uploader(e.url(), start=False)
        name = u.put()
        u.start()
        ok(u.says("error: %s kept: 127.0.0.1:\\d+: HTTP %d" % (name, status)), "%d: an error" % status,
           u.text())
        ok(advice in u.text(), "%d: %s" % (status, advice), u.text())
        ok('"key [api-key], [api-key]"' in u.text(), "%d: without the key" % status, u.text())
        seconds = int(re.search(r"next try in (\d+) s", u.text()).group(1))
        ok(60 <= seconds <= 120, "%d: next try in %d s" % (status, seconds))
        time.sleep(1.2)
        ok(len(e.seen) == 1 and u.left() == [name], "%d: it waits" % status)
        u.proc.send_signal(signal.SIGHUP)
        ok(u.empty(), "%d: a reload tries at once" % status, u.text())
        u.stop()
        e.close()


def t_redirect():
    elsewhere = Endpoint()
    e = Endpoint(usual=answer(307, "", [("Location", elsewhere.url())]))
    u = Uploader(e.url())
    name = u.put()
    ok(u.says("HTTP 307 \\(redirects are not followed"), "a redirect is refused", u.text())
    time.sleep(0.3)
    ok(not elsewhere.seen and u.left() == [name], "and not followed: the key goes nowhere else")
    u.stop()
    e.close()
    elsewhere.close()


def t_retry_after():
    e = Endpoint(script=[error(429, "wait", [("Retry-After", "3")])])
    u = Uploader(e.url(), start=False)
    u.put()
    u.start()
    ok(u.says("next try in 3 s"), "Retry-After: 3", u.text())
    ok(u.empty(), "taken then", u.text())
    ok(2.9 <= e.seen[1]["at"] - e.seen[0]["at"], "three seconds later",
       e.seen[1]["at"] - e.seen[0]["at"])
    u.stop()
    e.close()
    rows = (  # what is asked for, the wait
        ("0", "[01]"), ("-5", "[01]"), ("soon", "[01]"), ("Wed, 21 Oct 2015 07:28:00 GMT", "[01]"),
        ("Fri, 01 Jan 2100 00:00:00 GMT", "3600"), ("7200", "3600"), ("9" * 30, "3600"),
    )
    for text, seconds in rows:
        e = Endpoint(script=[error(503, "wait", [("Retry-After", text)])])
        u = Uploader(e.url())
        u.put()
        ok(u.says("next try in %s s\n" % seconds), "Retry-After: %s" % text, u.text())
        u.stop()
        e.close()


def t_gzipped_answer():
    """Some compress whether they were asked to or not."""
    def act(h):
        answer(200, gzip.compress(b'{"results":{"id":"zipped"}}'), [("Content-Encoding", "gzip")])(h)
    e = Endpoint(usual=act)
    u = Uploader(e.url())
    u.put()
    ok(u.says("calls it batch zipped"), "an answer in gzip is read", u.text())
    ok(u.empty(), "and counts", u.text())
    u.stop()
    e.close()
    bomb = gzip.compress(b" " * 50000000)
    e = Endpoint(script=[answer(200, bomb, [("Content-Encoding", "gzip")])])
    u = Uploader(e.url())
    u.put()
    ok(u.says("the answer has more than 1048576 bytes"), "one that is large when unpacked is cut off", u.text())
    ok(u.empty(), "and the batch is sent again", u.text())
    u.stop()
    e.close()


def t_cut_anywhere():
    """The connection is cut behind each byte of the answer in turn; only a whole one counts."""
    whole = b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"results":{"id":"abc"}}'
    at = [0]

    def act(h):
        h.wfile.write(whole[:at[0]])
        h.close_connection = True
        at[0] += 1

    e = Endpoint(usual=act)
    u = Uploader(e.url())
    u.put()
    u.says("next try")  # a signal before it listens would end it

    def again():
        before = at[0]
        u.proc.send_signal(signal.SIGUSR1)
        wait(lambda: at[0] > before or not u.left(), 5)
        return not u.left()
    ok(wait(again, 300), "an answer that is cut anywhere", u.text())
    ok(at[0] == len(whole) + 1 and u.fates() == {"signals": (1, 1, 0, 0, 0, 0)}, "counts when it is whole", (at, u.fates()))
    u.stop()
    e.close()


def picky(status, poison="poison"):
    """Refuses whatever has a certain word in it."""
    return lambda h: (error(status, "no") if poison in h.server.seen[-1]["text"] else taken)(h)


def t_one_bad_batch():
    """A batch that the endpoint refuses does not hold up the others."""
    e = Endpoint(usual=picky(400))
    u = Uploader(e.url(), start=False, extra="  uploads 1\n")
    first = u.put("poison\n")
    for n in range(5):
        u.put("good %d\n" % n)
    u.start()
    ok(u.empty(), "five pass, one is refused for good", u.text())
    good = [t for t in e.texts() if t != "poison\n"]
    ok(good == ["good %d\n" % n for n in range(5)], "in their order", e.texts())
    ok(u.text().count('error: %s: 1 event refused by 127' % first) == 1 and 'HTTP 400 "no"' in u.text(),
       "said", u.text())
    ok([words(t) for t in u.rejected()] == ["poison\n"], "and kept", u.rejected())
    ok("Transferred " + first not in u.text(), "not called transferred", u.text())
    ok(u.fates() == {"signals": (6, 5, 0, 0, 1, 0)}, "in the ledger", u.fates())
    u.stop()
    e.close()


def t_parts():
    """Good events pass although a line in their batch is refused; a batch too large goes in parts."""
    for status, bad in ((400, (17,)), (422, (0, 1, 50, 99)), (413, (33,)), (400, tuple(range(100)))):
        e = Endpoint(usual=picky(status))
        u = Uploader(e.url(), start=False, verbose=False, interval="60s")
        u.put("".join("%s %02d\n" % ("poison" if n in bad else "good", n) for n in range(100)))
        u.start()
        ok(u.empty(), "%d for %d of 100 lines" % (status, len(bad)), u.text())
        got = "".join(t for t in e.texts() if "poison" not in t)
        want = "".join("good %02d\n" % n for n in range(100) if n not in bad)
        ok(got == want, "%d: the good ones arrive, once" % status, got)
        kept = "".join(sorted(words(t) for t in u.rejected()))
        ok(kept == "".join("poison %02d\n" % n for n in bad), "%d: the others are kept" % status, kept)
        ok(u.fates() == {"signals": (100, 100 - len(bad), 0, 0, len(bad), 0)}, "%d: the ledger" % status,
           u.fates())
        ok(len(e.seen) < 450, "%d: %d requests" % (status, len(e.seen)))
        u.stop()
        e.close()
    e = Endpoint(usual=lambda h: (answer(413, "") if len(h.server.seen[-1]["text"]) > 9000 else taken)(h))
    u = Uploader(e.url(), start=False, verbose=False, interval="60s")
    u.put("".join("event %d\n" % n for n in range(200)))
    u.start()
    ok(u.empty(), "413 for more than 9000 bytes", u.text())
    got = "".join(words(r["text"]) for r in e.seen if len(r["text"]) <= 9000)
    ok(got == "".join("event %d\n" % n for n in range(200)), "all arrive, once, in their order", got)
    ok(len([r for r in e.seen if len(r["text"]) > 9000]) < 10, "the size is found out once", len(e.seen))
    ok(not u.rejected() and u.fates() == {"signals": (200, 200, 0, 0, 0, 0)}, "nothing is lost", u.fates())
    u.stop()
    e.close()


def t_down_then_up():
    port = free_port()
    u = Uploader("http://127.0.0.1:%d/" % port)
    names = [u.put("event %d\n" % n) for n in range(10)]
    ok(u.says("kept: 127.0.0.1:\\d+: .*Connection refused; next try in"), "nobody there: said so", u.text())
    ok(u.says("Signals: Discovered 10 files, transferred 0 files successfully"),
       "the summary counts what waits", u.text())
    ok(u.left() == names, "everything waits")
    e = Endpoint(port=port)
    ok(u.empty(), "there again: everything arrives", u.text())
    ok(sorted(e.texts()) == ["event %d\n" % n for n in range(10)], "once", e.texts())
    ok(u.says("127.0.0.1:%d takes events again\n" % port), "and it says so", u.text())
    u.stop()
    e.close()


def t_backlog():
    e = Endpoint()
    u = Uploader(e.url(), interval="1h", verbose=False, start=False)
    for n in range(1000):
        u.put("event %d\n" % n)
    began = time.monotonic()
    u.start()
    ok(u.empty(), "a thousand segments", u.text())
    print("# %.1f s" % (time.monotonic() - began))
    ok(sorted(e.texts()) == sorted("event %d\n" % n for n in range(1000)), "each once")
    ok(u.says("Discovered 1000 files, transferred 1000 files successfully"), "one summary", u.text())
    ok(len(u.text().splitlines()) == 1, "and nothing else", u.text())
    u.stop()
    e.close()


def t_empty_and_bad():
    e = Endpoint()
    u = Uploader(e.url(), start=False)
    for name in (u.put(""), u.put("\n\n")):
        os.utime(os.path.join(u.events, name), (1, 1))
    copied = u.put("")
    good = u.put("good\n")
    d = "sp1-%016X.json" % 1
    os.mkdir(os.path.join(u.events, d))
    fifo = "sp1-%016X.json" % 2
    os.mkfifo(os.path.join(u.events, fifo))
    link = "sp1-%016X.json" % 3
    os.symlink("/etc/passwd", os.path.join(u.events, link))
    u.put("x\n", name="notes.txt")
    u.put("x\n", name="sp1-abc.json")
    big = "sp1-%016X.json" % 4
    with open(os.path.join(u.events, big), "w") as f:
        f.truncate(70 << 20)
    u.start()
    ok(u.says("Transferred %s" % good), "the good one passes", u.text())

    def later():
        """It stays young, however long that takes."""
        os.utime(os.path.join(u.events, copied))
        return re.search("(?s)Discovered 0 files.*Discovered 0 files", u.text())
    ok(wait(later), "intervals later", u.text())
    ok(e.texts() == ["good\n"], "nothing else was sent, and no empty batch", e.texts())
    ok(copied in u.left(), "an empty one that is young is not removed", u.left())
    ok(set(u.left()) <= {"notes.txt", "sp1-abc.json", copied},
       "the empty ones are removed, other names stay for some seconds", u.left())
    with open(os.path.join(u.events, copied), "w") as f:
        f.write(events("copied\n"))
    ok(u.says("Transferred %s" % copied), "one that somebody was copying there is waited for", u.text())
    for name in ("notes.txt", "sp1-abc.json"):
        if name in u.left():
            os.utime(os.path.join(u.events, name), (1, 1))
    ok(u.empty(), "nothing stays", u.left())
    ok(u.text().count("%s: 1 line went to rejected/, no valid event: event line longer than" % big) == 1,
       "70 MB of nothing: kept, in part", u.text())
    for name in ("notes.txt", "sp1-abc.json", d, fifo, link):
        ok(wait(lambda: len(re.findall("%s: not .*: moved to rejected/found-" % name, u.text())) == 1),
           "%s: moved to rejected/" % name, u.text())
    u.stop()
    e.close()


def t_odd_content():
    """Only whole events are sent; the rest is kept, with why."""
    e = Endpoint()
    u = Uploader(e.url(), start=False)
    good = event("good")
    flipped = good.replace('"msys"', '"msxs"')
    noise = os.urandom(3000000).hex() + "\n"
    rows = [  # what is in a segment; what of it is sent, and what is kept
        ('{"torn":', "", '{"torn":\n'),
        (good + good[:60], good, good[:60] + "\n"),
        (good[60:] + good, good, good[60:]),
        (good + flipped + good, good + good, flipped),
        (good.rstrip("\n"), good, ""),
        ('{"a":1}\n', "", '{"a":1}\n'),
        ("{\0\0\0\n" + good, good, "{\0\0\0\n"),
        ("{" + noise + good, good, ("{" + noise)[:1 << 20] + "\n"),
    ]
    for text, _, _ in rows:
        u.put(text, raw=True)
    u.start()
    ok(u.empty(), "all are dealt with", u.text())
    sent = sorted(r["text"] for r in e.seen)
    ok(sent == sorted(r[1] for r in rows if r[1]), "what is whole is sent, byte for byte", sent)
    ok(sorted(u.rejected()) == sorted(r[2] for r in rows if r[2]), "the rest is kept",
       [t[:200] for t in u.rejected()])
    reasons = [n for n in os.listdir(os.path.join(u.spool, "rejected")) if n.endswith(".reason")]
    ok(len(reasons) == len(u.rejected()), "with the reason", reasons)
    ok(u.text().count("1 line went to rejected/, no valid event: ") == 7, "and said", u.text())
    ok(u.fates() == {"signals": (14, 7, 0, 0, 7, 0)}, "the ledger", u.fates())
    u.stop()
    e.close()


def t_written_to():
    """A segment that is written to while it is sent is not removed with half of it unsent."""
    u = None

    def append(h):
        with open(os.path.join(u.events, name), "a") as f:
            f.write(event("more"))
        taken(h)
    e = Endpoint(script=[append])
    u = Uploader(e.url(), start=False)
    name = u.put("some\n")
    u.start()
    ok(u.empty(), "sent, then removed", u.text())
    ok(e.texts() == ["some\n", "more\n"], "with what came later", e.texts())
    ok(u.fates() == {"signals": (2, 2, 0, 0, 0, 0)}, "counted", u.fates())
    u.stop()
    e.close()


def t_rights():
    if os.geteuid() != 0:
        ok(True, "# SKIP not root")
        return
    e = Endpoint()
    u = Uploader(e.url(), start=False)
    nobody = pwd.getpwnam("nobody")
    with open(u.conf) as f:
        text = f.read()
    with open(u.conf, "w") as f:
        f.write(text.replace('user ""', "user nobody"))
    u.put()
    for path in (top, u.dir):
        os.chmod(path, 0o711)
    for path, _, _ in os.walk(u.spool):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for name in u.left():
        os.chown(os.path.join(u.events, name), nobody.pw_uid, nobody.pw_gid)
    u.start()
    ok(u.empty(), "started by root", u.text())
    with open("/proc/%d/status" % u.proc.pid) as f:
        status = f.read()
    ids = {line.split(":")[0]: line.split()[1:] for line in status.splitlines()}
    ok(ids["Uid"] == [str(nobody.pw_uid)] * 4 and ids["Gid"] == [str(nobody.pw_gid)] * 4,
       "it is the user for good", ids)
    ok("0" not in ids["Groups"], "without root's groups", ids["Groups"])
    ok(ids["CapEff"] == ["0000000000000000"] and ids["CapPrm"] == ids["CapEff"], "nor capabilities")
    u.stop()
    e.close()
    with open(u.conf, "w") as f:
        f.write(text.replace('user ""', "user no-such-user"))
    p = subprocess.run([PROGRAM, "-f", "-c", u.conf], capture_output=True, text=True, timeout=120)
    ok(p.returncode == 71 and "user no-such-user: there is no such user" in p.stderr, "no such user: 71", p)


def t_two():
    e = Endpoint()
    u = Uploader(e.url())
    u.says("Discovered 0 files")
    for args in (["-f"], []):
        p = subprocess.run([PROGRAM] + args + ["-c", u.conf], capture_output=True, text=True, timeout=120)
        ok(p.returncode == 75, "a second one on the same spool ends with 75 %s" % args, p)
        ok("another signalpost-uploader works on this spool, process %d\n" % u.proc.pid in p.stderr,
           "and names the first", p.stderr)
    u.put()
    ok(u.empty() and len(e.seen) == 1, "the first goes on")
    u.stop()
    u.start()
    u.put()
    ok(u.empty(), "after its end the spool is free")
    u.stop(signal.SIGKILL)
    u.start()
    u.put()
    ok(u.empty(), "after kill -9, too")
    u.stop()
    e.close()


def t_killed():
    """kill -9 when the endpoint has the batch and we have not its answer."""
    def kill(h):
        u.proc.kill()
        u.proc.wait()
        taken(h)
    e = Endpoint(script=[kill])
    u = Uploader(e.url(), start=False)
    name = u.put()
    u.start()
    ok(wait(lambda: u.proc.poll() is not None), "killed")
    ok(u.left() == [name], "the segment is there")
    u.start()
    ok(u.empty(), "the next start sends it", u.text())
    ok(len(e.seen) == 2 and e.seen[0]["body"] == e.seen[1]["body"],
       "the same bytes, so the same event ids")
    u.stop()
    e.close()


def t_killed_often():
    """kill -9 at any time: everything arrives, and is counted once."""
    budget = [0]

    def act(h):
        """Some each time: else it would have sent all before it is killed, if we are kept waiting."""
        with h.server.lock:
            budget[0] -= 1
            good = budget[0] >= 0
        (after(0.005, taken) if good else hang)(h)
    e = Endpoint(usual=act)
    u = Uploader(e.url(), interval="60s", start=False)
    for n in range(150):
        u.put("event %d\n" % n)
    rounds = 0
    while u.left() and rounds < 200:
        rounds += 1
        before = len(e.seen)
        budget[0] = 30
        u.start()
        wait(lambda: len(e.seen) > before + rounds % 13, 5)
        u.stop(signal.SIGKILL)
    e.usual = taken
    u.start()
    ok(u.empty(), "killed %d times" % rounds, u.text())
    ok(set(e.texts()) == {"event %d\n" % n for n in range(150)}, "each has arrived")
    ok(len(e.seen) <= 150 + 4 * rounds, "at most four again each time", len(e.seen))
    ok(u.fates() == {"signals": (150, 150, 0, 0, 0, 0)}, "and is counted once", u.fates())
    ok(rounds > 3, "often enough")
    u.stop()
    e.close()


def t_stop():
    for how in (signal.SIGTERM, signal.SIGINT):
        e = Endpoint(usual=hang)
        u = Uploader(e.url(), interval="60s")
        name = u.put()
        wait(lambda: e.seen)
        began = time.monotonic()
        # Not when the endpoint has answered, or the transfer is given up.
        ok(u.stop(how) == 0 and time.monotonic() - began < 20, "signal %d in mid-transfer: at once" % how)
        ok(u.left() == [name], "and the segment stays")
        e.close()
    # 60 MB of what is no event.
    e = Endpoint()
    u = Uploader(e.url(), interval="60s", start=False)
    u.put("0123456789abcde\n" * (60 << 16), raw=True)
    u.start()
    time.sleep(0.3)
    began = time.monotonic()
    # What a worker has begun is ended first: under TSan on a busy machine that takes seconds.
    ok(u.stop() == 0 and time.monotonic() - began < 30 * SLOW, "in mid-compression: soon")
    e.close()


def t_reload():
    for how in (signal.SIGHUP, signal.SIGUSR1):
        e, other = Endpoint(), Endpoint()
        u = Uploader(e.url(), interval="60s", verbose=False)
        u.says("Discovered 0 files")
        u.write_conf("no-such-directive yes\n")
        u.proc.send_signal(how)
        ok(u.says("error: .*/conf:\\d+: .*no-such-directive.*; the old configuration stays in force\n"),
           "a broken configuration is refused", u.text())
        u.put()
        ok(u.empty() and len(e.seen) == 1, "the old one is in force", u.text())
        os.unlink(u.conf)
        u.proc.send_signal(how)
        ok(wait(lambda: u.text().count("stays in force") == 2), "so is it without a file", u.text())
        u.url, u.verbose = other.url(), True
        u.write_conf()
        u.proc.send_signal(how)
        ok(u.says("configuration .*/conf read again\n"), "a good one is taken", u.text())
        name = u.put()
        ok(u.empty() and len(other.seen) == 1 and len(e.seen) == 1, "events go to the new address")
        ok(u.says("Signals: Transferred %s successfully." % name), "verbosely", u.text())
        ok(u.proc.poll() is None, "the same process")
        u.stop()
        e.close()
        other.close()


def t_no_key():
    u = Uploader("", key=None, start=False)
    names = [u.put() for _ in range(3)]
    u.start()
    ok(u.says("there is no <signals> block with an api-key: events are kept in .*/spool/events, "
              "nothing is uploaded\n"), "nowhere to send to: said", u.text())
    names.append(u.put())
    time.sleep(0.3)
    ok(len(u.text().splitlines()) == 1, "once", u.text())
    ok(u.left() == names, "everything is kept")
    e = Endpoint()
    u.url, u.key = e.url(), KEY
    u.write_conf()
    u.proc.send_signal(signal.SIGHUP)
    ok(u.empty() and len(e.seen) == 4, "and sent once there is somewhere", u.text())
    u.key = None
    u.write_conf()
    u.proc.send_signal(signal.SIGHUP)
    u.says("(?s)nothing is uploaded.*nothing is uploaded")
    u.put()
    u.key = KEY
    u.write_conf()
    u.proc.send_signal(signal.SIGHUP)
    ok(u.empty() and u.fates() == {"signals": (5, 5, 0, 0, 0, 0)}, "nothing is given up meanwhile", u.fates())
    u.stop()
    e.close()


def t_dead_writer():
    e = Endpoint()
    u = Uploader(e.url(), start=False)
    whole = event(1) + event(2)
    name = "sp1-%016X.json" % 77
    with open(os.path.join(u.open, name), "w") as f:
        f.write(whole + event(3)[:50])
    u.start()
    ok(wait(lambda: e.seen), "what a dead writer left is sent", u.text())
    ok([r["text"] for r in e.seen] == [whole], "its whole lines", e.texts())
    ok(u.says("warning: .*%s" % name), "and it is said", u.text())
    name = "sp1-%016X.json" % 78
    with open(os.path.join(u.open, name), "w") as f:
        f.write(event(4))
    ok(wait(lambda: len(e.seen) == 2), "later, too", u.text())
    u.stop()
    e.close()


def t_tls():
    if shutil.which("openssl") is None:
        ok(True, "# SKIP no openssl command")
        return
    cert, key = os.path.join(top, "cert.pem"), os.path.join(top, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    e = Endpoint(tls=(cert, key))
    u = Uploader(e.url())
    name = u.put()
    ok(u.says("kept: 127.0.0.1:\\d+: SSL certificate problem: .* \\(check ca-file"),
       "an unknown certificate is refused", u.text())
    ok(not e.seen and u.left() == [name], "nothing was sent")
    u.extra = "  ca-file %s\n" % cert
    u.write_conf()
    u.proc.send_signal(signal.SIGHUP)
    ok(u.empty(), "with ca-file it is trusted", u.text())
    u.url = e.url().replace("127.0.0.1", "localhost")
    u.write_conf()
    u.proc.send_signal(signal.SIGHUP)
    u.says("(?s)read again.*read again")
    u.put()
    ok(u.says("kept: localhost:\\d+: .*(does not match|no alternative)"), "but not for another name", u.text())
    u.stop()
    e.close()


def t_slow():
    e = Endpoint(script=[after(3, taken)])
    u = Uploader(e.url())
    u.put()
    ok(u.empty() and len(e.seen) == 1, "an endpoint that thinks for three seconds", u.text())
    u.stop()
    e.close()


def t_options():
    def call(*args):
        return subprocess.run((PROGRAM,) + args, capture_output=True, text=True, timeout=120)
    p = call("-V")
    ok(p.returncode == 0 and re.fullmatch(r"signalpost-uploader \S+\n", p.stdout), "-V", p)
    for args in (["-x"], ["-c"], ["word"]):
        p = call(*args)
        ok(p.returncode == 64 and "usage: signalpost-uploader [-fnV] [-c file]" in p.stderr,
           "usage: %s" % args, p)
    u = Uploader("http://127.0.0.1:1/", start=False)
    p = call("-n", "-c", u.conf)
    ok(p.returncode == 0 and p.stdout == "%s: good\n" % u.conf, "-n, good", p)
    u.write_conf("nonsense\n")
    for args in (["-n"], ["-f"], []):
        p = call("-c", u.conf, *args)
        ok(p.returncode == 78 and re.search(r"/conf:\d+: ", p.stderr), "a broken file: 78 %s" % args, p)
    u.url = "http://192.0.2.1/api/v1/ingest/events"
    u.write_conf()
    p = call("-n", "-c", u.conf)
    ok(p.returncode == 78 and "upload-url" in p.stderr, "http:// to elsewhere: 78", p)
    p = call("-f", "-c", os.path.join(top, "none"))
    ok(p.returncode == 78 and "none" in p.stderr, "no file: 78", p)


def t_background():
    e = Endpoint()
    u = Uploader(e.url(), start=False)
    p = subprocess.run([PROGRAM, "-c", u.conf], capture_output=True, text=True, timeout=120)
    ok(p.returncode == 0 and p.stderr == "", "without -f the parent ends with 0 when it is up", p)
    with open(os.path.join(u.spool, "uploader.lock")) as f:
        pid = int(f.read())
    u.put()
    ok(u.empty(), "and the child works")
    ok(os.getsid(pid) == pid, "in a session of its own")
    ok(os.readlink("/proc/%d/fd/2" % pid) == "/dev/null", "with nothing of the terminal")
    os.kill(pid, signal.SIGTERM)
    ok(wait(lambda: gone(pid)), "SIGTERM ends it")
    e.close()


def t_systemd():
    linked = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True).stdout
    if "libsystemd" not in linked:
        ok(True, "# SKIP built without libsystemd")
        return
    path = os.path.join(top, "notify")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    got = []  # read at once: only a few fit into a socket

    def listen():
        while got[-1:] != [b"enough"]:
            got.append(s.recv(200))
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()

    def said():
        """But for the watchdog's, which come between."""
        return [x for x in got if x != b"WATCHDOG=1"]
    e = Endpoint()
    u = Uploader(e.url(), env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"})
    ok(wait(lambda: b"WATCHDOG=1" in got) and got[0] == b"READY=1", "READY=1, and then WATCHDOG=1", got)
    u.proc.send_signal(signal.SIGHUP)
    ok(wait(lambda: len(said()) == 3) and said()[1].startswith(b"RELOADING=1\nMONOTONIC_USEC=") and
       said()[2] == b"READY=1", "RELOADING=1, and READY=1 again", got)
    u.stop()
    ok(wait(lambda: said()[3:] == [b"STOPPING=1"]), "STOPPING=1", got)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as c:
        c.sendto(b"enough", path)
    thread.join()
    s.close()
    e.close()


def t_descriptors():
    """Nothing is left open by trouble."""
    e = Endpoint(usual=lambda h: [reset, taken, answer(200, "x")][len(h.server.seen) % 3](h))
    u = Uploader(e.url())
    u.says("Discovered 0 files")
    def descriptors():
        return len(os.listdir("/proc/%d/fd" % u.proc.pid))
    before = descriptors()
    for _ in range(4):
        u.put()
    ok(u.empty(), "trouble in turns", u.text())
    ok(wait(lambda: descriptors() <= before + 2, 30), "descriptors: %d, then %d" % (before, descriptors()))
    u.stop()
    e.close()


def ok_flat(line, number):
    o = json.loads(line)
    return (o["event_class"] == "message_event" and o["type"] == "reception" and "msys" not in o and
            isinstance(o["timestamp"], int) and isinstance(o["event_id"], str) and
            o["subject"] == "event %d" % number)


def t_http_sinks():
    """ClickHouse's INSERT in the query, Vector's http_server: any 2xx, flat objects, own headers."""
    e, clickhouse, vector = Endpoint(), Endpoint(usual=answer(200, "")), Endpoint(usual=answer(204, ""))
    u = Uploader(e.url(), start=False, blocks="""
<sink clickhouse>
  type http
  url "http://127.0.0.1:%d/?query=INSERT INTO events FORMAT JSONEachRow&insert_deduplication_token={batch}"
  header "X-ClickHouse-User: signalpost"
  header "X-ClickHouse-Key: secret"
  format flat
</sink>
<sink vector>
  type http
  url http://127.0.0.1:%d/{node}/{date}/{segment}
  api-key "Bearer abc"
  header "Content-Type: application/json"
  compress none
</sink>
node-name a.host_1
""" % (clickhouse.server_address[1], vector.server_address[1]))
    name = u.put("event 1\nevent 2\n")
    u.start()
    ok(u.empty(), "three sinks have it", u.text())
    r = clickhouse.seen[0]
    ok(r["path"] == "/?query=INSERT%%20INTO%%20events%%20FORMAT%%20JSONEachRow&insert_deduplication_token="
       "%s-0-%d" % (name[:-5], len(events("event 1\nevent 2\n"))), "ClickHouse's URL", r["path"])
    ok(r["headers"]["X-ClickHouse-User"] == "signalpost" and r["headers"]["X-ClickHouse-Key"] == "secret" and
       r["headers"]["Authorization"] is None and r["headers"]["Content-Encoding"] == "gzip", "its headers",
       r["headers"])
    lines = r["text"].splitlines()
    ok(len(lines) == 2 and all(ok_flat(n, i + 1) for i, n in enumerate(lines)), "flat objects", r["text"])
    r = vector.seen[0]
    ok(re.fullmatch(r"/a\.host_1/\d{4}-\d\d-\d\d/%s" % name[:-5], r["path"]), "the other's path", r["path"])
    ok(r["headers"]["Authorization"] == "Bearer abc" and r["headers"]["Content-Encoding"] is None and
       r["headers"].get_all("Content-Type") == ["application/json"], "its headers", r["headers"])
    ok(r["text"] == e.seen[0]["text"] and words(r["text"]) == "event 1\nevent 2\n", "the lines as they are")
    ok(set(u.fates().values()) == {(2, 2, 0, 0, 0, 0)} and len(u.fates()) == 3, "the ledger", u.fates())
    u.stop()
    for x in (e, clickhouse, vector):
        x.close()


def t_independent():
    """A dead sink, and one that is slow, don't hold up another; segments wait for those that are required."""
    e = Endpoint()

    def act(h):
        wait(lambda: len(e.seen) == 8, 30)
        after(0.3, answer(200, ""))(h)
    slow = Endpoint(usual=act)
    blocks = """
<sink dead>
  type http
  url http://127.0.0.1:1/
  required %s
</sink>
<sink slow>
  type http
  url http://127.0.0.1:%d/
  uploads 2
</sink>
"""
    u = Uploader(e.url(), start=False, interval="60s", blocks=blocks % ("yes", slow.server_address[1]))
    names = [u.put("event %d\n" % n) for n in range(8)]
    u.start()
    ok(wait(lambda: len(e.seen) == 8 and len(slow.seen) == 8), "the others have all", u.text())
    ok(e.seen[7]["at"] < slow.seen[7]["at"], "each at its own pace")
    wait(lambda: u.fates(0)["slow"][1] == u.fates(0)["signals"][1] == 8)
    ok(u.left() == names, "everything is kept for the one that is dead")
    ok(u.fates() == {"signals": (8, 8, 0, 0, 0, 0), "slow": (8, 8, 0, 0, 0, 0), "dead": (8, 0, 8, 0, 0, 0)},
       "the ledger", u.fates())
    u.stop(signal.SIGKILL)
    u.start()
    u.says("read again", 0.5)
    ok(len(e.seen) == 8 and len(slow.seen) == 8, "nothing comes twice after a restart")
    u.blocks = blocks % ("no", slow.server_address[1])
    u.write_conf()
    u.proc.send_signal(signal.SIGHUP)
    ok(u.empty(), "once it is not required, they go", u.text())
    ok(u.fates()["dead"] == (8, 0, 0, 8, 0, 0), "and count as purged for it", u.fates())
    u.blocks = ""
    u.put("event 9\n")
    u.write_conf()
    u.proc.send_signal(signal.SIGHUP)
    ok(u.empty() and u.fates() == {"signals": (9, 9, 0, 0, 0, 0)}, "sinks that are taken away", u.fates())
    ok(u.says("warning: sink dead is no longer configured: "), "said", u.text())
    u.stop()
    e.close()
    slow.close()


def archives(u, name):
    path = os.path.join(u.dir, "archive")
    texts = []
    for n in sorted(os.listdir(path)):
        if n.startswith(name + "-"):
            with open(os.path.join(path, n), "rb") as f:
                data = f.read()
            texts.append((gzip.decompress(data) if n.endswith(".gz") else data).decode())
    return texts


def t_archives():
    blocks = """
<sink keep>
  type file
  directory @DIR@/archive
  compress %s
  max-size 64k
  keep %s
</sink>
"""
    for compress, keep in (("none", "unlimited"), ("gzip", "unlimited"), ("none", "2")):
        u = Uploader("", key=None, start=False, interval="60s", blocks=blocks % (compress, keep))
        sent = []
        for n in range(12):
            noise = "".join("%s\n" % os.urandom(400).hex() for _ in range(30))
            sent.append(events(noise))
            u.put(sent[-1], raw=True)
        u.start()
        ok(u.empty(), "%s, keep %s: all is taken" % (compress, keep), u.text())
        got = archives(u, "keep")
        if keep == "unlimited":
            ok("".join(got) == "".join(sent), "byte for byte, in %d files" % len(got))
            ok(len(got) >= 3, "which rotate")
        else:
            ok(len(got) == 3 and "".join(sent).endswith("".join(got)), "two that are closed are kept", len(got))
        ok(u.fates() == {"keep": (360, 360, 0, 0, 0, 0)}, "the ledger", u.fates())
        u.stop()


def t_archive_killed():
    """kill -9 at any time: an archive has every event once, whole."""
    u = Uploader("", key=None, start=False, interval="60s", verbose=False, blocks="""
<sink keep>
  type file
  directory @DIR@/archive
  max-size 64k
</sink>
<sink plain>
  type file
  directory @DIR@/archive
  compress none
</sink>
""")
    rounds = n = 0
    while (n < 120 or u.left()) and rounds < 100:
        rounds += 1
        for _ in range(20 if n < 120 else 0):  # not all at once: on a fast disk they would be gone
            u.put("".join("event %d-%d %s\n" % (n, m, "x" * 200) for m in range(40)))
            n += 1
        before = len(u.left())
        u.start()
        wait(lambda: len(u.left()) < before - rounds % 5, 5)
        time.sleep((rounds * 7 % 10) / 1000)
        u.stop(signal.SIGKILL)
        sums = u.fates().values()
        if not all(f[0] == sum(f[1:]) for f in sums):
            ok(False, "round %d: the ledger adds up" % rounds, u.fates())
    u.start()
    ok(u.empty(), "killed %d times" % rounds, u.text())
    want = {"event %d-%d %s" % (n, m, "x" * 200) for n in range(120) for m in range(40)}
    for name in ("keep", "plain"):
        got = [words(line) for line in "".join(archives(u, name)).splitlines()]
        ok(len(got) == len(want) and set(got) == want, "%s: each event once" % name, len(got))
    ok(set(u.fates().values()) == {(4800, 4800, 0, 0, 0, 0)}, "the ledger", u.fates())
    ok(rounds > 3, "often enough", rounds)
    u.stop()


def t_archive_trouble():
    """An archive that somebody moved away, a directory that can't be written."""
    u = Uploader("", key=None, start=False, interval="60s", blocks="""
<sink keep>
  type file
  directory @DIR@/archive
  compress none
</sink>
""")
    path = os.path.join(u.dir, "archive")
    with open(path, "w") as f:
        f.write("in the way\n")
    name = u.put("event 1\n")
    u.start()
    ok(u.says("%s kept: sink keep: .*next try in" % name), "no directory: said", u.text())
    os.unlink(path)
    ok(u.empty(), "and tried again", u.text())
    for n in os.listdir(path):
        os.rename(os.path.join(path, n), os.path.join(u.dir, "moved"))
    u.put("event 2\n")
    ok(u.empty(), "after it was moved away a new one is begun", u.text())
    ok([words(t) for t in archives(u, "keep")] == ["event 2\n"] and
       words(open(os.path.join(u.dir, "moved")).read()) == "event 1\n", "nothing is lost")
    for number, (what, make) in enumerate((("a FIFO", os.mkfifo), ("a directory", os.mkdir),
                                           ("a link", lambda p: os.symlink("/etc/passwd", p)))):
        for n in os.listdir(path):
            if os.path.isfile(os.path.join(path, n)):
                os.unlink(os.path.join(path, n))
                make(os.path.join(path, n))
        u.put("again %d\n" % number)
        ok(u.empty(), "%s in its place: a new one is begun" % what, u.text())
    u.stop()


def t_hanging():
    """Archives on a file system that does not answer: the others go on, and a stop is a stop."""
    faults = os.path.abspath(os.path.join(BUILD, "t/crash/faults.so"))
    if not os.path.exists(faults):
        ok(True, "a file system that hangs # SKIP no faults.so: built with a sanitizer")
        return
    e = Endpoint()
    u = Uploader(e.url(), start=False, blocks="".join(
        "<sink far%d>\n  type file\n  directory @DIR@/nfs/%d\n  compress none\n</sink>\n" % (i, i) for i in range(8)))
    nfs, flag = os.path.join(u.dir, "nfs"), os.path.join(u.dir, "hangs")
    for i in range(8):
        os.makedirs(os.path.join(nfs, str(i)))
    open(flag, "w").close()
    u.env.update(LD_PRELOAD=faults, FAULT_DIR=os.path.realpath(nfs), FAULT_OPS="sync", FAULT_ERRNO="HANG",
                 FAULT_ONE_IN="1", FAULT_WHILE=flag)
    u.start()
    for i in range(20):
        u.put("a%d\n" % i)
    ok(wait(lambda: len(e.seen) == 20), "eight archives hang: the endpoint gets all", (len(e.seen), u.text()))
    ok(wait(lambda: u.fates(0)["signals"][:3] == (20, 20, 0)), "and it counts", u.fates(0))
    u.proc.send_signal(signal.SIGTERM)
    ok(u.proc.wait(120) == 0 and "does not answer: ended without it" in u.text(), "a stop does not wait for them", u.text())
    os.unlink(flag)
    u.start()
    ok(u.empty() and set(u.fates().values()) == {(20, 20, 0, 0, 0, 0)}, "later all is archived", u.fates())
    ok(all(len(t.splitlines()) == 20 for i in range(8) for t in [open(os.path.join(nfs, str(i), n)).read() for n in
                                                                   os.listdir(os.path.join(nfs, str(i)))]), "each event once")
    ok(len(e.seen) == 20, "nothing is sent twice")
    u.stop()
    e.close()


def t_limits():
    """ulimit: what can't be had is an error that passes, and no end."""
    rows = (  # what is limited, to how much, what is said
        ("descriptors", resource.RLIMIT_NOFILE, 20, "Too many open files"),
        ("size of files", resource.RLIMIT_FSIZE, 1 << 20, None),
    )
    for what, limit, value, said in rows:
        e = Endpoint()
        u = Uploader(e.url(), extra="  uploads 16\n", start=False)
        for i in range(30):
            u.put("a%d\n" % i)
        old = resource.getrlimit(limit)
        with open(u.log, "ab") as log:
            u.proc = subprocess.Popen(
                [PROGRAM, "-f", "-c", u.conf], stderr=log, stdin=subprocess.DEVNULL,
                preexec_fn=lambda: resource.setrlimit(limit, (value, old[1])))
        if said:
            ok(u.says(said), "%s: it says so" % what, u.text())
            resource.prlimit(u.proc.pid, limit, old)
            u.proc.send_signal(signal.SIGUSR1)
        ok(u.empty(), "%s: all is sent" % what, u.text())
        ok(u.fates() == {"signals": (30, 30, 0, 0, 0, 0)}, "%s: it adds up" % what, u.fates())
        ok(u.stop() == 0, "%s: it ends well" % what, u.text())
        e.close()


def t_age():
    """What the endpoint would refuse for its age is not sent to it; an archive has it; people are warned."""
    e = Endpoint()
    blocks = "<sink keep>\n type file\n directory @DIR@/archive\n compress none\n</sink>\n"
    u = Uploader(e.url(), start=False, blocks=blocks)
    u.put(event("old", 86500) + event("young", 86300) + event("older", 90000), raw=True)
    u.start()
    ok(u.empty(), "taken", u.text())
    ok(e.texts() == ["young\n"], "only what is young enough is sent", e.texts())
    ok(u.says("2 events older than max-event-age, not sent to signals"), "said", u.text())
    ok(u.fates() == {"signals": (3, 1, 0, 0, 0, 2), "keep": (3, 3, 0, 0, 0, 0)}, "and counted", u.fates())
    ok(words(archives(u, "keep")[0]) == "old\nyoung\nolder\n", "the archive has all")
    u.stop()
    e.close()
    e = Endpoint(usual=answer(503, ""))
    u = Uploader(e.url(), start=False, extra="  max-event-age never\n")
    u.put(event("old", 19 * 3600), raw=True)
    u.start()
    ok(u.says("sink signals: the oldest event that waits is older than 18 hours"), "a warning", u.text())
    u.put(event("older", 24 * 3600), raw=True)
    ok(u.says("sink signals: the oldest event that waits is older than 23 hours"), "and the last", u.text())
    u.says("(?s)Discovered 1 file.*Discovered 2 files", 3)
    ok(u.text().count("older than") == 2, "each once", u.text())
    u.stop()
    e.close()


def t_vanished():
    """A segment that somebody takes away is named; nothing else is held up."""
    e = Endpoint(usual=answer(503, ""))
    u = Uploader(e.url(), start=False, interval="1s")
    name = u.put("event 1\nevent 2\n")
    u.start()
    ok(wait(lambda: e.seen), "it is on its way")
    u.stop(signal.SIGKILL)
    os.unlink(os.path.join(u.events, name))
    e.usual = taken
    u.start()
    ok(u.says("error: .*%s has vanished with 2 events" % name), "named", u.text())
    u.put("event 3\n")
    ok(u.empty() and e.texts()[-1] == "event 3\n", "others go on", u.text())
    u.says("(?s)transferred 0 files.*transferred 0 files")
    ok(u.text().count("has vanished") == 1, "said once", u.text())
    ok(u.fates(1) == {"signals": (3, 1, 0, 0, 0, 0)}, "the ledger does not add up", u.fates(1))
    u.put("event 1\nevent 2\n", name=name)
    ok(u.empty(), "until it is back", u.text())
    ok(u.fates() == {"signals": (3, 3, 0, 0, 0, 0)}, "then it does", u.fates())
    u.stop()
    e.close()


def t_parallel():
    """Several uploads at once, and no more than that."""
    busy, most = [0], [0]
    lock = threading.Lock()

    def act(h):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        wait(lambda: most[0] >= 3, 30)
        time.sleep(0.2)
        with lock:
            busy[0] -= 1
        taken(h)
    e = Endpoint(usual=act)
    u = Uploader(e.url(), start=False, extra="  uploads 3\n")
    for n in range(12):
        u.put()
    u.start()
    ok(u.empty() and most[0] == 3, "three at once: %d" % most[0], u.text())
    u.stop()
    e.close()
    e = Endpoint(usual=answer(500, ""))
    u = Uploader(e.url(), start=False)
    for n in range(12):
        u.put()
    u.start()
    time.sleep(2)
    ok(len(e.seen) <= 12, "a sink that fails is asked with one: %d requests" % len(e.seen))
    u.stop()
    e.close()


def t_no_names():
    """A name that leads nowhere, a date in Retry-After."""
    u = Uploader("https://no-such-host.invalid/")
    name = u.put()
    ok(u.says("%s kept: no-such-host.invalid: .*[Rr]esolv.*next try in" % name), "no such name", u.text())
    u.stop()

    def later(h):
        when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
        error(429, "wait", [("Retry-After", when)])(h)
    e = Endpoint(script=[later])
    u = Uploader(e.url(), start=False)
    u.put()
    u.start()
    ok(u.says("next try in (100|[6-9][0-9]) s"), "Retry-After: a date", u.text())
    u.proc.send_signal(signal.SIGHUP)
    ok(u.empty(), "a reload does not wait for it", u.text())
    u.stop()
    e.close()


def t_disk_full():
    """With not a byte left in the spool what has been taken is written down, and makes room."""
    e = Endpoint(usual=answer(503, ""))
    u = Uploader(e.url(), start=False, verbose=False, extra="  min-free-space 0\n")
    shutil.rmtree(u.spool)
    os.mkdir(u.spool)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", u.spool],
                      capture_output=True).returncode != 0:
        ok(True, "# SKIP nothing can be mounted here")
        return
    try:
        os.makedirs(u.open)
        u.start()
        ok(u.says("Discovered 0 files"), "at work", u.text())
        n = 0
        try:
            while True:
                u.put("".join("event %d-%d\n" % (n, m) for m in range(100)))
                n += 1
        except OSError:
            pass
        fill = os.open(os.path.join(u.spool, "putting"), os.O_WRONLY | os.O_APPEND)
        try:
            while os.write(fill, b"x" * 512):
                pass
        except OSError:
            pass
        os.close(fill)
        ok(wait(lambda: len(e.seen) > 2), "the disk is full with %d segments" % n, u.text())
        e.usual = taken
        ok(u.empty(), "all of them go", u.text())
        want = {"event %d-%d" % (k, m) for k in range(n) for m in range(100)}
        ok(set("".join(e.texts()).split("\n")) >= want, "nothing is missing")
        ok(u.fates() == {"signals": (100 * n, 100 * n, 0, 0, 0, 0)}, "the ledger", u.fates())
        u.stop()
    finally:
        u.stop(signal.SIGKILL)
        subprocess.run(["umount", "-l", u.spool], capture_output=True)
    e.close()


def t_storm():
    """Everything at once: kill -9, answers of all kinds, torn lines, three sinks. Nothing is lost."""
    chance = random.Random(7)
    html = answer(200, "<html>")  # good enough for type http
    acts = [taken, taken, taken, answer(500, ""), error(429, "slow"), reset, half_answer, html, answer(413, "")]
    accepted = [set(), set()]

    def act(n, good):
        def do(h):
            text = h.server.seen[-1]["text"]
            how = chance.choice(acts)
            if how in (taken, html) and "poison" in text:
                how = error(400, "no")
            if how is taken or (how is html and n == 1):
                with h.server.lock:
                    accepted[n] |= set(re.findall(r'"subject":"([^"]*)"', text))
                how = good if how is taken else how
            how(h)
        return do
    e, other = Endpoint(usual=act(0, taken)), Endpoint(usual=act(1, answer(200, "")))
    u = Uploader(e.url(), start=False, interval="1s", verbose=False, blocks="""
<sink other>
  type http
  url http://127.0.0.1:%d/
</sink>
<sink keep>
  type file
  directory @DIR@/archive
  max-size 64k
</sink>
""" % other.server_address[1])
    want, bad = set(), set()
    for n in range(60):
        names = ["%s-%d-%d" % ("poison" if chance.random() < 0.01 else "event", n, m) for m in range(20)]
        text = events("".join(name + "\n" for name in names))
        if n % 7 == 0:
            text += event("torn-%d" % n)[:chance.randrange(1, 200)]
        bad |= {name for name in names if name[0] == "p"}
        want |= set(names)
        u.put(text, raw=True)
    broken = []
    for n in range(25):
        u.start()
        wait(lambda: e.seen)
        time.sleep(chance.random() * 0.3)
        u.stop(signal.SIGKILL)
        broken += [f for f in u.fates(0).values() if f[0] != sum(f[1:])]
    ok(not broken, "killed 25 times, the ledger adds up each time", broken)
    acts[:] = [taken]
    u.start()
    ok(u.empty(), "when all is well all is taken", u.text())
    kept = "".join(u.rejected())
    for n, name in enumerate(("signals", "other")):
        # A 413 may have met an event that was alone.
        lost = {w for w in want - accepted[n] if '"%s"' % w not in kept}
        ok(not lost, "%s: nothing is missing" % name, sorted(lost))
    ok(all('"%s"' % name in kept for name in bad), "what was refused is kept: %d" % len(bad))
    got = [words(line) for line in "".join(archives(u, "keep")).splitlines()]
    ok(len(got) == len(want) and set(got) == want, "the archive has each once", len(got))
    ok(all(f[0] == 1209 and f[2] == f[3] == f[5] == 0 for f in u.fates().values()), "the ledger", u.fates())
    u.stop()
    e.close()
    other.close()


def main():
    global top
    if not os.access(PROGRAM, os.X_OK):
        print("1..0 # SKIP %s is not built" % PROGRAM)
        return 0
    top = tempfile.mkdtemp(prefix="it-uploader.")
    os.chmod(top, 0o700)
    # This one takes its time: it runs beside the others.
    stalled = Endpoint(script=[hang])
    stuck = Uploader(stalled.url(), interval="60s")
    stuck.put()
    only = sys.argv[1:]
    try:
        for name, test in sorted(globals().items()):
            if not name.startswith("t_") or (only and name not in only):
                continue
            start = time.monotonic()
            try:
                test()
            except Exception:
                ok(False, name, traceback.format_exc())
            print("# %s: %.1f s" % (name, time.monotonic() - start))
        if not only:
            print("# an endpoint that never answers")
            ok(stuck.says("kept: 127.0.0.1:\\d+: .*next try in"),
               "a stalled transfer is given up", stuck.text())
            ok(stuck.empty(), "and tried again", stuck.text())
            ok(29 <= stalled.seen[1]["at"] - stalled.seen[0]["at"] < 90, "after some 30 s",
               stalled.seen[1]["at"] - stalled.seen[0]["at"])
    finally:
        stuck.stop()
        for u in live:  # those of tests that failed half way
            u.stop(signal.SIGKILL)
    stalled.close()
    leak = [p for p in everything if os.path.exists(p) and KEY in open(p, errors="replace").read().lower()]
    ok(not leak, "the api-key is in no log", leak)
    shutil.rmtree(top)
    return plan()


if __name__ == "__main__":
    sys.exit(main())
