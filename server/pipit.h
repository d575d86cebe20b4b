/* SPDX-License-Identifier: MIT */
/*
 * pipit: an embedded HTTP/1.1 microserver on libevent, for native handlers and evhttp callbacks. docs/embedding.md is
 * the introduction.
 *
 * The only public header; includes only the C library, and works in C++. Unless a comment says otherwise:
 *
 * - Thread: call a function on the thread of its object's event loop; for a request, in its handler or in a callback on
 *   the same worker.
 * - A pointer argument is borrowed for the call. "Takes" passes ownership; "keeps" borrows it until the object is freed.
 * - A function that can fail returns 0 or a negative errno value. Those of servers, routes and guarded evhttps then
 *   print a message on standard error.
 * - A function whose name ends in _free accepts NULL.
 * - A returned string is NUL-terminated; that of a pipit_request_…() function is valid as long as the request.
 * - The caller frees a returned cJSON document with cJSON_Delete().
 * - `error` (of `size` bytes) receives one line with the reason and what would be right; NULL with size 0: none.
 * - Zero-initialise structures of options; a zero field means the default.
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

/** Maximum number of addresses of one server. */
#define PIPIT_LISTEN_MAX 16

/**
 * Options of a server, set by pipit_config_init() first, then directly or with pipit_config_set(). pipit_server_new()
 * checks and copies them, strings included. A limit or deadline of 0 is off, unless its comment says otherwise. A string
 * has at most 4000 bytes (each line of `header` and `protect`) and no control characters; an empty one is an error.
 */
struct pipit_config {
	/**
	 * Addresses: "ADDR:PORT" or "[v6]:PORT", numeric, link-local ones with their zone ("[fe80::1%eth0]:80"); port 0
	 * selects a free port. "localhost:PORT" is 127.0.0.1, ":PORT" is [::]. [::] accepts IPv4 too, see `ipv6_only`.
	 * "https://ADDR:PORT" speaks TLS.
	 *
	 * "unix:/PATH", optionally with ",mode=0660" (default), ",user=NAME" and ",group=NAME", is a UNIX socket, whose
	 * file pipit_server_free() removes; "unix:@NAME" has an abstract name. "fd://N" is a listening socket that the
	 * process has open; pipit takes the descriptor N. "fd://NAME" is the one that systemd passes by this name
	 * (sd_listen_fds(3)). Default: 127.0.0.1:8080.
	 *
	 * Behind each of them, ",proxy-protocol" requires the header of the PROXY protocol, version 1 or 2, before the bytes
	 * of the client, which is then the one that the header names. Without `trusted_proxy`, any peer may send it.
	 */
	const char *listen[PIPIT_LISTEN_MAX];
	/** Entries used in `listen`, 1 to PIPIT_LISTEN_MAX. */
	size_t listen_count;
	/**
	 * Address, as in `listen`, to which routes that are `admin_only` are restricted: elsewhere they do not exist. It
	 * serves the other routes, too. NULL (default): none, and no restriction.
	 */
	const char *admin_listen;
	/**
	 * "off" (default): [::]:PORT accepts IPv4 too, unless an IPv4 address in `listen` or `admin_listen` has the same
	 * port (a warning then names the IPv4 address); "on".
	 */
	const char *ipv6_only;
	/**
	 * Worker threads, each with its own event_base. Range 0 to 256. Default 0: one per core that the affinity and the
	 * CPU quota of the cgroup allow, or one if an evhttp callback is not `thread_safe`.
	 */
	uint64_t workers;
	/**
	 * Directory of static files; NULL (default): the daemon's own pages. This field and the next ones up to
	 * `settings_require_match` have an effect in the daemon only. A program opens sites and settings itself.
	 */
	const char *root;
	/** "on" (default): the daemon's own pages are at /_pipit/ when `root` is set; "off". */
	const char *dashboard;
	/** "on": serve /index.html for absent paths, see struct pipit_site_options; "off" (default). */
	const char *spa;
	/** "on": list directories without index.html; "off" (default). */
	const char *listing;
	/** "on" (default): gzip for clients that accept it; "off". */
	const char *compress;
	/** Cache-Control by path, see struct pipit_site_options; NULL (default): none. */
	const char *cache_control;
	/** A file like /etc/mime.types; NULL (default): the built-in types. */
	const char *media_types;
	/** File of /api/settings; NULL (default): no settings. */
	const char *settings;
	/** Size of the settings document, in bytes (507 above). Default 262144, range 1024 to 16777216. */
	uint64_t settings_max_bytes;
	/** "on": refuse changes without If-Match or If-None-Match (428); "off" (default). */
	const char *settings_require_match;
	/**
	 * Client addresses that alone may request a path: lines of "[PREFIX] NETWORK ...", as "/admin/ 10.0.0.0/8 ::1",
	 * where "unix:" is a client of a UNIX socket, "all" every client, and no prefix "/". Others get 403. Of the
	 * prefixes in `allow` and `deny` that cover the path, the longest decides, and of its networks the smallest that
	 * contains the client (docs/security.md). NULL (default): every client may.
	 */
	const char *allow;
	/** Client addresses that may not (403), in the form of `allow`. NULL (default): none. */
	const char *deny;
	/**
	 * Requests per client address (429 with Retry-After above); an IPv6 /64 is one address, and clients of UNIX
	 * sockets are not limited. Lines of "[PREFIX] N/s [burst=N]", also N/m and N/h, or "PREFIX off"; the longest prefix
	 * counts the request. N is 1 to 1000000; without `burst`, a client may send the N of the rate at once. NULL
	 * (default): no limit.
	 */
	const char *rate_limit;
	/**
	 * Names that the server answers to, separated by commas, as "nas.example.com" or "*.example.com" (421 for others);
	 * "*": every name. localhost and literal loopback addresses are always among them. NULL (default): listeners on
	 * loopback answer to localhost, IP addresses, names without a dot, and that of this machine, because a foreign
	 * site owns none of these (DNS rebinding); other listeners answer to every name, except for routes with
	 * `known_host`. In front of an evhttp of the program, only such routes are checked until `hosts` is set.
	 */
	const char *hosts;
	/**
	 * Origins whose pages may send requests and read replies (CORS), separated by commas, as
	 * "https://app.example.com", without the port if it is the scheme's own; "*": every origin. The next five fields
	 * have an effect only with this one. NULL (default): POST, PUT, PATCH and DELETE from pages of other origins are
	 * refused (403).
	 */
	const char *cors_origins;
	/** Methods that they may use, of enum pipit_method, in capitals, separated by commas. Default: "GET, HEAD, POST". */
	const char *cors_methods;
	/** Request headers that they may set, separated by commas. Default: "Content-Type". */
	const char *cors_headers;
	/** Response headers that they may read, separated by commas; NULL (default): those of every reply. */
	const char *cors_expose_headers;
	/** "on": browsers may send cookies and credentials with them, not with `cors_origins` "*"; "off" (default). */
	const char *cors_credentials;
	/**
	 * Milliseconds, rounded down to seconds, for which a browser may remember these answers; 0: it asks each time. Default
	 * 600000, range 0 to 86400000.
	 */
	uint64_t cors_max_age_ms;
	/**
	 * Headers that are added to replies: a line for each, "PATTERN: Name: value", of at most 6000 bytes together. The
	 * pattern is one of fnmatch(3), and `*` matches any bytes of the decoded path, slashes too. Names and values as for
	 * pipit_reply_header(). NULL (default): none.
	 */
	const char *header;
	/**
	 * User (a name or a number) that the process becomes when it has opened its addresses as root; files are opened
	 * with the rights of this user. NULL (default): no change. This field and the next two have an effect in the
	 * daemon only; a program calls pipit_confine().
	 */
	const char *user;
	/** Group to take with `user`; NULL (default): the user's own. */
	const char *group;
	/** "on" (default): restrict files and system calls as pipit_confine() does; "off". */
	const char *sandbox;
	/**
	 * Paths that need a password or a token: a line for each rule, as "/api/ basic /etc/pipit/users"
	 * (docs/security.md). The files are read by pipit_server_listen(), and by pipit_server_reload_users(); relative names
	 * are those of the current directory. A pipit that is built without nettle refuses rules (-EINVAL). NULL (default):
	 * none.
	 */
	const char *protect;
	/**
	 * Proxies whose word about the client counts, in `trusted_header` and in PROXY headers: addresses and networks as
	 * "10.0.0.0/8", and "unix:" for those that connect by a UNIX socket, separated by commas, blanks or line ends. The
	 * client of a request is then the last address in that header that is no such proxy (docs/security.md). NULL
	 * (default): none; the client is the other end of the connection.
	 */
	const char *trusted_proxy;
	/**
	 * "x-forwarded-for" (default), with X-Forwarded-Proto; or "forwarded" (RFC 7239), which needs `trusted_proxy`. The other
	 * one is not read.
	 */
	const char *trusted_header;
	/** Destination of access lines: "off" (default), "-" for standard output, or a file name. */
	const char *access_log;
	/** Format of access lines: "combined" (default), or "json", which is that of messages on standard error too. */
	const char *log_format;
	/** Messages on standard error up to this level: "error", "warn", "info" (default) or "debug". */
	const char *log_level;

	/**
	 * Open connections; at the limit, the one with the lowest priority is evicted (docs/limits.md). Default 10000, range
	 * 0 to 1000000.
	 */
	uint64_t max_connections;
	/**
	 * Open connections of one client address, or one IPv6 /64 network (429 above). Clients of UNIX sockets have no
	 * address and are not counted. Default 0: no limit. Range 0 to 1000000.
	 */
	uint64_t max_connections_per_address;
	/** Requests on one connection; the last reply has "Connection: close". Default 0: no limit. Range 0 to 1000000000. */
	uint64_t max_requests_per_connection;
	/**
	 * Buffered bytes of all connections: request bodies, and replies (also of evhttp callbacks) that clients have
	 * not read yet. At the limit, new bodies are refused with 503, and a reply that needs more is aborted (its
	 * connection is closed). Arriving heads may use half as much in addition. At least `max_body_bytes`. Default
	 * 67108864, range 0 to 1099511627776.
	 */
	uint64_t memory_limit;
	/** Clients of pipit_serve_events() at the same time (503 above); 0: no limit. Default 1000, range 0 to 1000000. */
	uint64_t max_streams;
	/** Kernel queue of connections to accept, per listening socket. Default 1024, range 1 to 65535. */
	uint64_t listen_backlog;
	/** Request line and headers together, in bytes (431 above). Default 16384, range 256 to 65536. */
	uint64_t max_head_bytes;
	/** Headers of one request (431 above). Default 100, range 1 to 256. */
	uint64_t max_fields;
	/** One header, from its name to its value's end, in bytes (431 above). Default 8192, range 0 to 65536. */
	uint64_t max_field_bytes;
	/** Request target, in bytes (414 above). Default 8192, range 16 to 65000. */
	uint64_t max_target_bytes;
	/**
	 * Request body, in bytes, for routes without their own limit (413 above); 0: `memory_limit`. Default 1048576, range 0
	 * to 1099511627776.
	 */
	uint64_t max_body_bytes;
	/**
	 * Buffered replies of one connection, in bytes. Above it, no further pipelined request is handled; one longer
	 * reply is still buffered as a whole. If more than this and the largest chunk of an evhttp callback are
	 * buffered for write_timeout_ms, the connection is closed. Each worker has one such buffer. Default 65536,
	 * range 4096 to 16777216.
	 */
	uint64_t max_output_bytes;
	/** Nesting of arrays and objects in JSON (400 above). Default 64, range 1 to 512. */
	uint64_t max_json_depth;
	/** Values of a JSON document: objects, arrays and scalars (400 above). Default 100000, range 1 to 1000000. */
	uint64_t max_json_values;

	/**
	 * Milliseconds, in whole seconds, for which the kernel holds a connection until its first byte
	 * (TCP_DEFER_ACCEPT, tcp(7)). Connections then cost a third less; before it, they neither count for
	 * `max_connections` nor appear in metrics. Range 0 to 60000. Default 0: off.
	 */
	uint64_t defer_accept_ms;
	/** Milliseconds from the first byte of a request head to its end (408 after). Default 10000, range 0 to 86400000. */
	uint64_t head_timeout_ms;
	/** Milliseconds without a byte of the request body (408 after). Default 30000, range 0 to 86400000. */
	uint64_t read_timeout_ms;
	/**
	 * Milliseconds in which the client reads no byte of a reply (connection closed after). Default 30000, range 0 to
	 * 86400000.
	 */
	uint64_t write_timeout_ms;
	/**
	 * Minimum average rate of request bodies and replies, in bytes per second. Default 1024, range 0 to 1073741824.
	 */
	uint64_t min_rate_bytes;
	/** Milliseconds before `min_rate_bytes` applies; 0: from the start. Default 10000, range 0 to 86400000. */
	uint64_t rate_grace_ms;
	/**
	 * Milliseconds between two requests of a connection (closed after, without a reply). Longer than the 60 s of
	 * common proxies, which then close first. Default 75000, range 0 to 86400000.
	 */
	uint64_t idle_timeout_ms;
	/**
	 * Milliseconds for which the server reads and discards what a client still sends after its last reply, so that the
	 * client reads the reply before the connection is closed (RFC 9112 §9.6). Default 30000, range 1 to 86400000.
	 */
	uint64_t lingering_time_ms;
	/** Milliseconds without a byte in that time (closed after). Default 5000, range 1 to 86400000. */
	uint64_t lingering_timeout_ms;
	/**
	 * Milliseconds for which pipit_server_run() still accepts connections after SIGTERM or SIGINT, while
	 * pipit_server_is_draining() is true already. Default 0, range 0 to 86400000.
	 */
	uint64_t drain_delay_ms;
	/**
	 * Milliseconds that requests in flight have after a drain begins; 0: no limit. Default 8000, range 0 to 86400000.
	 */
	uint64_t drain_timeout_ms;

	/**
	 * PEM files, each with a certificate and, behind it, its issuers. The client's server name (SNI) chooses; the first
	 * is the default. Certificates for the same names with keys of different types serve the clients of either type.
	 *
	 * The names of all TLS files are copied by pipit_server_new(); relative ones are those of the current directory.
	 * pipit_server_listen() reads the files, and pipit_server_reload_certificates() again: regular files of at most 1
	 * MiB. Each that cannot be used has a message, and fails the start.
	 */
	const char *tls_certificate[PIPIT_LISTEN_MAX];
	/** Entries used in `tls_certificate`, 1 to PIPIT_LISTEN_MAX with an https address. Default 0. */
	size_t tls_certificate_count;
	/**
	 * PEM files with the keys of the certificates, in the same order, without a passphrase. A message warns of one that
	 * others than its owner and its group may read.
	 */
	const char *tls_key[PIPIT_LISTEN_MAX];
	/** Entries used in `tls_key`; as many as certificates. */
	size_t tls_key_count;
	/** DER files with OCSP responses, each for one of the certificates, which it names by issuer and serial number. */
	const char *tls_ocsp_response[PIPIT_LISTEN_MAX];
	/** Entries used in `tls_ocsp_response`. Default 0. */
	size_t tls_ocsp_response_count;
	/** "1.2" (default) or "1.3": the oldest version of TLS that clients may use. */
	const char *tls_min_version;
	/**
	 * PEM file of the authorities that sign client certificates; their names are sent to clients. NULL (default): none.
	 */
	const char *tls_client_ca;
	/**
	 * PEM file with the revocation lists (CRLs) of all authorities in the chains of client certificates. A client
	 * certificate is refused if a list names it, or if an authority in its chain has no list, or only one that has expired
	 * or is not valid yet. Needs `tls_client_ca`. NULL (default): nothing is revoked.
	 */
	const char *tls_client_crl;
	/**
	 * "off" (default): ask for no client certificate. "optional": ask, and leave the decision to handlers, see
	 * pipit_request_client_verified(). "required": refuse clients without a valid one. The last two need
	 * `tls_client_ca`.
	 */
	const char *tls_client_auth;
	/**
	 * Milliseconds from the first byte of a TLS handshake to its end (closed after); 0: no limit. Default 10000, range
	 * 0 to 86400000.
	 */
	uint64_t tls_handshake_timeout_ms;
	/**
	 * "on" (default): the kernel encrypts what is sent over TLS, where it and OpenSSL can (kTLS), so that files are sent
	 * with sendfile(). "off": OpenSSL does.
	 */
	const char *kernel_tls;
	/** "on": http addresses redirect to the first https address (308); "off" (default). */
	const char *redirect_to_https;
	/**
	 * Milliseconds, in whole seconds, for which browsers remember to use https only (Strict-Transport-Security in
	 * replies over TLS). Needs an https address, or `trusted_proxy`. Default 0: off; range 0 to 63244800000.
	 */
	uint64_t hsts_ms;

	/** Private: strings of pipit_config_set(). */
	void *owned;
	/** Private: where each option of the daemon was set; NULL: by the program. */
	const void *origin;
};

/** Set every field to its default. Any thread. */
PIPIT_API void pipit_config_init(struct pipit_config *config);

/**
 * Set one option from text. Any thread.
 *
 * @param config  initialised by pipit_config_init()
 * @param key     name of the option, such as "max-body-bytes"; "listen" adds an address
 * @param value   copied; sizes may end in k, m or g (powers of 1024), durations in ms, s, m or h (default: seconds)
 * @return 0; -ENOENT unknown key; -EINVAL bad value; -ENOMEM. On failure `config` is unchanged.
 */
PIPIT_API int pipit_config_set(
    struct pipit_config *config, const char *key, const char *value, char *error, size_t size);

/** Free the strings that pipit_config_set() copied; they are invalid then. Any thread. */
PIPIT_API void pipit_config_clear(struct pipit_config *config);

/* ---------------------------------------------------------------- server */

/** "MAJOR.MINOR.PATCH". Static. Any thread. */
PIPIT_API const char *pipit_version(void);

/**
 * Reserve memory for libevent. libevent 2.1 crashes when one of three small allocations fails; with a reserve, it gets
 * such memory from there. While more than a quarter of the reserve is in use, requests for evhttp callbacks are refused
 * with 503. A server that gives each client its own evhttp connection accepts no connections during that time.
 *
 * libevent also gets faster: each thread keeps blocks of up to 1 KiB that libevent frees, for its next allocations. A
 * thread keeps at most 552 KiB, until it ends.
 *
 * Only for programs that own their process, because it calls event_set_mem_functions(). Call it before any other
 * function of libevent, and before threads start. The reserve stays until the process ends.
 *
 * @param bytes  at least 64, allocated at once; 262144 suffice for nine workers that all parse 100 headers for evhttp
 *               callbacks
 * @return 0; -EALREADY there is a reserve; -EINVAL; -ENOMEM
 */
PIPIT_API int pipit_reserve_memory(size_t bytes);

/**
 * Create a server. Opens no socket and no file.
 *
 * @param config  NULL for the defaults
 * @return freed with pipit_server_free(); NULL when a value is out of range or memory is short, after a message on
 *         standard error
 */
PIPIT_API struct pipit_server *pipit_server_new(const struct pipit_config *config);

/**
 * Bind the configured addresses before pipit_server_run() or pipit_server_attach() does, to learn a free port or to
 * fail early. Again after success, it does nothing. On the thread that then runs or attaches the server, before that.
 *
 * @return 0; the error of a registration that failed before; -EINVAL an option, a file of users or an address is wrong,
 *         or a descriptor is that of two addresses; -EADDRINUSE another process listens there; -EIO the access log
 *         cannot be opened; -ENOMEM; another negative errno value, of the first address that cannot be opened. Each
 *         error has a message in the log. After a failure no address is open.
 */
PIPIT_API int pipit_server_listen(struct pipit_server *server);

/**
 * Address number `index` as "http://ADDR:PORT" or "https://ADDR:PORT", or "unix:/PATH" or "unix:@NAME" for a UNIX socket;
 * number `listen_count` is `admin_listen`. NULL before pipit_server_listen(), or without such an address. Valid until
 * pipit_server_free().
 */
PIPIT_API const char *pipit_server_url(const struct pipit_server *server, size_t index);

/**
 * Serve until drained or stopped, with worker threads; the calling thread is the first worker. SIGTERM and SIGINT
 * drain, after `drain_delay_ms`, a second one stops; SIGUSR1 and SIGHUP reopen the access log, SIGHUP also reloads certificates,
 * settings and users; SIGPIPE is ignored. One server of a process at a time: libevent handles signals in one loop only.
 *
 * @return 0 after a drain or stop; 1 when the server could not start
 */
PIPIT_API int pipit_server_run(struct pipit_server *server);

/**
 * Serve on the program's event_base: one worker, no thread, no signal handler. Clients and log readers that close raise no
 * SIGPIPE. The base must not have been used with evthread locking on another thread.
 *
 * @param server  attached once; pipit_server_free() detaches it
 * @param base    borrowed until pipit_server_free(); the caller runs its loop
 */
PIPIT_API int pipit_server_attach(struct pipit_server *server, struct event_base *base);

/**
 * Stop accepting, and finish requests in flight with "Connection: close", within the drain timeout; then
 * pipit_server_run() returns. Any thread while it runs; the loop's thread for an attached server.
 */
PIPIT_API void pipit_server_drain(struct pipit_server *server);

/** Close all connections now; otherwise as pipit_server_drain(). */
PIPIT_API void pipit_server_stop(struct pipit_server *server);

/**
 * Open the access log again under its name, after a rotation. On failure the old file stays in use. Any thread, after
 * pipit_server_listen().
 */
PIPIT_API void pipit_server_reopen_logs(struct pipit_server *server);

/**
 * Read the files of certificates, keys, authorities and OCSP responses again. Open connections keep theirs. On failure all stay as they are.
 * Any thread, after pipit_server_listen().
 *
 * @return 0, also without https addresses; -EINVAL after a message for each file that cannot be used
 */
PIPIT_API int pipit_server_reload_certificates(struct pipit_server *server);

/**
 * Read the files of `protect` again. On failure a message says why, and the users stay as they were. Passwords that were
 * right are no longer remembered. Any thread, after pipit_server_listen().
 *
 * @return 0, also without `protect`; -EINVAL a file is wrong; -ENOMEM; or as open(2)
 */
PIPIT_API int pipit_server_reload_users(struct pipit_server *server);

/** True once a drain, its delay, or a stop has begun. Any thread. */
PIPIT_API bool pipit_server_is_draining(const struct pipit_server *server);

/** Open connections of all workers; 0 after a drain of an attached server: it is complete. Any thread. */
PIPIT_API uint64_t pipit_server_connections(const struct pipit_server *server);

/**
 * Free a server that is not running. An attached server closes its connections; memory of evhttp
 * callbacks is freed in the next turn of the loop or in event_base_free(). Not from a handler.
 */
PIPIT_API void pipit_server_free(struct pipit_server *server);

/* ---------------------------------------------------------------- less power */

/** What the process gives up. Strings and arrays are borrowed for the call. */
struct pipit_confinement {
	/** Name or number of the user to become, not root; the process must be root. NULL: no change. */
	const char *user;
	/** Name or number of the group to take with `user`; NULL: the user's own. Supplementary groups are dropped. */
	const char *group;
	/**
	 * True: the process may open only the next two, and /proc/self (Landlock, Linux 5.13); as far as the kernel can
	 * also: bind and connect no TCP socket, connect to no abstract UNIX socket, and signal no other process.
	 */
	bool restrict_files;
	/** Files and directories to read, NULL-terminated; NULL: none. */
	const char *const *readable;
	/** Files to change, and directories to change files in, NULL-terminated; NULL: none. */
	const char *const *writable;
	/**
	 * True: the process may only make the system calls that pipit makes (seccomp, if pipit is built with libseccomp);
	 * others fail with ENOSYS, starting a program with EPERM.
	 */
	bool restrict_calls;
};

/**
 * Give up rights for good, and set no_new_privs. Call it when all is open, from pipit_server_listen() on, and before
 * pipit_server_run(): restrictions of files hold for the calling thread and threads that it starts later. A kernel
 * without Landlock or seccomp, and a pipit that is built without libseccomp, are no failure; messages at level info say
 * what is in force.
 *
 * @param error  receives one line: the reason, and what would be right; empty after success. May be NULL if size is 0.
 * @param size   of `error`, in bytes; a longer line is cut
 * @return 0; -ENOENT no such user, group or path; -EINVAL the user is root; -EPERM the process is not root, or could
 *         become root again; another negative errno value, also when Landlock or seccomp fails although the kernel has it
 *         (-EMFILE: no descriptor is left). After a failure, end the program: it may have given up a part.
 */
PIPIT_API int pipit_confine(const struct pipit_confinement *confinement, char *error, size_t size);

/**
 * Make no core dumps, and allow no debugger of the same user, because the memory holds secrets such as keys. Before
 * they are read. Any thread.
 */
PIPIT_API void pipit_disable_core_dumps(void);

/* ---------------------------------------------------------------- guarded evhttp */

/**
 * evhttp_bind_socket() behind pipit's guard, limits and deadlines (the defaults of struct pipit_config). evhttp calls
 * the program's callbacks and virtual hosts, and its own limits still apply. Runs on the evhttp's event_base, without
 * threads and signal handlers. May be called repeatedly.
 *
 * Sets evhttp_set_bevcb(): sockets bound by evhttp_bind_socket() are guarded too from then on, and a program that uses
 * that callback for TLS loses it. Clients and log readers that close raise no SIGPIPE. evhttp_free() frees everything, in
 * the next turn of the loop or in event_base_free(); no callback may hold a request then. docs/evhttp.md lists the differences to evhttp.
 *
 * @param http     made with an event_base; kept until evhttp_free()
 * @param address  numeric, or a name, whose first address is used; NULL: any IPv4 address
 * @param port     0 selects a free port
 * @return 0; -EINVAL, -EADDRINUSE, -EACCES, -ENOSPC (more than PIPIT_LISTEN_MAX), -ENOMEM
 */
PIPIT_API int pipit_evhttp_bind_socket(struct evhttp *http, const char *address, uint16_t port);

/**
 * As pipit_evhttp_bind_socket(). Returns the handle for evhttp_bound_socket_get_fd() and evhttp_del_accept_socket();
 * NULL with errno set on failure.
 */
PIPIT_API struct evhttp_bound_socket *pipit_evhttp_bind_socket_with_handle(
    struct evhttp *http, const char *address, uint16_t port);

/**
 * Put a server in front of an evhttp, with its own limits, access log or native routes. Attaches the server to the
 * evhttp's event_base, listens on the configured addresses, and passes requests without a route to the evhttp.
 * Otherwise as pipit_evhttp_bind_socket(), which can add addresses.
 *
 * @param server  not running, without a fallback and evhttp callbacks; gets one worker. pipit_server_free(), before or
 *                after evhttp_free() and event_base_free(), closes its connections and leaves the evhttp without a
 *                guard.
 * @param http    made with an event_base, not guarded by another server
 * @return 0; -EINVAL; -EALREADY guarded; -EBUSY running; -EEXIST a fallback; or as pipit_server_attach()
 */
PIPIT_API int pipit_server_guard_evhttp(struct pipit_server *server, struct evhttp *http);

/* ---------------------------------------------------------------- routes */

/** Methods, as bits. */
enum pipit_method {
	/** GET; also serves HEAD, without the body. */
	PIPIT_GET = 1 << 0,
	/** HEAD, for a route that does not answer it like GET. */
	PIPIT_HEAD = 1 << 1,
	/** POST. */
	PIPIT_POST = 1 << 2,
	/** PUT. */
	PIPIT_PUT = 1 << 3,
	/** DELETE. */
	PIPIT_DELETE = 1 << 4,
	/** OPTIONS; otherwise pipit answers it from the routes. */
	PIPIT_OPTIONS = 1 << 5,
	/** PATCH (RFC 5789). */
	PIPIT_PATCH = 1 << 6,
	/** All methods above. */
	PIPIT_ANY = (1 << 7) - 1
};

/**
 * A native handler, with `arg` from registration. It replies once, before it returns, or later if it keeps the request
 * (pipit_request_keep()). Until then nothing more is read from the connection. The request is valid until its reply is
 * complete, longer when kept.
 */
typedef void pipit_handler(struct pipit_request *request, void *arg);

/** An evhttp callback, as for evhttp_set_cb(). */
typedef void pipit_evhttp_callback(struct evhttp_request *request, void *arg);

/**
 * Options of a route. The fields from `summary` on describe it for pipit_serve_openapi(), NULL: not; they do not check
 * requests. Registration copies strings, and checks JSON texts and UTF-8. A schema is a JSON Schema as in OpenAPI 3.1
 * (draft 2020-12), optionally with examples.
 */
struct pipit_route_options {
	/** Request body, in bytes (413 above), at most memory_limit; 0: the server's max_body_bytes. */
	uint64_t max_body_bytes;
	/** True: refuse requests with a body (413). */
	bool refuse_body;
	/**
	 * For evhttp callbacks. True: the callback borrows an evhttp connection from a pool of its worker until its
	 * reply is complete. It must not use the client's address (evhttp_connection_get_peer(),
	 * evhttp_connection_get_addr(), evhttp_request.remote_host) or socket, nor change the evhttp_connection (close
	 * callback, timeouts, limits), which other clients use too. If all evhttp callbacks of the server borrow, an
	 * idle client costs 3 KiB less. False (default): each client has its own.
	 */
	bool borrows_connection;
	/**
	 * For evhttp callbacks. True: it may run on several workers at once. evhttp's own callbacks run on one thread, so
	 * programs that were written for it seldom lock what they share: unless all evhttp callbacks of the server say
	 * this, `workers` 0 means one. False by default.
	 */
	bool thread_safe;
	/**
	 * True: refuse (421) requests for a host name that a foreign site may own, on every listener. A page of such a site
	 * could otherwise call the route by DNS rebinding. `hosts` names more that are accepted. In front of an evhttp of the
	 * program, the route is also closed to other origins, see `cors_origins`. False by default.
	 */
	bool known_host;
	/** True: served at `admin_listen` only, if the server has that address. */
	bool admin_only;
	/** Purpose of the route, in one line. */
	const char *summary;
	/**
	 * Query and header parameters: a JSON array of OpenAPI Parameter Objects. Names of the pattern are described
	 * automatically; an object with "in":"path" and such a name adds to that.
	 */
	const char *parameters;
	/** Media types of the request body, separated by commas; NULL: application/json if there is a request_schema. */
	const char *request_type;
	/** Schema of the request body, for each of these types. JSON text. */
	const char *request_schema;
	/**
	 * Instead of these two, for types that differ: a JSON object from media types to OpenAPI Media Type Objects.
	 */
	const char *request_content;
	/** Media types of the body of a successful reply; NULL: application/json if there is a reply_schema. */
	const char *reply_type;
	/** Schema of that body. JSON text. */
	const char *reply_schema;
	/** Status of the successful reply, 200 to 599; 0: 200. */
	int reply_status;
	/** Further replies except problem documents: a JSON object, an OpenAPI Responses Object. */
	const char *replies;
	/** True: omit the route from the description. */
	bool is_hidden;
};

/**
 * Register a native handler, before the server runs.
 *
 * @param methods  bits of enum pipit_method
 * @param pattern  "/literal/{name}/{rest...}": `{name}` matches one non-empty segment; `{name...}`, as the last
 *                 segment, the rest of the path, which may be empty. Copied.
 * @param arg      kept; passed to the handler
 * @return 0; -EINVAL bad pattern or no method; -EEXIST another route matches the same requests, neither is more
 *         specific; -EBUSY the server runs; -ENOMEM. After a failure the server refuses to start.
 */
PIPIT_API int pipit_route(
    struct pipit_server *server, unsigned methods, const char *pattern, pipit_handler *handler, void *arg);

/** As pipit_route(); -EINVAL also for invalid options. `options` may be NULL. */
PIPIT_API int pipit_route_with(struct pipit_server *server, unsigned methods, const char *pattern,
    pipit_handler *handler, void *arg, const struct pipit_route_options *options);

/**
 * Register an evhttp callback, unchanged: it may use evhttp_send_reply(), evhttp_send_reply_start(), _chunk() and
 * _end(), and evhttp_send_error(), now or later. It gets complete requests: the body is in the input buffer with a
 * Content-Length, never chunked. It must always reply, even after its client has closed: the reply frees the request.
 * With pipit_server_run() callbacks run on all worker threads. docs/evhttp.md describes every evhttp function.
 * Otherwise as pipit_route().
 */
PIPIT_API int pipit_route_evhttp(
    struct pipit_server *server, unsigned methods, const char *pattern, pipit_evhttp_callback *callback, void *arg);

/** As pipit_route_evhttp(); `options` may be NULL. */
PIPIT_API int pipit_route_evhttp_with(struct pipit_server *server, unsigned methods, const char *pattern,
    pipit_evhttp_callback *callback, void *arg, const struct pipit_route_options *options);

/**
 * For evhttp callbacks: as pipit_reply_problem(), with the headers that the callback has added. 500 replaces a status
 * outside 400 to 599.
 */
PIPIT_API void pipit_evhttp_send_problem(struct evhttp_request *request, int status, const char *detail, ...)
    PIPIT_PRINTF(3, 4);

/** For evhttp callbacks: as pipit_request_json(), within the limits of `server`. */
PIPIT_API struct cJSON *pipit_evhttp_json(struct evhttp_request *request, const struct pipit_server *server);

/** Register the handler for paths that no route matches, instead of 404. All methods. As pipit_route(). */
PIPIT_API int pipit_fallback(struct pipit_server *server, pipit_handler *handler, void *arg);

/** As pipit_fallback(); `options` may be NULL. */
PIPIT_API int pipit_fallback_with(
    struct pipit_server *server, pipit_handler *handler, void *arg, const struct pipit_route_options *options);

/** As pipit_fallback(), for an evhttp callback (evhttp_set_gencb()). */
PIPIT_API int pipit_fallback_evhttp(struct pipit_server *server, pipit_evhttp_callback *callback, void *arg);

/* ---------------------------------------------------------------- filters */

/**
 * A filter, with `arg` from registration. It is called when the head of a request is valid and its route is known, before
 * 100 Continue and before a byte of the body is read (pipit_request_body() is empty). It covers routes of every kind,
 * the fallback, and replies without a route (404, 405, OPTIONS).
 *
 * A filter may reply, which ends the request; add headers to the reply that follows (pipit_reply_header()); attach data
 * (pipit_request_set_data()). When it returns without a reply, the next filter is called, then the handler. A filter
 * that decides later keeps the request (pipit_request_keep()), and then either replies and releases it, or calls
 * pipit_filter_pass(). Until then nothing more is read from the connection.
 *
 * Called on the worker of the request, so on several threads at once if the server has several workers; `arg` is one for
 * all. The filters of the configuration (`hosts`, `cors_origins`, `header`, `protect`) are called before.
 */
typedef void pipit_filter_handler(struct pipit_request *request, void *arg);

/**
 * Register a filter, before the server runs. Filters are called in the order of registration.
 *
 * @param pattern  as for pipit_route(), copied; "/{path...}" matches every request, also OPTIONS *. Several filters may
 *                 have one pattern. Values of `{name}` are those of the route: pipit_request_parameter()
 * @param filter   not NULL
 * @param arg      kept; passed to the filter; may be NULL
 * @return 0; -EINVAL bad pattern, or no filter; -EBUSY the server runs; -ENOMEM. After a failure the server refuses to
 *         start.
 */
PIPIT_API int pipit_filter(struct pipit_server *server, const char *pattern, pipit_filter_handler *filter, void *arg);

/**
 * A filter that has kept the request lets it pass: the next filter is called, or the handler. Releases the request, and
 * removes its abort callback. After the client has closed it only releases.
 *
 * On the worker of the request, once, without a reply. In the filter, the next one is called when the filter returns; in a
 * later callback, before this function returns. Another thread calls it by pipit_request_post().
 *
 * @param request  kept once by a filter, not by a handler; may be freed when this returns
 */
PIPIT_API void pipit_filter_pass(struct pipit_request *request);

/**
 * Attach data to the request, for later filters and the handler. Replaces data of the same key. In a filter, a handler,
 * or as long as the request is kept.
 *
 * @param key      an address that is yours, for example that of a static variable; not NULL. The address is kept, not
 *                 what it points to.
 * @param data     takes, if there is `release`; otherwise kept until the request is freed. May be NULL.
 * @param release  called with `data`, once, on the worker of the request, when the request is freed (after its reply), or
 *                 the data is replaced; NULL: nothing
 * @return 0; -EINVAL no key; -ENOMEM. On failure `data` stays yours.
 */
PIPIT_API int pipit_request_set_data(
    struct pipit_request *request, const void *key, void *data, void (*release)(void *data));

/** The data of `key`, valid until it is replaced or the request is freed; NULL: none. */
PIPIT_API void *pipit_request_data(const struct pipit_request *request, const void *key);

/**
 * For evhttp callbacks: the request of `server`, with the data of filters. Valid until the callback returns. Do not reply
 * with it, and do not keep it.
 *
 * @return NULL after the callback has returned, and for a request of another server
 */
PIPIT_API struct pipit_request *pipit_evhttp_request(struct evhttp_request *request, const struct pipit_server *server);

/* ---------------------------------------------------------------- request */

/** Method of the request. */
PIPIT_API enum pipit_method pipit_request_method(const struct pipit_request *request);

/** Method of the request as text. Static. */
PIPIT_API const char *pipit_request_method_name(const struct pipit_request *request);

/** Path as sent: percent-encoded, without the query. Never NULL. */
PIPIT_API const char *pipit_request_path(struct pipit_request *request);

/** Query as sent, without the question mark; NULL: none. */
PIPIT_API const char *pipit_request_query(struct pipit_request *request);

/**
 * The first query parameter `name`, decoded as application/x-www-form-urlencoded.
 *
 * @param value  receives the text, cut at `size` - 1 bytes, always NUL-terminated
 * @param size   at least 1
 * @return length of the whole decoded value; -1 without such a parameter
 */
PIPIT_API long pipit_request_query_value(struct pipit_request *request, const char *name, char *value, size_t size);

/**
 * What `{name}` or `{name...}` of the route's pattern matched, percent-decoded; NULL when the pattern has no such name,
 * or memory is short.
 */
PIPIT_API const char *pipit_request_parameter(struct pipit_request *request, const char *name);

/** The first header `name`, in any case; NULL when there is none, or memory is short. */
PIPIT_API const char *pipit_request_header(struct pipit_request *request, const char *name);

/**
 * Header number `index`, in order of arrival. Name (as sent) and value are valid as long as the request. False after
 * the last header, or when memory is short.
 */
PIPIT_API bool pipit_request_field(struct pipit_request *request, size_t index, const char **name, const char **value);

/**
 * True when the Content-Type is `media_type`, in any case and with any parameters. "application/json" also matches
 * types that end in "+json".
 */
PIPIT_API bool pipit_request_is(struct pipit_request *request, const char *media_type);

/**
 * Select the media type of a reply by the Accept header (RFC 9110 §12.5.1): the first of those that the client prefers
 * most. The reply should have "Vary: Accept", unless it must not be stored.
 *
 * @param media_types  in the handler's order of preference; parameters are ignored
 * @return an index, 0 without an Accept header; -1: none is acceptable, reply with 406 or the first type
 */
PIPIT_API int pipit_request_negotiate(struct pipit_request *request, const char *const *media_types, size_t count);

/**
 * The whole body, without transfer coding, followed by a NUL that `length` (not NULL) does not count. Never NULL. Valid
 * as long as the request; after pipit_request_keep(), which may move it, call this again.
 */
PIPIT_API const char *pipit_request_body(struct pipit_request *request, size_t *length);

/** As pipit_request_query_value(), for an application/x-www-form-urlencoded body. */
PIPIT_API long pipit_request_form_value(struct pipit_request *request, const char *name, char *value, size_t size);

/**
 * Parse the body as JSON, strictly (RFC 8259), without repeated names in an object, within the configured limits. NULL
 * after an error reply: 415 when the Content-Type is missing, is not JSON, or has a charset other than utf-8, and when
 * the body has a Content-Encoding, which is not decoded; 400 with line, column and byte of the error, and a JSON Pointer
 * in "errors"; 503 when memory is short.
 *
 * A number that a double cannot represent, such as 9007199254740993, keeps its text in `valuestring`:
 * pipit_reply_json() prints it, pipit_read_integer() reads it.
 */
PIPIT_API struct cJSON *pipit_request_json(struct pipit_request *request);

/**
 * Reads values of a JSON document by JSON Pointer (RFC 6901: "/network/mtu") and collects violations for one reply. An
 * absent value yields the fallback. A value of the wrong type or range is a violation and yields the fallback. null is
 * a value.
 *
 *     struct pipit_reader reader = { .doc = doc };
 *     int64_t mtu = pipit_read_integer(&reader, "/mtu", 1500, 576, 9216);
 *     if (pipit_read_finish(&reader, request))
 *             …
 *
 * Zero-initialise all fields but `doc`. Any thread, one at a time.
 */
struct pipit_reader {
	/** Borrowed; NULL: a document without values. */
	const struct cJSON *doc;
	/** Number of violations. */
	size_t violation_count;
	/** Private. */
	struct cJSON *violations;
};

/** A string of `min_bytes` to `max_bytes`. Valid as long as `doc`. */
PIPIT_API const char *pipit_read_string(
    struct pipit_reader *reader, const char *pointer, const char *fallback, size_t min_bytes, size_t max_bytes);

/** An integer, also written as 1e3 or 5.0; exact in 64 bits. */
PIPIT_API int64_t pipit_read_integer(
    struct pipit_reader *reader, const char *pointer, int64_t fallback, int64_t min, int64_t max);

/** A number. */
PIPIT_API double pipit_read_number(
    struct pipit_reader *reader, const char *pointer, double fallback, double min, double max);

/** A boolean. */
PIPIT_API bool pipit_read_boolean(struct pipit_reader *reader, const char *pointer, bool fallback);

/** One of the strings in `choices`, which ends with NULL: returns that element. */
PIPIT_API const char *pipit_read_choice(
    struct pipit_reader *reader, const char *pointer, const char *fallback, const char *const *choices);

/** An absent value is a violation. Returns whether the value exists. */
PIPIT_API bool pipit_read_require(struct pipit_reader *reader, const char *pointer);

/** Violations: members of an object that are not in `names`, which ends with NULL; a value that is not an object. */
PIPIT_API void pipit_read_only(struct pipit_reader *reader, const char *pointer, const char *const *names);

/** Add a violation, for example "must not be the gateway's address". */
PIPIT_API void pipit_read_refuse(struct pipit_reader *reader, const char *pointer, const char *format, ...)
    PIPIT_PRINTF(3, 4);

/**
 * Finish reading. True: no violation. False after a reply: 422, with a problem document whose "errors" list the first
 * 32 violations and their pointers (RFC 9457 §3).
 */
PIPIT_API bool pipit_read_finish(struct pipit_reader *reader, struct pipit_request *request);

/** True for valid UTF-8 (RFC 3629): no overlong forms, no surrogates. Any thread. */
PIPIT_API bool pipit_is_utf8(const char *text, size_t length);

/**
 * Name of the user that a filter has authenticated, `protect` of struct pipit_config or your own; NULL: none. Valid until
 * pipit_request_set_user(), or as long as the request.
 */
PIPIT_API const char *pipit_request_user(const struct pipit_request *request);

/**
 * For filters that authenticate: name the user, for handlers and for the access log, which shows its first 64 bytes.
 * Replaces an earlier name.
 *
 * @param name  copied; NULL: none
 * @return 0; -ENOMEM: the earlier name stays
 */
PIPIT_API int pipit_request_set_user(struct pipit_request *request, const char *name);

/**
 * Numeric address of the client; "unix:" for a client of a UNIX socket, "-" if unknown. Behind a proxy it is the client that the PROXY
 * header, or a proxy of `trusted_proxy`, names.
 */
PIPIT_API const char *pipit_request_peer(struct pipit_request *request);

/** "https" or "http": what the client speaks, as a proxy of `trusted_proxy` says, or to this server. */
PIPIT_API const char *pipit_request_scheme(struct pipit_request *request);

/** True: the request came over TLS. False also when the connection has ended. */
PIPIT_API bool pipit_request_is_https(const struct pipit_request *request);

/**
 * Subject of the client's certificate, as RFC 2253 writes it ("CN=camera-1,O=Example"), in UTF-8, whole. NULL: the client has sent none,
 * the connection had ended before the first call, or memory is short. Copied once, and valid as long as the request. It can be trusted by
 * itself only with `tls_client_auth` "required"; with "optional", see pipit_request_client_verified().
 */
PIPIT_API const char *pipit_request_client_subject(struct pipit_request *request);

/**
 * Whether the client's certificate is valid: "ok", or the reason why it is not ("certificate has expired"). NULL: the client has sent none,
 * or the connection has ended. The text is static.
 */
PIPIT_API const char *pipit_request_client_verified(struct pipit_request *request);

/** Identifier in the access log: 16 hex digits, unique within the process. */
PIPIT_API const char *pipit_request_id(struct pipit_request *request);

/** Pattern of the route, or "fallback". Valid until pipit_server_free(). */
PIPIT_API const char *pipit_request_route(const struct pipit_request *request);

/** The event_base of the request's worker, for a handler that replies later. Valid while the server runs. */
PIPIT_API struct event_base *pipit_request_base(const struct pipit_request *request);

/** The server of the request. */
PIPIT_API struct pipit_server *pipit_request_server(const struct pipit_request *request);

/**
 * Keep the request until pipit_request_release(), also after its reply; a handler that replies later must. Release all
 * requests before pipit_server_free(). 0; -ENOMEM: reply now.
 */
PIPIT_API int pipit_request_keep(struct pipit_request *request);

/**
 * Release a kept request. Without a reply, the client gets 500; once the callback of pipit_request_on_abort() was called, the
 * connection is closed without a reply, and the request is counted as aborted.
 */
PIPIT_API void pipit_request_release(struct pipit_request *request);

/**
 * True when the connection has ended or the handler has replied: further replies are discarded. A client that only shuts
 * down its sending side still gets the reply: pipit_request_on_abort() tells of it, this function does not.
 */
PIPIT_API bool pipit_request_is_gone(const struct pipit_request *request);

/**
 * Set a callback for a client that closes, or whose connection fails, before the reply; it runs within about 250 ms. A
 * client that only shuts down its sending side counts as closed, but still gets the reply.
 *
 * @param callback  called at most once, on the request's worker, never after the reply; NULL removes it
 * @param arg       kept
 */
PIPIT_API void pipit_request_on_abort(
    struct pipit_request *request, void (*callback)(struct pipit_request *, void *arg), void *arg);

/**
 * Run `function` on the request's worker. Another thread replies in this way. Any thread. Keep the request
 * (pipit_request_keep()) until `function` runs. Functions run in the order of the calls, also after the client has
 * closed. The call must return before pipit_server_free().
 *
 * @return 0; -ENOMEM; -ESHUTDOWN the server has stopped: `function` does not run
 */
PIPIT_API int pipit_request_post(
    struct pipit_request *request, void (*function)(struct pipit_request *, void *arg), void *arg);

/* ---------------------------------------------------------------- reply */

/*
 * A request gets one reply; a second one fails with -EALREADY. pipit adds Date, Content-Length and Connection, and
 * omits the body for HEAD, 204, 205 and 304. Replying after the client has closed is harmless. After -ENOMEM the client
 * gets 503.
 */

/**
 * Add a header to the coming reply.
 *
 * @param name   a token, but not Content-Length, Content-Type, Transfer-Encoding, Connection, Keep-Alive, Upgrade or
 *               Date, which pipit sets
 * @param value  without CR, LF or NUL
 * @return also -EINVAL: bad name or value; -ENOSPC: more than 8 KiB of headers
 */
PIPIT_API int pipit_reply_header(struct pipit_request *request, const char *name, const char *value);

/**
 * Reply with a body. pipit buffers what the client does not read at once; without room in `memory_limit`, the reply is
 * aborted and the connection closed. Send a large body with pipit_reply_file().
 *
 * @param status        200 to 599
 * @param content_type  NULL: no Content-Type
 * @param content       `length` bytes, copied; NULL when `length` is 0
 * @return also -EINVAL: bad status or content type
 */
PIPIT_API int pipit_reply(
    struct pipit_request *request, int status, const char *content_type, const void *content, size_t length);

/** Reply with text/plain; charset=utf-8. */
PIPIT_API int pipit_reply_text(struct pipit_request *request, int status, const char *text);

/**
 * Reply with a JSON document, without white space. Numbers are printed so that they parse to the same double. Takes
 * `doc` in every case; NULL, as from a cJSON function without memory, becomes 503.
 *
 * A text above 64 KiB is printed while it is sent, in chunks (for HTTP/1.0, until the connection closes): until then
 * `doc` counts for `memory_limit`. Without room there, or if `doc` refers to memory that it does not own
 * (cJSON_CreateStringReference()), it is printed at once.
 *
 * @return also -EINVAL: bad status; an item without a type, or nesting above 1,000: the client gets 500
 */
PIPIT_API int pipit_reply_json(struct pipit_request *request, int status, struct cJSON *doc);

/**
 * Reply with a problem document (RFC 9457), or with HTML if the Accept header prefers text/html to application/json and
 * application/problem+json (RFC 9110 §12.5.1).
 *
 * @param status  400 to 599; its phrase becomes the title
 * @param detail  printf() format: what is wrong, what would be right; NULL: none
 */
PIPIT_API int pipit_reply_problem(struct pipit_request *request, int status, const char *detail, ...)
    PIPIT_PRINTF(3, 4);

/**
 * Reply with a part of a regular file, through sendfile().
 *
 * @param fd      takes, in every case
 * @param offset  first byte to send
 * @param length  bytes to send; the connection is closed if the file turns out shorter
 * @return also -EBADF: negative descriptor; -EINVAL: bad status. Nothing is sent on failure.
 */
PIPIT_API int pipit_reply_file(
    struct pipit_request *request, int status, const char *content_type, int fd, uint64_t offset, uint64_t length);

/* ---------------------------------------------------------------- streams */

/*
 * A stream is a sequence of server-sent events (text/event-stream, EventSource) that many clients follow. Clients share
 * the events, which are rendered once. A client gets all that are sent after it has joined, each once and in order. One
 * that reads too slowly is disconnected; EventSource reconnects, and the stream can send what it has missed.
 *
 * Sending and joining take a lock of the stream, and so does a worker when events arrive or a client closes. A stream
 * may live longer than the server.
 */

/** Options of a stream. */
struct pipit_stream_options {
	/** Clients at the same time, over all workers (503 with Retry-After above). Default 1000. */
	uint64_t max_clients;
	/**
	 * Events that may be queued for one client; above it, the connection is closed and counted in
	 * http_streams_dropped_total. Clients share queued events. Default 64.
	 */
	size_t max_queue;
	/**
	 * Milliseconds without an event until a comment line shows that the connection is alive, at most 24 hours.
	 * Default 15000.
	 */
	uint64_t heartbeat_ms;
	/** Milliseconds that clients wait before they reconnect. Default 2000. */
	uint64_t retry_ms;
	/** Events kept for clients that reconnect with a Last-Event-ID. Default 0. */
	size_t history;
};

/** One event. Zero-initialise it. */
struct pipit_event {
	/** Type of the event, without line ends; NULL: none, "message" for EventSource. */
	const char *name;
	/** Data, UTF-8; LF, CR and CRLF all arrive as LF. NULL: an empty text. */
	const char *data;
	/** True: no id, not kept for clients that reconnect. */
	bool without_id;
};

/**
 * Create a stream. Any thread.
 *
 * @param options  copied; NULL for the defaults
 * @return freed with pipit_stream_free(); NULL when memory is short or heartbeat_ms is out of range
 */
PIPIT_API struct pipit_stream *pipit_stream_new(const struct pipit_stream_options *options);

/**
 * Free a stream. Its clients get all events sent so far, then the end of the reply; the last of them
 * frees the memory. Any thread. No other call for this stream may run or follow: no handler may join it any more.
 */
PIPIT_API void pipit_stream_free(struct pipit_stream *stream);

/**
 * Reply with the stream: 200, text/event-stream, "Cache-Control: no-store" and the headers of pipit_reply_header(). The
 * body begins with the retry time. A client with a Last-Event-ID then gets the later events of the history, or all of
 * it if the id is not of this stream. The reply ends when the client closes, the stream ends, or the server drains.
 * HEAD gets the head only.
 *
 * @param request  without a reply; in its handler, or later if kept
 * @param first    an event for this client only, before all others, without an id; NULL: none
 * @return 0, also when the client has closed or max_clients refused it with 503; -EINVAL line ends in the name of
 *         `first`, and nothing was sent; -EALREADY; -ENOMEM the client gets 503
 */
PIPIT_API int pipit_stream_join(
    struct pipit_stream *stream, struct pipit_request *request, const struct pipit_event *first);

/**
 * Send an event, which is copied, to all clients, if any. Any thread. Event ids are "PREFIX-NUMBER": the prefix is
 * unique to the stream, the numbers start at 1. Events that workers have not processed yet are queued without a limit:
 * a program that sends too fast must pause.
 *
 * @return 0; -EINVAL the name has line ends; -ENOMEM. Nothing is sent on failure.
 */
PIPIT_API int pipit_stream_send(struct pipit_stream *stream, const struct pipit_event *event);

/**
 * End the replies of all current clients, after all events sent so far. New clients may join later. Any thread. 0 or
 * -ENOMEM.
 */
PIPIT_API int pipit_stream_end(struct pipit_stream *stream);

/** Clients that follow now, over all workers. Any thread. */
PIPIT_API uint64_t pipit_stream_clients(const struct pipit_stream *stream);

/* ---------------------------------------------------------------- settings */

/*
 * Settings are a JSON object in a file. Every value has a JSON Pointer (RFC 6901); "" is the whole document.
 *
 * Readers never wait. A thread of the store applies a change to a copy, writes and synchronises a new file, and
 * replaces the old one; only then readers see the change and its client gets the reply. Changes that arrive meanwhile
 * are written together. After editing the file (indented JSON) by hand, call pipit_settings_reload().
 *
 * Files beside FILE: FILE.previous (before the last change), FILE.lock, FILE.new (while a change is written), and
 * FILE.broken (not valid when the store was opened).
 */

/** Options of a store. */
struct pipit_settings_options {
	/**
	 * May be absent until the first change. Its directory must exist, and be writable for changes. Borrowed for the
	 * call.
	 */
	const char *file;
	/** As settings_max_bytes of struct pipit_config; 413 for a request body. */
	uint64_t max_bytes;
	/** Nesting of arrays and objects. Default 64, at most 512. */
	uint64_t max_depth;
	/** Values: objects, arrays and scalars. Default 100000. */
	uint64_t max_values;
	/** True: refuse changes without If-Match or If-None-Match (428). */
	bool require_match;
};

/**
 * Open a store. Removes what an interrupted change has left, with a log message. If the file is not a JSON object, the
 * previous state is used, if valid.
 *
 * @param settings  receives the store, freed with pipit_settings_free() after the server
 * @return 0; -EINVAL options out of range, or the file is not valid; -EBUSY another process has it open; another
 *         negative errno value
 */
PIPIT_API int pipit_settings_open(
    const struct pipit_settings_options *options, struct pipit_settings **settings, char *error, size_t size);

/**
 * Complete pending changes of the program and close a store, after pipit_server_free(), which refuses what clients wait
 * for, except one change that is being written.
 */
PIPIT_API void pipit_settings_free(struct pipit_settings *settings);

/**
 * Serve a store: GET, PUT, PATCH (RFC 7396 and RFC 6902) and DELETE for `pattern` and all paths below it, with ETags
 * and conditions. SIGHUP then reloads it, if the server handles signals. The routes are `admin_only`. Returns as
 * pipit_route().
 *
 * @param pattern   such as "/api/settings", without a slash at its end
 * @param settings  kept until pipit_server_free()
 */
PIPIT_API int pipit_route_settings(struct pipit_server *server, const char *pattern, struct pipit_settings *settings);

/**
 * Checks the new settings, which are the document of `reader`. Any violation refuses the change; the client gets all in
 * one 422. Runs on the store's thread before the change is written; must not call the store.
 */
typedef void pipit_settings_check(struct pipit_reader *reader, void *arg);

/** Reports new settings after they are durable; borrowed. Runs on the store's thread; must not wait for the store. */
typedef void pipit_settings_changed(const struct cJSON *settings, void *arg);

/**
 * Validate changes, and get notified of them. Before the store is served.
 *
 * @param check    NULL: all changes are valid
 * @param changed  NULL: none; not called for the current settings
 * @param arg      kept; passed to both
 * @return 0; -EINVAL the current settings are not valid, after a message on standard error; -ENOMEM
 */
PIPIT_API int pipit_settings_on_change(
    struct pipit_settings *settings, pipit_settings_check *check, pipit_settings_changed *changed, void *arg);

/** A copy of a value; NULL when there is none, or memory is short. pointer: "" for the whole document. Any thread. */
PIPIT_API struct cJSON *pipit_settings_get(struct pipit_settings *settings, const char *pointer);

/**
 * Apply a merge patch (RFC 7396) to a value, and wait until the change is durable. Any thread, but not from a handler
 * (its worker would block) or a check or changed callback.
 *
 * @param pointer  of a value that exists; "" for the whole document
 * @param patch    takes, in every case. NULL gives -ENOMEM: cJSON functions return NULL when memory is short.
 * @return 0; -ENOENT no such value; -EINVAL refused, also by the check; -ENOSPC; -EIO; -EBUSY; -ENOMEM
 */
PIPIT_API int pipit_settings_merge(
    struct pipit_settings *settings, const char *pointer, struct cJSON *patch, char *error, size_t size);

/** Read the file again soon. Invalid settings are ignored and logged. 0; -EBUSY; -ENOMEM. Any thread. */
PIPIT_API int pipit_settings_reload(struct pipit_settings *settings);

/* ---------------------------------------------------------------- ready-made handlers */

/*
 * Handlers for pipit_route() and pipit_fallback(), which always reply. Other handlers may call them with what would be
 * their `arg`.
 */

/** A page inside the program. */
struct pipit_page {
	/** Decoded, without dot segments. "/index.html" is also served for "/". */
	const char *path;
	/** NULL: by the extension of `path`. */
	const char *content_type;
	/** A strong ETag with its quotes, different for different content; NULL: none. */
	const char *etag;
	/** The body, borrowed as long as the site lives. */
	const void *content;
	/** Bytes at `content`. */
	size_t length;
	/** Above 0: `content` is gzip data, and this is its length when decompressed. */
	size_t plain_length;
};

/** Options of a site. Strings are borrowed for the call. */
struct pipit_site_options {
	/** Name of a directory, which is looked up anew all the time; NULL: serve `pages`. */
	const char *root;
	/**
	 * Pages inside the program, borrowed as long as the site lives; sent with "Content-Security-Policy: default-src
	 * 'self'; frame-ancestors 'self'".
	 */
	const struct pipit_page *pages;
	/** Number of `pages`. */
	size_t page_count;
	/** Removed from the path first, for a route such as "/docs/{path...}": "/docs". Borrowed; NULL: nothing. */
	const char *prefix;
	/** A sentence for the 404 of "/" without index.html. Borrowed; NULL: none. */
	const char *advice;
	/**
	 * Serve /index.html for absent paths, if the client accepts text/html; where the last segment has a dot, only if it
	 * navigates (docs/files.md).
	 */
	bool spa;
	/** List directories without index.html, as a page, or as JSON for clients that prefer application/json. */
	bool listing;
	/** Do not compress; precompressed files (.br, .zst, .gz) are still served. */
	bool no_compression;
	/**
	 * "PATTERN=VALUE; …": the first fnmatch(3) pattern that matches the path sets Cache-Control; '*' also matches
	 * slashes. NULL: no header (for `pages`: no-cache).
	 */
	const char *cache_control;
	/** A file like /etc/mime.types, which overrides the built-in types; NULL: none. */
	const char *media_types;
};

/**
 * Handler that joins the stream `stream`, its `arg`. NULL: registration fails (-EINVAL); called by another handler, it
 * replies 500 and logs an error.
 */
PIPIT_API void pipit_stream_serve(struct pipit_request *request, void *stream);

/**
 * Open a site for pipit_serve_files().
 *
 * @param site  receives the site, freed with pipit_site_free() after the server
 * @return 0; -EINVAL; -ENOMEM; or as open(2)
 */
PIPIT_API int pipit_site_open(
    const struct pipit_site_options *options, struct pipit_site **site, char *error, size_t size);

/** pipit_site_open() for a directory, without options; NULL with errno set on failure. */
PIPIT_API struct pipit_site *pipit_site_new(const char *root);

/** Free a site. */
PIPIT_API void pipit_site_free(struct pipit_site *site);

/**
 * Handler for static files. Serves GET and HEAD of regular files below the root, and index.html for a directory; never
 * dotfiles, except below /.well-known. A change of a file is seen within 10 ms, and by all workers once one has seen it.
 *
 * Files have strong ETags, conditions (RFC 9110 §13) and up to 32 ranges (§14). Compressible files are sent as their
 * precompressed variant app.js.br, .zst or .gz, if the client accepts it and it is not older, or compressed with gzip
 * from 1 KiB to 256 KiB. Clients that do not prefer JSON get the root's 404.html and 403.html.
 *
 * @param site  the handler's `arg`: a struct pipit_site; NULL: as for pipit_stream_serve()
 */
PIPIT_API void pipit_serve_files(struct pipit_request *request, void *site);

/**
 * Handler for the dashboard's data: a stream with one event per second, first the last ten minutes. Collects them from
 * the start of a server with such a route, otherwise from the first call by another handler. `arg` is not used.
 */
PIPIT_API void pipit_serve_events(struct pipit_request *request, void *arg);

/** Handler for metrics: Prometheus text, or OpenMetrics for clients that prefer it. `arg` is not used. */
PIPIT_API void pipit_serve_metrics(struct pipit_request *request, void *arg);

/**
 * Handler for the OpenAPI 3.1 description of the server's routes, as JSON, without the fallback, and without those that
 * the address of the request does not serve. Made when the server
 * starts; if only other handlers call this one, for each call.
 *
 * @param title  the handler's `arg`, UTF-8, read when the server starts; NULL: "pipit". If it is not UTF-8, the server
 *               does not start; called by another handler, it replies 500.
 */
PIPIT_API void pipit_serve_openapi(struct pipit_request *request, void *title);

#ifdef __cplusplus
}
#endif

#endif
