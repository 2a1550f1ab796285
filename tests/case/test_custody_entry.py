"""Lines of the custody log that somebody changed: values of another type are no entries."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.case import Case, custody, seal
from flowbench.case.custody_entry import parse_entry
from flowbench.case.verify import verify_folder
from flowbench.errors import FlowbenchError
from tests.traffic import T0, connect, make_case

VALUES = [None, 5, "x", [], {}, True, [1], ["x"], [{}], {"a": 1}, -1, 1e300, "\ud800"]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A case with entries of many actions, and these entries."""
    case = make_case(tmp_path_factory.mktemp("entries"), connect("10.0.0.5", "192.0.2.1", 22, T0))
    case.note("x", about="10.0.0.5")
    case.set_policy("countries: {prohibited: [KP]}\n")
    assert case.connections.count().execute() == 1
    seal.seal_case(case.path, case.log, "n")
    return case.path, [dict(entry) for entry in case.log.entries]


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in an entry, and the first two of each list."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for number in range(min(2, len(value))):
            yield from places(value[number], (*path, number))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_value_stops_the_verification(
    sealed: tuple[Path, list[dict[str, Any]]], data: st.DataObject
) -> None:
    path, entries = sealed
    changed = copy.deepcopy(entries)
    number = data.draw(st.integers(0, len(entries) - 1))
    *way, last = data.draw(st.sampled_from(list(places(entries[number]))[1:]))
    target: Any = changed[number]
    for key in way:
        target = target[key]
    target[last] = data.draw(st.sampled_from(VALUES))
    previous = custody.START
    for entry in changed:  # so that only the type is wrong
        entry["previous"] = previous
        entry["digest"] = previous = custody.entry_digest(entry)  # type: ignore[arg-type]
    lines = [json.dumps(entry, sort_keys=True, separators=(",", ":")) for entry in changed]
    (path / "custody.jsonl").write_text("".join(f"{line}\n" for line in lines))
    if changed != entries:
        assert not verify_folder(path)["ok"].all()
    with suppress(FlowbenchError):
        case = Case.open(path)
        assert len(case.info()) <= len(case.evidence)
        assert isinstance(case.notes, list)
        assert isinstance(case.policy, str | None)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        b'{"seq": true}',
        b'{"details": 1}',
    ],
)
def test_what_is_no_entry(line: bytes) -> None:
    assert parse_entry(line) is None


def test_an_undecodable_file_name_is_an_entry(sealed) -> None:
    entry = copy.deepcopy(sealed[1][1])
    entry["details"]["evidence"][0]["path"] = "/logs/\udcff.log"
    assert parse_entry(json.dumps(entry).encode()) == entry
