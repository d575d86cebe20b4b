/* SPDX-License-Identifier: MIT */
/* Every URI of the daemon, requested by libcurl, and by raw sockets where the bytes on the wire matter. */
#include "daemon.h"
#include "suite.h"
#include "wire.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BIG_FILE_BYTES (20 * 1024 * 1024)

/* Every test ends here: under sanitizers a daemon with a report does not exit with 0. */
static void stop(struct daemon *daemon)
{
	ck_assert_int_eq(daemon_stop(daemon), 0);
}

/* --- requests by libcurl ------------------------------------------------------------------------------------------ */

struct question {
	const char *method; /* NULL: GET, or POST with a body */
	const char *path;
	const char *fields[4]; /* "Name: value" */
	const char *content;   /* NULL: none */
	size_t length;         /* of the body; 0: up to its NUL */
	bool chunked;          /* send a chunked body */
};

struct source {
	const char *bytes;
	size_t left;
};

static size_t capacity_for(size_t length)
{
	size_t capacity = 1024;
	while (capacity <= length)
		capacity *= 2;
	return capacity;
}

/* Doubles the buffer: a big file arrives in thousands of pieces. */
static void append(char **text, size_t *length, const char *bytes, size_t count)
{
	size_t capacity = capacity_for(*length + count);
	if (*length == 0 || capacity != capacity_for(*length)) {
		*text = realloc(*text, capacity);
		ck_assert_ptr_nonnull(*text);
	}
	memcpy(*text + *length, bytes, count);
	*length += count;
	(*text)[*length] = '\0';
}

static size_t take_head_line(char *bytes, size_t size, size_t count, void *arg)
{
	struct wire_response *response = arg;
	size_t length = response->head ? strlen(response->head) : 0;
	/* Each interim response has a head of its own; the last one counts. */
	if (size * count > 5 && strncmp(bytes, "HTTP/", 5) == 0)
		length = 0;
	if (size * count > 2)
		append(&response->head, &length, bytes, size * count);
	return size * count;
}

static size_t take_content(char *bytes, size_t size, size_t count, void *arg)
{
	struct wire_response *response = arg;
	append(&response->content, &response->length, bytes, size * count);
	return size * count;
}

static size_t give_content(char *bytes, size_t size, size_t count, void *arg)
{
	struct source *source = arg;
	size_t length = size * count < source->left ? size * count : source->left;
	memcpy(bytes, source->bytes, length);
	source->bytes += length;
	source->left -= length;
	return length;
}

static struct curl_slist *list_fields(const struct question *question)
{
	struct curl_slist *list = NULL;
	for (size_t i = 0; i < sizeof question->fields / sizeof *question->fields && question->fields[i]; i++)
		list = curl_slist_append(list, question->fields[i]);
	if (question->chunked)
		list = curl_slist_append(list, "Transfer-Encoding: chunked");
	return list;
}

static void set_content(CURL *curl, const struct question *question, struct source *source)
{
	if (!question->content)
		return;
	*source = (struct source){ question->content, question->length ? question->length : strlen(question->content) };
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_content);
	curl_easy_setopt(curl, CURLOPT_READDATA, source);
	if (!question->chunked)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)source->left);
}

static struct wire_response ask(const struct daemon *daemon, struct question question)
{
	struct wire_response response = { .content = calloc(1, 1) };
	struct curl_slist *fields = list_fields(&question);
	struct source source;
	CURL *curl = curl_easy_init();
	char url[1024];
	long status = 0;

	snprintf(
	    url, sizeof url, "%s://127.0.0.1:%u%s", getenv("WIRE_TLS") ? "https" : "http", daemon->port, question.path);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)PATIENCE_MS);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_head_line);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &response);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_content);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response);
	set_content(curl, &question, &source);
	if (question.method && strcmp(question.method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else if (question.method)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, question.method);
	response.is_complete = curl_easy_perform(curl) == CURLE_OK;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	response.status = (int)status;
	curl_slist_free_all(fields);
	curl_easy_cleanup(curl);
	curl_global_cleanup();
	ck_assert_msg(response.is_complete && response.head, "%s: no whole answer", question.path);
	return response;
}

/* --- what an answer has to look like ------------------------------------------------------------------------------ */

static void assert_field(const struct wire_response *response, const char *name, const char *expected)
{
	const char *value = wire_field(response, name);
	ck_assert_msg(value != NULL, "no field %s in:\n%s", name, response->head);
	ck_assert_str_eq(value, expected);
}

static void assert_no_field(const struct wire_response *response, const char *name)
{
	ck_assert_msg(wire_field(response, name) == NULL, "a field %s in:\n%s", name, response->head);
}

/* The string at `key` of the response's JSON object must be `expected`. */
static void assert_json_text(const struct wire_response *response, const char *key, const char *expected)
{
	cJSON *doc = cJSON_ParseWithLength(response->content, response->length);
	ck_assert_msg(doc != NULL, "not JSON: %s", response->content);
	ck_assert_ptr_nonnull(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, key)));
	ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, key)), expected);
	cJSON_Delete(doc);
}

static void assert_json_number(const struct wire_response *response, const char *key, double expected)
{
	cJSON *doc = cJSON_ParseWithLength(response->content, response->length);
	ck_assert_msg(doc != NULL, "not JSON: %s", response->content);
	ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(doc, key)), expected);
	cJSON_Delete(doc);
}

/* RFC 9457: the members agree with the status line. */
static void assert_problem(const struct wire_response *response, int status)
{
	ck_assert_int_eq(response->status, status);
	assert_field(response, "Content-Type", "application/problem+json");
	assert_json_text(response, "type", "about:blank");
	assert_json_number(response, "status", status);
}

/* Sends the request and expects a problem document with that status. */
static void assert_refused(const struct daemon *daemon, struct question question, int status)
{
	struct wire_response response = ask(daemon, question);
	assert_problem(&response, status);
	wire_free(&response);
}

/* Reads the next response and checks status and body. */
static void assert_next(int fd, int status, const char *content)
{
	struct wire_response response = wire_read(fd, false);
	ck_assert_int_eq(response.status, status);
	ck_assert(response.is_complete);
	ck_assert_str_eq(response.content, content);
	wire_free(&response);
}

/* --- a site ------------------------------------------------------------------------------------------------------- */

struct site {
	char top[64]; /* has a secret file beside the root */
	char root[80];
	char big[96];
};

/* An hour old: a file of this second is newer than a clock that is a tick late. */
static void write_file(const char *directory, const char *name, const char *content)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - 3600 }, { .tv_sec = time(NULL) - 3600 } };
	char path[160];
	FILE *file;
	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(content, file);
	fclose(file);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static struct site make_site(void)
{
	struct site site = { .top = "/tmp/pipit-test-site-XXXXXX" };
	char path[128];
	ck_assert_ptr_nonnull(mkdtemp(site.top));
	snprintf(site.root, sizeof site.root, "%s/root", site.top);
	snprintf(site.big, sizeof site.big, "%s/big.bin", site.root);
	snprintf(path, sizeof path, "%s/docs", site.root);
	ck_assert_int_eq(mkdir(site.root, 0755), 0);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	write_file(site.top, "secret.txt", "SECRET");
	write_file(site.root, "page.html", "<p>page</p>");
	write_file(site.root, ".hidden", "SECRET");
	write_file(site.root, "docs/index.html", "<p>docs</p>");
	snprintf(path, sizeof path, "%s/link", site.root);
	ck_assert_int_eq(symlink("../secret.txt", path), 0);
	return site;
}

static void remove_site(const struct site *site)
{
	static const char *const names[] = { "root/link", "root/big.bin", "root/docs/index.html", "root/.hidden",
		"root/page.html", "secret.txt", "root/docs", "root", "" };
	char path[160];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", site->top, names[i]);
		remove(path);
	}
}

/*
 * Content without repetition at powers of two: a block that is sent twice or out of order is detected. Returns a malloc'd copy.
 */
static char *make_big_file(const struct site *site)
{
	unsigned *words = malloc(BIG_FILE_BYTES);
	FILE *file = fopen(site->big, "w");
	ck_assert_ptr_nonnull(words);
	ck_assert_ptr_nonnull(file);
	for (unsigned i = 0; i < BIG_FILE_BYTES / sizeof *words; i++)
		words[i] = i * 2654435761u;
	ck_assert_uint_eq(fwrite(words, 1, BIG_FILE_BYTES, file), BIG_FILE_BYTES);
	fclose(file);
	return (char *)words;
}

static struct daemon start_with(const struct site *site)
{
	return daemon_start((const char *const[]){ "--root", site->root, NULL });
}

/* --- /hello/get --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *path, *message;
} greetings[] = {
	{ "/hello/get", "Hello, World!" },
	{ "/hello/get?", "Hello, World!" },
	{ "/hello/get?name=", "Hello, World!" },
	{ "/hello/get?name", "Hello, World!" },
	{ "/hello/get?other=x", "Hello, World!" },
	{ "/hello/get?name=Ada", "Hello, Ada!" },
	{ "/hello/get?a=b&name=Ada&name=Bob", "Hello, Ada!" },
	{ "/hello/get?name=Ada+Lovelace", "Hello, Ada Lovelace!" },
	{ "/hello/get?name=1%2B1%20%26%20%22x%22%5C", "Hello, 1+1 & \"x\"\\!" },
	{ "/hello/get?n%61me=%41da", "Hello, Ada!" },
	{ "/hello/get?name=J%C3%BCrgen%20%F0%9F%98%80", "Hello, J\xc3\xbcrgen \xf0\x9f\x98\x80!" },
	{ "/hello/get?name=%0A%01", "Hello, \n\x01!" },
};

START_TEST(greets_by_name)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response = ask(&daemon, (struct question){ .path = greetings[_i].path });
	ck_assert_int_eq(response.status, 200);
	assert_field(&response, "Content-Type", "application/json");
	assert_json_text(&response, "message", greetings[_i].message);
	wire_free(&response);
	stop(&daemon);
}
END_TEST

START_TEST(greets_a_name_of_256_bytes_and_refuses_a_longer_one)
{
	struct daemon daemon = daemon_start(NULL);
	char name[257] = "", path[512], message[512];
	struct wire_response response;
	memset(name, 'x', sizeof name - 1);
	snprintf(path, sizeof path, "/hello/get?name=%s", name);
	snprintf(message, sizeof message, "Hello, %s!", name);
	response = ask(&daemon, (struct question){ .path = path });
	ck_assert_int_eq(response.status, 200);
	assert_json_text(&response, "message", message);
	wire_free(&response);
	strcat(path, "x");
	assert_refused(&daemon, (struct question){ .path = path }, 400);
	stop(&daemon);
}
END_TEST

static const char *const names_that_are_no_text[] = {
	"%FF",
	"%C3",
	"%C0%AF",
	"%ED%A0%80",
	"%F4%90%80%80",
	"ok%80",
};

START_TEST(refuses_a_name_that_is_not_utf8)
{
	struct daemon daemon = daemon_start(NULL);
	char path[128];
	snprintf(path, sizeof path, "/hello/get?name=%s", names_that_are_no_text[_i]);
	assert_refused(&daemon, (struct question){ .path = path }, 400);
	stop(&daemon);
}
END_TEST

static const char *const paths_with_heads[] = { "/hello/get", "/healthz", "/readyz", "/index.html", "/", "/style.css",
	"/no/such/file", "/hello/post" };

/* The headers of GET and HEAD, except for the Date between them. */
static void assert_same_fields(const struct wire_response *get, const struct wire_response *head)
{
	const char *date = strstr(get->head, "\r\nDate: ");
	size_t before = (size_t)(date - get->head), length = strlen("\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT");
	ck_assert_ptr_nonnull(date);
	ck_assert_uint_eq(strlen(get->head), strlen(head->head));
	ck_assert_mem_eq(get->head, head->head, before);
	ck_assert_str_eq(get->head + before + length, head->head + before + length);
}

START_TEST(answers_head_with_the_headers_of_get_and_no_body)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	struct wire_response get = wire_ask(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths_with_heads[_i]);
	struct wire_response head = wire_ask(fd, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", paths_with_heads[_i]);
	assert_same_fields(&get, &head);
	wire_free(&get);
	wire_free(&head);
	/* A body after the HEAD would be parsed as the head of this response. */
	wire_print(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_next(fd, 200, "{\"status\":\"ok\"}");
	close(fd);
	stop(&daemon);
}
END_TEST

/* --- /hello/post -------------------------------------------------------------------------------------------------- */

static const struct {
	const char *type, *content, *message, *received;
} posts[] = {
	{ "application/json", "{\"name\":\"Ada\"}", "Hello, Ada!", "json" },
	{ "application/json; charset=utf-8", " { \"name\" : \"J\\u00fcrgen\" } ", "Hello, J\xc3\xbcrgen!", "json" },
	{ "Application/Vnd.Example+JSON", "{\"name\":\"\\\"\\ud83d\\ude00\"}", "Hello, \"\xf0\x9f\x98\x80!", "json" },
	{ "application/json", "{}", "Hello, World!", "json" },
	{ "application/json", "{\"NAME\":\"x\",\"name\":\"\"}", "Hello, World!", "json" },
	{ "application/x-www-form-urlencoded", "a=b&name=Ada+Lovelace%21", "Hello, Ada Lovelace!!", "form" },
	{ "application/x-www-form-urlencoded", "a=b", "Hello, World!", "form" },
	{ "text/plain", "Ada", "Hello, Ada!", "text" },
	{ "text/plain; charset=utf-8", "Ada\r\n", "Hello, Ada!", "text" },
	{ "text/plain", "\n", "Hello, World!", "text" },
};

START_TEST(greets_the_name_of_a_post)
{
	struct daemon daemon = daemon_start(NULL);
	char type[96];
	struct wire_response response;
	snprintf(type, sizeof type, "Content-Type: %s", posts[_i].type);
	response =
	    ask(&daemon, (struct question){ .path = "/hello/post", .fields = { type }, .content = posts[_i].content });
	ck_assert_int_eq(response.status, 200);
	assert_json_text(&response, "message", posts[_i].message);
	assert_json_text(&response, "received", posts[_i].received);
	assert_json_number(&response, "bytes", (double)strlen(posts[_i].content));
	wire_free(&response);
	stop(&daemon);
}
END_TEST

static const struct {
	const char *type, *content;
	size_t length;
	int status;
} wrong_posts[] = {
	{ "Content-Type: application/xml", "<x/>", 0, 415 },
	{ "Content-Type: application/jsonx", "{}", 0, 415 },
	{ "Content-Type: json", "{}", 0, 415 },
	/* Without a value libcurl does not send the header. */
	{ "Content-Type:", "{}", 0, 415 },
	{ "Content-Type: application/json", "{\"name\":", 0, 400 },
	{ "Content-Type: application/json", "{\"name\":\"\xff\"}", 0, 400 },
	{ "Content-Type: application/json", "{\"name\":7}", 0, 422 },
	{ "Content-Type: application/json", "{\"name\":null}", 0, 422 },
	{ "Content-Type: application/json", "[\"name\"]", 0, 422 },
	{ "Content-Type: application/json", "\"name\"", 0, 422 },
	{ "Content-Type: text/plain", "\xff", 0, 400 },
	{ "Content-Type: text/plain", "A\0B", 3, 400 },
	{ "Content-Type: application/x-www-form-urlencoded", "name=%FF", 0, 400 },
	{ "Content-Type: application/x-www-form-urlencoded", "name=A%00B", 0, 400 },
	{ "Content-Type: application/x-www-form-urlencoded", "name=A\0B", 8, 400 },
};

START_TEST(refuses_a_post_without_a_valid_name)
{
	struct daemon daemon = daemon_start(NULL);
	assert_refused(&daemon,
	    (struct question){ .path = "/hello/post",
		.fields = { wrong_posts[_i].type },
		.content = wrong_posts[_i].content,
		.length = wrong_posts[_i].length },
	    wrong_posts[_i].status);
	stop(&daemon);
}
END_TEST

static const char *const json_paths[] = { "/json/echo", "/hello/post" };

START_TEST(refuses_compressed_json)
{
	struct daemon daemon = daemon_start(NULL);
	struct question question = { .path = json_paths[_i],
		.fields = { "Content-Type: application/json", "Content-Encoding: identity", "Content-Encoding: gzip" },
		.content = "\x1f\x8b" };
	struct wire_response response = ask(&daemon, question);
	assert_problem(&response, 415);
	assert_field(&response, "Accept-Encoding", "identity");
	wire_free(&response);
	question.fields[2] = NULL;
	question.content = "{\"name\":\"Ada\"}";
	response = ask(&daemon, question);
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	stop(&daemon);
}
END_TEST

START_TEST(lists_the_accepted_types_when_the_type_is_wrong)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response =
	    ask(&daemon, (struct question){ .path = "/hello/post", .fields = { "Content-Type: a/b" }, .content = "x" });
	ck_assert_int_eq(response.status, 415);
	assert_field(&response, "Accept", "application/json, application/x-www-form-urlencoded, text/plain");
	wire_free(&response);
	stop(&daemon);
}
END_TEST

static const char *const long_posts[] = { "text/plain", "application/x-www-form-urlencoded", "application/json" };

START_TEST(refuses_to_greet_more_than_256_bytes)
{
	struct daemon daemon = daemon_start(NULL);
	char name[258] = "", content[512], type[64];
	memset(name, 'x', sizeof name - 1);
	snprintf(content, sizeof content, _i == 2 ? "{\"name\":\"%s\"}" : _i == 1 ? "name=%s" : "%s", name);
	snprintf(type, sizeof type, "Content-Type: %s", long_posts[_i]);
	assert_refused(
	    &daemon, (struct question){ .path = "/hello/post", .fields = { type }, .content = content }, 400);
	stop(&daemon);
}
END_TEST

START_TEST(gives_line_column_and_byte_of_a_json_error)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response = ask(&daemon, (struct question){ .path = "/hello/post",
							 .fields = { "Content-Type: application/json" },
							 .content = "{\n  \"name\": \"Ada\",\n  oops\n}" });
	assert_problem(&response, 400);
	ck_assert_ptr_nonnull(strstr(response.content, "line 3, column 3 (byte 21)"));
	wire_free(&response);
	stop(&daemon);
}
END_TEST

static const struct {
	const char *content, *detail, *errors;
} json_errors[] = {
	{ "{\"network\":{\n\"mtu\":x}}",
	    "Invalid JSON at line 2, column 7 (byte 19), at /network/mtu: "
	    "expected a value: the only words are true, false and null.",
	    "[{\"detail\":\"expected a value: the only words are true, false and null\","
	    "\"pointer\":\"#/network/mtu\",\"line\":2,\"column\":7,\"byte\":19}]" },
	{ "[1 2]", "Invalid JSON at line 1, column 4 (byte 3), at /0: expected ',' or ']' after an array element.",
	    "[{\"detail\":\"expected ',' or ']' after an array element\","
	    "\"pointer\":\"#/0\",\"line\":1,\"column\":4,\"byte\":3}]" },
	{ "{\"b ~/%\\\"\\n<\xc3\xa9\":[\"\\q\"]}",
	    "Invalid JSON at line 1, column 20 (byte 19), at /b ~0~1%\" <\xc3\xa9/0: "
	    "expected one of \" \\ / b f n r t u after a backslash.",
	    "[{\"detail\":\"expected one of \\\" \\\\ / b f n r t u after a backslash\","
	    "\"pointer\":\"#/b%20~0~1%25%22%0A%3C%C3%A9/0\",\"line\":1,\"column\":20,\"byte\":19}]" },
	{ "{\"a\":1,\n \"\\u0061\":2}",
	    "Invalid JSON at line 2, column 2 (byte 9), at /a: a name occurs twice in an object: expected each name "
	    "once.",
	    "[{\"detail\":\"a name occurs twice in an object: expected each name once\","
	    "\"pointer\":\"#/a\",\"line\":2,\"column\":2,\"byte\":9}]" },
};

START_TEST(gives_the_position_of_a_json_error_as_members)
{
	struct daemon daemon = daemon_start(NULL);
	struct question question = {
		.path = "/json/echo", .fields = { "Content-Type: application/json" }, .content = json_errors[_i].content
	};
	struct wire_response response = ask(&daemon, question);
	cJSON *problem = cJSON_Parse(response.content);
	char *errors = cJSON_PrintUnformatted(cJSON_GetObjectItem(problem, "errors"));

	assert_problem(&response, 400);
	assert_json_text(&response, "detail", json_errors[_i].detail);
	ck_assert_str_eq(errors, json_errors[_i].errors);
	cJSON_free(errors);
	cJSON_Delete(problem);
	wire_free(&response);

	/* A page is for browsers only. */
	question.fields[1] = "Accept: text/html";
	response = ask(&daemon, question);
	ck_assert_int_eq(response.status, 400);
	assert_field(&response, "Content-Type", "text/html; charset=utf-8");
	ck_assert_ptr_nonnull(strstr(response.content, "Invalid JSON at line"));
	ck_assert_ptr_null(strstr(response.content, "errors"));
	wire_free(&response);
	stop(&daemon);
}
END_TEST

static const struct {
	const char *fields[2];
	bool is_html;
} likes[] = {
	{ { "Accept:" }, false }, /* libcurl then sends no Accept */
	{ { "Accept: */*" }, false },
	{ { "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" }, true },
	{ { "accept: TEXT/html" }, true },
	{ { "Accept: text/html;q=0" }, false },
	{ { "Accept: application/json;q=0.1, text/html" }, true },
	{ { "Accept: text/html, application/json" }, false },
	{ { "Accept: text/html;q=0.9, application/problem+json" }, false },
	{ { "Accept: application/json;q=0.1", "Accept: text/html" }, true },
	{ { "Accept: text/html", "Accept: application/json" }, false },
};

/* From the routes, native handlers, evhttp callbacks, and files. */
static const struct {
	const char *method, *path, *content;
	int status;
} unwelcome[] = {
	{ "DELETE", "/json/hello", NULL, 405 },
	{ "GET", "/json/hello?name=%ff", NULL, 400 },
	{ "POST", "/json/echo", "{", 415 },
	{ "GET", "/hello/get?name=%ff", NULL, 400 },
	{ "POST", "/hello/post", "{", 415 },
	{ "GET", "/a/..%2f..", NULL, 400 },
	{ "GET", "/none", NULL, 404 },
};

START_TEST(replies_with_errors_in_the_format_that_the_client_prefers)
{
	struct daemon daemon = daemon_start(NULL);
	for (size_t i = 0; i < sizeof likes / sizeof *likes; i++) {
		struct wire_response response =
		    ask(&daemon, (struct question){
				     .method = unwelcome[_i].method,
				     .path = unwelcome[_i].path,
				     .content = unwelcome[_i].content,
				     .fields = { "Content-Type: unknown/type", likes[i].fields[0], likes[i].fields[1] },
				 });
		ck_assert_int_eq(response.status, unwelcome[_i].status);
		assert_field(&response, "Content-Type",
		    likes[i].is_html ? "text/html; charset=utf-8" : "application/problem+json");
		ck_assert_int_eq(response.content[0], likes[i].is_html ? '<' : '{');
		wire_free(&response);
	}
	stop(&daemon);
}
END_TEST

/* Of 250 names of two bytes. */
START_TEST(accepts_a_pointer_up_to_the_length_limit)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--max-json-depth", "500", NULL });
	char content[2048] = "";
	struct wire_response response;

	for (int i = 0; i < 250; i++)
		strcat(content, "{\"\xc3\xa9\":");
	response = ask(
	    &daemon, (struct question){
			 .path = "/json/echo", .fields = { "Content-Type: application/json" }, .content = content });
	assert_problem(&response, 400);
	ck_assert_ptr_nonnull(strstr(response.content, "/\xc3\xa9/\xc3\xa9/\xe2\x80\xa6: "));
	ck_assert_ptr_nonnull(strstr(response.content, "/%C3%A9/%C3%A9/%E2%80%A6\","));
	wire_free(&response);
	stop(&daemon);
}
END_TEST

/* --- /json/echo --------------------------------------------------------------------------------------------------- */

static const char *const documents[] = { "null", "true", "0", "-1.5", "\"\"", "\"\\\"\\\\\\n\"", "\"J\xc3\xbcrgen\"",
	"[]", "{}", "[1,[2,[3]],{\"a\":{\"b\":null}}]", "{\"a\":1,\"A\":2,\"\":[false,1e300]}" };

START_TEST(echoes_json)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response = ask(&daemon,
	    (struct question){
		.path = "/json/echo", .fields = { "Content-Type: application/json" }, .content = documents[_i] });
	cJSON *sent = cJSON_Parse(documents[_i]), *echoed = cJSON_Parse(response.content);
	ck_assert_int_eq(response.status, 200);
	assert_field(&response, "Content-Type", "application/json");
	ck_assert(cJSON_Compare(sent, echoed, true));
	cJSON_Delete(sent);
	cJSON_Delete(echoed);
	wire_free(&response);
	stop(&daemon);
}
END_TEST

/* A JSON array of `count` numbers, malloc'd. */
static char *print_array(size_t count)
{
	char *text = malloc(count * 11 + 3), *at = text;
	ck_assert_ptr_nonnull(text);
	*at++ = '[';
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s%zu", i ? "," : "", i + 1000000000);
	strcpy(at, "]");
	return text;
}

/* Larger than any buffer between the two, in both directions. */
START_TEST(echoes_a_document_of_nearly_a_megabyte)
{
	struct daemon daemon = daemon_start(NULL);
	char *text = print_array(90000);
	struct wire_response response = ask(&daemon,
	    (struct question){ .path = "/json/echo", .fields = { "Content-Type: application/json" }, .content = text });
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, text);
	free(text);
	wire_free(&response);
	stop(&daemon);
}
END_TEST

START_TEST(accepts_json_up_to_the_depth_limit)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--max-json-depth", "3", NULL });
	struct question question = {
		.path = "/json/echo", .fields = { "Content-Type: application/json" }, .content = "[[[1]]]"
	};
	struct wire_response response = ask(&daemon, question);
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	question.content = "[[[[1]]]]";
	response = ask(&daemon, question);
	assert_problem(&response, 400);
	ck_assert_ptr_nonnull(strstr(response.content, "line 1, column 4 (byte 3)"));
	wire_free(&response);
	stop(&daemon);
}
END_TEST

START_TEST(accepts_json_up_to_the_limit_of_values)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--max-json-values", "7", NULL });
	struct question question = { .path = "/json/echo",
		.fields = { "Content-Type: application/json" },
		.content = "[{\"a\":1},{\"b\":{\"c\":3}},4]" };
	struct wire_response response = ask(&daemon, question);
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	question.content = "[{\"a\":1},{\"b\":{\"c\":3}},{\"d\":4}]";
	response = ask(&daemon, question);
	assert_problem(&response, 400);
	assert_json_text(&response, "detail",
	    "Invalid JSON at line 1, column 29 (byte 28), at /2/d: too many values: expected fewer in the whole "
	    "document.");
	wire_free(&response);
	stop(&daemon);
}
END_TEST

/* Numbers that a double cannot hold exactly. */
static const char *const exact[] = { "9007199254740993", "0.1000000000000000055511151231257827", "1e-400",
	"123456789012345678901234567890", "-9007199254740993.0E+00",
	"[9007199254740993,{\"a\":[1,9007199254740992,\"9007199254740993\"],\"b\":-1e-9999999999999999999999}]" };

START_TEST(echoes_numbers_digit_by_digit)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response = ask(
	    &daemon, (struct question){
			 .path = "/json/echo", .fields = { "Content-Type: application/json" }, .content = exact[_i] });
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, exact[_i]);
	wire_free(&response);
	stop(&daemon);
}
END_TEST

START_TEST(refuses_to_echo_what_is_not_json)
{
	struct daemon daemon = daemon_start(NULL);
	struct question question = { .path = "/json/echo", .fields = { "Content-Type: text/plain" }, .content = "{}" };
	struct wire_response response = ask(&daemon, question);
	assert_problem(&response, 415);
	assert_field(&response, "Accept", "application/json");
	wire_free(&response);
	question.fields[0] = "Content-Type: application/json";
	question.content = "";
	assert_refused(&daemon, question, 400);
	stop(&daemon);
}
END_TEST

/* --- health, metrics ---------------------------------------------------------------------------------------------- */

static const struct {
	const char *path, *content;
} probes[] = {
	{ "/healthz", "{\"status\":\"ok\"}" },
	{ "/readyz", "{\"status\":\"ready\"}" },
};

START_TEST(answers_health_checks)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response = ask(&daemon, (struct question){ .path = probes[_i].path });
	ck_assert_int_eq(response.status, 200);
	assert_field(&response, "Content-Type", "application/json");
	assert_field(&response, "Cache-Control", "no-store");
	ck_assert_str_eq(response.content, probes[_i].content);
	wire_free(&response);
	stop(&daemon);
}
END_TEST

/* The daemon's own families, and the standard set of a process. */
static const struct {
	const char *name, *type;
} families[] = {
	{ "http_requests_total", "counter" },
	{ "http_request_duration_seconds", "histogram" },
	{ "http_request_size_bytes", "histogram" },
	{ "http_response_size_bytes", "histogram" },
	{ "http_connections", "gauge" },
	{ "http_connections_accepted_total", "counter" },
	{ "http_rejected_total", "counter" },
	{ "http_timeouts_total", "counter" },
	{ "event_base_events", "gauge" },
	{ "event_base_events_max", "gauge" },
	{ "event_base_info", "gauge" },
	{ "event_loop_lag_seconds", "gauge" },
	{ "event_loop_busy_seconds_total", "counter" },
	{ "process_cpu_seconds_total", "counter" },
	{ "process_open_fds", "gauge" },
	{ "process_max_fds", "gauge" },
	{ "process_virtual_memory_bytes", "gauge" },
	{ "process_resident_memory_bytes", "gauge" },
	{ "process_start_time_seconds", "gauge" },
	{ "pipit_build_info", "gauge" },
};

/* The page has the family with its type, and at least one sample of it. */
static void assert_family(const char *page, const char *name, const char *type)
{
	char line[160];
	const char *at;
	snprintf(line, sizeof line, "# TYPE %s %s\n%s", name, type, name);
	at = strstr(page, line);
	ck_assert_msg(at != NULL, "no family %s of type %s", name, type);
	ck_assert_msg(strstr(at + 1, line) == NULL, "family %s occurs twice", name);
}

static bool has_counted_hello(void *daemon)
{
	return daemon_metric(daemon, "http_requests_total{method=\"GET\",route=\"/hello/get\",code=\"200\"}") == 1;
}

START_TEST(shows_every_family_of_metrics)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response hello = ask(&daemon, (struct question){ .path = "/hello/get" });
	/* A reply of an evhttp callback is counted after it is sent. */
	bool has_counted = wire_wait(has_counted_hello, &daemon);
	struct wire_response page = ask(&daemon, (struct question){ .path = "/metrics" });
	ck_assert(has_counted);
	ck_assert_int_eq(page.status, 200);
	assert_field(&page, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
	assert_field(&page, "Cache-Control", "no-store");
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		assert_family(page.content, families[i].name, families[i].type);
	ck_assert_ptr_nonnull(
	    strstr(page.content, "\nhttp_requests_total{method=\"GET\",route=\"/hello/get\",code=\"200\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(page.content, "\npipit_build_info{version=\""));
	ck_assert_ptr_null(strstr(page.content, "# EOF"));
	wire_free(&hello);
	wire_free(&page);
	stop(&daemon);
}
END_TEST

START_TEST(sends_openmetrics_to_a_client_that_accepts_it)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response hello = ask(&daemon, (struct question){ .path = "/hello/get" });
	struct wire_response page = ask(&daemon,
	    (struct question){ .path = "/metrics",
		.fields = {
		    "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1" } });
	ck_assert_int_eq(page.status, 200);
	assert_field(&page, "Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8");
	ck_assert_ptr_nonnull(strstr(page.content, "# TYPE http_requests counter\n"));
	ck_assert_ptr_nonnull(strstr(page.content, "# TYPE pipit_build info\n"));
	ck_assert_uint_ge(page.length, 6);
	ck_assert_str_eq(page.content + page.length - 6, "# EOF\n");
	wire_free(&hello);
	wire_free(&page);
	stop(&daemon);
}
END_TEST

static const struct {
	const char *accept;
	bool openmetrics;
} tastes[] = {
	{ "Accept: */*", false },
	{ "Accept: text/html,*/*;q=0.1", false },
	{ "Accept: application/openmetrics-text", true },
	{ "Accept: Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", true },
	{ "Accept: application/*", true },
	{ "Accept: application/openmetrics-text;q=0.4,text/plain;q=0.5", false },
	{ "Accept: application/openmetrics-text;q=0", false },
	{ "Accept: application/openmetrics-text-too", false },
	{ "Accept: image/png", false },
	/* Prometheus 3. */
	{ "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
	  "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
	  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	    true },
};

START_TEST(sends_metrics_in_the_preferred_format_and_never_406)
{
	struct daemon daemon = daemon_start(NULL);
	for (size_t i = 0; i < sizeof tastes / sizeof *tastes; i++) {
		struct wire_response page =
		    ask(&daemon, (struct question){ .path = "/metrics", .fields = { tastes[i].accept } });
		ck_assert_int_eq(page.status, 200);
		ck_assert_msg(!strstr(page.content, "# EOF\n") != tastes[i].openmetrics, "%s", tastes[i].accept);
		assert_field(&page, "Content-Type",
		    tastes[i].openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
					  : "text/plain; version=0.0.4; charset=utf-8");
		wire_free(&page);
	}
	stop(&daemon);
}
END_TEST

START_TEST(counts_requests_by_method_route_and_code)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	static const char requests[] = "HEAD /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
				       "DELETE /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
				       "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
				       "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	ck_assert(wire_send(fd, requests, sizeof requests - 1));
	free(wire_read_all(fd, NULL));
	ck_assert_double_eq(
	    daemon_metric(&daemon, "http_requests_total{method=\"HEAD\",route=\"/hello/get\",code=\"200\"}"), 1);
	ck_assert_double_eq(
	    daemon_metric(&daemon, "http_requests_total{method=\"DELETE\",route=\"none\",code=\"405\"}"), 1);
	ck_assert_double_eq(
	    daemon_metric(&daemon, "http_requests_total{method=\"GET\",route=\"fallback\",code=\"404\"}"), 2);
	close(fd);
	stop(&daemon);
}
END_TEST

/* --- files -------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *path, *type, *text;
} own_pages[] = {
	{ "/", "text/html; charset=utf-8", "<title>pipit" },
	{ "/index.html", "text/html; charset=utf-8", "<title>pipit" },
	{ "/style.css", "text/css; charset=utf-8", "{" },
	{ "/%69ndex.html?query", "text/html; charset=utf-8", "<title>pipit" },
	{ "/./none/../index.html", "text/html; charset=utf-8", "<title>pipit" },
};

START_TEST(serves_its_own_pages)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response = ask(&daemon, (struct question){ .path = own_pages[_i].path });
	ck_assert_int_eq(response.status, 200);
	assert_field(&response, "Content-Type", own_pages[_i].type);
	assert_field(&response, "X-Content-Type-Options", "nosniff");
	assert_field(&response, "Cache-Control", "no-cache");
	assert_field(&response, "Content-Security-Policy", "default-src 'self'; frame-ancestors 'self'");
	assert_field(&response, "X-Frame-Options", "SAMEORIGIN");
	assert_field(&response, "Referrer-Policy", "same-origin");
	ck_assert_ptr_nonnull(wire_field(&response, "ETag"));
	ck_assert_ptr_nonnull(strstr(response.content, own_pages[_i].text));
	wire_free(&response);
	stop(&daemon);
}
END_TEST

static void print_date(time_t when, char *text, size_t size, const char *form)
{
	struct tm tm;
	gmtime_r(&when, &tm);
	ck_assert_uint_gt(strftime(text, size, form, &tm), 0);
}

/* The file's modification time plus `offset` seconds, in one of the three forms of RFC 9110 §5.6.7. */
static const struct {
	int offset, status;
	const char *form;
} conditions[] = {
	{ 0, 304, "If-Modified-Since: %a, %d %b %Y %H:%M:%S GMT" },
	{ 1, 304, "If-Modified-Since: %a, %d %b %Y %H:%M:%S GMT" },
	{ -1, 200, "If-Modified-Since: %a, %d %b %Y %H:%M:%S GMT" },
	{ 0, 304, "If-Modified-Since: %A, %d-%b-%y %H:%M:%S GMT" },
	{ 0, 304, "If-Modified-Since: %a %b %e %H:%M:%S %Y" },
	{ 0, 200, "If-Modified-Since: yesterday" },
	{ 0, 200, "If-Modified-Since: %a, %d %b %Y %H:%M:%S CET" },
};

START_TEST(sends_a_file_only_when_it_has_changed)
{
	struct site site = make_site();
	struct daemon daemon = start_with(&site);
	struct stat status;
	char path[128], field[96], modified[64];
	struct wire_response response;
	snprintf(path, sizeof path, "%s/page.html", site.root);
	ck_assert_int_eq(stat(path, &status), 0);
	print_date(status.st_mtime + conditions[_i].offset, field, sizeof field, conditions[_i].form);
	print_date(status.st_mtime, modified, sizeof modified, "%a, %d %b %Y %H:%M:%S GMT");
	response = ask(&daemon, (struct question){ .path = "/page.html", .fields = { field } });
	ck_assert_int_eq(response.status, conditions[_i].status);
	assert_field(&response, "Last-Modified", modified);
	ck_assert_str_eq(response.content, conditions[_i].status == 200 ? "<p>page</p>" : "");
	wire_free(&response);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

static const struct {
	const char *fields;
	int status;
} preconditions[] = {
	{ "If-None-Match: *\r\n", 304 },
	{ "If-None-Match: \"a\"\r\n", 200 },
	/* It has precedence. */
	{ "If-None-Match: \"a\"\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", 200 },
	{ "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", 304 },
	/* Two dates are invalid. */
	{ "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\nIf-Modified-Since: x\r\n", 200 },
};

START_TEST(evaluates_preconditions_in_the_order_of_precedence)
{
	struct site site = make_site();
	struct daemon daemon = start_with(&site);
	int fd = wire_connect(daemon.port);
	struct wire_response response =
	    wire_ask(fd, "GET /page.html HTTP/1.1\r\nHost: x\r\n%s\r\n", preconditions[_i].fields);
	ck_assert_int_eq(response.status, preconditions[_i].status);
	wire_free(&response);
	close(fd);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* As if the file was written with a wrong clock. */
START_TEST(never_sends_a_last_modified_in_the_future)
{
	struct site site = make_site();
	struct daemon daemon = start_with(&site);
	const struct timespec times[2] = { { INT32_MAX, 0 }, { INT32_MAX, 0 } };
	char path[128], date[64];
	struct wire_response response;
	snprintf(path, sizeof path, "%s/page.html", site.root);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	response = ask(&daemon, (struct question){ .path = "/page.html" });
	snprintf(date, sizeof date, "%s", wire_field(&response, "Date"));
	assert_field(&response, "Last-Modified", date);
	wire_free(&response);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* A 304 has no body: the next response begins directly after it. */
START_TEST(keeps_the_connection_after_not_modified)
{
	struct site site = make_site();
	struct daemon daemon = start_with(&site);
	int fd = wire_connect(daemon.port);
	struct wire_response first = wire_ask(fd, "GET /page.html HTTP/1.1\r\nHost: x\r\n\r\n"), second;
	const char *modified = wire_field(&first, "Last-Modified");
	ck_assert_ptr_nonnull(modified);
	second = wire_ask(fd, "GET /page.html HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: %s\r\n\r\n", modified);
	ck_assert_int_eq(second.status, 304);
	assert_no_field(&second, "Content-Type");
	wire_free(&first);
	wire_free(&second);
	wire_print(fd, "GET /docs/ HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_next(fd, 200, "<p>docs</p>");
	close(fd);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

static const struct {
	const char *accept;
	bool is_html;
} acceptances[] = {
	{ "Accept: */*", false },
	{ "Accept: text/html", true },
	{ "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true },
	{ "Accept: application/json", false },
};

START_TEST(answers_404_in_the_format_that_the_client_prefers)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response =
	    ask(&daemon, (struct question){ .path = "/no/<such>/file", .fields = { acceptances[_i].accept } });
	ck_assert_int_eq(response.status, 404);
	if (acceptances[_i].is_html) {
		assert_field(&response, "Content-Type", "text/html; charset=utf-8");
		ck_assert_ptr_nonnull(strstr(response.content, "<h1>404 Not Found</h1>"));
	} else {
		assert_problem(&response, 404);
		assert_json_text(&response, "title", "Not Found");
	}
	wire_free(&response);
	stop(&daemon);
}
END_TEST

/* Sent as raw bytes: clients normalize these paths before they send them. */
static const char *const ways_out[] = {
	"/../secret.txt",
	"/%2e%2e/secret.txt",
	"/%2E./secret.txt",
	"/..%2fsecret.txt",
	"/%2e%2e%2fsecret.txt",
	"/docs/../../secret.txt",
	"/docs/%2e%2e/%2e%2e/secret.txt",
	"/./../secret.txt",
	"//../secret.txt",
	"/..\\secret.txt",
	"/..%5csecret.txt",
	"/%252e%252e/secret.txt",
	"/%c0%ae%c0%ae/secret.txt",
	"/..;/secret.txt",
	"/docs/../../../../../../../../../../etc/passwd",
	"/none/../../secret.txt",
	"/link",
	"/link/",
	"/.hidden",
	"/%2ehidden",
	"/docs/../.hidden",
	"/docs/..%2f.hidden",
	"http://x/../secret.txt",
	"http://x/%2e%2e/secret.txt",
};

START_TEST(serves_nothing_outside_the_root)
{
	struct site site = make_site();
	struct daemon daemon = start_with(&site);
	int fd = wire_connect(daemon.port);
	struct wire_response response = wire_ask(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", ways_out[_i]);
	ck_assert_msg(response.status == 400 || response.status == 404, "%s: %d", ways_out[_i], response.status);
	ck_assert(response.is_complete);
	ck_assert_ptr_null(strstr(response.content, "SECRET"));
	ck_assert_ptr_null(strstr(response.content, "root:"));
	wire_free(&response);
	/* The connection is kept. */
	wire_print(fd, "GET /page.html HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_next(fd, 200, "<p>page</p>");
	close(fd);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

static const struct {
	const char *path, *location;
} redirects[] = {
	{ "/docs", "/docs/" },
	{ "/docs?a=b&c", "/docs/?a=b&c" },
	{ "/./docs", "/./docs/" },
	{ "/%64ocs", "/%64ocs/" },
	{ "/docs?a=[\"<b>{|}^`\\", "/docs/?a=%5B%22%3Cb%3E%7B%7C%7D%5E%60%5C" },
};

START_TEST(redirects_to_a_directory_with_a_trailing_slash)
{
	struct site site = make_site();
	struct daemon daemon = start_with(&site);
	struct wire_response response = ask(&daemon, (struct question){ .path = redirects[_i].path });
	ck_assert_int_eq(response.status, 301);
	assert_field(&response, "Location", redirects[_i].location);
	wire_free(&response);
	response = ask(&daemon, (struct question){ .path = redirects[_i].location });
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, "<p>docs</p>");
	wire_free(&response);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* "Location: //docs/" would redirect to another host. */
START_TEST(never_redirects_to_another_host)
{
	struct site site = make_site();
	struct daemon daemon = start_with(&site);
	struct wire_response response = ask(&daemon, (struct question){ .path = "//docs" });
	const char *location = wire_field(&response, "Location");
	ck_assert(!location || strncmp(location, "//", 2) != 0);
	wire_free(&response);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

START_TEST(lists_no_directory)
{
	struct site site = make_site();
	struct daemon daemon = start_with(&site);
	assert_refused(&daemon, (struct question){ .path = "/" }, 404);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

static const char *const writing_methods[] = { "POST", "PUT", "DELETE", "PATCH" };

START_TEST(refuses_methods_that_would_write_a_file)
{
	struct daemon daemon = daemon_start(NULL);
	struct wire_response response = ask(&daemon, (struct question){ .method = writing_methods[_i],
							 .path = "/index.html",
							 .fields = { "Content-Type: text/html" },
							 .content = "<p>mine</p>" });
	assert_problem(&response, 405);
	assert_field(&response, "Allow", "GET, HEAD, OPTIONS");
	wire_free(&response);
	stop(&daemon);
}
END_TEST

START_TEST(sends_a_big_file_byte_for_byte_without_loading_it)
{
	struct site site = make_site();
	char *expected = make_big_file(&site);
	struct daemon daemon = start_with(&site);
	struct wire_response small = ask(&daemon, (struct question){ .path = "/page.html" }), response;
	long before_kib = daemon_resident_kib(&daemon);
	response = ask(&daemon, (struct question){ .path = "/big.bin" });
	ck_assert_int_eq(response.status, 200);
	assert_field(&response, "Content-Type", "application/octet-stream");
	ck_assert_uint_eq(response.length, BIG_FILE_BYTES);
	ck_assert(memcmp(response.content, expected, BIG_FILE_BYTES) == 0);
	/* sendfile() sends it within the kernel. AddressSanitizer keeps what OpenSSL has freed for each record. */
	ck_assert(IS_SANITIZED || daemon_resident_kib(&daemon) - before_kib < BIG_FILE_BYTES / 1024 / 2);
	wire_free(&small);
	wire_free(&response);
	free(expected);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* Head and end of a file are in different sends: nothing may come between, and the next response only after it. */
START_TEST(answers_requests_pipelined_after_a_big_file)
{
	struct site site = make_site();
	char *expected = make_big_file(&site);
	struct daemon daemon = start_with(&site);
	int fd = wire_connect(daemon.port);
	wire_print(fd, "GET /page.html HTTP/1.1\r\nHost: x\r\n\r\nGET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n"
		       "HEAD /big.bin HTTP/1.1\r\nHost: x\r\n\r\nGET /page.html HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_next(fd, 200, "<p>page</p>");
	struct wire_response response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 200);
	ck_assert_uint_eq(response.length, BIG_FILE_BYTES);
	ck_assert(memcmp(response.content, expected, BIG_FILE_BYTES) == 0);
	wire_free(&response);
	response = wire_read(fd, true);
	ck_assert_int_eq(response.status, 200);
	assert_field(&response, "Content-Length", "20971520");
	wire_free(&response);
	assert_next(fd, 200, "<p>page</p>");
	close(fd);
	free(expected);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* Its length is announced: only the end of the connection can show that it is incomplete. */
START_TEST(closes_the_connection_when_a_file_shrinks_meanwhile)
{
	struct site site = make_site();
	struct daemon daemon;
	struct wire_response response;
	int fd;
	free(make_big_file(&site));
	daemon = start_with(&site);
	fd = wire_connect(daemon.port);
	ck_assert(wire_print(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\nGET /page.html HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert(wire_is_readable(fd, PATIENCE_MS));
	ck_assert_int_eq(truncate(site.big, 1000), 0);
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 200);
	assert_field(&response, "Content-Length", "20971520");
	ck_assert(!response.is_complete);
	ck_assert_uint_lt(response.length, BIG_FILE_BYTES);
	ck_assert(wire_is_closed(fd));
	wire_free(&response);
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_requests_aborted_total"), 1);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* --- methods ------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *method, *target, *allow;
	int status;
} methods[] = {
	{ "OPTIONS", "/hello/get", "GET, HEAD, OPTIONS", 204 },
	{ "OPTIONS", "/hello/post", "POST, OPTIONS", 204 },
	{ "OPTIONS", "/index.html", "GET, HEAD, OPTIONS", 204 },
	{ "OPTIONS", "*", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 204 },
	{ "DELETE", "/hello/get", "GET, HEAD, OPTIONS", 405 },
	{ "POST", "/hello/get", "GET, HEAD, OPTIONS", 405 },
	{ "GET", "/hello/post", "POST, OPTIONS", 405 },
	{ "PATCH", "/json/echo", "POST, OPTIONS", 405 },
	{ "PUT", "/metrics", "GET, HEAD, OPTIONS", 405 },
};

START_TEST(lists_the_methods_of_a_resource)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	struct wire_response response =
	    wire_ask(fd, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", methods[_i].method, methods[_i].target);
	ck_assert_int_eq(response.status, methods[_i].status);
	ck_assert(response.is_complete);
	assert_field(&response, "Allow", methods[_i].allow);
	if (response.status == 204)
		assert_no_field(&response, "Content-Length");
	wire_free(&response);
	wire_print(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_next(fd, 200, "{\"status\":\"ok\"}");
	close(fd);
	stop(&daemon);
}
END_TEST

/* The body of a request that is refused after its head is not parsed as a request. */
START_TEST(does_not_parse_a_refused_body_as_a_request)
{
	static const char content[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	struct wire_response response = wire_ask(
	    fd, "POST /hello/get HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", sizeof content - 1, content);
	ck_assert_int_eq(response.status, 405);
	ck_assert(response.closes);
	ck_assert(wire_is_closed(fd));
	wire_free(&response);
	close(fd);
	ck_assert_double_eq(
	    daemon_metric(&daemon, "http_requests_total{method=\"GET\",route=\"/healthz\",code=\"200\"}"), -1);
	stop(&daemon);
}
END_TEST

/* --- connections -------------------------------------------------------------------------------------------------- */

static void assert_greeting(int fd, int number)
{
	char content[64];
	snprintf(content, sizeof content, "{\"message\":\"Hello, %d!\"}", number);
	assert_next(fd, 200, content);
}

START_TEST(keeps_a_connection_for_many_requests)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	for (int i = 0; i < 20; i++) {
		ck_assert(wire_print(fd, "GET /hello/get?name=%d HTTP/1.1\r\nHost: x\r\n\r\n", i));
		assert_greeting(fd, i);
	}
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_connections_accepted_total"), 2);
	stop(&daemon);
}
END_TEST

/* 50 requests at once, malloc'd. */
static char *print_pipeline(bool are_posts)
{
	char *text = calloc(50, 160), *at = text;
	ck_assert_ptr_nonnull(text);
	for (int i = 0; i < 50; i++) {
		if (are_posts)
			at += sprintf(at,
			    "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
			    "Content-Length: 2\r\n\r\n%02d",
			    i);
		else
			at += sprintf(at, "GET /hello/get?name=%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
	}
	return text;
}

static void assert_pipeline(int fd, bool are_posts)
{
	for (int i = 0; i < 50; i++) {
		char content[96];
		snprintf(content, sizeof content,
		    are_posts ? "{\"message\":\"Hello, %02d!\",\"received\":\"text\",\"bytes\":2}"
			      : "{\"message\":\"Hello, %d!\"}",
		    i);
		assert_next(fd, 200, content);
	}
}

/* 0: all at once. 1: followed by FIN. 2: byte by byte. For GET, and for POST. */
START_TEST(answers_pipelined_requests_in_order)
{
	bool are_posts = _i >= 3;
	struct daemon daemon = daemon_start(NULL);
	char *text = print_pipeline(are_posts);
	int fd = wire_connect(daemon.port);
	ck_assert(_i % 3 == 2 ? wire_trickle(fd, text, strlen(text)) : wire_send(fd, text, strlen(text)));
	if (_i % 3 == 1)
		ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	assert_pipeline(fd, are_posts);
	if (_i % 3 == 1)
		ck_assert(wire_is_closed(fd));
	free(text);
	close(fd);
	stop(&daemon);
}
END_TEST

/* A body has no meaning for GET, but it has a length nevertheless. */
START_TEST(discards_the_body_of_a_get)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	wire_print(fd, "GET /hello/get?name=0 HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n\r\nGET / HTTP/1.1\r\n\r\n?"
		       "GET /hello/get?name=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_greeting(fd, 0);
	assert_greeting(fd, 1);
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(answers_nothing_after_a_request_that_closes)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	struct wire_response response = wire_ask(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: te, Close\r\n\r\n"
						     "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	ck_assert(response.closes);
	ck_assert(wire_is_closed(fd));
	wire_free(&response);
	close(fd);
	stop(&daemon);
}
END_TEST

static const struct {
	const char *fields;
	bool stays;
} old_requests[] = {
	{ "", false },
	{ "Host: x\r\n", false },
	{ "Connection: keep-alive\r\n", true },
	{ "Connection: Keep-Alive, close\r\n", false },
};

START_TEST(serves_http_1_0)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	for (int i = 0; i < 1 + old_requests[_i].stays; i++) {
		struct wire_response response =
		    wire_ask(fd, "GET /hello/get HTTP/1.0\r\n%s\r\n", old_requests[_i].fields);
		ck_assert_int_eq(response.status, 200);
		ck_assert(response.is_complete && !response.is_chunked);
		assert_field(&response, "Connection", old_requests[_i].stays ? "keep-alive" : "close");
		wire_free(&response);
	}
	if (!old_requests[_i].stays)
		ck_assert(wire_is_closed(fd));
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(accepts_the_absolute_form_of_a_target)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	wire_print(fd, "GET http://example:80/hello/get?name=0 HTTP/1.1\r\nHost: other\r\n\r\n");
	assert_greeting(fd, 0);
	wire_print(fd, "OPTIONS http://example HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_next(fd, 204, "");
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(skips_an_empty_line_before_a_request)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	wire_print(fd, "\r\nGET /hello/get?name=0 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_greeting(fd, 0);
	wire_print(fd, "\r\nGET /hello/get?name=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_greeting(fd, 1);
	close(fd);
	stop(&daemon);
}
END_TEST

static const char *const last_requests[] = {
	"GET /hello/get?name=0 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /hello/get?name=0 HTTP/1.0\r\n\r\n",
	"GET /hello/get?name=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
};

START_TEST(answers_a_client_that_has_shut_down_its_sending_side)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	ck_assert(wire_print(fd, "%s", last_requests[_i]));
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	assert_greeting(fd, 0);
	ck_assert(wire_is_closed(fd));
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(sends_all_of_a_big_file_to_a_client_that_has_shut_down_its_sending_side)
{
	struct site site = make_site();
	char *expected = make_big_file(&site);
	struct daemon daemon = start_with(&site);
	int fd = wire_connect(daemon.port);
	struct wire_response response;
	ck_assert(wire_print(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	response = wire_read(fd, false);
	ck_assert_uint_eq(response.length, BIG_FILE_BYTES);
	ck_assert(memcmp(response.content, expected, BIG_FILE_BYTES) == 0);
	ck_assert(wire_is_closed(fd));
	wire_free(&response);
	free(expected);
	close(fd);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* --- bodies ------------------------------------------------------------------------------------------------------- */

START_TEST(sends_100_continue_to_a_client_that_expects_it)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	char bytes[sizeof interim] = "";
	wire_print(fd, "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
		       "Expect: 100-continue\r\n\r\n");
	ck_assert_int_eq(recv(fd, bytes, sizeof interim - 1, MSG_WAITALL), sizeof interim - 1);
	ck_assert_str_eq(bytes, interim);
	ck_assert(wire_send(fd, "Ada", 3));
	assert_next(fd, 200, "{\"message\":\"Hello, Ada!\",\"received\":\"text\",\"bytes\":3}");
	close(fd);
	stop(&daemon);
}
END_TEST

/* The first bytes are those of the final response: no 100 before it. */
static const struct {
	const char *request;
	int status;
} expectations[] = {
	/* The body would be refused. */
	{ "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", 413 },
	/* The route does not exist. */
	{ "POST /hello/get HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 405 },
	/* The body has already arrived. */
	{ "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nExpect: "
	  "100-continue\r\n"
	  "\r\nAda",
	    200 },
	/* There is no body. */
	{ "GET /hello/get HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", 200 },
	/* HTTP/1.0 has no expectations (RFC 9110 §10.1.1): its client would not understand a 100. */
	{ "GET /hello/get HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", 200 },
	{ "GET /hello/get HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", 417 },
};

START_TEST(sends_the_final_response_instead_of_100_when_it_can)
{
	struct daemon daemon;
	char line[13] = "", expected[13];
	int fd;

	/* The TLS client of these tests sends byte by byte: then the body of a request that passes has not arrived. */
	if (getenv("WIRE_TLS") && strstr(expectations[_i].request, "\r\n\r\nAda"))
		return;
	daemon = daemon_start(NULL);
	fd = wire_connect(daemon.port);
	wire_print(fd, "%s", expectations[_i].request);
	snprintf(expected, sizeof expected, "HTTP/1.1 %3d", expectations[_i].status);
	ck_assert_int_eq(recv(fd, line, 12, MSG_WAITALL), 12);
	ck_assert_str_eq(line, expected);
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(sends_no_100_to_an_http_1_0_client)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--workers", "1", NULL });
	int fd = wire_connect(daemon.port);
	char *answer;
	wire_print(fd, "POST /hello/post HTTP/1.0\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nExpect: "
		       "100-continue\r\n\r\n");
	/* Another request through the same loop shows that the first part has been read. */
	ck_assert_double_eq(daemon_metric(&daemon, "http_connections{state=\"closing\"}"), 0);
	wire_send(fd, "Ada", 3);
	answer = wire_read_all(fd, NULL);
	ck_assert_ptr_nonnull(answer);
	ck_assert_int_eq(strncmp(answer, "HTTP/1.1 200 OK\r\n", 17), 0);
	free(answer);
	close(fd);
	stop(&daemon);
}
END_TEST

/* Chunked spellings of "Ada". */
static const char *const chunkings[] = {
	"3\r\nAda\r\n0\r\n\r\n",
	"1\r\nA\r\n2\r\nda\r\n0\r\n\r\n",
	"0000003\r\nAda\r\n00\r\n\r\n",
	"3;name=value;other=\"quo;ted\\\"\"\r\nAda\r\n0;last\r\n\r\n",
	"3\r\nAda\r\n0\r\nTrailer: value\r\nContent-Length: 99\r\n\r\n",
};

static void post_chunks(int fd, const char *chunks, bool byte_by_byte)
{
	static const char head[] = "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
				   "transfer-encoding: Chunked\r\n\r\n";
	if (byte_by_byte)
		ck_assert(wire_trickle(fd, head, sizeof head - 1) && wire_trickle(fd, chunks, strlen(chunks)));
	else
		ck_assert(wire_print(fd, "%s%s", head, chunks));
	assert_next(fd, 200, "{\"message\":\"Hello, Ada!\",\"received\":\"text\",\"bytes\":3}");
}

START_TEST(accepts_a_chunked_body)
{
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	post_chunks(fd, chunkings[_i], false);
	post_chunks(fd, chunkings[_i], true);
	/* The next request is parsed directly after the last chunk. */
	wire_print(fd, "GET /hello/get?name=0 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_greeting(fd, 0);
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(accepts_nearly_a_megabyte_in_chunks_of_libcurl)
{
	struct daemon daemon = daemon_start(NULL);
	char *text = print_array(90000);
	struct wire_response response = ask(&daemon, (struct question){ .path = "/json/echo",
							 .fields = { "Content-Type: application/json", "Expect:" },
							 .content = text,
							 .chunked = true });
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, text);
	free(text);
	wire_free(&response);
	stop(&daemon);
}
END_TEST

START_TEST(accepts_a_body_up_to_the_limit)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--max-body-bytes", "10", NULL });
	struct question question = {
		.path = "/hello/post", .fields = { "Content-Type: text/plain" }, .content = "0123456789"
	};
	for (int chunked = 0; chunked < 2; chunked++) {
		struct wire_response response;
		question.chunked = chunked;
		question.content = "0123456789";
		response = ask(&daemon, question);
		ck_assert_int_eq(response.status, 200);
		wire_free(&response);
		question.content = "0123456789a";
		assert_refused(&daemon, question, 413);
	}
	stop(&daemon);
}
END_TEST

#define COUNT_OF(array) (int)(sizeof(array) / sizeof *(array))

static TCase *hello_tests(void)
{
	TCase *tests = tcase_create("hello");
	tcase_add_loop_test(tests, greets_by_name, 0, COUNT_OF(greetings));
	tcase_add_test(tests, greets_a_name_of_256_bytes_and_refuses_a_longer_one);
	tcase_add_loop_test(tests, refuses_a_name_that_is_not_utf8, 0, COUNT_OF(names_that_are_no_text));
	tcase_add_loop_test(tests, answers_head_with_the_headers_of_get_and_no_body, 0, COUNT_OF(paths_with_heads));
	tcase_add_loop_test(tests, greets_the_name_of_a_post, 0, COUNT_OF(posts));
	tcase_add_loop_test(tests, refuses_a_post_without_a_valid_name, 0, COUNT_OF(wrong_posts));
	tcase_add_loop_test(tests, refuses_compressed_json, 0, 2);
	tcase_add_test(tests, lists_the_accepted_types_when_the_type_is_wrong);
	tcase_add_loop_test(tests, refuses_to_greet_more_than_256_bytes, 0, COUNT_OF(long_posts));
	tcase_add_test(tests, gives_line_column_and_byte_of_a_json_error);
	tcase_add_loop_test(
	    tests, gives_the_position_of_a_json_error_as_members, 0, sizeof json_errors / sizeof *json_errors);
	tcase_add_loop_test(
	    tests, replies_with_errors_in_the_format_that_the_client_prefers, 0, sizeof unwelcome / sizeof *unwelcome);
	tcase_add_test(tests, accepts_a_pointer_up_to_the_length_limit);
	tcase_add_loop_test(tests, echoes_json, 0, COUNT_OF(documents));
	tcase_add_test(tests, echoes_a_document_of_nearly_a_megabyte);
	tcase_add_test(tests, accepts_json_up_to_the_depth_limit);
	tcase_add_test(tests, accepts_json_up_to_the_limit_of_values);
	tcase_add_loop_test(tests, echoes_numbers_digit_by_digit, 0, sizeof exact / sizeof *exact);
	tcase_add_test(tests, refuses_to_echo_what_is_not_json);
	return tests;
}

static TCase *operation_tests(void)
{
	TCase *tests = tcase_create("operation");
	tcase_add_loop_test(tests, answers_health_checks, 0, COUNT_OF(probes));
	tcase_add_test(tests, shows_every_family_of_metrics);
	tcase_add_test(tests, sends_openmetrics_to_a_client_that_accepts_it);
	tcase_add_test(tests, sends_metrics_in_the_preferred_format_and_never_406);
	tcase_add_test(tests, counts_requests_by_method_route_and_code);
	return tests;
}

static TCase *file_tests(void)
{
	TCase *tests = tcase_create("files");
	tcase_add_loop_test(tests, serves_its_own_pages, 0, COUNT_OF(own_pages));
	tcase_add_loop_test(tests, sends_a_file_only_when_it_has_changed, 0, COUNT_OF(conditions));
	tcase_add_loop_test(
	    tests, evaluates_preconditions_in_the_order_of_precedence, 0, sizeof preconditions / sizeof *preconditions);
	tcase_add_test(tests, never_sends_a_last_modified_in_the_future);
	tcase_add_test(tests, keeps_the_connection_after_not_modified);
	tcase_add_loop_test(tests, answers_404_in_the_format_that_the_client_prefers, 0, COUNT_OF(acceptances));
	tcase_add_loop_test(tests, serves_nothing_outside_the_root, 0, COUNT_OF(ways_out));
	tcase_add_loop_test(tests, redirects_to_a_directory_with_a_trailing_slash, 0, COUNT_OF(redirects));
	tcase_add_test(tests, never_redirects_to_another_host);
	tcase_add_test(tests, lists_no_directory);
	tcase_add_loop_test(tests, refuses_methods_that_would_write_a_file, 0, COUNT_OF(writing_methods));
	tcase_add_test(tests, sends_a_big_file_byte_for_byte_without_loading_it);
	tcase_add_test(tests, answers_requests_pipelined_after_a_big_file);
	tcase_add_test(tests, closes_the_connection_when_a_file_shrinks_meanwhile);
	return tests;
}

static TCase *connection_tests(void)
{
	TCase *tests = tcase_create("connections");
	tcase_add_loop_test(tests, lists_the_methods_of_a_resource, 0, COUNT_OF(methods));
	tcase_add_test(tests, does_not_parse_a_refused_body_as_a_request);
	tcase_add_test(tests, keeps_a_connection_for_many_requests);
	tcase_add_loop_test(tests, answers_pipelined_requests_in_order, 0, 6);
	tcase_add_test(tests, discards_the_body_of_a_get);
	tcase_add_test(tests, answers_nothing_after_a_request_that_closes);
	tcase_add_loop_test(tests, serves_http_1_0, 0, COUNT_OF(old_requests));
	tcase_add_test(tests, accepts_the_absolute_form_of_a_target);
	tcase_add_test(tests, skips_an_empty_line_before_a_request);
	tcase_add_loop_test(tests, answers_a_client_that_has_shut_down_its_sending_side, 0, COUNT_OF(last_requests));
	tcase_add_test(tests, sends_all_of_a_big_file_to_a_client_that_has_shut_down_its_sending_side);
	tcase_add_test(tests, sends_100_continue_to_a_client_that_expects_it);
	tcase_add_loop_test(tests, sends_the_final_response_instead_of_100_when_it_can, 0, COUNT_OF(expectations));
	tcase_add_test(tests, sends_no_100_to_an_http_1_0_client);
	tcase_add_loop_test(tests, accepts_a_chunked_body, 0, COUNT_OF(chunkings));
	tcase_add_test(tests, accepts_nearly_a_megabyte_in_chunks_of_libcurl);
	tcase_add_test(tests, accepts_a_body_up_to_the_limit);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("handlers");
	suite_add_tcase(suite, hello_tests());
	suite_add_tcase(suite, operation_tests());
	suite_add_tcase(suite, file_tests());
	suite_add_tcase(suite, connection_tests());
	return run_suite(suite);
}
