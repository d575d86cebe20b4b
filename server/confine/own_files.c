/* SPDX-License-Identifier: MIT */
#include "confine/own_files.h"

#include "config/address.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The directory in which the path says that the file is. False: there is no such directory. */
static bool find_directory_named(const char *file, char path[PATH_MAX])
{
	char directory[PATH_MAX];
	char *slash;

	if (strlen(file) >= sizeof directory)
		return false;
	strcpy(directory, file);
	slash = strrchr(directory, '/');
	if (!slash)
		return realpath(".", path) != NULL;
	slash[slash == directory] = '\0';
	return realpath(directory, path) != NULL;
}

/* The directory of a file, which need not be there. False: there is no such directory. */
static bool find_directory(const char *file, char path[PATH_MAX])
{
	char directory[PATH_MAX];
	char *slash;

	/* realpath() may fill its buffer although it fails. */
	if (!realpath(file, directory))
		return find_directory_named(file, path);
	slash = strrchr(directory, '/');
	slash[slash == directory] = '\0';
	strcpy(path, directory);
	return true;
}

/*
 * The directory above the root, because the root may be made anew, or be a link that is swapped for one beside it. Below "/", the root
 * itself: else all files of the system would be readable.
 */
static bool find_root(const char *root, char path[PATH_MAX])
{
	return find_directory(root, path) && (strcmp(path, "/") != 0 || realpath(root, path) != NULL);
}

/* A log that is rotated is made anew in its directory; a FIFO or a device is not. */
static bool find_log(const struct pipit_config *config, struct pipit_own_files *files)
{
	const char *log = config->access_log;
	struct stat status;

	if (strcmp(log, "off") == 0 || strcmp(log, "-") == 0)
		return false;
	if (stat(log, &status) == 0 && !S_ISREG(status.st_mode))
		return realpath(log, files->log) != NULL;
	if (!find_directory(log, files->log))
		return false;
	files->log_directory = files->log;
	return true;
}

/*
 * Certificates are read again after SIGHUP, and a renewed one may be another file: also where a link leads into a directory that is
 * replaced by one beside it, as Kubernetes does with secrets.
 */
static void add_directories(const char *file, struct pipit_own_files *files, size_t *count, const char ***readable)
{
	if (find_directory(file, files->tls[*count]))
		*(*readable)++ = files->tls[(*count)++];
	if (find_directory_named(file, files->tls[*count]))
		*(*readable)++ = files->tls[(*count)++];
}

void pipit_own_files_find(const struct pipit_config *config, const char *pages, struct pipit_own_files *files)
{
	const char **readable = files->readable, **writable = files->writable;
	size_t count = 0;

	files->log_directory = NULL;
	files->user_count = 0;
	if (config->root && find_root(config->root, files->root))
		*readable++ = files->root;
	if (pages)
		*readable++ = pages;
	for (size_t i = 0; i < config->tls_certificate_count; i++)
		add_directories(config->tls_certificate[i], files, &count, &readable);
	for (size_t i = 0; i < config->tls_key_count; i++)
		add_directories(config->tls_key[i], files, &count, &readable);
	for (size_t i = 0; i < config->tls_ocsp_response_count; i++)
		add_directories(config->tls_ocsp_response[i], files, &count, &readable);
	if (config->tls_client_ca)
		add_directories(config->tls_client_ca, files, &count, &readable);
	if (config->tls_client_crl)
		add_directories(config->tls_client_crl, files, &count, &readable);
	*readable = NULL;
	if (config->settings && find_directory(config->settings, files->settings))
		*writable++ = files->settings;
	if (find_log(config, files))
		*writable++ = files->log;
	/* Their files are removed at the end. */
	for (size_t i = 0; i <= config->listen_count; i++) {
		const char *text = i < config->listen_count ? config->listen[i] : config->admin_listen;
		struct pipit_address address;
		if (text && pipit_address_parse(text, &address) == 0 && address.kind == PIPIT_ADDRESS_UNIX &&
		    address.path[0] == '/' && find_directory(address.path, files->sockets[i]))
			*writable++ = files->sockets[i];
	}
	*writable = NULL;
}

bool pipit_own_files_add_users(struct pipit_own_files *files, const char *file)
{
	const char **end = files->readable;
	char *path;

	if (files->user_count == PIPIT_OWN_FILES_USERS_MAX)
		return false;
	path = files->users[files->user_count];
	if (!find_directory(file, path) ||
	    ((strcmp(path, "/") == 0 || strcmp(path, "/etc") == 0) && !realpath(file, path)))
		return true;
	files->user_count++;
	while (*end)
		end++;
	end[0] = path;
	end[1] = NULL;
	return true;
}
