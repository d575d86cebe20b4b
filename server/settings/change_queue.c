/* SPDX-License-Identifier: MIT */
#include "settings/change_queue.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* per write */
#define BATCH_MAX 256
#define QUEUED_MAX 4096
/* between calls of `done` */
#define RETRY_NS 50000000

static void add_last(struct pipit_change_queue *queue, struct pipit_change *change)
{
	change->next = NULL;
	*queue->last = change;
	queue->last = &change->next;
	queue->count++;
	queue->bytes += change->content.length;
}

static struct pipit_change *take_first(struct pipit_change_queue *queue)
{
	struct pipit_change *change = queue->first;
	queue->first = change->next;
	if (!queue->first)
		queue->last = &queue->first;
	queue->count--;
	queue->bytes -= change->content.length;
	change->next = NULL;
	return change;
}

/* A reload replaces the document, and so is a batch of its own. */
static struct pipit_change *take_batch(struct pipit_change_queue *queue)
{
	struct pipit_change *batch = NULL, **last = &batch;
	for (size_t i = 0; i < BATCH_MAX && queue->first; i++) {
		bool is_reload = queue->first->kind == PIPIT_CHANGE_RELOAD;
		if (is_reload && batch)
			break;
		*last = take_first(queue);
		last = &(*last)->next;
		if (is_reload)
			break;
	}
	return batch;
}

static void report(struct pipit_change *changes, struct pipit_change **unreported)
{
	while (changes) {
		struct pipit_change *change = changes;
		changes = change->next;
		if (!change->done(change)) {
			change->next = *unreported;
			*unreported = change;
		}
	}
}

/* The mutex is held, but not while the batch runs. */
static void run_batch(struct pipit_change_queue *queue)
{
	struct pipit_change *batch = take_batch(queue), *earlier = queue->unreported, *unreported = NULL;

	queue->unreported = NULL;
	queue->running = batch;
	queue->is_running = true;
	pthread_mutex_unlock(&queue->mutex);
	if (batch)
		queue->run(queue->arg, batch);
	pthread_mutex_lock(&queue->mutex);
	queue->running = NULL;
	pthread_mutex_unlock(&queue->mutex);
	report(batch, &unreported);
	report(earlier, &unreported);
	pthread_mutex_lock(&queue->mutex);
	queue->unreported = unreported;
	queue->is_running = false;
	queue->batches++;
	pthread_cond_broadcast(&queue->ended);
}

static void wait_for_work(struct pipit_change_queue *queue)
{
	struct timespec until;

	if (!queue->unreported) {
		pthread_cond_wait(&queue->work, &queue->mutex);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += RETRY_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&queue->work, &queue->mutex, &until);
}

static void *run_writer(void *context)
{
	struct pipit_change_queue *queue = context;

	pthread_mutex_lock(&queue->mutex);
	while (queue->first || !queue->is_closing) {
		run_batch(queue);
		if (!queue->first && !queue->is_closing)
			wait_for_work(queue);
	}
	pthread_mutex_unlock(&queue->mutex);
	return NULL;
}

static void end_thread(struct pipit_change_queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->is_closing = true;
	pthread_cond_signal(&queue->work);
	pthread_mutex_unlock(&queue->mutex);
	pthread_join(queue->thread, NULL);
}

/* Blocks signals: they are for the program's threads. */
int pipit_change_queue_start(struct pipit_change_queue *queue, size_t max_bytes)
{
	sigset_t all, before;
	int result;

	queue->max_bytes = max_bytes;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&queue->thread, NULL, run_writer, queue);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	queue->has_thread = result == 0;
	return -result;
}

int pipit_change_queue_renew_thread(struct pipit_change_queue *queue)
{
	if (!queue->has_thread)
		return 0;
	end_thread(queue);
	queue->is_closing = queue->has_thread = false;
	return pipit_change_queue_start(queue, queue->max_bytes);
}

void pipit_change_queue_init(struct pipit_change_queue *queue, pipit_change_queue_run *run, void *arg)
{
	*queue = (struct pipit_change_queue){ .run = run, .arg = arg, .last = &queue->first };
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_cond_init(&queue->work, NULL);
	pthread_cond_init(&queue->ended, NULL);
}

int pipit_change_queue_add(struct pipit_change_queue *queue, struct pipit_change *change)
{
	int result = 0;

	change->etag[0] = change->detail[0] = '\0';
	change->members = NULL;
	pthread_mutex_lock(&queue->mutex);
	/* one change may exceed the limit */
	if (queue->count >= QUEUED_MAX || (queue->first && queue->bytes + change->content.length > queue->max_bytes))
		result = -EBUSY;
	else
		add_last(queue, change);
	pthread_cond_signal(&queue->work);
	pthread_mutex_unlock(&queue->mutex);
	return result;
}

bool pipit_change_queue_is_empty(struct pipit_change_queue *queue)
{
	bool is_empty;

	pthread_mutex_lock(&queue->mutex);
	is_empty = !queue->first;
	pthread_mutex_unlock(&queue->mutex);
	return is_empty;
}

/* Those of the owner are put before *taken. Returns the end of the list. */
static struct pipit_change **take_changes_of(struct pipit_change **list, const void *owner, struct pipit_change **taken)
{
	while (*list) {
		struct pipit_change *change = *list;
		if (change->owner != owner) {
			list = &change->next;
			continue;
		}
		*list = change->next;
		change->next = *taken;
		*taken = change;
	}
	return list;
}

static void take_waiting(struct pipit_change_queue *queue, const void *owner, struct pipit_change **taken)
{
	struct pipit_change *end = *taken;

	queue->last = take_changes_of(&queue->first, owner, taken);
	for (const struct pipit_change *change = *taken; change != end; change = change->next) {
		queue->count--;
		queue->bytes -= change->content.length;
	}
}

struct pipit_change *pipit_change_queue_settle(struct pipit_change_queue *queue, const void *owner)
{
	struct pipit_change *taken = NULL;
	uint64_t batches;

	pthread_mutex_lock(&queue->mutex);
	take_waiting(queue, owner, &taken);
	for (struct pipit_change *change = queue->running; change; change = change->next) {
		if (change->owner == owner)
			atomic_store_explicit(&change->is_cancelled, true, memory_order_relaxed);
	}
	batches = queue->batches;
	while (queue->is_running && queue->batches == batches)
		pthread_cond_wait(&queue->ended, &queue->mutex);
	take_changes_of(&queue->unreported, owner, &taken);
	pthread_mutex_unlock(&queue->mutex);
	return taken;
}

void pipit_change_queue_clear(struct pipit_change_queue *queue)
{
	if (queue->has_thread)
		end_thread(queue);
	pthread_cond_destroy(&queue->ended);
	pthread_cond_destroy(&queue->work);
	pthread_mutex_destroy(&queue->mutex);
}
