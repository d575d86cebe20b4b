/* SPDX-License-Identifier: MIT */
#include "auth/verifier.h"

#include "auth/password_hash.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#define THREADS_MAX 8
/* Workers come first (nice(2)). */
#define NICENESS 5

struct pipit_verifier {
	pthread_mutex_t lock;
	pthread_cond_t has_job;
	struct pipit_verifier_job *first, **last;
	size_t queued, idle;
	bool is_stopped;
	size_t thread_count, thread_max;
	pthread_t threads[THREADS_MAX];
};

struct pipit_verifier *pipit_verifier_new(size_t thread_count)
{
	struct pipit_verifier *verifier = calloc(1, sizeof *verifier);
	if (!verifier)
		return NULL;
	verifier->last = &verifier->first;
	verifier->thread_max = thread_count < 1 ? 1 : thread_count > THREADS_MAX ? THREADS_MAX : thread_count;
	pthread_mutex_init(&verifier->lock, NULL);
	pthread_cond_init(&verifier->has_job, NULL);
	return verifier;
}

void pipit_verifier_free(struct pipit_verifier *verifier)
{
	if (!verifier)
		return;
	pthread_cond_destroy(&verifier->has_job);
	pthread_mutex_destroy(&verifier->lock);
	free(verifier);
}

/* Lock held. NULL: none. */
static struct pipit_verifier_job *take(struct pipit_verifier *verifier)
{
	struct pipit_verifier_job *job = verifier->first;
	if (!job)
		return NULL;
	verifier->first = job->next;
	if (!verifier->first)
		verifier->last = &verifier->first;
	verifier->queued--;
	return job;
}

/* Lock held. NULL: stopped. */
static struct pipit_verifier_job *wait_for_job(struct pipit_verifier *verifier)
{
	verifier->idle++;
	while (!verifier->first && !verifier->is_stopped)
		pthread_cond_wait(&verifier->has_job, &verifier->lock);
	verifier->idle--;
	return verifier->is_stopped ? NULL : take(verifier);
}

static void *run(void *context)
{
	struct pipit_verifier *verifier = context;
	struct pipit_password_hasher *hasher = pipit_password_hasher_new();
	struct pipit_verifier_job *job;

	/* Linux: of this thread. */
	setpriority(PRIO_PROCESS, 0, NICENESS);
	pthread_mutex_lock(&verifier->lock);
	while ((job = wait_for_job(verifier)) != NULL) {
		pthread_mutex_unlock(&verifier->lock);
		if (!hasher)
			hasher = pipit_password_hasher_new();
		job->is_cancelled = !hasher;
		job->is_right = hasher && pipit_password_hasher_check(hasher, job->password, job->hash);
		job->done(job);
		pthread_mutex_lock(&verifier->lock);
	}
	pthread_mutex_unlock(&verifier->lock);
	pipit_password_hasher_free(hasher);
	return NULL;
}

/* Lock held. Signals are for other threads. */
static bool start_thread(struct pipit_verifier *verifier)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&verifier->threads[verifier->thread_count], NULL, run, verifier);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	verifier->thread_count += error == 0;
	return error == 0;
}

int pipit_verifier_submit(struct pipit_verifier *verifier, struct pipit_verifier_job *job)
{
	int result = 0;

	pthread_mutex_lock(&verifier->lock);
	if (verifier->queued >= PIPIT_VERIFIER_QUEUE_MAX || verifier->is_stopped)
		result = -EAGAIN;
	else if (verifier->queued >= verifier->idle && verifier->thread_count < verifier->thread_max &&
		 !start_thread(verifier) && verifier->thread_count == 0)
		result = -ENOMEM;
	if (result == 0) {
		job->next = NULL;
		*verifier->last = job;
		verifier->last = &job->next;
		verifier->queued++;
		pthread_cond_signal(&verifier->has_job);
	}
	pthread_mutex_unlock(&verifier->lock);
	return result;
}

void pipit_verifier_stop(struct pipit_verifier *verifier)
{
	struct pipit_verifier_job *job;

	pthread_mutex_lock(&verifier->lock);
	verifier->is_stopped = true;
	pthread_cond_broadcast(&verifier->has_job);
	pthread_mutex_unlock(&verifier->lock);
	for (size_t i = 0; i < verifier->thread_count; i++)
		pthread_join(verifier->threads[i], NULL);
	verifier->thread_count = 0;
	/* The threads are gone: no lock, because `done` may take others. */
	while ((job = take(verifier)) != NULL) {
		job->is_cancelled = true;
		job->done(job);
	}
}
