/* SPDX-License-Identifier: MIT */
#include "request/request.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/methods.h"
#include "base/percent.h"
#include "http/accept_header.h"
#include "http/content_coding.h"
#include "http/content_type.h"
#include "http/response_head.h"
#include "net/limits.h"
#include "request/problem.h"
#include "json/json.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A string, or data of pipit_request_set_data(). */
struct memory {
	struct memory *next;
	const void *key; /* NULL: a string */
	void *data;
	void (*release)(void *); /* NULL: none */
	char bytes[];
};

/* --- life --------------------------------------------------------------------------------------------------------- */

struct pipit_request *pipit_request_new(
    struct pipit_request_pool *pool, struct pipit_connection *connection, const struct pipit_guard_head *head)
{
	struct pipit_request *request = pool->free;
	if (request)
		pool->free = request->next_free;
	else
		request = malloc(sizeof *request);
	if (!request)
		return NULL;
	memset(request, 0, offsetof(struct pipit_request, pool));
	request->id[0] = request->peer[0] = '\0';
	request->match.parameter_count = 0;
	request->pool = pool;
	request->connection = connection;
	request->route = NULL;
	request->head = head;
	request->body = (struct pipit_slice){ "", 0 };
	request->id_number = pool->id_count++;
	return request;
}

static void free_owned(struct pipit_request *request)
{
	if (request->retained && request->charged)
		pipit_limits_release_bytes(request->pool->limits, PIPIT_LIMITS_OTHER, request->charged);
	while (request->memory) {
		struct memory *next = request->memory->next;
		if (request->memory->release)
			request->memory->release(request->memory->data);
		free(request->memory);
		request->memory = next;
	}
	free(request->retained);
	free(request->owned_body);
	free(request->fields);
}

static void free_request(struct pipit_request *request)
{
	if (request->memory || request->retained || request->owned_body || request->fields)
		free_owned(request);
	request->next_free = request->pool->free;
	request->pool->free = request;
}

void pipit_request_pool_clear(struct pipit_request_pool *pool)
{
	while (pool->free) {
		struct pipit_request *next = pool->free->next_free;
		free(pool->free);
		pool->free = next;
	}
}

static const union pipit_client_address *find_client(struct pipit_request *request);

/* What a kept request owns was charged to its connection, which no longer counts it. */
static void charge(struct pipit_request *request)
{
	if (!request->retained)
		return;
	request->charged = request->head->length + (request->owned_body ? request->body.length : 0);
	pipit_limits_add_bytes(request->pool->limits, PIPIT_LIMITS_OTHER, request->charged);
}

void pipit_request_detach(struct pipit_request *request)
{
	/* for pipit_request_client() of a kept request */
	if (request->keep_count)
		find_client(request);
	request->connection = NULL;
	/* the callback may release the request */
	request->keep_count++;
	pipit_request_abandon(request);
	if (--request->keep_count > 0)
		charge(request);
	else if (!request->in_handler)
		free_request(request);
}

void pipit_request_abandon(struct pipit_request *request)
{
	void (*callback)(struct pipit_request *, void *) = request->on_abort;
	request->on_abort = NULL;
	if (callback && !request->replied)
		callback(request, request->on_abort_arg);
}

/* One block: the used part of the struct, then the bytes. */
int pipit_request_retain(struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	size_t struct_size = offsetof(struct pipit_guard_head, fields) + head->field_count * sizeof head->fields[0];
	struct pipit_guard_head *copy;
	char *bytes;

	if (request->retained)
		return 0;
	copy = malloc(struct_size + head->length);
	if (!copy)
		return -ENOMEM;
	bytes = (char *)copy + struct_size;
	memcpy(copy, head, struct_size);
	memcpy(bytes, head->bytes, head->length);
	copy->bytes = bytes;
	for (size_t i = 0; i < request->match.parameter_count; i++)
		request->match.parameters[i].data = bytes + (request->match.parameters[i].data - head->bytes);
	request->head = request->retained = copy;
	request->charged = 0;
	return 0;
}

/* Takes a collected body, or copies one in flat memory. */
static int keep_body(struct pipit_request *request)
{
	struct pipit_slice body = request->body;
	if (request->owned_body)
		return 0;
	/* the NUL behind it is temporary */
	if (body.length == 0) {
		request->body.data = "";
		return 0;
	}
	request->owned_body = pipit_connection_take_body(request->connection);
	if (request->owned_body)
		return 0;
	request->owned_body = malloc(body.length + 1);
	if (!request->owned_body)
		return -ENOMEM;
	memcpy(request->owned_body, body.data, body.length);
	request->owned_body[body.length] = '\0';
	request->body.data = request->owned_body;
	return 0;
}

int pipit_request_keep(struct pipit_request *request)
{
	if (request->connection && (pipit_request_retain(request) != 0 || keep_body(request) != 0))
		return -ENOMEM;
	request->keep_count++;
	return 0;
}

void pipit_request_release(struct pipit_request *request)
{
	if (--request->keep_count > 0 || request->in_handler)
		return;
	if (request->connection && !request->replied) {
		/* freed with the connection */
		if (pipit_http1_give_up(request->connection))
			return;
		request->keep_count = 1;
		pipit_request_reply_fault(request, "a request was released without a reply");
		request->keep_count = 0;
	}
	if (!request->connection)
		free_request(request);
}

bool pipit_request_is_gone(const struct pipit_request *request)
{
	return !request->connection || request->replied;
}

void pipit_request_on_abort(struct pipit_request *request, void (*callback)(struct pipit_request *, void *), void *arg)
{
	request->on_abort = callback;
	request->on_abort_arg = arg;
}

int pipit_request_post(struct pipit_request *request, void (*function)(struct pipit_request *, void *), void *arg)
{
	return request->pool->post(request->pool->worker, request, function, arg);
}

static char *remember(struct pipit_request *request, struct pipit_slice text)
{
	struct memory *memory = malloc(sizeof *memory + text.length + 1);
	if (!memory) {
		request->is_out_of_memory = true;
		return NULL;
	}
	*memory = (struct memory){ .next = request->memory };
	request->memory = memory;
	memcpy(memory->bytes, text.data, text.length);
	memory->bytes[text.length] = '\0';
	return memory->bytes;
}

static struct memory *find_data(const struct pipit_request *request, const void *key)
{
	struct memory *memory = request->memory;
	while (memory && memory->key != key)
		memory = memory->next;
	return key ? memory : NULL;
}

int pipit_request_set_data(struct pipit_request *request, const void *key, void *data, void (*release)(void *data))
{
	struct memory *memory;

	if (!key)
		return -EINVAL;
	memory = find_data(request, key);
	if (memory) {
		if (memory->release)
			memory->release(memory->data);
	} else {
		memory = malloc(sizeof *memory);
		if (!memory)
			return -ENOMEM;
		memory->next = request->memory;
		request->memory = memory;
	}
	memory->key = key;
	memory->data = data;
	memory->release = release;
	return 0;
}

void *pipit_request_data(const struct pipit_request *request, const void *key)
{
	const struct memory *memory = find_data(request, key);
	return memory ? memory->data : NULL;
}

static const char user_key;

const char *pipit_request_user(const struct pipit_request *request)
{
	return pipit_request_data(request, &user_key);
}

int pipit_request_set_user(struct pipit_request *request, const char *name)
{
	char *copy = name ? strdup(name) : NULL;
	int error = name && !copy ? -ENOMEM : pipit_request_set_data(request, &user_key, copy, free);
	if (error != 0)
		free(copy);
	return error;
}

enum pipit_method pipit_request_method(const struct pipit_request *request)
{
	return (enum pipit_method)request->head->method;
}

const char *pipit_request_method_name(const struct pipit_request *request)
{
	return pipit_methods_name(request->head->method);
}

const char *pipit_request_path(struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	if (!request->path)
		request->path = remember(request, pipit_guard_slice(head, head->path, head->path_length));
	return request->path ? request->path : "/";
}

const char *pipit_request_query(struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	if (!request->query && head->query)
		request->query = remember(request, pipit_guard_slice(head, head->query, head->query_length));
	return request->query;
}

/* Invalid escapes are literal (URL Standard, §5.1). */
static char take_form_byte(const char **at, const char *end)
{
	if (**at != '+')
		return (char)pipit_percent_take(at, end);
	*at += 1;
	return ' ';
}

static bool decodes_to(const char *at, const char *end, const char *name)
{
	while (at < end && *name) {
		if (take_form_byte(&at, end) != *name++)
			return false;
	}
	return at == end && *name == '\0';
}

static long form_value(struct pipit_slice form, const char *name, char *value, size_t size)
{
	const char *at = form.data, *end = form.data + form.length;

	while (at < end) {
		const char *pair_end = memchr(at, '&', (size_t)(end - at)), *equals;
		long length = 0;
		if (!pair_end)
			pair_end = end;
		equals = memchr(at, '=', (size_t)(pair_end - at));
		if (!equals)
			equals = pair_end;
		if (!decodes_to(at, equals, name)) {
			at = pair_end + 1;
			continue;
		}
		for (at = equals < pair_end ? equals + 1 : pair_end; at < pair_end; length++) {
			char decoded = take_form_byte(&at, pair_end);
			if ((size_t)length + 1 < size)
				value[length] = decoded;
		}
		value[(size_t)length < size ? (size_t)length : size - 1] = '\0';
		return length;
	}
	return -1;
}

long pipit_request_query_value(struct pipit_request *request, const char *name, char *value, size_t size)
{
	const struct pipit_guard_head *head = request->head;
	if (!head->query)
		return -1;
	return form_value(pipit_guard_slice(head, head->query, head->query_length), name, value, size);
}

long pipit_request_form_value(struct pipit_request *request, const char *name, char *value, size_t size)
{
	return form_value(request->body, name, value, size);
}

const char *pipit_request_parameter(struct pipit_request *request, const char *name)
{
	int index = request->route ? pipit_router_parameter_index(request->route->pattern, name) : -1;
	struct pipit_slice encoded;
	char *decoded;

	if (index < 0 || (size_t)index >= request->match.parameter_count)
		return NULL;
	encoded = request->match.parameters[index];
	decoded = remember(request, encoded);
	if (decoded)
		decoded[pipit_percent_decode(encoded, decoded)] = '\0';
	return decoded;
}

const char *pipit_request_header(struct pipit_request *request, const char *name)
{
	const struct pipit_guard_field *field = pipit_guard_find(request->head, name);
	return field ? remember(request, pipit_guard_slice(request->head, field->value, field->value_length)) : NULL;
}

bool pipit_request_field(struct pipit_request *request, size_t index, const char **name, const char **value)
{
	const struct pipit_guard_head *head = request->head;
	const struct pipit_guard_field *field;
	if (index >= head->field_count)
		return false;
	field = &head->fields[index];
	*name = remember(request, pipit_guard_slice(head, field->name, field->name_length));
	*value = remember(request, pipit_guard_slice(head, field->value, field->value_length));
	return *name && *value;
}

bool pipit_request_is(struct pipit_request *request, const char *media_type)
{
	const struct pipit_guard_field *field = pipit_guard_find(request->head, "Content-Type");

	if (!field)
		return false;
	return pipit_content_type_is(pipit_guard_slice(request->head, field->value, field->value_length), media_type);
}

int pipit_request_negotiate(struct pipit_request *request, const char *const *media_types, size_t count)
{
	return pipit_accept_header_choose(request->head, media_types, count);
}

const char *pipit_request_body(struct pipit_request *request, size_t *length)
{
	*length = request->body.length;
	return request->body.data;
}

static void refuse_json(struct pipit_request *request, const struct pipit_json_error *error)
{
	char detail[PIPIT_PROBLEM_DETAIL_SIZE], *members = pipit_problem_json_members(error);

	pipit_problem_json_detail(error, detail);
	pipit_request_reply_problem_with(
	    request, 400, detail, members ? pipit_slice_of(members) : (struct pipit_slice){ NULL, 0 });
	free(members);
}

static bool is_json(struct pipit_request *request)
{
	const struct pipit_guard_field *field = pipit_guard_find(request->head, "Content-Type");
	struct pipit_slice type = { "", 0 };
	const char *why;

	if (field)
		type = pipit_guard_slice(request->head, field->value, field->value_length);
	why = pipit_content_type_refuse_json(type);
	if (!why)
		return true;
	pipit_reply_header(request, "Accept", "application/json");
	pipit_reply_problem(request, 415, "%s", why);
	return false;
}

static bool is_uncoded(struct pipit_request *request)
{
	const struct pipit_guard_field *field = NULL;

	while ((field = pipit_guard_find_next(request->head, "Content-Encoding", field))) {
		if (pipit_content_coding_is_identity(
			pipit_guard_slice(request->head, field->value, field->value_length)))
			continue;
		/* RFC 9110 §15.5.16 */
		pipit_reply_header(request, "Accept-Encoding", "identity");
		pipit_reply_problem(request, 415, PIPIT_CONTENT_CODING_REFUSED);
		return false;
	}
	return true;
}

struct pipit_json_limits pipit_request_json_limits(const struct pipit_request *request)
{
	const struct pipit_config *config = request->pool->config;
	return (struct pipit_json_limits){ (size_t)config->max_json_depth, (size_t)config->max_json_values };
}

bool pipit_request_check_json(struct pipit_request *request)
{
	const struct pipit_json_limits limits = pipit_request_json_limits(request);
	struct pipit_json_error error;

	if (!is_json(request) || !is_uncoded(request))
		return false;
	if (pipit_json_check(request->body.data, request->body.length, &limits, &error) == 0)
		return true;
	refuse_json(request, &error);
	return false;
}

struct cJSON *pipit_request_json(struct pipit_request *request)
{
	const struct pipit_json_limits limits = pipit_request_json_limits(request);
	struct pipit_json_error error;
	struct cJSON *doc = NULL;
	int result;

	if (!is_json(request) || !is_uncoded(request))
		return NULL;
	result = pipit_json_parse(request->body.data, request->body.length, &limits, &doc, &error);
	if (result == -EINVAL)
		refuse_json(request, &error);
	else if (result != 0)
		pipit_request_reply_short(request);
	return result == 0 ? doc : NULL;
}

/* Kept requests outlive their connection: pipit_request_detach() calls this before. */
static const union pipit_client_address *find_client(struct pipit_request *request)
{
	const struct pipit_trusted_proxies *proxies = request->pool->trusted_proxies;
	static const union pipit_client_address none;

	if (request->has_client)
		return &request->client;
	if (!request->connection)
		return &none;
	request->client = *pipit_connection_address(request->connection);
	request->scheme = PIPIT_FORWARDED_NO_SCHEME;
	if (proxies)
		pipit_trusted_proxies_find_client(proxies, request->head, &request->client, &request->scheme);
	if (request->scheme == PIPIT_FORWARDED_NO_SCHEME && pipit_connection_is_tls(request->connection))
		request->scheme = PIPIT_FORWARDED_HTTPS;
	request->has_client = true;
	return &request->client;
}

const struct sockaddr *pipit_request_client(struct pipit_request *request)
{
	const union pipit_client_address *client = find_client(request);
	return client->any.sa_family == AF_INET || client->any.sa_family == AF_INET6 ? &client->any : NULL;
}

const char *pipit_request_peer(struct pipit_request *request)
{
	if (!request->peer[0])
		return pipit_client_address_print(find_client(request), request->peer, sizeof request->peer);
	return request->peer;
}

const char *pipit_request_scheme(struct pipit_request *request)
{
	find_client(request);
	return request->has_client && request->scheme == PIPIT_FORWARDED_HTTPS ? "https" : "http";
}

bool pipit_request_is_https(const struct pipit_request *request)
{
	return request->connection && pipit_connection_is_tls(request->connection);
}

const char *pipit_request_client_subject(struct pipit_request *request)
{
	static const char key;
	const struct memory *known = find_data(request, &key);
	const char *subject = NULL;
	char *copy;

	if (known)
		return known->bytes;
	if (request->connection)
		subject = pipit_connection_client_subject(request->connection);
	copy = subject ? remember(request, pipit_slice_of(subject)) : NULL;
	if (copy)
		request->memory->key = &key;
	return copy;
}

const char *pipit_request_client_verified(struct pipit_request *request)
{
	return request->connection ? pipit_connection_client_verified(request->connection) : NULL;
}

const char *pipit_request_id(struct pipit_request *request)
{
	if (!request->id[0]) {
		char *at = pipit_bytes_put_hex(request->id, request->pool->id_prefix, 8);
		at = pipit_bytes_put_hex(at, request->id_number, 8);
		*at = '\0';
	}
	return request->id;
}

const char *pipit_request_route(const struct pipit_request *request)
{
	return request->route ? request->route->pattern : "none";
}

struct event_base *pipit_request_base(const struct pipit_request *request)
{
	return request->pool->base;
}

struct pipit_server *pipit_request_server(const struct pipit_request *request)
{
	return request->pool->server;
}

struct pipit_slice pipit_request_line(const struct pipit_guard_head *head)
{
	/* the guard passes single spaces only */
	return pipit_guard_slice(head, 0, head->target + head->target_length + sizeof " HTTP/1.1" - 1);
}

static bool is_ours(const char *name)
{
	static const char *const ours[] = { "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Date",
		"Keep-Alive", "Upgrade" };
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	}
	return false;
}

bool pipit_request_may_add_header(const char *name, const char *value)
{
	return !is_ours(name) && pipit_response_head_is_field(name, value);
}

bool pipit_request_has_reply_header(const struct pipit_request *request, const char *name)
{
	const char *at = request->fields, *end = at ? at + request->fields_length : NULL;
	size_t length = strlen(name);

	for (; at < end; at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1) {
		if (strncasecmp(at, name, length) == 0 && at[length] == ':')
			return true;
	}
	return false;
}

int pipit_reply_header(struct pipit_request *request, const char *name, const char *value)
{
	size_t needed = strlen(name) + strlen(value) + sizeof ": \r\n";

	if (request->replied)
		return -EALREADY;
	if (!pipit_request_may_add_header(name, value))
		return -EINVAL;
	if (!request->fields)
		request->fields = malloc(PIPIT_RESPONSE_HEAD_FIELDS_MAX);
	if (!request->fields) {
		request->is_out_of_memory = true;
		return -ENOMEM;
	}
	if (needed > PIPIT_RESPONSE_HEAD_FIELDS_MAX - request->fields_length)
		return -ENOSPC;
	request->fields_length += (size_t)sprintf(request->fields + request->fields_length, "%s: %s\r\n", name, value);
	return 0;
}

static void drop_content(const struct pipit_reply_content *content)
{
	pipit_shared_fd_release(content->file);
	free(content->parts);
}

static void send_reply(struct pipit_request *request, const struct pipit_request_reply *reply)
{
	static const struct pipit_reply_content nothing = { .length = 0 };
	struct pipit_connection *connection = request->connection;
	const struct pipit_reply_content *content = &reply->content;
	char rendered[PIPIT_RESPONSE_HEAD_MAX];
	struct pipit_response_head head = {
		.status = reply->status,
		.content_type = reply->content_type,
		.fields = { request->fields, request->fields_length },
		.file_fields = reply->file_fields,
		/* 205 has no body (RFC 9110 §15.3.6) */
		.content_length = reply->status == 205 ? 0 : content->length,
		.date = pipit_net_date(pipit_connection_net(connection)),
		.minor = pipit_connection_minor(connection),
		.keep_alive = pipit_connection_keeps_alive(connection),
	};

	request->replied = true;
	if (!pipit_response_head_has_content(reply->status, pipit_connection_is_head_request(connection))) {
		drop_content(content);
		content = &nothing;
	}
	pipit_http1_reply(connection, reply->status,
	    (struct pipit_slice){ rendered, pipit_response_head_render(rendered, &head) }, content);
}

/* 0: send the reply. Negative: invalid, or replied already. 1: the client closed. */
static int begin_reply(struct pipit_request *request, int status, const char *content_type)
{
	if (request->replied)
		return -EALREADY;
	if (status < 200 || status > 599 || (content_type && !pipit_response_head_is_value(content_type)))
		return -EINVAL;
	if (!request->connection) {
		request->replied = true;
		return 1;
	}
	if (request->is_out_of_memory) {
		request->is_out_of_memory = false;
		return pipit_request_reply_short(request);
	}
	return 0;
}

int pipit_request_reply(struct pipit_request *request, const struct pipit_request_reply *reply)
{
	int result = begin_reply(request, reply->status, reply->content_type);
	if (result == 0)
		send_reply(request, reply);
	else
		drop_content(&reply->content);
	return result < 0 ? result : 0;
}

int pipit_request_open(struct pipit_request *request, int status, const char *content_type, struct pipit_slice fields,
    struct pipit_slice content, struct pipit_open_reply *open_reply)
{
	struct pipit_connection *connection = request->connection;
	struct pipit_slice rendered;
	char at[PIPIT_RESPONSE_HEAD_MAX];
	struct pipit_response_head head = {
		.status = status, .content_type = content_type, .file_fields = fields, .is_open = true
	};
	int result = begin_reply(request, head.status, content_type);
	bool is_head;

	if (result != 0)
		return result < 0 ? result : 0;
	is_head = pipit_connection_is_head_request(connection);
	if (pipit_request_retain(request) != 0)
		return pipit_request_reply_short(request);
	head.fields = (struct pipit_slice){ request->fields, request->fields_length };
	head.date = pipit_net_date(pipit_connection_net(connection));
	head.minor = pipit_connection_minor(connection);
	/* For HTTP/1.0 the close ends the body; HEAD has none. */
	head.keep_alive = pipit_connection_keeps_alive(connection) && (head.minor > 0 || is_head);
	rendered = (struct pipit_slice){ at, pipit_response_head_render(at, &head) };
	request->replied = true;
	if (is_head) {
		pipit_http1_reply(connection, head.status, rendered, &(struct pipit_reply_content){ .length = 0 });
		return 0;
	}
	request->opened_ns = pipit_connection_elapsed_ns(connection);
	pipit_open_reply_begin(open_reply, connection, head.status, rendered, content);
	return 0;
}

int pipit_reply(struct pipit_request *request, int status, const char *content_type, const void *content, size_t length)
{
	return pipit_request_reply(request, &(struct pipit_request_reply){
						.status = status,
						.content_type = content_type,
						.content = { .memory = { content, length }, .length = length },
					    });
}

int pipit_reply_text(struct pipit_request *request, int status, const char *text)
{
	return pipit_reply(request, status, "text/plain; charset=utf-8", text, strlen(text));
}

void pipit_request_reply_fault(struct pipit_request *request, const char *what)
{
	pipit_log(PIPIT_LOG_ERROR, "%s: %s", pipit_request_route(request), what);
	pipit_reply_problem(request, 500, NULL);
}

int pipit_request_reply_short(struct pipit_request *request)
{
	int result = pipit_reply_problem(request, 503, "%s", pipit_refusal_entry(PIPIT_REFUSAL_OUT_OF_MEMORY)->detail);
	return result == 0 ? -ENOMEM : result;
}

int pipit_request_reply_problem_with(
    struct pipit_request *request, int status, const char *detail, struct pipit_slice members)
{
	/* pipit_reply_header() would need memory, which may be what the problem is about. */
	struct pipit_request_reply reply = { .status = status, .file_fields = pipit_slice_of("Vary: Accept\r\n") };
	char small[PIPIT_RESPONSE_HEAD_PROBLEM_MAX], *content = small;
	const char *content_type;
	size_t length;
	int result;

	if (status < 400)
		return -EINVAL;
	if (members.length)
		content = malloc(PIPIT_RESPONSE_HEAD_PROBLEM_MAX + members.length);
	if (!content)
		return pipit_request_reply_short(request);
	length = pipit_response_head_problem_content(
	    content, status, detail, members, pipit_accept_header_prefers_html(request->head), &content_type);
	reply.content_type = content_type;
	reply.content.length = length;
	reply.content.memory = (struct pipit_slice){ content, length };
	result = pipit_request_reply(request, &reply);
	if (content != small)
		free(content);
	return result;
}

int pipit_reply_problem(struct pipit_request *request, int status, const char *detail, ...)
{
	char text[PIPIT_PROBLEM_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, detail);
	detail = pipit_problem_format(text, detail, arguments);
	va_end(arguments);
	return pipit_request_reply_problem_with(request, status, detail, (struct pipit_slice){ NULL, 0 });
}

int pipit_reply_file(
    struct pipit_request *request, int status, const char *content_type, int fd, uint64_t offset, uint64_t length)
{
	struct pipit_request_reply reply = {
		.status = status, .content_type = content_type, .content = { .file_offset = offset, .length = length }
	};
	int result = fd < 0 ? -EBADF : begin_reply(request, status, content_type);

	if (result != 0) {
		if (fd >= 0)
			close(fd);
		return result < 0 ? result : 0;
	}
	reply.content.file = pipit_shared_fd_new(fd);
	if (!reply.content.file)
		return pipit_request_reply_short(request);
	send_reply(request, &reply);
	return 0;
}
