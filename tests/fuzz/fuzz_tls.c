/* SPDX-License-Identifier: MIT */
/*
 * A whole server with an https address in this process, and a client over loopback whose TLS records are cut, delayed, repeated and mixed
 * with bytes that are none.
 *
 * The input is a script: a byte of choices (bit 0: a handshake comes first, bit 1: of TLS 1.2), then bytes, among which 0xff begins a
 * command of one more byte (see enum command). The bytes between commands are collected, and a command says what becomes of them: content
 * of a record, or bytes of the network.
 *
 * Checked: the server goes on. No connection is left when the client has left. A client that sent nothing but its own records, all in order,
 * can read whatever the server sends, up to close_notify. A new client is always served. Nothing waits for time to pass: deadlines are hours
 * away, and a hang ends the process.
 */
#include "fuzz.h"

#include "pipit.h"
#include "tls/test_certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60
#define QUICK_TURNS 64
#define INPUT_MAX 8192
#define BIG_BYTES 100000

/* After 0xff. Any other byte stands for itself, and so does 0xff. */
enum command {
	RECORD = 'e', /* the collected bytes are content: of one record, encrypted */
	RAW = 'r',    /* the collected bytes go to the network as they are */
	DRIBBLE =
	    'd', /* the next byte: pieces of so many bytes from here on, with a turn of the loop after each; 0: whole */
	TURN = 't',         /* a turn of the loop */
	KEY_UPDATE = 'k',   /* new keys, TLS 1.3; both directions */
	CLOSE_NOTIFY = 'a', /* the client sends nothing more */
	SHUT_DOWN = 's',    /* of the socket, without close_notify */
	STOP = 'p',         /* stop reading */
	GO_ON = 'g',        /* resume reading */
	REPEAT = 'w'        /* send the last bytes of the network again */
};

struct client {
	int fd;
	SSL *ssl; /* on two memory BIOs */
	BIO *from_server, *to_server;
	struct fuzz_bytes collected, last;
	size_t piece; /* of DRIBBLE */
	bool reads, has_shut_down, is_lost;
	bool is_proper; /* only its own records, in order, so far */
};

static struct event_base *base;
static struct pipit_server *server;
static struct pipit_config config;
static struct sockaddr_in address;
static SSL_CTX *context;

/* ---------------------------------------------------------------- the server */

static void hello(struct pipit_request *request, void *arg)
{
	(void)arg;
	REQUIRE(pipit_request_is_https(request));
	pipit_reply_text(request, 200, "hello\n");
}

static void echo(struct pipit_request *request, void *arg)
{
	size_t length;
	const char *body = pipit_request_body(request, &length);
	(void)arg;
	pipit_reply(request, 200, "application/octet-stream", body, length);
}

static void big(struct pipit_request *request, void *arg)
{
	static char text[BIG_BYTES];
	(void)arg;
	pipit_reply(request, 200, "text/plain", text, sizeof text);
}

static void configure(void)
{
	static char certificate[64], key[64];
	char error[256];

	REQUIRE(pipit_test_certificate_make(fuzz_folder(), error, sizeof error) == 0);
	snprintf(certificate, sizeof certificate, "%s/" PIPIT_TEST_CERTIFICATE_FILE, fuzz_folder());
	snprintf(key, sizeof key, "%s/" PIPIT_TEST_CERTIFICATE_KEY_FILE, fuzz_folder());
	pipit_config_init(&config);
	config.listen[0] = "https://127.0.0.1:0";
	config.tls_certificate[0] = certificate;
	config.tls_key[0] = key;
	config.tls_certificate_count = config.tls_key_count = 1;
	config.access_log = "/dev/null";
	config.max_connections = 4;
	config.memory_limit = 256 * 1024;
	config.max_body_bytes = 20000;
	config.tls_handshake_timeout_ms = config.head_timeout_ms = config.read_timeout_ms = config.write_timeout_ms =
	    config.idle_timeout_ms = 3600000;
	config.min_rate_bytes = 0;
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
	REQUIRE(pipit_route(server, PIPIT_GET, "/hello", hello, NULL) == 0);
	REQUIRE(pipit_route(server, PIPIT_POST, "/echo", echo, NULL) == 0);
	REQUIRE(pipit_route(server, PIPIT_GET, "/big", big, NULL) == 0);
	REQUIRE(pipit_server_attach(server, base) == 0);
	REQUIRE(sscanf(pipit_server_url(server, 0), "https://127.0.0.1:%u", &port) == 1);
	address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	context = SSL_CTX_new(TLS_client_method());
	REQUIRE(context);
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Quick turns first, then ones that wait for an event, of which the server has one a few times a second. */
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

static bool is_idle(void *arg)
{
	(void)arg;
	return pipit_server_connections(server) == 0;
}

/* ---------------------------------------------------------------- the client */

/* From another address each time: ports of closed connections stay in TIME_WAIT for a minute. */
static int connect_to_server(void)
{
	static uint32_t count;
	for (int tries = 0; tries < 1000; tries++) {
		struct sockaddr_in source = { .sin_family = AF_INET };
		int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		REQUIRE(fd >= 0);
		count++;
		source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (count / 64 & 0xffff) * 2);
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (bind(fd, (struct sockaddr *)&source, sizeof source) == 0 &&
		    connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
			return fd;
		close(fd);
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
			BIO_write(client->from_server, piece, (int)length);
			continue;
		}
		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		client->is_lost = true;
	}
}

/* What the server sent must be records that this client can read. */
static void decrypt(struct client *client)
{
	char piece[16384];
	int length;

	/* A write behind close_notify leaves an error. */
	ERR_clear_error();
	while ((length = SSL_read(client->ssl, piece, sizeof piece)) > 0)
		;
	if (client->is_proper && SSL_is_init_finished(client->ssl)) {
		int error = SSL_get_error(client->ssl, length);
		REQUIRE(error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN);
	}
	ERR_clear_error();
}

static void turn(struct client *client)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (client->reads) {
		receive(client);
		decrypt(client);
	}
}

struct sending {
	struct client *client;
	const char *at, *end;
};

static bool is_sent(void *arg)
{
	struct sending *sending = arg;
	while (sending->at < sending->end && !sending->client->is_lost) {
		ssize_t length = send(sending->client->fd, sending->at, (size_t)(sending->end - sending->at),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (length < 0 && errno != EAGAIN)
			return true; /* the server has closed */
		if (length < 0) {
			/* Neither side accepts bytes: one of them must read. */
			receive(sending->client);
			return false;
		}
		sending->at += length;
	}
	return true;
}

static void send_bytes(struct client *client, const char *bytes, size_t length)
{
	while (length > 0 && !client->has_shut_down) {
		size_t part = client->piece && client->piece < length ? client->piece : length;
		struct sending sending = { client, bytes, bytes + part };
		turn_until(is_sent, &sending);
		bytes += part, length -= part;
		if (length > 0)
			turn(client);
	}
}

static void send_records(struct client *client)
{
	char *bytes;
	long length = BIO_get_mem_data(client->to_server, &bytes);

	if (length <= 0)
		return;
	client->last.length = 0;
	fuzz_append(&client->last, bytes, (size_t)length);
	(void)BIO_reset(client->to_server);
	send_bytes(client, client->last.data, client->last.length);
}

static bool has_shaken_hands(void *arg)
{
	struct client *client = arg;
	int result;

	receive(client);
	result = SSL_do_handshake(client->ssl);
	send_records(client);
	REQUIRE(result == 1 || SSL_get_error(client->ssl, result) == SSL_ERROR_WANT_READ);
	REQUIRE(!client->is_lost);
	return result == 1;
}

static void begin(struct client *client, bool is_old)
{
	client->fd = connect_to_server();
	client->ssl = SSL_new(context);
	client->from_server = BIO_new(BIO_s_mem());
	client->to_server = BIO_new(BIO_s_mem());
	REQUIRE(client->ssl && client->from_server && client->to_server);
	BIO_set_mem_eof_return(client->from_server, -1);
	SSL_set_bio(client->ssl, client->from_server, client->to_server);
	if (is_old)
		SSL_set_max_proto_version(client->ssl, TLS1_2_VERSION);
	SSL_set_connect_state(client->ssl);
	client->reads = client->is_proper = true;
	fuzz_append(&client->collected, NULL, 0);
	fuzz_append(&client->last, NULL, 0);
}

static void leave(struct client *client)
{
	struct linger linger = { 1, 0 };

	/* Without a reset the port would stay in TIME_WAIT. */
	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(client->fd);
	SSL_free(client->ssl);
	free(client->collected.data);
	free(client->last.data);
	ERR_clear_error();
	turn_until(is_idle, NULL);
}

/* ---------------------------------------------------------------- the script */

static void send_content(struct client *client)
{
	if (client->collected.length > 0 && SSL_is_init_finished(client->ssl))
		SSL_write(client->ssl, client->collected.data, (int)client->collected.length);
	client->collected.length = 0;
	send_records(client);
}

static void send_raw(struct client *client, const char *bytes, size_t length)
{
	if (length > 0)
		client->is_proper = false;
	send_bytes(client, bytes, length);
}

/* Takes the byte of DRIBBLE; returns how many bytes it took. */
static size_t run_command(struct client *client, uint8_t command, const uint8_t *next, size_t left)
{
	switch (command) {
	case RECORD:
		send_content(client);
		break;
	case RAW:
		send_raw(client, client->collected.data, client->collected.length);
		client->collected.length = 0;
		break;
	case DRIBBLE:
		client->piece = left > 0 ? *next : 0;
		return left > 0;
	case TURN:
		turn(client);
		break;
	case KEY_UPDATE:
		if (SSL_is_init_finished(client->ssl) && SSL_version(client->ssl) == TLS1_3_VERSION &&
		    SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
			SSL_do_handshake(client->ssl);
		send_records(client);
		break;
	case CLOSE_NOTIFY:
		SSL_shutdown(client->ssl);
		send_records(client);
		break;
	case SHUT_DOWN:
		shutdown(client->fd, SHUT_WR);
		client->has_shut_down = true;
		break;
	case STOP:
	case GO_ON:
		client->reads = command == GO_ON;
		break;
	case REPEAT:
		send_raw(client, client->last.data, client->last.length);
		break;
	default:
		fuzz_append(&client->collected, &command, 1);
	}
	ERR_clear_error();
	return 0;
}

static void run_script(struct client *client, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size && !client->has_shut_down; i++) {
		if (data[i] != 0xff || i + 1 == size) {
			fuzz_append(&client->collected, &data[i], 1);
			continue;
		}
		i++;
		i += run_command(client, data[i], data + i + 1, size - i - 1);
	}
	/* The rest is content after a handshake, and bytes of the network without one. */
	if (SSL_is_init_finished(client->ssl))
		send_content(client);
	else
		send_raw(client, client->collected.data, client->collected.length);
	client->reads = true;
	for (int i = 0; i < 4; i++)
		turn(client);
}

static void serve_a_new_client(void)
{
	static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
	struct client client = { 0 };
	char reply[1024];
	int length;
	double end = now_s() + PATIENCE_S;

	begin(&client, false);
	turn_until(has_shaken_hands, &client);
	REQUIRE(SSL_write(client.ssl, request, sizeof request - 1) > 0);
	send_records(&client);
	while ((length = SSL_read(client.ssl, reply, sizeof reply)) <= 0) {
		REQUIRE(SSL_get_error(client.ssl, length) == SSL_ERROR_WANT_READ && now_s() < end);
		event_base_loop(base, EVLOOP_NONBLOCK);
		receive(&client);
	}
	REQUIRE(length > 12 && memcmp(reply, "HTTP/1.1 200", 12) == 0);
	leave(&client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned runs;
	struct client client = { 0 };

	if (!server)
		start();
	if (size < 1 || size > INPUT_MAX)
		return 0;
	begin(&client, data[0] & 2);
	if (data[0] & 1)
		turn_until(has_shaken_hands, &client);
	run_script(&client, data + 1, size - 1);
	leave(&client);
	if (runs++ % 16 == 0)
		serve_a_new_client();
	return 0;
}
