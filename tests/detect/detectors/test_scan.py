"""Scans are distinguished from noise, backscatter and broken clients, with flags and without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect
from flowbench.detect.detectors import scan
from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import run, run_named
from tests.traffic import FIELDS, T0, Record, connect, make_case, reject

HOST, OUTSIDE = "10.0.0.5", "198.18.3.4"


def test_a_service_attempted_by_many_counts_once(tmp_path: Path) -> None:
    tries = [
        reject(f"198.18.7.{source}", HOST, port, T0 + source, source_port=40_000 + port)
        for source in (1, 2, 3)
        for port in range(12)
    ]
    (row,) = run(make_case(tmp_path, tries), "scan").to_dict("records")
    assert "3 external addresses attempted connections to 12 services on 1 host" in row["summary"]
    assert ": 36 attempts failed (36 rejected" in row["summary"]


@pytest.fixture(params=[FIELDS, DEFAULT_FORMAT], ids=["flags", "v2"])
def fields(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


def attempt(source: str, target: str, port: int, n: int, **more: object) -> Record:
    return reject(
        source, target, port, T0 + 20 * n, source_port=40_000 + n,
        interface_id=f"eni-{target}", **more,
    )  # fmt: skip


def wave(source: str, *, count: int = 8, target: str = HOST, at: int = 0) -> list[Record]:
    """An external source that a host rejects at so many services."""
    return [attempt(source, target, 1_000 + n, at + n) for n in range(count)]


def reached(source: str, port: int, *, target: str = HOST, **more: object) -> Iterator[Record]:
    """A conversation after the search."""
    return connect(
        source, target, port, T0 + 5_000, source_port=60_001, interface_id=f"eni-{target}", **more
    )


def test_external_scanners_without_answer_are_one_low_finding(
    tmp_path: Path, fields: list[str]
) -> None:
    slow = [
        replace(attempt(OUTSIDE, f"10.0.1.{n}", 23, n), start=T0 + 900 * n, end=T0 + 900 * n + 59)
        for n in range(1, 12)
    ]
    quick = [
        reject("198.18.9.9", HOST, port, T0, source_port=50_000 + port, interface_id="eni-q")
        for port in range(20, 50)
    ]
    usual = connect(
        OUTSIDE, "10.0.9.9", 443, T0, interface_id="eni-w"
    )  # of no host that it searched
    case = make_case(tmp_path, [*slow, *quick, *usual], fields=fields)
    (row,) = run(case, "scan").to_dict("records")
    assert (row["severity"], row["subject"], row["technique"]) == ("low", "internet", "T1595.001")
    assert row["peers"].tolist() == [OUTSIDE, "198.18.9.9"]
    assert row["connections"] == 41
    assert (
        "2 external addresses attempted connections to 41 services on 12 hosts from 2026-09-01 00:"
        in row["summary"]
    )
    assert (
        "41 attempts failed (41 rejected, 0 answered without data). Repeated attempts of an address"
        " on the same service count as one. None received data from a service with few external"
        " clients." in row["summary"]
    )
    assert (
        "Sources with the most failed attempts: 198.18.9.9 (30), 198.18.3.4 (11)." in row["summary"]
    )
    assert "Most attempted ports: 23 (by 2), 20 (by 1)," in row["summary"]
    lines = case.evidence_for(row)
    assert len(lines) == 41
    assert set(lines["srcaddr"]) == {OUTSIDE, "198.18.9.9"}
    assert {(HOST, "198.18.9.9"), ("10.0.1.11", OUTSIDE)} <= set(
        detect.run(case, ["scan"])[0].ends()
    )


def test_a_scanner_with_an_answer_is_a_finding_of_its_own(
    tmp_path: Path, fields: list[str]
) -> None:
    records = [*wave(OUTSIDE), *reached(OUTSIDE, 8_443)]
    for n in range(1, 4):
        records += wave(f"198.18.9.{n}", at=9 * n)
    case = make_case(tmp_path, records, fields=fields)
    first, noise = run(case, "scan").to_dict("records")
    assert (first["subject"], first["severity"]) == (OUTSIDE, "medium")
    assert "8 failed (8 rejected, 0 answered without data), 1 answered." in first["summary"]
    assert "It was answered by 1 service with few external" in first["summary"]
    assert (noise["subject"], len(noise["peers"])) == ("internet", 3)


def test_a_public_site_does_not_count_but_a_login_session_does(tmp_path: Path) -> None:
    records = [r for port in (22, 443) for n in range(9) for r in reached(f"198.18.7.{n}", port)]
    records += [*wave(OUTSIDE), *reached(OUTSIDE, 443, back=90_000)]
    records += [*wave("198.18.3.5"), *reached("198.18.3.5", 22, back=90_000)]
    # A banner and no more.
    records += [*wave("198.18.3.6"), *reached("198.18.3.6", 22, back=1_500)]
    case, session = make_case(tmp_path, records), "198.18.3.5"
    found = run(case, "scan").set_index("subject")
    # Nine others use 443, so OUTSIDE is the tenth there; at 22 there are eleven with the scanners.
    assert found["severity"].to_dict() == {session: "medium", "internet": "low"}
    assert found.loc["internet", "peers"].tolist() == [OUTSIDE, "198.18.3.6"]
    assert (
        "2 of them got an answer from a service with many external clients."
        in (found.loc["internet", "summary"])
    )


@pytest.mark.parametrize(("sources", "findings"), [(5, 5), (6, 1)])
def test_more_than_a_few_answered_on_one_port_are_one_finding(
    tmp_path: Path, sources: int, findings: int
) -> None:
    names = [f"198.18.3.{n}" for n in range(sources)]
    records = [r for one in names for r in (*wave(one), *reached(one, 6_379, back=7_000))]
    found = run(make_case(tmp_path, records), "scan")
    assert len(found) == findings
    assert set(found["severity"]) == {"medium"}
    if findings == 1:
        assert found.loc[0, "title"] == "Internet background scanning, answered on port 6379"
        assert found.loc[0, "peers"].tolist() == names
        assert "Each was answered on port 6379: by a service" in found.loc[0, "summary"]
        assert "Most data was received by 198.18.3.0 (7.0 kB)" in found.loc[0, "summary"]


def test_an_indicator_match_is_reported_alone_unless_it_is_for_scanning(tmp_path: Path) -> None:
    names = [f"198.18.3.{n}" for n in range(4)]
    listed = f"indicator,kind,feed\n{names[0]},c2,f\n{names[1]},scanner,f\n{names[2]},allow,own\n"
    case = make_case(tmp_path, [r for one in names for r in wave(one)], indicators=listed)
    found = run(case, "scan")
    assert found["subject"].tolist() == [names[0], "internet"]
    assert found.loc[1, "peers"].tolist() == [names[1], names[3]]
    kept_back = {f.subject: f.suppressed_by for f in detect.run(case, ["scan"]).all}
    assert kept_back[names[2]] == "own"


def test_a_source_with_far_more_attempts_is_reported_alone(tmp_path: Path) -> None:
    records = [r for n in range(5) for r in wave(f"198.18.9.{n}")]
    many = make_case(tmp_path / "a", [*records, *wave(OUTSIDE, count=100)])
    assert run(many, "scan")["subject"].tolist() == [OUTSIDE, "internet"]
    less = make_case(tmp_path / "b", [*records, *wave(OUTSIDE, count=99)])
    assert run(less, "scan")["subject"].tolist() == ["internet"]
    alike = [r for n in range(5) for r in wave(f"198.18.9.{n}", count=100)]
    assert run(make_case(tmp_path / "c", alike), "scan")["subject"].tolist() == ["internet"]


def test_a_new_scanner_changes_the_noise_and_makes_no_other(tmp_path: Path) -> None:
    case = make_case(tmp_path, wave(OUTSIDE))
    before = detect.run(case, ["scan"])
    more = tmp_path / "more.log"
    lines = [one.text(FIELDS) for one in wave("2001:db8:9::9", target="fd00::5", count=9)]
    more.write_text("\n".join([" ".join(FIELDS), *lines]) + "\n")
    case.ingest(more)
    after = detect.run(case, ["scan"])
    (row,) = detect.compare(before, after).to_dict("records")
    assert (row["change"], row["subject"]) == ("changed", "internet")
    assert row["finding_id"] == before[0].finding_id
    assert "connections 8 -> 17" in row["changed"]
    assert "peers +2001:db8:9::9" in row["changed"]


def test_an_internal_scanner_is_no_background_scanning(tmp_path: Path) -> None:
    inside = [attempt("10.0.0.7", f"10.0.1.{n}", 445, n) for n in range(9)]
    found = run(make_case(tmp_path, [*wave(OUTSIDE), *inside]), "scan")
    assert found["subject"].tolist() == ["10.0.0.7", "internet"]
    assert found["severity"].tolist() == ["high", "low"]
    assert found.loc[1, "peers"].tolist() == [OUTSIDE]


def test_noise_backscatter_and_broken_clients_are_no_scans(
    tmp_path: Path, fields: list[str]
) -> None:
    noise = [
        attempt(f"198.18.{n}.7", f"10.0.1.{1 + k}", 22 + k, n, pkt_srcaddr=None)
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
    broken = [attempt(HOST, "10.0.1.1", 6379, n) for n in range(300)]
    case = make_case(tmp_path, [*noise, *victim, *broken], fields=fields)
    (row,) = run(case, "scan").to_dict("records")
    assert (row["subject"], row["severity"]) == ("internet", "low")
    assert sorted(row["peers"]) == sorted(f"198.18.{n}.7" for n in range(60))
    assert row["connections"] == 240


def test_every_source_that_reached_nothing_is_in_the_background(
    tmp_path: Path, fields: list[str]
) -> None:
    records = [attempt(f"198.18.4.{n}", f"10.0.1.{n % 3}", 22 + n, n) for n in range(30)]
    records += wave(OUTSIDE)
    # One of them is on an allow list; one gets an answer from a service.
    records += [*reached("198.18.4.7", 443), attempt("198.18.4.40", HOST, 3_389, 1)]
    case = make_case(
        tmp_path, records, fields=fields, indicators="indicator,kind,feed\n198.18.4.40,allow,own\n"
    )
    (row,) = run(case, "scan").to_dict("records")
    assert (row["title"], row["severity"]) == ("Internet background scanning", "low")
    assert set(row["peers"]) == {OUTSIDE, *(f"198.18.4.{n}" for n in range(30) if n != 7)}
    assert row["scores"] == {"failed": 1.0}
    assert "30 external addresses attempted connections to 37 services on 4 hosts" in row["summary"]
    assert len(case.evidence_for(row)) == row["connections"] == 37


def test_of_very_many_sources_some_are_named(tmp_path: Path) -> None:
    records = [attempt(f"198.18.4.{n}", HOST, 23, n) for n in range(12)]
    records += wave(OUTSIDE, count=3)
    (finding,) = scan.find(make_case(tmp_path, records), max_sources=5)
    assert "13 external addresses attempted" in finding.summary
    named = ["198.18.4.0", "198.18.4.1", "198.18.4.10", "198.18.4.11"]
    assert sorted(finding.peers) == sorted([OUTSIDE, *named])
    assert "The peers are the 5 sources with the most failed attempts." in finding.caveats
    assert not finding.peers_complete


def test_a_rejected_probe_has_reached_nothing_whatever_its_size(tmp_path: Path) -> None:
    probe = replace(attempt(OUTSIDE, HOST, 5_060, 10), protocol=17, bytes=1_400, tcp_flags=0)
    (row,) = run(make_case(tmp_path, [*wave(OUTSIDE), probe]), "scan").to_dict("records")
    assert (row["subject"], row["severity"]) == ("internet", "low")
    assert "9 attempts failed (9 rejected" in row["summary"]
    assert "None received data" in row["summary"]


def pings(source: str, count: int, silent: int) -> Iterator[Record]:
    for n in range(count):
        sent = Record(source, f"10.0.1.{n}", 0, 0, T0, T0 + 59, protocol=1, packets=2, bytes=168)
        yield sent
        if n >= silent:
            yield sent.back()


def test_external_pings_are_background_scanning(tmp_path: Path, fields: list[str]) -> None:
    records = [*pings(OUTSIDE, 20, 20), *pings("198.18.5.5", 7, 7)]
    (row,) = run(make_case(tmp_path, records, fields=fields), "scan").to_dict("records")
    assert (row["title"], row["severity"]) == ("Internet background scanning", "low")
    assert row["peers"] == [OUTSIDE]
    assert "Most attempted ports: none (ICMP) (by 1)." in row["summary"]


def bare_handshakes() -> Iterator[Record]:
    """Services that reset a connection, or answer a SYN and no more."""
    for port in range(100, 110):
        syn = Record(HOST, "10.0.1.1", 41_000 + port, port, T0, T0 + 59, packets=1, bytes=60)
        yield replace(syn, tcp_flags=2)
        yield replace(syn.back(packets=1, bytes=40), tcp_flags=4)


def health_checks() -> Iterator[Record]:
    for n in range(20 * 12):
        check = Record(HOST, f"10.0.1.{n % 20}", 33_000 + n, 8_080, T0 + 15 * n, T0 + 15 * n + 1,
                       packets=4, bytes=220, tcp_flags=3)  # fmt: skip
        yield check
        yield check.back(packets=3, bytes=164)


def stray_ends() -> list[Record]:
    return [
        Record(HOST, f"198.51.{n}.7", 40_000 + n, 443, T0 + 600 * n, T0 + 600 * n + 59, packets=2,
               bytes=80, tcp_flags=(1, 17, 4, 20)[n % 4])
        for n in range(40)
    ]  # fmt: skip


def backscatter() -> list[Record]:
    return [
        Record(f"198.51.{n // 2}.7", HOST, (443, 80, 6_379, 22)[n % 4], 20_000 + 37 * n, T0 + n,
               T0 + n, packets=2, bytes=88, tcp_flags=18, action=("ACCEPT", "REJECT")[n % 3 % 2])
        for n in range(48)
    ]  # fmt: skip


def monitor() -> Iterator[Record]:
    """A monitor of 60 hosts, of which every fifth is down."""
    for n in range(60):
        if n % 5:
            yield from connect(HOST, f"10.0.2.{n}", 9100, T0 + 10 * n, source_port=40_000 + n)
        else:
            yield attempt(HOST, f"10.0.2.{n}", 9100, n)


def of_internal_hosts() -> dict[str, list[Record]]:
    usual = [
        record
        for n in range(60)
        for record in connect(HOST, f"10.0.2.{n}", 9100, T0 + n, source_port=40_000 + n)
    ]
    tried = [
        reject(HOST, f"10.0.1.{n}", 22, T0 + 4_000 + n, source_port=51_000 + n, interface_id="z")
        for n in range(10)
    ]
    udp = [
        Record(HOST, f"10.0.1.{n}", 41_000, 161, T0, T0 + 59, protocol=17, packets=1, bytes=87)
        for n in range(30)
    ]
    both = [*pings(HOST, 60, 40), *(attempt(HOST, f"10.0.1.{n}", 445, n) for n in range(45, 55))]
    return {
        "many hosts": [attempt(HOST, f"10.0.1.{n}", 445, n) for n in range(1, 13)],
        "bare handshakes": list(bare_handshakes()),
        "backscatter": backscatter(),
        "health checks": list(health_checks()),
        "pings": both,
        "udp": udp,
        "mutual pings": [
            *pings(HOST, 40, 0),
            *(r for n in range(40) for r in pings(f"10.0.2.{n}", 1, 0)),
        ],
        "usual before": [*usual, *tried],
        "monitor": list(monitor()),
        "stray ends": stray_ends(),
    }


WITH_FLAGS_ONLY = {"usual before", "monitor", "stray ends"}


@pytest.fixture(scope="module")
def internal(tmp_path_factory) -> dict[str, dict[str, pd.DataFrame]]:
    """Findings in two cases, with flags and without: each situation has its own hosts."""
    each = of_internal_hosts()
    without = {name: each[name] for name in each if name not in WITH_FLAGS_ONLY}
    return {
        kind: run_named(tmp_path_factory.mktemp(kind), "scan", some, fields=list(fields))
        for kind, some, fields in (("flags", each, FIELDS), ("v2", without, DEFAULT_FORMAT))
    }


@pytest.mark.parametrize("kind", ["flags", "v2"])
def test_an_internal_host_that_attempts_many_hosts_is_high(internal, kind: str) -> None:
    (row,) = internal[kind]["many hosts"].to_dict("records")
    assert (row["severity"], row["subject"], row["service_port"]) == ("high", HOST, 445)
    assert (row["technique"], len(row["peers"]), row["connections"]) == ("T1046", 12, 12)
    assert "attempted connections to 12 services (12 hosts, 1 port: 445)" in row["summary"]
    assert "12 failed (12 rejected, 0 answered without data), 0 answered." in row["summary"]


@pytest.mark.parametrize("kind", ["flags", "v2"])
def test_resets_and_bare_handshakes_count_as_nothing_found(internal, kind: str) -> None:
    (row,) = internal[kind]["bare handshakes"].to_dict("records")
    assert "10 failed (0 rejected, 10 answered without data)" in row["summary"]


def test_stray_ends_of_old_connections_and_backscatter_accuse_nobody(internal) -> None:
    assert internal["flags"]["stray ends"].empty
    assert internal["flags"]["backscatter"].empty
    assert internal["v2"]["backscatter"].empty


@pytest.mark.parametrize("kind", ["flags", "v2"])
def test_health_checks_without_data_are_no_scan(internal, kind: str) -> None:
    assert internal[kind]["health checks"].empty


@pytest.mark.parametrize("kind", ["flags", "v2"])
def test_a_ping_sweep_is_a_finding_of_its_own(internal, kind: str) -> None:
    icmp, tcp = internal[kind]["pings"].sort_values("title").to_dict("records")
    assert (icmp["title"], icmp["severity"]) == ("Host sweep (ICMP)", "high")
    assert (icmp["subject"], len(icmp["peers"]), icmp["protocol"]) == (HOST, 60, 1)
    assert icmp["scores"] == {"silent": 0.667}
    assert "sent ICMP packets to 60 hosts from 2026-09-01 00:00 to" in icmp["summary"]
    assert "40 did not answer (0 rejected), 20 answered." in icmp["summary"]
    assert icmp["supporting"] == 80
    assert (tcp["title"], tcp["severity"]) == ("Host sweep (TCP)", "high")
    assert icmp["finding_id"] != tcp["finding_id"]


@pytest.mark.parametrize("kind", ["flags", "v2"])
def test_a_udp_sweep_without_answers(internal, kind: str) -> None:
    (row,) = internal[kind]["udp"].to_dict("records")
    assert (row["title"], row["severity"]) == ("Host sweep (UDP)", "high")
    assert (row["subject"], row["service_port"], row["protocol"]) == (HOST, 161, 17)
    assert "30 failed (0 rejected, 0 answered without data), 0 answered." in row["summary"]


@pytest.mark.parametrize("kind", ["flags", "v2"])
def test_pings_whose_sender_is_unknown_accuse_nobody(internal, kind: str) -> None:
    assert internal[kind]["mutual pings"].empty


def test_earlier_answered_services_do_not_offset_failures(internal) -> None:
    (row,) = internal["flags"]["usual before"].to_dict("records")
    assert len(row["peers"]) == 10


def test_a_monitor_with_some_dead_targets_is_no_scanner(internal) -> None:
    assert internal["flags"]["monitor"].empty


@pytest.mark.parametrize(
    ("folder", "kind", "caught"), [("scan-ncsa", "port-scan", 30), ("scan-ncsa-backscatter", "", 0)]
)
def test_recorded_scans_are_found_and_recorded_backscatter_is_silent(
    samples: Path, folder: str, kind: str, caught: int
) -> None:
    from flowbench.detect.evaluate import evaluate

    place = samples / "labelled" / folder
    table = evaluate([place], place / "labels.csv").table
    rows = table[table["detector"] == "scan"]
    assert rows["caught"].sum() == caught == rows["pairs"].sum()
    assert table[["false_benign", "false_background"]].sum().sum() == 0  # nobody else fires either
    assert rows["benign_pairs"].sum() == (0 if kind else 509)
