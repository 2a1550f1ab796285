"""Savings: what each change leaves out, counted on a few records."""

from __future__ import annotations

import pytest

from flowbench import detect, pricing
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.pricing.savings import UNREAD_FIELDS
from flowbench.schema import VPC_FIELDS
from tests.pricing.test_costs import ROUND, price, table

# Two flows of 2026-09-01 03:10 UTC: one with a record in each of three minutes, one with a record.
LINES = [
    "srcaddr dstaddr srcport dstport bytes start end region",
    *(
        f"10.0.1.1 10.0.1.2 50000 443 100 {start} {start + 59} us-east-1"
        for start in range(1788232200, 1788232380, 60)
    ),
    "10.0.1.1 10.0.1.3 50000 443 100 1788232200 1788232259 us-east-1",
]
MONTH = 4 * 64 * 4_320 / 1e9  # GB: four lines of 64 bytes in one of 4,320 slots


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    folder = tmp_path_factory.mktemp("savings")
    (folder / "a.log").write_text("\n".join(LINES) + "\n")
    case = Case.create(folder / "case")
    case.ingest(folder / "a.log")
    assert [len(line) + 1 for line in LINES[1:]] == [64] * 4
    return case


def test_volumes_saved(case: Case) -> None:
    rows = pricing.savings(case)
    gb = rows.set_index("change")["gb"]
    assert gb["600 s windows, not 60 s"] == pytest.approx(MONTH / 2)  # two records of four
    assert gb["without region"] == pytest.approx(MONTH * 10 / 64)
    assert [name for name in gb.index if name.startswith("without")] == ["without region"]
    assert gb["Parquet instead of text"] == 0
    assert rows["amount"].isna().all()


def test_windows_of_ten_minutes_are_not_proposed_to_logs_that_have_them(tmp_path) -> None:
    lines = [LINES[0], *(line.replace("1788232259 ", "1788232799 ") for line in LINES[1:])]
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "a.log")
    assert "600 s windows, not 60 s" not in set(pricing.savings(case)["change"])


def test_amounts_saved(case: Case) -> None:
    prices = table(
        price("cloudwatch-standard-delivery", 0, 0.5),
        price("cloudwatch-storage", 0, 0.03),
        price("s3-delivery", 0, 0.25, "two sources"),
        price("s3-standard-storage", 0, 0.0225),
        price("parquet-conversion", 0, 0.035, "unverified"),
    )
    rows = pricing.savings(case, prices).set_index("change")
    s3 = 0.25 + 0.0225 / 4.5
    amounts = rows["amount"] / MONTH
    assert amounts["S3, text (gzip), instead"] == pytest.approx(0.5 + 0.03 / 4.5 - s3)
    assert amounts["Parquet instead of text"] == pytest.approx(0.001 - 0.035)  # costs more
    assert amounts["600 s windows, not 60 s"] == pytest.approx(s3 / 2)
    assert amounts["without region"] == pytest.approx(s3 * 10 / 64)
    assert rows.loc["Parquet instead of text", "confidence"] == "unverified"
    assert rows.loc["without region", "confidence"] == "one source"
    assert rows.loc["600 s windows, not 60 s", "assumption"].startswith("upper bound")


def test_requests_to_s3_count(case: Case) -> None:
    items = ("cloudwatch-standard-delivery", "cloudwatch-storage", "s3-delivery")
    prices = table(
        *(price(item, 0, 0) for item in (*items, "s3-standard-storage")),
        price("s3-put-requests", 0, 1.0),
    )
    rows = pricing.savings(case, prices).set_index("change")
    assert rows.loc["S3, text (gzip), instead", "amount"] == pytest.approx(-8.64)
    assert rows.loc["without region", "amount"] == 0


def test_no_detector_needs_a_field_that_is_offered() -> None:
    needed = set().union(*(module.DETECTOR.needs for module in detect.registered().values()))
    assert not needed & UNREAD_FIELDS
    assert VPC_FIELDS.keys() >= UNREAD_FIELDS


def test_what_would_be_lost_is_said(case: Case) -> None:
    rows = pricing.savings(case).set_index("change")
    assert rows.loc["without region", "assumption"] == ("no detector needs it; lost: AWS region")


def test_another_destination(case: Case) -> None:
    rows = pricing.savings(case, ROUND, destination="Firehose").set_index("change")
    assert rows.loc["without region", "amount"] == pytest.approx(2 * MONTH * 10 / 64)
    with pytest.raises(
        InputError, match="unknown destination: use one of CloudWatch Logs, Standard"
    ):
        pricing.savings(case, ROUND, destination="tape")


def test_a_case_without_flow_logs_saves_nothing(tmp_path) -> None:
    rows = pricing.savings(Case.create(tmp_path / "case"), ROUND)
    assert rows["gb"].tolist() == [0, 0]
    assert rows["amount"].tolist() == [0, 0]
