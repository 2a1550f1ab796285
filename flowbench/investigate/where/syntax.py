"""The syntax tree of filter expressions, their tokens, and how they are written.

Words that contain blanks, quotes, brackets, commas or operators are quoted: ``name = 'a b'``,
``tag:"cost center" = 12``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from flowbench.errors import InputError
from flowbench.investigate.where.fields import Field
from flowbench.investigate.where.values import Value
from flowbench.text import escape_controls

KEYWORDS = ("and", "or", "not", "in")

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<operator><=|>=|!=|[=<>~])
    |(?P<mark>[(),])
    |(?P<word>(?:[^\s()",'=!<>~\\]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_BARE = re.compile(r"""[^\s()",'=!<>~\\]+""")


class FilterError(InputError):
    """A filter expression that cannot be read.

    Attributes:
        position: Where the error starts in the text, from 0.
        end: Where it ends, exclusive.
        reason: What is wrong, and what was expected.
    """

    def __init__(self, text: str, position: int, end: int, reason: str) -> None:
        self.position, self.end, self.reason = position, end, reason
        found = escape_controls(text[position:end])
        shown = f" ({found[:60]})" if found else ""
        super().__init__(f"the filter is wrong at character {position + 1:,}{shown}: {reason}")


@dataclass(frozen=True)
class Comparison:
    """A field, an operator and values; of 'in' several, of a field that stands alone none."""

    field: Field
    operator: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Not:
    """What does not match ``term``."""

    term: Expression


@dataclass(frozen=True)
class And:
    """What matches all terms; without terms, everything."""

    terms: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Or:
    """What matches a term."""

    terms: tuple[Expression, ...]


Expression = Comparison | Not | And | Or
EVERYTHING = And()


class Token(NamedTuple):
    """A word, operator or mark, and where it is."""

    kind: str  # word, operator, mark, end
    text: str  # of a word, without its quotes
    position: int
    end: int
    quoted: bool = False

    def is_keyword(self, word: str) -> bool:
        """Whether it is a word of the grammar, which quotes make an ordinary one."""
        return self.kind == "word" and not self.quoted and self.text.casefold() == word


def format_filter(expression: Expression) -> str:
    """Write an expression so that ``parse`` reads the same expression."""
    match expression:
        case Comparison():
            return _format_comparison(expression)
        case Not(term):
            inner = format_filter(term)
            return f"not {inner}" if isinstance(term, Comparison | Not) else f"not ({inner})"
        case And(terms):
            parts = (format_filter(t) for t in terms)
            return " and ".join(
                f"({part})" if isinstance(term, And | Or) else part
                for part, term in zip(parts, terms, strict=True)
            )
        case Or(terms):
            parts = (format_filter(t) for t in terms)
            return " or ".join(
                f"({part})" if isinstance(term, Or) else part
                for part, term in zip(parts, terms, strict=True)
            )


def terms_of(expression: Expression) -> tuple[Expression, ...]:
    """Return the conditions that a row must all meet."""
    return expression.terms if isinstance(expression, And) else (expression,)


def comparisons(expression: Expression) -> Iterator[Comparison]:
    """Yield the comparisons of an expression, from left to right."""
    match expression:
        case Comparison():
            yield expression
        case Not(term):
            yield from comparisons(term)
        case And(terms) | Or(terms):
            for term in terms:
                yield from comparisons(term)


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens of a text, and one at its end. Raises FilterError."""
    position = 0
    if match := _UNSTORABLE.search(text):
        raise FilterError(text, match.start(), match.end(), "this character cannot occur in text")
    stop = len(text.rstrip())
    while position < stop:
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise FilterError(text, start, start + 1, _explain_character(text[start]))
        kind = str(match.lastgroup)
        found = match[kind]
        start, position = match.start(kind), match.end()
        yield Token(kind, _unquote(found), start, position, found[0] in "\"'")
    yield Token("end", "", len(text), len(text))


def quote(word: str) -> str:
    """Write a word as the grammar reads it, in quotes where it needs them."""
    if _BARE.fullmatch(word) and word.casefold() not in KEYWORDS:
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'


def _unquote(text: str) -> str:
    def inner(match: re.Match[str]) -> str:
        quoted = match[1] if match[1] is not None else match[2]
        return re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)

    return _QUOTED.sub(inner, text)


def _explain_character(character: str) -> str:
    if character in "\"'":
        return "this quote is not closed"
    if character == "!":
        return "'!' is not an operator; write != or not"
    return "this character must be in quotes"


def _format_comparison(comparison: Comparison) -> str:
    name = comparison.field.name
    if comparison.field.key is not None:
        key = comparison.field.key
        name = name.removesuffix(key) + (quote(key) if not _BARE.fullmatch(key) else key)
    if not comparison.operator:
        return name
    written = ", ".join(quote(comparison.field.kind.write(v)) for v in comparison.values)
    if comparison.operator in ("in", "not in"):
        written = f"({written})"
    return f"{name} {comparison.operator} {written}"
