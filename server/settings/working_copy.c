/* SPDX-License-Identifier: MIT */
#include "settings/working_copy.h"

#include "json/json.h"
#include "json/pointer.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

/* bytes of text; a tree takes up to 40 times as much */
#define KEPT_TREE_TEXT_MAX (64 * 1024)

static struct pipit_slice published_text(const struct pipit_working_copy *copy)
{
	return pipit_json_index_text(pipit_snapshot_now(copy->published));
}

struct pipit_slice pipit_working_copy_text(const struct pipit_working_copy *copy)
{
	return copy->text ? (struct pipit_slice){ copy->text, copy->text_length } : published_text(copy);
}

bool pipit_working_copy_is_published(const struct pipit_working_copy *copy)
{
	return pipit_slice_is_same(pipit_working_copy_text(copy), published_text(copy));
}

void pipit_working_copy_set_text(struct pipit_working_copy *copy, char *text, size_t length)
{
	free(copy->text);
	copy->text = text;
	copy->text_length = length;
}

int pipit_working_copy_need_tree(struct pipit_working_copy *copy)
{
	struct pipit_slice text = pipit_working_copy_text(copy);
	struct pipit_json_error error;

	return copy->tree ? 0 : pipit_json_parse(text.data, text.length, &copy->limits.json, &copy->tree, &error);
}

void pipit_working_copy_drop_tree(struct pipit_working_copy *copy)
{
	cJSON_Delete(copy->tree);
	copy->tree = NULL;
}

void pipit_working_copy_rest(struct pipit_working_copy *copy)
{
	if (pipit_working_copy_text(copy).length > KEPT_TREE_TEXT_MAX)
		pipit_working_copy_drop_tree(copy);
}

void pipit_working_copy_reset(struct pipit_working_copy *copy)
{
	pipit_working_copy_drop_tree(copy);
	pipit_working_copy_set_text(copy, NULL, 0);
}

int pipit_working_copy_etag(const struct pipit_working_copy *copy, struct pipit_slice pointer, char *etag)
{
	const cJSON *item = pipit_pointer_find(copy->tree, pointer);
	struct pipit_slice text = pipit_working_copy_text(copy);
	char *bytes = NULL;

	*etag = '\0';
	if (!item)
		return 0;
	if (pointer.length && pipit_printer_text(item, &bytes, &text.length) != 0)
		return -ENOMEM;
	if (pointer.length)
		text.data = bytes;
	pipit_json_index_etag(text, etag);
	free(bytes);
	return 0;
}
