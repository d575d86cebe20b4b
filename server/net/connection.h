/* SPDX-License-Identifier: MIT */
/*
 * The struct that the files of the connection layer share (connection to net on the ladder): a connection and its worker's
 * net. Private to these; everybody else uses http1.h.
 */
#ifndef PIPIT_CONNECTION_H
#define PIPIT_CONNECTION_H

#include "base/shared_fd.h"
#include "http/guard.h"
#include "metrics/counters.h"
#include "net/handler_table.h"
#include "net/limits.h"
#include "pipit.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>

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

struct bufferevent;
struct evbuffer;
struct evhttp;
struct evhttp_bound_socket;
struct evkeyval;
struct pipit_evhttp_link;

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
	uint64_t charged[PIPIT_LIMITS_KINDS]; /* to the house's budget, see budget.h */

	/* the current request */
	void *request;                       /* the hooks' */
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

/* Looking for one goes through all connections, so each look finds several: a crowd at the door costs one look per crowd. */
#define PIPIT_CANDIDATES_MAX 128

/* Who may be asked to leave, see eviction.c. */
struct pipit_candidate {
	struct pipit_connection *connection; /* NULL when it has left by itself */
	uint64_t key;                        /* smallest first */
};

/* A listening socket, see acceptor.c. */
struct pipit_acceptor_socket {
	/* Where evhttp accepts, which owns both; NULL: we do. */
	struct evconnlistener *listener;
	struct evhttp_bound_socket *bound;
	ino_t inode; /* of the socket: addresses and descriptors are used again */
	/* Where we do. */
	struct pipit_net *net;
	void (*on_error)(struct evconnlistener *listener, void *context); /* see acceptor.h */
	int fd;
	struct event event;
	bool is_open;
	unsigned busy_turns; /* in a row, in which as many connections were waiting as might be accepted */
};

/* evhttp behind the connection layer: see evhttp_link.c for how its connections come about, evhttp_lane.c for its requests. */
struct pipit_evhttp_lane {
	enum pipit_evhttp_mode mode;
	struct evhttp *http;            /* NULL: mode is NONE, or the program has freed its own */
	struct bufferevent *socket_bev; /* under the filters of all links; neither reads nor writes */
	struct pipit_evhttp_link *pool; /* links that no request has borrowed */
	size_t pool_count;
	struct pipit_evhttp_link *accepting; /* has been given to evhttp, which is setting its descriptor; NULL: none */
	struct pipit_evhttp_link
	    *next; /* is given to evhttp, which accepts a client of ours; NULL: it accepts others */
	struct evconnlistener *listener; /* of that client */
	struct pipit_evhttp_link
	    *last_resort;                   /* for a client without a connection; in mode GUARDED; NULL: to be made */
	struct pipit_evhttp_link *sentinel; /* see pipit_evhttp_link_watch() */
	void (*on_evhttp_freed)(void *watcher);
	void *watcher;
	char *head; /* what evhttp is shown, owned */
	size_t head_capacity;
	struct evkeyval *date_field; /* of a reply that is complete, for the next one; libevent's memory; NULL: none */
	time_t date_field_second;
};

struct pipit_net {
	struct event_base *base;
	struct pipit_evhttp_lane evhttp;
	const struct pipit_config *config;
	struct pipit_guard_limits guard_limits;
	struct pipit_counters *counters;
	struct pipit_limits *limits;
	const struct pipit_handler_table *hooks; /* NULL once orphaned */
	void *context;
	bool is_turn_end;                 /* its callback is running */
	struct event *turn_end;           /* active when `waiting` is not empty: runs after all events of this turn */
	struct pipit_connection *waiting; /* to adopt, to resume, to write for; in order */
	struct pipit_connection **waiting_tail;
	struct pipit_connection *all, *last; /* in the order in which they came */
	size_t count;                        /* connections and links that point here; one more for its owner */
	size_t adopted;                      /* on `all` and not yet freed */
	struct pipit_connection *gone;       /* closed: freed at the end of this turn */
	struct pipit_connection *spare;      /* for the next who is accepted; accepting pauses while there is none */
	struct pipit_acceptor_socket doors[PIPIT_LISTEN_MAX];
	size_t door_count;
	bool doors_are_closed;            /* for a while: memory or descriptors are short */
	struct pipit_connection *current; /* whose input is being served */
	char *in;                         /* PIPIT_INPUT_SIZE + 1 bytes */
	const char *in_end;               /* of what is being served */
	char *batch;                      /* config->max_output_bytes, replies of `current` */
	size_t batch_length;
	struct evbuffer
	    *replies; /* of evhttp callbacks to `current`, whole, not sent yet; `batch` is empty then; NULL: none yet */
	bool has_more_input;          /* bytes of a next request lie behind the current one */
	struct pipit_guard_head head; /* of the request that is being served */
	uint64_t now_ns, now_ms;      /* of the last readiness */
	uint64_t date_ms;             /* when the date was looked at */
	time_t date_second;
	char date[30];
	bool draining;
	uint64_t drain_ms;                                       /* when draining began */
	struct pipit_candidate candidates[PIPIT_CANDIDATES_MAX]; /* found by the last look */
	size_t candidate_at, candidate_count;
	bool is_last_resort;         /* they may leave although they have just sent something */
	uint64_t barren_until_ms[2]; /* a look has found nobody, or [1] nobody who is answered: no other until then */
};

/* Closed: its memory lives only until the end of this loop turn. */
static inline bool pipit_connection_is_gone(const struct pipit_connection *connection)
{
	return connection->is_closed;
}

/* Something that pointed to it has gone. The last one takes with it a connection layer whose owner has freed it. */
static inline void pipit_net_release(struct pipit_net *net)
{
	if (--net->count == 0)
		free(net);
}

/* Whether another request may follow on it, as far as is known now. */
static inline bool pipit_connection_may_stay(const struct pipit_connection *connection)
{
	const struct pipit_net *net = connection->net;
	uint64_t limit = net->config->max_requests_per_connection;
	return connection->keep_alive && !connection->body_unread && !net->draining &&
	       (!limit || connection->requests < limit);
}

/*
 * What becomes of a connection. Defined in http1.c, and for the clock too: settle decides what it waits for next and does
 * what can be done at once; refuse answers by ourselves and closes, `line` is for the log; drop closes at once.
 */
void pipit_connection_settle(struct pipit_connection *connection);
void pipit_connection_refuse(struct pipit_connection *connection, enum pipit_refusal reason, struct pipit_slice line);
void pipit_connection_drop(struct pipit_connection *connection);

/* More of the reply has been written or given: see whether that is all of it. Defined in http1.c. */
void pipit_connection_conclude(struct pipit_connection *connection);

/* Its request, if there is one, is over before its time: a reply that was left open is complete, any other is not. Defined in
 * http1.c. */
void pipit_connection_lose_request(struct pipit_connection *connection);

/* A request lies in the socket and nobody has heard of it: libevent does not say when the kernel refused to watch. */
void pipit_connection_listen_again(struct pipit_connection *connection);

/* Nothing of a next request lies here or in the socket: closing now loses none. */
bool pipit_connection_is_quiet(const struct pipit_connection *connection);

/* Its memory, from the first moment to the last; NULL when there is none. Defined in acceptor.c. */
struct pipit_connection *pipit_connection_new(struct pipit_net *net);
void pipit_connection_free(struct pipit_connection *connection);

/* For whoever has been accepted; never NULL, because it was made before. Defined in acceptor.c. */
struct pipit_connection *pipit_connection_take_spare(struct pipit_net *net);

/* Input that is not used yet stays, or goes. Defined in pending.c. */
void pipit_connection_keep_pending(struct pipit_connection *connection, const char *bytes, size_t length);
void pipit_connection_drop_pending(struct pipit_connection *connection);

/* Content is collected, with room for a NUL behind it; or is nobody's any more. Defined in content.c. */
enum pipit_refusal pipit_connection_add_content(struct pipit_connection *connection, struct pipit_slice data);
void pipit_connection_drop_content(struct pipit_connection *connection);

/* A partial head is going to be refused: take from it what counts for the refusal; what was asked before does not. */
void pipit_connection_expect_little(struct pipit_connection *connection, const char *bytes, size_t length);

/* The first line of a head, for the log. */
struct pipit_slice pipit_connection_first_line(const char *bytes, size_t length);

/* As in http1.h, for files above it. */
const char *pipit_net_date(struct pipit_net *net);

/* Bring now_ns and now_ms up to date. */
void pipit_net_read_clock(struct pipit_net *net);

/* It is no longer open: count it out, once. Defined in eviction.c. */
void pipit_connection_check_out(struct pipit_connection *connection);

/* Have turn_end look at the connection, after the events of this turn. Defined in http1.c. */
void pipit_connection_wake(struct pipit_connection *connection);

#endif
