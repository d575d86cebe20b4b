/* SPDX-License-Identifier: MIT */
/* What the layers above may know of a connection and of the request on it; the contracts are in http1.h. */
#include "http1/http1.h"

#include "net/connection.h"

#include <arpa/inet.h>

void pipit_connection_set_request(struct pipit_connection *connection, void *request)
{
	connection->request = request;
}

void *pipit_connection_request(const struct pipit_connection *connection)
{
	return connection->request;
}

bool pipit_connection_keeps_alive(const struct pipit_connection *connection)
{
	return pipit_connection_may_stay(connection);
}

uint8_t pipit_connection_minor(const struct pipit_connection *connection)
{
	return connection->minor;
}

bool pipit_connection_is_head_request(const struct pipit_connection *connection)
{
	return connection->is_head;
}

char *pipit_connection_take_body(struct pipit_connection *connection)
{
	char *body = connection->body;
	connection->body = NULL;
	connection->handed_bytes = connection->body_capacity;
	connection->body_length = connection->body_capacity = 0;
	return body;
}

uint64_t pipit_connection_started_ns(const struct pipit_connection *connection)
{
	return connection->started_ns;
}

uint64_t pipit_connection_elapsed_ns(const struct pipit_connection *connection)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - connection->started_ns;
}

bool pipit_connection_is_in_batch(const struct pipit_connection *connection)
{
	return connection->net->current == connection;
}

uint64_t pipit_connection_body_bytes(const struct pipit_connection *connection)
{
	return connection->body_bytes;
}

int pipit_connection_status(const struct pipit_connection *connection)
{
	return connection->status;
}

uint64_t pipit_connection_content_bytes(const struct pipit_connection *connection)
{
	return connection->content_bytes;
}

/* By hand, because inet_ntop() prints: it is wanted for every access line. */
static const char *put_v4(char *text, const struct in_addr *address)
{
	const unsigned char *octet = (const unsigned char *)&address->s_addr;
	char *at = text;

	for (int i = 0; i < 4; i++) {
		if (octet[i] >= 100)
			*at++ = (char)('0' + octet[i] / 100);
		if (octet[i] >= 10)
			*at++ = (char)('0' + octet[i] / 10 % 10);
		*at++ = (char)('0' + octet[i] % 10);
		*at++ = i < 3 ? '.' : '\0';
	}
	return text;
}

const char *pipit_connection_peer(const struct pipit_connection *connection, char *text, size_t size)
{
	if (connection->peer.any.sa_family == AF_INET && size >= INET_ADDRSTRLEN)
		return put_v4(text, &connection->peer.v4.sin_addr);
	if (connection->peer.any.sa_family == AF_INET6 &&
	    inet_ntop(AF_INET6, &connection->peer.v6.sin6_addr, text, (socklen_t)size))
		return text;
	return "-";
}

struct pipit_net *pipit_connection_net(const struct pipit_connection *connection)
{
	return connection->net;
}
