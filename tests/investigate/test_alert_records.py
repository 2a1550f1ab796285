"""The records that GuardDuty findings speak of, counted by host, peer and port."""

from __future__ import annotations

from pathlib import Path

from tests.investigate.alert_cases import (
    FIRST,
    HOST,
    INTERFACE,
    OTHER,
    PEER,
    alert,
    alert_case,
    connection,
    judge,
    probes,
    silence,
    traffic,
)
from tests.traffic import connect, reject


def test_records_on_another_port_do_not_confirm(tmp_path: Path) -> None:
    case = alert_case(tmp_path, [*silence(), *traffic(port=80)], alert(action=connection()))
    (row,) = judge(case)
    assert (row["verdict"], row["records"]) == ("not seen", 0)
    assert "2 flow records" in row["reason"]
    assert row["reason"].endswith("none of them on 443/tcp (https).")


def test_each_remote_address_of_several_probes_is_judged(tmp_path: Path) -> None:
    found = reject(PEER, HOST, 9200, FIRST, interface_id=INTERFACE)
    type_ = "Recon:EC2/PortProbeUnprotectedPort"
    probe = alert(type_, action=probes((PEER, 9200), (OTHER, 6379)))
    case = alert_case(tmp_path, [*silence(), found], probe)
    first, second = judge(case)
    assert (first["peer"], first["verdict"]) == (PEER, "confirmed")
    assert first["reason"].endswith(", 1 of them rejected.")
    assert (second["peer"], second["verdict"]) == (OTHER, "contradicted")


def test_a_packet_address_behind_a_gateway_confirms(tmp_path: Path) -> None:
    records = connect(HOST, "10.0.0.1", 443, FIRST, interface_id="eni-nat", pkt_dstaddr=PEER)
    case = alert_case(tmp_path, records, alert(action=connection()))
    (row,) = judge(case)
    assert (row["verdict"], row["records"]) == ("confirmed", 2)
