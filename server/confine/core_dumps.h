/* SPDX-License-Identifier: MIT */
/* Core dumps of a process that has secrets in its memory. */
#ifndef PIPIT_CORE_DUMPS_H
#define PIPIT_CORE_DUMPS_H

/* After a change of user, which switches them off: on again, unless pipit_disable_core_dumps() was called. */
void pipit_core_dumps_restore(void);

#endif
