"""Indicator matches: severity by kind, period and answer; domains; NAT gateways."""

from __future__ import annotations

from pathlib import Path

from tests.detect.detectors.common import HOST, HOUR, LIST, SAAS, TOR, run
from tests.traffic import T0, Record, connect, interface, make_case, reject


def test_contact_in_the_validity_period_is_high_and_names_the_list(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, TOR, 443, T0), indicators=LIST)
    (row,) = run(case, "contact").to_dict("records")
    assert (row["severity"], row["subject"], row["peer"]) == ("high", HOST, TOR)
    assert (row["technique"], row["service_port"], row["connections"]) == ("T1090.003", 443, 1)
    assert f"{TOR} (category tor, list exits)" in row["summary"]
    assert row["score"] == 0.95


def test_contact_outside_the_validity_period_is_low(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, "192.0.2.66", 443, T0), indicators=LIST)
    (row,) = run(case, "contact").to_dict("records")
    assert row["severity"] == "low"
    assert "expired 2025-06-01" in row["summary"]
    assert "All connections are outside the indicator's validity period" in row["caveats"]


def test_a_subject_that_sent_nothing_is_low(tmp_path: Path) -> None:
    lone = Record(TOR, HOST, 443, 40_000, T0, T0 + 59, packets=1, bytes=40)
    (row,) = run(make_case(tmp_path, [lone], indicators=LIST), "contact").to_dict("records")
    assert row["severity"] == "low"
    assert "No record shows traffic sent by the subject" in row["caveats"]


def test_only_connections_in_the_validity_period_raise_the_severity(tmp_path: Path) -> None:
    late = T0 + 40 * 24 * HOUR  # the exit's period ends after 30 days
    records = [reject(HOST, TOR, 443, T0)]
    for n in range(5):
        records += connect(HOST, TOR, 443, late + n * 900, source_port=41_000 + n)
    (row,) = run(make_case(tmp_path, records, indicators=LIST), "contact").to_dict("records")
    assert row["severity"] == "medium"
    assert "Only 1 of the connections are in its validity period" in row["summary"]


def test_logs_without_protocol_give_the_same_finding(tmp_path: Path) -> None:
    fields = ["srcaddr", "dstaddr", "start", "end", "bytes"]
    case = make_case(tmp_path, connect(HOST, TOR, 443, T0), indicators=LIST, fields=fields)
    assert len(run(case, "contact")) == 1


def test_a_rejected_connection_is_medium(tmp_path: Path) -> None:
    case = make_case(tmp_path, [reject(HOST, TOR, 443, T0)], indicators=LIST)
    (row,) = run(case, "contact").to_dict("records")
    assert row["severity"] == "medium"


def test_inbound_scanners_are_one_low_finding(tmp_path: Path) -> None:
    noise = [
        reject(f"198.18.7.{n}", HOST, 20 + n % 5, T0 + n, source_port=40_000 + n) for n in range(60)
    ]
    (row,) = run(make_case(tmp_path, noise, indicators=LIST), "contact").to_dict("records")
    assert (row["severity"], row["subject"], len(row["peers"])) == ("low", HOST, 60)
    assert "60 external addresses listed as scanner (noise)" in row["summary"]


def test_private_networks_on_a_list_match_nothing(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, "10.0.0.9", 443, T0), indicators=LIST)
    assert run(case, "contact").empty


def test_a_domain_matches_the_address_that_dns_gave(tmp_path: Path) -> None:
    lookup = {
        "version": "1.100000", "account_id": "1", "region": "us-east-1", "vpc_id": "vpc-1",
        "query_timestamp": "2026-09-01T00:00:00Z", "query_name": "eu.pool.example.",
        "rcode": "NOERROR", "query_type": "A", "query_class": "IN", "srcaddr": HOST,
        "srcport": "5", "transport": "UDP",
        "answers": [{"Rdata": SAAS, "Type": "A", "Class": "IN"}],
    }  # fmt: skip
    text = "indicator,kind,feed\npool.example,mining,names\n"
    case = make_case(tmp_path, connect(HOST, SAAS, 3333, T0), indicators=text, json_lines=[lookup])
    (row,) = run(case, "contact").to_dict("records")
    assert (row["severity"], row["peer"]) == ("high", SAAS)
    assert "pool.example (category mining, list names)" in row["summary"]


def test_a_nat_gateway_whose_client_is_logged_has_no_finding(tmp_path: Path) -> None:
    nat = "10.0.9.1"
    records = [*connect(HOST, TOR, 443, T0), *connect(nat, TOR, 443, T0, source_port=50_000)]
    own = [interface(HOST, "a"), interface(nat, "n", kind="nat_gateway")]
    found = run(make_case(tmp_path, records, interfaces=own, indicators=LIST), "contact")
    assert found["subject"].tolist() == [HOST]
