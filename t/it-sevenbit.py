#!/usr/bin/env python3
"""Is a message the same to its reader after it was made safe for 7-bit hops?

Python's email package reads each message before and after, as it is and with bytes
put into its parts that no hop must see: 8-bit text, NUL, a bare CR, long lines. Parts,
headers and decoded bytes have to be the same.

usage: it-sevenbit.py [FILTER DIRECTORY...] (in a test run: ours; prints TAP; the seed is the first argument of -s)
"""
import email
import os
import random
import re
import subprocess
import sys

count = failed = 0


def ok(good, what, why=""):
    global count, failed
    count += 1
    print(("ok" if good else "not ok") + f" {count} - {what}")
    if not good:
        failed += 1
        print(f"# {why}")


def run(filter_, text, crlf):
    done = subprocess.run([filter_] + (["-c"] if crlf else []), input=text,
                          capture_output=True, check=True)
    words = dict(w.split("=") for w in done.stderr.decode().split())
    return done.stdout, {k: int(v) for k, v in words.items()}


def plain(value):
    """A header's value with all white space gone: folds may have come in."""
    return re.sub(r"\s+", "", str(value))


def leaves(text):
    """(type, header fields, decoded bytes) of each part as its reader sees it."""
    out = []
    for part in email.message_from_bytes(text).walk():
        fields = [(k.lower(), plain(v)) for k, v in part.raw_items()
                  if k.lower() not in ("content-transfer-encoding", "mime-version")]
        body = None if part.is_multipart() else part.get_payload(decode=True)
        out.append((part.get_content_type(), fields, body))
    return out


def raw_leaves(text):
    for part in email.message_from_bytes(text).walk():
        if not part.is_multipart():
            yield part.get_payload().encode("utf-8", "surrogateescape")


def unsafe_bytes(text):
    """What a hop would change, or None."""
    if any(len(line.rstrip(b"\r")) > 998 for line in text.split(b"\n")):
        return "long line"
    for body in raw_leaves(text):
        if re.search(rb"[\x00\x80-\xff]|\r(?!\n)", body):
            return "8-bit, NUL or bare CR"
    for part in email.message_from_bytes(text).walk():
        if part.get("Content-Transfer-Encoding", "").strip().lower() in ("8bit", "binary"):
            return "label 8bit"
    return None


def spots(text):
    """Offsets in the bodies of parts that are text as it stands or quoted-printable."""
    out = []
    for part in email.message_from_bytes(text).walk():
        cte = part.get("Content-Transfer-Encoding", "7bit").strip().lower()
        if part.is_multipart() or cte not in ("7bit", "8bit", "binary", "quoted-printable"):
            continue
        body = part.get_payload().encode("utf-8", "surrogateescape")
        at = text.find(body) if len(body) > 8 else -1
        if at < 0:
            continue
        # Not next to '=', a line end or blanks: their meaning would change.
        out += [at + m.start() + 1 for m in re.finditer(rb"[a-z,]{2}(?=[a-z,])", body)]
    return out


INSERTS = [b"\xc3\xa4", b"\xff", b"\x80\x81", b"\x00", b"\rx", b"y" * 1100,
           b"z " * 600 + b"z", b"\xe2\x82\xac" * 400, b"\x7f\x01"]


def mutate(text, rng):
    where = spots(text)
    for at in sorted(rng.sample(where, min(len(where), rng.randint(1, 4))), reverse=True):
        text = text[:at] + rng.choice(INSERTS) + text[at:]
    if rng.random() < 0.2:
        head, sep, body = text.partition(b"\n\n")
        text = head + b"\nX-Long: " + rng.choice([b"word " * 400 + b"end", b"w" * 900]) + sep + body
    if rng.random() < 0.3:  # base64 on one line
        text = re.sub(rb"(?<=[A-Za-z0-9+/]{60})\n(?=[A-Za-z0-9+/]{20})", b"", text)
    return text


def check(filter_, name, text, crlf):
    if crlf:
        text = text.replace(b"\n", b"\r\n")
    out, report = run(filter_, text, crlf)
    problems = []
    before, after = leaves(text), leaves(out)
    if before != after:
        for b, a in zip(before, after):
            if a != b:
                problems.append(f"{b!r:.700} became {a!r:.700}")
                break
        else:
            problems.append(f"{len(before)} parts became {len(after)}")
    bad = unsafe_bytes(out)
    if bad and not report["unsafe"]:
        problems.append(bad)
    if not unsafe_bytes(text) and not report["unsafe"] and report["parts"]:
        problems.append("re-encoded without need")
    again, second = run(filter_, out, crlf)
    if again != out or second["changed"]:
        problems.append("not the same when done twice")
    ok(not problems, f"{name}{' CRLF' if crlf else ''} {report}", "; ".join(problems))
    return report["changed"]


def main():
    args = sys.argv[1:]
    if not args:
        data = os.path.join(os.environ.get("srcdir", "."), "t/data")
        args = [os.path.join(os.environ.get("builddir", "."), "t/sevenbit-filter"),
                os.path.join(data, "mime"), os.path.join(data, "mail")]
    seed, rounds = 1, 3
    if args[:1] == ["-s"]:
        seed, rounds, args = int(args[1]), int(args[2]), args[3:]
    if not args:
        args = [os.path.join(os.environ.get("builddir", "."), "t/sevenbit-filter"),
                os.path.join(os.environ.get("srcdir", "."), "t/data/mime")]
    rng = random.Random(seed)
    changed = 0
    for directory in args[1:]:
        for name in sorted(os.listdir(directory)):
            with open(os.path.join(directory, name), "rb") as f:
                text = f.read().replace(b"\r\n", b"\n")
            if text.startswith(b"From "):
                text = text.partition(b"\n")[2]
            if not text.endswith(b"\n"):
                text += b"\n"
            if b"\r" in text or b"\0" in text:
                continue
            for i in range(rounds + 1):
                changed += check(args[0], f"{name} {i}", mutate(text, rng) if i else text,
                                 rng.random() < 0.5)
    ok(changed > 0, f"{changed} messages were changed")
    print(f"1..{count}")
    return failed > 0


sys.exit(main())
