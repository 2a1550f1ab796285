"""First contact with rare destinations, and contacts that are not reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case, moved

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


def found_each(folder: Path, *each: list[Record]) -> list[list[dict]]:
    """The findings in several lists of records, each of hosts of its own, in one case."""
    numbers = range(1, len(each) + 1)
    hosts = [interface(f"10.0.{k}.{n}", f"{k}-{n}") for k in numbers for n in (5, 6, 7)]
    records = [r for k, some in zip(numbers, each, strict=True) for r in moved(some, k)]
    case = make_case(folder, records, interfaces=hosts)
    rows = detect.run(case, ["rare-peer"]).to_pandas().to_dict("records")
    return [[row for row in rows if row["subject"].startswith(f"10.0.{k}.")] for k in numbers]


@pytest.mark.parametrize(("window", "fields"), [(60, FIELDS), (600, V2)])
def test_a_network_without_earlier_traffic(tmp_path, window: int, fields: list[str]) -> None:
    records = [*usual(window=window), *late(window=window, out=9_000, back=700)]
    case = case_of(tmp_path, *records, fields=fields)
    (one,) = detect.run(case, ["rare-peer"]).to_pandas().to_dict("records")
    assert (one["severity"], one["subject"], one["peer"]) == ("low", HOST, NEW)
    assert (one["service_port"], one["bytes_out"], one["bytes_in"]) == (8443, 9_000, 700)
    assert (
        "198.51.100.7 on 8443/tcp (https-alt) from 2026-09-04 08:00 UTC (9.0 kB sent, 700 B"
        in (one["summary"])
    )
    assert len(case.evidence_for(one)) == 2


def test_a_host_has_one_finding_with_most_data_first(tmp_path) -> None:
    more = [late(f"198.51.{n}.7", 80 + n, out=1_000 * n) for n in range(1, 7)]
    (one,) = found(tmp_path, *usual(), *[r for each in more for r in each])
    assert "6 external networks" in one["summary"]
    assert one["summary"].index("198.51.6.7") < one["summary"].index("198.51.5.7")
    assert one["summary"].endswith(" and 2 more.")
    assert len(one["peers"]) == 6


def test_over_ipv6(tmp_path) -> None:
    records = [*usual(), *usual(SIX), *late("2001:db8:9:1::1", host=SIX)]
    records += [*connect(SIX, "2001:db8:8:1::1", 443, T0 + 600), *late("2001:db8:8:2::1", host=SIX)]
    assert [one["peer"] for one in found(tmp_path, *records)] == ["2001:db8:9:1::1"]


def test_uploads_and_indicators_raise_the_severity(tmp_path) -> None:
    (one,) = found(tmp_path / "much", *usual(), *late(out=20_000_000))
    assert one["severity"] == "medium"
    named = f"indicator,kind,feed\n{NEW},c2,list\n"
    (one,) = found(tmp_path / "named", *usual(), *late(), indicators=named)
    assert one["severity"] == "medium"
    assert "on an indicator list" in one["summary"]


PAGES = {"port": 443, "out": 4_000, "back": 300_000}


def sites(host: str = HOST, count: int = 5, hour: int = 3) -> list[Record]:
    """Page visits in the baseline period to networks that no other host visits."""
    own = [f"192.0.{n}.7" if ":" not in host else f"2001:db8:a{n}::7" for n in range(count)]
    return [record for site in own for record in late(site, hour, host, **PAGES)]


@pytest.mark.parametrize(("window", "fields"), [(60, FIELDS), (600, V2)])
def test_page_visits_of_browsing_hosts_are_not_reported(tmp_path, window: int, fields) -> None:
    visit = late(window=window, **PAGES)
    quiet = [*usual(window=window), *sites()]
    assert found(tmp_path / "desk", *quiet, *visit, fields=fields) == []
    few = [*usual(window=window), *sites(count=4)]
    (one,) = found(tmp_path / "server", *few, *visit, fields=fields)
    assert (one["subject"], one["peer"]) == (HOST, NEW)
    shared = [*quiet, *sites(OTHER), *sites(THIRD)]  # what three hosts visit shows no browsing
    assert len(found(tmp_path / "fleet", *shared, *visit, fields=fields)) == 1


def returning(count: int = 3, hours: int = 2, **contact) -> list[Record]:
    """Connections to the new network over some hours."""
    step = hours / max(count - 1, 1)
    return [r for n in range(count) for r in late(hour=int(80 + n * step), **contact)]


def test_other_traffic_of_browsing_hosts_is_reported(tmp_path) -> None:
    visit = late("198.51.200.7", 81, **PAGES)
    others = {
        "no web port": late(port=8443, out=4_000, back=300_000),
        "it sends too much": returning(port=443, out=200_000, back=300_000),
        "small answers": returning(port=443, out=900, back=5_000),
        "often": returning(20, port=80, out=300, back=200),
        "an upload": late(port=443, out=20_000_000, back=9_000),
    }
    each = found_each(
        tmp_path, *([*usual(), *sites(), *visit, *records] for records in others.values())
    )
    for number, (name, rows) in enumerate(zip(others, each, strict=True), 1):
        (one,) = rows
        assert one["peers"] == [f"198.{51 + number}.100.7"], name
        assert "Web browsing to 1 other new network is left out." in one["caveats"], name


def test_what_pages_bring_along_is_not_reported(tmp_path) -> None:
    brought = {
        "a counter": late(port=443, out=900, back=5_000),
        "an advertisement": late(port=80, out=9_000, back=2_000),
        "twice": returning(2, port=443, out=900, back=900),
        "all within an hour": [
            r for n in range(9) for r in connect(HOST, NEW, 443, T0 + 80 * HOUR + 60 * n)
        ],
    }
    desks = ([*usual(), *sites(), *records] for records in brought.values())
    servers = ([*usual(), *records] for records in brought.values())
    found = [len(rows) for rows in found_each(tmp_path, *desks, *servers)]
    assert found == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(("out", "port", "count"), [(76, 123, 0), (76, 124, 1), (9_000, 123, 1)])
def test_time_servers_of_a_pool_are_not_reported(tmp_path, out, port, count) -> None:
    query = late(port=port, protocol=17, out=out, back=out, packets=1)
    assert len(found(tmp_path, *usual(), *query)) == count


def test_a_host_is_compared_with_its_own_lifetime(tmp_path) -> None:
    """A host that is seen from the third day on has its baseline then."""
    begin = [r for hour in range(50, 96, 3) for r in connect(OTHER, SITE, 443, T0 + hour * HOUR)]
    early = late("198.51.9.7", 60, OTHER)
    (one,) = found(tmp_path, *usual(HOST, THIRD), *begin, *early, *late(hour=90, host=OTHER))
    assert (one["subject"], one["peers"]) == (OTHER, [NEW])
    assert "before 2026-09-04 02:00 UTC" in one["summary"]


def test_a_page_visit_to_an_indicator_is_reported(tmp_path) -> None:
    named = f"indicator,kind,feed\n{NEW},c2,list\n"
    (one,) = found(tmp_path, *usual(), *sites(), *late(**PAGES), indicators=named)
    assert (one["severity"], one["peers"]) == ("medium", [NEW])


def test_a_page_visit_over_ipv6(tmp_path) -> None:
    records = [*usual(), *usual(SIX), *sites(SIX)]
    visit = late("2001:db8:9:1::1", host=SIX, **PAGES)
    assert found(tmp_path / "visit", *records, *visit) == []
    small = returning(peer="2001:db8:9:1::1", host=SIX, port=443, out=900, back=5_000)
    assert len(found(tmp_path / "small", *records, *small)) == 1


def test_web_ports_and_others_have_separate_baselines(tmp_path) -> None:
    small = [r for n in range(30) for r in late(f"198.51.{n}.1", 25 + n * 2, port=443)]
    (one,) = found(tmp_path, *usual(), *small, *late("192.0.2.1", port=22))
    assert (one["peers"], one["service_port"]) == (["192.0.2.1"], 22)


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([*usual(), *late("203.0.113.200")], id="a neighbour of what is known"),
        pytest.param([*usual(), *late(hour=10, host=OTHER), *late()], id="known to another host"),
        pytest.param([*usual(), *late(hour=1)], id="in the learning span"),
        pytest.param([*usual(hours=30), *late(hour=28)], id="too short to learn from"),
        pytest.param(
            [*usual(), *late(), *late(host=OTHER), *late(host=THIRD)], id="of three hosts"
        ),
        pytest.param([*usual(), *late()[:1]], id="unanswered"),
        pytest.param([*usual(), *connect(NEW, HOST, 443, T0 + 80 * HOUR)], id="from outside"),
        pytest.param(
            [*usual(), *[r for n in range(30) for r in late(f"198.51.{n}.1", 25 + n * 2)]],
            id="a host that meets new ones all the time",
        ),
        pytest.param([*usual(OTHER), *late(hour=80), *late(hour=81)], id="a host that is new"),
    ],
)
def test_what_is_not_reported(tmp_path, records: list[Record]) -> None:
    assert found(tmp_path, *records) == []


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
