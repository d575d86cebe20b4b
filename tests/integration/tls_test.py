#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""https of the real daemon, with curl, openssl and Python's ssl: versions, ciphers, certificates by name, resumption, client certificates,
stapled responses, a reload, the redirect, deadlines of a handshake, and every wrong file."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

from served import DAEMON, ENVIRONMENT, PATIENCE_SECONDS, Group, end_with_verdict, refusal, running, temporary_folder, wait_for

REQUEST = b"GET /json/hello HTTP/1.1\r\nHost: one.example\r\n\r\n"
LAST_REQUEST = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
# Of one file that is sent in many records.
LARGE = os.urandom(3_000_001)


def run(*words, given="", **options):
    done = subprocess.run([str(word) for word in words], input=given, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, **options)
    return done.stdout + done.stderr


def openssl(folder, *words):
    done = subprocess.run(["openssl", *map(str, words)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {words}: {done.stderr}"


EC = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def make_certificate(folder, name, *names, key=EC, days=30, subject=None):
    """name.pem and name.key, signed by itself."""
    more = ("-addext", "subjectAltName=" + ",".join(f"DNS:{one}" for one in names)) if names else ()
    openssl(folder, "req", "-x509", "-newkey", *key, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", days,
            "-subj", subject or f"/CN={names[0] if names else name}", *more)


def sign_certificate(folder, name, authority, subject, *names, days=30):
    """name.pem and name.key, signed by an authority."""
    openssl(folder, "req", "-newkey", *EC, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    extensions = pathlib.Path(folder, f"{name}.ext")
    extensions.write_text("subjectAltName=" + ",".join(f"DNS:{one}" for one in names) if names else "")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-days", days,
            "-out", f"{name}.pem", "-extfile", extensions, "-set_serial", str(abs(hash((name, subject))) % 2**60 + 1))


def make_files(folder):
    make_certificate(folder, "one", "one.example", "*.one.example", key=("rsa:2048",))
    make_certificate(folder, "one-ec", "one.example", "*.one.example")
    make_certificate(folder, "two", "two.example")
    make_certificate(folder, "authority", subject="/CN=Authority")
    make_certificate(folder, "stranger", subject="/CN=stranger")
    sign_certificate(folder, "camera", "authority", "/O=Example/CN=camera-1")
    sign_certificate(folder, "signed", "authority", "/CN=signed.example", "signed.example")
    openssl(folder, "x509", "-in", "one.pem", "-outform", "DER", "-out", "one.der")
    openssl(folder, "rsa", "-in", "one.key", "-aes128", "-passout", "pass:secret", "-out", "encrypted.key")


class Server:
    """A daemon with https and http addresses."""

    def __init__(self, folder, *options, pairs=("one",), workers=1):
        self.folder, self.messages = folder, pathlib.Path(folder, "messages")
        words = [DAEMON, "--listen", "https://127.0.0.1:0", "--listen", "127.0.0.1:0", "--workers", str(workers), "--access-log", folder / "log", "--hosts", "*"]
        for pair in pairs:
            words += ["--tls-certificate", folder / f"{pair}.pem", "--tls-key", folder / f"{pair}.key"]
        pathlib.Path(folder, "log").unlink(missing_ok=True)
        with open(self.messages, "w") as messages:
            self.process = subprocess.Popen([str(word) for word in [*words, *options]], stdout=subprocess.PIPE, stderr=messages, text=True, env=ENVIRONMENT)
        lines = [self.process.stdout.readline() for _ in range(2)]
        assert "https://127.0.0.1:" in lines[0] and "http://127.0.0.1:" in lines[1], (lines, self.said())
        self.port, self.plain_port = (int(re.search(r"(\d+)\D*$", line)[1]) for line in lines)

    def said(self):
        return self.messages.read_text()

    def logged(self):
        return pathlib.Path(self.folder, "log").read_text()

    def metric(self, sample):
        page = run("curl", "-sSk", "--cert", self.folder / "camera.pem", "--key", self.folder / "camera.key", f"https://127.0.0.1:{self.port}/metrics")
        match = re.search("^" + re.escape(sample) + r" (\S+)$", page, re.M)
        return float(match[1]) if match else None

    def curl(self, path, *options, plain=False):
        scheme, port = ("http", self.plain_port) if plain else ("https", self.port)
        return run("curl", "-sSki", "--max-time", PATIENCE_SECONDS, *options, f"{scheme}://127.0.0.1:{port}{path}")

    def s_client(self, *options, given=""):
        return run("openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *options, given=given)

    def tcp(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def connect(self, name="one.example", **how):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for field, value in how.items():
            setattr(context, field, value)
        return context.wrap_socket(self.tcp(), server_hostname=name)

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        self.process.terminate()
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        self.process.stdout.close()
        assert status == 0, f"the daemon ended with {status}: {self.said()}"


def read_all(client):
    pieces = []
    with contextlib.suppress(ssl.SSLError, ConnectionResetError):
        while piece := client.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def read_reply(client):
    """Of REQUEST, on a connection that stays."""
    reply = b""
    while b'"}' not in reply:
        piece = client.recv(65536)
        assert piece, reply
        reply += piece
    return reply


def subject_of(client):
    """The common name of the server's certificate."""
    der = client.getpeercert(binary_form=True)
    return run("openssl", "x509", "-noout", "-subject", given=ssl.DER_cert_to_PEM_cert(der)).strip().rpartition("CN = ")[2]


# --- the groups -------------------------------------------------------------------------------------------------------


def serves(folder):
    pathlib.Path(folder, "root").mkdir()
    pathlib.Path(folder, "root", "large").write_bytes(LARGE)
    with Group("requests") as group, running(Server(folder, "--root", folder / "root")) as server:
        for path in ("/json/hello", "/hello/get"):
            group.true(f"curl {path}", "200", "HTTP/1.1 200 OK" in server.curl(path), server.curl(path))
        body = folder / "body"
        body.write_text('["' + "x" * 300000 + '"]')
        reply = server.curl("/json/echo", "-H", "Content-Type: application/json", "--data-binary", f"@{body}", "--max-time", "60")
        group.true("a body", "is echoed", reply.endswith(body.read_text()), reply)
        with server.connect() as client:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            head, _, content = read_all(client).partition(b"\r\n\r\n")
            group.true("a large file", "is whole", content == LARGE, head)
        with server.connect() as client:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9,2999999-3000000\r\nConnection: close\r\n\r\n")
            reply = read_all(client)
            group.true("ranges", "two parts", LARGE[:10] in reply and LARGE[-2:] in reply and reply.startswith(b"HTTP/1.1 206"), reply)
        with server.connect() as client:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + LAST_REQUEST)
            reply = read_all(client)
            group.same("pipelined files", (3, True), (reply.count(LARGE), reply.endswith(b'{"message":"Hello, World!"}')))
        reply = run("curl", "-sSi", f"http://127.0.0.1:{server.port}/json/hello")
        group.true("plain HTTP on the https address", "a clear 400", "HTTP/1.1 400" in reply and "https only" in reply, reply)
        group.true("an https target on an https connection", "200", "200 OK" in server.curl("/", "--request-target", "https://one.example/json/hello"))
        group.true("and on an http one", "421", " 421 " in server.curl("/", "--request-target", "https://one.example/json/hello", plain=True))
        group.same("plain requests are no handshakes", 1.0, server.metric('pipit_tls_handshake_failures_total{reason="plain_http"}'))


def negotiates(folder):
    with Group("versions and ciphers") as group, running(Server(folder, pairs=("one", "one-ec", "two"))) as server:
        for version, expected in (("-tls1", "alert protocol version"), ("-tls1_1", "alert protocol version"), ("-tls1_2", "TLSv1.2, Cipher is"), ("-tls1_3", "TLSv1.3, Cipher is")):
            group.true(version, expected, expected in server.s_client(version), server.s_client(version))
        for cipher, expected in (("ECDHE-RSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-CHACHA20-POLY1305", True), ("DHE-RSA-AES256-GCM-SHA384", True),
                                 ("AES128-GCM-SHA256", False), ("ECDHE-RSA-AES128-SHA", False), ("AECDH-AES128-SHA@SECLEVEL=0", False)):
            got = server.s_client("-tls1_2", "-cipher", cipher)
            group.same(f"cipher {cipher}", expected, f"Cipher is {cipher}" in got)
        group.true("h2 or http/1.1", "http/1.1", "ALPN protocol: http/1.1" in server.s_client("-alpn", "h2,http/1.1"))
        group.true("h2 alone", "an alert", "alert no application protocol" in server.s_client("-alpn", "h2"))
        for name, expected in (("one.example", "one.example"), ("a.one.example", "one.example"), ("two.example", "two.example"), ("three.example", "one.example")):
            with server.connect(name) as client:
                group.same(f"the certificate for {name}", expected, subject_of(client))
        group.true("a client without RSA", "gets the ECDSA certificate", "Peer signature type: ECDSA" in server.s_client("-servername", "one.example", "-sigalgs", "ecdsa_secp256r1_sha256"))
        group.true("a client without ECDSA", "gets the RSA certificate", "Peer signature type: RSA-PSS" in server.s_client("-servername", "one.example", "-sigalgs", "rsa_pss_rsae_sha256"))
        group.true("renegotiation", "is refused", "Secure Renegotiation IS supported" in server.s_client("-tls1_2") and
                   "handshake failure" in server.s_client("-tls1_2", given="R\n") or "no renegotiation" in server.s_client("-tls1_2", given="R\n"))
    with Group("TLS 1.3 only") as group, running(Server(folder, "--tls-min-version", "1.3")) as server:
        group.true("TLS 1.2", "an alert", "alert protocol version" in server.s_client("-tls1_2"))
        group.true("TLS 1.3", "is served", "TLSv1.3, Cipher is" in server.s_client("-tls1_3"))


def resumes(folder):
    with Group("resumption") as group, running(Server(folder, workers=4)) as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.minimum_version = context.maximum_version = version
            session, resumed, identities = None, 0, set()
            for _ in range(20):
                # The kernel spreads them over the workers.
                with context.wrap_socket(server.tcp(), server_hostname="one.example", session=session) as client:
                    client.sendall(LAST_REQUEST)
                    group.true("a reply", "200", read_all(client).startswith(b"HTTP/1.1 200"))
                    resumed += client.session_reused
                    session = client.session
                    identities.add(session.id)
            group.same(f"{version.name} resumes with every worker", 19, resumed)
            if version == ssl.TLSVersion.TLSv1_3:
                # Many clients use a ticket once. The identity of a session is a digest of its ticket.
                group.same("each connection brings a new ticket", 20, len(identities))
        group.same("counted", 38.0, server.metric("pipit_tls_resumed_handshakes_total"))
        server.hang_up()
        wait_for("the reload", lambda: "certificates reloaded" in server.said())
        with context.wrap_socket(server.tcp(), server_hostname="one.example", session=session) as client:
            group.true("tickets survive a reload", "resumed", client.session_reused)
        early = server.s_client("-tls1_3", "-early_data", "/dev/null")
        group.true("early data", "is not offered", "Early data was not sent" in early or "Max Early Data: 0" in early, early)


def asks_for_certificates(folder):
    pair = ("--cert", folder / "camera.pem", "--key", folder / "camera.key")
    stranger = ("--cert", folder / "stranger.pem", "--key", folder / "stranger.key")
    with Group("client certificates") as group:
        with running(Server(folder, "--tls-client-auth", "required", "--tls-client-ca", folder / "authority.pem")) as server:
            group.true("required, and none", "refused", "200 OK" not in server.curl("/json/hello"), server.curl("/json/hello"))
            group.true("a stranger's", "refused", "200 OK" not in server.curl("/json/hello", *stranger))
            group.true("a valid one", "served", "200 OK" in server.curl("/json/hello", *pair))
            wait_for("its line", lambda: '"CN=camera-1,O=Example" "ok"\n' in server.logged())
            group.true("TLS 1.2, and none", "an alert", "200 OK" not in server.curl("/json/hello", "--tls-max", "1.2"))
            group.true("failures", "are counted", server.metric('pipit_tls_handshake_failures_total{reason="certificate"}') >= 3)
        with running(Server(folder, "--tls-client-auth", "optional", "--tls-client-ca", folder / "authority.pem", "--log-format", "json")) as server:
            for options in ((), stranger, pair):
                group.true("optional", "served", "200 OK" in server.curl("/json/hello", *options))
            wait_for("three lines", lambda: server.logged().count("/json/hello HTTP") == 3)
            group.same("the log tells who", [None, ("CN=stranger", "self-signed certificate"), ("CN=camera-1,O=Example", "ok")],
                       [(m[1], m[2]) if (m := re.search('"client_subject":"([^"]*)","client_verified":"([^"]*)"', line)) else None
                        for line in server.logged().splitlines()[-3:]])


def revokes(folder):
    pair = ("--cert", folder / "camera.pem", "--key", folder / "camera.key")
    crl = folder / "live.crl"
    ask = ("--tls-client-auth", "required", "--tls-client-ca", folder / "authority.pem", "--tls-client-crl", crl)

    def sign_list(name, *revoked, authority="authority", days=("-crldays", "30")):
        """A list of certificates, by openssl's database."""
        serials = [run("openssl", "x509", "-in", folder / f"{one}.pem", "-noout", "-serial").strip().partition("=")[2] for one in revoked]
        (folder / "crl.txt").write_text("".join(f"R\t350101000000Z\t250101000000Z\t{serial}\tunknown\t/CN=x\n" for serial in serials))
        (folder / "crl.cnf").write_text(f"[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/crl.txt\ndefault_md=sha256\n")
        openssl(folder, "ca", "-gencrl", "-config", "crl.cnf", "-cert", f"{authority}.pem", "-keyfile", f"{authority}.key", *days, "-out", name)
        return (folder / name).read_bytes()

    none = sign_list("none.crl")
    camera = sign_list("camera.crl", "camera")
    strangers = sign_list("strangers.crl", authority="stranger")
    expired = sign_list("expired.crl", days=("-crl_lastupdate", "20250101000000Z", "-crl_nextupdate", "20250201000000Z"))
    with Group("revocation lists") as group:
        crl.write_bytes(strangers + none)
        with running(Server(folder, *ask)) as server:
            group.true("not revoked", "served", "200 OK" in server.curl("/json/hello", *pair))
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.load_cert_chain(folder / "camera.pem", folder / "camera.key")
            session = None
            for resumes, revoked in ((False, False), (True, False), (True, True)):
                if revoked:
                    crl.write_bytes(camera)
                    server.hang_up()
                    wait_for("the reload", lambda: "certificates reloaded" in server.said())
                reply = b""
                with contextlib.suppress(ssl.SSLError, ConnectionError):
                    with context.wrap_socket(server.tcp(), server_hostname="one.example", session=session) as client:
                        client.sendall(LAST_REQUEST)
                        reply = read_all(client)
                        if not revoked:
                            group.same("it is resumed", resumes, client.session_reused)
                        session = client.session
                group.same("a session from before the list", not revoked, reply.startswith(b"HTTP/1.1 200"))
            group.true("revoked", "refused", "200 OK" not in server.curl("/json/hello", *pair))
            crl.write_bytes(expired)
            server.hang_up()
            wait_for("a line", lambda: "the old ones stay in use" in server.said())
            group.true("an expired list", "is named", "has expired on 2025-02-01 00:00:00 UTC; use a PEM file with the revocation lists" in server.said(), server.said())
            group.true("and then", "still refused", "200 OK" not in server.curl("/json/hello", *pair))
        crl.write_bytes(strangers)
        with running(Server(folder, *ask)) as server:
            group.true("an authority without a list", "refused", "200 OK" not in server.curl("/json/hello", *pair))
        crl.write_bytes(none + camera.replace(b"M", b"!"))
        group.true("a damaged list", "refused", "contains a damaged revocation list" in refuse(folder, *ask))
        crl.write_bytes((folder / "one.pem").read_bytes())
        group.true("no list", "refused", "contains no revocation list" in refuse(folder, *ask))
        crl.write_bytes(camera)
        got = refuse(folder, "--tls-client-crl", crl)
        group.true("without --tls-client-auth", "refused", "has no effect with tls-client-auth off" in got, got)
        with running(Server(folder, "--tls-client-auth", "optional", *ask[2:], "--log-format", "json")) as server:
            group.true("optional", "served", "200 OK" in server.curl("/json/hello", *pair))
            wait_for("its line", lambda: '"client_verified":"certificate revoked"' in server.logged())


def staples(folder):
    index = pathlib.Path(folder, "index.txt")
    serial = run("openssl", "x509", "-in", folder / "signed.pem", "-noout", "-serial").strip().partition("=")[2]
    index.write_text(f"V\t350101000000Z\t\t{serial}\tunknown\t/CN=signed.example\n")
    openssl(folder, "ocsp", "-index", index, "-CA", "authority.pem", "-rsigner", "authority.pem", "-rkey", "authority.key", "-issuer", "authority.pem",
            "-cert", "signed.pem", "-respout", "response.der", "-ndays", "3")
    (folder / "chained.pem").write_bytes((folder / "signed.pem").read_bytes() + (folder / "authority.pem").read_bytes())
    (folder / "chained.key").write_bytes((folder / "signed.key").read_bytes())
    with Group("stapled responses") as group:
        with running(Server(folder, "--tls-ocsp-response", folder / "response.der", pairs=("one", "signed"))) as server:
            group.true("for its certificate", "stapled", "OCSP Response Status: successful" in server.s_client("-status", "-servername", "signed.example"))
            group.true("for the other", "none", "OCSP response: no response sent" in server.s_client("-status", "-servername", "one.example"))
        group.true("for no certificate", "refused", "is for none of the certificates" in refuse(folder, "--tls-ocsp-response", folder / "response.der"))
        twice = ("--tls-ocsp-response", folder / "response.der") * 2
        group.true("two for one", "refused", "is for the certificate of another file" in refuse(folder, *twice, pair=("signed.pem", "signed.key")))
        # The same serial number, of an authority with another name, and of one with the same name and another key.
        for name, subject in (("foreign", "/CN=Foreign"), ("namesake", "/CN=Authority")):
            make_certificate(folder, name, subject=subject)
            openssl(folder, "ocsp", "-index", index, "-CA", f"{name}.pem", "-rsigner", f"{name}.pem", "-rkey", f"{name}.key", "-issuer", f"{name}.pem",
                    "-serial", f"0x{serial}", "-respout", f"{name}.der", "-ndays", "3")
            chain = folder / f"signed-{name}.pem"
            chain.write_bytes((folder / "signed.pem").read_bytes() + (folder / "authority.pem").read_bytes())
            got = refuse(folder, "--tls-ocsp-response", folder / f"{name}.der", pair=(chain.name, "signed.key"))
            group.true(f"of a {name} authority", "refused", "is for none of the certificates" in got, got)
        with running(Server(folder, "--tls-ocsp-response", folder / "response.der", pairs=("chained",))) as server:
            group.true("with the issuer in the file", "stapled", "OCSP Response Status: successful" in server.s_client("-status"))
        group.true("no response", "refused", "is no OCSP response" in refuse(folder, "--tls-ocsp-response", folder / "one.pem"))


def reloads(folder):
    for name in ("pem", "key"):
        pathlib.Path(folder, f"live.{name}").write_bytes(pathlib.Path(folder, f"one.{name}").read_bytes())
    with Group("reload of two with one name") as group, running(Server(folder, pairs=("live", "one-ec"))) as server:
        pathlib.Path(folder, "live.key").unlink()
        server.hang_up()
        wait_for("a line", lambda: "the old ones stay in use" in server.said())
        with server.connect() as client:
            group.same("the old ones", "one.example", subject_of(client))
        pathlib.Path(folder, "live.key").write_bytes(pathlib.Path(folder, "one.key").read_bytes())
    with Group("reload") as group, running(Server(folder, pairs=("live",))) as server, server.connect() as before:
        before.sendall(REQUEST)
        read_reply(before)
        pathlib.Path(folder, "live.key").write_bytes(pathlib.Path(folder, "two.key").read_bytes())
        server.hang_up()
        wait_for("a line", lambda: "the old ones stay in use" in server.said())
        group.true("a key that does not match", "is named", "live.key: is not the key of the certificate" in server.said(), server.said())
        with server.connect() as client:
            group.same("the old one stays", "one.example", subject_of(client))
        pathlib.Path(folder, "live.pem").write_bytes(pathlib.Path(folder, "two.pem").read_bytes())
        server.hang_up()
        wait_for("a line", lambda: "certificates reloaded" in server.said())
        with server.connect() as client:
            group.same("the new one", "two.example", subject_of(client))
        before.sendall(REQUEST)
        group.true("an open connection", "goes on", read_reply(before).startswith(b"HTTP/1.1 200"))
        expires = run("openssl", "x509", "-in", folder / "two.pem", "-noout", "-enddate").strip().partition("=")[2]
        group.same("its end at /metrics", float(ssl.cert_time_to_seconds(expires)), server.metric('pipit_tls_certificate_expiry_timestamp_seconds{name="two.example"}'))


def redirects(folder):
    with Group("redirect and HSTS") as group, running(Server(folder, "--redirect-to-https", "--hsts", "8760h")) as server:
        for path, host in (("/", "one.example"), ("/hello/get?name=a%20b&x", "one.example:80"), ("/x", "[::1]:8080"), ("/a//b", "one.example")):
            reply = server.curl(path, "-H", f"Host: {host}", "--path-as-is", plain=True)
            name = re.sub(r":\d+$", "", host)
            group.true(f"{host}{path}", "308 to https", " 308 " in reply and f"Location: https://{name}:{server.port}{path}\r\n" in reply.replace("\n", "\r\n").replace("\r\r", "\r"), reply)
            group.true("without encryption", "no HSTS", "Strict-Transport" not in reply)
        group.true("a POST", "308", " 308 " in server.curl("/hello/post", "-d", "name=x", plain=True))
        for path in ("/json/hello", "/hello/get", "/nothing", "/"):
            group.true(f"HSTS on {path}", "a year", "Strict-Transport-Security: max-age=31536000" in server.curl(path), server.curl(path))
        # Not a proxy that is trusted.
        group.true("X-Forwarded-Proto of a client", "308", " 308 " in server.curl("/", "-H", "X-Forwarded-Proto: https", "-H", "X-Forwarded-For: 192.0.2.1", plain=True))
    with Group("redirect behind the lists") as group, running(Server(folder, "--redirect-to-https", "--hosts", "one.example", "--deny", "127.0.0.2")) as server:
        for host, address, status in (("one.example", "127.0.0.1", 308), ("evil.example", "127.0.0.1", 421), ("one.example", "127.0.0.2", 403)):
            reply = server.curl("/", "-H", f"Host: {host}", "--interface", address, plain=True)
            group.true(f"{host} from {address}", str(status), f" {status} " in reply.splitlines()[0], reply)
    with Group("redirect and the admin address") as group, running(Server(folder, "--redirect-to-https", "--admin-listen", "127.0.0.1:0")) as server:
        admin = int(re.search(r":(\d+) \(admin\)", server.process.stdout.readline())[1])
        group.true("an admin address", "no redirect", " 200 " in run("curl", "-sSi", f"http://127.0.0.1:{admin}/metrics"))
    with Group("the admin address over TLS") as group, running(Server(folder, "--admin-listen", "https://127.0.0.1:0")) as server:
        admin = int(re.search(r":(\d+) \(admin\)", server.process.stdout.readline())[1])
        group.true("an admin address", "TLS", " 200 " in run("curl", "-sSik", f"https://127.0.0.1:{admin}/metrics"))
    with Group("redirect behind a proxy") as group, running(Server(folder, "--redirect-to-https", "--hsts", "8760h", "--trusted-proxy", "127.0.0.1")) as server:
        for scheme in ("http", "https"):
            reply = server.curl("/hello/get", "-H", f"X-Forwarded-Proto: {scheme}", "-H", "X-Forwarded-For: 192.0.2.1", plain=True)
            group.true(f"a client with {scheme}", "308 or not", (" 308 " in reply) == (scheme == "http"), reply)
            group.true(f"a client with {scheme}", "HSTS or not", ("Strict-Transport" in reply) == (scheme == "https"), reply)


def keeps_deadlines(folder):
    hello = b""
    bio = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), bio, server_hostname="one.example").do_handshake()
    hello = bio.read()
    with Group("deadlines") as group, running(Server(folder, "--tls-handshake-timeout", "500ms", "--head-timeout", "500ms", "--idle-timeout", "2s")) as server:
        with server.tcp() as client:
            client.sendall(hello[:-1])
            group.same("a handshake that stalls", b"", client.recv(1))
        with server.tcp() as client:
            group.same("a silent client", b"", client.recv(1))
        group.same("counted", (2.0, 2.0), (server.metric('http_timeouts_total{phase="handshake"}'), server.metric('pipit_tls_handshake_failures_total{reason="timeout"}')))
        with server.tcp() as client:
            for byte in hello:
                client.sendall(bytes([byte]))
            group.same("a handshake byte by byte", 22, client.recv(1)[0])
        with server.connect() as client:
            # The head of a record that does not follow.
            socket.socket.send(client, b"\x17\x03\x03\x00\x40")
            reply = read_all(client)
            group.true("a record that stalls", "408", reply.startswith(b"HTTP/1.1 408"), reply)
        for first in (b"\x16\x03\x01\xff\xff", b"\x00" * 16, b"\x80\x2e\x01\x03\x01", b"SSH-2.0-x\r\n"[:3].lower() + b"xxxxx"):
            with server.tcp() as client:
                client.sendall(first + b"\x00" * 64)
                group.true(f"{first[:5]}", "an alert, or the end", read_all(client)[:1] in (b"", b"\x15"))
        with server.connect() as client:
            client.sendall(REQUEST)
            read_reply(client)
            group.same("idle", b"", read_all(client))
        for _ in range(3):
            client = server.tcp()
            client.sendall(hello)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.close()
        with server.connect() as client:
            client.sendall(LAST_REQUEST)
            group.true("then", "200", read_all(client).startswith(b"HTTP/1.1 200"))


def bounds_memory(folder):
    """Clients that do not read: each costs the socket's buffers, and a few records here."""
    # More than the buffers of a socket hold.
    huge = 20_000_000
    with open(folder / "root" / "huge", "wb") as file:
        file.truncate(huge)
    with Group("slow clients") as group, running(Server(folder, "--root", folder / "root", "--write-timeout", "0", "--min-rate-bytes", "0")) as server:
        clients = []
        for _ in range(50):
            client = server.connect()
            client.sendall(b"GET /huge HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            clients.append(client)
        wait_for("all are stuck", lambda: server.metric('http_connections{state="writing"}') == 50)
        group.true("buffered", "at most 128 KiB for each", server.metric("pipit_buffered_bytes") <= 50 * 128 * 1024, server.metric("pipit_buffered_bytes"))
        for client in clients[:5]:
            group.true("and then", "the whole file", read_all(client).partition(b"\r\n\r\n")[2] == bytes(huge))
        for client in clients:
            client.close()


# Of struct tcp_info in linux/tcp.h.
DATA_SEGS_IN = slice(152, 156)


def exchange_in_one_piece(server):
    """The reply to a request that is sent together with the end of the handshake, and the number of packets with data."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode, context.minimum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_3
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, sent, server_hostname="one.example")
    reply = b""
    with server.tcp() as client:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.sendall(sent.read())
                received.write(client.recv(65536))
        tls.write(LAST_REQUEST)
        client.sendall(sent.read())
        while piece := client.recv(65536):
            received.write(piece)
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while piece := tls.read(65536):
            reply += piece
    # Else the last bytes are no alert that says so.
    received.write_eof()
    with contextlib.suppress(ssl.SSLZeroReturnError):
        tls.read(1)
    return reply, int.from_bytes(info[DATA_SEGS_IN], sys.byteorder)


def shares_packets(folder):
    with Group("packets") as group, running(Server(folder)) as server:
        # On a busy machine the kernel may send a part after 200 ms.
        for _ in range(10):
            reply, packets = exchange_in_one_piece(server)
            group.true("a reply", "200", reply.startswith(b"HTTP/1.1 200") and reply.endswith(b'"}'), reply)
            if packets == 2:
                break
        group.same("the server's handshake; the ticket, the reply and the end", 2, packets)


def peak_kib(server):
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", pathlib.Path(f"/proc/{server.process.pid}/status").read_text(), re.M)[1])


def ends_together(folder):
    """All idle connections end in one turn, while a download keeps the process."""
    count = 200
    with Group("the end of many connections") as group, running(Server(folder, "--root", folder / "root")) as server:
        if b"__sanitizer_" in pathlib.Path(DAEMON).read_bytes():
            group.notes.append("skipped: sanitizers keep what is freed")
            return
        with server.connect() as download:
            download.sendall(b"GET /huge HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            wait_for("the download waits", lambda: server.metric('http_connections{state="writing"}') == 1)
            clients = [server.connect() for _ in range(count)]
            for client in clients:
                client.sendall(REQUEST)
                read_reply(client)
            before_kib = peak_kib(server)
            server.process.terminate()
            group.same("nothing but the end", [b""] * count, [read_all(client) for client in clients])
            grown_kib = peak_kib(server) - before_kib
            group.true("memory", "at most 1 KiB more for each", grown_kib <= count, grown_kib)
        for client in clients:
            client.close()


def refuse(folder, *options, pair=("one.pem", "one.key"), listen="https://127.0.0.1:0"):
    words = ["--tls-certificate", folder / pair[0]] if pair[0] else []
    words += ["--tls-key", folder / pair[1]] if pair[1] else []
    status, messages = refusal("--listen", listen, *[str(word) for word in [*words, *options]])
    return f"{status} {messages}"


def refuses(folder):
    make_certificate(folder, "weak", "weak.example", key=("rsa:1024",))
    pathlib.Path(folder, "text").write_text("certificate\n")
    damaged = pathlib.Path(folder, "one.pem").read_text().replace("M", "!", 3)
    pathlib.Path(folder, "damaged.pem").write_text(damaged)
    cases = (
        (("absent.pem", "one.key"), (), "absent.pem: cannot be read: No such file"),
        (("text", "one.key"), (), "contains no certificate; use a PEM file"),
        (("one.der", "one.key"), (), "contains no certificate; use a PEM file"),
        (("damaged.pem", "one.key"), (), "contains a damaged certificate"),
        (("/dev/zero", "one.key"), (), "it is no regular file"),
        (("one.pem", "absent.key"), (), "absent.key: cannot be read: No such file"),
        (("one.pem", "text"), (), "contains no private key"),
        (("one.pem", "two.key"), (), "is not the key of the certificate"),
        (("one.pem", "encrypted.key"), (), "is encrypted; use a key without a passphrase"),
        (("weak.pem", "weak.key"), (), "cannot be used"),
        (("one.pem", None), (), "has no key; use tls-key"),
        ((None, "one.key"), (), "has no certificate; use tls-certificate"),
        ((None, None), (), "needs a certificate; use tls-certificate and tls-key"),
        (("one.pem", "one.key"), ("--tls-client-auth", "required"), "needs authorities; use tls-client-ca"),
        (("one.pem", "one.key"), ("--tls-client-ca", folder / "authority.pem"), "has no effect with tls-client-auth off"),
        (("one.pem", "one.key"), ("--tls-client-auth", "required", "--tls-client-ca", folder / "text"), "contains no certificate; use a PEM file of authorities"),
        (("one.pem", "one.key"), ("--tls-min-version", "1.1"), "use 1.2 or 1.3"),
        (("one.pem", "one.key"), ("--tls-ocsp-response", folder / "absent"), "cannot be read"),
    )
    with Group("wrong files") as group:
        for pair, options, expected in cases:
            got = refuse(folder, *options, pair=pair)
            group.true(f"{pair} {options}", expected, expected in got and got[0] in "12" and "error:" in got, got)
            words = [word for name, file in zip(("--tls-certificate", "--tls-key"), pair) if file for word in (name, folder / file)]
            checked = run(DAEMON, "--check", "--listen", "https://127.0.0.1:0", *words, *options, env=ENVIRONMENT)
            group.true(f"--check {pair} {options}", expected, expected in checked, checked)
        for wrong in (("absent.pem", "one.key"), ("one.pem", "absent.key"), ("one.pem", "two.key")):
            good = ("--tls-certificate", folder / "one-ec.pem", "--tls-key", folder / "one-ec.key")
            status, said = refusal("--listen", "https://127.0.0.1:0", "--tls-certificate", str(folder / wrong[0]), "--tls-key", str(folder / wrong[1]), *map(str, good))
            group.true(f"{wrong} before a good pair", "refused", status == 2 and said.count("error:") == 1, (status, said))
        status, said = refusal("--admin-listen", "https://127.0.0.1:0")
        group.true("an admin address without a certificate", "refused", status == 2 and "admin-listen" in said and "needs a certificate" in said, said)
        status, said = refusal("--root", str(folder), "--listen", "https://127.0.0.1:0", *map(str, good))
        group.true("a key below the root", "refused", status == 2 and "one-ec.key" in said and "lies below root" in said, said)
        status, said = refusal("--redirect-to-https")
        said_of_hsts = refusal("--hsts", "500ms")[1]
        group.true("half a second of HSTS", "refused", "less than a second" in said_of_hsts, said_of_hsts)
        group.true("a redirect to nowhere", "refused", status == 2 and "needs an http and an https address" in said, said)


def check_health(place, reply):
    """The exit status for a server that is not pipit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "certificate.pem", place / "key.pem")

    def serve(listener):
        with contextlib.suppress(OSError), listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as client:
            client.recv(4096)
            client.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        done = subprocess.run([DAEMON, "--healthcheck", "--listen", f"https://127.0.0.1:{listener.getsockname()[1]}", "--tls-certificate",
                               place / "certificate.pem", "--tls-key", place / "key.pem"], env=ENVIRONMENT, timeout=PATIENCE_SECONDS, check=False)
        thread.join()
    return done.returncode


def warns_of_readers(folder):
    key = folder / "read.key"
    (folder / "read.pem").write_bytes((folder / "one.pem").read_bytes())
    key.write_bytes((folder / "one.key").read_bytes())
    with Group("keys that others read") as group:
        for mode, warned in ((0o600, False), (0o640, False), (0o644, True), (0o604, True), (0o660, True)):
            key.chmod(mode)
            said = run(DAEMON, "--check", "--listen", "https://127.0.0.1:0", "--tls-certificate", folder / "read.pem", "--tls-key", key, env=ENVIRONMENT)
            group.same(f"mode {mode:o}", warned, f"read.key: others than its owner and its group may read or change the key (mode 0{mode:o}); use: chmod g-w,o=" in said)
        if os.getuid():
            group.notes.append("skipped in part: not root")
            return
        folder.chmod(0o755)
        for mode, warned in ((0o600, True), (0o644, False)):
            key.chmod(mode)
            words = ("--tls-certificate", folder / "read.pem", "--tls-key", key, "--user", "nobody")
            said = run(DAEMON, "--check", "--listen", "https://127.0.0.1:0", *words, env=ENVIRONMENT)
            group.same(f"--user and mode {mode:o}", warned, "user nobody may not read it, so that SIGHUP cannot reload it" in said)


def makes_certificates(folder):
    place = folder / "made"
    with Group("a certificate to try out") as group:
        said = run(DAEMON, "--make-test-certificate", place, env=ENVIRONMENT)
        group.same("its files", f"{place}/certificate.pem\n{place}/key.pem\n", said)
        group.same("the key is private", 0o600, (place / "key.pem").stat().st_mode & 0o777)
        before = (place / "key.pem").read_bytes()
        said = run(DAEMON, "--make-test-certificate", place, env=ENVIRONMENT)
        group.true("again", "refused", "File exists" in said and (place / "key.pem").read_bytes() == before, said)
        (folder / "certificate.pem").write_bytes((place / "certificate.pem").read_bytes())
        (folder / "certificate.key").write_bytes(before)
        with running(Server(folder, pairs=("certificate",))) as server:
            for host in ("localhost", "127.0.0.1"):
                reply = run("curl", "-sS", "--cacert", place / "certificate.pem", f"https://{host}:{server.port}/json/hello")
                group.same(f"curl --cacert to {host}", '{"message":"Hello, World!"}', reply)
            status = subprocess.run([DAEMON, "--healthcheck", "--listen", f"https://127.0.0.1:{server.port}", "--tls-certificate", place / "certificate.pem",
                                     "--tls-key", place / "key.pem"], env=ENVIRONMENT, check=False).returncode
            group.same("the health check", 0, status)
        group.same("the health check of a server whose reply is long", 0, check_health(place, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000))
        group.same("the health check of another one", 1, check_health(place, b"HTTP/1.1 503 No\r\n\r\n"))


def main():
    if "this build has no TLS" in run(DAEMON, "--make-test-certificate", "/nonexistent/x", env=ENVIRONMENT):
        print("the daemon is built without TLS")
        sys.exit(77)
    with temporary_folder() as folder:
        make_files(folder)
        for group in (
                serves, negotiates, resumes, asks_for_certificates, revokes, staples, reloads, redirects,
                keeps_deadlines, bounds_memory, shares_packets, ends_together, refuses, warns_of_readers, makes_certificates):
            group(folder)
    end_with_verdict()


if __name__ == "__main__":
    main()
