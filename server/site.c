/* SPDX-License-Identifier: MIT */
/*
 * The ready-made handler for static files: opened.c finds the file, this answers what HTTP asks about it. Its contract is in
 * pipit.h (pipit_site_new, pipit_serve_files).
 */
#include "files.h"
#include "opened.h"
#include "pipit.h"
#include "reply.h"
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

/* How often a head has a field, and its last value. */
static size_t count_fields(const struct pipit_guard_head *head, const char *name, struct pipit_slice *last)
{
	size_t count = 0;
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		if (!pipit_slice_equals_nocase(pipit_guard_slice(head, field->name, field->name_length), name))
			continue;
		*last = pipit_guard_slice(head, field->value, field->value_length);
		count++;
	}
	return count;
}

/* For GET and HEAD. If-None-Match, where it stands, decides alone (RFC 9110 §13.1.2): without entity tags only "*" matches.
 * If-Modified-Since counts when it is one valid date (§13.1.3). */
static bool is_unchanged(const struct pipit_guard_head *head, time_t modified)
{
	struct pipit_slice value;
	char text[64];
	time_t date;

	if (count_fields(head, "If-None-Match", &value) > 0)
		return pipit_slice_equals(value, "*");
	if (count_fields(head, "If-Modified-Since", &value) != 1 || value.length >= sizeof text)
		return false;
	memcpy(text, value.data, value.length);
	text[value.length] = '\0';
	date = pipit_reply_parse_date(text);
	return date >= 0 && modified <= date;
}

static void serve_file(struct pipit_request *request, struct pipit_opened_file *file)
{
	struct pipit_request_reply reply = { .status = 200, .content_type = file->content_type };
	time_t now = time(NULL);

	/* Never later than the reply itself, as after a clock that has jumped (RFC 9110 §8.8.2.1). */
	if (file->modified > now)
		pipit_opened_set_fields(file, now);
	reply.file_fields = (struct pipit_slice){ file->fields, file->fields_length };
	if (is_unchanged(request->head, file->modified)) {
		reply.status = 304;
		reply.content_type = NULL;
	} else if (file->content) {
		reply.content = (struct pipit_slice){ file->content, (size_t)file->size };
	} else {
		reply.file_length = file->size;
	}
	reply.file = file->descriptor;
	pipit_request_reply(request, &reply);
}

/* What a target may hold although no URI does (RFC 3986 §2): browsers send it, and we must not (RFC 9110 §2.2). */
static char *put_encoded(char *at, const char *text)
{
	for (; *text; text++) {
		if (strchr("\"<>\\^`{|}[]", *text))
			at += sprintf(at, "%%%02X", (unsigned)(unsigned char)*text);
		else
			*at++ = *text;
	}
	return at;
}

/* The same path with a slash behind it, and the query again. */
static void redirect_to_directory(struct pipit_request *request)
{
	const char *path = pipit_request_path(request), *query = pipit_request_query(request);
	char *location = malloc(3 * (strlen(path) + (query ? strlen(query) : 0)) + 3), *at = location;

	if (!location) {
		pipit_reply_problem(request, 503, "The server is short of memory; try again soon.");
		return;
	}
	/* "//host/" would send the client to another host. */
	while (path[0] == '/' && path[1] == '/')
		path++;
	at = put_encoded(at, path);
	*at++ = '/';
	if (query) {
		*at++ = '?';
		at = put_encoded(at, query);
	}
	*at = '\0';
	pipit_reply_header(request, "Location", location);
	pipit_reply(request, 301, NULL, NULL, 0);
	free(location);
}

/* Coarse: it is asked for each file, and a tick of the kernel's is little beside a second. */
static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void pipit_serve_files(struct pipit_request *request, void *arg)
{
	const struct pipit_site *site = arg;
	const struct pipit_guard_head *head = request->head;
	struct pipit_slice path = pipit_guard_slice(head, head->path, head->path_length);
	enum pipit_method method = pipit_request_method(request);
	struct pipit_opened_file file;

	if (method != PIPIT_GET && method != PIPIT_HEAD) {
		pipit_reply_header(request, "Allow", "GET, HEAD, OPTIONS");
		if (method == PIPIT_OPTIONS)
			pipit_reply(request, 204, NULL, NULL, 0);
		else
			pipit_reply_problem(request, 405, "Files can be read only: GET or HEAD.");
		return;
	}
	switch (pipit_opened_find(request->pool->opened, site->files, path, now_ms(), &file)) {
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
