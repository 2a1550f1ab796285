"""Limits: a sentence for what a case leaves unknown, and none for what it has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from flowbench.investigate.path_facts import Path
from flowbench.investigate.path_limits import describe_limits
from tests.investigate.test_path_causes import LOGGED


def limits(*, fields: set[str], tables: set[str], protocol: str = "tcp", **logged: int) -> str:
    case: Any = SimpleNamespace(fields=fields, has=lambda name: name in tables)
    counts = dict.fromkeys(("source", "destination"), LOGGED | logged)
    return " ".join(describe_limits(case, Path("X", "Y", protocol, 443, (), counts)))


RULES = {"security_groups", "network_acls", "route_tables"}
FIELDS = {"tcp_flags", "pkt_srcaddr", "pkt_dstaddr"}
PHRASES = {
    "no tcp-flags": {"fields": FIELDS - {"tcp_flags"}},
    "up to 600 s": {"long": 1},
    "no pkt-srcaddr": {"fields": {"tcp_flags"}},
    "with SKIPDATA": {"skipdata": 2},
    "no REJECT record": {"rejected": 0},
    "no route tables (describe-route-tables)": {"tables": RULES - {"route_tables"}},
}


def test_each_limit_is_stated_where_it_holds_only() -> None:
    whole: dict[str, Any] = {"fields": FIELDS, "tables": RULES}
    for phrase, change in PHRASES.items():
        assert phrase in limits(**whole | change), phrase
        assert phrase not in limits(**whole), phrase
    assert "no tcp-flags" not in limits(**whole | {"fields": set(), "protocol": "udp"})


def test_recorded_rules_have_their_time() -> None:
    assert "at the time of the call" in limits(fields=FIELDS, tables={"network_acls"})
    assert "at the time of the call" not in limits(fields=FIELDS, tables=set())
