/* SPDX-License-Identifier: MIT */
/* The published document with changes not yet written. For the writer thread, and the thread that opens the store. */
#ifndef PIPIT_WORKING_COPY_H
#define PIPIT_WORKING_COPY_H

#include "settings/settings_file.h"
#include "settings/snapshot.h"

struct pipit_working_copy {
	const struct pipit_snapshot *published;
	struct pipit_settings_limits limits;
	struct cJSON *tree; /* owned; NULL: parse the text */
	char *text;         /* owned; NULL: the published text */
	size_t text_length;
};

struct pipit_slice pipit_working_copy_text(const struct pipit_working_copy *copy);

bool pipit_working_copy_is_published(const struct pipit_working_copy *copy);

/* Takes the text of the tree. */
void pipit_working_copy_set_text(struct pipit_working_copy *copy, char *text, size_t length);

int pipit_working_copy_need_tree(struct pipit_working_copy *copy);

/* When the tree is not that of the text. */
void pipit_working_copy_drop_tree(struct pipit_working_copy *copy);

/* Between batches: a large tree is dropped. The next change parses the text again, which takes less time than a write. */
void pipit_working_copy_rest(struct pipit_working_copy *copy);

void pipit_working_copy_reset(struct pipit_working_copy *copy);

/* "": no value. Needs the tree. */
int pipit_working_copy_etag(const struct pipit_working_copy *copy, struct pipit_slice pointer, char *etag);

#endif
