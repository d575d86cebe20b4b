/* SPDX-License-Identifier: MIT */
/* The daemon's handlers, one file per group of URIs. They use nothing but the public API: examples of it at the same time. */
#ifndef HANDLERS_H
#define HANDLERS_H

#include "pipit.h"

/* The site map: registers every route. site: for the fallback; NULL for none. */
int handlers_register(struct pipit_server *server, struct pipit_site *site, struct pipit_settings *settings);

/* hello.c */
void hello_get(struct pipit_request *request, void *arg);
void hello_post(struct pipit_request *request, void *arg);

/* json_echo.c */
void json_echo(struct pipit_request *request, void *arg);

/* health.c */
void health_live(struct pipit_request *request, void *arg);
void health_ready(struct pipit_request *request, void *arg);

#endif
