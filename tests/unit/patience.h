/* SPDX-License-Identifier: MIT */
/*
 * How long tests wait. A test waits for a condition and asserts what it finds then, never how long that took: every deadline here is
 * one that only a hang reaches, also on a machine that is busy with other things.
 */
#ifndef PIPIT_TESTS_PATIENCE_H
#define PIPIT_TESTS_PATIENCE_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* Of one step: a read, a write, a condition. */
#define PATIENCE_MS (IS_SANITIZED ? 300000 : 60000)
/* Of a test function, which has many steps. The environment variable CK_DEFAULT_TIMEOUT overrides it. */
#define TEST_PATIENCE_SECONDS (IS_SANITIZED ? "1500" : "300")

#endif
