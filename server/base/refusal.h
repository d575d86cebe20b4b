/* SPDX-License-Identifier: MIT */
/*
 * Every reason for which pipit refuses a request or a connection by itself: the status of the reply, the label in
 * http_rejected_total{reason}, and the text for the client.
 */
#ifndef PIPIT_REFUSAL_H
#define PIPIT_REFUSAL_H

enum pipit_refusal {
	PIPIT_REFUSAL_NONE,
	/* request line, RFC 9112 §3 */
	PIPIT_REFUSAL_REQUEST_LINE,
	PIPIT_REFUSAL_METHOD_UNKNOWN,
	PIPIT_REFUSAL_METHOD_REFUSED,
	PIPIT_REFUSAL_TARGET,
	PIPIT_REFUSAL_TARGET_TOO_LONG,
	PIPIT_REFUSAL_SCHEME,
	PIPIT_REFUSAL_VERSION,
	/* headers, RFC 9112 §5 */
	PIPIT_REFUSAL_FIELD_LINE,
	PIPIT_REFUSAL_FIELD_FOLDED,
	PIPIT_REFUSAL_HEAD_TOO_LARGE,
	PIPIT_REFUSAL_TOO_MANY_FIELDS,
	PIPIT_REFUSAL_FIELD_TOO_LARGE,
	PIPIT_REFUSAL_HOST,
	PIPIT_REFUSAL_EXPECTATION,
	/* framing, RFC 9112 §6 and §7 */
	PIPIT_REFUSAL_CONTENT_LENGTH,
	PIPIT_REFUSAL_LENGTH_AND_CODING,
	PIPIT_REFUSAL_TRANSFER_CODING,
	PIPIT_REFUSAL_CHUNK,
	PIPIT_REFUSAL_BODY_TOO_LARGE,
	/* deadlines */
	PIPIT_REFUSAL_HEAD_TIMEOUT,
	PIPIT_REFUSAL_BODY_TIMEOUT,
	/* limits of the server */
	PIPIT_REFUSAL_TOO_MANY_CONNECTIONS,
	PIPIT_REFUSAL_TOO_MANY_FROM_ADDRESS,
	PIPIT_REFUSAL_TOO_MANY_STREAMS,
	PIPIT_REFUSAL_MEMORY_LIMIT,
	PIPIT_REFUSAL_OUT_OF_MEMORY,
	PIPIT_REFUSAL_EVHTTP,
	PIPIT_REFUSAL_COUNT
};

struct pipit_refusal_entry {
	int status;         /* of the reply; 0 for PIPIT_REFUSAL_NONE */
	const char *label;  /* metric label, snake_case */
	const char *detail; /* one sentence, the "detail" of the problem document */
};

/* Never NULL. Static. */
const struct pipit_refusal_entry *pipit_refusal_entry(enum pipit_refusal reason);

#endif
