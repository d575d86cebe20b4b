/* SPDX-License-Identifier: MIT */
/* See daemon.h. */
#include "daemon.h"

#include "tls_wire.h"
#include "wire.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64

static const char *program(void)
{
	const char *path = getenv("PIPIT_DAEMON");
	ck_assert_msg(path != NULL, "PIPIT_DAEMON must name the daemon");
	return path;
}

/* The daemon reads every PIPIT_ variable as an option, and would refuse to start with PIPIT_DAEMON. */
static void clear_settings(void)
{
	char **at = environ;
	while (at && *at) {
		char name[128];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
		if (strncmp(name, "PIPIT_", 6) != 0) {
			at++;
			continue;
		}
		unsetenv(name);
		at = environ;
	}
}

static void enter_surroundings(const struct daemon_surroundings *surroundings)
{
	struct rlimit limit = { surroundings->descriptors, surroundings->descriptors };

	/* A failed test does not stop its daemon: the kernel kills it with the test's process. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	clear_settings();
	/* Suppressions name functions, which TSan gets from a program that it starts. */
	if (getenv("TSAN_OPTIONS"))
		putenv((char *)(uintptr_t) "PIPIT_SANDBOX=off");
	for (const char *const *at = surroundings->environment; at && *at; at++)
		putenv((char *)(uintptr_t)*at);
	/* Otherwise UBSan only prints, and the daemon exits with 0. */
	setenv("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1", 0);
	if (surroundings->descriptors)
		setrlimit(RLIMIT_NOFILE, &limit);
}

static void exec_daemon(
    const struct daemon_surroundings *surroundings, const char *const *fixed, const char *const *arguments)
{
	const char *list[ARGUMENTS_MAX] = { program() };
	size_t count = 1;
	enter_surroundings(surroundings);
	for (; fixed && *fixed && count < ARGUMENTS_MAX - 1; fixed++)
		list[count++] = *fixed;
	for (; arguments && *arguments && count < ARGUMENTS_MAX - 1; arguments++)
		list[count++] = *arguments;
	execv(list[0], (char *const *)(void *)list);
	_exit(127);
}

/* False: EOF. */
static bool read_line(int fd, char *line, size_t size)
{
	size_t length = 0;
	while (length < size - 1 && read(fd, &line[length], 1) == 1 && line[length] != '\n')
		length++;
	line[length] = '\0';
	return length > 0;
}

/* Skips to the end of the first "listening on" line; there is one per listener. Messages may be before it, on the same pipe. */
static unsigned read_port(int fd)
{
	char line[256];
	const char *url = NULL, *colon;
	while (!url && read_line(fd, line, sizeof line))
		url = strstr(line, "listening on http"); /* with --log-format json the line is JSON */
	colon = url ? strrchr(url, ':') : NULL;
	return colon ? (unsigned)atoi(colon + 1) : 0;
}

struct daemon daemon_start(const char *const *arguments)
{
	return daemon_start_in(&(struct daemon_surroundings){ 0 }, arguments);
}

struct daemon daemon_start_in(const struct daemon_surroundings *surroundings, const char *const *arguments)
{
	static const char *const fixed[] = { "--access-log", "off", NULL };
	const char *address[8] = { "--listen", "127.0.0.1:0", NULL };
	struct daemon daemon = { .errors = "/tmp/pipit-test-errors-XXXXXX" };
	int pipe_fds[2], errors = mkstemp(daemon.errors);
	bool has_address = false;

	ck_assert_int_ge(errors, 0);
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	for (const char *const *at = arguments; at && *at; at++)
		has_address |= strcmp(*at, "--listen") == 0;
#ifdef WIRE_HAS_TLS
	if (tls_wire_is_on()) {
		const struct tls_wire_files *files = tls_wire_files(program());
		const char *const secure[] = { "--listen", "https://127.0.0.1:0", "--tls-certificate",
			files->certificate, "--tls-key", files->key, NULL };
		memcpy(address, secure, sizeof secure);
	}
#endif
	daemon.pid = fork();
	ck_assert_int_ge(daemon.pid, 0);
	if (daemon.pid == 0) {
		const char *list[ARGUMENTS_MAX] = { NULL };
		size_t count = 0;
		for (size_t i = 0; fixed[i]; i++)
			list[count++] = fixed[i];
		for (size_t i = 0; !has_address && address[i]; i++)
			list[count++] = address[i];
		dup2(pipe_fds[1], STDOUT_FILENO);
		dup2(surroundings->errors_to_output ? pipe_fds[1] : errors, STDERR_FILENO);
		exec_daemon(surroundings, list, arguments);
	}
	close(pipe_fds[1]);
	close(errors);
	daemon.out = pipe_fds[0];
	daemon.port = read_port(daemon.out);
	if (daemon.port == 0) {
		char *text = daemon_errors(&daemon);
		ck_abort_msg("the daemon did not start: %s", text);
	}
	return daemon;
}

int daemon_run(const char *const *arguments, char *output, size_t size)
{
	return daemon_run_in(&(struct daemon_surroundings){ 0 }, arguments, output, size);
}

int daemon_run_in(
    const struct daemon_surroundings *surroundings, const char *const *arguments, char *output, size_t size)
{
	int pipe_fds[2], status;
	size_t length = 0;
	pid_t pid;

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(pipe_fds[1], STDOUT_FILENO);
		dup2(pipe_fds[1], STDERR_FILENO);
		exec_daemon(surroundings, NULL, arguments);
	}
	close(pipe_fds[1]);
	for (;;) {
		char byte;
		if (read(pipe_fds[0], &byte, 1) != 1)
			break;
		if (length < size - 1)
			output[length++] = byte;
	}
	output[length] = '\0';
	close(pipe_fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int daemon_wait(struct daemon *daemon)
{
	int status;
	ck_assert_int_eq(waitpid(daemon->pid, &status, 0), daemon->pid);
	daemon->pid = 0;
	close(daemon->out);
	if (status != 0) {
		char *errors = daemon_errors(daemon);
		fprintf(stderr, "daemon ended with wait status %#x:\n%s\n", (unsigned)status, errors);
		free(errors);
	}
	unlink(daemon->errors);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int daemon_stop(struct daemon *daemon)
{
	kill(daemon->pid, SIGTERM);
	return daemon_wait(daemon);
}

void daemon_pause(const struct daemon *daemon)
{
	int status;
	ck_assert_int_eq(kill(daemon->pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(daemon->pid, &status, WUNTRACED), daemon->pid);
	ck_assert(WIFSTOPPED(status));
}

void daemon_resume(const struct daemon *daemon)
{
	ck_assert_int_eq(kill(daemon->pid, SIGCONT), 0);
}

char *daemon_errors(const struct daemon *daemon)
{
	FILE *file = fopen(daemon->errors, "r");
	char *text = calloc(1, 65536);
	ck_assert_ptr_nonnull(text);
	if (file) {
		text[fread(text, 1, 65535, file)] = '\0';
		fclose(file);
	}
	return text;
}

/* Kibibytes of an entry of /proc/PID/status; `name` ends in a colon. */
static long read_kib(const struct daemon *daemon, const char *name)
{
	char path[64], line[256];
	long kib = -1;
	FILE *file;
	snprintf(path, sizeof path, "/proc/%d/status", (int)daemon->pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (kib < 0 && fgets(line, sizeof line, file)) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = atol(line + strlen(name));
	}
	fclose(file);
	return kib;
}

long daemon_resident_kib(const struct daemon *daemon)
{
	return read_kib(daemon, "VmRSS:");
}

long daemon_peak_kib(const struct daemon *daemon)
{
	return read_kib(daemon, "VmHWM:");
}

long daemon_descriptors(const struct daemon *daemon)
{
	char path[64];
	long count = 0;
	DIR *directory;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)daemon->pid);
	directory = opendir(path);
	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

long daemon_cpu_ms(const struct daemon *daemon)
{
	char path[64], line[1024] = "";
	const char *at;
	unsigned long user = 0, system = 0;
	FILE *file;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)daemon->pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
	fclose(file);
	/* Fields 14 and 15; field 2 is the program's name in parentheses. */
	at = strrchr(line, ')');
	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

double daemon_metric(const struct daemon *daemon, const char *sample)
{
	int fd = wire_connect(daemon->port);
	struct wire_response page = wire_ask(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	double value;

	ck_assert_int_eq(page.status, 200);
	value = wire_metric(page.content, sample);
	wire_free(&page);
	close(fd);
	return value;
}
