#!/usr/bin/env python3
"""confirm-batches: what became of a batch is asked for, and acted on; also after kill -9.

Against an endpoint that says whatever a test wants, and against signalpost-collector.
TAP on standard output.
"""
import gzip
import http.server
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap  # noqa: E402
from tap import SLOW, free_port, plan, wait  # noqa: E402

BUILD = os.environ.get("builddir", ".")
UPLOADER = os.path.join(BUILD, "signalpost-uploader")
COLLECTOR = os.path.join(BUILD, "signalpost-collector")
CTL = os.path.join(BUILD, "signalpost")
KEY = "0123456789abcdef0123456789abcdef01234567"
LINE = ('{"msys":{"message_event":{"type":"reception","event_id":"%d","timestamp":"%d",'
        '"message_id":"000040d4716a5b1c9e02","rcpt_to":"anna@example.net","recv_method":"esmtp",'
        '"subaccount_id":0}}}\n')
POST, STATUS, FAILURES = "/api/v1/ingest/events", "/api/v1/events/ingest", "/api/v1/ingest/events/failures/"

top = tempfile.mkdtemp(prefix="it-confirm-")
live = []


def ok(good, what, *more):
    return tap.ok(good, "%s: %s" % (threading.current_thread().name, what), *more)


def line(number):
    return LINE % (number, time.time())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body, headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        s = self.server
        with s.lock:
            batch = "b%d-%08x" % (len(s.posts) + 1, s.server_address[1])
            s.posts.append((batch, gzip.decompress(body).decode()))
        self.reply(200, {"results": {"id": batch}})

    def do_GET(self):
        s = self.server
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        with s.lock:
            s.gets.append((url.path, query, dict(self.headers)))
            if url.path == STATUS:
                if s.status_errors:
                    status = s.status_errors.pop(0)
                    self.reply(status, b"<html>no</html>")
                    return
                rows = []
                for batch in query["batch_ids"].split(","):
                    for row in s.says(batch) or []:
                        rows.append(dict({"batch_id": batch, "event_id": "x"}, **row))
                self.reply(200, {"results": rows, "total_count": len(rows), "links": {}})
            elif url.path.startswith(FAILURES):
                self.reply(*s.failures(url.path[len(FAILURES):]))
            else:
                self.reply(404, {"errors": [{"message": "what?"}]})


class Endpoint(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.lock = threading.RLock()
        self.posts, self.gets, self.status_errors = [], [], []
        self.says = lambda batch: None
        self.failures = lambda batch: (404, {"errors": []})
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def url(self):
        return "http://127.0.0.1:%d%s" % (self.server_address[1], POST)

    def asked(self, batch=""):
        with self.lock:
            return [g for g in self.gets if g[0] == STATUS and batch in g[1].get("batch_ids", "")]

    def close(self):
        self.shutdown()
        self.server_close()


class Uploader:
    def __init__(self, url, window="1h", extra="", signals=True):
        self.dir = tempfile.mkdtemp(dir=top)
        self.spool = os.path.join(self.dir, "spool")
        self.events = os.path.join(self.spool, "events")
        os.makedirs(os.path.join(self.events, "open"), 0o750)
        self.conf, self.log = os.path.join(self.dir, "conf"), os.path.join(self.dir, "log")
        self.next = int(time.time()) * 1000000
        self.proc = None
        live.append(self)
        with open(self.conf, "w") as f:
            if signals:
                f.write("<signals>\n  api-key %s\n  upload-url %s\n  upload-interval 1s\n"
                        "  confirm-batches yes\n  confirm-window %s\n  log-verbose yes\n</signals>\n" %
                        (KEY, url, window))
            f.write("<spool>\n  directory %s\n</spool>\n<milter>\n  user \"\"\n</milter>\n%s" %
                    (self.spool, extra))

    def start(self):
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([UPLOADER, "-f", "-c", self.conf], stderr=log,
                                         stdin=subprocess.DEVNULL)
        return self

    def stop(self, how=signal.SIGTERM):
        if self.proc is None:
            return None
        self.proc.send_signal(how)
        code = self.proc.wait(120 * SLOW)
        self.proc = None
        return code

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def says(self, pattern):
        return wait(lambda: re.search(pattern, self.text()))

    def put(self, text):
        name = "sp1-%016X.json" % self.next
        self.next += 1
        tmp = os.path.join(self.spool, "putting")
        with open(tmp, "w") as f:
            f.write(text)
        os.rename(tmp, os.path.join(self.events, name))
        return name

    def left(self):
        return sorted(n for n in os.listdir(self.events) if n != "open")

    def empty(self):
        return wait(lambda: not self.left())

    def counts(self, sink="signals"):
        db = sqlite3.connect("file:%s?mode=ro" % os.path.join(self.spool, "ledger.db"), uri=True,
                             timeout=30)
        try:
            row = db.execute("SELECT made, uploaded, rejected, expired, purged FROM sink WHERE name = ?",
                             (sink,)).fetchone()
            open_batches = db.execute("SELECT count(*) FROM batch").fetchone()[0]
        finally:
            db.close()
        return dict(zip(("made", "uploaded", "rejected", "expired", "purged"), row), open=open_batches)

    def rejected(self):
        out = {}
        for name in os.listdir(os.path.join(self.spool, "rejected")):
            with open(os.path.join(self.spool, "rejected", name)) as f:
                out[name] = f.read()
        return out


SUCCESS = [{"type": "success", "number_succeeded": 1, "number_failed": 0, "number_duplicates": 0}]
SYSTEM = [{"type": "error", "error_type": "system", "retryable": True}]


def error(kind, **more):
    return [dict({"type": "error", "error_type": kind, "retryable": False}, **more)]


def t_success():
    e = Endpoint()
    u = Uploader(e.url()).start()
    name = u.put(line(1) + line(2))
    ok(wait(lambda: e.posts and e.asked(e.posts[0][0])), "a batch is asked for", u.text())
    ok(u.left() == [name], "while nothing is known the segment stays")
    c = u.counts()
    ok(c["made"] == 2 and c["uploaded"] == 2 and c["open"] == 1, "and counts as uploaded", c)
    path, query, headers = e.asked()[0]
    ok(query["batch_ids"] == e.posts[0][0] and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", query["from"]) and
       "to" in query and headers["Authorization"] == KEY and "Content-Type" not in headers,
       "the question", query, headers)
    e.says = lambda batch: SUCCESS
    ok(u.empty() and len(e.posts) == 1, "success: the segment goes", u.text())
    ok(u.counts()["open"] == 0 and not u.rejected(), "and nothing is open", u.counts())
    u.put(line(3))
    e.says = lambda batch: error("duplicate_batch", number_duplicates=1)
    ok(u.empty() and u.counts()["uploaded"] == 3 and len(e.posts) == 2, "a duplicate counts as success")
    ok(KEY not in u.text(), "the key is in no log")
    ok(u.stop() == 0, "it ends")
    e.close()


def t_validation():
    e = Endpoint()
    bad = line(2).rstrip("\n")
    told = json.dumps({"line": 2, "reason": "Missing rcpt_hash \x1b[1m", "event": bad}) + "\n"
    e.says = lambda batch: error("validation", number_succeeded=2, number_failed=1)
    for n, body in enumerate((gzip.compress(told.encode()), told.encode())):
        e.failures = lambda batch: (200, body)
        u = Uploader(e.url()).start()
        name = u.put(line(1) + bad + "\n" + line(3))
        ok(u.empty(), "validation: the segment goes (%s)" % ("gzip", "plain")[n], u.text())
        kept = u.rejected()
        stem = name[:-5] + ".signals.0.json"
        ok(kept.get(stem) == bad + "\n", "the refused line is in rejected/", kept)
        why = json.loads(kept.get(stem + ".reason", "{}"))
        ok(why.get("sink") == "signals" and why.get("events") == 1 and why.get("segment") == name and
           why.get("reason") == "failed validation: Missing rcpt_hash ?[1m" and
           why.get("batch") == e.posts[-1][0] and why.get("details") == ["line 2: Missing rcpt_hash ?[1m"],
           "with the reason", why)
        c = u.counts()
        ok(c["made"] == 3 and c["uploaded"] == 2 and c["rejected"] == 1 and c["open"] == 0,
           "uploaded has become rejected", c)
        ok(subprocess.run([CTL, "replay", "-c", u.conf, "--all"], capture_output=True).returncode == 0 and
           wait(lambda: e.posts[-1][1] == bad + "\n"), "and it can be sent again", u.text())
        u.stop()
    e.close()


def t_which_failed():
    """What the endpoint says of the refused lines is not trusted: they are taken from the segment."""
    one, two, last = line(1), line(2), line(3)
    three = one + two + last
    page = "<html><body>\n<h1>It works</h1>\n</body></html>\n"
    rows = (  # answer, number_failed, lines that are kept, events that count, what the reason says
        ("gone, some", (404, {"errors": []}), 2, three, 2, "which of these"),
        ("gone, all", (410, {"errors": []}), 3, three, 3, "failed validation"),
        ("HTML", (200, page.encode()), 2, three, 2, "which of these"),
        ("twice the same", (200, (two * 20).encode()), 1, two, 1, "failed validation"),
        ("lines that were never sent", (200, (line(77) + two).encode()), 1, two, 1, "failed validation"),
        ("fewer than it counts", (200, two.encode()), 2, three, 2, "which of these"),
        ("more than it counts", (200, (two + last).encode()), 1, two + last, 2, "failed validation"),
        ("a line's number only", (200, b'{"line":2,"reason":"no"}\n'), 1, three, 1, "which of these"),
        ("nothing", (200, b""), 1, three, 1, "which of these"),
    )
    for what, answer, failed, kept, events, reason in rows:
        e = Endpoint()
        e.says = lambda batch, n=failed: error("validation", number_failed=n)
        e.failures = lambda batch, a=answer: a
        u = Uploader(e.url()).start()
        name = u.put(three)
        ok(u.empty(), "%s: the segment goes" % what, u.text())
        c, r = u.counts(), u.rejected()
        stem = name[:-5] + ".signals.0.json"
        ok(r.get(stem) == kept and c["rejected"] == events and c["uploaded"] == 3 - events,
           "%s: what is kept and counted" % what, c, r)
        ok(reason in json.loads(r.get(stem + ".reason", "{}")).get("reason", ""), "%s: the reason" % what, r)
        u.stop()
        e.close()


def t_again():
    """A system error: the batch is sent again, from the segment, which has stayed."""
    e = Endpoint()
    e.says = lambda batch: SYSTEM if batch.startswith(("b1-", "b2-")) else SUCCESS
    u = Uploader(e.url()).start()
    u.put(line(1) + line(2))
    ok(u.empty(), "sent until it succeeds", u.text())
    ok([p[1] for p in e.posts] == [e.posts[0][1]] * 3, "the same events each time", e.posts)
    c = u.counts()
    ok(c["made"] == 2 and c["uploaded"] == 2 and c["open"] == 0, "and counted once", c)
    e.says = lambda batch: error("decompress")
    n = len(e.posts)
    name = u.put(line(3))
    ok(u.empty() and len(e.posts) == n + 2, "decompress: resent once", u.text())
    kept = u.rejected()
    ok(kept.get(name[:-5] + ".signals.0.json", "").count("\n") == 1 and u.counts()["rejected"] == 1,
       "then it is rejected", kept)
    e.says = lambda batch: error("something new")
    n = len(e.posts)
    u.put(line(4))
    ok(u.empty() and len(e.posts) == n + 1 and u.counts()["rejected"] == 2,
       "an error that is not known and not retryable: rejected", u.text())
    u.stop()
    e.close()


def status(u, *how):
    return subprocess.run([os.path.join(BUILD, "signalpost"), "status", "-c", u.conf, *how],
                          capture_output=True, text=True).stdout


def t_window():
    e = Endpoint()
    u = Uploader(e.url(), window="3s").start()
    u.put(line(1))
    ok(u.empty() and u.says("counts as uploaded, unconfirmed"), "no word in time: said", u.text())
    ok(u.counts()["uploaded"] == 1 and len(e.posts) == 1, "and uploaded it stays", u.counts())
    u.stop()
    u = Uploader(e.url(), window="60s").start()
    u.put(line(3))
    ok(wait(lambda: "uploaded, and not confirmed yet: 1 events in 1 batches" in status(u)),
       "until then status says why its file is there", status(u))
    u.stop()
    e.close()
    e = Endpoint()
    e.says = lambda batch: SYSTEM
    u = Uploader(e.url(), window="2s").start()
    name = u.put(line(2))
    ok(u.empty() and name[:-5] + ".signals.0.json" in u.rejected() and u.counts()["rejected"] == 1,
       "still an error then: the events are kept in rejected/", u.text())
    u.stop()
    e.close()


def t_no_second_word():
    """An error, sent again, and then no word of it: the error is the last that is known."""
    e = Endpoint()
    e.says = lambda batch: SYSTEM if batch.startswith("b1-") else None
    u = Uploader(e.url(), window="6s").start()
    name = u.put(line(1))
    ok(u.empty() and u.counts()["rejected"] == 1 and u.counts()["uploaded"] == 0,
       "no word after an error: not counted as uploaded", u.counts(), u.text())
    why = json.loads(u.rejected().get(name[:-5] + ".signals.0.json.reason", "{}"))
    ok("sent again" in why.get("reason", "") or why.get("reason") == "system error", "with the reason", why)
    u.stop()
    e.close()


def t_down_for_long():
    """The window ended while the uploader was not running: it asks before it gives up."""
    e = Endpoint()
    u = Uploader(e.url(), window="4s").start()
    u.put(line(1) + line(2))
    ok(wait(lambda: e.posts and u.counts()["open"] == 1), "a batch is open", u.text())
    u.stop(signal.SIGKILL)
    sent = sqlite3.connect(os.path.join(u.spool, "ledger.db"), timeout=30)
    sent.execute("UPDATE batch SET sent = sent - 100000")
    sent.commit()
    sent.close()
    e.says = lambda batch: error("validation", number_failed=1)
    e.failures = lambda batch: (200, line(2).encode())
    u.start()
    ok(u.empty() and u.counts()["rejected"] == 1 and u.counts()["uploaded"] == 1,
       "a window that is long over: asked once more", u.counts(), u.text())
    u.stop()
    e.close()


def t_trouble():
    """An endpoint that does not answer questions holds nothing up but the segments."""
    e = Endpoint()
    e.status_errors = [404, 500, 429, 200]  # the last one with HTML
    e.says = lambda batch: SUCCESS
    u = Uploader(e.url()).start()
    for n in range(3):
        u.put(line(n))
    ok(u.empty(), "asked until there is an answer", u.text())
    ok(u.text().count("can't ask what became of batches") == 1 and
       u.says("answers about batches again"), "said once", u.text())
    ok('HTTP 404: this endpoint may not be able to say; "confirm-batches no"' in u.text(), "with what to do", u.text())
    u.stop()
    e.close()


def t_groups():
    e = Endpoint()
    e.says = lambda batch: SUCCESS
    u = Uploader(e.url())
    for n in range(120):
        u.put(line(n))
    u.start()
    ok(u.empty(), "120 batches", u.text())
    ok(max(len(q[1]["batch_ids"].split(",")) for q in e.asked()) in range(2, 51),
       "are asked for in groups of 50 at most", [len(q[1]["batch_ids"].split(",")) for q in e.asked()])
    ok(len(e.posts) == 120 and u.counts()["uploaded"] == 120, "each sent once", u.counts())
    u.stop()
    e.close()


def t_killed():
    """kill -9 while batches are open, and before the first question."""
    e = Endpoint()
    u = Uploader(e.url()).start()
    u.put(line(1) + line(2))
    ok(wait(lambda: e.posts and u.counts()["open"] == 1),
       "a batch is open", u.text())
    u.stop(signal.SIGKILL)
    u.start()
    ok(wait(lambda: len(e.asked()) > 0), "asked for after kill -9", u.text())
    ok(len(e.posts) == 1 and len(u.left()) == 1, "and not sent again", e.posts)
    u.stop(signal.SIGKILL)
    e.says = lambda batch: error("validation", number_failed=1)
    e.failures = lambda batch: (200, line(2).encode())
    for n in range(6):
        u.start()
        wait(lambda: not u.left(), 0.3 * n)
        u.stop(signal.SIGKILL)
    u.start()
    ok(u.empty(), "killed again and again: it comes to its end", u.text())
    c = u.counts()
    ok(c["made"] == 2 and c["uploaded"] == 1 and c["rejected"] == 1 and c["open"] == 0,
       "and is counted once", c)
    ok(len(u.rejected()) == 2 and len(e.posts) == 1, "kept once", u.rejected())
    u.stop()
    e.close()


def t_off():
    """Without confirm-batches, what was open is settled as it is."""
    e = Endpoint()
    u = Uploader(e.url()).start()
    u.put(line(1))
    ok(wait(lambda: e.asked()), "open", u.text())
    with open(u.conf) as f:
        text = f.read()
    with open(u.conf, "w") as f:
        f.write(text.replace("confirm-batches yes", "confirm-batches no"))
    u.proc.send_signal(signal.SIGHUP)
    ok(u.empty() and u.counts()["open"] == 0 and u.counts()["uploaded"] == 1, "a reload settles it", u.text())
    u.put(line(2))
    n = len(e.asked())
    ok(u.empty() and len(e.posts) == 2 and len(e.asked()) == n, "and nothing is asked any more")
    u.stop()
    e.close()


def t_sink():
    """The same in a <sink>, beside another that asks nothing."""
    e, other = Endpoint(), Endpoint()
    extra = ("<sink second>\n  type sparkpost\n  url %s\n  api-key %s\n  confirm-batches yes\n</sink>\n"
             "<sink third>\n  type sparkpost\n  url %s\n  api-key %s\n</sink>\n") % (
                 e.url(), KEY, other.url(), KEY)
    u = Uploader("", signals=False, extra=extra).start()
    name = u.put(line(1) + line(2))
    ok(wait(lambda: e.asked() and other.posts), "both have it", u.text())
    ok(u.left() == [name] and not other.asked(), "the segment waits for the one that asks")
    e.says = lambda batch: error("validation", number_failed=1)
    e.failures = lambda batch: (200, line(2).encode())
    ok(wait(lambda: u.counts("second")["rejected"] == 1), "refused there", u.text())
    c, d = u.counts("second"), u.counts("third")
    ok(c["uploaded"] == 1 and d["uploaded"] == 2 and d["rejected"] == 0, "and only there", c, d)
    u.stop()
    e.close()
    other.close()


def t_collector():
    port = free_port()
    where = os.path.join(top, "collector")
    os.mkdir(where)
    conf = os.path.join(where, "conf")
    with open(conf, "w") as f:
        f.write("<collector>\n  listen 127.0.0.1:%d\n  database %s/c.db\n  user \"\"\n  api-key %s\n</collector>\n" %
                (port, where, KEY))
    with open(os.path.join(where, "log"), "w") as log:
        c = subprocess.Popen([COLLECTOR, "-f", "-c", conf], stderr=log, stdout=log)
    try:
        u = Uploader("http://127.0.0.1:%d%s" % (port, POST)).start()
        for n in range(5):
            u.put(line(n) + line(100 + n))
        ok(u.empty(), "signalpost-collector confirms", u.text())
        ok(u.counts()["uploaded"] == 10 and u.counts()["open"] == 0 and not u.rejected() and
           "unconfirmed" not in u.text(), "all of it", u.counts(), u.text())
        u.put(line(0) + line(100))
        ok(u.empty() and u.counts()["uploaded"] == 12 and not u.rejected(), "duplicates too", u.counts())
        u.stop()
    finally:
        c.terminate()
        c.wait()


def guarded(test):
    try:
        test()
    except Exception:
        ok(False, "comes to its end", traceback.format_exc())


try:
    # Most of each is waiting.
    threads = [threading.Thread(target=guarded, args=(t,), name=t.__name__) for t in (
        t_success, t_validation, t_which_failed, t_again, t_window, t_no_second_word, t_down_for_long, t_trouble, t_groups, t_killed, t_off, t_sink,
        t_collector)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
finally:
    for u in live:
        if u.proc:
            u.proc.kill()
            u.proc.wait()
    shutil.rmtree(top, ignore_errors=True)
sys.exit(plan())
