/* SPDX-License-Identifier: MIT */
/*
 * Every system call of the server fails once, or does less than requested; then every second and third one does. The functions
 * below replace those of libc, for pipit and for libevent. What the kernel may do at any time (interrupt, process a part, have
 * nothing yet) must not be visible to a client; an error of a connection may end only that one.
 */
#include "script.h"
#include "suite.h"

#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define COMPLAINTS_MAX 12
/* A server without descriptors tries to accept at this interval. */
#define SWEEP_MS 250

/* ---------------------------------------------------------------- the calls that fail */

enum call {
	CALL_NONE,
	CALL_RECV,
	CALL_SEND,
	CALL_SENDMSG,
	CALL_SENDFILE,
	CALL_ACCEPT,
	CALL_READ,
	CALL_WRITE,
	CALL_WRITEV,
	CALL_PREAD,
	CALL_OPEN,
	CALL_OPENAT2,
	CALL_FSTAT,
	CALL_GETPEERNAME,
	CALL_SHUTDOWN,
	CALL_POLL,
	CALL_EPOLL_WAIT,
	CALL_EPOLL_CTL,
	/* from here on only at a start */
	CALL_SETSOCKOPT,
	CALL_SOCKET,
	CALL_BIND,
	CALL_LISTEN,
	CALL_GETSOCKNAME,
	CALL_EVENTFD,
	CALL_COUNT
};

/* Instead of an errno: the call processes one byte, or half. */
enum { ONE_BYTE = -1, HALF = -2 };

static struct plan {
	enum call call;
	int fault;           /* errno, ONE_BYTE or HALF */
	uint64_t at;         /* the call that fails */
	uint64_t every;      /* not 0: each of this number of calls, instead */
	uint64_t until_skip; /* not 0: all of them, until the clock has been advanced by this time */
} plan;
static uint64_t calls[CALL_COUNT];

static bool is_struck(enum call call)
{
	uint64_t number = ++calls[call];
	if (plan.call != call)
		return false;
	if (plan.until_skip)
		return script_skipped_ms() < plan.until_skip;
	return plan.every ? number % plan.every == 0 : number == plan.at;
}

/* True: the call fails, errno is set. *length: upper limit of what it may do. */
static bool strikes(enum call call, size_t *length)
{
	if (!is_struck(call))
		return false;
	if (plan.fault > 0) {
		errno = plan.fault;
		return true;
	}
	if (length && *length > 1)
		*length = plan.fault == ONE_BYTE ? 1 : *length / 2;
	return false;
}

static bool fails(enum call call)
{
	return strikes(call, NULL);
}

/* ---------------------------------------------------------------- in the place of libc's */

static long (*real_syscall)(long number, ...);

SCRIPT_INSTEAD long syscall(long number, ...)
{
	long arguments[6];
	va_list list;
	if (!real_syscall)
		*(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_openat2 && fails(CALL_OPENAT2))
		return -1;
	return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

SCRIPT_INSTEAD ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
	return strikes(CALL_RECV, &length) ? -1 : syscall(SYS_recvfrom, fd, bytes, length, flags, NULL, NULL);
}

SCRIPT_INSTEAD ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	return strikes(CALL_SEND, &length) ? -1 : syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

/* Of several pieces at most the first: a part of it if the call is to do a part. */
static int cut(struct iovec *first, const struct iovec *pieces, int count, enum call call, bool *is_failed)
{
	size_t length = pieces[0].iov_len;
	*is_failed = strikes(call, &length);
	*first = (struct iovec){ pieces[0].iov_base, length };
	return length < pieces[0].iov_len ? 1 : count;
}

SCRIPT_INSTEAD ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct iovec first;
	struct msghdr less = *message;
	bool is_failed;
	if (cut(&first, message->msg_iov, (int)message->msg_iovlen, CALL_SENDMSG, &is_failed) == 1) {
		less.msg_iov = &first;
		less.msg_iovlen = 1;
	}
	return is_failed ? -1 : syscall(SYS_sendmsg, fd, &less, flags);
}

SCRIPT_INSTEAD ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	struct iovec first;
	bool is_failed;
	if (cut(&first, pieces, count, CALL_WRITEV, &is_failed) == 1 && !is_failed)
		return syscall(SYS_writev, fd, &first, 1);
	return is_failed ? -1 : syscall(SYS_writev, fd, pieces, count);
}

SCRIPT_INSTEAD ssize_t sendfile(int to, int from, off_t *offset, size_t length)
{
	return strikes(CALL_SENDFILE, &length) ? -1 : syscall(SYS_sendfile, to, from, offset, length);
}

/* The name that libevent, built without large files, calls. */
SCRIPT_INSTEAD ssize_t small_sendfile(int to, int from, off_t *offset, size_t length) __asm__("sendfile");
SCRIPT_INSTEAD ssize_t small_sendfile(int to, int from, off_t *offset, size_t length)
{
	return strikes(CALL_SENDFILE, &length) ? -1 : syscall(SYS_sendfile, to, from, offset, length);
}

SCRIPT_INSTEAD int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return fails(CALL_ACCEPT) ? -1 : (int)syscall(SYS_accept4, fd, address, length, flags);
}

SCRIPT_INSTEAD ssize_t read(int fd, void *bytes, size_t length)
{
	/* The number of an eventfd is read as a whole. */
	size_t part = length;
	if (strikes(CALL_READ, &part))
		return -1;
	return syscall(SYS_read, fd, bytes, length == sizeof(uint64_t) ? length : part);
}

/* pipit's messages are not of interest here. */
SCRIPT_INSTEAD ssize_t write(int fd, const void *bytes, size_t length)
{
	size_t part = length;
	if (fd == STDERR_FILENO)
		return (ssize_t)length;
	/* The number for an eventfd is written as a whole, and always: it would only block at 2^64. */
	if (length == sizeof(uint64_t) && plan.fault != EINTR)
		return syscall(SYS_write, fd, bytes, length);
	if (strikes(CALL_WRITE, &part))
		return -1;
	return syscall(SYS_write, fd, bytes, part);
}

SCRIPT_INSTEAD ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
	return strikes(CALL_PREAD, &length) ? -1 : syscall(SYS_pread64, fd, bytes, length, offset);
}

SCRIPT_INSTEAD int open(const char *name, int flags, ...)
{
	mode_t mode = 0;
	if (flags & O_CREAT) {
		va_list list;
		va_start(list, flags);
		mode = va_arg(list, mode_t);
		va_end(list);
	}
	return fails(CALL_OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode);
}

SCRIPT_INSTEAD int fstat(int fd, struct stat *status)
{
	return fails(CALL_FSTAT) ? -1 : (int)syscall(SYS_fstat, fd, status);
}

SCRIPT_INSTEAD int getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	return fails(CALL_GETPEERNAME) ? -1 : (int)syscall(SYS_getpeername, fd, address, length);
}

SCRIPT_INSTEAD int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	return fails(CALL_SETSOCKOPT) ? -1 : (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

SCRIPT_INSTEAD int shutdown(int fd, int how)
{
	return fails(CALL_SHUTDOWN) ? -1 : (int)syscall(SYS_shutdown, fd, how);
}

/* pipit polls without waiting. */
SCRIPT_INSTEAD int poll(struct pollfd *looks, nfds_t count, int limit_ms)
{
	struct timespec limit = { limit_ms / 1000, limit_ms % 1000 * 1000000 };
	return fails(CALL_POLL) ? -1 : (int)syscall(SYS_ppoll, looks, count, limit_ms < 0 ? NULL : &limit, NULL, 8);
}

SCRIPT_INSTEAD int epoll_wait(int fd, struct epoll_event *events, int count, int limit_ms)
{
	return fails(CALL_EPOLL_WAIT) ? -1 : (int)syscall(SYS_epoll_pwait, fd, events, count, limit_ms, NULL, 8);
}

SCRIPT_INSTEAD int epoll_ctl(int fd, int what, int other, struct epoll_event *event)
{
	/* EPOLL_CTL_MOD and EPOLL_CTL_DEL do not allocate. */
	if (what == EPOLL_CTL_ADD && fails(CALL_EPOLL_CTL))
		return -1;
	return (int)syscall(SYS_epoll_ctl, fd, what, other, event);
}

SCRIPT_INSTEAD int socket(int family, int type, int protocol)
{
	return fails(CALL_SOCKET) ? -1 : (int)syscall(SYS_socket, family, type, protocol);
}

SCRIPT_INSTEAD int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return fails(CALL_BIND) ? -1 : (int)syscall(SYS_bind, fd, address, length);
}

SCRIPT_INSTEAD int listen(int fd, int backlog)
{
	return fails(CALL_LISTEN) ? -1 : (int)syscall(SYS_listen, fd, backlog);
}

SCRIPT_INSTEAD int getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	return fails(CALL_GETSOCKNAME) ? -1 : (int)syscall(SYS_getsockname, fd, address, length);
}

SCRIPT_INSTEAD int eventfd(unsigned count, int flags)
{
	return fails(CALL_EVENTFD) ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

/* ---------------------------------------------------------------- faults */

static const struct fault {
	const char *name;
	enum call call;
	int fault;
	enum script_rule rule;
	bool may_repeat; /* what the kernel may do repeatedly */
	unsigned stride; /* step between tried calls, where there are very many; 0 is 1 */
} faults[] = {
	{ "recv: EINTR", CALL_RECV, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "recv: EAGAIN", CALL_RECV, EAGAIN, SCRIPT_EXACTLY, true, 0 },
	{ "recv: one byte", CALL_RECV, ONE_BYTE, SCRIPT_EXACTLY, true, 0 },
	{ "recv: half", CALL_RECV, HALF, SCRIPT_EXACTLY, true, 0 },
	{ "recv: ECONNRESET", CALL_RECV, ECONNRESET, SCRIPT_OR_REFUSED, false, 0 },
	{ "recv: ENOMEM", CALL_RECV, ENOMEM, SCRIPT_OR_REFUSED, false, 3 },
	{ "send: EINTR", CALL_SEND, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "send: EAGAIN", CALL_SEND, EAGAIN, SCRIPT_EXACTLY, true, 0 },
	{ "send: ENOBUFS", CALL_SEND, ENOBUFS, SCRIPT_EXACTLY, true, 3 },
	{ "send: one byte", CALL_SEND, ONE_BYTE, SCRIPT_EXACTLY, true, 0 },
	{ "send: half", CALL_SEND, HALF, SCRIPT_EXACTLY, true, 0 },
	{ "send: EPIPE", CALL_SEND, EPIPE, SCRIPT_OR_REFUSED, false, 0 },
	{ "send: ECONNRESET", CALL_SEND, ECONNRESET, SCRIPT_OR_REFUSED, false, 3 },
	{ "send: ENOMEM", CALL_SEND, ENOMEM, SCRIPT_OR_REFUSED, false, 3 },
	{ "sendmsg: EINTR", CALL_SENDMSG, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "sendmsg: EAGAIN", CALL_SENDMSG, EAGAIN, SCRIPT_EXACTLY, true, 0 },
	{ "sendmsg: one byte", CALL_SENDMSG, ONE_BYTE, SCRIPT_EXACTLY, true, 0 },
	{ "sendmsg: half", CALL_SENDMSG, HALF, SCRIPT_EXACTLY, true, 0 },
	{ "sendmsg: EPIPE", CALL_SENDMSG, EPIPE, SCRIPT_OR_REFUSED, false, 0 },
	{ "sendfile: EINTR", CALL_SENDFILE, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "sendfile: EAGAIN", CALL_SENDFILE, EAGAIN, SCRIPT_EXACTLY, true, 0 },
	{ "sendfile: one byte", CALL_SENDFILE, ONE_BYTE, SCRIPT_EXACTLY, true, 0 },
	{ "sendfile: half", CALL_SENDFILE, HALF, SCRIPT_EXACTLY, true, 0 },
	{ "sendfile: EPIPE", CALL_SENDFILE, EPIPE, SCRIPT_OR_REFUSED, false, 0 },
	{ "sendfile: EIO", CALL_SENDFILE, EIO, SCRIPT_OR_REFUSED, false, 0 },
	{ "writev: EINTR", CALL_WRITEV, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "writev: EAGAIN", CALL_WRITEV, EAGAIN, SCRIPT_EXACTLY, true, 0 },
	{ "writev: one byte", CALL_WRITEV, ONE_BYTE, SCRIPT_EXACTLY, true, 0 },
	{ "writev: half", CALL_WRITEV, HALF, SCRIPT_EXACTLY, true, 0 },
	{ "writev: EPIPE", CALL_WRITEV, EPIPE, SCRIPT_OR_REFUSED, false, 0 },
	{ "writev: ENOBUFS", CALL_WRITEV, ENOBUFS, SCRIPT_EXACTLY, true, 3 },
	{ "accept: EINTR", CALL_ACCEPT, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "accept: EAGAIN", CALL_ACCEPT, EAGAIN, SCRIPT_EXACTLY, true, 0 },
	{ "accept: ECONNABORTED", CALL_ACCEPT, ECONNABORTED, SCRIPT_EXACTLY, true, 0 },
	{ "accept: EMFILE", CALL_ACCEPT, EMFILE, SCRIPT_EXACTLY, true, 0 },
	{ "accept: ENFILE", CALL_ACCEPT, ENFILE, SCRIPT_EXACTLY, true, 0 },
	{ "accept: ENOBUFS", CALL_ACCEPT, ENOBUFS, SCRIPT_EXACTLY, true, 3 },
	{ "accept: ENOMEM", CALL_ACCEPT, ENOMEM, SCRIPT_EXACTLY, true, 3 },
	{ "read: EINTR", CALL_READ, EINTR, SCRIPT_EXACTLY, false, 0 },
	{ "read: EAGAIN", CALL_READ, EAGAIN, SCRIPT_EXACTLY, false, 0 },
	{ "write: EINTR", CALL_WRITE, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "write: EAGAIN", CALL_WRITE, EAGAIN, SCRIPT_EXACTLY, true, 0 },
	{ "write: ENOSPC", CALL_WRITE, ENOSPC, SCRIPT_OR_REFUSED, false, 3 },
	{ "write: one byte", CALL_WRITE, ONE_BYTE, SCRIPT_EXACTLY, true, 0 },
	{ "write: half", CALL_WRITE, HALF, SCRIPT_EXACTLY, true, 0 },
	{ "pread: EINTR", CALL_PREAD, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "pread: one byte", CALL_PREAD, ONE_BYTE, SCRIPT_EXACTLY, true, 0 },
	{ "pread: half", CALL_PREAD, HALF, SCRIPT_EXACTLY, true, 0 },
	{ "pread: EIO", CALL_PREAD, EIO, SCRIPT_OR_REFUSED, false, 0 },
	{ "open: EINTR", CALL_OPEN, EINTR, SCRIPT_OR_REFUSED, true, 0 },
	{ "open: EMFILE", CALL_OPEN, EMFILE, SCRIPT_OR_REFUSED, true, 0 },
	{ "openat2: EINTR", CALL_OPENAT2, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "openat2: EAGAIN", CALL_OPENAT2, EAGAIN, SCRIPT_EXACTLY, true, 0 },
	{ "openat2: EMFILE", CALL_OPENAT2, EMFILE, SCRIPT_OR_REFUSED, false, 0 },
	{ "openat2: ENFILE", CALL_OPENAT2, ENFILE, SCRIPT_OR_REFUSED, false, 0 },
	{ "openat2: ENOMEM", CALL_OPENAT2, ENOMEM, SCRIPT_OR_REFUSED, false, 0 },
	{ "fstat: ENOMEM", CALL_FSTAT, ENOMEM, SCRIPT_OR_REFUSED, false, 0 },
	{ "getpeername: ENOBUFS", CALL_GETPEERNAME, ENOBUFS, SCRIPT_OR_REFUSED, false, 0 },
	{ "getpeername: ENOTCONN", CALL_GETPEERNAME, ENOTCONN, SCRIPT_OR_REFUSED, false, 0 },
	{ "shutdown: ENOTCONN", CALL_SHUTDOWN, ENOTCONN, SCRIPT_EXACTLY, true, 0 },
	{ "poll: EINTR", CALL_POLL, EINTR, SCRIPT_EXACTLY, true, 0 },
	{ "poll: ENOMEM", CALL_POLL, ENOMEM, SCRIPT_EXACTLY, true, 0 },
	{ "epoll_wait: EINTR", CALL_EPOLL_WAIT, EINTR, SCRIPT_EXACTLY, true, 17 },
	{ "epoll_ctl: ENOMEM", CALL_EPOLL_CTL, ENOMEM, SCRIPT_OR_REFUSED, false, 0 },
	{ "epoll_ctl: ENOSPC", CALL_EPOLL_CTL, ENOSPC, SCRIPT_OR_REFUSED, false, 3 },
};

/* ---------------------------------------------------------------- one run */

/* Known defects: a fault and a part of the error. Should be empty. */
static const struct known {
	const char *fault;
	const char *complaint;
} known[] = {
	{ NULL, NULL },
};
static unsigned complaints;

static void judge(const char *wrong, const char *fault, uint64_t number)
{
	if (!wrong)
		return;
	for (const struct known *one = known; one->fault; one++) {
		if (strcmp(fault, one->fault) == 0 && strstr(wrong, one->complaint))
			return;
	}
	printf("%s at call %llu: %s\n", fault, (unsigned long long)number, wrong);
	ck_assert_msg(++complaints < COMPLAINTS_MAX, "and so on");
}

static void judge_descriptors(size_t before, const char *fault, uint64_t number)
{
	char text[80];
	size_t now = script_descriptors();
	snprintf(text, sizeof text, "%zu descriptors were open before, %zu are now", before, now);
	judge(now == before ? NULL : text, fault, number);
}

/* The script on a server without faults. Returns the number of the calls. */
static uint64_t run(const struct fault *fault, uint64_t at, uint64_t every)
{
	size_t descriptors = script_descriptors();
	uint64_t made;
	const char *wrong;

	/*
	 * libevent makes its epoll_ctl() calls late and does not report a failure: such a connection gets no events, and its
	 * deadline ends it. No other connection may need a deadline.
	 */
	script_set_deadline(fault->call == CALL_EPOLL_CTL ? 5000 : 3600 * 1000);
	ck_assert_int_eq(script_start(), 0);
	script_settle();
	memset(calls, 0, sizeof calls);
	plan = (struct plan){ .call = fault->call, .fault = fault->fault, .at = at, .every = every };
	wrong = script_run(fault->rule);
	plan.call = CALL_NONE;
	made = calls[fault->call];
	judge(wrong, fault->name, every ? every : at);
	judge(script_probe(), fault->name, every ? every : at);
	script_stop();
	judge_descriptors(descriptors, fault->name, every ? every : at);
	judge(script_check_log(), fault->name, every ? every : at);
	return made;
}

static void ignore_words(int severity, const char *message)
{
	(void)severity, (void)message;
}

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(ignore_words);
	script_set_up();
	complaints = 0;
}

static void tear_down(void)
{
	plan.call = CALL_NONE;
	script_tear_down();
}

/* ---------------------------------------------------------------- tests */

START_TEST(the_script_is_answered_without_faults)
{
	static const struct fault none = { "none", CALL_NONE, 0, SCRIPT_EXACTLY, false, 0 };
	run(&none, 0, 0);
	for (enum call call = CALL_RECV; call <= CALL_EPOLL_CTL; call++)
		ck_assert_msg(calls[call] > 0 || (script_borrows() && call == CALL_GETPEERNAME), "call %d is not made",
		    (int)call);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

START_TEST(every_client_is_answered_or_closed_whichever_call_fails)
{
	const struct fault *fault = &faults[_i];
	uint64_t at = 1, made;
	while ((made = run(fault, at, 0)) >= at)
		at += (fault->stride ? fault->stride : 1) * script_step(made);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

START_TEST(calls_that_fail_repeatedly_lose_nothing)
{
	const struct fault *fault = &faults[_i];
	if (!fault->may_repeat)
		return;
	run(fault, 0, 3);
	run(fault, 0, 2);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

START_TEST(a_server_without_descriptors_does_not_spin_and_serves_again)
{
	uint64_t began, waited;
	ck_assert_int_eq(script_start(), 0);
	script_settle();
	memset(calls, 0, sizeof calls);
	began = script_skipped_ms();
	plan = (struct plan){ .call = CALL_ACCEPT, .fault = EMFILE, .until_skip = began + 5000 };
	judge(script_probe(), "accept: EMFILE", 0);
	waited = script_skipped_ms() - began;
	plan.call = CALL_NONE;
	ck_assert_uint_ge(waited, 5000);
	/* One attempt to accept per sweep, and the two that succeed. */
	ck_assert_uint_le(calls[CALL_ACCEPT], waited / SWEEP_MS + 4);
	script_stop();
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

/* A failed start must leave nothing behind; a start may also succeed without that call. */
START_TEST(a_start_whose_calls_fail_fails_cleanly)
{
	static const struct fault starts[] = {
		{ "socket: EMFILE", CALL_SOCKET, EMFILE, SCRIPT_EXACTLY, false, 0 },
		{ "setsockopt: ENOMEM", CALL_SETSOCKOPT, ENOMEM, SCRIPT_EXACTLY, false, 0 },
		{ "bind: EADDRINUSE", CALL_BIND, EADDRINUSE, SCRIPT_EXACTLY, false, 0 },
		{ "listen: EADDRINUSE", CALL_LISTEN, EADDRINUSE, SCRIPT_EXACTLY, false, 0 },
		{ "getsockname: ENOBUFS", CALL_GETSOCKNAME, ENOBUFS, SCRIPT_EXACTLY, false, 0 },
		{ "eventfd: EMFILE", CALL_EVENTFD, EMFILE, SCRIPT_EXACTLY, false, 0 },
		{ "open: EMFILE", CALL_OPEN, EMFILE, SCRIPT_EXACTLY, false, 0 },
		{ "fstat: ENOMEM", CALL_FSTAT, ENOMEM, SCRIPT_EXACTLY, false, 0 },
	};
	for (size_t i = 0; i < COUNT(starts); i++) {
		size_t descriptors = script_descriptors();
		uint64_t at = 0;
		do {
			int result;
			memset(calls, 0, sizeof calls);
			plan = (struct plan){ .call = starts[i].call, .fault = starts[i].fault, .at = ++at };
			result = script_start();
			plan.call = CALL_NONE;
			if (result == 0) {
				judge(script_probe(), starts[i].name, at);
				script_stop();
			}
			judge_descriptors(descriptors, starts[i].name, at);
		} while (calls[starts[i].call] >= at);
		ck_assert_msg(at > 1, "%s: the call is not made", starts[i].name);
	}
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("syscall");
	TCase *tcase = tcase_create("syscall");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, the_script_is_answered_without_faults);
	tcase_add_loop_test(tcase, every_client_is_answered_or_closed_whichever_call_fails, 0, (int)COUNT(faults));
	tcase_add_loop_test(tcase, calls_that_fail_repeatedly_lose_nothing, 0, (int)COUNT(faults));
	tcase_add_test(tcase, a_server_without_descriptors_does_not_spin_and_serves_again);
	tcase_add_test(tcase, a_start_whose_calls_fail_fails_cleanly);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
