/* SPDX-License-Identifier: MIT */
/* See tls_session.h. Read from pipit_tls_session_receive() on. */
#include "tls/tls_session.h"

#include "base/sigpipe.h"
#include "tls/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEADER_BYTES 5
/* Of one record: RFC 5246 §6.2.3, which allows more than RFC 8446 §5.2. */
#define RECORD_MAX_BYTES (HEADER_BYTES + 16384 + 2048)
#define PLAINTEXT_MAX_BYTES 16384
/* Four records for one send(). */
#define OUT_SIZE (4 * (HEADER_BYTES + PLAINTEXT_MAX_BYTES + 256))

/* Record types. */
enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };
/* The first byte of a message of the handshake (RFC 8446 §4); of an alert, it is 1 or 2. */
enum { KEY_UPDATE = 24 };

struct pipit_tls_buffers {
	size_t at, end;    /* of the whole records in `in` that OpenSSL has not read */
	size_t out_length; /* encrypted, of the session that runs; 0 between calls of sessions */
	bool masks_sigpipe;
	char in[PIPIT_TLS_RECEIVE_SIZE];
	char out[OUT_SIZE];
};

struct pipit_tls_session {
	struct pipit_tls_context *context;
	struct pipit_tls_certificates *certificates; /* held with `ssl` */
	struct pipit_tls_buffers *buffers;
	SSL *ssl; /* from the first whole record on */
	/* Of `ssl`: through it, OpenSSL gives the kernel the key, and then records. NULL: the kernel has no TLS. */
	BIO *socket;
	char *subject;
	size_t taken_by_socket; /* see pipit_tls_session_take_sent() */
	struct {
		char *data; /* owned */
		size_t length;
	} partial; /* record */
	struct {
		char *data; /* owned */
		size_t length, sent;
	} out; /* encrypted, before what is in buffers->out */
	int fd;
	bool has_begun, is_established, is_ended, is_broken;
};

/* --- the socket, as OpenSSL sees it ------------------------------------------------------------------------------------ */

static bool would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS;
}

static bool is_encrypted_by_kernel(const struct pipit_tls_session *session)
{
	return session->socket && BIO_get_ktls_send(session->socket);
}

/* One record, of the type that OpenSSL has told the BIO. sendmsg() as OpenSSL calls it may raise SIGPIPE. */
static ssize_t send_record(const struct pipit_tls_session *session, const char *data, size_t length)
{
	struct pipit_sigpipe sigpipe = { .is_masked = false };
	int sent;

	if (session->buffers->masks_sigpipe)
		pipit_sigpipe_mask(&sigpipe);
	sent = BIO_write(session->socket, data, (int)length);
	pipit_sigpipe_unmask(&sigpipe);
	return sent;
}

/* What the socket takes; 0 also on failure. */
static size_t send_bytes(struct pipit_tls_session *session, const char *data, size_t length, int more)
{
	ssize_t sent = is_encrypted_by_kernel(session)
			   ? send_record(session, data, length)
			   : send(session->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT | more);
	if (sent < 0) {
		session->is_broken |= !would_block(errno);
		return 0;
	}
	session->taken_by_socket += (size_t)sent;
	return (size_t)sent;
}

static void drop_out(struct pipit_tls_session *session)
{
	free(session->out.data);
	session->out.data = NULL;
	session->out.length = session->out.sent = 0;
}

/* Behind what is kept. */
static void keep_out(struct pipit_tls_session *session, const char *data, size_t length)
{
	size_t unsent = session->out.length - session->out.sent;
	char *kept = malloc(unsent + length);

	if (!kept) {
		/* Nothing can follow bytes that are lost. */
		session->is_broken = true;
		return;
	}
	if (unsent)
		memcpy(kept, session->out.data + session->out.sent, unsent);
	memcpy(kept + unsent, data, length);
	drop_out(session);
	session->out.data = kept;
	session->out.length = unsent + length;
}

void pipit_tls_session_flush(struct pipit_tls_session *session, int more)
{
	struct pipit_tls_buffers *buffers = session->buffers;
	size_t length = buffers->out_length, sent = 0;

	buffers->out_length = 0;
	if (session->is_broken)
		return;
	if (session->out.data) {
		session->out.sent += send_bytes(session, session->out.data + session->out.sent,
		    session->out.length - session->out.sent, length ? MSG_MORE : more);
		if (session->out.sent == session->out.length)
			drop_out(session);
	}
	if (length && !session->out.data)
		sent = send_bytes(session, buffers->out, length, more);
	if (sent < length && !session->is_broken)
		keep_out(session, buffers->out + sent, length - sent);
}

static struct pipit_tls_session *session_of(BIO *bio)
{
	return BIO_get_data(bio);
}

static int read_records(BIO *bio, char *to, int size)
{
	struct pipit_tls_buffers *buffers = session_of(bio)->buffers;
	size_t left = buffers->end - buffers->at, length = left < (size_t)size ? left : (size_t)size;

	BIO_clear_retry_flags(bio);
	if (length == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(to, buffers->in + buffers->at, length);
	buffers->at += length;
	return (int)length;
}

/* Takes all: only the certificates of a handshake can be longer than the buffer. */
static int write_records(BIO *bio, const char *data, int size)
{
	struct pipit_tls_session *session = session_of(bio);
	struct pipit_tls_buffers *buffers = session->buffers;
	size_t length = (size_t)size;

	BIO_clear_retry_flags(bio);
	/* The answer to a client that asks for new keys. The kernel keeps its own: before Linux 6.14 it can take no other. */
	if (session->is_established && is_encrypted_by_kernel(session) && data[0] == KEY_UPDATE)
		return size;
	/* The BIO knows the type of one record. */
	session->is_broken |= session->out.data && is_encrypted_by_kernel(session);
	if (length > sizeof buffers->out - buffers->out_length)
		pipit_tls_session_flush(session, MSG_MORE);
	if (length > sizeof buffers->out) {
		keep_out(session, data, length);
	} else {
		memcpy(buffers->out + buffers->out_length, data, length);
		buffers->out_length += length;
	}
	return session->is_broken ? -1 : size;
}

/*
 * OpenSSL flushes before it gives the kernel the key, and before each record that the kernel encrypts. The kernel would encrypt what is
 * kept here once more: then the BIO of the socket gets no key, and OpenSSL goes on alone. The BIO that reads has no other behind it.
 */
static long control(BIO *bio, int command, long number, void *pointer)
{
	struct pipit_tls_session *session = session_of(bio);
	BIO *socket = BIO_next(bio);

	if (command == BIO_CTRL_FLUSH) {
		if (socket)
			pipit_tls_session_flush(session, 0);
		return 1;
	}
	if (!socket || (session->out.data && !is_encrypted_by_kernel(session)))
		return 0;
	return BIO_ctrl(socket, command, number, pointer);
}

static BIO_METHOD *method;

static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pipit");
	if (!method)
		return;
	BIO_meth_set_read(method, read_records);
	BIO_meth_set_write(method, write_records);
	BIO_meth_set_ctrl(method, control);
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

struct pipit_tls_buffers *pipit_tls_buffers_new(bool masks_sigpipe)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct pipit_tls_buffers *buffers = malloc(sizeof *buffers);

	pthread_once(&once, make_method);
	if (buffers && method) {
		buffers->at = buffers->end = buffers->out_length = 0;
		buffers->masks_sigpipe = masks_sigpipe;
		return buffers;
	}
	free(buffers);
	return NULL;
}

void pipit_tls_buffers_free(struct pipit_tls_buffers *buffers)
{
	free(buffers);
}

struct pipit_tls_session *pipit_tls_session_new(
    struct pipit_tls_context *context, struct pipit_tls_buffers *buffers, int fd)
{
	struct pipit_tls_session *session = calloc(1, sizeof *session);
	if (!session)
		return NULL;
	session->context = context;
	session->buffers = buffers;
	session->fd = fd;
	return session;
}

void pipit_tls_session_free(struct pipit_tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	pipit_tls_certificates_release(session->certificates);
	free(session->partial.data);
	free(session->out.data);
	free(session->subject);
	free(session);
}

static BIO *new_bio(struct pipit_tls_session *session)
{
	BIO *bio = BIO_new(method);

	if (bio) {
		BIO_set_data(bio, session);
		BIO_set_init(bio, 1);
	}
	return bio;
}

/* The kernel encrypts, if it can, but does not decrypt: records are read here. NULL: memory is short. */
static BIO *new_writing_bio(struct pipit_tls_session *session)
{
	BIO *bio = new_bio(session), *socket = BIO_new_socket(session->fd, BIO_NOCLOSE);

	if (!bio || !socket) {
		BIO_free(bio);
		BIO_free(socket);
		return NULL;
	}
	session->socket = socket;
	SSL_set_options(session->ssl, SSL_OP_ENABLE_KTLS);
	return BIO_push(bio, socket);
}

/* Memory for the handshake is taken when the client has sent a record. */
static bool make_ssl(struct pipit_tls_session *session)
{
	BIO *reading, *writing;

	session->ssl = pipit_tls_context_connect(session->context, &session->certificates);
	if (!session->ssl)
		return false;
	reading = new_bio(session);
	writing = reading && pipit_tls_context_has_kernel(session->context) ? new_writing_bio(session) : reading;
	if (!writing) {
		BIO_free(reading);
		return false;
	}
	SSL_set_bio(session->ssl, reading, writing);
	SSL_set_accept_state(session->ssl);
	return true;
}

/* --- records ----------------------------------------------------------------------------------------------------------- */

static size_t record_bytes(const unsigned char *header)
{
	return HEADER_BYTES + (size_t)(header[3] << 8 | header[4]);
}

static bool is_record(const unsigned char *header)
{
	return header[0] >= CHANGE_CIPHER_SPEC && header[0] <= APPLICATION_DATA && header[1] == 3 &&
	       record_bytes(header) <= RECORD_MAX_BYTES;
}

/* Of whole records. OpenSSL refuses what is none: it gets all of it. */
static size_t measure_records(const char *data, size_t length)
{
	size_t at = 0;
	while (length - at >= HEADER_BYTES) {
		const unsigned char *header = (const unsigned char *)data + at;
		if (!is_record(header))
			return length;
		if (record_bytes(header) > length - at)
			break;
		at += record_bytes(header);
	}
	return at;
}

/* No method of HTTP begins as a record does. */
static bool is_plain_http(char first)
{
	return (first >= 'A' && first <= 'Z') || first == '\r' || first == '\n';
}

/* False: memory is short. */
static bool keep_partial(struct pipit_tls_session *session, const char *data, size_t length)
{
	char *kept = NULL;

	if (length > 0) {
		kept = malloc(length);
		if (!kept)
			return false;
		memcpy(kept, data, length);
	}
	free(session->partial.data);
	session->partial.data = kept;
	session->partial.length = length;
	return true;
}

/* --- receiving --------------------------------------------------------------------------------------------------------- */

static enum pipit_counters_tls_failure describe(unsigned long code)
{
	int reason = ERR_GET_REASON(code);

	if (ERR_GET_LIB(code) != ERR_LIB_SSL)
		return reason == ERR_R_MALLOC_FAILURE ? PIPIT_TLS_FAILURE_MEMORY : PIPIT_TLS_FAILURE_PROTOCOL;
	switch (reason) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_INAPPROPRIATE_FALLBACK:
		return PIPIT_TLS_FAILURE_VERSION;
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SHARED_GROUPS:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
	case SSL_R_NO_APPLICATION_PROTOCOL:
		return PIPIT_TLS_FAILURE_CIPHER;
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return PIPIT_TLS_FAILURE_CERTIFICATE;
	case ERR_R_MALLOC_FAILURE:
		return PIPIT_TLS_FAILURE_MEMORY;
	default:
		return reason >= SSL_AD_REASON_OFFSET ? PIPIT_TLS_FAILURE_ALERT : PIPIT_TLS_FAILURE_PROTOCOL;
	}
}

static void fail(struct pipit_tls_session *session, struct pipit_tls_received *received)
{
	received->event = PIPIT_TLS_FAILED;
	received->failure = describe(ERR_peek_error());
	/* The alert is in the buffer; no other may follow it. */
	pipit_tls_session_flush(session, 0);
	session->is_broken = true;
	ERR_clear_error();
}

/* True: go on. */
static bool shake_hands(struct pipit_tls_session *session, struct pipit_tls_received *received)
{
	int result = SSL_do_handshake(session->ssl);

	if (result == 1) {
		session->is_established = received->is_new = true;
		received->is_resumed = SSL_session_reused(session->ssl);
		return true;
	}
	if (SSL_get_error(session->ssl, result) != SSL_ERROR_WANT_READ)
		fail(session, received);
	return false;
}

/* Each call of SSL_read() gives one record. All fit: a record is longer than its content. */
static void decrypt(struct pipit_tls_session *session, char *to, size_t size, struct pipit_tls_received *received)
{
	const struct pipit_tls_buffers *buffers = session->buffers;

	ERR_clear_error();
	if (!session->is_established && !shake_hands(session, received))
		return;
	while (buffers->at < buffers->end || SSL_pending(session->ssl) > 0) {
		/* SSL_get_error() reads the queue, which a success may leave filled. */
		ERR_clear_error();
		int length = SSL_read(session->ssl, to + received->length, (int)(size - received->length));
		if (length > 0) {
			received->length += (size_t)length;
			continue;
		}
		switch (SSL_get_error(session->ssl, length)) {
		case SSL_ERROR_WANT_READ:
			/* It has read all: SSL_MODE_AUTO_RETRY is OpenSSL's default. */
			return;
		case SSL_ERROR_ZERO_RETURN:
			session->is_ended = true;
			return;
		default:
			fail(session, received);
			return;
		}
	}
}

static void settle_event(const struct pipit_tls_session *session, struct pipit_tls_received *received)
{
	if (received->event == PIPIT_TLS_FAILED)
		return;
	if (received->length > 0)
		received->event = PIPIT_TLS_DATA;
	else if (session->is_ended || session->is_broken)
		received->event = PIPIT_TLS_END;
}

static void lose_memory(struct pipit_tls_session *session, struct pipit_tls_received *received)
{
	session->is_broken = true;
	received->event = PIPIT_TLS_END;
	received->failure = PIPIT_TLS_FAILURE_MEMORY;
}

static void take(
    struct pipit_tls_session *session, size_t length, char *to, size_t size, struct pipit_tls_received *received)
{
	struct pipit_tls_buffers *buffers = session->buffers;
	size_t whole = measure_records(buffers->in, length);

	if (!keep_partial(session, buffers->in + whole, length - whole) ||
	    (whole && !session->ssl && !make_ssl(session))) {
		lose_memory(session, received);
		return;
	}
	if (!whole)
		return;
	buffers->at = 0;
	buffers->end = whole;
	decrypt(session, to, size, received);
	/*
	 * The reply to a request that came with the end of the handshake shares a packet with the ticket. Without a reply, the
	 * kernel sends the ticket after 200 ms.
	 */
	pipit_tls_session_flush(session, received->length > 0 ? MSG_MORE : 0);
	settle_event(session, received);
}

struct pipit_tls_received pipit_tls_session_receive(struct pipit_tls_session *session, char *to, size_t size)
{
	struct pipit_tls_buffers *buffers = session->buffers;
	struct pipit_tls_received received = { .event = PIPIT_TLS_WAIT };
	size_t kept = session->partial.length;
	ssize_t length;

	memcpy(buffers->in, session->partial.data ? session->partial.data : "", kept);
	length = recv(session->fd, buffers->in + kept, sizeof buffers->in - kept, MSG_DONTWAIT);
	if (length < 0 && would_block(errno))
		return received;
	if (length <= 0) {
		received.event = PIPIT_TLS_END;
		if (!session->is_established)
			received.failure = PIPIT_TLS_FAILURE_CLOSED;
		return received;
	}
	received.received = (size_t)length;
	received.has_begun = !session->has_begun;
	if (!session->has_begun && is_plain_http(buffers->in[0])) {
		memcpy(to, buffers->in, (size_t)length);
		received.event = PIPIT_TLS_PLAIN;
		received.failure = PIPIT_TLS_FAILURE_PLAIN;
		received.length = (size_t)length;
		return received;
	}
	session->has_begun = true;
	take(session, kept + (size_t)length, to, size, &received);
	return received;
}

/* --- sending ----------------------------------------------------------------------------------------------------------- */

size_t pipit_tls_session_write(struct pipit_tls_session *session, const char *data, size_t length)
{
	const struct pipit_tls_buffers *buffers = session->buffers;
	size_t taken = 0;

	if (!session->is_established)
		session->is_broken = true;
	while (taken < length && !session->out.data && !session->is_broken) {
		size_t left = length - taken;
		int record;

		if (sizeof buffers->out - buffers->out_length < OUT_SIZE / 4) {
			pipit_tls_session_flush(session, MSG_MORE);
			continue;
		}
		ERR_clear_error();
		record = SSL_write(
		    session->ssl, data + taken, (int)(left < PLAINTEXT_MAX_BYTES ? left : PLAINTEXT_MAX_BYTES));
		if (record > 0) {
			taken += (size_t)record;
			continue;
		}
		session->is_broken = true;
		ERR_clear_error();
	}
	return taken;
}

size_t pipit_tls_session_take_sent(struct pipit_tls_session *session)
{
	size_t sent = session->taken_by_socket;
	session->taken_by_socket = 0;
	return sent;
}

void pipit_tls_session_close(struct pipit_tls_session *session, int more)
{
	if (!session->is_established || session->is_broken || SSL_get_shutdown(session->ssl) & SSL_SENT_SHUTDOWN)
		return;
	ERR_clear_error();
	if (SSL_shutdown(session->ssl) < 0)
		ERR_clear_error();
	/* OpenSSL keeps the buffer of an alert: 16 KiB for each of many connections that end in one turn. */
	SSL_free_buffers(session->ssl);
	pipit_tls_session_flush(session, more);
}

/* --- what others ask ---------------------------------------------------------------------------------------------------- */

bool pipit_tls_session_is_established(const struct pipit_tls_session *session)
{
	return session->is_established;
}

bool pipit_tls_session_has_begun(const struct pipit_tls_session *session)
{
	return session->has_begun;
}

bool pipit_tls_session_is_encrypted_by_kernel(const struct pipit_tls_session *session)
{
	return session->is_established && !session->is_broken && is_encrypted_by_kernel(session);
}

bool pipit_tls_session_is_ended(const struct pipit_tls_session *session)
{
	return session->is_ended;
}

bool pipit_tls_session_is_broken(const struct pipit_tls_session *session)
{
	return session->is_broken;
}

size_t pipit_tls_session_partial(const struct pipit_tls_session *session)
{
	return session->partial.length;
}

size_t pipit_tls_session_unsent(const struct pipit_tls_session *session)
{
	return session->out.length - session->out.sent;
}

/*
 * An alert of TLS 1.2 shows its type. One of TLS 1.3 looks like data, of its length: two bytes, their type, and a tag of 16 bytes, which
 * could also be two bytes of a request. They are no request.
 */
bool pipit_tls_session_is_closing(const struct pipit_tls_session *session)
{
	static const size_t alert_1_3 = 2 + 1 + 16;
	unsigned char bytes[128];
	ssize_t length;

	if (!session->is_established || session->partial.length)
		return false;
	length = recv(session->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	if (length < HEADER_BYTES || record_bytes(bytes) != (size_t)length)
		return false;
	return bytes[0] == ALERT || (bytes[0] == APPLICATION_DATA && SSL_version(session->ssl) == TLS1_3_VERSION &&
					record_bytes(bytes) == HEADER_BYTES + alert_1_3);
}

const char *pipit_tls_session_version(const struct pipit_tls_session *session)
{
	return session->is_established ? SSL_get_version(session->ssl) : NULL;
}

static char *print_subject(const X509 *certificate)
{
	BIO *text = BIO_new(BIO_s_mem());
	char *subject = NULL, *data;
	long length;

	/* UTF-8 as it is; control characters are escaped. */
	if (text && X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0,
			XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
		length = BIO_get_mem_data(text, &data);
		subject = malloc((size_t)length + 1);
		if (subject) {
			memcpy(subject, data, (size_t)length);
			subject[length] = '\0';
		}
	}
	BIO_free(text);
	ERR_clear_error();
	return subject;
}

static const X509 *client_certificate(const struct pipit_tls_session *session)
{
	return session->is_established ? SSL_get0_peer_certificate(session->ssl) : NULL;
}

const char *pipit_tls_session_subject(struct pipit_tls_session *session)
{
	const X509 *certificate = client_certificate(session);
	if (!session->subject && certificate)
		session->subject = print_subject(certificate);
	return session->subject;
}

const char *pipit_tls_session_verified(struct pipit_tls_session *session)
{
	long result;
	if (!client_certificate(session))
		return NULL;
	result = SSL_get_verify_result(session->ssl);
	return result == X509_V_OK ? "ok" : X509_verify_cert_error_string(result);
}
