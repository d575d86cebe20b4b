/* SPDX-License-Identifier: MIT */
#include "auth/digest.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

static const char *hex(struct pipit_digest digest)
{
	static char text[2 * PIPIT_DIGEST_SIZE + 1];
	for (size_t i = 0; i < PIPIT_DIGEST_SIZE; i++)
		sprintf(text + 2 * i, "%02x", digest.bytes[i]);
	return text;
}

START_TEST(computes_sha256)
{
	/* FIPS 180-4 */
	ck_assert_str_eq(hex(pipit_digest_sha256(pipit_slice_of("abc"))),
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(parts_keys_and_texts_make_a_difference)
{
	struct pipit_digest_key key, other;
	struct pipit_slice one[] = { pipit_slice_of("a"), pipit_slice_of("bc") },
			   two[] = { pipit_slice_of("ab"), pipit_slice_of("c") };
	struct pipit_digest digest, again, second;

	ck_assert_int_eq(pipit_digest_new_key(&key), 0);
	ck_assert_int_eq(pipit_digest_new_key(&other), 0);
	digest = pipit_digest_keyed(&key, one, 2);
	again = pipit_digest_keyed(&key, one, 2);
	ck_assert(pipit_digest_is_same(&digest, &again));
	second = pipit_digest_keyed(&key, two, 2);
	ck_assert(!pipit_digest_is_same(&digest, &second));
	second = pipit_digest_keyed(&key, one, 1);
	ck_assert(!pipit_digest_is_same(&digest, &second));
	second = pipit_digest_keyed(&other, one, 2);
	ck_assert(!pipit_digest_is_same(&digest, &second));
	ck_assert(pipit_digest_is_same_text("abc", "abc"));
	ck_assert(!pipit_digest_is_same_text("abc", "abd"));
	ck_assert(!pipit_digest_is_same_text("abc", "abcd"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("digest");
	TCase *tests = tcase_create("digests");
	tcase_add_test(tests, computes_sha256);
	tcase_add_test(tests, parts_keys_and_texts_make_a_difference);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
