/* SPDX-License-Identifier: MIT */
/* How many requests a client address may send, by path prefix: the option `rate-limit`. */
#ifndef PIPIT_RATE_LIMIT_H
#define PIPIT_RATE_LIMIT_H

#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PIPIT_RATE_LIMIT_MAX 1000000

struct pipit_rate_limit;

/* NULL: out of memory. */
struct pipit_rate_limit *pipit_rate_limit_new(void);
void pipit_rate_limit_free(struct pipit_rate_limit *limit);

/*
 * line: "[PREFIX] N/s|N/m|N/h [burst=N]", or "PREFIX off". Without `burst` it is the N of the rate. Returns 0; -EINVAL with what would be
 * right in `error`; -ENOMEM.
 */
int pipit_rate_limit_add(struct pipit_rate_limit *limit, struct pipit_slice line, char *error, size_t error_size);

/* After the last line. Later calls may come from any thread. */
void pipit_rate_limit_index(struct pipit_rate_limit *limit);

/*
 * client: NULL is a UNIX socket, which is not limited. path: as sent. Of the rules that cover the path, the one with the longest prefix
 * counts the request. Returns 0; -EAGAIN, and *seconds is the time until the next request passes, at least 1; -ENOMEM.
 */
int pipit_rate_limit_take(const struct pipit_rate_limit *limit, const struct sockaddr *client, struct pipit_slice path,
    uint64_t now_ns, uint64_t *seconds);

#endif
