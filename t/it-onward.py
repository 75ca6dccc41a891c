#!/usr/bin/env python3
"""What lies in inbound/onward/ goes on by SMTP: signalpost-uploader against an MTA's stand-in.

Taken, refused, put off, unreachable, too old, sent back to us; nothing is lost or sent twice.
Everything is on 127.0.0.1. TAP on standard output.
"""
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import SLOW, free_port, ok, plan, wait  # noqa: E402

SOURCE = os.environ.get("srcdir", ".")
BUILD = os.environ.get("builddir", ".")
WAIT = 120 * SLOW
MAIL = (b"Received: from x\r\nFrom: Joe <joe@stranger.example>\r\nTo: help@bounces.example\r\n"
        b"Message-ID: <one@stranger.example>\r\nSubject: hello\r\n\r\n.dot\r\n..dots\r\ntext\r\n.\r\nend\r\n")


class Scene:
    """A spool, an uploader, and a relay that can be started and ended."""

    def __init__(self, name, age="5d", extra=""):
        self.top = tempfile.mkdtemp(prefix="sp-onward-%s." % name, dir="/tmp")
        self.port = free_port()
        self.sink_dir = self.top + "/sink"
        self.onward = self.top + "/spool/inbound/onward"
        os.makedirs(self.onward)
        os.makedirs(self.top + "/keys")
        subprocess.run([BUILD + "/signalpost", "genkey", "token", self.top + "/keys"], check=True,
                       stdout=subprocess.DEVNULL)
        with open(self.top + "/conf", "w", encoding="ascii") as f:
            f.write("%shost-name relay.example\n<bounce-processor>\n<address-list>\ndomain bounces.example\n"
                    "</address-list>\n</bounce-processor>\n<inbound>\nonward-relay 127.0.0.1:%d\n"
                    "onward-age %s\n</inbound>\n<token-keys>\ndirectory %s/keys\n</token-keys>\n"
                    "<spool>\ndirectory %s/spool\n</spool>\n<milter>\nuser \"\"\n</milter>\n"
                    % (extra, self.port, age, self.top, self.top))
        self.sink = self.uploader = None
        self.n = self.sinks = 0

    def start_sink(self, *replies):
        args = [a for r in replies for a in ("--reply", r)]
        self.sinks += 1
        self.sink = subprocess.Popen([sys.executable, SOURCE + "/t/lib/sink.py", "--port", str(self.port),
                                      "--dir", "%s/%d" % (self.sink_dir, self.sinks)] + args, stdout=subprocess.PIPE)
        self.sink.stdout.readline()

    def stop_sink(self):
        if self.sink is not None:
            self.sink.kill()
            self.sink.wait()
            self.sink.stdout.close()
        self.sink = None

    def put(self, rcpts, mail=MAIL, sender="joe@stranger.example", age_s=0, order=True):
        self.n += 1
        name = "in1-%016X" % (int((time.time() - age_s) * 1e6) + self.n)
        envelope = {"from": sender, "queue_id": "Q", "client_ip": "192.0.2.1", "client_name": "x",
                    "helo": "x", "received": int(time.time()),
                    "rcpts": [{"to": "x@bounces.example", "list": "bounce"}]}
        if order:
            with open("%s/%s.json" % (self.onward, name), "w", encoding="utf-8") as f:
                json.dump({"why": "unmatched", "from": sender, "rcpts": rcpts}, f)
        with open("%s/%s.tmp" % (self.onward, name), "wb") as f:
            f.write(json.dumps(envelope).encode() + b"\n" + mail)
        os.rename("%s/%s.tmp" % (self.onward, name), "%s/%s.eml" % (self.onward, name))
        return name

    def start(self):
        self.uploader = subprocess.Popen([BUILD + "/signalpost-uploader", "-f", "-c", self.top + "/conf"],
                                         stdout=open(self.top + "/log", "a"), stderr=subprocess.STDOUT)

    def stop(self, how=signal.SIGTERM):
        code = None
        if self.uploader is not None:
            self.uploader.send_signal(how)
            code = self.uploader.wait(WAIT)
        self.uploader = None
        return code

    def log(self):
        with open(self.top + "/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def got(self):
        mails = []
        for name in sorted(glob.glob(self.sink_dir + "/*/*.eml")):
            with open(name, "rb") as f, open(name[:-4] + ".json", encoding="utf-8") as j:
                mails.append((json.load(j), f.read()))
        return mails

    def left(self):
        return sorted(os.listdir(self.onward))

    def rejected(self):
        return sorted(os.listdir(self.top + "/spool/rejected"))

    def reason(self):
        text = ""
        for name in glob.glob(self.top + "/spool/rejected/*.reason"):
            with open(name, encoding="utf-8") as f:
                text += f.read()
        return text

    def end(self):
        code = self.stop()
        ok(code in (0, None), "and ends well", code, self.log())
        self.stop_sink()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.top)


def fields(mail):
    return mail.split(b"\r\n\r\n", 1)[0].decode().split("\r\n")


def test_taken():
    s = Scene("taken")
    s.start_sink()
    s.put(["help@bounces.example", "ops@relay.example"])
    s.put(["help@bounces.example"], b"Subject: odd ends\n\nlf\nonly\n.\nnot the end\rcr\r\n.\n", sender="")
    s.put(["help@bounces.example"], b"Subject: no end\r\n\r\nno line end")
    s.put(["help@bounces.example"], b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n.x\r\n" * 50000)
    s.start()
    ok(wait(lambda: s.left() == []), "all is sent, nothing is left", s.left(), s.log())
    got = s.got()
    ok([m[0]["rcpts"] for m in got[:2]] == [["help@bounces.example"], ["ops@relay.example"]] and len(got) == 5,
       "one recipient a transaction, each once", [m[0] for m in got])
    ok({m[0]["mail_from"] for m in got} == {""}, "MAIL FROM is <>: nothing can be bounced to a stranger")
    ok(got[0][0]["helo"] == "relay.example", "EHLO with host-name", got[0][0])
    head = fields(got[0][1])
    ok([h.split(":")[0] for h in head[:3]] == ["X-Signalpost-Onward", "X-Signalpost-Forwarded", "X-Signalpost-Sender"]
       and head[2] == "X-Signalpost-Sender: <joe@stranger.example>", "our own fields come first", head)
    ok(got[0][1].endswith(MAIL), "and then the mail as it was, Message-ID and dots and all", got[0][1])
    ok(head[0] != fields(got[1][1])[0], "a seal is for one recipient")
    odd = got[2][1].split(b"X-Signalpost-Sender: <>\r\n", 1)
    ok(odd[1:] == [b"Subject: odd ends\r\n\r\nlf\r\nonly\r\n.\r\nnot the end cr\r\n.\r\n"],
       "odd line ends can't end it early", got[2][1])
    ok(got[3][1].endswith(b"no line end\r\n"), "a last line without end gets one")
    ok(got[4][1].endswith(b"\r\n\r\n" + b"0123456789abcdef\r\n.x\r\n" * 50000), "a big one")
    ok("onward: " in s.log() and "(unmatched): 250" in s.log(), "the log says where it went", s.log())
    s.end()


def test_postmaster():
    for where, wanted in (("ops@relay.example", ["ops@relay.example", ""]), ("x@bounces.example", ["", ""])):
        s = Scene("master", extra="postmaster %s\n" % where)
        s.start_sink()
        s.put(["help@relay.example"])
        s.put(["help@relay.example"], sender="")
        s.start()
        ok(wait(lambda: s.left() == []), "sent", s.log())
        ok([m[0]["mail_from"] for m in s.got()] == wanted, "postmaster %s is told what gets lost, or nobody" % where,
           [m[0] for m in s.got()])
        s.end()


def test_refused():
    s = Scene("refused")
    s.start_sink("rcpt:gone@:550 5.1.1 nobody of that name", "eom:spam@:554 5.7.1 not this one")
    s.put(["gone@relay.example", "ops@relay.example"])
    s.put(["spam@relay.example"])
    s.put(["gone@relay.example", "gone@bounces.example"])
    s.start()
    ok(wait(lambda: s.left() == []), "nothing waits that was refused", s.left(), s.log())
    ok([m[0]["rcpts"] for m in s.got()] == [["ops@relay.example"]], "the other recipient has it", s.got())
    reason = s.reason()
    ok("550 5.1.1 nobody of that name" in reason and "554 5.7.1 not this one" in reason,
       "what was refused is in rejected/ with the reason", s.rejected(), reason)
    kept = [n for n in s.rejected() if n.endswith(".eml")]
    bodies = {open(s.top + "/spool/rejected/" + n, "rb").read().split(b"\n", 1)[1] for n in kept}
    ok(len(kept) >= 3 and bodies == {MAIL}, "whole", kept, s.log())
    ok(s.log().count("the relay refused") == 4, "and in the log", s.log())
    s.end()


def test_put_off():
    s = Scene("put-off")
    name = s.put(["busy@relay.example", "ops@relay.example"])
    s.start()
    ok(wait(lambda: s.log().count(" waits: ") >= 2), "a relay that is not there is asked again", s.log())
    ok("onnect" in s.log(), "the log says why", s.log())
    s.start_sink("mail:.*:451 4.3.0 not now")
    ok(wait(lambda: "451 4.3.0 not now" in s.log()), "4xx for all mail: it waits", s.log())
    s.stop_sink()
    s.start_sink("rcpt:busy@:450 4.2.0 mailbox busy")
    ok(wait(lambda: "450 4.2.0 mailbox busy" in s.log()), "4xx for one recipient: he waits", s.log())
    with open("%s/%s.json" % (s.onward, name), encoding="utf-8") as f:
        ok(json.load(f)["rcpts"] == ["busy@relay.example"], "he alone is left in the order")
    s.stop(signal.SIGKILL)
    s.stop_sink()
    s.start_sink()
    s.start()
    ok(wait(lambda: s.left() == []), "after a kill it goes on", s.left(), s.log())
    ok(sorted(m[0]["rcpts"] for m in s.got()) == [["busy@relay.example"], ["ops@relay.example"]],
       "each got it once", [m[0] for m in s.got()])
    s.end()


def test_broken_off():
    s = Scene("broken")
    server = socket.create_server(("127.0.0.1", s.port))
    s.put(["ops@relay.example"])
    s.start()
    server.settimeout(WAIT)
    for stage in range(2):  # the relay dies: at once, then after the data
        c, _ = server.accept()
        f = c.makefile("rwb", buffering=0)
        if stage == 1:
            f.write(b"220 x\r\n")
            for reply in (b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n"):
                f.readline()
                f.write(reply)
            while f.readline() not in (b".\r\n", b""):
                pass
        f.close()
        c.close()
    ok(wait(lambda: s.log().count(" waits: ") >= 2), "a connection that breaks: it waits", s.log())
    ok(len(s.left()) == 2, "and is kept", s.left())
    server.close()
    s.end()


def test_last_word():
    """The relay has the mail and thinks about it when the uploader is told to end."""
    s = Scene("last")
    server = socket.create_server(("127.0.0.1", s.port))
    server.settimeout(WAIT)
    s.put(["ops@relay.example"])
    s.start()
    c, _ = server.accept()
    f = c.makefile("rwb", buffering=0)
    f.write(b"220 x\r\n")
    for reply in (b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n"):
        f.readline()
        f.write(reply)
    while f.readline() not in (b".\r\n", b""):
        pass
    s.uploader.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    f.write(b"250 taken\r\n")
    ok(s.uploader.wait(WAIT) == 0 and s.left() == [], "an answer that is near is waited for: no mail comes twice",
       s.left(), s.log())
    s.uploader = None
    f.close()
    c.close()
    server.close()
    s.end()


def test_silent():
    """A relay that refuses and then says no more: nothing hangs, and TERM is obeyed at once."""
    s = Scene("silent")
    server = socket.create_server(("127.0.0.1", s.port))
    server.settimeout(WAIT)
    s.put(["ops@relay.example"])
    s.start()
    c, _ = server.accept()
    f = c.makefile("rwb", buffering=0)
    f.write(b"220 x\r\n")
    for reply in (b"250 x\r\n", b"250 x\r\n", b"550 5.1.1 not here\r\n"):
        f.readline()
        f.write(reply)
    ok(wait(lambda: "550 5.1.1 not here" in s.reason()), "its refusal counts", s.log())
    s.put(["ops@relay.example"])
    s.stop(signal.SIGKILL)
    s.start()
    other, _ = server.accept()
    s.put(["ops@relay.example"])
    ok(s.stop() == 0, "a relay that does not greet does not keep us", s.log())
    for x in (f, c, other, server):
        x.close()
    s.end()


def test_old_and_odd():
    s = Scene("old", age="1h")
    s.start_sink()
    s.put(["ops@relay.example"], age_s=7200)
    s.put(["ops@relay.example"], order=False)
    with open(s.onward + "/in1-0000000000000001.json", "w", encoding="ascii") as f:
        f.write("{}")
    with open(s.onward + "/in1-0000000000000002.json", "w", encoding="ascii") as f:
        f.write("{}")
    with open(s.onward + "/in1-0000000000000002.eml", "w", encoding="ascii") as f:
        f.write("no envelope")
    os.mkfifo(s.onward + "/in1-0000000000000003.eml")
    s.put(["ops@relay.example"], b"Subject: good\r\n\r\n")
    s.start()
    ok(wait(lambda: [m for m in s.got()] and s.left() == []), "a good one behind bad ones is sent", s.left(), s.log())
    ok(len(s.got()) == 1 and b"Subject: good" in s.got()[0][1], "only that one")
    ok("not taken within onward-age" in s.reason(), "what is too old is in rejected/", s.reason())
    ok(len([n for n in s.rejected() if not n.endswith(".reason")]) == 4, "so is what can't be read", s.rejected(), s.log())
    s.end()


def test_sent_back():
    s = Scene("back")
    s.start_sink()
    s.put(["ops@relay.example"])
    s.start()
    ok(wait(lambda: len(s.got()) == 1 and s.left() == []), "sent on once", s.log())
    s.stop()
    mail = s.got()[0][1]
    forged = b"X-Signalpost-Forwarded: AUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n" + MAIL
    s.put(["ops@relay.example"], b"Received: from the other side\r\n" + mail)
    s.put(["ops@relay.example"], forged)
    s.put(["ops@relay.example"], MAIL + mail)
    s.start()
    ok(wait(lambda: s.left() == []), "it comes back", s.left())
    ok("came back: dropped" in s.log() and s.log().count("dropped") == 1, "and is dropped, and logged", s.log())
    ok(len(s.got()) == 3 and s.got()[1][1].endswith(forged), "a forged trace, or one in the text, changes nothing",
       len(s.got()))
    s.end()


for test in (test_taken, test_postmaster, test_refused, test_put_off, test_broken_off, test_last_word, test_silent, test_old_and_odd, test_sent_back):
    test()
sys.exit(plan())
