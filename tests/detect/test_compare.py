"""Two runs compared: what is new, gone, changed, and in what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from flowbench import detect
from flowbench.detect import Finding, Findings
from tests.detect.examples import AT, example_finding


def changes(before: list[Finding], after: list[Finding]) -> list[tuple[str, str]]:
    found = detect.compare(Findings.separate(before), Findings.separate(after))
    assert list(found.columns) == detect.CHANGES.columns
    return list(zip(found["change"], found["changed"], strict=True))


def test_nothing_changed() -> None:
    assert changes([], []) == []
    assert changes([example_finding()], [example_finding()]) == []


def test_new_changed_and_gone_in_that_order() -> None:
    one, two, three = (example_finding(subject=f"10.0.0.{n}") for n in (1, 2, 3))
    more = example_finding(subject="10.0.0.2", connections=1_200, last_seen=AT + pd.Timedelta("2h"))
    assert changes([one, two], [more, three]) == [
        ("new", ""),
        ("changed", "last_seen 2026-09-01 01:00:00 -> 2026-09-01 02:00:00; connections 3 -> 1,200"),
        ("gone", ""),
    ]
    found = detect.compare(Findings([one]), Findings([two]))
    assert found["subject"].tolist() == ["10.0.0.2", "10.0.0.1"]


def test_the_most_severe_come_first() -> None:
    low, critical = (
        example_finding(severity="low"),
        example_finding(severity="critical", subject="10.0.0.9"),
    )
    found = detect.compare(Findings([]), Findings([low, critical]))
    assert found["severity"].tolist() == ["critical", "low"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"severity": "critical"}, "severity high -> critical"),
        ({"score": 0.75}, "score 0.5 -> 0.75"),
        ({"summary": "another"}, "summary reworded"),
        ({"connections": 4, "summary": "4 times"}, "connections 3 -> 4"),
        ({"technique": "T1496"}, "technique reworded"),
    ],
)
def test_what_changed_is_described(more: dict[str, Any], said: str) -> None:
    assert changes([example_finding()], [example_finding(**more)]) == [("changed", said)]
    assert changes([example_finding(**more)], [example_finding()])[0][0] == "changed"


def test_more_peers_are_the_same_finding_changed() -> None:
    one, two = example_finding(["203.0.113.5"]), example_finding(["203.0.113.5", "203.0.113.6"])
    assert one.finding_id != two.finding_id
    assert changes([one], [two]) == [("changed", "peers +203.0.113.6")]
    assert changes([two], [one]) == [("changed", "peers -203.0.113.6")]
    ports = example_finding(ports=[443, 80])
    assert changes([one], [ports]) == [("changed", "service_port 443 -> several")]


def test_another_peer_or_port_is_another_finding() -> None:
    both = [("new", ""), ("gone", "")]
    assert changes([example_finding()], [example_finding(["203.0.113.6"])]) == both
    assert changes([example_finding()], [example_finding(ports=[80])]) == both
    assert changes([example_finding()], [example_finding(["203.0.113.6", "203.0.113.7"])]) == both
    assert (
        changes(
            [example_finding()],
            [example_finding(["203.0.113.5", "203.0.113.7"], subject="10.0.0.6")],
        )
        == both
    )


def test_many_peers_are_counted_not_listed() -> None:
    more = [f"203.0.113.{n}" for n in range(10, 18)]
    before, after = (
        example_finding(["203.0.113.5", "203.0.113.6"]),
        example_finding(["203.0.113.5", "203.0.113.6", *more]),
    )
    assert before.finding_id == after.finding_id
    ((_, said),) = changes([before], [after])
    assert said.endswith("203.0.113.14 and 3 more")


def test_a_finding_that_becomes_suppressed_has_changed() -> None:
    suppressed = replace(example_finding(), suppressed_by="corp", suppression_reason="ours")
    assert changes([], [suppressed]) == []
    assert changes([suppressed], []) == []
    assert changes([suppressed], [replace(suppressed, connections=9)]) == []
    assert changes([example_finding()], [suppressed]) == [("changed", "now suppressed by corp")]
    assert changes([suppressed], [example_finding()]) == [
        ("changed", "no longer suppressed by corp")
    ]


def test_two_findings_of_one_id_are_both_kept() -> None:
    found = detect.compare(Findings([]), Findings([example_finding(), example_finding()]))
    assert found["change"].tolist() == ["new", "new"]
