"""The index of networks: which networks or address ranges contain which addresses.

Made for a million addresses and a million networks at once. Addresses become keys of 16 bytes,
IPv4 as ::ffff:a.b.c.d, which sort as the addresses do; two binary searches then give the addresses
in a range. ``NetworkIndex`` answers with the narrowest range, ``find_all`` with every one.
"""

from __future__ import annotations

import heapq
import itertools
import socket
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_IPV4_PREFIX = b"\0" * 10 + b"\xff\xff"
_KEY = "S16"
NO_ADDRESS = b"\xff" * 16  # the key of a text that is no address; no host has it: it is multicast
_CHUNK = 100_000  # texts that are Python objects at a time: what bounds the memory


def address_keys(addresses: Iterable[str] | pa.ChunkedArray) -> np.ndarray:
    """Convert addresses, with or without a zone, to keys; any other text gets NO_ADDRESS."""
    chunks: Iterable[Iterable[str]] = [addresses]
    if isinstance(addresses, pa.ChunkedArray):
        starts = range(0, len(addresses), _CHUNK)
        chunks = (addresses.slice(start, _CHUNK).to_pylist() for start in starts)
    packed = b"".join([b"".join(map(_key, chunk)) for chunk in chunks])
    return np.frombuffer(packed, dtype=_KEY)


def network_bounds(networks: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First key, last key and prefix length of each address or network in CIDR form.

    Networks must have no host bits set. What is neither address nor network is NO_ADDRESS.
    """
    parts = pc.split_pattern(networks, "/").combine_chunks()
    first = address_keys(pa.chunked_array([pc.list_element(parts, 0)]))
    is_ipv6 = is_ipv6_text(networks)
    lengths = np.where(is_ipv6, 128, 32)
    has_length = pc.greater(pc.list_value_length(parts), 1)
    if pc.any(has_length).as_py():
        given = pc.list_element(parts.filter(has_length), 1).cast(pa.int64())
        lengths[np.flatnonzero(has_length.to_numpy(zero_copy_only=False))] = given.to_numpy()
    hosts = _HOST_MASKS[np.where(is_ipv6, lengths, lengths + 96)]
    last = first.view(np.uint8).reshape(-1, 16) | hosts
    return first, np.ascontiguousarray(last).reshape(-1).view(_KEY), lengths


def is_ipv6_text(addresses: pa.ChunkedArray) -> np.ndarray:
    """Whether each text would be an IPv6 address or network, not an IPv4 one."""
    return np.asarray(pc.match_substring(addresses, ":"), dtype=bool)


def find_all(
    addresses: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find every (address, range) pair in which the range contains the address.

    Args:
        addresses: Keys, in any order.
        first: The first key of each range, in any order.
        last: The last key of each range, inclusive.

    Returns:
        The positions of the address and of the range, ordered by range, then by address.
    """
    order = np.argsort(addresses, kind="stable")
    ordered = addresses[order]
    start = np.searchsorted(ordered, first, "left")
    counts = np.searchsorted(ordered, last, "right") - start
    within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    ranges = np.repeat(np.arange(len(first)), counts)
    return order[start[ranges] + within], ranges


class NetworkIndex:
    """Address ranges, given by first and last address (inclusive), in any order.

    Where ranges overlap the narrowest counts; of equal ones the first given.
    """

    def __init__(self, first: Sequence[str], last: Sequence[str]) -> None:
        starts, ends = address_keys(first), address_keys(last)
        order = np.argsort(starts, kind="stable")
        self._starts, self._ends, self._rows = starts[order], ends[order], order
        if (self._starts[1:] <= self._ends[:-1]).any():
            self._starts, self._ends, self._rows = _split(self._starts, self._ends, order)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The position of the range that contains each key, as it was given; -1 for none."""
        if not len(self._starts):
            return np.full(len(keys), -1)
        at = np.searchsorted(self._starts, keys, "right") - 1
        is_within = (at >= 0) & (keys <= self._ends[at])
        return np.where(is_within, self._rows[at], -1)


def _key(text: str) -> bytes:
    try:
        return _pack_ipv6(text) if ":" in text else _IPV4_PREFIX + _pack_ipv4(text)
    except (OSError, ValueError):
        address, percent, _zone = text.partition("%")
        return _key(address) if percent else NO_ADDRESS


_pack_ipv4 = partial(socket.inet_pton, socket.AF_INET)
_pack_ipv6 = partial(socket.inet_pton, socket.AF_INET6)


def _host_masks() -> np.ndarray:
    """For each prefix length from 0 to 128 the mask of the host bits, as rows of 16 bytes."""
    masks = [((1 << (128 - length)) - 1).to_bytes(16, "big") for length in range(129)]
    return np.frombuffer(b"".join(masks), dtype=np.uint8).reshape(-1, 16)


_HOST_MASKS = _host_masks()


def _split(
    starts: np.ndarray, ends: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split overlapping ranges, sorted by start, into ranges that do not overlap."""
    firsts, lasts = _numbers(starts), _numbers(ends)
    edges = sorted({*firsts, *(last + 1 for last in lasts)})
    pieces: list[tuple[int, int, int]] = []
    covering: list[tuple[int, int, int]] = []  # (width, row, last), the narrowest on top
    following = 0
    for edge, next_edge in itertools.pairwise(edges):
        while following < len(firsts) and firsts[following] == edge:
            last = lasts[following]
            heapq.heappush(covering, (last - edge, int(rows[following]), last))
            following += 1
        while covering and covering[0][2] < edge:
            heapq.heappop(covering)
        if covering:
            pieces.append((edge, next_edge - 1, covering[0][1]))
    return (
        _packed(first for first, _, _ in pieces),
        _packed(last for _, last, _ in pieces),
        np.array([row for _, _, row in pieces]),
    )


def _packed(numbers: Iterable[int]) -> np.ndarray:
    return np.array([number.to_bytes(16, "big") for number in numbers], dtype=_KEY)


def _numbers(packed: np.ndarray) -> list[int]:
    # numpy gives the keys without their trailing zeros
    return [int.from_bytes(key.ljust(16, b"\0"), "big") for key in packed.tolist()]
