"""Traffic to prohibited countries, and first traffic to a country."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.segmentation import parse_policy
from tests.traffic import T0, Record, connect, interface, make_case

HOST, OTHER, THIRD = "10.0.0.5", "10.0.0.6", "10.0.0.7"
HOME, NORTH, ISLE, SIX = "198.51.100.9", "203.0.113.9", "192.0.2.9", "2001:db8:9::1"
PLACES = (
    "198.18.0.0,198.18.255.255,CH\n198.51.100.0,198.51.100.255,CH\n"
    "203.0.113.0,203.0.113.255,KP\n192.0.2.0,192.0.2.255,IS\n"
    "2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,KP\n"
)
DAY = 86_400


def usual(host: str, days: int = 4, window: int = 60) -> list[Record]:
    return [
        record
        for hour in range(0, days * 24, 3)
        for record in connect(
            host, HOME, 443, T0 + hour * 3_600, source_port=41_000 + hour, window=window
        )
    ]


def case_of(folder: Path, *records: Record, rules: str | None = None) -> Case:
    hosts = [interface(host, host[-1]) for host in (HOST, OTHER, THIRD)]
    case = make_case(folder / "c", records, interfaces=hosts)
    (folder / "dbip-country-lite-2026-09.csv").write_text(PLACES)
    case.ingest(folder / "dbip-country-lite-2026-09.csv")
    if rules is not None:
        case.log.append("policy", text=rules)
    return case


def found(case: Case) -> list[dict]:
    return detect.run(case, ["geography"]).to_pandas().to_dict("records")


@pytest.mark.parametrize("window", [60, 600])
def test_first_traffic_to_a_country(tmp_path, window: int) -> None:
    late = connect(HOST, NORTH, 8443, T0 + 3 * DAY, out=9_000, back=500, window=window)
    case = case_of(tmp_path, *usual(HOST, window=window), *usual(OTHER, window=window), *late)
    (one,) = found(case)
    assert (one["severity"], one["subject"], one["peer"]) == ("low", HOST, NORTH)
    assert (one["service_port"], one["connections"], one["bytes_out"]) == (8443, 1, 9_000)
    assert "203.0.113.9 (KP)" in one["summary"]
    assert "web browsing aside, before 2026-09-02 22:3" in one["summary"]
    assert "dbip-country-lite-2026-09 2026-09-01 [" in one["caveats"]
    assert len(case.evidence_for(one)) == 2


def test_usual_countries_and_short_logs_are_not_reported(tmp_path) -> None:
    early = connect(OTHER, NORTH, 8443, T0 + 600, source_port=50_001)
    late = connect(HOST, NORTH, 8443, T0 + 3 * DAY)
    assert found(case_of(tmp_path / "early", *usual(HOST), *early, *late)) == []
    short = connect(HOST, NORTH, 8443, T0 + DAY)
    assert found(case_of(tmp_path / "short", *usual(HOST, 1), *short)) == []


def test_countries_of_many_hosts_and_unanswered_attempts_are_not_reported(tmp_path) -> None:
    late = [r for h in (HOST, OTHER, THIRD) for r in connect(h, NORTH, 443, T0 + 3 * DAY)]
    rows = detect.registered()["geography"].find(
        case_of(tmp_path / "many", *usual(HOST), *late), few=2
    )
    assert rows == []
    lone = next(iter(connect(HOST, NORTH, 443, T0 + 3 * DAY)))
    assert found(case_of(tmp_path / "mute", *usual(HOST), lone)) == []


def visits(host: str, peer: str, at: int) -> list[Record]:
    return list(connect(host, peer, 443, at, source_port=50_002, out=4_000, back=300_000))


def people(host: str) -> list[Record]:
    """Page visits to networks in the usual country that no other host visits."""
    return [r for n in range(5) for r in visits(host, f"198.18.{n}.9", T0 + 3_600)]


def test_a_host_that_often_reaches_countries_does_not_hide_others(tmp_path) -> None:
    second = list(connect(HOST, ISLE, 443, T0 + 40 * 3_600))
    late = list(connect(HOST, NORTH, 443, T0 + 3 * DAY))
    theirs = [*usual(OTHER), *connect(OTHER, SIX, 443, T0 + 3 * DAY)]  # the same country
    assert found(case_of(tmp_path / "one", *usual(HOST), *second, *late)) == []
    (one,) = found(case_of(tmp_path / "two", *usual(HOST), *second, *late, *theirs))
    assert (one["subject"], one["peers"]) == (OTHER, [SIX])


@pytest.mark.parametrize("window", [60, 600])
def test_page_visits_are_not_reported_and_do_not_hide_other_hosts(tmp_path, window: int) -> None:
    desk = [*usual(HOST, window=window), *people(HOST)]
    seen = visits(HOST, NORTH, T0 + 20 * 3_600)
    assert found(case_of(tmp_path / "desk", *desk, *visits(HOST, NORTH, T0 + 3 * DAY))) == []
    late = [*usual(OTHER), *connect(OTHER, NORTH, 443, T0 + 3 * DAY, out=2_000, back=5_000)]
    (one,) = found(case_of(tmp_path / "other", *desk, *seen, *late))
    assert (one["subject"], one["peers"]) == (OTHER, [NORTH])
    server = [*usual(OTHER), *visits(OTHER, NORTH, T0 + 3 * DAY)]
    assert [f["subject"] for f in found(case_of(tmp_path / "server", *desk, *server))] == [OTHER]


@pytest.mark.parametrize(
    ("count", "hours", "out", "found_count"),
    [(1, 0, 300, 0), (2, 5, 300, 0), (9, 0, 900, 0), (3, 2, 300, 1), (1, 0, 20_000_000, 1)],
)
def test_what_pages_bring_along_is_not_reported(
    tmp_path, count: int, hours: int, out: int, found_count: int
) -> None:
    small = [
        r
        for n in range(count)
        for r in connect(
            HOST, NORTH, 443, T0 + 3 * DAY + 3_600 * hours * n // count + 60 * n, out=out, back=500
        )
    ]
    assert len(found(case_of(tmp_path, *usual(HOST), *people(HOST), *small))) == found_count


def test_a_host_is_compared_with_its_own_lifetime(tmp_path) -> None:
    young = [r for hour in range(60, 95) for r in connect(OTHER, HOME, 443, T0 + hour * 3_600)]
    early, late = (connect(OTHER, SIX, 8443, T0 + hour * 3_600) for hour in (70, 90))
    assert found(case_of(tmp_path / "early", *usual(HOST), *young, *early)) == []
    older = [r for hour in range(50, 60) for r in connect(OTHER, HOME, 443, T0 + hour * 3_600)]
    (one,) = found(case_of(tmp_path / "late", *usual(HOST), *older, *young, *late))
    assert (one["subject"], one["peers"]) == (OTHER, [SIX])


def test_a_country_that_many_hosts_visit_is_usual(tmp_path) -> None:
    desks = [r for h in (HOST, OTHER, THIRD) for r in (*people(h), *visits(h, NORTH, T0 + DAY))]
    late = list(connect(HOST, SIX, 8443, T0 + 3 * DAY))
    run = detect.registered()["geography"].find
    case = case_of(tmp_path, *usual(HOST), *desks, *late)
    assert run(case, few=2) == []


def test_low_findings_are_limited(tmp_path) -> None:
    late = [
        *connect(HOST, NORTH, 443, T0 + 3 * DAY, out=500),
        *connect(OTHER, ISLE, 443, T0 + 3 * DAY, out=900),
    ]
    run = detect.registered()["geography"].find
    case = case_of(tmp_path, *usual(HOST), *usual(OTHER), *late)
    assert [one.subject for one in run(case, most_low=1)] == [OTHER]


def test_countries_that_the_policy_denies(tmp_path) -> None:
    tried = next(iter(connect(OTHER, NORTH, 22, T0 + 900)))
    case = case_of(
        tmp_path,
        *usual(HOST, 1),
        *connect(HOST, SIX, 443, T0 + 600),
        *connect(HOST, ISLE, 443, T0 + 700),
        *connect(HOST, NORTH, 443, T0 + 800, source_port=45_000),
        tried,
        rules="countries: {deny: [KP]}",
    )
    results = [(f["severity"], f["subject"], sorted(f["peers"])) for f in found(case)]
    assert results == [("medium", HOST, [SIX, NORTH]), ("low", OTHER, [NORTH])]


def test_countries_that_the_policy_does_not_allow(tmp_path) -> None:
    talks = [*usual(HOST, 1), *connect(HOST, ISLE, 443, T0 + 700)]
    case = case_of(tmp_path, *talks, rules="countries: {allow: [CH, NO]}")
    assert [f["peer"] for f in found(case)] == [ISLE]
    assert parse_policy("countries: {allow: [CH, NO]}", "p").allows("NO")
    both = parse_policy("countries:\n  allow: [CH, KP]\n  deny: KP\n", "p")
    assert [both.allows(code) for code in ("CH", "KP", "IS")] == [True, False, False]


def test_without_location_data_there_is_no_finding(tmp_path) -> None:
    case = make_case(tmp_path / "c", connect(HOST, OTHER, 443, T0))
    assert found(case) == []
