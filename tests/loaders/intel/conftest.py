"""Feeds from the file to their rows, for the tests of each feed format."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowbench.loaders import dispatch

_COLUMNS = ("indicator", "type", "kind", "feed", "confidence", "valid_from", "valid_until", "port")

Load = Callable[..., tuple[list[dict[str, Any]], list[str]]]


def load_file(path: Path) -> tuple[list[dict[str, Any]], list[str], str]:
    """Return rows (values that are not null), reasons in quarantine, and the kind of a file."""
    evidence = dispatch.Evidence.of(path, path.name)
    rows: list[dict[str, Any]] = []
    reasons: list[str] = []
    for name, table in dispatch.read(evidence):
        if name == "quarantine":
            reasons += table["reason"].to_pylist()
        else:
            assert name == "indicators"
            rows += table.to_pylist()
    names = (*_COLUMNS, "description")
    rows = [{name: row[name] for name in names if row[name] is not None} for row in rows]
    return rows, reasons, evidence.kind


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a file with this content (JSON unless it is text): rows and reasons in quarantine."""

    def load_content(
        content: object, name: str = "a.file"
    ) -> tuple[list[dict[str, Any]], list[str]]:
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        rows, reasons, kind = load_file(path)
        assert kind == "indicators"
        return rows, reasons

    return load_content


def utc(month: int, day: int, *clock: int) -> datetime:
    """Return a time in 2026."""
    return datetime(2026, month, day, *clock, tzinfo=UTC)
