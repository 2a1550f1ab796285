"""Flow log files of many simulated connections, computed in whole columns.

Each interface has its own capture windows, all of one length, and one record per window and
direction. Internal traffic is logged at both ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

ACCOUNT = 111122223333
V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status"
)
V5 = f"{V2} tcp-flags flow-direction"
ANSWERED, REJECTED, UNANSWERED = 0, 1, 2  # rejected: by the responder's security group
BACKSCATTER, REJECTED_BACKSCATTER = 3, 4  # a SYN-ACK to a host that sent nothing

_COLUMNS = {
    "src": "int32",
    "dst": "int32",
    "sport": "int32",
    "port": "int32",
    "protocol": "int32",
    "start": "float64",
    "seconds": "float64",
    "bytes_out": "float64",
    "bytes_in": "float64",
    "packet_out": "float64",
    "packet_in": "float64",
    "message_rate": "float64",
    "state": "int8",
    "kind": "int32",
}


class Vpc(NamedTuple):
    """A VPC and the account that it belongs to."""

    account: int
    vpc: str


def interface(host: int) -> str:
    """Return the id of a host's interface."""
    return f"eni-{host:017x}"


@dataclass
class Traffic:
    """The connections of a network, added in groups; addresses and kinds are numbers here."""

    rng: np.random.Generator
    addresses: list[str] = field(default_factory=list)
    internal: list[bool] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    _groups: list[dict[str, np.ndarray]] = field(default_factory=list)

    def address(self, text: str, *, internal: bool = False) -> int:
        """Add an address and return its number."""
        self.addresses.append(text)
        self.internal.append(internal)
        return len(self.addresses) - 1

    def add(
        self,
        kind: str,
        src: Any,
        dst: Any,
        port: Any,
        start: Any,
        bytes_out: Any = 800.0,
        bytes_in: Any = 3_000.0,
        *,
        seconds: Any = 1.0,
        protocol: int = 6,
        packet: tuple[float, float] = (500.0, 900.0),
        message_rate: float = 0.0,
        state: Any = ANSWERED,
        sport: Any = None,
    ) -> None:
        """Add connections of one kind; each argument is an array, or a number for all of them.

        Args:
            kind: What they are, for labels.csv.
            src: Numbers of the initiators.
            dst: Numbers of the responders.
            port: Service ports.
            start: Epoch seconds.
            bytes_out: Total bytes from the initiator.
            bytes_in: Total bytes from the responder.
            seconds: Durations.
            protocol: IANA protocol number.
            packet: Bytes of a packet, out and back.
            message_rate: Messages per minute (Poisson) that carry the bytes; 0 for an even stream.
            state: ANSWERED, REJECTED, UNANSWERED, BACKSCATTER or REJECTED_BACKSCATTER.
            sport: Source ports; random ones by default.
        """
        start = np.atleast_1d(np.asarray(start, float))
        if not len(start):
            return
        if kind not in self.kinds:
            self.kinds.append(kind)
        if sport is None:
            sport = self.rng.integers(32_768, 61_000, len(start))
        values = {
            "src": src,
            "dst": dst,
            "sport": sport,
            "port": port,
            "protocol": protocol,
            "start": start,
            "seconds": seconds,
            "bytes_out": bytes_out,
            "bytes_in": bytes_in,
            "packet_out": packet[0],
            "packet_in": packet[1],
            "message_rate": message_rate,
            "state": state,
            "kind": self.kinds.index(kind),
        }
        self._groups.append(
            {
                name: np.broadcast_to(np.asarray(value, _COLUMNS[name]), start.shape)
                for name, value in values.items()
            }
        )

    def columns(self) -> dict[str, np.ndarray]:
        """Return the connections as columns."""
        return {n: np.concatenate([group[n] for group in self._groups]) for n in _COLUMNS}

    def pairs(self) -> list[tuple[int, int, str]]:
        """Return the distinct initiators, responders and kinds, in order."""
        c = self.columns()
        rows = np.unique(np.stack([c["src"], c["dst"], c["kind"]]), axis=1).T
        return [(int(a), int(b), self.kinds[k]) for a, b, k in rows]


def write(
    traffic: Traffic,
    folder: Path,
    *,
    first: int,
    last: int,
    window: int,
    flags: bool,
    window_times: bool,
    files: int = 4,
    gaps: Sequence[tuple[int, float, float]] = (),
    vpcs: Mapping[int, Vpc] | None = None,
) -> int:
    """Write flow log files and return the number of records.

    Args:
        traffic: The connections.
        folder: Where the files are written.
        first: The start of the period, in epoch seconds.
        last: Its end.
        window: The length of the capture windows in seconds.
        flags: Write tcp-flags and flow-direction; else version 2 alone.
        window_times: Records have the times of their window, as those of busy interfaces; else of
            their first and last packet.
        files: The number of files.
        gaps: Hosts without records, each with the start and the end of its gap.
        vpcs: The VPC of each host, for networks of several; with flags, records have vpc-id then.
    """
    c = traffic.columns()
    internal = np.asarray(traffic.internal)
    offsets = traffic.rng.integers(0, window, len(internal))
    parts = [
        _endpoint_records(c, end, internal[c[end]], offsets, traffic.rng, window)
        for end in ("src", "dst")
    ]
    r = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    begin = np.where(window_times, r["slot"] * window + r["offset"], np.floor(r["lo"])).astype(
        "int64"
    )
    close = np.where(window_times, begin + window - 1, np.maximum(np.ceil(r["hi"]), begin)).astype(
        "int64"
    )
    keep = (begin >= first) & (close < last) & (r["bytes"] > 0)
    for host, since, until in gaps:
        keep &= (r["at"] != host) | (close < since) | (begin > until)
    r = {name: column[keep] for name, column in r.items()}
    begin, close = begin[keep], close[keep]
    order = np.lexsort((r["bytes"], r["sport"], r["src"], begin, close))
    names = pa.array(traffic.addresses)
    interfaces = pa.array([interface(n) for n in range(len(internal))])
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
        "end": close[order],
        "action": pa.array(["ACCEPT", "REJECT"]).take(pa.array(r["rejected"][order].astype(int))),
        "log-status": pa.array(["OK"]).take(pa.array(np.zeros(len(order), int))),
    }
    header = V5 if flags else V2
    if flags:
        columns["tcp-flags"] = r["flags"][order]
        ways = pa.array(["ingress", "egress"])
        columns["flow-direction"] = ways.take(pa.array((r["src"] == r["at"])[order].astype(int)))
    if vpcs is not None:
        places = [vpcs.get(n, Vpc(ACCOUNT, "-")) for n in range(len(internal))]
        columns["account-id"] = np.array([p.account for p in places])[r["at"][order]]
        if flags:
            header += " vpc-id"
            columns["vpc-id"] = pa.array([p.vpc for p in places]).take(pa.array(r["at"][order]))
    _write_files(pa.table(columns), folder, header, files)
    return len(order)


def _endpoint_records(
    c: dict[str, np.ndarray],
    end: str,
    logged: np.ndarray,
    offsets: np.ndarray,
    rng: np.random.Generator,
    window: int,
) -> dict[str, np.ndarray]:
    """Return the records of the interfaces at one end, in both directions."""
    c = {name: column[logged] for name, column in c.items()}
    offset = offsets[c[end]]
    stop = c["start"] + c["seconds"]
    opens = np.floor((c["start"] - offset) / window).astype("int64")
    closes = np.floor((stop - offset) / window).astype("int64")
    count = closes - opens + 1
    index = np.repeat(np.arange(len(count)), count)
    turn = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)
    t = {name: column[index] for name, column in c.items()}
    slot, offset = opens[index] + turn, offset[index]
    lo = np.maximum(t["start"], slot * window + offset)
    hi = np.minimum(stop[index], (slot + 1) * window + offset)
    share = np.where(t["seconds"] > 0, (hi - lo) / np.maximum(t["seconds"], 1e-9), 1.0)
    share = np.where(count[index] == 1, 1.0, share)
    has_messages = t["message_rate"] > 0
    expected = np.where(has_messages, t["message_rate"] * (hi - lo) / 60, 1.0)
    messages = np.where(has_messages, rng.poisson(expected), 1)
    even = (0.93 + 0.14 * rng.random(len(share))) * (count[index] > 1) + (count[index] == 1)
    share = share * np.where(has_messages, messages / np.maximum(expected, 1e-9), even)
    answered = t["state"] == ANSWERED
    tcp = t["protocol"] == 6
    opening, closing = turn == 0, turn == count[index] - 1
    rejected = np.isin(t["state"], (REJECTED, REJECTED_BACKSCATTER)) & (end == "dst")
    first_flags = np.where(t["state"] >= BACKSCATTER, 18, 2)
    rows = []
    for direction in ("bytes_out", "bytes_in"):
        source, target = ("src", "dst") if direction == "bytes_out" else ("dst", "src")
        sport, port = ("sport", "port") if direction == "bytes_out" else ("port", "sport")
        size = np.where(
            answered, t[direction] * share, t[direction] if direction == "bytes_out" else 0
        )
        packet = t["packet_out" if direction == "bytes_out" else "packet_in"]
        packets = np.where(size > 0, np.ceil(size / packet), 0)
        size = np.where(packets > 0, np.maximum(size, 40), 0)
        syn = np.where(opening, first_flags if direction == "bytes_out" else 18, 0)
        rows.append(
            {
                "at": t[end],
                "src": t[source],
                "dst": t[target],
                "sport": t[sport],
                "port": t[port],
                "protocol": t["protocol"],
                "packets": packets.astype("int64"),
                "bytes": size.astype("int64"),
                "rejected": rejected,
                "slot": slot,
                "offset": offset,
                "lo": lo,
                "hi": hi,
                "flags": np.where(tcp, syn | np.where(closing & answered, 1, 0), 0),
            }
        )
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _write_files(table: pa.Table, folder: Path, header: str, count: int) -> None:
    size = -(-len(table) // count) or 1
    options = pc.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    for number, first in enumerate(range(0, max(len(table), 1), size)):
        with (folder / f"flows-{number:02d}.log").open("wb") as file:
            file.write(header.encode() + b"\n")
            pc.write_csv(table.slice(first, size), file, options)
