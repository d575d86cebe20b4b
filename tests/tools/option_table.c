/* SPDX-License-Identifier: MIT */
/* Prints the table of options for the documentation; readme_test.py compares. */
#include "config/config.h"

int main(void)
{
	pipit_config_print_markdown(stdout);
	return 0;
}
