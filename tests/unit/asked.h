/* SPDX-License-Identifier: MIT */
/* The head of a GET with these headers, as passed by the guard. */
#ifndef PIPIT_TESTS_ASKED_H
#define PIPIT_TESTS_ASKED_H

#include "http/guard.h"

#include <check.h>
#include <stdio.h>

/* fields: complete lines. Valid until the next call. */
static inline const struct pipit_guard_head *asked(const char *fields)
{
	static const struct pipit_guard_limits limits = { .max_head_bytes = 65536 };
	static char bytes[16384];
	static struct pipit_guard_head head;
	size_t checked = 0, consumed;
	enum pipit_refusal reason;
	int length = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", fields);
	ck_assert_int_lt(length, (int)sizeof bytes);
	ck_assert_int_eq(
	    pipit_guard_head(bytes, (size_t)length, &checked, &limits, &head, &consumed, &reason), PIPIT_GUARD_PASS);
	return &head;
}

#endif
