"""Attempts fail or are answered, backscatter is none, candidates and the background are found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from flowbench.detect.scan_candidates import (
    build_attempts,
    exclude_backscatter,
    find_background,
    find_candidates,
    select_candidates,
)
from tests.traffic import T0, Record, connect, make_case, reject

HOST, SCANNER, CLIENT = "10.0.0.5", "198.18.3.4", "198.18.3.5"


def scan(source: str, count: int, at: int = T0) -> list[Record]:
    """Return rejected attempts at so many ports of HOST, a minute apart."""
    return [
        reject(source, HOST, 1_000 + n, at + 60 * n, source_port=40_000 + n) for n in range(count)
    ]


def candidates(folder: Path, records: Iterable[Record]) -> pd.DataFrame:
    attempts = build_attempts(make_case(folder, records).connections)
    table = find_candidates(attempts, min_failed=8, popular_clients=2)
    return table.order_by("initiator", "service_port").to_pandas()


def test_an_attempt_fails_unless_its_answer_has_data(tmp_path: Path) -> None:
    syn = Record(SCANNER, HOST, 41_000, 80, T0, T0 + 59, packets=1, bytes=60, tcp_flags=2)
    records = [
        syn,
        syn.back(packets=1, bytes=40, tcp_flags=4),
        *scan(SCANNER, 1),
        *connect(SCANNER, HOST, 443, T0, source_port=41_001),
        *connect(SCANNER, HOST, 22, T0, source_port=41_002, back=30_000),
    ]
    attempts = build_attempts(make_case(tmp_path, records).connections)
    rows = attempts.order_by("service_port").to_pandas().set_index("service_port")
    assert rows["failed"].to_dict() == {22: False, 80: True, 443: False, 1_000: True}
    assert rows["rejected"].to_dict() == {22: False, 80: False, 443: False, 1_000: True}
    assert rows["has_session"].to_dict() == {22: True, 80: False, 443: False, 1_000: False}
    assert set(rows["direction"]) == {"inbound"}
    assert rows.loc[443, ["bytes_out", "bytes_in"]].tolist() == [800, 3_000]
    assert not rows["silent"].any()


def outcomes(folder: Path, records: Iterable[Record]) -> dict[int, str]:
    """Return what became of the attempts at each service port."""
    rows = build_attempts(make_case(folder, records).connections).to_pandas()
    names = {(True, False): "failed", (False, True): "silent", (False, False): "succeeded"}
    return {row.service_port: names[row.failed, row.silent] for row in rows.itertuples()}


def sent(port: int, **fields: object) -> Record:
    given = {"packets": 1, "bytes": 60, "tcp_flags": 2} | fields
    return Record(SCANNER, HOST, 41_000, port, T0, T0 + 59, **given)


def test_what_was_rejected_has_failed_whatever_its_protocol_and_size(tmp_path: Path) -> None:
    records = []
    for number, (size, packets) in enumerate([(29, 1), (290, 1), (60_000, 40)]):
        fields = {"bytes": size * packets, "packets": packets, "action": "REJECT"}
        records += [
            sent(5_060 + number, protocol=17, tcp_flags=0, **fields),
            sent(440 + number, **fields),
            sent(450 + number, **fields | {"tcp_flags": None}),
        ]
    records.append(sent(0, protocol=47, tcp_flags=0, bytes=2_000, action="REJECT"))
    found = outcomes(tmp_path, records)
    assert len(found) == 10
    assert set(found.values()) == {"failed"}


def test_without_an_answer_a_syn_has_failed_and_udp_is_silent(tmp_path: Path) -> None:
    records = [
        sent(22),
        sent(23, packets=14, bytes=14 * 60),  # a client's seven SYNs, twice
        sent(24, tcp_flags=None),
        sent(5_060, protocol=17, tcp_flags=0, bytes=290),
        # Neither: the other direction of a connection with data is missing.
        sent(443, packets=40, bytes=50_000, tcp_flags=0),
        sent(444, packets=40, bytes=50_000, tcp_flags=None),
    ]
    expected = {22: "failed", 23: "failed", 24: "failed", 5_060: "silent"}
    assert outcomes(tmp_path, records) == expected


def test_what_is_no_syn_or_has_no_packet_of_the_initiator_is_no_attempt(tmp_path: Path) -> None:
    stray = [
        replace(sent(port, tcp_flags=flags), srcaddr=HOST, dstaddr=SCANNER, srcport=41_000 + flags)
        for port in (80, 443, 8_443)
        for flags in (1, 4, 16, 17, 20, 0)
    ]
    backscatter = [
        Record(f"198.51.{n}.7", HOST, port, 20_000 + 37 * n, T0 + n, T0 + n, packets=2, bytes=88,
               tcp_flags=flags, action=action)
        for n, port in enumerate((443, 80, 6_379, 8_080, 53, 3_306))
        for flags in (18, 4, 20, None)
        for action in ("ACCEPT", "REJECT")
    ]  # fmt: skip
    syn_ack = Record(SCANNER, HOST, 80, 20_037, T0, T0 + 5, packets=1, bytes=44, tcp_flags=18)
    reset = syn_ack.back(bytes=40, tcp_flags=4)
    assert outcomes(tmp_path, [*stray, *backscatter, syn_ack, reset]) == {}


def test_where_the_initiator_is_guessed_nobody_attempted_anything(tmp_path: Path) -> None:
    # Both ports are those of clients, without flags: either end may have opened it.
    record = sent(40_100, tcp_flags=None)
    assert outcomes(tmp_path, [record, record.back(bytes=40)]) == {}


def test_handshakes_again_and_again_are_health_checks(tmp_path: Path) -> None:
    records = []
    for port, times in ((8_080, 10), (8_081, 11)):
        for n in range(times):
            record = replace(sent(port, packets=4, bytes=220, tcp_flags=3), srcport=41_000 + n)
            records += [record, record.back(packets=2, bytes=112, tcp_flags=19)]
    assert outcomes(tmp_path, records) == {8_080: "failed", 8_081: "succeeded"}


def test_answers_to_forged_senders_are_excluded(tmp_path: Path) -> None:
    # Without TCP flags, the sender of rejected packets between low ports is the initiator.
    backscatter = [
        reject("203.0.113.80", f"10.0.1.{n}", 37 * n, T0, source_port=80, tcp_flags=None)
        for n in range(1, 9)
    ]
    # One port of many hosts is a sweep, from a well-known source port too.
    sweep = [reject(SCANNER, f"10.0.1.{n}", 445, T0, source_port=53) for n in range(1, 9)]
    attempts = build_attempts(make_case(tmp_path, [*backscatter, *sweep]).connections)
    kept = exclude_backscatter(attempts).to_pandas()
    assert set(attempts.initiator.to_pandas()) == {"203.0.113.80", SCANNER}
    assert len(kept) == 8
    assert set(kept["initiator"]) == {SCANNER}


def test_the_count_of_failures_never_falls_below_zero(tmp_path: Path) -> None:
    earlier = [
        record
        for n in range(20)
        for record in connect(SCANNER, HOST, 3_000 + n, T0 + 60 * n, source_port=50_000 + n)
    ]
    assert candidates(tmp_path / "a", [*earlier, *scan(SCANNER, 7, T0 + 7_200)]).empty
    rows = candidates(tmp_path / "b", [*earlier, *scan(SCANNER, 8, T0 + 7_200)])
    assert rows["service_port"].tolist() == list(range(1_000, 1_008))  # nothing from before it
    assert rows["failed"].all()


def test_a_service_that_answers_few_external_sources_accepted_the_scanner(tmp_path: Path) -> None:
    later = T0 + 7_200
    records = [
        *scan(SCANNER, 8),
        *connect(SCANNER, HOST, 443, later, source_port=41_001),
        *connect(CLIENT, HOST, 443, later, source_port=41_001),
        *connect(SCANNER, HOST, 8_443, later, source_port=41_002),
        *connect(SCANNER, "10.0.0.6", 8_443, later, source_port=41_003),  # not scanned
    ]
    rows = candidates(tmp_path, records)
    assert set(rows["initiator"]) == {SCANNER}
    answered = rows[~rows["failed"]].set_index(["responder", "service_port"])["accepted"]
    assert answered.to_dict() == {(HOST, 443): False, (HOST, 8_443): True}


def background(folder: Path, records: Iterable[Record]) -> list[tuple[str, str, int]]:
    attempts = build_attempts(make_case(folder, records).connections)
    rows = find_background(attempts, find_candidates(attempts, min_failed=8, popular_clients=2))
    order = ["initiator", "responder", "service_port"]
    return list(rows.order_by(order).to_pandas()[order].itertuples(index=False, name=None))


def test_a_single_failed_attempt_from_outside_is_background(tmp_path: Path) -> None:
    syn = sent(80)
    records = [
        reject(CLIENT, HOST, 23, T0),
        reject("198.18.3.7", HOST, 23, T0, tcp_flags=None),
        *(syn, syn.back(packets=1, bytes=40, tcp_flags=20)),
        replace(sent(5_060, protocol=17, tcp_flags=0, bytes=290), srcaddr="198.18.3.6"),
        sent(0, protocol=1, tcp_flags=0, action="REJECT"),
        replace(sent(161, protocol=17, tcp_flags=0, action="REJECT"),
                srcaddr="2001:db8:9::9", dstaddr="fd00::5"),
    ]  # fmt: skip
    assert background(tmp_path, records) == [
        (SCANNER, HOST, 0),
        (SCANNER, HOST, 80),
        (CLIENT, HOST, 23),
        ("198.18.3.6", HOST, 5_060),
        ("198.18.3.7", HOST, 23),
        ("2001:db8:9::9", "fd00::5", 161),
    ]


def test_clients_with_bad_luck_are_no_background(tmp_path: Path) -> None:
    checks = replace(sent(9_000, packets=4, bytes=220, tcp_flags=3), srcaddr="198.18.3.7")
    records = [
        # It reached another service.
        reject(CLIENT, HOST, 23, T0),
        *connect(CLIENT, HOST, 443, T0),
        # The service answers others.
        *connect("198.18.3.12", HOST, 443, T0),
        reject("198.18.3.6", HOST, 443, T0),
        # A handshake without data: a health check.
        *(checks, checks.back(packets=2, bytes=112, tcp_flags=19)),
        # The host talks to it: a late packet, or a peer.
        *connect(HOST, "198.18.3.8", 8_333, T0),
        reject("198.18.3.8", HOST, 8_333, T0 + 900, tcp_flags=None),
        # Logs that a device sends over UDP.
        replace(sent(514, protocol=17, tcp_flags=0, packets=90), srcaddr="198.18.3.9"),
        # An error message, perhaps.
        replace(sent(0, protocol=1, tcp_flags=0), srcaddr="198.18.3.10"),
        # Backscatter, perhaps.
        reject("198.18.3.11", HOST, 500, T0, source_port=80, tcp_flags=None),
    ]
    assert background(tmp_path, records) == []


def test_a_candidate_is_no_background(tmp_path: Path) -> None:
    records = [*scan(SCANNER, 8), reject(CLIENT, HOST, 23, T0)]
    assert background(tmp_path, records) == [(CLIENT, HOST, 23)]


def test_the_rows_of_some_candidates_are_selected(tmp_path: Path) -> None:
    attempts = build_attempts(
        make_case(tmp_path, [*scan(SCANNER, 9), *scan(CLIENT, 8)]).connections
    )
    rows = find_candidates(attempts, min_failed=8, popular_clients=2)
    selected = select_candidates(rows, [{"initiator": CLIENT, "internal": False}])
    assert selected.count().execute() == 8
