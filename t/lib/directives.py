#!/usr/bin/env python3
"""Every directive that the milter acts on, through a real Postfix: TAP.

    directives.py D CONF PLAIN-PORT AUTH-PORT

D is it.sh's folder with a sink in D/sink and the milter's log in D/logs/milter; its
pid is in D/pids/milter and it reads CONF. For each case CONF is written anew, the
milter is told to reload (SIGUSR1), a message goes in by SMTP, and what the next hop
got, the milter's log and the events in D/spool are held against the row.
"""
import glob
import json
import os
import quopri
import re
import signal
import smtplib
import ssl
import sys
import time

D, CONF, PLAIN, AUTH = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
BASE = open(CONF, encoding="utf-8").read()
RSA = D + "/rsa.pem"
ED = D + "/ed.pem"
count = failed = sent = 0


def ok(good, text, more=""):
    global count, failed
    count += 1
    print("%sok %d - %s" % ("" if good else "not ", count, text.replace("#", ".")))
    if not good:
        failed += 1
        for line in str(more).splitlines()[:40]:
            print("# " + line)
    sys.stdout.flush()
    return good


def wait(what, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.02)
    return what()


def log():
    with open(D + "/logs/milter", encoding="utf-8", errors="replace") as f:
        return f.read()


def milter_pid():
    return int(open(D + "/pids/milter").read())


def reload(text):
    seen = log().count("settings reloaded")
    with open(CONF, "w", encoding="utf-8") as f:
        f.write(text)
    os.kill(milter_pid(), signal.SIGUSR1)
    if not wait(lambda: log().count("settings reloaded") > seen):
        ok(False, "the configuration is taken", text + "\n" + log()[-2000:])
        return False
    return True


def sunk():
    return sorted(glob.glob(D + "/sink/*.eml"))


def events():
    lines = []
    for name in glob.glob(D + "/spool/events/*.json") + glob.glob(D + "/spool/events/open/*.json"):
        with open(name, encoding="utf-8") as f:
            lines += [next(iter(json.loads(x)["msys"].values())) for x in f if x.endswith("\n")]
    return lines


class Result:
    """What became of one message."""

    def __init__(self):
        self.replies = {}  # stage or recipient -> "550 text"
        self.eml = b""
        self.envelope = {}
        self.log = ""
        self.events = []

    def header(self, name):
        head = self.eml.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace")
        found = re.findall(r"(?mi)^%s:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)" % re.escape(name), head)
        return [x.strip() for x in found]


def send(headers, body="hello\r\n", mail="a@example.com", rcpts=("b@far.example",), auth=False,
         options=()):
    """One message; the sink's copy is awaited if it was accepted."""
    global sent
    r = Result()
    before, log_at, seen = len(sunk()), len(log()), len(events())
    data = headers.replace("\n", "\r\n").encode("utf-8", "surrogateescape")
    data += b"\r\n" + (body if isinstance(body, bytes) else body.encode("utf-8"))
    smtp = smtplib.SMTP("127.0.0.1", AUTH if auth else PLAIN, timeout=180)
    try:
        smtp.ehlo("client.example")
        if auth:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            smtp.starttls(context=context)
            smtp.ehlo("client.example")
            smtp.login("joe", "secret")
        code, text = smtp.mail(mail, options)
        r.replies["mail"] = "%d %s" % (code, text.decode())
        taken = 0
        for rcpt in rcpts:
            code, text = smtp.rcpt(rcpt)
            r.replies[rcpt] = "%d %s" % (code, text.decode())
            taken += code == 250
        if taken:
            code, text = smtp.data(data)
            r.replies["data"] = "%d %s" % (code, text.decode())
        smtp.quit()
    except smtplib.SMTPServerDisconnected:
        pass
    except smtplib.SMTPConnectError as e:
        r.replies["connect"] = "%d %s" % (e.smtp_code, e.smtp_error.decode())
    except smtplib.SMTPResponseException as e:
        r.replies["data"] = "%d %s" % (e.smtp_code, e.smtp_error.decode())
    if r.replies.get("data", "").startswith("250"):
        # What is captured goes nowhere.
        wait(lambda: len(sunk()) > before or "result=captured" in log()[log_at:])
        new = sunk()[before:]
        sent += len(new)
        if new:
            r.eml = open(new[-1], "rb").read()
            r.envelope = json.load(open(new[-1][:-4] + ".json", encoding="utf-8"))
    r.log = log()[log_at:]
    r.events = events()[seen:]
    return r


NEWS = "From: News <news@example.com>\nTo: b@far.example\nSubject: Hi\n"
AUTHED = "<source {auth}>\n%s\n</source>\n"
ANY = "<source 0/0>\n%s\n</source>\n"
DKIM = "domain-key s1,example.com,%s\n<domain *>\n dkim-sign yes\n%%s\n</domain>\n" % RSA

TRACKING = "<signals>\nengagement-tracking sparkpost\ntracking-domain http://track.example.com\n</signals>\n"


def unqp(eml):
    return quopri.decodestring(eml)


# name, configuration, send()'s arguments, then a function of the result that must be true
CASES = [
    ("relay-domain is taken from anybody", "relay-domain far.example\n", {},
     lambda r: r.replies["data"].startswith("250")),
    ("relaying is refused, in PowerMTA's words", "", {},
     lambda r: r.replies["b@far.example"] ==
     '550 5.7.1 relaying denied for recipient in "RCPT TO:<b@far.example>"'),
    ("a % in the refused address comes through", "", {"rcpts": ("50%off@far.example",)},
     lambda r: "RCPT TO:<50%off@far.example>" in r.replies["50%off@far.example"]),
    ("relay-debug refuses for now", "relay-debug yes\n", {},
     lambda r: r.replies["b@far.example"].startswith("450 4.7.1 relaying denied")),
    ("one refused recipient does not take the others along", "relay-domain near.example\n",
     {"rcpts": ("x@far.example", "y@near.example")},
     lambda r: r.replies["x@far.example"].startswith("550") and
     r.envelope["rcpts"] == ["y@near.example"]),
    ("relay-address by text and by expression",
     "relay-address one@far.example\nrelay-address /^t[0-9]+@far\\.example$/\n",
     {"rcpts": ("one@far.example", "t42@far.example", "two@far.example")},
     lambda r: [r.replies[x][:3] for x in ("one@far.example", "t42@far.example", "two@far.example")]
     == ["250", "250", "550"]),
    ("mail for a processor's list is taken from anybody and goes nowhere",
     "<bounce-processor>\n<address-list>\ndomain bounces.example.com\n</address-list>\n"
     "</bounce-processor>\n", {"rcpts": ("x@bounces.example.com",)},
     lambda r: r.replies["data"].startswith("250") and not r.envelope),
    ("always-allow-relaying for a network", "<source 127.0.0.0/8>\nalways-allow-relaying yes\n</source>\n",
     {}, lambda r: r.replies["data"].startswith("250")),
    ("the more specific network wins",
     "<source 127.0.0.1>\nalways-allow-relaying no\n</source>\n"
     "<source 127.0.0.0/8>\nalways-allow-relaying yes\n</source>\n",
     {}, lambda r: r.replies["b@far.example"].startswith("550")),
    ("require-auth", ANY % "require-auth yes", {},
     lambda r: r.replies["mail"] == "530 5.7.0 authentication required"),
    ("require-auth, and authenticated", ANY % "require-auth yes", {"auth": True},
     lambda r: r.replies["data"].startswith("250")),
    ("an authenticated client that may not relay leaves an event",
     AUTHED % "always-allow-relaying no", {"auth": True},
     lambda r: r.replies["b@far.example"].startswith("550 5.7.1 relaying denied") and
     r.events[0]["type"] == "rejection" and r.events[0]["bounce_class"] == "25"),
    ("max-message-size by declaration", ANY % "max-message-size 5k",
     {"auth": True, "options": ("SIZE=6000",)}, lambda r: r.replies["mail"].startswith("552 5.3.4")),
    ("max-message-size by what arrives", ANY % "max-message-size 5k",
     {"auth": True, "body": "x" * 70 + "\r\n" + "0123456789\r\n" * 600},
     lambda r: r.replies["data"].startswith("552 5.3.4")),
    ("log-connections, log-commands, log-data",
     ANY % "log-connections yes\nlog-commands yes\nlog-data yes", {"auth": True},
     lambda r: "connect client=127.0.0.1" in r.log and "MAIL FROM:<a@example.com>" in r.log and
     "RCPT TO:<b@far.example>" in r.log and "header Subject: Hi" in r.log),
    ("one log line a message, queue id first", "", {"auth": True},
     lambda r: re.search(r": [0-9A-Za-z]+: client=127\.0\.0\.1 auth=joe from=<a@example\.com> "
                         r"to=<b@far\.example> source=\{auth\} listener=127\.0\.0\.1:\d+ "
                         r"rcpts=1 size=\d+ id=[0-9a-f]{20} events=1 track=none\(off\) dkim=none\(off\) ms=[\d.]+ "
                         r"result=accepted\n", r.log)),
    ("rewrite-list of the source",
     "<rewrite-list m>\nmail-from *@example.com *@bounces.example.com\n</rewrite-list>\n" +
     ANY % "rewrite-list m", {"auth": True},
     lambda r: r.envelope["mail_from"] == "a@bounces.example.com" and
     r.events[0]["msg_from"] == "a@bounces.example.com"),
    ("rewrite-list: exact, local part, domain, any",
     "<rewrite-list m>\nmail-from *@* any@x.example\nmail-from *@example.com dom@x.example\n"
     "mail-from a@* loc@x.example\nmail-from a@example.com exact@x.example\n</rewrite-list>\n" +
     ANY % "rewrite-list m", {"auth": True}, lambda r: r.envelope["mail_from"] == "exact@x.example"),
    ("rewrite-list: local part beats domain",
     "<rewrite-list m>\nmail-from *@* any@x.example\nmail-from *@example.com dom@x.example\n"
     "mail-from a@* *@x.example\n</rewrite-list>\n" +
     ANY % "rewrite-list m", {"auth": True}, lambda r: r.envelope["mail_from"] == "a@x.example"),
    ("rewrite-list: to the null sender",
     "<rewrite-list m>\nmail-from *@* <>\n</rewrite-list>\n" + ANY % "rewrite-list m",
     {"auth": True}, lambda r: r.envelope["mail_from"] == ""),
    ("rewrite-list: from the null sender",
     "<rewrite-list m>\nmail-from *@* any@x.example\nmail-from <> null@x.example\n</rewrite-list>\n" +
     ANY % "rewrite-list m", {"auth": True, "mail": ""},
     lambda r: r.envelope["mail_from"] == "null@x.example"),
    ("from-domain", "<rewrite-list m>\nfrom-domain example.com brand.example\n</rewrite-list>\n" +
     ANY % "rewrite-list m", {"auth": True},
     lambda r: r.header("From") == ["News <news@brand.example>"] and
     r.events[0]["friendly_from"] == "news@brand.example"),
    ("rewrite-list of the virtual MTA beats the source's",
     "<rewrite-list m>\nmail-from *@* s@x.example\n</rewrite-list>\n"
     "<rewrite-list v>\nmail-from *@* v@x.example\n</rewrite-list>\n"
     "<virtual-mta v1>\nrewrite-list v\n</virtual-mta>\n" +
     AUTHED % "rewrite-list m\ndefault-virtual-mta v1", {"auth": True},
     lambda r: r.envelope["mail_from"] == "v@x.example"),
    ("verp-default", AUTHED % "verp-default yes", {"auth": True},
     lambda r: r.envelope["mail_from"] == "a-b=far.example@example.com"),
    ("return-path-id", "<milter>\nreturn-path-id yes\n</milter>\n" + AUTHED % "verp-default yes",
     {"auth": True}, lambda r: re.fullmatch(r"a-[a-z2-7]{40,60}@example\.com", r.envelope["mail_from"])),
    ("process-x-job", AUTHED % "process-x-job yes",
     {"auth": True, "headers": NEWS + 'X-Job: a "b" `c`\u00fc\n'},
     lambda r: r.events[0]["campaign_id"] == "a__b___c___" and not r.header("X-Job")),
    ("without process-x-job the header is nobody's", "", {"auth": True, "headers": NEWS + "X-Job: j\n"},
     lambda r: "campaign_id" not in r.events[0] and r.header("X-Job") == ["j"]),
    ("retain-x-job", AUTHED % "process-x-job yes\nretain-x-job yes",
     {"auth": True, "headers": NEWS + "X-Job: j 1\n"},
     lambda r: r.events[0]["campaign_id"] == "j_1" and r.header("X-Job") == ["j 1"]),
    ("several X-Job headers: the first names, all go", AUTHED % "process-x-job yes",
     {"auth": True, "headers": "X-Job: one\n" + NEWS + "x-job: two\nX-JOB: three\n"},
     lambda r: r.events[0]["campaign_id"] == "one" and not r.header("X-Job") and
     r.header("Subject") == ["Hi"]),
    ("a folded X-Job", AUTHED % "process-x-job yes",
     {"auth": True, "headers": NEWS + "X-Job: one\n  two\n"},
     lambda r: r.events[0]["campaign_id"].startswith("one_") and
     r.events[0]["campaign_id"].endswith("_two")),
    ("jobid-header and jobid-prefix", AUTHED % "process-x-job yes\njobid-header X-Camp\njobid-prefix p.",
     {"auth": True, "headers": NEWS + "X-Camp: c\n"},
     lambda r: r.events[0]["campaign_id"] == "p.c" and r.header("X-Camp") == ["c"]),
    ("jobid-prefix {auth}", AUTHED % "process-x-job yes\njobid-prefix {auth}",
     {"auth": True, "headers": NEWS + "X-Job: c\n"}, lambda r: r.events[0]["campaign_id"] == "joec"),
    ("default-virtual-mta",
     "<virtual-mta v1>\nsmtp-source-host 127.0.0.5 v1.example.com\n</virtual-mta>\n" +
     AUTHED % "default-virtual-mta v1", {"auth": True},
     lambda r: r.events[0]["binding"] == "v1" and r.events[0]["sending_ip"] == "127.0.0.5" and
     "binding_group" not in r.events[0]),
    ("default-virtual-mta by-smtp-source-ip",
     "<virtual-mta v1>\nsmtp-source-host 127.0.0.5 v1.example.com\n</virtual-mta>\n"
     "<virtual-mta v2>\nsmtp-source-host 127.0.0.1 v2.example.com\n</virtual-mta>\n" +
     AUTHED % "default-virtual-mta by-smtp-source-ip", {"auth": True},
     lambda r: r.events[0]["binding"] == "v2"),
    ("process-x-virtual-mta",
     "<virtual-mta v1>\n</virtual-mta>\n<virtual-mta v2>\n</virtual-mta>\n" +
     AUTHED % "default-virtual-mta v1\nprocess-x-virtual-mta yes",
     {"auth": True, "headers": NEWS + "X-Virtual-MTA: v2\n"},
     lambda r: r.events[0]["binding"] == "v2" and not r.header("X-Virtual-MTA")),
    ("process-x-envid", AUTHED % "process-x-envid yes",
     {"auth": True, "headers": NEWS + "X-Envid: id+1\n"},
     lambda r: not r.header("X-Envid") and
     "ENVID=id+2B1" in r.envelope["mail_args"]),
    ("add-date-header, add-message-id-header",
     AUTHED % "add-date-header yes\nadd-message-id-header yes", {"auth": True},
     lambda r: len(r.header("Date")) == 1 and len(r.header("Message-ID")) == 1),
    ("X-MSYS-API", AUTHED % "",
     {"auth": True, "headers": NEWS + 'X-MSYS-API: {"campaign_id": "c", "metadata": {"k": 1},\n "tags": ["t"]}\n'},
     lambda r: r.events[0]["campaign_id"] == "c" and r.events[0]["rcpt_meta"] == {"k": 1} and
     r.events[0]["rcpt_tags"] == ["t"] and not r.header("X-MSYS-API")),
    ("process-x-msys-api no", AUTHED % "process-x-msys-api no",
     {"auth": True, "headers": NEWS + 'X-MSYS-API: {"campaign_id": "c"}\n'},
     lambda r: "campaign_id" not in r.events[0] and len(r.header("X-MSYS-API")) == 1),
    ("x-sp-subaccount-id", "<signals>\nprocess-x-sp-subaccount-id yes\n</signals>\n",
     {"auth": True, "headers": NEWS + "X-Sp-Subaccount-Id: 9\n"},
     lambda r: r.events[0]["subaccount_id"] == 9 and not r.header("X-Sp-Subaccount-Id")),
    ("retain-x-sp-subaccount-id",
     "<signals>\nprocess-x-sp-subaccount-id yes\nretain-x-sp-subaccount-id yes\n</signals>\n",
     {"auth": True, "headers": NEWS + "X-Sp-Subaccount-Id: 9\n"},
     lambda r: r.events[0]["subaccount_id"] == 9 and r.header("X-Sp-Subaccount-Id") == ["9"]),
    ("custom-message-id-header", "<signals>\ncustom-message-id-header X-ID\n</signals>\n",
     {"auth": True, "headers": NEWS + "X-ID: abc\n"},
     lambda r: r.events[0]["custom_message_id"] == "abc" and r.header("X-ID") == ["abc"]),
    ("privacy-policy sha1", "<signals>\nprivacy-policy sha1\n</signals>\n",
     {"auth": True, "rcpts": ("B@Far.example",)},
     lambda r: r.events[0]["rcpt_hash"] ==
     __import__("hashlib").sha1(b"b@far.example").hexdigest() and
     r.events[0]["rcpt_domain"] == "far.example" and "rcpt_to" not in r.events[0]),
    ("enable-signals false", "enable-signals false\n", {"auth": True},
     lambda r: not r.events and not r.header("X-Signalpost-ID")),
    ("enable-signals of the virtual MTA beats the pool's",
     "enable-signals false\n<virtual-mta v1>\nenable-signals true,subaccount=4\n</virtual-mta>\n"
     "<virtual-mta-pool p>\nvirtual-mta v1\nenable-signals false\n</virtual-mta-pool>\n" +
     AUTHED % "default-virtual-mta p", {"auth": True},
     lambda r: r.events[0]["subaccount_id"] == 4 and r.events[0]["binding_group"] == "p"),
    ("signals-filter: the most specific rule",
     "<signals-filter f>\nsender-or-from * disable-signals\n"
     "sender-or-from *.example.com enable-signals\n"
     "sender-or-from example.com enable-signals,subaccount=3\n</signals-filter>\nenable-signals f\n",
     {"auth": True}, lambda r: r.events[0]["subaccount_id"] == 3),
    ("signals-filter goes by Sender",
     "<signals-filter f>\nsender-or-from example.com enable-signals\n</signals-filter>\n"
     "enable-signals f\n", {"auth": True, "headers": NEWS + "Sender: x@other.example\n"},
     lambda r: not r.events),
    ("max-recipients", "<milter>\nmax-recipients 2\n</milter>\n",
     {"auth": True, "rcpts": ("a@far.example", "b@far.example", "c@far.example")},
     lambda r: r.replies["c@far.example"].startswith("452 4.5.3") and len(r.events) == 2),
    ("events: one a recipient, the same one once", "",
     {"auth": True, "rcpts": ("a@far.example", "b@far.example", "a@FAR.example")},
     lambda r: len(r.events) == 2 and
     int(r.events[1]["message_id"], 16) == int(r.events[0]["message_id"], 16) + 1),
    ("milter max-message-size: signed, and the body is as it was",
     DKIM % "" + "<milter>\nmax-message-size 10k\n</milter>\n",
     {"auth": True, "body": b"gr\xc3\xbc\xc3\x9fe\r\n" * 3000, "options": ("BODY=8BITMIME",)},
     lambda r: b"gr\xc3\xbc\xc3\x9fe\r\n" in r.eml and len(r.header("DKIM-Signature")) == 1 and
     "edit=none(too-big)" in r.log),
    ("milter max-header-size: passes as it was",
     DKIM % "" + "<milter>\nmax-header-size 2k\n</milter>\n" + AUTHED % "process-x-job yes",
     {"auth": True, "headers": NEWS + "X-Long: %s\nX-Job: j\n" % ("x " * 1500)},
     lambda r: not r.header("DKIM-Signature") and r.header("X-Job") == ["j"] and
     "edit=none(headers-too-big)" in r.log),
    ("dkim-sign", DKIM % "", {"auth": True},
     lambda r: len(r.header("DKIM-Signature")) == 1 and "dkim=signed d=example.com s=s1" in r.log),
    ("dkim-sign only where the recipient's domain says so",
     "domain-key s1,example.com,%s\n<domain near.example>\ndkim-sign yes\n</domain>\n" % RSA,
     {"auth": True}, lambda r: not r.header("DKIM-Signature") and "dkim=none(off)" in r.log),
    ("no signature for mail of those who may not relay", "relay-domain far.example\n" + DKIM % "",
     {}, lambda r: not r.header("DKIM-Signature") and "dkim=none(untrusted-source)" in r.log),
    ("two keys, two signatures", DKIM % "" + "domain-key s2,example.com,%s\n" % ED, {"auth": True},
     lambda r: sorted(re.search(r"a=([\w-]+)", x).group(1) for x in r.header("DKIM-Signature")) ==
     ["ed25519-sha256", "rsa-sha256"]),
    ("dkim-algorithm", DKIM % "dkim-algorithm ed25519-sha256" + "domain-key s2,example.com,%s\n" % ED,
     {"auth": True}, lambda r: ["s2"] ==
     [re.search(r"s=(\w+)", x).group(1) for x in r.header("DKIM-Signature")]),
    ("domain-key of a parent domain", DKIM % "",
     {"auth": True, "headers": NEWS.replace("@example.com", "@sub.example.com")},
     lambda r: "d=example.com" in r.header("DKIM-Signature")[0] and
     "i=news@sub.example.com" in r.header("DKIM-Signature")[0]),
    ("no key for the domain", DKIM % "", {"auth": True, "headers": NEWS.replace("@example.com", "@other.example")},
     lambda r: not r.header("DKIM-Signature") and "dkim=none(no-key)" in r.log),
    ("the identity is Sender's", DKIM % "",
     {"auth": True, "headers": NEWS.replace("@example.com", "@other.example") + "Sender: s@example.com\n"},
     lambda r: "i=s@example.com" in r.header("DKIM-Signature")[0]),
    ("dkim-identity strict-from", DKIM % "dkim-identity strict-from",
     {"auth": True, "headers": NEWS.replace("@example.com", "@other.example") + "Sender: s@example.com\n"},
     lambda r: not r.header("DKIM-Signature")),
    ("dkim-identity @example.com", DKIM % "dkim-identity @example.com",
     {"auth": True, "headers": NEWS.replace("@example.com", "@other.example")},
     lambda r: "i=@example.com" in r.header("DKIM-Signature")[0]),
    ("canonicalization", DKIM % "dkim-headers-canon simple\ndkim-body-canon simple", {"auth": True},
     lambda r: "c=simple/simple" in r.header("DKIM-Signature")[0]),
    ("timestamp, expiry, body limit",
     DKIM % "dkim-add-timestamp yes\ndkim-expire-after 1h\ndkim-add-body-limit yes", {"auth": True},
     lambda r: (lambda s: int(re.search(r"x=(\d+)", s).group(1)) -
                int(re.search(r"\bt=(\d+)", s).group(1)) == 3600 and "l=" in s)
     (r.header("DKIM-Signature")[0])),
    ("more headers signed, none to be added",
     DKIM % "dkim-headers X-Extra\ndkim-disallow-adding-headers From,Subject,Reply-To",
     {"auth": True, "headers": NEWS + "X-Extra: 1\n"},
     lambda r: (lambda h: "x-extra" in h and h.count("subject") == 2 and h.count("reply-to") == 1 and
                h.count("from") == 2)
     (re.sub(r"\s", "", re.search(r"h=([^;]+)", r.header("DKIM-Signature")[0]).group(1))
      .lower().split(":"))),
    ("engagement-tracking: links, pixels, and the signature over both",
     DKIM % "" + TRACKING, {"auth": True, "headers": NEWS + "Content-Type: text/html; charset=utf-8\n",
                            "body": '<body><a href="http://shop.example/?a=1&amp;b">x</a></body>\r\n'},
     lambda r: b'"http://track.example.com/c/' in unqp(r.eml) and b"/i/" in unqp(r.eml) and
     b"/o/" in unqp(r.eml) and "links=1 pixels=2" in r.log and r.events[0]["open_tracking"] is True and
     r.events[0]["click_tracking"] is True),
    ("engagement-tracking: data-msys-clicktrack", TRACKING,
     {"auth": True, "headers": NEWS + "Content-Type: text/html\n",
      "body": '<a data-msys-clicktrack="0" href="http://shop.example/">x</a>\r\n'},
     lambda r: b'<a href="http://shop.example/">' in unqp(r.eml) and "links=0 pixels=2" in r.log),
    ("engagement-tracking: several recipients", TRACKING,
     {"auth": True, "headers": NEWS + "Content-Type: text/html\n", "rcpts": ("a@far.example", "b@far.example")},
     lambda r: "track=none(multi-recipient)" in r.log and b"<img" not in r.eml),
    ("track-text", "<signals>\nengagement-tracking yes\ntrack-text yes\n</signals>\n",
     {"auth": True, "body": 'http://a.example/ http://b.example/[[data-msys-clicktrack="0"]]\r\n'},
     lambda r: b"https://mail.example.com/c/" in unqp(r.eml) and b" http://b.example/\r\n" in unqp(r.eml)),
    ("8-bit text leaves as quoted-printable", DKIM % "",
     {"auth": True, "body": "gr\u00fc\u00dfe\r\n", "options": ("BODY=8BITMIME",)},
     lambda r: b"gr=C3=BC=C3=9Fe\r\n" in r.eml and "requoted=1" in r.log and
     r.header("Content-Transfer-Encoding") == ["quoted-printable"]),
]


def main():
    for name, conf, args, check in CASES:
        if not reload(BASE + conf):
            continue
        args = dict(args)
        headers = args.pop("headers", NEWS)
        r = send(headers, **args)
        try:
            good = bool(check(r))
        except Exception as e:  # pylint: disable=broad-except
            good, r.replies["exception"] = False, repr(e)
        ok(good, name, "%r\n%s\n%s\n%s\n%s" % (
            r.replies, r.envelope, r.eml.decode("utf-8", "replace"), r.log,
            json.dumps(r.events, indent=1)))
    ok(len(sunk()) == sent, "nothing else has gone out", "%d, not %d" % (len(sunk()), sent))
    print("1..%d" % count)
    return failed != 0


sys.exit(main())
