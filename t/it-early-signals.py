#!/usr/bin/env python3
"""SIGUSR1 and SIGHUP to a daemon that has only just begun: it serves all the same."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import free_port, ok, plan, wait  # noqa: E402

BUILD = os.path.abspath(os.environ.get("builddir", "."))
TIMES = 4
RELOADED = {"milter": "settings reloaded", "uploader": "read again", "tracker": "settings reloaded",
            "collector": "settings reloaded"}
SERVES = dict(RELOADED, milter="listening on", tracker="listening on", collector="listening on",
              uploader="Discovered")
CONF = """host-name mail.example.com
<source 127.0.0.0/8>
    always-allow-relaying yes
</source>
<signals>
    api-key 0123456789abcdef0123456789abcdef01234567
    upload-url http://127.0.0.1:%(ingest)d/api/v1/ingest/events
    upload-interval 1s
    engagement-tracking yes
    tracking-domain http://127.0.0.1:%(web)d
</signals>
<milter>
    socket unix:%(top)s/m.sock
    user ""
</milter>
<spool>
    directory %(top)s/spool
</spool>
<token-keys>
    directory %(top)s/keys
</token-keys>
<collector>
    listen 127.0.0.1:%(ingest)d
    database %(top)s/collector.db
    user ""
</collector>
<tracker>
    listen 127.0.0.1:%(web)d
    user ""
</tracker>
"""


def has_begun(pid):
    """main() has been entered: of what it does first the umask can be seen. (Before it signals end a
    process, whatever its program is.)"""
    try:
        with open("/proc/%d/status" % pid) as f:
            return "Umask:\t0007" in f.read()
    except OSError:
        return True


class Daemon:
    def __init__(self, top, name, before=None):
        self.name = name
        self.log = os.path.join(top, name + ".log")
        with open(self.log, "wb") as f:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "signalpost-" + name), "-f", "-c", os.path.join(top, "conf")],
                stdout=f, stderr=f, preexec_fn=before)

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def logs(self, what):
        return wait(lambda: what in self.text() or self.process.poll() is not None) and what in self.text()

    def end(self):
        """Only killed, since a milter takes five seconds to stop."""
        self.process.kill()
        self.process.wait()


def serves(top, ports, d):
    if not d.logs(SERVES[d.name]) or d.process.poll() is not None:
        return False
    if d.name == "uploader":
        return True
    place = os.path.join(top, "m.sock") if d.name == "milter" else ("127.0.0.1", ports[d.name])

    def connects():
        with socket.socket(socket.AF_UNIX if d.name == "milter" else socket.AF_INET) as s:
            try:
                s.connect(place)
                return True
            except OSError:
                return False
    return wait(lambda: connects() or d.process.poll() is not None) and d.process.poll() is None


def test_early(top, ports, name, how, delay):
    d = Daemon(top, name)
    try:
        while not has_begun(d.process.pid) and d.process.poll() is None:
            pass
        time.sleep(delay)
        d.process.send_signal(how)
        ok(serves(top, ports, d), "%s, %s after %.0f ms" % (name, how.name, delay * 1000), d.process.poll(), d.text())
    finally:
        d.end()


def test_waiting(top, ports, name, how):
    """The signal waits already when the program is executed."""
    def before():
        signal.pthread_sigmask(signal.SIG_BLOCK, [how])
        os.kill(os.getpid(), how)
    d = Daemon(top, name, before)
    try:
        good = serves(top, ports, d)
        # libmilter ends by SIGHUP, so that it must not get it.
        if name != "milter" or how != signal.SIGHUP:
            good = good and d.logs(RELOADED[name])
        ok(good, "%s, %s from the start" % (name, how.name), d.process.poll(), d.text())
        if name == "milter" and how == signal.SIGHUP:
            d.process.send_signal(signal.SIGUSR1)
            ok(d.logs(RELOADED[name]), "and reloads when it is asked to", d.process.poll(), d.text())
    finally:
        d.end()


def main():
    top = tempfile.mkdtemp(prefix="sp-early.")
    ports = {"tracker": free_port(), "collector": free_port()}
    os.mkdir(os.path.join(top, "spool"))
    os.mkdir(os.path.join(top, "keys"), 0o700)
    with open(os.path.join(top, "conf"), "w") as f:
        f.write(CONF % {"top": top, "ingest": ports["collector"], "web": ports["tracker"]})
    try:
        for name in SERVES:
            for how in (signal.SIGUSR1, signal.SIGHUP):
                test_waiting(top, ports, name, how)
                if name == "milter" and how == signal.SIGHUP:
                    continue  # once it serves it ends by that, as signalpost-milter(8) says
                for i in range(TIMES):
                    test_early(top, ports, name, how, random.uniform(0, 0.03) if i > 0 else 0)
    finally:
        shutil.rmtree(top, ignore_errors=True)


main()
sys.exit(plan())
