#!/usr/bin/env python3
"""limit.py SECONDS COMMAND...: runs it. If it hangs it is ended, with all that it has started, and that is said.

Its exit status is the command's. $SIGNALPOST_TEST_LIMIT is another number of seconds.
"""
import os
import signal
import subprocess
import sys


def kill(group, how):
    try:
        os.killpg(group, how)
    except ProcessLookupError:
        pass


def main():
    limit = float(os.environ.get("SIGNALPOST_TEST_LIMIT") or sys.argv[1])
    p = subprocess.Popen(sys.argv[2:], start_new_session=True)
    for how in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(how, lambda number, frame: kill(p.pid, number))
    try:
        code = p.wait(limit)
    except subprocess.TimeoutExpired:
        print("Bail out! not done after %g s: ended" % limit, flush=True)
        kill(p.pid, signal.SIGTERM)  # it cleans up
        try:
            p.wait(90)
        except subprocess.TimeoutExpired:
            pass
        kill(p.pid, signal.SIGKILL)
        p.wait()
        code = 1
    return code if code >= 0 else 128 - code


sys.exit(main())
