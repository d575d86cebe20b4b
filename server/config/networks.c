/* SPDX-License-Identifier: MIT */
#include "config/networks.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_BYTES = 1 + 16,
	V4_BITS = 32,
	V6_BITS = 128,
	TEXT_BYTES = INET6_ADDRSTRLEN + sizeof "/128",
	/* First byte of keys. Not neighbours: the key after the last one of a family belongs to none. */
	FAMILY_UNIX = 1,
	FAMILY_V4 = 4,
	FAMILY_V6 = 6,
};

/* The family, then the address in network order. An IPv4 address has zeros behind it. */
struct key {
	unsigned char bytes[KEY_BYTES];
};

struct network {
	struct key first;
	unsigned bits; /* of the prefix, without the family */
	int value;
};

/* From `first` to the next range. */
struct range {
	struct key first;
	int value; /* 0: in no network */
};

struct pipit_networks {
	struct network *networks;
	size_t count, capacity;
	struct range *ranges; /* ascending; NULL: not indexed */
	size_t range_count;
};

struct pipit_networks *pipit_networks_new(void)
{
	return calloc(1, sizeof(struct pipit_networks));
}

void pipit_networks_free(struct pipit_networks *networks)
{
	if (!networks)
		return;
	free(networks->networks);
	free(networks->ranges);
	free(networks);
}

/* --- keys ----------------------------------------------------------------------------------------------------------- */

static int compare_keys(const struct key *left, const struct key *right)
{
	return memcmp(left->bytes, right->bytes, sizeof left->bytes);
}

static struct key key_of(unsigned char family, const void *address, size_t length)
{
	struct key key = { { family } };
	if (length > 0)
		memcpy(key.bytes + 1, address, length);
	return key;
}

/* False: of another family. */
static bool read_key(const struct sockaddr *address, struct key *key)
{
	const struct in6_addr *v6;

	if (!address || address->sa_family == AF_UNIX) {
		*key = key_of(FAMILY_UNIX, NULL, 0);
		return true;
	}
	if (address->sa_family == AF_INET) {
		*key = key_of(FAMILY_V4, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	*key = IN6_IS_ADDR_V4MAPPED(v6) ? key_of(FAMILY_V4, v6->s6_addr + 12, 4) : key_of(FAMILY_V6, v6->s6_addr, 16);
	return true;
}

/* Sets the bits behind the prefix, or clears them. */
static struct key fill(struct key key, unsigned bits, bool value)
{
	for (unsigned i = bits; i < V6_BITS; i++) {
		unsigned char bit = (unsigned char)(0x80 >> i % 8);
		unsigned char *byte = &key.bytes[1 + i / 8];
		*byte = (unsigned char)(value ? *byte | bit : *byte & ~bit);
	}
	return key;
}

/* The key behind the last one of a network. */
static struct key end_of(const struct network *network)
{
	struct key key = fill(network->first, network->bits, true);
	for (size_t i = KEY_BYTES; i-- > 0 && ++key.bytes[i] == 0;)
		;
	return key;
}

static unsigned family_bits(const struct key *key)
{
	return key->bytes[0] == FAMILY_V4 ? V4_BITS : key->bytes[0] == FAMILY_V6 ? V6_BITS : 0;
}

static void print_key(const struct key *key, char text[INET6_ADDRSTRLEN])
{
	if (key->bytes[0] == FAMILY_UNIX)
		strcpy(text, "unix:");
	else
		inet_ntop(key->bytes[0] == FAMILY_V4 ? AF_INET : AF_INET6, key->bytes + 1, text, INET6_ADDRSTRLEN);
}

static void print_network(const struct network *network, char text[TEXT_BYTES])
{
	char address[INET6_ADDRSTRLEN];
	print_key(&network->first, address);
	if (network->bits == family_bits(&network->first))
		snprintf(text, TEXT_BYTES, "%s", address);
	else
		snprintf(text, TEXT_BYTES, "%s/%u", address, network->bits);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

struct error {
	char *text;
	size_t size;
};

static int refuse(const struct error *error, struct pipit_slice word, const char *why)
{
	int length = word.length < TEXT_BYTES ? (int)word.length : TEXT_BYTES;
	snprintf(error->text, error->size, "\"%.*s\"%s", length, word.data, why);
	return -EINVAL;
}

static bool read_address(const char *text, struct key *key)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		*key = key_of(FAMILY_V4, &v4, sizeof v4);
	else if (inet_pton(AF_INET6, text, &v6) == 1)
		*key = key_of(FAMILY_V6, &v6, sizeof v6);
	else
		return false;
	return true;
}

static bool read_bits(const char *text, unsigned max, unsigned *bits)
{
	size_t length = strlen(text);
	unsigned number = 0;

	if (length == 0 || length > 3 || (text[0] == '0' && length > 1))
		return false;
	for (; pipit_bytes_is_digit(*text); text++)
		number = number * 10 + (unsigned)(*text - '0');
	if (*text != '\0' || number > max)
		return false;
	*bits = number;
	return true;
}

static int check_host_bits(struct network *network, struct pipit_slice word, const struct error *error)
{
	char right[TEXT_BYTES], address[INET6_ADDRSTRLEN], why[2 * TEXT_BYTES + 80];
	struct network whole = { .first = fill(network->first, network->bits, false), .bits = network->bits };

	if (compare_keys(&whole.first, &network->first) == 0)
		return 0;
	print_network(&whole, right);
	print_key(&network->first, address);
	snprintf(why, sizeof why, " has bits set behind the first %u; use %s for the network, or %s for the address",
	    network->bits, right, address);
	return refuse(error, word, why);
}

/* No client would be in it. */
static int check_mapped(const struct network *network, struct pipit_slice word, const struct error *error)
{
	const unsigned char *bytes = network->first.bytes + 1;
	struct network right = { .first = key_of(FAMILY_V4, bytes + 12, 4),
		.bits = network->bits - (V6_BITS - V4_BITS) };
	char text[TEXT_BYTES], why[TEXT_BYTES + 80];
	struct in6_addr v6;

	memcpy(&v6, bytes, sizeof v6);
	if (network->first.bytes[0] != FAMILY_V6 || network->bits < V6_BITS - V4_BITS || !IN6_IS_ADDR_V4MAPPED(&v6))
		return 0;
	print_network(&right, text);
	snprintf(why, sizeof why, " is an IPv4-mapped address; use %s", text);
	return refuse(error, word, why);
}

static int read_network(struct pipit_slice word, struct network *network, const struct error *error)
{
	char text[TEXT_BYTES], *slash;

	if (word.length >= sizeof text || memchr(word.data, '\0', word.length))
		return refuse(error, word, ": not a network; use " PIPIT_NETWORKS_WANTED);
	memcpy(text, word.data, word.length);
	text[word.length] = '\0';
	slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	if (strcmp(text, "unix:") == 0 && !slash) {
		*network = (struct network){ .first = key_of(FAMILY_UNIX, NULL, 0) };
		return 0;
	}
	if (!read_address(text, &network->first))
		return refuse(error, word, ": not a network; use " PIPIT_NETWORKS_WANTED);
	network->bits = family_bits(&network->first);
	if (slash && !read_bits(slash + 1, network->bits, &network->bits))
		return refuse(error, word,
		    network->bits == V4_BITS ? ": not the length of a prefix; use 0 to 32, as in 10.0.0.0/8"
					     : ": not the length of a prefix; use 0 to 128, as in 2001:db8::/32");
	if (check_host_bits(network, word, error) < 0)
		return -EINVAL;
	return check_mapped(network, word, error);
}

static int keep(struct pipit_networks *networks, struct network network)
{
	if (networks->count == networks->capacity) {
		size_t capacity = networks->capacity ? 2 * networks->capacity : 8;
		struct network *grown = reallocarray(networks->networks, capacity, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		networks->networks = grown;
		networks->capacity = capacity;
	}
	networks->networks[networks->count++] = network;
	return 0;
}

static int keep_all(struct pipit_networks *networks, int value)
{
	static const unsigned char families[] = { FAMILY_UNIX, FAMILY_V4, FAMILY_V6 };
	int result = 0;
	for (size_t i = 0; i < sizeof families && result == 0; i++)
		result = keep(networks, (struct network){ .first = key_of(families[i], NULL, 0), .value = value });
	return result;
}

int pipit_networks_add(
    struct pipit_networks *networks, struct pipit_slice list, int value, char *error_text, size_t error_size)
{
	const struct error error = { error_text, error_size };
	struct pipit_slice word;
	int result = 0;
	bool has_any = false;

	for (; result == 0 && pipit_slice_next_member(&list, &word); has_any = true) {
		struct network network = { .value = value };
		if (pipit_slice_equals(word, "all")) {
			result = keep_all(networks, value);
			continue;
		}
		result = read_network(word, &network, &error);
		network.value = value;
		if (result == 0)
			result = keep(networks, network);
	}
	if (result == -ENOMEM)
		snprintf(error_text, error_size, "out of memory");
	if (result == 0 && !has_any) {
		snprintf(error_text, error_size, "no network; use " PIPIT_NETWORKS_WANTED);
		return -EINVAL;
	}
	return result;
}

bool pipit_networks_have_every_address(const struct pipit_networks *networks)
{
	for (size_t i = 0; i < networks->count; i++) {
		if (networks->networks[i].bits == 0 && family_bits(&networks->networks[i].first) > 0)
			return true;
	}
	return false;
}

/* --- searching ------------------------------------------------------------------------------------------------------ */

/* A network comes before those that it contains. */
static int compare_networks(const void *left, const void *right)
{
	const struct network *one = left, *other = right;
	int order = compare_keys(&one->first, &other->first);
	return order != 0 ? order : (one->bits > other->bits) - (one->bits < other->bits);
}

static void begin_range(struct pipit_networks *networks, struct key first, int value)
{
	struct range *last = networks->ranges + networks->range_count;
	if (networks->range_count > 0 && compare_keys(&last[-1].first, &first) == 0)
		last[-1].value = value;
	else
		networks->ranges[networks->range_count++] = (struct range){ first, value };
}

/* Networks that contain the one before, the smallest last. */
struct open {
	struct key ends[1 + V6_BITS];
	int values[1 + V6_BITS];
	size_t count;
};

static void close_until(struct pipit_networks *networks, struct open *open, const struct key *first)
{
	while (open->count > 0 && (!first || compare_keys(&open->ends[open->count - 1], first) <= 0)) {
		open->count--;
		begin_range(networks, open->ends[open->count], open->count > 0 ? open->values[open->count - 1] : 0);
	}
}

static int check_values(const struct pipit_networks *networks, char *error, size_t error_size)
{
	for (size_t i = 1; i < networks->count; i++) {
		const struct network *network = &networks->networks[i];
		char text[TEXT_BYTES];
		if (network->value == network[-1].value || compare_networks(network, network - 1) != 0)
			continue;
		print_network(network, text);
		snprintf(error, error_size, "%s", text);
		return -EEXIST;
	}
	return 0;
}

int pipit_networks_index(struct pipit_networks *networks, char *error, size_t error_size)
{
	struct open open = { .count = 0 };

	if (networks->count > 0)
		qsort(networks->networks, networks->count, sizeof *networks->networks, compare_networks);
	if (check_values(networks, error, error_size) < 0)
		return -EEXIST;
	networks->ranges = calloc(2 * networks->count + 1, sizeof *networks->ranges);
	if (!networks->ranges) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < networks->count; i++) {
		const struct network *network = &networks->networks[i];
		if (i > 0 && compare_networks(network, network - 1) == 0)
			continue;
		close_until(networks, &open, &network->first);
		begin_range(networks, network->first, network->value);
		open.ends[open.count] = end_of(network);
		open.values[open.count++] = network->value;
	}
	close_until(networks, &open, NULL);
	return 0;
}

int pipit_networks_find(const struct pipit_networks *networks, const struct sockaddr *address)
{
	size_t low = 0, high = networks->range_count;
	struct key key;

	if (!read_key(address, &key))
		return 0;
	/* The last range that begins at the key or before. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_keys(&networks->ranges[middle].first, &key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? networks->ranges[low - 1].value : 0;
}
