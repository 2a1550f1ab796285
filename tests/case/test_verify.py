"""Verification names what changed, and nothing else."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from flowbench.case import Case, custody
from tests.case.conftest import write_log
from tests.io.test_archive import LOGS, tarred


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A case of three loads: logs, an archive, a file that cannot be read."""
    made = Case.create(tmp_path / "case")
    for n in range(3):
        write_log(tmp_path / "logs" / f"{n}.log.gz", range(n * 100, n * 100 + 100))
    made.ingest(tmp_path / "logs")
    (tmp_path / "more.tar").write_bytes(tarred(LOGS))
    made.ingest(tmp_path / "more.tar")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "gone").symlink_to("nowhere")
    made.ingest(tmp_path / "bad")
    made.note("as it should be")
    assert made.connection_summaries.count().execute() > 0
    assert made.verify()["ok"].all()
    return made


def wrong(case: Case) -> dict[str, str]:
    checked = Case.open(case.path).verify()
    bad = checked[~checked["ok"]]
    return dict(zip(bad["name"], bad["detail"], strict=True))


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << random.Random(place).randrange(8)
    path.write_bytes(data)


def test_a_changed_byte_in_any_file_names_that_file(case, tmp_path) -> None:
    chooser = random.Random(7)
    files = {path.name: path for path in (tmp_path / "logs").iterdir()}
    for folder in ("tables", "cache"):
        files |= {
            p.relative_to(case.path / folder).as_posix(): p
            for p in (case.path / folder).glob("*/*.parquet")
        }
    assert len(files) == 3 + 4 + 4
    for name, path in files.items():
        before = path.read_bytes()
        for place in (0, len(before) - 1, chooser.randrange(len(before))):
            flip(path, place)
            assert list(wrong(case)) == [name]
            path.write_bytes(before)
        path.unlink()
        assert list(wrong(case)) == [name]
        path.write_bytes(before)
    assert wrong(case) == {}


def test_a_changed_byte_in_an_archive_names_the_archive_and_the_member(case, tmp_path) -> None:
    path = tmp_path / "more.tar"
    flip(path, path.read_bytes().index(b"RunInstances"))
    assert list(wrong(case)) == ["more.tar", "more.tar/b/trail.json"]


def entries(case: Case) -> list[dict]:
    return [json.loads(line) for line in case.log.path.read_text().splitlines()]


def write(case: Case, changed: list[dict]) -> None:
    case.log.path.write_text("".join(custody._to_text(entry) + "\n" for entry in changed))


def test_an_edited_entry_is_named_by_its_position(case) -> None:
    for place in range(5):
        changed = entries(case)
        before = changed[place]["by"]
        changed[place]["by"] = "somebody else"
        write(case, changed)
        assert list(wrong(case).values()) == [
            f"custody log, entry {place + 1}: its content was changed ({changed[place]['action']})"
        ]
        changed[place]["by"] = before
        write(case, changed)
    assert wrong(case) == {}


def test_reordered_added_and_removed_entries_are_named(case) -> None:
    good = entries(case)
    write(case, [good[0], good[2], good[1], *good[3:]])
    assert "custody log, entry 2: it is numbered 3; entries were moved" in all_of(case)
    write(case, [*good[:2], *good[3:]])
    assert "custody log, entry 3: does not follow the entry before it" in all_of(case)
    write(case, [*good, good[-1]])
    assert "custody log, entry 6: does not follow the entry before it" in all_of(case)


def test_entries_removed_from_the_end_leave_parts_without_an_entry(case) -> None:
    write(case, entries(case)[:2])
    found = wrong(case)
    parts = sorted(case.path.glob("tables/*/0000000[34]-*.parquet"))
    assert sorted(name for name in found if "/" in name and "connections" not in name) == [
        path.relative_to(case.path / "tables").as_posix() for path in parts
    ]
    assert set(found.values()) == {"no entry of the custody log names it"}


def all_of(case: Case) -> list[str]:
    checked = Case.open(case.path).verify()
    return checked.loc[~checked["ok"], "detail"].tolist()


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
