#!/usr/bin/env python3
"""make-reports.py FORMS... OUT [SEED]: writes mails and their labels (index.jsonl) from forms.

A form is a line "%% id | kind | recipients | more" and the mail that follows. A recipient is
"address,action,status,class[,optional]" with the status "-" where none is certain, one digit
where only its class is, and the classes joined by "/". more: words mid (the Message-ID of
the original must be found), fb=TYPE, redacted.

Names in braces are put in, other ones for each seed. Lines with @ make parts:
  @report [delivery-status|feedback-report]  multipart/report; @mixed multipart/mixed
  @text [CHARSET [CTE]] [TYPE]  a part of text (or the body, where there are no parts)
  @status, @feedback, @message, @headers, @part TYPE [CTE]
  @orig   the header of the original, and a line of its body
  @head   the header only"""
import base64
import json
import os
import quopri
import random
import re
import sys

KINDS = ('dsn-standard', 'dsn-nonstandard', 'arf', 'fbl-nonarf', 'arf-authfailure', 'autoreply',
         'challenge-response', 'dsn-success', 'unsubscribe', 'not-a-bounce')


def names(r):
    """what stands for the names in braces: one person, one sender, one MTA for each mail"""
    local = r.choice(['anna', 'j.smith42', 'peter_k', 'sales-eu', 'm.garcia', 'info', 'hans.mueller', 'yamada', 'zofia', 'x1999'])
    domain = r.choice(['mailhost7.org', 'post.example.net', 'firma.example.de', 'corp.example', 'example.jp', 'uni.example.edu', 'provider.example.com'])
    own = r.choice(['brand.example', 'news.shop.example', 'letters.example.org'])
    bounce = 'b-' + ''.join(r.choice('0123456789abcdef') for _ in range(8)) + '@bounces.' + own
    n = {'local': local, 'domain': domain, 'rcpt': local + '@' + domain, 'rcpt2': r.choice(['bob.b', 'claire', 'd.tanaka']) + '@' + domain,
         'rcpt3': r.choice(['erik', 'fatima7', 'g-h']) + '@' + r.choice(['other.example', 'third.example.info']),
         'new': r.choice(['k.long', 'forwarded', 'real-box']) + '@' + r.choice(['inner.example', 'backend.example.net']),
         'own': own, 'sender': bounce, 'from': 'news@' + own, 'name': r.choice(['Anna Berg', 'J. Smith', 'Maria Garcia', 'Yamada Taro']),
         'host': r.choice(['mx1', 'mail', 'smtp-in-04', 'relay']) + '.' + r.choice(['mta.example', 'isp.example.net', 'gw.example.com']),
         'mx': r.choice(['mx01', 'mailin', 'aspmx']) + '.' + domain, 'ip': '198.51.100.%d' % r.randrange(1, 250), 'ip2': '192.0.2.%d' % r.randrange(1, 250),
         'qid': ''.join(r.choice('0123456789ABCDEF') for _ in range(10)), 'exid': '1kX%03d-0003%02d-Q%s' % (r.randrange(999), r.randrange(99), r.choice('abcdefgh')),
         'mid': ''.join(r.choice('0123456789abcdef') for _ in range(20)) + '@' + own, 'num': str(r.randrange(10**5, 10**6)),
         'date': '%s, %d Mar 2026 1%d:%02d:07 +0%d00' % (r.choice(['Mon', 'Tue', 'Thu']), r.randrange(1, 28), r.randrange(9), r.randrange(59), r.randrange(9)),
         'subject': r.choice(['Spring sale', 'Your invoice 2026-118', 'News in March', 'Your order has shipped'])}
    return n


HEADER = """Return-Path: <{sender}>
Received: from out.{own} (out.{own} [{ip2}])
\tby {host} with ESMTP id {qid}
\tfor <{rcpt}>; {date}
Date: {date}
From: Brand News <{from}>
To: {rcpt}
Subject: {subject}
Message-ID: <{mid}>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
List-Unsubscribe: <mailto:leave@{own}>, <https://{own}/u/{num}>
"""


def encoded(lines, charset, cte):
    data = '\n'.join(lines).rstrip('\n') + '\n'
    data = data.encode(charset or 'utf-8', 'replace')
    if cte == 'base64':
        return base64.encodebytes(data).decode()
    if cte == 'quoted-printable':
        return quopri.encodestring(data).decode()
    return data.decode('latin-1') if charset else data.decode('latin-1')


def part_header(word, args):
    """header of a part (or of the mail), its charset and transfer encoding"""
    if word == 'text':
        charset, cte, kind = None, None, 'text/plain'
        for a in args:
            if a in ('base64', 'quoted-printable', '8bit', '7bit'):
                cte = a
            elif '/' in a:
                kind = a
            else:
                charset = a
        head = 'Content-Type: %s; charset=%s\n' % (kind, charset or 'us-ascii')
        return head + ('Content-Transfer-Encoding: %s\n' % cte if cte else ''), charset, cte
    if word == 'part':
        cte = args[1] if len(args) > 1 else None
        return 'Content-Type: %s\n' % args[0] + ('Content-Transfer-Encoding: %s\n' % cte if cte else ''), None, cte
    kinds = {'status': 'message/delivery-status', 'feedback': 'message/feedback-report', 'message': 'message/rfc822', 'headers': 'text/rfc822-headers'}
    cte = args[0] if args else None
    return 'Content-Type: %s\n' % kinds[word] + ('Content-Transfer-Encoding: %s\n' % cte if cte else ''), None, cte


def fill(text, n):
    text = text.replace('{header}', HEADER.rstrip('\n'))
    return re.sub(r'\{(\w+)\}', lambda m: n[m.group(1)] if m.group(1) in n else m.group(0), text)


def build(lines, n, r):
    lines = fill('\n'.join(lines), n).split('\n')
    head, body = lines, []
    for i, line in enumerate(lines):
        if line == '' or line.startswith('@'):
            head, body = lines[:i], lines[i + (line == ''):]
            break
    top, parts, multi = '', [['', None, None, []]], None
    for line in body:
        m = re.match(r'@(report|mixed|text|status|feedback|message|headers|part|orig|head)\b ?(.*)$', line)
        if not m:
            parts[-1][3].append(line)
            continue
        word, args = m.group(1), m.group(2).split()
        if word in ('report', 'mixed'):
            edge = r.choice(['=_%s/%s' % (n['num'], n['qid']), '----=_NextPart_000_%s' % n['num'], n['qid'] + '.' + n['num']])
            multi = edge
            if word == 'report':
                top = 'Content-Type: multipart/report; report-type=%s;\n\tboundary="%s"\n' % (args[0] if args else 'delivery-status', edge)
            else:
                top = 'Content-Type: multipart/mixed; boundary="%s"\n' % edge
            parts = []
        elif word in ('orig', 'head'):
            parts[-1][3].extend(fill('{header}', n).split('\n'))
            if word == 'orig':
                parts[-1][3].extend(['', 'Hello ' + n['name'] + ', this is what is new. Write to help@' + n['own'] + '.'])
        else:
            h, charset, cte = part_header(word, args)
            if multi is None:
                top, parts = h, [[h, charset, cte, []]]
            else:
                parts.append([h, charset, cte, []])
                if word in ('message', 'headers'):
                    parts[-1][3] = []
    if multi is None:
        text = encoded(parts[0][3], parts[0][1], parts[0][2])
    else:
        text = ''
        for h, charset, cte, content in parts:
            kind = h.split('\n')[0]
            while content and content[-1] == '':
                content.pop()
            if not content and 'rfc822' in kind:
                content = fill('{header}', n).split('\n')
                if 'headers' not in kind:
                    content += ['', 'Hello, this is what is new.']
            if 'delivery-status' in kind or 'feedback-report' in kind:
                content = content + ['']
            text += '--%s\n%s\n%s\n' % (multi, h, encoded(content, charset, cte))
        text += '--%s--\n' % multi
    have = {x.split(':')[0].lower() for x in head}
    out = '' if 'return-path' in have else 'Return-Path: <>\n'
    out += 'Received: from %s (%s [%s])\n\tby in.%s with ESMTP id %s; %s\n' % (n['host'], n['host'], n['ip'], n['own'], n['qid'], n['date'])
    out += '\n'.join(x for x in head) + '\n'
    for name, value in (('Date', n['date']), ('To', n['sender']), ('Message-ID', '<%s.%s@%s>' % (n['num'], n['qid'], n['host'])), ('MIME-Version', '1.0')):
        if name.lower() not in have:
            out += '%s: %s\n' % (name, value)
    if 'content-type' not in have:
        out += top
    out = out.encode('utf-8').decode('latin-1')
    return (out + '\n' + text).encode('latin-1')


def label(spec, n):
    ident, kind, rcpts, more = (fill(spec, n) + '|').split('|')[:4]
    out = {'id': ident.strip(), 'kind': kind.strip(), 'family': re.sub(r'[-0-9]+$', '', ident.strip()), 'rcpt': []}
    assert out['kind'] in KINDS, spec
    for one in rcpts.split(';'):
        if not one.strip():
            continue
        f = (one.strip().split(',') + ['', '', '', ''])[:5]
        row = {'addrs': f[0].split('/')}
        if f[1]:
            row['action'] = f[1]
        if re.match(r'[245]$', f[2]):
            row['status_class'] = f[2]
        elif f[2] not in ('-', ''):
            row['status'] = f[2].split('/')
        if f[3] not in ('-', ''):
            row['bounce_class'] = [int(x) for x in f[3].split('/')]
        if f[4]:
            row['optional'] = True
        out['rcpt'].append(row)
    for word in more.split():
        if word == 'mid':
            out['message_id'] = n['mid']
        elif word.startswith('fb='):
            out['fbtype'] = word[3:]
        elif word == 'redacted':
            out['redacted'] = True
    return out


def main():
    args = sys.argv[1:]
    seed = args.pop() if re.match(r'\d+$', args[-1]) else '1'
    out = args.pop()
    os.makedirs(os.path.join(out, 'mails'), exist_ok=True)
    seen = set()
    with open(os.path.join(out, 'index.jsonl'), 'w', encoding='utf-8') as index:
        for path in args:
            with open(path, encoding='utf-8') as f:
                text = f.read()
            for form in re.split(r'(?m)^%% ', text)[1:]:
                lines = form.rstrip('\n').split('\n')
                ident = lines[0].split('|')[0].strip()
                assert ident not in seen, ident
                seen.add(ident)
                r = random.Random(seed + ident)
                n = names(r)
                row = label(lines[0], n)
                row['file'] = 'mails/%s.eml' % ident
                with open(os.path.join(out, row['file']), 'wb') as f:
                    f.write(build(lines[1:], n, r))
                index.write(json.dumps(row, ensure_ascii=False) + '\n')


main()
