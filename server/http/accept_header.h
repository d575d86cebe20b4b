/* SPDX-License-Identifier: MIT */
/* The Accept header: the weights of media types (RFC 9110 §12.5.1). Pure. */
#ifndef PIPIT_ACCEPT_HEADER_H
#define PIPIT_ACCEPT_HEADER_H

#include "http/guard.h"

/* Weights, in thousandths. */
#define PIPIT_ACCEPT_HEADER_MOST 1000
#define PIPIT_ACCEPT_HEADER_NOT 0

/* The weight of "q=0.5"; PIPIT_ACCEPT_HEADER_MOST for another parameter, as without one (§12.4.2). */
uint16_t pipit_accept_header_weight(struct pipit_slice parameter);

/*
 * The weight of a media type, by the most specific range that matches it. Parameters are ignored, except the weight.
 * Without an Accept header: PIPIT_ACCEPT_HEADER_MOST.
 */
uint16_t pipit_accept_header_media_type(const struct pipit_guard_head *head, const char *media_type);

/* Index of the type with the highest weight, the first of several; -1: none is acceptable. */
int pipit_accept_header_choose(const struct pipit_guard_head *head, const char *const *media_types, size_t count);

/*
 * Whether an error document is HTML: if text/html has a higher weight than application/json and
 * application/problem+json. Clients without an Accept header, or with wildcards only, get JSON.
 */
bool pipit_accept_header_prefers_html(const struct pipit_guard_head *head);

/* The same for the values of a message's Accept headers, read one by one. Zero-initialise it. */
struct pipit_accept_header_form {
	struct pipit_accept_header_weight {
		uint16_t weight;
		int closest; /* of the range that has given the weight; 0: none so far */
	} html, json, problem;
};

void pipit_accept_header_read_form(struct pipit_accept_header_form *form, struct pipit_slice value);
bool pipit_accept_header_is_html(const struct pipit_accept_header_form *form);

#endif
