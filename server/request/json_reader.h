/* SPDX-License-Identifier: MIT */
/* Beside pipit_read_…() of pipit.h. */
#ifndef PIPIT_JSON_READER_H
#define PIPIT_JSON_READER_H

#include "pipit.h"

/* Members of a problem document, freed by the caller; NULL when memory is short. Call once. */
char *pipit_json_reader_members(struct pipit_reader *reader);

void pipit_json_reader_clear(struct pipit_reader *reader);

#endif
