"""Ranges with a country and an owner: joined, spelled, and free of placeholders."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.loaders.geo.ranges import (
    TABLE,
    UNKNOWN,
    Network,
    Range,
    as_number,
    country_code,
    format_number,
    join_ranges,
)

AU, CN = Network("AU", None, None), Network("CN", 64500, "<b>")


def test_adjacent_ranges_are_joined_and_empty_ones_dropped() -> None:
    rejected = (3, "x", "no range of addresses")
    ranges = [
        Range(32, 0, 9, AU, 1),
        Range(32, 10, 19, AU, 2),
        rejected,
        Range(32, 20, 29, UNKNOWN, 4),
        Range(32, 30, 39, AU, 5),
        Range(128, 40, 49, AU, 6),  # the next number, but of another family
        Range(128, 50, 59, CN, 7),
    ]
    assert list(join_ranges(ranges)) == [
        rejected,
        Range(32, 0, 19, AU, 1),
        Range(32, 30, 39, AU, 5),
        Range(128, 40, 49, AU, 6),
        Range(128, 50, 59, CN, 7),
    ]
    assert list(join_ranges([])) == []


def test_a_row_of_the_table() -> None:
    row = Range(128, 0x2001_0DB8 << 96, (0x2001_0DB9 << 96) - 1, CN, 7).to_row("db", None)
    assert row == {
        "first": "2001:db8::",
        "last": "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "country": "CN",
        "asn": 64500,
        "owner": "<b>",
        "database": "db",
        "published": None,
        "line": 7,
    }
    assert set(row) == set(TABLE.columns) - {"evidence_id"}


@given(st.ip_addresses())
def test_numbers_are_spelled_canonically(address) -> None:
    text = format_number(int(address), address.max_prefixlen)
    assert ipaddress.ip_address(text) == address
    assert address.version == 6 or text == str(address)


@pytest.mark.parametrize("value", ["-", "ZZ", "xx", "DEU", "", "D1", None, 5, ["DE"]])
def test_no_country(value) -> None:
    assert country_code(value) is None


@pytest.mark.parametrize("value", ["0", "AS0", "x", "AS", "-1", "12345678901", None, 1.5, []])
def test_no_autonomous_system(value) -> None:
    assert as_number(value) is None


def test_codes_and_numbers_in_their_spellings() -> None:
    assert country_code(" de ") == "DE"
    assert [as_number(value) for value in ("as64500", " 7 ", 7)] == [64500, 7, 7]
