/*
 * report_words.h - how machines that send reports, and people's vacation programs, call
 * themselves and put it, in the languages they speak.
 *
 * All texts that are asked about are in lower case (ASCII letters; UTF-8 otherwise as it is).
 */
#ifndef COMMON_REPORT_WORDS_H
#define COMMON_REPORT_WORDS_H

#include "common/slice.h"

/* The local part of a mail system: "mailer-daemon", "postmaster". */
bool report_words_daemon(struct slice local);
/* Its name: "Mail Delivery Subsystem". */
bool report_words_system(struct slice display_name);

bool report_words_bounce_subject(struct slice subject);
bool report_words_bounce_text(struct slice text);
bool report_words_delay_subject(struct slice subject);
bool report_words_delay_text(struct slice text);
bool report_words_failure_text(struct slice text);  /* for good */
bool report_words_final_text(struct slice text);    /* says so without the words for it */
bool report_words_rejected_text(struct slice text); /* by the recipient's own filter */

bool report_words_auto_subject(struct slice subject);
bool report_words_auto_text(struct slice text);
bool report_words_challenge(struct slice text);
/* "Fwd: ...", "Re: ...": a person passes something on. */
bool report_words_forward_subject(struct slice subject);

#endif
