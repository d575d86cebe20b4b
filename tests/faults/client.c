/* SPDX-License-Identifier: MIT */
/* See client.h. */
#include "client.h"

#include "routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

bool client_connect(struct client *client, unsigned port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	client->fd = -1;
	client->length = 0;
	client->is_over = false;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return false;
	/* The kernel completes the connection: this does not wait for the loop. */
	if (syscall(SYS_connect, fd, &address, sizeof address) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		close(fd);
		return false;
	}
	/* Without it, a small piece waits for the acknowledgement of the previous one. */
	syscall(SYS_setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	client->fd = fd;
	return true;
}

void client_leave(struct client *client, bool by_reset)
{
	struct linger at_once = { 1, 0 };
	if (client->fd < 0)
		return;
	if (by_reset)
		syscall(SYS_setsockopt, client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(client->fd);
	client->fd = -1;
}

ssize_t client_say(struct client *client, const char *bytes, size_t length)
{
	ssize_t sent = syscall(SYS_sendto, client->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
	return sent < 0 && errno == EAGAIN ? 0 : sent;
}

bool client_listen(struct client *client)
{
	bool has_come = false;
	while (!client->is_over && client->length < CLIENT_ROOM) {
		ssize_t received = syscall(SYS_recvfrom, client->fd, client->heard + client->length,
		    CLIENT_ROOM - client->length, MSG_DONTWAIT, NULL, NULL);
		if (received < 0 && errno == EAGAIN)
			break;
		has_come = true;
		if (received <= 0)
			client->is_over = true;
		else
			client->length += (size_t)received;
	}
	return has_come;
}

/* ---------------------------------------------------------------- reading a response (RFC 9112 §6.3) */

struct slice {
	const char *data;
	size_t length;
};

struct response {
	int status;
	struct slice head;
	struct slice content; /* decoded, as far as received */
	size_t length;        /* of the whole message, once complete */
	bool is_whole;
	bool has_head;
	bool is_broken; /* not HTTP */
};

static struct slice field_of(struct slice head, const char *name)
{
	size_t name_length = strlen(name);
	const char *at = head.data, *end = head.data + head.length;
	while ((at = memmem(at, (size_t)(end - at), "\r\n", 2))) {
		const char *line_end;
		at += 2;
		if ((size_t)(end - at) <= name_length || strncasecmp(at, name, name_length) != 0 ||
		    at[name_length] != ':')
			continue;
		at += name_length + 1;
		while (*at == ' ')
			at++;
		line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
		return (struct slice){ at, (size_t)(line_end - at) };
	}
	return (struct slice){ NULL, 0 };
}

static bool is_number(struct slice text, int base, size_t *number)
{
	static const char digits[] = "0123456789abcdef";
	*number = 0;
	for (size_t i = 0; i < text.length; i++) {
		const char *digit = memchr(digits, text.data[i] | 0x20, (size_t)base);
		if (!digit || i > 8)
			return false;
		*number = *number * (size_t)base + (size_t)(digit - digits);
	}
	return text.length > 0;
}

static char unframed[CLIENT_ROOM];

/* Decodes chunks from `at` on; true when complete. Sizes are hexadecimal, without extensions or trailers. */
static bool read_chunks(struct slice bytes, size_t at, struct response *response)
{
	size_t used = 0;
	response->content.data = unframed;
	for (;;) {
		const char *line = bytes.data + at, *lf = memmem(line, bytes.length - at, "\r\n", 2);
		size_t size, left;
		if (!lf)
			break;
		if (!is_number((struct slice){ line, (size_t)(lf - line) }, 16, &size)) {
			response->is_broken = true;
			break;
		}
		at = (size_t)(lf + 2 - bytes.data);
		left = bytes.length - at;
		memcpy(unframed + used, bytes.data + at, size < left ? size : left);
		used += size < left ? size : left;
		if (left < size + 2)
			break;
		if (memcmp(bytes.data + at + size, "\r\n", 2) != 0) {
			response->is_broken = true;
			break;
		}
		at += size + 2;
		if (size == 0) {
			response->content.length = used;
			response->length = at;
			return true;
		}
	}
	response->content.length = used;
	return false;
}

static void read_content(struct slice bytes, bool to_head, bool is_over, struct response *response)
{
	size_t start = response->head.length, available = bytes.length - start, length = 0;
	struct slice coding = field_of(response->head, "Transfer-Encoding");
	struct slice announced = field_of(response->head, "Content-Length");

	response->content = (struct slice){ bytes.data + start, available };
	if (announced.data && (coding.data || !is_number(announced, 10, &length))) {
		response->is_broken = true;
	} else if (to_head || response->status == 204 || response->status == 304 || response->status < 200) {
		response->content.length = 0;
		response->length = start;
		response->is_whole = true;
	} else if (coding.data) {
		response->is_whole = read_chunks(bytes, start, response);
	} else if (announced.data) {
		response->is_whole = available >= length;
		response->content.length = available < length ? available : length;
		response->length = start + length;
	} else {
		response->is_whole = is_over;
		response->length = bytes.length;
	}
}

static struct response read_response(struct slice bytes, bool to_head, bool is_over)
{
	struct response response = { .head = { bytes.data, 0 } };
	const char *head_end = memmem(bytes.data, bytes.length, "\r\n\r\n", 4);
	size_t status;

	if (strncmp(bytes.data, "HTTP/1.1 ", bytes.length < 9 ? bytes.length : 9) != 0) {
		response.is_broken = true;
		return response;
	}
	if (!head_end)
		return response;
	response.has_head = true;
	response.head.length = (size_t)(head_end + 4 - bytes.data);
	if (!is_number((struct slice){ bytes.data + 9, 3 }, 10, &status)) {
		response.is_broken = true;
		return response;
	}
	response.status = (int)status;
	read_content(bytes, to_head, is_over, &response);
	return response;
}

/* ---------------------------------------------------------------- checking the result */

static bool is_pattern(struct slice content, size_t whole)
{
	return content.length <= whole && memcmp(content.data, routes_pattern(), content.length) == 0;
}

/* The body so far is a prefix of the expected one. */
static bool may_be_content(const struct answer *answer, struct slice content)
{
	size_t length = answer->begins ? strlen(answer->begins) : 0;
	if (answer->to_head)
		return content.length == 0;
	if (answer->big)
		return is_pattern(content, answer->big);
	if (content.length > length && (answer->ends || answer->more))
		content.length = length;
	return content.length <= length &&
	       memcmp(content.data, answer->begins ? answer->begins : "", content.length) == 0;
}

static bool is_content(const struct answer *answer, struct slice content)
{
	size_t ending = answer->ends ? strlen(answer->ends) : 0;
	if (!may_be_content(answer, content))
		return false;
	if (answer->to_head)
		return true;
	if (answer->big)
		return content.length == answer->big;
	return content.length >= (answer->begins ? strlen(answer->begins) : 0) && content.length >= ending &&
	       memcmp(content.data + content.length - ending, answer->ends ? answer->ends : "", ending) == 0;
}

static bool has_field(const struct response *response, const char *field)
{
	return !field || memmem(response->head.data, response->head.length, field, strlen(field));
}

enum verdict client_judge(const struct client *client, const struct answer *answer, bool may_be_500, size_t *at)
{
	struct slice bytes = { client->heard + *at, client->length - *at };
	struct response response = read_response(bytes, false, client->is_over);

	if (answer->interim && response.status == 100 && response.is_whole) {
		struct answer final = *answer;
		size_t behind = *at + response.length;
		enum verdict verdict;
		final.interim = false;
		verdict = client_judge(client, &final, may_be_500, &behind);
		if (verdict == VERDICT_RIGHT || verdict == VERDICT_REFUSED)
			*at = behind;
		return verdict;
	}
	response = read_response(bytes, answer->to_head, client->is_over);
	if (response.is_broken)
		return VERDICT_WRONG;
	if (response.has_head && response.status != answer->status &&
	    (response.status == 503 || (response.status == 500 && may_be_500))) {
		if (response.is_whole)
			*at += response.length;
		return response.is_whole ? VERDICT_REFUSED : client->is_over ? VERDICT_LOST : VERDICT_MORE;
	}
	if (response.has_head && (response.status != answer->status || !has_field(&response, answer->field)))
		return VERDICT_WRONG;
	if (response.has_head && !may_be_content(answer, response.content))
		return VERDICT_WRONG;
	if (!response.is_whole)
		return client->is_over ? VERDICT_LOST : VERDICT_MORE;
	if (!is_content(answer, response.content))
		return VERDICT_WRONG;
	*at += response.length;
	return VERDICT_RIGHT;
}
