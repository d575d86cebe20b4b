/* SPDX-License-Identifier: MIT */
/* See tls_wire.h. */
#include "tls_wire.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many bytes of a client go one by one. */
#define DRIBBLED_BYTES 512
#define PIECE_BYTES 16384

struct carrier {
	int plain, tcp;
	SSL *ssl;
	size_t dribbled;
	struct {
		char data[PIECE_BYTES];
		size_t length, at;
	} up, down; /* to and from the daemon */
	bool is_plain_over, is_tls_over;
};

bool tls_wire_is_on(void)
{
	return getenv("WIRE_TLS") != NULL;
}

/* --- one connection --------------------------------------------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static SSL_CTX *client;
static SSL_SESSION *session; /* of an earlier connection: most resume it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int keep_session(SSL *ssl, SSL_SESSION *fresh)
{
	(void)ssl;
	pthread_mutex_lock(&lock);
	SSL_SESSION_free(session);
	session = fresh;
	pthread_mutex_unlock(&lock);
	return 1;
}

static void make_client(void)
{
	/* Threads run while the process ends. */
	OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
	client = SSL_CTX_new(TLS_client_method());
	if (!client)
		abort();
	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client, keep_session);
	SSL_CTX_set_mode(client, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (strcmp(getenv("WIRE_TLS"), "1.2") == 0)
		SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
}

/* False: nothing more comes from the test. */
static bool fill_up(struct carrier *carrier)
{
	size_t size = carrier->dribbled < DRIBBLED_BYTES ? 1 : PIECE_BYTES;
	ssize_t length;

	if (carrier->up.length || carrier->is_plain_over)
		return !carrier->is_plain_over;
	length = recv(carrier->plain, carrier->up.data, size, MSG_DONTWAIT);
	if (length > 0) {
		carrier->up.length = (size_t)length;
		carrier->dribbled += (size_t)length;
	}
	return length > 0 || (length < 0 && errno == EAGAIN);
}

/* False: the connection is over. */
static bool may_go_on(struct carrier *carrier, int result)
{
	int error = SSL_get_error(carrier->ssl, result);
	ERR_clear_error();
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void send_up(struct carrier *carrier)
{
	int written;

	if (!fill_up(carrier) && !carrier->is_plain_over) {
		carrier->is_plain_over = true;
		SSL_shutdown(carrier->ssl);
		shutdown(carrier->tcp, SHUT_WR);
	}
	if (!carrier->up.length)
		return;
	written = SSL_write(carrier->ssl, carrier->up.data, (int)carrier->up.length);
	if (written > 0) {
		memmove(carrier->up.data, carrier->up.data + written, carrier->up.length - (size_t)written);
		carrier->up.length -= (size_t)written;
	} else if (!may_go_on(carrier, written)) {
		carrier->up.length = 0;
	}
}

static void read_down(struct carrier *carrier)
{
	ssize_t sent;
	int length;

	if (!carrier->down.length && !carrier->is_tls_over) {
		length = SSL_read(carrier->ssl, carrier->down.data, PIECE_BYTES);
		if (length > 0)
			carrier->down.length = (size_t)length;
		else if (!may_go_on(carrier, length))
			carrier->is_tls_over = true;
	}
	if (carrier->down.length > carrier->down.at) {
		sent = send(carrier->plain, carrier->down.data + carrier->down.at,
		    carrier->down.length - carrier->down.at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0)
			carrier->down.at += (size_t)sent;
		else if (errno != EAGAIN)
			carrier->down.at = carrier->down.length, carrier->is_tls_over = true;
	}
	if (carrier->down.at == carrier->down.length)
		carrier->down.at = carrier->down.length = 0;
}

static void wait_for_either(const struct carrier *carrier)
{
	struct pollfd fds[2] = { { .fd = carrier->plain }, { .fd = carrier->tcp } };

	if (!carrier->up.length && !carrier->is_plain_over)
		fds[0].events |= POLLIN;
	if (carrier->down.length)
		fds[0].events |= POLLOUT;
	if (carrier->up.length || !SSL_is_init_finished(carrier->ssl))
		fds[1].events |= SSL_want_write(carrier->ssl) || SSL_is_init_finished(carrier->ssl) ? POLLOUT : 0;
	if (!carrier->down.length && !carrier->is_tls_over)
		fds[1].events |= POLLIN;
	if (!fds[0].events)
		fds[0].fd = -1;
	if (!fds[1].events)
		fds[1].fd = -1;
	poll(fds, 2, -1);
}

/* What the daemon has sent before its end is read before that. */
static void carry(struct carrier *carrier)
{
	char byte;

	while (!carrier->is_tls_over || carrier->down.length) {
		if (SSL_pending(carrier->ssl) == 0 || carrier->down.length)
			wait_for_either(carrier);
		if (!SSL_is_init_finished(carrier->ssl)) {
			int result = SSL_connect(carrier->ssl);
			if (result != 1 && !may_go_on(carrier, result))
				return;
			continue;
		}
		send_up(carrier);
		read_down(carrier);
	}
	/* As the daemon does: a reset must not destroy what the test has not read. */
	shutdown(carrier->plain, SHUT_WR);
	while (!carrier->is_plain_over && recv(carrier->plain, &byte, 1, 0) > 0)
		continue;
}

static void *run(void *argument)
{
	struct carrier *carrier = argument;
	struct linger none = { 1, 0 };

	carry(carrier);
	/* Thousands of connections would leave as many ports waiting. */
	setsockopt(carrier->tcp, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(carrier->tcp);
	close(carrier->plain);
	SSL_free(carrier->ssl);
	free(carrier);
	return NULL;
}

static void start(struct carrier *carrier)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ck_assert_int_eq(pthread_create(&thread, &attributes, run, carrier), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
}

int tls_wire_wrap(int fd)
{
	struct carrier *carrier = calloc(1, sizeof *carrier);
	struct timeval patience;
	socklen_t length = sizeof patience;
	int ends[2], on = 1;

	pthread_once(&once, make_client);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, &length);
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	carrier->plain = ends[1];
	carrier->tcp = fd;
	carrier->ssl = SSL_new(client);
	ck_assert_ptr_nonnull(carrier->ssl);
	SSL_set_fd(carrier->ssl, fd);
	SSL_set_connect_state(carrier->ssl);
	pthread_mutex_lock(&lock);
	if (session)
		SSL_set_session(carrier->ssl, session);
	pthread_mutex_unlock(&lock);
	start(carrier);
	return ends[0];
}

/* --- the certificate -------------------------------------------------------------------------------------------------- */

static struct tls_wire_files files;

static void remove_files(void)
{
	unlink(files.certificate);
	unlink(files.key);
	rmdir(files.directory);
}

const struct tls_wire_files *tls_wire_files(const char *daemon)
{
	int status;
	pid_t pid;

	if (files.certificate[0])
		return &files;
	strcpy(files.directory, "/tmp/pipit-test-tls-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(files.directory));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int nowhere = open("/dev/null", O_WRONLY);
		clearenv();
		dup2(nowhere, STDOUT_FILENO);
		execl(daemon, daemon, "--make-test-certificate", files.directory, (char *)NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	snprintf(files.certificate, sizeof files.certificate, "%s/certificate.pem", files.directory);
	snprintf(files.key, sizeof files.key, "%s/key.pem", files.directory);
	atexit(remove_files);
	return &files;
}
