/* SPDX-License-Identifier: MIT */
/*
 * A settings store: a JSON document in a file. Readers never wait; a change is acknowledged when it is durable.
 *
 * The writer thread of the store takes a batch of changes, applies them in order to its working copy, writes the result to the file once
 * (group commit), publishes it to readers, and reports the outcome of each change. Readers see only what is durable.
 *
 * The public functions pipit_settings_… are defined here; settings_http.h serves the store over HTTP.
 */
#ifndef PIPIT_SETTINGS_H
#define PIPIT_SETTINGS_H

#include "pipit.h"
#include "settings/change.h"

/* As pipit_change_queue_add(). Any thread. */
int pipit_settings_submit(struct pipit_settings *settings, struct pipit_change *change);

/* As pipit_change_queue_settle(). */
struct pipit_change *pipit_settings_settle(struct pipit_settings *settings);

/*
 * The current document, valid until it is unpinned. Wait-free; any thread. Unpin each pin once, with its number, and soon: while seven
 * older documents are pinned, the writer waits.
 */
const struct pipit_json_index *pipit_settings_pin(struct pipit_settings *settings, unsigned *pin);
void pipit_settings_unpin(struct pipit_settings *settings, unsigned pin);

/* From the options. */
size_t pipit_settings_max_bytes(const struct pipit_settings *settings);
bool pipit_settings_requires_match(const struct pipit_settings *settings);

#endif
