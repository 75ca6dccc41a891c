#!/usr/bin/env python3
"""A TCP port of this host that no other test gets while ours runs.

    port.py OWNER-PID          prints one
    port.py -r OWNER-PID       gives back all that this process has

To look for a free port and to listen there later is two steps, and tests run beside each other: so a
port is taken by a file /tmp/sp-port.NUMBER with its owner's pid, under a lock of the directory /tmp.
What a killed owner left is taken over. Ports are outside the range from which the kernel serves
connections that go out.
"""
import errno
import fcntl
import os
import random
import socket
import sys

PLACE = "/tmp"
PREFIX = "sp-port."
WANTED = range(20000, 32000)


def candidates():
    """What the kernel does not hand out by itself, if that leaves any."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
            low, high = map(int, f.read().split())
    except (OSError, ValueError):
        return WANTED
    for some in (range(WANTED.start, min(WANTED.stop, low)), range(10000, min(WANTED.stop, low)),
                 range(high + 1, 65000)):
        if len(some) >= 2000:
            return some
    return WANTED


def path_of(port):
    return "%s/%s%d" % (PLACE, PREFIX, port)


def owner_of(path):
    """The pid of who has it; 0: nobody any more; -1: that can't be told."""
    try:
        with open(path, encoding="ascii") as f:
            pid = int(f.read())
        os.kill(pid, 0)
        return pid
    except FileNotFoundError:
        return 0
    except ValueError:
        return 0
    except OSError as e:
        return 0 if e.errno == errno.ESRCH else -1


def is_free(port, host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        s.bind((host, port))


class Lock:
    def __enter__(self):
        self.fd = os.open(PLACE, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def __exit__(self, *args):
        os.close(self.fd)


def take(owner, host="127.0.0.1"):
    """OSError where there is no such address at all."""
    some = candidates()
    with Lock():
        for port in random.sample(some, len(some)):
            path = path_of(port)
            try:
                is_free(port, host)
                if os.path.lexists(path):
                    if owner_of(path) != 0:
                        continue
                    os.unlink(path)
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as f:
                    f.write("%d\n" % owner)
                return port
            except OSError as e:
                if e.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EPERM, errno.EEXIST):
                    raise
    raise OSError(errno.EADDRINUSE, "no port is free")


def give_back(owner):
    with Lock():
        for name in os.listdir(PLACE):
            path = os.path.join(PLACE, name)
            if name.startswith(PREFIX) and owner_of(path) in (owner, 0):
                try:
                    os.unlink(path)
                except OSError:
                    pass  # somebody else's


def main():
    if sys.argv[1] == "-r":
        give_back(int(sys.argv[2]))
    else:
        print(take(int(sys.argv[1])))


if __name__ == "__main__":
    main()
