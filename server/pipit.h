/* SPDX-License-Identifier: MIT */
/*
 * pipit: an embedded HTTP/1.1 microserver on libevent, for native handlers and for callbacks of evhttp.
 *
 * This is the only public header. It includes nothing but the C library, and may be used from C++.
 *
 * Unless a comment says otherwise: a function is called on the thread that runs the object's event loop (for a request,
 * inside its handler or a callback on the same worker); a pointer argument is borrowed for the call; a returned string is
 * NUL-terminated. Functions that can fail return 0 or a negative errno value.
 */
#ifndef PIPIT_H
#define PIPIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PIPIT_API __attribute__((visibility("default")))
#define PIPIT_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define PIPIT_API
#define PIPIT_PRINTF(text, first)
#endif

struct cJSON;
struct event_base;
struct evhttp;
struct evhttp_bound_socket;
struct evhttp_request;
struct pipit_reader;
struct pipit_request;
struct pipit_server;
struct pipit_settings;
struct pipit_site;
struct pipit_stream;

/* ---------------------------------------------------------------- configuration */

/** How many addresses one server may listen on. */
#define PIPIT_LISTEN_MAX 16

/**
 * Every option of a server. Fill it with pipit_config_init() first, then change fields directly or through
 * pipit_config_set(). Strings are borrowed until pipit_server_new() returns, which copies what it needs. For limits and
 * deadlines 0 means "off", except where the field says otherwise.
 */
struct pipit_config {
	/** Addresses to listen on: "ADDR:PORT" or "[v6]:PORT"; port 0 takes a free one. Default: 127.0.0.1:8080. */
	const char *listen[PIPIT_LISTEN_MAX];
	/** How many entries of `listen` are used, 1 to PIPIT_LISTEN_MAX. */
	size_t listen_count;
	/** Worker threads, each with an event_base of its own; 0 (default): one per core. Range 0 to 256. */
	uint64_t workers;
	/** Directory that the daemon serves; NULL (default): its own pages. A program opens its sites itself. */
	const char *root;
	/** "on": /index.html for paths that do not exist, see struct pipit_site_options; "off" (default). Like `root` and those that follow it is for the daemon. */
	const char *spa;
	/** "on": list directories that have no index.html; "off" (default). */
	const char *listing;
	/** "on" (default): compress files with gzip for clients that take it; "off". */
	const char *compress;
	/** Cache-Control by path, see struct pipit_site_options; NULL (default): none. */
	const char *cache_control;
	/** A file in the form of /etc/mime.types; NULL (default): the built-in types. */
	const char *media_types;
	/** File of the settings at /api/settings; NULL (default): the daemon has none. A program opens its own store. */
	const char *settings;
	/** Of the settings, in bytes (507 above). Default 262144, range 1024 to 16777216. */
	uint64_t settings_max_bytes;
	/** "on": changes of settings must say which state they change (428 if not); "off" (default). */
	const char *settings_require_match;
	/** Where access lines go: "off" (default), "-" for standard output, or a file's name. */
	const char *access_log;
	/** Form of access lines: "combined" (default) or "json". */
	const char *log_format;
	/** What is told on standard error: "error", "warn", "info" (default) or "debug". */
	const char *log_level;

	/** Connections of the whole process at once; at the limit one that can be spared makes room. Default 10000. */
	uint64_t max_connections;
	/** Connections from one client address at once (429 above); an IPv6 client is its /64. Default 0: any number. */
	uint64_t max_connections_per_address;
	/** Requests on one connection, the last of which is answered with "Connection: close". Default 0: any number. */
	uint64_t max_requests_per_connection;
	/**
	 * Bytes that all connections of the process may have buffered at once: content that is arriving, replies that a client
	 * has not taken yet, those of evhttp callbacks included. At the limit new content is refused with 503, and a reply that
	 * needs more is cut off. No content can be larger, so it is at least `max_body_bytes`. Heads that are arriving may take
	 * half of it, whatever else there is. Default 67108864.
	 */
	uint64_t memory_limit;
	/** Clients that may follow pipit_serve_events() at once (503 above). Default 1000; 0: any number. */
	uint64_t max_streams;
	/** Length of the kernel's queue of connections not yet accepted, per listener. Default 1024, range 1 to 65535. */
	uint64_t listen_backlog;
	/** Request line and header fields together, in bytes (431 above). Default 16384, range 256 to 65536. */
	uint64_t max_head_bytes;
	/** Header fields of a request (431 above). Default 100, range 1 to 256. */
	uint64_t max_fields;
	/** One header field, name to value, in bytes (431 above). Default 8192, range 0 to 65536. */
	uint64_t max_field_bytes;
	/** Request target, in bytes (414 above). Default 8192, range 16 to 65000. */
	uint64_t max_target_bytes;
	/** Content of a request, in bytes, for routes that do not set their own limit (413 above). Default 1048576. */
	uint64_t max_body_bytes;
	/**
	 * Bytes of replies that wait for one client before no more of its pipelined requests are handled; a single longer reply
	 * is kept whole. An evhttp callback may add chunks faster than its client reads: when more than this and its largest
	 * chunk wait for write_timeout_ms, the connection is closed. Each worker has one buffer of this size. Default 65536,
	 * range 4096 to 16777216.
	 */
	uint64_t max_output_bytes;
	/** Nesting of arrays and objects in JSON (400 above). Default 64, range 1 to 512. */
	uint64_t max_json_depth;
	/** Members of all objects in JSON (400 above). Default 10000, range 1 to 1000000. */
	uint64_t max_json_members;

	/**
	 * Milliseconds, in whole seconds, that the kernel keeps a connection to itself until its first byte is there
	 * (TCP_DEFER_ACCEPT of tcp(7)). New connections then cost a third less, but until they speak they are no connections to
	 * `max_connections` and to the counters, and room for them is the kernel's. Default 0, off. Range 0 to 60000.
	 */
	uint64_t defer_accept_ms;
	/** Milliseconds from a head's first byte to its end (408 after). Default 10000. */
	uint64_t head_timeout_ms;
	/** Read timeout: milliseconds without a byte of a request's content (408 after). Default 30000. */
	uint64_t read_timeout_ms;
	/** Write timeout: milliseconds in which the client takes no byte of a response (closed after). Default 30000. */
	uint64_t write_timeout_ms;
	/** Bytes per second that content and responses must move at on average, after the grace. Default 1024. */
	uint64_t min_rate_bytes;
	/** Milliseconds before `min_rate_bytes` is asked for. Default 10000; 0 asks for it from the start. */
	uint64_t rate_grace_ms;
	/** Milliseconds a connection may stay idle between requests (closed silently after). Default 60000. */
	uint64_t idle_timeout_ms;
	/** Milliseconds that requests in flight get to finish after a drain begins; 0 waits without end. Default 8000. */
	uint64_t drain_timeout_ms;

	/** Strings that pipit_config_set() copied; owned, freed by pipit_config_clear(). Leave alone. */
	void *owned;
};

/** Fill `config` with the default of every field. Needs no clearing by itself. Any thread. */
PIPIT_API void pipit_config_init(struct pipit_config *config);

/**
 * Set one option from text, as a line of the configuration file does.
 *
 * @param config  initialised by pipit_config_init()
 * @param key     a flag's name without dashes, for example "max-body-bytes"; "listen" adds an address
 * @param value   text; sizes take k, m, g (powers of 1024), durations ms, s, m, h (a bare number is seconds)
 * @param error   receives one line that says what would be right; may be NULL
 * @param size    bytes at `error`
 * @return 0; -ENOENT unknown key; -EINVAL bad value; -ENOMEM. On failure `config` is unchanged. Any thread.
 */
PIPIT_API int pipit_config_set(
    struct pipit_config *config, const char *key, const char *value, char *error, size_t size);

/** Free what pipit_config_set() copied; the string fields are not usable afterwards. Any thread. */
PIPIT_API void pipit_config_clear(struct pipit_config *config);

/* ---------------------------------------------------------------- server */

/** Version of the library, "MAJOR.MINOR.PATCH". Static. Any thread. */
PIPIT_API const char *pipit_version(void);

/**
 * Give libevent a reserve. libevent 2.1 crashes in three places when a small allocation fails; with a reserve it gets those
 * from there. When a quarter of it is in use, requests for evhttp callbacks are refused with 503 until there is memory again; a
 * server each of whose clients has an evhttp connection accepts no clients then. Makes libevent's allocations faster, too: each
 * thread keeps blocks of up to 1 KiB that libevent frees, at most 552 KiB of them, until it ends.
 *
 * For programs that own their process only, because it takes event_set_mem_functions() from everybody else; before any other
 * use of libevent, and before there are threads. The reserve stays until the process ends.
 *
 * @param bytes  taken from the system at once, at least 64; the daemon has 262144, enough for nine workers that all read
 *               100 header fields for evhttp callbacks at that moment
 * @return 0; -EALREADY there is one; -EINVAL; -ENOMEM
 */
PIPIT_API int pipit_reserve_memory(size_t bytes);

/**
 * Make a server. Nothing is opened yet.
 *
 * @param config  checked and copied; NULL for the defaults
 * @return the server, owned by the caller; NULL when a value is out of range or memory is short, after a line on
 *         standard error that says what would be right
 */
PIPIT_API struct pipit_server *pipit_server_new(const struct pipit_config *config);

/**
 * Bind every address of the configuration. Called by pipit_server_run() and pipit_server_attach() when it was not called
 * before; calling it first gives the addresses (port 0) and an early error.
 *
 * @return 0 or a negative errno value, after a line on standard error; also fails when an earlier registration failed
 */
PIPIT_API int pipit_server_listen(struct pipit_server *server);

/** Address number `index` as "http://ADDR:PORT" after pipit_server_listen(), else NULL. Lives as long as the server. */
PIPIT_API const char *pipit_server_url(const struct pipit_server *server, size_t index);

/**
 * Serve until drained: starts the worker threads (this thread is the first worker), handles SIGTERM and SIGINT (drain; a
 * second one stops at once), SIGUSR1 and SIGHUP (reopen logs; SIGHUP also reloads settings), ignores SIGPIPE. libevent can handle signals for one loop
 * of a process only, so only one server runs this way at a time.
 *
 * @return 0 after a drain or stop, 1 when the server could not start (a line on standard error says why)
 */
PIPIT_API int pipit_server_run(struct pipit_server *server);

/**
 * Serve on the application's own event_base: one worker, no thread, no signal handler. SIGPIPE should be ignored by the
 * application. The base must not have been used with evthread locking on another thread.
 *
 * @param server  used with one loop only; pipit_server_free() detaches it
 * @param base    borrowed until pipit_server_free(); its loop is run by the caller
 * @return 0 or a negative errno value, after a line on standard error
 */
PIPIT_API int pipit_server_attach(struct pipit_server *server, struct event_base *base);

/**
 * Stop accepting, finish what is in flight with "Connection: close", at most for the drain timeout; pipit_server_run()
 * then returns. Thread-safe while pipit_server_run() is running; on an attached server call it on the loop's thread.
 */
PIPIT_API void pipit_server_drain(struct pipit_server *server);

/** Like pipit_server_drain(), but closes every connection now. Same threads. */
PIPIT_API void pipit_server_stop(struct pipit_server *server);

/** Open the access log anew under its name, after a rotation; when that fails the old file stays, and a line on standard
 * error says so. Any thread, after pipit_server_listen(). */
PIPIT_API void pipit_server_reopen_logs(struct pipit_server *server);

/** True from the beginning of a drain on. Any thread. */
PIPIT_API bool pipit_server_is_draining(const struct pipit_server *server);

/** Connections open now, over all workers. Any thread; for an attached server 0 after a drain means done. */
PIPIT_API uint64_t pipit_server_connections(const struct pipit_server *server);

/**
 * Free a server that is not running; NULL is harmless. An attached server closes its connections; where it has evhttp callbacks,
 * libevent frees their memory in the next turn of the loop or in event_base_free(). Not to be called from a handler.
 */
PIPIT_API void pipit_server_free(struct pipit_server *server);

/* ---------------------------------------------------------------- a program's own evhttp */

/**
 * evhttp_bind_socket() with a guard: clients of this socket pass pipit's guard, limits and deadlines with the defaults of struct
 * pipit_config, and evhttp then dispatches their requests to the callbacks and virtual hosts that it has. What the evhttp's own
 * settings refuse stays refused. No thread and no signal handler; everything runs on the evhttp's event_base. May be called for
 * several addresses, and for several evhttps.
 *
 * It takes evhttp_set_bevcb(), so that sockets which the program binds by evhttp_bind_socket() are guarded too, from now on; a
 * program that has TLS by that callback would lose it. The program ignores SIGPIPE. evhttp_free() frees what this made, with the
 * next turn of the loop or event_base_free(); no callback may hold a request then. docs/evhttp.md has the differences.
 *
 * @param http     made with an event_base; kept until evhttp_free()
 * @param address  a numeric address, or a name, of which the first address counts; NULL: any IPv4 address
 * @param port     0 takes a free one
 * @return 0, or a negative errno value after a line on standard error: -EINVAL, -EADDRINUSE, -EACCES, -ENOSPC (more than
 *         PIPIT_LISTEN_MAX), -ENOMEM. On the thread of the evhttp's loop.
 */
PIPIT_API int pipit_evhttp_bind_socket(struct evhttp *http, const char *address, uint16_t port);

/** The same, and evhttp's handle of the socket, for evhttp_bound_socket_get_fd() and evhttp_del_accept_socket(); NULL and errno
 * when it fails. */
PIPIT_API struct evhttp_bound_socket *pipit_evhttp_bind_socket_with_handle(
    struct evhttp *http, const char *address, uint16_t port);

/**
 * Put a server in front of an evhttp, for limits, options, an access log or native routes beside it (such as pipit_serve_metrics):
 * attaches the server to the evhttp's event_base, listens on the addresses of its configuration, and hands requests that no route
 * takes to the evhttp. Otherwise as pipit_evhttp_bind_socket(), which adds addresses.
 *
 * @param server  not running yet, with one worker after this, without a fallback or evhttp callbacks of its own. Its
 *                pipit_server_free() closes the clients, and leaves the evhttp without a guard; it may come before or after
 *                evhttp_free() and event_base_free().
 * @param http    made with an event_base, guarded by no other server
 * @return 0, or a negative errno value after a line on standard error: -EINVAL, -EALREADY guarded, -EBUSY running, -EEXIST a
 *         fallback, or as pipit_server_attach()
 */
PIPIT_API int pipit_server_guard_evhttp(struct pipit_server *server, struct evhttp *http);

/* ---------------------------------------------------------------- routes */

/** Methods, as bits; a route may take several. */
enum pipit_method {
	/** GET; such a route serves HEAD too, the content being left out by pipit. */
	PIPIT_GET = 1 << 0,
	/** HEAD, for a route that answers it in another way than its GET. */
	PIPIT_HEAD = 1 << 1,
	/** POST. */
	PIPIT_POST = 1 << 2,
	/** PUT. */
	PIPIT_PUT = 1 << 3,
	/** DELETE. */
	PIPIT_DELETE = 1 << 4,
	/** OPTIONS; without such a route pipit answers it from the table. */
	PIPIT_OPTIONS = 1 << 5,
	/** PATCH (RFC 5789). */
	PIPIT_PATCH = 1 << 6,
	/** All of the above. */
	PIPIT_ANY = (1 << 7) - 1
};

/**
 * A native handler. It replies once, now or later: one that returns without having replied has deferred, see
 * pipit_request_keep(). Until it replies, nothing more is read from that connection.
 *
 * @param request  valid until its reply is complete, longer when kept
 * @param arg      as given at registration
 */
typedef void pipit_handler(struct pipit_request *request, void *arg);

/** An evhttp callback: what evhttp_set_cb() takes. */
typedef void pipit_evhttp_callback(struct evhttp_request *request, void *arg);

/**
 * What may be said of a route beyond its handler. Zero-initialise it; zero fields mean "as configured", NULL that nothing is said.
 *
 * From `summary` on it is what pipit_serve_openapi() tells of the route. Nobody is refused because of it: checking what a client
 * sends stays with the handler. Strings are borrowed until registration returns, which copies them; JSON text and UTF-8 are
 * checked then. A schema is a JSON Schema as in OpenAPI 3.1 (draft 2020-12), with examples if it has any.
 */
struct pipit_route_options {
	/** Content of a request, in bytes (413 above), at most the server's memory_limit; 0: the server's max_body_bytes. */
	uint64_t max_body_bytes;
	/** True: requests with content are refused with 413, whatever `max_body_bytes` says. */
	bool refuse_body;
	/**
	 * Of an evhttp callback only. True: the callback does not ask who its client is (evhttp_connection_get_peer(),
	 * evhttp_connection_get_addr(), evhttp_request.remote_host) nor for its socket, and sets nothing on the evhttp_connection (no
	 * close callback, no timeout, no limit): that would reach other clients. Its requests then borrow an evhttp connection from a
	 * pool of the worker until their replies are complete. When all evhttp callbacks of a server do, an idle client costs 3 KiB
	 * less. False (default): each client has an evhttp connection of its own.
	 */
	bool borrows_connection;
	/** What the route is for, in one line. */
	const char *summary;
	/**
	 * Query and header parameters. JSON text, an array of Parameter Objects of OpenAPI. Names of the pattern are described by
	 * themselves; what an object with "in":"path" and such a name holds (an example, a schema) takes the place of that.
	 */
	const char *parameters;
	/** Media type of a request's content, several with commas between; NULL: application/json where there is a request_schema. */
	const char *request_type;
	/** Schema of that content, of each of these types. JSON text. */
	const char *request_schema;
	/** In the place of these two, for types that differ. JSON text, an object: media types to Media Type Objects of OpenAPI. */
	const char *request_content;
	/** Media type of the content of a reply that is no error, as request_type; NULL: application/json where there is a reply_schema. */
	const char *reply_type;
	/** Schema of that content. JSON text. */
	const char *reply_schema;
	/** Status of that reply, 200 to 599; 0: 200. */
	int reply_status;
	/** Replies beside that one, and beside problem documents. JSON text, a Responses Object of OpenAPI: status to Response Object. */
	const char *replies;
	/** True: the route is left out. */
	bool is_hidden;
};

/**
 * Register a native handler. Before the server runs only.
 *
 * @param server   not running yet
 * @param methods  bits of enum pipit_method
 * @param pattern  "/literal/{name}/{rest...}": `{name}` is one non-empty segment, `{name...}` the rest of the path
 *                 (which may be empty) and the last segment of the pattern. Copied.
 * @param handler  called for each request
 * @param arg      kept; handed to the handler
 * @return 0; -EINVAL bad pattern or no method; -EEXIST a route that could match the same request and neither is more
 *         specific; -EBUSY server already running; -ENOMEM. Every failure prints a line and fails a later start.
 */
PIPIT_API int pipit_route(
    struct pipit_server *server, unsigned methods, const char *pattern, pipit_handler *handler, void *arg);

/** As pipit_route(), with options; `options` is copied, NULL is pipit_route(). -EINVAL also for options that cannot be. */
PIPIT_API int pipit_route_with(struct pipit_server *server, unsigned methods, const char *pattern,
    pipit_handler *handler, void *arg, const struct pipit_route_options *options);

/**
 * Register an evhttp callback, unchanged: evhttp_send_reply(), evhttp_send_reply_start/chunk/end(),
 * evhttp_send_error(), now or later. The callback meets one whole request, its content in the input buffer with
 * Content-Length, never chunked. One that replies later replies in every case, also when its client has gone: that frees the
 * request. pipit_server_run() calls it on all worker threads. docs/evhttp.md says what every function of evhttp does in it.
 * Arguments and result as for pipit_route().
 */
PIPIT_API int pipit_route_evhttp(
    struct pipit_server *server, unsigned methods, const char *pattern, pipit_evhttp_callback *callback, void *arg);

/** As pipit_route_evhttp(), with options; `options` is copied. */
PIPIT_API int pipit_route_evhttp_with(struct pipit_server *server, unsigned methods, const char *pattern,
    pipit_evhttp_callback *callback, void *arg, const struct pipit_route_options *options);

/**
 * For an evhttp callback: reply with an error in the form that pipit_reply_problem() chooses. Headers that the callback has added
 * are sent. The request is answered then, as by evhttp_send_reply().
 *
 * @param status  400 to 599; 500 takes the place of any other
 * @param detail  for people, as printf() has it; NULL: the status says it all
 */
PIPIT_API void pipit_evhttp_send_problem(struct evhttp_request *request, int status, const char *detail, ...)
    PIPIT_PRINTF(3, 4);

/**
 * For an evhttp callback: the content as JSON, strictly parsed (RFC 8259), within the server's max_json_depth and max_json_members.
 *
 * @return the document, the caller's (cJSON_Delete()); NULL after a reply: 415 when the Content-Type is not JSON, 400 that names
 *         line, column and byte, 503 when memory is short
 */
PIPIT_API struct cJSON *pipit_evhttp_json(struct evhttp_request *request, const struct pipit_server *server);

/** The handler for every path that no route matches, of any method; without one the answer is 404. As pipit_route(). */
PIPIT_API int pipit_fallback(struct pipit_server *server, pipit_handler *handler, void *arg);

/** An evhttp callback as the fallback (what evhttp_set_gencb() takes). As pipit_route(). */
PIPIT_API int pipit_fallback_evhttp(struct pipit_server *server, pipit_evhttp_callback *callback, void *arg);

/* ---------------------------------------------------------------- request */

/** The request's method. */
PIPIT_API enum pipit_method pipit_request_method(const struct pipit_request *request);

/** The request's method as on the wire, for example "GET". Static. */
PIPIT_API const char *pipit_request_method_name(const struct pipit_request *request);

/** Path as sent: percent-encoded, without query. Lives as long as the request. Never NULL. */
PIPIT_API const char *pipit_request_path(struct pipit_request *request);

/** Query as sent, without the question mark; NULL when the target has none. Lives as long as the request. */
PIPIT_API const char *pipit_request_query(struct pipit_request *request);

/**
 * The first query parameter called `name`, decoded as application/x-www-form-urlencoded.
 *
 * @param value  receives the text, cut at `size` - 1 bytes, always terminated
 * @param size   bytes at `value`, at least 1
 * @return length of the whole decoded value (as snprintf() does), or -1 when there is no such parameter
 */
PIPIT_API long pipit_request_query_value(struct pipit_request *request, const char *name, char *value, size_t size);

/** What `{name}` or `{name...}` of the route's pattern matched, percent-decoded; NULL when the pattern has no such name,
 * or memory is short. Lives as long as the request. */
PIPIT_API const char *pipit_request_parameter(struct pipit_request *request, const char *name);

/** Value of the first header field called `name` (any case); NULL when there is none or memory is short. Lives as long as
 * the request. */
PIPIT_API const char *pipit_request_header(struct pipit_request *request, const char *name);

/**
 * Header field number `index`, in the order of arrival, for walking over all of them.
 *
 * @param name   receives the field name as sent
 * @param value  receives the value
 * @return false past the last field, or when memory is short; both strings live as long as the request
 */
PIPIT_API bool pipit_request_field(struct pipit_request *request, size_t index, const char **name, const char **value);

/**
 * True when the request's Content-Type is `media_type` ("application/json"; parameters and case do not count), or, for
 * "application/json", any type with the suffix "+json".
 */
PIPIT_API bool pipit_request_is(struct pipit_request *request, const char *media_type);

/**
 * Which of the media types that a handler can reply with the client likes best, by its Accept field (RFC 9110 §12.5.1); the first
 * of those that it likes alike. Without such a field all are liked. A reply that was chosen this way should say "Vary: Accept",
 * unless it is not to be stored.
 *
 * @param media_types  such as "application/json", the handler's favourite first; their parameters do not count, so that these may
 *                     be whole Content-Types
 * @param count        how many
 * @return an index, or -1 when none is acceptable: reply with the first all the same, or with 406
 */
PIPIT_API int pipit_request_negotiate(struct pipit_request *request, const char *const *media_types, size_t count);

/** The content, whole and with its framing removed, followed by a NUL that does not count; `length` may not be NULL.
 * Never NULL. Lives as long as the request; but pipit_request_keep() may move it, so ask again after that. */
PIPIT_API const char *pipit_request_body(struct pipit_request *request, size_t *length);

/**
 * The first field called `name` of an application/x-www-form-urlencoded content, decoded. Arguments and result as for
 * pipit_request_query_value().
 */
PIPIT_API long pipit_request_form_value(struct pipit_request *request, const char *name, char *value, size_t size);

/**
 * The content as JSON, with strict syntax (RFC 8259), no name twice in an object, and within the limits of the configuration. When it is
 * not usable this function replies itself: 415 when the content type is missing, not JSON, or in another charset than utf-8; 400 with line, column and byte offset of the
 * error, and a JSON Pointer to its place in "errors".
 *
 * A number that a double cannot hold, such as 9007199254740993, has its text as `valuestring` beside `valuedouble`, and
 * pipit_reply_json() prints that; pipit_read_integer() reads it.
 *
 * @return a document that the caller frees with cJSON_Delete(), or NULL after a reply
 */
PIPIT_API struct cJSON *pipit_request_json(struct pipit_request *request);

/**
 * Reads values of a document by JSON Pointers (RFC 6901: "/network/mtu"), and notes all that is wrong with them, so that the client is
 * told at once. A value that is absent is the fallback; one that is there and is not as it must be is a violation, and the fallback is
 * returned. null is a value.
 *
 *     struct pipit_reader reader = { .doc = doc };
 *     int64_t mtu = pipit_read_integer(&reader, "/mtu", 1500, 576, 9216);
 *     const char *name = pipit_read_string(&reader, "/hostname", "", 1, 63);
 *     if (pipit_read_finish(&reader, request))
 *             …
 *
 * Zero-initialise all but `doc`. Any thread, one at a time.
 */
struct pipit_reader {
	/** Borrowed; NULL is a document without values. */
	const struct cJSON *doc;
	/** How many violations have been noted. */
	size_t violation_count;
	/** Leave alone. */
	struct cJSON *violations;
};

/** A string of so many bytes; lives as long as `doc`. */
PIPIT_API const char *pipit_read_string(
    struct pipit_reader *reader, const char *pointer, const char *fallback, size_t min_bytes, size_t max_bytes);

/** A whole number, also written 1e3 or 5.0; exact in all 64 bits. */
PIPIT_API int64_t pipit_read_integer(
    struct pipit_reader *reader, const char *pointer, int64_t fallback, int64_t min, int64_t max);

/** Any number. */
PIPIT_API double pipit_read_number(
    struct pipit_reader *reader, const char *pointer, double fallback, double min, double max);

/** true or false. */
PIPIT_API bool pipit_read_boolean(struct pipit_reader *reader, const char *pointer, bool fallback);

/** One of the strings in `choices`, which NULL ends; returns that very pointer. */
PIPIT_API const char *pipit_read_choice(
    struct pipit_reader *reader, const char *pointer, const char *fallback, const char *const *choices);

/** It is a violation when the value is absent. Returns whether it is there. */
PIPIT_API bool pipit_read_require(struct pipit_reader *reader, const char *pointer);

/** Members of that object other than these are violations; NULL ends `names`. So is a value that is no object. */
PIPIT_API void pipit_read_only(struct pipit_reader *reader, const char *pointer, const char *const *names);

/** Note a violation of the program's own: "must not be the gateway's address". */
PIPIT_API void pipit_read_refuse(struct pipit_reader *reader, const char *pointer, const char *format, ...)
    PIPIT_PRINTF(3, 4);

/**
 * The end of reading.
 *
 * @return true: nothing was noted. False: the client was sent 422, a problem document whose "errors" tell the first 32 violations, each
 *         with its pointer (RFC 9457 §3).
 */
PIPIT_API bool pipit_read_finish(struct pipit_reader *reader, struct pipit_request *request);

/** True when the bytes are valid UTF-8 (RFC 3629): no overlong forms, no surrogates. For text that goes into JSON. Any
 * thread. */
PIPIT_API bool pipit_is_utf8(const char *text, size_t length);

/** Numeric address of the client. Lives as long as the request. */
PIPIT_API const char *pipit_request_peer(struct pipit_request *request);

/** An id for this request, 16 hex digits, unique within the process; the same as in the access log. Lives as long as
 * the request. */
PIPIT_API const char *pipit_request_id(struct pipit_request *request);

/** Pattern of the route that was chosen, or "fallback". Lives as long as the server. */
PIPIT_API const char *pipit_request_route(const struct pipit_request *request);

/** The event_base of the request's worker: for timers and sockets of a handler that replies later. Lives as long as the
 * server runs. */
PIPIT_API struct event_base *pipit_request_base(const struct pipit_request *request);

/** The server that the request belongs to. */
PIPIT_API struct pipit_server *pipit_request_server(const struct pipit_request *request);

/**
 * Keep the request beyond its handler's return and beyond its reply: it stays valid until pipit_request_release(). A
 * handler that defers must keep the request. Every kept request is to be released before pipit_server_free().
 *
 * @return 0, or -ENOMEM (then reply now)
 */
PIPIT_API int pipit_request_keep(struct pipit_request *request);

/** Give up what pipit_request_keep() got. A request released without a reply is answered with 500. */
PIPIT_API void pipit_request_release(struct pipit_request *request);

/** True when the client is gone or the reply has been given: a further reply will be thrown away. */
PIPIT_API bool pipit_request_is_gone(const struct pipit_request *request);

/**
 * Be told when the client of a deferred request goes away (closes, or its connection fails): seen within about 250 ms. A
 * client that only shuts down its sending side counts as gone; a reply is still sent to it.
 *
 * @param callback  called at most once, on the request's worker, not after the reply; NULL takes the callback away
 * @param arg       kept; handed to the callback
 */
PIPIT_API void pipit_request_on_abort(
    struct pipit_request *request, void (*callback)(struct pipit_request *, void *arg), void *arg);

/**
 * Run `function` on the request's worker, soon. Thread-safe: this is how another thread answers. The request must be kept
 * until `function` runs. Posted functions run in order, also when the client has gone.
 *
 * @return 0; -ENOMEM; -ESHUTDOWN when the server has stopped (then `function` will not run). It must have returned before
 *         pipit_server_free() is called.
 */
PIPIT_API int pipit_request_post(
    struct pipit_request *request, void (*function)(struct pipit_request *, void *arg), void *arg);

/* ---------------------------------------------------------------- reply */

/*
 * One reply per request; a second one is refused with -EALREADY. pipit adds Date, Content-Length and Connection, and leaves
 * the content out for HEAD, 204, 205 and 304. Replying to a client that has gone is harmless. All return 0 or a negative errno
 * value; -ENOMEM means that the client was sent 503 instead.
 */

/**
 * Add a header field to the coming reply.
 *
 * @param name   a token; not Content-Length, Content-Type, Transfer-Encoding, Connection, Keep-Alive, Upgrade or Date: pipit writes
 *                those that are due
 * @param value  without CR, LF or NUL
 * @return 0; -EINVAL bad name or value; -ENOSPC more than 8 KiB of fields; -EALREADY
 */
PIPIT_API int pipit_reply_header(struct pipit_request *request, const char *name, const char *value);

/**
 * Reply with content. What the client does not take at once is kept until it does; when `memory_limit` has no room for it the
 * reply is cut off and the connection closed. Large content is better sent from a file, see pipit_reply_file().
 *
 * @param status        200 to 599
 * @param content_type  NULL leaves the field out
 * @param content       copied; NULL when `length` is 0
 * @param length        bytes at `content`
 * @return 0; -EINVAL bad status or content type; -EALREADY; -ENOMEM
 */
PIPIT_API int pipit_reply(
    struct pipit_request *request, int status, const char *content_type, const void *content, size_t length);

/** Reply with text/plain; charset=utf-8. */
PIPIT_API int pipit_reply_text(struct pipit_request *request, int status, const char *text);

/**
 * Reply with a JSON document, without white space; numbers are printed so that they read back as the same double. Takes `doc`
 * (deletes it in every case); NULL, as from a cJSON function out of memory, is 503.
 *
 * Above 64 KiB the text is printed while it is sent, in chunks (to HTTP/1.0 until the connection closes), and never in memory as a whole:
 * `doc` lives until then, and counts against `memory_limit`. Where there is no room for it, or it refers to what it does not own
 * (cJSON_CreateStringReference() and the like), its text is made at once after all.
 *
 * @return as the others; -EINVAL also for a document that holds an item without a type or is nested more than 1,000 deep: the
 *         client is sent 500 then
 */
PIPIT_API int pipit_reply_json(struct pipit_request *request, int status, struct cJSON *doc);

/**
 * Reply with a problem document (RFC 9457), or with HTML to a client whose Accept header prefers text/html to application/json and
 * application/problem+json (RFC 9110 §12.5.1).
 *
 * @param status  400 to 599; its phrase becomes the title
 * @param detail  printf format for what is wrong and what would be right; NULL leaves it out
 */
PIPIT_API int pipit_reply_problem(struct pipit_request *request, int status, const char *detail, ...)
    PIPIT_PRINTF(3, 4);

/**
 * Reply with the rest of a regular file, through sendfile().
 *
 * @param fd      takes: closed by pipit in every case
 * @param offset  first byte to send
 * @param length  bytes to send; a file that turns out shorter ends the connection
 * @return 0; -EBADF negative descriptor, -EINVAL bad status (nothing is replied then); -EALREADY
 */
PIPIT_API int pipit_reply_file(
    struct pipit_request *request, int status, const char *content_type, int fd, uint64_t offset, uint64_t length);

/* ---------------------------------------------------------------- streams of events */

/*
 * A stream is a sequence of events that many clients follow: server-sent events, text/event-stream, what a browser's
 * EventSource reads. Events are sent from any thread, rendered once and shared by all clients; each client gets those that are
 * sent after it has joined, in order, none twice. Nothing here waits for a client: one that is too far behind is cut off, comes
 * back by itself, and can be given what it missed.
 *
 * Sending takes a lock of the stream, and so do joining, leaving, and each worker when it is told that there is something new;
 * nothing else does. The stream may outlive the server.
 */

/** What may be said of a stream. Zero-initialise it; zero fields mean the default. */
struct pipit_stream_options {
	/** Clients that may follow at once (503 with Retry-After above), over all workers. Default 1000. */
	uint64_t max_clients;
	/**
	 * Events that may wait for one client. When more do, its connection is closed and counted in http_streams_dropped_total.
	 * What waits is shared by all clients: no more than the last so many events. Default 64.
	 */
	size_t max_queue;
	/** Milliseconds without an event after which a comment line tells clients and proxies that somebody is there, at most
	 * 24 hours. Default 15000. */
	uint64_t heartbeat_ms;
	/** Milliseconds that clients are told to wait before they come back. Default 2000. */
	uint64_t retry_ms;
	/** Events kept for clients that come back and say in Last-Event-ID what they have. Default 0: none. */
	size_t history;
};

/** An event. Zero-initialise it. */
struct pipit_event {
	/** Its type, without line ends; NULL: none, which is "message" to EventSource. */
	const char *name;
	/** Its data, UTF-8; may hold line ends: LF, CR and CRLF all arrive as LF. NULL is an empty text. */
	const char *data;
	/** It gets no id, and is not kept for those who come back. */
	bool without_id;
};

/**
 * Make a stream.
 *
 * @param options  copied; NULL for the defaults
 * @return the stream, owned by the caller; NULL when memory is short, or heartbeat_ms is out of range. Any thread.
 */
PIPIT_API struct pipit_stream *pipit_stream_new(const struct pipit_stream_options *options);

/**
 * Give the stream up: its clients get what was sent before, and then the end of the reply, as from pipit_stream_end(). They may
 * be joined still: memory goes with the last of them. NULL is harmless. Any thread; no other call with this stream may be under
 * way or follow, so a handler that joins it must not run any more.
 */
PIPIT_API void pipit_stream_free(struct pipit_stream *stream);

/**
 * Reply with the stream: 200, text/event-stream, Cache-Control: no-store, the fields of pipit_reply_header(), and then first
 * of all the time to wait before coming back. What a client has missed follows when it says in Last-Event-ID what it has: all
 * events in the history behind that, or the whole history when the id is not of this stream. The reply ends when the client
 * leaves, when the stream ends, or when the server drains. A HEAD is answered with the head only.
 *
 * @param request  not replied to yet; within its handler, or later when it was kept. Like with any reply, the request lives on
 *                 only when it is kept.
 * @param first    an event for this client alone, before those that follow; it gets no id. Borrowed; NULL for none.
 * @return 0, also when the client has gone or was refused with 503 because of max_clients; -EINVAL the event's name has line
 *         ends (nothing was replied); -EALREADY; -ENOMEM the client was sent 503
 */
PIPIT_API int pipit_stream_join(
    struct pipit_stream *stream, struct pipit_request *request, const struct pipit_event *first);

/**
 * Send an event to all who follow. Any thread, also when nobody follows. A stream's events have ids "PREFIX-NUMBER": a prefix
 * that no other stream has, and numbers from 1. What workers have not handed on yet is kept, however much it is: whoever sends faster
 * than they can takes more and more memory, and should wait now and then.
 *
 * @param event  borrowed, copied
 * @return 0; -EINVAL the name has line ends; -ENOMEM; nothing was sent then
 */
PIPIT_API int pipit_stream_send(struct pipit_stream *stream, const struct pipit_event *event);

/**
 * End the replies of all who follow now, after what was sent before. Others may join later. Any thread.
 *
 * @return 0 or -ENOMEM
 */
PIPIT_API int pipit_stream_end(struct pipit_stream *stream);

/** How many clients follow now, over all workers. Any thread. */
PIPIT_API uint64_t pipit_stream_clients(const struct pipit_stream *stream);

/* ---------------------------------------------------------------- settings */

/*
 * A JSON document that is kept in a file: what an appliance has to remember. It is an object; every value in it has a JSON Pointer
 * (RFC 6901), "/network/hostname", and "" is the whole.
 *
 * Reading waits for nobody. A change is applied, written to a new file, synchronised, and put in the old one's place, and only
 * then seen by readers and acknowledged; changes that come while that is under way share the next round. A thread of the store's own
 * does it. The file is indented JSON; whoever edits it by hand calls pipit_settings_reload() then (the daemon: SIGHUP).
 *
 * Beside FILE there are FILE.previous (before the last change) and FILE.lock; FILE.new is there while a change is written; and FILE.broken is a
 * FILE that was no settings when the store was opened.
 */

/** Zero-initialise it; zero fields mean the default. */
struct pipit_settings_options {
	/** Name of the file; its directory must exist, and be writable for changes. Until the first change the file may be absent. Borrowed for the call. */
	const char *file;
	/** Of the document, in bytes, as it is sent (507 above; 413 for content). Default 262144, range 1024 to 16777216. */
	uint64_t max_bytes;
	/** Nesting of arrays and objects. Default 64, at most 512. */
	uint64_t max_depth;
	/** Members of all objects. Default 10000. */
	uint64_t max_members;
	/** Changes must say which state they change, by If-Match or If-None-Match (428 if not). */
	bool require_match;
};

/**
 * Open a store. What an interrupted change left is cleared away, and said in the log; when the file is no JSON object, the content
 * before it is used, if that is one.
 *
 * @param settings  receives the store, freed with pipit_settings_free() after the server
 * @param error     receives one line that says what is wrong and what would be right; may be NULL with size 0
 * @return 0; -EINVAL options out of range, or no settings in the file; -EBUSY another process has it open; another errno value
 */
PIPIT_API int pipit_settings_open(
    const struct pipit_settings_options *options, struct pipit_settings **settings, char *error, size_t size);

/** Close a store: changes that wait are made first. After pipit_server_free(). NULL is harmless. */
PIPIT_API void pipit_settings_free(struct pipit_settings *settings);

/**
 * Serve a store: GET, PUT, PATCH (RFC 7396 and RFC 6902) and DELETE of `pattern` and of everything below it, with entity tags and
 * conditions. SIGHUP then reloads it, when the server handles signals.
 *
 * @param pattern   such as "/api/settings", without a slash at its end
 * @param settings  kept until pipit_server_free()
 * @return as pipit_route()
 */
PIPIT_API int pipit_route_settings(struct pipit_server *server, const char *pattern, struct pipit_settings *settings);

/**
 * Judges what the settings would be: every violation that it notes in `reader` (whose doc they are) is told to the client in one 422,
 * and nothing is changed. On the store's thread, between a change and its being written; may not call the store.
 */
typedef void pipit_settings_check(struct pipit_reader *reader, void *arg);

/** Is told what the settings are now, after that is durable. On the store's thread; may not wait for the store. `settings` is borrowed. */
typedef void pipit_settings_changed(const struct cJSON *settings, void *arg);

/**
 * Have a say in changes, and be told of them. Before the store is served.
 *
 * @param check    NULL: all is right
 * @param changed  NULL: nobody wants to know; not called for the settings as they are now
 * @param arg      kept; handed to both
 * @return 0; -EINVAL the settings as they are do not pass, after a line on standard error; -ENOMEM
 */
PIPIT_API int pipit_settings_on_change(
    struct pipit_settings *settings, pipit_settings_check *check, pipit_settings_changed *changed, void *arg);

/**
 * A copy of a value. Any thread.
 *
 * @param pointer  "" for the whole
 * @return the caller's (cJSON_Delete()); NULL when there is no such value, or memory is short
 */
PIPIT_API struct cJSON *pipit_settings_get(struct pipit_settings *settings, const char *pointer);

/**
 * Change a value as a merge patch says (RFC 7396), and wait until that is durable. Any thread, but not a handler's: it would keep its
 * worker waiting; nor from a check or changed callback.
 *
 * @param pointer  of what is changed, which must be there; "" for the whole
 * @param patch    taken in every case; NULL, as from a cJSON function out of memory, is -ENOMEM
 * @param error    receives why not; may be NULL with size 0
 * @return 0; -ENOENT no such value; -EINVAL refused, also by the check; -ENOSPC no room; -EIO not written; -EBUSY; -ENOMEM
 */
PIPIT_API int pipit_settings_merge(
    struct pipit_settings *settings, const char *pointer, struct cJSON *patch, char *error, size_t size);

/** Have the file read again, soon. What is no valid settings is not taken, and said in the log. Any thread. 0; -EBUSY; -ENOMEM. */
PIPIT_API int pipit_settings_reload(struct pipit_settings *settings);

/* ---------------------------------------------------------------- ready-made handlers */

/*
 * Handlers for pipit_route() and pipit_fallback(). A handler of the program may call them too, with what would be their `arg`: to
 * check who asks before the site is served, for example. Each of them replies.
 */

/** A page that the program brings along: the daemon has its own this way, and firmware needs no file system for them. */
struct pipit_page {
	/** "/style.css"; decoded, and without dot segments. "/index.html" is served for "/" too. */
	const char *path;
	/** NULL: by the path's ending. */
	const char *content_type;
	/** Strong, with its quotes ("\"1a2b\""), and another one whenever the content is another; NULL: none. */
	const char *etag;
	/** The bytes, borrowed as long as the site lives. */
	const void *content;
	/** Bytes at `content`. */
	size_t length;
	/** Above 0: `content` is in gzip form, and this is the length of what it was made of. */
	size_t plain_length;
};

/** What a site serves, and how. Zero-initialise it. Strings are borrowed for the call. */
struct pipit_site_options {
	/** Name of a directory; NULL: `pages` are served. */
	const char *root;
	/** Pages of the program's own, borrowed as long as the site lives. Sent with "Content-Security-Policy: default-src 'self'". */
	const struct pipit_page *pages;
	/** How many. */
	size_t page_count;
	/** Serve /index.html for paths that do not exist, whose last segment has no dot, to clients that take a page. */
	bool spa;
	/** List directories that have no index.html, as a page, or as JSON for clients that ask for application/json. */
	bool listing;
	/** Compress nothing; neighbours that are compressed already are still used. */
	bool no_compression;
	/**
	 * "PATTERN=VALUE; …": the first pattern of fnmatch(3) that a file's path matches gives its Cache-Control field; '*' matches
	 * slashes too. NULL: no field (for `pages`: no-cache).
	 */
	const char *cache_control;
	/** Name of a file in the form of /etc/mime.types that is asked before the built-in table; NULL: none. */
	const char *media_types;
};

/**
 * Handler that joins a stream, without a first event.
 *
 * @param stream  the handler's `arg`: a struct pipit_stream. With NULL registration fails (-EINVAL); a handler of the program that
 *                passes NULL has its client sent 500, after a line on standard error.
 */
PIPIT_API void pipit_stream_serve(struct pipit_request *request, void *stream);

/**
 * Open a site for pipit_serve_files().
 *
 * @param site   receives the site, freed with pipit_site_free() after the server
 * @param error  receives one line that says what is wrong and what would be right; may be NULL
 * @param size   bytes at `error`
 * @return 0; -EINVAL or the errno value of what could not be opened, negative; -ENOMEM
 */
PIPIT_API int pipit_site_open(
    const struct pipit_site_options *options, struct pipit_site **site, char *error, size_t size);

/** pipit_site_open() of a directory, without options; NULL with errno set. */
PIPIT_API struct pipit_site *pipit_site_new(const char *root);

/** Free a site; NULL is harmless. */
PIPIT_API void pipit_site_free(struct pipit_site *site);

/**
 * Handler for static files, usually the fallback: GET and HEAD, index.html for a directory; nothing outside of the root, no
 * dotfiles, regular files only. A change in the file system is seen within a second.
 *
 * Files have strong entity tags, and answer conditions (RFC 9110 §13) and ranges (§14), up to 32 of them. Text and other types
 * that compress well are sent as their neighbour app.js.br, .zst or .gz where the client takes that and it is not older, or
 * compressed with gzip from 1 KiB to 256 KiB. 404.html and 403.html in the root are what clients that do not ask for JSON see of
 * these errors.
 *
 * @param site  the handler's `arg`: a struct pipit_site. NULL fails as for pipit_stream_serve().
 */
PIPIT_API void pipit_serve_files(struct pipit_request *request, void *site);

/**
 * Handler for the figures of the dashboard: a stream of events, once a second what the server does, and first of all the last ten
 * minutes of it. A server with such a route takes the figures from its start on; one where other handlers call this one, from the
 * first call on. `arg` is not used.
 */
PIPIT_API void pipit_serve_events(struct pipit_request *request, void *arg);

/** Handler for the metrics page: Prometheus text, or OpenMetrics when the client asks for it. `arg` is not used. */
PIPIT_API void pipit_serve_metrics(struct pipit_request *request, void *arg);

/**
 * Handler for a description of the server's routes, OpenAPI 3.1 as JSON: their patterns and methods, and what their options tell.
 * For a route with this handler it is made once, when the server starts; when another handler calls this one, for each call. The
 * fallback is not in it.
 *
 * @param title  the handler's `arg`: the title of the description, UTF-8, read when the server starts; NULL: "pipit". A server with
 *               a title that is not UTF-8 does not start; a handler that passes one has its client sent 500.
 */
PIPIT_API void pipit_serve_openapi(struct pipit_request *request, void *title);

#ifdef __cplusplus
}
#endif

#endif
