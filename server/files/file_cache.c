/* SPDX-License-Identifier: MIT */
/* Read from pipit_file_cache_find() on; see file_cache.h. */
#include "files/file_cache.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* What is remembered is so old at most. */
#define CHECK_MS 1000
/* So long a descriptor's file is taken to have the length that it had. */
#define LOOK_MS 10
/* A file that nobody has asked for during this time is forgotten: deleted, it would keep its place on the disk. */
#define IDLE_MS 10000
/* A power of two. */
#define BUCKETS 256
/* So long after a change another one leaves other times: several ticks of the slowest clock (CONFIG_HZ=100). */
#define SETTLED_MS 100

struct entry {
	struct entry *next; /* in its bucket */
	struct entry *newer, *older;
	const struct pipit_files *files; /* this and the path are its name */
	uint32_t hash;
	uint64_t checked_ms, looked_ms, used_ms;
	struct pipit_file_cache_file file; /* its descriptor is held */
	size_t size;                       /* of this block */
	size_t path_length;
	char bytes[]; /* the path, then the content */
};

struct pipit_file_cache {
	struct entry *buckets[BUCKETS];
	struct entry *newest, *oldest; /* in the order of use */
	size_t count, descriptors, bytes;
};

/* --- the table ----------------------------------------------------------------------------------------------------- */

/* FNV-1a. Whoever finds spellings of one path that meet in a bucket makes us look at no more entries than there are. */
static uint32_t hash_of(struct pipit_slice path)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < path.length; i++)
		hash = (hash ^ (unsigned char)path.data[i]) * 16777619u;
	return hash ^ hash >> 16;
}

static struct entry *look_up(
    const struct pipit_file_cache *opened, const struct pipit_files *files, struct pipit_slice path, uint32_t hash)
{
	struct entry *entry = opened->buckets[hash % BUCKETS];
	while (entry && (entry->hash != hash || entry->files != files || entry->path_length != path.length ||
			    memcmp(entry->bytes, path.data, path.length) != 0))
		entry = entry->next;
	return entry;
}

static void link_newest(struct pipit_file_cache *opened, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = opened->newest;
	if (opened->newest)
		opened->newest->newer = entry;
	else
		opened->oldest = entry;
	opened->newest = entry;
}

static void unlink_use(struct pipit_file_cache *opened, struct entry *entry)
{
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		opened->newest = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		opened->oldest = entry->newer;
}

static void forget(struct pipit_file_cache *opened, struct entry *entry)
{
	struct entry **link = &opened->buckets[entry->hash % BUCKETS];
	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	unlink_use(opened, entry);
	opened->count--;
	opened->bytes -= entry->size;
	opened->descriptors -= entry->file.descriptor != NULL;
	pipit_shared_fd_release(entry->file.descriptor);
	free(entry);
}

static void forget_oldest_descriptor(struct pipit_file_cache *opened)
{
	struct entry *entry = opened->oldest;
	while (!entry->file.descriptor)
		entry = entry->newer;
	forget(opened, entry);
}

static void remember(struct pipit_file_cache *opened, struct entry *entry)
{
	struct entry **bucket = &opened->buckets[entry->hash % BUCKETS];

	while (opened->count == PIPIT_FILE_CACHE_FILES_MAX || opened->bytes + entry->size > PIPIT_FILE_CACHE_BYTES_MAX)
		forget(opened, opened->oldest);
	if (entry->file.descriptor && opened->descriptors == PIPIT_FILE_CACHE_DESCRIPTORS_MAX)
		forget_oldest_descriptor(opened);
	entry->next = *bucket;
	*bucket = entry;
	link_newest(opened, entry);
	opened->count++;
	opened->bytes += entry->size;
	opened->descriptors += entry->file.descriptor != NULL;
}

bool pipit_file_cache_give_up_descriptors(struct pipit_file_cache *opened)
{
	bool had_any = opened->descriptors > 0;
	while (opened->descriptors)
		forget_oldest_descriptor(opened);
	return had_any;
}

void pipit_file_cache_sweep(struct pipit_file_cache *opened, uint64_t now_ms)
{
	while (opened->oldest && now_ms >= opened->oldest->used_ms + IDLE_MS)
		forget(opened, opened->oldest);
}

/* --- from an open file to an entry --------------------------------------------------------------------------------- */

static char *put_hex(char *at, uint64_t number)
{
	return pipit_bytes_put_hex(at, number, pipit_bytes_hex_digits(number));
}

/* What tells files of the same size and time apart. Not for attackers: whoever writes the files may make them alike. */
static uint64_t digest(const struct pipit_files_version *version)
{
	const uint64_t words[] = { version->device, version->inode, (uint64_t)version->changed.tv_sec,
		(uint64_t)version->changed.tv_nsec };
	uint64_t sum = 14695981039346656037u;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		sum = (sum ^ words[i]) * 1099511628211u;
		sum ^= sum >> 32;
	}
	return sum & 0xffffffffu;
}

/* Two writes within one tick of the kernel's clock leave the same times: what has just been written may be written again. */
static bool has_settled(const struct pipit_files_version *version)
{
	const struct timespec *changed = &version->changed;
	struct timespec now;
	int64_t age_ms;
	clock_gettime(CLOCK_REALTIME, &now);
	age_ms = (int64_t)(now.tv_sec - changed->tv_sec) * 1000 + (now.tv_nsec - changed->tv_nsec) / 1000000;
	return age_ms >= SETTLED_MS || age_ms < 0;
}

static void set_etag(struct pipit_file_cache_file *file)
{
	const struct timespec *modified = &file->version.modified;
	char *at = file->etag;

	if (!has_settled(&file->version))
		at = PIPIT_BYTES_PUT(at, "W/");
	*at++ = '"';
	at = put_hex(at, (uint64_t)modified->tv_sec * 1000000000u + (uint64_t)modified->tv_nsec);
	*at++ = '-';
	at = put_hex(at, file->size);
	*at++ = '-';
	at = put_hex(at, digest(&file->version));
	*at++ = '"';
	*at = '\0';
	file->etag_length = (size_t)(at - file->etag);
}

/* All of the file, and it has not changed meanwhile. */
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
		.is_compressible = pipit_media_types_is_compressible(opened_file->content_type),
		.version = opened_file->version,
		.is_index = opened_file->is_index,
	};
	set_etag(file);
	pipit_response_head_date(file->modified, file->date);
}

/* With its content, when it is small. NULL when it cannot be remembered. */
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

/* --- finding ------------------------------------------------------------------------------------------------------- */

static void give(
    struct pipit_file_cache *opened, struct entry *entry, uint64_t now_ms, struct pipit_file_cache_file *file)
{
	entry->used_ms = now_ms;
	if (opened->newest != entry) {
		unlink_use(opened, entry);
		link_newest(opened, entry);
	}
	*file = entry->file;
	if (file->descriptor)
		pipit_shared_fd_hold(file->descriptor);
}

/*
 * A file that is written in place has another length then, and a promised length that is not kept ends the connection: so the
 * descriptor is looked at more often than the path, but not for each of many requests at once.
 */
static bool is_unchanged(struct entry *entry, uint64_t now_ms)
{
	struct pipit_files_version version;
	if (now_ms < entry->looked_ms + LOOK_MS)
		return true;
	entry->looked_ms = now_ms;
	return pipit_files_read_version(entry->file.descriptor->fd, &version) &&
	       pipit_files_is_same_version(&version, &entry->file.version);
}

static bool is_fresh(struct entry *entry, uint64_t now_ms)
{
	return now_ms < entry->checked_ms + CHECK_MS && (entry->file.content || is_unchanged(entry, now_ms));
}

/*
 * Only an open file can be known again: its inode is not given to another one. Content is read anew although the times are the
 * same: two writes within one tick of the kernel's clock leave the same times, and one through a mapping may leave none.
 */
static bool is_still(const struct entry *entry, const struct pipit_file *file)
{
	return entry->file.descriptor && pipit_files_is_same_version(&entry->file.version, &file->version);
}

static enum pipit_files_result open_file(
    struct pipit_file_cache *opened, const struct pipit_files *files, struct pipit_slice path, struct pipit_file *file)
{
	enum pipit_files_result result = pipit_files_open(files, path, file);
	if (result == PIPIT_FILES_UNAVAILABLE && pipit_file_cache_give_up_descriptors(opened))
		result = pipit_files_open(files, path, file);
	return result;
}

/* entry: NULL when the file cannot be remembered. Takes both. */
static enum pipit_files_result take_file(struct pipit_file_cache *opened, struct entry *entry,
    const struct pipit_file *file, uint64_t now_ms, struct pipit_file_cache_file *found)
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
	entry->checked_ms = entry->looked_ms = now_ms;
	remember(opened, entry);
	give(opened, entry, now_ms, found);
	return PIPIT_FILES_FOUND;
}

enum pipit_files_result pipit_file_cache_find(struct pipit_file_cache *opened, const struct pipit_files *files,
    struct pipit_slice path, uint64_t now_ms, struct pipit_file_cache_file *found)
{
	uint32_t hash = hash_of(path);
	struct entry *entry = look_up(opened, files, path, hash);
	struct pipit_file file;
	enum pipit_files_result result;

	if (entry && is_fresh(entry, now_ms)) {
		give(opened, entry, now_ms, found);
		return PIPIT_FILES_FOUND;
	}
	result = open_file(opened, files, path, &file);
	/* It may have been given up. */
	entry = look_up(opened, files, path, hash);
	if (entry && result == PIPIT_FILES_FOUND && is_still(entry, &file)) {
		close(file.fd);
		entry->checked_ms = entry->looked_ms = now_ms;
		entry->file.absent = 0;
		if (!pipit_file_cache_is_settled(&entry->file))
			set_etag(&entry->file);
		give(opened, entry, now_ms, found);
		return PIPIT_FILES_FOUND;
	}
	if (entry)
		forget(opened, entry);
	if (result != PIPIT_FILES_FOUND)
		return result;
	return take_file(opened, new_entry(files, path, hash, &file), &file, now_ms, found);
}

void pipit_file_cache_note_absent(
    struct pipit_file_cache *opened, const struct pipit_files *files, struct pipit_slice path, unsigned absent)
{
	struct entry *entry = look_up(opened, files, path, hash_of(path));
	if (entry)
		entry->file.absent |= absent;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct pipit_file_cache *pipit_file_cache_new(void)
{
	return calloc(1, sizeof(struct pipit_file_cache));
}

void pipit_file_cache_free(struct pipit_file_cache *opened)
{
	if (!opened)
		return;
	while (opened->oldest)
		forget(opened, opened->oldest);
	free(opened);
}

size_t pipit_file_cache_file_count(const struct pipit_file_cache *opened)
{
	return opened->count;
}

size_t pipit_file_cache_descriptor_count(const struct pipit_file_cache *opened)
{
	return opened->descriptors;
}

size_t pipit_file_cache_byte_count(const struct pipit_file_cache *opened)
{
	return opened->bytes;
}
