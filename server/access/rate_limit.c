/* SPDX-License-Identifier: MIT */
#include "access/rate_limit.h"

#include "access/path_prefix.h"
#include "access/token_buckets.h"
#include "base/bytes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define WANTED "[PREFIX] N/s, N/m or N/h [burst=N], or PREFIX off; for example /api/ 10/s burst=20"
#define TEXT_(number) #number
#define TEXT(number) TEXT_(number)

struct rule {
	char *prefix;                        /* owned */
	size_t length;                       /* without slashes at its end */
	struct pipit_token_buckets *buckets; /* owned; NULL: off */
};

struct pipit_rate_limit {
	struct rule *rules; /* once indexed, the longest prefix first */
	size_t count;
};

struct pipit_rate_limit *pipit_rate_limit_new(void)
{
	return calloc(1, sizeof(struct pipit_rate_limit));
}

static void free_rule(struct rule *rule)
{
	free(rule->prefix);
	pipit_token_buckets_free(rule->buckets);
}

void pipit_rate_limit_free(struct pipit_rate_limit *limit)
{
	if (!limit)
		return;
	for (size_t i = 0; i < limit->count; i++)
		free_rule(&limit->rules[i]);
	free(limit->rules);
	free(limit);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

struct rate {
	bool is_off;
	uint64_t requests, period_ns, burst;
};

/* 1 to PIPIT_RATE_LIMIT_MAX. */
static bool read_number(struct pipit_slice digits, uint64_t *number)
{
	uint64_t value = 0;

	if (digits.length == 0 || digits.length > sizeof TEXT(PIPIT_RATE_LIMIT_MAX) - 1)
		return false;
	for (size_t i = 0; i < digits.length; i++) {
		if (!pipit_bytes_is_digit(digits.data[i]))
			return false;
		value = value * 10 + (uint64_t)(digits.data[i] - '0');
	}
	if (value < 1 || value > PIPIT_RATE_LIMIT_MAX)
		return false;
	*number = value;
	return true;
}

/* NULL, or what is wrong. */
static const char *read_rate(struct pipit_slice word, struct rate *rate)
{
	struct pipit_slice unit = word, number = pipit_slice_take_until(&unit, '/');

	if (pipit_slice_equals(unit, "s"))
		rate->period_ns = NS_PER_SECOND;
	else if (pipit_slice_equals(unit, "m"))
		rate->period_ns = 60 * NS_PER_SECOND;
	else if (pipit_slice_equals(unit, "h"))
		rate->period_ns = 3600 * NS_PER_SECOND;
	else
		return "the rate is not a number of requests per s, m or h";
	if (number.length > 1 && number.data[number.length - 1] == 'r')
		return "the rate has an r behind its number, as in nginx";
	if (!read_number(number, &rate->requests))
		return "the rate is not 1 to " TEXT(PIPIT_RATE_LIMIT_MAX) " requests";
	rate->burst = rate->requests;
	return NULL;
}

static const char *read_burst(struct pipit_slice word, struct rate *rate)
{
	static const char name[] = "burst=";
	size_t length = sizeof name - 1;

	if (word.length < length || memcmp(word.data, name, length) != 0)
		return "only burst=N may follow the rate";
	word = (struct pipit_slice){ word.data + length, word.length - length };
	return read_number(word, &rate->burst) ? NULL : "the burst is not 1 to " TEXT(PIPIT_RATE_LIMIT_MAX) " requests";
}

static const char *read_line(struct pipit_slice line, struct pipit_slice *prefix, struct rate *rate)
{
	struct pipit_slice rest = line, word = pipit_slice_take_word(&rest);
	const char *fault = NULL;

	*prefix = (struct pipit_slice){ "/", 1 };
	*rate = (struct rate){ .is_off = false };
	if (word.length > 0 && word.data[0] == '/') {
		*prefix = word;
		fault = pipit_path_prefix_fault(word);
		word = pipit_slice_take_word(&rest);
	}
	if (fault)
		return fault;
	rate->is_off = pipit_slice_equals(word, "off");
	if (!rate->is_off)
		fault = read_rate(word, rate);
	word = pipit_slice_take_word(&rest);
	if (!fault && word.length > 0)
		fault = rate->is_off ? "something follows \"off\"" : read_burst(word, rate);
	if (!fault && pipit_slice_take_word(&rest).length > 0)
		fault = "something follows the burst";
	return fault;
}

static bool has_prefix(const struct pipit_rate_limit *limit, struct pipit_slice prefix, size_t length)
{
	for (size_t i = 0; i < limit->count; i++) {
		if (limit->rules[i].length == length && memcmp(limit->rules[i].prefix, prefix.data, length) == 0)
			return true;
	}
	return false;
}

static int keep(struct pipit_rate_limit *limit, struct pipit_slice prefix, size_t length, const struct rate *rate)
{
	struct rule *grown = reallocarray(limit->rules, limit->count + 1, sizeof *grown), *rule;

	if (!grown)
		return -ENOMEM;
	limit->rules = grown;
	rule = &grown[limit->count];
	*rule = (struct rule){ .prefix = strndup(prefix.data, prefix.length), .length = length };
	/* Rounded up: the rate is never higher. */
	if (!rate->is_off)
		rule->buckets =
		    pipit_token_buckets_new((rate->period_ns + rate->requests - 1) / rate->requests, rate->burst);
	if (!rule->prefix || (!rate->is_off && !rule->buckets)) {
		free_rule(rule);
		return -ENOMEM;
	}
	limit->count++;
	return 0;
}

int pipit_rate_limit_add(struct pipit_rate_limit *limit, struct pipit_slice line, char *error, size_t error_size)
{
	struct pipit_slice prefix;
	struct rate rate;
	const char *fault = read_line(line, &prefix, &rate);
	size_t length = pipit_path_prefix_length(prefix);
	int result;

	if (fault) {
		snprintf(error, error_size, "%s; use " WANTED, fault);
		return -EINVAL;
	}
	if (has_prefix(limit, prefix, length)) {
		snprintf(error, error_size, "another rule has this prefix; use one of them");
		return -EINVAL;
	}
	result = keep(limit, prefix, length, &rate);
	if (result != 0)
		snprintf(error, error_size, "out of memory");
	return result;
}

static int compare_lengths(const void *left, const void *right)
{
	const struct rule *one = left, *other = right;
	return (one->length < other->length) - (one->length > other->length);
}

void pipit_rate_limit_index(struct pipit_rate_limit *limit)
{
	if (limit->count > 0)
		qsort(limit->rules, limit->count, sizeof *limit->rules, compare_lengths);
}

/* --- requests ------------------------------------------------------------------------------------------------------- */

static struct pipit_token_buckets *find(const struct pipit_rate_limit *limit, struct pipit_slice path)
{
	for (size_t i = 0; i < limit->count; i++) {
		if (pipit_path_prefix_covers(limit->rules[i].prefix, path))
			return limit->rules[i].buckets;
	}
	return NULL;
}

int pipit_rate_limit_take(const struct pipit_rate_limit *limit, const struct sockaddr *client, struct pipit_slice path,
    uint64_t now_ns, uint64_t *seconds)
{
	uint8_t address[PIPIT_LIMITS_ADDRESS_BYTES];
	struct pipit_path_readings readings;
	struct pipit_token_buckets *buckets[2];
	uint64_t wait_ns = 0;

	if (!pipit_limits_read_address(client, address))
		return 0;
	if (!pipit_path_readings_read(&readings, path))
		return -ENOMEM;
	for (size_t i = 0; i < 2; i++)
		buckets[i] = find(limit, readings.paths[i]);
	pipit_path_readings_free(&readings);
	if (buckets[0])
		wait_ns = pipit_token_buckets_take(buckets[0], address, now_ns);
	if (wait_ns == 0 && buckets[1] && buckets[1] != buckets[0])
		wait_ns = pipit_token_buckets_take(buckets[1], address, now_ns);
	if (wait_ns == 0)
		return 0;
	*seconds = (wait_ns + NS_PER_SECOND - 1) / NS_PER_SECOND;
	return -EAGAIN;
}
