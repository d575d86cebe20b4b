/* SPDX-License-Identifier: MIT */
#include "access/https_redirect.h"

#include "request/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 443

/* Without its port. */
static struct pipit_slice host_name(const struct pipit_guard_head *head)
{
	struct pipit_slice host = pipit_guard_slice(head, head->host, head->host_length);
	const char *bracket = memchr(host.data, ']', host.length);
	const char *begin = bracket ? bracket : host.data;
	const char *colon = memchr(begin, ':', (size_t)(host.data + host.length - begin));

	if (colon)
		host.length = (size_t)(colon - host.data);
	return host;
}

void pipit_https_redirect(struct pipit_request *request, unsigned https_port)
{
	const struct pipit_guard_head *head = request->head;
	struct pipit_slice host = host_name(head), path = pipit_guard_slice(head, head->path, head->path_length);
	struct pipit_slice query = pipit_guard_slice(head, head->query, head->query_length);
	char *location, port[16] = "";
	size_t size = host.length + path.length + query.length + 64;

	if (host.length == 0) {
		pipit_reply_problem(request, 400, "This address redirects to https, which needs a Host header.");
		return;
	}
	if (https_port != DEFAULT_PORT)
		snprintf(port, sizeof port, ":%u", https_port);
	location = malloc(size);
	if (!location) {
		pipit_request_reply_short(request);
		return;
	}
	snprintf(location, size, "https://%.*s%s%.*s%s%.*s", (int)host.length, host.data, port, (int)path.length,
	    path.data, head->query ? "?" : "", (int)query.length, query.data);
	pipit_reply_header(request, "Location", location);
	pipit_reply(request, 308, NULL, NULL, 0);
	free(location);
}
