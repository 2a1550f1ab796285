"""Kept positions of graph nodes: read again as written; what is damaged or hostile is left out."""

from __future__ import annotations

import json

import pytest

from flowbench.case import Case
from flowbench.case.positions import (
    FILE,
    MOST_NODES,
    Position,
    check_positions,
    read_positions,
    write_positions,
)


def test_positions_are_read_as_they_were_written(tmp_path) -> None:
    positions = {"10.0.0.5": Position(12.5, -3, True), "group:AS 64500": Position(0, 7)}
    write_positions(tmp_path, positions)
    assert read_positions(tmp_path) == positions
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_case_with_positions_verifies(tmp_path) -> None:
    case = Case.create(tmp_path / "case")
    head = case.log.head
    write_positions(case.path, {"10.0.0.5": Position(1, 2)})
    assert case.verify()["ok"].all()
    assert case.log.head == head


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"a": 1}', "\udcff"])
def test_damaged_files_have_no_positions(tmp_path, text) -> None:
    (tmp_path / FILE).write_text(text, errors="surrogateescape")
    assert read_positions(tmp_path) == {}


def test_what_is_no_position_is_left_out() -> None:
    content = json.loads(
        '{"a": [1, 2], "b": [1], "c": ["1", 2], "d": [NaN, 1], "e": [1e300, 1], "f": [true, 1],'
        ' "g": [1, 2, 3, 4], "h": null, "i": [3, 4, 1]}'
    )
    assert check_positions(content) == {"a": Position(1, 2), "i": Position(3, 4, True)}


def test_the_last_positions_are_kept(tmp_path) -> None:
    write_positions(tmp_path, {str(n): Position(n, 0) for n in range(MOST_NODES + 2)})
    kept = read_positions(tmp_path)
    assert len(kept) == MOST_NODES
    assert next(iter(kept)) == "2"


def test_a_case_that_cannot_be_written_is_no_error(tmp_path) -> None:
    write_positions(tmp_path / "missing", {"a": Position(1, 2)})
    assert read_positions(tmp_path / "missing") == {}


def test_a_link_to_a_device_is_not_read(tmp_path) -> None:
    (tmp_path / FILE).symlink_to("/dev/zero")
    assert read_positions(tmp_path) == {}
