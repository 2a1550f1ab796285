"""Flow log records of simulated connections."""

from __future__ import annotations

import pytest

from flowbench.scenario.network import Network, build
from flowbench.scenario.record_format import FIELD_COUNTS, FIELDS
from flowbench.scenario.traffic import Connection, FlowLogger, Record

START = 1_788_220_800


@pytest.fixture
def network() -> Network:
    return build()


def parse(records: list[Record]) -> list[dict[str, str]]:
    names = FIELDS.split(" ")[: FIELD_COUNTS[5]]
    return [dict(zip(names, record.text.split(" "), strict=True)) for record in records]


def log(network: Network, initiator: str, responder: str, **options) -> list[dict[str, str]]:
    logger = FlowLogger(network, START)
    connection = Connection(initiator, responder, 443, 40_000, START + 600, **options)
    return parse(list(logger.records(connection)))


def test_an_internal_connection_has_a_record_per_end_and_direction(network) -> None:
    web, app = network["prod-web-1"], network["prod-app-1"]
    records = log(network, web.address, app.address, seconds=0.0, bytes_out=800, bytes_in=2_400)
    assert [(r["interface-id"], r["flow-direction"], r["bytes"]) for r in records] == [
        (web.interface, "egress", "800"),
        (web.interface, "ingress", "2400"),
        (app.interface, "ingress", "800"),
        (app.interface, "egress", "2400"),
    ]
    assert [r["tcp-flags"] for r in records] == ["3", "19", "3", "19"]
    assert {r["action"] for r in records} == {"ACCEPT"}
    assert [r["traffic-path"] for r in records] == ["1", "-", "-", "1"]


def test_a_rejected_connection_has_no_reply_and_is_accepted_at_its_source(network) -> None:
    box, database = network["dev-devbox-1"], network["prod-rds-1"]
    records = log(network, box.address, database.address, rejected=True, attempts=3)
    by_end = {r["interface-id"]: r["action"] for r in records}
    assert by_end == {box.interface: "ACCEPT", database.interface: "REJECT"}
    assert {r["tcp-flags"] for r in records} == {"2"}
    assert {r["srcaddr"] for r in records} == {box.address}
    assert all(int(r["bytes"]) == 60 * int(r["packets"]) for r in records)


def test_a_nat_gateway_logs_both_sides_with_packet_addresses(network) -> None:
    box, gateway = network["dev-devbox-1"], network["dev-nat-1"]
    records = log(network, box.address, "192.0.2.1", seconds=0.0, service="S3")
    at_gateway = [r for r in records if r["interface-id"] == gateway.interface]
    pairs = [(r["srcaddr"], r["dstaddr"], r["pkt-srcaddr"], r["pkt-dstaddr"]) for r in at_gateway]
    assert pairs == [
        (box.address, gateway.address, box.address, "192.0.2.1"),
        (gateway.address, "192.0.2.1", gateway.address, "192.0.2.1"),
        ("192.0.2.1", gateway.address, "192.0.2.1", gateway.address),
        (gateway.address, box.address, "192.0.2.1", box.address),
    ]
    assert at_gateway[0]["pkt-dst-aws-service"] == at_gateway[2]["pkt-src-aws-service"] == "S3"
    ports = {r["srcport"] for r in at_gateway[1:2]} | {r["dstport"] for r in at_gateway[2:3]}
    assert len(ports) == 1
    assert ports != {"40000"}


def test_bytes_are_conserved_over_windows(network) -> None:
    web, app = network["prod-web-1"], network["prod-app-1"]
    records = log(network, web.address, app.address, seconds=600.0, bytes_out=10_000_000)
    sent = [int(r["bytes"]) for r in records if r["flow-direction"] == "egress"]
    by_source = [int(r["bytes"]) for r in records if r["srcaddr"] == web.address]
    assert len(sent) > 15
    assert sum(by_source) == 2 * 10_000_000


def test_a_late_packet_is_rejected_after_the_close(network) -> None:
    web, app = network["prod-web-1"], network["prod-app-1"]
    records = log(network, web.address, app.address, seconds=0.0, late_packet=True)
    (late,) = [r for r in records if r["action"] == "REJECT"]
    assert (late["srcaddr"], late["tcp-flags"], late["bytes"]) == (app.address, "4", "40")


def test_empty_windows_have_a_status_and_no_data(network) -> None:
    logger, web = FlowLogger(network, START), network["prod-web-1"]
    nodata, skipped = parse(
        [logger.empty_record(web, 3), logger.empty_record(web, 4, skipped=True)]
    )
    assert (nodata["log-status"], skipped["log-status"]) == ("NODATA", "SKIPDATA")
    assert {nodata[n] for n in ("srcaddr", "bytes", "action", "tcp-flags")} == {"-"}
    assert (nodata["start"], nodata["end"]) == tuple(map(str, logger.bounds(web.interface, 3)))


def test_source_ports_are_ephemeral_and_differ(network) -> None:
    logger = FlowLogger(network, START)
    ports = [logger.source_port("10.0.0.1") for _ in range(100)]
    assert len(set(ports)) == 100
    assert all(32_768 <= port <= 61_000 for port in ports)


@pytest.mark.parametrize("interval", [60, 600])
def test_windows_have_the_length_of_the_aggregation_interval(network, interval: int) -> None:
    logger, web = FlowLogger(network, START, interval=interval), network["prod-web-1"]
    for number in range(50):
        start, end = logger.bounds(web.interface, number)
        assert interval - 2 <= end - start <= interval + 1
        assert end <= logger.bounds(web.interface, number + 1)[0]
        assert logger.window(web.interface, start) == number


def test_the_next_window_begins_at_a_time_or_later(network) -> None:
    logger, web = FlowLogger(network, START, interval=600), network["prod-web-1"]
    for time in (START + 5_000.5, START + 5_999, START + 7_201):
        start = logger.next_window(web.interface, time)
        assert time <= start < time + 600
        number = logger.window(web.interface, start)
        assert logger.bounds(web.interface, number)[0] - start in (0, 1)
        assert logger.next_window(web.interface, start) == start


@pytest.mark.parametrize(("version", "count"), [(2, 14), (3, 21), (4, 25), (5, 29)])
def test_records_have_the_fields_of_their_version(network, version: int, count: int) -> None:
    logger = FlowLogger(network, START, version=version)
    web = network["prod-web-1"]
    sent = Connection(web.address, "203.0.113.9", 443, 40_000, START + 60)
    for record in [*logger.records(sent), logger.empty_record(web, 3)]:
        columns = record.text.split(" ")
        assert len(columns) == count
        assert columns[0] == str(version)
