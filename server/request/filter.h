/* SPDX-License-Identifier: MIT */
/* Filters: what runs between the head of a request and its route. */
#ifndef PIPIT_FILTER_H
#define PIPIT_FILTER_H

#include "request/request.h"

#include <string.h>

/* Constant while the server runs. */
struct pipit_filter {
	struct pipit_filter *next;   /* in the order of registration */
	struct pipit_router *router; /* owned, with the one pattern; NULL: every path, also "*" */
	pipit_filter_handler *handler;
	void *arg;
	bool
	    skips_checked_host; /* not called for GET and HEAD of a host that pipit_filter_keep_checked_host() was given */
};

/* Fails as pipit_filter(). */
int pipit_filter_new(const char *pattern, pipit_filter_handler *handler, void *arg, struct pipit_filter **filter,
    char *error, size_t size);

/* With those after it. */
void pipit_filter_free(struct pipit_filter *filter);

/* Without those that stand first and have skips_checked_host: address rules and rates before them leave none out. */
const struct pipit_filter *pipit_filter_after_host_check(const struct pipit_filter *first);

/* Every route serves the host of the request. */
void pipit_filter_keep_checked_host(struct pipit_request *request);

/* Whether the worker remembers the host of a GET or HEAD: it is that of most requests. */
static inline bool pipit_filter_has_checked_host(
    const struct pipit_request_pool *pool, const struct pipit_guard_head *head)
{
	return head->host_length == pool->checked_host_length && head->method & (PIPIT_GET | PIPIT_HEAD) &&
	       memcmp(head->bytes + head->host, pool->checked_host, head->host_length) == 0;
}

enum pipit_filter_outcome { PIPIT_FILTER_PASSED, PIPIT_FILTER_ANSWERED, PIPIT_FILTER_DEFERRED };

/* first: NULL: none. After DEFERRED, go on with request->next_filter. */
enum pipit_filter_outcome pipit_filter_run(const struct pipit_filter *first, struct pipit_request *request);

#endif
