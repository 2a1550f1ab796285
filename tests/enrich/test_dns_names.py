"""Names of addresses: what was looked up before a connection, and what never was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.enrich import dns_names
from flowbench.schema import to_frame
from tests.incident_case import dns_query
from tests.traffic import T0, Record, connect, make_case

HOST, OTHER, SILENT = "10.0.0.5", "10.0.0.6", "10.0.0.7"
SITE, BARE = "203.0.113.50", "198.51.100.9"  # SITE is what look_up is answered with


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(T0, UTC) + timedelta(seconds=seconds)


def made(folder: Path, records: list[Record], queries: list[dict]) -> Case:
    case = make_case(folder, records)
    (folder / "dns.log").write_text("\n".join(json.dumps(query) for query in queries))
    assert case.ingest(folder / "dns.log")["quarantined"].sum() == 0
    return case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    records = [
        *connect(HOST, SITE, 443, T0 + 600, source_port=40_001, interface_id="eni-h"),
        *connect(HOST, SITE, 443, T0 + 90_000, source_port=40_002, interface_id="eni-h"),
        *connect(HOST, SITE, 443, T0 + 200_000, source_port=40_003, interface_id="eni-h"),
        *connect(HOST, BARE, 9001, T0 + 700, source_port=40_004, interface_id="eni-h"),
        *connect(HOST, BARE, 9001, T0 + 1_300, source_port=40_005, interface_id="eni-h"),
        *connect(HOST, BARE, 80, T0 - 4_000, source_port=40_006, interface_id="eni-h"),
        *connect(OTHER, SITE, 443, T0 + 600, source_port=40_001, interface_id="eni-o"),
        *connect(SILENT, BARE, 443, T0 + 600, source_port=40_001, interface_id="eni-s"),
        *connect(HOST, OTHER, 22, T0 + 800, source_port=40_007, interface_id="eni-h"),
    ]
    queries = [
        dns_query(T0, "first.example.", HOST),
        dns_query(T0 + 599, "Second.example.", HOST),
        dns_query(T0 + 89_000, "third.example.", HOST),
        dns_query(T0 + 1_200, "late.example.", OTHER),
        dns_query(T0 - 60, "early.example.", OTHER) | {"answers": []},
    ]
    return made(tmp_path_factory.mktemp("names") / "incident", records, queries)


def test_the_names_of_an_address(case) -> None:
    found = to_frame(dns_names.resolved_names(case.dns).to_pyarrow()).to_dict("records")
    assert [(row["name"], row["first_asked"], row["hosts"], row["look_ups"]) for row in found] == [
        ("first.example", at(0), 1, 1),
        ("second.example", at(599), 1, 1),
        ("late.example", at(1_200), 1, 1),
        ("third.example", at(89_000), 1, 1),
    ]
    assert {row["address"] for row in found} == {SITE}


def test_the_last_look_up_before_a_connection(case) -> None:
    found = to_frame(dns_names.resolved_destinations(case.connections, case.dns).to_pyarrow())
    assert list(found.columns) == dns_names.RESOLVED.columns
    rows = found[["host", "address", "name", "connections", "bytes_out"]].to_records(index=False)
    assert [tuple(row) for row in rows] == [
        (HOST, SITE, "second.example", 1, 800),
        (HOST, SITE, "third.example", 1, 800),  # the answer is too old for the third connection
    ]
    longer = dns_names.resolved_destinations(
        case.connections, case.dns, lifetime=200_000
    ).to_pandas()
    assert longer["connections"].tolist() == [1, 2]


def test_destinations_without_a_look_up(case) -> None:
    found = to_frame(dns_names.unresolved_destinations(case.connections, case.dns).to_pyarrow())
    assert list(found.columns) == dns_names.UNRESOLVED.columns
    rows = [
        (r.host, r.address, list(r.names), r.service_port, r.first_seen, r.connections, r.bytes_out)
        for r in found.itertuples()
    ]
    assert rows == [
        (HOST, BARE, [], 9001, at(660), 2, 1_600),
        (OTHER, SITE, ["first.example", "late.example", "second.example", "third.example"], 443,
         at(600), 1, 800),
    ]  # fmt: skip
    # Left out: connections before the host's first look-up, internal hosts, hosts without look-ups.


def test_hosts_without_look_ups_are_left_out(tmp_path) -> None:
    case = make_case(tmp_path / "c", connect(HOST, SITE, 443, T0))
    for table in (
        dns_names.resolved_names(case.dns),
        dns_names.resolved_destinations(case.connections, case.dns),
        dns_names.unresolved_destinations(case.connections, case.dns),
    ):
        assert table.count().execute() == 0


def test_winterday_has_one_destination_without_a_name(winterday, answers) -> None:
    found = dns_names.unresolved_destinations(winterday.connections, winterday.dns).to_pandas()
    nameless = found[found["names"].str.len() == 0]
    assert nameless[["host", "address", "service_port"]].values.tolist() == [
        [answers["address"], answers["tor"]["address"], answers["tor"]["port"]]
    ]
    assert found.index[found["names"].str.len() == 0].tolist() == [0]
    used = dns_names.resolved_destinations(winterday.connections, winterday.dns).to_pandas()
    pool = used[used["address"] == answers["pool"]["address"]]
    assert pool[["host", "name", "connections"]].values.tolist() == [
        [answers["address"], answers["pool"]["names"][0], answers["pool"]["connections"]]
    ]
