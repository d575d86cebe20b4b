/* SPDX-License-Identifier: MIT */
/* The redirect from http to https. */
#ifndef PIPIT_HTTPS_REDIRECT_H
#define PIPIT_HTTPS_REDIRECT_H

struct pipit_request;

/* Replies with 308, which keeps method and body: the same host and target at the port; 400 without a host. */
void pipit_https_redirect(struct pipit_request *request, unsigned https_port);

#endif
