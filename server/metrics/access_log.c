/* SPDX-License-Identifier: MIT */
#include "metrics/access_log.h"

#include "base/bytes.h"
#include "base/sigpipe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- escaping */

enum {
	ESCAPE_MAX = 6,  /* \uHHHH */
	FIELD_MAX = 512, /* of input: request line, referer and user agent */
	PEER_MAX = 64,   /* IPv6 with a zone */
	USER_MAX = 64,
	ID_MAX = 32,
	ROUTE_MAX = 224,
	/* of a client certificate, which takes half of the referer's room */
	SUBJECT_MAX = 192,
	VERIFIED_MAX = 64,
	FIXED_MAX = 256, /* the rest of a line */
	LINE_MAX_BYTES = 2 * (3 * FIELD_MAX + PEER_MAX + USER_MAX + ID_MAX + ROUTE_MAX) + FIXED_MAX,
	BUFFER_BYTES = 64 * 1024,
};

/* Writes of up to PIPE_BUF are atomic beside other processes (pipe(7)). */
static_assert(LINE_MAX_BYTES <= PIPE_BUF, "an access line fits one atomic write to a pipe");

static char *append_text(char *out, const char *text)
{
	size_t length = strlen(text);
	memcpy(out, text, length);
	return out + length;
}

static bool is_plain(const char *at)
{
	uint64_t word = pipit_bytes_load(at);
	return !(pipit_bytes_below(word, 0x20) | pipit_bytes_above_ascii(word) | pipit_bytes_equal(word, 0x7f) |
		 pipit_bytes_equal(word, '"') | pipit_bytes_equal(word, '\\'));
}

/*
 * At most 2 * input_max bytes: the longest line fits LINE_MAX_BYTES. Cuts no escape and no character of UTF-8. Leaves in *slice what is cut
 * off.
 */
static char *append_part(char *out, struct pipit_slice *slice, size_t input_max, bool json)
{
	const char *at = slice->data, *slice_end = at + slice->length, *end = out + 2 * input_max;
	const char *input_end = at + (slice->length < input_max ? slice->length : input_max);
	size_t character;
	while (at < input_end && end - out >= ESCAPE_MAX) {
		if (input_end - at >= 8 && is_plain(at) && end - out >= 8) {
			memcpy(out, at, 8);
			out += 8;
			at += 8;
		} else if (json && (character = pipit_bytes_plain_utf8(at, slice_end)) > 0) {
			out = pipit_bytes_put(out, at, character);
			at += character;
		} else if (pipit_bytes_is_printable((unsigned char)*at) && *at != '"' && *at != '\\') {
			*out++ = *at++;
		} else if (json) {
			out = pipit_bytes_put_json_escape(out, &at, slice_end);
		} else {
			out = pipit_bytes_put_hex_byte(append_text(out, "\\x"), (unsigned char)*at++);
		}
	}
	*slice = (struct pipit_slice){ at, (size_t)(slice_end - at) };
	return out;
}

static char *append_escaped(char *out, struct pipit_slice slice, size_t input_max, bool json)
{
	return append_part(out, &slice, input_max, json);
}

/* It tells clients apart: two that begin alike must not look the same. At most 2 * SUBJECT_MAX bytes. */
static char *append_subject(char *out, const char *subject, bool json)
{
	static const char mark[] = "...";
	struct pipit_slice rest = pipit_slice_of(subject);
	out = append_part(out, &rest, SUBJECT_MAX - sizeof(mark) / 2, json);
	return rest.length > 0 ? append_text(out, mark) : out;
}

/* ---------------------------------------------------------------- the destination */

struct pipit_access_log {
	int fd;     /* owned; reopening keeps its number */
	char *name; /* owned; NULL: standard output, which cannot be reopened */
	bool json;
	bool is_new;           /* opening has made the file */
	bool is_regular;       /* guarded by `lock` */
	size_t partial_length; /* 0: at the beginning of a line */
	/* Rest of a short write, written before other lines: lines of two workers must not mix. */
	char partial[LINE_MAX_BYTES];
	/* Held for a whole flush: another worker could fill the pipe after poll(), and write() would block. */
	pthread_mutex_t lock;
	atomic_uint_least64_t dropped;
};

/* O_NONBLOCK: without a reader a FIFO fails (ENXIO) instead of blocking the start, and no write blocks the loop. */
static int open_by_name(const char *name, bool *is_new)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = open(name, flags | O_EXCL, 0640);

	*is_new = fd >= 0;
	if (fd < 0)
		fd = open(name, flags, 0640);
	return fd < 0 ? -errno : fd;
}

/*
 * Other processes share the file description of standard output: no O_NONBLOCK. Pipes and terminals are opened again
 * through /proc; a second description of a regular file would overwrite what others write. Otherwise (a socket, no
 * /proc), poll() alone prevents blocking.
 */
static int open_standard_output(void)
{
	struct stat status = { .st_mode = 0 };
	int fd = -1;
	if (fstat(STDOUT_FILENO, &status) < 0 && errno != EOVERFLOW)
		return -errno;
	if (S_ISFIFO(status.st_mode) || isatty(STDOUT_FILENO))
		fd = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return fd < 0 ? -errno : fd;
}

/* EOVERFLOW: a file of 2045, where time_t has 32 bits; a pipe or a terminal has no such date. */
static bool is_regular_file(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 ? S_ISREG(status.st_mode) : errno == EOVERFLOW;
}

int pipit_access_log_open(const char *destination, bool json, struct pipit_access_log **log)
{
	bool is_output = strcmp(destination, "-") == 0;
	int fd = -ENOMEM;
	if (strcmp(destination, "off") == 0) {
		*log = NULL;
		return 0;
	}
	struct pipit_access_log *opened = calloc(1, sizeof(*opened));
	if (opened == NULL)
		return -ENOMEM;
	if (!is_output && (opened->name = strdup(destination)) == NULL)
		goto failed;
	fd = is_output ? open_standard_output() : open_by_name(destination, &opened->is_new);
	if (fd < 0)
		goto failed;
	opened->fd = fd;
	opened->json = json;
	opened->is_regular = is_regular_file(fd);
	pthread_mutex_init(&opened->lock, NULL);
	*log = opened;
	return 0;
failed:
	free(opened->name);
	free(opened);
	return fd;
}

void pipit_access_log_remove_new(struct pipit_access_log *log)
{
	if (log != NULL && log->is_new)
		unlink(log->name);
}

void pipit_access_log_close(struct pipit_access_log *log)
{
	if (log == NULL)
		return;
	close(log->fd);
	pthread_mutex_destroy(&log->lock);
	free(log->name);
	free(log);
}

uint64_t pipit_access_log_dropped(const struct pipit_access_log *log)
{
	return log == NULL ? 0 : atomic_load_explicit(&log->dropped, memory_order_relaxed);
}

static void count_dropped(struct pipit_access_log *log, uint64_t lines)
{
	atomic_fetch_add_explicit(&log->dropped, lines, memory_order_relaxed);
}

/* ---------------------------------------------------------------- writing */

static bool is_writable(int fd)
{
	struct pollfd waiting = { .fd = fd, .events = POLLOUT };
	return poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLOUT) != 0;
}

static size_t measure_whole_lines(const char *data, size_t length)
{
	if (length <= PIPE_BUF)
		return length;
	const char *newline = memrchr(data, '\n', PIPE_BUF);
	assert(newline != NULL);
	return (size_t)(newline - data) + 1;
}

/* A pipe or a socket may have no reader. Lock held. */
static ssize_t write_once(struct pipit_access_log *log, const char *data, size_t length)
{
	struct pipit_sigpipe sigpipe;
	if (log->is_regular)
		return write(log->fd, data, length);
	pipit_sigpipe_mask(&sigpipe);
	ssize_t written = write(log->fd, data, length);
	pipit_sigpipe_unmask(&sigpipe);
	return written;
}

/* Less than `length`: the destination is full, fails or would block. Lock held. */
static size_t write_lines(struct pipit_access_log *log, const char *data, size_t length)
{
	size_t done = 0;
	while (done < length) {
		size_t piece = length - done;
		if (!log->is_regular) {
			if (!is_writable(log->fd))
				break;
			piece = measure_whole_lines(data + done, piece);
		}
		ssize_t written = write_once(log, data + done, piece);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		done += (size_t)written;
	}
	return done;
}

/* True: at the beginning of a line. Lock held. */
static bool finish_partial_line(struct pipit_access_log *log)
{
	size_t written = write_lines(log, log->partial, log->partial_length);
	log->partial_length -= written;
	memmove(log->partial, log->partial + written, log->partial_length);
	return log->partial_length == 0;
}

static uint64_t count_lines(const char *data, const char *end)
{
	uint64_t count = 0;
	while (data < end) {
		data = (const char *)memchr(data, '\n', (size_t)(end - data)) + 1;
		count++;
	}
	return count;
}

/* Drops the other lines. Lock held. */
static void keep_rest(struct pipit_access_log *log, const char *data, size_t written, size_t length)
{
	const char *rest = data + written, *end = data + length;
	if (written > 0 && written < length && rest[-1] != '\n') {
		const char *next = (const char *)memchr(rest, '\n', (size_t)(end - rest)) + 1;
		log->partial_length = (size_t)(next - rest);
		memcpy(log->partial, rest, log->partial_length);
		rest = next;
	}
	count_dropped(log, count_lines(rest, end));
}

static void write_or_drop(struct pipit_access_log *log, const char *data, size_t length)
{
	size_t written = 0;
	pthread_mutex_lock(&log->lock);
	if (finish_partial_line(log))
		written = write_lines(log, data, length);
	keep_rest(log, data, written, length);
	pthread_mutex_unlock(&log->lock);
}

int pipit_access_log_reopen(struct pipit_access_log *log)
{
	int fresh, result = 0;
	bool is_new;
	if (log == NULL || log->name == NULL)
		return 0;
	fresh = open_by_name(log->name, &is_new);
	if (fresh < 0)
		return fresh;
	pthread_mutex_lock(&log->lock);
	bool is_whole = finish_partial_line(log);
	if (dup3(fresh, log->fd, O_CLOEXEC) < 0) {
		result = -errno;
	} else {
		log->is_regular = is_regular_file(fresh);
		/* it would be a forged line in the new file */
		log->partial_length = 0;
		count_dropped(log, is_whole ? 0 : 1);
	}
	pthread_mutex_unlock(&log->lock);
	close(fresh);
	return result;
}

/* ---------------------------------------------------------------- rendering */

struct pipit_access_log_buffer {
	struct pipit_access_log *log;
	time_t second;
	char date[32];
	size_t length;
	char lines[BUFFER_BYTES];
};

static char *append_digits(char *out, unsigned number, unsigned width)
{
	for (unsigned i = width; i > 0; i--) {
		out[i - 1] = (char)('0' + number % 10);
		number /= 10;
	}
	return out + width;
}

static char *append_clock(char *out, const struct tm *date)
{
	out = append_digits(out, (unsigned)date->tm_hour, 2);
	*out++ = ':';
	out = append_digits(out, (unsigned)date->tm_min, 2);
	*out++ = ':';
	return append_digits(out, (unsigned)date->tm_sec, 2);
}

/* strftime() follows the locale */
static char *append_combined_date(char *out, const struct tm *date)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec" };
	out = append_digits(out, (unsigned)date->tm_mday, 2);
	*out++ = '/';
	out = append_text(out, months[date->tm_mon]);
	*out++ = '/';
	out = append_digits(out, (unsigned)date->tm_year + 1900, 4);
	*out++ = ':';
	out = append_clock(out, date);
	return append_text(out, " +0000");
}

static char *append_json_date(char *out, const struct tm *date)
{
	out = append_digits(out, (unsigned)date->tm_year + 1900, 4);
	*out++ = '-';
	out = append_digits(out, (unsigned)date->tm_mon + 1, 2);
	*out++ = '-';
	out = append_digits(out, (unsigned)date->tm_mday, 2);
	*out++ = 'T';
	out = append_clock(out, date);
	*out++ = 'Z';
	return out;
}

static char *append_date(char *out, struct pipit_access_log_buffer *buffer, time_t second)
{
	struct tm date = { .tm_mday = 1, .tm_year = 70 }; /* stays beyond the range of gmtime_r() */
	if (buffer->date[0] == '\0' || second != buffer->second) {
		gmtime_r(&second, &date);
		char *end = buffer->log->json ? append_json_date(buffer->date, &date)
					      : append_combined_date(buffer->date, &date);
		*end = '\0';
		buffer->second = second;
	}
	return append_text(out, buffer->date);
}

static char *append_duration(char *out, uint64_t nanoseconds)
{
	out = pipit_bytes_put_number(out, nanoseconds / 1000000000);
	*out++ = '.';
	return append_digits(out, (unsigned)(nanoseconds % 1000000000 / 1000), 6);
}

static struct pipit_slice slice_or_dash(struct pipit_slice slice)
{
	return slice.length > 0 ? slice : pipit_slice_of("-");
}

static struct pipit_slice text_or_dash(const char *text)
{
	return slice_or_dash(text == NULL ? (struct pipit_slice){ NULL, 0 } : pipit_slice_of(text));
}

static uint64_t status_or_zero(int status)
{
	return status < 0 ? 0 : (uint64_t)status;
}

static size_t referer_max(const struct pipit_access_log_entry *entry)
{
	return entry->client_subject == NULL ? FIELD_MAX : FIELD_MAX - SUBJECT_MAX - VERIFIED_MAX;
}

/* Escapes blanks, too: readers of the format count fields. At most 2 * USER_MAX bytes. */
static char *append_user(char *out, struct pipit_slice user)
{
	const char *end = out + 2 * USER_MAX;
	for (const char *at = user.data; at < user.data + user.length && end - out >= 4; at++) {
		if (pipit_bytes_is_printable((unsigned char)*at) && *at != '"' && *at != '\\' && *at != ' ')
			*out++ = *at;
		else
			out = pipit_bytes_put_hex_byte(append_text(out, "\\x"), (unsigned char)*at);
	}
	return out;
}

static char *append_combined(
    char *out, struct pipit_access_log_buffer *buffer, const struct pipit_access_log_entry *entry)
{
	out = append_escaped(out, text_or_dash(entry->peer), PEER_MAX, false);
	out = append_text(out, " - ");
	out = append_user(out, text_or_dash(entry->user));
	out = append_text(out, " [");
	out = append_date(out, buffer, entry->finished);
	out = append_text(out, "] \"");
	out = append_escaped(out, slice_or_dash(entry->request_line), FIELD_MAX, false);
	out = append_text(out, "\" ");
	out = pipit_bytes_put_number(out, status_or_zero(entry->status));
	*out++ = ' ';
	out = entry->content_bytes > 0 ? pipit_bytes_put_number(out, entry->content_bytes) : append_text(out, "-");
	out = append_text(out, " \"");
	out = append_escaped(out, slice_or_dash(entry->referer), referer_max(entry), false);
	out = append_text(out, "\" \"");
	out = append_escaped(out, slice_or_dash(entry->user_agent), FIELD_MAX, false);
	out = append_text(out, "\" ");
	out = append_duration(out, entry->duration_ns);
	*out++ = ' ';
	out = append_escaped(out, text_or_dash(entry->id), ID_MAX, false);
	*out++ = ' ';
	out = append_escaped(out, text_or_dash(entry->route), ROUTE_MAX, false);
	if (entry->client_subject != NULL) {
		out = append_text(out, " \"");
		out = append_subject(out, entry->client_subject, false);
		out = append_text(out, "\" \"");
		out = append_escaped(out, text_or_dash(entry->client_verified), VERIFIED_MAX, false);
		*out++ = '"';
	}
	*out++ = '\n';
	return out;
}

/* `prefix`: ",\"id\":" */
static char *append_json_string(char *out, const char *prefix, struct pipit_slice value, size_t input_max)
{
	out = append_text(out, prefix);
	*out++ = '"';
	out = append_escaped(out, value, input_max, true);
	*out++ = '"';
	return out;
}

static char *append_json(char *out, struct pipit_access_log_buffer *buffer, const struct pipit_access_log_entry *entry)
{
	out = append_text(out, "{\"time\":\"");
	out = append_date(out, buffer, entry->finished);
	out = append_json_string(out, "\",\"peer\":", text_or_dash(entry->peer), PEER_MAX);
	if (entry->user)
		out = append_json_string(out, ",\"user\":", pipit_slice_of(entry->user), USER_MAX);
	out = append_json_string(out, ",\"request\":", slice_or_dash(entry->request_line), FIELD_MAX);
	out = append_text(out, ",\"status\":");
	out = pipit_bytes_put_number(out, status_or_zero(entry->status));
	out = append_text(out, ",\"bytes\":");
	out = pipit_bytes_put_number(out, entry->content_bytes);
	if (entry->referer.length > 0)
		out = append_json_string(out, ",\"referer\":", entry->referer, referer_max(entry));
	if (entry->user_agent.length > 0)
		out = append_json_string(out, ",\"user_agent\":", entry->user_agent, FIELD_MAX);
	out = append_text(out, ",\"duration\":");
	out = append_duration(out, entry->duration_ns);
	out = append_json_string(out, ",\"id\":", text_or_dash(entry->id), ID_MAX);
	out = append_json_string(out, ",\"route\":", text_or_dash(entry->route), ROUTE_MAX);
	if (entry->client_subject != NULL) {
		out = append_text(out, ",\"client_subject\":\"");
		out = append_subject(out, entry->client_subject, true);
		*out++ = '"';
		out = append_json_string(
		    out, ",\"client_verified\":", text_or_dash(entry->client_verified), VERIFIED_MAX);
	}
	return append_text(out, "}\n");
}

/* ---------------------------------------------------------------- a worker's buffer */

struct pipit_access_log_buffer *pipit_access_log_buffer_new(struct pipit_access_log *log)
{
	struct pipit_access_log_buffer *buffer = malloc(sizeof(*buffer));
	if (buffer == NULL)
		return NULL;
	buffer->log = log;
	buffer->second = 0;
	buffer->date[0] = '\0';
	buffer->length = 0;
	return buffer;
}

void pipit_access_log_buffer_add(struct pipit_access_log_buffer *buffer, const struct pipit_access_log_entry *entry)
{
	char *out, *end;
	if (buffer->log == NULL)
		return;
	if (sizeof(buffer->lines) - buffer->length < LINE_MAX_BYTES)
		pipit_access_log_buffer_flush(buffer);
	out = buffer->lines + buffer->length;
	end = buffer->log->json ? append_json(out, buffer, entry) : append_combined(out, buffer, entry);
	assert(end - out <= LINE_MAX_BYTES);
	buffer->length += (size_t)(end - out);
}

bool pipit_access_log_buffer_has_lines(const struct pipit_access_log_buffer *buffer)
{
	return buffer->length > 0;
}

void pipit_access_log_buffer_flush(struct pipit_access_log_buffer *buffer)
{
	if (buffer->length == 0)
		return;
	write_or_drop(buffer->log, buffer->lines, buffer->length);
	buffer->length = 0;
}

void pipit_access_log_buffer_free(struct pipit_access_log_buffer *buffer)
{
	if (buffer == NULL)
		return;
	pipit_access_log_buffer_flush(buffer);
	free(buffer);
}
