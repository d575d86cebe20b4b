/* SPDX-License-Identifier: MIT */
#include "pipit.h"

#include "app/server.h"
#include "app/worker.h"
#include "http/accept_header.h"
#include "http/content_coding.h"
#include "http/content_type.h"
#include "http/response_head.h"
#include "http1/evhttp_lane.h"
#include "request/problem.h"
#include "json/json.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

static const struct pipit_slice no_members = { NULL, 0 };

static bool prefers_html(struct evhttp_request *request)
{
	struct pipit_accept_header_form form = { .html = { 0 } };
	const struct evkeyval *header;

	TAILQ_FOREACH(header, evhttp_request_get_input_headers(request), next)
	{
		if (strcasecmp(header->key, "Accept") == 0)
			pipit_accept_header_read_form(&form, pipit_slice_of(header->value));
	}
	return pipit_accept_header_is_html(&form);
}

static int print_problem(struct evhttp_request *request, struct evbuffer *content, int status, const char *detail,
    struct pipit_slice members)
{
	struct evbuffer_iovec room;
	const char *type;

	if (evbuffer_reserve_space(content, (ev_ssize_t)(PIPIT_RESPONSE_HEAD_PROBLEM_MAX + members.length), &room, 1) !=
	    1)
		return -1;
	room.iov_len =
	    pipit_response_head_problem_content(room.iov_base, status, detail, members, prefers_html(request), &type);
	evhttp_remove_header(evhttp_request_get_output_headers(request), "Content-Type");
	if (evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type) != 0 ||
	    evhttp_add_header(evhttp_request_get_output_headers(request), "Vary", "Accept") != 0)
		return -1;
	return evbuffer_commit_space(content, &room, 1);
}

static void send_problem(struct evhttp_request *request, int status, const char *detail, struct pipit_slice members)
{
	struct evbuffer *content = evbuffer_new();

	if (content)
		print_problem(request, content, status, detail, members);
	evhttp_send_reply(request, status, pipit_response_head_phrase(status), content);
	if (content)
		evbuffer_free(content);
}

void pipit_evhttp_send_problem(struct evhttp_request *request, int status, const char *detail, ...)
{
	char text[PIPIT_PROBLEM_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, detail);
	detail = pipit_problem_format(text, detail, arguments);
	va_end(arguments);
	send_problem(request, status >= 400 && status <= 599 ? status : 500, detail, no_members);
}

static void refuse_json(struct evhttp_request *request, const struct pipit_json_error *error)
{
	char detail[PIPIT_PROBLEM_DETAIL_SIZE], *members = pipit_problem_json_members(error);
	pipit_problem_json_detail(error, detail);
	send_problem(request, 400, detail, members ? pipit_slice_of(members) : no_members);
	free(members);
}

static bool is_json(struct evhttp_request *request)
{
	const char *type = evhttp_find_header(evhttp_request_get_input_headers(request), "Content-Type");
	const char *why = pipit_content_type_refuse_json(pipit_slice_of(type ? type : ""));

	if (!why)
		return true;
	evhttp_add_header(evhttp_request_get_output_headers(request), "Accept", "application/json");
	send_problem(request, 415, why, no_members);
	return false;
}

/* evhttp keeps fields of one name apart. */
static bool is_uncoded(struct evhttp_request *request)
{
	const struct evkeyval *field;

	TAILQ_FOREACH(field, evhttp_request_get_input_headers(request), next)
	{
		if (evutil_ascii_strcasecmp(field->key, "Content-Encoding") != 0 ||
		    pipit_content_coding_is_identity(pipit_slice_of(field->value)))
			continue;
		evhttp_add_header(evhttp_request_get_output_headers(request), "Accept-Encoding", "identity");
		send_problem(request, 415, PIPIT_CONTENT_CODING_REFUSED, no_members);
		return false;
	}
	return true;
}

struct pipit_request *pipit_evhttp_request(struct evhttp_request *request, const struct pipit_server *server)
{
	struct evhttp_connection *link = evhttp_request_get_connection(request);
	struct pipit_worker *worker = link ? pipit_server_worker_of(server, evhttp_connection_get_base(link)) : NULL;
	struct pipit_connection *current = worker ? pipit_net_current(pipit_worker_net(worker)) : NULL;

	/* A callback may ask for the request of another client, which it has deferred. */
	return current && pipit_evhttp_lane_serves(current, link) ? pipit_connection_request(current) : NULL;
}

struct cJSON *pipit_evhttp_json(struct evhttp_request *request, const struct pipit_server *server)
{
	const struct pipit_config *config = pipit_server_config(server);
	const struct pipit_json_limits limits = { (size_t)config->max_json_depth, (size_t)config->max_json_values };
	struct evbuffer *content = evhttp_request_get_input_buffer(request);
	size_t length = evbuffer_get_length(content);
	const char *text = length ? (const char *)evbuffer_pullup(content, -1) : "";
	struct pipit_json_error error;
	struct cJSON *doc = NULL;
	int result;

	if (!is_json(request) || !is_uncoded(request))
		return NULL;
	result = text ? pipit_json_parse(text, length, &limits, &doc, &error) : -ENOMEM;
	if (result == -EINVAL)
		refuse_json(request, &error);
	else if (result != 0)
		send_problem(request, 503, pipit_refusal_entry(PIPIT_REFUSAL_OUT_OF_MEMORY)->detail, no_members);
	return result == 0 ? doc : NULL;
}
