/* SPDX-License-Identifier: MIT */
/* See gzip_cache.h. */
#include "files/gzip_cache.h"

#include "base/shared_fd.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

/* 15 bits of window, and gzip's wrapping instead of zlib's. */
#define GZIP_WINDOW (15 + 16)
#define LEVEL 6
#define MEMORY_LEVEL 8
/* Of each second, lest clients that ask for many files in turn keep a worker from everything else. */
#define SPEND_MAX_NS 250000000u

/* Of so few a list is as good as a table: comparing sixty versions takes less than a microsecond. */
struct entry {
	struct entry *next; /* used less recently */
	struct pipit_files_version version;
	size_t length; /* 0: not worth it */
	char bytes[];
};

struct pipit_gzip_cache {
	struct entry *newest;
	size_t count, bytes;
	time_t second;     /* of the monotonic clock */
	uint64_t spent_ns; /* on compressing, in that second */
};

struct pipit_gzip_cache *pipit_gzip_cache_new(void)
{
	return calloc(1, sizeof(struct pipit_gzip_cache));
}

static void forget_behind(struct pipit_gzip_cache *compressed, struct entry **link)
{
	while (*link) {
		struct entry *entry = *link;
		*link = entry->next;
		compressed->count--;
		compressed->bytes -= entry->length;
		free(entry);
	}
}

void pipit_gzip_cache_free(struct pipit_gzip_cache *compressed)
{
	if (!compressed)
		return;
	forget_behind(compressed, &compressed->newest);
	free(compressed);
}

static struct entry *find(struct pipit_gzip_cache *compressed, const struct pipit_files_version *version)
{
	struct entry **link = &compressed->newest, *entry;
	while (*link && !pipit_files_is_same_version(&(*link)->version, version))
		link = &(*link)->next;
	entry = *link;
	if (!entry)
		return NULL;
	*link = entry->next;
	entry->next = compressed->newest;
	compressed->newest = entry;
	return entry;
}

static void remember(struct pipit_gzip_cache *compressed, struct entry *entry)
{
	struct entry **link = &compressed->newest;
	size_t count = 1, bytes = entry->length;

	for (; *link && count < PIPIT_GZIP_CACHE_FILES_MAX; link = &(*link)->next) {
		if (bytes + (*link)->length > PIPIT_GZIP_CACHE_BYTES_MAX)
			break;
		bytes += (*link)->length;
		count++;
	}
	forget_behind(compressed, link);
	entry->next = compressed->newest;
	compressed->newest = entry;
	compressed->count++;
	compressed->bytes += entry->length;
}

/* Into an entry of its own; one without bytes when it is not worth it, NULL when memory is short. */
static struct entry *compress_content(const char *content, size_t size)
{
	/* Saving less than a tenth is not worth what the client spends on it. */
	size_t room = size - size / 10;
	struct entry *entry = malloc(sizeof *entry + room), *smaller;
	z_stream stream = { 0 };

	if (!entry)
		return NULL;
	if (deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(entry);
		return NULL;
	}
	stream.next_in = (Bytef *)content;
	stream.avail_in = (uInt)size;
	stream.next_out = (Bytef *)entry->bytes;
	stream.avail_out = (uInt)room;
	entry->length = deflate(&stream, Z_FINISH) == Z_STREAM_END ? stream.total_out : 0;
	deflateEnd(&stream);
	smaller = realloc(entry, sizeof *entry + entry->length);
	return smaller ? smaller : entry;
}

/* All of the file, and it has not changed meanwhile. */
static struct entry *compress_file(const struct pipit_files_version *version, int fd)
{
	char *content = malloc((size_t)version->size);
	struct pipit_files_version now;
	struct entry *entry = NULL;

	if (content && pipit_shared_fd_read(fd, content, (size_t)version->size, 0) && pipit_files_read_version(fd, &now) &&
	    pipit_files_is_same_version(&now, version))
		entry = compress_content(content, (size_t)version->size);
	free(content);
	return entry;
}

static uint64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool may_spend(struct pipit_gzip_cache *compressed)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != compressed->second) {
		compressed->second = now.tv_sec;
		compressed->spent_ns = 0;
	}
	return compressed->spent_ns < SPEND_MAX_NS;
}

static struct entry *compress_and_remember(
    struct pipit_gzip_cache *compressed, const struct pipit_files_version *version, const char *content, int fd)
{
	uint64_t began_ns = cpu_ns();
	struct entry *entry = content ? compress_content(content, (size_t)version->size) : compress_file(version, fd);

	compressed->spent_ns += cpu_ns() - began_ns;
	if (!entry)
		return NULL;
	entry->version = *version;
	remember(compressed, entry);
	return entry;
}

bool pipit_gzip_cache_get(struct pipit_gzip_cache *compressed, const struct pipit_files_version *version,
    const char *content, int fd, struct pipit_slice *gzip)
{
	struct entry *entry;

	if (version->size < PIPIT_GZIP_CACHE_FILE_MIN || version->size > PIPIT_GZIP_CACHE_FILE_MAX)
		return false;
	entry = find(compressed, version);
	if (!entry && may_spend(compressed))
		entry = compress_and_remember(compressed, version, content, fd);
	if (!entry)
		return false;
	*gzip = (struct pipit_slice){ entry->bytes, entry->length };
	return entry->length > 0;
}

char *pipit_gzip_cache_undo(struct pipit_slice gzip, size_t length)
{
	char *content = malloc(length);
	z_stream stream = { 0 };
	bool is_whole;

	if (!content || inflateInit2(&stream, GZIP_WINDOW) != Z_OK) {
		free(content);
		return NULL;
	}
	stream.next_in = (Bytef *)gzip.data;
	stream.avail_in = (uInt)gzip.length;
	stream.next_out = (Bytef *)content;
	stream.avail_out = (uInt)length;
	is_whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == length;
	inflateEnd(&stream);
	if (is_whole)
		return content;
	free(content);
	return NULL;
}

size_t pipit_gzip_cache_byte_count(const struct pipit_gzip_cache *compressed)
{
	return compressed->bytes;
}
