/* SPDX-License-Identifier: MIT */
/* Files of users: passwords in the form of htpasswd, or tokens. Constant once read; any thread. */
#ifndef PIPIT_USER_FILE_H
#define PIPIT_USER_FILE_H

#include "auth/credentials.h"
#include "auth/digest.h"

#define PIPIT_USER_FILE_MAX_BYTES (1 << 20)

struct pipit_user_file;

/*
 * Lines "NAME:HASH"; comments ("#") and empty lines are skipped, and what follows a second colon, as nginx does. BASIC: see
 * password_hash.h. BEARER: the token's SHA-256 in 64 hexadecimal digits; several lines may have one name.
 *
 * Fails with -EINVAL or -ENOMEM, and "LINE: REASON; what would be right", which shows nothing of the file.
 */
int pipit_user_file_parse(enum pipit_scheme scheme, struct pipit_slice text, const struct pipit_digest_key *key,
    struct pipit_user_file **file, char *error, size_t size);

/* As pipit_user_file_parse(), of a regular file; begins the error with its name. Warns when others than its owner and its group may read it, or the group may change it. */
int pipit_user_file_read(enum pipit_scheme scheme, const char *name, const struct pipit_digest_key *key,
    struct pipit_user_file **file, char *error, size_t size);

void pipit_user_file_free(struct pipit_user_file *file);

/* Lines. */
size_t pipit_user_file_count(const struct pipit_user_file *file);

/*
 * BASIC: the hash of the name. For an unknown name *is_known is false, and the hash is that of any user, always the same for one name: to
 * compute it takes as long as for a user that exists. NULL: the file has no user.
 */
const char *pipit_user_file_hash(
    const struct pipit_user_file *file, const struct pipit_digest_key *key, const char *name, bool *is_known);

/* BEARER: the name of the token's user; NULL: the file does not have the token. */
const char *pipit_user_file_owner(
    const struct pipit_user_file *file, const struct pipit_digest_key *key, struct pipit_slice token);

#endif
