/* SPDX-License-Identifier: MIT */
/* Prints large documents while they are sent: their text is never whole in memory. */
#ifndef PIPIT_JSON_STREAM_H
#define PIPIT_JSON_STREAM_H

#include "pipit.h"

/* longer texts are sent in chunks */
#define PIPIT_JSON_STREAM_WHOLE_BYTES (64 * 1024)

#endif
