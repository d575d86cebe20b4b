/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_SETTINGS_FILE_H
#define PIPIT_SETTINGS_FILE_H

#include "base/slice.h"
#include "settings/atomic_file.h"
#include "json/json.h"

struct pipit_settings_limits {
	struct pipit_json_limits json;
	size_t max_bytes; /* without white space */
};

/*
 * *tree and *text: the caller's; the text is without white space. -ENOENT; -EINVAL: no JSON object within the limits;
 * -EFBIG; others.
 */
int pipit_settings_file_read(struct pipit_atomic_file *file, const struct pipit_settings_limits *limits,
    struct cJSON **tree, char **text, size_t *length, char *error, size_t size);

/*
 * At start. An absent file is {}, with *tree NULL. An invalid one becomes NAME.broken, and the previous content is
 * used. `error` is a whole message.
 */
int pipit_settings_file_load(struct pipit_atomic_file *file, const struct pipit_settings_limits *limits,
    struct cJSON **tree, char **text, size_t *length, char *error, size_t size);

/* text: of pipit_printer_print(). Fails as pipit_atomic_file_write(). */
int pipit_settings_file_save(struct pipit_atomic_file *file, struct pipit_slice text);

#endif
