#!/usr/bin/env python3
"""Kills every program again and again under load, and counts what its clients were promised.

    kill.py [--kills N] [--seed N]

Clients send mail through signalpost-milter (over the milter protocol, as an MTA does) and follow
links at signalpost-tracker; what was acknowledged to them is written down. signalpost-uploader posts
to two endpoints that refuse and hang up at random, the first of which is asked afterwards what became
of each batch, and writes archives. Milter, tracker and uploader are
killed (SIGKILL) and started again, N times in all. In the end every acknowledged event must have
come to both endpoints, and once to an archive; what came twice must have the same event_id, and the
ledger must add up.

TAP on standard output. builddir and srcdir as in all tests.
"""
import argparse
import collections
import gzip
import http.client
import http.server
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from tap import free_port, wait  # noqa: E402

BUILD = os.path.abspath(os.environ.get("builddir", "."))
SLOW = float(os.environ.get("SIGNALPOST_TEST_SLOW", "1"))
KEY = "0123456789abcdef0123456789abcdef01234567"

count = failed = 0


def ok(good, what, more=""):
    global count, failed
    count += 1
    print("%sok %d - %s" % ("" if good else "not ", count, what), flush=True)
    if not good:
        failed += 1
        for line in str(more).splitlines()[-12:]:
            print("# " + line)


class Endpoint:
    """Mostly takes what comes; keeps each event that it has said 200 to, or has hung up on behind."""

    def __init__(self, rnd):
        self.events = collections.defaultdict(list)  # event_id -> what it said
        self.lock = threading.Lock()
        self.kind = True
        self.batches = {}  # its name -> how many events
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    mood = rnd.random() if not outer.kind else 1
                if mood < 0.15:
                    return self.answer(rnd.choice((429, 500, 503)), b"{}")
                if mood < 0.25:
                    self.close_connection = True
                    return None
                events = [e for line in gzip.decompress(body).splitlines() if line.strip()
                          for e in json.loads(line)["msys"].values()]
                with outer.lock:
                    for e in events:
                        outer.events[e["event_id"]].append((e["type"], e["message_id"], e["rcpt_to"]))
                    name = "b%d" % (len(outer.batches) + 1)
                    outer.batches[name] = len(events)
                if mood < 0.35:  # taken, and nobody hears of it
                    self.close_connection = True
                    return None
                return self.answer(200, json.dumps({"results": {"id": name}}).encode())

            def do_GET(self):
                """What became of batches; of some nothing is known yet."""
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                rows = []
                with outer.lock:
                    outer.asked += 1
                    mood = rnd.random() if not outer.kind else 1
                    for name in query["batch_ids"][0].split(","):
                        if mood > 0.3 and name in outer.batches:
                            rows.append({"type": "success", "batch_id": name, "event_id": "x",
                                         "number_succeeded": outer.batches[name], "number_failed": 0,
                                         "number_duplicates": 0})
                if mood < 0.15:
                    return self.answer(503, b"{}")
                return self.answer(200, json.dumps({"results": rows, "total_count": len(rows), "links": {}}).encode())

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        http.server.ThreadingHTTPServer.daemon_threads = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *args: None  # a killed uploader hangs up
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/api/v1/ingest/events" % self.server.server_address[1]

    def has(self, kind):
        with self.lock:
            return {said[0][2] for said in self.events.values() if said[0][0] == kind}


class Program:
    def __init__(self, name, top, ready):
        self.name, self.top, self.ready = name, top, ready
        self.log = os.path.join(top, name + ".log")
        self.p = None
        self.kills = 0

    def start(self):
        starts = self.listens()
        with open(self.log, "a") as log:
            self.p = subprocess.Popen([os.path.join(BUILD, "signalpost-" + self.name), "-f", "-c",
                                       os.path.join(self.top, "conf")], stdout=log, stderr=log)
        end = time.time() + 120 * SLOW
        while time.time() < end and self.p.poll() is None:
            if self.ready(self.listens() > starts):
                return
            time.sleep(0.01)
        raise RuntimeError("%s does not start: %s" % (self.name, self.text()[-500:]))

    def listens(self):
        return self.text().count(" listening on ") if os.path.exists(self.log) else 0

    def text(self):
        with open(self.log) as f:
            return f.read()

    def kill(self):
        self.p.kill()
        self.p.wait()
        self.kills += 1
        self.start()

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        return self.p.wait(120 * SLOW)


# ---- the clients ----

class Gone(Exception):
    pass


class Milter:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(60 * SLOW)
        self.s.connect(path)
        self.f = self.s.makefile("rb")
        self.send(b"O", struct.pack("!III", 6, 0x1ff, 0x1fffff))
        self.answer()
        self.send(b"D", b"C{daemon_addr}\x00127.0.0.1\x00{daemon_port}\x0025\x00")
        self.ask(b"C", b"client.example\x00" + b"4" + struct.pack("!H", 4000) + b"127.0.0.1\x00")

    def send(self, command, data=b""):
        self.s.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def answer(self):
        while True:
            head = self.f.read(4)
            if len(head) < 4:
                raise Gone
            packet = self.f.read(struct.unpack("!I", head)[0])
            if packet[:1] not in b"hmi+-2beqlp":
                return packet[:1]

    def ask(self, command, data=b""):
        self.send(command, data)
        return self.answer()

    def message(self, rcpt):
        qid = rcpt.split("@")[0]
        self.send(b"D", b"Mi\x00" + qid.encode() + b"\x00")
        self.ask(b"M", b"<from@example.com>\x00")
        self.ask(b"R", b"<" + rcpt.encode() + b">\x00")
        for name, value in ((b"From", b" a@example.com"), (b"Subject", b" " + qid.encode())):
            self.send(b"L", name + b"\x00" + value + b"\x00")
        self.ask(b"N")
        self.send(b"B", b"hello\r\n")
        return self.ask(b"E") == b"c"


def send_mail(number, path, acked, stop):
    m, i = None, 0
    while not stop.is_set():
        rcpt = "m%dx%d@example.net" % (number, i)
        i += 1
        try:
            m = m or Milter(path)
            if m.message(rcpt):
                acked.append(rcpt)
        except (OSError, Gone):
            m = None
            time.sleep(0.01)


def follow_links(links, port, acked, stop):
    """Each link once; a 302 is the promise."""
    c = None
    for rcpt, link in links:
        if stop.is_set():
            return
        try:
            c = c or http.client.HTTPConnection("127.0.0.1", port, timeout=60 * SLOW)
            c.request("GET", link[link.index("/c/"):])
            r = c.getresponse()
            r.read()
            if r.status == 302:
                acked.append(rcpt)
        except (OSError, http.client.HTTPException):
            c = None
        time.sleep(0.002)


# ---- the run ----

def configure(top, url, copy, port):
    with open(os.path.join(top, "conf"), "w") as f:
        f.write("""host-name mail.example.com
<source 127.0.0.0/8>
    always-allow-relaying yes
</source>
<signals>
    api-key %s
    upload-url %s
    upload-interval 1s
    confirm-batches yes
</signals>
<sink copy>
    type sparkpost
    api-key %s
    url %s
    uploads 3
</sink>
<sink archive>
    type file
    directory %s/archive
    max-size 256k
</sink>
<milter>
    socket unix:%s/m.sock
    user ""
</milter>
<tracker>
    listen 127.0.0.1:%d
    user ""
</tracker>
<spool>
    directory %s/spool
    segment-age 1s
    segment-size 64k
</spool>
<token-keys>
    directory %s/keys
</token-keys>
""" % (KEY, url, KEY, copy, top, top, port, top, top))


def make_links(top, n):
    """One each for n readers."""
    out = []
    for i in range(n):
        rcpt = "r%d@example.net" % i
        r = subprocess.run([os.path.join(BUILD, "t/mklinks"), os.path.join(top, "keys"), "http://127.0.0.1", "c", rcpt,
                            "name", "https://brand.example/%d" % i], capture_output=True, text=True, check=True)
        out.append((rcpt, r.stdout.strip()))
    return out


def left(top):
    return [n for d in ("events", "events/open") for n in os.listdir(os.path.join(top, "spool", d))
            if n.endswith(".json")]


def archived(directory):
    """The ids of the events in all archives."""
    out = []
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        with gzip.open(path) if name.endswith(".gz") else open(path, "rb") as f:
            out += [e["event_id"] for line in f for e in json.loads(line)["msys"].values()]
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=int(os.environ.get("KILL_ROUNDS", 15)))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("KILL_SEED", random.randrange(10**6))))
    opt = parser.parse_args()
    rnd = random.Random(opt.seed)
    print("# seed %d, %d kills" % (opt.seed, opt.kills))
    top = tempfile.mkdtemp(prefix="sp-kill.")
    os.mkdir(os.path.join(top, "spool"))
    os.mkdir(os.path.join(top, "keys"), 0o750)
    endpoint, copy, port = Endpoint(rnd), Endpoint(rnd), free_port()
    sock = os.path.join(top, "m.sock")
    configure(top, endpoint.url, copy.url, port)

    def at_once(listens):
        return True

    # The uploader has no port; it may be killed when it has hardly begun.
    milter, tracker = (Program(name, top, lambda listens: listens) for name in ("milter", "tracker"))
    uploader = Program("uploader", top, at_once)
    milter.start()
    programs = [milter, tracker, uploader]
    links = make_links(top, min(2000, 40 * opt.kills))
    tracker.start()
    uploader.start()
    endpoint.kind = copy.kind = False
    mails, clicks, stop = [], [], threading.Event()
    threads = [threading.Thread(target=send_mail, args=(i, sock, mails, stop)) for i in range(4)]
    threads += [threading.Thread(target=follow_links, args=(links[i::2], port, clicks, stop)) for i in range(2)]
    try:
        for t in threads:
            t.start()
        for _ in range(opt.kills):
            time.sleep(rnd.uniform(0.02, 0.4) * SLOW)
            rnd.choice(programs).kill()
        wait(lambda: len(mails) > opt.kills)
    finally:
        stop.set()
        for t in threads:
            t.join()
    endpoint.kind = copy.kind = True
    ok(milter.stop() == 0 and tracker.stop() == 0, "milter and tracker end well", milter.text() + tracker.text())
    end = time.time() + 240 * SLOW
    while time.time() < end and (left(top) or not set(mails) <= endpoint.has("reception")):
        uploader.p.send_signal(signal.SIGUSR1)  # whatever it waits for has been put right
        time.sleep(0.5)
    ok(uploader.stop() == 0, "the uploader ends well", uploader.text())
    ok(not left(top), "nothing is left in the spool", left(top))
    ok(len(mails) > opt.kills, "%d messages were acknowledged over %d kills" % (len(mails), milter.kills))
    missing = set(mails) - endpoint.has("reception")
    ok(not missing, "the endpoint has a reception of each", sorted(missing)[:5])
    missing = set(clicks) - endpoint.has("click")
    ok(not missing, "%d clicks over %d kills: it has each" % (len(clicks), tracker.kills), sorted(missing)[:5])
    ok(copy.events.keys() == endpoint.events.keys(), "the other endpoint has the same events",
       "%d, %d" % (len(copy.events), len(endpoint.events)))
    kept = archived(os.path.join(top, "archive"))
    ok(sorted(kept) == sorted(endpoint.events), "the archives have each event once",
       "%d lines, %d events, %d at the endpoint" % (len(kept), len(set(kept)), len(endpoint.events)))
    ok(endpoint.asked > 0, "it was asked %d times what became of %d batches" % (endpoint.asked, len(endpoint.batches)))
    twice = [said for said in endpoint.events.values() if len(said) > 1]
    ok(all(len(set(said)) == 1 for said in twice), "%d events came again after %d kills of the uploader, all as they were"
       % (len(twice), uploader.kills), twice[:3])
    told = [said[0] for said in endpoint.events.values() if said[0][0] == "reception"]
    ok(len(set(told)) == len(told), "no event has two ids")
    r = subprocess.run([os.path.join(BUILD, "signalpost"), "status", "-c", os.path.join(top, "conf"), "--json"],
                       capture_output=True, text=True)
    ledger = json.loads(r.stdout)["ledger"]
    ok(ledger and ledger["good"] and all(s["made"] == s["uploaded"] == len(endpoint.events) for s in ledger["sinks"]),
       "the ledger adds up: made and uploaded are what the endpoint has", r.stdout + r.stderr)
    ok(not os.listdir(os.path.join(top, "spool", "rejected")), "nothing was rejected",
       os.listdir(os.path.join(top, "spool", "rejected")))
    if not os.environ.get("KEEP"):
        shutil.rmtree(top)
    print("1..%d" % count)
    return failed > 0


sys.exit(main())
