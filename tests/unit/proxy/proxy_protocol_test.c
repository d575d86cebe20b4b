/* SPDX-License-Identifier: MIT */
/* The header of a proxy, versions 1 and 2: whole, byte by byte, cut at every place, and damaged. */
#include "proxy/proxy_protocol.h"

#include "guarded.h"
#include "suite.h"

#include <arpa/inet.h>
#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* Of a block of 12 bytes: 192.0.2.9 port 4711 to 198.51.100.7 port 80. */
#define BLOCK_V4 "\xC0\x00\x02\x09\xC6\x33\x64\x07\x12\x67\x00\x50"
#define V6_NINE "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x09"
#define BLOCK_V6 V6_NINE V6_NINE "\x12\x67\x00\x50"
#define BLOCK_UNIX_BYTES 216

static enum pipit_proxy_protocol_result parse(const char *bytes, size_t length, struct pipit_proxy_protocol *header)
{
	return pipit_proxy_protocol_parse(guarded_copy(bytes, length), length, header);
}

/* "192.0.2.9 4711", "unix", "none" */
static const char *describe(const struct pipit_proxy_protocol *header)
{
	static char text[INET6_ADDRSTRLEN + 8];
	char address[INET6_ADDRSTRLEN];
	const union pipit_client_address *client = &header->client;

	if (!header->has_client)
		return "none";
	if (client->any.sa_family == AF_UNIX)
		return "unix";
	inet_ntop(client->any.sa_family,
	    client->any.sa_family == AF_INET ? (const void *)&client->v4.sin_addr : &client->v6.sin6_addr, address,
	    sizeof address);
	snprintf(text, sizeof text, "%s %u", address,
	    ntohs(client->any.sa_family == AF_INET ? client->v4.sin_port : client->v6.sin6_port));
	return text;
}

/* Every beginning needs more; what follows the header is not looked at. */
static void expect_done(const char *bytes, size_t length, const char *client)
{
	static const char behind[] = "GET / HTTP/1.1\r\n\r\nPROXY \r\n\r\n";
	char both[PIPIT_PROXY_PROTOCOL_MAX + sizeof behind];
	struct pipit_proxy_protocol header = { .length = 1 };

	for (size_t cut = 0; cut < length; cut++) {
		if (parse(bytes, cut, &header) != PIPIT_PROXY_PROTOCOL_MORE || header.length != 1)
			ck_abort_msg("a beginning of %zu bytes of %zu", cut, length);
	}
	ck_assert_int_eq(parse(bytes, length, &header), PIPIT_PROXY_PROTOCOL_DONE);
	ck_assert_uint_eq(header.length, length);
	ck_assert_str_eq(describe(&header), client);
	memcpy(both, bytes, length);
	memcpy(both + length, behind, sizeof behind);
	ck_assert_int_eq(parse(both, length + sizeof behind, &header), PIPIT_PROXY_PROTOCOL_DONE);
	ck_assert_uint_eq(header.length, length);
	ck_assert_str_eq(describe(&header), client);
}

/* Whole, and from some byte on: never is a beginning complete. */
static void expect_invalid(const char *bytes, size_t length)
{
	struct pipit_proxy_protocol header = { .length = 1 };
	bool is_invalid = false;

	for (size_t cut = 0; cut <= length; cut++) {
		enum pipit_proxy_protocol_result result = parse(bytes, cut, &header);
		if (result == PIPIT_PROXY_PROTOCOL_DONE || header.length != 1 ||
		    (is_invalid && result != PIPIT_PROXY_PROTOCOL_INVALID))
			ck_abort_msg("%zu bytes of %.*s", cut, (int)length, bytes);
		is_invalid = result == PIPIT_PROXY_PROTOCOL_INVALID;
	}
	if (!is_invalid)
		ck_abort_msg("%.*s needs more", (int)length, bytes);
}

/* --- version 1 -------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *line, *client;
} lines[] = {
	{ "PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\n", "192.0.2.9 4711" },
	{ "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535" },
	{ "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0 0" },
	{ "PROXY TCP6 2001:db8::9 2001:DB8::7 4711 80\r\n", "2001:db8::9 4711" },
	{ "PROXY TCP6 ::ffff:192.0.2.9 ::ffff:192.0.2.7 4711 80\r\n", "::ffff:192.0.2.9 4711" },
	{ "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535" },
	{ "PROXY UNKNOWN\r\n", "none" },
	{ "PROXY UNKNOWN \xFF anything at all\r\n", "none" },
	{ "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
	  "65535\r\n",
	    "none" },
};

START_TEST(reads_version_1)
{
	expect_done(lines[_i].line, strlen(lines[_i].line), lines[_i].client);
}
END_TEST

static const char *const invalid_lines[] = {
	"GET / HTTP/1.1\r\n",
	"proxy TCP4 192.0.2.9 198.51.100.7 4711 80\r\n",
	"PROXY  TCP4 192.0.2.9 198.51.100.7 4711 80\r\n",
	"PROXY\tTCP4 192.0.2.9 198.51.100.7 4711 80\r\n",
	" PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\n",
	"PROXY TCP4 192.0.2.9  198.51.100.7 4711 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 4711 80 \r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 4711 80 1\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\rX",
	"PROXY TCP4 192.0.2.9\r198.51.100.7 4711 80\r\n",
	"PROXY TCP4 192.0.2.9\n198.51.100.7 4711 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 4711\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 4711 \r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7\r\n",
	"PROXY TCP4 \r\n",
	"PROXY TCP4\r\n",
	"PROXY \r\n",
	"PROXY\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 4711 65536\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 65536 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 99999 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 4294972007 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 04711 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 00 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 -1 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 +1 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100.7 0x1 80\r\n",
	"PROXY TCP4 192.0.2.256 198.51.100.7 4711 80\r\n",
	"PROXY TCP4 192.0.2.09 198.51.100.7 4711 80\r\n",
	"PROXY TCP4 192.0.2 198.51.100.7 4711 80\r\n",
	"PROXY TCP4 192.0.2.9 198.51.100 4711 80\r\n",
	"PROXY TCP4 2001:db8::9 2001:db8::7 4711 80\r\n",
	"PROXY TCP6 192.0.2.9 198.51.100.7 4711 80\r\n",
	"PROXY TCP6 2001:db8::192.0.2.9 2001:db8::7 4711 80\r\n",
	"PROXY TCP6 fe80::1%lo 2001:db8::7 4711 80\r\n",
	"PROXY TCP6 2001:db8::9::1 2001:db8::7 4711 80\r\n",
	"PROXY TCP6 [2001:db8::9] 2001:db8::7 4711 80\r\n",
	"PROXY TCP5 192.0.2.9 198.51.100.7 4711 80\r\n",
	"PROXY UDP4 192.0.2.9 198.51.100.7 4711 80\r\n",
	"PROXY UNKNOWNS\r\n",
	"PROXY unknown\r\n",
	"PROXY UNKNOWN 1\r2\r\n",
	"PROXY UNKNOWN 1\n2\r\n",
};

START_TEST(refuses_what_version_1_does_not_allow)
{
	expect_invalid(invalid_lines[_i], strlen(invalid_lines[_i]));
}
END_TEST

START_TEST(limits_a_line_to_107_bytes)
{
	char line[200] = "PROXY UNKNOWN ";
	struct pipit_proxy_protocol header;
	size_t start = strlen(line);

	memset(line + start, 'x', sizeof line - start);
	ck_assert_int_eq(parse(line, 106, &header), PIPIT_PROXY_PROTOCOL_MORE);
	ck_assert_int_eq(parse(line, 107, &header), PIPIT_PROXY_PROTOCOL_INVALID);
	memcpy(line + 105, "\r\n", 2);
	ck_assert_int_eq(parse(line, 107, &header), PIPIT_PROXY_PROTOCOL_DONE);
	memcpy(line + 105, "x\r\n", 3);
	expect_invalid(line, 108);
}
END_TEST

/* --- version 2 -------------------------------------------------------------------------------------------------------- */

/* Returns the length. */
static size_t build(char *header, char command, char family, size_t announced, const char *block, size_t length)
{
	memcpy(header, SIGNATURE, 12);
	header[12] = command;
	header[13] = family;
	header[14] = (char)(announced >> 8);
	header[15] = (char)announced;
	memcpy(header + 16, block, length);
	return 16 + length;
}

static const struct {
	char command, family;
	const char *block;
	size_t length;
	const char *client;
} blocks[] = {
	{ 0x21, 0x11, BLOCK_V4, 12, "192.0.2.9 4711" },
	{ 0x21, 0x21, BLOCK_V6, 36, "2001:db8::9 4711" },
	/* with TLVs, which are not looked at */
	{ 0x21, 0x11, BLOCK_V4 "\x04\x00\x01 ", 16, "192.0.2.9 4711" },
	{ 0x21, 0x21, BLOCK_V6 "\xFF\xFF\xFF", 39, "2001:db8::9 4711" },
	/* LOCAL, also with an address or a family that does not exist */
	{ 0x20, 0x00, "", 0, "none" },
	{ 0x20, 0x11, BLOCK_V4, 12, "none" },
	{ 0x20, 0x11, "", 0, "none" },
	{ 0x20, 0x7F, "abc", 3, "none" },
	/* unknown to the proxy, or no stream */
	{ 0x21, 0x00, "", 0, "none" },
	{ 0x21, 0x00, "abc", 3, "none" },
	{ 0x21, 0x10, BLOCK_V4, 12, "none" },
	{ 0x21, 0x12, BLOCK_V4, 12, "none" },
	{ 0x21, 0x22, BLOCK_V6, 36, "none" },
};

START_TEST(reads_version_2)
{
	char header[256];
	size_t length = build(
	    header, blocks[_i].command, blocks[_i].family, blocks[_i].length, blocks[_i].block, blocks[_i].length);
	expect_done(header, length, blocks[_i].client);
}
END_TEST

START_TEST(reads_a_unix_client_of_version_2)
{
	char header[256], block[BLOCK_UNIX_BYTES] = "/run/client.sock";
	expect_done(header, build(header, 0x21, 0x31, sizeof block, block, sizeof block), "unix");
}
END_TEST

START_TEST(limits_version_2_to_4096_bytes)
{
	static char header[8192], block[8192] = BLOCK_V4;
	expect_done(header, build(header, 0x21, 0x11, 4080, block, 4080), "192.0.2.9 4711");
	expect_invalid(header, build(header, 0x21, 0x11, 4081, block, 4081));
	expect_invalid(header, build(header, 0x20, 0x00, 65535, block, 0));
}
END_TEST

static const struct {
	char command, family;
	size_t length;
} invalid_blocks[] = {
	{ 0x11, 0x11, 12 },
	{ 0x31, 0x11, 12 },
	{ 0x01, 0x11, 12 },
	{ 0x22, 0x11, 12 },
	{ 0x2F, 0x11, 12 },
	{ 0x21, 0x13, 12 },
	{ 0x21, 0x1F, 12 },
	{ 0x21, 0x41, 216 },
	{ 0x21, (char)0xF1, 216 },
	{ 0x21, 0x11, 11 },
	{ 0x21, 0x11, 0 },
	{ 0x21, 0x12, 11 },
	{ 0x21, 0x21, 35 },
	{ 0x21, 0x21, 12 },
	{ 0x21, 0x31, 215 },
};

START_TEST(refuses_what_version_2_does_not_allow)
{
	char header[256], block[BLOCK_UNIX_BYTES] = "";
	size_t length = invalid_blocks[_i].length;
	expect_invalid(
	    header, build(header, invalid_blocks[_i].command, invalid_blocks[_i].family, length, block, length));
}
END_TEST

START_TEST(refuses_every_damaged_signature)
{
	char header[64];
	size_t length = build(header, 0x21, 0x11, 12, BLOCK_V4, 12);

	for (size_t at = 0; at < 12; at++) {
		header[at] ^= 0x20;
		expect_invalid(header, length);
		header[at] ^= 0x20;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proxy_protocol");
	TCase *tcase = tcase_create("headers");

	tcase_add_checked_fixture(tcase, guarded_set_up, guarded_tear_down);
	tcase_add_loop_test(tcase, reads_version_1, 0, COUNT_OF(lines));
	tcase_add_loop_test(tcase, refuses_what_version_1_does_not_allow, 0, COUNT_OF(invalid_lines));
	tcase_add_test(tcase, limits_a_line_to_107_bytes);
	tcase_add_loop_test(tcase, reads_version_2, 0, COUNT_OF(blocks));
	tcase_add_test(tcase, reads_a_unix_client_of_version_2);
	tcase_add_test(tcase, limits_version_2_to_4096_bytes);
	tcase_add_loop_test(tcase, refuses_what_version_2_does_not_allow, 0, COUNT_OF(invalid_blocks));
	tcase_add_test(tcase, refuses_every_damaged_signature);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
