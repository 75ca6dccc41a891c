#include "common/report_words.h"

#include "common/ascii.h"

#define TEXT_MAX ((size_t)16 * 1024) /* what a mail is says it at its start */

static bool
has_word(struct slice s, const char *word)
{
	return memmem(s.p, s.len, word, strlen(word)) != NULL;
}

static bool
has_any(struct slice s, const char *const *words, size_t n)
{
	s = slice_head(s, TEXT_MAX);
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (has_word(s, words[i]))
			return true;
	return false;
}

static bool
starts_any(struct slice s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_starts(s, slice_str(words[i])))
			return true;
	return false;
}

#define HAS_ANY(s, table)    has_any(s, table, COUNT(table))
#define STARTS_ANY(s, table) starts_any(s, table, COUNT(table))

/* ---- who ---- */

static const char *const daemons[] = { "mailer-daemon", "mailer_daemon", "mailerdaemon",
	"mail-daemon", "maildaemon", "mailer-deamon", "postmaster", "postmast", "mmdf", "uucp",
	"mail.daemon", "bounce-daemon", "mdaemon", "nondelivery", "non-delivery", "undeliverable",
	"mailsystem", "post_master", "mail-system", "administrator@mail" };

static const char *const systems[] = { "mailer-daemon", "mail deliver", "delivery system",
	"delivery subsystem", "delivery service", "delivery agent", "mailer daemon", "postmaster",
	"system administrator", "mail system", "mail administrator", "internet mail delivery",
	"systemadministrator", "administrateur syst", "e-mail delivery", "delivery report",
	"mail transfer", "inbox delivery" };

bool
report_words_daemon(struct slice local)
{
	return STARTS_ANY(local, daemons);
}

bool
report_words_system(struct slice display_name)
{
	return HAS_ANY(display_name, systems);
}

/* ---- bounces ---- */

static const char *const bounce_subjects[] = { "undeliver", "deliver", "failure", "returned mail",
	"return mail", "returned to sender", "return to sender", "returned message", "returned e",
	"mail error", "system error", "bounce", "reject", "not sent", "could not send",
	"couldn't be", "could not be", "cannot send", "can't send", "user unknown", "unknown user",
	"unknown address", "invalid address", "address error", "no such", "failed mail",
	"mail failed", "message failed", "failed:", "nondeliver", "message status", "mail status",
	"warning: message", "warning--", "error mail", "mail not", "mailbox full", "over quota",
	"mail warning", "blocked", "non remis", "non deliv",
	/* German */
	"unzustellbar", "nicht zustellbar", "nicht zugestellt", "zustellung",
	"\xc3\xbc"
	"bermittlung",
	"fehlgeschlagen", "nicht ausgeliefert",
	/* French */
	"non distribu", "non remis", "non d\xc3\xa9livr",
	"\xc3\xa9"
	"chec de",
	"retour de courrier", "erreur", "impossible",
	/* Spanish, Portuguese, Italian */
	"no se pudo", "no se puede", "no entregad", "no se ha podido", "entrega",
	"n\xc3\xa3o entregue",
	"n\xc3\xa3o p\xc3\xb4"
	"de",
	"falha", "mancato recapito", "non recapit", "mancata consegna", "impossibile",
	/* Dutch, Swedish, Danish, Norwegian, Finnish */
	"onbestelbaar", "niet bezorgd", "niet afgeleverd", "kunde inte", "olevererbar",
	"ikke leveres", "kunne ikke", "ej levererat", "toimittaa",
	/* Polish, Czech, Slovak, Hungarian, Turkish */
	"niedostarcz", "nie dostarczon", "zwrot", "nedoru", "nelze doru", "nie je mo",
	"k\xc3\xa9zbes\xc3\xadt", "iletilemedi", "teslim",
	/* Russian, Ukrainian, Greek */
	"\xd0\xbd\xd0\xb5 \xd0\xb4\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2",
	"\xd0\xbd\xd0\xb5\xd0\xb4\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2",
	"\xd0\xbd\xd0\xb5 \xd0\xbc\xd0\xbe\xd0\xb6\xd0\xb5\xd1\x82 "
	"\xd0\xb1\xd1\x8b\xd1\x82\xd1\x8c",
	"\xd0\xbd\xd0\xb5\xd0\xb2\xd0\xbe\xd0\xb7\xd0\xbc\xd0\xbe\xd0\xb6\xd0\xbd\xd0\xbe",
	/* Japanese, Chinese, Korean */
	"\xe9\x85\x8d\xe4\xbf\xa1", "\xe9\x80\x81\xe4\xbf\xa1",
	"\xe3\x82\xa8\xe3\x83\xa9\xe3\x83\xbc", "\xe9\x80\x80\xe4\xbf\xa1",
	"\xe6\x8a\x95\xe9\x80\x92", "\xe5\xa4\xb1\xe8\xb4\xa5", "\xeb\xb0\x98\xec\x86\xa1",
	"\xec\x8b\xa4\xed\x8c\xa8" };

static const char *const bounce_texts[] = { "be delivered", "deliver", "undeliver", "did not reach",
	"permanent error", "fatal error", "transcript of", "returned to you", "returned to sender",
	"returned message", "was rejected", "user unknown", "unknown user", "mailbox full",
	"mailbox is full", "failure reasons", "failed address", "mail system error", "no such user",
	"does not exist", "over quota", "was not sent", "could not send", "cannot send",
	"unable to send", "failed recipient", "bounce", "user mailbox exceeds",
	"invalid final delivery", "message rejected", "not listed in", "could not be reached",
	"automatically generated", "recipient rejected", "returned mail", "unknown local",
	"mail follows",
	/* German */
	"zugestellt", "zustellbar", "zustellung", "zugesandt werden", "nicht gesendet",
	"\xc3\xbc"
	"bermittelt werden",
	/* French */
	"distribu", "pas \xc3\xa9t\xc3\xa9 remis", "pas \xc3\xa9t\xc3\xa9 d", "a pas pu",
	"a pu \xc3\xaatre", "etre remis", "\xc3\xaatre remis", "delivr", "d\xc3\xa9livr", "bloqu",
	/* Spanish, Portuguese, Italian */
	"no se pudo", "no ha podido", "entregad", "entregar", "entregue", "no se ha podido",
	"recapitat", "consegn", "non \xc3\xa8 stato", "n\xc3\xa3o foi poss",
	/* Dutch, Swedish, Danish, Norwegian */
	"bezorgd", "afgeleverd", "levereras", "levererat", "leveres", "leveret",
	/* Polish, Czech, Slovak, Hungarian, Turkish */
	"dostarcz", "doru\xc4\x8d", "nebylo mo", "neexistuje", "k\xc3\xa9zbes", "teslim", "iletil",
	/* Russian */
	"\xd0\xb4\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2\xd0\xbb",
	"\xd0\xbd\xd0\xb5 \xd0\xbc\xd0\xbe\xd0\xb6\xd0\xb5\xd1\x82",
	"\xd0\xbd\xd0\xb5 \xd1\x81\xd1\x83\xd1\x89\xd0\xb5\xd1\x81\xd1\x82\xd0\xb2",
	/* Japanese, Chinese, Korean */
	"\xe9\x85\x8d\xe4\xbf\xa1", "\xe9\x80\x81\xe4\xbf\xa1\xe3\x81\xa7\xe3\x81\x8d",
	"\xe5\xb1\x8a\xe3\x81\x91", "\xe9\x80\x81\xe4\xbf\xa1\xe3\x81\xab\xe5\xa4\xb1",
	"\xe3\x82\xa8\xe3\x83\xa9\xe3\x83\xbc", "\xe9\x80\x80\xe4\xbf\xa1",
	"\xe6\x8a\x95\xe9\x80\x92", "\xe6\x97\xa0\xe6\xb3\x95", "\xeb\xb0\x98\xec\x86\xa1" };

bool
report_words_bounce_subject(struct slice subject)
{
	return HAS_ANY(subject, bounce_subjects);
}

bool
report_words_bounce_text(struct slice text)
{
	return HAS_ANY(text, bounce_texts);
}

static const char *const delay_subjects[] = { "delay", "warning", "still being retried", "deferred",
	"temporar", "verz\xc3\xb6g", "retard" };

static const char *const delay_texts[] = { "warning message only", "warning only",
	"has been delayed", "is delayed", "not yet been delivered", "been delayed",
	"will be retried", "delivery attempts will continue", "still being retried",
	"continue to try", "continue trying", "will keep trying", "still in the queue",
	"could not send message for past", "only a temporary failure report",
	"temporary failure report", "need to resend your message", "will continue to be attempted",
	"delivery is delayed", "not been delivered yet", "try to deliver your message again",
	"attempts will be made" };

static const char *const failure_texts[] = { "permanent error", "permanent fatal",
	"failed permanently", "permanent failure", "i've given up", "given up", "giving up",
	"delivery has failed", "undeliverable", "cannot be delivered", "been rejected",
	"was rejected", "no longer be retried", "returned to sender", "not going to try again",
	"could not be delivered to" };

bool
report_words_delay_subject(struct slice subject)
{
	return HAS_ANY(subject, delay_subjects);
}

bool
report_words_delay_text(struct slice text)
{
	return HAS_ANY(text, delay_texts);
}

bool
report_words_failure_text(struct slice text)
{
	return HAS_ANY(text, failure_texts);
}

/* ---- automatic answers ---- */

static const char *const auto_starts[] = { "auto:", "autoreply", "auto-reply", "auto reply",
	"automatic reply", "automatic response", "auto response", "auto-response", "autoresponse",
	"automatische antwort", "automatic answer", "out of office", "out of the office",
	"out-of-office", "vacation", "on vacation", "i am on vacation", "away from", "i am away",
	"i'm away", "abwesenheit", "abwesend", "nicht im b", "autom. antwort",
	"automatisch antwoord", "automatisch bericht", "afwezig", "absence", "absent du",
	"r\xc3\xa9ponse automatique", "reponse automatique", "message d'absence", "respuesta autom",
	"fuera de la oficina", "fuera de oficina", "risposta automatica", "fuori ufficio",
	"resposta autom", "fora do escrit", "autosvar", "automatiskt svar", "automaattinen",
	"automatyczna odpowied", "automatick\xc3\xa1 odpov", "autorepl", "auto antwort",
	"autom\xc3\xa1tica:", "automatikus v", "automatisk svar", "frav\xc3\xa6r", "i am out of",
	"i'm out of", "holiday",
	"\xd0\xb0\xd0\xb2\xd1\x82\xd0\xbe\xd0\xbe\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82",
	"\xd0\xb0\xd0\xb2\xd1\x82\xd0\xbe\xd0\xbc\xd0\xb0\xd1\x82\xd0\xb8\xd1\x87",
	"\xe8\x87\xaa\xe5\x8b\x95\xe5\xbf\x9c\xe7\xad\x94",
	"\xe8\x87\xaa\xe5\x8a\xa8\xe5\x9b\x9e\xe5\xa4\x8d",
	"\xe8\x87\xaa\xe5\x8b\x95\xe5\x9b\x9e\xe8\xa6\x86",
	"\xe8\x87\xaa\xe5\x8b\x95\xe8\xbf\x94\xe4\xbf\xa1", "[autoreply", "[auto-reply", "[auto" };

/* Behind "Re: ", in brackets, at the end. */
static const char *const auto_anywhere[] = { "autoreply", "auto-reply", "auto reply",
	"automatic reply", "autoresponder", "auto-responder", "auto response", "out of office",
	"out of the office", "out-of-office", "automatische antwort", "vacation reply",
	"vacation message", "vacation notice", "abwesenheitsnotiz", "r\xc3\xa9ponse automatique",
	"automatic response", "(away)", "i will be out" };

static const char *const auto_texts[] = { "out of the office", "out of office", "on vacation",
	"on holiday", "annual leave", "away from my", "automatic reply",
	"automatically generated reply", "automated response", "automated reply", "auto-reply",
	"autoreply", "auto reply", "auto response", "nicht im b\xc3\xbcro", "abwesen", "im urlaub",
	"je suis absent", "en vacances", "fuera de la oficina", "de vacaciones", "maternity leave",
	"do not reply to this", "thank you for your e", "thank you for contacting",
	"we have received your", "your message has been received", "no longer with",
	"no longer works", "left the company", "i will be away", "i am away", "vacation" };

static const char *const challenges[] = { "boxbe", "bluebottle", "spamarrest", "spam arrest",
	"challenge-response", "challenge/response", "confirm that you are human", "are a human",
	"verify that you are", "prove you are human", "you are a real person", "not a spammer",
	"added to my whitelist", "sender verification", "verify your email address so",
	"approved sender", "approved senders", "guest list", "click the link below to have your",
	"to have your message delivered", "in order for your message to be delivered",
	"for your email to be delivered", "requires verification", "confirmation required",
	"please confirm your message", "has not been delivered yet because you", "held pending",
	"one-time verification", "knowspam", "mailblocks", "vanquish", "cleanmymail",
	"uol antispam", "antispam uol", "tmda", "to release your message", "whitelist" };

bool
report_words_auto_subject(struct slice subject)
{
	return STARTS_ANY(subject, auto_starts) || HAS_ANY(subject, auto_anywhere);
}

bool
report_words_auto_text(struct slice text)
{
	return HAS_ANY(text, auto_texts);
}

bool
report_words_challenge(struct slice text)
{
	return HAS_ANY(text, challenges);
}

static const char *const forwards[] = { "fwd:", "fw:", "re:", "wg:", "aw:", "tr:", "rv:", "i:",
	"vs:", "enc:", "fwd :", "fw :", "re :", "forward:", "[fwd:" };

bool
report_words_forward_subject(struct slice subject)
{
	return STARTS_ANY(subject, forwards);
}
