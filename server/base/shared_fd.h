/* SPDX-License-Identifier: MIT */
/*
 * An open file that several hold at once, such as replies under way and the files that a worker remembers: it is closed when
 * the last of them lets go. They are all of one worker.
 */
#ifndef PIPIT_DESCRIPTOR_H
#define PIPIT_DESCRIPTOR_H

struct pipit_descriptor {
	int fd;
	unsigned holders;
};

/* Held once, by the caller. Takes fd: when memory is short it is closed, and NULL returned. */
struct pipit_descriptor *pipit_descriptor_new(int fd);

/* Hold it once more; returns it. */
struct pipit_descriptor *pipit_descriptor_hold(struct pipit_descriptor *descriptor);

/* Give up one hold. NULL is harmless. */
void pipit_descriptor_release(struct pipit_descriptor *descriptor);

#endif
