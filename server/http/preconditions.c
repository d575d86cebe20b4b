/* SPDX-License-Identifier: MIT */
/* A malformed header never matches. */
#include "http/preconditions.h"

#include "http/date.h"

static bool is_weak(struct pipit_slice etag)
{
	return etag.length >= 2 && etag.data[0] == 'W' && etag.data[1] == '/';
}

static struct pipit_slice opaque(struct pipit_slice etag)
{
	return is_weak(etag) ? (struct pipit_slice){ etag.data + 2, etag.length - 2 } : etag;
}

/* RFC 9110 §8.8.3.2 */
static bool is_same_tag(struct pipit_slice one, struct pipit_slice other, bool is_strong)
{
	if (is_strong && (is_weak(one) || is_weak(other)))
		return false;
	return pipit_slice_is_same(opaque(one), opaque(other));
}

/* W/"…" or "…", which may contain commas. */
static bool take_tag(struct pipit_slice *text, struct pipit_slice *tag)
{
	const char *end = text->data + text->length, *at = text->data, *quote;

	if (end - at >= 2 && at[0] == 'W' && at[1] == '/')
		at += 2;
	if (at == end || *at != '"')
		return false;
	quote = memchr(at + 1, '"', (size_t)(end - at - 1));
	if (!quote)
		return false;
	*tag = (struct pipit_slice){ text->data, (size_t)(quote + 1 - text->data) };
	*text = (struct pipit_slice){ quote + 1, (size_t)(end - quote - 1) };
	return true;
}

static bool take_comma(struct pipit_slice *list)
{
	*list = pipit_slice_trim(*list);
	if (list->length == 0)
		return true;
	if (*list->data != ',')
		return false;
	list->data++;
	list->length--;
	return true;
}

static bool list_matches(struct pipit_slice list, struct pipit_slice etag, bool is_strong)
{
	struct pipit_slice tag;
	bool is_match = false;

	list = pipit_slice_trim(list);
	if (pipit_slice_equals(list, "*"))
		return true;
	while (list.length) {
		if (*list.data != ',' && take_tag(&list, &tag))
			is_match |= etag.length && is_same_tag(tag, etag, is_strong);
		if (!take_comma(&list))
			return false;
		list = pipit_slice_trim(list);
	}
	return is_match;
}

static size_t count_fields(const struct pipit_guard_head *head, const char *name, struct pipit_slice *last)
{
	const struct pipit_guard_field *field = NULL;
	size_t count = 0;
	while ((field = pipit_guard_find_next(head, name, field))) {
		*last = pipit_guard_slice(head, field->value, field->value_length);
		count++;
	}
	return count;
}

enum tags { TAGS_ABSENT, TAGS_MATCH, TAGS_DIFFER };

/* Several lines are one list (RFC 9110 §5.3). */
static enum tags compare_tags(
    const struct pipit_guard_head *head, const char *name, struct pipit_slice etag, bool is_strong)
{
	const struct pipit_guard_field *field = NULL;
	enum tags result = TAGS_ABSENT;
	while ((field = pipit_guard_find_next(head, name, field))) {
		if (list_matches(pipit_guard_slice(head, field->value, field->value_length), etag, is_strong))
			return TAGS_MATCH;
		result = TAGS_DIFFER;
	}
	return result;
}

static int64_t parse_date(struct pipit_slice value)
{
	char text[64];
	if (value.length >= sizeof text)
		return PIPIT_DATE_NONE;
	memcpy(text, value.data, value.length);
	text[value.length] = '\0';
	return pipit_date_parse(text);
}

/* NONE: none, repeated or no date (RFC 9110 §13.1.3, §13.1.4). */
static int64_t find_date(const struct pipit_guard_head *head, const char *name)
{
	struct pipit_slice value;
	return count_fields(head, name, &value) == 1 ? parse_date(value) : PIPIT_DATE_NONE;
}

/* A strong ETag, or exactly the date (RFC 9110 §13.1.5). */
static bool is_range_current(const struct pipit_guard_head *head, const struct pipit_validators *validators)
{
	struct pipit_slice value, tag;
	size_t count = count_fields(head, "If-Range", &value);
	int64_t date;

	if (count != 1)
		return count == 0;
	if (take_tag(&value, &tag))
		return value.length == 0 && validators->etag.length && is_same_tag(tag, validators->etag, true);
	date = parse_date(value);
	/* a file may be written twice within a second (§8.8.2.2) */
	return date != PIPIT_DATE_NONE && date == validators->modified && validators->modified < validators->now;
}

static bool is_precondition_met(const struct pipit_guard_head *head, const struct pipit_validators *validators)
{
	enum tags tags = compare_tags(head, "If-Match", validators->etag, true);
	int64_t date;

	if (tags != TAGS_ABSENT)
		return tags == TAGS_MATCH;
	date = find_date(head, "If-Unmodified-Since");
	return date == PIPIT_DATE_NONE || validators->modified == PIPIT_DATE_NONE || validators->modified <= date;
}

static bool is_not_modified(const struct pipit_guard_head *head, const struct pipit_validators *validators)
{
	enum tags tags = compare_tags(head, "If-None-Match", validators->etag, false);
	int64_t date;

	if (tags != TAGS_ABSENT)
		return tags == TAGS_MATCH;
	date = find_date(head, "If-Modified-Since");
	return date != PIPIT_DATE_NONE && validators->modified != PIPIT_DATE_NONE && validators->modified <= date;
}

/* Most requests have no condition. */
static bool is_conditional(const struct pipit_guard_head *head)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		struct pipit_slice name = pipit_guard_slice(head, head->fields[i].name, head->fields[i].name_length);
		if (name.length > 3 && (name.data[0] | 0x20) == 'i' && strncasecmp(name.data, "If-", 3) == 0)
			return true;
	}
	return false;
}

enum pipit_preconditions_result pipit_preconditions_check(
    const struct pipit_guard_head *head, const struct pipit_validators *validators, bool *range_counts)
{
	*range_counts = true;
	if (!is_conditional(head))
		return PIPIT_PRECONDITIONS_GO_ON;
	if (!is_precondition_met(head, validators))
		return PIPIT_PRECONDITIONS_FAILED;
	if (is_not_modified(head, validators))
		return PIPIT_PRECONDITIONS_NOT_MODIFIED;
	*range_counts = is_range_current(head, validators);
	return PIPIT_PRECONDITIONS_GO_ON;
}
