/* SPDX-License-Identifier: MIT */
/* The writer thread posts the outcome of a change to the worker. */
#include "settings/settings_http.h"

#include "base/percent.h"
#include "files/file_response.h"
#include "http/content_coding.h"
#include "request/request.h"
#include "settings/settings.h"
#include "json/pointer.h"

#include <errno.h>
#include <stdlib.h>

/* decoded */
#define POINTER_MAX 4096

#define MERGE_TYPE "application/merge-patch+json"
#define PATCH_TYPE "application/json-patch+json"

static bool is_below(const struct pipit_route *route)
{
	static const char end[] = PIPIT_SETTINGS_HTTP_BELOW;
	size_t length = strlen(route->pattern);
	return length >= sizeof end && strcmp(route->pattern + length - (sizeof end - 1), end) == 0;
}

static bool is_plain(struct pipit_slice encoded)
{
	return !memchr(encoded.data, '%', encoded.length) && !memchr(encoded.data, '~', encoded.length);
}

/* The guard has checked the escapes. */
static size_t decoded_length(struct pipit_slice encoded)
{
	size_t length = encoded.length;
	for (size_t i = 0; i < encoded.length; i++)
		length -= encoded.data[i] == '%' ? 2 : 0;
	return length;
}

static bool decode_pointer(
    struct pipit_request *request, struct pipit_slice encoded, char bytes[POINTER_MAX], struct pipit_slice *pointer)
{
	bytes[0] = '/';
	*pointer = (struct pipit_slice){ bytes, 1 + pipit_percent_decode(encoded, bytes + 1) };
	if (pipit_is_utf8(bytes, pointer->length) && !memchr(bytes, '\0', pointer->length) &&
	    pipit_pointer_is_valid(*pointer))
		return true;
	pipit_reply_problem(
	    request, 400, "The path is not a JSON Pointer: expected UTF-8, with ~0 for '~' and ~1 for '/' in a name.");
	return false;
}

/* RFC 6901 §6: "%2F" is a slash, "~1" a slash in a name. *pointer: in `bytes`. False after a reply. */
static bool read_pointer(struct pipit_request *request, char bytes[POINTER_MAX], struct pipit_slice *pointer)
{
	size_t count = request->match.parameter_count;
	struct pipit_slice encoded;

	*pointer = (struct pipit_slice){ bytes, 0 };
	if (count == 0 || !is_below(request->route))
		return true;
	encoded = request->match.parameters[count - 1];
	if (1 + decoded_length(encoded) > POINTER_MAX) {
		pipit_reply_problem(request, 414, "A pointer has at most %d bytes.", POINTER_MAX);
		return false;
	}
	if (!is_plain(encoded))
		return decode_pointer(request, encoded, bytes, pointer);
	*pointer = (struct pipit_slice){ encoded.data - 1, encoded.length + 1 };
	return true;
}

static void reply_not_found(struct pipit_request *request, struct pipit_slice pointer)
{
	pipit_reply_problem(
	    request, 404, "There is no value at %.*s in the settings.", (int)pointer.length, pointer.data);
}

static void serve_get(struct pipit_request *request, void *arg)
{
	struct pipit_settings *settings = arg;
	struct pipit_file_response representation = {
		.content_type = "application/json",
		.modified = PIPIT_DATE_NONE,
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
		reply_not_found(request, pointer);
}

struct pending {
	struct pipit_change change;    /* first: `done` casts it back */
	struct pipit_request *request; /* kept until the reply */
	char pointer[];
};

static void free_pending(struct pending *pending)
{
	pipit_request_release(pending->request);
	free(pending->change.members);
	free(pending);
}

static void reply_outcome(struct pipit_request *request, const struct pipit_change *change)
{
	if (change->etag[0] && (change->status < 300 || change->status == 412))
		pipit_reply_header(request, "ETag", change->etag);
	/* a change that is made is not answered with 503: the ETag is left out */
	if (change->status < 300)
		request->is_out_of_memory = false;
	if (change->status < 300)
		pipit_reply(request, change->status, NULL, NULL, 0);
	else
		pipit_request_reply_problem_with(request, change->status, change->detail,
		    change->members ? pipit_slice_of(change->members) : (struct pipit_slice){ NULL, 0 });
}

static void reply_pending(void *arg)
{
	struct pending *pending = arg;
	reply_outcome(pending->request, &pending->change);
	free_pending(pending);
}

/* On the writer thread. */
static bool post_reply(struct pipit_change *change)
{
	struct pending *pending = (struct pending *)change;
	const struct pipit_request_pool *pool = pending->request->pool;
	return pool->post_call(pool->worker, reply_pending, pending) == 0;
}

void pipit_settings_http_settle(struct pipit_settings *settings, const struct pipit_server *server)
{
	struct pipit_change *unreported = pipit_settings_settle(settings, server);
	while (unreported) {
		struct pipit_change *next = unreported->next;
		free_pending((struct pending *)unreported);
		unreported = next;
	}
}

static void reply_busy(struct pipit_request *request, const char *why)
{
	pipit_reply_header(request, "Retry-After", "1");
	pipit_reply_problem(request, 503, "%s; try again soon.", why);
}

static void submit(struct pipit_request *request, struct pipit_settings *settings, enum pipit_change_kind kind,
    struct pipit_slice pointer)
{
	struct pending *pending = malloc(sizeof *pending + pointer.length);
	int error = pending ? pipit_request_keep(request) : -ENOMEM;

	if (error == 0) {
		memcpy(pending->pointer, pointer.data, pointer.length);
		pending->request = request;
		pending->change = (struct pipit_change){
			.kind = kind,
			.pointer = { pending->pointer, pointer.length },
			.content = request->body,
			.content_limits = pipit_request_json_limits(request),
			.head = request->head,
			.owner = request->pool->server,
			.done = post_reply,
		};
		error = pipit_settings_submit(settings, &pending->change);
		if (error == 0)
			return;
		reply_busy(request, "Too many changes are waiting");
		pipit_request_release(request);
	} else {
		reply_busy(request, "The server is short of memory");
	}
	free(pending);
}

static bool has_required_match(struct pipit_request *request, const struct pipit_settings *settings)
{
	if (!pipit_settings_requires_match(settings) || pipit_guard_find(request->head, "If-Match") ||
	    pipit_guard_find(request->head, "If-None-Match"))
		return true;
	pipit_reply_problem(
	    request, 428, "A change needs If-Match with the ETag from GET, or If-None-Match: * for a new value.");
	return false;
}

/* Exact, because "+json" types differ in meaning. */
static bool is_of_type(struct pipit_request *request, const char *media_type)
{
	const struct pipit_guard_field *field = pipit_guard_find(request->head, "Content-Type");
	struct pipit_slice value;
	if (!field)
		return false;
	value = pipit_guard_slice(request->head, field->value, field->value_length);
	return pipit_slice_equals_nocase(pipit_slice_take_until(&value, ';'), media_type);
}

static void change(struct pipit_request *request, struct pipit_settings *settings, enum pipit_change_kind kind)
{
	struct pipit_slice pointer;
	char bytes[POINTER_MAX];

	if (!has_required_match(request, settings) || !read_pointer(request, bytes, &pointer))
		return;
	if (kind == PIPIT_CHANGE_REMOVE || pipit_request_check_json(request))
		submit(request, settings, kind, pointer);
}

static void serve_put(struct pipit_request *request, void *settings)
{
	if (is_of_type(request, "application/json")) {
		change(request, settings, PIPIT_CHANGE_PUT);
		return;
	}
	pipit_reply_header(request, "Accept", "application/json");
	pipit_reply_problem(request, 415, "The new value must be JSON, and its Content-Type application/json.");
}

static void serve_patch(struct pipit_request *request, void *settings)
{
	if (is_of_type(request, MERGE_TYPE)) {
		change(request, settings, PIPIT_CHANGE_MERGE);
	} else if (is_of_type(request, PATCH_TYPE)) {
		change(request, settings, PIPIT_CHANGE_PATCH);
	} else {
		/* RFC 5789 §2.2 */
		pipit_reply_header(request, "Accept-Patch", MERGE_TYPE ", " PATCH_TYPE);
		pipit_reply_problem(request, 415, "A patch must be of Content-Type " MERGE_TYPE " or " PATCH_TYPE ".");
	}
}

static void serve_delete(struct pipit_request *request, void *settings)
{
	change(request, settings, PIPIT_CHANGE_REMOVE);
}

#define POINTER_PARAMETER                                                                                              \
	"[{\"name\":\"pointer\",\"in\":\"path\",\"description\":\"A JSON Pointer (RFC 6901) without its first slash; " \
	"may contain slashes.\",\"schema\":{\"type\":\"string\"},\"example\":\"network/hostname\"}]"
#define OPERATIONS(example)                                                                                   \
	"{\"" MERGE_TYPE "\":{\"schema\":{},\"example\":" example "},"                                        \
	"\"" PATCH_TYPE                                                                                       \
	"\":{\"schema\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"op\",\"path\"]}}," \
	"\"example\":[{\"op\":\"test\",\"path\":\"\",\"value\":" example "}]}}"
#define CREATED "{\"201\":{\"description\":\"The value is new.\"}}"
#define NOT_MODIFIED "{\"304\":{\"description\":\"The value matches If-None-Match.\"}}"
#define WHOLE "{\"network\":{\"hostname\":\"camera-1\",\"mtu\":1500}}"

/* In an order that deletes the whole document last, for clients that try all routes. */
const struct pipit_settings_http_route pipit_settings_http_routes[PIPIT_SETTINGS_HTTP_ROUTES] = {
	{ true, PIPIT_GET, serve_get,
	    { .refuse_body = true,
		.summary = "A value of the settings.",
		.parameters = POINTER_PARAMETER,
		.reply_schema = "{}",
		.replies = NOT_MODIFIED } },
	{ true, PIPIT_PUT, serve_put,
	    { .summary = "Set a value; in an array, the length or \"-\" appends.",
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
	    { .refuse_body = true, .summary = "Remove all settings; the document becomes {}.", .reply_status = 204 } },
};
