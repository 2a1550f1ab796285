"""Allow lists suppress findings, and the findings state which list did and why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowbench import detect, report
from flowbench.case import Case
from flowbench.cli import main
from tests.traffic import T0, Record, connect, interface, make_case, reject

HOST, OTHER, BAD, WORSE = "10.0.0.5", "10.0.0.6", "203.0.113.50", "198.51.100.9"
LISTED = f"indicator,kind,feed\n{BAD},c2,feed\n{WORSE},c2,feed\n2001:db8::9,c2,feed\n"
ONLY = ["contact", "lateral-movement"]


def allow(*items: str, feed: str = "corp scanners", more: str = "") -> str:
    head = f"# feed: {feed}\n# kind: allow\n{more}"
    return head + "\n".join(items) + "\n"


def case_with(folder: Path, records: Iterable[Record], *lists: str, **given: object) -> Case:
    case = make_case(folder, records, **{"indicators": LISTED} | given)
    for number, text in enumerate(lists):
        path = folder / f"list{number}.txt"
        path.write_text(text)
        assert case.ingest(path)["quarantined"].sum() == 0
    return case


def suppressed(case: Case) -> list[tuple[str, str, str]]:
    found = detect.run(case, only=ONLY)
    assert all(finding.suppressed_by is None for finding in found)
    return sorted((f.subject, f.suppressed_by, f.suppression_reason) for f in found.suppressed)


def reported(case: Case) -> list[tuple[str, str]]:
    found = detect.run(case, only=ONLY)
    return sorted((finding.detector, finding.subject) for finding in found)


def both() -> list[Record]:
    return [*connect(HOST, BAD, 443, T0), *connect(OTHER, WORSE, 443, T0)]


def test_without_allow_lists_nothing_is_suppressed(tmp_path: Path) -> None:
    case = case_with(tmp_path, both())
    assert suppressed(case) == []
    assert reported(case) == [("contact", HOST), ("contact", OTHER)]


def test_a_listed_peer_suppresses_with_list_and_reason(tmp_path: Path) -> None:
    text = allow(BAD, more="# reason: ticket 7, a sandbox\n")
    case = case_with(tmp_path, both(), text)
    assert suppressed(case) == [(HOST, "corp scanners", "ticket 7, a sandbox")]
    assert reported(case) == [("contact", OTHER)]


def test_a_reason_of_the_line_and_of_a_column(tmp_path: Path) -> None:
    plain = allow(f"{BAD} # our honeypot", more="# reason: general\n")
    table = f"indicator,kind,feed,reason\n{WORSE},allow-list,ours,a test range\n"
    case = case_with(tmp_path, both(), plain, table)
    assert suppressed(case) == [
        (HOST, "corp scanners", "our honeypot"), (OTHER, "ours", "a test range"),
    ]  # fmt: skip


def test_a_listed_subject_suppresses_internal_addresses_too(tmp_path: Path) -> None:
    case = case_with(tmp_path, both(), allow("10.0.0.4/31", "2001:db8::/64"))
    assert suppressed(case) == [(HOST, "corp scanners", "")]
    tried = [reject(HOST, f"10.0.7.{n}", 22, T0) for n in range(1, 5)]
    own = [interface(HOST, "a")]
    case = case_with(tmp_path / "2", tried, allow(HOST), interfaces=own)
    assert ("lateral-movement", HOST) not in reported(case)
    assert (HOST, "corp scanners", "") in suppressed(case)


def test_ipv6(tmp_path: Path) -> None:
    case = case_with(tmp_path, connect("fd00::5", "2001:db8::9", 443, T0), allow("2001:db8::9"))
    assert [row[0] for row in suppressed(case)] == ["fd00::5"]


@pytest.mark.parametrize("whole", ["10.0.0.0/8", "8.0.0.0/5", "10.0.0.0-10.255.255.255"])
def test_the_whole_range_of_a_registry_does_not_match(tmp_path: Path, whole: str) -> None:
    """Warning lists hold RFC 1918 whole: loading one must not suppress internal findings."""
    case = case_with(tmp_path, both(), allow(whole))
    assert suppressed(case) == []


def test_every_peer_must_be_listed(tmp_path: Path) -> None:
    noise = [reject(peer, HOST, 22, T0, source_port=41_000) for peer in (BAD, WORSE)]
    some = case_with(tmp_path / "1", noise, allow(BAD))
    assert suppressed(some) == []
    every = case_with(tmp_path / "2", noise, allow(BAD, feed="a"), allow(WORSE, feed="b"))
    assert suppressed(every) == [(HOST, "a, b", "")]


def test_the_more_specific_list_decides(tmp_path: Path) -> None:
    records = both()
    cloud = case_with(tmp_path / "1", records, allow("203.0.113.0/24", feed="a cloud's ranges"))
    assert suppressed(cloud) == []
    wide = "indicator,kind,feed\n203.0.113.0/24,c2,feed\n"
    alike = case_with(tmp_path / "2", records, allow("203.0.113.0/24"), indicators=wide)
    assert [row[0] for row in suppressed(alike)] == [HOST]


def test_a_domain_is_least_specific_on_allow_lists_and_most_on_others(tmp_path: Path) -> None:
    def asked(name: str) -> dict[str, object]:
        return {
            "version": "1.100000", "account_id": "1", "region": "us-east-1", "vpc_id": "vpc-1",
            "query_timestamp": "2026-09-01T00:00:00Z", "query_name": name, "rcode": "NOERROR",
            "query_type": "A", "query_class": "IN", "srcaddr": HOST, "srcport": "5",
            "transport": "UDP", "answers": [{"Rdata": BAD, "Type": "A", "Class": "IN"}],
        }  # fmt: skip

    names = [asked("good.example."), asked("evil.example.")]
    records = connect(HOST, BAD, 443, T0)
    by_name = case_with(
        tmp_path / "1", records, allow("good.example"), json_lines=names,
        indicators="indicator,kind,feed\n203.0.113.0/28,c2,feed\n",
    )  # fmt: skip
    assert suppressed(by_name) == []
    records = connect(HOST, BAD, 443, T0)
    accused = case_with(
        tmp_path / "2", records, allow(BAD), json_lines=names,
        indicators="indicator,kind,feed\nevil.example,c2,feed\n",
    )  # fmt: skip
    assert suppressed(accused) == []


def test_another_port_or_time_does_not_match(tmp_path: Path) -> None:
    port = f"indicator,kind,port\n{BAD},allow,8443\n{WORSE},allow,443\n"
    case = case_with(tmp_path / "1", both(), port)
    assert [row[0] for row in suppressed(case)] == [OTHER]
    case = case_with(tmp_path / "2", both(), allow(BAD, more="# valid_until: 2026-08-01\n"))
    assert suppressed(case) == []


def test_a_warning_list_as_misp_prints_it(tmp_path: Path) -> None:
    listed = {
        "name": "Known <b>scanners</b>", "version": 1, "type": "cidr", "description": "research",
        "list": [BAD, "10.0.0.0/8"], "matching_attributes": ["ip-src"],
    }  # fmt: skip
    case = case_with(tmp_path, both())
    (tmp_path / "warning.json").write_text(json.dumps(listed))
    case.ingest(tmp_path / "warning.json")
    assert suppressed(case) == [(HOST, "Known <b>scanners</b>", "research")]


def test_a_finding_that_names_only_some_peers_is_not_suppressed_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowbench.detect.detectors import segmentation

    case = case_with(tmp_path, [reject(f"192.0.2.{n}", HOST, 22, T0) for n in range(1, 9)],
                allow("192.0.2.0/24"), interfaces=[interface(HOST, "a")])  # fmt: skip
    case.set_policy(
        f"groups: {{a: {{addresses: {HOST}}}}}\nrules: [{{from: external, to: a, verdict: deny}}]"
    )
    (one,) = detect.run(case, only=["segmentation"]).all
    assert (one.detector, one.suppressed_by) == ("segmentation", "corp scanners")
    build = segmentation._build_findings
    monkeypatch.setattr(segmentation, "_build_findings", lambda e: build(e, most_peers=5))
    found = detect.run(case, only=["segmentation"])
    assert ([len(finding.peers) for finding in found], len(found.suppressed)) == ([5], 0)


@pytest.mark.usefixtures("few_detectors")
def test_the_command_notes_suppressed_findings_and_shows_them_on_request(tmp_path: Path) -> None:
    text = allow(BAD, more="# reason: \x1b[31mred\n")
    case = case_with(tmp_path, both(), text).path

    def run(*words: object) -> object:
        return CliRunner().invoke(main, [str(word) for word in words])

    answer = run("detect", case, "--format", "json")
    assert [row["subject"] for row in json.loads(answer.stdout)] == [OTHER]
    assert json.loads(answer.stdout)[0]["suppressed_by"] is None
    notes = [line for line in answer.stderr.splitlines() if "suppressed by" in line]
    assert notes == [
        "1 finding suppressed by 'corp scanners' (allow list: \\x1b[31mred): --show-suppressed"
    ]
    assert "\x1b" not in answer.stderr
    assert "1 finding, 1 finding group" in answer.stderr
    everything = json.loads(run("detect", case, "--show-suppressed", "--format", "json").stdout)
    assert sorted((row["subject"], row["suppressed_by"]) for row in everything) == [
        (HOST, "corp scanners"), (OTHER, None),
    ]  # fmt: skip
    (name,) = [row["finding_id"] for row in everything if row["suppressed_by"]]
    assert run("evidence", case, name).exit_code == 0


@pytest.mark.usefixtures("few_detectors")
def test_the_report_counts_suppressed_findings(tmp_path: Path) -> None:
    text = allow(BAD, feed="<script>alert(1)</script>", more="# reason: a <b>sandbox</b>\n")
    case = case_with(tmp_path, both(), text)
    page = report.write(case, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<li>1 by the allow list <b>" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "a <b>sandbox" not in page
