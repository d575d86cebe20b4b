/* SPDX-License-Identifier: MIT */
/*
 * See patch.h. A value is set by putting a new item into the list of its parent: an item that is not linked yet can be dropped when
 * something fails, one that is need not be. Patches are applied to a duplicate of the value, which takes its place at the end.
 */
#include "patch.h"

#include "json.h"
#include "pointer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

/* Of a pointer that is told. */
#define SHOWN_MAX 100

static int refuse(struct pipit_patch_error *error, enum pipit_patch_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct pipit_patch_error *error, enum pipit_patch_fault fault, const char *format, ...)
{
	va_list arguments;
	error->fault = fault;
	va_start(arguments, format);
	vsnprintf(error->message, sizeof error->message, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* A pointer in a message, for "%.*s": whole characters, and the whole by its quotation marks. */
static int shown(struct pipit_slice pointer)
{
	size_t length = pointer.length < SHOWN_MAX ? pointer.length : SHOWN_MAX;
	while (length > 0 && length < pointer.length && ((unsigned char)pointer.data[length] & 0xc0) == 0x80)
		length--;
	return (int)length;
}
#define SHOWN(pointer) shown(pointer), (pointer).data

/* --- lists ----------------------------------------------------------------------------------------------------------- */

/* cJSON has these for an index and a name only, and looks for both from the front. The first item's `prev` is the last. */

static void link_before(cJSON *container, cJSON *next, cJSON *item)
{
	cJSON *first = container->child, *last = first ? first->prev : NULL;

	item->next = next;
	if (!first) {
		container->child = item->prev = item;
	} else if (!next) {
		last->next = item;
		item->prev = last;
		first->prev = item;
	} else if (next == first) {
		item->prev = last;
		first->prev = item;
		container->child = item;
	} else {
		item->prev = next->prev;
		next->prev->next = item;
		next->prev = item;
	}
}

static void swap_in(cJSON *container, cJSON *old, cJSON *item)
{
	cJSON *next = old->next;
	cJSON_DetachItemViaPointer(container, old);
	link_before(container, next, item);
}

static size_t count_items(const cJSON *container)
{
	size_t count = 0;
	for (const cJSON *item = container->child; item; item = item->next)
		count++;
	return count;
}

/* NULL behind the last. */
static cJSON *item_at(const cJSON *container, size_t index)
{
	cJSON *item = container->child;
	while (item && index--)
		item = item->next;
	return item;
}

static void drop_name(cJSON *item)
{
	if (item->string && !(item->type & cJSON_StringIsConst))
		cJSON_free(item->string);
	item->string = NULL;
	item->type &= ~cJSON_StringIsConst;
}

/* The item gets the token's text as its name. */
static int set_name(cJSON *item, struct pipit_slice token)
{
	char *name = cJSON_malloc(token.length + 1);
	if (!name)
		return -ENOMEM;
	name[pipit_pointer_unescape(token, name)] = '\0';
	drop_name(item);
	item->string = name;
	return 0;
}

static int copy_name(cJSON *item, const char *name)
{
	size_t size = strlen(name) + 1;
	char *copy = cJSON_malloc(size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, name, size);
	drop_name(item);
	item->string = copy;
	return 0;
}

/* --- depth and size -------------------------------------------------------------------------------------------------- */

/* Arrays and objects within each other; documents are never so deep that this is a matter of the stack. */
static size_t depth_of(const cJSON *item)
{
	size_t deepest = 0;
	if (!cJSON_IsArray(item) && !cJSON_IsObject(item))
		return 0;
	for (const cJSON *child = item->child; child; child = child->next) {
		size_t depth = depth_of(child);
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

static size_t count_tokens(struct pipit_slice pointer)
{
	struct pipit_slice token;
	size_t count = 0;
	while (pipit_pointer_next(&pointer, &token))
		count++;
	return count;
}

/* Roughly as printed. */
static size_t size_of(const cJSON *item)
{
	size_t size =
	    8 + (item->string ? strlen(item->string) : 0) + (item->valuestring ? strlen(item->valuestring) : 0);
	for (const cJSON *child = item->child; child; child = child->next)
		size += size_of(child);
	return size;
}

static int check_depth(size_t above, const cJSON *value, size_t max_depth, struct pipit_patch_error *error)
{
	if (above + depth_of(value) <= max_depth)
		return 0;
	return refuse(error, PIPIT_PATCH_TOO_LARGE,
	    "It would be nested too deeply: at most %zu arrays and objects within each other.", max_depth);
}

/* --- setting and removing one value ---------------------------------------------------------------------------------- */

/* Where a value is, or would be. */
struct place {
	cJSON *parent; /* NULL for the whole */
	struct pipit_slice token;
	cJSON *item;  /* NULL: it is not there */
	size_t index; /* in an array */
};

static int find_in_array(struct place *place, struct pipit_slice pointer, struct pipit_patch_error *error)
{
	if (pipit_slice_equals(place->token, "-")) {
		place->index = SIZE_MAX;
		return 0;
	}
	if (!pipit_pointer_index(place->token, &place->index))
		return refuse(error, PIPIT_PATCH_UNPROCESSABLE,
		    "\"%.*s\" leads into an array: its last part must be a number without leading zeros, or \"-\".",
		    SHOWN(pointer));
	place->item = item_at(place->parent, place->index);
	return 0;
}

/* The parent must be there, and be a container. */
static int find_place(cJSON *doc, struct pipit_slice pointer, struct place *place, struct pipit_patch_error *error)
{
	struct pipit_slice above;

	*place = (struct place){ .item = doc };
	if (!pipit_pointer_split(pointer, &above, &place->token))
		return 0;
	place->item = NULL;
	place->parent = pipit_pointer_find(doc, above);
	if (!place->parent)
		return refuse(error, PIPIT_PATCH_CONFLICT, "There is no \"%.*s\" for it to be in.", SHOWN(above));
	if (cJSON_IsArray(place->parent))
		return find_in_array(place, pointer, error);
	if (!cJSON_IsObject(place->parent))
		return refuse(error, PIPIT_PATCH_CONFLICT,
		    "\"%.*s\" is neither an object nor an array: nothing can be in it.", SHOWN(above));
	place->item = pipit_pointer_child(place->parent, place->token);
	return 0;
}

/* Only up to its end can an array grow. */
static int check_end(const struct place *place, struct pipit_slice pointer, struct pipit_patch_error *error)
{
	size_t count;

	if (!place->parent || !cJSON_IsArray(place->parent) || place->item || place->index == SIZE_MAX)
		return 0;
	count = count_items(place->parent);
	if (place->index == count)
		return 0;
	return refuse(error, PIPIT_PATCH_CONFLICT, "\"%.*s\" is beyond the end: the array has %zu elements.",
	    SHOWN(pointer), count);
}

/* An item for this place: named, or not. */
static int name_for(cJSON *item, const struct place *place)
{
	if (place->parent && cJSON_IsObject(place->parent))
		return set_name(item, place->token);
	drop_name(item);
	return 0;
}

/* In the place of what is there, or at the end. The value has its name. */
static void set_item(cJSON **doc, const struct place *place, cJSON *value)
{
	if (!place->parent) {
		cJSON_Delete(*doc);
		*doc = value;
	} else if (place->item) {
		swap_in(place->parent, place->item, value);
		cJSON_Delete(place->item);
	} else {
		link_before(place->parent, NULL, value);
	}
}

int pipit_patch_put(cJSON **doc, struct pipit_slice pointer, cJSON *value, const struct pipit_patch_limits *limits,
    bool *is_created, struct pipit_patch_error *error)
{
	struct place place;
	int result = find_place(*doc, pointer, &place, error);

	if (result == 0)
		result = check_end(&place, pointer, error);
	if (result == 0)
		result = check_depth(count_tokens(pointer), value, limits->max_depth, error);
	if (result == 0)
		result = name_for(value, &place);
	if (result != 0)
		return result;
	*is_created = !place.item;
	set_item(doc, &place, value);
	return 0;
}

static int find_present(cJSON *doc, struct pipit_slice pointer, struct place *place, struct pipit_patch_error *error)
{
	int result = find_place(doc, pointer, place, error);
	if (result == 0 && !place->item)
		return refuse(error, PIPIT_PATCH_CONFLICT, "There is no value at \"%.*s\".", SHOWN(pointer));
	return result;
}

int pipit_patch_remove(cJSON **doc, struct pipit_slice pointer, struct pipit_patch_error *error)
{
	struct place place;
	cJSON *nothing;
	int result = find_present(*doc, pointer, &place, error);

	if (result != 0)
		return result;
	if (place.parent) {
		cJSON_Delete(cJSON_DetachItemViaPointer(place.parent, place.item));
		return 0;
	}
	nothing = cJSON_CreateObject();
	if (!nothing)
		return -ENOMEM;
	set_item(doc, &place, nothing);
	return 0;
}

/* --- merge patches (RFC 7396) ---------------------------------------------------------------------------------------- */

/* The patch without its nulls, as what it makes of nothing. NULL when memory is short. */
static cJSON *duplicate_without_nulls(const cJSON *patch)
{
	cJSON *copy;

	if (!cJSON_IsObject(patch))
		return cJSON_Duplicate(patch, true);
	copy = cJSON_CreateObject();
	for (const cJSON *member = patch->child; copy && member; member = member->next) {
		cJSON *value = cJSON_IsNull(member) ? NULL : duplicate_without_nulls(member);
		if (cJSON_IsNull(member))
			continue;
		if (!value || copy_name(value, member->string) != 0) {
			cJSON_Delete(value);
			cJSON_Delete(copy);
			return NULL;
		}
		link_before(copy, NULL, value);
	}
	return copy;
}

/* Many members: looking for each from the front would take long, so they are compared by turns, as clients keep their order. */
static cJSON *find_from(const cJSON *object, cJSON *start, const char *name)
{
	for (cJSON *item = start; item; item = item->next) {
		if (strcmp(item->string, name) == 0)
			return item;
	}
	for (cJSON *item = object->child; item && item != start; item = item->next) {
		if (strcmp(item->string, name) == 0)
			return item;
	}
	return NULL;
}

static int merge_into(cJSON *target, const cJSON *patch);

static int merge_member(cJSON *target, cJSON *old, const cJSON *member)
{
	cJSON *value;

	if (cJSON_IsNull(member)) {
		if (old)
			cJSON_Delete(cJSON_DetachItemViaPointer(target, old));
		return 0;
	}
	if (cJSON_IsObject(member) && old && cJSON_IsObject(old))
		return merge_into(old, member);
	value = duplicate_without_nulls(member);
	if (!value || copy_name(value, member->string) != 0) {
		cJSON_Delete(value);
		return -ENOMEM;
	}
	if (old) {
		swap_in(target, old, value);
		cJSON_Delete(old);
	} else {
		link_before(target, NULL, value);
	}
	return 0;
}

/* Both are objects. */
static int merge_into(cJSON *target, const cJSON *patch)
{
	cJSON *start = target->child;
	int result = 0;

	for (const cJSON *member = patch->child; member && result == 0; member = member->next) {
		cJSON *old = find_from(target, start, member->string);
		/* What follows stays linked, whatever becomes of this one. */
		start = old ? old->next : start;
		result = merge_member(target, old, member);
	}
	return result;
}

/* The value at the place is `value` from now on. */
static int take_place(cJSON **doc, const struct place *place, cJSON *value)
{
	int result = name_for(value, place);
	if (result == 0)
		set_item(doc, place, value);
	else
		cJSON_Delete(value);
	return result;
}

int pipit_patch_merge(cJSON **doc, struct pipit_slice pointer, const cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error)
{
	struct place place;
	cJSON *value;
	int result = find_present(*doc, pointer, &place, error);

	if (result == 0)
		result = check_depth(count_tokens(pointer), patch, limits->max_depth, error);
	if (result != 0)
		return result;
	if (!cJSON_IsObject(patch) || !cJSON_IsObject(place.item)) {
		value = duplicate_without_nulls(patch);
		return value ? take_place(doc, &place, value) : -ENOMEM;
	}
	value = cJSON_Duplicate(place.item, true);
	if (!value)
		return -ENOMEM;
	if (merge_into(value, patch) == 0)
		return take_place(doc, &place, value);
	cJSON_Delete(value);
	return -ENOMEM;
}

/* --- JSON Patch (RFC 6902) ------------------------------------------------------------------------------------------- */

/* A patch on its way: what its operations have made of the value so far. */
struct patching {
	cJSON *value;
	size_t above; /* containers that the value is in */
	size_t copied_bytes;
	const struct pipit_patch_limits *limits;
	struct pipit_patch_error *error;
};

struct operation {
	struct pipit_slice path, from;
	const cJSON *value;
};

/* Before what is there, or at the end. Takes the item in every case. */
static int add_item(struct patching *patching, struct pipit_slice path, cJSON *item)
{
	struct place place;
	int result = item ? find_place(patching->value, path, &place, patching->error) : -ENOMEM;

	if (result == 0)
		result = check_end(&place, path, patching->error);
	if (result == 0)
		result = check_depth(
		    patching->above + count_tokens(path), item, patching->limits->max_depth, patching->error);
	if (result == 0)
		result = name_for(item, &place);
	if (result != 0) {
		cJSON_Delete(item);
		return result;
	}
	if (place.parent && cJSON_IsArray(place.parent))
		link_before(place.parent, place.item, item);
	else
		set_item(&patching->value, &place, item);
	return 0;
}

static int do_add(struct patching *patching, const struct operation *operation)
{
	return add_item(patching, operation->path, cJSON_Duplicate(operation->value, true));
}

static int do_remove(struct patching *patching, const struct operation *operation)
{
	struct place place;
	int result = find_present(patching->value, operation->path, &place, patching->error);

	if (result != 0)
		return result;
	if (!place.parent)
		return refuse(patching->error, PIPIT_PATCH_UNPROCESSABLE,
		    "The whole value cannot be removed by a patch: use DELETE.");
	cJSON_Delete(cJSON_DetachItemViaPointer(place.parent, place.item));
	return 0;
}

static int do_replace(struct patching *patching, const struct operation *operation)
{
	struct place place;
	cJSON *value;
	int result = find_present(patching->value, operation->path, &place, patching->error);

	if (result == 0)
		result = check_depth(patching->above + count_tokens(operation->path), operation->value,
		    patching->limits->max_depth, patching->error);
	if (result != 0)
		return result;
	value = cJSON_Duplicate(operation->value, true);
	return value ? take_place(&patching->value, &place, value) : -ENOMEM;
}

static bool is_within(struct pipit_slice inner, struct pipit_slice outer)
{
	return inner.length > outer.length && memcmp(inner.data, outer.data, outer.length) == 0 &&
	       inner.data[outer.length] == '/';
}

static bool is_same(struct pipit_slice one, struct pipit_slice other)
{
	return one.length == other.length && memcmp(one.data, other.data, one.length) == 0;
}

static int do_move(struct patching *patching, const struct operation *operation)
{
	struct place place;
	int result = find_present(patching->value, operation->from, &place, patching->error);

	if (result != 0)
		return result;
	if (is_within(operation->path, operation->from))
		return refuse(patching->error, PIPIT_PATCH_UNPROCESSABLE, "\"%.*s\" cannot be moved into itself.",
		    SHOWN(operation->from));
	if (is_same(operation->path, operation->from))
		return 0;
	/* Not the whole: every other place is within it. */
	return add_item(patching, operation->path, cJSON_DetachItemViaPointer(place.parent, place.item));
}

static int do_copy(struct patching *patching, const struct operation *operation)
{
	struct place place;
	int result = find_present(patching->value, operation->from, &place, patching->error);

	if (result != 0)
		return result;
	patching->copied_bytes += size_of(place.item);
	if (patching->copied_bytes > patching->limits->max_bytes)
		return refuse(patching->error, PIPIT_PATCH_TOO_LARGE, "The patch copies too much: at most %zu bytes.",
		    patching->limits->max_bytes);
	return add_item(patching, operation->path, cJSON_Duplicate(place.item, true));
}

static int do_test(struct patching *patching, const struct operation *operation)
{
	struct place place;
	int result = find_present(patching->value, operation->path, &place, patching->error);

	if (result == 0 && !pipit_json_equals(place.item, operation->value))
		return refuse(patching->error, PIPIT_PATCH_TEST_FAILED, "The value at \"%.*s\" is another.",
		    SHOWN(operation->path));
	return result;
}

static const struct {
	const char *name;
	bool has_from, has_value;
	int (*run)(struct patching *patching, const struct operation *operation);
} kinds[] = {
	{ "add", false, true, do_add },
	{ "remove", false, false, do_remove },
	{ "replace", false, true, do_replace },
	{ "move", true, false, do_move },
	{ "copy", true, false, do_copy },
	{ "test", false, true, do_test },
};
#define KINDS (sizeof kinds / sizeof *kinds)

static int read_pointer(
    const cJSON *item, const char *name, struct pipit_slice *pointer, struct pipit_patch_error *error)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(item, name);
	if (!cJSON_IsString(member))
		return refuse(error, PIPIT_PATCH_MALFORMED, "It needs a \"%s\", which is a string.", name);
	*pointer = pipit_slice_of(member->valuestring);
	if (!pipit_pointer_is_valid(*pointer))
		return refuse(error, PIPIT_PATCH_MALFORMED,
		    "Its %s \"%.*s\" is no JSON Pointer: such as \"\" or \"/network/dns/0\", with ~0 for '~' and ~1 "
		    "for '/'.",
		    name, SHOWN(*pointer));
	return 0;
}

/* Its name is at `kind` then. */
static int read_operation(const cJSON *item, size_t *kind, struct operation *operation, struct pipit_patch_error *error)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "op");
	int result;

	if (!cJSON_IsObject(item) || !cJSON_IsString(name))
		return refuse(
		    error, PIPIT_PATCH_MALFORMED, "An operation is an object with an \"op\", which is a string.");
	for (*kind = 0; *kind < KINDS && strcmp(kinds[*kind].name, name->valuestring) != 0; ++*kind)
		continue;
	if (*kind == KINDS)
		return refuse(error, PIPIT_PATCH_MALFORMED,
		    "\"%.*s\" is no operation: there are add, remove, replace, move, copy and test.",
		    SHOWN(pipit_slice_of(name->valuestring)));
	result = read_pointer(item, "path", &operation->path, error);
	if (result == 0 && kinds[*kind].has_from)
		result = read_pointer(item, "from", &operation->from, error);
	operation->value = cJSON_GetObjectItemCaseSensitive(item, "value");
	if (result == 0 && kinds[*kind].has_value && !operation->value)
		return refuse(error, PIPIT_PATCH_MALFORMED, "It needs a \"value\".");
	return result;
}

/* Say which one it was. */
static void name_operation(struct pipit_patch_error *error, size_t number, size_t kind)
{
	char message[sizeof error->message];
	memcpy(message, error->message, sizeof message);
	snprintf(error->message, sizeof error->message, "Operation %zu%s%s%s: %.*s", number, kind < KINDS ? " (" : "",
	    kind < KINDS ? kinds[kind].name : "", kind < KINDS ? ")" : "", (int)(sizeof message - 64), message);
}

/* All are read before any is done: a malformed patch is that, whatever the document is. */
static int check_operations(
    const cJSON *patch, const struct pipit_patch_limits *limits, struct pipit_patch_error *error)
{
	size_t number = 0, kind;
	struct operation operation;

	if (!cJSON_IsArray(patch))
		return refuse(error, PIPIT_PATCH_MALFORMED, "A JSON Patch is an array of operations (RFC 6902).");
	for (const cJSON *item = patch->child; item; item = item->next) {
		kind = KINDS;
		if (++number > limits->max_operations)
			return refuse(error, PIPIT_PATCH_TOO_LARGE, "The patch has too many operations: at most %zu.",
			    limits->max_operations);
		if (read_operation(item, &kind, &operation, error) != 0) {
			name_operation(error, number, kind);
			return -EINVAL;
		}
	}
	return 0;
}

static int run_operations(struct patching *patching, const cJSON *patch)
{
	size_t number = 0, kind;
	struct operation operation;

	for (const cJSON *item = patch->child; item; item = item->next) {
		int result = read_operation(item, &kind, &operation, patching->error);
		number++;
		if (result == 0)
			result = kinds[kind].run(patching, &operation);
		if (result == -EINVAL)
			name_operation(patching->error, number, kind);
		if (result != 0)
			return result;
	}
	return 0;
}

int pipit_patch_apply(cJSON **doc, struct pipit_slice pointer, const cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error)
{
	struct patching patching = { .above = count_tokens(pointer), .limits = limits, .error = error };
	struct place place;
	int result = check_operations(patch, limits, error);

	if (result == 0)
		result = find_present(*doc, pointer, &place, error);
	if (result != 0)
		return result;
	patching.value = cJSON_Duplicate(place.item, true);
	if (!patching.value)
		return -ENOMEM;
	result = run_operations(&patching, patch);
	if (result == 0)
		return take_place(doc, &place, patching.value);
	cJSON_Delete(patching.value);
	return result;
}
