"""The warning about interfaces of which nothing tells the internal end."""

from __future__ import annotations

import pytest

from flowbench import detect
from flowbench.detect.unknown_ends import warn_of_unknown_ends
from flowbench.schema import DEFAULT_FORMAT
from tests.traffic import T0, connect, interface, make_case

A, P, OUT = "10.0.0.5", "147.32.80.9", "203.0.113.7"
VPC = {"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "147.32.0.0/16", "IsDefault": False}]}


def test_one_sentence_with_the_remedy(tmp_path) -> None:
    records = [*connect(P, OUT, 443, T0), *connect(A, OUT, 443, T0, interface_id="eni-b")]
    case = make_case(tmp_path, records, fields=DEFAULT_FORMAT)
    findings = detect.run(case, only=["contact"])
    (warning,) = findings.warnings
    assert warning == (
        "1 of 2 interfaces (eni-a): both ends of all records are public addresses, and no data"
        " source shows which end is internal. No finding covers their connections (1 of 2). Ingest"
        " the output of describe-network-interfaces or describe-vpcs, or flow logs with the field"
        " flow-direction."
    )
    assert f"Warning: {warning}" in findings._repr_html_()


@pytest.mark.parametrize(
    ("address", "more", "evidence"),
    [
        (A, {}, {}),
        (P, {"flow_direction": "egress"}, {}),
        (P, {}, {"json_lines": [VPC]}),
        (P, {}, {"interfaces": [interface(P, "a")]}),
    ],
)
def test_none_where_something_tells(tmp_path, address, more, evidence) -> None:
    case = make_case(tmp_path, connect(address, OUT, 443, T0, **more), **evidence)
    assert warn_of_unknown_ends(case) == []
