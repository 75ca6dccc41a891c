#!/usr/bin/env python3
"""min-free-space on small file systems: the oldest segments go, none that is on its way, all are counted;
and `signalpost status` says how things stand, in trouble and out of it."""
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("srcdir", "."), "t", "crash"))
import powercut  # noqa: E402  (the endpoint, and what it has got)

BUILD = powercut.BUILD
SLOW = float(os.environ.get("SIGNALPOST_TEST_SLOW", "1"))
SIGNALPOST = os.path.join(BUILD, "signalpost")
ok = powercut.ok


def wait(what, seconds=120):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


class Holder:
    """An endpoint that takes a connection and all that comes, and does not come to an end until it is let go."""

    def __init__(self):
        self.s = socket.create_server(("127.0.0.1", 0))
        self.got, self.free = [], threading.Event()
        self.url = "http://127.0.0.1:%d/api/v1/ingest/events" % self.s.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            c, _ = self.s.accept()
            self.got.append(c)
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        try:
            c.sendall(b"HTTP/1.1 200 OK\r\nX-Wait: ")
            while not self.free.wait(1):
                c.sendall(b"a little more, ")  # in silence the uploader would give it up after 30 s
        except OSError:
            pass  # killed
        c.close()


def configure(path, spool, url, least, more=""):
    with open(path, "w") as f:
        f.write("""host-name mail.example.com
<signals>
    api-key 0123456789abcdef0123456789abcdef01234567
    upload-url %s
    upload-interval 1s
    min-free-space %s
</signals>
<milter>
    user ""
</milter>
<spool>
    directory %s
</spool>
%s""" % (url, least, spool, more))


def segment(spool, number, events=20, size=100000):
    """A closed segment of about that size. Its name."""
    name = "sp1-%016X.json" % (1000 + number)
    line = {"type": "reception", "timestamp": str(int(time.time())), "recv_method": "esmtp", "subject": "x" * (size // events)}
    with open(os.path.join(spool, "events", ".new"), "w") as f:
        for i in range(events):
            f.write(json.dumps({"msys": {"message_event": dict(
                line, event_id=str(number * 1000 + i), message_id="%020x" % (number * 1000 + i), rcpt_to="a@b.example")}}, separators=(",", ":")) + "\n")
    os.rename(os.path.join(spool, "events", ".new"), os.path.join(spool, "events", name))
    return name


def segments(spool):
    return sorted(n for n in os.listdir(os.path.join(spool, "events")) if n.startswith("sp1-"))


class Uploader:
    def __init__(self, conf, log):
        self.log = log
        with open(log, "a") as f:
            self.p = subprocess.Popen([powercut.UPLOADER, "-f", "-c", conf], stdout=f, stderr=f)

    def text(self):
        with open(self.log) as f:
            return f.read()

    def stop(self, how=signal.SIGTERM):
        self.p.send_signal(how)
        return self.p.wait(120 * SLOW)


def status(conf, *args):
    r = subprocess.run([SIGNALPOST, "status", "-c", conf, *args], capture_output=True, text=True)
    return r.returncode, r.stdout, r.stderr


def ledger(conf):
    code, out, err = status(conf, "--json")
    try:
        all_ = json.loads(out)
        return all_, next(s for s in all_["ledger"]["sinks"] if s["name"] == "signals")
    except (ValueError, TypeError, StopIteration):
        return {"problems": [out + err]}, {}


def adds_up(s):
    return s and s["made"] == s["uploaded"] + s["waiting"] + s["purged"] + s["rejected"] + s["expired"]


def test_status(top):
    spool, conf, log = (os.path.join(top, n) for n in ("spool", "conf", "log"))
    os.mkdir(spool)
    configure(conf, spool, "http://127.0.0.1:1/x", "0")
    code, out, err = status(conf)
    ok(code == 1 and "spool" in err, "no spool yet: said", out + err)
    u = Uploader(conf, log)
    ok(wait(lambda: os.path.isdir(os.path.join(spool, "events"))), "the uploader makes it", u.text())
    for i in range(3):
        segment(spool, i)
    ok(wait(lambda: ledger(conf)[1].get("made") == 60), "three segments are entered", ledger(conf))
    code, out, err = status(conf)
    ok("made 60 = uploaded 0 + waiting 60 + purged 0 + rejected 0 + expired 0" in out and "uploader  runs, process %d" % u.p.pid in out,
       "the sum is shown", out)
    ok(code == 0 and "no problems" in out, "a sink that is down for a moment is no problem yet", out)
    u.stop(signal.SIGKILL)
    os.unlink(os.path.join(spool, "events", segments(spool)[1]))
    code, out, _ = status(conf)
    ok(code == 1 and "does not run" in out, "no uploader: a problem", out)
    ok("DOES NOT ADD UP" in out and "unaccounted for: 20" in out and "missing   sp1-00000000000003E9.json, 20 events" in out,
       "a segment that somebody took away is missed by name", out)
    all_, sink = ledger(conf)
    ok(not all_["ledger"]["good"] and sink["unaccounted"] == 20 and all_["ledger"]["missing"] == [
        {"segment": "sp1-00000000000003E9.json", "events": 20}], "as JSON too", all_)
    endpoint = powercut.Endpoint()
    configure(conf, spool, endpoint.url, "0")
    u = Uploader(conf, log + ".2")
    ok(wait(lambda: "sp1-00000000000003E9.json" in u.text()), "and in the uploader's log", u.text())
    code, out, err = status(conf, "--write-off")
    ok(code == 1 and "the uploader runs" in err, "not written off while it runs", out + err)
    ok(wait(lambda: len(endpoint.ids()) == 40 and ledger(conf)[1]["uploaded"] == 40), "the others are sent", endpoint.batches)
    u.stop()
    code, out, err = status(conf, "--write-off")
    ok(code == 0 and "sp1-00000000000003E9.json: 20 events count as purged" in out, "written off", out + err)
    all_, sink = ledger(conf)
    ok(all_["ledger"]["good"] and adds_up(sink) and (sink["uploaded"], sink["purged"]) == (40, 20), "it adds up again", sink)
    code, out, err = status(conf, "--write-off")
    ok(code == 0 and "nothing is missing" in out, "nothing is left to write off", out + err)
    endpoint.close()
    shutil.rmtree(spool)


class Refuser(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        text = b'{"errors":[{"message":"no such key"}]}'
        self.send_response(401)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


def test_wrong(top):
    """What only a change of the configuration mends is a problem at once, with the endpoint's words."""
    spool, conf, log = (os.path.join(top, n) for n in ("spool", "conf", "log4"))
    os.mkdir(spool)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuser)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d/x" % server.server_address[1]
    configure(conf, spool, url, "0", "<sink more>\n  type http\n  url %s\n</sink>\n" % url)
    u = Uploader(conf, log)
    wait(lambda: os.path.isdir(os.path.join(spool, "events/open")))
    segment(spool, 1)
    said = 'takes nothing: HTTP 401 "no such key" (check api-key'
    ok(wait(lambda: {"sink more %s, or the header that names the user)" % said, "sink signals %s)" % said}
            <= set(ledger(conf)[0]["problems"])),
       "the wrong key is a problem at once", ledger(conf))
    ok(wait(lambda: "kept: sink more at 127.0.0.1:" in u.text() and "kept: 127.0.0.1:" in u.text()),
       "two sinks at one host: the log says which", u.text())
    code, out, _ = status(conf)
    ok(code == 1 and "last try" in out and "s ago: HTTP 401" in out, "since when", out)
    u.stop()
    server.shutdown()
    server.server_close()
    with open(conf, "w") as f:
        f.write('<spool>\n  directory %s\n</spool>\n<milter>\n  user ""\n</milter>\n' % spool)
    u = Uploader(conf, log)
    wait(lambda: "nothing is uploaded" in u.text())
    code, out, _ = status(conf)
    ok(code == 1 and "PROBLEM   segments wait and go nowhere (1): " in out, "no sink at all is a problem", out)
    u.stop()
    shutil.rmtree(spool)


def small(top, options):
    place = os.path.join(top, "small")
    os.mkdir(place)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], stderr=subprocess.DEVNULL).returncode:
        os.rmdir(place)
        return None
    return place


def test_full(top):
    """12 MB, of which 3 are to stay free; what comes in is more than that."""
    place = small(top, "size=12m")
    if place is None:
        ok(True, "a small disk # SKIP no right to mount")
        return
    spool, conf, log = os.path.join(place, "spool"), os.path.join(top, "conf"), os.path.join(top, "log2")
    os.mkdir(spool)
    holder = Holder()
    configure(conf, spool, holder.url, "3M")
    try:
        u = Uploader(conf, log)
        wait(lambda: os.path.isdir(os.path.join(spool, "events/open")))
        names = [segment(spool, i) for i in range(4)]
        ok(wait(lambda: len(holder.got) == 4), "four batches are on their way, and nobody answers", u.text())
        names += [segment(spool, i) for i in range(4, 48)]

        def settled():
            fs = os.statvfs(spool)
            return fs.f_bavail * fs.f_frsize >= 3 << 20

        ok(wait(settled), "more comes in than there is room for: there is room again", u.text()[-500:])
        have = segments(spool)
        gone = [n for n in names if n not in have]
        ok(gone and gone == names[4:4 + len(gone)], "the oldest went, but none that is on its way", (gone, have[:6]))
        ok("min-free-space:" in u.text() and "purged so far" in u.text(), "said in the log", u.text()[-500:])
        ok(u.text().count("min-free-space") < 10, "not each time", u.text().count("min-free-space"))
        wait(lambda: adds_up(ledger(conf)[1]) and ledger(conf)[1]["made"] == 48 * 20)
        _, sink = ledger(conf)
        ok(adds_up(sink) and sink["purged"] == 20 * len(gone) and sink["made"] == 48 * 20, "counted as purged, and the sum is right", sink)
        u.stop(signal.SIGKILL)
        # Somebody else fills it to the last byte: the ledger has its reserve.
        u = Uploader(conf, log)
        wait(lambda: len(holder.got) >= 8)
        with open(os.path.join(place, "other"), "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        ok(wait(lambda: len(segments(spool)) == 4 and os.statvfs(spool).f_bavail > 256), "another program fills the disk to the last byte: all events go but those on their way", "".join(x for x in u.text().splitlines(True) if "Discovered" not in x)[-1500:])
        ok(wait(lambda: "nothing is left that may go" in u.text()), "it says that it can't do more", u.text()[-600:])
        os.unlink(os.path.join(place, "other"))
        ok(wait(lambda: "enough space again" in u.text()), "it says when there is enough again", u.text()[-500:])
        _, sink = ledger(conf)
        ok(adds_up(sink) and not sink["unaccounted"], "the sum is right", sink)
        u.stop()
        holder.free.set()
        endpoint = powercut.Endpoint()
        configure(conf, spool, endpoint.url, "1M")
        u = Uploader(conf, log)
        ok(wait(lambda: not segments(spool)), "what is left is sent", segments(spool))
        u.stop()
        all_, sink = ledger(conf)
        ok(all_["ledger"]["good"] and adds_up(sink) and sink["uploaded"] == len(endpoint.ids()) == sink["made"] - sink["purged"],
           "uploaded is what the endpoint has, the rest was purged", sink)
        endpoint.close()
    finally:
        if u.p.poll() is None:
            u.stop(signal.SIGKILL)
        subprocess.run(["umount", place], check=True)
        os.rmdir(place)


def test_inodes(top):
    place = small(top, "size=64m,nr_inodes=200")
    if place is None:
        ok(True, "a disk with few inodes # SKIP no right to mount")
        return
    spool, conf, log = os.path.join(place, "spool"), os.path.join(top, "conf"), os.path.join(top, "log3")
    os.mkdir(spool)
    configure(conf, spool, "http://127.0.0.1:1/x", "1M")
    u = Uploader(conf, log)
    try:
        wait(lambda: os.path.isdir(os.path.join(spool, "events/open")))
        i = 0
        try:
            while i < 300:
                segment(spool, i, 1, 100)
                i += 1
        except OSError:
            pass
        ok(wait(lambda: os.statvfs(spool).f_favail >= 10), "inodes run out after %d segments: some are made free" % i, u.text()[-500:])
        _, sink = ledger(conf)
        ok(wait(lambda: adds_up(ledger(conf)[1]) and ledger(conf)[1]["purged"] > 0), "counted", ledger(conf)[1])
        u.stop()
        try:
            for i in range(300):
                open(os.path.join(place, "other%d" % i), "w").close()
        except OSError:
            pass
        code, out, _ = status(conf)
        ok(code == 1 and "PROBLEM   there is no room where the spool is" in out and "0 inodes" in out, "none left: a problem", out)
    finally:
        if u.p.poll() is None:
            u.stop()
        subprocess.run(["umount", place], check=True)
        os.rmdir(place)


def main():
    top = os.path.realpath(tempfile.mkdtemp(prefix="sp-space."))
    try:
        test_status(top)
        test_wrong(top)
        test_full(top)
        test_inodes(top)
    finally:
        if not os.environ.get("KEEP"):
            shutil.rmtree(top, ignore_errors=True)
    print("1..%d" % powercut.count)
    return powercut.failed > 0


sys.exit(main())
