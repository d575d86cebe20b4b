/* SPDX-License-Identifier: MIT */
/*
 * TLS of one connection, on its worker. The session reads and writes the socket, and never blocks. OpenSSL sees whole records only: parts
 * of one are kept here, and so are encrypted bytes that the socket did not take.
 */
#ifndef PIPIT_TLS_SESSION_H
#define PIPIT_TLS_SESSION_H

#include "base/slice.h"
#include "metrics/counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipit_tls_context;
struct pipit_tls_session;

/* Buffers that the sessions of a worker share. */
struct pipit_tls_buffers;
/* masks_sigpipe: while OpenSSL writes to the socket, which it only does when the kernel encrypts. */
struct pipit_tls_buffers *pipit_tls_buffers_new(bool masks_sigpipe);
void pipit_tls_buffers_free(struct pipit_tls_buffers *buffers);

/* context, buffers and the descriptor outlive the session. NULL when memory is short. */
struct pipit_tls_session *pipit_tls_session_new(
    struct pipit_tls_context *context, struct pipit_tls_buffers *buffers, int fd);
void pipit_tls_session_free(struct pipit_tls_session *session);

enum pipit_tls_event {
	PIPIT_TLS_DATA,   /* bytes of the client */
	PIPIT_TLS_WAIT,   /* none yet */
	PIPIT_TLS_END,    /* the client, or the network, has closed */
	PIPIT_TLS_FAILED, /* an alert says why: close behind it */
	PIPIT_TLS_PLAIN /* the first bytes are HTTP without TLS; they are given as they are, and the session has no other use */
};

struct pipit_tls_received {
	enum pipit_tls_event event;
	size_t length;                           /* of DATA and PLAIN */
	size_t received;                         /* bytes of the socket */
	bool has_begun;                          /* this was the first record */
	bool is_new;                             /* this ended the handshake */
	bool is_resumed;                         /* of that handshake */
	enum pipit_counters_tls_failure failure; /* of FAILED and PLAIN, and of END during a handshake */
};

/* One recv(), and all whole records that it ends. size: at least PIPIT_TLS_RECEIVE_SIZE. */
#define PIPIT_TLS_RECEIVE_SIZE (64 * 1024)
struct pipit_tls_received pipit_tls_session_receive(struct pipit_tls_session *session, char *to, size_t size);

/*
 * Encrypt. Returns how many bytes it took: less than `length` when the socket is full, or the session is broken. The last of them may be
 * unsent: pipit_tls_session_flush() follows, in the same call of the event loop.
 */
size_t pipit_tls_session_write(struct pipit_tls_session *session, const char *data, size_t length);

/*
 * The kernel encrypts what is sent (kTLS): the caller sends by itself, in place of pipit_tls_session_write(), while
 * pipit_tls_session_unsent() is 0. Never before the handshake is complete.
 */
bool pipit_tls_session_is_encrypted_by_kernel(const struct pipit_tls_session *session);

/* Send what is encrypted. more: MSG_MORE or 0. */
void pipit_tls_session_flush(struct pipit_tls_session *session, int more);

/* Bytes that the socket has taken since the last call. */
size_t pipit_tls_session_take_sent(struct pipit_tls_session *session);

/* Tell the client that nothing follows (close_notify). more: as above. */
void pipit_tls_session_close(struct pipit_tls_session *session, int more);

/* The handshake is complete. */
bool pipit_tls_session_is_established(const struct pipit_tls_session *session);
/* A byte has come. */
bool pipit_tls_session_has_begun(const struct pipit_tls_session *session);
/* The client has told that it sends nothing more. */
bool pipit_tls_session_is_ended(const struct pipit_tls_session *session);
/* Nothing can be sent any more. */
bool pipit_tls_session_is_broken(const struct pipit_tls_session *session);

/* Kept bytes: of a partial record, and of what the socket did not take. */
size_t pipit_tls_session_partial(const struct pipit_tls_session *session);
size_t pipit_tls_session_unsent(const struct pipit_tls_session *session);

/* Unread bytes of the socket are the client's close_notify, and nothing else. */
bool pipit_tls_session_is_closing(const struct pipit_tls_session *session);

/* "TLSv1.3"; NULL before the handshake is complete. Static. */
const char *pipit_tls_session_version(const struct pipit_tls_session *session);

/* Of the client's certificate, as RFC 2253 writes it. NULL: the client has sent none, or memory is short. */
const char *pipit_tls_session_subject(struct pipit_tls_session *session);
/* "ok", or why it is not valid. NULL: the client has sent none. Static. */
const char *pipit_tls_session_verified(struct pipit_tls_session *session);

#endif
