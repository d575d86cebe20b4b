/* SPDX-License-Identifier: MIT */
/* How much a client likes a media type (RFC 9110 §12.5.1). Pure. */
#ifndef PIPIT_ACCEPT_HEADER_H
#define PIPIT_ACCEPT_HEADER_H

#include "http/guard.h"

/* A weight in thousandths: liked best, and not acceptable at all. */
#define PIPIT_ACCEPT_HEADER_MOST 1000
#define PIPIT_ACCEPT_HEADER_NOT 0

/* Of "q=0.5"; what is no weight counts as the most, as if it were not there (§12.4.2). */
uint16_t pipit_accept_header_weight(struct pipit_slice parameter);

/*
 * Of a type such as "text/html", by the most specific range that names it: "text/html", "text/" followed by an asterisk, or both
 * asterisks. Parameters of the type, and of the range but its weight, do not count. Without an Accept field everything is liked.
 */
uint16_t pipit_accept_header_media_type(const struct pipit_guard_head *head, const char *media_type);

/* Which of the types is liked best, the first of several; -1 when none is acceptable. */
int pipit_accept_header_choose(const struct pipit_guard_head *head, const char *const *media_types, size_t count);

/*
 * Whether an error document is HTML. It is JSON (RFC 9457) unless the client likes text/html better than both application/json and
 * application/problem+json: the wildcards of a program that takes anything, and no Accept header at all, give JSON.
 */
bool pipit_accept_header_prefers_html(const struct pipit_guard_head *head);

/* The same of the values of a message's Accept headers, read one after the other. Zero-initialise it. */
struct pipit_accept_header_form {
	struct pipit_accept_header_weight {
		uint16_t weight;
		int closest; /* how closely the range that gave the weight names the type; 0: no range does */
	} html, json, problem;
};

void pipit_accept_header_read_form(struct pipit_accept_header_form *form, struct pipit_slice value);
bool pipit_accept_header_is_html(const struct pipit_accept_header_form *form);

#endif
