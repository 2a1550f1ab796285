"""What a GuardDuty finding claims: host, peers, ports and period."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.investigate.alert_targets import TOLERANCE, find_targets
from tests.investigate.alert_cases import (
    FIRST,
    HOST,
    INSTANCE,
    INTERFACE,
    LAST,
    OTHER,
    PEER,
    alert,
    alert_case,
    connection,
    probes,
    silence,
    traffic,
)
from tests.traffic import connect, interface


def targets_of(case):
    return find_targets(case, case.alerts.order_by("alert_id").to_pyarrow().to_pylist())


def test_the_host_has_its_addresses_and_interfaces(tmp_path: Path) -> None:
    case = alert_case(tmp_path, silence(), alert(action=connection()))
    (target,) = targets_of(case)
    assert (target.addresses, target.interface_ids) == ((HOST,), (INTERFACE,))
    assert (target.host, target.peer, target.hosts) == (INSTANCE, PEER, {HOST})
    assert target.first == pd.Timestamp(FIRST, unit="s", tz="UTC") - TOLERANCE
    assert target.last == pd.Timestamp(LAST, unit="s", tz="UTC") + TOLERANCE


@pytest.mark.parametrize(
    ("action", "ports"),
    [
        (connection(), (443,)),
        (connection(connectionDirection="INBOUND"), (40_001,)),
        (connection(connectionDirection="UNKNOWN"), (443, 40_001)),
        (probes((PEER, 9200)), (9200,)),
        ({"networkConnectionAction": {"remoteIpDetails": {"ipAddressV4": PEER}}}, ()),
    ],
)
def test_service_ports_follow_the_direction(tmp_path: Path, action: dict, ports: tuple) -> None:
    (target,) = targets_of(alert_case(tmp_path, silence(), alert(action=action)))
    assert target.ports == ports


def test_each_peer_is_a_target_of_its_own(tmp_path: Path) -> None:
    given = alert(action=probes((PEER, 22), (OTHER, 23)))
    targets = targets_of(alert_case(tmp_path, silence(), given))
    assert [(t.number, t.peer, t.data_source) for t in targets] == [
        (0, PEER, "flow logs"),
        (1, OTHER, "flow logs"),
    ]


def test_a_finding_without_a_peer_is_a_target_without_a_source(tmp_path: Path) -> None:
    (target,) = targets_of(alert_case(tmp_path, silence(), alert("Recon:EC2/Portscan")))
    assert (target.peer, target.data_source) == (None, None)


def test_a_call_of_nobody_from_nowhere_is_no_claim(tmp_path: Path) -> None:
    call = {"actionType": "AWS_API_CALL", "awsApiCallAction": {"api": "GetUser"}}
    given = alert("Recon:IAMUser/X", action=call, resource={"resourceType": "AccessKey"})
    (target,) = targets_of(alert_case(tmp_path, silence(), given))
    assert (target.data_source, target.host) == (None, "the resource")


def test_a_shared_address_is_told_by_its_interface(tmp_path: Path) -> None:
    twin = "eni-twin"
    records = [
        *traffic(),
        *connect(HOST, OTHER, 443, FIRST, interface_id=twin, account_id="444455556666"),
    ]
    both = [
        interface(HOST, "host", VpcId="vpc-1", Attachment={"InstanceId": INSTANCE}),
        interface(HOST, "twin", VpcId="vpc-2"),
    ]
    given = alert(action=connection(OTHER))
    case = alert_case(tmp_path, records, given, interfaces=both)
    (target,) = targets_of(case)
    assert (target.addresses, target.interface_ids) == ((), (INTERFACE,))
    assert {host.partition("%")[0] for host in target.hosts} == {HOST}
    assert all("%" in host for host in target.hosts)
