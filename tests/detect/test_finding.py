"""A finding: its id, its selector, its row in a table, its traffic, and limits on low ones."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from flowbench.detect import FINDINGS, Finding
from flowbench.detect.detector import Detector
from flowbench.detect.finding import (
    Traffic,
    limit_low,
    make_finding,
    severity_rank,
    sort_findings,
    sum_traffic,
)
from tests.detect.examples import AT, TRAFFIC, example_finding

DETECTOR = Detector(id="contact", title="Test", question="?", technique="T1071")


def make(peers: list[str], traffic: Traffic = TRAFFIC, **more: object) -> Finding:
    given = {"severity": "low", "score": 0.12345, "summary": "s.", "caveats": "c."} | more
    return make_finding(DETECTOR, "10.0.0.5", peers, traffic, **given)


def test_ids_are_those_of_earlier_versions() -> None:
    """Notes and decisions refer to ids: a new version must not change them."""
    assert make(["203.0.113.5"]).finding_id == "contact-cbfebdab72"
    assert make(["203.0.113.5", "203.0.113.6"]).finding_id == "contact-0d8ddf5b37"
    assert make(["203.0.113.5"], about="new").finding_id == "contact-d0447babcc"
    assert make(["203.0.113.5"], targets=["10.0.0.5"]).finding_id == "contact-fc7f5f89e3"


def test_the_id_does_not_depend_on_order_time_or_text() -> None:
    one = make(["203.0.113.5", "203.0.113.6"])
    later = TRAFFIC._replace(first_seen=AT + pd.Timedelta("1h"), connections=99)
    two = make(["203.0.113.6", "203.0.113.5", "203.0.113.5"], later, summary="other", score=1)
    assert one.finding_id == two.finding_id
    assert two.peers == ("203.0.113.5", "203.0.113.6")


def test_one_peer_and_port_or_several() -> None:
    one = make(["203.0.113.5"])
    assert (one.peer, one.service_port, one.protocol, one.score) == ("203.0.113.5", 443, 6, 0.123)
    several = make(["203.0.113.5", "203.0.113.6"], TRAFFIC._replace(ports=(80, 443), protocol=None))
    assert (several.peer, several.service_port, several.protocol) == (None, None, None)
    assert several.evidence.ports == (80, 443)


def test_port_0_selects_nothing_and_targets_stand_for_the_subject() -> None:
    finding = make(["203.0.113.5"], TRAFFIC._replace(ports=(0,)), targets=["10.0.0.9", "10.0.0.8"])
    assert (finding.service_port, finding.evidence.ports) == (0, ())
    assert list(finding.ends()) == [("10.0.0.8", "203.0.113.5"), ("10.0.0.9", "203.0.113.5")]
    assert list(make(["203.0.113.5"]).ends()) == [("10.0.0.5", "203.0.113.5")]


def test_a_finding_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make([]).severity = "high"  # type: ignore[misc]


@pytest.mark.parametrize(
    "finding",
    [
        make(["203.0.113.5"], scores={"regularity": 0.98765, "sizes": 1}),
        make([], TRAFFIC._replace(ports=(), protocol=None)),
        make(["2001:db8::1"], targets=["fd00::5"]),
        dataclasses.replace(make(["203.0.113.5"]), suppressed_by="corp", suppression_reason=""),
    ],
)
def test_a_row_gives_the_same_finding(finding: Finding) -> None:
    (row,) = FINDINGS.rows([finding.to_row()]).to_pylist()
    assert Finding.from_row(row) == finding


def test_scores_are_rounded_and_named() -> None:
    assert make([], scores={"regularity": 0.98765}).scores == {"regularity": 0.988}


def rows(**columns: list[object]) -> pd.DataFrame:
    given = {
        "service_port": [443, 80, 443],
        "protocol": [6, 6, 6],
        "first_seen": [AT, AT - pd.Timedelta("1h"), AT],
        "last_seen": [AT, AT, AT + pd.Timedelta("1h")],
        "connections": [1, 2, 3],
        "bytes_out": [10, 20, 30],
        "bytes_in": [1, 2, 3],
    }
    return pd.DataFrame(given | columns)


def test_traffic_is_summed() -> None:
    traffic = sum_traffic(rows())
    assert sorted(traffic.ports) == [80, 443]
    assert (traffic.first_seen, traffic.last_seen) == (
        AT - pd.Timedelta("1h"),
        AT + pd.Timedelta("1h"),
    )
    assert traffic[4:] == (6, 60, 6)
    assert sum_traffic(rows(sent=[1, 1, 1]), bytes_out="sent").bytes_out == 3


@pytest.mark.parametrize(
    ("protocols", "protocol"), [([6, 6, 6], 6), ([6, 17, 6], None), ([6, pd.NA, 6], None)]
)
def test_one_protocol_or_none(protocols: list[object], protocol: int | None) -> None:
    column = pd.array(protocols, dtype="Int32")
    assert sum_traffic(rows(protocol=column)).protocol == protocol


def test_the_most_severe_come_first() -> None:
    low = example_finding(severity="low", score=0.9)
    high = example_finding(severity="high", score=0.1)
    better = example_finding(severity="high", score=0.2, subject="10.0.0.9")
    assert sort_findings([low, high, better]) == [better, high, low]
    assert [severity_rank(name) for name in ("critical", "high", "medium", "low")] == [0, 1, 2, 3]


def test_low_findings_are_limited_with_a_caveat() -> None:
    findings = [example_finding(severity="low", subject=f"10.0.0.{n}") for n in (3, 1, 2)]
    findings.append(example_finding(severity="high"))
    kept = limit_low(findings, 2, lambda finding: finding.subject, "hosts are like this")
    assert [finding.subject for finding in kept] == ["10.0.0.1", "10.0.0.2", "10.0.0.5"]
    assert kept[0].caveats.endswith("3 hosts are like this; 2 are listed.")
    assert kept[2].caveats == findings[3].caveats
    assert limit_low(findings, 3, lambda finding: finding.subject, "x") == findings
