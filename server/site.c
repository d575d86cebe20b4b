/* SPDX-License-Identifier: MIT */
/*
 * The ready-made handler for static files: files.c finds the file, this answers what HTTP asks about it. Its contract is in
 * pipit.h (pipit_site_new, pipit_serve_files).
 */
#include "files.h"
#include "pipit.h"
#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct pipit_site {
	struct pipit_files *files;
};

struct pipit_site *pipit_site_new(const char *root)
{
	struct pipit_site *site = malloc(sizeof *site);
	int error;
	if (!site)
		return NULL;
	error = pipit_files_open_root(root, &site->files);
	if (error == 0)
		return site;
	free(site);
	errno = -error;
	return NULL;
}

void pipit_site_free(struct pipit_site *site)
{
	if (!site)
		return;
	pipit_files_close_root(site->files);
	free(site);
}

/* If-Modified-Since counts for GET and HEAD, and only when it is a valid date (RFC 9110 §13.1.3). */
static bool is_unchanged(struct pipit_request *request, time_t modified)
{
	const char *since = pipit_request_header(request, "If-Modified-Since");
	time_t date = since ? pipit_reply_parse_date(since) : -1;
	return date >= 0 && modified <= date;
}

static void serve_file(struct pipit_request *request, const struct pipit_file *file)
{
	char modified[PIPIT_REPLY_DATE_SIZE];

	pipit_reply_date(file->modified, modified);
	pipit_reply_header(request, "Last-Modified", modified);
	pipit_reply_header(request, "X-Content-Type-Options", "nosniff");
	if (!is_unchanged(request, file->modified)) {
		pipit_reply_file(request, 200, file->content_type, file->fd, 0, file->size);
		return;
	}
	close(file->fd);
	pipit_reply(request, 304, NULL, NULL, 0);
}

/* The same path with a slash behind it, and the query again. */
static void redirect_to_directory(struct pipit_request *request)
{
	const char *path = pipit_request_path(request), *query = pipit_request_query(request);
	char *location = malloc(strlen(path) + (query ? strlen(query) : 0) + 3);

	if (!location) {
		pipit_reply_problem(request, 503, "The server is short of memory; try again soon.");
		return;
	}
	/* "//host/" would send the client to another host. */
	while (path[0] == '/' && path[1] == '/')
		path++;
	strcpy(location, path);
	strcat(location, "/");
	if (query)
		strcat(strcat(location, "?"), query);
	pipit_reply_header(request, "Location", location);
	pipit_reply(request, 301, NULL, NULL, 0);
	free(location);
}

void pipit_serve_files(struct pipit_request *request, void *arg)
{
	const struct pipit_site *site = arg;
	enum pipit_method method = pipit_request_method(request);
	struct pipit_file file;

	if (method != PIPIT_GET && method != PIPIT_HEAD) {
		pipit_reply_header(request, "Allow", "GET, HEAD, OPTIONS");
		if (method == PIPIT_OPTIONS)
			pipit_reply(request, 204, NULL, NULL, 0);
		else
			pipit_reply_problem(request, 405, "Files can be read only: GET or HEAD.");
		return;
	}
	switch (pipit_files_open(site->files, pipit_slice_of(pipit_request_path(request)), &file)) {
	case PIPIT_FILES_FOUND:
		serve_file(request, &file);
		break;
	case PIPIT_FILES_REDIRECT:
		redirect_to_directory(request);
		break;
	case PIPIT_FILES_BAD_PATH:
		pipit_reply_problem(
		    request, 400, "The path is not one of a file: it leaves the root, or holds NUL or a backslash.");
		break;
	case PIPIT_FILES_FORBIDDEN:
		pipit_reply_problem(request, 403, "The server may not read this file.");
		break;
	case PIPIT_FILES_UNAVAILABLE:
		pipit_reply_header(request, "Retry-After", "1");
		pipit_reply_problem(request, 503, "The server is short of descriptors or memory; try again soon.");
		break;
	default:
		pipit_reply_problem(request, 404, "There is no such file.");
		break;
	}
}
