/* SPDX-License-Identifier: MIT */
/* An address to listen on: IP address and port, UNIX socket, or inherited socket. */
#ifndef PIPIT_ADDRESS_H
#define PIPIT_ADDRESS_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

/* Of an IP address with a zone, "fe80::1%eth0", and its NUL. */
#define PIPIT_ADDRESS_HOST_SIZE (INET6_ADDRSTRLEN + IF_NAMESIZE)
/* Of a user, a group, or the name of an inherited socket, and its NUL. */
#define PIPIT_ADDRESS_NAME_SIZE 64

/* Of an address and its properties, and its NUL. */
#define PIPIT_ADDRESS_TEXT_SIZE 512

enum pipit_address_kind {
	PIPIT_ADDRESS_IP,
	PIPIT_ADDRESS_UNIX,
	PIPIT_ADDRESS_INHERITED,
};

struct pipit_address {
	enum pipit_address_kind kind;
	bool is_proxied; /* ",proxy-protocol": connections begin with the header of a proxy */
	/* of IP */
	bool is_https;                      /* behind "https://" */
	char host[PIPIT_ADDRESS_HOST_SIZE]; /* numeric, without brackets */
	unsigned port;
	/* of UNIX */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* or an abstract name behind '@' */
	mode_t mode;
	char user[PIPIT_ADDRESS_NAME_SIZE], group[PIPIT_ADDRESS_NAME_SIZE]; /* "": not changed */
	/* of INHERITED */
	int descriptor;                     /* -1: has a name */
	char name[PIPIT_ADDRESS_NAME_SIZE]; /* of LISTEN_FDNAMES */
};

/*
 * "ADDR:PORT", "[v6]:PORT", "[v6%ZONE]:PORT" of a link-local address, "localhost:PORT" (127.0.0.1) or ":PORT" ("::"). -EINVAL also when
 * the host does not fit.
 */
int pipit_address_split(const char *text, char *host, size_t host_size, unsigned *port);

/* What follows "https://", and whether that is there. */
const char *pipit_address_skip_scheme(const char *text, bool *is_https);

/*
 * The same, also behind "https://", or "unix:/PATH", "unix:@NAME", both with ",mode=0660", ",user=NAME" and ",group=NAME", or "fd://NUMBER", "fd://NAME".
 * All of them may end with ",proxy-protocol".
 * Returns 0; -EINVAL; -ERANGE: the mode is wrong. *address then has the kind that the text begins like.
 */
int pipit_address_parse(const char *text, struct pipit_address *address);

bool pipit_address_is_proxied(const char *text);

/* "mode=", "user=", "group=" or "proxy-protocol": in a list of addresses, the rest of the one before. */
bool pipit_address_is_rest(const char *text);

#endif
