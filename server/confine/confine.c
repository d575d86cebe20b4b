/* SPDX-License-Identifier: MIT */
#include "confine/confine.h"

#include "base/log.h"
#include "confine/landlock.h"
#include "confine/seccomp.h"
#include "pipit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static int drop(const struct pipit_credentials *credentials, char *error, size_t size)
{
	int result = pipit_credentials_drop(credentials);

	if (result != 0)
		snprintf(error, size, "cannot change to user %lu, group %lu for good: %s",
		    (unsigned long)credentials->user, (unsigned long)credentials->group, strerror(-result));
	else if (credentials->changes)
		pipit_log(PIPIT_LOG_INFO, "runs as user %lu, group %lu", (unsigned long)credentials->user,
		    (unsigned long)credentials->group);
	return result;
}

static int restrict_files(const struct pipit_confinement *confinement, bool is_strict, char *error, size_t size)
{
	const char *wrong = NULL;
	int version = pipit_landlock_restrict(confinement->readable, confinement->writable, &wrong);

	if (version > 0)
		pipit_log(PIPIT_LOG_INFO, "opens only its own files (Landlock %d)", version);
	else if (version == 0)
		pipit_log(PIPIT_LOG_INFO, "may open all files of its user: this kernel has no Landlock");
	else if (wrong)
		snprintf(error, size, "%s: %s; use a path that this user may open", wrong, strerror(-version));
	else if (is_strict)
		snprintf(error, size, "cannot restrict files: Landlock: %s", strerror(-version));
	else
		pipit_log(PIPIT_LOG_WARN, "may open all files of its user: Landlock: %s", strerror(-version));
	return version < 0 && (wrong || is_strict) ? version : 0;
}

static int restrict_calls(bool is_strict, char *error, size_t size)
{
	int count = pipit_seccomp_restrict();
	bool is_missing = count == -ENOSYS || count == -EOPNOTSUPP;

	if (count > 0)
		pipit_log(PIPIT_LOG_INFO, "uses only its own system calls (seccomp)");
	else if (count == 0)
		pipit_log(PIPIT_LOG_INFO, "may use all system calls: this pipit is built without libseccomp");
	else if (is_missing)
		pipit_log(PIPIT_LOG_INFO, "may use all system calls: this kernel has no seccomp");
	else if (is_strict)
		snprintf(error, size, "cannot restrict system calls: seccomp: %s", strerror(-count));
	else
		pipit_log(PIPIT_LOG_WARN, "may use all system calls: seccomp: %s", strerror(-count));
	return count < 0 && !is_missing && is_strict ? count : 0;
}

int pipit_confine_to(const struct pipit_confinement *confinement, const struct pipit_credentials *credentials,
    bool is_strict, char *error, size_t size)
{
	int result = drop(credentials, error, size);

	if (result != 0)
		return result;
	/* Programs with set-user-ID get no more rights; the next two need it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		pipit_log(PIPIT_LOG_INFO, "no_new_privs: %s", strerror(errno));
	if (confinement->restrict_files)
		result = restrict_files(confinement, is_strict, error, size);
	if (result == 0 && confinement->restrict_calls)
		result = restrict_calls(is_strict, error, size);
	return result;
}

int pipit_confine(const struct pipit_confinement *confinement, char *error, size_t size)
{
	struct pipit_credentials credentials;
	int result;

	if (size > 0)
		error[0] = '\0';
	result = pipit_credentials_find(confinement->user, confinement->group, &credentials, error, size);
	return result == 0 ? pipit_confine_to(confinement, &credentials, true, error, size) : result;
}
