/* SPDX-License-Identifier: MIT */
/* Who the client of a UNIX socket is, for handlers and for evhttp callbacks in every lane; and whose the file of the socket is. */
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
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/pipit-unix-XXXXXX"; /* made for each test */
static char path[64], address[80];
static struct loop loop;
static struct pipit_server *server;

static void reply_peer(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, pipit_request_peer(request));
}

static void send_peer(struct evhttp_request *request, void *arg)
{
	char *peer = NULL;
	uint16_t port = 1;
	(void)arg;

	evhttp_connection_get_peer(evhttp_request_get_connection(request), &peer, &port);
	evbuffer_add_printf(evhttp_request_get_output_buffer(request), "%s %u", peer, port);
	evhttp_send_reply(request, 200, "OK", NULL);
}

static void set_up(void)
{
	struct pipit_config config;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/socket", folder);
	snprintf(address, sizeof address, "unix:%s", path);
	pipit_config_init(&config);
	config.listen[0] = address;
	config.listen_count = 1;
	config.max_connections_per_address = 1;
	ck_assert_ptr_nonnull(server = pipit_server_new(&config));
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/native", reply_peer, NULL), 0);
}

static void run_server(void)
{
	loop_serve(&loop, server);
	ck_assert_str_eq(pipit_server_url(server, 0), address);
}

static void tear_down(void)
{
	if (loop.base)
		loop_end(&loop, server);
	else
		pipit_server_free(server);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

static int connect_to_path(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct timeval limit = { PATIENCE_MS / 1000, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(name.sun_path, path);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
	return fd;
}

START_TEST(a_client_has_no_address)
{
	int first, second;

	run_server();
	first = connect_to_path();
	second = connect_to_path();
	wire_expect(wire_get(first, "/native"), 200, "unix:");
	/* and none that is counted */
	wire_expect(wire_get(second, "/native"), 200, "unix:");
	close(first);
	close(second);
}
END_TEST

/* evhttp takes what getnameinfo() says. */
START_TEST(evhttp_callbacks_get_a_name)
{
#ifdef __GLIBC__
	int first, second;

	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/evhttp", send_peer, NULL), 0);
	run_server();
	first = connect_to_path();
	second = connect_to_path();
	wire_expect(wire_get(first, "/evhttp"), 200, "localhost 0");
	wire_expect(wire_get(second, "/evhttp"), 200, "localhost 0");
	wire_expect(wire_get(first, "/native"), 200, "unix:");
	close(first);
	close(second);
#else
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/evhttp", send_peer, NULL), 0);
	loop_open(&loop);
	ck_assert_int_eq(pipit_server_attach(server, loop.base), -EAFNOSUPPORT);
	event_base_free(loop.base);
	loop.base = NULL;
#endif
}
END_TEST

START_TEST(a_borrowed_evhttp_connection_serves_it)
{
	static const struct pipit_route_options options = { .borrows_connection = true };
	int fd;

	ck_assert_int_eq(pipit_route_evhttp_with(server, PIPIT_GET, "/evhttp", send_peer, NULL, &options), 0);
	run_server();
	fd = connect_to_path();
	wire_expect(wire_get(fd, "/evhttp"), 200, NULL);
	close(fd);
}
END_TEST

/* As a program that forks workers of its own. */
START_TEST(a_child_process_leaves_the_file)
{
	int status;
	pid_t child;

	ck_assert_int_eq(pipit_server_listen(server), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		pipit_server_free(server);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unix_socket");
	TCase *tests = tcase_create("clients");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, PATIENCE_MS / 1000);
	tcase_add_test(tests, a_client_has_no_address);
	tcase_add_test(tests, evhttp_callbacks_get_a_name);
	tcase_add_test(tests, a_borrowed_evhttp_connection_serves_it);
	tcase_add_test(tests, a_child_process_leaves_the_file);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
