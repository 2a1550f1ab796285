"""MISP warning lists: always allow lists."""

from __future__ import annotations

from flowbench.loaders.intel import warninglist


def test_warning_lists_allow(load) -> None:
    warning = {"name": "Public resolvers", "description": "d", "version": 1, "type": "cidr",
               "list": ["192.0.2.53", "2001:db8::/32", 5]}  # fmt: skip
    rows, reasons = load(warning)
    assert [(row["indicator"], row["kind"], row["feed"]) for row in rows] == [
        ("192.0.2.53", "allow", "Public resolvers"),
        ("2001:db8::/32", "allow", "Public resolvers"),
    ]
    assert reasons == ["not an indicator: 5"]
    rows, _ = load(warning | {"type": "hostname", "list": [".dns.example"]})
    assert rows[0]["indicator"] == "dns.example"
    assert load(warning | {"type": "regex"})[0] == []


def test_other_json_is_left_to_other_formats() -> None:
    whole = {"name": "x", "list": [], "type": "cidr", "version": 1}
    assert warninglist.matches(whole) == []
    assert warninglist.matches(whole | {"list": {}}) is None
    for missing in whole:
        assert warninglist.matches({k: v for k, v in whole.items() if k != missing}) is None
