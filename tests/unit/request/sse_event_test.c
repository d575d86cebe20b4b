/* SPDX-License-Identifier: MIT */
/* The exact bytes of an event: fields, line ends, ids, and the chunk around them. */
#include "request/sse_event.h"

#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "0123456789abcdef"

/* A chunk with this data. */
static void expect_chunk(const struct pipit_sse_event *rendered, const char *content)
{
	struct pipit_slice chunk = pipit_sse_event_bytes(rendered, true);
	char expected[4096];
	int length = snprintf(expected, sizeof expected, "%zx\r\n%s\r\n", strlen(content), content);
	ck_assert_uint_eq(chunk.length, (size_t)length);
	ck_assert_mem_eq(chunk.data, expected, chunk.length);
}

static void expect_content(const struct pipit_sse_event *rendered, const char *content)
{
	struct pipit_slice plain = pipit_sse_event_bytes(rendered, false);
	ck_assert_uint_eq(plain.length, strlen(content));
	ck_assert_mem_eq(plain.data, content, plain.length);
	expect_chunk(rendered, content);
}

static struct pipit_sse_event *render(const char *name, const char *data)
{
	struct pipit_event event = { .name = name, .data = data };
	struct pipit_sse_event *rendered = NULL;
	ck_assert_int_eq(pipit_sse_event_new(&event, &rendered), 0);
	ck_assert_uint_eq(rendered->number, 0);
	return rendered;
}

static const struct {
	const char *name, *data, *content;
} events[] = {
	{ NULL, "text", "data: text\n\n" },
	{ "", "text", "data: text\n\n" },
	{ "tick", "text", "event: tick\ndata: text\n\n" },
	{ "tick", NULL, "event: tick\ndata: \n\n" },
	{ NULL, "", "data: \n\n" },
	{ NULL, " text", "data:  text\n\n" },
	{ NULL, "one\ntwo", "data: one\ndata: two\n\n" },
	{ NULL, "one\rtwo", "data: one\ndata: two\n\n" },
	{ NULL, "one\r\ntwo", "data: one\ndata: two\n\n" },
	{ NULL, "one\n\rtwo", "data: one\ndata: \ndata: two\n\n" },
	{ NULL, "one\r\n\r\ntwo", "data: one\ndata: \ndata: two\n\n" },
	{ NULL, "one\n", "data: one\ndata: \n\n" },
	{ NULL, "\n", "data: \ndata: \n\n" },
	{ NULL, "\r\n", "data: \ndata: \n\n" },
	{ NULL, "id: 7\nretry: 1", "data: id: 7\ndata: retry: 1\n\n" },
	{ "caf\xc3\xa9: x", "caf\xc3\xa9", "event: caf\xc3\xa9: x\ndata: caf\xc3\xa9\n\n" },
};

START_TEST(renders_an_event_with_a_data_field_for_each_line)
{
	struct pipit_sse_event *rendered = render(events[_i].name, events[_i].data);
	expect_content(rendered, events[_i].content);
	pipit_sse_event_release(rendered);
}
END_TEST

static const uint64_t numbers[] = { 1, 9, 10, 12345, UINT64_MAX };

START_TEST(puts_the_id_first)
{
	struct pipit_sse_event *rendered = render("tick", "text");
	char expected[256];
	pipit_sse_event_set_id(rendered, PREFIX, numbers[_i]);
	snprintf(expected, sizeof expected, "id: " PREFIX "-%llu\nevent: tick\ndata: text\n\n",
	    (unsigned long long)numbers[_i]);
	expect_content(rendered, expected);
	ck_assert_uint_eq(rendered->number, numbers[_i]);
	pipit_sse_event_release(rendered);
}
END_TEST

START_TEST(frames_chunks_of_every_size)
{
	char data[3000] = "", expected[3100];
	for (size_t length = 0; length < sizeof data; length++) {
		struct pipit_sse_event *rendered = render(NULL, data);
		snprintf(expected, sizeof expected, "data: %s\n\n", data);
		expect_content(rendered, expected);
		pipit_sse_event_release(rendered);
		data[length] = 'x';
		data[length + 1 < sizeof data ? length + 1 : length] = '\0';
	}
}
END_TEST

static const char *const bad_names[] = { "\n", "\r", "tick\n", "tick\rtock", "tick\r\ndata: forged" };

START_TEST(refuses_a_name_with_a_line_end)
{
	struct pipit_event event = { .name = bad_names[_i], .data = "text" };
	struct pipit_sse_event *rendered = NULL;
	ck_assert_int_eq(pipit_sse_event_new(&event, &rendered), -EINVAL);
	ck_assert_ptr_null(rendered);
}
END_TEST

START_TEST(renders_lines_that_are_not_events)
{
	struct pipit_sse_event *rendered = pipit_sse_event_lines("retry: 2000\n");
	expect_content(rendered, "retry: 2000\n\n");
	pipit_sse_event_release(rendered);
	rendered = pipit_sse_event_lines(":\n");
	expect_content(rendered, ":\n\n");
	pipit_sse_event_release(rendered);
}
END_TEST

START_TEST(is_freed_when_the_last_reference_is_released)
{
	struct pipit_sse_event *rendered = render(NULL, "text");
	ck_assert_ptr_eq(pipit_sse_event_hold(rendered), rendered);
	pipit_sse_event_release(rendered);
	expect_content(rendered, "data: text\n\n");
	pipit_sse_event_release(rendered);
	pipit_sse_event_release(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rendered");
	TCase *tests = tcase_create("rendered");

	tcase_add_loop_test(
	    tests, renders_an_event_with_a_data_field_for_each_line, 0, (int)(sizeof events / sizeof events[0]));
	tcase_add_loop_test(tests, puts_the_id_first, 0, (int)(sizeof numbers / sizeof numbers[0]));
	tcase_add_test(tests, frames_chunks_of_every_size);
	tcase_add_loop_test(tests, refuses_a_name_with_a_line_end, 0, (int)(sizeof bad_names / sizeof bad_names[0]));
	tcase_add_test(tests, renders_lines_that_are_not_events);
	tcase_add_test(tests, is_freed_when_the_last_reference_is_released);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
