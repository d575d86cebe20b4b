/* SPDX-License-Identifier: MIT */
/* Handlers that the daemon does not have: replies that are deferred, in pieces, from a file, by evhttp callbacks. */
#ifndef PIPIT_TESTS_ROUTES_H
#define PIPIT_TESTS_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct pipit_server;

#define ROUTES_BIG_BYTES (256u * 1024)
#define ROUTES_SMALL_FILE_BYTES 1000u
#define ROUTES_LARGE_FILE_BYTES (160u * 1024 + 17)

/* Every large body is a prefix of it. */
const char *routes_pattern(void);

/*
 * Returns the result of pipit_route() and the others. The two files are served by /file/small and /file/large; their names must
 * stay valid.
 */
int routes_register(
    struct pipit_server *server, struct event_base *base, char *small_file, char *large_file, bool borrows);

/* Frees what routes_register() created, after the server was freed. */
void routes_clear(void);

/* Number of kept requests without a reply. */
size_t routes_pending(void);

#endif
