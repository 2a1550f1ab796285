"""Reachability: records at both ends, recorded rules, and the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowbench.case import Case
from flowbench.errors import InputError, MissingFieldError
from flowbench.investigate import reachability
from flowbench.investigate.reachability import Reachability, explain
from flowbench.schema import DEFAULT_FORMAT
from tests.traffic import T0, Record, interface, make_case

X, Y, Z = "10.0.1.5", "10.0.2.9", "10.0.3.7"
EXTERNAL = "203.0.113.9"


def eni(address: str, name: str, group: str) -> dict[str, Any]:
    place = {"SubnetId": f"subnet-{name}", "VpcId": "vpc-1"}
    return interface(address, name, **place, Groups=[{"GroupId": group}])


def group(name: str, *peers: str, port: int = 443) -> dict[str, Any]:
    rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    rule["IpRanges"] = [{"CidrIp": peer} for peer in peers]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    return {"GroupId": name, "IpPermissions": [rule], "IpPermissionsEgress": [everything]}


def acl(subnet: str, *egress: tuple[int, str, int, int]) -> dict[str, Any]:
    everything = {"RuleNumber": 100, "RuleAction": "allow", "Protocol": "-1"}
    entries = [{**everything, "Egress": False, "CidrBlock": "0.0.0.0/0"}]
    entries += [
        {"RuleNumber": number, "RuleAction": action, "Protocol": "6", "Egress": True}
        | {"CidrBlock": "0.0.0.0/0", "PortRange": {"From": first, "To": last}}
        for number, action, first, last in egress
    ]
    return {"NetworkAclId": "acl-1", "Associations": [{"SubnetId": subnet}], "Entries": entries}


INVENTORY: list[dict[str, Any]] = [
    {"SecurityGroups": [group("sg-x", X), group("sg-y", "10.0.1.5/32")]},
    {"NetworkAcls": [acl("subnet-y", (90, "deny", 40_000, 50_000), (100, "allow", 0, 65_535))]},
    {
        "RouteTables": [
            {
                "RouteTableId": "rtb-1",
                "VpcId": "vpc-1",
                "Associations": [{"Main": True}],
                "Routes": [
                    {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
                ],
            }
        ]
    },
]
INTERFACES = [eni(X, "x", "sg-x"), eni(Y, "y", "sg-y"), eni(Z, "z", "sg-y")]


def request(at: str, *, source: str = X, peer: str = Y, port: int = 443, **more: Any) -> Record:
    given = {"packets": 3, "bytes": 180, "interface_id": f"eni-{at}"} | more
    return Record(source, peer, 40_000, port, T0, T0 + 590, **given)


def reply(at: str, **more: Any) -> Record:
    return request(at, **more).back()


def seen(result: Reachability) -> list[tuple[Any, ...]]:
    return [(o.place, o.direction, o.action, o.records) for o in result.observations]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A case of version 2 records with windows of 600 s; each port is a situation."""
    records = [
        # 443: the network ACL of Y's subnet rejects the reply; the request is in two flow logs.
        *(request("x"), request("x"), request("y")),
        reply("y", action="REJECT"),
        # 22: the security group of Y rejects the request.
        *(request("x", port=22), request("y", port=22, action="REJECT")),
        # 25: the request is lost between the two. 26: the reply is.
        request("x", port=25),
        *(request("x", port=26), request("y", port=26), reply("y", port=26)),
        # 80: all is accepted and the replies are of headers only. 81: they hold data.
        *(request("x", port=80), request("y", port=80)),
        *(reply(at, port=80, packets=3, bytes=120) for at in "xy"),
        *(request("x", port=81), request("y", port=81)),
        *(reply(at, port=81, packets=3, bytes=900) for at in "xy"),
        # From outside, rejected and answered.
        request("y", source=EXTERNAL, action="REJECT"),
        request("y", source=EXTERNAL, port=80),
        Record("-", "-", 0, 0, T0, T0 + 60, interface_id="eni-z", log_status="NODATA"),
    ]
    return make_case(
        tmp_path_factory.mktemp("reachability"),
        records,
        interfaces=INTERFACES,
        json_lines=INVENTORY,
        fields=DEFAULT_FORMAT,
    )


def test_a_rejected_reply_is_the_network_acl(case: Case) -> None:
    result = explain(case, X, Y, 443)
    assert seen(result) == [
        ("source", "request", "ACCEPT", 1),
        ("destination", "request", "ACCEPT", 1),
        ("destination", "reply", "REJECT", 1),
    ]
    (cause,) = result.causes
    assert (cause.control, cause.place, cause.confidence) == ("network ACL", "destination", "high")
    assert cause.rules == ("acl-1 egress rule 90: deny tcp 40000-50000 0.0.0.0/0",)
    assert cause.check == (
        "aws ec2 describe-network-acls --filters Name=association.subnet-id,Values=subnet-y"
    )
    first = result.observations[0]
    assert (first.file, first.line, first.first_port) == ("flows.log", 2, 40_000)


def test_a_rejected_request_is_the_group_that_does_not_allow_it(case: Case) -> None:
    result = explain(case, "name:x", "eni-y", 22)
    first, second = result.causes
    assert (first.control, first.place, first.confidence) == (
        "security group",
        "destination",
        "high",
    )
    assert first.rules == ("sg-y (ingress) allows only: tcp 443 10.0.1.5/32",)
    assert first.check == "aws ec2 describe-security-groups --group-ids sg-y"
    assert (second.control, second.confidence) == ("network ACL", "low")


@pytest.mark.parametrize(
    ("x", "y", "port", "control", "confidence"),
    [
        (X, Y, 25, "route", "low"),  # the recorded table has the route
        (X, Y, 26, "return path", "low"),
        (X, Y, 80, "listener", "medium"),
        (X, Y, 81, "none", "medium"),
        (X, "10.0.2.0/24", 81, "none", "medium"),
        (X, Y, 9_999, "sender", "medium"),
        (EXTERNAL, Y, 443, "security group", "high"),
        (EXTERNAL, Y, 80, "listener", "medium"),
        (EXTERNAL, Y, 9_999, "route", "medium"),
        (EXTERNAL, "198.51.100.1", 9, "logging", "high"),
    ],
)
def test_every_situation(case: Case, x: str, y: str, port: int, control: str, confidence) -> None:
    cause = explain(case, x, y, port).causes[0]
    assert (cause.control, cause.confidence) == (control, confidence)


def test_limits_of_default_records(case: Case) -> None:
    text = " ".join(explain(case, X, Y, 443).limits)
    for phrase in ("no tcp-flags", "600 s", "no pkt-srcaddr", "REJECT does not name"):
        assert phrase in text


def test_the_result_as_table_and_text(case: Case) -> None:
    result = explain(case, X, Y, 443)
    frame = result.to_pandas()
    assert frame.columns.tolist() == reachability.TABLE.columns
    assert frame["kind"].value_counts().to_dict() == {"observation": 3, "cause": 1, "limit": 6}
    lines = result.to_text().splitlines()
    assert lines[0] == f"From {X} to {Y} 443/tcp"
    assert (
        "  1 reply record rejected at the destination (eni-y), 2026-09-01 00:00:00 to"
        " 2026-09-01 00:09:50 UTC; first: flows.log line 5"
    ) in lines


def test_the_period_selects_records(case: Case) -> None:
    result = explain(case, X, Y, 443, since=datetime.fromtimestamp(T0 + 7_200, UTC))
    assert seen(result) == []
    (cause,) = result.causes
    assert cause.control == "logging"
    assert cause.check == (
        "aws ec2 describe-flow-logs --filter Name=resource-id,Values=eni-x,subnet-x,vpc-1"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, Y, None), "need a port"),
        ((X, Y, 70_000), "is no port"),
        ((X, "eni-x", 1), "an address in common"),
        (("10.0.0.0/8", Y, 1), "is a network"),
        ((X, "eni-unknown", 1), "is no address, network"),
    ],
)
def test_wrong_input(case: Case, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(case, *arguments)
    with pytest.raises(InputError, match="is no protocol"):
        explain(case, X, Y, 1, protocol="gre")


def test_flags_and_missing_fields(tmp_path: Path) -> None:
    flags = {90: (2, 4), 91: (2, 18), 92: (2, 22)}
    records = [
        record
        for port, (sent, got) in flags.items()
        for record in (
            request("y", port=port, tcp_flags=sent),
            request("y", port=port).back(tcp_flags=got, bytes=900),
        )
    ]
    case = make_case(tmp_path / "a", records, interfaces=INTERFACES[1:2])
    controls = [explain(case, EXTERNAL, Y, port).causes[0].control for port in flags]
    assert controls == ["route"] * 3  # of another address
    found = [explain(case, X, Y, port).causes[0] for port in flags]
    assert [(c.control, c.confidence) for c in found] == [
        ("listener", "high"),
        ("none", "high"),
        ("application", "medium"),
    ]
    without = make_case(
        tmp_path / "b", records, fields=[n for n in DEFAULT_FORMAT if n != "action"]
    )
    with pytest.raises(MissingFieldError, match="action"):
        explain(without, X, Y, 90)
