/* SPDX-License-Identifier: MIT */
#include "settings/settings_file.h"

#include "base/log.h"
#include "json/json_index.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* with indentation */
#define FILE_BYTES_MAX(max_bytes) ((max_bytes)*64 + 4096)

static int parse(const char *bytes, size_t bytes_length, const struct pipit_settings_limits *limits, cJSON **tree,
    char **text, size_t *length, char *error, size_t size)
{
	struct pipit_json_error place;
	int failure = pipit_json_parse(bytes, bytes_length, &limits->json, tree, &place);

	if (failure == -EINVAL) {
		snprintf(error, size, "invalid JSON at line %zu, column %zu (byte %zu): %s", place.line, place.column,
		    place.byte, place.message);
	} else if (failure == 0 && !cJSON_IsObject(*tree)) {
		failure = -EINVAL;
		snprintf(error, size, "the document is not an object: expected '{'");
	} else if (failure == 0) {
		failure = pipit_printer_text(*tree, text, length);
	}
	if (failure == 0 && *length > limits->max_bytes) {
		free(*text);
		failure = -EFBIG;
		snprintf(error, size, "the settings take %zu bytes: expected at most %zu", *length, limits->max_bytes);
	}
	if (failure == -ENOMEM)
		snprintf(error, size, "out of memory");
	return failure;
}

int pipit_settings_file_read(struct pipit_atomic_file *file, const struct pipit_settings_limits *limits, cJSON **tree,
    char **text, size_t *length, char *error, size_t size)
{
	char *bytes;
	size_t bytes_length;
	int failure = pipit_atomic_file_read(file, FILE_BYTES_MAX(limits->max_bytes), &bytes, &bytes_length);

	if (failure != 0) {
		snprintf(error, size, "%s", strerror(-failure));
		return failure;
	}
	*tree = NULL;
	failure = parse(bytes, bytes_length, limits, tree, text, length, error, size);
	free(bytes);
	if (failure != 0) {
		cJSON_Delete(*tree);
		*tree = NULL;
	}
	return failure;
}

int pipit_settings_file_load(struct pipit_atomic_file *file, const struct pipit_settings_limits *limits, cJSON **tree,
    char **text, size_t *length, char *error, size_t size)
{
	const char *name = pipit_atomic_file_name(file);
	char why[256];
	int failure = pipit_settings_file_read(file, limits, tree, text, length, why, sizeof why);

	if (failure == -ENOENT) {
		*tree = NULL;
		*text = strdup("{}");
		*length = 2;
		return *text ? 0 : -ENOMEM;
	}
	if (failure == -EINVAL && pipit_atomic_file_restore(file) == 0) {
		pipit_log(
		    PIPIT_LOG_ERROR, "%s: %s; renamed to %s.broken, the previous settings are used", name, why, name);
		failure = pipit_settings_file_read(file, limits, tree, text, length, why, sizeof why);
	}
	if (failure == 0)
		pipit_atomic_file_accept(file);
	else
		snprintf(error, size, "settings: %s: %s", name, why);
	return failure;
}

int pipit_settings_file_save(struct pipit_atomic_file *file, struct pipit_slice text)
{
	size_t length;
	char *bytes = pipit_json_index_indent(text, &length);
	int error = bytes ? pipit_atomic_file_write(file, bytes, length) : -ENOMEM;
	free(bytes);
	return error;
}
