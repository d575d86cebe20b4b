/* SPDX-License-Identifier: MIT */
#include "auth/verifier.h"

#include "suite.h"

#include <crypt.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

static struct pipit_verifier *verifier;
static char hash[128];

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned done, right, cancelled;
	unsigned begun; /* jobs that wait for `is_open` */
	bool is_open;
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void record(struct pipit_verifier_job *job)
{
	pthread_mutex_lock(&seen.lock);
	seen.done++;
	seen.right += job->is_right;
	seen.cancelled += job->is_cancelled;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

/* Keeps its thread until the gate opens. */
static void wait_and_record(struct pipit_verifier_job *job)
{
	pthread_mutex_lock(&seen.lock);
	seen.begun++;
	pthread_cond_broadcast(&seen.changed);
	while (!seen.is_open)
		pthread_cond_wait(&seen.changed, &seen.lock);
	pthread_mutex_unlock(&seen.lock);
	record(job);
}

static void wait_for(const unsigned *number, unsigned value)
{
	pthread_mutex_lock(&seen.lock);
	while (*number < value)
		pthread_cond_wait(&seen.changed, &seen.lock);
	pthread_mutex_unlock(&seen.lock);
}

static void open_gate(void)
{
	pthread_mutex_lock(&seen.lock);
	seen.is_open = true;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static void set_up(void)
{
	struct crypt_data data = { 0 };
	strcpy(hash, crypt_r("right", "$6$rounds=1000$salt$", &data));
	seen.done = seen.right = seen.cancelled = seen.begun = 0;
	seen.is_open = false;
	verifier = pipit_verifier_new(2);
	ck_assert_ptr_nonnull(verifier);
}

static void tear_down(void)
{
	pipit_verifier_stop(verifier);
	pipit_verifier_free(verifier);
}

static void fill(struct pipit_verifier_job *job, const char *password, void (*done)(struct pipit_verifier_job *))
{
	*job = (struct pipit_verifier_job){ .password = password, .hash = hash, .done = done };
}

START_TEST(checks_passwords)
{
	struct pipit_verifier_job jobs[20];
	for (int i = 0; i < 20; i++) {
		fill(&jobs[i], i % 4 ? "wrong" : "right", record);
		ck_assert_int_eq(pipit_verifier_submit(verifier, &jobs[i]), 0);
	}
	wait_for(&seen.done, 20);
	ck_assert_uint_eq(seen.right, 5);
	ck_assert_uint_eq(seen.cancelled, 0);
}
END_TEST

/* Two threads are busy, the queue fills, and takes jobs again. */
START_TEST(the_queue_is_bounded)
{
	static struct pipit_verifier_job jobs[PIPIT_VERIFIER_QUEUE_MAX + 3];

	for (int i = 0; i < 2; i++) {
		fill(&jobs[i], "right", wait_and_record);
		ck_assert_int_eq(pipit_verifier_submit(verifier, &jobs[i]), 0);
	}
	wait_for(&seen.begun, 2);
	for (int i = 2; i < PIPIT_VERIFIER_QUEUE_MAX + 2; i++) {
		fill(&jobs[i], "right", record);
		ck_assert_int_eq(pipit_verifier_submit(verifier, &jobs[i]), 0);
	}
	fill(&jobs[PIPIT_VERIFIER_QUEUE_MAX + 2], "right", record);
	ck_assert_int_eq(pipit_verifier_submit(verifier, &jobs[PIPIT_VERIFIER_QUEUE_MAX + 2]), -EAGAIN);
	open_gate();
	wait_for(&seen.done, PIPIT_VERIFIER_QUEUE_MAX + 2);
	ck_assert_int_eq(pipit_verifier_submit(verifier, &jobs[PIPIT_VERIFIER_QUEUE_MAX + 2]), 0);
	wait_for(&seen.done, PIPIT_VERIFIER_QUEUE_MAX + 3);
	ck_assert_uint_eq(seen.right, PIPIT_VERIFIER_QUEUE_MAX + 3);
}
END_TEST

static void *open_later(void *arg)
{
	(void)arg;
	open_gate();
	return NULL;
}

START_TEST(stopping_cancels_what_has_not_begun)
{
	static struct pipit_verifier_job jobs[12];
	pthread_t thread;

	for (int i = 0; i < 2; i++) {
		fill(&jobs[i], "right", wait_and_record);
		ck_assert_int_eq(pipit_verifier_submit(verifier, &jobs[i]), 0);
	}
	wait_for(&seen.begun, 2);
	for (int i = 2; i < 12; i++) {
		fill(&jobs[i], "right", record);
		ck_assert_int_eq(pipit_verifier_submit(verifier, &jobs[i]), 0);
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, open_later, NULL), 0);
	pipit_verifier_stop(verifier);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(seen.done, 12);
	ck_assert_uint_eq(seen.right + seen.cancelled, 12);
	ck_assert_uint_ge(seen.right, 2);
	ck_assert_int_eq(pipit_verifier_submit(verifier, &jobs[0]), -EAGAIN);
	/* harmless again: a server that is detached is then freed */
	pipit_verifier_stop(verifier);
	ck_assert_uint_eq(seen.done, 12);
}
END_TEST

START_TEST(without_jobs_there_are_no_threads)
{
	pipit_verifier_stop(verifier);
	ck_assert_uint_eq(seen.done, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verifier");
	TCase *tests = tcase_create("threads");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, checks_passwords);
	tcase_add_test(tests, the_queue_is_bounded);
	tcase_add_test(tests, stopping_cancels_what_has_not_begun);
	tcase_add_test(tests, without_jobs_there_are_no_threads);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
