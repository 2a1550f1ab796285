"""Conditions on hosts: what an analyst writes to name some of them, as filter expressions.

Either one word: an address, a network, an instance, an interface, a subnet, a VPC, an account, the
value of a Name tag, or a domain. Or a filter expression over fields of ends: ``tag:env = prod and
country != US``. A text with an operator is an expression, whatever hosts are called: nobody can
choose a Name tag that changes what an analyst's condition means.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

import ibis

from flowbench.enrich.dns_names import resolved_names
from flowbench.enrich.inventory import with_public_addresses
from flowbench.errors import InputError
from flowbench.investigate import where
from flowbench.investigate.nearest_names import suggest_names
from flowbench.investigate.where.ends import ASSIGNED
from flowbench.investigate.where.fields import ADDRESS, FIELDS, TAG, Field, find_field
from flowbench.investigate.where.syntax import (
    KEYWORDS,
    And,
    Comparison,
    Expression,
    Not,
    Or,
    Token,
    tokenize,
)
from flowbench.text import escape_controls, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

_IDS = ("instance", "interface", "subnet", "vpc", "account")  # before names, which anyone may set
_MOST_VALUES = 20_000  # of a field that are compared with a text


def read_hosts(case: Case, text: str) -> Expression:
    """Read which hosts are meant.

    Args:
        case: The case.
        text: One word or a filter expression over fields of ends; see the module.

    Returns:
        A filter expression over fields of ends without a side.

    Raises:
        FilterError: An expression cannot be read.
        InputError: It has a field of connections, or nothing in the case has a word or a value;
            the text names the nearest.
    """
    if not text.strip():
        raise InputError("no host is given: write an address, a network, a name or tag:KEY = VALUE")
    tokens = list(tokenize(text))
    if not _is_expression(tokens):
        return _read_word(case, tokens[0].text if len(tokens) == 2 else text.strip())
    expression = where.parse(text)
    for comparison in where.comparisons(expression):
        _check_field(comparison.field)
        _check_values(case, comparison)
    return expression


def equals(case: Case, name: str, text: str) -> Expression:
    """Return the condition that a field of ends has a value; see ``read_hosts``.

    Raises:
        InputError: It is no value of the field, or no host of the case has it.
    """
    field = find_field(name)
    try:
        condition = Comparison(field, "=", (field.kind.read(text),))
    except ValueError as error:
        raise InputError(f"'{escape_controls(text)}': expected {error}") from error
    _check_values(case, condition)
    return condition


def has_tag(case: Case, text: str) -> Expression:
    """Return the condition that hosts have a tag, as KEY=VALUE, or KEY with any value.

    Raises:
        InputError: No host of the case has it.
    """
    key, sign, value = text.partition("=")
    field = replace(FIELDS["name"], name=f"{TAG}{key.strip()}", key=key.strip())
    condition = Comparison(field, "=", (value.strip(),)) if sign else Comparison(field, "")
    _check_values(case, condition)
    return condition


def at_side(expression: Expression, side: str) -> Expression:
    """Return conditions on hosts as conditions on one end of connections: ``src`` or ``dst``."""
    match expression:
        case Comparison(field):
            if field.kind is ADDRESS:
                return replace(expression, field=FIELDS[side])
            named = replace(field, name=f"{side}.{field.name}", side=side, is_of_end=True)
            return replace(expression, field=named)
        case Not(term):
            return Not(at_side(term, side))
        case And(terms):
            return And(tuple(at_side(term, side) for term in terms))
        case Or(terms):
            return Or(tuple(at_side(term, side) for term in terms))


def _is_expression(tokens: list[Token]) -> bool:
    """Whether a text is an expression rather than a word, by its syntax alone."""
    first = tokens[0]
    is_field = not first.quoted and (first.text in FIELDS or first.text.startswith(TAG))
    return is_field or any(
        token.kind in ("operator", "mark") or any(token.is_keyword(word) for word in KEYWORDS)
        for token in tokens
    )


def _read_word(case: Case, word: str) -> Expression:
    try:
        return Comparison(FIELDS["ip"], "=", (FIELDS["ip"].kind.read(word),))
    except ValueError:
        pass
    assigned = with_public_addresses(case.address_assignments)
    for name in _IDS:
        if _has_rows(assigned.filter(assigned[ASSIGNED[name]] == word)):
            return Comparison(FIELDS[name], "=", (word,))
    found = [name for name in ("name", "domain") if _is_value(case, FIELDS[name], word)]
    if len(found) == 1:
        return Comparison(FIELDS[found[0]], "=", (word,))
    shown = escape_controls(word)
    if found:
        choices = [f"{name} = {where.quote(shown)}" for name in found]
        raise InputError(
            f"'{shown}' is several things in this case: give one of {list_some(choices)}"
        )
    ids = ibis.union(*(_values(case, FIELDS[name]) for name in ("subnet", "vpc")))
    near = suggest_names(case, word) or _suggest(ids.select(text="value"), word)
    raise InputError(
        f"'{shown}' is no address, network, instance, interface, subnet, VPC, account, Name tag or"
        f" domain of this case{near}"
    )


def _check_field(field: Field) -> None:
    if field.side is not None or not (field.is_of_end or field.name in ("ip", "interface")):
        names = [name for name, known in FIELDS.items() if known.is_of_end]
        raise InputError(
            f"{escape_controls(field.name)} is no field of hosts; those are ip, interface,"
            f" {list_some(names, 20)}, {TAG}KEY"
        )


def _check_values(case: Case, comparison: Comparison) -> None:
    """Raise InputError where no host has a text that is asked for, with the nearest."""
    field = comparison.field
    is_assigned = field.key is not None or field.base in ASSIGNED
    if not is_assigned or comparison.operator not in ("", "=", "in"):
        return
    if field.key is not None and not _is_key(case, field.key):
        keys = case.address_assignments.tags.keys().unnest().name("text").as_table()
        shown = escape_controls(field.key)
        raise InputError(f"no host has the tag '{shown}'{_suggest(keys, field.key)}")
    for value in comparison.values:
        if not _is_value(case, field, str(value)):
            shown = f"{escape_controls(field.name)} = {escape_controls(value)}"
            values = _values(case, field).select(text="value")
            raise InputError(f"no host has {shown}{_suggest(values, str(value))}")


def _is_key(case: Case, key: str) -> bool:
    tags = case.address_assignments.tags
    return _has_rows(case.address_assignments.filter(tags.contains(key).fill_null(False)))


def _is_value(case: Case, field: Field, value: str) -> bool:
    if field.base == "domain":
        domain = value.rstrip(".").lower()
        names = resolved_names(case.dns)
        return _has_rows(names.filter((names.name == domain) | names.name.endswith(f".{domain}")))
    values = _values(case, field)
    return _has_rows(values.filter(values.value == value))


def _values(case: Case, field: Field) -> ibis.Table:
    rows = case.address_assignments
    column = rows.tags.get(field.key) if field.key is not None else rows[ASSIGNED[field.base]]
    return rows.select(value=column)


def _suggest(rows: ibis.Table, text: str) -> str:
    """Name the nearest texts, as the end of a sentence."""
    rows = rows.filter(rows["text"].notnull()).distinct().order_by("text").limit(_MOST_VALUES)
    known = {name.casefold(): name for name in rows.to_pyarrow()["text"].to_pylist()}
    close = difflib.get_close_matches(text.casefold(), sorted(known))
    near = ", ".join(escape_controls(known[name]) for name in close)
    return f"; the nearest: {near}" if near else ""


def _has_rows(table: ibis.Table) -> bool:
    return bool(table.limit(1).count().to_pyarrow().as_py())
