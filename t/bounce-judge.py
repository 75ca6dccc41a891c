#!/usr/bin/env python3
"""bounce-judge.py INDEX.jsonl RESULTS.jsonl [--misses N] [--by family|source] [--json] [--min K=PCT ...]

Scores a bounce/FBL processor against the labelled set.  python3 stdlib only.

INPUT  RESULTS.jsonl: one JSON object a line, one line per input file (order free, a missing file counts as "no events"):
  {"file": "mails/sis-bsd__lhost-exim-02.eml",          # or just the basename, with or without .eml
   "events": [ {"type": "out_of_band",                  # or "spam_complaint"; anything else is ignored
                "rcpt_to": "user@example.jp",           # failing / complaining original recipient ("" or null = not known)
                "dsn": "5.1.1",                         # enhanced status code        (optional)
                "error_code": "550",                    # SMTP reply code, or x.y.z   (optional)
                "bounce_class": 10,                     # SparkPost class, int or str (optional)
                "action": "failed",                     # failed | delayed | delivered | relayed | expanded (optional, default failed)
                "message_id": "abc@host",               # Message-ID of the ORIGINAL message, <> optional (optional)
                "raw_reason": "550 5.1.1 ...",          # diagnostic text             (optional)
                "reporting_mta": "mx.example.jp",       # (optional)
                "fbtype": "abuse"} ] }                  # feedback type of a spam_complaint (optional)
  A success DSN may be reported with action delivered/relayed/expanded; that is not a bounce and is ignored.

LABELS INDEX.jsonl (build.sh writes it): id, file, kind, family, rcpt:[{addrs:[any of], action, status:[any of], status_class, bounce_class:[any of],
  diag, optional}], message_id, reporting_mta, fbtype, redacted, variant_of (same mail with CRLF/CR line ends: scored apart).
SCORES
  found     file yields >= 1 event of the right type
  rcpts     every expected recipient reported, nothing else reported (any of addrs, case-insensitive; optional ones may be left out or be null)
  status    per recipient: dsn (or x.y.z in error_code/raw_reason) is one of status; with no status label: first digit = status_class
  class     per recipient with a bounce_class label: bounce_class is one of them (labels only where it is beyond doubt)
  mid       message_id equals the original's Message-ID;  diag: diagnostic text kept;  rmta: reporting MTA kept;  fbtype
  negatives (not-a-bounce, autoreply, challenge-response, dsn-success, arf-authfailure, unsubscribe = mail to a List-Unsubscribe address): FP = a spam_complaint, or an out_of_band whose class is not
            one of 60/80/90/100 and whose action is not a success one.  soft = out_of_band 60/80/90/100 on ordinary mail (kind not-a-bounce).
  An auth-failure (DMARC) report is no complaint: spam_complaint with fbtype auth-failure is let through, any other is an FP.
Exit 1 when a --min is not met, e.g. --min dsn-standard.rcpts=99 --min negatives.fp=1 (fp: maximum percent).
"""
import sys, json, re, os, argparse, collections
POS = ('dsn-standard', 'dsn-nonstandard'); FBL = ('arf', 'fbl-nonarf')
NEG = ('not-a-bounce', 'autoreply', 'challenge-response', 'dsn-success', 'arf-authfailure', 'unsubscribe')
SOFT = {60, 80, 90, 100}; OKACT = {'delivered', 'relayed', 'expanded'}
def low(x): return (x or '').strip().strip('<>').lower()
def key(f): return re.sub(r'\.eml$', '', os.path.basename(f))
def cls(e):
    try: return int(e.get('bounce_class'))
    except (TypeError, ValueError): return None
def enh(e):
    for k in ('dsn', 'error_code', 'raw_reason'):
        m = re.search(r'(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])', str(e.get(k) or ''))
        if m: return '.'.join(str(int(x)) for x in m.groups())
    return None
def digit(e):
    s = enh(e)
    if s: return s[0]
    m = re.search(r'\b([245])\d\d\b', str(e.get('error_code') or '')); return m.group(1) if m else None
def squash(s): return re.sub(r'[\s"<>]+', '', s or '').lower()
class T(collections.Counter):
    def add(self, k, ok): self[k + '.n'] += 1; self[k + '.ok'] += bool(ok)
    def pct(self, k): return 100.0 * self[k + '.ok'] / self[k + '.n'] if self[k + '.n'] else None
def score(lab, evs, t):
    """returns list of misses"""
    miss = []; kind = lab['kind']
    oob = [e for e in evs if e.get('type') == 'out_of_band' and (e.get('action') or 'failed').lower() not in OKACT]
    spam = [e for e in evs if e.get('type') == 'spam_complaint']
    if kind in NEG:
        if kind == 'arf-authfailure': spam = [e for e in spam if low(e.get('fbtype')) != 'auth-failure']
        hard = [e for e in oob if cls(e) not in SOFT]; bad = bool(hard or spam)
        if kind == 'arf-authfailure' and not spam and not hard: bad = False
        t['fp.n'] += 1; t['fp.ok'] += bad
        if bad: miss.append('false-positive ' + ', '.join(f"{e.get('type')}:{e.get('rcpt_to')}" for e in (hard + spam)[:3]))
        if kind == 'not-a-bounce': t['soft.n'] += 1; t['soft.ok'] += bool([e for e in oob if cls(e) in SOFT])
        return miss
    want = oob if kind in POS else spam
    t.add('found', want)
    exp = lab['rcpt']; used = set(); ok = True; pairs = []
    for x in exp:
        al = [low(a) for a in x['addrs']]
        hit = [n for n, e in enumerate(want) if low(e.get('rcpt_to')) in al]
        if hit:
            used.update(hit); pairs.append((x, want[hit[0]]))
        elif not x.get('optional'): ok = False; miss.append('rcpt missing ' + '|'.join(x['addrs'][:2]))
    extra = [e for n, e in enumerate(want) if n not in used and low(e.get('rcpt_to'))]
    if extra and not (lab.get('redacted') and kind in FBL): ok = False; miss.append('rcpt extra ' + ', '.join(str(e.get('rcpt_to')) for e in extra[:3]))
    if not want: ok = False
    t.add('rcpts', ok)
    t['rcpt.n'] += sum(not x.get('optional') for x in exp); t['rcpt.ok'] += sum(not x.get('optional') for x, _ in pairs); t['rcpt.extra'] += len(extra)
    got = {id(x): e for x, e in pairs}
    for x in exp:
        e = got.get(id(x))
        if kind in POS:
            if x.get('status') or x.get('status_class'):
                g = enh(e) if e else None
                if x.get('status'): good = g in x['status']
                else: good = bool(e) and digit(e) == x['status_class']
                t.add('status', good)
                if e and not good: miss.append(f"status {g or (e.get('error_code'))} want {x.get('status') or x.get('status_class')}")
            if x.get('bounce_class'):
                good = bool(e) and cls(e) in x['bounce_class']; t.add('class', good)
                if e and not good: miss.append(f"class {cls(e)} want {x['bounce_class']}")
            if x.get('action'):
                good = bool(e) and ((e.get('action') or ('delayed' if cls(e) == 70 else 'failed')).lower() == x['action']); t.add('action', good)
            if x.get('diag') and len(squash(x['diag'])) > 12:
                t.add('diag', bool(e) and squash(x['diag'])[:40] in squash(e.get('raw_reason')))
    first = want[0] if want else {}
    if lab.get('message_id'):
        good = any(low(e.get('message_id')) == low(lab['message_id']) for e in want); t.add('mid', good)
        if want and not good: miss.append(f"message_id {first.get('message_id')} want {lab['message_id']}")
    if lab.get('reporting_mta'): t.add('rmta', low(first.get('reporting_mta')) == low(lab['reporting_mta']))
    if lab.get('fbtype'):
        good = low(first.get('fbtype')) == lab['fbtype']; t.add('fbtype', good)
    if not want: miss.insert(0, 'NOT FOUND')
    return miss
COLS = ('found', 'rcpts', 'status', 'class', 'action', 'mid', 'diag', 'rmta', 'fbtype')
def table(rows):
    print(f"{'set':34}{'files':>6}" + ''.join(f'{c:>8}' for c in COLS) + f"{'FP':>8}{'soft':>7}")
    for name, n, t in rows:
        f = lambda k: '-' if t.pct(k) is None else f'{t.pct(k):.1f}'
        print(f'{name[:33]:34}{n:>6}' + ''.join(f'{f(c):>8}' for c in COLS) + f"{f('fp'):>8}{f('soft'):>7}")
def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('index'); ap.add_argument('results'); ap.add_argument('--misses', type=int, default=0); ap.add_argument('--by'); ap.add_argument('--json', action='store_true'); ap.add_argument('--min', action='append', default=[]); ap.add_argument('--only')
    a = ap.parse_args()
    labs = [json.loads(l) for l in open(a.index, encoding='utf-8') if l.strip()]
    if a.only: labs = [l for l in labs if re.search(a.only, l['id'])]
    res = {}
    for l in open(a.results, encoding='utf-8', errors='replace'):
        if l.strip(): r = json.loads(l); res.setdefault(key(r['file']), []).extend(r.get('events') or [])
    tot = collections.defaultdict(T); cnt = collections.Counter(); misses = []
    for lab in labs:
        evs = res.get(lab['id'], [])
        if lab.get('variant_of'): groups = ['variants (CR / CRLF)']
        else:
            groups = [lab['kind'], 'ALL bounces' if lab['kind'] in POS else 'ALL feedback' if lab['kind'] in FBL else 'negatives']
            if a.by: groups.append(f"{a.by}:" + (lab['family'] if a.by == 'family' else lab['id'].split('-')[0]))
        m = None
        for g in groups: m = score(lab, evs, tot[g]); cnt[g] += 1
        if m and not lab.get('variant_of'): misses.append((lab['id'], lab['kind'], m))
    order = ['ALL bounces', 'dsn-standard', 'dsn-nonstandard', 'ALL feedback', 'arf', 'fbl-nonarf', 'negatives', 'not-a-bounce', 'autoreply', 'challenge-response', 'dsn-success', 'arf-authfailure', 'unsubscribe', 'variants (CR / CRLF)']
    rows = [(g, cnt[g], tot[g]) for g in order + sorted(set(tot) - set(order)) if g in tot]
    if a.json: print(json.dumps({g: {'files': n, **{c: t.pct(c) for c in COLS + ('fp', 'soft')}} for g, n, t in rows}))
    else: table(rows); print(f'files with any miss: {len(misses)} of {sum(not l.get("variant_of") for l in labs)}')
    for i, k, m in misses[:a.misses]: print(f'  {i} [{k}] ' + '; '.join(m[:4]))
    bad = 0
    for spec in a.min:
        k, v = spec.split('='); g, c = k.rsplit('.', 1); p = tot[g].pct(c) if g in tot else None
        if p is None or (p > float(v) if c in ('fp', 'soft') else p < float(v)): bad = 1; print(f'FAIL {k}: {p} (wanted {v})')
    sys.exit(bad)
if __name__ == '__main__':
    try: main()
    except BrokenPipeError: os._exit(0)
