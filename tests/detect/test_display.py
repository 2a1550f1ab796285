"""Findings as HTML: escaped, the most severe first, no colours that a dark theme hides."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from flowbench.detect import Findings
from tests.detect.examples import example_finding

HOSTILE = "<script>alert(1)</script> \x1b[2J \u202e &"


class Tags(HTMLParser):
    """Collects the tags of a page and checks that they are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_table_of_findings() -> None:
    findings = Findings(example_finding(subject=f"10.0.0.{n}") for n in range(30))
    html = findings._repr_html_()
    assert Tags(html).seen.count("tr") == 1 + 25
    assert "<caption>30 findings: 30 high</caption>" in html
    assert "5 more; .to_pandas() has all." in html
    cells = (
        "high<br/>0.50",
        "10.0.0.0<br/>203.0.113.5",
        "2026-09-01 00:00<br/>to 2026-09-01 01:00",
    )
    for cell in cells:
        assert f">{cell}</td>" in html


def test_the_most_severe_is_shown_first() -> None:
    low, high = example_finding(severity="low"), example_finding(subject="10.0.0.9")
    html = Findings([low, high])._repr_html_()
    assert html.index("10.0.0.9") < html.index("10.0.0.5")


def test_one_finding_with_its_facts() -> None:
    finding = replace(example_finding(scores={"sizes": 0.5}), suppressed_by="corp list")
    html = finding._repr_html_()
    assert "dl" in Tags(html).seen
    for text in ("10.0.0.5", "203.0.113.5", "because", "0.50 (sizes 0.50)", "corp list"):
        assert text in html
    assert "2026-09-01 00:00 to 2026-09-01 01:00 UTC" in html
    assert finding.finding_id in html


def test_hostile_text_stays_text() -> None:
    finding = example_finding([HOSTILE], subject=HOSTILE, summary=HOSTILE, caveats=HOSTILE)
    finding = replace(finding, title=HOSTILE, suppressed_by=HOSTILE)
    for html in (finding._repr_html_(), Findings([finding])._repr_html_()):
        assert "script" not in Tags(html).seen
        assert "\x1b" not in html
        assert "\u202e" not in html
        assert "&lt;script&gt;" in html


def test_text_has_the_colour_of_the_theme() -> None:
    finding = example_finding()
    for html in (finding._repr_html_(), Findings([finding])._repr_html_()):
        assert not re.search(r"[;'\"]\s*(color|background)", html)
