#!/usr/bin/env python3
"""Tracked mails, the reports that come back about them, and the events that must come of it.

    reports.py send PORT                          injects the mails
    reports.py report PORT SINK EXPECT            mails reports in all forms about what is in SINK
    reports.py flood PORT SINK EXPECT N CLIENTS   N reports about the first, each sent until it is taken
    reports.py wait DB EXPECT SECONDS             until each expected event is there, once, and no other

EXPECT is a file of JSON lines: what an event must have.
"""
import email
import glob
import json
import re
import smtplib
import sqlite3
import sys
import threading
import time

BOUNCES, FBL = "x@bounces.example", "fbl@fbl.example"
REPORT_TYPES = {"outofband", "feedback", "list"}

MAILS = [
    (["one@sink.example"], "X-Job: jobone\r\n"),
    (["two@sink.example"], "X-Job: jobtwo\r\nX-SP-Subaccount-ID: 7\r\n"),
    (["three@sink.example", "threeb@sink.example"], "X-Job: jobthree\r\n"),
    (["gone@remote.example"], "X-Job: jobgone\r\n"),
    (["five@sink.example"], "X-Job: jobfive\r\nX-Envid: env-5\r\n"),
    (["six@sink.example"], "X-Job: jobsix\r\n", "ENVID=env+2B6"),
]


def send(port):
    for rcpts, header, *options in MAILS:
        with smtplib.SMTP("127.0.0.1", port, timeout=180) as s:
            s.sendmail("a@sender.example", rcpts, "From: a@sender.example\r\nTo: %s\r\nSubject: Sale\r\n"
                       "Message-ID: <%s.id@sender.example>\r\n%s\r\nbuy\r\n"
                       % (rcpts[0], rcpts[0].split("@")[0], header), options)


# ---- what the next hop got ----

class Sent:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.raw = f.read().decode("latin-1")
        with open(path[:-4] + ".json", encoding="utf-8") as f:
            envelope = json.load(f)
        self.path = envelope["mail_from"].strip("<>")
        self.rcpt = envelope["rcpts"][0].strip("<>")
        mail = email.message_from_string(self.raw)
        self.message_id = mail["Message-ID"]
        self.unsealed = re.sub(r"(?im)^X-Signalpost-ID:.*\r\n(?:[ \t].*\r\n)*", "", self.raw)
        self.header = self.raw.split("\r\n\r\n", 1)[0] + "\r\n"


def read_sink(folder):
    out = {}
    for path in glob.glob(folder + "/*.eml"):
        mail = Sent(path)
        out[mail.rcpt.split("@")[0]] = mail
    return out


# ---- reports ----

def oob(rcpt, to, original):
    """As the public bounce sink answers: its first part has no header, its status says little."""
    return ("From: %s\r\nTo: %s\r\nSubject: Returned mail: see transcript for details\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=delivery-status; boundary=\"bb\"\r\n\r\n--bb\r\n\r\n"
            "The original message was received\r\nfrom mail\r\n\r\n"
            "   ----- The following addresses had permanent fatal errors -----\r\n<%s>\r\n"
            "    (reason: 550 5.0.0 <%s>... User unknown)\r\n\r\n--bb\r\n"
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; sink.example\r\n"
            "Arrival-Date: Mon, 1 Jun 2026 10:00:00 +0000\r\n\r\nFinal-Recipient: RFC822; %s\r\nAction: failed\r\n"
            "Status: 5.0.0\r\nRemote-MTA: DNS; sink.example\r\n"
            "Diagnostic-Code: SMTP; 550 5.0.0 <%s>... User unknown\r\n\r\n--bb\r\n"
            "Content-Type: message/rfc822\r\n\r\n%s\r\n--bb--\r\n" % (rcpt, to, rcpt, rcpt, rcpt, rcpt, original))


def fbl(kind, rcpt, original):
    return ("From: <fbl@sink.example>\r\nTo: %s\r\nSubject: FW: Sale\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=feedback-report; boundary=\"fb\"\r\n\r\n--fb\r\n"
            "Content-Type: text/plain\r\n\r\nThis is an email abuse report.\r\n\r\n--fb\r\n"
            "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: %s\r\nUser-Agent: SomeGenerator/1.0\r\n"
            "Version: 1\r\nOriginal-Mail-From: a@sender.example\r\nOriginal-Rcpt-To: %s\r\n"
            "Arrival-Date: Mon, 1 Jun 2026 10:00:00 +0000\r\nReporting-MTA: dns; fbl.sink.example\r\n"
            "Source-IP: 192.0.2.1\r\nRemoval-Recipient: %s\r\n\r\n--fb\r\n"
            "Content-Type: message/rfc822\r\n\r\n%s\r\n--fb--\r\n" % (FBL, kind, rcpt, rcpt, original))


def text_bounce(rcpt):
    return ("From: Mail Delivery System <MAILER-DAEMON@other.example>\r\nSubject: failure notice\r\n\r\n"
            "Hi. This is the qmail-send program at other.example.\r\n"
            "I'm afraid I wasn't able to deliver your message to the following addresses.\r\n\r\n"
            "<%s>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n" % rcpt)


def envid_dsn(rcpt, envid):
    return ("From: MAILER-DAEMON@other.example\r\nSubject: Undeliverable\r\n"
            "Content-Type: multipart/report; report-type=delivery-status; boundary=\"eb\"\r\n\r\n--eb\r\n"
            "Content-Type: text/plain\r\n\r\nno\r\n--eb\r\nContent-Type: message/delivery-status\r\n\r\n"
            "Reporting-MTA: dns; other.example\r\nOriginal-Envelope-Id: %s\r\n\r\n"
            "Final-Recipient: rfc822; %s\r\nAction: failed\r\nStatus: 5.2.2\r\n"
            "Diagnostic-Code: smtp; 552 5.2.2 Mailbox full\r\n\r\n--eb--\r\n" % (envid, rcpt))


def auto_reply(rcpt):
    return ("From: <%s>\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\n"
            "I am on vacation until Monday.\r\n" % rcpt)


def all_reports(sink):
    """(MAIL FROM, RCPT TO, mail, what its event must have or None)"""
    one, two, three = sink["one"], sink["two"], sink["three"]
    sealed = {"matched_by": "seal", "authenticated": True}
    unsealed = {"authenticated": False, "subaccount_id": 0}
    first = dict(sealed, rcpt_to="one@sink.example", campaign_id="jobone", subaccount_id=0)
    return [
        ("one@sink.example", BOUNCES, oob("one@sink.example", one.path, one.raw),
         dict(first, type="outofband", bounce_class="10", error_code="550", recv_method="smtp",
              raw_reason="550 5.0.0 <one@sink.example>... User unknown", report_by="sink.example")),
        ("fbl@sink.example", FBL, fbl("abuse", "one@sink.example", one.raw),
         dict(first, type="feedback", fbtype="abuse", report_by="fbl.sink.example", report_to=FBL)),
        ("", FBL, fbl("not-spam", "one@sink.example", one.raw), None),
        ("", FBL, fbl("auth-failure", "one@sink.example", one.raw), None),
        ("", FBL, fbl("opt-out", "one@sink.example", one.raw), dict(first, type="list")),
        ("", one.path, auto_reply("one@sink.example"),
         dict(first, type="outofband", bounce_class="60")),
        ("", BOUNCES, oob("elsewhere@forwarded.example", one.path, one.raw),
         dict(first, type="outofband", final_rcpt="elsewhere@forwarded.example")),
        ("", BOUNCES, oob("two@sink.example", two.path, two.raw),
         dict(sealed, type="outofband", rcpt_to="two@sink.example", campaign_id="jobtwo", subaccount_id=7)),
        ("", three.path, text_bounce("threeb@sink.example"),
         dict(sealed, type="outofband", rcpt_to="threeb@sink.example", campaign_id="jobthree",
              bounce_class="10")),
        ("", BOUNCES, oob("one@sink.example", BOUNCES, one.unsealed.replace(one.path, "a@sender.example")),
         dict(unsealed, type="outofband", rcpt_to="one@sink.example", matched_by="message-id",
              campaign_id="jobone")),
        ("", BOUNCES, envid_dsn("five@sink.example", "env-5"),
         dict(unsealed, type="outofband", rcpt_to="five@sink.example", matched_by="envid",
              campaign_id="jobfive", bounce_class="22")),
        ("", BOUNCES, envid_dsn("six@sink.example", "env+6"),
         dict(unsealed, type="outofband", rcpt_to="six@sink.example", matched_by="envid",
              campaign_id="jobsix")),
        # What anybody could make up: nothing is said about a message.
        ("", BOUNCES, oob("two@sink.example", BOUNCES, two.unsealed.replace(two.path, "a@sender.example")),
         dict(unsealed, type="outofband", rcpt_to="two@sink.example", matched_by="message-id",
              campaign_id=None)),
        ("", FBL, fbl("abuse", "two@sink.example", "Subject: x\r\n\r\nx\r\n"),
         dict(unsealed, type="feedback", rcpt_to="two@sink.example", matched_by="recipient",
              campaign_id=None)),
        ("", BOUNCES, text_bounce("nobody@nowhere.example"),
         dict(unsealed, type="outofband", rcpt_to="nobody@nowhere.example", matched_by="none",
              campaign_id=None)),
        ("joe@person.example", BOUNCES, "From: joe@person.example\r\nSubject: Hello\r\n\r\nHow are you?\r\n", None),
    ]


def report(port, folder, expect):
    with open(expect, "a", encoding="utf-8") as out:
        for sender, to, mail, event in all_reports(read_sink(folder)):
            with smtplib.SMTP("127.0.0.1", port, timeout=180) as s:
                s.sendmail(sender, [to], mail)
            if event is not None:
                out.write(json.dumps(event) + "\n")
        # The other Postfix has sent its own by now, or is about to.
        out.write(json.dumps({"type": "outofband", "rcpt_to": "gone@remote.example", "matched_by": "seal",
                              "authenticated": True, "campaign_id": "jobgone", "bounce_class": "10",
                              "error_code": "550"}) + "\n")


def flood(port, folder, expect, n, clients):
    one = read_sink(folder)["one"]
    todo, lock = list(range(n)), threading.Lock()
    with open(expect, "a", encoding="utf-8", buffering=1) as out:
        def run():
            while True:
                with lock:
                    if not todo:
                        return
                    rcpt = "flood%d@forwarded.example" % todo.pop()
                while True:
                    try:
                        with smtplib.SMTP("127.0.0.1", port, timeout=180) as s:
                            s.sendmail("", [BOUNCES], oob(rcpt, one.path, one.raw))
                        break
                    except (smtplib.SMTPException, OSError):
                        time.sleep(0.05)
                with lock:
                    out.write(json.dumps({"type": "outofband", "rcpt_to": "one@sink.example",
                                          "final_rcpt": rcpt, "matched_by": "seal"}) + "\n")
                time.sleep(0.1)

        threads = [threading.Thread(target=run) for _ in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


# ---- events ----

def report_events(db):
    try:
        con = sqlite3.connect("file:%s?mode=ro" % db, uri=True)
        con.execute("PRAGMA busy_timeout = 10000")
        out = [inner for (line,) in con.execute("SELECT line FROM event ORDER BY seq")
               for inner in json.loads(line)["msys"].values() if inner["type"] in REPORT_TYPES]
        con.close()
        return out
    except sqlite3.OperationalError:
        return []


def missing_and_left(db, expect):
    left = report_events(db)
    missing = []
    with open(expect, encoding="utf-8") as f:
        wanted = [json.loads(line) for line in f]
    # The one that asks for most chooses first.
    for want in sorted(wanted, key=lambda w: -len(w)):
        for e in left:
            if all(e.get(k) == v for k, v in want.items()):
                left.remove(e)
                break
        else:
            missing.append(want)
    return len(wanted), missing, left


def wait(db, expect, seconds):
    end = time.monotonic() + seconds
    while True:
        n, missing, left = missing_and_left(db, expect)
        if not missing or time.monotonic() > end:
            break
        time.sleep(0.2)
    print("%d events, %d missing, %d too many" % (n, len(missing), len(left)))
    for what, events in (("missing", missing), ("too many", left)):
        for e in events[:5]:
            print("%s: %s" % (what, json.dumps(e)))


def main():
    args = sys.argv[2:]
    {"send": lambda: send(int(args[0])),
     "report": lambda: report(int(args[0]), args[1], args[2]),
     "flood": lambda: flood(int(args[0]), args[1], args[2], int(args[3]), int(args[4])),
     "wait": lambda: wait(args[0], args[1], int(args[2]))}[sys.argv[1]]()


main()
