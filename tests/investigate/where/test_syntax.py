"""Tokens of filter expressions, and how expressions are written."""

from __future__ import annotations

import pytest

from flowbench.investigate.where.fields import find_field
from flowbench.investigate.where.syntax import (
    And,
    Comparison,
    FilterError,
    Not,
    Or,
    comparisons,
    format_filter,
    quote,
    tokenize,
)

A, B, C = (Comparison(find_field("dport"), "=", (port,)) for port in (22, 80, 443))


def test_tokens_have_their_place() -> None:
    tokens = list(tokenize("  tag:'a b'!=x"))
    assert [(t.kind, t.text, t.position, t.end) for t in tokens] == [
        ("word", "tag:a b", 2, 11),
        ("operator", "!=", 11, 13),
        ("word", "x", 13, 14),
        ("end", "", 14, 14),
    ]


def test_a_quoted_keyword_is_a_word() -> None:
    quoted, bare = list(tokenize("'and' AND"))[:2]
    assert (quoted.is_keyword("and"), bare.is_keyword("and")) == (False, True)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("name = 'a", 7, "this quote is not closed"),
        ("name ! x", 5, "'!' is not an operator"),
        ("name = a\\b", 8, "this character must be in quotes"),
        ("name = \0", 7, "this character cannot occur in text"),
        ("name = \ud800", 7, "this character cannot occur in text"),
    ],
)
def test_what_is_no_token(text: str, position: int, reason: str) -> None:
    with pytest.raises(FilterError, match=reason) as error:
        list(tokenize(text))
    assert error.value.position == position
    assert f"character {position + 1}" in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("word", ["", "and", "a b", 'say "x"', "back\\slash", "a=b", "'", "ü"])
def test_quoted_words_are_read_again(word: str) -> None:
    token = next(tokenize(f"{quote(word)} "))
    assert (token.text, token.is_keyword("and")) == (word, False)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (And((A, Or((B, C)))), "dport = 22 and (dport = 80 or dport = 443)"),
        (Or((And((A, B)), C)), "dport = 22 and dport = 80 or dport = 443"),
        (Not(A), "not dport = 22"),
        (Not(Not(A)), "not not dport = 22"),
        (Not(Or((A, B))), "not (dport = 22 or dport = 80)"),
        (And((And((A, B)), C)), "(dport = 22 and dport = 80) and dport = 443"),
        (Or((Or((A, B)), C)), "(dport = 22 or dport = 80) or dport = 443"),
        (Comparison(find_field("rejected"), ""), "rejected"),
        (Comparison(find_field("proto"), "not in", (6, 17)), "proto not in (tcp, udp)"),
    ],
)
def test_expressions_are_written_with_the_brackets_they_need(expression, text: str) -> None:
    assert format_filter(expression) == text


def test_comparisons_come_from_left_to_right() -> None:
    assert list(comparisons(Or((Not(A), And((B, C)))))) == [A, B, C]
