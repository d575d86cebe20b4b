/* SPDX-License-Identifier: MIT */
/*
 * Patches change a duplicate, which replaces the value when nothing can fail any more. Lists are linked here, because
 * cJSON's functions can fail half way, and some versions lose the last item. `prev` of the first item is the last,
 * whose `next` is NULL.
 */
#include "json/patch.h"

#include "pipit.h"
#include "json/equality.h"
#include "json/pointer.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* leaves room for the explanation */
#define SHOWN_BYTES_MAX 100
/* Estimate for a number without a text. */
#define NUMBER_BYTES 8

struct change {
	cJSON *doc; /* or a duplicate of the value to change */
	const struct pipit_patch_limits *limits;
	size_t level; /* in the whole document */
	size_t copied_bytes_left;
	size_t number; /* from 1; 0: none */
	const char *op;
	struct pipit_patch_error *error;
};

/* --- messages ------------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 0))) static void append_list(
    struct pipit_patch_error *error, const char *format, va_list arguments)
{
	size_t length = strlen(error->message);
	vsnprintf(error->message + length, sizeof error->message - length, format, arguments);
}

__attribute__((format(printf, 2, 3))) static void append(struct pipit_patch_error *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	append_list(error, format, arguments);
	va_end(arguments);
}

static void append_quoted(struct pipit_patch_error *error, struct pipit_slice text)
{
	char shown[SHOWN_BYTES_MAX + 1];
	bool is_utf8 = pipit_is_utf8(text.data, text.length);
	size_t length = text.length < SHOWN_BYTES_MAX ? text.length : SHOWN_BYTES_MAX;

	while (length > 0 && length < text.length && (text.data[length] & 0xc0) == 0x80)
		length--;
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		shown[i] = byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8) ? '?' : (char)byte;
	}
	shown[length] = '\0';
	append(error, "\"%s%s\"", shown, length < text.length ? "…" : "");
}

__attribute__((format(printf, 5, 6))) static int fail(const struct change *change, enum pipit_patch_fault fault,
    const char *before, const struct pipit_slice *quoted, const char *after, ...)
{
	struct pipit_patch_error *error = change->error;
	va_list arguments;

	error->fault = fault;
	error->message[0] = '\0';
	if (change->op)
		append(error, "operation %zu (%s): ", change->number, change->op);
	else if (change->number)
		append(error, "operation %zu: ", change->number);
	append(error, "%s", before);
	if (quoted)
		append_quoted(error, *quoted);
	va_start(arguments, after);
	append_list(error, after, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int fail_absent(const struct change *change, struct pipit_slice pointer)
{
	return fail(change, PIPIT_PATCH_CONFLICT, "there is no value at ", &pointer,
	    ": expected the pointer of an existing value");
}

/* --- lists and names ----------------------------------------------------------------------------------------------- */

static bool is_container(const cJSON *item)
{
	return cJSON_IsObject(item) || cJSON_IsArray(item);
}

/* next: NULL appends. */
static void link_before(cJSON *container, cJSON *item, cJSON *next)
{
	cJSON *first = container->child;

	item->next = next;
	if (!first) {
		item->prev = item;
		container->child = item;
		return;
	}
	item->prev = next ? next->prev : first->prev;
	if (next == first)
		container->child = item;
	else
		item->prev->next = item;
	if (next)
		next->prev = item;
	else
		first->prev = item;
}

static void take_out(cJSON *container, cJSON *item)
{
	if (item == container->child)
		container->child = item->next;
	else
		item->prev->next = item->next;
	if (item->next)
		item->next->prev = item->prev;
	else if (container->child)
		container->child->prev = item->prev;
	item->next = item->prev = NULL;
}

/* Takes `name` (may be NULL). */
static void set_name(cJSON *item, char *name)
{
	if (!(item->type & cJSON_StringIsConst))
		cJSON_free(item->string);
	item->type &= ~cJSON_StringIsConst;
	item->string = name;
}

/* Deletes `old`. container: NULL for the whole document. */
static void replace_item(cJSON **doc, cJSON *container, cJSON *old, cJSON *item)
{
	set_name(item, NULL);
	item->type |= old->type & cJSON_StringIsConst;
	item->string = old->string;
	old->string = NULL;
	if (container) {
		link_before(container, item, old);
		take_out(container, old);
	} else {
		*doc = item;
	}
	cJSON_Delete(old);
}

static void delete_duplicates(cJSON *container, const cJSON *member)
{
	cJSON *next;

	if (!cJSON_IsObject(container))
		return;
	for (cJSON *other = member->next; other; other = next) {
		next = other->next;
		if (strcmp(other->string, member->string) != 0)
			continue;
		take_out(container, other);
		cJSON_Delete(other);
	}
}

/* --- places -------------------------------------------------------------------------------------------------------- */

/* pointer: not "". *last: with its '/'. */
static struct pipit_slice split(struct pipit_slice pointer, struct pipit_slice *last)
{
	const char *slash = memrchr(pointer.data, '/', pointer.length);
	size_t length = (size_t)(slash - pointer.data);

	*last = (struct pipit_slice){ slash, pointer.length - length };
	return (struct pipit_slice){ pointer.data, length };
}

static size_t token_count(struct pipit_slice pointer)
{
	size_t count = 0;

	for (size_t i = 0; i < pointer.length; i++)
		count += pointer.data[i] == '/';
	return count;
}

static bool is_within_depth(const cJSON *item, size_t depth)
{
	if (!is_container(item))
		return true;
	if (depth == 0)
		return false;
	for (const cJSON *child = item->child; child; child = child->next) {
		if (!is_within_depth(child, depth - 1))
			return false;
	}
	return true;
}

/* cJSON duplicates, prints and frees recursively. */
static int check_depth(const struct change *change, struct pipit_slice path, const cJSON *item)
{
	size_t level = change->level + token_count(path), max_depth = change->limits->max_depth;

	if (is_within_depth(item, level < max_depth ? max_depth - level : 0))
		return 0;
	return fail(change, PIPIT_PATCH_TOO_LARGE, "the value is nested too deeply at ", &path,
	    ": expected at most %zu arrays and objects within each other", max_depth);
}

static int find_container(const struct change *change, struct pipit_slice path, cJSON **container)
{
	struct pipit_slice last, parent = split(path, &last);
	cJSON *found = pipit_pointer_find(change->doc, parent);

	if (!found)
		return fail(change, PIPIT_PATCH_CONFLICT, "there is no value at ", &parent,
		    ": expected an object or an array for the new value");
	if (!is_container(found))
		return fail(change, PIPIT_PATCH_CONFLICT, "", &parent,
		    " is neither an object nor an array: expected one for the new value");
	*container = found;
	return 0;
}

static bool is_text(struct pipit_slice text)
{
	return !memchr(text.data, '\0', text.length) && pipit_is_utf8(text.data, text.length);
}

static int place_member(const struct change *change, cJSON *object, struct pipit_slice path, cJSON *item, bool *created)
{
	struct pipit_slice last, token;
	cJSON *old;
	char *name;

	split(path, &last);
	old = pipit_pointer_find(object, last);
	*created = !old;
	if (old) {
		delete_duplicates(object, old);
		replace_item(NULL, object, old, item);
		return 0;
	}
	token = (struct pipit_slice){ last.data + 1, last.length - 1 };
	if (!is_text(token))
		return fail(change, PIPIT_PATCH_UNPROCESSABLE, "the name at the end of ", &path,
		    " is invalid: expected UTF-8 without NUL");
	name = cJSON_malloc(token.length + 1);
	if (!name)
		return -ENOMEM;
	name[pipit_pointer_unescape(token, name)] = '\0';
	set_name(item, name);
	link_before(object, item, NULL);
	return 0;
}

/* is_insert: before the element; false: replace it. */
static int place_element(
    const struct change *change, cJSON *array, struct pipit_slice path, cJSON *item, bool is_insert, bool *created)
{
	struct pipit_slice last;
	cJSON *old = array->child;
	size_t index = 0, length = 0;

	split(path, &last);
	if (pipit_slice_equals(last, "/-"))
		old = NULL;
	else if (!pipit_pointer_index((struct pipit_slice){ last.data + 1, last.length - 1 }, &index))
		return fail(change, PIPIT_PATCH_UNPROCESSABLE, "", &path,
		    " names no element of an array: expected an index without leading zeros, or \"-\" for its end");
	for (; old && length < index; length++)
		old = old->next;
	if (length < index)
		return fail(change, PIPIT_PATCH_CONFLICT, "", &path,
		    " is beyond the end of the array: expected an index up to its length, %zu", length);
	*created = is_insert || !old;
	if (!*created) {
		replace_item(NULL, array, old, item);
		return 0;
	}
	set_name(item, NULL);
	link_before(array, item, old);
	return 0;
}

/* Takes the item on success. */
static int place(struct change *change, struct pipit_slice path, cJSON *item, bool is_insert, bool *created)
{
	cJSON *container = NULL;
	int result = path.length > 0 ? find_container(change, path, &container) : 0;

	if (result == 0)
		result = check_depth(change, path, item);
	if (result != 0)
		return result;
	if (cJSON_IsObject(container))
		return place_member(change, container, path, item, created);
	if (cJSON_IsArray(container))
		return place_element(change, container, path, item, is_insert, created);
	replace_item(&change->doc, NULL, change->doc, item);
	*created = false;
	return 0;
}

/* path: not "". */
static int take(const struct change *change, struct pipit_slice path, cJSON **item)
{
	struct pipit_slice last;
	cJSON *container = pipit_pointer_find(change->doc, split(path, &last));
	cJSON *found = pipit_pointer_find(container, last);

	if (!found)
		return fail_absent(change, path);
	delete_duplicates(container, found);
	take_out(container, found);
	*item = found;
	return 0;
}

int pipit_patch_put(struct cJSON **doc, struct pipit_slice pointer, struct cJSON *value,
    const struct pipit_patch_limits *limits, bool *created, struct pipit_patch_error *error)
{
	struct change change = { .doc = *doc, .limits = limits, .error = error };
	bool is_new;
	int result = place(&change, pointer, value, false, &is_new);

	assert(pipit_pointer_is_valid(pointer));
	if (result != 0)
		return result;
	*doc = change.doc;
	*created = is_new;
	return 0;
}

int pipit_patch_remove(struct cJSON **doc, struct pipit_slice pointer, struct pipit_patch_error *error)
{
	struct change change = { .doc = *doc, .error = error };
	cJSON *item;
	int result;

	assert(pipit_pointer_is_valid(pointer));
	if (pointer.length == 0) {
		item = cJSON_CreateObject();
		if (!item)
			return -ENOMEM;
		replace_item(doc, NULL, *doc, item);
		return 0;
	}
	result = take(&change, pointer, &item);
	if (result == 0)
		cJSON_Delete(item);
	return result;
}

static void replace_target(cJSON **doc, struct pipit_slice pointer, cJSON *target, cJSON *item)
{
	struct pipit_slice last;
	cJSON *container = NULL;

	if (pointer.length > 0) {
		container = pipit_pointer_find(*doc, split(pointer, &last));
		delete_duplicates(container, target);
	}
	replace_item(doc, container, target, item);
}

/* --- merge patches (RFC 7396) -------------------------------------------------------------------------------------- */

/* Sorted, so that merging large objects takes less than the product of their sizes. */
struct edit {
	const cJSON *member;
	size_t position;
	bool is_done;
};

static int compare_edits(const void *one, const void *other)
{
	const struct edit *a = one, *b = other;
	int order = strcmp(a->member->string, b->member->string);

	return order != 0 ? order : (a->position > b->position) - (a->position < b->position);
}

static int compare_name(const void *name, const void *edit)
{
	return strcmp(name, ((const struct edit *)edit)->member->string);
}

struct edits {
	struct edit *sorted;
	size_t count;
};

/* patch: with members. Free edits->sorted. */
static int sort_edits(const cJSON *patch, struct edits *edits)
{
	size_t total = (size_t)cJSON_GetArraySize(patch), count = 0;
	struct edit *sorted = cJSON_malloc(total * sizeof *sorted);

	if (!sorted)
		return -ENOMEM;
	for (const cJSON *member = patch->child; member; member = member->next, count++)
		sorted[count] = (struct edit){ member, count, false };
	qsort(sorted, total, sizeof *sorted, compare_edits);
	count = 0;
	for (size_t i = 0; i < total; i++) {
		if (i + 1 == total || strcmp(sorted[i].member->string, sorted[i + 1].member->string) != 0)
			sorted[count++] = sorted[i];
	}
	*edits = (struct edits){ sorted, count };
	return 0;
}

static struct edit *find_edit(const struct edits *edits, const char *name)
{
	return bsearch(name, edits->sorted, edits->count, sizeof *edits->sorted, compare_name);
}

static int fail_merged_too_deep(const struct change *change)
{
	return fail(change, PIPIT_PATCH_TOO_LARGE, "the patch is nested too deeply", NULL,
	    ": expected at most %zu arrays and objects within each other in the document", change->limits->max_depth);
}

static int merge_members(const struct change *change, cJSON *object, const cJSON *patch, size_t level);

/*
 * *merged: the value or its replacement. value: may be NULL; the caller's on failure. level: of the value in the
 * document.
 */
static int merge_value(const struct change *change, cJSON *value, const cJSON *patch, size_t level, cJSON **merged)
{
	size_t max_depth = change->limits->max_depth, room = level < max_depth ? max_depth - level : 0;
	cJSON *made = NULL;
	int result = 0;

	if (!cJSON_IsObject(patch)) {
		if (!is_within_depth(patch, room))
			return fail_merged_too_deep(change);
		*merged = cJSON_Duplicate(patch, true);
		return *merged ? 0 : -ENOMEM;
	}
	if (room == 0)
		return fail_merged_too_deep(change);
	if (!cJSON_IsObject(value)) {
		made = cJSON_CreateObject();
		if (!made)
			return -ENOMEM;
		value = made;
	}
	result = merge_members(change, value, patch, level + 1);
	if (result != 0)
		cJSON_Delete(made);
	else
		*merged = value;
	return result;
}

static int edit_members(const struct change *change, cJSON *object, const struct edits *edits, size_t level)
{
	cJSON *next;

	for (cJSON *member = object->child; member; member = next) {
		struct edit *edit = find_edit(edits, member->string);
		cJSON *merged;
		int result;
		next = member->next;
		if (!edit)
			continue;
		if (edit->is_done || cJSON_IsNull(edit->member)) {
			take_out(object, member);
			cJSON_Delete(member);
			continue;
		}
		edit->is_done = true;
		result = merge_value(change, member, edit->member, level, &merged);
		if (result != 0)
			return result;
		if (merged != member)
			replace_item(NULL, object, member, merged);
	}
	return 0;
}

/* Takes the item on success. */
static int append_member(cJSON *object, const char *name, cJSON *item)
{
	size_t size = strlen(name) + 1;
	char *copy = cJSON_malloc(size);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, name, size);
	set_name(item, copy);
	link_before(object, item, NULL);
	return 0;
}

static int add_members(
    const struct change *change, cJSON *object, const cJSON *patch, const struct edits *edits, size_t level)
{
	for (const cJSON *member = patch->child; member; member = member->next) {
		const struct edit *edit = find_edit(edits, member->string);
		cJSON *merged;
		int result;
		if (edit->member != member || edit->is_done || cJSON_IsNull(member))
			continue;
		result = merge_value(change, NULL, member, level, &merged);
		if (result != 0)
			return result;
		if (append_member(object, member->string, merged) != 0) {
			cJSON_Delete(merged);
			return -ENOMEM;
		}
	}
	return 0;
}

static int merge_members(const struct change *change, cJSON *object, const cJSON *patch, size_t level)
{
	struct edits edits;
	int result;

	if (!patch->child)
		return 0;
	if (sort_edits(patch, &edits) != 0)
		return -ENOMEM;
	result = edit_members(change, object, &edits, level);
	if (result == 0)
		result = add_members(change, object, patch, &edits, level);
	cJSON_free(edits.sorted);
	return result;
}

int pipit_patch_merge(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error)
{
	struct change change = { .limits = limits, .error = error };
	cJSON *target = pipit_pointer_find(*doc, pointer);
	cJSON *merged;
	int result;

	assert(pipit_pointer_is_valid(pointer));
	if (!target)
		return fail_absent(&change, pointer);
	if (cJSON_IsObject(target) && cJSON_IsObject(patch)) {
		change.doc = cJSON_Duplicate(target, true);
		if (!change.doc)
			return -ENOMEM;
	}
	result = merge_value(&change, change.doc, patch, token_count(pointer), &merged);
	if (result == 0)
		replace_target(doc, pointer, target, merged);
	else
		cJSON_Delete(change.doc);
	return result;
}

/* --- operations (RFC 6902) ----------------------------------------------------------------------------------------- */

enum op { ADD, REMOVE, REPLACE, MOVE, COPY, TEST };

static const char *const op_names[] = { "add", "remove", "replace", "move", "copy", "test" };

struct operation {
	enum op op;
	struct pipit_slice path, from;
	const cJSON *value;
};

/* Must occur once: another parser may use the other one (RFC 6902 appendix A.13). */
static int read_member(
    const struct change *change, const cJSON *item, const char *name, const char *expected, const cJSON **found)
{
	struct pipit_slice quoted = pipit_slice_of(name);
	const cJSON *only = NULL;

	for (const cJSON *member = item->child; member; member = member->next) {
		if (strcmp(member->string, name) != 0)
			continue;
		if (only)
			return fail(change, PIPIT_PATCH_MALFORMED, "the member ", &quoted,
			    " occurs more than once: expected it once");
		only = member;
	}
	if (!only)
		return fail(
		    change, PIPIT_PATCH_MALFORMED, "the member ", &quoted, " is missing: expected %s", expected);
	*found = only;
	return 0;
}

static int read_op(struct change *change, const cJSON *item, struct operation *operation)
{
	static const char expected[] = "add, remove, replace, move, copy or test";
	const cJSON *member = NULL;
	struct pipit_slice name;

	if (read_member(change, item, "op", expected, &member) != 0)
		return -EINVAL;
	if (!cJSON_IsString(member))
		return fail(change, PIPIT_PATCH_MALFORMED, "the member \"op\" is not a string", NULL, ": expected %s",
		    expected);
	for (size_t i = 0; i < sizeof op_names / sizeof *op_names; i++) {
		if (strcmp(member->valuestring, op_names[i]) != 0)
			continue;
		operation->op = (enum op)i;
		change->op = op_names[i];
		return 0;
	}
	name = pipit_slice_of(member->valuestring);
	return fail(change, PIPIT_PATCH_MALFORMED, "unknown operation ", &name, ": expected %s", expected);
}

static int read_pointer(const struct change *change, const cJSON *item, const char *name, struct pipit_slice *pointer)
{
	struct pipit_slice quoted = pipit_slice_of(name);
	const cJSON *member = NULL;

	if (read_member(change, item, name, "a JSON Pointer", &member) != 0)
		return -EINVAL;
	if (!cJSON_IsString(member))
		return fail(
		    change, PIPIT_PATCH_MALFORMED, "the member ", &quoted, " is not a string: expected a JSON Pointer");
	*pointer = pipit_slice_of(member->valuestring);
	if (!pipit_pointer_is_valid(*pointer))
		return fail(change, PIPIT_PATCH_MALFORMED, "", pointer,
		    " is not a JSON Pointer: expected '/' before each name, and '~' only in \"~0\" and \"~1\"");
	return 0;
}

static bool begins_with(struct pipit_slice text, struct pipit_slice prefix)
{
	return text.length >= prefix.length && memcmp(text.data, prefix.data, prefix.length) == 0;
}

static int check_paths(const struct change *change, const struct operation *operation)
{
	struct pipit_slice path = operation->path, from = operation->from;

	if (operation->op == REMOVE && path.length == 0)
		return fail(change, PIPIT_PATCH_UNPROCESSABLE, "the whole value cannot be removed", NULL,
		    ": expected the path of a value in it");
	if (operation->op == MOVE && path.length > from.length && begins_with(path, from) &&
	    path.data[from.length] == '/')
		return fail(change, PIPIT_PATCH_UNPROCESSABLE, "", &path,
		    " is inside the moved value: expected a path outside of it");
	return 0;
}

static int read_operation(struct change *change, const cJSON *item, struct operation *operation)
{
	int result;

	if (!cJSON_IsObject(item))
		return fail(change, PIPIT_PATCH_MALFORMED, "it is not an object", NULL,
		    ": expected one, for example {\"op\":\"remove\",\"path\":\"/name\"}");
	*operation = (struct operation){ .op = ADD };
	result = read_op(change, item, operation);
	if (result == 0)
		result = read_pointer(change, item, "path", &operation->path);
	if (result == 0 && (operation->op == MOVE || operation->op == COPY))
		result = read_pointer(change, item, "from", &operation->from);
	if (result == 0 && (operation->op == ADD || operation->op == REPLACE || operation->op == TEST))
		result = read_member(change, item, "value", "any value", &operation->value);
	return result == 0 ? check_paths(change, operation) : result;
}

static int place_duplicate(struct change *change, struct pipit_slice path, const cJSON *value)
{
	cJSON *item;
	bool created;
	int result = check_depth(change, path, value);

	if (result != 0)
		return result;
	item = cJSON_Duplicate(value, true);
	if (!item)
		return -ENOMEM;
	result = place(change, path, item, true, &created);
	if (result != 0)
		cJSON_Delete(item);
	return result;
}

static int remove_at(struct change *change, struct pipit_slice path)
{
	cJSON *item;
	int result = take(change, path, &item);

	if (result == 0)
		cJSON_Delete(item);
	return result;
}

static int replace(struct change *change, struct pipit_slice path, const cJSON *value)
{
	cJSON *target = pipit_pointer_find(change->doc, path);
	cJSON *item;
	int result = target ? check_depth(change, path, value) : fail_absent(change, path);

	if (result != 0)
		return result;
	item = cJSON_Duplicate(value, true);
	if (!item)
		return -ENOMEM;
	replace_target(&change->doc, path, target, item);
	return 0;
}

static int move(struct change *change, struct pipit_slice from, struct pipit_slice path)
{
	cJSON *item;
	bool created;
	int result;

	if (from.length == path.length && begins_with(path, from))
		return pipit_pointer_find(change->doc, from) ? 0 : fail_absent(change, from);
	result = take(change, from, &item);
	if (result != 0)
		return result;
	result = place(change, path, item, true, &created);
	if (result != 0)
		cJSON_Delete(item);
	return result;
}

static bool spend(size_t *left, size_t bytes)
{
	if (bytes > *left)
		return false;
	*left -= bytes;
	return true;
}

/* False: less than about the printed length is left. */
static bool spend_printed(size_t *left, const cJSON *item)
{
	size_t bytes = is_container(item) ? 2 : cJSON_IsNumber(item) ? NUMBER_BYTES : 4;

	if (item->valuestring)
		bytes = strlen(item->valuestring) + 2;
	if (!spend(left, bytes))
		return false;
	for (const cJSON *child = item->child; child; child = child->next) {
		/* quotation marks, colon and comma; or the comma */
		if (!spend(left, cJSON_IsObject(item) ? strlen(child->string) + 4 : 1) || !spend_printed(left, child))
			return false;
	}
	return true;
}

static int copy(struct change *change, struct pipit_slice from, struct pipit_slice path)
{
	const cJSON *source = pipit_pointer_find(change->doc, from);

	if (!source)
		return fail_absent(change, from);
	if (!spend_printed(&change->copied_bytes_left, source))
		return fail(change, PIPIT_PATCH_TOO_LARGE, "too many bytes are copied, with the value at ", &from,
		    ": expected at most %zu bytes in one patch", change->limits->max_copied_bytes);
	return place_duplicate(change, path, source);
}

static int test(const struct change *change, struct pipit_slice path, const cJSON *value)
{
	const cJSON *item = pipit_pointer_find(change->doc, path);

	if (!item)
		return fail_absent(change, path);
	if (!pipit_json_equals(item, value))
		return fail(change, PIPIT_PATCH_TEST_FAILED, "the value at ", &path, " differs from that of the test");
	return 0;
}

static int perform(struct change *change, const struct operation *operation)
{
	switch (operation->op) {
	case ADD:
		return place_duplicate(change, operation->path, operation->value);
	case REMOVE:
		return remove_at(change, operation->path);
	case REPLACE:
		return replace(change, operation->path, operation->value);
	case MOVE:
		return move(change, operation->from, operation->path);
	case COPY:
		return copy(change, operation->from, operation->path);
	case TEST:
		break;
	}
	return test(change, operation->path, operation->value);
}

/* check_only: a malformed patch is reported before a conflict. */
static int run(struct change *change, const cJSON *patch, bool check_only)
{
	int result = 0;

	for (const cJSON *item = patch->child; item && result == 0; item = item->next) {
		struct operation operation;
		change->number++;
		change->op = NULL;
		result = read_operation(change, item, &operation);
		if (result == 0 && !check_only)
			result = perform(change, &operation);
	}
	if (result == 0) {
		change->number = 0;
		change->op = NULL;
	}
	return result;
}

static int check_patch(struct change *change, const cJSON *patch)
{
	size_t max_operations = change->limits->max_operations;

	if (!cJSON_IsArray(patch))
		return fail(change, PIPIT_PATCH_MALFORMED, "the patch is not an array", NULL,
		    ": expected an array of operations, for example [{\"op\":\"remove\",\"path\":\"/name\"}]");
	if ((size_t)cJSON_GetArraySize(patch) > max_operations)
		return fail(change, PIPIT_PATCH_TOO_LARGE, "the patch has too many operations", NULL,
		    ": expected at most %zu", max_operations);
	return run(change, patch, true);
}

int pipit_patch_apply(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error)
{
	struct change change = { .limits = limits,
		.level = token_count(pointer),
		.copied_bytes_left = limits->max_copied_bytes,
		.error = error };
	int result = check_patch(&change, patch);
	cJSON *target;

	assert(pipit_pointer_is_valid(pointer));
	if (result != 0)
		return result;
	target = pipit_pointer_find(*doc, pointer);
	if (!target)
		return fail_absent(&change, pointer);
	change.doc = cJSON_Duplicate(target, true);
	if (!change.doc)
		return -ENOMEM;
	result = run(&change, patch, false);
	if (result == 0)
		replace_target(doc, pointer, target, change.doc);
	else
		cJSON_Delete(change.doc);
	return result;
}
