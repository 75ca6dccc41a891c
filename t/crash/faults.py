#!/usr/bin/env python3
"""Disks that are full or broken, and processes without descriptors: nothing that was acknowledged is
lost, nothing torn looks whole, nothing crashes, and all goes on when the trouble has passed.

    faults.py [--rounds N] [--seed N]

First the writers, then signalpost-uploader, under faults.so (each call fails now and then), and on small
file systems that are full in bytes and in inodes (as root).

TAP on standard output. builddir and srcdir as in all tests.
"""
import argparse
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("builddir", "."))
FAULTS = os.path.join(BUILD, "t/crash/faults.so")

spec = importlib.util.spec_from_file_location("powercut", os.path.join(HERE, "powercut.py"))
powercut = importlib.util.module_from_spec(spec)
spec.loader.exec_module(powercut)
ok = powercut.ok

TROUBLES = (
    ("ENOSPC", "write,sync", 15), ("ENOSPC", "write,open,rename", 9), ("EIO", "sync", 6), ("EIO", "write,sync,truncate", 9),
    ("EDQUOT", "write", 7), ("EMFILE", "open", 4), ("EIO", "rename", 4), ("EIO", "write,unlink,truncate", 6),
    ("EIO", "write,sync,open,rename,unlink,truncate", 25),
)


def with_faults(argv, directory, trouble, seed, flag=None, **more):
    error, ops, one_in = trouble
    env = dict(os.environ, LD_PRELOAD=FAULTS, FAULT_DIR=directory, FAULT_ERRNO=error, FAULT_OPS=ops,
               FAULT_ONE_IN=str(one_in), FAULT_SEED=str(seed))
    if flag:
        env["FAULT_WHILE"] = flag
    return subprocess.Popen(argv, env=env, **more)


def drive(spool, *args):
    subprocess.run([powercut.DRIVE, spool, *args], check=True, stdout=subprocess.DEVNULL)


def test_writers(top, opt, rnd):
    check = powercut.Checker()
    for trouble in TROUBLES:
        bad_ones, acks, refused = [], 0, 0
        for _ in range(opt.rounds):
            spool = os.path.join(top, "spool")
            os.mkdir(spool)
            drive(spool, "1", "3")
            old, _ = check(spool)
            flag = os.path.join(top, "flag")
            open(flag, "w").close()
            seed = rnd.randrange(10**6)
            p = with_faults([powercut.DRIVE, spool, "4", "15", "tolerant"], spool, trouble, seed, flag,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            out, err = p.communicate(timeout=600)
            os.unlink(flag)
            acked = set(out.split("\n")) - {""}
            acks += len(acked)
            refused += err.count("drive: ")
            there, bad = check(spool)
            missing = (acked | old) - there
            if p.returncode or missing or bad:
                bad_ones.append("seed %d: exit %s, missing %s, %s; %s" % (seed, p.returncode, sorted(missing)[:3], bad[:3],
                                                                    err[-200:]))
            shutil.rmtree(spool)
        ok(not bad_ones and refused > 0, "writers, %s at %s: %d acknowledged and there, %d refused" % (*trouble[:2], acks, refused),
           "\n".join(bad_ones) or "no fault was seen")
    check.close()


def test_small(top, rnd):
    """File systems that really are full."""
    check = powercut.Checker()
    for option, what in (("size=200k", "bytes"), ("size=20m,nr_inodes=18", "inodes")):
        place = os.path.join(top, "small")
        os.mkdir(place)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", option, "none", place], stderr=subprocess.DEVNULL).returncode:
            ok(True, "a disk full in %s # SKIP no right to mount" % what)
            os.rmdir(place)
            continue
        try:
            spool = os.path.join(place, "s")
            os.mkdir(spool)
            p = subprocess.run([powercut.DRIVE, spool, "4", "400", "tolerant"], capture_output=True, text=True, timeout=600)
            acked = set(p.stdout.split("\n")) - {""}
            there, bad = check(spool)
            ok(p.returncode == 0 and acked and acked <= there and not bad and "No space left" in p.stderr,
               "a disk full in %s: %d acknowledged and there, the rest refused" % (what, len(acked)),
               "exit %d, missing %s, %s, %s" % (p.returncode, sorted(acked - there)[:3], bad[:3], p.stderr[-300:]))
        finally:
            subprocess.run(["umount", place], check=True)
            os.rmdir(place)
    check.close()


def test_uploader(top, opt, rnd):
    check = powercut.Checker()
    for trouble in TROUBLES:
        spool, conf, flag = (os.path.join(top, n) for n in ("spool", "conf", "flag"))
        os.mkdir(spool)
        drive(spool, "4", "30")
        there, _ = check(spool)
        every = {int(x.split()[1]) for x in there if x.startswith("event ")}
        endpoint = powercut.Endpoint()
        powercut.configure(conf, spool, endpoint.url)
        log_path = os.path.join(top, "log")
        open(flag, "w").close()
        good = True
        with open(log_path, "w") as log:
            for round_ in range(opt.rounds):
                drive(spool, "4", "30")
                p = with_faults([powercut.UPLOADER, "-f", "-c", conf], spool, trouble, rnd.randrange(10**6), flag,
                                stdout=log, stderr=log)
                # It may refuse to start: that is an answer. It may not crash.
                end = time.time() + 3
                while time.time() < end and p.poll() is None and powercut.waits(spool):
                    time.sleep(0.02)
                if p.poll() is None:
                    p.send_signal(signal.SIGTERM)
                code = p.wait(180)
                if code not in (0, 71, 75, 78, -signal.SIGTERM):  # the last: it had hardly begun
                    good = False
                    log.write("exit %d in round %d\n" % (code, round_))
        os.unlink(flag)
        with open(log_path) as f:
            text = f.read()
        ok(good, "uploader, %s at %s: it does not crash, in %d rounds" % (*trouble[:2], opt.rounds), text[-1500:])
        ok(len(text) < 200000, "nor does it flood the log (%d bytes)" % len(text))
        with open(log_path, "w") as log:
            p = subprocess.Popen([powercut.UPLOADER, "-f", "-c", conf], stdout=log, stderr=log)
            done = powercut.until_sent(p, spool)
            p.send_signal(signal.SIGTERM)
            p.wait(180)
        r = subprocess.run([powercut.SIGNALPOST, "status", "-c", conf, "--json"], capture_output=True, text=True)
        ledger = json.loads(r.stdout)["ledger"] if r.stdout else None
        with open(log_path) as f:
            text = f.read()
        missing = every - endpoint.ids()
        ok(done and not missing and ledger and ledger["good"], "and when that has passed, all is sent, and the ledger adds up",
           "missing %s, ledger %s\n%s" % (sorted(missing)[:5], ledger, text[-1000:]))
        endpoint.close()
        shutil.rmtree(spool)
    check.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("FAULT_ROUNDS", 2)))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("FAULT_SEED", random.randrange(10**6))))
    opt = parser.parse_args()
    if not os.path.exists(FAULTS):
        print("1..0 # SKIP no faults.so: built with a sanitizer")
        return 0
    print("# seed %d" % opt.seed)
    rnd = random.Random(opt.seed)
    top = os.path.realpath(tempfile.mkdtemp(prefix="sp-faults."))
    try:
        test_writers(top, opt, rnd)
        test_small(top, rnd)
        test_uploader(top, opt, rnd)
    finally:
        if not os.environ.get("KEEP"):
            shutil.rmtree(top, ignore_errors=True)
    print("1..%d" % powercut.count)
    return powercut.failed > 0


sys.exit(main())
