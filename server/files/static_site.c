/* SPDX-License-Identifier: MIT */
/* Read from pipit_serve_files() on. */
#include "base/percent.h"
#include "files/file_cache.h"
#include "files/file_response.h"
#include "files/files.h"
#include "files/gzip_cache.h"
#include "files/listing.h"
#include "files/media_types.h"
#include "http/accept_header.h"
#include "http/content_coding.h"
#include "http/response_head.h"
#include "pipit.h"
#include "request/request.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct rule {
	const char *pattern, *value;
};

struct pipit_site {
	struct pipit_files *files; /* NULL: serve `pages` */
	const struct pipit_page *pages;
	size_t page_count;
	const char *advice; /* NULL: none */
	struct pipit_slice prefix;
	struct pipit_media_types *media; /* NULL: the built-in types */
	struct rule *rules;
	size_t rule_count;
	char *rule_text;
	bool is_spa, lists, compresses;
};

static char *trim(char *text)
{
	return pipit_slice_trim_in_place(text, strchr(text, '\0'));
}

static int report(char *error, size_t size, int result, const char *format, const char *value)
{
	if (size)
		snprintf(error, size, format, value);
	return result;
}

static int add_rule(struct pipit_site *site, char *text, char *error, size_t size)
{
	char *equals = strchr(text, '=');
	struct rule rule;

	if (!equals || equals == text)
		return report(error, size, -EINVAL,
		    "cache-control: \"%.80s\" is not a rule; use PATTERN=VALUE; ..., for example *.html=no-cache; "
		    "/assets/*=max-age=86400",
		    text);
	*equals = '\0';
	rule = (struct rule){ trim(text), trim(equals + 1) };
	if (!*rule.value || !pipit_response_head_is_value(rule.value) ||
	    strlen(rule.value) >= PIPIT_FILE_RESPONSE_CACHE_CONTROL_MAX)
		return report(error, size, -EINVAL,
		    "cache-control: the value for \"%.80s\" is empty, too long or not a header value; use for example "
		    "no-cache",
		    rule.pattern);
	site->rules[site->rule_count++] = rule;
	return 0;
}

static int read_rules(struct pipit_site *site, const char *text, char *error, size_t size)
{
	size_t count = 1;
	char *next, *rule;
	int result = 0;

	for (const char *at = text; *at; at++)
		count += *at == ';';
	site->rule_text = next = strdup(text);
	site->rules = calloc(count, sizeof *site->rules);
	if (!site->rule_text || !site->rules)
		return -ENOMEM;
	while (result == 0 && (rule = strsep(&next, ";"))) {
		rule = trim(rule);
		if (*rule)
			result = add_rule(site, rule, error, size);
	}
	return result;
}

static int read_media(struct pipit_site *site, const char *name, char *error, size_t size)
{
	char text[512];
	int result = pipit_media_types_read(name, &site->media, text, sizeof text);
	return result == 0 ? 0 : report(error, size, result, "media-types: %s", text);
}

static int open_root(struct pipit_site *site, const char *root, char *error, size_t size)
{
	int result = pipit_files_open_root(root, &site->files);
	if (result != 0) {
		if (size)
			snprintf(error, size, "root = \"%s\": %s; use a readable directory", root, strerror(-result));
		return result;
	}
	pipit_files_set_media(site->files, site->media);
	return 0;
}

/* Otherwise every file is 403, and the server says that it is ready. */
static int check_permission(const char *root, bool lists, char *error, size_t size)
{
	if (faccessat(AT_FDCWD, root, lists ? R_OK | X_OK : X_OK, AT_EACCESS) == 0)
		return 0;
	if (size)
		snprintf(error, size, "root = \"%s\": %s; use a readable directory", root, strerror(errno));
	return -EACCES;
}

int pipit_site_open(const struct pipit_site_options *options, struct pipit_site **site, char *error, size_t size)
{
	struct pipit_site *opened = calloc(1, sizeof *opened);
	int result = opened ? 0 : -ENOMEM;

	if (size)
		*error = '\0';
	if (result == 0) {
		opened->pages = options->pages;
		opened->page_count = options->page_count;
		opened->advice = options->advice;
		opened->prefix = pipit_slice_of(options->prefix ? options->prefix : "");
		opened->is_spa = options->spa;
		opened->lists = options->listing;
		opened->compresses = !options->no_compression;
	}
	if (result == 0 && options->media_types)
		result = read_media(opened, options->media_types, error, size);
	if (result == 0 && options->cache_control)
		result = read_rules(opened, options->cache_control, error, size);
	if (result == 0 && options->root)
		result = open_root(opened, options->root, error, size);
	if (result == 0 && options->root)
		result = check_permission(options->root, options->listing, error, size);
	if (result == 0 && !options->root && !options->pages)
		result = report(error, size, -EINVAL, "a site needs a root or pages%s", "");
	if (result == 0) {
		*site = opened;
		return 0;
	}
	if (result == -ENOMEM)
		report(error, size, result, "out of memory%s", "");
	pipit_site_free(opened);
	return result;
}

struct pipit_site *pipit_site_new(const char *root)
{
	struct pipit_site *site = NULL;
	int result = pipit_site_open(&(struct pipit_site_options){ .root = root }, &site, NULL, 0);
	if (result != 0)
		errno = -result;
	return site;
}

void pipit_site_free(struct pipit_site *site)
{
	if (!site)
		return;
	pipit_files_close_root(site->files);
	pipit_media_types_free(site->media);
	free(site->rules);
	free(site->rule_text);
	free(site);
}

static const char *find_cache_control(const struct pipit_site *site, struct pipit_slice path)
{
	char name[1 + PATH_MAX];

	if (site->rule_count == 0 || pipit_files_name(path, name + 1) != PIPIT_FILES_FOUND)
		return NULL;
	name[0] = '/';
	for (size_t i = 0; i < site->rule_count; i++) {
		if (fnmatch(site->rules[i].pattern, name, 0) == 0)
			return site->rules[i].value;
	}
	return NULL;
}

static void describe(struct pipit_file_response *representation, const struct pipit_file_cache_file *file)
{
	*representation = (struct pipit_file_response){
		.content_type = file->content_type,
		.etag_length = file->etag_length,
		.modified = file->modified,
		.date = file->date,
		.memory = { file->content, (size_t)file->size },
		.file = file->descriptor,
		.size = file->size,
		.coding = file->is_gzip ? PIPIT_CODING_GZIP : PIPIT_CODING_IDENTITY,
	};
	memcpy(representation->etag, file->etag, file->etag_length);
}

/* --- codings: RFC 9110 §12.5.3 ------------------------------------------------------------------------------------ */

struct lookup {
	struct pipit_request *request;
	const struct pipit_site *site;
	struct pipit_slice path;
	uint64_t now_ms;
	unsigned vary;   /* besides Accept-Encoding */
	unsigned absent; /* codings without a precompressed variant */
};

#define ALL_CODINGS ((1u << PIPIT_CODING_IDENTITY) - 1)

static void refuse_codings(struct pipit_request *request)
{
	pipit_reply_header(request, "Vary", "Accept-Encoding");
	pipit_reply_problem(request, 406, "The file has no content coding that Accept-Encoding allows.");
}

static void refuse_without_memory(struct pipit_request *request)
{
	pipit_reply_header(request, "Retry-After", "1");
	pipit_request_reply_short(request);
}

static enum pipit_files_result find_file(
    const struct lookup *lookup, struct pipit_slice path, struct pipit_file_cache_file *file)
{
	return pipit_file_cache_find(
	    lookup->request->pool->file_cache, lookup->site->files, path, lookup->now_ms, file);
}

/* longer paths have no variants */
#define VARIANT_PATH_MAX 1024

static bool name_variant(const struct lookup *lookup, const struct pipit_file_cache_file *file,
    enum pipit_content_coding coding, char name[VARIANT_PATH_MAX], struct pipit_slice *path)
{
	int length = snprintf(name, VARIANT_PATH_MAX, "%.*s%s%s", (int)lookup->path.length, lookup->path.data,
	    file->is_index ? "/index.html" : "", pipit_content_coding_extension(coding));
	*path = (struct pipit_slice){ name, (size_t)length };
	return length < VARIANT_PATH_MAX;
}

/* An older variant was made from an earlier version. */
static bool find_variant(const struct lookup *lookup, const struct pipit_file_cache_file *file,
    enum pipit_content_coding coding, struct pipit_file_cache_file *variant)
{
	char name[VARIANT_PATH_MAX];
	struct pipit_slice path;

	if (!name_variant(lookup, file, coding, name, &path) || find_file(lookup, path, variant) != PIPIT_FILES_FOUND)
		return false;
	if (!variant->is_index && variant->modified >= file->modified)
		return true;
	pipit_shared_fd_release(variant->descriptor);
	return false;
}

static bool compress(const struct lookup *lookup, const struct pipit_file_cache_file *file, struct pipit_slice *gzip)
{
	return lookup->site->compresses && pipit_file_cache_is_settled(file) &&
	       pipit_gzip_cache_get(lookup->request->pool->gzip_cache, &file->version, file->content,
		   file->descriptor ? file->descriptor->fd : -1, gzip);
}

static void use_gzip(struct pipit_file_response *representation, struct pipit_slice gzip)
{
	pipit_shared_fd_release(representation->file);
	representation->file = NULL;
	representation->memory = gzip;
	representation->size = gzip.length;
	representation->coding = PIPIT_CODING_GZIP;
	pipit_file_response_mark_gzip(representation);
}

static void use_variant(struct pipit_file_response *representation, const struct pipit_file_cache_file *variant,
    enum pipit_content_coding coding)
{
	const char *content_type = representation->content_type;
	pipit_shared_fd_release(representation->file);
	describe(representation, variant);
	representation->content_type = content_type;
	representation->coding = coding;
}

enum choice { CHOSEN, RETRY, NONE_ACCEPTABLE };

/* Looking for a variant may evict the file's bytes from the cache: RETRY, at most once per coding. */
static enum choice choose_coding(struct lookup *lookup, const struct pipit_file_cache_file *file,
    struct pipit_file_response *representation, struct pipit_file_cache_file *variant)
{
	struct pipit_content_codings codings = pipit_content_coding_read(lookup->request->head);
	unsigned variants = ALL_CODINGS & ~(lookup->absent | file->absent);
	unsigned available = ALL_CODINGS | 1u << PIPIT_CODING_IDENTITY;
	struct pipit_slice gzip;

	for (;;) {
		enum pipit_content_coding best = pipit_content_coding_choose(&codings, available);
		unsigned bit = 1u << best;
		if (best == PIPIT_CODING_COUNT)
			return NONE_ACCEPTABLE;
		if (best == PIPIT_CODING_IDENTITY)
			return CHOSEN;
		if (variants & bit) {
			if (find_variant(lookup, file, best, variant)) {
				use_variant(representation, variant, best);
				return CHOSEN;
			}
			lookup->absent |= bit;
			pipit_file_cache_note_absent(
			    lookup->request->pool->file_cache, lookup->site->files, lookup->path, bit);
			return RETRY;
		}
		if (best == PIPIT_CODING_GZIP && compress(lookup, file, &gzip)) {
			use_gzip(representation, gzip);
			return CHOSEN;
		}
		available &= ~bit;
	}
}

/* --- a file ------------------------------------------------------------------------------------------------------- */

/* status: 0: by conditions and ranges. FOUND: replied. */
static enum pipit_files_result serve_file(struct lookup *lookup, int status)
{
	struct pipit_file_cache_file file, variant;
	struct pipit_file_response representation;
	enum choice choice = CHOSEN;

	do {
		enum pipit_files_result result = find_file(lookup, lookup->path, &file);
		if (result != PIPIT_FILES_FOUND)
			return result;
		describe(&representation, &file);
		if (file.is_compressible)
			choice = choose_coding(lookup, &file, &representation, &variant);
		if (choice != CHOSEN)
			pipit_shared_fd_release(file.descriptor);
	} while (choice == RETRY);
	representation.vary = lookup->vary | (file.is_compressible ? PIPIT_FILE_RESPONSE_VARY_ENCODING : 0);
	if (choice == NONE_ACCEPTABLE) {
		refuse_codings(lookup->request);
	} else if (status) {
		pipit_file_response_reply_with(lookup->request, &representation, status);
	} else {
		representation.cache_control = find_cache_control(lookup->site, lookup->path);
		pipit_file_response_reply(lookup->request, &representation);
	}
	return PIPIT_FILES_FOUND;
}

/* --- embedded pages ----------------------------------------------------------------------------------------------- */

static const struct pipit_page *find_page(const struct pipit_site *site, const char *name)
{
	for (size_t i = 0; i < site->page_count; i++) {
		if (strcmp(site->pages[i].path, name) == 0)
			return &site->pages[i];
	}
	return NULL;
}

static void describe_page(struct pipit_file_response *representation, const struct pipit_site *site,
    const struct pipit_page *page, const char *cache_control, unsigned vary)
{
	size_t etag_length = page->etag ? strlen(page->etag) : 0;
	*representation = (struct pipit_file_response){
		.content_type =
		    page->content_type ? page->content_type : pipit_media_types_types_find(site->media, page->path),
		.etag_length = etag_length < sizeof representation->etag ? etag_length : 0,
		.modified = PIPIT_DATE_NONE,
		.memory = { page->content, page->length },
		.size = page->length,
		.coding = PIPIT_CODING_IDENTITY,
		.vary = vary | (page->plain_length ? PIPIT_FILE_RESPONSE_VARY_ENCODING : 0),
		/* pages change only with the program */
		.cache_control = cache_control ? cache_control : "no-cache",
		.policy = "default-src 'self'; frame-ancestors 'self'",
	};
	if (representation->etag_length)
		memcpy(representation->etag, page->etag, etag_length);
}

static void send_page(struct pipit_request *request, const struct pipit_file_response *representation, int status)
{
	if (status)
		pipit_file_response_reply_with(request, representation, status);
	else
		pipit_file_response_reply(request, representation);
}

static void send_compressed_page(struct pipit_request *request, struct pipit_file_response *representation,
    const struct pipit_page *page, int status)
{
	struct pipit_content_codings codings = pipit_content_coding_read(request->head);
	char *plain;

	switch (pipit_content_coding_choose(&codings, 1u << PIPIT_CODING_GZIP | 1u << PIPIT_CODING_IDENTITY)) {
	case PIPIT_CODING_GZIP:
		representation->coding = PIPIT_CODING_GZIP;
		pipit_file_response_mark_gzip(representation);
		send_page(request, representation, status);
		return;
	case PIPIT_CODING_IDENTITY:
		plain = pipit_gzip_cache_decompress(representation->memory, page->plain_length);
		if (!plain) {
			refuse_without_memory(request);
			return;
		}
		representation->memory = (struct pipit_slice){ plain, page->plain_length };
		representation->size = page->plain_length;
		send_page(request, representation, status);
		free(plain);
		return;
	default:
		refuse_codings(request);
	}
}

/* As pipit_files_open(). */
static enum pipit_files_result serve_page(struct lookup *lookup, int status)
{
	char name[1 + PATH_MAX + sizeof "/index.html"];
	struct pipit_file_response representation;
	enum pipit_files_result result = pipit_files_name(lookup->path, name + 1);
	const struct pipit_page *page;

	if (result != PIPIT_FILES_FOUND)
		return result;
	name[0] = '/';
	page = find_page(lookup->site, name);
	if (!page) {
		strcat(name, "/index.html");
		return find_page(lookup->site, name) && lookup->path.data[1] != '/' ? PIPIT_FILES_REDIRECT
										    : PIPIT_FILES_NOT_FOUND;
	}
	describe_page(
	    &representation, lookup->site, page, find_cache_control(lookup->site, lookup->path), lookup->vary);
	if (page->plain_length)
		send_compressed_page(lookup->request, &representation, page, status);
	else
		send_page(lookup->request, &representation, status);
	return PIPIT_FILES_FOUND;
}

static enum pipit_files_result serve(struct lookup *lookup, int status)
{
	return lookup->site->files ? serve_file(lookup, status) : serve_page(lookup, status);
}

/* --- a directory -------------------------------------------------------------------------------------------------- */

/* Browsers send characters that URI (RFC 3986 §2) and Location (RFC 9110 §10.2.2) exclude. */
static char *put_encoded(char *at, const char *text)
{
	const char *end = strchr(text, '\0');

	while (*text) {
		struct pipit_slice plain = { text, strcspn(text, "%") };
		at = pipit_percent_encode(at, at + 3 * plain.length, plain, PIPIT_PERCENT_FRAGMENT);
		text += plain.length;
		if (*text)
			at = stpcpy(at, pipit_percent_is_escape(text++, end) ? "%" : "%25");
	}
	return at;
}

/* No path that begins with "//" gets here: Location would lead to another host. */
static void redirect_to_directory(struct pipit_request *request)
{
	const char *path = pipit_request_path(request), *query = pipit_request_query(request);
	char *location = malloc(3 * (strlen(path) + (query ? strlen(query) : 0)) + 3), *at = location;

	if (!location) {
		refuse_without_memory(request);
		return;
	}
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

static bool prefers_json(const struct pipit_request *request)
{
	static const char *const types[] = { "text/html", "application/json", "application/problem+json" };
	return pipit_accept_header_choose(request->head, types, 3) > 0;
}

static void add_default_header(struct pipit_request *request, const char *name, const char *value)
{
	if (!pipit_request_has_reply_header(request, name))
		pipit_reply_header(request, name, value);
}

/* FOUND: replied. */
static enum pipit_files_result list_directory(const struct lookup *lookup)
{
	bool json = prefers_json(lookup->request);
	char name[1 + PATH_MAX], *text, *end;
	size_t length;
	int fd;
	enum pipit_files_result result = pipit_files_open_directory(lookup->site->files, lookup->path, &fd);

	if (result != PIPIT_FILES_FOUND)
		return result;
	name[0] = '/';
	name[1] = '\0';
	if (pipit_files_name(lookup->path, name + 1) == PIPIT_FILES_FOUND && (end = strrchr(name, '/')))
		end[1] = '\0';
	text = pipit_listing_render(lookup->site->files, fd, name, json, &length);
	if (!text)
		return PIPIT_FILES_UNAVAILABLE;
	pipit_reply_header(lookup->request, "Vary", "Accept");
	pipit_reply_header(lookup->request, "Cache-Control", "no-cache");
	add_default_header(lookup->request, "X-Content-Type-Options", "nosniff");
	add_default_header(lookup->request, "X-Frame-Options", "SAMEORIGIN");
	add_default_header(lookup->request, "Referrer-Policy", "same-origin");
	pipit_reply(lookup->request, 200, json ? "application/json" : "text/html; charset=utf-8", text, length);
	free(text);
	return PIPIT_FILES_FOUND;
}

/* --- not found ---------------------------------------------------------------------------------------------------- */

/* Browsers say so. Others are asked for a preference: scripts and images are loaded with any type or their own type. */
static bool is_navigation(const struct lookup *lookup, const char *name)
{
	const struct pipit_guard_head *head = lookup->request->head;
	const struct pipit_guard_field *mode = pipit_guard_find(head, "Sec-Fetch-Mode");
	if (mode)
		return pipit_slice_equals(pipit_guard_slice(head, mode->value, mode->value_length), "navigate");
	return pipit_accept_header_prefers_html(head) && !pipit_media_types_has(lookup->site->media, name);
}

/* A path of the application, not of a missing file: "/user/john.doe" when the client navigates, never "/app.js". */
static bool is_application_path(struct lookup *lookup)
{
	char name[PATH_MAX];
	const char *slash;

	if (pipit_files_name(lookup->path, name) != PIPIT_FILES_FOUND)
		return false;
	lookup->vary = PIPIT_FILE_RESPONSE_VARY_ACCEPT;
	if (pipit_accept_header_media_type(lookup->request->head, "text/html") == PIPIT_ACCEPT_HEADER_NOT)
		return false;
	slash = strrchr(name, '/');
	/* a directory's name ends in index.html */
	if (lookup->path.data[lookup->path.length - 1] == '/' || !strchr(slash ? slash : name, '.'))
		return true;
	lookup->vary |= PIPIT_FILE_RESPONSE_VARY_FETCH_MODE;
	return is_navigation(lookup, name);
}

static bool serve_error_page(const struct lookup *lookup, int status)
{
	char path[16];
	struct lookup page = *lookup;

	if (prefers_json(lookup->request))
		return false;
	page.path = (struct pipit_slice){ path, (size_t)sprintf(path, "/%d.html", status) };
	page.vary |= PIPIT_FILE_RESPONSE_VARY_ACCEPT;
	page.absent = 0;
	return serve(&page, status) == PIPIT_FILES_FOUND;
}

static void serve_index(struct lookup *lookup)
{
	lookup->path = pipit_slice_of("/index.html");
	lookup->absent = 0;
	if (serve(lookup, 0) != PIPIT_FILES_FOUND)
		pipit_reply_problem(lookup->request, 404, "There is no such file.");
}

static void refuse_file(const struct lookup *lookup, int status, const char *detail)
{
	if (serve_error_page(lookup, status))
		return;
	if (lookup->vary & PIPIT_FILE_RESPONSE_VARY_FETCH_MODE)
		pipit_reply_header(lookup->request, "Vary", "Sec-Fetch-Mode");
	pipit_reply_problem(lookup->request, status, "%s", detail);
}

static void refuse_missing_file(const struct lookup *lookup)
{
	char detail[256];
	bool is_root = lookup->path.length == 1;

	snprintf(detail, sizeof detail, "There is no %s.%s%s",
	    is_root ? "index.html in the root directory" : "such file", is_root && lookup->site->advice ? " " : "",
	    is_root && lookup->site->advice ? lookup->site->advice : "");
	refuse_file(lookup, 404, detail);
}

/* --- the handler -------------------------------------------------------------------------------------------------- */

static void reply_without_file(struct lookup *lookup, enum pipit_files_result result)
{
	struct pipit_request *request = lookup->request;

	switch (result) {
	case PIPIT_FILES_FOUND:
		break;
	case PIPIT_FILES_REDIRECT:
		redirect_to_directory(request);
		break;
	case PIPIT_FILES_BAD_PATH:
		pipit_reply_problem(request, 400,
		    "The path is not valid: it leaves the root, or contains NUL, a backslash or a bad escape.");
		break;
	case PIPIT_FILES_FORBIDDEN:
		refuse_file(lookup, 403, "The server has no permission to read this file.");
		break;
	case PIPIT_FILES_UNAVAILABLE:
		pipit_reply_header(request, "Retry-After", "1");
		pipit_reply_problem(request, 503, "The server is short of descriptors or memory; try again soon.");
		break;
	case PIPIT_FILES_NOT_FOUND:
		if (lookup->site->is_spa && is_application_path(lookup))
			serve_index(lookup);
		else
			refuse_missing_file(lookup);
		break;
	}
}

/* COARSE: a kernel tick is precise enough. */
static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void refuse_method(struct pipit_request *request, enum pipit_method method)
{
	pipit_reply_header(request, "Allow", "GET, HEAD, OPTIONS");
	if (method == PIPIT_OPTIONS)
		pipit_reply(request, 204, NULL, NULL, 0);
	else
		pipit_reply_problem(request, 405, "Files accept GET and HEAD only.");
}

/* "/docs" itself is a directory, which gets a slash. */
static enum pipit_files_result remove_prefix(const struct pipit_site *site, struct pipit_slice *path)
{
	if (path->length < site->prefix.length || memcmp(path->data, site->prefix.data, site->prefix.length) != 0)
		return PIPIT_FILES_NOT_FOUND;
	path->data += site->prefix.length;
	path->length -= site->prefix.length;
	if (path->length == 0)
		return PIPIT_FILES_REDIRECT;
	return path->data[0] == '/' ? PIPIT_FILES_FOUND : PIPIT_FILES_NOT_FOUND;
}

void pipit_serve_files(struct pipit_request *request, void *arg)
{
	const struct pipit_guard_head *head = request->head;
	enum pipit_method method = pipit_request_method(request);
	struct lookup lookup = {
		.request = request,
		.site = arg,
		.path = pipit_guard_slice(head, head->path, head->path_length),
		.now_ms = now_ms(),
	};
	enum pipit_files_result result;

	if (!lookup.site) {
		pipit_request_reply_fault(
		    request, "pipit_serve_files() was called with NULL; pass a site from pipit_site_open()");
		return;
	}
	if (method != PIPIT_GET && method != PIPIT_HEAD) {
		refuse_method(request, method);
		return;
	}
	result = lookup.site->prefix.length ? remove_prefix(lookup.site, &lookup.path) : PIPIT_FILES_FOUND;
	if (result != PIPIT_FILES_FOUND) {
		reply_without_file(&lookup, result);
		return;
	}
	result = serve(&lookup, 0);
	if (result == PIPIT_FILES_NOT_FOUND && lookup.site->lists && lookup.site->files)
		result = list_directory(&lookup);
	reply_without_file(&lookup, result);
}
