"""Tests of flowbench demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench import scenario
from flowbench.cli import demo as _command  # noqa: F401
from flowbench.cli.demo import write_evidence
from flowbench.errors import InputError
from tests.cli.running import run
from tests.traffic import T0, connect, make_case

BAD, WORSE = "203.0.113.50", "198.51.100.9"


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two contacts with indicators, one of them suppressed, in place of Winterday's evidence."""
    listed = f"indicator,kind,feed\n{BAD},c2,feed\n{WORSE},c2,feed\n"
    records = [*connect("10.0.0.5", BAD, 443, T0), *connect("10.0.0.6", WORSE, 443, T0)]
    make_case(tmp_path / "made", records, indicators=listed)
    folder = tmp_path / "data" / "winterday" / "evidence"
    folder.parent.mkdir(parents=True)
    (tmp_path / "made" / "evidence").rename(folder)
    (folder / "allow.txt").write_text(f"# feed: corp scanners\n# kind: allow\n{WORSE}\n")
    monkeypatch.chdir(tmp_path)
    return folder


def test_from_evidence_to_report(evidence: Path, tmp_path: Path) -> None:
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert "\n10.0.0.5  1 high  2026-09-01 00:00" in result.stdout
    assert "\n1 finding (1 high)" in result.stdout
    page = (tmp_path / "cases" / "winterday" / "report.html").read_text(encoding="utf-8")
    assert "corp scanners" in page


def test_a_second_demo_uses_the_case_that_exists(evidence: Path, tmp_path: Path) -> None:
    assert run("demo", "--case", tmp_path / "c").exit_code == 0
    again = run("demo", "--case", tmp_path / "c")
    assert again.exit_code == 0
    assert "files already in the case." in again.stderr


def test_missing_evidence_is_generated_once(tmp_path: Path, monkeypatch) -> None:
    calls = []

    def write(name: str, folder: Path) -> None:
        calls.append(name)
        (folder / "evidence").mkdir(parents=True)

    monkeypatch.setattr(scenario, "write", write)
    for _ in range(2):
        assert write_evidence(tmp_path) == tmp_path / "data" / "winterday" / "evidence"
    assert calls == ["winterday"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["winterday"]


def test_an_interrupted_generation_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def write(_name: str, folder: Path) -> None:
        folder.mkdir()
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(scenario, "write", write)
    with pytest.raises(KeyboardInterrupt):
        write_evidence(tmp_path)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_folder_of_that_name_is_not_overwritten(tmp_path: Path) -> None:
    own = tmp_path / "data" / "winterday"
    own.mkdir(parents=True)
    (own / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="without a folder 'evidence'"):
        write_evidence(tmp_path)
    assert (own / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(InputError, match="cannot write"):
        write_evidence(tmp_path)


@pytest.mark.slow
def test_the_generated_evidence_is_that_of_the_repository(tmp_path: Path, answers) -> None:
    write_evidence(tmp_path)
    made = json.loads((tmp_path / "data" / "winterday" / "answers.json").read_text())
    assert made == answers
