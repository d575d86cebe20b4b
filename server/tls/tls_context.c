/* SPDX-License-Identifier: MIT */
/* See tls_context.h. */
#include "tls/tls_context.h"

#include "base/log.h"
#include "config/config.h"
#include "tls/certificate.h"
#include "tls/ticket_keys.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(PIPIT_TLS_NAME_SIZE == PIPIT_CERTIFICATE_NAME_SIZE, "a name of certificate.h fits");

/* Those of TLS 1.3 are OpenSSL's defaults. In the order of https://ssl-config.mozilla.org (intermediate, 5.7); the client chooses. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
			      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
			      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
			      "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";
static const char groups[] = "X25519:P-256:P-384";
/* Of DHE ciphers (RFC 7919). */
static const char dh_group[] = "ffdhe2048";

struct staple {
	unsigned char *der; /* NULL: none */
	size_t length;
	time_t until; /* its nextUpdate; 0: none */
};

struct entry {
	struct pipit_certificate certificate;
	SSL_CTX *ssl; /* of all entries with the same names, held */
	struct staple staple;
};

/* What a reload replaces. Constant but for the holds. */
struct pipit_tls_certificates {
	atomic_size_t holds;
	const struct pipit_config *config;
	struct pipit_ticket_keys
	    *ticket_keys; /* of the context: only handshakes use them, which end with the workers */
	unsigned char session_context[SSL_MAX_SID_CTX_LENGTH];
	STACK_OF(X509) * authorities;     /* of clients; NULL: none */
	STACK_OF(X509_CRL) * revocations; /* of their certificates; NULL: none */
	EVP_PKEY *dh;
	size_t count;
	struct entry entries[];
};

struct pipit_tls_context {
	const struct pipit_config *config;
	struct pipit_ticket_keys *ticket_keys;
	pthread_mutex_t lock;
	struct pipit_tls_certificates *current;
	bool has_kernel;
};

/* --- what OpenSSL asks during a handshake ------------------------------------------------------------------------------ */

/* RFC 7301 §3.2: without a protocol in common the handshake fails. */
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
    const unsigned char *offered, unsigned length, void *context)
{
	static const unsigned char http[] = "\x08http/1.1";
	unsigned char *found;
	(void)ssl, (void)context;

	if (SSL_select_next_proto(&found, chosen_length, http, sizeof http - 1, offered, length) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = found;
	return SSL_TLSEXT_ERR_OK;
}

/* A name that no certificate has gets the default one: the client decides. */
static int choose_certificate(SSL *ssl, int *alert, void *context)
{
	const struct pipit_tls_certificates *all = context;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	(void)alert;

	for (size_t i = 0; name && i < all->count; i++) {
		const struct entry *entry = &all->entries[i];
		if (X509_check_host(entry->certificate.leaf, name, 0, 0, NULL) == 1) {
			SSL_set_SSL_CTX(ssl, entry->ssl);
			break;
		}
	}
	return SSL_TLSEXT_ERR_OK;
}

static int set_up_ticket(
    SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_encrypting)
{
	const struct pipit_tls_certificates *all = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct timespec now;
	int result;

	clock_gettime(CLOCK_MONOTONIC, &now);
	result = pipit_ticket_keys_set_up(all->ticket_keys, now.tv_sec, name, iv, cipher, mac, is_encrypting);
	/* Clients use a ticket of TLS 1.3 once (RFC 8446 §C.4): each resumed session needs a new one. */
	return result == 1 && !is_encrypting && SSL_version(ssl) >= TLS1_3_VERSION ? 2 : result;
}

/* A ticket that is renewed by each resumption must not outlive the client's certificate. */
static SSL_TICKET_RETURN take_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_length,
    SSL_TICKET_STATUS status, void *context)
{
	const X509 *client = session ? SSL_SESSION_get0_peer(session) : NULL;
	bool is_good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
	(void)ssl, (void)name, (void)name_length, (void)context;

	if (!is_good || (client && X509_cmp_current_time(X509_get0_notAfter(client)) <= 0))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* An outdated response would make clients refuse the certificate. */
static int staple(SSL *ssl, void *context)
{
	const struct pipit_tls_certificates *all = context;
	const X509 *leaf = SSL_get_certificate(ssl);

	for (size_t i = 0; i < all->count; i++) {
		const struct staple *found = &all->entries[i].staple;
		unsigned char *copy;
		if (all->entries[i].certificate.leaf != leaf || !found->der ||
		    (found->until && found->until < time(NULL)))
			continue;
		copy = OPENSSL_memdup(found->der, found->length);
		if (!copy)
			break;
		SSL_set_tlsext_status_ocsp_resp(ssl, copy, (int)found->length);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* Handlers see the result. */
static int accept_any_client(int is_valid, X509_STORE_CTX *store)
{
	(void)is_valid, (void)store;
	return 1;
}

/* --- one SSL_CTX ------------------------------------------------------------------------------------------------------- */

static bool set_up_clients(SSL_CTX *ssl, const struct pipit_tls_certificates *all)
{
	bool is_optional = strcmp(all->config->tls_client_auth, "optional") == 0;
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);

	if (!all->authorities)
		return true;
	for (int i = 0; i < sk_X509_num(all->authorities); i++) {
		X509 *authority = sk_X509_value(all->authorities, i);
		if (X509_STORE_add_cert(store, authority) != 1 || SSL_CTX_add_client_CA(ssl, authority) != 1)
			return false;
	}
	for (int i = 0; all->revocations && i < sk_X509_CRL_num(all->revocations); i++) {
		if (X509_STORE_add_crl(store, sk_X509_CRL_value(all->revocations, i)) != 1)
			return false;
	}
	/* As nginx: an authority without a list would let its revoked certificates pass. */
	if (all->revocations)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	if (is_optional)
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, accept_any_client);
	else
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return true;
}

static bool set_up_protocol(SSL_CTX *ssl, const struct pipit_config *config)
{
	int oldest = strcmp(config->tls_min_version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;

	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* Buffers of idle connections are freed; a record is taken as soon as it is encrypted. */
	SSL_CTX_set_mode(
	    ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ssl, PIPIT_TICKET_KEYS_PERIOD_S);
	SSL_CTX_set_max_early_data(ssl, 0);
	/* A client that opens several connections gets one on each. */
	SSL_CTX_set_num_tickets(ssl, 1);
	return SSL_CTX_set_min_proto_version(ssl, oldest) == 1 && SSL_CTX_set_cipher_list(ssl, ciphers) == 1 &&
	       SSL_CTX_set1_groups_list(ssl, groups) == 1;
}

static void set_up_callbacks(SSL_CTX *ssl, struct pipit_tls_certificates *all)
{
	SSL_CTX_set_app_data(ssl, all);
	SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
	if (all->count > 1) {
		SSL_CTX_set_tlsext_servername_callback(ssl, choose_certificate);
		SSL_CTX_set_tlsext_servername_arg(ssl, all);
	}
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, set_up_ticket);
	if (all->authorities)
		SSL_CTX_set_session_ticket_cb(ssl, NULL, take_ticket, NULL);
	SSL_CTX_set_tlsext_status_cb(ssl, staple);
	SSL_CTX_set_tlsext_status_arg(ssl, all);
}

static SSL_CTX *new_ssl(struct pipit_tls_certificates *all)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

	if (ssl && set_up_protocol(ssl, all->config) && set_up_clients(ssl, all) &&
	    SSL_CTX_set_session_id_context(ssl, all->session_context, sizeof all->session_context) == 1 &&
	    EVP_PKEY_up_ref(all->dh) == 1) {
		SSL_CTX_set0_tmp_dh_pkey(ssl, all->dh);
		set_up_callbacks(ssl, all);
		return ssl;
	}
	SSL_CTX_free(ssl);
	return NULL;
}

/* --- certificates of the configuration ---------------------------------------------------------------------------------- */

static EVP_PKEY *new_dh(void)
{
	char name[sizeof dh_group];
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, strcpy(name, dh_group), 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	EVP_PKEY *dh = NULL;

	if (context && EVP_PKEY_fromdata_init(context) == 1)
		EVP_PKEY_fromdata(context, &dh, EVP_PKEY_KEY_PARAMETERS, parameters);
	EVP_PKEY_CTX_free(context);
	return dh;
}

static bool has_same_names(const X509 *left, const X509 *right)
{
	int left_at = X509_get_ext_by_NID(left, NID_subject_alt_name, -1);
	int right_at = X509_get_ext_by_NID(right, NID_subject_alt_name, -1);

	return left_at >= 0 && right_at >= 0 &&
	       ASN1_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(left, left_at)),
		   X509_EXTENSION_get_data(X509_get_ext(right, right_at))) == 0;
}

/* A SSL_CTX holds one certificate for each type of key. NULL: there is none with these names and without this type. */
static SSL_CTX *find_shared(const struct pipit_tls_certificates *all, size_t index)
{
	const struct pipit_certificate *wanted = &all->entries[index].certificate;
	SSL_CTX *found = NULL;

	for (size_t i = 0; i < index; i++) {
		const struct pipit_certificate *other = &all->entries[i].certificate;
		/* one that is wrong, whose message has been written */
		if (!all->entries[i].ssl || !has_same_names(wanted->leaf, other->leaf))
			continue;
		if (EVP_PKEY_get_base_id(wanted->key) == EVP_PKEY_get_base_id(other->key))
			return NULL;
		found = all->entries[i].ssl;
	}
	return found;
}

static bool use_certificate(struct pipit_tls_certificates *all, size_t index)
{
	struct entry *entry = &all->entries[index];
	const struct pipit_certificate *certificate = &entry->certificate;
	SSL_CTX *shared = find_shared(all, index);
	/* Each SSL would copy an empty chain. */
	STACK_OF(X509) *chain = sk_X509_num(certificate->chain) > 0 ? certificate->chain : NULL;

	if (shared)
		SSL_CTX_up_ref(shared);
	entry->ssl = shared ? shared : new_ssl(all);
	return entry->ssl && SSL_CTX_use_cert_and_key(entry->ssl, certificate->leaf, certificate->key, chain, 1) == 1;
}

static void warn_of_time(const char *file, const struct pipit_certificate *certificate)
{
	char when[32];

	if (certificate->not_before <= time(NULL))
		return;
	pipit_certificate_print_time(certificate->not_before, when, sizeof when);
	pipit_log(PIPIT_LOG_WARN, "%s: the certificate is not valid before %s; check the clock", file, when);
}

static bool load_pair(struct pipit_tls_certificates *all, size_t index)
{
	const struct pipit_config *config = all->config;
	struct pipit_certificate *certificate = &all->entries[index].certificate;
	char error[PIPIT_CERTIFICATE_ERROR_SIZE];

	if (!pipit_certificate_load(config->tls_certificate[index], certificate, error)) {
		pipit_config_log_error(config, "tls-certificate = \"%s\": %s", config->tls_certificate[index], error);
		return false;
	}
	if (!pipit_certificate_load_key(config->tls_key[index], certificate, error)) {
		pipit_config_log_error(config, "tls-key = \"%s\": %s", config->tls_key[index], error);
		return false;
	}
	if (!use_certificate(all, index)) {
		const char *reason = ERR_reason_error_string(ERR_peek_error());
		pipit_config_log_error(config,
		    "tls-certificate = \"%s\": cannot be used: %s; use a key of 2048 bits (RSA) or 256 bits (ECDSA) or "
		    "more",
		    config->tls_certificate[index], reason ? reason : "out of memory");
		ERR_clear_error();
		return false;
	}
	warn_of_time(config->tls_certificate[index], certificate);
	return true;
}

static bool load_authorities(struct pipit_tls_certificates *all)
{
	static const char what[] = "a PEM file of authorities";
	const char *file = all->config->tls_client_ca;
	char error[PIPIT_CERTIFICATE_ERROR_SIZE];
	BIO *pem;

	if (!file)
		return true;
	pem = pipit_certificate_read_file(file, what, error);
	if (pem)
		all->authorities = pipit_certificate_parse_all(pem, what, error);
	BIO_free(pem);
	if (!all->authorities)
		pipit_config_log_error(all->config, "tls-client-ca = \"%s\": %s", file, error);
	return all->authorities != NULL;
}

static bool load_revocations(struct pipit_tls_certificates *all)
{
	static const char what[] = "a PEM file with the revocation lists of all authorities, valid now";
	const char *file = all->config->tls_client_crl;
	char error[PIPIT_CERTIFICATE_ERROR_SIZE];
	BIO *pem;

	if (!file)
		return true;
	pem = pipit_certificate_read_file(file, what, error);
	if (pem)
		all->revocations = pipit_certificate_parse_revocations(pem, what, error);
	BIO_free(pem);
	if (!all->revocations)
		pipit_config_log_error(all->config, "tls-client-crl = \"%s\": %s", file, error);
	return all->revocations != NULL;
}

/* A session is resumed only under the same authorities, revocation lists and `tls_client_auth`. */
static bool set_session_context(struct pipit_tls_certificates *all)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool is_set = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		      EVP_DigestUpdate(digest, all->config->tls_client_auth, strlen(all->config->tls_client_auth)) == 1;

	for (int i = 0; is_set && all->authorities && i < sk_X509_num(all->authorities); i++) {
		unsigned char fingerprint[EVP_MAX_MD_SIZE];
		unsigned length;
		is_set = X509_digest(sk_X509_value(all->authorities, i), EVP_sha256(), fingerprint, &length) == 1 &&
			 EVP_DigestUpdate(digest, fingerprint, length) == 1;
	}
	for (int i = 0; is_set && all->revocations && i < sk_X509_CRL_num(all->revocations); i++) {
		unsigned char fingerprint[EVP_MAX_MD_SIZE];
		unsigned length;
		is_set =
		    X509_CRL_digest(sk_X509_CRL_value(all->revocations, i), EVP_sha256(), fingerprint, &length) == 1 &&
		    EVP_DigestUpdate(digest, fingerprint, length) == 1;
	}
	is_set = is_set && EVP_DigestFinal_ex(digest, all->session_context, NULL) == 1;
	EVP_MD_CTX_free(digest);
	return is_set;
}

/* --- stapled responses --------------------------------------------------------------------------------------------------- */

static time_t until(const ASN1_GENERALIZEDTIME *next_update)
{
	struct tm parts;
	return next_update && ASN1_TIME_to_tm(next_update, &parts) == 1 ? timegm(&parts) : 0;
}

/* The one behind the certificate in its file; NULL: it is not there. */
static X509 *find_issuer(const struct pipit_certificate *certificate)
{
	X509 *next = sk_X509_num(certificate->chain) > 0 ? sk_X509_value(certificate->chain, 0) : certificate->leaf;
	return X509_check_issued(next, certificate->leaf) == X509_V_OK ? next : NULL;
}

static bool is_digest(const ASN1_OCTET_STRING *string, const unsigned char *digest, unsigned length)
{
	return (unsigned)ASN1_STRING_length(string) == length &&
	       memcmp(ASN1_STRING_get0_data(string), digest, length) == 0;
}

/* RFC 6960 §4.1.1: serial numbers of two authorities may be the same. The issuer's key counts if the file has its certificate. */
static bool is_about(const OCSP_SINGLERESP *single, const struct pipit_certificate *certificate)
{
	ASN1_INTEGER *serial = NULL;
	ASN1_OCTET_STRING *name = NULL, *key = NULL;
	ASN1_OBJECT *algorithm = NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	const X509 *issuer = find_issuer(certificate);
	const EVP_MD *kind;

	OCSP_id_get0_info(&name, &algorithm, &key, &serial, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single));
	kind = EVP_get_digestbyobj(algorithm);
	return kind && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate->leaf)) == 0 &&
	       X509_NAME_digest(X509_get_issuer_name(certificate->leaf), kind, digest, &length) == 1 &&
	       is_digest(name, digest, length) &&
	       (!issuer || (X509_pubkey_digest(issuer, kind, digest, &length) == 1 && is_digest(key, digest, length)));
}

/* The entry that it is about; NULL: none. *valid_until: as struct staple. */
static struct entry *find_subject(
    struct pipit_tls_certificates *all, const OCSP_SINGLERESP *single, time_t *valid_until)
{
	ASN1_GENERALIZEDTIME *next_update = NULL;

	OCSP_single_get0_status((OCSP_SINGLERESP *)single, NULL, NULL, NULL, &next_update);
	*valid_until = until(next_update);
	for (size_t i = 0; i < all->count; i++) {
		if (is_about(single, &all->entries[i].certificate))
			return &all->entries[i];
	}
	return NULL;
}

/* NULL, or what is wrong with it. */
static const char *take_response(struct pipit_tls_certificates *all, OCSP_RESPONSE *response)
{
	OCSP_BASICRESP *basic = response ? OCSP_response_get1_basic(response) : NULL;
	const OCSP_SINGLERESP *single = basic ? OCSP_resp_get0(basic, 0) : NULL;
	time_t valid_until = 0;
	struct entry *entry = single ? find_subject(all, single, &valid_until) : NULL;
	const char *fault = !single                                   ? "is no OCSP response"
			    : !entry                                  ? "is for none of the certificates"
			    : entry->staple.der                       ? "is for the certificate of another file"
			    : valid_until && valid_until < time(NULL) ? "has expired"
								      : NULL;
	if (!fault) {
		int length = i2d_OCSP_RESPONSE(response, &entry->staple.der);
		if (length <= 0)
			fault = "cannot be encoded";
		entry->staple.length = length > 0 ? (size_t)length : 0;
		entry->staple.until = valid_until;
	}
	OCSP_BASICRESP_free(basic);
	ERR_clear_error();
	return fault;
}

static bool load_staple(struct pipit_tls_certificates *all, const char *file)
{
	static const char what[] = "a DER file with the OCSP response for a certificate";
	char error[PIPIT_CERTIFICATE_ERROR_SIZE];
	BIO *der = pipit_certificate_read_file(file, what, error);
	OCSP_RESPONSE *response;
	const char *fault;

	if (!der) {
		pipit_config_log_error(all->config, "tls-ocsp-response = \"%s\": %s", file, error);
		return false;
	}
	response = d2i_OCSP_RESPONSE_bio(der, NULL);
	fault = take_response(all, response);
	if (fault)
		pipit_config_log_error(all->config, "tls-ocsp-response = \"%s\": %s; use %s", file, fault, what);
	OCSP_RESPONSE_free(response);
	BIO_free(der);
	return !fault;
}

/* --- all of them ----------------------------------------------------------------------------------------------------------- */

static void free_certificates(struct pipit_tls_certificates *all)
{
	for (size_t i = 0; i < all->count; i++) {
		SSL_CTX_free(all->entries[i].ssl);
		OPENSSL_free(all->entries[i].staple.der);
		pipit_certificate_clear(&all->entries[i].certificate);
	}
	sk_X509_pop_free(all->authorities, X509_free);
	sk_X509_CRL_pop_free(all->revocations, X509_CRL_free);
	EVP_PKEY_free(all->dh);
	free(all);
}

void pipit_tls_certificates_release(struct pipit_tls_certificates *certificates)
{
	/* acquire: what the other holders did happens before the end */
	if (certificates && atomic_fetch_sub_explicit(&certificates->holds, 1, memory_order_acq_rel) == 1)
		free_certificates(certificates);
}

/* Reports every error. */
static bool load_all(struct pipit_tls_certificates *all)
{
	bool is_loaded = load_authorities(all), have_pairs = true;

	is_loaded &= load_revocations(all);
	all->dh = new_dh();
	if (!all->dh || !set_session_context(all)) {
		pipit_log(PIPIT_LOG_ERROR, "TLS: out of memory");
		return false;
	}
	for (size_t i = 0; i < all->count; i++)
		have_pairs &= load_pair(all, i);
	for (size_t i = 0; have_pairs && i < all->config->tls_ocsp_response_count; i++)
		is_loaded &= load_staple(all, all->config->tls_ocsp_response[i]);
	return is_loaded && have_pairs;
}

/* NULL after messages. */
static struct pipit_tls_certificates *load(const struct pipit_tls_context *context)
{
	size_t count = context->config->tls_certificate_count;
	struct pipit_tls_certificates *all = calloc(1, sizeof *all + count * sizeof all->entries[0]);

	if (!all) {
		pipit_log(PIPIT_LOG_ERROR, "TLS: out of memory");
		return NULL;
	}
	atomic_init(&all->holds, 1);
	all->config = context->config;
	all->ticket_keys = context->ticket_keys;
	all->count = count;
	if (load_all(all))
		return all;
	free_certificates(all);
	return NULL;
}

/* For a process with CAP_NET_ADMIN, the kernel loads the module. */
static bool probe_kernel(void)
{
#ifdef OPENSSL_NO_KTLS
	return false;
#else
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* A socket that is not connected gets ENOTCONN from TLS, and without TLS another error. */
	bool has_kernel =
	    fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") != 0 && errno == ENOTCONN;

	if (fd >= 0)
		close(fd);
	return has_kernel;
#endif
}

struct pipit_tls_context *pipit_tls_context_new(const struct pipit_config *config)
{
	struct pipit_tls_context *context = calloc(1, sizeof *context);

	assert(config->tls_certificate_count == config->tls_key_count);
	if (!context)
		return NULL;
	/* exit() must not free what other threads use. */
	OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
	context->config = config;
	context->has_kernel = strcmp(config->kernel_tls, "on") == 0 && probe_kernel();
	context->ticket_keys = pipit_ticket_keys_new();
	pthread_mutex_init(&context->lock, NULL);
	if (context->ticket_keys)
		context->current = load(context);
	if (context->current)
		return context;
	pipit_tls_context_free(context);
	return NULL;
}

void pipit_tls_context_free(struct pipit_tls_context *context)
{
	if (!context)
		return;
	pipit_tls_certificates_release(context->current);
	pipit_ticket_keys_free(context->ticket_keys);
	pthread_mutex_destroy(&context->lock);
	free(context);
}

bool pipit_tls_context_reload(struct pipit_tls_context *context)
{
	struct pipit_tls_certificates *fresh = load(context), *old;

	if (!fresh) {
		pipit_log(PIPIT_LOG_ERROR, "certificates not reloaded, see above: the old ones stay in use");
		return false;
	}
	pthread_mutex_lock(&context->lock);
	old = context->current;
	context->current = fresh;
	pthread_mutex_unlock(&context->lock);
	pipit_tls_certificates_release(old);
	pipit_log(PIPIT_LOG_INFO, "certificates reloaded");
	return true;
}

bool pipit_tls_context_has_kernel(const struct pipit_tls_context *context)
{
	return context->has_kernel;
}

static struct pipit_tls_certificates *hold_current(struct pipit_tls_context *context)
{
	struct pipit_tls_certificates *current;

	pthread_mutex_lock(&context->lock);
	current = context->current;
	atomic_fetch_add_explicit(&current->holds, 1, memory_order_relaxed);
	pthread_mutex_unlock(&context->lock);
	return current;
}

bool pipit_tls_context_certificate(struct pipit_tls_context *context, size_t index, char *name, time_t *expires)
{
	struct pipit_tls_certificates *current = hold_current(context);
	bool is_there = index < current->count;

	if (is_there) {
		strcpy(name, current->entries[index].certificate.name);
		*expires = current->entries[index].certificate.not_after;
	}
	pipit_tls_certificates_release(current);
	return is_there;
}

SSL *pipit_tls_context_connect(struct pipit_tls_context *context, struct pipit_tls_certificates **certificates)
{
	struct pipit_tls_certificates *current = hold_current(context);
	SSL *ssl = SSL_new(current->entries[0].ssl);

	if (ssl)
		*certificates = current;
	else
		pipit_tls_certificates_release(current);
	return ssl;
}
