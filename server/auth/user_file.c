/* SPDX-License-Identifier: MIT */
#include "auth/user_file.h"

#include "auth/password_hash.h"
#include "base/bytes.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct user {
	struct pipit_digest digest; /* BEARER: of the token's SHA-256; else of the name */
	char *name;                 /* owned, as the hash behind it */
	char *hash;
};

struct pipit_user_file {
	size_t count, capacity;
	struct user *users; /* by digest */
};

static int compare(const void *left, const void *right)
{
	return memcmp(
	    ((const struct user *)left)->digest.bytes, ((const struct user *)right)->digest.bytes, PIPIT_DIGEST_SIZE);
}

static struct pipit_digest digest_of_name(const struct pipit_digest_key *key, const char *name)
{
	struct pipit_slice part = pipit_slice_of(name);
	return pipit_digest_keyed(key, &part, 1);
}

static struct pipit_digest digest_of_sha256(const struct pipit_digest_key *key, const struct pipit_digest *sha256)
{
	struct pipit_slice part = { (const char *)sha256->bytes, sizeof sha256->bytes };
	return pipit_digest_keyed(key, &part, 1);
}

/* --- parsing ------------------------------------------------------------------------------------------------------------ */

/* NULL: right. Otherwise a constant text. */
static const char *name_fault(struct pipit_slice name)
{
	if (name.length == 0)
		return "the name is empty; use NAME:HASH";
	if (name.length > PIPIT_CREDENTIALS_NAME_MAX)
		return "the name is too long; use at most 64 bytes";
	for (size_t i = 0; i < name.length; i++) {
		if ((unsigned char)name.data[i] < 0x20 || name.data[i] == 0x7f)
			return "the name has a control character; use printable ones";
	}
	return NULL;
}

static bool read_sha256(const char *text, struct pipit_digest *sha256)
{
	if (strlen(text) != 2 * sizeof sha256->bytes)
		return false;
	for (size_t i = 0; i < sizeof sha256->bytes; i++) {
		int high = pipit_bytes_hex_value(text[2 * i]), low = pipit_bytes_hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		sha256->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static const char *set_digest(enum pipit_scheme scheme, const struct pipit_digest_key *key, struct user *user)
{
	struct pipit_digest sha256;

	if (scheme == PIPIT_SCHEME_BASIC) {
		user->digest = digest_of_name(key, user->name);
		return pipit_password_hash_fault(user->hash);
	}
	if (!read_sha256(user->hash, &sha256))
		return "not the SHA-256 of a token; make it with: printf %s TOKEN | sha256sum";
	user->digest = digest_of_sha256(key, &sha256);
	return NULL;
}

static bool grow(struct pipit_user_file *file)
{
	size_t capacity = file->capacity ? 2 * file->capacity : 8;
	struct user *users;

	if (file->count < file->capacity)
		return true;
	users = realloc(file->users, capacity * sizeof *users);
	if (!users)
		return false;
	file->users = users;
	file->capacity = capacity;
	return true;
}

static const char out_of_memory[] = "out of memory";

static const char *add_user(struct pipit_user_file *file, enum pipit_scheme scheme, const struct pipit_digest_key *key,
    struct pipit_slice name, struct pipit_slice hash)
{
	struct user *user;
	const char *fault = name_fault(name);

	if (fault)
		return fault;
	if (!grow(file))
		return out_of_memory;
	user = &file->users[file->count];
	user->name = calloc(1, name.length + hash.length + 2);
	if (!user->name)
		return out_of_memory;
	file->count++;
	memcpy(user->name, name.data, name.length);
	user->hash = user->name + name.length + 1;
	memcpy(user->hash, hash.data, hash.length);
	return strlen(user->hash) == hash.length ? set_digest(scheme, key, user) : "a NUL byte; use NAME:HASH";
}

static const char *parse_line(
    struct pipit_user_file *file, enum pipit_scheme scheme, const struct pipit_digest_key *key, struct pipit_slice line)
{
	const char *colon = line.length ? memchr(line.data, ':', line.length) : NULL;
	struct pipit_slice name, hash;

	if (line.length == 0 || line.data[0] == '#')
		return NULL;
	if (!colon)
		return "no colon; use NAME:HASH";
	name = (struct pipit_slice){ line.data, (size_t)(colon - line.data) };
	hash = (struct pipit_slice){ colon + 1, line.length - name.length - 1 };
	colon = hash.length ? memchr(hash.data, ':', hash.length) : NULL;
	if (colon)
		hash.length = (size_t)(colon - hash.data);
	return add_user(file, scheme, key, name, hash);
}

/* 0: there is none */
static bool has_twin(const struct pipit_user_file *file)
{
	for (size_t i = 1; i < file->count; i++) {
		if (compare(&file->users[i - 1], &file->users[i]) == 0)
			return true;
	}
	return false;
}

static const char *parse_lines(struct pipit_user_file *file, enum pipit_scheme scheme, struct pipit_slice text,
    const struct pipit_digest_key *key, size_t *number)
{
	const char *at = text.data, *end = text.data + text.length;

	for (*number = 1; at < end; ++*number) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		struct pipit_slice line = { at, (size_t)((line_end ? line_end : end) - at) };
		const char *fault;
		at += line.length + 1;
		if (line.length > 0 && line.data[line.length - 1] == '\r')
			line.length--;
		fault = parse_line(file, scheme, key, line);
		if (fault || !line_end)
			return fault;
	}
	return NULL;
}

int pipit_user_file_parse(enum pipit_scheme scheme, struct pipit_slice text, const struct pipit_digest_key *key,
    struct pipit_user_file **file, char *error, size_t size)
{
	struct pipit_user_file *made = calloc(1, sizeof *made);
	size_t number = 1;
	const char *fault = made ? parse_lines(made, scheme, text, key, &number) : out_of_memory;

	if (!fault) {
		if (made->count)
			qsort(made->users, made->count, sizeof *made->users, compare);
		if (!has_twin(made)) {
			*file = made;
			return 0;
		}
		snprintf(error, size, "%s occurs twice; remove one of them",
		    scheme == PIPIT_SCHEME_BASIC ? "a name" : "a token");
	} else if (fault != out_of_memory) {
		snprintf(error, size, "line %zu: %s", number, fault);
	} else {
		snprintf(error, size, "%s", fault);
	}
	pipit_user_file_free(made);
	return fault == out_of_memory ? -ENOMEM : -EINVAL;
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

static void warn_of_readers(const char *name, const struct stat *status)
{
	if (status->st_mode & (S_IWGRP | S_IRWXO))
		pipit_log(PIPIT_LOG_WARN,
		    "%s: others than its owner and its group may read or change it (mode %04o); use: chmod g-w,o=",
		    name, (unsigned)(status->st_mode & 07777));
}

/* A regular file: others might block. */
static int open_file(const char *name, char *error, size_t size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), result;
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0) {
		result = -errno;
		snprintf(
		    error, size, "%s: cannot be read: %s; use a file that this user can read", name, strerror(errno));
	} else if (!S_ISREG(status.st_mode)) {
		result = -EINVAL;
		snprintf(error, size, "%s: not a regular file; use one with lines NAME:HASH", name);
	} else {
		warn_of_readers(name, &status);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return result;
}

static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t length = 0;
	while (length < size) {
		ssize_t got = read(fd, text + length, size - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

int pipit_user_file_read(enum pipit_scheme scheme, const char *name, const struct pipit_digest_key *key,
    struct pipit_user_file **file, char *error, size_t size)
{
	size_t room = PIPIT_USER_FILE_MAX_BYTES + 1;
	int fd = open_file(name, error, size), result;
	char *text, why[256];
	ssize_t length;

	if (fd < 0)
		return fd;
	text = malloc(room);
	length = text ? read_all(fd, text, room) : -ENOMEM;
	close(fd);
	if (length < 0) {
		result = (int)length;
		snprintf(error, size, "%s: cannot be read: %s", name, strerror(-result));
	} else if (length == (ssize_t)room) {
		result = -EFBIG;
		snprintf(error, size, "%s: too large; use at most 1 MiB", name);
	} else {
		result = pipit_user_file_parse(
		    scheme, (struct pipit_slice){ text, (size_t)length }, key, file, why, sizeof why);
		if (result != 0)
			snprintf(error, size, "%s: %s", name, why);
	}
	if (text)
		explicit_bzero(text, room);
	free(text);
	return result;
}

void pipit_user_file_free(struct pipit_user_file *file)
{
	if (!file)
		return;
	for (size_t i = 0; i < file->count; i++)
		free(file->users[i].name);
	free(file->users);
	free(file);
}

/* --- users -------------------------------------------------------------------------------------------------------------- */

size_t pipit_user_file_count(const struct pipit_user_file *file)
{
	return file->count;
}

static const struct user *find(const struct pipit_user_file *file, struct pipit_digest digest)
{
	struct user wanted = { .digest = digest };
	return file->count ? bsearch(&wanted, file->users, file->count, sizeof *file->users, compare) : NULL;
}

const char *pipit_user_file_hash(
    const struct pipit_user_file *file, const struct pipit_digest_key *key, const char *name, bool *is_known)
{
	struct pipit_digest digest = digest_of_name(key, name);
	const struct user *user = find(file, digest);
	uint64_t number;

	*is_known = user != NULL;
	if (user || !file->count)
		return user ? user->hash : NULL;
	memcpy(&number, digest.bytes, sizeof number);
	return file->users[number % file->count].hash;
}

const char *pipit_user_file_owner(
    const struct pipit_user_file *file, const struct pipit_digest_key *key, struct pipit_slice token)
{
	struct pipit_digest sha256 = pipit_digest_sha256(token);
	const struct user *user = find(file, digest_of_sha256(key, &sha256));
	return user ? user->name : NULL;
}
