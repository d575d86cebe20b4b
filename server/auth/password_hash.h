/* SPDX-License-Identifier: MIT */
/* Hashes of passwords as crypt(3) writes them: bcrypt, yescrypt, SHA-512 and SHA-256. Any thread. */
#ifndef PIPIT_PASSWORD_HASH_H
#define PIPIT_PASSWORD_HASH_H

#include <stdbool.h>
#include <stddef.h>

#define PIPIT_PASSWORD_HASH_MAX 255

/*
 * NULL: a hash of a form that this library computes, in at most about ten seconds and 128 MiB. Otherwise a constant text: what is wrong, and
 * the command that makes a right one.
 */
const char *pipit_password_hash_fault(const char *hash);

/* The memory of one computation at a time. NULL when memory is short. */
struct pipit_password_hasher;
struct pipit_password_hasher *pipit_password_hasher_new(void);
void pipit_password_hasher_free(struct pipit_password_hasher *hasher);

/* Takes as long as the hash says, whether the password is right or not. */
bool pipit_password_hasher_check(struct pipit_password_hasher *hasher, const char *password, const char *hash);

#endif
