"""Domains that do not exist: how many in an hour, and which look random."""

from __future__ import annotations

import pytest

from flowbench.detect.generated_domains import find_generated, looks_random
from tests.detect.detectors.common import dns_case
from tests.dns_queries import CLIENT, OTHER, data_labels, dns_query
from tests.traffic import T0


@pytest.mark.parametrize(
    "domain",
    [
        "qxzvkwpjfh.com",
        "a1b2c3d4e5.net",
        "kqjxzw.co.uk",
        "0f9cfb7a9acc.ru",
        "wlmpfyvzb.duckdns.org",
    ],
)
def test_random_labels(domain: str) -> None:
    assert looks_random(domain)


@pytest.mark.parametrize(
    "domain",
    ["qxzv.com", "xn--bcher-kva.example", "mountainwinter.net", "international.org", "", "."],
)
def test_words_short_and_internationalized_labels(domain: str) -> None:
    assert not looks_random(domain)


def missing(count: int, *, seed: int = 1, **more: object) -> list[dict]:
    labels = data_labels(count, 10, "abcdefghijklmnopqrstuvwxyz", seed=seed)
    given = {"rcode": "NXDOMAIN"} | more
    return [dns_query(T0 + i, f"x.{label}.com", **given) for i, label in enumerate(labels)]


def found(folder, queries: list[dict], **more: float):
    case = dns_case(folder, queries)
    return find_generated(case, **({"hourly_domains": 10, "share": 0.5} | more)).to_dict("records")


def test_the_values_of_a_burst(tmp_path) -> None:
    known = [
        dns_query(T0 + 60, f"www.site{i}.example", answers=[("A", "203.0.113.9")]) for i in range(5)
    ]
    (row,) = found(tmp_path, [*missing(20), *missing(20), *known])
    assert (row["host"], row["hours"], row["most"]) == (CLIENT, 1, 20)
    assert (row["domains"], row["queries"]) == (20, 40)
    assert row["missing_share"] == 20 / 25
    assert row["random_share"] >= 0.8
    assert row["examples"][0] == missing(1)[0]["query_name"].removeprefix("x.").rstrip(".")
    assert row["resolved"] == []


@pytest.mark.parametrize(("count", "hourly", "rows"), [(9, 10, 0), (10, 10, 1), (10, 11, 0)])
def test_the_count_of_an_hour(tmp_path, count: int, hourly: int, rows: int) -> None:
    assert len(found(tmp_path, missing(count), hourly_domains=hourly)) == rows


def test_domains_that_exist_for_another_client_or_name_do_not_count(tmp_path) -> None:
    queries = missing(12)
    exist = [
        dns_query(T0 + 9_000, query["query_name"].removeprefix("x.").rstrip("."), host=OTHER)
        for query in queries[:3]
    ]
    assert not found(tmp_path, [*queries, *exist])


@pytest.mark.parametrize(("action", "rows"), [("BLOCK", 0), ("ALERT", 1), (None, 1)])
def test_answers_of_the_firewall_do_not_count(tmp_path, action: str | None, rows: int) -> None:
    assert len(found(tmp_path, missing(20, firewall_rule_action=action))) == rows
