/* SPDX-License-Identifier: MIT */
/* What other files of the library may ask of a server, beside pipit.h. */
#ifndef PIPIT_SERVER_H
#define PIPIT_SERVER_H

#include "pipit.h"

/* Its configuration, as long as it lives. */
const struct pipit_config *pipit_server_config(const struct pipit_server *server);

#endif
