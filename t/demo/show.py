#!/usr/bin/env python3
"""What the demonstration shows of messages and events.

    show.py message IN.eml SENDER RECIPIENT SINK-NAME	what went in beside what came out
    show.py html OUT.eml				the HTML part, decoded, long URLs cut
    show.py links OUT.eml PREFIX			the URLs in it: "i URL", "o URL", "c URL", "u URL"
							tracked ones by kind, "= URL" others
    show.py events FILE.json				the collector's answer, one event a block
    show.py has FILE.json TYPE FIELD=VALUE...		is there exactly one event of TYPE, and has it these?
    show.py types FILE.json				its types, sorted, each once
"""
import json
import re
import sys
from email import policy
from email.parser import BytesParser

WIDTH = 52
HEADERS = ["From", "Subject", "X-Job", "X-Signalpost-ID", "Content-Transfer-Encoding", "DKIM-Signature"]
FIELDS = ["type", "event_id", "timestamp", "message_id", "rcpt_to", "msg_from", "friendly_from", "campaign_id",
          "error_code", "bounce_class", "raw_reason", "fbtype", "report_by", "report_to", "num_retries", "queue_time", "user_agent", "ip_address", "target_link_url", "target_link_name", "subject", "binding", "binding_group", "sending_ip", "routing_domain", "recv_method", "msg_size",
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


def html_of(path):
    for part in read(path).walk():
        if part.get_content_type() == "text/html":
            return part.get_payload(decode=True).decode(part.get_content_charset() or "utf-8", "replace")
    return ""


def show_html(path):
    for line in html_of(path).splitlines():
        print("    " + re.sub(r"(https?://[^\"]{40})[^\"]+", r"\1...", line))


def show_links(path, prefix):
    for url in re.findall(r'(?:href|src)="(https?://[^"]+)"', html_of(path)):
        print("%s %s" % (url[len(prefix)] if url.startswith(prefix) else "=", url))


def show_types(path):
    with open(path, encoding="utf-8") as f:
        print(" ".join(sorted({event["type"] for event in json.load(f)["results"]})))


def has_event(path, kind, *wanted):
    with open(path, encoding="utf-8") as f:
        events = [event for event in json.load(f)["results"] if event["type"] == kind]
    sys.exit(len(events) != 1 or any(str(events[0].get(w.split("=", 1)[0])) != w.split("=", 1)[1] for w in wanted))


def show_events(path):
    with open(path, encoding="utf-8") as f:
        answer = json.load(f)
    for event in answer["results"]:
        kept = {field: event[field] for field in FIELDS if field in event}
        print(re.sub("(?m)^", "  ", json.dumps(kept, indent=2, ensure_ascii=False)))


{"message": show_message, "html": show_html, "links": show_links, "events": show_events,
 "types": show_types, "has": has_event}[sys.argv[1]](*sys.argv[2:])
