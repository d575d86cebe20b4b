/* SPDX-License-Identifier: MIT */
/* Filters: what runs between the head of a request and its route. */
#ifndef PIPIT_FILTER_H
#define PIPIT_FILTER_H

#include "request/request.h"

/* Constant while the server runs. */
struct pipit_filter {
	struct pipit_filter *next;   /* in the order of registration */
	struct pipit_router *router; /* owned, with the one pattern; NULL: every path, also "*" */
	pipit_filter_handler *handler;
	void *arg;
};

/* Fails as pipit_filter(). */
int pipit_filter_new(const char *pattern, pipit_filter_handler *handler, void *arg, struct pipit_filter **filter,
    char *error, size_t size);

/* With those after it. */
void pipit_filter_free(struct pipit_filter *filter);

enum pipit_filter_outcome { PIPIT_FILTER_PASSED, PIPIT_FILTER_ANSWERED, PIPIT_FILTER_DEFERRED };

/* first: NULL: none. After DEFERRED, go on with request->next_filter. */
enum pipit_filter_outcome pipit_filter_run(const struct pipit_filter *first, struct pipit_request *request);

#endif
