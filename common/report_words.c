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

/* Gateways put "[EXTERNAL]", "***SPAM***" and "{Spam?}" before a subject. */
static struct slice
without_tags(struct slice s)
{
	s = slice_trim(s);
	for (int i = 0; i < 3 && s.len > 0 && memchr("[{*", s.p[0], 3) != NULL; i++) {
		size_t stars = 0, end;

		while (stars < s.len && s.p[stars] == '*')
			stars++;
		if (stars > 0)
			end = stars + slice_find(slice_skip(s, stars), '*');
		else
			end = slice_find(s, s.p[0] == '[' ? ']' : '}');
		if (end >= s.len || end > 24)
			break;
		while (end < s.len && memchr("]}* ", s.p[end], 4) != NULL)
			end++;
		s = slice_skip(s, end);
	}
	return s;
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
	"unzustellbar", "nicht zustellbar", "nicht zugestellt", "zustellung", "übermittlung",
	"fehlgeschlagen", "nicht ausgeliefert",
	/* French */
	"non distribu", "non remis", "non délivr", "échec de", "retour de courrier", "erreur",
	"impossible",
	/* Spanish, Portuguese, Italian */
	"no se pudo", "no se puede", "no entregad", "no se ha podido", "entrega", "não entregue",
	"não pôde", "falha", "mancato recapito", "non recapit", "mancata consegna", "impossibile",
	/* Dutch, Swedish, Danish, Norwegian, Finnish */
	"onbestelbaar", "niet bezorgd", "niet afgeleverd", "kunde inte", "olevererbar",
	"ikke leveres", "kunne ikke", "ej levererat", "toimittaa",
	/* Polish, Czech, Slovak, Hungarian, Turkish */
	"niedostarcz", "nie dostarczon", "zwrot", "nedoru", "nelze doru", "nie je mo", "kézbesít",
	"iletilemedi", "teslim",
	/* Russian, Ukrainian, Greek */
	"не достав", "недостав", "не может", "невозможно",
	/* Japanese, Chinese, Korean */
	"配信", "送信", "エラー", "退信", "投递", "失败", "传递", "送达", "退回", "退件", "传送",
	"반송", "실패" };

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
	"übermittelt werden",
	/* French */
	"distribu", "pas été remis", "pas été d", "a pas pu", "a pu être", "etre remis",
	"être remis", "delivr", "délivr", "bloqu",
	/* Spanish, Portuguese, Italian */
	"no se pudo", "no ha podido", "entregad", "entregar", "entregue", "no se ha podido",
	"recapitat", "consegn", "non è stato", "não foi poss",
	/* Dutch, Swedish, Danish, Norwegian */
	"bezorgd", "afgeleverd", "levereras", "levererat", "leveres", "leveret",
	/* Polish, Czech, Slovak, Hungarian, Turkish */
	"dostarcz", "doruč", "nebylo mo", "neexistuje", "kézbes", "teslim", "iletil",
	/* Russian */
	"доставл", "не может", "не существ",
	/* Japanese, Chinese, Korean */
	"配信", "送信でき", "配送", "届け", "送信に失", "エラー", "退信", "投递", "传递", "送达",
	"退回", "传送", "无法", "반송" };

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
	"temporar", "verzög", "retard" };

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
	"could not be delivered to", "address(es) failed", "addresses failed" };

/* Where "Warning" in the subject is the only hint at a delay. */
static const char *const final_texts[] = { "user unknown", "unknown user", "no such user",
	"does not exist", "not accepting mail", "not have been delivered", "not be delivered",
	"virus", "unacceptable attachment", "did not reach" };

/* The reject of a filter that answers as a reader would: Sieve (RFC 5429 section 2.2). */
static const char *const rejected_texts[] = { "was automatically rejected",
	"has been automatically rejected", "was rejected by the recipient",
	"message was refused by" };

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
report_words_final_text(struct slice text)
{
	return HAS_ANY(text, final_texts);
}

bool
report_words_rejected_text(struct slice text)
{
	return HAS_ANY(text, rejected_texts);
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
	"out-of-office", "on vacation", "i am on vacation", "away from my", "i am away", "i'm away",
	"abwesenheit", "abwesend", "nicht im b", "autom. antwort", "automatisch antwoord",
	"automatisch bericht", "afwezig", "absence du", "absent du", "réponse automatique",
	"reponse automatique", "message d'absence", "respuesta autom", "fuera de la oficina",
	"fuera de oficina", "risposta automatica", "fuori ufficio", "resposta autom",
	"fora do escrit", "autosvar", "automatiskt svar", "automaattinen", "automatyczna odpowied",
	"automatická odpov", "autorepl", "auto antwort", "automática:", "automatikus v",
	"automatisk svar", "fravær", "i am out of", "i'm out of", "автоответ", "автоматич",
	"自動応答", "自动回复", "自動回覆", "自動返信", "[autoreply", "[auto-reply", "[auto]" };

/* Behind "Re: ", in brackets, at the end. */
static const char *const auto_anywhere[] = { "autoreply", "auto-reply", "auto reply",
	"automatic reply", "autoresponder", "auto-responder", "auto response", "out of office",
	"out of the office", "out-of-office", "automatische antwort", "vacation reply",
	"vacation message", "vacation notice", "abwesenheitsnotiz", "réponse automatique",
	"automatic response", "(away)", "i will be out" };

static const char *const auto_texts[] = { "out of the office", "out of office", "on vacation",
	"on holiday", "annual leave", "away from my", "automatic reply",
	"automatically generated reply", "automated response", "automated reply", "auto-reply",
	"autoreply", "auto reply", "auto response", "nicht im büro", "abwesen", "im urlaub",
	"je suis absent", "en vacances", "fuera de la oficina", "de vacaciones", "maternity leave",

	"no longer with", "no longer works", "left the company", "i will be away", "i am away",
	"vacation" };

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
	return STARTS_ANY(subject, auto_starts) || STARTS_ANY(without_tags(subject), auto_starts) ||
	       HAS_ANY(subject, auto_anywhere);
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
	return STARTS_ANY(subject, forwards) || STARTS_ANY(without_tags(subject), forwards);
}
