"""Scans are told from noise, backscatter and broken clients, with flags and without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowbench.schema import DEFAULT_FORMAT
from tests.detect.test_detectors import run
from tests.traffic import FIELDS, T0, Record, make_case, refused, talk

HOST, OUTSIDE = "10.0.0.5", "198.18.3.4"


@pytest.fixture(params=[FIELDS, DEFAULT_FORMAT], ids=["flags", "v2"])
def fields(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


def knock(source: str, target: str, port: int, n: int, **more: object) -> Record:
    return refused(
        source, target, port, T0 + 20 * n, source_port=40_000 + n,
        interface_id=f"eni-{target}", **more,
    )  # fmt: skip


def test_an_inside_host_that_tries_many_hosts_is_high(tmp_path: Path, fields: list[str]) -> None:
    records = [knock(HOST, f"10.0.1.{n}", 445, n) for n in range(1, 13)]
    (row,) = run(make_case(tmp_path, records, fields=fields), "scan").to_dict("records")
    assert (row["severity"], row["subject"], row["service_port"]) == ("high", HOST, 445)
    assert (row["technique"], len(row["peers"]), row["connections"]) == ("T1046", 12, 12)
    assert "12 doors (12 hosts, 1 port: 445; one port of many hosts)" in row["why"]
    assert "12 led nowhere (12 rejected, 0 answered without data), 0 to a conv" in row["why"]


def test_an_inbound_scan_is_low_and_medium_when_quick_or_answered(
    tmp_path: Path, fields: list[str]
) -> None:
    slow = [
        replace(knock(OUTSIDE, f"10.0.1.{n}", 23, n), start=T0 + 900 * n, end=T0 + 900 * n + 59)
        for n in range(1, 12)
    ]
    quick = [
        refused("198.18.9.9", HOST, port, T0, source_port=50_000 + port, interface_id="eni-q")
        for port in range(20, 50)
    ]
    found = run(make_case(tmp_path, [*slow, *quick], fields=fields), "scan").set_index("subject")
    assert found["severity"].to_dict() == {OUTSIDE: "low", "198.18.9.9": "medium"}
    assert set(found["technique"]) == {"T1595.001"}
    assert "30 ports of one host in 5 min" in found.loc["198.18.9.9", "why"]


def test_resets_and_bare_handshakes_count_as_nothing_found(
    tmp_path: Path, fields: list[str]
) -> None:
    records = []
    for port in range(100, 110):
        syn = Record(HOST, "10.0.1.1", 41_000 + port, port, T0, T0 + 59, packets=1, bytes=60)
        records += [
            replace(syn, tcp_flags=2),
            replace(syn.back(packets=1, bytes=40), tcp_flags=4),
        ]
    (row,) = run(make_case(tmp_path, records, fields=fields), "scan").to_dict("records")
    assert "10 led nowhere (0 rejected, 10 answered without data)" in row["why"]


def test_noise_backscatter_and_broken_clients_are_no_scans(
    tmp_path: Path, fields: list[str]
) -> None:
    noise = [
        knock(f"198.18.{n}.7", f"10.0.1.{1 + k}", 22 + k, n, pkt_srcaddr=None)
        for n in range(60)
        for k in range(4)
    ]
    # A flooded web server answers senders that were forged as ours.
    victim = [
        Record(
            "203.0.113.80", f"10.0.1.{n}", 80, 37 * n, T0 + n, T0 + n + 5, packets=2, bytes=88,
            tcp_flags=18, action="REJECT", interface_id=f"eni-{n}",
        )
        for n in range(1, 60)
    ]  # fmt: skip
    broken = [knock(HOST, "10.0.1.1", 6379, n) for n in range(300)]
    case = make_case(tmp_path, [*noise, *victim, *broken], fields=fields)
    assert run(case, "scan").empty


def test_what_a_busy_host_reached_before_does_not_excuse_it(tmp_path: Path) -> None:
    usual = [
        record
        for n in range(60)
        for record in talk(HOST, f"10.0.2.{n}", 9100, T0 + n, source_port=40_000 + n)
    ]
    tried = [
        refused(HOST, f"10.0.1.{n}", 22, T0 + 4_000 + n, source_port=51_000 + n, interface_id="z")
        for n in range(10)
    ]
    (row,) = run(make_case(tmp_path, [*usual, *tried]), "scan").to_dict("records")
    assert len(row["peers"]) == 10


def test_a_monitor_with_some_dead_targets_is_no_scanner(tmp_path: Path) -> None:
    records = []
    for n in range(60):
        if n % 5:
            records += talk(HOST, f"10.0.2.{n}", 9100, T0 + 10 * n, source_port=40_000 + n)
        else:
            records.append(knock(HOST, f"10.0.2.{n}", 9100, n))
    assert run(make_case(tmp_path, records), "scan").empty


@pytest.mark.parametrize(
    ("folder", "kind", "caught"), [("scan-ncsa", "port-scan", 30), ("scan-ncsa-backscatter", "", 0)]
)
def test_recorded_scans_are_found_and_recorded_backscatter_is_silent(
    samples: Path, folder: str, kind: str, caught: int
) -> None:
    from flowbench.evaluate import evaluate

    place = samples / "labelled" / folder
    table = evaluate([place], place / "labels.csv").table
    rows = table[table["detector"] == "scan"]
    assert rows["caught"].sum() == caught == rows["pairs"].sum()
    assert table[["false_benign", "false_background"]].sum().sum() == 0  # nobody else fires either
    assert rows["benign_pairs"].sum() == (0 if kind else 509)
