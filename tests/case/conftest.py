"""A small case, and flow logs to read into it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from flowbench.case import Case

HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status"
)


def record(number: int, *, action: str = "ACCEPT") -> str:
    start = 1788232200 + 60 * (number % 300)
    return (
        f"2 123456789012 eni-0a 10.0.1.10 198.51.100.{number % 200} {1024 + number % 60000} 443 6"
        f" 3 {1000 + number} {start} {start + 59} {action} OK"
    )


def write_log(path: Path, numbers: range) -> Path:
    text = "\n".join([HEADER, *map(record, numbers), ""])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for n in range(6):
        write_log(tmp_path / "logs" / f"{n}.log.gz", range(n * 100, n * 100 + 100))
    return tmp_path / "logs"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case")


def table_bytes(case: Path) -> dict[str, bytes]:
    tables = case / "tables"
    return {p.relative_to(tables).as_posix(): p.read_bytes() for p in tables.glob("*/*")}
