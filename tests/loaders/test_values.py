"""Values of JSON converted to column types, and structs as Athena writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.loaders import values
from flowbench.loaders.values import parse_struct


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{type=Root, arn=null}", {"type": "Root", "arn": None}),
        ("{a={b=[x, y z], c={}}, d=}", {"a": {"b": ["x", "y z"], "c": {}}, "d": ""}),
        ("[{arn=a:b/c,d=e}, {arn=f}]", [{"arn": "a:b/c,d=e"}, {"arn": "f"}]),
        ("[]", []),
        ("{agent=aws-cli/2, exe, done=1}", {"agent": "aws-cli/2, exe", "done": "1"}),
        *(
            (text, None)
            for text in (
                "",
                "x",
                "{",
                "{a",
                "{a=1",
                "{a=1}}",
                "{a=1]",
                "[1,2",
                "{1=2}",
                "{a=b{c}",
                "{" * 9999,
                "[" * 9999,
                "{a=" * 9999,
                '{"a": 1}',
            )
        ),
    ],
)
def test_structs(text, value) -> None:
    assert parse_struct(text) == value


words = st.from_regex(r"[a-z0-9:/.@=+_-]{0,9}", fullmatch=True).filter(lambda word: word != "null")
nested = st.recursive(
    st.none() | words.filter(bool),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.from_regex(r"[a-z_]\w{0,5}", fullmatch=True).filter(str.isascii), inner
        )
    ),
    max_leaves=8,
)


def as_struct_text(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{name}={as_struct_text(inner)}" for name, inner in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(as_struct_text, value)) + "]"
    return "null" if value is None else value


@given(nested.filter(lambda value: isinstance(value, dict | list)))
def test_written_structs_are_parsed(value) -> None:
    assert parse_struct(as_struct_text(value)) == value


@given(st.text("{}[]=, ab", max_size=30))
def test_any_text_is_survived(text) -> None:
    parse_struct(text)


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (values.text, "a", "a"),
        (values.text, 123456789012, "123456789012"),
        (values.text, "a\0b", "a\ufffdb"),
        (values.text, "", None),
        (values.text, True, None),
        (values.text, 1 << 64, None),
        (values.integer, " 7 ", 7),
        (values.integer, 7.0, 7),
        (values.integer, 7.5, None),
        (values.integer, True, None),
        (values.integer, "9" * 20, None),
        (values.integer, float("inf"), None),
        (values.port, 65_535, 65_535),
        (values.port, 65_536, None),
        (values.port, -1, None),
        (values.number, 1, 1.0),
        (values.number, float("nan"), None),
        (values.number, 10**400, None),
        (values.number, "1", None),
        (values.flag, "True", True),
        (values.flag, "no", None),
        (values.flag, 1, None),
        (values.address, " 10.0.0.1 ", "10.0.0.1"),
        (values.address, "2600:1F18:0:0::1", "2600:1f18::1"),
        (values.address, "fe80::1%eth0", None),
        (values.address, "10.0.0.256", None),
        (values.address, 167772161, None),
        (values.domain, "Example.COM.", "example.com"),
        (values.domain, ".", "."),
        (values.domain, "", None),
        (values.parse_json, "[1]", [1]),
        (values.parse_json, "[" * 100_000, None),
        (values.parse_json, 5, None),
    ],
)
def test_conversions(function, value, expected) -> None:
    assert function(value) == expected
    assert type(function(value)) is type(expected)


MOMENT = datetime(2026, 9, 1, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-09-01T03:10:00Z", MOMENT),
        ("2026-09-01 03:10:00", MOMENT),
        ("2026-09-01T05:10:00+02:00", MOMENT),
        (1_788_232_200, MOMENT),
        ("1788232200000", MOMENT),
        (1_788_232_200.0, MOMENT),
        (
            {"__class__": "datetime", "year": 2026, "month": 9, "day": 1, "hour": 3, "minute": 10},
            MOMENT,
        ),
        ({"__class__": "datetime", "year": "x"}, None),
        ("20260901", None),
        ("2026-02-30", None),
        ("yesterday", None),
        (float("nan"), None),
        (10**30, None),
        (True, None),
        (None, None),
        ("9/1/2026, 3:10:00.125 AM", datetime(2026, 9, 1, 3, 10, 0, 125_000, UTC)),
        ("12/31/2026 12:00:00\u202fPM", datetime(2026, 12, 31, 12, tzinfo=UTC)),
        ("31/12/2026, 12:00:00 PM", None),
        ("9/1/2026, 13:00:00 PM", None),
        ("9/1/2026, 3:10:00", None),
    ],
)
def test_times(value, expected) -> None:
    assert values.time(value) == expected


def test_paths_lists_and_distinct_values() -> None:
    value = {"Vpc": {"id": 1, "Id": 2}, "tags": {"items": [1, 2]}}
    assert values.pick(value, "vpc", "id") == 1
    assert values.pick(value, "vpc", "name") is None
    assert values.pick([value], "vpc") is None
    assert values.items(value["tags"]) == values.items({"item": [1, 2]}) == [1, 2]
    assert (values.items("a"), values.items(None), values.items({})) == (["a"], [], [])
    assert values.unique(["b", None, "a", "", "b"]) == ["b", "a"]


def test_values_in_messages_are_short_and_storable() -> None:
    assert values.abbreviate("a\nb") == "'a\\nb'"
    assert len(values.abbreviate("x" * 1000)) == 60
    assert values.abbreviate("x" * 1000).endswith("…")
    assert "\0" not in values.abbreviate("\0\ud800")
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert values.abbreviate(nested) == "a list"
