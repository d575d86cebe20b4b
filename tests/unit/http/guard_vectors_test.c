/* SPDX-License-Identifier: MIT */
/*
 * Every vector of tests/vectors/guard against the guard alone, head and body: whole, byte by byte, and cut in two at every
 * place. Verdict and reason must not depend on how the bytes arrive. The input always ends directly before an inaccessible
 * page.
 */
#include "../vectors/vectors.h"
#include "guarded.h"
#include "http/guard.h"
#include "suite.h"

#include <stdint.h>

static struct vectors accepted, rejected;

static const struct pipit_guard_limits limits = {
	.max_head_bytes = VECTORS_HEAD_BYTES,
	.max_target_bytes = VECTORS_TARGET_BYTES,
	.max_fields = VECTORS_FIELDS,
	.max_field_bytes = VECTORS_FIELD_BYTES,
};

/* The state of a message, as in a connection. */
struct reading {
	enum pipit_guard_verdict verdict; /* PASS: head and body are complete */
	enum pipit_refusal reason;
	bool has_head;
	size_t checked;
	size_t used; /* bytes that need not be passed again */
	uint64_t content_bytes;
	struct pipit_guard_chunked chunked;
	struct pipit_guard_head head;
};

static void reject(struct reading *reading, enum pipit_refusal reason)
{
	reading->verdict = PIPIT_GUARD_REJECT;
	reading->reason = reason;
}

/* The guard frames bodies of any size: the limit is checked by its caller. */
static bool is_too_large(const struct reading *reading, uint64_t content_bytes)
{
	return reading->head.framing != PIPIT_FRAMING_NONE && content_bytes > VECTORS_BODY_BYTES;
}

static void read_head(struct reading *reading, const char *bytes, size_t length)
{
	size_t consumed = 0;

	reading->verdict = pipit_guard_head(guarded_copy(bytes, length), length, &reading->checked, &limits,
	    &reading->head, &consumed, &reading->reason);
	if (reading->verdict != PIPIT_GUARD_PASS)
		return;
	reading->has_head = true;
	reading->used = consumed;
	if (reading->head.framing == PIPIT_FRAMING_LENGTH && is_too_large(reading, reading->head.content_length))
		reject(reading, PIPIT_REFUSAL_BODY_TOO_LARGE);
	else if (reading->head.framing != PIPIT_FRAMING_NONE)
		reading->verdict = PIPIT_GUARD_MORE;
}

static void read_length(struct reading *reading, size_t available)
{
	uint64_t missing = reading->head.content_length - reading->content_bytes;
	size_t taken = missing < available ? (size_t)missing : available;

	reading->content_bytes += taken;
	reading->used += taken;
	if (taken == missing)
		reading->verdict = PIPIT_GUARD_PASS;
}

static void read_chunks(struct reading *reading, const char *bytes, size_t available)
{
	const char *piece = guarded_copy(bytes, available);
	size_t at = 0;

	while (reading->verdict == PIPIT_GUARD_MORE) {
		struct pipit_slice data = { NULL, 0 };
		size_t consumed = 0;
		enum pipit_guard_chunk chunk = pipit_guard_chunked(
		    &reading->chunked, piece + at, available - at, &limits, &consumed, &data, &reading->reason);
		if (chunk == PIPIT_CHUNK_REJECT) {
			reading->verdict = PIPIT_GUARD_REJECT;
			return;
		}
		at += consumed;
		reading->used += consumed;
		if (chunk == PIPIT_CHUNK_MORE)
			return;
		if (chunk == PIPIT_CHUNK_END)
			reading->verdict = PIPIT_GUARD_PASS;
		reading->content_bytes += data.length;
		if (is_too_large(reading, reading->content_bytes))
			reject(reading, PIPIT_REFUSAL_BODY_TOO_LARGE);
	}
}

/* `length` bytes of the vector have arrived. */
static void come(struct reading *reading, const struct vector *vector, size_t length)
{
	if (reading->verdict == PIPIT_GUARD_MORE && !reading->has_head)
		read_head(reading, vector->bytes, length);
	if (reading->verdict != PIPIT_GUARD_MORE || !reading->has_head)
		return;
	if (reading->head.framing == PIPIT_FRAMING_LENGTH)
		read_length(reading, length - reading->used);
	else
		read_chunks(reading, vector->bytes + reading->used, length - reading->used);
}

/* In steps of `step` bytes; the first one of `first` bytes. */
static void judge(struct reading *reading, const struct vector *vector, size_t first, size_t step)
{
	memset(reading, 0, sizeof *reading);
	reading->verdict = PIPIT_GUARD_MORE;
	for (size_t length = first; length < vector->length; length += step)
		come(reading, vector, length);
	come(reading, vector, vector->length);
}

/* By if, because this runs tens of thousands of times: every ck_assert() writes to a file. */
static void expect_same(const struct vector *vector, const struct reading *whole, size_t first, size_t step)
{
	static struct reading reading;

	judge(&reading, vector, first, step);
	if (reading.verdict != whole->verdict || reading.reason != whole->reason ||
	    (reading.verdict == PIPIT_GUARD_PASS && reading.used != whole->used))
		ck_abort_msg(
		    "%s: %zu bytes first, then %zu at a time: verdict %d (%s), %zu bytes used; whole: %d (%s), %zu",
		    vector->name, first, step, reading.verdict, pipit_refusal_entry(reading.reason)->label,
		    reading.used, whole->verdict, pipit_refusal_entry(whole->reason)->label, whole->used);
}

static void expect_same_in_every_delivery(const struct vector *vector, const struct reading *whole)
{
	expect_same(vector, whole, 1, 1);
	for (size_t cut = 1; cut < vector->length; cut++)
		expect_same(vector, whole, cut, vector->length);
}

START_TEST(passes_valid_requests_and_ends_where_they_end)
{
	const struct vector *vector = &accepted.all[_i];
	static struct reading whole;

	judge(&whole, vector, vector->length, 1);
	ck_assert_msg(whole.verdict == PIPIT_GUARD_PASS, "%s: verdict %d (%s)", vector->name, whole.verdict,
	    pipit_refusal_entry(whole.reason)->label);
	ck_assert_msg(
	    whole.used == vector->length, "%s: %zu of %zu bytes used", vector->name, whole.used, vector->length);
	expect_same_in_every_delivery(vector, &whole);
}
END_TEST

START_TEST(rejects_invalid_requests_with_the_status_of_the_file_name)
{
	const struct vector *vector = &rejected.all[_i];
	static struct reading whole;

	judge(&whole, vector, vector->length, 1);
	ck_assert_msg(whole.verdict == PIPIT_GUARD_REJECT, "%s: verdict %d", vector->name, whole.verdict);
	ck_assert_msg(pipit_refusal_entry(whole.reason)->status == vector->status, "%s: rejected with %d (%s)",
	    vector->name, pipit_refusal_entry(whole.reason)->status, pipit_refusal_entry(whole.reason)->label);
	expect_same_in_every_delivery(vector, &whole);
}
END_TEST

START_TEST(finds_the_vectors)
{
	ck_assert_uint_ge(accepted.count + rejected.count, VECTORS_AT_LEAST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guard_vectors");
	TCase *tests = tcase_create("guard_vectors");

	vectors_load(&accepted, "accept");
	vectors_load(&rejected, "reject");
	tcase_add_checked_fixture(tests, guarded_set_up, guarded_tear_down);
	tcase_add_test(tests, finds_the_vectors);
	tcase_add_loop_test(tests, passes_valid_requests_and_ends_where_they_end, 0, (int)accepted.count);
	tcase_add_loop_test(tests, rejects_invalid_requests_with_the_status_of_the_file_name, 0, (int)rejected.count);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
