/* SPDX-License-Identifier: MIT */
/* See loop.h. */
#include "loop.h"

#include "pipit.h"

#include <check.h>
#include <dirent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct call {
	void (*function)(void *arg);
	void *arg;
};

static void on_call(evutil_socket_t fd, short what, void *arg)
{
	struct call call;
	(void)what, (void)arg;
	if (read(fd, &call, sizeof call) != (ssize_t)sizeof call)
		abort();
	call.function(call.arg);
	if (write(fd, "", 1) != 1)
		abort();
}

void loop_open(struct loop *loop)
{
	*loop = (struct loop){ .base = event_base_new() };
	ck_assert_ptr_nonnull(loop->base);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, loop->wakeup), 0);
	/* libevent's debug mode requires it. */
	ck_assert_int_eq(evutil_make_socket_nonblocking(loop->wakeup[0]), 0);
	loop->calls = event_new(loop->base, loop->wakeup[0], EV_READ | EV_PERSIST, on_call, NULL);
	ck_assert_ptr_nonnull(loop->calls);
	ck_assert_int_eq(event_add(loop->calls, NULL), 0);
}

static void *run(void *base)
{
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

void loop_run(struct loop *loop)
{
	ck_assert_int_eq(pthread_create(&loop->thread, NULL, run, loop->base), 0);
	loop->is_running = true;
}

void loop_call(struct loop *loop, void (*function)(void *arg), void *arg)
{
	struct call call = { function, arg };
	char byte;
	if (!loop->is_running) {
		function(arg);
		return;
	}
	ck_assert_int_eq(write(loop->wakeup[1], &call, sizeof call), (int)sizeof call);
	ck_assert_int_eq(read(loop->wakeup[1], &byte, 1), 1);
}

static void break_loop(void *base)
{
	event_base_loopbreak(base);
}

void loop_break_next_turn(struct loop *loop)
{
	struct call call = { break_loop, loop->base };
	ck_assert_int_eq(write(loop->wakeup[1], &call, sizeof call), (int)sizeof call);
}

void loop_stop(struct loop *loop)
{
	if (!loop->is_running)
		return;
	loop_call(loop, break_loop, loop->base);
	ck_assert_int_eq(pthread_join(loop->thread, NULL), 0);
	loop->is_running = false;
}

void loop_turn(struct loop *loop, int turns)
{
	for (int i = 0; i < turns; i++)
		event_base_loop(loop->base, EVLOOP_NONBLOCK);
}

void loop_leave(struct loop *loop)
{
	loop_stop(loop);
	event_free(loop->calls);
	close(loop->wakeup[0]);
	close(loop->wakeup[1]);
}

unsigned loop_serve(struct loop *loop, struct pipit_server *server)
{
	loop_open(loop);
	ck_assert_int_eq(pipit_server_attach(server, loop->base), 0);
	loop_run(loop);
	return (unsigned)strtoul(strrchr(pipit_server_url(server, 0), ':') + 1, NULL, 10);
}

void loop_end(struct loop *loop, struct pipit_server *server)
{
	loop_stop(loop);
	pipit_server_free(server);
	loop_leave(loop);
	event_base_free(loop->base);
	loop->base = NULL;
}

size_t loop_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;
	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}
