/* SPDX-License-Identifier: MIT */
/* Routes that are admin_only: they exist at admin_listen only, in every lane and for every kind of address. */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct loop loop;
static struct pipit_server *server;
static char path[64], address[80];

static void reply(struct pipit_request *request, void *text)
{
	pipit_reply_text(request, 200, text);
}

static void send_text(struct evhttp_request *request, void *text)
{
	evbuffer_add_printf(evhttp_request_get_output_buffer(request), "%s", (const char *)text);
	evhttp_send_reply(request, 200, "OK", NULL);
}

enum lane { NATIVE, BORROWED, OWN };

static const struct {
	enum lane lane;
	const char *listen, *admin_listen; /* NULL: the UNIX socket */
} servers[] = {
	{ NATIVE, "127.0.0.1:0", "127.0.0.1:0" },
	{ BORROWED, "127.0.0.1:0", "127.0.0.1:0" },
	{ OWN, "127.0.0.1:0", "127.0.0.1:0" },
	{ OWN, "127.0.0.1:0", "[::]:0" },
	{ OWN, "[::]:0", "0.0.0.0:0" },
	{ NATIVE, "127.0.0.1:0", NULL },
	{ BORROWED, "127.0.0.1:0", NULL },
#ifdef __GLIBC__
	{ OWN, "127.0.0.1:0", NULL },
	{ OWN, NULL, "127.0.0.1:0" },
#endif
	{ NATIVE, NULL, "127.0.0.1:0" },
};

static void set_up(const char *listen, const char *admin_listen)
{
	struct pipit_config config;

	snprintf(path, sizeof path, "/tmp/pipit-admin-%ld", (long)getpid());
	snprintf(address, sizeof address, "unix:%s", path);
	pipit_config_init(&config);
	config.listen[0] = listen ? listen : address;
	config.listen_count = 1;
	config.admin_listen = admin_listen;
	ck_assert_ptr_nonnull(server = pipit_server_new(&config));
}

static void add_routes(enum lane lane)
{
	static char inside[] = "inside", outside[] = "outside";
	const struct pipit_route_options admin = { .admin_only = true, .borrows_connection = lane == BORROWED },
					 all = { .borrows_connection = lane == BORROWED };

	if (lane == NATIVE) {
		ck_assert_int_eq(pipit_route_with(server, PIPIT_GET, "/inside", reply, inside, &admin), 0);
		ck_assert_int_eq(pipit_route_with(server, PIPIT_GET, "/both", reply, outside, &all), 0);
	} else {
		ck_assert_int_eq(pipit_route_evhttp_with(server, PIPIT_GET, "/inside", send_text, inside, &admin), 0);
		ck_assert_int_eq(pipit_route_evhttp_with(server, PIPIT_GET, "/both", send_text, outside, &all), 0);
	}
}

static void run_server(void)
{
	loop_serve(&loop, server);
}

static void tear_down(void)
{
	loop_end(&loop, server);
	ck_assert_int_ne(access(path, F_OK), 0);
}

static int connect_to(size_t index)
{
	const char *url = pipit_server_url(server, index);
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct timeval limit = { PATIENCE_MS / 1000, 0 };
	int fd;

	ck_assert_ptr_nonnull(url);
	if (strncmp(url, "http://", strlen("http://")) == 0)
		return wire_connect((unsigned)strtoul(strrchr(url, ':') + 1, NULL, 10));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(name.sun_path, path);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
	return fd;
}

static void expect(size_t index, const char *target, int status, const char *content)
{
	int fd = connect_to(index);
	wire_expect(wire_get(fd, target), status, content);
	/* also on a connection that is kept */
	wire_expect(wire_get(fd, target), status, content);
	close(fd);
}

START_TEST(admin_routes_exist_at_the_admin_address_only)
{
	struct wire_response response;
	int fd;

	set_up(servers[_i].listen, servers[_i].admin_listen ? servers[_i].admin_listen : address);
	add_routes(servers[_i].lane);
	run_server();
	expect(0, "/inside", 404, NULL);
	expect(0, "/both", 200, "outside");
	expect(1, "/inside", 200, "inside");
	expect(1, "/both", 200, "outside");
	fd = connect_to(0);
	response = wire_ask(fd, "OPTIONS /inside HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 404);
	wire_free(&response);
	response = wire_ask(fd, "POST /inside HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	ck_assert_int_eq(response.status, 404);
	wire_free(&response);
	close(fd);
	tear_down();
}
END_TEST

START_TEST(a_server_without_that_address_serves_them_everywhere)
{
	set_up("127.0.0.1:0", NULL);
	add_routes(NATIVE);
	run_server();
	ck_assert_ptr_null(pipit_server_url(server, 1));
	expect(0, "/inside", 200, "inside");
	expect(0, "/both", 200, "outside");
	tear_down();
}
END_TEST

START_TEST(a_fallback_may_be_for_the_admin_address)
{
	static const struct pipit_route_options admin = { .admin_only = true };
	static char text[] = "fallback";

	set_up("127.0.0.1:0", "127.0.0.1:0");
	add_routes(NATIVE);
	ck_assert_int_eq(pipit_fallback_with(server, reply, text, &admin), 0);
	run_server();
	expect(0, "/elsewhere", 404, NULL);
	expect(1, "/elsewhere", 200, "fallback");
	tear_down();
}
END_TEST

/* An OpenAPI description that is served, and one that a handler asks for. */
START_TEST(descriptions_have_what_the_address_serves)
{
	static const char *const targets[] = { "/described", "/indirect/described" };

	set_up("127.0.0.1:0", "127.0.0.1:0");
	add_routes(NATIVE);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/described", pipit_serve_openapi, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/indirect/{name}", pipit_serve_openapi, NULL), 0);
	run_server();
	for (size_t i = 0; i < COUNT(targets); i++) {
		for (size_t index = 0; index < 2; index++) {
			int fd = connect_to(index);
			struct wire_response response = wire_get(fd, targets[i]);
			ck_assert_int_eq(response.status, 200);
			ck_assert_ptr_nonnull(strstr(response.content, "\"/both\""));
			ck_assert((strstr(response.content, "\"/inside\"") != NULL) == (index == 1));
			wire_free(&response);
			close(fd);
		}
	}
	tear_down();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("admin_listen");
	TCase *tests = tcase_create("addresses");

	tcase_add_loop_test(tests, admin_routes_exist_at_the_admin_address_only, 0, COUNT(servers));
	tcase_add_test(tests, a_server_without_that_address_serves_them_everywhere);
	tcase_add_test(tests, a_fallback_may_be_for_the_admin_address);
	tcase_add_test(tests, descriptions_have_what_the_address_serves);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
