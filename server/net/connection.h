/* SPDX-License-Identifier: MIT */
/* What layers above may ask of a connection and its request. On its worker only. */
#ifndef PIPIT_CONNECTION_H
#define PIPIT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipit_connection;
struct sockaddr;
union pipit_client_address;
struct pipit_net;

/* The layer above's; NULL between requests. */
void pipit_connection_set_request(struct pipit_connection *connection, void *request);
void *pipit_connection_request(const struct pipit_connection *connection);

/* For the head of a reply. */
bool pipit_connection_keeps_alive(const struct pipit_connection *connection);
uint8_t pipit_connection_minor(const struct pipit_connection *connection);
bool pipit_connection_is_head_request(const struct pipit_connection *connection);

/* The collected body, a NUL behind it, now the caller's to free. NULL: the body lies in the input. */
char *pipit_connection_take_body(struct pipit_connection *connection);

/* When the first byte of the request came (CLOCK_MONOTONIC), the time since, and the bytes of its body. */
uint64_t pipit_connection_started_ns(const struct pipit_connection *connection);
uint64_t pipit_connection_elapsed_ns(const struct pipit_connection *connection);
uint64_t pipit_connection_body_bytes(const struct pipit_connection *connection);

/* The reply is in the batch, which ends with pipit_counters_end_batch(). */
bool pipit_connection_is_in_batch(const struct pipit_connection *connection);

/* Of the reply: its status and the bytes of its body; of an aborted one, those that the socket took. */
int pipit_connection_status(const struct pipit_connection *connection);
uint64_t pipit_connection_content_bytes(const struct pipit_connection *connection);

/* The client speaks TLS; its certificate, as tls_session.h has it: NULL: none. */
bool pipit_connection_is_tls(const struct pipit_connection *connection);
const char *pipit_connection_client_subject(const struct pipit_connection *connection);
const char *pipit_connection_client_verified(const struct pipit_connection *connection);

/* Accepted at admin_listen. */
bool pipit_connection_is_admin(const struct pipit_connection *connection);

/* The other end, or the client that a PROXY header has named. It, and its text as pipit_client_address_print() writes it. */
const union pipit_client_address *pipit_connection_address(const struct pipit_connection *connection);
const char *pipit_connection_peer(const struct pipit_connection *connection, char *text, size_t size);

/* The server's address of the connection. False: unknown. */
bool pipit_connection_local(const struct pipit_connection *connection, struct sockaddr *address, size_t size);

struct pipit_net *pipit_connection_net(const struct pipit_connection *connection);

/* The value of the Date header; rendered once a second. */
const char *pipit_net_date(struct pipit_net *net);

/* CLOCK_MONOTONIC, when the events of this turn were read. */
uint64_t pipit_net_now_ns(const struct pipit_net *net);

/* Whose request is being served; NULL: none. */
struct pipit_connection *pipit_net_current(const struct pipit_net *net);

#endif
