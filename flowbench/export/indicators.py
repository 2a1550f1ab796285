"""Indicators of compromise as CSV: what to search for and block, then the own assets concerned."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.investigate.indicators import INDICATORS, collect_indicators
from flowbench.text import escape_formula

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Findings


def to_csv(case: Case, findings: Findings) -> bytes:
    """Return the indicators of findings of high severity or above, with ``own_asset``."""
    found = collect_indicators(case, findings)
    found = found.sort_values(["own_asset", "type", "indicator"], kind="stable")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(INDICATORS.columns)
    for row in found[INDICATORS.columns].itertuples(index=False):
        writer.writerow([_cell(value) for value in row])
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if value is None or (not isinstance(value, str | bool) and pd.isna(value)):
        return ""
    return escape_formula(value) if isinstance(value, str) else str(value).lower()
