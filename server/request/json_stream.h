/* SPDX-License-Identifier: MIT */
/* Larger documents are printed while they are sent: their text is never in memory as a whole. */
#ifndef PIPIT_JSON_STREAM_H
#define PIPIT_JSON_STREAM_H

#include "pipit.h"

/* longer texts are sent in chunks */
#define PIPIT_JSON_STREAM_WHOLE_BYTES (64 * 1024)

#endif
