/*
 * Reports in words, one row for each way of putting it: whom it is about, and what was said.
 * Written after the forms that mail systems are known to use; addresses are made up.
 */
#include "common/report.h"
#include "t/tap.h"

#define ORIGINAL                                                                                   \
	"Received: from a.sender.example by b.sender.example; Mon, 2 Mar 2026 10:00:00 +0000\n"    \
	"Message-ID: <m1@sender.example>\nFrom: News <news@sender.example>\nTo: Anna "             \
	"<anna@dest.example>\n"                                                                    \
	"Subject: March\n\nHello bob@third.example, 550 5.7.1 is no reply.\n"

static const struct row {
	const char *name, *from, *subject, *text;
	const char *rcpts;  /* separated by blanks */
	const char *status; /* of the first */
	unsigned code;
	const char *action;
} rows[] = {
	{ "qmail", "MAILER-DAEMON@mx.example", "failure notice",
	    "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to "
	    "deliver your message to the following addresses.\n"
	    "This is a permanent error; I've given up. Sorry it didn't work "
	    "out.\n\n<anna@dest.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
	    "<carl@dest.example>:\n192.0.2.1 does not like recipient.\nRemote host said: 552 5.2.2 "
	    "over quota\nGiving up on 192.0.2.1.\n\n--- Below this line is a copy of the "
	    "message.\n\n" ORIGINAL,
	    "anna@dest.example carl@dest.example", "5.1.1", 0, "failed" },
	{ "James", "postmaster@mx.example", "Re: March",
	    "Hi. This is the James mail server at mx.example.\nI'm afraid I wasn't able to deliver "
	    "your message to the following addresses.\nThis is a permanent error; I've given up. "
	    "Sorry it didn't work out. Below\n"
	    "I include the list of recipients and the reason why I was unable to deliver\nyour "
	    "message.\n\nFailed recipient(s):\nanna@dest.example\n\nError message:\n550 5.4.1 "
	    "Recipient address rejected: Access denied\n\n"
	    "Message details:\n  Subject: March\n  Sent date: Mon Mar 02 10:00:00 UTC 2026\n  MAIL "
	    "FROM: news@sender.example\n  RCPT TO: anna@dest.example\n  From: "
	    "news@sender.example\n  To: anna@dest.example\n  Size (in bytes): 1024\n",
	    "anna@dest.example", "5.4.1", 550, "failed" },
	{ "MailMarshal", "postmaster@mx.example", "Undeliverable Mail",
	    "Your message:\n   From:    news@sender.example\n   Subject: March\n\nCould not be "
	    "delivered because of\n\n550 5.1.1 User unknown\n\nThe following recipients were "
	    "affected: \n    anna@dest.example\n\nAdditional Information\n"
	    "======================\nOriginal Sender:    <news@sender.example>\nSender-MTA:        "
	    " <10.11.12.13>\nRemote-MTA:         <10.0.0.1>\nReporting-MTA:      "
	    "<relay.mx.example>\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "Exim", "Mailer-Daemon@mx.example", "Mail delivery failed: returning message to sender",
	    "This message was created automatically by mail delivery software.\n\nA message that "
	    "you sent could not be delivered to one or more of its\nrecipients. This is a "
	    "permanent error. The following address(es) failed:\n\n"
	    "  anna@dest.example\n    SMTP error from remote mail server after RCPT "
	    "TO:<anna@dest.example>:\n    host mx.dest.example [192.0.2.7]: 550 5.1.1 unknown\n  "
	    "carl@dest.example\n    retry timeout exceeded\n\n------ This is a copy of the "
	    "message, including all the headers. ------\n\n" ORIGINAL,
	    "anna@dest.example carl@dest.example", "5.1.1", 550, "failed" },
	{ "Exim, an alias", "Mailer-Daemon@mx.example",
	    "Mail delivery failed: returning message to sender",
	    "A message that you sent could not be delivered to one or more of its\nrecipients. The "
	    "following address(es) failed:\n\n  anna@inner.example\n    (generated from "
	    "anna@dest.example)\n    mailbox is full\n",
	    "anna@inner.example", "5.0.0", 0, "failed" },
	{ "Exim, late", "Mailer-Daemon@mx.example",
	    "Warning: message 1GdV3O-0002RD-H2 delayed 72 hours",
	    "This message was created automatically by mail delivery software.\nA message that you "
	    "sent has not yet been delivered to one or more of its\nrecipients after more than 72 "
	    "hours on the queue on mx.example.\n\nThe address to which the message has not yet "
	    "been delivered is:\n\n  anna@dest.example\n"
	    "    Delay reason: SMTP error from remote mail server after DATA:\n    host "
	    "mail.dest.example [192.0.2.43]: 451 try later\n\nNo action is required on your part. "
	    "Delivery attempts will continue for\nsome time.\n",
	    "anna@dest.example", "4.0.0", 451, "delayed" },
	{ "Sendmail of old", "MAILER-DAEMON@mx.example", "Returned mail: User unknown",
	    "   ----- Transcript of session follows -----\nWhile talking to mx.dest.example:\n>>> "
	    "RCPT To:<anna@dest.example>\n<<< 550 <anna@dest.example>... User unknown\n550 "
	    "<anna@dest.example>... User unknown\n\n   ----- Unsent message follows "
	    "-----\n" ORIGINAL,
	    "anna@dest.example", "5.0.0", 550, "failed" },
	{ "Sendmail of old, without brackets", "MAILER-DAEMON@mx.example",
	    "Returned mail: Host unknown",
	    "   ----- Transcript of session follows -----\n550 anna@dest.example... Host "
	    "unknown\n\n   ----- Unsent message follows -----\n" ORIGINAL,
	    "anna@dest.example", "5.0.0", 550, "failed" },
	{ "Sendmail 8, two recipients", "MAILER-DAEMON@mx.example",
	    "Returned mail: see transcript for details",
	    "The original message was received at Mon, 2 Mar 2026\nfrom localhost\n\n   ----- The "
	    "following addresses had permanent fatal errors -----\n<anna@dest.example>\n    "
	    "(reason: 550 5.1.1 unknown)\n<carl@dest.example>\n\n   ----- Transcript of session "
	    "follows -----\n"
	    "... while talking to mx.dest.example.:\n>>> RCPT To:<anna@dest.example>\n<<< 550 "
	    "5.1.1 unknown\n550 5.1.1 <anna@dest.example>... User unknown\n554 5.3.4 "
	    "<carl@dest.example>... too big\n",
	    "anna@dest.example carl@dest.example", "5.1.1", 550, "failed" },
	{ "Exchange 5.5", "postmaster@mx.example", "Undeliverable: March",
	    "Your message\n\n  To:      anna@dest.example\n  Subject: March\n  Sent:    Mon, 2 Mar "
	    "2026 10:00:00 +0000\n\ndid not reach the following recipient(s):\n\nanna@dest.example "
	    "on Mon, 2 Mar 2026 10:00:00 +0000\n    The recipient name is not recognized\n    "
	    "MSEXCH:IMS:ORG:SITE:HOST 0 (000C05A6) Unknown Recipient\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "Exchange 2003", "System Administrator <postmaster@mx.example>", "Undeliverable: March",
	    "Your message did not reach some or all of the intended recipients.\n\n      "
	    "Subject:\tMarch\n      Sent:\t3/2/2026 10:00 AM\n\nThe following recipient(s) could "
	    "not be reached:\n\n      anna@dest.example on 3/2/2026 10:00 AM\n            The "
	    "e-mail account does not exist at the organization this message was sent to.\n         "
	    "   <mx.dest.example #5.1.1>\n",
	    "anna@dest.example", "5.1.1", 0, "failed" },
	{ "Domino", "postmaster@mx.example",
	    "DELIVERY FAILURE: User anna (anna@dest.example) not listed in Domino Directory",
	    "Your message\n\n  Subject: March\n\nwas not delivered to:\n\n  "
	    "anna@dest.example\n\nbecause:\n\n  User anna (anna@dest.example) not listed in Domino "
	    "Directory\n\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "Notes", "POSTMASTER@mx.example", "Undeliverable message",
	    "------- Failure Reasons  --------\n\nUser not listed in public Name & Address "
	    "Book\nanna@dest.example\n\n\n------- Returned Message --------\n\n" ORIGINAL,
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "GroupWise", "Mail Delivery Agent <gwia@mx.example>", "Message status - undeliverable",
	    "The message that you sent was undeliverable to the following:\n\tanna@dest.example "
	    "(user not found)\n\nPossibly truncated original message follows:\n\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "IMail", "Postmaster <postmaster@mx.example>", "Undeliverable Mail",
	    "User mailbox exceeds allowed size: anna@dest.example\n\nOriginal message "
	    "follows.\n\n" ORIGINAL,
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "IMail, unknown", "Postmaster <postmaster@mx.example>", "Undeliverable Mail",
	    "Unknown user: anna@dest.example\n\nOriginal message follows.\n\n" ORIGINAL,
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "MDaemon", "MDaemon@mx.example", "Permanent Delivery Failure",
	    "The attached message had PERMANENT fatal delivery errors!\n\nAfter one or more "
	    "unsuccessful delivery attempts the attached message has\nbeen removed from the mail "
	    "queue on this server.\n\nYOUR MESSAGE WAS NOT DELIVERED TO ONE OR MORE "
	    "RECIPIENTS!\n\nFailed address: anna@dest.example\n\n"
	    "--- Session Transcript ---\n Mon 2026-03-02 10:00:00: --> MAIL "
	    "From:<news@sender.example>\n Mon 2026-03-02 10:00:01: <-- 250 ok\n Mon 2026-03-02 "
	    "10:00:01: --> RCPT To:<anna@dest.example>\n Mon 2026-03-02 10:00:02: <-- 550 "
	    "<anna@dest.example>, Recipient unknown\n--- End Transcript ---\n",
	    "anna@dest.example", "5.0.0", 550, "failed" },
	{ "Gmail of old", "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
	    "Delivery Status Notification (Failure)",
	    "Delivery to the following recipient failed permanently:\n\n     "
	    "anna@dest.example\n\nTechnical details of permanent failure: \nGoogle tried to "
	    "deliver your message, but it was rejected by the recipient domain. The error that the "
	    "other server returned was: 550 550 5.1.1 no such user (state 14).\n\n----- Original "
	    "message -----\n\n" ORIGINAL,
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "Yahoo", "MAILER-DAEMON@yahoo.com", "Failure Notice",
	    "Sorry, we were unable to deliver your message to the following "
	    "address.\n\n<anna@dest.example>:\nRemote host said:\n554 delivery error: dd This user "
	    "doesn't have an account [0] - mta\n [RCPT_TO]\n\n--- Below this line is a copy of the "
	    "message.\n\n" ORIGINAL,
	    "anna@dest.example", "5.0.0", 554, "failed" },
	{ "GMX", "MAILER-DAEMON@mx.example", "Mail delivery failed: returning message to sender",
	    "A message that you sent could not be delivered to one or more of\nits recipients. "
	    "This is a permanent error. The following "
	    "address\nfailed:\n\n\"anna@dest.example\":\nSMTP error from remote server after RCPT "
	    "command:\nhost: mx.dest.example\n5.1.1 <anna@dest.example>... User Unknown\n\n\n--- "
	    "The header of the original message is following. ---\n\n" ORIGINAL,
	    "anna@dest.example", "5.1.1", 0, "failed" },
	{ "OpenSMTPD", "Mailer Daemon <MAILER-DAEMON@mx.example>",
	    "Delivery status notification: failed",
	    "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.\n\n    "
	    "An error has occurred while attempting to deliver a message for\n    the following "
	    "list of recipients:\n\nanna@dest.example: 550 5.2.2 <anna@dest.example>... Mailbox "
	    "Full\n\n    Below is a copy of the original message:\n\n" ORIGINAL,
	    "anna@dest.example", "5.2.2", 550, "failed" },
	{ "SurfControl", "Postmaster@mx.example", "Delivery Failure",
	    "Your message could not be sent.\nA transcript of the attempts to send the message "
	    "follows.\nThe number of attempts made: 1\nAddressed To: anna@dest.example\n\nMon 02 "
	    "Mar 2026 10:00:00 +0000\nFailed to send to identified host,\nanna@dest.example: "
	    "[192.0.2.5], 550 anna@dest.example... No such user\n\n--- Message non-deliverable.\n",
	    "anna@dest.example", "5.0.0", 550, "failed" },
	{ "McAfee", "MAILER-DAEMON@mx.example", "Undeliverable mail: March",
	    "--- The following addresses had delivery problems ---\n\n<anna@dest.example>   (User "
	    "unknown anna@dest.example)\n\n--------------Boundary\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "MailFoundry", "MAILER-DAEMON@mx.example", "Message delivery has failed",
	    "Unable to deliver message to: <anna@dest.example>\nDelivery failed for the following "
	    "reason:\nServer mx.dest.example[192.0.2.22] failed with: 550 <anna@dest.example> No "
	    "such user here\n\nThis has been a permanent failure.  No further delivery attempts "
	    "will be made.\n\n",
	    "anna@dest.example", "5.0.0", 550, "failed" },
	{ "Messaging Server", "postmaster@mx.example", "Delivery Notification: Delivery has failed",
	    "This report relates to a message you sent with the following header fields:\n\n  "
	    "Message-id: <m1@sender.example>\n  Date: Mon, 02 Mar 2026 10:00:00 +0000\n  From: "
	    "News <news@sender.example>\n  To: anna@dest.example\n  Subject: March\n\nYour message "
	    "cannot be delivered to the following recipients:\n\n"
	    "  Recipient address: anna@dest.example\n  Reason: Remote SMTP server has rejected "
	    "address\n  Diagnostic code: smtp;550 5.1.1 <anna@dest.example>... User Unknown\n  "
	    "Remote system: dns;mx.dest.example (TCP|192.0.2.8|42|192.0.2.9|25)\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "InterScan", "postmaster@mx.example", "Mail could not be delivered",
	    "****** Message from InterScan Messaging Security Suite ******\n\nSent >>> RCPT "
	    "TO:<anna@dest.example>\nReceived <<< 550 5.1.1 <anna@dest.example>... user "
	    "unknown\n\nUnable to deliver message to "
	    "<anna@dest.example>.\n\n************************     End of message     "
	    "**********************\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "Biglobe", "postmaster@biglobe.ne.jp", "Returned mail: mail delivery failure",
	    "   ----- The following addresses had delivery problems -----\nanna@dest.example\n\n   "
	    "----- Non-delivered information -----\nThe number of messages in recipient's mailbox "
	    "exceeded the local limit.\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "KDDI", "no-reply@kddi.example", "Mail System Error - Returned Mail",
	    "Your mail sent on: Mon, 02 Mar 2026 11:04:47 +0900 \n    Could not be delivered to: "
	    "<anna@dest.example>\n    As their mailbox is full.\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "EZweb", "Postmaster@ezweb.ne.jp", "Mail System Error - Returned Mail",
	    "Each of the following recipients was rejected by a remote\nmail server.\n\n    "
	    "Recipient: <anna@dest.example>\n    >>> RCPT TO:<anna@dest.example>\n    <<< 550 "
	    "<anna@dest.example>: User unknown\n",
	    "anna@dest.example", "5.0.0", 550, "failed" },
	{ "Post.Office", "Mail Administrator <Postmaster@mx.example>",
	    "Mail System Error - Returned Mail",
	    "This Message was undeliverable due to the following reason:\n\nThe following "
	    "destination addresses were unknown (please check\nthe addresses and re-mail the "
	    "message):\n\nSMTP <anna@dest.example>\n\nPlease reply to Postmaster@mx.example\nif "
	    "you feel this message to be in error.\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "Smail", "MAILER-DAEMON@mx.example", "mail failed, returning to sender",
	    "|------------------------- Message log follows: -------------------------|\n no valid "
	    "recipients were found for this message\n|------------------------- Failed addresses "
	    "follow: ---------------------|\n <anna@dest.example> ... unknown "
	    "host\n|------------------------- Message text follows: "
	    "------------------------|\n" ORIGINAL,
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "Mercury", "Postmaster <Postmaster@mx.example>", "Postmaster notify: delivery failure.",
	    "The attached message has failed delivery and has been referred\nto you as postmaster. "
	    "The following error report or reports\nwere given to explain the problem:\n\n   *** "
	    "anna@dest.example\n   Unresolvable local address - check address and try again\n\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "VirusWall", "MAILER-DAEMON@mx.example", "Undeliverable Mail",
	    "Message from  InterScan E-Mail VirusWall NT\n\nThe following mail could not be "
	    "delivered.\n\n>>> RCPT TO: <anna@dest.example>\n<<< 501 anna@dest.example... bad "
	    "address\n\nEnd of message\n",
	    "anna@dest.example", "5.0.0", 501, "failed" },
	{ "DragonFly", "MAILER-DAEMON <>", "Mail delivery failed",
	    "This is the DragonFly Mail Agent v0.13 at mx.example.\n\nThere was an error "
	    "delivering your mail to <anna@dest.example>.\n\nmx.dest.example [192.0.2.25] did not "
	    "like our RCPT TO:\n550 5.1.1 <anna@dest.example>: Recipient address rejected: User "
	    "unknown\n\nOriginal message follows.\n\n" ORIGINAL,
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "the reason named first", "MAILER-DAEMON@mx.example", "Undeliverable",
	    "The following message could not be delivered.\n\nreject reason: Mailbox full\ntarget "
	    "mail address: anna@dest.example\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "German", "MAILER-DAEMON@mx.example", "Unzustellbar: March",
	    "Ihre Nachricht konnte nicht zugestellt werden.\n\nEmpfänger: "
	    "anna@dest.example\nGrund: 550 5.1.1 Benutzer unbekannt\n\nBei Fragen wenden Sie sich "
	    "an support@mx.example\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "French", "MAILER-DAEMON@mx.example", "Échec de la remise",
	    "Le message suivant n'a pas pu être remis à :\n\n  anna@dest.example\n\n "
	    " 550 5.1.1 utilisateur inconnu\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "Spanish", "MAILER-DAEMON@mx.example", "Mensaje no entregado",
	    "No se pudo entregar el mensaje a los siguientes destinatarios:\n\nanna@dest.example\n "
	    "  552 5.2.2 buzón lleno\n",
	    "anna@dest.example", "5.2.2", 552, "failed" },
	{ "Italian", "MAILER-DAEMON@mx.example", "Mancata consegna",
	    "Non è stato possibile consegnare il messaggio al seguente destinatario: "
	    "anna@dest.example\n\n550 5.1.1 utente sconosciuto\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "Portuguese", "MAILER-DAEMON@mx.example", "Mensagem não entregue",
	    "A mensagem não foi entregue para:\n\n<anna@dest.example>: 550 5.1.1 "
	    "usuário desconhecido\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "Russian", "mailer-daemon@mx.example",
	    "Письмо не "
	    "доставлено",
	    "Письмо не "
	    "может быть "
	    "доставлено "
	    "получателю:\n\n "
	    " anna@dest.example\n    550 5.1.1 no such user\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "Czech", "MAILER-DAEMON@mx.example", "Nedoručitelná zpráva",
	    "Vaše zpráva nemohla být doručena na adresu anna@dest.example.\n550 5.1.1 neexistuje\n",
	    "anna@dest.example", "5.1.1", 550, "failed" },
	{ "Chinese", "PostMaster@qq.example", "系统退信",
	    "您的邮件被退回\n"
	    "收件人：anna@dest.example\n退信原因: 550 User not "
	    "found\n",
	    "anna@dest.example", "5.0.0", 550, "failed" },
	{ "a link round the address", "postmaster@mx.example", "Undeliverable: March",
	    "Delivery has failed to these recipients or "
	    "groups:\n\nanna@dest.example<mailto:anna@dest.example>\nThe email address wasn't "
	    "found at the destination domain.\n\nRemote Server returned '550 5.1.10 "
	    "RESOLVER.ADR.RecipientNotFound; Recipient not found'\n",
	    "anna@dest.example", "5.1.10", 550, "failed" },
	{ "a name before the address", "Mailer-Daemon@mx.example",
	    "Mail failure - malformed recipient address",
	    "A message that you sent contained one or more recipient addresses that "
	    "were\nincorrectly constructed:\n\n  x@third.example <anna@dest.example>: malformed "
	    "address\n",
	    "anna@dest.example", "5.0.0", 0, "failed" },
	{ "only what was quoted names anybody", "MAILER-DAEMON@mx.example",
	    "Returned mail: Cannot send message for 4 days",
	    "   ----- Transcript of session follows -----\n421 dest.example (smtp)... Deferred: "
	    "Connection timed out\n\n   ----- Unsent message follows -----\n" ORIGINAL,
	    "anna@dest.example", "4.0.0", 421, "failed" },
	{ "nobody is named", "MAILER-DAEMON@mx.example", "Mail delivery failed", "Sorry.\n", "", "",
	    0, "" },
};

static void
check(struct report_reader *rr, const struct row *row)
{
	struct buf mail, got;
	struct report r;
	bool good;

	buf_init(&mail, 1 << 20);
	buf_init(&got, 1 << 20);
	buf_printf(&mail, "Return-Path: <>\nFrom: %s\nTo: news@sender.example\nSubject: %s\n\n%s",
	    row->from, row->subject, row->text);
	report_read(rr, buf_slice(&mail), &r);
	for (size_t i = 0; i < r.n_rcpts; i++)
		buf_printf(&got, "%s%.*s", i > 0 ? " " : "", SLICE_FMT(r.rcpts[i].rcpt));
	good = r.kind == REPORT_BOUNCE && strcmp(buf_str(&got), row->rcpts) == 0;
	if (good && r.n_rcpts > 0)
		good = slice_eq(r.rcpts[0].status, slice_str(row->status)) &&
		       r.rcpts[0].code == row->code &&
		       strcmp(dsn_action_name(r.rcpts[0].action), row->action) == 0;
	ok(good, "%s", row->name);
	if (!good)
		printf("# %s: \"%s\" status %.*s code %u action %s: %.*s\n",
		    report_kind_name(r.kind), buf_str(&got),
		    r.n_rcpts > 0 ? (int)r.rcpts[0].status.len : 0,
		    r.n_rcpts > 0 ? r.rcpts[0].status.p : "", r.n_rcpts > 0 ? r.rcpts[0].code : 0,
		    r.n_rcpts > 0 ? dsn_action_name(r.rcpts[0].action) : "",
		    r.n_rcpts > 0 ? (int)r.rcpts[0].diagnostic.len : 0,
		    r.n_rcpts > 0 ? r.rcpts[0].diagnostic.p : "");
	buf_free(&mail);
	buf_free(&got);
}

int
main(void)
{
	struct report_reader *rr = report_open();

	for (size_t i = 0; i < COUNT(rows); i++)
		check(rr, &rows[i]);
	report_close(rr);
	return tap_done();
}
