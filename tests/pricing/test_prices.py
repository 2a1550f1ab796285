"""Price tables: JSON and CSV, tiers, and what is refused with its place."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbench import pricing
from flowbench.errors import InputError
from flowbench.pricing import prices

TIER = {
    "item": "s3-delivery",
    "from_gb": 0,
    "price": 0.25,
    "confidence": "one source",
    "source": "x",
}
TABLE = {"region": "eu-west-1", "date": "2026-10-01", "currency": "USD", "prices": [TIER]}
CSV = (
    "item,from_gb,price,confidence,source,region,date,currency\r\n"
    'cloudwatch-storage,0,0.03,two sources,"a, b",eu-west-1,2026-10-01,USD\r\n'
    "s3-delivery,100,0.15,unverified,x,eu-west-1,2026-10-01,USD\r\n"
    "s3-delivery,0,0.25,one source,x,eu-west-1,2026-10-01,USD\r\n"
)


def read(tmp_path, value):
    path = tmp_path / "prices"
    path.write_bytes(value.encode() if isinstance(value, str) else json.dumps(value).encode())
    return pricing.read_prices(path)


def test_a_csv_table_is_read_in_order_of_its_tiers(tmp_path) -> None:
    table = read(tmp_path, "\ufeff" + CSV)
    assert (table.region, table.date) == ("eu-west-1", datetime.date(2026, 10, 1))
    rows = table.to_pandas()
    assert rows["from_gb"].tolist() == [0, 0, 100]
    assert rows["source"].tolist() == ["a, b", "x", "x"]


@pytest.mark.parametrize(
    ("gb", "amount", "confidence"),
    [
        (0, 0, "one source"),
        (40, 10, "one source"),
        (100, 25, "one source"),
        (140, 25 + 40 * 0.15, "unverified"),
    ],
)
def test_each_tier_has_its_part(tmp_path, gb, amount, confidence) -> None:
    charge = read(tmp_path, CSV).charge("s3-delivery", gb)
    assert charge == (pytest.approx(amount), confidence)


def test_an_item_without_a_price_has_no_charge(tmp_path) -> None:
    assert read(tmp_path, TABLE).charge("firehose-delivery", 1) is None


def test_the_shipped_table_has_every_item_and_says_how_sure_it_is() -> None:
    table = pricing.shipped_prices()
    assert (table.region, table.currency) == ("us-east-1", "USD")
    missing = {"glacier-flexible-transition"}  # no source has its price
    assert {row["item"] for row in table.rows} == set(prices.ITEMS) - missing
    assert table.charge("s3-delivery", 674.86) == (pytest.approx(168.71, abs=0.01), "two sources")
    assert table.charge("s3-delivery", 10_340) == (pytest.approx(2_560 + 15), "unverified")
    storage = [row for row in table.rows if "glacier" in row["item"]]
    assert {row["confidence"] for row in storage} == {"unverified"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "no column region"),
        ("a,b\n1,2\n", "no column region"),
        ("{", "invalid JSON"),
        ("[" * 100_000, "invalid JSON"),
        ([TIER], "no list 'prices'"),
        (TABLE | {"prices": []}, "no prices"),
        (TABLE | {"prices": [1]}, "price 1: not an object"),
        (TABLE | {"date": "soon"}, "no date of the prices"),
        (TABLE | {"date": 20261001}, "no date of the prices"),
        (TABLE | {"region": ""}, "no region"),
        (TABLE | {"prices": [TIER, TIER]}, "price 2: a second price of s3-delivery"),
        (TABLE | {"prices": [TIER | {"from_gb": 5}]}, "no price from 0 GB"),
        (TABLE | {"prices": [TIER | {"item": ["s3"]}]}, "price 1: unknown item: use one of cloud"),
        (TABLE | {"prices": [TIER | {"confidence": "sure"}]}, "unknown confidence: use one of unv"),
        (TABLE | {"prices": [TIER | {"source": None}]}, "price 1: no source"),
        *(
            (TABLE | {"prices": [TIER | {"price": price}]}, "price 1: price is not a number")
            for price in (-1, True, "x", None, [1], 10**400, float("nan"), float("inf"))
        ),
        (CSV.replace("0.15", "free"), "prices:3: price is not a number of 0 or more"),
        (CSV.replace("x,eu-west-1", "x,eu-north-1", 1), "prices:3: a table has one region"),
        (CSV.splitlines()[0], "no prices"),
        ("x" * 1_000_001, "over 1,000,000 bytes"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(tmp_path, value, message) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, value)


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*No such file"):
        pricing.read_prices(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        pricing.read_prices(tmp_path / "binary")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(lambda text: CSV + text, st.text(max_size=30)),
        st.dictionaries(
            st.sampled_from([*TABLE, *TIER]),
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5)),
                lambda inner: st.lists(st.one_of(inner, st.just(TIER)), max_size=3),
                max_leaves=5,
            ),
        ).map(lambda changes: json.dumps(TABLE | changes)),
    )
)
def test_any_text_is_a_table_or_an_input_error(tmp_path, text) -> None:
    try:
        table = read(tmp_path, text.encode("utf-8", "replace").decode())
    except InputError:
        return
    assert table.rows
