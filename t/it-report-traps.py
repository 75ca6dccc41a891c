#!/usr/bin/env python3
# Mails that cost readers of reports minutes and gigabytes: each is read within one second of
# CPU and a fixed memory beyond its own size, and what it reports is found nevertheless.
import json
import os
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get('builddir', '.')
SIGNALPOST = os.path.join(BUILD, 'signalpost')
CPU_S = 1.0
MEMORY = 64 << 20
SLOW = int(os.environ.get('SIGNALPOST_TEST_SLOW', '1'))  # over 1: a sanitizer is in it

HEAD = b'Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: b@sender.example\nSubject: Undelivered Mail Returned to Sender\n'
STATUS = (b'Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; anna@dest.example\n'
          b'Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 unknown\n\n')
RETURNED = b'Content-Type: message/rfc822\n\nMessage-ID: <m1@sender.example>\nFrom: news@sender.example\nTo: anna@dest.example\nSubject: March\n\n'


def report(before=b'', status=STATUS, behind=b'', head=HEAD):
    return (head + b'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b1"\n\n' + before +
            b'--b1\nContent-Type: text/plain\n\nSorry.\n\n--b1\n' + status + b'--b1\n' + RETURNED + behind + b'\n--b1--\n')


def nested(n, same):
    out = HEAD
    for i in range(n):
        b = b'x' if same else b'n%d' % i
        out += b'Content-Type: multipart/mixed; boundary="' + b + b'"\n\n--' + b + b'\n'
    return out + b'\nhello\n'


def status_of(n):
    return b'Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n' + b''.join(
        b'Final-Recipient: rfc822; u%d@dest.example\nAction: failed\nStatus: 5.1.1\n\n' % i for i in range(n))


def text(body, subject=b'Mail delivery failed'):
    return b'Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: b@sender.example\nSubject: ' + subject + b'\n\n' + body


def base64_text(n):
    import base64
    return text(b'')[:-1] + b'Content-Transfer-Encoding: base64\n\n' + base64.encodebytes(b'The mail to anna@dest.example was not delivered.\n' * (n // 49))


# name, the mail, how many events (None: any)
TRAPS = [
    ('the same boundary 400 times', lambda: nested(400, True), None),
    ('nested 2,000 deep', lambda: nested(2000, False), None),
    ('5,000 messages in messages', lambda: HEAD + b'Content-Type: message/rfc822\n\n' * 5000 + b'x\n', None),
    ('20 MB of base64 text', lambda: base64_text(20 << 20), 1),
    ('500,000 empty parts', lambda: HEAD + b'Content-Type: multipart/mixed; boundary="b"\n\n' + b'--b\n\n' * 500000 + b'--b--\n', None),
    ('a line of 8 MB', lambda: text(b'x' * (8 << 20) + b'\n\nanna@dest.example\n'), None),
    ('a line of 8 MB of addresses', lambda: text(b'a@b.example ' * ((8 << 20) // 12) + b'\n'), None),
    ('8 MB of "@"', lambda: text(b'@' * (8 << 20) + b'\n'), None),
    ('8 MB of "<"', lambda: text(b'<' * (8 << 20) + b'\n'), None),
    ('a line break after each "a@b"', lambda: text(b'a@b.example\n' * 600000), None),
    ('100,000 parameters', lambda: HEAD + b'Content-Type: multipart/report' + b''.join(b';\n x*%d=y' % i for i in range(100000)) + b'; boundary="b1"\n\n--b1\n' + STATUS + b'--b1--\n', None),
    ('20,000 recipients', lambda: report(status=status_of(20000)), 10000),
    ('10,000 recipients, and a text that names them', lambda: report(status=status_of(10000), before=b'').replace(b'Sorry.\n', b''.join(b'<u%d@dest.example>: gone\n' % i for i in range(10000))), 10000),
    ('10,000 recipients without a status', lambda: report(status=status_of(10000).replace(b'Status: 5.1.1\n', b'')).replace(b'Sorry.\n', b''.join(b'<u%d@dest.example>: gone\n' % i for i in range(10000))), 10000),
    ('a field folded a million times', lambda: report(head=HEAD + b'X-Long: a' + b'\n b' * 1000000 + b'\n'), 1),
    ('a diagnostic folded a million times', lambda: report(status=STATUS.replace(b'unknown', b'unknown' + b'\n x' * 1000000)), 1),
    ('200,000 fields', lambda: report(head=HEAD + b'X-More: a\n' * 200000), 1),
    ('a subject of 4 MB', lambda: report(head=HEAD.replace(b'Undelivered', b'U' * (4 << 20) + b' Undelivered')), 1),
    ('a returned message of 30 MB', lambda: report(behind=b'x' * 70 + b'\n' + (b'y' * 76 + b'\n') * (30 * 1024 * 1024 // 77)), 1),
    ('the returned message of 30 MB first', lambda: HEAD + b'Content-Type: multipart/report; boundary="b1"\n\n--b1\n' + RETURNED + (b'y' * 76 + b'\n') * (30 * 1024 * 1024 // 77) + b'--b1\n' + STATUS + b'--b1--\n', 1),
    ('CR alone', lambda: report().replace(b'\n', b'\r'), 1),
    ('12 MB with CR alone', lambda: report(behind=(b'y' * 76 + b'\n') * (12 * 1024 * 1024 // 77)).replace(b'\n', b'\r'), 1),
    ('an empty first line', lambda: b'\n' + report(), 1),
    ('NUL bytes', lambda: report().replace(b'Sorry.', b'S\0rry.').replace(b'unknown', b'unkn\0wn'), 1),
    ('HTML, 200,000 open elements', lambda: text(b'')[:-1] + b'Content-Type: text/html\n\n' + b'<i>' * 100000 + b'</b>' * 100000 + b'anna@dest.example', None),
    ('HTML, a comment without an end', lambda: text(b'')[:-1] + b'Content-Type: text/html\n\nanna@dest.example<!--' + b'-' * 1000000, None),
    ('a feedback report with 100,000 recipients', lambda: HEAD + b'Content-Type: multipart/report; boundary="b1"\n\n--b1\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n' +
     b''.join(b'Original-Rcpt-To: u%d@dest.example\n' % i for i in range(100000)) + b'--b1\n' + RETURNED + b'--b1--\n', None),
    ('1 MB of X-Failed-Recipients', lambda: text(b'sorry').replace(b'\n\n', b'\nX-Failed-Recipients: ' + b', '.join(b'u%d@dest.example' % i for i in range(60000)) + b'\n\n'), None),
    ('100,000 X-Failed-Recipients', lambda: text(b'sorry').replace(b'\n\n', b'\n' + b''.join(b'X-Failed-Recipients: u%d@dest.example\n' % i for i in range(100000)) + b'\n'), None),
    ('a To of 1 MB in the returned message', lambda: text(b'Mail delivery failed.\n\n----- Original message -----\n\nMessage-ID: <m1@sender.example>\nTo: ' + b', '.join(b'u%d@dest.example' % i for i in range(60000)) + b'\nFrom: a@b.example\n\nx\n'), None),
    ('quotes that never close', lambda: text(b'"' * 300000 + b'@dest.example\n'), None),
    ('400,000 status codes', lambda: text(b'5.1.1 ' * 400000), None),
]


def run(path):
    """output, CPU seconds, peak memory in bytes"""
    p = subprocess.Popen([SIGNALPOST, 'explain', 'report', path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = p.stdout.read()
    _, code, usage = os.wait4(p.pid, 0)
    p.returncode = code
    return out if code == 0 else b'', usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def pace():
    """How much slower this machine is, now, than one of 2020: what shares its cores counts as CPU time too."""
    times = []
    for _ in range(5):
        begin, x = time.process_time(), 0
        for i in range(1000000):
            x += i * i
        times.append(time.process_time() - begin)
    return max(1.0, sorted(times)[2] / 0.1) * 1.5


def write(path, make):
    """in a process of its own: a child starts with the memory of its parent"""
    pid = os.fork()
    if pid == 0:
        with open(path, 'wb') as f:
            f.write(make())
        os._exit(0)
    os.waitpid(pid, 0)


def main():
    n = failed = 0
    worst = 0.0
    limit = CPU_S * SLOW * pace()
    print('# %.2f s of CPU are allowed here' % limit)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'mail.eml')
        base = 0
        for name, make, events in [('nothing', report, 1)] + TRAPS:
            write(path, make)
            size = os.path.getsize(path)
            out, cpu, memory = run(path)
            try:
                found = len(json.loads(out)['events'])
            except (ValueError, KeyError):
                found = -1
            if name == 'nothing':
                base = memory
            good = found >= 0 if events is None else found == events
            # The command holds the mail in memory; the reader's own is what is bounded.
            own = memory - base - 2 * size
            good = good and cpu <= limit and (SLOW > 1 or own <= MEMORY)
            n += 1
            failed += not good
            worst = max(worst, cpu)
            print('%sok %d - %s (%d bytes): %d events, %.2f s, %.0f MB' % ('' if good else 'not ', n, name, size, found, cpu, memory / 1e6))
    print('# worst %.2f s of CPU' % worst)
    print('1..%d' % n)
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
