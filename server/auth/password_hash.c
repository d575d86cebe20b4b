/* SPDX-License-Identifier: MIT */
#include "auth/password_hash.h"

#include "auth/digest.h"

#include <crypt.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#define ADVICE "; make the line with: htpasswd -nB NAME, or: mkpasswd -m yescrypt"

/* Time doubles with each step: 16 takes about five seconds. */
#define BCRYPT_COST_MAX 16
/* A million rounds take about a second. */
#define SHA_ROUNDS_MAX 9999999
/* Memory doubles with each step: "j9T" is 16 MiB, "jCT" 128 MiB. */
#define YESCRYPT_STEPS "./0123456789ABC"

/* "$2y$10$", 22 digits of salt, 31 of the hash */
static bool is_bcrypt(const char *hash)
{
	unsigned cost;

	if (strlen(hash) != 60 || strspn(hash + 4, "0123456789") != 2 || hash[6] != '$' ||
	    strspn(hash + 7, alphabet) != 53)
		return false;
	cost = (unsigned)(hash[4] - '0') * 10 + (unsigned)(hash[5] - '0');
	return cost >= 4 && cost <= BCRYPT_COST_MAX;
}

/* "$6$", "rounds=N$" or nothing, up to 16 bytes of salt, '$', the hash */
static bool is_sha(const char *hash, size_t digits)
{
	static const char rounds[] = "rounds=";
	const char *at = hash + 3;
	size_t salt;

	if (strncmp(at, rounds, strlen(rounds)) == 0) {
		char *end;
		unsigned long count;
		at += strlen(rounds);
		if (strspn(at, "0123456789") == 0 || strspn(at, "0123456789") > 7 || *at == '0')
			return false;
		count = strtoul(at, &end, 10);
		if (*end != '$' || count < 1000 || count > SHA_ROUNDS_MAX)
			return false;
		at = end + 1;
	}
	salt = strspn(at, alphabet);
	return salt <= 16 && at[salt] == '$' && strlen(at + salt + 1) == digits &&
	       strspn(at + salt + 1, alphabet) == digits;
}

/* "$y$", "j9T", '$', up to 86 digits of salt, '$', 43 digits of the hash */
static bool is_yescrypt(const char *hash)
{
	const char *at = hash + 3;
	size_t salt;

	if (at[0] != 'j' || at[1] == '\0' || !strchr(YESCRYPT_STEPS, at[1]) || at[2] == '\0' ||
	    !strchr("./0123456789ABCDEFGHIJKLMNOPQRST", at[2]) || at[3] != '$')
		return false;
	at += 4;
	salt = strspn(at, alphabet);
	return salt <= 86 && at[salt] == '$' && strlen(at + salt + 1) == 43 && strspn(at + salt + 1, alphabet) == 43;
}

enum form { BCRYPT, SHA_256, SHA_512, YESCRYPT, FORMS };

/* Cheap ones. */
static const char *const settings[FORMS] = {
	[BCRYPT] = "$2y$04$abcdefghijklmnopqrstuu",
	[SHA_256] = "$5$rounds=1000$a$",
	[SHA_512] = "$6$rounds=1000$a$",
	[YESCRYPT] = "$y$j75$abcdefgh$",
};

/* Not every libcrypt computes every form. */
static bool is_computed(enum form form)
{
	static atomic_bool is_known[FORMS];
	struct crypt_data *data;
	const char *result;

	if (atomic_load_explicit(&is_known[form], memory_order_relaxed))
		return true;
	data = calloc(1, sizeof *data);
	result = data ? crypt_r("", settings[form], data) : NULL;
	if (result && strncmp(result, settings[form], 3) == 0)
		atomic_store_explicit(&is_known[form], true, memory_order_relaxed);
	free(data);
	return atomic_load_explicit(&is_known[form], memory_order_relaxed);
}

static const char *fault_of(bool has_form, enum form form)
{
	static const char damaged[] = "the hash is damaged, or takes too long" ADVICE;
	static const char missing[] =
	    "the C library here cannot compute this hash; make the line with: htpasswd -nB NAME";
	if (!has_form)
		return damaged;
	return is_computed(form) ? NULL : missing;
}

const char *pipit_password_hash_fault(const char *hash)
{
	if (strlen(hash) > PIPIT_PASSWORD_HASH_MAX)
		return "the hash is too long" ADVICE;
	if (strncmp(hash, "$2y$", 4) == 0 || strncmp(hash, "$2b$", 4) == 0 || strncmp(hash, "$2a$", 4) == 0)
		return fault_of(is_bcrypt(hash), BCRYPT);
	if (strncmp(hash, "$5$", 3) == 0)
		return fault_of(is_sha(hash, 43), SHA_256);
	if (strncmp(hash, "$6$", 3) == 0)
		return fault_of(is_sha(hash, 86), SHA_512);
	if (strncmp(hash, "$y$", 3) == 0)
		return fault_of(is_yescrypt(hash), YESCRYPT);
	if (strncmp(hash, "$apr1$", 6) == 0 || strncmp(hash, "$1$", 3) == 0)
		return "MD5 is too weak" ADVICE;
	if (strncmp(hash, "{SHA}", 5) == 0 || strncmp(hash, "{SSHA}", 6) == 0)
		return "SHA-1 is too weak" ADVICE;
	return "plain text, DES or an unknown hash" ADVICE;
}

struct pipit_password_hasher {
	struct crypt_data data; /* 32 KiB */
};

struct pipit_password_hasher *pipit_password_hasher_new(void)
{
	return calloc(1, sizeof(struct pipit_password_hasher));
}

void pipit_password_hasher_free(struct pipit_password_hasher *hasher)
{
	if (hasher)
		explicit_bzero(hasher, sizeof *hasher);
	free(hasher);
}

bool pipit_password_hasher_check(struct pipit_password_hasher *hasher, const char *password, const char *hash)
{
	const char *result = crypt_r(password, hash, &hasher->data);
	bool is_right = result && pipit_digest_is_same_text(result, hash);
	explicit_bzero(&hasher->data, sizeof hasher->data);
	return is_right;
}
