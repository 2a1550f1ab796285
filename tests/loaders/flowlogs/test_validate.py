"""Validation: which values are impossible, and the records that have them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flowbench.io.stream import EvidenceStream
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import normalize, validate
from tests.loaders.flowlogs.test_text import HEADER, LINE, read


def test_impossible_value_among_lines_of_the_fast_path(tmp_path) -> None:
    negative = LINE.replace(" 3120 ", " -3120 ")
    flows, bad, _ = read(tmp_path, f"{HEADER}\n{LINE}\n{negative}\n{LINE}\n")
    assert flows["line"].to_pylist() == [2, 4]
    assert [(row["line"], row["raw"]) for row in bad] == [(3, negative)]


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        ("srcport", 65_535, True),
        ("dstport", 65_536, False),
        ("protocol", 255, True),
        ("protocol", 256, False),
        ("version", 2**31, False),
        ("bytes", 10**14, True),
        ("bytes", 10**14 + 1, False),
        ("bytes", 2**63 - 1, False),
        ("packets", 5 * 10**12, True),
        ("packets", 2**62, False),
    ],
)
def test_limits_of_numbers(tmp_path, field, value, good) -> None:
    words = dict(zip(HEADER.split(), LINE.split(), strict=True))
    line = " ".join((words | {field: str(value)}).values())
    flows, bad, _ = read(tmp_path, f"{HEADER}\n{LINE}\n{line}\n")
    assert flows["line"].to_pylist() == ([2, 3] if good else [2])
    assert [row["line"] for row in bad] == ([] if good else [3])
    if good:
        assert flows[field][1].as_py() == value
    else:
        assert str(value) in bad[0]["reason"]


@pytest.mark.parametrize(
    ("name", "value", "is_possible"),
    [
        ("srcaddr", "10.0.0.1", True),
        ("srcaddr", "255.255.255.255", True),
        ("srcaddr", "10.0.0.256", False),
        ("srcaddr", "010.0.0.1", False),
        ("srcaddr", "10.0.0.1 ", False),
        ("dstaddr", "::ffff:10.0.0.1", True),
        ("dstaddr", "fe80::1%eth0", False),
        ("pkt_srcaddr", "2600:1f18::1", True),
        ("pkt_dstaddr", "localhost", False),
        ("action", "REJECT", True),
        ("action", "reject", False),
        ("log_status", "INCOMPLETEDATA", True),
        ("log_status", "", False),
        ("interface_id", "anything", True),
        ("brand_new", "anything", True),
        ("protocol", 255, True),
        ("protocol", 256, False),
        ("srcport", -1, False),
        ("version", 2**31, False),
        ("start", 631_152_000, True),
        ("end", 631_151_999, False),
        ("start", 0, False),
        ("start", 4_102_444_799, True),
        ("end", 4_102_444_800, False),
        ("start", 1_788_232_200_123, True),  # milliseconds
        ("start", 4_102_444_800_000, False),
        ("start", 253_402_300_799_999, False),
        ("bytes", 10**14, True),
        ("bytes", 2**63 - 1, False),
        ("packets_lost_no_route", 2**63 - 1, False),
        ("brand_new", -1, False),
    ],
)
def test_possible_values(name, value, is_possible) -> None:
    table = normalize.encode_text(pa.table({name: [value, None, value]}))
    faults = validate.find_faults(table)
    reason = f"{name.replace('_', '-')} cannot be {str(value)!r}"
    assert [faults[row][: len(reason)] for row in sorted(faults)] == (
        [] if is_possible else [reason, reason]
    )


DAY = 1_788_232_200
TEN_YEARS = 10 * 366 * 86_400


@pytest.mark.parametrize(
    ("times", "faulty"),
    [
        ([DAY, DAY + TEN_YEARS, DAY], []),
        ([DAY, DAY + TEN_YEARS + 1, DAY], [1]),
        ([DAY, DAY * 1000, DAY - TEN_YEARS - 1], [2]),
        ([DAY, None, 0, 253_402_300_799], [2, 3]),
        ([DAY + TEN_YEARS + 1, DAY], []),  # which is wrong?
        ([1_000_000_000, 1_000_000_060], []),  # an old capture
        ([0, 60], [0, 1]),
        ([None, None], []),
        ([], []),
    ],
)
def test_times_far_from_those_around_them(times, faulty) -> None:
    table = pa.table({"start": pa.array(times, pa.int64())})
    assert sorted(validate.find_faults(table)) == faulty


def test_narrow_types_are_not_checked_again() -> None:
    table = pa.table({"protocol": pa.array([255, 0], pa.uint8())})
    assert validate.find_faults(table) == {}


def test_first_fault_of_a_row_is_its_reason_and_shown_values_are_short() -> None:
    table = pa.table({"srcaddr": ["x" * 100], "action": ["no"]})
    faults = validate.find_faults(normalize.encode_text(table))
    assert faults == {0: f"srcaddr cannot be '{'x' * 40}'"}


def test_faulty_records_are_quarantined_by_line_or_item(tmp_path) -> None:
    table = pa.table({"srcport": [1, 70_000, 3], "line": [2, 3, 4]})
    file = File("x", "flow-logs", EvidenceStream(tmp_path / "x"))
    found = validate.quarantine_faults(table, {3: b"bad\r"}.__getitem__, file)
    assert found["line"].to_pylist() == [2, 4]
    row = file.quarantine_rows[0]
    assert (row["line"], row["item"], row["raw"]) == (3, None, "bad")
    items = table.append_column("item", pa.array([7, 8, 9]))
    validate.quarantine_faults(items, {8: b"by item"}.__getitem__, file)
    row = file.quarantine_rows[1]
    assert (row["line"], row["item"], row["raw"]) == (3, 8, "by item")
    assert row["reason"] == "srcport cannot be '70000'"
