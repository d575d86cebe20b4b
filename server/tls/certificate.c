/* SPDX-License-Identifier: MIT */
/* See certificate.h. */
#include "tls/certificate.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A bundle of all public authorities has 200 KiB. A file without an end, as /dev/zero, must not hang the start. */
#define FILE_MAX_BYTES (1024 * 1024)

static void set_error(char *error, const char *what, const char *advice)
{
	snprintf(error, PIPIT_CERTIFICATE_ERROR_SIZE, "%s; use %s", what, advice);
	ERR_clear_error();
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

/* 0, or a negative errno value. */
static int copy_into(int fd, BIO *content)
{
	char bytes[16 * 1024];
	size_t total = 0;
	struct stat status;
	ssize_t length;

	if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
		return S_ISDIR(status.st_mode) ? -EISDIR : -ENOTSUP;
	while ((length = read(fd, bytes, sizeof bytes)) != 0) {
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return -errno;
		total += (size_t)length;
		if (total > FILE_MAX_BYTES)
			return -EFBIG;
		if (BIO_write(content, bytes, (int)length) != length)
			return -ENOMEM;
	}
	return 0;
}

BIO *pipit_certificate_read_file(const char *file, const char *what, char error[PIPIT_CERTIFICATE_ERROR_SIZE])
{
	BIO *content = BIO_new(BIO_s_mem());
	/* A FIFO would block a worker that reads again. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result = fd < 0    ? -errno
									 : content ? copy_into(fd, content)
										   : -ENOMEM;
	char reason[128];

	if (fd >= 0)
		close(fd);
	if (result == 0)
		return content;
	snprintf(reason, sizeof reason, "cannot be read: %s",
	    result == -ENOTSUP ? "it is no regular file" : strerror(-result));
	set_error(error, reason, what);
	BIO_free(content);
	return NULL;
}

static bool is_at_end(void)
{
	unsigned long code = ERR_peek_last_error();
	return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

STACK_OF(X509) * pipit_certificate_parse_all(BIO *pem, const char *what, char error[PIPIT_CERTIFICATE_ERROR_SIZE])
{
	STACK_OF(X509) *all = sk_X509_new_null();
	X509 *one;

	ERR_clear_error();
	while (all && (one = PEM_read_bio_X509(pem, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(all, one) <= 0)
			X509_free(one);
	}
	if (all && is_at_end() && sk_X509_num(all) > 0) {
		ERR_clear_error();
		return all;
	}
	set_error(error, is_at_end() ? "contains no certificate" : "contains a damaged certificate", what);
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

/* Clients of its authority would be refused. */
/* Leaves `reason` alone unless the list has expired. */
static void describe_expiry(const X509_CRL *list, char *reason, size_t size)
{
	const ASN1_TIME *next_update = X509_CRL_get0_nextUpdate(list);
	struct tm parts;

	if (!next_update || X509_cmp_current_time(next_update) >= 0 || ASN1_TIME_to_tm(next_update, &parts) != 1)
		return;
	strftime(reason, size, "contains a revocation list that has expired on %Y-%m-%d %H:%M:%S UTC", &parts);
}

STACK_OF(X509_CRL) *
    pipit_certificate_parse_revocations(BIO *pem, const char *what, char error[PIPIT_CERTIFICATE_ERROR_SIZE])
{
	STACK_OF(X509_CRL) *all = sk_X509_CRL_new_null();
	char reason[96] = "";
	X509_CRL *one;

	ERR_clear_error();
	while (all && !*reason && (one = PEM_read_bio_X509_CRL(pem, NULL, NULL, NULL)) != NULL) {
		describe_expiry(one, reason, sizeof reason);
		if (sk_X509_CRL_push(all, one) <= 0) {
			X509_CRL_free(one);
			strcpy(reason, "needs more memory than there is");
		}
	}
	if (all && !*reason && is_at_end() && sk_X509_CRL_num(all) > 0) {
		ERR_clear_error();
		return all;
	}
	set_error(error,
	    *reason       ? reason
	    : is_at_end() ? "contains no revocation list"
			  : "contains a damaged revocation list",
	    what);
	sk_X509_CRL_pop_free(all, X509_CRL_free);
	return NULL;
}

/* --- names and times --------------------------------------------------------------------------------------------------- */

/* False: it has a NUL, or is empty. */
static bool take_text(const ASN1_STRING *string, char *name)
{
	size_t length = (size_t)ASN1_STRING_length(string);
	const unsigned char *data = ASN1_STRING_get0_data(string);

	if (length == 0 || length >= PIPIT_CERTIFICATE_NAME_SIZE || memchr(data, '\0', length))
		return false;
	for (size_t i = 0; i < length; i++)
		name[i] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '?';
	name[length] = '\0';
	return true;
}

static bool take_dns_name(const X509 *leaf, char *name)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	bool is_found = false;

	for (int i = 0; !is_found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);
		is_found = one->type == GEN_DNS && take_text(one->d.dNSName, name);
	}
	GENERAL_NAMES_free(names);
	return is_found;
}

static bool take_common_name(const X509 *leaf, char *name)
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	return index >= 0 && take_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)), name);
}

static void name_certificate(struct pipit_certificate *certificate)
{
	if (!take_dns_name(certificate->leaf, certificate->name) &&
	    !take_common_name(certificate->leaf, certificate->name))
		strcpy(certificate->name, "unnamed");
	ERR_clear_error();
}

static bool read_time(const ASN1_TIME *asn1, time_t *time)
{
	struct tm parts;
	if (ASN1_TIME_to_tm(asn1, &parts) != 1)
		return false;
	*time = timegm(&parts);
	return true;
}

void pipit_certificate_print_time(time_t time, char *text, size_t size)
{
	struct tm parts;
	gmtime_r(&time, &parts);
	strftime(text, size, "%Y-%m-%d %H:%M:%S UTC", &parts);
}

/* --- the pair ---------------------------------------------------------------------------------------------------------- */

static const char certificate_file[] = "a PEM file with the certificate and its chain";

static bool check_time(const struct pipit_certificate *certificate, char *error)
{
	char reason[96], when[32];

	if (certificate->not_after >= time(NULL))
		return true;
	pipit_certificate_print_time(certificate->not_after, when, sizeof when);
	snprintf(reason, sizeof reason, "expired on %s", when);
	set_error(error, reason, "a certificate that is valid now");
	return false;
}

bool pipit_certificate_load(
    const char *file, struct pipit_certificate *certificate, char error[PIPIT_CERTIFICATE_ERROR_SIZE])
{
	BIO *pem = pipit_certificate_read_file(file, certificate_file, error);

	*certificate = (struct pipit_certificate){ 0 };
	if (pem)
		certificate->chain = pipit_certificate_parse_all(pem, certificate_file, error);
	BIO_free(pem);
	if (!certificate->chain)
		return false;
	certificate->leaf = sk_X509_shift(certificate->chain);
	name_certificate(certificate);
	if (!read_time(X509_get0_notBefore(certificate->leaf), &certificate->not_before) ||
	    !read_time(X509_get0_notAfter(certificate->leaf), &certificate->not_after))
		set_error(error, "contains a damaged certificate", certificate_file);
	else if (check_time(certificate, error))
		return true;
	pipit_certificate_clear(certificate);
	return false;
}

/* Without it, OpenSSL would ask on the terminal. */
static int no_passphrase(char *buffer, int size, int is_writing, void *was_asked)
{
	(void)buffer, (void)size, (void)is_writing;
	*(bool *)was_asked = true;
	return -1;
}

/* Number of the certificate in its file that has this key, from 1; 0: none. */
static int find_owner(const struct pipit_certificate *certificate)
{
	for (int i = 0; i < sk_X509_num(certificate->chain); i++) {
		if (X509_check_private_key(sk_X509_value(certificate->chain, i), certificate->key) == 1)
			return i + 2;
	}
	return 0;
}

/* A chain that begins with the authority is a common mistake. */
static void set_mismatch(const struct pipit_certificate *certificate, char *error)
{
	int owner = find_owner(certificate);
	char reason[96];

	if (owner == 0) {
		set_error(error, "is not the key of the certificate", "the key that the certificate was made for");
		return;
	}
	snprintf(reason, sizeof reason, "is the key of certificate %d of its file, not of the first", owner);
	set_error(error, reason, "a file of certificates that begins with the server's own, and then has its issuers");
}

/* A group may read it, as Debian's ssl-cert. */
static void warn_of_readers(const char *file)
{
	struct stat status;
	if (stat(file, &status) == 0 && status.st_mode & (S_IWGRP | S_IRWXO))
		pipit_log(PIPIT_LOG_WARN,
		    "%s: others than its owner and its group may read or change the key (mode %04o); use: chmod g-w,o=",
		    file, (unsigned)(status.st_mode & 07777));
}

bool pipit_certificate_load_key(
    const char *file, struct pipit_certificate *certificate, char error[PIPIT_CERTIFICATE_ERROR_SIZE])
{
	BIO *pem = pipit_certificate_read_file(file, "a PEM file with the key of the certificate", error);
	bool was_asked = false;

	if (!pem)
		return false;
	certificate->key = PEM_read_bio_PrivateKey(pem, NULL, no_passphrase, &was_asked);
	BIO_free(pem);
	if (!certificate->key && was_asked)
		set_error(error, "is encrypted", "a key without a passphrase, in a file that only the server reads");
	else if (!certificate->key)
		set_error(error, "contains no private key", "a PEM file with the key of the certificate");
	else if (X509_check_private_key(certificate->leaf, certificate->key) != 1)
		set_mismatch(certificate, error);
	else {
		warn_of_readers(file);
		return true;
	}
	return false;
}

void pipit_certificate_clear(struct pipit_certificate *certificate)
{
	X509_free(certificate->leaf);
	sk_X509_pop_free(certificate->chain, X509_free);
	EVP_PKEY_free(certificate->key);
	*certificate = (struct pipit_certificate){ 0 };
}
