/* SPDX-License-Identifier: MIT */
/* See script.h. */
#include "script.h"

#include "client.h"
#include "handlers.h"
#include "routes.h"

#include <check.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* Idle turns before the clock is advanced, and before a client counts as waiting in vain. */
#define QUIET_TURNS 6
#define SKIP_MS 300
#define REST_MS 1100
#define SKIPS_MAX 60
/* Small socket buffers, so that a reply stays in the server while its client does not read. */
#define SOCKET_BYTES (16 * 1024)

/* ---------------------------------------------------------------- the clock, which replaces that of libc */

static uint64_t skipped_ms;
/* No deadline may hide a fault: the script ends before it. */
static uint64_t deadline_ms = 3600 * 1000;

SCRIPT_INSTEAD int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);
	if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) {
		now->tv_sec += (time_t)(skipped_ms / 1000);
		now->tv_nsec += (long)(skipped_ms % 1000) * 1000000;
		now->tv_sec += now->tv_nsec / 1000000000;
		now->tv_nsec %= 1000000000;
	}
	/* Makes every file a second old: one that was just written is not compressed. */
	if (clock == CLOCK_REALTIME)
		now->tv_sec++;
	return result;
}

uint64_t script_skipped_ms(void)
{
	return skipped_ms;
}

void script_set_deadline(uint64_t limit_ms)
{
	deadline_ms = limit_ms;
}

/* ---------------------------------------------------------------- the files */

static struct event_base *base;
static struct pipit_server *server;
static struct pipit_site *site;
static unsigned port;
static char root[64], small_file[80], large_file[80], log_file[80];
static off_t log_read;
static struct client client;
static char complaint[1024];

static const char *complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *complain(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(complaint, sizeof complaint, format, arguments);
	va_end(arguments);
	return complaint;
}

static void write_file(const char *name, size_t length, const char *text)
{
	FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	if (text)
		fputs(text, file);
	else
		ck_assert_uint_eq(fwrite(routes_pattern(), 1, length, file), length);
	ck_assert_int_eq(fclose(file), 0);
}

/* A file that compresses. */
static void write_text(const char *name)
{
	char path[96];
	FILE *file;
	snprintf(path, sizeof path, "%s/%s", root, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 1000; i++)
		fprintf(file, "line %d\n", i);
	ck_assert_int_eq(fclose(file), 0);
}

void script_set_up(void)
{
	char index[96];
	snprintf(root, sizeof root, "/tmp/pipit-faults-XXXXXX");
	if (!mkdtemp(root)) {
		perror("mkdtemp");
		abort();
	}
	snprintf(index, sizeof index, "%s/index.html", root);
	snprintf(small_file, sizeof small_file, "%s/small.txt", root);
	snprintf(large_file, sizeof large_file, "%s/large.bin", root);
	snprintf(log_file, sizeof log_file, "%s/.log", root);
	write_file(index, 0, "<p>index</p>\n");
	write_file(small_file, ROUTES_SMALL_FILE_BYTES, NULL);
	write_file(large_file, ROUTES_LARGE_FILE_BYTES, NULL);
	write_file(log_file, 0, "");
	write_text("text.txt");
	log_read = 0;
}

void script_tear_down(void)
{
	static const char *const names[] = { "index.html", "small.txt", "large.bin", "text.txt", ".log" };
	char name[96];
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(name, sizeof name, "%s/%s", root, names[i]);
		unlink(name);
	}
	rmdir(root);
}

uint64_t script_step(uint64_t places)
{
	return getenv("FAULTS_EVERYWHERE") ? 1 : 1 + places / 20;
}

size_t script_descriptors(void)
{
	size_t count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Accepted sockets inherit the options of the listening one. */
static void make_sockets_small(void)
{
	int bytes = SOCKET_BYTES, segment = 1400, yes;
	socklen_t length = sizeof yes;
	for (int fd = 3; fd < 256; fd++) {
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &length) != 0 || !yes)
			continue;
		syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
		syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
		syscall(SYS_setsockopt, fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
	}
}

static bool start_server(void)
{
	struct pipit_config config;
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = 1;
	config.access_log = log_file;
	config.log_format = "json";
	config.log_level = "error";
	config.max_head_bytes = 1024;
	config.max_fields = 12;
	config.max_target_bytes = 256;
	config.max_body_bytes = 16384;
	config.head_timeout_ms = config.read_timeout_ms = config.write_timeout_ms = config.idle_timeout_ms =
	    deadline_ms;
	config.min_rate_bytes = 0;
	server = pipit_server_new(&config);
	site = pipit_site_new(root);
	return server && site && handlers_register(server, site, NULL) == 0 &&
	       routes_register(server, base, small_file, large_file, script_borrows()) == 0 &&
	       pipit_server_listen(server) == 0 && pipit_server_attach(server, base) == 0;
}

int script_start(void)
{
	struct event_config *config = event_config_new();
	bool is_started;

	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	is_started = base && start_server();
	if (is_started) {
		port = (unsigned)strtoul(strrchr(pipit_server_url(server, 0), ':') + 1, NULL, 10);
		make_sockets_small();
		client.fd = -1;
		return 0;
	}
	script_stop();
	return -1;
}

void script_stop(void)
{
	pipit_server_free(server);
	routes_clear();
	pipit_site_free(site);
	if (base)
		event_base_free(base);
	server = NULL;
	site = NULL;
	base = NULL;
}

/* ---------------------------------------------------------------- time */

static void turn(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/*
 * The kernel mostly delivers at once; a delayed acknowledgement takes longer. Short of memory it sends a FIN only with the
 * retransmission of the last bytes, after 200 ms or more: the limit is two seconds altogether.
 */
static void rest(unsigned quiet_turns)
{
	static const long moments_ns[] = { 100 * 1000, 3 * 1000 * 1000, 100 * 1000 * 1000 };
	size_t third = quiet_turns < QUIET_TURNS ? 0 : (quiet_turns - QUIET_TURNS) * 3 / SKIPS_MAX;
	const struct timespec moment = { 0, moments_ns[third < 2 ? third : 2] };
	if (quiet_turns > QUIET_TURNS + 3)
		nanosleep(&moment, NULL);
}

static void let_pass(unsigned quiet_turns)
{
	turn();
	if (quiet_turns < QUIET_TURNS)
		return;
	rest(quiet_turns);
	skipped_ms += SKIP_MS;
}

/* Runs turns until a condition holds; false when it does not although nothing happens any more. */
static bool await(bool (*condition)(void))
{
	for (unsigned i = 0; i < QUIET_TURNS + SKIPS_MAX; i++) {
		if (condition())
			return true;
		let_pass(i);
	}
	return condition();
}

static void stay(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		turn();
}

void script_settle(void)
{
	stay(QUIET_TURNS);
}

/* ---------------------------------------------------------------- the script */

#define ANSWERS_MAX 8
#define PIECES_MAX 6
#define HOST "Host: a\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X512 X64 X64 X64 X64 X64 X64 X64 X64
#define PROBLEM "{\"type\":\"about:blank\",\"title\":\""
#define WORLD "{\"message\":\"Hello, World!\"}"
#define ADA "{\"message\":\"Hello, Ada!\"}"

enum manner {
	STAYS = 0,    /* on the connection of the previous step, if open */
	COMES = 1,    /* on a new connection */
	GOES = 2,     /* closes with a FIN at its end */
	BREAKS = 4,   /* closes with a reset at its end */
	CLOSED = 8,   /* the server closes after the response */
	DAWDLES = 16, /* starts to read late */
	RESTS = 32    /* more than a second passes before the request */
};

struct step {
	const char *name;
	enum manner manner;
	const char *pieces[PIECES_MAX]; /* sent separately, with turns in between */
	struct answer answers[ANSWERS_MAX];
};

/* clang-format off */
static const struct step steps[] = {
	{ "GET", COMES, { GET("/hello/get") }, { { 200, .begins = WORLD } } },
	{ "GET with a query", STAYS, { GET("/hello/get?name=Ada") }, { { 200, .begins = ADA } } },
	{ "HEAD", STAYS, { "HEAD /hello/get HTTP/1.1\r\n" HOST "\r\n" },
	    { { 200, .field = "Content-Length: 27\r\n", .to_head = true } } },
	{ "parameters, a field and a query", STAYS,
	    { "GET /show/a%20b/c/d?v=1%262 HTTP/1.1\r\n" HOST "X-Mark: here\r\n\r\n" },
	    { { 200, .begins = "name=a b rest=c/d mark=here query=v=1%262 v=1&2 path=/show/a%20b/c/d" } } },
	{ "POST of a form, whole", STAYS,
	    { "POST /hello/post HTTP/1.1\r\n" HOST "Content-Type: application/x-www-form-urlencoded\r\n"
	      "Content-Length: 8\r\n\r\nname=Ada" },
	    { { 200, .begins = "{\"message\":\"Hello, Ada!\",\"received\":\"form\",\"bytes\":8}" } } },
	{ "POST of text in pieces", STAYS,
	    { "POST /hello/post HTT", "P/1.1\r\n" HOST "Content-Type: text/plain\r\nContent-Le", "ngth: 7\r\n\r\nGra", "ce", " H" },
	    { { 200, .begins = "{\"message\":\"Hello, Grace H!\",\"received\":\"text\",\"bytes\":7}" } } },
	{ "POST of JSON in chunks", STAYS,
	    { "POST /hello/post HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
	      "5\r\n{\"nam\r\n8;x=y\r\ne\":\"Ad", "a\"\r\n1", "\r\n}\r\n0\r\n", "Trailer: t\r\n\r\n" },
	    { { 200, .begins = "{\"message\":\"Hello, Ada!\",\"received\":\"json\",\"bytes\":14}" } } },
	{ "POST of a longer content in chunks", STAYS,
	    { "POST /evhttp HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n200\r\n" X512 "\r\n",
	      "800\r\n" X512 X512 X512 X512 "\r\n", "c00\r\n" X512 X512 X512 X512, X512 X512 "\r\n", "0\r\n\r\n" },
	    { { 200, .begins = "evhttp /evhttp - " X64 } } },
	{ "100-continue", STAYS,
	    { "POST /json/echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 9\r\n"
	      "Expect: 100-continue\r\n\r\n", "[1,", "2,3.5]" },
	    { { 200, .begins = "[1,2,3.5]", .interim = true } } },
	{ "JSON", STAYS,
	    { "POST /json/echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 69\r\n\r\n"
	      "{\"a\":[true,false,null,{\"b\":\"\\u00e9\\n\"}],\"c\":{\"d\":1e3},\"e\":\"f\",\"g\":[]}" },
	    { { 200, .begins = "{\"a\":[true,false,null,{\"b\":\"\xc3\xa9\\n\"}],\"c\":{\"d\":1000},\"e\":\"f\",\"g\":[]}" } } },
	{ "JSON with a long number", STAYS,
	    { "POST /json/echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 68\r\n\r\n"
	      "[1.0000000000000000000000000000000000000000000000000000000000000000]" },
	    { { 200, .begins = "[1]" } } },
	{ "JSON that is not", STAYS,
	    { "POST /json/echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 3\r\n\r\n[1," },
	    { { 400, .begins = PROBLEM "Bad Request\"", .more = true } } },
	{ "content that is not JSON", STAYS,
	    { "POST /json/echo HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n1" },
	    { { 415, .begins = PROBLEM, .more = true } } },
	{ "a sum", STAYS,
	    { "POST /sum HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n[1,2,3,4]" },
	    { { 200, .field = "X-Sum: yes\r\n", .begins = "sum=10" } } },
	{ "a file's name that is not there", STAYS, { GET("/no/such/file") }, { { 404, .begins = PROBLEM, .more = true } } },
	{ "a method that is not there", STAYS, { "DELETE /hello/get HTTP/1.1\r\n" HOST "\r\n" },
	    { { 405, .field = "Allow: GET, HEAD", .begins = PROBLEM, .more = true } } },
	{ "OPTIONS", STAYS, { "OPTIONS /hello/post HTTP/1.1\r\n" HOST "\r\n" }, { { 204, .field = "Allow: POST", .begins = "" } } },
	{ "a file by its handler's site", STAYS, { GET("/small.txt") },
	    { { 200, .field = "Last-Modified: ", .big = ROUTES_SMALL_FILE_BYTES } } },
	{ "the index", STAYS, { GET("/") }, { { 200, .begins = "<p>index</p>\n" } } },
	{ "HEAD of a file", STAYS, { "HEAD /small.txt HTTP/1.1\r\n" HOST "\r\n" },
	    { { 200, .field = "Content-Length: 1000\r\n", .to_head = true } } },
	{ "a file that is not newer", STAYS,
	    { "GET /small.txt HTTP/1.1\r\n" HOST "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n" },
	    { { 304, .begins = "" } } },
	{ "a file in the client's state", STAYS,
	    { "GET /small.txt HTTP/1.1\r\n" HOST "If-Match: \"x\"\r\n\r\n" }, { { 412, .begins = PROBLEM, .more = true } } },
	{ "a range", STAYS, { "GET /small.txt HTTP/1.1\r\n" HOST "Range: bytes=0-99\r\n\r\n" },
	    { { 206, .field = "Content-Range: bytes 0-99/1000\r\n", .big = 100 } } },
	{ "a range behind the end", STAYS, { "GET /small.txt HTTP/1.1\r\n" HOST "Range: bytes=1000-\r\n\r\n" },
	    { { 416, .field = "Content-Range: bytes */1000\r\n", .begins = PROBLEM, .more = true } } },
	{ "ranges of a small file", STAYS, { "GET /small.txt HTTP/1.1\r\n" HOST "Range: bytes=0-99, 200-299\r\n\r\n" },
	    { { 206, .field = "multipart/byteranges", .begins = "--", .ends = "--\r\n" } } },
	{ "ranges of a large file", STAYS | DAWDLES,
	    { "GET /large.bin HTTP/1.1\r\n" HOST "Range: bytes=0-99999, 100001-150000, -1\r\n\r\n" },
	    { { 206, .field = "multipart/byteranges", .begins = "--", .ends = "--\r\n" } } },
	{ "a file that is compressed, or not", STAYS, { "GET /text.txt HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n" },
	    { { 200, .field = "Vary: Accept-Encoding\r\n", .more = true } } },
	{ "a small file of a handler", STAYS, { GET("/file/small") }, { { 200, .big = ROUTES_SMALL_FILE_BYTES } } },
	{ "a large file of a handler", STAYS | DAWDLES, { GET("/file/large") }, { { 200, .big = ROUTES_LARGE_FILE_BYTES } } },
	{ "a large file", STAYS, { GET("/large.bin") }, { { 200, .big = ROUTES_LARGE_FILE_BYTES } } },
	{ "a large file again", STAYS | DAWDLES, { GET("/large.bin") }, { { 200, .big = ROUTES_LARGE_FILE_BYTES } } },
	{ "a large file a second later", STAYS | RESTS, { GET("/large.bin") }, { { 200, .big = ROUTES_LARGE_FILE_BYTES } } },
	{ "a small file a second later", STAYS, { GET("/small.txt") GET("/small.txt") },
	    { { 200, .big = ROUTES_SMALL_FILE_BYTES }, { 200, .big = ROUTES_SMALL_FILE_BYTES } } },
	{ "a large reply", STAYS | DAWDLES, { GET("/big") }, { { 200, .big = ROUTES_BIG_BYTES } } },
	{ "a large reply and a request behind it", STAYS | DAWDLES, { GET("/big") GET("/hello/get") },
	    { { 200, .big = ROUTES_BIG_BYTES }, { 200, .begins = WORLD } } },
	{ "metrics", STAYS, { GET("/metrics") }, { { 200, .begins = "# ", .ends = "\n" } } },
	{ "metrics for OpenMetrics", STAYS,
	    { "GET /metrics HTTP/1.1\r\n" HOST "Accept: application/openmetrics-text; version=1.0.0\r\n\r\n" },
	    { { 200, .field = "application/openmetrics-text", .begins = "# ", .ends = "# EOF\n" } } },
	{ "health", STAYS, { GET("/healthz") GET("/readyz") },
	    { { 200, .begins = "{\"status\":\"ok\"}" }, { 200, .begins = "{\"status\":\"ready\"}" } } },
	{ "the routes' description", STAYS, { GET("/openapi.json") },
	    { { 200, .field = "ETag: \"", .begins = "{\"openapi\":\"3.1.0\"", .more = true } } },
	{ "a deferred reply", STAYS, { "POST /later HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nyes" },
	    { { 200, .begins = "later yes" } } },
	{ "a deferred reply, its content in pieces", STAYS, { "POST /later HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\ny", "es" },
	    { { 200, .begins = "later yes" } } },
	{ "a posted reply", STAYS, { "POST /posted HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nyes" },
	    { { 200, .begins = "posted yes" } } },
	{ "a stream of events", STAYS, { GET("/stream") },
	    { { 200, .begins = "retry: 2000\n\nevent: one\ndata: 1\n\nid: ", .ends = "\nevent: two\ndata: 2\n\n" } } },
	{ "a stream of events and a request behind it", STAYS, { GET("/stream") GET("/hello/get") },
	    { { 200, .begins = "retry: 2000\n\nevent: one\ndata: 1\n\nid: ", .ends = "\nevent: two\ndata: 2\n\n" },
	      { 200, .begins = WORLD } } },
	{ "HEAD of a stream", STAYS, { "HEAD /events HTTP/1.1\r\n" HOST "\r\n" },
	    { { 200, .field = "Transfer-Encoding: chunked\r\n", .to_head = true } } },
	{ "an evhttp callback", STAYS,
	    { "POST /evhttp?q HTTP/1.1\r\n" HOST "X-Mark: here\r\nContent-Length: 4\r\n\r\nbo", "dy" },
	    { { 200, .begins = "evhttp /evhttp?q here body" } } },
	{ "HEAD of an evhttp callback", STAYS, { "HEAD /evhttp HTTP/1.1\r\n" HOST "\r\n" }, { { 200, .to_head = true } } },
	{ "an evhttp reply in chunks", STAYS, { GET("/evhttp/chunked") }, { { 200, .begins = "one,two,three" } } },
	{ "a deferred evhttp reply", STAYS, { GET("/evhttp/later") }, { { 200, .begins = "evhttp later" } } },
	{ "a large evhttp reply", STAYS | DAWDLES, { GET("/evhttp/big") }, { { 200, .big = ROUTES_BIG_BYTES } } },
	{ "an evhttp reply with a file", STAYS | DAWDLES, { GET("/evhttp/file") }, { { 200, .big = ROUTES_LARGE_FILE_BYTES } } },
	{ "eight at once", STAYS,
	    { GET("/hello/get") GET("/hello/get?name=Ada") GET("/evhttp") GET("/healthz")
	      "POST /json/echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]"
	      GET("/small.txt") "POST /later HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nyes" GET("/hello/get") },
	    { { 200, .begins = WORLD }, { 200, .begins = ADA }, { 200, .begins = "evhttp /evhttp - " },
	      { 200, .begins = "{\"status\":\"ok\"}" }, { 200, .begins = "[1]" }, { 200, .big = ROUTES_SMALL_FILE_BYTES },
	      { 200, .begins = "later yes" }, { 200, .begins = WORLD } } },
	{ "the last of a connection", STAYS | CLOSED, { "GET /hello/get HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" },
	    { { 200, .field = "Connection: close\r\n", .begins = WORLD } } },
	{ "the last, evhttp", COMES | CLOSED, { "GET /evhttp HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" },
	    { { 200, .begins = "evhttp /evhttp - " } } },
	{ "HTTP/1.0", COMES | CLOSED, { "GET /hello/get HTTP/1.0\r\n\r\n" }, { { 200, .begins = WORLD } } },
	{ "no Host", COMES | CLOSED, { "GET / HTTP/1.1\r\n\r\n" }, { { 400, .begins = PROBLEM, .more = true } } },
	{ "too large a content", COMES | CLOSED,
	    { "POST /json/echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n", X64 },
	    { { 413, .begins = PROBLEM, .more = true } } },
	{ "another expectation", COMES | CLOSED, { "GET / HTTP/1.1\r\n" HOST "Expect: luck\r\n\r\n" },
	    { { 417, .begins = PROBLEM, .more = true } } },
	{ "too large a head", COMES | CLOSED, { "GET / HTTP/1.1\r\n" HOST "X: " X512 X512 "\r\n\r\n" },
	    { { 431, .begins = PROBLEM, .more = true } } },
	{ "too long a target", COMES | CLOSED, { GET("/" X64 X64 X64 X64) }, { { 414, .begins = PROBLEM, .more = true } } },
	{ "an unknown method", COMES | CLOSED, { "BREW / HTTP/1.1\r\n" HOST "\r\n" }, { { 501, .begins = PROBLEM, .more = true } } },
	{ "a stream of events, from history", COMES,
	    { "GET /stream HTTP/1.1\r\n" HOST "Last-Event-ID: other\r\n\r\n" },
	    { { 200, .begins = "retry: 2000\n\n", .ends = "\nevent: two\ndata: 2\n\n" } } },
	/* An HTTP/1.0 client cannot detect the end of a streamed body. */
	{ "a stream of events in HTTP/1.0", COMES | CLOSED, { "GET /stream HTTP/1.0\r\n\r\n" }, { { 200, .more = true } } },
	{ "leaves a stream", COMES | GOES, { GET("/events") }, { { 0 } } },
	{ "breaks off in a stream", COMES | BREAKS | RESTS, { GET("/events") }, { { 0 } } },
	{ "leaves in a head", COMES | GOES, { "GET / HT" }, { { 0 } } },
	{ "breaks off in a content", COMES | BREAKS, { "POST /later HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\ny" }, { { 0 } } },
	{ "leaves before a deferred reply", COMES | GOES, { "POST /later HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nyes" }, { { 0 } } },
	{ "leaves before a deferred evhttp reply", COMES | BREAKS, { GET("/evhttp/later") }, { { 0 } } },
	{ "breaks off in a large reply", COMES | BREAKS | DAWDLES, { GET("/big") }, { { 0 } } },
	{ "leaves in a large file", COMES | GOES | DAWDLES, { GET("/large.bin") }, { { 0 } } },
	{ "breaks off in a large evhttp reply", COMES | BREAKS | DAWDLES, { GET("/evhttp/big") }, { { 0 } } },
};
/* clang-format on */

/* ---------------------------------------------------------------- running the script */

/* Received responses of this step, from the client's buffer. */
struct hearing {
	size_t at;    /* bytes of earlier responses */
	size_t index; /* of the expected response */
	size_t count;
	enum verdict verdict; /* of the response at `index` */
	bool was_refused;     /* one of them, complete */
};

static bool asks_evhttp(const struct step *step)
{
	return strstr(step->pieces[0], " /evhttp") || strstr(step->pieces[0], " /hello/");
}

static struct hearing hear(const struct step *step)
{
	struct hearing hearing = { .verdict = VERDICT_RIGHT };
	while (hearing.count < ANSWERS_MAX && step->answers[hearing.count].status)
		hearing.count++;
	while (hearing.index < hearing.count) {
		hearing.verdict = client_judge(&client, &step->answers[hearing.index], asks_evhttp(step), &hearing.at);
		if (hearing.verdict != VERDICT_RIGHT && hearing.verdict != VERDICT_REFUSED)
			break;
		hearing.was_refused |= hearing.verdict == VERDICT_REFUSED;
		hearing.index++;
	}
	return hearing;
}

static bool is_settled(const struct step *step)
{
	struct hearing hearing = hear(step);
	if (client.is_over || hearing.verdict == VERDICT_WRONG)
		return true;
	return hearing.index == hearing.count && !(step->manner & CLOSED);
}

/* Sends as much as the server accepts. */
static void say(const struct step *step)
{
	for (size_t i = 0; i < PIECES_MAX && step->pieces[i]; i++) {
		const char *at = step->pieces[i], *end = at + strlen(at);
		for (unsigned attempts = 0; at < end && attempts < QUIET_TURNS + SKIPS_MAX; attempts++) {
			ssize_t taken = client_say(&client, at, (size_t)(end - at));
			if (taken < 0)
				return;
			at += taken;
			let_pass(attempts);
		}
		stay(2);
	}
}

/* True when all responses are complete, or the connection ended. */
static bool hear_out(const struct step *step)
{
	for (unsigned quiet = 0; quiet < QUIET_TURNS + SKIPS_MAX; quiet++) {
		if (client_listen(&client)) {
			quiet = 0;
			/* Judging a long response again after each piece would take longer than everything else. */
			if (!client.is_over && client.length > 16384) {
				turn();
				continue;
			}
		}
		if (quiet != 1 && is_settled(step))
			return true;
		let_pass(quiet);
	}
	return false;
}

static const char *describe(const struct step *step, const struct hearing *hearing, const char *what)
{
	size_t left = client.length - hearing->at;
	return complain("step \"%s\", answer %zu: %s; from there on: \"%.*s\"%s", step->name, hearing->index + 1, what,
	    left < 300 ? (int)left : 300, client.heard + hearing->at, client.is_over ? " (closed)" : "");
}

static const char *judge(const struct step *step, enum script_rule rule)
{
	struct hearing hearing = hear(step);
	if (hearing.verdict == VERDICT_WRONG)
		return describe(step, &hearing, "a wrong one");
	if (rule == SCRIPT_EXACTLY && (hearing.index < hearing.count || hearing.was_refused))
		return describe(step, &hearing, "not the right one");
	if (hearing.index == hearing.count && client.length > hearing.at)
		return describe(step, &hearing, "more than was asked for");
	return NULL;
}

bool script_borrows(void)
{
	return getenv("PIPIT_FAULTS_BORROWED") != NULL;
}

static const char *take_step(const struct step *step, enum script_rule rule)
{
	const char *wrong = NULL;

	if (step->manner & COMES || client.fd < 0 || client.is_over) {
		client_leave(&client, false);
		if (!client_connect(&client, port))
			return complain("step \"%s\": cannot connect", step->name);
	}
	client.length = 0;
	if (step->manner & RESTS)
		skipped_ms += REST_MS;
	say(step);
	if (step->manner & DAWDLES)
		stay(4);
	if (step->answers[0].status) {
		if (!hear_out(step)) {
			struct hearing hearing = hear(step);
			wrong = describe(step, &hearing, "waits in vain");
		}
		wrong = wrong ? wrong : judge(step, rule);
	}
	if (wrong || client.is_over || step->manner & (GOES | BREAKS)) {
		client_leave(&client, step->manner & BREAKS);
		stay(2);
	}
	return wrong;
}

static bool is_empty(void)
{
	return pipit_server_connections(server) == 0 && routes_pending() == 0;
}

static const char *leave(void)
{
	client_leave(&client, false);
	if (await(is_empty))
		return NULL;
	return complain("all clients have left: %llu connections and %zu requests of handlers stay",
	    (unsigned long long)pipit_server_connections(server), routes_pending());
}

const char *script_run(enum script_rule rule)
{
	static char first[sizeof complaint];
	const char *wrong = NULL;
	for (size_t i = 0; !wrong && i < COUNT(steps); i++)
		wrong = take_step(&steps[i], rule);
	if (!wrong)
		return leave();
	/* After a failure, leftovers are expected and are not the first error. */
	snprintf(first, sizeof first, "%s", wrong);
	leave();
	return first;
}

const char *script_probe(void)
{
	static const struct step probe = { "the next request", COMES, { GET("/show/a/b?v=1") },
		{ { 503, .begins = PROBLEM, .more = true } } };
	static const struct step right = { "the next request", COMES, { GET("/hello/get") },
		{ { 200, .begins = WORLD } } };
	const char *wrong = take_step(&probe, SCRIPT_EXACTLY);
	if (!wrong)
		wrong = take_step(&right, SCRIPT_EXACTLY);
	if (!wrong)
		return leave();
	client_leave(&client, false);
	return wrong;
}

/* ---------------------------------------------------------------- the log */

const char *script_check_log(void)
{
	static char lines[256 * 1024];
	FILE *file = fopen(log_file, "r");
	const char *wrong = NULL;

	if (!file)
		return complain("the access log has gone");
	fseeko(file, log_read, SEEK_SET);
	while (!wrong && fgets(lines, sizeof lines, file)) {
		size_t length = strlen(lines);
		if (length < 3 || lines[0] != '{' || strcmp(lines + length - 2, "}\n") != 0)
			wrong = complain("a torn line in the access log: %.300s", lines);
	}
	log_read = ftello(file);
	fclose(file);
	return wrong;
}
