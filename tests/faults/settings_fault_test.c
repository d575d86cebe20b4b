/* SPDX-License-Identifier: MIT */
/*
 * Each allocation of the store and of its HTTP fails once, and each system call of a write: the client gets 503 (507 when
 * the disk is full) and nothing has changed, or the right answer and the change is in the file. Then the store works again.
 */
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---------------------------------------------------------------- the calls that fail */

enum call { MEMORY, OPENAT, WRITE, FSYNC, FCHMOD, LINKAT, RENAMEAT, CALLS };

static struct {
	enum call call;
	int error;
	atomic_uint asked[CALLS];
	unsigned at;        /* the call that fails, from 1; 0: none */
	atomic_bool is_set; /* publishes the other members */
} plan;

/* The client's own calls do not fail. */
static _Thread_local bool is_exempt;

static bool fails(enum call call)
{
	if (is_exempt || !plan.is_set || plan.call != call || ++plan.asked[call] != plan.at)
		return false;
	errno = plan.error;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
int __real_openat(int directory, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *bytes, size_t length);
int __real_fsync(int fd);
int __real_fchmod(int fd, mode_t mode);
int __real_linkat(int from, const char *name, int to, const char *other, int flags);
int __real_renameat(int from, const char *name, int to, const char *other);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_openat(int directory, const char *name, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
int __wrap_fsync(int fd);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_linkat(int from, const char *name, int to, const char *other, int flags);
int __wrap_renameat(int from, const char *name, int to, const char *other);

void *__wrap_malloc(size_t size)
{
	return fails(MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails(MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails(MEMORY) ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
	return fails(MEMORY) ? NULL : __real_strdup(text);
}

int __wrap_openat(int directory, const char *name, int flags, ...)
{
	va_list arguments;
	unsigned mode;
	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
	va_end(arguments);
	return fails(OPENAT) ? -1 : __real_openat(directory, name, flags, mode);
}

/* Of the file: other writes go to eventfds and messages. */
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	if (fd == STDERR_FILENO)
		return (ssize_t)length;
	return length != sizeof(uint64_t) && fails(WRITE) ? -1 : __real_write(fd, bytes, length);
}

/* Its name where files are large by _FILE_OFFSET_BITS. */
int __wrap_openat64(int directory, const char *name, int flags, ...) __attribute__((alias("__wrap_openat")));

int __wrap_fsync(int fd)
{
	return fails(FSYNC) ? -1 : __real_fsync(fd);
}

int __wrap_fchmod(int fd, mode_t mode)
{
	return fails(FCHMOD) ? -1 : __real_fchmod(fd, mode);
}

int __wrap_linkat(int from, const char *name, int to, const char *other, int flags)
{
	return fails(LINKAT) ? -1 : __real_linkat(from, name, to, other, flags);
}

int __wrap_renameat(int from, const char *name, int to, const char *other)
{
	return fails(RENAMEAT) ? -1 : __real_renameat(from, name, to, other);
}

static void arm(enum call call, int error, unsigned at)
{
	plan.call = call;
	plan.error = error;
	plan.at = at;
	plan.asked[call] = 0;
	plan.is_set = true;
}

static void disarm(void)
{
	plan.is_set = false;
}

/* ---------------------------------------------------------------- the store, its server and a client */

/* Patches index the list. */
static char before[2048];

static char folder[] = "/tmp/pipit-fault-XXXXXX", file[sizeof folder + 16];
static struct pipit_settings *settings;
static struct pipit_server *server;
static pthread_t server_thread;
static unsigned port;
static int client = -1;

static void *run(void *arg)
{
	(void)arg;
	return pipit_server_run(server) == 0 ? server : NULL;
}

static void check(struct pipit_reader *reader, void *arg)
{
	(void)arg;
	pipit_read_integer(reader, "/n", 0, 0, 100);
}

static void set_up(void)
{
	struct wire_response response;
	static cJSON_Hooks hooks = { __wrap_malloc, free };
	struct pipit_settings_options options = { .file = file };
	struct pipit_config config;
	char error[256], *at = before + sprintf(before, "{\"n\":1,\"a/b\":{\"c\":[true,\"x\"]},\"list\":[0");

	cJSON_InitHooks(&hooks);
	is_exempt = true;
	for (int i = 1; i < 100; i++)
		at += sprintf(at, ",%d", i);
	strcpy(at, "]}");
	strcpy(strrchr(folder, '-'), "-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/s.json", folder);
	ck_assert_int_eq(pipit_settings_open(&options, &settings, error, sizeof error), 0);
	ck_assert_int_eq(pipit_settings_on_change(settings, check, NULL, NULL), 0);
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = 1;
	config.log_level = "error";
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_route_settings(server, "/s", settings), 0);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	port = (unsigned)strtoul(strrchr(pipit_server_url(server, 0), ':') + 1, NULL, 10);
	ck_assert_int_eq(pthread_create(&server_thread, NULL, run, NULL), 0);
	client = wire_connect(port);
	/* The kernel accepts before the server runs, whose start must not fail. */
	response = wire_ask(client, "GET /s/none HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 404);
	wire_free(&response);
}

static void tear_down(void)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	void *result;

	disarm();
	close(client);
	pipit_server_drain(server);
	pthread_join(server_thread, &result);
	ck_assert_ptr_nonnull(result);
	pipit_server_free(server);
	pipit_settings_free(settings);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	rmdir(folder);
}

static struct wire_response ask(const char *method, const char *path, const char *type, const char *content)
{
	return wire_ask(client, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
	    method, path, type, strlen(content), content);
}

static char *get(void)
{
	struct wire_response response = wire_get(client, "/s");
	char *content;
	ck_assert_int_eq(response.status, 200);
	content = strdup(response.content);
	wire_free(&response);
	return content;
}

static void put_back(void)
{
	struct wire_response response;
	close(client);
	client = wire_connect(port);
	response = ask("PUT", "/s", "application/json", before);
	ck_assert_msg(response.status == 204, "%d %s", response.status, response.content);
	wire_free(&response);
}

static void expect_in_file(const char *text)
{
	FILE *stream = fopen(file, "r");
	char bytes[8192];
	size_t length = fread(bytes, 1, sizeof bytes - 1, stream);
	cJSON *kept;
	char *printed;

	fclose(stream);
	bytes[length] = '\0';
	kept = cJSON_Parse(bytes);
	printed = cJSON_PrintUnformatted(kept);
	ck_assert_str_eq(printed, text);
	cJSON_free(printed);
	cJSON_Delete(kept);
}

/* ---------------------------------------------------------------- changes and reads */

static const struct step {
	const char *method, *path, *type, *content;
	int status;
	bool changes;
} steps[] = {
	{ "PUT", "/s/new", "application/json", "{\"x\":[1,{\"y\":\"a long text, longer than others\"}]}", 201, true },
	{ "PUT", "/s/a~1b", "application/json", "\"\\u00e9\"", 204, true },
	{ "PATCH", "/s", "application/merge-patch+json",
	    "{\"n\":null,\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"8\":8,\"9\":{\"z\":[]}}", 204,
	    true },
	{ "PATCH", "/s", "application/json-patch+json",
	    "[{\"op\":\"replace\",\"path\":\"/list/98\",\"value\":\"t\"},{\"op\":\"add\",\"path\":\"/list/"
	    "3\",\"value\":[]},"
	    "{\"op\":\"remove\",\"path\":\"/list/50\"},{\"op\":\"copy\",\"from\":\"/a~1b\",\"path\":\"/d\"},"
	    "{\"op\":\"test\",\"path\":\"/a~1b\",\"value\":{\"c\":[true,\"x\"]}}]",
	    204, true },
	{ "DELETE", "/s/list", "-", "", 204, true },
	/* The content type is the last header: a condition, for which the ETag of a part is computed. */
	{ "PUT", "/s/a~1b", "application/json\r\nIf-Match: *", "1", 204, true },
	{ "DELETE", "/s", "-", "", 204, true },
	{ "PUT", "/s/n", "application/json", "101", 422, false },
	{ "PUT", "/s/nowhere/x", "application/json", "1", 409, false },
	{ "PUT", "/s", "application/json", "{\"a\":1,\"a\":2}", 400, false },
	{ "PATCH", "/s/absent", "application/merge-patch+json", "{}", 404, false },
	{ "GET", "/s/a~1b/c/1", "-", "", 200, false },
	{ "GET", "/s/absent", "-", "", 404, false },
};

/* Returns whether the call that was to fail was made. */
static bool strike(const struct step *step, enum call call, int error, unsigned at)
{
	bool is_hit, is_done;
	struct wire_response response;
	char *now;

	put_back();
	arm(call, error, at);
	response = ask(step->method, step->path, step->type, step->content);
	is_hit = plan.asked[call] >= at;
	disarm();
	/* 0: the connection was closed, because there was no memory for an answer */
	ck_assert_msg(response.status == step->status || response.status == 503 || response.status == 0 ||
			  (response.status == 507 && error == ENOSPC) || (response.status == 500 && call == MEMORY),
	    "%s %s, call %d at %u: %d %s", step->method, step->path, (int)call, at, response.status, response.content);
	if (response.status == 0) {
		close(client);
		client = wire_connect(port);
	}
	now = get();
	is_done = strcmp(now, before) != 0;
	if (response.status != 0)
		ck_assert_msg(is_done == (step->changes && response.status == step->status),
		    "%s %s, call %d at %u: %d %s", step->method, step->path, (int)call, at, response.status, now);
	expect_in_file(now);
	wire_free(&response);
	free(now);
	return is_hit;
}

START_TEST(whichever_allocation_fails_a_change_is_whole_or_refused)
{
	unsigned at = 1;
	while (strike(&steps[_i], MEMORY, ENOMEM, at))
		at++;
	/* reads allocate nothing */
	ck_assert_int_eq(at > 1, strcmp(steps[_i].method, "GET") != 0);
}
END_TEST

static const struct {
	enum call call;
	int error;
} faults[] = { { OPENAT, EMFILE }, { WRITE, EIO }, { WRITE, ENOSPC }, { FSYNC, EIO }, { FSYNC, ENOSPC },
	{ FCHMOD, EPERM }, { LINKAT, EIO }, { RENAMEAT, EIO }, { RENAMEAT, ENOSPC } };

START_TEST(whichever_system_call_fails_a_change_is_whole_or_refused)
{
	unsigned at = 1;
	while (strike(&steps[0], faults[_i].call, faults[_i].error, at))
		at++;
	ck_assert_uint_gt(at, 1);
}
END_TEST

/* ---------------------------------------------------------------- the program's functions */

START_TEST(a_program_learns_that_memory_was_short)
{
	unsigned at = 0;
	bool is_hit = true;

	while (is_hit) {
		char error[256];
		int result;
		cJSON *doc;
		put_back();
		is_exempt = false;
		arm(MEMORY, ENOMEM, ++at);
		result = pipit_settings_merge(settings, "", cJSON_Parse("{\"new\":{\"x\":1}}"), error, sizeof error);
		is_hit = plan.asked[MEMORY] >= at;
		disarm();
		is_exempt = true;
		ck_assert_msg(result == 0 || result == -ENOMEM || result == -EIO, "%d %s", result, error);
		doc = pipit_settings_get(settings, "/new");
		ck_assert_int_eq(doc != NULL, result == 0);
		cJSON_Delete(doc);
	}
	ck_assert_uint_gt(at, 10);
	for (is_hit = true, at = 1; is_hit; at++) {
		cJSON *doc;
		is_exempt = false;
		arm(MEMORY, ENOMEM, at);
		doc = pipit_settings_get(settings, "");
		is_hit = plan.asked[MEMORY] >= at;
		disarm();
		is_exempt = true;
		ck_assert_int_eq(doc == NULL, is_hit);
		cJSON_Delete(doc);
	}
}
END_TEST

static void put_file(const char *text)
{
	FILE *stream = fopen(file, "w");
	fputs(text, stream);
	fclose(stream);
}

static bool does_reload(unsigned at, const char *text)
{
	bool is_hit;
	int result;
	char *now;

	put_back();
	put_file(text);
	is_exempt = false;
	arm(MEMORY, ENOMEM, at);
	result = pipit_settings_reload(settings);
	is_exempt = true;
	/* the queue is in order: an answer to a change comes after the reload */
	if (result == 0) {
		struct wire_response response = ask("PATCH", "/s/absent", "application/merge-patch+json", "{}");
		is_hit = plan.asked[MEMORY] >= at;
		disarm();
		wire_free(&response);
		close(client);
		client = wire_connect(port);
	} else {
		ck_assert_int_eq(result, -ENOMEM);
		is_hit = true;
		disarm();
	}
	now = get();
	ck_assert_msg(strcmp(now, before) == 0 || strcmp(now, "{\"n\":5}") == 0, "%s", now);
	ck_assert(is_hit || strcmp(now, strcmp(text, "{ \"n\": 5 }") == 0 ? "{\"n\":5}" : before) == 0);
	free(now);
	return is_hit;
}

START_TEST(a_reload_takes_the_file_or_leaves_the_settings)
{
	unsigned at = 1;
	while (does_reload(at, "{ \"n\": 5 }"))
		at++;
	ck_assert_uint_gt(at, 5);
	for (at = 1; does_reload(at, before);)
		at++;
	ck_assert_uint_gt(at, 5);
}
END_TEST

/* Opening leaves nothing open, also when it fails. */
START_TEST(a_store_opens_or_says_why)
{
	char other[sizeof file + 8], error[256];
	struct pipit_settings_options options = { .file = other };
	bool is_hit = true;
	unsigned at;

	snprintf(other, sizeof other, "%s/o.json", folder);
	put_file(before);
	for (at = 1; is_hit; at++) {
		struct pipit_settings *opened = NULL;
		FILE *stream = fopen(other, "w");
		int result;
		fputs("{\"kept\":[1,2,3]}", stream);
		fclose(stream);
		is_exempt = false;
		arm(MEMORY, ENOMEM, at);
		error[0] = '\0';
		result = pipit_settings_open(&options, &opened, error, sizeof error);
		is_hit = plan.asked[MEMORY] >= at;
		disarm();
		is_exempt = true;
		ck_assert_msg(result == 0 || (result == -ENOMEM && error[0]), "%d %s", result, error);
		if (result == 0) {
			cJSON *doc = pipit_settings_get(opened, "/kept/2");
			ck_assert_ptr_nonnull(doc);
			cJSON_Delete(doc);
			pipit_settings_free(opened);
		}
	}
	ck_assert_uint_gt(at, 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings_fault");
	TCase *tests = tcase_create("settings_fault");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, whichever_allocation_fails_a_change_is_whole_or_refused, 0, COUNT(steps));
	tcase_add_loop_test(tests, whichever_system_call_fails_a_change_is_whole_or_refused, 0, COUNT(faults));
	tcase_add_test(tests, a_program_learns_that_memory_was_short);
	tcase_add_test(tests, a_reload_takes_the_file_or_leaves_the_settings);
	tcase_add_test(tests, a_store_opens_or_says_why);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
