"""Who opened a connection: how often each rule decides, and how often it is wrong.

    python benchmarks/connections.py [--samples FOLDER]

The truth is the generator's: the Winterday scenario knows who opened every exchange. Its records
are written with all fields and with those of version 2 only (no flags), with windows of 60 s and of
600 s, whole and torn: a record in two is lost, as in a log that covers some interfaces only or was
cut. FOLDER is that of the labelled samples (scans with flow log records and labels.csv).

Prints two tables. In the first the rules stand in their order: what share of the connections each
decides, and how often it is wrong. In the second each rule alone judges all that it can, and so do
rules that are not in use, which shows what they would be worth.
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
from flowbench.connections.initiator import rules, with_inside
from flowbench.connections.sessions import joined
from flowbench.connections.staging import stage
from flowbench.connections.tables import IDLE
from flowbench.scenario.daily_traffic import Ordinary
from flowbench.scenario.network import Estate, build
from flowbench.scenario.traffic import FIELDS, Exchange, Logger
from flowbench.scenario.winterday import MINER, _story
from flowbench.scenario.winterday_facts import FIRST, LAST
from flowbench.schema import DEFAULT_FORMAT


class SlowLogger(Logger):
    """A logger with windows of ten minutes."""

    def window(self, interface: str, moment: float) -> int:  # noqa: ARG002
        """Which of an interface's windows a moment falls in."""
        return int((moment - self.first) // 600)

    def bounds(self, interface: str, window: int) -> tuple[int, int]:  # noqa: ARG002
        """Start and end of a window."""
        return self.first + 600 * window, self.first + 600 * window + 599


def main() -> None:
    """Measure, and print the tables as Markdown."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--samples", type=Path, help="folder of the labelled samples")
    given = options.parse_args()
    frames = {}
    for seconds, logger in ((60, Logger), (600, SlowLogger)):
        lines, truth = _winterday(logger)
        chance = random.Random(1)
        torn = [line for line in lines if chance.random() < 0.5]
        for fields in ("v5", "v2"):
            for name, kept in (("", lines), (" torn", torn)):
                frames[f"{fields} {seconds} s{name}"] = _judged(kept, fields, truth)
    if given.samples:
        for folder in sorted(p.parent for p in given.samples.glob("*/labels.csv")):
            for fields in ("v5", "v2"):
                lines, truth = _labelled(folder)
                frames[f"{folder.name} {fields}"] = _judged(lines, fields, truth)
    print("In their order: decided, wrong\n")
    _print({name: _in_order(frame) for name, frame in frames.items()})
    print("\nEach alone on everything: can judge, wrong\n")
    _print({name: _alone(frame) for name, frame in frames.items()})


def _winterday(make: type[Logger]) -> tuple[list[list[str]], dict[frozenset, str]]:
    """The records of Winterday, and the initiator for each two ends (NAT gateways' own too)."""
    before = build()
    estate = Estate([*before.hosts, MINER])
    logger = make(estate, FIRST)
    exchanges = [
        *Ordinary(before, logger, FIRST, LAST, "benchmark").exchanges(),
        *_story(estate, logger, random.Random(1)),
    ]
    truth: dict[frozenset, str] = {}
    lines = []
    for x in exchanges:
        for line in logger.records(x):
            columns = line.text.split(" ")
            lines.append(columns)
            src, dst = columns[19], columns[20]
            truth[_ends(src, columns[5], dst, columns[6])] = _opened(x, src, dst)
    return lines, truth


def _opened(x: Exchange, src: str, dst: str) -> str:
    """Who opened what a record of an exchange shows: at a NAT gateway, perhaps the gateway."""
    return x.initiator if x.initiator in (src, dst) else dst if src == x.responder else src


def _labelled(folder: Path) -> tuple[list[list[str]], dict[frozenset, str]]:
    """The records of a labelled sample; who sent first is the initiator."""
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
    """A row per connection: what each rule says of the low end (or None), and the truth."""
    names = FIELDS.split()
    chosen = names if fields == "v5" else [name.replace("_", "-") for name in DEFAULT_FORMAT]
    places = [names.index(name) for name in chosen]
    text = [" ".join(chosen), *(" ".join(line[i] for i in places) for line in lines)]

    def said(rows: ibis.Table) -> dict[str, ibis.Value]:
        told = enumerate([*rules(rows), *_others(rows)])
        return {f"{place:02} {name}": ibis.cases((when, low)) for place, (when, low, name) in told}

    frame = with_both_ends(text, said)
    opened = [
        truth.get(_ends(r.low_address, r.low_port, r.high_address, r.high_port))
        for r in frame.itertuples()
    ]
    frame["truth"] = [
        None if who is None else who == low
        for who, low in zip(opened, frame["low_address"], strict=True)
    ]
    return frame[frame["truth"].notna()].astype({"truth": bool})


def with_both_ends(
    text: list[str], say: Callable[[ibis.Table], dict[str, ibis.Value]]
) -> pd.DataFrame:
    """The connections in a flow log's lines, not yet oriented, with columns that ``say`` makes.

    Their ends are low_address, low_port, high_address, high_port.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "flows.log").write_text("\n".join(text) + "\n")
        case = Case.create(root / "case")
        case.ingest(root / "flows.log")
        backend = case._connection
        staged = stage(backend, case.flows, case.interfaces, root / "parts", 10**9)
        records = engine.load(backend, staged.parts[0])
        with joined(backend, records, staged.own, IDLE) as joint:
            rows = with_inside(joint, staged.addresses)
            found = rows.mutate(**say(rows))
            for end in ("low", "high"):
                known = staged.addresses.select(**{end: "id", f"{end}_address": "address"})
                found = found.join(known, end)
            return found.order_by("low_address", "low_port", "high_address").to_pandas()


def _others(c: ibis.Table) -> Iterable[tuple[ibis.Value, ibis.Value, str]]:
    """Rules that are not in use."""
    yield c.bytes_up != c.bytes_down, c.bytes_up < c.bytes_down, "(fewer bytes)"


def _names(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name[:2].isdigit()]


def _in_order(frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """For each rule in use: share that it decides, share of that which is wrong."""
    left, found = frame, {}
    for name in _names(frame):
        if "(" in name:
            continue
        mine = left[left[name].notna()]
        left = left[left[name].isna()]
        _count(found, name[3:], mine[name].astype(bool), mine["truth"], len(frame))
    wrong = sum(share * error for share, error in found.values())
    return found | {"all": (1.0, wrong)}


def _alone(frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """For each rule: share that it can judge, share of that which is wrong."""
    found: dict[str, tuple[float, float]] = {}
    for name in dict.fromkeys(name[3:] for name in _names(frame)):
        columns = [column for column in _names(frame) if column[3:] == name]
        said = frame[columns].bfill(axis=1).iloc[:, 0]
        mine = said.notna()
        _count(found, name, said[mine].astype(bool), frame["truth"][mine], len(frame))
    return found


def _count(
    found: dict[str, tuple[float, float]], name: str, said: pd.Series, truth: pd.Series, total: int
) -> None:
    before, error = found.get(name, (0.0, 0.0))
    wrong = before * error + float((said != truth).sum()) / max(total, 1)
    share = before + len(said) / max(total, 1)
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
