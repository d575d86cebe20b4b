/* SPDX-License-Identifier: MIT */
/* What the Authorization header says: Basic (RFC 7617) and Bearer (RFC 6750). Pure. */
#ifndef PIPIT_CREDENTIALS_H
#define PIPIT_CREDENTIALS_H

#include "base/slice.h"

enum {
	PIPIT_CREDENTIALS_NAME_MAX = 64,
	PIPIT_CREDENTIALS_PASSWORD_MAX = 511, /* CRYPT_MAX_PASSPHRASE_SIZE of crypt(3), with its NUL */
};

enum pipit_scheme {
	PIPIT_SCHEME_BASIC,
	PIPIT_SCHEME_BEARER,
	PIPIT_SCHEMES,
	PIPIT_SCHEME_UNKNOWN = PIPIT_SCHEMES, /* another one */
	PIPIT_SCHEME_MALFORMED /* Basic or Bearer, but not in its form, or longer than any that could be right */
};

struct pipit_credentials {
	enum pipit_scheme scheme;
	/* BASIC */
	char name[PIPIT_CREDENTIALS_NAME_MAX + 1];
	char password[PIPIT_CREDENTIALS_PASSWORD_MAX + 1];
	/* BEARER; borrowed from the header */
	struct pipit_slice token;
};

/* value: of the header, without white space around it. Base64 is read strictly (RFC 4648 §3.5, §4). */
void pipit_credentials_read(struct pipit_slice value, struct pipit_credentials *credentials);

/* Overwrites them. */
void pipit_credentials_forget(struct pipit_credentials *credentials);

#endif
