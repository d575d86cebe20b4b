/* SPDX-License-Identifier: MIT */
/*
 * The library in a program: native handlers in a server that this process runs (pipit_server_run() in a thread, with one worker
 * or two) or attaches to a loop of its own. It uses only pipit.h, libevent and cJSON, as an application would.
 *
 * Handlers run on other threads than the test. They do not assert: they reply with what they got, or note() it.
 */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MEBIBYTE (1024u * 1024u)

/* For arguments of type void * that are not written to. */
static void *text_argument(const char *text)
{
	return (void *)(uintptr_t)text;
}

/* ---------------------------------------------------------------- notes of the handlers */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char notes[32 * 1024];
static size_t notes_length;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	va_list arguments;
	pthread_mutex_lock(&lock);
	va_start(arguments, format);
	notes_length += (size_t)vsnprintf(notes + notes_length, sizeof notes - notes_length, format, arguments);
	va_end(arguments);
	if (notes_length >= sizeof notes)
		abort();
	pthread_mutex_unlock(&lock);
}

static bool notes_begin_with(void *expected)
{
	bool begin;
	pthread_mutex_lock(&lock);
	begin = strncmp(notes, expected, strlen(expected)) == 0;
	pthread_mutex_unlock(&lock);
	return begin;
}

/* Waits until the notes are as expected, and clears them. */
static void expect_notes(const char *expected)
{
	wire_wait(notes_begin_with, text_argument(expected));
	pthread_mutex_lock(&lock);
	ck_assert_str_eq(notes, expected);
	pthread_mutex_unlock(&lock);
}

/* Requests that handlers kept without a reply, in the order of arrival. */
static struct pipit_request *pocket[256];
static size_t pocket_count;

static void put_into_pocket(struct pipit_request *request)
{
	if (pipit_request_keep(request) != 0)
		abort();
	pthread_mutex_lock(&lock);
	pocket[pocket_count++] = request;
	pthread_mutex_unlock(&lock);
}

static bool pocket_holds(void *count)
{
	bool holds;
	pthread_mutex_lock(&lock);
	holds = pocket_count >= *(size_t *)count;
	pthread_mutex_unlock(&lock);
	return holds;
}

static struct pipit_request *from_pocket(size_t index)
{
	struct pipit_request *request;
	size_t count = index + 1;
	ck_assert(wire_wait(pocket_holds, &count));
	pthread_mutex_lock(&lock);
	request = pocket[index];
	pthread_mutex_unlock(&lock);
	return request;
}

static void forget_all(void)
{
	notes[0] = '\0';
	notes_length = pocket_count = 0;
}

/* ---------------------------------------------------------------- text that a handler replies with */

struct text {
	char bytes[24 * 1024];
	size_t length;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	text->length +=
	    (size_t)vsnprintf(text->bytes + text->length, sizeof text->bytes - text->length, format, arguments);
	va_end(arguments);
	if (text->length >= sizeof text->bytes)
		abort();
}

static const char *or_none(const char *text)
{
	return text ? text : "(none)";
}

/* ---------------------------------------------------------------- handlers: what was asked */

static void describe(struct pipit_request *request, void *arg)
{
	struct text text = { .length = 0 };
	(void)arg;
	add(&text, "%s %d\n", pipit_request_method_name(request), (int)pipit_request_method(request));
	add(&text, "path %s\n", pipit_request_path(request));
	add(&text, "query %s\n", or_none(pipit_request_query(request)));
	add(&text, "route %s\n", pipit_request_route(request));
	add(&text, "one %s\n", or_none(pipit_request_parameter(request, "one")));
	add(&text, "rest %s\n", or_none(pipit_request_parameter(request, "rest")));
	add(&text, "two %s\n", or_none(pipit_request_parameter(request, "two")));
	pipit_reply_text(request, 200, text.bytes);
}

static void fields(struct pipit_request *request, void *arg)
{
	static const size_t past_the_end[] = { 255, 256, 1000, SIZE_MAX };
	struct text text = { .length = 0 };
	const char *name, *value;
	size_t index;
	(void)arg;
	for (index = 0; pipit_request_field(request, index, &name, &value); index++)
		add(&text, "%s=[%s]\n", name, value);
	for (size_t i = 0; i < COUNT(past_the_end); i++)
		add(&text, "%d", pipit_request_field(request, past_the_end[i], &name, &value));
	add(&text, "\nx-twice [%s]\n", or_none(pipit_request_header(request, "x-twice")));
	add(&text, "X-EMPTY [%s]\n", or_none(pipit_request_header(request, "X-EMPTY")));
	add(&text, "X-Twic [%s]\n", or_none(pipit_request_header(request, "X-Twic")));
	pipit_reply_text(request, 200, text.bytes);
}

/* Gets the value "v" into a buffer whose size is in the header Room. */
static void value_of(struct pipit_request *request, void *arg)
{
	char value[64];
	const char *room = pipit_request_header(request, "Room");
	struct text text = { .length = 0 };
	long length;
	(void)arg;
	memset(value, '~', sizeof value);
	if (pipit_request_method(request) == PIPIT_POST)
		length = pipit_request_form_value(request, "v", value, room ? strtoul(room, NULL, 10) : sizeof value);
	else
		length = pipit_request_query_value(request, "v", value, room ? strtoul(room, NULL, 10) : sizeof value);
	add(&text, "%ld", length);
	if (length >= 0)
		add(&text, " [%s]", value);
	pipit_reply_text(request, 200, text.bytes);
}

static void media_type(struct pipit_request *request, void *arg)
{
	struct text text = { .length = 0 };
	(void)arg;
	add(&text, "%s%s", pipit_request_is(request, "application/json") ? "json " : "",
	    pipit_request_is(request, "Text/Plain") ? "plain " : "");
	pipit_reply_text(request, 200, text.bytes);
}

/* Replies "INDEX", of as many types as the header Count says. */
static void negotiate(struct pipit_request *request, void *arg)
{
	static const char *const types[] = { "application/json", "text/html", "text/plain" };
	const char *count = pipit_request_header(request, "Count");
	struct text text = { .length = 0 };
	(void)arg;
	add(&text, "%d", pipit_request_negotiate(request, types, count ? strtoul(count, NULL, 10) : COUNT(types)));
	pipit_reply_text(request, 200, text.bytes);
}

static void identity(struct pipit_request *request, void *server)
{
	struct text text = { .length = 0 };
	add(&text, "%s %s %d", pipit_request_peer(request), pipit_request_id(request),
	    pipit_request_server(request) == *(struct pipit_server **)server);
	pipit_reply_text(request, 200, text.bytes);
}

/* Returns the body; a missing NUL after it is reported by a status. */
static void echo(struct pipit_request *request, void *arg)
{
	size_t length;
	const char *body = pipit_request_body(request, &length);
	(void)arg;
	pipit_reply(request, body[length] == '\0' ? 200 : 500, NULL, body, length);
}

static void echo_json(struct pipit_request *request, void *arg)
{
	cJSON *doc = pipit_request_json(request);
	(void)arg;
	if (doc)
		pipit_reply_json(request, 201, doc);
	else
		note("%d", pipit_reply_text(request, 200, "twice"));
}

/* ---------------------------------------------------------------- handlers: replies */

static void number(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, pipit_request_parameter(request, "n"));
}

static int any_descriptor(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void reply_often(struct pipit_request *request, void *arg)
{
	int fd = any_descriptor();
	(void)arg;
	note("gone %d, ", pipit_request_is_gone(request));
	note("%d, ", pipit_reply_text(request, 202, "first"));
	note("gone %d, ", pipit_request_is_gone(request));
	note("%d ", pipit_reply(request, 200, NULL, NULL, 0));
	note("%d ", pipit_reply_text(request, 200, "second"));
	note("%d ", pipit_reply_json(request, 200, cJSON_CreateObject()));
	note("%d ", pipit_reply_json(request, 200, NULL));
	note("%d ", pipit_reply_problem(request, 500, "second"));
	note("%d ", pipit_reply_header(request, "X-Late", "1"));
	note("%d, ", pipit_reply_file(request, 200, NULL, fd, 0, 0));
	note("open %d", is_open(fd));
}

static void bad_status(struct pipit_request *request, void *arg)
{
	static const int statuses[] = { 199, 100, 0, -1, 600, 1000 };
	(void)arg;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		int fd = any_descriptor();
		note("%d ", pipit_reply(request, statuses[i], NULL, "x", 1));
		note("%d ", pipit_reply_json(request, statuses[i], cJSON_CreateTrue()));
		note("%d ", pipit_reply_problem(request, statuses[i], NULL));
		note("%d ", pipit_reply_file(request, statuses[i], NULL, fd, 0, 0));
		note("%d\n", is_open(fd));
	}
	note("%d ", pipit_reply_problem(request, 399, NULL));
	note("%d ", pipit_reply(request, 200, "text/plain\r\nX-Injected: 1", "x", 1));
	note("%d", pipit_reply_text(request, 599, "still there"));
}

static const struct {
	const char *name, *value;
	int result;
} reply_fields[] = {
	{ "X-Good", "value", 0 },
	{ "x!#$%&'*+-.^_`|~9", "", 0 },
	{ "X-Tab", "a\tb", 0 },
	{ "X-Text", "caf\xc3\xa9", 0 },
	{ "Set-Cookie", "a=1", 0 },
	{ "Set-Cookie", "b=2", 0 },
	{ "", "value", -EINVAL },
	{ "X Space", "value", -EINVAL },
	{ "X-Colon:", "value", -EINVAL },
	{ "X-Line\r\nX-Evil", "value", -EINVAL },
	{ "X-\xc3\xa9", "value", -EINVAL },
	{ "X-Evil", "a\r\nX-Injected: 1", -EINVAL },
	{ "X-Evil", "a\nb", -EINVAL },
	{ "X-Evil", "a\rb", -EINVAL },
	{ "X-Evil", "a\x01", -EINVAL },
	{ "X-Evil", "a\x7f", -EINVAL },
	{ "Content-Length", "5", -EINVAL },
	{ "content-length", "5", -EINVAL },
	{ "Transfer-Encoding", "chunked", -EINVAL },
	{ "CONNECTION", "close", -EINVAL },
	{ "Date", "today", -EINVAL },
	{ "Content-Type", "text/plain", -EINVAL },
	{ "Upgrade", "websocket", -EINVAL },
	{ "keep-alive", "timeout=5", -EINVAL },
};

static void add_fields(struct pipit_request *request, void *arg)
{
	struct text text = { .length = 0 };
	(void)arg;
	for (size_t i = 0; i < COUNT(reply_fields); i++) {
		int result = pipit_reply_header(request, reply_fields[i].name, reply_fields[i].value);
		if (result != reply_fields[i].result)
			add(&text, "field %zu: %d\n", i, result);
	}
	pipit_reply_text(request, 200, text.bytes);
}

/* Adds headers of 64 bytes until one is refused; then a smaller one that fits no more, and one that is too long by itself. */
static void add_many_fields(struct pipit_request *request, void *arg)
{
	char value[9000] = { 0 };
	int result, count = 0;
	struct text text = { .length = 0 };
	(void)arg;
	memset(value, 'v', sizeof value - 1);
	result = pipit_reply_header(request, "X-Long", value);
	value[64 - strlen("X-Many: \r\n")] = '\0';
	add(&text, "%d ", result);
	while ((result = pipit_reply_header(request, "X-Many", value)) == 0)
		count++;
	add(&text, "%d %d", count, result);
	pipit_reply_text(request, 200, text.bytes);
}

/* "/status/{code}" with a body, also for a status without one. */
static void reply_status(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply(request, atoi(pipit_request_parameter(request, "code")), "text/plain", "content", 7);
}

static void problem(struct pipit_request *request, void *arg)
{
	(void)arg;
	if (pipit_request_query(request))
		pipit_reply_problem(request, 409, NULL);
	else
		pipit_reply_problem(request, 422, "%s is %d too \"many\" <&>", "one", 1);
}

static void reply_null_json(struct pipit_request *request, void *arg)
{
	(void)arg;
	note("%d", pipit_reply_json(request, 200, NULL));
}

/* ?big: more than the first buffer that a document is printed into. */
static void reply_json(struct pipit_request *request, void *arg)
{
	cJSON *doc = cJSON_CreateArray();
	(void)arg;
	for (int i = 0; i < (pipit_request_query(request) ? 10000 : 3); i++)
		cJSON_AddItemToArray(doc, cJSON_CreateNumber(i));
	note("%d", pipit_reply_json(request, 200, doc));
}

static char byte_at(size_t position)
{
	return (char)('a' + position * 7 % 26 + (position >> 12) % 3);
}

static void reply_huge(struct pipit_request *request, void *size)
{
	size_t length = *(size_t *)size;
	char *content = malloc(length);
	for (size_t i = 0; i < length; i++)
		content[i] = byte_at(i);
	pipit_reply(request, 200, "application/octet-stream", content, length);
	free(content);
}

/* "/file?o=OFFSET&l=LENGTH" of the file whose name is arg. */
static void reply_file(struct pipit_request *request, void *name)
{
	char offset[32] = "", length[32] = "";
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	pipit_request_query_value(request, "o", offset, sizeof offset);
	pipit_request_query_value(request, "l", length, sizeof length);
	note("%d", pipit_reply_file(
		       request, 200, "text/x-letters", fd, strtoull(offset, NULL, 10), strtoull(length, NULL, 10)));
}

/* As a program that does not check open(). */
/* 16 MiB, more than the send buffer of a socket takes. */
static void reply_large_file(struct pipit_request *request, void *arg)
{
	int fd = memfd_create("large", MFD_CLOEXEC);
	(void)arg;
	if (fd < 0 || ftruncate(fd, 16 * MEBIBYTE) != 0)
		abort();
	pipit_reply_file(request, 200, NULL, fd, 0, 16 * MEBIBYTE);
}

static void reply_no_file(struct pipit_request *request, void *arg)
{
	(void)arg;
	note("%d", pipit_reply_file(request, 200, NULL, -1, 0, 10));
	pipit_reply_text(request, 500, "no file");
}

static void say_nothing(struct pipit_request *request, void *arg)
{
	(void)request, (void)arg;
}

static void keep_and_release(struct pipit_request *request, void *arg)
{
	(void)arg;
	if (pipit_request_keep(request) == 0)
		pipit_request_release(request);
}

/* ---------------------------------------------------------------- handlers: later */

static void defer(struct pipit_request *request, void *arg)
{
	(void)arg;
	put_into_pocket(request);
}

static void note_abort(struct pipit_request *request, void *arg)
{
	(void)request;
	note("aborted %s\n", (const char *)arg);
}

static void defer_watched(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_request_on_abort(request, note_abort, text_argument("once"));
	put_into_pocket(request);
}

static void defer_unwatched(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_request_on_abort(request, note_abort, text_argument("never"));
	pipit_request_on_abort(request, NULL, NULL);
	put_into_pocket(request);
}

/* Releases the request when its client closes. */
static void release_aborted(struct pipit_request *request, void *arg)
{
	(void)arg;
	note("aborted\n");
	pipit_request_release(request);
}

static void defer_until_abort(struct pipit_request *request, void *arg)
{
	(void)arg;
	if (pipit_request_keep(request) == 0)
		pipit_request_on_abort(request, release_aborted, NULL);
}

static void answer_aborted(struct pipit_request *request, void *arg)
{
	(void)arg;
	note("aborted, reply %d, ", pipit_reply_text(request, 200, "farewell"));
	note("gone %d\n", pipit_request_is_gone(request));
	pipit_request_release(request);
}

static void defer_and_answer_abort(struct pipit_request *request, void *arg)
{
	(void)arg;
	if (pipit_request_keep(request) == 0)
		pipit_request_on_abort(request, answer_aborted, NULL);
}

static void reply_and_keep(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "answered");
	put_into_pocket(request);
}

/* Strings given before the request was kept must live as long as the request. */
static struct {
	const char *path, *header, *parameter, *query, *name, *value, *body;
	size_t length;
} given;

static void defer_with_strings(struct pipit_request *request, void *arg)
{
	(void)arg;
	given.path = pipit_request_path(request);
	given.header = pipit_request_header(request, "X-Given");
	given.parameter = pipit_request_parameter(request, "one");
	given.query = pipit_request_query(request);
	pipit_request_field(request, 1, &given.name, &given.value);
	put_into_pocket(request);
	/* Keeping the request may move the body, and nothing else. */
	given.body = pipit_request_body(request, &given.length);
}

static void answer_posted(struct pipit_request *request, void *text)
{
	pipit_reply_text(request, 200, text);
	pipit_request_release(request);
}

static void release_posted(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_request_release(request);
	note("released\n");
}

static void note_gone(struct pipit_request *request, void *arg)
{
	(void)arg;
	note("gone %d, ", pipit_request_is_gone(request));
	note("reply %d\n", pipit_reply_text(request, 200, "late"));
	pipit_request_release(request);
}

static void note_readable(struct pipit_request *request, void *arg)
{
	size_t length;
	const char *body = pipit_request_body(request, &length), *name = "", *value = "";
	(void)arg;
	pipit_request_field(request, 1, &name, &value);
	note(
	    "%s %s?%s ", pipit_request_method_name(request), pipit_request_path(request), pipit_request_query(request));
	note("%s %s ", pipit_request_parameter(request, "one"), pipit_request_header(request, "X-Given"));
	note("%s=%s ", name, value);
	note("[%.*s] %zu ", (int)length, body, length);
	note("%s %s ", pipit_request_peer(request), pipit_request_route(request));
	note("reply %d\n", pipit_reply_text(request, 200, "second"));
	pipit_request_release(request);
}

static void note_given(struct pipit_request *request, void *arg)
{
	(void)arg;
	note("%s?%s %s %s ", given.path, given.query, given.parameter, given.header);
	note("%s=%s [%.*s]\n", given.name, given.value, (int)given.length, given.body);
	pipit_reply_text(request, 200, "done");
	pipit_request_release(request);
}

static void note_number(struct pipit_request *request, void *arg)
{
	(void)request;
	note("%d ", *(int *)arg);
}

static void answer(struct pipit_request *request, const char *text)
{
	ck_assert_int_eq(pipit_request_post(request, answer_posted, text_argument(text)), 0);
}

/* ---------------------------------------------------------------- a server in this process */

struct host {
	struct pipit_config config;
	struct pipit_server *server;
	struct loop loop; /* the test's when attached; its base is NULL when pipit_server_run() creates its own */
	pthread_t thread; /* of pipit_server_run() */
	bool is_running;
	int result; /* of pipit_server_run() */
	unsigned port;
};

static void *run_server(void *arg)
{
	struct host *host = arg;
	host->result = pipit_server_run(host->server);
	return NULL;
}

static void drain_attached(void *server)
{
	pipit_server_drain(server);
}

static void stop_attached(void *server)
{
	pipit_server_stop(server);
}

static unsigned port_of(const char *url)
{
	ck_assert_ptr_nonnull(url);
	ck_assert_int_eq(strncmp(url, "http://127.0.0.1:", 17), 0);
	return (unsigned)atoi(url + 17);
}

static void configure(struct host *host, uint64_t workers)
{
	*host = (struct host){ 0 };
	pipit_config_init(&host->config);
	host->config.listen[0] = "127.0.0.1:0";
	host->config.listen_count = 1;
	host->config.workers = workers;
	host->config.log_level = "error";
	/* For replies of fifty mebibytes that are buffered. */
	host->config.memory_limit = 512 * MEBIBYTE;
}

static void make_server(struct host *host)
{
	host->server = pipit_server_new(&host->config);
	ck_assert_ptr_nonnull(host->server);
}

/* Starts a server whose routes are added. attached: to a base of the program. */
static void start(struct host *host, bool attached)
{
	ck_assert_int_eq(pipit_server_listen(host->server), 0);
	host->port = port_of(pipit_server_url(host->server, 0));
	if (attached) {
		loop_open(&host->loop);
		ck_assert_int_eq(pipit_server_attach(host->server, host->loop.base), 0);
		loop_run(&host->loop);
	} else {
		ck_assert_int_eq(pthread_create(&host->thread, NULL, run_server, host), 0);
	}
	host->is_running = true;
}

static void drain(struct host *host)
{
	if (host->loop.base)
		loop_call(&host->loop, drain_attached, host->server);
	else
		pipit_server_drain(host->server);
}

static bool is_empty(void *host)
{
	return pipit_server_connections(((struct host *)host)->server) == 0;
}

/* Waits until a drain or stop is complete. */
static void join(struct host *host)
{
	if (!host->is_running)
		return;
	if (host->loop.base) {
		ck_assert(wire_wait(is_empty, host));
		loop_stop(&host->loop);
	} else {
		ck_assert_int_eq(pthread_join(host->thread, NULL), 0);
	}
	host->is_running = false;
	ck_assert_int_eq(host->result, 0);
}

static void stop(struct host *host)
{
	if (!host->is_running)
		return;
	if (host->loop.base)
		loop_call(&host->loop, stop_attached, host->server);
	else
		pipit_server_stop(host->server);
	join(host);
}

static void dispose(struct host *host)
{
	stop(host);
	pipit_server_free(host->server);
	host->server = NULL;
	if (!host->loop.base)
		return;
	loop_leave(&host->loop);
	event_base_free(host->loop.base);
	host->loop.base = NULL;
}

/* ---------------------------------------------------------------- handlers that use their loop */

static void reply_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pipit_request *request = arg;
	(void)fd, (void)what;
	pipit_reply_text(request, 200, pipit_request_query(request));
	pipit_request_release(request);
}

/* "?N": after N milliseconds. */
static void defer_by_timer(struct pipit_request *request, void *arg)
{
	struct timeval delay = { 0, atoi(pipit_request_query(request)) * 1000 };
	(void)arg;
	if (pipit_request_keep(request) != 0 ||
	    event_base_once(pipit_request_base(request), -1, EV_TIMEOUT, reply_on_timer, request, &delay) != 0)
		abort();
}

/* ---------------------------------------------------------------- the common server of most tests */

#define FILE_SIZE (300u * 1024u)

static struct host host;
static struct pipit_server *identified;
static char file_name[] = "/tmp/pipit-embed-XXXXXX";
static size_t huge_size = 50 * MEBIBYTE;

static const struct {
	unsigned methods;
	const char *pattern;
	pipit_handler *handler;
	void *arg;
	struct pipit_route_options options;
} routes[] = {
	{ PIPIT_ANY, "/describe/{one}/{rest...}", describe, NULL, { 0 } },
	{ PIPIT_GET | PIPIT_PUT, "/describe", describe, NULL, { 0 } },
	{ PIPIT_GET, "/fields", fields, NULL, { 0 } },
	{ PIPIT_GET | PIPIT_POST, "/value", value_of, NULL, { 0 } },
	{ PIPIT_GET, "/type", media_type, NULL, { 0 } },
	{ PIPIT_GET, "/negotiate", negotiate, NULL, { 0 } },
	{ PIPIT_GET, "/identity", identity, &identified, { 0 } },
	{ PIPIT_ANY, "/echo", echo, NULL, { 0 } },
	{ PIPIT_ANY, "/echo/ten", echo, NULL, { .max_body_bytes = 10 } },
	{ PIPIT_ANY, "/echo/much", echo, NULL, { .max_body_bytes = 2 * MEBIBYTE } },
	{ PIPIT_ANY, "/echo/none", echo, NULL, { .refuse_body = true } },
	{ PIPIT_ANY, "/echo/never", echo, NULL, { .max_body_bytes = 10, .refuse_body = true } },
	{ PIPIT_POST, "/json", echo_json, NULL, { 0 } },
	{ PIPIT_GET, "/number/{n}", number, NULL, { 0 } },
	{ PIPIT_GET, "/often", reply_often, NULL, { 0 } },
	{ PIPIT_GET, "/bad-status", bad_status, NULL, { 0 } },
	{ PIPIT_GET, "/add-fields", add_fields, NULL, { 0 } },
	{ PIPIT_GET, "/add-many-fields", add_many_fields, NULL, { 0 } },
	{ PIPIT_GET, "/status/{code}", reply_status, NULL, { 0 } },
	{ PIPIT_GET, "/problem", problem, NULL, { 0 } },
	{ PIPIT_GET, "/null-json", reply_null_json, NULL, { 0 } },
	{ PIPIT_GET, "/a-json", reply_json, NULL, { 0 } },
	{ PIPIT_GET, "/huge", reply_huge, &huge_size, { 0 } },
	{ PIPIT_GET, "/file", reply_file, file_name, { 0 } },
	{ PIPIT_GET, "/no-file", reply_no_file, NULL, { 0 } },
	{ PIPIT_ANY, "/nothing", say_nothing, NULL, { 0 } },
	{ PIPIT_GET, "/keep-and-release", keep_and_release, NULL, { 0 } },
	{ PIPIT_ANY, "/defer", defer, NULL, { 0 } },
	{ PIPIT_GET, "/defer/watched", defer_watched, NULL, { 0 } },
	{ PIPIT_GET, "/defer/unwatched", defer_unwatched, NULL, { 0 } },
	{ PIPIT_GET, "/defer/until-abort", defer_until_abort, NULL, { 0 } },
	{ PIPIT_GET, "/defer/answer-abort", defer_and_answer_abort, NULL, { 0 } },
	{ PIPIT_GET, "/timer", defer_by_timer, NULL, { 0 } },
	{ PIPIT_POST, "/reply-and-keep/{one}", reply_and_keep, NULL, { 0 } },
	{ PIPIT_POST, "/defer/strings/{one}", defer_with_strings, NULL, { 0 } },
	{ PIPIT_GET, "/metrics", pipit_serve_metrics, NULL, { 0 } },
};

static void add_routes(struct pipit_server *server)
{
	for (size_t i = 0; i < COUNT(routes); i++) {
		bool has_options = routes[i].options.max_body_bytes || routes[i].options.refuse_body;
		int result = pipit_route_with(server, routes[i].methods, routes[i].pattern, routes[i].handler,
		    routes[i].arg, has_options ? &routes[i].options : NULL);
		ck_assert_msg(result == 0, "%s: %d", routes[i].pattern, result);
	}
}

static void set_up(uint64_t workers, bool attached)
{
	forget_all();
	configure(&host, workers);
	make_server(&host);
	identified = host.server;
	add_routes(host.server);
	start(&host, attached);
}

static void set_up_one_worker(void)
{
	set_up(1, false);
}

static void set_up_two_workers(void)
{
	set_up(2, false);
}

static void set_up_attached(void)
{
	set_up(1, true);
}

static void tear_down(void)
{
	dispose(&host);
}

/* ---------------------------------------------------------------- requests */

static void expect_field(const struct wire_response *response, const char *name, const char *value)
{
	const char *seen = wire_field(response, name);
	if (value)
		ck_assert_msg(seen != NULL, "no %s in %s", name, response->head);
	if (value)
		ck_assert_str_eq(seen, value);
	else
		ck_assert_msg(seen == NULL, "%s in %s", name, response->head);
}

/*
 * Waits until the server has read what was sent before on another connection of the same worker: a turn of the loop reads every
 * readable socket.
 */
static void let_a_turn_pass(void)
{
	int fd = wire_connect(host.port);
	for (int i = 0; i < 2; i++)
		wire_expect(wire_get(fd, "/number/0"), 200, "0");
	close(fd);
}

static bool is_silent(int fd)
{
	char byte;
	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* The connection ends with a reset. */
static void vanish(int fd)
{
	struct linger linger = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

static void send_at_once(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* ---------------------------------------------------------------- requests */

static const struct {
	const char *line;
	const char *description;
} descriptions[] = {
	{ "GET /describe",
	    "GET 1\npath /describe\nquery (none)\nroute /describe\none (none)\nrest (none)\ntwo (none)\n" },
	{ "PUT /describe?", "PUT 8\npath /describe\nquery \nroute /describe\none (none)\nrest (none)\ntwo (none)\n" },
	{ "GET /describe?a=%41&b",
	    "GET 1\npath /describe\nquery a=%41&b\nroute /describe\none (none)\nrest (none)\ntwo (none)\n" },
	{ "POST /describe/a%2Fb/c%20d/e+f%2f?x?y",
	    "POST 4\npath /describe/a%2Fb/c%20d/e+f%2f\nquery x?y\nroute /describe/{one}/{rest...}\n"
	    "one a/b\nrest c d/e+f/\ntwo (none)\n" },
	{ "PATCH /describe/%c3%a9/", "PATCH 64\npath /describe/%c3%a9/\nquery (none)\nroute /describe/{one}/{rest...}\n"
				     "one \xc3\xa9\nrest \ntwo (none)\n" },
	{ "DELETE /describe/%252F/%25", "DELETE 16\npath /describe/%252F/%25\nquery (none)\n"
					"route /describe/{one}/{rest...}\none %2F\nrest %\ntwo (none)\n" },
	{ "OPTIONS /describe/a/b", "OPTIONS 32\npath /describe/a/b\nquery (none)\nroute /describe/{one}/{rest...}\n"
				   "one a\nrest b\ntwo (none)\n" },
	{ "GET http://elsewhere:1/describe/a/b", "GET 1\npath /describe/a/b\nquery (none)\n"
						 "route /describe/{one}/{rest...}\none a\nrest b\ntwo (none)\n" },
};

START_TEST(gives_method_target_route_and_parameters)
{
	int fd = wire_connect(host.port);
	wire_expect(
	    wire_ask(fd, "%s HTTP/1.1\r\nHost: x\r\n\r\n", descriptions[_i].line), 200, descriptions[_i].description);
	close(fd);
}
END_TEST

START_TEST(gives_headers_in_the_order_of_arrival_and_by_name)
{
	int fd = wire_connect(host.port);
	wire_expect(
	    wire_ask(
		fd, "GET /fields HTTP/1.1\r\nHost: x\r\nX-Twice: one\r\nx-empty:\r\nX-TWICE: \t two words \t\r\n\r\n"),
	    200,
	    "Host=[x]\nX-Twice=[one]\nx-empty=[]\nX-TWICE=[two words]\n0000\n"
	    "x-twice [one]\nX-EMPTY []\nX-Twic [(none)]\n");
	close(fd);
}
END_TEST

static const struct {
	const char *text, *room, *result;
} values[] = {
	{ "v=1", "64", "1 [1]" },
	{ "a=0&v=1&v=2", "64", "1 [1]" },
	{ "v", "64", "0 []" },
	{ "v=", "1", "0 []" },
	{ "&&v=a=b&&", "64", "3 [a=b]" },
	{ "%76=%41+%2b%26", "64", "4 [A +&]" },
	{ "vv=1&V=2&av=3", "64", "-1" },
	{ "v=abcdef", "1", "6 []" },
	{ "v=abcdef", "4", "6 [abc]" },
	{ "v=abcdef", "6", "6 [abcde]" },
	{ "v=abcdef", "7", "6 [abcdef]" },
	{ "v=%41%42%43", "2", "3 [A]" },
	{ "", "64", "-1" },
};

START_TEST(decodes_values_of_query_and_form)
{
	int fd = wire_connect(host.port);
	wire_expect(
	    wire_ask(fd, "GET /value?%s HTTP/1.1\r\nHost: x\r\nRoom: %s\r\n\r\n", values[_i].text, values[_i].room),
	    200, values[_i].result);
	wire_expect(wire_ask(fd, "POST /value?v=wrong HTTP/1.1\r\nHost: x\r\nRoom: %s\r\nContent-Length: %zu\r\n\r\n%s",
			values[_i].room, strlen(values[_i].text), values[_i].text),
	    200, values[_i].result);
	wire_expect(wire_get(fd, "/value"), 200, "-1");
	close(fd);
}
END_TEST

static const struct {
	const char *type, *result;
} types[] = {
	{ "application/json", "json " },
	{ "Application/JSON;charset=utf-8", "json " },
	{ "application/json ; a=b", "json " },
	{ "application/problem+json", "json " },
	{ "application/jsonx", "" },
	{ "application/json+x", "" },
	{ "+json", "" },
	{ "text/plain", "plain " },
	{ "text/plain\t;x", "plain " },
	{ "text/plainly", "" },
	{ "", "" },
};

/* In a target it is refused before a handler is called. */
START_TEST(keeps_an_invalid_escape_in_a_form_as_it_is)
{
	int fd = wire_connect(host.port);
	wire_expect(
	    wire_ask(fd, "POST /value HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nv=%%zz%%4%%"), 200, "6 [%zz%4%]");
	wire_expect(wire_get(fd, "/value?v=%zz%4%"), 200, "6 [%zz%4%]");
	close(fd);
}
END_TEST

START_TEST(compares_the_media_type)
{
	int fd = wire_connect(host.port);
	wire_expect(wire_ask(fd, "GET /type HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n\r\n", types[_i].type), 200,
	    types[_i].result);
	wire_expect(wire_get(fd, "/type"), 200, "");
	close(fd);
}
END_TEST

static const struct {
	const char *type, *content;
	int status;
	const char *reply;
} documents[] = {
	{ "application/json", "{\"a\":[1,2,{}]}", 201, "{\"a\":[1,2,{}]}" },
	{ "application/merge-patch+json", " null ", 201, "null" },
	{ "text/json", "{}", 415, "application/json" },
	{ NULL, "{}", 415, "application/json" },
	{ "application/json", "{\"a\":1,\n}", 400, "line 2, column 1 (byte 8)" },
	{ "", "{}", 415, "application/json" },
	{ "application/json;charset=utf-8", "{}", 201, "{}" },
	{ "application/json ; Charset=\"UTF-8\"", "{}", 201, "{}" },
	{ "application/json; a=\"\\\";charset=latin1\"; b;;", "{}", 201, "{}" },
	{ "application/json; xcharset=latin1; charset2=x", "{}", 201, "{}" },
	{ "application/json; charset=iso-8859-1", "{}", 415, "charset=utf-8" },
	{ "application/json;a=\"\\\\\";charset=utf-16", "{}", 415, "charset=utf-8" },
	{ "application/json; charset=utf-8; charset=utf-16", "{}", 415, "charset=utf-8" },
	{ "application/merge-patch+json;charset=\"utf-8", "{}", 415, "charset=utf-8" },
	{ "application/json; charset", "{}", 415, "charset=utf-8" },
	{ "application/json; charset=", "{}", 415, "charset=utf-8" },
	{ "application/json", "{\"a\":1,\"a\":1}", 400, "#/a" },
	{ "application/json", "9007199254740993", 201, "9007199254740993" },
	{ "application/json", "", 400, "Invalid JSON" },
	{ "application/json", "{} {}", 400, "Invalid JSON" },
	{ "application/json", "01", 400, "Invalid JSON" },
};

START_TEST(parses_json_or_replies_with_the_error)
{
	int fd = wire_connect(host.port);
	const char *type = documents[_i].type, *content = documents[_i].content;
	struct wire_response response =
	    wire_ask(fd, "POST /json HTTP/1.1\r\nHost: x\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
		type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(content), content);

	ck_assert_int_eq(response.status, documents[_i].status);
	ck_assert(response.is_complete);
	ck_assert_msg(strstr(response.content, documents[_i].reply) != NULL, "%s", response.content);
	if (response.status == 201) {
		expect_field(&response, "Content-Type", "application/json");
	} else {
		char twice[16];
		snprintf(twice, sizeof twice, "%d", -EALREADY);
		expect_field(&response, "Content-Type", "application/problem+json");
		expect_notes(twice);
	}
	wire_free(&response);
	wire_expect(wire_get(fd, "/number/1"), 200, "1");
	close(fd);
}
END_TEST

static const struct {
	const char *fields, *index;
} negotiations[] = {
	{ "", "0" },
	{ "Accept:\r\n", "-1" },
	{ "Accept: */*\r\n", "0" },
	{ "Accept: text/html\r\n", "1" },
	{ "Accept: text/plain, text/html\r\n", "1" },
	{ "Accept: text/plain, text/html;q=0.9\r\n", "2" },
	{ "Accept: text/*, application/json;q=0.9\r\n", "1" },
	{ "Accept: TEXT/PLAIN\r\n", "2" },
	{ "Accept: application/json;q=0, */*\r\n", "1" },
	{ "Accept: text/plain;q=0.5\r\nAccept: text/html;q=0.6\r\n", "1" },
	{ "Accept: image/png\r\n", "-1" },
	{ "Accept: text/html;q=0\r\n", "-1" },
	{ "Accept: text/plain\r\nCount: 2\r\n", "-1" },
	{ "Accept: text/html\r\nCount: 2\r\n", "1" },
	{ "Accept: */*\r\nCount: 0\r\n", "-1" },
};

START_TEST(selects_the_media_type_that_the_client_prefers)
{
	int fd = wire_connect(host.port);
	wire_expect(wire_ask(fd, "GET /negotiate HTTP/1.1\r\nHost: x\r\n%s\r\n", negotiations[_i].fields), 200,
	    negotiations[_i].index);
	close(fd);
}
END_TEST

START_TEST(gives_client_address_server_and_a_new_request_id)
{
	char ids[3][17], peer[64];
	int is_server, fd = wire_connect(host.port);

	for (size_t i = 0; i < COUNT(ids); i++) {
		struct wire_response response = wire_get(fd, "/identity");
		ck_assert_int_eq(sscanf(response.content, "%63s %16s %d", peer, ids[i], &is_server), 3);
		wire_free(&response);
		ck_assert_str_eq(peer, "127.0.0.1");
		ck_assert_uint_eq(strspn(ids[i], "0123456789abcdef"), 16);
		ck_assert_int_eq(is_server, 1);
		if (i > 0)
			ck_assert_str_ne(ids[i], ids[i - 1]);
		close(fd);
		fd = wire_connect(host.port);
	}
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- bodies */

static const struct {
	const char *head, *framed, *content;
} contents[] = {
	{ "Content-Length: 11\r\n", "hello world", "hello world" },
	{ "Content-Length: 1\r\n", "x", "x" },
	{ "Content-Length: 0\r\n", "", "" },
	{ "", "", "" },
	{ "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "" },
	{ "Transfer-Encoding: chunked\r\n", "B\r\nhello world\r\n0\r\n\r\n", "hello world" },
	{ "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n01;x=\"y\"\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n",
	    "hello world" },
};

/* Sends the request and another one directly after it, which must be unaffected by the NUL after the body. */
static size_t two_requests(char *bytes, size_t size, size_t form)
{
	return (size_t)snprintf(bytes, size,
	    "POST /echo HTTP/1.1\r\nHost: x\r\n%s\r\n%sGET /number/2 HTTP/1.1\r\nHost: x\r\n\r\n", contents[form].head,
	    contents[form].framed);
}

static void expect_two_replies(int fd, size_t form)
{
	wire_expect(wire_read(fd, false), 200, contents[form].content);
	wire_expect(wire_read(fd, false), 200, "2");
}

START_TEST(passes_a_body_that_arrives_whole)
{
	char bytes[512];
	int fd = wire_connect(host.port);
	ck_assert(wire_send(fd, bytes, two_requests(bytes, sizeof bytes, (size_t)_i)));
	expect_two_replies(fd, (size_t)_i);
	close(fd);
}
END_TEST

START_TEST(passes_a_body_cut_at_every_place)
{
	char bytes[512];
	size_t length = two_requests(bytes, sizeof bytes, (size_t)_i);
	int fd = wire_connect(host.port);
	send_at_once(fd);
	for (size_t cut = 1; cut < length; cut++) {
		ck_assert(wire_send(fd, bytes, cut));
		let_a_turn_pass();
		ck_assert(wire_send(fd, bytes + cut, length - cut));
		expect_two_replies(fd, (size_t)_i);
	}
	close(fd);
}
END_TEST

START_TEST(passes_a_body_that_arrives_byte_by_byte)
{
	char bytes[512];
	size_t length = two_requests(bytes, sizeof bytes, (size_t)_i);
	int fd = wire_connect(host.port);
	send_at_once(fd);
	for (size_t i = 0; i < length; i++)
		ck_assert(wire_send(fd, bytes + i, 1));
	expect_two_replies(fd, (size_t)_i);
	close(fd);
}
END_TEST

static char *pattern_of(size_t length)
{
	char *bytes = malloc(length + 1);
	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(i);
	bytes[length] = '\0';
	return bytes;
}

static void expect_pattern(struct wire_response response, size_t length)
{
	size_t i = 0;
	ck_assert_int_eq(response.status, 200);
	ck_assert(response.is_complete);
	ck_assert_uint_eq(response.length, length);
	while (i < length && response.content[i] == byte_at(i))
		i++;
	ck_assert_uint_eq(i, length);
	wire_free(&response);
}

START_TEST(passes_a_body_larger_than_any_buffer)
{
	size_t length = 2 * MEBIBYTE;
	char *bytes = pattern_of(length);
	int fd = wire_connect(host.port);

	ck_assert(wire_print(fd, "POST /echo/much HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", length));
	ck_assert(wire_send(fd, bytes, length));
	expect_pattern(wire_read(fd, false), length);
	ck_assert(wire_print(fd, "POST /echo/much HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (size_t at = 0; at < length; at += 64 * 1024) {
		ck_assert(wire_print(fd, "10000\r\n"));
		ck_assert(wire_send(fd, bytes + at, 64 * 1024));
		ck_assert(wire_print(fd, "\r\n"));
	}
	ck_assert(wire_print(fd, "0\r\n\r\nGET /number/3 HTTP/1.1\r\nHost: x\r\n\r\n"));
	expect_pattern(wire_read(fd, false), length);
	wire_expect(wire_read(fd, false), 200, "3");
	free(bytes);
	close(fd);
}
END_TEST

static const struct {
	const char *path, *head, *framed;
	int status;
} limited[] = {
	{ "/echo/ten", "Content-Length: 10\r\n", "0123456789", 200 },
	{ "/echo/ten", "Content-Length: 11\r\n", "", 413 },
	{ "/echo/ten", "Content-Length: 11\r\nExpect: 100-continue\r\n", "", 413 },
	{ "/echo/ten", "Transfer-Encoding: chunked\r\n", "a\r\n0123456789\r\n0\r\n\r\n", 200 },
	{ "/echo/ten", "Transfer-Encoding: chunked\r\n", "a\r\n0123456789\r\n1\r\nx", 413 },
	{ "/echo/much", "Content-Length: 2097153\r\n", "", 413 },
	{ "/echo", "Content-Length: 1048577\r\n", "", 413 },
	{ "/echo/none", "", "", 200 },
	{ "/echo/none", "Content-Length: 0\r\n", "", 200 },
	{ "/echo/none", "Content-Length: 1\r\n", "", 413 },
	{ "/echo/none", "Content-Length: 1\r\nExpect: 100-continue\r\n", "", 413 },
	{ "/echo/none", "Transfer-Encoding: chunked\r\n", "", 413 },
	{ "/echo/never", "Content-Length: 1\r\n", "x", 413 },
};

START_TEST(limits_the_body_as_the_route_says)
{
	int fd = wire_connect(host.port), status = limited[_i].status;
	struct wire_response response;

	ck_assert(wire_print(
	    fd, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n%s", limited[_i].path, limited[_i].head, limited[_i].framed));
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, status);
	ck_assert(response.is_complete);
	ck_assert_int_eq(response.closes, status == 413);
	if (status == 413)
		ck_assert(wire_is_closed(fd));
	else
		wire_expect(wire_get(fd, "/number/4"), 200, "4");
	wire_free(&response);
	close(fd);
}
END_TEST

/* wire_read() skips a 100, so this reads every byte. */
START_TEST(sends_100_continue_only_for_a_body_that_it_reads)
{
	static const char ask[] = "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n",
			  invitation[] = "HTTP/1.1 100 Continue\r\n\r\n";
	char bytes[sizeof invitation] = "";
	int fd = wire_connect(host.port);

	ck_assert(wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\n%s", ask));
	ck_assert_int_eq(recv(fd, bytes, sizeof invitation - 1, MSG_WAITALL), (int)sizeof invitation - 1);
	ck_assert_str_eq(bytes, invitation);
	ck_assert(wire_send(fd, "x", 1));
	wire_expect(wire_read(fd, false), 200, "x");
	ck_assert(wire_print(fd, "POST /echo/none HTTP/1.1\r\nHost: x\r\n%s", ask));
	ck_assert_int_eq(recv(fd, bytes, 12, MSG_WAITALL), 12);
	ck_assert_int_eq(memcmp(bytes, "HTTP/1.1 413", 12), 0);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- replies */

START_TEST(refuses_a_second_reply)
{
	char expected[128];
	int fd = wire_connect(host.port), again = -EALREADY;
	struct wire_response response = wire_get(fd, "/often");

	expect_field(&response, "X-Late", NULL);
	wire_expect(response, 202, "first");
	snprintf(expected, sizeof expected, "gone 0, 0, gone 1, %d %d %d %d %d %d %d, open 0", again, again, again,
	    again, again, again, again);
	expect_notes(expected);
	wire_expect(wire_get(fd, "/number/5"), 200, "5");
	close(fd);
}
END_TEST

START_TEST(refuses_a_status_out_of_range_and_accepts_a_valid_one_afterwards)
{
	char expected[512] = "";
	size_t length = 0;
	int fd = wire_connect(host.port);

	for (int i = 0; i < 6; i++)
		length += (size_t)snprintf(
		    expected + length, sizeof expected - length, "%d %d %d %d 0\n", -EINVAL, -EINVAL, -EINVAL, -EINVAL);
	snprintf(expected + length, sizeof expected - length, "%d %d 0", -EINVAL, -EINVAL);
	wire_expect(wire_get(fd, "/bad-status"), 599, "still there");
	expect_notes(expected);
	close(fd);
}
END_TEST

START_TEST(sends_valid_headers_and_refuses_invalid_ones)
{
	int fd = wire_connect(host.port);
	struct wire_response response = wire_get(fd, "/add-fields");

	ck_assert_str_eq(response.content, "");
	expect_field(&response, "X-Good", "value");
	expect_field(&response, "x!#$%&'*+-.^_`|~9", "");
	expect_field(&response, "X-Tab", "a\tb");
	expect_field(&response, "X-Text", "caf\xc3\xa9");
	expect_field(&response, "Content-Length", "0");
	ck_assert_ptr_nonnull(strstr(response.head, "\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"));
	ck_assert_ptr_null(strstr(response.head, "Evil"));
	ck_assert_ptr_null(strstr(response.head, "Injected"));
	expect_field(&response, "Transfer-Encoding", NULL);
	expect_field(&response, "Connection", NULL);
	ck_assert_str_ne(wire_field(&response, "Date"), "today");
	wire_expect(response, 200, "");
	close(fd);
}
END_TEST

START_TEST(accepts_eight_kibibytes_of_headers)
{
	char expected[64];
	int fd = wire_connect(host.port), count = 0;
	struct wire_response response = wire_get(fd, "/add-many-fields");

	for (const char *at = response.head; (at = strstr(at, "\r\nX-Many: ")) != NULL; at++)
		count++;
	/* 128 of them are 8 KiB; the last one may lack a byte. */
	ck_assert_int_ge(count, 127);
	ck_assert_int_le(count, 128);
	expect_field(&response, "X-Long", NULL);
	snprintf(expected, sizeof expected, "%d %d %d", -ENOSPC, count, -ENOSPC);
	wire_expect(response, 200, expected);
	wire_expect(wire_get(fd, "/number/6"), 200, "6");
	close(fd);
}
END_TEST

static const struct {
	const char *method;
	int status;
	const char *length; /* Content-Length, NULL for none */
	const char *content;
} bare[] = {
	{ "GET", 200, "7", "content" },
	{ "HEAD", 200, "7", "" },
	{ "GET", 204, NULL, "" },
	{ "HEAD", 204, NULL, "" },
	{ "GET", 304, NULL, "" },
	{ "GET", 404, "7", "content" },
	{ "HEAD", 404, "7", "" },
	{ "GET", 299, "7", "content" },
};

START_TEST(sends_no_body_where_http_forbids_it)
{
	bool to_head = strcmp(bare[_i].method, "HEAD") == 0;
	int fd = wire_connect(host.port);
	struct wire_response response;

	ck_assert(wire_print(fd, "%s /status/%d HTTP/1.1\r\nHost: x\r\n\r\nGET /number/7 HTTP/1.1\r\nHost: x\r\n\r\n",
	    bare[_i].method, bare[_i].status));
	response = wire_read(fd, to_head);
	expect_field(&response, "Content-Length", bare[_i].length);
	expect_field(&response, "Content-Type", "text/plain");
	wire_expect(response, bare[_i].status, bare[_i].content);
	wire_expect(wire_read(fd, false), 200, "7");
	close(fd);
}
END_TEST

START_TEST(renders_problems_as_json_and_as_html)
{
	int fd = wire_connect(host.port);
	struct wire_response response = wire_get(fd, "/problem");
	cJSON *doc = cJSON_Parse(response.content);

	expect_field(&response, "Content-Type", "application/problem+json");
	ck_assert_str_eq(cJSON_GetObjectItem(doc, "title")->valuestring, "Unprocessable Content");
	ck_assert_int_eq(cJSON_GetObjectItem(doc, "status")->valueint, 422);
	ck_assert_str_eq(cJSON_GetObjectItem(doc, "detail")->valuestring, "one is 1 too \"many\" <&>");
	cJSON_Delete(doc);
	wire_expect(response, 422, NULL);

	response = wire_get(fd, "/problem?");
	doc = cJSON_Parse(response.content);
	ck_assert_ptr_nonnull(doc);
	ck_assert_ptr_null(cJSON_GetObjectItem(doc, "detail"));
	cJSON_Delete(doc);
	wire_expect(response, 409, NULL);

	response = wire_ask(fd, "GET /problem HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n");
	expect_field(&response, "Content-Type", "text/html; charset=utf-8");
	ck_assert_ptr_nonnull(strstr(response.content, "one is 1 too \"many\" &lt;&amp;&gt;"));
	wire_expect(response, 422, NULL);
	close(fd);
}
END_TEST

START_TEST(replies_with_json_of_any_size)
{
	int fd = wire_connect(host.port);
	struct wire_response response = wire_get(fd, "/a-json");
	cJSON *doc;

	expect_field(&response, "Content-Type", "application/json");
	wire_expect(response, 200, "[0,1,2]");
	response = wire_get(fd, "/a-json?big");
	doc = cJSON_Parse(response.content);
	ck_assert_int_eq(cJSON_GetArraySize(doc), 10000);
	cJSON_Delete(doc);
	wire_expect(response, 200, NULL);
	expect_notes("00");
	close(fd);
}
END_TEST

START_TEST(replies_503_for_a_document_that_could_not_be_allocated)
{
	char expected[16];
	int fd = wire_connect(host.port);
	snprintf(expected, sizeof expected, "%d", -ENOMEM);
	wire_expect(wire_get(fd, "/null-json"), 503, NULL);
	expect_notes(expected);
	wire_expect(wire_get(fd, "/number/8"), 200, "8");
	close(fd);
}
END_TEST

START_TEST(replies_500_for_a_handler_that_neither_replies_nor_keeps_the_request)
{
	int fd = wire_connect(host.port);
	wire_expect(wire_get(fd, "/nothing"), 500, NULL);
	wire_expect(wire_get(fd, "/keep-and-release"), 500, NULL);
	wire_expect(wire_ask(fd, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"), 500, NULL);
	wire_expect(wire_get(fd, "/number/9"), 200, "9");
	close(fd);
}
END_TEST

START_TEST(replies_404_and_405_from_the_routes)
{
	int fd = wire_connect(host.port);
	struct wire_response response;

	wire_expect(wire_get(fd, "/nowhere"), 404, NULL);
	wire_expect(wire_get(fd, "/number/"), 404, NULL);
	response = wire_ask(fd, "DELETE /value HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_field(&response, "Allow", "GET, HEAD, POST, OPTIONS");
	wire_expect(response, 405, NULL);
	response = wire_ask(fd, "OPTIONS /value HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_field(&response, "Allow", "GET, HEAD, POST, OPTIONS");
	wire_expect(response, 204, "");
	wire_expect(wire_get(fd, "/metrics"), 200, NULL);
	close(fd);
}
END_TEST

static void write_file(void)
{
	char *bytes = pattern_of(FILE_SIZE);
	int fd;
	strcpy(file_name + sizeof file_name - sizeof "XXXXXX", "XXXXXX");
	fd = mkstemp(file_name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, FILE_SIZE), FILE_SIZE);
	close(fd);
	free(bytes);
}

static const struct {
	unsigned offset, length;
} pieces_of_file[] = {
	{ 0, FILE_SIZE },
	{ 0, 0 },
	{ 10, 5 },
	{ FILE_SIZE, 0 },
	{ FILE_SIZE - 1, 1 },
	{ 100000, 32 * 1024 },
	{ 100000, 32 * 1024 + 1 },
	{ 12345, 200000 },
};

/* Each part of the file between two other replies of one batch. */
START_TEST(replies_with_a_part_of_a_file)
{
	unsigned offset = pieces_of_file[_i].offset, length = pieces_of_file[_i].length;
	int fd = wire_connect(host.port);
	char *whole = pattern_of(FILE_SIZE), size[16];
	struct wire_response response;

	write_file();
	snprintf(size, sizeof size, "%u", length);
	ck_assert(wire_print(fd,
	    "GET /number/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /file?o=%u&l=%u HTTP/1.1\r\nHost: x\r\n\r\n"
	    "HEAD /file?o=%u&l=%u HTTP/1.1\r\nHost: x\r\n\r\nGET /number/2 HTTP/1.1\r\nHost: x\r\n\r\n",
	    offset, length, offset, length));
	wire_expect(wire_read(fd, false), 200, "1");
	response = wire_read(fd, false);
	ck_assert_uint_eq(response.length, length);
	ck_assert_int_eq(memcmp(response.content, whole + offset, length), 0);
	expect_field(&response, "Content-Type", "text/x-letters");
	wire_expect(response, 200, NULL);
	response = wire_read(fd, true);
	expect_field(&response, "Content-Length", size);
	wire_expect(response, 200, "");
	wire_expect(wire_read(fd, false), 200, "2");
	expect_notes("00");
	unlink(file_name);
	free(whole);
	close(fd);
}
END_TEST

static const struct {
	unsigned offset, length;
} lies_about_file[] = { { 0, FILE_SIZE + 1 }, { FILE_SIZE - 5, 10 }, { FILE_SIZE, 100000 } };

START_TEST(closes_the_connection_when_a_file_is_shorter_than_announced)
{
	int fd = wire_connect(host.port);
	char *bytes, *content;
	size_t length;

	write_file();
	ck_assert(
	    wire_print(fd, "GET /file?o=%u&l=%u HTTP/1.1\r\nHost: x\r\n\r\nGET /number/1 HTTP/1.1\r\nHost: x\r\n\r\n",
		lies_about_file[_i].offset, lies_about_file[_i].length));
	bytes = wire_read_all(fd, &length);
	ck_assert_ptr_nonnull(bytes);
	content = strstr(bytes, "\r\n\r\n");
	if (content)
		ck_assert_uint_lt((size_t)(bytes + length - content - 4), lies_about_file[_i].length);
	ck_assert_ptr_null(strstr(bytes, "\r\n\r\n1"));
	expect_notes("0");
	unlink(file_name);
	free(bytes);
	close(fd);
}
END_TEST

/* Missing bytes of an announced length would be taken from the next reply. */
START_TEST(refuses_to_reply_with_a_file_that_is_not_open)
{
	char expected[16];
	int fd = wire_connect(host.port);
	snprintf(expected, sizeof expected, "%d", -EBADF);
	wire_expect(wire_get(fd, "/no-file"), 500, "no file");
	expect_notes(expected);
	wire_expect(wire_get(fd, "/number/1"), 200, "1");
	close(fd);
}
END_TEST

/* Of a program with a base of its own that does not ignore SIGPIPE. */
START_TEST(survives_a_client_that_closes_during_a_download)
{
	struct host attached;
	int other;

	signal(SIGPIPE, SIG_DFL);
	configure(&attached, 1);
	make_server(&attached);
	pipit_route(attached.server, PIPIT_GET, "/large", reply_large_file, NULL);
	pipit_route(attached.server, PIPIT_GET, "/number/{n}", number, NULL);
	start(&attached, true);
	other = wire_connect(attached.port);
	for (int i = 0; i < 20; i++) {
		int fd = wire_connect_with_small_window(attached.port);
		ck_assert(wire_print(fd, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"));
		ck_assert(wire_is_readable(fd, PATIENCE_MS));
		close(fd);
		wire_expect(wire_get(other, "/number/1"), 200, "1");
	}
	close(other);
	dispose(&attached);
}
END_TEST

START_TEST(sends_fifty_mebibytes_to_a_slow_client_and_serves_others_meanwhile)
{
	int fd = wire_connect_with_small_window(host.port);

	ck_assert(wire_print(fd, "GET /huge HTTP/1.1\r\nHost: x\r\n\r\nGET /number/1 HTTP/1.1\r\nHost: x\r\n\r\n"));
	for (int i = 0; i < 5; i++)
		let_a_turn_pass();
	expect_pattern(wire_read(fd, false), huge_size);
	wire_expect(wire_read(fd, false), 200, "1");
	close(fd);
}
END_TEST

START_TEST(survives_a_client_that_closes_during_a_huge_reply)
{
	char bytes[1000];
	int fd = wire_connect_with_small_window(host.port);

	ck_assert(wire_print(fd, "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert_int_eq(recv(fd, bytes, sizeof bytes, MSG_WAITALL), (int)sizeof bytes);
	vanish(fd);
	ck_assert(wire_wait(is_empty, &host));
	let_a_turn_pass();
}
END_TEST

/* ---------------------------------------------------------------- deferred replies */

START_TEST(replies_from_another_thread)
{
	int fd = wire_connect(host.port);
	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
	answer(from_pocket(0), "later");
	wire_expect(wire_read(fd, false), 200, "later");
	wire_expect(wire_get(fd, "/number/1"), 200, "1");
	close(fd);
}
END_TEST

START_TEST(replies_from_events_of_the_same_loop)
{
	static const int delays[] = { 30, 0, 20, 1, 10, 2 };
	int fds[COUNT(delays)];

	for (size_t i = 0; i < COUNT(delays); i++) {
		fds[i] = wire_connect(host.port);
		ck_assert(wire_print(fds[i],
		    "GET /timer?%d HTTP/1.1\r\nHost: x\r\n\r\nGET /timer?0 HTTP/1.1\r\nHost: x\r\n\r\n"
		    "GET /number/1 HTTP/1.1\r\nHost: x\r\n\r\n",
		    delays[i]));
	}
	for (size_t i = 0; i < COUNT(delays); i++) {
		char expected[16];
		snprintf(expected, sizeof expected, "%d", delays[i]);
		wire_expect(wire_read(fds[i], false), 200, expected);
		wire_expect(wire_read(fds[i], false), 200, "0");
		wire_expect(wire_read(fds[i], false), 200, "1");
		close(fds[i]);
	}
}
END_TEST

static void *answer_in_thread(void *arg)
{
	struct pipit_request *request = arg;
	if (pipit_request_post(request, answer_posted, text_argument("from a thread")) != 0)
		abort();
	return NULL;
}

START_TEST(replies_from_many_threads_at_once)
{
	pthread_t threads[8];
	int fds[COUNT(threads)];

	for (size_t i = 0; i < COUNT(threads); i++) {
		fds[i] = wire_connect(host.port);
		ck_assert(wire_print(fds[i], "POST /defer HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"));
	}
	from_pocket(COUNT(threads) - 1);
	for (size_t i = 0; i < COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, answer_in_thread, from_pocket(i)), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		wire_expect(wire_read(fds[i], false), 200, "from a thread");
		close(fds[i]);
	}
}
END_TEST

static void answer_with_query(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, pipit_request_query(request));
	pipit_request_release(request);
}

START_TEST(replies_to_many_deferred_requests_in_another_order)
{
	enum { MANY = 100 };
	int fds[MANY];

	for (int i = 0; i < MANY; i++) {
		fds[i] = wire_connect(host.port);
		ck_assert(wire_print(fds[i], "GET /defer?%d HTTP/1.1\r\nHost: x\r\n\r\n", i));
	}
	from_pocket(MANY - 1);
	for (size_t i = 0; i < MANY; i++)
		ck_assert_int_eq(pipit_request_post(from_pocket(i * 37 % MANY), answer_with_query, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		char expected[16];
		snprintf(expected, sizeof expected, "%d", i);
		wire_expect(wire_read(fds[i], false), 200, expected);
		close(fds[i]);
	}
}
END_TEST

START_TEST(keeps_pipelined_requests_waiting_for_a_deferred_reply)
{
	int fd = wire_connect(host.port);
	static const char one[] = "GET /number/1 HTTP/1.1\r\nHost: x\r\n\r\n", part[] = "GET /number/2 HT";

	send_at_once(fd);
	ck_assert(wire_print(fd, "GET /defer?a HTTP/1.1\r\nHost: x\r\n\r\n%s", one));
	from_pocket(0);
	ck_assert(wire_print(fd, "%s", part));
	let_a_turn_pass();
	ck_assert(is_silent(fd));
	ck_assert(wire_print(fd, "TP/1.1\r\nHost: x\r\n\r\nGET /defer?b HTTP/1.1\r\nHost: x\r\n\r\n%s", one));
	let_a_turn_pass();
	ck_assert(is_silent(fd));
	answer(from_pocket(0), "a");
	wire_expect(wire_read(fd, false), 200, "a");
	wire_expect(wire_read(fd, false), 200, "1");
	wire_expect(wire_read(fd, false), 200, "2");
	answer(from_pocket(1), "b");
	wire_expect(wire_read(fd, false), 200, "b");
	wire_expect(wire_read(fd, false), 200, "1");
	close(fd);
}
END_TEST

/* Also directly after other replies of one batch, and with "Connection: close". */
START_TEST(defers_the_last_request_of_a_batch)
{
	int fd = wire_connect(host.port);
	struct wire_response response;

	ck_assert(wire_print(fd, "GET /number/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /number/2 HTTP/1.1\r\nHost: x\r\n\r\n"
				 "GET /defer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	wire_expect(wire_read(fd, false), 200, "1");
	wire_expect(wire_read(fd, false), 200, "2");
	answer(from_pocket(0), "last");
	response = wire_read(fd, false);
	ck_assert(response.closes);
	wire_expect(response, 200, "last");
	ck_assert(wire_is_closed(fd));
	close(fd);
}
END_TEST

static void reply_huge_posted(struct pipit_request *request, void *size)
{
	reply_huge(request, size);
	pipit_request_release(request);
}

START_TEST(defers_a_reply_larger_than_the_socket_buffer)
{
	size_t size = 8 * MEBIBYTE;
	int fd = wire_connect_with_small_window(host.port);

	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\nGET /number/1 HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert_int_eq(pipit_request_post(from_pocket(0), reply_huge_posted, &size), 0);
	let_a_turn_pass();
	expect_pattern(wire_read(fd, false), size);
	wire_expect(wire_read(fd, false), 200, "1");
	close(fd);
}
END_TEST

static void reply_file_posted(struct pipit_request *request, void *name)
{
	reply_file(request, name);
	pipit_request_release(request);
}

START_TEST(defers_a_file)
{
	int fd = wire_connect(host.port);
	write_file();
	ck_assert(wire_print(fd, "GET /defer?o=0&l=%u HTTP/1.1\r\nHost: x\r\n\r\n", FILE_SIZE));
	ck_assert_int_eq(pipit_request_post(from_pocket(0), reply_file_posted, file_name), 0);
	expect_pattern(wire_read(fd, false), FILE_SIZE);
	ck_assert(wire_print(fd, "GET /defer?o=7&l=0 HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert_int_eq(pipit_request_post(from_pocket(1), reply_file_posted, file_name), 0);
	wire_expect(wire_read(fd, false), 200, "");
	unlink(file_name);
	close(fd);
}
END_TEST

START_TEST(replies_500_for_a_request_released_without_a_reply)
{
	int fd = wire_connect(host.port);
	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\nGET /number/1 HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert_int_eq(pipit_request_post(from_pocket(0), release_posted, NULL), 0);
	wire_expect(wire_read(fd, false), 500, NULL);
	wire_expect(wire_read(fd, false), 200, "1");
	expect_notes("released\n");
	close(fd);
}
END_TEST

/* Other requests overwrite the memory of the server's buffers. */
static void overwrite_memory(int fd)
{
	char *bytes = pattern_of(60000);
	ck_assert(wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"));
	ck_assert(wire_send(fd, bytes, 60000));
	expect_pattern(wire_read(fd, false), 60000);
	free(bytes);
}

static const char *const kept_bodies[] = { "Content-Length: 7\r\n\r\ncontent", "Content-Length: 0\r\n\r\n",
	"Transfer-Encoding: chunked\r\n\r\n4\r\ncont\r\n3\r\nent\r\n0\r\n\r\n" };

START_TEST(keeps_a_request_readable_after_its_reply)
{
	char expected[256];
	int fd = wire_connect(host.port);
	bool has_body = _i != 1;

	wire_expect(wire_ask(fd, "POST /reply-and-keep/%%41b?q=1 HTTP/1.1\r\nHost: x\r\nX-Given: a value\r\n%s",
			kept_bodies[_i]),
	    200, "answered");
	overwrite_memory(fd);
	ck_assert_int_eq(pipit_request_post(from_pocket(0), note_readable, NULL), 0);
	snprintf(expected, sizeof expected,
	    "POST /reply-and-keep/%%41b?q=1 Ab a value X-Given=a value [%s] %d 127.0.0.1 /reply-and-keep/{one} reply "
	    "%d\n",
	    has_body ? "content" : "", has_body ? 7 : 0, -EALREADY);
	expect_notes(expected);
	close(fd);
}
END_TEST

START_TEST(keeps_strings_given_before_the_request_was_kept)
{
	char expected[256];
	int fd = wire_connect(host.port), other = wire_connect(host.port);
	const char *framing_end = strstr(kept_bodies[_i], "\r\n\r\n") + 4;

	/* The body apart from the head, so that it has to be collected. */
	send_at_once(fd);
	ck_assert(wire_print(fd, "POST /defer/strings/%%41b?q=1 HTTP/1.1\r\nHost: x\r\nX-Given: a value\r\n%.*s",
	    (int)(framing_end - kept_bodies[_i]), kept_bodies[_i]));
	let_a_turn_pass();
	ck_assert(wire_print(fd, "%s", framing_end));
	from_pocket(0);
	overwrite_memory(other);
	ck_assert_int_eq(pipit_request_post(from_pocket(0), note_given, NULL), 0);
	snprintf(expected, sizeof expected, "/defer/strings/%%41b?q=1 Ab a value X-Given=a value [%s]\n",
	    _i == 1 ? "" : "content");
	expect_notes(expected);
	wire_expect(wire_read(fd, false), 200, "done");
	close(fd);
	close(other);
}
END_TEST

START_TEST(runs_posted_functions_in_order)
{
	static int numbers[500];
	char expected[4096] = "";
	size_t length = 0;
	int fd = wire_connect(host.port);

	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
	for (int i = 0; i < (int)COUNT(numbers); i++) {
		numbers[i] = i;
		length += (size_t)snprintf(expected + length, sizeof expected - length, "%d ", i);
		ck_assert_int_eq(pipit_request_post(from_pocket(0), note_number, &numbers[i]), 0);
	}
	answer(from_pocket(0), "done");
	wire_expect(wire_read(fd, false), 200, "done");
	expect_notes(expected);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- clients that close */

START_TEST(calls_abort_once_when_the_client_of_a_deferred_request_closes)
{
	int fd = wire_connect(host.port);
	ck_assert(wire_print(fd, "GET /defer/watched HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(0);
	close(fd);
	expect_notes("aborted once\n");
	/* A reply to the closed connection ends it. */
	answer(from_pocket(0), "too late");
	ck_assert(wire_wait(is_empty, &host));
	expect_notes("aborted once\n");
}
END_TEST

START_TEST(calls_abort_once_when_the_client_of_a_deferred_request_resets)
{
	int fd = wire_connect(host.port);
	ck_assert(wire_print(fd, "GET /defer/watched HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(0);
	vanish(fd);
	expect_notes("aborted once\n");
	ck_assert(wire_wait(is_empty, &host));
	ck_assert_int_eq(pipit_request_post(from_pocket(0), note_gone, NULL), 0);
	expect_notes("aborted once\ngone 1, reply 0\n");
}
END_TEST

/* The pipelined request arrives before the end of the connection. */
START_TEST(calls_abort_when_the_end_arrives_after_pipelined_requests)
{
	int fd = wire_connect(host.port);
	send_at_once(fd);
	ck_assert(wire_print(fd, "GET /defer/watched HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(0);
	ck_assert(wire_print(fd, "GET /number/1 HTTP/1.1\r\nHost: x\r\n\r\n"));
	close(fd);
	expect_notes("aborted once\n");
	answer(from_pocket(0), "too late");
	ck_assert(wire_wait(is_empty, &host));
}
END_TEST

START_TEST(replies_to_a_client_that_shut_down_its_sending_side)
{
	int fd = wire_connect(host.port);
	ck_assert(wire_print(fd, "GET /defer/watched HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(0);
	shutdown(fd, SHUT_WR);
	expect_notes("aborted once\n");
	answer(from_pocket(0), "still here");
	wire_expect(wire_read(fd, false), 200, "still here");
	ck_assert(wire_is_closed(fd));
	expect_notes("aborted once\n");
	close(fd);
}
END_TEST

START_TEST(does_not_call_abort_after_the_reply_or_without_a_callback)
{
	int fd = wire_connect(host.port);
	ck_assert(wire_print(fd, "GET /defer/watched HTTP/1.1\r\nHost: x\r\n\r\n"));
	answer(from_pocket(0), "first");
	wire_expect(wire_read(fd, false), 200, "first");
	ck_assert(wire_print(fd, "GET /defer/unwatched HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(1);
	vanish(fd);
	ck_assert(wire_wait(is_empty, &host));
	ck_assert_int_eq(pipit_request_post(from_pocket(1), note_gone, NULL), 0);
	expect_notes("gone 1, reply 0\n");
}
END_TEST

START_TEST(the_abort_callback_may_release_the_request)
{
	struct wire_response metrics;
	int fd = wire_connect(host.port), other = wire_connect(host.port);
	ck_assert(wire_print(fd, "GET /defer/until-abort HTTP/1.1\r\nHost: x\r\n\r\n"));
	let_a_turn_pass();
	if (_i == 0)
		vanish(fd);
	else
		shutdown(fd, SHUT_WR);
	expect_notes("aborted\n");
	/* The memory of that request serves others. */
	for (int i = 0; i < 3; i++)
		ck_assert(wire_print(
		    other, "GET /number/%d HTTP/1.1\r\nHost: x\r\n\r\nGET /defer HTTP/1.1\r\nHost: x\r\n\r\n", i));
	for (size_t i = 0; i < 3; i++) {
		char expected[16];
		snprintf(expected, sizeof expected, "%zu", i);
		wire_expect(wire_read(other, false), 200, expected);
		answer(from_pocket(i), "deferred");
		wire_expect(wire_read(other, false), 200, "deferred");
	}
	if (_i == 1) {
		ck_assert(wire_is_closed(fd));
		close(fd);
	}
	metrics = wire_get(other, "/metrics");
	ck_assert_double_eq(wire_metric(metrics.content, "http_requests_aborted_total"), 1);
	wire_free(&metrics);
	close(other);
	ck_assert(wire_wait(is_empty, &host));
}
END_TEST

START_TEST(the_abort_callback_may_reply)
{
	int fd = wire_connect(host.port);
	ck_assert(wire_print(fd, "GET /defer/answer-abort HTTP/1.1\r\nHost: x\r\n\r\n"));
	let_a_turn_pass();
	if (_i == 0) {
		vanish(fd);
	} else {
		shutdown(fd, SHUT_WR);
		wire_expect(wire_read(fd, false), 200, "farewell");
		close(fd);
	}
	expect_notes("aborted, reply 0, gone 1\n");
	ck_assert(wire_wait(is_empty, &host));
	let_a_turn_pass();
}
END_TEST

START_TEST(frees_a_request_whose_client_closed_before_it_was_complete)
{
	int fd = wire_connect(host.port);
	ck_assert(wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"));
	let_a_turn_pass();
	if (_i == 0)
		vanish(fd);
	else
		close(fd);
	ck_assert(wire_wait(is_empty, &host));
}
END_TEST

/* ---------------------------------------------------------------- draining and stopping */

static bool refuses_connections(void *port)
{
	int fd = wire_try_connect(*(unsigned *)port);
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

START_TEST(ends_a_drain_when_the_deferred_requests_are_answered)
{
	int idle = wire_connect(host.port), fd = wire_connect(host.port);
	struct wire_response response;

	wire_expect(wire_get(idle, "/number/1"), 200, "1");
	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(0);
	ck_assert(!pipit_server_is_draining(host.server));
	drain(&host);
	ck_assert(pipit_server_is_draining(host.server));
	ck_assert(wire_wait(refuses_connections, &host.port));
	ck_assert(wire_is_closed(idle));
	ck_assert_uint_eq(pipit_server_connections(host.server), 1);
	answer(from_pocket(0), "finished");
	response = wire_read(fd, false);
	ck_assert(response.closes);
	wire_expect(response, 200, "finished");
	ck_assert(wire_is_closed(fd));
	join(&host);
	ck_assert_uint_eq(pipit_server_connections(host.server), 0);
	close(idle);
	close(fd);
}
END_TEST

START_TEST(stops_with_deferred_requests_and_refuses_posts_afterwards)
{
	int fd = wire_connect(host.port), posted;

	ck_assert(wire_print(fd, "GET /defer/watched HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(0);
	stop(&host);
	ck_assert(wire_is_closed(fd));
	expect_notes("aborted once\n");
	ck_assert(pipit_request_is_gone(from_pocket(0)));
	/* The application runs an attached loop again; the server has stopped when it is freed. */
	posted = pipit_request_post(from_pocket(0), note_gone, NULL);
	if (!host.loop.base)
		ck_assert_int_eq(posted, -ESHUTDOWN);
	pipit_request_release(from_pocket(0));
	close(fd);
}
END_TEST

START_TEST(aborts_requests_that_take_longer_than_the_drain_timeout)
{
	struct host short_lived;
	int fd;

	forget_all();
	configure(&short_lived, _i == 1 ? 1 : 2);
	short_lived.config.drain_timeout_ms = 200;
	make_server(&short_lived);
	ck_assert_int_eq(pipit_route(short_lived.server, PIPIT_GET, "/", defer_watched, NULL), 0);
	start(&short_lived, _i == 1);
	fd = wire_connect(short_lived.port);
	ck_assert(wire_print(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(0);
	drain(&short_lived);
	ck_assert(wire_is_closed(fd));
	join(&short_lived);
	expect_notes("aborted once\n");
	pipit_request_release(from_pocket(0));
	dispose(&short_lived);
	close(fd);
}
END_TEST

START_TEST(drains_at_once_without_connections)
{
	struct host idle;
	int fd;
	configure(&idle, _i == 1 ? 1 : 2);
	make_server(&idle);
	add_routes(idle.server);
	start(&idle, _i == 1);
	fd = wire_connect(idle.port);
	wire_expect(wire_get(fd, "/number/1"), 200, "1");
	close(fd);
	ck_assert(wire_wait(is_empty, &idle));
	drain(&idle);
	join(&idle);
	dispose(&idle);
}
END_TEST

/* Another thread cannot know how far pipit_server_run() has got. */
START_TEST(obeys_a_drain_requested_before_its_workers_run)
{
	struct host early;
	configure(&early, 2);
	make_server(&early);
	ck_assert_int_eq(pipit_server_listen(early.server), 0);
	if (_i == 1)
		pipit_server_stop(early.server);
	else
		pipit_server_drain(early.server);
	ck_assert_int_eq(pipit_server_run(early.server), 0);
	pipit_server_free(early.server);
}
END_TEST

/* ---------------------------------------------------------------- handlers that know their loop */

/* Replies to the kept request, which is on another connection of the same loop, and then to its own. */
static void answer_the_other(struct pipit_request *request, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	pipit_reply_text(pocket[0], 200, "the other");
	pipit_request_release(pocket[0]);
	pthread_mutex_unlock(&lock);
	pipit_reply_text(request, 200, "this one");
}

static void start_looped(void)
{
	forget_all();
	configure(&host, 1);
	make_server(&host);
	ck_assert_int_eq(pipit_route(host.server, PIPIT_GET, "/timer", defer_by_timer, NULL), 0);
	ck_assert_int_eq(pipit_route(host.server, PIPIT_GET, "/other", answer_the_other, NULL), 0);
	ck_assert_int_eq(pipit_route(host.server, PIPIT_GET, "/number/{n}", number, NULL), 0);
	ck_assert_int_eq(pipit_route(host.server, PIPIT_GET, "/defer", defer, NULL), 0);
	start(&host, true);
}

START_TEST(replies_to_another_request_from_within_a_handler)
{
	int waiting = wire_connect(host.port), fd = wire_connect(host.port);
	ck_assert(
	    wire_print(waiting, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\nGET /number/1 HTTP/1.1\r\nHost: x\r\n\r\n"));
	from_pocket(0);
	ck_assert(wire_print(fd, "GET /number/2 HTTP/1.1\r\nHost: x\r\n\r\nGET /other HTTP/1.1\r\nHost: x\r\n\r\n"
				 "GET /number/3 HTTP/1.1\r\nHost: x\r\n\r\n"));
	wire_expect(wire_read(fd, false), 200, "2");
	wire_expect(wire_read(fd, false), 200, "this one");
	wire_expect(wire_read(fd, false), 200, "3");
	wire_expect(wire_read(waiting, false), 200, "the other");
	wire_expect(wire_read(waiting, false), 200, "1");
	close(fd);
	close(waiting);
}
END_TEST

/* ---------------------------------------------------------------- routes */

static const struct {
	unsigned methods;
	const char *pattern;
	bool has_handler;
	int result;
} registrations[] = {
	{ PIPIT_GET, "/other", true, 0 },
	{ PIPIT_POST, "/{x}/b", true, 0 },
	{ PIPIT_GET, "/{x}/y", true, -EEXIST },
	{ PIPIT_GET, "/taken/{y}", true, -EEXIST },
	{ PIPIT_HEAD | PIPIT_GET, "/taken/{x}", true, -EEXIST },
	{ 0, "/other", true, -EINVAL },
	{ 1u << 7, "/other", true, -EINVAL },
	{ PIPIT_GET, "", true, -EINVAL },
	{ PIPIT_GET, "other", true, -EINVAL },
	{ PIPIT_GET, "/{", true, -EINVAL },
	{ PIPIT_GET, "/{}", true, -EINVAL },
	{ PIPIT_GET, "/{a}/{a}", true, -EINVAL },
	{ PIPIT_GET, "/{a...}/b", true, -EINVAL },
	{ PIPIT_GET, "/{a b}", true, -EINVAL },
	{ PIPIT_GET, NULL, true, -EINVAL },
	{ PIPIT_GET, "/other", false, -EINVAL },
};

static void evhttp_hello(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	evbuffer_add_printf(content, "%s", (const char *)arg);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void expect_start(struct host *failing, int result)
{
	struct event_base *base = event_base_new();
	ck_assert_int_eq(pipit_server_listen(failing->server), result);
	ck_assert_ptr_null(pipit_server_url(failing->server, 0));
	ck_assert_int_eq(pipit_server_attach(failing->server, base), result);
	ck_assert_int_eq(pipit_server_run(failing->server), 1);
	pipit_server_free(failing->server);
	event_base_free(base);
}

START_TEST(refuses_invalid_routes_and_does_not_start_afterwards)
{
	unsigned methods = registrations[_i].methods;
	const char *pattern = registrations[_i].pattern;
	bool has_handler = registrations[_i].has_handler;
	struct host failing;

	for (int is_evhttp = 0; is_evhttp < 2; is_evhttp++) {
		configure(&failing, 1);
		make_server(&failing);
		ck_assert_int_eq(pipit_route(failing.server, PIPIT_GET, "/taken/{x}", number, NULL), 0);
		ck_assert_int_eq(
		    is_evhttp
			? pipit_route_evhttp(failing.server, methods, pattern, has_handler ? evhttp_hello : NULL, NULL)
			: pipit_route(failing.server, methods, pattern, has_handler ? number : NULL, NULL),
		    registrations[_i].result);
		if (registrations[_i].result != 0)
			expect_start(&failing, registrations[_i].result);
		else
			pipit_server_free(failing.server);
	}
}
END_TEST

START_TEST(refuses_a_fallback_without_a_handler)
{
	struct host failing;
	configure(&failing, 1);
	make_server(&failing);
	if (_i == 0)
		ck_assert_int_eq(pipit_fallback(failing.server, NULL, NULL), -EINVAL);
	else
		ck_assert_int_eq(pipit_fallback_evhttp(failing.server, NULL, NULL), -EINVAL);
	expect_start(&failing, -EINVAL);
}
END_TEST

static const struct {
	uint64_t workers;
	bool thread_safe, has_fallback;
	long expected; /* -1: one per core */
} worker_counts[] = { { 0, false, false, 1 }, { 0, true, false, -1 }, { 0, true, true, 1 }, { 3, false, true, 3 } };

/* Programs that were written for evhttp's one thread seldom lock what their callbacks share. */
START_TEST(runs_one_worker_unless_evhttp_callbacks_may_run_on_several)
{
	struct pipit_route_options options = { .thread_safe = worker_counts[_i].thread_safe };
	long expected = worker_counts[_i].expected;
	struct wire_response metrics;
	struct host counted;
	cpu_set_t cores;
	char sample[64];
	int fd;

	ck_assert_int_eq(sched_getaffinity(0, sizeof cores, &cores), 0);
	if (expected < 0)
		expected = CPU_COUNT(&cores);
	configure(&counted, worker_counts[_i].workers);
	make_server(&counted);
	pipit_route_evhttp_with(counted.server, PIPIT_GET, "/hello", evhttp_hello, NULL, &options);
	pipit_route(counted.server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL);
	if (worker_counts[_i].has_fallback)
		pipit_fallback_evhttp(counted.server, evhttp_hello, NULL);
	start(&counted, false);
	fd = wire_connect(counted.port);
	metrics = wire_get(fd, "/metrics");
	snprintf(sample, sizeof sample, "event_loop_busy_seconds_total{worker=\"%ld\"}", expected - 1);
	ck_assert_double_ge(wire_metric(metrics.content, sample), 0);
	snprintf(sample, sizeof sample, "event_loop_busy_seconds_total{worker=\"%ld\"}", expected);
	ck_assert_double_eq(wire_metric(metrics.content, sample), -1);
	wire_free(&metrics);
	close(fd);
	dispose(&counted);
}
END_TEST

START_TEST(refuses_registrations_while_it_runs)
{
	struct host running;
	struct event_base *base = event_base_new();

	configure(&running, 1);
	make_server(&running);
	ck_assert_int_eq(pipit_server_attach(running.server, base), 0);
	ck_assert_int_eq(pipit_route(running.server, PIPIT_GET, "/late", number, NULL), -EBUSY);
	ck_assert_int_eq(pipit_route_evhttp(running.server, PIPIT_GET, "/late", evhttp_hello, NULL), -EBUSY);
	ck_assert_int_eq(pipit_fallback(running.server, number, NULL), -EBUSY);
	ck_assert_int_eq(pipit_fallback_evhttp(running.server, evhttp_hello, NULL), -EBUSY);
	ck_assert_int_eq(pipit_server_attach(running.server, base), -EBUSY);
	ck_assert_int_eq(pipit_server_run(running.server), 1);
	pipit_server_free(running.server);
	event_base_free(base);
}
END_TEST

START_TEST(serves_unmatched_paths_by_the_fallback)
{
	struct host falling;
	int fd;

	configure(&falling, 1);
	make_server(&falling);
	ck_assert_int_eq(pipit_route(falling.server, PIPIT_GET, "/number/{n}", number, NULL), 0);
	if (_i == 0)
		ck_assert_int_eq(pipit_fallback(falling.server, describe, NULL), 0);
	else
		ck_assert_int_eq(pipit_fallback_evhttp(falling.server, evhttp_hello, text_argument("evhttp")), 0);
	start(&falling, false);
	fd = wire_connect(falling.port);
	wire_expect(wire_get(fd, "/number/1"), 200, "1");
	wire_expect(wire_ask(fd, "DELETE /any/where HTTP/1.1\r\nHost: x\r\n\r\n"), 200,
	    _i == 0 ? "DELETE 16\npath /any/where\nquery (none)\nroute fallback\none (none)\nrest (none)\ntwo (none)\n"
		    : "evhttp");
	wire_expect(wire_ask(fd, "PUT /number/1 HTTP/1.1\r\nHost: x\r\n\r\n"), 405, NULL);
	wire_expect(wire_ask(fd, "POST // HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nxx"), 200, NULL);
	wire_expect(wire_get(fd, "/number/2"), 200, "2");
	dispose(&falling);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- descriptions of routes */

START_TEST(describes_its_routes_with_copies_of_the_texts)
{
	char title[] = "Gate", summary[] = "A number.", schema[] = "{\"type\":\"string\"}";
	struct pipit_route_options options = { .summary = summary, .reply_schema = schema };
	struct host described;
	struct wire_response reply;
	int fd;

	configure(&described, 2);
	make_server(&described);
	ck_assert_int_eq(pipit_route(described.server, PIPIT_GET, "/openapi.json", pipit_serve_openapi, title), 0);
	ck_assert_int_eq(pipit_route(described.server, PIPIT_GET, "/untitled", pipit_serve_openapi, NULL), 0);
	ck_assert_int_eq(pipit_route_with(described.server, PIPIT_GET, "/number/{n}", number, NULL, &options), 0);
	ck_assert_int_eq(
	    pipit_route_evhttp_with(described.server, PIPIT_POST, "/evhttp", evhttp_hello, NULL, &options), 0);
	memset(summary, 'x', sizeof summary);
	memset(schema, 'x', sizeof schema);
	start(&described, false);
	fd = wire_connect(described.port);
	reply = wire_get(fd, "/openapi.json");
	ck_assert_int_eq(reply.status, 200);
	expect_field(&reply, "Content-Type", "application/json");
	ck_assert_ptr_nonnull(strstr(reply.content, "\"title\":\"Gate\""));
	ck_assert_ptr_nonnull(strstr(
	    reply.content, "\"/number/{n}\":{\"get\":{\"operationId\":\"getNumberN\",\"summary\":\"A number.\","));
	ck_assert_ptr_nonnull(
	    strstr(reply.content, "\"/evhttp\":{\"post\":{\"operationId\":\"postEvhttp\",\"summary\":\"A number.\","));
	ck_assert_ptr_nonnull(strstr(reply.content, "{\"schema\":{\"type\":\"string\"}}"));
	wire_free(&reply);
	reply = wire_get(fd, "/untitled");
	ck_assert_ptr_nonnull(strstr(reply.content, "\"title\":\"pipit\""));
	wire_free(&reply);
	close(fd);
	dispose(&described);
}
END_TEST

START_TEST(refuses_an_invalid_reply_schema)
{
	struct pipit_route_options options = { .reply_schema = "{" };
	struct host failing;
	configure(&failing, 1);
	make_server(&failing);
	ck_assert_int_eq(_i == 0
			     ? pipit_route_with(failing.server, PIPIT_GET, "/a", number, NULL, &options)
			     : pipit_route_evhttp_with(failing.server, PIPIT_GET, "/a", evhttp_hello, NULL, &options),
	    -EINVAL);
	expect_start(&failing, -EINVAL);
}
END_TEST

START_TEST(does_not_start_with_a_title_that_is_not_utf8)
{
	struct event_base *base = event_base_new();
	struct host failing;
	configure(&failing, 1);
	make_server(&failing);
	ck_assert_int_eq(
	    pipit_route(failing.server, PIPIT_GET, "/openapi.json", pipit_serve_openapi, text_argument("\xff")), 0);
	ck_assert_int_eq(pipit_server_attach(failing.server, base), -EINVAL);
	ck_assert_int_eq(pipit_server_run(failing.server), 1);
	pipit_server_free(failing.server);
	event_base_free(base);
}
END_TEST

/* ---------------------------------------------------------------- ready-made handlers that another handler calls */

struct wrapped {
	pipit_handler *handler;
	void *arg;
};

/* As a handler that checks clients before it passes them on. */
static void pass_on(struct pipit_request *request, void *arg)
{
	const struct wrapped *wrapped = arg;
	pipit_reply_header(request, "X-Passed-On", "yes");
	wrapped->handler(request, wrapped->arg);
}

static void pass_on_later(struct pipit_request *request, void *arg)
{
	pass_on(request, arg);
	pipit_request_release(request);
}

static void defer_and_pass_on(struct pipit_request *request, void *arg)
{
	if (pipit_request_keep(request) != 0 || pipit_request_post(request, pass_on_later, arg) != 0)
		abort();
}

static const char page_content[] = "a page";
static const struct pipit_page page = {
	.path = "/index.html", .content_type = "text/plain", .content = page_content, .length = sizeof page_content - 1
};
static struct wrapped wrapped_site = { pipit_serve_files, NULL }, no_site = { pipit_serve_files, NULL },
		      wrapped_stream = { pipit_stream_serve, NULL }, no_stream = { pipit_stream_serve, NULL },
		      wrapped_figures = { pipit_serve_events, NULL }, wrapped_metrics = { pipit_serve_metrics, NULL },
		      untitled = { pipit_serve_openapi, NULL }, titled = { pipit_serve_openapi, NULL },
		      no_title = { pipit_serve_openapi, NULL };

static const struct {
	const char *pattern;
	struct wrapped *wrapped;
} wrapped_routes[] = {
	{ "/{name...}", &wrapped_site },
	{ "/no-site", &no_site },
	{ "/stream", &wrapped_stream },
	{ "/no-stream", &no_stream },
	{ "/figures", &wrapped_figures },
	{ "/metrics", &wrapped_metrics },
	{ "/untitled", &untitled },
	{ "/titled", &titled },
	{ "/no-title", &no_title },
};

static void start_wrapped(struct host *wrapping, uint64_t workers, pipit_handler *wrapper)
{
	char error[256];
	struct pipit_site *site;
	ck_assert_int_eq(pipit_site_open(&(struct pipit_site_options){ .pages = &page, .page_count = 1 }, &site, error,
			     sizeof error),
	    0);
	wrapped_site.arg = site;
	wrapped_stream.arg = pipit_stream_new(NULL);
	ck_assert_ptr_nonnull(wrapped_stream.arg);
	titled.arg = text_argument("Gate");
	no_title.arg = text_argument("\xff");
	configure(wrapping, workers);
	make_server(wrapping);
	for (size_t i = 0; i < COUNT(wrapped_routes); i++)
		ck_assert_int_eq(pipit_route(wrapping->server, PIPIT_GET, wrapped_routes[i].pattern, wrapper,
				     wrapped_routes[i].wrapped),
		    0);
	start(wrapping, false);
}

static void dispose_wrapped(struct host *wrapping)
{
	dispose(wrapping);
	pipit_site_free(wrapped_site.arg);
	pipit_stream_free(wrapped_stream.arg);
}

/* Reads an open reply up to this text. */
static void expect_beginning(int fd, const char *text)
{
	char bytes[64 * 1024] = "";
	size_t length = 0;
	while (!strstr(bytes, text)) {
		ssize_t count = recv(fd, bytes + length, sizeof bytes - 1 - length, 0);
		ck_assert_msg(count > 0, "no %s in: %s", text, bytes);
		length += (size_t)count;
		bytes[length] = '\0';
	}
	ck_assert_int_eq(strncmp(bytes, "HTTP/1.1 200 OK\r\n", 17), 0);
	ck_assert_ptr_nonnull(strstr(bytes, "\r\nX-Passed-On: yes\r\n"));
}

static void expect_content(int fd, const char *target, const char *text)
{
	struct wire_response response = wire_get(fd, target);
	expect_field(&response, "X-Passed-On", "yes");
	ck_assert_msg(strstr(response.content, text) != NULL, "%s: no %s in: %s", target, text, response.content);
	wire_expect(response, 200, NULL);
}

static pipit_handler *const wrappers[] = { pass_on, defer_and_pass_on };

START_TEST(serves_a_request_that_another_handler_passes_on)
{
	struct host wrapping;
	int fd, following;

	start_wrapped(&wrapping, 1, wrappers[_i]);
	fd = wire_connect(wrapping.port);
	wire_expect(wire_get(fd, "/"), 200, page_content);
	expect_content(fd, "/metrics", "http_requests_total{method=\"GET\",route=\"/{name...}\",code=\"200\"} 1\n");
	expect_content(fd, "/untitled", "\"title\":\"pipit\"");
	expect_content(fd, "/titled", "\"title\":\"Gate\"");
	expect_content(fd, "/titled", "\"/metrics\":{\"get\":");
	following = wire_connect(wrapping.port);
	ck_assert(wire_print(following, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	expect_beginning(following, "\nretry: 2000\n");
	close(following);
	close(fd);
	dispose_wrapped(&wrapping);
}
END_TEST

START_TEST(answers_conditional_requests_for_a_description_that_another_handler_passes_on)
{
	struct host wrapping;
	struct wire_response response;
	char etag[64];
	int fd;

	start_wrapped(&wrapping, 1, pass_on);
	fd = wire_connect(wrapping.port);
	response = wire_get(fd, "/titled");
	snprintf(etag, sizeof etag, "%s", or_none(wire_field(&response, "ETag")));
	wire_expect(response, 200, NULL);
	wire_expect(wire_ask(fd, "GET /titled HTTP/1.1\r\nHost: x\r\nIf-None-Match: %s\r\n\r\n", etag), 304, NULL);
	wire_expect(wire_ask(fd, "GET /untitled HTTP/1.1\r\nHost: x\r\nIf-None-Match: %s\r\n\r\n", etag), 200, NULL);
	close(fd);
	dispose_wrapped(&wrapping);
}
END_TEST

/* The first clients of both workers connect at the same time; all get the history, and then an event each second. */
START_TEST(serves_dashboard_data_that_another_handler_passes_on)
{
	struct host wrapping;
	int following[8];

	start_wrapped(&wrapping, 2, wrappers[_i]);
	for (size_t i = 0; i < COUNT(following); i++)
		following[i] = wire_connect(wrapping.port);
	for (size_t i = 0; i < COUNT(following); i++)
		ck_assert(wire_print(following[i], "GET /figures HTTP/1.1\r\nHost: x\r\n\r\n"));
	for (size_t i = 0; i < COUNT(following); i++)
		expect_beginning(following[i], "\nevent: figures\n");
	for (size_t i = 0; i < COUNT(following); i++)
		close(following[i]);
	dispose_wrapped(&wrapping);
}
END_TEST

/* The worker that collects the figures is freed with the server. */
START_TEST(frees_dashboard_data_while_a_client_follows)
{
	struct host wrapping;
	int following;

	start_wrapped(&wrapping, 2, pass_on);
	following = wire_connect(wrapping.port);
	ck_assert(wire_print(following, "GET /figures HTTP/1.1\r\nHost: x\r\n\r\n"));
	expect_beginning(following, "\nevent: history\n");
	if (_i == 0) {
		drain(&wrapping);
		join(&wrapping);
	}
	dispose_wrapped(&wrapping);
	close(following);
}
END_TEST

static const char *const faulty[] = { "/no-site", "/no-stream", "/no-title" };

START_TEST(replies_500_when_a_handler_passes_on_without_an_argument)
{
	struct host wrapping;
	struct wire_response response;
	int fd;

	start_wrapped(&wrapping, 1, wrappers[_i]);
	fd = wire_connect(wrapping.port);
	for (size_t i = 0; i < COUNT(faulty); i++) {
		response = wire_get(fd, faulty[i]);
		expect_field(&response, "Content-Type", "application/problem+json");
		wire_expect(response, 500, NULL);
	}
	wire_expect(wire_get(fd, "/"), 200, page_content);
	close(fd);
	dispose_wrapped(&wrapping);
}
END_TEST

START_TEST(serves_a_request_that_a_fallback_passes_on)
{
	struct host wrapping;
	int fd;

	configure(&wrapping, 1);
	make_server(&wrapping);
	ck_assert_int_eq(pipit_fallback(wrapping.server, pass_on, &wrapped_figures), 0);
	start(&wrapping, false);
	fd = wire_connect(wrapping.port);
	ck_assert(wire_print(fd, "GET /any HTTP/1.1\r\nHost: x\r\n\r\n"));
	expect_beginning(fd, "\nevent: history\n");
	close(fd);
	dispose(&wrapping);
}
END_TEST

static const struct {
	pipit_handler *handler;
	const char *line; /* on standard error, after the pattern */
} without_argument[] = {
	{ pipit_serve_files, "pipit_serve_files() needs a site as its argument: pass one from pipit_site_open()\n" },
	{ pipit_stream_serve,
	    "pipit_stream_serve() needs a stream as its argument: pass one from pipit_stream_new()\n" },
	{ NULL, "settings need a pattern and a store\n" },
};

static int register_without_argument(struct pipit_server *server, pipit_handler *handler, bool is_fallback)
{
	if (is_fallback)
		return pipit_fallback(server, handler, NULL);
	return handler ? pipit_route(server, PIPIT_GET, "/a", handler, NULL) : pipit_route_settings(server, "/a", NULL);
}

/* Once as a route and once as the fallback. */
START_TEST(refuses_to_register_a_handler_without_the_argument_that_it_needs)
{
	pipit_handler *handler = without_argument[_i / 2].handler;
	bool is_fallback = _i % 2;
	char expected[256], line[256] = "";
	int saved = dup(STDERR_FILENO), ends[2], result;
	struct host failing;

	if (is_fallback && !handler)
		return;
	configure(&failing, 1);
	make_server(&failing);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	result = register_without_argument(failing.server, handler, is_fallback);
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_gt(read(ends[0], line, sizeof line - 1), 0);
	snprintf(expected, sizeof expected, "pipit: error: route %s: %s", is_fallback ? "fallback" : "/a",
	    without_argument[_i / 2].line);
	ck_assert_str_eq(line, expected);
	ck_assert_int_eq(result, -EINVAL);
	expect_start(&failing, -EINVAL);
	close(ends[0]);
	close(ends[1]);
	close(saved);
}
END_TEST

/* ---------------------------------------------------------------- start and end of a server */

START_TEST(is_created_and_freed_without_running)
{
	struct host unused;

	pipit_server_free(NULL);
	configure(&unused, 0);
	make_server(&unused);
	add_routes(unused.server);
	ck_assert_ptr_null(pipit_server_url(unused.server, 0));
	ck_assert(!pipit_server_is_draining(unused.server));
	ck_assert_uint_eq(pipit_server_connections(unused.server), 0);
	if (_i == 1) {
		ck_assert_int_eq(pipit_server_listen(unused.server), 0);
		ck_assert_int_eq(pipit_server_listen(unused.server), 0);
		ck_assert_uint_gt(port_of(pipit_server_url(unused.server, 0)), 0);
		ck_assert_ptr_null(pipit_server_url(unused.server, 1));
		ck_assert_ptr_null(pipit_server_url(unused.server, SIZE_MAX));
	}
	pipit_server_free(unused.server);
	ck_assert_ptr_nonnull(unused.server = pipit_server_new(NULL));
	pipit_server_free(unused.server);
	ck_assert_uint_eq(strspn(pipit_version(), "0123456789."), strlen(pipit_version()));
}
END_TEST

START_TEST(listens_on_several_addresses_with_copies_of_the_texts)
{
	struct host several;
	char address[] = "127.0.0.1:0", level[] = "error";
	unsigned ports[2];

	configure(&several, 2);
	several.config.listen[0] = several.config.listen[1] = address;
	several.config.listen_count = 2;
	several.config.log_level = level;
	make_server(&several);
	memset(address, 'x', sizeof address);
	memset(level, 'x', sizeof level);
	memset(&several.config, 'x', sizeof several.config);
	ck_assert_int_eq(pipit_route(several.server, PIPIT_GET, "/number/{n}", number, NULL), 0);
	start(&several, false);
	for (size_t i = 0; i < COUNT(ports); i++) {
		int fd;
		ports[i] = port_of(pipit_server_url(several.server, i));
		fd = wire_connect(ports[i]);
		wire_expect(wire_get(fd, "/number/1"), 200, "1");
		close(fd);
	}
	ck_assert_uint_ne(ports[0], ports[1]);
	dispose(&several);
}
END_TEST

START_TEST(refuses_a_configuration_that_is_out_of_range)
{
	struct pipit_config config;
	pipit_config_init(&config);
	config.listen_count = 0;
	ck_assert_ptr_null(pipit_server_new(&config));
	pipit_config_init(&config);
	config.listen[0] = "nowhere";
	ck_assert_ptr_null(pipit_server_new(&config));
	pipit_config_init(&config);
	config.workers = 257;
	ck_assert_ptr_null(pipit_server_new(&config));
	pipit_config_init(&config);
	config.log_level = "loud";
	ck_assert_ptr_null(pipit_server_new(&config));
}
END_TEST

/* The next open() in the process gets this descriptor. */
static int next_descriptor(void)
{
	int fd = any_descriptor();
	close(fd);
	return fd;
}

START_TEST(frees_everything_when_an_address_is_in_use)
{
	struct host first, second;
	char taken[64];
	int before;

	configure(&first, 1);
	make_server(&first);
	ck_assert_int_eq(pipit_server_listen(first.server), 0);
	snprintf(taken, sizeof taken, "%s", pipit_server_url(first.server, 0) + strlen("http://"));
	before = next_descriptor();
	configure(&second, (uint64_t)_i + 1);
	second.config.listen[1] = taken;
	second.config.listen_count = 2;
	make_server(&second);
	ck_assert_int_eq(pipit_server_listen(second.server), -EADDRINUSE);
	ck_assert_ptr_null(pipit_server_url(second.server, 0));
	ck_assert_int_eq(pipit_server_listen(second.server), -EADDRINUSE);
	ck_assert_int_eq(pipit_server_run(second.server), 1);
	pipit_server_free(second.server);
	ck_assert_int_eq(next_descriptor(), before);
	pipit_server_free(first.server);
}
END_TEST

START_TEST(runs_and_stops_repeatedly)
{
	for (int i = 0; i < 5; i++) {
		struct host again;
		int before = next_descriptor(), fd;
		configure(&again, 2);
		make_server(&again);
		ck_assert_int_eq(pipit_route(again.server, PIPIT_GET, "/number/{n}", number, NULL), 0);
		start(&again, false);
		fd = wire_connect(again.port);
		wire_expect(wire_get(fd, "/number/1"), 200, "1");
		close(fd);
		dispose(&again);
		ck_assert_int_eq(next_descriptor(), before);
	}
}
END_TEST

/* ---------------------------------------------------------------- attached */

/* Runs the loop in this thread until the condition holds. */
static bool turn_until(struct event_base *base, bool (*condition)(void *), void *arg)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	while (!condition(arg) && wire_now_ms() < end)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	return condition(arg);
}

static bool is_readable(void *fd)
{
	char byte;
	return recv(*(int *)fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* One request and its reply, with the loop in this thread. */
static void ask_in_turns(struct event_base *base, int fd, const char *target, const char *content)
{
	ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target));
	ck_assert(turn_until(base, is_readable, &fd));
	wire_expect(wire_read(fd, false), 200, content);
}

static struct pipit_server *attach(struct event_base *base, const char *greeting, unsigned *port)
{
	struct host attached;
	configure(&attached, 1);
	make_server(&attached);
	ck_assert_int_eq(pipit_route(attached.server, PIPIT_GET, "/number/{n}", number, NULL), 0);
	ck_assert_int_eq(pipit_route(attached.server, PIPIT_GET, "/defer", defer, NULL), 0);
	ck_assert_int_eq(
	    pipit_route_evhttp(attached.server, PIPIT_GET, "/hello", evhttp_hello, text_argument(greeting)), 0);
	ck_assert_int_eq(pipit_server_attach(attached.server, base), 0);
	*port = port_of(pipit_server_url(attached.server, 0));
	return attached.server;
}

START_TEST(is_attached_and_freed_without_a_turn_of_the_loop)
{
	struct event_base *base = event_base_new();
	unsigned port;
	int fd;
	struct pipit_server *server = attach(base, "", &port);

	fd = wire_connect(port);
	if (_i == 0)
		pipit_server_free(server);
	event_base_free(base);
	if (_i == 0)
		ck_assert(wire_is_closed(fd));
	close(fd);
}
END_TEST

START_TEST(frees_its_address_for_another_server_on_the_same_base)
{
	struct event_base *base = event_base_new();

	for (int i = 0; i < 3; i++) {
		unsigned port;
		struct pipit_server *server = attach(base, "hello", &port);
		int idle = wire_connect(port), fd = wire_connect(port);

		ask_in_turns(base, idle, "/number/1", "1");
		ask_in_turns(base, fd, "/hello", "hello");
		ck_assert(wire_print(fd, "GET /number/2 HTTP/1.1"));
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		pipit_server_free(server);
		if (i == 1)
			event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		ck_assert_int_lt(wire_try_connect(port), 0);
		close(idle);
		close(fd);
	}
	event_base_free(base);
}
END_TEST

static bool is_unused(void *server)
{
	return pipit_server_connections(server) == 0;
}

/* Runs the loop for as long as the server could have anything to do. */
static void turn_for_a_while(struct event_base *base)
{
	struct timeval while_ = { 0, 20 * 1000 };
	event_base_loopexit(base, &while_);
	event_base_dispatch(base);
}

START_TEST(is_freed_at_any_time_of_a_drain)
{
	struct event_base *base = event_base_new();
	unsigned port;
	struct pipit_server *server = attach(base, "hello", &port);
	struct event *alive = event_new(base, -1, EV_PERSIST, NULL, NULL);
	int fd = wire_connect(port);

	ask_in_turns(base, fd, "/number/1", "1");
	if (_i % 2)
		pipit_server_stop(server);
	else
		pipit_server_drain(server);
	for (int i = 0; i < _i / 2; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	pipit_server_free(server);
	turn_for_a_while(base);
	event_free(alive);
	event_base_free(base);
	close(fd);
}
END_TEST

START_TEST(serves_beside_another_server_on_the_same_base)
{
	struct event_base *base = event_base_new();
	unsigned ports[2];
	struct pipit_server *first = attach(base, "first", &ports[0]), *second = attach(base, "second", &ports[1]);
	int fds[2] = { wire_connect(ports[0]), wire_connect(ports[1]) };

	ask_in_turns(base, fds[0], "/hello", "first");
	ask_in_turns(base, fds[1], "/hello", "second");
	ck_assert_uint_eq(pipit_server_connections(first), 1);
	pipit_server_stop(first);
	ck_assert(turn_until(base, is_unused, first));
	pipit_server_free(first);
	ask_in_turns(base, fds[1], "/hello", "second");
	pipit_server_free(second);
	event_base_free(base);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(is_attached_with_one_worker_only)
{
	struct event_base *base = event_base_new();
	struct host two;

	configure(&two, 2);
	make_server(&two);
	ck_assert_int_eq(pipit_server_listen(two.server), 0);
	ck_assert_int_eq(pipit_server_attach(two.server, base), -EINVAL);
	pipit_server_free(two.server);
	/* Before the address is bound, the number of configured ones does not matter. */
	configure(&two, 2);
	make_server(&two);
	ck_assert_int_eq(pipit_server_attach(two.server, base), 0);
	pipit_server_free(two.server);
	event_base_free(base);
}
END_TEST

static void make_numbers(struct host *made)
{
	configure(made, 1);
	make_server(made);
	ck_assert_int_eq(pipit_route(made->server, PIPIT_GET, "/number/{n}", number, NULL), 0);
}

/* One server that runs and one that is attached, or two attached ones; each with a thread. */
START_TEST(serves_beside_another_server_in_the_same_process)
{
	struct host hosts[2];
	int fds[2];

	for (size_t i = 0; i < 2; i++) {
		make_numbers(&hosts[i]);
		start(&hosts[i], i == 1 || _i == 1);
		fds[i] = wire_connect(hosts[i].port);
	}
	for (int n = 0; n < 20; n++) {
		char target[32], expected[16];
		snprintf(target, sizeof target, "/number/%d", n);
		snprintf(expected, sizeof expected, "%d", n);
		for (size_t i = 0; i < 2; i++)
			ck_assert(wire_print(fds[i], "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target));
		for (size_t i = 0; i < 2; i++)
			wire_expect(wire_read(fds[i], false), 200, expected);
	}
	dispose(&hosts[0]);
	wire_expect(wire_get(fds[1], "/number/7"), 200, "7");
	dispose(&hosts[1]);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ---------------------------------------------------------------- helper functions of pipit.h */

static const struct {
	const char *text;
	size_t length;
	bool is_valid;
} encodings[] = {
	{ "", 0, true },
	{ "plain", 5, true },
	{ "a\0b", 3, true },
	{ "caf\xc3\xa9", 5, true },
	{ "\xe2\x82\xac", 3, true },
	{ "\xf0\x9f\x90\xa6", 4, true },
	{ "\xf4\x8f\xbf\xbf", 4, true },
	{ "\xf4\x90\x80\x80", 4, false },
	{ "\xc3", 1, false },
	{ "\xc3\xa9", 1, false },
	{ "\x80", 1, false },
	{ "\xc0\x80", 2, false },
	{ "\xc1\xbf", 2, false },
	{ "\xe0\x9f\xbf", 3, false },
	{ "\xed\xa0\x80", 3, false },
	{ "\xf0\x8f\xbf\xbf", 4, false },
	{ "\xff", 1, false },
};

START_TEST(validates_utf8)
{
	ck_assert_int_eq(pipit_is_utf8(encodings[_i].text, encodings[_i].length), encodings[_i].is_valid);
}
END_TEST

/* ---------------------------------------------------------------- the suite */

static TCase *add_case(Suite *suite, const char *name, void (*prepare)(void))
{
	TCase *tcase = tcase_create(name);
	if (prepare)
		tcase_add_checked_fixture(tcase, prepare, tear_down);
	suite_add_tcase(suite, tcase);
	return tcase;
}

static void add_request_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, gives_method_target_route_and_parameters, 0, COUNT(descriptions));
	tcase_add_test(tcase, gives_headers_in_the_order_of_arrival_and_by_name);
	tcase_add_loop_test(tcase, decodes_values_of_query_and_form, 0, COUNT(values));
	tcase_add_test(tcase, keeps_an_invalid_escape_in_a_form_as_it_is);
	tcase_add_loop_test(tcase, compares_the_media_type, 0, COUNT(types));
	tcase_add_loop_test(tcase, parses_json_or_replies_with_the_error, 0, COUNT(documents));
	tcase_add_loop_test(tcase, selects_the_media_type_that_the_client_prefers, 0, COUNT(negotiations));
	tcase_add_test(tcase, gives_client_address_server_and_a_new_request_id);
	tcase_add_loop_test(tcase, passes_a_body_that_arrives_whole, 0, COUNT(contents));
	tcase_add_loop_test(tcase, passes_a_body_cut_at_every_place, 0, COUNT(contents));
	tcase_add_loop_test(tcase, passes_a_body_that_arrives_byte_by_byte, 0, COUNT(contents));
	tcase_add_test(tcase, passes_a_body_larger_than_any_buffer);
	tcase_add_loop_test(tcase, limits_the_body_as_the_route_says, 0, COUNT(limited));
	tcase_add_test(tcase, sends_100_continue_only_for_a_body_that_it_reads);
}

static void add_reply_tests(TCase *tcase)
{
	tcase_add_test(tcase, refuses_a_second_reply);
	tcase_add_test(tcase, refuses_a_status_out_of_range_and_accepts_a_valid_one_afterwards);
	tcase_add_test(tcase, sends_valid_headers_and_refuses_invalid_ones);
	tcase_add_test(tcase, accepts_eight_kibibytes_of_headers);
	tcase_add_loop_test(tcase, sends_no_body_where_http_forbids_it, 0, COUNT(bare));
	tcase_add_test(tcase, renders_problems_as_json_and_as_html);
	tcase_add_test(tcase, replies_with_json_of_any_size);
	tcase_add_test(tcase, replies_503_for_a_document_that_could_not_be_allocated);
	tcase_add_test(tcase, replies_500_for_a_handler_that_neither_replies_nor_keeps_the_request);
	tcase_add_test(tcase, replies_404_and_405_from_the_routes);
	tcase_add_loop_test(tcase, replies_with_a_part_of_a_file, 0, COUNT(pieces_of_file));
	tcase_add_test(tcase, refuses_to_reply_with_a_file_that_is_not_open);
	tcase_add_loop_test(
	    tcase, closes_the_connection_when_a_file_is_shorter_than_announced, 0, COUNT(lies_about_file));
}

static void add_deferred_tests(TCase *tcase)
{
	tcase_add_test(tcase, replies_from_another_thread);
	tcase_add_test(tcase, replies_from_events_of_the_same_loop);
	tcase_add_test(tcase, replies_from_many_threads_at_once);
	tcase_add_test(tcase, replies_to_many_deferred_requests_in_another_order);
	tcase_add_test(tcase, keeps_pipelined_requests_waiting_for_a_deferred_reply);
	tcase_add_test(tcase, defers_the_last_request_of_a_batch);
	tcase_add_test(tcase, defers_a_reply_larger_than_the_socket_buffer);
	tcase_add_test(tcase, defers_a_file);
	tcase_add_test(tcase, replies_500_for_a_request_released_without_a_reply);
	tcase_add_loop_test(tcase, keeps_a_request_readable_after_its_reply, 0, COUNT(kept_bodies));
	tcase_add_loop_test(tcase, keeps_strings_given_before_the_request_was_kept, 0, COUNT(kept_bodies));
	tcase_add_test(tcase, runs_posted_functions_in_order);
}

static void add_leaving_tests(TCase *tcase)
{
	tcase_add_test(tcase, calls_abort_once_when_the_client_of_a_deferred_request_closes);
	tcase_add_test(tcase, calls_abort_once_when_the_client_of_a_deferred_request_resets);
	tcase_add_test(tcase, calls_abort_when_the_end_arrives_after_pipelined_requests);
	tcase_add_test(tcase, replies_to_a_client_that_shut_down_its_sending_side);
	tcase_add_test(tcase, does_not_call_abort_after_the_reply_or_without_a_callback);
	tcase_add_loop_test(tcase, the_abort_callback_may_release_the_request, 0, 2);
	tcase_add_loop_test(tcase, the_abort_callback_may_reply, 0, 2);
	tcase_add_loop_test(tcase, frees_a_request_whose_client_closed_before_it_was_complete, 0, 2);
	tcase_add_test(tcase, ends_a_drain_when_the_deferred_requests_are_answered);
	tcase_add_test(tcase, stops_with_deferred_requests_and_refuses_posts_afterwards);
}

static void add_served_tests(Suite *suite, const char *name, void (*prepare)(void))
{
	TCase *tcase = add_case(suite, name, prepare);
	add_request_tests(tcase);
	add_reply_tests(tcase);
	add_deferred_tests(tcase);
	add_leaving_tests(tcase);
}

static void add_life_tests(Suite *suite)
{
	TCase *tcase = add_case(suite, "life", NULL);
	tcase_add_loop_test(tcase, refuses_invalid_routes_and_does_not_start_afterwards, 0, COUNT(registrations));
	tcase_add_loop_test(tcase, refuses_a_fallback_without_a_handler, 0, 2);
	tcase_add_loop_test(tcase, runs_one_worker_unless_evhttp_callbacks_may_run_on_several, 0, COUNT(worker_counts));
	tcase_add_test(tcase, refuses_registrations_while_it_runs);
	tcase_add_loop_test(tcase, serves_unmatched_paths_by_the_fallback, 0, 2);
	tcase_add_test(tcase, describes_its_routes_with_copies_of_the_texts);
	tcase_add_loop_test(tcase, refuses_an_invalid_reply_schema, 0, 2);
	tcase_add_test(tcase, does_not_start_with_a_title_that_is_not_utf8);
	tcase_add_loop_test(tcase, serves_a_request_that_another_handler_passes_on, 0, COUNT(wrappers));
	tcase_add_test(tcase, answers_conditional_requests_for_a_description_that_another_handler_passes_on);
	tcase_add_loop_test(tcase, serves_dashboard_data_that_another_handler_passes_on, 0, COUNT(wrappers));
	tcase_add_loop_test(tcase, frees_dashboard_data_while_a_client_follows, 0, 2);
	tcase_add_loop_test(tcase, replies_500_when_a_handler_passes_on_without_an_argument, 0, COUNT(wrappers));
	tcase_add_test(tcase, serves_a_request_that_a_fallback_passes_on);
	tcase_add_loop_test(
	    tcase, refuses_to_register_a_handler_without_the_argument_that_it_needs, 0, 2 * COUNT(without_argument));
	tcase_add_loop_test(tcase, is_created_and_freed_without_running, 0, 2);
	tcase_add_test(tcase, listens_on_several_addresses_with_copies_of_the_texts);
	tcase_add_test(tcase, refuses_a_configuration_that_is_out_of_range);
	tcase_add_loop_test(tcase, frees_everything_when_an_address_is_in_use, 0, 2);
	tcase_add_test(tcase, runs_and_stops_repeatedly);
	tcase_add_loop_test(tcase, aborts_requests_that_take_longer_than_the_drain_timeout, 0, 2);
	tcase_add_loop_test(tcase, drains_at_once_without_connections, 0, 2);
	tcase_add_loop_test(tcase, obeys_a_drain_requested_before_its_workers_run, 0, 2);
	tcase_add_loop_test(tcase, is_attached_and_freed_without_a_turn_of_the_loop, 0, 1);
	tcase_add_test(tcase, frees_its_address_for_another_server_on_the_same_base);
	tcase_add_loop_test(tcase, is_freed_at_any_time_of_a_drain, 0, 8);
	tcase_add_test(tcase, serves_beside_another_server_on_the_same_base);
	tcase_add_test(tcase, is_attached_with_one_worker_only);
	tcase_add_loop_test(tcase, serves_beside_another_server_in_the_same_process, 0, 2);
	tcase_add_loop_test(tcase, validates_utf8, 0, COUNT(encodings));
}

int main(void)
{
	Suite *suite = suite_create("embed");
	TCase *tcase;

	/* pipit_server_attach() requires it of the application. */
	signal(SIGPIPE, SIG_IGN);
	add_served_tests(suite, "one worker", set_up_one_worker);
	add_served_tests(suite, "two workers", set_up_two_workers);
	add_served_tests(suite, "attached", set_up_attached);
	tcase = add_case(suite, "own loop", start_looped);
	tcase_add_test(tcase, replies_from_events_of_the_same_loop);
	tcase_add_test(tcase, replies_to_another_request_from_within_a_handler);
	tcase = add_case(suite, "huge", set_up_one_worker);
	tcase_add_test(tcase, survives_a_client_that_closes_during_a_download);
	tcase_add_test(tcase, sends_fifty_mebibytes_to_a_slow_client_and_serves_others_meanwhile);
	tcase_add_test(tcase, survives_a_client_that_closes_during_a_huge_reply);
	add_life_tests(suite);
	return run_suite(suite);
}
