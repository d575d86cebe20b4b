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
#include <sys/types.h>

enum pipit_phase {
	PHASE_IDLE,
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_HANDLING,
	PHASE_STREAMING,
	PHASE_WRITING,
	PHASE_CLOSING,
	PHASE_COUNT
};

struct evbuffer;
struct pipit_acceptor;
struct pipit_evhttp_lane;
struct pipit_evhttp_link;
struct pipit_open_reply;
struct pipit_parts;

struct pipit_connection {
	struct pipit_net *net;
	struct pipit_evhttp_link *link;           /* its own, or borrowed for the current request; NULL: none */
	struct pipit_connection *next, *previous; /* all adopted connections of the connection layer */
	struct pipit_connection *next_waiting;    /* on net->waiting */
	struct pipit_connection *next_gone;       /* on net->gone */
	struct event io;                          /* for `interest`; assigned once fd >= 0 */
	int fd;                                   /* -1 until adopted */
	int accepted;                             /* the same, ours to close; -1: not yet, or the link's */
	short interest;                           /* EV_READ, EV_WRITE or 0: what io is added for */
	enum pipit_phase phase;
	uint64_t phase_ms;     /* when the phase began */
	uint64_t moved_ms;     /* when a byte last moved in the phase's direction */
	uint64_t window_ms;    /* when the rate was last measured anew, see timeouts.c */
	uint64_t window_bytes; /* bytes moved since */
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer;

	/* input */
	char *pending; /* bytes received and not yet used, owned; NULL when none */
	size_t pending_length, pending_capacity;
	size_t checked;                       /* of a partial head, see pipit_guard_head() */
	uint64_t charged[PIPIT_LIMITS_KINDS]; /* to the memory limit, see budget.h */

	/* the current request */
	void *request;                       /* of the layer above */
	const struct pipit_guard_head *head; /* until its content is complete */
	uint64_t requests;                   /* that have begun on this connection, this one included */
	uint64_t started_ns;
	size_t retained_bytes; /* of a head that was retained */
	size_t handed_bytes;   /* of content that the request or evhttp has instead of us */
	char *body;            /* content collected so far, owned; NULL when none */
	size_t body_length, body_capacity;
	uint64_t body_limit; /* 0: none */
	uint64_t body_bytes; /* length of the whole content, once known */
	struct pipit_guard_chunked chunked;

	/* the reply */
	int status;
	uint64_t content_bytes;
	char *out; /* bytes that the socket did not take, owned; NULL when none */
	size_t out_length, out_sent;
	struct pipit_shared_fd *file; /* held; NULL when none */
	uint64_t file_offset, file_left;
	struct pipit_parts *parts; /* owned: what of a reply in parts has not begun, see output.h; NULL when none */
	struct evbuffer *rest;     /* of replies of evhttp callbacks, in front of `out`; NULL when none */
	struct pipit_open_reply *open_reply; /* the reply is left open, see open_reply.h; NULL: it is not */

	uint8_t minor; /* of the current request's version */
	bool is_head;
	bool is_evhttp;       /* an evhttp callback's */
	bool wants_html;      /* set before a refusal */
	bool keep_alive;      /* what the request asks for */
	bool body_unread;     /* content of this request is, or will be, left on the wire */
	bool collecting;      /* content is arriving */
	bool deferred;        /* the handler has not replied yet */
	bool answered;        /* a reply has been given */
	bool closing;         /* no further request is read */
	bool lingers;         /* bytes of the client may still be under way when we close */
	bool broken;          /* the socket failed */
	bool is_waiting;      /* on net->waiting */
	bool is_counted;      /* among the open connections */
	bool is_let_in;       /* counted for its client's address */
	bool is_closed;       /* its memory lives only until the end of this loop turn */
	bool was_abandoned;   /* the hook has been told that the client left */
	uint32_t linger_left; /* bytes still to be read and thrown away */
};

static inline enum pipit_counters_state pipit_phase_state(enum pipit_phase phase)
{
	static const enum pipit_counters_state states[PHASE_COUNT] = {
		[PHASE_IDLE] = PIPIT_STATE_IDLE,
		[PHASE_HEAD] = PIPIT_STATE_READING,
		[PHASE_BODY] = PIPIT_STATE_READING,
		[PHASE_HANDLING] = PIPIT_STATE_HANDLING,
		[PHASE_STREAMING] = PIPIT_STATE_STREAMING,
		[PHASE_WRITING] = PIPIT_STATE_WRITING,
		[PHASE_CLOSING] = PIPIT_STATE_CLOSING,
	};
	return states[phase];
}

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
	/* The connection closes: its request is over, and evhttp lets it go. */
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
	char *in;                         /* PIPIT_INPUT_SIZE + 1 bytes */
	const char *in_end;               /* of what is being served */
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

/* Of evhttp it is free: drop it first, or detach its link. */
void pipit_connection_free(struct pipit_connection *connection);

/* Has been accepted and counted among the limits: it is open, and idle. */
void pipit_connection_adopt(struct pipit_connection *connection, int fd);

void pipit_connection_enter(struct pipit_connection *connection, enum pipit_phase phase);

/* One event per connection: it waits to read or to write, never for both. 0: for neither. */
void pipit_connection_watch(struct pipit_connection *connection, short interest);

/* A request lies in the socket and no event told of it: libevent does not say when the kernel refused to watch. */
void pipit_connection_listen_again(struct pipit_connection *connection);

/* Have protocol->woken called, after the events of this turn. */
void pipit_connection_wake(struct pipit_connection *connection);

/* Close at once. Callers may still look at it: its memory goes at the end of the turn. */
void pipit_connection_drop(struct pipit_connection *connection);

/* It is no longer open: count it out, once. */
void pipit_connection_check_out(struct pipit_connection *connection);

/* Closed: its memory lives only until the end of this loop turn. */
static inline bool pipit_connection_is_gone(const struct pipit_connection *connection)
{
	return connection->is_closed;
}

/* Whether another request may follow on it, as far as is known now. */
static inline bool pipit_connection_may_stay(const struct pipit_connection *connection)
{
	const struct pipit_net *net = connection->net;
	uint64_t limit = net->config->max_requests_per_connection;
	return connection->keep_alive && !connection->body_unread && !net->draining &&
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
