/*
 * sevenbit.h - makes a message safe for every hop before it is signed.
 *
 * MTAs change what they can't pass on: Postfix turns 8-bit parts into
 * quoted-printable for a hop without 8BITMIME and breaks lines over 998 bytes
 * (RFC 5321 4.5.3.1.6), both after the signature. So it is done here first:
 *
 * - a leaf part with 8-bit bytes, NUL, a bare CR or a line over 998 bytes becomes
 *   quoted-printable (Content-Transfer-Encoding changed or added, MIME-Version
 *   added where the message had none); one that is quoted-printable or base64
 *   already is put right; the decoded bytes stay the same;
 * - the Content-Transfer-Encoding 8bit or binary of parts and of multiparts that
 *   hold only 7-bit content now is made true;
 * - parts inside message/rfc822 are done in place, the same way;
 * - header lines over 998 bytes are folded, at white space where there is some;
 *   8-bit bytes in headers stay;
 * - multipart/signed, multipart/encrypted, PKCS#7 and PGP/MIME parts are left
 *   alone, whatever they hold: their own signatures count.
 *
 * Bytes that need no change stay byte for byte, and a body's line ends stay what they are.
 */
#ifndef COMMON_SEVENBIT_H
#define COMMON_SEVENBIT_H

#include "common/message.h"

struct sevenbit_report {
	unsigned parts;   /* re-encoded */
	unsigned headers; /* folded */
	/*
	 * Something that may be changed on its way stays: in a signed part, in text outside of
	 * all parts, in what may not be encoded (RFC 2045 6.4: message/delivery-status, say, or
	 * a multipart without boundary), in broken base64 or an unknown encoding, controls in
	 * headers, a header name over 998 bytes, or a MIME structure over budget.
	 */
	bool unsafe;
};

/* True if something was changed. Linear in the size of the message; bounded depth and parts. */
bool sevenbit_make(struct message *m, struct sevenbit_report *report);

#endif
