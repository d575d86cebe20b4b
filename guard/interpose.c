/* SPDX-License-Identifier: MIT */
/*
 * libpipit-guard.so: the functions by which an evhttp gets its sockets, called by the program in the place of libevent's. Each calls the
 * real one, which it finds behind itself.
 *
 * Every process that inherits LD_PRELOAD loads this file: it needs libc only and does nothing before the program binds an evhttp.
 */
#include "guarding.h"

#include <dlfcn.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http_compat.h>
#include <event2/listener.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

#define INTERPOSED __attribute__((visibility("default")))

/* Real functions call one another by their public names. */
static _Thread_local unsigned depth;

/* --- messages before the core is loaded --------------------------------------------------------------------------------- */

/* Standard error may be a pipe without a reader. */
static void write_line(const char *line, size_t length)
{
	struct timespec at_once = { 0, 0 };
	sigset_t set, before;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	if (write(STDERR_FILENO, line, length) < 0 && errno == EPIPE && !sigismember(&before, SIGPIPE))
		sigtimedwait(&set, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

__attribute__((format(printf, 2, 3))) static void say(const char *level, const char *format, ...)
{
	char text[512], line[640];
	va_list arguments;
	int length;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	length = snprintf(line, sizeof line, "pipit-guard[%s]: %s: %s\n", program_invocation_short_name, level, text);
	write_line(line, (size_t)length);
}

/* --- the real functions ------------------------------------------------------------------------------------------------- */

/* A libevent that only a plug-in is linked with is visible through the plug-in. */
static void *find_through(const char *name, const void *caller)
{
	Dl_info info;
	void *handle, *found;

	if (!dladdr(caller, &info) || !info.dli_fname)
		return NULL;
	handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	if (!handle)
		return NULL;
	found = dlsym(handle, name);
	dlclose(handle);
	return found;
}

static void *find(const char *name, const void *caller)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (!found)
		found = find_through(name, caller);
	if (!found)
		say("error", "libevent has no %s(): the call fails", name);
	return found;
}

/* ISO C has no conversion from an object pointer to a function pointer; POSIX has. */
#define REAL(type, name, caller)                              \
	static _Atomic(void *) found;                         \
	void *found_now = found ? found : find(name, caller); \
	type *real;                                           \
	found = found_now;                                    \
	*(void **)&real = found_now
#define CALLER __builtin_return_address(0)

/* --- the core ----------------------------------------------------------------------------------------------------------- */

static struct stat errors; /* of standard error when the program started; st_ino 0: closed */

static char core_path[PATH_MAX]; /* empty: unknown */

static char **variables; /* the PIPIT_ variables; NULL: memory was short */

static bool is_of_pipit(const char *variable)
{
	return strncmp(variable, "PIPIT_", strlen("PIPIT_")) == 0;
}

static void remember_variables(void)
{
	size_t count = 0;

	for (char **at = environ; at && *at; at++)
		count += is_of_pipit(*at);
	variables = calloc(count + 1, sizeof *variables);
	count = 0;
	for (char **at = environ; variables && at && *at; at++) {
		if (!is_of_pipit(*at))
			continue;
		variables[count] = strdup(*at);
		count += variables[count] != NULL;
	}
}

/* The program may close standard error, and change its directory or its environment, before it binds. */
__attribute__((constructor)) static void remember_start(void)
{
	char path[PATH_MAX], *slash;
	Dl_info info;

	if (fstat(STDERR_FILENO, &errors) != 0)
		errors.st_ino = 0;
	remember_variables();
	if (!dladdr(&errors, &info) || !realpath(info.dli_fname, path))
		return;
	slash = strrchr(path, '/');
	snprintf(core_path, sizeof core_path, "%.*s/%s", (int)(slash - path), path, PIPIT_GUARD_CORE);
}

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static const struct pipit_guarding *_Atomic core; /* NULL: not loaded, or the guard stands aside */

/* 2.1.12, and later versions with the same ABI. */
static bool is_supported(void)
{
	uint32_t (*get_version)(void);
	const char *(*get_text)(void);
	uint32_t version;

	*(void **)&get_version = dlsym(RTLD_DEFAULT, "event_get_version_number");
	*(void **)&get_text = dlsym(RTLD_DEFAULT, "event_get_version");
	version = get_version ? get_version() : 0;
	if (version >> 16 == 0x0201 && version >= 0x02010c00)
		return true;
	say("warn", "stands aside: it guards libevent 2.1 from 2.1.12 on, and this is %s",
	    get_text ? get_text() : "unknown");
	return false;
}

static bool is_broken; /* the core cannot be loaded: the program must not bind, because it would be without the guard */

static void load(void)
{
	static char *none[1];
	void *handle;

	if (!is_supported())
		return;
	handle = dlopen(core_path, RTLD_NOW | RTLD_LOCAL);
	if (handle)
		core = dlsym(handle, PIPIT_GUARD_CORE_SYMBOL);
	is_broken = !core;
	if (core)
		core->set_start(errors.st_dev, errors.st_ino, variables ? variables : environ ? environ : none);
	else
		say("error", "the program cannot bind its evhttp: %s", dlerror());
}

static bool guards_children(void)
{
	static const char setting[] = PIPIT_GUARD_CHILDREN "=on";
	char **at = variables;

	while (at && *at && strcmp(*at, setting) != 0)
		at++;
	return at && *at;
}

/* In place, because other threads may read the environment. The loader skips empty names. */
static void remove_from_environment(void)
{
	char *value = getenv("LD_PRELOAD"), *at, *start;

	if (!value || guards_children())
		return;
	while ((at = strstr(value, PIPIT_GUARD_LIBRARY))) {
		for (start = at; start > value && !strchr(" :", start[-1]);)
			start--;
		memset(start, ':', (size_t)(at - start) + strlen(PIPIT_GUARD_LIBRARY));
	}
	if (value[strspn(value, " :")] == '\0')
		value[0] = '\0';
}

static enum pipit_guarding_result begin(struct evhttp *http)
{
	pthread_once(&load_once, load);
	remove_from_environment();
	if (is_broken)
		return PIPIT_GUARDING_WRONG;
	return core ? core->begin(http) : PIPIT_GUARDING_ASIDE;
}

static bool is_inside(void)
{
	return depth > 0 || (core && core->is_inside());
}

/* --- sockets ------------------------------------------------------------------------------------------------------------ */

/* Returns `bound`, or NULL with errno. */
static struct evhttp_bound_socket *tell_bound(struct evhttp *http, struct evhttp_bound_socket *bound)
{
	int error = errno;
	if (bound && !core->bound(http, bound)) {
		bound = NULL;
		error = ENOMEM;
	}
	errno = error;
	return bound;
}

/* Leaves errno unchanged. */
static void tell_failed(const char *address, ev_uint16_t port)
{
	int error = errno;
	if (core)
		core->bind_failed(address, port);
	errno = error;
}

/* False: the program must not bind; errno is set. */
static bool begin_binding(struct evhttp *http, bool has_real, bool *is_guarded)
{
	enum pipit_guarding_result result = PIPIT_GUARDING_ASIDE;

	if (has_real && !is_inside())
		result = begin(http);
	*is_guarded = result == PIPIT_GUARDING_ON;
	if (!has_real || result == PIPIT_GUARDING_WRONG) {
		errno = EINVAL;
		return false;
	}
	depth++;
	return true;
}

static struct evhttp_bound_socket *end_binding(struct evhttp *http, struct evhttp_bound_socket *bound, bool is_guarded)
{
	if (is_guarded)
		bound = tell_bound(http, bound);
	depth--;
	return bound;
}

typedef struct evhttp_bound_socket *bind_with_handle(struct evhttp *, const char *, ev_uint16_t);
typedef struct evhttp_bound_socket *accept_with_handle(struct evhttp *, evutil_socket_t);
typedef struct evhttp_bound_socket *bind_listener(struct evhttp *, struct evconnlistener *);
typedef struct evhttp *start(const char *, ev_uint16_t);

/* caller: the program, or a plug-in. */
static struct evhttp_bound_socket *bind_for(
    const void *caller, struct evhttp *http, const char *address, ev_uint16_t port)
{
	struct evhttp_bound_socket *bound;
	bool is_guarded;
	REAL(bind_with_handle, "evhttp_bind_socket_with_handle", caller);

	if (!begin_binding(http, real != NULL, &is_guarded))
		return NULL;
	bound = real(http, address, port);
	if (!bound)
		tell_failed(address, port);
	return end_binding(http, bound, is_guarded);
}

INTERPOSED struct evhttp_bound_socket *evhttp_bind_socket_with_handle(
    struct evhttp *http, const char *address, ev_uint16_t port)
{
	return bind_for(CALLER, http, address, port);
}

INTERPOSED int evhttp_bind_socket(struct evhttp *http, const char *address, ev_uint16_t port)
{
	return bind_for(CALLER, http, address, port) ? 0 : -1;
}

static struct evhttp_bound_socket *accept_for(const void *caller, struct evhttp *http, evutil_socket_t fd)
{
	bool is_guarded;
	REAL(accept_with_handle, "evhttp_accept_socket_with_handle", caller);

	if (!begin_binding(http, real != NULL, &is_guarded))
		return NULL;
	return end_binding(http, real(http, fd), is_guarded);
}

INTERPOSED struct evhttp_bound_socket *evhttp_accept_socket_with_handle(struct evhttp *http, evutil_socket_t fd)
{
	return accept_for(CALLER, http, fd);
}

INTERPOSED int evhttp_accept_socket(struct evhttp *http, evutil_socket_t fd)
{
	return accept_for(CALLER, http, fd) ? 0 : -1;
}

INTERPOSED struct evhttp_bound_socket *evhttp_bind_listener(struct evhttp *http, struct evconnlistener *listener)
{
	bool is_guarded;
	REAL(bind_listener, "evhttp_bind_listener", CALLER);

	if (!begin_binding(http, real != NULL, &is_guarded))
		return NULL;
	return end_binding(http, real(http, listener), is_guarded);
}

static void take_first(struct evhttp_bound_socket *bound, void *first)
{
	*(struct evhttp_bound_socket **)first = bound;
}

/* evhttp_new(), then evhttp_bind_socket(), within libevent. The loop does not run yet. */
INTERPOSED struct evhttp *evhttp_start(const char *address, ev_uint16_t port)
{
	typedef void for_each_bound(struct evhttp *, void (*)(struct evhttp_bound_socket *, void *), void *);
	typedef void free_http(struct evhttp *);
	struct evhttp_bound_socket *bound = NULL;
	for_each_bound *for_each;
	free_http *free_real;
	struct evhttp *http;
	bool is_guarded = false;
	REAL(start, "evhttp_start", CALLER);

	*(void **)&for_each = dlsym(RTLD_DEFAULT, "evhttp_foreach_bound_socket");
	*(void **)&free_real = dlsym(RTLD_NEXT, "evhttp_free");
	depth++;
	http = real ? real(address, port) : NULL;
	depth--;
	if (!http && real)
		tell_failed(address, port);
	if (!http || !for_each || !free_real)
		return http;
	for_each(http, take_first, &bound);
	if (bound && begin_binding(http, true, &is_guarded))
		bound = end_binding(http, bound, is_guarded);
	else
		bound = NULL;
	if (bound)
		return http;
	if (core)
		core->end(http);
	free_real(http);
	return NULL;
}

/* --- calls that end or bypass the guard ------------------------------------------------------------------------------------ */

typedef void free_evhttp(struct evhttp *);
typedef void set_bevcb(struct evhttp *, struct bufferevent *(*)(struct event_base *, void *), void *);
typedef int enable(struct bufferevent *, short);

INTERPOSED void evhttp_free(struct evhttp *http)
{
	REAL(free_evhttp, "evhttp_free", CALLER);

	if (!real)
		return;
	if (core && !is_inside())
		core->end(http);
	real(http);
}

INTERPOSED void evhttp_set_bevcb(
    struct evhttp *http, struct bufferevent *(*callback)(struct event_base *, void *), void *arg)
{
	REAL(set_bevcb, "evhttp_set_bevcb", CALLER);

	if (!real)
		return;
	if (!is_inside()) {
		pthread_once(&load_once, load);
		if (core && !core->take_bevcb(http, callback))
			return;
	}
	real(http, callback, arg);
}

INTERPOSED int bufferevent_enable(struct bufferevent *bev, short events)
{
	int result;
	REAL(enable, "bufferevent_enable", CALLER);

	result = real ? real(bev, events) : -1;
	if (result == 0 && core && events & EV_WRITE)
		core->write_enabled(bev);
	return result;
}

/* bufferevent_free() removes the callbacks, too. */
static _Thread_local unsigned freeing;

typedef void free_bufferevent(struct bufferevent *);
typedef void set_callbacks(
    struct bufferevent *, bufferevent_data_cb, bufferevent_data_cb, bufferevent_event_cb, void *);
typedef struct evhttp_connection *new_connection(
    struct event_base *, struct evdns_base *, struct bufferevent *, const char *, ev_uint16_t);

INTERPOSED void bufferevent_free(struct bufferevent *bev)
{
	REAL(free_bufferevent, "bufferevent_free", CALLER);

	freeing++;
	if (real)
		real(bev);
	freeing--;
}

static void on_no_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev, (void)what, (void)arg;
}

/* A bufferevent without an event callback and without an argument is one that evhttp has freed: see pipit_evhttp_link_is_released(). */
INTERPOSED void bufferevent_setcb(struct bufferevent *bev, bufferevent_data_cb on_read, bufferevent_data_cb on_write,
    bufferevent_event_cb on_event, void *arg)
{
	REAL(set_callbacks, "bufferevent_setcb", CALLER);

	if (!on_event && !arg && !freeing && core && core->has_bufferevent(bev))
		on_event = on_no_event;
	if (real)
		real(bev, on_read, on_write, on_event, arg);
}

/*
 * evhttp calls it with what its bevcb has returned. In the place of NULL it would make a socket bufferevent, and read from the client
 * unguarded; after NULL from here, it closes the client.
 */
INTERPOSED struct evhttp_connection *evhttp_connection_base_bufferevent_new(struct event_base *base,
    struct evdns_base *resolver, struct bufferevent *bev, const char *address, ev_uint16_t port)
{
	REAL(new_connection, "evhttp_connection_base_bufferevent_new", CALLER);

	if (!real || (core && core->must_refuse() && !bev))
		return NULL;
	return real(base, resolver, bev, address, port);
}
