#!/usr/bin/env python3
"""miltertalk.py SOCKET FROM TO...: one small message from 127.0.0.1, as an MTA gives it to a milter.

Prints each answer, and at the end "accepted" or what it was instead.
"""
import socket
import struct
import sys

STEPS = {b"c": "continue", b"a": "accepted", b"d": "discarded", b"r": "rejected", b"t": "tempfail"}
NO_ANSWER = b"hmi+-2beqlp"  # changes to the message, and "wait"


class Milter:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(60)
        self.s.connect(path)
        self.f = self.s.makefile("rb")

    def send(self, command, data=b""):
        self.s.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def answer(self):
        """The command and data of the answer that counts."""
        while True:
            (n,) = struct.unpack("!I", self.f.read(4))
            packet = self.f.read(n)
            if packet[:1] not in NO_ANSWER:
                return packet[:1], packet[1:]

    def ask(self, command, data=b""):
        self.send(command, data)
        what, more = self.answer()
        text = STEPS.get(what, "reply " + more.rstrip(b"\0").decode("ascii", "replace"))
        print("%s: %s" % (command.decode(), text))
        return text


def main():
    m = Milter(sys.argv[1])
    m.send(b"O", struct.pack("!III", 6, 0x1ff, 0x1fffff))
    m.answer()
    m.send(b"D", b"C{daemon_addr}\x00127.0.0.1\x00{daemon_port}\x0025\x00")
    m.ask(b"C", b"client.example\0" + b"4" + struct.pack("!H", 40000) + b"127.0.0.1\x00")
    m.send(b"H", b"client.example\0")  # the milter asked not to answer, as for headers and body
    m.send(b"D", b"M" + b"i\0TESTQUEUEID\0")
    m.ask(b"M", b"<" + sys.argv[2].encode() + b">\0")
    for rcpt in sys.argv[3:]:
        m.ask(b"R", b"<" + rcpt.encode() + b">\0")
    m.send(b"D", b"E" + b"i\0TESTQUEUEID\0")
    # No answer is awaited for what the milter asked not to answer: it asked so for these.
    for name, value in (b"From", b" news@example.com"), (b"To", b" you@example.net"), (b"Subject", b" hello"):
        m.send(b"L", name + b"\0" + value + b"\0")
    m.ask(b"N")
    m.send(b"B", b"hello\r\n")
    text = m.ask(b"E")
    m.send(b"Q")
    print("accepted" if text == "continue" else text)


main()
