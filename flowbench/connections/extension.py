"""Connections of a case to which records were added: the files that stay as they are.

A file of a period is kept if no record of its connections was added, and none of what is known
about its hosts changed. The last file is always made again, since it has all later connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import ibis
from ibis.backends.duckdb import Backend

from flowbench.connections import reopened
from flowbench.connections.facts import Facts, changes_old
from flowbench.connections.periods import Periods
from flowbench.io import atomic

KINDS = ("connections", "unclear", "summaries")  # of files, one for each period


class Before(NamedTuple):
    """What was built from a part of the records."""

    folder: Path
    old: ibis.Table  # the records that it was built from (schema.FLOWS)
    added: ibis.Table  # all other records


def count_kept(
    connection: Backend, before: Before, periods: Periods, facts: Facts, idle_timeout: int
) -> int:
    """Count the first periods whose files are still right.

    Args:
        connection: A DuckDB connection to work with.
        before: What was built before.
        periods: The periods of all records.
        facts: The facts from all records.
        idle_timeout: Seconds without a record after which a connection has ended.
    """
    kept = 0
    start = before.added.start.min().to_pyarrow().as_py()
    first = None if start is None else start.timestamp() - idle_timeout
    last = _names(before)[-1:]
    for number, name in enumerate(periods.names[:-1]):
        ends = periods.time(number + 1).timestamp()
        paths = [before.folder / f"{kind}-{name}.parquet" for kind in KINDS]
        if [name] == last or not all(path.exists() for path in paths):
            break
        if first is not None and ends > first:
            break
        kept = number + 1
    if kept and changes_old(connection, facts, before.folder, before.old):
        return 0
    return kept


def keep_files(before: Path, folder: Path, names: Iterable[str]) -> None:
    """Link the files of some periods into a folder, or copy them where links are not possible."""
    for name in names:
        for kind in KINDS:
            file = f"{kind}-{name}.parquet"
            atomic.link_file(before / file, folder / file)


def find_reopened(connection: Backend, before: Before, periods: Periods, first: int) -> ibis.Table:
    """Find the connections that are made again, but began before that (reopened.find_reopened)."""
    time = periods.time(first)
    names = [name for name in _names(before) if name >= periods.names[first]]
    return reopened.find_reopened(connection, before.folder, names, time)


def _names(before: Before) -> list[str]:
    """The names of the periods that were built before, in order."""
    files = sorted(before.folder.glob("summaries-*.parquet"))
    return [file.stem.partition("-")[2] for file in files]
