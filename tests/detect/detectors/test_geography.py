"""Traffic to prohibited countries, and first traffic to a country."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.segmentation import parse_policy
from tests.traffic import T0, Record, connect, interface, make_case, move, moved

HOST, OTHER, THIRD = "10.0.0.5", "10.0.0.6", "10.0.0.7"
HOME, NORTH, ISLE, SIX = "198.51.100.9", "203.0.113.9", "192.0.2.9", "2001:db8:9::1"
HOSTS, PEERS = (HOST, OTHER, THIRD), (HOME, NORTH, ISLE, SIX)
PLACES = (
    "198.18.0.0,198.18.255.255,CH\n198.51.100.0,198.51.100.255,CH\n"
    "203.0.113.0,203.0.113.255,KP\n192.0.2.0,192.0.2.255,IS\n"
    "2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,KP\n"
)
DAY = 86_400
LISTED = "dbip-country-lite-2026-09"


def usual(host: str, days: int = 4, window: int = 60) -> list[Record]:
    return [
        record
        for hour in range(0, days * 24, 3)
        for record in connect(
            host, HOME, 443, T0 + hour * 3_600, source_port=41_000 + hour, window=window
        )
    ]


def case_of(
    folder: Path,
    *records: Record,
    rules: str | None = None,
    hosts: Iterable[str] = HOSTS,
    places: str = PLACES,
) -> Case:
    interfaces = [interface(host, host.removeprefix("10.0.")) for host in hosts]
    case = make_case(folder / "c", records, interfaces=interfaces)
    (folder / f"{LISTED}.csv").write_text(places)
    case.ingest(folder / f"{LISTED}.csv")
    if rules is not None:
        case.log.append("policy", text=rules)
    return case


def found(case: Case) -> list[dict]:
    return detect.run(case, ["geography"]).to_pandas().to_dict("records")


def visits(host: str, peer: str, at: int) -> list[Record]:
    return list(connect(host, peer, 443, at, source_port=50_002, out=4_000, back=300_000))


def people(host: str) -> list[Record]:
    """Page visits to networks in the usual country that no other host visits."""
    return [r for n in range(5) for r in visits(host, f"198.18.{n}.9", T0 + 3_600)]


def first_traffic(window: int) -> list[Record]:
    late = connect(HOST, NORTH, 8443, T0 + 3 * DAY, out=9_000, back=500, window=window)
    return [*usual(HOST, window=window), *usual(OTHER, window=window), *late]


def page_visits(window: int) -> dict[str, list[Record]]:
    desk = [*usual(HOST, window=window), *people(HOST)]
    late = connect(OTHER, NORTH, 443, T0 + 3 * DAY, out=2_000, back=5_000)
    return {
        "desk": [*desk, *visits(HOST, NORTH, T0 + 3 * DAY)],
        "other": [*desk, *visits(HOST, NORTH, T0 + 20 * 3_600), *usual(OTHER), *late],
        "server": [*desk, *usual(OTHER), *visits(OTHER, NORTH, T0 + 3 * DAY)],
    }


WITH_PAGES = {  # count, hours, bytes sent: findings
    (1, 0, 300): 0,
    (2, 5, 300): 0,
    (9, 0, 900): 0,
    (3, 2, 300): 1,
    (1, 0, 20_000_000): 1,
}


def beside_pages(count: int, hours: int, out: int) -> list[Record]:
    small = [
        r
        for n in range(count)
        for r in connect(
            HOST, NORTH, 443, T0 + 3 * DAY + 3_600 * hours * n // count + 60 * n, out=out, back=500
        )
    ]
    return [*usual(HOST), *people(HOST), *small]


def often() -> dict[str, list[Record]]:
    """A host that was the first in a country before, alone and beside another host."""
    second = connect(HOST, ISLE, 443, T0 + 40 * 3_600)
    one = [*usual(HOST), *second, *connect(HOST, NORTH, 443, T0 + 3 * DAY)]
    theirs = [*usual(OTHER), *connect(OTHER, SIX, 443, T0 + 3 * DAY)]  # the same country
    return {"one": one, "two": [*one, *theirs]}


def lifetimes() -> dict[str, list[Record]]:
    older, young = (
        [r for hour in hours for r in connect(OTHER, HOME, 443, T0 + hour * 3_600)]
        for hours in (range(50, 60), range(60, 95))
    )
    early, late = (connect(OTHER, SIX, 8443, T0 + hour * 3_600) for hour in (70, 90))
    return {
        "early": [*usual(HOST), *young, *early],
        "late": [*usual(HOST), *older, *young, *late],
    }


@pytest.fixture(scope="module")
def situations(tmp_path_factory) -> tuple[Case, dict[object, list[dict]]]:
    """A case in which each situation has its own hosts, countries and networks; its findings."""
    early = connect(OTHER, NORTH, 8443, T0 + 600, source_port=50_001)
    lone = next(iter(connect(HOST, NORTH, 443, T0 + 3 * DAY)))
    every: dict[object, list[Record]] = {
        "usual": [*usual(HOST), *early, *connect(HOST, NORTH, 8443, T0 + 3 * DAY)],
        "mute": [*usual(HOST), lone],
        **often(),
        **lifetimes(),
        **{given: beside_pages(*given) for given in WITH_PAGES},
        **{("first", window): first_traffic(window) for window in (60, 600)},
        **{
            (name, window): records
            for window in (60, 600)
            for name, records in page_visits(window).items()
        },
    }
    hosts, places, names = [], [], {}
    for n, name in enumerate(every, 1):
        letter = chr(64 + n)  # of its countries
        names |= {move(address, n): (name, address, letter) for address in (*HOSTS, *PEERS)}
        hosts += [move(host, n) for host in HOSTS]
        for line in PLACES.splitlines():
            first, last, country = line.split(",")
            last = f"2001:db8:{n}ff::" if ":" in first else move(last, n)
            first = f"2001:db8:{n}00::" if ":" in first else move(first, n)
            places.append(f"{first},{last},{letter}{country[0]}\n")
    records = [r for n, some in enumerate(every.values(), 1) for r in moved(some, n)]
    folder = tmp_path_factory.mktemp("geography")
    case = case_of(folder, *records, hosts=hosts, places="".join(places))
    rows: dict[object, list[dict]] = {name: [] for name in every}
    for row in found(case):
        name, subject, letter = names[row["subject"]]
        peers = [names[peer][1] for peer in row["peers"]]
        rows[name].append(row | {"of": (subject, *peers), "country": f"{letter}K"})
    return case, rows


@pytest.mark.parametrize("window", [60, 600])
def test_first_traffic_to_a_country(situations, window: int) -> None:
    case, rows = situations
    (one,) = rows["first", window]
    assert (one["severity"], *one["of"]) == ("low", HOST, NORTH)
    assert (one["service_port"], one["connections"], one["bytes_out"]) == (8443, 1, 9_000)
    assert f"{one['peer']} ({one['country']})" in one["summary"]
    assert "web browsing aside, before 2026-09-02 22:3" in one["summary"]
    assert f"{LISTED} 2026-09-01 [" in one["caveats"]
    assert len(case.evidence_for(one)) == 2


def test_usual_countries_and_short_logs_are_not_reported(situations, tmp_path) -> None:
    assert situations[1]["usual"] == []
    short = connect(HOST, NORTH, 8443, T0 + DAY)
    assert found(case_of(tmp_path, *usual(HOST, 1), *short)) == []


def test_countries_of_many_hosts_and_unanswered_attempts_are_not_reported(
    situations, tmp_path
) -> None:
    late = [r for h in HOSTS for r in connect(h, NORTH, 443, T0 + 3 * DAY)]
    case = case_of(tmp_path, *usual(HOST), *late)
    assert detect.registered()["geography"].find(case, few=2) == []
    assert situations[1]["mute"] == []


def test_a_host_that_often_reaches_countries_does_not_hide_others(situations) -> None:
    rows = situations[1]
    assert rows["one"] == []
    assert [row["of"] for row in rows["two"]] == [(OTHER, SIX)]


@pytest.mark.parametrize("window", [60, 600])
def test_page_visits_are_not_reported_and_do_not_hide_other_hosts(situations, window: int) -> None:
    rows = situations[1]
    assert rows["desk", window] == []
    assert [row["of"] for row in rows["other", window]] == [(OTHER, NORTH)]
    assert [row["of"][0] for row in rows["server", window]] == [OTHER]


@pytest.mark.parametrize("given", WITH_PAGES)
def test_what_pages_bring_along_is_not_reported(situations, given: tuple[int, int, int]) -> None:
    assert len(situations[1][given]) == WITH_PAGES[given]


def test_a_host_is_compared_with_its_own_lifetime(situations) -> None:
    rows = situations[1]
    assert rows["early"] == []
    assert [row["of"] for row in rows["late"]] == [(OTHER, SIX)]


def test_a_country_that_many_hosts_visit_is_usual(tmp_path) -> None:
    desks = [r for h in HOSTS for r in (*people(h), *visits(h, NORTH, T0 + DAY))]
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
