/* SPDX-License-Identifier: MIT */
/* The Accept header (RFC 9110 §12.5.1). Pure. */
#ifndef PIPIT_ACCEPT_HEADER_H
#define PIPIT_ACCEPT_HEADER_H

#include "http/guard.h"

/* weights, in thousandths */
#define PIPIT_ACCEPT_HEADER_MOST 1000
#define PIPIT_ACCEPT_HEADER_NOT 0

/* PIPIT_ACCEPT_HEADER_MOST for another parameter than "q" (§12.4.2). */
uint16_t pipit_accept_header_weight(struct pipit_slice parameter);

/* By the most specific matching range. Without an Accept header: PIPIT_ACCEPT_HEADER_MOST. */
uint16_t pipit_accept_header_media_type(const struct pipit_guard_head *head, const char *media_type);

/* Index of the first type with the highest weight; -1: none is acceptable. */
int pipit_accept_header_choose(const struct pipit_guard_head *head, const char *const *media_types, size_t count);

/* Whether text/html has a higher weight than application/json and application/problem+json. */
bool pipit_accept_header_prefers_html(const struct pipit_guard_head *head);

/* Reads one Accept header at a time. Zero-initialise it. */
struct pipit_accept_header_form {
	struct pipit_accept_header_weight {
		uint16_t weight;
		int closest; /* of the range that gave the weight; 0: none */
	} html, json, problem;
};

void pipit_accept_header_read_form(struct pipit_accept_header_form *form, struct pipit_slice value);
bool pipit_accept_header_is_html(const struct pipit_accept_header_form *form);

#endif
