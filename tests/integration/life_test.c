/* SPDX-License-Identifier: MIT */
/* The daemon as a process: its options, its first line, its signals, its log, and its end. */
#include "daemon.h"
#include "suite.h"
#include "wire.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) (int)(sizeof(array) / sizeof *(array))

static void stop(struct daemon *daemon)
{
	ck_assert_int_eq(daemon_stop(daemon), 0);
}

static void assert_served(unsigned port)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_ask(fd, "GET /hello/get HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(fd);
}

static bool refuses_connections(void *arg)
{
	const struct daemon *daemon = arg;
	int fd = wire_try_connect(daemon->port);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == ECONNREFUSED;
}

/* Sends a signal that begins a drain, and waits until connections are refused. */
static void begin_drain(struct daemon *daemon, int signal)
{
	ck_assert_int_eq(kill(daemon->pid, signal), 0);
	ck_assert(wire_wait(refuses_connections, daemon));
}

/* --- a directory -------------------------------------------------------------------------------------------------- */

struct folder {
	char path[64];
	char log[96];
	char old_log[96];
	char file[96];
};

static struct folder make_folder(void)
{
	struct folder folder = { .path = "/tmp/pipit-test-life-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(folder.path));
	snprintf(folder.log, sizeof folder.log, "%s/access.log", folder.path);
	snprintf(folder.old_log, sizeof folder.old_log, "%s/access.log.1", folder.path);
	snprintf(folder.file, sizeof folder.file, "%s/file", folder.path);
	return folder;
}

static void remove_folder(const struct folder *folder)
{
	remove(folder->log);
	remove(folder->old_log);
	remove(folder->file);
	ck_assert_int_eq(rmdir(folder->path), 0);
}

static void write_file(const char *path, const char *content)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(content, file);
	fclose(file);
}

/* Up to 64 KiB of the file, malloc'd; empty if it does not exist. */
static char *read_file(const char *path)
{
	char *text = calloc(1, 65537);
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(text);
	if (file) {
		text[fread(text, 1, 65536, file)] = '\0';
		fclose(file);
	}
	return text;
}

struct lines {
	const char *path;
	int count;
};

/* Access lines are written at the end of a turn of the loop: shortly after the response. */
static bool has_lines(void *arg)
{
	const struct lines *lines = arg;
	char *text = read_file(lines->path);
	int count = 0;
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		count++;
	free(text);
	return count >= lines->count;
}

/* The file once it has this number of lines, malloc'd. */
static char *wait_for_lines(const char *path, int count)
{
	struct lines lines = { path, count };
	ck_assert_msg(wire_wait(has_lines, &lines), "%s does not get %d lines", path, count);
	return read_file(path);
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;
	ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB | REG_NEWLINE), 0);
	ck_assert_msg(regexec(&regex, text, 0, NULL, 0) == 0, "does not match %s:\n%s", pattern, text);
	regfree(&regex);
}

/* --- the first line ----------------------------------------------------------------------------------------------- */

static bool has_ipv6(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	if (fd >= 0)
		close(fd);
	return is_bound;
}

static void assert_served_on_ipv6(unsigned port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct wire_response response;
	address.sin6_port = htons((unsigned short)port);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	response = wire_ask(fd, "GET /hello/get HTTP/1.1\r\nHost: [::1]:%u\r\nConnection: close\r\n\r\n", port);
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(fd);
}

static void read_line(int fd, char *line, size_t size)
{
	size_t length = 0;
	while (length < size - 1 && read(fd, &line[length], 1) == 1 && line[length++] != '\n')
		continue;
	line[length] = '\0';
}

/* The port in the next line of its output, which must be exactly `form` with that port in it. */
static unsigned read_listening_line(const struct daemon *daemon, const char *form)
{
	char line[128], expected[128];
	unsigned port = 0;
	read_line(daemon->out, line, sizeof line);
	ck_assert_int_eq(sscanf(line, form, &port), 1);
	snprintf(expected, sizeof expected, form, port);
	ck_assert_str_eq(line, expected);
	ck_assert_uint_gt(port, 0);
	return port;
}

START_TEST(prints_every_address_that_it_listens_on)
{
	bool with_ipv6 = has_ipv6();
	struct daemon daemon = daemon_start((const char *const[]){
	    "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", with_ipv6 ? "--listen" : NULL, "[::1]:0", NULL });
	unsigned second = read_listening_line(&daemon, "listening on http://127.0.0.1:%u\n");
	ck_assert_uint_ne(second, daemon.port);
	assert_served(daemon.port);
	assert_served(second);
	if (with_ipv6)
		assert_served_on_ipv6(read_listening_line(&daemon, "listening on http://[::1]:%u\n"));
	/* Nothing else is printed on standard output. */
	ck_assert(!wire_is_readable(daemon.out, 0));
	stop(&daemon);
}
END_TEST

static const struct {
	const char *format, *ipv4, *ipv6;
} peers[] = {
	{ "combined", "^127\\.0\\.0\\.1 - - ", "^::1 - - " },
	{ "json", "\"peer\":\"127\\.0\\.0\\.1\",", "\"peer\":\"::1\"," },
};

START_TEST(serves_and_logs_both_families_on_any_address)
{
	struct folder folder = make_folder();
	struct daemon daemon;
	char *log;
	if (!has_ipv6()) {
		printf("skipped: this machine has no ::1\n");
		remove_folder(&folder);
		return;
	}
	daemon = daemon_start((const char *const[]){
	    "--listen", ":0", "--access-log", folder.log, "--log-format", peers[_i].format, NULL });
	assert_served(daemon.port);
	assert_served_on_ipv6(daemon.port);
	log = wait_for_lines(folder.log, 2);
	/* in the order of two workers */
	assert_matches(log, peers[_i].ipv4);
	assert_matches(log, peers[_i].ipv6);
	free(log);
	stop(&daemon);
	remove_folder(&folder);
}
END_TEST

/* A supervisor may send a signal as soon as it has read the line. */
START_TEST(handles_signals_once_it_is_ready)
{
	struct daemon daemon = daemon_start(NULL);
	int number = _i % 3 == 0 ? SIGTERM : _i % 3 == 1 ? SIGUSR1 : SIGPIPE;
	ck_assert_int_eq(kill(daemon.pid, number), 0);
	stop(&daemon);
}
END_TEST

/* --- drain -------------------------------------------------------------------------------------------------------- */

static const int ending_signals[] = { SIGTERM, SIGINT };

/* A request is in flight from its first byte on. */
START_TEST(finishes_requests_in_flight)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--drain-timeout", "0", NULL });
	int content = wire_connect(daemon.port), head = wire_connect(daemon.port);
	struct wire_response response;
	assert_served(daemon.port);
	wire_print(
	    content, "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nA");
	wire_print(head, "GET /readyz HTTP/1.1\r\nHo");
	begin_drain(&daemon, ending_signals[_i]);
	response = wire_ask(content, "da");
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, "{\"message\":\"Hello, Ada!\",\"received\":\"text\",\"bytes\":3}");
	ck_assert(response.closes);
	ck_assert(wire_is_closed(content));
	wire_free(&response);
	response = wire_ask(head, "st: x\r\n\r\n");
	ck_assert_int_eq(response.status, 503);
	ck_assert_str_eq(response.content, "{\"status\":\"draining\"}");
	ck_assert(response.closes);
	ck_assert(wire_is_closed(head));
	wire_free(&response);
	close(content);
	close(head);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
}
END_TEST

START_TEST(finishes_a_file_that_is_being_sent)
{
	struct folder folder = make_folder();
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--root", folder.path, "--drain-timeout", "0", NULL });
	struct wire_response response;
	int fd;
	write_file(folder.file, "");
	ck_assert_int_eq(truncate(folder.file, 20 * 1024 * 1024), 0);
	fd = wire_connect(daemon.port);
	wire_print(fd, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(wire_is_readable(fd, PATIENCE_MS));
	begin_drain(&daemon, SIGTERM);
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 200);
	ck_assert(response.is_complete);
	ck_assert_uint_eq(response.length, 20 * 1024 * 1024);
	ck_assert(wire_is_closed(fd));
	wire_free(&response);
	close(fd);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
	remove_folder(&folder);
}
END_TEST

/* An idle connection does not delay the end, and is closed without a response. */
START_TEST(does_not_wait_for_idle_connections)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--drain-timeout", "0", NULL });
	int fresh = wire_connect(daemon.port), used = wire_connect(daemon.port);
	struct wire_response response = wire_ask(used, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(!response.closes);
	wire_free(&response);
	begin_drain(&daemon, ending_signals[_i]);
	ck_assert(wire_is_closed(fresh));
	ck_assert(wire_is_closed(used));
	close(fresh);
	close(used);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
}
END_TEST

static const int second_signals[][2] = { { SIGTERM, SIGTERM }, { SIGINT, SIGINT }, { SIGTERM, SIGINT } };

struct wish {
	pid_t pid;
	int signal;
	int fd;
};

/* A second signal soon after the first one counts as the same request: it is sent until the daemon stops. */
static bool is_closed_when_asked(void *arg)
{
	const struct wish *wish = arg;
	ck_assert_int_eq(kill(wish->pid, wish->signal), 0);
	return wire_is_readable(wish->fd, 10);
}

START_TEST(stops_at_once_at_the_second_signal)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--drain-timeout", "0", NULL });
	struct wish wish = { daemon.pid, second_signals[_i][1], wire_connect(daemon.port) };
	char *errors;
	assert_served(daemon.port);
	wire_print(wish.fd, "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nA");
	begin_drain(&daemon, second_signals[_i][0]);
	ck_assert(!wire_is_readable(wish.fd, 0));
	ck_assert(wire_wait(is_closed_when_asked, &wish));
	ck_assert(wire_is_closed(wish.fd));
	errors = daemon_errors(&daemon);
	ck_assert_ptr_nonnull(strstr(errors, "pipit: stopping now\n"));
	free(errors);
	close(wish.fd);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
}
END_TEST

START_TEST(aborts_a_stalled_client_at_the_end_of_the_drain)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--drain-timeout", "300ms", NULL });
	int content = wire_connect(daemon.port), head = wire_connect(daemon.port);
	assert_served(daemon.port);
	wire_print(content, "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nA");
	wire_print(head, "GET /");
	begin_drain(&daemon, SIGTERM);
	ck_assert(wire_is_closed(content));
	ck_assert(wire_is_closed(head));
	close(content);
	close(head);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
}
END_TEST

static int ask_readiness(unsigned port)
{
	int fd = wire_connect(port), status;
	struct wire_response response = wire_ask(fd, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	status = response.status;
	wire_free(&response);
	close(fd);
	return status;
}

static bool is_not_ready(void *daemon)
{
	return ask_readiness(((const struct daemon *)daemon)->port) == 503;
}

/* A prober and a load balancer that has not heard of it yet connect anew. */
START_TEST(serves_new_connections_while_the_drain_is_delayed)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--drain-delay", "24h", NULL });
	int idle = wire_connect(daemon.port);
	struct wire_response response = wire_ask(idle, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	ck_assert_int_eq(kill(daemon.pid, SIGTERM), 0);
	ck_assert(wire_wait(is_not_ready, &daemon));
	assert_served(daemon.port);
	response = wire_ask(idle, "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	ck_assert(!response.closes);
	wire_free(&response);
	ck_assert(wire_wait(is_closed_when_asked, &(struct wish){ daemon.pid, SIGTERM, idle }));
	ck_assert(wire_is_closed(idle));
	close(idle);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
}
END_TEST

START_TEST(drains_at_the_end_of_the_delay)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--drain-delay", "200ms", "--drain-timeout", "0", NULL });
	int fd = wire_connect(daemon.port);
	struct wire_response response;
	wire_print(fd, "GET /readyz HTTP/1.1\r\nHo");
	begin_drain(&daemon, SIGTERM);
	response = wire_ask(fd, "st: x\r\n\r\n");
	ck_assert_int_eq(response.status, 503);
	ck_assert(response.closes);
	wire_free(&response);
	close(fd);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
}
END_TEST

static bool has_warned_of_an_aborted_request(void *daemon)
{
	char *errors = daemon_errors(daemon);
	bool has_warned = strstr(errors, "warn: aborted 1 incomplete request\n");
	free(errors);
	return has_warned;
}

/* A string longer than sockets hold, which is sent while it is printed. */
#define LONG_STRING_BYTES (24 * 1024 * 1024)

START_TEST(warns_of_a_document_that_the_end_of_the_drain_cuts_off)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--max-body-bytes", "32m", "--drain-timeout", "300ms", NULL });
	int fd = wire_connect(daemon.port);
	char *text = malloc(LONG_STRING_BYTES);

	ck_assert_ptr_nonnull(text);
	memset(text, 'a', LONG_STRING_BYTES);
	text[0] = text[LONG_STRING_BYTES - 1] = '"';
	ck_assert(wire_print(fd,
	    "POST /json/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
	    LONG_STRING_BYTES));
	ck_assert(wire_send(fd, text, LONG_STRING_BYTES));
	free(text);
	ck_assert(wire_is_readable(fd, PATIENCE_MS));
	begin_drain(&daemon, SIGTERM);
	ck_assert(wire_wait(has_warned_of_an_aborted_request, &daemon));
	close(fd);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
}
END_TEST

START_TEST(ignores_sigpipe)
{
	struct daemon daemon = daemon_start(NULL);
	assert_served(daemon.port);
	ck_assert_int_eq(kill(daemon.pid, SIGPIPE), 0);
	assert_served(daemon.port);
	stop(&daemon);
}
END_TEST

/* --- drain under load --------------------------------------------------------------------------------------------- */

#define CLIENTS 4

struct client {
	pthread_t thread;
	unsigned port;
	atomic_int answers;
	atomic_bool *is_draining;
	const char *failure; /* failed requests, which must stay 0 */
};

enum outcome { ANSWERED, ANSWERED_AND_CLOSES, UNANSWERED, CUT };

/* Without wire_read(): wire_field() is not thread-safe. */
static enum outcome read_answer(int fd)
{
	char bytes[2048];
	size_t length = 0, whole = sizeof bytes;
	const char *end, *field;
	while (length < whole) {
		ssize_t received = recv(fd, bytes + length,
		    whole - length < sizeof bytes - 1 - length ? whole - length : sizeof bytes - 1 - length, 0);
		if (received <= 0)
			return length == 0 ? UNANSWERED : CUT;
		length += (size_t)received;
		bytes[length] = '\0';
		end = strstr(bytes, "\r\n\r\n");
		field = strstr(bytes, "\r\nContent-Length: ");
		if (!end)
			continue;
		if (!field || strncmp(bytes, "HTTP/1.1 200 OK\r\n", 17) != 0)
			return CUT;
		whole = (size_t)(end - bytes) + 4 + strtoul(field + 18, NULL, 10);
	}
	return strstr(bytes, "\r\nConnection: close\r\n") ? ANSWERED_AND_CLOSES : ANSWERED;
}

/* Every other request in two parts. */
static void send_request(int fd, int number)
{
	static const char get[] = "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char post[] = "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
				   "Content-Length: 3\r\n\r\n";
	if (number % 2) {
		wire_send(fd, get, sizeof get - 1);
		return;
	}
	wire_send(fd, post, sizeof post - 1);
	wire_send(fd, "Ada", 3);
}

static bool was_closed(int fd)
{
	char byte;
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/*
 * Sends requests on one connection after the other, until connections are refused. The kernel completes a connection before the
 * daemon accepts it: one that is reset before its first response during the drain counts as refused.
 */
static void *run_client(void *arg)
{
	struct client *client = arg;
	int fd = -1;
	for (bool is_fresh = true; !client->failure;) {
		enum outcome outcome;
		if (fd >= 0 && was_closed(fd)) {
			close(fd);
			fd = -1;
		}
		if (fd < 0) {
			fd = wire_try_connect(client->port);
			is_fresh = true;
		}
		if (fd < 0)
			break;
		send_request(fd, atomic_load(&client->answers));
		outcome = read_answer(fd);
		if (outcome == CUT)
			client->failure = "an answer was cut, or no 200";
		else if (outcome == UNANSWERED && !is_fresh)
			client->failure = "a request on an established connection was not answered";
		else if (outcome == UNANSWERED && !atomic_load(client->is_draining))
			client->failure = "a connection was refused before the drain";
		else if (outcome != UNANSWERED)
			atomic_fetch_add(&client->answers, 1);
		is_fresh = false;
		if (outcome == ANSWERED)
			continue;
		close(fd);
		fd = -1;
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static bool are_all_busy(void *arg)
{
	struct client *clients = arg;
	for (int i = 0; i < CLIENTS; i++) {
		if (atomic_load(&clients[i].answers) < 20 && !clients[i].failure)
			return false;
	}
	return true;
}

START_TEST(loses_no_request_when_it_drains_under_load)
{
	struct daemon daemon = daemon_start(NULL);
	struct client clients[CLIENTS];
	atomic_bool is_draining = false;
	assert_served(daemon.port);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .port = daemon.port, .is_draining = &is_draining };
		ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
	}
	ck_assert(wire_wait(are_all_busy, clients));
	atomic_store(&is_draining, true);
	ck_assert_int_eq(kill(daemon.pid, SIGTERM), 0);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i].thread, NULL);
	ck_assert_int_eq(daemon_wait(&daemon), 0);
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_msg(clients[i].failure == NULL, "client %d: %s", i, clients[i].failure);
}
END_TEST

/* --- the access log ----------------------------------------------------------------------------------------------- */

static void send_loggable_requests(unsigned port)
{
	int fd = wire_connect(port);
	struct wire_response response =
	    wire_ask(fd, "GET /hello/get?name=\"Ada\" HTTP/1.1\r\nHost: x\r\n"
			 "Referer: http://x/\"quoted\"\r\nUser-Agent: back\\slash\ttab \xc3\xbc\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	response = wire_ask(fd, "HEAD /none HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 404);
	wire_free(&response);
	response = wire_ask(fd, "BAD \x1b[2J\"\x7f\xff HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 400);
	wire_free(&response);
	close(fd);
}

#define PATTERN_PEER "^127\\.0\\.0\\.1 - - \\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}(:[0-9]{2}){3} \\+0000\\] "
#define PATTERN_END " [0-9]+\\.[0-9]{6} [0-9a-f]{16} "

/* Such a reply is sent at once, not with the batch that ends the durations of its requests. */
START_TEST(counts_the_duration_of_a_reply_larger_than_the_batch)
{
	static const char count[] = "http_request_duration_seconds_count{route=\"/metrics\"}";
	struct daemon daemon = daemon_start((const char *const[]){ "--max-output-bytes", "4k", NULL });
	int fd = wire_connect(daemon.port);
	for (int asked = 0; asked < 3; asked++) {
		struct wire_response page = wire_ask(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
		ck_assert_int_eq(page.status, 200);
		ck_assert_uint_gt(page.length, 4096);
		/* The first page does not have the row yet. */
		ck_assert_double_eq(wire_metric(page.content, count), asked ? asked : -1);
		wire_free(&page);
	}
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(logs_requests_in_the_combined_format)
{
	struct folder folder = make_folder();
	struct daemon daemon = daemon_start((const char *const[]){ "--access-log", folder.log, NULL });
	char *text;
	send_loggable_requests(daemon.port);
	text = wait_for_lines(folder.log, 3);
	assert_matches(text,
	    PATTERN_PEER "\"GET /hello/get\\?name=\\\\x22Ada\\\\x22 HTTP/1\\.1\" 200 [0-9]+ "
			 "\"http://x/\\\\x22quoted\\\\x22\" \"back\\\\x5Cslash\\\\x09tab \\\\xC3\\\\xBC\"" PATTERN_END
			 "/hello/get$");
	assert_matches(text, PATTERN_PEER "\"HEAD /none HTTP/1\\.1\" 404 - \"-\" \"-\"" PATTERN_END "fallback$");
	assert_matches(text, PATTERN_PEER "\"BAD \\\\x1B\\[2J\\\\x22\\\\x7F\\\\xFF HTTP/1\\.1\" 400 [0-9]+ \"-\" \"-\" "
					  "[0-9]+\\.[0-9]{6} - none$");
	for (const char *at = text; *at; at++)
		ck_assert((*at >= 0x20 && *at < 0x7f) || *at == '\n');
	free(text);
	stop(&daemon);
	remove_folder(&folder);
}
END_TEST

/* The next line of `text` as JSON; the caller deletes it. */
static cJSON *parse_line(char **text)
{
	cJSON *doc = cJSON_Parse(strsep(text, "\n"));
	ck_assert_ptr_nonnull(doc);
	return doc;
}

static void assert_text(const cJSON *doc, const char *key, const char *expected)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, key));
	ck_assert_msg(text != NULL, "no text %s", key);
	ck_assert_str_eq(text, expected);
}

static double number_at(const cJSON *doc, const char *key)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(doc, key);
	ck_assert_msg(cJSON_IsNumber(number), "no number %s", key);
	return cJSON_GetNumberValue(number);
}

START_TEST(logs_requests_as_json)
{
	struct folder folder = make_folder();
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--access-log", folder.log, "--log-format", "json", NULL });
	char *text, *rest;
	cJSON *line;
	send_loggable_requests(daemon.port);
	text = rest = wait_for_lines(folder.log, 3);
	line = parse_line(&rest);
	assert_text(line, "peer", "127.0.0.1");
	assert_text(line, "request", "GET /hello/get?name=\"Ada\" HTTP/1.1");
	assert_text(line, "referer", "http://x/\"quoted\"");
	assert_text(line, "user_agent", "back\\slash\ttab \xc3\xbc");
	assert_text(line, "route", "/hello/get");
	ck_assert_double_eq(number_at(line, "status"), 200);
	ck_assert_double_eq(number_at(line, "bytes"), strlen("{\"message\":\"Hello, \\\"Ada\\\"!\"}"));
	ck_assert_double_ge(number_at(line, "duration"), 0);
	assert_matches(
	    cJSON_GetStringValue(cJSON_GetObjectItem(line, "time")), "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$");
	assert_matches(cJSON_GetStringValue(cJSON_GetObjectItem(line, "id")), "^[0-9a-f]{16}$");
	cJSON_Delete(line);
	line = parse_line(&rest);
	ck_assert_double_eq(number_at(line, "status"), 404);
	ck_assert_double_eq(number_at(line, "bytes"), 0);
	cJSON_Delete(line);
	line = parse_line(&rest);
	assert_text(line, "request", "BAD \x1b[2J\"\x7f\xef\xbf\xbd HTTP/1.1");
	assert_text(line, "route", "none");
	ck_assert_double_eq(number_at(line, "status"), 400);
	cJSON_Delete(line);
	free(text);
	stop(&daemon);
	remove_folder(&folder);
}
END_TEST

START_TEST(logs_to_standard_output)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--access-log", "-", NULL });
	char line[512];
	assert_served(daemon.port);
	read_line(daemon.out, line, sizeof line);
	assert_matches(line, PATTERN_PEER "\"GET /hello/get HTTP/1\\.1\" 200 27 \"-\" \"-\"" PATTERN_END "/hello/get$");
	stop(&daemon);
}
END_TEST

/* A client that closes before its response is complete, and one that is closed by a deadline, are logged too. */
START_TEST(logs_incomplete_requests)
{
	struct folder folder = make_folder();
	struct daemon daemon = daemon_start((const char *const[]){
	    "--access-log", folder.log, "--head-timeout", "100ms", "--read-timeout", "100ms", NULL });
	int leaving, slow = wire_connect(daemon.port), silent = wire_connect(daemon.port);
	char *text;
	/* It has closed before its deadline. */
	daemon_pause(&daemon);
	leaving = wire_connect(daemon.port);
	wire_print(leaving, "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nA");
	close(leaving);
	daemon_resume(&daemon);
	wire_print(slow, "POST /json/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nA");
	wire_print(silent, "GET /slow HT");
	text = wait_for_lines(folder.log, 3);
	assert_matches(text, "\"POST /hello/post HTTP/1\\.1\" 499 - .* /hello/post$");
	assert_matches(text, "\"POST /json/echo HTTP/1\\.1\" 408 [0-9]+ .* /json/echo$");
	assert_matches(text, "\"GET /slow HT\" 408 [0-9]+ .* none$");
	free(text);
	close(slow);
	close(silent);
	stop(&daemon);
	remove_folder(&folder);
}
END_TEST

static bool is_there(void *path)
{
	struct stat status;
	return stat(path, &status) == 0;
}

static bool tells_of_reopened_logs(void *daemon)
{
	char *errors = daemon_errors(daemon);
	bool is_told = strstr(errors, "logs reopened") != NULL;
	free(errors);
	return is_told;
}

/* Counts lines of JSON with a message; fails the test at any other. */
static size_t count_messages(char *text)
{
	size_t count = 0;
	for (char *rest = text; *rest;) {
		cJSON *line = parse_line(&rest);
		count += cJSON_HasObjectItem(line, "message") ? 1 : 0;
		cJSON_Delete(line);
	}
	return count;
}

START_TEST(logs_messages_as_json_too)
{
	char output[4096] = "";
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--log-format", "json", "--settings",
		"/nowhere/\xc3\xbc \"x\".json", NULL };

	ck_assert_int_ne(daemon_run(arguments, output, sizeof output), 0);
	ck_assert_uint_ge(count_messages(output), 1);
	ck_assert_ptr_nonnull(strstr(output, "/nowhere/\xc3\xbc \\\"x\\\".json"));
}
END_TEST

/* Standard output and standard error on one full pipe. */
START_TEST(a_blocked_reader_of_messages_stalls_no_worker)
{
	struct daemon daemon = daemon_start_in(&(struct daemon_surroundings){ .errors_to_output = true },
	    (const char *const[]){ "--workers", "1", "--access-log", "-", NULL });
	long long end = wire_now_ms() + PATIENCE_MS;
	int fd = wire_connect(daemon.port);

	ck_assert_int_gt(fcntl(daemon.out, F_SETPIPE_SZ, 4096), 0);
	while (daemon_metric(&daemon, "pipit_log_dropped_messages_total") < 1 && wire_now_ms() < end) {
		kill(daemon.pid, SIGUSR1);
		wire_expect(wire_get(fd, "/hello/get"), 200, NULL);
	}
	ck_assert(wire_now_ms() < end);
	close(fd);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

static const int reopening_signals[] = { SIGUSR1, SIGHUP };

START_TEST(reopens_the_access_log)
{
	struct folder folder = make_folder();
	struct daemon daemon = daemon_start((const char *const[]){ "--access-log", folder.log, NULL });
	char *text;
	assert_served(daemon.port);
	free(wait_for_lines(folder.log, 1));
	ck_assert_int_eq(rename(folder.log, folder.old_log), 0);
	assert_served(daemon.port);
	free(wait_for_lines(folder.old_log, 2));
	ck_assert_int_eq(kill(daemon.pid, reopening_signals[_i]), 0);
	ck_assert(wire_wait(is_there, folder.log));
	/* The message is printed after both open() and dup3(). */
	ck_assert(wire_wait(tells_of_reopened_logs, &daemon));
	assert_served(daemon.port);
	text = wait_for_lines(folder.log, 1);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	stop(&daemon);
	remove_folder(&folder);
}
END_TEST

/* --- failed starts ------------------------------------------------------------------------------------------------ */

/* Expects one line with `text` on standard error. */
static void assert_complaint(const char *output, const char *text)
{
	ck_assert_msg(strncmp(output, "pipit: error: ", 14) == 0, "no error: %s", output);
	ck_assert_msg(strstr(output, text) != NULL, "not \"%s\": %s", text, output);
	ck_assert_msg(strchr(output, '\n') == output + strlen(output) - 1, "more than one line: %s", output);
}

static const char *const worker_counts[] = { "1", "2" };

START_TEST(does_not_share_its_port)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--workers", worker_counts[_i / 2], NULL });
	char output[1024], address[32];
	snprintf(address, sizeof address, "127.0.0.1:%u", daemon.port);
	ck_assert_int_eq(daemon_run((const char *const[]){ "--workers", worker_counts[_i % 2], "--max-connections",
					"100", "--listen", "127.0.0.1:0", "--listen", address, NULL },
			     output, sizeof output),
	    1);
	assert_complaint(output, address);
	ck_assert_ptr_nonnull(strstr(output, "Address already in use"));
	assert_served(daemon.port);
	stop(&daemon);
}
END_TEST

START_TEST(is_not_ready_when_it_cannot_log)
{
	char output[1024];
	int result = daemon_run((const char *const[]){ "--max-connections", "100", "--listen", "127.0.0.1:0",
				    "--access-log", "/none/such/log", NULL },
	    output, sizeof output);
	ck_assert_int_eq(result, 1);
	assert_complaint(output, "/none/such/log");
}
END_TEST

static const struct {
	const char *arguments[5], *variable, *file, *complaint;
} wrong_configurations[] = {
	{ { "--max-fields", "abc" }, NULL, NULL, "--max-fields abc: not a number; use 1 to 256" },
	{ { "--max-fields=0" }, NULL, NULL, "--max-fields 0: out of range; use 1 to 256" },
	{ { "--max-feilds", "5" }, NULL, NULL, "--max-feilds: unknown option; did you mean --max-fields?" },
	{ { "--xyzzy" }, NULL, NULL, "--xyzzy: unknown option; see --help" },
	{ { "stray" }, NULL, NULL, "stray: not an option" },
	{ { "--check=yes" }, NULL, NULL, "--check" },
	{ { "--check", "--healthcheck" }, NULL, NULL, "--check: cannot be used with --healthcheck; use one of them" },
	{ { "--listen" }, NULL, NULL, "--listen: has no value" },
	{ { "--listen", "example.com:80" }, NULL, NULL, "--listen example.com:80: not an address" },
	{ { "--listen=127.0.0.1:1", "--listen=localhost:1" }, NULL, NULL,
	    "--listen localhost:1: overlaps with 127.0.0.1:1" },
	{ { "--config=/dev/null", "--config=/none" }, NULL, NULL, "--config /none: a second file, after /dev/null" },
	{ { "--listen", "127.0.0.1:65536" }, NULL, NULL, "--listen 127.0.0.1:65536: not an address" },
	{ { "--listen", "::1:80" }, NULL, NULL, "--listen ::1:80: not an address" },
	{ { "--head-timeout", "10 s" }, NULL, NULL, "--head-timeout 10 s: not a duration" },
	{ { "--max-body-bytes", "1x" }, NULL, NULL, "--max-body-bytes 1x: not a size" },
	{ { "--workers", "-1" }, NULL, NULL, "--workers -1: out of range" },
	{ { "--log-level", "loud" }, NULL, NULL, "--log-level loud: unknown value; use error, warn, info or debug" },
	{ { "--root", "/none/such" }, NULL, NULL, "/none/such" },
	{ { "--root", "/dev/null" }, NULL, NULL, "/dev/null" },
	{ { "--max-head-bytes", "1k", "--max-target-bytes", "2k" }, NULL, NULL, "max-target-bytes" },
	{ { "--config", "/none/such" }, NULL, NULL, "--config /none/such: cannot be read" },
	{ { "--config", "/dev/zero" }, NULL, NULL, "/dev/zero:1: has no end within 1 MiB; use a text file" },
	{ { NULL }, "PIPIT_MAX_FIELDS=abc", NULL, "environment: PIPIT_MAX_FIELDS = \"abc\": not a number" },
	{ { NULL }, "PIPIT_MAX_FEILDS=5", NULL,
	    "environment: PIPIT_MAX_FEILDS: unknown variable; did you mean PIPIT_MAX_FIELDS?" },
	{ { NULL }, "PIPIT_CONFIG=/none/such", NULL, "environment: PIPIT_CONFIG = \"/none/such\": cannot be read" },
	{ { NULL }, NULL, "# a comment\n\nmax-fields = abc\n", "/file:3: max-fields = \"abc\": not a number" },
	{ { NULL }, NULL, "workers 1\n", "/file:1: workers 1: not a setting; use workers = 1" },
	{ { NULL }, NULL, "workers = 1\nworker = 1\n", "/file:2: worker: unknown key; did you mean workers?" },
	{ { NULL }, NULL, "workers = 1\nworkers = 2\n", "/file:2: workers = \"2\": already set on line 1" },
	{ { NULL }, NULL, "root = \"/tmp\n", "/file:1: closing quote missing" },
};

START_TEST(refuses_a_wrong_configuration)
{
	struct folder folder = make_folder();
	const char *arguments[9] = { "--listen=127.0.0.1:0", "--max-connections=100" };
	const char *const environment[] = { wrong_configurations[_i].variable, NULL };
	size_t count = 2;
	char output[1024];
	for (size_t i = 0; wrong_configurations[_i].arguments[i]; i++)
		arguments[count++] = wrong_configurations[_i].arguments[i];
	if (wrong_configurations[_i].file) {
		write_file(folder.file, wrong_configurations[_i].file);
		arguments[count++] = "--config";
		arguments[count] = folder.file;
	}
	ck_assert_int_eq(daemon_run_in(&(struct daemon_surroundings){ .environment = environment }, arguments, output,
			     sizeof output),
	    2);
	assert_complaint(output, wrong_configurations[_i].complaint);
	remove_folder(&folder);
}
END_TEST

/* --- runs that end by themselves ---------------------------------------------------------------------------------- */

START_TEST(prefers_options_to_the_environment_to_the_file)
{
	struct folder folder = make_folder();
	const char *const environment[] = { "PIPIT_MAX_FIELDS=6", "PIPIT_MAX_HEAD_BYTES=12k",
		"PIPIT_LISTEN=127.0.0.1:2,[::1]:3", NULL };
	const char *const arguments[] = { "--check", "--config", folder.file, "--max-head-bytes", "13k", NULL };
	char output[4096], again[4096];
	write_file(folder.file, "listen = 127.0.0.1:1\nworkers = 3\nmax-fields = 5\nmax-head-bytes = 11k\n");
	ck_assert_int_eq(daemon_run_in(&(struct daemon_surroundings){ .environment = environment }, arguments, output,
			     sizeof output),
	    0);
	assert_matches(output, "^workers = 3$");
	assert_matches(output, "^max-fields = 6$");
	assert_matches(output, "^max-head-bytes = 13k$");
	ck_assert_ptr_nonnull(strstr(output, "listen = 127.0.0.1:2\nlisten = [::1]:3\n"));
	ck_assert_ptr_null(strstr(output, "127.0.0.1:1"));
	/* It prints a file that gives the same configuration. */
	write_file(folder.file, output);
	ck_assert_int_eq(
	    daemon_run((const char *const[]){ "--check", "--config", folder.file, NULL }, again, sizeof again), 0);
	ck_assert_str_eq(again, output);
	remove_folder(&folder);
}
END_TEST

static unsigned count_lines(const char *text)
{
	unsigned count = 0;
	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

static void assert_reported(const char *output, const char *text)
{
	ck_assert_msg(strstr(output, text) != NULL, "not \"%s\": %s", text, output);
}

/* From the file, the environment and the command line; of options, files and addresses. */
START_TEST(checks_all_that_starting_needs_and_reports_every_error)
{
	struct folder folder = make_folder();
	const char *const environment[] = { "PIPIT_SETTINGS=/none/such/settings", "PIPIT_MEDIA_TYPES=/none/types",
		NULL };
	const char *const arguments[] = { "--check", "--config", folder.file, "--cache-control", "nonsense",
		"--access-log", "/none/such/log", "--listen", "127.0.0.1:1", "--listen", "localhost:1", "--listen",
		"192.0.2.1:80", "--max-fields", "0", NULL };
	char output[8192], expected[256];
	write_file(folder.file, "workers = 1\nroot = /none/such\nlog-level = loud\n");
	ck_assert_int_eq(daemon_run_in(&(struct daemon_surroundings){ .environment = environment }, arguments, output,
			     sizeof output),
	    2);
	snprintf(expected, sizeof expected, "pipit: error: %s:2: root = \"/none/such\": No such file", folder.file);
	assert_reported(output, expected);
	snprintf(expected, sizeof expected, "pipit: error: %s:3: log-level = \"loud\": unknown value", folder.file);
	assert_reported(output, expected);
	assert_reported(output, "pipit: error: environment: PIPIT_SETTINGS: ");
	assert_reported(output, "pipit: error: environment: PIPIT_MEDIA_TYPES: /none/types: cannot be read");
	assert_reported(output, "pipit: error: --cache-control: \"nonsense\" is not a rule");
	assert_reported(output, "pipit: error: --access-log /none/such/log: cannot be opened: No such file");
	assert_reported(output, "pipit: error: --listen localhost:1: overlaps with 127.0.0.1:1");
	assert_reported(output, "pipit: error: --listen 192.0.2.1:80: cannot be used: ");
	assert_reported(output, "pipit: error: --max-fields 0: out of range");
	ck_assert_ptr_null(strstr(output, "\nroot = "));
	remove_folder(&folder);
}
END_TEST

/* The address that is in use is the default's. */
START_TEST(checks_no_default_address_when_the_given_one_is_wrong)
{
	char output[2048];
	ck_assert_int_eq(
	    daemon_run((const char *const[]){ "--check", "--listen", "nonsense", "--max-connections", "100", NULL },
		output, sizeof output),
	    2);
	assert_reported(output, "--listen nonsense: not an address");
	ck_assert_uint_eq(count_lines(output), 1);
}
END_TEST

START_TEST(reports_errors_of_the_configuration_as_json)
{
	char output[2048];
	ck_assert_int_eq(daemon_run((const char *const[]){ "--log-format", "json", "--workers", "many", NULL }, output,
			     sizeof output),
	    2);
	ck_assert_int_eq(output[0], '{');
	assert_reported(output, "\"--workers many: not a number");
	ck_assert_int_eq(daemon_run((const char *const[]){ "--log-format", "json", "--healthcheck", "--listen",
					"127.0.0.1:1", NULL },
			     output, sizeof output),
	    1);
	ck_assert_int_eq(output[0], '{');
	assert_reported(output, "127.0.0.1:1: no reply");
}
END_TEST

/* /dev/full fails each write. */
START_TEST(fails_when_its_output_cannot_be_written)
{
	/* To the daemon, each variable PIPIT_... is an option. */
	static const char form[] =
	    "daemon=$PIPIT_DAEMON; unset PIPIT_DAEMON; errors=$(\"$daemon\" %s 2>&1 >/dev/full); "
	    "test $? = 1 && case $errors in *'No space left'*) ;; *) false;; esac";
	static const char *const options[] = { "--help", "--version",
		"--check --max-connections 100 --listen 127.0.0.1:0" };
	char command[512];
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		snprintf(command, sizeof command, form, options[i]);
		ck_assert_msg(system(command) == 0, "%s", options[i]);
	}
}
END_TEST

START_TEST(refuses_a_configuration_file_that_clients_can_read)
{
	struct folder folder = make_folder();
	char output[2048];
	write_file(folder.file, "workers = 1\n");
	ck_assert_int_eq(daemon_run((const char *const[]){ "--check", "--config", folder.file, "--root", folder.path,
					"--max-connections", "100", NULL },
			     output, sizeof output),
	    2);
	assert_reported(output, "lies below root");
	remove_folder(&folder);
}
END_TEST

START_TEST(reports_every_error_when_it_starts)
{
	char output[2048];
	ck_assert_int_eq(daemon_run((const char *const[]){ "--root", "/none/such", "--access-log", "/none/such/log",
					"--max-connections", "100", "--listen", "127.0.0.1:0", NULL },
			     output, sizeof output),
	    2);
	assert_reported(output, "--root /none/such: No such file");
	assert_reported(output, "--access-log /none/such/log: cannot be opened");
	ck_assert_uint_eq(count_lines(output), 2);
}
END_TEST

/* A daemon runs while its next configuration is checked. */
START_TEST(checks_beside_the_running_daemon)
{
	struct folder folder = make_folder();
	struct daemon daemon = daemon_start((const char *const[]){ "--settings", folder.file, NULL });
	char address[32], lock[128], output[8192];
	snprintf(address, sizeof address, "127.0.0.1:%u", daemon.port);
	ck_assert_int_eq(daemon_run((const char *const[]){ "--check", "--settings", folder.file, "--listen", address,
					"--max-connections", "100", NULL },
			     output, sizeof output),
	    0);
	assert_reported(output, "is in use");
	assert_matches(output, "^listen = 127\\.0\\.0\\.1:");
	assert_served(daemon.port);
	stop(&daemon);
	snprintf(lock, sizeof lock, "%s.lock", folder.file);
	remove(lock);
	remove_folder(&folder);
}
END_TEST

/* --- a control group ---------------------------------------------------------------------------------------------- */

struct group {
	char path[96];
};

static bool write_value(const struct group *group, const char *file, const char *value)
{
	char path[160];
	FILE *out;
	bool is_written;
	snprintf(path, sizeof path, "%s/%s", group->path, file);
	out = fopen(path, "r+"); /* makes no file in a directory that is no cgroup */
	is_written = out && fputs(value, out) >= 0;
	return out && fclose(out) == 0 && is_written;
}

/* Of cgroup v2 or v1; false where this process may not make one. */
static bool make_group(struct group *group, const char *controller, const char *v2_file, const char *v2_value,
    const char *v1_file, const char *v1_value)
{
	snprintf(group->path, sizeof group->path, "/sys/fs/cgroup/pipit-test-%d", (int)getpid());
	if (mkdir(group->path, 0755) == 0 && write_value(group, v2_file, v2_value))
		return true;
	rmdir(group->path);
	snprintf(group->path, sizeof group->path, "/sys/fs/cgroup/%s/pipit-test-%d", controller, (int)getpid());
	if (mkdir(group->path, 0755) == 0 && write_value(group, v1_file, v1_value))
		return true;
	rmdir(group->path);
	printf("skipped: no cgroup with %s\n", controller);
	return false;
}

/* This process and what it starts. */
static void enter_group(const struct group *group)
{
	char pid[16];
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	ck_assert(write_value(group, "cgroup.procs", pid));
}

static void leave_group(const struct group *group)
{
	struct group parent = *group;
	*strrchr(parent.path, '/') = '\0';
	enter_group(&parent);
	ck_assert_int_eq(rmdir(group->path), 0);
}

START_TEST(fits_its_memory_limit_into_the_cgroup)
{
	struct group group;
	char output[8192];
	if (!make_group(&group, "memory", "memory.max", "50331648", "memory.limit_in_bytes", "50331648"))
		return;
	enter_group(&group);
	ck_assert_int_eq(
	    daemon_run((const char *const[]){ "--check", "--listen", "127.0.0.1:0", "--max-connections", "100", NULL },
		output, sizeof output),
	    0);
	assert_matches(output, "^memory-limit = 24m$");
	assert_matches(output, "^pipit: memory-limit is 24m, because the cgroup has 48m$");
	ck_assert_int_eq(daemon_run((const char *const[]){ "--check", "--listen", "127.0.0.1:0", "--max-connections",
					"100", "--memory-limit", "40m", NULL },
			     output, sizeof output),
	    0);
	assert_matches(output, "^memory-limit = 40m$");
	ck_assert_int_eq(daemon_run((const char *const[]){ "--check", "--listen", "127.0.0.1:0", "--max-connections",
					"100", "--max-body-bytes", "30m", NULL },
			     output, sizeof output),
	    0);
	assert_matches(output, "^memory-limit = 30m$");
	leave_group(&group);
}
END_TEST

START_TEST(starts_one_worker_for_half_a_core)
{
	struct group group;
	struct daemon daemon;
	char path[64], *status;
	if (!make_group(&group, "cpu", "cpu.max", "50000 100000", "cpu.cfs_quota_us", "50000"))
		return;
	enter_group(&group);
	daemon = daemon_start(NULL);
	assert_served(daemon.port);
	snprintf(path, sizeof path, "/proc/%d/status", (int)daemon.pid);
	status = read_file(path);
	assert_matches(status, "^Threads:[[:space:]]+1$");
	free(status);
	stop(&daemon);
	leave_group(&group);
}
END_TEST

static const char *const version_options[] = { "--version", "-V" };

START_TEST(prints_its_version)
{
	char output[1024];
	ck_assert_int_eq(daemon_run((const char *const[]){ version_options[_i], NULL }, output, sizeof output), 0);
	assert_matches(output, "^pipit [0-9]+\\.[0-9]+\\.[0-9]+ \\(libevent [^)]+\\)$");
	ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1);
}
END_TEST

static const char *const help_options[] = { "--help", "-h" };

START_TEST(prints_help_that_fits_a_terminal)
{
	char output[16384];
	ck_assert_int_eq(
	    daemon_run((const char *const[]){ help_options[_i], "--nothing-else=counts", NULL }, output, sizeof output),
	    2);
	ck_assert_int_eq(daemon_run((const char *const[]){ help_options[_i], NULL }, output, sizeof output), 0);
	ck_assert_int_eq(strncmp(output, "Usage: pipit ", 13), 0);
	ck_assert_ptr_nonnull(strstr(output, "--max-connections N"));
	for (const char *line = output; *line; line += strcspn(line, "\n") + 1)
		ck_assert_msg(strcspn(line, "\n") <= 80, "wider than 80: %.*s", (int)strcspn(line, "\n"), line);
}
END_TEST

static int check_health(unsigned port, char *output, size_t size)
{
	char address[32];
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	return daemon_run((const char *const[]){ "--healthcheck", "--listen", address, NULL }, output, size);
}

START_TEST(asks_a_running_daemon_for_its_health)
{
	struct daemon daemon = daemon_start(NULL);
	char output[1024];
	unsigned port = daemon.port;
	assert_served(port);
	ck_assert_int_eq(check_health(port, output, sizeof output), 0);
	ck_assert_str_eq(output, "");
	stop(&daemon);
	ck_assert_int_eq(check_health(port, output, sizeof output), 1);
	assert_complaint(output, "no reply");
}
END_TEST

/* Other daemons of this machine are not those of this namespace. */
static bool enter_container(void)
{
	bool has_entered = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
	if (!has_entered)
		printf("skipped: no mount namespace: %s\n", strerror(errno));
	return has_entered;
}

static int check_health_of_container(const char *variable, char *output, size_t size)
{
	const char *const environment[] = { variable, NULL };
	return daemon_run_in(&(struct daemon_surroundings){ .environment = environment },
	    (const char *const[]){ "--healthcheck", NULL }, output, size);
}

/* The server got its address by an argument, the health check by nothing or by the image's environment. */
START_TEST(finds_the_server_of_its_container)
{
	static const char *const variables[] = { NULL, "PIPIT_LISTEN=[::]:8080" };
	char output[1024], other[64];
	if (!enter_container())
		return;
	for (size_t i = 0; i < COUNT_OF(variables); i++) {
		struct daemon daemon = daemon_start(NULL), second;
		ck_assert_int_eq(check_health_of_container(variables[i], output, sizeof output), 0);
		ck_assert_str_eq(output, "");
		second =
		    daemon_start((const char *const[]){ "--listen", "127.0.0.1:0", "--listen", "localhost:0", NULL });
		ck_assert_int_eq(check_health_of_container(variables[i], output, sizeof output), 0);
		/* one that is published and named is asked alone */
		daemon_pause(&second);
		snprintf(other, sizeof other, "PIPIT_LISTEN=127.0.0.1:%u", daemon.port);
		ck_assert_int_eq(check_health_of_container(other, output, sizeof output), 0);
		ck_assert_int_eq(check_health_of_container(variables[i], output, sizeof output), 1);
		assert_complaint(output, "timed out");
		daemon_resume(&second);
		stop(&second);
		ck_assert_int_eq(check_health_of_container(variables[i], output, sizeof output), 0);
		stop(&daemon);
	}
}
END_TEST

/* A health check must not hang. */
START_TEST(stops_waiting_for_a_silent_daemon)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char output[1024];
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	ck_assert_int_eq(check_health(ntohs(address.sin_port), output, sizeof output), 1);
	assert_complaint(output, "timed out");
	close(fd);
}
END_TEST

static TCase *drain_tests(void)
{
	TCase *tests = tcase_create("drain");
	tcase_add_test(tests, prints_every_address_that_it_listens_on);
	tcase_add_loop_test(tests, serves_and_logs_both_families_on_any_address, 0, COUNT_OF(peers));
	tcase_add_loop_test(tests, handles_signals_once_it_is_ready, 0, 12);
	tcase_add_loop_test(tests, finishes_requests_in_flight, 0, COUNT_OF(ending_signals));
	tcase_add_test(tests, finishes_a_file_that_is_being_sent);
	tcase_add_loop_test(tests, does_not_wait_for_idle_connections, 0, COUNT_OF(ending_signals));
	tcase_add_loop_test(tests, stops_at_once_at_the_second_signal, 0, COUNT_OF(second_signals));
	tcase_add_test(tests, aborts_a_stalled_client_at_the_end_of_the_drain);
	tcase_add_test(tests, serves_new_connections_while_the_drain_is_delayed);
	tcase_add_test(tests, drains_at_the_end_of_the_delay);
	tcase_add_test(tests, warns_of_a_document_that_the_end_of_the_drain_cuts_off);
	tcase_add_test(tests, ignores_sigpipe);
	tcase_add_loop_test(tests, loses_no_request_when_it_drains_under_load, 0, 5);
	return tests;
}

static TCase *log_tests(void)
{
	TCase *tests = tcase_create("log");
	tcase_add_test(tests, counts_the_duration_of_a_reply_larger_than_the_batch);
	tcase_add_test(tests, logs_requests_in_the_combined_format);
	tcase_add_test(tests, logs_requests_as_json);
	tcase_add_test(tests, logs_to_standard_output);
	tcase_add_test(tests, logs_incomplete_requests);
	tcase_add_test(tests, logs_messages_as_json_too);
	tcase_add_test(tests, a_blocked_reader_of_messages_stalls_no_worker);
	tcase_add_loop_test(tests, reopens_the_access_log, 0, COUNT_OF(reopening_signals));
	return tests;
}

static TCase *option_tests(void)
{
	TCase *tests = tcase_create("options");
	tcase_add_loop_test(tests, does_not_share_its_port, 0, 4);
	tcase_add_test(tests, is_not_ready_when_it_cannot_log);
	tcase_add_loop_test(tests, refuses_a_wrong_configuration, 0, COUNT_OF(wrong_configurations));
	tcase_add_test(tests, prefers_options_to_the_environment_to_the_file);
	tcase_add_test(tests, checks_all_that_starting_needs_and_reports_every_error);
	tcase_add_test(tests, checks_no_default_address_when_the_given_one_is_wrong);
	tcase_add_test(tests, reports_errors_of_the_configuration_as_json);
	tcase_add_test(tests, fails_when_its_output_cannot_be_written);
	tcase_add_test(tests, refuses_a_configuration_file_that_clients_can_read);
	tcase_add_test(tests, reports_every_error_when_it_starts);
	tcase_add_test(tests, checks_beside_the_running_daemon);
	tcase_add_test(tests, fits_its_memory_limit_into_the_cgroup);
	tcase_add_test(tests, starts_one_worker_for_half_a_core);
	tcase_add_test(tests, finds_the_server_of_its_container);
	tcase_add_loop_test(tests, prints_its_version, 0, COUNT_OF(version_options));
	tcase_add_loop_test(tests, prints_help_that_fits_a_terminal, 0, COUNT_OF(help_options));
	tcase_add_test(tests, asks_a_running_daemon_for_its_health);
	tcase_add_test(tests, stops_waiting_for_a_silent_daemon);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("life");
	suite_add_tcase(suite, drain_tests());
	suite_add_tcase(suite, log_tests());
	suite_add_tcase(suite, option_tests());
	return run_suite(suite);
}
