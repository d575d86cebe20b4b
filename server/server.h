/* SPDX-License-Identifier: MIT */
/* Life of the process: routes, then workers, then the end. What is not in pipit.h but needed by main.c. */
#ifndef PIPIT_SERVER_H
#define PIPIT_SERVER_H

#include "pipit.h"

/* Open the access log anew, after a rotation. Any thread. */
void pipit_server_reopen_logs(struct pipit_server *server);

#endif
