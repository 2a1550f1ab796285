"""The grammar of filter expressions: what it reads, what it refuses, and the round trip."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.errors import InputError
from flowbench.investigate.where.fields import FIELDS, find_field
from flowbench.investigate.where.parser import parse
from flowbench.investigate.where.syntax import (
    EVERYTHING,
    And,
    Comparison,
    FilterError,
    Not,
    Or,
    format_filter,
)
from flowbench.investigate.where.values import Moment, Range


def test_the_example() -> None:
    text = "src in 10.0.0.0/8 and dport = 22 and bytes > 1MB and tag:env = prod"
    assert parse(text) == And(
        (
            Comparison(find_field("src"), "in", (IPv4Network("10.0.0.0/8"),)),
            Comparison(find_field("dport"), "=", (22,)),
            Comparison(find_field("bytes"), ">", (1_000_000,)),
            Comparison(find_field("tag:env"), "=", ("prod",)),
        )
    )


def test_precedence_and_case_of_keywords() -> None:
    a, b, c = (Comparison(find_field(name), "") for name in ("rejected", "answered", "indicator"))
    assert parse("rejected OR answered And NOT indicator") == Or((a, And((b, Not(c)))))
    assert parse("(rejected or answered) and indicator") == And((Or((a, b)), c))
    assert parse(" ") == EVERYTHING == parse("")


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("prot = tcp", 0, "'prot' is not a field; the nearest: proto"),
        ("src =", 5, "expected a value of src"),
        ("src = 10.0.0", 6, "expected an address, or a network such as 10.0.0.0/8"),
        ("dport = ssh", 8, "expected a port from 0 to 65535"),
        ("dport", 5, "expected an operator after dport: =, !=, in, not in, <, <=, >, >="),
        ("src ~ 10", 4, "src has no ~; it has =, !=, in, not in"),
        ("rejected in yes", 9, "rejected has no in; it has =, !="),
        ("(dport = 22", 11, "expected 'and', 'or' or ')'"),
        ("dport = 22)", 10, "expected 'and', 'or' or the end"),
        ("dport = 22 dport = 23", 11, "expected 'and', 'or' or the end"),
        ("dport in (22 23)", 13, "expected ',' or ')'"),
        ("and dport = 22", 0, "expected a field, 'not' or '('"),
        ("direction = inbund", 12, "the nearest: inbound"),
        ("not " * 60 + "rejected", 204, "more than 50 levels of brackets and 'not'"),
        ("(" * 60, 51, "more than 50 levels"),
        ("rejected and " * 200 + "rejected", 2_600, "more than 200 comparisons; use in"),
        ("x" * 20_001, 20_000, "more than 20,000 characters"),
    ],
)
def test_errors_say_where_and_what_was_expected(text: str, position: int, reason: str) -> None:
    with pytest.raises(FilterError) as error:
        parse(text)
    assert reason in error.value.reason
    assert error.value.position == position
    assert isinstance(error.value, InputError)


PORTS = st.integers(0, 65_535)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
STEPS = st.sampled_from([timedelta(days=1), timedelta(minutes=1), timedelta(microseconds=1)])
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9990, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def moment(time: datetime, step: timedelta) -> Moment:
    start = time.replace(microsecond=0) if step > timedelta(seconds=1) else time
    start = start.replace(second=0) if step > timedelta(seconds=1) else start
    start = start.replace(hour=0, minute=0) if step == timedelta(days=1) else start
    return Moment(start, start + step)


VALUES = {
    "address": st.ip_addresses(v=4).map(str) | st.ip_addresses(v=4).map(ip_network),
    "port": PORTS | st.tuples(PORTS, PORTS).map(lambda pair: Range(*sorted(pair))),
    "protocol": st.integers(0, 255),
    "service": st.sampled_from(["ssh", "https", "tor-or"]),
    "action": st.sampled_from(["ACCEPT", "REJECT"]),
    "direction": st.sampled_from(["inbound", "internal"]),
    "condition": st.booleans(),
    "size": st.integers(0, 2**63 - 1),
    "number": st.integers(0, 2**63 - 1),
    "duration": st.integers(0, 10**15).map(lambda n: timedelta(microseconds=n)),
    "time": st.builds(moment, TIMES, STEPS),
    "text": TEXTS,
    "country": st.sampled_from(["DE", "RU"]),
}
NAMES = st.sampled_from([*FIELDS, "src.vpc", "dst.indicator", "src.interface"])
FIELD = NAMES.map(find_field) | TEXTS.filter(bool).map(lambda key: find_field(f"dst.tag:{key}"))


@st.composite
def a_comparison(draw: st.DrawFn) -> Comparison:
    field = draw(FIELD)
    alone = [""] if field.kind.stands_alone else []
    operator = draw(st.sampled_from([*alone, *field.kind.operators]))
    most = 3 if operator in ("in", "not in") else 1
    values = st.lists(VALUES[field.kind.noun], min_size=1, max_size=most)
    return Comparison(field, operator, tuple(draw(values)) if operator else ())


def combine(inner: st.SearchStrategy) -> st.SearchStrategy:
    terms = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return inner.map(Not) | terms.map(And) | terms.map(Or)


@given(st.recursive(a_comparison(), combine, max_leaves=6))
def test_what_is_written_is_read_again(expression) -> None:
    assert parse(format_filter(expression)) == expression


@given(st.text(max_size=60) | st.text("src=()!,and' \"10.~<>", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        expression = parse(text)
    except FilterError as error:
        place = error.position, error.end
    else:
        place = 0, 0
        assert parse(format_filter(expression)) == expression
    assert 0 <= place[0] <= place[1] <= len(text)
