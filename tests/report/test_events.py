"""What happened: lines in order of time, and the sentence about the incident."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.investigate import attribution
from flowbench.report.events import MOST_LINES, tell_events, write_headline
from tests.incident_case import EXIT, HOST, INSTANCE, POOL, make_incident_case
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("events") / "case")


@pytest.fixture(scope="module")
def findings(case: Case) -> Findings:
    return detect.run(case, keep=False).at_least("high")


def test_what_happened_is_in_order_of_time(case: Case, findings: Findings) -> None:
    traces = attribution.trace_subjects(case, findings)
    lines, more = tell_events(case, findings, traces, detect.LINKS.frame([]))
    assert (len(lines) <= MOST_LINES, more) == (True, 0)
    (launch_time, launch), (period, activity) = lines
    assert launch_time == "2026-08-31 23:01 UTC"
    assert launch == (
        "The credentials of eve, created with those of ada, were used from 192.0.2.66 to launch"
        f" {INSTANCE} ({HOST})."
    )
    assert period == "2026-09-01 00:00 to 05:56 UTC"
    assert activity.startswith(
        f"{HOST} exchanged crypto-mining traffic with {POOL} (indicator list: mining)"
    )
    assert (
        f" and connected to {EXIT} (indicator list: tor) on 443/tcp (https) every 5.0 min"
        in activity
    )


def test_the_headline(findings: Findings) -> None:
    assert write_headline(findings) == (
        "Crypto-mining traffic, communication with addresses on indicator lists and regular"
        " connections to an external address. Involved: 1 internal host, 2026-09-01 00:00 to 05:56"
        " UTC."
    )


def test_sessions_between_subjects_and_subjects_without_room(tmp_path: Path) -> None:
    hosts = [f"10.0.0.{n}" for n in range(5, 5 + MOST_LINES + 2)]
    records = [record for host in hosts for record in connect(host, POOL, 443, T0)]
    records += connect(hosts[0], hosts[1], 22, T0 + 60, packets=60, source_port=40_000)
    case = make_case(tmp_path, records, indicators=f"indicator,kind\n{POOL},c2\n")
    found = detect.run(case, only=["contact"], keep=False)
    severe = Findings([replace(finding, severity="high") for finding in found])
    two = Findings([finding for finding in severe if finding.subject in hosts[:2]])
    links = detect.link_groups(case, two)
    lines, more = tell_events(case, severe, [], links)
    assert (len(lines), more) == (MOST_LINES, 2)
    assert not any("session" in sentence for _, sentence in lines)
    lines, more = tell_events(case, two, [], links)
    assert (len(lines), more) == (3, 0)
    expected = f"{hosts[0]} opened 1 administrative session to {hosts[1]} on 22/tcp (ssh)."
    assert lines[-1] == ("2026-09-01 00:01 UTC", expected)
