/* SPDX-License-Identifier: MIT */
/* See dashboard_feed.h. */
#include "app/dashboard_feed.h"

#include "request/request.h"
#include "request/sse.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SECOND_NS 1000000000u

struct pipit_dashboard_feed {
	pipit_dashboard_feed_describe *describe;
	void *context;
	struct pipit_stream *stream;
	struct event *timer;
	bool is_steady; /* the timer fires at the beginning of each second */

	pthread_mutex_t lock; /* of what follows: sampled on one thread, asked for by clients on all */
	struct pipit_dashboard_data *figures;
	struct pipit_sse_event *history; /* held; NULL: there is a newer sample than it was rendered of */
};

/* --- once a second --------------------------------------------------------------------------------------------------- */

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void take_sample(struct pipit_dashboard_feed *live, const struct pipit_dashboard_data_input *input)
{
	/* The timer may fire a moment before the second that is meant. */
	time_t second = (time_t)((now_ns(CLOCK_REALTIME) + SECOND_NS / 2) / SECOND_NS);
	pipit_dashboard_data_sample(live->figures, input, now_ns(CLOCK_MONOTONIC), second);
	pipit_sse_event_release(live->history);
	live->history = NULL;
}

static void on_second(evutil_socket_t fd, short what, void *context)
{
	static const struct timeval second = { 1, 0 };
	struct pipit_dashboard_feed *live = context;
	struct pipit_dashboard_data_input input;
	char *text = NULL;
	(void)fd, (void)what;

	if (!live->is_steady) {
		live->is_steady = true;
		event_add(live->timer, &second);
	}
	live->describe(live->context, &input);
	pthread_mutex_lock(&live->lock);
	take_sample(live, &input);
	if (pipit_stream_clients(live->stream))
		text = pipit_dashboard_data_render(live->figures, &input);
	/* Short of memory, a second is left out. */
	if (text)
		pipit_stream_send(live->stream, &(struct pipit_event){ .name = "figures", .data = text });
	pthread_mutex_unlock(&live->lock);
	free(text);
}

/* --- clients --------------------------------------------------------------------------------------------------------- */

static struct pipit_sse_event *render_history(const struct pipit_dashboard_feed *live)
{
	struct pipit_sse_event *rendered = NULL;
	char *text = pipit_dashboard_data_render_history(live->figures);
	if (text)
		pipit_sse_event_new(&(struct pipit_event){ .name = "history", .data = text }, &rendered);
	free(text);
	return rendered;
}

/* Under the lock, as samples are taken and sent: a sample is in the history, or comes as an event, never both or neither. */
void pipit_dashboard_feed_serve(struct pipit_dashboard_feed *live, struct pipit_request *request)
{
	pthread_mutex_lock(&live->lock);
	/* The same for all who come within a second. */
	if (!live->history)
		live->history = render_history(live);
	if (live->history)
		pipit_stream_join_with(live->stream, request, live->history);
	else
		pipit_request_reply_short(request);
	pthread_mutex_unlock(&live->lock);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static bool set_up(struct pipit_dashboard_feed *live, struct event_base *base, uint64_t max_clients)
{
	struct pipit_stream_options options = { .max_clients = max_clients ? max_clients : UINT64_MAX };
	struct pipit_dashboard_data_input input;
	uint64_t left_ns = SECOND_NS - now_ns(CLOCK_REALTIME) % SECOND_NS;
	/* The second that has begun ends, unless hardly anything is left of it: samples never share a second. */
	struct timeval first = { left_ns < SECOND_NS / 2, (suseconds_t)(left_ns / 1000) };

	live->describe(live->context, &input);
	live->figures = pipit_dashboard_data_new(input.page.route_count, input.page.worker_count);
	live->stream = pipit_stream_new(&options);
	live->timer = event_new(base, -1, EV_PERSIST, on_second, live);
	if (!live->figures || !live->stream || !live->timer || event_add(live->timer, &first) != 0)
		return false;
	take_sample(live, &input);
	return true;
}

struct pipit_dashboard_feed *pipit_dashboard_feed_new(
    struct event_base *base, pipit_dashboard_feed_describe *describe, void *context, uint64_t max_clients)
{
	struct pipit_dashboard_feed *live = calloc(1, sizeof *live);
	if (!live)
		return NULL;
	pthread_mutex_init(&live->lock, NULL);
	live->describe = describe;
	live->context = context;
	if (set_up(live, base, max_clients))
		return live;
	pipit_dashboard_feed_free(live);
	return NULL;
}

void pipit_dashboard_feed_free(struct pipit_dashboard_feed *live)
{
	if (!live)
		return;
	if (live->timer)
		event_free(live->timer);
	pipit_stream_free(live->stream);
	pipit_sse_event_release(live->history);
	pipit_dashboard_data_free(live->figures);
	pthread_mutex_destroy(&live->lock);
	free(live);
}
