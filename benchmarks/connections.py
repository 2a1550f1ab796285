"""Initiator rules: how often each decides who opened a connection, and how often it is wrong.

    python benchmarks/connections.py [--samples FOLDER]

The Winterday scenario knows the initiator of each connection. Its records are written with all
fields and with those of version 2 only (no flags), in capture windows of 60 s and of 600 s,
complete and incomplete: every other record is lost, as in a log of some interfaces only. FOLDER has
labelled samples (scans with flow log records and labels.csv).

Prints two tables. The first has the rules in their order: the share of the connections that each
decides, and how often it is wrong. The second has each rule alone on all connections to which it
applies, and rules that are not in use.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import ibis
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from flowbench import engine
from flowbench.case import Case
from flowbench.connections.facts import find_facts
from flowbench.connections.initiator import initiator_rules, with_ownership
from flowbench.connections.periods import find_periods
from flowbench.connections.sessions import join_records
from flowbench.connections.staging import select_records, stage_records
from flowbench.connections.tables import IDLE_TIMEOUT
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import own_addresses
from flowbench.scenario.daily_traffic import DailyTraffic
from flowbench.scenario.network import Network, build
from flowbench.scenario.record_format import FIELDS
from flowbench.scenario.traffic import Connection, FlowLogger
from flowbench.scenario.winterday import _incident
from flowbench.scenario.winterday_facts import FIRST, LAST, MINER
from flowbench.schema import DEFAULT_FORMAT


class SlowLogger(FlowLogger):
    """A logger with windows of ten minutes."""

    def window(self, interface: str, time: float) -> int:  # noqa: ARG002
        """Return the number of a capture window."""
        return int((time - self.first) // 600)

    def bounds(self, interface: str, window: int) -> tuple[int, int]:  # noqa: ARG002
        """Return start and end of a capture window."""
        return self.first + 600 * window, self.first + 600 * window + 599


def main() -> None:
    """Measure, and print the tables as Markdown."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--samples", type=Path, help="folder of the labelled samples")
    arguments = options.parse_args()
    frames = {}
    for seconds, logger in ((60, FlowLogger), (600, SlowLogger)):
        lines, truth = _winterday(logger)
        rng = random.Random(1)
        incomplete = [line for line in lines if rng.random() < 0.5]
        for fields in ("v5", "v2"):
            for name, kept in (("", lines), (" incomplete", incomplete)):
                frames[f"{fields} {seconds} s{name}"] = _judged(kept, fields, truth)
    if arguments.samples:
        for folder in sorted(p.parent for p in arguments.samples.glob("*/labels.csv")):
            for fields in ("v5", "v2"):
                lines, truth = _labelled(folder)
                frames[f"{folder.name} {fields}"] = _judged(lines, fields, truth)
    print("In their order: share decided, share wrong\n")
    _print({name: _in_order(frame) for name, frame in frames.items()})
    print("\nEach rule alone: share to which it applies, share wrong\n")
    _print({name: _alone(frame) for name, frame in frames.items()})


def _winterday(make: type[FlowLogger]) -> tuple[list[list[str]], dict[frozenset, str]]:
    """Return Winterday's records, and the initiator for each pair of ends (NAT gateways' too)."""
    initial_network = build()
    network = Network([*initial_network.hosts, MINER])
    logger = make(network, FIRST)
    connections = [
        *DailyTraffic(initial_network, logger, FIRST, LAST, "benchmark").connections(),
        *_incident(network, logger, random.Random(1)),
    ]
    truth: dict[frozenset, str] = {}
    lines = []
    for connection in connections:
        for record in logger.records(connection):
            columns = record.text.split(" ")
            lines.append(columns)
            src, dst = columns[19], columns[20]
            truth[_ends(src, columns[5], dst, columns[6])] = _initiator(connection, src, dst)
    return lines, truth


def _initiator(x: Connection, src: str, dst: str) -> str:
    """Return the initiator that a record shows: at a NAT gateway, perhaps the gateway."""
    return x.initiator if x.initiator in (src, dst) else dst if src == x.responder else src


def _labelled(folder: Path) -> tuple[list[list[str]], dict[frozenset, str]]:
    """Return the records of a labelled sample, and the initiators by its labels."""
    import gzip

    with gzip.open(folder / "flow.log.gz", "rt") as file:
        lines = [line.split() for line in file][1:]
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    named = {(frozenset((r["src"], r["dst"])), r["proto"]): r["src"] for r in rows}
    truth = {}
    for columns in lines:
        pair = frozenset((columns[3], columns[4])), columns[7]
        if pair in named and columns[3] != columns[4]:
            truth[_ends(columns[3], columns[5], columns[4], columns[6])] = named[pair]
    return lines, truth


def _ends(here: str, here_port: object, there: str, there_port: object) -> frozenset:
    return frozenset(((here, int(str(here_port))), (there, int(str(there_port)))))


def _judged(lines: list[list[str]], fields: str, truth: dict[frozenset, str]) -> pd.DataFrame:
    """Return a row per connection: whether the low end is the initiator, by each rule and truth."""
    names = FIELDS.split()
    chosen = names if fields == "v5" else [name.replace("_", "-") for name in DEFAULT_FORMAT]
    places = [names.index(name) for name in chosen]
    text = [" ".join(chosen), *(" ".join(line[i] for i in places) for line in lines)]

    def apply_rules(rows: ibis.Table) -> dict[str, ibis.Value]:
        rules = enumerate([*initiator_rules(rows), *_others(rows)])
        return {
            f"{number:02} {name}": ibis.cases((when, low)) for number, (when, low, name) in rules
        }

    frame = with_both_ends(text, apply_rules)
    initiators = [
        truth.get(_ends(r.low_address, r.low_port, r.high_address, r.high_port))
        for r in frame.itertuples()
    ]
    frame["truth"] = [
        None if initiator is None else initiator == low
        for initiator, low in zip(initiators, frame["low_address"], strict=True)
    ]
    return frame[frame["truth"].notna()].astype({"truth": bool})


def with_both_ends(
    text: list[str], make_columns: Callable[[ibis.Table], dict[str, ibis.Value]]
) -> pd.DataFrame:
    """Return the connections of a flow log before their initiator is chosen, with extra columns.

    Their ends are low_address, low_port, high_address, high_port.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "flows.log").write_text("\n".join(text) + "\n")
        case = Case.create(root / "case")
        case.ingest(root / "flows.log")
        backend = case._connection
        inventory = Inventory(case.interfaces)
        own = own_addresses(backend, case.flows, inventory.interfaces)
        records = select_records(case.flows)
        facts = find_facts(backend, case.flows, records, inventory, own)
        periods = find_periods(backend, records, 10**9)
        staged = stage_records(backend, records, inventory, facts, periods, root / "parts")
        records = engine.read_parquet(backend, staged.parts[0])
        with join_records(backend, records, staged.own, IDLE_TIMEOUT) as joint:
            rows = with_ownership(joint)
            found = rows.mutate(**make_columns(rows))
            for end in ("low", "high"):
                known = staged.addresses.select(**{end: "id", f"{end}_address": "address"})
                found = found.join(known, end)
            found = found.order_by("low_address", "low_port", "high_address")
            return backend.to_pyarrow(found).to_pandas()


def _others(c: ibis.Table) -> Iterable[tuple[ibis.Value, ibis.Value, str]]:
    """Yield the rules that are not in use."""
    yield c.bytes_up != c.bytes_down, c.bytes_up < c.bytes_down, "(fewer bytes)"


def _names(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name[:2].isdigit()]


def _in_order(frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return, for each rule in use, the share that it decides and how much of it is wrong."""
    left, found = frame, {}
    for name in _names(frame):
        if "(" in name:
            continue
        decided = left[left[name].notna()]
        left = left[left[name].isna()]
        _count(found, name[3:], decided[name].astype(bool), decided["truth"], len(frame))
    wrong = sum(share * error for share, error in found.values())
    return found | {"all": (1.0, wrong)}


def _alone(frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return, for each rule, the share to which it applies and how much of it is wrong."""
    found: dict[str, tuple[float, float]] = {}
    for name in dict.fromkeys(name[3:] for name in _names(frame)):
        columns = [column for column in _names(frame) if column[3:] == name]
        verdict = frame[columns].bfill(axis=1).iloc[:, 0]
        decided = verdict.notna()
        _count(found, name, verdict[decided].astype(bool), frame["truth"][decided], len(frame))
    return found


def _count(
    found: dict[str, tuple[float, float]],
    name: str,
    verdict: pd.Series,
    truth: pd.Series,
    total: int,
) -> None:
    before, error = found.get(name, (0.0, 0.0))
    wrong = before * error + float((verdict != truth).sum()) / max(total, 1)
    share = before + len(verdict) / max(total, 1)
    found[name] = (share, wrong / share if share else 0.0)


def _print(columns: dict[str, dict[str, tuple[float, float]]]) -> None:
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    print(f"| rule | {' | '.join(columns)} |")
    print("|---|" + "---|" * len(columns))
    for name in names:
        cells = []
        for column in columns.values():
            share, wrong = column.get(name, (0.0, 0.0))
            cells.append(f"{share:.1%}, {wrong:.2%}" if share else "–")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
