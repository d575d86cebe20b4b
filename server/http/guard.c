/* SPDX-License-Identifier: MIT */
#include "http/guard.h"

#include "base/bytes.h"
#include "base/methods.h"
#include "base/percent.h"
#include "pipit.h"

#include <arpa/inet.h>

/* Longer tokens are refused before their end arrives. */
#define METHOD_BYTES_MAX 32
/* Per message: extensions are not used, but cost CPU time. */
#define EXTENSION_BYTES_MAX 4096

enum {
	TOKEN = 1,  /* tchar, RFC 9110 §5.6.2 */
	TARGET = 2, /* allowed in a target, except '%' and '?' */
	HOST = 4,   /* reg-name without '%', RFC 3986 §3.2.2 */
};

/*
 * TARGET and '?': visible ASCII except '#' and '%'. RFC 3986 forbids "<>\^`{|}, but browsers send some in queries (URL
 * Standard), and none is ambiguous.
 */
/* clang-format off */
#define ALNUM (TOKEN | TARGET | HOST)
static const unsigned char classes[256] = {
	['!'] = TOKEN | TARGET | HOST, ['"'] = TARGET, ['#'] = TOKEN, ['$'] = TOKEN | TARGET | HOST, ['%'] = TOKEN,
	['&'] = TOKEN | TARGET | HOST, ['\''] = TOKEN | TARGET | HOST, ['('] = TARGET | HOST, [')'] = TARGET | HOST,
	['*'] = TOKEN | TARGET | HOST, ['+'] = TOKEN | TARGET | HOST, [','] = TARGET | HOST, ['-'] = TOKEN | TARGET | HOST,
	['.'] = TOKEN | TARGET | HOST, ['/'] = TARGET, ['0' ... '9'] = ALNUM, [':'] = TARGET, [';'] = TARGET | HOST,
	['<'] = TARGET, ['='] = TARGET | HOST, ['>'] = TARGET, ['@'] = TARGET, ['A' ... 'Z'] = ALNUM,
	 ['['] = TARGET, ['\\'] = TARGET, [']'] = TARGET, ['^'] = TOKEN | TARGET,
	['_'] = TOKEN | TARGET | HOST, ['`'] = TOKEN | TARGET, ['a' ... 'z'] = ALNUM,
	['{'] = TARGET, ['|'] = TOKEN | TARGET, ['}'] = TARGET, ['~'] = TOKEN | TARGET | HOST,
};
/* clang-format on */

static unsigned char classes_of(char c)
{
	return classes[(unsigned char)c];
}

static bool is(char c, unsigned char class)
{
	return classes_of(c) & class;
}

static inline const char *skip(const char *at, const char *end, unsigned char class)
{
	while (end - at >= 4 && classes_of(at[0]) & classes_of(at[1]) & classes_of(at[2]) & classes_of(at[3]) & class)
		at += 4;
	while (at < end && is(*at, class))
		at++;
	return at;
}

/* RFC 9110 §5.5 */
static bool is_field_char(char c)
{
	unsigned char byte = (unsigned char)c;
	return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

/* What Transfer-Encoding has said so far. */
enum coding { CODING_NONE, CODING_CHUNKED, CODING_CHUNKED_LAST /* of several */, CODING_WITHOUT_END };

struct parser {
	const char *start;
	const char *at;
	const char *end;
	const struct pipit_guard_limits *limits;
	uint32_t max_fields;
	size_t max_field_bytes; /* SIZE_MAX: no limit */
	struct pipit_guard_head *head;
	enum pipit_refusal reason;
	const struct pipit_guard_field *host;
	bool has_length;
	enum coding coding;
	bool close, keep_alive;
	bool expectation_unknown;
	bool wants_security;
};

static uint32_t max_fields(const struct pipit_guard_limits *limits)
{
	return limits->max_fields && limits->max_fields < PIPIT_GUARD_FIELDS_MAX ? limits->max_fields
										 : PIPIT_GUARD_FIELDS_MAX;
}

static struct parser new_parser(const char *bytes, size_t length, const struct pipit_guard_limits *limits)
{
	return (struct parser){
		.at = bytes,
		.end = bytes + length,
		.limits = limits,
		.max_fields = max_fields(limits),
		.max_field_bytes = limits->max_field_bytes ? limits->max_field_bytes : SIZE_MAX,
	};
}

static enum pipit_guard_verdict reject(struct parser *parser, enum pipit_refusal reason)
{
	parser->reason = reason;
	return PIPIT_GUARD_REJECT;
}

static uint32_t offset_of(const struct parser *parser, const char *at)
{
	return (uint32_t)(at - parser->start);
}

/* --- request line: RFC 9112 §3 ------------------------------------------------------------------------------------ */

#define METHOD_CONNECT (1u << 31)

static unsigned method_of(struct pipit_slice name)
{
	unsigned method = pipit_methods_find(name);
	if (method)
		return method;
	return pipit_slice_equals(name, "CONNECT") ? METHOD_CONNECT : 0;
}

/* An unknown method is refused after a valid head: garbage gets 400, not 501. */
static enum pipit_guard_verdict parse_method(struct parser *parser)
{
	const char *at = parser->at;
	if (parser->end - at >= 4 && memcmp(at, "GET ", 4) == 0) {
		parser->head->method_length = 3;
		parser->head->method = PIPIT_GET;
		parser->at = at + 4;
		return PIPIT_GUARD_PASS;
	}
	while (at < parser->end && is(*at, TOKEN))
		at++;
	if (at - parser->at > METHOD_BYTES_MAX)
		return reject(parser, PIPIT_REFUSAL_METHOD_UNKNOWN);
	if (at == parser->end)
		return PIPIT_GUARD_MORE;
	if (*at != ' ' || at == parser->at)
		return reject(parser, PIPIT_REFUSAL_REQUEST_LINE);
	parser->head->method_length = offset_of(parser, at);
	parser->head->method = method_of((struct pipit_slice){ parser->at, (size_t)(at - parser->at) });
	parser->at = at + 1;
	return PIPIT_GUARD_PASS;
}

/* IPvFuture is refused: no version is defined. */
static bool is_ipv6(const char *text, size_t length)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr bytes;
	if (length >= sizeof address)
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	return inet_pton(AF_INET6, address, &bytes) == 1;
}

/* RFC 3986 §3.2. Host may be empty (RFC 9112 §3.2). */
static bool is_host(struct pipit_slice host)
{
	const char *at = host.data, *end = host.data + host.length;
	unsigned port = 0;
	if (at < end && *at == '[') {
		const char *address = ++at;
		while (at < end && (pipit_bytes_hex_value(*at) >= 0 || *at == ':' || *at == '.'))
			at++;
		if (at == end || *at != ']' || !is_ipv6(address, (size_t)(at - address)))
			return false;
		at++;
	} else {
		/* a port needs a host (RFC 9110 §4.2.1) */
		if (at < end && *at == ':')
			return false;
		for (;;) {
			at = skip(at, end, HOST);
			if (at == end || *at == ':')
				break;
			if (!pipit_percent_is_escape(at, end))
				return false;
			at += 3;
		}
	}
	if (at == end)
		return true;
	if (*at++ != ':')
		return false;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		port = port * 10 + (unsigned)(*at - '0');
		if (port > 65535)
			return false;
	}
	return true;
}

/* For "http://host", the last slash of "://" is the path. */
static bool split_absolute(struct parser *parser, const char *authority, const char *end)
{
	struct pipit_guard_head *head = parser->head;
	const char *at = authority;
	while (at < end && *at != '/' && *at != '?')
		at++;
	/* an http URI has a host (RFC 9110 §4.2.1) */
	if (at == authority || *authority == ':' ||
	    !is_host((struct pipit_slice){ authority, (size_t)(at - authority) }))
		return false;
	head->host = offset_of(parser, authority);
	head->host_length = (uint32_t)(at - authority);
	head->path = offset_of(parser, at < end && *at == '/' ? at : authority - 1);
	return true;
}

/* RFC 9112 §3.2. CONNECT, with authority-form, is refused. */
static bool split_target(struct parser *parser, const char *target, const char *end)
{
	struct pipit_guard_head *head = parser->head;
	struct pipit_slice whole = { target, (size_t)(end - target) };
	const char *path_end;

	if (head->method == METHOD_CONNECT)
		return true;
	if (*target == '/') {
		head->path = offset_of(parser, target);
	} else if (pipit_slice_equals(whole, "*")) {
		head->path = offset_of(parser, target);
		head->path_length = 1;
		return head->method == PIPIT_OPTIONS;
	} else if (whole.length > 7 && strncasecmp(target, "http://", 7) == 0) {
		if (!split_absolute(parser, target + 7, end))
			return false;
	} else if (whole.length > 8 && strncasecmp(target, "https://", 8) == 0) {
		/* the client expects TLS (RFC 9110 §7.4) */
		parser->wants_security = true;
		if (!split_absolute(parser, target + 8, end))
			return false;
	} else {
		return false;
	}
	if (head->query) {
		head->query_length = offset_of(parser, end) - head->query;
		path_end = parser->start + head->query - 1;
	} else {
		path_end = end;
	}
	head->path_length = head->host && head->path < head->host ? 1 : offset_of(parser, path_end) - head->path;
	return true;
}

static enum pipit_guard_verdict parse_target(struct parser *parser)
{
	const char *at = parser->at, *end = parser->end;
	uint32_t limit = parser->limits->max_target_bytes;

	for (;;) {
		at = skip(at, end, TARGET);
		if (limit && (size_t)(at - parser->at) > limit)
			return reject(parser, PIPIT_REFUSAL_TARGET_TOO_LONG);
		if (at == end)
			return PIPIT_GUARD_MORE;
		if (*at == '?') {
			at++;
			if (!parser->head->query)
				parser->head->query = offset_of(parser, at);
			continue;
		}
		if (*at != '%')
			break;
		if (end - at < 3)
			return PIPIT_GUARD_MORE;
		if (pipit_percent_is_escape(at, end)) {
			/* %00 would end the C strings of evhttp and handlers. */
			if (at[1] == '0' && at[2] == '0')
				return reject(parser, PIPIT_REFUSAL_TARGET);
			at += 3;
		} else if (parser->head->query) {
			/* browsers send the query as it was typed */
			at++;
		} else {
			return reject(parser, PIPIT_REFUSAL_TARGET);
		}
	}
	if (*at != ' ')
		return reject(parser, *at == '\r' || *at == '\n' ? PIPIT_REFUSAL_REQUEST_LINE : PIPIT_REFUSAL_TARGET);
	if (at == parser->at)
		return reject(parser, PIPIT_REFUSAL_REQUEST_LINE);
	parser->head->target = offset_of(parser, parser->at);
	parser->head->target_length = (uint32_t)(at - parser->at);
	if (!split_target(parser, parser->at, at))
		return reject(parser, PIPIT_REFUSAL_TARGET);
	parser->at = at + 1;
	return PIPIT_GUARD_PASS;
}

/* Minor versions above 1 are answered as 1.1 (RFC 9110 §6.2). */
static enum pipit_guard_verdict parse_version(struct parser *parser)
{
	static const char form[] = "HTTP/d.d\r\n", usual[] = "HTTP/1.1\r\n";
	size_t available = (size_t)(parser->end - parser->at), i;

	if (available >= sizeof usual - 1 && memcmp(parser->at, usual, sizeof usual - 1) == 0) {
		parser->head->minor = 1;
		parser->at += sizeof usual - 1;
		return PIPIT_GUARD_PASS;
	}
	for (i = 0; i < sizeof form - 1 && i < available; i++) {
		char c = parser->at[i];
		if (form[i] == 'd' ? c < '0' || c > '9' : c != form[i])
			return reject(parser, PIPIT_REFUSAL_REQUEST_LINE);
	}
	if (i < sizeof form - 1)
		return PIPIT_GUARD_MORE;
	if (parser->at[5] != '1')
		return reject(parser, PIPIT_REFUSAL_VERSION);
	parser->head->minor = parser->at[7] == '0' ? 0 : 1;
	parser->at += sizeof form - 1;
	return PIPIT_GUARD_PASS;
}

static enum pipit_guard_verdict parse_request_line(struct parser *parser)
{
	enum pipit_guard_verdict verdict = parse_method(parser);
	if (verdict == PIPIT_GUARD_PASS)
		verdict = parse_target(parser);
	if (verdict == PIPIT_GUARD_PASS)
		verdict = parse_version(parser);
	return verdict;
}

/* --- headers: RFC 9112 §5 ----------------------------------------------------------------------------------------- */

static inline const char *skip_value(const char *at, const char *end)
{
	while (end - at >= 8) {
		uint64_t marks = pipit_bytes_outside(pipit_bytes_load(at), ' ', '~');
		if (!marks) {
			at += 8;
			continue;
		}
		at += pipit_bytes_first(marks);
		if (*at == '\r' || !is_field_char(*at))
			return at;
		at++;
	}
	while (at < end && is_field_char(*at))
		at++;
	return at;
}

const char *pipit_guard_skip_value(const char *at, const char *end)
{
	return skip_value(at, end);
}

static const char *skip_token(const char *at, const char *end)
{
	while (end - at >= 8) {
		uint64_t word = pipit_bytes_load(at);
		uint64_t others =
		    pipit_bytes_outside(word | PIPIT_BYTES_EACH(0x20u), 'a', 'z') & ~pipit_bytes_equal_each(word, '-');
		if (!others) {
			at += 8;
			continue;
		}
		at += pipit_bytes_first(others);
		if (!is(*at, TOKEN))
			return at;
		at++;
	}
	while (at < end && is(*at, TOKEN))
		at++;
	return at;
}

bool pipit_guard_is_token(struct pipit_slice text)
{
	size_t i = 0;
	while (i < text.length && is(text.data[i], TOKEN))
		i++;
	return i > 0 && i == text.length;
}

static inline bool read_length(struct pipit_slice value, uint64_t *length)
{
	uint64_t number = 0;
	if (value.length == 0 || value.length > 18)
		return false;
	for (size_t i = 0; i < value.length; i++) {
		if (!pipit_bytes_is_digit(value.data[i]))
			return false;
		number = number * 10 + (uint64_t)(value.data[i] - '0');
	}
	*length = number;
	return true;
}

bool pipit_guard_read_length(struct pipit_slice value, uint64_t *length)
{
	return read_length(value, length);
}

/* Refuses a second header even with the same value: a proxy may have used the other. */
static bool take_content_length(struct parser *parser, struct pipit_slice value)
{
	if (parser->has_length || !read_length(value, &parser->head->content_length))
		return false;
	parser->has_length = true;
	return true;
}

/* RFC 9110 §7.6.1 */
static void take_connection(struct parser *parser, struct pipit_slice value)
{
	struct pipit_slice option;
	while (pipit_slice_next_member(&value, &option)) {
		if (pipit_slice_equals_nocase(option, "close"))
			parser->close = true;
		else if (pipit_slice_equals_nocase(option, "keep-alive"))
			parser->keep_alive = true;
	}
}

/* RFC 9110 §10.1.1 */
static void take_expect(struct parser *parser, struct pipit_slice value)
{
	struct pipit_slice member;
	while (pipit_slice_next_member(&value, &member)) {
		if (pipit_slice_equals_nocase(member, "100-continue"))
			parser->head->expect_continue = true;
		else
			parser->expectation_unknown = true;
	}
}

/* Of equal length. With 0x20 set, of token characters only letters become letters, only '-' becomes '-'. */
static bool is_named(struct pipit_slice name, const char *lower)
{
	size_t i = 0;
	while (i < name.length && (name.data[i] | 0x20) == lower[i])
		i++;
	return i == name.length;
}

/*
 * "chunked" alone, or a list whose last member is chunked, given once, is the only coding that shows where the body ends (RFC 9112 §6.3).
 * The list may continue in further fields. Inlined, it would cost requests without it instructions.
 */
__attribute__((noinline)) static void take_coding(struct parser *parser, struct pipit_slice value)
{
	struct pipit_slice member;

	if (parser->coding == CODING_NONE && pipit_slice_equals_nocase(value, "chunked")) {
		parser->coding = CODING_CHUNKED;
		return;
	}
	/* A further field, even an empty one, is refused. */
	if (parser->coding == CODING_CHUNKED)
		parser->coding = CODING_CHUNKED_LAST;
	while (pipit_slice_next_member(&value, &member)) {
		bool follows_chunked = parser->coding == CODING_CHUNKED_LAST;
		bool is_chunked = pipit_slice_equals_nocase(member, "chunked");
		parser->coding = is_chunked && !follows_chunked ? CODING_CHUNKED_LAST : CODING_WITHOUT_END;
	}
	if (parser->coding == CODING_NONE)
		parser->coding = CODING_WITHOUT_END;
}

static enum pipit_refusal take_field(struct parser *parser, const struct pipit_guard_field *field)
{
	struct pipit_slice name = pipit_guard_slice(parser->head, field->name, field->name_length);
	struct pipit_slice value = pipit_guard_slice(parser->head, field->value, field->value_length);

	switch (name.length) {
	case 4:
		if (!is_named(name, "host"))
			break;
		if (parser->host || !is_host(value))
			return PIPIT_REFUSAL_HOST;
		parser->host = field;
		break;
	case 6:
		if (is_named(name, "expect"))
			take_expect(parser, value);
		break;
	case 10:
		if (is_named(name, "connection"))
			take_connection(parser, value);
		break;
	case 14:
		if (is_named(name, "content-length") && !take_content_length(parser, value))
			return PIPIT_REFUSAL_CONTENT_LENGTH;
		break;
	case 17:
		if (!is_named(name, "transfer-encoding"))
			break;
		take_coding(parser, value);
		break;
	}
	return PIPIT_REFUSAL_NONE;
}

/* Before the syntax: the answer must not depend on how much has arrived. */
static bool is_too_large(const struct parser *parser, const char *name, const char *at)
{
	return (size_t)(at - name) > parser->max_field_bytes;
}

static enum pipit_guard_verdict parse_field(struct parser *parser)
{
	const char *at = parser->at, *end = parser->end, *name = at, *colon, *value;
	struct pipit_guard_head *head = parser->head;
	struct pipit_guard_field *field;
	enum pipit_refusal reason;

	if (pipit_slice_is_blank(*at))
		return reject(parser, PIPIT_REFUSAL_FIELD_FOLDED);
	at = skip_token(at, end);
	if (is_too_large(parser, name, at))
		return reject(parser, PIPIT_REFUSAL_FIELD_TOO_LARGE);
	if (at == end)
		return PIPIT_GUARD_MORE;
	/* "Content-Length : 5" is another header for some recipients (RFC 9112 §5.1). */
	if (*at != ':' || at == name)
		return reject(parser, PIPIT_REFUSAL_FIELD_LINE);
	colon = at;
	value = colon + 1;
	while (value < end && pipit_slice_is_blank(*value))
		value++;
	at = skip_value(value, end);
	if (is_too_large(parser, name, at))
		return reject(parser, PIPIT_REFUSAL_FIELD_TOO_LARGE);
	if (at == end || at + 1 == end)
		return at == end || *at == '\r' ? PIPIT_GUARD_MORE : reject(parser, PIPIT_REFUSAL_FIELD_LINE);
	if (at[0] != '\r' || at[1] != '\n')
		return reject(parser, PIPIT_REFUSAL_FIELD_LINE);
	if (head->field_count == parser->max_fields)
		return reject(parser, PIPIT_REFUSAL_TOO_MANY_FIELDS);

	parser->at = at + 2;
	while (at > value && pipit_slice_is_blank(at[-1]))
		at--;
	field = &head->fields[head->field_count++];
	field->name = offset_of(parser, name);
	field->name_length = (uint32_t)(colon - name);
	field->value = offset_of(parser, value);
	field->value_length = (uint32_t)(at - value);
	reason = take_field(parser, field);
	return reason == PIPIT_REFUSAL_NONE ? PIPIT_GUARD_PASS : reject(parser, reason);
}

static enum pipit_guard_verdict parse_fields(struct parser *parser)
{
	for (;;) {
		enum pipit_guard_verdict verdict;
		if (parser->at == parser->end)
			return PIPIT_GUARD_MORE;
		if (*parser->at == '\r') {
			if (parser->at + 1 == parser->end)
				return PIPIT_GUARD_MORE;
			if (parser->at[1] != '\n')
				return reject(parser, PIPIT_REFUSAL_FIELD_LINE);
			parser->at += 2;
			return PIPIT_GUARD_PASS;
		}
		verdict = parse_field(parser);
		if (verdict != PIPIT_GUARD_PASS)
			return verdict;
	}
}

/* --- framing ------------------------------------------------------------------------------------------------------ */

/* Refuse rather than choose one length: a proxy may have chosen the other (RFC 9112 §6.3). */
static enum pipit_refusal judge_framing(struct parser *parser)
{
	struct pipit_guard_head *head = parser->head;
	if (parser->coding != CODING_NONE && parser->has_length)
		return PIPIT_REFUSAL_LENGTH_AND_CODING;
	if (parser->coding != CODING_NONE) {
		/* HTTP/1.0 has no transfer codings (RFC 9112 §6.1). */
		if (parser->coding == CODING_WITHOUT_END || head->minor == 0)
			return PIPIT_REFUSAL_CODING_WITHOUT_END;
		if (parser->coding != CODING_CHUNKED)
			return PIPIT_REFUSAL_TRANSFER_CODING;
		head->framing = PIPIT_FRAMING_CHUNKED;
	} else if (head->content_length > 0) {
		head->framing = PIPIT_FRAMING_LENGTH;
	}
	return PIPIT_REFUSAL_NONE;
}

static enum pipit_refusal judge_head(struct parser *parser)
{
	struct pipit_guard_head *head = parser->head;
	enum pipit_refusal reason;

	if (head->minor >= 1 && !parser->host)
		return PIPIT_REFUSAL_HOST;
	reason = judge_framing(parser);
	if (reason != PIPIT_REFUSAL_NONE)
		return reason;
	if (parser->wants_security && !parser->limits->is_https)
		return PIPIT_REFUSAL_SCHEME;
	/* the authority of an absolute target replaces Host (RFC 9112 §3.2.2) */
	if (parser->host && !head->host) {
		head->host = parser->host->value;
		head->host_length = parser->host->value_length;
	}
	if (head->method == METHOD_CONNECT || head->method == 0) {
		bool is_connect = head->method == METHOD_CONNECT;
		head->method = 0;
		return is_connect ? PIPIT_REFUSAL_METHOD_REFUSED : PIPIT_REFUSAL_METHOD_UNKNOWN;
	}
	/* expectations of HTTP/1.0 clients are ignored (RFC 9110 §10.1.1) */
	if (head->minor == 0)
		head->expect_continue = false;
	else if (parser->expectation_unknown)
		return PIPIT_REFUSAL_EXPECTATION;
	head->keep_alive = !parser->close && (head->minor >= 1 || parser->keep_alive);
	return PIPIT_REFUSAL_NONE;
}

/* Not the array of headers: clearing it costs more than parsing a short head. */
static void clear_head(struct pipit_guard_head *head, const char *bytes)
{
	memset(head, 0, offsetof(struct pipit_guard_head, fields));
	head->bytes = bytes;
}

static enum pipit_guard_verdict parse_head(struct parser *parser)
{
	enum pipit_guard_verdict verdict;
	enum pipit_refusal reason;
	uint32_t limit = parser->limits->max_head_bytes;

	/* The answer must not depend on how the bytes arrive. */
	if (limit && (size_t)(parser->end - parser->start) > limit)
		parser->end = parser->start + limit + 1;
	verdict = parse_request_line(parser);
	if (verdict == PIPIT_GUARD_PASS)
		verdict = parse_fields(parser);
	if (verdict == PIPIT_GUARD_REJECT)
		return verdict;
	if (limit && offset_of(parser, verdict == PIPIT_GUARD_PASS ? parser->at : parser->end) > limit)
		return reject(parser, PIPIT_REFUSAL_HEAD_TOO_LARGE);
	if (verdict == PIPIT_GUARD_MORE)
		return verdict;
	parser->head->length = offset_of(parser, parser->at);
	reason = judge_head(parser);
	return reason == PIPIT_REFUSAL_NONE ? PIPIT_GUARD_PASS : reject(parser, reason);
}

static bool only_a_field_has_grown(
    const char *bytes, size_t length, size_t checked, const struct pipit_guard_limits *limits)
{
	const char *last = memrchr(bytes, '\n', length);
	struct parser parser = new_parser(bytes, length, limits);

	/* the request line is incomplete */
	if (!last || last < bytes + 2 || last >= bytes + checked)
		return false;
	if (limits->max_head_bytes && length > limits->max_head_bytes)
		return false;
	parser.at = last + 1;
	return parse_fields(&parser) == PIPIT_GUARD_MORE;
}

enum pipit_guard_verdict pipit_guard_head(const char *bytes, size_t length, size_t *checked,
    const struct pipit_guard_limits *limits, struct pipit_guard_head *head, size_t *consumed,
    enum pipit_refusal *reason)
{
	struct parser parser = new_parser(bytes, length, limits);
	enum pipit_guard_verdict verdict;

	if (*checked && only_a_field_has_grown(bytes, length, *checked, limits)) {
		*checked = length;
		return PIPIT_GUARD_MORE;
	}
	if (length >= 1 && bytes[0] == '\r') {
		clear_head(head, bytes);
		if (length >= 2 && bytes[1] != '\n') {
			*reason = PIPIT_REFUSAL_REQUEST_LINE;
			return PIPIT_GUARD_REJECT;
		}
		parser.at += length >= 2 ? 2 : 1;
	}
	parser.start = parser.at;
	parser.head = head;
	clear_head(head, parser.start);
	verdict = parse_head(&parser);
	if (verdict == PIPIT_GUARD_MORE)
		*checked = length;
	else if (verdict == PIPIT_GUARD_PASS)
		*consumed = (size_t)(parser.at - bytes);
	else
		*reason = parser.reason;
	if (verdict == PIPIT_GUARD_REJECT && head->method > PIPIT_ANY)
		head->method = 0;
	return verdict;
}

const struct pipit_guard_field *pipit_guard_find(const struct pipit_guard_head *head, const char *name)
{
	return pipit_guard_find_next(head, name, NULL);
}

const struct pipit_guard_field *pipit_guard_find_next(
    const struct pipit_guard_head *head, const char *name, const struct pipit_guard_field *behind)
{
	size_t length = strlen(name);
	for (uint32_t i = behind ? (uint32_t)(behind - head->fields) + 1 : 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		if (field->name_length == length && strncasecmp(head->bytes + field->name, name, length) == 0)
			return field;
	}
	return NULL;
}

/* --- chunked body: RFC 9112 §7.1 ---------------------------------------------------------------------------------- */

enum chunked_state {
	SIZE,
	BEFORE_EXTENSION, /* white space before ';' */
	EXTENSION_START,
	EXTENSION_NAME,
	EXTENSION_AFTER_NAME,
	EXTENSION_VALUE_START,
	EXTENSION_VALUE,
	EXTENSION_QUOTED,
	EXTENSION_QUOTED_PAIR,
	EXTENSION_END,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_START,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	BROKEN
};

static enum chunked_state after_size(char c, uint8_t digits)
{
	if (digits == 0)
		return BROKEN;
	return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION_START : pipit_slice_is_blank(c) ? BEFORE_EXTENSION : BROKEN;
}

/* RFC 9112 §7.1.1 */
static enum chunked_state next_in_extension(enum chunked_state state, char c)
{
	bool is_space = pipit_slice_is_blank(c);
	switch (state) {
	case BEFORE_EXTENSION:
		return is_space ? state : c == ';' ? EXTENSION_START : BROKEN;
	case EXTENSION_START:
		return is_space ? state : is(c, TOKEN) ? EXTENSION_NAME : BROKEN;
	case EXTENSION_NAME:
		if (is(c, TOKEN))
			return state;
		/* fall through */
	case EXTENSION_AFTER_NAME:
		if (c == '=')
			return EXTENSION_VALUE_START;
		if (is_space)
			return EXTENSION_AFTER_NAME;
		return c == '\r' && state == EXTENSION_NAME ? SIZE_LF : c == ';' ? EXTENSION_START : BROKEN;
	case EXTENSION_VALUE_START:
		return is_space ? state : c == '"' ? EXTENSION_QUOTED : is(c, TOKEN) ? EXTENSION_VALUE : BROKEN;
	case EXTENSION_VALUE:
		if (is(c, TOKEN))
			return state;
		return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION_START : is_space ? BEFORE_EXTENSION : BROKEN;
	case EXTENSION_QUOTED:
		return c == '"' ? EXTENSION_END : c == '\\' ? EXTENSION_QUOTED_PAIR : is_field_char(c) ? state : BROKEN;
	case EXTENSION_QUOTED_PAIR:
		return is_field_char(c) ? EXTENSION_QUOTED : BROKEN;
	case EXTENSION_END:
		return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION_START : is_space ? BEFORE_EXTENSION : BROKEN;
	default:
		return BROKEN;
	}
}

static enum chunked_state next_in_trailer(enum chunked_state state, char c)
{
	switch (state) {
	case TRAILER_START:
		return c == '\r' ? END_LF : is(c, TOKEN) ? TRAILER_NAME : BROKEN;
	case TRAILER_NAME:
		return c == ':' ? TRAILER_VALUE : is(c, TOKEN) ? state : BROKEN;
	case TRAILER_VALUE:
		return c == '\r' ? TRAILER_LF : is_field_char(c) ? state : BROKEN;
	default:
		return c == '\n' ? TRAILER_START : BROKEN;
	}
}

static enum chunked_state next_state(struct pipit_guard_chunked *chunked, char c)
{
	enum chunked_state state = (enum chunked_state)chunked->state;
	int digit;
	switch (state) {
	case SIZE:
		digit = pipit_bytes_hex_value(c);
		if (digit < 0)
			return after_size(c, chunked->digits);
		if (chunked->digits == 16 || chunked->remaining >> 58)
			return BROKEN;
		chunked->digits++;
		chunked->remaining = chunked->remaining << 4 | (uint64_t)digit;
		return state;
	case SIZE_LF:
		return c != '\n' ? BROKEN : chunked->remaining ? DATA : TRAILER_START;
	case DATA_CR:
		return c == '\r' ? DATA_LF : BROKEN;
	case DATA_LF:
		chunked->digits = 0;
		return c == '\n' ? SIZE : BROKEN;
	case TRAILER_START:
	case TRAILER_NAME:
	case TRAILER_VALUE:
	case TRAILER_LF:
		return next_in_trailer(state, c);
	default:
		return next_in_extension(state, c);
	}
}

static enum pipit_refusal count_framing(
    struct pipit_guard_chunked *chunked, enum chunked_state before, const struct pipit_guard_limits *limits)
{
	if (before >= BEFORE_EXTENSION && before <= EXTENSION_END && ++chunked->extension_bytes > EXTENSION_BYTES_MAX)
		return PIPIT_REFUSAL_CHUNK;
	if (before < TRAILER_START)
		return PIPIT_REFUSAL_NONE;
	if (before == TRAILER_START)
		chunked->field_bytes = 0;
	if (before == TRAILER_START && chunked->state == TRAILER_NAME && ++chunked->trailer_fields > max_fields(limits))
		return PIPIT_REFUSAL_TOO_MANY_FIELDS;
	if (before < TRAILER_LF && chunked->state != TRAILER_LF && ++chunked->field_bytes > limits->max_field_bytes &&
	    limits->max_field_bytes)
		return PIPIT_REFUSAL_FIELD_TOO_LARGE;
	if (++chunked->trailer_bytes > limits->max_head_bytes && limits->max_head_bytes)
		return PIPIT_REFUSAL_HEAD_TOO_LARGE;
	return PIPIT_REFUSAL_NONE;
}

enum pipit_guard_chunk pipit_guard_chunked(struct pipit_guard_chunked *chunked, const char *bytes, size_t length,
    const struct pipit_guard_limits *limits, size_t *consumed, struct pipit_slice *data, enum pipit_refusal *reason)
{
	for (size_t i = 0; i < length; i++) {
		enum chunked_state before = (enum chunked_state)chunked->state;
		if (before == DATA) {
			size_t available = length - i;
			data->data = bytes + i;
			data->length = available < chunked->remaining ? available : (size_t)chunked->remaining;
			chunked->remaining -= data->length;
			if (chunked->remaining == 0)
				chunked->state = DATA_CR;
			*consumed = i + data->length;
			return PIPIT_CHUNK_DATA;
		}
		if (before == END_LF && bytes[i] == '\n') {
			*consumed = i + 1;
			*reason = count_framing(chunked, before, limits);
			return *reason == PIPIT_REFUSAL_NONE ? PIPIT_CHUNK_END : PIPIT_CHUNK_REJECT;
		}
		chunked->state = (uint8_t)(before == END_LF ? BROKEN : next_state(chunked, bytes[i]));
		*reason = chunked->state == BROKEN ? PIPIT_REFUSAL_CHUNK : count_framing(chunked, before, limits);
		if (*reason != PIPIT_REFUSAL_NONE) {
			chunked->state = BROKEN;
			return PIPIT_CHUNK_REJECT;
		}
	}
	*consumed = length;
	return PIPIT_CHUNK_MORE;
}
