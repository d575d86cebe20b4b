/* SPDX-License-Identifier: MIT */
/*
 * Both forms of access lines byte for byte, and destinations that are full, slow, short of space or rotated.
 *
 * This file defines write() itself, to count the calls of a flush and to make one of them short.
 */
#include "metrics/access_log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "suite.h"

/* ---------------------------------------------------------------- fixture */

static struct {
	bool is_armed;
	unsigned calls;
	unsigned failures; /* calls that fail first */
	size_t budget;     /* bytes that are written after that; then ENOSPC */
} watched;

static char directory[64];
static char file_name[96];
static char rotated_name[96];
static int saved_output, saved_error;

ssize_t write(int fd, const void *data, size_t length)
{
	if (watched.is_armed) {
		watched.calls++;
		size_t room = watched.failures > 0 ? 0 : watched.budget;
		watched.failures -= watched.failures > 0;
		length = length < room ? length : room;
		watched.budget -= length;
		if (length == 0) {
			errno = ENOSPC;
			return -1;
		}
	}
	return syscall(SYS_write, fd, data, length);
}

static void watch_writes(size_t budget)
{
	watched.is_armed = true;
	watched.calls = 0;
	watched.failures = 0;
	watched.budget = budget;
}

static void set_up(void)
{
	strcpy(directory, "/tmp/pipit-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(file_name, sizeof(file_name), "%s/access", directory);
	snprintf(rotated_name, sizeof(rotated_name), "%s/access.1", directory);
	signal(SIGPIPE, SIG_IGN);
	fflush(stdout);
	saved_output = dup(STDOUT_FILENO);
	saved_error = dup(STDERR_FILENO);
	ck_assert_int_ge(saved_output, 0);
	ck_assert_int_ge(saved_error, 0);
}

static void tear_down(void)
{
	watched.is_armed = false;
	dup2(saved_output, STDOUT_FILENO);
	dup2(saved_error, STDERR_FILENO);
	close(saved_output);
	close(saved_error);
	unlink(file_name);
	unlink(rotated_name);
	rmdir(directory);
}

static const struct pipit_access_log_entry hello = {
	.peer = "192.0.2.7",
	.finished = 1791640536,
	.request_line = { "GET /hello/get HTTP/1.1", 23 },
	.status = 200,
	.content_bytes = 27,
	.referer = { "http://example.org/", 19 },
	.user_agent = { "curl/7.88.1", 11 },
	.duration_ns = 12345,
	.id = "00c0ffee00000001",
	.route = "/hello/get",
};

#define HELLO_COMBINED                                                                                           \
	"192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] \"GET /hello/get HTTP/1.1\" 200 27 \"http://example.org/\" " \
	"\"curl/7.88.1\" 0.000012 00c0ffee00000001 /hello/get\n"

#define HELLO_JSON                                                                                           \
	"{\"time\":\"2026-10-10T13:55:36Z\",\"peer\":\"192.0.2.7\",\"request\":\"GET /hello/get HTTP/1.1\"," \
	"\"status\":200,\"bytes\":27,\"referer\":\"http://example.org/\",\"user_agent\":\"curl/7.88.1\","    \
	"\"duration\":0.000012,\"id\":\"00c0ffee00000001\",\"route\":\"/hello/get\"}\n"

struct fixture {
	struct pipit_access_log *log;
	struct pipit_access_log_buffer *buffer;
};

static struct fixture open_log(const char *destination, bool json)
{
	struct fixture fixture;
	ck_assert_int_eq(pipit_access_log_open(destination, json, &fixture.log), 0);
	fixture.buffer = pipit_access_log_buffer_new(fixture.log);
	ck_assert_ptr_nonnull(fixture.buffer);
	return fixture;
}

static void close_log(struct fixture fixture)
{
	pipit_access_log_buffer_free(fixture.buffer);
	pipit_access_log_close(fixture.log);
}

/* All that can be read now, NUL-terminated; the caller frees it. */
static char *drain(int fd, size_t *length)
{
	size_t room = 1 << 20;
	char *data = malloc(room);
	ssize_t got;
	*length = 0;
	ck_assert_ptr_nonnull(data);
	while ((got = read(fd, data + *length, room - *length - 1)) > 0)
		*length += (size_t)got;
	data[*length] = '\0';
	return data;
}

static char *read_file(const char *name)
{
	size_t length;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	char *data = drain(fd, &length);
	close(fd);
	return data;
}

/* The line of `entry`; the caller frees it. */
static char *render(const struct pipit_access_log_entry *entry, bool json)
{
	struct fixture fixture = open_log(file_name, json);
	pipit_access_log_buffer_add(fixture.buffer, entry);
	close_log(fixture);
	char *line = read_file(file_name);
	ck_assert_int_eq(unlink(file_name), 0);
	return line;
}

static void assert_line(const struct pipit_access_log_entry *entry, bool json, const char *expected)
{
	char *line = render(entry, json);
	ck_assert_str_eq(line, expected);
	free(line);
}

/* The number of lines in `text`; every one equals `line`. */
static unsigned count_copies(const char *text, const char *line)
{
	unsigned count = 0;
	size_t length = strlen(line);
	for (; *text != '\0'; text += length, count++)
		ck_assert_msg(strncmp(text, line, length) == 0, "not a whole line: %.200s", text);
	return count;
}

static void add_copies(struct pipit_access_log_buffer *buffer, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pipit_access_log_buffer_add(buffer, &hello);
}

/* ---------------------------------------------------------------- forms of a line */

START_TEST(writes_the_combined_form)
{
	assert_line(&hello, false, HELLO_COMBINED);
}
END_TEST

START_TEST(writes_the_json_form)
{
	assert_line(&hello, true, HELLO_JSON);
}
END_TEST

/* a connection that sent no whole request */
static const struct pipit_access_log_entry bare = {
	.peer = "2001:db8::1",
	.status = 408,
	.duration_ns = 10000000999,
	.id = "0000000000000002",
	.route = "-",
};

START_TEST(writes_dashes_for_what_is_absent)
{
	assert_line(&bare, false,
	    "2001:db8::1 - - [01/Jan/1970:00:00:00 +0000] \"-\" 408 - \"-\" \"-\" 10.000000 0000000000000002 -\n");
}
END_TEST

START_TEST(leaves_absent_members_out_of_json)
{
	assert_line(&bare, true,
	    "{\"time\":\"1970-01-01T00:00:00Z\",\"peer\":\"2001:db8::1\",\"request\":\"-\",\"status\":408,\"bytes\":0,"
	    "\"duration\":10.000000,\"id\":\"0000000000000002\",\"route\":\"-\"}\n");
}
END_TEST

START_TEST(writes_dashes_for_null_strings)
{
	struct pipit_access_log_entry nothing = { .status = 400 };
	assert_line(&nothing, false, "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 - \"-\" \"-\" 0.000000 - -\n");
}
END_TEST

START_TEST(writes_the_date_of_each_entry)
{
	static const time_t seconds[] = { 951782399, 951782399, 951782400, 1798761599, -1 };
	static const char *const dates[] = { "[28/Feb/2000:23:59:59 +0000]", "[28/Feb/2000:23:59:59 +0000]",
		"[29/Feb/2000:00:00:00 +0000]", "[31/Dec/2026:23:59:59 +0000]", "[31/Dec/1969:23:59:59 +0000]" };
	struct fixture fixture = open_log(file_name, false);
	for (size_t i = 0; i < 5; i++) {
		struct pipit_access_log_entry entry = hello;
		entry.finished = seconds[i];
		pipit_access_log_buffer_add(fixture.buffer, &entry);
	}
	close_log(fixture);
	char *text = read_file(file_name), *line = text;
	for (size_t i = 0; i < 5; i++) {
		ck_assert_int_eq(strncmp(strchr(line, '['), dates[i], strlen(dates[i])), 0);
		line = strchr(line, '\n') + 1;
	}
	ck_assert_str_eq(line, "");
	free(text);
}
END_TEST

START_TEST(writes_a_date_for_a_time_out_of_range)
{
	static const time_t seconds[] = { (time_t)INT64_MAX, (time_t)INT64_MIN, -1, (time_t)253402300800 };
	struct pipit_access_log_entry entry = hello;
	entry.finished = seconds[_i];
	char *line = render(&entry, true);
	cJSON *parsed = cJSON_Parse(line);
	ck_assert_ptr_nonnull(parsed);
	cJSON_Delete(parsed);
	free(line);
}
END_TEST

/* What the log writes for `byte`. */
static void expect_escaped(char *out, size_t size, unsigned char byte, bool json)
{
	if (json && (byte == '"' || byte == '\\'))
		snprintf(out, size, "a\\%cz", byte);
	else if (json && byte >= 0x80)
		snprintf(out, size, "a\\uFFFDz");
	else if (byte == '"' || byte == '\\' || byte < 0x20 || byte > 0x7E)
		snprintf(out, size, json ? "a\\u00%02Xz" : "a\\x%02Xz", byte);
	else
		snprintf(out, size, "a%cz", byte);
}

START_TEST(escapes_every_byte_in_combined)
{
	char text[3] = { 'a', (char)_i, 'z' }, shown[16], expected[256];
	struct pipit_access_log_entry entry = hello;
	entry.request_line = entry.referer = entry.user_agent = (struct pipit_slice){ text, 3 };
	expect_escaped(shown, sizeof(shown), (unsigned char)_i, false);
	snprintf(expected, sizeof(expected),
	    "192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] \"%s\" 200 27 \"%s\" \"%s\" 0.000012 00c0ffee00000001 "
	    "/hello/get\n",
	    shown, shown, shown);
	assert_line(&entry, false, expected);
}
END_TEST

START_TEST(keeps_characters_of_utf_8_in_json)
{
	struct pipit_access_log_entry entry = hello;
	char *line;
	cJSON *parsed;

	entry.user_agent = pipit_slice_of("\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa6 \xc2\x9b");
	line = render(&entry, true);
	ck_assert_ptr_nonnull(strstr(line, "\"\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa6 \\u009B\""));
	parsed = cJSON_Parse(line);
	ck_assert_ptr_nonnull(parsed);
	cJSON_Delete(parsed);
	free(line);
}
END_TEST

/* The cut is between the bytes of a character: it stays whole. */
START_TEST(cuts_no_character_of_utf_8_in_json)
{
	char text[516], expected[600];
	struct pipit_access_log_entry entry = hello;

	memset(text, 'x', sizeof(text));
	memcpy(text + 511 - _i, "\xf0\x9f\x90\xa6", 4);
	entry.user_agent = (struct pipit_slice){ text, sizeof(text) };
	snprintf(expected, sizeof(expected), "\"user_agent\":\"%.*s\",", 515 - _i, text);
	char *line = render(&entry, true);
	ck_assert_ptr_nonnull(strstr(line, expected));
	free(line);
}
END_TEST

START_TEST(escapes_every_byte_in_json)
{
	char text[3] = { 'a', (char)_i, 'z' }, shown[16], expected[512];
	struct pipit_access_log_entry entry = hello;
	entry.request_line = entry.referer = entry.user_agent = (struct pipit_slice){ text, 3 };
	expect_escaped(shown, sizeof(shown), (unsigned char)_i, true);
	snprintf(expected, sizeof(expected),
	    "{\"time\":\"2026-10-10T13:55:36Z\",\"peer\":\"192.0.2.7\",\"request\":\"%s\",\"status\":200,\"bytes\":27,"
	    "\"referer\":\"%s\",\"user_agent\":\"%s\",\"duration\":0.000012,\"id\":\"00c0ffee00000001\","
	    "\"route\":\"/hello/get\"}\n",
	    shown, shown, shown);
	assert_line(&entry, true, expected);
}
END_TEST

START_TEST(shows_the_user)
{
	struct pipit_access_log_entry entry = hello;
	entry.user = "ada";
	assert_line(&entry, false,
	    "192.0.2.7 - ada [10/Oct/2026:13:55:36 +0000] \"GET /hello/get HTTP/1.1\" 200 27 \"http://example.org/\" "
	    "\"curl/7.88.1\" 0.000012 00c0ffee00000001 /hello/get\n");
	assert_line(&entry, true,
	    "{\"time\":\"2026-10-10T13:55:36Z\",\"peer\":\"192.0.2.7\",\"user\":\"ada\",\"request\":\"GET /hello/get "
	    "HTTP/1.1\",\"status\":200,\"bytes\":27,\"referer\":\"http://example.org/\",\"user_agent\":\"curl/7.88.1\","
	    "\"duration\":0.000012,\"id\":\"00c0ffee00000001\",\"route\":\"/hello/get\"}\n");
	entry.user = "A da\" [\n";
	assert_line(&entry, false,
	    "192.0.2.7 - A\\x20da\\x22\\x20[\\x0A [10/Oct/2026:13:55:36 +0000] \"GET /hello/get HTTP/1.1\" 200 27 "
	    "\"http://example.org/\" \"curl/7.88.1\" 0.000012 00c0ffee00000001 /hello/get\n");
	assert_line(&entry, true,
	    "{\"time\":\"2026-10-10T13:55:36Z\",\"peer\":\"192.0.2.7\",\"user\":\"A da\\\" "
	    "[\\u000A\",\"request\":\"GET "
	    "/hello/get HTTP/1.1\",\"status\":200,\"bytes\":27,\"referer\":\"http://example.org/\",\"user_agent\":"
	    "\"curl/7.88.1\",\"duration\":0.000012,\"id\":\"00c0ffee00000001\",\"route\":\"/hello/get\"}\n");
}
END_TEST

/* As many bytes as fit are whole; of more, three dots stand behind the first ones. */
START_TEST(marks_a_subject_that_is_cut)
{
	char subject[400], *line, *end;
	struct pipit_access_log_entry entry = hello;

	entry.client_verified = "ok";
	for (size_t length = 180; length < sizeof subject; length++) {
		memset(subject, 'a', length);
		subject[length] = '\0';
		entry.client_subject = subject;
		line = render(&entry, _i);
		end = strstr(line, _i ? "\",\"client_verified\":\"ok\"" : "\" \"ok\"\n");
		ck_assert_ptr_nonnull(end);
		if (length <= 190)
			ck_assert_int_eq(strncmp(end - length, subject, length), 0);
		else
			ck_assert_int_eq(strncmp(end - 193, subject, 190) | strncmp(end - 3, "...", 3), 0);
		ck_assert_int_eq(end[-(ptrdiff_t)(length <= 190 ? length : 193) - 1], '"');
		free(line);
	}
}
END_TEST

START_TEST(escapes_the_route_and_the_id_too)
{
	struct pipit_access_log_entry entry = hello;
	entry.peer = "1\n2";
	entry.id = "3\n4";
	entry.route = "/caf\xC3\xA9\n";
	char *line = render(&entry, false);
	ck_assert_int_eq(strncmp(line, "1\\x0A2 - - ", 11), 0);
	ck_assert_ptr_nonnull(strstr(line, " 3\\x0A4 /caf\\xC3\\xA9\\x0A\n"));
	free(line);
}
END_TEST

START_TEST(cuts_long_fields_at_512_bytes)
{
	char text[2000], expected[513];
	struct pipit_access_log_entry entry = hello;
	memset(text, 'x', sizeof(text));
	memset(expected, 'x', 512);
	expected[512] = '\0';
	entry.request_line = entry.referer = entry.user_agent = (struct pipit_slice){ text, sizeof(text) };
	char *line = render(&entry, true);
	cJSON *parsed = cJSON_Parse(line);
	static const char *const members[] = { "request", "referer", "user_agent" };
	for (size_t i = 0; i < 3; i++)
		ck_assert_str_eq(cJSON_GetObjectItem(parsed, members[i])->valuestring, expected);
	cJSON_Delete(parsed);
	free(line);
}
END_TEST

static struct pipit_access_log_entry make_longest(char *text, size_t size, char byte)
{
	struct pipit_access_log_entry entry = { .finished = hello.finished,
		.status = INT_MAX,
		.content_bytes = UINT64_MAX,
		.duration_ns = UINT64_MAX,
		.peer = text,
		.id = text,
		.route = text,
		.user = text };
	memset(text, byte, size - 1);
	text[size - 1] = '\0';
	entry.request_line = entry.referer = entry.user_agent = (struct pipit_slice){ text, size - 1 };
	return entry;
}

START_TEST(cuts_a_field_full_of_escapes_at_1024_bytes_of_output)
{
	char text[600];
	struct pipit_access_log_entry entry = hello;
	memset(text, '\001', sizeof(text));
	entry.request_line = (struct pipit_slice){ text, sizeof(text) };
	char *line = render(&entry, true);
	cJSON *parsed = cJSON_Parse(line);
	ck_assert_uint_eq(strlen(cJSON_GetObjectItem(parsed, "request")->valuestring), 1024 / strlen("\\u0001"));
	cJSON_Delete(parsed);
	free(line);
}
END_TEST

/* An escape of six bytes that ends at 1024 is whole. */
START_TEST(fills_a_field_with_escapes_to_its_last_byte)
{
	char text[600];
	struct pipit_access_log_entry entry = hello;
	memset(text, '\001', sizeof(text));
	memset(text, 'x', 1024 % 6);
	entry.request_line = (struct pipit_slice){ text, sizeof(text) };
	char *line = render(&entry, true);
	cJSON *parsed = cJSON_Parse(line);
	ck_assert_uint_eq(strlen(cJSON_GetObjectItem(parsed, "request")->valuestring), 1024 / 6 + 1024 % 6);
	cJSON_Delete(parsed);
	free(line);
}
END_TEST

START_TEST(fits_the_longest_json_line_into_one_atomic_write)
{
	static const char bytes[] = { 'x', '"', '\\', '\001', (char)0xFF };
	char text[5000];
	struct pipit_access_log_entry entry = make_longest(text, sizeof(text), bytes[_i]);
	char *line = render(&entry, true);
	cJSON *parsed = cJSON_Parse(line);
	ck_assert_uint_le(strlen(line), PIPE_BUF);
	ck_assert_ptr_nonnull(parsed);
	ck_assert_str_eq(cJSON_GetObjectItem(parsed, "time")->valuestring, "2026-10-10T13:55:36Z");
	cJSON_Delete(parsed);
	free(line);
}
END_TEST

START_TEST(fits_the_longest_combined_line_into_one_atomic_write)
{
	static const char bytes[] = { 'x', '"', '\\', '\001', (char)0xFF };
	char text[5000];
	struct pipit_access_log_entry entry = make_longest(text, sizeof(text), bytes[_i]);
	char *line = render(&entry, false);
	ck_assert_uint_le(strlen(line), PIPE_BUF);
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
	free(line);
}
END_TEST

START_TEST(json_lines_parse_to_the_logged_values)
{
	struct pipit_access_log_entry entry = hello;
	entry.request_line = pipit_slice_of("GET /\"\\\x01 HTTP/1.1");
	entry.duration_ns = 1999999999;
	char *line = render(&entry, true);
	cJSON *parsed = cJSON_Parse(line);
	ck_assert_str_eq(cJSON_GetObjectItem(parsed, "request")->valuestring, "GET /\"\\\x01 HTTP/1.1");
	ck_assert_int_eq(cJSON_GetObjectItem(parsed, "status")->valueint, 200);
	ck_assert_int_eq(cJSON_GetObjectItem(parsed, "bytes")->valueint, 27);
	ck_assert_double_eq(cJSON_GetObjectItem(parsed, "duration")->valuedouble, 1.999999);
	cJSON_Delete(parsed);
	free(line);
}
END_TEST

/* ---------------------------------------------------------------- destinations */

START_TEST(off_opens_no_log)
{
	struct pipit_access_log *log = (struct pipit_access_log *)&hello;
	ck_assert_int_eq(pipit_access_log_open("off", false, &log), 0);
	ck_assert_ptr_null(log);
	struct pipit_access_log_buffer *buffer = pipit_access_log_buffer_new(log);
	pipit_access_log_buffer_add(buffer, &hello);
	ck_assert(!pipit_access_log_buffer_has_lines(buffer));
	pipit_access_log_buffer_flush(buffer);
	ck_assert_int_eq(pipit_access_log_reopen(log), 0);
	ck_assert_uint_eq(pipit_access_log_dropped(log), 0);
	pipit_access_log_buffer_free(buffer);
	pipit_access_log_close(log);
	pipit_access_log_buffer_free(NULL);
}
END_TEST

START_TEST(returns_the_errno_of_a_destination_that_cannot_be_opened)
{
	struct pipit_access_log *log = NULL;
	ck_assert_int_eq(pipit_access_log_open(directory, false, &log), -EISDIR);
	ck_assert_int_eq(pipit_access_log_open("/nonexistent/access", false, &log), -ENOENT);
	ck_assert_int_eq(mkfifo(file_name, 0600), 0);
	ck_assert_int_eq(pipit_access_log_open(file_name, false, &log), -ENXIO);
	close(STDOUT_FILENO);
	ck_assert_int_eq(pipit_access_log_open("-", false, &log), -EBADF);
	ck_assert_ptr_null(log);
}
END_TEST

START_TEST(appends_to_a_file_of_mode_0640)
{
	struct stat status;
	mode_t mask = umask(0);
	close_log(open_log(file_name, false));
	umask(mask);
	ck_assert_int_eq(stat(file_name, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0640);
	for (int i = 0; i < 3; i++) {
		struct fixture fixture = open_log(file_name, false);
		pipit_access_log_buffer_add(fixture.buffer, &hello);
		close_log(fixture);
	}
	char *text = read_file(file_name);
	ck_assert_uint_eq(count_copies(text, HELLO_COMBINED), 3);
	free(text);
}
END_TEST

START_TEST(writes_nothing_before_the_flush)
{
	struct fixture fixture = open_log(file_name, false);
	ck_assert(!pipit_access_log_buffer_has_lines(fixture.buffer));
	pipit_access_log_buffer_add(fixture.buffer, &hello);
	ck_assert(pipit_access_log_buffer_has_lines(fixture.buffer));
	char *text = read_file(file_name);
	ck_assert_str_eq(text, "");
	free(text);
	pipit_access_log_buffer_flush(fixture.buffer);
	ck_assert(!pipit_access_log_buffer_has_lines(fixture.buffer));
	text = read_file(file_name);
	ck_assert_str_eq(text, HELLO_COMBINED);
	free(text);
	close_log(fixture);
}
END_TEST

START_TEST(flushes_to_a_file_with_one_write)
{
	struct fixture fixture = open_log(file_name, false);
	add_copies(fixture.buffer, 300); /* about 50 KiB: many times PIPE_BUF */
	watch_writes(SIZE_MAX);
	pipit_access_log_buffer_flush(fixture.buffer);
	pipit_access_log_buffer_flush(fixture.buffer); /* empty: no write */
	watched.is_armed = false;
	ck_assert_uint_eq(watched.calls, 1);
	close_log(fixture);
	char *text = read_file(file_name);
	ck_assert_uint_eq(count_copies(text, HELLO_COMBINED), 300);
	free(text);
}
END_TEST

START_TEST(flushes_when_the_buffer_is_full)
{
	struct fixture fixture = open_log(file_name, true);
	add_copies(fixture.buffer, 2000);
	char *text = read_file(file_name);
	ck_assert_uint_gt(count_copies(text, HELLO_JSON), 1000);
	free(text);
	close_log(fixture);
	text = read_file(file_name);
	ck_assert_uint_eq(count_copies(text, HELLO_JSON), 2000);
	free(text);
}
END_TEST

START_TEST(a_full_pipe_loses_whole_lines_and_counts_them)
{
	size_t length;
	ck_assert_int_eq(mkfifo(file_name, 0600), 0);
	int reader = open(file_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fcntl(reader, F_SETPIPE_SZ, 4096), 4096);
	struct fixture fixture = open_log(file_name, false);
	add_copies(fixture.buffer, 300);
	pipit_access_log_buffer_flush(fixture.buffer);
	add_copies(fixture.buffer, 5);
	pipit_access_log_buffer_flush(fixture.buffer);
	char *text = drain(reader, &length);
	unsigned arrived = count_copies(text, HELLO_COMBINED);
	free(text);
	ck_assert_uint_gt(arrived, 0);
	ck_assert_uint_lt(arrived, 300);
	ck_assert_uint_eq(pipit_access_log_dropped(fixture.log), 305 - arrived);
	add_copies(fixture.buffer, 3);
	pipit_access_log_buffer_flush(fixture.buffer);
	text = drain(reader, &length);
	ck_assert_uint_eq(count_copies(text, HELLO_COMBINED), 3);
	free(text);
	close_log(fixture);
	close(reader);
}
END_TEST

/* In a program that does not ignore SIGPIPE. */
START_TEST(a_pipe_without_a_reader_loses_lines_only)
{
	signal(SIGPIPE, SIG_DFL);
	ck_assert_int_eq(mkfifo(file_name, 0600), 0);
	int reader = open(file_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct fixture fixture = open_log(file_name, false);
	close(reader);
	add_copies(fixture.buffer, 7);
	pipit_access_log_buffer_flush(fixture.buffer);
	ck_assert_uint_eq(pipit_access_log_dropped(fixture.log), 7);
	close_log(fixture);
}
END_TEST

START_TEST(standard_output_without_a_reader_loses_lines_only)
{
	int ends[2];
	signal(SIGPIPE, SIG_DFL);
	ck_assert_int_eq(_i == 0 ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	struct fixture fixture = open_log("-", false);
	close(ends[0]);
	add_copies(fixture.buffer, 7);
	pipit_access_log_buffer_flush(fixture.buffer);
	ck_assert_uint_eq(pipit_access_log_dropped(fixture.log), 7);
	close_log(fixture);
	close(ends[1]);
}
END_TEST

START_TEST(standard_output_as_a_full_pipe_does_not_block_and_keeps_its_flags)
{
	int ends[2];
	size_t length;
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	struct fixture fixture = open_log("-", false);
	ck_assert_int_eq(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);
	add_copies(fixture.buffer, 300);
	pipit_access_log_buffer_flush(fixture.buffer);
	char *text = drain(ends[0], &length);
	ck_assert_uint_eq(pipit_access_log_dropped(fixture.log), 300 - count_copies(text, HELLO_COMBINED));
	free(text);
	ck_assert_int_eq(pipit_access_log_reopen(fixture.log), 0);
	close_log(fixture);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(standard_output_as_a_socket_takes_whole_lines_in_pieces_of_at_most_pipe_buf)
{
	int ends[2];
	char piece[65536];
	ssize_t length;
	unsigned arrived = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	struct fixture fixture = open_log("-", false);
	add_copies(fixture.buffer, 5000); /* more than the socket takes */
	pipit_access_log_buffer_flush(fixture.buffer);
	while ((length = read(ends[0], piece, sizeof(piece) - 1)) > 0) {
		ck_assert_int_le(length, PIPE_BUF);
		piece[length] = '\0';
		arrived += count_copies(piece, HELLO_COMBINED);
	}
	ck_assert_uint_gt(arrived, 0);
	ck_assert_uint_eq(pipit_access_log_dropped(fixture.log), 5000 - arrived);
	close_log(fixture);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* As descriptor 2 it would be standard error, and take messages. */
START_TEST(standard_output_as_a_file_does_not_become_standard_error_where_that_is_closed)
{
	int fd = open(file_name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	close(STDERR_FILENO);
	struct fixture fixture = open_log("-", false);
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFD), -1);
	close_log(fixture);
	close(fd);
}
END_TEST

START_TEST(standard_output_as_a_file_keeps_its_offset)
{
	int fd = open(file_name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	ck_assert_int_eq(syscall(SYS_write, fd, "first\n", 6), 6);
	struct fixture fixture = open_log("-", false);
	pipit_access_log_buffer_add(fixture.buffer, &hello);
	close_log(fixture);
	ck_assert_int_eq(syscall(SYS_write, fd, "last\n", 5), 5);
	close(fd);
	char *text = read_file(file_name);
	ck_assert_str_eq(text, "first\n" HELLO_COMBINED "last\n");
	free(text);
}
END_TEST

START_TEST(a_line_cut_by_a_full_disk_is_finished_before_the_next_one)
{
	size_t line = strlen(HELLO_COMBINED);
	struct fixture fixture = open_log(file_name, false);
	add_copies(fixture.buffer, 5);
	watch_writes(2 * line + (size_t)_i); /* two lines and a part of the third */
	pipit_access_log_buffer_flush(fixture.buffer);
	watch_writes(1); /* the rest of the third line is cut again */
	add_copies(fixture.buffer, 4);
	pipit_access_log_buffer_flush(fixture.buffer);
	watch_writes(SIZE_MAX);
	watched.failures = 1; /* too late for whole lines: the rest of the third line is still unwritten */
	add_copies(fixture.buffer, 3);
	pipit_access_log_buffer_flush(fixture.buffer);
	watched.is_armed = false;
	ck_assert_uint_eq(pipit_access_log_dropped(fixture.log), 9);
	add_copies(fixture.buffer, 2);
	close_log(fixture);
	char *text = read_file(file_name);
	ck_assert_uint_eq(count_copies(text, HELLO_COMBINED), 5);
	free(text);
}
END_TEST

/* ---------------------------------------------------------------- rotation */

START_TEST(writes_to_the_new_file_after_a_rotation)
{
	struct fixture fixture = open_log(file_name, false);
	add_copies(fixture.buffer, 2);
	pipit_access_log_buffer_flush(fixture.buffer);
	ck_assert_int_eq(rename(file_name, rotated_name), 0);
	add_copies(fixture.buffer, 3);
	pipit_access_log_buffer_flush(fixture.buffer);
	add_copies(fixture.buffer, 4); /* not lost, although the file changes before the flush */
	ck_assert_int_eq(pipit_access_log_reopen(fixture.log), 0);
	close_log(fixture);
	char *before = read_file(rotated_name), *after = read_file(file_name);
	ck_assert_uint_eq(count_copies(before, HELLO_COMBINED), 5);
	ck_assert_uint_eq(count_copies(after, HELLO_COMBINED), 4);
	free(before);
	free(after);
}
END_TEST

START_TEST(keeps_the_old_file_when_the_new_one_cannot_be_opened)
{
	struct fixture fixture = open_log(file_name, false);
	ck_assert_int_eq(rename(file_name, rotated_name), 0);
	ck_assert_int_eq(mkdir(file_name, 0700), 0);
	ck_assert_int_eq(pipit_access_log_reopen(fixture.log), -EISDIR);
	add_copies(fixture.buffer, 2);
	close_log(fixture);
	ck_assert_int_eq(rmdir(file_name), 0);
	char *text = read_file(rotated_name);
	ck_assert_uint_eq(count_copies(text, HELLO_COMBINED), 2);
	free(text);
}
END_TEST

START_TEST(never_writes_the_rest_of_a_line_to_the_new_file)
{
	struct fixture fixture = open_log(file_name, false);
	add_copies(fixture.buffer, 1);
	watch_writes(10);
	pipit_access_log_buffer_flush(fixture.buffer);
	ck_assert_int_eq(rename(file_name, rotated_name), 0);
	ck_assert_int_eq(pipit_access_log_reopen(fixture.log), 0);
	watched.is_armed = false;
	ck_assert_uint_eq(pipit_access_log_dropped(fixture.log), 1);
	add_copies(fixture.buffer, 2);
	close_log(fixture);
	char *text = read_file(file_name);
	ck_assert_uint_eq(count_copies(text, HELLO_COMBINED), 2);
	free(text);
}
END_TEST

START_TEST(notices_that_the_new_file_is_of_another_type)
{
	ck_assert_int_eq(mkfifo(file_name, 0600), 0);
	int reader = open(file_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct fixture fixture = open_log(file_name, false);
	ck_assert_int_eq(rename(file_name, rotated_name), 0);
	ck_assert_int_eq(pipit_access_log_reopen(fixture.log), 0);
	add_copies(fixture.buffer, 300);
	watch_writes(SIZE_MAX);
	pipit_access_log_buffer_flush(fixture.buffer);
	watched.is_armed = false;
	ck_assert_uint_eq(watched.calls, 1);
	close_log(fixture);
	close(reader);
}
END_TEST

static atomic_bool is_writing;

static void *write_many(void *log)
{
	struct pipit_access_log_buffer *buffer = pipit_access_log_buffer_new(log);
	for (int i = 0; i < 300; i++) {
		add_copies(buffer, 3);
		pipit_access_log_buffer_flush(buffer);
	}
	pipit_access_log_buffer_free(buffer);
	atomic_store(&is_writing, false);
	return NULL;
}

static unsigned count_and_remove(const char *name)
{
	char *text = read_file(name);
	unsigned count = count_copies(text, HELLO_COMBINED);
	free(text);
	return count;
}

START_TEST(loses_and_splits_no_line_while_files_rotate_under_two_writers)
{
	pthread_t threads[2];
	unsigned rotated = 0;
	struct pipit_access_log *log = NULL;
	ck_assert_int_eq(pipit_access_log_open(file_name, false, &log), 0);
	atomic_store(&is_writing, true);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, log), 0);
	while (atomic_load(&is_writing)) {
		ck_assert_int_eq(rename(file_name, rotated_name), 0);
		ck_assert_int_eq(pipit_access_log_reopen(log), 0);
		rotated += count_and_remove(rotated_name); /* no writer is left */
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(rotated + count_and_remove(file_name), 2 * 300 * 3);
	ck_assert_uint_eq(pipit_access_log_dropped(log), 0);
	pipit_access_log_close(log);
}
END_TEST

/* ---------------------------------------------------------------- suite */

static TCase *make_case(const char *name)
{
	TCase *tests = tcase_create(name);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	return tests;
}

static TCase *form_tests(void)
{
	TCase *tests = make_case("forms");
	tcase_add_test(tests, writes_the_combined_form);
	tcase_add_test(tests, writes_the_json_form);
	tcase_add_test(tests, writes_dashes_for_what_is_absent);
	tcase_add_test(tests, leaves_absent_members_out_of_json);
	tcase_add_test(tests, writes_dashes_for_null_strings);
	tcase_add_test(tests, writes_the_date_of_each_entry);
	tcase_add_loop_test(tests, writes_a_date_for_a_time_out_of_range, 0, 4);
	tcase_add_loop_test(tests, escapes_every_byte_in_combined, 0, 256);
	tcase_add_test(tests, keeps_characters_of_utf_8_in_json);
	tcase_add_loop_test(tests, cuts_no_character_of_utf_8_in_json, 0, 3);
	tcase_add_loop_test(tests, escapes_every_byte_in_json, 0, 256);
	tcase_add_test(tests, shows_the_user);
	tcase_add_loop_test(tests, marks_a_subject_that_is_cut, 0, 2);
	tcase_add_test(tests, escapes_the_route_and_the_id_too);
	tcase_add_test(tests, cuts_long_fields_at_512_bytes);
	tcase_add_test(tests, cuts_a_field_full_of_escapes_at_1024_bytes_of_output);
	tcase_add_test(tests, fills_a_field_with_escapes_to_its_last_byte);
	tcase_add_loop_test(tests, fits_the_longest_json_line_into_one_atomic_write, 0, 5);
	tcase_add_loop_test(tests, fits_the_longest_combined_line_into_one_atomic_write, 0, 5);
	tcase_add_test(tests, json_lines_parse_to_the_logged_values);
	return tests;
}

static TCase *destination_tests(void)
{
	TCase *tests = make_case("destinations");
	tcase_add_test(tests, off_opens_no_log);
	tcase_add_test(tests, returns_the_errno_of_a_destination_that_cannot_be_opened);
	tcase_add_test(tests, appends_to_a_file_of_mode_0640);
	tcase_add_test(tests, writes_nothing_before_the_flush);
	tcase_add_test(tests, flushes_to_a_file_with_one_write);
	tcase_add_test(tests, flushes_when_the_buffer_is_full);
	tcase_add_test(tests, a_full_pipe_loses_whole_lines_and_counts_them);
	tcase_add_test(tests, a_pipe_without_a_reader_loses_lines_only);
	tcase_add_loop_test(tests, standard_output_without_a_reader_loses_lines_only, 0, 2);
	tcase_add_test(tests, standard_output_as_a_full_pipe_does_not_block_and_keeps_its_flags);
	tcase_add_test(tests, standard_output_as_a_socket_takes_whole_lines_in_pieces_of_at_most_pipe_buf);
	tcase_add_test(tests, standard_output_as_a_file_does_not_become_standard_error_where_that_is_closed);
	tcase_add_test(tests, standard_output_as_a_file_keeps_its_offset);
	tcase_add_loop_test(tests, a_line_cut_by_a_full_disk_is_finished_before_the_next_one, 1, 20);
	return tests;
}

static TCase *rotation_tests(void)
{
	TCase *tests = make_case("rotation");
	tcase_add_test(tests, writes_to_the_new_file_after_a_rotation);
	tcase_add_test(tests, keeps_the_old_file_when_the_new_one_cannot_be_opened);
	tcase_add_test(tests, notices_that_the_new_file_is_of_another_type);
	tcase_add_test(tests, never_writes_the_rest_of_a_line_to_the_new_file);
	tcase_add_test(tests, loses_and_splits_no_line_while_files_rotate_under_two_writers);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("access log");
	suite_add_tcase(suite, form_tests());
	suite_add_tcase(suite, destination_tests());
	suite_add_tcase(suite, rotation_tests());
	return run_suite(suite);
}
