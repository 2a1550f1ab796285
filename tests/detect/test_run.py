"""A run of all detectors: ids, order, unknown names, an empty case, what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.errors import InputError
from tests.detect.detectors.common import HOST, LIST, TOR, periodic
from tests.detect.detectors.test_mining import mined
from tests.traffic import T0, connect, make_case, reject


def test_ids_are_stable_and_the_order_is_total(tmp_path: Path) -> None:
    records = [*periodic(HOST, TOR, 443, 300), *mined(), reject(HOST, "10.0.1.10", 22, T0)]
    first = detect.run(make_case(tmp_path / "1", records, indicators=LIST))
    again = detect.run(make_case(tmp_path / "2", reversed(records), indicators=LIST))
    ids = [finding.finding_id for finding in first]
    assert ids == [finding.finding_id for finding in again]
    assert len(ids) == len(set(ids))
    ranks = [detect.SEVERITIES.index(finding.severity) for finding in first]
    assert ranks == sorted(ranks, reverse=True)


def test_the_plan_says_what_cannot_run_and_why(tmp_path: Path) -> None:
    case = make_case(
        tmp_path,
        connect(HOST, TOR, 443, T0),
        fields=["srcaddr", "dstaddr", "srcport", "dstport", "start", "end"],
    )
    plan = detect.plan(case).set_index("detector")
    assert plan.loc["beacon", "runs"]
    assert plan.loc["contact", "reason"] == "not run: the case has no indicators"
    assert plan.loc["lateral-movement", "reason"] == "not run: needs action"
    assert detect.run(case).to_pandas()["detector"].tolist() == [
        "blind-spot"
    ]  # which says what fields lack


def test_an_unknown_detector_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no detector is called nope; there are: beacon, blind-"):
        detect.run(Case.create(tmp_path / "c"), only=["nope"])


def test_an_empty_case_has_no_findings(tmp_path: Path) -> None:
    assert not detect.run(Case.create(tmp_path / "c"))
