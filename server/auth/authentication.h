/* SPDX-License-Identifier: MIT */
/*
 * Authentication: the filter of `protect`. A right password names the user of the request; everything else is answered with 401 and a
 * challenge, or 403, 429 and 503.
 */
#ifndef PIPIT_AUTHENTICATION_H
#define PIPIT_AUTHENTICATION_H

#include "pipit.h"

struct pipit_authentication;

#ifdef PIPIT_AUTH

/*
 * Reads the rules of config->protect, and their files. *authentication: NULL without rules. Logs every error; 0, -EINVAL, -ENOMEM. threads: that compute hashes.
 */
int pipit_authentication_new(
    const struct pipit_config *config, size_t threads, struct pipit_authentication **authentication);

/* Name and rule of a file; NULL after the last. */
const char *pipit_authentication_file(
    const struct pipit_authentication *authentication, size_t index, const char **rule);

/* Reads the files again. On failure the old users stay, and a message says why. Any thread. */
int pipit_authentication_reload(struct pipit_authentication *authentication);

/* A pipit_filter_handler; authentication: its arg. */
void pipit_authentication_filter(struct pipit_request *request, void *authentication);

/* No worker runs any more. Before the workers are freed: ends the threads, and releases requests that wait. NULL is harmless. */
void pipit_authentication_stop(struct pipit_authentication *authentication);

/* After the workers. NULL is harmless. */
void pipit_authentication_free(struct pipit_authentication *authentication);

#else

/* In a build without authentication there is none: every pointer to one is NULL. */

#include "config/config.h"

#include <errno.h>

static inline int pipit_authentication_new(
    const struct pipit_config *config, size_t threads, struct pipit_authentication **authentication)
{
	(void)threads, (void)authentication;
	pipit_config_log_error(config, "protect: this pipit is built without authentication; build it with nettle");
	return -EINVAL;
}

static inline const char *pipit_authentication_file(
    const struct pipit_authentication *authentication, size_t index, const char **rule)
{
	(void)authentication, (void)index, (void)rule;
	return NULL;
}

static inline int pipit_authentication_reload(struct pipit_authentication *authentication)
{
	(void)authentication;
	return 0;
}

static inline void pipit_authentication_filter(struct pipit_request *request, void *authentication)
{
	(void)request, (void)authentication;
}

static inline void pipit_authentication_stop(struct pipit_authentication *authentication)
{
	(void)authentication;
}

static inline void pipit_authentication_free(struct pipit_authentication *authentication)
{
	(void)authentication;
}

#endif

#endif
