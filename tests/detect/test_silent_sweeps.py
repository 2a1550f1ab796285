"""Sweeps by ICMP and UDP are found by their silent targets; pinged hosts and monitors are not."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.detect.scan_candidates import build_attempts
from flowbench.detect.silent_sweeps import (
    count_as_failed,
    find_external_pings,
    find_ping_sweeps,
    find_silent_datagrams,
)
from tests.detect.connection_rows import answered, connection, tables

HOST, OTHER = "10.0.0.5", "10.0.9.9"
Rows = list[dict[str, Any]]


def ping(source: str, target: str, at: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a ping without an answer."""
    return connection(source, target, 0, at, **{"protocol": 1, "bytes_out": 84} | fields)


def both_ways(one: str, other: str, at: int = 0, **fields: Any) -> dict[str, Any]:
    """Return ICMP both ways: who sent the request cannot be told."""
    given = {"answered": True, "packets_in": 1, "bytes_in": 84, "initiator_rule": "order"}
    return ping(one, other, at, **given | fields)


def sweep(count: int, silent: int, *, step: int = 2, **fields: Any) -> Rows:
    """Return pings to so many hosts, of which the first ``silent`` do not answer."""
    return [
        ping(HOST, f"10.0.1.{n}", step * n, **fields)
        if n < silent
        else both_ways(*sorted([HOST, f"10.0.1.{n}"], reverse=bool(n % 2)), step * n, **fields)
        for n in range(count)
    ]


def pinged(rows: Rows) -> dict[str, int]:
    """Return how many targets each source swept."""
    found = find_ping_sweeps(*tables(rows), 8).to_pandas()
    assert found["failed"].tolist() == (~found["answered"]).tolist()
    return found["initiator"].value_counts().to_dict()


@pytest.mark.parametrize(
    ("count", "silent", "step"),
    [(60, 40, 0), (60, 60, 120), (17, 6, 0), (8, 8, 10), (8, 3, 60), (12, 3, 2)],
)
def test_a_ping_sweep_counts_answered_hosts_too(count: int, silent: int, step: int) -> None:
    assert pinged(sweep(count, silent, step=step)) == {HOST: count}


@pytest.mark.parametrize(
    ("count", "silent", "more"),
    [
        (7, 7, {}),  # too few hosts
        (60, 0, {}),  # all answered: perhaps they pinged
        (60, 2, {}),
        (60, 14, {"step": 0}),  # monitoring with some hosts down
        (60, 40, {"step": 300}),
        (60, 40, {"packets_out": 11, "packets_in": 11}),  # monitoring that goes on
    ],
)
def test_few_or_answered_or_slow_pings_are_no_sweep(
    count: int, silent: int, more: dict[str, int]
) -> None:
    assert pinged(sweep(count, silent, **more)) == {}


def test_a_sweep_by_ipv6_to_external_hosts() -> None:
    rows = [ping("fd00::5", f"2001:db8::{n}", protocol=58) for n in range(1, 10)]
    assert pinged(rows) == {"fd00::5": 9}


def test_pings_before_and_after_a_sweep_are_no_part_of_it() -> None:
    usual = [both_ways(HOST, f"10.0.2.{n}", at + n) for at in (-3_600, 7_200) for n in range(4)]
    assert pinged([*sweep(20, 10), *usual]) == {HOST: 20}


def test_hosts_that_were_pinged_are_not_accused() -> None:
    # Many ping HOST, as the gateway of a network; it has three pings of its own without an answer.
    rows = [both_ways(HOST, f"10.0.1.{n}", n) for n in range(30)]
    assert pinged([*rows, *(ping(HOST, f"10.0.3.{n}", n) for n in range(3))]) == {}


def test_external_sources_do_not_sweep_as_internal_hosts_do() -> None:
    assert pinged([ping("198.18.3.4", f"10.0.1.{n}", n) for n in range(40)]) == {}


@pytest.mark.parametrize(
    ("count", "step", "more", "targets"),
    [
        (40, 2, {}, 40),
        (8, 60, {}, 8),
        (7, 1, {}, 0),
        (20, 300, {}, 0),  # slow: five in ten minutes before and after
        (20, 1, {"packets_out": 11}, 0),  # monitoring
        (20, 1, {"rejected": True}, 0),  # attempts, which are counted as such
    ],
)
@pytest.mark.parametrize(
    ("source", "target", "protocol"),
    [("198.18.3.4", "10.0.1.{}", 1), ("2001:db8::4", "fd00::{}", 58)],
)
def test_external_pings_without_an_answer(
    count: int,
    step: int,
    more: dict[str, Any],
    targets: int,
    source: str,
    target: str,
    protocol: int,
) -> None:
    fields = {"protocol": protocol, "direction": "inbound"} | more
    rows = [ping(source, target.format(n), n * step, **fields) for n in range(1, count + 1)]
    assert find_external_pings(*tables(rows), 8).count().execute() == targets


def test_an_external_host_that_reports_errors_does_not_ping() -> None:
    rows = [ping("198.18.3.4", f"10.0.1.{n}", n, direction="inbound") for n in range(20)]
    asked = [connection(f"10.0.1.{n}", "198.18.3.4", 161, protocol=17) for n in range(20)]
    assert find_external_pings(*tables([*rows, *asked]), 8).count().execute() == 0


def test_error_messages_are_no_pings() -> None:
    # Ports of HOST that are closed: it reports so to each sender. It may also have asked.
    rows = [ping(HOST, f"198.18.3.{n}", 1) for n in range(20)]
    probes = [connection(f"198.18.3.{n}", HOST, 161, protocol=17) for n in range(10)]
    replies = [answered(HOST, f"198.18.3.{n}", 53, protocol=17) for n in range(10, 20)]
    assert pinged(rows) == {HOST: 20}
    assert pinged([*rows, *probes, *replies]) == {}


def datagram(source: str, target: str, port: int, at: int = 0, **fields: Any) -> dict[str, Any]:
    return connection(source, target, port, at, **{"protocol": 17, "bytes_out": 290} | fields)


def reply(source: str, target: str, port: int, at: int = 0) -> dict[str, Any]:
    return answered(source, target, port, at, protocol=17)


def swept(rows: Rows) -> list[tuple[str, str, int]]:
    found = find_silent_datagrams(build_attempts(tables(rows)[0]), 8).to_pandas()
    columns = ["initiator", "responder", "service_port"]
    return sorted(found[columns].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("network", "port"), [("10.0.1.", 161), ("198.18.9.", 1_434), ("fd00::", 47_808)]
)
def test_udp_to_many_hosts_without_an_answer_is_a_sweep(network: str, port: int) -> None:
    source = "fd00:1::5" if ":" in network else HOST
    expected = sorted((source, f"{network}{n}", port) for n in range(1, 13))
    assert swept([datagram(*one, 30 * n) for n, one in enumerate(expected)]) == expected


def test_rejected_hosts_belong_to_a_sweep_and_a_third_may_answer() -> None:
    rows = [datagram(HOST, f"10.0.1.{n}", 161, n, rejected=n < 4) for n in range(10)]
    rows += [reply(HOST, f"10.0.2.{n}", 161, n) for n in range(5)]
    assert len(swept(rows)) == 10
    assert swept([*rows, *(reply(HOST, f"10.0.3.{n}", 161) for n in range(2))]) == []


@pytest.mark.parametrize(
    "rows",
    [
        [datagram(HOST, f"10.0.1.{n}", 161, n) for n in range(7)],
        [datagram(HOST, f"10.0.1.{n}", 161, 300 * n) for n in range(40)],
        # A peer-to-peer node: other ports and hosts.
        [datagram(HOST, f"198.18.1.{n}", 20_000 + n, n) for n in range(40)],
        # Many datagrams to each: logs, streams.
        [datagram(HOST, f"10.0.1.{n}", 514, n, packets_out=11) for n in range(40)],
        # Ports on which traceroute counts its hops.
        [datagram(HOST, "198.18.1.1", 33_434 + n, n) for n in range(40)],
        [datagram("198.18.1.1", f"10.0.1.{n}", 161, n) for n in range(40)],
        # A resolver or a poller: most answer.
        [(datagram, reply)[n % 2](HOST, f"10.0.1.{n}", 53, n) for n in range(60)],
        # Each end of an overlay network sends from a port of its own.
        [
            datagram(*ends, 4_789, n)
            for n in range(20)
            for ends in ((HOST, f"10.0.1.{n}"), (f"10.0.1.{n}", HOST))
        ],
    ],
    ids="few slow peer-to-peer streams traceroute inbound resolver overlay".split(),
)
def test_other_silent_udp_is_no_sweep(rows: Rows) -> None:
    assert swept(rows) == []


@pytest.mark.parametrize(("ports", "count"), [(14, 0), (15, 15), (60, 60)])
def test_udp_to_many_ports_of_a_host_is_a_sweep(ports: int, count: int) -> None:
    assert len(swept([datagram(HOST, "10.0.1.1", 100 + 7 * n, n) for n in range(ports)])) == count


def test_swept_services_count_as_failed() -> None:
    rows = [datagram(HOST, f"10.0.1.{n}", 161, n) for n in range(8)]
    rows += [datagram(HOST, "10.0.2.1", 514), answered(HOST, "10.0.2.2", 443)]
    attempts = build_attempts(tables(rows)[0])
    marked = count_as_failed(attempts, find_silent_datagrams(attempts, 8)).to_pandas()
    assert list(marked.columns) == list(attempts.columns)
    assert marked.groupby("service_port")["failed"].sum().to_dict() == {161: 8, 443: 0, 514: 0}
    assert marked.groupby("service_port")["silent"].sum().to_dict() == {161: 0, 443: 0, 514: 1}
