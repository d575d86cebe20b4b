/* SPDX-License-Identifier: MIT */
#include "files/file_cache.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* until the path is looked up again */
#define LOOKUP_MS 1000
/* until the version is compared again */
#define CHECK_MS 10
#define IDLE_MS 10000
/* so long a deleted file keeps its disk space, and a file system cannot be unmounted */
#define DESCRIPTOR_IDLE_MS 1000
/* a power of two */
#define BUCKETS 256
/* several ticks of the slowest clock (CONFIG_HZ=100) */
#define SETTLED_MS 100

struct entry {
	struct entry *next;
	struct entry *newer, *older;
	const struct pipit_files *files;
	uint32_t hash;
	uint64_t opened_ms, checked_ms, used_ms;
	unsigned generation; /* before the last check */
	struct pipit_file_cache_file file;
	size_t size;
	size_t path_length;
	char bytes[]; /* path, then content */
};

struct pipit_file_cache {
	struct entry *buckets[BUCKETS];
	struct entry *newest, *oldest;
	size_t count, descriptors, bytes;
};

/* FNV-1a. */
static uint32_t hash_of(struct pipit_slice path)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < path.length; i++)
		hash = (hash ^ (unsigned char)path.data[i]) * 16777619u;
	return hash ^ hash >> 16;
}

static struct entry *look_up(
    const struct pipit_file_cache *cache, const struct pipit_files *files, struct pipit_slice path, uint32_t hash)
{
	struct entry *entry = cache->buckets[hash % BUCKETS];
	while (entry && (entry->hash != hash || entry->files != files || entry->path_length != path.length ||
			    memcmp(entry->bytes, path.data, path.length) != 0))
		entry = entry->next;
	return entry;
}

static void link_newest(struct pipit_file_cache *cache, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = cache->newest;
	if (cache->newest)
		cache->newest->newer = entry;
	else
		cache->oldest = entry;
	cache->newest = entry;
}

static void unlink_use(struct pipit_file_cache *cache, struct entry *entry)
{
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		cache->newest = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		cache->oldest = entry->newer;
}

static void evict(struct pipit_file_cache *cache, struct entry *entry)
{
	struct entry **link = &cache->buckets[entry->hash % BUCKETS];
	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	unlink_use(cache, entry);
	cache->count--;
	cache->bytes -= entry->size;
	cache->descriptors -= entry->file.descriptor != NULL;
	pipit_shared_fd_release(entry->file.descriptor);
	free(entry);
}

static void evict_oldest_descriptor(struct pipit_file_cache *cache)
{
	struct entry *entry = cache->oldest;
	while (!entry->file.descriptor)
		entry = entry->newer;
	evict(cache, entry);
}

static void insert(struct pipit_file_cache *cache, struct entry *entry)
{
	struct entry **bucket = &cache->buckets[entry->hash % BUCKETS];

	while (cache->count == PIPIT_FILE_CACHE_FILES_MAX || cache->bytes + entry->size > PIPIT_FILE_CACHE_BYTES_MAX)
		evict(cache, cache->oldest);
	if (entry->file.descriptor && cache->descriptors == PIPIT_FILE_CACHE_DESCRIPTORS_MAX)
		evict_oldest_descriptor(cache);
	entry->next = *bucket;
	*bucket = entry;
	link_newest(cache, entry);
	cache->count++;
	cache->bytes += entry->size;
	cache->descriptors += entry->file.descriptor != NULL;
}

bool pipit_file_cache_evict_descriptors(struct pipit_file_cache *cache)
{
	bool had_any = cache->descriptors > 0;
	while (cache->descriptors)
		evict_oldest_descriptor(cache);
	return had_any;
}

void pipit_file_cache_sweep(struct pipit_file_cache *cache, uint64_t now_ms)
{
	struct entry *entry, *newer;

	while (cache->oldest && now_ms >= cache->oldest->used_ms + IDLE_MS)
		evict(cache, cache->oldest);
	for (entry = cache->oldest; entry && cache->descriptors; entry = newer) {
		newer = entry->newer;
		if (now_ms < entry->used_ms + DESCRIPTOR_IDLE_MS)
			break;
		if (entry->file.descriptor)
			evict(cache, entry);
	}
}

static char *put_hex(char *at, uint64_t number)
{
	return pipit_bytes_put_hex(at, number, pipit_bytes_hex_digits(number));
}

/* No protection from attackers who write the files. */
static uint64_t digest(const struct pipit_files_version *version)
{
	const uint64_t words[] = { version->device, version->inode, (uint64_t)version->changed.second,
		version->changed.nanosecond };
	uint64_t sum = 14695981039346656037u;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		sum = (sum ^ words[i]) * 1099511628211u;
		sum ^= sum >> 32;
	}
	return sum & 0xffffffffu;
}

/* Writes within one tick of the kernel's clock leave the same timestamps. */
static bool is_settled(const struct pipit_files_version *version)
{
	const struct pipit_file_time *changed = &version->changed;
	struct timespec now;
	int64_t age_ms;
	clock_gettime(CLOCK_REALTIME, &now);
	age_ms = (now.tv_sec - changed->second) * 1000 + ((int64_t)now.tv_nsec - changed->nanosecond) / 1000000;
	return age_ms >= SETTLED_MS || age_ms < 0;
}

static void set_etag(struct pipit_file_cache_file *file)
{
	const struct pipit_file_time *modified = &file->version.modified;
	char *at = file->etag;

	if (!is_settled(&file->version))
		at = PIPIT_BYTES_PUT(at, "W/");
	*at++ = '"';
	at = put_hex(at, (uint64_t)modified->second * 1000000000u + modified->nanosecond);
	*at++ = '-';
	at = put_hex(at, file->size);
	*at++ = '-';
	at = put_hex(at, digest(&file->version));
	*at++ = '"';
	*at = '\0';
	file->etag_length = (size_t)(at - file->etag);
}

/* False: the file has changed. */
static bool read_content(const struct pipit_file *file, char *content)
{
	struct pipit_files_version version;
	if (!pipit_shared_fd_read(file->fd, content, (size_t)file->size, 0))
		return false;
	return pipit_files_read_version(file->fd, &version) && pipit_files_is_same_version(&version, &file->version);
}

static void describe(struct pipit_file_cache_file *file, const struct pipit_file *opened_file)
{
	*file = (struct pipit_file_cache_file){
		.size = opened_file->size,
		.modified = opened_file->modified,
		.content_type = opened_file->content_type,
		.is_gzip = opened_file->is_gzip,
		.is_compressible =
		    !opened_file->is_gzip && pipit_media_types_is_compressible(opened_file->content_type),
		.version = opened_file->version,
		.is_index = opened_file->is_index,
	};
	set_etag(file);
	pipit_date_print(file->modified, file->date);
}

/* NULL also when the file cannot be cached. */
static struct entry *new_entry(
    const struct pipit_files *files, struct pipit_slice path, uint32_t hash, const struct pipit_file *file)
{
	size_t content_length = file->size <= PIPIT_FILE_CACHE_SMALL_BYTES ? (size_t)file->size : 0;
	size_t size = sizeof(struct entry) + path.length + content_length;
	struct entry *entry = path.length <= PIPIT_FILE_CACHE_PATH_MAX ? malloc(size) : NULL;

	if (!entry)
		return NULL;
	*entry = (struct entry){ .files = files, .hash = hash, .size = size, .path_length = path.length };
	describe(&entry->file, file);
	memcpy(entry->bytes, path.data, path.length);
	if (file->size <= PIPIT_FILE_CACHE_SMALL_BYTES && read_content(file, entry->bytes + path.length))
		entry->file.content = entry->bytes + path.length;
	return entry;
}

static void return_entry(
    struct pipit_file_cache *cache, struct entry *entry, uint64_t now_ms, struct pipit_file_cache_file *file)
{
	entry->used_ms = now_ms;
	if (cache->newest != entry) {
		unlink_use(cache, entry);
		link_newest(cache, entry);
	}
	*file = entry->file;
	if (file->descriptor)
		pipit_shared_fd_hold(file->descriptor);
}

/* Also finds a file that shrinks: sending it would end the connection. */
static bool is_current(struct entry *entry, unsigned generation, uint64_t now_ms)
{
	struct pipit_slice path = { entry->bytes, entry->path_length };

	if (now_ms < entry->checked_ms + CHECK_MS && entry->generation == generation)
		return true;
	if (!pipit_files_has_version(entry->files, path, &entry->file.version))
		return false;
	entry->checked_ms = now_ms;
	entry->generation = generation;
	return true;
}

static bool is_fresh(struct entry *entry, unsigned generation, uint64_t now_ms)
{
	return now_ms < entry->opened_ms + LOOKUP_MS && is_current(entry, generation, now_ms);
}

static enum pipit_files_result open_file(
    struct pipit_file_cache *cache, const struct pipit_files *files, struct pipit_slice path, struct pipit_file *file)
{
	enum pipit_files_result result = pipit_files_open(files, path, file);
	if (result == PIPIT_FILES_UNAVAILABLE && pipit_file_cache_evict_descriptors(cache))
		result = pipit_files_open(files, path, file);
	return result;
}

/* Takes `file` and entry (may be NULL). */
static enum pipit_files_result take_file(struct pipit_file_cache *cache, struct entry *entry,
    const struct pipit_file *file, unsigned generation, uint64_t now_ms, struct pipit_file_cache_file *found)
{
	struct pipit_shared_fd *descriptor = NULL;

	if (entry && entry->file.content) {
		close(file->fd);
	} else {
		descriptor = pipit_shared_fd_new(file->fd);
		if (!descriptor) {
			free(entry);
			return PIPIT_FILES_UNAVAILABLE;
		}
	}
	if (!entry) {
		describe(found, file);
		found->descriptor = descriptor;
		return PIPIT_FILES_FOUND;
	}
	entry->file.descriptor = descriptor;
	entry->opened_ms = entry->checked_ms = now_ms;
	entry->generation = generation;
	insert(cache, entry);
	return_entry(cache, entry, now_ms, found);
	return PIPIT_FILES_FOUND;
}

/* What the other workers have cached is older than this lookup, or not known to be newer. */
static unsigned start_generation(struct pipit_files *files, unsigned generation)
{
	return pipit_files_next_generation(files) == generation ? generation + 1 : generation;
}

enum pipit_files_result pipit_file_cache_find(struct pipit_file_cache *cache, struct pipit_files *files,
    struct pipit_slice path, uint64_t now_ms, struct pipit_file_cache_file *found)
{
	uint32_t hash = hash_of(path);
	struct entry *entry = look_up(cache, files, path, hash);
	unsigned generation = pipit_files_generation(files);
	struct pipit_file file;
	enum pipit_files_result result;
	bool is_same;

	if (entry && is_fresh(entry, generation, now_ms)) {
		return_entry(cache, entry, now_ms, found);
		return PIPIT_FILES_FOUND;
	}
	result = open_file(cache, files, path, &file);
	/* open_file() may have evicted it */
	entry = look_up(cache, files, path, hash);
	is_same =
	    entry && result == PIPIT_FILES_FOUND && pipit_files_is_same_version(&entry->file.version, &file.version);
	if (!is_same)
		generation = start_generation(files, generation);
	/*
	 * The inode of an open file is not reused. Content is read again, because a write within the tick, or through a
	 * mapping, may leave the timestamps.
	 */
	if (is_same && entry->file.descriptor) {
		close(file.fd);
		entry->opened_ms = entry->checked_ms = now_ms;
		entry->generation = generation;
		entry->file.absent = 0;
		if (!pipit_file_cache_is_settled(&entry->file))
			set_etag(&entry->file);
		return_entry(cache, entry, now_ms, found);
		return PIPIT_FILES_FOUND;
	}
	if (entry)
		evict(cache, entry);
	if (result != PIPIT_FILES_FOUND)
		return result;
	return take_file(cache, new_entry(files, path, hash, &file), &file, generation, now_ms, found);
}

void pipit_file_cache_note_absent(
    struct pipit_file_cache *cache, const struct pipit_files *files, struct pipit_slice path, unsigned absent)
{
	struct entry *entry = look_up(cache, files, path, hash_of(path));
	if (entry)
		entry->file.absent |= absent;
}

struct pipit_file_cache *pipit_file_cache_new(void)
{
	return calloc(1, sizeof(struct pipit_file_cache));
}

void pipit_file_cache_free(struct pipit_file_cache *cache)
{
	if (!cache)
		return;
	while (cache->oldest)
		evict(cache, cache->oldest);
	free(cache);
}

size_t pipit_file_cache_file_count(const struct pipit_file_cache *cache)
{
	return cache->count;
}

size_t pipit_file_cache_descriptor_count(const struct pipit_file_cache *cache)
{
	return cache->descriptors;
}

size_t pipit_file_cache_byte_count(const struct pipit_file_cache *cache)
{
	return cache->bytes;
}
