"""Two runs compared: what is new, gone, changed, and in what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from flowbench import detect
from flowbench.detect import Finding, Findings
from flowbench.detect.detectors import contact
from flowbench.detect.finding import Traffic, make_finding

AT = pd.Timestamp("2026-09-01 00:00:00", tz="UTC")


TRAFFIC = Traffic((443,), 6, AT, AT + pd.Timedelta("1h"), 3, 10, 20)


def made(peers: Iterable[str] = ("203.0.113.5",), **more: Any) -> Finding:
    given: dict[str, Any] = {
        "severity": "high",
        "score": 0.5,
        "subject": "10.0.0.5",
        "summary": "because",
        "caveats": "",
    } | more
    traffic = TRAFFIC._replace(**{n: given.pop(n) for n in Traffic._fields if n in given})
    return make_finding(contact.DETECTOR, given.pop("subject"), peers, traffic, **given)


def changes(before: list[Finding], after: list[Finding]) -> list[tuple[str, str]]:
    found = detect.compare(Findings.separate(before), Findings.separate(after))
    assert list(found.columns) == detect.CHANGES.columns
    return list(zip(found["change"], found["changed"], strict=True))


def test_nothing_changed() -> None:
    assert changes([], []) == []
    assert changes([made()], [made()]) == []


def test_new_changed_and_gone_in_that_order() -> None:
    one, two, three = (made(subject=f"10.0.0.{n}") for n in (1, 2, 3))
    more = made(subject="10.0.0.2", connections=1_200, last_seen=AT + pd.Timedelta("2h"))
    assert changes([one, two], [more, three]) == [
        ("new", ""),
        ("changed", "last_seen 2026-09-01 01:00:00 -> 2026-09-01 02:00:00; connections 3 -> 1,200"),
        ("gone", ""),
    ]
    found = detect.compare(Findings([one]), Findings([two]))
    assert found["subject"].tolist() == ["10.0.0.2", "10.0.0.1"]


def test_graver_ones_come_first() -> None:
    low, critical = made(severity="low"), made(severity="critical", subject="10.0.0.9")
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
def test_what_changed_is_said(more: dict[str, Any], said: str) -> None:
    assert changes([made()], [made(**more)]) == [("changed", said)]
    assert changes([made(**more)], [made()])[0][0] == "changed"


def test_more_peers_are_one_finding_that_grew() -> None:
    one, two = made(["203.0.113.5"]), made(["203.0.113.5", "203.0.113.6"])
    assert one.finding_id != two.finding_id
    assert changes([one], [two]) == [("changed", "peers +203.0.113.6")]
    assert changes([two], [one]) == [("changed", "peers -203.0.113.6")]
    ports = made(ports=[443, 80])
    assert changes([one], [ports]) == [("changed", "service_port 443 -> several")]


def test_another_peer_or_port_is_another_finding() -> None:
    both = [("new", ""), ("gone", "")]
    assert changes([made()], [made(["203.0.113.6"])]) == both
    assert changes([made()], [made(ports=[80])]) == both
    assert changes([made()], [made(["203.0.113.6", "203.0.113.7"])]) == both
    assert changes([made()], [made(["203.0.113.5", "203.0.113.7"], subject="10.0.0.6")]) == both


def test_many_peers_are_counted_not_listed() -> None:
    more = [f"203.0.113.{n}" for n in range(10, 18)]
    before, after = (
        made(["203.0.113.5", "203.0.113.6"]),
        made(["203.0.113.5", "203.0.113.6", *more]),
    )
    assert before.finding_id == after.finding_id
    ((_, said),) = changes([before], [after])
    assert said.endswith("203.0.113.14 and 3 more")


def test_hidden_findings_are_told_when_they_become_so() -> None:
    hidden = replace(made(), suppressed_by="corp", suppression_reason="ours")
    assert changes([], [hidden]) == []
    assert changes([hidden], []) == []
    assert changes([hidden], [replace(hidden, connections=9)]) == []
    assert changes([made()], [hidden]) == [("changed", "now suppressed by corp")]
    assert changes([hidden], [made()]) == [("changed", "no longer suppressed by corp")]


def test_two_findings_of_one_id_are_both_kept() -> None:
    found = detect.compare(Findings([]), Findings([made(), made()]))
    assert found["change"].tolist() == ["new", "new"]
