"""A case: what goes in comes out, once, with its place, however rudely it is treated."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from pathlib import Path

import filelock
import pandas as pd
import pyarrow.parquet as pq
import pytest

from flowbench.case import Case, parts
from flowbench.errors import CaseError, InputError
from flowbench.loaders import batch, dispatch

HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status"
)


def record(number: int, *, action: str = "ACCEPT") -> str:
    start = 1788232200 + 60 * (number % 300)
    return (
        f"2 123456789012 eni-0a 10.0.1.10 198.51.100.{number % 200} {1024 + number % 60000} 443 6"
        f" 3 {1000 + number} {start} {start + 59} {action} OK"
    )


def write_log(path: Path, numbers: range) -> Path:
    text = "\n".join([HEADER, *map(record, numbers), ""])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for n in range(6):
        write_log(tmp_path / "logs" / f"{n}.log.gz", range(n * 100, n * 100 + 100))
    return tmp_path / "logs"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case")


def table_bytes(case: Path) -> dict[str, bytes]:
    tables = case / "tables"
    return {p.relative_to(tables).as_posix(): p.read_bytes() for p in tables.glob("*/*")}


def test_a_folder_is_read_whole(case, logs) -> None:
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


def test_opened_again_it_is_the_same(case, logs) -> None:
    case.ingest(logs)
    again = Case.open(case.path)
    assert again.flows.count().execute() == 600
    assert again.evidence.equals(case.evidence)
    assert again.name == "case"


def test_the_same_bytes_are_one_evidence_under_any_name(case, logs, tmp_path) -> None:
    shutil.copy(logs / "0.log.gz", logs / "copy.log.gz")
    files = case.ingest(logs).set_index("file")["outcome"]
    assert files.value_counts().to_dict() == {"loaded": 6, "already there": 1}
    assert case.ingest(logs)["outcome"].unique().tolist() == ["already there"]
    assert case.flows.count().execute() == 600


def test_evidence_is_not_touched(case, logs) -> None:
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in logs.iterdir()}
    case.ingest(logs)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in logs.iterdir()} == before


def test_copies_lie_under_their_digest_and_the_case_stands_alone(case, logs, tmp_path) -> None:
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


def test_extra_columns_of_some_files_are_null_in_the_others(case, tmp_path) -> None:
    (tmp_path / "a.log").write_text(
        "srcaddr dstaddr ecs-task-id brand-new\n10.0.0.1 10.0.0.2 t x\n"
    )
    (tmp_path / "b.log").write_text("srcaddr dstaddr\n10.0.0.3 10.0.0.4\n")
    case.ingest(tmp_path / "a.log", tmp_path / "b.log")
    rows = case.flows.order_by("srcaddr").to_pyarrow()
    assert rows["ecs_task_id"].to_pylist() == ["t", None]
    assert rows["brand_new"].to_pylist() == ["x", None]
    assert case.flows.count().execute() == 2


def test_what_cannot_be_read_is_kept_with_its_reason(case, tmp_path) -> None:
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
def test_nothing_to_read(case, tmp_path, name) -> None:
    (tmp_path / "empty-folder").mkdir()
    with pytest.raises(InputError, match=name):
        case.ingest(tmp_path / name)


def test_places_that_are_taken(case, tmp_path) -> None:
    with pytest.raises(CaseError, match="is a case already"):
        Case.create(case.path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(CaseError, match="not an empty folder"):
        Case.create(tmp_path / "full")
    with pytest.raises(CaseError, match="not an empty folder"):
        Case.create(tmp_path / "full" / "x")
    assert (tmp_path / "full" / "x").read_text() == "mine"


@pytest.mark.parametrize("content", [None, "{]", "[]", '{"name": "x", "format": 99}'])
def test_what_is_no_case(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "case.json").write_text(content)
    with pytest.raises(CaseError):
        Case.open(tmp_path)


def test_verify_names_what_changed(case, logs) -> None:
    case.ingest(logs)
    assert case.verify()["ok"].all()
    data = bytearray((logs / "3.log.gz").read_bytes())
    data[20] ^= 1
    (logs / "3.log.gz").write_bytes(data)
    (logs / "4.log.gz").unlink()
    part = next((case.path / "tables" / "flows").iterdir())
    part.unlink()
    log = case.path / "custody.jsonl"
    log.write_text(log.read_text().replace('"action":"create"', '"action":"erased"'))
    checked = Case.open(case.path).verify()
    bad = {row.name: row.detail for row in checked[~checked["ok"]].itertuples(index=False)}
    assert set(bad) == {"3.log.gz", "4.log.gz", f"flows/{part.name}", "custody.jsonl"}
    assert "changed since it was loaded (same size)" in bad["3.log.gz"]
    assert bad["4.log.gz"].startswith("missing")
    assert "entry 1: its content was changed" in bad["custody.jsonl"]


def test_a_second_load_at_the_same_time_is_refused(case, logs) -> None:
    with filelock.FileLock(case.path / "ingest.lock"), pytest.raises(CaseError, match="under way"):
        case.ingest(logs)
    assert case.ingest(logs)["records"].sum() == 600


def test_ctrl_c_leaves_whole_batches_and_nothing_else(case, logs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "ROWS_PER_BATCH", 200)
    monkeypatch.setattr(batch, "MAX_GROUP", 0)
    undisturbed = Case.create(tmp_path / "undisturbed")
    undisturbed.ingest(logs)

    def interrupt(done: int, total: int, name: str) -> None:
        if name == "4.log.gz":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.ingest(logs, progress=interrupt)
    assert case.flows.count().execute() == 400
    assert len(table_bytes(case.path)) == 2
    case.ingest(logs)
    assert table_bytes(case.path) == table_bytes(undisturbed.path)


def test_a_disk_that_refuses(case, logs, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.pq.ParquetWriter, "write_table", refuse)
    with pytest.raises(CaseError, match=r"No space left on device.*Make room"):
        case.ingest(logs)
    assert Case.open(case.path).flows.count().execute() == 0


def test_notes_are_in_the_chain(case) -> None:
    case.note("pool found", at=pd.Timestamp("2026-09-01T04:00Z"), about="10.0.1.10")
    notes = Case.open(case.path).notes
    assert [(n["text"], n["at"], n["about"]) for n in notes] == [
        ("pool found", "2026-09-01T04:00:00+00:00", "10.0.1.10")
    ]
    assert case.log.check() == []


def finding(**selector: object) -> dict[str, object]:
    chosen = {"subject": "10.0.1.10", "peers": ["198.51.100.7"], "ports": [], "protocol": None}
    return {"evidence": json.dumps(chosen | selector)}


def test_a_finding_leads_to_its_lines(case, logs) -> None:
    case.ingest(logs)
    rows = case.evidence_for(finding())
    assert rows["start"].is_monotonic_increasing
    rows = rows.sort_values("file", ignore_index=True)
    assert rows[["file", "line", "dstaddr"]].to_numpy().tolist() == [
        ["0.log.gz", 9, "198.51.100.7"],
        ["2.log.gz", 9, "198.51.100.7"],
        ["4.log.gz", 9, "198.51.100.7"],
    ]
    with gzip.open(logs / "2.log.gz", "rt") as file:
        assert file.read().splitlines()[8].split()[5] == str(rows["srcport"][1])
    assert len(case.evidence_for(finding(ports=[80]))) == 0
    assert len(case.evidence_for(finding(protocol=17))) == 0
    assert len(case.evidence_for(finding(until="2026-09-01T03:20:00+00:00"))) == 1
    with pytest.raises(InputError, match="not the evidence of a finding"):
        case.evidence_for({"detector": "x"})


def test_the_same_answer_twice_is_not_worked_out_twice(case, logs) -> None:
    case.ingest(logs)
    count = case.connections.count().execute()
    derived = {p: p.stat().st_mtime_ns for p in (case.path / "cache").iterdir()}
    again = Case.open(case.path)
    assert again.connections.count().execute() == count > 0
    assert {p: p.stat().st_mtime_ns for p in (case.path / "cache").iterdir()} == derived
    write_log(logs / "new.log.gz", range(9000, 9100))
    again.ingest(logs)
    assert again.connections.count().execute() > count
    shutil.rmtree(case.path / "cache")
    assert Case.open(case.path).connections.count().execute() > count


@pytest.mark.parametrize("name", ["it's", 'a "case"', "case[1]", "what?", "*", "ünï cödé"])
def test_a_case_in_a_folder_of_any_name(logs, tmp_path, name) -> None:
    case = Case.create(tmp_path / name)
    case.ingest(logs)
    assert case.connections.count().execute() > 0
    again = Case.open(case.path)
    assert (
        again.connection_summaries.connections.sum().execute() == case.connections.count().execute()
    )


def test_a_missing_part_is_named_with_the_remedy(case, logs) -> None:
    case.ingest(logs)
    part = next((case.path / "tables" / "flows").iterdir())
    part.unlink()
    with pytest.raises(CaseError, match=rf"among them {part.name}: load the same"):
        _ = Case.open(case.path).flows


def test_the_case_itself_is_no_evidence(case, logs, tmp_path) -> None:
    with pytest.raises(InputError, match="lies in the case itself"):
        case.ingest(case.path)
    with pytest.raises(InputError, match="lies in the case itself"):
        case.ingest(case.path / "custody.jsonl")
    found = case.ingest(tmp_path)  # evidence and case side by side in one folder
    assert found["file"].tolist() == [f"logs/{n}.log.gz" for n in range(6)]


def test_a_note_by_an_older_object_loses_nothing(case, logs) -> None:
    other = Case.open(case.path)
    other.ingest(logs)
    case.note("written by one who had not seen the load")
    again = Case.open(case.path)
    assert again.flows.count().execute() == 600
    assert [entry["action"] for entry in again.custody] == ["create", "load", "note"]
    assert again.verify()["ok"].all()


@pytest.mark.parametrize("damage", ["gone", "shortened", "changed", "{}"])
def test_a_damaged_log_costs_no_table_and_is_said(case, logs, damage) -> None:
    case.ingest(logs)
    before = table_bytes(case.path)
    log = case.path / "custody.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    if damage == "gone":
        log.unlink()
    else:
        text = {"shortened": lines[0], "changed": "".join(lines).replace("load", "lead")}
        log.write_text(text.get(damage, "".join([*lines, "{}\n"])))
    again = Case.open(case.path)
    assert not again.verify()["ok"].all()
    if damage != "shortened":
        with pytest.raises(CaseError, match="custody log was changed"):
            again.ingest(logs)
        assert table_bytes(case.path) == before


def test_another_case_among_the_evidence_is_left_out_and_said(case, logs, tmp_path) -> None:
    case.ingest(logs)
    third = Case.create(tmp_path / "third")
    found = third.ingest(tmp_path).set_index("file")["outcome"]
    assert found["case"] == "not readable"
    assert third.flows.count().execute() == 600
    assert "a case, not evidence" in third.quarantine.to_pandas()["reason"].iloc[0]


@pytest.mark.parametrize("files_an_entry", [10_000, 100])
def test_a_case_of_ten_thousand_files_opens_and_grows_at_once(case, logs, files_an_entry) -> None:
    known = [
        dispatch.Evidence(f"{n:016x}", f"{n:064x}", 50_000, f"AWSLogs/{n:040}.gz", f"/x/{n:040}.gz")
        for n in range(10_000)
    ]
    for n in range(0, len(known), files_an_entry):
        rows = [e.to_entry() | {"fields": HEADER.split()} for e in known[n : n + files_an_entry]]
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


@pytest.mark.parametrize("how", ["changed", "emptied", "no parquet"])
def test_a_derived_table_that_was_changed_is_not_believed(case, logs, how) -> None:
    case.ingest(logs)
    count = case.connections.count().execute()
    assert count > 1
    assert case.verify()["ok"].all()
    (path,) = (case.path / "cache").glob("*/connections.parquet")
    rows = case.connections.to_pyarrow()
    if how == "no parquet":
        path.write_bytes(b"rubbish")
    else:
        pq.write_table(rows.slice(0, 0 if how == "emptied" else 1), path)
    checked = case.verify().set_index("name")
    assert checked.index[~checked["ok"]].tolist() == [f"{path.parent.name}/{path.name}"]
    again = Case.open(case.path)
    assert again.connections.count().execute() == count
    assert again.verify()["ok"].all()


def test_a_finding_leads_to_its_records_where_many_stand_in_one_line(case, tmp_path) -> None:
    """CloudWatch Logs gives one line of JSON for thousands of records."""
    record = "2 123456789012 eni-0a 10.0.1.10 198.51.100.7 {} 443 6 1 2 {} {} ACCEPT OK"
    events = [
        {"timestamp": 1, "message": record.format(port, 1788232200, 1788232259)}
        for port in range(300, 0, -1)
    ]
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"events": events}))
    case.ingest(path)
    rows = case.evidence_for(finding())
    assert rows["line"].tolist() == [1] * 300
    assert rows["item"].tolist() == list(range(1, 301))
    assert rows["srcport"].tolist() == list(range(300, 0, -1))


def test_what_is_kept_is_there_as_long_as_it_is_asked(case, logs) -> None:
    case.ingest(logs)
    flows = case.flows

    def kept() -> int:
        return len(case._connection.con.execute("SHOW TABLES").fetchall())

    before = kept()
    with case.materialized(flows.group_by("dstport").aggregate(bytes=flows.bytes.sum())) as sums:
        assert sums.schema()["bytes"].is_int64()
        assert sums.bytes.sum().execute() == flows.bytes.sum().execute()
        assert kept() == before + 1
    assert kept() == before
    with pytest.raises(ZeroDivisionError):
        _fails_with(case)
    assert kept() == before


def _fails_with(case: Case) -> None:
    with case.materialized(case.flows.limit(1)):
        _ = 1 / 0
