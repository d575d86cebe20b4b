/* SPDX-License-Identifier: MIT */
/* libelf reads the files; the loader lists the libraries. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <paths.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OWN_FILE "/proc/self/exe"

/* --- the file ----------------------------------------------------------------------------------------------------------- */

struct image {
	int fd;
	Elf *elf;
};

static bool open_image(struct image *image, const char *path)
{
	image->fd = open(path, O_RDONLY | O_CLOEXEC);
	image->elf = image->fd < 0 ? NULL : elf_begin(image->fd, ELF_C_READ, NULL);
	return image->elf && elf_kind(image->elf) == ELF_K_ELF;
}

static void close_image(struct image *image)
{
	elf_end(image->elf);
	if (image->fd >= 0)
		close(image->fd);
}

/* The path of the loader; false: the file is linked statically. */
static bool read_loader(Elf *elf, char *path, size_t size)
{
	size_t count = 0, length;
	const char *bytes = elf_rawfile(elf, &length);
	GElf_Phdr header;

	if (elf_getphdrnum(elf, &count) != 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_INTERP)
			continue;
		if (!bytes || header.p_offset >= length || header.p_filesz > length - header.p_offset)
			return false;
		snprintf(path, size, "%.*s", (int)header.p_filesz, bytes + header.p_offset);
		return true;
	}
	return false;
}

/* type: SHT_DYNSYM or SHT_SYMTAB. Until `visit` returns true. */
static bool visit_symbols(
    Elf *elf, GElf_Word type, bool (*visit)(const char *name, bool is_defined, void *context), void *context)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Sym symbol;

	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data;
		if (!gelf_getshdr(section, &header) || header.sh_type != type || header.sh_entsize == 0)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
			const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);
			if (name && visit(name, symbol.st_shndx != SHN_UNDEF, context))
				return true;
		}
	}
	return false;
}

static bool is_call_of_interest(const char *name)
{
	static const char *const beginnings[] = { "evhttp_", "bufferevent_", "evbuffer_add_reference", "evthread_use" };
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	}
	return false;
}

static bool is_binding(const char *name)
{
	static const char *const names[] = { "evhttp_bind_socket", "evhttp_bind_socket_with_handle",
		"evhttp_accept_socket", "evhttp_accept_socket_with_handle", "evhttp_bind_listener", "evhttp_start" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static bool add_call(const char *name, bool is_defined, void *context)
{
	struct program *program = context;
	if (!is_defined)
		program->binds |= is_binding(name);
	if (!is_defined && is_call_of_interest(name) && program->call_count < PROGRAM_CALLS_MAX) {
		program->calls[program->call_count] = strdup(name);
		program->call_count += program->calls[program->call_count] != NULL;
	}
	return false;
}

static bool defines_evhttp(const char *name, bool is_defined, void *context)
{
	(void)context;
	return is_defined && strcmp(name, "evhttp_new") == 0;
}

static void clear_calls(struct program *program)
{
	while (program->call_count)
		free(program->calls[--program->call_count]);
}

static bool calls(const struct program *program, const char *name)
{
	for (size_t i = 0; i < program->call_count; i++) {
		if (strcmp(program->calls[i], name) == 0)
			return true;
	}
	return false;
}

/* --- its libraries ------------------------------------------------------------------------------------------------------ */

static bool is_libevent_with_http(const char *library)
{
	const char *name = strrchr(library, '/');
	name = name ? name + 1 : library;
	return strncmp(name, "libevent-", 9) == 0 || strncmp(name, "libevent.so", 11) == 0 ||
	       strncmp(name, "libevent_extra", 14) == 0;
}

static void read_calls(struct program *program, const char *path)
{
	struct image image;
	if (open_image(&image, path))
		visit_symbols(image.elf, SHT_DYNSYM, add_call, program);
	close_image(&image);
}

/* A library may serve HTTP for the program. */
static void look_into_library(struct program *program, const char *path)
{
	struct program other = { .call_count = 0 };

	if (is_libevent_with_http(path) && !*program->libevent)
		snprintf(program->libevent, sizeof program->libevent, "%s", path);
	if (program->binds || strstr(path, "/libevent"))
		return;
	read_calls(&other, path);
	if (other.binds) {
		clear_calls(program);
		memcpy(program->calls, other.calls, sizeof other.calls);
		program->call_count = other.call_count;
		other.call_count = 0;
		program->binds = true;
		snprintf(program->user, sizeof program->user, "%s", path);
	}
	clear_calls(&other);
}

/* "LOADER --list PROGRAM" runs nothing of the program. */
static int look_into_libraries(struct program *program, const char *loader)
{
	int ends[2], status;
	char *line = NULL, *path, *end;
	size_t size = 0;
	pid_t child;
	FILE *list;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	child = fork();
	if (child == 0) {
		unsetenv("LD_PRELOAD");
		dup2(ends[1], STDOUT_FILENO);
		execl(loader, loader, "--list", program->path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	list = child < 0 ? NULL : fdopen(ends[0], "r");
	while (list && getline(&line, &size, list) > 0) {
		path = strstr(line, "=> /");
		if (!path)
			continue;
		path += 3;
		end = strchr(path, ' ');
		if (end)
			*end = '\0';
		look_into_library(program, path);
	}
	free(line);
	if (list)
		fclose(list);
	else
		close(ends[0]);
	return child < 0 || waitpid(child, &status, 0) != child || status != 0 ? -ENOEXEC : 0;
}

/* --- the decision ------------------------------------------------------------------------------------------------------- */

/* The loader ignores LD_PRELOAD for a program that gains rights. */
static bool gains_rights(const char *path)
{
	struct stat status;
	return (stat(path, &status) == 0 && status.st_mode & (S_ISUID | S_ISGID)) ||
	       getxattr(path, "security.capability", NULL, 0) > 0;
}

static bool is_of_this_machine(Elf *elf)
{
	struct image own;
	GElf_Ehdr header, own_header;
	bool is_same = open_image(&own, OWN_FILE) && gelf_getehdr(own.elf, &own_header) && gelf_getehdr(elf, &header) &&
		       header.e_machine == own_header.e_machine &&
		       header.e_ident[EI_CLASS] == own_header.e_ident[EI_CLASS];
	close_image(&own);
	return is_same;
}

static bool has_loader_of_this_program(const char *loader)
{
	struct image own;
	char own_loader[PATH_MAX];
	struct stat theirs, ours;
	bool is_same = open_image(&own, OWN_FILE) && read_loader(own.elf, own_loader, sizeof own_loader) &&
		       stat(loader, &theirs) == 0 && stat(own_loader, &ours) == 0 && theirs.st_ino == ours.st_ino &&
		       theirs.st_dev == ours.st_dev;
	close_image(&own);
	return is_same;
}

static const char *version_of(const char *library)
{
	const char *name = strrchr(library, '/'), *at = strstr(name ? name : library, "-2.");
	return at ? at + 1 : "";
}

__attribute__((format(printf, 2, 3))) static void stand_aside(struct program *program, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(program->aside, sizeof program->aside, format, arguments);
	va_end(arguments);
}

static void decide(struct program *program)
{
	if (!*program->libevent)
		stand_aside(program, "it is linked with no libevent that has evhttp");
	/* A name without a version: the library itself is asked when it is loaded. */
	else if (*version_of(program->libevent) && strncmp(version_of(program->libevent), "2.1", 3) != 0)
		stand_aside(program, "it uses %s, and the guard knows libevent 2.1", program->libevent);
	else if (!program->binds &&
		 (calls(program, "evhttp_make_request") || calls(program, "evhttp_connection_base_new") ||
		     calls(program, "evhttp_connection_base_bufferevent_new")))
		stand_aside(program, "it uses evhttp only as a client");
	else if (!program->binds)
		stand_aside(program, "it links no function that binds an evhttp");
}

static void read_image(struct program *program, Elf *elf)
{
	char loader[PATH_MAX];
	bool is_dynamic = read_loader(elf, loader, sizeof loader);
	bool has_evhttp = visit_symbols(elf, SHT_SYMTAB, defines_evhttp, NULL);

	if (!is_of_this_machine(elf))
		stand_aside(program, "it is for another kind of machine than the guard");
	else if (!is_dynamic)
		stand_aside(program,
		    "it is linked statically%s, so that nothing can be preloaded; link it with pipit instead",
		    has_evhttp ? " and contains evhttp" : "");
	else if (has_evhttp)
		stand_aside(
		    program, "it contains evhttp itself (libevent is linked statically); link it with pipit instead");
	else if (!has_loader_of_this_program(loader)) {
		stand_aside(program, "its loader is %s, and the guard was built for another C library", loader);
		program->ends_preload = true;
	} else if (gains_rights(program->path)) {
		stand_aside(program,
		    "it gains rights when it starts (setuid or capabilities): the loader preloads nothing then");
		program->ends_preload = true;
	} else {
		visit_symbols(elf, SHT_DYNSYM, add_call, program);
		if (look_into_libraries(program, loader) != 0)
			stand_aside(program, "the loader cannot list its libraries");
		else
			decide(program);
	}
}

/* --- finding it --------------------------------------------------------------------------------------------------------- */

static bool is_executable(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static int find(const char *name, char *path, size_t size)
{
	const char *folders = getenv("PATH"), *end;
	int error = -ENOENT;

	if (strchr(name, '/')) {
		snprintf(path, size, "%s", name);
		return is_executable(path) ? 0 : access(path, F_OK) == 0 ? -EACCES : -ENOENT;
	}
	for (folders = folders ? folders : "/usr/bin:/bin"; folders; folders = *end ? end + 1 : NULL) {
		end = strchrnul(folders, ':');
		/* an empty name is the current directory */
		if (snprintf(path, size, "%.*s/%s", end == folders ? 1 : (int)(end - folders),
			end == folders ? "." : folders, name) >= (int)size)
			continue;
		if (is_executable(path))
			return 0;
		if (access(path, F_OK) == 0)
			error = -EACCES;
	}
	return error;
}

/* "#!INTERPRETER ARGUMENT" */
static bool read_script(struct program *program)
{
	FILE *file = fopen(program->path, "re");
	bool is_script =
	    file && getc(file) == '#' && getc(file) == '!' && fscanf(file, " %4095[^\n]", program->interpreter) == 1;
	if (file)
		fclose(file);
	return is_script;
}

/* The kernel does not run it, but execvp() and shells run it by sh. False: it has bytes that no script has. */
static bool read_bare_script(struct program *program)
{
	char start[512];
	FILE *file = fopen(program->path, "re");
	size_t length = file ? fread(start, 1, sizeof start, file) : 0;

	program->is_bare_script = file && !memchr(start, '\0', length);
	if (file)
		fclose(file);
	if (program->is_bare_script)
		snprintf(program->interpreter, sizeof program->interpreter, "%s", _PATH_BSHELL);
	return program->is_bare_script;
}

int program_read(struct program *program, const char *name)
{
	struct image image;
	int error;

	*program = (struct program){ .call_count = 0 };
	error = find(name, program->path, sizeof program->path);
	if (error == 0 && access(program->path, R_OK) != 0)
		error = -errno;
	if (error != 0 || read_script(program))
		return error;
	elf_version(EV_CURRENT);
	if (open_image(&image, program->path))
		read_image(program, image.elf);
	else if (!read_bare_script(program))
		error = -ENOEXEC;
	close_image(&image);
	return error;
}

void program_clear(struct program *program)
{
	clear_calls(program);
}

/* --- telling ------------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *call, *note;
} notes[] = {
	{ "evhttp_set_bevcb", "if it sets a bevcb (TLS), the guard stands aside and says so" },
	{ "evhttp_connection_get_bufferevent", "what it writes to the bufferevent counts as a reply and is checked" },
	{ "bufferevent_setwatermark", "water marks have no effect on a guarded connection" },
	{ "evhttp_set_timeout", "stays in force; the shorter limit counts" },
	{ "evhttp_set_max_body_size", "stays in force: 413" },
	{ "evhttp_set_max_headers_size", "stays in force: 400" },
	{ "evhttp_del_accept_socket", "works on the handles as before" },
	{ "evthread_use_pthreads", "the guard runs on the thread of the loop" },
};

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static void print_calls(struct program *program)
{
	int column = printf("links:   ");

	qsort(program->calls, program->call_count, sizeof *program->calls, compare_names);
	for (size_t i = 0; i < program->call_count; i++) {
		if (column + (int)strlen(program->calls[i]) > 100)
			column = printf("\n         ") - 1;
		column += printf("%s ", program->calls[i]);
	}
	printf("\n");
}

void program_explain(struct program *program, bool guards_children)
{
	printf("program: %s\n", program->path);
	if (*program->interpreter) {
		printf("guard:   is preloaded into the programs that the script (%s) runs, and guards those that bind "
		       "an evhttp\n",
		    program->interpreter);
		return;
	}
	if (*program->libevent)
		printf("evhttp:  %s\n", program->libevent);
	if (*program->user)
		printf("used by: %s\n", program->user);
	if (program->call_count)
		print_calls(program);
	if (*program->aside) {
		printf("guard:   stands aside: %s\n", program->aside);
		if (guards_children)
			printf("guard:   is %spreloaded into the programs that it starts%s\n",
			    program->ends_preload ? "not " : "",
			    program->ends_preload ? "" : ", and guards those that bind an evhttp");
		return;
	}
	/* A client may share code with a server, and link functions that it never calls. */
	printf("guard:   on: it links functions that bind an evhttp; if it calls one, every client passes the guard "
	       "first\n");
	for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
		if (calls(program, notes[i].call))
			printf("note:    %s: %s\n", notes[i].call, notes[i].note);
	}
}
