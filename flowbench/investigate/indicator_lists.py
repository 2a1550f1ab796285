"""Indicator lists as a hunt reads them: without loading them, and without the lines in error.

Lines without an indicator are skipped and reported, if the file has at least one indicator.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from flowbench.errors import InputError
from flowbench.io.discover import find_files
from flowbench.loaders import dispatch
from flowbench.loaders.base import QUARANTINE
from flowbench.loaders.evidence import UNKNOWN
from flowbench.loaders.intel.indicators import TABLE as INDICATORS
from flowbench.loaders.intel.list_columns import column_map
from flowbench.schema import Table, to_frame

UNREADABLE = Table.of(
    "unreadable",
    ("file", "string", "the list"),
    ("line", "int64", "its line, from 1; null for the whole file"),
    ("reason", "string", "why it cannot be read"),
    ("raw", "string", "its first 4,096 characters"),
)


def read_lists(
    paths: Iterable[Path], case_folder: Path, columns: Iterable[str] = ()
) -> tuple[pa.Table, pd.DataFrame]:
    """Read indicator lists without loading them.

    Args:
        paths: Files and folders. Other files in a folder are skipped and reported.
        case_folder: The case, which is left out of folders.
        columns: Names of the columns of CSV lists, as in ``Case.ingest``.

    Returns:
        The indicators (loaders.intel.indicators.TABLE), and what could not be read (UNREADABLE).

    Raises:
        InputError: A path is missing, unreadable or not an indicator list, no file in the folders
            is one, or ``columns`` is wrong.
    """
    names, paths = column_map(columns), list(paths)
    parts, unreadable = [INDICATORS.arrow.empty_table()], [UNREADABLE.rows([])]
    found, failed = find_files(paths, case_folder=case_folder)
    if failed:
        raise InputError(f"{failed[0][0]}: {failed[0][1]}")
    for path, name in found:
        indicators, skipped, kind = _read_list(path, name, names)
        if kind != "indicators":
            problem = "" if kind == UNKNOWN else f"it looks like {kind}"
            reason = f"not an indicator list: {_first_reason(skipped) or problem}"
            if path in paths:
                raise InputError(f"{name} is {reason}")
            skipped = UNREADABLE.rows([{"file": name, "reason": reason}])
        parts.append(indicators)
        unreadable.append(skipped)
    skipped = pa.concat_tables(unreadable)
    if len(parts) == 1 or (all(part.num_rows == 0 for part in parts) and skipped.num_rows):
        raise InputError(f"no indicator list: {_first_reason(skipped) or 'the folders are empty'}")
    return pa.concat_tables(parts), to_frame(skipped)


def _read_list(
    path: Path, name: str, columns: dispatch.ListColumns
) -> tuple[pa.Table, pa.Table, str]:
    """Return the indicators of a file, what cannot be read, and the file's kind."""
    try:
        evidence = dispatch.Evidence.of(path, name)
        tables = list(dispatch.read(evidence, list_columns=columns))
        if (
            evidence.kind == UNKNOWN and not columns
        ):  # its first lines are no indicators: perhaps later ones are
            by_line = list(dispatch.read(evidence, kind="indicators", list_columns=columns))
            if any(table == INDICATORS.name and rows.num_rows for table, rows in by_line):
                tables = by_line
            else:
                evidence.kind = UNKNOWN
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from None
    except dispatch.UnreadableError as error:
        raise InputError(f"{name} cannot be read: {error.reason}") from None
    return (
        _collect(tables, INDICATORS),
        _collect(tables, QUARANTINE).select(UNREADABLE.columns),
        evidence.kind,
    )


def _collect(tables: Iterable[tuple[str, pa.Table]], wanted: Table) -> pa.Table:
    rows = [
        rows.select(wanted.columns).cast(wanted.arrow)
        for name, rows in tables
        if name == wanted.name
    ]
    return pa.concat_tables([wanted.arrow.empty_table(), *rows])


def _first_reason(skipped: pa.Table) -> str:
    return next((reason for reason in skipped["reason"].to_pylist() if reason), "")
