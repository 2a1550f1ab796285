"""Look-ups of listed domains: by name, subdomain and CNAME, with and without a connection."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench import detect
from flowbench.detect.listed_domains import find_listed
from tests.detect.detectors.common import dns_case
from tests.dns_queries import CLIENT, OTHER, dns_query
from tests.traffic import T0, connect, make_case

SITE = "203.0.113.9"
ANSWER = [("A", SITE)]
LIST = (
    "indicator,kind,feed,confidence,valid_from,valid_until\n"
    "bad.example,c2,one,90,,\n"
    "bad.example,malware,two,,,\n"
    f"new.example,c2,one,50,2026-09-01T01:00:00Z,\n{SITE},scanner,one,50,,\n"
)


def test_the_values_of_look_ups(tmp_path) -> None:
    queries = [
        dns_query(T0, "a.bad.example", answers=ANSWER),
        dns_query(T0 + 60, "a.bad.example", kind="AAAA"),
        dns_query(T0 + 90, "a.bad.example", answers=ANSWER, firewall_rule_action="BLOCK"),
        dns_query(T0, "site.example", answers=[("CNAME", "b.bad.example."), *ANSWER], host=OTHER),
        dns_query(T0, "new.example", answers=ANSWER),  # before the indicator is valid
        dns_query(T0, "example", answers=ANSWER),
    ]
    rows = find_listed(dns_case(tmp_path, queries, LIST)).to_dict("records")
    assert [(r["host"], r["name"], r["domain"], r["kind"], r["feed"]) for r in rows] == [
        (CLIENT, "a.bad.example", "bad.example", "c2", "one"),
        (CLIENT, "a.bad.example", "bad.example", "malware", "two"),
        (OTHER, "site.example", "bad.example", "c2", "one"),
        (OTHER, "site.example", "bad.example", "malware", "two"),
    ]
    first = rows[0]
    assert (first["queries"], first["answered"], first["blocked"]) == (3, 1, 1)
    assert first["last_seen"] - first["first_seen"] == pd.Timedelta(90, "s")
    assert first["confidence"] == 90
    assert pd.isna(rows[1]["confidence"])
    assert not first["is_logged"]


@pytest.mark.parametrize(
    ("host", "peer", "after", "found"),
    [
        (CLIENT, SITE, 300, 0),
        (CLIENT, SITE, 3 * 86_400, 1),
        (CLIENT, SITE, -3_600, 1),
        (CLIENT, "203.0.113.10", 300, 1),
        (OTHER, SITE, 300, 1),
    ],
    ids=["followed", "much-later", "before", "elsewhere", "by-another"],
)
def test_a_connection_of_the_client_in_time(tmp_path, host, peer, after, found) -> None:
    query = dns_query(T0, "bad.example", answers=ANSWER)
    records = connect(host, peer, 443, T0 + after)
    case = make_case(tmp_path, records, indicators=LIST, json_lines=[query])
    rows = find_listed(case)
    assert rows["domain"].nunique() == found
    assert set(rows["is_logged"]) == ({host == CLIENT} if found else set())


def test_a_long_list_makes_a_finding_for_each_kind(tmp_path) -> None:
    count = 1_500
    queries = [dns_query(T0 + i, f"d{i}.example", answers=ANSWER) for i in range(count)]
    listed = "".join(f"d{i}.example,{('tracking', 'c2')[i % 2]}\n" for i in range(count))
    case = dns_case(tmp_path, queries, f"indicator,kind\n{listed}")
    findings = detect.run(case, only=["dns"], keep=False)
    assert [f.severity for f in findings] == ["high", "medium"]
    assert "d1.example, d1001.example, d1003.example and 747 more" in findings[0].summary
    assert len(case.evidence_for(findings[0])) == count / 2
