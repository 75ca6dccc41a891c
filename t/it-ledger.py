#!/usr/bin/env python3
"""A ledger that is damaged, foreign, removed or of a newer version: no event is lost, uploads go on,
and `signalpost status` says what there is to say."""
import importlib.util
import json
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

spec = importlib.util.spec_from_file_location("it_uploader", os.path.join(
    os.environ.get("srcdir", "."), "t", "it-uploader.py"))
it = importlib.util.module_from_spec(spec)
spec.loader.exec_module(it)
import tap  # noqa: E402  (found where it-uploader.py found it)
ok = it.ok


def path(u, suffix=""):
    return os.path.join(u.spool, "ledger.db" + suffix)


def remove(*suffixes):
    def act(u):
        for s in suffixes:
            if os.path.exists(path(u, s)):
                os.unlink(path(u, s))
    return act


def replaced_by(make):
    def act(u):
        remove("", "-wal", "-shm")(u)
        make(path(u))
    return act


def truncate(size):
    return lambda u: os.truncate(path(u), size)


def overwrite(u):
    """All but the first page, in place."""
    with open(path(u), "r+b") as f:
        size = os.fstat(f.fileno()).st_size
        f.seek(4096)
        f.write(b"\xa5" * (size - 4096))


def write(data):
    def make(name):
        with open(name, "wb") as f:
            f.write(data)
    return make


def foreign(name):
    db = sqlite3.connect(name)
    db.execute("CREATE TABLE x (y)")
    db.close()


def status(u):
    r = subprocess.run([os.path.join(it.BUILD, "signalpost"), "status", "--json", "-c", u.conf],
                       capture_output=True, text=True, timeout=120)
    return json.loads(r.stdout) if r.stdout else {"problems": [r.stderr]}


def adds_up(u, n):
    ledger = status(u)["ledger"]
    return ledger and ledger["good"] and [(s["made"], s["uploaded"]) for s in ledger["sinks"]] == [(n, n)]


AT_START = (  # what is done to it while nobody runs; what status says then; what the uploader says
    ("removed", remove("", "-wal", "-shm"), None, None),
    ("removed, its log is left", remove(""), None, None),
    ("its log removed", remove("-wal", "-shm"), None, None),
    ("empty", truncate(0), "empty", None),
    ("cut", truncate(5000), "malformed", "damaged"),
    ("overwritten", overwrite, "malformed", "damaged"),
    ("a text", replaced_by(write(b"no database\n" * 500)), "not a database", "damaged"),
    ("another's", replaced_by(foreign), "some other program's", "damaged"),
    ("a directory", replaced_by(os.mkdir), "not a regular file", "damaged"),
    ("a FIFO", replaced_by(os.mkfifo), "not a regular file", "damaged"),
    ("a link", replaced_by(lambda name: os.symlink("/etc/passwd", name)), "not a regular file", "damaged"),
)


def t_at_start():
    for what, act, said, log in AT_START:
        e = it.Endpoint(usual=it.error(503, "later"))
        u = it.Uploader(e.url())
        for i in range(3):
            u.put("a%d\n" % i)
        u.says("next try")
        u.stop()
        act(u)
        e.usual = it.taken
        problems = "\n".join(status(u)["problems"])
        ok(not said or said in problems, "%s: status says %s" % (what, said), problems)
        u.start()
        ok(it.wait(lambda: not u.left() and adds_up(u, 3)), "%s: all is sent, and it adds up" % what,
           u.text() + str(status(u)))
        aside = os.path.lexists(path(u, ".damaged"))
        ok(aside == (log == "damaged") == ("it is now ledger.db.damaged" in u.text()),
           "%s: %s" % (what, "it is set aside" if log else "nothing is set aside"), u.text())
        problems = [p for p in status(u)["problems"] if "ledger.db.damaged" in p]
        ok(len(problems) == aside, "%s: status says so until it is removed" % what, problems)
        u.stop()
        e.close()


RUNNING = (
    ("removed", remove("", "-wal", "-shm"), "removed or replaced"),
    ("its log removed", remove("-wal"), "removed or replaced"),
    ("replaced by a text", replaced_by(write(b"no database\n" * 500)), "removed or replaced"),
    ("overwritten", overwrite, None),  # whose pages are in memory and in the log does not notice
    ("cut", truncate(4096), None),
)


def t_running():
    for what, act, said in RUNNING:
        e = it.Endpoint()
        u = it.Uploader(e.url())
        u.put("before\n")
        u.empty()
        it.wait(lambda: adds_up(u, 1))
        pid = u.proc.pid
        act(u)
        for i in range(40):
            u.put("a%d\n" % i)
        if said:
            ok(u.says(said), "%s while it runs: it says so" % what, u.text())
        ok(it.wait(lambda: not u.left() and (status(u)["ledger"] or {}).get("good")) and u.proc.poll() is None and
           u.proc.pid == pid, "%s: the same process goes on, and it adds up" % what, u.text() + str(status(u)))
        texts = "".join(e.texts()).split()
        ok(set(texts) >= {"a%d" % i for i in range(40)}, "%s: nothing is lost" % what, texts)
        ok(u.stop() == 0, "%s: it ends well" % what, u.text())
        e.close()


def t_newer():
    """Not ours to throw away: the operator has gone back to an older version."""
    e = it.Endpoint()
    u = it.Uploader(e.url())
    u.put()
    u.empty()
    u.stop()
    db = sqlite3.connect(path(u))
    db.execute("PRAGMA user_version = 99")
    db.close()
    u.put()
    u.start()
    ok(u.proc.wait(120) == 71 and "a newer signalpost has written it (version 99, this one reads 1)" in u.text(),
       "one of a newer version is left alone", u.text())
    ok("newer signalpost" in "\n".join(status(u)["problems"]), "status says the same")
    ok(len(u.left()) == 1 and not os.path.exists(path(u, ".damaged")), "nothing is touched")
    os.unlink(path(u))
    u.start()
    ok(u.empty(), "as it says: moved away, all goes on", u.text())
    u.stop()
    e.close()


def t_locked():
    """By somebody who looks into it with sqlite3(1)."""
    e = it.Endpoint()
    u = it.Uploader(e.url())
    u.put()
    u.empty()
    db = sqlite3.connect(path(u), isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    u.put()
    ok(u.says("database is locked"), "locked by another: it says so", u.text())
    db.execute("ROLLBACK")
    db.close()
    ok(u.empty() and it.wait(lambda: adds_up(u, 2)), "and goes on when it is free", u.text())
    ok(not os.path.exists(path(u, ".damaged")), "it is no damage")
    u.stop()
    e.close()


def t_rights():
    """Who may not read all of the spool is told so, and not that there is nothing in it."""
    if os.geteuid() != 0:
        ok(True, "another user # SKIP not root")
        return
    e = it.Endpoint(usual=it.error(400, "no"))
    u = it.Uploader(e.url())
    u.put()
    u.empty()
    os.chmod(it.top, 0o755)
    os.chmod(u.dir, 0o755)
    nobody = pwd.getpwnam("nobody")

    def become():
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    program = tap.for_others(os.path.join(it.BUILD, "signalpost"), it.top)
    if program is None:
        ok(True, "another user # SKIP other users can run nothing here")
        u.stop()
        e.close()
        return
    commands = ["status"], ["status", "--json"], ["events"], ["events", "--rejected"]

    def run(command):
        return subprocess.run([program, *command, "-c", u.conf], preexec_fn=become, capture_output=True, text=True,
                              timeout=120)
    for mode in (0o755, 0o700):
        os.chmod(u.spool, mode)
        for command in commands:
            r = run(command)
            ok(r.returncode == 1 and not r.stdout and "Permission denied (run this as root" in r.stderr,
               "nobody, %o: %s" % (mode, " ".join(command)), r.stdout + r.stderr)
    os.chmod(u.spool, 0o755)
    for d, _, files in os.walk(u.spool):
        os.chmod(d, 0o755)
        for n in files:
            os.chmod(os.path.join(d, n), 0o644)
    for command in commands:
        r = run(command)
        ok(r.returncode == 0 and "does not run" not in r.stdout, "who may read: %s" % " ".join(command), r.stdout + r.stderr)
    os.chmod(it.top, 0o700)
    u.stop()
    e.close()


def fill(name):
    with open(name, "wb", buffering=0) as f:
        try:
            while f.write(b"x" * 4096):
                pass
        except OSError:
            pass


def full(fs, what, make, unmake):
    """It has never run here, or what it left is damaged, and there is no room."""
    e = it.Endpoint()
    u = it.Uploader(e.url(), extra="  min-free-space 0\n", start=False)
    u.spool = os.path.join(fs, "spool")
    u.events = os.path.join(u.spool, "events")
    os.makedirs(os.path.join(u.events, "open"))
    u.write_conf()
    for i in range(3):
        u.put("a%d\n" % i)
    make(u)
    u.start()
    ok(u.says("nothing is sent until there is room") and u.proc.poll() is None,
       "%s: it says so and waits" % what, u.text())
    unmake(u)
    ok(it.wait(lambda: not u.left() and adds_up(u, 3)), "%s: with room all is sent, and it adds up" % what,
       u.text() + str(status(u)))
    ok(u.stop() == 0, "%s: it ends well" % what)
    shutil.rmtree(u.spool)
    e.close()


def t_full():
    fs = os.path.join(it.top, "fs")
    os.mkdir(fs)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,nr_inodes=100", "tmpfs", fs],
                                           stderr=subprocess.DEVNULL).returncode != 0:
        ok(True, "a full disk # SKIP no tmpfs can be mounted")
        return
    filler = os.path.join(fs, "filler")

    def files(u):
        i = 0
        try:
            while True:
                open("%s%d" % (filler, i), "w").close()
                i += 1
        except OSError:
            pass

    def no_files(u):
        for n in os.listdir(fs):
            if n.startswith("filler"):
                os.unlink(os.path.join(fs, n))

    try:
        full(fs, "first start on a full disk", lambda u: fill(filler), lambda u: os.unlink(filler))
        full(fs, "first start without inodes", files, no_files)

        def damaged(u):
            with open(path(u), "wb") as f:
                f.write(b"no database\n" * 500)
            fill(filler)
        full(fs, "damaged on a full disk", damaged, lambda u: os.unlink(filler))
    finally:
        subprocess.run(["umount", "-l", fs])


def main():
    it.top = tempfile.mkdtemp(prefix="it-ledger.")
    os.chmod(it.top, 0o700)
    try:
        t_at_start()
        t_running()
        t_newer()
        t_locked()
        t_rights()
        t_full()
    finally:
        for u in it.live:
            u.stop(signal.SIGKILL)
    if not os.environ.get("KEEP"):
        shutil.rmtree(it.top)
    return it.plan()


if __name__ == "__main__":
    sys.exit(main())
