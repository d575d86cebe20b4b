/* SPDX-License-Identifier: MIT */
/* Lists of proxies from right to left: elements, addresses, schemes, and what a client puts before them. */
#include "proxy/forwarded.h"

#include "guarded.h"
#include "suite.h"

#include <arpa/inet.h>
#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct pipit_slice guarded_slice(const char *text)
{
	size_t length = strlen(text);
	return (struct pipit_slice){ guarded_copy(text, length), length };
}

static const char *describe(const union pipit_client_address *address)
{
	static char text[INET6_ADDRSTRLEN];
	if (address->any.sa_family == AF_UNSPEC)
		return "none";
	return inet_ntop(address->any.sa_family,
	    address->any.sa_family == AF_INET ? (const void *)&address->v4.sin_addr : &address->v6.sin6_addr, text,
	    sizeof text);
}

/* --- lists ------------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *list, *elements; /* from the right, each with '|' */
} lists[] = {
	{ "", "" },
	{ " ", "" },
	{ ",", "" },
	{ " , ,\t, ", "" },
	{ "a", "a|" },
	{ "a,b", "b|a|" },
	{ " a , b\t,c", "c|b|a|" },
	{ ",a,,b,", "b|a|" },
	{ "a b", "a b|" },
	{ "for=a, for=\"b,c\", for=d", "for=d|for=\"b,c\"|for=a|" },
	{ "for=\"a\\\"b,c\";by=d,e", "e|for=\"a\\\"b,c\";by=d|" },
	{ "for=\"a\\\\\",for=b", "for=b|for=\"a\\\\\"|" },
	/* A client's open quote does not reach what a proxy has appended. */
	{ "for=\"a, for=b", "for=b|for=\"a|" },
	{ "for=\"a, for=\"[::1]:80\"", "for=\"[::1]:80\"|for=\"a|" },
	{ "for=\\\"a, for=\"b\"", "for=\"b\"|for=\\\"a|" },
	{ "\"", "\"|" },
	{ "\"\"", "\"\"|" },
	{ "\\\",\"", "\\\",\"|" },
};

START_TEST(takes_elements_from_the_right)
{
	struct pipit_slice list = guarded_slice(lists[_i].list), element;
	char found[128] = "";

	while (pipit_forwarded_take_last(&list, &element))
		snprintf(
		    found + strlen(found), sizeof found - strlen(found), "%.*s|", (int)element.length, element.data);
	ck_assert_str_eq(found, lists[_i].elements);
	ck_assert_uint_eq(list.length, 0);
}
END_TEST

/* --- X-Forwarded-For -------------------------------------------------------------------------------------------------- */

static const struct {
	const char *element, *address;
} addresses[] = {
	{ "192.0.2.9", "192.0.2.9" },
	{ "192.0.2.9:4711", "192.0.2.9" },
	{ "192.0.2.9:0", "192.0.2.9" },
	{ "2001:db8::9", "2001:db8::9" },
	{ "2001:DB8::9", "2001:db8::9" },
	{ "[2001:db8::9]", "2001:db8::9" },
	{ "[2001:db8::9]:4711", "2001:db8::9" },
	{ "::ffff:192.0.2.9", "192.0.2.9" },
	{ "[::ffff:192.0.2.9]:1", "192.0.2.9" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "", "none" },
	{ "unknown", "none" },
	{ "_hidden", "none" },
	{ "client.example.com", "none" },
	{ "localhost", "none" },
	{ "192.0.2", "none" },
	{ "192.0.2.256", "none" },
	{ "192.0.2.09", "none" },
	{ "0xC0000209", "none" },
	{ "3221225993", "none" },
	{ "192.0.2.9:", "none" },
	{ "192.0.2.9:65536", "none" },
	{ "192.0.2.9:123456", "none" },
	{ "192.0.2.9:8o", "none" },
	{ "192.0.2.9:_port", "none" },
	{ "192.0.2.9 198.51.100.7", "none" },
	{ "\"192.0.2.9\"", "none" },
	{ "192.0.2.9/24", "none" },
	{ "[192.0.2.9]", "none" },
	{ "[2001:db8::9", "none" },
	{ "2001:db8::9]", "none" },
	{ "[2001:db8::9]4711", "none" },
	{ "[2001:db8::9]:", "none" },
	{ "[]", "none" },
	{ "[", "none" },
	{ "fe80::1%eth0", "none" },
	{ "2001:db8::9::1", "none" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "none" },
};

START_TEST(reads_addresses)
{
	union pipit_client_address address = { .any.sa_family = AF_UNSPEC };
	bool is_read = pipit_forwarded_read_address(guarded_slice(addresses[_i].element), &address);
	ck_assert_str_eq(describe(&address), addresses[_i].address);
	ck_assert_int_eq(is_read, strcmp(addresses[_i].address, "none") != 0);
}
END_TEST

START_TEST(reads_no_address_with_a_nul)
{
	static const char bytes[] = "192.0.2.9\0";
	union pipit_client_address address;
	ck_assert(!pipit_forwarded_read_address((struct pipit_slice){ guarded_copy(bytes, 10), 10 }, &address));
}
END_TEST

START_TEST(reads_schemes)
{
	ck_assert_int_eq(pipit_forwarded_read_scheme(guarded_slice("https")), PIPIT_FORWARDED_HTTPS);
	ck_assert_int_eq(pipit_forwarded_read_scheme(guarded_slice("HTTP")), PIPIT_FORWARDED_HTTP);
	ck_assert_int_eq(pipit_forwarded_read_scheme(guarded_slice("wss")), PIPIT_FORWARDED_NO_SCHEME);
	ck_assert_int_eq(pipit_forwarded_read_scheme(guarded_slice("http ")), PIPIT_FORWARDED_NO_SCHEME);
	ck_assert_int_eq(pipit_forwarded_read_scheme(guarded_slice("")), PIPIT_FORWARDED_NO_SCHEME);
}
END_TEST

/* --- Forwarded -------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *element, *address;
	enum pipit_forwarded_scheme scheme;
} elements[] = {
	/* those of RFC 7239 §4 and §6 */
	{ "for=192.0.2.43", "192.0.2.43", PIPIT_FORWARDED_NO_SCHEME },
	{ "For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60", PIPIT_FORWARDED_HTTP },
	{ "for=\"[2001:db8:cafe::17]\";secret=egah2CGj55fSJFs", "2001:db8:cafe::17", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.43:47011\"", "192.0.2.43", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=_gazonk", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=unknown", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "by=203.0.113.43", "none", PIPIT_FORWARDED_NO_SCHEME },

	{ "FOR=192.0.2.9;PROTO=HTTPS", "192.0.2.9", PIPIT_FORWARDED_HTTPS },
	{ "proto=https;for=192.0.2.9", "192.0.2.9", PIPIT_FORWARDED_HTTPS },
	{ "for=\"192.0.2.9\";proto=\"https\"", "192.0.2.9", PIPIT_FORWARDED_HTTPS },
	{ "for=\"1\\92.0.2.9\"", "192.0.2.9", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9;proto=wss", "192.0.2.9", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"[::ffff:192.0.2.9]\"", "192.0.2.9", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.9:_port\"", "192.0.2.9", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"[2001:db8::9]:_p.1-x\"", "2001:db8::9", PIPIT_FORWARDED_NO_SCHEME },
	{ ";;for=192.0.2.9;", "192.0.2.9", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9 ; proto=https", "192.0.2.9", PIPIT_FORWARDED_HTTPS },
	{ "by=\"a;for=203.0.113.1\";for=192.0.2.9", "192.0.2.9", PIPIT_FORWARDED_NO_SCHEME },
	{ "host=\"\";for=192.0.2.9", "192.0.2.9", PIPIT_FORWARDED_NO_SCHEME },

	{ "", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ ";", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "192.0.2.9", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "=192.0.2.9", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for =192.0.2.9", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for= 192.0.2.9", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9:4711", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=[2001:db8::9]", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=2001:db8::9", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"2001:db8::9\"", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.9", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9\"", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.9\\\"", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.9\"x", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\" 192.0.2.9\"", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.9:\"", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.9:_\"", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.9:_a/b\"", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=\"192.0.2.9:65536\"", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9;for=203.0.113.1", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=_x;FOR=203.0.113.1", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9;proto=http;Proto=https", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9 proto=https", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9;proto", "none", PIPIT_FORWARDED_NO_SCHEME },
	{ "for=192.0.2.9;a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1", "none",
	    PIPIT_FORWARDED_NO_SCHEME },
};

START_TEST(reads_elements_of_rfc_7239)
{
	union pipit_client_address address = { .any.sa_family = AF_UNSPEC };
	enum pipit_forwarded_scheme scheme = PIPIT_FORWARDED_NO_SCHEME;
	bool is_read = pipit_forwarded_read_element(guarded_slice(elements[_i].element), &address, &scheme);
	ck_assert_str_eq(describe(&address), elements[_i].address);
	ck_assert_int_eq(scheme, elements[_i].scheme);
	ck_assert_int_eq(is_read, strcmp(elements[_i].address, "none") != 0);
}
END_TEST

/* A part is an element of its own, or none; never does it read on. */
START_TEST(reads_elements_that_are_cut_everywhere)
{
	const char *text = elements[_i].element;
	for (size_t start = 0; start <= strlen(text); start++) {
		for (size_t length = 0; length <= strlen(text) - start; length++) {
			union pipit_client_address address = { .any.sa_family = AF_UNSPEC };
			enum pipit_forwarded_scheme scheme;
			struct pipit_slice part = { guarded_copy(text + start, length), length }, element;
			bool is_read = pipit_forwarded_read_element(part, &address, &scheme);
			if (is_read != (address.any.sa_family != AF_UNSPEC))
				ck_abort_msg("%.*s", (int)length, text + start);
			pipit_forwarded_read_address(part, &address);
			while (pipit_forwarded_take_last(&part, &element))
				continue;
		}
	}
}
END_TEST

START_TEST(reads_no_longer_value_than_an_address)
{
	char element[400] = "for=\"192.0.2.9";
	union pipit_client_address address;
	enum pipit_forwarded_scheme scheme;

	memset(element + strlen(element), '9', 300);
	strcpy(element + 350, "\"");
	ck_assert(!pipit_forwarded_read_element(guarded_slice(element), &address, &scheme));
	memcpy(element, "aaa=", 4);
	strcpy(element + 351, ";for=192.0.2.9");
	memset(element + 14, '9', 336);
	ck_assert(pipit_forwarded_read_element(guarded_slice(element), &address, &scheme));
	ck_assert_str_eq(describe(&address), "192.0.2.9");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forwarded");
	TCase *tcase = tcase_create("lists");

	tcase_add_checked_fixture(tcase, guarded_set_up, guarded_tear_down);
	tcase_add_loop_test(tcase, takes_elements_from_the_right, 0, COUNT_OF(lists));
	tcase_add_loop_test(tcase, reads_addresses, 0, COUNT_OF(addresses));
	tcase_add_test(tcase, reads_no_address_with_a_nul);
	tcase_add_test(tcase, reads_schemes);
	tcase_add_loop_test(tcase, reads_elements_of_rfc_7239, 0, COUNT_OF(elements));
	tcase_add_loop_test(tcase, reads_elements_that_are_cut_everywhere, 0, COUNT_OF(elements));
	tcase_add_test(tcase, reads_no_longer_value_than_an_address);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
