#!/usr/bin/python3
"""dkim-verify.py KEYS [FILE...]

Verifies all DKIM signatures of the messages in FILEs, or of the one on standard
input, with python3-dkim and the public keys in KEYS (lines
"SELECTOR._domainkey.DOMAIN v=DKIM1; ..."): no DNS. One line a signature, behind
the file's name; exit 0 if each message has at least one and all pass.
"""
import re
import sys

import dkim


def read_keys(path):
    records = {}
    with open(path, "rb") as keys:
        for line in keys:
            name, text = line.strip().split(None, 1)
            records[name.lower()] = text
    return records


def verify(label, message, records):
    message = re.sub(rb"\r?\n", b"\r\n", message)

    def lookup(name, timeout=5):
        return records.get(name.lower().rstrip(b"."))

    try:
        verifier = dkim.DKIM(message, minkey=1024)
    except dkim.DKIMException as error:
        print("%sFAIL %s" % (label, error))
        return False
    wanted = sum(1 for name, _ in verifier.headers if name.lower() == b"dkim-signature")
    good = wanted > 0
    for i in range(wanted):
        why = ""
        try:
            passed = verifier.verify(idx=i, dnsfunc=lookup)
        except dkim.DKIMException as error:
            passed, why = False, str(error)
        tags = verifier.signature_fields or {}
        print("%s%s d=%s s=%s a=%s %s" % (
            label, "pass" if passed else "FAIL", tags.get(b"d", b"").decode(),
            tags.get(b"s", b"").decode(), tags.get(b"a", b"").decode(), why))
        good &= passed
    if wanted == 0:
        print("%sFAIL no signature" % label)
    return good


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: dkim-verify.py KEYS [FILE...]")
    records = read_keys(sys.argv[1])
    if len(sys.argv) == 2:
        good = verify("", sys.stdin.buffer.read(), records)
    else:
        good = True
        for path in sys.argv[2:]:
            with open(path, "rb") as file:
                good &= verify(path + ": ", file.read(), records)
    sys.exit(0 if good else 1)


main()
