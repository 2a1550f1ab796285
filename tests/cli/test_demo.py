"""The demo goes from evidence to report, and the report counts what allow lists hide."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from flowbench.cli import demo, main
from tests.traffic import T0, make_case, talk

BAD, WORSE = "203.0.113.50", "198.51.100.9"


def test_the_report_of_the_demo_counts_hidden_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = f"indicator,kind,feed\n{BAD},c2,feed\n{WORSE},c2,feed\n"
    records = [*talk("10.0.0.5", BAD, 443, T0), *talk("10.0.0.6", WORSE, 443, T0)]
    make_case(tmp_path, records, indicators=listed)
    evidence = tmp_path / "evidence"
    (evidence / "allow.txt").write_text(f"# feed: corp scanners\n# kind: allow\n{WORSE}\n")
    monkeypatch.setattr(demo, "checkout", lambda _: evidence)
    told = CliRunner().invoke(main, ["demo", "--case", str(tmp_path / "demo")])
    assert told.exit_code == 0, told.output
    assert "\n10.0.0.5  1 high  2026-09-01 00:00" in told.stdout
    assert "\n1 findings (1 high)" in told.stdout
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    told_of_hidden = page.partition("<h3>Findings hidden by allow lists</h3>")[2]
    assert told_of_hidden.startswith("\n<ul><li>1 by <b>corp scanners</b></li></ul>")
