/* SPDX-License-Identifier: MIT */
/* pipit_read_…() of pipit.h, and the violations of a reader for other modules. */
#ifndef PIPIT_JSON_READER_H
#define PIPIT_JSON_READER_H

#include "pipit.h"

/* The violations as members of a problem document (see problem.h), freed by the caller; NULL when memory is short.
 * Call once. */
char *pipit_json_reader_members(struct pipit_reader *reader);

/* Free the violations. */
void pipit_json_reader_clear(struct pipit_reader *reader);

#endif
