/* SPDX-License-Identifier: MIT */
/*
 * libh2o with its own event loop as a peer of run.py: one thread, and a handler that sends a constant.
 *
 * usage: h2o PORT [CERTIFICATE KEY]
 */
#include "loopback.h"

/* Without it the header expects libuv. */
#define H2O_USE_EPOLL 1
#include <h2o.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#define CONTENT "{\"message\":\"Hello, World!\"}"
/* Idle connections must outlast a measurement; the default is 10 s. In milliseconds. */
#define IDLE_TIMEOUT_MS (60 * 60 * 1000)
#define TURN_MS 1000

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accept_context = { .ctx = &context };

static int greet(h2o_handler_t *handler, h2o_req_t *request)
{
	static h2o_generator_t whole; /* nothing comes after the first piece */
	h2o_iovec_t content = h2o_iovec_init(H2O_STRLIT(CONTENT));

	(void)handler;
	request->res.status = 200;
	request->res.reason = "OK";
	request->res.content_length = content.len;
	h2o_add_header(
	    &request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, H2O_STRLIT("application/json"));
	h2o_start_response(request, &whole);
	h2o_send(request, &content, 1, H2O_SEND_STATE_FINAL);
	return 0;
}

static void accept_clients(h2o_socket_t *listener, const char *error)
{
	h2o_socket_t *client;

	while (!error && (client = h2o_evloop_socket_accept(listener)) != NULL)
		h2o_accept(&accept_context, client);
}

static void configure(void)
{
	h2o_hostconf_t *host;

	h2o_config_init(&config);
	config.http1.req_timeout = IDLE_TIMEOUT_MS;
	host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_create_handler(h2o_config_register_path(host, "/json/hello", 0), sizeof(h2o_handler_t))->on_req = greet;
	h2o_context_init(&context, h2o_evloop_create(), &config);
	accept_context.hosts = config.hosts;
}

/* TLS 1.3, with PEM files. */
static bool encrypt(const char *certificate, const char *key)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	accept_context.ssl_ctx = tls;
	return tls && SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_use_certificate_chain_file(tls, certificate) == 1 &&
	       SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1;
}

int main(int argc, char **argv)
{
	int listener = argc == 2 || (argc == 4 && encrypt(argv[2], argv[3])) ? listen_on_loopback(argv[1]) : -1;

	if (listener < 0) {
		/* With the version, because that of its pkg-config file is a different number. */
		fprintf(stderr, "usage: h2o PORT (a free one) [CERTIFICATE KEY]; libh2o " H2O_VERSION "\n");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	configure();
	h2o_socket_read_start(
	    h2o_evloop_socket_create(context.loop, listener, H2O_SOCKET_FLAG_DONT_READ), accept_clients);
	while (h2o_evloop_run(context.loop, TURN_MS) == 0)
		;
	fprintf(stderr, "h2o: its loop has ended\n");
	return 1;
}
