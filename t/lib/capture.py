#!/usr/bin/env python3
"""Reports for the tests of capturing: sent byte by byte, and compared with what was kept.

    capture.py odd FILE                      a mail that has everything in it that gets changed on the way
    capture.py big FILE BYTES
    capture.py send PORT FILE FROM RCPT...   prints the last reply; a RCPT may have parameters behind a blank
    capture.py quit PORT FILE FROM RCPT      sends half of it and goes away
    capture.py same CAPTURED FILE FROM RCPT=LIST...  says "same", or what is not
    capture.py load PORT N CLIENTS RCPT ACKED        N reports, each until it is answered 250; ACKED gets a
                                             line "SUBJECT TRIES" for each
    capture.py kept FOLDER ACKED             compares a folder of captured reports with that
"""
import glob
import json
import re
import socket
import sys
import threading
import time

ODD = (b"Received: from somewhere\r\n\tby here; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
       b"From: MAILER-DAEMON@isp.example (Mail Delivery)\r\n"
       b"To:b@bounces.example\r\n"
       b"Date:\tSun, 22 Nov 2026 10:00:00 +0000\r\n"
       b"Message-ID:   <odd@isp.example>  \r\n"
       b"Subject: \xe4\xf6\xfc \xff raw 8 bit\r\n"
       b"X-Empty:\r\n"
       b"X-Blank: \r\n"
       b"X-Folded: a\r\n\tb\r\n  c \r\n\t \td\r\n"
       b"X-Long: " + b"x" * 5000 + b"\r\n"
       b"X-Long-Folded:" + b"\r\n " * 1 + b"\r\n\t".join(b"y" * 900 for _ in range(30)) + b"\r\n"
       b"x-LOWER-case: Value\r\n"
       b"X-Twice: 1\r\nX-Twice: 2\r\n"
       b"X-Signalpost-Onward: forged\r\n"
       b"X-Job: not for reports\r\n"
       b"Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n"
       b"MIME-Version: 1.0\r\n"
       b"\r\n"
       b".\r\n..\r\n...dots\r\n"
       b"--b\r\n\r\n" + bytes(range(128, 256)) + b"\r\n"
       b"blanks at the end \t \r\n"
       b"a bare LF\nends a line\n"
       b"lone CR \r here\r\n" +
       b"z" * 7000 + b"\r\n"
       b"From the start\r\n"
       b"--b--\r\n\r\n\r\n")


def as_kept(sent):
    """What the MTA makes of line ends before a milter sees them (mails end with a line end)."""
    lines = re.sub(rb"\r?\n", b"\n", sent)
    return lines.replace(b"\r", b" ").replace(b"\n", b"\r\n")


def stuffed(text):
    """With the dots of RFC 5321 4.5.2, and nothing else touched."""
    return re.sub(rb"(?m)^\.", b"..", text) + b".\r\n"


class Client:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 120)
        self.stream = self.sock.makefile("rb")
        self.reply()
        self.say("EHLO client.example")

    def reply(self):
        while True:
            line = self.stream.readline()
            if not line:
                raise ConnectionError("connection closed")
            if line[3:4] != b"-":
                return line.decode().rstrip()

    def say(self, command):
        self.sock.sendall(command.encode() + b"\r\n")
        return self.reply()

    def envelope(self, sender, rcpts):
        """The reply that ends it: 354, or the refusal. A refused recipient is passed over."""
        answer = self.say("MAIL FROM:<%s>" % sender)
        for rcpt in rcpts if answer.startswith("250") else ():
            address, _, more = rcpt.partition(" ")
            answer = self.say("RCPT TO:<%s> %s" % (address, more))
        return self.say("DATA") if answer.startswith("250") else answer

    def send(self, text, sender, rcpts):
        answer = self.envelope(sender, rcpts)
        if answer.startswith("354"):
            self.sock.sendall(stuffed(text))
            answer = self.reply()
        return answer


def read(path):
    with open(path, "rb") as f:
        return f.read()


def captured(path):
    """(envelope, mail)"""
    line, _, mail = read(path).partition(b"\n")
    return json.loads(line), mail


def same(path, sent, sender, rcpts):
    envelope, mail = captured(path)
    got = ["%s=%s" % (r["to"], r["list"]) for r in envelope["rcpts"]]
    want = as_kept(read(sent))
    if got != rcpts or envelope["from"] != sender:
        return "envelope: %s %s" % (envelope["from"], got)
    if not envelope["queue_id"] or envelope["client_ip"] != "127.0.0.1" or \
            envelope["helo"] != "client.example" or abs(envelope["received"] - time.time()) > 3600:
        return "envelope: %s" % envelope
    if mail != want:
        at = next((i for i, (a, b) in enumerate(zip(mail, want)) if a != b), min(len(mail), len(want)))
        return "byte %d of %d and %d: %r, sent %r" % (
            at, len(mail), len(want), mail[max(at - 20, 0):at + 20], want[max(at - 20, 0):at + 20])
    return "same"


def load(port, n, clients, rcpt, path):
    todo = ["m%06d" % i for i in range(n)]
    lock = threading.Lock()

    def run(out):
        client = None
        while True:
            with lock:
                if not todo:
                    return
                subject = todo.pop()
            for attempt in range(1, 2000):
                try:
                    client = client or Client(port)
                    answer = client.send(b"From: a@isp.example\r\nSubject: %s\r\n\r\n" % subject.encode() +
                                         b"hello\r\n" * 300, "", [rcpt])
                    if answer.startswith("250"):
                        with lock:
                            out.write("%s %d\n" % (subject, attempt))
                        break
                except OSError:
                    pass
                client = None
                time.sleep(0.05)

    with open(path, "w", buffering=1, encoding="ascii") as out:
        threads = [threading.Thread(target=run, args=(out,)) for _ in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


def kept(folder, acked):
    tries = {}
    with open(acked, encoding="ascii") as f:
        for line in f:
            subject, n = line.split()
            tries[subject] = int(n)
    files = {}
    for path in glob.glob(folder + "/in1-*.eml"):
        _, mail = captured(path)
        if not mail.endswith(b"hello\r\n") or mail.count(b"hello\r\n") != 300:
            print("not whole: " + path)
        subject = re.search(rb"(?m)^Subject: (\w+)", mail)[1].decode()
        files[subject] = files.get(subject, 0) + 1
    lost = [s for s in tries if s not in files]
    # One that was tried again may be there again: the MTA had not heard of it in time.
    twice = [s for s, n in files.items() if n > tries.get(s, 1)]
    once = [s for s, n in tries.items() if n == 1 and files.get(s) != 1]
    print("acked %d lost %d once-not-once %d more-than-tries %d" % (len(tries), len(lost), len(once), len(twice)))


def main(args):
    what = args[0]
    if what == "odd":
        with open(args[1], "wb") as f:
            f.write(ODD)
    elif what == "big":
        with open(args[1], "wb") as f:
            f.write(b"From: a@isp.example\r\nSubject: big\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
                    b"Message-ID: <big@isp.example>\r\n\r\n")
            line = b"0123456789abcdef" * 4 + b"\r\n"
            f.write(line * (int(args[2]) // len(line)))
    elif what == "send":
        print(Client(int(args[1])).send(read(args[2]), args[3], args[4:]))
    elif what == "quit":
        client, text = Client(int(args[1])), read(args[2])
        client.envelope(args[3], args[4:])
        client.sock.sendall(text[:len(text) // 2])
        client.sock.close()
    elif what == "same":
        print(same(args[1], args[2], args[3], args[4:]))
    elif what == "load":
        load(int(args[1]), int(args[2]), int(args[3]), args[4], args[5])
    elif what == "kept":
        kept(args[1], args[2])


main(sys.argv[1:])
