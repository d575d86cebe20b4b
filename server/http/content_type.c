/* SPDX-License-Identifier: MIT */
#include "http/content_type.h"

#include <string.h>
#include <strings.h>

bool pipit_content_type_is(struct pipit_slice value, const char *media_type)
{
	size_t i;
	for (i = 0; i < value.length && value.data[i] != ';' && !pipit_slice_is_blank(value.data[i]); i++)
		continue;
	value.length = i;
	if (pipit_slice_equals_nocase(value, media_type))
		return true;
	return strcasecmp(media_type, "application/json") == 0 && value.length > 5 &&
	       strncasecmp(value.data + value.length - 5, "+json", 5) == 0;
}

/* Until a semicolon outside quotes. */
static struct pipit_slice take_parameter(struct pipit_slice *rest)
{
	struct pipit_slice taken = { rest->data, 0 };
	bool is_quoted = false;
	size_t i;

	for (i = 0; i < rest->length && (is_quoted || rest->data[i] != ';'); i++) {
		if (rest->data[i] == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && rest->data[i] == '\\' && i + 1 < rest->length)
			i++;
	}
	taken.length = i;
	i += i < rest->length;
	*rest = (struct pipit_slice){ rest->data + i, rest->length - i };
	return taken;
}

static bool has_other_charset(struct pipit_slice rest)
{
	take_parameter(&rest);
	while (rest.length) {
		struct pipit_slice value = take_parameter(&rest);
		struct pipit_slice name = pipit_slice_take_until(&value, '=');
		value = pipit_slice_trim(value);
		if (!pipit_slice_equals_nocase(name, "charset"))
			continue;
		if (!pipit_slice_equals_nocase(value, "utf-8") && !pipit_slice_equals_nocase(value, "\"utf-8\""))
			return true;
	}
	return false;
}

const char *pipit_content_type_refuse_json(struct pipit_slice value)
{
	static const char json[] = "application/json";
	if (pipit_slice_equals(value, json))
		return NULL;
	if (!pipit_content_type_is(value, json))
		return "The body must be JSON, with Content-Type application/json.";
	if (has_other_charset(value))
		return "JSON must be UTF-8: omit the charset, or use charset=utf-8.";
	return NULL;
}
