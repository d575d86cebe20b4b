/* SPDX-License-Identifier: MIT */
/* Main function of every unit test: runs one suite, prints failures and Check's summary. */
#ifndef PIPIT_TESTS_SUITE_H
#define PIPIT_TESTS_SUITE_H

#include "patience.h"

#include <check.h>
#include <stdlib.h>

/* Before main(): tcase_create() reads it. */
__attribute__((constructor)) static void set_test_patience(void)
{
	setenv("CK_DEFAULT_TIMEOUT", TEST_PATIENCE_SECONDS, 0);
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
