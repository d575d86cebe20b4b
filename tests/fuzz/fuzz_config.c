/* SPDX-License-Identifier: MIT */
/*
 * The text of a configuration file.
 *
 * Checked: it is accepted, and then it is valid as a whole, and its printed form is accepted too and prints the same; or it is
 * refused with one line of printable text, which begins with file and line, or with the name of an option that conflicts with
 * another.
 */
#include "fuzz.h"

#include "config/config.h"
#include "config/option.h"
#include "config/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file without a name in the file system; /proc gives it a path. */
struct file {
	int fd;
	char name[64];
	struct pipit_options options; /* of the configuration that was read */
};

static void fill(struct file *file, const char *name, const void *text, size_t length)
{
	if (!file->name[0]) {
		file->fd = memfd_create(name, MFD_CLOEXEC);
		REQUIRE(file->fd >= 0);
		snprintf(file->name, sizeof file->name, "/proc/self/fd/%d", file->fd);
	}
	REQUIRE(ftruncate(file->fd, 0) == 0);
	REQUIRE(pwrite(file->fd, text, length, 0) == (ssize_t)length);
}

static int read_file(struct file *file, struct pipit_config *config, char *error, size_t size)
{
	char program[] = "pipit", option[] = "--config";
	char *arguments[] = { program, option, file->name, NULL };
	pipit_config_init(config);
	return pipit_options_read(config, &file->options, 3, arguments, NULL, error, size);
}

static char *print(const struct pipit_config *config, size_t *length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, length);
	REQUIRE(out);
	pipit_config_print(config, out);
	REQUIRE(fclose(out) == 0);
	return text;
}

static void check_taken(const struct pipit_config *config)
{
	static struct file printed;
	struct pipit_config again;
	char error[512] = "", *text, *text_again;
	size_t length, length_again;

	REQUIRE(pipit_config_check(config, error, sizeof error) == 0);
	text = print(config, &length);
	fill(&printed, "printed", text, length);
	REQUIRE(read_file(&printed, &again, error, sizeof error) == 0);
	text_again = print(&again, &length_again);
	REQUIRE(length == length_again && memcmp(text, text_again, length) == 0);
	free(text);
	free(text_again);
	pipit_config_clear(&again);
}

static size_t count_lines(const uint8_t *data, size_t size)
{
	size_t count = 1;
	for (size_t i = 0; i < size; i++)
		count += data[i] == '\n';
	return count;
}

static bool names_a_place(const char *error, const char *name, size_t lines)
{
	size_t length = strlen(name);
	char *end;
	unsigned long line;
	if (strncmp(error, name, length) != 0 || error[length] != ':')
		return false;
	line = strtoul(error + length + 1, &end, 10);
	return line >= 1 && line <= lines && strncmp(end, ": ", 2) == 0 && end[2] != '\0';
}

static bool names_a_option(const char *error)
{
	return pipit_option_find(error, strcspn(error, " ")) != NULL;
}

/* One for each error; the last one may be cut. */
static void check_refusal(const char *error, size_t size, const char *name, size_t lines)
{
	size_t length = strnlen(error, size);
	REQUIRE(length > 0 && length < size);
	for (const char *line = error, *end = line; *end; line = end + 1) {
		bool is_cut;
		end = line + strcspn(line, "\n");
		is_cut = !*end && length == size - 1;
		REQUIRE(end > line || is_cut);
		for (const char *at = line; at < end; at++)
			REQUIRE((unsigned char)*at >= 0x20 && *at != 0x7f);
		REQUIRE(is_cut || names_a_place(line, name, lines) || names_a_option(line));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct file file;
	struct pipit_config config;
	char *error = malloc(1000);
	int result;

	REQUIRE(error);
	fill(&file, "input", data, size);
	result = read_file(&file, &config, error, 1000);
	REQUIRE(result == 0 || result == -EINVAL);
	if (result == 0)
		check_taken(&config);
	else
		check_refusal(error, 1000, file.name, count_lines(data, size));
	pipit_config_clear(&config);
	free(error);
	return 0;
}
