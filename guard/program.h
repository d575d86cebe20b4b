/* SPDX-License-Identifier: MIT */
/* What a program's file says about its use of evhttp, without running it. */
#ifndef PIPIT_GUARD_PROGRAM_H
#define PIPIT_GUARD_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { PROGRAM_CALLS_MAX = 96 };

struct program {
	char path[PATH_MAX];
	char interpreter[PATH_MAX];     /* of a script; empty: none */
	bool is_bare_script;            /* without "#!" */
	char libevent[PATH_MAX];        /* the library that has evhttp; empty: none */
	char *calls[PROGRAM_CALLS_MAX]; /* functions of libevent's http and bufferevents that it imports; owned */
	size_t call_count;
	bool binds;          /* one of the calls gives an evhttp a socket */
	char user[PATH_MAX]; /* the library that imports them; empty: the program itself */
	char aside[512];     /* why the guard stands aside; empty: it does not */
	bool ends_preload;   /* what it starts cannot be guarded, either */
};

/* name: looked up in PATH if it has no slash. 0, or a negative errno value. */
int program_read(struct program *program, const char *name);

void program_clear(struct program *program);

/* Prints what the file says, and the decision, on standard output. Sorts the calls. */
void program_explain(struct program *program, bool guards_children);

#endif
