#!/usr/bin/env python3
"""Logs that no MTA of ours writes, read by the uploader: lines as other loggers have them, a log behind a
symbolic link, stamps of another time zone, lines of no known form, one message in two logs."""
import glob
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import ok, plan, wait  # noqa: E402

BUILD = os.environ.get("builddir", ".")
ISO = "%Y-%m-%dT%H:%M:%S+00:00"
CONF = """host-name mail.example.com
<signals>
    api-key 0123456789abcdef0123456789abcdef01234567
    upload-url http://127.0.0.1:1/api/v1/ingest/events
</signals>
<milter>
    user ""
</milter>
<spool>
    directory %(dir)s/spool
    segment-age 1s
</spool>
<token-keys>
    directory %(dir)s/keys
</token-keys>
<mail-log>
    file %(dir)s/log/mail.log
</mail-log>
"""


class Uploader:
    """With messages that were received a moment ago: AAAA0000 to r0@x.example and so on."""

    def __init__(self, n):
        self.dir = tempfile.mkdtemp(prefix="sp-lmade.")
        for name in ("spool/events/open", "log", "keys"):
            os.makedirs(os.path.join(self.dir, name))
        self.log = self.dir + "/log/mail.log"
        with open(self.dir + "/conf", "w", encoding="utf-8") as f:
            f.write(CONF % {"dir": self.dir})
        now = int(time.time()) - 2
        with open(self.dir + "/segment", "w", encoding="utf-8") as f:
            for i in range(n):
                f.write(json.dumps({"msys": {"message_event": {
                    "type": "reception", "event_id": str(i + 1), "timestamp": str(now), "recv_method": "esmtp",
                    "queue_id": "AAAA%04X" % i, "msg_size": "10", "routing_domain": "x.example",
                    "msg_from": "a@b.example", "message_id": "0000" + struct.pack("<I", now).hex() + "%08x" % (i + 1),
                    "rcpt_to": "r%d@x.example" % i, "raw_rcpt_to": "r%d@x.example" % i}}}) + "\n")
        os.rename(self.dir + "/segment", self.dir + "/spool/events/sp1-%016X.json" % (now * 1000000))
        self.process = None

    def start(self):
        with open(self.dir + "/out", "ab") as out:
            self.process = subprocess.Popen([BUILD + "/signalpost-uploader", "-f", "-c", self.dir + "/conf"], stdout=out,
                                            stderr=out, stdin=subprocess.DEVNULL, env=dict(os.environ, TZ="UTC0"))

    def end(self):
        self.process.kill()
        self.process.wait()

    def events(self, kind):
        """Whose they are."""
        found = set()
        for name in glob.glob(self.dir + "/spool/events/*.json") + glob.glob(self.dir + "/spool/events/open/*"):
            try:
                with open(name, encoding="utf-8") as f:
                    lines = f.readlines()
            except FileNotFoundError:  # closed, or taken away
                continue
            for line in lines:
                if line.endswith("\n") and '"type":"%s"' % kind in line:
                    found.add(json.loads(line)["msys"]["message_event"]["rcpt_to"])
        return sorted(found)

    def delivered(self):
        return self.events("delivery")

    def said(self):
        with open(self.dir + "/out", encoding="utf-8") as f:
            return f.read()

    def put(self, text, path=None):
        with open(path or self.log, "a", encoding="utf-8") as f:
            f.write(text + "\n")

    def gets(self, n, what):
        wanted = sorted("r%d@x.example" % i for i in range(n))
        wait(lambda: self.delivered() == wanted, 30)
        ok(self.delivered() == wanted, what, self.delivered(), self.said())

    def over(self):
        self.end()
        shutil.rmtree(self.dir)


def sent(i, rcpt="r%d@x.example"):
    return ("AAAA%04X: to=<" + rcpt + ">, relay=mx.x.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
            "status=sent (250 2.0.0 Ok)") % (i, i)


def forms():
    t = time.time()
    u, now = Uploader(7), time.gmtime(t)
    iso, old = time.strftime("%Y-%m-%dT%H:%M:%S", now), time.strftime("%b %e %H:%M:%S", now)
    frames = [old + " relay postfix/smtp[1]: %s", "<22>" + old + " relay postfix/smtp[1]: %s",
              "<22>1 " + iso + ".25Z relay postfix/smtp 1 - - %s", iso + ".5Z stdout F " + old + " c postfix/smtp[1]: %s",
              time.strftime("%b %e %Y %H:%M:%S", now) + " relay postfix/smtp[1]: %s\r",
              time.strftime("%a %Y-%m-%d %H:%M:%S UTC", now) + " relay postfix-out/smtp[1]: %s",
              "%.6f postfix/relay/smtp[1]: %%s" % t]
    for i, frame in enumerate(frames):
        u.put(frame % sent(i))
    u.start()
    u.gets(7, "lines of seven loggers")
    ok("no form that is known" not in u.said(), "which need no warning", u.said())
    for i in range(250):
        u.put("a line of something else %d" % i)
    wait(lambda: "its lines have no form that is known" in u.said(), 30)
    ok("its lines have no form that is known" in u.said(), "lines of no known form are warned of", u.said())
    u.over()


def linked():
    u = Uploader(4)
    far = u.dir + "/far"
    stamp = time.strftime(ISO, time.gmtime()) + " relay postfix/smtp[1]: "
    os.mkdir(far)
    u.put(stamp + sent(0), far + "/log")
    os.symlink(far + "/log", u.log)
    u.start()
    u.gets(1, "a log behind a symbolic link")
    u.put(stamp + sent(1), far + "/log")
    os.rename(far + "/log", far + "/log.1")
    u.put(stamp + sent(2), far + "/log")
    u.gets(3, "rotated where it is")
    u.end()
    u.put(stamp + sent(3), far + "/log")
    os.rename(far + "/log", far + "/log.2")
    u.put("", far + "/log")
    u.start()
    u.gets(4, "rotated there while the uploader was stopped")
    u.over()


def zone(hours, word):
    u = Uploader(2)
    u.put("")
    u.start()

    def stamp():
        return time.strftime("%b %e %H:%M:%S", time.gmtime(time.time() + hours * 3600)) + " relay postfix/smtp[1]: "

    def told():  # new lines come until it has been seen that they are new
        u.put(stamp() + sent(0, "stranger%d@x.example"))
        return word in u.said()
    if hours > 0:
        for i in range(2):
            u.put(stamp() + sent(i, "stranger%d@x.example") + "\n" + stamp() + sent(i))
        u.gets(2, "stamps ahead of ours: others' mail does not hold up ours for long")
    wait(told, 60)
    ok(word in u.said(), "the operator hears that stamps are %s" % word, u.said())
    u.over()


def two_logs():
    """What postfix-in gives to postfix-out ends there, whichever log is read first."""
    u = Uploader(8)
    out = u.dir + "/log/out.log"
    with open(u.dir + "/conf", "a", encoding="utf-8") as f:
        f.write("<mail-log>\n    file %s\n</mail-log>\n" % out)
    bounce = ("BBBB%04X: to=<r%d@x.example>, relay=mx.x.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, "
              "status=bounced (host mx.x.example[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command))")
    for i in range(8):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime()) + "%d00000+00:00 relay " % i
        u.put(stamp + sent(i).replace("250 2.0.0 Ok", "250 2.0.0 Ok: queued as BBBB%04X" % i).replace(
            "AAAA", "postfix-in/smtp[1]: AAAA", 1))
        u.put(stamp + "postfix-out/smtpd[1]: BBBB%04X: client=localhost[127.0.0.1]" % i, out)
        u.put(stamp + "postfix-out/smtp[1]: " + bounce % (i, i), out)
    u.start()
    wait(lambda: len(u.events("inband")) == 8, 30)
    ok(len(u.events("inband")) == 8 and not u.events("delivery"), "a message in the logs of two instances: its last hop's end",
       u.events("inband"), u.events("delivery"), u.said())
    u.over()


forms()
linked()
two_logs()
zone(3, "minutes ahead of this host's clock")
zone(-3, "minutes behind this host's clock")
sys.exit(plan())
