/* SPDX-License-Identifier: MIT */
/* Reads the body of a request: from the input behind its head, or in pieces as they arrive. */
#ifndef PIPIT_BODY_H
#define PIPIT_BODY_H

#include "base/refusal.h"
#include "base/slice.h"

struct pipit_connection;

enum pipit_body_result { PIPIT_BODY_WHOLE, PIPIT_BODY_MORE, PIPIT_BODY_REFUSED };

/*
 * used:    raised by the number of bytes that belong to the body.
 * body: when WHOLE; writable, and one more byte behind it, until the exchange ends or the next input is read.
 * reason:  when REFUSED.
 */
enum pipit_body_result pipit_body_read(struct pipit_connection *connection, char *bytes, size_t length, size_t *used,
    struct pipit_slice *body, enum pipit_refusal *reason);

#endif
