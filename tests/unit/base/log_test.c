/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "suite.h"

static int saved_error;

static void set_up(void)
{
	saved_error = dup(STDERR_FILENO);
	ck_assert_int_ge(saved_error, 0);
}

static void tear_down(void)
{
	pipit_log_set_level(PIPIT_LOG_INFO);
	dup2(saved_error, STDERR_FILENO);
	close(saved_error);
}

static int capture_error_output(void)
{
	int ends[2];
	/* SOCK_SEQPACKET: one read() returns what one write() sent */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	return ends[0];
}

static void assert_message(int fd, const char *expected)
{
	char message[2048];
	ssize_t length = read(fd, message, sizeof(message) - 1);
	ck_assert_int_ge(length, 0);
	message[length] = '\0';
	ck_assert_str_eq(message, expected);
}

START_TEST(parses_level_names)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	enum pipit_log_level level = PIPIT_LOG_ERROR;
	ck_assert_int_eq(pipit_log_level_parse(names[_i], &level), 0);
	ck_assert_int_eq(level, _i);
}
END_TEST

START_TEST(refuses_an_unknown_level_name)
{
	static const char *const names[] = { "", "Info", "warning", "infos", "inf", "0" };
	enum pipit_log_level level = PIPIT_LOG_DEBUG;
	ck_assert_int_eq(pipit_log_level_parse(names[_i], &level), -EINVAL);
	ck_assert_int_eq(level, PIPIT_LOG_DEBUG);
}
END_TEST

START_TEST(writes_each_message_with_one_write)
{
	int fd = capture_error_output();
	pipit_log_set_level(PIPIT_LOG_DEBUG);
	pipit_log(PIPIT_LOG_ERROR, "cannot bind %s: %s", "127.0.0.1:80", "Permission denied");
	pipit_log(PIPIT_LOG_WARN, "%d left", 3);
	pipit_log(PIPIT_LOG_INFO, "listening");
	pipit_log(PIPIT_LOG_DEBUG, "worker %u", 0u);
	assert_message(fd, "pipit: error: cannot bind 127.0.0.1:80: Permission denied\n");
	assert_message(fd, "pipit: warn: 3 left\n");
	assert_message(fd, "pipit: listening\n");
	assert_message(fd, "pipit: debug: worker 0\n");
	close(fd);
}
END_TEST

START_TEST(drops_messages_above_the_level)
{
	char byte;
	int fd = capture_error_output();
	pipit_log_set_level((enum pipit_log_level)_i);
	for (int level = _i + 1; level <= PIPIT_LOG_DEBUG; level++)
		pipit_log((enum pipit_log_level)level, "dropped");
	ck_assert_int_eq(read(fd, &byte, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	pipit_log((enum pipit_log_level)_i, "written");
	ck_assert_int_eq(read(fd, &byte, 1), 1);
	close(fd);
}
END_TEST

START_TEST(escapes_control_characters_in_messages)
{
	int fd = capture_error_output();
	pipit_log(PIPIT_LOG_INFO, "a\nb\rc\033[2Jd\x7F\x9B\te \"q\" \\");
	assert_message(fd, "pipit: a\\x0Ab\\x0Dc\\x1B[2Jd\\x7F\\x9B\\x09e \"q\" \\\n");
	close(fd);
}
END_TEST

START_TEST(cuts_a_message_at_1_kib_and_never_within_an_escape)
{
	char text[3000], message[4096];
	int fd = capture_error_output();
	memset(text, _i == 0 ? 'x' : '\001', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pipit_log(PIPIT_LOG_WARN, "%s", text);
	ssize_t length = read(fd, message, sizeof(message));
	ck_assert_int_gt(length, 1000);
	ck_assert_int_le(length, 1024);
	ck_assert_int_eq(message[length - 1], '\n');
	ck_assert(_i == 0 || memcmp(message + length - 5, "\\x01\n", 5) == 0);
	close(fd);
}
END_TEST

START_TEST(keeps_characters_of_utf_8)
{
	int fd = capture_error_output();
	pipit_log(PIPIT_LOG_INFO, "\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa6 \xc2\x9b \xc3 \xed\xa0\x80 \xff");
	assert_message(fd, "pipit: \xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa6 \\xC2\\x9B \\xC3 \\xED\\xA0\\x80 \\xFF\n");
	close(fd);
}
END_TEST

START_TEST(writes_messages_as_json)
{
	static const char end[] =
	    "\",\"level\":\"warn\",\"message\":\"a \\\"b\\\" \\\\ \xc3\xbc\\u009B\\uFFFD\\u000A\"}\n";
	char message[1024];
	int fd = capture_error_output();
	ssize_t length;

	pipit_log_set_json(true);
	pipit_log(PIPIT_LOG_WARN, "a \"b\" \\ \xc3\xbc\xc2\x9b\xff\n");
	pipit_log_set_json(false);
	length = read(fd, message, sizeof message - 1);
	ck_assert_int_gt(length, (ssize_t)sizeof end);
	message[length] = '\0';
	ck_assert_int_eq(strncmp(message, "{\"time\":\"20", 11), 0);
	ck_assert_str_eq(message + length - (ssize_t)(sizeof end - 1), end);
	close(fd);
}
END_TEST

/* Each kind of standard error that can be full: a pipe and a socket. */
START_TEST(drops_and_counts_what_a_blocked_reader_does_not_take)
{
	uint64_t before = pipit_log_dropped(), dropped;
	char bytes[4096], notice[128];
	int ends[2], written = 0;

	ck_assert_int_eq(_i == 0 ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	while (pipit_log_dropped() == before)
		pipit_log(PIPIT_LOG_INFO, "message %d", written++);
	dropped = pipit_log_dropped() - before;
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	while (read(ends[0], bytes, sizeof bytes) > 0)
		;
	pipit_log(PIPIT_LOG_INFO, "after");
	snprintf(notice, sizeof notice,
	    "pipit: warn: %d messages were dropped, because standard error did not take them\npipit: after\n",
	    (int)dropped);
	ssize_t length = read(ends[0], bytes, sizeof bytes - 1);
	ck_assert_int_gt(length, 0);
	bytes[length] = '\0';
	ck_assert_str_eq(bytes, notice);
	ck_assert_uint_eq(pipit_log_dropped() - before, dropped);
	close(ends[0]), close(ends[1]);
}
END_TEST

/* A pipe and a socket, in a program that does not ignore SIGPIPE. */
START_TEST(drops_and_counts_without_a_reader_and_raises_no_signal)
{
	uint64_t before = pipit_log_dropped();
	int ends[2];

	signal(SIGPIPE, SIG_DFL);
	ck_assert_int_eq(_i == 0 ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[0]);
	for (int i = 0; i < 3; i++)
		pipit_log(PIPIT_LOG_ERROR, "lost");
	ck_assert_uint_eq(pipit_log_dropped() - before, 3);
	close(ends[1]);
}
END_TEST

START_TEST(keeps_errno)
{
	close(STDERR_FILENO);
	errno = EDOM;
	pipit_log(PIPIT_LOG_ERROR, "lost");
	ck_assert_int_eq(errno, EDOM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("messages");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, parses_level_names, 0, 4);
	tcase_add_loop_test(tests, refuses_an_unknown_level_name, 0, 6);
	tcase_add_test(tests, writes_each_message_with_one_write);
	tcase_add_loop_test(tests, drops_messages_above_the_level, PIPIT_LOG_ERROR, PIPIT_LOG_DEBUG + 1);
	tcase_add_test(tests, escapes_control_characters_in_messages);
	tcase_add_loop_test(tests, cuts_a_message_at_1_kib_and_never_within_an_escape, 0, 2);
	tcase_add_test(tests, keeps_characters_of_utf_8);
	tcase_add_test(tests, writes_messages_as_json);
	tcase_add_loop_test(tests, drops_and_counts_what_a_blocked_reader_does_not_take, 0, 2);
	tcase_add_loop_test(tests, drops_and_counts_without_a_reader_and_raises_no_signal, 0, 2);
	tcase_add_test(tests, keeps_errno);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
