/* SPDX-License-Identifier: MIT */
/*
 * Kernel TLS on every kernel: this file defines the calls that reach it, for the library and for OpenSSL alike. Its kernel encrypts with
 * AES-256-GCM of TLS 1.3, or refuses at one of the steps; then OpenSSL encrypts. tests/kernel has the same with a real kernel.
 */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "tls_wire.h"
#include "wire.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))
#define FD_COUNT 1024
#define CONTENT_MAX 16384
#define LARGE_BYTES 3000001
enum { HEADER_BYTES = 5, TAG_BYTES = 16, IV_BYTES = 12, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };

/* --- the kernel ------------------------------------------------------------------------------------------------------- */

/* The server has one worker. */
static struct {
	enum { HAS_NONE, REFUSES_SOCKET, REFUSES_KEY, IS_FULL_BEFORE_KEY, ENCRYPTS } does;
	/* So many control records, and so many calls of send() for full_fd, find the socket full. */
	int full_controls, full_sends, full_fd;
	unsigned probes, sockets, keys, records, controls, files;
} kernel;

static struct key {
	bool is_set;
	unsigned char key[32], iv[IV_BYTES];
	uint64_t sequence;
} keys[FD_COUNT];

static void send_all(int fd, const unsigned char *data, size_t length)
{
	while (length > 0) {
		ssize_t sent = syscall(SYS_sendto, fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
		struct pollfd room = { fd, POLLOUT, 0 };

		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent < 0) {
			poll(&room, 1, -1);
			continue;
		}
		data += sent;
		length -= (size_t)sent;
	}
}

static void send_record(int fd, unsigned char type, const void *data, size_t length)
{
	static unsigned char record[HEADER_BYTES + CONTENT_MAX + 1 + TAG_BYTES];
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	struct key *key = &keys[fd];
	size_t total = length + 1 + TAG_BYTES;
	unsigned char nonce[IV_BYTES], *content = record + HEADER_BYTES;
	int written;

	memcpy(nonce, key->iv, IV_BYTES);
	for (int i = 0; i < 8; i++)
		nonce[IV_BYTES - 1 - i] ^= (unsigned char)(key->sequence >> 8 * i);
	key->sequence++;
	record[0] = APPLICATION_DATA, record[1] = 3, record[2] = 3;
	record[3] = (unsigned char)(total >> 8), record[4] = (unsigned char)total;
	memcpy(content, data, length);
	content[length] = type;
	EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->key, nonce);
	EVP_EncryptUpdate(cipher, NULL, &written, record, HEADER_BYTES);
	EVP_EncryptUpdate(cipher, content, &written, content, (int)length + 1);
	EVP_EncryptFinal_ex(cipher, content + written, &written);
	EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, content + length + 1);
	EVP_CIPHER_CTX_free(cipher);
	send_all(fd, record, HEADER_BYTES + total);
	kernel.records += type == APPLICATION_DATA;
	kernel.controls += type != APPLICATION_DATA;
}

static ssize_t send_pieces(int fd, const struct iovec *pieces, size_t count)
{
	ssize_t total = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t at = 0; at < pieces[i].iov_len; at += CONTENT_MAX) {
			size_t left = pieces[i].iov_len - at;
			send_record(fd, APPLICATION_DATA, (const char *)pieces[i].iov_base + at,
			    left < CONTENT_MAX ? left : CONTENT_MAX);
		}
		total += (ssize_t)pieces[i].iov_len;
	}
	return total;
}

static int give_key(int fd, const struct tls12_crypto_info_aes_gcm_256 *info)
{
	struct key *key = &keys[fd];

	kernel.keys++;
	if (kernel.does != ENCRYPTS || info->info.version != TLS_1_3_VERSION ||
	    info->info.cipher_type != TLS_CIPHER_AES_GCM_256) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key->key, info->key, sizeof key->key);
	memcpy(key->iv, info->salt, sizeof info->salt);
	memcpy(key->iv + sizeof info->salt, info->iv, sizeof info->iv);
	key->sequence = 0;
	key->is_set = true;
	return 0;
}

static int use_tls(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	bool is_connected = getpeername(fd, (struct sockaddr *)&peer, &length) == 0;

	kernel.probes += !is_connected;
	kernel.sockets += is_connected;
	if (kernel.does == HAS_NONE || (is_connected && kernel.does == REFUSES_SOCKET))
		errno = ENOENT;
	else if (!is_connected)
		errno = ENOTCONN;
	else
		return 0;
	return -1;
}

/* ---------------------------------------------------------------- in the place of libc's */

VISIBLE int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	if (level == IPPROTO_TCP && name == TCP_ULP)
		return use_tls(fd);
	if (level == SOL_TLS && name == TLS_TX)
		return give_key(fd, value);
	return (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

VISIBLE ssize_t send(int fd, const void *data, size_t length, int flags)
{
	struct iovec piece = { (void *)data, length };
	bool is_flight = length > 0 && ((const char *)data)[0] == HANDSHAKE;

	if (keys[fd].is_set) {
		ck_assert_int_eq(flags & MSG_MORE, 0);
		return send_pieces(fd, &piece, 1);
	}
	if (kernel.does == IS_FULL_BEFORE_KEY && is_flight) {
		kernel.full_fd = fd;
		kernel.full_sends = 3;
		length = 1;
	} else if (kernel.full_sends > 0 && fd == kernel.full_fd) {
		kernel.full_sends--;
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}

VISIBLE ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);

	if (!keys[fd].is_set)
		return syscall(SYS_sendmsg, fd, message, flags);
	if (!control)
		return send_pieces(fd, message->msg_iov, message->msg_iovlen);
	ck_assert_int_eq(control->cmsg_level, SOL_TLS);
	if (kernel.full_controls > 0) {
		kernel.full_controls--;
		errno = EAGAIN;
		return -1;
	}
	send_record(fd, *CMSG_DATA(control), message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
	return (ssize_t)message->msg_iov[0].iov_len;
}

VISIBLE ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	return keys[fd].is_set ? send_pieces(fd, pieces, (size_t)count) : syscall(SYS_writev, fd, pieces, count);
}

VISIBLE ssize_t sendfile(int fd, int file, off_t *offset, size_t count)
{
	static char data[10 * CONTENT_MAX];
	struct iovec piece = { data, 0 };
	ssize_t length = pread(file, data, count < sizeof data ? count : sizeof data, *offset);

	ck_assert(keys[fd].is_set);
	kernel.files++;
	if (length <= 0)
		return length;
	piece.iov_len = (size_t)length;
	*offset += length;
	return send_pieces(fd, &piece, 1);
}

VISIBLE int close(int fd)
{
	if (fd >= 0 && fd < FD_COUNT)
		keys[fd].is_set = false;
	return (int)syscall(SYS_close, fd);
}

/* --- a server ---------------------------------------------------------------------------------------------------------- */

static struct loop loop;
static struct pipit_server *server;
static struct pipit_site *site;
static unsigned port;
static char directory[] = "/tmp/pipit-test-kernel-XXXXXX", large_name[64];
static char large[LARGE_BYTES];

static void reply_evhttp(struct evhttp_request *request, void *arg)
{
	(void)arg;
	pipit_evhttp_send_problem(request, 418, "a callback");
}

static void serve(const char *version, const char *kernel_tls)
{
	struct pipit_config config;

	setenv("WIRE_TLS", version, 1);
	pipit_config_init(&config);
	config.listen_count = 1;
	config.log_level = "error";
	config.kernel_tls = kernel_tls;
	wire_configure(&config);
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	site = pipit_site_new(directory);
	ck_assert_ptr_nonnull(site);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/evhttp", reply_evhttp, NULL), 0);
	ck_assert_int_eq(pipit_fallback(server, pipit_serve_files, site), 0);
	port = loop_serve(&loop, server);
}

static void stop(void)
{
	loop_end(&loop, server);
	pipit_site_free(site);
}

static double count_of(int fd, const char *sample)
{
	struct wire_response page = wire_get(fd, "/metrics");
	double count = wire_metric(page.content, sample);
	wire_free(&page);
	return count;
}

static void ask(int fd, const char *target, int status)
{
	struct wire_response response = wire_get(fd, target);
	ck_assert_int_eq(response.status, status);
	ck_assert(response.is_complete);
	if (strcmp(target, "/large") == 0) {
		ck_assert_uint_eq(response.length, LARGE_BYTES);
		ck_assert_int_eq(memcmp(response.content, large, LARGE_BYTES), 0);
	}
	wire_free(&response);
}

/* On two connections. Returns the handshakes whose key the kernel has. */
static double ask_for_all(void)
{
	double count = 0;

	for (int i = 0; i < 2; i++) {
		struct wire_response last;
		int fd = wire_connect(port);
		for (int j = 0; j < 2; j++) {
			ask(fd, "/evhttp", 418);
			ask(fd, "/large", 200);
			ask(fd, "/none", 404);
		}
		ck_assert_double_eq(count_of(fd, "pipit_tls_handshakes_total"), i + 1);
		count = count_of(fd, "pipit_tls_kernel_handshakes_total");
		wire_print(fd, "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		last = wire_read(fd, false);
		ck_assert_int_eq(last.status, 404);
		wire_free(&last);
		ck_assert(wire_is_closed(fd));
		close(fd);
	}
	return count;
}

/* --- tests ------------------------------------------------------------------------------------------------------------- */

START_TEST(gives_the_kernel_what_it_can_encrypt)
{
	kernel.does = ENCRYPTS;
	serve("1.3", "on");
	ck_assert(ask_for_all() == 2);
	stop();
	ck_assert_uint_eq(kernel.probes, 1);
	ck_assert_uint_eq(kernel.sockets, 2);
	ck_assert_uint_eq(kernel.keys, 2);
	ck_assert_uint_ge(kernel.records, 4 * (LARGE_BYTES / CONTENT_MAX));
	/* a ticket and a close_notify for each */
	ck_assert_uint_eq(kernel.controls, 4);
	ck_assert_uint_gt(kernel.files, 0);
}
END_TEST

START_TEST(keeps_a_ticket_that_the_socket_does_not_take)
{
	kernel.does = ENCRYPTS;
	kernel.full_controls = 5;
	serve("1.3", "on");
	ck_assert(ask_for_all() == 2);
	stop();
	ck_assert_int_eq(kernel.full_controls, 0);
	ck_assert_uint_eq(kernel.controls, 4);
}
END_TEST

/* The last but one: a version that this kernel does not know. */
START_TEST(encrypts_itself_where_the_kernel_refuses)
{
	static const struct {
		int does;
		const char *version;
		unsigned sockets, keys;
	} cases[] = {
		{ HAS_NONE, "1.2", 0, 0 },
		{ HAS_NONE, "1.3", 0, 0 },
		{ REFUSES_SOCKET, "1.2", 2, 2 },
		{ REFUSES_SOCKET, "1.3", 2, 2 },
		{ REFUSES_KEY, "1.2", 2, 2 },
		{ REFUSES_KEY, "1.3", 2, 2 },
		{ ENCRYPTS, "1.2", 2, 2 },
		{ IS_FULL_BEFORE_KEY, "1.3", 0, 0 },
	};
	kernel.does = cases[_i].does;
	serve(cases[_i].version, "on");
	ck_assert(ask_for_all() == 0);
	stop();
	ck_assert_uint_eq(kernel.probes, 1);
	ck_assert_uint_eq(kernel.keys, cases[_i].keys);
	ck_assert_uint_eq(kernel.records + kernel.controls + kernel.files, 0);
}
END_TEST

START_TEST(asks_no_kernel_when_it_is_off)
{
	kernel.does = ENCRYPTS;
	serve("1.3", "off");
	ck_assert(ask_for_all() == 0);
	stop();
	ck_assert_uint_eq(kernel.probes + kernel.sockets + kernel.keys, 0);
}
END_TEST

/* The kernel keeps its key (docs/tls.md). */
START_TEST(goes_on_when_the_client_asks_for_new_keys)
{
	static const char request[] = "GET /none HTTP/1.1\r\nHost: x\r\n\r\n";
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	char reply[4096];
	int fd;

	kernel.does = ENCRYPTS;
	serve("1.3", "on");
	unsetenv("WIRE_TLS");
	fd = wire_connect(port);
	SSL_set_fd(ssl, fd);
	ck_assert_int_eq(SSL_connect(ssl), 1);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(
		    SSL_key_update(ssl, i % 2 ? SSL_KEY_UPDATE_NOT_REQUESTED : SSL_KEY_UPDATE_REQUESTED), 1);
		ck_assert_int_eq(SSL_write(ssl, request, sizeof request - 1), sizeof request - 1);
		ck_assert_msg(SSL_read(ssl, reply, sizeof reply) > 0, "reply %d", i);
		ck_assert_int_eq(strncmp(reply, "HTTP/1.1 404 ", 13), 0);
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	stop();
}
END_TEST

static void make_files(void)
{
	FILE *file;
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(large_name, sizeof large_name, "%s/large", directory);
	for (size_t i = 0; i < LARGE_BYTES; i++)
		large[i] = (char)(i * i >> 8);
	file = fopen(large_name, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(large, 1, LARGE_BYTES, file), LARGE_BYTES);
	fclose(file);
}

static void remove_files(void)
{
	unlink(large_name);
	rmdir(directory);
}

int main(void)
{
	Suite *suite = suite_create("kernel TLS");
	TCase *tests = tcase_create("kernel TLS");

	tcase_add_unchecked_fixture(tests, make_files, remove_files);
	tcase_add_test(tests, gives_the_kernel_what_it_can_encrypt);
	tcase_add_test(tests, keeps_a_ticket_that_the_socket_does_not_take);
	tcase_add_loop_test(tests, encrypts_itself_where_the_kernel_refuses, 0, 8);
	tcase_add_test(tests, asks_no_kernel_when_it_is_off);
	tcase_add_test(tests, goes_on_when_the_client_asks_for_new_keys);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
