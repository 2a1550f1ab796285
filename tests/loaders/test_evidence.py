"""Evidence: identified by its bytes, named so that any table can hold it, recorded and restored."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from flowbench.io.archive import list_members
from flowbench.io.container import Container
from flowbench.loaders.evidence import EVIDENCE_ID_DIGITS, Evidence, UnreadableError

DATA = b"2 123456789012 eni-0a\n"


def written(folder: Path, data: bytes = DATA, name: str = "a.log") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("keep", [True, False])
def test_file_is_identified_by_its_bytes(tmp_path, keep) -> None:
    evidence = Evidence.of(written(tmp_path), "shown/a.log", keep=keep)
    sha256 = hashlib.sha256(DATA).hexdigest()
    assert (evidence.sha256, evidence.size) == (sha256, len(DATA))
    assert evidence.evidence_id == sha256[:EVIDENCE_ID_DIGITS]
    assert (evidence.file, evidence.path) == ("shown/a.log", str(tmp_path / "a.log"))
    assert evidence.content == (DATA if keep else None)
    assert b"".join(evidence.byte_source().chunks()) == DATA


def test_bytes_appended_later_are_not_read(tmp_path) -> None:
    path = written(tmp_path)
    evidence = Evidence.of(path, path.name)
    path.write_bytes(DATA * 3)
    assert b"".join(evidence.byte_source().chunks()) == DATA


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not have")
def test_undecodable_name_is_escaped_and_the_path_is_kept(tmp_path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.log")
    try:
        path.write_bytes(DATA)
    except OSError:
        pytest.skip("this file system does not allow such names")
    evidence = Evidence.of(path, path.name)
    assert evidence.file == "\\xff.log"
    assert Path(evidence.path).read_bytes() == DATA


def test_hashing_can_be_stopped(tmp_path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        Evidence.of(written(tmp_path), "a.log", stop)


def test_members_of_nested_archives_name_the_outermost(tmp_path) -> None:
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("a.log", DATA)
    outer = tmp_path / "outer.zip"
    with zipfile.ZipFile(outer, "w") as file:
        file.write(inner, "inner.zip")
    evidence = Evidence.of(outer, "outer.zip")
    container = Container(evidence.byte_source())
    (member,) = list_members(container, "zip")
    nested = evidence.of_member(member)
    inner_container = Container(nested.byte_source())
    (inner_member,) = list_members(inner_container, "zip")
    log = nested.of_member(inner_member)
    assert (log.file, log.member) == ("outer.zip/inner.zip/a.log", "inner.zip/a.log")
    assert (log.path, log.archive) == (str(outer), evidence.evidence_id)
    assert log.sha256 == hashlib.sha256(DATA).hexdigest()
    inner_container.close()
    container.close()


def test_entry_of_the_custody_log_is_restored(tmp_path) -> None:
    evidence = Evidence.of(written(tmp_path), "a.log", keep=True)
    evidence.kind, evidence.records, evidence.fields = "flow-logs", 5, ["start"]
    entry = evidence.to_entry()
    assert set(entry) == set(Evidence.columns())
    assert {"archive_member", "content", "container"}.isdisjoint(entry)
    restored = Evidence.from_entry({**entry, "unknown": 1})
    assert restored.to_entry() == entry
    assert restored.content is None


def test_error_names_file_and_reason(tmp_path) -> None:
    evidence = Evidence.of(written(tmp_path), "a.log")
    error = UnreadableError(evidence, "changed while it was read")
    assert (str(error), error.evidence) == ("a.log changed while it was read", evidence)
