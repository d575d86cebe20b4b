/* SPDX-License-Identifier: MIT */
#include "app/openapi.h"

#include "base/bytes.h"
#include "base/methods.h"
#include "base/percent.h"
#include "base/slice.h"
#include "files/file_response.h"
#include "http/response_head.h"
#include "pipit.h"
#include "request/request.h"
#include "json/json.h"
#include "json/json_index.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* below the limit of the printer */
#define DEPTH_MAX 512

struct pipit_openapi {
	char *text;
	size_t length;
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE];
};

struct segment {
	struct pipit_slice text; /* literal, or name without braces and dots; points into the pattern */
	bool is_name;
	bool is_rest; /* {name...} */
};

static bool next_segment(const char **at, struct segment *segment)
{
	struct pipit_slice text = { *at + 1, 0 };

	if (**at != '/')
		return false;
	text.length = strcspn(text.data, "/");
	*at = text.data + text.length;
	*segment = (struct segment){ .text = text };
	if (text.length < 3 || text.data[0] != '{' || text.data[text.length - 1] != '}')
		return true;
	text = (struct pipit_slice){ text.data + 1, text.length - 2 };
	segment->is_name = true;
	segment->is_rest = text.length > 3 && memcmp(text.data + text.length - 3, "...", 3) == 0;
	segment->text = (struct pipit_slice){ text.data, text.length - (segment->is_rest ? 3 : 0) };
	return true;
}

static bool ends_in_rest(const char *pattern)
{
	struct segment segment = { .is_rest = false };
	while (next_segment(&pattern, &segment))
		continue;
	return segment.is_rest;
}

static bool has_name(const char *pattern, const char *name)
{
	struct segment segment;
	while (next_segment(&pattern, &segment)) {
		if (segment.is_name && pipit_slice_equals(segment.text, name))
			return true;
	}
	return false;
}

static bool have_same_shape(const char *one, const char *other)
{
	struct segment left, right;

	while (next_segment(&one, &left)) {
		if (!next_segment(&other, &right) || left.is_name != right.is_name)
			return false;
		if (!left.is_name && !pipit_slice_is_same(left.text, right.text))
			return false;
	}
	return *other == '\0';
}

/* "/files/{rest...}" becomes "/files/{rest}", encoded. */
static char *make_template(const char *pattern)
{
	char *text = malloc(3 * strlen(pattern) + 1), *at = text;
	struct segment segment;

	if (!text)
		return NULL;
	while (next_segment(&pattern, &segment)) {
		*at++ = '/';
		if (segment.is_name)
			at += sprintf(at, "{%.*s}", (int)segment.text.length, segment.text.data);
		else
			at =
			    pipit_percent_encode(at, at + 3 * segment.text.length, segment.text, PIPIT_PERCENT_SEGMENT);
	}
	*at = '\0';
	return text;
}

static int read_json(const char *text, cJSON **doc, struct pipit_json_error *error)
{
	static const struct pipit_json_limits limits = { DEPTH_MAX, 0 };
	return pipit_json_parse(text, strlen(text), &limits, doc, error);
}

static bool is_one_of(const char *text, const char *const *words)
{
	while (*words && strcmp(text, *words) != 0)
		words++;
	return *words;
}

/* NULL: valid. */
static const char *check_parameter(const cJSON *parameter, const char *pattern)
{
	static const char *const places[] = { "path", "query", "header", "cookie", NULL };
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parameter, "name"));
	const char *in = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parameter, "in"));

	if (!cJSON_IsObject(parameter) || !name || !in || !*name)
		return "each parameter must be an object with the strings \"name\" and \"in\"";
	if (!is_one_of(in, places))
		return "\"in\" must be \"query\", \"header\", \"cookie\" or \"path\"";
	if (strcmp(in, "path") == 0 && !has_name(pattern, name))
		return "a parameter in \"path\" must have a name of the pattern";
	return NULL;
}

static const char *check_parameters(const cJSON *doc, const char *pattern)
{
	const cJSON *parameter;
	const char *fault = NULL;

	if (!cJSON_IsArray(doc))
		return "must be an array of Parameter Objects";
	cJSON_ArrayForEach(parameter, doc)
	{
		if (!fault)
			fault = check_parameter(parameter, pattern);
	}
	return fault;
}

static const char *check_schema(const cJSON *doc, const char *pattern)
{
	(void)pattern;
	return cJSON_IsObject(doc) || cJSON_IsBool(doc) ? NULL : "must be an object, true or false";
}

static const char *check_map(const cJSON *doc, const char *pattern)
{
	const cJSON *member;
	bool is_map = cJSON_IsObject(doc);
	(void)pattern;

	cJSON_ArrayForEach(member, doc) is_map &= cJSON_IsObject(member);
	return is_map ? NULL : "must be an object whose members are objects";
}

struct json_option {
	const char *name, *text;
	const char *(*check)(const cJSON *doc, const char *pattern);
};

static int check_json(const struct json_option *option, const char *pattern, char *error, size_t size)
{
	struct pipit_json_error where;
	cJSON *doc;
	const char *fault;
	int result = read_json(option->text, &doc, &where);

	if (result == -EINVAL)
		snprintf(
		    error, size, "%s, line %zu, column %zu: %s", option->name, where.line, where.column, where.message);
	if (result != 0)
		return result;
	fault = option->check(doc, pattern);
	if (fault)
		snprintf(error, size, "%s: %s", option->name, fault);
	cJSON_Delete(doc);
	return fault ? -EINVAL : 0;
}

static bool is_text(const char *text)
{
	return !text || pipit_is_utf8(text, strlen(text));
}

int pipit_openapi_check(const char *pattern, const struct pipit_route_options *options, char *error, size_t size)
{
	const struct json_option texts[] = {
		{ "parameters", options->parameters, check_parameters },
		{ "request_schema", options->request_schema, check_schema },
		{ "request_content", options->request_content, check_map },
		{ "reply_schema", options->reply_schema, check_schema },
		{ "replies", options->replies, check_map },
	};
	int result = 0;

	if (options->reply_status != 0 && (options->reply_status < 200 || options->reply_status > 599)) {
		snprintf(error, size, "reply_status: %d is not a status; use 200 to 599, or 0 for 200",
		    options->reply_status);
		return -EINVAL;
	}
	if (!is_text(options->summary) || !is_text(options->request_type) || !is_text(options->reply_type)) {
		snprintf(error, size, "summary, request_type and reply_type must be UTF-8");
		return -EINVAL;
	}
	for (size_t i = 0; result == 0 && i < sizeof texts / sizeof *texts; i++) {
		if (texts[i].text)
			result = check_json(&texts[i], pattern, error, size);
	}
	return result;
}

/* RFC 9110 §9.3 */
#define METHODS_WITH_CONTENT (PIPIT_POST | PIPIT_PUT | PIPIT_PATCH)

struct document {
	const struct pipit_route **routes; /* not hidden, oldest first */
	size_t count;
	cJSON **paths;    /* Path Item Objects by route; routes of one shape share one */
	const char **ids; /* point into the document */
	size_t id_count;
	bool is_out_of_memory;
};

static cJSON *note(struct document *document, cJSON *item)
{
	document->is_out_of_memory |= !item;
	return item;
}

static cJSON *add_object(struct document *document, cJSON *parent, const char *name)
{
	return note(document, cJSON_AddObjectToObject(parent, name));
}

static void add_text(struct document *document, cJSON *parent, const char *name, const char *text)
{
	note(document, cJSON_AddStringToObject(parent, name, text));
}

static void add_json(struct document *document, cJSON *parent, const char *name, const char *json)
{
	note(document, cJSON_AddRawToObject(parent, name, json));
}

static cJSON *read_checked(struct document *document, const char *text)
{
	struct pipit_json_error error;
	cJSON *doc = NULL;

	if (text && read_json(text, &doc, &error) != 0)
		document->is_out_of_memory = true;
	return doc;
}

static void take_members(struct document *document, cJSON *to, cJSON *from)
{
	cJSON *member;

	while (from && (member = cJSON_DetachItemViaPointer(from, from->child))) {
		cJSON_DeleteItemFromObjectCaseSensitive(to, member->string);
		if (cJSON_AddItemToObject(to, member->string, member))
			continue;
		cJSON_Delete(member);
		document->is_out_of_memory = true;
	}
}

/* "get" and "/hello/{name}" become "getHelloName", then `number` unless 0. */
static char *make_id(const char *method, const char *pattern, size_t number)
{
	size_t size = strlen(method) + strlen(pattern) + sizeof "18446744073709551615";
	char *text = malloc(size), *at = text;
	bool is_first = true;

	if (!text)
		return NULL;
	at += sprintf(at, "%s", method);
	for (; *pattern; pattern++) {
		if (pipit_bytes_is_letter(*pattern) || pipit_bytes_is_digit(*pattern))
			*at++ = (char)(is_first && *pattern >= 'a' ? *pattern - 'a' + 'A' : *pattern);
		is_first = !pipit_bytes_is_letter(*pattern) && !pipit_bytes_is_digit(*pattern);
	}
	if (number)
		at += sprintf(at, "%zu", number);
	*at = '\0';
	return text;
}

static bool has_id(const struct document *document, const char *id)
{
	for (size_t i = 0; i < document->id_count; i++) {
		if (strcmp(document->ids[i], id) == 0)
			return true;
	}
	return false;
}

static void add_id(struct document *document, cJSON *operation, const char *method, const char *pattern)
{
	char *id = make_id(method, pattern, 0);
	cJSON *item;

	for (size_t number = 2; id && has_id(document, id); number++) {
		free(id);
		id = make_id(method, pattern, number);
	}
	item = note(document, id ? cJSON_AddStringToObject(operation, "operationId", id) : NULL);
	if (item)
		document->ids[document->id_count++] = item->valuestring;
	free(id);
}

/* Takes the item. */
static void add_item(struct document *document, cJSON *array, cJSON *item)
{
	if (cJSON_AddItemToArray(array, item))
		return;
	cJSON_Delete(item);
	document->is_out_of_memory = true;
}

static cJSON *take_given(cJSON *given, struct pipit_slice name)
{
	cJSON *parameter;

	cJSON_ArrayForEach(parameter, given)
	{
		const cJSON *in = cJSON_GetObjectItemCaseSensitive(parameter, "in");
		const cJSON *called = cJSON_GetObjectItemCaseSensitive(parameter, "name");
		if (strcmp(in->valuestring, "path") == 0 && pipit_slice_equals(name, called->valuestring))
			return cJSON_DetachItemViaPointer(given, parameter);
	}
	return NULL;
}

static cJSON *describe_name(
    struct document *document, const struct segment *segment, struct pipit_slice name, cJSON *given)
{
	static const char *const fixed[] = { "name", "in", "required" };
	cJSON *parameter = note(document, cJSON_CreateObject());
	char *text = strndup(name.data, name.length);

	note(document, text ? cJSON_AddStringToObject(parameter, "name", text) : NULL);
	free(text);
	add_text(document, parameter, "in", "path");
	note(document, cJSON_AddTrueToObject(parameter, "required"));
	if (segment->is_rest)
		add_text(document, parameter, "description",
		    "The rest of the path. It may contain slashes, not encoded, and may be empty.");
	add_json(document, parameter, "schema",
	    segment->is_rest ? "{\"type\":\"string\"}" : "{\"type\":\"string\",\"minLength\":1}");
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		cJSON_DeleteItemFromObjectCaseSensitive(given, fixed[i]);
	take_members(document, parameter, given);
	return parameter;
}

static void add_parameters(
    struct document *document, cJSON *operation, const struct pipit_route *route, const char *names)
{
	cJSON *parameters = note(document, cJSON_CreateArray());
	cJSON *given = read_checked(document, route->options.parameters), *parameter;
	const char *pattern = route->pattern;
	struct segment segment, named;

	while (next_segment(&pattern, &segment) && next_segment(&names, &named)) {
		cJSON *own;
		if (!segment.is_name)
			continue;
		own = take_given(given, segment.text);
		add_item(document, parameters, describe_name(document, &segment, named.text, own));
		cJSON_Delete(own);
	}
	while (given && (parameter = cJSON_DetachItemViaPointer(given, given->child)))
		add_item(document, parameters, parameter);
	cJSON_Delete(given);
	if (parameters && parameters->child && cJSON_AddItemToObject(operation, "parameters", parameters))
		return;
	document->is_out_of_memory |= parameters && parameters->child;
	cJSON_Delete(parameters);
}

static void add_media_type(struct document *document, cJSON *content, struct pipit_slice type, const char *schema)
{
	char *name = strndup(type.data, type.length);
	cJSON *media = note(document, name ? cJSON_AddObjectToObject(content, name) : NULL);
	if (schema)
		add_json(document, media, "schema", schema);
	free(name);
}

/* types: separated by commas; NULL: JSON. */
static void add_content(struct document *document, cJSON *parent, const char *types, const char *schema)
{
	cJSON *content = add_object(document, parent, "content");
	const char *at = types ? types : "application/json";

	while (*at) {
		size_t length = strcspn(at, ",");
		struct pipit_slice type = pipit_slice_trim((struct pipit_slice){ at, length });
		if (type.length)
			add_media_type(document, content, type, schema);
		at += length + (at[length] == ',');
	}
}

static void add_request(struct document *document, cJSON *operation, const struct pipit_route_options *options)
{
	cJSON *request;

	if (!options->request_content && !options->request_type && !options->request_schema)
		return;
	request = add_object(document, operation, "requestBody");
	note(document, cJSON_AddTrueToObject(request, "required"));
	if (options->request_content)
		add_json(document, request, "content", options->request_content);
	else
		add_content(document, request, options->request_type, options->request_schema);
}

static void add_replies(
    struct document *document, cJSON *operation, const struct pipit_route_options *options, bool has_content)
{
	int status = options->reply_status ? options->reply_status : 200;
	cJSON *replies = add_object(document, operation, "responses"), *reply, *given;
	char name[16];

	snprintf(name, sizeof name, "%d", status);
	reply = add_object(document, replies, name);
	add_text(document, reply, "description", pipit_response_head_phrase(status));
	if (has_content && (options->reply_type || options->reply_schema))
		add_content(document, reply, options->reply_type, options->reply_schema);
	add_json(document, replies, "default", "{\"$ref\":\"#/components/responses/Problem\"}");
	given = read_checked(document, options->replies);
	take_members(document, replies, given);
	cJSON_Delete(given);
}

/* Without HEAD and OPTIONS, which pipit answers. */
static unsigned described_methods(const struct pipit_route *route)
{
	unsigned own = PIPIT_HEAD | PIPIT_OPTIONS;
	return route->methods & PIPIT_GET ? route->methods & ~own : route->methods;
}

static size_t find_first(const struct document *document, const struct pipit_route *route)
{
	size_t i = 0;
	while (!have_same_shape(document->routes[i]->pattern, route->pattern))
		i++;
	return i;
}

/*
 * OpenAPI has one operation for "/a/{x}" and "/a/{y...}" with one method: the narrower one. Returns the other route, or
 * NULL.
 */
static const struct pipit_route *find_alternative(
    const struct document *document, const struct pipit_route *route, unsigned method)
{
	bool is_rest = ends_in_rest(route->pattern);

	for (size_t i = 0; i < document->count; i++) {
		const struct pipit_route *other = document->routes[i];
		if ((described_methods(other) & method) && have_same_shape(other->pattern, route->pattern) &&
		    ends_in_rest(other->pattern) != is_rest)
			return other;
	}
	return NULL;
}

static void describe_alternative(struct document *document, cJSON *operation, const struct pipit_route *alternative)
{
	char text[256];
	int length = snprintf(text, sizeof text, "If the last segment is empty or contains slashes: ");
	const char *summary = alternative->options.summary;

	/* a cut summary might not be UTF-8 */
	snprintf(text + length, sizeof text - (size_t)length, "%s",
	    summary && strlen(summary) < sizeof text - (size_t)length ? summary : "another handler.");
	add_text(document, operation, "description", text);
}

static void lower(const char *method, char name[8])
{
	while ((*name++ = (char)tolower(*method++)))
		continue;
}

static void add_operation(
    struct document *document, const struct pipit_route *route, size_t first, const struct pipit_methods_entry *method)
{
	const struct pipit_route_options *options = &route->options;
	const struct pipit_route *alternative = find_alternative(document, route, method->bit);
	char name[8];
	cJSON *operation;

	if (alternative && ends_in_rest(route->pattern))
		return;
	lower(method->name, name);
	operation = add_object(document, document->paths[first], name);
	add_id(document, operation, name, route->pattern);
	if (options->summary)
		add_text(document, operation, "summary", options->summary);
	if (alternative)
		describe_alternative(document, operation, alternative);
	add_parameters(document, operation, route, document->routes[first]->pattern);
	if ((method->bit & METHODS_WITH_CONTENT) && !options->refuse_body)
		add_request(document, operation, options);
	add_replies(document, operation, options, method->bit != PIPIT_HEAD);
}

static void add_route(struct document *document, cJSON *paths, size_t number)
{
	const struct pipit_route *route = document->routes[number];
	size_t first = find_first(document, route);

	if (first == number) {
		char *name = make_template(route->pattern);
		document->paths[number] = note(document, name ? cJSON_AddObjectToObject(paths, name) : NULL);
		free(name);
	}
	for (size_t i = 0; i < PIPIT_METHODS_COUNT; i++) {
		if (described_methods(route) & pipit_methods_table[i].bit)
			add_operation(document, route, first, &pipit_methods_table[i]);
	}
}

static const char components[] =
    "{\"responses\":{\"Problem\":{\"description\":\"The error, and what would be right.\",\"content\":{"
    "\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}},"
    "\"text/html\":{\"schema\":{\"type\":\"string\",\"description\":\"For clients that prefer it.\"}}}}},"
    "\"schemas\":{\"Problem\":{\"description\":\"A problem document (RFC 9457).\",\"type\":\"object\","
    "\"required\":[\"type\",\"title\",\"status\"],\"properties\":{\"type\":{\"type\":\"string\"},"
    "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\",\"minimum\":400,\"maximum\":599},"
    "\"detail\":{\"type\":\"string\"},\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"detail\"],\"properties\":{\"detail\":{\"type\":\"string\"},\"pointer\":{\"type\":\"string\"}}}}}}}"
    "}";

static void fill(struct document *document, cJSON *root, const char *title, const char *version)
{
	cJSON *info, *paths;

	add_text(document, root, "openapi", "3.1.0");
	info = add_object(document, root, "info");
	add_text(document, info, "title", title ? title : "pipit");
	add_text(document, info, "version", version);
	paths = add_object(document, root, "paths");
	for (size_t i = 0; i < document->count; i++)
		add_route(document, paths, i);
	add_json(document, root, "components", components);
}

static bool is_described(const struct pipit_route *route, bool is_public)
{
	return !route->options.is_hidden && !(is_public && route->options.admin_only);
}

static int collect(struct document *document, const struct pipit_route *routes, bool is_public)
{
	size_t at;

	for (const struct pipit_route *route = routes; route; route = route->next)
		document->count += is_described(route, is_public);
	at = document->count;
	/* calloc(0) may return NULL */
	document->routes = calloc(at + 1, sizeof *document->routes);
	document->paths = calloc(at + 1, sizeof *document->paths);
	document->ids = calloc((at + 1) * PIPIT_METHODS_COUNT, sizeof *document->ids);
	if (!document->routes || !document->paths || !document->ids)
		return -ENOMEM;
	for (const struct pipit_route *route = routes; route; route = route->next) {
		if (is_described(route, is_public))
			document->routes[--at] = route;
	}
	return 0;
}

int pipit_openapi_render(const struct pipit_route *routes, bool is_public, const char *title, const char *version,
    char **text, size_t *length)
{
	struct document document = { 0 };
	cJSON *root;
	int result;

	if (!is_text(title))
		return -EINVAL;
	root = cJSON_CreateObject();
	result = root ? collect(&document, routes, is_public) : -ENOMEM;
	if (result == 0)
		fill(&document, root, title, version);
	if (document.is_out_of_memory)
		result = -ENOMEM;
	if (result == 0)
		result = pipit_printer_text(root, text, length);
	cJSON_Delete(root);
	free(document.routes);
	free(document.paths);
	free(document.ids);
	return result;
}

int pipit_openapi_new(const struct pipit_route *routes, bool is_public, const char *title, const char *version,
    struct pipit_openapi **openapi)
{
	struct pipit_openapi *made = calloc(1, sizeof *made);
	int result =
	    made ? pipit_openapi_render(routes, is_public, title, version, &made->text, &made->length) : -ENOMEM;

	if (result != 0) {
		free(made);
		return result;
	}
	pipit_json_index_etag((struct pipit_slice){ made->text, made->length }, made->etag);
	*openapi = made;
	return 0;
}

void pipit_openapi_free(struct pipit_openapi *openapi)
{
	if (!openapi)
		return;
	free(openapi->text);
	free(openapi);
}

void pipit_openapi_serve(const struct pipit_openapi *openapi, struct pipit_request *request)
{
	struct pipit_file_response response = {
		.content_type = "application/json",
		.etag_length = strlen(openapi->etag),
		.modified = PIPIT_DATE_NONE,
		.memory = { openapi->text, openapi->length },
		.size = openapi->length,
		.coding = PIPIT_CODING_IDENTITY,
		.cache_control = "no-cache",
	};

	memcpy(response.etag, openapi->etag, response.etag_length);
	pipit_file_response_reply(request, &response);
}
