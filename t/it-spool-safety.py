#!/usr/bin/env python3
"""A spool full of traps: good lines are sent, the rest goes to rejected/ with the reason,
nothing wedges, nothing follows a link, nothing blocks. TAP on standard output.
"""
import gzip
import http.server
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import SLOW, ok, plan, wait  # noqa: E402

BUILD = os.environ.get("builddir", ".")
UPLOADER = os.path.join(BUILD, "signalpost-uploader")
CTL = os.path.join(BUILD, "signalpost")
KEY = "0123456789abcdef0123456789abcdef01234567"
LINE = ('{"msys":{"message_event":{"type":"reception","event_id":"%d","timestamp":"%d",'
        '"message_id":"000040d4716a5b1c9e02","rcpt_to":"anna@example.net","recv_method":"esmtp",'
        '"subaccount_id":0}}}\n')
NOW = int(time.time())
ENVELOPE = '{"from":"","rcpts":[{"address":"b@bounces.example","list":"bounce"}],"received":%d}\n' % NOW

top = tempfile.mkdtemp(prefix="it-spool-safety-")
live = []


def line(number):
    return LINE % (number, NOW)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bytes += len(body)
            # Not by JSON: 100 MB of it take so long here that the uploader gives up and comes again.
            for event in map(int, re.findall(rb'"event_id":"(\d+)"', body)):
                self.server.ids[event] = self.server.ids.get(event, 0) + 1
        answer = b'{"results":{"id":"a-batch"}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


class Endpoint(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.lock, self.ids, self.bytes = threading.Lock(), {}, 0
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that was stopped

    def close(self):
        self.shutdown()
        self.server_close()


class Spool:
    def __init__(self, endpoint, user=None, extra=""):
        self.dir = tempfile.mkdtemp(dir=top)
        self.spool = os.path.join(self.dir, "spool")
        self.conf, self.log = os.path.join(self.dir, "conf"), os.path.join(self.dir, "log")
        self.proc = None
        live.append(self)
        for name in "events/open", "rejected", "inbound/tmp", "inbound/onward":
            os.makedirs(self.path(name), 0o770)
        with open(self.conf, "w") as f:
            f.write("<signals>\n  api-key %s\n  upload-url http://127.0.0.1:%d/api/v1/ingest/events\n"
                    "  upload-interval 1s\n</signals>\n<spool>\n  directory %s\n%s</spool>\n"
                    "<milter>\n  user %s\n</milter>\n" % (
                        KEY, endpoint.server_address[1] if endpoint else 9, self.spool, extra, user or '""'))

    def path(self, *names):
        return os.path.join(self.spool, *names)

    def start(self, **more):
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([UPLOADER, "-f", "-c", self.conf], stderr=log,
                                         stdin=subprocess.DEVNULL, **more)
        return self

    def stop(self, how=signal.SIGTERM):
        if self.proc is None:
            return None
        self.proc.send_signal(how)
        try:
            code = self.proc.wait(120 * SLOW)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            code = "does not end"
            self.proc.wait()
        self.proc = None
        return code

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def put(self, where, name, data=b"", mode=0o660):
        path = os.fsencode(self.path(where)) + b"/" + (name if isinstance(name, bytes) else name.encode())
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(path, mode)
        old = time.time() - 3600
        os.utime(path, (old, old))
        return path

    def left(self, where="events"):
        keep = {"open", "tmp", "onward"}
        return sorted(n for n in os.listdir(os.fsencode(self.path(where))) if n.decode(errors="replace") not in keep)

    def rejected(self):
        names = os.listdir(os.fsencode(self.path("rejected")))
        return [n for n in names if not n.endswith(b".reason") and not n.endswith(b".tmp")]

    def identity(self):
        db = sqlite3.connect("file:%s?mode=ro" % self.path("ledger.db"), uri=True, timeout=30)
        try:
            return db.execute("SELECT made, uploaded + rejected + expired + purged FROM sink"
                              " WHERE name = 'signals'").fetchone()
        finally:
            db.close()


def seg(n):
    return "sp1-%016X.json" % n


def traps(s, where, name, aim):
    """One of each thing that is no file, under names that are ours."""
    path = lambda n: os.path.join(s.path(where), name(n))
    os.mkdir(path(1))
    os.mkdir(os.path.join(path(1), "not empty"))
    os.mkfifo(path(2))
    sock = socket.socket(socket.AF_UNIX)
    old = os.getcwd()
    os.chdir(s.path(where))
    sock.bind(name(3))
    os.chdir(old)
    sock.close()
    os.symlink("/etc/passwd", path(4))
    os.symlink(name(5), path(5))
    os.symlink("/nowhere", path(6))
    os.symlink(aim, path(7))
    os.symlink("/dev/zero", path(8))
    return 8


def t_events():
    e = Endpoint()
    s = Spool(e)
    good = set()
    n = 100

    def some(count):
        nonlocal n
        ids = list(range(n, n + count))
        n += count
        good.update(ids)
        return "".join(line(i) for i in ids)

    aim = os.path.join(s.dir, "aim")
    with open(aim, "w") as f:
        f.write(line(1))  # to be seen by nobody
    odd = traps(s, "events", lambda i: seg(i), aim)
    s.put("events", seg(100), some(3) + line(90)[:40])                   # torn
    s.put("events", seg(101), some(2) + "\0" * 5000)                     # zeros behind
    whole = some(1), line(2), some(1)
    s.put("events", seg(102), whole[0] + whole[1].replace('"type"', '"tXpe"') + whole[2])  # a bit flipped
    s.put("events", seg(103), b"")                                       # empty
    s.put("events", seg(104), b"\n\n \n")
    s.put("events", seg(105), b"\x7fELF\x02\x01\x01" + bytes(random.Random(1).randbytes(20000)))  # foreign
    s.put("events", seg(106), some(1).encode() + b"\xff\xfe not UTF-8\n" + some(1).encode())
    s.put("events", seg(107), b'{"a":' * 30000 + b"\n" + some(2).encode())  # deep
    s.put("events", seg(108), some(2), mode=0)
    s.put("events", "sp1-FFFFFFFFFFFFFFF0.json", some(2))                 # from the far future
    s.put("events", "foreign.json", line(3))
    s.put("events", "UPPER.JSON", line(3))
    s.put("events", b"sp1-\xff\n\x1b[1m.json", line(3))
    s.put("events", "a" * 255, line(3))
    linked = s.put("..", "linked", some(2))
    os.link(linked, s.path("events", seg(109)))
    future = s.put("events", seg(110), some(2))
    os.utime(future, (2 ** 33, 2 ** 33))
    huge = s.put("events", seg(111), some(2))
    os.truncate(huge, 1 << 30)                                           # 1 GB, no line end
    s.start()
    ok(wait(lambda: good <= set(e.ids)), "all good lines are sent", good - set(e.ids), s.text())
    ok(wait(lambda: not s.left()), "nothing stays in events/", s.left(), s.text())
    ok(set(e.ids) == good and set(e.ids.values()) == {1}, "and nothing else is sent, nor twice",
       set(e.ids) - good)
    kept = s.rejected()
    ok(len([k for k in kept if k.startswith(b"found-")]) >= odd + 4, "what is no segment is in rejected/", kept)
    reasons = [k for k in kept if not os.path.exists(os.fsencode(s.path("rejected")) + b"/" + k + b".reason")]
    ok(not reasons, "each with a reason", reasons)
    with open(aim) as f, open(linked) as g:
        ok(f.read() == line(1) and g.read().count("\n") == 2, "what links lead to is as it was")
    s.put("events", seg(200), some(1))
    ok(wait(lambda: good <= set(e.ids)), "and it goes on", s.text())
    ok(wait(lambda: s.identity()[0] == s.identity()[1]), "the ledger adds up", s.identity())
    ok(subprocess.run([CTL, "events", "-c", s.conf], capture_output=True, timeout=120).returncode == 0,
       "signalpost events lists it all")
    rss = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/%d/status" % s.proc.pid).read()).group(1)) // 1024
    print("# peak memory %d MB" % rss)
    ok(s.stop() == 0, "SIGTERM ends it")
    e.close()


def t_open():
    e = Endpoint()
    s = Spool(e)
    aim = os.path.join(s.dir, "aim")
    with open(aim, "w") as f:
        f.write(line(1))
    traps(s, "events/open", lambda i: seg(i), aim)
    s.put("events/open", seg(100), line(10) + line(11)[:50])
    s.put("events/open", seg(101), line(12) + "junk\n" + line(13))
    s.put("events/open", seg(102))
    s.put("events/open", seg(103), line(14), mode=0)
    s.put("events/open", seg(104) + ".tmp", line(2))
    s.put("events/open", b"odd\n\xff", line(2))
    s.put("events/open", "sp1-FFFFFFFFFFFFFFF1.json", line(15))
    linked = s.put("..", "linked", line(16) + "torn")
    os.link(linked, s.path("events/open", seg(105)))
    os.truncate(s.put("events/open", seg(106), line(17)), 1 << 30)
    s.start()
    want = set(range(10, 18)) - {11}
    ok(wait(lambda: want <= set(e.ids)), "open/: all whole events are sent", want - set(e.ids), s.text())
    ok(wait(lambda: not s.left("events/open") and not s.left()), "nothing stays", s.left("events/open"))
    ok(set(e.ids) == want, "nothing else is sent", set(e.ids) - want)
    with open(aim) as f, open(linked) as g:
        ok(f.read() == line(1) and g.read() == line(16) + "torn", "what links lead to is as it was")
    ok(len(s.rejected()) >= 10, "the rest is in rejected/", s.rejected())
    ok(s.stop() == 0, "SIGTERM ends it")
    e.close()


def t_inbound_and_rejected():
    e = Endpoint()
    s = Spool(e)
    aim = os.path.join(s.dir, "aim")
    with open(aim, "w") as f:
        f.write(line(1))
    with open(s.conf, "a") as f:
        f.write("host-name relay.example\n<bounce-processor>\n  deliver-unmatched-email no\n"
                "  <address-list>\n    domain bounces.example\n  </address-list>\n</bounce-processor>\n")
    for where in "inbound", "rejected":
        traps(s, where, lambda i: "in1-%016X.eml" % i if where == "inbound" else seg(i), aim)
    s.put("inbound", "in1-0000000000000100.eml", b"")
    s.put("inbound", "in1-0000000000000101.eml", b"no envelope\n")
    s.put("inbound", "in1-0000000000000102.eml", bytes(random.Random(2).randbytes(50000)))
    s.put("inbound", "stranger", b"x")
    s.put("rejected", seg(100), b"no reason\n")
    s.put("rejected", seg(101), b"odd reason\n")
    s.put("rejected", seg(101) + ".reason", b"\x00\xff" * 1000)
    os.mkfifo(s.path("rejected", seg(102) + ".reason"))
    os.symlink("/dev/zero", s.path("rejected", seg(103) + ".reason"))
    s.put("rejected", seg(103), b"x\n")
    s.put("events", seg(1000), line(10) + "junk\n")
    s.start()
    ok(wait(lambda: 10 in e.ids and not s.left()), "inbound/ and rejected/: events are sent", s.text())
    ok(wait(lambda: not s.left("inbound")), "nothing stays in inbound/", s.left("inbound"), s.text())
    done = subprocess.run([CTL, "events", "-c", s.conf, "--rejected", "--json", "-n", "100"],
                          capture_output=True, timeout=120)
    ok(done.returncode == 0 and json.loads(done.stdout)["rejected"]["files"] >= 15,
       "signalpost events is not led astray", done.stdout, done.stderr)
    done = subprocess.run([CTL, "replay", "-c", s.conf, "--all"], capture_output=True, timeout=120)
    ok(done.returncode == 1 and b"not a regular file" in done.stderr, "nor is replay", done.stderr)
    ok(set(e.ids) == {10}, "nothing was sent that links lead to", e.ids)
    ok(s.stop() == 0, "SIGTERM ends it")
    e.close()


def t_unreadable():
    """As an ordinary user: what belongs to others."""
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        nobody = None
    if os.geteuid() != 0 or nobody is None:
        ok(True, "wrong owners # SKIP needs root and a user nobody")
        return
    e = Endpoint()
    s = Spool(e, user="nobody")
    os.chmod(top, 0o755)
    os.chmod(s.dir, 0o755)
    s.put("events", seg(1), line(1), mode=0o600)  # root's: can't be read
    s.put("events", seg(2), line(2), mode=0)
    os.chown(s.path("events", seg(2)), nobody.pw_uid, nobody.pw_gid)
    s.put("events", seg(3), line(3), mode=0o644)  # root's: can
    s.put("events/open", seg(4), line(4), mode=0o644)
    s.put("events/open", seg(5), line(5), mode=0)
    os.mkdir(s.path("events", seg(6)), 0)  # nobody but root can move another's directory
    for name in "", "events", "events/open", "rejected", "inbound", "inbound/tmp", "inbound/onward":
        os.chown(s.path(name), nobody.pw_uid, nobody.pw_gid)
    os.chown(s.dir, nobody.pw_uid, nobody.pw_gid)
    s.start()
    ok(wait(lambda: {2, 3, 4} <= set(e.ids)), "what can be read is sent", e.ids, s.text())
    ok(wait(lambda: s.left() == [seg(6).encode()] and s.left("events/open") in ([], [seg(5).encode()])),
       "what can't be goes to rejected/", s.left(), s.left("events/open"), s.text())
    ok(set(e.ids) == {2, 3, 4}, "nothing else", e.ids)
    ok(wait(lambda: s.text().count("Discovered") > 4) and s.text().count("left alone") <= 2,
       "what can't be moved is said once", s.text())
    ok(s.stop() == 0, "SIGTERM ends it")
    e.close()


def t_large():
    """100 MB of events in one file: in parts."""
    e = Endpoint()
    s = Spool(e, extra="")
    one = line(0)
    count = 100000000 // len(one)
    with open(s.path("events", seg(1) + "x"), "w") as f:
        for i in range(0, count, 1000):
            f.write("".join(line(k) for k in range(i, min(count, i + 1000))))
    os.rename(s.path("events", seg(1) + "x"), s.path("events", seg(1)))
    s.start()
    ok(wait(lambda: not s.left() and len(e.ids) == count, 240), "100 MB of events in one segment are sent",
       len(e.ids), count, s.text())
    rss = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/%d/status" % s.proc.pid).read()).group(1)) // 1024
    print("# %d events, peak memory %d MB" % (count, rss))
    ok(rss < 200 * SLOW, "in memory that does not grow with it", rss)
    ok(s.stop() == 0, "SIGTERM ends it")
    e.close()


def t_many():
    """A backlog of segments: how long until the first is sent, and how much memory."""
    count = int(os.environ.get("SIGNALPOST_SPOOL_SEGMENTS", "10000"))
    s = Spool(None)
    text = line(1).encode()
    os.mkdir(s.path("batch"))
    first = s.path("events", seg(1))
    with open(first, "wb") as f:
        f.write(text)
    for i in range(2, count + 1):
        with open(s.path("events", seg(i)), "wb") as f:
            f.write(text)
    os.rmdir(s.path("batch"))
    e = Endpoint()
    with open(s.conf) as f:
        conf = f.read()
    with open(s.conf, "w") as f:
        f.write(conf.replace(":9/", ":%d/" % e.server_address[1]))
    began = time.monotonic()
    s.start()
    ok(wait(lambda: e.bytes > 0), "%d segments wait: the first is sent" % count, s.text())
    print("# %.2f s from start to the first batch" % (time.monotonic() - began))
    rss = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/%d/status" % s.proc.pid).read()).group(1)) // 1024
    print("# peak memory %d MB" % rss)
    ok(s.stop() == 0, "SIGTERM ends it")
    e.close()


def t_two():
    e = Endpoint()
    s = Spool(e)
    s.start()
    ok(wait(lambda: os.path.exists(s.path("uploader.lock")) and "Discovered" in s.text()), "one uploader", s.text())
    done = subprocess.run([UPLOADER, "-f", "-c", s.conf], capture_output=True, text=True, timeout=120)
    ok(done.returncode == 75 and "another signalpost-uploader works on this spool, process %d" % s.proc.pid in
       done.stderr, "a second one refuses to start and says who works there", done.stderr)
    ok(s.proc.poll() is None and s.stop() == 0, "the first goes on")
    s.start()
    ok(wait(lambda: s.text().count("Discovered") >= 2), "and another may take its place", s.text())
    s.stop()
    e.close()


def t_no_spool():
    e = Endpoint()
    s = Spool(e)
    shutil.rmtree(s.spool)
    with open(s.spool, "w") as f:
        f.write("a file")
    done = subprocess.run([UPLOADER, "-f", "-c", s.conf], capture_output=True, text=True, timeout=120)
    ok(done.returncode == 75 and s.spool in done.stderr, "the spool is a file: %s" % done.stderr.strip()[-120:],
       done.stderr)
    os.remove(s.spool)
    os.symlink("/nowhere/at/all", s.spool)
    done = subprocess.run([UPLOADER, "-f", "-c", s.conf], capture_output=True, text=True, timeout=120)
    ok(done.returncode == 75 and s.spool in done.stderr, "leads nowhere: %s" % done.stderr.strip()[-120:],
       done.stderr)
    os.remove(s.spool)
    if os.geteuid() != 0:
        ok(True, "a read-only mount # SKIP needs root")
        e.close()
        return
    os.mkdir(s.spool)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", s.spool],
                             capture_output=True).returncode == 0
    if not mounted:
        ok(True, "a read-only mount # SKIP can't mount")
        e.close()
        return
    try:
        done = subprocess.run([UPLOADER, "-f", "-c", s.conf], capture_output=True, text=True, timeout=120)
        ok(done.returncode == 75 and "Read-only file system" in done.stderr and s.spool in done.stderr,
           "a read-only mount: %s" % done.stderr.strip()[-120:], done.stderr)
    finally:
        subprocess.run(["umount", s.spool], check=False)
    e.close()


try:
    only = sys.argv[1:]
    for test in t_events, t_open, t_inbound_and_rejected, t_unreadable, t_large, t_many, t_two, t_no_spool:
        if only and test.__name__ not in only:
            continue
        began = time.monotonic()
        test()
        print("# %s: %.1f s" % (test.__name__, time.monotonic() - began), flush=True)
finally:
    for s in live:
        if s.proc:
            s.proc.kill()
            s.proc.wait()
    shutil.rmtree(top, ignore_errors=True)
sys.exit(plan())
