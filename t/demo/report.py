#!/usr/bin/env python3
"""Makes the reports that the article's demo gets back, about a message that the sink has.

    report.py bounce SINK-NAME	an out-of-band bounce: From the recipient, to the return path; its
				first part has no header, its status says nothing, its text does
    report.py complaint SINK-NAME TO	a feedback report (ARF); its Original-Mail-From is the
				From: header's address, not the envelope's

Both have the whole message attached, as it arrived. On standard output, with LF.
"""
import json
import sys
from email import policy
from email.parser import BytesParser
from email.utils import parseaddr

BOUNCE = """From: {rcpt}
To: {mail_from}
Subject: Returned mail: see transcript for details
MIME-Version: 1.0
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status;
	boundary="=_bounce_"

--=_bounce_

The original message was taken and could not be delivered later on.

   ----- The following addresses had permanent fatal errors -----
<{rcpt}>

   ----- Transcript of session follows -----
>>> RCPT To:<{rcpt}>
<<< 550 5.0.0 <{rcpt}>... User unknown

--=_bounce_
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.{domain}
Arrival-Date: {date}

Final-Recipient: rfc822; {rcpt}
Action: failed
Status: 5.0.0
Remote-MTA: dns; mx.{domain}
Diagnostic-Code: smtp; 550 5.0.0 <{rcpt}>... User unknown
Last-Attempt-Date: {date}

--=_bounce_
Content-Type: message/rfc822

{original}
--=_bounce_--
"""
COMPLAINT = """From: feedback@{domain}
To: {to}
Subject: FW: {subject}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
	boundary="=_complaint_"

--=_complaint_
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 7bit

This is a report of abuse about a message that {rcpt} got.

--=_complaint_
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Feedback/1.0
Version: 1
Original-Mail-From: <{header_from}>
Arrival-Date: {date}
Source-IP: 127.0.0.1
Reported-Domain: {from_domain}
Reported-Uri: mailto:{rcpt}
Original-Rcpt-To: {rcpt}
Removal-Recipient: {rcpt}

--=_complaint_
Content-Type: message/rfc822

{original}
--=_complaint_--
"""


def main():
    kind, name = sys.argv[1], sys.argv[2]
    with open(name + ".eml", "rb") as f:
        original = f.read()
    with open(name + ".json", encoding="utf-8") as f:
        envelope = json.load(f)
    header = BytesParser(policy=policy.compat32).parsebytes(original, headersonly=True)
    rcpt = envelope["rcpts"][0]
    header_from = parseaddr(str(header["From"]))[1]
    sys.stdout.buffer.write((BOUNCE if kind == "bounce" else COMPLAINT).format(
        rcpt=rcpt, domain=rcpt.split("@")[1], mail_from=envelope["mail_from"], to=(sys.argv + [""])[3],
        subject=header["Subject"], date=header["Date"] or "Sun, 22 Nov 2026 11:00:00 +0000",
        header_from=header_from, from_domain=header_from.split("@")[1],
        original=original.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    ).encode("utf-8", "surrogateescape"))


main()
