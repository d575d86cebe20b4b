/* SPDX-License-Identifier: MIT */
/*
 * A connection, and what the connections of a worker share. Private to net/ and http1/; layers above use connection.h.
 */
#ifndef PIPIT_NET_H
#define PIPIT_NET_H

#include "base/shared_fd.h"
#include "http/guard.h"
#include "metrics/counters.h"
#include "net/connection.h"
#include "net/handler_table.h"
#include "net/limits.h"
#include "pipit.h"
#include "proxy/trusted_proxies.h"
#include "tls/tls_session.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>

/*
 * What a connection waits for between turns of the loop. A request that arrives whole and is answered at once leaves it IDLE.
 *
 *     NEW ─► PROXY ─► IDLE                                              at an address with proxy-protocol
 *     NEW ─► IDLE ─► HEAD ─► BODY ─► HANDLER ─► SENDING ─► IDLE …       a request that waits at every stage
 *                                    OPEN ◄───► SENDING                 see open_reply.h
 *            IDLE … SENDING ─► LINGER ─► DEAD                           a last reply, or a refusal
 */
enum pipit_connection_state {
	PIPIT_CONNECTION_NEW,     /* end of the turn, to be adopted */
	PIPIT_CONNECTION_PROXY,   /* header of the proxy */
	PIPIT_CONNECTION_IDLE,    /* first byte of a request */
	PIPIT_CONNECTION_HEAD,    /* rest of a head */
	PIPIT_CONNECTION_BODY,    /* rest of a body */
	PIPIT_CONNECTION_HANDLER, /* its handler (handler_queue.h), or a deferred reply */
	PIPIT_CONNECTION_OPEN,    /* more of a reply that is left open */
	PIPIT_CONNECTION_SENDING, /* socket */
	PIPIT_CONNECTION_LINGER,  /* EOF; late bytes are discarded */
	PIPIT_CONNECTION_DEAD,    /* end of the turn, to be freed */
	PIPIT_CONNECTION_STATES
};

/* How a connection ends. Only pipit_connection_end() raises it. */
enum pipit_connection_end {
	PIPIT_STAY,
	PIPIT_CLOSE,        /* after this reply */
	PIPIT_CLOSE_LINGER, /* the same; bytes of the client may be under way */
	PIPIT_ABORT         /* at once: the socket failed, or the reply cannot be completed */
};

/* The limits that count a connection. */
enum pipit_connection_slot { PIPIT_NO_SLOT, PIPIT_SLOT_GLOBAL, PIPIT_SLOT_GLOBAL_AND_ADDRESS };

enum pipit_body_state {
	PIPIT_BODY_NONE,
	PIPIT_BODY_UNREAD,
	PIPIT_BODY_READING, /* is being collected */
	PIPIT_BODY_QUEUED,  /* whole, see handler_queue.h */
	PIPIT_BODY_READ
};

enum pipit_lane { PIPIT_LANE_NATIVE, PIPIT_LANE_EVHTTP };

enum pipit_reply_state {
	PIPIT_REPLY_NONE,   /* or in part */
	PIPIT_REPLY_WHOLE,  /* given to output.c */
	PIPIT_REPLY_COUNTED /* the same, and the request is counted */
};

struct evbuffer;
struct pipit_acceptor;
struct pipit_evhttp_lane;
struct pipit_evhttp_link;
struct pipit_open_reply;
struct pipit_parts;

/* A request and its reply; zero between requests. Here and below, NULL and 0 mean none. */
struct pipit_exchange {
	/* Up to `body` at most 80 bytes: for more, compilers use "rep stos", which costs 100 instructions. */
	void *request;                       /* the layer above's; NULL: there is no request */
	const struct pipit_guard_head *head; /* in the worker's buffers, or retained */
	uint64_t started_ns;                 /* first byte, CLOCK_MONOTONIC */
	struct pipit_open_reply *open_reply;
	uint64_t given; /* bytes of the body given to output.c; once aborted, those sent */
	int status;
	uint8_t minor; /* of the HTTP version */
	bool is_head;
	bool keep_alive;    /* the request asks for it, and the reply does not say close */
	bool client_closed; /* and the handler table was told */
	bool is_resumed;    /* the filter that deferred the request has let it pass */
	/* 8 bits: 8 bytes more put a connection into malloc()'s next size class. */
	enum pipit_lane lane : 8;
	enum pipit_body_state body_state : 8;
	enum pipit_reply_state reply : 8;

	/* Zeroed by pipit_input_drop_body(): few requests have any. */
	char *body; /* collected, owned */
	size_t body_length, body_capacity;
	size_t retained_bytes; /* of the head's copy */
	size_t handed_bytes;   /* of memory that the request or evhttp has taken */

	/* Set for each request. */
	uint64_t body_limit;
	uint64_t body_bytes; /* of the whole body, once known */
	struct pipit_guard_chunked chunked;
};

struct pipit_connection {
	struct pipit_net *net;
	struct pipit_evhttp_link *evhttp;         /* own, or borrowed for the current request */
	struct pipit_connection *next, *previous; /* net->all */
	struct pipit_connection *next_waiting;    /* net->waiting */
	union {
		struct pipit_connection *next_queued; /* net->queue */
		struct pipit_connection *next_gone;   /* net->gone */
	};
	struct event io;
	struct pipit_tls_session *tls; /* owned; NULL: plain HTTP */
	int fd;                        /* owned, unless it is evhttp->fd; -1: none */
	short interest;                /* of io: EV_READ, EV_WRITE or 0 */
	bool is_waiting;               /* on net->waiting */
	bool is_admin;                 /* accepted at admin_listen */
	bool is_proxied;               /* begins with a PROXY header */
	/* 8 bits: see struct pipit_exchange. */
	enum pipit_connection_state state : 8;
	enum pipit_connection_end end : 8;
	enum pipit_connection_slot slot : 8;
	uint64_t since_ms;                    /* start of this state */
	uint64_t moved_ms;                    /* last byte, received or sent */
	uint64_t rate_ms;                     /* start of the rate's window, see timeouts.c */
	uint64_t rate_bytes;                  /* in the window */
	uint64_t requests;                    /* with the current one */
	union pipit_client_address peer;      /* of the proxy, until its header has come */
	uint64_t charged[PIPIT_LIMITS_KINDS]; /* bytes, see budget.h */

	struct {
		char *data; /* unused input, owned */
		size_t length, capacity;
		size_t scanned; /* of a partial head, see pipit_guard_head() */
	} in;

	/* For the socket, in this order. */
	struct {
		struct evbuffer *replies; /* of evhttp callbacks, owned */
		char *data;               /* owned */
		size_t length, sent;
		struct pipit_shared_fd *file; /* held */
		uint64_t file_offset, file_left;
		struct pipit_parts *parts; /* not begun, see output.h; owned */
		uint64_t lost;             /* bytes given that are never sent, because end is ABORT */
	} out;

	struct pipit_exchange exchange;
};

/* Of one scan of all connections. */
#define PIPIT_CANDIDATES_MAX 128

struct pipit_candidate {
	struct pipit_connection *connection; /* NULL once freed */
	uint64_t key;                        /* ascending */
};

/* Upcalls of the protocol above. */
struct pipit_protocol {
	/* what: EV_READ or EV_WRITE. */
	void (*ready)(struct pipit_connection *connection, short what);
	/* At the end of a turn, after pipit_connection_wake(). */
	void (*woken)(struct pipit_connection *connection);
	/* After these. */
	void (*turn_ended)(struct pipit_net *net);
	void (*dropped)(struct pipit_connection *connection);
};

struct pipit_net {
	struct event_base *base;
	const struct pipit_config *config;
	struct pipit_guard_limits guard_limits;
	struct pipit_counters *counters;
	struct pipit_limits *limits;
	const struct pipit_protocol *protocol;
	const struct pipit_handler_table *handlers; /* NULL once http1.c frees the net */
	void *context;                              /* of handlers */
	enum pipit_evhttp_mode evhttp_mode;
	struct pipit_evhttp_lane *evhttp; /* freed with the net; NULL in mode NONE */
	struct pipit_acceptor *acceptor;
	const struct pipit_trusted_proxies *trusted_proxies; /* NULL: none */
	struct pipit_tls_context *tls;                       /* of the server; NULL: none of its addresses speaks TLS */
	struct pipit_tls_buffers *tls_buffers;               /* owned */

	bool masks_sigpipe;               /* while it writes: the program may not ignore SIGPIPE */
	bool is_turn_end;                 /* its callback is running */
	struct event *turn_end;           /* made active: runs after all events of this turn */
	struct pipit_connection *waiting; /* to be woken, in order */
	struct pipit_connection **waiting_tail;
	struct pipit_connection *queue, *queue_last; /* of handlers, in order */
	struct pipit_connection *all, *last;         /* adopted, in order */
	size_t count;                                /* connections and links that point here, and 1 for the owner */
	size_t adopted;                              /* not freed yet */
	struct pipit_connection *gone;               /* dead */

	struct pipit_connection *current; /* is being served */
	char *in;                         /* http1.c's receive buffer, owned */
	char *batch;                      /* replies to `current`; config->max_output_bytes, owned */
	size_t batch_length;
	struct evbuffer *replies;     /* of evhttp callbacks to `current`; `batch` is empty then; owned */
	bool has_more_input;          /* behind the current request */
	struct pipit_guard_head head; /* of `current` */

	uint64_t now_ns, now_ms; /* of the last readiness */
	uint64_t swept_ms;       /* of the last look at deadlines */
	uint64_t date_ms;        /* when date_second was set */
	time_t date_second;
	char date[30];
	bool draining;
	uint64_t drain_ms; /* when draining began */

	uint64_t released_bytes, trimmed_ms; /* since, and time of, pipit_budget_trim() */

	struct pipit_candidate candidates[PIPIT_CANDIDATES_MAX]; /* of the last scan */
	size_t candidate_at, candidate_count;
	uint64_t scanned_ms;          /* time of that scan */
	bool with_unread;             /* the scan included connections with unread bytes */
	uint64_t no_scan_until_ms[2]; /* after a scan that found nothing to evict; [1]: nothing that lingers */
};

/* --- a connection's life -------------------------------------------------------------------------------------------- */

/* NULL when memory is short. */
struct pipit_connection *pipit_connection_new(struct pipit_net *net);

/* Not while it has a link. */
void pipit_connection_free(struct pipit_connection *connection);

/* From NEW to IDLE, with its descriptor and its slot. */
void pipit_connection_adopt(struct pipit_connection *connection);

/* The only function that sets the state. Moves the gauges and starts the clocks. */
void pipit_connection_set_state(struct pipit_connection *connection, enum pipit_connection_state state);

/* For reading or writing; 0: for neither. */
void pipit_connection_watch(struct pipit_connection *connection, short interest);

/* After a missed event: libevent does not tell when epoll_ctl() fails. */
void pipit_connection_watch_again(struct pipit_connection *connection);

/* Call protocol->woken after the events of this turn. */
void pipit_connection_wake(struct pipit_connection *connection);

/* Close now; freed at the end of the turn. */
void pipit_connection_drop(struct pipit_connection *connection);

static inline bool pipit_connection_is_dead(const struct pipit_connection *connection)
{
	return connection->state == PIPIT_CONNECTION_DEAD;
}

static inline void pipit_connection_end(struct pipit_connection *connection, enum pipit_connection_end end)
{
	if (connection->end < end)
		connection->end = end;
}

/* Another request may follow. */
static inline bool pipit_connection_may_stay(const struct pipit_connection *connection)
{
	const struct pipit_net *net = connection->net;
	const struct pipit_exchange *exchange = &connection->exchange;
	uint64_t limit = net->config->max_requests_per_connection;
	return exchange->keep_alive &&
	       (exchange->body_state == PIPIT_BODY_NONE || exchange->body_state == PIPIT_BODY_READ) && !net->draining &&
	       (!limit || connection->requests < limit);
}

/* No byte of a next request is here or in the socket. */
bool pipit_connection_is_quiet(const struct pipit_connection *connection);

/* On average in the current window, after the grace. */
bool pipit_connection_is_too_slow(const struct pipit_connection *connection, uint64_t now_ms, uint64_t grace_ms);

struct pipit_slice pipit_connection_first_line(const char *bytes, size_t length);

/* --- what they share ------------------------------------------------------------------------------------------------ */

/* The arguments outlive the net. NULL when memory is short. */
struct pipit_net *pipit_net_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_protocol *protocol,
    const struct pipit_handler_table *handlers, void *context);

/* Connections and links may still point to the net: the last one frees it. */
void pipit_net_free(struct pipit_net *net);

void pipit_net_release(struct pipit_net *net);

void pipit_net_free_gone(struct pipit_net *net);

/* The protocol's turn_ended is called at the end of this turn or, when that is under way, of the next one. */
void pipit_connection_plan_turn_end(struct pipit_net *net);

/* Sets now_ns and now_ms. */
void pipit_net_read_clock(struct pipit_net *net);

#endif
