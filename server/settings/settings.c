/* SPDX-License-Identifier: MIT */
#include "settings/settings.h"

#include "base/log.h"
#include "net/budget.h"
#include "settings/apply_change.h"
#include "settings/atomic_file.h"
#include "settings/change_queue.h"
#include "settings/settings_file.h"
#include "settings/snapshot.h"
#include "settings/working_copy.h"
#include "json/json.h"
#include "json/pointer.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_BYTES_DEFAULT (256 * 1024)
#define MAX_BYTES_LEAST 1024
#define MAX_BYTES_MOST (16 * 1024 * 1024)
_Static_assert(MAX_BYTES_MOST <= PIPIT_JSON_INDEX_BYTES_MAX, "settings fit their index");
#define MAX_DEPTH_DEFAULT 64
#define MAX_VALUES_DEFAULT 100000
/* documents of the largest size */
#define QUEUED_DOCUMENTS_MAX 64
/* its tree may take more than 2 MiB */
#define LARGE_TEXT_BYTES (64 * 1024)

struct pipit_settings {
	struct pipit_atomic_file *file;
	bool require_match;
	struct pipit_apply_check check;
	pipit_settings_changed *changed; /* may be NULL; called with check.arg */
	struct pipit_snapshot published;
	struct pipit_change_queue queue;

	/* The writer thread only. */
	struct pipit_working_copy copy;
	bool is_failing; /* the last write failed and was logged */
};

/* --- for settings_http.c --------------------------------------------------------------------------------------------- */

const struct pipit_json_index *pipit_settings_pin(struct pipit_settings *settings, unsigned *pin)
{
	return pipit_snapshot_pin(&settings->published, pin);
}

void pipit_settings_unpin(struct pipit_settings *settings, unsigned pin)
{
	pipit_snapshot_unpin(&settings->published, pin);
}

size_t pipit_settings_max_bytes(const struct pipit_settings *settings)
{
	return settings->copy.limits.max_bytes;
}

bool pipit_settings_requires_match(const struct pipit_settings *settings)
{
	return settings->require_match;
}

int pipit_settings_submit(struct pipit_settings *settings, struct pipit_change *change)
{
	return pipit_change_queue_add(&settings->queue, change);
}

int pipit_settings_renew_thread(struct pipit_settings *settings)
{
	return pipit_change_queue_renew_thread(&settings->queue);
}

struct pipit_change *pipit_settings_settle(struct pipit_settings *settings, const void *owner)
{
	return pipit_change_queue_settle(&settings->queue, owner);
}

/* --- a batch of changes ---------------------------------------------------------------------------------------------- */

static void log_write_result(struct pipit_settings *settings, int error)
{
	const char *name = pipit_atomic_file_name(settings->file);

	if (error == 0 && settings->is_failing)
		pipit_log(PIPIT_LOG_INFO, "%s: writing works again, changes are accepted", name);
	else if (error != 0 && !settings->is_failing)
		pipit_log(PIPIT_LOG_ERROR, "%s: writing failed, changes are refused: %s", name,
		    pipit_atomic_file_explain(settings->file, error));
	settings->is_failing = error != 0;
}

/* Resets the working copy on failure. */
static int commit(struct pipit_settings *settings)
{
	struct pipit_working_copy *copy = &settings->copy;
	struct pipit_json_index *document;
	int error;

	if (pipit_working_copy_is_published(copy)) {
		pipit_working_copy_set_text(copy, NULL, 0);
		return 0;
	}
	/* before the write, so that a written document can always be published */
	document = pipit_json_index_new(copy->text, copy->text_length);
	error = document ? pipit_settings_file_save(settings->file, pipit_json_index_text(document)) : -ENOMEM;
	log_write_result(settings, error);
	if (document)
		copy->text = NULL; /* the document owns it */
	if (error == 0) {
		pipit_snapshot_set(&settings->published, document);
		return 0;
	}
	pipit_json_index_free(document);
	pipit_working_copy_reset(copy);
	return error;
}

static bool is_out_of_space(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

/* Other changes of the batch, which are undone, may be the cause. */
static bool depends_on_batch(int status)
{
	return status == 404 || status == 409 || status == 412 || status == 507;
}

static void fail_changes(struct pipit_settings *settings, struct pipit_change *batch, int error)
{
	for (; batch; batch = batch->next) {
		if (batch->status >= 300 && !depends_on_batch(batch->status))
			continue;
		batch->etag[0] = '\0';
		if (error == -ENOMEM)
			pipit_change_refuse_for_memory(batch);
		else
			pipit_change_refuse(batch, is_out_of_space(error) ? 507 : 503,
			    "The settings could not be written and are unchanged: %s.",
			    pipit_atomic_file_explain(settings->file, error));
		free(batch->members);
		batch->members = NULL;
	}
}

static bool has_applied(const struct pipit_change *batch)
{
	while (batch && batch->status >= 300)
		batch = batch->next;
	return batch != NULL;
}

static void run_changes(struct pipit_settings *settings, struct pipit_change *batch)
{
	int error;

	for (struct pipit_change *change = batch; change; change = change->next)
		pipit_apply_change(&settings->copy, change, &settings->check);
	if (!has_applied(batch))
		return;
	error = commit(settings);
	if (error != 0)
		fail_changes(settings, batch, error);
	else if (settings->changed && pipit_working_copy_need_tree(&settings->copy) == 0)
		settings->changed(settings->copy.tree, settings->check.arg);
}

/* --- reloading the file ---------------------------------------------------------------------------------------------- */

/* Takes tree and text. */
static void publish_file(
    struct pipit_settings *settings, struct pipit_change *change, cJSON *tree, char *text, size_t length)
{
	struct pipit_json_index *document = NULL;

	pipit_working_copy_reset(&settings->copy);
	settings->copy.tree = tree;
	if (pipit_apply_check(tree, change, &settings->check)) {
		document = pipit_json_index_new(text, length);
		if (!document)
			pipit_change_refuse_for_memory(change);
	}
	if (!document) {
		free(text);
		pipit_working_copy_drop_tree(&settings->copy);
		return;
	}
	pipit_snapshot_set(&settings->published, document);
	pipit_atomic_file_accept(settings->file);
	pipit_log(PIPIT_LOG_INFO, "%s: read again, the settings have changed", pipit_atomic_file_name(settings->file));
	if (settings->changed)
		settings->changed(settings->copy.tree, settings->check.arg);
}

static void reload(struct pipit_settings *settings, struct pipit_change *change)
{
	const char *name = pipit_atomic_file_name(settings->file);
	struct pipit_slice text;
	cJSON *tree = NULL;
	char *bytes, error[300];
	int failure = pipit_settings_file_read(
	    settings->file, &settings->copy.limits, &tree, &bytes, &text.length, error, sizeof error);

	change->status = 204;
	if (failure != 0) {
		pipit_change_refuse(change, 422, "%s", error);
		return;
	}
	text.data = bytes;
	if (!pipit_slice_is_same(text, pipit_json_index_text(pipit_snapshot_now(&settings->published)))) {
		publish_file(settings, change, tree, bytes, text.length);
		return;
	}
	free(bytes);
	cJSON_Delete(tree);
	pipit_atomic_file_accept(settings->file);
	pipit_log(PIPIT_LOG_INFO, "%s: read again, the settings are the same", name);
}

static void run_reload(struct pipit_settings *settings, struct pipit_change *change)
{
	reload(settings, change);
	if (change->status >= 300)
		pipit_log(PIPIT_LOG_ERROR, "%s: reload refused, the settings are unchanged: %s%s%s",
		    pipit_atomic_file_name(settings->file), change->detail, change->members ? " " : "",
		    change->members ? change->members + 1 : "");
}

static size_t longest_text(const struct pipit_settings *settings, const struct pipit_change *batch)
{
	size_t longest = pipit_working_copy_text(&settings->copy).length;
	for (; batch; batch = batch->next)
		longest = batch->content.length > longest ? batch->content.length : longest;
	return longest;
}

static void run_batch(void *arg, struct pipit_change *batch)
{
	struct pipit_settings *settings = arg;
	size_t longest = longest_text(settings, batch);

	if (batch->kind == PIPIT_CHANGE_RELOAD)
		run_reload(settings, batch);
	else
		run_changes(settings, batch);
	pipit_working_copy_rest(&settings->copy);
	if (longest > LARGE_TEXT_BYTES && pipit_change_queue_is_empty(&settings->queue))
		pipit_budget_give_back();
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int check_options(
    struct pipit_settings *settings, const struct pipit_settings_options *options, char *error, size_t size)
{
	struct pipit_settings_limits *limits = &settings->copy.limits;
	uint64_t bytes = options->max_bytes ? options->max_bytes : MAX_BYTES_DEFAULT;
	uint64_t depth = options->max_depth ? options->max_depth : MAX_DEPTH_DEFAULT;

	if (!options->file || !*options->file || bytes < MAX_BYTES_LEAST || bytes > MAX_BYTES_MOST ||
	    depth > PIPIT_JSON_INDEX_DEPTH_MAX) {
		snprintf(error, size, "settings: name a file, with max_bytes from %d to %d and max_depth up to %d",
		    MAX_BYTES_LEAST, MAX_BYTES_MOST, PIPIT_JSON_INDEX_DEPTH_MAX);
		return -EINVAL;
	}
	limits->max_bytes = (size_t)bytes;
	limits->json.max_depth = (size_t)depth;
	limits->json.max_values = options->max_values ? (size_t)options->max_values : MAX_VALUES_DEFAULT;
	settings->require_match = options->require_match;
	return 0;
}

static int open_store(
    struct pipit_settings *settings, const struct pipit_settings_options *options, char *error, size_t size)
{
	char why[400], *text = NULL;
	size_t length;
	struct pipit_json_index *document;
	int failure = pipit_atomic_file_open(options->file, &settings->file, why, sizeof why);

	if (failure != 0) {
		snprintf(error, size, "settings: %s", why);
		return failure;
	}
	failure = pipit_settings_file_load(
	    settings->file, &settings->copy.limits, &settings->copy.tree, &text, &length, error, size);
	if (failure != 0)
		return failure;
	document = pipit_json_index_new(text, length);
	if (!document) {
		free(text);
		return -ENOMEM;
	}
	pipit_snapshot_init(&settings->published, document);
	pipit_working_copy_rest(&settings->copy);
	failure = pipit_change_queue_start(&settings->queue, QUEUED_DOCUMENTS_MAX * settings->copy.limits.max_bytes);
	if (failure != 0)
		snprintf(error, size, "settings: cannot start a thread: %s", strerror(-failure));
	return failure;
}

int pipit_settings_open(
    const struct pipit_settings_options *options, struct pipit_settings **result, char *error, size_t size)
{
	struct pipit_settings *settings = calloc(1, sizeof *settings);
	int failure;

	snprintf(error, size, "settings: out of memory");
	if (!settings)
		return -ENOMEM;
	settings->copy.published = &settings->published;
	pipit_change_queue_init(&settings->queue, run_batch, settings);
	failure = check_options(settings, options, error, size);
	if (failure == 0)
		failure = open_store(settings, options, error, size);
	if (failure != 0) {
		pipit_settings_free(settings);
		return failure;
	}
	*result = settings;
	return 0;
}

void pipit_settings_remove_new_lock(struct pipit_settings *settings)
{
	if (settings)
		pipit_atomic_file_remove_new_lock(settings->file);
}

void pipit_settings_free(struct pipit_settings *settings)
{
	if (!settings)
		return;
	pipit_change_queue_clear(&settings->queue);
	pipit_working_copy_reset(&settings->copy);
	pipit_snapshot_clear(&settings->published);
	pipit_atomic_file_free(settings->file);
	free(settings);
}

/* --- for the program ------------------------------------------------------------------------------------------------- */

int pipit_settings_on_change(
    struct pipit_settings *settings, pipit_settings_check *check, pipit_settings_changed *changed, void *arg)
{
	struct pipit_change now = { .status = 204 };
	int result = 0;

	/* the writer thread locks it before its next batch */
	pthread_mutex_lock(&settings->queue.mutex);
	settings->check = (struct pipit_apply_check){ check, arg };
	settings->changed = changed;
	if (pipit_working_copy_need_tree(&settings->copy) != 0)
		result = -ENOMEM;
	else if (!pipit_apply_check(settings->copy.tree, &now, &settings->check))
		result = -EINVAL;
	pipit_working_copy_rest(&settings->copy);
	pthread_mutex_unlock(&settings->queue.mutex);
	if (result == -EINVAL)
		pipit_log(PIPIT_LOG_ERROR, "%s: the settings are not valid: %s", pipit_atomic_file_name(settings->file),
		    now.members ? now.members + 1 : "out of memory");
	free(now.members);
	return result;
}

struct cJSON *pipit_settings_get(struct pipit_settings *settings, const char *pointer)
{
	struct pipit_json_index_value value;
	struct pipit_json_error error;
	const struct pipit_json_index *document;
	cJSON *copy = NULL;
	unsigned pin;

	if (!pipit_pointer_is_valid(pipit_slice_of(pointer)))
		return NULL;
	document = pipit_settings_pin(settings, &pin);
	if (pipit_json_index_find(document, pipit_slice_of(pointer), &value) &&
	    pipit_json_parse(value.text.data, value.text.length, &settings->copy.limits.json, &copy, &error) != 0)
		copy = NULL;
	pipit_settings_unpin(settings, pin);
	return copy;
}

struct awaited {
	struct pipit_change change; /* first */
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool is_done;
};

static bool wake(struct pipit_change *change)
{
	struct awaited *awaited = (struct awaited *)change;
	pthread_mutex_lock(&awaited->mutex);
	awaited->is_done = true;
	pthread_cond_signal(&awaited->cond);
	pthread_mutex_unlock(&awaited->mutex);
	return true;
}

static int result_of(int status)
{
	switch (status) {
	case 201:
	case 204:
		return 0;
	case 404:
		return -ENOENT;
	case 413:
	case 507:
		return -ENOSPC;
	case 503:
		return -EIO;
	}
	return -EINVAL;
}

/* Takes the patch. *text: the content, owned. Checks it, because a cJSON tree may hold what JSON does not allow. */
static int read_patch(const struct pipit_settings *settings, cJSON *patch, struct pipit_change *change, char **text)
{
	struct pipit_json_error error;
	size_t length = 0;
	int result = patch ? pipit_printer_text(patch, text, &length) : -ENOMEM;

	cJSON_Delete(patch);
	change->content = (struct pipit_slice){ *text, length };
	change->content_limits = settings->copy.limits.json;
	if (result == 0)
		result = pipit_json_check(*text, length, &change->content_limits, &error);
	if (result == -EINVAL)
		snprintf(change->detail, sizeof change->detail, "%s", error.message);
	return result;
}

int pipit_settings_merge(
    struct pipit_settings *settings, const char *pointer, struct cJSON *patch, char *error, size_t size)
{
	struct awaited awaited = { .change = {
				       .kind = PIPIT_CHANGE_MERGE, .pointer = pipit_slice_of(pointer), .done = wake } };
	struct pipit_change *change = &awaited.change;
	char *text = NULL;
	int result = read_patch(settings, patch, change, &text);

	if (result == 0 && !pipit_pointer_is_valid(change->pointer))
		result = -EINVAL;
	pthread_mutex_init(&awaited.mutex, NULL);
	pthread_cond_init(&awaited.cond, NULL);
	if (result == 0)
		result = pipit_settings_submit(settings, change);
	if (result == 0) {
		pthread_mutex_lock(&awaited.mutex);
		while (!awaited.is_done)
			pthread_cond_wait(&awaited.cond, &awaited.mutex);
		pthread_mutex_unlock(&awaited.mutex);
		result = result_of(change->status);
	}
	free(text);
	snprintf(error, size, "%s%s", result != 0 && !change->detail[0] ? strerror(-result) : change->detail,
	    change->members ? change->members : "");
	free(awaited.change.members);
	pthread_cond_destroy(&awaited.cond);
	pthread_mutex_destroy(&awaited.mutex);
	return result;
}

static bool free_reload(struct pipit_change *change)
{
	free(change->members);
	free(change);
	return true;
}

int pipit_settings_reload(struct pipit_settings *settings)
{
	struct pipit_change *change = calloc(1, sizeof *change);
	int result;

	if (!change)
		return -ENOMEM;
	change->kind = PIPIT_CHANGE_RELOAD;
	change->done = free_reload;
	result = pipit_settings_submit(settings, change);
	if (result != 0)
		free(change);
	return result;
}
