/* SPDX-License-Identifier: MIT */
/*
 * A server of one worker on the event_base of the evhttp.
 */
#include "pipit.h"

#include "app/server.h"
#include "app/worker.h"
#include "base/log.h"
#include "net/listener.h"

#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(int error, const char *what, const char *why)
{
	pipit_log(PIPIT_LOG_ERROR, "%s: %s", what, why);
	return error;
}

static struct evhttp_bound_socket *accept_nothing(struct evhttp *http)
{
	struct evhttp_bound_socket *bound;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* a sandbox may forbid local sockets */
	if (fd < 0)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	bound = evhttp_accept_socket_with_handle(http, fd);
	if (!bound)
		close(fd);
	return bound;
}

/* libevent returns the event_base of a listener, not of an evhttp. NULL also without a base or descriptors. */
static struct event_base *base_of(struct evhttp *http)
{
	struct evhttp_bound_socket *bound = accept_nothing(http);
	struct event_base *base;
	if (!bound)
		return NULL;
	base = evconnlistener_get_base(evhttp_bound_socket_get_listener(bound));
	evhttp_del_accept_socket(http, bound);
	return base;
}

/* Never called. */
static void on_request(struct evhttp_request *request, void *arg)
{
	(void)request, (void)arg;
}

static int guard(struct pipit_server *server, struct evhttp *http, void (*on_evhttp_freed)(void *server))
{
	static const char name[] = "pipit_server_guard_evhttp";
	struct event_base *base = base_of(http);
	int error;

	if (!base)
		return fail(-EINVAL, name, "the evhttp has no event_base: make it with evhttp_new(base)");
	if (pipit_worker_of_evhttp(http))
		return fail(
		    -EALREADY, name, "the evhttp is guarded already: add addresses with pipit_evhttp_bind_socket()");
	error = pipit_server_guard_fallback(server, on_request);
	return error ? error : pipit_server_attach_evhttp(server, base, http, on_evhttp_freed);
}

static void detach(void *server)
{
	pipit_server_detach(server);
}

int pipit_server_guard_evhttp(struct pipit_server *server, struct evhttp *http)
{
	if (!server || !http)
		return fail(-EINVAL, "pipit_server_guard_evhttp", "neither the server nor the evhttp may be NULL");
	return guard(server, http, detach);
}

static void free_server(void *server)
{
	pipit_server_free(server);
}

static struct pipit_worker *new_guard(struct evhttp *http)
{
	struct pipit_server *server = pipit_server_new_guard(NULL, false);
	if (server && guard(server, http, free_server) == 0)
		return pipit_server_worker(server);
	pipit_server_free(server);
	return NULL;
}

/* host: NULL: any IPv4 address. May return -EINVAL. */
static int write_address(const char *host, uint16_t port, char *text, size_t size)
{
	/* AI_ADDRCONFIG refuses numeric addresses */
	const struct addrinfo numbers = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST },
			      names = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_ADDRCONFIG };
	struct addrinfo *found;
	char numeric[NI_MAXHOST];
	int result;

	if (getaddrinfo(host ? host : "0.0.0.0", NULL, &numbers, &found) != 0 &&
	    getaddrinfo(host, NULL, &names, &found) != 0)
		return -EINVAL;
	result = getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof numeric, NULL, 0, NI_NUMERICHOST);
	if (result == 0)
		snprintf(text, size, found->ai_family == AF_INET6 ? "[%s]:%u" : "%s:%u", numeric, port);
	freeaddrinfo(found);
	return result == 0 ? 0 : -EINVAL;
}

static struct evhttp_bound_socket *listen_on(struct pipit_worker *worker, const char *address)
{
	struct evhttp_bound_socket *bound = NULL;
	char url[PIPIT_LISTENER_URL_SIZE];
	int fd, error = pipit_listener_open(address, pipit_worker_config(worker), &fd, 1, url);

	if (error == 0)
		error = pipit_worker_listen(worker, fd, false, &bound);
	if (error != 0)
		pipit_log(PIPIT_LOG_ERROR, "cannot listen on %s: %s%s", address, strerror(-error),
		    error == -EADDRINUSE ? "; the port is in use: use another port, or 0 for a free one" : "");
	errno = -error;
	return error == 0 ? bound : NULL;
}

struct evhttp_bound_socket *pipit_evhttp_bind_socket_with_handle(
    struct evhttp *http, const char *address, uint16_t port)
{
	static const char name[] = "pipit_evhttp_bind_socket";
	struct event_base *base;
	struct pipit_worker *worker;
	char text[NI_MAXHOST + 16];

	if (!http || write_address(address, port, text, sizeof text) != 0) {
		fail(0, name,
		    http ? "not an address: use a numeric one such as 0.0.0.0 or ::, or a name that resolves"
			 : "the evhttp may not be NULL");
		errno = EINVAL;
		return NULL;
	}
	base = base_of(http);
	worker = base ? pipit_worker_of_evhttp(http) : NULL;
	if (!worker)
		worker = new_guard(http);
	if (worker)
		return listen_on(worker, text);
	errno = base ? ENOMEM : EINVAL;
	return NULL;
}

int pipit_evhttp_bind_socket(struct evhttp *http, const char *address, uint16_t port)
{
	return pipit_evhttp_bind_socket_with_handle(http, address, port) ? 0 : -errno;
}
