/* SPDX-License-Identifier: MIT */
/* The buffers of unused input and of content that is being collected, within the memory limit. */
#ifndef PIPIT_INPUT_H
#define PIPIT_INPUT_H

#include "base/refusal.h"
#include "base/slice.h"

struct pipit_connection;

/* Keep input (at least one byte) in the place of what was kept. On failure that is untouched. */
enum pipit_refusal pipit_input_keep(struct pipit_connection *connection, const char *bytes, size_t length);
void pipit_input_drop(struct pipit_connection *connection);

/* Append to the content, with room for a NUL behind it. */
enum pipit_refusal pipit_input_add_content(struct pipit_connection *connection, struct pipit_slice data);
/* The memory that is counted for the request goes with its content. */
void pipit_input_drop_content(struct pipit_connection *connection);

#endif
