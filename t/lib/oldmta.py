#!/usr/bin/env python3
"""An MTA that can do less than Postfix: one message over the milter protocol.

    oldmta.py SOCKET ACTIONS FROM RCPT...

ACTIONS is what it lets a milter do (a number, SMFIF_*). Nothing optional of the protocol is
offered. Prints the milter's answer to each recipient and, if one was accepted, what comes at
the end of the message: the changes by name, then the answer.
"""
import socket
import struct
import sys

HEADERS = (("From", "a@isp.example"), ("Subject", "old"), ("X-Fold", "a\n\tb"))
NAMES = {b"c": "continue", b"d": "discard", b"r": "reject", b"t": "tempfail", b"a": "accept",
         b"-": "remove", b"h": "add", b"i": "insert", b"m": "header", b"e": "sender", b"b": "body"}


class Milter:
    def __init__(self, path, actions):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
        self.stream = self.sock.makefile("rb")
        self.send(b"O", struct.pack(">III", 6, actions, 0))
        if self.answer()[0] != b"O":
            sys.exit("no negotiation")

    def send(self, command, data=b""):
        self.sock.sendall(struct.pack(">I", len(data) + 1) + command + data)

    def answer(self):
        size = struct.unpack(">I", self.stream.read(4))[0]
        data = self.stream.read(size)
        return data[:1], data[1:]

    def ask(self, command, *texts):
        self.send(command, b"".join(t.encode() + b"\0" for t in texts))
        return self.answer()


def shown(answer):
    command, data = answer
    if command == b"y":
        return data.rstrip(b"\0").decode()
    return " ".join([NAMES.get(command, repr(command))] + [p.decode() for p in data.split(b"\0")[:1] if command == b"-"])


def main(path, actions, sender, *rcpts):
    milter = Milter(path, int(actions, 0))
    milter.send(b"C", b"mx.isp.example\0" + b"4" + struct.pack(">H", 25) + b"127.0.0.1\0")
    milter.answer()
    milter.ask(b"H", "client.example")
    milter.ask(b"M", "<%s>" % sender)
    accepted = 0
    for rcpt in rcpts:
        answer = milter.ask(b"R", "<%s>" % rcpt)
        accepted += answer[0] == b"c"
        print(rcpt, "=>", shown(answer))
    if accepted == 0:
        return
    milter.send(b"D", b"T" + b"i\0OLD1\0")
    milter.ask(b"T")
    for header in HEADERS:
        milter.ask(b"L", *header)
    milter.ask(b"N")
    milter.send(b"B", b"hello\r\n")
    milter.answer()
    milter.send(b"E")
    while True:
        answer = milter.answer()
        if answer[0] == b"p":  # progress
            continue
        print("end =>", shown(answer))
        if answer[0] in b"cdrtay":
            return


main(*sys.argv[1:])
