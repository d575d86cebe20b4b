/* SPDX-License-Identifier: MIT */
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

/* 0: no match; 1: all types; 2: all subtypes; 3: the type by its name. */
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

static uint16_t find_weight(struct pipit_slice parameters)
{
	while (parameters.length) {
		struct pipit_slice parameter = pipit_slice_take_until(&parameters, ';');
		if (parameter.length > 1 && (parameter.data[0] | 0x20) == 'q' && parameter.data[1] == '=')
			return pipit_accept_header_weight(parameter);
	}
	return PIPIT_ACCEPT_HEADER_MOST;
}

static void read_list(struct pipit_accept_header_weight *weight, struct pipit_slice media_type, struct pipit_slice list)
{
	while (list.length) {
		struct pipit_slice member;
		int close;

		/* an empty member; a header may consist of thousands of them */
		if (*list.data == ',') {
			list.data++;
			list.length--;
			continue;
		}
		member = pipit_slice_take_until(&list, ',');
		close = specificity(pipit_slice_take_until(&member, ';'), media_type);
		if (close > weight->closest) {
			weight->closest = close;
			weight->weight = find_weight(member);
		}
	}
}

static bool next_list(
    const struct pipit_guard_head *head, const struct pipit_guard_field **field, struct pipit_slice *list)
{
	*field = pipit_guard_find_next(head, "Accept", *field);
	if (*field)
		*list = pipit_guard_slice(head, (*field)->value, (*field)->value_length);
	return *field;
}

uint16_t pipit_accept_header_media_type(const struct pipit_guard_head *head, const char *media_type)
{
	struct pipit_slice whole = pipit_slice_of(media_type), name = pipit_slice_take_until(&whole, ';'), list;
	struct pipit_accept_header_weight weight = { 0 };
	const struct pipit_guard_field *field = NULL;
	bool has_list = false;

	while (next_list(head, &field, &list)) {
		has_list = true;
		read_list(&weight, name, list);
	}
	return has_list ? weight.weight : PIPIT_ACCEPT_HEADER_MOST;
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

void pipit_accept_header_read_form(struct pipit_accept_header_form *form, struct pipit_slice value)
{
	read_list(&form->html, pipit_slice_of("text/html"), value);
	read_list(&form->json, pipit_slice_of("application/json"), value);
	read_list(&form->problem, pipit_slice_of("application/problem+json"), value);
}

bool pipit_accept_header_is_html(const struct pipit_accept_header_form *form)
{
	return form->html.weight > form->json.weight && form->html.weight > form->problem.weight;
}

bool pipit_accept_header_prefers_html(const struct pipit_guard_head *head)
{
	struct pipit_accept_header_form form = { .html = { 0 } };
	const struct pipit_guard_field *field = NULL;
	struct pipit_slice list;

	while (next_list(head, &field, &list))
		pipit_accept_header_read_form(&form, list);
	return pipit_accept_header_is_html(&form);
}
