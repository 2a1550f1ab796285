"""Located connections, and what a policy's countries decide."""

from __future__ import annotations

import pytest

from flowbench.detect.country_traffic import (
    locate_outbound,
    prohibited_countries,
    read_summaries,
    tabulate_countries,
)
from flowbench.detect.detectors.geography import check_countries
from flowbench.segmentation import parse_policy
from tests.detect.detectors.test_geography import HOME, HOST, NORTH, case_of
from tests.traffic import T0, connect, reject

BARE = str.maketrans("", "", "{}[]")
TO_NORTH = list(connect(HOST, NORTH, 8443, T0 + 60))
REJECTED = [reject(HOST, NORTH, 8443, T0 + 120, flow_direction="egress")]


@pytest.mark.parametrize(
    ("text", "records", "state", "counts"),
    [
        ("countries: {deny: [KP]}", TO_NORTH, "violated", (1, 0, 1)),
        ("countries: {allow: [CH]}", [*TO_NORTH, *REJECTED], "violated", (2, 1, 1)),
        ("countries: {deny: [KP]}", REJECTED, "attempted", (1, 1, 0)),
        ("countries: {deny: [IR]}", TO_NORTH, "compliant", (0, 0, 0)),
        ("countries: {allow: [CH, KP]}", TO_NORTH, "compliant", (0, 0, 0)),
    ],
)
def test_what_the_countries_decide(tmp_path, text, records, state, counts) -> None:
    case = case_of(tmp_path, *connect(HOST, HOME, 443, T0), *records)
    findings, rules = check_countries(case, parse_policy(text, "policy"))
    (row,) = rules.to_dict("records")
    assert row["rule"].split() == text.replace("y:", "y").replace("w:", "w").translate(BARE).split()
    assert (row["verdict"], row["state"]) == ("deny", state)
    assert (row["connections"], row["rejected"], row["answered"]) == counts
    assert [finding.peer for finding in findings] == ([NORTH] if counts[0] else [])


def test_a_policy_without_countries_prohibits_none(tmp_path) -> None:
    case = case_of(tmp_path, *TO_NORTH)
    rule = "rules: [{from: a, to: any, verdict: allow}]"
    policy = parse_policy(f"groups: {{a: {{addresses: 10.0.0.5}}}}\n{rule}", "policy")
    located = locate_outbound(case)
    assert read_summaries(located)["country"].tolist() == ["KP"]
    assert prohibited_countries(located, policy) == []
    assert check_countries(case, policy)[0] == []
    assert len(tabulate_countries(policy, read_summaries(located).head(0))) == 0
