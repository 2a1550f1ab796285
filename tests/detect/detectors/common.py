"""What the tests of detectors share: addresses, an indicator list, traffic and a run."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from flowbench import detect
from flowbench.case import Case
from tests.traffic import T0, Record, connect, make_case, move, moved

HOST, POOL, TOR, SAAS = "10.0.0.5", "203.0.113.50", "198.51.100.9", "203.0.113.200"
HOUR = 3600
LIST = (
    "indicator,kind,feed,confidence,valid_from,valid_until,description\n"
    f"{POOL},mining,pools,90,2026-01-01T00:00:00Z,,a pool\n"
    f"{TOR},tor,exits,95,2026-08-01T00:00:00Z,2026-10-01T00:00:00Z,an exit\n"
    "192.0.2.66,c2,old,80,2025-01-01T00:00:00Z,2025-06-01T00:00:00Z,long gone\n"
    "198.18.7.0/24,scanner,noise,50,,,\n"
    "10.0.0.0/8,c2,careless,100,,,a list that holds whole private networks\n"
)


def periodic(
    host: str, peer: str, port: int, period: float, *, hours: float = 12, jitter: float = 0.0,
    seed: int = 1, **fields: object,
) -> Iterator[Record]:  # fmt: skip
    chooser = random.Random(seed)
    at, n = 0.0, 0
    while at < hours * HOUR:
        yield from connect(
            host, peer, port, T0 + int(at + chooser.uniform(-jitter, jitter) * period) + 600,
            source_port=33_000 + n % 30_000, **fields,
        )  # fmt: skip
        at += period
        n += 1


def irregular(
    host: str, peer: str, mean: float, *, hours: float = 12, seed: int = 2
) -> Iterator[Record]:
    chooser = random.Random(seed)
    at, n = chooser.expovariate(1 / mean), 0
    while at < hours * HOUR:
        size = chooser.randrange(200, 90_000)
        yield from connect(host, peer, 443, T0 + int(at), source_port=33_000 + n, out=size)
        at += chooser.expovariate(1 / mean)
        n += 1


def run(case: Case, name: str) -> pd.DataFrame:
    """Return a detector's findings, with the number of supporting records as ``supporting``."""
    found = detect.run(case, only=[name]).to_pandas()
    assert list(found.columns) == detect.FINDINGS.columns
    records = [len(case.evidence_for(row)) for _, row in found.iterrows()]
    assert all(records)  # every finding leads to records
    return found.assign(supporting=records)


def run_each(folder: Path, name: str, *each: Iterable[Record], **more: Any) -> list[pd.DataFrame]:
    """Return the findings in several lists of records, in one case.

    The n-th list gets the addresses that ``move`` gives it for n, from 1 on, so that none has
    traffic with another. In the findings, subject, peer and peers are as in the list, in the
    summary as moved.
    """
    numbered = [(n, list(records)) for n, records in enumerate(each, 1)]
    ends = {n: {a for r in some for a in (r.srcaddr, r.dstaddr)} for n, some in numbered}
    names = {n: {move(address, n): address for address in ends[n]} for n in ends}
    assert len(set().union(*names.values())) == sum(map(len, names.values()))
    case = make_case(folder, [r for n, some in numbered for r in moved(some, n)], **more)
    found = run(case, name)
    parts = [found[found["subject"].isin(names[n])].reset_index(drop=True) for n in names]
    assert sum(map(len, parts)) == len(found)
    return [
        part.assign(
            subject=part["subject"].map(names[n]),
            peer=part["peer"].map(names[n]),
            peers=[[names[n][peer] for peer in peers] for peers in part["peers"]],
        )
        for n, part in zip(names, parts, strict=True)
    ]


def run_named(
    folder: Path, name: str, each: Mapping[Any, Iterable[Record]], **more: Any
) -> dict[Any, pd.DataFrame]:
    """Do the same for lists of records with names."""
    return dict(zip(each, run_each(folder, name, *each.values(), **more), strict=True))


def dns_case(folder: Path, queries: Iterable[dict[str, Any]], indicators: str = "") -> Case:
    """Return a case of query logs alone."""
    evidence = folder / "evidence"
    evidence.mkdir(parents=True)
    (evidence / "dns.log").write_text("\n".join(json.dumps(query) for query in queries))
    if indicators:
        (evidence / "list.csv").write_text(indicators)
    case = Case.create(folder / "case")
    assert case.ingest(evidence)["quarantined"].sum() == 0
    return case
