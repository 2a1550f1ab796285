"""Verification names what changed, and nothing else."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest

from flowbench.case import Case, custody
from flowbench.case.custody import CustodyLog
from flowbench.case.verify import verify_folder
from flowbench.errors import CaseError, InputError
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
    assert len(files) == 3 + 4 + 8
    for name, path in files.items():
        before = path.read_bytes()
        for place in (0, len(before) - 1, chooser.randrange(len(before))):
            flip(path, place)
            assert list(wrong(case)) == [name]
            path.write_bytes(before)
        path.unlink()
        assert list(wrong(case)) == ([name] if "/" in name else [])  # evidence may be elsewhere
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
    for place in range(len(entries(case))):
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
    position = len(good) + 1
    assert f"custody log, entry {position}: does not follow the entry before it" in all_of(case)


def test_entries_removed_from_the_end_are_detected_and_leave_parts_without_an_entry(case) -> None:
    good = entries(case)
    write(case, good[:2])
    found = wrong(case)
    parts = sorted(case.path.glob("tables/*/0000000[34]-*.parquet"))
    names = [path.relative_to(case.path / "tables").as_posix() for path in parts]
    assert sorted(name for name in found if "/" in name and "connections" not in name) == names
    assert {found[name] for name in names} == {"the custody log has no entry for it"}
    assert f"custody.head names entry {len(good)}" in found["custody.jsonl"]


def all_of(case: Case) -> list[str]:
    checked = Case.open(case.path).verify()
    return checked.loc[~checked["ok"], "detail"].tolist()


def test_verify_names_what_changed(case, logs) -> None:
    case.ingest(logs)
    assert case.verify()["ok"].all()
    data = bytearray((logs / "3.log.gz").read_bytes())
    data[20] ^= 1
    (logs / "3.log.gz").write_bytes(data)
    part = next((case.path / "tables" / "flows").iterdir())
    part.unlink()
    (case.path / "findings").mkdir()
    (case.path / "findings" / "0.parquet").write_bytes(b"planted")
    log = case.path / "custody.jsonl"
    log.write_text(log.read_text().replace('"action":"load"', '"action":"lost"', 1))
    checked = Case.open(case.path).verify()
    bad = {row.name: row.detail for row in checked[~checked["ok"]].itertuples(index=False)}
    assert set(bad) == {"3.log.gz", f"flows/{part.name}", "0.parquet", "custody.jsonl"}
    assert "changed (same size)" in bad["3.log.gz"]
    assert bad[f"flows/{part.name}"].startswith("not at ")
    assert "entry 2: its content was changed" in bad["custody.jsonl"]


@pytest.mark.parametrize("way", ["name", "created", "flip", "cut", "gone"])
def test_a_changed_manifest_is_named_and_all_else_is_verified(case, way) -> None:
    path = case.path / "case.json"
    content = json.loads(path.read_text())
    if way == "gone":
        path.unlink()
    elif way in content:
        path.write_text(json.dumps(content | {way: "2020"}, indent=2) + "\n")
    elif way == "flip":
        flip(path, 10)
    else:
        path.write_bytes(path.read_bytes()[:-1])
    checked = verify_folder(case.path)
    assert checked.loc[~checked["ok"], "name"].tolist() == ["case.json"]
    assert {"evidence", "table", "custody"} <= set(checked["what"])


def test_an_older_case_is_compared_by_its_name(tmp_path) -> None:
    case = Case.create(tmp_path / "case", "ünï")
    case.log.path.unlink()
    case.log.head_path.unlink()
    CustodyLog(case.log.path, "flowbench 0.0").append("create", name="ünï")
    assert verify_folder(case.path)["ok"].all()
    content = json.loads((case.path / "case.json").read_text()) | {"name": "another"}
    (case.path / "case.json").write_text(json.dumps(content))
    checked = verify_folder(case.path)
    assert checked.loc[~checked["ok"], "detail"].tolist() == ["the name was 'ünï'"]


def test_another_format_is_still_refused(tmp_path) -> None:
    case = Case.create(tmp_path / "case")
    path = case.path / "case.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 1'))
    log = CustodyLog(tmp_path / "other.jsonl", "t")
    log.append("create", name="case", manifest=hashlib.sha256(path.read_bytes()).hexdigest())
    log.path.replace(case.log.path)
    with pytest.raises(CaseError, match="case format 1"):
        verify_folder(case.path)
    with pytest.raises(CaseError, match="is not a case"):
        verify_folder(tmp_path / "nothing")


def test_a_noted_head_is_in_the_chain(case) -> None:
    noted = case.log.head
    case.note("written later")
    (row,) = head_rows(case, noted.upper())
    assert row["ok"]
    count = len(case.custody)
    assert f"entry {count - 1} of {count} has this digest, 20" in row["detail"]
    assert row["detail"].endswith("1 entry added since (note)")
    (row,) = head_rows(case, case.log.head)
    assert "added since" not in row["detail"]


@pytest.mark.parametrize("way", ["rewritten", "cut"])
def test_a_chain_rewritten_whole_lacks_the_noted_head(case, way) -> None:
    case.note("the last entry")
    noted, log = case.log.head, case.log.path
    changed = entries(case)[: -1 if way == "cut" else None]
    previous = custody.START
    for entry in changed:
        entry["by"] = "somebody" if way == "rewritten" else entry["by"]
        entry["previous"] = previous
        entry["digest"] = previous = custody.entry_digest(entry)
    write(case, changed)
    log.with_suffix(".head").write_text(f"{len(changed)} {previous}\n")
    assert wrong(case) == {}  # nothing in the folder tells
    (row,) = head_rows(Case.open(case.path), noted)
    assert not row["ok"]
    assert noted in row["detail"]


@pytest.mark.parametrize("head", ["", "12", "g" * 64, "0" * 63, "0" * 65])
def test_what_is_no_digest_is_refused(case, head) -> None:
    with pytest.raises(InputError, match="64 hex digits"):
        case.verify(head=head)


def head_rows(case: Case, head: str) -> list[dict]:
    checked = case.verify(head=head)
    return checked[checked["name"] == "noted head"].to_dict("records")


def test_a_link_in_place_of_a_part_is_altered(case, tmp_path) -> None:
    part = next(iter((case.path / "tables" / "flows").iterdir()))
    copy = tmp_path / "elsewhere.parquet"
    part.rename(copy)
    part.symlink_to(copy)
    rows = case.verify().query("result == 'altered'")
    assert rows["name"].tolist() == [f"flows/{part.name}"]
    assert rows["detail"].str.contains("is a link").all()
