/* SPDX-License-Identifier: MIT */
#include "confine/credentials.h"

#include "config/account.h"
#include "confine/core_dumps.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(int code, char *error, size_t size, const char *option, const char *value, const char *what)
{
	snprintf(error, size, "%s = \"%s\": %s", option, value, what);
	return code;
}

static int fail_lookup(int code, char *error, size_t size, const char *option, const char *value)
{
	if (code == -ENOENT)
		return fail(code, error, size, option, value, "unknown; use a name that the system knows, or a number");
	return fail(code, error, size, option, value, strerror(-code));
}

int pipit_credentials_find(
    const char *user, const char *group, struct pipit_credentials *credentials, char *error, size_t size)
{
	struct pipit_credentials found = { false, geteuid(), getegid() };
	int result;

	*credentials = found;
	if (!user && !group)
		return 0;
	if (!user)
		return fail(-EINVAL, error, size, "group", group, "needs a user; use it with user");
	result = pipit_account_find_user(user, &found.user, &found.group);
	if (result != 0)
		return fail_lookup(result, error, size, "user", user);
	if (found.user == 0)
		return fail(-EINVAL, error, size, "user", user, "is root; use another user");
	if (group && (result = pipit_account_find_group(group, &found.group)) != 0)
		return fail_lookup(result, error, size, "group", group);
	found.changes = found.user != credentials->user || found.group != credentials->group;
	if (found.changes && geteuid() != 0)
		return fail(
		    -EPERM, error, size, "user", user, "only root may change to it; start as root, or leave it out");
	*credentials = found;
	return 0;
}

int pipit_credentials_borrow(const struct pipit_credentials *credentials)
{
	if (!credentials->changes)
		return 0;
	if (setgroups(0, NULL) != 0 || setegid(credentials->group) != 0 || seteuid(credentials->user) != 0)
		return -errno;
	return 0;
}

/* The supplementary groups of root are gone for good: nothing that follows needs them. */
int pipit_credentials_give_back(const struct pipit_credentials *credentials)
{
	if (!credentials->changes)
		return 0;
	return seteuid(0) == 0 && setegid(getgid()) == 0 ? 0 : -errno;
}

static bool is_dropped(const struct pipit_credentials *credentials)
{
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;

	return getresuid(&real, &effective, &saved) == 0 &&
	       getresgid(&real_group, &effective_group, &saved_group) == 0 && real == credentials->user &&
	       effective == real && saved == real && real_group == credentials->group &&
	       effective_group == real_group && saved_group == real_group && getgroups(0, NULL) == 0;
}

int pipit_credentials_drop(const struct pipit_credentials *credentials)
{
	uid_t user = credentials->user;
	gid_t group = credentials->group;

	if (!credentials->changes)
		return 0;
	if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0)
		return -errno;
	/* A capability to change the user may have survived (capabilities(7), securebits). */
	if (!is_dropped(credentials) || setuid(0) == 0 || seteuid(0) == 0)
		return -EPERM;
	pipit_core_dumps_restore();
	return 0;
}
