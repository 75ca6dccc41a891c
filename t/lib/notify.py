#!/usr/bin/env python3
"""notify.py SOCKET FILE: what a daemon tells systemd, a line each, until we are ended."""
import os
import socket
import sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
with open(sys.argv[2], "w", buffering=1) as f:
    while True:
        f.write(s.recv(4096).decode("utf-8", "replace").rstrip("\n").replace("\n", " ") + "\n")
