/* SPDX-License-Identifier: MIT */
/* See accept_header.h. */
#include "http/accept_header.h"

uint16_t pipit_accept_header_weight(struct pipit_slice parameter)
{
	unsigned weight, scale = 100;

	if (parameter.length < 3 || (parameter.data[0] | 0x20) != 'q' || parameter.data[1] != '=')
		return PIPIT_ACCEPT_HEADER_MOST;
	if (parameter.data[2] != '0' && parameter.data[2] != '1')
		return PIPIT_ACCEPT_HEADER_MOST;
	weight = (unsigned)(parameter.data[2] - '0') * PIPIT_ACCEPT_HEADER_MOST;
	if (parameter.length > 3 && parameter.data[3] != '.')
		return PIPIT_ACCEPT_HEADER_MOST;
	for (size_t i = 4; i < parameter.length; i++, scale /= 10) {
		if (parameter.data[i] < '0' || parameter.data[i] > '9')
			return PIPIT_ACCEPT_HEADER_MOST;
		weight += (unsigned)(parameter.data[i] - '0') * scale;
	}
	return (uint16_t)(weight < PIPIT_ACCEPT_HEADER_MOST ? weight : PIPIT_ACCEPT_HEADER_MOST);
}

/* How closely a range names the type: 0 not at all, 3 by its name. */
static int specificity(struct pipit_slice range, struct pipit_slice media_type)
{
	const char *slash = memchr(media_type.data, '/', media_type.length);
	size_t type = slash ? (size_t)(slash - media_type.data) + 1 : media_type.length;

	if (range.length == media_type.length && strncasecmp(range.data, media_type.data, range.length) == 0)
		return 3;
	if (range.length == type + 1 && range.data[type] == '*' && strncasecmp(range.data, media_type.data, type) == 0)
		return 2;
	return pipit_slice_equals(range, "*/*") ? 1 : 0;
}

/* The weight may stand behind other parameters. */
static uint16_t find_weight(struct pipit_slice parameters)
{
	while (parameters.length) {
		struct pipit_slice parameter = pipit_slice_take_until(&parameters, ';');
		if (parameter.length > 1 && (parameter.data[0] | 0x20) == 'q' && parameter.data[1] == '=')
			return pipit_accept_header_weight(parameter);
	}
	return PIPIT_ACCEPT_HEADER_MOST;
}

uint16_t pipit_accept_header_media_type(const struct pipit_guard_head *head, const char *media_type)
{
	struct pipit_slice whole = pipit_slice_of(media_type), name = pipit_slice_take_until(&whole, ';');
	uint16_t weight = PIPIT_ACCEPT_HEADER_NOT;
	int closest = 0;
	const struct pipit_guard_field *field = NULL;
	bool has_field = false;

	while ((field = pipit_guard_find_next(head, "Accept", field))) {
		struct pipit_slice list = pipit_guard_slice(head, field->value, field->value_length);
		has_field = true;
		while (list.length) {
			struct pipit_slice member = pipit_slice_take_until(&list, ',');
			int close = specificity(pipit_slice_take_until(&member, ';'), name);
			if (close > closest) {
				closest = close;
				weight = find_weight(member);
			}
		}
	}
	return has_field ? weight : PIPIT_ACCEPT_HEADER_MOST;
}

int pipit_accept_header_choose(const struct pipit_guard_head *head, const char *const *media_types, size_t count)
{
	uint16_t most = PIPIT_ACCEPT_HEADER_NOT;
	int best = -1;

	for (size_t i = 0; i < count && most < PIPIT_ACCEPT_HEADER_MOST; i++) {
		uint16_t weight = pipit_accept_header_media_type(head, media_types[i]);
		if (weight > most) {
			most = weight;
			best = (int)i;
		}
	}
	return best;
}
