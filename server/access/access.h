/* SPDX-License-Identifier: MIT */
/* The filters that a server makes of its configuration. They stand before those of the program. */
#ifndef PIPIT_ACCESS_H
#define PIPIT_ACCESS_H

#include "request/filter.h"

struct pipit_access;

/* Logs what is wrong. config: kept. 0; -EINVAL, -ENOMEM. */
int pipit_access_new(const struct pipit_config *config, struct pipit_access **access);
void pipit_access_free(struct pipit_access *access);

/* A listening socket, before requests come: at most PIPIT_LISTEN_MAX + 1. */
void pipit_access_add_listener(struct pipit_access *access, int fd);

/* Of the first https address, which http addresses redirect to. */
void pipit_access_set_https_port(struct pipit_access *access, unsigned port);

/*
 * In their order. Owned by `access`, or by the list that they are put into. NULL: none. has_own_evhttp: an evhttp of the program is behind
 * all routes but those with known_host; without `hosts`, only these are checked.
 */
struct pipit_filter *pipit_access_take_filters(struct pipit_access *access, bool has_own_evhttp);

#endif
