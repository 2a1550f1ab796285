"""Answers: many spellings of one value, and values of another kind."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flowbench.errors import InputError
from flowbench.training.answers import digest, spell, spell_near, to_values


@pytest.mark.parametrize(
    ("kind", "answer", "spelled"),
    [
        ("address", " 10.0.0.5 ", "10.0.0.5"),
        ("address", "2001:DB8:0:0::1", "2001:db8::1"),
        ("address", "::ffff:10.0.0.5", "10.0.0.5"),
        ("address", ipaddress.ip_address("10.0.0.5"), "10.0.0.5"),
        ("name", "  Dev-Batch-3 ", "dev-batch-3"),
        ("name", "Pool.Example.", "pool.example"),
        ("name", "a \n b", "a b"),
        ("choice", "Allowed", "allowed"),
        ("number", "1,234,567", "1234567"),
        ("number", "1 234\u202f567", "1234567"),
        ("number", "1_234", "1234"),
        ("number", 1234, "1234"),
        ("number", np.int64(1234), "1234"),
        ("number", 1234.0, "1234"),
        ("number", Decimal("12.50"), "12.5"),
        ("number", -0.0, "-0"),
        ("number", pd.Timedelta("00:00:59"), "59"),
        ("time", "2026-09-01 00:00:05", "1788220805"),
        ("time", "2026-09-01T00:00:05Z", "1788220805"),
        ("time", "2026-09-01 02:00:05+02:00", "1788220805"),
        ("time", "2026-09-01 00:00:05 UTC", "1788220805"),
        ("time", datetime(2026, 9, 1, 0, 0, 5), "1788220805"),  # noqa: DTZ001  # UTC is assumed
        ("time", datetime(2026, 9, 1, 0, 0, 5, tzinfo=UTC), "1788220805"),
        ("time", pd.Timestamp("2026-09-01 00:00:05", tz="UTC"), "1788220805"),
        ("time", np.datetime64("2026-09-01T00:00:05"), "1788220805"),
    ],
)
def test_one_spelling(kind: str, answer: Any, spelled: str) -> None:
    assert spell(kind, answer) == spelled


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("address", "10.0.0.5:22"),
        ("address", 167772165),
        ("address", None),
        ("name", ""),
        ("name", 7),
        ("number", True),
        ("number", "1,5"),
        ("number", "12 s"),
        ("number", float("nan")),
        ("number", float("inf")),
        ("number", "9" * 299),
        ("number", []),
        ("time", "today"),
        ("time", "12:30"),
        ("time", "2026-13-01 00:00"),
        ("time", "9999-12-31 23:59:59 nonsense"),
        ("time", pd.NaT),
        ("time", 5),
        ("name", "x" * 301),
        ("name", {"a": 1}),
    ],
)
def test_other_kinds_are_refused(kind: str, answer: Any) -> None:
    with pytest.raises(InputError):
        spell(kind, answer)


def test_hostile_text_is_shown_as_text() -> None:
    with pytest.raises(InputError, match=r"'\\x1b\[2J\\n' is not an address, such as") as caught:
        spell("address", "\x1b[2J\n")
    assert "\x1b" not in str(caught.value)


def test_rounded_values_are_right_within_a_unit() -> None:
    assert spell_near("number", 125.27, 1) == ["125", "124", "126"]
    assert spell_near("number", 12_400, 1000) == ["12", "11", "13"]
    assert spell_near("time", "2026-09-02 02:05:12", 60)[0] == spell("time", "2026-09-02 02:05", 60)
    assert spell_near("number", "7") == ["7"]


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ("a, b;c\n", ["a", " b", "c"]),
        (["a", "b"], ["a", "b"]),
        (("a",), ["a"]),
        (pd.Series(["a", "b"]), ["a", "b"]),
        (np.array([1, 2]), [1, 2]),
        (7, [7]),
    ],
)
def test_values_of_a_set(answer: Any, values: list[Any]) -> None:
    assert to_values(answer) == values


def test_digests_differ_by_lesson_and_question() -> None:
    digests = {digest(*each, "7") for each in (("a", "b"), ("a", "c"), ("ab", ""), ("", "ab"))}
    assert len(digests) == 4
    assert digest("a", "b", "7") in digests
    assert all(len(each) == 32 for each in digests)
