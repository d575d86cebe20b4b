/* SPDX-License-Identifier: MIT */
/* The writer thread and its batches. `run` waits for the gate, so that a test decides what waits behind a batch. */
#include "settings/change_queue.h"

#include "suite.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#define BATCH_MAX 256
#define QUEUED_MAX 4096
#define MAX_BYTES 100
#define BATCHES_MAX 32

static struct pipit_change_queue queue;
static struct pipit_change changes[QUEUED_MAX + 2];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_open;
static size_t started, finished; /* batches of `run` */
static size_t sizes[BATCHES_MAX];
static size_t done_count, refusals; /* calls of done(); how many of the next ones return false */

static void run(void *arg, struct pipit_change *batch)
{
	ck_assert_ptr_eq(arg, &queue);
	pthread_mutex_lock(&mutex);
	ck_assert_uint_lt(started, BATCHES_MAX);
	for (; batch; batch = batch->next)
		sizes[started]++;
	started++;
	pthread_cond_broadcast(&changed);
	while (!is_open)
		pthread_cond_wait(&changed, &mutex);
	finished++;
	pthread_mutex_unlock(&mutex);
}

static void run_at_once(void *arg, struct pipit_change *batch)
{
	(void)arg, (void)batch;
}

static bool done(struct pipit_change *change)
{
	bool is_refused;
	(void)change;
	pthread_mutex_lock(&mutex);
	done_count++;
	is_refused = refusals > 0;
	refusals -= is_refused;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	return !is_refused;
}

static void await(const size_t *count, size_t value)
{
	pthread_mutex_lock(&mutex);
	while (*count < value)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
}

static void set_gate(bool opens)
{
	pthread_mutex_lock(&mutex);
	is_open = opens;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static int add(size_t i, enum pipit_change_kind kind, size_t bytes, const void *owner)
{
	changes[i] = (struct pipit_change){ .kind = kind, .content = { "", bytes }, .owner = owner, .done = done };
	return pipit_change_queue_add(&queue, &changes[i]);
}

static void add_some(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++)
		ck_assert_int_eq(add(i, PIPIT_CHANGE_PUT, 0, NULL), 0);
}

static void start(pipit_change_queue_run *function)
{
	is_open = false;
	started = finished = done_count = refusals = 0;
	memset(sizes, 0, sizeof sizes);
	pipit_change_queue_init(&queue, function, &queue);
	ck_assert_int_eq(pipit_change_queue_start(&queue, MAX_BYTES), 0);
}

static void set_up(void)
{
	start(run);
}

/* Runs what waits. */
static void tear_down(void)
{
	set_gate(true);
	pipit_change_queue_clear(&queue);
}

/* The first change is a batch, and what follows waits behind it. */
static void block_writer(const void *owner)
{
	size_t batch = started + 1;
	set_gate(false);
	ck_assert_int_eq(add(0, PIPIT_CHANGE_PUT, 0, owner), 0);
	await(&started, batch);
}

START_TEST(takes_at_most_256_changes_for_a_batch)
{
	block_writer(NULL);
	add_some(1, 2 * BATCH_MAX + 1);
	set_gate(true);
	await(&done_count, 2 * BATCH_MAX + 2);
	ck_assert_uint_eq(started, 4);
	ck_assert_uint_eq(sizes[1], BATCH_MAX);
	ck_assert_uint_eq(sizes[2], BATCH_MAX);
	ck_assert_uint_eq(sizes[3], 1);
}
END_TEST

START_TEST(a_reload_is_a_batch_of_its_own)
{
	static const enum pipit_change_kind kinds[] = { PIPIT_CHANGE_PUT, PIPIT_CHANGE_REMOVE, PIPIT_CHANGE_RELOAD,
		PIPIT_CHANGE_RELOAD, PIPIT_CHANGE_PATCH, PIPIT_CHANGE_MERGE };

	block_writer(NULL);
	for (size_t i = 0; i < 6; i++)
		ck_assert_int_eq(add(1 + i, kinds[i], 0, NULL), 0);
	set_gate(true);
	await(&done_count, 7);
	ck_assert_uint_eq(started, 5);
	ck_assert_uint_eq(sizes[1], 2);
	ck_assert_uint_eq(sizes[2], 1);
	ck_assert_uint_eq(sizes[3], 1);
	ck_assert_uint_eq(sizes[4], 2);
}
END_TEST

START_TEST(refuses_the_4097th_change_that_waits)
{
	block_writer(NULL);
	add_some(1, QUEUED_MAX);
	ck_assert_int_eq(add(QUEUED_MAX + 1, PIPIT_CHANGE_PUT, 0, NULL), -EBUSY);
	set_gate(true);
	await(&done_count, QUEUED_MAX + 1);
	ck_assert(pipit_change_queue_is_empty(&queue));
	ck_assert_int_eq(add(0, PIPIT_CHANGE_PUT, 0, NULL), 0);
}
END_TEST

START_TEST(refuses_content_above_the_limit_unless_no_other_waits)
{
	block_writer(NULL);
	ck_assert_int_eq(add(1, PIPIT_CHANGE_PUT, MAX_BYTES - 1, NULL), 0);
	ck_assert_int_eq(add(2, PIPIT_CHANGE_PUT, 2, NULL), -EBUSY);
	ck_assert_int_eq(add(2, PIPIT_CHANGE_PUT, 1, NULL), 0);
	ck_assert_int_eq(add(3, PIPIT_CHANGE_PUT, 1, NULL), -EBUSY);
	ck_assert_int_eq(add(3, PIPIT_CHANGE_REMOVE, 0, NULL), 0);
	set_gate(true);
	await(&done_count, 4);
	block_writer(NULL);
	ck_assert_int_eq(add(1, PIPIT_CHANGE_PUT, MAX_BYTES + 1, NULL), 0);
	ck_assert_int_eq(add(2, PIPIT_CHANGE_PUT, 0, NULL), -EBUSY);
}
END_TEST

static void *open_gate_when_two_are_taken(void *arg)
{
	size_t count;
	do {
		sched_yield();
		pthread_mutex_lock(&queue.mutex);
		count = queue.count;
		pthread_mutex_unlock(&queue.mutex);
	} while (count > 1);
	set_gate(true);
	return arg;
}

/* The server that has ended is the owner. */
START_TEST(returns_the_changes_of_an_owner_that_wait_and_cancels_the_one_that_runs)
{
	struct pipit_change *taken;
	pthread_t opener;
	int owner = 0, other = 0;

	block_writer(&owner);
	ck_assert_int_eq(add(1, PIPIT_CHANGE_PUT, MAX_BYTES / 2, &owner), 0);
	ck_assert_int_eq(add(2, PIPIT_CHANGE_PUT, 0, &other), 0);
	ck_assert_int_eq(add(3, PIPIT_CHANGE_PUT, MAX_BYTES / 2, &owner), 0);
	ck_assert_int_eq(pthread_create(&opener, NULL, open_gate_when_two_are_taken, NULL), 0);
	taken = pipit_change_queue_settle(&queue, &owner);
	pthread_join(opener, NULL);
	ck_assert_ptr_eq(taken, &changes[3]);
	ck_assert_ptr_eq(taken->next, &changes[1]);
	ck_assert_ptr_null(taken->next->next);
	ck_assert(changes[0].is_cancelled);
	await(&done_count, 2);
	ck_assert(!changes[2].is_cancelled);
	/* What was taken counts no more. */
	block_writer(NULL);
	ck_assert_int_eq(add(4, PIPIT_CHANGE_PUT, 1, NULL), 0);
	ck_assert_int_eq(add(5, PIPIT_CHANGE_PUT, MAX_BYTES - 1, NULL), 0);
}
END_TEST

START_TEST(returns_a_change_whose_owner_has_not_heard_of_it)
{
	int owner = 0, other = 0;

	refusals = SIZE_MAX;
	set_gate(true);
	ck_assert_int_eq(add(0, PIPIT_CHANGE_PUT, 0, &owner), 0);
	await(&done_count, 1);
	ck_assert_ptr_null(pipit_change_queue_settle(&queue, &other));
	ck_assert_ptr_eq(pipit_change_queue_settle(&queue, &owner), &changes[0]);
	ck_assert_ptr_null(changes[0].next);
	ck_assert_ptr_null(pipit_change_queue_settle(&queue, &owner));
}
END_TEST

START_TEST(reports_a_change_again_until_its_owner_has_heard_of_it)
{
	refusals = 3;
	set_gate(true);
	add_some(0, 1);
	await(&done_count, 4);
	pipit_change_queue_clear(&queue);
	ck_assert_uint_eq(done_count, 4);
	ck_assert_uint_eq(started, 1);
	start(run);
}
END_TEST

/* One batch at the start, and one for each change. A condition variable may wake without a reason. */
START_TEST(sleeps_while_no_change_waits)
{
	uint64_t batches;

	tear_down();
	start(run_at_once);
	for (size_t i = 0; i < 1000; i++) {
		add_some(i, 1);
		await(&done_count, i + 1);
	}
	pthread_mutex_lock(&queue.mutex);
	batches = queue.batches;
	pthread_mutex_unlock(&queue.mutex);
	ck_assert_uint_le(batches, 1100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("change_queue");
	TCase *tests = tcase_create("change_queue");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, takes_at_most_256_changes_for_a_batch);
	tcase_add_test(tests, a_reload_is_a_batch_of_its_own);
	tcase_add_test(tests, refuses_the_4097th_change_that_waits);
	tcase_add_test(tests, refuses_content_above_the_limit_unless_no_other_waits);
	tcase_add_test(tests, returns_the_changes_of_an_owner_that_wait_and_cancels_the_one_that_runs);
	tcase_add_test(tests, returns_a_change_whose_owner_has_not_heard_of_it);
	tcase_add_test(tests, reports_a_change_again_until_its_owner_has_heard_of_it);
	tcase_add_test(tests, sleeps_while_no_change_waits);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
