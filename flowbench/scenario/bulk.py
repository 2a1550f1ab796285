"""Many talks in, flow log files out: whole columns at a time, for incidents by the dozen.

A talk is an exchange between two ends. Each interface has capture windows of its own, all of one
length; what passes in a window is one record each way. Traffic inside is logged at both ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

ACCOUNT = 111122223333
V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status"
)
V5 = f"{V2} tcp-flags flow-direction"
ANSWERED, REFUSED, SILENT = 0, 1, 2  # how a talk went: refused by the responder's security group

_COLUMNS = {
    "src": "int32", "dst": "int32", "sport": "int32", "port": "int32", "protocol": "int32",
    "start": "float64", "seconds": "float64", "out": "float64", "back": "float64",
    "packet_out": "float64", "packet_in": "float64", "lumps": "float64", "state": "int8",
    "kind": "int32",
}  # fmt: skip


def interface(host: int) -> str:
    """The interface of a host, by its number."""
    return f"eni-{host:017x}"


@dataclass
class Talks:
    """The talks of an estate, gathered group by group; addresses and kinds are numbers here."""

    rng: np.random.Generator
    addresses: list[str] = field(default_factory=list)
    inside: list[bool] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    _groups: list[dict[str, np.ndarray]] = field(default_factory=list)

    def address(self, text: str, *, inside: bool = False) -> int:
        """The number of a new address."""
        self.addresses.append(text)
        self.inside.append(inside)
        return len(self.addresses) - 1

    def add(
        self,
        kind: str,
        src: Any,
        dst: Any,
        port: Any,
        start: Any,
        *,
        seconds: Any = 1.0,
        out: Any = 800.0,
        back: Any = 3_000.0,
        protocol: int = 6,
        packet: tuple[float, float] = (500.0, 900.0),
        lumps: float = 0.0,
        state: Any = ANSWERED,
        sport: Any = None,
    ) -> None:
        """Talks of one kind, an array entry each; what is one number holds for all.

        ``start`` is in epoch seconds, ``out`` and ``back`` are bytes in all, ``packet`` the bytes
        of a packet each way, ``lumps`` the messages a minute (Poisson) that a talk's bytes come in;
        0 is an even stream.
        """
        start = np.atleast_1d(np.asarray(start, float))
        if not len(start):
            return
        if kind not in self.kinds:
            self.kinds.append(kind)
        if sport is None:
            sport = self.rng.integers(32_768, 61_000, len(start))
        values = {
            "src": src, "dst": dst, "sport": sport, "port": port, "protocol": protocol,
            "start": start, "seconds": seconds, "out": out, "back": back, "packet_out": packet[0],
            "packet_in": packet[1], "lumps": lumps, "state": state, "kind": self.kinds.index(kind),
        }  # fmt: skip
        self._groups.append(
            {
                name: np.broadcast_to(np.asarray(value, _COLUMNS[name]), start.shape)
                for name, value in values.items()
            }
        )

    def columns(self) -> dict[str, np.ndarray]:
        """All talks, column by column."""
        return {n: np.concatenate([group[n] for group in self._groups]) for n in _COLUMNS}

    def pairs(self) -> list[tuple[int, int, str]]:
        """Who opened to whom, for what: each once, in order."""
        c = self.columns()
        rows = np.unique(np.stack([c["src"], c["dst"], c["kind"]]), axis=1).T
        return [(int(a), int(b), self.kinds[k]) for a, b, k in rows]


def write(
    talks: Talks,
    folder: Path,
    *,
    first: int,
    last: int,
    window: int,
    flags: bool,
    whole: bool,
    files: int = 4,
    silent: Sequence[tuple[int, float, float]] = (),
) -> int:
    """Write the records of all talks between two moments as flow log files; return how many.

    ``flags``: with tcp-flags and flow-direction, else version 2 alone. ``whole``: times are those
    of the windows, as busy interfaces write them; else of what passed in them. ``silent``: hosts
    whose interface leaves no record from one moment to another.
    """
    c = talks.columns()
    inside = np.asarray(talks.inside)
    offsets = talks.rng.integers(0, window, len(inside))
    parts = [_seen(c, end, inside[c[end]], offsets, talks.rng, window) for end in ("src", "dst")]
    r = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    begin = np.where(whole, r["slot"] * window + r["offset"], np.floor(r["lo"])).astype("int64")
    over = np.where(whole, begin + window - 1, np.maximum(np.ceil(r["hi"]), begin)).astype("int64")
    keep = (begin >= first) & (over < last) & (r["bytes"] > 0)
    for host, since, until in silent:
        keep &= (r["at"] != host) | (over < since) | (begin > until)
    r = {name: column[keep] for name, column in r.items()}
    begin, over = begin[keep], over[keep]
    order = np.lexsort((r["bytes"], r["sport"], r["src"], begin, over))
    names = pa.array(talks.addresses)
    interfaces = pa.array([interface(n) for n in range(len(inside))])
    columns: dict[str, Any] = {
        "version": np.full(len(order), 5 if flags else 2),
        "account-id": np.full(len(order), ACCOUNT),
        "interface-id": interfaces.take(pa.array(r["at"][order])),
        "srcaddr": names.take(pa.array(r["src"][order])),
        "dstaddr": names.take(pa.array(r["dst"][order])),
        "srcport": r["sport"][order],
        "dstport": r["port"][order],
        "protocol": r["protocol"][order],
        "packets": r["packets"][order],
        "bytes": r["bytes"][order],
        "start": begin[order],
        "end": over[order],
        "action": pa.array(["ACCEPT", "REJECT"]).take(pa.array(r["rejected"][order].astype(int))),
        "log-status": pa.array(["OK"]).take(pa.array(np.zeros(len(order), int))),
    }
    if flags:
        columns["tcp-flags"] = r["flags"][order]
        ways = pa.array(["ingress", "egress"])
        columns["flow-direction"] = ways.take(pa.array((r["src"] == r["at"])[order].astype(int)))
    _files(pa.table(columns), folder, V5 if flags else V2, files)
    return len(order)


def _seen(
    c: dict[str, np.ndarray],
    end: str,
    logged: np.ndarray,
    offsets: np.ndarray,
    rng: np.random.Generator,
    window: int,
) -> dict[str, np.ndarray]:
    """What the interfaces at one end of the talks record, both ways."""
    c = {name: column[logged] for name, column in c.items()}
    offset = offsets[c[end]]
    stop = c["start"] + c["seconds"]
    opens = np.floor((c["start"] - offset) / window).astype("int64")
    closes = np.floor((stop - offset) / window).astype("int64")
    count = closes - opens + 1
    talk = np.repeat(np.arange(len(count)), count)
    turn = np.arange(len(talk)) - np.repeat(np.cumsum(count) - count, count)
    t = {name: column[talk] for name, column in c.items()}
    slot, offset = opens[talk] + turn, offset[talk]
    lo = np.maximum(t["start"], slot * window + offset)
    hi = np.minimum(stop[talk], (slot + 1) * window + offset)
    share = np.where(t["seconds"] > 0, (hi - lo) / np.maximum(t["seconds"], 1e-9), 1.0)
    share = np.where(count[talk] == 1, 1.0, share)
    lumpy = t["lumps"] > 0
    due = np.where(lumpy, t["lumps"] * (hi - lo) / 60, 1.0)
    came = np.where(lumpy, rng.poisson(due), 1)
    even = (0.93 + 0.14 * rng.random(len(share))) * (count[talk] > 1) + (count[talk] == 1)
    share = share * np.where(lumpy, came / np.maximum(due, 1e-9), even)
    spoke = t["state"] == ANSWERED
    tcp = t["protocol"] == 6
    opening, closing = turn == 0, turn == count[talk] - 1
    rejected = (t["state"] == REFUSED) & (end == "dst")
    rows = []
    for way in ("out", "back"):
        source, target = ("src", "dst") if way == "out" else ("dst", "src")
        sport, port = ("sport", "port") if way == "out" else ("port", "sport")
        size = np.where(spoke, t[way] * share, t[way] if way == "out" else 0)
        packet = t["packet_out" if way == "out" else "packet_in"]
        packets = np.where(size > 0, np.ceil(size / packet), 0)
        size = np.where(packets > 0, np.maximum(size, 40), 0)
        syn = np.where(opening, 2 if way == "out" else 18, 0)
        rows.append(
            {
                "at": t[end], "src": t[source], "dst": t[target], "sport": t[sport],
                "port": t[port], "protocol": t["protocol"], "packets": packets.astype("int64"),
                "bytes": size.astype("int64"), "rejected": rejected, "slot": slot,
                "offset": offset, "lo": lo, "hi": hi,
                "flags": np.where(tcp, syn | np.where(closing & spoke, 1, 0), 0),
            }
        )  # fmt: skip
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _files(table: pa.Table, folder: Path, header: str, count: int) -> None:
    size = -(-len(table) // count) or 1
    options = pc.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    for number, first in enumerate(range(0, max(len(table), 1), size)):
        with (folder / f"flows-{number:02d}.log").open("wb") as file:
            file.write(header.encode() + b"\n")
            pc.write_csv(table.slice(first, size), file, options)
