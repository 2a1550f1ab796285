"""Resolver query log records in AWS's shape."""

from __future__ import annotations

from flowbench.scenario import resolver
from flowbench.scenario.network import build


def test_a_record_names_the_query_and_its_answers() -> None:
    network = build()
    host = network["dev-devbox-1"]
    record = resolver.query(1_788_220_800, host, "git.example.com", ["203.0.113.170"])
    assert record["query_name"] == "git.example.com."
    assert record["query_timestamp"] == "2026-09-01T00:00:00Z"
    assert record["answers"] == [{"Rdata": "203.0.113.170", "Type": "A", "Class": "IN"}]
    assert record["srcids"] == {"instance": host.instance}
    assert 1_024 <= int(record["srcport"]) < 61_024
    failed = resolver.query(0, network["dev-rds-1"], "x.example", [], "NXDOMAIN")
    assert (failed["rcode"], failed["answers"], failed["srcids"]) == ("NXDOMAIN", [], {})
