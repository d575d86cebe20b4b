/* SPDX-License-Identifier: MIT */
/* Files that are read once, at the start. */
#ifndef PIPIT_START_FILE_H
#define PIPIT_START_FILE_H

#include <stdio.h>

/*
 * As fopen() for reading, but a pipe must have a writer, or bytes that one has left: nothing says what the start of a server waits for. A
 * pipe of the shell, as "<(command)", has one. NULL with
 * errno and the reason, as in "cannot be read: …": static, or of strerror().
 */
FILE *pipit_start_file_open(const char *name, const char **reason);

#endif
