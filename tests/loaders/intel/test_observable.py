"""One item of a list: every way to write it, and what none can be read from."""

from __future__ import annotations

import pytest

from flowbench.loaders.intel import observable
from flowbench.loaders.intel.observable import Observable


@pytest.mark.parametrize(
    ("line", "indicator", "kind_of", "more"),
    [
        ("192.0.2.1", "192.0.2.1", "address", {}),
        ("  192.0.2.1\t", "192.0.2.1", "address", {}),
        ("2001:DB8:0:0::1", "2001:db8::1", "address", {}),
        ("::ffff:192.0.2.1", "192.0.2.1", "address", {}),
        ("192.0.2.77/24", "192.0.2.0/24", "network", {}),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24", "network", {}),
        ("192.0.2.1/32", "192.0.2.1", "address", {}),
        ("2001:db8::/32", "2001:db8::/32", "network", {}),
        ("10.0.0.0/8", "10.0.0.0/8", "network", {}),
        ("192.0.2.0-192.0.2.255", "192.0.2.0/24", "network", {}),
        ("192.0.2.0 - 192.0.2.255", "192.0.2.0/24", "network", {}),
        ("192.0.2.0\t192.0.2.255\t24\t352\tEXAMPLE\tUS", "192.0.2.0/24", "network",
         {"description": "24 352 EXAMPLE US"}),
        ("192.0.2.1:3333", "192.0.2.1", "address", {"port": 3333}),
        ("[2001:db8::1]:9001", "2001:db8::1", "address", {"port": 9001}),
        ("pool.example:3333", "pool.example", "domain", {"port": 3333}),
        ("192.0.2.1\t7", "192.0.2.1", "address", {"description": "count: 7"}),
        ("192.0.2.0/24 ; SBL000001", "192.0.2.0/24", "network", {"description": "SBL000001"}),
        ("192.0.2.1 # US, scanner", "192.0.2.1", "address", {"description": "US, scanner"}),
        ("192.0.2.1# glued", "192.0.2.1", "address", {"description": "glued"}),
        ("192.0.2.1 // note", "192.0.2.1", "address", {"description": "note"}),
        ("192.0.2.1\t\t# 2026-09-01 03:04:05\t\t4\t123", "192.0.2.1", "address",
         {"description": "2026-09-01 03:04:05\t\t4\t123"}),
        ("Evil.Example.COM.", "evil.example.com", "domain", {}),
        ("*.evil.example", "evil.example", "domain", {}),
        (".evil.example", "evil.example", "domain", {}),
        ("_dmarc.xn--mnchen-3ya.example", "_dmarc.xn--mnchen-3ya.example", "domain", {}),
        ("münchen.example", "xn--mnchen-3ya.example", "domain", {}),
        ("127.0.0.1\tevil.example", "evil.example", "domain", {}),
        ("0.0.0.0 evil.example", "evil.example", "domain", {}),
        ("192[.]0[.]2[.]1", "192.0.2.1", "address", {}),
        ("evil(.)example", "evil.example", "domain", {}),
        ("evil[dot]example", "evil.example", "domain", {}),
        ("hxxp://192[.]0[.]2[.]1:8080/a;b#c", "192.0.2.1", "address",
         {"port": 8080, "description": "http://192.0.2.1:8080/a;b#c"}),
        ("https://[2001:db8::1]/x", "2001:db8::1", "address",
         {"description": "https://[2001:db8::1]/x"}),
        ("stratum+tcp://pool.example:3333", "pool.example", "domain",
         {"port": 3333, "description": "stratum+tcp://pool.example:3333"}),
    ],
)  # fmt: skip
def test_forms_of_an_item(line: str, indicator: str, kind_of: str, more: dict) -> None:
    meant = Observable(indicator, kind_of, more.get("port"), more.get("description"))
    assert observable.in_line(line) == [meant]


def test_a_range_becomes_networks() -> None:
    assert observable.in_line("192.0.2.1-192.0.2.6") == [
        Observable("192.0.2.1", "address"),
        Observable("192.0.2.2/31", "network"),
        Observable("192.0.2.4/31", "network"),
        Observable("192.0.2.6", "address"),
    ]
    assert observable.in_cell("2001:db8::-2001:db8::1") == [Observable("2001:db8::/127", "network")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("999.0.2.1", "not an address"),
        ("010.0.0.1", "not an address"),
        ("192.0.2.1/33", "not an address"),
        ("192.0.2.1:0", "not an address"),
        ("192.0.2.1:99999", "not an address"),
        ("192.0.2.1 - - [01/Sep/2026] GET /", "not an address"),
        ("fe80::1%eth0", "not an address"),
        ("two words", "not an address"),
        ("localhost", "not an address"),
        ("example.123", "not an address"),
        ("/bonn.sh", "not an address"),
        ("a" * 100_000, "not an address"),
        ("ü" * 100_000 + ".example", "not an address"),
        ("\t", "not an address"),
        ("", "not an address"),
        ("notes.txt", "a file name"),
        ("0.0.0.0/0", "covers every address"),
        ("::/0", "covers every address"),
        ("0.0.0.0-255.255.255.255", "covers every address"),
        ("192.0.2.9-192.0.2.1", "a range that ends before it starts"),
        ("192.0.2.9-2001:db8::1", "a range that ends before it starts"),
        ("http://files.example/a/b", "a page on a site"),
        ("files.example/a/b", "a page on a site"),
        ("192.0.2.1\ud800", "not an address"),
    ],
)
def test_text_without_an_item(line: str, reason: str) -> None:
    found = observable.in_line(line)
    assert isinstance(found, str)
    assert found.startswith(reason)


@pytest.mark.parametrize(
    ("line", "networks"),
    [
        ("Some Org/x:198.51.100.0-198.51.100.255", ["198.51.100.0/24"]),
        ("a: b (c):203.0.113.3-203.0.113.3", ["203.0.113.3"]),
        (":203.0.113.2 - 203.0.113.5", ["203.0.113.2/31", "203.0.113.4/31"]),
    ],
)
def test_named_ranges(line, networks) -> None:
    found = observable.in_line(line)
    assert [each.indicator for each in found] == networks
    assert {each.description for each in found} == {line.rpartition(":")[0] or None}


@pytest.mark.parametrize(
    "line", ["x:203.0.113.5-203.0.113.2", "x:0.0.0.0-255.255.255.255", "x:1-2"]
)
def test_named_ranges_that_are_refused(line) -> None:
    assert isinstance(observable.in_line(line), str)
