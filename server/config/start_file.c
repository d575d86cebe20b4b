/* SPDX-License-Identifier: MIT */
#include "config/start_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_pipe(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* Reads a byte of a pipe. Returns 1; 0: no writer; -1: none yet, or an error that the caller's read finds, too. */
static ssize_t look_ahead(int fd, char *first)
{
	ssize_t length;
	do {
		length = read(fd, first, 1);
	} while (length < 0 && errno == EINTR);
	return length;
}

FILE *pipit_start_file_open(const char *name, const char **reason)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t ahead = -1;
	FILE *file = NULL;
	char first;

	if (fd >= 0 && is_pipe(fd) && (ahead = look_ahead(fd, &first)) == 0) {
		*reason = "it is a pipe without a writer";
		errno = EPIPE;
	} else if (fd < 0 || fcntl(fd, F_SETFL, 0) != 0 || (file = fdopen(fd, "r")) == NULL) {
		*reason = strerror(errno);
	}
	if (file == NULL && fd >= 0)
		close(fd);
	else if (ahead > 0)
		ungetc((unsigned char)first, file);
	return file;
}
