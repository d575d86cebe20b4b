/* SPDX-License-Identifier: MIT */
/* Read from pipit_authentication_filter() on. */
#include "auth/authentication.h"

#include "auth/credentials.h"
#include "auth/failures.h"
#include "auth/protection.h"
#include "auth/remembered.h"
#include "auth/user_file.h"
#include "auth/verifier.h"
#include "base/log.h"
#include "config/config.h"
#include "metrics/counters.h"
#include "request/request.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Requests that wait for a hash or a delayed reply. */
#define ATTEMPTS_MAX 1024
/* A log line when an address has this many failures, and again when it has as many more. */
#define FAILURES_LOGGED 10
#define ERROR_SIZE 1024
#define CHALLENGE_SIZE 1024

/* What SIGHUP replaces. */
struct users {
	atomic_uint holds;
	struct pipit_remembered *remembered;
	struct pipit_user_file *files[]; /* by the number of the rules' file */
};

struct attempt;

struct pipit_authentication {
	struct pipit_digest_key key;
	struct pipit_protection protection;
	struct pipit_failures *failures;
	struct pipit_verifier *verifier;
	pthread_mutex_t lock; /* for what follows */
	struct users *users;
	struct attempt *attempts;
	size_t attempt_count;
	atomic_bool is_stopped;
};

/* A kept request. Owned by its worker, or by the verifier until `posted` runs. */
struct attempt {
	struct pipit_verifier_job job; /* first */
	struct attempt *next, *previous;
	struct pipit_authentication *authentication;
	struct pipit_request *request;
	struct pipit_protection_match match;
	struct pipit_failures_address address;
	struct users *users; /* held */
	enum pipit_scheme scheme;
	bool is_known;  /* BASIC: the hash is that of the name */
	bool is_posted; /* set by the verifier: a message is in the worker's inbox */
	struct event *delay;
	struct pipit_credentials credentials; /* BASIC */
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- users -------------------------------------------------------------------------------------------------------------- */

static void free_users(struct users *users, size_t file_count)
{
	for (size_t i = 0; users && i < file_count; i++)
		pipit_user_file_free(users->files[i]);
	if (users)
		pipit_remembered_free(users->remembered);
	free(users);
}

static struct users *hold_users(struct pipit_authentication *authentication)
{
	struct users *users;
	pthread_mutex_lock(&authentication->lock);
	users = authentication->users;
	atomic_fetch_add_explicit(&users->holds, 1, memory_order_relaxed);
	pthread_mutex_unlock(&authentication->lock);
	return users;
}

static void release_users(struct pipit_authentication *authentication, struct users *users)
{
	/* acq_rel: the last one sees what the others did. */
	if (users && atomic_fetch_sub_explicit(&users->holds, 1, memory_order_acq_rel) == 1)
		free_users(users, authentication->protection.file_count);
}

static const struct pipit_protection_rule *find_rule_of_file(const struct pipit_protection *protection, size_t file)
{
	const struct pipit_protection_rule *rule = protection->rules;
	while (rule->files[protection->files[file].scheme] != file)
		rule++;
	return rule;
}

/* Reports every wrong file. config: of the start; NULL: of a reload. */
static int read_users(
    const struct pipit_authentication *authentication, const struct pipit_config *config, struct users **users)
{
	const struct pipit_protection *protection = &authentication->protection;
	struct users *made = calloc(1, sizeof *made + protection->file_count * sizeof *made->files);
	int result = 0;

	if (made)
		made->remembered = pipit_remembered_new();
	if (!made || !made->remembered) {
		pipit_log(PIPIT_LOG_ERROR, "protect: out of memory");
		result = -ENOMEM;
	}
	for (size_t i = 0; made && made->remembered && i < protection->file_count; i++) {
		const struct pipit_protection_file *file = &protection->files[i];
		char why[ERROR_SIZE];
		int error = pipit_user_file_read(
		    file->scheme, file->name, &authentication->key, &made->files[i], why, sizeof why);
		if (error != 0 && config)
			pipit_config_log_error(
			    config, "protect = \"%s\": %s", find_rule_of_file(protection, i)->line, why);
		else if (error != 0)
			pipit_log(PIPIT_LOG_ERROR, "users are not read again, the old ones stay in force: %s", why);
		else if (pipit_user_file_count(made->files[i]) == 0)
			pipit_log(PIPIT_LOG_WARN, "%s: has no users: every request is refused", file->name);
		if (error != 0 && result == 0)
			result = error == -ENOMEM ? error : -EINVAL;
	}
	if (result != 0) {
		free_users(made, protection->file_count);
		return result;
	}
	atomic_init(&made->holds, 1);
	*users = made;
	return 0;
}

int pipit_authentication_reload(struct pipit_authentication *authentication)
{
	struct users *users, *before;
	int error = read_users(authentication, NULL, &users);

	if (error != 0)
		return error;
	pthread_mutex_lock(&authentication->lock);
	before = authentication->users;
	authentication->users = users;
	pthread_mutex_unlock(&authentication->lock);
	release_users(authentication, before);
	pipit_log(PIPIT_LOG_INFO, "users read again");
	return 0;
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

static int read_rules(struct pipit_authentication *authentication, const struct pipit_config *config)
{
	struct pipit_slice wrong = { "", 0 };
	char why[ERROR_SIZE];
	int error = pipit_protection_parse(config->protect, &authentication->protection, &wrong, why, sizeof why);
	if (error != 0)
		pipit_config_log_error(config, "protect = \"%.*s\": %s", (int)wrong.length, wrong.data, why);
	return error;
}

int pipit_authentication_new(
    const struct pipit_config *config, size_t threads, struct pipit_authentication **authentication)
{
	struct pipit_authentication *made;
	int error;

	*authentication = NULL;
	if (!config->protect)
		return 0;
	made = calloc(1, sizeof *made);
	if (!made)
		return -ENOMEM;
	pthread_mutex_init(&made->lock, NULL);
	error = pipit_digest_new_key(&made->key);
	if (error == 0) {
		made->failures = pipit_failures_new(&made->key);
		made->verifier = pipit_verifier_new(threads);
		error = made->failures && made->verifier ? 0 : -ENOMEM;
	}
	if (error != 0)
		pipit_log(PIPIT_LOG_ERROR, "protect: %s", strerror(-error));
	else
		error = read_rules(made, config);
	if (error == 0)
		error = read_users(made, config, &made->users);
	if (error == 0)
		*authentication = made;
	else
		pipit_authentication_free(made);
	return error;
}

void pipit_authentication_free(struct pipit_authentication *authentication)
{
	if (!authentication)
		return;
	release_users(authentication, authentication->users);
	pipit_protection_clear(&authentication->protection);
	pipit_failures_free(authentication->failures);
	pipit_verifier_free(authentication->verifier);
	pthread_mutex_destroy(&authentication->lock);
	explicit_bzero(&authentication->key, sizeof authentication->key);
	free(authentication);
}

const char *pipit_authentication_file(
    const struct pipit_authentication *authentication, size_t index, const char **rule)
{
	const struct pipit_protection *protection = &authentication->protection;

	if (index >= protection->file_count)
		return NULL;
	*rule = find_rule_of_file(protection, index)->line;
	return protection->files[index].name;
}

/* --- replies ------------------------------------------------------------------------------------------------------------ */

static void count(const struct pipit_request *request, enum pipit_counters_authentication outcome)
{
	pipit_counters_authentication(request->pool->counters, outcome);
}

/* A quoted string (RFC 9110 §5.6.4). */
static void quote(char *out, size_t size, const char *text)
{
	size_t length = 0;
	for (; *text != '\0' && length + 3 < size; text++) {
		if (*text == '"' || *text == '\\')
			out[length++] = '\\';
		out[length++] = *text;
	}
	out[length] = '\0';
}

/* extra: of Bearer (RFC 6750 §3). */
static void add_challenge(struct pipit_request *request, const struct pipit_protection *protection,
    const struct pipit_protection_rule *rule, enum pipit_scheme scheme, const char *extra)
{
	char realm[CHALLENGE_SIZE / 2], challenge[CHALLENGE_SIZE];

	if (rule->files[scheme] == PIPIT_PROTECTION_NONE)
		return;
	quote(realm, sizeof realm, protection->files[rule->files[scheme]].realm);
	if (scheme == PIPIT_SCHEME_BASIC)
		snprintf(challenge, sizeof challenge, "Basic realm=\"%s\", charset=\"UTF-8\"", realm);
	else
		snprintf(challenge, sizeof challenge, "Bearer realm=\"%s\"%s", realm, extra);
	pipit_reply_header(request, "WWW-Authenticate", challenge);
}

/* extra: for Bearer; "" unless the client sent a token. */
static void challenge(struct pipit_request *request, const struct pipit_authentication *authentication,
    const struct pipit_protection_rule *rule, const char *extra, const char *detail)
{
	for (int scheme = 0; scheme < PIPIT_SCHEMES; scheme++)
		add_challenge(request, &authentication->protection, rule, (enum pipit_scheme)scheme, extra);
	pipit_reply_problem(request, 401, "%s", detail);
}

static void refuse_wrong(struct pipit_request *request, const struct pipit_authentication *authentication,
    const struct pipit_protection_rule *rule, enum pipit_scheme scheme)
{
	if (scheme == PIPIT_SCHEME_BEARER)
		challenge(request, authentication, rule, ", error=\"invalid_token\"", "The token is not valid.");
	else
		challenge(request, authentication, rule, "", "The name or the password is wrong.");
}

static void refuse_later(struct pipit_request *request, int status, const char *detail)
{
	count(request, PIPIT_AUTHENTICATION_REFUSED);
	pipit_reply_header(request, "Retry-After", "1");
	pipit_reply_problem(request, status, "%s", detail);
}

/* The user is who it says. False after a reply. */
static bool admit(struct pipit_request *request, const struct pipit_authentication *authentication,
    const struct pipit_protection_match *match, enum pipit_scheme scheme, const char *name,
    enum pipit_counters_authentication outcome)
{
	size_t file = match->rule->files[scheme];

	if (pipit_request_set_user(request, name) != 0) {
		pipit_request_reply_short(request);
		return false;
	}
	if (pipit_protection_admits(match->rule, scheme, file, name) &&
	    pipit_protection_admits(match->also, scheme, file, name)) {
		count(request, outcome);
		return true;
	}
	count(request, PIPIT_AUTHENTICATION_FORBIDDEN);
	if (scheme == PIPIT_SCHEME_BEARER)
		add_challenge(
		    request, &authentication->protection, match->rule, scheme, ", error=\"insufficient_scope\"");
	pipit_reply_problem(request, 403, "This user may not do that.");
	return false;
}

/* --- attempts ----------------------------------------------------------------------------------------------------------- */

static bool add_attempt(struct pipit_authentication *authentication, struct attempt *attempt)
{
	bool has_room;
	pthread_mutex_lock(&authentication->lock);
	has_room = authentication->attempt_count < ATTEMPTS_MAX;
	if (has_room) {
		authentication->attempt_count++;
		attempt->next = authentication->attempts;
		if (attempt->next)
			attempt->next->previous = attempt;
		authentication->attempts = attempt;
	}
	pthread_mutex_unlock(&authentication->lock);
	return has_room;
}

static void remove_attempt(struct attempt *attempt)
{
	struct pipit_authentication *authentication = attempt->authentication;
	pthread_mutex_lock(&authentication->lock);
	authentication->attempt_count--;
	if (attempt->previous)
		attempt->previous->next = attempt->next;
	else
		authentication->attempts = attempt->next;
	if (attempt->next)
		attempt->next->previous = attempt->previous;
	pthread_mutex_unlock(&authentication->lock);
}

/* The request is replied to, passes, or is gone. */
static void free_attempt(struct attempt *attempt)
{
	remove_attempt(attempt);
	pipit_failures_end(attempt->authentication->failures, attempt->address);
	release_users(attempt->authentication, attempt->users);
	pipit_credentials_forget(&attempt->credentials);
	if (attempt->delay)
		event_free(attempt->delay);
	free(attempt);
}

/* NULL after a reply. Holds `users`, which stays the caller's on failure. */
static struct attempt *begin_attempt(struct pipit_request *request, struct pipit_authentication *authentication,
    const struct pipit_protection_match *match, struct users *users, enum pipit_scheme scheme)
{
	struct pipit_failures_address address = pipit_failures_read_address(pipit_request_peer(request));
	struct attempt *attempt;

	if (!pipit_failures_begin(authentication->failures, address, now_ms())) {
		refuse_later(request, 429, "Too many passwords of this address are being checked.");
		return NULL;
	}
	attempt = calloc(1, sizeof *attempt);
	if (!attempt || pipit_request_keep(request) != 0) {
		pipit_failures_end(authentication->failures, address);
		free(attempt);
		pipit_request_reply_short(request);
		return NULL;
	}
	attempt->authentication = authentication;
	attempt->request = request;
	attempt->match = *match;
	attempt->address = address;
	attempt->scheme = scheme;
	if (!add_attempt(authentication, attempt)) {
		refuse_later(request, 503, "Too many passwords are being checked.");
		pipit_request_release(request);
		pipit_failures_end(authentication->failures, address);
		free(attempt);
		return NULL;
	}
	attempt->users = users;
	return attempt;
}

/* A wrong password: the delayed reply. */
static void finish_failure(struct attempt *attempt)
{
	struct pipit_request *request = attempt->request;

	refuse_wrong(request, attempt->authentication, attempt->match.rule, attempt->scheme);
	free_attempt(attempt);
	pipit_request_release(request);
}

static void on_delay(evutil_socket_t fd, short what, void *attempt)
{
	(void)fd, (void)what;
	finish_failure(attempt);
}

static void delay_failure(struct attempt *attempt)
{
	struct pipit_request *request = attempt->request;
	unsigned failures;
	unsigned delay = pipit_failures_add(attempt->authentication->failures, attempt->address, now_ms(), &failures);
	struct timeval time = { (time_t)(delay / 1000), (suseconds_t)(delay % 1000 * 1000) };

	count(request, PIPIT_AUTHENTICATION_FAILED);
	if (failures % FAILURES_LOGGED == 0)
		pipit_log(PIPIT_LOG_WARN, "%s: %u wrong passwords or tokens", pipit_request_peer(request), failures);
	attempt->delay = evtimer_new(request->pool->base, on_delay, attempt);
	if (!attempt->delay || evtimer_add(attempt->delay, &time) != 0)
		finish_failure(attempt);
}

/* --- Basic -------------------------------------------------------------------------------------------------------------- */

static struct pipit_digest digest_of_success(
    const struct pipit_authentication *authentication, size_t file, const struct pipit_credentials *credentials)
{
	const struct pipit_slice parts[] = {
		{ (const char *)&file, sizeof file },
		pipit_slice_of(credentials->name),
		pipit_slice_of(credentials->password),
	};
	return pipit_digest_keyed(&authentication->key, parts, sizeof parts / sizeof *parts);
}

static void finish_success(struct attempt *attempt)
{
	struct pipit_authentication *authentication = attempt->authentication;
	struct pipit_request *request = attempt->request;
	size_t file = attempt->match.rule->files[PIPIT_SCHEME_BASIC];
	struct pipit_digest digest = digest_of_success(authentication, file, &attempt->credentials);
	bool passes;

	pipit_remembered_add(attempt->users->remembered, &digest, now_ms());
	passes = admit(request, authentication, &attempt->match, PIPIT_SCHEME_BASIC, attempt->credentials.name,
	    PIPIT_AUTHENTICATION_PASSED);
	free_attempt(attempt);
	if (passes)
		pipit_filter_pass(request);
	else
		pipit_request_release(request);
}

/* On the request's worker; with is_stopped, when it is freed. */
static void finish_check(void *context)
{
	struct attempt *attempt = context;
	struct pipit_request *request = attempt->request;

	attempt->is_posted = false;
	if (atomic_load(&attempt->authentication->is_stopped)) {
		free_attempt(attempt);
		pipit_request_release(request);
	} else if (attempt->job.is_cancelled) {
		free_attempt(attempt);
		refuse_later(request, 503, "The password cannot be checked now.");
		pipit_request_release(request);
	} else if (attempt->job.is_right && attempt->is_known) {
		finish_success(attempt);
	} else {
		delay_failure(attempt);
	}
}

/* On a thread of the verifier. Without an inbox the worker has ended, and pipit_authentication_stop() follows. */
static void post_result(struct pipit_verifier_job *job)
{
	struct attempt *attempt = (struct attempt *)job;
	const struct pipit_request_pool *pool = attempt->request->pool;

	attempt->is_posted = true;
	if (pool->post_call(pool->worker, finish_check, attempt) != 0)
		attempt->is_posted = false;
}

static void begin_check(struct pipit_request *request, struct pipit_authentication *authentication,
    const struct pipit_protection_match *match, struct users *users, const struct pipit_credentials *credentials)
{
	const struct pipit_user_file *file = users->files[match->rule->files[PIPIT_SCHEME_BASIC]];
	struct attempt *attempt = begin_attempt(request, authentication, match, users, PIPIT_SCHEME_BASIC);

	if (!attempt) {
		release_users(authentication, users);
		return;
	}
	attempt->credentials = *credentials;
	attempt->job.password = attempt->credentials.password;
	attempt->job.hash = pipit_user_file_hash(file, &authentication->key, credentials->name, &attempt->is_known);
	attempt->job.done = post_result;
	if (!attempt->job.hash) {
		delay_failure(attempt);
	} else if (pipit_verifier_submit(authentication->verifier, &attempt->job) != 0) {
		free_attempt(attempt);
		refuse_later(request, 503, "Too many passwords are being checked.");
		pipit_request_release(request);
	}
}

/* Takes the hold of `users`. */
static void check_password(struct pipit_request *request, struct pipit_authentication *authentication,
    const struct pipit_protection_match *match, struct users *users, const struct pipit_credentials *credentials)
{
	struct pipit_digest digest =
	    digest_of_success(authentication, match->rule->files[PIPIT_SCHEME_BASIC], credentials);

	if (!pipit_remembered_has(users->remembered, &digest, now_ms())) {
		begin_check(request, authentication, match, users, credentials);
		return;
	}
	release_users(authentication, users);
	admit(request, authentication, match, PIPIT_SCHEME_BASIC, credentials->name, PIPIT_AUTHENTICATION_REMEMBERED);
}

/* --- Bearer ------------------------------------------------------------------------------------------------------------- */

/* Takes the hold of `users`. */
static void check_token(struct pipit_request *request, struct pipit_authentication *authentication,
    const struct pipit_protection_match *match, struct users *users, struct pipit_slice token)
{
	const struct pipit_user_file *file = users->files[match->rule->files[PIPIT_SCHEME_BEARER]];
	const char *owner = pipit_user_file_owner(file, &authentication->key, token);
	struct attempt *attempt;

	if (owner) {
		admit(request, authentication, match, PIPIT_SCHEME_BEARER, owner, PIPIT_AUTHENTICATION_PASSED);
		release_users(authentication, users);
		return;
	}
	attempt = begin_attempt(request, authentication, match, users, PIPIT_SCHEME_BEARER);
	if (attempt)
		delay_failure(attempt);
	else
		release_users(authentication, users);
}

/* --- the filter --------------------------------------------------------------------------------------------------------- */

static bool find_match(const struct pipit_authentication *authentication, const struct pipit_request *request,
    struct pipit_protection_match *match)
{
	const struct pipit_guard_head *head = request->head;
	struct pipit_slice path = pipit_guard_slice(head, head->path, head->path_length);
	char small[512], *scratch = path.length > sizeof small ? malloc(path.length) : small;

	if (!scratch)
		return false;
	*match = pipit_protection_find(&authentication->protection, head->method, path, scratch);
	if (scratch != small)
		free(scratch);
	return true;
}

/* Several Authorization headers are malformed: it would depend on the server which one counts. */
static void read_credentials(const struct pipit_request *request, struct pipit_credentials *credentials)
{
	const struct pipit_guard_head *head = request->head;
	const struct pipit_guard_field *field = pipit_guard_find(head, "Authorization");

	credentials->scheme = PIPIT_SCHEME_UNKNOWN;
	if (!field)
		return;
	pipit_credentials_read(pipit_guard_slice(head, field->value, field->value_length), credentials);
	if (pipit_guard_find_next(head, "Authorization", field))
		credentials->scheme = PIPIT_SCHEME_MALFORMED;
}

static void authenticate(struct pipit_request *request, struct pipit_authentication *authentication,
    const struct pipit_protection_match *match, const struct pipit_credentials *credentials)
{
	const struct pipit_protection_rule *rule = match->rule;
	bool is_basic = credentials->scheme == PIPIT_SCHEME_BASIC,
	     is_bearer = credentials->scheme == PIPIT_SCHEME_BEARER;

	if (is_basic && rule->files[PIPIT_SCHEME_BASIC] != PIPIT_PROTECTION_NONE) {
		check_password(request, authentication, match, hold_users(authentication), credentials);
	} else if (is_bearer && rule->files[PIPIT_SCHEME_BEARER] != PIPIT_PROTECTION_NONE) {
		check_token(request, authentication, match, hold_users(authentication), credentials->token);
	} else if (credentials->scheme == PIPIT_SCHEME_MALFORMED) {
		count(request, PIPIT_AUTHENTICATION_MALFORMED);
		challenge(request, authentication, rule, ", error=\"invalid_request\"",
		    "The Authorization header is malformed.");
	} else {
		count(request, PIPIT_AUTHENTICATION_MISSING);
		challenge(request, authentication, rule, "", "This needs a name and a password, or a token.");
	}
}

void pipit_authentication_filter(struct pipit_request *request, void *context)
{
	struct pipit_authentication *authentication = context;
	struct pipit_credentials credentials;
	struct pipit_protection_match match;

	if (!find_match(authentication, request, &match)) {
		pipit_request_reply_short(request);
		return;
	}
	if (!match.rule)
		return;
	read_credentials(request, &credentials);
	authenticate(request, authentication, &match, &credentials);
	pipit_credentials_forget(&credentials);
}

/* --- the end ------------------------------------------------------------------------------------------------------------ */

void pipit_authentication_stop(struct pipit_authentication *authentication)
{
	struct attempt *attempt, *next;

	if (!authentication)
		return;
	atomic_store(&authentication->is_stopped, true);
	pipit_verifier_stop(authentication->verifier);
	/* Those that are posted are released when their worker is freed. */
	for (attempt = authentication->attempts; attempt; attempt = next) {
		struct pipit_request *request = attempt->request;
		next = attempt->next;
		if (attempt->is_posted)
			continue;
		free_attempt(attempt);
		if (!pipit_request_is_gone(request))
			pipit_reply_problem(request, 503, "The server stops.");
		pipit_request_release(request);
	}
}
