/* SPDX-License-Identifier: MIT */
/*
 * A program's own settings store: checks and notifications, concurrent reads and changes by other threads, and pending changes
 * when the server is freed. Also the typed getters.
 */
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/pipit-settings-XXXXXX", file[sizeof folder + 16];
static struct pipit_settings *settings;
static struct pipit_server *server;
static pthread_t server_thread;
static int server_result;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char told[4096];
static int checks;

/* --- checks of the program ---------------------------------------------------------------------------------------- */

static const char *const modes[] = { "auto", "manual", "off", NULL };
static const char *const known[] = { "mtu", "hostname", "mode", "dhcp", "gain", "serial", "more", "count", NULL };

static void check(struct pipit_reader *reader, void *arg)
{
	++*(int *)arg;
	pipit_read_only(reader, "", known);
	pipit_read_integer(reader, "/mtu", 1500, 576, 9216);
	pipit_read_string(reader, "/hostname", "", 1, 63);
	pipit_read_choice(reader, "/mode", "auto", modes);
	pipit_read_boolean(reader, "/dhcp", true);
	pipit_read_number(reader, "/gain", 1.0, 0.5, 4.0);
	pipit_read_integer(reader, "/serial", 0, 0, INT64_MAX);
	if (pipit_read_integer(reader, "/mtu", 1500, 0, 100000) == 1300)
		pipit_read_refuse(reader, "/mtu", "must not be %d", 1300);
}

static void changed(const struct cJSON *now, void *arg)
{
	char *text = cJSON_PrintUnformatted(now);
	(void)arg;
	pthread_mutex_lock(&lock);
	snprintf(told + strlen(told), sizeof told - strlen(told), "%.200s;", text);
	pthread_mutex_unlock(&lock);
	free(text);
}

/* --- set-up ---------------------------------------------------------------------------------------------------------------- */

static void open_settings(void)
{
	struct pipit_settings_options options = { .file = file, .max_bytes = 4096 };
	char error[512];
	if (pipit_settings_open(&options, &settings, error, sizeof error) != 0)
		ck_abort_msg("%s", error);
}

static void set_up(void)
{
	strcpy(strrchr(folder, '-'), "-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/s.json", folder);
	told[0] = '\0';
	checks = 0;
	open_settings();
}

static void tear_down(void)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	pipit_settings_free(settings);
	settings = NULL;
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	rmdir(folder);
}

/* A handler that reads its body with a reader. */
static void read_content(struct pipit_request *request, void *arg)
{
	static const char *const names[] = { "hostname", "mtu", "gain", NULL };
	cJSON *doc = pipit_request_json(request);
	struct pipit_reader reader = { .doc = doc };
	int64_t mtu;
	double gain;
	const char *name;
	char text[100];
	(void)arg;

	if (!doc)
		return;
	pipit_read_require(&reader, "/hostname");
	mtu = pipit_read_integer(&reader, "/mtu", 1500, 576, 9216);
	name = pipit_read_string(&reader, "/hostname", "", 1, 63);
	gain = pipit_read_number(&reader, "/gain", 1.0, 0.5, 4.0);
	pipit_read_only(&reader, "", names);
	if (pipit_read_finish(&reader, request)) {
		snprintf(text, sizeof text, "%s %lld %g", name, (long long)mtu, gain);
		pipit_reply_text(request, 200, text);
	}
	cJSON_Delete(doc);
}

static struct pipit_server *new_server(uint64_t workers)
{
	struct pipit_config config;
	struct pipit_server *made;
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = workers;
	config.log_level = "error";
	made = pipit_server_new(&config);
	ck_assert_ptr_nonnull(made);
	ck_assert_int_eq(pipit_route_settings(made, "/s", settings), 0);
	ck_assert_int_eq(pipit_route(made, PIPIT_POST, "/read", read_content, NULL), 0);
	ck_assert_int_eq(pipit_route(made, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL), 0);
	ck_assert_int_eq(pipit_server_listen(made), 0);
	return made;
}

static unsigned port_of(const struct pipit_server *listening)
{
	return (unsigned)strtoul(strrchr(pipit_server_url(listening, 0), ':') + 1, NULL, 10);
}

static void *run(void *arg)
{
	server_result = pipit_server_run(arg);
	return NULL;
}

static int start(void)
{
	server = new_server(2);
	ck_assert_int_eq(pthread_create(&server_thread, NULL, run, server), 0);
	return wire_connect(port_of(server));
}

static void stop(int client)
{
	close(client);
	pipit_server_drain(server);
	pthread_join(server_thread, NULL);
	ck_assert_int_eq(server_result, 0);
	pipit_server_free(server);
}

#define CHANGE(method, type, path, content)                                                                \
	method " " path " HTTP/1.1\r\nHost: x\r\nContent-Type: " type "\r\nContent-Length: %zu\r\n\r\n%s", \
	    strlen(content), content

static void expect(struct wire_response response, int status, const char *held)
{
	if (response.status != status || (held && !strstr(response.content, held)))
		ck_abort_msg("%d %s: not %d %s", response.status, response.content, status, held ? held : "");
	wire_free(&response);
}

static void expect_get(int client, const char *path, const char *content)
{
	struct wire_response response = wire_ask(client, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, content);
	wire_free(&response);
}

static int merge(const char *pointer, const char *patch)
{
	char error[512];
	return pipit_settings_merge(settings, pointer, cJSON_Parse(patch), error, sizeof error);
}

/* --- validation of changes ---------------------------------------------------------------------------------------- */

START_TEST(a_check_refuses_with_all_errors)
{
	static const char wrong[] =
	    "{\"mtu\":100,\"hostname\":\"\",\"mode\":\"fast\",\"dhcp\":1,\"gain\":5,\"serial\":1.5,\"odd/one\":1}";
	static const char *const violations[] = {
		"{\"detail\":\"must be an integer from 576 to 9216\",\"pointer\":\"#/mtu\"}",
		"{\"detail\":\"must be a string of 1 to 63 bytes\",\"pointer\":\"#/hostname\"}",
		"{\"detail\":\"must be \\\"auto\\\", \\\"manual\\\" or \\\"off\\\"\",\"pointer\":\"#/mode\"}",
		"{\"detail\":\"must be true or false\",\"pointer\":\"#/dhcp\"}",
		"{\"detail\":\"must be a number from 0.5 to 4\",\"pointer\":\"#/gain\"}",
		"{\"detail\":\"must be an integer from 0 to 9223372036854775807\",\"pointer\":\"#/serial\"}",
		"{\"detail\":\"is not known here\",\"pointer\":\"#/odd~1one\"}"
	};
	struct wire_response response;
	int client;

	ck_assert_int_eq(pipit_settings_on_change(settings, check, changed, &checks), 0);
	client = start();
	response = wire_ask(client, CHANGE("PUT", "application/json", "/s", wrong));
	ck_assert_int_eq(response.status, 422);
	ck_assert_str_eq(wire_field(&response, "Content-Type"), "application/problem+json");
	for (size_t i = 0; i < sizeof violations / sizeof *violations; i++)
		ck_assert_ptr_nonnull(strstr(response.content, violations[i]));
	wire_free(&response);
	expect(wire_ask(client, CHANGE("PUT", "application/json", "/s/mtu", "1300")), 422, "must not be 1300");
	expect_get(client, "/s", "{}");
	ck_assert_str_eq(told, "");
	/* A change is reported once it is kept. */
	expect(wire_ask(client, CHANGE("PUT", "application/json", "/s",
				    "{\"mtu\":1e3,\"serial\":9223372036854775807,\"mode\":\"off\"}")),
	    204, NULL);
	expect_get(client, "/s/serial", "9223372036854775807");
	pthread_mutex_lock(&lock);
	ck_assert_ptr_nonnull(strstr(told, "\"mtu\":1000"));
	pthread_mutex_unlock(&lock);
	stop(client);
}
END_TEST

START_TEST(a_handler_refuses_with_all_errors)
{
	int client = start();
	struct wire_response response;

	expect(wire_ask(client, CHANGE("POST", "application/json", "/read", "{\"hostname\":\"a\"}")), 200, "a 1500");
	expect(wire_ask(client, CHANGE("POST", "application/json", "/read", "{\"hostname\":\"b\",\"mtu\":1e3}")), 200,
	    "b 1000");
	response = wire_ask(client, CHANGE("POST", "application/json", "/read", "{\"mtu\":null}"));
	ck_assert_int_eq(response.status, 422);
	ck_assert_str_eq(wire_field(&response, "Content-Type"), "application/problem+json");
	ck_assert_ptr_nonnull(strstr(response.content, "\"detail\":\"2 values are not valid: see errors.\""));
	ck_assert_ptr_nonnull(strstr(response.content, "{\"detail\":\"is missing\",\"pointer\":\"#/hostname\"}"));
	ck_assert_ptr_nonnull(
	    strstr(response.content, "{\"detail\":\"must be an integer from 576 to 9216\",\"pointer\":\"#/mtu\"}"));
	wire_free(&response);
	expect(wire_ask(client, CHANGE("POST", "application/json", "/read", "{\"hostname\":5}")), 422,
	    "1 value is not valid");
	stop(client);
}
END_TEST

static const struct {
	const char *gain;
	int status;
	const char *text;
} gains[] = {
	{ "0.5", 200, "a 1500 0.5" },
	{ "4", 200, "a 1500 4" },
	{ "2.25e0", 200, "a 1500 2.25" },
	{ "0.49", 422, "must be a number from 0.5 to 4" },
	{ "4.01", 422, "must be a number from 0.5 to 4" },
	{ "\"2\"", 422, "must be a number from 0.5 to 4" },
};

START_TEST(a_handler_reads_a_number_within_its_range)
{
	int client = start();
	char content[64];

	snprintf(content, sizeof content, "{\"hostname\":\"a\",\"gain\":%s}", gains[_i].gain);
	expect(
	    wire_ask(client, CHANGE("POST", "application/json", "/read", content)), gains[_i].status, gains[_i].text);
	stop(client);
}
END_TEST

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;
	while ((text = strstr(text, part)) != NULL)
		text += strlen(part), count++;
	return count;
}

static const struct {
	int violations;
	size_t listed;
	const char *detail;
} many[] = {
	{ 32, 32, "\"32 values are not valid: see errors.\"" },
	{ 33, 32, "\"33 values are not valid; errors lists the first 32.\"" },
	{ 100, 32, "\"100 values are not valid; errors lists the first 32.\"" },
};

/* By a handler, and by the check of a store. */
START_TEST(the_first_32_violations_are_listed)
{
	static const char *const requests[] = { "POST /read", "PUT /s" };
	char content[4096] = "{\"hostname\":\"a\"", *at = content + strlen(content);
	int client;

	ck_assert_int_eq(pipit_settings_on_change(settings, check, NULL, &checks), 0);
	client = start();
	for (int i = 0; i < many[_i].violations; i++)
		at += sprintf(at, ",\"x%d\":%d", i, i);
	strcpy(at, "}");
	for (size_t i = 0; i < 2; i++) {
		struct wire_response response = wire_ask(client,
		    "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		    requests[i], strlen(content), content);
		ck_assert_int_eq(response.status, 422);
		ck_assert_uint_eq(count_of(response.content, "is not known here"), many[_i].listed);
		if (i == 0)
			ck_assert_msg(strstr(response.content, many[_i].detail) != NULL, "%s", response.content);
		wire_free(&response);
	}
	stop(client);
}
END_TEST

START_TEST(settings_that_fail_the_check_are_reported_at_once)
{
	ck_assert_int_eq(merge("", "{\"mtu\":5}"), 0);
	ck_assert_int_eq(pipit_settings_on_change(settings, check, changed, &checks), -EINVAL);
	ck_assert_int_eq(checks, 1);
}
END_TEST

START_TEST(a_reload_is_checked_too)
{
	FILE *stream;
	ck_assert_int_eq(pipit_settings_on_change(settings, check, changed, &checks), 0);
	ck_assert_int_eq(merge("", "{\"mtu\":1400}"), 0);
	stream = fopen(file, "w");
	fputs("{\"mtu\":1}", stream);
	fclose(stream);
	ck_assert_int_eq(pipit_settings_reload(settings), 0);
	/* After it in the queue. */
	ck_assert_int_eq(merge("", "{\"dhcp\":true}"), 0);
	ck_assert_str_eq(told, "{\"mtu\":1400};{\"mtu\":1400,\"dhcp\":true};");
}
END_TEST

static void edit(const char *text)
{
	FILE *stream = fopen(file, "w");
	fputs(text, stream);
	fclose(stream);
	ck_assert_int_eq(pipit_settings_reload(settings), 0);
	/* after it in the queue */
	ck_assert_int_eq(merge("/absent", "{}"), -ENOENT);
}

START_TEST(a_reload_reports_new_settings_only)
{
	ck_assert_int_eq(pipit_settings_on_change(settings, check, changed, &checks), 0);
	edit("{ \"mtu\": 1400 }");
	ck_assert_str_eq(told, "{\"mtu\":1400};");
	edit("{ \"mtu\": 1400 }");
	edit("{\n\t\"mtu\":\t1400\n}\n");
	ck_assert_str_eq(told, "{\"mtu\":1400};");
	edit("{\"mtu\":");
	edit("{\"mtu\":1}");
	ck_assert_str_eq(told, "{\"mtu\":1400};");
	edit("{\"mtu\":1401}");
	ck_assert_str_eq(told, "{\"mtu\":1400};{\"mtu\":1401};");
}
END_TEST

/* --- a program's own changes ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *pointer, *patch;
	int result;
} merges[] = {
	{ "", "{\"a\":1}", 0 },
	{ "/known", "{\"x\":null}", 0 },
	{ "/known", "7", 0 },
	{ "/unknown", "{}", -ENOENT },
	{ "no pointer", "{}", -EINVAL },
	{ "", "7", -EINVAL },
	{ "", "no JSON", -ENOMEM },
};

START_TEST(a_program_gets_the_result_of_each_change)
{
	ck_assert_int_eq(merge("", "{\"known\":{\"x\":1}}"), 0);
	ck_assert_int_eq(merge(merges[_i].pointer, merges[_i].patch), merges[_i].result);
}
END_TEST

/* It would be refused when it is read again. */
START_TEST(a_program_cannot_store_invalid_json)
{
	cJSON *twice = cJSON_CreateObject(), *list = cJSON_CreateArray();
	char error[512] = "";

	cJSON_AddNumberToObject(twice, "a", 1);
	cJSON_AddNumberToObject(twice, "a", 2);
	ck_assert_int_eq(pipit_settings_merge(settings, "", twice, error, sizeof error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "twice"));
	twice = cJSON_CreateObject();
	cJSON_AddItemToArray(list, cJSON_CreateRaw("tru"));
	cJSON_AddItemToObject(twice, "list", list);
	ck_assert_int_eq(pipit_settings_merge(settings, "", twice, error, sizeof error), -EINVAL);
	twice = cJSON_CreateObject();
	cJSON_AddStringToObject(twice, "text", "\xff");
	ck_assert_int_eq(pipit_settings_merge(settings, "", twice, error, sizeof error), -EINVAL);
	twice = cJSON_CreateObject();
	for (int i = 0; i < 300; i++)
		cJSON_AddStringToObject(
		    twice, (char[]){ (char)('a' + i % 26), (char)('a' + i / 26), '\0' }, "ten bytes.");
	ck_assert_int_eq(pipit_settings_merge(settings, "", twice, error, sizeof error), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(error, "4096"));
}
END_TEST

START_TEST(gives_copies_of_values)
{
	cJSON *value;
	ck_assert_int_eq(merge("", "{\"a\":{\"b\":[1,9007199254740993]}}"), 0);
	value = pipit_settings_get(settings, "/a/b/1");
	ck_assert_ptr_nonnull(value);
	cJSON_Delete(value);
	ck_assert_ptr_null(pipit_settings_get(settings, "/a/c"));
	ck_assert_ptr_null(pipit_settings_get(settings, "a"));
	value = pipit_settings_get(settings, "");
	ck_assert(cJSON_IsObject(value));
	cJSON_Delete(value);
}
END_TEST

/* --- at once ------------------------------------------------------------------------------------------------------------------ */

enum { THREADS = 6, CHANGES = 60 };
static _Atomic bool is_over;
static _Atomic int reads, wrong_reads;

static void *change_often(void *arg)
{
	int number = *(int *)arg;
	for (int i = 1; i <= CHANGES; i++) {
		char patch[64], error[256];
		snprintf(patch, sizeof patch, "{\"t%d\":{\"one\":%d,\"two\":%d}}", number, i, i);
		if (pipit_settings_merge(settings, "", cJSON_Parse(patch), error, sizeof error) != 0)
			wrong_reads++;
	}
	return NULL;
}

/* Both halves of a member must be of one change. */
static void *read_often(void *arg)
{
	char pointer[8];
	snprintf(pointer, sizeof pointer, "/t%d", *(int *)arg);
	while (!is_over) {
		cJSON *value = pipit_settings_get(settings, pointer);
		if (value &&
		    cJSON_GetObjectItem(value, "one")->valuedouble != cJSON_GetObjectItem(value, "two")->valuedouble)
			wrong_reads++;
		reads += value != NULL;
		cJSON_Delete(value);
	}
	return NULL;
}

START_TEST(threads_change_and_read_concurrently)
{
	pthread_t writers[THREADS], readers[2];
	int numbers[THREADS];

	is_over = false;
	reads = wrong_reads = 0;
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&writers[i], NULL, change_often, &numbers[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&readers[i], NULL, read_often, &numbers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(writers[i], NULL);
	is_over = true;
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	ck_assert_int_eq(wrong_reads, 0);
	ck_assert_int_gt(reads, 0);
	/* Another process reads all of it. */
	pipit_settings_free(settings);
	open_settings();
	for (int i = 0; i < THREADS; i++) {
		char pointer[16];
		cJSON *value;
		snprintf(pointer, sizeof pointer, "/t%d/one", i);
		value = pipit_settings_get(settings, pointer);
		ck_assert_ptr_nonnull(value);
		ck_assert_int_eq((int)value->valuedouble, CHANGES);
		cJSON_Delete(value);
	}
}
END_TEST

/* --- the end ------------------------------------------------------------------------------------------------------------------- */

static void slow_check(struct pipit_reader *reader, void *arg)
{
	const struct timespec moment = { 0, 20 * 1000 * 1000 };
	(void)reader;
	(void)arg;
	nanosleep(&moment, NULL);
}

/* Attached to a loop that does not run any more, with pending changes. */
START_TEST(a_server_is_freed_while_changes_are_pending)
{
	struct event_base *base = event_base_new();
	int clients[8];
	cJSON *value;

	ck_assert_int_eq(pipit_settings_on_change(settings, slow_check, NULL, NULL), 0);
	server = new_server(1);
	ck_assert_int_eq(pipit_server_attach(server, base), 0);
	for (int i = 0; i < 8; i++) {
		char content[32];
		snprintf(content, sizeof content, "{\"c%d\":%d}", i, i);
		clients[i] = wire_connect(port_of(server));
		ck_assert(wire_print(clients[i], CHANGE("PATCH", "application/merge-patch+json", "/s", content)));
	}
	/* One client closes before its response. */
	close(clients[7]);
	for (int i = 0; i < 200; i++) {
		const struct timespec moment = { 0, 200 * 1000 };
		event_base_loop(base, EVLOOP_NONBLOCK);
		nanosleep(&moment, NULL);
		/* Waits until all requests are read, while few changes are done. */
		if (pipit_server_connections(server) == 8 && i > 20)
			break;
	}
	pipit_server_free(server);
	for (int i = 0; i < 7; i++)
		close(clients[i]);
	event_base_free(base);
	/* The change that was being applied is still made. */
	value = pipit_settings_get(settings, "/c0");
	ck_assert_ptr_nonnull(value);
	cJSON_Delete(value);
}
END_TEST

static atomic_bool is_entered, is_freeing;
static pid_t main_thread;

static bool is_asleep(pid_t thread)
{
	char name[64], text[256] = "";
	FILE *stream;

	snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)thread);
	stream = fopen(name, "r");
	ck_assert_ptr_nonnull(stream);
	ck_assert_ptr_nonnull(fgets(text, sizeof text, stream));
	fclose(stream);
	return strstr(text, ") S ") != NULL;
}

/* Lasts until the main thread waits in pipit_server_free(). */
static void lasting_check(struct pipit_reader *reader, void *arg)
{
	const struct timespec moment = { 0, 1000 * 1000 };
	(void)reader;
	if (++*(int *)arg == 1)
		return;
	is_entered = true;
	while (!is_freeing || !is_asleep(main_thread))
		nanosleep(&moment, NULL);
}

START_TEST(a_server_that_ends_refuses_the_changes_that_wait)
{
	struct event_base *base = event_base_new();
	int clients[8], kept;
	cJSON *doc;

	is_entered = is_freeing = false;
	main_thread = gettid();
	ck_assert_int_eq(pipit_settings_on_change(settings, lasting_check, NULL, &checks), 0);
	server = new_server(1);
	ck_assert_int_eq(pipit_server_attach(server, base), 0);
	for (int i = 0; i < 8; i++) {
		char content[32];
		snprintf(content, sizeof content, "{\"c%d\":%d}", i, i);
		clients[i] = wire_connect(port_of(server));
		ck_assert(wire_print(clients[i], CHANGE("PATCH", "application/merge-patch+json", "/s", content)));
	}
	while (!is_entered || pipit_server_connections(server) < 8)
		event_base_loop(base, EVLOOP_NONBLOCK);
	/* the requests of all connections are read */
	for (int i = 0; i < 8; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	is_freeing = true;
	pipit_server_free(server);
	doc = pipit_settings_get(settings, "");
	kept = cJSON_GetArraySize(doc);
	cJSON_Delete(doc);
	for (int i = 0; i < 8; i++)
		close(clients[i]);
	event_base_free(base);
	ck_assert_int_eq(kept, 1);
	ck_assert_int_eq(checks, 2);
	/* the store goes on for the program */
	ck_assert_int_eq(pipit_settings_on_change(settings, NULL, NULL, NULL), 0);
	ck_assert_int_eq(merge("", "{\"more\":1}"), 0);
}
END_TEST

/* Lasts until it is released. */
static void held_check(struct pipit_reader *reader, void *released)
{
	const struct timespec moment = { 0, 1000 * 1000 };
	(void)reader;
	is_entered = true;
	while (!*(atomic_bool *)released)
		nanosleep(&moment, NULL);
}

static bool was_entered(void *arg)
{
	(void)arg;
	return is_entered;
}

/* The readable one, once there is one. */
static int find_answered(const int *clients, int count)
{
	for (;;) {
		for (int i = 0; i < count; i++) {
			if (wire_is_readable(clients[i], 1))
				return i;
		}
	}
}

START_TEST(a_full_queue_refuses_changes_until_there_is_room)
{
	enum { ROOM = 64 };
	static atomic_bool is_released;
	int client, clients[ROOM + 1], answered;
	char content[4051];
	struct wire_response response;

	is_entered = false;
	is_released = true;
	ck_assert_int_eq(pipit_settings_on_change(settings, held_check, NULL, &is_released), 0);
	is_entered = is_released = false;
	client = start();
	memset(content, 'x', sizeof content - 1);
	content[0] = content[sizeof content - 2] = '"';
	content[sizeof content - 1] = '\0';
	ck_assert(wire_print(client, CHANGE("PUT", "application/json", "/s/more", "1")));
	ck_assert(wire_wait(was_entered, NULL));
	/* 64 documents of 4 KiB are all that may wait */
	for (int i = 0; i <= ROOM; i++) {
		clients[i] = wire_connect(port_of(server));
		ck_assert(wire_print(clients[i], CHANGE("PUT", "application/json", "/s/more", content)));
	}
	answered = find_answered(clients, ROOM + 1);
	response = wire_read(clients[answered], false);
	ck_assert_int_eq(response.status, 503);
	ck_assert_str_eq(wire_field(&response, "Retry-After"), "1");
	ck_assert_ptr_nonnull(strstr(response.content, "Too many changes are waiting; try again soon."));
	wire_free(&response);
	is_released = true;
	expect(wire_read(client, false), 201, NULL);
	for (int i = 0; i <= ROOM; i++) {
		if (i != answered)
			expect(wire_read(clients[i], false), 204, NULL);
	}
	expect(wire_ask(clients[answered], CHANGE("PUT", "application/json", "/s/more", "2")), 204, NULL);
	for (int i = 0; i <= ROOM; i++)
		close(clients[i]);
	stop(client);
}
END_TEST

struct buffered {
	int client;
	double least, most;
};

static bool is_buffered(void *arg)
{
	const struct buffered *wanted = arg;
	struct wire_response response = wire_get(wanted->client, "/metrics");
	double bytes = wire_metric(response.content, "pipit_buffered_bytes");
	wire_free(&response);
	return bytes >= wanted->least && bytes <= wanted->most;
}

static bool is_alone(void *client)
{
	struct wire_response response = wire_get(*(int *)client, "/metrics");
	double count = wire_metric(response.content, "http_connections{state=\"handling\"}");
	wire_free(&response);
	return count <= 1;
}

START_TEST(a_change_that_waits_counts_as_memory_also_without_its_client)
{
	enum { CLIENTS = 10 };
	static atomic_bool is_released;
	struct buffered waiting = { .least = CLIENTS * 4000.0, .most = 1e9 }, none = { .most = 2000 };
	int clients[CLIENTS];
	char content[4001];
	bool counts_with_client, counts_without;

	is_entered = false;
	is_released = true;
	ck_assert_int_eq(pipit_settings_on_change(settings, held_check, NULL, &is_released), 0);
	is_entered = is_released = false;
	waiting.client = none.client = start();
	memset(content, 'x', sizeof content - 1);
	content[0] = content[sizeof content - 2] = '"';
	content[sizeof content - 1] = '\0';
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = wire_connect(port_of(server));
		ck_assert(wire_print(clients[i], CHANGE("PUT", "application/json", "/s/more", content)));
	}
	counts_with_client = wire_wait(is_buffered, &waiting);
	/* by resets */
	for (int i = 0; i < CLIENTS; i++) {
		setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
		close(clients[i]);
	}
	counts_without = wire_wait(is_alone, &waiting.client) && is_buffered(&waiting);
	/* before an assertion may end the test: its end waits for the check */
	is_released = true;
	ck_assert(counts_with_client);
	ck_assert(counts_without);
	ck_assert(wire_wait(is_buffered, &none));
	stop(waiting.client);
}
END_TEST

START_TEST(one_store_serves_several_servers)
{
	struct pipit_server *other = new_server(1);
	struct event_base *base = event_base_new();
	int client = start();

	ck_assert_int_eq(pipit_server_attach(other, base), 0);
	expect(wire_ask(client, CHANGE("PUT", "application/json", "/s/more", "[1]")), 201, NULL);
	expect_get(client, "/s/more/0", "1");
	pipit_server_free(other);
	event_base_free(base);
	expect_get(client, "/s/more", "[1]");
	stop(client);
}
END_TEST

START_TEST(options_are_checked)
{
	static const struct pipit_settings_options wrong[] = { { .file = NULL }, { .file = "" },
		{ .file = "/tmp/x", .max_bytes = 1023 }, { .file = "/tmp/x", .max_bytes = (16u << 20) + 1 },
		{ .file = "/tmp/x", .max_depth = 513 } };
	/* Checked before the lock, which another store has. */
	const struct pipit_settings_options right[] = { { .file = file, .max_bytes = 1024 },
		{ .file = file, .max_bytes = 16u << 20 }, { .file = file, .max_depth = 512 },
		{ .file = file, .max_depth = 1 } };
	struct pipit_settings *other;
	char error[512];
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		ck_assert_int_eq(pipit_settings_open(&wrong[i], &other, error, sizeof error), -EINVAL);
		ck_assert_ptr_nonnull(strstr(error, "name a file"));
	}
	for (size_t i = 0; i < sizeof right / sizeof *right; i++)
		ck_assert_int_eq(pipit_settings_open(&right[i], &other, error, sizeof error), -EBUSY);
	ck_assert_int_eq(
	    pipit_settings_open(&(struct pipit_settings_options){ .file = file }, &other, NULL, 0), -EBUSY);
	pipit_settings_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings_store");
	TCase *tests = tcase_create("settings_store");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_check_refuses_with_all_errors);
	tcase_add_test(tests, a_handler_refuses_with_all_errors);
	tcase_add_loop_test(tests, a_handler_reads_a_number_within_its_range, 0, sizeof gains / sizeof *gains);
	tcase_add_loop_test(tests, the_first_32_violations_are_listed, 0, sizeof many / sizeof *many);
	tcase_add_test(tests, a_reload_reports_new_settings_only);
	tcase_add_test(tests, a_full_queue_refuses_changes_until_there_is_room);
	tcase_add_test(tests, a_change_that_waits_counts_as_memory_also_without_its_client);
	tcase_add_test(tests, settings_that_fail_the_check_are_reported_at_once);
	tcase_add_test(tests, a_reload_is_checked_too);
	tcase_add_loop_test(tests, a_program_gets_the_result_of_each_change, 0, sizeof merges / sizeof *merges);
	tcase_add_test(tests, a_program_cannot_store_invalid_json);
	tcase_add_test(tests, gives_copies_of_values);
	tcase_add_test(tests, threads_change_and_read_concurrently);
	tcase_add_test(tests, a_server_is_freed_while_changes_are_pending);
	tcase_add_test(tests, a_server_that_ends_refuses_the_changes_that_wait);
	tcase_add_test(tests, one_store_serves_several_servers);
	tcase_add_test(tests, options_are_checked);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
