/* SPDX-License-Identifier: MIT */
#include "tls/test_certificate.h"

#include "suite.h"
#include "tls/certificate.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_S (24 * 3600)

static char folder[] = "/tmp/pipit-test-certificate-XXXXXX";
static char place[64], certificate_path[96], key_path[96], error[256];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(place, sizeof place, "%s/made", folder);
	snprintf(certificate_path, sizeof certificate_path, "%s/" PIPIT_TEST_CERTIFICATE_FILE, place);
	snprintf(key_path, sizeof key_path, "%s/" PIPIT_TEST_CERTIFICATE_KEY_FILE, place);
}

static void remove_folder(void)
{
	unlink(certificate_path);
	unlink(key_path);
	rmdir(place);
	rmdir(folder);
	strcpy(folder + sizeof folder - 7, "XXXXXX");
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static const char *read_text(const char *path)
{
	static char text[4096];
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	return text;
}

static mode_t mode_of(const char *path)
{
	struct stat status;
	ck_assert_int_eq(stat(path, &status), 0);
	return status.st_mode & 0777;
}

START_TEST(makes_a_pair_that_the_server_takes)
{
	struct pipit_certificate certificate;
	char reason[PIPIT_CERTIFICATE_ERROR_SIZE];

	ck_assert_msg(pipit_test_certificate_make(place, error, sizeof error) == 0, "%s", error);
	ck_assert_msg(pipit_certificate_load(certificate_path, &certificate, reason), "%s", reason);
	ck_assert_msg(pipit_certificate_load_key(key_path, &certificate, reason), "%s", reason);
	ck_assert_str_eq(certificate.name, "localhost");
	ck_assert_int_eq(X509_check_host(certificate.leaf, "localhost", 0, 0, NULL), 1);
	ck_assert_int_eq(X509_check_ip_asc(certificate.leaf, "127.0.0.1", 0), 1);
	ck_assert_int_eq(X509_check_ip_asc(certificate.leaf, "::1", 0), 1);
	ck_assert_int_eq(X509_check_host(certificate.leaf, "example.com", 0, 0, NULL), 0);
	ck_assert_int_eq(X509_verify(certificate.leaf, certificate.key), 1);
	ck_assert_int_eq(EVP_PKEY_get_bits(certificate.key), 256);
	/* Clocks of clients differ. */
	ck_assert(certificate.not_before < time(NULL));
	ck_assert(certificate.not_after > time(NULL) + (time_t)89 * DAY_S);
	pipit_certificate_clear(&certificate);
}
END_TEST

START_TEST(makes_the_key_readable_by_its_owner_only)
{
	mode_t mask = umask(0);

	ck_assert_int_eq(pipit_test_certificate_make(place, error, sizeof error), 0);
	umask(mask);
	ck_assert_uint_eq(mode_of(key_path), 0600);
	ck_assert_uint_eq(mode_of(certificate_path), 0644);
}
END_TEST

START_TEST(makes_another_pair_each_time)
{
	char first[4096];

	ck_assert_int_eq(pipit_test_certificate_make(place, error, sizeof error), 0);
	strcpy(first, read_text(key_path));
	unlink(key_path), unlink(certificate_path);
	ck_assert_int_eq(pipit_test_certificate_make(place, error, sizeof error), 0);
	ck_assert_str_ne(first, read_text(key_path));
}
END_TEST

static void check_refusal(const char *kept, const char *absent)
{
	mkdir(place, 0700);
	write_file(kept, "mine");
	ck_assert_int_eq(pipit_test_certificate_make(place, error, sizeof error), -1);
	ck_assert_msg(strstr(error, kept) && strstr(error, "File exists; use another directory"), "%s", error);
	ck_assert_str_eq(read_text(kept), "mine");
	ck_assert_int_ne(access(absent, F_OK), 0);
}

START_TEST(never_replaces_a_key)
{
	check_refusal(key_path, certificate_path);
}
END_TEST

/* and leaves no key alone */
START_TEST(never_replaces_a_certificate)
{
	check_refusal(certificate_path, key_path);
}
END_TEST

/* A dangling link would otherwise create a key where the link's owner wants it. */
START_TEST(does_not_follow_a_link)
{
	char target[96];

	snprintf(target, sizeof target, "%s/target", folder);
	mkdir(place, 0700);
	ck_assert_int_eq(symlink(target, key_path), 0);
	ck_assert_int_eq(pipit_test_certificate_make(place, error, sizeof error), -1);
	ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(names_a_directory_that_cannot_be_made)
{
	char nested[96], long_path[8192];

	snprintf(nested, sizeof nested, "%s/one/two", folder);
	ck_assert_int_eq(pipit_test_certificate_make(nested, error, sizeof error), -1);
	ck_assert_msg(strstr(error, nested) && strstr(error, "use a directory that can be written"), "%s", error);
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	ck_assert_int_eq(pipit_test_certificate_make(long_path, error, sizeof error), -1);
	ck_assert_uint_lt(strlen(error), sizeof error);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("test_certificate");
	TCase *tests = tcase_create("test_certificate");

	tcase_add_checked_fixture(tests, make_folder, remove_folder);
	tcase_add_test(tests, makes_a_pair_that_the_server_takes);
	tcase_add_test(tests, makes_the_key_readable_by_its_owner_only);
	tcase_add_test(tests, makes_another_pair_each_time);
	tcase_add_test(tests, never_replaces_a_key);
	tcase_add_test(tests, never_replaces_a_certificate);
	tcase_add_test(tests, does_not_follow_a_link);
	tcase_add_test(tests, names_a_directory_that_cannot_be_made);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
