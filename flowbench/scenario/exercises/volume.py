"""Usual traffic by the million: the flow logs of a fleet, computed in columns and streamed.

Connections are drawn slot by slot (see volume_kinds), and become records (volume_paths) and lines
(record_lines). A file has the records that end in its slot, as AWS's have.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flowbench.scenario import writer
from flowbench.scenario.daily_traffic import DAY
from flowbench.scenario.exercises.volume_kinds import Population, draw
from flowbench.scenario.exercises.volume_paths import Paths
from flowbench.scenario.network import Host, make_id
from flowbench.scenario.record_lines import LineWriter, Rows

Progress = Callable[[int, int, str], None]  # done, total, what is being done

_FILE = 200_000  # records of a file, about
_SHORTEST_SLOT, _LONGEST_SLOT = 300, writer.SLOT  # seconds of a file; AWS's is the shortest
_TRIAL = 20_000  # connections, whose records are counted
_NODATA = 0.03  # share of the windows without records that have a NODATA record
_SKIPDATA = 0.002  # share of the load balancer's windows that have a SKIPDATA record
_WORKERS = 2  # that format and compress: Arrow and zlib let other threads run meanwhile
_LEVEL = 1  # of compression, which takes most of the time


class Slot(NamedTuple):
    """The records of one file.

    Attributes:
        end: When the slot ends, in epoch seconds.
        rows: Its records.
        empty: Interface, start, end and status (NODATA, SKIPDATA) of the records without traffic.
    """

    end: int
    rows: Rows
    empty: list[tuple[int, int, int, str]]


def write(
    root: Path,
    hosts: Sequence[Host],
    seed: str,
    records: int,
    *,
    period: tuple[int, int],
    logged_until: float,
    version: int,
    window: int,
    progress: Progress | None = None,
) -> int:
    """Write the flow logs of a fleet, and return the number of records.

    Args:
        root: The folder of the evidence.
        hosts: The fleet.
        seed: Of the random choices.
        records: How many records there are to be, within a few per cent.
        period: Begin and end, in epoch seconds.
        logged_until: When the fleet's flow log was deleted.
        version: Of the records, one of record_format.FIELD_COUNTS.
        window: The aggregation interval in seconds.
        progress: Told of records written, records and what is done.
    """
    population = Population(hosts, records)
    lines = LineWriter(hosts, population.addresses, version)
    traffic = _Traffic(hosts, population, seed, records, period, window)
    done, waiting = 0, deque[Future[None]]()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for slot in traffic.slots(logged_until):
            done += len(slot.rows.at) + len(slot.empty)
            path = root / writer.flow_log_path(make_id("fl", seed, "fleet"), slot.end)
            waiting.append(pool.submit(_write_file, path, lines, slot, version))
            while len(waiting) > 2 * _WORKERS:  # few slots at a time are in memory
                waiting.popleft().result()
            if progress is not None:
                progress(min(done, records), records, "Writing flow log records")
        for each in waiting:
            each.result()
    return done


def _write_file(path: Path, lines: LineWriter, slot: Slot, version: int) -> None:
    if not len(slot.rows.at) and not slot.empty:
        return
    empty = "".join(lines.format_empty(*each) for each in slot.empty)
    text = f"{writer.header(version)}\n{empty}".encode() + lines.format(slot.rows)
    writer.write_gzip(path, text, level=_LEVEL)


class _Traffic:
    """The records of a fleet, slot by slot."""

    def __init__(
        self,
        hosts: Sequence[Host],
        population: Population,
        seed: str,
        records: int,
        period: tuple[int, int],
        window: int,
    ) -> None:
        self._seed = int.from_bytes(hashlib.sha256(f"{seed}/volume".encode()).digest()[:8])
        self._first, self._last = period
        self._window, self._hosts, self._population = window, hosts, population
        self._paths = Paths(hosts, population.primary, population.is_v6, self._first, window)
        length = (self._last - self._first) * _FILE // max(records, 1) // 300 * 300
        self._slot = min(max(length, _SHORTEST_SLOT), _LONGEST_SLOT)
        middles = np.arange(self._first, self._last, self._slot) + self._slot / 2
        load = 0.55 - 0.45 * np.cos((middles % DAY / DAY - 0.125) * 2 * np.pi)
        trial = draw(population, self._random(0), _TRIAL, self._first, self._slot)
        per_connection = len(self._paths.records(trial).at) / _TRIAL
        self._counts = (records / per_connection * load / load.sum()).astype(int)

    def _random(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, number])

    def slots(self, logged_until: float) -> Iterator[Slot]:
        """Yield the slots with a flow log; records that end after the period are left out."""
        later: list[Rows] = []  # records that end after their slot
        last = min(float(self._last), logged_until)
        for number, count in enumerate(self._counts):
            begin, rng = self._first + number * self._slot, self._random(number + 1)
            connections = draw(self._population, rng, int(count), begin, self._slot)
            rows = Rows.join([*later, self._paths.records(connections)])
            rows = rows.take((rows.start >= self._first) & (rows.end < last))
            is_late = rows.end >= begin + self._slot
            later, rows = [rows.take(is_late)], rows.take(~is_late)
            rows = rows.take(np.lexsort((rows.sport, rows.at, rows.end)))
            empty = self._empty(begin, min(begin + self._slot, int(last)), rows, rng)
            yield Slot(begin + self._slot, rows, empty)

    def _empty(
        self, begin: int, end: int, rows: Rows, rng: np.random.Generator
    ) -> list[tuple[int, int, int, str]]:
        """Return some windows that end in a slot: without records, or with records missing."""
        numbers = np.arange(len(self._hosts))
        most = max(end - begin, 0) // self._window + 1
        at = np.repeat(numbers, most)
        window = self._paths.window_of(at, np.full(len(at), float(begin)))
        window += np.tile(np.arange(most), len(numbers))
        start, stop = self._paths.bounds(at, window)
        is_in = (stop >= begin) & (stop < end) & (start >= self._first)
        busy = np.isin(at * 2**33 + stop, rows.at * 2**33 + rows.end)
        is_balancer = np.array([host.role == "alb" for host in self._hosts])[at]
        chance = rng.random(len(at))
        nodata = is_in & ~busy & (chance < _NODATA)
        skipdata = is_in & busy & is_balancer & (chance < _SKIPDATA)
        return [
            (
                int(at[row]),
                int(start[row]),
                int(stop[row]),
                "SKIPDATA" if skipdata[row] else "NODATA",
            )
            for row in np.flatnonzero(nodata | skipdata)
        ]
