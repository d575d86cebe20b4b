/* SPDX-License-Identifier: MIT */
/* Labels become metrics; statuses and texts go to clients. */
#include "base/refusal.h"

#include "suite.h"

#include <ctype.h>
#include <string.h>

static const int statuses[] = { 400, 403, 405, 408, 413, 414, 417, 421, 429, 431, 500, 501, 503, 505 };

static int has_status(int status)
{
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		if (statuses[i] == status)
			return 1;
	}
	return 0;
}

START_TEST(has_a_label_in_snake_case)
{
	const char *label = pipit_refusal_entry((enum pipit_refusal)_i)->label;

	ck_assert_ptr_nonnull(label);
	ck_assert_msg(islower((unsigned char)label[0]), "%s", label);
	for (const char *at = label; *at; at++)
		ck_assert_msg(
		    islower((unsigned char)*at) || (*at == '_' && islower((unsigned char)at[1])), "%s", label);
}
END_TEST

START_TEST(has_a_label_that_no_other_reason_has)
{
	const char *label = pipit_refusal_entry((enum pipit_refusal)_i)->label;

	for (int other = 0; other < PIPIT_REFUSAL_COUNT; other++) {
		if (other != _i)
			ck_assert_str_ne(pipit_refusal_entry((enum pipit_refusal)other)->label, label);
	}
}
END_TEST

START_TEST(has_an_error_status)
{
	const struct pipit_refusal_entry *entry = pipit_refusal_entry((enum pipit_refusal)_i);

	ck_assert_msg(has_status(entry->status), "%s: %d", entry->label, entry->status);
}
END_TEST

START_TEST(has_one_printable_sentence_that_ends_with_a_full_stop)
{
	const char *detail = pipit_refusal_entry((enum pipit_refusal)_i)->detail;
	size_t length;

	ck_assert_ptr_nonnull(detail);
	length = strlen(detail);
	ck_assert_uint_ge(length, 10);
	ck_assert_msg(isupper((unsigned char)detail[0]), "%s", detail);
	ck_assert_msg(detail[length - 1] == '.' && detail[length - 2] != '.', "%s", detail);
	for (size_t i = 0; i < length; i++)
		ck_assert_msg(isprint((unsigned char)detail[i]), "%s", detail);
}
END_TEST

START_TEST(has_neither_status_nor_text_for_none)
{
	const struct pipit_refusal_entry *entry = pipit_refusal_entry(PIPIT_REFUSAL_NONE);

	ck_assert_int_eq(entry->status, 0);
	ck_assert_str_eq(entry->label, "none");
	ck_assert_str_eq(entry->detail, "");
}
END_TEST

/* prescribed by an RFC */
static const struct {
	enum pipit_refusal reason;
	int status;
} prescribed[] = {
	{ PIPIT_REFUSAL_REQUEST_LINE, 400 },         /* RFC 9112 §3 */
	{ PIPIT_REFUSAL_METHOD_UNKNOWN, 501 },       /* RFC 9110 §9.1 */
	{ PIPIT_REFUSAL_METHOD_REFUSED, 405 },       /* RFC 9110 §9.1 */
	{ PIPIT_REFUSAL_TARGET, 400 },               /* RFC 9112 §3.2 */
	{ PIPIT_REFUSAL_TARGET_TOO_LONG, 414 },      /* RFC 9112 §3 */
	{ PIPIT_REFUSAL_VERSION, 505 },              /* RFC 9110 §15.6.6 */
	{ PIPIT_REFUSAL_FIELD_LINE, 400 },           /* RFC 9112 §5.1 */
	{ PIPIT_REFUSAL_FIELD_FOLDED, 400 },         /* RFC 9112 §5.2 */
	{ PIPIT_REFUSAL_HEAD_TOO_LARGE, 431 },       /* RFC 6585 §5 */
	{ PIPIT_REFUSAL_TOO_MANY_FIELDS, 431 },      /* RFC 6585 §5 */
	{ PIPIT_REFUSAL_HOST, 400 },                 /* RFC 9112 §3.2 */
	{ PIPIT_REFUSAL_EXPECTATION, 417 },          /* RFC 9110 §10.1.1 */
	{ PIPIT_REFUSAL_CONTENT_LENGTH, 400 },       /* RFC 9112 §6.3 */
	{ PIPIT_REFUSAL_LENGTH_AND_CODING, 400 },    /* RFC 9112 §6.3 */
	{ PIPIT_REFUSAL_CHUNK, 400 },                /* RFC 9112 §7.1 */
	{ PIPIT_REFUSAL_BODY_TOO_LARGE, 413 },       /* RFC 9110 §15.5.14 */
	{ PIPIT_REFUSAL_HEAD_TIMEOUT, 408 },         /* RFC 9110 §15.5.9 */
	{ PIPIT_REFUSAL_BODY_TIMEOUT, 408 },         /* RFC 9110 §15.5.9 */
	{ PIPIT_REFUSAL_ADDRESS_DENIED, 403 },       /* RFC 9110 §15.5.4 */
	{ PIPIT_REFUSAL_RATE_LIMIT, 429 },           /* RFC 6585 §4 */
	{ PIPIT_REFUSAL_TOO_MANY_CONNECTIONS, 503 }, /* RFC 9110 §15.6.4 */
	{ PIPIT_REFUSAL_OUT_OF_MEMORY, 503 },        /* RFC 9110 §15.6.4 */
	{ PIPIT_REFUSAL_EVHTTP, 500 },               /* RFC 9110 §15.6.1 */
};

START_TEST(has_the_status_that_the_rfc_prescribes)
{
	const struct pipit_refusal_entry *entry = pipit_refusal_entry(prescribed[_i].reason);

	ck_assert_msg(entry->status == prescribed[_i].status, "%s: %d", entry->label, entry->status);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reason");
	TCase *tests = tcase_create("reason");

	tcase_add_loop_test(tests, has_a_label_in_snake_case, 0, PIPIT_REFUSAL_COUNT);
	tcase_add_loop_test(tests, has_a_label_that_no_other_reason_has, 0, PIPIT_REFUSAL_COUNT);
	tcase_add_loop_test(tests, has_an_error_status, 1, PIPIT_REFUSAL_COUNT);
	tcase_add_loop_test(tests, has_one_printable_sentence_that_ends_with_a_full_stop, 1, PIPIT_REFUSAL_COUNT);
	tcase_add_test(tests, has_neither_status_nor_text_for_none);
	tcase_add_loop_test(tests, has_the_status_that_the_rfc_prescribes, 0, sizeof prescribed / sizeof *prescribed);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
