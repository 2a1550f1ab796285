"""Completion of filter expressions: what may come next at a position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flowbench.investigate.where.fields import FIELDS, SIDES, TAG, Field, field_names, find_field
from flowbench.investigate.where.syntax import FilterError, Token, quote, tokenize

MOST = 20  # words that are offered


class Completion(NamedTuple):
    """The words that may stand at ``start`` to ``end`` of a text, best first."""

    words: list[str]
    start: int
    end: int


def complete(
    text: str, position: int, values: Mapping[str, Iterable[str]] | None = None
) -> Completion:
    """Return what may be written at a position of a filter expression.

    Args:
        text: The text, complete or not.
        position: Where the cursor is, from 0; the word before it is completed.
        values: Known values by field name without side, such as ``{"vpc": ["vpc-0aaa"]}``; the
            keys of tags are those of ``tag:``.

    Returns:
        At most MOST words, as the grammar reads them, and the part of the text that each replaces;
        no words inside of quotes that are not closed.
    """
    before = text[:position]
    try:
        tokens = [token for token in tokenize(before) if token.kind != "end"]
    except FilterError:
        return Completion([], position, position)
    word, start = "", position
    if tokens and tokens[-1].kind == "word" and tokens[-1].end == position:
        last = tokens.pop()
        word, start = last.text, last.position
    offered = _expected(tokens, values or {})
    begins = [name for name in offered if name.casefold().startswith(word.casefold())]
    contains = [n for n in offered if word.casefold() in n.casefold() and n not in begins]
    return Completion([_write(name) for name in [*begins, *contains]][:MOST], start, position)


def _write(word: str) -> str:
    """Write a word; operators, keywords and marks stay as they are."""
    if word in _UNQUOTED:
        return word
    if TAG in word:
        side, tag, key = word.partition(TAG)
        return f"{side}{tag}{quote(key) if key else ''}"
    return quote(word)


_STARTS = ("not", "(")
_JOINS = ("and", "or")
_UNQUOTED = {*_STARTS, *_JOINS, ")", ",", "in", "not in", "=", "!=", "<", "<=", ">", ">=", "~"}


def _expected(tokens: list[Token], values: Mapping[str, Iterable[str]]) -> list[str]:
    """List what may follow some tokens."""
    field: Field | None = None
    state = "term"
    in_list = False
    for token in tokens:
        if state == "term":
            if token.is_keyword("not") or token.text == "(":
                continue
            try:
                field = find_field(token.text)
            except ValueError:
                return []
            state = "operator"
        elif state == "operator" and _is_operator(token):
            state = "operator" if token.is_keyword("not") else "value"
        elif state == "value" and token.kind == "mark" and token.text == "(":
            in_list = True
        elif state == "value":
            state = "list" if in_list else "join"
        elif state == "list":
            in_list = token.text != ")"
            state = "value" if in_list else "join"
        elif token.is_keyword("and") or token.is_keyword("or"):
            state = "term"
        else:
            state = "join"
    return _offer(state, field, values)


def _is_operator(token: Token) -> bool:
    return token.kind == "operator" or token.is_keyword("in") or token.is_keyword("not")


def _offer(state: str, field: Field | None, values: Mapping[str, Iterable[str]]) -> list[str]:
    if state == "term":
        keys = [f"{TAG}{key}" for key in values.get(TAG, ())]
        of_ends = [name for name, found in FIELDS.items() if found.is_of_end]
        sides = [f"{side}.{name}" for side in SIDES for name in (*of_ends, TAG, *keys)]
        return [*field_names(), *keys, *sides, *_STARTS]
    if state == "operator" and field is not None:
        alone = _JOINS if field.kind.stands_alone else ()
        return [*field.kind.operators, *alone]
    if state == "value" and field is not None:
        return [*field.kind.examples, *values.get(field.base, ())]
    return [",", ")"] if state == "list" else list(_JOINS)
