#!/usr/bin/env python3
"""Say SMTP commands as they are, and print what comes back: "COMMAND => REPLY".

    say.py [--source IP] PORT COMMAND...

Two commands are more than a line: "STARTTLS" goes on encrypted (any certificate), and
".FILE" sends FILE as the data (dots stuffed, line ends made CRLF); "." alone sends a
short message. "AUTH USER PASSWORD" is AUTH PLAIN. Replies of several lines are joined
by " | ". Ends with 1 if the connection breaks.
"""
import base64
import socket
import ssl
import sys

SHORT = b"From: a@example.com\nTo: b@example.com\nSubject: short\n\nHello\n"


def reply(stream):
    lines = []
    while True:
        line = stream.readline()
        if not line:
            raise ConnectionError("connection closed")
        lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
        if lines[-1][3:4] != "-":
            return " | ".join(lines)


def data(text):
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def main():
    args = sys.argv[1:]
    source = ("127.0.0.1", 0)
    if args[0] == "--source":
        source, args = (args[1], 0), args[2:]
    sock = socket.create_connection(("127.0.0.1", int(args[0])), 120, source)
    stream = sock.makefile("rb")
    print("=> " + reply(stream))
    for command in args[1:]:
        send, shown = command.encode() + b"\r\n", command
        if command.startswith("."):
            send = data(SHORT if command == "." else open(command[1:], "rb").read())
            shown = "."
        elif command.startswith("AUTH "):
            _, user, password = command.split(" ", 2)
            token = base64.b64encode(b"\0" + user.encode() + b"\0" + password.encode())
            send, shown = b"AUTH PLAIN " + token + b"\r\n", "AUTH"
        sock.sendall(send)
        answer = reply(stream)
        print("%s => %s" % (shown, answer), flush=True)
        if command == "STARTTLS" and answer.startswith("220"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock)
            stream = sock.makefile("rb")
            print("TLS => " + sock.version())


try:
    main()
except (ConnectionResetError, BrokenPipeError):  # it had been closed before we spoke
    print("=> connection closed")
    sys.exit(1)
except (OSError, ConnectionError) as problem:
    print("=> %s" % problem)
    sys.exit(1)
