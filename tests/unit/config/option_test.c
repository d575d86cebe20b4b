/* SPDX-License-Identifier: MIT */
/* Every kind of value, right and wrong with its error, and addresses. */
#include "config/option.h"
#include "config/option_error.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"

/* ---------------------------------------------------------------- fixture */

static struct pipit_config config;
static char error[512];

static void set_up(void)
{
	pipit_config_init(&config);
	memset(error, 0, sizeof(error));
}

static void tear_down(void)
{
	pipit_option_free_copies(&config);
}

static int set(const char *key, const char *value, char *data, size_t size)
{
	static const struct pipit_option_place call = { .kind = PIPIT_OPTION_PLACE_CALL };
	struct pipit_option_error line = pipit_option_error_begin(data, size);
	const struct pipit_option *option = pipit_option_find(key, strlen(key));
	ck_assert_ptr_nonnull(option);
	return pipit_option_error_report(&call, option, value, pipit_option_assign(&config, option, value), &line);
}

/* ---------------------------------------------------------------- values that are right */

struct good_number {
	const char *key, *value;
	size_t offset;
	uint64_t expected;
};

#define NUMBER(key, value, field, expected)                                \
	{                                                                  \
		key, value, offsetof(struct pipit_config, field), expected \
	}

static const struct good_number good_numbers[] = {
	NUMBER("workers", "0", workers, 0),
	NUMBER("workers", "256", workers, 256),
	NUMBER("workers", "007", workers, 7),
	NUMBER("max-connections", "0", max_connections, 0),
	NUMBER("max-connections", "1000000", max_connections, 1000000),
	NUMBER("listen-backlog", "1", listen_backlog, 1),
	NUMBER("listen-backlog", "65535", listen_backlog, 65535),
	NUMBER("max-head-bytes", "256", max_head_bytes, 256),
	NUMBER("max-head-bytes", "64k", max_head_bytes, 65536),
	NUMBER("max-fields", "1", max_fields, 1),
	NUMBER("max-fields", "256", max_fields, 256),
	NUMBER("max-target-bytes", "16", max_target_bytes, 16),
	NUMBER("max-target-bytes", "65000", max_target_bytes, 65000),
	NUMBER("max-body-bytes", "0", max_body_bytes, 0),
	NUMBER("max-body-bytes", "3k", max_body_bytes, 3 * 1024),
	NUMBER("max-body-bytes", "2m", max_body_bytes, 2 * 1048576),
	NUMBER("max-body-bytes", "1024g", max_body_bytes, UINT64_C(1) << 40),
	NUMBER("max-json-depth", "512", max_json_depth, 512),
	NUMBER("defer-accept", "1m", defer_accept_ms, 60000),
	NUMBER("head-timeout", "0", head_timeout_ms, 0),
	NUMBER("head-timeout", "500ms", head_timeout_ms, 500),
	NUMBER("read-timeout", "7", read_timeout_ms, 7000),
	NUMBER("write-timeout", "45s", write_timeout_ms, 45000),
	NUMBER("min-rate-bytes", "0", min_rate_bytes, 0),
	NUMBER("min-rate-bytes", "1g", min_rate_bytes, UINT64_C(1) << 30),
	NUMBER("rate-grace", "0s", rate_grace_ms, 0),
	NUMBER("idle-timeout", "2m", idle_timeout_ms, 120000),
	NUMBER("lingering-time", "1ms", lingering_time_ms, 1),
	NUMBER("lingering-timeout", "24h", lingering_timeout_ms, 86400000),
	NUMBER("drain-timeout", "24h", drain_timeout_ms, 86400000),
	NUMBER("drain-timeout", "86400000ms", drain_timeout_ms, 86400000),
	NUMBER("drain-delay", "1.5s", drain_delay_ms, 1500),
	NUMBER("drain-delay", "1.5", drain_delay_ms, 1500),
	NUMBER("drain-delay", "0.5H", drain_delay_ms, 1800000),
	NUMBER("drain-delay", "250MS", drain_delay_ms, 250),
	NUMBER("drain-delay", "1.0019s", drain_delay_ms, 1001),
	NUMBER("drain-delay", "0.0s", drain_delay_ms, 0),
	NUMBER("max-body-bytes", "2M", max_body_bytes, 2 * 1048576),
	NUMBER("max-body-bytes", "1.5m", max_body_bytes, 1572864),
	NUMBER("max-body-bytes", "0.1k", max_body_bytes, 102),
	NUMBER("max-body-bytes", "1023.999999999999999999G", max_body_bytes, UINT64_C(1099511627774)),
};

START_TEST(takes_numbers_sizes_and_durations)
{
	const struct good_number *good = &good_numbers[_i];
	uint64_t number;
	int result = set(good->key, good->value, error, sizeof(error));
	ck_assert_msg(result == 0, "%s", error);
	memcpy(&number, (const char *)&config + good->offset, sizeof(number));
	ck_assert_uint_eq(number, good->expected);
}
END_TEST

START_TEST(takes_texts_and_choices_and_copies_them)
{
	char value[] = "/srv/www";
	ck_assert_int_eq(set("root", value, NULL, 0), 0);
	memset(value, 'x', sizeof(value) - 1);
	ck_assert_str_eq(config.root, "/srv/www");
	ck_assert_int_eq(set("access-log", "-", NULL, 0), 0);
	ck_assert_str_eq(config.access_log, "-");
	ck_assert_int_eq(set("log-format", "json", NULL, 0), 0);
	ck_assert_str_eq(config.log_format, "json");
	ck_assert_int_eq(set("log-level", "debug", NULL, 0), 0);
	ck_assert_str_eq(config.log_level, "debug");
}
END_TEST

START_TEST(the_first_address_replaces_the_default_and_further_ones_are_added)
{
	ck_assert_int_eq(set("listen", "0.0.0.0:80", NULL, 0), 0);
	ck_assert_int_eq(set("listen", "[::]:80", NULL, 0), 0);
	ck_assert_uint_eq(config.listen_count, 2);
	ck_assert_str_eq(config.listen[0], "0.0.0.0:80");
	ck_assert_str_eq(config.listen[1], "[::]:80");
}
END_TEST

START_TEST(adds_to_an_address_of_the_application)
{
	config.listen[0] = "127.0.0.1:9000";
	ck_assert_int_eq(set("listen", "127.0.0.1:9001", NULL, 0), 0);
	ck_assert_uint_eq(config.listen_count, 2);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:9000");
}
END_TEST

/* ---------------------------------------------------------------- values that are wrong */

#define ADDRESS_WANTED                                                                                           \
	"ADDR:PORT or [ADDR]:PORT with a numeric address, localhost:PORT, :PORT for all addresses, unix:/PATH, " \
	"unix:@NAME, or fd://N; with https:// in front of ADDR for TLS, and ,proxy-protocol at the end behind a proxy"
#define SIZE_WANTED "use a number with an optional k, m or g, for example 1m"
#define DURATION_WANTED "use a number with an optional ms, s, m or h, for example 10s"

static const struct bad_value {
	const char *key, *value, *message;
} bad_values[] = {
	{ "workers", "", "workers: has no value; use 0 to 256" },
	{ "workers", "four", "workers = \"four\": not a number; use 0 to 256" },
	{ "workers", " 4", "workers = \" 4\": not a number; use 0 to 256" },
	{ "workers", "+4", "workers = \"+4\": not a number; use 0 to 256" },
	{ "workers", "4k", "workers = \"4k\": not a number; use 0 to 256" },
	{ "workers", "-", "workers = \"-\": not a number; use 0 to 256" },
	{ "workers", "-1", "workers = \"-1\": out of range; use 0 to 256" },
	{ "workers", "257", "workers = \"257\": out of range; use 0 to 256" },
	{ "workers", "18446744073709551615", "workers = \"18446744073709551615\": out of range; use 0 to 256" },
	{ "workers", "18446744073709551616", "workers = \"18446744073709551616\": out of range; use 0 to 256" },
	{ "workers", "99999999999999999999999", "workers = \"99999999999999999999999\": out of range; use 0 to 256" },
	{ "max-connections", "1000001", "max-connections = \"1000001\": out of range; use 0 to 1000000" },
	{ "defer-accept", "61s", "defer-accept = \"61s\": out of range; use 0 to 1m" },
	{ "listen-backlog", "0", "listen-backlog = \"0\": out of range; use 1 to 65535" },
	{ "listen-backlog", "65536", "listen-backlog = \"65536\": out of range; use 1 to 65535" },
	{ "max-head-bytes", "255", "max-head-bytes = \"255\": out of range; use 256 to 64k" },
	{ "max-head-bytes", "65k", "max-head-bytes = \"65k\": out of range; use 256 to 64k" },
	{ "max-fields", "0", "max-fields = \"0\": out of range; use 1 to 256" },
	{ "max-fields", "257", "max-fields = \"257\": out of range; use 1 to 256" },
	{ "max-target-bytes", "15", "max-target-bytes = \"15\": out of range; use 16 to 65000" },
	{ "max-target-bytes", "64k", "max-target-bytes = \"64k\": out of range; use 16 to 65000" },
	{ "max-body-bytes", "12q", "max-body-bytes = \"12q\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", "k", "max-body-bytes = \"k\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", "1 k", "max-body-bytes = \"1 k\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", "1.5", "max-body-bytes = \"1.5\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", "1.m", "max-body-bytes = \"1.m\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", ".5m", "max-body-bytes = \".5m\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", "1,5m", "max-body-bytes = \"1,5m\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", "1.5.5m", "max-body-bytes = \"1.5.5m\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", "0.0001k", "max-body-bytes = \"0.0001k\": out of range; use 0 to 1024g" },
	{ "max-body-bytes", "1024.1g", "max-body-bytes = \"1024.1g\": out of range; use 0 to 1024g" },
	{ "max-body-bytes", "17179869183.999999999g",
	    "max-body-bytes = \"17179869183.999999999g\": out of range; use 0 to 1024g" },
	{ "workers", "1.5", "workers = \"1.5\": not a number; use 0 to 256" },
	{ "drain-delay", "1.5ms", "drain-delay = \"1.5ms\": not a duration; " DURATION_WANTED },
	{ "drain-delay", "0.0000000009h", "drain-delay = \"0.0000000009h\": out of range; use 0 to 24h" },
	{ "drain-delay", "0.0001s", "drain-delay = \"0.0001s\": out of range; use 0 to 24h" },
	{ "max-body-bytes", "0x10", "max-body-bytes = \"0x10\": not a size; " SIZE_WANTED },
	{ "max-body-bytes", "-5k", "max-body-bytes = \"-5k\": out of range; use 0 to 1024g" },
	{ "max-body-bytes", "1025g", "max-body-bytes = \"1025g\": out of range; use 0 to 1024g" },
	{ "max-body-bytes", "18446744073709551615k",
	    "max-body-bytes = \"18446744073709551615k\": out of range; use 0 to 1024g" },
	/* times 1024 is 1024 modulo 2^64 */
	{ "max-body-bytes", "18014398509481985k",
	    "max-body-bytes = \"18014398509481985k\": out of range; use 0 to 1024g" },
	{ "max-json-depth", "513", "max-json-depth = \"513\": out of range; use 1 to 512" },
	{ "min-rate-bytes", "2g", "min-rate-bytes = \"2g\": out of range; use 0 to 1g" },
	{ "head-timeout", "soon", "head-timeout = \"soon\": not a duration; " DURATION_WANTED },
	{ "head-timeout", "10sec", "head-timeout = \"10sec\": not a duration; " DURATION_WANTED },
	{ "head-timeout", "1d", "head-timeout = \"1d\": not a duration; " DURATION_WANTED },
	{ "head-timeout", "25h", "head-timeout = \"25h\": out of range; use 0 to 24h" },
	{ "head-timeout", "86401", "head-timeout = \"86401\": out of range; use 0 to 24h" },
	{ "idle-timeout", "-1s", "idle-timeout = \"-1s\": out of range; use 0 to 24h" },
	{ "root", "", "root: has no value; use a directory" },
	{ "root", "/a\nb", "root = \"/a\\x0Ab\": contains a control character; use a directory" },
	{ "access-log", "", "access-log: has no value; use off, - or a file" },
	{ "access-log", "\033[2J", "access-log = \"\\x1B[2J\": contains a control character; use off, - or a file" },
	{ "log-format", "xml", "log-format = \"xml\": unknown value; use combined or json" },
	{ "log-format", "JSON", "log-format = \"JSON\": unknown value; use combined or json" },
	{ "log-level", "", "log-level: has no value; use error, warn, info or debug" },
	{ "log-level", "loud", "log-level = \"loud\": unknown value; use error, warn, info or debug" },
	{ "listen", "", "listen: has no value; use " ADDRESS_WANTED },
	{ "listen", "8080", "listen = \"8080\": not an address; use " ADDRESS_WANTED },
	{ "listen", "unix:relative",
	    "listen = \"unix:relative\": not a UNIX socket; use unix:/PATH, optionally with ,mode=0660 "
	    ",user=NAME ,group=NAME, or unix:@NAME, of at most 107 bytes without commas" },
	{ "listen", "unix:/a,mode=999",
	    "listen = \"unix:/a,mode=999\": wrong mode; use octal digits up to 0777, for example mode=0660" },
	{ "listen", "unix:/a\t", "listen = \"unix:/a\\x09\": contains a control character; use " ADDRESS_WANTED },
	{ "listen", "fd://",
	    "listen = \"fd://\": not an inherited socket; use fd:// and its number, or its name in "
	    "LISTEN_FDNAMES" },
	{ "listen", "example.com:80", "listen = \"example.com:80\": not an address; use " ADDRESS_WANTED },
	{ "listen", "127.0.0.1:1,127.0.0.1:2",
	    "listen = \"127.0.0.1:1,127.0.0.1:2\": not an address; use " ADDRESS_WANTED },
};

START_TEST(refuses_a_wrong_value_and_says_what_would_be_right)
{
	const struct bad_value *bad = &bad_values[_i];
	struct pipit_config before = config;
	ck_assert_int_eq(set(bad->key, bad->value, error, sizeof(error)), -EINVAL);
	ck_assert_str_eq(error, bad->message);
	ck_assert_mem_eq(&config, &before, sizeof(config));
}
END_TEST

START_TEST(takes_at_most_16_addresses)
{
	for (int i = 0; i < PIPIT_LISTEN_MAX; i++)
		ck_assert_int_eq(set("listen", "127.0.0.1:0", NULL, 0), 0);
	ck_assert_int_eq(set("listen", "127.0.0.1:0", error, sizeof(error)), -EINVAL);
	ck_assert_str_eq(error, "listen = \"127.0.0.1:0\": too many addresses; use at most 16");
	ck_assert_uint_eq(config.listen_count, PIPIT_LISTEN_MAX);
}
END_TEST

static int set_number(const struct pipit_option *option, uint64_t number)
{
	char text[32];
	snprintf(text, sizeof(text), "%llu%s", (unsigned long long)number,
	    option->kind == PIPIT_OPTION_DURATION ? "ms" : "");
	return set(option->name, text, error, sizeof(error));
}

START_TEST(takes_every_number_from_its_least_to_its_most)
{
	const struct pipit_option *option = &pipit_option_table[_i];
	if (!pipit_option_is_number(option))
		return;
	for (uint64_t number = option->min; number <= option->min + 1; number++) {
		ck_assert_int_eq(set_number(option, number), 0);
		ck_assert_uint_eq(pipit_option_get_number(&config, option), number);
	}
	for (uint64_t number = option->max - 1; number <= option->max; number++) {
		ck_assert_int_eq(set_number(option, number), 0);
		ck_assert_uint_eq(pipit_option_get_number(&config, option), number);
	}
	ck_assert_int_eq(set_number(option, option->max + 1), -EINVAL);
	if (option->min > 0)
		ck_assert_int_eq(set_number(option, option->min - 1), -EINVAL);
	ck_assert_uint_eq(pipit_option_get_number(&config, option), option->max);
}
END_TEST

START_TEST(shows_values_of_up_to_80_bytes_whole)
{
	char value[82], expected[128];
	for (int length = 79; length <= 81; length++) {
		memset(value, 'v', sizeof(value));
		value[length] = '\0';
		snprintf(expected, sizeof(expected), "workers = \"%.80s%s\": ", value, length > 80 ? "..." : "");
		ck_assert_int_eq(set("workers", value, error, sizeof(error)), -EINVAL);
		ck_assert_int_eq(strncmp(error, expected, strlen(expected)), 0);
	}
}
END_TEST

START_TEST(cuts_long_values_and_errors_that_do_not_fit)
{
	char value[4100], small[16];
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	ck_assert_int_eq(set("root", value, error, sizeof(error)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "vvv...\": too long; use at most 4000 bytes"));
	ck_assert_uint_lt(strlen(error), 200);
	ck_assert_int_eq(set("workers", "x", small, sizeof(small)), -EINVAL);
	ck_assert_str_eq(small, "workers = \"x\": ");
	ck_assert_int_eq(set("workers", "x", small, 0), -EINVAL);
	ck_assert_int_eq(set("workers", "x", NULL, 100), -EINVAL);
}
END_TEST

/* ---------------------------------------------------------------- suite */

static TCase *make_case(const char *name)
{
	TCase *tests = tcase_create(name);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	return tests;
}

static TCase *value_tests(void)
{
	TCase *tests = make_case("values");
	tcase_add_loop_test(
	    tests, takes_numbers_sizes_and_durations, 0, sizeof(good_numbers) / sizeof(good_numbers[0]));
	tcase_add_test(tests, takes_texts_and_choices_and_copies_them);
	tcase_add_test(tests, the_first_address_replaces_the_default_and_further_ones_are_added);
	tcase_add_test(tests, adds_to_an_address_of_the_application);
	tcase_add_loop_test(
	    tests, refuses_a_wrong_value_and_says_what_would_be_right, 0, sizeof(bad_values) / sizeof(bad_values[0]));
	tcase_add_test(tests, takes_at_most_16_addresses);
	tcase_add_loop_test(tests, takes_every_number_from_its_least_to_its_most, 0, PIPIT_OPTION_TOTAL);
	tcase_add_test(tests, shows_values_of_up_to_80_bytes_whole);
	tcase_add_test(tests, cuts_long_values_and_errors_that_do_not_fit);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("option");
	suite_add_tcase(suite, value_tests());
	return run_suite(suite);
}
