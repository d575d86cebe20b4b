/* SPDX-License-Identifier: MIT */
/*
 * A handler that tries to open files, to run a program and to reach the network, as one would that an attacker controls, in a program
 * that has called pipit_confine(). The program is a child process of the test: what it gives up is gone for good.
 */
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char folder[] = "/tmp/pipit-confine-XXXXXX"; /* made for each test */
static char readable[64], writable[64], readable_file[80], writable_file[80];
static pid_t server_pid;
static unsigned port;

static int landlock_version(void)
{
	return (int)syscall(444, NULL, (size_t)0, 1u);
}

/* --- what the handler tries ------------------------------------------------------------------------------------------ */

static int open_and_close(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int run_a_program(void)
{
	char name[] = "true", *const arguments[] = { name, NULL }, *const environment[] = { NULL };
	int status;
	pid_t child = fork();

	if (child < 0)
		return errno;
	if (child == 0) {
		execve("/bin/true", arguments, environment);
		_exit(errno);
	}
	if (waitpid(child, &status, 0) != child)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* Nothing listens there: ECONNREFUSED where it may connect. */
static int connect_to_port_1(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return errno;
	error = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
	close(fd);
	return error;
}

/* A line "WHAT RESULT". */
static void add(char *text, size_t size, const char *what, int error)
{
	static const struct {
		int number;
		const char *name;
	} names[] = { { 0, "0" }, { EACCES, "EACCES" }, { EPERM, "EPERM" }, { ENOSYS, "ENOSYS" }, { ENOENT, "ENOENT" },
		{ ECONNREFUSED, "ECONNREFUSED" } };
	size_t length = strlen(text), i = 0;

	while (i < sizeof names / sizeof *names && names[i].number != error)
		i++;
	snprintf(text + length, size - length, "%s %s\n", what,
	    i < sizeof names / sizeof *names ? names[i].name : strerror(error));
}

static void try_all(struct pipit_request *request, void *arg)
{
	char text[512] = "";
	(void)arg;

	add(text, sizeof text, "shadow", open_and_close("/etc/shadow", O_RDONLY));
	add(text, sizeof text, "passwd", open_and_close("/etc/passwd", O_RDONLY));
	add(text, sizeof text, "readable", open_and_close(readable_file, O_RDONLY));
	add(text, sizeof text, "write readable", open_and_close(readable_file, O_WRONLY));
	add(text, sizeof text, "new", open_and_close(writable_file, O_WRONLY | O_CREAT));
	add(text, sizeof text, "writable", open_and_close(writable_file, O_RDWR | O_TRUNC));
	add(text, sizeof text, "self", open_and_close("/proc/self/stat", O_RDONLY));
	add(text, sizeof text, "exec", run_a_program());
	add(text, sizeof text, "connect", connect_to_port_1());
	add(text, sizeof text, "signal", kill(getppid(), 0) == 0 ? 0 : errno);
	add(text, sizeof text, "root", setuid(0) == 0 ? 0 : errno);
	pipit_reply_text(request, 200, text);
}

/* --- the program ------------------------------------------------------------------------------------------------------ */

static void serve(const struct pipit_confinement *confinement, int ready)
{
	struct pipit_config config;
	struct pipit_server *server;
	char error[256];

	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = 2;
	server = pipit_server_new(&config);
	if (!server || pipit_route(server, PIPIT_GET, "/try", try_all, NULL) != 0 || pipit_server_listen(server) != 0)
		_exit(1);
	if (confinement && pipit_confine(confinement, error, sizeof error) != 0) {
		fprintf(stderr, "%s\n", error);
		_exit(2);
	}
	if (write(ready, pipit_server_url(server, 0), strlen(pipit_server_url(server, 0))) < 0)
		_exit(3);
	close(ready);
	_exit(pipit_server_run(server));
}

static void start(const struct pipit_confinement *confinement)
{
	char url[64] = "";
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	server_pid = fork();
	ck_assert_int_ge(server_pid, 0);
	if (server_pid == 0) {
		close(ends[0]);
		serve(confinement, ends[1]);
	}
	close(ends[1]);
	ck_assert_int_gt(read(ends[0], url, sizeof url - 1), 0);
	close(ends[0]);
	ck_assert_int_eq(sscanf(url, "http://127.0.0.1:%u", &port), 1);
}

static void make_file(char *path, size_t size, const char *directory, const char *name, mode_t mode)
{
	int fd;

	snprintf(path, size, "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chmod(folder, 0755), 0);
	snprintf(readable, sizeof readable, "%s/readable", folder);
	snprintf(writable, sizeof writable, "%s/writable", folder);
	ck_assert_int_eq(mkdir(readable, 0755), 0);
	ck_assert_int_eq(mkdir(writable, 0755), 0);
	if (getuid() == 0)
		ck_assert_int_eq(chown(writable, NOBODY, NOBODY), 0);
	make_file(readable_file, sizeof readable_file, readable, "file", 0644);
	if (getuid() == 0)
		ck_assert_int_eq(chown(readable_file, NOBODY, NOBODY), 0);
	snprintf(writable_file, sizeof writable_file, "%s/new", writable);
	server_pid = 0;
}

static void tear_down(void)
{
	int status;

	if (server_pid) {
		kill(server_pid, SIGTERM);
		ck_assert_int_eq(waitpid(server_pid, &status, 0), server_pid);
		ck_assert_int_eq(status, 0);
	}
	unlink(readable_file);
	unlink(writable_file);
	ck_assert_int_eq(rmdir(readable), 0);
	ck_assert_int_eq(rmdir(writable), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

static char *tried(void)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_get(fd, "/try");
	char *content;

	ck_assert_int_eq(response.status, 200);
	content = strdup(response.content);
	wire_free(&response);
	close(fd);
	return content;
}

static void expect(const char *content, const char *line)
{
	ck_assert_msg(strstr(content, line) != NULL, "not \"%s\" in:\n%s", line, content);
}

static const char *const readable_paths[] = { readable, NULL }, *const writable_paths[] = { writable, NULL };

/* The tests below would prove nothing if the handler could not do this anyway. */
START_TEST(a_handler_may_do_what_its_user_may)
{
	char *content;

	start(NULL);
	content = tried();
	expect(content, "passwd 0\n");
	expect(content, "\nexec 0\n");
	expect(content, "connect ECONNREFUSED\n");
	expect(content, "signal 0\n");
	if (getuid() == 0) {
		expect(content, "shadow 0\n");
		expect(content, "root 0\n");
	}
	free(content);
}
END_TEST

START_TEST(a_confined_handler_opens_only_its_files_and_runs_no_program)
{
	const struct pipit_confinement confinement = {
		.restrict_files = true, .restrict_calls = true, .readable = readable_paths, .writable = writable_paths
	};
	int version = landlock_version();
	char *content;

	if (version < 1) {
		printf("skipped: this kernel has no Landlock\n");
		return;
	}
	start(&confinement);
	content = tried();
	expect(content, "shadow EACCES\n");
	expect(content, "passwd EACCES\n");
	expect(content, "\nreadable 0\n");
	expect(content, "write readable EACCES\n");
	expect(content, "new 0\n");
	expect(content, "writable 0\n");
	expect(content, "self 0\n");
	/* ENOSYS: of waiting for the child process */
	ck_assert(strstr(content, "exec EACCES\n") || strstr(content, "exec ENOSYS\n"));
#ifdef __GLIBC__
	if (version >= 4)
		ck_assert(strstr(content, "connect EACCES\n") || strstr(content, "connect ENOSYS\n"));
#endif
	if (version >= 6)
		ck_assert(strstr(content, "signal EPERM\n") || strstr(content, "signal ENOSYS\n"));
	free(content);
}
END_TEST

START_TEST(a_program_that_changed_its_user_cannot_become_root)
{
	const struct pipit_confinement confinement = { .user = "65534", .group = "65534" };
	char *content;

	if (getuid() != 0) {
		printf("skipped: not root\n");
		return;
	}
	start(&confinement);
	content = tried();
	expect(content, "shadow EACCES\n");
	expect(content, "root EPERM\n");
	free(content);
}
END_TEST

START_TEST(wrong_confinements_fail_with_what_would_be_right)
{
	static const char *const nowhere[] = { "/no/such/path", NULL };
	const struct {
		struct pipit_confinement confinement;
		int result;
		const char *error;
	} wrong[] = {
		{ { .user = "no-such-user" }, -ENOENT,
		    "user = \"no-such-user\": unknown; use a name that the system knows, or a number" },
		{ { .user = "root" }, -EINVAL, "user = \"root\": is root; use another user" },
		{ { .group = "1" }, -EINVAL, "group = \"1\": needs a user; use it with user" },
		{ { .restrict_files = true, .readable = nowhere }, -ENOENT,
		    "/no/such/path: No such file or directory; use a path that this user may open" },
	};
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		char error[256];
		int count = landlock_version() < 1 ? 3 : 4;
		for (int i = 0; i < count; i++) {
			if (pipit_confine(&wrong[i].confinement, error, sizeof error) != wrong[i].result ||
			    !strstr(error, wrong[i].error))
				_exit(i + 1);
		}
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* A program that goes on would believe that it is confined. */
START_TEST(a_restriction_that_fails_is_an_error)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		const struct pipit_confinement confinement = { .restrict_files = true };
		struct rlimit limit = { 0, 0 };
		char error[256];

		if (landlock_version() < 1)
			_exit(0);
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			_exit(2);
		if (pipit_confine(&confinement, error, sizeof error) != -EMFILE ||
		    strcmp(error, "cannot restrict files: Landlock: Too many open files") != 0)
			_exit(3);
		_exit(pipit_confine(&confinement, NULL, 0) == -EMFILE ? 0 : 4);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(core_dumps_can_be_disabled)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		const struct pipit_confinement confinement = { .user = "65534" };
		struct rlimit limit;
		char error[256];
		pipit_disable_core_dumps();
		/* a change of user does not switch them on again */
		if (getuid() == 0 && pipit_confine(&confinement, error, sizeof error) != 0)
			_exit(2);
		_exit(prctl(PR_GET_DUMPABLE) != 0 || getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("confine");
	TCase *tests = tcase_create("power");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_handler_may_do_what_its_user_may);
	tcase_add_test(tests, a_confined_handler_opens_only_its_files_and_runs_no_program);
	tcase_add_test(tests, a_program_that_changed_its_user_cannot_become_root);
	tcase_add_test(tests, wrong_confinements_fail_with_what_would_be_right);
	tcase_add_test(tests, a_restriction_that_fails_is_an_error);
	tcase_add_test(tests, core_dumps_can_be_disabled);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
