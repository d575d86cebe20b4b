/* SPDX-License-Identifier: MIT */
/*
 * CPU time of the guard: nanoseconds per request head, without socket or server. The heads are similar to those that wrk
 * sends, and a few others. Prints a line for each: name, median of ROUNDS, minimum and maximum, separated by tabs.
 */
#include "http/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 15
#define HEADS_PER_ROUND 200000

#define PLAIN "GET /json/hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
#define BROWSER                                                                                                   \
	PLAIN "User-Agent: Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) Version/17.4 "         \
	      "Safari/537.36\r\n"                                                                                 \
	      "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" \
	      "Accept-Language: de-CH,de;q=0.9,en;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"                \
	      "Connection: keep-alive\r\nReferer: http://gateway.example/status/index.html\r\n"                   \
	      "Cookie: session=2d711642b726b04401627ca9fbac32f5; columns=4\r\nSec-Fetch-Dest: document\r\n"       \
	      "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n"

static const struct {
	const char *name, *bytes;
} heads[] = {
	{ "plain GET", PLAIN "\r\n" },
	{ "11 browser headers", BROWSER "\r\n" },
	{ "POST with a length", "POST /json/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
				"Content-Length: 200\r\n\r\n" },
	{ "absolute target, IPv6", "GET http://[2001:db8::1]:8080/json/hello?name=Ada HTTP/1.1\r\nHost: a\r\n\r\n" },
};

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int ascending(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

/* Ends the program if the guard does not pass the head. */
static double measure_round(const char *bytes)
{
	static const struct pipit_guard_limits limits = { 16384, 8192, 100, 8192, false };
	static struct pipit_guard_head head;
	size_t length = strlen(bytes);
	double begin = now_ns();

	for (int i = 0; i < HEADS_PER_ROUND; i++) {
		size_t checked = 0, consumed = 0;
		enum pipit_refusal reason;
		if (pipit_guard_head(bytes, length, &checked, &limits, &head, &consumed, &reason) != PIPIT_GUARD_PASS ||
		    consumed != length) {
			fprintf(stderr, "guard: does not pass: %s", bytes);
			exit(EXIT_FAILURE);
		}
	}
	return (now_ns() - begin) / HEADS_PER_ROUND;
}

int main(void)
{
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		double rounds[ROUNDS];
		for (int round = 0; round < ROUNDS; round++)
			rounds[round] = measure_round(heads[i].bytes);
		qsort(rounds, ROUNDS, sizeof *rounds, ascending);
		printf("%s\t%.0f\t%.0f\t%.0f\n", heads[i].name, rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
	}
	return EXIT_SUCCESS;
}
