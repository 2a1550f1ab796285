"""Costs of each destination, computed by hand."""

from __future__ import annotations

import datetime

import pandas as pd
import pytest

from flowbench import pricing
from flowbench.pricing.costs import GB
from flowbench.pricing.prices import ITEMS, PriceTable

# 100 GB in 30 days: what a day has, 30 times.
VOLUMES = pricing.VOLUMES.frame(
    [
        {
            "flow_log": name,
            "day": pd.Timestamp("2026-09-01", tz="UTC"),
            "records": 1_000,
            "bytes": size * GB // 30,
            "observed_s": 86_400,
        }
        for name, size in (("fl-00000001", 60), ("fl-00000002", 40))
    ]
)


def price(item: str, start: float, amount: float, confidence: str = "one source"):
    row = {"item": item, "from_gb": start, "price": amount}
    return row | {"confidence": confidence, "source": "invented"}


def table(*rows) -> PriceTable:
    return PriceTable("eu-west-1", datetime.date(2026, 10, 1), "USD", rows)


ROUND = table(*(price(item, 0, 1.0) for item in ITEMS))


def amounts(rows: pd.DataFrame) -> dict[tuple[str, str], float]:
    return rows.set_index(["destination", "charge"])["amount"].to_dict()


def test_text_is_delivered_and_a_part_of_it_stored() -> None:
    rows = pricing.cost(VOLUMES, ROUND)
    found = amounts(rows)
    stored = 100 / 4.5
    objects = 2 * 8.64  # thousands: two flow logs, one object in five minutes each
    assert found["CloudWatch Logs, Standard", "total"] == pytest.approx(100 + stored)
    assert found["S3, text (gzip)", "total"] == pytest.approx(100 + stored + objects)
    assert found["S3, Parquet", "total"] == pytest.approx(200 + stored * 0.8 + objects)
    assert found["S3, text (gzip)", "transition to Glacier Deep Archive"] == pytest.approx(objects)
    requests = rows.set_index(["destination", "charge"])["requests"]
    assert requests["S3, Parquet", "PUT requests"] == 17_280
    assert requests.notna().sum() == 2 * 4
    assert found["Firehose", "total"] == pytest.approx(200)
    assert found["S3, text (gzip)", "storage in Glacier Deep Archive"] == pytest.approx(stored)
    assert set(rows["priced_on"]) == {"eu-west-1, 2026-10-01"}
    assert rows["assumption"].str.len().min() > 0
    glacier = rows[rows["charge"].str.contains("storage in Glacier Deep")]
    assert glacier["assumption"].str.contains("180 days at least").all()


def test_tiers_count_all_flow_logs_together() -> None:
    tiers = table(price("s3-delivery", 0, 0.25, "two sources"), price("s3-delivery", 80, 0.15))
    rows = pricing.cost(VOLUMES, tiers)
    (row,) = rows[(rows["destination"] == "S3, Parquet") & (rows["charge"] == "delivery")].to_dict(
        "records"
    )
    assert row["amount"] == pytest.approx(80 * 0.25 + 20 * 0.15)
    assert row["confidence"] == "one source"
    total = rows[(rows["destination"] == "S3, Parquet") & (rows["charge"] == "total")]
    assert total["amount"].isna().all()  # the table has no price of storage


def test_a_table_without_prices_of_requests_has_totals_without_them() -> None:
    items = [item for item in ITEMS if "put" not in item and "flexible-transition" not in item]
    rows = pricing.cost(VOLUMES, table(*(price(item, 0, 1.0) for item in items)))
    assert amounts(rows)["S3, text (gzip)", "total"] == pytest.approx(100 + 100 / 4.5)
    flexible = rows[rows["charge"] == "transition to Glacier Flexible Retrieval"]
    assert flexible["amount"].isna().all()
    assert flexible["assumption"].str.startswith("not in the price table").all()


def test_without_prices_there_are_quantities_only() -> None:
    rows = pricing.cost(VOLUMES)
    assert rows[["amount", "currency", "confidence", "priced_on"]].isna().all(axis=None)
    assert "total" not in set(rows["charge"])
    assert rows["gb"].iloc[0] == pytest.approx(100)


def test_no_volume_costs_nothing() -> None:
    rows = pricing.cost(VOLUMES.head(0), ROUND)
    assert set(rows["amount"]) == {0.0}
