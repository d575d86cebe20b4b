/* SPDX-License-Identifier: MIT */
/*
 * Patches change a duplicate, which replaces the value when nothing can fail any more; or the value itself, where the
 * document is disposable. Lists are linked here, because
 * cJSON's functions can fail half way, and some versions lose the last item. `prev` of the first item is the last,
 * whose `next` is NULL.
 */
#include "json/patch.h"

#include "pipit.h"
#include "json/child_index.h"
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
/* Shorter lists are walked. */
#define INDEXED_MORE_THAN 64
/* Names of fewer members are compared with each other. */
#define FEW_MEMBERS 8

/*
 * So that many operations on large arrays and objects take less than the product of their numbers. `valueint` of an
 * indexed container, which cJSON does not use, is the position in the list, from 1; it counts only if the entry points
 * back, because duplicates of the container have it too.
 */
struct indexed {
	struct pipit_child_index *index; /* owned */
	const cJSON *container;          /* NULL: an entry without an index */
};

struct indexes {
	struct indexed *list; /* owned */
	size_t count, capacity;
};

struct change {
	cJSON *doc;              /* or a duplicate of the value to change */
	struct indexes *indexes; /* of `doc`; NULL: lists are walked */
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

/* `old` is no longer linked, without a name. container: NULL for the whole document. */
static void exchange_item(cJSON **doc, cJSON *container, cJSON *old, cJSON *item)
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
}

/* Deletes `old`. */
static void replace_item(cJSON **doc, cJSON *container, cJSON *old, cJSON *item)
{
	exchange_item(doc, container, old, item);
	cJSON_Delete(old);
}

/* --- indexes ------------------------------------------------------------------------------------------------------- */

static struct indexed *known_index(const struct indexes *indexes, const cJSON *container)
{
	size_t number = (size_t)container->valueint - 1;
	return number < indexes->count && indexes->list[number].container == container ? &indexes->list[number] : NULL;
}

static void drop_index(struct indexed *indexed)
{
	pipit_child_index_free(indexed->index);
	*indexed = (struct indexed){ NULL, NULL };
}

/* Before the item is deleted. indexes: may be NULL. */
static void forget(struct indexes *indexes, const cJSON *item)
{
	struct indexed *indexed;

	if (!indexes || !is_container(item))
		return;
	indexed = known_index(indexes, item);
	if (indexed)
		drop_index(indexed);
	for (const cJSON *child = item->child; child; child = child->next)
		forget(indexes, child);
}

static void clear_indexes(struct indexes *indexes)
{
	for (size_t i = 0; i < indexes->count; i++)
		drop_index(&indexes->list[i]);
	free(indexes->list);
}

/* cJSON_GetArraySize() reads all. */
static bool has_more_than(const cJSON *container, size_t count)
{
	const cJSON *child = container->child;
	for (; child && count > 0; count--)
		child = child->next;
	return child;
}

static bool has_room(struct indexes *indexes)
{
	size_t capacity = indexes->capacity ? 2 * indexes->capacity : 8;
	struct indexed *list;

	if (indexes->count < indexes->capacity)
		return true;
	list = realloc(indexes->list, capacity * sizeof *list);
	if (!list)
		return false;
	indexes->list = list;
	indexes->capacity = capacity;
	return true;
}

/* NULL: the list is short, has duplicate names, or memory is short. */
static struct pipit_child_index *index_of(const struct change *change, cJSON *container)
{
	struct indexes *indexes = change->indexes;
	struct indexed *indexed = indexes ? known_index(indexes, container) : NULL;
	struct pipit_child_index *index;

	if (indexed)
		return indexed->index;
	if (!indexes || !has_more_than(container, INDEXED_MORE_THAN) || !has_room(indexes))
		return NULL;
	index = pipit_child_index_new(container);
	if (!index || pipit_child_index_duplicate(index)) {
		pipit_child_index_free(index);
		return NULL;
	}
	indexes->list[indexes->count++] = (struct indexed){ index, container };
	container->valueint = (int)indexes->count;
	return index;
}

static cJSON *find_member(const struct pipit_child_index *index, cJSON *object, struct pipit_slice token)
{
	struct pipit_slice step = { token.data - 1, token.length + 1 };
	cJSON *member;
	char *name;

	if (!memchr(token.data, '~', token.length))
		return pipit_child_index_member(index, token);
	name = malloc(token.length);
	if (!name)
		return pipit_pointer_find(object, step);
	member = pipit_child_index_member(index, (struct pipit_slice){ name, pipit_pointer_unescape(token, name) });
	free(name);
	return member;
}

/* token: after its '/'. */
static cJSON *find_child(const struct change *change, cJSON *parent, struct pipit_slice token)
{
	struct pipit_child_index *index = is_container(parent) ? index_of(change, parent) : NULL;
	size_t number;

	if (!index)
		return pipit_pointer_find(parent, (struct pipit_slice){ token.data - 1, token.length + 1 });
	if (cJSON_IsObject(parent))
		return find_member(index, parent, token);
	return pipit_pointer_index(token, &number) ? pipit_child_index_element(index, number) : NULL;
}

static cJSON *find(const struct change *change, struct pipit_slice pointer)
{
	struct pipit_slice token;
	cJSON *item = change->doc;

	while (item && pipit_pointer_next(&pointer, &token))
		item = find_child(change, item, token);
	return item;
}

/* The item is linked as the last member. */
static void note_new_member(const struct change *change, cJSON *object, const cJSON *item)
{
	struct indexed *indexed = change->indexes ? known_index(change->indexes, object) : NULL;

	if (indexed && !pipit_child_index_add_member(indexed->index, item))
		drop_index(indexed);
}

/* Before the child is taken out. */
static void note_removal(const struct change *change, cJSON *container, const cJSON *child, struct pipit_slice token)
{
	struct pipit_child_index *index = index_of(change, container);
	size_t number;

	if (index && cJSON_IsObject(container))
		pipit_child_index_remove_member(index, child);
	else if (index && pipit_pointer_index(token, &number))
		pipit_child_index_remove_element(index, number);
}

static void note_replacement(
    const struct change *change, cJSON *container, const cJSON *old, cJSON *item, struct pipit_slice token)
{
	struct pipit_child_index *index = index_of(change, container);
	size_t number;

	if (index && cJSON_IsObject(container))
		pipit_child_index_replace_member(index, old, item);
	else if (index && pipit_pointer_index(token, &number))
		pipit_child_index_replace_element(index, number, item);
}

static void delete_duplicates(const struct change *change, cJSON *container, const cJSON *member)
{
	cJSON *next;

	if (!cJSON_IsObject(container) || index_of(change, container))
		return;
	for (cJSON *other = member->next; other; other = next) {
		next = other->next;
		if (strcmp(other->string, member->string) != 0)
			continue;
		take_out(container, other);
		forget(change->indexes, other);
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
	cJSON *found = find(change, parent);

	if (!found)
		return fail(change, PIPIT_PATCH_CONFLICT, "there is no value at ", &parent,
		    ": expected an object or an array for the new value");
	if (!is_container(found))
		return fail(change, PIPIT_PATCH_CONFLICT, "", &parent,
		    " is neither an object nor an array: expected one for the new value");
	*container = found;
	return 0;
}

static void replace_child(
    const struct change *change, cJSON *container, cJSON *old, cJSON *item, struct pipit_slice token)
{
	note_replacement(change, container, old, item, token);
	forget(change->indexes, old);
	replace_item(NULL, container, old, item);
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
	token = (struct pipit_slice){ last.data + 1, last.length - 1 };
	old = find_child(change, object, token);
	*created = !old;
	if (old) {
		delete_duplicates(change, object, old);
		replace_child(change, object, old, item, token);
		return 0;
	}
	if (!is_text(token))
		return fail(change, PIPIT_PATCH_UNPROCESSABLE, "the name at the end of ", &path,
		    " is invalid: expected UTF-8 without NUL");
	name = cJSON_malloc(token.length + 1);
	if (!name)
		return -ENOMEM;
	name[pipit_pointer_unescape(token, name)] = '\0';
	set_name(item, name);
	link_before(object, item, NULL);
	note_new_member(change, object, item);
	return 0;
}

/* The element; at the end of the array NULL, with the array's length. False: beyond the end. */
static bool find_position(const struct change *change, cJSON *array, size_t *number, cJSON **element)
{
	const struct pipit_child_index *index = index_of(change, array);
	size_t length = 0, wanted = *number;

	if (index) {
		*element = pipit_child_index_element(index, wanted);
		length = *element ? wanted : pipit_child_index_length(index);
	} else {
		*element = array->child;
		for (; *element && length < wanted; length++)
			*element = (*element)->next;
	}
	*number = length;
	return length == wanted;
}

/* is_insert: before the element; false: replace it. */
static int place_element(
    const struct change *change, cJSON *array, struct pipit_slice path, cJSON *item, bool is_insert, bool *created)
{
	struct pipit_child_index *index;
	struct pipit_slice last, token;
	cJSON *old = NULL;
	size_t number = SIZE_MAX;
	bool is_end;

	split(path, &last);
	token = (struct pipit_slice){ last.data + 1, last.length - 1 };
	is_end = pipit_slice_equals(token, "-");
	if (!is_end && !pipit_pointer_index(token, &number))
		return fail(change, PIPIT_PATCH_UNPROCESSABLE, "", &path,
		    " names no element of an array: expected an index without leading zeros, or \"-\" for its end");
	if (!is_end && !find_position(change, array, &number, &old))
		return fail(change, PIPIT_PATCH_CONFLICT, "", &path,
		    " is beyond the end of the array: expected an index up to its length, %zu", number);
	*created = is_insert || !old;
	if (!*created) {
		replace_child(change, array, old, item, token);
		return 0;
	}
	index = index_of(change, array);
	if (index)
		pipit_child_index_insert_element(index, is_end ? pipit_child_index_length(index) : number, item);
	set_name(item, NULL);
	link_before(array, item, old);
	return 0;
}

/* Takes the item on success. The caller has checked the depth. */
static int place(struct change *change, struct pipit_slice path, cJSON *item, bool is_insert, bool *created)
{
	cJSON *container = NULL;
	int result = path.length > 0 ? find_container(change, path, &container) : 0;

	if (result != 0)
		return result;
	if (cJSON_IsObject(container))
		return place_member(change, container, path, item, created);
	if (cJSON_IsArray(container))
		return place_element(change, container, path, item, is_insert, created);
	forget(change->indexes, change->doc);
	replace_item(&change->doc, NULL, change->doc, item);
	*created = false;
	return 0;
}

/* path: not "". */
static int take(const struct change *change, struct pipit_slice path, cJSON **item)
{
	struct pipit_slice last, token;
	cJSON *container = find(change, split(path, &last)), *found;

	token = (struct pipit_slice){ last.data + 1, last.length - 1 };
	found = container ? find_child(change, container, token) : NULL;
	if (!found)
		return fail_absent(change, path);
	delete_duplicates(change, container, found);
	note_removal(change, container, found, token);
	take_out(container, found);
	*item = found;
	return 0;
}

int pipit_patch_put(struct cJSON **doc, struct pipit_slice pointer, struct cJSON *value,
    const struct pipit_patch_limits *limits, bool *created, struct pipit_patch_error *error)
{
	struct change change = { .doc = *doc, .limits = limits, .error = error };
	cJSON *container;
	bool is_new;
	int result = pointer.length > 0 ? find_container(&change, pointer, &container) : 0;

	assert(pipit_pointer_is_valid(pointer));
	if (result == 0)
		result = check_depth(&change, pointer, value);
	if (result == 0)
		result = place(&change, pointer, value, false, &is_new);
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

static void replace_target(struct change *change, struct pipit_slice pointer, cJSON *target, cJSON *item)
{
	struct pipit_slice last;
	cJSON *container;

	if (pointer.length == 0) {
		forget(change->indexes, target);
		replace_item(&change->doc, NULL, target, item);
		return;
	}
	container = find(change, split(pointer, &last));
	delete_duplicates(change, container, target);
	replace_child(change, container, target, item, (struct pipit_slice){ last.data + 1, last.length - 1 });
}

/*
 * The value to change: a duplicate; or itself, with a null in its place, when the document is disposable. *target: what
 * is in its place then.
 */
static cJSON *begin(cJSON **doc, struct pipit_slice pointer, const struct pipit_patch_limits *limits, cJSON **target)
{
	struct pipit_slice last;
	cJSON *value = *target, *null;

	if (!limits->is_disposable)
		return cJSON_Duplicate(value, true);
	null = cJSON_CreateNull();
	if (!null)
		return NULL;
	exchange_item(doc, pointer.length > 0 ? pipit_pointer_find(*doc, split(pointer, &last)) : NULL, value, null);
	*target = null;
	return value;
}

static void finish(cJSON **doc, struct pipit_slice pointer, cJSON *target, cJSON *changed)
{
	struct change change = { .doc = *doc };

	replace_target(&change, pointer, target, changed);
	*doc = change.doc;
}

static void give_up(cJSON **doc, const struct pipit_patch_limits *limits, cJSON *changed)
{
	cJSON_Delete(changed);
	if (limits->is_disposable) {
		cJSON_Delete(*doc);
		*doc = NULL;
	}
}

/* --- merge patches (RFC 7396) -------------------------------------------------------------------------------------- */

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

static bool is_last_of_name(const cJSON *member)
{
	for (const cJSON *other = member->next; other; other = other->next) {
		if (strcmp(other->string, member->string) == 0)
			return false;
	}
	return true;
}

static const cJSON *first_of_name(const cJSON *object, const char *name)
{
	const cJSON *member = object->child;
	while (member && strcmp(member->string, name) != 0)
		member = member->next;
	return member;
}

/* Of an object that a patch changes. Both NULL: few members. */
struct merge {
	struct pipit_child_index *object, *patch;
};

static int index_merge(const cJSON *object, const cJSON *patch, struct merge *merge)
{
	*merge = (struct merge){ NULL, NULL };
	if (!has_more_than(patch, FEW_MEMBERS))
		return 0;
	merge->object = pipit_child_index_new(object);
	merge->patch = pipit_child_index_new(patch);
	return merge->object && merge->patch ? 0 : -ENOMEM;
}

static void merge_duplicates_of(const struct merge *merge, cJSON *object, const cJSON *member)
{
	const struct change none = { .doc = NULL };

	if (!merge->object || pipit_child_index_duplicate(merge->object))
		delete_duplicates(&none, object, member);
}

/* member: of the patch, the last of its name. */
static int merge_member(
    const struct change *change, const struct merge *merge, cJSON *object, const cJSON *member, size_t level)
{
	struct pipit_slice name = pipit_slice_of(member->string);
	cJSON *old = merge->object ? pipit_child_index_member(merge->object, name)
				   : (cJSON *)first_of_name(object, member->string);
	cJSON *merged;
	int result;

	if (old)
		merge_duplicates_of(merge, object, old);
	if (cJSON_IsNull(member)) {
		if (old && merge->object)
			pipit_child_index_remove_member(merge->object, old);
		if (old)
			take_out(object, old);
		cJSON_Delete(old);
		return 0;
	}
	result = merge_value(change, old, member, level, &merged);
	if (result != 0 || merged == old)
		return result;
	if (old) {
		if (merge->object)
			pipit_child_index_replace_member(merge->object, old, merged);
		replace_item(NULL, object, old, merged);
		return 0;
	}
	/* no later member of the patch has its name: the index need not have it */
	result = append_member(object, member->string, merged);
	if (result != 0)
		cJSON_Delete(merged);
	return result;
}

static int merge_members(const struct change *change, cJSON *object, const cJSON *patch, size_t level)
{
	struct merge merge;
	int result = index_merge(object, patch, &merge);
	bool may_repeat = !merge.patch || pipit_child_index_duplicate(merge.patch);

	for (const cJSON *member = patch->child; member && result == 0; member = member->next) {
		if (!may_repeat || is_last_of_name(member))
			result = merge_member(change, &merge, object, member, level);
	}
	pipit_child_index_free(merge.object);
	pipit_child_index_free(merge.patch);
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
		change.doc = begin(doc, pointer, limits, &target);
		if (!change.doc)
			return -ENOMEM;
	}
	result = merge_value(&change, change.doc, patch, token_count(pointer), &merged);
	if (result == 0)
		finish(doc, pointer, target, merged);
	else if (change.doc)
		give_up(doc, limits, change.doc);
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

	if (result == 0) {
		forget(change->indexes, item);
		cJSON_Delete(item);
	}
	return result;
}

static int replace(struct change *change, struct pipit_slice path, const cJSON *value)
{
	cJSON *target = find(change, path);
	cJSON *item;
	int result = target ? check_depth(change, path, value) : fail_absent(change, path);

	if (result != 0)
		return result;
	item = cJSON_Duplicate(value, true);
	if (!item)
		return -ENOMEM;
	replace_target(change, path, target, item);
	return 0;
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

/* A value that moves to a deeper place is read as one that is copied, or many such moves would take long. */
static int check_moved(struct change *change, struct pipit_slice from, struct pipit_slice path, const cJSON *item)
{
	if (token_count(path) <= token_count(from))
		return 0;
	if (!spend_printed(&change->copied_bytes_left, item))
		return fail(change, PIPIT_PATCH_TOO_LARGE,
		    "too many bytes are moved to a deeper place, with the value at ", &from,
		    ": expected at most %zu bytes in one patch", change->limits->max_copied_bytes);
	return check_depth(change, path, item);
}

static int move(struct change *change, struct pipit_slice from, struct pipit_slice path)
{
	cJSON *item;
	bool created;
	int result;

	if (from.length == path.length && begins_with(path, from))
		return find(change, from) ? 0 : fail_absent(change, from);
	result = take(change, from, &item);
	if (result != 0)
		return result;
	result = check_moved(change, from, path, item);
	if (result == 0)
		result = place(change, path, item, true, &created);
	if (result != 0) {
		forget(change->indexes, item);
		cJSON_Delete(item);
	}
	return result;
}

static int copy(struct change *change, struct pipit_slice from, struct pipit_slice path)
{
	const cJSON *source = find(change, from);

	if (!source)
		return fail_absent(change, from);
	if (!spend_printed(&change->copied_bytes_left, source))
		return fail(change, PIPIT_PATCH_TOO_LARGE, "too many bytes are copied, with the value at ", &from,
		    ": expected at most %zu bytes in one patch", change->limits->max_copied_bytes);
	return place_duplicate(change, path, source);
}

static int test(const struct change *change, struct pipit_slice path, const cJSON *value)
{
	const cJSON *item = find(change, path);

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
	struct indexes indexes = { NULL, 0, 0 };
	int result = check_patch(&change, patch);
	cJSON *target;

	assert(pipit_pointer_is_valid(pointer));
	if (result != 0)
		return result;
	target = pipit_pointer_find(*doc, pointer);
	if (!target)
		return fail_absent(&change, pointer);
	change.doc = begin(doc, pointer, limits, &target);
	if (!change.doc)
		return -ENOMEM;
	change.indexes = &indexes;
	result = run(&change, patch, false);
	clear_indexes(&indexes);
	if (result == 0)
		finish(doc, pointer, target, change.doc);
	else
		give_up(doc, limits, change.doc);
	return result;
}
