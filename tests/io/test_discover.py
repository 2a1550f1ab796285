"""Discovery of evidence: every regular file, no link out of the folder, whatever the names."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.io.discover import find_files
from flowbench.text import escape_undecodable
from tests.case.conftest import record

posix = pytest.mark.skipif(
    sys.platform == "win32", reason="names and file types that Windows does not have"
)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "e" / "sub").mkdir(parents=True)
    (tmp_path / "e" / "sub" / "a.log").write_text(record(1))
    return tmp_path / "e"


@posix
def test_links_are_not_followed_out_of_the_folder(case, folder, tmp_path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "key").write_text("secret")
    (folder / "round").symlink_to(folder)
    (folder / "sub" / "up").symlink_to("..")
    (folder / "out").symlink_to(private)
    (folder / "root").symlink_to("/")
    (folder / "log").symlink_to(case.path / "custody.jsonl")
    (folder / "one.log").symlink_to(folder / "sub" / "a.log")
    files, unreadable = find_files([folder], case.path)
    assert [name for _, name in files] == ["one.log", "sub/a.log"]
    assert dict(unreadable) == {
        "log": "a link into the case itself",
        "out": "a link to another folder, not followed: give that folder",
        "root": "a link to another folder, not followed: give that folder",
    }
    files = case.ingest(folder).set_index("file")["outcome"].to_dict()
    assert sorted(files.values()) == ["already there", "loaded", *["not readable"] * 3]


@posix
def test_special_files_are_not_opened(case, folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(folder)  # the name of a socket is short
    os.mkfifo(folder / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket")
    (folder / "null").symlink_to("/dev/zero")
    files, unreadable = find_files([folder], case.path)
    server.close()
    assert [name for _, name in files] == ["sub/a.log"]
    assert sorted(name for name, _ in unreadable) == ["null", "pipe", "socket"]
    for given_path in (folder / "pipe", folder / "null"):
        with pytest.raises(InputError, match="is a pipe, socket or device"):
            find_files([given_path], case.path)


@posix
def test_undecodable_and_hostile_names(case, folder) -> None:
    names = [b"\xff\xfe.log", b"a\nb.log", b"'q\".log", b"\x1b[31m.log", b"-rf", b"*.log"]
    try:
        for number, name in enumerate(names):
            path = os.path.join(os.fsencode(folder), name)  # noqa: PTH118  # bytes
            Path(os.fsdecode(path)).write_text(record(number + 10))
        os.mkfifo(os.fsdecode(os.fsencode(folder) + b"/\xfa"))
    except OSError:
        pytest.skip("this file system does not allow such names")
    files = case.ingest(folder)
    assert files["outcome"].value_counts().to_dict() == {"loaded": 7, "not readable": 1}
    again = Case.open(case.path)
    assert "\\xff\\xfe.log" in set(again.evidence["file"])
    assert again.evidence["path"].str.endswith("\\xff\\xfe.log").sum() == 1
    assert again.quarantine.file.execute().tolist() == ["\\xfa"]
    assert again.verify()["ok"].all()  # the log holds the path as it is
    assert again.flows.count().execute() == 7
    assert set(case.ingest(folder)["outcome"]) == {"already there", "not readable"}


def test_export_test_file_of_cloudwatch_is_recognised(case, folder) -> None:
    (folder / "aws-logs-write-test").write_text("Permission Check Successful")
    files = case.ingest(folder).set_index("file")
    assert files.loc["aws-logs-write-test"].tolist() == ["aws-logs-write-test", 0, 0, "loaded"]
    assert not case.has("quarantine")


def test_other_content_under_that_name_is_read(case, folder) -> None:
    (folder / "aws-logs-write-test").write_text(record(7))
    (folder / "x").mkdir()
    (folder / "x" / "aws-logs-write-test").write_text("rubbish\n" * 100_000)
    files = case.ingest(folder).set_index("file")
    assert files.loc["aws-logs-write-test", "records"] == 1
    assert files.loc["x/aws-logs-write-test", "quarantined"] == 1


@given(st.text(alphabet=st.characters(categories=None), max_size=20))
def test_any_name_can_be_stored(name) -> None:
    kept = escape_undecodable(name)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert json.loads(json.dumps(kept)) == kept
    assert escape_undecodable(kept) == kept
