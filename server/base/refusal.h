/* SPDX-License-Identifier: MIT */
/*
 * The vocabulary of refusals: every reason for which pipit turns a request or a connection away by itself, with the status
 * it answers, the label it is counted under (http_rejected_total{reason}) and the sentence the client reads.
 */
#ifndef PIPIT_REASON_H
#define PIPIT_REASON_H

enum pipit_reason {
	PIPIT_REASON_NONE,
	/* request line, RFC 9112 §3 */
	PIPIT_REASON_REQUEST_LINE,
	PIPIT_REASON_METHOD_UNKNOWN,
	PIPIT_REASON_METHOD_REFUSED,
	PIPIT_REASON_TARGET,
	PIPIT_REASON_TARGET_TOO_LONG,
	PIPIT_REASON_SCHEME,
	PIPIT_REASON_VERSION,
	/* header fields, RFC 9112 §5 */
	PIPIT_REASON_FIELD_LINE,
	PIPIT_REASON_FIELD_FOLDED,
	PIPIT_REASON_HEAD_TOO_LARGE,
	PIPIT_REASON_TOO_MANY_FIELDS,
	PIPIT_REASON_FIELD_TOO_LARGE,
	PIPIT_REASON_HOST,
	PIPIT_REASON_EXPECTATION,
	/* framing, RFC 9112 §6 and §7 */
	PIPIT_REASON_CONTENT_LENGTH,
	PIPIT_REASON_LENGTH_AND_CODING,
	PIPIT_REASON_TRANSFER_CODING,
	PIPIT_REASON_CHUNK,
	PIPIT_REASON_BODY_TOO_LARGE,
	/* time */
	PIPIT_REASON_HEAD_TIMEOUT,
	PIPIT_REASON_BODY_TIMEOUT,
	/* the house */
	PIPIT_REASON_TOO_MANY_CONNECTIONS,
	PIPIT_REASON_TOO_MANY_FROM_ADDRESS,
	PIPIT_REASON_TOO_MANY_STREAMS,
	PIPIT_REASON_MEMORY_LIMIT,
	PIPIT_REASON_OUT_OF_MEMORY,
	PIPIT_REASON_EVHTTP,
	PIPIT_REASON_COUNT
};

struct pipit_reason_entry {
	int status;         /* what the client is answered; 0 for PIPIT_REASON_NONE */
	const char *label;  /* metric label, snake_case */
	const char *detail; /* one sentence for the client */
};

/* Never NULL for a reason of the enum. Static. */
const struct pipit_reason_entry *pipit_reason_entry(enum pipit_reason reason);

#endif
