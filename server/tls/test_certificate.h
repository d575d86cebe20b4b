/* SPDX-License-Identifier: MIT */
/* A certificate to try TLS out, which no client trusts by itself. */
#ifndef PIPIT_TLS_TEST_CERTIFICATE_H
#define PIPIT_TLS_TEST_CERTIFICATE_H

#include <stddef.h>

#define PIPIT_TEST_CERTIFICATE_FILE "certificate.pem"
#define PIPIT_TEST_CERTIFICATE_KEY_FILE "key.pem"

/*
 * Make both files in a directory, which may exist: a certificate for localhost, 127.0.0.1 and ::1, signed by its own key (ECDSA, P-256,
 * mode 0600), valid for 90 days. A file that is there stays. 0; -1 with a reason in one line.
 */
int pipit_test_certificate_make(const char *directory, char *error, size_t size);

#endif
