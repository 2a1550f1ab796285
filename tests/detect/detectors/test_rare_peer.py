"""First contact with rare destinations, and contacts that are not reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect
from flowbench.case import Case
from tests.detect.detectors.common import run_named
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case, move

HOST, OTHER, THIRD, SIX = "10.0.0.5", "10.0.0.6", "10.0.0.7", "2001:db8:1::5"
SITE, NEW = "203.0.113.9", "198.51.100.7"
HOUR = 3_600
V2 = ["version", "account_id", "interface_id", "srcaddr", "dstaddr", "srcport", "dstport",
      "protocol", "packets", "bytes", "start", "end", "action", "log_status"]  # fmt: skip


def usual(*hosts: str, hours: int = 96, window: int = 60) -> list[Record]:
    return [
        record
        for host in hosts or (HOST, OTHER, THIRD)
        for hour in range(0, hours, 6)
        for record in connect(host, SITE, 443, T0 + hour * HOUR, source_port=41_000, window=window)
    ]


def late(peer: str = NEW, hour: int = 80, host: str = HOST, port: int = 8443, **more):
    return list(connect(host, peer, port, T0 + hour * HOUR, source_port=50_000, **more))


def case_of(folder: Path, *records: Record, fields=FIELDS, **more) -> Case:
    hosts = [interface(f"10.0.0.{n}", str(n)) for n in (5, 6, 7)]
    hosts[0]["Ipv6Addresses"] = [{"Ipv6Address": SIX}]
    return make_case(folder / "c", records, interfaces=hosts, fields=fields, **more)


def found(*given, **more) -> list[dict]:
    return detect.run(case_of(*given, **more), ["rare-peer"]).to_pandas().to_dict("records")


PAGES = {"port": 443, "out": 4_000, "back": 300_000}


def sites(host: str = HOST, count: int = 5, hour: int = 3) -> list[Record]:
    """Page visits in the baseline period to networks that no other host visits."""
    own = [f"192.0.{n}.7" if ":" not in host else f"2001:db8:{'abcde'[n]}::7" for n in range(count)]
    return [record for site in own for record in late(site, hour, host, **PAGES)]


def returning(count: int = 3, hours: int = 2, **contact) -> list[Record]:
    """Connections to the new network over some hours."""
    step = hours / max(count - 1, 1)
    return [r for n in range(count) for r in late(hour=int(80 + n * step), **contact)]


# ---- situations, each with hosts and networks of its own -----------------------------------------

Rows = dict[Any, list[dict[str, Any]]]
QUERIES = {(76, 123): 0, (76, 124): 1, (9_000, 123): 1}  # bytes and port: findings
OTHERS = {  # what is not browsing
    "no web port": late(port=8443, out=4_000, back=300_000),
    "it sends too much": returning(port=443, out=200_000, back=300_000),
    "small answers": returning(port=443, out=900, back=5_000),
    "often": returning(20, port=80, out=300, back=200),
    "an upload": late(port=443, out=20_000_000, back=9_000),
}
BROUGHT = {  # what pages bring along
    "a counter": late(port=443, out=900, back=5_000),
    "an advertisement": late(port=80, out=9_000, back=2_000),
    "twice": returning(2, port=443, out=900, back=900),
    "all within an hour": [
        r for n in range(9) for r in connect(HOST, NEW, 443, T0 + 80 * HOUR + 60 * n)
    ],
}
NOT_REPORTED = {
    "a neighbour of what is known": [*usual(), *late("203.0.113.200")],
    "known to another host": [*usual(), *late(hour=10, host=OTHER), *late()],
    "in the learning span": [*usual(), *late(hour=1)],
    "of three hosts": [*usual(), *late(), *late(host=OTHER), *late(host=THIRD)],
    "unanswered": [*usual(), *late()[:1]],
    "from outside": [*usual(), *connect(NEW, HOST, 443, T0 + 80 * HOUR)],
    "a host that meets new ones all the time": [
        *usual(),
        *[r for n in range(30) for r in late(f"198.51.{n}.1", 25 + n * 2)],
    ],
    "a host that is new": [*usual(OTHER), *late(hour=80), *late(hour=81)],
}


def without_pages() -> dict[Any, list[Record]]:
    more = [late(f"198.51.{n}.7", 80 + n, out=1_000 * n) for n in range(1, 7)]
    six = [*usual(), *usual(SIX), *late("2001:db8:9:1::1", host=SIX)]
    six += [*connect(SIX, "2001:db8:8:1::1", 443, T0 + 600), *late("2001:db8:8:2::1", host=SIX)]
    begin = [r for hour in range(50, 96, 3) for r in connect(OTHER, SITE, 443, T0 + hour * HOUR)]
    small = [r for n in range(30) for r in late(f"198.51.{n}.1", 25 + n * 2, port=443)]
    return {
        "listed": [*usual(), *late()],
        "first": [*usual(), *late(out=9_000, back=700)],
        "six networks": [*usual(), *[r for each in more for r in each]],
        "ipv6": six,
        "much": [*usual(), *late(out=20_000_000)],
        **{
            (out, port): [
                *usual(),
                *late(port=port, protocol=17, out=out, back=out, packets=1),
            ]
            for out, port in QUERIES
        },
        "lifetime": [
            *usual(HOST, THIRD),
            *begin,
            *late("198.51.9.7", 60, OTHER),
            *late(hour=90, host=OTHER),
        ],
        "baselines": [*usual(), *small, *late("192.0.2.1", port=22)],
        **NOT_REPORTED,
    }


def visits(window: int) -> dict[str, list[Record]]:
    visit = late(window=window, **PAGES)
    quiet = [*usual(window=window), *sites()]
    return {
        "desk": [*quiet, *visit],
        "server": [*usual(window=window), *sites(count=4), *visit],
        "fleet": [*quiet, *sites(OTHER), *sites(THIRD), *visit],  # that shows no browsing
    }


def with_pages() -> dict[Any, list[Record]]:
    visit = late("198.51.200.7", 81, **PAGES)
    six = [*usual(), *usual(SIX), *sites(SIX)]
    return {
        "listed": [*usual(), *sites(), *late(**PAGES)],
        **visits(60),
        **{name: [*usual(), *sites(), *visit, *records] for name, records in OTHERS.items()},
        **{("desk", name): [*usual(), *sites(), *some] for name, some in BROUGHT.items()},
        **{("server", name): [*usual(), *some] for name, some in BROUGHT.items()},
        "ipv6 visit": [*six, *late("2001:db8:9:1::1", host=SIX, **PAGES)],
        "ipv6 small": [
            *six,
            *returning(peer="2001:db8:9:1::1", host=SIX, port=443, out=900, back=5_000),
        ],
    }


def rows_of(folder: Path, each: dict[Any, list[Record]], **more: Any) -> Rows:
    """Return the findings by situation; NEW of the first is on an indicator list."""
    hosts = []
    for k in range(1, len(each) + 1):
        own = [interface(f"10.0.{k}.{n}", f"{k}-{n}") for n in (5, 6, 7)]
        own[0]["Ipv6Addresses"] = [{"Ipv6Address": move(SIX, k)}]
        hosts += own
    found = run_named(folder, "rare-peer", each, interfaces=hosts, **more)
    return {name: rows.to_dict("records") for name, rows in found.items()}


LISTED = f"indicator,kind,feed\n{move(NEW, 1)},c2,list\n"


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Rows:
    return rows_of(tmp_path_factory.mktemp("plain"), without_pages(), indicators=LISTED)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Rows:
    return rows_of(tmp_path_factory.mktemp("pages"), with_pages(), indicators=LISTED)


@pytest.fixture(scope="module")
def default_logs(tmp_path_factory) -> Rows:
    """The same of logs with the default fields, in windows of ten minutes."""
    first = [*usual(window=600), *late(window=600, out=9_000, back=700)]
    each = {"first": first, **visits(600)}
    return rows_of(tmp_path_factory.mktemp("v2"), each, fields=V2)


# ---- tests ----------------------------------------------------------------------------------


def test_a_network_without_earlier_traffic(plain: Rows, default_logs: Rows) -> None:
    for rows, number in ((plain, 2), (default_logs, 1)):
        (one,) = rows["first"]
        assert (one["severity"], one["subject"], one["peer"]) == ("low", HOST, NEW)
        assert (one["service_port"], one["bytes_out"], one["bytes_in"]) == (8443, 9_000, 700)
        assert (
            f"{move(NEW, number)} on 8443/tcp (https-alt) from 2026-09-04 08:00 UTC"
            " (9.0 kB sent, 700 B" in one["summary"]
        )
        assert one["supporting"] == 2


def test_a_host_has_one_finding_with_most_data_first(plain: Rows) -> None:
    (one,) = plain["six networks"]
    assert "6 external networks" in one["summary"]
    sixth, fifth = (move(f"198.51.{n}.7", 3) for n in (6, 5))
    assert one["summary"].index(sixth) < one["summary"].index(fifth)
    assert one["summary"].endswith(" and 2 more.")
    assert len(one["peers"]) == 6


def test_over_ipv6(plain: Rows) -> None:
    assert [one["peer"] for one in plain["ipv6"]] == ["2001:db8:9:1::1"]


def test_uploads_and_indicators_raise_the_severity(plain: Rows) -> None:
    (one,) = plain["much"]
    assert one["severity"] == "medium"
    (one,) = plain["listed"]
    assert one["severity"] == "medium"
    assert "on an indicator list" in one["summary"]


def test_page_visits_of_browsing_hosts_are_not_reported(pages: Rows, default_logs: Rows) -> None:
    for rows in (pages, default_logs):
        assert rows["desk"] == []
        (one,) = rows["server"]
        assert (one["subject"], one["peer"]) == (HOST, NEW)
        assert len(rows["fleet"]) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_other_traffic_of_browsing_hosts_is_reported(pages: Rows, name: str) -> None:
    (one,) = pages[name]
    assert one["peers"] == [NEW]
    assert "Web browsing to 1 other new network is left out." in one["caveats"]


@pytest.mark.parametrize("name", BROUGHT)
def test_what_pages_bring_along_is_not_reported(pages: Rows, name: str) -> None:
    assert pages["desk", name] == []
    assert len(pages["server", name]) == 1


@pytest.mark.parametrize("query", QUERIES)
def test_time_servers_of_a_pool_are_not_reported(plain: Rows, query: tuple[int, int]) -> None:
    assert len(plain[query]) == QUERIES[query]


def test_a_host_is_compared_with_its_own_lifetime(plain: Rows) -> None:
    """A host that is seen from the third day on has its baseline then."""
    (one,) = plain["lifetime"]
    assert (one["subject"], one["peers"]) == (OTHER, [NEW])
    assert "before 2026-09-04 02:00 UTC" in one["summary"]


def test_a_page_visit_to_an_indicator_is_reported(pages: Rows) -> None:
    (one,) = pages["listed"]
    assert (one["severity"], one["peers"]) == ("medium", [NEW])


def test_a_page_visit_over_ipv6(pages: Rows) -> None:
    assert pages["ipv6 visit"] == []
    assert len(pages["ipv6 small"]) == 1


def test_web_ports_and_others_have_separate_baselines(plain: Rows) -> None:
    (one,) = plain["baselines"]
    assert (one["peers"], one["service_port"]) == (["192.0.2.1"], 22)


@pytest.mark.parametrize("name", NOT_REPORTED)
def test_what_is_not_reported(plain: Rows, name: str) -> None:
    assert plain[name] == []


def test_logs_too_short_to_learn_from(tmp_path: Path) -> None:
    assert found(tmp_path, *usual(hours=30), *late(hour=28)) == []


def test_known_clouds_are_left_out(tmp_path) -> None:
    case = case_of(tmp_path, *usual(), *late())
    listed = {"createDate": "2026-09-01-00-00-00", "prefixes": [
        {"ip_prefix": "198.51.100.0/24", "service": "EC2", "region": "us-east-1",
         "network_border_group": "us-east-1"}]}  # fmt: skip
    (tmp_path / "ip-ranges.json").write_text(json.dumps(listed))
    assert len(detect.run(case, ["rare-peer"])) == 1
    case.ingest(tmp_path / "ip-ranges.json")
    assert not detect.run(case, ["rare-peer"])


def test_low_findings_are_limited(tmp_path) -> None:
    records = [*usual(), *late("198.51.1.1", out=5), *late("198.51.2.1", host=OTHER, out=9)]
    run = detect.registered()["rare-peer"].find
    assert [one.subject for one in run(case_of(tmp_path, *records), most_low=1)] == [OTHER]
