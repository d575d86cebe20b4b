/* SPDX-License-Identifier: MIT */
/* What tools/embed.c makes of static/: the daemon's own pages, for pipit_site_open(). */
#ifndef EMBEDDED_H
#define EMBEDDED_H

#include "pipit.h"

extern const struct pipit_page embedded_pages[];
extern const size_t embedded_page_count;

#endif
