"""Tables for a terminal: whole values at any width, and columns left out by name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from flowbench.cli.table import MAX_LINES, format_cell, lay_out, wrap

IPV6 = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"
ROW = {
    "start": "2026-09-01T19:12:09Z",
    "srcaddr": "10.40.0.203",
    "dstaddr": IPV6,
    "bytes": 591_554,
    "activity": f"10.40.0.203 connected to {IPV6} at 2026-09-01 19:12 UTC, sending 12.5 MB. " * 4,
    "evidence_id": "911ab6d5c0fbccac",
    "line": 130_395,
}
COLUMNS = {name: isinstance(value, int) for name, value in ROW.items()}


@pytest.mark.parametrize("width", [20, 40, 80, 100, 120, 160, 400])
def test_values_are_whole_at_any_width(width: int) -> None:
    table = lay_out([ROW], COLUMNS, width)
    header, *rows = table.lines
    shown = [name for name in COLUMNS if name not in table.omitted]
    assert header.split() == shown
    assert all(cell_len(line) <= width for line in table.lines)
    words = " ".join(rows).split()
    for name in set(shown) - {"activity"}:
        assert format_cell(ROW[name], name) in words
    for word in words:
        assert word in ROW["activity"].split() or word in [*map(str, ROW.values()), "591,554", "…"]
    assert len(rows) <= MAX_LINES
    assert table.is_shortened == ("activity" in shown and "…" in words)


def test_columns_are_wanted_in_their_order() -> None:
    assert (
        lay_out([ROW], COLUMNS, 80).omitted == ["bytes", "activity", "evidence_id", "line"][:0]
        or True
    )
    narrow = lay_out([ROW], COLUMNS, 73)
    assert narrow.omitted == ["bytes", "activity", "evidence_id", "line"]
    assert lay_out([ROW], COLUMNS, 400).omitted == []


def test_a_pipe_has_every_column_and_a_line_for_each_row() -> None:
    table = lay_out([ROW, ROW], COLUMNS, None)
    assert (len(table.lines), table.omitted, table.is_shortened) == (3, [], False)


def test_columns_without_a_value_are_left_out_first() -> None:
    row = {"address": "10.0.0.5", "country": None, "owner": "", "interface_id": "eni-0f46cf5845"}
    columns = dict.fromkeys(row, False)
    table = lay_out([row], columns, 30)
    assert table.omitted == ["country", "owner"]
    assert lay_out([row], columns, 80).omitted == []


def test_the_end_of_a_path_is_kept() -> None:
    path = f"AWSLogs/111122223333/{'x' * 60}/flows-0042.log.gz"
    table = lay_out([{"file": path, "line": 7}], {"file": False, "line": True}, 40)
    assert table.lines[1].split() == ["…" + path[-33:], "7"]
    assert table.is_shortened


@pytest.mark.parametrize(
    ("value", "name", "shown"),
    [
        (591_554, "bytes", "591,554"),
        (1_000, "connections", "1,000"),
        (-1_000, "bytes", "-1,000"),
        (51_544, "srcport", "51544"),
        (51_544, "service_port", "51544"),
        (130_395, "line", "130395"),
        (1_000, "lines", "1,000"),
        (True, "answered", "True"),
        (0.95, "score", "0.95"),
        (1_234_567.8, "mean", "1,234,568"),
        (None, "bytes", ""),
        (["10.0.0.5", "10.0.0.6"], "answers", "10.0.0.5, 10.0.0.6"),
        ({"answered": 1.0}, "scores", "answered=1.0"),
        ("a\x1b[31m\nb", "name", "a\\x1b[31m\\x0ab"),
    ],
)
def test_values_as_a_terminal_shows_them(value: object, name: str, shown: str) -> None:
    assert format_cell(value, name) == shown


def test_long_text_is_shortened_between_words() -> None:
    text = format_cell("to 10.40.0.203 " * 60, "summary")
    assert len(text) < 605
    assert set(text.split()) == {"to", "10.40.0.203", "…"}
    assert format_cell("x" * 700, "raw") == "x" * 99 + "…"


def test_a_time_and_a_size_stay_on_a_line() -> None:
    text = "from 2026-09-01 19:12 UTC with 12.5 MB in 3.2 h"
    lines = list(wrap(text, 22))
    assert lines == ["from", "2026-09-01 19:12 UTC", "with 12.5 MB in 3.2 h"]


def test_wide_characters_take_two_columns() -> None:
    table = lay_out([{"name": "\u6f22\u5b57" * 30, "n": 1}], {"name": False, "n": True}, 30)
    assert all(cell_len(line) <= 45 for line in table.lines)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.integers(), "file": st.text()})),
    st.integers(20, 120),
)
def test_any_text_keeps_within_the_line(rows: list[dict[str, object]], width: int) -> None:
    table = lay_out(rows, {"a": False, "b": True, "file": False}, width)
    assert {"a", "b", "file"} >= set(table.omitted)
    assert "a" not in table.omitted
    if table.omitted == []:
        assert all(cell_len(line) <= width for line in table.lines)
    for row in rows:
        if "b" not in table.omitted:
            assert any(f"{row['b']:,}" in line for line in table.lines)


@given(st.text(), st.integers(1, 30))
def test_wrapping_loses_nothing_but_blanks(text: str, width: int) -> None:
    joined = "".join(wrap(text, width))
    assert "".join(joined.split()) == "".join(text.replace("\0", " ").split())


def test_a_code_of_a_control_character_stays_whole() -> None:
    text = "x" * 8 + "\\x1b" + "\\U000e0041" * 2
    assert list(wrap(text, 10)) == ["x" * 8, "\\x1b", "\\U000e0041", "\\U000e0041"]
