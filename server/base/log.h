/* SPDX-License-Identifier: MIT */
/*
 * Messages on standard error, from any thread. Control characters are escaped, so that clients cannot forge a line or
 * control a terminal.
 */
#ifndef PIPIT_LOG_H
#define PIPIT_LOG_H

enum pipit_log_level { PIPIT_LOG_ERROR, PIPIT_LOG_WARN, PIPIT_LOG_INFO, PIPIT_LOG_DEBUG };

int pipit_log_level_parse(const char *name, enum pipit_log_level *level);

/* For the whole process. Default: info. */
void pipit_log_set_level(enum pipit_log_level level);

/* "pipit: LEVEL: message" (info: no level) in one write(), cut at 1 KiB. Leaves errno unchanged. */
void pipit_log(enum pipit_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
