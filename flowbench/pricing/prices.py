"""Price tables: dated, with the source of each line and how sure it is.

A table is JSON or CSV. JSON::

    {
        "region": "us-east-1",
        "date": "2026-11-27",
        "currency": "USD",
        "prices": [
            {
                "item": "s3-delivery",
                "from_gb": 0,
                "price": 0.25,
                "confidence": "two sources",
                "source": "…",
            }
        ],
    }

CSV has these names, region, date and currency included, as columns. A price is per GB: of delivery
and conversion per GB of text, of storage per GB and month, of requests and transitions per 1,000.
``from_gb`` is where a tier starts.
"""

from __future__ import annotations

import csv
import datetime
import importlib.resources
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from flowbench.errors import InputError
from flowbench.schema import Table
from flowbench.text import list_some

# What can have a price, and what it is charged for.
ITEMS = {
    "cloudwatch-standard-delivery": "delivery to CloudWatch Logs, Standard class",
    "cloudwatch-ia-delivery": "delivery to CloudWatch Logs, Infrequent Access class",
    "cloudwatch-storage": "storage in CloudWatch Logs, compressed",
    "s3-delivery": "delivery to S3",
    "parquet-conversion": "conversion to Parquet on the way to S3",
    "firehose-delivery": "delivery to Firehose",
    "firehose-ingestion": "ingestion of vended logs by Firehose",
    "s3-standard-storage": "storage in S3 Standard",
    "glacier-instant-storage": "storage in S3 Glacier Instant Retrieval",
    "glacier-flexible-storage": "storage in S3 Glacier Flexible Retrieval",
    "glacier-deep-storage": "storage in S3 Glacier Deep Archive",
    "s3-put-requests": "PUT requests to S3 Standard, by the 1,000",
    "glacier-instant-transition": "transitions to S3 Glacier Instant Retrieval, by the 1,000",
    "glacier-flexible-transition": "transitions to S3 Glacier Flexible Retrieval, by the 1,000",
    "glacier-deep-transition": "transitions to S3 Glacier Deep Archive, by the 1,000",
}
# How sure a price is, the least sure first.
CONFIDENCES = ("unverified", "one source", "two sources", "invoice or price list")
PRICES = Table.of(
    "prices",
    ("item", "string", f"one of {', '.join(ITEMS)}"),
    ("from_gb", "float64", "GB (or 1,000) of the month from which this tier's price holds"),
    ("price", "float64", "price per GB, per GB and month of storage, or per 1,000 requests"),
    ("confidence", "string", f"how sure it is: {', '.join(CONFIDENCES)}"),
    ("source", "string", "where it is from"),
)

_SHIPPED = "us-east-1.json"
_HEADER = ("region", "date", "currency")
_MAX_SIZE = 1_000_000  # bytes
_MAX_TEXT = 500  # characters
_DOCUMENTED = "docs/coverage.md shows a table"


class Charge(NamedTuple):
    """What a quantity costs, and how sure the least sure price that it rests on is."""

    amount: float
    confidence: str


@dataclass(frozen=True)
class PriceTable:
    """Prices of one region on one day.

    Attributes:
        region: The AWS region.
        date: The day on which they held.
        currency: Their currency.
        rows: The tiers (PRICES), by item and start.
    """

    region: str
    date: datetime.date
    currency: str
    rows: tuple[dict[str, Any], ...]

    def to_pandas(self) -> pd.DataFrame:
        """Return the tiers (PRICES), by item and start."""
        return PRICES.frame(self.rows)

    def charge(self, item: str, quantity: float) -> Charge | None:
        """Return what a month's quantity costs; None where the table has no price of the item.

        Each tier's price holds for the part of the quantity that lies in the tier.

        Args:
            item: One of ITEMS.
            quantity: GB of the month; thousands of requests.
        """
        tiers = [row for row in self.rows if row["item"] == item]
        if not tiers:
            return None
        ends = [*(tier["from_gb"] for tier in tiers[1:]), math.inf]
        used = [
            (tier, min(quantity, end) - tier["from_gb"])
            for tier, end in zip(tiers, ends, strict=True)
            if quantity > tier["from_gb"] or tier is tiers[0]
        ]
        amount = sum(tier["price"] * part for tier, part in used)
        return Charge(amount, least_sure(tier["confidence"] for tier, _ in used))


def least_sure(confidences: Iterable[str]) -> str:
    """Return the least sure of some CONFIDENCES."""
    return min(confidences, key=CONFIDENCES.index)


def shipped_prices() -> PriceTable:
    """Return the table that flowbench has: list prices of us-east-1, most of them unverified."""
    text = importlib.resources.files(__package__).joinpath(_SHIPPED).read_text(encoding="utf-8")
    return _parse_json(text, _SHIPPED)


def read_prices(path: str | Path) -> PriceTable:
    """Read a price table, JSON or CSV (see the module).

    Raises:
        InputError: The file cannot be read, or is no price table; names the line or entry.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SIZE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a price table: not UTF-8; {_DOCUMENTED}") from error
    if len(data) > _MAX_SIZE:
        raise InputError(f"{path}: not a price table: over {_MAX_SIZE:,} bytes; {_DOCUMENTED}")
    parse = _parse_json if text.lstrip().startswith(("{", "[")) else _parse_csv
    return parse(text, str(path))


def _parse_json(text: str, name: str) -> PriceTable:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not a price table: invalid JSON ({error})") from error
    if not isinstance(value, dict) or not isinstance(value.get("prices"), list):
        raise InputError(f"{name}: not a price table: no list 'prices'; {_DOCUMENTED}")
    rows = [(f"{name}: price {n}", row) for n, row in enumerate(value["prices"], 1)]
    return _build(value, rows, name)


def _parse_csv(text: str, name: str) -> PriceTable:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        rows = [(f"{name}:{reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{name}:{reader.line_num}: not a price table: {error}") from error
    columns = [*_HEADER, *PRICES.columns]
    if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
        raise InputError(f"{name}: not a price table: no column {missing[0]}; {_DOCUMENTED}")
    header = rows[0][1] if rows else {}
    for place, row in rows:
        if any(row[column] != header[column] for column in _HEADER):
            raise InputError(f"{place}: a table has one region, date and currency: split the file")
    return _build(header, rows, name)


def _build(header: Mapping[str, Any], rows: list[tuple[str, Any]], name: str) -> PriceTable:
    """Check the values of a table, and return it."""
    if not rows:
        raise InputError(f"{name}: no prices; {_DOCUMENTED}")
    try:
        date = datetime.date.fromisoformat(header.get("date") or "")
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: no date of the prices: give it as 2026-11-27") from error
    tiers: dict[tuple[str, float], dict[str, Any]] = {}
    for place, row in rows:
        tier = _check_row(row, place)
        if tiers.setdefault((tier["item"], tier["from_gb"]), tier) is not tier:
            raise InputError(f"{place}: a second price of {tier['item']} from {tier['from_gb']} GB")
    for item in dict.fromkeys(item for item, _ in tiers):
        if (item, 0.0) not in tiers:
            raise InputError(f"{name}: {item} has no price from 0 GB: add the first tier")
    region = _text(header, "region", name)
    currency = _text(header, "currency", name)
    return PriceTable(region, date, currency, tuple(tiers[key] for key in sorted(tiers)))


def _check_row(row: Any, place: str) -> dict[str, Any]:
    """Return a tier with checked values."""
    if not isinstance(row, dict):
        raise InputError(f"{place}: not an object with {', '.join(PRICES.columns)}")
    for name, known in (("item", tuple(ITEMS)), ("confidence", CONFIDENCES)):
        if row.get(name) not in known:
            raise InputError(f"{place}: unknown {name}: use one of {list_some(known, len(known))}")
    numbers = {name: _number(row.get(name), name, place) for name in ("from_gb", "price")}
    words = {"confidence": row["confidence"], "source": _text(row, "source", place)}
    return {"item": row["item"], **numbers, **words}


def _number(value: Any, name: str, place: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"{place}: {name} is not a number of 0 or more")
    return number


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _MAX_TEXT:
        raise InputError(f"{place}: no {name}: give a text of at most {_MAX_TEXT} characters")
    return value.strip()
