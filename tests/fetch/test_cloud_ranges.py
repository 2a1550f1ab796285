"""Download of AWS's address ranges from a local server: complete and dated, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.fetch import cloud_ranges
from tests.cli.running import run

LIST = json.dumps({
    "syncToken": "1788220800", "createDate": "2026-09-01-00-00-00",
    "prefixes": [{"ip_prefix": "203.0.113.0/24", "service": "S3", "region": "us-east-1"}],
    "ipv6_prefixes": [],
}).encode()  # fmt: skip


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, length = self.server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer = (200, LIST, None)
    server.url = f"http://127.0.0.1:{server.server_address[1]}/ip-ranges.json"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_list_is_stored_under_its_date_of_publication(server, tmp_path) -> None:
    path = cloud_ranges.fetch(tmp_path / "cache", url=server.url)
    assert path == tmp_path / "cache" / "aws-ip-ranges-2026-09-01.json"
    assert path.read_bytes() == LIST
    assert cloud_ranges.fetch(tmp_path / "cache", url=server.url) == path
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_command_prints_the_path_and_a_case_ingests_it(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cloud_ranges, "URL", server.url)
    result = run("cloud-ranges", "--to", tmp_path)
    assert result.exit_code == 0
    case = Case.create(tmp_path / "case")
    case.ingest(Path(result.stdout.strip()))
    assert case.info()[["kind", "records"]].values.tolist() == [["cloud-ranges", 1]]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((404, b"", None), "Not Found"),
        ((200, b"<html>sign in</html>", None), "is not a list of address ranges"),
        ((200, b'{"prefixes": []}', None), "is not a list of address ranges"),
        ((200, LIST[:-30], None), "is not a list of address ranges"),
        ((200, LIST[:-30], len(LIST)), "is not a list of address ranges"),
        ((200, LIST.replace(b"2026", b"../x").replace(b"1788220800", b"x"), None), "is not a list"),
    ],
)
def test_invalid_responses_are_errors_and_not_stored(server, tmp_path, answer, reason) -> None:
    server.answer = answer
    with pytest.raises(InputError, match=reason):
        cloud_ranges.fetch(tmp_path / "cache", url=server.url)
    assert not (tmp_path / "cache").exists()


def test_connection_and_write_errors_name_the_remedy(server, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        cloud_ranges.fetch(tmp_path / "file", url=server.url)
    with pytest.raises(InputError, match=r"cannot download .*Copy the file here by other means"):
        cloud_ranges.fetch(tmp_path, url="http://127.0.0.1:9/ip-ranges.json")
