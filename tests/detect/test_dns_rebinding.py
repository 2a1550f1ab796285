"""Names that resolve to the instance metadata service."""

from __future__ import annotations

import pytest

from flowbench import detect
from flowbench.detect.dns_rebinding import find_rebinding
from tests.detect.detectors.common import dns_case
from tests.dns_queries import CLIENT, dns_query
from tests.traffic import T0


@pytest.mark.parametrize(
    ("kind", "address"), [("A", "169.254.169.254"), ("AAAA", "fd00:ec2:0::254")]
)
def test_a_public_name_of_the_metadata_service(tmp_path, kind: str, address: str) -> None:
    answers = [("A", "203.0.113.9"), (kind, address)]
    queries = [dns_query(T0 + i, "a.rebind.example", answers=answers) for i in range(3)]
    case = dns_case(tmp_path, [*queries, dns_query(T0, "b.example", answers=answers[:1])])
    (row,) = find_rebinding(case).to_dict("records")
    assert (row["host"], row["name"], row["queries"]) == (CLIENT, "a.rebind.example", 3)
    (finding,) = detect.run(case, only=["dns"], keep=False)
    assert finding.title == "DNS rebinding to instance metadata"
    assert (finding.severity, finding.technique) == ("high", "T1552.005")
    assert "queried a.rebind.example 3 times" in finding.summary
    assert len(case.evidence_for(finding)) == 3


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("instance-data.ec2.internal", "169.254.169.254"),
        ("instance-data", "169.254.169.254"),
        ("printer.example", "169.254.1.7"),
        ("site.example", "169.254.169.25"),
    ],
)
def test_other_names_and_addresses(tmp_path, name: str, address: str) -> None:
    assert find_rebinding(dns_case(tmp_path, [dns_query(T0, name, answers=[("A", address)])])).empty
