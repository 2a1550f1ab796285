"""The address book, and whose address is whose."""

from __future__ import annotations

import time

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from flowbench.connections import SUMMARIES
from flowbench.enrich import address_context, assignments, inventory, ownership
from flowbench.enrich.indicators import MATCHES
from tests.traffic import T0, Record, connect, interface, make_case

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"


def own(case) -> dict[str, set[str]]:
    rows = ownership.own_addresses(case.flows, case.interfaces).to_pyarrow().to_pylist()
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["interface_id"], set()).add(row["address"])
    return found


def test_without_inventory_it_is_the_address_in_all_records(tmp_path) -> None:
    records = [
        *connect(A, OUT, 443, T0),
        *connect(A, B, 22, T0, source_port=40_001),
        *connect(B, OUT, 443, T0, interface_id="eni-b"),
        *connect(B, "198.51.100.1", 443, T0, interface_id="eni-b"),
    ]
    assert own(make_case(tmp_path, records)) == {"eni-a": {A}, "eni-b": {B}}


@pytest.mark.parametrize(
    ("peer", "direction", "expected"),
    [(OUT, None, {A}), (B, None, None), (B, "egress", {A}), (B, "ingress", {B})],
)
def test_an_interface_with_one_peer_only(tmp_path, peer, direction, expected) -> None:
    case = make_case(tmp_path, [Record(A, peer, 40_000, 443, T0, T0 + 5, flow_direction=direction)])
    assert own(case) == ({"eni-a": expected} if expected else {})


def test_an_interface_with_an_address_of_each_kind(tmp_path) -> None:
    six = "2600:1f18:1::5"
    records = [
        *connect(A, OUT, 443, T0),
        *connect(A, B, 443, T0),
        *connect(six, "2001:db8::1", 443, T0),
        *connect(six, "2001:db8::2", 443, T0),
    ]
    assert own(make_case(tmp_path, records)) == {"eni-a": {A, six}}


def test_what_the_inventory_says_goes_first(tmp_path) -> None:
    listed = interface(
        A,
        "a",
        PrivateIpAddresses=[{"PrivateIpAddress": A}, {"PrivateIpAddress": "10.0.0.6"}],
        Ipv6Addresses=[{"Ipv6Address": "2001:db8::6"}],
    )
    case = make_case(tmp_path, connect(A, OUT, 443, T0), interfaces=[listed])
    assert own(case) == {"eni-a": {A, "10.0.0.6", "2001:db8::6"}}


def test_the_book_says_what_each_address_is(tmp_path) -> None:
    text = f"indicator,kind,feed\n{OUT},c2,one\n203.0.113.0/24,scanner,two\n"
    records = [*connect(A, OUT, 443, T0), *connect(A, B, 22, T0, source_port=40_001)]
    listed = [
        interface(A, "a", TagSet=[{"Key": "Name", "Value": "<b>"}, {"Key": "env", "Value": "dev"}]),
        interface("10.9.9.9", "db", Description="RDSNetworkInterface", RequesterManaged=True),
    ]
    case = make_case(tmp_path, records, interfaces=listed, indicators=text)
    book = {row["address"]: row for row in case.addresses.to_pyarrow().to_pylist()}
    assert list(book) == sorted([A, B, OUT, "10.9.9.9"])
    assert list(book[A]) == [*inventory.TABLE.columns, *address_context.TABLE.columns[1:]]
    assert (book[A]["name"], dict(book[A]["tags"])["env"]) == ("<b>", "dev")
    assert (book[A]["interface_id"], book[A]["known_from"]) == ("eni-a", "inventory")
    assert (book[B]["internal"], book[B]["known_from"], book[B]["interface_id"]) == (
        True,
        None,
        None,
    )
    assert book[OUT]["internal"] is False
    assert (book[OUT]["indicators"], book[OUT]["kinds"]) == (2, ["c2", "scanner"])
    assert book["10.9.9.9"]["service"] == "rds"


def test_tags_become_columns_as_they_were_written(tmp_path) -> None:
    hostile = "=cmd()|<script>"
    tagged = [{"Key": "env", "Value": hostile}, {"Key": "name", "Value": "x"}]
    case = make_case(
        tmp_path, connect(A, OUT, 443, T0), interfaces=[interface(A, "a", TagSet=tagged)]
    )
    odd = "o'); DROP TABLE x;--"
    book = case.address_inventory(tags=("env", "name", odd, "env")).set_index("address")
    assert list(book.columns[-3:]) == ["env", "tag:name", odd]
    assert book.loc[A, "env"] == hostile
    assert book.loc[A, "tag:name"] == "x"
    assert book.loc[OUT, ["env", "tag:name", odd]].isna().all()
    assert book[odd].isna().all()
    assert list(case.address_inventory()["address"]) == [A, OUT]


def test_a_million_addresses_in_seconds() -> None:
    """Half IPv4, half IPv6; a row for each, and the loop over them is the engine's."""
    many = 500_000
    number = pa.array(range(many))
    v4 = pc.binary_join_element_wise(
        "20", *(pc.cast(pc.bit_wise_and(pc.shift_right(number, bits), 255), pa.string())
                for bits in (16, 8, 0)), ".")  # fmt: skip
    v6 = pc.binary_join_element_wise("2001:db8:", pc.cast(number, pa.string()), ":")
    columns = {f.name: pa.nulls(2 * many, f.type) for f in SUMMARIES.arrow}
    columns["initiator"] = pa.repeat(A, 2 * many)
    columns["responder"] = pa.concat_arrays([v4, v6])
    columns["direction"] = pa.repeat("outbound", 2 * many)
    held = assignments.TABLE.rows([{"address": A, "interface_id": "eni-a", "tags": []}])
    begun = time.monotonic()
    book = inventory.build_inventory(
        ibis.memtable(pa.table(columns)), ibis.memtable(held),
        ibis.memtable(MATCHES.arrow.empty_table()),
    ).to_pyarrow()  # fmt: skip
    assert time.monotonic() - begun < 20
    assert book.num_rows == 2 * many + 1
    assert pc.sum(book["internal"]).as_py() == 1
    assert book["address"][0].as_py() == A
