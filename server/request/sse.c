/* SPDX-License-Identifier: MIT */
/* An event goes from pipit_stream_send() to deliver() to write_more(). */
#include "request/sse.h"

#include "http1/open_reply.h"
#include "request/request.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define DEFAULT_MAX_CLIENTS 1000
#define DEFAULT_MAX_QUEUE 64
#define DEFAULT_HEARTBEAT_MS 15000
#define DEFAULT_RETRY_MS 2000
#define HEARTBEAT_MAX_MS (24 * 3600 * 1000)

struct link {
	_Atomic size_t holds;          /* by the link before, branches, clients; by the stream if it is the last */
	struct link *next;             /* held; set once, under the lock; read up to the last announced link */
	struct pipit_sse_event *event; /* held; NULL: ends all replies */
	uint64_t place;
};

struct pipit_stream {
	_Atomic size_t holds; /* by the owner and the branches */
	struct pipit_stream_options options;
	char prefix[PIPIT_SSE_EVENT_PREFIX_DIGITS + 1];
	struct pipit_sse_event *preamble, *heartbeat;
	struct link *final_link; /* made in advance, so that the end needs no memory */
	_Atomic uint64_t clients, renderings;

	pthread_mutex_t lock;             /* for the members below, `next` of the last link, flags of branches */
	struct link *last;                /* held */
	uint64_t number;                  /* of the last id */
	struct pipit_sse_event **history; /* a ring; holds each event */
	size_t history_first, history_count;
	struct branch *branches;
};

/* On one worker, which alone uses it, except what the lock protects. */
struct branch {
	struct pipit_stream *stream; /* held */
	const struct pipit_request_pool *pool;
	struct branch *next;
	bool is_posted;      /* deliver() is in the inbox */
	bool is_abandoned;   /* post nothing more */
	bool is_busy;        /* in a loop over the clients */
	struct link *newest; /* held; links up to it need no lock */
	struct client *first, *last;
	struct event *heartbeat; /* NULL without clients */
};

struct client {
	struct pipit_open_reply open_reply; /* first: its functions get this struct */
	struct branch *branch;
	struct client *next, *previous;
	struct pipit_sse_event **backlog; /* first events, each held; may be NULL */
	size_t backlog_at, backlog_count;
	struct link *at;                 /* held; the last one begun */
	struct pipit_sse_event *writing; /* held; NULL between events */
	size_t written;
	bool is_chunked;
	bool is_over; /* `at` ends the reply */
};

static struct link *new_link(struct pipit_sse_event *event)
{
	struct link *link = malloc(sizeof *link);
	if (!link)
		return NULL;
	atomic_init(&link->holds, 2);
	link->next = NULL;
	link->event = event;
	link->place = 0;
	return link;
}

static struct link *hold_link(struct link *link)
{
	atomic_fetch_add_explicit(&link->holds, 1, memory_order_relaxed);
	return link;
}

/* Acquire: the last holder sees the `next` that another thread has set. */
static void release_link(struct link *link)
{
	while (link && atomic_fetch_sub_explicit(&link->holds, 1, memory_order_acq_rel) == 1) {
		struct link *next = link->next;
		pipit_sse_event_release(link->event);
		free(link);
		link = next;
	}
}

static void release_stream(struct pipit_stream *stream)
{
	if (!stream || atomic_fetch_sub_explicit(&stream->holds, 1, memory_order_acq_rel) != 1)
		return;
	release_link(stream->last);
	for (size_t i = 0; i < stream->history_count; i++)
		pipit_sse_event_release(stream->history[(stream->history_first + i) % stream->options.history]);
	free(stream->history);
	free(stream->final_link);
	pipit_sse_event_release(stream->preamble);
	pipit_sse_event_release(stream->heartbeat);
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}

static bool take_next(struct client *client)
{
	struct link *next;

	if (client->backlog_at < client->backlog_count) {
		client->writing = client->backlog[client->backlog_at++];
		return true;
	}
	if (client->is_over || client->at == client->branch->newest)
		return false;
	next = hold_link(client->at->next);
	release_link(client->at);
	client->at = next;
	client->is_over = !client->at->event;
	if (!client->is_over)
		client->writing = pipit_sse_event_hold(client->at->event);
	return !client->is_over;
}

static void write_more(struct client *client)
{
	while (client->writing || take_next(client)) {
		struct pipit_slice bytes = pipit_sse_event_bytes(client->writing, client->is_chunked);
		bytes.data += client->written;
		bytes.length -= client->written;
		client->written +=
		    pipit_open_reply_write(&client->open_reply, bytes, pipit_sse_event_bytes(client->writing, false));
		if (client->open_reply.is_waiting)
			return;
		pipit_sse_event_release(client->writing);
		client->writing = NULL;
		client->written = 0;
	}
}

static bool is_too_far_behind(const struct client *client)
{
	const struct branch *branch = client->branch;
	return branch->newest->place - client->at->place > branch->stream->options.max_queue;
}

/* A posted deliver() frees it later. */
static void free_empty_branch(struct branch *branch)
{
	struct pipit_stream *stream = branch->stream;
	struct branch **link = &stream->branches;
	bool is_needed;

	pthread_mutex_lock(&stream->lock);
	is_needed = branch->is_posted;
	branch->is_abandoned = true;
	if (!is_needed) {
		while (*link != branch)
			link = &(*link)->next;
		*link = branch->next;
	}
	pthread_mutex_unlock(&stream->lock);
	if (is_needed)
		return;
	release_link(branch->newest);
	free(branch);
	release_stream(stream);
}

static void free_client(struct client *client)
{
	release_link(client->at);
	pipit_sse_event_release(client->writing);
	while (client->backlog_at < client->backlog_count)
		pipit_sse_event_release(client->backlog[client->backlog_at++]);
	free(client->backlog);
	free(client);
}

static void remove_client(struct client *client)
{
	struct branch *branch = client->branch;

	if (client->next)
		client->next->previous = client->previous;
	else
		branch->last = client->previous;
	if (client->previous)
		client->previous->next = client->next;
	else
		branch->first = client->next;
	atomic_fetch_sub_explicit(&branch->stream->clients, 1, memory_order_relaxed);
	free_client(client);
	if (branch->first)
		return;
	if (branch->heartbeat)
		event_free(branch->heartbeat);
	branch->heartbeat = NULL;
	if (!branch->is_busy)
		free_empty_branch(branch);
}

static void end(struct client *client)
{
	pipit_open_reply_end(&client->open_reply);
	remove_client(client);
}

static void on_writable(struct pipit_open_reply *open_reply)
{
	struct client *client = (struct client *)open_reply;
	write_more(client);
	if (client->is_over && !open_reply->is_waiting)
		end(client);
}

static void on_drain(struct pipit_open_reply *open_reply)
{
	struct client *client = (struct client *)open_reply;
	struct pipit_connection *connection = open_reply->connection;
	if (open_reply->is_waiting) {
		pipit_open_reply_close(open_reply);
		return;
	}
	end(client);
	pipit_http1_continue(connection);
}

static void on_lost(struct pipit_open_reply *open_reply)
{
	remove_client((struct client *)open_reply);
}

static const struct pipit_open_reply_hooks hooks = { on_writable, on_drain, on_lost };

static void restart_heartbeat(struct branch *branch)
{
	uint64_t interval_ms = branch->stream->options.heartbeat_ms;
	struct timeval interval = { (time_t)(interval_ms / 1000), (suseconds_t)(interval_ms % 1000 * 1000) };
	if (branch->heartbeat)
		event_add(branch->heartbeat, &interval);
}

/* May free the client. */
static void push(struct client *client, bool with_heartbeat)
{
	struct pipit_connection *connection = client->open_reply.connection;

	if (with_heartbeat && client->at == client->branch->newest)
		client->writing = pipit_sse_event_hold(client->branch->stream->heartbeat);
	write_more(client);
	if (client->open_reply.is_waiting) {
		/* only after a write: events that came at once say nothing about the client */
		if (is_too_far_behind(client))
			pipit_open_reply_drop(&client->open_reply);
		else
			pipit_http1_continue(connection);
	} else if (client->is_over) {
		end(client);
		pipit_http1_continue(connection);
	}
}

/* with_heartbeat: to clients without new events. */
static void walk(struct branch *branch, bool with_heartbeat)
{
	struct client *next;

	branch->is_busy = true;
	for (struct client *client = branch->first; client; client = next) {
		next = client->next;
		if (!client->open_reply.is_waiting)
			push(client, with_heartbeat);
		else if (is_too_far_behind(client))
			pipit_open_reply_drop(&client->open_reply);
	}
	branch->is_busy = false;
	if (branch->first)
		restart_heartbeat(branch);
	else
		free_empty_branch(branch);
}

static void catch_up(struct branch *branch, bool from_inbox)
{
	struct pipit_stream *stream = branch->stream;
	struct link *before = branch->newest;

	pthread_mutex_lock(&stream->lock);
	branch->newest = hold_link(stream->last);
	if (from_inbox)
		branch->is_posted = false;
	pthread_mutex_unlock(&stream->lock);
	release_link(before);
}

static void deliver(void *context)
{
	catch_up(context, true);
	walk(context, false);
}

/* Also delivers unannounced events. */
static void on_heartbeat(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	catch_up(context, false);
	walk(context, true);
}

static struct branch *find_branch(const struct pipit_stream *stream, const struct pipit_request_pool *pool)
{
	struct branch *branch = stream->branches;
	while (branch && branch->pool != pool)
		branch = branch->next;
	return branch;
}

static struct branch *add_branch(struct pipit_stream *stream, const struct pipit_request_pool *pool)
{
	struct branch *branch = calloc(1, sizeof *branch);
	if (!branch)
		return NULL;
	branch->stream = stream;
	branch->pool = pool;
	branch->newest = hold_link(stream->last);
	branch->next = stream->branches;
	stream->branches = branch;
	atomic_fetch_add_explicit(&stream->holds, 1, memory_order_relaxed);
	return branch;
}

static uint64_t read_id(const struct pipit_stream *stream, struct pipit_slice id)
{
	uint64_t number = 0;

	if (id.length < PIPIT_SSE_EVENT_PREFIX_DIGITS + 2 || id.length > PIPIT_SSE_EVENT_PREFIX_DIGITS + 20 ||
	    memcmp(id.data, stream->prefix, PIPIT_SSE_EVENT_PREFIX_DIGITS) != 0 ||
	    id.data[PIPIT_SSE_EVENT_PREFIX_DIGITS] != '-')
		return 0;
	for (size_t i = PIPIT_SSE_EVENT_PREFIX_DIGITS + 1; i < id.length; i++) {
		if (id.data[i] < '0' || id.data[i] > '9')
			return 0;
		number = number * 10 + (uint64_t)(id.data[i] - '0');
	}
	return number;
}

static uint64_t last_number(const struct pipit_stream *stream, const struct pipit_request *request)
{
	const struct pipit_guard_field *field = pipit_guard_find(request->head, "Last-Event-ID");
	if (!field || field->value_length == 0)
		return UINT64_MAX;
	return read_id(stream, pipit_guard_slice(request->head, field->value, field->value_length));
}

static bool fill_backlog(
    struct client *client, const struct pipit_stream *stream, uint64_t after, struct pipit_sse_event *first)
{
	size_t room = (after == UINT64_MAX ? 0 : stream->history_count) + (first != NULL);

	if (room == 0)
		return true;
	client->backlog = malloc(room * sizeof *client->backlog);
	if (!client->backlog)
		return false;
	for (size_t i = 0; i < stream->history_count && after != UINT64_MAX; i++) {
		struct pipit_sse_event *event = stream->history[(stream->history_first + i) % stream->options.history];
		if (event->number > after)
			client->backlog[client->backlog_count++] = pipit_sse_event_hold(event);
	}
	if (first)
		client->backlog[client->backlog_count++] = pipit_sse_event_hold(first);
	return true;
}

static void link_client(struct branch *branch, struct client *client)
{
	client->branch = branch;
	client->previous = branch->last;
	if (branch->last)
		branch->last->next = client;
	else
		branch->first = client;
	branch->last = client;
	atomic_fetch_add_explicit(&branch->stream->clients, 1, memory_order_relaxed);
}

static bool start_heartbeat(struct branch *branch)
{
	if (branch->heartbeat)
		return true;
	branch->heartbeat = event_new(branch->pool->base, -1, 0, on_heartbeat, branch);
	restart_heartbeat(branch);
	return branch->heartbeat != NULL;
}

/* Under the lock each event is either in the history or after the client's link. -EBUSY: too many clients. */
static int add_client(
    struct pipit_stream *stream, struct client *client, struct pipit_request *request, struct pipit_sse_event *first)
{
	struct branch *branch = find_branch(stream, request->pool);

	if (atomic_load_explicit(&stream->clients, memory_order_relaxed) >= stream->options.max_clients)
		return -EBUSY;
	if (!fill_backlog(client, stream, last_number(stream, request), first))
		return -ENOMEM;
	if (!branch)
		branch = add_branch(stream, request->pool);
	if (!branch)
		return -ENOMEM;
	branch->is_abandoned = false;
	client->at = hold_link(stream->last);
	link_client(branch, client);
	return 0;
}

static int add_client_locked(
    struct pipit_stream *stream, struct client *client, struct pipit_request *request, struct pipit_sse_event *first)
{
	int error;
	pthread_mutex_lock(&stream->lock);
	error = add_client(stream, client, request, first);
	pthread_mutex_unlock(&stream->lock);
	if (error != 0) {
		free_client(client);
		return error;
	}
	catch_up(client->branch, false);
	if (start_heartbeat(client->branch))
		return 0;
	remove_client(client);
	return -ENOMEM;
}

static int refuse_one_too_many(const struct pipit_stream *stream, struct pipit_request *request)
{
	char seconds[24];

	snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(stream->options.retry_ms + 999) / 1000);
	pipit_open_reply_count_refusal(request->connection);
	pipit_reply_header(request, "Retry-After", seconds);
	return pipit_reply_problem(request, 503, "%s", pipit_refusal_entry(PIPIT_REFUSAL_TOO_MANY_STREAMS)->detail);
}

static int open_reply(const struct pipit_stream *stream, struct pipit_request *request, struct client *client)
{
	/* nginx would collect events in its buffer */
	static const char fields[] = "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n";
	bool is_chunked = request->connection && pipit_connection_minor(request->connection) > 0;

	if (client) {
		client->is_chunked = is_chunked;
		client->open_reply.content_bytes = stream->preamble->length;
	}
	return pipit_request_open(request, 200, "text/event-stream", (struct pipit_slice){ fields, sizeof fields - 1 },
	    pipit_sse_event_bytes(stream->preamble, is_chunked), client ? &client->open_reply : NULL);
}

/* During a drain the client should connect to another server. */
static void begin(struct client *client)
{
	struct pipit_connection *connection = client->open_reply.connection;

	write_more(client);
	if (!client->open_reply.is_waiting && (client->is_over || pipit_open_reply_is_draining(connection)))
		end(client);
	pipit_http1_continue(connection);
}

int pipit_stream_join_with(struct pipit_stream *stream, struct pipit_request *request, struct pipit_sse_event *first)
{
	struct client *client;
	int result;

	if (request->replied)
		return -EALREADY;
	/* HEAD, or the client closed */
	if (!request->connection || pipit_connection_is_head_request(request->connection))
		return open_reply(stream, request, NULL);
	client = calloc(1, sizeof *client);
	if (!client)
		return pipit_request_reply_short(request);
	client->open_reply.hooks = &hooks;
	result = add_client_locked(stream, client, request, first);
	if (result == -EBUSY)
		return refuse_one_too_many(stream, request);
	if (result != 0)
		return pipit_request_reply_short(request);
	result = open_reply(stream, request, client);
	if (result == 0)
		begin(client);
	else
		remove_client(client);
	return result;
}

int pipit_stream_join(struct pipit_stream *stream, struct pipit_request *request, const struct pipit_event *first)
{
	struct pipit_sse_event *rendered = NULL;
	int result = 0;

	if (request->replied)
		return -EALREADY;
	if (first)
		result = pipit_sse_event_new(first, &rendered);
	if (result == -ENOMEM)
		return pipit_request_reply_short(request);
	if (result != 0)
		return result;
	result = pipit_stream_join_with(stream, request, rendered);
	pipit_sse_event_release(rendered);
	return result;
}

void pipit_stream_serve(struct pipit_request *request, void *stream)
{
	if (stream)
		pipit_stream_join(stream, request, NULL);
	else
		pipit_request_reply_fault(
		    request, "pipit_stream_serve() was called with NULL; pass a stream from pipit_stream_new()");
}

/* Under the lock. */
static void remember(struct pipit_stream *stream, struct pipit_sse_event *event)
{
	size_t size = stream->options.history, place = (stream->history_first + stream->history_count) % size;

	if (stream->history_count == size) {
		pipit_sse_event_release(stream->history[stream->history_first]);
		stream->history_first = (stream->history_first + 1) % size;
	} else {
		stream->history_count++;
	}
	stream->history[place] = pipit_sse_event_hold(event);
}

/*
 * Under the lock, so that links are announced in order. When memory is short, the next event or heartbeat announces the
 * link.
 */
static void append(struct pipit_stream *stream, struct link *link)
{
	struct link *before = stream->last;

	link->place = before->place + 1;
	before->next = link;
	stream->last = link;
	release_link(before);
	for (struct branch *branch = stream->branches; branch; branch = branch->next) {
		if (!branch->is_posted && !branch->is_abandoned &&
		    branch->pool->post_call(branch->pool->worker, deliver, branch) == 0)
			branch->is_posted = true;
	}
}

/* Without clients and history an event only uses up a number. */
static bool skip_event(struct pipit_stream *stream, const struct pipit_event *event)
{
	bool is_sent;
	if (stream->options.history || pipit_stream_clients(stream))
		return false;
	pthread_mutex_lock(&stream->lock);
	is_sent = !stream->branches;
	if (is_sent && !event->without_id)
		stream->number++;
	pthread_mutex_unlock(&stream->lock);
	return is_sent;
}

int pipit_stream_send(struct pipit_stream *stream, const struct pipit_event *event)
{
	struct pipit_sse_event *rendered;
	struct link *link;
	int error;

	if (event->name && strpbrk(event->name, "\r\n"))
		return -EINVAL;
	if (skip_event(stream, event))
		return 0;
	error = pipit_sse_event_new(event, &rendered);
	if (error != 0)
		return error;
	link = new_link(rendered);
	if (!link) {
		pipit_sse_event_release(rendered);
		return -ENOMEM;
	}
	atomic_fetch_add_explicit(&stream->renderings, 1, memory_order_relaxed);
	pthread_mutex_lock(&stream->lock);
	if (!event->without_id) {
		pipit_sse_event_set_id(rendered, stream->prefix, ++stream->number);
		if (stream->options.history)
			remember(stream, rendered);
	}
	append(stream, link);
	pthread_mutex_unlock(&stream->lock);
	return 0;
}

static void append_end(struct pipit_stream *stream, struct link *link)
{
	pthread_mutex_lock(&stream->lock);
	append(stream, link);
	pthread_mutex_unlock(&stream->lock);
}

int pipit_stream_end(struct pipit_stream *stream)
{
	struct link *link = new_link(NULL);
	if (!link)
		return -ENOMEM;
	append_end(stream, link);
	return 0;
}

/* Unique, not secret: a clock suffices before the system has randomness. */
static void choose_prefix(char prefix[PIPIT_SSE_EVENT_PREFIX_DIGITS + 1])
{
	uint64_t number;
	struct timespec now;

	if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number) {
		clock_gettime(CLOCK_REALTIME, &now);
		number = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	}
	snprintf(prefix, PIPIT_SSE_EVENT_PREFIX_DIGITS + 1, "%016llx", (unsigned long long)number);
}

static bool set_up(struct pipit_stream *stream)
{
	struct pipit_stream_options *options = &stream->options;
	char retry[40];

	options->max_clients = options->max_clients ? options->max_clients : DEFAULT_MAX_CLIENTS;
	options->max_queue = options->max_queue ? options->max_queue : DEFAULT_MAX_QUEUE;
	options->heartbeat_ms = options->heartbeat_ms ? options->heartbeat_ms : DEFAULT_HEARTBEAT_MS;
	options->retry_ms = options->retry_ms ? options->retry_ms : DEFAULT_RETRY_MS;
	snprintf(retry, sizeof retry, "retry: %llu\n", (unsigned long long)options->retry_ms);
	stream->preamble = pipit_sse_event_lines(retry);
	stream->heartbeat = pipit_sse_event_lines(":\n");
	stream->final_link = new_link(NULL);
	stream->last = new_link(NULL);
	/* The first link is never announced, and no link holds it. */
	if (stream->last)
		atomic_store_explicit(&stream->last->holds, 1, memory_order_relaxed);
	if (options->history)
		stream->history = calloc(options->history, sizeof(struct pipit_sse_event *));
	return stream->preamble && stream->heartbeat && stream->final_link && stream->last &&
	       (stream->history || !options->history);
}

struct pipit_stream *pipit_stream_new(const struct pipit_stream_options *options)
{
	struct pipit_stream *stream;

	if (options && options->heartbeat_ms > HEARTBEAT_MAX_MS)
		return NULL;
	stream = calloc(1, sizeof *stream);
	if (!stream)
		return NULL;
	if (options)
		stream->options = *options;
	atomic_init(&stream->holds, 1);
	pthread_mutex_init(&stream->lock, NULL);
	choose_prefix(stream->prefix);
	if (set_up(stream))
		return stream;
	release_stream(stream);
	return NULL;
}

void pipit_stream_free(struct pipit_stream *stream)
{
	struct link *final_link;
	if (!stream)
		return;
	final_link = stream->final_link;
	stream->final_link = NULL;
	append_end(stream, final_link);
	release_stream(stream);
}

uint64_t pipit_stream_clients(const struct pipit_stream *stream)
{
	return atomic_load_explicit(&stream->clients, memory_order_relaxed);
}

uint64_t pipit_stream_renderings(const struct pipit_stream *stream)
{
	return atomic_load_explicit(&stream->renderings, memory_order_relaxed);
}
