/* SPDX-License-Identifier: MIT */
/*
 * A JSON document as a reply: pipit_reply_json(). One that is small is printed whole; a larger one is printed while it is sent, as
 * the client takes it, so that its text is never in memory as a whole.
 */
#ifndef PIPIT_JSON_STREAM_H
#define PIPIT_JSON_STREAM_H

#include "pipit.h"

/* Up to so many bytes, roughly, the text is printed whole, and its length is said. */
#define PIPIT_JSON_STREAM_WHOLE_BYTES (64 * 1024)

#endif
