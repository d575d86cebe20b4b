/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/bytes.h"
#include "base/sigpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	MESSAGE_MAX = 1024, /* a line, with its newline; at most PIPE_BUF, so that pipes take it whole */
	ESCAPE_MAX = 6,     /* \uHHHH */
	END_MAX = 3,        /* "} and the newline */
	PROGRAM_MAX = 64,
};

static const char *const level_names[] = {
	[PIPIT_LOG_ERROR] = "error",
	[PIPIT_LOG_WARN] = "warn",
	[PIPIT_LOG_INFO] = "info",
	[PIPIT_LOG_DEBUG] = "debug",
};

/* Relaxed: they publish no other data. */
static atomic_int highest_level = PIPIT_LOG_INFO;
static atomic_bool is_json;
static char program[PROGRAM_MAX + 1]; /* empty: pipit */
static bool knows_errors;             /* the next two are set */
static dev_t errors_device;
static ino_t errors_inode;
static atomic_uint_least64_t dropped; /* since the start */
static atomic_uint_least64_t unsaid;  /* of those, since the last line that said how many */

int pipit_log_level_parse(const char *name, enum pipit_log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum pipit_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void pipit_log_set_level(enum pipit_log_level level)
{
	atomic_store_explicit(&highest_level, (int)level, memory_order_relaxed);
}

void pipit_log_set_json(bool json)
{
	atomic_store_explicit(&is_json, json, memory_order_relaxed);
}

void pipit_log_set_program(const char *name)
{
	snprintf(program, sizeof program, "%s", name);
}

void pipit_log_set_errors(dev_t device, ino_t inode)
{
	errors_device = device;
	errors_inode = inode;
	knows_errors = true;
}

uint64_t pipit_log_dropped(void)
{
	return atomic_load_explicit(&dropped, memory_order_relaxed);
}

/* --- a line ------------------------------------------------------------------------------------------------------- */

/* Characters of UTF-8 stay; controls and other bytes are escaped. Cut before `end`, but not within a character. */
static char *append_message(char *out, const char *end, const char *message, bool json)
{
	const char *message_end = message + strlen(message);
	while (message < message_end && end - out >= ESCAPE_MAX) {
		size_t length = pipit_bytes_plain_utf8(message, message_end);
		if (length > 0) {
			out = pipit_bytes_put(out, message, length);
			message += length;
			continue;
		}
		if (pipit_bytes_is_printable((unsigned char)*message) &&
		    !(json && (*message == '"' || *message == '\\')))
			*out++ = *message++;
		else if (json)
			out = pipit_bytes_put_json_escape(out, &message, message_end);
		else
			out = pipit_bytes_put_hex_byte(PIPIT_BYTES_PUT(out, "\\x"), (unsigned char)*message++);
	}
	return out;
}

static char *append_json(char *out, const char *end, enum pipit_log_level level, const char *message)
{
	struct tm date = { .tm_mday = 1, .tm_year = 70 };
	time_t now = time(NULL);

	gmtime_r(&now, &date);
	out += strftime(out, (size_t)(end - out), "{\"time\":\"%Y-%m-%dT%H:%M:%SZ\",\"level\":\"", &date);
	out = pipit_bytes_put(out, level_names[level], strlen(level_names[level]));
	if (program[0]) {
		out = PIPIT_BYTES_PUT(out, "\",\"program\":\"");
		out = append_message(out, out + PROGRAM_MAX + ESCAPE_MAX, program, true);
	}
	out = PIPIT_BYTES_PUT(out, "\",\"message\":\"");
	out = append_message(out, end, message, true);
	return PIPIT_BYTES_PUT(out, "\"}");
}

static char *append_text(char *out, const char *end, enum pipit_log_level level, const char *message)
{
	out = append_message(out, out + PROGRAM_MAX + ESCAPE_MAX, program[0] ? program : "pipit", false);
	out = PIPIT_BYTES_PUT(out, ": ");
	if (level != PIPIT_LOG_INFO) {
		out = pipit_bytes_put(out, level_names[level], strlen(level_names[level]));
		out = PIPIT_BYTES_PUT(out, ": ");
	}
	return append_message(out, end, message, false);
}

/* Returns the length. */
static size_t render(char line[MESSAGE_MAX], enum pipit_log_level level, const char *message)
{
	char *end = line + MESSAGE_MAX - END_MAX, *out;
	out = atomic_load_explicit(&is_json, memory_order_relaxed) ? append_json(line, end, level, message)
								   : append_text(line, end, level, message);
	*out++ = '\n';
	return (size_t)(out - line);
}

/* --- standard error ----------------------------------------------------------------------------------------------- */

/*
 * Other processes share the file description of standard error: no O_NONBLOCK there. A pipe or a terminal is opened again through /proc,
 * for each message, because the program may redirect standard error. Where that fails, poll() alone prevents blocking.
 */
static ssize_t write_to_reader(const char *line, size_t length)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct pollfd look = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct pipit_sigpipe sigpipe;
	ssize_t written = -1;

	/* Of a pipe without a reader, which cannot be opened. */
	pipit_sigpipe_mask(&sigpipe);
	if (fd >= 0)
		written = write(fd, line, length);
	else if (poll(&look, 1, 0) == 1 && look.revents & POLLOUT)
		written = write(STDERR_FILENO, line, length);
	pipit_sigpipe_unmask(&sigpipe);
	if (fd >= 0)
		close(fd);
	return written;
}

/* Logs that were opened later append. */
static bool is_of_program(const struct stat *status)
{
	if (!knows_errors || (status->st_dev == errors_device && status->st_ino == errors_inode))
		return false;
	return S_ISSOCK(status->st_mode) || (S_ISREG(status->st_mode) && !(fcntl(STDERR_FILENO, F_GETFL) & O_APPEND));
}

static bool write_now(const char *line, size_t length)
{
	struct stat status = { .st_mode = 0 };
	ssize_t written;

	do {
		/* a file of 2045, where time_t has 32 bits */
		if (fstat(STDERR_FILENO, &status) != 0 && errno != EOVERFLOW)
			return false;
		if (is_of_program(&status))
			return true;
		if (S_ISSOCK(status.st_mode))
			written = send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
			written = write_to_reader(line, length);
		else
			written = write(STDERR_FILENO, line, length);
	} while (written < 0 && errno == EINTR);
	return written >= 0;
}

/* Says first how many were dropped before. */
static bool report_dropped(void)
{
	uint64_t count = atomic_exchange_explicit(&unsaid, 0, memory_order_relaxed);
	char message[128], line[MESSAGE_MAX];

	if (!count)
		return true;
	snprintf(message, sizeof message, "%llu messages were dropped, because standard error did not take them",
	    (unsigned long long)count);
	if (write_now(line, render(line, PIPIT_LOG_WARN, message)))
		return true;
	atomic_fetch_add_explicit(&unsaid, count, memory_order_relaxed);
	return false;
}

void pipit_log(enum pipit_log_level level, const char *format, ...)
{
	char message[MESSAGE_MAX], line[MESSAGE_MAX];
	int saved = errno, length;
	va_list arguments;

	if ((int)level > atomic_load_explicit(&highest_level, memory_order_relaxed))
		return;
	va_start(arguments, format);
	length = vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	if (length < 0)
		message[0] = '\0';
	if (!report_dropped() || !write_now(line, render(line, level, message))) {
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&unsaid, 1, memory_order_relaxed);
	}
	errno = saved;
}

void pipit_log_announce(const char *message)
{
	char line[MESSAGE_MAX];
	if (atomic_load_explicit(&is_json, memory_order_relaxed))
		fwrite(line, 1, render(line, PIPIT_LOG_INFO, message), stdout);
	else
		puts(message);
	fflush(stdout);
}
