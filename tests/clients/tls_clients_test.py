#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""https with scanners, clients and front ends that are installed: sslscan, nmap and testssl find nothing weak; clients verify the certificate and
resume sessions; nginx and HAProxy verify it, and encrypt again. Says what is not installed."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from served import DAEMON, ENVIRONMENT, PATIENCE_SECONDS, Group, end_with_verdict, running, temporary_folder, wait_for

# testssl starts thousands of processes.
TOOL_SECONDS = 1500
REQUESTS = 6
GREETING = '{"message":"Hello, World!"}'
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
REFUSED_BYTES = 5_000_000
REFUSALS = 5

# What testssl rates lower than OK, and why it is so. Its warnings are about its own OpenSSL.
EXPECTED_RATINGS = {
    "cipher_order": "all ciphers are strong, and the client knows which one its processor computes best",
    "cipher_order_TLSv1.2": "the same",
    "cert_chain_of_trust": "the certificate is signed by itself",
    "cert_revocation": "it has no authority",
    "DNS_CAArecord": "localhost has none",
    "BREACH": "the page is a file that repeats no input",
}


class Server:
    """The daemon with an https address."""

    def __init__(self, folder):
        self.certificate, self.key = folder / "made/certificate.pem", folder / "made/key.pem"
        subprocess.run([DAEMON, "--make-test-certificate", self.certificate.parent], env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
        words = [DAEMON, "--listen", "https://127.0.0.1:0", "--workers", "1", "--hsts", "8760h", "--log-level", "error",
                 "--tls-certificate", self.certificate, "--tls-key", self.key]
        self.process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        line = self.process.stdout.readline()
        self.port = int(re.search(r"https://127\.0\.0\.1:(\d+)", line)[1])

    def curl(self, path, *options, port=None, name="localhost"):
        words = ["curl", "-sS", "--max-time", PATIENCE_SECONDS, "--cacert", self.certificate, *options, f"https://{name}:{port or self.port}{path}"]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def counts(self):
        """Handshakes, and resumed ones among them."""
        page = self.curl("/metrics")
        names = ("pipit_tls_handshakes_total", "pipit_tls_resumed_handshakes_total")
        return [int(re.search(rf"^{name} (\d+)$", page, re.M)[1]) for name in names]

    def stop(self):
        self.process.terminate()
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        self.process.stdout.close()
        assert status == 0, f"the daemon ended with {status}"


def is_there(program):
    if shutil.which(program, path=PATH):
        return True
    print(f"{program}: skipped: it is not installed", flush=True)
    return False


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=TOOL_SECONDS, check=False, **options)
    return done.stdout, done.stderr


# --- scanners ---------------------------------------------------------------------------------------------------------


def judge_sslscan(server):
    with Group("sslscan") as group:
        found = xml.etree.ElementTree.fromstring(run("sslscan", "--no-colour", "--xml=-", f"localhost:{server.port}")[0]).find("ssltest")
        versions = [(p.get("type"), p.get("version")) for p in found.iter("protocol") if p.get("enabled") == "1"]
        group.same("protocols", [("tls", "1.2"), ("tls", "1.3")], versions)
        ciphers = list(found.iter("cipher"))
        group.same("ciphers of each version", {"TLSv1.2", "TLSv1.3"}, {cipher.get("sslversion") for cipher in ciphers})
        for cipher in ciphers:
            group.true(cipher.get("cipher"), "strong, with forward secrecy", cipher.get("strength") in ("strong", "acceptable")
                       and int(cipher.get("bits")) >= 128 and re.search("GCM|CHACHA20", cipher.get("cipher")) and cipher.get("curve"), cipher.attrib)
        group.same("renegotiation", ["0"], [one.get("supported") for one in found.iter("renegotiation")])
        group.same("Heartbleed", ["0", "0"], [one.get("vulnerable") for one in found.iter("heartbleed")])
        group.true("compression", "none", all(one.get("supported") == "0" for one in found.iter("compression")))
        group.same("expired", ["false"], [one.text for one in found.iter("expired")])


def judge_nmap(server):
    with Group("nmap ssl-enum-ciphers") as group:
        said, errors = run("nmap", "-Pn", "-p", server.port, "--script", "ssl-enum-ciphers", "127.0.0.1")
        group.same("versions", ["TLSv1.2", "TLSv1.3"], re.findall(r"^\|   (\S+): *$", said, re.M))
        ratings = re.findall(r"^\|       (TLS_\S+) .*- (\w)$", said, re.M)
        group.true("ciphers", "rated A", len(ratings) >= 6 and {rating for _, rating in ratings} == {"A"}, said + errors)
        group.same("compressors", {"NULL"}, set(re.findall(r"compressors: \n\|       (\S+)", said)))
        group.true("least strength", "A", "least strength: A" in said, said + errors)
        group.true("warnings", "none", "warnings:" not in said, said)


def judge_testssl(server, folder, program):
    with Group("testssl") as group:
        report = folder / "testssl.json"
        said, errors = run(program, "--quiet", "--fast", "--warnings", "off", "--color", "0", "--jsonfile", report, f"localhost:{server.port}", cwd=folder)
        findings = json.loads(report.read_text())
        group.true("findings", "more than a hundred", len(findings) > 100, said + errors)
        by_name = {finding["id"]: finding for finding in findings}
        for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
            group.true(name, "not offered", by_name[name]["finding"].startswith("not offered"), by_name[name])
        for name in ("TLS1_2", "TLS1_3", "heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS", "POODLE_SSL",
                     "SWEET32", "FREAK", "DROWN", "LOGJAM", "LUCKY13", "HSTS_time"):
            group.same(name, "OK", by_name.get(name, {}).get("severity"))
        for finding in findings:
            group.true(finding["id"], "no finding", finding["severity"] in ("OK", "INFO", "WARN") or finding["id"] in EXPECTED_RATINGS, finding)


def scan(server, folder):
    if is_there("sslscan"):
        judge_sslscan(server)
    if is_there("nmap"):
        judge_nmap(server)
    program = next((name for name in ("testssl", "testssl.sh") if shutil.which(name)), "testssl.sh")
    if is_there(program):
        judge_testssl(server, folder, program)


# --- clients ----------------------------------------------------------------------------------------------------------


def clients(folder):
    """Name, the program it needs, command."""
    return (
        ("curl", "curl", [HERE / "tls_curl.sh"]),
        ("http.client", "python3", [sys.executable, HERE / "tls_client.py"]),
        ("go", "go", [folder / "go-client"]),
        ("HttpsURLConnection", "javac", ["java", "-cp", folder, "TlsClient"]),
        ("https of node", "node", ["node", HERE / "tls_client.mjs"]),
    )


def build(folder):
    if shutil.which("go"):
        environment = {**os.environ, "GOCACHE": str(folder / "gocache"), "GO111MODULE": "off"}
        subprocess.run(["go", "build", "-o", str(folder / "go-client"), str(HERE / "tls_client.go")], check=True, env=environment)
    if shutil.which("javac"):
        subprocess.run(["javac", "-d", str(folder), str(HERE / "TlsClient.java")], check=True)


def try_clients(server, folder):
    build(folder)
    with Group("clients") as group:
        for name, program, command in clients(folder):
            if not is_there(program):
                continue
            before = server.counts()
            said, errors = run(*command, f"https://localhost:{server.port}/json/hello", server.certificate, REQUESTS)
            # The second scrape is one too.
            handshakes, resumed = (after - earlier for after, earlier in zip(server.counts(), before))
            group.same(f"{name}: replies", REQUESTS, said.count(GREETING) if "200" in said else errors)
            group.same(f"{name}: handshakes, and resumed ones", (REQUESTS, REQUESTS - 1), (handshakes - 1, resumed))
        other = pathlib.Path(folder, "other")
        subprocess.run([DAEMON, "--make-test-certificate", other], env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
        for name, program, command in clients(folder):
            if shutil.which(program):
                said, errors = run(*command, f"https://localhost:{server.port}/json/hello", other / "certificate.pem", 1)
                group.true(f"{name} that trusts another certificate", "refuses", GREETING not in said, errors)


# --- front ends -------------------------------------------------------------------------------------------------------


def nginx(folder, port, server):
    (folder / "nginx.conf").write_text(f"""daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{ access_log off; client_max_body_size 0;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {server.certificate}; ssl_certificate_key {server.key};
    location / {{ proxy_pass https://127.0.0.1:{server.port}; proxy_http_version 1.1; proxy_request_buffering off; proxy_set_header Connection "";
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {server.certificate}; proxy_ssl_name localhost; proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.2 TLSv1.3; }} }} }}
""")
    return ["nginx", "-c", f"{folder}/nginx.conf", "-p", str(folder), "-e", "stderr"]


def haproxy(folder, port, server):
    pair = folder / "pair.pem"
    pair.write_bytes(server.certificate.read_bytes() + server.key.read_bytes())
    (folder / "haproxy.cfg").write_text(f"""defaults
  mode http
  timeout connect 60s
  timeout client 60s
  timeout server 60s
listen front
  bind 127.0.0.1:{port} ssl crt {pair}
  server pipit 127.0.0.1:{server.port} ssl verify required ca-file {server.certificate} verifyhost localhost sni str(localhost)
""")
    return ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"]


class FrontEnd:
    def __init__(self, folder, name, make, server):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.log = folder / f"{name}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(make(folder, self.port, server), stdout=log, stderr=log, env={**ENVIRONMENT, "PATH": PATH})
        try:
            wait_for(f"{name} listens", self.listens)
        except BaseException:
            self.stop()
            raise

    def listens(self):
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE_SECONDS)


def stand_behind(server, folder):
    large, refused = folder / "large.json", folder / "refused"
    large.write_text('"' + "x" * 300_000 + '"')
    refused.write_bytes(bytes(REFUSED_BYTES))
    json_type = ("-H", "Content-Type: application/json", "-H", "Expect:")
    for name, make in (("nginx", nginx), ("haproxy", haproxy)):
        if not is_there(name):
            continue
        with Group(f"behind {name}") as group, running(FrontEnd(folder, name, make, server)) as front:
            before = server.counts()
            for _ in range(REQUESTS):
                group.same("a request", GREETING, server.curl("/json/hello", port=front.port))
            group.same("a callback's reply", GREETING, server.curl("/hello/get", port=front.port))
            group.true("a body", "is echoed", server.curl("/json/echo", *json_type, "--data-binary", f"@{large}", port=front.port) == large.read_text())
            group.true("a body in chunks", "is echoed",
                       server.curl("/json/echo", *json_type, "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{large}", port=front.port) == large.read_text())
            statuses = [server.curl("/json/echo", *json_type, "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", f"@{refused}", port=front.port)
                        for _ in range(REFUSALS)]
            group.same("uploads that are too large", ["413"] * REFUSALS, statuses)
            group.true("encrypted again", "handshakes", server.counts()[0] > before[0] + 1)


def main():
    if "no TLS" in run(DAEMON, "--make-test-certificate", "/nonexistent/x", env=ENVIRONMENT)[1]:
        print("the daemon is built without TLS")
        sys.exit(77)
    if not shutil.which("curl"):
        print("curl is not installed")
        sys.exit(77)
    with temporary_folder() as folder, running(Server(folder)) as server:
        try_clients(server, folder)
        stand_behind(server, folder)
        scan(server, folder)
    end_with_verdict()


if __name__ == "__main__":
    main()
