/* SPDX-License-Identifier: MIT */
/* A certificate with its chain and its key, from files that were checked. Private to tls/. */
#ifndef PIPIT_TLS_CERTIFICATE_H
#define PIPIT_TLS_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Of a name, for messages and metrics. */
#define PIPIT_CERTIFICATE_NAME_SIZE 256
/* Of a reason, in one line. */
#define PIPIT_CERTIFICATE_ERROR_SIZE 512

struct pipit_certificate {
	X509 *leaf;
	STACK_OF(X509) * chain; /* behind the leaf, as in the file; may be empty */
	EVP_PKEY *key;
	char name[PIPIT_CERTIFICATE_NAME_SIZE]; /* the first DNS name, else the common name, else "unnamed" */
	time_t not_before, not_after;
};

/*
 * The whole file. NULL, with the reason in `error` ("cannot be read: …; use …"), when it cannot be read or has more than 1 MiB. what: as
 * in "a PEM file".
 */
BIO *pipit_certificate_read_file(const char *file, const char *what, char error[PIPIT_CERTIFICATE_ERROR_SIZE]);

/* Certificates up to the end of a PEM file. NULL: it has none, or one is damaged. */
STACK_OF(X509) * pipit_certificate_parse_all(BIO *pem, const char *what, char error[PIPIT_CERTIFICATE_ERROR_SIZE]);

/* Revocation lists up to the end of a PEM file. NULL: it has none, one is damaged, or one has expired. */
STACK_OF(X509_CRL) *
    pipit_certificate_parse_revocations(BIO *pem, const char *what, char error[PIPIT_CERTIFICATE_ERROR_SIZE]);

/*
 * False, with the reason in `error`: the certificate cannot be read, or has expired. On success the caller clears it; key is NULL until
 * pipit_certificate_load_key().
 */
bool pipit_certificate_load(
    const char *file, struct pipit_certificate *certificate, char error[PIPIT_CERTIFICATE_ERROR_SIZE]);

/*
 * False, with the reason in `error`: the key cannot be read, is encrypted, or is that of another certificate. Warns of a file that others
 * read.
 */
bool pipit_certificate_load_key(
    const char *file, struct pipit_certificate *certificate, char error[PIPIT_CERTIFICATE_ERROR_SIZE]);

void pipit_certificate_clear(struct pipit_certificate *certificate);

/* "2026-10-01 12:00:00 UTC" */
void pipit_certificate_print_time(time_t time, char *text, size_t size);

#endif
