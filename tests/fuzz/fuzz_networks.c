/* SPDX-License-Identifier: MIT */
/*
 * Lists of networks, and rules of `allow`, `deny` and `rate-limit`: lines, of which the first byte of each chooses the kind.
 *
 * Checked: a line is accepted, or refused with one line of text that says what to use, also as a part of several lines; the edges of each
 * network that was accepted, and their neighbours, are found as a walk over all networks finds them, with the smallest one first.
 */
#include "fuzz.h"

#include "access/address_rules.h"
#include "access/rate_limit.h"
#include "config/networks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NETWORKS_MAX = 64 };

/* As inet_pton() and a prefix read it, independent of the module. */
struct simple {
	int family, value;
	unsigned bits;
	unsigned char address[16];
};

struct list {
	struct simple networks[NETWORKS_MAX];
	size_t count;
};

static void check_error(const char *error)
{
	REQUIRE(*error != '\0' && strlen(error) < 511 && strchr(error, '\n') == NULL && strstr(error, "use ") != NULL);
}

static void keep(struct list *list, struct simple network)
{
	if (list->count < NETWORKS_MAX)
		list->networks[list->count++] = network;
}

/* Of a list that was accepted. */
static void read_simple(struct list *list, const char *text, int value)
{
	char *copy = fuzz_copy_text(text, strlen(text)), *rest = copy, *word;

	while ((word = strsep(&rest, ", \t")) != NULL) {
		struct simple network = { .family = AF_UNIX, .value = value };
		char *slash = strchr(word, '/');
		if (*word == '\0')
			continue;
		if (strcmp(word, "all") == 0) {
			keep(list, network);
			network.family = AF_INET;
			keep(list, network);
			network.family = AF_INET6;
			keep(list, network);
			continue;
		}
		if (slash)
			*slash = '\0';
		if (inet_pton(AF_INET, word, network.address) == 1)
			network.family = AF_INET;
		else if (inet_pton(AF_INET6, word, network.address) == 1)
			network.family = AF_INET6;
		else
			REQUIRE(strcmp(word, "unix:") == 0 && !slash);
		network.bits = slash                        ? (unsigned)atoi(slash + 1)
			       : network.family == AF_INET  ? 32
			       : network.family == AF_INET6 ? 128
							    : 0;
		keep(list, network);
	}
	free(copy);
}

static bool contains(const struct simple *network, int family, const unsigned char *address)
{
	if (network->family != family)
		return false;
	for (unsigned i = 0; i < network->bits; i++) {
		if ((network->address[i / 8] ^ address[i / 8]) & 0x80 >> i % 8)
			return false;
	}
	return true;
}

static int walk(const struct list *list, int family, const unsigned char *address)
{
	const struct simple *best = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct simple *network = &list->networks[i];
		if (contains(network, family, address) && (!best || network->bits > best->bits))
			best = network;
	}
	return best ? best->value : 0;
}

static int find(const struct pipit_networks *networks, int family, const unsigned char *address, bool mapped)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (family == AF_UNIX)
		return pipit_networks_find(networks, NULL);
	if (family == AF_INET6) {
		memcpy(&v6.sin6_addr, address, 16);
		return pipit_networks_find(networks, (struct sockaddr *)&v6);
	}
	memcpy(&v4.sin_addr, address, 4);
	memcpy(v6.sin6_addr.s6_addr + 12, address, 4);
	memset(v6.sin6_addr.s6_addr + 10, 0xff, 2);
	return pipit_networks_find(networks, mapped ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4);
}

static void check_address(
    const struct pipit_networks *networks, const struct list *list, int family, const unsigned char *address)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	int expected = walk(list, family, address);

	/* Is of IPv4. */
	if (family == AF_INET6 && memcmp(address, mapped, sizeof mapped) == 0)
		expected = walk(list, AF_INET, address + 12);
	REQUIRE(find(networks, family, address, false) == expected);
	if (family == AF_INET)
		REQUIRE(find(networks, family, address, true) == expected);
}

static void add(unsigned char *address, size_t length, int step)
{
	for (size_t i = length; i-- > 0;) {
		address[i] = (unsigned char)(address[i] + step);
		if (address[i] != (step > 0 ? 0 : 0xff))
			return;
	}
}

static void check_edges(const struct pipit_networks *networks, const struct list *list, const struct simple *network)
{
	size_t length = network->family == AF_INET6 ? 16 : 4;
	unsigned char first[16], last[16];

	memcpy(first, network->address, sizeof first);
	memcpy(last, network->address, sizeof last);
	for (unsigned i = network->bits; i < 8 * length; i++)
		last[i / 8] |= (unsigned char)(0x80 >> i % 8);
	check_address(networks, list, network->family, first);
	check_address(networks, list, network->family, last);
	add(first, length, -1);
	add(last, length, 1);
	check_address(networks, list, network->family, first);
	check_address(networks, list, network->family, last);
}

/* value: of the line. False: refused. */
static bool add_line(struct pipit_networks *networks, struct list *list, const char *line, int value)
{
	char error[512] = "";
	int result = pipit_networks_add(networks, pipit_slice_of(line), value, error, sizeof error);

	if (result != 0) {
		REQUIRE(result == -EINVAL);
		check_error(error);
		return false;
	}
	read_simple(list, line, value);
	return true;
}

static void check_rules(char kind, const char *line, struct pipit_address_rules *rules, struct pipit_rate_limit *limit)
{
	char error[512] = "";
	int result = kind == 'r'
			 ? pipit_rate_limit_add(limit, pipit_slice_of(line), error, sizeof error)
			 : pipit_address_rules_add(rules, pipit_slice_of(line), kind == 'a', error, sizeof error);

	REQUIRE(result == 0 || result == -EINVAL);
	if (result != 0)
		check_error(error);
}

static void check_requests(struct pipit_address_rules *rules, struct pipit_rate_limit *limit, const char *path)
{
	struct sockaddr_in client = { .sin_family = AF_INET };
	uint64_t seconds = 0;
	int result = pipit_address_rules_check(rules, (struct sockaddr *)&client, pipit_slice_of(path));

	REQUIRE(result == 0 || result == -EACCES);
	result = pipit_rate_limit_take(limit, (struct sockaddr *)&client, pipit_slice_of(path), 1, &seconds);
	/* A new client has a full bucket of each rule. */
	REQUIRE(result == 0);
	REQUIRE(pipit_rate_limit_take(limit, NULL, pipit_slice_of(path), 1, &seconds) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy_text(data, size), *rest = text, *line, error[512];
	struct pipit_networks *networks = pipit_networks_new();
	struct pipit_address_rules *rules = pipit_address_rules_new();
	struct pipit_rate_limit *limit = pipit_rate_limit_new();
	struct list list = { .count = 0 };
	bool is_right = true;
	int result, rates = 0;

	/* A table per rate. */
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		if (*line == 'n' || *line == 'm')
			is_right = is_right && add_line(networks, &list, line + 1, *line - 'm' + 1);
		else if (*line != 'r' || ++rates <= 4)
			check_rules(*line, line + 1, rules, limit);
	}
	result = is_right ? pipit_networks_index(networks, error, sizeof error) : -EINVAL;
	REQUIRE(result == 0 || result == -EEXIST || !is_right);
	for (size_t i = 0; result == 0 && list.count < NETWORKS_MAX && i < list.count; i++)
		check_edges(networks, &list, &list.networks[i]);
	if (pipit_address_rules_index(rules, error, sizeof error) == 0) {
		pipit_rate_limit_index(limit);
		check_requests(rules, limit, "/admin/../api/x");
	}
	pipit_networks_free(networks);
	pipit_address_rules_free(rules);
	pipit_rate_limit_free(limit);
	free(text);
	return 0;
}
