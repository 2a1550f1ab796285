"""A run of all detectors: ids, order, unknown names, an empty case, what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import history
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


def test_an_unknown_detector_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="no detector is called nope; there are: api-abuse, beacon, "
    ):
        detect.run(Case.create(tmp_path / "c"), only=["nope"])


def test_an_empty_case_has_no_findings(tmp_path: Path) -> None:
    assert not detect.run(Case.create(tmp_path / "c"))


def test_a_run_of_all_detectors_is_kept(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, TOR, 443, T0), indicators=LIST)
    findings = detect.run(case)
    assert (findings.kept, findings.not_kept_reason) == (True, "")
    kept = history.last_run(case)
    assert kept is not None
    assert kept.findings == findings


@pytest.mark.usefixtures("few_detectors")
def test_a_run_that_is_not_kept_states_why(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, TOR, 443, T0), indicators=LIST)
    for findings, reason in (
        (detect.run(case, only=["contact"]), "only some detectors ran"),
        (detect.run(case, keep=False), "not asked for"),
    ):
        assert (findings.kept, findings.not_kept_reason) == (False, reason)
    assert history.last_run(case) is None
    (case.path / "findings").write_text("not a folder")
    findings = detect.run(case)
    assert len(findings.of("contact")) == 1
    assert not findings.kept
    assert findings.not_kept_reason.startswith("cannot write ")


def test_a_cached_table_that_was_changed_is_a_warning(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, TOR, 443, T0), indicators=LIST)
    assert not detect.run(case, only=["contact"]).warnings
    (path,) = case.path.glob("cache/*/connections-2*.parquet")
    path.write_bytes(path.read_bytes()[:-1])
    findings = detect.run(Case.open(case.path), only=["contact"])
    assert [finding.detector for finding in findings] == ["contact"]
    assert f"{path.name} was changed since flowbench wrote it" in findings.warnings[0]
