/* SPDX-License-Identifier: MIT */
/*
 * The keys of session tickets, which all workers share. They rotate, so that a key that leaks opens the sessions of one day only. Private
 * to tls/.
 */
#ifndef PIPIT_TLS_TICKET_KEYS_H
#define PIPIT_TLS_TICKET_KEYS_H

#include <openssl/evp.h>
#include <stdint.h>
#include <time.h>

/* A new key encrypts after this time; it decrypts for as long again. A ticket is valid for this time. */
#define PIPIT_TICKET_KEYS_PERIOD_S (12 * 3600)

struct pipit_ticket_keys;

/* NULL: memory is short, or the system has no randomness. */
struct pipit_ticket_keys *pipit_ticket_keys_new(void);
void pipit_ticket_keys_free(struct pipit_ticket_keys *keys);

/*
 * As the callback of SSL_CTX_set_tlsext_ticket_key_evp_cb(): 1; 2: the ticket is to be renewed; 0: the ticket is unknown; -1: failure.
 * now: in seconds, never decreasing; the callback of a server uses CLOCK_MONOTONIC. Any thread.
 */
int pipit_ticket_keys_set_up(struct pipit_ticket_keys *keys, time_t now, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_encrypting);

#endif
