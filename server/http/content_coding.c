/* SPDX-License-Identifier: MIT */
#include "http/content_coding.h"

#include "http/accept_header.h"

#define UNSET UINT16_MAX

static const struct {
	const char *name, *other_name, *extension;
} names[PIPIT_CODING_COUNT] = {
	[PIPIT_CODING_BR] = { "br", "br", ".br" },
	[PIPIT_CODING_ZSTD] = { "zstd", "zstd", ".zst" },
	/* x-gzip: RFC 9110 §8.4.1.3 */
	[PIPIT_CODING_GZIP] = { "gzip", "x-gzip", ".gz" },
	[PIPIT_CODING_IDENTITY] = { "identity", "identity", "" },
};

const char *pipit_content_coding_name(enum pipit_content_coding coding)
{
	return names[coding].name;
}

const char *pipit_content_coding_extension(enum pipit_content_coding coding)
{
	return names[coding].extension;
}

/* any: the weight of "*". */
static void take_member(struct pipit_content_codings *codings, struct pipit_slice member, uint16_t *any)
{
	struct pipit_slice name = pipit_slice_take_until(&member, ';');
	uint16_t weight = pipit_accept_header_weight(pipit_slice_take_until(&member, ';'));

	if (pipit_slice_equals(name, "*"))
		*any = weight;
	for (int i = 0; i < PIPIT_CODING_COUNT; i++) {
		if (pipit_slice_equals_nocase(name, names[i].name) ||
		    pipit_slice_equals_nocase(name, names[i].other_name))
			codings->weights[i] = weight;
	}
}

struct pipit_content_codings pipit_content_coding_read(const struct pipit_guard_head *head)
{
	struct pipit_content_codings codings = { { UNSET, UNSET, UNSET, UNSET }, false };
	const struct pipit_guard_field *field = NULL;
	uint16_t any = UNSET;

	while ((field = pipit_guard_find_next(head, "Accept-Encoding", field))) {
		struct pipit_slice list = pipit_guard_slice(head, field->value, field->value_length);
		while (list.length)
			take_member(&codings, pipit_slice_take_until(&list, ','), &any);
	}
	for (int i = 0; i < PIPIT_CODING_COUNT; i++) {
		if (codings.weights[i] != UNSET)
			continue;
		/* acceptable unless it is excluded (RFC 9110 §12.5.3) */
		if (i == PIPIT_CODING_IDENTITY && any != 0)
			codings.weights[i] = 1;
		else
			codings.weights[i] = any == UNSET ? 0 : any;
	}
	for (int i = 0; i < PIPIT_CODING_IDENTITY; i++)
		codings.has_codings |= codings.weights[i] > 0;
	return codings;
}

enum pipit_content_coding pipit_content_coding_choose(const struct pipit_content_codings *codings, unsigned available)
{
	enum pipit_content_coding best = PIPIT_CODING_COUNT;
	for (int i = 0; i < PIPIT_CODING_COUNT; i++) {
		if (!(available & 1u << i) || codings->weights[i] == 0)
			continue;
		if (best == PIPIT_CODING_COUNT || codings->weights[i] > codings->weights[best])
			best = (enum pipit_content_coding)i;
	}
	return best;
}

bool pipit_content_coding_is_identity(struct pipit_slice value)
{
	struct pipit_slice coding;

	while (pipit_slice_next_member(&value, &coding)) {
		if (!pipit_slice_equals_nocase(coding, "identity"))
			return false;
	}
	return true;
}
