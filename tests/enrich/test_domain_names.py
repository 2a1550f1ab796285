"""Registered domains without a public suffix list, private names, listed parents."""

from __future__ import annotations

import ibis
import pytest

from flowbench.enrich import domain_names
from flowbench.enrich.domain_names import (
    is_public_name,
    match_parents,
    registered_domain,
    shorten_name,
)


def evaluated(expression, name: str):
    t = ibis.memtable({"name": [name]})
    return t.select(value=expression(t.name)).to_pyarrow()["value"][0].as_py()


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("a.b.evil.com", "evil.com"),
        ("evil.com", "evil.com"),
        ("x.evil.co.uk", "evil.co.uk"),
        ("x.evil.com.au", "evil.com.au"),
        ("co.uk", "co.uk"),
        ("x.co.com", "co.com"),
        ("a.evil.duckdns.org", "evil.duckdns.org"),
        ("a.eviltduckdns.org", "eviltduckdns.org"),
        ("a.deep-thaw-pool.example", "deep-thaw-pool.example"),
        ("com", "com"),
        (".", "."),
        ("", ""),
        ("'); drop table x; --.evil.com", "evil.com"),
    ],
)
def test_registered_domain(name: str, domain: str) -> None:
    assert evaluated(registered_domain, name) == domain


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("www.evil.example", True),
        ("mail.google.com", True),
        ("local.example.com", True),
        ("localhost", False),
        ("wpad", False),
        ("ip-10-0-0-1.ec2.internal", False),
        ("x.us-west-2.compute.internal", False),
        ("www.google.com.svc.cluster.local", False),
        ("printer.lan", False),
        ("4.3.2.1.in-addr.arpa", False),
        ("0.8.b.d.0.1.0.0.2.ip6.arpa", False),
        ("a." * 600 + "example", False),
    ],
)
def test_public_names(name: str, public: bool) -> None:
    assert evaluated(is_public_name, name) is public


def test_parents_match_by_whole_labels() -> None:
    names = ["eu.pool.example", "pool.example", "whirlpool.example", "example", "x.a.b.c.d", "."]
    listed = ["pool.example", "pool.example", "a.b.c.d", "b", "e.pool.example"]
    found = match_parents(ibis.memtable({"name": names}), ibis.memtable({"domain": listed}))
    assert sorted(found.to_pandas().itertuples(index=False, name=None)) == [
        ("eu.pool.example", "pool.example"),
        ("pool.example", "pool.example"),
        ("x.a.b.c.d", "a.b.c.d"),
    ]


def test_long_and_hostile_names_are_shortened() -> None:
    assert shorten_name("evil.example") == "evil.example"
    assert shorten_name("a\nb\u202e") == "a\\x0ab\\u202e"
    assert len(shorten_name("x" * 5_000)) == 60


def test_lists_hold_registered_domains() -> None:
    for names in (domain_names.OPERATOR_DOMAINS, domain_names.REPUTATION_DOMAINS):
        assert [name for name in sorted(names) if evaluated(registered_domain, name) != name] == []
    assert not domain_names.OPERATOR_DOMAINS & domain_names.REPUTATION_DOMAINS
