"""Does the case still say what was loaded: evidence, tables and custody log against digests."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from flowbench import custody
from flowbench.load.stream import digest

COLUMNS = ["what", "name", "ok", "detail"]


def check(path: Path, log: custody.Log) -> pd.DataFrame:
    """Every evidence file, every table part and the log itself, compared with what was recorded.

    Columns: what ('evidence', 'table', 'custody'), name, ok, detail (what no longer matches).
    """
    rows = [
        ("evidence", entry["file"], *_same(path / entry["path"], entry["sha256"], entry["size"]))
        for entry in log.evidence
    ]
    rows += [
        (
            "table",
            part["file"],
            *_same(path / "tables" / part["file"], part["sha256"], part["bytes"]),
        )
        for part in log.parts
    ]
    named = {part["file"] for part in log.parts}
    rows += [
        ("table", name, False, "no entry of the custody log names it")
        for file in sorted((path / "tables").glob("*/*.parquet"))
        if (name := file.relative_to(path / "tables").as_posix()) not in named
    ]
    problems = log.check()
    rows += [("custody", "custody.jsonl", False, problem) for problem in problems]
    if not problems:
        count = len(log.entries)
        rows.append(("custody", "custody.jsonl", True, f"{count} entries, head {log.head}"))
    return pd.DataFrame(rows, columns=COLUMNS)


def _same(path: Path, sha256: str, size: int) -> tuple[bool, str]:
    try:
        now, bytes_now = digest(path)
    except FileNotFoundError:
        return False, f"missing: {path}"
    except OSError as error:
        return False, f"cannot be read: {error.strerror}"
    if now == sha256:
        return True, ""
    grown = f"{size:,} bytes when loaded, {bytes_now:,} now" if bytes_now != size else "same size"
    return False, f"changed since it was loaded ({grown}): SHA-256 was {sha256}, is {now}"
