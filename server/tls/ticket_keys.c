/* SPDX-License-Identifier: MIT */
/* See ticket_keys.h. */
#include "tls/ticket_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 16
#define KEY_BYTES 32

struct key {
	bool is_set;
	time_t made;
	unsigned char name[NAME_BYTES];
	unsigned char cipher[KEY_BYTES]; /* AES-256-CBC */
	unsigned char mac[KEY_BYTES];    /* HMAC-SHA256 */
};

struct pipit_ticket_keys {
	EVP_CIPHER *cipher; /* fetched once: a search for each ticket would cost more than the encryption */
	pthread_mutex_t lock;
	struct key current, previous;
};

static bool make_key(struct key *key, time_t now)
{
	key->made = now;
	key->is_set = RAND_bytes(key->name, sizeof key->name) == 1 &&
		      RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
		      RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
	return key->is_set;
}

struct pipit_ticket_keys *pipit_ticket_keys_new(void)
{
	struct pipit_ticket_keys *keys = calloc(1, sizeof *keys);
	if (!keys)
		return NULL;
	pthread_mutex_init(&keys->lock, NULL);
	keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (keys->cipher)
		return keys;
	pipit_ticket_keys_free(keys);
	return NULL;
}

void pipit_ticket_keys_free(struct pipit_ticket_keys *keys)
{
	if (!keys)
		return;
	pthread_mutex_destroy(&keys->lock);
	EVP_CIPHER_free(keys->cipher);
	OPENSSL_cleanse(keys, sizeof *keys);
	free(keys);
}

/* Locked. False: without randomness. */
static bool rotate(struct pipit_ticket_keys *keys, time_t now)
{
	struct key fresh;
	bool is_due = !keys->current.is_set || now - keys->current.made >= PIPIT_TICKET_KEYS_PERIOD_S;

	if (!is_due)
		return true;
	if (!make_key(&fresh, now))
		return false;
	keys->previous = keys->current;
	if (now - keys->previous.made >= 2 * PIPIT_TICKET_KEYS_PERIOD_S)
		OPENSSL_cleanse(&keys->previous, sizeof keys->previous);
	keys->current = fresh;
	OPENSSL_cleanse(&fresh, sizeof fresh);
	return true;
}

/* A copy: another thread may rotate. False: there is none. */
static bool find(struct pipit_ticket_keys *keys, time_t now, const unsigned char *name, struct key *found, bool *is_old)
{
	bool is_found = false;

	pthread_mutex_lock(&keys->lock);
	if (rotate(keys, now)) {
		*is_old = name && CRYPTO_memcmp(keys->current.name, name, NAME_BYTES) != 0;
		*found = *is_old ? keys->previous : keys->current;
		is_found = found->is_set && (!name || CRYPTO_memcmp(found->name, name, NAME_BYTES) == 0);
	}
	pthread_mutex_unlock(&keys->lock);
	return is_found;
}

static bool apply(const EVP_CIPHER *algorithm, const struct key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int is_encrypting)
{
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	return EVP_CipherInit_ex(cipher, algorithm, NULL, key->cipher, iv, is_encrypting) == 1 &&
	       EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

int pipit_ticket_keys_set_up(struct pipit_ticket_keys *keys, time_t now, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_encrypting)
{
	struct key key;
	bool is_old = false;
	int result;

	if (!find(keys, now, is_encrypting ? NULL : name, &key, &is_old))
		return is_encrypting ? -1 : 0;
	if (is_encrypting) {
		memcpy(name, key.name, NAME_BYTES);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(keys->cipher)) != 1)
			return -1;
	}
	result = !apply(keys->cipher, &key, iv, cipher, mac, is_encrypting) ? -1 : is_old ? 2 : 1;
	OPENSSL_cleanse(&key, sizeof key);
	return result;
}
