"""Resolver query logs: normalized names, answers as addresses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import resolver

QUERY = {
    "version": "1.100000",
    "account_id": "111122223333",
    "region": "us-east-1",
    "vpc_id": "vpc-0bbb",
    "query_timestamp": "2026-09-01T03:11:55Z",
    "query_name": "Pool.Example.NET.",
    "query_type": "A",
    "query_class": "IN",
    "rcode": "NOERROR",
    "answers": [
        {"Rdata": "Eu.Pool.example.net.", "Type": "CNAME", "Class": "IN"},
        {"Rdata": "192.0.2.55", "Type": "A", "Class": "IN"},
        {"Rdata": "2001:DB8::55", "Type": "AAAA", "Class": "IN"},
        {"Rdata": "v=spf1 -all", "Type": "TXT", "Class": "IN"},
    ],
    "srcaddr": "10.0.9.9",
    "srcport": "43210",
    "transport": "UDP",
    "srcids": {"instance": "i-0ffffeee"},
    "firewall_rule_action": "ALERT",
}


def test_values_of_a_query() -> None:
    (row,) = resolver.TABLE.rows([resolver.to_row(QUERY)]).to_pylist()
    assert row == {
        "query_time": datetime(2026, 9, 1, 3, 11, 55, tzinfo=UTC),
        "name": "pool.example.net",
        "query_type": "A",
        "rcode": "NOERROR",
        "answers": ["192.0.2.55", "2001:db8::55"],
        "canonical_names": ["eu.pool.example.net"],
        "text_length": len("Eu.Pool.example.net." + "v=spf1 -all"),
        "srcaddr": "10.0.9.9",
        "srcport": 43210,
        "instance_id": "i-0ffffeee",
        "vpc_id": "vpc-0bbb",
        "account_id": "111122223333",
        "region": "us-east-1",
        "transport": "UDP",
        "firewall_action": "ALERT",
        "evidence_id": None,
        "line": None,
        "item": None,
    }


def test_documented_spelling_of_answers() -> None:
    answers = [{"rdata": "192.0.2.7", "answer_type": "A", "answer_class": "IN"}]
    assert resolver.to_row(QUERY | {"answers": answers})["answers"] == ["192.0.2.7"]


@pytest.mark.parametrize("answers", [None, "192.0.2.1", 5, [None, [], {}, {"Type": "A"}], {}])
def test_malformed_answers_are_left_out(answers: object) -> None:
    row = resolver.to_row(QUERY | {"answers": answers})
    assert (row["answers"], row["canonical_names"], row["text_length"]) == ([], [], 0)


def test_text_answers_are_measured_in_either_spelling() -> None:
    answers = [
        {"Rdata": "a" * 200, "Type": "TXT"},
        {"rdata": "b" * 50, "answer_type": "NULL"},
        {"rdata": "192.0.2.7", "answer_type": "A"},
        {"rdata": 7, "answer_type": "MX"},
    ]
    assert resolver.to_row(QUERY | {"answers": answers})["text_length"] == 251


@pytest.mark.parametrize(
    ("port", "expected"),
    [("53", 53), (53, 53), ("-1", None), ("65536", None), ("x", None), (1.5, None), (None, None)],
)
def test_ports(port: object, expected: int | None) -> None:
    assert resolver.to_row(QUERY | {"srcport": port})["srcport"] == expected


def test_containers() -> None:
    assert resolver.matches(QUERY) == [QUERY]
    assert resolver.matches([QUERY, 5]) == [QUERY, 5]
    assert resolver.matches({"query_name": "x"}) is None


def test_root_domain_is_a_dot() -> None:
    assert resolver.to_row(QUERY | {"query_name": "."})["name"] == "."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query_name": None}, "no query_name"),
        ({"query_name": ["a"]}, "no query_name"),
        ({"query_timestamp": None}, "no query_timestamp"),
        ({"query_timestamp": "yesterday"}, "query_timestamp is not a time: 'yesterday'"),
    ],
)
def test_query_without_a_required_value_is_rejected(change: dict, reason: str) -> None:
    with pytest.raises(BadRecord, match=f"^{reason}$"):
        resolver.to_row(QUERY | change)


SENTINEL = {
    "QueryTimestamp": "9/1/2026, 3:11:55.000 AM",
    "QueryName": "Pool.Example.NET.",
    "Rcode": "NOERROR",
    "Answers": '[{"Rdata":"192.0.2.55","Type":"A"}]',
    "SrcAddr": "10.0.9.9",
    "SrcPort": "43210",
    "SrcIds": '{"instance":"i-0ffffeee"}',
    "VpcId": "vpc-0bbb",
    "Type": "AWSRoute53Resolver",
}


def test_names_of_sentinel() -> None:
    assert resolver.matches([SENTINEL]) == [SENTINEL]
    row = resolver.to_row(SENTINEL)
    assert row["query_time"] == datetime(2026, 9, 1, 3, 11, 55, tzinfo=UTC)
    assert (row["name"], row["answers"]) == ("pool.example.net", ["192.0.2.55"])
    assert (row["srcport"], row["instance_id"], row["vpc_id"]) == (43210, "i-0ffffeee", "vpc-0bbb")
    assert resolver.matches({"QueryName": "x", "Other": 1}) is None


@pytest.mark.parametrize(
    "text", ["[{rdata=192.0.2.55, type=A, class=IN}]", '[{"Rdata": "192.0.2.55", "Type": "A"}]']
)
@pytest.mark.parametrize(
    "ids", ["{instance=i-0ffffeee, resolver_endpoint=null}", '[{"instance": "i-0ffffeee"}]']
)
def test_nested_values_as_text(text, ids) -> None:
    row = resolver.to_row(QUERY | {"answers": text, "srcids": ids})
    assert (row["answers"], row["instance_id"]) == (["192.0.2.55"], "i-0ffffeee")


@pytest.mark.parametrize("text", ["", "[", "{}", "x", "[{rdata=}]", "null"])
def test_unreadable_nested_values_are_missing(text) -> None:
    row = resolver.to_row(QUERY | {"answers": text, "srcids": text})
    assert (row["answers"], row["instance_id"]) == ([], None)
