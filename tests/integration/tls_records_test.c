/* SPDX-License-Identifier: MIT */
/* Records that no library sends: the test encrypts them itself, with the keys of its own handshake (RFC 8446 §7.3). */
#include "daemon.h"
#include "suite.h"
#include "tls_wire.h"
#include "wire.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SECRET_BYTES = 32, KEY_BYTES = 16, IV_BYTES = 12, TAG_BYTES = 16, HEADER_BYTES = 5 };
enum { ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };

#define REQUEST "GET /json/hello HTTP/1.1\r\nHost: x\r\n\r\n"
#define LAST_REQUEST "GET /json/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

struct peer {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
	unsigned char secret[SECRET_BYTES], key[KEY_BYTES], iv[IV_BYTES];
	uint64_t sequence;
};

/* --- the client's keys ---------------------------------------------------------------------------------------------- */

static void take_secret(const SSL *ssl, const char *line)
{
	static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
	struct peer *peer = SSL_get_app_data(ssl);
	const char *text = strrchr(line, ' ');

	if (strncmp(line, label, sizeof label - 1) != 0)
		return;
	for (int i = 0; i < SECRET_BYTES; i++) {
		unsigned byte;
		ck_assert_int_eq(sscanf(text + 1 + (ptrdiff_t)2 * i, "%2x", &byte), 1);
		peer->secret[i] = (unsigned char)byte;
	}
}

static void derive(const struct peer *peer, const char *label, unsigned char *out, size_t length)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	char digest[] = "SHA256", prefix[] = "tls13 ";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)peer->secret, SECRET_BYTES),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, sizeof prefix - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)label, strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	ck_assert_int_eq(EVP_KDF_derive(context, out, length, parameters), 1);
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
}

static struct peer *meet(unsigned port)
{
	struct peer *peer = calloc(1, sizeof *peer);

	signal(SIGPIPE, SIG_IGN);
	peer->fd = wire_connect(port);
	peer->context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(peer->context, TLS1_3_VERSION);
	ck_assert_int_eq(SSL_CTX_set_ciphersuites(peer->context, "TLS_AES_128_GCM_SHA256"), 1);
	SSL_CTX_set_keylog_callback(peer->context, take_secret);
	peer->ssl = SSL_new(peer->context);
	SSL_set_app_data(peer->ssl, peer);
	SSL_set_fd(peer->ssl, peer->fd);
	ck_assert_int_eq(SSL_connect(peer->ssl), 1);
	derive(peer, "key", peer->key, KEY_BYTES);
	derive(peer, "iv", peer->iv, IV_BYTES);
	return peer;
}

static void part(struct peer *peer)
{
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->context);
	close(peer->fd);
	free(peer);
}

/* --- records ----------------------------------------------------------------------------------------------------------- */

/* A record with `padding` zeros behind its type. record: at least length + padding + 32 bytes. Its length. */
static size_t encrypt(
    struct peer *peer, unsigned char type, const void *data, size_t length, size_t padding, unsigned char *record)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	size_t inner = length + 1 + padding, total = inner + TAG_BYTES;
	unsigned char nonce[IV_BYTES];
	int written;

	memcpy(nonce, peer->iv, IV_BYTES);
	for (int i = 0; i < 8; i++)
		nonce[IV_BYTES - 1 - i] ^= (unsigned char)(peer->sequence >> 8 * i);
	peer->sequence++;
	record[0] = APPLICATION_DATA, record[1] = 3, record[2] = 3;
	record[3] = (unsigned char)(total >> 8), record[4] = (unsigned char)total;
	memmove(record + HEADER_BYTES, data, length);
	record[HEADER_BYTES + length] = type;
	memset(record + HEADER_BYTES + length + 1, 0, padding);
	ck_assert_int_eq(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, peer->key, nonce), 1);
	ck_assert_int_eq(EVP_EncryptUpdate(cipher, NULL, &written, record, HEADER_BYTES), 1);
	ck_assert_int_eq(
	    EVP_EncryptUpdate(cipher, record + HEADER_BYTES, &written, record + HEADER_BYTES, (int)inner), 1);
	ck_assert_int_eq(EVP_EncryptFinal_ex(cipher, record + HEADER_BYTES + written, &written), 1);
	ck_assert_int_eq(
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, record + HEADER_BYTES + inner), 1);
	EVP_CIPHER_CTX_free(cipher);
	return HEADER_BYTES + total;
}

static bool send_record(struct peer *peer, unsigned char type, const void *data, size_t length, size_t padding)
{
	static unsigned char record[65536];
	return wire_send(peer->fd, record, encrypt(peer, type, data, length, padding, record));
}

/* Up to the end of the connection, or of one reply to REQUEST. */
static const char *read_reply(struct peer *peer)
{
	static char reply[65536];
	size_t length = 0;

	reply[0] = '\0';
	while (!strstr(reply, "World!\"}") && length < sizeof reply - 1) {
		int received = SSL_read(peer->ssl, reply + length, (int)(sizeof reply - 1 - length));
		if (received <= 0)
			break;
		length += (size_t)received;
		reply[length] = '\0';
	}
	ERR_clear_error();
	return reply;
}

static bool is_closed(struct peer *peer)
{
	char byte;
	return SSL_read(peer->ssl, &byte, 1) <= 0;
}

/* --- tests ------------------------------------------------------------------------------------------------------------- */

static struct daemon server;

static void start_with(const char *option, const char *value)
{
	const struct tls_wire_files *files = tls_wire_files(getenv("PIPIT_DAEMON"));
	server = daemon_start((const char *const[]){ "--listen", "https://127.0.0.1:0", "--listen", "127.0.0.1:0",
	    "--tls-certificate", files->certificate, "--tls-key", files->key, "--workers", "1", option, value, NULL });
}

static void stop(void)
{
	ck_assert_int_eq(daemon_stop(&server), 0);
}

START_TEST(answers_a_request_in_records_of_one_byte)
{
	struct peer *peer;
	start_with("--head-timeout", "10s");
	peer = meet(server.port);
	for (const char *at = REQUEST; *at; at++)
		ck_assert(send_record(peer, APPLICATION_DATA, at, 1, 0));
	ck_assert_int_eq(strncmp(read_reply(peer), "HTTP/1.1 200 ", 13), 0);
	/* each record byte by byte */
	for (const char *at = REQUEST; *at; at++) {
		unsigned char record[64];
		ck_assert(wire_trickle(peer->fd, record, encrypt(peer, APPLICATION_DATA, at, 1, 0, record)));
	}
	ck_assert_int_eq(strncmp(read_reply(peer), "HTTP/1.1 200 ", 13), 0);
	part(peer);
	stop();
}
END_TEST

START_TEST(answers_requests_that_share_a_record_and_span_records)
{
	static const char two[] = REQUEST REQUEST;
	struct peer *peer;
	start_with("--head-timeout", "10s");
	peer = meet(server.port);
	for (size_t cut = 0; cut <= sizeof two - 1; cut++) {
		const char *reply;
		ck_assert(send_record(peer, APPLICATION_DATA, two, cut, cut));
		ck_assert(send_record(peer, APPLICATION_DATA, two + cut, sizeof two - 1 - cut, 3));
		reply = read_reply(peer);
		ck_assert_int_eq(strncmp(reply, "HTTP/1.1 200 ", 13), 0);
		/* Both may have come at once. */
		if (!strstr(reply + 13, "HTTP/1.1 200 "))
			ck_assert_int_eq(strncmp(read_reply(peer), "HTTP/1.1 200 ", 13), 0);
	}
	part(peer);
	stop();
}
END_TEST

START_TEST(closes_a_connection_that_sends_empty_records_only)
{
	struct peer *peer;
	start_with("--idle-timeout", "1s");
	peer = meet(server.port);
	for (int i = 0; i < 40 && send_record(peer, APPLICATION_DATA, "", 0, 0); i++)
		continue;
	ck_assert(is_closed(peer));
	part(peer);
	stop();
}
END_TEST

START_TEST(closes_a_connection_whose_records_are_padding)
{
	struct peer *peer;
	long long end = wire_now_ms() + PATIENCE_MS;
	bool is_open = true;
	start_with("--idle-timeout", "500ms");
	peer = meet(server.port);
	/* More often than the idle timeout: records without content do not count. */
	while (is_open && wire_now_ms() < end) {
		ck_assert(send_record(peer, APPLICATION_DATA, "", 0, 1000) || true);
		is_open = !wire_is_readable(peer->fd, 100) || !is_closed(peer);
	}
	ck_assert(!is_open);
	part(peer);
	stop();
}
END_TEST

START_TEST(closes_a_body_that_stalls_within_a_record)
{
	static const char head[] =
	    "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n";
	unsigned char record[64];
	struct peer *peer;
	start_with("--read-timeout", "500ms");
	peer = meet(server.port);
	ck_assert(send_record(peer, APPLICATION_DATA, head, sizeof head - 1, 0));
	ck_assert(wire_send(peer->fd, record, encrypt(peer, APPLICATION_DATA, "name=some", 9, 0, record) - 1));
	ck_assert_int_eq(strncmp(read_reply(peer), "HTTP/1.1 408 ", 13), 0);
	part(peer);
	stop();
}
END_TEST

START_TEST(ends_with_an_alert_when_a_record_was_changed)
{
	unsigned char record[128];
	size_t length;
	struct peer *peer;
	start_with("--head-timeout", "10s");
	for (size_t place = 0; place < HEADER_BYTES + sizeof REQUEST + TAG_BYTES; place += 3) {
		peer = meet(server.port);
		length = encrypt(peer, APPLICATION_DATA, REQUEST, sizeof REQUEST - 1, 0, record);
		record[place] ^= 0x80;
		ck_assert(wire_send(peer->fd, record, length));
		shutdown(peer->fd, SHUT_WR);
		ck_assert_str_eq(read_reply(peer), "");
		part(peer);
	}
	stop();
}
END_TEST

START_TEST(serves_what_precedes_the_clients_close)
{
	static const unsigned char close_notify[] = { 1, 0 };
	struct peer *peer;
	start_with("--idle-timeout", "60s");
	peer = meet(server.port);
	/* without a FIN */
	ck_assert(send_record(peer, APPLICATION_DATA, REQUEST, sizeof REQUEST - 1, 0));
	ck_assert(send_record(peer, ALERT, close_notify, sizeof close_notify, 0));
	ck_assert_int_eq(strncmp(read_reply(peer), "HTTP/1.1 200 ", 13), 0);
	ck_assert(is_closed(peer));
	part(peer);
	stop();
}
END_TEST

START_TEST(follows_changes_of_the_keys)
{
	struct peer *peer;
	start_with("--head-timeout", "10s");
	peer = meet(server.port);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(
		    SSL_key_update(peer->ssl, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		ck_assert_int_eq(SSL_write(peer->ssl, REQUEST, sizeof REQUEST - 1), sizeof REQUEST - 1);
		ck_assert_int_eq(strncmp(read_reply(peer), "HTTP/1.1 200 ", 13), 0);
	}
	part(peer);
	stop();
}
END_TEST

START_TEST(refuses_plain_http_on_an_https_address)
{
	struct wire_response response;
	int fd;
	start_with("--head-timeout", "10s");
	fd = wire_connect(server.port);
	response = wire_get(fd, "/json/hello");
	ck_assert_int_eq(response.status, 400);
	ck_assert(response.is_complete && response.closes);
	ck_assert_ptr_nonnull(strstr(response.content, "serves https only"));
	ck_assert(wire_is_closed(fd));
	wire_free(&response);
	close(fd);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("TLS records");
	TCase *tests = tcase_create("records");

	tcase_add_test(tests, answers_a_request_in_records_of_one_byte);
	tcase_add_test(tests, answers_requests_that_share_a_record_and_span_records);
	tcase_add_test(tests, closes_a_connection_that_sends_empty_records_only);
	tcase_add_test(tests, closes_a_connection_whose_records_are_padding);
	tcase_add_test(tests, closes_a_body_that_stalls_within_a_record);
	tcase_add_test(tests, ends_with_an_alert_when_a_record_was_changed);
	tcase_add_test(tests, serves_what_precedes_the_clients_close);
	tcase_add_test(tests, follows_changes_of_the_keys);
	tcase_add_test(tests, refuses_plain_http_on_an_https_address);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
