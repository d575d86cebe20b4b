/* SPDX-License-Identifier: MIT */
/* See tls_client.h. */
#include "tls/tls_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static int failure(const SSL *ssl, int result)
{
	int error = SSL_get_error(ssl, result), reason = ERR_GET_REASON(ERR_peek_error());

	ERR_clear_error();
	if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED || reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
		return -3;
	if (error == SSL_ERROR_SYSCALL && errno)
		return -1;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		errno = EAGAIN;
		return -1;
	}
	return -2;
}

/* An alert about the certificate comes after the handshake of TLS 1.3. */
static int exchange(SSL *ssl, const char *request, size_t length, char *reply, size_t size)
{
	size_t received = 0;
	int result = SSL_connect(ssl);

	if (result == 1)
		result = SSL_write(ssl, request, (int)length);
	if (result <= 0)
		return failure(ssl, result);
	while (received < size - 1) {
		result = SSL_read(ssl, reply + received, (int)(size - 1 - received));
		if (result <= 0)
			break;
		received += (size_t)result;
	}
	reply[received] = '\0';
	return received ? 0 : failure(ssl, result);
}

int pipit_tls_client_ask(int fd, const char *request, size_t length, char *reply, size_t size)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = context ? SSL_new(context) : NULL;
	int result = -1;

	errno = ENOMEM;
	reply[0] = '\0';
	ERR_clear_error();
	if (ssl && SSL_set_fd(ssl, fd) == 1) {
		errno = 0;
		result = exchange(ssl, request, length, reply, size);
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	return result;
}
