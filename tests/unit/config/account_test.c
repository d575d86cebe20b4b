/* SPDX-License-Identifier: MIT */
/* Users and groups by name and number, known and unknown to the system. */
#include "config/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "suite.h"

START_TEST(finds_the_users_of_the_system)
{
	const struct passwd *entry;
	setpwent();
	while ((entry = getpwent()) != NULL) {
		char number[16];
		uid_t user = 1;
		gid_t group = 1;
		ck_assert_int_eq(pipit_account_find_user(entry->pw_name, &user, &group), 0);
		ck_assert_uint_eq(user, entry->pw_uid);
		ck_assert_uint_eq(group, entry->pw_gid);
		snprintf(number, sizeof(number), "%lu", (unsigned long)entry->pw_uid);
		ck_assert_int_eq(pipit_account_find_user(number, &user, &group), 0);
		ck_assert_uint_eq(user, entry->pw_uid);
	}
	endpwent();
}
END_TEST

START_TEST(finds_the_groups_of_the_system)
{
	const struct group *entry;
	setgrent();
	while ((entry = getgrent()) != NULL) {
		gid_t group = 1;
		ck_assert_int_eq(pipit_account_find_group(entry->gr_name, &group), 0);
		ck_assert_uint_eq(group, entry->gr_gid);
	}
	endgrent();
}
END_TEST

START_TEST(a_number_need_not_be_known)
{
	uid_t user = 1;
	gid_t group = 1;
	ck_assert_int_eq(pipit_account_find_user("4294967294", &user, &group), 0);
	ck_assert_uint_eq(user, 4294967294);
	ck_assert_uint_eq(group, 4294967294);
	ck_assert_int_eq(pipit_account_find_group("4294967293", &group), 0);
	ck_assert_uint_eq(group, 4294967293);
}
END_TEST

/* 4294967295 is -1, which means "unchanged" to the kernel. */
START_TEST(refuses_what_is_unknown)
{
	static const char *const unknown[] = { "no-such-name", "", "4294967295", "18446744073709551616", "-1", "+1",
		" 1" };
	uid_t user = 7;
	gid_t group = 8;
	ck_assert_int_eq(pipit_account_find_user(unknown[_i], &user, &group), -ENOENT);
	ck_assert_int_eq(pipit_account_find_group(unknown[_i], &group), -ENOENT);
	ck_assert_uint_eq(user, 7);
	ck_assert_uint_eq(group, 8);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("account");
	TCase *tests = tcase_create("accounts");
	tcase_add_test(tests, finds_the_users_of_the_system);
	tcase_add_test(tests, finds_the_groups_of_the_system);
	tcase_add_test(tests, a_number_need_not_be_known);
	tcase_add_loop_test(tests, refuses_what_is_unknown, 0, 7);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
