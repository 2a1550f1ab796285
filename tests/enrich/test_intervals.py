"""In which range an address lies: at the ends, where they overlap, and for what is no address."""

from __future__ import annotations

import ipaddress

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from flowbench.enrich.intervals import (
    NO_ADDRESS,
    NetworkIndex,
    address_keys,
    find_all,
    is_ipv6_text,
    network_bounds,
)


def find(ranges: list[tuple[str, str]], *addresses: str) -> list[int]:
    firsts, lasts = [first for first, _ in ranges], [last for _, last in ranges]
    return NetworkIndex(firsts, lasts).find(address_keys(addresses)).tolist()


def test_ends_belong_to_a_range_and_gaps_to_none() -> None:
    ranges = [("10.0.1.0", "10.0.1.255"), ("1.0.0.0", "1.0.0.9"), ("2001:db8::", "2001:db8::ffff")]
    asked = ["10.0.1.0", "10.0.1.255", "10.0.2.0", "1.0.0.9", "1.0.0.10", "0.0.0.0", "2001:db8::1",
             "2001:db9::", "::ffff:1.0.0.1"]  # fmt: skip
    assert find(ranges, *asked) == [0, 0, -1, 1, -1, -1, 2, -1, 1]


def test_no_address_is_in_no_range_and_no_range_holds_any() -> None:
    everything = [("0.0.0.0", "255.255.255.255"), ("::", "ffff:ffff::")]
    assert find(everything, "eni-1", "", "10.0.0", "1.2.3.4\0", "999.1.1.1") == [-1] * 5
    assert find([], "1.2.3.4") == [-1]
    assert find(everything) == []


def test_the_narrowest_of_overlapping_ranges_counts() -> None:
    ranges = [("10.0.0.0", "10.255.255.255"), ("10.1.0.0", "10.1.255.255"),
              ("10.1.2.0", "10.1.2.255"), ("10.1.0.0", "10.1.255.255")]  # fmt: skip
    asked = ["10.0.0.0", "10.1.0.0", "10.1.2.7", "10.1.3.0", "10.2.0.0", "10.255.255.255"]
    assert find(ranges, *asked) == [0, 1, 2, 1, 0, 0]


numbers = st.tuples(st.integers(0, 40), st.integers(0, 12))


@given(st.lists(numbers, max_size=8))
def test_as_one_would_by_hand(spans) -> None:
    spans = [(start, start + width) for start, width in spans]
    spell = [str(ipaddress.ip_address(0xFF_FF_FF_00 + n)) for n in range(60)]
    expected = []
    for n in range(60):
        held = [
            (last - first, row) for row, (first, last) in enumerate(spans) if first <= n <= last
        ]
        expected.append(min(held)[1] if held else -1)
    ranges = NetworkIndex([spell[first] for first, _ in spans], [spell[last] for _, last in spans])
    assert np.array_equal(ranges.find(address_keys(spell)), expected)


def test_bounds_of_addresses_and_networks() -> None:
    texts = pa.chunked_array(
        [["10.0.0.0/8", "203.0.113.7"], ["2001:db8::/32", "::1", "nonsense/8", "0.0.0.0/0"]]
    )
    first, last, lengths = network_bounds(texts)
    assert lengths.tolist() == [8, 32, 32, 128, 8, 0]
    ends = ["10.255.255.255", "203.0.113.7", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "::1"]
    assert last[:4].tolist() == address_keys(ends).tolist()
    assert last[5] == address_keys(["255.255.255.255"])[0]
    assert first[4] == NO_ADDRESS
    assert is_ipv6_text(texts).tolist() == [False, False, True, True, False, False]
    empty = network_bounds(pa.chunked_array([[]], pa.string()))
    assert [len(part) for part in empty] == [0, 0, 0]


def test_keys_of_a_column_are_those_of_its_texts() -> None:
    texts = ["10.0.0.1", "::2", "x", "10.0.0.0"]
    column = pa.chunked_array([texts[:1], texts[1:]])
    assert address_keys(column).tolist() == address_keys(texts).tolist()
    assert len(address_keys([])) == len(address_keys(pa.chunked_array([[]], pa.string()))) == 0


@given(st.lists(numbers, max_size=8), st.lists(st.integers(0, 59), max_size=12))
def test_every_range_of_every_address(spans, wanted) -> None:
    spell = [str(ipaddress.ip_address(0xFF_FF_FF_00 + n)) for n in range(60)]
    first = address_keys(spell[start] for start, _ in spans)
    last = address_keys(spell[start + width] for start, width in spans)
    at, row = find_all(address_keys(spell[n] for n in wanted), first, last)
    assert sorted(zip(at.tolist(), row.tolist(), strict=True)) == [
        (i, j)
        for i, n in enumerate(wanted)
        for j, (start, width) in enumerate(spans)
        if start <= n <= start + width
    ]
