/* SPDX-License-Identifier: MIT */
/* See listener.h. */
#include "net/listener.h"

#include "config/address.h"
#include "pipit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct address {
	struct sockaddr_storage bytes;
	socklen_t length;
	int v6_only; /* of an IPv6 address */
};

static int parse_address(const char *text, struct address *address)
{
	struct pipit_address parsed;
	char *host = parsed.host, *zone;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address->bytes;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->bytes;

	memset(address, 0, sizeof *address);
	if (pipit_address_parse(text, &parsed) != 0 || parsed.kind != PIPIT_ADDRESS_IP)
		return -EINVAL;
	zone = strchr(host, '%');
	if (zone)
		*zone++ = '\0';
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)parsed.port);
		address->length = sizeof *v4;
		return 0;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)parsed.port);
		v6->sin6_scope_id = zone ? if_nametoindex(zone) : 0;
		address->length = sizeof *v6;
		return zone && !v6->sin6_scope_id ? -ENODEV : 0;
	}
	return -EINVAL;
}

static unsigned port_of(const struct address *address)
{
	return address->bytes.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&address->bytes)->sin6_port)
						    : ntohs(((const struct sockaddr_in *)&address->bytes)->sin_port);
}

/* A bound socket, or a negative errno value; *address then has the port. */
static int bind_socket(struct address *address, bool share_port)
{
	int on = 1, error;
	int fd = socket(address->bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	    (!share_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
	    (address->bytes.ss_family != AF_INET6 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &address->v6_only, sizeof on) == 0) &&
	    /* Accepted sockets inherit it. */
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
	    bind(fd, (struct sockaddr *)&address->bytes, address->length) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address->bytes, &address->length) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static bool is_any_v6(const struct address *address)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->bytes;
	return v6->sin6_family == AF_INET6 && memcmp(&v6->sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

static bool is_v4_on_port(const char *text, unsigned port)
{
	struct address address;
	return text && parse_address(text, &address) == 0 && address.bytes.ss_family == AF_INET &&
	       port_of(&address) == port;
}

static bool is_any_v4(const char *text)
{
	struct address address;
	return parse_address(text, &address) == 0 && address.bytes.ss_family == AF_INET &&
	       ((const struct sockaddr_in *)&address.bytes)->sin_addr.s_addr == htonl(INADDR_ANY);
}

/* 0.0.0.0 before others; NULL: none. */
static const char *find_v4_on_port(const struct pipit_config *config, unsigned port)
{
	const char *found = is_v4_on_port(config->admin_listen, port) ? config->admin_listen : NULL;

	for (size_t i = 0; i < config->listen_count; i++) {
		const char *text = config->listen[i];
		if (is_v4_on_port(text, port) && (!found || is_any_v4(text)))
			found = text;
	}
	return found;
}

static bool may_accept_both(const struct address *address, const struct pipit_config *config)
{
	return is_any_v6(address) && (!config->ipv6_only || strcmp(config->ipv6_only, "on") != 0);
}

/* A socket for both families could not be bound beside one of IPv4 with its port. */
static bool accepts_both(const struct address *address, const struct pipit_config *config)
{
	return may_accept_both(address, config) &&
	       (port_of(address) == 0 || !find_v4_on_port(config, port_of(address)));
}

const char *pipit_listener_find_v4(const char *text, const struct pipit_config *config)
{
	struct address address;
	const char *found = NULL;

	if (parse_address(text, &address) == 0 && may_accept_both(&address, config) && port_of(&address) != 0)
		found = find_v4_on_port(config, port_of(&address));
	return found && !is_any_v4(found) ? found : NULL;
}

/* "0.0.0.0" with the port of "[::]", for a system without IPv6. */
static void use_v4(struct address *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port_of(address)) };
	memset(address, 0, sizeof *address);
	memcpy(&address->bytes, &v4, sizeof v4);
	address->length = sizeof v4;
}

static void print_url(const struct address *address, const char *scheme, char url[PIPIT_LISTENER_URL_SIZE])
{
	char host[INET6_ADDRSTRLEN] = "", zone[IF_NAMESIZE] = "";
	if (address->bytes.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->bytes;
		bool has_zone = v6->sin6_scope_id && if_indextoname(v6->sin6_scope_id, zone);
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		snprintf(url, PIPIT_LISTENER_URL_SIZE, "%s://[%s%s%s]:%u", scheme, host, has_zone ? "%" : "", zone,
		    port_of(address));
	} else {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)&address->bytes)->sin_addr, host, sizeof host);
		snprintf(url, PIPIT_LISTENER_URL_SIZE, "%s://%s:%u", scheme, host, port_of(address));
	}
}

/* A socket with SO_REUSEPORT may join another process's: bind one without first. The bind after it fails if the port was taken since. */
static int probe(struct address *address)
{
	int error = 0, fd = bind_socket(address, false);
	if (fd < 0)
		return fd;
	if (listen(fd, 1) != 0)
		error = -errno;
	close(fd);
	return error;
}

/* A system without TCP_DEFER_ACCEPT accepts at once. */
static int start_listening(int fd, const struct pipit_config *config)
{
	int seconds = (int)((config->defer_accept_ms + 999) / 1000);
	if (seconds)
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
	return listen(fd, (int)config->listen_backlog) == 0 ? 0 : -errno;
}

static int open_all(struct address *address, const struct pipit_config *config, int *fds, size_t count)
{
	bool share_port = count > 1;
	int error = share_port ? probe(address) : 0;
	size_t opened = 0;

	while (error == 0 && opened < count) {
		fds[opened] = bind_socket(address, share_port);
		if (fds[opened] < 0)
			error = fds[opened];
		else
			error = start_listening(fds[opened++], config);
	}
	while (error != 0 && opened)
		close(fds[--opened]);
	return error;
}

bool pipit_listener_is_https(const char *text)
{
	bool is_https;
	pipit_address_skip_scheme(text, &is_https);
	return is_https;
}

int pipit_listener_open(
    const char *text, const struct pipit_config *config, int *fds, size_t count, char url[PIPIT_LISTENER_URL_SIZE])
{
	struct address address;
	int error = parse_address(text, &address);
	bool both = error == 0 && accepts_both(&address, config);

	if (error != 0)
		return error;
	address.v6_only = !both;
	error = open_all(&address, config, fds, count);
	if (both && (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL)) {
		use_v4(&address);
		error = open_all(&address, config, fds, count);
	}
	if (error == 0)
		print_url(&address, pipit_listener_is_https(text) ? "https" : "http", url);
	return error;
}

const char *pipit_listener_advice(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "the port is in use: use another port, or 0 for a free one";
	case -EADDRNOTAVAIL:
		return "use an address of this machine";
	case -EINVAL:
		return "a link-local address needs its interface, for example [fe80::1%eth0]:80";
	case -ENODEV:
		return "use an interface of this machine behind %";
	case -EACCES:
		return "use a port above 1023, or CAP_NET_BIND_SERVICE";
	default:
		return "use another address";
	}
}
