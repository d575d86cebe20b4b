/* SPDX-License-Identifier: MIT */
#include "request/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(char *error, size_t size, int code, const char *why)
{
	snprintf(error, size, "%s", why);
	return code;
}

/* "/{name...}" */
static bool is_every_path(const char *pattern)
{
	size_t length = strlen(pattern);
	return strncmp(pattern, "/{", 2) == 0 && strchr(pattern + 1, '/') == NULL && length > 5 &&
	       strcmp(pattern + length - 4, "...}") == 0;
}

int pipit_filter_new(const char *pattern, pipit_filter_handler *handler, void *arg, struct pipit_filter **filter,
    char *error, size_t size)
{
	struct pipit_filter *made;
	int result = 0;

	if (!pattern || !handler)
		return fail(error, size, -EINVAL, "a filter needs a pattern and a function");
	made = calloc(1, sizeof *made);
	if (!made)
		return fail(error, size, -ENOMEM, "out of memory");
	made->handler = handler;
	made->arg = arg;
	made->router = pipit_router_new();
	if (!made->router)
		result = fail(error, size, -ENOMEM, "out of memory");
	if (result == 0)
		result = pipit_router_add(made->router, PIPIT_ANY, pattern, made, error, size);
	if (result != 0) {
		pipit_filter_free(made);
		return result;
	}
	if (is_every_path(pattern)) {
		pipit_router_free(made->router);
		made->router = NULL;
	}
	*filter = made;
	return 0;
}

void pipit_filter_free(struct pipit_filter *filter)
{
	while (filter) {
		struct pipit_filter *next = filter->next;
		pipit_router_free(filter->router);
		free(filter);
		filter = next;
	}
}

static bool matches(const struct pipit_filter *filter, const struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	struct pipit_slice path = pipit_guard_slice(head, head->path, head->path_length);
	struct pipit_router_match match;

	if (!filter->router)
		return true;
	match.parameter_count = 0;
	return path.data[0] == '/' && pipit_router_find(filter->router, PIPIT_GET, path, &match) == PIPIT_ROUTER_FOUND;
}

const struct pipit_filter *pipit_filter_after_host_check(const struct pipit_filter *first)
{
	while (first && first->skips_checked_host)
		first = first->next;
	return first;
}

void pipit_filter_keep_checked_host(struct pipit_request *request)
{
	struct pipit_request_pool *pool = request->pool;
	const struct pipit_guard_head *head = request->head;

	if (head->host_length == 0 || head->host_length > sizeof pool->checked_host)
		return;
	memcpy(pool->checked_host, head->bytes + head->host, head->host_length);
	pool->checked_host_length = head->host_length;
}

enum pipit_filter_outcome pipit_filter_run(const struct pipit_filter *first, struct pipit_request *request)
{
	for (const struct pipit_filter *filter = first; filter; filter = filter->next) {
		unsigned keep_count = request->keep_count;

		if (!matches(filter, request))
			continue;
		request->in_handler = true;
		filter->handler(request, filter->arg);
		request->in_handler = false;
		if (request->replied)
			return PIPIT_FILTER_ANSWERED;
		if (request->keep_count > keep_count) {
			request->next_filter = filter->next;
			return PIPIT_FILTER_DEFERRED;
		}
		/* It is the filter's own: the handler has none yet. */
		request->on_abort = NULL;
	}
	return PIPIT_FILTER_PASSED;
}

void pipit_filter_pass(struct pipit_request *request)
{
	request->on_abort = NULL;
	/* Within the filter: the next one is called when it returns. */
	if (request->in_handler) {
		request->keep_count--;
	} else if (pipit_request_is_gone(request)) {
		pipit_request_release(request);
	} else {
		request->keep_count--;
		pipit_http1_resume(request->connection);
	}
}
