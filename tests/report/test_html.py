"""The report: what it must say, of any case; and that it harms and fetches nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from flowbench import report
from flowbench.case import Case
from flowbench.errors import InputError
from tests.story import (
    CALLER,
    DATABASE,
    EXIT,
    HOST,
    INSTANCE,
    INTERFACE,
    MAKER,
    POOL,
    ROGUE,
    calls,
    inventory,
    story,
)
from tests.traffic import FIELDS, T0, make_case, talk


class Page(HTMLParser):
    """The page's text by section, and everything in it that a browser would fetch or run."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.sections: dict[str, str] = {}
        self.links: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts = 0
        self._open: list[str] = []
        self._where = ""
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "link", "img"):
            self._open.append(tag)
        self.scripts += tag == "script"
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if tag == "section" and name == "id":
                self._where = value or ""

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self.handle_data(" " if tag in ("td", "th", "b") else "")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.sections[self._where] = self.sections.get(self._where, "") + data

    def text(self, section: str) -> str:
        return re.sub(r"\s+", " ", self.sections[section])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return story(tmp_path_factory.mktemp("report") / "story")


@pytest.fixture(scope="module")
def page(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(report.write(case, tmp_path_factory.mktemp("out") / "report.html"))


def test_the_summary_tells_the_story(page: Page) -> None:
    said = page.text("summary")
    for part in (
        f"Instance {INSTANCE} (interface {INTERFACE}, address {HOST}) is the subject of 4 findings",
        "from 2026-09-01 00:00:00 to 2026-09-01 05:56:59 UTC",
        f"started at 2026-08-31 23:01:00 UTC by {ROGUE}",
        f"called from {CALLER}",
        f"set up by {MAKER} (CreateUser, CreateAccessKey), from 2026-08-31 20:00:00 UTC on",
        f"{HOST} opened 72 connections to {EXIT} on 443/tcp (https) over 5.9 h, one every 5.0 min",
        f"held 3 connections to {POOL} on 3333/tcp (stratum)",
        f"Also found as Contact with a listed address (mining): {HOST} opened 3 connections",
        "GuardDuty, from its own copy of the logs, raised one finding: CryptoCurrency:EC2",
        f"At 2026-09-01 07:00:00 UTC bob called StopInstances on {INSTANCE}",
    ):
        assert part in said, part
    assert said.index(POOL) < said.index(EXIT)  # by time


def test_every_section_is_there_and_in_the_contents(page: Page) -> None:
    wanted = ["summary", "subject-1", "timeline", "iocs", "network", "findings", "alerts",
              "coverage", "custody", "limits"]  # fmt: skip
    assert [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")] == (
        wanted
    )
    targets = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {f"#{name}" for name in wanted} <= targets
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert {target[1:] for target in targets} <= ids  # no link leads nowhere


def test_findings_show_their_records(case: Case, page: Page) -> None:
    flows = case.evidence.set_index("kind").loc["flow-logs"]
    found = page.text("findings")
    assert "Rests on 144 flow log records. The first 5:" in found
    assert f"{flows['source']} = {flows['file']}" in found
    assert f"{flows['source']}:" in found
    assert f"{HOST} 50000 {DATABASE} 3306 6 1 60 2 REJECT" in found
    assert "was refused 8 times" in found
    assert "A refusal shows the try, not the intent" in found


def test_steps_cite_event_file_and_record(case: Case, page: Page) -> None:
    source = case.api_events.evidence_id.to_pyarrow().to_pylist()[0]
    assert f"event e5{source}:6" in page.text("subject-1")
    assert f"e8{source}:9" in page.text("timeline")


def test_indicators_alerts_and_custody(case: Case, page: Page) -> None:
    handed = page.text("iocs")
    for indicator in (POOL, EXIT, CALLER, ROGUE, INSTANCE, INTERFACE, "eu.pool.example"):
        assert indicator in handed
    assert re.search(
        r"CryptoCurrency:EC2/BitcoinTool\.B.*mining-\w+ contact-\w+", page.text("alerts")
    )
    custody = page.text("custody")
    for row in case.evidence.itertuples():
        assert row.sha256 in custody
        assert row.file in custody
    assert case.log.head in custody
    assert "flowbench 0" in custody


def test_coverage_counts_silence_and_holes(page: Page) -> None:
    said = page.text("coverage")
    assert "flow-logs 1 " in said
    assert "0 say NODATA (watched, and silent) and 0 say SKIPDATA." in said
    assert "1 interfaces of the inventory stand in no record: eni-idle" in said
    assert "the quarantine is empty" in said


def test_nothing_is_fetched(page: Page) -> None:
    policy = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "content")]
    assert policy[0].startswith("default-src 'none'; ")
    assert "http" not in policy[0]
    loading = {"src", "srcset", "data", "action", "background", "poster", "formaction"}
    assert [a for a in page.attributes if a[1] in loading] == []
    hrefs = [value for _, name, value in page.attributes if name == "href"]
    assert all(value.startswith("#") for value in hrefs)
    assert "@import" not in page.html.partition("</style>")[0]
    assert not any(
        tag in ("link", "iframe", "object", "embed", "base") for tag, _, _ in page.attributes
    )


def test_nothing_hostile_becomes_markup(page: Page) -> None:
    assert "<script>alert" not in page.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x0anext" in page.html
    figures = page.html.count('id="figure-')
    # One script for plotly, one a figure; a name with <script> would make more.
    assert (figures, page.scripts) == (5, 6)
    assert not any(name.startswith("on") for _, name, _ in page.attributes)


def test_text_that_reorders_itself_is_shown_as_codes(tmp_path: Path) -> None:
    text = json.dumps(calls())
    for end in ('"', "/"):
        text = text.replace(f'{end}eve"', f'{end}ev\\u202ee\\u0000"')
    events = json.loads(text)
    case = make_case(
        tmp_path, talk(HOST, POOL, 3333, T0, seconds=7 * 3600, interface_id="eni-miner"),
        interfaces=inventory(),
        json_lines=events, indicators=f"indicator,kind\n{POOL},mining\n",
    )  # fmt: skip
    html = report.write(case, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "ev\\x202e" in html
    assert not re.search("[\u202a-\u202e\x00]", html)


def test_the_same_case_gives_the_same_bytes(case: Case, page: Page, tmp_path: Path) -> None:
    again = report.write(Case.open(case.path), tmp_path / "again.html")
    assert again.read_text(encoding="utf-8") == page.html
    assert list(tmp_path.iterdir()) == [again]  # nothing left aside


def test_an_empty_case(tmp_path: Path) -> None:
    page = Page(report.write(Case.create(tmp_path / "empty"), tmp_path / "r.html"))
    assert "No finding of high severity or above." in page.text("summary")
    assert "The case holds no flow records." in page.text("")
    assert "The case holds no GuardDuty evidence." in page.text("alerts")
    assert "Detectors that did not run" in page.text("findings")


def test_a_case_of_flows_alone(tmp_path: Path) -> None:
    fields = [name for name in FIELDS if name not in ("tcp_flags", "pkt_srcaddr", "pkt_dstaddr")]
    case = make_case(tmp_path, talk(HOST, POOL, 3333, T0, seconds=7 * 3600), fields=fields)
    page = Page(report.write(case, tmp_path / "r.html"))
    assert "Who spoke with whom" in page.text("network")
    assert page.text("coverage").count("flow-logs") == 1


def test_a_grave_finding_without_companions_says_where_the_chain_ends(tmp_path: Path) -> None:
    case = make_case(
        tmp_path, talk(HOST, POOL, 3333, T0, seconds=7 * 3600),
        indicators=f"indicator,kind\n{POOL},mining\n",
    )  # fmt: skip
    said = Page(report.write(case, tmp_path / "r.html")).text("summary")
    assert f"No inventory lists an interface with {HOST}." in said
    assert "There is no CloudTrail evidence: who started eni-a cannot be told." in said


def test_what_could_not_be_read_is_counted_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "flows.log").write_text(
        "srcaddr dstaddr start end bytes packets action\n"
        "10.0.0.5 10.0.0.6 1788220800 1788220860 1 1 ACCEPT\n"
        "10.0.0.5 10.0.0.6 yesterday 1788220860 1 1 ACCEPT\n"
    )
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "flows.log")
    said = Page(report.write(case, tmp_path / "r.html")).text("coverage")
    assert "What could not be read" in said
    assert re.search(r"flow-logs.*yesterday.*flows\.log, line 3", said)


@pytest.mark.parametrize("place", ["missing/r.html", "folder"])
def test_a_place_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    case = Case.create(tmp_path / "empty")
    with pytest.raises(InputError, match=f"cannot write .*{place}"):
        report.write(case, tmp_path / place)
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "empty"}


def test_winterday(winterday: Case, winterday_findings: Any, answers: Any, tmp_path: Path) -> None:
    path = report.write(winterday, tmp_path / "r.html", findings=winterday_findings)
    assert path.stat().st_size < 8_000_000
    said = Page(path).text("summary")
    user, refused = answers["user"], answers["rejected"]
    for part in (
        answers["instance"], answers["interface"], answers["address"], answers["pool"]["address"],
        answers["tor"]["address"], f"one every {answers['tor']['period_minutes']}.0 min",
        user["arn"], user["access_key"], user["source_address"], user["created_by"],
        f"refused {refused['connections']} times", "RDS", "EFS",
        *(f"{door['address']} on {door['port']}" for door in refused["doors"]),
    ):  # fmt: skip
        assert part in said, part
