/* SPDX-License-Identifier: MIT */
/*
 * Messages on standard error, from any thread. Control characters are escaped, so that clients cannot forge a line or
 * control a terminal. No message blocks: what standard error does not take at once is dropped and counted, and the next message that
 * it takes is preceded by their number.
 */
#ifndef PIPIT_LOG_H
#define PIPIT_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum pipit_log_level { PIPIT_LOG_ERROR, PIPIT_LOG_WARN, PIPIT_LOG_INFO, PIPIT_LOG_DEBUG };

int pipit_log_level_parse(const char *name, enum pipit_log_level *level);

/* For the whole process. Default: info. */
void pipit_log_set_level(enum pipit_log_level level);

/* For the whole process: {"time":…,"level":…,"message":…} instead of text. Default: text. */
void pipit_log_set_json(bool json);

/* Begins each line in the place of "pipit", and becomes a member "program" in JSON. Before other threads log; cut at 64 bytes. */
void pipit_log_set_program(const char *name);

/*
 * Where standard error was when the program started: a program may have closed it since, and its descriptor may be a file or a client of
 * the program, which gets no message.
 */
void pipit_log_set_errors(dev_t device, ino_t inode);

/* One line: "pipit: LEVEL: message" (info: no level), or JSON. Written at once, cut at 1 KiB. Leaves errno unchanged. */
void pipit_log(enum pipit_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line on standard output, for the program that started this one; it may block. */
void pipit_log_announce(const char *message);

/* Messages dropped since the start. */
uint64_t pipit_log_dropped(void);

#endif
