/* SPDX-License-Identifier: MIT */
/*
 * A store of settings as an HTTP resource: GET and PUT, PATCH and DELETE of the whole and of every value in it, by its JSON
 * Pointer behind the route's path.
 */
#ifndef PIPIT_RESOURCE_H
#define PIPIT_RESOURCE_H

#include "pipit.h"

/* The name of the pattern's last segment, {pointer...}. */
#define PIPIT_RESOURCE_PARAMETER "pointer"

/* Handlers; settings: a struct pipit_settings. */
void pipit_resource_get(struct pipit_request *request, void *settings);
void pipit_resource_put(struct pipit_request *request, void *settings);
void pipit_resource_patch(struct pipit_request *request, void *settings);
void pipit_resource_delete(struct pipit_request *request, void *settings);

/* Before the workers are freed, when their loops do not run any more: wait for changes under way, and let go of requests. */
void pipit_resource_settle(struct pipit_settings *settings);

#endif
