/* SPDX-License-Identifier: MIT */
/* What other files of the library may ask of a server, beside pipit.h. */
#ifndef PIPIT_SERVER_H
#define PIPIT_SERVER_H

#include "pipit.h"

/* Its configuration, as long as it lives. */
const struct pipit_config *pipit_server_config(const struct pipit_server *server);

/* --- a server for the program's evhttp, see evhttp_guard.c ----------------------------------------------------------- */

struct event_base;
struct evhttp;
struct pipit_worker;

/* With the defaults, one worker, and no address to listen on. NULL when memory is short. */
struct pipit_server *pipit_server_new_without_addresses(void);

/* What no route takes goes to the program's evhttp; `callback` is never called. 0, or a negative errno value after a line. */
int pipit_server_guard_fallback(struct pipit_server *server, pipit_evhttp_callback *callback);

/*
 * As pipit_server_attach(), to the base of this evhttp. on_evhttp_freed is called with the server after the program has freed the
 * evhttp, in a later turn of the loop or in event_base_free(): it detaches or frees the server.
 */
int pipit_server_attach_evhttp(
    struct pipit_server *server, struct event_base *base, struct evhttp *http, void (*on_evhttp_freed)(void *server));

/* The first worker of a server that has been attached. */
struct pipit_worker *pipit_server_worker(const struct pipit_server *server);

/* Free the workers, whose event_base is going. Nothing but pipit_server_free() may be asked of the server then. */
void pipit_server_detach(struct pipit_server *server);

#endif
