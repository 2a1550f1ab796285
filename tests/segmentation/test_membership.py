"""Membership of addresses in groups: by tag, place, security group and network, over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import ibis

from flowbench import connections
from flowbench.enrich import assignments
from flowbench.loaders.aws import interfaces as network_interfaces
from flowbench.loaders.aws import subnets, vpcs
from flowbench.segmentation import parse_policy
from flowbench.segmentation.membership import Membership, resolve_membership

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def resolve(
    text: str,
    *addresses: str,
    assigned: list[dict[str, Any]] = (),
    security_groups: dict[str, list[str]] | None = None,
    networks: dict[str, list[str]] | None = None,
    vpc_networks: dict[str, list[str]] | None = None,
) -> Membership:
    pairs = [{"initiator": "10.0.0.1", "responder": address} for address in addresses]
    origin = {"evidence_id": "s", "line": 1, "item": 1}
    inventoried = [
        {"interface_id": name, "security_groups": ids} | origin
        for name, ids in (security_groups or {}).items()
    ]
    nets = [{"subnet_id": n, "cidrs": c} | origin for n, c in (networks or {}).items()]
    clouds = [{"vpc_id": n, "cidrs": c} | origin for n, c in (vpc_networks or {}).items()]
    return resolve_membership(
        parse_policy(f"groups:\n{text}\nrules: []\ncountries: {{deny: [KP]}}", "p").groups,
        ibis.memtable(connections.SUMMARIES.rows(pairs)),
        assignments=ibis.memtable(assignments.TABLE.rows(assigned)),
        interfaces=ibis.memtable(network_interfaces.TABLE.rows(inventoried)),
        subnets=ibis.memtable(subnets.TABLE.rows(nets)),
        vpcs=ibis.memtable(vpcs.TABLE.rows(clouds)),
    )


def periods_of(membership: Membership) -> dict[str, list[tuple[Any, Any, list[str]]]]:
    periods: dict[str, list[tuple[Any, Any, list[str]]]] = {}
    for row in membership.table.to_pylist():
        groups = sorted(membership.profiles[row["profile"]])
        period = row["valid_from"], row["valid_until"], groups
        periods.setdefault(row["address"], []).append(period)
    return periods


def always(*names: str) -> list[tuple[None, None, list[str]]]:
    return [(None, None, list(names))]


def test_networks_and_addresses_of_both_families() -> None:
    membership = resolve(
        '  a: {cidrs: [192.0.2.0/25, "2001:db8::/32"]}\n'
        '  b: {addresses: [192.0.2.7, "2001:db8::7"]}',
        "192.0.2.7", "192.0.2.127", "192.0.2.128", "2001:db8::7", "2001:db8:ffff::1", "2001:db9::1",
    )  # fmt: skip
    assert periods_of(membership) == {
        "192.0.2.7": always("a", "b"),
        "192.0.2.127": always("a"),
        "2001:db8::7": always("a", "b"),
        "2001:db8:ffff::1": always("a"),
    }
    assert (membership.count("a"), membership.count("b"), membership.changing) == (4, 2, [])


def test_the_whole_of_ipv6_contains_no_ipv4() -> None:
    membership = resolve(
        '  six: {cidrs: "::/0"}\n  four: {cidrs: 0.0.0.0/0}', "192.0.2.1", "2001:db8::1"
    )
    assert periods_of(membership)["192.0.2.1"] == always("four")
    assert periods_of(membership)["2001:db8::1"] == always("six")


def test_invalid_addresses_are_in_no_group() -> None:
    assert periods_of(resolve("  a: {cidrs: 0.0.0.0/0}", "nonsense", "1.2.3.4.5")) == {
        "10.0.0.1": always("a")
    }


def test_all_tags_of_a_set_must_be_equal_in_any_of_the_sets() -> None:
    text = """
  shop: {tags: {app: shop, env: [prod, test]}}
  odd: {tags: [{app: "' OR 1=1 --"}, {"<b>": "*"}]}"""
    tags = [
        ("10.0.0.2", {"app": "shop", "env": "test"}),
        ("10.0.0.3", {"app": "shop", "env": "dev"}),
        ("10.0.0.4", {"app": "Shop", "env": "prod"}),
        ("10.0.0.5", {"app": "' OR 1=1 --"}),
        ("10.0.0.6", {"<b>": "anything"}),
        ("10.0.0.7", {"<b>": "*"}),
    ]
    assigned = [{"address": address, "tags": list(one.items())} for address, one in tags]
    assert periods_of(resolve(text, assigned=assigned)) == {
        "10.0.0.2": always("shop"),
        "10.0.0.5": always("odd"),
        "10.0.0.7": always("odd"),
    }


def test_subnets_vpcs_security_groups_and_public_addresses() -> None:
    text = "  s: {subnets: subnet-1}\n  v: {vpcs: vpc-1}\n  g: {security-groups: sg-1}"
    assigned = [
        {"address": "10.0.0.2", "subnet_id": "subnet-1", "vpc_id": "vpc-1",
         "interface_id": "eni-a", "public_addresses": ["198.51.100.2"]},
        {"address": "10.0.0.3", "subnet_id": "subnet-2", "vpc_id": "vpc-1",
         "interface_id": "eni-b"},
    ]  # fmt: skip
    membership = resolve(text, assigned=assigned, security_groups={"eni-b": ["sg-2", "sg-1"]})
    assert periods_of(membership) == {
        "10.0.0.2": always("s", "v"),
        "198.51.100.2": always("s", "v"),
        "10.0.0.3": always("g", "v"),
    }


def test_addresses_without_known_subnet_are_placed_by_network() -> None:
    """Several VPCs may have the same network: a known VPC takes precedence over the address."""
    text = "  s: {subnets: subnet-1}\n  v: {vpcs: vpc-1}"
    assigned = [
        {"address": "10.0.0.2", "subnet_id": "subnet-9", "vpc_id": "vpc-9"},
        {"address": "10.0.0.3", "known_from": "logs", "interface_id": "eni-x"},
    ]
    membership = resolve(
        text, "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.7.1", "2001:db8::9", assigned=assigned,
        networks={"subnet-1": ["10.0.0.0/24", "2001:db8::/64", "no network"]},
        vpc_networks={"vpc-1": ["10.0.0.0/16"]},
    )  # fmt: skip
    assert periods_of(membership) == {
        "10.0.0.1": always("s", "v"),
        "10.0.0.3": always("s", "v"),
        "10.0.0.4": always("s", "v"),
        "10.0.7.1": always("v"),
        "2001:db8::9": always("s"),
    }


def test_a_reassigned_address_changes_groups() -> None:
    text = "  a: {tags: {t: a}}\n  b: {tags: {t: b}}\n  net: {cidrs: 10.0.0.0/24}"
    assigned = [
        {"address": "10.0.0.2", "tags": [("t", "a")], "valid_until": NOON},
        {"address": "10.0.0.2", "tags": [("t", "b")], "valid_from": NOON + HOUR},
        {"address": "10.0.0.3", "tags": [("t", "a")], "valid_until": NOON},
        {"address": "10.0.0.3", "tags": [("t", "a")], "valid_from": NOON},
        {"address": "10.0.0.4", "tags": [("t", "a")], "valid_from": NOON},
        {"address": "10.9.0.5", "tags": [("t", "a")], "valid_until": NOON},
        {"address": "10.9.0.5", "tags": [("t", "c")], "valid_from": NOON},
    ]
    membership = resolve(text, "10.0.0.2", "10.0.0.3", assigned=assigned)
    assert periods_of(membership) == {
        "10.0.0.1": always("net"),
        # In the gap, late packets belong to the first assignment.
        "10.0.0.2": [(None, NOON + HOUR, ["a", "net"]), (NOON + HOUR, None, ["b", "net"])],
        "10.0.0.3": always("a", "net"),
        "10.0.0.4": always("a"),
        "10.9.0.5": [(None, NOON, ["a"])],
    }
    assert membership.changing == ["10.0.0.2", "10.9.0.5"]
    assert membership.count("a") == 4


def test_simultaneous_assignments_count_both() -> None:
    assigned = [
        {"address": "10.0.0.2", "vpc_id": "vpc-1", "interface_id": "eni-1"},
        {"address": "10.0.0.2", "vpc_id": "vpc-2", "interface_id": "eni-2", "valid_from": NOON},
    ]
    membership = resolve("  a: {vpcs: vpc-1}\n  b: {vpcs: vpc-2}", assigned=assigned)
    assert periods_of(membership)["10.0.0.2"] == [(None, NOON, ["a"]), (NOON, None, ["a", "b"])]
