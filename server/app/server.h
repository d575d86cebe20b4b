/* SPDX-License-Identifier: MIT */
/* Functions of a server for other files, in addition to pipit.h. */
#ifndef PIPIT_SERVER_H
#define PIPIT_SERVER_H

#include "pipit.h"

/* Valid until pipit_server_free(). */
const struct pipit_config *pipit_server_config(const struct pipit_server *server);

/* --- guarded evhttp, see evhttp_guard.c ------------------------------------------------------------------------------ */

struct event_base;
struct evhttp;
struct pipit_worker;

/* With defaults, one worker and no address. NULL when memory is short. */
struct pipit_server *pipit_server_new_without_addresses(void);

/*
 * Pass requests without a route to the program's evhttp; `callback` is never called. 0, or a negative errno value after
 * a message.
 */
int pipit_server_guard_fallback(struct pipit_server *server, pipit_evhttp_callback *callback);

/*
 * As pipit_server_attach(), for an evhttp on `base`. After the program has freed the evhttp, on_evhttp_freed is called
 * in a later turn of the loop or in event_base_free(); it detaches or frees the server.
 */
int pipit_server_attach_evhttp(
    struct pipit_server *server, struct event_base *base, struct evhttp *http, void (*on_evhttp_freed)(void *server));

/* The worker of an attached server. */
struct pipit_worker *pipit_server_worker(const struct pipit_server *server);

/* Free the workers before their event_base goes. Only pipit_server_free() may follow. */
void pipit_server_detach(struct pipit_server *server);

#endif
