"""Rules: what security groups, network ACLs and route tables allow, deny and leave open."""

from __future__ import annotations

from typing import Any

import ibis
import pytest

from flowbench.investigate.path_rules import (
    Packet,
    read_network_acl,
    read_route,
    read_security_groups,
    to_networks,
)
from flowbench.loaders.aws import network_acls, route_tables, security_groups


class Tables:
    """A case with some inventory only."""

    def __init__(self, table: Any, rows: list[dict[str, Any]]) -> None:
        origin = {"evidence_id": "e", "line": 1, "item": 1}
        self.rows = ibis.memtable(table.rows([origin | row for row in rows]))

    def table(self, _: str) -> Any:
        return self.rows


def packet(peer: str = "10.0.1.5", ports: tuple[int, int] = (443, 443), **more: Any) -> Packet:
    given = {"direction": "ingress", "peer_groups": (), "protocol": 6} | more
    return Packet(peers=to_networks([peer]), ports=ports, **given)


def groups(*rules: dict[str, Any], ids: tuple[str, ...] = ("sg-1",), **more: Any) -> str:
    common = {"group_id": "sg-1", "direction": "ingress", "protocol": "tcp"}
    case: Any = Tables(security_groups.TABLE, [common | rule for rule in rules])
    return read_security_groups(case, ids, packet(**more)).answer


HTTPS = {"from_port": 443, "to_port": 443, "cidr": "10.0.0.0/8"}


@pytest.mark.parametrize(
    ("rules", "more", "expected"),
    [
        ([HTTPS], {}, "allows"),
        ([HTTPS | {"protocol": "6"}], {}, "allows"),
        ([HTTPS | {"protocol": "all", "from_port": None, "to_port": None}], {}, "allows"),
        ([HTTPS], {"peer": "192.0.2.1"}, "denies"),
        ([HTTPS], {"peer": "2001:db8::1"}, "denies"),
        ([HTTPS], {"ports": (80, 80)}, "denies"),
        ([HTTPS], {"protocol": 17}, "denies"),
        ([HTTPS | {"direction": "egress"}], {}, "denies"),
        ([{"direction": None}], {}, "denies"),
        ([HTTPS | {"cidr": None, "prefix_list_id": "pl-1"}], {}, "unknown"),
        ([HTTPS | {"cidr": "10.0.1.0/30"}], {"peer": "10.0.1.0/24"}, "unknown"),
        ([HTTPS | {"cidr": "nonsense"}], {}, "denies"),
        ([HTTPS | {"cidr": None, "peer_group_id": "sg-x"}], {"peer_groups": ("sg-x",)}, "allows"),
        ([HTTPS | {"cidr": None, "peer_group_id": "sg-x"}], {"peer_groups": ("sg-z",)}, "denies"),
        ([HTTPS | {"cidr": None, "peer_group_id": "sg-x"}], {}, "unknown"),
        ([], {}, "unknown"),
        ([HTTPS | {"cidr": "192.0.2.0/24"}], {"ids": ("sg-1", "sg-missing")}, "unknown"),
        ([HTTPS], {"ids": ()}, "unknown"),
    ],
)
def test_security_groups(rules, more, expected) -> None:
    assert groups(*rules, **more) == expected


ALLOW = {"rule_number": 100, "rule_action": "allow", "protocol": "all", "cidr": "0.0.0.0/0"}
DENY = {"rule_number": 90, "rule_action": "deny", "protocol": "6", "cidr": "10.0.1.0/24"}


def acl(*entries: dict[str, Any], subnet: str | None = "subnet-1", **more: Any) -> Any:
    common = {"network_acl_id": "acl-1", "subnet_ids": ["subnet-1"], "direction": "ingress"}
    case: Any = Tables(network_acls.TABLE, [common | entry for entry in entries])
    return read_network_acl(case, subnet, packet(**more))


@pytest.mark.parametrize(
    ("entries", "more", "expected"),
    [
        ([ALLOW], {}, "allows"),
        ([ALLOW, DENY], {}, "denies"),  # the lowest number decides
        ([ALLOW, DENY | {"rule_number": 110}], {}, "allows"),
        ([ALLOW, DENY], {"peer": "10.0.2.5"}, "allows"),
        ([ALLOW, DENY], {"protocol": 17}, "allows"),
        ([ALLOW, DENY | {"from_port": 1_024, "to_port": 2_000}], {}, "allows"),
        (
            [ALLOW, DENY | {"from_port": 1_024, "to_port": 2_000}],
            {"ports": (1_500, 1_600)},
            "denies",
        ),
        (
            [ALLOW, DENY | {"from_port": 1_024, "to_port": 2_000}],
            {"ports": (1_500, 9_000)},
            "unknown",
        ),
        ([DENY | {"rule_number": 110}, ALLOW | {"direction": "egress"}], {}, "denies"),
        ([ALLOW | {"cidr": "::/0"}], {}, "denies"),  # the last rule of every ACL
        ([ALLOW], {"subnet": "subnet-2"}, "unknown"),
        ([ALLOW], {"subnet": None}, "unknown"),
        ([ALLOW | {"icmp_type": 8, "protocol": "1"}], {"protocol": 1}, "unknown"),
    ],
)
def test_network_acls(entries, more, expected) -> None:
    assert acl(*entries, **more).answer == expected


def test_the_latest_state_counts() -> None:
    early, late = to_times("2026-09-01", "2026-09-02")
    old = ALLOW | {"observed_at": early}
    new = DENY | {"observed_at": late, "evidence_id": "f"}
    assert acl(old, new).rules == ("acl-1 ingress rule 90: deny tcp 10.0.1.0/24",)
    assert acl(old).answer == "allows"


def to_times(*days: str) -> list[Any]:
    import pandas as pd

    return [pd.Timestamp(day, tz="UTC") for day in days]


LOCAL = {"destination": "10.0.0.0/16", "target": "local", "state": "active"}
DEFAULT = {"destination": "0.0.0.0/0", "target": "igw-1", "state": "active"}


def route(*routes: dict[str, Any], peer: str = "10.0.2.9", subnet: str | None = "subnet-1") -> Any:
    common = {"route_table_id": "rtb-1", "vpc_id": "vpc-1", "is_main": True}
    case: Any = Tables(route_tables.TABLE, [common | each for each in routes])
    return read_route(case, "vpc-1", subnet, to_networks([peer]))


@pytest.mark.parametrize(
    ("routes", "more", "expected"),
    [
        ([LOCAL], {}, "allows"),
        ([LOCAL, DEFAULT], {"peer": "192.0.2.1"}, "allows"),
        ([LOCAL], {"peer": "192.0.2.1"}, "denies"),
        ([DEFAULT], {"peer": "2001:db8::1"}, "denies"),
        # The longest prefix decides.
        ([DEFAULT, LOCAL | {"destination": "10.0.2.0/24", "state": "blackhole"}], {}, "denies"),
        ([DEFAULT | {"state": "blackhole"}, LOCAL], {}, "allows"),
        ([DEFAULT, LOCAL | {"destination": "10.0.2.0/25"}], {"peer": "10.0.2.0/24"}, "unknown"),
        ([{"prefix_list_id": "pl-1", "target": "vpce-1"}, LOCAL], {"peer": "192.0.2.1"}, "unknown"),
        ([LOCAL | {"is_main": False}], {}, "unknown"),
        ([LOCAL | {"is_main": False, "subnet_ids": ["subnet-1"]}], {}, "allows"),
        ([LOCAL], {"subnet": None}, "unknown"),
        ([], {}, "unknown"),
    ],
)
def test_routes(routes, more, expected) -> None:
    assert route(*routes, **more).answer == expected


def test_a_subnet_of_its_own_table_does_not_use_the_main_one() -> None:
    own = {"route_table_id": "rtb-2", "is_main": False, "subnet_ids": ["subnet-1"]}
    assert route(DEFAULT, LOCAL | own, peer="192.0.2.1").rules == (
        "rtb-2 has no route to 192.0.2.1/32",
    )


def test_text_that_is_no_network_is_left_out() -> None:
    assert [str(n) for n in to_networks(["10.0.0.5/8", "x", "::1"])] == ["10.0.0.0/8", "::1/128"]
