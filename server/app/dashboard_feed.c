/* SPDX-License-Identifier: MIT */
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
	bool is_aligned; /* fires when a second begins */

	pthread_mutex_t lock; /* one thread samples, clients of all workers read */
	struct pipit_dashboard_data *data;
	struct pipit_sse_event *history; /* NULL: not yet */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void take_sample(struct pipit_dashboard_feed *feed, const struct pipit_dashboard_data_input *input)
{
	time_t second = (time_t)((now_ns(CLOCK_REALTIME) + SECOND_NS / 2) / SECOND_NS);
	pipit_dashboard_data_sample(feed->data, input, now_ns(CLOCK_MONOTONIC), second);
	pipit_sse_event_release(feed->history);
	feed->history = NULL;
}

static void on_second(evutil_socket_t fd, short what, void *context)
{
	static const struct timeval second = { 1, 0 };
	struct pipit_dashboard_feed *feed = context;
	struct pipit_dashboard_data_input input;
	char *text = NULL;
	(void)fd, (void)what;

	if (!feed->is_aligned) {
		feed->is_aligned = true;
		event_add(feed->timer, &second);
	}
	feed->describe(feed->context, &input);
	pthread_mutex_lock(&feed->lock);
	take_sample(feed, &input);
	if (pipit_stream_clients(feed->stream))
		text = pipit_dashboard_data_render(feed->data, &input);
	if (text)
		pipit_stream_send(feed->stream, &(struct pipit_event){ .name = "figures", .data = text });
	pthread_mutex_unlock(&feed->lock);
	free(text);
}

static struct pipit_sse_event *render_history(const struct pipit_dashboard_feed *feed)
{
	struct pipit_sse_event *rendered = NULL;
	char *text = pipit_dashboard_data_render_history(feed->data);
	if (text)
		pipit_sse_event_new(&(struct pipit_event){ .name = "history", .data = text }, &rendered);
	free(text);
	return rendered;
}

/* The lock covers sampling and sending: each sample is either in the history or an event. */
void pipit_dashboard_feed_serve(struct pipit_dashboard_feed *feed, struct pipit_request *request)
{
	pthread_mutex_lock(&feed->lock);
	if (!feed->history)
		feed->history = render_history(feed);
	if (feed->history)
		pipit_stream_join_with(feed->stream, request, feed->history);
	else
		pipit_request_reply_short(request);
	pthread_mutex_unlock(&feed->lock);
}

static bool set_up(struct pipit_dashboard_feed *feed, struct event_base *base, uint64_t max_clients)
{
	struct pipit_stream_options options = { .max_clients = max_clients ? max_clients : UINT64_MAX };
	struct pipit_dashboard_data_input input;
	uint64_t left_ns = SECOND_NS - now_ns(CLOCK_REALTIME) % SECOND_NS;
	/* the end of this second or the next, so that samples never share a second */
	struct timeval first = { left_ns < SECOND_NS / 2, (suseconds_t)(left_ns / 1000) };

	feed->describe(feed->context, &input);
	feed->data = pipit_dashboard_data_new(input.page.route_count, input.page.worker_count);
	feed->stream = pipit_stream_new(&options);
	feed->timer = event_new(base, -1, EV_PERSIST, on_second, feed);
	if (!feed->data || !feed->stream || !feed->timer || event_add(feed->timer, &first) != 0)
		return false;
	take_sample(feed, &input);
	return true;
}

struct pipit_dashboard_feed *pipit_dashboard_feed_new(
    struct event_base *base, pipit_dashboard_feed_describe *describe, void *context, uint64_t max_clients)
{
	struct pipit_dashboard_feed *feed = calloc(1, sizeof *feed);
	if (!feed)
		return NULL;
	pthread_mutex_init(&feed->lock, NULL);
	feed->describe = describe;
	feed->context = context;
	if (set_up(feed, base, max_clients))
		return feed;
	pipit_dashboard_feed_free(feed);
	return NULL;
}

void pipit_dashboard_feed_free(struct pipit_dashboard_feed *feed)
{
	if (!feed)
		return;
	if (feed->timer)
		event_free(feed->timer);
	pipit_stream_free(feed->stream);
	pipit_sse_event_release(feed->history);
	pipit_dashboard_data_free(feed->data);
	pthread_mutex_destroy(&feed->lock);
	free(feed);
}
