/* SPDX-License-Identifier: MIT */
/*
 * The certificates and settings of a server's TLS: Mozilla's intermediate configuration (https://ssl-config.mozilla.org). Workers share
 * them; a reload replaces the certificates, and connections keep those that they began with. Any thread.
 */
#ifndef PIPIT_TLS_CONTEXT_H
#define PIPIT_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct pipit_config;
struct pipit_tls_certificates;
struct pipit_tls_context;
struct ssl_st;

/*
 * Reads the files of `config`, which outlives the context. NULL after a message for each error: a file cannot be used, or this build has no
 * TLS. Warns about certificates that are not valid yet.
 */
struct pipit_tls_context *pipit_tls_context_new(const struct pipit_config *config);

/* Connections may still hold the certificates. NULL is harmless. */
void pipit_tls_context_free(struct pipit_tls_context *context);

/* Reads the files again. False after a message: the certificates stay as they are. */
bool pipit_tls_context_reload(struct pipit_tls_context *context);

/* The certificate with that number; false: there is none. name: PIPIT_TLS_NAME_SIZE bytes. */
#define PIPIT_TLS_NAME_SIZE 256
bool pipit_tls_context_certificate(struct pipit_tls_context *context, size_t index, char *name, time_t *expires);

/* Kernel and OpenSSL have kTLS: the kernel can encrypt what is sent. */
bool pipit_tls_context_has_kernel(const struct pipit_tls_context *context);

/* --- for tls_session.c --------------------------------------------------------------------------------------------- */

/* A connection, and a hold on its certificates. NULL when memory is short. */
struct ssl_st *pipit_tls_context_connect(
    struct pipit_tls_context *context, struct pipit_tls_certificates **certificates);

/* Release a hold. */
void pipit_tls_certificates_release(struct pipit_tls_certificates *certificates);

#endif
