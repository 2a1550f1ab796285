"""What the nodes of a communication graph are: addresses with their assignments in time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa

from flowbench.schema import TYPES, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

_SEPARATOR = "\t"  # between an address and the number of its assignment; no address contains one
_COLUMNS = [
    *("address", "internal", "interface_id", "instance_id", "subnet_id", "vpc_id", "account_id"),
    *("service", "name", "tag", "country", "asn", "network_owner", "valid_from", "valid_until"),
]


def read_inventory(
    case: Case, summaries: ibis.Table | None = None, tag: str | None = None
) -> pd.DataFrame:
    """Read the address inventory by address; ``number`` distinguishes assignments of one address.

    The assignments of an address follow each other without gap or overlap from ``since`` on: the
    time between two of them is divided in the middle.

    Args:
        case: The case.
        summaries: Read only the ends of these connection summaries.
        tag: The key of a tag whose value becomes the column ``tag``.
    """
    rows = case.addresses
    if summaries is not None:
        ends = [summaries.select(address=end) for end in ("initiator", "responder")]
        rows = rows.semi_join(ibis.union(*ends), "address")
    rows = rows.mutate(tag=rows.tags.get(tag) if tag else ibis.null("string")).select(_COLUMNS)
    rows = rows.order_by("address", rows.valid_from.asc(nulls_first=True), "interface_id")
    inventory = to_frame(rows.to_pyarrow()).set_index("address", drop=False)
    reassigned = inventory.index.duplicated(keep=False)
    number = inventory.groupby(level=0).cumcount()
    inventory["number"] = ""
    inventory.loc[reassigned, "number"] = _SEPARATOR + number[reassigned].astype(str)
    previous_end = inventory["valid_until"].shift().where(number > 0)
    gap = (inventory["valid_from"] - previous_end).clip(lower=pd.Timedelta(0)) / 2
    since = inventory["valid_from"] - gap.fillna(pd.Timedelta(0))
    inventory["since"] = since.where(number > 0)
    return inventory


def address_of(end: str) -> str:
    """The address of an end that may carry the number of its assignment."""
    return end.partition(_SEPARATOR)[0]


def merge_assignments(inventory: pd.DataFrame, reassigned: pd.DataFrame) -> pd.DataFrame:
    """Keep one row per address, with the names and services of all its assignments."""
    merged = inventory[~inventory.index.duplicated(keep="last")].copy()
    for column in ("name", "service"):
        for address, values in reassigned[column].dropna().groupby(level=0):
            merged.loc[address, column] = " / ".join(dict.fromkeys(values))
    return merged


def number_ends(connections: ibis.Table, reassigned: pd.DataFrame) -> ibis.Table:
    """Append to both ends the number of the assignment that was valid at the time."""
    assignments = ibis.memtable(
        pa.table(
            {
                "assigned": pa.array(reassigned["address"], pa.string()),
                "number": pa.array(reassigned["number"], pa.string()),
                "since": pa.array(reassigned["since"], TYPES["time"]),
                "until": pa.array(reassigned.groupby(level=0)["since"].shift(-1), TYPES["time"]),
            }
        )
    )
    for end in ("initiator", "responder"):
        t = assignments.view()
        joined = connections.left_join(
            t,
            [
                connections[end] == t.assigned,
                t.since.isnull() | (connections.first_seen >= t.since),
                t.until.isnull() | (connections.first_seen < t.until),
            ],
        )
        numbered = joined.mutate(**{end: joined[end] + joined.number.fill_null("")})
        connections = numbered.drop("assigned", "number", "since", "until")
    return connections


def tag_values(case: Case, key: str, addresses: Iterable[str] | None = None) -> dict[str, str]:
    """Read the value of a tag by address; of an address that had several, the last one.

    Args:
        case: The case.
        key: The key of the tag, such as ``env``.
        addresses: Read only these, such as the nodes of a graph.
    """
    rows = case.addresses
    if addresses is not None:
        rows = rows.filter(rows.address.isin(list(addresses)))
    rows = rows.select("address", "valid_from", tag=rows.tags.get(key))
    rows = rows.filter(rows.tag.notnull()).order_by("address", "valid_from", "tag")
    return {row["address"]: row["tag"] for row in rows.to_pyarrow().to_pylist()}
