/* SPDX-License-Identifier: MIT */
/* In place of the other modules of tls/, in a build without TLS: there is no context, so there are no sessions. */
#include "base/log.h"
#include "tls/test_certificate.h"
#include "tls/tls_client.h"
#include "tls/tls_context.h"
#include "tls/tls_session.h"

#include <stdio.h>

struct pipit_tls_context *pipit_tls_context_new(const struct pipit_config *config)
{
	(void)config;
	pipit_log(
	    PIPIT_LOG_ERROR, "this build has no TLS: use http addresses, or build with the CMake option PIPIT_TLS");
	return NULL;
}

void pipit_tls_context_free(struct pipit_tls_context *context)
{
	(void)context;
}

bool pipit_tls_context_reload(struct pipit_tls_context *context)
{
	(void)context;
	return false;
}

bool pipit_tls_context_certificate(struct pipit_tls_context *context, size_t index, char *name, time_t *expires)
{
	(void)context, (void)index, (void)name, (void)expires;
	return false;
}

bool pipit_tls_context_has_kernel(const struct pipit_tls_context *context)
{
	(void)context;
	return false;
}

struct pipit_tls_buffers *pipit_tls_buffers_new(bool masks_sigpipe)
{
	(void)masks_sigpipe;
	return NULL;
}

void pipit_tls_buffers_free(struct pipit_tls_buffers *buffers)
{
	(void)buffers;
}

struct pipit_tls_session *pipit_tls_session_new(
    struct pipit_tls_context *context, struct pipit_tls_buffers *buffers, int fd)
{
	(void)context, (void)buffers, (void)fd;
	return NULL;
}

void pipit_tls_session_free(struct pipit_tls_session *session)
{
	(void)session;
}

struct pipit_tls_received pipit_tls_session_receive(struct pipit_tls_session *session, char *to, size_t size)
{
	(void)session, (void)to, (void)size;
	return (struct pipit_tls_received){ .event = PIPIT_TLS_END };
}

size_t pipit_tls_session_write(struct pipit_tls_session *session, const char *data, size_t length)
{
	(void)session, (void)data, (void)length;
	return 0;
}

bool pipit_tls_session_is_encrypted_by_kernel(const struct pipit_tls_session *session)
{
	(void)session;
	return false;
}

void pipit_tls_session_flush(struct pipit_tls_session *session, int more)
{
	(void)session, (void)more;
}

size_t pipit_tls_session_take_sent(struct pipit_tls_session *session)
{
	(void)session;
	return 0;
}

void pipit_tls_session_close(struct pipit_tls_session *session, int more)
{
	(void)session, (void)more;
}

bool pipit_tls_session_is_established(const struct pipit_tls_session *session)
{
	(void)session;
	return false;
}

bool pipit_tls_session_has_begun(const struct pipit_tls_session *session)
{
	(void)session;
	return false;
}

bool pipit_tls_session_is_ended(const struct pipit_tls_session *session)
{
	(void)session;
	return true;
}

bool pipit_tls_session_is_broken(const struct pipit_tls_session *session)
{
	(void)session;
	return true;
}

size_t pipit_tls_session_partial(const struct pipit_tls_session *session)
{
	(void)session;
	return 0;
}

size_t pipit_tls_session_unsent(const struct pipit_tls_session *session)
{
	(void)session;
	return 0;
}

bool pipit_tls_session_is_closing(const struct pipit_tls_session *session)
{
	(void)session;
	return false;
}

const char *pipit_tls_session_version(const struct pipit_tls_session *session)
{
	(void)session;
	return NULL;
}

const char *pipit_tls_session_subject(struct pipit_tls_session *session)
{
	(void)session;
	return NULL;
}

const char *pipit_tls_session_verified(struct pipit_tls_session *session)
{
	(void)session;
	return NULL;
}

int pipit_tls_client_ask(int fd, const char *request, size_t length, char *reply, size_t size)
{
	(void)fd, (void)request, (void)length, (void)reply, (void)size;
	return -2;
}

int pipit_test_certificate_make(const char *directory, char *error, size_t size)
{
	(void)directory;
	snprintf(error, size, "this build has no TLS: build with the CMake option PIPIT_TLS");
	return -1;
}
