"""Which indicators cover which address.

Addresses are matched exactly, networks by masking every address to each prefix length that the
lists use and looking the result up: at most 33 look-ups for IPv4 and 129 for IPv6, whatever the
size of the lists, and all overlapping networks are found. Domains match through DNS answers.
"""

from __future__ import annotations

import ipaddress
import socket

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from flowbench.enrich.addresses import is_inside
from flowbench.schema import Table, to_frame

MATCHES = Table.of(
    "matches",
    ("address", "string", "the address that was seen"),
    ("indicator", "string", "the indicator that covers it: address, network or domain"),
    ("type", "string", "address, network or domain"),
    ("kind", "string", "tor, mining, c2, scanner, …"),
    ("feed", "string", "the list it stands in"),
    ("confidence", "int32", "0 to 100 as the list gives it; null where it gives none"),
    ("valid_from", "time", "from when it held; null: not said"),
    ("valid_until", "time", "until when it held; null: not said"),
    ("port", "int32", "the port that the list names; null: any"),
    ("description", "string", "what the list says of it; feed text, to be escaped"),
    ("source", "string", "evidence id of the list"),
    ("line", "int64", "its line there"),
)

_NETWORK_TYPES = ("address", "network")


def match(pairs: ibis.Table, indicators: ibis.Table, dns: ibis.Table) -> pa.Table:
    """Every indicator that covers an address seen in ``pairs`` (MATCHES), most specific first.

    Private addresses never match an address or network indicator: block lists hold whole private
    ranges, and each organisation has its own 10.0.0.1. A domain indicator matches the addresses
    that any look-up of it or of a name below it was answered with.
    """
    listed = to_frame(indicators.to_pyarrow())
    columns = [name for name in MATCHES.columns if name not in ("address",)]
    if listed.empty:
        return MATCHES.rows([])
    ends = [pairs.select(address=pairs[end]) for end in ("initiator", "responder")]
    seen = ends[0].union(ends[1]).distinct()
    outside = seen.filter(~is_inside(seen.address)).order_by("address").to_pyarrow()
    addresses = outside["address"].to_pylist()
    found = _covered(addresses, listed[listed["type"].isin(_NETWORK_TYPES)])
    named = _answered(addresses, listed[listed["type"] == "domain"], dns)
    joined = pd.concat([found, named]).merge(
        listed[columns].assign(row=range(len(listed))), on="row"
    )
    joined["length"] = joined["length"].fillna(-1)
    joined = joined.sort_values(
        ["address", "length", "feed", "source", "line"],
        ascending=[True, False, True, True, True],
        ignore_index=True,
    )
    return pa.Table.from_pandas(joined[MATCHES.columns], schema=MATCHES.arrow, preserve_index=False)


def _covered(addresses: list[str], listed: pd.DataFrame) -> pd.DataFrame:
    """(address, row of the list, prefix length) for every network that covers an address."""
    positions = listed.index.to_numpy()
    nets = [ipaddress.ip_network(text, strict=False) for text in listed["indicator"]]
    found = []
    for family, size in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
        mine = [a for a in addresses if (":" in a) == (size == 16)]
        packed = _pack([socket.inet_pton(family, a) for a in mine], size)
        at = [i for i, net in enumerate(nets) if net.max_prefixlen == size * 8]
        lengths = np.array([nets[i].prefixlen for i in at], dtype=np.int64)
        starts = _pack([nets[i].network_address.packed for i in at], size)
        for length in sorted(set(lengths.tolist())):
            of_length = np.flatnonzero(lengths == length)
            left = pd.DataFrame({"key": _keys(packed, length), "address": mine})
            right = pd.DataFrame(
                {"key": _keys(starts[of_length], length), "row": positions[np.array(at)[of_length]]}
            )
            hits = left.merge(right, on="key")[["address", "row"]]
            found.append(hits.assign(length=length))
    empty = pd.DataFrame({"address": [], "row": [], "length": []})
    return pd.concat(found) if found else empty


def _pack(raw: list[bytes], size: int) -> np.ndarray:
    return np.frombuffer(b"".join(raw), dtype=np.uint8).reshape(-1, size)


def _keys(packed: np.ndarray, length: int) -> list[bytes]:
    """The first ``length`` bits of each address, the others 0, as a key to join on."""
    size = packed.shape[1]
    mask = ((1 << length) - 1) << (size * 8 - length)
    bits = np.frombuffer(mask.to_bytes(size, "big"), dtype=np.uint8)
    masked = np.ascontiguousarray(packed & bits).tobytes()
    return [masked[i : i + size] for i in range(0, len(masked), size)]


def _answered(addresses: list[str], listed: pd.DataFrame, dns: ibis.Table) -> pd.DataFrame:
    """(address, row of the list, no length) for every address that a listed name resolved to."""
    empty = pd.DataFrame({"address": [], "row": [], "length": []})
    if listed.empty or not addresses:
        return empty
    answers = dns.select("name", address=dns.answers.unnest()).distinct()
    names = to_frame(answers.to_pyarrow())
    names = names[names["address"].isin(addresses)]
    by_domain: dict[str, list[int]] = {}
    for row, domain in zip(listed.index, listed["indicator"], strict=True):
        by_domain.setdefault(domain, []).append(row)
    hits = {
        (address, row)
        for name, address in names.itertuples(index=False)
        for suffix in _suffixes(name)
        for row in by_domain.get(suffix, ())
    }
    rows = sorted(hits)
    return (
        pd.DataFrame(rows, columns=["address", "row"]).assign(length=float("nan"))
        if rows
        else empty
    )


def _suffixes(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[i:]) for i in range(len(labels))]
