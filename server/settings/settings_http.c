/* SPDX-License-Identifier: MIT */
/* See settings_http.h. Reads are answered at once; a change is handed to the store, whose thread hands the outcome back to the worker. */
#include "settings/settings_http.h"

#include "base/percent.h"
#include "files/file_response.h"
#include "http/content_coding.h"
#include "request/request.h"
#include "settings/settings.h"
#include "json/pointer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

/* Of a pointer, decoded. Longer targets are rare, and what they name is not there. */
#define POINTER_MAX 4096

#define MERGE_TYPE "application/merge-patch+json"
#define PATCH_TYPE "application/json-patch+json"

/* --- which value ----------------------------------------------------------------------------------------------------- */

/* Whether the route is that of values in the document, or that of the whole. */
static bool is_below(const struct pipit_route *route)
{
	static const char end[] = PIPIT_SETTINGS_HTTP_BELOW;
	size_t length = strlen(route->pattern);
	return length >= sizeof end && strcmp(route->pattern + length - (sizeof end - 1), end) == 0;
}

/* Most paths have nothing to decode: they are a pointer as they stand, with the slash before them. */
static bool is_plain(struct pipit_slice encoded)
{
	return !memchr(encoded.data, '%', encoded.length) && !memchr(encoded.data, '~', encoded.length);
}

static bool decode_pointer(
    struct pipit_request *request, struct pipit_slice encoded, char bytes[POINTER_MAX], struct pipit_slice *pointer)
{
	if (encoded.length + 1 > POINTER_MAX) {
		pipit_reply_problem(request, 414, "A pointer has at most %d bytes.", POINTER_MAX - 1);
		return false;
	}
	bytes[0] = '/';
	*pointer = (struct pipit_slice){ bytes, 1 + pipit_percent_decode(encoded, bytes + 1) };
	if (pipit_is_utf8(bytes, pointer->length) && !memchr(bytes, '\0', pointer->length) &&
	    pipit_pointer_is_valid(*pointer))
		return true;
	pipit_reply_problem(request, 400,
	    "The path does not name a value: it is a JSON Pointer in UTF-8, with ~0 for '~' and ~1 for a '/' in a "
	    "name.");
	return false;
}

/*
 * The path behind the route's own is a pointer in the form of RFC 6901 §6: percent-encoded, so that "%2F" is a slash like any other,
 * and a slash in a name is "~1". False after a reply. The pointer lives as long as `bytes` and the handler's call.
 */
static bool read_pointer(struct pipit_request *request, char bytes[POINTER_MAX], struct pipit_slice *pointer)
{
	size_t count = request->match.parameter_count;
	struct pipit_slice encoded;

	*pointer = (struct pipit_slice){ bytes, 0 };
	/* The pattern ends with it, or has none. */
	if (count == 0 || !is_below(request->route))
		return true;
	encoded = request->match.parameters[count - 1];
	if (!is_plain(encoded))
		return decode_pointer(request, encoded, bytes, pointer);
	*pointer = (struct pipit_slice){ encoded.data - 1, encoded.length + 1 };
	return true;
}

static void reply_absent(struct pipit_request *request, struct pipit_slice pointer)
{
	pipit_reply_problem(
	    request, 404, "There is no value at %.*s in the settings.", (int)pointer.length, pointer.data);
}

/* --- GET ------------------------------------------------------------------------------------------------------------- */

static void serve_get(struct pipit_request *request, void *arg)
{
	struct pipit_settings *settings = arg;
	struct pipit_file_response representation = {
		.content_type = "application/json",
		.modified = -1,
		.coding = PIPIT_CODING_IDENTITY,
		.cache_control = "no-cache",
	};
	struct pipit_json_index_value value;
	struct pipit_slice pointer;
	char bytes[POINTER_MAX];
	unsigned pin;
	bool is_there;

	if (!read_pointer(request, bytes, &pointer))
		return;
	is_there = pipit_json_index_find(pipit_settings_pin(settings, &pin), pointer, &value);
	if (is_there) {
		representation.memory = value.text;
		representation.size = value.text.length;
		representation.etag_length = strlen(value.etag);
		memcpy(representation.etag, value.etag, representation.etag_length);
		pipit_file_response_reply(request, &representation);
	}
	pipit_settings_unpin(settings, pin);
	if (!is_there)
		reply_absent(request, pointer);
}

/* --- changes --------------------------------------------------------------------------------------------------------- */

struct pending {
	struct pipit_settings_change change; /* first */
	struct pipit_request *request;       /* kept */
	char pointer[];
};

static void let_go(struct pending *pending)
{
	pipit_request_release(pending->request);
	free(pending->change.members);
	free(pending);
}

static void reply_outcome(struct pipit_request *request, const struct pipit_settings_change *change)
{
	if (change->etag[0] && (change->status < 300 || change->status == 412))
		pipit_reply_header(request, "ETag", change->etag);
	if (change->status < 300)
		pipit_reply(request, change->status, NULL, NULL, 0);
	else
		pipit_request_reply_problem_with(request, change->status, change->detail,
		    change->members ? pipit_slice_of(change->members) : (struct pipit_slice){ NULL, 0 });
}

/* On the request's worker. */
static void answer(void *arg)
{
	struct pending *pending = arg;
	reply_outcome(pending->request, &pending->change);
	let_go(pending);
}

/* On the store's thread. */
static bool pass_on(struct pipit_settings_change *change)
{
	struct pending *pending = (struct pending *)change;
	const struct pipit_request_pool *pool = pending->request->pool;
	return pool->post_call(pool->worker, answer, pending) == 0;
}

void pipit_settings_http_settle(struct pipit_settings *settings)
{
	struct pipit_settings_change *late = pipit_settings_settle(settings);
	while (late) {
		struct pipit_settings_change *next = late->next;
		let_go((struct pending *)late);
		late = next;
	}
}

static void reply_busy(struct pipit_request *request, const char *why)
{
	pipit_reply_header(request, "Retry-After", "1");
	pipit_reply_problem(request, 503, "%s; try again soon.", why);
}

/* Takes the content. */
static void submit(struct pipit_request *request, struct pipit_settings *settings, enum pipit_settings_verb verb,
    struct pipit_slice pointer, cJSON *content)
{
	struct pending *pending = malloc(sizeof *pending + pointer.length);
	int error = pending ? pipit_request_keep(request) : -ENOMEM;

	if (error == 0) {
		memcpy(pending->pointer, pointer.data, pointer.length);
		pending->request = request;
		pending->change = (struct pipit_settings_change){
			.verb = verb,
			.pointer = { pending->pointer, pointer.length },
			.content = content,
			.content_bytes = request->body.length,
			.head = request->head,
			.done = pass_on,
		};
		error = pipit_settings_submit(settings, &pending->change);
		if (error == 0)
			return;
		reply_busy(request, "Too many changes are waiting");
		pipit_request_release(request);
	} else {
		reply_busy(request, "The server is short of memory");
	}
	cJSON_Delete(content);
	free(pending);
}

/* What is known without looking at the settings. False after a reply. */
static bool may_change(struct pipit_request *request, const struct pipit_settings *settings)
{
	if (!pipit_settings_requires_match(settings) || pipit_guard_find(request->head, "If-Match") ||
	    pipit_guard_find(request->head, "If-None-Match"))
		return true;
	pipit_reply_problem(request, 428,
	    "Say in If-Match which state is to be changed, by the ETag that GET tells, or If-None-Match: * for a new "
	    "value.");
	return false;
}

/* Whether the content is of just this type: with another suffix "+json" it would mean something else. */
static bool is_of_type(struct pipit_request *request, const char *media_type)
{
	const struct pipit_guard_field *field = pipit_guard_find(request->head, "Content-Type");
	struct pipit_slice value;
	if (!field)
		return false;
	value = pipit_guard_slice(request->head, field->value, field->value_length);
	return pipit_slice_equals_nocase(pipit_slice_take_until(&value, ';'), media_type);
}

static void change(struct pipit_request *request, struct pipit_settings *settings, enum pipit_settings_verb verb)
{
	struct pipit_slice pointer;
	char bytes[POINTER_MAX];
	cJSON *content = NULL;

	if (!may_change(request, settings) || !read_pointer(request, bytes, &pointer))
		return;
	if (verb != PIPIT_SETTINGS_REMOVE) {
		content = pipit_request_json(request);
		if (!content)
			return;
	}
	submit(request, settings, verb, pointer, content);
}

static void serve_put(struct pipit_request *request, void *settings)
{
	if (is_of_type(request, "application/json")) {
		change(request, settings, PIPIT_SETTINGS_PUT);
		return;
	}
	pipit_reply_header(request, "Accept", "application/json");
	pipit_reply_problem(request, 415, "The new value must be JSON, and its Content-Type application/json.");
}

static void serve_patch(struct pipit_request *request, void *settings)
{
	if (is_of_type(request, MERGE_TYPE)) {
		change(request, settings, PIPIT_SETTINGS_MERGE);
	} else if (is_of_type(request, PATCH_TYPE)) {
		change(request, settings, PIPIT_SETTINGS_PATCH);
	} else {
		/* RFC 5789 §2.2. */
		pipit_reply_header(request, "Accept-Patch", MERGE_TYPE ", " PATCH_TYPE);
		pipit_reply_problem(request, 415, "A patch must be of Content-Type " MERGE_TYPE " or " PATCH_TYPE ".");
	}
}

static void serve_delete(struct pipit_request *request, void *settings)
{
	change(request, settings, PIPIT_SETTINGS_REMOVE);
}

/* --- the routes, and what they are described as ------------------------------------------------------------------------ */

#define POINTER_PARAMETER                                                                                              \
	"[{\"name\":\"pointer\",\"in\":\"path\",\"description\":\"A JSON Pointer (RFC 6901) without its first slash; " \
	"may hold "                                                                                                    \
	"slashes.\",\"schema\":{\"type\":\"string\"},\"example\":\"network/hostname\"}]"
#define OPERATIONS(example)                                                                                   \
	"{\"" MERGE_TYPE "\":{\"schema\":{},\"example\":" example "},"                                        \
	"\"" PATCH_TYPE                                                                                       \
	"\":{\"schema\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"op\",\"path\"]}}," \
	"\"example\":[{\"op\":\"test\",\"path\":\"\",\"value\":" example "}]}}"
#define CREATED "{\"201\":{\"description\":\"It was not there before.\"}}"
#define NOT_MODIFIED "{\"304\":{\"description\":\"It is what If-None-Match names.\"}}"
#define WHOLE "{\"network\":{\"hostname\":\"camera-1\",\"mtu\":1500}}"

/* Those below first, so that whoever tries all of them in this order deletes the whole last. */
const struct pipit_settings_http_route pipit_settings_http_routes[PIPIT_SETTINGS_HTTP_ROUTES] = {
	{ true, PIPIT_GET, serve_get,
	    { .refuse_body = true,
		.summary = "A value of the settings.",
		.parameters = POINTER_PARAMETER,
		.reply_schema = "{}",
		.replies = NOT_MODIFIED } },
	{ true, PIPIT_PUT, serve_put,
	    { .summary = "Set a value; in an array, its length or \"-\" appends.",
		.parameters = POINTER_PARAMETER,
		.request_schema = "{\"examples\":[\"camera-1\"]}",
		.reply_status = 204,
		.replies = CREATED } },
	{ true, PIPIT_PATCH, serve_patch,
	    { .summary = "Change a value by RFC 7396 or RFC 6902.",
		.parameters = POINTER_PARAMETER,
		.request_content = OPERATIONS("\"camera-2\""),
		.reply_status = 204 } },
	{ true, PIPIT_DELETE, serve_delete,
	    { .refuse_body = true,
		.summary = "Remove a value.",
		.parameters = POINTER_PARAMETER,
		.reply_status = 204 } },
	{ false, PIPIT_GET, serve_get,
	    { .refuse_body = true,
		.summary = "All settings.",
		.reply_schema = "{\"type\":\"object\"}",
		.replies = NOT_MODIFIED } },
	{ false, PIPIT_PUT, serve_put,
	    { .summary = "Replace all settings.",
		.request_schema = "{\"type\":\"object\",\"examples\":[" WHOLE "]}",
		.reply_status = 204 } },
	{ false, PIPIT_PATCH, serve_patch,
	    { .summary = "Change settings by RFC 7396 or RFC 6902.",
		.request_content = OPERATIONS(WHOLE),
		.reply_status = 204 } },
	{ false, PIPIT_DELETE, serve_delete,
	    { .refuse_body = true, .summary = "Remove all settings: {} stays.", .reply_status = 204 } },
};
