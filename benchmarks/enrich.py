"""Time of matching addresses with indicators and countries, compared with a loop over ipaddress.

    python benchmarks/enrich.py [--addresses N] [--networks N] [--singles N] [--looped N]
    python benchmarks/enrich.py --case FOLDER

The loop tests each address against each network in turn and each single address by its text, as a
script would. It runs on some addresses, and its time is extrapolated to all; its results for those
are compared row by row.

``--case`` times the address inventory of an existing case: assignments, indicators, countries,
network owners, clouds and names of all addresses.
"""

from __future__ import annotations

import argparse
import ipaddress
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flowbench.case import Case
from flowbench.engine import connect, read_parquet
from flowbench.enrich import geography, indicators
from flowbench.loaders.aws import resolver
from flowbench.loaders.geo import ranges
from flowbench.loaders.intel.indicators import TABLE

_FIRST, _LAST = 0x0B00_0000, 0x63FF_FFFF  # 11.0.0.0 to 99.255.255.255: nothing reserved but 0.0.0.0
_V6 = 0x2001_0DB8 << 96


def main() -> None:
    """Make the input, run both, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (
        ("addresses", 1_000_000), ("networks", 500_000), ("singles", 1_000_000), ("looped", 40)
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--case", type=Path)
    arguments = parser.parse_args()
    if arguments.case is not None:
        measure_case(arguments.case)
        return
    with tempfile.TemporaryDirectory() as folder:
        summaries, lists = (
            Path(folder, "connection_summaries.parquet"),
            Path(folder, "lists.parquet"),
        )
        # In its own process, which is not part of the measurement.
        maker = multiprocessing.Process(target=_make, args=(summaries, lists, arguments))
        maker.start()
        maker.join()
        connection = connect(Path(folder, "spill"))
        seen, listed = read_parquet(connection, summaries), read_parquet(connection, lists)
        began = time.perf_counter()
        found = indicators.match_indicators(seen, listed, ibis.memtable(resolver.TABLE.rows([])))
        matched = time.perf_counter() - began
        addresses = seen.responder.name("address").as_table().to_pyarrow()["address"].to_pylist()
        began = time.perf_counter()
        geography.locate(addresses, ibis.memtable(ranges.TABLE.rows([])))
        located = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sample = _sample(addresses, found, arguments.looped)
        looped, same = _loop(sample, lists, found)
    loop = looped / len(sample) * arguments.addresses
    a = arguments
    print(f"{a.addresses:,} addresses, {a.networks:,} networks, {a.singles:,} singles")
    print(f"  indicators {matched:8.1f} s   ({found.num_rows:,} matches)")
    print(f"  geography  {located:8.1f} s   (the registries' countries; no database loaded)")
    print(f"  together   {matched + located:8.1f} s   peak memory {peak:,.0f} MB")
    print(f"  a loop over ipaddress, {len(sample)} addresses: {looped:.1f} s")
    print(
        f"    extrapolated to all: {loop:,.0f} s; flowbench is {loop / matched:,.0f} times as fast"
    )
    print(f"  the same answers for these {len(sample)}: {'yes' if same else 'NO'}")
    sys.exit(not same)


def measure_case(folder: Path) -> None:
    """Time the address inventory of a case, after its connections are built."""
    case = Case.open(folder)
    began = time.perf_counter()
    case.connection_summaries.count().execute()
    derived = time.perf_counter() - began
    began = time.perf_counter()
    matches = case.indicator_matches.count().execute()
    matched = time.perf_counter() - began
    addresses = case.addresses.count().execute()
    booked = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{case.flows.count().execute():,} records, {addresses:,} addresses, {matches:,} matches")
    print(f"  connections           {derived:8.1f} s   (cached in the case)")
    print(f"  indicators            {matched:8.1f} s")
    print(
        f"  address inventory     {booked:8.1f} s   (with indicators; peak memory {peak:,.0f} MB)"
    )


def _make(summaries: Path, lists: Path, arguments: argparse.Namespace) -> None:
    rng = np.random.default_rng(20_260_901)
    seen = {_address(n) for n in rng.integers(_FIRST, _LAST, arguments.addresses)}
    while len(seen) < arguments.addresses:
        seen.add(_address(int(rng.integers(_FIRST, _LAST))))
    when = pa.array([0] * len(seen), pa.timestamp("us", tz="UTC"))
    table = {"initiator": ["10.0.0.1"] * len(seen), "responder": sorted(seen)}
    pq.write_table(pa.table(table | {"first_seen": when, "last_seen": when}), summaries)
    rows = []
    for number, bits in zip(
        rng.integers(_FIRST, _LAST, arguments.networks),
        rng.choice(
            [16, 20, 22, 24, 28, 30], arguments.networks, p=[0.001, 0.049, 0.1, 0.7, 0.1, 0.05]
        ),
        strict=True,
    ):
        text = _address(int(number))
        bits = int(bits) + (32 if ":" in text else 0)  # noqa: PLW2901  # the part that varies
        rows.append(str(ipaddress.ip_network(f"{text}/{bits}", strict=False)))
    rows += [_address(n) for n in rng.integers(_FIRST, _LAST, arguments.singles)]
    types = pa.array(["network"] * arguments.networks + ["address"] * arguments.singles)
    values = {"indicator": rows, "type": types, "line": np.arange(len(rows))}
    values |= {
        name: pa.repeat(pa.scalar("list"), len(rows)) for name in ("kind", "feed", "evidence_id")
    }
    columns = [
        pa.array(values[f.name]).cast(f.type) if f.name in values else pa.nulls(len(rows), f.type)
        for f in TABLE.arrow
    ]
    pq.write_table(pa.table(columns, schema=TABLE.arrow), lists)


def _address(number: int) -> str:
    """Return an address: nine of ten are IPv4, the others spread over an IPv6 network."""
    if number % 10:
        return str(ipaddress.IPv4Address(int(number)))
    return str(ipaddress.IPv6Address(_V6 | int(number) << 64))


def _sample(addresses: list[str], found: pa.Table, size: int) -> list[str]:
    """Return a sample, half of it with a match."""
    hit = list(dict.fromkeys(found["address"].to_pylist()))
    return sorted(
        {*hit[:: max(1, 2 * len(hit) // size)], *addresses[:: 2 * len(addresses) // size]}
    )


def _loop(sample: list[str], lists: Path, found: pa.Table) -> tuple[float, bool]:
    texts = pq.read_table(lists)["indicator"].to_pylist()
    networks = [(ipaddress.ip_network(text), text) for text in texts if "/" in text]
    singles = {}
    for text in texts:
        if "/" not in text:
            singles[text] = singles.get(text, 0) + 1
    began = time.perf_counter()
    matches = []
    for text in sample:
        address = ipaddress.ip_address(text)
        matches += [(text, text)] * singles.get(text, 0)
        matches += [(text, spelled) for network, spelled in networks if address in network]
    took = time.perf_counter() - began
    wanted = set(sample)
    expected = [
        (address, indicator)
        for address, indicator in zip(
            found["address"].to_pylist(), found["indicator"].to_pylist(), strict=True
        )
        if address in wanted
    ]
    return took, sorted(matches) == sorted(expected)


if __name__ == "__main__":
    main()
