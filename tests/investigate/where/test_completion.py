"""Completion of filter expressions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.investigate.where.completion import complete
from flowbench.investigate.where.parser import parse

KNOWN = {"tag:": ["env", "cost center"], "vpc": ["vpc-0aaa"], "name": ['a "b"']}


@pytest.mark.parametrize(
    ("text", "words", "start"),
    [
        ("pro", ["proto"], 0),
        ("not pro", ["proto"], 4),
        ("src.v", ["src.vpc"], 0),
        ("tag:c", ['tag:"cost center"', 'src.tag:"cost center"', 'dst.tag:"cost center"'], 0),
        ("bytes ", ["=", "!=", "in", "not in", "<", "<=", ">", ">="], 6),
        ("rejected ", ["=", "!=", "and", "or"], 9),
        ("rejected a", ["and"], 9),
        ("direction = in", ["inbound", "internal"], 12),
        ("vpc not in ", ["vpc-0aaa"], 11),
        ("src.vpc = ", ["vpc-0aaa"], 10),
        ("name = ", ['"a \\"b\\""'], 7),
        ("proto in (tcp", ["tcp"], 10),
        ("proto in (tcp ", [",", ")"], 14),
        ("proto in (tcp, u", ["udp"], 15),
        ("proto in (tcp) ", ["and", "or"], 15),
        ("(dport = 22) o", ["or"], 13),
        ("nonsense = ", [], 11),
        ("name = 'open", [], 12),
    ],
)
def test_what_may_come_next(text: str, words: list[str], start: int) -> None:
    found = complete(text, len(text), KNOWN)
    assert (found.words, found.start, found.end) == (words, start, len(text))


def test_the_text_after_the_position_stays() -> None:
    found = complete("pro and rejected", 3)
    assert (found.words, found.start, found.end) == (["proto"], 0, 3)


def test_all_completed_values_can_be_read() -> None:
    for text in ("proto = ", "service = ", "direction = ", "rejected = ", "name = "):
        for word in complete(text, len(text), KNOWN).words:
            assert parse(text + word)


@given(st.text(max_size=40), st.integers(0, 40))
def test_no_text_breaks_it(text: str, position: int) -> None:
    assert len(complete(text, position).words) <= 20
