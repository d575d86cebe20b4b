/* SPDX-License-Identifier: MIT */
#include "auth/user_file.h"

#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BCRYPT "$2y$05$CcKRRFGjbg/zrflO4UAH5.4MYrf4VyDMBwFpZ9WNuYttx2Vh1pZHi"
#define SHA_512 \
	"$6$tibzg7kXEZmb3jxu$bVMZf37hcu3TTZLPgmp9Qys/EQOoI8RGLutOn9zaZrf2oBjBT4iGaSfhucgAebJqgx3SVaYa1bPbGaDPuXgf1/"
/* of "abc" (FIPS 180-4) */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static struct pipit_digest_key key;
static char error[256];

static void set_up(void)
{
	ck_assert_int_eq(pipit_digest_new_key(&key), 0);
}

static int parse(enum pipit_scheme scheme, const char *text, size_t length, struct pipit_user_file **file)
{
	char *copy = malloc(length ? length : 1);
	int result;
	memcpy(copy, text, length);
	*file = NULL;
	strcpy(error, "");
	result = pipit_user_file_parse(scheme, (struct pipit_slice){ copy, length }, &key, file, error, sizeof error);
	ck_assert_int_eq(result != 0, *file == NULL);
	free(copy);
	return result;
}

START_TEST(finds_users)
{
	static const char *const rows[] = {
		"alice:" BCRYPT "\nbob:" SHA_512 "\n",
		"alice:" BCRYPT "\r\nbob:" SHA_512,
		"# a comment: with a colon\n\nbob:" SHA_512 ":also a comment\n#\nalice:" BCRYPT "\n\n",
	};
	struct pipit_user_file *file;
	bool is_known;

	ck_assert_int_eq(parse(PIPIT_SCHEME_BASIC, rows[_i], strlen(rows[_i]), &file), 0);
	ck_assert_uint_eq(pipit_user_file_count(file), 2);
	ck_assert_str_eq(pipit_user_file_hash(file, &key, "alice", &is_known), BCRYPT);
	ck_assert(is_known);
	ck_assert_str_eq(pipit_user_file_hash(file, &key, "bob", &is_known), SHA_512);
	ck_assert(is_known);
	pipit_user_file_free(file);
}
END_TEST

/* So that an unknown name takes as long as a known one. */
START_TEST(an_unknown_name_has_the_hash_of_some_user_always_the_same)
{
	static const char text[] = "alice:" BCRYPT "\nbob:" SHA_512 "\n";
	struct pipit_user_file *file;
	size_t with_bcrypt = 0;

	ck_assert_int_eq(parse(PIPIT_SCHEME_BASIC, text, strlen(text), &file), 0);
	for (int i = 0; i < 1000; i++) {
		char name[16];
		bool is_known = true;
		const char *hash;
		snprintf(name, sizeof name, "user%d", i);
		hash = pipit_user_file_hash(file, &key, name, &is_known);
		ck_assert(!is_known);
		ck_assert(strcmp(hash, BCRYPT) == 0 || strcmp(hash, SHA_512) == 0);
		ck_assert_ptr_eq(pipit_user_file_hash(file, &key, name, &is_known), hash);
		with_bcrypt += strcmp(hash, BCRYPT) == 0;
	}
	/* not all of one kind */
	ck_assert_uint_gt(with_bcrypt, 300);
	ck_assert_uint_lt(with_bcrypt, 700);
	pipit_user_file_free(file);
}
END_TEST

START_TEST(an_empty_file_has_no_user)
{
	static const char *const rows[] = { "", "\n", "# nothing\n" };
	struct pipit_user_file *file;
	bool is_known;
	ck_assert_int_eq(parse(PIPIT_SCHEME_BASIC, rows[_i], strlen(rows[_i]), &file), 0);
	ck_assert_uint_eq(pipit_user_file_count(file), 0);
	ck_assert_ptr_null(pipit_user_file_hash(file, &key, "alice", &is_known));
	pipit_user_file_free(file);
}
END_TEST

START_TEST(refuses_wrong_lines_and_shows_no_secret)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "alice", "line 1: no colon" },
		{ "# ok\nopensesame\n", "line 2: no colon" },
		{ ":" BCRYPT, "line 1: the name is empty" },
		{ "a\tb:" BCRYPT, "line 1: the name has a control character" },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789:" BCRYPT,
		    "line 1: the name is too long" },
		{ "alice:", "plain text" },
		{ "alice:opensesame", "htpasswd -nB" },
		{ "alice:opensesame", "mkpasswd -m yescrypt" },
		{ "alice:rqXexS6ZhobKA", "DES" },
		{ "alice:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00", "MD5 is too weak" },
		{ "alice:$1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00", "MD5 is too weak" },
		{ "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "SHA-1 is too weak" },
		{ "alice:" BCRYPT "\nalice:" SHA_512 "\n", "a name occurs twice" },
		{ "alice:$2y$05$CcKRRFGjbg/zrflO4UAH5", "damaged" },
		{ "alice:$2y$17$CcKRRFGjbg/zrflO4UAH5.4MYrf4VyDMBwFpZ9WNuYttx2Vh1pZHi", "takes too long" },
		{ "alice:$2y$03$CcKRRFGjbg/zrflO4UAH5.4MYrf4VyDMBwFpZ9WNuYttx2Vh1pZHi", "damaged" },
		{ "alice:$6$rounds=999999999$tibzg7kXEZmb3jxu$"
		  "bVMZf37hcu3TTZLPgmp9Qys/EQOoI8RGLutOn9zaZrf2oBjBT4iGaSfhucgAebJqgx3SVaYa1bPbGaDPuXgf1/",
		    "takes too long" },
		{ "alice:$y$jFT$7ZbL1Vbpt4BC0Za1paPgS/$gtbiDO8W..5/aoRyXezFQfbDOviYSANx4o2v5EKvAc2", "takes too long" },
		{ "alice:$y$", "damaged" },
		{ "alice:$y$j", "damaged" },
		{ "alice:$y$j9", "damaged" },
		{ "alice:$6$", "damaged" },
		{ "alice:$5$rounds=", "damaged" },
	};
	struct pipit_user_file *file;

	ck_assert_int_eq(parse(PIPIT_SCHEME_BASIC, rows[_i].text, strlen(rows[_i].text), &file), -EINVAL);
	ck_assert_msg(strstr(error, rows[_i].message) != NULL, "%s", error);
	ck_assert_ptr_null(strchr(error, '\n'));
	ck_assert_ptr_null(strstr(error, "opensesame"));
	ck_assert_ptr_null(strstr(error, "rqXexS6ZhobKA"));
}
END_TEST

/* Cut anywhere: an error, or the users whose lines are whole. */
START_TEST(cuts_at_every_place)
{
	static const char text[] = "alice:" BCRYPT "\nbob:" SHA_512 "\n";
	size_t first = strlen("alice:" BCRYPT), length = strlen(text);

	for (size_t cut = 0; cut <= length; cut++) {
		struct pipit_user_file *file;
		int result = parse(PIPIT_SCHEME_BASIC, text, cut, &file);
		bool is_whole = cut == 0 || cut == first || cut == first + 1 || cut >= length - 1;
		ck_assert_msg((result == 0) == is_whole, "%zu: %s", cut, error);
		if (result == 0)
			ck_assert_uint_eq(pipit_user_file_count(file), cut == 0 ? 0 : cut > first + 1 ? 2 : 1);
		pipit_user_file_free(file);
	}
}
END_TEST

START_TEST(refuses_nul_bytes)
{
	static const char text[] = "alice:" BCRYPT "\0"
				   "x\n";
	struct pipit_user_file *file;
	ck_assert_int_eq(parse(PIPIT_SCHEME_BASIC, text, sizeof text - 1, &file), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "NUL"));
}
END_TEST

static const char *owner(const struct pipit_user_file *file, const char *token)
{
	return pipit_user_file_owner(file, &key, pipit_slice_of(token));
}

START_TEST(finds_the_owner_of_a_token)
{
	/* "abc", and "" (which no header can carry) in capital letters */
	static const char text[] = "ci:" ABC "\nci:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\n";
	struct pipit_user_file *file;

	ck_assert_int_eq(parse(PIPIT_SCHEME_BEARER, text, strlen(text), &file), 0);
	ck_assert_uint_eq(pipit_user_file_count(file), 2);
	ck_assert_str_eq(owner(file, "abc"), "ci");
	ck_assert_str_eq(owner(file, ""), "ci");
	ck_assert_ptr_null(owner(file, "abcd"));
	ck_assert_ptr_null(owner(file, ABC));
	pipit_user_file_free(file);
}
END_TEST

START_TEST(refuses_tokens_that_are_not_hashed)
{
	static const char *const rows[] = { "ci:abc", "ci:", "ci:" ABC "0", "ci: " ABC, "ci:g" ABC, "ci:" BCRYPT,
		"ci:" ABC "\nx:" ABC };
	struct pipit_user_file *file;
	ck_assert_int_eq(parse(PIPIT_SCHEME_BEARER, rows[_i], strlen(rows[_i]), &file), -EINVAL);
	ck_assert_msg(strstr(error, "sha256sum") || strstr(error, "a token occurs twice"), "%s", error);
}
END_TEST

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(reads_regular_files_only)
{
	char folder[] = "/tmp/pipit-users-XXXXXX", name[64], fifo[64];
	struct pipit_user_file *file = NULL;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/users", folder);
	snprintf(fifo, sizeof fifo, "%s/fifo", folder);
	write_file(name, "alice:" BCRYPT "\n");
	chmod(name, 0600);
	ck_assert_int_eq(pipit_user_file_read(PIPIT_SCHEME_BASIC, name, &key, &file, error, sizeof error), 0);
	pipit_user_file_free(file);
	write_file(name, "alice:open\n");
	ck_assert_int_eq(pipit_user_file_read(PIPIT_SCHEME_BASIC, name, &key, &file, error, sizeof error), -EINVAL);
	ck_assert_msg(strncmp(error, name, strlen(name)) == 0, "%s", error);
	ck_assert_int_eq(pipit_user_file_read(PIPIT_SCHEME_BASIC, folder, &key, &file, error, sizeof error), -EINVAL);
	/* Without a writer, a FIFO would block. */
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(pipit_user_file_read(PIPIT_SCHEME_BASIC, fifo, &key, &file, error, sizeof error), -EINVAL);
	ck_assert_int_eq(truncate(name, PIPIT_USER_FILE_MAX_BYTES + 1), 0);
	ck_assert_int_eq(pipit_user_file_read(PIPIT_SCHEME_BASIC, name, &key, &file, error, sizeof error), -EFBIG);
	unlink(name);
	ck_assert_int_eq(pipit_user_file_read(PIPIT_SCHEME_BASIC, name, &key, &file, error, sizeof error), -ENOENT);
	unlink(fifo);
	rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("user file");
	TCase *tests = tcase_create("users");
	tcase_add_unchecked_fixture(tests, set_up, NULL);
	tcase_add_loop_test(tests, finds_users, 0, 3);
	tcase_add_test(tests, an_unknown_name_has_the_hash_of_some_user_always_the_same);
	tcase_add_loop_test(tests, an_empty_file_has_no_user, 0, 3);
	tcase_add_loop_test(tests, refuses_wrong_lines_and_shows_no_secret, 0, 23);
	tcase_add_test(tests, cuts_at_every_place);
	tcase_add_test(tests, refuses_nul_bytes);
	tcase_add_test(tests, finds_the_owner_of_a_token);
	tcase_add_loop_test(tests, refuses_tokens_that_are_not_hashed, 0, 7);
	tcase_add_test(tests, reads_regular_files_only);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
