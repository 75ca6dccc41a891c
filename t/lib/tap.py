"""What the tests in Python share: results as TAP, waiting with a deadline, a free port.

    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
    from tap import ok, plan, wait
    ...
    ok(got == wanted, "what is so", got)
    ...
    sys.exit(plan())

wait() is for what must come and costs nothing when it does, so it is long: the machine may be busy with
other things. $SIGNALPOST_TEST_SLOW stretches it: sanitizers and valgrind want that.
"""

import atexit
import faulthandler
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import port  # noqa: E402



def _told_to_end(*args):
    """It hangs (limit.py): where, and then what is behind each "finally"."""
    faulthandler.dump_traceback(sys.stdout)
    sys.exit("ended")


signal.signal(signal.SIGTERM, _told_to_end)
os.umask(0o022)  # daemons of other users read what we make
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


def wait(condition, seconds=120):
    """Until it holds; what it is in the end."""
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def gone(pid):
    """It has ended, whether somebody has waited for it or not."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def for_others(program, place):
    """Its path for other users: the build may be where they don't get in, as below /root. None: nowhere."""
    def runs(path):
        return subprocess.run([path, "-V"], user=65534, group=65534, extra_groups=[], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    try:
        if runs(program):
            return program
    except OSError:
        pass
    copy = os.path.join(place, os.path.basename(program))
    shutil.copy(program, copy)
    os.chmod(copy, 0o755)
    try:
        return copy if runs(copy) else None
    except OSError:
        return None


def free_port(host="127.0.0.1"):
    """One that is free, and no other test's while this one runs. OSError: there is no such address."""
    number = port.take(os.getpid(), host)
    atexit.register(port.give_back, os.getpid())
    return number
