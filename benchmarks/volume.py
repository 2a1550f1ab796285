"""A large case of generated traffic, the same each time, for measuring time and memory.

Flow records have no raw files: they are drawn with numpy and written into a case's tables, as an
ingest would; DNS queries and API events, few beside them, are ingested. The shape is realistic: a
few hosts and peers have most of the traffic, two records per connection and window, four between
two logged interfaces, changing source ports, three days, windows of 60 s, rejected scans from
external addresses, and some activity for detectors to find.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.case import Case
from flowbench.case import parts as table_parts
from flowbench.scenario import cloudtrail
from flowbench.scenario.writer import format_time
from flowbench.schema import FLOWS

FIRST = 1_788_220_800  # 2026-09-01 00:00:00 UTC
DAYS = 3
SEED = 20_260_901
SLICES = 288  # of time, drawn one by one to limit memory
HOSTS = 2_000
WINDOW = 60
QUERIES, EVENTS = 200_000, 50_000
CALLS = ("DescribeInstances", "GetCallerIdentity", "AssumeRole", "CreateAccessKey")

_SERVICES = np.array([443, 80, 53, 22, 3306, 5432, 6379, 8080, 8443, 9092, 2049, 389, 25, 20_005])
_WEIGHTS = np.array([40, 8, 8, 3, 6, 8, 6, 8, 5, 2, 2, 1, 1, 2]) / 100
POOL, TOR = "203.0.113.50", "198.51.100.9"


def make(folder: Path, records: int) -> Case:
    """Return the case in a folder, made with about ``records`` flow log records if missing."""
    if (folder / "case.json").exists():
        return Case.open(folder)
    case = Case.create(folder, "volume")
    rng = np.random.default_rng(SEED)
    ends = _Ends(rng, records)
    _load(case, ends, rng, range(SLICES), records)
    indicators = [f"{POOL},mining,pools", f"{TOR},tor,exits"]
    indicators += [
        f"{a},scanner,noise" for a in ends.external[rng.integers(0, len(ends.external), 500)]
    ]
    feed = folder.with_suffix(".csv")
    feed.write_text("indicator,kind,feed\n" + "\n".join(sorted(set(indicators))) + "\n")
    queries = _write_queries(folder.with_suffix(".dns.jsonl"), ends, rng)
    case.ingest(feed, queries, _write_events(folder.with_suffix(".cloudtrail.json"), ends, rng))
    return Case.open(folder)


def add(case: Case, records: int, slices: int) -> None:
    """Load the records of some slices of time after those of ``make`` with as many records."""
    ends = _Ends(np.random.default_rng(SEED), records)
    rng = np.random.default_rng(SEED + 1)
    _load(case, ends, rng, range(SLICES, SLICES + slices), records)


def _load(case: Case, ends: _Ends, rng: np.random.Generator, slices: range, records: int) -> None:
    """Load the records of slices of time, in batches."""
    batch = table_parts.Batch(case.path / "tables", table_parts.next_number(case.log))
    for number in slices:
        batch.add("flows", _records(ends, rng, number, int(records / SLICES / 3.71)))
        if batch.row_count >= table_parts.ROWS_PER_BATCH or number == slices[-1]:
            case.log.append("load", evidence=[_entry(batch)], parts=batch.finish())
            batch = table_parts.Batch(case.path / "tables", batch.number + 1)


def _entry(batch: table_parts.Batch) -> dict[str, object]:
    number = f"{batch.number:064x}"
    return {
        "evidence_id": number[:16], "file": f"made-{batch.number}",
        "path": "made", "sha256": number,
        "kind": "flow-logs", "size": 0, "records": batch.row_count, "quarantined": 0, "nodata": 0,
        "skipdata": 0, "first_seen": None, "last_seen": None,
        "fields": [name for name in FLOWS.columns if name not in ("evidence_id", "line")],
    }  # fmt: skip


class _Ends:
    """Hosts, peers, and the ports and frequencies of their connections."""

    def __init__(self, rng: np.random.Generator, records: int) -> None:
        pairs = int(np.clip(records / 25, 20_000, 2_000_000))
        numbers = np.arange(HOSTS)
        self.hosts = np.array([f"10.{n >> 8 & 15}.{n & 255}.{n % 250 + 4}" for n in numbers])
        self.interfaces = np.array([f"eni-0{n:016x}" for n in numbers])
        external = rng.choice(1 << 27, size=pairs, replace=False)
        self.external = np.array(
            [f"{32 + (n >> 24)}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in external]
        )
        kind = rng.random(pairs)
        self.inward, self.internal = kind < 0.25, kind > 0.65
        self.here = _power(rng, HOSTS, pairs)
        self.there = np.where(self.internal, _power(rng, HOSTS, pairs), _power(rng, pairs, pairs))
        self.internal &= self.here != self.there
        self.port = rng.choice(_SERVICES, size=pairs, p=_WEIGHTS)
        self.weight = 1 / np.arange(1, pairs + 1) ** 0.8
        self.weight /= self.weight.sum()
        self.cumulated = np.cumsum(self.weight)


def _write_queries(path: Path, ends: _Ends, rng: np.random.Generator) -> Path:
    """Write DNS queries of all hosts, one in 200 of them in a tunnel of the first host."""
    hosts, sites = rng.integers(0, HOSTS, QUERIES), rng.integers(0, 3_000, QUERIES)
    times = FIRST + np.sort(rng.uniform(0, DAYS * 86_400, QUERIES))
    hosts[::200] = 0
    shared = {
        "version": "1.100000",
        "account_id": "111122223333",
        "region": "us-east-1",
        "vpc_id": "vpc-1",
        "query_type": "A",
        "query_class": "IN",
        "srcport": "40000",
        "transport": "UDP",
    }
    with path.open("w", encoding="ascii") as file:
        for i, (host, site, time) in enumerate(zip(hosts, sites, times, strict=True)):
            name = f"www{site % 7}.site{site}.example."
            if i % 200 == 0:
                name = f"{rng.bytes(25).hex()}.tunnel.example."
            answers = [{"Rdata": "192.0.2.7", "Type": "A", "Class": "IN"}] if site % 50 else []
            row = {
                "query_timestamp": format_time(time),
                "query_name": name,
                "rcode": "NOERROR" if answers else "NXDOMAIN",
                "answers": answers,
                "srcaddr": str(ends.hosts[host]),
                "srcids": {"instance": f"i-{host:017x}"},
            }
            file.write(json.dumps(shared | row) + "\n")
    return path


def _write_events(path: Path, ends: _Ends, rng: np.random.Generator) -> Path:
    """Write API events of forty users, each with an external address, and some from TOR."""
    names = rng.choice(CALLS, EVENTS, p=[0.5, 0.3, 0.199, 0.001])
    times = FIRST + np.sort(rng.uniform(0, DAYS * 86_400, EVENTS))
    records = []
    for i, (time, name) in enumerate(zip(times, names, strict=True)):
        user, address = cloudtrail.user(f"user{i % 40}"), str(ends.external[i % 40])
        address = TOR if i % 5_000 == 0 else address
        records.append(cloudtrail.event(time, user, "ec2", str(name), address, "aws-cli"))
    path.write_text(json.dumps({"Records": records}), encoding="ascii")
    return path


def _power(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """``count`` numbers below ``size``, the small ones far more often."""
    return np.minimum((size * rng.random(count) ** 3).astype(np.int64), size - 1)


def _records(ends: _Ends, rng: np.random.Generator, number: int, count: int) -> pa.Table:
    """The records of the connections that begin in a slice of the time."""
    length = DAYS * 86_400 // SLICES
    first = FIRST + number * length
    columns: list[dict[str, np.ndarray]] = list(_connections(ends, rng, first, length, count))
    columns += _planted(ends, first, length)
    rows = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
    order = np.argsort(rows["end"], kind="stable")
    return _table({name: values[order] for name, values in rows.items()}, number)


def _connections(
    ends: _Ends, rng: np.random.Generator, first: int, length: int, count: int
) -> Iterator[dict[str, np.ndarray]]:
    pair = np.searchsorted(ends.cumulated, rng.random(count)).clip(max=len(ends.port) - 1)
    at = first + rng.integers(0, length, count)
    seconds = np.minimum(rng.exponential(20, count), 1_200)
    long = rng.random(count) < 0.002
    seconds[long] = rng.uniform(1_800, 7_200, long.sum())
    inward, internal = ends.inward[pair], ends.internal[pair]
    here = ends.hosts[ends.here[pair]]
    there = np.where(
        internal, ends.hosts[ends.there[pair] % HOSTS], ends.external[ends.there[pair]]
    )
    port = ends.port[pair]
    source = rng.integers(32_768, 61_000, count)
    size = rng.lognormal(7.5, 1.2, count).astype(np.int64)
    is_scan = inward & (rng.random(count) < 0.5)  # rejected scans
    yield from windows(
        np.where(inward, there, here), np.where(inward, here, there), source,
        np.where(is_scan, rng.integers(1, 10_000, count), port), at, seconds, size, size * 3,
        ends.interfaces[ends.here[pair]], rejected=is_scan, outgoing=~inward,
    )  # fmt: skip
    both = np.flatnonzero(internal)  # also logged by the interface at the other end
    yield from windows(
        here[both], there[both], source[both], port[both], at[both], seconds[both], size[both],
        size[both] * 3, ends.interfaces[ends.there[pair[both]] % HOSTS],
        rejected=is_scan[both], outgoing=inward[both],
    )  # fmt: skip


def windows(  # noqa: PLR0913  # the columns of a connection
    initiator: np.ndarray, responder: np.ndarray, source: np.ndarray, port: np.ndarray,
    at: np.ndarray, seconds: np.ndarray, out: np.ndarray, back: np.ndarray, interface: np.ndarray,
    *, rejected: np.ndarray, outgoing: np.ndarray,
) -> Iterator[dict[str, np.ndarray]]:  # fmt: skip
    """Yield the records of one interface: one per connection, window and direction."""
    opens = at // WINDOW
    count = (at + seconds).astype(np.int64) // WINDOW - opens + 1
    count[rejected] = 1
    row = np.repeat(np.arange(len(at)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    flags = 2 * (place == 0) + (place == count[row] - 1)
    start = (opens[row] + place) * WINDOW
    shared = {"interface_id": interface[row], "start": start, "end": start + WINDOW - 1}
    is_rejected = rejected[row]
    protocol = np.where(port[row] == 53, 17, 6)
    tcp = protocol == 6
    yield shared | {
        "srcaddr": initiator[row], "dstaddr": responder[row],
        "srcport": source[row], "dstport": port[row], "protocol": protocol,
        "bytes": np.where(is_rejected, 60, np.maximum(out[row] // count[row], 40)),
        "action": is_rejected, "tcp_flags": np.where(is_rejected, 2, flags) * tcp,
        "egress": outgoing[row],
    }  # fmt: skip
    kept = np.flatnonzero(~is_rejected)
    shared = {name: values[kept] for name, values in shared.items()}
    row, flags = row[kept], flags[kept]
    yield shared | {
        "srcaddr": responder[row], "dstaddr": initiator[row],
        "srcport": port[row], "dstport": source[row], "protocol": protocol[kept],
        "bytes": np.maximum(back[row] // count[row], 40),
        "action": np.zeros(len(row), bool),
        "tcp_flags": (flags | 16 * (flags >> 1 & 1)) * tcp[kept],
        "egress": ~outgoing[row],
    }  # fmt: skip


def _planted(ends: _Ends, first: int, length: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield a mining session, a beacon to a Tor exit every 5 minutes, and rejected attempts."""
    host, interface = "10.99.0.5", "eni-0ffffffffffffff05"
    beacon_times = np.arange(first, first + length, 300) + 7
    plain = np.zeros(len(beacon_times), bool)
    attempt_times = np.arange(first, first + length, 450)
    servers = ends.hosts[np.arange(len(attempt_times)) % 4]
    mining_times = np.array([first // 10_800 * 10_800])[: 1 if first % 10_800 < length else 0]
    sets = (
        (TOR, 443, beacon_times, 3.0, 1_500, 4_000, plain),
        (POOL, 3333, mining_times, 10_000.0, 68_000, 88_000, np.zeros(len(mining_times), bool)),
        (servers, 3306, attempt_times, 0.0, 60, 0, np.ones(len(attempt_times), bool)),
    )
    for there, port, at, seconds, out, back, rejected in sets:
        whole = np.ones(len(at), np.int64)
        yield from windows(
            np.full(len(at), host), np.broadcast_to(there, len(at)), 40_000 + at % 20_000,
            port * whole, at, seconds * whole, out * whole, back * whole,
            np.full(len(at), interface), rejected=rejected, outgoing=~plain[:1].repeat(len(at)),
        )  # fmt: skip


def _table(rows: dict[str, np.ndarray], number: int) -> pa.Table:
    """Return rows as the table that the loader would make of them."""
    count = len(rows["start"])
    way = np.where(rows["egress"], "egress", "ingress")
    source, destination = pa.array(rows["srcaddr"]), pa.array(rows["dstaddr"])
    computed: dict[str, pa.Array] = {
        "srcaddr": source, "dstaddr": destination,
        "pkt_srcaddr": source, "pkt_dstaddr": destination,
        "interface_id": pa.array(rows["interface_id"]),
        "action": pa.array(np.where(rows["action"], "REJECT", "ACCEPT")),
        "flow_direction": pa.array(way),
        "packets": pa.array(rows["bytes"] // 700 + 1),
        "line": pa.array(np.arange(count) + 2),
        "traffic_path": pc.if_else(pa.array(rows["egress"]), 8, None),
    }  # fmt: skip
    fixed = {
        "version": 5, "account_id": "111122223333", "log_status": "OK", "vpc_id": "vpc-1",
        "subnet_id": "subnet-1", "type": "IPv4", "region": "us-east-1", "az_id": "use1-az1",
        "evidence_id": f"{number:016x}",
    }  # fmt: skip
    columns = []
    for field in FLOWS.arrow:
        if field.name in ("start", "end"):
            values = pa.array(rows[field.name] * 1_000_000).cast(field.type)
        elif field.name in computed:
            values = computed[field.name].cast(field.type)
        elif field.name in rows:
            values = pa.array(rows[field.name]).cast(field.type)
        else:
            values = pa.repeat(pa.scalar(fixed.get(field.name), field.type), count)
        columns.append(values)
    return pa.table(columns, schema=FLOWS.arrow)
