"""OCSF Detection Findings: what the class requires."""

from __future__ import annotations

import json

from flowbench.export import ocsf
from tests.incident_case import HOST, POOL

REQUIRED = ("activity_id", "category_uid", "class_uid", "finding_info", "metadata", "severity_id")
REQUIRED += ("time", "type_uid")  # type: ignore[assignment]


def test_required_attributes_and_their_values(case, findings) -> None:
    events = [json.loads(line) for line in ocsf.to_jsonl(case, findings).splitlines()]
    assert len(events) == len(findings) + len(findings.suppressed)
    for event in events:
        assert all(event.get(name) is not None for name in REQUIRED)
        assert (event["class_uid"], event["type_uid"], event["category_uid"]) == (2004, 200401, 2)
        assert event["metadata"]["version"] == "1.5.0"
        assert event["finding_info"]["uid"]
    (mining,) = [e for e in events if e["finding_info"]["types"] == ["mining"]]
    assert mining["severity_id"] == 4
    assert mining["time"] == 1_788_220_800_000
    values = {each["value"] for each in mining["observables"]}
    assert values == {HOST, POOL}
    assert {each["type_id"] for each in mining["observables"]} == {2}
