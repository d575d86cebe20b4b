/* SPDX-License-Identifier: MIT */
/* Reads the body of a request: from the input behind its head, or in pieces as they arrive. */
#ifndef PIPIT_CONTENT_H
#define PIPIT_CONTENT_H

#include "base/refusal.h"
#include "base/slice.h"

struct pipit_connection;

enum pipit_content_result { PIPIT_CONTENT_WHOLE, PIPIT_CONTENT_MORE, PIPIT_CONTENT_REFUSED };

/*
 * used:    raised by the number of bytes that belong to the body.
 * content: when WHOLE; writable, and one more byte behind it, until the exchange ends or the next input is read.
 * reason:  when REFUSED.
 */
enum pipit_content_result pipit_content_read(struct pipit_connection *connection, char *bytes, size_t length,
    size_t *used, struct pipit_slice *content, enum pipit_refusal *reason);

#endif
