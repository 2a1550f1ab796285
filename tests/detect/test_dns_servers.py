"""External DNS servers in flow logs: volume beyond DNS, resolvers, and internal DNS servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.findings import Findings
from tests.traffic import T0, Record, connect, make_case

HOST, CLIENT, PEER = "10.0.0.10", "10.0.0.20", "198.51.100.53"
HOST6, PEER6 = "2600:1f18::10", "2001:db8:53::53"
V2 = "version account_id interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status".split()  # noqa: E501


def exchange(
    windows: int,
    sent: tuple[int, int],
    received: tuple[int, int],
    *,
    host: str = HOST,
    peer: str = PEER,
    port: int = 53,
    protocol: int = 17,
    window: int = 60,
    **fields: Any,
) -> Iterator[Record]:
    """Yield a record each way and window; ``sent`` and ``received`` are packets and bytes."""
    for i in range(windows):
        start = T0 + i * window
        record = Record(
            host, peer, 33_000 + i, port, start, start + window - 1, protocol=protocol,
            packets=sent[0], bytes=sent[1], **{"flow_direction": "egress"} | fields,
        )  # fmt: skip
        yield record
        yield record.back(packets=received[0], bytes=received[1])


def run(folder: Path, records: Iterable[Record], fields: list[str] | None = None) -> Findings:
    case: Case = make_case(folder, records, **({"fields": fields} if fields else {}))
    return detect.run(case, only=["dns"], keep=False)


QUERIES, ANSWERS = (400, 90_000), (400, 40_000)  # of a window: 225 and 100 bytes a packet


@pytest.mark.parametrize(
    ("records", "fields", "severity"),
    [
        (lambda: exchange(720, QUERIES, ANSWERS), None, "high"),
        (lambda: exchange(72, (4_000, 900_000), ANSWERS, window=600), V2, "high"),
        (lambda: exchange(30, QUERIES, ANSWERS), None, "medium"),
        (lambda: exchange(30, QUERIES, ANSWERS, host=HOST6, peer=PEER6), None, "medium"),
        (lambda: exchange(10, (900, 1_200_000), (500, 26_000), protocol=6), V2, "high"),
        (lambda: exchange(60, (200, 15_000), (200, 180_000)), None, "medium"),
    ],
    ids=["upload", "default-format", "short", "ipv6", "tcp", "download"],
)
def test_volume_that_dns_does_not_have(tmp_path, records, fields, severity: str) -> None:
    made = list(records())
    (finding,) = run(tmp_path, made, fields)
    assert (finding.title, finding.severity) == ("Unusual DNS traffic volume", severity)
    assert (finding.subject, finding.peer) == (made[0].srcaddr, made[0].dstaddr)
    assert finding.bytes_out == sum(record.bytes for record in made[::2])
    assert finding.service_port == 53
    assert finding.technique == ("T1048.003" if finding.bytes_out >= 1e6 else "T1071.004")


def recursive(count: int) -> Iterator[Record]:
    """Yield the look-ups of a recursive resolver at many name servers, with small messages."""
    for n in range(count):
        yield from exchange(40, (300, 21_000), (300, 150_000), peer=f"198.51.{n}.53")


def forwarder() -> Iterator[Record]:
    """Yield the look-ups of clients at an internal server, which forwards them to one resolver."""
    for n in range(20):
        yield from exchange(60, (20, 1_400), (20, 4_000), host=f"10.0.1.{n}", peer=HOST,
                            interface_id=f"eni-{n}")  # fmt: skip
    yield from exchange(60, (400, 28_000), (400, 240_000))


@pytest.mark.parametrize(
    "records",
    [
        lambda: recursive(25),
        forwarder,
        lambda: exchange(1, (4_000, 208_000), (30_000, 45_000_000), protocol=6),
        lambda: exchange(600, QUERIES, ANSWERS, peer="10.0.0.2"),
        lambda: exchange(60, QUERIES, (0, 0), action="REJECT"),
        lambda: exchange(60, QUERIES, ANSWERS, port=443),
    ],
    ids=["recursive", "forwarder", "zone-transfer", "internal", "rejected", "other-port"],
)
def test_ordinary_volume_is_not_reported(tmp_path, records) -> None:
    made = [record for record in records() if record.packets]
    assert [f.title for f in run(tmp_path, made) if f.title == "Unusual DNS traffic volume"] == []


def test_internal_dns_servers_use_external_ones(tmp_path) -> None:
    assert not run(tmp_path / "recursive", recursive(25))
    assert not run(tmp_path / "forwarder", forwarder())


def test_a_tunnel_through_an_internal_dns_server(tmp_path) -> None:
    records = [*forwarder(), *exchange(300, QUERIES, ANSWERS, peer="203.0.113.7")]
    (finding,) = run(tmp_path, records)
    assert (finding.severity, finding.peer) == ("medium", "203.0.113.7")
    assert "The host is a DNS server" in finding.caveats


SMALL = ((4, 280), (4, 600))


@pytest.mark.parametrize(
    ("peer", "port", "protocol"),
    [(PEER, 53, 17), (PEER, 53, 6), (PEER6, 853, 6), (PEER, 853, 17), ("1.1.1.1", 443, 6)],
)
def test_an_external_resolver_is_low(tmp_path, peer: str, port: int, protocol: int) -> None:
    host = HOST6 if ":" in peer else HOST
    records = exchange(20, *SMALL, host=host, peer=peer, port=port, protocol=protocol)
    (finding,) = run(tmp_path, records)
    assert (finding.title, finding.severity) == ("External DNS resolver used", "low")
    assert (finding.subject, finding.peers) == (host, (peer,))
    assert finding.bytes_out == 20 * 280


@pytest.mark.parametrize(
    "records",
    [
        lambda: exchange(2, *SMALL),
        lambda: exchange(20, (4, 280), (0, 0)),
        lambda: exchange(20, *SMALL, peer="203.0.113.9", port=443, protocol=6),
        lambda: exchange(20, *SMALL, peer="10.0.0.2"),
    ],
    ids=["a-test", "unanswered", "web-site", "internal"],
)
def test_other_traffic_is_no_external_resolver(tmp_path, records) -> None:
    assert not run(tmp_path, [record for record in records() if record.packets])


def test_a_shared_resolver_is_the_networks_own(tmp_path) -> None:
    hosts = [f"10.0.0.{n}" for n in range(10, 14)]
    shared = [
        record
        for host in hosts
        for record in exchange(200, *SMALL, host=host, window=600, interface_id=f"eni-{host}")
    ]
    only = exchange(
        200, *SMALL, host=hosts[0], peer="203.0.113.7", window=600, interface_id=f"eni-{hosts[0]}"
    )
    (finding,) = run(tmp_path, [*shared, *only])
    assert (finding.subject, finding.peers) == (hosts[0], ("203.0.113.7",))


def test_many_hosts_with_external_resolvers_are_cut(tmp_path) -> None:
    records = [
        record
        for n in range(14)
        for record in exchange(20, *SMALL, host=f"10.0.0.{n}", peer=f"198.51.100.{n}",
                               interface_id=f"eni-{n}")
    ]  # fmt: skip
    findings = run(tmp_path, records)
    assert len(findings) == 10
    assert "14 hosts use such resolvers; 10 are listed." in findings[0].caveats


def test_web_traffic_alone_is_silent(tmp_path) -> None:
    assert not run(tmp_path, connect(HOST, PEER, 443, T0))
