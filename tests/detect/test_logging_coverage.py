"""Which interfaces the records cover, and which are missing or fell silent."""

from __future__ import annotations

from pathlib import Path

from flowbench.case import Case
from flowbench.detect.logging_coverage import (
    find_silent_interfaces,
    find_unlogged_interfaces,
    read_coverage,
)
from tests.detect.detectors.test_blind_spot import HOUR, ONE, TWO, event, logged
from tests.traffic import interface, make_case

ROLE = {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/app/i-0abcdef01"}


def test_a_case_without_records_has_no_coverage(tmp_path: Path) -> None:
    assert read_coverage(Case.create(tmp_path / "case")) is None


def test_continuous_interfaces_and_their_addresses(tmp_path: Path) -> None:
    case = make_case(tmp_path, logged(ONE, "eni-a"), interfaces=[interface(ONE, "a")])
    covered = read_coverage(case)
    assert covered is not None
    assert covered.interfaces["continuous"].tolist() == [True]
    assert covered.addresses == {"eni-a": ONE}
    assert covered.names(["eni-a", "eni-z"]) == f"eni-a ({ONE}), eni-z"


def test_interfaces_without_records_except_idle_ones(tmp_path: Path) -> None:
    known = [interface(ONE, "a"), interface(TWO, "b")]
    known.append(interface("10.0.0.7", "c", Status="available"))
    covered = read_coverage(make_case(tmp_path, logged(ONE, "eni-a"), interfaces=known))
    assert covered is not None
    assert find_unlogged_interfaces(covered)["interface_id"].tolist() == ["eni-b"]


def test_an_interface_is_silent_while_its_instance_calls_aws(tmp_path: Path) -> None:
    own = interface(TWO, "b", Attachment={"InstanceId": "i-0abcdef01"})
    records = [*logged(ONE, "eni-a", 24), *logged(TWO, "eni-b", 9)]
    calls = [event("GetObject", at * HOUR, n, userIdentity=ROLE) for n, at in enumerate((8, 15))]
    case = make_case(tmp_path, records, interfaces=[own], json_lines=calls)
    covered = read_coverage(case)
    assert covered is not None
    (row,) = find_silent_interfaces(case, covered).to_dict("records")
    assert (row["interface_id"], row["activity"]) == ("eni-b", "called AWS")
    assert (row["at"].hour, row["last"].hour) == (15, 8)
