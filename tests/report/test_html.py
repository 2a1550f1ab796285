"""The report: its content, and that nothing in it is run or fetched."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect, report
from flowbench.case import Case
from flowbench.errors import InputError
from tests.incident_case import (
    CALLER,
    CREATOR,
    DATABASE,
    EXIT,
    HOST,
    INSTANCE,
    INTERFACE,
    POOL,
    ROGUE,
    api_event,
    make_api_events,
    make_incident_case,
    make_inventory,
)
from tests.traffic import FIELDS, T0, connect, make_case


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
    return make_incident_case(tmp_path_factory.mktemp("report") / "incident")


@pytest.fixture(scope="module")
def page(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(report.write(case, tmp_path_factory.mktemp("out") / "report.html"))


def test_a_group_has_attribution_timeline_and_indicators(page: Page) -> None:
    text = page.text("group-1")
    for part in (
        f"Instance {INSTANCE} (interface {INTERFACE}, address {HOST}) is the subject of 4 findings",
        "2026-09-01 00:00:00 to 2026-09-01 05:56:59 UTC",
        f"Instance {INSTANCE} was launched at 2026-08-31 23:01:00 UTC (RunInstances) by {ROGUE}",
        f"source address {CALLER}",
        f"{CREATOR} called CreateUser and CreateAccessKey for {ROGUE.rpartition('/')[2]}, first at",
        EXIT,
        POOL,
        "Indicator match (mining)",
        "GuardDuty reported CryptoCurrency:EC2/BitcoinTool.B",
        f"bob called StopInstances on {INSTANCE}",
        "To search for and to block: ",
        "Own assets involved, not to be blocked: ",
    ):
        assert part in text, part
    to_block = text.partition("To search for and to block:")[2].partition("Own assets")[0]
    assert (POOL in to_block, EXIT in to_block, INTERFACE in to_block) == (True, True, False)


def test_every_section_is_in_the_contents(page: Page) -> None:
    wanted = [
        *("summary", "group-1", "timeline", "indicators", "network", "findings", "guardduty"),
        *("coverage", "quarantine", "custody", "method", "glossary"),
    ]
    assert [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")] == (
        wanted
    )
    targets = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {f"#{name}" for name in wanted} <= targets
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert {target[1:] for target in targets} <= ids  # every link has a target


def test_findings_cite_their_records(case: Case, page: Page) -> None:
    flows = case.evidence.set_index("kind").loc["flow-logs"]
    text = page.text("findings")
    assert "Supporting flow log records: 144. The first 5:" in text
    assert f"{flows['evidence_id']} = {flows['file']}" in text
    assert f"{flows['evidence_id']}:" in text
    assert f"{HOST} 50000 {DATABASE} 3306 6 1 60 2 REJECT" in text
    assert re.search(r"lateral-movement-\w+, score 0\.\d\d, ATT&CK T\d+", text)


def test_findings_cite_their_api_events(tmp_path: Path) -> None:
    sources = ["198.51.100.4", "203.0.113.4"] * 3
    events = [
        api_event(f"e-{n}", "ListBuckets", T0 + 60 * n, ip=source, error="AccessDenied")
        for n, source in enumerate(sources)
    ]
    made = make_case(tmp_path, [], json_lines=events)
    text = Page(report.write(made, tmp_path / "report.html")).text("findings")
    assert "Supporting API events and DNS queries: 6. The first 5:" in text
    assert "2026-09-01 00:00:00 eve ListBuckets 198.51.100.4 AccessDenied e-0" in text


def test_steps_cite_event_file_and_record(case: Case, page: Page) -> None:
    evidence_id = case.api_events.evidence_id.to_pyarrow().to_pylist()[0]
    assert f"event e5{evidence_id}:6" in page.text("group-1")
    assert f"e8{evidence_id}:9" in page.text("timeline")


def test_indicators_guardduty_and_custody(case: Case, page: Page) -> None:
    indicators = page.text("indicators")
    for indicator in (POOL, EXIT, CALLER, ROGUE, INSTANCE, INTERFACE, "eu.pool.example"):
        assert indicator in indicators
    assert re.search(
        r"CryptoCurrency:EC2/BitcoinTool\.B.*(mining|contact)-\w+ (mining|contact)-\w+",
        page.text("guardduty"),
    )
    custody = page.text("custody")
    for row in case.evidence.itertuples():
        assert row.sha256 in custody
        assert row.file in custody
    assert case.log.content_entry["digest"] in custody
    assert "flowbench 0" in custody


def test_coverage_and_quarantine(page: Page) -> None:
    text = page.text("coverage")
    assert "flow-logs 1 " in text
    assert "log-status NODATA (no traffic in the aggregation interval): 0." in text
    assert "Records with SKIPDATA (records lost in the interval): 0." in text
    assert "Interfaces of the inventory that no flow log record names: 1 (eni-idle)." in text
    assert "The quarantine is empty" in page.text("quarantine")


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
    # One script for plotly and one per figure; a name with <script> would add more.
    assert (figures, page.scripts) == (6, 7)
    assert not any(name.startswith("on") for _, name, _ in page.attributes)


def test_no_line_ends_within_an_id_of_a_sentence(page: Page) -> None:
    assert f'<span class="whole">{INSTANCE}</span>' in page.html


@pytest.mark.usefixtures("few_detectors")
def test_direction_characters_are_shown_as_codes(tmp_path: Path) -> None:
    text = json.dumps(make_api_events())
    for end in ('"', "/"):
        text = text.replace(f'{end}eve"', f'{end}ev\\u202ee\\u0000"')
    events = json.loads(text)
    case = make_case(
        tmp_path, connect(HOST, POOL, 3333, T0, seconds=7 * 3600, interface_id="eni-miner"),
        interfaces=make_inventory(),
        json_lines=events, indicators=f"indicator,kind\n{POOL},mining\n",
    )  # fmt: skip
    html = report.write(case, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "ev\\u202e" in html
    assert not re.search("[\u202a-\u202e\x00]", html)


def test_the_same_case_gives_the_same_bytes(case: Case, page: Page, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    again.write_text(f"{page.html} of before", encoding="utf-8")  # an earlier report is replaced
    assert report.write(Case.open(case.path), again) == again
    assert again.read_text(encoding="utf-8") == page.html
    beside = tmp_path / "again.html.sha256"
    assert sorted(tmp_path.iterdir()) == [again, beside]  # no temporary file
    sha256 = hashlib.sha256(again.read_bytes()).hexdigest()
    assert beside.read_text() == f"{sha256}  again.html\n"


def test_decisions_are_shown_with_their_reasons(tmp_path: Path) -> None:
    records = [*connect("10.0.0.5", "203.0.113.5", 443, T0), *connect("10.0.0.5", EXIT, 443, T0)]
    text = f"indicator,kind,feed\n203.0.113.5,c2,x\n{EXIT},c2,x\n"
    case = make_case(tmp_path, records, indicators=text)
    first, second = detect.run(case, only=["contact"])
    case.decide(first, "confirmed", "<b>the owner")
    case.decide(second, "dismissed", "<b>a sandbox")
    findings = detect.run(case, only=["contact"])
    html = report.write(case, tmp_path / "report.html", findings).read_text(encoding="utf-8")
    assert "<b>Decision:</b> confirmed by " in html
    assert "&lt;b&gt;the owner" in html
    assert "<li>1  <b>dismissed by " in html
    assert "&lt;b&gt;a sandbox" in html


def test_linked_groups_have_a_figure_and_a_table(tmp_path: Path) -> None:
    records = [
        *connect("10.0.0.5", "10.0.0.6", 22, T0 + 60, packets=40),
        *connect("10.0.0.5", "203.0.113.5", 443, T0),
        *connect("10.0.0.6", EXIT, 443, T0 + 3600),
    ]
    text = f"indicator,kind,feed\n203.0.113.5,c2,x\n{EXIT},c2,x\n"
    case = make_case(tmp_path, records, indicators=text)
    findings = detect.run(case, only=["contact"])
    html = report.write(case, tmp_path / "report.html", findings).read_text(encoding="utf-8")
    section = html.partition('<section id="links">')[2].partition("</section>")[0]
    assert "administrative session, port 22</td>" in section
    assert "Linked finding groups" in section
    assert section.count(f'<a href="#{findings[0].finding_id}">') == 1


def test_an_empty_case(tmp_path: Path) -> None:
    page = Page(report.write(Case.create(tmp_path / "empty"), tmp_path / "r.html"))
    assert "No finding of high or critical severity." in page.text("summary")
    assert "the case has no flow log records." in page.text("")
    assert "The case has no GuardDuty evidence." in page.text("guardduty")
    assert "Detectors that did not run" in page.text("findings")


@pytest.mark.usefixtures("few_detectors")
def test_a_case_of_flows_alone(tmp_path: Path) -> None:
    fields = [name for name in FIELDS if name not in ("tcp_flags", "pkt_srcaddr", "pkt_dstaddr")]
    case = make_case(tmp_path, connect(HOST, POOL, 3333, T0, seconds=7 * 3600), fields=fields)
    page = Page(report.write(case, tmp_path / "r.html"))
    assert "Communication graph" in page.text("network")
    assert page.text("coverage").count("flow-logs") == 1


@pytest.mark.usefixtures("few_detectors")
def test_gaps_of_the_attribution_are_stated(tmp_path: Path) -> None:
    case = make_case(
        tmp_path, connect(HOST, POOL, 3333, T0, seconds=7 * 3600),
        indicators=f"indicator,kind\n{POOL},mining\n",
    )  # fmt: skip
    text = Page(report.write(case, tmp_path / "r.html")).text("group-1")
    assert f"No inventory lists an interface with {HOST}." in text
    assert "There is no CloudTrail evidence of who created eni-a." in text


def test_quarantined_lines_are_counted_by_reason(tmp_path: Path) -> None:
    (tmp_path / "flows.log").write_text(
        "srcaddr dstaddr start end bytes packets action\n"
        "10.0.0.5 10.0.0.6 1788220800 1788220860 1 1 ACCEPT\n"
        "10.0.0.5 10.0.0.6 yesterday 1788220860 1 1 ACCEPT\n"
    )
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "flows.log")
    text = Page(report.write(case, tmp_path / "r.html")).text("quarantine")
    assert "could not be read" in text
    assert re.search(r"flow-logs.*yesterday.*flows\.log, line 3", text)


@pytest.mark.parametrize("place", ["missing/r.html", "folder"])
def test_an_unwritable_path_is_an_input_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    case = Case.create(tmp_path / "empty")
    with pytest.raises(InputError, match=f"cannot write .*{place}"):
        report.write(case, tmp_path / place)
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "empty"}


def test_winterday(winterday: Case, winterday_findings: Any, answers: Any, tmp_path: Path) -> None:
    path = report.write(winterday, tmp_path / "r.html", findings=winterday_findings)
    assert path.stat().st_size < 8_000_000
    page = Page(path)
    first = page.text("summary")
    assert "critical with high confidence that it happened: seen in flow logs, CloudTrail" in first
    assert (
        "Last connection 2026-09-03 16:42 UTC, 7.3 h before the end of flow logs. Last API call"
        " from the external addresses 2026-09-03 02:05 UTC, 21.7 h before the end of CloudTrail."
        " The evidence does not show whether it is over."
    ) in first
    assert "Outbound data 1.8 MB to 3 external addresses of the findings." in first
    assert (
        "Policy PowerUserAccess of svc-nightly-sync allows all actions of AWS services except most"
        " of IAM, Organizations and Account Management."
    ) in first
    assert "the logs do not show who used it: ask the owner" in first
    assert "Containment contained in part" in first
    assert f"to launch {answers['instance']} ({answers['address']})" in first
    assert "Crypto-mining traffic, launched instances, remote access" in first
    assert "attempted 40 connections to 5 internal hosts, all of which were rejected" in first
    assert "every 5.0 min" in first
    user = answers["user"]
    assert f"Disable access key AKIAEXAMPLEMARLOW001 of {user['created_by']} and issue" in first
    assert len(first) < 4_000
    text = page.text("group-1")
    for part in (
        answers["instance"],
        answers["interface"],
        answers["address"],
        answers["pool"]["address"],
        answers["tor"]["address"],
        user["arn"],
        user["access_key"],
        user["source_address"],
        user["created_by"],
    ):
        assert part in text, part
