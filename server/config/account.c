/* SPDX-License-Identifier: MIT */
#include "config/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of one entry: the names of all members of a group. */
enum { ENTRY_BYTES = 4096, ENTRY_MAX_BYTES = 1 << 20 };

/* Without the last number, which means "unchanged" to chown(2) and setresuid(2). */
static bool read_number(const char *text, uint32_t *number)
{
	uint64_t value = 0;
	size_t length = strlen(text);
	if (length == 0 || length > 10 || strspn(text, "0123456789") != length)
		return false;
	for (; *text != '\0'; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	*number = (uint32_t)value;
	return value < UINT32_MAX;
}

/* get: calls the lookup with a buffer; returns an errno value. */
static int with_buffer(
    int (*get)(const char *text, char *buffer, size_t size, void *result), const char *text, void *result)
{
	int error = ERANGE;
	for (size_t size = ENTRY_BYTES; error == ERANGE && size <= ENTRY_MAX_BYTES; size *= 4) {
		char *buffer = malloc(size);
		if (buffer == NULL)
			return -ENOMEM;
		error = get(text, buffer, size, result);
		free(buffer);
	}
	return -error;
}

struct user {
	uid_t id;
	gid_t group;
};

static int get_user(const char *text, char *buffer, size_t size, void *result)
{
	struct passwd entry, *found = NULL;
	struct user *user = result;
	int error = getpwnam_r(text, &entry, buffer, size, &found);
	if (found == NULL)
		return error == ERANGE ? ERANGE : ENOENT;
	*user = (struct user){ found->pw_uid, found->pw_gid };
	return 0;
}

static int get_user_of_number(const char *text, char *buffer, size_t size, void *result)
{
	struct passwd entry, *found = NULL;
	struct user *user = result;
	int error = getpwuid_r(user->id, &entry, buffer, size, &found);
	(void)text;
	if (found == NULL)
		return error == ERANGE ? ERANGE : 0;
	user->group = found->pw_gid;
	return 0;
}

static int get_group(const char *text, char *buffer, size_t size, void *result)
{
	struct group entry, *found = NULL;
	int error = getgrnam_r(text, &entry, buffer, size, &found);
	if (found == NULL)
		return error == ERANGE ? ERANGE : ENOENT;
	*(gid_t *)result = found->gr_gid;
	return 0;
}

int pipit_account_find_user(const char *text, uid_t *user, gid_t *group)
{
	struct user found = { 0, 0 };
	uint32_t number;
	bool is_number = read_number(text, &number);
	if (is_number)
		found = (struct user){ number, number };
	int error = with_buffer(is_number ? get_user_of_number : get_user, text, &found);
	if (error != 0)
		return error;
	*user = found.id;
	*group = found.group;
	return 0;
}

int pipit_account_find_group(const char *text, gid_t *group)
{
	uint32_t number;
	if (!read_number(text, &number))
		return with_buffer(get_group, text, group);
	*group = number;
	return 0;
}
