"""Evaluation of a policy: which rule decides a connection, and of whose groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.errors import MissingFieldError
from flowbench.segmentation import Evaluation, evaluate, parse_policy
from tests.traffic import T0, Record, connect, interface, make_case, reject

WEB, DB, EXTERNAL = "10.0.0.5", "10.0.1.4", "192.0.2.99"
GROUPS = "groups:\n  web: {tags: {tier: web}}\n  db: {subnets: subnet-db}\n"
INTERFACES = [
    interface(WEB, "a", TagSet=[{"Key": "tier", "Value": "web"}]),
    interface(DB, "d", SubnetId="subnet-db"),
    interface("10.0.9.1", "n", kind="nat_gateway"),
]


def evaluated(case: Case, rules: str, default: str = "allow") -> Evaluation:
    return evaluate(case, parse_policy(f"default: {default}\n{GROUPS}rules:\n{rules}", "p"))


def denied(evaluation: Evaluation) -> list[tuple[str, str, int, int]]:
    rows = evaluation.denied_traffic.select("initiator", "responder", "service_port", "rule")
    return sorted(tuple(row.values()) for row in rows.to_pyarrow().to_pylist())


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    records = [*connect(WEB, DB, 5432, T0), *connect(WEB, DB, 22, T0), reject(WEB, DB, 23, T0)]
    case = make_case(tmp_path, records, interfaces=INTERFACES)
    allow = "  - {from: web, to: db, ports: 5432, verdict: allow}\n"
    deny = "  - {from: any, to: db, verdict: deny}\n"
    assert denied(evaluated(case, allow + deny)) == [(WEB, DB, 22, 1), (WEB, DB, 23, 1)]
    assert len(denied(evaluated(case, deny + allow))) == 3
    results = evaluated(case, deny + allow).rule_results()
    assert list(results["state"]) == ["violated", "shadowed", "unused"]
    assert list(results["shadowed"]) == [0, 1, 0]


def test_the_default_applies_to_connections_of_groups_only(tmp_path: Path) -> None:
    records = [*connect(WEB, EXTERNAL, 443, T0), *connect("10.0.7.7", EXTERNAL, 443, T0)]
    case = make_case(tmp_path, records, interfaces=[*INTERFACES, interface("10.0.7.7", "x")])
    rules = "  - {from: web, to: db, verdict: allow}\n"
    assert denied(evaluated(case, rules, "deny")) == [(WEB, EXTERNAL, 443, 1)]
    assert denied(evaluated(case, rules, "allow")) == []


def test_internal_and_external_ends(tmp_path: Path) -> None:
    records = [
        *connect(WEB, EXTERNAL, 443, T0),
        *connect(EXTERNAL, WEB, 22, T0),
        *connect(WEB, DB, 22, T0),
    ]
    case = make_case(tmp_path, records, interfaces=INTERFACES)
    rules = "  - {from: external, to: internal, verdict: deny}\n"
    assert denied(evaluated(case, rules)) == [(EXTERNAL, WEB, 22, 0)]
    rules = "  - {from: internal, to: internal, ports: 20-30, protocols: tcp, verdict: deny}\n"
    assert denied(evaluated(case, rules)) == [(WEB, DB, 22, 0)]


def test_a_nat_gateways_own_connections_are_not_evaluated(tmp_path: Path) -> None:
    records = [
        *connect(WEB, EXTERNAL, 443, T0),
        *connect("10.0.9.1", EXTERNAL, 443, T0, source_port=50_000),
    ]
    case = make_case(tmp_path, records, interfaces=INTERFACES)
    rules = "  - {from: internal, to: external, verdict: deny}\n"
    assert [row[0] for row in denied(evaluated(case, rules))] == [WEB]


def test_groups_without_addresses_are_named(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(WEB, EXTERNAL, 443, T0), interfaces=INTERFACES[:1])
    assert evaluated(case, "  - {from: web, to: db, verdict: deny}\n").empty_groups == ["db"]


def test_missing_fields_are_named(tmp_path: Path) -> None:
    fields = ["srcaddr", "dstaddr", "start", "end", "bytes"]
    case = make_case(tmp_path, [Record(WEB, DB, 1, 2, T0, T0 + 59)], fields=fields)
    with pytest.raises(MissingFieldError, match=r"cannot evaluate .* has dstport, protocol"):
        evaluated(case, "  - {from: web, to: db, verdict: deny}\n")
