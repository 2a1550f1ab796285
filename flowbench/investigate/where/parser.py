"""The grammar of filter expressions.

    or         := and ("or" and)*
    and        := term ("and" term)*
    term       := "not" term | "(" or ")" | comparison
    comparison := field [operator value | ["not"] "in" (value | "(" value ("," value)* ")")]

Written by hand: a generated parser would need the fields and kinds of values beside the grammar to
say what was expected, and complete.
"""

from __future__ import annotations

from flowbench.investigate.where.fields import Field, find_field
from flowbench.investigate.where.syntax import (
    EVERYTHING,
    KEYWORDS,
    And,
    Comparison,
    Expression,
    FilterError,
    Not,
    Or,
    Token,
    tokenize,
)
from flowbench.investigate.where.values import Value

MAX_CHARACTERS = 20_000
MAX_DEPTH = 50
MAX_COMPARISONS = 200


def parse(text: str) -> Expression:
    """Parse a filter expression; an empty one matches everything.

    Raises:
        FilterError: It cannot be read; it says where, and what was expected.
    """
    if len(text) > MAX_CHARACTERS:
        reason = f"it has more than {MAX_CHARACTERS:,} characters"
        raise FilterError(text, MAX_CHARACTERS, MAX_CHARACTERS, reason)
    return _Parser(text).parse()


class _Parser:
    """A recursive descent over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(tokenize(text))
        self.at = 0
        self.count = 0

    def parse(self) -> Expression:
        if self.next.kind == "end":
            return EVERYTHING
        expression = self.read_or(0)
        if self.next.kind != "end":
            raise self.error("expected 'and', 'or' or the end")
        return expression

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *words: str) -> bool:
        """Skip keywords or marks if they come next, in this order."""
        coming = self.tokens[self.at : self.at + len(words)]
        fits = len(coming) == len(words) and all(
            token.is_keyword(word) or (token.kind == "mark" and token.text == word)
            for token, word in zip(coming, words, strict=True)
        )
        self.at += len(words) if fits else 0
        return fits

    def error(self, reason: str, token: Token | None = None) -> FilterError:
        token = token or self.next
        return FilterError(self.text, token.position, token.end, reason)

    def read_or(self, depth: int) -> Expression:
        terms = [self.read_and(depth)]
        while self.accept("or"):
            terms.append(self.read_and(depth))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def read_and(self, depth: int) -> Expression:
        terms = [self.read_term(depth)]
        while self.accept("and"):
            terms.append(self.read_term(depth))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def read_term(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} levels of brackets and 'not'")
        if self.accept("not"):
            return Not(self.read_term(depth + 1))
        if self.accept("("):
            inner = self.read_or(depth + 1)
            if not self.accept(")"):
                raise self.error("expected 'and', 'or' or ')'")
            return inner
        return self.read_comparison()

    def read_comparison(self) -> Comparison:
        token = self.next
        if token.kind != "word" or any(token.is_keyword(word) for word in KEYWORDS):
            raise self.error("expected a field, 'not' or '('")
        self.count += 1
        if self.count > MAX_COMPARISONS:
            raise self.error(f"more than {MAX_COMPARISONS} comparisons; use in (…, …)")
        try:
            field = find_field(token.text)
        except ValueError as error:
            raise self.error(str(error), token) from None
        self.at += 1
        operator = self.read_operator(field)
        if not operator:
            return Comparison(field, "")
        if operator in ("in", "not in") and self.accept("("):
            found = [self.read_value(field)]
            while self.accept(","):
                found.append(self.read_value(field))
            if not self.accept(")"):
                raise self.error("expected ',' or ')'")
            return Comparison(field, operator, tuple(found))
        return Comparison(field, operator, (self.read_value(field),))

    def read_operator(self, field: Field) -> str:
        token = self.next
        if self.accept("not", "in"):
            operator = "not in"
        elif self.accept("in"):
            operator = "in"
        elif token.kind == "operator":
            operator = self.take().text
        else:
            operator = ""
        allowed = ", ".join(field.kind.operators)
        if not operator and not field.kind.stands_alone:
            raise self.error(f"expected an operator after {field.name}: {allowed}")
        if operator and operator not in field.kind.operators:
            raise self.error(f"{field.name} has no {operator}; it has {allowed}", token)
        return operator

    def read_value(self, field: Field) -> Value:
        token = self.next
        if token.kind != "word":
            raise self.error(f"expected a value of {field.name}")
        self.at += 1
        try:
            return field.kind.read(token.text)
        except ValueError as error:
            raise self.error(f"expected {error}", token) from None
