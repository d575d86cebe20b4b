/* SPDX-License-Identifier: MIT */
/*
 * A connection, and what the connections of a worker share (struct pipit_net). Private to net/ and http1/; layers above use
 * connection.h. The functions are connection.c's.
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

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>

/*
 * What a connection waits for between two turns of the loop. A request that arrives whole and is answered at once leaves it IDLE. Set
 * by pipit_connection_set_state() only.
 *
 *     NEW ─► IDLE ─► HEAD ─► BODY ─► HANDLER ─► SENDING ─► IDLE …       a request that waits at every stage
 *                                    OPEN ◄───► SENDING                 a reply that is left open, see open_reply.h
 *            IDLE … SENDING ─► LINGER ─► DEAD                           a last reply, or a refusal
 */
enum pipit_connection_state {
	PIPIT_CONNECTION_NEW,     /* to be adopted at the end of the turn */
	PIPIT_CONNECTION_IDLE,    /* first byte of a request */
	PIPIT_CONNECTION_HEAD,    /* rest of a head */
	PIPIT_CONNECTION_BODY,    /* rest of a content */
	PIPIT_CONNECTION_HANDLER, /* reply of a handler, which has deferred it */
	PIPIT_CONNECTION_OPEN,    /* more of a reply that is left open */
	PIPIT_CONNECTION_SENDING, /* socket, to take more of the reply */
	PIPIT_CONNECTION_LINGER,  /* EOF; late bytes are discarded */
	PIPIT_CONNECTION_DEAD,    /* freed at the end of the turn */
	PIPIT_CONNECTION_STATES
};

/* How a connection ends. Only ever raised. */
enum pipit_connection_end {
	PIPIT_STAY,
	PIPIT_CLOSE,        /* after this reply; no further request is read */
	PIPIT_CLOSE_LINGER, /* the same, and bytes of the client may be under way */
	PIPIT_ABORT         /* at once: the socket failed, or the reply cannot be completed */
};

/* In which limits a connection counts. */
enum pipit_connection_slot { PIPIT_NO_SLOT, PIPIT_SLOT_GLOBAL, PIPIT_SLOT_GLOBAL_AND_ADDRESS };

/* Of a request. */
enum pipit_body_state {
	PIPIT_BODY_NONE,
	PIPIT_BODY_UNREAD,  /* left on the wire, or not begun */
	PIPIT_BODY_READING, /* collected as it arrives */
	PIPIT_BODY_READ
};

enum pipit_lane { PIPIT_LANE_NATIVE, PIPIT_LANE_EVHTTP };

enum pipit_reply_state {
	PIPIT_REPLY_NONE,   /* not yet, or in part */
	PIPIT_REPLY_WHOLE,  /* given to output.c */
	PIPIT_REPLY_COUNTED /* given, and the request counted */
};

struct evbuffer;
struct pipit_acceptor;
struct pipit_evhttp_lane;
struct pipit_evhttp_link;
struct pipit_open_reply;
struct pipit_parts;

/* A request and its reply; zero between requests. */
struct pipit_exchange {
	/* At most 80 bytes: for more, compilers use "rep stos", which costs 100 instructions. */
	void *request;                       /* of the layer above; NULL: no request */
	const struct pipit_guard_head *head; /* until the content is whole */
	uint64_t started_ns;                 /* first byte, CLOCK_MONOTONIC; 0: none */
	struct pipit_open_reply *open_reply; /* NULL: none */
	uint64_t given;                      /* content bytes given to output.c; once the request is lost, those sent */
	int status;
	uint8_t minor; /* of the HTTP version */
	bool is_head;
	bool keep_alive;  /* asked for by the request, and not refused by the reply */
	bool client_gone; /* the handler was told that the client closed its side */
	/* 8 bits: 8 bytes more would put a connection into malloc()'s next size class. */
	enum pipit_lane lane : 8;
	enum pipit_body_state body_state : 8;
	enum pipit_reply_state reply : 8;

	/* Zeroed by pipit_input_drop_content(), because few requests have any. */
	char *body; /* collected content, owned; NULL: none */
	size_t body_length, body_capacity;
	size_t retained_bytes; /* of the head's copy */
	size_t handed_bytes;   /* of content that the request or evhttp has taken */

	/* Set for each request. */
	uint64_t body_limit; /* 0: none */
	uint64_t body_bytes; /* of the whole content, once known */
	struct pipit_guard_chunked chunked;
};

struct pipit_connection {
	struct pipit_net *net;
	struct pipit_evhttp_link *evhttp;         /* its own, or borrowed for the current request; NULL: none */
	struct pipit_connection *next, *previous; /* net->all */
	struct pipit_connection *next_waiting;    /* net->waiting */
	struct pipit_connection *next_gone;       /* net->gone */
	struct event io;
	int fd;          /* owned, unless `evhttp` has it; -1: none */
	short interest;  /* of io: EV_READ, EV_WRITE or 0 */
	bool is_waiting; /* on net->waiting */
	enum pipit_connection_state state;
	enum pipit_connection_end end;
	enum pipit_connection_slot slot;
	uint64_t since_ms;   /* in this state */
	uint64_t moved_ms;   /* last byte in the state's direction */
	uint64_t rate_ms;    /* start of the rate's window, see timeouts.c */
	uint64_t rate_bytes; /* in the window */
	uint64_t requests;   /* the current one included */
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer;
	uint64_t charged[PIPIT_LIMITS_KINDS]; /* to the memory limit, see budget.h */

	/* Unused input. */
	struct {
		char *data; /* owned; NULL: none */
		size_t length, capacity;
		size_t scanned; /* of a partial head, see pipit_guard_head() */
	} in;

	/* Waits for the socket, in this order. */
	struct {
		struct evbuffer *replies; /* of evhttp callbacks, owned; NULL: none */
		char *data;               /* owned; NULL: none */
		size_t length, sent;
		struct pipit_shared_fd *file; /* held; NULL: none */
		uint64_t file_offset, file_left;
		struct pipit_parts *parts; /* not begun, see output.h; owned; NULL: none */
		uint64_t lost;             /* bytes given that will not be sent, because end is ABORT */
	} out;

	struct pipit_exchange exchange;
};

/* Found by one scan of all connections. */
#define PIPIT_CANDIDATES_MAX 128

struct pipit_candidate {
	struct pipit_connection *connection; /* NULL once freed */
	uint64_t key;                        /* ascending */
};

/* Upcalls of the protocol above. */
struct pipit_protocol {
	/* The socket is ready for `interest`. */
	void (*ready)(struct pipit_connection *connection, short what);
	/* At the end of a turn, after pipit_connection_wake(). */
	void (*woken)(struct pipit_connection *connection);
	/* The connection is dead. */
	void (*dropped)(struct pipit_connection *connection);
};

struct pipit_net {
	struct event_base *base;
	const struct pipit_config *config;
	struct pipit_guard_limits guard_limits;
	struct pipit_counters *counters;
	struct pipit_limits *limits;
	const struct pipit_protocol *protocol;
	const struct pipit_handler_table *handlers; /* NULL once http1.c has freed the net */
	void *context;                              /* of handlers */
	enum pipit_evhttp_mode evhttp_mode;
	struct pipit_evhttp_lane *evhttp; /* freed with the net; NULL in mode NONE */
	struct pipit_acceptor *acceptor;

	bool is_turn_end;                 /* its callback is running */
	struct event *turn_end;           /* after all events of this turn; active when there is something for it */
	struct pipit_connection *waiting; /* to be woken, in order */
	struct pipit_connection **waiting_tail;
	struct pipit_connection *all, *last; /* adopted, in order */
	size_t count;                        /* of connections and links that point here, and 1 for the owner */
	size_t adopted;                      /* not freed yet */
	struct pipit_connection *gone;       /* dead; freed at the end of this turn */

	struct pipit_connection *current; /* is being served */
	char *in;                         /* http1.c's receive buffer, owned */
	char *batch;                      /* replies of `current`; config->max_output_bytes, owned */
	size_t batch_length;
	struct evbuffer
	    *replies; /* of evhttp callbacks to `current`, whole; `batch` is empty then; owned; NULL: not allocated */
	bool has_more_input;          /* behind the current request */
	struct pipit_guard_head head; /* of `current` */

	uint64_t now_ns, now_ms; /* of the last readiness */
	uint64_t date_ms;        /* when date_second was set */
	time_t date_second;
	char date[30];
	bool draining;
	uint64_t drain_ms; /* when draining began */

	struct pipit_candidate candidates[PIPIT_CANDIDATES_MAX]; /* of the last scan */
	size_t candidate_at, candidate_count;
	uint64_t scanned_ms; /* time of that scan */
	bool with_unread;             /* the scan included connections with unread bytes */
	uint64_t no_scan_until_ms[2]; /* no scan before: the last found no candidate, [1]: none that lingers */
};

/* --- a connection's life -------------------------------------------------------------------------------------------- */

/* NULL when memory is short. */
struct pipit_connection *pipit_connection_new(struct pipit_net *net);

/* evhttp does not hold it. */
void pipit_connection_free(struct pipit_connection *connection);

/* From NEW to IDLE: its descriptor and its slot are set. */
void pipit_connection_adopt(struct pipit_connection *connection);

/* Moves the gauges and starts the clocks. */
void pipit_connection_set_state(struct pipit_connection *connection, enum pipit_connection_state state);

/* One event per connection, for reading or writing; 0: for neither. */
void pipit_connection_watch(struct pipit_connection *connection, short interest);

/* An event was missed: libevent does not tell when epoll_ctl() fails. */
void pipit_connection_listen_again(struct pipit_connection *connection);

/* Call protocol->woken after the events of this turn. */
void pipit_connection_wake(struct pipit_connection *connection);

/* Close now; its memory is freed at the end of the turn. */
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

/* Another request may follow, as far as is known now. */
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

/* Below the minimum rate on average in the current window; never within the grace. */
bool pipit_connection_is_too_slow(const struct pipit_connection *connection, uint64_t now_ms, uint64_t grace_ms);

/* For the log. */
struct pipit_slice pipit_connection_first_line(const char *bytes, size_t length);

/* --- what they share ------------------------------------------------------------------------------------------------ */

/* Keeps all arguments, which outlive it. NULL when memory is short. */
struct pipit_net *pipit_net_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_protocol *protocol,
    const struct pipit_handler_table *handlers, void *context);

/* Connections and links may still point to the net: the last frees it, by pipit_net_release(). */
void pipit_net_free(struct pipit_net *net);

void pipit_net_release(struct pipit_net *net);

void pipit_net_free_gone(struct pipit_net *net);

/* Sets now_ns and now_ms. */
void pipit_net_read_clock(struct pipit_net *net);

#endif
