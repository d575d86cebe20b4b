/* SPDX-License-Identifier: MIT */
/*
 * A change of a JSON document: a byte whose last two bits choose put, remove, merge or apply; then a pointer, NUL, the
 * document's text, NUL, and the text of the value or patch.
 *
 * Checked: a failed change leaves the document byte for byte unchanged, and gives a reason; a successful one leaves a valid
 * document within the depth limit, with its lists linked correctly; a put value is found; merging is idempotent; without memory
 * nothing is changed and nothing leaks.
 */
#include "fuzz.h"

#include "pipit.h"
#include "json/json.h"
#include "json/patch.h"
#include "json/pointer.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Small, so that inputs reach them. */
#define DEPTH 6

static const struct pipit_patch_limits limits = { .max_depth = DEPTH, .max_copied_bytes = 200, .max_operations = 12 };

enum change { PUT, REMOVE, MERGE, APPLY };

/* ---------------------------------------------------------------- memory */

static long allocations_left = -1; /* below 0: unlimited */
static long in_use;

static void *allocate(size_t size)
{
	void *memory = allocations_left == 0 ? NULL : malloc(size);

	allocations_left -= allocations_left > 0;
	in_use += memory != NULL;
	return memory;
}

static void release(void *memory)
{
	in_use -= memory != NULL;
	free(memory);
}

/* ---------------------------------------------------------------- documents */

static struct pipit_slice take_until_nul(struct pipit_slice *input)
{
	const char *nul = input->length ? memchr(input->data, '\0', input->length) : NULL;
	struct pipit_slice taken = { input->data, nul ? (size_t)(nul - input->data) : input->length };
	size_t used = taken.length + (nul != NULL);

	*input = (struct pipit_slice){ input->data + used, input->length - used };
	return taken;
}

static cJSON *parse(struct pipit_slice text, size_t depth)
{
	const struct pipit_json_limits of_json = { depth, 0 };
	struct pipit_json_error error;
	char *copy = fuzz_copy(text.data, text.length);
	cJSON *doc = NULL;

	if (pipit_json_parse(copy, text.length, &of_json, &doc, &error) != 0)
		doc = NULL;
	free(copy);
	return doc;
}

static struct pipit_printer print(const cJSON *doc)
{
	struct pipit_printer text = pipit_printer_in(NULL, 0);

	REQUIRE(pipit_printer_print(&text, doc) == 0);
	return text;
}

static bool prints_as(const cJSON *doc, const struct pipit_printer *text)
{
	struct pipit_printer again = print(doc);
	bool is_same = again.length == text->length && memcmp(again.bytes, text->bytes, text->length) == 0;

	pipit_printer_clear(&again);
	return is_same;
}

static void check_links(const cJSON *item)
{
	const cJSON *previous = NULL;

	for (const cJSON *child = item->child; child; child = child->next) {
		REQUIRE(!previous || child->prev == previous);
		REQUIRE(!child->string == !cJSON_IsObject(item));
		check_links(child);
		previous = child;
	}
	REQUIRE(!item->child || item->child->prev == previous);
}

static void check_document(const cJSON *doc)
{
	const struct pipit_json_limits of_json = { DEPTH, 0 };
	struct pipit_json_error error;
	struct pipit_printer text = print(doc);

	check_links(doc);
	REQUIRE(!doc->next && !doc->prev && !doc->string);
	REQUIRE(pipit_json_check(text.bytes, text.length, &of_json, &error) == 0);
	pipit_printer_clear(&text);
}

static void check_error(const struct pipit_patch_error *error)
{
	const char *nul = memchr(error->message, '\0', sizeof error->message);

	REQUIRE(nul && nul > error->message);
	REQUIRE(pipit_is_utf8(error->message, (size_t)(nul - error->message)));
	REQUIRE(!strpbrk(error->message, "\r\n"));
	/* The end is complete: only the pointer was truncated. */
	REQUIRE((size_t)(nul - error->message) < sizeof error->message - 1);
}

/* ---------------------------------------------------------------- changes */

struct asked {
	enum change change;
	struct pipit_slice pointer;
	const cJSON *patch;
};

/* The parent of the value at a pointer; NULL for the whole document. */
static const cJSON *container_of(const cJSON *doc, struct pipit_slice pointer)
{
	const char *slash = pointer.length ? memrchr(pointer.data, '/', pointer.length) : NULL;

	return slash ? pipit_pointer_find(doc, (struct pipit_slice){ pointer.data, (size_t)(slash - pointer.data) })
		     : NULL;
}

/* A value is found where it was put; "-" is the last element then. */
static void check_put(const cJSON *doc, struct pipit_slice pointer, const cJSON *value)
{
	const cJSON *container = container_of(doc, pointer);

	if (cJSON_IsArray(container) && pointer.data[pointer.length - 1] == '-')
		REQUIRE(container->child->prev == value);
	else
		REQUIRE(pipit_pointer_find(doc, pointer) == value);
}

static int put(cJSON **doc, const struct asked *asked, struct pipit_patch_error *error)
{
	cJSON *value = cJSON_Duplicate(asked->patch, true);
	bool existed = pipit_pointer_find(*doc, asked->pointer) != NULL, created = existed;
	int result = -ENOMEM;

	if (value)
		result = pipit_patch_put(doc, asked->pointer, value, &limits, &created, error);
	if (result != 0) {
		cJSON_Delete(value);
		return result;
	}
	REQUIRE(created == !existed);
	check_put(*doc, asked->pointer, value);
	return 0;
}

/* All members of the name are removed; in an array the next element moves up. */
static void check_removed(const cJSON *doc, struct pipit_slice pointer)
{
	if (cJSON_IsObject(container_of(doc, pointer)))
		REQUIRE(!pipit_pointer_find(doc, pointer));
}

static int change(cJSON **doc, const struct asked *asked, struct pipit_patch_error *error)
{
	switch (asked->change) {
	case PUT:
		return put(doc, asked, error);
	case REMOVE:
		return pipit_patch_remove(doc, asked->pointer, error);
	case MERGE:
		return pipit_patch_merge(doc, asked->pointer, asked->patch, &limits, error);
	case APPLY:
		break;
	}
	return pipit_patch_apply(doc, asked->pointer, asked->patch, &limits, error);
}

static void check_change(struct pipit_slice text, const struct asked *asked)
{
	struct pipit_patch_error error;
	cJSON *doc = parse(text, DEPTH), *same = doc;
	struct pipit_printer before = print(doc), after;
	int result = change(&doc, asked, &error);

	REQUIRE(result == 0 || result == -EINVAL);
	check_document(doc);
	if (result != 0) {
		check_error(&error);
		REQUIRE(doc == same && prints_as(doc, &before));
	} else if (asked->change == REMOVE) {
		check_removed(doc, asked->pointer);
	} else if (asked->change == MERGE) {
		after = print(doc);
		REQUIRE(change(&doc, asked, &error) == 0 && prints_as(doc, &after));
		pipit_printer_clear(&after);
	}
	pipit_printer_clear(&before);
	cJSON_Delete(doc);
}

/* With each number of allocations up to the one that suffices: nothing changed, nothing leaked. */
static void shorten_memory(struct pipit_slice text, const struct asked *asked)
{
	struct pipit_patch_error error;
	cJSON *doc = parse(text, DEPTH);
	struct pipit_printer before = print(doc);
	long used = in_use;
	int result = -ENOMEM;

	for (long allocations = 0; allocations < 64 && result == -ENOMEM; allocations++) {
		allocations_left = allocations;
		result = change(&doc, asked, &error);
		allocations_left = -1;
		if (result != 0)
			REQUIRE(in_use == used && prints_as(doc, &before));
	}
	check_document(doc);
	pipit_printer_clear(&before);
	cJSON_Delete(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pipit_slice input = { (const char *)data + 1, size - 1 }, pointer, text;
	cJSON_Hooks hooks = { allocate, release };
	char *exact;
	cJSON *doc, *patch;

	if (size == 0)
		return 0;
	cJSON_InitHooks(&hooks);
	pointer = take_until_nul(&input);
	text = take_until_nul(&input);
	exact = fuzz_copy(pointer.data, pointer.length);
	pointer.data = exact;
	doc = parse(text, DEPTH);
	/* A patch may be deeper than its result may be. */
	patch = parse(input, 2 * DEPTH);
	if (doc && patch && pipit_pointer_is_valid(pointer)) {
		struct asked asked = { (enum change)(data[0] & 3), pointer, patch };
		check_change(text, &asked);
		shorten_memory(text, &asked);
	}
	cJSON_Delete(doc);
	cJSON_Delete(patch);
	free(exact);
	REQUIRE(in_use == 0);
	return 0;
}
