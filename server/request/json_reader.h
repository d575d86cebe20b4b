/* SPDX-License-Identifier: MIT */
/* Typed getters over a JSON document: pipit_read_… of pipit.h, and what others do with the violations that were noted. */
#ifndef PIPIT_JSON_READER_H
#define PIPIT_JSON_READER_H

#include "pipit.h"

/* What has been noted as members of a problem document (see problem.h); the caller's to free, NULL when memory is short. Once. */
char *pipit_json_reader_members(struct pipit_reader *reader);

/* Free what was noted. */
void pipit_json_reader_clear(struct pipit_reader *reader);

#endif
