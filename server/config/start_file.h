/* SPDX-License-Identifier: MIT */
/* Files that are read once, at the start. */
#ifndef PIPIT_START_FILE_H
#define PIPIT_START_FILE_H

#include <stdio.h>

/*
 * As fopen() for reading, but a pipe must have a writer, or bytes that one has left: the start would wait without a message. NULL on failure,
 * with errno and the reason, as in "cannot be read: …": static, or of strerror().
 */
FILE *pipit_start_file_open(const char *name, const char **reason);

#endif
