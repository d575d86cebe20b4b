/* SPDX-License-Identifier: MIT */
#include "base/refusal.h"

#include <assert.h>

/* clang-format off */
static const struct pipit_refusal_entry entries[PIPIT_REFUSAL_COUNT] = {
	[PIPIT_REFUSAL_NONE] = { 0, "none", "" },
	[PIPIT_REFUSAL_REQUEST_LINE] = { 400, "request_line", "The request line must be METHOD SP target SP HTTP/1.1 CRLF." },
	[PIPIT_REFUSAL_METHOD_UNKNOWN] = { 501, "method_unknown", "The server does not know the request method." },
	[PIPIT_REFUSAL_METHOD_REFUSED] = { 405, "method_refused", "The server is not a proxy: it does not accept CONNECT." },
	[PIPIT_REFUSAL_TARGET] = { 400, "target", "The request target must be a valid path, an absolute URI or an asterisk." },
	[PIPIT_REFUSAL_TARGET_TOO_LONG] = { 414, "target_too_long", "The request target is too long." },
	[PIPIT_REFUSAL_SCHEME] = { 421, "scheme", "The connection is not encrypted: it cannot serve https URIs." },
	[PIPIT_REFUSAL_PLAIN_HTTP] = { 400, "plain_http", "This address serves https only, and the request is not encrypted." },
	[PIPIT_REFUSAL_VERSION] = { 505, "version", "The server supports HTTP/1.0 and HTTP/1.1 only." },
	[PIPIT_REFUSAL_FIELD_LINE] = { 400, "field_line", "Each header line must be NAME: VALUE CRLF." },
	[PIPIT_REFUSAL_FIELD_FOLDED] = { 400, "field_folded", "A header continues on another line, which RFC 9112 forbids." },
	[PIPIT_REFUSAL_HEAD_TOO_LARGE] = { 431, "head_too_large", "The request head is too large." },
	[PIPIT_REFUSAL_TOO_MANY_FIELDS] = { 431, "too_many_fields", "The request has too many headers." },
	[PIPIT_REFUSAL_FIELD_TOO_LARGE] = { 431, "field_too_large", "A header is too long." },
	[PIPIT_REFUSAL_HOST] = { 400, "host", "An HTTP/1.1 request must have exactly one valid Host header." },
	[PIPIT_REFUSAL_EXPECTATION] = { 417, "expectation", "The only supported expectation is 100-continue." },
	[PIPIT_REFUSAL_CONTENT_LENGTH] = { 400, "content_length", "Content-Length must be one decimal number, given once." },
	[PIPIT_REFUSAL_LENGTH_AND_CODING] = { 400, "length_and_coding",
	    "A request must not have both Content-Length and Transfer-Encoding." },
	[PIPIT_REFUSAL_CODING_WITHOUT_END] = { 400, "coding_without_end",
	    "The last transfer coding must be chunked, given once, in HTTP/1.1: nothing else shows where the body ends." },
	[PIPIT_REFUSAL_TRANSFER_CODING] = { 501, "transfer_coding", "The only supported transfer coding is chunked." },
	[PIPIT_REFUSAL_CHUNK] = { 400, "chunk", "The chunked body does not follow RFC 9112, section 7.1." },
	[PIPIT_REFUSAL_BODY_TOO_LARGE] = { 413, "body_too_large", "The request body is larger than this resource accepts." },
	[PIPIT_REFUSAL_HEAD_TIMEOUT] = { 408, "head_timeout", "The request head did not arrive in time." },
	[PIPIT_REFUSAL_BODY_TIMEOUT] = { 408, "body_timeout", "The request body did not arrive in time." },
	[PIPIT_REFUSAL_TOO_MANY_CONNECTIONS] = { 503, "too_many_connections", "All connections are in use; try again soon." },
	[PIPIT_REFUSAL_TOO_MANY_FROM_ADDRESS] = { 429, "too_many_from_address",
	    "Your address has reached its limit of open connections." },
	[PIPIT_REFUSAL_ADDRESS_DENIED] = { 403, "address_denied", "Your address may not request this resource." },
	[PIPIT_REFUSAL_RATE_LIMIT] = { 429, "rate_limit", "Your address has sent too many requests; try again later." },
	[PIPIT_REFUSAL_TOO_MANY_STREAMS] = { 503, "too_many_streams",
	    "The stream has reached its limit of clients; try again soon." },
	[PIPIT_REFUSAL_UNKNOWN_HOST] = { 421, "unknown_host", "This server does not answer to the name in the Host header." },
	[PIPIT_REFUSAL_FOREIGN_ORIGIN] = { 403, "foreign_origin", "A page of another origin may not send this request." },
	[PIPIT_REFUSAL_MEMORY_LIMIT] = { 503, "memory_limit", "The server has reached its memory limit; try again soon." },
	[PIPIT_REFUSAL_OUT_OF_MEMORY] = { 503, "out_of_memory", "The server is short of memory; try again soon." },
	[PIPIT_REFUSAL_PROXY_HEADER] = { 400, "proxy_header", "The connection must begin with a PROXY header." },
	[PIPIT_REFUSAL_UNTRUSTED_PROXY] = { 403, "untrusted_proxy", "Only trusted proxies may connect to this address." },
	[PIPIT_REFUSAL_EVHTTP] = { 500, "evhttp", "The server could not process the request." },
};
/* clang-format on */

const struct pipit_refusal_entry *pipit_refusal_entry(enum pipit_refusal reason)
{
	assert(reason >= 0 && reason < PIPIT_REFUSAL_COUNT);
	return &entries[reason];
}
