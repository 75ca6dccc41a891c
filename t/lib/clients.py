#!/usr/bin/env python3
"""SMTP clients for fault tests.

    clients.py PORT half FLAG-FILE       DATA, half a message; creates FLAG-FILE.sent, waits for
                                         FLAG-FILE, sends the rest; prints the last reply
    clients.py PORT one TEXT             one message with that subject; prints the last reply
    clients.py PORT load N CLIENTS FILE  N messages over CLIENTS threads, subjects unique;
                                         FILE gets the subjects that were answered 250; a client
                                         that is refused or cut off tries the same message again
"""
import os
import smtplib
import sys
import threading
import time

PORT = int(sys.argv[1])


def message(subject):
    return ("From: News <news@example.com>\r\nTo: b@far.example\r\nSubject: %s\r\n\r\n" % subject +
            "hello\r\n" * 200)


def connect():
    smtp = smtplib.SMTP("127.0.0.1", PORT, timeout=180)
    smtp.ehlo("client.example")
    return smtp


def half(flag):
    smtp = connect()
    smtp.mail("a@example.com")
    smtp.rcpt("b@far.example")
    smtp.putcmd("data")
    smtp.getreply()
    text = message("half")
    smtp.send(text[:500])
    open(flag + ".sent", "w").close()
    while not os.path.exists(flag):
        time.sleep(0.02)
    smtp.send(text[500:] + "\r\n.\r\n")
    code, reply = smtp.getreply()
    print(code, reply.decode())


def one(subject):
    smtp = connect()
    code, reply = smtp.mail("a@example.com")
    if code == 250:
        code, reply = smtp.rcpt("b@far.example")
    if code == 250:
        code, reply = smtp.data(message(subject))
    print(code, reply.decode())


def load(n, clients, path):
    todo = ["m%06d" % i for i in range(n)]
    lock = threading.Lock()
    out = open(path, "w", buffering=1)

    def run():
        smtp = None
        while True:
            with lock:
                if not todo:
                    return
                subject = todo.pop()
            for _ in range(600):
                try:
                    smtp = smtp or connect()
                    smtp.sendmail("a@example.com", ["b@far.example"], message(subject))
                    with lock:
                        out.write(subject + "\n")
                    break
                except (smtplib.SMTPException, OSError):
                    # refused for now, or cut off: nothing was acknowledged
                    smtp = None
                    time.sleep(0.05)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    out.close()


{"half": lambda: half(sys.argv[3]), "one": lambda: one(sys.argv[3]),
 "load": lambda: load(int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])}[sys.argv[2]]()
