/* SPDX-License-Identifier: MIT */
#include "app/openapi.h"

#include "request/request.h"

#include "suite.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ROUTES_MAX 8

static struct pipit_route routes[ROUTES_MAX];
static size_t route_count;
static cJSON *doc;

static void forget(void)
{
	memset(routes, 0, sizeof routes);
	route_count = 0;
	doc = NULL;
}

static void tear_down(void)
{
	cJSON_Delete(doc);
}

/* Newest first, as in the server. */
static struct pipit_route_options *add(unsigned methods, const char *pattern)
{
	struct pipit_route *route = &routes[route_count];
	ck_assert_uint_lt(route_count, ROUTES_MAX);
	*route = (struct pipit_route){
		.methods = methods,
		.pattern = (char *)pattern,
		.next = route_count ? &routes[route_count - 1] : NULL,
	};
	route_count++;
	return &route->options;
}

static const struct pipit_route *newest(void)
{
	return route_count ? &routes[route_count - 1] : NULL;
}

static void render(const char *title)
{
	char error[256], *text;
	size_t length;

	for (size_t i = 0; i < route_count; i++) {
		int result = pipit_openapi_check(routes[i].pattern, &routes[i].options, error, sizeof error);
		ck_assert_msg(result == 0, "%s: %s", routes[i].pattern, error);
	}
	ck_assert_int_eq(pipit_openapi_render(newest(), false, title, "1.2.3", &text, &length), 0);
	doc = cJSON_ParseWithLength(text, length);
	ck_assert_msg(doc != NULL, "%.*s", (int)length, text);
	free(text);
}

/* names: separated by blanks, with numbers for array elements. NULL when there is no such value. */
static const cJSON *find(const char *names)
{
	const cJSON *item = doc;
	char name[64];
	int length;

	for (; sscanf(names, " %63s%n", name, &length) == 1; names += length)
		item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, atoi(name))
					   : cJSON_GetObjectItemCaseSensitive(item, name);
	return item;
}

static void expect(const char *names, const char *json)
{
	const cJSON *item = find(names);
	char *text = item ? cJSON_PrintUnformatted(item) : NULL;
	ck_assert_msg(text && strcmp(text, json) == 0, "%s: %s, not %s", names, text ? text : "missing", json);
	cJSON_free(text);
}

static void expect_none(const char *names)
{
	ck_assert_msg(!find(names), "%s is there", names);
}

/* names, members: separated by blanks. */
static void expect_members(const char *names, const char *members)
{
	const cJSON *member;
	char text[512] = "";

	ck_assert_msg(find(names) != NULL, "%s is missing", names);
	cJSON_ArrayForEach(member, find(names))
	{
		if (*text)
			strcat(text, " ");
		strcat(text, member->string);
	}
	ck_assert_str_eq(text, members);
}

START_TEST(has_version_and_title)
{
	render("Gate \"7\"");
	expect("openapi", "\"3.1.0\"");
	expect("info", "{\"title\":\"Gate \\\"7\\\"\",\"version\":\"1.2.3\"}");
	expect("paths", "{}");
	expect_members("components schemas Problem properties", "type title status detail errors");
}
END_TEST

START_TEST(has_the_title_pipit_by_default)
{
	render(NULL);
	expect("info title", "\"pipit\"");
}
END_TEST

START_TEST(refuses_a_title_that_is_not_utf8)
{
	char *text = NULL;
	size_t length = 0;
	ck_assert_int_eq(pipit_openapi_render(NULL, false, "caf\xe9", "1", &text, &length), -EINVAL);
	ck_assert_ptr_null(text);
}
END_TEST

START_TEST(lists_paths_in_the_order_of_registration)
{
	add(PIPIT_GET, "/c");
	add(PIPIT_POST, "/a");
	add(PIPIT_PUT, "/c");
	add(PIPIT_GET, "/b");
	render(NULL);
	expect_members("paths", "/c /a /b");
	expect_members("paths /c", "get put");
}
END_TEST

START_TEST(leaves_hidden_routes_out)
{
	add(PIPIT_GET, "/seen");
	add(PIPIT_GET, "/hidden")->is_hidden = true;
	add(PIPIT_POST, "/seen")->is_hidden = true;
	render(NULL);
	expect_members("paths", "/seen");
	expect_members("paths /seen", "get");
}
END_TEST

static const struct {
	unsigned methods;
	const char *told;
} method_sets[] = {
	{ PIPIT_GET, "get" },
	{ PIPIT_ANY, "get post put patch delete" },
	{ PIPIT_GET | PIPIT_HEAD | PIPIT_OPTIONS, "get" },
	{ PIPIT_HEAD, "head" },
	{ PIPIT_HEAD | PIPIT_OPTIONS, "head options" },
	{ PIPIT_OPTIONS | PIPIT_POST, "post options" },
};

START_TEST(lists_head_and_options_only_without_get)
{
	add(method_sets[_i].methods, "/a");
	render(NULL);
	expect_members("paths /a", method_sets[_i].told);
}
END_TEST

static const struct {
	const char *pattern, *template;
} templates[] = {
	{ "/", "/" },
	{ "/a/", "/a/" },
	{ "/openapi.json", "/openapi.json" },
	{ "/a b", "/a%20b" },
	{ "/100%", "/100%25" },
	{ "/caf\xc3\xa9", "/caf%C3%A9" },
	{ "/a?b#c", "/a%3Fb%23c" },
	{ "/~a/b:c@d", "/~a/b:c@d" },
	{ "/a/{name}", "/a/{name}" },
	{ "/{a_1}/b/{c...}", "/{a_1}/b/{c}" },
};

START_TEST(makes_a_template_of_a_pattern)
{
	add(PIPIT_GET, templates[_i].pattern);
	render(NULL);
	ck_assert_str_eq(find("paths")->child->string, templates[_i].template);
}
END_TEST

START_TEST(describes_the_names_of_a_pattern)
{
	add(PIPIT_GET, "/a/{one}/b/{rest...}");
	render(NULL);
	expect("paths /a/{one}/b/{rest} get parameters 0",
	    "{\"name\":\"one\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\",\"minLength\":1}}");
	expect("paths /a/{one}/b/{rest} get parameters 1",
	    "{\"name\":\"rest\",\"in\":\"path\",\"required\":true,"
	    "\"description\":\"The rest of the path. It may contain slashes, not encoded, and may be empty.\","
	    "\"schema\":{\"type\":\"string\"}}");
	expect_none("paths /a/{one}/b/{rest} get parameters 2");
}
END_TEST

START_TEST(has_no_parameters_where_there_are_none)
{
	add(PIPIT_GET, "/a");
	add(PIPIT_GET, "/b")->parameters = "[]";
	render(NULL);
	expect_none("paths /a get parameters");
	expect_none("paths /b get parameters");
}
END_TEST

START_TEST(given_parameters_override_generated_ones)
{
	add(PIPIT_GET, "/a/{n}")->parameters =
	    "[{\"in\":\"query\",\"name\":\"q\",\"schema\":true},"
	    "{\"in\":\"path\",\"name\":\"n\",\"required\":false,\"example\":7,\"schema\":{\"type\":\"integer\"}}]";
	render(NULL);
	expect("paths /a/{n} get parameters",
	    "[{\"name\":\"n\",\"in\":\"path\",\"required\":true,\"example\":7,\"schema\":{\"type\":\"integer\"}},"
	    "{\"in\":\"query\",\"name\":\"q\",\"schema\":true}]");
}
END_TEST

START_TEST(makes_one_path_of_patterns_that_differ_by_names)
{
	add(PIPIT_GET, "/a/{x}");
	add(PIPIT_POST, "/a/{y}")->parameters = "[{\"in\":\"path\",\"name\":\"y\",\"example\":\"e\"}]";
	add(PIPIT_PUT, "/a/b");
	render(NULL);
	expect_members("paths", "/a/{x} /a/b");
	expect_members("paths /a/{x}", "get post");
	expect("paths /a/{x} post parameters 0 name", "\"x\"");
	expect("paths /a/{x} post parameters 0 example", "\"e\"");
}
END_TEST

/* In either order of registration. */
START_TEST(prefers_one_segment_to_the_rest_of_the_path)
{
	struct pipit_route_options *rest, *one;
	rest = _i ? add(PIPIT_GET | PIPIT_POST, "/a/{rest...}") : NULL;
	one = add(PIPIT_GET | PIPIT_PUT, "/a/{one}");
	rest = rest ? rest : add(PIPIT_GET | PIPIT_POST, "/a/{rest...}");
	one->summary = "One.";
	rest->summary = "All of them.";
	render(NULL);
	ck_assert_int_eq(cJSON_GetArraySize(find("paths")), 1);
	ck_assert_int_eq(cJSON_GetArraySize(find("paths")->child), 3);
	expect(_i ? "paths /a/{rest} get summary" : "paths /a/{one} get summary", "\"One.\"");
	expect(_i ? "paths /a/{rest} get description" : "paths /a/{one} get description",
	    "\"If the last segment is empty or contains slashes: All of them.\"");
	expect(_i ? "paths /a/{rest} get parameters 0 name" : "paths /a/{one} get parameters 0 name",
	    _i ? "\"rest\"" : "\"one\"");
	expect(_i ? "paths /a/{rest} post summary" : "paths /a/{one} post summary", "\"All of them.\"");
	expect_none(_i ? "paths /a/{rest} put description" : "paths /a/{one} put description");
}
END_TEST

START_TEST(gives_every_operation_a_unique_id)
{
	add(PIPIT_GET | PIPIT_DELETE, "/hello/{first_name}/openapi.json");
	add(PIPIT_GET, "/a/b");
	add(PIPIT_GET, "/a-b");
	add(PIPIT_GET, "/a/b/2");
	add(PIPIT_GET, "/a.b");
	add(PIPIT_GET, "/");
	render(NULL);
	expect("paths /hello/{first_name}/openapi.json get operationId", "\"getHelloFirstNameOpenapiJson\"");
	expect("paths /hello/{first_name}/openapi.json delete operationId", "\"deleteHelloFirstNameOpenapiJson\"");
	expect("paths /a/b get operationId", "\"getAB\"");
	expect("paths /a-b get operationId", "\"getAB2\"");
	expect("paths /a/b/2 get operationId", "\"getAB22\"");
	expect("paths /a.b get operationId", "\"getAB3\"");
	expect("paths / get operationId", "\"get\"");
}
END_TEST

START_TEST(describes_a_body_for_methods_that_have_one)
{
	struct pipit_route_options *options = add(PIPIT_ANY, "/a");
	options->request_schema = "{\n\t\"type\": \"object\"\n}";
	render(NULL);
	expect("paths /a post requestBody",
	    "{\"required\":true,\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\"}}}}");
	ck_assert_ptr_nonnull(find("paths /a put requestBody"));
	ck_assert_ptr_nonnull(find("paths /a patch requestBody"));
	expect_none("paths /a get requestBody");
	expect_none("paths /a delete requestBody");
}
END_TEST

START_TEST(describes_no_body_without_options_or_when_it_is_refused)
{
	struct pipit_route_options *options = add(PIPIT_POST, "/refused");
	options->request_schema = "true";
	options->refuse_body = true;
	add(PIPIT_POST, "/unsaid");
	render(NULL);
	expect_none("paths /refused post requestBody");
	expect_none("paths /unsaid post requestBody");
	expect_members("paths /unsaid post responses 200", "description");
}
END_TEST

START_TEST(describes_several_media_types)
{
	struct pipit_route_options *options = add(PIPIT_POST, "/a");
	options->request_type = "text/plain;charset=utf-8 ,, application/json,";
	options->reply_type = "text/html,text/csv";
	options->reply_schema = "{\"type\":\"string\"}";
	render(NULL);
	expect("paths /a post requestBody content", "{\"text/plain;charset=utf-8\":{},\"application/json\":{}}");
	expect("paths /a post responses 200 content",
	    "{\"text/html\":{\"schema\":{\"type\":\"string\"}},\"text/csv\":{\"schema\":{\"type\":\"string\"}}}");
}
END_TEST

START_TEST(prefers_content_to_type_and_schema)
{
	struct pipit_route_options *options = add(PIPIT_POST, "/a");
	options->request_content = "{\"text/plain\":{\"example\":\"x\"}}";
	options->request_type = "text/csv";
	options->request_schema = "false";
	render(NULL);
	expect("paths /a post requestBody content", options->request_content);
}
END_TEST

START_TEST(keeps_numbers_of_schemas_as_they_are)
{
	char *text;
	size_t length;
	add(PIPIT_GET, "/a")->reply_schema = "{\"maximum\":9007199254740993}";
	ck_assert_int_eq(pipit_openapi_render(newest(), false, NULL, "1", &text, &length), 0);
	ck_assert_ptr_nonnull(memmem(text, length, "{\"maximum\":9007199254740993}", 28));
	free(text);
}
END_TEST

static const struct {
	int status;
	const char *schema, *reply;
} statuses[] = {
	{ 0, NULL, "{\"200\":{\"description\":\"OK\"}," },
	{ 200, "true", "{\"200\":{\"description\":\"OK\",\"content\":{\"application/json\":{\"schema\":true}}}," },
	{ 204, NULL, "{\"204\":{\"description\":\"No Content\"}," },
	{ 201, NULL, "{\"201\":{\"description\":\"Created\"}," },
	{ 201, "true", "{\"201\":{\"description\":\"Created\",\"content\":{\"application/json\":{\"schema\":true}}}," },
};

START_TEST(describes_the_reply_and_problems)
{
	struct pipit_route_options *options = add(PIPIT_GET, "/a");
	char expected[256];
	options->reply_status = statuses[_i].status;
	options->reply_schema = statuses[_i].schema;
	render(NULL);
	snprintf(expected, sizeof expected, "%s\"default\":{\"$ref\":\"#/components/responses/Problem\"}}",
	    statuses[_i].reply);
	expect("paths /a get responses", expected);
}
END_TEST

START_TEST(describes_no_body_in_a_reply_to_head)
{
	struct pipit_route_options *options = add(PIPIT_HEAD, "/a");
	options->reply_type = "text/plain";
	render(NULL);
	expect("paths /a head responses 200", "{\"description\":\"OK\"}");
}
END_TEST

START_TEST(given_replies_override_generated_ones)
{
	add(PIPIT_GET, "/a")->replies =
	    "{\"503\":{\"description\":\"Not now.\"},\"default\":{\"description\":\"What?\"}}";
	render(NULL);
	expect("paths /a get responses", "{\"200\":{\"description\":\"OK\"},\"503\":{\"description\":\"Not now.\"},"
					 "\"default\":{\"description\":\"What?\"}}");
}
END_TEST

static const struct {
	struct pipit_route_options options;
	const char *error;
} wrong[] = {
	{ { .parameters = "[" }, "parameters, line 1, column 2: the text ends too early" },
	{ { .parameters = "{}" }, "parameters: must be an array" },
	{ { .parameters = "[1]" }, "parameters: each parameter must be an object" },
	{ { .parameters = "[{\"name\":\"a\"}]" }, "parameters: each parameter must be an object" },
	{ { .parameters = "[{\"in\":\"query\"}]" }, "parameters: each parameter must be an object" },
	{ { .parameters = "[{\"in\":\"query\",\"name\":\"\"}]" }, "parameters: each parameter must be an object" },
	{ { .parameters = "[{\"in\":\"body\",\"name\":\"a\"}]" }, "parameters: \"in\" must be \"query\"" },
	{ { .parameters = "[{\"in\":\"path\",\"name\":\"b\"}]" }, "parameters: a parameter in \"path\"" },
	{ { .request_schema = "{\n\"type\":\n}" }, "request_schema, line 3, column 1: expected a value" },
	{ { .request_schema = "[]" }, "request_schema: must be an object" },
	{ { .request_content = "{\"a\":1}" }, "request_content: must be an object whose members" },
	{ { .reply_schema = "" }, "reply_schema, line 1, column 1: the text is empty" },
	{ { .reply_schema = "\"string\"" }, "reply_schema: must be an object" },
	{ { .replies = "[]" }, "replies: must be an object whose members" },
	{ { .replies = "{} {}" }, "replies, line 1, column 4: " },
	{ { .reply_status = 199 }, "reply_status: 199 is not a status" },
	{ { .reply_status = 600 }, "reply_status: 600 is not a status" },
	{ { .summary = "\xff" }, "summary, request_type and reply_type must be UTF-8" },
	{ { .request_type = "\xff" }, "summary, request_type and reply_type must be UTF-8" },
	{ { .reply_type = "\xff" }, "summary, request_type and reply_type must be UTF-8" },
};

START_TEST(refuses_invalid_options)
{
	char error[256];
	ck_assert_int_eq(pipit_openapi_check("/{a}/{rest...}", &wrong[_i].options, error, sizeof error), -EINVAL);
	ck_assert_msg(strncmp(error, wrong[_i].error, strlen(wrong[_i].error)) == 0, "%s", error);
}
END_TEST

/* options are checked before the router refuses the pattern */
static const char *const bad_patterns[] = { "", "x", "/{", "/{}", "/}", "/{...}" };

START_TEST(survives_bad_patterns)
{
	struct pipit_route_options options = { .parameters = "[{\"in\":\"path\",\"name\":\"a\"}]" };
	char error[256];
	ck_assert_int_eq(pipit_openapi_check(bad_patterns[_i], &options, error, sizeof error), -EINVAL);
}
END_TEST

static size_t allocations_left;

static void *allocate(size_t size)
{
	return allocations_left && allocations_left-- ? malloc(size) : NULL;
}

START_TEST(returns_enomem_whichever_allocation_fails)
{
	cJSON_Hooks hooks = { allocate, free };
	struct pipit_route_options *options = add(PIPIT_POST | PIPIT_GET, "/a/{x}/{y...}");
	char *text = NULL;
	size_t length, failures = 0;
	int result;

	options->summary = "All that there is.";
	options->parameters = "[{\"in\":\"path\",\"name\":\"x\",\"example\":\"e\"},{\"in\":\"query\",\"name\":\"q\"}]";
	options->request_schema = options->reply_schema = "true";
	options->replies = "{\"503\":{\"description\":\"Not now.\"}}";
	add(PIPIT_GET, "/a/{x}/{y}");
	cJSON_InitHooks(&hooks);
	do {
		allocations_left = failures++;
		result = pipit_openapi_render(newest(), false, "title", "1", &text, &length);
		ck_assert_msg(result == 0 || (result == -ENOMEM && !text), "%zu: %d", failures, result);
	} while (result != 0);
	cJSON_InitHooks(NULL);
	ck_assert_uint_gt(failures, 100);
	free(text);
}
END_TEST

static Suite *openapi_suite(void)
{
	Suite *suite = suite_create("openapi");
	TCase *tcase = tcase_create("openapi");
	tcase_add_checked_fixture(tcase, forget, tear_down);
	tcase_add_test(tcase, has_version_and_title);
	tcase_add_test(tcase, has_the_title_pipit_by_default);
	tcase_add_test(tcase, refuses_a_title_that_is_not_utf8);
	tcase_add_test(tcase, lists_paths_in_the_order_of_registration);
	tcase_add_test(tcase, leaves_hidden_routes_out);
	tcase_add_loop_test(tcase, lists_head_and_options_only_without_get, 0, COUNT(method_sets));
	tcase_add_loop_test(tcase, makes_a_template_of_a_pattern, 0, COUNT(templates));
	tcase_add_test(tcase, describes_the_names_of_a_pattern);
	tcase_add_test(tcase, has_no_parameters_where_there_are_none);
	tcase_add_test(tcase, given_parameters_override_generated_ones);
	tcase_add_test(tcase, makes_one_path_of_patterns_that_differ_by_names);
	tcase_add_loop_test(tcase, prefers_one_segment_to_the_rest_of_the_path, 0, 2);
	tcase_add_test(tcase, gives_every_operation_a_unique_id);
	tcase_add_test(tcase, describes_a_body_for_methods_that_have_one);
	tcase_add_test(tcase, describes_no_body_without_options_or_when_it_is_refused);
	tcase_add_test(tcase, describes_several_media_types);
	tcase_add_test(tcase, prefers_content_to_type_and_schema);
	tcase_add_test(tcase, keeps_numbers_of_schemas_as_they_are);
	tcase_add_loop_test(tcase, describes_the_reply_and_problems, 0, COUNT(statuses));
	tcase_add_test(tcase, describes_no_body_in_a_reply_to_head);
	tcase_add_test(tcase, given_replies_override_generated_ones);
	tcase_add_loop_test(tcase, refuses_invalid_options, 0, COUNT(wrong));
	tcase_add_loop_test(tcase, survives_bad_patterns, 0, COUNT(bad_patterns));
	tcase_add_test(tcase, returns_enomem_whichever_allocation_fails);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return run_suite(openapi_suite());
}
