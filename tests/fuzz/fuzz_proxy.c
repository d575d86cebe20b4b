/* SPDX-License-Identifier: MIT */
/*
 * What a proxy says of its client: the input is a PROXY header, a list of X-Forwarded-For, and one of Forwarded.
 *
 * Checked: every beginning of a PROXY header needs more, what follows it changes nothing, and what is invalid stays invalid; a list has
 * the same elements when a proxy appends one, which is the first that is taken, and its address is read; elements lie within the list,
 * from right to left.
 */
#include "fuzz.h"

#include "proxy/forwarded.h"
#include "proxy/proxy_protocol.h"

#include <stdlib.h>
#include <string.h>

static enum pipit_proxy_protocol_result parse(const uint8_t *data, size_t length, struct pipit_proxy_protocol *header)
{
	char *copy = fuzz_copy(data, length);
	enum pipit_proxy_protocol_result result = pipit_proxy_protocol_parse(copy, length, header);
	free(copy);
	return result;
}

static void check_header(const uint8_t *data, size_t size)
{
	struct pipit_proxy_protocol whole = { 0 }, part = { 0 };
	enum pipit_proxy_protocol_result result = parse(data, size, &whole);
	/* An inner loop over all beginnings of a long input would take most of the time. */
	size_t step = size > 512 ? size / 64 : 1;
	bool is_invalid = false;

	if (result == PIPIT_PROXY_PROTOCOL_DONE) {
		REQUIRE(whole.length > 0 && whole.length <= size && whole.length <= PIPIT_PROXY_PROTOCOL_MAX);
		REQUIRE(parse(data, whole.length, &part) == PIPIT_PROXY_PROTOCOL_DONE);
		REQUIRE(part.length == whole.length && part.has_client == whole.has_client);
		REQUIRE(memcmp(&part.client, &whole.client, sizeof part.client) == 0);
		size = whole.length;
	}
	if (result == PIPIT_PROXY_PROTOCOL_MORE)
		REQUIRE(size < PIPIT_PROXY_PROTOCOL_MAX);
	for (size_t cut = 0; cut < size; cut += step) {
		enum pipit_proxy_protocol_result before = parse(data, cut, &part);
		REQUIRE(before != PIPIT_PROXY_PROTOCOL_DONE || result == PIPIT_PROXY_PROTOCOL_DONE);
		REQUIRE(!is_invalid || before == PIPIT_PROXY_PROTOCOL_INVALID);
		is_invalid = before == PIPIT_PROXY_PROTOCOL_INVALID;
		if (result != PIPIT_PROXY_PROTOCOL_INVALID)
			REQUIRE(before == PIPIT_PROXY_PROTOCOL_MORE);
	}
}

static size_t check_elements(struct pipit_slice list)
{
	struct pipit_slice element;
	const char *begin = list.data, *before = list.data + list.length;
	size_t count = 0;

	while (pipit_forwarded_take_last(&list, &element)) {
		union pipit_client_address address = { .any.sa_family = AF_UNSPEC };
		enum pipit_forwarded_scheme scheme;
		bool is_read;

		REQUIRE(element.length > 0 && element.data >= begin && element.data + element.length <= before);
		before = element.data;
		REQUIRE(list.length <= (size_t)(element.data - begin));
		is_read = pipit_forwarded_read_address(element, &address);
		REQUIRE(is_read == (address.any.sa_family != AF_UNSPEC));
		address.any.sa_family = AF_UNSPEC;
		is_read = pipit_forwarded_read_element(element, &address, &scheme);
		REQUIRE(is_read == (address.any.sa_family != AF_UNSPEC));
		pipit_forwarded_read_scheme(element);
		count++;
	}
	REQUIRE(list.length == 0);
	return count;
}

/* Whatever a client sends, the element that a proxy appends is the last one, and is read. */
static void check_list(const uint8_t *data, size_t size, const char *appended, bool is_forwarded)
{
	struct fuzz_bytes bytes = { 0 };
	struct pipit_slice list, element;
	union pipit_client_address address = { .any.sa_family = AF_UNSPEC };
	enum pipit_forwarded_scheme scheme;
	size_t count;

	fuzz_append(&bytes, data, size);
	count = check_elements((struct pipit_slice){ bytes.data, bytes.length });
	fuzz_append(&bytes, ", ", 2);
	fuzz_append(&bytes, appended, strlen(appended));
	list = (struct pipit_slice){ bytes.data, bytes.length };
	REQUIRE(check_elements(list) == count + 1);
	REQUIRE(pipit_forwarded_take_last(&list, &element));
	REQUIRE(element.length == strlen(appended) && memcmp(element.data, appended, element.length) == 0);
	REQUIRE(is_forwarded ? pipit_forwarded_read_element(element, &address, &scheme)
			     : pipit_forwarded_read_address(element, &address));
	REQUIRE(address.any.sa_family == AF_INET6);
	free(bytes.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_header(data, size);
	if (size > 4096)
		return 0;
	check_list(data, size, "2001:db8::9", false);
	check_list(data, size, "for=\"[2001:db8::9]:4711\";proto=https", true);
	return 0;
}
