/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

static int saved_error;

/* The next message says how many were dropped in other tests of this process. */
static void forget_dropped(void)
{
	int fd = open("/dev/null", O_WRONLY);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	pipit_log(PIPIT_LOG_ERROR, "written");
	close(fd);
}

static void set_up(void)
{
	saved_error = dup(STDERR_FILENO);
	ck_assert_int_ge(saved_error, 0);
	forget_dropped();
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

/* With "pipit: warn: ": an escape would still fit behind 1,016 bytes. */
START_TEST(writes_the_longest_message_whole_and_cuts_a_longer_one)
{
	enum { LONGEST = 1016 - 13 };
	char text[LONGEST + 2] = "", expected[1100];
	int fd = capture_error_output();

	for (size_t length = LONGEST - 1; length <= LONGEST + 1; length++) {
		memset(text, 'x', length);
		snprintf(expected, sizeof expected, "pipit: warn: %.*s\n", LONGEST, text);
		pipit_log(PIPIT_LOG_WARN, "%s", text);
		assert_message(fd, expected);
	}
	close(fd);
}
END_TEST

START_TEST(keeps_characters_of_utf_8)
{
	int fd = capture_error_output();
	pipit_log(PIPIT_LOG_INFO, "ends in \xc3\xbc");
	assert_message(fd, "pipit: ends in \xc3\xbc\n");
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

/* Cut at 64 bytes. */
START_TEST(begins_each_line_with_the_name_of_the_program)
{
	char name[65], expected[128], message[1024];
	int fd = capture_error_output();

	pipit_log_set_program("cam\x01");
	pipit_log(PIPIT_LOG_WARN, "hot");
	assert_message(fd, "cam\\x01: warn: hot\n");
	pipit_log_set_json(true);
	pipit_log(PIPIT_LOG_WARN, "hot");
	pipit_log_set_json(false);
	ssize_t length = read(fd, message, sizeof message - 1);
	ck_assert_int_gt(length, 0);
	message[length] = '\0';
	ck_assert_ptr_nonnull(strstr(message, "\"level\":\"warn\",\"program\":\"cam\\u0001\",\"message\":\"hot\"}\n"));
	memset(name, 'n', sizeof name);
	for (size_t characters = 63; characters <= 65; characters++) {
		char given[66];
		snprintf(given, sizeof given, "%.*s", (int)characters, name);
		snprintf(expected, sizeof expected, "%.64s: hot\n", given);
		pipit_log_set_program(given);
		pipit_log(PIPIT_LOG_INFO, "hot");
		assert_message(fd, expected);
	}
	pipit_log_set_program("");
	pipit_log(PIPIT_LOG_INFO, "hot");
	assert_message(fd, "pipit: hot\n");
	close(fd);
}
END_TEST

/* No descriptor of at least `count` can be opened. */
static void limit_descriptors(rlim_t count)
{
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = count ? count : limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Each kind of standard error that can be full: a pipe and a socket; and a pipe that cannot be opened again. */
START_TEST(drops_and_counts_what_a_blocked_reader_does_not_take)
{
	uint64_t before = pipit_log_dropped(), dropped;
	char bytes[4096], notice[128];
	int ends[2], written = 0;

	ck_assert_int_eq(_i != 1 ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	if (_i == 2)
		limit_descriptors(STDERR_FILENO + 1);
	/* Some behind the first one that is dropped. */
	while (pipit_log_dropped() < before + 3)
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
	limit_descriptors(0);
	close(ends[0]), close(ends[1]);
}
END_TEST

/* A pipe and a socket, in a program that does not ignore SIGPIPE. */
START_TEST(drops_and_counts_without_a_reader_and_raises_no_signal)
{
	uint64_t before = pipit_log_dropped();
	sigset_t masked;
	int ends[2];

	signal(SIGPIPE, SIG_DFL);
	ck_assert_int_eq(_i == 0 ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[0]);
	for (int i = 0; i < 3; i++)
		pipit_log(PIPIT_LOG_ERROR, "lost");
	ck_assert_uint_eq(pipit_log_dropped() - before, 3);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &masked), 0);
	ck_assert(!sigismember(&masked, SIGPIPE));
	close(ends[1]);
}
END_TEST

/* A pipe is opened again for each message, as descriptor 0 if that is free. */
START_TEST(leaves_no_descriptor_open)
{
	int ends[2], saved = dup(STDIN_FILENO);

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(STDIN_FILENO);
	pipit_log(PIPIT_LOG_INFO, "written");
	assert_message(ends[0], "pipit: written\n");
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
	if (saved >= 0)
		dup2(saved, STDIN_FILENO), close(saved);
	close(ends[0]), close(ends[1]);
}
END_TEST

/* What standard error is, and the difference to where it was when the program started. */
static const struct {
	enum { PIPE, SOCKET, FILE_AT_OFFSET, FILE_THAT_APPENDS } kind;
	dev_t device;
	ino_t inode;
	bool is_written;
} redirected[] = {
	{ FILE_AT_OFFSET, 0, 0, true },
	{ FILE_AT_OFFSET, 1, 0, false },
	{ FILE_AT_OFFSET, 0, 1, false },
	{ FILE_THAT_APPENDS, 0, 1, true },
	{ SOCKET, 0, 0, true },
	{ SOCKET, 0, 1, false },
	{ PIPE, 0, 1, true },
};

START_TEST(writes_nothing_to_a_file_or_a_client_of_the_program)
{
	char path[] = "/tmp/pipit-test-log-XXXXXX", message[100] = "";
	uint64_t before = pipit_log_dropped();
	struct stat status;
	int ends[2];

	if (redirected[_i].kind == PIPE) {
		ck_assert_int_eq(pipe(ends), 0);
	} else if (redirected[_i].kind == SOCKET) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	} else {
		ends[0] = mkstemp(path);
		ends[1] = open(path, O_WRONLY | (redirected[_i].kind == FILE_THAT_APPENDS ? O_APPEND : 0));
		unlink(path);
	}
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
	pipit_log_set_errors(status.st_dev + redirected[_i].device, status.st_ino + redirected[_i].inode);
	pipit_log(PIPIT_LOG_INFO, "written");
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	(void)!read(ends[0], message, sizeof message - 1);
	ck_assert_str_eq(message, redirected[_i].is_written ? "pipit: written\n" : "");
	ck_assert_uint_eq(pipit_log_dropped(), before);
	close(ends[0]), close(ends[1]);
}
END_TEST

START_TEST(counts_a_message_without_standard_error_and_keeps_errno)
{
	uint64_t before = pipit_log_dropped();
	close(STDERR_FILENO);
	errno = EDOM;
	pipit_log(PIPIT_LOG_ERROR, "lost");
	ck_assert_int_eq(errno, EDOM);
	ck_assert_uint_eq(pipit_log_dropped(), before + 1);
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
	tcase_add_test(tests, writes_the_longest_message_whole_and_cuts_a_longer_one);
	tcase_add_test(tests, keeps_characters_of_utf_8);
	tcase_add_test(tests, writes_messages_as_json);
	tcase_add_test(tests, begins_each_line_with_the_name_of_the_program);
	tcase_add_loop_test(tests, drops_and_counts_what_a_blocked_reader_does_not_take, 0, 3);
	tcase_add_loop_test(tests, drops_and_counts_without_a_reader_and_raises_no_signal, 0, 2);
	tcase_add_test(tests, leaves_no_descriptor_open);
	tcase_add_test(tests, counts_a_message_without_standard_error_and_keeps_errno);
	/* Last: what standard error was cannot be made unknown again. */
	tcase_add_loop_test(tests, writes_nothing_to_a_file_or_a_client_of_the_program, 0,
	    (int)(sizeof redirected / sizeof redirected[0]));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
