"""Nothing is written over evidence or over the case."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowbench import report
from flowbench.case import Case
from flowbench.case.outputs import check_output
from flowbench.errors import InputError
from tests.cli.running import run
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("outputs")
    return make_case(folder, connect("10.0.0.5", "203.0.113.1", 443, T0))


def test_evidence_and_links_to_it_are_refused(case: Case, tmp_path: Path) -> None:
    (evidence,) = map(Path, case.evidence["path"])
    (tmp_path / "soft.html").symlink_to(evidence)
    os.link(evidence, tmp_path / "hard.html")
    for path in (evidence, tmp_path / "soft.html", tmp_path / "hard.html"):
        with pytest.raises(InputError, match="is evidence of the case, which stays as it is"):
            check_output(case, path)
    with pytest.raises(InputError, match="is evidence of the case"):
        report.write(case, evidence)
    assert case.verify()["ok"].all()


def test_files_of_the_case_are_refused_and_others_in_its_folder_are_not(case: Case) -> None:
    (case.path.parent / "big").mkdir()
    (case.path / "findings").symlink_to(case.path.parent / "big")
    names = ("case.json", "CASE.JSON", "custody.jsonl", "tables/x.html", "cache/../tables/flows/y")
    for name in (*names, "cache", "findings/x.json", "seals/anchor.txt"):
        with pytest.raises(InputError, match="belongs to the case: choose another file"):
            check_output(case, case.path / name)
    for name in ("report.html", "playbooks/beaconing.html", "tables.html"):
        check_output(case, case.path / name)


@pytest.mark.parametrize(
    "words",
    [
        "report CASE -o",
        "run coverage-and-cost --case CASE -o",
        "export CASE --to stix -o",
        "pack CASE -o",
        "graph CASE --figure",
        "flows CASE --format csv -o",
        "verify CASE -o",
    ],
)
def test_commands_do_not_overwrite_evidence(case: Case, words: str) -> None:
    (evidence,) = map(Path, case.evidence["path"])
    before = evidence.read_bytes()
    arguments = [str(case.path) if word == "CASE" else word for word in words.split()]
    result = run(*arguments, str(evidence))
    assert result.exit_code == 2
    assert "is evidence of the case" in result.output
    assert evidence.read_bytes() == before


def test_files_beside_a_result_are_refused_too(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.1", 443, T0))
    for name in ("r.html.sha256", "s.pdf", f"{case.path.name}.zip"):
        (case.path.parent / name).write_text(f"{name}\n")
        case.ingest(case.path.parent / name)
    (case.path.parent / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"r\.html is evidence"):
        check_output(case, case.path.parent / "r.html")
    check_output(case, case.path.parent / "loop")
    for words in (["report", str(case.path), "--pdf", "-o", str(case.path.parent / "s.html")],
                  ["pack", str(case.path)]):  # fmt: skip
        result = run(*words)
        assert (result.exit_code, "is evidence of the case" in result.output) == (2, True)
    assert case.verify()["ok"].all()


def test_a_load_does_not_write_over_what_it_has_read(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.1", 443, T0))
    new = tmp_path / "new.csv"
    new.write_text("indicator,kind\n203.0.113.1,tor\n")
    result = run("ingest", str(case.path), str(new), "--no-connections", "-o", str(new))
    assert (result.exit_code, "is evidence of the case" in result.output) == (2, True)
    assert new.read_text().startswith("indicator,kind")
    assert Case.open(case.path).verify()["ok"].all()
