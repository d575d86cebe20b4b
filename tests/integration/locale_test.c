/* SPDX-License-Identifier: MIT */
/*
 * A program that calls setlocale(LC_ALL, "") where numbers have a decimal comma: what pipit reads and writes has a point. Skipped
 * where such a locale cannot be made.
 */
#include "comma_locale.h"
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void reply_numbers(struct pipit_request *request, void *arg)
{
	static const double numbers[] = { 1.5, -0.25, 1.5e-9, 1.0 / 3, 1.7976931348623157e308, 1234567.5 };
	(void)arg;
	pipit_reply_json(request, 200, cJSON_CreateDoubleArray(numbers, COUNT(numbers)));
}

/* Replies with twice the member x. */
static void double_it(struct pipit_request *request, void *arg)
{
	cJSON *doc = pipit_request_json(request);
	struct pipit_reader reader = { .doc = doc };
	double x;
	(void)arg;

	if (!doc)
		return;
	x = pipit_read_number(&reader, "/x", 0, -0.5, 1234567.25);
	if (pipit_read_finish(&reader, request))
		pipit_reply_json(request, 200, cJSON_CreateNumber(2 * x));
	cJSON_Delete(doc);
}

static struct loop loop;
static struct pipit_server *server;
static unsigned port;
static char log_name[] = "/tmp/pipit-locale-log-XXXXXX";

static void set_up(const char *log_format)
{
	struct pipit_config config;
	int fd = mkstemp(log_name);

	ck_assert_int_ge(fd, 0);
	close(fd);
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.access_log = log_name;
	config.log_format = log_format;
	ck_assert_ptr_nonnull(server = pipit_server_new(&config));
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/numbers", reply_numbers, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_POST, "/double", double_it, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL), 0);
	port = loop_serve(&loop, server);
}

static void set_up_json(void)
{
	set_up("json");
}

static void set_up_combined(void)
{
	set_up("combined");
}

/* Writes the log. */
static void stop(void)
{
	loop_end(&loop, server);
}

static void tear_down(void)
{
	if (loop.base)
		stop();
	unlink(log_name);
	strcpy(log_name + strlen(log_name) - 6, "XXXXXX");
}

START_TEST(json_has_points)
{
	int fd = wire_connect(port);
	wire_expect(
	    wire_get(fd, "/numbers"), 200, "[1.5,-0.25,1.5e-09,0.33333333333333331,1.7976931348623157e+308,1234567.5]");
	close(fd);
}
END_TEST

static const struct {
	const char *content;
	int status;
	const char *reply;
} doubled[] = {
	{ "{\"x\":1.25}", 200, "2.5" },
	{ "{\"x\":1.25e-3}", 200, "0.0025" },
	{ "{\"x\":0.30000000000000004}", 200, "0.60000000000000009" },
	{ "{\"x\":1,25}", 400, NULL },
	{ "{\"x\":1234567.5}", 422, "must be a number from -0.5 to 1234567.25" },
};

START_TEST(json_is_read_with_points)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_ask(fd,
	    "POST /double HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    strlen(doubled[_i].content), doubled[_i].content);
	ck_assert_int_eq(response.status, doubled[_i].status);
	if (doubled[_i].reply)
		ck_assert_msg(strstr(response.content, doubled[_i].reply) != NULL, "%s", response.content);
	wire_free(&response);
	close(fd);
}
END_TEST

START_TEST(metrics_have_points)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_get(fd, "/metrics");
	bool has_point = false;

	ck_assert_int_eq(response.status, 200);
	for (char *line = strtok(response.content, "\n"); line; line = strtok(NULL, "\n")) {
		const char *value = strrchr(line, ' ');
		if (line[0] == '#')
			continue;
		ck_assert_msg(value && !strchr(value, ','), "%s", line);
		has_point = has_point || strchr(value, '.');
	}
	ck_assert(has_point);
	wire_free(&response);
	close(fd);
}
END_TEST

/* form: of a line up to its duration, with %n behind that. */
static void expect_log_line(const char *form)
{
	char line[1024];
	unsigned seconds, microseconds;
	int fd = wire_connect(port), end = 0;
	FILE *log;

	wire_expect(wire_get(fd, "/numbers"), 200, NULL);
	close(fd);
	stop();
	ck_assert_ptr_nonnull(log = fopen(log_name, "re"));
	ck_assert_ptr_nonnull(fgets(line, sizeof line, log));
	fclose(log);
	sscanf(line, form, &seconds, &microseconds, &end);
	ck_assert_msg(end > 0, "%s", line);
}

START_TEST(durations_in_the_json_log_have_points)
{
	expect_log_line("{\"time\":\"%*[^\"]\",\"peer\":\"127.0.0.1\",\"request\":\"GET /numbers "
			"HTTP/1.1\",\"status\":200,\"bytes\":%*u,"
			"\"duration\":%u.%6u,%n");
}
END_TEST

START_TEST(durations_in_the_combined_log_have_points)
{
	expect_log_line("%*[^]]] \"GET /numbers HTTP/1.1\" 200 %*u \"-\" \"-\" %u.%6u %n");
}
END_TEST

START_TEST(options_have_points)
{
	struct pipit_config config;
	char error[256];

	pipit_config_init(&config);
	ck_assert_int_eq(pipit_config_set(&config, "idle-timeout", "1.5s", error, sizeof error), 0);
	ck_assert_uint_eq(config.idle_timeout_ms, 1500);
	ck_assert_int_eq(pipit_config_set(&config, "max-body-bytes", "0.5k", error, sizeof error), 0);
	ck_assert_uint_eq(config.max_body_bytes, 512);
	ck_assert_int_ne(pipit_config_set(&config, "idle-timeout", "1,5s", error, sizeof error), 0);
	pipit_config_clear(&config);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("locale");
	TCase *json = tcase_create("json log"), *combined = tcase_create("combined log");

	if (!set_comma_locale())
		return 77;
	tcase_add_checked_fixture(json, set_up_json, tear_down);
	tcase_add_test(json, json_has_points);
	tcase_add_loop_test(json, json_is_read_with_points, 0, COUNT(doubled));
	tcase_add_test(json, metrics_have_points);
	tcase_add_test(json, durations_in_the_json_log_have_points);
	tcase_add_test(json, options_have_points);
	suite_add_tcase(suite, json);
	tcase_add_checked_fixture(combined, set_up_combined, tear_down);
	tcase_add_test(combined, durations_in_the_combined_log_have_points);
	suite_add_tcase(suite, combined);
	return run_suite(suite);
}
