"""Which range of addresses an address lies in, for a million addresses at once.

Addresses become keys of 16 bytes, IPv4 as ::ffff:a.b.c.d, which sort as the addresses do.
"""

from __future__ import annotations

import heapq
import itertools
import socket
from collections.abc import Iterable, Sequence

import numpy as np

_IPV4 = b"\0" * 10 + b"\xff\xff"
_KEY = "S16"
_NEVER = b"\xff" * 16  # no range holds it: the last address of all is multicast


def keys(addresses: Iterable[str]) -> np.ndarray:
    """Addresses as keys; what is no address gets one that lies in no range."""
    return np.array([_key(text) for text in addresses], dtype=_KEY)


class Ranges:
    """Ranges of addresses, given by their first and last ones (inclusive), in any order.

    Where ranges overlap the narrowest counts; of equal ones the first given.
    """

    def __init__(self, first: Sequence[str], last: Sequence[str]) -> None:
        starts, ends = keys(first), keys(last)
        order = np.argsort(starts, kind="stable")
        self._starts, self._ends, self._rows = starts[order], ends[order], order
        if (self._starts[1:] <= self._ends[:-1]).any():
            self._starts, self._ends, self._rows = _flat(self._starts, self._ends, order)

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """For each key (see ``keys``) which of the ranges, by its place when given; -1 for none."""
        if not len(self._starts):
            return np.full(len(wanted), -1)
        at = np.searchsorted(self._starts, wanted, "right") - 1
        within = (at >= 0) & (wanted <= self._ends[at])
        return np.where(within, self._rows[at], -1)


def _key(text: str) -> bytes:
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return _IPV4 + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        return _NEVER


def _flat(
    starts: np.ndarray, ends: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlapping ranges, sorted by start, as ranges that do not overlap."""
    firsts, lasts = _numbers(starts), _numbers(ends)
    edges = sorted({*firsts, *(last + 1 for last in lasts)})
    flat: list[tuple[int, int, int]] = []
    covering: list[tuple[int, int, int]] = []  # (width, row, last), the narrowest on top
    following = 0
    for edge, beyond in itertools.pairwise(edges):
        while following < len(firsts) and firsts[following] == edge:
            last = lasts[following]
            heapq.heappush(covering, (last - edge, int(rows[following]), last))
            following += 1
        while covering and covering[0][2] < edge:
            heapq.heappop(covering)
        if covering:
            flat.append((edge, beyond - 1, covering[0][1]))
    return (
        _packed(first for first, _, _ in flat),
        _packed(last for _, last, _ in flat),
        np.array([row for _, _, row in flat]),
    )


def _packed(numbers: Iterable[int]) -> np.ndarray:
    return np.array([number.to_bytes(16, "big") for number in numbers], dtype=_KEY)


def _numbers(packed: np.ndarray) -> list[int]:
    # numpy gives the keys without their trailing zeros
    return [int.from_bytes(key.ljust(16, b"\0"), "big") for key in packed.tolist()]
