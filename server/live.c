/* SPDX-License-Identifier: MIT */
/* See live.h. */
#include "live.h"

#include "stream.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct pipit_live {
	pipit_live_describe *describe;
	void *context;
	struct pipit_stream *stream;
	struct event *timer;

	pthread_mutex_t lock; /* of what follows: sampled on one thread, asked for by clients on all */
	struct pipit_figures *figures;
	struct pipit_rendered *history; /* held; NULL: there is a newer sample than it was rendered of */
};

/* --- once a second --------------------------------------------------------------------------------------------------- */

static void take_sample(struct pipit_live *live, const struct pipit_figures_input *input)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pipit_figures_sample(
	    live->figures, input, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, time(NULL));
	pipit_rendered_release(live->history);
	live->history = NULL;
}

static void on_second(evutil_socket_t fd, short what, void *context)
{
	struct pipit_live *live = context;
	struct pipit_figures_input input;
	char *text = NULL;
	(void)fd, (void)what;

	live->describe(live->context, &input);
	pthread_mutex_lock(&live->lock);
	take_sample(live, &input);
	if (pipit_stream_clients(live->stream))
		text = pipit_figures_render(live->figures, &input);
	pthread_mutex_unlock(&live->lock);
	/* Short of memory, a second is left out. */
	if (text)
		pipit_stream_send(live->stream, &(struct pipit_event){ .name = "figures", .data = text });
	free(text);
}

/* --- clients --------------------------------------------------------------------------------------------------------- */

static struct pipit_rendered *render_history(const struct pipit_live *live)
{
	struct pipit_rendered *rendered = NULL;
	char *text = pipit_figures_render_history(live->figures);
	if (text)
		pipit_rendered_new(&(struct pipit_event){ .name = "history", .data = text }, &rendered);
	free(text);
	return rendered;
}

/* The same for all who come within a second. Held for the caller; NULL when memory is short. */
static struct pipit_rendered *take_history(struct pipit_live *live)
{
	struct pipit_rendered *history;
	pthread_mutex_lock(&live->lock);
	if (!live->history)
		live->history = render_history(live);
	history = live->history ? pipit_rendered_hold(live->history) : NULL;
	pthread_mutex_unlock(&live->lock);
	return history;
}

void pipit_live_serve(struct pipit_live *live, struct pipit_request *request)
{
	struct pipit_rendered *history = take_history(live);
	if (history)
		pipit_stream_join_with(live->stream, request, history);
	else
		pipit_reply_problem(request, 503, "The server is short of memory; try again soon.");
	pipit_rendered_release(history);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static bool set_up(struct pipit_live *live, struct event_base *base, uint64_t max_clients)
{
	struct pipit_stream_options options = { .max_clients = max_clients ? max_clients : UINT64_MAX };
	struct pipit_figures_input input;
	struct timeval second = { 1, 0 };

	live->describe(live->context, &input);
	live->figures = pipit_figures_new(input.page.route_count, input.page.worker_count);
	live->stream = pipit_stream_new(&options);
	live->timer = event_new(base, -1, EV_PERSIST, on_second, live);
	if (!live->figures || !live->stream || !live->timer || event_add(live->timer, &second) != 0)
		return false;
	take_sample(live, &input);
	return true;
}

struct pipit_live *pipit_live_new(
    struct event_base *base, pipit_live_describe *describe, void *context, uint64_t max_clients)
{
	struct pipit_live *live = calloc(1, sizeof *live);
	if (!live)
		return NULL;
	pthread_mutex_init(&live->lock, NULL);
	live->describe = describe;
	live->context = context;
	if (set_up(live, base, max_clients))
		return live;
	pipit_live_free(live);
	return NULL;
}

void pipit_live_free(struct pipit_live *live)
{
	if (!live)
		return;
	if (live->timer)
		event_free(live->timer);
	pipit_stream_free(live->stream);
	pipit_rendered_release(live->history);
	pipit_figures_free(live->figures);
	pthread_mutex_destroy(&live->lock);
	free(live);
}
