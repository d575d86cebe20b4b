/* SPDX-License-Identifier: MIT */
/* See test_certificate.h. */
#include "tls/test_certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAYS 90
#define SERIAL_BYTES 16
/* Some clients refuse one that begins at this second. */
#define EARLIER_S 3600

static bool set_serial(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool is_set;

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	/* positive, and not zero (RFC 5280 §4.1.2.2) */
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof bytes, NULL);
	is_set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
	BN_free(number);
	return is_set;
}

static bool set_name(X509 *certificate)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0) ==
		   1 &&
	       X509_set_issuer_name(certificate, name) == 1;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool is_added;

	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	is_added = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return is_added;
}

/* CA:TRUE, so that clients can take it as an authority (curl --cacert). */
static bool fill(X509 *certificate, EVP_PKEY *key)
{
	return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -EARLIER_S) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), (long)DAYS * 24 * 3600) &&
	       X509_set_pubkey(certificate, key) == 1 && set_name(certificate) &&
	       add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
	       add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       add_extension(certificate, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
	       add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
	       X509_sign(certificate, key, EVP_sha256()) > 0;
}

/* A new file. *is_new: made here, also when it then fails. */
static int write_file(const char *path, mode_t mode, X509 *certificate, EVP_PKEY *key, bool *is_new)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), result = 0;
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	*is_new = fd >= 0;
	if (!file) {
		result = -errno;
		if (fd >= 0)
			close(fd);
		return result;
	}
	if ((certificate && PEM_write_X509(file, certificate) != 1) ||
	    (key && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1))
		result = -EIO;
	if (fclose(file) != 0)
		result = -errno;
	return result;
}

static int write_both(const char *directory, X509 *certificate, EVP_PKEY *key, char *error, size_t size)
{
	char certificate_path[PATH_MAX], key_path[PATH_MAX];
	const char *failed = key_path;
	bool is_key_new, is_certificate_new = false;
	int result;

	snprintf(certificate_path, sizeof certificate_path, "%s/" PIPIT_TEST_CERTIFICATE_FILE, directory);
	snprintf(key_path, sizeof key_path, "%s/" PIPIT_TEST_CERTIFICATE_KEY_FILE, directory);
	result = write_file(key_path, 0600, NULL, key, &is_key_new);
	if (result == 0) {
		failed = certificate_path;
		result = write_file(certificate_path, 0644, certificate, NULL, &is_certificate_new);
	}
	if (result == 0)
		return 0;
	snprintf(error, size, "%s: cannot be made: %s; use another directory", failed, strerror(-result));
	/* not one without the other */
	if (is_key_new)
		unlink(key_path);
	if (is_certificate_new)
		unlink(certificate_path);
	return -1;
}

int pipit_test_certificate_make(const char *directory, char *error, size_t size)
{
	EVP_PKEY *key;
	X509 *certificate;
	int result = -1;

	if (strlen(directory) > PATH_MAX - 32 || (mkdir(directory, 0777) != 0 && errno != EEXIST)) {
		snprintf(error, size, "%s: cannot be made: %s; use a directory that can be written", directory,
		    strlen(directory) > PATH_MAX - 32 ? strerror(ENAMETOOLONG) : strerror(errno));
		return -1;
	}
	key = EVP_EC_gen("P-256");
	certificate = X509_new();
	if (key && certificate && fill(certificate, key))
		result = write_both(directory, certificate, key, error, size);
	else
		snprintf(error, size, "cannot make a certificate: out of memory or randomness");
	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return result;
}
