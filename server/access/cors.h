/* SPDX-License-Identifier: MIT */
/* Cross-Origin Resource Sharing: what pages of other origins may do (Fetch Standard §3.2). */
#ifndef PIPIT_CORS_H
#define PIPIT_CORS_H

#include "base/slice.h"
#include "pipit.h"

#include <stdbool.h>
#include <stddef.h>

struct pipit_cors;

/* config: keeps its strings. *cors is NULL when no origin is allowed. 0; -EINVAL with a line in `error`, -ENOMEM. */
int pipit_cors_new(const struct pipit_config *config, struct pipit_cors **cors, char *error, size_t size);
void pipit_cors_free(struct pipit_cors *cors);

/*
 * Adds headers to the reply, or answers a preflight request. cors: may be NULL. origin: NULL without the header. Whether the origin may send
 * this request; if so, it need not be the server's own.
 */
bool pipit_cors_apply(const struct pipit_cors *cors, struct pipit_request *request, struct pipit_slice origin);

#endif
