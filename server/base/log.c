/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
	MESSAGE_MAX = 1024,
	ESCAPE_MAX = 4,
};

static const char *const level_names[] = {
	[PIPIT_LOG_ERROR] = "error",
	[PIPIT_LOG_WARN] = "warn",
	[PIPIT_LOG_INFO] = "info",
	[PIPIT_LOG_DEBUG] = "debug",
};

/* Relaxed: publishes no other data. */
static atomic_int highest_level = PIPIT_LOG_INFO;

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

/* Leaves room for the newline; cuts no escape. */
static char *append_message(char *out, const char *end, const char *message)
{
	for (; *message != '\0' && end - out > ESCAPE_MAX; message++) {
		unsigned char byte = (unsigned char)*message;
		if (pipit_bytes_is_printable(byte))
			*out++ = (char)byte;
		else
			out = pipit_bytes_put_hex_byte(PIPIT_BYTES_PUT(out, "\\x"), byte);
	}
	*out++ = '\n';
	return out;
}

static void write_message(const char *line, size_t length)
{
	ssize_t written;
	do {
		written = write(STDERR_FILENO, line, length);
	} while (written < 0 && errno == EINTR);
}

void pipit_log(enum pipit_log_level level, const char *format, ...)
{
	char message[MESSAGE_MAX], line[MESSAGE_MAX], *out = line;
	int saved = errno;
	va_list arguments;
	if ((int)level > atomic_load_explicit(&highest_level, memory_order_relaxed))
		return;
	va_start(arguments, format);
	int length = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (length < 0)
		message[0] = '\0';
	out = PIPIT_BYTES_PUT(out, "pipit: ");
	if (level != PIPIT_LOG_INFO) {
		out = pipit_bytes_put(out, level_names[level], strlen(level_names[level]));
		out = PIPIT_BYTES_PUT(out, ": ");
	}
	out = append_message(out, line + sizeof(line), message);
	write_message(line, (size_t)(out - line));
	errno = saved;
}
