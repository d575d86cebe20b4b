/* SPDX-License-Identifier: MIT */
/* See wire.h. It reads byte by byte where bytes of the next response must stay in the socket. */
#include "wire.h"
#include "pipit.h"
#include "tls_wire.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX (256 * 1024)

/* receive_buffer: in bytes; 0 leaves it to the kernel. */
static int try_connect(unsigned port, int receive_buffer)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	struct timeval patience = { PATIENCE_MS / 1000, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	/* Before connect(), otherwise the window is already announced. */
	if (receive_buffer > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
#ifdef WIRE_HAS_TLS
		return tls_wire_is_on() ? tls_wire_wrap(fd) : fd;
#else
		return fd;
#endif
	close(fd);
	return -1;
}

int wire_try_connect(unsigned port)
{
	return try_connect(port, 0);
}

static int connected(int fd, unsigned port)
{
	ck_assert_msg(fd >= 0, "cannot connect to port %u: %s", port, strerror(errno));
	return fd;
}

int wire_connect(unsigned port)
{
	return connected(try_connect(port, 0), port);
}

int wire_connect_with_small_window(unsigned port)
{
	return connected(try_connect(port, 16 * 1024), port);
}

void wire_configure(struct pipit_config *config)
{
	config->listen[0] = "127.0.0.1:0";
#ifdef WIRE_HAS_TLS
	if (tls_wire_is_on()) {
		const struct tls_wire_files *files = tls_wire_files(getenv("PIPIT_DAEMON"));
		config->listen[0] = "https://127.0.0.1:0";
		config->tls_certificate[0] = files->certificate;
		config->tls_key[0] = files->key;
		config->tls_certificate_count = config->tls_key_count = 1;
	}
#endif
}

bool wire_send(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;
	while (length > 0) {
		ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		at += sent;
		length -= (size_t)sent;
	}
	return true;
}

bool wire_trickle(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	for (size_t i = 0; i < length; i++) {
		if (!wire_send(fd, at + i, 1))
			return false;
	}
	return true;
}

static bool send_formatted(int fd, const char *format, va_list arguments)
{
	char *text;
	int length = vasprintf(&text, format, arguments);
	bool is_sent;
	ck_assert_int_ge(length, 0);
	is_sent = wire_send(fd, text, (size_t)length);
	free(text);
	return is_sent;
}

bool wire_print(int fd, const char *format, ...)
{
	va_list arguments;
	bool is_sent;
	va_start(arguments, format);
	is_sent = send_formatted(fd, format, arguments);
	va_end(arguments);
	return is_sent;
}

static bool read_byte(int fd, char *byte)
{
	ssize_t received;
	do {
		received = recv(fd, byte, 1, 0);
	} while (received < 0 && errno == EINTR);
	return received == 1;
}

/* Reads up to and including the empty line; false when the connection ends or the head is too long. */
static bool read_head(int fd, struct wire_response *response)
{
	char *head = malloc(HEAD_MAX);
	size_t length = 0;
	ck_assert_ptr_nonnull(head);
	while (length < HEAD_MAX - 1 && read_byte(fd, &head[length])) {
		length++;
		if (length >= 4 && memcmp(head + length - 4, "\r\n\r\n", 4) == 0) {
			head[length - 2] = '\0';
			response->head = head;
			return true;
		}
	}
	free(head);
	return false;
}

const char *wire_field(const struct wire_response *response, const char *name)
{
	static char value[8192];
	size_t name_length = strlen(name);
	for (const char *line = strstr(response->head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, name_length) != 0 || line[name_length] != ':')
			continue;
		snprintf(
		    value, sizeof value, "%.*s", (int)strcspn(line + name_length + 2, "\r"), line + name_length + 2);
		return value;
	}
	return NULL;
}

static bool read_exactly(int fd, struct wire_response *response, size_t length)
{
	response->content = realloc(response->content, response->length + length + 1);
	ck_assert_ptr_nonnull(response->content);
	while (length > 0) {
		ssize_t received = recv(fd, response->content + response->length, length, 0);
		if (received <= 0)
			return false;
		response->length += (size_t)received;
		length -= (size_t)received;
	}
	return true;
}

static bool read_line_end(int fd)
{
	char bytes[2];
	return read_byte(fd, &bytes[0]) && read_byte(fd, &bytes[1]) && bytes[0] == '\r' && bytes[1] == '\n';
}

static bool read_chunks(int fd, struct wire_response *response)
{
	for (;;) {
		char line[32];
		size_t length = 0, size;
		char *end;
		while (length < sizeof line - 1 && read_byte(fd, &line[length]) && line[length] != '\r')
			length++;
		if (line[length] != '\r' || !read_byte(fd, &line[length]) || line[length] != '\n')
			return false;
		line[length] = '\0';
		size = strtoul(line, &end, 16);
		if (length == 0 || *end != '\0')
			return false;
		if (size > 0 && !read_exactly(fd, response, size))
			return false;
		if (!read_line_end(fd))
			return false;
		if (size == 0)
			return true;
	}
}

/* RFC 9112 §6.3, for a client. */
static bool read_content(int fd, struct wire_response *response, bool to_head)
{
	const char *coding = wire_field(response, "Transfer-Encoding");
	const char *length;

	response->is_chunked = coding && strcasecmp(coding, "chunked") == 0;
	length = wire_field(response, "Content-Length");
	if (to_head || response->status == 204 || response->status == 304)
		return true;
	if (response->is_chunked)
		return !length && read_chunks(fd, response);
	if (length)
		return read_exactly(fd, response, strtoul(length, NULL, 10));
	for (;;) {
		if (!read_exactly(fd, response, 1))
			return true;
	}
}

struct wire_response wire_read(int fd, bool to_head)
{
	struct wire_response response = { 0 };
	const char *connection;

	do {
		free(response.head);
		response = (struct wire_response){ 0 };
		if (!read_head(fd, &response) || strncmp(response.head, "HTTP/1.", 7) != 0) {
			free(response.head);
			return (struct wire_response){ .head = strdup(""), .content = strdup("") };
		}
		response.status = atoi(response.head + 9);
	} while (response.status < 200);
	response.content = calloc(1, 1);
	ck_assert_ptr_nonnull(response.content);
	response.is_complete = read_content(fd, &response, to_head);
	response.content[response.length] = '\0';
	connection = wire_field(&response, "Connection");
	response.closes = connection && strcasecmp(connection, "close") == 0;
	return response;
}

void wire_free(struct wire_response *response)
{
	free(response->head);
	free(response->content);
	*response = (struct wire_response){ 0 };
}

struct wire_response wire_ask(int fd, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	ck_assert(send_formatted(fd, format, arguments));
	va_end(arguments);
	return wire_read(fd, strncmp(format, "HEAD ", 5) == 0);
}

bool wire_is_closed(int fd)
{
	char byte;
	ssize_t received = recv(fd, &byte, 1, 0);
	return received == 0 || (received < 0 && (errno == ECONNRESET || errno == EPIPE));
}

char *wire_read_all(int fd, size_t *length)
{
	char *bytes = NULL;
	size_t used = 0;
	for (;;) {
		ssize_t received;
		bytes = realloc(bytes, used + 65536 + 1);
		ck_assert_ptr_nonnull(bytes);
		received = recv(fd, bytes + used, 65536, 0);
		if (received > 0) {
			used += (size_t)received;
			continue;
		}
		if (received < 0 && errno != ECONNRESET) {
			free(bytes);
			return NULL;
		}
		bytes[used] = '\0';
		if (length)
			*length = used;
		return bytes;
	}
}

bool wire_is_readable(int fd, int limit_ms)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	return poll(&waiting, 1, limit_ms) > 0;
}

long long wire_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

bool wire_wait(bool (*condition)(void *arg), void *arg)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	const struct timespec pause = { 0, 5 * 1000 * 1000 };
	while (!condition(arg)) {
		if (wire_now_ms() > end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

struct wire_response wire_get(int fd, const char *target)
{
	return wire_ask(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
}

void wire_expect(struct wire_response response, int status, const char *content)
{
	ck_assert_int_eq(response.status, status);
	ck_assert(response.is_complete);
	if (content)
		ck_assert_str_eq(response.content, content);
	wire_free(&response);
}

double wire_metric(const char *page, const char *sample)
{
	size_t length = strlen(sample);
	for (const char *line = page; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, sample, length) == 0 && line[length] == ' ')
			return strtod(line + length, NULL);
	}
	return -1;
}
