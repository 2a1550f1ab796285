"""Values out of JSON: a struct as Athena writes it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.loaders.values import struct


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{type=Root, arn=null}", {"type": "Root", "arn": None}),
        ("{a={b=[x, y z], c={}}, d=}", {"a": {"b": ["x", "y z"], "c": {}}, "d": ""}),
        ("[{arn=a:b/c,d=e}, {arn=f}]", [{"arn": "a:b/c,d=e"}, {"arn": "f"}]),
        ("[]", []),
        ("{agent=aws-cli/2, exe, done=1}", {"agent": "aws-cli/2, exe", "done": "1"}),
        *((text, None) for text in ("", "x", "{", "{a", "{a=1", "{a=1}}", "{a=1]", "[1,2", "{1=2}",
                                    "{a=b{c}", "{" * 9999, "[" * 9999, "{a=" * 9999, '{"a": 1}')),
    ],
)  # fmt: skip
def test_structs(text, value) -> None:
    assert struct(text) == value


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


def spelt(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={spelt(inside)}" for name, inside in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spelt, value)) + "]"
    return "null" if value is None else value


@given(nested.filter(lambda value: isinstance(value, dict | list)))
def test_what_is_written_is_read(value) -> None:
    assert struct(spelt(value)) == value


@given(st.text("{}[]=, ab", max_size=30))
def test_nothing_stops_it(text) -> None:
    struct(text)
