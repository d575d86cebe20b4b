/* SPDX-License-Identifier: MIT */
#include "auth/digest.h"

#include <errno.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <unistd.h>

_Static_assert(PIPIT_DIGEST_SIZE == SHA256_DIGEST_SIZE, "digests are those of SHA-256");

int pipit_digest_new_key(struct pipit_digest_key *key)
{
	return getentropy(key->bytes, sizeof key->bytes) == 0 ? 0 : -errno;
}

struct pipit_digest pipit_digest_keyed(
    const struct pipit_digest_key *key, const struct pipit_slice *parts, size_t count)
{
	struct hmac_sha256_ctx context;
	struct pipit_digest digest;

	hmac_sha256_set_key(&context, sizeof key->bytes, key->bytes);
	for (size_t i = 0; i < count; i++) {
		uint64_t length = parts[i].length;
		hmac_sha256_update(&context, sizeof length, (const uint8_t *)&length);
		hmac_sha256_update(&context, parts[i].length, (const uint8_t *)parts[i].data);
	}
	hmac_sha256_digest(&context, sizeof digest.bytes, digest.bytes);
	explicit_bzero(&context, sizeof context);
	return digest;
}

struct pipit_digest pipit_digest_sha256(struct pipit_slice text)
{
	struct sha256_ctx context;
	struct pipit_digest digest;

	sha256_init(&context);
	sha256_update(&context, text.length, (const uint8_t *)text.data);
	sha256_digest(&context, sizeof digest.bytes, digest.bytes);
	return digest;
}

bool pipit_digest_is_same(const struct pipit_digest *one, const struct pipit_digest *other)
{
	return memeql_sec(one->bytes, other->bytes, sizeof one->bytes);
}

bool pipit_digest_is_same_text(const char *one, const char *other)
{
	size_t length = strlen(one);
	return strlen(other) == length && memeql_sec(one, other, length);
}
