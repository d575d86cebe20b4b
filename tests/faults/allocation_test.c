/* SPDX-License-Identifier: MIT */
/*
 * Every allocation fails once: those of pipit and of the handlers (the linker replaces the functions below), of libevent and
 * cJSON (by their hooks). Whichever fails, every client must get the right response, a refusal or the end of its connection;
 * nothing may leak; and the next client must be served.
 *
 * Once as in a program that does not replace libevent's allocator, and once with pipit_reserve_memory(), whose heap is then
 * what fails.
 */
#include "net/oom_reserve.h"
#include "pipit.h"
#include "script.h"
#include "suite.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define BURST 25
#define FRAMES_SHOWN 10
#define RANDOM_RUNS 300
#define RANDOM_ONE_IN 100
/* As in the daemon. */
#define RESERVE_BYTES (256 * 1024)
/* Errors that are printed before a test ends. */
#define COMPLAINTS_MAX 12

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
DIR *__real_opendir(const char *name);
int __real_closedir(DIR *directory);
ssize_t __real_write(int fd, const void *bytes, size_t length);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
DIR *__wrap_opendir(const char *name);
int __wrap_closedir(DIR *directory);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);

/* ---------------------------------------------------------------- the calls that fail */

enum plan { PLAN_NONE, PLAN_COUNT, PLAN_FROM, PLAN_RANDOM };

static enum plan plan;
static uint64_t asked, fail_from, fail_until;
static uint32_t dice;
static bool has_reserve;
/* Stack of the first failure of a run. */
static void *frames[24];
static int frame_count;

/*
 * Functions of libevent 2.1.12 that use an allocation without a check, so that the process crashes. With the reserve they
 * always get memory; without it they are skipped, and counted. A site is a function that allocates and its caller.
 */
static struct fragile {
	const char *asking;
	const char *caller;
	uint64_t spared;
} fragile[] = {
	{ "evbuffer_add_cb", "bufferevent_filter_new", 0 }, /* NULL goes to evbuffer_cb_clear_flags(), unchecked */
	/* Frees a connection that has no event_base yet, which event_deferred_cb_cancel_() cannot do. */
	{ "event_mm_strdup_", "evhttp_connection_base_bufferevent_new", 0 },
	/* Its second and third allocation: evhttp_request_free() clears headers that are not there. */
	{ "event_mm_calloc_", "evhttp_request_new", 0 },
};

static bool is_function(void *address, const char *name)
{
	Dl_info info;
	return dladdr(address, &info) && info.dli_sname && strcmp(info.dli_sname, name) == 0;
}

static bool is_fragile(void *const *stack, int count)
{
	for (int i = 0; i + 1 < count; i++) {
		for (size_t j = 0; j < sizeof fragile / sizeof *fragile; j++) {
			if (!is_function(stack[i], fragile[j].asking) || !is_function(stack[i + 1], fragile[j].caller))
				continue;
			fragile[j].spared++;
			return true;
		}
	}
	return false;
}

static bool is_unlucky(void)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % RANDOM_ONE_IN == 0;
}

static bool fails(void)
{
	bool does;
	if (plan == PLAN_NONE)
		return false;
	asked++;
	does = plan == PLAN_RANDOM ? is_unlucky() : plan == PLAN_FROM && asked >= fail_from && asked < fail_until;
	if (does) {
		void *stack[24];
		int count = backtrace(stack, sizeof stack / sizeof *stack);
		if (!has_reserve && is_fragile(stack, count))
			return false;
		if (!frame_count)
			memcpy(frames, stack, sizeof frames);
		frame_count = frame_count ? frame_count : count;
	}
	return does;
}

/* ---------------------------------------------------------------- what is there */

/* Blocks that were allocated since the last forget_blocks(), by address; open addressing. */
#define PLACES 65536u

static struct block {
	const void *memory; /* NULL: unused */
	const void *caller;
	uint64_t number;
} blocks[PLACES];
static uint64_t block_count, block_number;
/* Blocks of the whole process, including the reserve. */
static int64_t live_count, live_before;

static size_t place_of(const void *memory)
{
	return (size_t)(((uintptr_t)memory >> 4) * 2654435761u % PLACES);
}

static void *note_block(void *memory, const void *caller)
{
	size_t place = place_of(memory);
	if (!memory)
		return NULL;
	live_count++;
	while (blocks[place].memory)
		place = (place + 1) % PLACES;
	blocks[place] = (struct block){ memory, caller, ++block_number };
	if (++block_count > PLACES / 2)
		abort();
	return memory;
}

/* Moves up the entries after it in the same run. */
static void forget_block(const void *memory)
{
	size_t hole = place_of(memory), at;
	live_count--;
	while (blocks[hole].memory && blocks[hole].memory != memory)
		hole = (hole + 1) % PLACES;
	if (!blocks[hole].memory)
		return;
	block_count--;
	for (at = (hole + 1) % PLACES; blocks[at].memory; at = (at + 1) % PLACES) {
		size_t wanted = place_of(blocks[at].memory);
		if ((at - wanted) % PLACES < (at - hole) % PLACES)
			continue;
		blocks[hole] = blocks[at];
		hole = at;
	}
	blocks[hole].memory = NULL;
}

static void forget_blocks(void)
{
	memset(blocks, 0, sizeof blocks);
	block_count = block_number = 0;
}

/* ---------------------------------------------------------------- replacements of functions of libc, libevent and cJSON */

#define CALLER __builtin_return_address(0)

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : note_block(__real_malloc(size), CALLER);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : note_block(__real_calloc(count, size), CALLER);
}

void *__wrap_realloc(void *memory, size_t size)
{
	void *moved;
	if (fails())
		return NULL;
	moved = __real_realloc(memory, size);
	if (moved && memory)
		forget_block(memory);
	return note_block(moved, CALLER);
}

void __wrap_free(void *memory)
{
	if (memory)
		forget_block(memory);
	__real_free(memory);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : note_block(__real_strdup(text), CALLER);
}

char *__wrap_strndup(const char *text, size_t length)
{
	return fails() ? NULL : note_block(__real_strndup(text, length), CALLER);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : note_block(__real_aligned_alloc(alignment, size), CALLER);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
	int error = fails() ? ENOMEM : __real_posix_memalign(memory, alignment, size);
	if (error == 0)
		note_block(*memory, CALLER);
	return error;
}

DIR *__wrap_opendir(const char *name)
{
	if (!fails())
		return note_block(__real_opendir(name), CALLER);
	errno = ENOMEM;
	return NULL;
}

int __wrap_closedir(DIR *directory)
{
	forget_block(directory);
	return __real_closedir(directory);
}

/* pipit's messages are not of interest here. */
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	return fd == STDERR_FILENO ? (ssize_t)length : __real_write(fd, bytes, length);
}

static char last_words[256];

static void on_log(int severity, const char *message)
{
	(void)severity;
	snprintf(last_words, sizeof last_words, "%s", message);
}

static void on_crash(int number)
{
	static const char text[] = "crashed here, and the first allocation that failed was this one:\n";
	void *stack[24];
	if (__real_write(STDOUT_FILENO, text, sizeof text - 1) > 0) {
		backtrace_symbols_fd(stack, backtrace(stack, sizeof stack / sizeof *stack), STDOUT_FILENO);
		backtrace_symbols_fd(frames, frame_count, STDOUT_FILENO);
	}
	signal(number, SIG_DFL);
	raise(number);
}

static void print_frames(void)
{
	fflush(stdout);
	backtrace_symbols_fd(frames, frame_count < FRAMES_SHOWN ? frame_count : FRAMES_SHOWN, STDOUT_FILENO);
}

/* libevent ends the process after a fatal error. */
static void on_fatal(int code)
{
	print_frames();
	ck_abort_msg("libevent ends the process with %d at allocation %llu: %s", code, (unsigned long long)fail_from,
	    last_words);
}

/* ---------------------------------------------------------------- one run */

/* Known defects: a part of the error, and a function on the stack of the failed allocation. Should be empty. */
static const struct known {
	const char *complaint;
	const char *function;
} known[] = {
	{ NULL, NULL },
};

static bool was_under_way(const char *function)
{
	for (int i = 0; i < frame_count; i++) {
		if (is_function(frames[i], function))
			return true;
	}
	return false;
}

static unsigned complaints;

static void judge(const char *wrong, uint64_t number)
{
	if (!wrong)
		return;
	for (const struct known *one = known; one->complaint; one++) {
		if (strstr(wrong, one->complaint) && was_under_way(one->function))
			return;
	}
	printf("allocation %llu: %s\n  libevent: %s\n", (unsigned long long)number, wrong, last_words);
	print_frames();
	ck_assert_msg(++complaints < COMPLAINTS_MAX, "and so on");
}

/* A handler may have freed memory of the reserve with free(). */
static void fill_reserve(void)
{
	while (pipit_oom_reserve_blocks_in_use() > 0)
		pipit_oom_reserve_free(__wrap_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES));
}

static const char *find_loss(size_t descriptors)
{
	static char text[256];
	size_t now = script_descriptors();
	if (now != descriptors) {
		snprintf(text, sizeof text, "%zu descriptors were open before, %zu are now", descriptors, now);
		return text;
	}
	fill_reserve();
	/* Freed memory replaces missing blocks of the reserve, so that only the total number is exact. */
	if (has_reserve && live_count == live_before)
		return NULL;
	for (size_t i = 0; i < PLACES && block_count; i++) {
		if (!blocks[i].memory)
			continue;
		snprintf(text, sizeof text, "%llu blocks were not freed, among them number %llu, asked for at %p",
		    (unsigned long long)block_count, (unsigned long long)blocks[i].number, blocks[i].caller);
		return text;
	}
	return NULL;
}

static void begin_run(void)
{
	fill_reserve();
	forget_blocks();
	live_before = live_count;
	asked = 0;
	frame_count = 0;
	last_words[0] = '\0';
}

/* The script on a server without faults. */
static void run(enum plan wanted, uint64_t number)
{
	enum script_rule rule = wanted == PLAN_COUNT ? SCRIPT_EXACTLY : SCRIPT_OR_REFUSED;
	size_t descriptors = script_descriptors();
	const char *wrong;

	begin_run();
	ck_assert_int_eq(script_start(), 0);
	script_settle();
	plan = wanted;
	wrong = script_run(rule);
	plan = PLAN_NONE;
	judge(wrong, number);
	judge(script_probe(), number);
	script_stop();
	judge(find_loss(descriptors), number);
}

static void run_from(uint64_t number, uint64_t count)
{
	fail_from = number;
	fail_until = number + count;
	run(PLAN_FROM, number);
}

/*
 * One run without a fault, so that libevent and libc have made their one-time allocations. Returns the number of allocations of
 * the script.
 */
static uint64_t count_allocations(void)
{
	run(PLAN_COUNT, 0);
	run(PLAN_COUNT, 0);
	ck_assert_uint_eq(complaints, 0);
	return asked;
}

static void set_up_without(void)
{
	void *frame;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGSEGV, on_crash);
	signal(SIGABRT, on_crash);
	event_set_log_callback(on_log);
	event_set_fatal_callback(on_fatal);
	script_set_up();
	complaints = 0;
	/* It allocates on its first call. */
	backtrace(&frame, 1);
}

static void set_up_with(void)
{
	/* Runs without the reserve come first: in a shared process, a reserve is made once and stays. */
	/* No memory is returned to the pool unasked. */
	pipit_oom_reserve_set_heap(__wrap_malloc, __wrap_realloc);
	if (!has_reserve)
		ck_assert_int_eq(pipit_reserve_memory(RESERVE_BYTES), 0);
	has_reserve = true;
	set_up_without();
}

static void tear_down(void)
{
	for (size_t i = 0; i < sizeof fragile / sizeof *fragile; i++) {
		if (fragile[i].spared)
			printf("%s in %s: passed over %llu times\n", fragile[i].asking, fragile[i].caller,
			    (unsigned long long)fragile[i].spared);
		fragile[i].spared = 0;
	}
	plan = PLAN_NONE;
	script_tear_down();
}

/* ---------------------------------------------------------------- tests */

START_TEST(every_client_is_answered_or_closed_whichever_allocation_fails)
{
	uint64_t number = 1, tried = 0;
	count_allocations();
	for (run_from(number, 1); asked >= number; run_from(number, 1)) {
		number += script_step(asked);
		tried++;
	}
	printf(
	    "%llu of %llu allocations failed, one at a time\n", (unsigned long long)tried, (unsigned long long)asked);
	judge(script_check_log(), 0);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

START_TEST(the_server_survives_a_period_without_memory)
{
	uint64_t number = 1;
	count_allocations();
	do {
		run_from(number, BURST);
		/* With a reserve most of them last until connections are refused, which takes time. */
		number += (has_reserve ? 3 : 1) * script_step(asked);
	} while (asked >= number);
	judge(script_check_log(), 0);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

START_TEST(the_server_survives_allocations_that_fail_at_random)
{
	count_allocations();
	dice = 20240229;
	for (uint64_t i = 0; i < RANDOM_RUNS; i += script_step(RANDOM_RUNS))
		run(PLAN_RANDOM, i);
	judge(script_check_log(), 0);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

/* A failed start must leave nothing behind; a start may also succeed without that allocation. */
static bool try_start(uint64_t number)
{
	size_t descriptors = script_descriptors();
	int result;

	begin_run();
	fail_from = number;
	fail_until = number + 1;
	plan = PLAN_FROM;
	result = script_start();
	plan = PLAN_NONE;
	if (result == 0) {
		judge(script_probe(), number);
		script_stop();
	}
	judge(find_loss(descriptors), number);
	return asked >= number;
}

START_TEST(a_start_without_memory_fails_cleanly)
{
	uint64_t number = 1;
	count_allocations();
	while (try_start(number))
		number++;
	printf("one of %llu allocations of a start failed\n", (unsigned long long)number - 1);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

/* A heap without small blocks. */
static uint64_t small_count;

static void *only_large_malloc(size_t size)
{
	small_count += size <= PIPIT_OOM_RESERVE_BLOCK_BYTES;
	return size <= PIPIT_OOM_RESERVE_BLOCK_BYTES ? NULL : __wrap_malloc(size);
}

static void *only_large_realloc(void *memory, size_t size)
{
	small_count += size <= PIPIT_OOM_RESERVE_BLOCK_BYTES;
	return size <= PIPIT_OOM_RESERVE_BLOCK_BYTES ? NULL : __wrap_realloc(memory, size);
}

START_TEST(libevent_serves_everything_from_the_reserve)
{
	count_allocations();
	pipit_oom_reserve_set_heap(only_large_malloc, only_large_realloc);
	run(PLAN_COUNT, 0);
	pipit_oom_reserve_set_heap(__wrap_malloc, __wrap_realloc);
	printf("%llu blocks came out of the reserve\n", (unsigned long long)small_count);
	ck_assert_uint_gt(small_count, 100);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

static void *no_blocks_malloc(size_t size)
{
	return size == PIPIT_OOM_RESERVE_BLOCK_BYTES ? NULL : __wrap_malloc(size);
}

/* Three blocks per header. */
static void make_reserve_low(struct evkeyvalq *fields)
{
	bool is_added = true;
	fail_from = 0;
	fail_until = UINT64_MAX;
	plan = PLAN_FROM;
	while (is_added && !pipit_oom_reserve_is_low())
		is_added = evhttp_add_header(fields, "name", "value") == 0;
	plan = PLAN_NONE;
	ck_assert(is_added);
	/* And it cannot be refilled. */
	pipit_oom_reserve_set_heap(no_blocks_malloc, __wrap_realloc);
}

START_TEST(evhttp_starts_no_request_while_the_reserve_is_low)
{
	struct evkeyvalq fields;
	size_t descriptors, low;
	const char *wrong;

	count_allocations();
	descriptors = script_descriptors();
	begin_run();
	TAILQ_INIT(&fields);
	ck_assert_int_eq(script_start(), 0);
	script_settle();
	make_reserve_low(&fields);
	low = pipit_oom_reserve_blocks_in_use();
	/* One connection is still accepted, with memory for everything. */
	wrong = script_run(SCRIPT_EXACTLY);
	ck_assert_msg(wrong && strstr(wrong, "\"GET\", answer 2: not the right one"), "%s", wrong);
	ck_assert_uint_eq(pipit_oom_reserve_blocks_in_use(), low);
	evhttp_clear_headers(&fields);
	judge(script_probe(), 0);
	make_reserve_low(&fields);
	/*
	 * Where evhttp accepts connections, it accepts none; with borrowed connections, evhttp callbacks are refused and native
	 * handlers run.
	 */
	wrong = script_probe();
	ck_assert_msg(
	    wrong && strstr(wrong, script_borrows() ? "answer 2: not the right one" : "answer 1: waits in vain"), "%s",
	    wrong);
	evhttp_clear_headers(&fields);
	judge(script_probe(), 0);
	script_stop();
	judge(find_loss(descriptors), 0);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

static void add_case(Suite *suite, const char *name, SFun set_up, const TTest *test)
{
	TCase *tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	cJSON_Hooks hooks = { __wrap_malloc, __wrap_free };
	Suite *suite = suite_create("allocation");

	event_set_mem_functions(__wrap_malloc, __wrap_realloc, __wrap_free);
	cJSON_InitHooks(&hooks);
	/* Separate cases: CK_RUN_CASE chooses one. */
	add_case(suite, "one", set_up_without, every_client_is_answered_or_closed_whichever_allocation_fails);
	add_case(suite, "while", set_up_without, the_server_survives_a_period_without_memory);
	add_case(suite, "random", set_up_without, the_server_survives_allocations_that_fail_at_random);
	add_case(suite, "start", set_up_without, a_start_without_memory_fails_cleanly);
	add_case(suite, "reserve-one", set_up_with, every_client_is_answered_or_closed_whichever_allocation_fails);
	add_case(suite, "reserve-while", set_up_with, the_server_survives_a_period_without_memory);
	add_case(suite, "reserve-random", set_up_with, the_server_survives_allocations_that_fail_at_random);
	add_case(suite, "reserve-start", set_up_with, a_start_without_memory_fails_cleanly);
	add_case(suite, "reserve-small", set_up_with, libevent_serves_everything_from_the_reserve);
	add_case(suite, "reserve-low", set_up_with, evhttp_starts_no_request_while_the_reserve_is_low);
	return run_suite(suite);
}
