/* SPDX-License-Identifier: MIT */
#include "tls/ticket_keys.h"

#include "suite.h"

#include <openssl/evp.h>
#include <string.h>

#define PERIOD PIPIT_TICKET_KEYS_PERIOD_S

static const char state[] = "what a session ticket holds";

struct ticket {
	unsigned char name[16], iv[EVP_MAX_IV_LENGTH], encrypted[128];
	unsigned char tag[EVP_MAX_MD_SIZE];
	int length;
	size_t tag_length;
};

struct work {
	EVP_MAC *hmac;
	EVP_MAC_CTX *mac;
	EVP_CIPHER_CTX *cipher;
};

static struct work begin(void)
{
	struct work work = { .hmac = EVP_MAC_fetch(NULL, "HMAC", NULL), .cipher = EVP_CIPHER_CTX_new() };
	work.mac = EVP_MAC_CTX_new(work.hmac);
	return work;
}

static void end(struct work *work)
{
	EVP_CIPHER_CTX_free(work->cipher);
	EVP_MAC_CTX_free(work->mac);
	EVP_MAC_free(work->hmac);
}

/* As OpenSSL does with the callback's algorithms. */
static struct ticket seal(struct pipit_ticket_keys *keys, time_t now)
{
	struct work work = begin();
	struct ticket ticket = { .length = 0 };
	int last;

	ck_assert_int_eq(pipit_ticket_keys_set_up(keys, now, ticket.name, ticket.iv, work.cipher, work.mac, 1), 1);
	ck_assert_int_eq(EVP_EncryptUpdate(
			     work.cipher, ticket.encrypted, &ticket.length, (const unsigned char *)state, sizeof state),
	    1);
	ck_assert_int_eq(EVP_EncryptFinal_ex(work.cipher, ticket.encrypted + ticket.length, &last), 1);
	ticket.length += last;
	ck_assert_int_eq(EVP_MAC_init(work.mac, NULL, 0, NULL), 1);
	ck_assert_int_eq(EVP_MAC_update(work.mac, ticket.encrypted, (size_t)ticket.length), 1);
	ck_assert_int_eq(EVP_MAC_final(work.mac, ticket.tag, &ticket.tag_length, sizeof ticket.tag), 1);
	end(&work);
	return ticket;
}

static void check_content(const struct work *work, const struct ticket *ticket)
{
	unsigned char content[sizeof ticket->encrypted + EVP_MAX_BLOCK_LENGTH], tag[EVP_MAX_MD_SIZE];
	size_t tag_length;
	int length, last;

	ck_assert_int_eq(EVP_MAC_init(work->mac, NULL, 0, NULL), 1);
	ck_assert_int_eq(EVP_MAC_update(work->mac, ticket->encrypted, (size_t)ticket->length), 1);
	ck_assert_int_eq(EVP_MAC_final(work->mac, tag, &tag_length, sizeof tag), 1);
	ck_assert_uint_eq(tag_length, ticket->tag_length);
	ck_assert_mem_eq(tag, ticket->tag, tag_length);
	ck_assert_int_eq(EVP_DecryptUpdate(work->cipher, content, &length, ticket->encrypted, ticket->length), 1);
	ck_assert_int_eq(EVP_DecryptFinal_ex(work->cipher, content + length, &last), 1);
	ck_assert_int_eq(length + last, sizeof state);
	ck_assert_mem_eq(content, state, sizeof state);
}

/* The result for OpenSSL; where the ticket is known, its content is checked. */
static int open_ticket(struct pipit_ticket_keys *keys, time_t now, const struct ticket *ticket)
{
	struct work work = begin();
	struct ticket copy = *ticket;
	int result = pipit_ticket_keys_set_up(keys, now, copy.name, copy.iv, work.cipher, work.mac, 0);

	if (result > 0)
		check_content(&work, ticket);
	end(&work);
	return result;
}

START_TEST(opens_its_tickets_until_the_key_rotates)
{
	struct pipit_ticket_keys *keys = pipit_ticket_keys_new();
	struct ticket ticket = seal(keys, 1000);

	ck_assert_int_eq(open_ticket(keys, 1000, &ticket), 1);
	ck_assert_int_eq(open_ticket(keys, 1000 + PERIOD - 1, &ticket), 1);
	pipit_ticket_keys_free(keys);
}
END_TEST

START_TEST(renews_tickets_of_the_previous_key)
{
	struct pipit_ticket_keys *keys = pipit_ticket_keys_new();
	struct ticket ticket = seal(keys, 1000), fresh;

	ck_assert_int_eq(open_ticket(keys, 1000 + PERIOD, &ticket), 2);
	fresh = seal(keys, 1000 + PERIOD);
	ck_assert_mem_ne(fresh.name, ticket.name, sizeof fresh.name);
	ck_assert_int_eq(open_ticket(keys, 1000 + PERIOD, &fresh), 1);
	ck_assert_int_eq(open_ticket(keys, 1000 + 2 * PERIOD - 1, &ticket), 2);
	pipit_ticket_keys_free(keys);
}
END_TEST

START_TEST(forgets_a_key_after_two_periods)
{
	struct pipit_ticket_keys *keys = pipit_ticket_keys_new();
	struct ticket first = seal(keys, 1000), second = seal(keys, 1000 + PERIOD);

	ck_assert_int_eq(open_ticket(keys, 1000 + 2 * PERIOD, &first), 0);
	ck_assert_int_eq(open_ticket(keys, 1000 + 2 * PERIOD, &second), 2);
	pipit_ticket_keys_free(keys);
}
END_TEST

/* The keys do not rotate while nothing is asked of them. */
START_TEST(forgets_a_key_after_a_long_silence)
{
	struct pipit_ticket_keys *keys = pipit_ticket_keys_new();
	struct ticket ticket = seal(keys, 1000);

	ck_assert_int_eq(open_ticket(keys, 1000 + 2 * PERIOD, &ticket), 0);
	pipit_ticket_keys_free(keys);
}
END_TEST

START_TEST(refuses_tickets_of_another_server)
{
	struct pipit_ticket_keys *keys = pipit_ticket_keys_new(), *others = pipit_ticket_keys_new();
	struct ticket ticket = seal(others, 1000);

	ck_assert_int_eq(open_ticket(keys, 1000, &ticket), 0);
	seal(keys, 1000);
	ck_assert_int_eq(open_ticket(keys, 1000, &ticket), 0);
	pipit_ticket_keys_free(keys);
	pipit_ticket_keys_free(others);
}
END_TEST

/* A key that is not set has a name of zeros. */
START_TEST(refuses_a_name_of_zeros)
{
	struct pipit_ticket_keys *keys = pipit_ticket_keys_new();
	struct ticket ticket = seal(keys, 1000);

	memset(ticket.name, 0, sizeof ticket.name);
	ck_assert_int_eq(open_ticket(keys, 1000, &ticket), 0);
	ck_assert_int_eq(open_ticket(keys, 1000 + 5 * PERIOD, &ticket), 0);
	pipit_ticket_keys_free(keys);
}
END_TEST

START_TEST(encrypts_the_same_content_differently)
{
	struct pipit_ticket_keys *keys = pipit_ticket_keys_new();
	struct ticket one = seal(keys, 1000), other = seal(keys, 1000);

	ck_assert_mem_eq(one.name, other.name, sizeof one.name);
	ck_assert_mem_ne(one.iv, other.iv, 16);
	ck_assert_mem_ne(one.encrypted, other.encrypted, (size_t)one.length);
	pipit_ticket_keys_free(keys);
	pipit_ticket_keys_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ticket_keys");
	TCase *tests = tcase_create("ticket_keys");

	tcase_add_test(tests, opens_its_tickets_until_the_key_rotates);
	tcase_add_test(tests, renews_tickets_of_the_previous_key);
	tcase_add_test(tests, forgets_a_key_after_two_periods);
	tcase_add_test(tests, forgets_a_key_after_a_long_silence);
	tcase_add_test(tests, refuses_tickets_of_another_server);
	tcase_add_test(tests, refuses_a_name_of_zeros);
	tcase_add_test(tests, encrypts_the_same_content_differently);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
