#!/usr/bin/env python3
"""What the demonstration shows of messages and events.

    show.py message IN.eml SENDER RECIPIENT SINK-NAME	what went in beside what came out
    show.py events FILE.json				the collector's answer, one event a block
"""
import json
import re
import sys
from email import policy
from email.parser import BytesParser

WIDTH = 52
HEADERS = ["From", "Subject", "X-Job", "X-Signalpost-ID", "Content-Transfer-Encoding", "DKIM-Signature"]
FIELDS = ["type", "event_id", "timestamp", "message_id", "rcpt_to", "msg_from", "friendly_from", "campaign_id",
          "subject", "binding", "binding_group", "sending_ip", "routing_domain", "recv_method", "msg_size",
          "subaccount_id"]


def read(path):
    with open(path, "rb") as f:
        return BytesParser(policy=policy.compat32).parse(f)


def value(message, name):
    text = message.get(name)
    if text is None:
        return "-"
    text = re.sub(r"\s+", " ", str(text))
    if name == "DKIM-Signature":
        tags = dict(t.strip().split("=", 1) for t in text.split(";") if "=" in t)
        return "%s; d=%s; s=%s" % (tags.get("a"), tags.get("d"), tags.get("s"))
    return text


def cut(text):
    return text if len(text) <= WIDTH else text[:WIDTH - 3] + "..."


def row(name, left, right):
    print("  %-26s| %-*s | %s" % (name, WIDTH, cut(left), cut(right)))


def show_message(before_file, sender, rcpt, name):
    before, after = read(before_file), read(name + ".eml")
    with open(name + ".json", encoding="utf-8") as f:
        envelope = json.load(f)
    row("", "went in", "the next hop got")
    row("MAIL FROM", sender, envelope["mail_from"])
    row("RCPT TO", rcpt, " ".join(envelope["rcpts"]))
    for header in HEADERS:
        row(header, value(before, header), value(after, header))


def show_events(path):
    with open(path, encoding="utf-8") as f:
        answer = json.load(f)
    for event in answer["results"]:
        kept = {field: event[field] for field in FIELDS if field in event}
        print(re.sub("(?m)^", "  ", json.dumps(kept, indent=2, ensure_ascii=False)))


if sys.argv[1] == "message":
    show_message(*sys.argv[2:])
else:
    show_events(sys.argv[2])
