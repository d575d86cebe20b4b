/* SPDX-License-Identifier: MIT */
/*
 * A whole server in this process, and a client that talks to it over loopback.
 *
 * The input is what the client sends, in one piece. An input that begins with NUL is a script: a byte of choices, then bytes to
 * send, among which 0xff begins a command of one more byte (see enum command). At its end the client reads until all its
 * requests are answered, and closes.
 *
 * Checked: the output is one well-formed response for each request, in order, and echoed data is what was sent; a server that
 * closes before all requests are answered says so; no connection and no request is left; a new client is always served. Nothing
 * waits for time to pass: deadlines are hours away, and a hang ends the process.
 */
#include "responses.h"

#include "pipit.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 8
#define QUICK_TURNS 64
#define BIG_BYTES 20000
#define GUESTS_MAX 3
#define INPUT_MAX 65536

static struct event_base *base;
static struct pipit_server *server;
static struct pipit_config config;
static struct pipit_guard_limits limits;
static struct sockaddr_in address;
static int listener;
static unsigned waiting_handlers; /* replies to be sent */

/* ---------------------------------------------------------------- handlers */

static void hello(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_header(request, "X-Peer", pipit_request_peer(request));
	pipit_reply_text(request, 200, "hello\n");
}

static void echo(struct pipit_request *request, void *arg)
{
	size_t length;
	const char *body = pipit_request_body(request, &length);
	(void)arg;
	REQUIRE(body[length] == '\0');
	pipit_reply(request, 200, "application/octet-stream", body, length);
}

static void echo_json(struct pipit_request *request, void *arg)
{
	cJSON *doc = pipit_request_json(request);
	(void)arg;
	if (doc)
		pipit_reply_json(request, 200, doc);
}

static void big(struct pipit_request *request, void *arg)
{
	static char text[BIG_BYTES];
	(void)arg;
	pipit_reply(request, 200, "text/plain", text, sizeof text);
}

/* Calls every getter of a request. */
static void describe(struct pipit_request *request, void *arg)
{
	cJSON *doc = cJSON_CreateObject();
	const char *name, *value;
	char text[24];
	(void)arg;
	value = pipit_request_parameter(request, "rest");
	REQUIRE(value && pipit_request_path(request)[0] == '/');
	cJSON_AddNumberToObject(doc, "rest", (double)strlen(value));
	cJSON_AddNumberToObject(doc, "query", (double)pipit_request_query_value(request, "q", text, sizeof text));
	cJSON_AddNumberToObject(doc, "form", (double)pipit_request_form_value(request, "q", text, sizeof text));
	for (size_t i = 0; pipit_request_field(request, i, &name, &value); i++)
		REQUIRE(pipit_request_header(request, name));
	pipit_reply_json(request, 200, doc);
}

/* Replies from an event, after the handler has returned. */
static void reply_from_event(evutil_socket_t fd, short what, void *context)
{
	size_t length;
	const char *body;
	(void)fd, (void)what;
	waiting_handlers--;
	echo(context, NULL);
	/* A kept request is valid until it is released, also after the reply. */
	body = pipit_request_body(context, &length);
	REQUIRE(body[length] == '\0');
	REQUIRE(pipit_request_path(context)[0] == '/');
	pipit_request_release(context);
}

static void note_abort(struct pipit_request *request, void *arg)
{
	(void)arg;
	REQUIRE(pipit_request_peer(request));
}

static void later(struct pipit_request *request, void *arg)
{
	static const struct timeval now;
	(void)arg;
	if (pipit_request_keep(request) != 0) {
		pipit_reply_problem(request, 503, NULL);
		return;
	}
	waiting_handlers++;
	pipit_request_on_abort(request, note_abort, NULL);
	REQUIRE(event_base_once(pipit_request_base(request), -1, EV_TIMEOUT, reply_from_event, request, &now) == 0);
}

static void reply_posted(struct pipit_request *request, void *arg)
{
	waiting_handlers--;
	hello(request, arg);
	pipit_request_release(request);
}

static void posted(struct pipit_request *request, void *arg)
{
	REQUIRE(pipit_request_keep(request) == 0);
	waiting_handlers++;
	REQUIRE(pipit_request_post(request, reply_posted, arg) == 0);
}

static void evhttp_echo(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply(request, 200, "OK", evhttp_request_get_input_buffer(request));
}

static void evhttp_later_event(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	waiting_handlers--;
	evhttp_send_error(context, 404, "Not here");
}

static void evhttp_later(struct evhttp_request *request, void *arg)
{
	static const struct timeval now;
	(void)arg;
	waiting_handlers++;
	REQUIRE(event_base_once(base, -1, EV_TIMEOUT, evhttp_later_event, request, &now) == 0);
}

static void send_chunk(struct evhttp_request *request, size_t length)
{
	static const char text[3000];
	struct evbuffer *piece = evbuffer_new();
	evbuffer_add(piece, text, length);
	evhttp_send_reply_chunk(request, piece);
	evbuffer_free(piece);
}

static void evhttp_end_event(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	waiting_handlers--;
	send_chunk(context, 7);
	evhttp_send_reply_end(context);
}

/* A chunked reply that ends from an event. */
static void evhttp_chunks(struct evhttp_request *request, void *arg)
{
	static const struct timeval now;
	(void)arg;
	waiting_handlers++;
	evhttp_send_reply_start(request, 200, "OK");
	send_chunk(request, 5);
	send_chunk(request, 3000);
	REQUIRE(event_base_once(base, -1, EV_TIMEOUT, evhttp_end_event, request, &now) == 0);
}

/* ---------------------------------------------------------------- the server */

static void configure(void)
{
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.log_format = "json";
	config.access_log = "/dev/null";
	config.max_connections = 4;
	config.memory_limit = 64 * 1024;
	config.max_head_bytes = 1024;
	config.max_fields = 20;
	config.max_field_bytes = 300;
	config.max_target_bytes = 200;
	config.max_body_bytes = 1500;
	config.max_output_bytes = 4096;
	config.max_json_depth = 16;
	config.head_timeout_ms = config.read_timeout_ms = config.write_timeout_ms = config.idle_timeout_ms = 3600000;
	config.min_rate_bytes = 0;
	limits.max_head_bytes = (uint32_t)config.max_head_bytes;
	limits.max_fields = (uint32_t)config.max_fields;
	limits.max_field_bytes = (uint32_t)config.max_field_bytes;
	limits.max_target_bytes = (uint32_t)config.max_target_bytes;
}

static void add_routes(void)
{
	static const struct pipit_route_options no_content = { .refuse_body = true };
	char root[64];
	struct pipit_site *site;

	fuzz_make_file("site/index.html", 200);
	fuzz_make_file("site/large.bin", 40000);
	fuzz_make_file("site/sub/index.html", 20);
	snprintf(root, sizeof root, "%s/site", fuzz_folder());
	site = pipit_site_new(root);
	REQUIRE(site);
	REQUIRE(pipit_route_with(server, PIPIT_GET, "/hello", hello, NULL, &no_content) == 0);
	REQUIRE(pipit_route(server, PIPIT_POST | PIPIT_PUT, "/echo", echo, NULL) == 0);
	REQUIRE(pipit_route(server, PIPIT_POST, "/json", echo_json, NULL) == 0);
	REQUIRE(pipit_route(server, PIPIT_ANY, "/big", big, NULL) == 0);
	REQUIRE(pipit_route(server, PIPIT_ANY, "/later", later, NULL) == 0);
	REQUIRE(pipit_route(server, PIPIT_ANY, "/posted", posted, NULL) == 0);
	REQUIRE(pipit_route(server, PIPIT_GET | PIPIT_POST, "/d/{rest...}", describe, NULL) == 0);
	REQUIRE(pipit_route_evhttp(server, PIPIT_ANY, "/evhttp/echo", evhttp_echo, NULL) == 0);
	REQUIRE(pipit_route_evhttp(server, PIPIT_ANY, "/evhttp/later", evhttp_later, NULL) == 0);
	REQUIRE(pipit_route_evhttp(server, PIPIT_ANY, "/evhttp/chunks", evhttp_chunks, NULL) == 0);
	REQUIRE(pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL) == 0);
	REQUIRE(pipit_fallback(server, pipit_serve_files, site) == 0);
}

static int find_listener(void)
{
	for (int fd = 3; fd < 64; fd++) {
		int listens = 0;
		socklen_t length = sizeof listens;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens)
			return fd;
	}
	REQUIRE(!"a listening socket");
	return -1;
}

/* Accepted connections get small buffers, so that a client that does not read blocks the server soon. */
static void shrink_buffers(void)
{
	int size = 4096;
	REQUIRE(setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
}

static void start(void)
{
	struct event_config *events = event_config_new();
	unsigned port;
	signal(SIGPIPE, SIG_IGN);
	event_config_set_flag(events, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(events);
	event_config_free(events);
	configure();
	server = pipit_server_new(&config);
	REQUIRE(base && server);
	add_routes();
	REQUIRE(pipit_server_attach(server, base) == 0);
	REQUIRE(sscanf(pipit_server_url(server, 0), "http://127.0.0.1:%u", &port) == 1);
	address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = find_listener();
	shrink_buffers();
}

static void take_turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * Runs turns of the loop until a condition holds: quick ones first, then ones that wait for an event, of which the server has
 * one a few times a second.
 */
static void turn_until(bool (*is_reached)(void *), void *arg)
{
	double end = 0;
	for (unsigned i = 0; !is_reached(arg); i++) {
		if (i == QUICK_TURNS)
			end = now_s() + PATIENCE_S;
		REQUIRE(i < QUICK_TURNS || now_s() < end);
		event_base_loop(base, i < QUICK_TURNS ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
	}
}

/* ---------------------------------------------------------------- the client */

struct client {
	int fd; /* -1 once closed */
	bool reads;
	bool has_shut_down;
	bool is_lost; /* the server has closed, or the connection is reset */
	bool was_reset;
	struct fuzz_bytes received;
};

/*
 * -1 with errno. From another address each time: ports of closed connections stay in TIME_WAIT for a minute, and one address
 * has not enough of them.
 */
static int try_to_connect(bool has_small_buffer)
{
	static uint32_t count;
	struct sockaddr_in source = { .sin_family = AF_INET };
	int on = 1, size = 2048, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(fd >= 0);
	count++;
	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (count / 64 & 0xffff) * 2);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (has_small_buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (bind(fd, (struct sockaddr *)&source, sizeof source) == 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	close(fd);
	return -1;
}

/*
 * A busy machine may have no free port at some address, and libFuzzer's alarm may interrupt the call: the server is not at
 * fault.
 */
static int connect_to_server(bool has_small_buffer)
{
	for (int tries = 0; tries < 1000; tries++) {
		int fd = try_to_connect(has_small_buffer);
		if (fd >= 0)
			return fd;
		if (errno != EADDRNOTAVAIL && errno != EADDRINUSE && errno != EINTR)
			perror("connect");
		REQUIRE(errno == EADDRNOTAVAIL || errno == EADDRINUSE || errno == EINTR);
	}
	REQUIRE(!"a port");
	return -1;
}

static void receive(struct client *client)
{
	char piece[16384];
	while (!client->is_lost) {
		ssize_t length = recv(client->fd, piece, sizeof piece, MSG_DONTWAIT);
		if (length > 0) {
			fuzz_append(&client->received, piece, (size_t)length);
			continue;
		}
		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		client->is_lost = true;
		client->was_reset = length < 0;
	}
}

static void turn(struct client *client)
{
	take_turn();
	if (client->fd >= 0 && client->reads)
		receive(client);
}

struct sending {
	struct client *client;
	const char *at, *end;
};

static bool is_sent(void *arg)
{
	struct sending *sending = arg;
	struct client *client = sending->client;
	while (sending->at < sending->end) {
		ssize_t length =
		    send(client->fd, sending->at, (size_t)(sending->end - sending->at), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (length < 0 && errno != EAGAIN)
			return true; /* the server has closed: receive() reports how */
		if (length < 0) {
			/* Neither side accepts bytes: one of them must read. */
			receive(client);
			return client->is_lost;
		}
		sending->at += length;
	}
	return true;
}

static void send_all(struct client *client, const char *bytes, size_t length)
{
	struct sending sending = { client, bytes, bytes + length };
	if (client->fd >= 0 && !client->has_shut_down)
		turn_until(is_sent, &sending);
}

static void close_client(struct client *client, bool with_reset)
{
	struct linger linger = { 1, 0 };
	if (client->fd < 0)
		return;
	if (with_reset)
		setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(client->fd);
	client->fd = -1;
}

static bool is_lost(void *arg)
{
	struct client *client = arg;
	receive(client);
	return client->is_lost;
}

/* For a listening socket the kernel reports the number of pending connections there. */
static bool has_no_pending_accepts(void)
{
	struct tcp_info info = { .tcpi_unacked = 0 };
	socklen_t length = sizeof info;
	REQUIRE(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length) == 0);
	return info.tcpi_unacked == 0;
}

static bool is_idle(void *arg)
{
	(void)arg;
	return waiting_handlers == 0 && has_no_pending_accepts() && pipit_server_connections(server) == 0;
}

/* ---------------------------------------------------------------- the script */

/* After 0xff. Any other byte stands for itself, and so does 0xff. */
enum command {
	TURN = 't',      /* send the collected bytes, then one turn of the loop */
	TURNS = 'T',     /* the same with eight turns */
	STOP = 'p',      /* stop reading */
	GO_ON = 'r',     /* resume reading */
	SHUT_DOWN = 's', /* shut down the sending side; the rest is not sent */
	RESET = 'x',     /* close with a reset: the script ends */
	CLOSE = 'c',     /* close: the script ends */
	GUEST = 'g',     /* another client connects and is silent */
};

struct script {
	struct client client;
	struct fuzz_bytes wire; /* all bytes to be sent */
	size_t sent;            /* bytes sent of them */
	int guests[GUESTS_MAX];
	size_t guest_count;
	struct sent sent_requests; /* `wire` as parsed by the guard */
};

static void send_collected(struct script *script)
{
	send_all(&script->client, script->wire.data + script->sent, script->wire.length - script->sent);
	script->sent = script->wire.length;
}

static void run_command(struct script *script, uint8_t command)
{
	struct client *client = &script->client;
	char bytes[1] = { (char)command };
	switch (command) {
	case TURN:
	case TURNS:
		send_collected(script);
		for (int i = command == TURN ? 1 : 8; i > 0; i--)
			turn(client);
		break;
	case STOP:
	case GO_ON:
		client->reads = command == GO_ON;
		break;
	case SHUT_DOWN:
		send_collected(script);
		shutdown(client->fd, SHUT_WR);
		client->has_shut_down = true;
		break;
	case RESET:
	case CLOSE:
		send_collected(script);
		close_client(client, command == RESET);
		break;
	case GUEST:
		if (script->guest_count < GUESTS_MAX)
			script->guests[script->guest_count++] = connect_to_server(false);
		break;
	default:
		fuzz_append(&script->wire, bytes, 1);
		break;
	}
}

static void run_script(struct script *script, const uint8_t *data, size_t size, bool has_commands)
{
	for (size_t i = 0; i < size && script->client.fd >= 0; i++) {
		if (has_commands && data[i] == 0xff && i + 1 < size)
			run_command(script, data[++i]);
		else if (!script->client.has_shut_down)
			fuzz_append(&script->wire, &data[i], 1);
	}
	if (script->client.fd >= 0)
		send_collected(script);
}

static bool check_conversation(struct script *script, enum conversation_end end)
{
	return responses_check(script->client.received.data, script->client.received.length, &script->sent_requests,
	    (size_t)config.max_body_bytes, end);
}

/* Responses are parsed again only when no bytes are pending. */
static bool is_answered(void *arg)
{
	struct script *script = arg;
	struct client *client = &script->client;
	size_t before = client->received.length;
	receive(client);
	if (client->is_lost || client->received.length > before)
		return client->is_lost;
	return !client->has_shut_down && check_conversation(script, END_CUT);
}

/*
 * Reads until all requests are answered; after a half-close until the server has closed too. Most scripts end without one: the
 * side that closes first leaves a port in TIME_WAIT for a minute, and a reset leaves none.
 */
static void finish_client(struct script *script)
{
	struct client *client = &script->client;
	bool is_alone = script->guest_count == 0;
	sent_read(&script->sent_requests, script->wire.data, script->wire.length, &limits);
	if (client->fd >= 0) {
		client->reads = true;
		turn_until(is_answered, script);
		/* Surplus bytes would arrive now. */
		turn(client);
		turn(client);
		/* The server must read or discard what the client sent, and not reset the connection. */
		REQUIRE(!client->was_reset || !is_alone);
	}
	/* Other clients may have caused its eviction. */
	check_conversation(script, client->fd >= 0 && is_alone ? END_ORDERLY : END_CUT);
}

static void leave(struct script *script)
{
	close_client(&script->client, true);
	while (script->guest_count > 0) {
		struct client guest = { .fd = script->guests[--script->guest_count] };
		close_client(&guest, true);
	}
	turn_until(is_idle, NULL);
}

static void serve_a_new_client(void)
{
	static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct client client = { .fd = connect_to_server(false), .reads = true };
	send_all(&client, request, sizeof request - 1);
	turn_until(is_lost, &client);
	REQUIRE(client.received.length > 12 && memcmp(client.received.data, "HTTP/1.1 200", 12) == 0);
	REQUIRE(memmem(client.received.data, client.received.length, "\r\n\r\nhello\n", 10));
	close_client(&client, true);
	free(client.received.data);
	turn_until(is_idle, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script script;
	static unsigned runs;
	bool has_commands = size >= 2 && data[0] == 0;

	if (!server)
		start();
	if (size > INPUT_MAX)
		return 0;
	script.client = (struct client){ .reads = true,
		.received = { script.client.received.data, 0, script.client.received.capacity } };
	script.wire.length = script.sent = script.guest_count = 0;
	fuzz_append(&script.wire, NULL, 0);
	fuzz_append(&script.client.received, NULL, 0);
	script.client.fd = connect_to_server(has_commands && (data[1] & 1));
	run_script(&script, has_commands ? data + 2 : data, has_commands ? size - 2 : size, has_commands);
	finish_client(&script);
	leave(&script);
	if (runs++ % 16 == 0)
		serve_a_new_client();
	return 0;
}
