/* SPDX-License-Identifier: MIT */
#include "sockets/listening.h"

#include "base/log.h"
#include "config/config.h"
#include "pipit.h"
#include "sockets/inherited_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(int code, char *error, const char *advice)
{
	snprintf(error, PIPIT_LISTENING_ERROR_SIZE, "cannot be used: %s; %s", strerror(-code), advice);
	return code;
}

/* --- what an inherited socket is bound to --------------------------------------------------------------------------- */

static void print_unix(const struct sockaddr_un *name, socklen_t length, char *url)
{
	size_t size = length - offsetof(struct sockaddr_un, sun_path);
	bool is_abstract = size > 0 && name->sun_path[0] == '\0';

	if (is_abstract)
		snprintf(url, PIPIT_LISTENING_URL_SIZE, "unix:@%.*s", (int)(size - 1), name->sun_path + 1);
	else
		snprintf(
		    url, PIPIT_LISTENING_URL_SIZE, "unix:%.*s", (int)strnlen(name->sun_path, size), name->sun_path);
}

static void print_name(int fd, char *url)
{
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_storage storage;
	} name;
	socklen_t length = sizeof name;
	char host[PIPIT_ADDRESS_HOST_SIZE], port[8];

	strcpy(url, "unix:");
	if (getsockname(fd, &name.any, &length) != 0)
		return;
	if (name.any.sa_family == AF_UNIX)
		print_unix(&name.local, length, url);
	else if (getnameinfo(
		     &name.any, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(url, PIPIT_LISTENING_URL_SIZE,
		    name.any.sa_family == AF_INET6 ? "http://[%s]:%s" : "http://%s:%s", host, port);
}

/* --- opening -------------------------------------------------------------------------------------------------------- */

/* The first one is there. On failure, only that one is still open. */
static int duplicate(int *fds, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		fds[i] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
		if (fds[i] < 0) {
			int error = -errno;
			while (--i > 0)
				close(fds[i]);
			return error;
		}
	}
	return 0;
}

static int open_unix(const struct pipit_address *address, const struct pipit_config *config, int *fds, size_t count,
    struct pipit_listening *listening, char *error)
{
	int result;

	fds[0] = pipit_unix_socket_open(
	    address, (int)config->listen_backlog, &listening->file, error, PIPIT_LISTENING_ERROR_SIZE);
	if (fds[0] < 0)
		return fds[0];
	result = duplicate(fds, count);
	if (result != 0) {
		pipit_listening_end(listening);
		close(fds[0]);
		return fail(result, error, "allow more descriptors (ulimit -n)");
	}
	snprintf(listening->url, sizeof listening->url, "unix:%s", address->path);
	return 0;
}

static int take_inherited(
    const struct pipit_address *address, int *fds, size_t count, struct pipit_listening *listening, char *error)
{
	int result;

	fds[0] = pipit_inherited_socket_take(address, error, PIPIT_LISTENING_ERROR_SIZE);
	if (fds[0] < 0)
		return fds[0];
	result = duplicate(fds, count);
	if (result != 0)
		return fail(result, error, "allow more descriptors (ulimit -n)");
	print_name(fds[0], listening->url);
	return 0;
}

int pipit_listening_open(const char *text, const struct pipit_config *config, int *fds, size_t count,
    struct pipit_listening *listening, char *error)
{
	struct pipit_address address;
	int result = pipit_address_parse(text, &address);

	*listening = (struct pipit_listening){ .file.descriptor = -1 };
	if (result == 0 && address.kind == PIPIT_ADDRESS_UNIX)
		return open_unix(&address, config, fds, count, listening, error);
	if (result == 0 && address.kind == PIPIT_ADDRESS_INHERITED)
		return take_inherited(&address, fds, count, listening, error);
	result = pipit_listener_open(text, config, fds, count, listening->url);
	return result == 0 ? 0 : fail(result, error, pipit_listener_advice(result));
}

bool pipit_listening_is_inherited(const char *text)
{
	struct pipit_address address;
	return pipit_address_parse(text, &address) == 0 && address.kind == PIPIT_ADDRESS_INHERITED;
}

int pipit_listening_find_inherited(const char *text)
{
	struct pipit_address address;
	int result = pipit_address_parse(text, &address);

	if (result != 0)
		return result;
	return address.kind == PIPIT_ADDRESS_INHERITED ? pipit_inherited_socket_find(&address) : -ENOENT;
}

static bool is_used(const struct pipit_config *config, int fd)
{
	for (size_t i = 0; i < config->listen_count; i++) {
		if (pipit_listening_find_inherited(config->listen[i]) == fd)
			return true;
	}
	return config->admin_listen && pipit_listening_find_inherited(config->admin_listen) == fd;
}

void pipit_listening_warn_of_unused(const struct pipit_config *config)
{
	for (int fd = 0; (fd = pipit_inherited_socket_next(fd)) >= 0;) {
		if (!is_used(config, fd))
			pipit_log(PIPIT_LOG_WARN,
			    "environment: LISTEN_FDS = \"%s\": no address uses socket %d, whose clients will wait; use "
			    "--listen fd://%d, or remove it from the socket unit",
			    getenv("LISTEN_FDS"), fd, fd);
	}
}

void pipit_listening_warn_of_v6_only(const char *address, const struct pipit_config *config)
{
	const char *other = pipit_listener_find_v4(address, config);
	char message[256], located[512];

	if (!other)
		return;
	snprintf(message, sizeof message,
	    "%s = \"%s\": serves IPv6 only, because %s has its port; for other IPv4 addresses of this machine use "
	    "0.0.0.0 there, or another port",
	    config->admin_listen == address ? "admin-listen" : "listen", address, other);
	pipit_config_locate(config, message, located, sizeof located);
	pipit_log(PIPIT_LOG_WARN, "%s", located);
}

void pipit_listening_end(struct pipit_listening *listening)
{
	pipit_unix_socket_remove(&listening->file);
}
