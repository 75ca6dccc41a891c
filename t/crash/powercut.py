#!/usr/bin/env python3
"""Takes the power away at each point of a recorded run, and looks at what is left.

    powercut.py [--every N] [--seed N] [--uploader N] [-v]

A program writes to a spool and says what it has acknowledged; recorder.so writes down each write,
sync, rename and unlink in order. After each of them (or each N-th) the state that a disk may have is
built, by four models, and our own recovery is run on it:

    strict      what was not synced is gone: data, and names in directories
    names       all names are there, data that was not synced is not (zero length, old content)
    torn        all names; of unsynced data some pieces, from anywhere, one of them cut
    data        all data is there, names that were not synced are not

What was acknowledged before that point must be there, whole; nothing torn may look whole. Then the
same for signalpost-uploader: each event is in the spool, or its batch was answered 200 before the
power went and it is in an archive; and an uploader that starts there sends the rest, the archives
have each event once, and its ledger adds up.

TAP on standard output. builddir and srcdir as in all tests.
"""
import argparse
import gzip
import http.server
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.path.abspath(os.environ.get("builddir", "."))
RECORDER = os.path.join(BUILD, "t/crash/recorder.so")
DRIVE = os.path.join(BUILD, "t/crash/drive")
CHECK = os.path.join(BUILD, "t/crash/check")
UPLOADER = os.path.join(BUILD, "signalpost-uploader")
SIGNALPOST = os.path.join(BUILD, "signalpost")
MODELS = ("strict", "names", "torn", "data")

count = failed = 0


def ok(good, what, more=""):
    global count, failed
    count += 1
    print("%sok %d - %s" % ("" if good else "not ", count, what), flush=True)
    if not good:
        failed += 1
        for line in str(more).splitlines()[:12]:
            print("# " + line)
    return good


# ---- the record ----

def read_record(path):
    """[(op, args, bytes)]"""
    with open(path, "rb") as f:
        data = f.read()
    ops, at = [], 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].decode("utf-8", "surrogateescape").split(" ")
        at = end + 1
        more = b""
        if words[0] in "WAG":
            n = int(words[-1])
            more = data[at:at + n]
            at += n
        ops.append((words[0], words[1:], more))
    return ops


class File:
    """Content that is safe, and what was done since the last sync."""

    def __init__(self, content=b""):
        self.safe = bytearray(content)
        self.pending = []  # ("W", at, bytes) or ("T", length)

    @staticmethod
    def apply(content, op):
        if op[0] == "T":
            if op[1] < len(content):
                del content[op[1]:]
            else:
                content.extend(b"\0" * (op[1] - len(content)))
            return
        _, at, data = op
        if at > len(content):
            content.extend(b"\0" * (at - len(content)))
        content[at:at + len(data)] = data

    def sync(self):
        for op in self.pending:
            self.apply(self.safe, op)
        self.pending = []

    def content(self, model, rnd):
        out = bytearray(self.safe)
        if model == "data":
            for op in self.pending:
                self.apply(out, op)
        elif model == "torn":
            # Sectors reach the disk in any order: a piece may be there although one before it is not.
            for op in self.pending:
                if rnd.random() < 0.5:
                    continue
                if op[0] == "W" and rnd.random() < 0.5:
                    op = ("W", op[1], op[2][:rnd.randrange(len(op[2]) + 1)])
                self.apply(out, op)
        return bytes(out)


class Disk:
    """The model: directories by number, files by number, operations on names in order."""

    def __init__(self, start):
        self.files, self.dirs, self.parent = {}, {0: {}}, {}
        self.paths = {"": 0}
        self.pending = []  # operations on names, with the directories whose sync makes each last
        self.next = -1  # numbers for what was there before the record began
        self.load(start, "", 0)

    def load(self, start, rel, number):
        for name in os.listdir(os.path.join(start, rel)):
            path = os.path.join(rel, name)
            full = os.path.join(start, path)
            if os.path.isdir(full):
                self.dirs[self.next] = {}
                child = self.next
            else:
                with open(full, "rb") as f:
                    self.files[self.next] = File(f.read())
                child = self.next
            self.next -= 1
            self.paths[path] = child
            self.dirs[number][name] = child
            if os.path.isdir(full):
                self.load(start, path, child)

    def rename_number(self, number, path):
        """The record has met what was there from the start."""
        old = self.paths[path]
        if old == number:
            return
        for table in (self.files, self.dirs):
            if old in table:
                table[number] = table.pop(old)
        for entries in self.dirs.values():
            for name, child in entries.items():
                if child == old:
                    entries[name] = number
        self.paths[path] = number

    def step(self, op, args, data):
        if op == "P":
            self.rename_number(int(args[0]), " ".join(args[1:]))
        elif op in "CM":
            number, parent, name = int(args[0]), int(args[1]), args[2]
            (self.files if op == "C" else self.dirs)[number] = File() if op == "C" else {}
            self.pending.append(({parent}, ("add", parent, name, number)))
        elif op == "W":
            self.files[int(args[0])].pending.append(("W", int(args[1]), data))
        elif op == "T":
            self.files[int(args[0])].pending.append(("T", int(args[1])))
        elif op == "S":
            self.sync(int(args[0]))
        elif op == "R":
            d1, n1, d2, n2 = int(args[0]), args[1], int(args[2]), args[3]
            self.pending.append(({d1, d2}, ("move", d1, n1, d2, n2, self.lookup(d1, n1))))
        elif op == "L":
            self.pending.append(({int(args[1])}, ("add", int(args[1]), args[2], int(args[0]))))
        elif op == "U":
            self.pending.append(({int(args[0])}, ("remove", int(args[0]), args[1])))

    def lookup(self, directory, name):
        """What a name leads to now, lasting or not."""
        child = self.dirs[directory].get(name)
        for _, what in self.pending:
            if what[0] == "add" and what[1:3] == (directory, name):
                child = what[3]
            elif what[0] == "move" and what[3:5] == (directory, name):
                child = what[5]
        return child

    def sync(self, number):
        if number in self.files:
            self.files[number].sync()
            return
        rest = []
        for where, what in self.pending:
            # A move is one step, as a journal has it: the sync of either directory makes it last,
            # and with it that the file was under its old name no longer.
            if number in where:
                self.name_step(self.dirs, what)
                if what[0] == "move":
                    rest = [(w, x) for w, x in rest if not (x[0] == "add" and x[1:3] == what[1:3])]
            else:
                rest.append((where, what))
        self.pending = rest

    @staticmethod
    def name_step(dirs, what):
        if what[0] == "add":
            dirs[what[1]][what[2]] = what[3]
        elif what[0] == "remove":
            dirs[what[1]].pop(what[2], None)
        else:
            if dirs[what[1]].get(what[2]) == what[5]:
                del dirs[what[1]][what[2]]
            dirs[what[3]][what[4]] = what[5]

    def state(self, model, rnd):
        """{path: bytes or None for a directory}"""
        dirs = {n: dict(e) for n, e in self.dirs.items()}
        if model in ("names", "torn"):
            for _, what in self.pending:
                self.name_step(dirs, what)
        out = {}

        def walk(number, rel):
            for name, child in dirs[number].items():
                path = os.path.join(rel, name)
                if child in dirs:
                    out[path] = None
                    walk(child, path)
                elif not name.endswith("-shm"):
                    out[path] = self.files[child].content(model, rnd)
        walk(0, "")
        return out


def build(state, top):
    for path in sorted(state):
        full = os.path.join(top, path)
        if state[path] is None:
            os.makedirs(full, exist_ok=True)
        else:
            with open(full, "wb") as f:
                f.write(state[path])


class Checker:
    def __init__(self):
        self.p = subprocess.Popen([CHECK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, top):
        """(set of what is there, list of what is bad)"""
        self.p.stdin.write(top + "\n")
        self.p.stdin.flush()
        there, bad = set(), []
        for line in self.p.stdout:
            line = line.rstrip("\n")
            if line == "end":
                return there, bad
            (bad.append if line.startswith("bad ") else there.add)(line)
        raise RuntimeError("check died on " + top)

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def run_recorded(argv, spool, record, **more):
    env = dict(os.environ, LD_PRELOAD=RECORDER, RECORD_DIR=spool, RECORD_LOG=record)
    return subprocess.Popen(argv, env=env, **more)


def each_state(ops, start, every, rnd):
    """(position, model, state, disk) for each state that differs from the one before."""
    disk = Disk(start)
    last = {}
    for at, (op, args, data) in enumerate(ops):
        if op not in "AG":
            disk.step(op, args, data)
        if at % every and at != len(ops) - 1:
            continue
        for model in MODELS:
            state = disk.state(model, rnd)
            key = hash(tuple(sorted((p, c) for p, c in state.items() if c is not None)))
            if op in "AG" or last.get(model) != key:
                last[model] = key
                yield at, model, state


def check_state(check, top, state):
    place = os.path.join(top, "s")
    build(state, place)
    there, _ = check(place)
    shutil.rmtree(place)
    return there


# ---- the writers ----

def acked_at(ops):
    """For each position, how many acknowledgements came before it, and all of them."""
    acks, upto, text = [], [], ""
    for op, _, data in ops:
        if op == "A":
            text += data.decode()
            *lines, text = text.split("\n")
            acks += lines
        upto.append(len(acks))
    return acks, upto


def test_writers(top, opt, rnd):
    spool, record = os.path.join(top, "w-spool"), os.path.join(top, "w-record")
    os.mkdir(spool)
    subprocess.run([DRIVE, spool, "1", "3"], check=True, stdout=subprocess.DEVNULL)
    start = os.path.join(top, "w-start")
    shutil.copytree(spool, start)
    p = run_recorded([DRIVE, spool, "4", str(opt.rounds)], spool, record, stdout=subprocess.PIPE)
    p.stdout.read()
    ok(p.wait() == 0, "the writers end well")
    ops = read_record(record)
    acks, upto = acked_at(ops)
    check = Checker()
    there, bad = check(start)
    old = set(there)
    unsynced = Disk(start)
    for op in ops:
        if op[0] not in "SAG":
            unsynced.step(*op)
    ok(set(acks) - check_state(check, top, unsynced.state("strict", rnd)), "a program that did not sync would be caught")
    ok(not bad, "the start is whole", bad)
    ok(len(acks) >= 4 * opt.rounds, "%d things were acknowledged in %d steps" % (len(acks), len(ops)))
    states = 0
    problems = {m: [] for m in MODELS}
    for at, model, state in each_state(ops, start, opt.every, rnd):
        place = os.path.join(top, "s")
        build(state, place)
        there, bad = check(place)
        shutil.rmtree(place)
        states += 1
        missing = (set(acks[:upto[at]]) | old) - there
        if missing or bad:
            problems[model].append("step %d (%s): missing %s; %s" % (at, " ".join((ops[at][0], *ops[at][1])),
                                                                   sorted(missing)[:3], bad[:3]))
    check.close()
    for model in MODELS:
        ok(not problems[model], "writers, %s: what was acknowledged is there, and nothing torn (%d states in all)"
           % (model, states), "\n".join(problems[model]))


# ---- the uploader ----

class Endpoint:
    """Takes batches as SparkPost does; remembers whose events came in which."""

    def __init__(self):
        self.batches, self.lock = [], threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ids = [e["event_id"] for line in gzip.decompress(body).splitlines() if line.strip()
                       for c in json.loads(line)["msys"].values() for e in [c]]
                with outer.lock:
                    number = len(outer.batches)
                    outer.batches.append(ids)
                text = json.dumps({"results": {"id": "batch-%d-" % number}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/api/v1/ingest/events" % self.server.server_address[1]

    def ids(self):
        return {int(i) for b in self.batches for i in b}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def configure(path, spool, url):
    with open(path, "w") as f:
        f.write("""host-name mail.example.com
<signals>
    api-key 0123456789abcdef0123456789abcdef01234567
    upload-url %s
    upload-interval 1s
</signals>
<milter>
    user ""
</milter>
<spool>
    directory %s
</spool>
<sink archive>
    type file
    directory %s/archive
    compress none
    max-size 64k
</sink>
""" % (url, spool, spool))


def archived(spool):
    """The ids of all whole lines that a state of the archives has; each counts."""
    out = []
    path = os.path.join(spool, "archive")
    for name in sorted(os.listdir(path)) if os.path.isdir(path) else []:
        with open(os.path.join(path, name), "rb") as f:
            for line in f.read().split(b"\n")[:-1]:
                try:
                    out += [int(e["event_id"]) for e in json.loads(line)["msys"].values()]
                except ValueError:
                    pass  # behind what the ledger counts
    return out


def waits(spool):
    for d in ("events", "events/open"):
        if any(n.endswith(".json") for n in os.listdir(os.path.join(spool, d))):
            return True
    return False


def until_sent(process, spool, seconds=180):
    end = time.time() + seconds
    while time.time() < end and process.poll() is None:
        if not waits(spool):
            return True
        time.sleep(0.01)
    return False


def answered(ops, endpoint):
    """For each position, the ids whose batch had been answered before it."""
    out, have, text = [], set(), b""
    for op, _, data in ops:
        if op == "G":
            text = (text + data)[-4000:]
            while b'"batch-' in text:
                rest = text[text.index(b'"batch-') + 7:]
                if b"-" not in rest:
                    break
                number = rest[:rest.index(b"-")]
                have = have | {int(i) for i in endpoint.batches[int(number)]}
                text = rest[rest.index(b"-"):]
        out.append(have)
    return out


def test_uploader(top, opt, rnd):
    spool, record, conf = (os.path.join(top, n) for n in ("u-spool", "u-record", "u-conf"))
    os.mkdir(spool)
    subprocess.run([DRIVE, spool, "4", str(opt.rounds)], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(os.path.join(spool, "inbound"))
    shutil.rmtree(os.path.join(spool, "rejected"))
    start = os.path.join(top, "u-start")
    shutil.copytree(spool, start)
    check = Checker()
    there, _ = check(start)
    every = {int(x.split()[1]) for x in there if x.startswith("event ")}
    endpoint = Endpoint()
    configure(conf, spool, endpoint.url)
    with open(os.path.join(top, "u-log"), "w") as log:
        p = run_recorded([UPLOADER, "-f", "-c", conf], spool, record, stderr=log, stdout=log)
        good = until_sent(p, spool)
        p.send_signal(signal.SIGTERM)
        good = p.wait(180) == 0 and good
    ok(good and endpoint.ids() == every, "the uploader sends %d events" % len(every), open(os.path.join(top, "u-log")).read())
    ops = read_record(record)
    done = answered(ops, endpoint)
    endpoint.close()
    problems = {m: [] for m in MODELS}
    states = []
    n = 0
    for at, model, state in each_state(ops, start, opt.every, rnd):
        place = os.path.join(top, "s")
        build(state, place)
        there, bad = check(place)
        kept = set(archived(place))
        shutil.rmtree(place)
        n += 1
        have = {int(x.split()[1]) for x in there if x.startswith("event ")}
        lost = every - have - (done[at] & kept)
        if lost or bad:
            problems[model].append("step %d (%s): lost %s; %s" % (at, " ".join((ops[at][0], *ops[at][1])),
                                                               sorted(lost)[:3], bad[:3]))
        states.append((at, model, state))
    check.close()
    for model in MODELS:
        ok(not problems[model], "uploader, %s: no event is lost, the ledger can be read (%d states in all)" % (model, n),
           "\n".join(problems[model]))
    test_restarts(top, rnd.sample(states, min(opt.uploader, len(states))), every, done)


def test_restarts(top, states, every, done):
    """A new uploader begins in these states: the rest is sent, and the ledger adds up."""
    problems = []
    for at, model, state in states:
        place, conf = os.path.join(top, "s"), os.path.join(top, "s-conf")
        build(state, place)
        endpoint = Endpoint()
        configure(conf, place, endpoint.url)
        with open(os.path.join(top, "s-log"), "w") as log:
            p = subprocess.Popen([UPLOADER, "-f", "-c", conf], stderr=log, stdout=log)
            # What was lost with the names of directories is made again at the start.
            end = time.time() + 120
            while not os.path.isdir(os.path.join(place, "events/open")) and time.time() < end:
                time.sleep(0.01)
            good = until_sent(p, place)
            p.send_signal(signal.SIGTERM)
            p.wait(180)
        r = subprocess.run([SIGNALPOST, "status", "-c", conf, "--json"], capture_output=True, text=True)
        ledger = json.loads(r.stdout)["ledger"] if r.stdout else None
        sums = [s for s in ledger["sinks"]] if ledger else []
        kept = archived(place)
        if not good or every - endpoint.ids() - done[at] or sorted(kept) != sorted(every) or not ledger or not ledger["good"] or any(
                s["made"] != s["uploaded"] + s["waiting"] + s["purged"] + s["rejected"] + s["expired"] for s in sums):
            with open(os.path.join(top, "s-log")) as log:
                problems.append("step %d, %s: sent all: %s, lost %s, %d of %d archived in %d lines, ledger %s\n%s" % (
                    at, model, good, sorted(every - endpoint.ids() - done[at])[:5], len(set(kept)), len(every),
                    len(kept), ledger, log.read()[-600:]))
        endpoint.close()
        shutil.rmtree(place)
    ok(not problems, "%d uploaders that start where the power went: all is sent, the ledger adds up" % len(states),
       "\n".join(problems))


def fast_place():
    """In memory if there is room: containers often have little."""
    try:
        fs = os.statvfs("/dev/shm")
    except OSError:
        return None
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) and fs.f_bavail * fs.f_frsize > 256 << 20 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=int(os.environ.get("POWERCUT_EVERY", 7)))
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("POWERCUT_ROUNDS", 20)))
    parser.add_argument("--uploader", type=int, default=int(os.environ.get("POWERCUT_STARTS", 10)))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("POWERCUT_SEED", random.randrange(10**6))))
    opt = parser.parse_args()
    if not os.path.exists(RECORDER):
        print("1..0 # SKIP no recorder: built with a sanitizer")
        return 0
    print("# seed %d, every %d steps" % (opt.seed, opt.every))
    rnd = random.Random(opt.seed)
    top = tempfile.mkdtemp(prefix="sp-powercut.", dir=fast_place())
    try:
        test_writers(top, opt, rnd)
        test_uploader(top, opt, rnd)
    finally:
        if not os.environ.get("KEEP"):
            shutil.rmtree(top, ignore_errors=True)
    print("1..%d" % count)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
