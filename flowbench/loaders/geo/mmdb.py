"""Databases of networks in MaxMind's format: MaxMind, DB-IP, IPinfo, iptoasn and others.

Countries and network owners are read; cities and coordinates are not, so that neighbouring
networks of one country become one range. The tree is walked by levels, all nodes of a level at
once: the reader that comes with the format takes minutes for what this does in a second, and
follows a tree that leads back into itself for ever.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

import maxminddb
import numpy as np
import pyarrow as pa
from maxminddb.decoder import Decoder

from flowbench.loaders.base import File
from flowbench.loaders.geo.csv import KIND, TABLE, Range, country, system
from flowbench.loaders.values import pick, text
from flowbench.text import replace_unstorable

__all__ = ["KIND", "TABLE", "TRAILER_MAGIC", "read"]

TRAILER_MAGIC = b"\xab\xcd\xefMaxMind.com"  # before the metadata, in the last 128 KiB
LARGEST = 2 << 30  # bytes; the largest that is sold has less

_SEPARATOR = 16  # zero bytes between the tree and the data
_SHARED = 4  # times that writers may let other branches lead into the same nodes
_ROWS = 100_000

# What decoding bytes that are no database can end in, with any version of the reader.
_DAMAGE = (
    maxminddb.InvalidDatabaseError, ValueError, TypeError, LookupError, OverflowError, OSError,
    RecursionError, MemoryError, struct.error,
)  # fmt: skip

Told = tuple[str | None, int | None, str | None]  # country, number and name of the network


class _DamagedError(Exception):
    """The database cannot be right; the message says where."""


def read(file: File, whole: BinaryIO) -> Iterator[pa.Table]:
    """The ranges in a database (TABLE without ``evidence_id``; ``line`` is null), in order.

    A damaged database goes to quarantine whole: half of one would pass for silence.
    """
    try:
        raw = whole.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise _DamagedError(f"more than {LARGEST >> 30} GB")
        ranges = _ranges(raw)
        about = _about(raw)
    except _DamagedError as error:
        file.quarantine(f"a MaxMind database that cannot be read: {error}; get it anew")
        return
    except _DAMAGE as error:
        file.quarantine(
            f"a damaged MaxMind database: {replace_unstorable(str(error))}; get it anew"
        )
        return
    if not ranges:
        file.quarantine(f"a MaxMind database ({about[0]}) without countries or network owners")
        return
    for start in range(0, len(ranges), _ROWS):
        some = (found.row(*about) for found in ranges[start : start + _ROWS])
        yield TABLE.rows(some).drop_columns(["evidence_id"])


def _about(raw: bytes) -> tuple[str | None, datetime | None]:
    """The database's own name and when it was built."""
    metadata = maxminddb.open_database(io.BytesIO(raw), maxminddb.MODE_FD).metadata()
    return text(metadata.database_type), datetime.fromtimestamp(metadata.build_epoch, UTC)


def _ranges(raw: bytes) -> list[Range]:
    """What the database says, neighbours of which it says the same joined."""
    metadata = maxminddb.open_database(io.BytesIO(raw), maxminddb.MODE_FD).metadata()
    if metadata.ip_version not in (4, 6):
        raise _DamagedError(f"addresses of version {metadata.ip_version}")
    bits = 128 if metadata.ip_version == 6 else 32
    tree = _tree(raw, metadata.node_count, metadata.record_size)
    high, low, length, pointer = _leaves(tree, bits)
    order = np.lexsort((low, high))
    high, low, length, pointer = high[order], low[order], length[order], pointer[order]
    told, words = _told(raw, metadata, pointer)
    keep = told >= 0
    high, low, length, told = high[keep], low[keep], length[keep], told[keep]
    if not len(told):
        return []
    last_high, last_low = _ends(high, low, bits - length)
    narrow = (bits == 32) | ((high == 0) & (low >> np.uint64(32) == 0) & (length >= 96))
    joins = (
        (told[1:] == told[:-1])
        & (narrow[1:] == narrow[:-1])
        & (low[1:] == last_low[:-1] + np.uint64(1))
        & (high[1:] == last_high[:-1] + (last_low[:-1] == ~np.uint64(0)))
    )
    starts = np.flatnonzero(np.concatenate(([True], ~joins)))
    ends = np.append(starts[1:], len(told)) - 1
    numbers = zip(
        narrow[starts].tolist(), high[starts].tolist(), low[starts].tolist(),
        last_high[ends].tolist(), last_low[ends].tolist(), told[starts].tolist(), strict=True,
    )  # fmt: skip
    return [
        Range(32 if is_narrow else 128, h << 64 | lo, lh << 64 | ll, *words[int(word)], None)
        for is_narrow, h, lo, lh, ll, word in numbers
    ]


def _tree(raw: bytes, nodes: int, record_size: int) -> np.ndarray:
    """The nodes of the search tree: a left and a right record each."""
    data = np.frombuffer(raw, np.uint8, nodes * record_size // 4).reshape(nodes, -1)
    if record_size == 32:
        return data.reshape(-1).view(">u4").reshape(nodes, 2).astype(np.uint32)
    wide = data.astype(np.uint32)
    tree = np.empty((nodes, 2), np.uint32)
    right = 3 if record_size == 24 else 4
    for side, at in ((0, 0), (1, right)):
        tree[:, side] = wide[:, at] << 16 | wide[:, at + 1] << 8 | wide[:, at + 2]
    if record_size == 28:  # the middle byte holds the highest four bits of both
        tree[:, 0] |= (wide[:, 3] & 0xF0) << 20
        tree[:, 1] |= (wide[:, 3] & 0x0F) << 24
    return tree


def _leaves(tree: np.ndarray, bits: int) -> tuple[np.ndarray, ...]:
    """The networks in the tree that have data: two halves of the address, length, pointer.

    Branches that lead into IPv4 from elsewhere than ::/96 (6to4 and the like) are left out.
    """
    count = len(tree)
    ipv4 = _ipv4_start(tree) if bits == 128 else -1
    found: list[tuple[np.ndarray, ...]] = []
    nodes = np.zeros(min(count, 1), np.int64)
    high = low = np.zeros(len(nodes), np.uint64)
    visited = 0
    for depth in range(bits):
        visited += len(nodes)
        if visited > _SHARED * count:
            raise _DamagedError("its search tree leads back into itself")
        place = bits - 1 - depth
        bit = np.uint64(1 << place % 64)
        following = tree[nodes].astype(np.int64)
        highs = np.stack([high, high | bit if place >= 64 else high], axis=1)
        lows = np.stack([low, low | bit if place < 64 else low], axis=1)
        following, highs, lows = following.ravel(), highs.ravel(), lows.ravel()
        leaf = following > count
        lengths = np.full(int(leaf.sum()), depth + 1)
        found.append((highs[leaf], lows[leaf], lengths, following[leaf]))
        inner = (following < count) & ~((following == ipv4) & ((highs | lows) != 0))
        nodes, high, low = following[inner], highs[inner], lows[inner]
    if len(nodes):
        raise _DamagedError("its search tree is deeper than an address is long")
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def _ipv4_start(tree: np.ndarray) -> int:
    node = 0
    for _ in range(96):
        if node >= len(tree):
            return -1
        node = int(tree[node, 0])
    return node if node < len(tree) else -1


def _ends(high: np.ndarray, low: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last addresses of networks with so many free bits."""
    full = ~np.uint64(0)

    def mask(count: np.ndarray) -> np.ndarray:
        part = (np.uint64(1) << np.minimum(count, 63).astype(np.uint64)) - np.uint64(1)
        return np.where(count >= 64, full, part)

    return high | mask(np.maximum(free - 64, 0)), low | mask(np.minimum(free, 64))


def _told(raw: bytes, metadata: Any, pointers: np.ndarray) -> tuple[np.ndarray, list[Told]]:
    """For each pointer which of the words it leads to, -1 for nothing of use; and the words."""
    tree_size = metadata.search_tree_size
    decoder = Decoder(raw, tree_size + _SEPARATOR)
    distinct, places = np.unique(pointers, return_inverse=True)
    ids: dict[Told, int] = {}
    numbers = np.empty(len(distinct), np.int64)
    for at, pointer in enumerate(distinct.tolist()):
        offset = pointer - metadata.node_count + tree_size
        if offset < tree_size + _SEPARATOR or offset >= len(raw):
            raise _DamagedError("its search tree points outside of its data")
        words = _words(decoder.decode(offset)[0])
        numbers[at] = -1 if words == (None, None, None) else ids.setdefault(words, len(ids))
    return numbers[places], list(ids)


def _words(record: object) -> Told:
    """Country, number and name of the autonomous system in a record of any maker."""
    code = (
        country(pick(record, "country", "iso_code"))
        or country(pick(record, "country_code"))
        or country(pick(record, "country"))
        or country(pick(record, "registered_country", "iso_code"))
    )
    for place in (record, pick(record, "traits")):
        asn = system(pick(place, "autonomous_system_number") or pick(place, "asn"))
        names = ("autonomous_system_organization", "as_name", "name", "organization", "isp")
        owner = next((name for key in names if (name := text(pick(place, key)))), None)
        if asn or owner:
            return code, asn, replace_unstorable(owner) if owner else None
    return code, None, None
