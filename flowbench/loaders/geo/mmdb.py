"""Databases of networks in MaxMind's format: MaxMind, DB-IP, IPinfo, iptoasn and others.

Countries and network owners are read; cities and coordinates are not, so that adjacent networks of
one country become one range. The search tree is walked here and not by maxminddb, whose iteration
follows a damaged tree that leads back into itself for ever, and fails for networks that contain
::/96 or begin directly after it (version 3.2, also in a test database of MaxMind's own).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import BinaryIO

import maxminddb
import numpy as np
import pyarrow as pa
from maxminddb.decoder import Decoder
from maxminddb.reader import Metadata

from flowbench.loaders.base import File
from flowbench.loaders.geo.ranges import (
    KIND,
    TABLE,
    UNKNOWN,
    Network,
    Range,
    as_number,
    country_code,
    join_ranges,
)
from flowbench.loaders.values import pick, text
from flowbench.text import replace_unstorable

__all__ = ["KIND", "TABLE", "TRAILER_MAGIC", "read"]

TRAILER_MAGIC = b"\xab\xcd\xefMaxMind.com"  # before the metadata, in the last 128 KiB
MAX_SIZE = 2 << 30  # bytes; more than the largest database on sale has

_SEPARATOR = 16  # zero bytes between search tree and data
_MAX_VISITS = 4  # times the number of nodes: writers let several branches share nodes
_BATCH_ROWS = 100_000
_IPV4_DEPTH = 96  # levels of the tree above ::/96, where IPv6 databases keep IPv4
_MAX_IPV4 = (1 << 32) - 1
_OWNER_KEYS = ("autonomous_system_organization", "as_name", "name", "organization", "isp")

# The exceptions of decoding bytes that are no database, with any version of the reader.
_DAMAGE = (
    *(maxminddb.InvalidDatabaseError, ValueError, TypeError, LookupError, OverflowError, OSError),
    *(RecursionError, MemoryError, struct.error),
)


class _DamagedError(Exception):
    """The database is damaged; the message has the place."""


def read(file: File, whole: BinaryIO) -> Iterator[pa.Table]:
    """Read the ranges in a database: TABLE without ``evidence_id``, in order; ``line`` is null.

    A damaged database goes to quarantine as a whole: a part of it would look like a database with
    fewer networks.
    """
    try:
        raw = whole.read(MAX_SIZE + 1)
        if len(raw) > MAX_SIZE:
            raise _DamagedError(f"more than {MAX_SIZE >> 30} GB")
        metadata = maxminddb.open_database(io.BytesIO(raw), maxminddb.MODE_FD).metadata()
        name = text(metadata.database_type)
        published = datetime.fromtimestamp(metadata.build_epoch, UTC)
        ranges = _ranges(raw, metadata)
    except _DamagedError as error:
        file.quarantine(f"a MaxMind database that cannot be read: {error}; download it again")
        return
    except _DAMAGE as error:
        reason = replace_unstorable(str(error))
        file.quarantine(f"a damaged MaxMind database: {reason}; download it again")
        return
    if not ranges:
        file.quarantine(f"a MaxMind database ({name}) without countries or network owners")
        return
    for start in range(0, len(ranges), _BATCH_ROWS):
        rows = (each.to_row(name, published) for each in ranges[start : start + _BATCH_ROWS])
        yield TABLE.rows(rows).drop_columns(["evidence_id"])


def _ranges(raw: bytes, metadata: Metadata) -> list[Range]:
    """The ranges of a database, adjacent ones with the same statement joined."""
    if metadata.ip_version not in (4, 6):
        raise _DamagedError(f"addresses of version {metadata.ip_version}")
    bits = 128 if metadata.ip_version == 6 else 32
    records = _tree_records(raw, metadata.node_count, metadata.record_size)
    data_start = metadata.search_tree_size + _SEPARATOR
    decoder = Decoder(raw, data_start)
    networks: dict[int, Network] = {}  # by pointer

    def ranges() -> Iterator[Range]:
        for first, length, pointer in _leaves(records, bits):
            if pointer not in networks:
                offset = pointer - metadata.node_count + metadata.search_tree_size
                if not data_start <= offset < len(raw):
                    raise _DamagedError("its search tree points beyond its data")
                networks[pointer] = _network(decoder.decode(offset)[0])
            last = first | ((1 << (bits - length)) - 1)
            is_ipv4 = bits == 32 or (last <= _MAX_IPV4 and length >= _IPV4_DEPTH)
            yield Range(32 if is_ipv4 else 128, first, last, networks[pointer], None)

    return [each for each in join_ranges(ranges()) if isinstance(each, Range)]


def _tree_records(raw: bytes, nodes: int, record_size: int) -> Sequence[int]:
    """The records of the search tree: of each node the left one, then the right one."""
    data = np.frombuffer(raw, np.uint8, nodes * record_size // 4).reshape(nodes, -1)
    if record_size == 32:
        return data.reshape(-1).view(">u4").astype(np.uint32).data
    wide = data.astype(np.uint32)
    tree = np.empty((nodes, 2), np.uint32)
    right = 3 if record_size == 24 else 4
    for side, at in ((0, 0), (1, right)):
        tree[:, side] = wide[:, at] << 16 | wide[:, at + 1] << 8 | wide[:, at + 2]
    if record_size == 28:  # the middle byte has the highest four bits of both
        tree[:, 0] |= (wide[:, 3] & 0xF0) << 20
        tree[:, 1] |= (wide[:, 3] & 0x0F) << 24
    return tree.ravel().data


def _leaves(records: Sequence[int], bits: int) -> Iterator[tuple[int, int, int]]:
    """Walk the search tree: (first address, prefix length, pointer) of each network, in order.

    Branches into the IPv4 networks from elsewhere than ::/96 (6to4 and the like) are left out.
    Raises _DamagedError for a tree that leads back into itself or is too deep.
    """
    count = len(records) // 2
    ipv4_node = _ipv4_node(records) if bits == 128 else None
    waiting = [(0, 0, 0)] if count else []  # nodes or pointers, with their depth and address
    visits = 0
    while waiting:
        record, depth, address = waiting.pop()
        if record > count:
            yield address, depth, record
        if record >= count or (record == ipv4_node and address):
            continue
        visits += 1
        if depth == bits:
            raise _DamagedError("its search tree is deeper than an address is long")
        if visits > _MAX_VISITS * count:
            raise _DamagedError("its search tree leads back into itself")
        bit = 1 << (bits - 1 - depth)
        waiting.append((records[2 * record + 1], depth + 1, address | bit))
        waiting.append((records[2 * record], depth + 1, address))


def _ipv4_node(records: Sequence[int]) -> int | None:
    """The node at ::/96, where IPv6 databases keep IPv4; None without one."""
    node = 0
    for _ in range(_IPV4_DEPTH):
        if 2 * node >= len(records):
            return None
        node = records[2 * node]
    return node if 2 * node < len(records) else None


def _network(record: object) -> Network:
    """Country, number and name of the autonomous system in a record of any maker."""
    country = (
        country_code(pick(record, "country", "iso_code"))
        or country_code(pick(record, "country_code"))
        or country_code(pick(record, "country"))
        or country_code(pick(record, "registered_country", "iso_code"))
    )
    for part in (record, pick(record, "traits")):
        asn = as_number(pick(part, "autonomous_system_number") or pick(part, "asn"))
        owner = next((name for key in _OWNER_KEYS if (name := text(pick(part, key)))), None)
        if asn or owner:
            return Network(country, asn, replace_unstorable(owner) if owner else None)
    return UNKNOWN._replace(country=country)
