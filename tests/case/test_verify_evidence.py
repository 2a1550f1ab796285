"""Evidence: intact, altered, moved, found again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from tests.case.conftest import write_log
from tests.io.test_archive import LOGS, tarred


@pytest.fixture
def loaded(case, tmp_path) -> Case:
    for n in range(3):
        write_log(tmp_path / "logs" / "deep" / f"{n}.log.gz", range(n * 10, n * 10 + 10))
    case.ingest(tmp_path / "logs")
    return case


def results(case: Case, *folders: Path) -> dict[str, tuple[str, str]]:
    rows = case.verify(evidence=folders)
    rows = rows[rows["what"] == "evidence"]
    return {row.name: (row.result, row.detail) for row in rows.itertuples()}


def kinds(case: Case, *folders: Path) -> list[str]:
    return [result for result, _ in results(case, *folders).values()]


def test_moved_evidence_is_not_available_until_it_is_found(loaded, tmp_path) -> None:
    (tmp_path / "logs").rename(tmp_path / "archive")
    found = results(loaded)
    assert {result for result, _ in found.values()} == {"not available"}
    assert found["deep/0.log.gz"][1] == f"no longer at {tmp_path / 'logs' / 'deep' / '0.log.gz'}"
    assert loaded.verify()["ok"].all()
    found = results(loaded, tmp_path / "archive")
    assert {result for result, _ in found.values()} == {"intact"}
    assert found["deep/0.log.gz"][1] == f"found at {tmp_path / 'archive' / 'deep' / '0.log.gz'}"


def test_evidence_is_found_under_any_name_in_any_of_the_folders(loaded, tmp_path) -> None:
    for n, folder in enumerate(("a", "b", "c")):
        (tmp_path / folder).mkdir()
        (tmp_path / "logs" / "deep" / f"{n}.log.gz").rename(tmp_path / folder / f"renamed-{n}")
    folders = [tmp_path / folder for folder in ("a", "b", "c")]
    assert kinds(loaded, *folders) == ["intact"] * 3
    assert kinds(loaded, *folders[:2]) == ["intact", "intact", "missing"]


def test_what_is_not_where_the_user_says_fails(loaded, tmp_path) -> None:
    (tmp_path / "logs").rename(tmp_path / "archive")
    target = tmp_path / "archive" / "deep" / "1.log.gz"
    target.write_bytes(target.read_bytes() + b"x")
    (tmp_path / "archive" / "deep" / "2.log.gz").unlink()
    assert kinds(loaded, tmp_path / "archive") == ["intact", "altered", "missing"]
    assert not loaded.verify(evidence=[tmp_path / "archive"])["ok"].all()


def test_an_intact_copy_counts_and_the_changed_file_is_said(loaded, tmp_path) -> None:
    shutil.copytree(tmp_path / "logs", tmp_path / "copy")
    target = tmp_path / "logs" / "deep" / "1.log.gz"
    target.write_bytes(b"other")
    assert kinds(loaded) == ["intact", "altered", "intact"]
    result, detail = results(loaded, tmp_path / "copy")["deep/1.log.gz"]
    assert result == "intact"
    assert detail.endswith("; the file that it was loaded from has changed")


def test_copies_in_the_case_must_be_there(case, tmp_path) -> None:
    path = write_log(tmp_path / "a.log.gz", range(9))
    case.ingest(path, copy=True)
    path.unlink()
    assert kinds(case) == ["intact"]
    (copy,) = (case.path / "evidence").iterdir()
    copy.unlink()
    assert kinds(case) == ["missing"]
    assert not case.verify()["ok"].all()


def test_members_follow_their_archive(case, tmp_path) -> None:
    path = tmp_path / "logs.tar"
    path.write_bytes(tarred(LOGS))
    case.ingest(path)
    count = len(case.evidence)
    assert kinds(case) == ["intact"] * count
    moved = path.rename(tmp_path / "moved.tar")
    assert kinds(case) == ["not available"] * count
    (tmp_path / "there").mkdir()
    moved = moved.rename(tmp_path / "there" / "x")
    assert kinds(case, tmp_path / "there") == ["intact"] * count
    moved.rename(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"RunInstances", b"RunInstancex"))
    assert sorted(kinds(case)) == ["altered"] * 2 + ["intact"] * (count - 2)


def test_a_folder_that_does_not_exist_is_refused(case, tmp_path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        case.verify(evidence=[tmp_path / "nowhere"])


def test_a_case_on_its_own_passes(loaded, tmp_path) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(loaded.path, other)
    shutil.rmtree(tmp_path / "logs")
    checked = Case.open(other).verify()
    assert checked["ok"].all()
    assert (checked["result"] == "not available").sum() == 3
