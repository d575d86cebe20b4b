/* SPDX-License-Identifier: MIT */
/*
 * Time limits of waits. A test waits for a condition and checks the result, never the duration: only a hang reaches these
 * limits, also on a busy machine.
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
/* Of a test function, which has many steps. The variable CK_DEFAULT_TIMEOUT overrides it. */
#define TEST_PATIENCE_SECONDS (IS_SANITIZED ? "1500" : "300")

#endif
