/* SPDX-License-Identifier: MIT */
/* Describes routes as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0). */
#ifndef PIPIT_OPENAPI_H
#define PIPIT_OPENAPI_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_openapi;
struct pipit_request;
struct pipit_route;
struct pipit_route_options;

/* pattern: valid. -EINVAL: `error` has option, place, and what would be right. */
int pipit_openapi_check(const char *pattern, const struct pipit_route_options *options, char *error, size_t size);

/* routes: checked, newest first. is_public: leave out those that are admin_only. title: NULL: "pipit". -EINVAL: the title is not UTF-8. */
int pipit_openapi_render(const struct pipit_route *routes, bool is_public, const char *title, const char *version,
    char **text, size_t *length);

/* Fails as pipit_openapi_render(). */
int pipit_openapi_new(const struct pipit_route *routes, bool is_public, const char *title, const char *version,
    struct pipit_openapi **openapi);

void pipit_openapi_serve(const struct pipit_openapi *openapi, struct pipit_request *request);

void pipit_openapi_free(struct pipit_openapi *openapi);

#endif
