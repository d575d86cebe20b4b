/* SPDX-License-Identifier: MIT */
#include "files/gzip_cache.h"

#include "base/shared_fd.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

/* 15 window bits, gzip format */
#define GZIP_WINDOW (15 + 16)
#define LEVEL 6
#define MEMORY_LEVEL 8
/* CPU time per second, because compression blocks the worker */
#define SPEND_MAX_NS 250000000u

/* Comparing 64 versions takes less than a microsecond. */
struct entry {
	struct entry *next;
	struct pipit_files_version version;
	size_t length; /* 0: too little saved */
	char bytes[];
};

struct pipit_gzip_cache {
	struct entry *newest;
	size_t count, bytes;
	time_t second;     /* monotonic clock */
	uint64_t spent_ns; /* in `second` */
};

struct pipit_gzip_cache *pipit_gzip_cache_new(void)
{
	return calloc(1, sizeof(struct pipit_gzip_cache));
}

static void evict_from(struct pipit_gzip_cache *cache, struct entry **link)
{
	while (*link) {
		struct entry *entry = *link;
		*link = entry->next;
		cache->count--;
		cache->bytes -= entry->length;
		free(entry);
	}
}

void pipit_gzip_cache_free(struct pipit_gzip_cache *cache)
{
	if (!cache)
		return;
	evict_from(cache, &cache->newest);
	free(cache);
}

static struct entry *find(struct pipit_gzip_cache *cache, const struct pipit_files_version *version)
{
	struct entry **link = &cache->newest, *entry;
	while (*link && !pipit_files_is_same_version(&(*link)->version, version))
		link = &(*link)->next;
	entry = *link;
	if (!entry)
		return NULL;
	*link = entry->next;
	entry->next = cache->newest;
	cache->newest = entry;
	return entry;
}

static void insert(struct pipit_gzip_cache *cache, struct entry *entry)
{
	struct entry **link = &cache->newest;
	size_t count = 1, bytes = entry->length;

	for (; *link && count < PIPIT_GZIP_CACHE_FILES_MAX; link = &(*link)->next) {
		if (bytes + (*link)->length > PIPIT_GZIP_CACHE_BYTES_MAX)
			break;
		bytes += (*link)->length;
		count++;
	}
	evict_from(cache, link);
	entry->next = cache->newest;
	cache->newest = entry;
	cache->count++;
	cache->bytes += entry->length;
}

static struct entry *compress_content(const char *content, size_t size)
{
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

/* NULL also when the file changes. */
static struct entry *compress_file(const struct pipit_files_version *version, int fd)
{
	char *content = malloc((size_t)version->size);
	struct pipit_files_version now;
	struct entry *entry = NULL;

	if (content && pipit_shared_fd_read(fd, content, (size_t)version->size, 0) &&
	    pipit_files_read_version(fd, &now) && pipit_files_is_same_version(&now, version))
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

static bool may_spend(struct pipit_gzip_cache *cache)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != cache->second) {
		cache->second = now.tv_sec;
		cache->spent_ns = 0;
	}
	return cache->spent_ns < SPEND_MAX_NS;
}

static struct entry *compress_and_insert(
    struct pipit_gzip_cache *cache, const struct pipit_files_version *version, const char *content, int fd)
{
	uint64_t began_ns = cpu_ns();
	struct entry *entry = content ? compress_content(content, (size_t)version->size) : compress_file(version, fd);

	cache->spent_ns += cpu_ns() - began_ns;
	if (!entry)
		return NULL;
	entry->version = *version;
	insert(cache, entry);
	return entry;
}

bool pipit_gzip_cache_get(struct pipit_gzip_cache *cache, const struct pipit_files_version *version,
    const char *content, int fd, struct pipit_slice *gzip)
{
	struct entry *entry;

	if (version->size < PIPIT_GZIP_CACHE_FILE_MIN || version->size > PIPIT_GZIP_CACHE_FILE_MAX)
		return false;
	entry = find(cache, version);
	if (!entry && may_spend(cache))
		entry = compress_and_insert(cache, version, content, fd);
	if (!entry)
		return false;
	*gzip = (struct pipit_slice){ entry->bytes, entry->length };
	return entry->length > 0;
}

char *pipit_gzip_cache_decompress(struct pipit_slice gzip, size_t length)
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

size_t pipit_gzip_cache_byte_count(const struct pipit_gzip_cache *cache)
{
	return cache->bytes;
}
