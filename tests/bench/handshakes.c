/* SPDX-License-Identifier: MIT */
/*
 * New TLS connections, one after the other: a handshake, one GET, the end. Checks that each handshake is of the kind that is asked for, the
 * certificate, and the status.
 *
 * usage: handshakes PORT CERTIFICATE full|resumed PATH SECONDS MOST
 *
 * Prints the number of connections, how many a second, and the p50 and p99 of their time in microseconds. One connection that is not
 * counted comes first: it brings the ticket.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static SSL_SESSION *ticket; /* the last one of the server */

struct client {
	SSL_CTX *context;
	struct sockaddr_in address;
	bool resumes;
	char request[512];
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int connect_to(const struct sockaddr_in *address)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
		fail("cannot connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void read_reply(SSL *ssl)
{
	char reply[4096];
	size_t length = 0;
	int received = 0;

	/* The server closes. */
	while (length < sizeof reply && (received = SSL_read(ssl, reply + length, (int)(sizeof reply - length))) > 0)
		length += (size_t)received;
	/* Without it the reply may be cut, and OpenSSL resumes no such session. */
	if (length < sizeof reply && SSL_get_error(ssl, received) != SSL_ERROR_ZERO_RETURN)
		fail("the connection ends without close_notify");
	if (length < 12 || memcmp(reply, "HTTP/1.1 200", 12) != 0)
		fail("the reply is not 200");
}

static void ask(const struct client *client, bool must_resume)
{
	SSL *ssl = SSL_new(client->context);
	int fd = connect_to(&client->address);

	if (!ssl || SSL_set_fd(ssl, fd) != 1 || (must_resume && SSL_set_session(ssl, ticket) != 1) ||
	    SSL_connect(ssl) != 1)
		fail("the handshake fails");
	if (SSL_session_reused(ssl) != must_resume)
		fail(must_resume ? "the session is not resumed" : "the handshake is not a full one");
	if (strcmp(SSL_get_cipher(ssl), "TLS_AES_128_GCM_SHA256") != 0)
		fail("not the cipher of tls_client.cnf");
	if (SSL_write(ssl, client->request, (int)strlen(client->request)) <= 0)
		fail("the request cannot be sent");
	read_reply(ssl);
	SSL_SESSION_free(ticket);
	ticket = SSL_get1_session(ssl);
	/* A session whose end is not marked is not resumed. */
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(ssl);
	close(fd);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static void measure(const struct client *client, double seconds, size_t most)
{
	double *took = calloc(most, sizeof *took), begin = now_s(), before = begin;
	size_t count = 0;

	if (!took)
		fail("out of memory");
	while (count < most && (count == 0 || before < begin + seconds)) {
		double after;
		ask(client, client->resumes);
		after = now_s();
		took[count++] = after - before;
		before = after;
	}
	qsort(took, count, sizeof *took, compare);
	printf("%zu %.1f %.1f %.1f\n", count, (double)count / (before - begin), took[count / 2] * 1e6,
	    took[count * 99 / 100] * 1e6);
	free(took);
}

int main(int argc, char **argv)
{
	struct client client = { .address = { .sin_family = AF_INET } };
	size_t most = argc == 7 ? strtoul(argv[6], NULL, 10) : 0;

	if (most == 0)
		fail("usage: handshakes PORT CERTIFICATE full|resumed PATH SECONDS MOST");
	signal(SIGPIPE, SIG_IGN);
	client.address.sin_port = htons((in_port_t)strtoul(argv[1], NULL, 10));
	client.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client.resumes = strcmp(argv[3], "resumed") == 0;
	snprintf(client.request, sizeof client.request,
	    "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", argv[4]);
	client.context = SSL_CTX_new(TLS_client_method());
	if (!client.context || SSL_CTX_load_verify_file(client.context, argv[2]) != 1)
		fail("the certificate cannot be read");
	SSL_CTX_set_verify(client.context, SSL_VERIFY_PEER, NULL);
	/* With a cache, OpenSSL makes the tickets of resumed sessions unusable. */
	SSL_CTX_set_session_cache_mode(client.context, SSL_SESS_CACHE_OFF);
	ask(&client, false);
	if (client.resumes && !SSL_SESSION_is_resumable(ticket))
		fail("the server sends no ticket");
	measure(&client, strtod(argv[5], NULL), most);
	SSL_SESSION_free(ticket);
	SSL_CTX_free(client.context);
	return 0;
}
