/* SPDX-License-Identifier: MIT */
/* What evhttp callbacks may ask of pipit: strict JSON, and problem documents. The contracts are in pipit.h. */
#include "pipit.h"

#include "app/server.h"
#include "http/accept_header.h"
#include "http/content_type.h"
#include "http/response_head.h"
#include "json/json.h"
#include "json/problem.h"

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

#define SHORT "The server is short of memory; try again soon."

/* --- problem documents --------------------------------------------------------------------------------------------- */

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

/* The document, and in front of its closing brace further members; a page has none. 0, or -1 when memory is short. */
static int print_problem(
    struct evhttp_request *request, struct evbuffer *content, int status, const char *detail, const char *members)
{
	char document[PIPIT_RESPONSE_HEAD_PROBLEM_MAX];
	const char *type;
	bool html = prefers_html(request);
	size_t length = pipit_response_head_problem_content(document, status, detail, html, &type);
	size_t end = members && !html ? strlen("}\n") : 0;

	if (evbuffer_add(content, document, length - end) != 0 ||
	    (end && (evbuffer_add(content, members, strlen(members)) != 0 || evbuffer_add(content, "}\n", end) != 0)))
		return -1;
	evhttp_remove_header(evhttp_request_get_output_headers(request), "Content-Type");
	return evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
}

/* Without memory for the document the status has to say it all. */
static void send_problem(struct evhttp_request *request, int status, const char *detail, const char *members)
{
	struct evbuffer *content = evbuffer_new();

	if (content && print_problem(request, content, status, detail, members) != 0)
		evbuffer_drain(content, evbuffer_get_length(content));
	evhttp_send_reply(request, status, pipit_response_head_phrase(status), content);
	if (content)
		evbuffer_free(content);
}

void pipit_evhttp_send_problem(struct evhttp_request *request, int status, const char *detail, ...)
{
	/* As long as the content, so that a cut is made there, between two characters. */
	char text[PIPIT_RESPONSE_HEAD_PROBLEM_MAX];
	va_list arguments;

	if (detail) {
		va_start(arguments, detail);
		vsnprintf(text, sizeof text, detail, arguments);
		va_end(arguments);
	}
	send_problem(request, status >= 400 && status <= 599 ? status : 500, detail ? text : NULL, NULL);
}

/* --- JSON ---------------------------------------------------------------------------------------------------------- */

static void refuse_type(struct evhttp_request *request, const char *detail)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Accept", "application/json");
	send_problem(request, 415, detail, NULL);
}

static void refuse_json(struct evhttp_request *request, const struct pipit_json_error *error)
{
	char detail[PIPIT_PROBLEM_DETAIL_SIZE], *members = pipit_problem_json_members(error);
	pipit_problem_json_detail(error, detail);
	send_problem(request, 400, detail, members);
	free(members);
}

static bool is_json(struct evhttp_request *request)
{
	const char *type = evhttp_find_header(evhttp_request_get_input_headers(request), "Content-Type");

	if (!type || !pipit_content_type_is(pipit_slice_of(type), "application/json"))
		refuse_type(request, "The content must be JSON, and its Content-Type application/json.");
	else if (pipit_content_type_has_other_charset(pipit_slice_of(type)))
		refuse_type(request, "JSON is UTF-8: its Content-Type has no charset, or charset=utf-8.");
	else
		return true;
	return false;
}

struct cJSON *pipit_evhttp_json(struct evhttp_request *request, const struct pipit_server *server)
{
	const struct pipit_config *config = pipit_server_config(server);
	const struct pipit_json_limits limits = { (size_t)config->max_json_depth, (size_t)config->max_json_members };
	struct evbuffer *content = evhttp_request_get_input_buffer(request);
	size_t length = evbuffer_get_length(content);
	const char *text = length ? (const char *)evbuffer_pullup(content, -1) : "";
	struct pipit_json_error error;
	struct cJSON *doc = NULL;
	int result;

	if (!is_json(request))
		return NULL;
	result = text ? pipit_json_parse(text, length, &limits, &doc, &error) : -ENOMEM;
	if (result == -EINVAL)
		refuse_json(request, &error);
	else if (result != 0)
		send_problem(request, 503, SHORT, NULL);
	return result == 0 ? doc : NULL;
}
