/* SPDX-License-Identifier: MIT */
#include "settings/apply_change.h"

#include "http/date.h"
#include "http/preconditions.h"
#include "request/json_reader.h"
#include "request/problem.h"
#include "json/json.h"
#include "json/patch.h"
#include "json/pointer.h"
#include "json/printer.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

#define OPERATIONS_MAX 1000
#define SHOWN_POINTER_MAX 200

/* 404 comes before conditions (RFC 9110 §13.2.1). PUT creates its target. */
static bool has_target(const struct pipit_working_copy *copy, struct pipit_change *change)
{
	if (change->kind == PIPIT_CHANGE_PUT || pipit_pointer_find(copy->tree, change->pointer))
		return true;
	pipit_change_refuse(change, 404, "There is no value at %.*s in the settings.",
	    (int)(change->pointer.length < SHOWN_POINTER_MAX ? change->pointer.length : 0), change->pointer.data);
	return false;
}

/* RFC 9110 §13.2.2. etag: "": no value, which not even "*" matches. */
static bool conditions_hold(const struct pipit_guard_head *head, const char *etag)
{
	const struct pipit_validators validators = { .etag = pipit_slice_of(etag), .modified = PIPIT_DATE_NONE };
	bool range_counts;

	if (*etag == '\0')
		return !pipit_guard_find(head, "If-Match");
	return pipit_preconditions_check(head, &validators, &range_counts) == PIPIT_PRECONDITIONS_GO_ON;
}

static bool passes_conditions(const struct pipit_working_copy *copy, struct pipit_change *change)
{
	if (!change->head ||
	    (!pipit_guard_find(change->head, "If-Match") && !pipit_guard_find(change->head, "If-None-Match")))
		return true;
	if (pipit_working_copy_etag(copy, change->pointer, change->etag) != 0)
		pipit_change_refuse_for_memory(change);
	else if (!conditions_hold(change->head, change->etag))
		pipit_change_refuse(change, 412, "%s",
		    *change->etag ? "The current value does not meet If-Match or If-None-Match: get it again."
				  : "If-Match needs a current value, but there is none.");
	return change->status == 0;
}

static int status_of(enum pipit_patch_fault fault)
{
	switch (fault) {
	case PIPIT_PATCH_MALFORMED:
		return 400;
	case PIPIT_PATCH_UNPROCESSABLE:
		return 422;
	case PIPIT_PATCH_CONFLICT:
	case PIPIT_PATCH_TEST_FAILED:
		return 409;
	case PIPIT_PATCH_TOO_LARGE:
		return 413;
	}
	return 500;
}

/* NULL after a refusal. */
static cJSON *parse_content(struct pipit_change *change)
{
	struct pipit_json_error error;
	cJSON *content = NULL;
	int result =
	    pipit_json_parse(change->content.data, change->content.length, &change->content_limits, &content, &error);

	if (result == -EINVAL) {
		/* a name that occurs twice */
		change->status = 400;
		pipit_problem_json_detail(&error, change->detail);
		change->members = pipit_problem_json_members(&error);
	} else if (result != 0) {
		pipit_change_refuse_for_memory(change);
	}
	return content;
}

/* Between two steps, because each takes long for a large document. */
static bool is_stopped(struct pipit_change *change)
{
	if (!atomic_load_explicit(&change->is_cancelled, memory_order_relaxed))
		return false;
	pipit_change_refuse(change, 503, "The server is stopping.");
	return true;
}

/* *content: NULL when the tree has taken it. */
static void change_tree(struct pipit_working_copy *copy, struct pipit_change *change, cJSON **content)
{
	/* the next change parses the unchanged text */
	const struct pipit_patch_limits limits = { copy->limits.json.max_depth, copy->limits.max_bytes, OPERATIONS_MAX,
		.is_disposable = true };
	struct pipit_patch_error error;
	bool is_created = false;
	int result = -EINVAL;

	switch (change->kind) {
	case PIPIT_CHANGE_PUT:
		result = pipit_patch_put(&copy->tree, change->pointer, *content, &limits, &is_created, &error);
		if (result == 0)
			*content = NULL;
		break;
	case PIPIT_CHANGE_REMOVE:
		result = pipit_patch_remove(&copy->tree, change->pointer, &error);
		break;
	case PIPIT_CHANGE_MERGE:
		result = pipit_patch_merge(&copy->tree, change->pointer, *content, &limits, &error);
		break;
	case PIPIT_CHANGE_PATCH:
		result = pipit_patch_apply(&copy->tree, change->pointer, *content, &limits, &error);
		break;
	case PIPIT_CHANGE_RELOAD:
		assert(!"a reload does not change the tree");
	}
	if (result == 0)
		change->status = is_created ? 201 : 204;
	else if (result == -ENOMEM)
		pipit_change_refuse_for_memory(change);
	else
		pipit_change_refuse(change, status_of(error.fault), "%s", error.message);
}

bool pipit_apply_check(cJSON *tree, struct pipit_change *change, const struct pipit_apply_check *check)
{
	struct pipit_reader reader = { .doc = tree };

	if (check->check)
		check->check(&reader, check->arg);
	if (reader.violation_count) {
		pipit_change_refuse(change, 422, "The settings would not be valid: see errors.");
		change->members = pipit_json_reader_members(&reader);
	}
	pipit_json_reader_clear(&reader);
	return change->status < 300;
}

static bool is_acceptable(struct pipit_working_copy *copy, struct pipit_change *change,
    const struct pipit_apply_check *check, char **text, size_t *length)
{
	struct pipit_json_error error;

	*text = NULL;
	if (!cJSON_IsObject(copy->tree))
		pipit_change_refuse(change, 422, "The settings as a whole must be an object: {...}.");
	else if (pipit_printer_text(copy->tree, text, length) != 0)
		pipit_change_refuse_for_memory(change);
	else if (*length > copy->limits.max_bytes)
		pipit_change_refuse(change, 507, "The settings would take %zu bytes; at most %zu are kept.", *length,
		    copy->limits.max_bytes);
	/* or the next start cannot read the file */
	else if (pipit_json_check(*text, *length, &copy->limits.json, &error) != 0)
		pipit_change_refuse(change, 507, "The settings cannot be kept: %s.", error.message);
	else if (pipit_apply_check(copy->tree, change, check))
		return true;
	return false;
}

static void apply(struct pipit_working_copy *copy, struct pipit_change *change, cJSON **content,
    const struct pipit_apply_check *check)
{
	char *text = NULL;
	size_t length;

	if (pipit_working_copy_need_tree(copy) != 0) {
		pipit_change_refuse_for_memory(change);
		return;
	}
	if (!has_target(copy, change) || !passes_conditions(copy, change))
		return;
	change_tree(copy, change, content);
	if (change->status >= 300)
		return;
	if (!is_stopped(change) && is_acceptable(copy, change, check, &text, &length)) {
		pipit_working_copy_set_text(copy, text, length);
		/* the change is good without an ETag */
		if (pipit_working_copy_etag(copy, change->pointer, change->etag) != 0)
			change->etag[0] = '\0';
	} else {
		free(text);
		/* the next change parses the unchanged text */
		pipit_working_copy_drop_tree(copy);
	}
}

void pipit_apply_change(
    struct pipit_working_copy *copy, struct pipit_change *change, const struct pipit_apply_check *check)
{
	cJSON *content = NULL;

	change->status = 0;
	if (is_stopped(change))
		return;
	if (change->content.length)
		content = parse_content(change);
	if (change->status == 0 && !is_stopped(change))
		apply(copy, change, &content, check);
	cJSON_Delete(content);
}
