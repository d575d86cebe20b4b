/* SPDX-License-Identifier: MIT */
/* What a daemon with this configuration still opens once it runs. */
#ifndef PIPIT_OWN_FILES_H
#define PIPIT_OWN_FILES_H

#include "pipit.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define PIPIT_OWN_FILES_USERS_MAX 16

struct pipit_own_files {
	char root[PATH_MAX], settings[PATH_MAX], log[PATH_MAX];
	const char
	    *log_directory; /* where an access log is made anew after a rotation; NULL: it is off, a FIFO or a device */
	char sockets[PIPIT_LISTEN_MAX + 1][PATH_MAX];
	char tls[2 * (3 * PIPIT_LISTEN_MAX + 2)]
		[PATH_MAX]; /* directories of certificates, keys and what belongs to them */
	char users[PIPIT_OWN_FILES_USERS_MAX][PATH_MAX];
	size_t user_count;
	const char *readable[3 + 2 * (3 * PIPIT_LISTEN_MAX + 1) + PIPIT_OWN_FILES_USERS_MAX],
	    *writable[2 + PIPIT_LISTEN_MAX + 2]; /* for pipit_confine() */
};

/* pages: directory of the daemon's own pages; may be NULL. Files that cannot be found are left out. */
void pipit_own_files_find(const struct pipit_config *config, const char *pages, struct pipit_own_files *files);

/*
 * A file of users, which a reload reads again: its directory, because editors replace files. Of a file in "/" or /etc itself: others lie there.
 * False: too many.
 */
bool pipit_own_files_add_users(struct pipit_own_files *files, const char *file);

#endif
