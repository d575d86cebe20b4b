/* SPDX-License-Identifier: MIT */
#include "auth/password_hash.h"

#include "suite.h"

#include <crypt.h>
#include <string.h>

/* Cheap settings of every form; the hashes are those of libcrypt. */
static const char *const settings[] = { "$2y$04$abcdefghijklmnopqrstuu", "$2b$04$abcdefghijklmnopqrstuu",
	"$2a$04$abcdefghijklmnopqrstuu", "$5$salt$", "$5$rounds=1000$salt$", "$6$salt$", "$6$rounds=1000$salt$",
	"$y$j75$abcdefgh$" };

START_TEST(checks_passwords_of_every_form)
{
	struct pipit_password_hasher *hasher = pipit_password_hasher_new();
	struct crypt_data data = { 0 };
	const char *result = crypt_r("p\xc3\xa4ss word", settings[_i], &data);
	char hash[PIPIT_PASSWORD_HASH_MAX];

	ck_assert_ptr_nonnull(result);
	strcpy(hash, result);
	ck_assert_msg(pipit_password_hash_fault(hash) == NULL, "%s: %s", hash, pipit_password_hash_fault(hash));
	ck_assert(pipit_password_hasher_check(hasher, "p\xc3\xa4ss word", hash));
	ck_assert(!pipit_password_hasher_check(hasher, "p\xc3\xa4ss wore", hash));
	ck_assert(!pipit_password_hasher_check(hasher, "", hash));
	ck_assert(pipit_password_hasher_check(hasher, "p\xc3\xa4ss word", hash));
	pipit_password_hasher_free(hasher);
}
END_TEST

/* Every cut, and every byte changed to one outside of the alphabet, is a fault. */
START_TEST(refuses_damaged_hashes)
{
	struct crypt_data data = { 0 };
	char hash[PIPIT_PASSWORD_HASH_MAX];
	size_t length;

	strcpy(hash, crypt_r("password", settings[_i], &data));
	length = strlen(hash);
	for (size_t i = 0; i < length; i++) {
		char byte = hash[i];
		hash[i] = '\0';
		ck_assert_msg(pipit_password_hash_fault(hash) != NULL, "%s", hash);
		hash[i] = '*';
		ck_assert_msg(pipit_password_hash_fault(hash) != NULL, "%s", hash);
		hash[i] = byte;
	}
	ck_assert_ptr_null(pipit_password_hash_fault(hash));
	strcat(hash, "a");
	ck_assert_ptr_nonnull(pipit_password_hash_fault(hash));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("password hash");
	TCase *tests = tcase_create("hashes");
	tcase_add_loop_test(tests, checks_passwords_of_every_form, 0, 8);
	tcase_add_loop_test(tests, refuses_damaged_hashes, 0, 8);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
