/* SPDX-License-Identifier: MIT */
/*
 * Messages on standard error. Each is one write(), with control characters escaped: bytes from clients cannot forge a
 * line or control a terminal.
 */
#ifndef PIPIT_LOG_H
#define PIPIT_LOG_H

enum pipit_log_level { PIPIT_LOG_ERROR, PIPIT_LOG_WARN, PIPIT_LOG_INFO, PIPIT_LOG_DEBUG };

/* 0; -EINVAL when `name` is not error, warn, info or debug. */
int pipit_log_level_parse(const char *name, enum pipit_log_level *level);

/* For the whole process: messages above this level are dropped. Default: info. Any thread. */
void pipit_log_set_level(enum pipit_log_level level);

/*
 * Write "pipit: LEVEL: message" (info: without the level) as one line, cut at 1 KiB. Leaves errno unchanged. Any
 * thread.
 */
void pipit_log(enum pipit_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
