/* SPDX-License-Identifier: MIT */
/*
 * Values of forms, queries and path parameters.
 *
 * The input: one byte that chooses the size of the handler's buffer, the requested name up to a line end, and the text of the
 * form.
 *
 * Checked: the first pair of that name is found and decoded as by a second, simpler decoder here; the length of the whole value
 * is returned, at most that of the input; the part that fits is written, terminated, and nothing after it.
 */
#include "fuzz.h"

#include "request/request.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- the simpler decoder */

static int digit_of(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) % 16 : -1;
}

static struct fuzz_bytes decode(const char *text, size_t length, bool plus_is_space)
{
	struct fuzz_bytes out = { 0 };
	for (size_t i = 0; i < length; i++) {
		char byte = text[i];
		if (byte == '+' && plus_is_space)
			byte = ' ';
		if (byte == '%' && length - i > 2 && digit_of(text[i + 1]) >= 0 && digit_of(text[i + 2]) >= 0) {
			byte = (char)(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2]));
			i += 2;
		}
		fuzz_append(&out, &byte, 1);
	}
	return out;
}

static bool is_named(const char *text, size_t length, const char *name)
{
	struct fuzz_bytes decoded = decode(text, length, true);
	bool is_same =
	    decoded.length == strlen(name) && (decoded.length == 0 || memcmp(decoded.data, name, decoded.length) == 0);
	free(decoded.data);
	return is_same;
}

/* False when there is no pair of that name. */
static bool find(const char *text, size_t length, const char *name, struct fuzz_bytes *value)
{
	size_t start = 0;
	for (size_t i = 0; i <= length; i++) {
		size_t equals = start;
		if (i < length && text[i] != '&')
			continue;
		while (equals < i && text[equals] != '=')
			equals++;
		if (i > start && is_named(text + start, equals - start, name)) {
			size_t from = equals < i ? equals + 1 : i;
			*value = decode(text + from, i - from, true);
			return true;
		}
		start = i + 1;
	}
	return false;
}

/* ---------------------------------------------------------------- the request */

static struct pipit_request_pool pool;

static struct pipit_request *new_request(const struct pipit_guard_head *head, const char *body, size_t length)
{
	struct pipit_request *request = pipit_request_new(&pool, NULL, head);
	REQUIRE(request);
	request->body = (struct pipit_slice){ body, length };
	return request;
}

typedef long get_value(struct pipit_request *request, const char *name, char *value, size_t size);

static void check_value(
    struct pipit_request *request, get_value *get, const char *name, size_t room, const char *text, size_t length)
{
	struct fuzz_bytes wanted = { 0 };
	bool is_there = find(text, length, name, &wanted);
	char *value = malloc(room);
	long result;

	REQUIRE(value);
	memset(value, '~', room);
	result = get(request, name, value, room);
	REQUIRE(result == (is_there ? (long)wanted.length : -1));
	REQUIRE(result <= (long)length);
	if (is_there) {
		size_t kept = wanted.length < room ? wanted.length : room - 1;
		REQUIRE(value[kept] == '\0');
		REQUIRE(kept == 0 || memcmp(value, wanted.data, kept) == 0);
	}
	free(value);
	free(wanted.data);
}

/* "/x/" and the text, matched by "/{one}/{rest...}". */
static void check_parameter(const char *text, size_t length)
{
	static char pattern[] = "/{one}/{rest...}";
	struct pipit_route route = { .pattern = pattern };
	struct pipit_guard_head head = { .method = PIPIT_GET };
	struct pipit_request *request = new_request(&head, "", 0);
	struct fuzz_bytes wanted = decode(text, length, false);
	char *rest = fuzz_copy(text, length);
	const char *value;

	request->route = &route;
	request->match.parameter_count = 2;
	request->match.parameters[0] = (struct pipit_slice){ "x", 1 };
	request->match.parameters[1] = (struct pipit_slice){ rest, length };
	REQUIRE(strcmp(pipit_request_parameter(request, "one"), "x") == 0);
	REQUIRE(!pipit_request_parameter(request, "two"));
	value = pipit_request_parameter(request, "rest");
	REQUIRE(value && value[wanted.length] == '\0');
	REQUIRE(wanted.length == 0 || memcmp(value, wanted.data, wanted.length) == 0);
	pipit_request_detach(request);
	free(wanted.data);
	free(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pipit_guard_head head = { .method = PIPIT_POST };
	struct pipit_request *request;
	const uint8_t *line_end = size ? memchr(data + 1, '\n', size - 1) : NULL;
	char *name, *text, *target;
	size_t room, length;

	if (!line_end || line_end == data + 1)
		return 0;
	room = 1 + data[0] % 64;
	name = fuzz_copy_text(data + 1, (size_t)(line_end - data - 1));
	length = size - (size_t)(line_end + 1 - data);
	text = fuzz_copy(line_end + 1, length);
	target = malloc(length + 1);
	REQUIRE(target);
	target[0] = '?';
	memcpy(target + 1, text, length);
	head.bytes = target;
	head.query = 1;
	head.query_length = (uint32_t)length;
	request = new_request(&head, text, length);
	/* An empty name finds nothing. */
	if (name[0]) {
		check_value(request, pipit_request_form_value, name, room, text, length);
		check_value(request, pipit_request_query_value, name, room, text, length);
	}
	pipit_request_detach(request);
	check_parameter(text, length);
	pipit_request_pool_clear(&pool);
	free(name);
	free(text);
	free(target);
	return 0;
}
