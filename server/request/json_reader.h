/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_JSON_READER_H
#define PIPIT_JSON_READER_H

#include "pipit.h"

/* Members of a problem document. Call once. */
char *pipit_json_reader_members(struct pipit_reader *reader);

void pipit_json_reader_clear(struct pipit_reader *reader);

#endif
