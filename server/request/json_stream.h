/* SPDX-License-Identifier: MIT */
/* pipit_reply_json(): small documents are printed at once, larger ones while they are sent, so that their text is
 * never in memory as a whole. */
#ifndef PIPIT_JSON_STREAM_H
#define PIPIT_JSON_STREAM_H

#include "pipit.h"

/* About this many bytes of text are printed at once, with a Content-Length. */
#define PIPIT_JSON_STREAM_WHOLE_BYTES (64 * 1024)

#endif
