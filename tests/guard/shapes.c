/* SPDX-License-Identifier: MIT */
/*
 * Small programs that use evhttp in the ways that real ones do; none is linked with pipit.
 *
 * usage: shapes SHAPE [ADDRESS PORT]
 *
 * Prints the port, or the ports, then serves until it is told to end by GET /end. Exit status 7, so that a test sees that it stays.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_compat.h>
#include <event2/http.h>
#include <event2/http_compat.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS 7

static const char *bind_address = "127.0.0.1";
static ev_uint16_t bind_port;
static struct event_base *base;
static struct evhttp *https[2];
static struct evhttp_bound_socket *handle;

static void print_port(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	getsockname(fd, (struct sockaddr *)&address, &length);
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
}

static void print_bound(struct evhttp_bound_socket *bound, void *arg)
{
	(void)arg;
	print_port(evhttp_bound_socket_get_fd(bound));
}

static int listening_socket(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0)
		abort();
	return fd;
}

/* --- callbacks ---------------------------------------------------------------------------------------------------------- */

static void send_text(struct evhttp_request *request, const char *text)
{
	struct evbuffer *content = evbuffer_new();
	evbuffer_add_printf(content, "%s", text);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void on_hello(struct evhttp_request *request, void *arg)
{
	(void)arg;
	send_text(request, "hello");
}

/* The body, its length and the address of the client. */
static void on_echo(struct evhttp_request *request, void *arg)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	char *address, text[128];
	ev_uint16_t port;
	(void)arg;
	evhttp_connection_get_peer(evhttp_request_get_connection(request), &address, &port);
	snprintf(text, sizeof text, "%zu %s %u", evbuffer_get_length(input), address, port);
	send_text(request, text);
}

/* What a program prints that has had its signals, locale or environment changed. */
static void on_facts(struct evhttp_request *request, void *arg)
{
	struct sigaction action;
	sigset_t mask;
	unsigned handlers = 0, blocked = 0;
	const char *preload = getenv("LD_PRELOAD");
	char text[256];
	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int number = 1; number < 32; number++) {
		if (sigaction(number, NULL, &action) == 0)
			handlers += action.sa_handler != SIG_DFL;
		blocked += sigismember(&mask, number) == 1;
	}
	snprintf(text, sizeof text, "handlers %u, blocked %u, locale %s, preload \"%s\"", handlers, blocked,
	    setlocale(LC_ALL, NULL), preload ? preload : "");
	send_text(request, text);
}

static void on_ended(struct evhttp_request *request, void *arg)
{
	(void)request, (void)arg;
	/* The way of bitcoind: the loop ends when no event is left. */
	if (handle)
		evhttp_del_accept_socket(https[0], handle);
	else
		event_base_loopexit(base, NULL);
	handle = NULL;
}

static void on_end(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_request_set_on_complete_cb(request, on_ended, NULL);
	send_text(request, "bye");
}

/* A child sees the environment of the program. */
static void on_child(struct evhttp_request *request, void *arg)
{
	char text[512] = "";
	FILE *child = popen("echo \"child $LD_PRELOAD\"", "r");
	(void)arg;
	if (child && fgets(text, sizeof text, child))
		text[strcspn(text, "\n")] = '\0';
	if (child)
		pclose(child);
	send_text(request, text);
}

/* --- a reply from another thread, handed over by an event ------------------------------------------------------------------ */

struct task {
	struct evhttp_request *request;
	struct event *done;
	struct evhttp_connection *connection; /* kept, as bitcoind's threads do */
	unsigned microseconds;
};

static unsigned tasks_begun, tasks_done;

static void on_done(evutil_socket_t fd, short what, void *context)
{
	struct task *task = context;
	struct evhttp_connection *connection = evhttp_request_get_connection(task->request);
	char *address;
	ev_uint16_t peer_port;
	(void)fd, (void)what;
	if (connection != task->connection)
		abort();
	evhttp_connection_get_peer(connection, &address, &peer_port);
	tasks_done++;
	send_text(task->request, "from a thread");
	/* as bitcoind works around a fault of libevent */
	connection = evhttp_request_get_connection(task->request);
	if (connection)
		bufferevent_enable(evhttp_connection_get_bufferevent(connection), EV_READ | EV_WRITE);
	event_free(task->done);
	free(task);
}

static void *work(void *context)
{
	struct task *task = context;
	usleep(task->microseconds);
	event_active(task->done, EV_TIMEOUT, 0);
	return NULL;
}

static void on_task(struct evhttp_request *request, void *arg)
{
	struct task *task = malloc(sizeof *task);
	pthread_t thread;
	(void)arg;
	task->microseconds = strstr(evhttp_request_get_uri(request), "slow") ? 700 * 1000 : 20 * 1000;
	task->connection = evhttp_request_get_connection(request);
	bufferevent_disable(evhttp_connection_get_bufferevent(evhttp_request_get_connection(request)), EV_READ);
	task->request = request;
	tasks_begun++;
	task->done = event_new(base, -1, 0, on_done, task);
	if (pthread_create(&thread, NULL, work, task) != 0)
		abort();
	pthread_detach(thread);
}

/* --- a callback that removes all callbacks of its bufferevent ---------------------------------------------------------------- */

static void on_late(evutil_socket_t fd, short what, void *request)
{
	(void)fd, (void)what;
	send_text(request, "without callbacks");
}

static void on_bare(struct evhttp_request *request, void *arg)
{
	static const struct timeval delay = { 0, 50 * 1000 };
	(void)arg;
	bufferevent_setcb(
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(request)), NULL, NULL, NULL, NULL);
	if (strstr(evhttp_request_get_uri(request), "late"))
		event_base_once(base, -1, EV_TIMEOUT, on_late, request, &delay);
	else
		send_text(request, "without callbacks");
}

/* --- a stream past evhttp, as ustreamer's ---------------------------------------------------------------------------------- */

#define STREAM_CLIENTS 16

static struct stream {
	struct evhttp_request *request;
	unsigned frames;
} streams[STREAM_CLIENTS];
static unsigned streams_ended;

static void on_stream_error(struct bufferevent *bev, short what, void *context)
{
	struct stream *stream = context;
	struct evhttp_connection *connection = evhttp_request_get_connection(stream->request);
	(void)bev, (void)what;
	stream->request = NULL;
	streams_ended++;
	if (connection)
		evhttp_connection_free(connection);
}

static void on_stream_write(struct bufferevent *bev, void *context)
{
	struct stream *stream = context;
	struct evbuffer *frame = evbuffer_new();
	static const char picture[] = "--frame\r\nContent-Length: 5\r\n\r\n12345\r\n";
	if (stream->frames++ == 0)
		evbuffer_add_printf(
		    frame, "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n");
	evbuffer_add_reference(frame, picture, sizeof picture - 1, NULL, NULL);
	bufferevent_write_buffer(bev, frame);
	evbuffer_free(frame);
	bufferevent_setcb(bev, NULL, NULL, on_stream_error, stream);
	bufferevent_enable(bev, EV_READ);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what, (void)context;
	for (size_t i = 0; i < STREAM_CLIENTS; i++) {
		struct bufferevent *bev;
		if (!streams[i].request)
			continue;
		bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(streams[i].request));
		bufferevent_setcb(bev, NULL, on_stream_write, on_stream_error, &streams[i]);
		bufferevent_enable(bev, EV_READ | EV_WRITE);
	}
}

static void on_stream(struct evhttp_request *request, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < STREAM_CLIENTS; i++) {
		struct bufferevent *bev;
		if (streams[i].request)
			continue;
		streams[i] = (struct stream){ request, 0 };
		bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
		bufferevent_setcb(bev, NULL, NULL, on_stream_error, &streams[i]);
		bufferevent_enable(bev, EV_READ);
		return;
	}
	evhttp_send_error(request, 503, NULL);
}

static void on_tasks(struct evhttp_request *request, void *arg)
{
	char text[32];
	(void)arg;
	snprintf(text, sizeof text, "begun %u, done %u", tasks_begun, tasks_done);
	send_text(request, text);
}

static void on_streams(struct evhttp_request *request, void *arg)
{
	char text[64];
	unsigned open = 0;
	(void)arg;
	for (size_t i = 0; i < STREAM_CLIENTS; i++)
		open += streams[i].request != NULL;
	snprintf(text, sizeof text, "open %u, ended %u", open, streams_ended);
	send_text(request, text);
}

/* --- shapes ------------------------------------------------------------------------------------------------------------- */

static struct evhttp *new_http(void)
{
	struct evhttp *http = evhttp_new(base);
	evhttp_set_cb(http, "/echo", on_echo, NULL);
	evhttp_set_cb(http, "/facts", on_facts, NULL);
	evhttp_set_cb(http, "/child", on_child, NULL);
	evhttp_set_cb(http, "/task", on_task, NULL);
	evhttp_set_cb(http, "/tasks", on_tasks, NULL);
	evhttp_set_cb(http, "/bare", on_bare, NULL);
	evhttp_set_cb(http, "/stream", on_stream, NULL);
	evhttp_set_cb(http, "/streams", on_streams, NULL);
	evhttp_set_cb(http, "/end", on_end, NULL);
	evhttp_set_gencb(http, on_hello, NULL);
	return http;
}

static struct event *tick;

static void start_ticking(void)
{
	static const struct timeval interval = { 0, 50 * 1000 };
	tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	event_add(tick, &interval);
}

/* Frees the evhttp and makes another within one callback, perhaps at the same address. */
static void on_replace(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what, (void)context;
	evhttp_free(https[0]);
	https[0] = new_http();
	if (evhttp_bind_socket(https[0], "127.0.0.1", 0) != 0)
		abort();
	evhttp_foreach_bound_socket(https[0], print_bound, NULL);
}

static int held[1024];
static size_t held_count;

/* All descriptors that are left, for a moment. */
static void hold_descriptors(void)
{
	while (held_count < 1024 && (held[held_count] = dup(STDIN_FILENO)) >= 0)
		held_count++;
}

static void on_release(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what, (void)context;
	while (held_count > 0)
		close(held[--held_count]);
	evhttp_foreach_bound_socket(https[0], print_bound, NULL);
}

static void call_after(unsigned milliseconds, event_callback_fn callback)
{
	struct timeval delay = { 0, milliseconds * 1000 };
	event_base_once(base, -1, EV_TIMEOUT, callback, NULL, &delay);
}

/* --- memory shortage ----------------------------------------------------------------------------------------------------- */

static bool starves, is_measuring;
static size_t filter_bytes;
static struct event *starved_timers[1024];
static size_t starved_timer_count;
static struct evhttp_bound_socket *starved_handle;

/* No filter bufferevents, */
static void *starved_malloc(size_t size)
{
	if (is_measuring && size > filter_bytes)
		filter_bytes = size;
	return starves && size == filter_bytes ? NULL : malloc(size);
}

/* and no place in the heap of timers. */
static void *starved_realloc(void *old, size_t size)
{
	return starves ? NULL : realloc(old, size);
}

static enum bufferevent_filter_result no_bytes(
    struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *context)
{
	(void)source, (void)target, (void)limit, (void)mode, (void)context;
	return BEV_NEED_MORE;
}

static void measure_filter(void)
{
	struct bufferevent *below = bufferevent_socket_new(base, -1, 0), *filter;
	is_measuring = true;
	filter = bufferevent_filter_new(below, no_bytes, no_bytes, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	is_measuring = false;
	bufferevent_free(filter);
}

static void on_never(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what, (void)context;
}

static void fill_heap(void)
{
	static const struct timeval hour = { 3600, 0 };
	bool is_added = true;
	while (is_added && starved_timer_count < 1024) {
		struct event *timer = event_new(base, -1, 0, on_never, NULL);
		is_added = event_add(timer, &hour) == 0;
		starved_timers[starved_timer_count++] = timer;
	}
}

/* SIGUSR1: the shortage begins, or ends. */
static void on_starving(evutil_socket_t number, short what, void *context)
{
	(void)number, (void)what, (void)context;
	starves = !starves;
	if (starves)
		fill_heap();
	while (!starves && starved_timer_count > 0)
		event_free(starved_timers[--starved_timer_count]);
	printf("%s\n", starves ? "starves" : "has memory");
	fflush(stdout);
}

/* SIGUSR2: a program may enable its listener whenever it likes. */
static void on_enabling(evutil_socket_t number, short what, void *context)
{
	(void)number, (void)what, (void)context;
	evconnlistener_enable(evhttp_bound_socket_get_listener(starved_handle));
}

static void run_starved(void)
{
	struct event *signals[] = { evsignal_new(base, SIGUSR1, on_starving, NULL),
		evsignal_new(base, SIGUSR2, on_enabling, NULL) };

	measure_filter();
	https[0] = new_http();
	starved_handle = evhttp_bind_socket_with_handle(https[0], "127.0.0.1", 0);
	event_add(signals[0], NULL);
	event_add(signals[1], NULL);
	print_bound(starved_handle, NULL);
	event_base_dispatch(base);
	event_free(signals[0]);
	event_free(signals[1]);
	evhttp_free(https[0]);
	event_base_free(base);
}

static bool has_fired;

static void on_fired(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what, (void)context;
	has_fired = true;
}

/* The first turn in which an event of the program runs ends the loop. */
static int run_once(void)
{
	call_after(200, on_fired);
	event_base_loop(base, EVLOOP_ONCE);
	evhttp_free(https[0]);
	event_base_free(base);
	return has_fired ? STATUS : 1;
}

static struct bufferevent *own_bevcb(struct event_base *their_base, void *arg)
{
	(void)arg;
	return bufferevent_socket_new(their_base, -1, 0);
}

static bool is_shape(const char *shape, const char *name)
{
	return strcmp(shape, name) == 0;
}

static void bind_plain(struct evhttp *http)
{
	if (evhttp_bind_socket(http, bind_address, bind_port) != 0) {
		perror("evhttp_bind_socket");
		exit(1);
	}
}

static void open_sockets(const char *shape)
{
	if (is_shape(shape, "start")) {
		/* libevent's oldest way: a base of its own */
		https[0] = evhttp_start("127.0.0.1", 0);
		evhttp_set_gencb(https[0], on_hello, NULL);
		evhttp_set_cb(https[0], "/end", on_end, NULL);
		return;
	}
	https[0] = new_http();
	if (is_shape(shape, "handle")) {
		handle = evhttp_bind_socket_with_handle(https[0], "127.0.0.1", 0);
	} else if (is_shape(shape, "accept")) {
		if (evhttp_accept_socket(https[0], listening_socket()) != 0)
			abort();
	} else if (is_shape(shape, "accept-handle")) {
		handle = evhttp_accept_socket_with_handle(https[0], listening_socket());
	} else if (is_shape(shape, "listener")) {
		evhttp_bind_listener(
		    https[0], evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 0, listening_socket()));
	} else if (is_shape(shape, "bevcb-before")) {
		evhttp_set_bevcb(https[0], own_bevcb, NULL);
		bind_plain(https[0]);
	} else if (is_shape(shape, "bevcb-after")) {
		bind_plain(https[0]);
		evhttp_set_bevcb(https[0], own_bevcb, NULL);
	} else if (is_shape(shape, "bevcb-null")) {
		evhttp_set_bevcb(https[0], NULL, NULL);
		bind_plain(https[0]);
		evhttp_set_bevcb(https[0], NULL, NULL);
	} else if (is_shape(shape, "two")) {
		https[1] = new_http();
		bind_plain(https[0]);
		bind_plain(https[1]);
	} else if (is_shape(shape, "freed")) {
		/* one that ends before any loop runs */
		bind_plain(https[0]);
		evhttp_free(https[0]);
		https[0] = new_http();
		bind_plain(https[0]);
	} else {
		bind_plain(https[0]);
	}
}

static void *run_loop(void *arg)
{
	(void)arg;
	event_base_dispatch(base);
	return NULL;
}

static int run(const char *shape)
{
	pthread_t thread;

	if (is_shape(shape, "start")) {
		event_dispatch();
	} else if (is_shape(shape, "thread")) {
		if (pthread_create(&thread, NULL, run_loop, NULL) != 0)
			abort();
		pthread_join(thread, NULL);
	} else {
		event_base_dispatch(base);
	}
	for (size_t i = 0; i < 2; i++) {
		if (https[i])
			evhttp_free(https[i]);
	}
	if (tick)
		event_free(tick);
	if (base)
		event_base_free(base);
	return STATUS;
}

/* Binds and frees beside the loop, which runs in another thread. */
static void churn(void)
{
	for (int i = 0; i < 300; i++) {
		struct evhttp *http = new_http();
		bind_plain(http);
		evhttp_free(http);
	}
}

/* A client is there before evhttp: its request is answered while evhttp_accept_socket() runs. Returns whether it got 200. */
static bool is_accepted_unguarded(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: two words\r\n\r\n";
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int listener = listening_socket(), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char reply[sizeof "HTTP/1.1 200"] = "";

	getsockname(listener, (struct sockaddr *)&address, &length);
	if (connect(client, (struct sockaddr *)&address, length) != 0 ||
	    send(client, request, sizeof request - 1, MSG_NOSIGNAL) < 0 ||
	    evhttp_accept_socket(new_http(), listener) != 0 || recv(client, reply, sizeof reply - 1, MSG_WAITALL) < 0)
		abort();
	close(client);
	return strcmp(reply, "HTTP/1.1 200") == 0;
}

static int run_beside_loop(const char *shape)
{
	pthread_t thread;
	int unguarded = 0;

	if (pthread_create(&thread, NULL, run_loop, NULL) != 0)
		abort();
	if (is_shape(shape, "churn"))
		churn();
	for (int i = 0; i < 100 && is_shape(shape, "waiting"); i++)
		unguarded += is_accepted_unguarded();
	evhttp_foreach_bound_socket(https[0], print_bound, NULL);
	pthread_join(thread, NULL);
	return unguarded ? 1 : STATUS;
}

/* The parent waits; the child serves. */
static int fork_and_run(const char *shape)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (event_reinit(base) != 0)
			abort();
		return run(shape);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	const char *shape = argc > 1 ? argv[1] : "plain";

	if (argc == 4) {
		bind_address = is_shape(argv[2], "any") ? NULL : argv[2];
		bind_port = (ev_uint16_t)atoi(argv[3]);
	}
	signal(SIGPIPE, SIG_IGN);
	if (is_shape(shape, "thread") || is_shape(shape, "locks") || is_shape(shape, "churn") ||
	    is_shape(shape, "waiting"))
		evthread_use_pthreads();
	if (is_shape(shape, "moved") && chdir("/") != 0)
		abort();
	if (is_shape(shape, "cleared") && clearenv() != 0)
		abort();
	if (is_shape(shape, "errors-closed")) {
		/* a file of the program becomes descriptor 2 */
		close(STDERR_FILENO);
		if (open("program.db", O_RDWR | O_CREAT | O_TRUNC, 0600) != STDERR_FILENO)
			abort();
	}
	if (is_shape(shape, "starved")) {
		event_set_mem_functions(starved_malloc, starved_realloc, free);
		base = event_base_new();
		run_starved();
		return STATUS;
	}
	base = is_shape(shape, "start") ? event_init() : event_base_new();
	open_sockets(shape);
	if (is_shape(shape, "dropped") && (setgid(65534) != 0 || setuid(65534) != 0))
		abort();
	if (is_shape(shape, "short")) {
		hold_descriptors();
		call_after(600, on_release);
		return run(shape);
	}
	if (is_shape(shape, "churn") || is_shape(shape, "waiting"))
		return run_beside_loop(shape);
	if (is_shape(shape, "replaced")) {
		call_after(50, on_replace);
		return run(shape);
	}
	for (size_t i = 0; i < 2; i++) {
		if (https[i])
			evhttp_foreach_bound_socket(https[i], print_bound, NULL);
	}
	if (is_shape(shape, "once"))
		return run_once();
	if (is_shape(shape, "stream"))
		start_ticking();
	return is_shape(shape, "fork") ? fork_and_run(shape) : run(shape);
}
