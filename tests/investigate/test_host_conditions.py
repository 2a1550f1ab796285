"""Conditions on hosts: words, expressions, and what is called like neither."""

from __future__ import annotations

import pytest

from flowbench.errors import InputError
from flowbench.investigate import where
from flowbench.investigate.host_conditions import at_side, equals, has_tag, read_hosts
from tests.investigate.hunting_case import IMPOSTOR


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("10.0.0.5", "ip = 10.0.0.5"),
        (" 2001:db8::/32 ", "ip = 2001:db8::/32"),
        ("i-1", "instance = i-1"),
        ("eni-db", "interface = eni-db"),
        ("subnet-a", "subnet = subnet-a"),
        ("vpc-1", "vpc = vpc-1"),
        ("web", "name = web"),
        (f'"{IMPOSTOR}"', f'name = "{IMPOSTOR}"'),
        ("pool.example", "domain = pool.example"),
        # A text with an operator is a condition, though a host is called so.
        (IMPOSTOR, "tag:env = prod"),
        ("internal", "internal"),
        ("tag:env", "tag:env"),
        ("not country = US and owner ~ x", "not country = US and owner ~ x"),
        ("name in (web, db)", "name in (web, db)"),
    ],
)
def test_words_and_expressions(hunting_case, text, expression) -> None:
    assert where.format_filter(read_hosts(hunting_case, text)) == expression


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wbe", r"'wbe' is no address, network, .* of this case; the nearest: web$"),
        ("subnet-x", "the nearest: subnet-[abc]"),
        ("\x1b[2Jx", r"'\\x1b\[2Jx' is no address"),
        ("tag:env = prdo", "no host has tag:env = prdo; the nearest: prod$"),
        ("tag:evn = prod", "no host has the tag 'evn'; the nearest: env$"),
        ("name = web2", r"no host has name = web2; the nearest: web$"),
        ("dport = 22", r"dport is no field of hosts; those are ip, interface, instance, "),
        ("src.name = web", "src.name is no field of hosts"),
        ("  ", "no host is given"),
        ("name = ", "the filter is wrong at character 8: expected a value of name"),
    ],
)
def test_what_no_host_is_called(hunting_case, text, message) -> None:
    with pytest.raises(InputError, match=message):
        read_hosts(hunting_case, text)


def test_conditions_from_values(hunting_case) -> None:
    assert where.format_filter(has_tag(hunting_case, "env=prod")) == "tag:env = prod"
    assert where.format_filter(has_tag(hunting_case, "cost center")) == 'tag:"cost center"'
    assert where.format_filter(equals(hunting_case, "name", IMPOSTOR)) == f'name = "{IMPOSTOR}"'
    with pytest.raises(InputError, match=r"'10\.0\.0': expected an address, or a network"):
        equals(hunting_case, "ip", "10.0.0")


def test_a_side_is_chosen_for_every_field() -> None:
    hosts = where.parse("ip = 10.0.0.0/8 and not (interface = eni-1 or tag:a.b = c)")
    expected = "dst = 10.0.0.0/8 and not (dst.interface = eni-1 or dst.tag:a.b = c)"
    assert where.format_filter(at_side(hosts, "dst")) == expected
    assert where.parse(expected) == at_side(hosts, "dst")
