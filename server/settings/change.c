/* SPDX-License-Identifier: MIT */
#include "settings/change.h"

#include <stdarg.h>
#include <stdio.h>

void pipit_change_refuse(struct pipit_change *change, int status, const char *format, ...)
{
	va_list arguments;
	change->status = status;
	va_start(arguments, format);
	vsnprintf(change->detail, sizeof change->detail, format, arguments);
	va_end(arguments);
}

void pipit_change_refuse_for_memory(struct pipit_change *change)
{
	pipit_change_refuse(change, 503, "The server is short of memory; try again soon.");
}
