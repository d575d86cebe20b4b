/* SPDX-License-Identifier: MIT */
/* The files are made here, by OpenSSL: also a certificate that has expired, and one that is not valid yet. */
#include "tls/certificate.h"

#include "suite.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY_S (24 * 3600L)

static char folder[] = "/tmp/pipit-certificate-XXXXXX";
static char file[64], error[PIPIT_CERTIFICATE_ERROR_SIZE];
static struct pipit_certificate loaded;
static EVP_PKEY *key;

struct wanted {
	const char *names;       /* subjectAltName; NULL: none */
	const char *common_name; /* NULL: none */
	long from_s, until_s;    /* of now */
};

static void begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/file", folder);
	key = EVP_EC_gen("P-256");
	ck_assert_ptr_nonnull(key);
}

static void end(void)
{
	pipit_certificate_clear(&loaded);
	EVP_PKEY_free(key);
	unlink(file);
	rmdir(folder);
	strcpy(folder + sizeof folder - 7, "XXXXXX");
}

static X509 *make(const struct wanted *wanted)
{
	X509 *certificate = X509_new();
	X509_EXTENSION *extension;

	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), wanted->from_s);
	X509_gmtime_adj(X509_getm_notAfter(certificate), wanted->until_s);
	X509_set_pubkey(certificate, key);
	if (wanted->common_name)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
		    (const unsigned char *)wanted->common_name, -1, -1, 0);
	if (wanted->names) {
		extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, wanted->names);
		ck_assert_ptr_nonnull(extension);
		X509_add_ext(certificate, extension, -1);
		X509_EXTENSION_free(extension);
	}
	ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
	return certificate;
}

static void append(const struct wanted *wanted)
{
	X509 *certificate = make(wanted);
	FILE *to = fopen(file, "a");

	ck_assert_ptr_nonnull(to);
	ck_assert_int_eq(PEM_write_X509(to, certificate), 1);
	ck_assert_int_eq(fclose(to), 0);
	X509_free(certificate);
}

static void append_text(const char *text)
{
	FILE *to = fopen(file, "a");
	ck_assert_ptr_nonnull(to);
	fputs(text, to);
	ck_assert_int_eq(fclose(to), 0);
}

static void write_key(const EVP_PKEY *which, const char *passphrase)
{
	FILE *to = fopen(file, "w");
	ck_assert_ptr_nonnull(to);
	ck_assert_int_eq(PEM_write_PrivateKey(to, which, passphrase ? EVP_aes_128_cbc() : NULL,
			     (const unsigned char *)passphrase, passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
	    1);
	ck_assert_int_eq(fclose(to), 0);
}

static const struct wanted valid = { "DNS:one.example,DNS:two.example", "common.example", -60, DAY_S };

static void load_valid(void)
{
	append(&valid);
	ck_assert_msg(pipit_certificate_load(file, &loaded, error), "%s", error);
	unlink(file);
}

/* Nothing is left to be cleared. */
static void check_refused(const char *expected)
{
	ck_assert(!pipit_certificate_load(file, &loaded, error));
	ck_assert_msg(strstr(error, expected), "%s", error);
	ck_assert_ptr_null(loaded.leaf);
	ck_assert_ptr_null(loaded.chain);
}

/* --- names and times --------------------------------------------------------------------------------------------------- */

START_TEST(takes_the_first_dns_name)
{
	load_valid();
	ck_assert_str_eq(loaded.name, "one.example");
	ck_assert_int_eq(sk_X509_num(loaded.chain), 0);
	ck_assert_ptr_null(loaded.key);
	ck_assert(loaded.not_before <= time(NULL) && loaded.not_after > time(NULL));
}
END_TEST

START_TEST(takes_the_common_name_without_a_dns_name)
{
	append(&(struct wanted){ "IP:127.0.0.1", "common.example", -60, DAY_S });
	ck_assert(pipit_certificate_load(file, &loaded, error));
	ck_assert_str_eq(loaded.name, "common.example");
}
END_TEST

START_TEST(calls_a_certificate_without_names_unnamed)
{
	append(&(struct wanted){ NULL, NULL, -60, DAY_S });
	ck_assert(pipit_certificate_load(file, &loaded, error));
	ck_assert_str_eq(loaded.name, "unnamed");
}
END_TEST

/* It stands in log lines and at /metrics. */
START_TEST(replaces_control_characters_of_a_name)
{
	append(&(struct wanted){ NULL, "a\nb\x1b", -60, DAY_S });
	ck_assert(pipit_certificate_load(file, &loaded, error));
	ck_assert_str_eq(loaded.name, "a?b?");
}
END_TEST

START_TEST(keeps_the_order_of_the_chain)
{
	append(&valid);
	append(&(struct wanted){ NULL, "first", -60, DAY_S });
	append(&(struct wanted){ NULL, "second", -60, DAY_S });
	ck_assert(pipit_certificate_load(file, &loaded, error));
	ck_assert_str_eq(loaded.name, "one.example");
	ck_assert_int_eq(sk_X509_num(loaded.chain), 2);
	for (int i = 0; i < 2; i++) {
		char name[16];
		X509_NAME_get_text_by_NID(
		    X509_get_subject_name(sk_X509_value(loaded.chain, i)), NID_commonName, name, sizeof name);
		ck_assert_str_eq(name, i == 0 ? "first" : "second");
	}
}
END_TEST

START_TEST(refuses_an_expired_certificate)
{
	append(&(struct wanted){ "DNS:one.example", NULL, -3 * DAY_S, -DAY_S });
	check_refused("expired on ");
	ck_assert_ptr_nonnull(strstr(error, " UTC; use a certificate that is valid now"));
}
END_TEST

START_TEST(takes_a_certificate_that_is_not_valid_yet)
{
	append(&(struct wanted){ "DNS:one.example", NULL, DAY_S, 2 * DAY_S });
	ck_assert(pipit_certificate_load(file, &loaded, error));
	ck_assert(loaded.not_before > time(NULL));
}
END_TEST

START_TEST(prints_times_in_utc)
{
	char text[32];
	pipit_certificate_print_time(1000000000, text, sizeof text);
	ck_assert_str_eq(text, "2001-09-09 01:46:40 UTC");
}
END_TEST

/* --- files ----------------------------------------------------------------------------------------------------------- */

START_TEST(names_the_reason_of_an_unreadable_file)
{
	check_refused("cannot be read: No such file or directory; use a PEM file with the certificate and its chain");
	ck_assert(!pipit_certificate_load(folder, &loaded, error));
	ck_assert_msg(strstr(error, "cannot be read: Is a directory"), "%s", error);
	ck_assert(!pipit_certificate_load("/dev/zero", &loaded, error));
	ck_assert_msg(strstr(error, "cannot be read: it is no regular file"), "%s", error);
}
END_TEST

START_TEST(refuses_text_and_an_empty_file)
{
	append_text("");
	check_refused("contains no certificate; use a PEM file");
	append_text("certificate\n");
	check_refused("contains no certificate; use a PEM file");
}
END_TEST

START_TEST(refuses_a_key_in_the_place_of_a_certificate)
{
	write_key(key, NULL);
	check_refused("contains no certificate; use a PEM file");
}
END_TEST

START_TEST(refuses_a_damaged_certificate_in_any_place)
{
	append_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	check_refused("contains a damaged certificate; use a PEM file");
	unlink(file);
	append(&valid);
	append_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	check_refused("contains a damaged certificate; use a PEM file");
}
END_TEST

/* --- keys ------------------------------------------------------------------------------------------------------------ */

START_TEST(takes_the_key_of_the_certificate)
{
	load_valid();
	write_key(key, NULL);
	ck_assert_msg(pipit_certificate_load_key(file, &loaded, error), "%s", error);
	ck_assert_int_eq(EVP_PKEY_eq(loaded.key, key), 1);
}
END_TEST

static void check_key_refused(const char *expected)
{
	ck_assert(!pipit_certificate_load_key(file, &loaded, error));
	ck_assert_msg(strstr(error, expected), "%s", error);
}

START_TEST(refuses_the_key_of_another_certificate)
{
	EVP_PKEY *other = EVP_EC_gen("P-256");

	load_valid();
	write_key(other, NULL);
	EVP_PKEY_free(other);
	check_key_refused("is not the key of the certificate; use the key that the certificate was made for");
}
END_TEST

/* An authority before the server's certificate. */
START_TEST(finds_a_chain_in_the_wrong_order)
{
	EVP_PKEY *own = key;

	key = EVP_EC_gen("P-256");
	append(&(struct wanted){ NULL, "authority", -60, DAY_S });
	EVP_PKEY_free(key);
	key = own;
	load_valid();
	ck_assert_int_eq(sk_X509_num(loaded.chain), 1);
	write_key(key, NULL);
	check_key_refused(
	    "is the key of certificate 2 of its file, not of the first; use a file of certificates that begins "
	    "with the server's own, and then has its issuers");
}
END_TEST

START_TEST(refuses_a_key_of_another_kind)
{
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	load_valid();
	write_key(other, NULL);
	EVP_PKEY_free(other);
	check_key_refused("is not the key of the certificate");
}
END_TEST

/* and asks no terminal for its passphrase */
START_TEST(refuses_an_encrypted_key)
{
	load_valid();
	write_key(key, "secret");
	check_key_refused("is encrypted; use a key without a passphrase");
}
END_TEST

START_TEST(refuses_a_file_without_a_key)
{
	load_valid();
	check_key_refused("cannot be read: No such file or directory; use a PEM file with the key of the certificate");
	append(&valid);
	check_key_refused("contains no private key; use a PEM file with the key of the certificate");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("certificate");
	TCase *tests = tcase_create("certificate");

	tcase_add_checked_fixture(tests, begin, end);
	tcase_add_test(tests, takes_the_first_dns_name);
	tcase_add_test(tests, takes_the_common_name_without_a_dns_name);
	tcase_add_test(tests, calls_a_certificate_without_names_unnamed);
	tcase_add_test(tests, replaces_control_characters_of_a_name);
	tcase_add_test(tests, keeps_the_order_of_the_chain);
	tcase_add_test(tests, refuses_an_expired_certificate);
	tcase_add_test(tests, takes_a_certificate_that_is_not_valid_yet);
	tcase_add_test(tests, prints_times_in_utc);
	tcase_add_test(tests, names_the_reason_of_an_unreadable_file);
	tcase_add_test(tests, refuses_text_and_an_empty_file);
	tcase_add_test(tests, refuses_a_key_in_the_place_of_a_certificate);
	tcase_add_test(tests, refuses_a_damaged_certificate_in_any_place);
	tcase_add_test(tests, takes_the_key_of_the_certificate);
	tcase_add_test(tests, refuses_the_key_of_another_certificate);
	tcase_add_test(tests, finds_a_chain_in_the_wrong_order);
	tcase_add_test(tests, refuses_a_key_of_another_kind);
	tcase_add_test(tests, refuses_an_encrypted_key);
	tcase_add_test(tests, refuses_a_file_without_a_key);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
