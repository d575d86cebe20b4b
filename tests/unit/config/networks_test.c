/* SPDX-License-Identifier: MIT */
#include "config/networks.h"

#include "suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static struct pipit_networks *read_list(const char *list)
{
	struct pipit_networks *networks = pipit_networks_new();
	char error[256] = "";
	ck_assert_msg(pipit_networks_add(networks, pipit_slice_of(list), 1, error, sizeof error) == 0, "%s", error);
	ck_assert_int_eq(pipit_networks_index(networks, error, sizeof error), 0);
	return networks;
}

/* "unix": a UNIX socket */
static int find(const struct pipit_networks *networks, const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	if (strcmp(text, "unix") == 0)
		return pipit_networks_find(networks, NULL);
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return pipit_networks_find(networks, (struct sockaddr *)&v4);
	ck_assert_msg(inet_pton(AF_INET6, text, &v6.sin6_addr) == 1, "%s", text);
	return pipit_networks_find(networks, (struct sockaddr *)&v6);
}

static const struct {
	const char *list, *address;
	bool is_in;
} cases[] = {
	{ "10.0.0.0/8", "9.255.255.255", false },
	{ "10.0.0.0/8", "10.0.0.0", true },
	{ "10.0.0.0/8", "10.255.255.255", true },
	{ "10.0.0.0/8", "11.0.0.0", false },
	{ "192.0.2.128/25", "192.0.2.127", false },
	{ "192.0.2.128/25", "192.0.2.128", true },
	{ "192.0.2.128/25", "192.0.2.255", true },
	{ "192.0.2.128/25", "192.0.3.0", false },
	{ "192.0.2.7", "192.0.2.6", false },
	{ "192.0.2.7", "192.0.2.7", true },
	{ "192.0.2.7", "192.0.2.8", false },
	{ "192.0.2.7/32", "192.0.2.7", true },
	{ "0.0.0.0/0", "0.0.0.0", true },
	{ "0.0.0.0/0", "255.255.255.255", true },
	{ "0.0.0.0/0", "::", false },
	{ "0.0.0.0/0", "unix", false },
	{ "255.255.255.255", "255.255.255.255", true },
	{ "255.255.255.255", "::", false },
	{ "2001:db8::/32", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", false },
	{ "2001:db8::/32", "2001:db8::", true },
	{ "2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ "2001:db8::/32", "2001:db9::", false },
	{ "2001:db8::80/121", "2001:db8::7f", false },
	{ "2001:db8::80/121", "2001:db8::80", true },
	{ "2001:db8::80/121", "2001:db8::ff", true },
	{ "2001:db8::80/121", "2001:db8::100", false },
	{ "2001:db8::1", "2001:db8::", false },
	{ "2001:db8::1", "2001:db8::1", true },
	{ "2001:db8::1", "2001:db8::2", false },
	{ "::/0", "::", true },
	{ "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ "::/0", "10.0.0.1", false },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true },
	/* IPv4 clients of [::] */
	{ "10.0.0.0/8", "::ffff:9.255.255.255", false },
	{ "10.0.0.0/8", "::ffff:10.0.0.0", true },
	{ "10.0.0.0/8", "::ffff:11.0.0.0", false },
	{ "::/0", "::ffff:10.0.0.1", false },
	{ "10.0.0.0/8", "::10.0.0.1", false }, /* not mapped */
	{ "unix:", "unix", true },
	{ "unix:", "0.0.0.0", false },
	{ "10.0.0.0/8", "unix", false },
	{ "all", "unix", true },
	{ "all", "10.0.0.1", true },
	{ "all", "::ffff:10.0.0.1", true },
	{ "all", "2001:db8::1", true },
	/* Several */
	{ "10.0.0.0/8, 192.168.0.0/16\t::1", "192.168.7.7", true },
	{ "10.0.0.0/8, 192.168.0.0/16\t::1", "::1", true },
	{ "10.0.0.0/8, 192.168.0.0/16\t::1", "172.16.0.1", false },
	{ "10.0.0.0/9 10.128.0.0/9", "10.128.0.0", true },
	{ "10.0.0.0/9 10.128.0.0/9", "11.0.0.0", false },
	{ "10.0.0.0/8 10.1.0.0/16", "10.2.0.0", true },
	{ "10.1.0.0/16 10.0.0.0/8 10.1.0.0/16", "10.255.255.255", true },
};

START_TEST(knows_what_is_in_a_list)
{
	struct pipit_networks *networks = read_list(cases[_i].list);
	ck_assert_msg(
	    find(networks, cases[_i].address) == cases[_i].is_in, "%s in %s", cases[_i].address, cases[_i].list);
	pipit_networks_free(networks);
}
END_TEST

START_TEST(a_socket_of_another_family_is_in_no_list)
{
	struct pipit_networks *networks = read_list("all");
	struct sockaddr other = { .sa_family = AF_UNSPEC };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	ck_assert_int_eq(pipit_networks_find(networks, &other), 0);
	ck_assert_int_eq(pipit_networks_find(networks, (struct sockaddr *)&local), 1);
	pipit_networks_free(networks);
}
END_TEST

START_TEST(nothing_is_in_an_empty_list)
{
	struct pipit_networks *networks = pipit_networks_new();
	char error[256];
	ck_assert_int_eq(pipit_networks_index(networks, error, sizeof error), 0);
	ck_assert_int_eq(find(networks, "10.0.0.1"), 0);
	ck_assert_int_eq(find(networks, "unix"), 0);
	pipit_networks_free(networks);
	pipit_networks_free(NULL);
}
END_TEST

static const struct {
	const char *list, *error;
} wrong[] = {
	{ "10.1.2.3/8",
	    "\"10.1.2.3/8\" has bits set behind the first 8; use 10.0.0.0/8 for the network, or 10.1.2.3 for the "
	    "address" },
	{ "192.0.2.129/25",
	    "\"192.0.2.129/25\" has bits set behind the first 25; use 192.0.2.128/25 for the network, or 192.0.2.129 "
	    "for the address" },
	{ "1.2.3.4/0", "\"1.2.3.4/0\" has bits set behind the first 0; use 0.0.0.0/0 for the network, or 1.2.3.4 for "
		       "the address" },
	{ "2001:db8::1/32",
	    "\"2001:db8::1/32\" has bits set behind the first 32; use 2001:db8::/32 for the network, or 2001:db8::1 "
	    "for the address" },
	{ "10.0.0.0/33", "\"10.0.0.0/33\": not the length of a prefix; use 0 to 32, as in 10.0.0.0/8" },
	{ "10.0.0.0/", "\"10.0.0.0/\": not the length of a prefix; use 0 to 32, as in 10.0.0.0/8" },
	{ "10.0.0.0/08", "\"10.0.0.0/08\": not the length of a prefix; use 0 to 32, as in 10.0.0.0/8" },
	{ "10.0.0.0/-1", "\"10.0.0.0/-1\": not the length of a prefix; use 0 to 32, as in 10.0.0.0/8" },
	{ "10.0.0.0/255.0.0.0", "\"10.0.0.0/255.0.0.0\": not the length of a prefix; use 0 to 32, as in 10.0.0.0/8" },
	{ "2001:db8::/129", "\"2001:db8::/129\": not the length of a prefix; use 0 to 128, as in 2001:db8::/32" },
	{ "::ffff:10.0.0.0/104", "\"::ffff:10.0.0.0/104\" is an IPv4-mapped address; use 10.0.0.0/8" },
	{ "::ffff:10.0.0.7", "\"::ffff:10.0.0.7\" is an IPv4-mapped address; use 10.0.0.7" },
	{ "10.0.0", "\"10.0.0\": not a network; use " PIPIT_NETWORKS_WANTED },
	{ "10.0.0.256", "\"10.0.0.256\": not a network; use " PIPIT_NETWORKS_WANTED },
	{ "10.0.0.01", "\"10.0.0.01\": not a network; use " PIPIT_NETWORKS_WANTED },
	{ "[::1]", "\"[::1]\": not a network; use " PIPIT_NETWORKS_WANTED },
	{ "fe80::1%lo", "\"fe80::1%lo\": not a network; use " PIPIT_NETWORKS_WANTED },
	{ "unix:/run/x", "\"unix:/run/x\": not a network; use " PIPIT_NETWORKS_WANTED },
	{ "unix:/8", "\"unix:/8\": not a network; use " PIPIT_NETWORKS_WANTED },
	{ "localhost", "\"localhost\": not a network; use " PIPIT_NETWORKS_WANTED },
	{ "10.0.0.0/8, 10.0.0.0/7x", "\"10.0.0.0/7x\": not the length of a prefix; use 0 to 32, as in 10.0.0.0/8" },
	{ "", "no network; use " PIPIT_NETWORKS_WANTED },
	{ " , ", "no network; use " PIPIT_NETWORKS_WANTED },
};

START_TEST(says_what_would_be_right)
{
	struct pipit_networks *networks = pipit_networks_new();
	char error[256] = "";
	ck_assert_int_eq(pipit_networks_add(networks, pipit_slice_of(wrong[_i].list), 1, error, sizeof error), -EINVAL);
	ck_assert_str_eq(error, wrong[_i].error);
	pipit_networks_free(networks);
}
END_TEST

/* Shows the start of a word of any length. */
START_TEST(refuses_long_words)
{
	static char word[5000];
	char error[256];
	memset(word, '1', sizeof word - 1);
	for (size_t length = 40; length < sizeof word; length += length / 3) {
		struct pipit_networks *networks = pipit_networks_new();
		ck_assert_int_eq(
		    pipit_networks_add(networks, (struct pipit_slice){ word, length }, 1, error, sizeof error),
		    -EINVAL);
		ck_assert_ptr_nonnull(strstr(error, "not a network; use "));
		pipit_networks_free(networks);
	}
}
END_TEST

START_TEST(the_smallest_network_decides)
{
	struct pipit_networks *networks = pipit_networks_new();
	char error[256];
	ck_assert_int_eq(
	    pipit_networks_add(networks, pipit_slice_of("10.1.0.0/16 10.3.3.3"), 2, error, sizeof error), 0);
	ck_assert_int_eq(
	    pipit_networks_add(networks, pipit_slice_of("10.0.0.0/8 10.1.1.0/24"), 1, error, sizeof error), 0);
	ck_assert_int_eq(pipit_networks_index(networks, error, sizeof error), 0);
	ck_assert_int_eq(find(networks, "10.0.255.255"), 1);
	ck_assert_int_eq(find(networks, "10.1.0.0"), 2);
	ck_assert_int_eq(find(networks, "10.1.0.255"), 2);
	ck_assert_int_eq(find(networks, "10.1.1.0"), 1);
	ck_assert_int_eq(find(networks, "10.1.1.255"), 1);
	ck_assert_int_eq(find(networks, "10.1.2.0"), 2);
	ck_assert_int_eq(find(networks, "10.2.0.0"), 1);
	ck_assert_int_eq(find(networks, "10.3.3.2"), 1);
	ck_assert_int_eq(find(networks, "10.3.3.3"), 2);
	ck_assert_int_eq(find(networks, "10.3.3.4"), 1);
	ck_assert_int_eq(find(networks, "11.0.0.0"), 0);
	pipit_networks_free(networks);
}
END_TEST

static const struct {
	const char *first, *second, *error;
} twice[] = {
	{ "10.0.0.0/8 ::1", "192.168.0.0/16 10.0.0.0/8", "10.0.0.0/8" },
	{ "2001:db8::1", "2001:db8::1/128", "2001:db8::1" },
	{ "unix:", "all", "unix:" },
};

START_TEST(refuses_two_values_of_one_network)
{
	struct pipit_networks *networks = pipit_networks_new();
	char error[256] = "";
	ck_assert_int_eq(pipit_networks_add(networks, pipit_slice_of(twice[_i].first), 1, error, sizeof error), 0);
	ck_assert_int_eq(pipit_networks_add(networks, pipit_slice_of(twice[_i].second), 2, error, sizeof error), 0);
	ck_assert_int_eq(pipit_networks_index(networks, error, sizeof error), -EEXIST);
	ck_assert_str_eq(error, twice[_i].error);
	pipit_networks_free(networks);
}
END_TEST

/* --- compared with a walk over all networks -------------------------------------------------------------------------- */

enum { NETWORKS = 300 };

struct simple {
	uint32_t first;
	unsigned bits;
};

static uint32_t mask_of(unsigned bits)
{
	return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

/* The value of a network is its length, and one more. */
static int walk(const struct simple *all, uint32_t address)
{
	int best = 0;
	for (size_t i = 0; i < NETWORKS; i++) {
		if ((address & mask_of(all[i].bits)) == all[i].first && (int)all[i].bits + 1 > best)
			best = (int)all[i].bits + 1;
	}
	return best;
}

static int find_v4(const struct pipit_networks *networks, uint32_t address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };
	return pipit_networks_find(networks, (struct sockaddr *)&v4);
}

START_TEST(finds_what_a_walk_finds)
{
	struct pipit_networks *networks = pipit_networks_new();
	struct simple all[NETWORKS];
	char text[64], error[256];
	uint32_t state = (uint32_t)_i + 1;
	for (size_t i = 0; i < NETWORKS; i++) {
		struct in_addr address;
		state = state * 1664525 + 1013904223;
		all[i].bits = 4 + (state >> 8) % 29;
		/* Few values, so that networks contain each other. */
		state = state * 1664525 + 1013904223;
		all[i].first = (state & 0xF10F10F1) & mask_of(all[i].bits);
		address.s_addr = htonl(all[i].first);
		snprintf(text, sizeof text, "%s/%u", inet_ntoa(address), all[i].bits);
		ck_assert_int_eq(
		    pipit_networks_add(networks, pipit_slice_of(text), (int)all[i].bits + 1, error, sizeof error), 0);
	}
	ck_assert_int_eq(pipit_networks_index(networks, error, sizeof error), 0);
	for (size_t i = 0; i < NETWORKS; i++) {
		uint32_t first = all[i].first, last = first | ~mask_of(all[i].bits);
		const uint32_t edges[] = { first - 1, first, first + 1, last - 1, last, last + 1 };
		for (size_t k = 0; k < sizeof edges / sizeof *edges; k++)
			ck_assert_int_eq(find_v4(networks, edges[k]), walk(all, edges[k]));
	}
	pipit_networks_free(networks);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("networks");
	TCase *tests = tcase_create("networks");
	tcase_add_loop_test(tests, knows_what_is_in_a_list, 0, sizeof cases / sizeof *cases);
	tcase_add_test(tests, a_socket_of_another_family_is_in_no_list);
	tcase_add_test(tests, nothing_is_in_an_empty_list);
	tcase_add_loop_test(tests, says_what_would_be_right, 0, sizeof wrong / sizeof *wrong);
	tcase_add_test(tests, refuses_long_words);
	tcase_add_test(tests, the_smallest_network_decides);
	tcase_add_loop_test(tests, refuses_two_values_of_one_network, 0, sizeof twice / sizeof *twice);
	tcase_add_loop_test(tests, finds_what_a_walk_finds, 0, 20);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
