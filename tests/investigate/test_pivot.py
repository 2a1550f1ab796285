"""Pivots: what a text stands for in a case, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import pivot
from tests.incident_case import (
    CALLER,
    CREATOR_KEY,
    EXIT,
    HOST,
    INSTANCE,
    INTERFACE,
    KEY,
    POOL,
    ROGUE,
    WEB,
    make_incident_case,
)
from tests.traffic import T0, connect, interface, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("pivot") / "incident")


@pytest.mark.parametrize(
    ("text", "kind", "addresses"),
    [
        (HOST, "address", [HOST]),
        (POOL, "address", [POOL]),
        ("2001:DB8::0:1", "address", ["2001:db8::1"]),
        ("198.51.100.0/24", "network", [EXIT]),
        ("10.0.0.6/31", "network", [WEB]),
        (INTERFACE, "interface", [HOST]),
        (INSTANCE, "instance", [HOST]),
        ("eu.pool.example", "domain", [POOL]),
        ("POOL.example.", "domain", [POOL]),
    ],
)
def test_addresses(case: Case, text: str, kind: str, addresses: list[str]) -> None:
    found = pivot.resolve(case, text)
    assert found.kind == kind
    assert set(addresses) <= set(found.addresses)
    assert found.kind == "instance" or not found.principals


def test_an_instance_has_its_interface_and_period(case: Case) -> None:
    found = pivot.resolve(case, INSTANCE)
    assert found.instance_ids == (INSTANCE,)
    assert found.interface_ids == (INTERFACE,)
    assert found.covers(HOST)
    assert not found.covers(WEB)


@pytest.mark.parametrize(
    ("text", "kind", "principals", "keys"),
    [
        ("eve", "principal", ("eve",), (KEY,)),
        (ROGUE, "principal", ("eve",), (KEY,)),
        (KEY, "access key", ("eve",), (KEY,)),
        (CREATOR_KEY, "access key", ("ada",), (CREATOR_KEY,)),
    ],
)
def test_principals(
    case: Case, text: str, kind: str, principals: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    found = pivot.resolve(case, text)
    assert (found.kind, found.principals, found.access_key_ids) == (kind, principals, keys)
    assert found.is_principal
    assert not found.addresses


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("evee", "eve"),
        ("i-0aaaa1112", INSTANCE),
        ("eni-minor", INTERFACE),
        ("eu.pol.example", "eu.pool.example"),
    ],
)
def test_unknown_text_is_refused_with_the_nearest_names(case: Case, text: str, near: str) -> None:
    with pytest.raises(InputError, match=f"is no address.*the nearest: .*{near}"):
        pivot.resolve(case, text)


@pytest.mark.parametrize("text", ["", "nonsense", "%", "\x1b[2J", "10.0.0", "/", "a/b/c", "::/129"])
def test_nonsense_is_refused(case: Case, text: str) -> None:
    with pytest.raises(InputError, match="is no address") as raised:
        pivot.resolve(case, text)
    assert "\x1b" not in str(raised.value)


def test_a_name_that_is_two_things_needs_its_kind(tmp_path: Path) -> None:
    listed = [interface(HOST, "a", TagSet=[{"Key": "Name", "Value": "batch.example"}])]
    query = {
        "version": "1.100000",
        "account_id": "111122223333",
        "region": "us-east-1",
        "vpc_id": "vpc-1",
        "query_timestamp": "2026-09-01T00:00:00Z",
        "query_name": "batch.example.",
        "query_type": "A",
        "query_class": "IN",
        "rcode": "NOERROR",
        "answers": [{"Rdata": CALLER, "Type": "A", "Class": "IN"}],
        "srcaddr": HOST,
        "srcport": "5353",
        "transport": "UDP",
        "srcids": {},
    }
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0), interfaces=listed, json_lines=[query])
    with pytest.raises(InputError, match=r"give one of name:batch\.example, domain:batch\.example"):
        pivot.resolve(case, "batch.example")
    assert pivot.resolve(case, "name:batch.example").addresses == (HOST,)
    assert pivot.resolve(case, "domain:batch.example").addresses == (CALLER,)


def test_an_address_of_two_hosts_needs_a_zone(tmp_path: Path) -> None:
    listed = [interface("10.0.0.10", x, VpcId=f"vpc-{x}") for x in ("a", "b")]
    records = [
        record
        for x in ("a", "b")
        for record in connect("10.0.0.10", POOL, 443, T0, interface_id=f"eni-{x}")
    ]
    case = make_case(tmp_path, records, interfaces=listed)
    with pytest.raises(InputError, match="2 hosts have the address"):
        pivot.resolve(case, "10.0.0.10")
    assert pivot.resolve(case, "10.0.0.10%vpc-a").addresses == ("10.0.0.10%vpc-a",)
    assert pivot.resolve(case, "eni-a").addresses == ("10.0.0.10%vpc-a",)
