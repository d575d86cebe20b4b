/* SPDX-License-Identifier: MIT */
/*
 * GET /openapi.json: the registered routes as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), for
 * pipit_serve_openapi(). OpenAPI cannot express everything: {name...} becomes {name} with a description, and patterns
 * that differ by names only become one path.
 */
#ifndef PIPIT_OPENAPI_H
#define PIPIT_OPENAPI_H

#include <stddef.h>

struct pipit_openapi;
struct pipit_request;
struct pipit_route;
struct pipit_route_options;

/*
 * Check the options of a route with a valid pattern. 0; -EINVAL, and `error` gets one line: the option, the place in
 * it, and what would be right; -ENOMEM, and `error` is unchanged.
 */
int pipit_openapi_check(const char *pattern, const struct pipit_route_options *options, char *error, size_t size);

/*
 * Text of the document. `routes`: checked, newest first; the document lists the oldest first. title: NULL is "pipit".
 * 0, and the caller frees *text; -EINVAL the title is not UTF-8; -ENOMEM.
 */
int pipit_openapi_render(
    const struct pipit_route *routes, const char *title, const char *version, char **text, size_t *length);

/* As pipit_openapi_render(), for pipit_serve_openapi(). */
int pipit_openapi_new(
    const struct pipit_route *routes, const char *title, const char *version, struct pipit_openapi **openapi);

/* Reply with it. */
void pipit_openapi_serve(const struct pipit_openapi *openapi, struct pipit_request *request);

/* NULL is harmless. */
void pipit_openapi_free(struct pipit_openapi *openapi);

#endif
