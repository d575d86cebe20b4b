/* SPDX-License-Identifier: MIT */
/* The settings document in its file: read and checked, and written as indented JSON. */
#ifndef PIPIT_SETTINGS_FILE_H
#define PIPIT_SETTINGS_FILE_H

#include "base/slice.h"
#include "settings/atomic_file.h"
#include "json/json.h"

/* Of the document. */
struct pipit_settings_limits {
	struct pipit_json_limits json;
	size_t max_bytes; /* without white space, as it is sent */
};

/*
 * Read the file. 0: *tree is the document and *text its text without white space, from malloc(); both are the caller's. -ENOENT; -EINVAL: no
 * JSON object within the limits; -EFBIG; -ENOMEM; another errno value. On failure `error` receives the reason.
 */
int pipit_settings_file_read(struct pipit_atomic_file *file, const struct pipit_settings_limits *limits,
    struct cJSON **tree, char **text, size_t *length, char *error, size_t size);

/*
 * Read the file at start. An absent file is {} (*tree is NULL then). A file with invalid content is renamed to NAME.broken, and the
 * previous content is used. Results as above; `error` is a whole message.
 */
int pipit_settings_file_load(struct pipit_atomic_file *file, const struct pipit_settings_limits *limits,
    struct cJSON **tree, char **text, size_t *length, char *error, size_t size);

/* text: without white space, as pipit_printer_print() writes it. Returns as pipit_atomic_file_write(), or -ENOMEM. */
int pipit_settings_file_save(struct pipit_atomic_file *file, struct pipit_slice text);

#endif
