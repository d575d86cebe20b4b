/* SPDX-License-Identifier: MIT */
/* The table behind refusal.h. */
#include "base/refusal.h"

#include <assert.h>

/* clang-format off */
static const struct pipit_refusal_entry entries[PIPIT_REFUSAL_COUNT] = {
	[PIPIT_REFUSAL_NONE] = { 0, "none", "" },
	[PIPIT_REFUSAL_REQUEST_LINE] = { 400, "request_line", "The request line is not METHOD SP target SP HTTP/1.1 CRLF." },
	[PIPIT_REFUSAL_METHOD_UNKNOWN] = { 501, "method_unknown", "The method is not one that this server knows." },
	[PIPIT_REFUSAL_METHOD_REFUSED] = { 405, "method_refused", "This server is not a proxy: CONNECT is not served." },
	[PIPIT_REFUSAL_TARGET] = { 400, "target", "The request target is not a valid path, absolute URI or asterisk." },
	[PIPIT_REFUSAL_TARGET_TOO_LONG] = { 414, "target_too_long", "The request target is longer than this server takes." },
	[PIPIT_REFUSAL_SCHEME] = { 421, "scheme", "This connection is not secured: it takes no requests for https URIs." },
	[PIPIT_REFUSAL_VERSION] = { 505, "version", "Only HTTP/1.0 and HTTP/1.1 are spoken here." },
	[PIPIT_REFUSAL_FIELD_LINE] = { 400, "field_line", "A header field line is not NAME: VALUE CRLF." },
	[PIPIT_REFUSAL_FIELD_FOLDED] = { 400, "field_folded", "A header field is folded over lines, which is obsolete." },
	[PIPIT_REFUSAL_HEAD_TOO_LARGE] = { 431, "head_too_large", "The header fields are larger than this server takes." },
	[PIPIT_REFUSAL_TOO_MANY_FIELDS] = { 431, "too_many_fields", "There are more header fields than this server takes." },
	[PIPIT_REFUSAL_FIELD_TOO_LARGE] = { 431, "field_too_large", "A header field is longer than this server takes." },
	[PIPIT_REFUSAL_HOST] = { 400, "host", "An HTTP/1.1 request carries exactly one valid Host field." },
	[PIPIT_REFUSAL_EXPECTATION] = { 417, "expectation", "The only expectation served is 100-continue." },
	[PIPIT_REFUSAL_CONTENT_LENGTH] = { 400, "content_length", "Content-Length is not one decimal number, given once." },
	[PIPIT_REFUSAL_LENGTH_AND_CODING] = { 400, "length_and_coding",
	    "Content-Length and Transfer-Encoding exclude each other." },
	[PIPIT_REFUSAL_TRANSFER_CODING] = { 501, "transfer_coding",
	    "The only transfer coding served is chunked, once, in HTTP/1.1." },
	[PIPIT_REFUSAL_CHUNK] = { 400, "chunk", "The chunked content is not framed as RFC 9112 section 7.1 has it." },
	[PIPIT_REFUSAL_BODY_TOO_LARGE] = { 413, "body_too_large", "The content is larger than this resource takes." },
	[PIPIT_REFUSAL_HEAD_TIMEOUT] = { 408, "head_timeout", "The request head did not arrive in time." },
	[PIPIT_REFUSAL_BODY_TIMEOUT] = { 408, "body_timeout", "The request content did not arrive in time." },
	[PIPIT_REFUSAL_TOO_MANY_CONNECTIONS] = { 503, "too_many_connections", "All connections are in use; try again soon." },
	[PIPIT_REFUSAL_TOO_MANY_FROM_ADDRESS] = { 429, "too_many_from_address",
	    "Your address has as many connections open as one address may have." },
	[PIPIT_REFUSAL_TOO_MANY_STREAMS] = { 503, "too_many_streams",
	    "As many clients follow this stream as may; try again soon." },
	[PIPIT_REFUSAL_MEMORY_LIMIT] = { 503, "memory_limit", "The server is holding as many bytes as it may; try again soon." },
	[PIPIT_REFUSAL_OUT_OF_MEMORY] = { 503, "out_of_memory", "The server is short of memory; try again soon." },
	[PIPIT_REFUSAL_EVHTTP] = { 500, "evhttp", "The server could not process the request." },
};
/* clang-format on */

const struct pipit_refusal_entry *pipit_refusal_entry(enum pipit_refusal reason)
{
	assert(reason >= 0 && reason < PIPIT_REFUSAL_COUNT);
	return &entries[reason];
}
