#!/usr/bin/env python3
"""mutate-reports.py FOLDER OUT [SEED]: changes the labelled reports of FOLDER (index.jsonl,
mails/) the way mail is changed on its way, and writes them with their labels to OUT.

What a report says stays the same: a reader has to find what it found before. Each mail gets
one to three changes, drawn with SEED."""
import base64
import json
import os
import quopri
import random
import re
import sys


def split(mail):
    """header and body, LF line ends"""
    mail = mail.lstrip(b'\n')
    at = mail.find(b'\n\n')
    return (mail, b'') if at < 0 else (mail[:at], mail[at + 2:])


def fields(header):
    """unfolded text is kept: each field with its folds"""
    out = []
    for line in header.split(b'\n'):
        if out and line[:1] in (b' ', b'\t'):
            out[-1] += b'\n' + line
        else:
            out.append(line)
    return out


def well_formed(header):
    return all(re.match(rb'[!-9;-~]+[ \t]*:', f) for f in fields(header))


def value(header, name):
    for f in fields(header):
        if f.lower().startswith(name + b':'):
            return re.sub(rb'\s+', b' ', f.split(b':', 1)[1]).strip()
    return b''


def boundary(header):
    m = re.search(rb'boundary\s*=\s*("([^"]+)"|[^\s;]+)', value(header, b'content-type'), re.I)
    if not m:
        return None
    return m.group(2) or m.group(1)


# ---- changes of a whole mail; each returns the mail, or None if it can not be made ----

def shuffle_header(mail, r):
    h, b = split(mail)
    if not well_formed(h):
        return None
    f = fields(h)
    r.shuffle(f)
    return b'\n'.join(f) + b'\n\n' + b


def header_case(mail, r):
    h, b = split(mail)
    if not well_formed(h):
        return None
    change = r.choice([bytes.upper, bytes.lower])
    return b'\n'.join(change(f.split(b':', 1)[0]) + b':' + f.split(b':', 1)[1] for f in fields(h)) + b'\n\n' + b


def fold_header(mail, r):
    """each fold at another place, or in one line"""
    h, b = split(mail)
    if not well_formed(h):
        return None
    out = []
    for f in fields(h):
        if len(f) > 900:
            out.append(f)
            continue
        f = re.sub(rb'\n[ \t]+', b' ', f)
        if r.random() < 0.5 and b'"' not in f:
            f = re.sub(rb'; ', b';\n\t', f)
        out.append(f)
    return b'\n'.join(out) + b'\n\n' + b


def more_headers(mail, r):
    h, b = split(mail)
    if not well_formed(h):
        return None
    extra = [b'Received: from a.gw.example (a.gw.example [192.0.2.9])\n\tby b.gw.example with ESMTP id X%d;\n\tMon, 2 Mar 2026 10:00:00 +0000' % r.randrange(9999),
             b'X-Spam-Status: No, score=-1.9', b'X-Virus-Scanned: by filter.example',
             b'Authentication-Results: mx.example; spf=none smtp.mailfrom=""', b'X-Gateway-Note: checked']
    r.shuffle(extra)
    return b'\n'.join(extra[:r.randrange(1, 5)]) + b'\n' + h + b'\n\n' + b


def mbox(mail, r):
    return b'From MAILER-DAEMON Mon Mar  2 10:00:00 2026\n' + mail


def blank_start(mail, r):
    return b'\n' * r.randrange(1, 3) + mail


def new_boundary(mail, r):
    h, b = split(mail)
    old = boundary(h)
    if not old or len(old) < 8 or mail.count(old) != len(re.findall(rb'(?m)(?:^--|boundary="?)' + re.escape(old), mail)) or not re.search(rb'(?m)^--' + re.escape(old), b):
        return None
    return mail.replace(old, b'=_next%d_%s' % (r.randrange(10**6), r.choice([b'x/y', b'a.b', b'q=p'])) if b'"' + old + b'"' in h else b'next%d' % r.randrange(10**6))


def no_close(mail, r):
    h, b = split(mail)
    old = boundary(h)
    if not old:
        return None
    end = b.rfind(b'--' + old + b'--')
    return h + b'\n\n' + b[:end] if end >= 0 else None


def truncate(mail, r):
    """in the body of the returned message, at the end of the mail"""
    h, b = split(mail)
    if value(h, b'content-transfer-encoding').lower() == b'base64':
        return None
    last = None
    for m in re.finditer(rb'(?im)^(message-id|return-path|received)[ \t]*:.*', mail):
        if m.start() > len(h) + 40:
            last = m.end()
    if last is None:
        return None
    end = mail.find(b'\n\n', last)
    if end < 0 or end + 20 > len(mail) or b'delivery-status' in mail[end:].lower():
        return None
    return mail[:r.randrange(end + 2, len(mail))]


def footer(mail, r):
    """a gateway adds its own"""
    text = r.choice([b'__________ Virus scanner, database 9.1856 __________\nThis message was checked.\nhttp://www.scanner.example\n',
                     b'This e-mail and any attachment is confidential. If you are not the intended recipient\nplease delete it and tell legal@company.example.\n',
                     b'--\nSent through gateway.example\n'])
    h, b = split(mail)
    old = boundary(h)
    if not old:
        return mail + (b'' if mail.endswith(b'\n') else b'\n') + b'\n' + text
    end = b.rfind(b'--' + old + b'--')
    if end < 0:
        return None
    return h + b'\n\n' + b[:end] + b'--' + old + b'\nContent-Type: text/plain; charset=us-ascii\n\n' + text + b'\n' + b[end:]


def encode_text(mail, r):
    """the first text part in base64 or quoted-printable"""
    h, b = split(mail)
    how = r.choice(['base64', 'quoted-printable'])

    def encoded(part_header, text):
        if re.search(rb'(?im)^content-transfer-encoding\s*:\s*(base64|quoted)', part_header):
            return None
        if not well_formed(part_header) and part_header:
            return None
        part_header = b'\n'.join(f for f in fields(part_header) if not f.lower().startswith(b'content-transfer-encoding')) if part_header else b''
        data = base64.encodebytes(text) if how == 'base64' else quopri.encodestring(text)
        return (part_header + b'\n' if part_header else b'') + b'Content-Transfer-Encoding: ' + how.encode() + b'\n\n' + data

    old = boundary(h)
    if not old:
        if value(h, b'content-type') and not value(h, b'content-type').lower().startswith(b'text/plain'):
            return None
        return encoded(h, b)
    pieces = re.split(rb'(?m)^(--' + re.escape(old) + rb'(?:--)?[ \t]*\n)', b)
    if len(pieces) < 3:
        return None
    ph, pb = split(pieces[2]) if not pieces[2].startswith(b'\n') else (b'', pieces[2][1:])
    if ph and not value(ph, b'content-type').lower().startswith(b'text/plain'):
        return None
    new = encoded(ph, pb)
    if new is None:
        return None
    pieces[2] = new
    return h + b'\n\n' + b''.join(pieces)


def status_case(mail, r):
    """fields of delivery-status and feedback-report in another case"""
    names = rb'(Reporting-MTA|Final-Recipient|Original-Recipient|Action|Status|Diagnostic-Code|Remote-MTA|Feedback-Type|Original-Rcpt-To|User-Agent)'
    if not re.search(rb'(?im)^' + names + rb':', mail):
        return None
    change = r.choice([bytes.upper, bytes.lower])
    return re.sub(rb'(?im)^' + names + rb':', lambda m: change(m.group(0)), mail)


def status_values(mail, r):
    """other spellings of the same"""
    out = re.sub(rb'(?m)^(Status: *)([245]\.\d{1,3}\.\d{1,3})[ \t]*$', rb'\1\2 (explained here)', mail)
    out = re.sub(rb'(?mi)^(Final-Recipient: *)rfc822; *([^\s<>]+)[ \t]*$', r.choice([rb'\1RFC822;\2', rb'\1rfc822;  <\2>', rb'\1rfc822 ; \2']), out)
    out = re.sub(rb'(?m)^Action: failed', b'Action: Failed', out)
    return out if out != mail else None


def rewrap(mail, r):
    """long lines of text are broken"""
    h, b = split(mail)
    if re.search(rb'(?i)content-transfer-encoding\s*:\s*(base64|quoted)', mail):
        return None
    end = re.search(rb'(?m)^(Received|Return-Path|Content-Type|Reporting-MTA|Message-ID|From|Date|--)', b, re.I)
    text = b[:end.start()] if end and end.start() > 200 else b''
    if not text:
        return None
    width = r.randrange(66, 80)

    def wrap(line):
        out = b''
        while len(line) > width and b' ' in line[20:width]:
            at = line.rfind(b' ', 20, width)
            out += line[:at] + b'\n'
            line = line[at + 1:]
        return out + line
    return h + b'\n\n' + b'\n'.join(wrap(x) for x in text.split(b'\n')) + b[len(text):]


def indent(mail, r):
    """the text of a mail without parts is indented"""
    h, b = split(mail)
    if value(h, b'content-type').lower().startswith(b'multipart') or value(h, b'content-transfer-encoding').lower() in (b'base64', b'quoted-printable'):
        return None
    end = re.search(rb'(?m)^(Received|Return-Path|Message-ID|From|Date|Subject|MIME-Version|To|X-[A-Za-z-]+)\s*:', b, re.I)
    if not end or end.start() < 60:
        return None
    return h + b'\n\n' + b'\n'.join(b'  ' + x if x else x for x in b[:end.start()].split(b'\n')[:-1]) + b'\n' + b[end.start():]


def extra_part(mail, r):
    """a part with a notice before the others"""
    h, b = split(mail)
    old = boundary(h)
    if not old:
        return None
    at = b.find(b'--' + old)
    if at < 0:
        return None
    return h + b'\n\n' + b[:at] + b'--' + old + b'\nContent-Type: text/plain\n\nCAUTION: This email originated from outside of the organization.\n\n' + b[at:]


def first_text(mail, change):
    """change(header, text) of the first text/plain part gives the new part; None if there is none"""
    h, b = split(mail)
    old = boundary(h)
    if not old:
        kind = value(h, b'content-type').lower()
        if kind and not kind.startswith(b'text/plain'):
            return None
        new = change(h, b)
        return new and new[0] + b'\n\n' + new[1]
    pieces = re.split(rb'(?m)^(--' + re.escape(old) + rb'(?:--)?[ \t]*\n)', b)
    if len(pieces) < 3 or pieces[1].startswith(b'--' + old + b'--'):
        return None
    ph, pb = split(pieces[2]) if not pieces[2].startswith(b'\n') else (b'', pieces[2][1:])
    if ph and (not well_formed(ph) or not value(ph, b'content-type').lower().startswith(b'text/plain')):
        return None
    new = change(ph, pb)
    if not new:
        return None
    pieces[2] = (new[0] + b'\n' if new[0] else b'') + b'\n' + new[1]
    return h + b'\n\n' + b''.join(pieces)


def is_encoded(header):
    return value(header, b'content-transfer-encoding').lower() not in (b'', b'7bit', b'8bit')


def banner(mail, r):
    """what companies put at the top of mail from outside"""
    text = r.choice([b'CAUTION: This email originated from outside of the organization. Do not click links or\nopen attachments unless you recognize the sender and know the content is safe.\n\n',
                     b'[EXTERNAL EMAIL]\n\n', b'***** This is an external mail. Report phishing to phish-report@company.example *****\n\n'])
    return first_text(mail, lambda h, t: None if is_encoded(h) else (h, text + t))


def subject_tag(mail, r):
    tag = r.choice([b'[EXTERNAL] ', b'[EXT] ', b'***SPAM*** ', b'{Spam?} '])
    out = re.sub(rb'(?mi)\A((?:.+\n)*?subject:[ \t]*)(?=\S)', lambda m: m.group(1) + tag, mail, count=1)
    return out if out != mail else None


def disclaimer(mail, r):
    """at the end of the text for people"""
    text = r.choice([b'\n-----\nThis message and its attachments are confidential. If you have received it in error\ninform the sender at privacy@company.example and delete it. Virus scanned.\n',
                     b'\n\nDiese E-Mail ist vertraulich. Fragen an datenschutz@firma.example.\n', b'\n_____\nScanned by gateway 7.2; the mailbox gw@filter.example is not read.\n'])
    if not boundary(split(mail)[0]):
        return None
    return first_text(mail, lambda h, t: None if is_encoded(h) else (h, t.rstrip(b'\n') + b'\n' + text))


def soft_breaks(mail, r):
    """quoted-printable with its line ends anywhere, in addresses too"""
    width = r.randrange(30, 76)

    def encode(h, text):
        if is_encoded(h) or (h and not well_formed(h)):
            return None
        out = []
        for line in text.split(b'\n'):
            cur = b''
            for c in line:
                one = bytes([c]) if 32 <= c < 127 and c != 61 or c == 9 else b'=%02X' % c
                if len(cur) + len(one) >= width:
                    out.append(cur + b'=')
                    cur = b''
                cur += one
            if cur[-1:] in (b' ', b'\t'):
                cur = cur[:-1] + b'=%02X' % cur[-1]
            out.append(cur)
        head = b'\n'.join(f for f in fields(h) if f and not f.lower().startswith(b'content-transfer-encoding'))
        return (head + b'\n' if head else b'') + b'Content-Transfer-Encoding: quoted-printable', b'\n'.join(out)
    return first_text(mail, encode)


def charset(mail, r):
    """the same text in another charset"""
    def change(h, text):
        if is_encoded(h) or not value(h, b'content-type'):
            return None
        try:
            plain = text.decode('utf-8')
        except UnicodeDecodeError:
            return None
        if re.search(rb'\x1b', text):
            return None
        name = r.choice(['iso-8859-1', 'windows-1252', 'iso-8859-15', 'utf-8', 'UTF-8', 'gb18030', 'iso-2022-jp', 'koi8-r', 'shift_jis', 'iso-8859-2', 'utf-7'])
        try:
            data = plain.encode(name)
        except UnicodeEncodeError:
            return None
        head = b'\n'.join(b'Content-Type: text/plain; charset="%s"' % name.encode() if f.lower().startswith(b'content-type') else f for f in fields(h))
        return head, data
    return first_text(mail, change)


def as_html(mail, r):
    """a text for people, made HTML on its way"""
    def change(h, text):
        if is_encoded(h) or re.search(rb'[^\x00-\x7f]|\x1b', text) or not well_formed(h):
            return None
        for a, b in ((b'&', b'&amp;'), (b'<', b'&lt;'), (b'>', b'&gt;')):
            text = text.replace(a, b)
        text = re.sub(rb'([\w.+-]+@[\w-]+\.[\w.-]*\w)', rb'<a href="mailto:\1">\1</a>', text) if r.random() < 0.3 else text
        head = b'\n'.join(f for f in fields(h) if f and not f.lower().startswith((b'content-type', b'content-transfer')))
        return ((head + b'\n' if head else b'') + b'Content-Type: text/html; charset=us-ascii',
                b'<html><body>\n' + re.sub(rb'\n', b'<br>\n', text) + b'</body></html>\n')
    return first_text(mail, change) if boundary(split(mail)[0]) else None


def other_addresses(mail, r):
    """other IPv4 addresses"""
    if b'base64' in mail.lower():
        return None
    return re.sub(rb'(?<![\d.=])((?:192|198|203)\.(?:0|51|168)\.\d{1,3})\.\d{1,3}(?![\d.])', lambda m: m.group(1) + b'.%d' % r.randrange(1, 255), mail)


def other_dates(mail, r):
    """dates as other systems write them, where they are not read"""
    form = r.choice([b'%s.%s.2026 07:12:33', b'2026-%s-%s 07:12', b'le %s/%s/2026', b'%s/%s/26 7:12 PM'])
    day = b'%02d' % r.randrange(1, 12)
    h, b = split(mail)
    out = re.sub(rb'(?m)^(?!Received|Date|X-|Arrival|Last|Will)([^:\n]{0,60})\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d(?: [+-]\d{4})?', lambda m: m.group(1) + form % (day, day), b)
    return h + b'\n\n' + out if out != b else None


def refold(mail, r):
    """Diagnostic-Code folded at other places"""
    def fold(m):
        words = re.sub(rb'\s+', b' ', m.group(0)).split(b' ')
        out = words[0]
        for w in words[1:]:
            out += r.choice([b' ', b' ', b'\n    ', b'\n\t']) + w
        return out
    out = re.sub(rb'(?mi)^Diagnostic-Code:[^\n]*(?:\n[ \t]+[^\n]+)*', fold, mail)
    return out if out != mail else None


def trailing_blanks(mail, r):
    h, b = split(mail)
    if boundary(h) or is_encoded(h):
        return None
    return h + b'\n\n' + re.sub(rb'(?m)(?<=\S)$', lambda m: r.choice([b'', b' ', b'  ']), b)


def short(mail, label, r):
    """without the returned message"""
    h, b = split(mail)
    old = boundary(h)
    if not old or label['kind'] != 'dsn-standard':
        return None
    pieces = re.split(rb'(?m)^(--' + re.escape(old) + rb'(?:--)?[ \t]*\n?)', b)
    keep = [pieces[0]]
    for mark, part in zip(pieces[1::2], pieces[2::2]):
        if re.match(rb'(?:.+\n)*?content-type:\s*(?:message/rfc822|text/rfc822-headers|message/partial)', part, re.I):
            continue
        keep += [mark, part]
    if len(keep) == len(pieces) or not re.search(rb'(?i)content-type:\s*message/(?:global-)?delivery-status', b''.join(keep)):
        return None
    if any(not re.search(re.escape(a.encode()), b''.join(keep), re.I) for x in label['rcpt'] for a in x['addrs'][:1]):
        return None
    label = dict(label)
    label.pop('message_id', None)
    return h + b'\n\n' + b''.join(keep), label


def gateway(mail, label, r):
    """a gateway sends the report as an attachment of its own mail"""
    h, b = split(mail)
    if label['kind'] != 'dsn-standard' or not boundary(h) or not well_formed(h):
        return None
    to = value(h, b'to') or b'b@bounces.example'
    return (b'Return-Path: <>\nFrom: Mail Gateway <postmaster@gw.example>\nTo: ' + to + b'\nSubject: Undeliverable mail\nDate: Mon, 2 Mar 2026 10:00:00 +0000\n'
            b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="gw-%d"\n\n--gw-%d\nContent-Type: text/plain\n\nThe attached report came for you.\n--gw-%d\nContent-Type: message/rfc822\n\n'.replace(b'%d', b'81723')
            + mail.lstrip(b'\n') + b'\n--gw-81723--\n'), label


def domains(mail, label, r):
    """recipients of other domains"""
    if re.search(rb'base64|quoted-printable|\x1b', mail, re.I) or re.search(rb'[^\x00-\x7f]', mail):
        return None
    text = json.dumps(label)
    for x in label['rcpt']:
        for a in x['addrs']:
            local, _, domain = a.partition('@')
            if not re.fullmatch(r'[a-z0-9.-]+\.[a-z]{2,}', domain) or len(local) < 4 or not re.fullmatch(r'[\w.-]+', local):
                continue
            new = r.choice(['t0p-mail', 'uni-x', 'kunden.post', 'a1b2']) + r.choice(['.co.uk', '.ne.jp', '.com.br', '.info', '.museum'])
            mail = re.sub(rb'(?i)(?<![\w.-])' + re.escape((local + '@' + domain).encode()) + rb'(?![\w-])', (local + '@' + new).encode(), mail)
            text = re.sub(r'(?i)(?<![\w.-])' + re.escape(local + '@' + domain) + r'(?![\w-])', local + '@' + new, text)
    return mail, json.loads(text)


def part_order(mail, r):
    """the text behind the part that machines read"""
    h, b = split(mail)
    mark = boundary(h)
    if not mark or b'report' not in h.lower() or not well_formed(h):
        return None
    pieces = re.split(rb'(?m)^(--' + re.escape(mark) + rb'[ \t]*\n)', b)
    if len(pieces) < 5 or b'--' + mark + b'--' in b''.join(pieces[:5]):
        return None
    text, status = pieces[2], pieces[4]
    if b'delivery-status' not in status.split(b'\n\n')[0].lower():
        return None
    return h + b'\n\n' + b''.join(pieces[:2] + [status, pieces[3], text] + pieces[5:])


def empty_lines(mail, r):
    """an empty line before Final-Recipient"""
    new = re.sub(rb'(?m)^(Final-Recipient:)', rb'\n\1', mail)
    return new if new != mail else None


def byte_order_mark(mail, r):
    return b'\xef\xbb\xbf' + mail


def wrapped(mail, r):
    """a gateway puts its own text behind all"""
    h, b = split(mail)
    if not well_formed(h):
        return None
    kept, content = [], []
    for f in fields(h):
        (content if f.lower().startswith(b'content-') else kept).append(f)
    mark = b'wrapped-%d' % r.randrange(10**6)
    return (b'\n'.join(f for f in kept if f) + b'\nContent-Type: multipart/mixed; boundary="' + mark + b'"\n\n--' + mark + b'\n' +
            (b'\n'.join(content) or b'Content-Type: text/plain') + b'\n\n' + b + (b'' if b.endswith(b'\n') else b'\n') + b'--' + mark +
            b'\nContent-Type: text/plain\n\nSent through the gateway of example.net\n--' + mark + b'--\n')


NAMES = [(b'kijitora', b'j.smith42'), (b'sironeko', b'anna-lena'), (b'shironeko', b'sales_eu'), (b'example.jp', b'mailhost7.org'),
         (b'example.com', b'post.example.net'), (b'example.org', b'firma.example.de')]


def names(mail, label, r):
    """other addresses"""
    text = json.dumps(label)
    pairs = [p for p in NAMES if r.random() < 0.7]
    if b'base64' in mail.lower() or b'quoted-printable' in mail.lower():
        return None
    for a, b in pairs:
        mail = re.sub(re.escape(a), b, mail, flags=re.I)
        text = re.sub(re.escape(a.decode()), b.decode(), text, flags=re.I)
    return mail, json.loads(text)


LABELLED = {names, domains, short, gateway}  # may change the label too
CHANGES = [banner, subject_tag, disclaimer, soft_breaks, charset, as_html, other_addresses, other_dates, refold, trailing_blanks,
           names, domains, short, gateway, shuffle_header, header_case, fold_header, more_headers, mbox, blank_start, new_boundary, no_close, truncate,
           footer, encode_text, status_case, status_values, rewrap, indent, extra_part,
           part_order, empty_lines, byte_order_mark, wrapped]
LINE_ENDS = [b'\n', b'\n', b'\r\n', b'\r\n', b'\r']


def main():
    folder, out = sys.argv[1], sys.argv[2]
    seed = sys.argv[3] if len(sys.argv) > 3 else '1'
    os.makedirs(os.path.join(out, 'mails'), exist_ok=True)
    with open(os.path.join(folder, 'index.jsonl'), encoding='utf-8') as f:
        labels = [json.loads(x) for x in f if x.strip()]
    with open(os.path.join(out, 'index.jsonl'), 'w', encoding='utf-8') as index:
        for label in labels:
            if label.get('variant_of'):
                continue
            r = random.Random(seed + label['id'])
            with open(os.path.join(folder, label['file']), 'rb') as f:
                mail = f.read().replace(b'\r\n', b'\n').replace(b'\r', b'\n')
            done = []
            for change in sorted(r.sample(CHANGES, len(CHANGES)), key=lambda c: c in (mbox, blank_start, byte_order_mark)):
                if len(done) == 3 or (done and r.random() < 0.3):
                    break
                if change in LABELLED:
                    changed = change(mail, label, r)
                    if changed:
                        mail, label = changed
                        done.append(change.__name__)
                    continue
                new = change(mail, r)
                if new:
                    mail = new
                    done.append(change.__name__)
            eol = r.choice(LINE_ENDS)
            if r.random() < 0.05:  # a header of one kind, a body of the other
                mail = mail.replace(b'\n\n', b'\r\n\r\n', 1)
                eol = b'\n'
            # binary parts must stay what they are
            if not re.search(rb'[^\x00-\x7f]', mail) or eol == b'\r\n':
                mail = mail.replace(b'\n', eol)
            name = os.path.basename(label['file'])
            with open(os.path.join(out, 'mails', name), 'wb') as f:
                f.write(mail)
            label['file'] = 'mails/' + name
            label['note'] = '+'.join(done)
            index.write(json.dumps(label, ensure_ascii=False) + '\n')


main()
