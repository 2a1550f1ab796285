"""The bound on information in names: what it counts, for a day, and what it leaves out."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.detect.dns_tunnelling import dns_clients, find_tunnels, information_in
from tests.detect.detectors.common import dns_case
from tests.dns_queries import BASE32, CLIENT, HEX, OTHER, data_labels, dns_query
from tests.traffic import T0

DOMAIN = "evil.example"
DAY = 86_400


def names(labels: list[str]) -> pd.Series:
    return pd.Series([f"{label}.{DOMAIN}" for label in labels])


@pytest.mark.parametrize(
    ("labels", "least", "most"),
    [
        (data_labels(500, 100, BASE32), 500 * 62, 500 * 70),  # 5 bits a character are 62.5 bytes
        (data_labels(500, 100, HEX), 500 * 50, 500 * 60),  # 4 bits are 50
        ([f"host{i:04d}" for i in range(500)], 100, 500 * 3),
        ([f"{i % 250}.{i % 7}.51.198.zen" for i in range(1_500)], 1, 20),
        ([".".join(f"{i:032x}") for i in range(500)], 0, 0),
        (["\\303\\244\\001" * 20] * 400, 1, 30),
    ],
    ids=["base32", "hex", "counter", "reversed-ipv4", "reversed-ipv6", "escaped"],
)
def test_information_is_bounded_by_compression(labels: list[str], least: int, most: int) -> None:
    assert least <= information_in(names(labels), DOMAIN) <= most


def test_the_domain_itself_has_no_information() -> None:
    assert information_in(pd.Series([DOMAIN]), DOMAIN) == 0


def test_the_values_of_a_tunnel(tmp_path) -> None:
    labels = data_labels(100, 120)
    queries = [
        dns_query(T0 + 60 * i, f"{label}.{DOMAIN}", kind=kind, answers=[("TXT", "x" * 30)])
        for i, label in enumerate(labels)
        for kind in ("TXT", "A")
    ]
    (row,) = find_tunnels(dns_case(tmp_path, queries), daily_bytes=4_000).to_dict("records")
    assert (row["host"], row["domain"]) == (CLIENT, DOMAIN)
    assert (row["queries"], row["names"], row["data_share"]) == (200, 100, 0.5)
    assert row["name_length"] == 121  # two labels of 60 characters
    assert row["text"] == row["daily_text"] == 3_000  # once for each name
    assert 100 * 75 <= row["information"] <= 100 * 85
    assert (row["shared"], row["answers"]) == (False, "")
    assert row["first_seen"] == pd.Timestamp(T0, unit="s", tz="UTC")
    assert row["last_seen"] - row["first_seen"] == pd.Timedelta(99, "min")


@pytest.mark.parametrize(("days", "found"), [(1, True), (4, False)])
def test_the_bound_is_for_a_day(tmp_path, days: int, found: bool) -> None:
    labels = data_labels(100, 120)
    queries = [
        dns_query(T0 + i % days * DAY, f"{label}.{DOMAIN}") for i, label in enumerate(labels)
    ]
    assert len(find_tunnels(dns_case(tmp_path, queries), daily_bytes=4_000)) == found


def test_a_repeated_name_counts_on_its_first_day(tmp_path) -> None:
    labels = data_labels(30, 120)
    queries = [
        dns_query(T0 + day * DAY, f"{label}.{DOMAIN}") for day in range(9) for label in labels
    ]
    assert find_tunnels(dns_case(tmp_path, queries), daily_bytes=4_000).empty


def test_clients_are_addresses_or_else_instances(tmp_path) -> None:
    lambda_host = dns_query(T0, "b.example") | {"srcaddr": None, "srcids": {"instance": "i-1"}}
    unknown = dns_query(T0, "c.example") | {"srcaddr": None}
    case = dns_case(tmp_path, [dns_query(T0, "a.example", host=OTHER), lambda_host, unknown])
    found = dns_clients(case.dns).order_by("name").select("name", "host").to_pandas()
    assert found.values.tolist() == [["a.example", OTHER], ["b.example", "i-1"]]


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([("A", "127.0.0.4")], "codes"),
        ([("A", "127.0.0.1")], ""),
        ([("A", "10.1.2.3")], "private"),
        ([("A", "10.1.2.3"), ("A", "203.0.113.9")], ""),
        ([("AAAA", "fd00::7")], "private"),
        ([("A", "10.1.2.3"), ("TXT", "x")], ""),
        ([], ""),
    ],
)
def test_answers_with_a_harmless_reason(tmp_path, answers: list, kind: str) -> None:
    queries = [
        dns_query(T0 + i, f"{label}.{DOMAIN}", answers=answers)
        for i, label in enumerate(data_labels(60, 180))
    ]
    (row,) = find_tunnels(dns_case(tmp_path, queries), daily_bytes=4_000).to_dict("records")
    assert row["answers"] == kind
