/* SPDX-License-Identifier: MIT */
/* pipit-guard: check the configuration, look at the program, and run it with libpipit-guard.so preloaded. */
#include "app/server.h"
#include "base/log.h"
#include "config/option.h"
#include "configuration.h"
#include "guarding.h"
#include "program.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* documented by --help; 126 and 127 as in env(1) */
enum { EXIT_ASIDE = 3, EXIT_WRONG_CONFIGURATION = 2, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

static const char help[] = "Usage: pipit-guard [OPTION]... PROGRAM [ARGUMENT]...\n"
			   "Run a program that uses evhttp with pipit's guard in front of its evhttp.\n"
			   "\n"
			   "  --metrics ADDR:PORT  Address of /metrics, /healthz and the dashboard [none]\n"
			   "  --config FILE        Configuration file of \"key = value\" lines\n"
			   "  --children           Guard the programs that the program starts, too\n"
			   "  --explain            Print what the guard would do with PROGRAM, then exit\n"
			   "  --check              Check the configuration, print it, then exit\n"
			   "  --version            Print the version, then exit\n"
			   "  --help               Print this text, then exit\n"
			   "\n"
			   "The limits, deadlines and logs of pipit --help are set by the file or the\n"
			   "environment: max-connections = 500, or PIPIT_MAX_CONNECTIONS=500. The maximum\n"
			   "body size is that of the program unless it is set.\n"
			   "In a unit file, preload the library instead:\n"
			   "  Environment=LD_PRELOAD=/usr/local/lib/libpipit-guard.so\n"
			   "Exit status: that of the program; 2 wrong configuration, and PROGRAM is not run;\n"
			   "126 PROGRAM cannot be run, 127 it is not found. --explain: 3 if the guard would\n"
			   "stand aside, and is not preloaded for --children.\n";

struct arguments {
	struct guard_flags flags;
	bool explains;
	bool checks;
	char **program; /* with its arguments; NULL at the end */
};

static int fail(int status, const char *what, const char *why)
{
	pipit_log(PIPIT_LOG_ERROR, "%s: %s", what, why);
	return status;
}

static int end_output(int status)
{
	return fflush(stdout) == 0 && !ferror(stdout) ? status : fail(1, "standard output", strerror(errno));
}

/* The program may change its directory before it binds. */
static void name_file(const char *name)
{
	char *path = realpath(name, NULL);
	setenv("PIPIT_CONFIG", path ? path : name, 1);
	free(path);
}

/* The name and value of --NAME=VALUE, or of --NAME and what follows. */
static void print_hint(const struct pipit_option *option, const char *value, char *hint, size_t size)
{
	char variable[PIPIT_OPTION_NAME_MAX_BYTES + 1];
	size_t length = strlen(option->name);

	for (size_t i = 0; i <= length; i++)
		variable[i] = option->name[i] == '-' ? '_' : (char)toupper((unsigned char)option->name[i]);
	snprintf(hint, size,
	    "not a flag of pipit-guard; use PIPIT_%s=%s in the environment, or %s = %s in the file of --config",
	    variable, value, option->name, value);
}

/* next: NULL at the end */
static int refuse_flag(const char *flag, const char *next)
{
	const char *name = flag + strspn(flag, "-"), *value = strchr(name, '=');
	size_t length = strcspn(name, "=");
	const struct pipit_option *option = flag[1] == '-' ? pipit_option_find(name, length) : NULL;
	char hint[1024];

	if (!option)
		return fail(EXIT_WRONG_CONFIGURATION, flag, "unknown option; see --help");
	if (guard_configuration_refuses(option))
		return fail(EXIT_WRONG_CONFIGURATION, flag, "has no effect on a guarded program; remove it");
	print_hint(option, value ? value + 1 : next && *next != '-' ? next : option->operand, hint, sizeof hint);
	return fail(EXIT_WRONG_CONFIGURATION, flag, hint);
}

/* -1: go on; else the exit status. */
static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
	enum { METRICS = 1, CONFIG, CHILDREN, EXPLAIN, CHECK, VERSION, HELP };
	static const struct option options[] = { { "metrics", required_argument, NULL, METRICS },
		{ "config", required_argument, NULL, CONFIG }, { "children", no_argument, NULL, CHILDREN },
		{ "explain", no_argument, NULL, EXPLAIN }, { "check", no_argument, NULL, CHECK },
		{ "version", no_argument, NULL, VERSION }, { "help", no_argument, NULL, HELP }, { NULL, 0, NULL, 0 } };
	int option;

	opterr = 0;
	if (getenv("PIPIT_CONFIG"))
		name_file(getenv("PIPIT_CONFIG"));
	/* "+": the options of the program follow it */
	while ((option = getopt_long(argc, argv, "+:hV", options, NULL)) != -1) {
		switch (option) {
		case METRICS:
			arguments->flags.metrics = optarg;
			setenv(PIPIT_GUARD_METRICS, optarg, 1);
			break;
		case CONFIG:
			arguments->flags.config = optarg;
			name_file(optarg);
			break;
		case CHILDREN:
			setenv(PIPIT_GUARD_CHILDREN, "on", 1);
			break;
		case EXPLAIN:
			arguments->explains = true;
			break;
		case CHECK:
			arguments->checks = true;
			break;
		case VERSION:
		case 'V':
			printf("pipit-guard %s\n", pipit_version());
			return end_output(0);
		case HELP:
		case 'h':
			fputs(help, stdout);
			return end_output(0);
		case ':':
			return fail(EXIT_WRONG_CONFIGURATION, argv[optind - 1], "has no value; see --help");
		default:
			return refuse_flag(argv[optind - 1], argv[optind]);
		}
	}
	arguments->program = argv + optind;
	if (!*arguments->program && !arguments->checks)
		return fail(
		    EXIT_WRONG_CONFIGURATION, "PROGRAM", "not given; use pipit-guard PROGRAM ARGUMENT..., see --help");
	return -1;
}

/* All that binding would need: the access log is opened, the metrics listen for a moment. The exit status. */
static int check_configuration(const struct guard_flags *flags, bool prints)
{
	static struct guard_configuration guard;
	struct guard_metrics metrics = { .fd = -1 };
	struct pipit_server *server = NULL;
	int result = guard_configuration_read(&guard, environ, flags);

	if (result == 0) {
		server = pipit_server_new_guard(&guard.config, true);
		result = server ? pipit_server_check(server) : -EINVAL;
	}
	if (result == 0 && guard.metrics)
		result = guard_configuration_open_metrics(&guard, &metrics);
	guard_configuration_close_metrics(&metrics);
	/* The program may have other rights when it opens its log. */
	pipit_server_remove_new_log(server);
	pipit_server_free(server);
	if (result == 0 && prints)
		guard_configuration_print(&guard, stdout);
	guard_configuration_clear(&guard);
	return result == 0 ? end_output(0) : EXIT_WRONG_CONFIGURATION;
}

/* Beside this program: in its folder, or where it was installed. */
static void find_library(char *path, size_t size)
{
	char *slash;
	ssize_t length = readlink("/proc/self/exe", path, size - 1);

	path[length < 0 ? 0 : length] = '\0';
	slash = strrchr(path, '/');
	if (slash) {
		snprintf(slash + 1, size - (size_t)(slash + 1 - path), "%s", PIPIT_GUARD_LIBRARY);
		if (access(path, R_OK) == 0)
			return;
	}
	/* relative to the folder of this program, so that any prefix works */
	slash = strrchr(path, '/');
	if (slash)
		snprintf(
		    slash + 1, size - (size_t)(slash + 1 - path), "%s/%s", PIPIT_GUARD_LIBDIR, PIPIT_GUARD_LIBRARY);
}

/* Set by --children, too. */
static bool guards_children(void)
{
	const char *value = getenv(PIPIT_GUARD_CHILDREN);
	return value && strcmp(value, "on") == 0;
}

/* False: the library is missing. */
static bool preload(void)
{
	char library[PATH_MAX], value[2 * PATH_MAX];
	const char *others = getenv("LD_PRELOAD");

	find_library(library, sizeof library);
	if (access(library, R_OK) != 0) {
		fail(0, library, "not found; install it, or run pipit-guard from the folder that it was built in");
		return false;
	}
	if (strpbrk(library, " :")) {
		fail(0, library, "a path with a blank or a colon cannot be preloaded");
		return false;
	}
	snprintf(value, sizeof value, "%s%s%s", library, others && *others ? ":" : "", others ? others : "");
	return setenv("LD_PRELOAD", value, 1) == 0;
}

/* As execvp() does. arguments: with the program's name first. Returns after an error. */
static void run_by_shell(const struct program *program, char **arguments)
{
	size_t count = 0;
	char **words;

	while (arguments[count])
		count++;
	words = calloc(count + 2, sizeof *words);
	if (!words)
		return;
	words[0] = (char *)program->interpreter;
	words[1] = (char *)program->path;
	memcpy(words + 2, arguments + 1, (count - 1) * sizeof *words);
	execv(program->interpreter, words);
	free(words);
}

/* A program that it stands aside of may start others: "nice", "sh -c", "env". */
static bool preloads_for(const struct program *program)
{
	return !*program->aside || (guards_children() && !program->ends_preload);
}

static void say_aside(const struct program *program)
{
	const char *consequence = preloads_for(program)   ? "; guards what it starts"
				  : program->ends_preload ? "; what it starts is not guarded, either"
							  : "; what it starts is not guarded without --children";
	pipit_log(PIPIT_LOG_WARN, "stands aside of %s: %s%s", program->path, program->aside, consequence);
}

static int run(const struct program *program, char **arguments)
{
	int error;

	if (*program->aside)
		say_aside(program);
	if (preloads_for(program) && !preload())
		return EXIT_CANNOT_RUN;
	if (program->is_bare_script)
		run_by_shell(program, arguments);
	else
		execv(program->path, arguments);
	error = errno;
	return fail(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, program->path, strerror(error));
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .explains = false };
	static struct program program;
	int result;

	pipit_log_set_program("pipit-guard");
	result = read_arguments(argc, argv, &arguments);
	if (result >= 0)
		return result;
	result = arguments.explains ? 0 : check_configuration(&arguments.flags, arguments.checks);
	if (result != 0 || arguments.checks)
		return result;
	result = program_read(&program, *arguments.program);
	if (result == -ENOENT)
		return fail(EXIT_NOT_FOUND, *arguments.program, "not found");
	if (result != 0)
		return fail(EXIT_CANNOT_RUN, *arguments.program,
		    result == -ENOEXEC ? "neither a program nor a script" : strerror(-result));
	if (arguments.explains) {
		program_explain(&program, guards_children());
		result = end_output(preloads_for(&program) ? 0 : EXIT_ASIDE);
	} else {
		result = run(&program, arguments.program);
	}
	program_clear(&program);
	return result;
}
