/* SPDX-License-Identifier: MIT */
/* The buffers of unused input and of a body that is collected, within the memory limit. */
#ifndef PIPIT_INPUT_H
#define PIPIT_INPUT_H

#include "base/refusal.h"
#include "base/slice.h"
#include "tls/tls_session.h"

struct pipit_connection;

/* Replace what was kept by these bytes, at least one. Failure changes nothing. */
enum pipit_refusal pipit_input_keep(struct pipit_connection *connection, const char *bytes, size_t length);
void pipit_input_drop(struct pipit_connection *connection);

/* As pipit_tls_session_receive(), counted. */
struct pipit_tls_received pipit_input_receive_tls(struct pipit_connection *connection, char *to, size_t size);

/* Append to the body, with room for a NUL behind it. */
enum pipit_refusal pipit_input_add_body(struct pipit_connection *connection, struct pipit_slice data);
/* Also resets what is counted for the request's head and for memory that it has taken. */
void pipit_input_drop_body(struct pipit_connection *connection);

#endif
