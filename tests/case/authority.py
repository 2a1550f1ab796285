"""A time-stamp authority on loopback, made with ``openssl ts``."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

_CONFIG = """
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:true
[stamps]
extendedKeyUsage = critical, timeStamping
[authority]
serial = {folder}/serial
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
signer_digest = sha256
"""
_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """A root certificate, and a key that it certified for time stamps."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        (folder / "config").write_text(_CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        config = ["-config", "config"]
        words = ["req", "-x509", *_NEW_KEY, "-keyout", "root.key", "-out", "root.pem", *config]
        self._openssl(*words, "-subj", "/CN=Root of tests", "-extensions", "root")
        words = ["req", *_NEW_KEY, "-keyout", "stamps.key", "-out", "stamps.csr", *config]
        self._openssl(*words, "-subj", "/CN=Stamps of tests")
        words = ["x509", "-req", "-in", "stamps.csr", "-CA", "root.pem", "-CAkey", "root.key"]
        words += ["-CAcreateserial", "-out", "stamps.pem", "-extfile", "config"]
        self._openssl(*words, "-extensions", "stamps")

    def answer(self, query: bytes) -> bytes:
        """Return the time stamp (TimeStampResp, DER) of a request."""
        (self.folder / "query").write_bytes(query)
        words = [
            "ts",
            "-reply",
            "-config",
            "config",
            "-section",
            "authority",
            "-queryfile",
            "query",
        ]
        self._openssl(*words, "-signer", "stamps.pem", "-inkey", "stamps.key", "-out", "answer")
        return (self.folder / "answer").read_bytes()

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Answer requests over HTTP; yields the URL."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                is_query = self.headers["Content-Type"] == "application/timestamp-query"
                self.send_response(200 if is_query and self.path == "/stamp" else 400)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.end_headers()
                self.wfile.write(authority.answer(query))

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/stamp"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
