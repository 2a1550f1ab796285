"""Lines of flow logs for many records at once, computed in whole columns.

A record is a row of numpy arrays here. The texts that depend on the interface alone are joined
once for each interface; Arrow joins the columns, and its buffer is the content of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.scenario.network import ACCOUNT, REGION, Host
from flowbench.scenario.record_format import FIELD_COUNTS, later_fields

INGRESS, EGRESS, EGRESS_INTERNET = 0, 1, 2  # ways: traffic-path is none, 1 or 8
_WAYS = pa.array(["ingress -", "egress 1", "egress 8"])
_TYPES = pa.array(["IPv4", "IPv6"])
_V3, _V4, _V5, _V7 = 3, 4, 5, 7  # versions from which records have more fields


class Rows(NamedTuple):
    """Records as columns of one length, in the order of the lines.

    Attributes:
        at: Numbers of the interfaces that log them.
        src: Numbers of the source addresses (srcaddr).
        dst: Numbers of the destination addresses (dstaddr).
        pkt_src: The same of the packets (pkt-srcaddr).
        pkt_dst: The same of the packets (pkt-dstaddr).
        sport: Source ports.
        dport: Destination ports.
        protocol: IANA protocol numbers.
        packets: Packets.
        bytes: Bytes.
        start: Epoch seconds.
        end: Epoch seconds.
        rejected: Whether the action is REJECT.
        flags: TCP flags.
        way: INGRESS, EGRESS or EGRESS_INTERNET.
    """

    at: np.ndarray
    src: np.ndarray
    dst: np.ndarray
    pkt_src: np.ndarray
    pkt_dst: np.ndarray
    sport: np.ndarray
    dport: np.ndarray
    protocol: np.ndarray
    packets: np.ndarray
    bytes: np.ndarray
    start: np.ndarray
    end: np.ndarray
    rejected: np.ndarray
    flags: np.ndarray
    way: np.ndarray

    def take(self, rows: np.ndarray) -> Rows:
        """Return some rows, by a mask or by their numbers."""
        return Rows(*(column[rows] for column in self))

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Rows:
        """Return the rows of all parts."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class LineWriter:
    """Formats the records of some interfaces as lines of a version."""

    def __init__(self, hosts: Sequence[Host], addresses: Sequence[str], version: int) -> None:
        """Prepare the texts.

        Args:
            hosts: The interfaces, by number.
            addresses: The addresses, by number.
            version: Of the records, one of record_format.FIELD_COUNTS.
        """
        self._version = version
        self._addresses = pa.array(addresses, pa.string())
        self._is_v6 = np.array([":" in address for address in addresses])
        self._prefixes = pa.array([f"{version} {ACCOUNT} {host.interface}" for host in hosts])
        places = [
            f" {host.vpc_id} {host.subnet.id} {host.instance or '-'}" if version >= _V3 else ""
            for host in hosts
        ]
        # By interface and action.
        self._outcomes = pa.array(
            [f"{action} OK{place}" for place in places for action in ("ACCEPT", "REJECT")]
        )
        zones = [f"{REGION} use1-az{1 + 'ab'.index(host.subnet.zone)} - -" for host in hosts]
        count = FIELD_COUNTS[version] - FIELD_COUNTS[_V5]
        later = [" ".join(later_fields(host)[: max(count, 0)]) for host in hosts]
        self._zones, self._later = pa.array(zones), pa.array(later)
        ends = [""] * len(hosts)
        if version >= _V3:
            ends = [f"{end} - - - -" for end in ends]
        if version >= _V4:
            ends = [f"{end} {zone}" for end, zone in zip(ends, zones, strict=True)]
        if version >= _V5:
            ends = [f"{end} - - - -" for end in ends]
        if version >= _V7:
            ends = [f"{end} {fields}" for end, fields in zip(ends, later, strict=True)]
        self._empty_ends = [f"{place}{end}" for place, end in zip(places, ends, strict=True)]

    def format(self, rows: Rows) -> bytes:
        """Return one line for each row."""
        columns = [
            _take(self._prefixes, rows.at),
            _take(self._addresses, rows.src),
            _take(self._addresses, rows.dst),
            *map(_digits, (rows.sport, rows.dport, rows.protocol, rows.packets, rows.bytes)),
            *map(_digits, (rows.start, rows.end)),
            _take(self._outcomes, 2 * rows.at + rows.rejected),
        ]
        if self._version >= _V3:
            kinds = _take(_TYPES, self._is_v6[rows.src].astype("int8"))
            packet = (rows.pkt_src, rows.pkt_dst)
            columns += [_digits(rows.flags), kinds]
            columns += [_take(self._addresses, numbers) for numbers in packet]
        if self._version >= _V4:
            columns.append(_take(self._zones, rows.at))
        if self._version >= _V5:
            services = pa.scalar("- -")
            columns += [services, _take(_WAYS, rows.way)]
        if self._version >= _V7:
            columns.append(_take(self._later, rows.at))
        lines = pc.binary_join_element_wise(*columns, " ")
        return _content(pc.binary_join_element_wise(lines, "", "\n"))

    def format_empty(self, at: int, start: int, end: int, status: str) -> str:
        """Return the line of an interval without records: status NODATA or SKIPDATA."""
        prefix = self._prefixes[at].as_py()
        return f"{prefix}{' -' * 7} {start} {end} - {status}{self._empty_ends[at]}\n"


def _take(texts: pa.Array, numbers: np.ndarray) -> pa.Array:
    return texts.take(pa.array(numbers))


def _digits(column: np.ndarray) -> pa.Array:
    return pa.array(column).cast(pa.string())


def _content(lines: pa.Array) -> bytes:
    """Return the texts of an array without nulls, one after the other."""
    if not len(lines):
        return b""
    _valid, offsets, data = lines.buffers()
    bounds = np.frombuffer(offsets, np.int32)
    first, last = bounds[lines.offset], bounds[lines.offset + len(lines)]
    return data.slice(int(first), int(last - first)).to_pybytes()
