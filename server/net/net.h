/* SPDX-License-Identifier: MIT */
/*
 * The structs of the connection layer: a connection, and what the connections of a worker share. Private to net/ and http1/;
 * layers above use connection.h. The functions declared here are connection.c's.
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
 * What a connection waits for between two turns of the loop. A request that arrives whole and is answered at once leaves it IDLE.
 * Changed by pipit_connection_set_state() only.
 *
 *     NEW ─► IDLE ─► HEAD ─► BODY ─► HANDLER ─► SENDING ─► IDLE …       a request that waits at every stage
 *                                    OPEN ◄───► SENDING                 its reply is left open, see open_reply.h
 *            IDLE … SENDING ─► LINGER ─► DEAD                           a last reply, or a refusal
 */
enum pipit_connection_state {
	PIPIT_CONNECTION_NEW,     /* accepted: to be adopted at the end of the turn */
	PIPIT_CONNECTION_IDLE,    /* for the first byte of a request */
	PIPIT_CONNECTION_HEAD,    /* for the rest of a head */
	PIPIT_CONNECTION_BODY,    /* for the rest of a content */
	PIPIT_CONNECTION_HANDLER, /* for the reply, which the handler has deferred */
	PIPIT_CONNECTION_OPEN,    /* for more of a reply that is left open; the socket has taken what there is of it */
	PIPIT_CONNECTION_SENDING, /* for the socket, to take more of the reply */
	PIPIT_CONNECTION_LINGER,  /* for EOF; late bytes are read and discarded */
	PIPIT_CONNECTION_DEAD,    /* closed: freed at the end of the turn */
	PIPIT_CONNECTION_STATES
};

/* How a connection is going to end, as far as is known. Only ever raised. */
enum pipit_connection_end {
	PIPIT_STAY,
	PIPIT_CLOSE,        /* after this reply; no further request is read */
	PIPIT_CLOSE_LINGER, /* the same, and bytes of the client may still be under way */
	PIPIT_ABORT         /* at once: the socket failed, or the reply cannot be completed */
};

/* Where a connection is counted, see limits.h. */
enum pipit_connection_slot { PIPIT_NO_SLOT, PIPIT_SLOT_GLOBAL, PIPIT_SLOT_GLOBAL_AND_ADDRESS };

/* The content of a request. */
enum pipit_body_state {
	PIPIT_BODY_NONE,
	PIPIT_BODY_UNREAD,  /* is, or will be, left on the wire */
	PIPIT_BODY_READING, /* is being collected */
	PIPIT_BODY_READ
};

/* Who replies. */
enum pipit_lane { PIPIT_LANE_NATIVE, PIPIT_LANE_EVHTTP };

enum pipit_reply_state {
	PIPIT_REPLY_NONE,   /* not yet, or not to the end */
	PIPIT_REPLY_WHOLE,  /* given to output.c; finished once the socket has taken it */
	PIPIT_REPLY_COUNTED /* the same, and counted */
};

struct evbuffer;
struct pipit_acceptor;
struct pipit_evhttp_lane;
struct pipit_evhttp_link;
struct pipit_open_reply;
struct pipit_parts;

/* A request and its reply; zero between requests. */
struct pipit_exchange {
	/* Not more than 80 bytes: for more, compilers use "rep stos", which takes as long as 100 instructions. */
	void *request;                       /* of the layer above; NULL: none has begun */
	const struct pipit_guard_head *head; /* until the content is complete */
	uint64_t started_ns;                 /* first byte received, CLOCK_MONOTONIC; 0: none */
	struct pipit_open_reply *open_reply; /* the reply is left open, see open_reply.h; NULL: it is not */
	uint64_t given; /* content bytes of the reply, given to output.c; once lost, those that were sent */
	int status;
	uint8_t minor; /* of the request's version */
	bool is_head;
	bool keep_alive;  /* the request asks for it, and the reply does not say otherwise */
	bool client_gone; /* the handler has been told that the client closed its side */
	/* In bytes: a larger connection is in malloc()'s next class of sizes. */
	enum pipit_lane lane : 8;
	enum pipit_body_state body_state : 8;
	enum pipit_reply_state reply : 8;

	/* Zeroed by pipit_input_drop_content(): few requests have any. */
	char *body; /* content collected so far, owned; NULL when none */
	size_t body_length, body_capacity;
	size_t retained_bytes; /* of a head that was retained */
	size_t handed_bytes;   /* of content that the request or evhttp has instead of this struct */

	/* Set when a request begins. */
	uint64_t body_limit; /* 0: none */
	uint64_t body_bytes; /* length of the whole content, once known */
	struct pipit_guard_chunked chunked;
};

struct pipit_connection {
	struct pipit_net *net;
	struct pipit_evhttp_link *evhttp;         /* its own, or borrowed for the current request; NULL: none */
	struct pipit_connection *next, *previous; /* on net->all */
	struct pipit_connection *next_waiting;    /* on net->waiting */
	struct pipit_connection *next_gone;       /* on net->gone */
	struct event io;                          /* for `interest` */
	int fd;                                   /* owned, unless `evhttp` has it; -1: none */
	short interest;                           /* EV_READ, EV_WRITE or 0: what io is added for */
	bool is_waiting;                          /* on net->waiting */
	enum pipit_connection_state state;
	enum pipit_connection_end end;
	enum pipit_connection_slot slot;
	uint32_t linger_left; /* bytes still to be read and discarded */
	uint64_t since_ms;    /* in this state */
	uint64_t moved_ms;    /* when a byte last moved in the state's direction */
	uint64_t rate_ms;     /* when the rate was last measured anew, see timeouts.c */
	uint64_t rate_bytes;  /* bytes moved since */
	uint64_t requests;    /* that have begun on this connection, the current one included */
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer;
	uint64_t charged[PIPIT_LIMITS_KINDS]; /* to the memory limit, see budget.h */

	/* Received and not yet used. */
	struct {
		char *data; /* owned; NULL when none */
		size_t length, capacity;
		size_t scanned; /* of a partial head, see pipit_guard_head() */
	} in;

	/* Not yet taken by the socket, in this order. */
	struct {
		struct evbuffer *replies; /* of evhttp callbacks, owned; NULL when none */
		char *data;               /* owned; NULL when none */
		size_t length, sent;
		struct pipit_shared_fd *file; /* held; NULL when none */
		uint64_t file_offset, file_left;
		struct pipit_parts *parts; /* owned: those that have not begun, see output.h; NULL when none */
		uint64_t lost;             /* bytes that were given and will never be sent, because end is ABORT */
	} out;

	struct pipit_exchange exchange;
};

/* A scan goes through all connections, so each finds several. */
#define PIPIT_CANDIDATES_MAX 128

/* For eviction, see eviction.c. */
struct pipit_candidate {
	struct pipit_connection *connection; /* NULL when it has closed meanwhile */
	uint64_t key;                        /* smallest first */
};

/* What the protocol above does with a connection: http1.c's upcalls. */
struct pipit_protocol {
	/* The socket is readable or writable (EV_READ, EV_WRITE), as the connection's `interest` says. */
	void (*ready)(struct pipit_connection *connection, short what);
	/* At the end of a turn, after pipit_connection_wake(). */
	void (*woken)(struct pipit_connection *connection);
	/* The connection is dead: its request is over, and evhttp is to let it go. */
	void (*dropped)(struct pipit_connection *connection);
};

struct pipit_net {
	struct event_base *base;
	const struct pipit_config *config;
	struct pipit_guard_limits guard_limits;
	struct pipit_counters *counters;
	struct pipit_limits *limits;
	const struct pipit_protocol *protocol;
	const struct pipit_handler_table *hooks; /* NULL once orphaned */
	void *context;                           /* of hooks */
	enum pipit_evhttp_mode evhttp_mode;
	struct pipit_evhttp_lane *evhttp; /* freed with this struct; NULL in mode NONE */
	struct pipit_acceptor *acceptor;

	bool is_turn_end;                 /* its callback is running */
	struct event *turn_end;           /* active when `waiting` is not empty: runs after all events of this turn */
	struct pipit_connection *waiting; /* to adopt, to resume, to write for; in order */
	struct pipit_connection **waiting_tail;
	struct pipit_connection *all, *last; /* in the order in which they came */
	size_t count;                        /* connections and links that point here; one more for its owner */
	size_t adopted;                      /* on `all` and not yet freed */
	struct pipit_connection *gone;       /* closed: freed at the end of this turn */

	struct pipit_connection *current; /* whose input is being served */
	char *in;                         /* http1.c's, for what is received; owned */
	char *batch;                      /* config->max_output_bytes, replies of `current` */
	size_t batch_length;
	struct evbuffer
	    *replies; /* of evhttp callbacks to `current`, whole, not sent yet; `batch` is empty then; NULL: none yet */
	bool has_more_input;          /* bytes of a next request lie behind the current one */
	struct pipit_guard_head head; /* of the request that is being served */

	uint64_t now_ns, now_ms; /* of the last readiness */
	uint64_t date_ms;        /* when the date was looked at */
	time_t date_second;
	char date[30];
	bool draining;
	uint64_t drain_ms; /* when draining began */

	struct pipit_candidate candidates[PIPIT_CANDIDATES_MAX]; /* found by the last scan */
	size_t candidate_at, candidate_count;
	bool is_last_resort; /* they may be evicted although they have just sent something */
	uint64_t
	    barren_until_ms[2]; /* a scan has found no candidate, or [1] none that is answered: no other until then */
};

/* --- a connection's life -------------------------------------------------------------------------------------------- */

/* NULL when memory is short. It has no descriptor yet and is on no list. */
struct pipit_connection *pipit_connection_new(struct pipit_net *net);

/* evhttp holds it no longer. */
void pipit_connection_free(struct pipit_connection *connection);

/* It has its descriptor and its slot: from NEW to IDLE. */
void pipit_connection_adopt(struct pipit_connection *connection);

/* Moves the gauges and starts the clocks. */
void pipit_connection_set_state(struct pipit_connection *connection, enum pipit_connection_state state);

/* One event per connection: it waits to read or to write, never for both. 0: for neither. */
void pipit_connection_watch(struct pipit_connection *connection, short interest);

/* A request lies in the socket and no event told of it: libevent does not say when the kernel refused to watch. */
void pipit_connection_listen_again(struct pipit_connection *connection);

/* Have protocol->woken called, after the events of this turn. */
void pipit_connection_wake(struct pipit_connection *connection);

/* Close at once. Callers may still look at it: its memory goes at the end of the turn. */
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

/* Whether another request may follow on it, as far as is known now. */
static inline bool pipit_connection_may_stay(const struct pipit_connection *connection)
{
	const struct pipit_net *net = connection->net;
	const struct pipit_exchange *exchange = &connection->exchange;
	uint64_t limit = net->config->max_requests_per_connection;
	return exchange->keep_alive &&
	       (exchange->body_state == PIPIT_BODY_NONE || exchange->body_state == PIPIT_BODY_READ) && !net->draining &&
	       (!limit || connection->requests < limit);
}

/* Nothing of a next request lies here or in the socket: closing now loses none. */
bool pipit_connection_is_quiet(const struct pipit_connection *connection);

/* Its content or reply has moved slower than the minimum rate, on average since that was last measured anew; never true within
 * the grace. */
bool pipit_connection_is_too_slow(const struct pipit_connection *connection, uint64_t now_ms, uint64_t grace_ms);

/* The first line of a head, for the log. */
struct pipit_slice pipit_connection_first_line(const char *bytes, size_t length);

/* --- what they share ------------------------------------------------------------------------------------------------ */

/* Everything that is pointed to is kept and outlives it. NULL when memory is short. */
struct pipit_net *pipit_net_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_protocol *protocol,
    const struct pipit_handler_table *hooks, void *context);

/* Free what it holds, but not what connections and links point to: that goes with the last of them, by pipit_net_release(). */
void pipit_net_free(struct pipit_net *net);

/* Something that pointed to it has gone. */
void pipit_net_release(struct pipit_net *net);

/* Free the connections that have closed. */
void pipit_net_free_gone(struct pipit_net *net);

/* Bring now_ns and now_ms up to date. */
void pipit_net_read_clock(struct pipit_net *net);

#endif
