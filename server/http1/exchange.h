/* SPDX-License-Identifier: MIT */
/* The end of an exchange (see net.h): a refusal, or the reply until it is sent, counted and logged. */
#ifndef PIPIT_EXCHANGE_H
#define PIPIT_EXCHANGE_H

#include "base/refusal.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct pipit_connection;
struct pipit_guard_head;

/* --- refusals: a reply without a handler, after which the connection closes ------------------------------------------ */

/* line: the request line, for the log; empty: the connection is refused. */
void pipit_exchange_refuse(
    struct pipit_connection *connection, enum pipit_refusal reason, struct pipit_slice line, bool prefers_html);

/* The bytes begin with an invalid head. */
void pipit_exchange_refuse_head(struct pipit_connection *connection, enum pipit_refusal reason, const char *bytes,
    size_t length, bool prefers_html);

/* The bytes are an incomplete head. */
void pipit_exchange_refuse_partial_head(
    struct pipit_connection *connection, enum pipit_refusal reason, const char *bytes, size_t length);

/* The request whose head has passed. */
void pipit_exchange_refuse_request(struct pipit_connection *connection, enum pipit_refusal reason);

/* --- the reply ------------------------------------------------------------------------------------------------------- */

/* Bytes of memory. */
size_t pipit_exchange_head_bytes(const struct pipit_guard_head *head);

/* Copy the head out of the worker's buffers. False when memory is short. */
bool pipit_exchange_retain(struct pipit_connection *connection);

/* The handler has not given its whole reply. */
bool pipit_exchange_is_deferred(const struct pipit_connection *connection);

/* After the handler has returned. A native one has kept its request. */
void pipit_exchange_defer(struct pipit_connection *connection);

/* Send what an evhttp callback has written. Once the whole reply is given, decide whether the connection stays. False: more is to come. */
bool pipit_exchange_conclude(struct pipit_connection *connection);

/* Once. */
void pipit_exchange_count(struct pipit_connection *connection);

/* The whole reply is sent, or in the batch that is sent next. */
void pipit_exchange_finish(struct pipit_connection *connection);

/* The connection is dead. Harmless without a request. */
void pipit_exchange_lose(struct pipit_connection *connection);

#endif
