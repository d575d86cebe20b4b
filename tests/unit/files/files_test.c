/* SPDX-License-Identifier: MIT */
/*
 * Every test that opens files runs twice: with openat2 (even loop numbers) and without it (odd ones). Each test has a
 * new tree: top/secret.txt, and top/root, which is served.
 */
#include "files/files.h"

#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MODES 2
#define SECRET "top secret\n"
#define MODIFIED 1234567890

static char top[64];
static struct pipit_files *files;

static const char *below_top(const char *name)
{
	static char path[384];
	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void make_file(const char *name, const char *content)
{
	const struct timespec times[2] = { { MODIFIED, 0 }, { MODIFIED, 999999999 } };
	int fd = open(below_top(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	ck_assert_int_eq(futimens(fd, times), 0);
	close(fd);
}

static void make_directory(const char *name)
{
	ck_assert_int_eq(mkdir(below_top(name), 0755), 0);
}

static void make_link(const char *target, const char *name)
{
	char own_target[384];
	strcpy(own_target, target);
	ck_assert_int_eq(symlink(own_target, below_top(name)), 0);
}

static void make_tree(void)
{
	make_file("secret.txt", SECRET);
	make_directory("outside");
	make_file("outside/index.html", SECRET);
	make_directory("root");
	make_file("root/index.html", "<p>home\n");
	make_file("root/a", "a\n");
	make_file("root/page.html", "<p>page\n");
	make_file("root/empty.txt", "");
	make_file("root/caf\xc3\xa9 menu.txt", "espresso\n");
	make_file("root/%2e%2e", "percent\n");
	make_file("root/dots..", "dots\n");
	make_file("root/.hidden", SECRET);
	make_directory("root/.git");
	make_file("root/.git/config", SECRET);
	make_directory("root/docs");
	make_file("root/docs/index.html", "<p>docs\n");
	make_file("root/docs/guide.md", "# Guide\n");
	make_file("root/docs/.draft", SECRET);
	make_directory("root/docs/deep");
	make_file("root/docs/deep/end.txt", "end\n");
	make_directory("root/.well-known");
	make_file("root/.well-known/security.txt", "Contact\n");
	make_directory("root/.well-known/acme-challenge");
	make_file("root/.well-known/acme-challenge/token", "proof\n");
	make_file("root/.well-known/.private", SECRET);
	make_file("root/.well-known-not", SECRET);
	make_directory("root/docs/.well-known");
	make_file("root/docs/.well-known/nested.txt", SECRET);
	make_file("root/back\\slash.txt", "backslash\n");
	make_directory("root/bare");
	make_directory("root/odd");
	make_directory("root/odd/index.html");
}

static void make_links(void)
{
	make_link("page.html", "root/inside.html");
	make_link("docs", "root/manual");
	make_link("../page.html", "root/docs/up.html");
	make_link("../secret.txt", "root/out.txt");
	make_link(below_top("secret.txt"), "root/absolute.txt");
	make_link(below_top("root/page.html"), "root/absolute-inside.html");
	make_link("../outside", "root/outside");
	make_link("..", "root/parent");
	make_link("/proc/self/root", "root/magic");
	make_link("loop", "root/loop");
	make_link("nowhere", "root/dangling");
	make_link("/dev/null", "root/null");
	make_link(".hidden", "root/to-hidden");
	make_link(".git", "root/to-git");
	make_link(".hidden", "root/docs/chain");
	make_link(".draft", "root/docs/.chain");
	make_link("docs/.chain", "root/to-draft");
	make_link("docs/.well-known/nested.txt", "root/to-nested");
	/* a volume of Kubernetes */
	make_directory("root/..2026_11_30");
	make_file("root/..2026_11_30/mapped.txt", "mapped\n");
	make_link("..2026_11_30", "root/..data");
	make_link("..data/mapped.txt", "root/mapped.txt");
}

static void set_up(void)
{
	strcpy(top, "/tmp/files_test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	make_tree();
	make_links();
	ck_assert_int_eq(mkfifo(below_top("root/fifo"), 0644), 0);
	ck_assert_int_eq(pipit_files_open_root(below_top("root"), &files), 0);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type, (void)where;
	return remove(path);
}

static void tear_down(void)
{
	pipit_files_close_root(files);
	ck_assert_int_eq(nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* False after a message when this machine has no openat2. */
static bool choose_mode(int number)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC };
	bool is_walking = number % MODES;
	if (!is_walking) {
		long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
		if (fd < 0) {
			puts("skipped: no openat2 here");
			return false;
		}
		close((int)fd);
		return true;
	}
	pipit_files_set_walking(files, true);
	return true;
}

static enum pipit_files_result open_slice(struct pipit_slice path, struct pipit_file *file)
{
	*file = (struct pipit_file){ .fd = -1 };
	enum pipit_files_result result = pipit_files_open(files, path, file);
	ck_assert_int_eq(file->fd >= 0, result == PIPIT_FILES_FOUND);
	return result;
}

static enum pipit_files_result open_path(const char *path, struct pipit_file *file)
{
	return open_slice(pipit_slice_of(path), file);
}

static enum pipit_files_result look_up(const char *path)
{
	struct pipit_file file;
	enum pipit_files_result result = open_path(path, &file);
	if (result == PIPIT_FILES_FOUND)
		close(file.fd);
	return result;
}

static void expect_content(const char *path, const char *content)
{
	char buffer[64] = "";
	struct pipit_file file;
	ck_assert_msg(open_path(path, &file) == PIPIT_FILES_FOUND, "%s is not found", path);
	ck_assert_int_eq(read(file.fd, buffer, sizeof(buffer) - 1), (ssize_t)strlen(content));
	ck_assert_str_eq(buffer, content);
	ck_assert_uint_eq(file.size, strlen(content));
	ck_assert_int_eq(file.modified, MODIFIED);
	close(file.fd);
}

/* ---------------------------------------------------------------- the root */

START_TEST(refuses_a_root_that_is_no_directory)
{
	struct pipit_files *untouched = NULL;
	ck_assert_int_eq(pipit_files_open_root(below_top("secret.txt"), &untouched), -ENOTDIR);
	ck_assert_int_eq(pipit_files_open_root(below_top("nowhere"), &untouched), -ENOENT);
	ck_assert_int_eq(pipit_files_open_root("", &untouched), -ENOENT);
	ck_assert_ptr_null(untouched);
}
END_TEST

START_TEST(closing_null_is_harmless)
{
	pipit_files_close_root(NULL);
}
END_TEST

static void move(const char *from, const char *to)
{
	char old_name[384];
	strcpy(old_name, below_top(from));
	ck_assert_int_eq(rename(old_name, below_top(to)), 0);
}

START_TEST(serves_a_root_that_was_made_anew)
{
	if (!choose_mode(_i))
		return;
	expect_content("/page.html", "<p>page\n");
	move("root", "moved");
	ck_assert_int_eq(look_up("/page.html"), PIPIT_FILES_NOT_FOUND);
	make_directory("root");
	make_file("root/page.html", "<p>new\n");
	expect_content("/page.html", "<p>new\n");
	ck_assert_int_eq(look_up("/a"), PIPIT_FILES_NOT_FOUND);
}
END_TEST

START_TEST(serves_what_a_linked_root_leads_to)
{
	pipit_files_close_root(files);
	files = NULL;
	make_link("root", "current");
	make_directory("release");
	make_file("release/page.html", "<p>new\n");
	make_link(below_top("current/page.html"), "release/link.html");
	make_link("release", "next");
	ck_assert_int_eq(pipit_files_open_root(below_top("current"), &files), 0);
	if (!choose_mode(_i))
		return;
	expect_content("/page.html", "<p>page\n");
	move("next", "current");
	expect_content("/page.html", "<p>new\n");
	expect_content("/link.html", "<p>new\n");
}
END_TEST

START_TEST(keeps_a_relative_root_when_the_working_directory_changes)
{
	int old = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(old, 0);
	pipit_files_close_root(files);
	files = NULL;
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_int_eq(pipit_files_open_root("root", &files), 0);
	ck_assert_int_eq(fchdir(old), 0);
	close(old);
	expect_content("/page.html", "<p>page\n");
}
END_TEST

START_TEST(knows_whether_a_path_leads_to_a_version)
{
	struct pipit_file page, home;
	struct pipit_slice path = pipit_slice_of("/page.html");
	ck_assert_int_eq(open_path("/page.html", &page), PIPIT_FILES_FOUND);
	ck_assert_int_eq(open_path("/", &home), PIPIT_FILES_FOUND);
	close(page.fd);
	close(home.fd);
	ck_assert(pipit_files_has_version(files, path, &page.version));
	ck_assert(pipit_files_has_version(files, pipit_slice_of("/inside.html"), &page.version));
	ck_assert(pipit_files_has_version(files, pipit_slice_of("/"), &home.version));
	ck_assert(!pipit_files_has_version(files, pipit_slice_of("/"), &page.version));
	ck_assert(!pipit_files_has_version(files, pipit_slice_of("/nowhere"), &page.version));
	ck_assert_int_eq(chmod(below_top("root/page.html"), 0600), 0);
	ck_assert(!pipit_files_has_version(files, path, &page.version));
}
END_TEST

/* ---------------------------------------------------------------- found */

static const struct {
	const char *path, *content;
} found[] = {
	{ "/", "<p>home\n" },
	{ "/index.html", "<p>home\n" },
	{ "/a", "a\n" },
	{ "/page.html", "<p>page\n" },
	{ "/%70age%2ehtml", "<p>page\n" },
	{ "//page.html", "<p>page\n" },
	{ "/./page.html", "<p>page\n" },
	{ "/docs/../page.html", "<p>page\n" },
	{ "/docs/%2e%2e/page.html", "<p>page\n" },
	{ "/nowhere/../page.html", "<p>page\n" },
	{ "/.git/../page.html", "<p>page\n" },
	{ "/empty.txt", "" },
	{ "/caf%c3%a9%20menu.txt", "espresso\n" },
	{ "/caf%C3%A9 menu.txt", "espresso\n" },
	{ "/%252e%252e", "percent\n" },
	{ "/dots..", "dots\n" },
	{ "/docs/", "<p>docs\n" },
	{ "/docs//", "<p>docs\n" },
	{ "/docs/.", "<p>docs\n" },
	{ "/docs/deep/..", "<p>docs\n" },
	{ "/docs/..", "<p>home\n" },
	{ "/docs/guide.md", "# Guide\n" },
	{ "/docs/deep/end.txt", "end\n" },
	{ "/docs/deep/../../docs/./deep//end.txt", "end\n" },
	{ "/docs%2fguide.md", "# Guide\n" },
	{ "/back%5cslash.txt", "backslash\n" },
	{ "/back%5Cslash.txt", "backslash\n" },
	{ "/.well-known/security.txt", "Contact\n" },
	{ "/%2ewell-known/security.txt", "Contact\n" },
	{ "/docs/../.well-known/acme-challenge/token", "proof\n" },
	{ "/mapped.txt", "mapped\n" },
	/* links */
	{ "/inside.html", "<p>page\n" },
	{ "/absolute-inside.html", "<p>page\n" },
	{ "/manual/guide.md", "# Guide\n" },
	{ "/manual/", "<p>docs\n" },
	{ "/docs/up.html", "<p>page\n" },
	/* out and in again */
	{ "/parent/root/page.html", "<p>page\n" },
};

START_TEST(finds_files_by_any_spelling_of_their_path)
{
	if (choose_mode(_i))
		expect_content(found[_i / MODES].path, found[_i / MODES].content);
}
END_TEST

START_TEST(returns_the_media_type)
{
	struct pipit_file file;
	if (!choose_mode(_i))
		return;
	ck_assert_int_eq(open_path("/docs/", &file), PIPIT_FILES_FOUND);
	ck_assert_str_eq(file.content_type, "text/html; charset=utf-8");
	close(file.fd);
	ck_assert_int_eq(open_path("/a", &file), PIPIT_FILES_FOUND);
	ck_assert_str_eq(file.content_type, "application/octet-stream");
	close(file.fd);
}
END_TEST

START_TEST(opens_files_that_a_child_process_will_not_inherit)
{
	struct pipit_file file;
	if (!choose_mode(_i))
		return;
	ck_assert_int_eq(open_path("/a", &file), PIPIT_FILES_FOUND);
	ck_assert_int_eq(fcntl(file.fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(file.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(file.fd);
}
END_TEST

static const struct {
	const char *path;
	enum pipit_files_result result;
} directories[] = {
	{ "/docs", PIPIT_FILES_REDIRECT },
	{ "/./docs", PIPIT_FILES_REDIRECT },
	{ "/bare/../docs", PIPIT_FILES_REDIRECT },
	{ "/manual", PIPIT_FILES_REDIRECT },
	{ "/bare", PIPIT_FILES_NOT_FOUND },
	{ "/bare/", PIPIT_FILES_NOT_FOUND },
	{ "/odd", PIPIT_FILES_NOT_FOUND },
	{ "/odd/", PIPIT_FILES_NOT_FOUND },
	{ "/odd/index.html", PIPIT_FILES_NOT_FOUND },
	{ "/page.html/", PIPIT_FILES_NOT_FOUND },
	{ "/page.html/.", PIPIT_FILES_NOT_FOUND },
	{ "/page.html/a", PIPIT_FILES_NOT_FOUND },
	/* as a Location with a trailing slash, these would name another host */
	{ "//docs", PIPIT_FILES_NOT_FOUND },
	{ "//example.com/../docs", PIPIT_FILES_NOT_FOUND },
	{ "//example.com/%2e%2e/docs", PIPIT_FILES_NOT_FOUND },
};

START_TEST(redirects_to_directories_that_have_an_index_only)
{
	if (choose_mode(_i))
		ck_assert_int_eq(look_up(directories[_i / MODES].path), directories[_i / MODES].result);
}
END_TEST

/* ---------------------------------------------------------------- not found */

/* {} is the absolute path of the secret's directory. */
static const char *const traversals[] = {
	"/../secret.txt",
	"/../../secret.txt",
	"/../../../../../../../../../../../../etc/passwd",
	"/./../secret.txt",
	"/.//../secret.txt",
	"/..//secret.txt",
	"//../secret.txt",
	"///..///secret.txt",
	"/../root/../secret.txt",
	"/docs/../../secret.txt",
	"/docs/../../root/../secret.txt",
	"/docs/deep/../../../secret.txt",
	"/nowhere/../../secret.txt",
	"/page.html/../../secret.txt",
	"/%2e%2e/secret.txt",
	"/%2E%2E/secret.txt",
	"/%2e%2E/secret.txt",
	"/%2e./secret.txt",
	"/%2E./secret.txt",
	"/.%2e/secret.txt",
	"/.%2E/secret.txt",
	"/%2e%2e%2fsecret.txt",
	"/%2e%2e%2Fsecret.txt",
	"/..%2fsecret.txt",
	"/..%2f..%2fsecret.txt",
	"/docs/..%2f..%2fsecret.txt",
	"/docs%2f..%2f..%2fsecret.txt",
	"%2f..%2fsecret.txt",
	"/%2f../secret.txt",
	"/%2f%2e%2e%2fsecret.txt",
	"/docs/%2e%2e/%2e%2e/secret.txt",
	"/%252e%252e/secret.txt",
	"/%252e%252e%252fsecret.txt",
	"/..%252fsecret.txt",
	"/%25252e%25252e/secret.txt",
	"/%%32e%%32e/secret.txt",
	"/%2%65%2%65/secret.txt",
	"/.../secret.txt",
	"/..../secret.txt",
	"/.. /secret.txt",
	"/..%20/secret.txt",
	"/ ../secret.txt",
	"/..;/secret.txt",
	"/..;a=b/secret.txt",
	"/..%00/secret.txt",
	"/../secret.txt%00.html",
	"/page.html%00/../../secret.txt",
	"/..\\secret.txt",
	"\\..\\secret.txt",
	"/..\\/secret.txt",
	"/docs\\..\\..\\secret.txt",
	"/..%5csecret.txt",
	"/..%5Csecret.txt",
	"/%2e%2e%5csecret.txt",
	"/%5c..%5csecret.txt",
	"/%5c../secret.txt",
	"/..%255csecret.txt",
	"/%c0%ae%c0%ae/secret.txt",
	"/%c0%ae%c0%ae%c0%afsecret.txt",
	"/..%c0%afsecret.txt",
	"/%e0%80%ae%e0%80%ae/secret.txt",
	"/..%ef%bc%8fsecret.txt",
	"/%u002e%u002e/secret.txt",
	"/..%u2215secret.txt",
	"../secret.txt",
	"..",
	"",
	"secret.txt",
	"/..",
	"/../",
	"/../.",
	"/../outside/",
	"/../outside",
	"/../outside/index.html",
	"/../root",
	"/../root/page.html",
	"/%2e%2e/root/",
	"{}",
	"/{}",
	"/%2f{}",
	"{}/",
	"/..{}",
	"/../../..{}",
	"file://{}",
	"http://localhost{}",
	"/proc/self/root{}",
	"/magic{}",
	"/parent/secret.txt",
	"/parent/outside/",
	"/manual/../../secret.txt",
	"/outside/../secret.txt",
	"/docs/deep/../../parent/secret.txt",
	"/~root/secret.txt",
	"/secret.txt",
	"/secret.txt.",
	"/secret.txt::$DATA",
};

START_TEST(never_leaves_the_root)
{
	char path[768];
	const char *spelling = traversals[_i / MODES];
	const char *mark = strstr(spelling, "{}");
	if (!choose_mode(_i))
		return;
	if (mark)
		snprintf(path, sizeof(path), "%.*s%s%s", (int)(mark - spelling), spelling, below_top("secret.txt"),
		    mark + 2);
	else
		snprintf(path, sizeof(path), "%s", spelling);
	enum pipit_files_result result = look_up(path);
	ck_assert_msg(result == PIPIT_FILES_BAD_PATH || result == PIPIT_FILES_NOT_FOUND, "%s gives %d", path, result);
}
END_TEST

static const char *const bad_paths[] = { "", "a", "*", "page.html", "\\", "/%00", "/page.html%00", "/%", "/%2", "/%zz",
	"/%2g", "/%g2", "/% 20", "/page.html%", "/..", "/../", "/docs/../..", "/%2e%2e", "/%2e%2E/",
	"/docs/%2e%2e/%2e%2e/a", "//..", "/.hidden/../.." };

START_TEST(reports_bad_paths)
{
	if (choose_mode(_i))
		ck_assert_int_eq(look_up(bad_paths[_i / MODES]), PIPIT_FILES_BAD_PATH);
}
END_TEST

START_TEST(reports_a_path_with_nul_as_bad)
{
	struct pipit_file file;
	if (choose_mode(_i))
		ck_assert_int_eq(open_slice((struct pipit_slice){ "/a\0b", 4 }, &file), PIPIT_FILES_BAD_PATH);
}
END_TEST

static const char *const absent[] = { "/nowhere", "/nowhere/", "/%70AGE.html", "/docs/nowhere.html", "/.hidden",
	"/%2ehidden", "/.git/config", "/.git/", "/.git", "/docs/../.git/config", "/docs/../.hidden", "/.git%2fconfig",
	"/docs/.draft", "/docs/%2edraft", "/docs%2f.draft", "/...", "/fifo", "/fifo/", "/null", "/loop", "/loop/",
	"/dangling", "/out.txt", "/absolute.txt", "/outside/", "/outside", "/outside/index.html", "/parent/", "/parent",
	"/magic/", "/magic", "/magic/etc/passwd", "/manual/../.git/config", "/manual/../secret.txt", "/\\", "/a\\b",
	"/%5c", "/..%5csecret.txt", "/.well-known/.private", "/.well-known-not", "/docs/.well-known/nested.txt",
	"/to-hidden", "/to-git/config", "/to-git/", "/docs/chain", "/to-draft", "/to-nested", "/..data/mapped.txt",
	"/..2026_11_30/mapped.txt", "/parent/root/.hidden" };

START_TEST(does_not_find_hidden_special_or_outside_files)
{
	if (choose_mode(_i))
		ck_assert_int_eq(look_up(absent[_i / MODES]), PIPIT_FILES_NOT_FOUND);
}
END_TEST

START_TEST(does_not_serve_a_device)
{
	if (mknod(below_top("root/device"), S_IFCHR | 0666, makedev(1, 5)) != 0) {
		puts("skipped: may not make a device (does_not_serve_a_device)");
		return;
	}
	if (choose_mode(_i))
		ck_assert_int_eq(look_up("/device"), PIPIT_FILES_NOT_FOUND);
}
END_TEST

/* ---------------------------------------------------------------- not readable */

/* Runs in an unprivileged child, because root may read every file. Exit status: the result. */
static int look_up_unprivileged(const char *path)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		struct pipit_file file;
		if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0))
			_exit(99);
		_exit((int)pipit_files_open(files, pipit_slice_of(path), &file));
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const struct {
	const char *path;
	enum pipit_files_result result;
} locked[] = {
	{ "/page.html", PIPIT_FILES_FORBIDDEN },
	{ "/a", PIPIT_FILES_FOUND },
	{ "/bare/a", PIPIT_FILES_FORBIDDEN },
	{ "/bare/", PIPIT_FILES_FORBIDDEN },
	{ "/bare", PIPIT_FILES_FORBIDDEN },
	/* search permission only */
	{ "/docs/", PIPIT_FILES_FOUND },
	{ "/docs", PIPIT_FILES_REDIRECT },
};

START_TEST(forbids_unreadable_files)
{
	ck_assert_int_eq(chmod(top, 0755), 0);
	ck_assert_int_eq(chmod(below_top("root/page.html"), 0), 0);
	ck_assert_int_eq(chmod(below_top("root/bare"), 0), 0);
	ck_assert_int_eq(chmod(below_top("root/docs"), 0311), 0);
	int result = choose_mode(_i) ? look_up_unprivileged(locked[_i / MODES].path) : 99;
	ck_assert_int_eq(chmod(below_top("root/bare"), 0755), 0);
	ck_assert_int_eq(chmod(below_top("root/docs"), 0755), 0);
	if (result == 99)
		puts("skipped: cannot give up privileges (forbids_unreadable_files)");
	else
		ck_assert_int_eq(result, locked[_i / MODES].result);
}
END_TEST

static int lowest_free_descriptor(void)
{
	int fd = dup(STDOUT_FILENO);
	close(fd);
	return fd;
}

START_TEST(is_unavailable_without_descriptors)
{
	struct rlimit limit;
	if (!choose_mode(_i))
		return;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	struct rlimit tight = { (rlim_t)lowest_free_descriptor(), limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	enum pipit_files_result shallow = look_up("/page.html"), deep = look_up("/docs/deep/end.txt");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(shallow, PIPIT_FILES_UNAVAILABLE);
	ck_assert_int_eq(deep, PIPIT_FILES_UNAVAILABLE);
	ck_assert_int_eq(look_up("/docs/deep/end.txt"), PIPIT_FILES_FOUND);
}
END_TEST

START_TEST(leaks_no_descriptor)
{
	static const char *const paths[] = { "/", "/docs", "/bare", "/docs/deep/end.txt", "/docs/deep/nowhere",
		"/page.html/a/b", "/fifo", "/docs/nowhere/end.txt", "/odd/", "/parent/secret.txt", "/inside.html",
		"/manual/", "/loop", "/to-hidden" };
	if (!choose_mode(_i))
		return;
	int before = lowest_free_descriptor();
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		look_up(paths[i]);
		ck_assert_msg(lowest_free_descriptor() == before, "%s leaves a descriptor", paths[i]);
	}
}
END_TEST

/* ---------------------------------------------------------------- lengths */

/* `length` bytes, repeating `unit`. */
static struct pipit_slice long_path(char *buffer, size_t length, const char *unit)
{
	for (size_t i = 0; i < length; i++)
		buffer[i] = unit[i % strlen(unit)];
	return (struct pipit_slice){ buffer, length };
}

START_TEST(does_not_find_a_path_that_is_too_long)
{
	static const char *const units[] = { "/", "/a", "/aaaaaaa", "/a/../a/", "/.", "/%61" };
	static const size_t lengths[] = { 255, 256, 257, 4083, 4084, 4085, 4086, 4087, 4088, 4089, 4094, 4095, 4096,
		4097, 8192, 16384, 65536 };
	static char buffer[65536];
	struct pipit_file file;
	if (!choose_mode(_i))
		return;
	for (size_t unit = 0; unit < COUNT_OF(units); unit++) {
		for (size_t i = 0; i < COUNT_OF(lengths); i++) {
			enum pipit_files_result result = open_slice(long_path(buffer, lengths[i], units[unit]), &file);
			if (lengths[i] > 16384)
				ck_assert_int_ne(result, PIPIT_FILES_FOUND);
			if (result == PIPIT_FILES_FOUND)
				close(file.fd);
		}
	}
	buffer[0] = '/';
	memset(buffer + 1, 'a', 300);
	ck_assert_int_eq(open_slice((struct pipit_slice){ buffer, 301 }, &file), PIPIT_FILES_NOT_FOUND);
}
END_TEST

START_TEST(measures_a_path_after_decoding)
{
	char path[3 * 255 + 2] = "/", name[255 + 6] = "root/";
	if (!choose_mode(_i))
		return;
	memset(name + 5, 'x', 255);
	for (size_t i = 0; i < 255; i++)
		memcpy(path + 1 + 3 * i, "%78", 3);
	make_file(name, "long\n");
	expect_content(path, "long\n");
}
END_TEST

/* A guard page follows the last byte of each path. */
START_TEST(reads_nothing_past_the_end_of_the_path)
{
	static const char *const paths[] = { "/", "/a", "/%", "/%2", "/%2e", "/%2e%2", "/%2e%2e", "/.", "/..", "/docs",
		"/docs/", "/page.html", "", "/\\" };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct pipit_file file;
	if (!choose_mode(_i))
		return;
	char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		size_t length = strlen(paths[i]);
		char *place = memory + page - length;
		memcpy(place, paths[i], length);
		enum pipit_files_result result = open_slice((struct pipit_slice){ place, length }, &file);
		if (result == PIPIT_FILES_FOUND)
			close(file.fd);
		ck_assert_int_eq(result, look_up(paths[i]));
	}
	munmap(memory, 2 * page);
}
END_TEST

/* ---------------------------------------------------------------- random paths */

static struct stat inside[64];
static size_t inside_count;

static int note_file(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)where;
	if (type == FTW_F && S_ISREG(status->st_mode) && !strstr(path, "/.")) {
		ck_assert_uint_lt(inside_count, COUNT_OF(inside));
		inside[inside_count++] = *status;
	}
	return 0;
}

static bool is_inside(const struct stat *status)
{
	for (size_t i = 0; i < inside_count; i++) {
		if (inside[i].st_dev == status->st_dev && inside[i].st_ino == status->st_ino)
			return true;
	}
	return false;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

static void compose(char *path, size_t size, uint32_t *state)
{
	static const char *const pieces[] = { "..", ".", "/", "/", "/", "//", "%2e", "%2E", "%2f", "%5c", "%00", "%25",
		"\\", "a", "docs", "deep", "page.html", "secret.txt", "outside", "parent", "manual", "root", ".git",
		"config", "index.html", "%61", "%", "%2", " ", "top" };
	size_t length = 1, count = 1 + next_random(state) % 10;
	strcpy(path, "/");
	for (size_t i = 0; i < count; i++) {
		const char *piece = pieces[next_random(state) % COUNT_OF(pieces)];
		length += (size_t)snprintf(path + length, size - length, "%s", piece);
		ck_assert_uint_lt(length, size);
	}
}

START_TEST(opens_nothing_but_files_of_the_root_for_random_paths)
{
	uint32_t state = 20240607;
	size_t found_count = 0;
	if (!choose_mode(_i))
		return;
	inside_count = 0;
	ck_assert_int_eq(nftw(below_top("root"), note_file, 16, FTW_PHYS), 0);
	for (int i = 0; i < 5000; i++) {
		char path[256];
		struct pipit_file file;
		struct stat status;
		compose(path, sizeof(path), &state);
		if (open_path(path, &file) != PIPIT_FILES_FOUND)
			continue;
		ck_assert_int_eq(fstat(file.fd, &status), 0);
		ck_assert_msg(is_inside(&status), "%s leads out", path);
		close(file.fd);
		found_count++;
	}
	ck_assert_uint_gt(found_count, 50);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("files");
	TCase *opening = tcase_create("opening");
	TCase *refusing = tcase_create("refusing");
	tcase_add_checked_fixture(opening, set_up, tear_down);
	tcase_add_test(opening, refuses_a_root_that_is_no_directory);
	tcase_add_test(opening, closing_null_is_harmless);
	tcase_add_loop_test(opening, serves_a_root_that_was_made_anew, 0, MODES);
	tcase_add_loop_test(opening, serves_what_a_linked_root_leads_to, 0, MODES);
	tcase_add_test(opening, keeps_a_relative_root_when_the_working_directory_changes);
	tcase_add_test(opening, knows_whether_a_path_leads_to_a_version);
	tcase_add_loop_test(opening, finds_files_by_any_spelling_of_their_path, 0, MODES * COUNT_OF(found));
	tcase_add_loop_test(opening, returns_the_media_type, 0, MODES);
	tcase_add_loop_test(opening, opens_files_that_a_child_process_will_not_inherit, 0, MODES);
	tcase_add_loop_test(
	    opening, redirects_to_directories_that_have_an_index_only, 0, MODES * COUNT_OF(directories));
	tcase_add_loop_test(opening, measures_a_path_after_decoding, 0, MODES);
	suite_add_tcase(suite, opening);

	tcase_add_checked_fixture(refusing, set_up, tear_down);
	tcase_add_loop_test(refusing, never_leaves_the_root, 0, MODES * COUNT_OF(traversals));
	tcase_add_loop_test(refusing, reports_bad_paths, 0, MODES * COUNT_OF(bad_paths));
	tcase_add_loop_test(refusing, reports_a_path_with_nul_as_bad, 0, MODES);
	tcase_add_loop_test(refusing, does_not_find_hidden_special_or_outside_files, 0, MODES * COUNT_OF(absent));
	tcase_add_loop_test(refusing, does_not_serve_a_device, 0, MODES);
	tcase_add_loop_test(refusing, forbids_unreadable_files, 0, MODES * COUNT_OF(locked));
	tcase_add_loop_test(refusing, is_unavailable_without_descriptors, 0, MODES);
	tcase_add_loop_test(refusing, leaks_no_descriptor, 0, MODES);
	tcase_add_loop_test(refusing, does_not_find_a_path_that_is_too_long, 0, MODES);
	tcase_add_loop_test(refusing, reads_nothing_past_the_end_of_the_path, 0, MODES);
	tcase_add_loop_test(refusing, opens_nothing_but_files_of_the_root_for_random_paths, 0, MODES);
	suite_add_tcase(suite, refusing);

	return suite;
}

int main(void)
{
	return run_suite(make_suite());
}
