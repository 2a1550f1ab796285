"""Damaged tables are rebuilt from the evidence, once, and in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case, parts
from flowbench.errors import CaseError
from flowbench.loaders import batch
from tests.case.conftest import write_log
from tests.io.test_archive import LOGS, tarred, zipped


def part_of(case: Case, table: str = "flows", number: int = 0) -> Path:
    return sorted((case.path / "tables" / table).iterdir())[number]


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data if how == "changed" else data[:-10])


def rows(case: Case) -> list:
    return case.flows.order_by("evidence_id", "line").to_pyarrow().to_pylist()


@pytest.mark.parametrize("how", ["missing", "changed", "shortened"])
def test_evidence_given_again_rebuilds_its_tables(case, logs, how) -> None:
    case.ingest(logs)
    before, head = rows(case), case.log.head
    assert set(case.ingest(logs)["outcome"]) == {"already there"}  # nothing to restore
    assert case.log.head == head
    damage(part_of(case), how)
    assert not case.verify()["ok"].all()
    write_log(logs / "new.log.gz", range(9000, 9010))
    files = case.ingest(logs)
    assert files["outcome"].value_counts().to_dict() == {"rebuilt": 6, "loaded": 1}
    assert files["records"].sum() == 610
    again = Case.open(case.path)
    assert again.verify()["ok"].all()
    assert [r for r in rows(again) if r["bytes"] < 10_000] == before
    assert len(again.evidence) == 7
    moved = [] if how == "missing" else ["set-aside"]  # the damaged part
    actions = [e["action"] for e in again.custody]
    assert actions == ["create", "load", "load", "load", *moved]
    assert again.custody[3]["details"]["supersedes"] == [2]
    assert set(again.ingest(logs)["outcome"]) == {"already there"}


def test_one_file_is_enough_while_the_others_are_where_they_were(case, logs) -> None:
    case.ingest(logs)
    damage(part_of(case), "missing")
    moved = (logs / "3.log.gz").rename(logs.parent / "elsewhere.gz")
    files = case.ingest(moved).set_index("file")["outcome"]
    assert files.drop("elsewhere.gz").unique().tolist() == ["rebuilt"]
    assert len(rows(case)) == 600
    manifest = case.evidence.set_index("file")["path"]
    assert manifest["3.log.gz"] == str(moved)
    assert case.verify()["ok"].all()


def test_without_all_of_its_evidence_a_load_is_not_rebuilt(case, logs) -> None:
    case.ingest(logs)
    damage(part_of(case), "changed")
    (logs / "3.log.gz").unlink()
    write_log(logs / "5.log.gz", range(5))
    head = len(case.custody)
    files = case.ingest(logs).set_index("file")["outcome"]
    assert files["3.log.gz"] == "not readable"
    assert files["0.log.gz"] == "already there"
    assert files["5.log.gz"] == "loaded"  # other bytes: other evidence
    assert len(case.custody) == head + 2
    reasons = case.quarantine.to_pandas()["reason"].tolist()
    assert ["needed to rebuild a table" in reason for reason in reasons] == [True]
    assert not case.verify()["ok"].all()


def test_a_rebuilt_load_may_have_other_parts_with_new_numbers(
    case,
    logs,
    monkeypatch,
) -> None:
    case.ingest(logs)
    damage(part_of(case), "missing")
    monkeypatch.setattr(parts, "ROWS_PER_BATCH", 100)  # as if another flowbench had cut it
    monkeypatch.setattr(batch, "MAX_GROUP", 0)
    case.ingest(logs)
    assert len(list((case.path / "tables" / "flows").iterdir())) == 6
    for number in range(3):
        case.ingest(write_log(logs / f"new{number}.gz", range(8000 + number, 8001 + number)))
    assert len(list((case.path / "tables" / "flows").iterdir())) == 9
    assert len(rows(case)) == 603
    assert Case.open(case.path).verify()["ok"].all()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_of_an_archive_are_rebuilt(case, tmp_path, kind) -> None:
    path = tmp_path / "logs.bin"
    path.write_bytes(zipped(LOGS) if kind == "zip" else tarred(LOGS))
    case.ingest(path)
    before, manifest = rows(case), case.evidence
    damage(part_of(case), "missing")
    damage(part_of(case, "api_events"), "changed")
    files = case.ingest(path)
    assert files["outcome"].tolist() == ["rebuilt"] * 4
    assert rows(case) == before
    assert case.evidence.equals(manifest)
    assert case.verify()["ok"].all()


def test_copies_rebuild_a_case_that_has_lost_its_evidence(case, logs, tmp_path) -> None:
    case.ingest(logs, copy=True)
    damage(part_of(case), "missing")
    (first, *rest) = sorted(logs.iterdir())
    for path in rest:
        path.unlink()
    case.ingest(first)
    assert len(rows(case)) == 600
    assert case.evidence["path"].tolist()[1:] == [
        f"evidence/{sha}" for sha in case.evidence["sha256"][1:]
    ]
    assert case.verify()["ok"].all()


def test_the_quarantine_of_unreadable_files_is_rebuilt(case, logs) -> None:
    (logs / "gone").symlink_to("nowhere")
    case.ingest(logs)
    damage(part_of(case, "quarantine"), "missing")
    with pytest.raises(CaseError, match="load the same evidence again"):
        _ = Case.open(case.path).quarantine
    case.ingest(logs)
    again = Case.open(case.path)
    assert again.quarantine.to_pandas()["file"].tolist() == ["gone"]
    assert again.verify()["ok"].all()


def test_a_list_is_read_again_with_the_same_columns(case, tmp_path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("Address,Why\n192.0.2.1,miner\n")
    case.ingest(path, columns=["indicator=Address,kind=Why"])
    before = case.indicators.select("indicator", "kind").to_pyarrow().to_pylist()
    assert before == [{"indicator": "192.0.2.1", "kind": "mining"}]
    damage(part_of(case, "indicators"), "missing")
    assert set(case.ingest(path)["outcome"]) == {"rebuilt"}
    assert case.indicators.select("indicator", "kind").to_pyarrow().to_pylist() == before
    assert Case.open(case.path).verify()["ok"].all()
