#!/usr/bin/env python3
"""Mail whose fate is in its recipients' names, and whether the events say the same.

    logmail.py sink PORT                  an SMTP server that does as the recipient's name says;
                                          prints "ready"
    logmail.py send PORT FIRST N CLIENTS FILE SECONDS  N messages with numbers from FIRST, in
                                          that time, to 1 to 4
                                          recipients each, refused ones again under new names; FILE
                                          gets a JSON line for each that was answered 250
    logmail.py check DB FILE [LOG...]     does the collector's database have what FILE wants: one
                                          terminal event of the right kind for each recipient
    logmail.py wait DB FILE SECONDS [LOG...]  the same, until it does; prints what is wrong at the end.
                                          LOGs are the MTA's: on a busy machine its queue may give up at
                                          the first try, without a delay before it
    logmail.py types DB RCPT WANTED SECONDS   types and classes of the recipient's events, as soon as
                                          they are those
    logmail.py show DB RCPT               the recipient's events, one a line, oldest first

Recipients are KIND-NUMBER-TRY@one.example or @two.example (two next hops):
    sent    delivery            hard   inband 550
    later   tempfail, delivery  soft   tempfail, inband when the queue gives up
    eom     inband 554 after the message
    dead    (@dead.example: nobody listens) tempfail, inband when the queue gives up
    gone    (@gone.example: transport discard) nothing
Every seventh message is from other.example, whose mail isn't ours.
"""
import asyncio
import collections
import glob
import json
import random
import re
import smtplib
import sqlite3
import sys
import threading
import time

REPLIES = {
    "hard": "550 5.1.1 <%s>: Recipient address rejected: User unknown",
    "soft": "452 4.2.2 <%s> Mailbox full, comes from 127.0.0.1",
    "later": "450 4.7.1 <%s>: Recipient address rejected: Greylisted",
}


# ---- the next hop ----

async def session(reader, writer, seen):
    def say(text):
        writer.write(text.encode() + b"\r\n")

    say("220 sink ESMTP")
    rcpts = []
    try:
        while True:
            await writer.drain()
            line = (await reader.readuntil(b"\n")).rstrip(b"\r\n").decode("ascii", "replace")
            verb = line.split(" ", 1)[0].upper()
            if verb in ("EHLO", "HELO"):
                say("250-sink")
                say("250-PIPELINING")
                say("250 ENHANCEDSTATUSCODES")
            elif verb == "RCPT":
                rcpt = line.split("<", 1)[1].split(">", 1)[0]
                kind = rcpt.split("-", 1)[0]
                if kind in REPLIES and not (kind == "later" and rcpt in seen):
                    seen.add(rcpt)
                    say(REPLIES[kind] % rcpt)
                else:
                    rcpts.append(kind)
                    say("250 2.1.5 Ok")
            elif verb == "DATA":
                if not rcpts:
                    say("554 5.5.1 No valid recipients")
                    continue
                say("354 go on")
                await writer.drain()
                while await reader.readuntil(b"\n") != b".\r\n":
                    pass
                say("554 5.7.1 Message looks like spam" if "eom" in rcpts else "250 2.0.0 Ok: taken")
                rcpts = []
            elif verb == "QUIT":
                say("221 2.0.0 Bye")
                await writer.drain()
                return
            else:
                rcpts = [] if verb in ("MAIL", "RSET") else rcpts
                say("250 2.0.0 Ok")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def sink(port):
    seen = set()
    server = await asyncio.start_server(lambda r, w: session(r, w, seen), "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


# ---- the injecting clients ----

def recipients(rng, number, attempt):
    out = []
    kinds = rng.choices(["sent", "hard", "later", "soft", "dead", "gone"], [60, 12, 10, 6, 6, 6],
                        k=rng.choice([1, 1, 1, 2, 4]))
    if rng.random() < 0.05:
        kinds = ["eom"]
    for i, kind in enumerate(kinds):
        domain = {"dead": "dead.example", "gone": "gone.example"}.get(
            kind, rng.choice(["one.example", "two.example"]))
        out.append("%s-%d.%d-%d@%s" % (kind, number, i, attempt, domain))
    return out


def send(port, first, n, clients, path, seconds):
    todo = list(range(first, first + n))
    lock = threading.Lock()
    out = open(path, "a", buffering=1)

    def run():
        smtp, rng = None, random.Random()
        while True:
            with lock:
                if not todo:
                    return
                number = todo.pop()
            time.sleep(seconds * clients / n)
            sender = "a@other.example" if number % 7 == 3 else "a@sender.example"
            for attempt in range(2000):
                rcpts = recipients(rng, number, attempt)
                try:
                    if smtp is None:
                        smtp = smtplib.SMTP("127.0.0.1", port, timeout=180)
                    smtp.sendmail(sender, rcpts, "From: %s\r\nTo: x@one.example\r\nSubject: m%d\r\n"
                                  "X-Job: job%d\r\n\r\nhello\r\n" % (sender, number, number % 3))
                    with lock:
                        out.write(json.dumps({"from": sender, "rcpts": rcpts}) + "\n")
                    break
                except (smtplib.SMTPException, OSError):
                    smtp = None
                    time.sleep(0.05)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    out.close()


# ---- the events ----

TERMINAL = {"delivery", "inband"}


def course(e):
    """For sorting a recipient's events: batches go out side by side and need not come in their order."""
    return ("reception", "tempfail").index(e["type"]) if e["type"] in ("reception", "tempfail") else 2, \
        int(e.get("num_retries", 0))


def events(db):
    con = sqlite3.connect("file:%s?mode=ro" % db, uri=True)
    con.execute("PRAGMA busy_timeout = 10000")
    for (line,) in con.execute("SELECT line FROM event ORDER BY seq"):
        for inner in json.loads(line)["msys"].values():
            yield inner
    con.close()


def put_off(logs):
    """The recipients that the MTA says it has tried and will try again."""
    found = set()
    for path in logs:
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                if "=deferred" in line or "stat=Deferred" in line:
                    found.update(re.findall("<([^>]*)>", " ".join(re.findall(" to=((?:<[^>]*>,?)+)", line))))
    return found


def reasons(evs):
    return [e["raw_reason"] for e in evs if "raw_reason" in e]


def problems_of(rcpt, evs, delayed=None):
    """What is wrong with a recipient's events; empty if nothing is."""
    kind = rcpt.split("-", 1)[0]
    evs = sorted(evs, key=course)
    types = [e["type"] for e in evs]
    final = [e for e in evs if e["type"] in TERMINAL]
    if kind == "gone":
        # On a host that is very busy the queue may give it up before its first attempt.
        gave_up = len(final) == 1 and "message timeout" in final[0].get("raw_reason", "")
        return [] if types == ["reception"] or gave_up else ["%s: %s %s" % (rcpt, types, reasons(evs))]
    if types.count("reception") != 1 or len(final) != 1:
        return ["%s: %s %s" % (rcpt, types, reasons(evs))]
    reception = [e for e in evs if e["type"] == "reception"][0]
    end, delays = final[0], [e for e in evs if e["type"] == "tempfail"]
    want = {"sent": "delivery", "later": "delivery"}.get(kind, "inband")
    bad = []

    def check(what, got, wanted):
        if got != wanted:
            bad.append("%s: %s is %r, not %r" % (rcpt, what, got, wanted))

    check("the end", end["type"], want)
    check("delays", bool(delays), kind in ("later", "soft", "dead") and (delayed is None or rcpt in delayed))
    for i, e in enumerate(delays):
        check("num_retries of delay %d" % i, e["num_retries"], str(i))
    check("num_retries", end["num_retries"], str(len(delays)))
    for key in ("message_id", "campaign_id", "msg_from", "subject", "msg_size", "routing_domain"):
        check(key, end.get(key), reception.get(key))
    if want == "delivery" or kind in ("hard", "eom"):
        check("ip_address", end.get("ip_address"), "127.0.0.1")
        check("delv_method", end.get("delv_method"), "esmtp")
    if kind == "hard":
        check("raw_reason", end["raw_reason"], REPLIES["hard"] % rcpt)
        check("reason", end["reason"],
              "550 5.1.1 ...@...: Recipient address rejected: User unknown")
        check("code and class", (end["error_code"], end["bounce_class"]), ("550", "10"))
    if kind == "eom":
        check("code and class", (end["error_code"], end["bounce_class"]), ("554", "52"))
        check("raw_reason", end["raw_reason"], "554 5.7.1 Message looks like spam")
    if kind == "soft" and delays:
        check("class of a delay", delays[0]["bounce_class"], "22")
        check("reason of a delay", delays[0]["reason"],
              "452 4.2.2 ...@... Mailbox full, comes from a.b.c.d")
    if kind == "soft":
        check("raw_reason", end["raw_reason"],
              "554 5.4.7 [internal] message timeout (last transfail: %s)" % (REPLIES["soft"] % rcpt))
        check("class", end["bounce_class"], "22")
        if int(end["queue_time"]) < 1000:
            bad.append("%s: queue_time %s" % (rcpt, end["queue_time"]))
    if kind == "dead" and "Connection refused" not in end["raw_reason"]:
        bad.append("%s: raw_reason %s" % (rcpt, end["raw_reason"]))
    return bad


def check(db, path, logs=()):
    delayed = put_off(logs) if logs else None
    by_rcpt, ids = collections.defaultdict(list), {}
    bad = []
    for e in events(db):
        by_rcpt[e["rcpt_to"]].append(e)
        if e["event_id"] in ids:
            bad.append("event_id %s twice" % e["event_id"])
        ids[e["event_id"]] = True
    n, counts = 0, collections.Counter()
    for line in open(path):
        message = json.loads(line)
        for rcpt in message["rcpts"]:
            n += 1
            evs = by_rcpt.get(rcpt, [])
            if "other" in message["from"]:
                if evs:
                    bad.append("%s isn't ours: %s" % (rcpt, [e["type"] for e in evs]))
                continue
            bad += problems_of(rcpt, evs, delayed)
            counts[rcpt.split("-", 1)[0]] += 1
    for rcpt, evs in by_rcpt.items():
        if sum(e["type"] in TERMINAL for e in evs) > 1:
            bad.append("%s: more than one end" % rcpt)
    return bad, "%d recipients, %d events: %s" % (
        n, len(ids), " ".join("%s=%d" % kv for kv in sorted(counts.items())))


def report(bad, text):
    print(text)
    print("%d problems" % len(bad))
    for line in bad[:20]:
        print(line)
    return 1 if bad else 0


def wait(db, path, seconds, logs):
    end = time.monotonic() + seconds
    while True:
        bad, text = check(db, path, logs)
        if not bad or time.monotonic() > end:
            return report(bad, text)
        time.sleep(1)


def show(db, rcpt):
    for e in events(db):
        if e["rcpt_to"] == rcpt:
            print(json.dumps(e, sort_keys=True))


def types(db, rcpt, wanted, seconds):
    end = time.monotonic() + seconds
    while True:
        got = " ".join(e["type"] + ("/" + e["bounce_class"] if "bounce_class" in e else "")
                       for e in sorted((e for e in events(db) if e.get("rcpt_to") == rcpt), key=course))
        if got == wanted or time.monotonic() > end:
            return got
        time.sleep(0.1)


def main(argv):
    if argv[1] == "sink":
        asyncio.run(sink(int(argv[2])))
    elif argv[1] == "send":
        send(int(argv[2]), int(argv[3]), int(argv[4]), int(argv[5]), argv[6], float(argv[7]))
    elif argv[1] == "check":
        return report(*check(argv[2], argv[3], argv[4:]))
    elif argv[1] == "wait":
        return wait(argv[2], argv[3], float(argv[4]), [n for p in argv[5:] for n in glob.glob(p)])
    elif argv[1] == "types":
        print(types(argv[2], argv[3], argv[4], float(argv[5])))
    elif argv[1] == "show":
        show(argv[2], argv[3])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
