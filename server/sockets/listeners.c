/* SPDX-License-Identifier: MIT */
#include "sockets/listeners.h"

#include "base/log.h"
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t pipit_listeners_count(const struct pipit_listeners *listeners)
{
	return listeners->config->listen_count + (listeners->config->admin_listen != NULL);
}

bool pipit_listeners_is_admin(const struct pipit_listeners *listeners, size_t index)
{
	return index == listeners->config->listen_count;
}

const char *pipit_listeners_address(const struct pipit_listeners *listeners, size_t index)
{
	const struct pipit_config *config = listeners->config;
	return pipit_listeners_is_admin(listeners, index) ? config->admin_listen : config->listen[index];
}

void pipit_listeners_log_error(const struct pipit_listeners *listeners, size_t index, const char *message)
{
	pipit_config_log_error(listeners->config, "%s = \"%s\": %s",
	    pipit_listeners_is_admin(listeners, index) ? "admin-listen" : "listen",
	    pipit_listeners_address(listeners, index), message);
}

static size_t count_sockets(const struct pipit_listeners *listeners)
{
	return listeners->sockets ? pipit_listeners_count(listeners) * listeners->worker_count : 0;
}

static int make_sockets(struct pipit_listeners *listeners, size_t worker_count)
{
	size_t count = pipit_listeners_count(listeners) * worker_count;

	free(listeners->sockets);
	listeners->worker_count = worker_count;
	listeners->sockets = calloc(count + 1, sizeof *listeners->sockets);
	for (size_t i = 0; listeners->sockets && i < count; i++)
		listeners->sockets[i] = -1;
	return listeners->sockets ? 0 : -ENOMEM;
}

/* By number or by name, or it is a duplicate that another address has made. */
static bool has_socket(const struct pipit_listeners *listeners, int fd)
{
	for (size_t i = 0; fd >= 0 && i < count_sockets(listeners); i++) {
		if (listeners->sockets[i] == fd)
			return true;
	}
	return false;
}

static int open_one(struct pipit_listeners *listeners, size_t index, char reason[PIPIT_LISTENING_ERROR_SIZE])
{
	const char *address = pipit_listeners_address(listeners, index);
	size_t count = listeners->worker_count;
	int *sockets = listeners->sockets + index * count, error;

	if (has_socket(listeners, pipit_listening_find_inherited(address))) {
		strcpy(reason, "cannot be used: another address has this descriptor; use each descriptor once");
		return -EINVAL;
	}
	error = pipit_listening_open(address, listeners->config, sockets, count, &listeners->listening[index], reason);
	for (size_t i = 0; error != 0 && i < count; i++)
		sockets[i] = -1;
	return error;
}

static int open_those(struct pipit_listeners *listeners, bool are_inherited, bool may_be_in_use)
{
	char reason[PIPIT_LISTENING_ERROR_SIZE];
	int result = 0;

	for (size_t i = 0; i < pipit_listeners_count(listeners); i++) {
		const char *address = pipit_listeners_address(listeners, i);
		if (pipit_listening_is_inherited(address) != are_inherited)
			continue;
		int error = open_one(listeners, i, reason);
		if (error == 0)
			pipit_listening_warn_of_v6_only(address, listeners->config);
		if (error == -EADDRINUSE && may_be_in_use) {
			pipit_log(PIPIT_LOG_WARN, "%s is in use", address);
		} else if (error != 0) {
			pipit_listeners_log_error(listeners, i, reason);
			result = result ? result : error;
		}
	}
	return result;
}

/* Inherited sockets before others are opened: one of these could have a number that the parent process has not passed. */
int pipit_listeners_open(struct pipit_listeners *listeners, size_t worker_count, bool may_be_in_use)
{
	int result, error;

	if (make_sockets(listeners, worker_count) != 0) {
		pipit_log(PIPIT_LOG_ERROR, "cannot listen: out of memory");
		return -ENOMEM;
	}
	result = open_those(listeners, true, may_be_in_use);
	error = open_those(listeners, false, may_be_in_use);
	return result ? result : error;
}

void pipit_listeners_close(struct pipit_listeners *listeners)
{
	for (size_t i = 0; listeners->sockets && i < pipit_listeners_count(listeners); i++)
		pipit_listening_end(&listeners->listening[i]);
	for (size_t i = 0; i < count_sockets(listeners); i++) {
		if (listeners->sockets[i] >= 0)
			close(listeners->sockets[i]);
		listeners->sockets[i] = -1;
	}
}

void pipit_listeners_clear(struct pipit_listeners *listeners)
{
	free(listeners->sockets);
	listeners->sockets = NULL;
}

const char *pipit_listeners_url(const struct pipit_listeners *listeners, size_t index)
{
	return index < pipit_listeners_count(listeners) ? listeners->listening[index].url : NULL;
}

unsigned pipit_listeners_https_port(const struct pipit_listeners *listeners)
{
	for (size_t i = 0; i < listeners->config->listen_count; i++) {
		if (pipit_listener_is_https(listeners->config->listen[i]))
			return (unsigned)strtoul(strrchr(listeners->listening[i].url, ':') + 1, NULL, 10);
	}
	return 0;
}

int pipit_listeners_socket(const struct pipit_listeners *listeners, size_t index, size_t worker)
{
	return listeners->sockets ? listeners->sockets[index * listeners->worker_count + worker] : -1;
}

int pipit_listeners_take_socket(struct pipit_listeners *listeners, size_t index, size_t worker)
{
	int fd = pipit_listeners_socket(listeners, index, worker);

	if (fd >= 0)
		listeners->sockets[index * listeners->worker_count + worker] = -1;
	return fd;
}
