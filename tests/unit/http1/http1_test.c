/* SPDX-License-Identifier: MIT */
/*
 * Connections between real sockets and a handler table of this test, which notes every call and replies by the request's path.
 * Clients are in the same process and thread; a test turns the loop until its condition is true.
 */
#include "http1/http1.h"

#include "base/shared_fd.h"
#include "http/response_head.h"
#include "http1/acceptor.h"
#include "http1/timeouts.h"
#include "metrics/counters.h"
#include "metrics/prometheus.h"
#include "net/connection.h"
#include "net/eviction.h"
#include "net/limits.h"
#include "pipit.h"
#include "suite.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MIB (1024 * 1024)
#define HOUR_MS (3600u * 1000)
/* Turns in which nothing may happen. */
#define QUIET_TURNS 20
#define CLIENTS_MAX 160

#define SMALL_FILE_BYTES 1000
#define LARGE_FILE_BYTES (12 * MIB + 17)
#define HUGE_BYTES (50 * MIB)

/* ---------------------------------------------------------------- in the place of libc's: calls are counted, the clock jumps */

static unsigned received_calls, sent_calls, sendfile_calls;
static time_t skew_s;       /* by which the clock has jumped ahead */
static uint64_t stopped_ms; /* CLOCK_MONOTONIC; 0: it runs */

/* Called once, right after the next recv() with MSG_PEEK. */
static void (*after_peek)(void);

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
	ssize_t received = syscall(SYS_recvfrom, fd, bytes, length, flags, NULL, NULL);
	int error = errno;
	void (*callback)(void) = after_peek;

	received_calls++;
	if (flags & MSG_PEEK && callback) {
		after_peek = NULL;
		callback();
	}
	errno = error;
	return received;
}

/* Of the next send(); 0: none. */
static int send_error;

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	sent_calls++;
	if (send_error) {
		errno = send_error;
		send_error = 0;
		return -1;
	}
	return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	sent_calls++;
	return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length)
{
	sendfile_calls++;
	return syscall(SYS_sendfile, to, from, offset, length);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);
	now->tv_sec += skew_s;
	if (stopped_ms && clock == CLOCK_MONOTONIC)
		*now = (struct timespec){ (time_t)(stopped_ms / 1000), (long)(stopped_ms % 1000) * 1000000 };
	return result;
}

/* Libraries find only visible functions. */
#define VISIBLE __attribute__((visibility("default")))

/* evhttp dates by it. */
VISIBLE time_t time(time_t *now)
{
	struct timespec precise;
	clock_gettime(CLOCK_REALTIME, &precise);
	if (now)
		*now = precise.tv_sec;
	return precise.tv_sec;
}

static struct event_base *base;
static bool stops_at_accept, stops_at_finish, forbids_local_sockets;

/* The loop may end right after a connection was accepted. */
VISIBLE int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	int accepted = (int)syscall(SYS_accept4, fd, address, length, flags);
	if (accepted >= 0 && stops_at_accept)
		event_base_loopbreak(base);
	return accepted;
}

/* As in a sandbox. */
int socket(int domain, int type, int protocol)
{
	if (domain == AF_UNIX && forbids_local_sockets) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return (int)syscall(SYS_socket, domain, type, protocol);
}

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Without skew, and never stopped. */
static uint64_t real_ms(void)
{
	struct timespec now;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Not before Check started the test: it fails one that ends earlier. */
static uint64_t stop_clock(void)
{
	return stopped_ms = now_ms() + 1;
}

/* ---------------------------------------------------------------- the state of a test */

struct client {
	int fd; /* -1: closed */
	char *received;
	size_t length, capacity;
	bool is_over; /* the server has closed, or reset */
};

/* The handler table's, for a request. */
struct visit {
	struct pipit_connection *connection;
	const struct pipit_guard_head *head;
	struct pipit_guard_head *retained; /* owned, with its bytes behind it; NULL while the head lies in the input */
	const struct act *act;
	bool is_replied;
};

static struct pipit_config config;
static struct pipit_counters *counters;
static struct pipit_net *net;
static struct pipit_limits *limits;
static uint16_t port;
static struct client clients[CLIENTS_MAX];
static size_t client_count, open_before;
static uint64_t given_up; /* real_ms() */

/* The calls of the handler table, in order, with a blank between; "complete" and "lost" are those of finished(). */
static char journal[1024];
static char refused_line[256];
static unsigned visit_count, counted_count, emptied_count, pause_count;
static struct visit *waiting;                 /* the native request with a deferred reply */
static struct evhttp_request *waiting_evhttp; /* owned: it needs a reply even after its client has closed */
static char *last_body;                       /* of the last handler, a copy with its NUL */
static size_t last_body_length;
static uint64_t body_limit;
static bool retain_fails, has_room_elsewhere, is_journal_closed;
static enum pipit_evhttp_mode evhttp_mode; /* of this test's net */

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
	size_t length = strlen(journal);
	va_list arguments;
	if (is_journal_closed)
		return;
	va_start(arguments, format);
	if (length)
		length += (size_t)snprintf(journal + length, sizeof journal - length, " ");
	vsnprintf(journal + length, sizeof journal - length, format, arguments);
	va_end(arguments);
	ck_assert_uint_lt(strlen(journal) + 1, sizeof journal);
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	if (real_ms() > given_up)
		ck_abort_msg("waited in vain; so far: \"%s\"", journal);
}

static void stay_quiet(void)
{
	for (int i = 0; i < QUIET_TURNS; i++)
		turn();
}

/* ---------------------------------------------------------------- replies */

static void reply_with_file(
    struct pipit_connection *connection, int status, struct pipit_slice content, int file, uint64_t file_length)
{
	char rendered[PIPIT_RESPONSE_HEAD_MAX];
	struct pipit_response_head head = {
		.status = status,
		.content_type = "text/plain",
		.content_length = content.length + file_length,
		.date = pipit_net_date(pipit_connection_net(connection)),
		.minor = pipit_connection_minor(connection),
		.keep_alive = pipit_connection_keeps_alive(connection),
	};
	struct pipit_slice bytes = { rendered, pipit_response_head_render(rendered, &head) };
	((struct visit *)pipit_connection_request(connection))->is_replied = true;
	if (pipit_connection_is_head_request(connection))
		content.length = 0;
	pipit_http1_reply(connection, status, bytes,
	    &(struct pipit_reply_content){
		.memory = content,
		.file = file < 0 ? NULL : pipit_shared_fd_new(file),
		.length = content.length + file_length,
	    });
}

static void reply(struct pipit_connection *connection, int status, struct pipit_slice content)
{
	reply_with_file(connection, status, content, -1, 0);
}

/* Replies "<target> <body>;". */
static void echo(struct visit *visit, struct pipit_slice body)
{
	size_t target_length = visit->head->target_length;
	char *content = malloc(target_length + body.length + 2);

	ck_assert_ptr_nonnull(content);
	memcpy(content, visit->head->bytes + visit->head->target, target_length);
	content[target_length] = ' ';
	memcpy(content + target_length + 1, body.data, body.length);
	content[target_length + body.length + 1] = ';';
	reply(visit->connection, 200, (struct pipit_slice){ content, target_length + body.length + 2 });
	free(content);
}

static char pattern(size_t at)
{
	return (char)('a' + at % 251 % 26);
}

static int new_file(size_t length)
{
	int fd = memfd_create("content", MFD_CLOEXEC);
	char *bytes;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)length), 0);
	bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	for (size_t i = 0; i < length; i++)
		bytes[i] = pattern(i);
	munmap(bytes, length);
	return fd;
}

static void act_now(struct visit *visit, struct pipit_slice body)
{
	echo(visit, body);
}

static void act_later(struct visit *visit, struct pipit_slice body)
{
	(void)body;
	ck_assert_ptr_null(waiting);
	waiting = visit;
}

static void act_small_file(struct visit *visit, struct pipit_slice body)
{
	(void)body;
	reply_with_file(
	    visit->connection, 200, (struct pipit_slice){ "", 0 }, new_file(SMALL_FILE_BYTES), SMALL_FILE_BYTES);
}

/* Its head announces more than the file has. */
static void act_short_file(struct visit *visit, struct pipit_slice body)
{
	(void)body;
	reply_with_file(
	    visit->connection, 200, (struct pipit_slice){ "", 0 }, new_file(SMALL_FILE_BYTES - 1), SMALL_FILE_BYTES);
}

static void act_large_file(struct visit *visit, struct pipit_slice body)
{
	(void)body;
	reply_with_file(
	    visit->connection, 200, (struct pipit_slice){ "", 0 }, new_file(LARGE_FILE_BYTES), LARGE_FILE_BYTES);
}

/* Sparse: only its size matters. */
static void act_huge_file(struct visit *visit, struct pipit_slice body)
{
	int fd = memfd_create("content", MFD_CLOEXEC);
	(void)body;
	ck_assert_int_eq(ftruncate(fd, HUGE_BYTES), 0);
	reply_with_file(visit->connection, 200, (struct pipit_slice){ "", 0 }, fd, HUGE_BYTES);
}

static void act_huge(struct visit *visit, struct pipit_slice body)
{
	char *content = calloc(1, HUGE_BYTES);
	(void)body;
	ck_assert_ptr_nonnull(content);
	reply(visit->connection, 200, (struct pipit_slice){ content, HUGE_BYTES });
	free(content);
}

static void send_evhttp(struct evhttp_request *request, const char *text, size_t length)
{
	struct evbuffer *content = evbuffer_new();
	ck_assert_ptr_nonnull(content);
	evbuffer_add(content, text, length);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void act_evhttp(struct evhttp_request *request)
{
	send_evhttp(request, "evhttp", 6);
}

/* More content than announced. */
static void act_evhttp_excess(struct evhttp_request *request)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", "5");
	act_evhttp(request);
}

/* Not a final status. */
static void act_evhttp_interim(struct evhttp_request *request)
{
	evhttp_send_reply(request, 100, "Continue", NULL);
}

/* evhttp closes the connection by itself after its error page. */
static void act_evhttp_error(struct evhttp_request *request)
{
	evhttp_send_error(request, 404, NULL);
}

static void act_evhttp_later(struct evhttp_request *request)
{
	ck_assert_ptr_null(waiting_evhttp);
	waiting_evhttp = request;
}

/* What the socket does not take waits in evhttp's buffer. */
static void act_evhttp_huge(struct evhttp_request *request)
{
	char *content = calloc(1, HUGE_BYTES);
	ck_assert_ptr_nonnull(content);
	send_evhttp(request, content, HUGE_BYTES);
	free(content);
}

static const struct act {
	const char *path;
	enum pipit_decision decision;
	void (*handle)(struct visit *visit, struct pipit_slice body); /* native */
	void (*call)(struct evhttp_request *request);                 /* of evhttp */
} acts[] = {
	{ "/now", PIPIT_DECIDE_NATIVE, act_now, NULL },
	{ "/later", PIPIT_DECIDE_NATIVE, act_later, NULL },
	{ "/small-file", PIPIT_DECIDE_NATIVE, act_small_file, NULL },
	{ "/short-file", PIPIT_DECIDE_NATIVE, act_short_file, NULL },
	{ "/large-file", PIPIT_DECIDE_NATIVE, act_large_file, NULL },
	{ "/huge-file", PIPIT_DECIDE_NATIVE, act_huge_file, NULL },
	{ "/huge", PIPIT_DECIDE_NATIVE, act_huge, NULL },
	{ "/evhttp", PIPIT_DECIDE_EVHTTP, NULL, act_evhttp },
	{ "/evhttp-excess", PIPIT_DECIDE_EVHTTP, NULL, act_evhttp_excess },
	{ "/evhttp-interim", PIPIT_DECIDE_EVHTTP, NULL, act_evhttp_interim },
	{ "/evhttp-error", PIPIT_DECIDE_EVHTTP, NULL, act_evhttp_error },
	{ "/evhttp-later", PIPIT_DECIDE_EVHTTP, NULL, act_evhttp_later },
	{ "/evhttp-huge", PIPIT_DECIDE_EVHTTP, NULL, act_evhttp_huge },
	{ "/answered", PIPIT_DECIDE_ANSWERED, NULL, NULL },
	{ "/no-memory", PIPIT_DECIDE_NO_MEMORY, NULL, NULL },
};

/* ---------------------------------------------------------------- the handler table */

static const struct act *find_act(const struct pipit_guard_head *head)
{
	struct pipit_slice path = pipit_guard_slice(head, head->path, head->path_length);
	for (size_t i = 0; i < COUNT(acts); i++) {
		if (pipit_slice_equals(path, acts[i].path))
			return &acts[i];
	}
	ck_abort_msg("no such act: %.*s", (int)path.length, path.data);
	return NULL;
}

static struct visit *visit_of(void *context, const struct pipit_connection *connection)
{
	struct visit *visit = pipit_connection_request(connection);
	ck_assert_ptr_eq(context, journal);
	ck_assert_ptr_nonnull(visit);
	ck_assert_ptr_eq(visit->connection, connection);
	return visit;
}

static void free_visit(struct visit *visit)
{
	if (waiting == visit)
		waiting = NULL;
	free(visit->retained);
	free(visit);
	visit_count--;
}

static enum pipit_decision on_head(
    void *context, struct pipit_connection *connection, const struct pipit_guard_head *head, uint64_t *limit)
{
	const struct act *act = find_act(head);
	struct visit *visit;

	ck_assert_ptr_eq(context, journal);
	ck_assert_ptr_null(pipit_connection_request(connection));
	note("head");
	*limit = body_limit;
	if (act->decision == PIPIT_DECIDE_NO_MEMORY)
		return act->decision;
	visit = calloc(1, sizeof *visit);
	ck_assert_ptr_nonnull(visit);
	visit_count++;
	visit->connection = connection;
	visit->head = head;
	visit->act = act;
	pipit_connection_set_request(connection, visit);
	if (act->decision == PIPIT_DECIDE_ANSWERED)
		reply(connection, 405, pipit_slice_of("answered"));
	return act->decision;
}

static const struct pipit_guard_head *on_retain(void *context, struct pipit_connection *connection)
{
	struct visit *visit = visit_of(context, connection);
	const struct pipit_guard_head *head = visit->head;

	if (visit->retained)
		return visit->head;
	/* Once there is a reply, it depends on the socket. */
	if (!visit->is_replied)
		note("retain");
	if (retain_fails)
		return NULL;
	visit->retained = malloc(sizeof *head + head->length);
	ck_assert_ptr_nonnull(visit->retained);
	*visit->retained = *head;
	visit->retained->bytes = memcpy(visit->retained + 1, head->bytes, head->length);
	return visit->head = visit->retained;
}

static char *new_last_body(size_t length)
{
	free(last_body);
	last_body = malloc(length + 1);
	ck_assert_ptr_nonnull(last_body);
	last_body_length = length;
	return last_body;
}

static void on_handle(void *context, struct pipit_connection *connection, struct pipit_slice body)
{
	struct visit *visit = visit_of(context, connection);

	note("handle");
	ck_assert_int_eq(body.data[body.length], '\0');
	memcpy(new_last_body(body.length), body.data, body.length + 1);
	visit->act->handle(visit, body);
}

static void on_call(void *context, struct pipit_connection *connection, struct evhttp_request *request)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	size_t length = evbuffer_get_length(body);

	note("handle");
	new_last_body(length)[length] = '\0';
	evbuffer_copyout(body, last_body, length);
	visit_of(context, connection)->act->call(request);
}

static void on_count(void *context, struct pipit_connection *connection)
{
	unsigned method = visit_of(context, connection)->head->method;
	int status = pipit_connection_status(connection);

	counted_count++;
	if (pipit_connection_is_in_batch(connection))
		pipit_counters_request_in_batch(counters, 0, method, status, pipit_connection_started_ns(connection),
		    pipit_connection_body_bytes(connection), pipit_connection_content_bytes(connection));
	else
		pipit_counters_request(counters, 0, method, status, pipit_connection_elapsed_ns(connection),
		    pipit_connection_body_bytes(connection), pipit_connection_content_bytes(connection));
}

static void on_finished(void *context, struct pipit_connection *connection, bool complete)
{
	struct visit *visit = visit_of(context, connection);
	note(complete ? "complete" : "lost");
	if (stops_at_finish)
		event_base_loopbreak(base);
	free_visit(visit);
}

static void on_refused(void *context, struct pipit_connection *connection, enum pipit_refusal reason,
    struct pipit_slice line, size_t content_bytes)
{
	ck_assert_ptr_eq(context, journal);
	ck_assert_uint_gt(content_bytes, 0);
	note("refused:%s", pipit_refusal_entry(reason)->label);
	snprintf(refused_line, sizeof refused_line, "%.*s", (int)line.length, line.data);
	if (pipit_connection_request(connection))
		free_visit(visit_of(context, connection));
}

static void on_client_closed(void *context, struct pipit_connection *connection)
{
	visit_of(context, connection);
	note("client_closed");
}

static bool on_evict_elsewhere(void *context, enum pipit_evictable which)
{
	ck_assert_ptr_eq(context, journal);
	if (which != PIPIT_EVICTABLE_ANY)
		return false;
	note("elsewhere");
	return has_room_elsewhere;
}

static void on_pause_accepting(void *context)
{
	ck_assert_ptr_eq(context, journal);
	pause_count++;
}

static void on_emptied(void *context)
{
	ck_assert_ptr_eq(context, journal);
	emptied_count++;
}

static const struct pipit_handler_table handlers = {
	.head = on_head,
	.retain = on_retain,
	.handle = on_handle,
	.call = on_call,
	.count = on_count,
	.finished = on_finished,
	.refused = on_refused,
	.client_closed = on_client_closed,
	.evict_elsewhere = on_evict_elsewhere,
	.pause_accepting = on_pause_accepting,
	.emptied = on_emptied,
};

/* ---------------------------------------------------------------- clients */

static struct client *new_client(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	struct client *client = &clients[client_count++];

	ck_assert_uint_le(client_count, CLIENTS_MAX);
	*client = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	ck_assert_int_ge(client->fd, 0);
	ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	return client;
}

/* Connect, and wait until the connection is accepted. */
static struct client *connect_client(void)
{
	uint64_t accepted = pipit_counter(counters, PIPIT_COUNT_ACCEPTED);
	struct client *client = new_client();
	while (pipit_counter(counters, PIPIT_COUNT_ACCEPTED) == accepted)
		turn();
	return client;
}

static void close_client(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/* Close with a reset. */
static void reset_client(struct client *client)
{
	struct linger at_once = { .l_onoff = 1 };
	ck_assert_int_eq(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
	close_client(client);
}

static void send_bytes(struct client *client, const char *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(client->fd, bytes, length);
		if (written < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			turn();
			continue;
		}
		bytes += written;
		length -= (size_t)written;
	}
}

static void send_text(struct client *client, const char *text)
{
	send_bytes(client, text, strlen(text));
}

/* Take what has arrived. */
static void receive_from(struct client *client)
{
	for (;;) {
		ssize_t count;
		if (client->capacity - client->length < 2) {
			client->capacity = client->capacity ? 2 * client->capacity : 4096;
			client->received = realloc(client->received, client->capacity);
			ck_assert_ptr_nonnull(client->received);
		}
		count = read(client->fd, client->received + client->length, client->capacity - client->length - 1);
		if (count <= 0) {
			client->is_over = client->is_over || count == 0 || errno != EAGAIN;
			return;
		}
		client->length += (size_t)count;
		client->received[client->length] = '\0';
	}
}

static bool has_received(struct client *client, const char *text)
{
	receive_from(client);
	return client->length && memmem(client->received, client->length, text, strlen(text));
}

static void await(struct client *client, const char *text)
{
	while (!has_received(client, text)) {
		ck_assert_msg(!client->is_over, "closed before \"%s\" came; received: %.*s", text,
		    client->length < 512 ? (int)client->length : 512, client->length ? client->received : "");
		turn();
	}
}

static void await_end(struct client *client)
{
	while (!client->is_over) {
		turn();
		receive_from(client);
	}
}

static void clear_received(struct client *client)
{
	client->length = 0;
}

static size_t count_received(struct client *client, const char *text)
{
	size_t count = 0;
	const char *at = client->length ? client->received : "", *end = at + client->length;
	for (; (at = memmem(at, (size_t)(end - at), text, strlen(text))); at++)
		count++;
	return count;
}

/* All that was sent lies in the server's socket. */
static void await_delivery(const struct client *client)
{
	int unsent = 1;
	while (unsent) {
		ck_assert_int_eq(ioctl(client->fd, SIOCOUTQ, &unsent), 0);
		ck_assert_uint_le(real_ms(), given_up);
	}
}

static void await_journal(const char *text)
{
	while (strcmp(journal, text) != 0 && strncmp(journal, text, strlen(journal)) == 0)
		turn();
	stay_quiet();
	ck_assert_str_eq(journal, text);
}

static void await_state(enum pipit_counters_state state, uint64_t count)
{
	while (pipit_counters_in_state(counters, state) != count)
		turn();
}

static void await_connections(uint64_t count)
{
	while (pipit_counters_connections(counters) != count)
		turn();
	ck_assert_uint_eq(pipit_limits_connections(limits), count);
}

/* ---------------------------------------------------------------- fixtures */

static size_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static int new_listener(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	port = ntohs(address.sin_port);
	return fd;
}

static void forget_everything(void)
{
	memset(journal, 0, sizeof journal);
	memset(refused_line, 0, sizeof refused_line);
	visit_count = counted_count = emptied_count = pause_count = 0;
	waiting = NULL;
	waiting_evhttp = NULL;
	body_limit = 0;
	skew_s = 0;
	stopped_ms = 0;
	send_error = 0;
	retain_fails = has_room_elsewhere = is_journal_closed = stops_at_accept = stops_at_finish =
	    forbids_local_sockets = false;
	client_count = 0;
	limits = pipit_limits_new(0);
	ck_assert_ptr_nonnull(limits);
}

static bool has_evhttp(void)
{
	return evhttp_mode != PIPIT_EVHTTP_NONE;
}

static void set_up_transport(enum pipit_evhttp_mode mode)
{
	evhttp_mode = mode;
	forget_everything();
	given_up = real_ms() + (uint64_t)PATIENCE_MS;
	open_before = count_descriptors();
	pipit_config_init(&config);
	/* Every test sets its own deadline or limit. */
	config.min_rate_bytes = config.memory_limit = 0;
	base = event_base_new();
	counters = pipit_counters_new(1, "epoll", "", CLOCK_PROCESS_CPUTIME_ID);
	ck_assert(base && counters);
	net = pipit_http1_new(base, &config, counters, limits, &handlers, journal, evhttp_mode, NULL);
	ck_assert_ptr_nonnull(net);
	ck_assert_int_eq(pipit_acceptor_add(net, new_listener(), false, NULL, NULL), 0);
}

static void set_up_with_own_links(void)
{
	set_up_transport(PIPIT_EVHTTP_OWN);
}

static void set_up_with_borrowed_links(void)
{
	set_up_transport(PIPIT_EVHTTP_BORROWED);
}

static void set_up_without(void)
{
	set_up_transport(PIPIT_EVHTTP_NONE);
}

/* Cases with an evhttp callback are skipped where there is none. */
static bool is_impossible(const char *text)
{
	return !has_evhttp() && strstr(text, "/evhttp");
}

/* Everything is freed, and no function of the handler table is called after pipit_http1_free(). */
static void tear_down(void)
{
	char before[sizeof journal];

	pipit_http1_free(net);
	/* What libevent frees later is not counted. */
	ck_assert_uint_eq(pipit_limits_connections(limits), 0);
	ck_assert_uint_eq(pipit_counters_connections(counters), 0);
	strcpy(before, journal);
	emptied_count = 0;
	if (waiting_evhttp)
		send_evhttp(waiting_evhttp, "late", 4);
	event_base_free(base);
	ck_assert_str_eq(journal, before);
	ck_assert_uint_eq(emptied_count, 0);
	ck_assert_uint_eq(pause_count, 0);
	ck_assert_uint_eq(visit_count, 0);
	ck_assert_uint_eq(pipit_limits_connections(limits), 0);
	ck_assert_uint_eq(pipit_limits_bytes(limits), 0);
	pipit_limits_free(limits);
	for (int state = 0; state < PIPIT_STATE_COUNT; state++)
		ck_assert_uint_eq(pipit_counters_in_state(counters, (enum pipit_counters_state)state), 0);
	ck_assert_uint_eq(pipit_counters_connections(counters), 0);
	pipit_counters_free(counters);
	for (size_t i = 0; i < client_count; i++) {
		close_client(&clients[i]);
		free(clients[i].received);
	}
	free(last_body);
	last_body = NULL;
	ck_assert_uint_eq(count_descriptors(), open_before);
}

#define REQUEST(line) line " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, length, content) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " length "\r\n\r\n" content
#define CHUNKED(path, content) "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" content

/* ---------------------------------------------------------------- the order of calls */

/* `second` is sent when the server has taken `first` and waits for more. */
static const struct {
	const char *first, *second;
	uint64_t body_limit;
	const char *journal, *received, *body;
} lives[] = {
	{ REQUEST("GET /now"), NULL, 0, "head handle complete", "/now ;", "" },
	{ "GET /now HTTP/1.1\r\nHo", "st: a\r\n\r\n", 0, "head handle complete", "/now ;", "" },
	{ REQUEST("HEAD /now"), NULL, 0, "head handle complete", "Content-Length: 6\r\n\r\n", "" },
	{ POST("/now", "5", "hello"), NULL, 0, "head handle complete", "/now hello;", "hello" },
	{ POST("/now", "5", ""), "hello", 0, "head retain handle complete", "/now hello;", "hello" },
	{ POST("/now", "5", "he"), "llo", 0, "head retain handle complete", "/now hello;", "hello" },
	{ POST("/now", "0", ""), NULL, 0, "head handle complete", "/now ;", "" },
	{ CHUNKED("/now", "5\r\nhello\r\n0\r\n\r\n"), NULL, 0, "head retain handle complete", "/now hello;", "hello" },
	{ CHUNKED("/now", "2\r\nhe\r\n3\r"), "\nllo\r\n0\r\n\r\n", 0, "head retain handle complete", "/now hello;",
	    "hello" },
	{ CHUNKED("/now", "0\r\n\r\n"), NULL, 0, "head retain handle complete", "/now ;", "" },
	{ "POST /now HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "hello", 0,
	    "head retain handle complete", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "hello" },
	{ POST("/now", "5", "hello"), NULL, 5, "head handle complete", "/now hello;", "hello" },
	{ CHUNKED("/now", "5\r\nhello\r\n0\r\n\r\n"), NULL, 5, "head retain handle complete", "/now hello;", "hello" },
	{ REQUEST("GET /answered"), NULL, 0, "head complete", "answered", NULL },
	{ REQUEST("GET /evhttp"), NULL, 0, "head handle complete", "evhttp", "" },
	{ POST("/evhttp", "5", "hello"), NULL, 0, "head handle complete", "evhttp", "hello" },
	{ POST("/evhttp", "5", "he"), "llo", 0, "head retain handle complete", "evhttp", "hello" },
	{ CHUNKED("/evhttp", "5\r\nhello\r\n0\r\n\r\n"), NULL, 0, "head retain handle complete", "evhttp", "hello" },
};

START_TEST(calls_the_handler_table_in_order_and_keeps_the_connection)
{
	struct client *client = connect_client();

	if (is_impossible(lives[_i].first))
		return;
	body_limit = lives[_i].body_limit;
	send_text(client, lives[_i].first);
	if (lives[_i].second) {
		await_state(PIPIT_STATE_READING, 1);
		send_text(client, lives[_i].second);
	}
	await_journal(lives[_i].journal);
	await(client, lives[_i].received);
	if (lives[_i].body) {
		ck_assert_uint_eq(last_body_length, strlen(lives[_i].body));
		ck_assert_mem_eq(last_body, lives[_i].body, last_body_length + 1);
	}
	ck_assert(!has_received(client, "Connection: close"));
	await_state(PIPIT_STATE_IDLE, 1);
	/* The connection serves the next request. */
	memset(journal, 0, sizeof journal);
	send_text(client, REQUEST("GET /now?again"));
	await(client, "/now?again ;");
	await_journal("head handle complete");
}
END_TEST

static const struct {
	const char *text;
	uint64_t body_limit;
	bool retain_fails;
	const char *journal, *status;
	const char *line;
} refusals[] = {
	{ "GET /now HTTP/1.1\r\n\r\n", 0, false, "refused:host", "400", "GET /now HTTP/1.1" },
	{ "BREW /now HTTP/1.1\r\nHost: a\r\n\r\n", 0, false, "refused:method_unknown", "501", "BREW /now HTTP/1.1" },
	{ POST("/now", "5", ""), 4, false, "head refused:body_too_large", "413", "POST /now HTTP/1.1" },
	{ POST("/now", "5", "hello"), 4, false, "head refused:body_too_large", "413", "POST /now HTTP/1.1" },
	{ CHUNKED("/now", "5\r\nhello\r\n0\r\n\r\n"), 4, false, "head retain refused:body_too_large", "413",
	    "POST /now HTTP/1.1" },
	{ CHUNKED("/now", "4\r\nhell\r\n1\r\no\r\n"), 4, false, "head retain refused:body_too_large", "413",
	    "POST /now HTTP/1.1" },
	{ CHUNKED("/now", "x\r\n"), 0, false, "head retain refused:chunk", "400", "POST /now HTTP/1.1" },
	{ POST("/now", "5", "he"), 0, true, "head retain refused:out_of_memory", "503", "POST /now HTTP/1.1" },
	{ CHUNKED("/now", "5\r\nhello\r\n0\r\n\r\n"), 0, true, "head retain refused:out_of_memory", "503",
	    "POST /now HTTP/1.1" },
	{ REQUEST("GET /no-memory"), 0, false, "head refused:out_of_memory", "503", "GET /no-memory HTTP/1.1" },
};

START_TEST(refuses_without_finishing_and_closes)
{
	struct client *client = connect_client();
	char status_line[32];

	body_limit = refusals[_i].body_limit;
	retain_fails = refusals[_i].retain_fails;
	send_text(client, refusals[_i].text);
	await_end(client);
	await_journal(refusals[_i].journal);
	snprintf(status_line, sizeof status_line, "HTTP/1.1 %s ", refusals[_i].status);
	ck_assert_int_eq(strncmp(client->received, status_line, strlen(status_line)), 0);
	ck_assert_uint_eq(count_received(client, "\r\n\r\n"), 1);
	ck_assert(has_received(client, "Connection: close\r\n"));
	ck_assert_str_eq(refused_line, refusals[_i].line);
	/* It lingers until the client closes, too. */
	ck_assert_uint_eq(pipit_counters_in_state(counters, PIPIT_STATE_CLOSING), 1);
	close_client(client);
	await_connections(0);
	await_journal(refusals[_i].journal);
}
END_TEST

START_TEST(answers_what_came_before_a_refusal_and_nothing_after_it)
{
	struct client *client = connect_client();

	send_text(client, REQUEST("GET /now?first") "BREW / HTTP/1.1\r\nHost: a\r\n\r\n" REQUEST("GET /now?third"));
	await_end(client);
	await_journal("head handle complete refused:method_unknown");
	ck_assert_uint_eq(count_received(client, "HTTP/1.1 "), 2);
	ck_assert(has_received(client, "/now?first ;"));
}
END_TEST

#define LAST "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static const struct {
	const char *text;
	uint64_t lingering;
} last_ones[] = { { LAST, 0 }, { LAST REQUEST("GET /now"), 1 } };

static const char *const incomplete[] = {
	REQUEST("GET /now?1") REQUEST("GET /short-file"),
	REQUEST("GET /now?1") REQUEST("GET /evhttp-excess"),
	REQUEST("GET /now?1") REQUEST("GET /evhttp-interim"),
	REQUEST("GET /evhttp") REQUEST("GET /now?1") REQUEST("GET /evhttp-excess"),
};

START_TEST(answers_what_came_before_a_reply_that_cannot_be_completed)
{
	struct client *client;

	if (is_impossible(incomplete[_i]))
		return;
	client = connect_client();
	send_text(client, incomplete[_i]);
	await(client, "/now?1 ;");
	await_end(client);
	await_connections(0);
}
END_TEST

/* Closed with bytes unread, the socket would send a reset, which may destroy the reply. */
START_TEST(lingers_when_a_client_sent_more_than_is_read)
{
	struct client *client = connect_client();

	send_text(client, last_ones[_i].text);
	await_end(client);
	ck_assert(has_received(client, "/now ;"));
	await_journal("head handle complete");
	ck_assert_uint_eq(pipit_counters_in_state(counters, PIPIT_STATE_CLOSING), last_ones[_i].lingering);
	close_client(client);
	await_connections(0);
}
END_TEST

/* ---------------------------------------------------------------- bodies, and bytes behind them */

static void send_more(void)
{
	send_text(&clients[0], REQUEST("GET /now?more"));
}

/* A reset would destroy what is not sent yet. */
START_TEST(sends_the_last_reply_before_it_finds_later_bytes)
{
	struct client *client = connect_client();

	after_peek = send_more;
	send_text(client, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	await_journal("head handle complete");
	await_end(client);
	ck_assert_ptr_null(after_peek);
	ck_assert(has_received(client, "/now ;"));
	ck_assert(!has_received(client, "more"));
}
END_TEST

static const struct {
	const char *content;
	const char *journal;
} followed[] = {
	{ POST("/now?1", "5", "hello"), "head handle complete head handle complete" },
	{ CHUNKED("/now?1", "5\r\nhello\r\n0\r\n\r\n"), "head retain handle complete head handle complete" },
};

START_TEST(leaves_the_next_request_undamaged)
{
	struct client *client = connect_client();
	char text[512];

	snprintf(text, sizeof text, "%s%s", followed[_i].content, REQUEST("GET /now?2"));
	send_text(client, text);
	await(client, "/now?2 ;");
	ck_assert(has_received(client, "/now?1 hello;"));
	await_journal(followed[_i].journal);
}
END_TEST

/* Larger than one recv(), so that it is collected; the next request follows at once. */
START_TEST(collects_a_large_body)
{
	struct client *client = connect_client();
	size_t length = 300 * 1000;
	char *content = malloc(length);

	ck_assert_ptr_nonnull(content);
	for (size_t i = 0; i < length; i++)
		content[i] = pattern(i);
	send_text(client, POST("/now?1", "300000", ""));
	send_bytes(client, content, length);
	send_text(client, REQUEST("GET /answered"));
	await(client, "answered");
	ck_assert_uint_eq(last_body_length, length);
	ck_assert_mem_eq(last_body, content, length);
	ck_assert_uint_eq(count_received(client, "HTTP/1.1 200 OK"), 1);
	await_journal("head retain handle complete head complete");
	free(content);
}
END_TEST

START_TEST(reads_requests_byte_by_byte)
{
	static const char text[] = POST("/now?1", "5", "hello") CHUNKED("/now?2", "3\r\nabc\r\n0\r\n\r\n");
	struct client *client = connect_client();

	for (const char *at = text; *at; at++) {
		send_bytes(client, at, 1);
		await_delivery(client);
		turn();
	}
	await(client, "/now?2 abc;");
	ck_assert(has_received(client, "/now?1 hello;"));
	await_journal("head retain handle complete head retain handle complete");
}
END_TEST

/* ---------------------------------------------------------------- deferred replies */

START_TEST(sends_a_deferred_reply)
{
	struct client *client = connect_client();

	send_text(client, REQUEST("GET /later"));
	await_state(PIPIT_STATE_HANDLING, 1);
	await_journal("head handle");
	reply(waiting->connection, 200, pipit_slice_of("at last"));
	ck_assert_str_eq(journal, "head handle complete");
	await(client, "at last");
	await_state(PIPIT_STATE_IDLE, 1);
	ck_assert_uint_eq(visit_count, 0);
}
END_TEST

START_TEST(keeps_requests_behind_a_deferred_reply)
{
	struct client *client = connect_client();

	send_text(client, REQUEST("GET /later") REQUEST("GET /now?2") POST("/now?3", "5", "he"));
	await_state(PIPIT_STATE_HANDLING, 1);
	await_journal("head handle");
	reply(waiting->connection, 200, pipit_slice_of("at last"));
	await(client, "/now?2 ;");
	send_text(client, "llo");
	await(client, "/now?3 hello;");
	await_journal("head handle complete head handle complete head retain handle complete");
	ck_assert(strstr(client->received, "at last") < strstr(client->received, "/now?2 ;"));
}
END_TEST

/* evhttp releases the link in that turn, and libevent frees it in the next. */
START_TEST(is_freed_in_the_turn_in_which_evhttp_closed_a_connection)
{
	struct client *client = connect_client();
	stops_at_finish = true;
	send_text(client, REQUEST("GET /evhttp-error"));
	while (strcmp(journal, "head handle complete") != 0)
		turn();
}
END_TEST

START_TEST(dates_an_evhttp_reply_when_it_is_sent)
{
	struct client *client = connect_client();
	struct evhttp_request *request;
	char at_first[64];

	send_text(client, REQUEST("GET /evhttp-later"));
	await_state(PIPIT_STATE_HANDLING, 1);
	snprintf(at_first, sizeof at_first, "Date: %s", pipit_net_date(net));
	skew_s = 3;
	request = waiting_evhttp;
	waiting_evhttp = NULL;
	send_evhttp(request, "late", 4);
	await(client, "late");
	ck_assert_uint_eq(count_received(client, "\r\nDate: "), 1);
	ck_assert(!has_received(client, at_first));
}
END_TEST

START_TEST(sends_a_deferred_evhttp_reply)
{
	struct client *client = connect_client();
	struct evhttp_request *request;

	send_text(client, REQUEST("GET /evhttp-later") REQUEST("GET /now?2"));
	await_state(PIPIT_STATE_HANDLING, 1);
	await_journal("head handle retain");
	request = waiting_evhttp;
	waiting_evhttp = NULL;
	send_evhttp(request, "at last", 7);
	await(client, "/now?2 ;");
	await_journal("head handle retain complete head handle complete");
	ck_assert(strstr(client->received, "at last") < strstr(client->received, "/now?2 ;"));
}
END_TEST

START_TEST(reports_eof_during_a_deferred_reply_once)
{
	struct client *client = connect_client();

	send_text(client, REQUEST("GET /later"));
	await_state(PIPIT_STATE_HANDLING, 1);
	pipit_timeouts_enforce(net, now_ms());
	await_journal("head handle");
	shutdown(client->fd, SHUT_WR);
	while (!strstr(journal, "client_closed")) {
		pipit_timeouts_enforce(net, now_ms());
		turn();
	}
	for (int i = 0; i < QUIET_TURNS; i++)
		pipit_timeouts_enforce(net, now_ms());
	await_journal("head handle client_closed");
	/* The client still reads. */
	reply(waiting->connection, 200, pipit_slice_of("at last"));
	await_end(client);
	ck_assert(has_received(client, "at last"));
	await_journal("head handle client_closed complete");
	await_connections(0);
}
END_TEST

/* Above what handler_queue.c lets run at once. */
#define QUEUED_BYTES (100 * 1000)

static const char *const queued_heads[] = { POST("/now", "100000", ""), POST("/evhttp", "100000", "") };

/* One handler runs in a turn. The sweep finds the EOF of the other client while its handler is queued. */
START_TEST(replies_to_a_client_that_shuts_down_its_sending_side_while_its_handler_is_queued)
{
	struct client *pair[] = { connect_client(), connect_client() };
	char *content = calloc(1, QUEUED_BYTES);

	ck_assert_ptr_nonnull(content);
	if (is_impossible(queued_heads[_i]))
		goto done;
	for (size_t i = 0; i < COUNT(pair); i++) {
		send_text(pair[i], queued_heads[_i]);
		send_bytes(pair[i], content, QUEUED_BYTES - 1);
	}
	await_state(PIPIT_STATE_READING, COUNT(pair));
	stay_quiet();
	for (size_t i = 0; i < COUNT(pair); i++) {
		send_text(pair[i], "x");
		shutdown(pair[i]->fd, SHUT_WR);
	}
	await_delivery(pair[0]), await_delivery(pair[1]);
	while (!strstr(journal, "handle"))
		turn();
	ck_assert_str_eq(journal, "head retain head retain handle complete");
	pipit_timeouts_enforce(net, now_ms());
	await_journal("head retain head retain handle complete handle complete");
	for (size_t i = 0; i < COUNT(pair); i++) {
		await_end(pair[i]);
		ck_assert(has_received(pair[i], "HTTP/1.1 200 OK"));
	}
	await_connections(0);
done:
	free(content);
}
END_TEST

/* ---------------------------------------------------------------- clients that reset */

static const struct {
	const char *text;
	enum pipit_counters_state state;
	const char *before, *after;
} resets[] = {
	{ "", PIPIT_STATE_IDLE, "", "" },
	{ "GET /no", PIPIT_STATE_READING, "", "" },
	{ POST("/now", "5", "he"), PIPIT_STATE_READING, "head retain", "head retain lost" },
	{ CHUNKED("/now", "5\r\nhe"), PIPIT_STATE_READING, "head retain", "head retain lost" },
	{ REQUEST("GET /later"), PIPIT_STATE_HANDLING, "head handle", "head handle lost" },
	{ POST("/later", "5", "hello"), PIPIT_STATE_HANDLING, "head handle", "head handle lost" },
	{ REQUEST("GET /evhttp-later"), PIPIT_STATE_HANDLING, "head handle retain", "head handle retain lost" },
	{ REQUEST("GET /huge-file"), PIPIT_STATE_WRITING, "head handle", "head handle lost" },
	{ REQUEST("GET /evhttp-huge"), PIPIT_STATE_WRITING, "head handle retain", "head handle retain lost" },
	{ REQUEST("GET /huge"), PIPIT_STATE_WRITING, "head handle", "head handle lost" },
};

START_TEST(ends_a_reset_connection_once)
{
	struct client *client = connect_client();

	if (is_impossible(resets[_i].text))
		return;
	send_text(client, resets[_i].text);
	await_state(resets[_i].state, 1);
	await_journal(resets[_i].before);
	reset_client(client);
	while (pipit_counters_connections(counters)) {
		pipit_timeouts_enforce(net, now_ms());
		turn();
	}
	await_journal(resets[_i].after);
	ck_assert_uint_eq(pipit_limits_connections(limits), 0);
	ck_assert_uint_eq(emptied_count, 1);
	ck_assert(pipit_http1_is_empty(net));
}
END_TEST

/* ---------------------------------------------------------------- files */

static const struct {
	const char *text;
	size_t length;
} files[] = {
	{ REQUEST("GET /small-file"), SMALL_FILE_BYTES },
	{ REQUEST("GET /large-file"), LARGE_FILE_BYTES },
};

START_TEST(sends_a_file_and_serves_the_next_request)
{
	struct client *client = connect_client();
	const char *content;

	send_text(client, files[_i].text);
	send_text(client, REQUEST("GET /now?2"));
	await(client, "/now?2 ;");
	content = strstr(client->received, "\r\n\r\n") + 4;
	for (size_t i = 0; i < files[_i].length; i++) {
		if (content[i] != pattern(i))
			ck_abort_msg("byte %zu is %d", i, content[i]);
	}
	ck_assert_int_eq(strncmp(content + files[_i].length, "HTTP/1.1 200 OK\r\n", 17), 0);
	await_journal("head handle complete head handle complete");
	await_state(PIPIT_STATE_IDLE, 1);
}
END_TEST

START_TEST(sends_all_of_a_reply_that_the_socket_does_not_take_at_once)
{
	struct client *client = connect_client();

	send_text(client, REQUEST("GET /huge") REQUEST("GET /now?2"));
	await_state(PIPIT_STATE_WRITING, 1);
	while (!client->length || client->length < HUGE_BYTES) {
		turn();
		receive_from(client);
	}
	await(client, "/now?2 ;");
	const char *content = strstr(client->received, "\r\n\r\n") + 4;
	for (size_t i = 0; i < HUGE_BYTES; i++) {
		if (content[i])
			ck_abort_msg("byte %zu is %d", i, content[i]);
	}
	ck_assert_int_eq(strncmp(content + HUGE_BYTES, "HTTP/1.1 200 OK\r\n", 17), 0);
	await_journal("head handle complete head handle complete");
}
END_TEST

static const struct {
	int error;
	bool is_lost;
} send_errors[] = { { EAGAIN, false }, { EINTR, false }, { ENOBUFS, false }, { EPIPE, true }, { ECONNRESET, true } };

START_TEST(sends_again_after_an_error_that_passes)
{
	struct client *client = connect_client();

	send_error = send_errors[_i].error;
	send_text(client, REQUEST("GET /now"));
	if (send_errors[_i].is_lost)
		await_end(client);
	else
		await(client, "/now ;");
	ck_assert_int_eq(send_error, 0);
	ck_assert_int_eq(client->length > 0, !send_errors[_i].is_lost);
}
END_TEST

/* ---------------------------------------------------------------- what a request costs */

static void begin_counting(void)
{
	stay_quiet();
	received_calls = sent_calls = sendfile_calls = 0;
}

START_TEST(costs_one_receive_and_one_send_a_request)
{
	struct client *client = connect_client();

	for (int i = 0; i < 3; i++) {
		begin_counting();
		send_text(client, REQUEST("GET /now"));
		await(client, "/now ;");
		stay_quiet();
		ck_assert_uint_eq(received_calls, 1);
		ck_assert_uint_eq(sent_calls, 1);
		clear_received(client);
	}
}
END_TEST

START_TEST(costs_one_receive_and_one_send_for_sixteen_requests_at_once)
{
	struct client *client = connect_client();
	char text[16 * 64] = "";

	for (int i = 0; i < 16; i++)
		strcat(text, REQUEST("GET /now"));
	begin_counting();
	send_text(client, text);
	while (count_received(client, "/now ;") < 16) {
		turn();
		receive_from(client);
	}
	stay_quiet();
	ck_assert_uint_eq(received_calls, 1);
	ck_assert_uint_eq(sent_calls, 1);
}
END_TEST

START_TEST(costs_one_send_for_a_head_and_a_small_file)
{
	struct client *client = connect_client();

	begin_counting();
	send_text(client, REQUEST("GET /small-file"));
	await_journal("head handle complete");
	ck_assert_uint_eq(received_calls, 1);
	ck_assert_uint_eq(sent_calls, 1);
	ck_assert_uint_eq(sendfile_calls, 0);
}
END_TEST

/* ---------------------------------------------------------------- connection.h */

START_TEST(describes_a_request_to_the_layer_above)
{
	struct client *client = connect_client();
	struct pipit_connection *connection;
	uint64_t before_ns = now_ms() * 1000000;
	char peer[INET6_ADDRSTRLEN];

	send_text(client, "POST /later HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
	await_state(PIPIT_STATE_HANDLING, 1);
	connection = waiting->connection;
	ck_assert_uint_eq(pipit_connection_minor(connection), 0);
	ck_assert(!pipit_connection_is_head_request(connection));
	ck_assert(pipit_connection_keeps_alive(connection));
	ck_assert_str_eq(pipit_connection_peer(connection, peer, sizeof peer), "127.0.0.1");
	ck_assert_uint_ge(pipit_connection_started_ns(connection), before_ns);
	ck_assert_uint_le(pipit_connection_started_ns(connection), (now_ms() + 1) * 1000000);
	ck_assert_uint_eq(pipit_connection_body_bytes(connection), 5);
	ck_assert_ptr_eq(pipit_connection_net(connection), net);
	/* It lies in the input. */
	ck_assert_ptr_null(pipit_connection_take_body(connection));
}
END_TEST

START_TEST(hands_a_collected_body_over)
{
	struct client *client = connect_client();
	char *body;

	send_text(client, CHUNKED("/later", "5\r\nhello\r\n0\r\n\r\n"));
	await_state(PIPIT_STATE_HANDLING, 1);
	body = pipit_connection_take_body(waiting->connection);
	ck_assert_ptr_nonnull(body);
	reply(waiting->connection, 200, pipit_slice_of("at last"));
	await(client, "at last");
	ck_assert_str_eq(body, "hello");
	free(body);
}
END_TEST

/* ---------------------------------------------------------------- eviction, and turns of the loop */

static bool page_says(const char *text)
{
	static const char *const route = "none";
	const struct pipit_counters *const workers[] = { counters };
	struct pipit_prometheus page = {
		.workers = workers,
		.worker_count = 1,
		.routes = &route,
		.route_count = 1,
		.version = "0",
		.libevent_version = "0",
	};
	size_t length;
	char *rendered = pipit_prometheus_render(&page, &length);
	bool says = rendered && memmem(rendered, length, text, strlen(text));
	free(rendered);
	return says;
}

/* The batch has been sent to make room for the last reply, which the socket does not take. */
START_TEST(counts_replies_that_were_sent_before_one_that_waits)
{
	struct client *client = connect_client();

	send_text(client, REQUEST("GET /now") REQUEST("GET /now") REQUEST("GET /huge"));
	await_state(PIPIT_STATE_WRITING, 1);
	ck_assert_uint_eq(counted_count, 2);
	ck_assert(page_says("http_request_duration_seconds_count{route=\"none\"} 2\n"));
	await_journal("head handle complete head handle complete head handle");
}
END_TEST

/* The clock jumps, so that each connection has been idle for another time. */
static struct client *connect_later(void)
{
	skew_s += 10;
	return connect_client();
}

START_TEST(evicts_the_longest_idle_connection_but_none_with_an_unread_request)
{
	struct client *first = connect_later(), *second = connect_later(), *third = connect_later();

	send_text(third, REQUEST("GET /now?earlier"));
	await(third, "/now?earlier ;");
	skew_s += 10;
	send_text(first, REQUEST("GET /now"));
	await(first, "/now ;");
	ck_assert(pipit_eviction_evict(net));
	await_end(second);
	send_text(third, REQUEST("GET /now"));
	await_delivery(third);
	ck_assert(pipit_eviction_evict(net));
	ck_assert(!pipit_eviction_evict(net));
	await_end(first);
	await(third, "/now ;");
	await_journal("head handle complete head handle complete head handle complete");
	ck_assert_uint_eq(pipit_counter(counters, PIPIT_COUNT_EVICTED), 2);
	await_connections(1);
}
END_TEST

START_TEST(evicts_a_new_connection_with_unread_bytes_when_there_is_no_other)
{
	struct client *first = connect_later(), *second = connect_later();

	send_text(first, "GET /n");
	send_text(second, "GET /n");
	await_delivery(first);
	await_delivery(second);
	ck_assert(pipit_eviction_evict(net));
	await_end(first);
	await_connections(1);
}
END_TEST

START_TEST(evicts_no_connection_that_reads_a_body_or_handles_a_request)
{
	struct client *reading = connect_client(), *handling = connect_client();

	send_text(reading, POST("/now", "5", "he"));
	send_text(handling, REQUEST("GET /later"));
	await_state(PIPIT_STATE_READING, 1);
	await_state(PIPIT_STATE_HANDLING, 1);
	ck_assert(!pipit_eviction_evict(net));
	await_connections(2);
}
END_TEST

START_TEST(evicts_connections_in_the_order_of_their_priority)
{
	struct client *slow = connect_client(), *answered = connect_client(), *silent = connect_client(), *trickling,
		      *kept = connect_client(), *arriving;

	config.min_rate_bytes = 1000;
	skew_s++;
	trickling = connect_client();
	send_text(slow, POST("/now", "5", "he"));
	send_text(answered, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
	send_text(trickling, "GET /n");
	send_text(kept, REQUEST("GET /now"));
	await(kept, "/now ;");
	await_state(PIPIT_STATE_READING, 2);
	await_state(PIPIT_STATE_CLOSING, 1);
	skew_s += 5;
	arriving = connect_client();
	send_text(arriving, "GET /n");
	await_state(PIPIT_STATE_READING, 3);
	struct client *const in_order[] = { answered, silent, trickling, kept, slow, arriving };
	for (size_t i = 0; i < COUNT(in_order); i++) {
		ck_assert(pipit_eviction_evict(net));
		await_connections(COUNT(in_order) - 1 - i);
		await_end(in_order[i]);
	}
	ck_assert(!pipit_eviction_evict(net));
	ck_assert_uint_eq(pipit_counter(counters, PIPIT_COUNT_EVICTED), COUNT(in_order));
}
END_TEST

START_TEST(evicts_late_and_idle_connections_before_an_arriving_one)
{
	struct client *late = connect_client(), *kept = connect_client(), *arriving;

	send_text(late, "GET /n");
	send_text(kept, REQUEST("GET /now"));
	await(kept, "/now ;");
	await_state(PIPIT_STATE_READING, 1);
	skew_s += 5;
	arriving = connect_client();
	send_text(arriving, "GET /now HTTP/1.1\r\n");
	await_state(PIPIT_STATE_READING, 2);
	ck_assert(pipit_eviction_evict(net));
	await_end(late);
	await_connections(2);
	ck_assert(pipit_eviction_evict(net));
	await_end(kept);
	send_text(arriving, "Host: a\r\n\r\n");
	await(arriving, "/now ;");
	await_connections(1);
}
END_TEST

/* The first byte counts. */
START_TEST(evicts_the_oldest_partial_head_although_it_goes_on)
{
	struct client *first = connect_client(), *second;

	send_text(first, "GET /n");
	await_state(PIPIT_STATE_READING, 1);
	skew_s += 5;
	second = connect_client();
	send_text(second, "GET /n");
	await_state(PIPIT_STATE_READING, 2);
	skew_s += 5;
	send_text(first, "o");
	await_delivery(first);
	stay_quiet();
	ck_assert(pipit_eviction_evict(net));
	await_end(first);
	await_connections(1);
}
END_TEST

START_TEST(evicts_a_silent_connection_before_an_older_one_with_unread_bytes)
{
	struct client *unread = connect_later(), *silent = connect_later();

	skew_s += 10;
	send_text(unread, REQUEST("GET /now"));
	await_delivery(unread);
	ck_assert(pipit_eviction_evict(net));
	await_end(silent);
	await(unread, "/now ;");
	await_connections(1);
}
END_TEST

/* What is one second old; nothing else gives an arriving head, or a slow body, a lower priority. */
static const struct {
	const char *text;
	uint64_t age_ms;
	bool is_evicted; /* before the connection that is kept alive, or at all */
} ages[] = {
	{ "GET /n", 1000, false },
	{ "GET /n", 1001, true },
	{ POST("/now", "5", ""), 1000, false },
	{ POST("/now", "5", ""), 1001, true },
};

START_TEST(gives_a_head_and_a_body_a_second_at_the_limit)
{
	uint64_t start_ms = stop_clock();
	struct client *aging = connect_client(), *kept;

	config.min_rate_bytes = 1;
	send_text(aging, ages[_i].text);
	await_state(PIPIT_STATE_READING, 1);
	stopped_ms = start_ms + ages[_i].age_ms;
	kept = connect_client();
	send_text(kept, REQUEST("GET /now"));
	await(kept, "/now ;");
	ck_assert(pipit_eviction_evict(net));
	/* A slow body comes behind what is kept alive. */
	if (ages[_i].text[0] == 'P') {
		await_end(kept);
		ck_assert_int_eq(pipit_eviction_evict(net), ages[_i].is_evicted);
	} else {
		await_end(ages[_i].is_evicted ? aging : kept);
	}
}
END_TEST

/* One scan finds 128 candidates. The first connections are kept alive, and come last. */
START_TEST(evicts_any_number_of_connections_in_their_order)
{
	enum { KEPT = 20, ALL = 150 };

	stop_clock();
	is_journal_closed = true;
	for (size_t i = 0; i < ALL; i++) {
		stopped_ms++;
		connect_client();
		if (i >= KEPT)
			continue;
		send_text(&clients[i], REQUEST("GET /now"));
		await(&clients[i], "/now ;");
	}
	stopped_ms += 2000;
	pipit_timeouts_enforce(net, stopped_ms);
	for (size_t i = 0; i < ALL; i++) {
		ck_assert(pipit_eviction_evict(net));
		await_end(&clients[(KEPT + i) % ALL]);
	}
	/* At once, because no scan was without a result. */
	connect_client();
	ck_assert(pipit_eviction_evict(net));
	await_connections(0);
}
END_TEST

START_TEST(scans_20_ms_after_a_scan_without_a_result)
{
	uint64_t start_ms = stop_clock();

	connect_client();
	ck_assert(pipit_eviction_evict(net));
	ck_assert(!pipit_eviction_evict(net));
	stopped_ms = start_ms + 19;
	connect_client();
	ck_assert(!pipit_eviction_evict(net));
	stopped_ms = start_ms + 20;
	connect_client();
	ck_assert(pipit_eviction_evict(net));
	ck_assert(pipit_eviction_evict(net));
	await_connections(0);
}
END_TEST

/* A scan finds candidates for several evictions; what begins to linger after it still comes first. */
START_TEST(evicts_a_connection_that_lingers_since_the_last_scan)
{
	struct client *kept = connect_client();

	send_text(kept, REQUEST("GET /now"));
	await(kept, "/now ;");
	for (int i = 0; i < 3; i++) {
		struct client *refused = connect_client();
		send_text(refused, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
		await_state(PIPIT_STATE_CLOSING, 1);
		ck_assert(pipit_eviction_evict(net));
		await_state(PIPIT_STATE_CLOSING, 0);
	}
	await_connections(1);
	send_text(kept, REQUEST("GET /now?again"));
	await(kept, "/now?again ;");
}
END_TEST

/* One turn of the loop serves both clients, and no pipeline to the end. */
START_TEST(serves_others_between_the_requests_of_a_long_pipeline)
{
	struct client *greedy = connect_client(), *modest = connect_client();

	is_journal_closed = true;
	for (int i = 0; i < 100; i++)
		send_text(greedy, REQUEST("GET /now"));
	send_text(modest, REQUEST("GET /now"));
	await_delivery(greedy);
	await_delivery(modest);
	turn();
	ck_assert(has_received(modest, "/now ;"));
	ck_assert_uint_lt(count_received(greedy, "/now ;"), 50);
	while (count_received(greedy, "/now ;") < 100) {
		turn();
		receive_from(greedy);
	}
}
END_TEST

/* A refused connection lingers above the limit: its eviction makes no room. */
START_TEST(accepts_no_connection_in_place_of_a_refused_one)
{
	struct client *busy, *refused, *arriving;

	config.max_connections = 1;
	busy = connect_client();
	send_text(busy, REQUEST("GET /later"));
	await_state(PIPIT_STATE_HANDLING, 1);
	for (int i = 0; i < 3; i++) {
		/* A scan that found nothing is not repeated at once. */
		skew_s++;
		refused = connect_client();
		await_state(PIPIT_STATE_CLOSING, 1);
		await_end(refused);
		ck_assert_int_eq(strncmp(refused->received, "HTTP/1.1 503 ", 13), 0);
	}
	reply(waiting->connection, 200, pipit_slice_of("at last"));
	await_state(PIPIT_STATE_IDLE, 1);
	skew_s++;
	arriving = connect_client();
	send_text(arriving, REQUEST("GET /now"));
	await(arriving, "/now ;");
}
END_TEST

/* ---------------------------------------------------------------- limits on bytes and requests */

START_TEST(says_close_with_the_last_request_that_the_limit_allows)
{
	struct client *client = connect_client();

	config.max_requests_per_connection = 3;
	send_text(client, REQUEST("GET /now?1") REQUEST("GET /now?2") REQUEST("GET /now?3") REQUEST("GET /now?4"));
	await_end(client);
	ck_assert(has_received(client, "/now?3 ;"));
	ck_assert(!has_received(client, "/now?4 ;"));
	ck_assert_uint_eq(count_received(client, "Connection: close\r\n"), 1);
	await_journal("head handle complete head handle complete head handle complete");
}
END_TEST

static void expect_refused(struct client *client, const char *status)
{
	await_end(client);
	ck_assert_int_eq(strncmp(client->received, status, strlen(status)), 0);
	ck_assert(has_received(client, "Retry-After: 1\r\n"));
	ck_assert(has_received(client, "Connection: close\r\n"));
}

/* A body that arrives later than its head must be collected; one behind its head need not. */
START_TEST(refuses_a_body_while_the_memory_limit_is_used_up)
{
	static char half[15000];
	struct client *first = connect_client(), *second = connect_client(), *third = connect_client(),
		      *chunked = connect_client();

	config.memory_limit = 64 * 1024;
	memset(half, 'x', sizeof half - 1);
	send_text(first, "POST /now?1 HTTP/1.1\r\nHost: a\r\nContent-Length: 28000\r\n\r\n");
	send_text(first, half);
	await_state(PIPIT_STATE_READING, 1);
	send_text(second, "POST /now?2 HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\nx");
	expect_refused(second, "HTTP/1.1 503 ");
	send_text(third, POST("/now?3", "5", "hello"));
	await(third, "/now?3 hello;");
	send_text(chunked, CHUNKED("/now?4", "ea60\r\n"));
	for (int i = 0; i < 4 && !chunked->is_over; i++)
		send_text(chunked, half), stay_quiet();
	expect_refused(chunked, "HTTP/1.1 503 ");
	send_bytes(first, half, 28000 - (sizeof half - 1));
	await(first, ";");
	stay_quiet();
	ck_assert_uint_eq(pipit_limits_bytes(limits), 0);
	ck_assert(page_says("http_rejected_total{reason=\"memory_limit\"} 2\n"));
}
END_TEST

START_TEST(refuses_a_body_above_the_memory_limit_as_too_large)
{
	struct client *client = connect_client();

	config.memory_limit = 10000;
	send_text(client, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 10001\r\n\r\n");
	await_end(client);
	ck_assert_int_eq(strncmp(client->received, "HTTP/1.1 413 ", 13), 0);
}
END_TEST

START_TEST(aborts_an_unread_reply_above_the_memory_limit)
{
	struct client *client = connect_client();

	config.memory_limit = MIB;
	send_text(client, REQUEST("GET /huge"));
	await_end(client);
	ck_assert_uint_lt(client->length, HUGE_BYTES);
	await_connections(0);
	ck_assert_uint_eq(pipit_limits_bytes(limits), 0);
	ck_assert(page_says("http_rejected_total{reason=\"memory_limit\"} 1\n"));
}
END_TEST

/* Bodies and replies may have used up the limit. */
START_TEST(reads_a_head_in_pieces_while_the_memory_limit_is_used_up)
{
	static char half[30000];
	struct client *uploading = connect_client(), *trickling = connect_client();

	config.memory_limit = 32 * 1024;
	memset(half, 'x', sizeof half - 1);
	send_text(uploading, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n");
	send_text(uploading, half);
	await_state(PIPIT_STATE_READING, 1);
	send_text(trickling, "GET /now HTTP/1.1\r\n");
	await_state(PIPIT_STATE_READING, 2);
	ck_assert_uint_gt(pipit_limits_bytes(limits), 30000);
	send_text(trickling, "Host: a\r\n\r\n");
	await(trickling, "/now ;");
}
END_TEST

/* Eight heads of 512 bytes fill half of the limit. */
START_TEST(evicts_the_oldest_partial_head_when_heads_fill_half_of_the_memory_limit)
{
	struct client *trickling[9];

	config.memory_limit = 8192;
	for (size_t i = 0; i < COUNT(trickling); i++) {
		skew_s += 1;
		trickling[i] = connect_client();
		send_text(trickling[i], "GET /now HTTP/1.1\r\n");
		await_state(PIPIT_STATE_READING, i < 8 ? i + 1 : 8);
		stay_quiet();
	}
	await_end(trickling[0]);
	ck_assert_uint_eq(trickling[0]->length, 0);
	ck_assert_uint_eq(pipit_limits_bytes(limits), 4096);
	for (size_t i = 1; i < COUNT(trickling); i++) {
		send_text(trickling[i], "Host: a\r\n\r\n");
		await(trickling[i], "/now ;");
	}
	ck_assert_uint_eq(pipit_limits_bytes(limits), 0);
}
END_TEST

/* Of eight heads that fill half of the limit, the oldest needs more: the next one makes room. Idle connections have no bytes. */
START_TEST(evicts_no_idle_connection_and_not_itself_for_the_bytes_of_a_head)
{
	static char name[600];
	struct client *idle = connect_client(), *trickling[8];

	config.memory_limit = 8192;
	send_text(idle, REQUEST("GET /now"));
	await(idle, "/now ;");
	for (size_t i = 0; i < COUNT(trickling); i++) {
		skew_s += 1;
		trickling[i] = connect_client();
		send_text(trickling[i], "GET /now HTTP/1.1\r\n");
		await_state(PIPIT_STATE_READING, i + 1);
	}
	memset(name, 'n', sizeof name - 1);
	send_text(trickling[0], name);
	await_end(trickling[1]);
	ck_assert_uint_eq(pipit_counters_in_state(counters, PIPIT_STATE_READING), 7);
	send_text(trickling[0], ": v\r\nHost: a\r\n\r\n");
	await(trickling[0], "/now ;");
	clear_received(idle);
	send_text(idle, REQUEST("GET /now"));
	await(idle, "/now ;");
}
END_TEST

/* Replies of one client that wait: the batch, and the one that did not fit. */
START_TEST(stops_reading_from_a_client_that_pipelines_and_does_not_read)
{
	static char requests[64 * 1024];
	struct client *client = connect_client();
	size_t length = 0;

	is_journal_closed = true;
	while (length + 64 < sizeof requests)
		length += (size_t)sprintf(requests + length, REQUEST("GET /now"));
	for (int i = 0; i < 400; i++) {
		send(client->fd, requests, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		turn();
	}
	await_state(PIPIT_STATE_WRITING, 1);
	stay_quiet();
	ck_assert_uint_gt(pipit_limits_bytes(limits), 0);
	ck_assert_uint_le(pipit_limits_bytes(limits), config.max_output_bytes + 2 * sizeof requests);
}
END_TEST

START_TEST(evicts_a_connection_for_a_new_one_at_the_limit)
{
	struct client *first, *second, *third;

	config.max_connections = 2;
	first = connect_later();
	second = connect_later();
	third = connect_later();
	await_end(first);
	send_text(second, REQUEST("GET /now"));
	send_text(third, REQUEST("GET /now"));
	await(second, "/now ;");
	await(third, "/now ;");
	ck_assert_ptr_null(strstr(journal, "elsewhere"));
	await_connections(2);
}
END_TEST

START_TEST(asks_another_worker_to_evict_or_refuses_a_new_connection)
{
	struct client *busy, *arriving;

	config.max_connections = 1;
	has_room_elsewhere = _i;
	busy = connect_client();
	send_text(busy, REQUEST("GET /later"));
	await_state(PIPIT_STATE_HANDLING, 1);
	arriving = connect_client();
	send_text(arriving, REQUEST("GET /now"));
	if (has_room_elsewhere) {
		await(arriving, "/now ;");
		await_journal("head handle elsewhere head handle complete");
		return;
	}
	await_end(arriving);
	ck_assert_int_eq(strncmp(arriving->received, "HTTP/1.1 503 ", 13), 0);
	await_journal("head handle elsewhere refused:too_many_connections");
	ck_assert_str_eq(refused_line, "");
}
END_TEST

/* ---------------------------------------------------------------- draining and freeing */

static const struct {
	const char *text, *received;
} drained[] = {
	{ REQUEST("GET /now"), "/now ;" },
	{ REQUEST("GET /answered"), "answered" },
	{ REQUEST("GET /evhttp"), "evhttp" },
	{ REQUEST("GET /small-file"), "HTTP/1.1 200 OK\r\n" },
};

START_TEST(says_close_in_every_reply_while_draining)
{
	struct client *client = connect_client();

	if (is_impossible(drained[_i].text))
		return;
	send_text(client, REQUEST("GET /now?before"));
	await(client, "/now?before ;");
	ck_assert(!has_received(client, "Connection: close"));
	pipit_http1_drain(net);
	send_text(client, drained[_i].text);
	await_end(client);
	ck_assert(has_received(client, drained[_i].received));
	ck_assert_uint_eq(count_received(client, "Connection: close\r\n"), 1);
	await_connections(0);
	stay_quiet();
	ck_assert_uint_eq(emptied_count, 1);
}
END_TEST

START_TEST(closes_quiet_idle_connections_while_draining)
{
	struct client *quiet = connect_client(), *asking = connect_client();

	config.idle_timeout_ms = 0;
	pipit_http1_drain(net);
	pipit_timeouts_enforce(net, now_ms());
	await_connections(2);
	send_text(asking, REQUEST("GET /now"));
	await_delivery(asking);
	pipit_timeouts_enforce(net, now_ms() + 1000);
	await_end(quiet);
	await_end(asking);
	ck_assert(has_received(asking, "/now ;"));
	ck_assert_uint_eq(quiet->length, 0);
	await_connections(0);
}
END_TEST

/* One connection in every state. */
static void populate(void)
{
	static const char *const texts[] = { "", "GET /no", POST("/now", "5", "he"), CHUNKED("/now", "5\r\nhe"),
		REQUEST("GET /later") REQUEST("GET /now"), REQUEST("GET /evhttp-later"), REQUEST("GET /huge"),
		REQUEST("GET /huge-file") REQUEST("GET /now"), REQUEST("GET /evhttp-huge") REQUEST("GET /now"),
		"BREW / HTTP/1.1\r\nHost: a\r\n\r\n" };

	for (size_t i = 0; i < COUNT(texts); i++) {
		if (!is_impossible(texts[i]))
			send_text(connect_client(), texts[i]);
	}
	await_state(PIPIT_STATE_IDLE, 1);
	await_state(PIPIT_STATE_READING, 3);
	await_state(PIPIT_STATE_HANDLING, has_evhttp() ? 2 : 1);
	await_state(PIPIT_STATE_WRITING, has_evhttp() ? 3 : 2);
	await_state(PIPIT_STATE_CLOSING, 1);
	ck_assert_uint_eq(pipit_counters_connections(counters), client_count);
	ck_assert_uint_eq(pipit_limits_connections(limits), client_count);
	memset(journal, 0, sizeof journal);
}

START_TEST(closes_every_connection)
{
	populate();
	/* Two read a body, two are at their handlers, three are written; without callbacks one less of the last two. */
	ck_assert_uint_eq(pipit_http1_close_all(net), has_evhttp() ? 7 : 5);
	ck_assert_str_eq(journal, has_evhttp() ? "lost lost lost lost lost lost lost" : "lost lost lost lost lost");
	ck_assert_uint_eq(pipit_counters_connections(counters), 0);
	ck_assert_uint_eq(pipit_limits_connections(limits), 0);
	for (size_t i = 0; i < client_count; i++)
		await_end(&clients[i]);
	stay_quiet();
	ck_assert_uint_eq(emptied_count, 1);
	ck_assert(pipit_http1_is_empty(net));
	ck_assert_str_eq(journal, has_evhttp() ? "lost lost lost lost lost lost lost" : "lost lost lost lost lost");
	ck_assert_uint_eq(pipit_http1_close_all(net), 0);
}
END_TEST

START_TEST(accepts_connections_after_all_were_closed)
{
	struct client *client;

	populate();
	pipit_http1_close_all(net);
	client = connect_client();
	send_text(client, REQUEST("GET /now"));
	await(client, "/now ;");
	await_connections(1);
}
END_TEST

/* tear_down() frees the net with all of these. */
START_TEST(is_freed_with_connections_in_every_state)
{
	populate();
}
END_TEST

START_TEST(is_freed_right_after_all_connections_were_closed)
{
	populate();
	pipit_http1_close_all(net);
}
END_TEST

START_TEST(is_freed_with_connections_in_the_backlog)
{
	new_client();
	send_text(new_client(), REQUEST("GET /now"));
}
END_TEST

START_TEST(is_freed_with_connections_that_were_accepted_and_not_adopted)
{
	stops_at_accept = true;
	new_client();
	turn();
	ck_assert(!pipit_http1_is_empty(net));
	ck_assert_uint_eq(pipit_limits_connections(limits), 0);
}
END_TEST

static void stop_loop(void)
{
	event_base_loopbreak(base);
}

START_TEST(is_freed_in_the_turn_in_which_a_connection_was_closed)
{
	struct client *client = connect_client();
	after_peek = stop_loop;
	send_text(client, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	while (after_peek)
		turn();
}
END_TEST

START_TEST(serves_where_local_sockets_are_forbidden)
{
	struct client *client;
	pipit_http1_free(net);
	forbids_local_sockets = true;
	net = pipit_http1_new(base, &config, counters, limits, &handlers, journal, evhttp_mode, NULL);
	ck_assert_ptr_nonnull(net);
	ck_assert_int_eq(pipit_acceptor_add(net, new_listener(), false, NULL, NULL), 0);
	client = connect_client();
	send_text(client, REQUEST("GET /now"));
	await(client, "/now ;");
}
END_TEST

START_TEST(is_freed_with_requests_that_were_not_read)
{
	struct client *client = connect_client();
	send_text(client, REQUEST("GET /now"));
	await_delivery(client);
}
END_TEST

START_TEST(is_ready_for_the_next_connection)
{
	ck_assert(pipit_acceptor_is_ready(net));
	ck_assert(pipit_http1_is_empty(net));
	connect_client();
	ck_assert(pipit_acceptor_is_ready(net));
	ck_assert(!pipit_http1_is_empty(net));
}
END_TEST

START_TEST(freeing_null_is_harmless)
{
	pipit_http1_free(NULL);
}
END_TEST

/* ---------------------------------------------------------------- deadlines */

enum deadline { HEAD_DEADLINE, READ_DEADLINE, WRITE_DEADLINE, IDLE_DEADLINE };

static void set_deadline(enum deadline deadline, uint64_t ms)
{
	config.head_timeout_ms = deadline == HEAD_DEADLINE ? ms : 0;
	config.read_timeout_ms = deadline == READ_DEADLINE ? ms : 0;
	config.write_timeout_ms = deadline == WRITE_DEADLINE ? ms : 0;
	config.idle_timeout_ms = deadline == IDLE_DEADLINE ? ms : 0;
}

static const struct {
	const char *text;
	enum deadline deadline;
	enum pipit_counters_state state;
	const char *before, *after;
	const char *status; /* NULL: closed without a reply */
	const char *counted;
} deadlines[] = {
	{ "GET /no", HEAD_DEADLINE, PIPIT_STATE_READING, "", "refused:head_timeout", "HTTP/1.1 408 ",
	    "phase=\"head\"} 1\n" },
	{ POST("/now", "5", "he"), READ_DEADLINE, PIPIT_STATE_READING, "head retain",
	    "head retain refused:body_timeout", "HTTP/1.1 408 ", "phase=\"body\"} 1\n" },
	{ CHUNKED("/now", "5\r\nhe"), READ_DEADLINE, PIPIT_STATE_READING, "head retain",
	    "head retain refused:body_timeout", "HTTP/1.1 408 ", "phase=\"body\"} 1\n" },
	{ "", IDLE_DEADLINE, PIPIT_STATE_IDLE, "", "", NULL, "phase=\"idle\"} 1\n" },
	{ REQUEST("GET /huge"), WRITE_DEADLINE, PIPIT_STATE_WRITING, "head handle", "head handle lost", NULL,
	    "phase=\"write\"} 1\n" },
	{ REQUEST("GET /evhttp-huge"), WRITE_DEADLINE, PIPIT_STATE_WRITING, "head handle retain",
	    "head handle retain lost", NULL, "phase=\"write\"} 1\n" },
	{ REQUEST("GET /huge-file"), WRITE_DEADLINE, PIPIT_STATE_WRITING, "head handle", "head handle lost", NULL,
	    "phase=\"write\"} 1\n" },
};

START_TEST(ends_a_connection_at_its_deadline)
{
	struct client *client = connect_client();

	if (is_impossible(deadlines[_i].text))
		return;
	set_deadline(deadlines[_i].deadline, HOUR_MS);
	send_text(client, deadlines[_i].text);
	await_state(deadlines[_i].state, 1);
	pipit_timeouts_enforce(net, now_ms() + HOUR_MS / 2);
	await_journal(deadlines[_i].before);
	ck_assert_uint_eq(pipit_counters_in_state(counters, deadlines[_i].state), 1);
	pipit_timeouts_enforce(net, now_ms() + HOUR_MS);
	await_journal(deadlines[_i].after);
	ck_assert(page_says(deadlines[_i].counted));
	if (deadlines[_i].status) {
		await_end(client);
		ck_assert_int_eq(strncmp(client->received, deadlines[_i].status, strlen(deadlines[_i].status)), 0);
		ck_assert(has_received(client, "Connection: close\r\n"));
		/* The client does not close: pipit closes after a while. */
		pipit_timeouts_enforce(net, now_ms() + HOUR_MS);
	}
	await_connections(0);
	await_journal(deadlines[_i].after);
}
END_TEST

/* Is the only connection still there after a sweep at that time? */
static bool is_kept_at(uint64_t ms, enum pipit_counters_state state)
{
	pipit_timeouts_enforce(net, ms);
	return pipit_counters_in_state(counters, state) == 1;
}

START_TEST(has_its_deadlines_to_the_millisecond)
{
	uint64_t start_ms = stop_clock();

	if (is_impossible(deadlines[_i].text))
		return;
	set_deadline(deadlines[_i].deadline, HOUR_MS);
	send_text(connect_client(), deadlines[_i].text);
	await_state(deadlines[_i].state, 1);
	ck_assert(is_kept_at(start_ms + HOUR_MS - 1, deadlines[_i].state));
	ck_assert(!is_kept_at(start_ms + HOUR_MS, deadlines[_i].state));
}
END_TEST

/* What the process missed while it was stopped is read before the next sweep. */
START_TEST(waits_for_one_sweep_at_the_deadline_when_bytes_are_unread)
{
	uint64_t start_ms = stop_clock();
	struct client *client = connect_client();

	if (deadlines[_i].state != PIPIT_STATE_READING)
		return;
	set_deadline(deadlines[_i].deadline, HOUR_MS);
	send_text(client, deadlines[_i].text);
	await_state(PIPIT_STATE_READING, 1);
	send_text(client, "w");
	await_delivery(client);
	ck_assert(is_kept_at(start_ms + HOUR_MS, PIPIT_STATE_READING));
	ck_assert(!is_kept_at(start_ms + HOUR_MS + 1, PIPIT_STATE_READING));
}
END_TEST

/* 0: no limit. */
static const struct {
	uint64_t time_ms, timeout_ms;
	bool drains;
	uint64_t ends_ms;
} lingerings[] = {
	{ 30000, 5000, false, 5000 },
	{ 30000, 0, false, 30000 },
	{ 3000, 5000, false, 3000 },
	{ 30000, 0, true, 2000 },
	{ 1999, 0, true, 1999 },
	{ 30000, 1000, true, 1000 },
};

START_TEST(lingers_to_the_millisecond)
{
	uint64_t start_ms = stop_clock(), ends_ms = start_ms + lingerings[_i].ends_ms;

	config.lingering_time_ms = lingerings[_i].time_ms;
	config.lingering_timeout_ms = lingerings[_i].timeout_ms;
	send_text(connect_client(), "BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
	await_state(PIPIT_STATE_CLOSING, 1);
	if (lingerings[_i].drains)
		pipit_http1_drain(net);
	ck_assert(is_kept_at(ends_ms - 1, PIPIT_STATE_CLOSING));
	ck_assert(!is_kept_at(ends_ms, PIPIT_STATE_CLOSING));
}
END_TEST

/* Since its last byte, or since the drain began. */
START_TEST(closes_an_idle_connection_half_a_second_into_a_drain)
{
	uint64_t start_ms = stop_clock();

	config.idle_timeout_ms = 0;
	connect_client();
	await_state(PIPIT_STATE_IDLE, 1);
	if (_i == 1)
		stopped_ms = start_ms += 10000;
	pipit_http1_drain(net);
	ck_assert(is_kept_at(start_ms + 499, PIPIT_STATE_IDLE));
	ck_assert(!is_kept_at(start_ms + 500, PIPIT_STATE_IDLE));
}
END_TEST

static void begin_body(size_t bytes)
{
	static char body[5000];
	struct client *client = connect_client();

	memset(body, 'x', sizeof body);
	send_text(client, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
	await_state(PIPIT_STATE_READING, 1);
	send_bytes(client, body, bytes);
	await_delivery(client);
	stay_quiet();
}

/* 100 bytes a second. */
static const struct {
	size_t bytes;
	uint64_t grace_ms, kept_ms; /* still */
} rates[] = {
	{ 0, 0, 0 },
	{ 0, 100, 100 },
	{ 0, 5000, 5000 },
	{ 500, 5000, 5000 },
	{ 501, 5000, 5010 },
	{ 1000, 100, 10000 },
};

START_TEST(keeps_the_minimum_rate_to_the_byte_and_the_millisecond)
{
	uint64_t kept_ms = stop_clock() + rates[_i].kept_ms;

	config.read_timeout_ms = 0;
	config.min_rate_bytes = 100;
	config.rate_grace_ms = rates[_i].grace_ms;
	begin_body(rates[_i].bytes);
	ck_assert(is_kept_at(kept_ms, PIPIT_STATE_READING));
	ck_assert(!is_kept_at(kept_ms + 1, PIPIT_STATE_READING));
}
END_TEST

/* A window is ten seconds behind its grace, which is at least a second in all but the first. */
static const struct {
	uint64_t grace_ms, next_grace_ms;
} graces[] = { { 100, 1000 }, { 1000, 1000 }, { 1001, 1001 }, { 5000, 5000 } };

static const char *const sent_slowly[] = { REQUEST("GET /huge-file"), REQUEST("GET /huge") };

/* What the socket takes in a second; some of it before the window begins. */
START_TEST(counts_sent_bytes_for_the_minimum_rate)
{
	uint64_t start_ms = stop_clock(), first, later;
	struct client *client = connect_client();

	config.write_timeout_ms = 0;
	config.rate_grace_ms = 0;
	send_text(client, sent_slowly[_i]);
	await_state(PIPIT_STATE_WRITING, 1);
	first = pipit_counter(counters, PIPIT_COUNT_SENT);
	while (client->length < HUGE_BYTES / 2) {
		turn();
		receive_from(client);
	}
	stay_quiet();
	later = pipit_counter(counters, PIPIT_COUNT_SENT) - first;
	config.min_rate_bytes = later;
	ck_assert(is_kept_at(start_ms + 1000, PIPIT_STATE_WRITING));
	ck_assert(!is_kept_at(start_ms + 1 + 1000 * (first + later) / later, PIPIT_STATE_WRITING));
}
END_TEST

START_TEST(begins_a_window_of_the_rate_to_the_millisecond)
{
	uint64_t start_ms = stop_clock(), next_ms = start_ms + graces[_i].grace_ms + 10000,
		 kept_ms = next_ms + graces[_i].next_grace_ms;

	config.read_timeout_ms = 0;
	config.min_rate_bytes = 100;
	config.rate_grace_ms = graces[_i].grace_ms;
	begin_body(4000);
	ck_assert(is_kept_at(next_ms - 1, PIPIT_STATE_READING));
	ck_assert(is_kept_at(next_ms, PIPIT_STATE_READING));
	ck_assert(is_kept_at(kept_ms, PIPIT_STATE_READING));
	ck_assert(!is_kept_at(kept_ms + 1, PIPIT_STATE_READING));
}
END_TEST

START_TEST(has_no_deadline_that_is_switched_off)
{
	struct client *client = connect_client();

	if (is_impossible(deadlines[_i].text))
		return;
	/* The idle deadline belongs to another state. */
	set_deadline(deadlines[_i].deadline == IDLE_DEADLINE ? HEAD_DEADLINE : IDLE_DEADLINE, HOUR_MS);
	send_text(client, deadlines[_i].text);
	await_state(deadlines[_i].state, 1);
	pipit_timeouts_enforce(net, now_ms() + 24 * HOUR_MS);
	await_journal(deadlines[_i].before);
	ck_assert_uint_eq(pipit_counters_in_state(counters, deadlines[_i].state), 1);
}
END_TEST

static const struct {
	const char *text;
	enum pipit_counters_state state;
	const char *before, *after;
} slow[] = {
	{ POST("/now", "5", "he"), PIPIT_STATE_READING, "head retain", "head retain refused:body_timeout" },
	{ REQUEST("GET /huge-file"), PIPIT_STATE_WRITING, "head handle", "head handle lost" },
};

START_TEST(ends_a_connection_that_is_slower_than_the_minimum_after_the_grace)
{
	set_deadline(HEAD_DEADLINE, HOUR_MS);
	config.min_rate_bytes = 1024 * MIB;
	config.rate_grace_ms = HOUR_MS;
	send_text(connect_client(), slow[_i].text);
	await_state(slow[_i].state, 1);
	pipit_timeouts_enforce(net, now_ms() + HOUR_MS / 2);
	await_journal(slow[_i].before);
	pipit_timeouts_enforce(net, now_ms() + HOUR_MS + 1000);
	await_journal(slow[_i].after);
}
END_TEST

/* The windows of the rate start anew after a burst. */
START_TEST(ends_a_connection_that_becomes_slow)
{
	static char burst[50000];
	struct client *client = connect_client();

	memset(burst, 'x', sizeof burst - 1);
	config.min_rate_bytes = 10;
	config.rate_grace_ms = 1000;
	config.read_timeout_ms = 0;
	send_text(client, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
	await_state(PIPIT_STATE_READING, 1);
	send_text(client, burst);
	await_delivery(client);
	stay_quiet();
	pipit_timeouts_enforce(net, now_ms() + 12 * 1000);
	pipit_timeouts_enforce(net, now_ms() + 12 * 1000 + 500);
	await_journal("head retain");
	pipit_timeouts_enforce(net, now_ms() + 14 * 1000);
	await_journal("head retain refused:body_timeout");
}
END_TEST

START_TEST(keeps_an_idle_connection_with_an_unread_request)
{
	struct client *client = connect_client();

	set_deadline(IDLE_DEADLINE, HOUR_MS);
	send_text(client, REQUEST("GET /now"));
	await_delivery(client);
	pipit_timeouts_enforce(net, now_ms() + 2 * HOUR_MS);
	await(client, "/now ;");
	await_connections(1);
}
END_TEST

/* Check cannot time a test that lasts longer than half an hour by this clock. */
#define FIVE_MINUTES_MS (5u * 60 * 1000)

/* Twice that is more than five minutes. */
static void let_three_minutes_pass(void)
{
	skew_s += 3 * 60;
	pipit_timeouts_enforce(net, now_ms());
}

static void await_times(struct client *client, const char *text, size_t times)
{
	while (count_received(client, text) < times) {
		turn();
		receive_from(client);
	}
}

/* Each head has a deadline of its own, also where every segment ends within the next head. */
START_TEST(gives_every_head_of_a_pipeline_its_own_deadline)
{
	struct client *client = connect_client();

	set_deadline(HEAD_DEADLINE, FIVE_MINUTES_MS);
	send_text(client, "GET /now HTTP/1.1\r\nHo");
	await_state(PIPIT_STATE_READING, 1);
	for (size_t i = 1; i <= 4; i++) {
		let_three_minutes_pass();
		send_text(client, "st: a\r\n\r\nGET /now HTTP/1.1\r\nHo");
		await_times(client, "/now ;", i);
	}
	let_three_minutes_pass();
	ck_assert_uint_eq(pipit_counters_in_state(counters, PIPIT_STATE_READING), 1);
	let_three_minutes_pass();
	await(client, "HTTP/1.1 408 ");
}
END_TEST

/* Above the minimum rate, and never silent for as long as the read deadline. */
START_TEST(waits_for_a_body_that_keeps_its_rate)
{
	struct client *client = connect_client();
	char piece[4001];

	set_deadline(READ_DEADLINE, FIVE_MINUTES_MS);
	config.min_rate_bytes = 5;
	config.rate_grace_ms = 1000;
	memset(piece, 'x', sizeof piece - 1);
	piece[sizeof piece - 1] = '\0';
	send_text(client, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
	await_state(PIPIT_STATE_READING, 1);
	for (int i = 0; i < 5; i++) {
		send_text(client, piece);
		await_delivery(client);
		stay_quiet();
		let_three_minutes_pass();
	}
	await(client, "x;");
	await_journal("head retain handle complete");
}
END_TEST

START_TEST(keeps_a_connection_that_is_used_now_and_then)
{
	struct client *client = connect_client();

	set_deadline(IDLE_DEADLINE, FIVE_MINUTES_MS);
	for (size_t i = 1; i <= 4; i++) {
		send_text(client, REQUEST("GET /now"));
		await_times(client, "/now ;", i);
		let_three_minutes_pass();
		ck_assert_uint_eq(pipit_counters_connections(counters), 1);
	}
	let_three_minutes_pass();
	await_connections(0);
}
END_TEST

START_TEST(has_no_deadline_for_a_deferred_reply)
{
	struct client *client = connect_client();

	config.min_rate_bytes = 1024;
	send_text(client, REQUEST("GET /later"));
	await_state(PIPIT_STATE_HANDLING, 1);
	pipit_timeouts_enforce(net, now_ms() + 24 * HOUR_MS);
	await_journal("head handle");
	reply(waiting->connection, 200, pipit_slice_of("at last"));
	await(client, "at last");
}
END_TEST

/* ---------------------------------------------------------------- */

static TCase *new_case(Suite *suite, const char *name, SFun set_up)
{
	TCase *tests = tcase_create(name);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	suite_add_tcase(suite, tests);
	return tests;
}

static void add_requests(TCase *tests)
{
	tcase_add_loop_test(tests, calls_the_handler_table_in_order_and_keeps_the_connection, 0, COUNT(lives));
	tcase_add_loop_test(tests, refuses_without_finishing_and_closes, 0, COUNT(refusals));
	tcase_add_test(tests, answers_what_came_before_a_refusal_and_nothing_after_it);
	tcase_add_loop_test(tests, answers_what_came_before_a_reply_that_cannot_be_completed, 0, COUNT(incomplete));
	tcase_add_loop_test(tests, lingers_when_a_client_sent_more_than_is_read, 0, COUNT(last_ones));
	tcase_add_test(tests, sends_the_last_reply_before_it_finds_later_bytes);
	tcase_add_loop_test(tests, leaves_the_next_request_undamaged, 0, COUNT(followed));
	tcase_add_test(tests, collects_a_large_body);
	tcase_add_test(tests, reads_requests_byte_by_byte);
	tcase_add_test(tests, describes_a_request_to_the_layer_above);
	tcase_add_test(tests, hands_a_collected_body_over);
}

static void add_replies(TCase *tests)
{
	tcase_add_test(tests, sends_a_deferred_reply);
	tcase_add_test(tests, keeps_requests_behind_a_deferred_reply);
	tcase_add_test(tests, reports_eof_during_a_deferred_reply_once);
	tcase_add_loop_test(tests, replies_to_a_client_that_shuts_down_its_sending_side_while_its_handler_is_queued, 0,
	    COUNT(queued_heads));
	tcase_add_test(tests, counts_replies_that_were_sent_before_one_that_waits);
	tcase_add_loop_test(tests, ends_a_reset_connection_once, 0, COUNT(resets));
	tcase_add_loop_test(tests, sends_a_file_and_serves_the_next_request, 0, COUNT(files));
	tcase_add_test(tests, sends_all_of_a_reply_that_the_socket_does_not_take_at_once);
	tcase_add_loop_test(tests, sends_again_after_an_error_that_passes, 0, COUNT(send_errors));
	tcase_add_test(tests, costs_one_receive_and_one_send_a_request);
	tcase_add_test(tests, costs_one_receive_and_one_send_for_sixteen_requests_at_once);
	tcase_add_test(tests, costs_one_send_for_a_head_and_a_small_file);
}

static void add_evhttp(TCase *tests)
{
	tcase_add_test(tests, sends_a_deferred_evhttp_reply);
	tcase_add_test(tests, dates_an_evhttp_reply_when_it_is_sent);
	tcase_add_test(tests, is_freed_in_the_turn_in_which_evhttp_closed_a_connection);
}

static void add_life(TCase *tests)
{
	tcase_add_test(tests, evicts_the_longest_idle_connection_but_none_with_an_unread_request);
	tcase_add_test(tests, evicts_a_new_connection_with_unread_bytes_when_there_is_no_other);
	tcase_add_test(tests, evicts_no_connection_that_reads_a_body_or_handles_a_request);
	tcase_add_test(tests, evicts_connections_in_the_order_of_their_priority);
	tcase_add_test(tests, evicts_late_and_idle_connections_before_an_arriving_one);
	tcase_add_test(tests, evicts_the_oldest_partial_head_although_it_goes_on);
	tcase_add_test(tests, evicts_a_silent_connection_before_an_older_one_with_unread_bytes);
	tcase_add_loop_test(tests, gives_a_head_and_a_body_a_second_at_the_limit, 0, COUNT(ages));
	tcase_add_test(tests, evicts_any_number_of_connections_in_their_order);
	tcase_add_test(tests, scans_20_ms_after_a_scan_without_a_result);
	tcase_add_test(tests, evicts_a_connection_that_lingers_since_the_last_scan);
	tcase_add_test(tests, accepts_no_connection_in_place_of_a_refused_one);
	tcase_add_test(tests, serves_others_between_the_requests_of_a_long_pipeline);
	tcase_add_test(tests, reads_a_head_in_pieces_while_the_memory_limit_is_used_up);
	tcase_add_test(tests, says_close_with_the_last_request_that_the_limit_allows);
	tcase_add_test(tests, refuses_a_body_while_the_memory_limit_is_used_up);
	tcase_add_test(tests, refuses_a_body_above_the_memory_limit_as_too_large);
	tcase_add_test(tests, aborts_an_unread_reply_above_the_memory_limit);
	tcase_add_test(tests, evicts_the_oldest_partial_head_when_heads_fill_half_of_the_memory_limit);
	tcase_add_test(tests, evicts_no_idle_connection_and_not_itself_for_the_bytes_of_a_head);
	tcase_add_test(tests, stops_reading_from_a_client_that_pipelines_and_does_not_read);
	tcase_add_test(tests, evicts_a_connection_for_a_new_one_at_the_limit);
	tcase_add_loop_test(tests, asks_another_worker_to_evict_or_refuses_a_new_connection, 0, 2);
	tcase_add_loop_test(tests, says_close_in_every_reply_while_draining, 0, COUNT(drained));
	tcase_add_test(tests, closes_quiet_idle_connections_while_draining);
	tcase_add_test(tests, closes_every_connection);
	tcase_add_test(tests, accepts_connections_after_all_were_closed);
	tcase_add_test(tests, is_freed_with_connections_in_every_state);
	tcase_add_test(tests, is_freed_right_after_all_connections_were_closed);
	tcase_add_test(tests, is_freed_with_connections_in_the_backlog);
	tcase_add_test(tests, is_freed_with_connections_that_were_accepted_and_not_adopted);
	tcase_add_test(tests, is_freed_in_the_turn_in_which_a_connection_was_closed);
	tcase_add_test(tests, is_freed_with_requests_that_were_not_read);
	tcase_add_test(tests, serves_where_local_sockets_are_forbidden);
	tcase_add_test(tests, is_ready_for_the_next_connection);
	tcase_add_test(tests, freeing_null_is_harmless);
}

static void add_deadlines(TCase *tests)
{
	tcase_add_loop_test(tests, ends_a_connection_at_its_deadline, 0, COUNT(deadlines));
	tcase_add_loop_test(tests, has_its_deadlines_to_the_millisecond, 0, COUNT(deadlines));
	tcase_add_loop_test(tests, waits_for_one_sweep_at_the_deadline_when_bytes_are_unread, 0, COUNT(deadlines));
	tcase_add_loop_test(tests, lingers_to_the_millisecond, 0, COUNT(lingerings));
	tcase_add_loop_test(tests, closes_an_idle_connection_half_a_second_into_a_drain, 0, 2);
	tcase_add_loop_test(tests, keeps_the_minimum_rate_to_the_byte_and_the_millisecond, 0, COUNT(rates));
	tcase_add_loop_test(tests, counts_sent_bytes_for_the_minimum_rate, 0, COUNT(sent_slowly));
	tcase_add_loop_test(tests, begins_a_window_of_the_rate_to_the_millisecond, 0, COUNT(graces));
	tcase_add_loop_test(tests, has_no_deadline_that_is_switched_off, 0, COUNT(deadlines));
	tcase_add_loop_test(tests, ends_a_connection_that_is_slower_than_the_minimum_after_the_grace, 0, COUNT(slow));
	tcase_add_test(tests, ends_a_connection_that_becomes_slow);
	tcase_add_test(tests, keeps_an_idle_connection_with_an_unread_request);
	tcase_add_test(tests, gives_every_head_of_a_pipeline_its_own_deadline);
	tcase_add_test(tests, waits_for_a_body_that_keeps_its_rate);
	tcase_add_test(tests, keeps_a_connection_that_is_used_now_and_then);
	tcase_add_test(tests, has_no_deadline_for_a_deferred_reply);
}

int main(void)
{
	Suite *suite = suite_create("net");

	add_requests(new_case(suite, "requests, own links", set_up_with_own_links));
	add_replies(new_case(suite, "replies, own links", set_up_with_own_links));
	add_evhttp(new_case(suite, "evhttp, own links", set_up_with_own_links));
	add_life(new_case(suite, "life, own links", set_up_with_own_links));
	add_deadlines(new_case(suite, "deadlines, own links", set_up_with_own_links));
	add_requests(new_case(suite, "requests, borrowed links", set_up_with_borrowed_links));
	add_replies(new_case(suite, "replies, borrowed links", set_up_with_borrowed_links));
	add_evhttp(new_case(suite, "evhttp, borrowed links", set_up_with_borrowed_links));
	add_life(new_case(suite, "life, borrowed links", set_up_with_borrowed_links));
	add_deadlines(new_case(suite, "deadlines, borrowed links", set_up_with_borrowed_links));
	add_requests(new_case(suite, "native requests", set_up_without));
	add_replies(new_case(suite, "native replies", set_up_without));
	add_life(new_case(suite, "native life", set_up_without));
	add_deadlines(new_case(suite, "native deadlines", set_up_without));
	return run_suite(suite);
}
