/* SPDX-License-Identifier: MIT */
/* Bytes received that no handler has yet: input that is not used, and content that is being collected. Within the budget. */
#ifndef PIPIT_INPUT_H
#define PIPIT_INPUT_H

#include "base/refusal.h"
#include "base/slice.h"

struct pipit_connection;

/* Keep input (at least one byte) in the place of what was kept before. Else why not; then what was kept is untouched. */
enum pipit_refusal pipit_input_keep(struct pipit_connection *connection, const char *bytes, size_t length);
void pipit_input_drop(struct pipit_connection *connection);

/* Collect content, with room for a NUL behind it. Else why not. */
enum pipit_refusal pipit_input_add_content(struct pipit_connection *connection, struct pipit_slice data);
/* The request needs neither its content nor the memory that is counted for it. */
void pipit_input_drop_content(struct pipit_connection *connection);

#endif
