/* SPDX-License-Identifier: MIT */
/*
 * Which heads and chunked bodies pass, against RFC 9112 and RFC 9110, in the order of the protocol. Every input is fed whole,
 * byte by byte and cut in two at every place, and always ends directly before an inaccessible page.
 */
#include "http/guard.h"

#include "guarded.h"
#include "pipit.h"
#include "suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct pipit_guard_limits no_limits;

/* The result of the guard for a head, and its state between calls. */
struct judgement {
	const char *idea; /* for messages */
	enum pipit_guard_verdict verdict;
	enum pipit_refusal reason;
	size_t checked, consumed;
	struct pipit_guard_head head; /* its bytes are valid until guard() is called again */
};

static void begin(struct judgement *judgement, const char *idea)
{
	memset(judgement, 0xa5, sizeof *judgement); /* the result must not depend on earlier contents */
	judgement->idea = idea;
	judgement->checked = 0;
	judgement->verdict = PIPIT_GUARD_MORE;
	judgement->reason = PIPIT_REFUSAL_NONE;
	judgement->consumed = 0;
}

static void show(struct judgement *judgement, const char *bytes, size_t length, const struct pipit_guard_limits *limits)
{
	judgement->verdict = pipit_guard_head(guarded_copy(bytes, length), length, &judgement->checked, limits,
	    &judgement->head, &judgement->consumed, &judgement->reason);
}

/* Until it passes or is rejected. */
static void show_byte_by_byte(
    struct judgement *judgement, const char *bytes, size_t length, const struct pipit_guard_limits *limits)
{
	for (size_t shown = 1; shown <= length && judgement->verdict == PIPIT_GUARD_MORE; shown++) {
		show(judgement, bytes, shown, limits);
		if (judgement->verdict == PIPIT_GUARD_MORE && judgement->checked != shown)
			ck_abort_msg("%s: %zu of %zu bytes checked", judgement->idea, judgement->checked, shown);
	}
}

static void expect_more(const struct judgement *judgement, size_t shown)
{
	if (judgement->verdict != PIPIT_GUARD_MORE)
		ck_abort_msg("%s: after %zu bytes: verdict %d, reason %d", judgement->idea, shown, judgement->verdict,
		    judgement->reason);
}

static void expect_rejected(const struct judgement *judgement, enum pipit_refusal reason)
{
	if (judgement->verdict != PIPIT_GUARD_REJECT || judgement->reason != reason)
		ck_abort_msg("%s: verdict %d, %s instead of %s", judgement->idea, judgement->verdict,
		    pipit_refusal_entry(judgement->reason)->label, pipit_refusal_entry(reason)->label);
}

/* ---------------------------------------------------------------- properties of every head that passes */

static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_value_char(unsigned char c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static bool is_target_char(unsigned char c)
{
	return c > 0x20 && c < 0x7f && c != '#' && c != '%';
}

static bool is_target_char_or_percent(unsigned char c)
{
	return is_target_char(c) || c == '%';
}

static bool is_host_char(unsigned char c)
{
	return is_target_char_or_percent(c) && !strchr("/?@\\", c);
}

static bool is_made_of(struct pipit_slice slice, bool (*is)(unsigned char))
{
	for (size_t i = 0; i < slice.length; i++) {
		if (!is((unsigned char)slice.data[i]))
			return false;
	}
	return true;
}

static bool is_inside(const struct pipit_guard_head *head, uint32_t offset, uint32_t length)
{
	return offset <= head->length && length <= head->length - offset;
}

/* No NUL; CR and LF only as line ends. */
static const char *fault_of_bytes(const struct pipit_guard_head *head)
{
	const char *bytes = head->bytes;

	if (memcmp(bytes + head->length - 4, "\r\n\r\n", 4) != 0)
		return "the head does not end with an empty line";
	for (uint32_t i = 0; i < head->length; i++) {
		if (bytes[i] == '\0')
			return "a NUL in the head";
		if (bytes[i] == '\r' && bytes[i + 1] != '\n')
			return "a bare CR in the head";
		if (bytes[i] == '\n' && bytes[i - 1] != '\r')
			return "a bare LF in the head";
	}
	return NULL;
}

static const char *fault_of_target(const struct pipit_guard_head *head)
{
	uint32_t end = head->target + head->target_length, path_end = head->path + head->path_length;
	const char *path = head->bytes + head->path;

	if (!(head->method & PIPIT_ANY) || (head->method & (head->method - 1)))
		return "the method is not one of pipit.h";
	if (head->target != head->method_length + 1 || !is_inside(head, head->target, head->target_length))
		return "the target lies elsewhere";
	if (!is_made_of(pipit_guard_slice(head, head->target, head->target_length), is_target_char_or_percent))
		return "a byte in the target that may not stand there";
	if (head->path < head->target || path_end > end)
		return "the path lies outside the target";
	if (head->path_length < 1 || (path[0] != '/' && (path[0] != '*' || head->path_length > 1)))
		return "the path is neither one nor an asterisk";
	if (memchr(path, '?', head->path_length))
		return "a query in the path";
	if (head->query ? head->bytes[head->query - 1] != '?' || head->query + head->query_length != end
			: head->query_length || memchr(head->bytes + head->target, '?', head->target_length))
		return "the query is not what follows the question mark";
	if (head->minor > 1 || memcmp(head->bytes + end, " HTTP/1.", 8) != 0)
		return "another version";
	return NULL;
}

static const char *fault_of_field(const struct pipit_guard_head *head, const struct pipit_guard_field *field)
{
	struct pipit_slice name = pipit_guard_slice(head, field->name, field->name_length);
	struct pipit_slice value = pipit_guard_slice(head, field->value, field->value_length);

	if (!is_inside(head, field->value, field->value_length))
		return "a value outside the head";
	if (name.length == 0 || !is_made_of(name, is_token_char) || name.data[name.length] != ':')
		return "a field name that is none";
	if (!is_made_of(value, is_value_char))
		return "a control byte in a field value";
	if (value.length && (memchr(" \t", value.data[0], 2) || memchr(" \t", value.data[value.length - 1], 2)))
		return "white space around a field value";
	return NULL;
}

/* Headers are adjacent, each NAME ":" OWS value OWS CRLF. */
static const char *fault_of_fields(const struct pipit_guard_head *head)
{
	uint32_t at = head->target + head->target_length + sizeof " HTTP/1.1\r\n" - 1;

	if (head->field_count > PIPIT_GUARD_FIELDS_MAX)
		return "more fields than there is room for";
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		const char *fault = fault_of_field(head, field);
		if (fault)
			return fault;
		if (field->name != at)
			return "a field that does not begin where the last one ends";
		at = (uint32_t)((const char *)memchr(head->bytes + at, '\n', head->length - at) + 1 - head->bytes);
	}
	return at + 2 == head->length ? NULL : "lines that are not among the fields";
}

static uint32_t count_fields(const struct pipit_guard_head *head, const char *name)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		count += pipit_slice_equals_nocase(pipit_guard_slice(head, field->name, field->name_length), name);
	}
	return count;
}

static const char *fault_of_framing(const struct pipit_guard_head *head)
{
	const struct pipit_guard_field *length = pipit_guard_find(head, "Content-Length");
	const struct pipit_guard_field *coding = pipit_guard_find(head, "Transfer-Encoding");
	enum pipit_guard_framing framing = PIPIT_FRAMING_NONE;

	if (count_fields(head, "Content-Length") + count_fields(head, "Transfer-Encoding") > 1)
		return "more than one framing";
	if (coding) {
		struct pipit_slice value = pipit_guard_slice(head, coding->value, coding->value_length);
		if (head->minor == 0 || !pipit_slice_equals_nocase(value, "chunked"))
			return "a coding that is not served";
		framing = PIPIT_FRAMING_CHUNKED;
	} else if (length) {
		/* The digits are followed by white space or CR, so that strtoull() stops there. */
		if (strtoull(head->bytes + length->value, NULL, 10) != head->content_length)
			return "another length than the field's";
		framing = head->content_length ? PIPIT_FRAMING_LENGTH : PIPIT_FRAMING_NONE;
	}
	return head->framing == framing ? NULL : "another framing than the fields'";
}

static const char *fault_of_meaning(const struct pipit_guard_head *head)
{
	uint32_t host_count = count_fields(head, "Host");

	if (host_count > 1 || host_count < head->minor)
		return "not exactly one Host";
	if (!is_inside(head, head->host, head->host_length) || (!head->host && (head->minor || head->host_length)))
		return "the host lies elsewhere";
	if (!is_made_of(pipit_guard_slice(head, head->host, head->host_length), is_host_char))
		return "a byte in the host that may not stand there";
	if (count_fields(head, "Connection") == 0 && head->keep_alive != (head->minor == 1))
		return "another keep_alive than the version's";
	if (head->expect_continue && (head->minor == 0 || !pipit_guard_find(head, "Expect")))
		return "expect_continue without Expect";
	return NULL;
}

static const char *fault_of(const struct judgement *judgement, const char *bytes, size_t length)
{
	static const char *(*const checks[])(const struct pipit_guard_head *) = { fault_of_bytes, fault_of_target,
		fault_of_fields, fault_of_framing, fault_of_meaning };
	const struct pipit_guard_head *head = &judgement->head;
	size_t skipped = judgement->consumed - head->length;
	const char *fault = NULL;

	if (judgement->consumed > length || head->bytes != guarded_end - length + skipped)
		return "the head lies elsewhere";
	if (skipped != 0 && (skipped != 2 || memcmp(bytes, "\r\n", 2) != 0))
		return "more than an empty line before the head";
	for (size_t i = 0; i < COUNT(checks) && !fault; i++)
		fault = checks[i](head);
	return fault;
}

/* bytes: the input; the guard's own copy must be unchanged. */
static void expect_sane(const struct judgement *judgement, const char *bytes, size_t length)
{
	const char *fault = fault_of(judgement, bytes, length);

	if (fault)
		ck_abort_msg("%s: %s: %.*s", judgement->idea, fault, (int)(length < 500 ? length : 500), bytes);
}

static bool is_same_head(const struct pipit_guard_head *a, const struct pipit_guard_head *b)
{
	return a->length == b->length && a->method == b->method && a->method_length == b->method_length &&
	       a->target == b->target && a->target_length == b->target_length && a->path == b->path &&
	       a->path_length == b->path_length && a->query == b->query && a->query_length == b->query_length &&
	       a->host == b->host && a->host_length == b->host_length && a->minor == b->minor &&
	       a->keep_alive == b->keep_alive && a->expect_continue == b->expect_continue && a->framing == b->framing &&
	       a->content_length == b->content_length && a->field_count == b->field_count &&
	       memcmp(a->fields, b->fields, a->field_count * sizeof a->fields[0]) == 0;
}

static bool is_same_refusal(const struct judgement *a, const struct judgement *b)
{
	return a->reason == b->reason && a->head.method == b->head.method && a->head.minor == b->head.minor;
}

static void expect_same(const struct judgement *a, const struct judgement *b)
{
	bool is_same = a->verdict == b->verdict;

	if (is_same && a->verdict == PIPIT_GUARD_REJECT)
		is_same = is_same_refusal(a, b);
	if (is_same && a->verdict == PIPIT_GUARD_PASS)
		is_same = a->consumed == b->consumed && is_same_head(&a->head, &b->head);
	if (!is_same)
		ck_abort_msg("%s: verdict %d (%s), %s: verdict %d (%s)", a->idea, a->verdict,
		    pipit_refusal_entry(a->reason)->label, b->idea, b->verdict, pipit_refusal_entry(b->reason)->label);
}

/* ---------------------------------------------------------------- heads that pass */

#define LINE "GET / HTTP/1.1\r\n"
#define OLD_LINE "GET / HTTP/1.0\r\n"
#define HOST "Host: a\r\n"
#define TO(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define BY(method) method " / HTTP/1.1\r\n" HOST "\r\n"
#define ASKING(host) LINE "Host:" host "\r\n\r\n"
#define WITH(fields) LINE HOST fields "\r\n\r\n"
#define OLD_WITH(fields) OLD_LINE fields "\r\n\r\n"

#define NOTHING "(nothing)"
#define NO_FIELDS ""
#define TOKEN_CHARS "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define VISIBLE_CHARS "!\"#$%&'()*+,-./0123456789:;<=>?@AZ[\\]^_`az{|}~"

/* Unset members are as in "GET / HTTP/1.1", "Host: a". */
struct accepted {
	const char *idea;
	const char *bytes;
	unsigned method;    /* 0: PIPIT_GET */
	const char *path;   /* NULL: "/" */
	const char *query;  /* NULL: none */
	const char *host;   /* NULL: "a"; NOTHING: none */
	const char *fields; /* "Name=value|Name=value"; NULL: "Host=a" */
	bool is_1_0;
	bool closes;
	bool expects_continue;
	enum pipit_guard_framing framing;
	uint64_t content_length;
	struct pipit_guard_limits limits;
};

static const struct accepted accepted[] = {
	/* request line, RFC 9112 §3 */
	{ "the shortest", .bytes = LINE HOST "\r\n" },
	{ "HEAD", .bytes = BY("HEAD"), .method = PIPIT_HEAD },
	{ "POST", .bytes = BY("POST"), .method = PIPIT_POST },
	{ "PUT", .bytes = BY("PUT"), .method = PIPIT_PUT },
	{ "DELETE", .bytes = BY("DELETE"), .method = PIPIT_DELETE },
	{ "OPTIONS", .bytes = BY("OPTIONS"), .method = PIPIT_OPTIONS },
	{ "PATCH", .bytes = BY("PATCH"), .method = PIPIT_PATCH },
	{ "one empty line before it (§2.2)", .bytes = "\r\n" LINE HOST "\r\n" },
	{ "HTTP/1.0 without a Host", .bytes = OLD_LINE "\r\n", .host = NOTHING, .fields = NO_FIELDS, .is_1_0 = true,
	    .closes = true },
	{ "HTTP/1.0 with a Host", .bytes = OLD_LINE HOST "\r\n", .is_1_0 = true, .closes = true },
	{ "HTTP/1.2 is treated as 1.1", .bytes = "GET / HTTP/1.2\r\n" HOST "\r\n" },
	{ "HTTP/1.9 is treated as 1.1", .bytes = "GET / HTTP/1.9\r\n" HOST "\r\n" },

	/* origin-form, §3.2.1 */
	{ "segments", .bytes = TO("/a/bc/d.e"), .path = "/a/bc/d.e" },
	{ "a slash at the end", .bytes = TO("/a/"), .path = "/a/" },
	{ "empty segments", .bytes = TO("//a//b"), .path = "//a//b" },
	{ "dot segments are the files' business", .bytes = TO("/../a/./b"), .path = "/../a/./b" },
	{ "a query", .bytes = TO("/a?b=c&d"), .path = "/a", .query = "b=c&d" },
	{ "an empty query", .bytes = TO("/a?"), .path = "/a", .query = "" },
	{ "a question mark in the query", .bytes = TO("/?a?b"), .query = "a?b" },
	{ "a slash in the query", .bytes = TO("/?/a/b"), .query = "/a/b" },
	{ "a path that looks absolute", .bytes = TO("/http://b/c"), .path = "/http://b/c" },
	{ "percent-encoding, upper case", .bytes = TO("/%C3%A9"), .path = "/%C3%A9" },
	{ "percent-encoding, lower case", .bytes = TO("/%c3%a9?%2f"), .path = "/%c3%a9", .query = "%2f" },
	{ "an encoded slash", .bytes = TO("/a%2Fb"), .path = "/a%2Fb" },
	{ "an encoded line end", .bytes = TO("/a%0d%0ab"), .path = "/a%0d%0ab" },
	{ "an encoded question mark", .bytes = TO("/a%3Fb"), .path = "/a%3Fb" },
	{ "an encoded percent sign before 00", .bytes = TO("/%2500"), .path = "/%2500" },
	{ "%01", .bytes = TO("/%01"), .path = "/%01" },
	{ "%10", .bytes = TO("/%10"), .path = "/%10" },
	{ "percent-encoding at the very end", .bytes = TO("/%41"), .path = "/%41" },
	{ "every pchar", .bytes = TO("/-._~!$&'()*+,;=:@09azAZ"), .path = "/-._~!$&'()*+,;=:@09azAZ" },
	{ "what browsers send in queries", .bytes = TO("/?a[]=<b>|{c}\"\\^`"), .query = "a[]=<b>|{c}\"\\^`" },
	{ "a target as long as the limit", .bytes = TO("/234567?"), .path = "/234567", .query = "",
	    .limits = { .max_target_bytes = 8 } },
	{ "percent-encoding up to the limit", .bytes = TO("/2345%41"), .path = "/2345%41",
	    .limits = { .max_target_bytes = 8 } },

	/* absolute-form, §3.2.2: its authority takes the place of Host */
	{ "absolute", .bytes = TO("http://b/c?d"), .path = "/c", .query = "d", .host = "b" },
	{ "absolute with a port", .bytes = TO("http://b:8080/"), .host = "b:8080" },
	{ "absolute with an empty port", .bytes = TO("http://b:/"), .host = "b:" },
	{ "absolute without a path", .bytes = TO("http://b"), .host = "b" },
	{ "absolute with a query and no path", .bytes = TO("http://b?c/d"), .query = "c/d", .host = "b" },
	{ "absolute with an empty query", .bytes = TO("http://b/c?"), .path = "/c", .query = "", .host = "b" },
	{ "absolute, scheme in upper case", .bytes = TO("HTTP://B/"), .host = "B" },
	{ "absolute, IPv4", .bytes = TO("http://192.0.2.1/c"), .path = "/c", .host = "192.0.2.1" },
	{ "absolute, IPv6", .bytes = TO("http://[2001:db8::1]/c"), .path = "/c", .host = "[2001:db8::1]" },
	{ "absolute, IPv6 with a port", .bytes = TO("http://[::1]:80?c"), .query = "c", .host = "[::1]:80" },
	{ "absolute with empty segments", .bytes = TO("http://b//c"), .path = "//c", .host = "b" },
	{ "absolute in a path of an absolute", .bytes = TO("http://b/http://c/"), .path = "/http://c/", .host = "b" },
	{ "absolute, encoded host", .bytes = TO("http://%62/"), .host = "%62" },
	{ "absolute in HTTP/1.0 without Host", .bytes = "GET http://b/c HTTP/1.0\r\n\r\n", .path = "/c", .host = "b",
	    .fields = NO_FIELDS, .is_1_0 = true, .closes = true },
	{ "absolute with an empty Host", .bytes = "GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n", .host = "b",
	    .fields = "Host=" },

	/* asterisk-form, §3.2.4 */
	{ "OPTIONS *", .bytes = "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", .method = PIPIT_OPTIONS, .path = "*" },
	{ "OPTIONS of a path", .bytes = "OPTIONS /a HTTP/1.1\r\n" HOST "\r\n", .method = PIPIT_OPTIONS, .path = "/a" },
	{ "OPTIONS of a server, absolute", .bytes = "OPTIONS http://b:81 HTTP/1.1\r\n" HOST "\r\n",
	    .method = PIPIT_OPTIONS, .host = "b:81" },

	/* Host, RFC 9112 §3.2 and RFC 3986 §3.2.2 */
	{ "an empty Host", .bytes = ASKING(""), .host = "", .fields = "Host=" },
	{ "a Host of white space", .bytes = ASKING(" \t "), .host = "", .fields = "Host=" },
	{ "a Host without space after the colon", .bytes = ASKING("a") },
	{ "a Host among white space", .bytes = ASKING("\t a \t"), .fields = "Host=a" },
	{ "a port", .bytes = ASKING("a:80"), .host = "a:80", .fields = "Host=a:80" },
	{ "an empty port", .bytes = ASKING("a:"), .host = "a:", .fields = "Host=a:" },
	{ "the highest port", .bytes = ASKING("a:65535"), .host = "a:65535", .fields = "Host=a:65535" },
	{ "port zero", .bytes = ASKING("a:0"), .host = "a:0", .fields = "Host=a:0" },
	{ "a port with leading zeros", .bytes = ASKING("a:00080"), .host = "a:00080", .fields = "Host=a:00080" },
	{ "IPv4", .bytes = ASKING("192.0.2.1:8"), .host = "192.0.2.1:8", .fields = "Host=192.0.2.1:8" },
	{ "IPv6", .bytes = ASKING("[::1]"), .host = "[::1]", .fields = "Host=[::1]" },
	{ "IPv6, unspecified", .bytes = ASKING("[::]:1"), .host = "[::]:1", .fields = "Host=[::]:1" },
	{ "IPv6 in full", .bytes = ASKING("[2001:DB8:0:0:8:800:200C:417a]:80"),
	    .host = "[2001:DB8:0:0:8:800:200C:417a]:80", .fields = "Host=[2001:DB8:0:0:8:800:200C:417a]:80" },
	{ "IPv6 with IPv4 at its end", .bytes = ASKING("[::ffff:192.0.2.1]"), .host = "[::ffff:192.0.2.1]",
	    .fields = "Host=[::ffff:192.0.2.1]" },
	{ "HOST", .bytes = LINE "HOST: a\r\n\r\n", .fields = "HOST=a" },
	{ "host", .bytes = LINE "host: a\r\n\r\n", .fields = "host=a" },
	{ "a Host that is not the first field", .bytes = LINE "A: b\r\nHost: a\r\nC: d\r\n\r\n",
	    .fields = "A=b|Host=a|C=d" },
	{ "a name with a dot at its end", .bytes = ASKING("a.example."), .host = "a.example.",
	    .fields = "Host=a.example." },
	{ "every unreserved character and sub-delim", .bytes = ASKING("a-._~!$&'()*+,;=Z9"),
	    .host = "a-._~!$&'()*+,;=Z9", .fields = "Host=a-._~!$&'()*+,;=Z9" },
	{ "percent-encoding in a name", .bytes = ASKING("%c3%A9"), .host = "%c3%A9", .fields = "Host=%c3%A9" },

	/* headers, RFC 9112 §5 and RFC 9110 §5.5 */
	{ "a field without space after the colon", .bytes = WITH("A:b"), .fields = "Host=a|A=b" },
	{ "a field with much space", .bytes = WITH("A: \t \tb\t \t "), .fields = "Host=a|A=b" },
	{ "space within a value", .bytes = WITH("A: b  c\td"), .fields = "Host=a|A=b  c\td" },
	{ "an empty value", .bytes = WITH("A:"), .fields = "Host=a|A=" },
	{ "a value of white space", .bytes = WITH("A: \t "), .fields = "Host=a|A=" },
	{ "a value of one byte", .bytes = WITH("A: b"), .fields = "Host=a|A=b" },
	{ "a value of eight bytes", .bytes = WITH("A: 12345678"), .fields = "Host=a|A=12345678" },
	{ "a colon in a value", .bytes = WITH("A: b: c::"), .fields = "Host=a|A=b: c::" },
	{ "obs-text in a value", .bytes = WITH("A: \x80 caf\xc3\xa9 \xff"),
	    .fields = "Host=a|A=\x80 caf\xc3\xa9 \xff" },
	{ "every visible character in a value", .bytes = WITH("A: " VISIBLE_CHARS),
	    .fields = "Host=a|A=" VISIBLE_CHARS },
	{ "every token character in a name", .bytes = WITH(TOKEN_CHARS ": b"), .fields = "Host=a|" TOKEN_CHARS "=b" },
	{ "a name of one byte", .bytes = WITH("1: b"), .fields = "Host=a|1=b" },
	{ "a name twice, in order", .bytes = WITH("A: 1\r\nB: 2\r\nA: 3"), .fields = "Host=a|A=1|B=2|A=3" },
	{ "names that begin like those that matter", .bytes = WITH("Hosts: x y\r\nContent-Length2: +5\r\nExpected: z"),
	    .fields = "Host=a|Hosts=x y|Content-Length2=+5|Expected=z" },
	{ "names as long as those that matter",
	    .bytes = WITH("Hoss: x y\r\nContent-Lengty: +5\r\nTransfer-Encodinh: z"),
	    .fields = "Host=a|Hoss=x y|Content-Lengty=+5|Transfer-Encodinh=z" },
	{ "as many fields as the limit", .bytes = WITH("A: b\r\nC: d"), .fields = "Host=a|A=b|C=d",
	    .limits = { .max_fields = 3 } },
	{ "a field as long as the limit", .bytes = WITH("A: 3456"), .fields = "Host=a|A=3456",
	    .limits = { .max_field_bytes = 7 } },
	{ "as many bytes as the limit", .bytes = LINE HOST "\r\n",
	    .limits = { .max_head_bytes = sizeof(LINE HOST "\r\n") - 1 } },
	{ "an empty line before it does not count", .bytes = "\r\n" LINE HOST "\r\n",
	    .limits = { .max_head_bytes = sizeof(LINE HOST "\r\n") - 1 } },

	/* Content-Length, RFC 9110 §8.6 */
	{ "a length", .bytes = WITH("Content-Length: 5"), .fields = "Host=a|Content-Length=5",
	    .framing = PIPIT_FRAMING_LENGTH, .content_length = 5 },
	{ "a length of zero", .bytes = WITH("Content-Length: 0"), .fields = "Host=a|Content-Length=0" },
	{ "zero in several digits", .bytes = WITH("Content-Length: 000"), .fields = "Host=a|Content-Length=000" },
	{ "leading zeros", .bytes = WITH("Content-Length: 007"), .fields = "Host=a|Content-Length=007",
	    .framing = PIPIT_FRAMING_LENGTH, .content_length = 7 },
	{ "white space around a length", .bytes = WITH("Content-Length:\t 12 \t"), .fields = "Host=a|Content-Length=12",
	    .framing = PIPIT_FRAMING_LENGTH, .content_length = 12 },
	{ "content-length", .bytes = WITH("content-length: 5"), .fields = "Host=a|content-length=5",
	    .framing = PIPIT_FRAMING_LENGTH, .content_length = 5 },
	{ "a length of more than 32 bits", .bytes = WITH("Content-Length: 4294967296"),
	    .fields = "Host=a|Content-Length=4294967296", .framing = PIPIT_FRAMING_LENGTH,
	    .content_length = 4294967296 },
	{ "a length of eighteen digits", .bytes = WITH("Content-Length: 999999999999999999"),
	    .fields = "Host=a|Content-Length=999999999999999999", .framing = PIPIT_FRAMING_LENGTH,
	    .content_length = 999999999999999999 },
	{ "a length in HTTP/1.0", .bytes = "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", .method = PIPIT_POST,
	    .host = NOTHING, .fields = "Content-Length=5", .is_1_0 = true, .closes = true,
	    .framing = PIPIT_FRAMING_LENGTH, .content_length = 5 },

	/* Transfer-Encoding, RFC 9112 §6.1 */
	{ "chunked", .bytes = WITH("Transfer-Encoding: chunked"), .fields = "Host=a|Transfer-Encoding=chunked",
	    .framing = PIPIT_FRAMING_CHUNKED },
	{ "CHUNKED", .bytes = WITH("TRANSFER-ENCODING: CHUNKED"), .fields = "Host=a|TRANSFER-ENCODING=CHUNKED",
	    .framing = PIPIT_FRAMING_CHUNKED },
	{ "white space around chunked", .bytes = WITH("Transfer-Encoding:\tchunked \t"),
	    .fields = "Host=a|Transfer-Encoding=chunked", .framing = PIPIT_FRAMING_CHUNKED },
	{ "TE is another field", .bytes = WITH("TE: gzip, trailers"), .fields = "Host=a|TE=gzip, trailers" },
	{ "Content-Encoding is another field", .bytes = WITH("Content-Encoding: gzip"),
	    .fields = "Host=a|Content-Encoding=gzip" },

	/* Connection, RFC 9112 §9.3 */
	{ "close", .bytes = WITH("Connection: close"), .fields = "Host=a|Connection=close", .closes = true },
	{ "CLOSE", .bytes = WITH("CONNECTION: CLOSE"), .fields = "Host=a|CONNECTION=CLOSE", .closes = true },
	{ "keep-alive", .bytes = WITH("Connection: keep-alive"), .fields = "Host=a|Connection=keep-alive" },
	{ "close at the end of a list", .bytes = WITH("Connection: te, close"), .fields = "Host=a|Connection=te, close",
	    .closes = true },
	{ "close in a list without spaces", .bytes = WITH("Connection: te,close,x"),
	    .fields = "Host=a|Connection=te,close,x", .closes = true },
	{ "empty elements in a list", .bytes = WITH("Connection: ,, \t,close,"),
	    .fields = "Host=a|Connection=,, \t,close,", .closes = true },
	{ "close before keep-alive", .bytes = WITH("Connection: close, keep-alive"),
	    .fields = "Host=a|Connection=close, keep-alive", .closes = true },
	{ "close after keep-alive", .bytes = WITH("Connection: keep-alive, close"),
	    .fields = "Host=a|Connection=keep-alive, close", .closes = true },
	{ "close in the second field", .bytes = WITH("Connection: keep-alive\r\nConnection: close"),
	    .fields = "Host=a|Connection=keep-alive|Connection=close", .closes = true },
	{ "close in the first field", .bytes = WITH("Connection: close\r\nConnection: keep-alive"),
	    .fields = "Host=a|Connection=close|Connection=keep-alive", .closes = true },
	{ "options that only contain close", .bytes = WITH("Connection: closed, x-close, clos, close-notify"),
	    .fields = "Host=a|Connection=closed, x-close, clos, close-notify" },
	{ "an empty Connection", .bytes = WITH("Connection:"), .fields = "Host=a|Connection=" },
	{ "Upgrade is not followed", .bytes = WITH("Connection: upgrade\r\nUpgrade: h2c"),
	    .fields = "Host=a|Connection=upgrade|Upgrade=h2c" },
	{ "Proxy-Connection means nothing", .bytes = WITH("Proxy-Connection: close"),
	    .fields = "Host=a|Proxy-Connection=close" },
	{ "HTTP/1.0 with keep-alive", .bytes = OLD_WITH("Connection: keep-alive"), .host = NOTHING,
	    .fields = "Connection=keep-alive", .is_1_0 = true },
	{ "HTTP/1.0 with Keep-Alive", .bytes = OLD_WITH("Connection: Keep-Alive"), .host = NOTHING,
	    .fields = "Connection=Keep-Alive", .is_1_0 = true },
	{ "HTTP/1.0 with keep-alive in a list", .bytes = OLD_WITH("Connection: te,keep-alive"), .host = NOTHING,
	    .fields = "Connection=te,keep-alive", .is_1_0 = true },
	{ "HTTP/1.0 with both", .bytes = OLD_WITH("Connection: keep-alive, close"), .host = NOTHING,
	    .fields = "Connection=keep-alive, close", .is_1_0 = true, .closes = true },
	{ "HTTP/1.0 with both in two fields", .bytes = OLD_WITH("Connection: close\r\nConnection: keep-alive"),
	    .host = NOTHING, .fields = "Connection=close|Connection=keep-alive", .is_1_0 = true, .closes = true },
	{ "HTTP/1.0 with close", .bytes = OLD_WITH("Connection: close"), .host = NOTHING, .fields = "Connection=close",
	    .is_1_0 = true, .closes = true },

	/* Expect, RFC 9110 §10.1.1 */
	{ "100-continue", .bytes = WITH("Expect: 100-continue\r\nContent-Length: 5"),
	    .fields = "Host=a|Expect=100-continue|Content-Length=5", .expects_continue = true,
	    .framing = PIPIT_FRAMING_LENGTH, .content_length = 5 },
	{ "100-Continue", .bytes = WITH("EXPECT: 100-Continue"), .fields = "Host=a|EXPECT=100-Continue",
	    .expects_continue = true },
	{ "100-continue among empty members of a list", .bytes = WITH("Expect: ,100-Continue ,,\r\nContent-Length: 5"),
	    .fields = "Host=a|Expect=,100-Continue ,,|Content-Length=5", .expects_continue = true,
	    .framing = PIPIT_FRAMING_LENGTH, .content_length = 5 },
	{ "an empty expectation", .bytes = WITH("Expect:"), .fields = "Host=a|Expect=" },
	{ "100-continue before chunked", .bytes = WITH("Expect: 100-continue\r\nTransfer-Encoding: chunked"),
	    .fields = "Host=a|Expect=100-continue|Transfer-Encoding=chunked", .expects_continue = true,
	    .framing = PIPIT_FRAMING_CHUNKED },
	{ "100-continue in HTTP/1.0 is ignored", .bytes = OLD_WITH("Expect: 100-continue"), .host = NOTHING,
	    .fields = "Expect=100-continue", .is_1_0 = true, .closes = true },
	{ "any expectation in HTTP/1.0 is ignored", .bytes = OLD_WITH("Expect: tea"), .host = NOTHING,
	    .fields = "Expect=tea", .is_1_0 = true, .closes = true },
};

static void expect_slice(
    const struct judgement *judgement, const char *what, uint32_t offset, uint32_t length, const char *expected)
{
	struct pipit_slice slice = pipit_guard_slice(&judgement->head, offset, length);

	ck_assert_msg(pipit_slice_equals(slice, expected), "%s: %s is \"%.*s\" instead of \"%s\"", judgement->idea,
	    what, (int)length, slice.data, expected);
}

static void expect_fields(const struct judgement *judgement, const char *expected)
{
	const struct pipit_guard_head *head = &judgement->head;
	char text[1024] = "";
	int length = 0;

	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		length += snprintf(text + length, sizeof text - (size_t)length, "%s%.*s=%.*s", i ? "|" : "",
		    (int)field->name_length, head->bytes + field->name, (int)field->value_length,
		    head->bytes + field->value);
		ck_assert_int_lt(length, (int)sizeof text);
	}
	ck_assert_msg(
	    strcmp(text, expected) == 0, "%s: fields \"%s\" instead of \"%s\"", judgement->idea, text, expected);
}

static void expect_target(const struct judgement *judgement, const struct accepted *wanted)
{
	const struct pipit_guard_head *head = &judgement->head;
	const char *host = wanted->host ? wanted->host : "a";

	expect_slice(judgement, "path", head->path, head->path_length, wanted->path ? wanted->path : "/");
	ck_assert_msg(!head->query == !wanted->query, "%s: query at %" PRIu32, judgement->idea, head->query);
	if (wanted->query)
		expect_slice(judgement, "query", head->query, head->query_length, wanted->query);
	if (strcmp(host, NOTHING) == 0)
		ck_assert_msg(head->host == 0, "%s: host at %" PRIu32, judgement->idea, head->host);
	else
		expect_slice(judgement, "host", head->host, head->host_length, host);
}

/* The first `length` bytes passed and give the expected head. */
static void expect_accepted(const struct judgement *judgement, const struct accepted *wanted, size_t length)
{
	const struct pipit_guard_head *head = &judgement->head;
	const char *idea = judgement->idea;

	ck_assert_msg(judgement->verdict == PIPIT_GUARD_PASS, "%s: verdict %d, reason %d", idea, judgement->verdict,
	    judgement->reason);
	ck_assert_msg(
	    judgement->consumed == strlen(wanted->bytes), "%s: %zu bytes consumed", idea, judgement->consumed);
	ck_assert_msg(
	    head->method == (wanted->method ? wanted->method : PIPIT_GET), "%s: method %u", idea, head->method);
	ck_assert_msg(head->minor == !wanted->is_1_0, "%s: minor %u", idea, head->minor);
	ck_assert_msg(head->keep_alive == !wanted->closes, "%s: keep_alive %d", idea, head->keep_alive);
	ck_assert_msg(head->expect_continue == wanted->expects_continue, "%s: expect %d", idea, head->expect_continue);
	ck_assert_msg(head->framing == wanted->framing, "%s: framing %d", idea, head->framing);
	if (head->framing == PIPIT_FRAMING_LENGTH)
		ck_assert_msg(
		    head->content_length == wanted->content_length, "%s: length %" PRIu64, idea, head->content_length);
	expect_target(judgement, wanted);
	expect_fields(judgement, wanted->fields ? wanted->fields : "Host=a");
	expect_sane(judgement, wanted->bytes, length);
}

START_TEST(passes_what_the_rfc_allows_and_parses_it_correctly)
{
	const struct accepted *wanted = &accepted[_i];
	size_t length = strlen(wanted->bytes);
	struct judgement judgement;

	begin(&judgement, wanted->idea);
	show(&judgement, wanted->bytes, length, &wanted->limits);
	expect_accepted(&judgement, wanted, length);
}
END_TEST

START_TEST(passes_a_head_that_arrives_byte_by_byte)
{
	const struct accepted *wanted = &accepted[_i];
	size_t length = strlen(wanted->bytes);
	struct judgement judgement;

	begin(&judgement, wanted->idea);
	show_byte_by_byte(&judgement, wanted->bytes, length - 1, &wanted->limits);
	expect_more(&judgement, length - 1);
	show(&judgement, wanted->bytes, length, &wanted->limits);
	expect_accepted(&judgement, wanted, length);
}
END_TEST

START_TEST(asks_for_more_after_every_prefix_and_passes_the_whole)
{
	const struct accepted *wanted = &accepted[_i];
	size_t length = strlen(wanted->bytes);
	struct judgement whole, judgement;

	begin(&whole, wanted->idea);
	show(&whole, wanted->bytes, length, &wanted->limits);
	expect_accepted(&whole, wanted, length);
	for (size_t cut = 0; cut < length; cut++) {
		begin(&judgement, wanted->idea);
		show(&judgement, wanted->bytes, cut, &wanted->limits);
		expect_more(&judgement, cut);
		ck_assert_uint_eq(judgement.checked, cut);
		show(&judgement, wanted->bytes, length, &wanted->limits);
		expect_same(&whole, &judgement);
	}
}
END_TEST

static const struct pipit_slice tails[] = { { "\0", 1 }, { "\r", 1 }, { "\n", 1 }, { "\r\n", 2 }, { " folded\r\n", 9 },
	{ "\xff\x80\x7f\x01", 4 }, { "X: y\r\n\r\n", 8 }, { "Content-Length: 7\r\n\r\n", 21 },
	{ LINE, sizeof LINE - 1 }, { "0123456789012345678901234567890123456789", 40 } };

START_TEST(does_not_look_at_what_follows_a_head)
{
	const struct accepted *wanted = &accepted[_i];
	size_t length = strlen(wanted->bytes);
	char bytes[1024];
	struct judgement judgement;

	for (size_t i = 0; i < COUNT(tails); i++) {
		memcpy(bytes, wanted->bytes, length);
		memcpy(bytes + length, tails[i].data, tails[i].length);
		begin(&judgement, wanted->idea);
		show(&judgement, bytes, length + tails[i].length, &wanted->limits);
		expect_accepted(&judgement, wanted, length + tails[i].length);
	}
}
END_TEST

START_TEST(passes_one_head_of_several_at_a_time)
{
	static char bytes[GUARDED_BYTES];
	size_t length = 0, at = 0;
	struct judgement judgement;

	for (size_t i = 0; i < COUNT(accepted); i++) {
		size_t more = strlen(accepted[i].bytes);
		ck_assert_uint_le(length + more, sizeof bytes);
		memcpy(bytes + length, accepted[i].bytes, more);
		length += more;
	}
	for (size_t i = 0; i < COUNT(accepted); i++) {
		begin(&judgement, accepted[i].idea);
		show(&judgement, bytes + at, length - at, &no_limits);
		expect_accepted(&judgement, &accepted[i], length - at);
		at += judgement.consumed;
	}
	ck_assert_uint_eq(at, length);
}
END_TEST

/* ---------------------------------------------------------------- heads that are rejected */

#define BYTES(literal) .bytes = literal, .length = sizeof(literal) - 1
#define LIMITED(field, number) .limits = { .field = number }
#define LONG_METHOD "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345" /* at the limit */

struct rejected {
	const char *idea;
	enum pipit_refusal reason;
	const char *bytes;
	size_t length;
	struct pipit_guard_limits limits;
};

static const struct rejected rejected[] = {
	/* the request line's form, RFC 9112 §3 */
	{ "two empty lines before it", PIPIT_REFUSAL_REQUEST_LINE, BYTES("\r\n\r\n" LINE HOST "\r\n") },
	{ "a bare LF before it", PIPIT_REFUSAL_REQUEST_LINE, BYTES("\n" LINE HOST "\r\n") },
	{ "a bare CR before it", PIPIT_REFUSAL_REQUEST_LINE, BYTES("\r" LINE HOST "\r\n") },
	{ "two CRs before it", PIPIT_REFUSAL_REQUEST_LINE, BYTES("\r\r\n" LINE HOST "\r\n") },
	{ "a space before it", PIPIT_REFUSAL_REQUEST_LINE, BYTES(" " LINE HOST "\r\n") },
	{ "a NUL before it", PIPIT_REFUSAL_REQUEST_LINE, BYTES("\0" LINE HOST "\r\n") },
	{ "a byte order mark", PIPIT_REFUSAL_REQUEST_LINE, BYTES("\xef\xbb\xbf" LINE HOST "\r\n") },
	{ "a TLS greeting", PIPIT_REFUSAL_REQUEST_LINE, BYTES("\x16\x03\x01\x02\x00\x01\n") },
	{ "a status line", PIPIT_REFUSAL_REQUEST_LINE, BYTES("HTTP/1.1 200 OK\r\n\r\n") },
	{ "a field line in its place", PIPIT_REFUSAL_REQUEST_LINE, BYTES(HOST "\r\n") },
	{ "two spaces before the target", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET  / HTTP/1.1\r\n" HOST "\r\n") },
	{ "two spaces after the target", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET /  HTTP/1.1\r\n" HOST "\r\n") },
	{ "a space at the end", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1.1 \r\n" HOST "\r\n") },
	{ "a tab before the target", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET\t/ HTTP/1.1\r\n" HOST "\r\n") },
	{ "a tab after the target", PIPIT_REFUSAL_TARGET, BYTES("GET /\tHTTP/1.1\r\n" HOST "\r\n") },
	{ "a space in the target", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET /a b HTTP/1.1\r\n" HOST "\r\n") },
	{ "no target", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET HTTP/1.1\r\n" HOST "\r\n") },
	{ "a method only", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET\r\n" HOST "\r\n") },
	{ "a method and a space only", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET \r\n" HOST "\r\n") },
	{ "HTTP/0.9", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET /\r\n" HOST "\r\n") },
	{ "no version but its space", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / \r\n" HOST "\r\n") },
	{ "a bare LF after the target", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET /\n" HOST "\r\n") },
	{ "a bare LF after the line", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1.1\n" HOST "\r\n") },
	{ "a bare CR after the line", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1.1\r" HOST "\r\n") },
	{ "a CR too many after the line", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1.1\r\r\n" HOST "\r\n") },
	{ "a NUL after the line", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1.1\0\r\n" HOST "\r\n") },

	/* method, RFC 9110 §9 */
	{ "no method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(" / HTTP/1.1\r\n" HOST "\r\n") },
	{ "a method of lower case", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY("get")) },
	{ "a method of mixed case", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY("Get")) },
	{ "a method cut short", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY("GE")) },
	{ "a method with a letter more", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY("GETS")) },
	{ "an unknown method", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY("BREW")) },
	{ "a method of WebDAV", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY("PROPFIND")) },
	{ "TRACE", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY("TRACE")) },
	{ "a method of odd token characters", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY("!#$%&'*+-.^_`|~")) },
	{ "the longest method", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY(LONG_METHOD)) },
	{ "a method longer than that", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY(LONG_METHOD "6")) },
	{ "a bad byte behind the longest method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY(LONG_METHOD "\x01")) },
	{ "a bad byte behind a longer method", PIPIT_REFUSAL_METHOD_UNKNOWN, BYTES(BY(LONG_METHOD "6\x01")) },
	{ "NUL in the method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY("GE\0T")) },
	{ "a control byte in the method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY("GE\x01T")) },
	{ "DEL in the method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY("GET\x7f")) },
	{ "a byte above ASCII in the method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY("G\xc3\x89T")) },
	{ "a separator in the method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY("GET,")) },
	{ "a colon in the method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY("GET:")) },
	{ "a bare CR in the method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY("GE\rT")) },
	{ "a bare LF in the method", PIPIT_REFUSAL_REQUEST_LINE, BYTES(BY("GE\nT")) },
	{ "CONNECT", PIPIT_REFUSAL_METHOD_REFUSED, BYTES("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n") },
	{ "CONNECT in HTTP/1.0", PIPIT_REFUSAL_METHOD_REFUSED, BYTES("CONNECT a:443 HTTP/1.0\r\n\r\n") },
	{ "CONNECT to a path", PIPIT_REFUSAL_METHOD_REFUSED, BYTES(BY("CONNECT")) },
	{ "HTTP/2's preface", PIPIT_REFUSAL_TARGET, BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },

	/* target, RFC 9112 §3.2 */
	{ "a relative path", PIPIT_REFUSAL_TARGET, BYTES(TO("a/b")) },
	{ "a query only", PIPIT_REFUSAL_TARGET, BYTES(TO("?a")) },
	{ "an asterisk for GET", PIPIT_REFUSAL_TARGET, BYTES(TO("*")) },
	{ "an asterisk and more", PIPIT_REFUSAL_TARGET, BYTES("OPTIONS *a HTTP/1.1\r\n" HOST "\r\n") },
	{ "an asterisk with a query", PIPIT_REFUSAL_TARGET, BYTES("OPTIONS *?a HTTP/1.1\r\n" HOST "\r\n") },
	{ "authority-form for GET", PIPIT_REFUSAL_TARGET, BYTES(TO("a:443")) },
	{ "a host name", PIPIT_REFUSAL_TARGET, BYTES(TO("example.com/a")) },
	{ "a fragment", PIPIT_REFUSAL_TARGET, BYTES(TO("/a#b")) },
	{ "a fragment in the query", PIPIT_REFUSAL_TARGET, BYTES(TO("/?a#b")) },
	{ "NUL in the target", PIPIT_REFUSAL_TARGET, BYTES(TO("/a\0b")) },
	{ "a control byte in the target", PIPIT_REFUSAL_TARGET, BYTES(TO("/a\x1f")) },
	{ "DEL in the target", PIPIT_REFUSAL_TARGET, BYTES(TO("/a\x7f")) },
	{ "a byte above ASCII in the target", PIPIT_REFUSAL_TARGET, BYTES(TO("/caf\xc3\xa9")) },
	{ "a byte above ASCII in the query", PIPIT_REFUSAL_TARGET, BYTES(TO("/?\xff")) },
	{ "a bare CR in the target", PIPIT_REFUSAL_REQUEST_LINE, BYTES(TO("/a\rb")) },
	{ "a bare LF in the target", PIPIT_REFUSAL_REQUEST_LINE, BYTES(TO("/a\nb")) },
	{ "%00 in the path", PIPIT_REFUSAL_TARGET, BYTES(TO("/a%00b")) },
	{ "%00 in the query", PIPIT_REFUSAL_TARGET, BYTES(TO("/?a=%00")) },
	{ "a percent sign and no digits", PIPIT_REFUSAL_TARGET, BYTES(TO("/%")) },
	{ "a percent sign and one digit", PIPIT_REFUSAL_TARGET, BYTES(TO("/%4")) },
	{ "a percent sign and other letters", PIPIT_REFUSAL_TARGET, BYTES(TO("/%zz")) },
	{ "a second digit that is none", PIPIT_REFUSAL_TARGET, BYTES(TO("/%4g")) },
	{ "a percent sign twice", PIPIT_REFUSAL_TARGET, BYTES(TO("/%%41")) },
	{ "a percent sign and a line end", PIPIT_REFUSAL_TARGET, BYTES("GET /%\r\n" HOST "\r\n") },
	{ "%u escapes", PIPIT_REFUSAL_TARGET, BYTES(TO("/%u0041")) },
	{ "absolute without a host", PIPIT_REFUSAL_TARGET, BYTES(TO("http:///a")) },
	{ "absolute with nothing", PIPIT_REFUSAL_TARGET, BYTES(TO("http://")) },
	{ "absolute with a query only", PIPIT_REFUSAL_TARGET, BYTES(TO("http://?a")) },
	{ "absolute with a port only (RFC 9110 §4.2.1)", PIPIT_REFUSAL_TARGET, BYTES(TO("http://:80/")) },
	{ "absolute with one slash", PIPIT_REFUSAL_TARGET, BYTES(TO("http:/b/")) },
	{ "absolute with user information (RFC 9110 §4.2.4)", PIPIT_REFUSAL_TARGET, BYTES(TO("http://u@b/")) },
	{ "absolute with a password", PIPIT_REFUSAL_TARGET, BYTES(TO("http://u:p@b/")) },
	{ "absolute with a bad port", PIPIT_REFUSAL_TARGET, BYTES(TO("http://b:8x/")) },
	{ "absolute with a port too high", PIPIT_REFUSAL_TARGET, BYTES(TO("http://b:65536/")) },
	{ "absolute with a backslash", PIPIT_REFUSAL_TARGET, BYTES(TO("http://b\\c/")) },
	{ "absolute with an open bracket", PIPIT_REFUSAL_TARGET, BYTES(TO("http://[::1/")) },
	{ "absolute of another scheme", PIPIT_REFUSAL_TARGET, BYTES(TO("ftp://b/")) },
	{ "absolute of a longer scheme", PIPIT_REFUSAL_TARGET, BYTES(TO("httpx://b/")) },
	{ "a target above the limit", PIPIT_REFUSAL_TARGET_TOO_LONG, BYTES(TO("/23456789")),
	    LIMITED(max_target_bytes, 8) },
	{ "percent-encoding above the limit", PIPIT_REFUSAL_TARGET_TOO_LONG, BYTES(TO("/23456%41")),
	    LIMITED(max_target_bytes, 8) },
	{ "an absolute target above the limit", PIPIT_REFUSAL_TARGET_TOO_LONG, BYTES(TO("http://b/")),
	    LIMITED(max_target_bytes, 8) },

	/* version, RFC 9112 §2.3 */
	{ "HTTP/2.0", PIPIT_REFUSAL_VERSION, BYTES("GET / HTTP/2.0\r\n" HOST "\r\n") },
	{ "HTTP/0.9, spelt out", PIPIT_REFUSAL_VERSION, BYTES("GET / HTTP/0.9\r\n" HOST "\r\n") },
	{ "HTTP/3.1", PIPIT_REFUSAL_VERSION, BYTES("GET / HTTP/3.1\r\n" HOST "\r\n") },
	{ "HTTP/2", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/2\r\n" HOST "\r\n") },
	{ "http/1.1", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / http/1.1\r\n" HOST "\r\n") },
	{ "HTTP/1.10", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1.10\r\n" HOST "\r\n") },
	{ "HTTP/01.1", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/01.1\r\n" HOST "\r\n") },
	{ "HTTP/1,1", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1,1\r\n" HOST "\r\n") },
	{ "HTTP/1.", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1.\r\n" HOST "\r\n") },
	{ "HTTP/1.x", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP/1.x\r\n" HOST "\r\n") },
	{ "HTTP /1.1", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTP /1.1\r\n" HOST "\r\n") },
	{ "HTTPS/1.1", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / HTTPS/1.1\r\n" HOST "\r\n") },
	{ "another protocol", PIPIT_REFUSAL_REQUEST_LINE, BYTES("GET / RTSP/1.0\r\n" HOST "\r\n") },

	/* Host, RFC 9112 §3.2: MUST be 400 */
	{ "no Host", PIPIT_REFUSAL_HOST, BYTES(LINE "\r\n") },
	{ "no Host among other fields", PIPIT_REFUSAL_HOST, BYTES(LINE "A: b\r\nHosts: c\r\n\r\n") },
	{ "no Host beside an absolute target", PIPIT_REFUSAL_HOST, BYTES("GET http://b/ HTTP/1.1\r\n\r\n") },
	{ "no Host in HTTP/1.2", PIPIT_REFUSAL_HOST, BYTES("GET / HTTP/1.2\r\n\r\n") },
	{ "two Hosts", PIPIT_REFUSAL_HOST, BYTES(WITH("Host: b")) },
	{ "the same Host twice", PIPIT_REFUSAL_HOST, BYTES(WITH("host: a")) },
	{ "two Hosts beside an absolute target", PIPIT_REFUSAL_HOST,
	    BYTES("GET http://a/ HTTP/1.1\r\n" HOST HOST "\r\n") },
	{ "two Hosts in HTTP/1.0", PIPIT_REFUSAL_HOST, BYTES(OLD_LINE HOST HOST "\r\n") },
	{ "an invalid Host beside an absolute target", PIPIT_REFUSAL_HOST,
	    BYTES("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n") },
	{ "a list of Hosts", PIPIT_REFUSAL_HOST, BYTES(ASKING("a, b")) },
	{ "a space in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("a b")) },
	{ "a tab in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("a\tb")) },
	{ "a slash in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("a/b")) },
	{ "a backslash in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("a\\b")) },
	{ "a URI as Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("http://a")) },
	{ "user information in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("u@a")) },
	{ "a query in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("a?b")) },
	{ "a fragment in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("a#b")) },
	{ "quotes in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("\"a\"")) },
	{ "markup in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("<a>")) },
	{ "a byte above ASCII in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("caf\xc3\xa9")) },
	{ "a broken percent-encoding in a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("a%4")) },
	{ "a percent sign at the end of a Host", PIPIT_REFUSAL_HOST, BYTES(ASKING("a%")) },
	{ "a port of letters", PIPIT_REFUSAL_HOST, BYTES(ASKING("a:http")) },
	{ "a negative port", PIPIT_REFUSAL_HOST, BYTES(ASKING("a:-1")) },
	{ "a port too high", PIPIT_REFUSAL_HOST, BYTES(ASKING("a:65536")) },
	{ "a port beyond every integer", PIPIT_REFUSAL_HOST, BYTES(ASKING("a:18446744073709551696")) },
	{ "a port and no name", PIPIT_REFUSAL_HOST, BYTES(ASKING(":80")) },
	{ "two ports", PIPIT_REFUSAL_HOST, BYTES(ASKING("a:80:80")) },
	{ "IPv6 without brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("::1")) },
	{ "an open bracket", PIPIT_REFUSAL_HOST, BYTES(ASKING("[::1")) },
	{ "a closing bracket only", PIPIT_REFUSAL_HOST, BYTES(ASKING("::1]")) },
	{ "empty brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[]")) },
	{ "text behind brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[::1]a")) },
	{ "text before brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("a[::1]")) },
	{ "letters in brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[::g]")) },
	{ "IPv4 in brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[192.0.2.1]")) },
	{ "dots in brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[....]")) },
	{ "three colons in brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[:::]")) },
	{ "a group of five digits in brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[12345::]")) },
	{ "nine groups in brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[1:2:3:4:5:6:7:8:9]")) },
	{ "digits only in brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[12]")) },
	{ "a bad port behind brackets", PIPIT_REFUSAL_HOST, BYTES(ASKING("[::1]:x")) },

	/* headers, RFC 9112 §5 */
	{ "a space before the colon", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A : b")) },
	{ "a tab before the colon", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A\t: b")) },
	{ "a space before a length's colon", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("Content-Length : 5")) },
	{ "no name", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH(": b")) },
	{ "no colon", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A")) },
	{ "no colon but a value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A b")) },
	{ "a space in a name", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A B: c")) },
	{ "a NUL in a name", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A\0B: c")) },
	{ "a byte above ASCII in a name", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("\xc3\x84: c")) },
	{ "DEL in a name", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A\x7f: c")) },
	{ "quotes around a name", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("\"A\": c")) },
	{ "brackets in a name", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A[0]: c")) },
	{ "a request line among fields", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("GET / HTTP/1.1")) },
	{ "a fold by a space", PIPIT_REFUSAL_FIELD_FOLDED, BYTES(WITH("A: b\r\n c")) },
	{ "a fold by a tab", PIPIT_REFUSAL_FIELD_FOLDED, BYTES(WITH("A: b\r\n\tc")) },
	{ "a fold of Host", PIPIT_REFUSAL_FIELD_FOLDED, BYTES(LINE HOST " b\r\n\r\n") },
	{ "a fold at the first field (RFC 9112 §2.2)", PIPIT_REFUSAL_FIELD_FOLDED, BYTES(LINE " " HOST "\r\n") },
	{ "a tab at the first field", PIPIT_REFUSAL_FIELD_FOLDED, BYTES(LINE "\t" HOST "\r\n") },
	{ "a line of white space", PIPIT_REFUSAL_FIELD_FOLDED, BYTES(WITH("A: b\r\n \t")) },
	{ "a fold of nothing at the first line", PIPIT_REFUSAL_FIELD_FOLDED, BYTES(LINE " \r\n" HOST "\r\n") },
	{ "a NUL in a value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: b\0c")) },
	{ "a NUL at the end of a value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: b\0")) },
	{ "a bare CR in a value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: b\rc")) },
	{ "a bare CR before a field's end", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: b\r")) },
	{ "a bare CR instead of a field's end", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: b\rC: d")) },
	{ "a bare LF at a field's end", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: b\nC: d")) },
	{ "a bare LF at Host's end", PIPIT_REFUSAL_FIELD_LINE, BYTES(LINE "Host: a\n\r\n") },
	{ "a bare LF in an empty value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A:\nC: d")) },
	{ "a DEL in a value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: b\x7f")) },
	{ "a control byte in a value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: \x01")) },
	{ "an escape byte in a value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: \x1b[31m")) },
	{ "a form feed in a value", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("A: b\fc")) },
	{ "a bare LF at the end of the head", PIPIT_REFUSAL_FIELD_LINE, BYTES(LINE HOST "\n") },
	{ "a bare LF at the end of no fields", PIPIT_REFUSAL_FIELD_LINE, BYTES(LINE "\n") },
	{ "a bare CR at the end of the head", PIPIT_REFUSAL_FIELD_LINE, BYTES(LINE HOST "\rA\r\n") },
	{ "two CRs at the end of the head", PIPIT_REFUSAL_FIELD_LINE, BYTES(LINE HOST "\r\r\n") },
	{ "a field above the limit", PIPIT_REFUSAL_TOO_MANY_FIELDS, BYTES(WITH("A: b\r\nC: d\r\nE: f")),
	    LIMITED(max_fields, 3) },
	{ "a field a byte above the limit", PIPIT_REFUSAL_FIELD_TOO_LARGE, BYTES(WITH("A: 34567")),
	    LIMITED(max_field_bytes, 7) },
	{ "a field name above the limit", PIPIT_REFUSAL_FIELD_TOO_LARGE, BYTES(WITH("ABCDEFGHI: b")),
	    LIMITED(max_field_bytes, 7) },
	{ "space counts for a field's limit", PIPIT_REFUSAL_FIELD_TOO_LARGE, BYTES(WITH("A: 3     ")),
	    LIMITED(max_field_bytes, 7) },
	{ "a field above the limit, malformed behind it", PIPIT_REFUSAL_FIELD_TOO_LARGE, BYTES(WITH("A: 34567\x01")),
	    LIMITED(max_field_bytes, 7) },
	{ "malformed behind the limit of the whole", PIPIT_REFUSAL_HEAD_TOO_LARGE, BYTES(LINE HOST "A: b\x01\r\n\r\n"),
	    LIMITED(max_head_bytes, sizeof(LINE HOST) - 1) },
	{ "malformed before the limit of the whole", PIPIT_REFUSAL_FIELD_LINE, BYTES(LINE HOST "A: b\x01\r\n\r\n"),
	    LIMITED(max_head_bytes, sizeof(LINE HOST) + 4) },
	{ "a byte above the limit", PIPIT_REFUSAL_HEAD_TOO_LARGE, BYTES(LINE HOST "\r\n"),
	    LIMITED(max_head_bytes, sizeof(LINE HOST "\r\n") - 2) },
	{ "a byte above the limit after an empty line", PIPIT_REFUSAL_HEAD_TOO_LARGE, BYTES("\r\n" LINE HOST "\r\n"),
	    LIMITED(max_head_bytes, sizeof(LINE HOST "\r\n") - 2) },
	{ "a request line above the limit", PIPIT_REFUSAL_HEAD_TOO_LARGE, BYTES(TO("/0123456789")),
	    LIMITED(max_head_bytes, 12) },

	/* Content-Length, RFC 9110 §8.6 and RFC 9112 §6.3 */
	{ "an empty length", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length:")) },
	{ "a length of white space", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: \t ")) },
	{ "a plus sign", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: +5")) },
	{ "a minus sign", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: -5")) },
	{ "minus zero", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: -0")) },
	{ "a length in hex", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 0x5")) },
	{ "a hex digit", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: a")) },
	{ "a fraction", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 5.0")) },
	{ "an exponent", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 1e3")) },
	{ "a list of the same", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 5, 5")) },
	{ "a list of different ones", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 5,6")) },
	{ "a list of one and nothing", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 5,")) },
	{ "a space between digits", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 1 2")) },
	{ "a tab between digits", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 1\t2")) },
	{ "a unit", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 5b")) },
	{ "a quoted length", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: \"5\"")) },
	{ "digits above ASCII", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: \xd9\xa5")) },
	{ "two lengths that agree", PIPIT_REFUSAL_CONTENT_LENGTH,
	    BYTES(WITH("Content-Length: 5\r\nContent-Length: 5")) },
	{ "two lengths that differ", PIPIT_REFUSAL_CONTENT_LENGTH,
	    BYTES(WITH("Content-Length: 5\r\nContent-Length: 6")) },
	{ "two lengths of zero", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 0\r\ncontent-length: 0")) },
	{ "2^64", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 18446744073709551616")) },
	{ "2^64 + 5", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 18446744073709551621")) },
	{ "2^63", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(WITH("Content-Length: 9223372036854775808")) },
	{ "a hundred digits' worth", PIPIT_REFUSAL_CONTENT_LENGTH,
	    BYTES(WITH("Content-Length: 99999999999999999999999999999999999999999999999999999999999999999")) },
	{ "a bad length in HTTP/1.0", PIPIT_REFUSAL_CONTENT_LENGTH, BYTES(OLD_WITH("Content-Length: +5")) },
	{ "a vertical tab before a length", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("Content-Length: \v5")) },

	/* Transfer-Encoding, RFC 9112 §6.1 */
	{ "chunked twice in a list", PIPIT_REFUSAL_CODING_WITHOUT_END,
	    BYTES(WITH("Transfer-Encoding: chunked, chunked")) },
	{ "chunked in two fields", PIPIT_REFUSAL_CODING_WITHOUT_END,
	    BYTES(WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")) },
	{ "identity and chunked in two fields", PIPIT_REFUSAL_TRANSFER_CODING,
	    BYTES(WITH("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked")) },
	{ "chunked and identity in two fields", PIPIT_REFUSAL_CODING_WITHOUT_END,
	    BYTES(WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity")) },
	{ "gzip", PIPIT_REFUSAL_CODING_WITHOUT_END, BYTES(WITH("Transfer-Encoding: gzip")) },
	{ "gzip, chunked", PIPIT_REFUSAL_TRANSFER_CODING, BYTES(WITH("Transfer-Encoding: gzip, chunked")) },
	{ "chunked, gzip", PIPIT_REFUSAL_CODING_WITHOUT_END, BYTES(WITH("Transfer-Encoding: chunked, gzip")) },
	{ "identity", PIPIT_REFUSAL_CODING_WITHOUT_END, BYTES(WITH("Transfer-Encoding: identity")) },
	{ "an empty coding", PIPIT_REFUSAL_CODING_WITHOUT_END, BYTES(WITH("Transfer-Encoding:")) },
	{ "a coding that ends in chunked", PIPIT_REFUSAL_CODING_WITHOUT_END,
	    BYTES(WITH("Transfer-Encoding: xchunked")) },
	{ "a coding that begins with chunked", PIPIT_REFUSAL_CODING_WITHOUT_END,
	    BYTES(WITH("Transfer-Encoding: chunkedx")) },
	{ "a parameter of chunked", PIPIT_REFUSAL_CODING_WITHOUT_END, BYTES(WITH("Transfer-Encoding: chunked;a=b")) },
	{ "quotes around chunked", PIPIT_REFUSAL_CODING_WITHOUT_END, BYTES(WITH("Transfer-Encoding: \"chunked\"")) },
	{ "a space in chunked", PIPIT_REFUSAL_CODING_WITHOUT_END, BYTES(WITH("Transfer-Encoding: chun ked")) },
	{ "chunked in HTTP/1.0", PIPIT_REFUSAL_CODING_WITHOUT_END, BYTES(OLD_WITH("Transfer-Encoding: chunked")) },
	{ "a vertical tab before chunked", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("Transfer-Encoding: \vchunked")) },
	{ "a vertical tab behind chunked", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("Transfer-Encoding: chunked\v")) },
	{ "a NUL behind chunked", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("Transfer-Encoding: chunked\0")) },
	{ "a space before a coding's colon", PIPIT_REFUSAL_FIELD_LINE, BYTES(WITH("Transfer-Encoding : chunked")) },
	{ "a folded coding", PIPIT_REFUSAL_FIELD_FOLDED, BYTES(WITH("Transfer-Encoding:\r\n chunked")) },
	{ "a length before a coding", PIPIT_REFUSAL_LENGTH_AND_CODING,
	    BYTES(WITH("Content-Length: 5\r\nTransfer-Encoding: chunked")) },
	{ "a length behind a coding", PIPIT_REFUSAL_LENGTH_AND_CODING,
	    BYTES(WITH("Transfer-Encoding: chunked\r\nContent-Length: 5")) },
	{ "a length of zero and a coding", PIPIT_REFUSAL_LENGTH_AND_CODING,
	    BYTES(WITH("Content-Length: 0\r\nTransfer-Encoding: chunked")) },
	{ "a length and an unknown coding", PIPIT_REFUSAL_LENGTH_AND_CODING,
	    BYTES(WITH("Content-Length: 5\r\nTransfer-Encoding: x")) },
	{ "an unknown coding without a Host", PIPIT_REFUSAL_HOST, BYTES(LINE "Transfer-Encoding: x\r\n\r\n") },
	{ "a URI of https", PIPIT_REFUSAL_SCHEME, BYTES(TO("https://b/c")) },
	{ "a URI of https, scheme in upper case", PIPIT_REFUSAL_SCHEME, BYTES(TO("HTTPS://b/c")) },
	{ "a length and a coding in HTTP/1.0", PIPIT_REFUSAL_LENGTH_AND_CODING,
	    BYTES(OLD_WITH("Content-Length: 5\r\nTransfer-Encoding: chunked")) },

	/* Expect, RFC 9110 §10.1.1 */
	{ "an unknown expectation", PIPIT_REFUSAL_EXPECTATION, BYTES(WITH("Expect: tea")) },
	{ "an unknown expectation beside the known one", PIPIT_REFUSAL_EXPECTATION,
	    BYTES(WITH("Expect: 100-continue, tea")) },
	{ "an unknown expectation in a second field", PIPIT_REFUSAL_EXPECTATION,
	    BYTES(WITH("Expect: 100-continue\r\nExpect: tea")) },
	{ "a parameter of the known expectation", PIPIT_REFUSAL_EXPECTATION, BYTES(WITH("Expect: 100-continue;a=b")) },
};

START_TEST(rejects_what_the_rfc_forbids_with_its_reason)
{
	const struct rejected *refused = &rejected[_i];
	struct judgement judgement;

	begin(&judgement, refused->idea);
	show(&judgement, refused->bytes, refused->length, &refused->limits);
	expect_rejected(&judgement, refused->reason);
	for (size_t i = 0; i < COUNT(tails); i++) {
		char bytes[1024];
		memcpy(bytes, refused->bytes, refused->length);
		memcpy(bytes + refused->length, tails[i].data, tails[i].length);
		begin(&judgement, refused->idea);
		show(&judgement, bytes, refused->length + tails[i].length, &refused->limits);
		expect_rejected(&judgement, refused->reason);
	}
}
END_TEST

START_TEST(rejects_a_head_that_arrives_byte_by_byte_for_the_same_reason)
{
	const struct rejected *refused = &rejected[_i];
	struct judgement judgement;

	begin(&judgement, refused->idea);
	show_byte_by_byte(&judgement, refused->bytes, refused->length, &refused->limits);
	expect_rejected(&judgement, refused->reason);
}
END_TEST

/* Reject before the line ends: no byte that may follow can make it a request. */
START_TEST(rejects_at_the_same_byte_however_a_head_arrives)
{
	const struct rejected *refused = &rejected[_i];
	struct judgement whole, grown;

	begin(&grown, refused->idea);
	for (size_t length = 1; length <= refused->length; length++) {
		begin(&whole, refused->idea);
		show(&whole, refused->bytes, length, &refused->limits);
		show(&grown, refused->bytes, length, &refused->limits);
		ck_assert_msg(whole.verdict == grown.verdict, "%s: after %zu bytes %d when whole, %d when grown",
		    refused->idea, length, whole.verdict, grown.verdict);
		if (whole.verdict != PIPIT_GUARD_MORE)
			break;
	}
	expect_rejected(&grown, refused->reason);
}
END_TEST

START_TEST(never_passes_a_prefix_of_what_it_rejects)
{
	const struct rejected *refused = &rejected[_i];
	struct judgement judgement;

	for (size_t cut = 0; cut < refused->length; cut++) {
		begin(&judgement, refused->idea);
		show(&judgement, refused->bytes, cut, &refused->limits);
		if (judgement.verdict == PIPIT_GUARD_MORE)
			show(&judgement, refused->bytes, refused->length, &refused->limits);
		expect_rejected(&judgement, refused->reason);
	}
}
END_TEST

static const struct {
	const char *bytes;
	unsigned method;
	uint8_t minor;
} reached_cases[] = {
	{ "\x01\r\n", 0, 0 },
	{ "BREW / HTTP/1.1\r\n" HOST "\r\n", 0, 1 },
	{ "TRACE / HTTP/1.1\r\n" HOST "\r\n", 0, 1 },
	{ "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 0, 1 },
	{ "TRACE # HTTP/1.1\r\n", 0, 0 },
	{ "HEAD # HTTP/1.1\r\n", PIPIT_HEAD, 0 },
	{ "HEAD / HTTP/2.0\r\n", PIPIT_HEAD, 0 },
	{ "HEAD / HTTP/1.0\r\nA b\r\n", PIPIT_HEAD, 0 },
	{ "HEAD / HTTP/1.1\r\nA b\r\n", PIPIT_HEAD, 1 },
	{ "\r\nHEAD / HTTP/1.1\r\n\r\n", PIPIT_HEAD, 1 },
	{ "PUT / HTTP/1.1\r\n" HOST "Content-Length: x\r\n", PIPIT_PUT, 1 },
	{ "\rHEAD / HTTP/1.1\r\n\r\n", 0, 0 },
};

START_TEST(gives_method_and_version_of_a_rejected_head_once_parsed)
{
	const char *bytes = reached_cases[_i].bytes;
	struct judgement judgement;

	begin(&judgement, bytes);
	show(&judgement, bytes, strlen(bytes), &no_limits);
	ck_assert_int_eq(judgement.verdict, PIPIT_GUARD_REJECT);
	ck_assert_uint_eq(judgement.head.method, reached_cases[_i].method);
	ck_assert_uint_eq(judgement.head.minor, reached_cases[_i].minor);
}
END_TEST

/* ---------------------------------------------------------------- every byte at one place */

static void judge_text(struct judgement *judgement, const char *before, unsigned char byte, const char *after)
{
	char bytes[256];
	size_t length = strlen(before);

	memcpy(bytes, before, length);
	bytes[length++] = (char)byte;
	memcpy(bytes + length, after, strlen(after));
	length += strlen(after);
	begin(judgement, before);
	show(judgement, bytes, length, &no_limits);
	if (judgement->verdict == PIPIT_GUARD_PASS)
		expect_sane(judgement, bytes, length);
}

static void expect_verdict(const struct judgement *judgement, enum pipit_refusal reason, unsigned byte)
{
	enum pipit_guard_verdict verdict = reason == PIPIT_REFUSAL_NONE ? PIPIT_GUARD_PASS : PIPIT_GUARD_REJECT;

	ck_assert_msg(judgement->verdict == verdict && (verdict == PIPIT_GUARD_PASS || judgement->reason == reason),
	    "byte %#x after \"%s\": verdict %d, reason %d", byte, judgement->idea, judgement->verdict,
	    judgement->reason);
}

START_TEST(decides_for_every_byte_whether_a_method_may_hold_it)
{
	struct judgement judgement;

	for (unsigned byte = 0; byte < 256; byte++) {
		enum pipit_refusal reason = is_token_char((unsigned char)byte) ? PIPIT_REFUSAL_METHOD_UNKNOWN
					    : byte == ' '                      ? PIPIT_REFUSAL_TARGET
									       : PIPIT_REFUSAL_REQUEST_LINE;
		judge_text(&judgement, "G", (unsigned char)byte, "T / HTTP/1.1\r\n" HOST "\r\n");
		if (byte == 'E')
			reason = PIPIT_REFUSAL_NONE;
		expect_verdict(&judgement, reason, byte);
	}
}
END_TEST

START_TEST(decides_for_every_byte_whether_a_target_may_hold_it)
{
	struct judgement judgement;

	for (unsigned byte = 0; byte < 256; byte++) {
		bool ends_target = byte == ' ' || byte == '\r' || byte == '\n';
		enum pipit_refusal reason = is_target_char((unsigned char)byte) ? PIPIT_REFUSAL_NONE
					    : ends_target                       ? PIPIT_REFUSAL_REQUEST_LINE
										: PIPIT_REFUSAL_TARGET;
		judge_text(&judgement, "GET /a", (unsigned char)byte, "z HTTP/1.1\r\n" HOST "\r\n");
		expect_verdict(&judgement, reason, byte);
	}
}
END_TEST

START_TEST(decides_for_every_byte_whether_a_host_may_hold_it)
{
	struct judgement judgement;

	for (unsigned byte = 0; byte < 256; byte++) {
		bool is_ours = byte > 0x20 && byte < 0x7f && !strchr("\"#%/:<>?@[\\]^`{|}", (int)byte);
		enum pipit_refusal reason = is_ours                              ? PIPIT_REFUSAL_NONE
					    : is_value_char((unsigned char)byte) ? PIPIT_REFUSAL_HOST
										 : PIPIT_REFUSAL_FIELD_LINE;
		judge_text(&judgement, LINE "Host: a", (unsigned char)byte, "z\r\n\r\n");
		expect_verdict(&judgement, reason, byte);
	}
}
END_TEST

/* Names, like values, are scanned several bytes at a time: every byte at every place, after letters, '-' and others. */
START_TEST(decides_for_every_byte_whether_a_header_name_may_hold_it)
{
	static const char text[] = "a-A-zZ--aZ`9a-~zA|Zz-a";
	struct judgement judgement;

	for (unsigned byte = 0; byte < 256; byte++) {
		bool is_ours = is_token_char((unsigned char)byte) || byte == ':';
		for (size_t place = 0; place < sizeof text; place++) {
			char before[64], after[64];
			snprintf(before, sizeof before, "%sA%.*s", LINE HOST, (int)place, text);
			snprintf(after, sizeof after, "%s: c\r\n\r\n", text + place);
			judge_text(&judgement, before, (unsigned char)byte, after);
			expect_verdict(&judgement, is_ours ? PIPIT_REFUSAL_NONE : PIPIT_REFUSAL_FIELD_LINE, byte);
		}
	}
}
END_TEST

/* Values are scanned several bytes at a time: every byte at every place of such a group and around it. */
START_TEST(decides_for_every_byte_whether_a_header_value_may_hold_it)
{
	static const char text[] = "a\x80 zA~\xff\x09!b0123456789";
	struct judgement judgement;

	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t place = 0; place < sizeof text; place++) {
			char before[64], after[64];
			snprintf(before, sizeof before, "%sA: %.*s", LINE HOST, (int)place, text);
			snprintf(after, sizeof after, "%s\r\n\r\n", text + place);
			judge_text(&judgement, before, (unsigned char)byte, after);
			expect_verdict(&judgement,
			    is_value_char((unsigned char)byte) ? PIPIT_REFUSAL_NONE : PIPIT_REFUSAL_FIELD_LINE, byte);
		}
	}
}
END_TEST

/* ---------------------------------------------------------------- sizes */

/* A valid head with `count` headers, the first of them Host; returns its length. */
static size_t build_fields(char *bytes, size_t size, unsigned count)
{
	int length = snprintf(bytes, size, LINE HOST);

	for (unsigned i = 1; i < count; i++)
		length += snprintf(bytes + length, size - (size_t)length, "F%u: v\r\n", i);
	length += snprintf(bytes + length, size - (size_t)length, "\r\n");
	ck_assert_int_lt(length, (int)size);
	return (size_t)length;
}

static const struct {
	uint32_t max_fields;
	unsigned most;
} field_limits[] = {
	{ 0, PIPIT_GUARD_FIELDS_MAX },
	{ PIPIT_GUARD_FIELDS_MAX, PIPIT_GUARD_FIELDS_MAX },
	{ PIPIT_GUARD_FIELDS_MAX + 1, PIPIT_GUARD_FIELDS_MAX },
	{ UINT32_MAX, PIPIT_GUARD_FIELDS_MAX },
	{ 100, 100 },
	{ 1, 1 },
};

START_TEST(accepts_headers_up_to_the_limit_on_their_number)
{
	struct pipit_guard_limits limits = { .max_fields = field_limits[_i].max_fields };
	unsigned most = field_limits[_i].most;
	struct judgement whole, stepwise;
	char bytes[8192];
	size_t length = build_fields(bytes, sizeof bytes, most);

	begin(&whole, "as many");
	show(&whole, bytes, length, &limits);
	ck_assert_int_eq(whole.verdict, PIPIT_GUARD_PASS);
	ck_assert_uint_eq(whole.head.field_count, most);
	expect_sane(&whole, bytes, length);
	begin(&stepwise, "as many, byte by byte");
	show_byte_by_byte(&stepwise, bytes, length, &limits);
	expect_same(&whole, &stepwise);

	length = build_fields(bytes, sizeof bytes, most + 1);
	begin(&whole, "one more");
	show(&whole, bytes, length, &limits);
	expect_rejected(&whole, PIPIT_REFUSAL_TOO_MANY_FIELDS);
	begin(&stepwise, "one more, byte by byte");
	show_byte_by_byte(&stepwise, bytes, length, &limits);
	expect_same(&whole, &stepwise);
}
END_TEST

/* A valid head of exactly `length` bytes. */
static void build_head(char *bytes, size_t length)
{
	static const char start[] = LINE HOST "A: ";

	memset(bytes, 'v', length);
	memcpy(bytes, start, sizeof start - 1);
	memcpy(bytes + length - 4, "\r\n\r\n", 4);
}

START_TEST(accepts_a_head_up_to_the_limit_on_its_bytes)
{
	static const struct pipit_guard_limits limits = { 16384, 8192, 100, 0, false };
	static char bytes[16385];
	struct judgement judgement;

	build_head(bytes, 16384);
	begin(&judgement, "as many");
	show(&judgement, bytes, 16384, &limits);
	ck_assert_int_eq(judgement.verdict, PIPIT_GUARD_PASS);
	begin(&judgement, "as many, byte by byte");
	show_byte_by_byte(&judgement, bytes, 16384, &limits);
	ck_assert_int_eq(judgement.verdict, PIPIT_GUARD_PASS);
	build_head(bytes, 16385);
	begin(&judgement, "one more");
	show(&judgement, bytes, 16385, &limits);
	expect_rejected(&judgement, PIPIT_REFUSAL_HEAD_TOO_LARGE);
	begin(&judgement, "one more, byte by byte");
	show_byte_by_byte(&judgement, bytes, 16385, &limits);
	expect_rejected(&judgement, PIPIT_REFUSAL_HEAD_TOO_LARGE);
}
END_TEST

/* A line without end must be rejected at the limit. */
START_TEST(rejects_an_endless_line_as_soon_as_it_exceeds_the_limit)
{
	static const struct pipit_guard_limits limits = { 512, 0, 0, 0, false };
	struct judgement judgement;
	char bytes[513];

	memset(bytes, 'v', sizeof bytes);
	memcpy(bytes, LINE "A: ", sizeof LINE + 2);
	begin(&judgement, "a field without end");
	show_byte_by_byte(&judgement, bytes, 512, &limits);
	expect_more(&judgement, 512);
	show(&judgement, bytes, 513, &limits);
	expect_rejected(&judgement, PIPIT_REFUSAL_HEAD_TOO_LARGE);
}
END_TEST

/*
 * `checked` makes this possible: of a head sent byte by byte only the growing line is scanned, so changes in earlier ones are
 * not seen.
 */
START_TEST(scans_only_the_line_that_grows)
{
	char bytes[] = LINE HOST "A: bc";
	struct judgement judgement;

	begin(&judgement, "a field that grows");
	show(&judgement, bytes, sizeof bytes - 2, &no_limits);
	expect_more(&judgement, sizeof bytes - 2);
	bytes[0] = '\0';
	show(&judgement, bytes, sizeof bytes - 1, &no_limits);
	expect_more(&judgement, sizeof bytes - 1);
	judgement.checked = 0;
	show(&judgement, bytes, sizeof bytes - 1, &no_limits);
	expect_rejected(&judgement, PIPIT_REFUSAL_REQUEST_LINE);
}
END_TEST

START_TEST(rejects_an_endless_target_before_the_line_ends)
{
	static const struct pipit_guard_limits limits = { 0, 16, 0, 0, false };
	static const char bytes[] = "GET /0123456789abcdef";
	struct judgement judgement;

	begin(&judgement, "a target without end");
	show(&judgement, bytes, sizeof bytes - 2, &limits);
	expect_more(&judgement, sizeof bytes - 2);
	begin(&judgement, "a target without end");
	show(&judgement, bytes, sizeof bytes - 1, &limits);
	expect_rejected(&judgement, PIPIT_REFUSAL_TARGET_TOO_LONG);
}
END_TEST

START_TEST(finds_the_first_header_of_a_name_in_any_case)
{
	static const char bytes[] = LINE "A: 1\r\n" HOST "a: 2\r\nAb: 3\r\nEmpty:\r\n\r\n";
	const struct pipit_guard_field *field;
	struct judgement judgement;

	begin(&judgement, "find");
	show(&judgement, bytes, sizeof bytes - 1, &no_limits);
	ck_assert_int_eq(judgement.verdict, PIPIT_GUARD_PASS);
	ck_assert_ptr_eq(pipit_guard_find(&judgement.head, "A"), &judgement.head.fields[0]);
	ck_assert_ptr_eq(pipit_guard_find(&judgement.head, "a"), &judgement.head.fields[0]);
	ck_assert_ptr_eq(pipit_guard_find(&judgement.head, "HOST"), &judgement.head.fields[1]);
	ck_assert_ptr_eq(pipit_guard_find(&judgement.head, "aB"), &judgement.head.fields[3]);
	field = pipit_guard_find(&judgement.head, "empty");
	ck_assert_ptr_nonnull(field);
	ck_assert_uint_eq(field->value_length, 0);
	ck_assert_ptr_null(pipit_guard_find(&judgement.head, "Abc"));
	ck_assert_ptr_null(pipit_guard_find(&judgement.head, "Emp"));
	ck_assert_ptr_null(pipit_guard_find(&judgement.head, ""));
}
END_TEST

/* ---------------------------------------------------------------- valid chunked bodies */

#define CHUNK_BYTES 8192

struct unframed {
	const char *idea;
	enum pipit_guard_chunk verdict;
	enum pipit_refusal reason;
	size_t consumed, length;
	struct pipit_guard_chunked state;
	char data[CHUNK_BYTES];
};

static void begin_chunked(struct unframed *unframed, const char *idea)
{
	unframed->idea = idea;
	unframed->verdict = PIPIT_CHUNK_MORE;
	unframed->reason = PIPIT_REFUSAL_NONE;
	unframed->consumed = unframed->length = 0;
	unframed->state = (struct pipit_guard_chunked){ 0 };
}

/* The data is the last used part of the input, and never empty. */
static void collect(struct unframed *unframed, struct pipit_slice data, const char *used)
{
	if (data.length == 0 || data.data + data.length != used || unframed->length + data.length > CHUNK_BYTES)
		ck_abort_msg("%s: %zu bytes of data", unframed->idea, data.length);
	memcpy(unframed->data + unframed->length, data.data, data.length);
	unframed->length += data.length;
}

/* Decodes one piece, until it is used up or the body ends. */
static void show_piece(
    struct unframed *unframed, const char *bytes, size_t length, const struct pipit_guard_limits *limits)
{
	const char *piece = guarded_copy(bytes, length);

	for (size_t at = 0; unframed->verdict != PIPIT_CHUNK_END && unframed->verdict != PIPIT_CHUNK_REJECT;) {
		struct pipit_slice data = { NULL, 0 };
		size_t consumed = SIZE_MAX;
		unframed->verdict = pipit_guard_chunked(
		    &unframed->state, piece + at, length - at, limits, &consumed, &data, &unframed->reason);
		if (unframed->verdict == PIPIT_CHUNK_REJECT)
			return;
		if (consumed > length - at || (unframed->verdict == PIPIT_CHUNK_MORE && consumed != length - at))
			ck_abort_msg("%s: %zu of %zu bytes used", unframed->idea, consumed, length - at);
		unframed->consumed += consumed;
		at += consumed;
		if (unframed->verdict == PIPIT_CHUNK_MORE)
			return;
		if (unframed->verdict == PIPIT_CHUNK_DATA)
			collect(unframed, data, piece + at);
	}
}

static void show_pieces(
    struct unframed *unframed, const char *bytes, size_t length, size_t step, const struct pipit_guard_limits *limits)
{
	for (size_t at = 0; at < length; at += step)
		show_piece(unframed, bytes + at, length - at < step ? length - at : step, limits);
}

#define HELLO(extension) BYTES("5" extension "\r\nhello\r\n0\r\n\r\n"), DATA("hello")
#define TRAILED(trailers) BYTES("5\r\nhello\r\n0\r\n" trailers "\r\n"), DATA("hello")
#define DATA(literal) .data = literal, .data_length = sizeof(literal) - 1

static const struct {
	const char *idea;
	const char *bytes;
	size_t length;
	const char *data;
	size_t data_length;
	struct pipit_guard_limits limits;
} framed[] = {
	/* chunks, RFC 9112 §7.1 */
	{ "nothing", BYTES("0\r\n\r\n"), DATA("") },
	{ "one chunk", HELLO("") },
	{ "three chunks", BYTES("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n"), DATA("abcdef") },
	{ "a digit of lower case", BYTES("a\r\n0123456789\r\n0\r\n\r\n"), DATA("0123456789") },
	{ "a digit of upper case", BYTES("A\r\n0123456789\r\n0\r\n\r\n"), DATA("0123456789") },
	{ "the highest digits", BYTES("f\r\n0123456789abcde\r\nF\r\n0123456789ABCDE\r\n0\r\n\r\n"),
	    DATA("0123456789abcde0123456789ABCDE") },
	{ "two digits", BYTES("1B\r\nabcdefghijklmnopqrstuvwxyz.\r\n0\r\n\r\n"), DATA("abcdefghijklmnopqrstuvwxyz.") },
	{ "a leading zero", BYTES("05\r\nhello\r\n0\r\n\r\n"), DATA("hello") },
	{ "sixteen digits", BYTES("0000000000000005\r\nhello\r\n0\r\n\r\n"), DATA("hello") },
	{ "a last chunk of several zeros", BYTES("5\r\nhello\r\n000\r\n\r\n"), DATA("hello") },
	{ "a last chunk of sixteen zeros", BYTES("5\r\nhello\r\n0000000000000000\r\n\r\n"), DATA("hello") },
	{ "line ends in the data", BYTES("4\r\n\r\n\r\n\r\n0\r\n\r\n"), DATA("\r\n\r\n") },
	{ "a last chunk in the data", BYTES("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), DATA("0\r\n\r\n") },
	{ "every kind of byte in the data", BYTES("5\r\n\0\xff\x7f\n\r\r\n0\r\n\r\n"), DATA("\0\xff\x7f\n\r") },

	/* extensions, §7.1.1 */
	{ "a name", HELLO(";a") },
	{ "a name and a token", HELLO(";a=b") },
	{ "a name and a quoted string", HELLO(";a=\"b\"") },
	{ "an empty quoted string", HELLO(";a=\"\"") },
	{ "several extensions", HELLO(";a;b=c;d=\"e\";f") },
	{ "every token character", HELLO(";" TOKEN_CHARS "=" TOKEN_CHARS) },
	{ "a space before the semicolon", HELLO(" ;a") },
	{ "white space before the semicolon", HELLO("\t \t;a") },
	{ "white space behind the semicolon", HELLO("; \ta") },
	{ "white space before the equals sign", HELLO(";a \t=b") },
	{ "white space behind the equals sign", HELLO(";a= \tb") },
	{ "white space before a quoted string", HELLO(";a= \"b\"") },
	{ "white space between extensions", HELLO(" ; a ; b = c ; d = \"e\" ; f") },
	{ "framing in a quoted string", HELLO(";a=\";b=c 5, \"") },
	{ "a tab in a quoted string", HELLO(";a=\"\t\"") },
	{ "obs-text in a quoted string", HELLO(";a=\"\x80\xff\"") },
	{ "every visible character but two in a quoted string", HELLO(";a=\"!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~\"") },
	{ "an escaped quote", HELLO(";a=\"b\\\"c\"") },
	{ "an escaped backslash at the end", HELLO(";a=\"\\\\\"") },
	{ "escapes of white space, letters and obs-text", HELLO(";a=\"\\ \\\t\\b\\\xff\"") },
	{ "an extension of the last chunk", BYTES("0;a=\"b\";c\r\n\r\n"), DATA("") },
	{ "an extension of every chunk", BYTES("1;a\r\nx\r\n1;b\r\ny\r\n0;c\r\n\r\n"), DATA("xy") },

	/* trailers, §7.1.2 */
	{ "a trailer", TRAILED("A: b\r\n") },
	{ "several trailers", TRAILED("A: b\r\nC: d\r\nA: e\r\n") },
	{ "a trailer without space", TRAILED("A:b\r\n") },
	{ "an empty trailer", TRAILED("A:\r\n") },
	{ "white space in a trailer", TRAILED("A: \tb c\t \r\n") },
	{ "obs-text in a trailer", TRAILED("A: \x80\xff\r\n") },
	{ "every token character in a trailer's name", TRAILED(TOKEN_CHARS ": b\r\n") },
	{ "trailers that would mean something in a head",
	    TRAILED("Content-Length: 7\r\nTransfer-Encoding: x\r\nHost: ?\r\n") },
	{ "as many trailers as the limit", TRAILED("A: b\r\nC: d\r\n"), LIMITED(max_fields, 2) },
	{ "trailers as large as the limit", TRAILED("A: 3456\r\n"),
	    LIMITED(max_head_bytes, sizeof "A: 3456\r\n\r\n" - 1) },
	{ "a trailer field as large as the limit", TRAILED("A: b\r\nA: 3456\r\nC: d\r\n"),
	    LIMITED(max_field_bytes, 7) },
	{ "no trailer, and a limit of a byte on fields", TRAILED(""), LIMITED(max_field_bytes, 1) },
};

static void expect_framed(const struct unframed *unframed, size_t i)
{
	ck_assert_msg(unframed->verdict == PIPIT_CHUNK_END, "%s: verdict %d, reason %d", unframed->idea,
	    unframed->verdict, unframed->reason);
	ck_assert_msg(unframed->consumed == framed[i].length, "%s: %zu bytes used", unframed->idea, unframed->consumed);
	ck_assert_msg(
	    unframed->length == framed[i].data_length && memcmp(unframed->data, framed[i].data, unframed->length) == 0,
	    "%s: data \"%.*s\"", unframed->idea, (int)unframed->length, unframed->data);
}

START_TEST(decodes_chunks_however_they_arrive)
{
	const char *bytes = framed[_i].bytes;
	size_t length = framed[_i].length;
	static struct unframed unframed;

	for (size_t step = 1; step <= length; step++) {
		begin_chunked(&unframed, framed[_i].idea);
		show_pieces(&unframed, bytes, length, step, &framed[_i].limits);
		expect_framed(&unframed, (size_t)_i);
	}
	for (size_t cut = 0; cut < length; cut++) {
		begin_chunked(&unframed, framed[_i].idea);
		show_piece(&unframed, bytes, cut, &framed[_i].limits);
		ck_assert_msg(unframed.verdict == PIPIT_CHUNK_MORE, "%s: ends after %zu", framed[_i].idea, cut);
		ck_assert_int_eq(memcmp(unframed.data, framed[_i].data, unframed.length), 0);
		show_piece(&unframed, bytes + cut, length - cut, &framed[_i].limits);
		expect_framed(&unframed, (size_t)_i);
	}
}
END_TEST

START_TEST(leaves_the_bytes_after_a_chunked_body)
{
	static struct unframed unframed;
	char bytes[512];

	for (size_t i = 0; i < COUNT(tails); i++) {
		memcpy(bytes, framed[_i].bytes, framed[_i].length);
		memcpy(bytes + framed[_i].length, tails[i].data, tails[i].length);
		begin_chunked(&unframed, framed[_i].idea);
		show_piece(&unframed, bytes, framed[_i].length + tails[i].length, &framed[_i].limits);
		expect_framed(&unframed, (size_t)_i);
	}
}
END_TEST

/* ---------------------------------------------------------------- invalid chunked bodies */

#define SIZED(size) BYTES(size "\r\nhello\r\n0\r\n\r\n")
#define EXTENDED(extension) BYTES("5;" extension "\r\nhello\r\n0\r\n\r\n")
#define LAST(trailers) BYTES("0\r\n" trailers "\r\n\r\n")

static const struct rejected misframed[] = {
	/* sizes, RFC 9112 §7.1 */
	{ "no size", PIPIT_REFUSAL_CHUNK, SIZED("") },
	{ "a letter that is no digit", PIPIT_REFUSAL_CHUNK, SIZED("g") },
	{ "a letter behind the size", PIPIT_REFUSAL_CHUNK, SIZED("5g") },
	{ "a minus sign", PIPIT_REFUSAL_CHUNK, SIZED("-5") },
	{ "a plus sign", PIPIT_REFUSAL_CHUNK, SIZED("+5") },
	{ "a prefix for hex", PIPIT_REFUSAL_CHUNK, SIZED("0x5") },
	{ "a space before the size", PIPIT_REFUSAL_CHUNK, SIZED(" 5") },
	{ "a tab before the size", PIPIT_REFUSAL_CHUNK, SIZED("\t5") },
	{ "a space behind the size", PIPIT_REFUSAL_CHUNK, SIZED("5 ") },
	{ "a tab behind the size", PIPIT_REFUSAL_CHUNK, SIZED("5\t") },
	{ "a space within the size", PIPIT_REFUSAL_CHUNK, SIZED("0 5") },
	{ "a list", PIPIT_REFUSAL_CHUNK, SIZED("5,5") },
	{ "a fraction", PIPIT_REFUSAL_CHUNK, SIZED("5.0") },
	{ "a quoted size", PIPIT_REFUSAL_CHUNK, SIZED("\"5\"") },
	{ "a NUL behind the size", PIPIT_REFUSAL_CHUNK, SIZED("5\0") },
	{ "a vertical tab behind the size", PIPIT_REFUSAL_CHUNK, SIZED("5\v") },
	{ "a bare LF behind the size", PIPIT_REFUSAL_CHUNK, BYTES("5\nhello\r\n0\r\n\r\n") },
	{ "a bare CR behind the size", PIPIT_REFUSAL_CHUNK, BYTES("5\rhello\r\n0\r\n\r\n") },
	{ "two CRs behind the size", PIPIT_REFUSAL_CHUNK, BYTES("5\r\r\nhello\r\n0\r\n\r\n") },
	{ "seventeen digits", PIPIT_REFUSAL_CHUNK, SIZED("00000000000000005") },
	{ "seventeen zeros", PIPIT_REFUSAL_CHUNK, BYTES("00000000000000000\r\n\r\n") },
	{ "2^64", PIPIT_REFUSAL_CHUNK, SIZED("10000000000000000") },
	{ "2^64 + 5", PIPIT_REFUSAL_CHUNK, SIZED("10000000000000005") },
	{ "2^64 - 1", PIPIT_REFUSAL_CHUNK, SIZED("ffffffffffffffff") },
	{ "2^63", PIPIT_REFUSAL_CHUNK, SIZED("8000000000000000") },
	{ "an empty line before the size", PIPIT_REFUSAL_CHUNK, BYTES("\r\n5\r\nhello\r\n0\r\n\r\n") },

	/* extensions, §7.1.1 */
	{ "an extension and no size", PIPIT_REFUSAL_CHUNK, SIZED(";a") },
	{ "a semicolon only", PIPIT_REFUSAL_CHUNK, EXTENDED("") },
	{ "a semicolon and a space", PIPIT_REFUSAL_CHUNK, EXTENDED(" ") },
	{ "two semicolons", PIPIT_REFUSAL_CHUNK, EXTENDED(";a") },
	{ "a semicolon at the end", PIPIT_REFUSAL_CHUNK, EXTENDED("a;") },
	{ "no name of an extension", PIPIT_REFUSAL_CHUNK, EXTENDED("=b") },
	{ "an equals sign and no value", PIPIT_REFUSAL_CHUNK, EXTENDED("a=") },
	{ "an equals sign, a space and no value", PIPIT_REFUSAL_CHUNK, EXTENDED("a= ") },
	{ "an equals sign, no value and another extension", PIPIT_REFUSAL_CHUNK, EXTENDED("a=;b") },
	{ "two values", PIPIT_REFUSAL_CHUNK, EXTENDED("a=b=c") },
	{ "two names", PIPIT_REFUSAL_CHUNK, EXTENDED("a b") },
	{ "two values with a space", PIPIT_REFUSAL_CHUNK, EXTENDED("a=b c") },
	{ "a space behind a name", PIPIT_REFUSAL_CHUNK, EXTENDED("a ") },
	{ "a space behind a value", PIPIT_REFUSAL_CHUNK, EXTENDED("a=b ") },
	{ "a space behind a quoted string", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"b\" ") },
	{ "text behind a quoted string", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"b\"c") },
	{ "a quoted string behind a token", PIPIT_REFUSAL_CHUNK, EXTENDED("a=b\"c\"") },
	{ "a quoted name", PIPIT_REFUSAL_CHUNK, EXTENDED("\"a\"=b") },
	{ "an open quoted string", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"b") },
	{ "an escape of the line's end", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"b\\") },
	{ "a NUL in a quoted string", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"\0\"") },
	{ "a DEL in a quoted string", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"\x7f\"") },
	{ "a bare LF in a quoted string", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"\n\"") },
	{ "a bare CR in a quoted string", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"\r\"") },
	{ "an escaped control byte", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\"\\\x01\"") },
	{ "a byte above ASCII in a name", PIPIT_REFUSAL_CHUNK, EXTENDED("\xc3\xa9") },
	{ "a byte above ASCII in a token", PIPIT_REFUSAL_CHUNK, EXTENDED("a=\xc3\xa9") },
	{ "a bare LF behind a name", PIPIT_REFUSAL_CHUNK, BYTES("5;a\nhello\r\n0\r\n\r\n") },
	{ "a bare LF behind a token", PIPIT_REFUSAL_CHUNK, BYTES("5;a=b\nhello\r\n0\r\n\r\n") },
	{ "a bare LF behind a quoted string", PIPIT_REFUSAL_CHUNK, BYTES("5;a=\"b\"\nhello\r\n0\r\n\r\n") },
	{ "a bare CR behind a name", PIPIT_REFUSAL_CHUNK, BYTES("5;a\rhello\r\n0\r\n\r\n") },

	/* data */
	{ "a byte too many", PIPIT_REFUSAL_CHUNK, BYTES("5\r\nhello!\r\n0\r\n\r\n") },
	{ "a byte too few", PIPIT_REFUSAL_CHUNK, BYTES("6\r\nhello\r\n0\r\n\r\n") },
	{ "no line end", PIPIT_REFUSAL_CHUNK, BYTES("5\r\nhello0\r\n\r\n") },
	{ "a bare LF behind the data", PIPIT_REFUSAL_CHUNK, BYTES("5\r\nhello\n0\r\n\r\n") },
	{ "a bare CR behind the data", PIPIT_REFUSAL_CHUNK, BYTES("5\r\nhello\r0\r\n\r\n") },
	{ "two CRs behind the data", PIPIT_REFUSAL_CHUNK, BYTES("5\r\nhello\r\r\n0\r\n\r\n") },
	{ "an empty line behind the data", PIPIT_REFUSAL_CHUNK, BYTES("5\r\nhello\r\n\r\n0\r\n\r\n") },

	/* the end, §7.1.2 */
	{ "a bare LF behind the last chunk", PIPIT_REFUSAL_CHUNK, BYTES("0\n\r\n") },
	{ "a bare LF at the end", PIPIT_REFUSAL_CHUNK, BYTES("0\r\n\n") },
	{ "a bare CR at the end", PIPIT_REFUSAL_CHUNK, BYTES("0\r\n\rA") },
	{ "a request in place of the end", PIPIT_REFUSAL_CHUNK, BYTES("0\r\n" LINE HOST "\r\n") },
	{ "a trailer without a colon", PIPIT_REFUSAL_CHUNK, LAST("A") },
	{ "a trailer without a name", PIPIT_REFUSAL_CHUNK, LAST(": b") },
	{ "a space before a trailer's colon", PIPIT_REFUSAL_CHUNK, LAST("A : b") },
	{ "a fold at the first trailer", PIPIT_REFUSAL_CHUNK, LAST(" A: b") },
	{ "a fold at a later trailer", PIPIT_REFUSAL_CHUNK, LAST("A: b\r\n c") },
	{ "a byte above ASCII in a trailer's name", PIPIT_REFUSAL_CHUNK, LAST("\xc3\x84: b") },
	{ "a NUL in a trailer", PIPIT_REFUSAL_CHUNK, LAST("A: \0") },
	{ "a DEL in a trailer", PIPIT_REFUSAL_CHUNK, LAST("A: \x7f") },
	{ "a control byte in a trailer", PIPIT_REFUSAL_CHUNK, LAST("A: \x01") },
	{ "a bare CR in a trailer", PIPIT_REFUSAL_CHUNK, LAST("A: b\rc") },
	{ "a bare LF at a trailer's end", PIPIT_REFUSAL_CHUNK, LAST("A: b\nC: d") },
	{ "a trailer above the limit", PIPIT_REFUSAL_TOO_MANY_FIELDS, LAST("A: b\r\nC: d\r\nE: f"),
	    LIMITED(max_fields, 2) },
	{ "a trailer field a byte above the limit", PIPIT_REFUSAL_FIELD_TOO_LARGE, LAST("A: b\r\nA: 34567\r\nC: d"),
	    LIMITED(max_field_bytes, 7) },
	{ "trailers larger than the limit", PIPIT_REFUSAL_HEAD_TOO_LARGE, LAST("A: 3456789"),
	    LIMITED(max_head_bytes, sizeof "A: 345678\r\n" - 1) },
	{ "trailers a byte larger than the limit", PIPIT_REFUSAL_HEAD_TOO_LARGE, LAST("A: 3456"),
	    LIMITED(max_head_bytes, sizeof "A: 3456\r\n\r\n" - 2) },
	{ "several trailers larger than the limit", PIPIT_REFUSAL_HEAD_TOO_LARGE, LAST("A: 1\r\nB: 2\r\nC: 3"),
	    LIMITED(max_head_bytes, 12) },
};

static void expect_misframed(const struct unframed *unframed, size_t i)
{
	ck_assert_msg(unframed->verdict == PIPIT_CHUNK_REJECT, "%s: verdict %d", unframed->idea, unframed->verdict);
	ck_assert_msg(unframed->reason == misframed[i].reason, "%s: reason %s", unframed->idea,
	    pipit_refusal_entry(unframed->reason)->label);
}

START_TEST(rejects_invalid_chunks_however_they_arrive)
{
	const struct rejected *refused = &misframed[_i];
	static struct unframed unframed;

	for (size_t step = 1; step <= refused->length; step++) {
		begin_chunked(&unframed, refused->idea);
		show_pieces(&unframed, refused->bytes, refused->length, step, &refused->limits);
		expect_misframed(&unframed, (size_t)_i);
	}
	for (size_t cut = 0; cut < refused->length; cut++) {
		begin_chunked(&unframed, refused->idea);
		show_piece(&unframed, refused->bytes, cut, &refused->limits);
		ck_assert_msg(unframed.verdict != PIPIT_CHUNK_END, "%s: ends after %zu", refused->idea, cut);
		show_piece(&unframed, refused->bytes + cut, refused->length - cut, &refused->limits);
		expect_misframed(&unframed, (size_t)_i);
	}
}
END_TEST

/* Sizes larger than any memory are valid: the body limit is the caller's. */
START_TEST(accepts_a_huge_chunk_size_and_counts_it_down)
{
	static const char bytes[] = "fffffffffffffff\r\nhello";
	static struct unframed unframed;

	begin_chunked(&unframed, "huge");
	show_pieces(&unframed, bytes, sizeof bytes - 1, 1, &no_limits);
	ck_assert_int_eq(unframed.verdict, PIPIT_CHUNK_MORE);
	ck_assert_uint_eq(unframed.length, 5);
	ck_assert_uint_eq(unframed.state.remaining, 0xfffffffffffffffu - 5);
}
END_TEST

/* "1;aaaa…a" CRLF "x" CRLF, with an extension name of that length; returns the new length. */
static size_t add_chunk(char *bytes, size_t length, size_t name_length)
{
	memcpy(bytes + length, "1;", 2);
	memset(bytes + length + 2, 'a', name_length);
	memcpy(bytes + length + 2 + name_length, "\r\nx\r\n", 5);
	return length + name_length + 7;
}

START_TEST(accepts_chunk_extensions_up_to_a_few_kilobytes)
{
	static struct unframed unframed;
	static char bytes[CHUNK_BYTES];
	size_t length = add_chunk(bytes, 0, 4000);

	memcpy(bytes + length, "0\r\n\r\n", 5);
	begin_chunked(&unframed, "a long extension");
	show_piece(&unframed, bytes, length + 5, &no_limits);
	ck_assert_int_eq(unframed.verdict, PIPIT_CHUNK_END);
	length = add_chunk(bytes, 0, 4200);
	memcpy(bytes + length, "0\r\n\r\n", 5);
	for (size_t step = 1; step <= length; step *= 2) {
		begin_chunked(&unframed, "too long an extension");
		show_pieces(&unframed, bytes, length + 5, step, &no_limits);
		ck_assert_int_eq(unframed.verdict, PIPIT_CHUNK_REJECT);
		ck_assert_int_eq(unframed.reason, PIPIT_REFUSAL_CHUNK);
	}
}
END_TEST

#define EXTENSION_BYTES_MAX 4096

/* What follows the ';', or the first blank, up to the CR counts. */
static const struct {
	const char *before;
	char filler;
	const char *behind;
	size_t counted; /* but for the filler */
} extensions[] = {
	{ "1;", 'a', "\r\n", 1 },
	{ "1 ", ' ', ";a\r\n", 3 },
	{ "1;a=\"", 'x', "\"\r\n", 5 },
	{ "1;a=", 'x', " ;b\r\n", 6 },
};

START_TEST(accepts_chunk_extensions_up_to_the_limit)
{
	static struct unframed unframed;
	static char bytes[CHUNK_BYTES];

	for (size_t more = 0; more <= 1; more++) {
		size_t fill = EXTENSION_BYTES_MAX - extensions[_i].counted + more;
		char *at = stpcpy(bytes, extensions[_i].before);
		memset(at, extensions[_i].filler, fill);
		at = stpcpy(stpcpy(at + fill, extensions[_i].behind), "x\r\n0\r\n\r\n");
		begin_chunked(&unframed, extensions[_i].before);
		show_piece(&unframed, bytes, (size_t)(at - bytes), &no_limits);
		ck_assert_int_eq(unframed.verdict, more ? PIPIT_CHUNK_REJECT : PIPIT_CHUNK_END);
	}
}
END_TEST

START_TEST(counts_the_extensions_of_all_chunks_together)
{
	static struct unframed unframed;
	static char bytes[CHUNK_BYTES];
	size_t length = 0;

	while (length < 6000)
		length = add_chunk(bytes, length, 40);
	begin_chunked(&unframed, "many extensions");
	show_piece(&unframed, bytes, length, &no_limits);
	ck_assert_int_eq(unframed.verdict, PIPIT_CHUNK_REJECT);
	ck_assert_int_eq(unframed.reason, PIPIT_REFUSAL_CHUNK);
}
END_TEST

/* Data is not framing: it does not count towards a limit of the guard. */
START_TEST(accepts_any_number_of_chunks_without_extensions)
{
	static const struct pipit_guard_limits limits = { 16, 16, 1, 16, false };
	static struct unframed unframed;

	begin_chunked(&unframed, "many chunks");
	for (unsigned i = 0; i < 5000; i++)
		show_piece(&unframed, "1\r\nx\r\n", 6, &limits);
	show_piece(&unframed, "0\r\n\r\n", 5, &limits);
	ck_assert_int_eq(unframed.verdict, PIPIT_CHUNK_END);
	ck_assert_uint_eq(unframed.length, 5000);
}
END_TEST

/* As for headers: 0, or more than the guard's own maximum, means that maximum. */
START_TEST(accepts_no_more_trailers_than_headers)
{
	struct pipit_guard_limits limits = { .max_fields = field_limits[_i].max_fields };
	static struct unframed unframed;

	begin_chunked(&unframed, "trailers");
	show_piece(&unframed, "0\r\n", 3, &limits);
	for (unsigned i = 0; i < field_limits[_i].most; i++)
		show_piece(&unframed, "A: b\r\n", 6, &limits);
	ck_assert_int_eq(unframed.verdict, PIPIT_CHUNK_MORE);
	show_piece(&unframed, "A: b\r\n", 6, &limits);
	ck_assert_int_eq(unframed.verdict, PIPIT_CHUNK_REJECT);
	ck_assert_int_eq(unframed.reason, PIPIT_REFUSAL_TOO_MANY_FIELDS);
}
END_TEST

/* ---------------------------------------------------------------- mutations */

#define ROUNDS 20
#define MUTATIONS_PER_ROUND 1000
#define MUTANT_BYTES 2048

/* xorshift32: the same inputs on every machine. */
static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

#define WORD(literal)                        \
	{                                    \
		literal, sizeof(literal) - 1 \
	}
static const struct pipit_slice words[] = { WORD("\r\n"), WORD("\r"), WORD("\n"), WORD("\0"), WORD(" "), WORD("\t"),
	WORD(":"), WORD(","), WORD(";"), WORD("\""), WORD("?"), WORD("#"), WORD("%00"), WORD("%41"), WORD("\x7f"),
	WORD("\x80"), WORD("\v"), WORD("0"), WORD("5"), WORD("/"), WORD("="), WORD("*"), WORD("[::1]"),
	WORD("http://b"), WORD("HTTP/1.0"), WORD("HTTP/1.1"), WORD("chunked"), WORD("close"), WORD("\r\n\r\n"),
	WORD("\r\n "), WORD("Host: b\r\n"), WORD("Content-Length: 5\r\n"), WORD("Content-Length: 0\r\n"),
	WORD("Transfer-Encoding: chunked\r\n"), WORD("Connection: close\r\n"), WORD("Expect: 100-continue\r\n"),
	WORD("A: b\r\n"), WORD("HEAD"), WORD("OPTIONS") };

/* Replaces `gone` bytes at `place` by others; returns the new length. */
static size_t splice(char *bytes, size_t length, size_t place, size_t gone, struct pipit_slice with)
{
	if (length - gone + with.length > MUTANT_BYTES - 8)
		return length;
	memmove(bytes + place + with.length, bytes + place + gone, length - place - gone);
	memcpy(bytes + place, with.data, with.length);
	return length - gone + with.length;
}

static size_t mutate(char *bytes, size_t length, uint32_t *seed)
{
	size_t place = next_random(seed) % (length + 1), left = length - place;
	size_t some = left ? 1 + next_random(seed) % (left < 16 ? left : 16) : 0;
	struct pipit_slice word = words[next_random(seed) % COUNT(words)];
	char byte = (char)next_random(seed), copy[16];

	switch (next_random(seed) % 6) {
	case 0:
		return splice(bytes, length, place, 0, word);
	case 1:
		return splice(bytes, length, place, some, word);
	case 2:
		return splice(bytes, length, place, left ? 1 : 0, (struct pipit_slice){ &byte, 1 });
	case 3:
		return splice(bytes, length, place, some, (struct pipit_slice){ "", 0 });
	case 4:
		memcpy(copy, bytes + place, some);
		return splice(bytes, length, next_random(seed) % (length + 1), 0, (struct pipit_slice){ copy, some });
	default:
		if (left)
			bytes[place] = (char)(bytes[place] ^ (1 << next_random(seed) % 8));
		return length;
	}
}

/* Followed by both ends of a line, so that an error in a head is found byte by byte too. */
static size_t close_head(char *bytes, size_t length)
{
	memcpy(bytes + length, "\r\n\r\n", 4);
	return length + 4;
}

START_TEST(gives_mutated_heads_the_same_result_whole_and_byte_by_byte)
{
	uint32_t seed = 0x9e3779b9u * (uint32_t)(_i + 1);
	unsigned passed = 0, refused = 0;
	static struct judgement whole, stepwise;
	char bytes[MUTANT_BYTES];

	for (unsigned i = 0; i < MUTATIONS_PER_ROUND; i++) {
		const char *valid = accepted[next_random(&seed) % COUNT(accepted)].bytes;
		size_t length = strlen(valid);
		memcpy(bytes, valid, length);
		for (uint32_t changes = 1 + next_random(&seed) % 3; changes > 0; changes--)
			length = mutate(bytes, length, &seed);
		length = close_head(bytes, length);
		begin(&whole, "mutant");
		show(&whole, bytes, length, &no_limits);
		if (whole.verdict == PIPIT_GUARD_PASS)
			expect_sane(&whole, bytes, length);
		begin(&stepwise, "mutant, byte by byte");
		show_byte_by_byte(&stepwise, bytes, length, &no_limits);
		expect_same(&whole, &stepwise);
		passed += whole.verdict == PIPIT_GUARD_PASS;
		refused += whole.verdict == PIPIT_GUARD_REJECT;
	}
	ck_assert_uint_gt(passed, MUTATIONS_PER_ROUND / 20);
	ck_assert_uint_gt(refused, MUTATIONS_PER_ROUND / 20);
}
END_TEST

static bool is_same_unframed(const struct unframed *a, const struct unframed *b)
{
	return a->verdict == b->verdict && a->reason == b->reason && a->length == b->length &&
	       memcmp(a->data, b->data, a->length) == 0 &&
	       (a->verdict == PIPIT_CHUNK_REJECT || a->consumed == b->consumed);
}

START_TEST(gives_mutated_chunks_the_same_result_whole_and_byte_by_byte)
{
	uint32_t seed = 0x85ebca6bu * (uint32_t)(_i + 1);
	unsigned ended = 0;
	static struct unframed whole, stepwise;
	char bytes[MUTANT_BYTES];

	for (unsigned i = 0; i < MUTATIONS_PER_ROUND; i++) {
		size_t choice = next_random(&seed) % COUNT(framed), length = framed[choice].length;
		memcpy(bytes, framed[choice].bytes, length);
		for (uint32_t changes = 1 + next_random(&seed) % 3; changes > 0; changes--)
			length = mutate(bytes, length, &seed);
		begin_chunked(&whole, "mutant");
		show_piece(&whole, bytes, length, &no_limits);
		begin_chunked(&stepwise, "mutant, byte by byte");
		show_pieces(&stepwise, bytes, length, 1, &no_limits);
		if (!is_same_unframed(&whole, &stepwise))
			ck_abort_msg("verdict %d or %d: %.*s", whole.verdict, stepwise.verdict, (int)length, bytes);
		if (whole.verdict == PIPIT_CHUNK_END && memcmp(bytes + whole.consumed - 4, "\r\n\r\n", 4) != 0)
			ck_abort_msg("ends after %zu bytes: %.*s", whole.consumed, (int)length, bytes);
		ended += whole.verdict == PIPIT_CHUNK_END;
	}
	ck_assert_uint_gt(ended, MUTATIONS_PER_ROUND / 20);
}
END_TEST

static TCase *case_of_heads(void)
{
	TCase *tests = tcase_create("heads");

	tcase_add_loop_test(tests, passes_what_the_rfc_allows_and_parses_it_correctly, 0, COUNT(accepted));
	tcase_add_loop_test(tests, passes_a_head_that_arrives_byte_by_byte, 0, COUNT(accepted));
	tcase_add_loop_test(tests, asks_for_more_after_every_prefix_and_passes_the_whole, 0, COUNT(accepted));
	tcase_add_loop_test(tests, does_not_look_at_what_follows_a_head, 0, COUNT(accepted));
	tcase_add_test(tests, passes_one_head_of_several_at_a_time);
	tcase_add_loop_test(tests, rejects_what_the_rfc_forbids_with_its_reason, 0, COUNT(rejected));
	tcase_add_loop_test(tests, rejects_a_head_that_arrives_byte_by_byte_for_the_same_reason, 0, COUNT(rejected));
	tcase_add_loop_test(tests, rejects_at_the_same_byte_however_a_head_arrives, 0, COUNT(rejected));
	tcase_add_loop_test(tests, never_passes_a_prefix_of_what_it_rejects, 0, COUNT(rejected));
	tcase_add_loop_test(tests, gives_method_and_version_of_a_rejected_head_once_parsed, 0, COUNT(reached_cases));
	tcase_add_test(tests, decides_for_every_byte_whether_a_method_may_hold_it);
	tcase_add_test(tests, decides_for_every_byte_whether_a_target_may_hold_it);
	tcase_add_test(tests, decides_for_every_byte_whether_a_host_may_hold_it);
	tcase_add_test(tests, decides_for_every_byte_whether_a_header_name_may_hold_it);
	tcase_add_test(tests, decides_for_every_byte_whether_a_header_value_may_hold_it);
	tcase_add_loop_test(tests, accepts_headers_up_to_the_limit_on_their_number, 0, COUNT(field_limits));
	tcase_add_test(tests, accepts_a_head_up_to_the_limit_on_its_bytes);
	tcase_add_test(tests, rejects_an_endless_line_as_soon_as_it_exceeds_the_limit);
	tcase_add_test(tests, scans_only_the_line_that_grows);
	tcase_add_test(tests, rejects_an_endless_target_before_the_line_ends);
	tcase_add_test(tests, finds_the_first_header_of_a_name_in_any_case);
	tcase_add_loop_test(tests, gives_mutated_heads_the_same_result_whole_and_byte_by_byte, 0, ROUNDS);
	return tests;
}

static TCase *case_of_chunks(void)
{
	TCase *tests = tcase_create("chunks");

	tcase_add_loop_test(tests, decodes_chunks_however_they_arrive, 0, COUNT(framed));
	tcase_add_loop_test(tests, leaves_the_bytes_after_a_chunked_body, 0, COUNT(framed));
	tcase_add_loop_test(tests, rejects_invalid_chunks_however_they_arrive, 0, COUNT(misframed));
	tcase_add_test(tests, accepts_a_huge_chunk_size_and_counts_it_down);
	tcase_add_test(tests, accepts_chunk_extensions_up_to_a_few_kilobytes);
	tcase_add_loop_test(tests, accepts_chunk_extensions_up_to_the_limit, 0, COUNT(extensions));
	tcase_add_test(tests, counts_the_extensions_of_all_chunks_together);
	tcase_add_test(tests, accepts_any_number_of_chunks_without_extensions);
	tcase_add_loop_test(tests, accepts_no_more_trailers_than_headers, 0, COUNT(field_limits));
	tcase_add_loop_test(tests, gives_mutated_chunks_the_same_result_whole_and_byte_by_byte, 0, ROUNDS / 2);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("guard");
	TCase *cases[] = { case_of_heads(), case_of_chunks() };

	for (size_t i = 0; i < COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], guarded_set_up, guarded_tear_down);
		suite_add_tcase(suite, cases[i]);
	}
	return run_suite(suite);
}
