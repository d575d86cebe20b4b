/* SPDX-License-Identifier: MIT */
/* See codings.h. */
#include "codings.h"

#define WEIGHT_MAX 1000
#define UNSET UINT16_MAX

static const struct {
	const char *name, *other_name, *ending;
} names[PIPIT_CODING_COUNT] = {
	[PIPIT_CODING_BR] = { "br", "br", ".br" },
	[PIPIT_CODING_ZSTD] = { "zstd", "zstd", ".zst" },
	/* RFC 9110 §8.4.1.3: "x-gzip" is the same. */
	[PIPIT_CODING_GZIP] = { "gzip", "x-gzip", ".gz" },
	[PIPIT_CODING_IDENTITY] = { "identity", "identity", "" },
};

const char *pipit_coding_name(enum pipit_coding coding)
{
	return names[coding].name;
}

const char *pipit_coding_ending(enum pipit_coding coding)
{
	return names[coding].ending;
}

static void trim(struct pipit_slice *text)
{
	while (text->length && (*text->data == ' ' || *text->data == '\t')) {
		text->data++;
		text->length--;
	}
	while (text->length && (text->data[text->length - 1] == ' ' || text->data[text->length - 1] == '\t'))
		text->length--;
}

/* Take what stands before `mark` from the front, and the mark; all of it when there is none. */
static struct pipit_slice take_until(struct pipit_slice *text, char mark)
{
	const char *found = text->length ? memchr(text->data, mark, text->length) : NULL;
	struct pipit_slice taken = { text->data, found ? (size_t)(found - text->data) : text->length };
	size_t used = taken.length + (found != NULL);
	*text = (struct pipit_slice){ text->data + used, text->length - used };
	trim(&taken);
	return taken;
}

/* "q=0.5" as thousandths (RFC 9110 §12.4.2); what is no weight is the strongest, as if it were not there. */
static uint16_t parse_weight(struct pipit_slice text)
{
	unsigned weight, scale = 100;

	if (text.length < 3 || (text.data[0] | 0x20) != 'q' || text.data[1] != '=')
		return WEIGHT_MAX;
	if (text.data[2] != '0' && text.data[2] != '1')
		return WEIGHT_MAX;
	weight = (unsigned)(text.data[2] - '0') * WEIGHT_MAX;
	if (text.length > 3 && text.data[3] != '.')
		return WEIGHT_MAX;
	for (size_t i = 4; i < text.length; i++, scale /= 10) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return WEIGHT_MAX;
		weight += (unsigned)(text.data[i] - '0') * scale;
	}
	return (uint16_t)(weight < WEIGHT_MAX ? weight : WEIGHT_MAX);
}

/* One member of the list; *any receives the weight of "*". */
static void take_member(struct pipit_codings *codings, struct pipit_slice member, uint16_t *any)
{
	struct pipit_slice name = take_until(&member, ';');
	uint16_t weight = parse_weight(take_until(&member, ';'));

	if (pipit_slice_equals(name, "*"))
		*any = weight;
	for (int i = 0; i < PIPIT_CODING_COUNT; i++) {
		if (pipit_slice_equals_nocase(name, names[i].name) ||
		    pipit_slice_equals_nocase(name, names[i].other_name))
			codings->weights[i] = weight;
	}
}

struct pipit_codings pipit_codings_read(const struct pipit_guard_head *head)
{
	struct pipit_codings codings = { { UNSET, UNSET, UNSET, UNSET }, false };
	uint16_t any = UNSET;

	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		struct pipit_slice list = pipit_guard_slice(head, field->value, field->value_length);
		if (!pipit_slice_equals_nocase(
			pipit_guard_slice(head, field->name, field->name_length), "Accept-Encoding"))
			continue;
		while (list.length)
			take_member(&codings, take_until(&list, ','), &any);
	}
	for (int i = 0; i < PIPIT_CODING_COUNT; i++) {
		if (codings.weights[i] != UNSET)
			continue;
		/* Identity that is not spoken of is acceptable, and liked least. */
		if (i == PIPIT_CODING_IDENTITY && any != 0)
			codings.weights[i] = 1;
		else
			codings.weights[i] = any == UNSET ? 0 : any;
	}
	for (int i = 0; i < PIPIT_CODING_IDENTITY; i++)
		codings.has_codings |= codings.weights[i] > 0;
	return codings;
}

enum pipit_coding pipit_codings_choose(const struct pipit_codings *codings, unsigned available)
{
	enum pipit_coding best = PIPIT_CODING_COUNT;
	for (int i = 0; i < PIPIT_CODING_COUNT; i++) {
		if (!(available & 1u << i) || codings->weights[i] == 0)
			continue;
		if (best == PIPIT_CODING_COUNT || codings->weights[i] > codings->weights[best])
			best = (enum pipit_coding)i;
	}
	return best;
}
