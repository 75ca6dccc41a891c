"""What the tests in Python share: results as TAP, waiting with a deadline, a free port.

    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
    from tap import ok, plan, wait
    ...
    ok(got == wanted, "what is so", got)
    ...
    sys.exit(plan())

$SIGNALPOST_TEST_SLOW stretches every wait(): sanitizers and valgrind want that.
"""

import os
import random
import socket
import sys
import threading
import time

SLOW = float(os.environ.get("SIGNALPOST_TEST_SLOW", "1"))

_lock = threading.Lock()
_run = _failed = 0


def ok(good, what, *more):
    """A result; of a bad one the caller's line, and the end of each of `more`."""
    global _run, _failed
    with _lock:
        _run += 1
        print("%sok %d - %s" % ("" if good else "not ", _run, what), flush=True)
        if not good:
            _failed += 1
            print("# line %d" % sys._getframe(1).f_lineno)
            for text in more:
                for line in str(text).splitlines()[-40:]:
                    print("# " + line[:2000])
            sys.stdout.flush()
    return good


def skip(what, why):
    global _run
    with _lock:
        _run += 1
        print("ok %d - %s # SKIP %s" % (_run, what, why), flush=True)


def plan():
    """The last line; the test's exit status."""
    print("1..%d" % _run, flush=True)
    return 1 if _failed else 0


def wait(condition, seconds=60):
    """Until it holds; what it is in the end."""
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def free_port():
    """One that is free on 127.0.0.1, below those that the kernel hands out."""
    for _ in range(1000):
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("no port")
