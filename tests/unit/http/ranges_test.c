/* SPDX-License-Identifier: MIT */
/* Range headers: the requested bytes, and headers that are unsatisfiable or ignored. */
#include "http/ranges.h"

#include "guarded.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static enum pipit_ranges_result parse(const char *text, uint64_t size, struct pipit_range *ranges, size_t *count)
{
	size_t length = strlen(text);
	return pipit_ranges_parse((struct pipit_slice){ guarded_copy(text, length), length }, size, ranges, count);
}

/* "0+5 10+2" for the ranges of five bytes from 0 on, and two from 10 on. */
static void describe(const struct pipit_range *ranges, size_t count, char *text, size_t size)
{
	size_t length = 0;
	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%llu+%llu", i ? " " : "",
		    (unsigned long long)ranges[i].first, (unsigned long long)ranges[i].length);
}

static const struct {
	const char *value;
	uint64_t size;
	const char *ranges; /* "ignored", "unsatisfiable", or the ranges found */
} cases[] = {
	{ "bytes=0-4", 100, "0+5" },
	{ "BYTES=0-0", 100, "0+1" },
	{ "bytes=99-", 100, "99+1" },
	{ "bytes=0-", 100, "0+100" },
	{ "bytes=5-1000", 100, "5+95" },
	{ "bytes=-1", 100, "99+1" },
	{ "bytes=-1000", 100, "0+100" },
	{ "bytes=-0", 100, "unsatisfiable" },
	{ "bytes=100-", 100, "unsatisfiable" },
	{ "bytes=100-200", 100, "unsatisfiable" },
	/* of an empty file, no range is left, but nothing is missing */
	{ "bytes=0-", 0, "ignored" },
	{ "bytes=0-4", 0, "ignored" },
	{ "bytes=-1", 0, "ignored" },
	{ "bytes=-5", 0, "ignored" },
	{ "bytes=5-,0-4", 0, "ignored" },
	{ "bytes=-0", 0, "unsatisfiable" },
	{ "bytes=1-", 0, "unsatisfiable" },
	{ "bytes=1-4", 0, "unsatisfiable" },
	{ "bytes=0-0,-0", 100, "0+1" },
	{ "bytes=200-,5-6", 100, "5+2" },
	{ "bytes=0-4,10-11", 100, "0+5 10+2" },
	{ "bytes=10-11, 0-4", 100, "10+2 0+5" },
	{ "bytes= 0-4 ,\t10-11", 100, "0+5 10+2" },
	{ "bytes=0-4,,10-11,", 100, "0+5 10+2" },
	{ "bytes=0-4,5-9", 100, "0+10" },
	{ "bytes=0-4,6-9", 100, "0+5 6+4" },
	{ "bytes=0-4,2-9", 100, "0+10" },
	{ "bytes=0-4,0-4", 100, "0+5" },
	{ "bytes=50-59,0-9,10-49", 100, "0+60" },
	{ "bytes=0-1,4-5,2-3", 100, "0+6" },
	{ "bytes=0-1,90-91,4-5,2-3", 100, "0+6 90+2" },
	{ "bytes=-10,0-99", 100, "0+100" },
	{ "bytes=18446744073709551615-", 100, "unsatisfiable" },
	{ "bytes=18446744073709551616-", 100, "unsatisfiable" },
	{ "bytes=0-99999999999999999999999999", 100, "0+100" },
	{ "bytes=-99999999999999999999999999", 100, "0+100" },
	{ "bytes=99999999999999999999999999-5", 100, "ignored" },
	{ "bytes=0-0", UINT64_MAX, "0+1" },
	{ "bytes=0-", UINT64_MAX, "0+18446744073709551615" },
	{ "bytes=5-4", 100, "ignored" },
	{ "bytes=0-4,5-4", 100, "ignored" },
	{ "bytes=", 100, "ignored" },
	{ "bytes=,", 100, "ignored" },
	{ "bytes=-", 100, "ignored" },
	{ "bytes=1", 100, "ignored" },
	{ "bytes=a-b", 100, "ignored" },
	{ "bytes=1-b", 100, "ignored" },
	{ "bytes=1-2-3", 100, "ignored" },
	{ "bytes=--1", 100, "ignored" },
	{ "bytes=+1-2", 100, "ignored" },
	{ "bytes=0x1-2", 100, "ignored" },
	{ "bytes =0-1", 100, "ignored" },
	{ "bytes", 100, "ignored" },
	{ "byte=0-1", 100, "ignored" },
	{ "items=0-1", 100, "ignored" },
	{ "0-1", 100, "ignored" },
	{ "", 100, "ignored" },
};

START_TEST(finds_the_requested_bytes)
{
	struct pipit_range ranges[PIPIT_RANGES_MAX];
	char found[256];
	size_t count;
	switch (parse(cases[_i].value, cases[_i].size, ranges, &count)) {
	case PIPIT_RANGES_FOUND:
		describe(ranges, count, found, sizeof found);
		break;
	case PIPIT_RANGES_IGNORED:
		strcpy(found, "ignored");
		break;
	default:
		strcpy(found, "unsatisfiable");
	}
	ck_assert_msg(strcmp(found, cases[_i].ranges) == 0, "\"%s\" of %llu: %s instead of %s", cases[_i].value,
	    (unsigned long long)cases[_i].size, found, cases[_i].ranges);
}
END_TEST

static enum pipit_ranges_result parse_many(size_t many, unsigned step, size_t *count)
{
	static char value[65536];
	struct pipit_range ranges[PIPIT_RANGES_MAX];
	size_t length = (size_t)sprintf(value, "bytes=");
	for (size_t i = 0; i < many; i++)
		length += (size_t)sprintf(value + length, "%zu-%zu,", i * step, i * step + 1);
	return pipit_ranges_parse((struct pipit_slice){ value, length }, 1 << 20, ranges, count);
}

START_TEST(refuses_more_parts_than_a_reply_may_have)
{
	size_t count;
	ck_assert_int_eq(parse_many(PIPIT_RANGES_MAX, 10, &count), PIPIT_RANGES_FOUND);
	ck_assert_uint_eq(count, PIPIT_RANGES_MAX);
	ck_assert_int_eq(parse_many(PIPIT_RANGES_MAX + 1, 10, &count), PIPIT_RANGES_UNSATISFIABLE);
	/* As many ranges as possible, of which one remains. */
	ck_assert_int_eq(parse_many(3 * PIPIT_RANGES_MAX, 2, &count), PIPIT_RANGES_FOUND);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(parse_many(3 * PIPIT_RANGES_MAX + 1, 2, &count), PIPIT_RANGES_UNSATISFIABLE);
	ck_assert_int_eq(parse_many(4000, 2, &count), PIPIT_RANGES_UNSATISFIABLE);
}
END_TEST

/* Against a map of bytes: requested and existing bytes are covered, once, and nothing else. */
START_TEST(covers_exactly_the_bytes_of_random_range_headers)
{
	enum { SIZE = 64 };
	uint32_t dice = 1;
	for (int round = 0; round < 20000; round++) {
		struct pipit_range ranges[PIPIT_RANGES_MAX];
		char value[256];
		bool wanted[SIZE] = { false };
		unsigned covered[SIZE] = { 0 };
		size_t length = (size_t)sprintf(value, "bytes="), count, asked = 1 + (dice >> 8) % 8;
		enum pipit_ranges_result result;
		for (size_t i = 0; i < asked; i++) {
			unsigned first, last;
			dice = dice * 1664525u + 1013904223u;
			first = dice >> 8 & 127, last = first + (dice >> 16) % 20;
			length += (size_t)sprintf(value + length, "%s%u-%u", i ? "," : "", first, last);
			for (unsigned at = first; at <= last && at < SIZE; at++)
				wanted[at] = true;
		}
		result = parse(value, SIZE, ranges, &count);
		for (size_t i = 0; result == PIPIT_RANGES_FOUND && i < count; i++) {
			for (uint64_t at = ranges[i].first; at < ranges[i].first + ranges[i].length; at++)
				covered[at]++;
		}
		for (size_t at = 0; at < SIZE; at++) {
			if (covered[at] != wanted[at])
				ck_abort_msg("%s: byte %zu is sent %u times", value, at, covered[at]);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ranges");
	TCase *tests = tcase_create("ranges");
	tcase_add_checked_fixture(tests, guarded_set_up, guarded_tear_down);
	tcase_add_loop_test(tests, finds_the_requested_bytes, 0, COUNT_OF(cases));
	tcase_add_test(tests, refuses_more_parts_than_a_reply_may_have);
	tcase_add_test(tests, covers_exactly_the_bytes_of_random_range_headers);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
