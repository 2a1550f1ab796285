"""The address inventory: a row for each assignment, tags as columns, and its speed."""

from __future__ import annotations

import time

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.connections import SUMMARIES
from flowbench.enrich import address_context, assignments, inventory
from flowbench.enrich.indicators import MATCHES
from tests.traffic import T0, connect, interface, make_case

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"


def test_each_address_with_its_assignment_and_indicators(tmp_path) -> None:
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


def test_tags_become_columns(tmp_path) -> None:
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
