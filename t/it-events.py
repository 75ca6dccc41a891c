#!/usr/bin/env python3
"""signalpost events and signalpost replay: what waits, what was rejected, sending it again.

TAP on standard output.
"""
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import ok, plan  # noqa: E402

BUILD = os.environ.get("builddir", ".")
CTL = os.path.join(BUILD, "signalpost")
LINE = ('{"msys":{"message_event":{"type":"reception","event_id":"%d","timestamp":"%d",'
        '"message_id":"000040d4716a5b1c9e02","rcpt_to":"anna@example.net","recv_method":"esmtp",'
        '"subaccount_id":0}}}\n')
NOW = int(time.time())

top = tempfile.mkdtemp(prefix="it-events-")


def line(number, age=0):
    return LINE % (number, NOW - age)


class Spool:
    count = 0

    def __init__(self, extra=""):
        Spool.count += 1
        self.dir = os.path.join(top, "s%d" % Spool.count)
        self.conf = self.dir + ".conf"
        for name in "events/open", "rejected", "inbound/tmp":
            os.makedirs(os.path.join(self.dir, name), 0o750)
        with open(self.conf, "w") as f:
            f.write("<spool>\n  directory %s\n%s</spool>\n<milter>\n  user \"\"\n</milter>\n" % (
                self.dir, extra))

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def put(self, where, name, text):
        with open(self.path(where, name), "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())

    def reject(self, name, text, **why):
        self.put("rejected", name, text)
        self.put("rejected", name + ".reason", json.dumps(dict({
            "time": "2026-08-04T12:00:00.000Z", "sink": "sparkpost", "reason": "422 no such field",
            "events": text.count("\n") if isinstance(text, str) else 0, "bytes": len(text)}, **why)) + "\n")

    def ctl(self, *args):
        done = subprocess.run([CTL, args[0], "-c", self.conf, *args[1:]], capture_output=True,
                              timeout=120)
        self.out, self.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return done.returncode

    def events(self):
        """Ids in closed segments."""
        ids = []
        for name in sorted(os.listdir(self.path("events"))):
            if name != "open":
                with open(self.path("events", name)) as f:
                    ids += [int(json.loads(t)["msys"]["message_event"]["event_id"]) for t in f]
        return ids

    def rejected(self):
        return sorted(os.listdir(self.path("rejected")))


def t_empty():
    s = Spool()
    ok(s.ctl("events") == 0 and "waiting: 0 segments, 0 events, 0 B\n" in s.out and
       "rejected: 0 files, 0 lines, 0 B\n" in s.out, "an empty spool", s.out, s.err)
    ok(s.ctl("events", "--json") == 0 and json.loads(s.out)["waiting"]["segments"] == 0 and
       json.loads(s.out)["rejected"] == {"files": 0, "events": 0, "bytes": 0, "list": []},
       "the same as JSON", s.out)
    ok(s.ctl("replay", "--all") == 0 and s.out.startswith("0 events of 0 files"),
       "nothing to replay", s.out, s.err)
    shutil.rmtree(s.dir)
    ok(s.ctl("events") == 1 and "No such file" in s.err and not os.path.exists(s.dir),
       "no spool: an error, and none is made", s.err)
    ok(s.ctl("replay", "--all") == 1 and not os.path.exists(s.dir), "nor by replay", s.err)


def t_bad_ledger():
    s = Spool()
    s.put("events", "sp1-0000000000000001.json", line(1))
    s.put("", "ledger.db", b"SQLite format 3\0" + b"\xff" * 5000)
    ok(s.ctl("events") == 1 and "waiting: 1 segment, 1 event," in s.out and "ledger" in s.err,
       "a ledger that can't be read: the rest is told", s.out, s.err)


def t_usage():
    s = Spool()
    for args in (("events", "-n", "0"), ("events", "-n", "x"), ("events", "--waiting", "--rejected"),
                 ("events", "--show", "a", "--json"), ("events", "more"), ("replay",),
                 ("replay", "--all", "name"), ("replay", "--what")):
        ok(s.ctl(*args) == 64 and "usage: signalpost %s" % args[0] in s.err, " ".join(args), s.err)
    with open(s.conf, "a") as f:
        f.write("no-such-thing 1\n")
    ok(s.ctl("events") == 78 and s.ctl("replay", "--all") == 78, "a bad configuration is 78", s.err)


def t_list():
    s = Spool()
    for i in range(30):
        s.put("events", "sp1-%016X.json" % ((NOW - 7200 + i) * 1000000), line(i) + line(100 + i))
    s.put("events", "sp1-FFFFFFFFFFFFFFFF.json", line(5))
    s.put("events", "foreign", "x\n")
    os.mkfifo(s.path("events", "sp1-0000000000000001.json"))
    os.symlink("/etc/passwd", s.path("events", "sp1-0000000000000002.json"))
    s.put("events/open", "sp1-0000000000000003.json", line(6))
    ok(s.ctl("events", "-n", "3") == 0 and "waiting: 31 segments, 61 events" in s.out and
       re.search(r"\(2h \d+m\)", s.out) and "and 28 more" in s.out and "being written: 1 file," in s.out,
       "what waits", s.out, s.err)
    ok(len(s.out.splitlines()) < 10, "bounded", s.out)
    ok(s.ctl("events", "--waiting", "--json", "-n", "2") == 0, "as JSON", s.err)
    w = json.loads(s.out)["waiting"]
    ok(w["segments"] == 31 and w["events"] == 61 and len(w["list"]) == 2 and
       w["list"][0]["events"] == 2 and w["oldest"].startswith(
           time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW - 7200))) and w["open_files"] == 1 and
       "rejected" not in json.loads(s.out), "its figures", s.out)

    for i in range(25):
        s.reject("r%02d.json" % i, line(i), reason="422 \x1b[31mred\nnext" if i == 0 else "422 bad")
        os.utime(s.path("rejected", "r%02d.json.reason" % i), (NOW - 100 + i, NOW - 100 + i))
    s.put("rejected", "old.json", "not JSON\n")
    s.put("rejected", "old.json.reason", "line 1: not JSON\n")
    os.utime(s.path("rejected", "old.json.reason"), (NOW - 1000, NOW - 1000))
    os.mkfifo(s.path("rejected", "fifo"))
    ok(s.ctl("events", "--rejected", "-n", "5") == 0 and "rejected: 27 files, 25 lines" in s.out and
       "and 22 more" in s.out and "\x1b" not in s.out and "sparkpost: 422 ?[31mred?next" in s.out and
       "line 1: not JSON" in s.out, "what was rejected, and why", s.out, s.err)
    ok(s.ctl("events", "--rejected", "--json", "-n", "100") == 0, "as JSON", s.err)
    r = json.loads(s.out)["rejected"]
    ok(r["files"] == 27 and r["events"] == 25 and r["list"][0]["name"] == "old.json" and
       r["list"][1]["time"] == "2026-08-04T12:00:00.000Z" and r["list"][1]["sink"] == "sparkpost" and
       [e["name"] for e in r["list"] if not e["file"]] == ["fifo"], "its figures", s.out)


def t_show():
    s = Spool()
    s.reject("a.json", line(1) + "\xff\n" + "x" * 300000 + "\n" + line(2))
    s.put("events", "sp1-0000000000000001.json", line(7))
    ok(s.ctl("events", "--show", "a.json") == 0 and s.out.startswith(line(1)) and line(2) in s.out and
       "line 3: 300000 bytes, not shown" in s.err, "the lines of a rejected file", s.err)
    ok(s.ctl("events", "--show", "rejected/a.json", "-n", "1") == 0 and s.out == line(1) and
       "3 more lines: -n 4 shows all" in s.err, "only some of them", s.err)
    ok(s.ctl("events", "--show", "sp1-0000000000000001.json") == 0 and s.out == line(7),
       "of a segment", s.err)
    os.symlink("/etc/passwd", s.path("rejected", "link"))
    os.mkfifo(s.path("rejected", "fifo"))
    for name, text in (("link", "not a regular file"), ("fifo", "not a regular file"),
                       ("none", "no such name"), ("../../etc/passwd", "no such name"),
                       ("a.json.reason", "no such name")):
        ok(s.ctl("events", "--show", name) == 1 and text in s.err and not s.out, name, s.err)


def t_replay():
    s = Spool()
    s.reject("good.json", line(1) + line(2))
    s.reject("mixed.json", line(3) + "no event\n" + line(4) + '{"msys":{}}\n', segment="sp1-1.json")
    s.reject("bad.json", "no event\n")
    s.reject("other.json", line(5), sink="archive")
    s.reject("torn.json", line(6) + line(7)[:-30])
    os.mkfifo(s.path("rejected", "fifo"))
    before = s.rejected()
    ok(s.ctl("replay", "--dry-run", "--all") == 1 and s.rejected() == before and not s.events() and
       "6 events of 4 files would be sent again; 4 lines stay" in s.out, "a dry run", s.out, s.err)
    ok(s.ctl("replay", "good.json") == 0 and s.events() == [1, 2] and
       "good.json" not in s.rejected() and "good.json.reason" not in s.rejected(),
       "one by name", s.out, s.err)
    ok(s.ctl("replay", "--sink", "archive", "--all") == 1 and s.events() == [1, 2, 5] and
       "fifo: stays: fifo: not a regular file" in s.err, "one sink's", s.out, s.err)
    ok(s.ctl("replay", "--all") == 1 and sorted(s.events()) == [1, 2, 3, 4, 5, 6], "the rest", s.out,
       s.err)
    with open(s.path("rejected", "mixed.json")) as f:
        ok(f.read() == 'no event\n{"msys":{}}\n', "what is no event stays, under its name")
    with open(s.path("rejected", "mixed.json.reason")) as f:
        why = json.load(f)
        ok(why["reason"] == "422 no such field" and why["events"] == 2 and
           why["segment"] == "sp1-1.json" and len(why["details"]) == 2 and
           why["details"][0].startswith("line 2: "), "with its reason, and why not", why)
    with open(s.path("rejected", "torn.json")) as f:
        ok(f.read() == line(7)[:-30], "a torn end stays")
    ok(s.rejected() == sorted(["bad.json", "bad.json.reason", "fifo", "mixed.json",
                               "mixed.json.reason", "torn.json", "torn.json.reason"]),
       "and what holds no event is as it was", s.rejected())
    ok(s.ctl("replay", "none", "../x.reason") == 1 and "No such file" in s.err and
       "no name of a rejected file" in s.err, "no such name", s.err)
    ok(not os.listdir(s.path("events/open")), "nothing is left open")


def t_kill():
    """Killed at any moment: each event is in the spool or still in rejected/."""
    for after in range(8):
        s = Spool()
        want = set()
        for i in range(40):
            ids = range(i * 100, i * 100 + 100)
            s.reject("r%02d.json" % i, "".join(line(n) for n in ids))
            want.update(ids)
        proc = subprocess.Popen([CTL, "replay", "-c", s.conf, "--all"], stdout=subprocess.DEVNULL)
        while proc.poll() is None and len(s.rejected()) > 80 - after * 10:
            pass
        proc.send_signal(signal.SIGKILL)
        proc.wait()
        have = set()
        for where in "events", "events/open", "rejected":
            for name in os.listdir(s.path(where)):
                if not name.endswith(".json"):
                    continue
                with open(s.path(where, name)) as f:
                    for text in f:
                        if text.endswith("\n"):
                            have.add(int(json.loads(text)["msys"]["message_event"]["event_id"]))
        ok(have == want, "killed after some %d files: nothing is missing" % (after * 5), want - have)
        # Killed between a file and its reason, the reason is left; the uploader removes it some time.
        ok(s.ctl("replay", "--all") == 0 and [n[-7:] for n in s.rejected()] in ([], [".reason"]),
           "and the rest can be replayed", s.err, s.rejected())


def t_owner():
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        nobody = None
    if os.geteuid() != 0 or nobody is None:
        ok(True, "rights # SKIP needs root and a user nobody")
        return
    os.chmod(top, 0o755)
    s = Spool()
    s.reject("a.json", line(1))
    for path, dirs, files in os.walk(s.dir):
        for name in [path] + [os.path.join(path, f) for f in files]:
            os.chown(name, nobody.pw_uid, nobody.pw_gid)
    ok(s.ctl("events") == 0 and s.ctl("replay", "a.json") == 0, "root on somebody's spool", s.err)
    owners = set()
    for path, dirs, files in os.walk(s.dir):
        owners.update(os.stat(os.path.join(path, f)).st_uid for f in files + dirs)
    ok(owners == {nobody.pw_uid} and s.events() == [1], "all that is made is its owner's", owners)


try:
    for test in t_empty, t_bad_ledger, t_usage, t_list, t_show, t_replay, t_kill, t_owner:
        test()
finally:
    shutil.rmtree(top, ignore_errors=True)
sys.exit(plan())
