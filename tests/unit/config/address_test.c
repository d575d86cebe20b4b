/* SPDX-License-Identifier: MIT */
/* Every form of an address, and what is none. */
#include "config/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"

START_TEST(splits_addresses)
{
	static const struct {
		const char *text, *host;
		unsigned port;
	} good[] = {
		{ "127.0.0.1:8080", "127.0.0.1", 8080 },
		{ "0.0.0.0:0", "0.0.0.0", 0 },
		{ "[::1]:65535", "::1", 65535 },
		{ "[::]:00080", "::", 80 },
		{ ":8080", "::", 8080 },
		{ "localhost:8080", "127.0.0.1", 8080 },
		{ "[fe80::1%eth0]:80", "fe80::1%eth0", 80 },
		{ "[FE80::1%15-characters-]:80", "FE80::1%15-characters-", 80 },
		{ "LocalHost:8080", "127.0.0.1", 8080 },
		{ "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		    1 },
	};
	char host[64];
	unsigned port = 1;
	ck_assert_int_eq(pipit_address_split(good[_i].text, host, sizeof(host), &port), 0);
	ck_assert_str_eq(host, good[_i].host);
	ck_assert_uint_eq(port, good[_i].port);
}
END_TEST

START_TEST(refuses_invalid_addresses)
{
	static const char *const bad[] = { "", ":", "localhost", "80", "*:80", "localhost.:80", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:000080", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1",
		"127.0.0.1:80x", "127.0.0.1 :80", "1.2.3:80", "1.2.3.4.5:80", "256.0.0.1:80", "::1:80", "[::1]",
		"[::1]80", "[::1]:", "[::1:80", "[]:80", "[127.0.0.1]:80", "[::1]x:80", "[::1%lo]:80", "[fe80::1%]:80",
		"[fe80::1%%a]:80", "[fe80::1%a b]:80", "[fe80::1%sixteen-letters-]:80", "127.0.0.1%lo:80",
		"[0000000000000000000000000000000000000000000000000001::]:1" };
	char host[64] = "untouched";
	unsigned port = 12345;
	ck_assert_int_eq(pipit_address_split(bad[_i], host, sizeof(host), &port), -EINVAL);
	ck_assert_str_eq(host, "untouched");
	ck_assert_uint_eq(port, 12345);
}
END_TEST

START_TEST(refuses_a_host_that_does_not_fit)
{
	char host[10];
	unsigned port = 0;
	ck_assert_int_eq(pipit_address_split("127.0.0.1:80", host, 9, &port), -EINVAL);
	ck_assert_int_eq(pipit_address_split("127.0.0.1:80", host, 10, &port), 0);
	ck_assert_str_eq(host, "127.0.0.1");
	ck_assert_int_eq(pipit_address_split("localhost:80", host, 9, &port), -EINVAL);
}
END_TEST

START_TEST(parses_unix_sockets)
{
	static const struct {
		const char *text, *path, *user, *group;
		unsigned mode;
	} good[] = {
		{ "unix:/run/a.sock", "/run/a.sock", "", "", 0660 },
		{ "unix:/a b", "/a b", "", "", 0660 },
		{ "unix:@name", "@name", "", "", 0660 },
		{ "unix:/a,mode=0600", "/a", "", "", 0600 },
		{ "unix:/a,mode=777,user=www-data,group=33", "/a", "www-data", "33", 0777 },
		{ "unix:/a,group=g,user=0,mode=0", "/a", "0", "g", 0 },
	};
	struct pipit_address address;
	ck_assert_int_eq(pipit_address_parse(good[_i].text, &address), 0);
	ck_assert_int_eq(address.kind, PIPIT_ADDRESS_UNIX);
	ck_assert_str_eq(address.path, good[_i].path);
	ck_assert_str_eq(address.user, good[_i].user);
	ck_assert_str_eq(address.group, good[_i].group);
	ck_assert_uint_eq(address.mode, good[_i].mode);
}
END_TEST

START_TEST(refuses_what_is_no_mode)
{
	static const char *const bad[] = { "unix:/a,mode=", "unix:/a,mode=8", "unix:/a,mode=1000", "unix:/a,mode=00000",
		"unix:/a,user=b,mode=rw" };
	struct pipit_address address;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(pipit_address_parse(bad[i], &address), -ERANGE);
		ck_assert_int_eq(address.kind, PIPIT_ADDRESS_UNIX);
	}
}
END_TEST

START_TEST(refuses_what_is_no_unix_socket)
{
	static const char *const bad[] = { "unix:", "unix:a", "unix:/", "unix:@", "unix:/a ", "unix:/a,",
		"unix:/a,mode", "unix:/a,mode=0660,", "unix:/a,user=", "unix:/a,user,mode=0660", "unix:/a,owner=b",
		"unix:@a,mode=0600", "unix:/a,,mode=0600", "unix:/a,user=b ", "unix:/a, mode=0600" };
	struct pipit_address address;
	ck_assert_int_eq(pipit_address_parse(bad[_i], &address), -EINVAL);
	ck_assert_int_eq(address.kind, PIPIT_ADDRESS_UNIX);
}
END_TEST

/* unix(7): 108 bytes with the NUL. */
START_TEST(takes_paths_that_fit_into_an_address)
{
	char text[sizeof("unix:/") + 107] = "unix:/";
	struct pipit_address address;
	memset(text + strlen(text), 'a', 106);
	ck_assert_int_eq(pipit_address_parse(text, &address), 0);
	ck_assert_uint_eq(strlen(address.path), 107);
	text[strlen(text)] = 'a';
	ck_assert_int_eq(pipit_address_parse(text, &address), -EINVAL);
}
END_TEST

START_TEST(parses_inherited_sockets)
{
	static const struct {
		const char *text, *name;
		int descriptor;
	} good[] = {
		{ "fd://3", "", 3 },
		{ "fd://0", "", 0 },
		{ "fd://1048576", "", 1048576 },
		{ "fd://pipit.socket", "pipit.socket", -1 },
		{ "fd://3a", "3a", -1 },
	};
	struct pipit_address address;
	ck_assert_int_eq(pipit_address_parse(good[_i].text, &address), 0);
	ck_assert_int_eq(address.kind, PIPIT_ADDRESS_INHERITED);
	ck_assert_int_eq(address.descriptor, good[_i].descriptor);
	ck_assert_str_eq(address.name, good[_i].name);
}
END_TEST

START_TEST(refuses_what_is_no_inherited_socket)
{
	static const char *const bad[] = { "fd://", "fd://1048577", "fd://99999999999999999999", "fd://a:b", "fd://a b",
		"fd://name-of-more-than-63-bytes-name-of-more-than-63-bytes-name-of-more" };
	struct pipit_address address;
	ck_assert_int_eq(pipit_address_parse(bad[_i], &address), -EINVAL);
	ck_assert_int_eq(address.kind, PIPIT_ADDRESS_INHERITED);
}
END_TEST

START_TEST(reads_proxy_protocol_behind_every_address)
{
	static const char *const good[] = { "127.0.0.1:80", "[::1]:80", ":80", "localhost:80", "unix:/a", "unix:@a",
		"unix:/a,mode=0600,user=b", "fd://3", "fd://name" };
	char text[64];
	struct pipit_address plain, address;
	snprintf(text, sizeof(text), "%s,proxy-protocol", good[_i]);
	ck_assert_int_eq(pipit_address_parse(good[_i], &plain), 0);
	ck_assert_int_eq(pipit_address_parse(text, &address), 0);
	ck_assert(!plain.is_proxied && !pipit_address_is_proxied(good[_i]));
	ck_assert(address.is_proxied && pipit_address_is_proxied(text));
	ck_assert_int_eq(address.kind, plain.kind);
	ck_assert_str_eq(address.host, plain.host);
	ck_assert_uint_eq(address.port, plain.port);
	ck_assert_str_eq(address.path, plain.path);
	ck_assert_uint_eq(address.mode, plain.mode);
	ck_assert_str_eq(address.user, plain.user);
	ck_assert_int_eq(address.descriptor, plain.descriptor);
	ck_assert_str_eq(address.name, plain.name);
}
END_TEST

START_TEST(refuses_proxy_protocol_elsewhere)
{
	static const char *const bad[] = { ",proxy-protocol", "127.0.0.1,proxy-protocol",
		"127.0.0.1:80,proxy-protocols", "127.0.0.1:80,proxy-protocol ", "127.0.0.1:80 ,proxy-protocol",
		"127.0.0.1:80,proxy-protocol,proxy-protocol", "127.0.0.1:80,proxy_protocol",
		"127.0.0.1:80,PROXY-PROTOCOL", "unix:/a,proxy-protocol,mode=0600", "unix:,proxy-protocol",
		"fd://,proxy-protocol" };
	struct pipit_address address;
	ck_assert_int_eq(pipit_address_parse(bad[_i], &address), -EINVAL);
}
END_TEST

START_TEST(refuses_a_long_address_with_proxy_protocol)
{
	static char text[2 * PIPIT_ADDRESS_TEXT_SIZE] = "unix:/a";
	struct pipit_address address;
	while (strlen(text) < PIPIT_ADDRESS_TEXT_SIZE)
		strcat(text, ",mode=0600");
	ck_assert_int_eq(pipit_address_parse(text, &address), 0);
	strcat(text, ",proxy-protocol");
	ck_assert_int_eq(pipit_address_parse(text, &address), -EINVAL);
	ck_assert_int_eq(address.kind, PIPIT_ADDRESS_UNIX);
}
END_TEST

START_TEST(knows_the_rest_of_an_address_in_a_list)
{
	ck_assert(pipit_address_is_rest("proxy-protocol"));
	ck_assert(pipit_address_is_rest("proxy-protocol,127.0.0.1:80"));
	ck_assert(!pipit_address_is_rest("proxy-protocols"));
	ck_assert(pipit_address_is_rest("mode=0660,user=a"));
	ck_assert(pipit_address_is_rest("user=a"));
	ck_assert(pipit_address_is_rest("group="));
	ck_assert(!pipit_address_is_rest("127.0.0.1:80"));
	ck_assert(!pipit_address_is_rest("modes=1"));
	ck_assert(!pipit_address_is_rest(""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("address");
	TCase *tests = tcase_create("addresses");
	tcase_add_loop_test(tests, splits_addresses, 0, 10);
	tcase_add_loop_test(tests, refuses_invalid_addresses, 0, 33);
	tcase_add_test(tests, refuses_a_host_that_does_not_fit);
	tcase_add_loop_test(tests, parses_unix_sockets, 0, 6);
	tcase_add_test(tests, refuses_what_is_no_mode);
	tcase_add_loop_test(tests, refuses_what_is_no_unix_socket, 0, 15);
	tcase_add_test(tests, takes_paths_that_fit_into_an_address);
	tcase_add_loop_test(tests, parses_inherited_sockets, 0, 5);
	tcase_add_loop_test(tests, refuses_what_is_no_inherited_socket, 0, 6);
	tcase_add_loop_test(tests, reads_proxy_protocol_behind_every_address, 0, 9);
	tcase_add_loop_test(tests, refuses_proxy_protocol_elsewhere, 0, 11);
	tcase_add_test(tests, refuses_a_long_address_with_proxy_protocol);
	tcase_add_test(tests, knows_the_rest_of_an_address_in_a_list);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
