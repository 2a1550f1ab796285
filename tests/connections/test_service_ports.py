"""Which of two high ports is the service's, over several connections of two hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from flowbench import engine
from flowbench.connections.service_ports import (
    MIN_CLIENT_PORTS,
    find_constant_ports,
    is_unclear,
)
from flowbench.connections.sessions import join_records
from flowbench.connections.tables import IDLE_TIMEOUT
from tests.connections.conftest import rows, stage
from tests.traffic import T0, Record, make_case, moved

# The service is now the low address, now the high one; ports lie on both sides of its own.
A, C2, BELOW = "10.0.0.5", "203.0.113.7", "10.0.0.1"
A6, C6 = "2001:db8:1::5", "2001:db8:2::7"


def calls(client: str, server: str, port: int, count: int, **more: Any) -> Iterator[Record]:
    """``count`` answered connections without flags, a new client port each, 700 s apart."""
    for number in range(count):
        start = T0 + 700 * number
        source_port = 32_768 + (number * 7_919 + 12_345) % 28_000
        sent = Record(client, server, source_port, port, start, start + 5, **more)
        yield from (sent, sent.back())


def ends(found: list[dict[str, Any]]) -> set[tuple[str, str, int, str]]:
    names = ("initiator", "responder", "service_port", "initiator_rule")
    return {tuple(row[name] for name in names) for row in found}


def test_a_port_that_stays_is_the_services(tmp_path) -> None:
    pairs = [(A, C2), (C2, A), (A, BELOW), (BELOW, A), (A6, C6), (C6, A6)]
    records: list[Record] = []
    expected = set()
    cases = product(pairs, (32_768, 50_050, 65_535), (6, 17))
    for number, ((client, server), port, protocol) in enumerate(cases, 1):
        given = moved(calls(client, server, port, MIN_CLIENT_PORTS, protocol=protocol), number)
        expected.add((given[0].srcaddr, given[0].dstaddr, port, "constant-port"))
        records += given
    found = rows(tmp_path, records)
    assert len(expected) == 36
    assert len(found) == 36 * MIN_CLIENT_PORTS
    assert ends(found) == expected


def test_a_client_port_below_the_ephemeral_ones_follows_the_others(tmp_path) -> None:
    records = list(calls(A, C2, 50_050, 6))
    behind_nat = Record(A, C2, 5_000, 50_050, T0 + 50_000, T0 + 50_005)
    found = rows(tmp_path, [*records, behind_nat, behind_nat.back()])
    assert ends(found) == {(A, C2, 50_050, "constant-port")}


def test_few_connections_show_nothing(tmp_path) -> None:
    found = rows(tmp_path, calls(A, C2, 50_050, MIN_CLIENT_PORTS - 1))
    assert {row["initiator_rule"] for row in found} == {"higher-port"}


def test_each_host_may_serve_the_other(tmp_path) -> None:
    records = [*calls(A, BELOW, 50_050, 5), *calls(BELOW, A, 41_000, 5)]
    assert ends(rows(tmp_path, records)) == {
        (A, BELOW, 50_050, "constant-port"),
        (BELOW, A, 41_000, "constant-port"),
    }


def test_probes_from_one_port_do_not_make_their_sender_a_service(tmp_path) -> None:
    """A scanner that keeps its source port, with a reset for each probe."""
    records = []
    for number in range(30):
        probe = Record(C2, A, 61_000, 33_000 + 1_000 * number, T0, T0 + 5, packets=1, bytes=40)
        records += [probe, probe.back()]
    found = rows(tmp_path, records)
    assert "constant-port" not in {row["initiator_rule"] for row in found}


def test_an_unanswered_attempt_belongs_to_its_sender(tmp_path) -> None:
    late = Record(C2, A, 50_050, 60_999, T0 + 50_000, T0 + 50_005)
    found = rows(tmp_path, [*calls(A, C2, 50_050, 6), late])
    assert (C2, A, 60_999, "one-way") in ends(found)


def test_flags_and_known_ports_are_not_looked_at(tmp_path) -> None:
    with_flags = [replace(r, tcp_flags=27) for r in calls(A, C2, 50_050, 8)]
    found = rows(tmp_path, [*with_flags, *calls(BELOW, C2, 443, 8)])
    assert "constant-port" not in {row["initiator_rule"] for row in found}


def test_connections_of_two_hosts_in_several_files_count_together(tmp_path) -> None:
    case = make_case(tmp_path, calls(A, C2, 50_050, 40))
    staged = stage(case, tmp_path / "staged", 8)
    assert len(staged.parts) > 4
    backend, parts = staged.addresses.get_backend(), list(staged.parts.values())
    with join_records(
        backend, engine.read_parquet(backend, parts), staged.own, IDLE_TIMEOUT
    ) as joined:
        unclear = joined.filter(is_unclear(joined))
        assert backend.to_pyarrow(unclear).num_rows == 40
        found = find_constant_ports(backend, joined)
    ((port, clients),) = found.select("port", "client_ports").to_pandas().itertuples(index=False)
    assert (port, clients) == (50_050, 40)
