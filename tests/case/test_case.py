"""A case: evidence is loaded once, with its position, and never changed."""

from __future__ import annotations

import os
import shutil
import time

import filelock
import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.errors import CaseError, InputError
from flowbench.loaders import dispatch
from tests.case.conftest import HEADER, record


def test_every_file_of_a_folder_is_loaded(case, logs) -> None:
    files = case.ingest(logs)
    assert files["outcome"].tolist() == ["loaded"] * 6
    assert files["records"].tolist() == [100] * 6
    flows = case.flows.order_by("bytes").to_pandas()
    assert flows["bytes"].tolist() == list(range(1000, 1600))
    assert flows["line"].tolist() == [*range(2, 102)] * 6
    evidence = case.evidence
    assert evidence["kind"].unique().tolist() == ["flow-logs"]
    assert evidence["first_seen"].min() == pd.Timestamp("2026-09-01T03:10:00Z")
    assert set(flows["evidence_id"]) == set(evidence["evidence_id"])
    assert case.fields == set(HEADER.replace("-", "_").split())
    assert case.span[0] == pd.Timestamp("2026-09-01T03:10:00Z")


def test_an_opened_case_equals_the_one_that_was_loaded(case, logs) -> None:
    case.ingest(logs)
    again = Case.open(case.path)
    assert again.flows.count().execute() == 600
    assert again.evidence.equals(case.evidence)
    assert again.name == "case"


def test_the_same_bytes_are_loaded_once_under_any_name(case, logs, tmp_path) -> None:
    shutil.copy(logs / "0.log.gz", logs / "copy.log.gz")
    files = case.ingest(logs).set_index("file")["outcome"]
    assert files.value_counts().to_dict() == {"loaded": 6, "already there": 1}
    assert case.ingest(logs)["outcome"].unique().tolist() == ["already there"]
    assert case.flows.count().execute() == 600


def test_evidence_is_not_modified(case, logs) -> None:
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in logs.iterdir()}
    case.ingest(logs)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in logs.iterdir()} == before


def test_copies_are_named_by_their_hash_and_move_with_the_case(case, logs, tmp_path) -> None:
    hostile = logs / "..%2f; rm -rf ~ '\"\n.log"
    hostile.write_text(record(5))
    case.ingest(logs, copy=True)
    moved = tmp_path / "elsewhere"
    shutil.move(case.path, moved)
    shutil.rmtree(logs)
    again = Case.open(moved)
    assert again.verify()["ok"].all()
    assert again.flows.count().execute() == 601
    assert sorted(p.name for p in (moved / "evidence").iterdir()) == sorted(
        again.evidence["sha256"]
    )


def test_unreadable_input_is_quarantined_with_its_reason(case, tmp_path) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "empty").write_bytes(b"")
    (tmp_path / "e" / "bin").write_bytes(os.urandom(3000) + b"\0")
    (tmp_path / "e" / "bad.log").write_text(f"{record(1)}\nrubbish\n{record(2)}\n")
    (tmp_path / "e" / "loop").symlink_to(tmp_path / "e" / "loop")
    (tmp_path / "e" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "e" / "self").symlink_to(tmp_path / "e")
    os.mkfifo(tmp_path / "e" / "pipe")
    files = case.ingest(tmp_path / "e").set_index("file")
    assert files["outcome"].to_dict() == {
        "bad.log": "loaded",
        "bin": "loaded",
        "empty": "loaded",
        "gone": "not readable",
        "loop": "not readable",
        "pipe": "not readable",
    }
    for _ in range(2):  # loading again adds nothing
        rows = case.quarantine.order_by("file").to_pandas()
        assert rows["file"].tolist() == ["bad.log", "bin", "empty", "gone", "loop", "pipe"]
        assert rows.loc[0, ["line", "raw", "reason"]].tolist() == [
            2,
            "rubbish",
            "1 fields where the format has 14",
        ]
        case.ingest(tmp_path / "e")
    assert case.flows.count().execute() == 2


@pytest.mark.parametrize("name", ["missing", "empty-folder"])
def test_a_path_without_files_is_refused(case, tmp_path, name) -> None:
    (tmp_path / "empty-folder").mkdir()
    with pytest.raises(InputError, match=name):
        case.ingest(tmp_path / name)


def test_a_second_load_at_the_same_time_is_refused(case, logs) -> None:
    with filelock.FileLock(case.path / "ingest.lock"), pytest.raises(CaseError, match="under way"):
        case.ingest(logs)
    assert case.ingest(logs)["records"].sum() == 600


def test_notes_are_entries_of_the_custody_log(case) -> None:
    case.note("pool found", at=pd.Timestamp("2026-09-01T04:00Z"), about="10.0.1.10")
    notes = Case.open(case.path).notes
    assert [(n["text"], n["at"], n["about"]) for n in notes] == [
        ("pool found", "2026-09-01T04:00:00+00:00", "10.0.1.10")
    ]
    assert case.log.check() == []


def test_the_case_itself_is_not_evidence(case, logs, tmp_path) -> None:
    with pytest.raises(InputError, match="lies in the case itself"):
        case.ingest(case.path)
    with pytest.raises(InputError, match="lies in the case itself"):
        case.ingest(case.path / "custody.jsonl")
    found = case.ingest(tmp_path)  # evidence and case side by side in one folder
    assert found["file"].tolist() == [f"logs/{n}.log.gz" for n in range(6)]


def test_another_case_among_the_evidence_is_left_out_and_reported(case, logs, tmp_path) -> None:
    case.ingest(logs)
    third = Case.create(tmp_path / "third")
    found = third.ingest(tmp_path).set_index("file")["outcome"]
    assert found["case"] == "not readable"
    assert third.flows.count().execute() == 600
    assert "a case, not evidence" in third.quarantine.to_pandas()["reason"].iloc[0]


@pytest.mark.parametrize("per_entry", [10_000, 100])
def test_a_case_of_ten_thousand_files_opens_and_loads_within_a_second(
    case, logs, per_entry
) -> None:
    known = [
        dispatch.Evidence(f"{n:016x}", f"{n:064x}", 50_000, f"AWSLogs/{n:040}.gz", f"/x/{n:040}.gz")
        for n in range(10_000)
    ]
    for n in range(0, len(known), per_entry):
        rows = [e.to_entry() | {"fields": HEADER.split()} for e in known[n : n + per_entry]]
        case.log._add("load", {"evidence": rows, "parts": []})
    start = time.process_time()
    again = Case.open(case.path)
    opened = time.process_time()
    files = again.ingest(logs / "0.log.gz")
    loaded = time.process_time()
    assert files["outcome"].tolist() == ["loaded"]
    assert len(again.log.evidence) == 10_001
    assert opened - start < 1
    assert loaded - opened < 1


@pytest.mark.parametrize("subject", ["nonsense", "", "10.0.0.0/24", "i-0aaaa1111"])
def test_connections_of_what_is_no_address_are_refused(case, subject: str) -> None:
    with pytest.raises(InputError, match=r"is not an address: fb\.pivot\.resolve"):
        case.connections_of(subject)
