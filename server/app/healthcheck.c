/* SPDX-License-Identifier: MIT */
#include "app/healthcheck.h"

#include "config/address.h"
#include "pipit.h"
#include "proxy/proxy_protocol.h"
#include "tls/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h> /* struct timeval in musl */
#include <sys/un.h>
#include <unistd.h>

#define STEP_SECONDS 2

static const char *connectable(const char *host)
{
	if (strcmp(host, "0.0.0.0") == 0)
		return "127.0.0.1";
	return strcmp(host, "::") == 0 ? "::1" : host;
}

/* "[::]:PORT" is 0.0.0.0 on a system without IPv6. */
static const char *second_choice(const char *host)
{
	return strcmp(host, "::") == 0 ? "127.0.0.1" : NULL;
}

static int connect_to(const struct sockaddr *address, socklen_t length)
{
	struct timeval limit = { STEP_SECONDS, 0 };
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* also limits connect() */
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
			   setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
			   connect(fd, address, length) != 0)) {
		int error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

static int connect_to_host(const char *host, unsigned port)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *address;
	char service[12];
	int fd;

	snprintf(service, sizeof service, "%u", port);
	if (getaddrinfo(host, service, &hints, &address) != 0) {
		errno = EINVAL;
		return -1;
	}
	fd = connect_to(address->ai_addr, address->ai_addrlen);
	freeaddrinfo(address);
	return fd;
}

static int connect_to_path(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	memcpy(name.sun_path, path, length);
	/* abstract names begin with NUL, and are not terminated */
	if (path[0] == '@')
		name.sun_path[0] = '\0';
	else
		length++;
	return connect_to((struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

static int connect_directly(const struct pipit_address *address)
{
	const char *host = address->host;
	int fd;

	if (address->kind == PIPIT_ADDRESS_UNIX)
		return connect_to_path(address->path);
	fd = connect_to_host(connectable(host), address->port);
	if (fd < 0 && errno != EAGAIN && errno != EINPROGRESS && second_choice(host))
		fd = connect_to_host(second_choice(host), address->port);
	return fd;
}

static int connect_to_server(const struct pipit_address *address)
{
	int fd = connect_directly(address);

	if (fd >= 0 && address->is_proxied &&
	    send(fd, PIPIT_PROXY_PROTOCOL_LOCAL, PIPIT_PROXY_PROTOCOL_LOCAL_BYTES, MSG_NOSIGNAL) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Negative: as pipit_tls_client_ask(). */
static int request_health(int fd, bool is_https, char *reply, size_t size)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	size_t length = 0;

	if (is_https)
		return pipit_tls_client_ask(fd, request, sizeof request - 1, reply, size);

	if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
		return -1;
	while (length < size - 1) {
		ssize_t received = recv(fd, reply + length, size - 1 - length, 0);
		if (received < 0)
			return -1;
		if (received == 0)
			break;
		length += (size_t)received;
	}
	reply[length] = '\0';
	return 0;
}

static const char *printable(char *reply)
{
	char *at = reply;
	while (*at >= 0x20 && *at < 0x7f)
		at++;
	*at = '\0';
	return *reply ? reply : "not an HTTP response";
}

int pipit_healthcheck(const char *address, char *error, size_t size)
{
	struct pipit_address parsed;
	char reply[128] = "";
	int fd, result;
	bool is_healthy;

	if (pipit_address_parse(address, &parsed) != 0 || parsed.kind == PIPIT_ADDRESS_INHERITED ||
	    (parsed.kind == PIPIT_ADDRESS_IP && parsed.port == 0)) {
		snprintf(error, size, "%s: not an address to connect to; use ADDR:PORT or unix:/PATH", address);
		return -1;
	}
	fd = connect_to_server(&parsed);
	result = fd < 0 ? -1 : request_health(fd, parsed.is_https, reply, sizeof reply);
	/* A redirect to https comes from a server that works; curl -f and Kubernetes accept it, too. */
	is_healthy =
	    result == 0 && (strncmp(reply, "HTTP/1.1 200 ", 13) == 0 || strncmp(reply, "HTTP/1.1 308 ", 13) == 0);
	if (result < -1)
		snprintf(error, size, "%s: no TLS: %s", address,
		    result == -3 ? "the server wants a certificate; give it an http address on 127.0.0.1, too"
				 : "the handshake failed");
	else if (result != 0)
		/* of connect(), after SO_SNDTIMEO */
		snprintf(error, size, "%s: no reply: %s", address,
		    errno == EAGAIN || errno == EINPROGRESS ? "timed out" : strerror(errno));
	else if (!is_healthy)
		snprintf(
		    error, size, "%s: unhealthy: %s", address, *reply ? printable(reply) : "closed without a reply");
	if (fd >= 0)
		close(fd);
	return is_healthy ? 0 : -1;
}

/* --- finding the server of the container -------------------------------------------------------------------------- */

/* In the network namespace, which containers of a pod share: "pipit/MOUNT-NAMESPACE/ADDR:PORT". A long path of a UNIX socket does not fit. */
static size_t print_name(char *name, size_t size, const char *address)
{
	struct stat status;
	if (stat("/proc/self/ns/mnt", &status) != 0)
		return 0;
	return (size_t)snprintf(name, size, "pipit/%ju/%s", (uintmax_t)status.st_ino, address);
}

int pipit_healthcheck_publish(const char *url)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	/* abstract names begin with NUL, and are not terminated */
	const char *address = strncmp(url, "http://", strlen("http://")) == 0 ? url + strlen("http://") : url;
	size_t length = print_name(name.sun_path + 1, sizeof name.sun_path - 1, address);
	int error, fd;

	if (length == 0)
		return -errno;
	if (length >= sizeof name.sun_path - 1)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* nothing is received: it would stay in memory */
	if (shutdown(fd, SHUT_RD) == 0 &&
	    bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

struct found {
	unsigned count;
	unsigned unhealthy;
	bool has_configured; /* the configured address is published */
};

/* A line of /proc/net/unix ends in "@NAME". Returns the address in it, or NULL. */
static char *published_address(char *line, const char *prefix)
{
	char *name = strchr(line, '@');
	line[strcspn(line, "\n")] = '\0';
	return name && strncmp(name + 1, prefix, strlen(prefix)) == 0 ? name + 1 + strlen(prefix) : NULL;
}

/* configured: the only address to ask, or NULL for all. */
static struct found ask_published(FILE *sockets, const char *configured, char *error, size_t size)
{
	struct found found = { 0, 0, false };
	char prefix[48], *line = NULL, *address, why[256];
	size_t length = 0;

	if (print_name(prefix, sizeof prefix, "") == 0)
		return found;
	rewind(sockets);
	while (getline(&line, &length, sockets) > 0) {
		address = published_address(line, prefix);
		if (!address)
			continue;
		found.count++;
		if (configured) {
			found.has_configured |= strcmp(address, configured) == 0;
		} else if (pipit_healthcheck(address, why, sizeof why) != 0) {
			if (found.unhealthy++ == 0)
				snprintf(error, size, "%s", why);
		}
	}
	free(line);
	return found;
}

/* "localhost:PORT" and ":PORT" are published by number, "unix:/PATH" without its mode. */
static void print_numeric(char *text, size_t size, const char *address)
{
	struct pipit_address parsed;
	const char *suffix = pipit_address_is_proxied(address) ? ",proxy-protocol" : "";

	if (pipit_address_parse(address, &parsed) != 0 || parsed.kind == PIPIT_ADDRESS_INHERITED)
		snprintf(text, size, "%s", address);
	else if (parsed.kind == PIPIT_ADDRESS_UNIX)
		snprintf(text, size, "unix:%s%s", parsed.path, suffix);
	else
		snprintf(text, size, strchr(parsed.host, ':') ? "%s[%s]:%u%s" : "%s%s:%u%s",
		    parsed.is_https ? "https://" : "", parsed.host, parsed.port, suffix);
}

int pipit_healthcheck_find(const struct pipit_config *config, char *error, size_t size)
{
	/* With admin_listen, other addresses do not serve /healthz. */
	const char *const *addresses = config->admin_listen ? &config->admin_listen : config->listen;
	size_t count = config->admin_listen ? 1 : config->listen_count;
	FILE *sockets = fopen("/proc/net/unix", "re");
	struct found found = { 0, 0, false };
	char configured[sizeof "unix:,proxy-protocol" + sizeof(((struct pipit_address *)0)->path)];
	int result = 0;

	for (size_t i = 0; sockets && !found.has_configured && i < count; i++) {
		print_numeric(configured, sizeof configured, addresses[i]);
		found = ask_published(sockets, configured, error, size);
	}
	if (found.count == 0 || found.has_configured)
		result = pipit_healthcheck(addresses[0], error, size);
	else
		result = ask_published(sockets, NULL, error, size).unhealthy ? -1 : 0;
	if (sockets)
		fclose(sockets);
	return result;
}
