/* SPDX-License-Identifier: MIT */
/*
 * Content negotiation: ranges, codings, conditions, media types. The first byte chooses the size of the representation; the
 * rest is the value of Range, of Accept-Encoding, of Accept and of every condition.
 *
 * Checked: ranges lie within the representation, do not overlap or touch, and are not too many; the chosen coding was available
 * and acceptable; with identity alone, identity is chosen unless it was refused by name; a condition that is only the right tag
 * holds; HTML is chosen only for a client that names text/html or text/ with an asterisk, and prefers it.
 */
#include "fuzz.h"

#include "http/accept_header.h"
#include "http/content_coding.h"
#include "http/preconditions.h"
#include "http/ranges.h"

#include <stdlib.h>
#include <string.h>

static void check_ranges(const char *value, size_t length, uint64_t size)
{
	struct pipit_range ranges[PIPIT_RANGES_MAX];
	size_t count;
	enum pipit_ranges_result result =
	    pipit_ranges_parse((struct pipit_slice){ value, length }, size, ranges, &count);

	if (result != PIPIT_RANGES_FOUND)
		return;
	REQUIRE(count >= 1 && count <= PIPIT_RANGES_MAX);
	for (size_t i = 0; i < count; i++) {
		REQUIRE(ranges[i].length > 0 && ranges[i].first < size && ranges[i].length <= size - ranges[i].first);
		for (size_t j = 0; j < i; j++)
			REQUIRE(ranges[i].first > ranges[j].first + ranges[j].length ||
				ranges[j].first > ranges[i].first + ranges[i].length);
	}
}

/* A head with one header of that value: the guard might refuse it, but this code must not rely on that. */
static struct pipit_guard_head *make_head(const char *name, const char *value, size_t length, char **bytes)
{
	struct pipit_guard_head *head = calloc(1, sizeof *head);
	size_t name_length = strlen(name);
	REQUIRE(head);
	*bytes = malloc(name_length + length + 1);
	REQUIRE(*bytes);
	memcpy(*bytes, name, name_length);
	memcpy(*bytes + name_length, value, length);
	head->bytes = *bytes;
	head->field_count = 1;
	head->fields[0] = (struct pipit_guard_field){ .name = 0,
		.name_length = (uint32_t)name_length,
		.value = (uint32_t)name_length,
		.value_length = (uint32_t)length };
	return head;
}

static void check_codings(const char *value, size_t length)
{
	char *bytes;
	struct pipit_guard_head *head = make_head("Accept-Encoding", value, length, &bytes);
	struct pipit_content_codings codings = pipit_content_coding_read(head);

	for (unsigned available = 0; available < 1u << PIPIT_CODING_COUNT; available++) {
		enum pipit_content_coding chosen = pipit_content_coding_choose(&codings, available);
		if (chosen == PIPIT_CODING_COUNT)
			continue;
		REQUIRE(available & 1u << chosen);
		REQUIRE(codings.weights[chosen] > 0 && codings.weights[chosen] <= 1000);
	}
	if (pipit_content_coding_choose(&codings, 1u << PIPIT_CODING_IDENTITY) == PIPIT_CODING_COUNT)
		REQUIRE(memmem(value, length, ";", 1));
	free(head);
	free(bytes);
}

static void check_media_types(const char *value, size_t length)
{
	static const char *const types[] = { "application/problem+json", "application/json", "text/html" };
	char *bytes, *text = fuzz_copy_text((const uint8_t *)value, length);
	struct pipit_guard_head *head = make_head("Accept", value, length, &bytes);
	bool is_html = pipit_accept_header_prefers_html(head);

	REQUIRE(!is_html || strcasestr(text, "text/html") || strcasestr(text, "text/*") || memchr(value, 0, length));
	REQUIRE(is_html == (pipit_accept_header_choose(head, types, 3) == 2));
	free(head);
	free(bytes);
	free(text);
}

static void check_condition(const char *name, const char *value, size_t length)
{
	const struct pipit_validators validators = { { "\"a,b\"", 5 }, 784111777, 784111778 };
	char *bytes;
	struct pipit_guard_head *head = make_head(name, value, length, &bytes);
	bool ranges_count, is_tag = length == 5 && memcmp(value, "\"a,b\"", 5) == 0;
	enum pipit_preconditions_result result = pipit_preconditions_check(head, &validators, &ranges_count);

	if (is_tag && strcmp(name, "If-Match") == 0)
		REQUIRE(result == PIPIT_PRECONDITIONS_GO_ON);
	if (is_tag && strcmp(name, "If-None-Match") == 0)
		REQUIRE(result == PIPIT_PRECONDITIONS_NOT_MODIFIED);
	if (strcmp(name, "If-Range") == 0)
		REQUIRE(result == PIPIT_PRECONDITIONS_GO_ON);
	free(head);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const conditions[] = { "If-Match", "If-None-Match", "If-Modified-Since",
		"If-Unmodified-Since", "If-Range" };
	static const uint64_t sizes[] = { 0, 1, 100, 4096, 1ull << 33, UINT64_MAX };
	char *value;

	if (size == 0)
		return 0;
	value = fuzz_copy(data + 1, size - 1);
	check_ranges(value, size - 1, sizes[data[0] % (sizeof sizes / sizeof *sizes)]);
	check_codings(value, size - 1);
	check_media_types(value, size - 1);
	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
		check_condition(conditions[i], value, size - 1);
	free(value);
	return 0;
}
