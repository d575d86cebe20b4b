/* SPDX-License-Identifier: MIT */
/*
 * Each allocation of a start fails once, with a configuration that uses all that a server makes of one: it does not start, or it
 * serves and logs. Nothing leaks, which the leak sanitizer says at the end of the program.
 */
#include "pipit.h"
#include "suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0: none fails. */
static unsigned asked, fails_at;

static bool fails(void)
{
	return fails_at && ++asked == fails_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t length)
{
	return fails() ? NULL : __real_strndup(text, length);
}

/* ---------------------------------------------------------------- the configuration */

static char folder[] = "/tmp/pipit-start-XXXXXX", users[64], tokens[64], log_file[64], protect[256], socket_address[64];

static void write_file(char *name, const char *leaf, const char *text)
{
	FILE *file;
	sprintf(name, "%s/%s", folder, leaf);
	file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	chmod(name, 0600);
}

static void make_files(void)
{
	strcpy(strrchr(folder, '-'), "-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	write_file(users, "users",
	    "alice:$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1\n"
	    "bob:$6$saltsalt$r4j7z8gOqxO9zYH/VSQ4MPgAu/GTg0.tIK5o0K3dXowoILt/JRmXmiqFa26mKioMH3Fwhg6qaU0XTibPpoJ8z.\n");
	write_file(tokens, "tokens", "robot:4f1d8bd3cc2dc1f5a9f7e4a2b6c8d0e2f4a6b8c0d2e4f6a8b0c2d4e6f8a0b2c4\n");
	sprintf(log_file, "%s/access.log", folder);
	sprintf(socket_address, "unix:%s/socket", folder);
	sprintf(protect, "/api/ PUT basic %s\n/tokens bearer %s\n/open open", users, tokens);
}

static void remove_files(void)
{
	unlink(users);
	unlink(tokens);
	unlink(log_file);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void configure(struct pipit_config *config)
{
	pipit_config_init(config);
	config->listen[0] = "127.0.0.1:0";
	config->listen[1] = socket_address;
	config->listen_count = 2;
	config->admin_listen = "127.0.0.1:0";
	config->workers = 1;
	config->access_log = log_file;
	config->hosts = "nas.example.com, *.lan.example";
	config->cors_origins = "https://a.example, https://b.example:8443";
	config->cors_methods = "GET, PUT";
	config->cors_headers = "If-Match";
	config->header = "/*: X-A: a\n/b/*: X-B: b";
	config->protect = protect;
	config->log_level = "error";
}

static void answer(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "hello");
}

static void filter(struct pipit_request *request, void *arg)
{
	(void)request, (void)arg;
}

static void assert_serves(struct event_base *base, int port)
{
	static const char request[] = "GET /a/1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) }
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char reply[4096];
	ssize_t length = 0, got;

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	while ((got = recv(fd, reply + length, sizeof reply - 1 - (size_t)length, MSG_DONTWAIT)) != 0) {
		ck_assert(got > 0 || errno == EAGAIN);
		length += got > 0 ? got : 0;
		event_base_loop(base, EVLOOP_ONCE);
	}
	reply[length] = '\0';
	ck_assert_msg(strncmp(reply, "HTTP/1.1 200 ", 13) == 0, "%s", reply);
	close(fd);
}

static void assert_logged(void)
{
	struct stat found;
	ck_assert_int_eq(stat(log_file, &found), 0);
	ck_assert_int_gt(found.st_size, 0);
	ck_assert_int_eq(truncate(log_file, 0), 0);
}

/* Returns whether it serves. */
static bool starts(void)
{
	struct pipit_config config;
	struct event_base *base = event_base_new();
	struct pipit_server *server;
	bool is_listening = false;

	configure(&config);
	server = pipit_server_new(&config);
	if (server && pipit_route(server, PIPIT_GET, "/a/{id}", answer, NULL) == 0 &&
	    pipit_filter(server, "/a/{id}", filter, NULL) == 0)
		is_listening = pipit_server_listen(server) == 0 && pipit_server_attach(server, base) == 0;
	fails_at = 0;
	if (is_listening) {
		const char *url = pipit_server_url(server, 0);
		ck_assert(strncmp(url, "http://127.0.0.1:", 17) == 0);
		assert_serves(base, atoi(url + 17));
	}
	pipit_server_free(server);
	event_base_free(base);
	if (is_listening)
		assert_logged();
	return is_listening;
}

/* ---------------------------------------------------------------- tests */

START_TEST(whichever_allocation_fails_a_server_starts_or_says_that_it_does_not)
{
	unsigned at = 0, refused = 0;

	ck_assert(starts());
	do {
		asked = 0;
		fails_at = ++at;
		refused += !starts();
		fails_at = 0;
		ck_assert_msg(asked < at || at < 10000, "every start asks for more memory");
	} while (asked >= at);
	/* one after the other: of the server, its routes, filters, addresses, users and rules */
	ck_assert_uint_gt(refused, 40);
	ck_assert(starts());
}
END_TEST

START_TEST(whichever_allocation_fails_the_users_are_read_again_or_stay)
{
	struct pipit_config config;
	struct pipit_server *server;
	unsigned at = 0, refused = 0;

	configure(&config);
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	do {
		asked = 0;
		fails_at = ++at;
		refused += pipit_server_reload_users(server) != 0;
		fails_at = 0;
	} while (asked >= at);
	ck_assert_uint_gt(refused, 3);
	ck_assert_int_eq(pipit_server_reload_users(server), 0);
	pipit_server_free(server);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("start");
	TCase *tcase = tcase_create("start");

	tcase_add_checked_fixture(tcase, make_files, remove_files);
	tcase_add_test(tcase, whichever_allocation_fails_a_server_starts_or_says_that_it_does_not);
	tcase_add_test(tcase, whichever_allocation_fails_the_users_are_read_again_or_stay);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
