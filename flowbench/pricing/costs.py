"""What 30 days of flow logs cost, by destination.

Delivery is charged by the GB of text; tiers count all flow logs of a month together. Storage is
charged by the GB of stored files: the text compressed (``GZIP_RATIO``), as Parquet four fifths of
that. Each flow log writes an object every five minutes at least: one PUT request each, and one
transition where it goes to Glacier. Queries, keys and transfer are not priced. Sources: the usage
types of AWS's cost and usage report; ratios measured on generated records (4.2 to 6.4) and, for
Parquet, AWS's statement of 20 % less than compressed text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from flowbench.pricing.prices import Charge, PriceTable, least_sure
from flowbench.pricing.volume import extrapolate
from flowbench.schema import Table

GB = 1_000_000_000  # bytes
GZIP_RATIO = 4.5  # bytes of text by bytes of gzip
PARQUET_SHARE = 0.8  # of the size of compressed text

COSTS = Table.of(
    "costs",
    ("destination", "string", "where the flow logs are delivered, and as what"),
    ("charge", "string", "delivery, conversion, ingestion, storage, requests or total"),
    ("gb", "float64", "GB charged: of text in 30 days, or stored; null for requests and a total"),
    ("requests", "int64", "requests or transitions in 30 days; null for what is charged by GB"),
    ("amount", "float64", "what it costs in the table's currency; null without a price"),
    ("currency", "string", "the currency; null without a price table"),
    ("confidence", "string", "how sure the least sure price is; null without a price"),
    ("priced_on", "string", "region and date of the price table; null without one"),
    ("assumption", "string", "what the row assumes"),
)

_DELIVERY = "30 days at the measured rate, all flow logs in one account and region; no free tier"
_EVENTS = f"{_DELIVERY}; AWS may count 26 bytes more for each event"
_STORED = f"30 days of logs kept for a month; gzip is 1/{GZIP_RATIO} of the text"
_PARQUET = f"30 days of logs kept for a month; Parquet is {PARQUET_SHARE:.0%} of gzip"
_COMPRESSED = f"30 days of logs kept for a month; compressed to 1/{GZIP_RATIO} of the text"
_OBJECTS = 30 * 288  # of a flow log in 30 days: one every five minutes
_REQUESTS = (
    "lower bound: each flow log writes one object every 5 minutes; in the total if it has a price"
)
_TRANSITIONS = "lower bound: the same objects, moved once; concatenate them first"
_SMALL = "5-minute files are small: concatenate them first"
_PUT = "PUT requests"
_GLACIER = {
    "Glacier Instant Retrieval": (
        "glacier-instant",
        f"in place of S3 Standard; 90 days and 128 kB a file at least are charged; {_SMALL}",
    ),
    "Glacier Flexible Retrieval": (
        "glacier-flexible",
        f"in place of S3 Standard; 90 days at least are charged, and 40 kB more for each file;"
        f" {_SMALL}",
    ),
    "Glacier Deep Archive": (
        "glacier-deep",
        f"in place of S3 Standard; 180 days at least are charged, and 40 kB more for each file;"
        f" {_SMALL}",
    ),
}


@dataclass(frozen=True)
class Destination:
    """A destination: its charges, each with its price item, share of the text and assumption."""

    name: str
    charges: tuple[tuple[str, str, float, str], ...]
    stored_share: float | None = None  # in S3, of the bytes of text; None elsewhere


_GZIP = 1 / GZIP_RATIO
S3_TEXT, S3_PARQUET = "S3, text (gzip)", "S3, Parquet"
CLOUDWATCH, CLOUDWATCH_IA = "CloudWatch Logs, Standard", "CloudWatch Logs, Infrequent Access"
DESTINATIONS = {
    each.name: each
    for each in (
        Destination(
            CLOUDWATCH,
            (
                ("delivery", "cloudwatch-standard-delivery", 1, _EVENTS),
                ("storage", "cloudwatch-storage", _GZIP, _COMPRESSED),
            ),
        ),
        Destination(
            CLOUDWATCH_IA,
            (
                ("delivery", "cloudwatch-ia-delivery", 1, _EVENTS),
                ("storage", "cloudwatch-storage", _GZIP, f"{_COMPRESSED}; priced as Standard"),
            ),
        ),
        Destination(
            S3_TEXT,
            (
                ("delivery", "s3-delivery", 1, _DELIVERY),
                ("storage", "s3-standard-storage", _GZIP, _STORED),
            ),
            _GZIP,
        ),
        Destination(
            S3_PARQUET,
            (
                ("delivery", "s3-delivery", 1, _DELIVERY),
                ("conversion", "parquet-conversion", 1, "by the GB of text"),
                ("storage", "s3-standard-storage", _GZIP * PARQUET_SHARE, _PARQUET),
            ),
            _GZIP * PARQUET_SHARE,
        ),
        Destination(
            "Firehose",
            (
                ("delivery", "firehose-delivery", 1, _DELIVERY),
                (
                    "ingestion",
                    "firehose-ingestion",
                    1,
                    "not rounded up to 5 KB; what is behind Firehose costs more",
                ),
            ),
        ),
    )
}


def cost(volumes: pd.DataFrame, prices: PriceTable | None = None) -> pd.DataFrame:
    """Return what 30 days cost at each destination (COSTS), in the order of DESTINATIONS.

    Each destination's charges are followed by their total, S3's then by storage in Glacier in place
    of S3 Standard, which no total has.

    Args:
        volumes: Rows of VOLUMES.
        prices: The price table; without it, quantities have no amount and totals are left out.

    Raises:
        InputError: ``volumes`` lacks a column.
    """
    gb, objects = month_gb(volumes), count_objects(volumes)
    rows: list[dict[str, Any]] = []
    for destination in DESTINATIONS.values():
        charges = [
            _row(destination, name, item, gb * share, prices, assumption)
            for name, item, share, assumption in destination.charges
        ]
        if destination.stored_share is not None:
            charges.append(_row(destination, _PUT, "s3-put-requests", objects, prices, _REQUESTS))
        rows += charges
        if prices is not None:
            rows.append(_total(charges))
        rows += _archive(destination, gb, objects, prices)
    return COSTS.frame(rows)


def month_gb(volumes: pd.DataFrame) -> float:
    """Return the GB of text of all flow logs in 30 days; those without times are left out."""
    return int(extrapolate(volumes)["month_bytes"].sum()) / GB


def count_objects(volumes: pd.DataFrame) -> int:
    """Return how many objects all flow logs write to S3 in 30 days, at least."""
    return _OBJECTS * int(volumes["flow_log"].nunique())


def total_amount(
    destination: str, gb: float, prices: PriceTable, objects: int = 0
) -> Charge | None:
    """Return what a month's GB of text and objects cost at a destination, and how sure that is.

    None where the table lacks a price of one of its charges by the GB.
    """
    charges = [
        prices.charge(item, gb * share) for _, item, share, _ in DESTINATIONS[destination].charges
    ]
    known = [charge for charge in charges if charge is not None]
    if len(known) < len(charges):
        return None
    if DESTINATIONS[destination].stored_share is not None:
        put = prices.charge("s3-put-requests", objects / 1_000)
        known += [put] if put is not None else []
    amount = sum(each.amount for each in known)
    return Charge(amount, least_sure(each.confidence for each in known))


def price_label(prices: PriceTable) -> str:
    """Return the region and date of a price table."""
    return f"{prices.region}, {prices.date.isoformat()}"


def _row(
    destination: Destination,
    name: str,
    item: str,
    quantity: float | int,
    prices: PriceTable | None,
    assumption: str,
) -> dict[str, Any]:
    """Return the row of a charge for GB, a float, or for a number of requests, an int."""
    row: dict[str, Any] = {"destination": destination.name, "charge": name}
    row |= {"assumption": assumption}
    row |= {"requests": quantity} if isinstance(quantity, int) else {"gb": quantity}
    if prices is None:
        return row
    row |= {"currency": prices.currency, "priced_on": price_label(prices)}
    charged = quantity / 1_000 if isinstance(quantity, int) else quantity
    if (charge := prices.charge(item, charged)) is not None:
        row |= {"amount": charge.amount, "confidence": charge.confidence}
    return row


def _total(charges: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum of a destination's charges; without an amount if one by the GB has none."""
    total = {name: charges[0][name] for name in ("destination", "currency", "priced_on")}
    total |= {"charge": "total", "assumption": "the rows above that have an amount"}
    charges = [row for row in charges if row["charge"] != _PUT or "amount" in row]
    if all("amount" in row for row in charges):
        total["amount"] = sum(row["amount"] for row in charges)
        total["confidence"] = least_sure(row["confidence"] for row in charges)
    return total


def _archive(
    destination: Destination, gb: float, objects: int, prices: PriceTable | None
) -> Iterator[dict[str, Any]]:
    if destination.stored_share is None:
        return
    stored = gb * destination.stored_share
    for name, (item, assumption) in _GLACIER.items():
        yield _row(destination, f"storage in {name}", f"{item}-storage", stored, prices, assumption)
        row = _row(
            destination,
            f"transition to {name}",
            f"{item}-transition",
            objects,
            prices,
            _TRANSITIONS,
        )
        if prices is not None and "amount" not in row:
            row["assumption"] = f"not in the price table; {_TRANSITIONS}"
        yield row
