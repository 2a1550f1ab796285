"""Tables of playbooks as HTML: whole texts, UTC times without a zone, how many rows are left out.

pandas cuts texts at 50 characters, so that the files of all records look alike, and repeats the
zone in every time.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from flowbench.text import escape_controls

_LEFT = "text-align:left;vertical-align:top"
_RIGHT = "text-align:right;vertical-align:top"
_SENTENCE = 60  # characters from which a text needs room
_WORD, _PATH = 24, 60  # characters from which a word may be broken: an id; a path
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_NAMES = ("port", "line", "protocol", "version")  # ends of columns whose numbers are no amounts


@dataclass(frozen=True, repr=False)
class ShownTable:
    """A table for a notebook, with its first rows and a sentence; all text is escaped.

    Attributes:
        frame: The whole table.
        most: How many rows are shown.
        empty: The sentence that stands in place of a table without rows.
    """

    frame: pd.DataFrame
    most: int
    empty: str

    @property
    def caption(self) -> str:
        """How many rows there are, where not all are shown."""
        rows = len(self.frame)
        return f"The first {self.most:,} of {rows:,} rows." if rows > self.most else ""

    def __repr__(self) -> str:
        return self.empty if self.frame.empty else f"{self._texts().to_string()}\n{self.caption}"

    def _repr_html_(self) -> str:
        if self.frame.empty:
            return f"<p>{_escape(self.empty)}</p>"
        shown, texts = self.frame.head(self.most), self._texts()
        styles = [_RIGHT if _is_number(shown[name]) else _LEFT for name in shown]
        head = "".join(
            f"<th scope='col' style='{style}'>{_escape(name)}</th>"
            for name, style in zip(texts, styles, strict=True)
        )
        rows = "".join(
            f"<tr>{''.join(map(_cell, row, styles))}</tr>" for row in texts.itertuples(index=False)
        )
        caption = f"<caption>{self.caption}</caption>" if self.caption else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _texts(self) -> pd.DataFrame:
        """The rows that are shown, as text; times are UTC, which the names of columns say."""
        shown = self.frame.head(self.most)
        columns = {}
        for name in shown:
            is_name = str(name).endswith(_NAMES)
            values = [_format(value, is_name=is_name) for value in shown[name]]
            title = escape_controls(name)
            columns[f"{title} (UTC)" if _is_time(shown[name]) else title] = values
        return pd.DataFrame(columns, dtype=object)


def show(frame: pd.DataFrame, most: int = 20, empty: str = "None.") -> ShownTable:
    """Return a table as a notebook shows it: without index, texts whole, missing values empty.

    Args:
        frame: The table; its times are UTC, with or without a zone.
        most: How many rows are shown; if there are more, the caption says how many.
        empty: The sentence that is shown where there are no rows.
    """
    return ShownTable(frame, most, empty)


def _cell(text: str, style: str) -> str:
    longest = max(map(len, text.split()), default=0)
    if longest > _WORD:
        style += f";overflow-wrap:anywhere;min-width:{18 if longest > _PATH else 10}em"
    elif len(text) > _SENTENCE:
        style += ";min-width:20em"
    shown = _escape(text)
    if _TIME.fullmatch(text):  # a date is not broken at its hyphens
        shown = " ".join(f"<span style='white-space:nowrap'>{part}</span>" for part in text.split())
    return f"<td style='{style}'>{shown}</td>"


def _format(value: object, *, is_name: bool) -> str:
    if isinstance(value, list | tuple | set | np.ndarray):
        return ", ".join(map(escape_controls, value))
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float) and is_name and value.is_integer():  # a port beside missing ones
        return str(int(value))
    if isinstance(value, bool | np.bool_) or is_name:
        return escape_controls(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return f"{value:z,.3f}".rstrip("0").rstrip(".")
    return escape_controls(value)


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _is_time(values: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(values)


def _escape(value: object) -> str:
    return html.escape(escape_controls(value))
