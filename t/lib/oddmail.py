#!/usr/bin/env python3
"""Odd messages through a real Postfix, to a hop with 8BITMIME and to one without: TAP.

    oddmail.py D PORT [NAME-OF-A-MESSAGE-TO-LEAVE-OUT]...

Sends each to x@eight.example and x@seven.example, one transaction each, waits for both
sinks (D/eight, D/seven), and holds what arrived against what went in: decoded, it is the
same. Whether the signatures verify is for others to say; the messages are left in the
sinks as they came.
"""
import base64
import email
import email.policy
import glob
import json
import os
import re
import smtplib
import sys
import time

D, PORT = sys.argv[1], int(sys.argv[2])
count = failed = 0
HEAD = b"From: News <news@example.com>\r\nTo: x@far.example\r\nSubject: odd\r\n"
MIME = HEAD + b"MIME-Version: 1.0\r\n"
LONG = b"0123456789" * 300


def ok(good, text, more=""):
    global count, failed
    count += 1
    print("%sok %d - %s" % ("" if good else "not ", count, text))
    if not good:
        failed += 1
        for line in str(more).splitlines()[:30]:
            print("# " + line)
    sys.stdout.flush()


def part(kind, encoding, body, more=b""):
    return b"--B\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + \
        b"\r\n" + more + b"\r\n" + body + b"\r\n"


def multipart(kind, *parts):
    return MIME + b'Content-Type: ' + kind + b'; boundary="B"\r\n' + \
        b"Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n" + b"".join(parts) + b"--B--\r\nepilogue\r\n"


MESSAGES = {
    "plain": HEAD + b"\r\nhello\r\n",
    "no final line end": HEAD + b"\r\nhello",
    "empty body": HEAD + b"\r\n",
    "headers only": HEAD,
    "blank lines at the end": HEAD + b"\r\nhello\r\n\r\n\r\n",
    "blanks at line ends": HEAD + b"\r\nhello  \r\n\tx\t\r\n  \r\n",
    "bare LF": HEAD + b"\r\none\ntwo\nthree\r\n",
    "dots": HEAD + b"\r\n.\r\n..\r\n.x\r\n",
    "From at line start": HEAD + b"\r\nFrom me\r\n>From you\r\n",
    "folded headers": HEAD + b"X-Fold: a\r\n b\r\n\tc\r\n   d\r\nKeywords: x,\r\n y\r\n\r\nx\r\n",
    "repeated headers": HEAD + b"List-Post: <mailto:a@x>\r\nReply-To: a@x.example\r\n"
                        b"Reply-To: b@x.example\r\nList-Post: <mailto:b@x>\r\n\r\nx\r\n",
    "blanks around values": b"From:   News  <news@example.com>  \r\nSubject:  a   b\t c \r\nTo:x@far.example\r\n"
                            b"\r\nx\r\n",
    "empty header": HEAD + b"X-Empty:\r\nReply-To: \r\n\r\nx\r\n",
    "a job to take out": HEAD + b"X-Job: spring sale\r\nX-Job: second\r\n\r\nx\r\n",
    "8-bit without MIME": HEAD + b"\r\ngr\xc3\xbc\xc3\x9fe\r\n",
    "8-bit declared": MIME + b"Content-Type: text/plain; charset=utf-8\r\n"
                      b"Content-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbc\xc3\x9fe = 100%\r\n",
    "8-bit Latin-1, no final line end": MIME + b"Content-Type: text/plain; charset=iso-8859-1\r\n"
                                        b"Content-Transfer-Encoding: 8bit\r\n\r\ngr\xfc\xdfe",
    "8-bit that is said to be 7bit": MIME + b"Content-Type: text/plain; charset=utf-8\r\n"
                                     b"Content-Transfer-Encoding: 7bit\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n",
    "raw 8-bit in headers": HEAD + b"X-Raw: gr\xc3\xbc\xc3\x9fe \xfc\r\n\r\nx\r\n",
    "long body lines": HEAD + b"\r\nshort\r\n" + LONG + b"\r\n" + LONG + b" end\r\n",
    "a long header": HEAD + b"X-Long: " + b"word " * 600 + b"\r\n\r\nx\r\n",
    "a long header without blanks": HEAD + b"X-Long: " + LONG + b"\r\n\r\nx\r\n",
    "References over 998 bytes": HEAD + b"References: " + b" ".join(
        b"<%d.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@x.example>" % i for i in range(60)) + b"\r\n\r\nx\r\n",
    "multipart, mixed encodings": multipart(
        b"multipart/alternative",
        part(b"text/plain; charset=utf-8", b"8bit", b"gr\xc3\xbc\xc3\x9fe\r\nzwei"),
        part(b"text/html; charset=utf-8", b"quoted-printable", b"<p>gr=C3=BC=C3=9Fe=\r\n</p>"),
        part(b"image/gif", b"base64", base64.encodebytes(b"GIF89a" * 30).replace(b"\n", b"\r\n").strip())),
    "long lines in one part": multipart(
        b"multipart/mixed", part(b"text/html; charset=us-ascii", b"7bit", b"<p>" + LONG + b"</p>"),
        part(b"text/plain", b"7bit", b"short")),
    "a message in a message": multipart(
        b"multipart/mixed", part(b"text/plain", b"7bit", b"see below"),
        b"--B\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"Subject: inner\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbc\xc3\x9fe inner\r\n\r\n"),
    "no closing boundary": multipart(
        b"multipart/mixed", part(b"text/plain; charset=utf-8", b"8bit", b"gr\xc3\xbc\xc3\x9fe"))
        .replace(b"--B--\r\nepilogue\r\n", b""),
    "utf-8 in everything": MIME.replace(b"odd", b"=?utf-8?q?gr=C3=BC=C3=9Fe?=") +
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
        "<p>gr\u00fc\u00dfe \u2014 \u4f60\u597d \U0001f600</p>\r\n".encode() * 40,
}


def leaves(data):
    """Decoded leaf parts, line ends as LF, blanks that a line break hides kept."""
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    out = []
    for p in message.walk():
        if p.is_multipart():
            continue
        body = p.get_payload(decode=True) or b""
        body = body.replace(b"\r\n", b"\n")
        out.append(body[:-1] if body.endswith(b"\n") else body)
    return out


def unfolded(data):
    head = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
    return re.sub(rb"\r?\n([ \t])", rb"\1", head)


def wait(folder, before):
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found = sorted(glob.glob("%s/%s/*.eml" % (D, folder)))
        if len(found) > before:
            return open(found[-1], "rb").read()
        time.sleep(0.02)
    return None


def submit(data, rcpt):
    smtp = smtplib.SMTP("127.0.0.1", PORT, timeout=120)
    smtp.ehlo("client.example")
    eight = any(c > 127 for c in data)
    code, text = smtp.mail("news@example.com", ["BODY=8BITMIME"] if eight else [])
    if code == 250:
        code, text = smtp.rcpt(rcpt)
    if code == 250:
        smtp.putcmd("data")
        code, text = smtp.getreply()
    if code == 354:
        # Not smtplib's data(): it mends line ends, and those are the point.
        smtp.send(re.sub(rb"(?m)^\.", b"..", data) + b"\r\n.\r\n")
        code, text = smtp.getreply()
    smtp.quit()
    return code, text


def main():
    for name, data in MESSAGES.items():
        if name in sys.argv[3:]:
            continue
        for hop in ("eight", "seven"):
            before = len(glob.glob("%s/%s/*.eml" % (D, hop)))
            code, text = submit(data, "x@%s.example" % hop)
            got = wait(hop, before) if code == 250 else None
            if got is None:
                ok(False, "%s, %s: delivered" % (name, hop), "%s %s" % (code, text))
                continue
            # SMTP's end of data puts an empty line behind a body without a line end;
            # bare LFs are line ends to Postfix.
            want = leaves(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n")
            have = leaves(got)
            same = [x.rstrip(b"\n") for x in want] == [x.rstrip(b"\n") for x in have]
            ok(same, "%s, %s: decoded, it is what went in" % (name, hop), "%r\n%r" % (want, have))
            ok(max(map(len, got.split(b"\r\n"))) <= 998, "%s, %s: no long line" % (name, hop))
            if hop == "seven":
                body = got.split(b"\r\n\r\n", 1)[-1]
                ok(all(c < 128 for c in body), "%s, %s: 7-bit body" % (name, hop))
    print("%d messages" % len(MESSAGES), file=sys.stderr)
    print("1..%d" % count if os.environ.get("PLAN") else "# %d" % count)
    json.dump({"count": count, "failed": failed}, open(D + "/oddmail.json", "w"))
    return failed != 0


sys.exit(main())
