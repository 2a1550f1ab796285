"""A sequence of findings: order, suppressed ones, selection, tables."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from flowbench.detect import FINDINGS, Findings
from flowbench.errors import InputError
from tests.detect.examples import example_finding

LOW = example_finding(severity="low", subject="10.0.0.1")
HIGH = example_finding(severity="high", scores={"regularity": 0.5})
MINING = replace(example_finding(severity="medium"), detector="mining", finding_id="mining-1")
SUPPRESSED = replace(
    example_finding(severity="critical"), suppressed_by="corp", suppression_reason="test range"
)


def test_the_most_severe_is_the_first() -> None:
    findings = Findings([LOW, HIGH, MINING])
    assert list(findings) == [HIGH, MINING, LOW]
    assert (findings[0], findings[-1], len(findings)) == (HIGH, LOW, 3)
    assert list(findings[1:]) == [MINING, LOW]
    assert isinstance(findings[1:], Findings)
    assert HIGH in findings


def test_suppressed_findings_are_kept_apart() -> None:
    findings = Findings.separate([LOW, SUPPRESSED])
    assert list(findings) == [LOW]
    assert list(findings.suppressed) == [SUPPRESSED]
    assert list(findings.all) == [SUPPRESSED, LOW]


def test_selection_by_detector_severity_and_id() -> None:
    findings = Findings([LOW, HIGH, MINING], [SUPPRESSED])
    findings.kept, findings.warnings = True, ("look",)
    assert list(findings.of("mining")) == [MINING]
    assert (findings.of("mining").kept, findings.of("mining").warnings) == (True, ("look",))
    assert list(findings.of("contact").suppressed) == [SUPPRESSED]
    assert list(findings.at_least("medium")) == [HIGH, MINING]
    assert list(findings.by_id("mining-")) == [MINING]
    assert SUPPRESSED in findings.by_id(SUPPRESSED.finding_id)
    assert not findings.of("beacon")
    with pytest.raises(InputError, match="no severity is called severe; there are: low, medium"):
        findings.at_least("severe")


def test_a_pandas_frame_has_the_columns_of_the_table() -> None:
    frame = Findings([LOW, HIGH]).to_pandas()
    assert list(frame.columns) == FINDINGS.columns
    assert frame["scores"].tolist() == [{"regularity": 0.5}, {}]
    assert frame["peers"][0].tolist() == ["203.0.113.5"]
    assert str(frame["first_seen"].dt.tz) == "UTC"


def test_a_flat_frame_has_a_column_per_score() -> None:
    frame = Findings([LOW, HIGH]).to_pandas(flat=True)
    assert "scores" not in frame
    assert frame["score_regularity"][0] == 0.5
    assert frame["score_regularity"].isna().tolist() == [False, True]
    assert list(Findings().to_pandas(flat=True).columns) == [
        name for name in FINDINGS.columns if name != "scores"
    ]


def test_an_arrow_table_gives_the_same_findings() -> None:
    findings = Findings([LOW, HIGH, MINING], [SUPPRESSED])
    assert Findings.from_arrow(findings.all.to_arrow()) == findings
    assert Findings.from_arrow(Findings().to_arrow()) == Findings()
    with pytest.raises(InputError, match="not a findings table: it lacks finding_id"):
        Findings.from_arrow(pa.table({"subject": ["10.0.0.5"]}))


def test_equal_findings_are_equal() -> None:
    assert Findings([LOW, HIGH]) == Findings([HIGH, LOW])
    assert hash(Findings([LOW, HIGH])) == hash(Findings([HIGH, LOW]))
    assert Findings([LOW]) != Findings([LOW], [SUPPRESSED])
    assert Findings([LOW]) != [LOW]


def test_a_short_representation() -> None:
    assert repr(Findings([LOW, HIGH], [SUPPRESSED])) == (
        "<2 findings: 1 high, 1 low; 1 suppressed>"
    )
    assert repr(Findings()) == "<0 findings>"


def test_whether_all_peers_are_named_is_read_where_a_table_has_it() -> None:
    rows = Findings([example_finding(), example_finding(["203.0.113.5", "203.0.113.6"])]).to_arrow()
    assert [f.peers_complete for f in Findings.from_arrow(rows)] == [
        len(f.peers) == 1 for f in Findings.from_arrow(rows)
    ]
    kept = rows.append_column("peers_complete", pa.array([True, True]))
    assert [f.peers_complete for f in Findings.from_arrow(kept)] == [True, True]
