"""Reports: the digest beside the file and in the log."""

from __future__ import annotations

import hashlib

import pytest

from flowbench.case import Case, reports
from flowbench.case.custody import CustodyLog

DATA = b"<!doctype html>10.0.1.10"


def write(case: Case, data: bytes = DATA, name: str = "report.html") -> None:
    reports.write_report(case.path, case.log, case.path / name, data)


def results(case: Case) -> dict[str, str]:
    checks = reports.check_reports(case.path, CustodyLog(case.log.path, "t"))
    return {check.name: check.result for check in checks}


def test_the_digest_is_beside_the_report_and_in_the_log(case) -> None:
    write(case)
    sha256 = hashlib.sha256(DATA).hexdigest()
    beside = case.path / "report.html.sha256"
    assert beside.read_text() == f"{sha256}  report.html\n"
    (entry,) = case.log.entries_of("report")
    assert entry["details"]["files"] == [
        {"file": "report.html", "sha256": sha256, "bytes": len(DATA)}
    ]
    assert results(case) == {"report.html": "intact", "report.html.sha256": "intact"}
    write(case)
    assert len(case.custody) == 2  # the same report is not logged again


@pytest.mark.parametrize("what", ["report.html", "report.html.sha256"])
def test_a_change_is_found(case, what) -> None:
    write(case)
    path = case.path / what
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1) + b" ")
    other = ({"report.html", "report.html.sha256"} - {what}).pop()
    assert results(case) == {what: "altered", other: "intact"}


def test_a_report_that_was_replaced_with_a_digest_that_fits_is_found(case) -> None:
    write(case)
    (case.path / "report.html").write_bytes(b"other")
    digest = hashlib.sha256(b"other").hexdigest()
    (case.path / "report.html.sha256").write_text(f"{digest}  report.html\n")
    assert set(results(case).values()) == {"altered"}


def test_a_moved_report_is_not_available_and_a_lone_one_is_intact(case, tmp_path) -> None:
    write(case)
    (case.path / "report.html.sha256").unlink()
    assert results(case) == {"report.html": "intact", "report.html.sha256": "note"}
    (case.path / "report.html").rename(tmp_path / "moved.html")
    assert results(case) == {"report.html": "not available"}
    assert case.verify()["ok"].all()


def test_a_report_outside_the_case_has_its_whole_path(case, tmp_path) -> None:
    path = tmp_path / "out.html"
    reports.write_report(case.path, case.log, path, DATA)
    assert set(results(case)) == {str(path), "out.html.sha256"}
    path.write_bytes(b"x")
    assert results(case)[str(path)] == "altered"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_kill_while_a_report_is_written_is_no_alarm(case, monkeypatch, step) -> None:
    write(case)
    calls = iter(range(1, 10))
    replace = reports.Path.replace

    def killed(*args: object) -> object:
        if next(calls) == step:  # custody.head, the digest, the report
            raise KeyboardInterrupt
        return replace(*args)

    with monkeypatch.context() as patched:
        patched.setattr(reports.Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write(case, b"second")
    assert set(results(case).values()) == {"intact"}
    write(case, b"second")
    assert set(results(case).values()) == {"intact"}


def test_the_report_of_a_case_that_cannot_be_written_stands_alone(case, tmp_path) -> None:
    case.log.head_path.write_bytes(b"9 x\n")
    reports.write_report(case.path, case.log, tmp_path / "out.html", DATA)
    assert (tmp_path / "out.html.sha256").exists()
    assert len(case.custody) == 1


def test_a_report_that_is_no_file_is_not_readable(case) -> None:
    write(case)
    path = case.path / "report.html"
    path.unlink()
    path.mkdir()
    assert results(case)["report.html"] == "not readable"
