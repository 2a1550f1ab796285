"""Volumes: bytes of records counted by hand, by flow log, day and field."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench import pricing
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.pricing.volume import name_flow_log

NAME = "123456789012_vpcflowlogs_us-east-1_fl-0a1b2c3d_20260901T0000Z_ab12cd34.log"
# 2026-09-01 03:10 and 2026-09-02 03:10 UTC.
DEFAULT = [
    "2 123456789012 eni-0a 10.0.1.10 198.51.100.7 51544 443 6 18 3120 1788232200 1788232259"
    " ACCEPT OK",
    "2 unknown eni-1 - - - - - - - 1788232210 1788232259 - NODATA",
    "2 123456789012 eni-0a 10.0.1.10 198.51.100.7 51544 443 6 1 40 1788318600 1788318659 REJECT OK",
]
CUSTOM = [
    "srcaddr dstaddr bytes start end team",
    "10.0.1.10 2001:db8::7 3120 1788232200 1788232259 naïve",
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A flow log of the default format, over two days, and a file of another format."""
    folder: Path = tmp_path_factory.mktemp("pricing")
    (folder / NAME).write_text("\n".join(DEFAULT) + "\n")
    (folder / "other.txt").write_text("\n".join(CUSTOM) + "\n")
    case = Case.create(folder / "case")
    assert case.ingest(folder / NAME, folder / "other.txt")["quarantined"].sum() == 0
    return case


def test_a_record_has_the_bytes_of_its_line(case: Case) -> None:
    rows = pricing.measure(case)
    assert rows["flow_log"].tolist() == ["files *.txt", "fl-0a1b2c3d", "fl-0a1b2c3d"]
    assert rows["day"].tolist() == [pd.Timestamp(f"2026-09-0{n}", tz="UTC") for n in (1, 1, 2)]
    assert rows["records"].tolist() == [1, 2, 1]
    assert [len(line) for line in DEFAULT] == [96, 60, 93]
    assert rows["bytes"].tolist() == [len(CUSTOM[1].encode()) + 1, 97 + 61, 94]
    assert rows["observed_s"].tolist() == [600, 600, 600]


def test_a_field_has_its_bytes_and_a_separator(case: Case) -> None:
    rows = pricing.measure_fields(case).set_index("field")
    sizes = rows[["records", "bytes"]].apply(tuple, axis=1).to_dict()
    assert sizes["start"] == (4, 44)
    assert sizes["account-id"] == (3, 13 + 8 + 13)
    assert sizes["srcaddr"] == (4, 10 + 2 + 10 + 10)  # '-' without traffic
    assert sizes["dstaddr"] == (4, 13 + 2 + 13 + 12)
    assert sizes["log-status"] == (3, 3 + 7 + 3)  # not in the other format
    assert sizes["team"] == (1, 7)  # five characters of six bytes
    assert "vpc-id" not in sizes
    assert rows["bytes"].sum() == pricing.measure(case)["bytes"].sum()
    assert rows["share"].sum() == pytest.approx(1)
    assert rows.loc["account-id", "bytes_per_record"] == pytest.approx(34 / 3)
    assert rows["bytes"].is_monotonic_decreasing


def test_some_records_can_be_measured(case: Case) -> None:
    some = pricing.measure(case, case.flows.filter(case.flows.action == "REJECT"))
    assert some[["records", "bytes"]].to_numpy().tolist() == [[1, 94]]


def test_a_month_is_extrapolated_from_slots_with_records(case: Case) -> None:
    other, first = pricing.extrapolate(pricing.measure(case)).to_dict("records")
    assert other["month_bytes"] == other["bytes"] * 4_320  # ten-minute slots of 30 days
    assert (first["records"], first["bytes"], first["observed_s"]) == (3, 252, 1_200)
    assert (first["month_records"], first["month_bytes"]) == (3 * 2_160, 252 * 2_160)
    assert first["bytes_per_record"] == pytest.approx(252 / 3)


def test_records_without_a_start_have_no_rate() -> None:
    row = {"flow_log": "fl-00000001", "records": 2, "bytes": 100, "observed_s": 0}
    (month,) = pricing.extrapolate(pricing.VOLUMES.frame([row])).to_dict("records")
    assert month["bytes"] == 100
    assert pd.isna(month["month_bytes"])


def test_a_frame_of_other_columns_is_refused() -> None:
    with pytest.raises(InputError, match="not a volumes table: it lacks flow_log"):
        pricing.extrapolate(pd.DataFrame({"records": [1]}))


def test_a_case_without_flow_logs_has_no_volume(tmp_path) -> None:
    case = Case.create(tmp_path / "case")
    assert pricing.measure(case).empty
    assert pricing.measure_fields(case).empty
    assert pricing.extrapolate(pricing.measure(case)).empty


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (f"logs/{NAME}.gz", "fl-0a1b2c3d"),
        ("a.zip/fl-0123456789abcdef0.log", "fl-0123456789abcdef0"),
        ("fl-0a1b2c3d/flows.log.gz", "files *.log.gz"),
        ("xfl-0a1b2c3d.LOG", "files *.log"),
        ("fl-0A1B2C3D.json", "files *.json"),
        ("flows", "files of other names"),
        ("a.<img src=x>", "files of other names"),
        ("a.\x1b[31m", "files of other names"),
    ],
)
def test_the_flow_log_is_named_in_the_file(file, name) -> None:
    assert name_flow_log(file) == name
