/* SPDX-License-Identifier: MIT */
/* The daemon's routes, with the greetings on another lane: see lanes.c. */
#ifndef LANES_H
#define LANES_H

#include "handlers.h"

void lanes_hello_get(struct pipit_request *request, void *arg);
void lanes_hello_post(struct pipit_request *request, void *arg);

#endif
