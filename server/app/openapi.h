/* SPDX-License-Identifier: MIT */
/*
 * GET /openapi.json: what the registered routes are, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), for
 * pipit_serve_openapi(). What cannot be said there: {name...} is {name} with a description, and patterns that differ by names
 * only are one path.
 */
#ifndef PIPIT_OPENAPI_H
#define PIPIT_OPENAPI_H

#include <stddef.h>

struct pipit_openapi;
struct pipit_request;
struct pipit_route;
struct pipit_route_options;

/*
 * Can the options be told of a route with this pattern, a good one? 0; -EINVAL, and `error` holds one line that names what is
 * wrong with which of them, where in it, and what would be right; -ENOMEM, and `error` is left alone.
 */
int pipit_openapi_check(const char *pattern, const struct pipit_route_options *options, char *error, size_t size);

/*
 * The document's text, of checked routes, newest first as the server has them; they are described oldest first. title: NULL is
 * "pipit". 0, and *text is the caller's, free(); -EINVAL the title is not UTF-8; -ENOMEM.
 */
int pipit_openapi_render(
    const struct pipit_route *routes, const char *title, const char *version, char **text, size_t *length);

/* The same, ready to be sent. */
int pipit_openapi_new(
    const struct pipit_route *routes, const char *title, const char *version, struct pipit_openapi **openapi);

/* Reply with it. */
void pipit_openapi_serve(const struct pipit_openapi *openapi, struct pipit_request *request);

/* NULL is harmless. */
void pipit_openapi_free(struct pipit_openapi *openapi);

#endif
