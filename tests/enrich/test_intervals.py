"""In which range an address lies: at the ends, where they overlap, and for what is no address."""

from __future__ import annotations

import ipaddress

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flowbench.enrich.intervals import NetworkIndex, address_keys


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
