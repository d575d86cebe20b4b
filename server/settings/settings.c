/* SPDX-License-Identifier: MIT */
/* See settings.h; the contracts of the public functions are in pipit.h. */
#include "settings/settings.h"

#include "base/log.h"
#include "http/preconditions.h"
#include "request/json_reader.h"
#include "settings/atomic_file.h"
#include "settings/snapshot.h"
#include "json/json.h"
#include "json/patch.h"
#include "json/pointer.h"
#include "json/printer.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_BYTES_DEFAULT (256 * 1024)
#define MAX_BYTES_LEAST 1024
#define MAX_BYTES_MOST (16 * 1024 * 1024)
#define MAX_DEPTH_DEFAULT 64
#define MAX_MEMBERS_DEFAULT 10000
/* The same for people is longer: lines, and tabs at their beginning. */
#define FILE_BYTES_MAX(max_bytes) ((max_bytes)*64 + 4096)

/* Changes that share one fsync(), at most; and texts that may wait, in whole documents. */
#define BATCH_MAX 256
#define WAITING_DOCUMENTS_MAX 16
#define WAITING_MAX 4096
/* Operations of one JSON Patch. */
#define OPERATIONS_MAX 1000
/* Between two tries to pass an outcome on. */
#define RETRY_NS 50000000

struct queue {
	struct pipit_settings_change *first, **last;
	size_t count, bytes;
};

struct pipit_settings {
	struct pipit_atomic_file *durable;
	struct pipit_json_limits limits;
	size_t max_bytes;
	bool require_match;
	pipit_settings_check *check; /* of the program's, NULL: none */
	pipit_settings_changed *changed;
	void *hook_arg;

	struct pipit_snapshot published;

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t work, idle;
	struct queue queue;
	struct pipit_settings_change *late; /* whose outcome could not be passed on */
	bool is_busy, is_closing;

	/* The writer's own: what the changes so far have made of the document. */
	cJSON *tree;        /* NULL: to be made anew from the text */
	char *text;         /* owned; NULL: as published */
	size_t text_length; /* bytes at `text` */
	bool is_failing;    /* the last write failed, and it has been said */
};

/* --- readers --------------------------------------------------------------------------------------------------------- */

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
	return settings->max_bytes;
}

bool pipit_settings_requires_match(const struct pipit_settings *settings)
{
	return settings->require_match;
}

/* --- the writer's document ------------------------------------------------------------------------------------------- */

static struct pipit_slice text_now(const struct pipit_settings *settings)
{
	return settings->text ? (struct pipit_slice){ settings->text, settings->text_length }
			      : pipit_json_index_text(pipit_snapshot_now(&settings->published));
}

static void forget_tree(struct pipit_settings *settings)
{
	cJSON_Delete(settings->tree);
	settings->tree = NULL;
}

/* Back to what is published. */
static void forget_changes(struct pipit_settings *settings)
{
	forget_tree(settings);
	free(settings->text);
	settings->text = NULL;
}

static int need_tree(struct pipit_settings *settings)
{
	struct pipit_slice text = text_now(settings);
	struct pipit_json_error error;

	return settings->tree ? 0
			      : pipit_json_parse(text.data, text.length, &settings->limits, &settings->tree, &error);
}

/* Of the value that the pointer names now; "" when there is none. 0 or -ENOMEM. */
static int find_etag(const struct pipit_settings *settings, struct pipit_slice pointer, char *etag)
{
	const cJSON *item = pipit_pointer_find(settings->tree, pointer);
	struct pipit_slice text = text_now(settings);
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

/* --- one change ------------------------------------------------------------------------------------------------------ */

static void refuse(struct pipit_settings_change *change, int status, const char *format, ...) PIPIT_PRINTF(3, 4);

static void refuse(struct pipit_settings_change *change, int status, const char *format, ...)
{
	va_list arguments;
	change->status = status;
	va_start(arguments, format);
	vsnprintf(change->detail, sizeof change->detail, format, arguments);
	va_end(arguments);
}

static void refuse_for_memory(struct pipit_settings_change *change)
{
	refuse(change, 503, "The server is short of memory; try again soon.");
}

/* Conditions of a request for what is not there do not count (RFC 9110 §13.2.1); a PUT makes it. */
static bool has_target(struct pipit_settings *settings, struct pipit_settings_change *change)
{
	if (change->verb == PIPIT_SETTINGS_PUT || pipit_pointer_find(settings->tree, change->pointer))
		return true;
	refuse(change, 404, "There is no value at %.*s in the settings.",
	    (int)(change->pointer.length < 200 ? change->pointer.length : 0), change->pointer.data);
	return false;
}

/* RFC 9110 §13.2.2. A value that is not there matches no tag, not even "*". */
static bool conditions_hold(const struct pipit_guard_head *head, const char *etag)
{
	const struct pipit_validators validators = { pipit_slice_of(etag), -1, 0 };
	bool range_counts;

	if (*etag == '\0')
		return !pipit_guard_find(head, "If-Match");
	return pipit_preconditions_check(head, &validators, &range_counts) == PIPIT_PRECONDITIONS_GO_ON;
}

static bool is_wanted(struct pipit_settings *settings, struct pipit_settings_change *change)
{
	if (!change->head ||
	    (!pipit_guard_find(change->head, "If-Match") && !pipit_guard_find(change->head, "If-None-Match")))
		return true;
	if (find_etag(settings, change->pointer, change->etag) != 0)
		refuse_for_memory(change);
	else if (!conditions_hold(change->head, change->etag))
		refuse(change, 412, "%s",
		    *change->etag
			? "The value has changed, or is not as If-Match and If-None-Match ask for: get it again."
			: "There is no value there that If-Match could name.");
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

/* Change the tree, or leave it as it is and say why. */
static void change_tree(struct pipit_settings *settings, struct pipit_settings_change *change)
{
	const struct pipit_patch_limits limits = { settings->limits.max_depth, settings->max_bytes, OPERATIONS_MAX };
	struct pipit_patch_error error;
	bool is_created = false;
	int result = -EINVAL;

	switch (change->verb) {
	case PIPIT_SETTINGS_PUT:
		result =
		    pipit_patch_put(&settings->tree, change->pointer, change->content, &limits, &is_created, &error);
		if (result == 0)
			change->content = NULL;
		break;
	case PIPIT_SETTINGS_REMOVE:
		result = pipit_patch_remove(&settings->tree, change->pointer, &error);
		break;
	case PIPIT_SETTINGS_MERGE:
		result = pipit_patch_merge(&settings->tree, change->pointer, change->content, &limits, &error);
		break;
	case PIPIT_SETTINGS_PATCH:
		result = pipit_patch_apply(&settings->tree, change->pointer, change->content, &limits, &error);
		break;
	case PIPIT_SETTINGS_RELOAD:
		assert(!"a reload is no change of the tree");
	}
	if (result == 0)
		change->status = is_created ? 201 : 204;
	else if (result == -ENOMEM)
		refuse_for_memory(change);
	else
		refuse(change, status_of(error.fault), "%s", error.message);
}

/* The program may have an opinion. */
static bool passes_check(struct pipit_settings *settings, struct pipit_settings_change *change)
{
	struct pipit_reader reader = { .doc = settings->tree };

	if (settings->check)
		settings->check(&reader, settings->hook_arg);
	if (reader.violation_count) {
		refuse(change, 422, "The settings would not be valid: see errors.");
		change->members = pipit_json_reader_members(&reader);
	}
	pipit_json_reader_clear(&reader);
	return change->status < 300;
}

/* What the tree has become must be something that can be kept. *text is from malloc() then. */
static bool is_acceptable(
    struct pipit_settings *settings, struct pipit_settings_change *change, char **text, size_t *length)
{
	struct pipit_json_error error;

	*text = NULL;
	if (!cJSON_IsObject(settings->tree))
		refuse(change, 422, "The settings as a whole are an object: {...}.");
	else if (pipit_printer_text(settings->tree, text, length) != 0)
		refuse_for_memory(change);
	else if (*length > settings->max_bytes)
		refuse(change, 507, "The settings would take %zu bytes; at most %zu are kept.", *length,
		    settings->max_bytes);
	/* Whatever the changes were that made it, it can be read again. */
	else if (pipit_json_check(*text, *length, &settings->limits, &error) != 0)
		refuse(change, 507, "The settings could not be kept: %s.", error.message);
	else if (passes_check(settings, change))
		return true;
	return false;
}

/* Apply it, or leave everything as it was and say why. */
static void apply(struct pipit_settings *settings, struct pipit_settings_change *change)
{
	char *text;
	size_t length;

	change->status = 0;
	if (need_tree(settings) != 0) {
		refuse_for_memory(change);
		return;
	}
	if (!has_target(settings, change) || !is_wanted(settings, change))
		return;
	change_tree(settings, change);
	if (change->status >= 300)
		return;
	if (is_acceptable(settings, change, &text, &length)) {
		free(settings->text);
		settings->text = text;
		settings->text_length = length;
		/* Without it the change is as good; the client asks again. */
		if (find_etag(settings, change->pointer, change->etag) != 0)
			change->etag[0] = '\0';
	} else {
		free(text);
		/* The text is what it was: the tree is made from it again when the next change needs one. */
		forget_tree(settings);
	}
}

/* --- a batch --------------------------------------------------------------------------------------------------------- */

static void tell_failure(struct pipit_settings *settings, int error)
{
	if (error == 0 && settings->is_failing)
		pipit_log(PIPIT_LOG_INFO, "%s: changes are kept again", pipit_atomic_file_name(settings->durable));
	else if (error != 0 && !settings->is_failing)
		pipit_log(PIPIT_LOG_ERROR, "%s: changes are refused: they cannot be written: %s",
		    pipit_atomic_file_name(settings->durable), strerror(-error));
	settings->is_failing = error != 0;
}

static int save(struct pipit_settings *settings, struct pipit_slice text)
{
	size_t length;
	char *bytes = pipit_json_index_indent(text, &length);
	int error = bytes ? pipit_atomic_file_write(settings->durable, bytes, length) : -ENOMEM;
	free(bytes);
	return error;
}

/* Write and publish what the changes have made. On failure everything is as before them. */
static int commit(struct pipit_settings *settings)
{
	struct pipit_json_index *document;
	int error;

	if (pipit_slice_is_same(text_now(settings), pipit_json_index_text(pipit_snapshot_now(&settings->published)))) {
		free(settings->text);
		settings->text = NULL;
		return 0;
	}
	document = pipit_json_index_new(settings->text, settings->text_length);
	error = document ? save(settings, text_now(settings)) : -ENOMEM;
	tell_failure(settings, error);
	if (error == 0) {
		settings->text = NULL;
		pipit_snapshot_set(&settings->published, document);
		return 0;
	}
	if (document) {
		settings->text = NULL;
		pipit_json_index_free(document);
	}
	forget_changes(settings);
	return error;
}

static bool is_out_of_space(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

static void fail_changes(struct pipit_settings_change *batch, int error)
{
	for (; batch; batch = batch->next) {
		/* What was refused by the state that the others made was refused on grounds that are gone. */
		if (batch->status >= 300 && batch->status != 404 && batch->status != 409 && batch->status != 412 &&
		    batch->status != 507)
			continue;
		batch->etag[0] = '\0';
		if (error == -ENOMEM)
			refuse_for_memory(batch);
		else
			refuse(batch, is_out_of_space(error) ? 507 : 503,
			    "The settings could not be written, and are as they were: %s.", strerror(-error));
		free(batch->members);
		batch->members = NULL;
	}
}

static bool has_applied(const struct pipit_settings_change *batch)
{
	while (batch && batch->status >= 300)
		batch = batch->next;
	return batch != NULL;
}

static void run_batch(struct pipit_settings *settings, struct pipit_settings_change *batch)
{
	int error;

	for (struct pipit_settings_change *change = batch; change; change = change->next)
		apply(settings, change);
	if (!has_applied(batch))
		return;
	error = commit(settings);
	if (error != 0)
		fail_changes(batch, error);
	else if (settings->changed && need_tree(settings) == 0)
		settings->changed(settings->tree, settings->hook_arg);
}

/* --- the file -------------------------------------------------------------------------------------------------------- */

/* Make a tree and its text of what the file holds. 0; -ENOENT; a negative errno value and what is wrong. */
static int read_file(
    struct pipit_settings *settings, cJSON **tree, char **text, size_t *length, char *error, size_t size)
{
	struct pipit_json_error place;
	char *bytes;
	size_t bytes_length;
	int failure =
	    pipit_atomic_file_read(settings->durable, FILE_BYTES_MAX(settings->max_bytes), &bytes, &bytes_length);

	if (failure != 0) {
		snprintf(error, size, "%s", strerror(-failure));
		return failure;
	}
	failure = pipit_json_parse(bytes, bytes_length, &settings->limits, tree, &place);
	free(bytes);
	if (failure == -EINVAL) {
		snprintf(error, size, "invalid JSON at line %zu, column %zu (byte %zu): %s", place.line, place.column,
		    place.byte, place.message);
	} else if (failure == 0 && !cJSON_IsObject(*tree)) {
		failure = -EINVAL;
		snprintf(error, size, "the settings as a whole are an object: expected '{'");
	} else if (failure == 0) {
		failure = pipit_printer_text(*tree, text, length);
	}
	if (failure == 0 && *length > settings->max_bytes) {
		free(*text);
		failure = -EFBIG;
		snprintf(
		    error, size, "the settings take %zu bytes; at most %zu are kept", *length, settings->max_bytes);
	}
	if (failure == -ENOMEM)
		snprintf(error, size, "out of memory");
	if (failure != 0) {
		cJSON_Delete(*tree);
		*tree = NULL;
	}
	return failure;
}

static void reload(struct pipit_settings *settings, struct pipit_settings_change *change)
{
	const char *name = pipit_atomic_file_name(settings->durable);
	struct pipit_json_index *document;
	cJSON *tree = NULL;
	char *text, error[300];
	size_t length;
	int failure = read_file(settings, &tree, &text, &length, error, sizeof error);

	change->status = 204;
	if (failure != 0) {
		refuse(change, 422, "%s", error);
		return;
	}
	if (pipit_slice_is_same((struct pipit_slice){ text, length },
		pipit_json_index_text(pipit_snapshot_now(&settings->published)))) {
		free(text);
		cJSON_Delete(tree);
		pipit_atomic_file_accept(settings->durable);
		pipit_log(PIPIT_LOG_INFO, "%s: read again, the settings are the same", name);
		return;
	}
	forget_changes(settings);
	settings->tree = tree;
	document = passes_check(settings, change) ? pipit_json_index_new(text, length) : NULL;
	if (!document) {
		if (change->status < 300)
			refuse_for_memory(change);
		free(text);
		forget_tree(settings);
		return;
	}
	pipit_snapshot_set(&settings->published, document);
	pipit_atomic_file_accept(settings->durable);
	pipit_log(PIPIT_LOG_INFO, "%s: read again, the settings have changed", name);
	if (settings->changed)
		settings->changed(settings->tree, settings->hook_arg);
}

static bool reloaded(struct pipit_settings_change *change)
{
	free(change->members);
	free(change);
	return true;
}

static void run_reload(struct pipit_settings *settings, struct pipit_settings_change *change)
{
	reload(settings, change);
	if (change->status >= 300)
		pipit_log(PIPIT_LOG_ERROR, "%s: not taken, the settings stay as they were: %s%s%s",
		    pipit_atomic_file_name(settings->durable), change->detail, change->members ? " " : "",
		    change->members ? change->members + 1 : "");
}

/* --- the writer's thread --------------------------------------------------------------------------------------------- */

static void add_last(struct queue *queue, struct pipit_settings_change *change)
{
	change->next = NULL;
	*queue->last = change;
	queue->last = &change->next;
	queue->count++;
	queue->bytes += change->content_bytes;
}

static struct pipit_settings_change *take_first(struct queue *queue)
{
	struct pipit_settings_change *change = queue->first;
	queue->first = change->next;
	if (!queue->first)
		queue->last = &queue->first;
	queue->count--;
	queue->bytes -= change->content_bytes;
	change->next = NULL;
	return change;
}

/* A reload is a batch of its own: it may replace everything. */
static struct pipit_settings_change *take_batch(struct queue *queue)
{
	struct pipit_settings_change *batch = NULL, **last = &batch;
	for (size_t i = 0; i < BATCH_MAX && queue->first; i++) {
		bool is_reload = queue->first->verb == PIPIT_SETTINGS_RELOAD;
		if (is_reload && batch)
			break;
		*last = take_first(queue);
		last = &(*last)->next;
		if (is_reload)
			break;
	}
	return batch;
}

/* Returns those whose outcome could not be passed on. */
static struct pipit_settings_change *tell(struct pipit_settings_change *batch)
{
	struct pipit_settings_change *late = NULL;
	while (batch) {
		struct pipit_settings_change *change = batch;
		batch = batch->next;
		cJSON_Delete(change->content);
		change->content = NULL;
		if (!change->done(change)) {
			change->next = late;
			late = change;
		}
	}
	return late;
}

static void wait_for_work(struct pipit_settings *settings)
{
	struct timespec until;

	if (!settings->late) {
		pthread_cond_wait(&settings->work, &settings->mutex);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += RETRY_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&settings->work, &settings->mutex, &until);
}

static void *write_changes(void *context)
{
	struct pipit_settings *settings = context;

	pthread_mutex_lock(&settings->mutex);
	while (settings->queue.first || !settings->is_closing) {
		struct pipit_settings_change *batch = take_batch(&settings->queue), *late = settings->late;
		settings->late = NULL;
		settings->is_busy = true;
		pthread_mutex_unlock(&settings->mutex);
		if (batch && batch->verb == PIPIT_SETTINGS_RELOAD)
			run_reload(settings, batch);
		else if (batch)
			run_batch(settings, batch);
		batch = tell(batch);
		late = tell(late);
		pthread_mutex_lock(&settings->mutex);
		for (struct pipit_settings_change *next; batch; batch = next) {
			next = batch->next;
			batch->next = late;
			late = batch;
		}
		settings->late = late;
		settings->is_busy = false;
		if (settings->queue.first)
			continue;
		pthread_cond_broadcast(&settings->idle);
		if (!settings->is_closing)
			wait_for_work(settings);
	}
	pthread_mutex_unlock(&settings->mutex);
	return NULL;
}

int pipit_settings_submit(struct pipit_settings *settings, struct pipit_settings_change *change)
{
	struct queue *queue = &settings->queue;
	int result = 0;

	change->etag[0] = change->detail[0] = '\0';
	change->members = NULL;
	pthread_mutex_lock(&settings->mutex);
	if (queue->count >= WAITING_MAX ||
	    (queue->first && queue->bytes + change->content_bytes > WAITING_DOCUMENTS_MAX * settings->max_bytes))
		result = -EBUSY;
	else
		add_last(queue, change);
	pthread_cond_signal(&settings->work);
	pthread_mutex_unlock(&settings->mutex);
	return result;
}

struct pipit_settings_change *pipit_settings_settle(struct pipit_settings *settings)
{
	struct pipit_settings_change *late;

	pthread_mutex_lock(&settings->mutex);
	while (settings->queue.first || settings->is_busy)
		pthread_cond_wait(&settings->idle, &settings->mutex);
	late = settings->late;
	settings->late = NULL;
	pthread_mutex_unlock(&settings->mutex);
	return late;
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int check_options(
    struct pipit_settings *settings, const struct pipit_settings_options *options, char *error, size_t size)
{
	uint64_t bytes = options->max_bytes ? options->max_bytes : MAX_BYTES_DEFAULT;
	uint64_t depth = options->max_depth ? options->max_depth : MAX_DEPTH_DEFAULT;

	if (!options->file || !*options->file || bytes < MAX_BYTES_LEAST || bytes > MAX_BYTES_MOST ||
	    depth > PIPIT_JSON_INDEX_DEPTH_MAX) {
		snprintf(error, size, "settings: name a file, with max_bytes from %d to %d and max_depth up to %d",
		    MAX_BYTES_LEAST, MAX_BYTES_MOST, PIPIT_JSON_INDEX_DEPTH_MAX);
		return -EINVAL;
	}
	settings->max_bytes = (size_t)bytes;
	settings->limits.max_depth = (size_t)depth;
	settings->limits.max_members = options->max_members ? (size_t)options->max_members : MAX_MEMBERS_DEFAULT;
	settings->require_match = options->require_match;
	return 0;
}

/* The file as it is; when it is no settings, as it was before the last change; nothing yet is {}. */
static int load(struct pipit_settings *settings, char **text, size_t *length, char *error, size_t size)
{
	const char *name = pipit_atomic_file_name(settings->durable);
	char why[256];
	int failure = read_file(settings, &settings->tree, text, length, why, sizeof why);

	if (failure == -ENOENT) {
		*text = strdup("{}");
		*length = 2;
		return *text ? 0 : -ENOMEM;
	}
	if (failure == -EINVAL && pipit_atomic_file_restore(settings->durable) == 0) {
		pipit_log(PIPIT_LOG_ERROR, "%s: %s: it is put aside as %s.broken, and the settings before it are used",
		    name, why, name);
		failure = read_file(settings, &settings->tree, text, length, why, sizeof why);
	}
	if (failure == 0)
		pipit_atomic_file_accept(settings->durable);
	else
		snprintf(error, size, "settings: %s: %s", name, why);
	return failure;
}

/* Signals are for the program's threads. */
static int start_thread(struct pipit_settings *settings)
{
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&settings->thread, NULL, write_changes, settings);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	settings->has_thread = result == 0;
	return -result;
}

static int open_store(
    struct pipit_settings *settings, const struct pipit_settings_options *options, char *error, size_t size)
{
	char why[256], *text = NULL;
	size_t length;
	struct pipit_json_index *document;
	int failure = pipit_atomic_file_open(options->file, &settings->durable, why, sizeof why);

	if (failure != 0) {
		snprintf(error, size, "settings: %s", why);
		return failure;
	}
	failure = load(settings, &text, &length, error, size);
	if (failure != 0)
		return failure;
	document = pipit_json_index_new(text, length);
	if (!document) {
		free(text);
		return -ENOMEM;
	}
	pipit_snapshot_init(&settings->published, document);
	return start_thread(settings);
}

int pipit_settings_open(
    const struct pipit_settings_options *options, struct pipit_settings **result, char *error, size_t size)
{
	struct pipit_settings *settings = calloc(1, sizeof *settings);
	int failure;

	snprintf(error, size, "settings: out of memory or threads");
	if (!settings)
		return -ENOMEM;
	settings->queue.last = &settings->queue.first;
	pthread_mutex_init(&settings->mutex, NULL);
	pthread_cond_init(&settings->work, NULL);
	pthread_cond_init(&settings->idle, NULL);
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

void pipit_settings_free(struct pipit_settings *settings)
{
	if (!settings)
		return;
	if (settings->has_thread) {
		pthread_mutex_lock(&settings->mutex);
		settings->is_closing = true;
		pthread_cond_signal(&settings->work);
		pthread_mutex_unlock(&settings->mutex);
		pthread_join(settings->thread, NULL);
	}
	forget_changes(settings);
	pipit_snapshot_clear(&settings->published);
	pipit_atomic_file_free(settings->durable);
	pthread_cond_destroy(&settings->idle);
	pthread_cond_destroy(&settings->work);
	pthread_mutex_destroy(&settings->mutex);
	free(settings);
}

/* --- for the program ------------------------------------------------------------------------------------------------- */

int pipit_settings_on_change(
    struct pipit_settings *settings, pipit_settings_check *check, pipit_settings_changed *changed, void *arg)
{
	struct pipit_settings_change now = { .status = 204 };
	int result = 0;

	/* Under the lock that the writer takes before it looks. */
	pthread_mutex_lock(&settings->mutex);
	settings->check = check;
	settings->changed = changed;
	settings->hook_arg = arg;
	if (need_tree(settings) != 0)
		result = -ENOMEM;
	else if (!passes_check(settings, &now))
		result = -EINVAL;
	pthread_mutex_unlock(&settings->mutex);
	if (result == -EINVAL)
		pipit_log(PIPIT_LOG_ERROR, "%s: the settings are not valid: %s",
		    pipit_atomic_file_name(settings->durable), now.members ? now.members + 1 : "out of memory");
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
	    pipit_json_parse(value.text.data, value.text.length, &settings->limits, &copy, &error) != 0)
		copy = NULL;
	pipit_settings_unpin(settings, pin);
	return copy;
}

/* A change that somebody waits for. */
struct awaited {
	struct pipit_settings_change change;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool is_done;
};

static bool wake(struct pipit_settings_change *change)
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

/* A program's document may be anything that cJSON can hold: it gets through as text. Takes it. 0; -EINVAL; -ENOMEM. */
static int read_patch(const struct pipit_settings *settings, cJSON *patch, struct pipit_settings_change *change)
{
	struct pipit_json_error error;
	char *text = NULL;
	int result = patch ? pipit_printer_text(patch, &text, &change->content_bytes) : -ENOMEM;

	cJSON_Delete(patch);
	if (result == 0)
		result = pipit_json_parse(text, change->content_bytes, &settings->limits, &change->content, &error);
	if (result == -EINVAL)
		snprintf(change->detail, sizeof change->detail, "%s", error.message);
	free(text);
	return result;
}

int pipit_settings_merge(
    struct pipit_settings *settings, const char *pointer, struct cJSON *patch, char *error, size_t size)
{
	struct awaited awaited = {
		.change = { .verb = PIPIT_SETTINGS_MERGE, .pointer = pipit_slice_of(pointer), .done = wake }
	};
	struct pipit_settings_change *change = &awaited.change;
	int result = read_patch(settings, patch, change);

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
	} else {
		cJSON_Delete(change->content);
	}
	snprintf(error, size, "%s%s", result != 0 && !change->detail[0] ? strerror(-result) : change->detail,
	    change->members ? change->members : "");
	free(awaited.change.members);
	pthread_cond_destroy(&awaited.cond);
	pthread_mutex_destroy(&awaited.mutex);
	return result;
}

int pipit_settings_reload(struct pipit_settings *settings)
{
	struct pipit_settings_change *change = calloc(1, sizeof *change);
	int result;

	if (!change)
		return -ENOMEM;
	change->verb = PIPIT_SETTINGS_RELOAD;
	change->done = reloaded;
	result = pipit_settings_submit(settings, change);
	if (result != 0)
		free(change);
	return result;
}
