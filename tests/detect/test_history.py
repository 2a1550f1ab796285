"""The run history: runs are kept in the case, and the next one shows what changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowbench import detect
from flowbench.case import Case, custody
from flowbench.cli import main
from flowbench.detect import history
from flowbench.errors import CaseError
from tests.traffic import FIELDS, T0, Record, connect, make_case

HOST, OTHER, BAD, WORSE = "10.0.0.5", "10.0.0.6", "203.0.113.50", "198.51.100.9"
LISTED = f"indicator,kind,feed\n{BAD},c2,feed\n{WORSE},c2,feed\n"


pytestmark = pytest.mark.usefixtures("few_detectors")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def more(case: Case, name: str, *records: Record) -> None:
    path = case.path.parent / name
    lines = [" ".join(field.replace("_", "-") for field in FIELDS)]
    path.write_text("\n".join([*lines, *(record.text(FIELDS) for record in records)]) + "\n")
    assert case.ingest(path)["quarantined"].sum() == 0


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return make_case(tmp_path, connect(HOST, BAD, 443, T0), indicators=LISTED)


def contacts(result: str) -> list[tuple[str, str, str]]:
    rows = [row for row in json.loads(result) if row["detector"] == "contact"]
    return [(row["change"], row["subject"], row["changed"]) for row in rows]


def test_since_last(case: Case) -> None:
    first = run("detect", case.path, "--since-last", "--format", "json")
    assert (first.exit_code, first.stdout) == (0, "[]\n")
    assert "no earlier run to compare with" in first.stderr

    same = run("detect", case.path, "--since-last", "--format", "json")
    assert same.stdout == "[]\n"
    assert "0 new, 0 changed, 0 gone" in same.stderr
    assert "evidence: 2 files then, 2 now: the same; the same detectors" in same.stderr

    again = connect(HOST, BAD, 443, T0 + 3_600, source_port=41_000)
    more(case, "later.log", *again, *connect(OTHER, WORSE, 443, T0 + 3_600))
    result = run("detect", case.path, "--since-last", "--format", "json")
    new, changed = contacts(result.stdout)
    assert new == ("new", OTHER, "")
    assert changed[:2] == ("changed", HOST)
    assert "connections 1 -> 2" in changed[2]
    assert "evidence: 2 files then, 3 now" in result.stderr
    assert "new evidence: later.log (flow-logs)\n" in result.stderr
    assert "code" not in result.stderr

    shown = run("detect", case.path, "--since-last")
    assert shown.stdout == ""


def test_a_finding_that_is_gone(case: Case) -> None:
    run("detect", case.path)
    allow = case.path.parent / "allow.txt"
    allow.write_text(f"# feed: corp\n# kind: allow\n{BAD}\n")
    case.ingest(allow)
    result = run("detect", case.path, "--since-last", "--format", "json")
    assert contacts(result.stdout) == [("changed", HOST, "now suppressed by corp")]
    assert "(indicators)" in result.stderr


def test_only_some_detectors_are_compared_and_not_kept(case: Case) -> None:
    run("detect", case.path)
    more(case, "later.log", *connect(OTHER, WORSE, 443, T0 + 3_600))
    result = run("detect", case.path, "--since-last", "--only", "contact", "--format", "json")
    assert contacts(result.stdout) == [("new", OTHER, "")]
    assert {row["detector"] for row in json.loads(result.stdout)} == {"contact"}
    actions = [entry["action"] for entry in Case.open(case.path).custody]
    assert actions == ["create", "load", "connections", "detect", "load", "connections"]


def test_since_last_and_show_suppressed_exclude_each_other(case: Case) -> None:
    result = run("detect", case.path, "--since-last", "--show-suppressed")
    assert result.exit_code == 2
    assert "--show-suppressed" in result.stderr


def test_a_run_is_kept_once_and_read_back_equal(case: Case) -> None:
    assert history.last_run(case) is None
    found = detect.run(case, keep=False)
    assert history.keep(case, found) is True
    assert history.keep(case, found) is False
    assert history.keep(Case.open(case.path), found) is False
    kept = history.last_run(Case.open(case.path))
    assert kept is not None
    assert kept.findings == found
    assert kept.detectors.keys() == set(detect.plan(case).query("runs")["detector"])
    assert detect.compare(kept.findings, found).empty
    assert [e["action"] for e in case.custody].count("detect") == 1

    more(case, "quiet.log", *connect("10.0.0.7", "10.0.0.8", 443, T0))
    alike = detect.run(case, keep=False)
    assert history.keep(case, alike) is True  # other evidence: another run
    files = [p.name for p in sorted((case.path / "findings").glob("*.parquet"))]
    kept_files = [e["details"]["runs"][0]["file"] for e in case.custody if e["action"] == "detect"]
    assert files == sorted(set(kept_files))


def test_what_differs_is_attributed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    history.keep(case, detect.run(case, keep=False))
    before = history.last_run(case)
    assert before is not None
    assert history.differences(case, before) == [
        "evidence: 2 files then, 2 now: the same; the same detectors"
    ]
    code = before.detectors | {"contact": "other", "psychic": "x"}
    code.pop("mining")
    other = history.Run(before.time, before.log_length, "0.0.1", code, "other", before.findings)
    case.set_policy("countries: {deny: [KP]}")
    assert history.differences(case, other)[1:] == [
        "the segmentation policy has changed",
        f"flowbench: 0.0.1 then, {history.__version__} now",
        "detectors that did not run then: mining, segmentation",
        "detectors that no longer run: psychic",
        "detectors whose code has changed: contact",
        "the code that detectors share has changed",
    ]
    monkeypatch.setattr(history, "__version__", "9")
    assert history.keep(case, before.findings) is True  # the same findings by other code


def test_verify_covers_what_is_kept(case: Case) -> None:
    run("detect", case.path)
    assert run("verify", case.path).exit_code == 0
    (path,) = (case.path / "findings").glob("*.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:-9] + b"X" + data[-8:])
    checked = run("verify", case.path, "--format", "json")
    assert checked.exit_code == 1
    assert [(r["what"], r["name"]) for r in json.loads(checked.stdout) if not r["ok"]] == [
        ("findings", path.name)
    ]
    with pytest.raises(CaseError, match="were changed since"):
        history.last_run(Case.open(case.path))
    result = run("detect", case.path, "--since-last")
    assert result.exit_code == 0
    assert "nothing to compare with" in result.stderr
    assert path.read_bytes() == data  # the same findings: they are whole again
    assert len(list((case.path / "set-aside").iterdir())) == 1  # what was changed is kept
    path.unlink()
    assert "cannot be read" in run("detect", case.path, "--since-last").stderr
    assert run("verify", case.path).exit_code == 0


@pytest.mark.parametrize("step", ["replace", "append"])
def test_killed_at_any_instant(case: Case, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    run("detect", case.path)
    more(case, "later.log", *connect(OTHER, WORSE, 443, T0 + 3_600))
    found = detect.run(case, keep=False)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr({"replace": Path, "append": custody.CustodyLog}[step], step, killed)
        with pytest.raises(KeyboardInterrupt):
            history.keep(case, found)
    reopened = Case.open(case.path)
    assert reopened.verify()["ok"].all()
    kept = history.last_run(reopened)
    assert kept is not None
    assert "new" in detect.compare(kept.findings, found)["change"].tolist()
    assert history.keep(reopened, found) is True
    named = {e["details"]["runs"][0]["file"] for e in reopened.custody if e["action"] == "detect"}
    assert {p.name for p in (case.path / "findings").iterdir()} - {"findings.lock"} == named


def test_a_case_that_cannot_be_written_still_answers(case: Case) -> None:
    (case.path / "findings").write_text("in the way")
    result = run("detect", case.path, "--format", "json")
    assert result.exit_code == 0
    assert "contact" in {row["detector"] for row in json.loads(result.stdout)}
    assert "this run is not kept: cannot write" in result.stderr


def test_an_invalid_entry_is_a_problem(case: Case) -> None:
    case.log.append("detect", runs=[{"file": "x"}], seen=1)
    case.log.append("detect", runs=5, seen="many")
    assert len(Case.open(case.path).log.problems) == 2
