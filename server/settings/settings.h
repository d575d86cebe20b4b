/* SPDX-License-Identifier: MIT */
/*
 * A JSON document in a file. Readers never wait, and see only what is durable.
 *
 * The writer thread applies a batch of changes in order to its working copy, writes the file once, publishes the
 * document, and reports each outcome.
 */
#ifndef PIPIT_SETTINGS_H
#define PIPIT_SETTINGS_H

#include "pipit.h"
#include "settings/change.h"

/* As pipit_change_queue_add(). */
int pipit_settings_submit(struct pipit_settings *settings, struct pipit_change *change);

/* The writer thread inherits restrictions of the thread that starts it: start it anew after the program has set some. */
int pipit_settings_renew_thread(struct pipit_settings *settings);

/* A store that was opened for a check only: removes the lock if opening has made it. NULL: no effect. */
void pipit_settings_remove_new_lock(struct pipit_settings *settings);

/* As pipit_change_queue_settle(). */
struct pipit_change *pipit_settings_settle(struct pipit_settings *settings, const void *owner);

/* Wait-free; any thread. Unpin each pin soon: while seven older documents are pinned, the writer waits. */
const struct pipit_json_index *pipit_settings_pin(struct pipit_settings *settings, unsigned *pin);
void pipit_settings_unpin(struct pipit_settings *settings, unsigned pin);

size_t pipit_settings_max_bytes(const struct pipit_settings *settings);
bool pipit_settings_requires_match(const struct pipit_settings *settings);

#endif
