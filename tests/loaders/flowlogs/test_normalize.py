"""Normalisation: columns named, typed and ordered, missing values null."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from flowbench.io.stream import EvidenceStream
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import normalize
from flowbench.schema import FLOWS
from tests.loaders.flowlogs.test_text import HEADER, LINE, NODATA, read


def test_milliseconds_and_seconds(tmp_path) -> None:
    flows, _, _ = read(tmp_path, f"{LINE}\n{LINE.replace('1788232200', '1788232200123')}\n")
    assert [str(t) for t in flows["start"].to_pylist()] == [
        "2026-09-01 03:10:00+00:00",
        "2026-09-01 03:10:00.123000+00:00",
    ]


def test_missing_values_are_null_and_not_in_the_dictionary(tmp_path) -> None:
    flows, _, _ = read(tmp_path, f"{HEADER}\n{LINE}\n{NODATA}\n{LINE}\n")
    for name in ("srcaddr", "action", "srcport", "bytes"):
        assert flows[name].null_count == 1
        assert flows[name][1].as_py() is None
    columns = {"a": ["x", "-", "y", None, "-", "x"], "b": ["-"] * 6, "c": ["z"] * 6}
    columns |= {"d": ["z"] * 5 + ["zz"], "e": ["z"] * 5 + [None]}
    words = normalize.encode_text(pa.table(columns))
    assert words.to_pydict() == {
        name: [None if word == "-" else word for word in column] for name, column in columns.items()
    }
    assert [words[name].chunk(0).dictionary.to_pylist() for name in words.column_names] == [
        ["x", "y"],
        [],
        ["z"],
        ["z", "zz"],
        ["z"],
    ]


def test_columns_are_typed_and_ordered_and_unknown_ones_follow() -> None:
    table = pa.table(
        {
            "zeta": ["x"],
            "line": [1],
            "end": [1_788_232_259],
            "alpha": ["y"],
            "version": [2],
            "start": [1_788_232_200_000],
        }
    )
    found = normalize.finish(table)
    assert found.column_names == ["version", "start", "end", "line", "alpha", "zeta"]
    assert found["version"].type == FLOWS.arrow.field("version").type
    assert found["start"].to_pylist() == [datetime(2026, 9, 1, 3, 10, tzinfo=UTC)]
    assert found["end"].to_pylist() == [datetime(2026, 9, 1, 3, 10, 59, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("values", "is_account", "texts"),
    [
        (pa.array(["a", "", "-", "None", None]), False, ["a", None, None, None, None]),
        (pa.array([12, None]), True, ["000000000012", None]),
        (pa.array([12.0, float("nan")]), True, ["000000000012", None]),
        (pa.array(["12"]), True, ["12"]),
        (pa.array([1.5, 2.0]), False, ["1.5", "2"]),
        (pa.array([1e300]), False, ["1e+300"]),
        (pa.array([b"a\xff"]), False, ["a\\xff"]),
        (pa.array([[1, 2], None]), False, ["[1, 2]", None]),
    ],
)
def test_values_as_text(values, is_account, texts) -> None:
    column = normalize.to_text(pa.chunked_array([values]), is_account=is_account)
    assert column.to_pylist() == texts


def test_rows_that_are_not_numbers_are_quarantined_and_others_keep_their_lines(tmp_path) -> None:
    file = File("x", "flow-logs", EvidenceStream(tmp_path / "x"))
    rows = pa.table(
        {
            "srcaddr": ["10.0.0.1", "10.0.0.2", "x", "10.0.0.4"],
            "srcport": ["1", "ssh", "3", None],
            "start": ["2026-02-30 00:00:00", "1788232207", "1788232208", "1788232209"],
        }
    )
    lines, items = np.array([5, 5, 6, 7]), np.array([1, 2, 3, 4])
    raw = {1: b"one", 2: b"two", 3: b"three\r", 4: b"four"}
    found = normalize.normalize(rows, lines, raw.__getitem__, file, items)
    assert found.select(["line", "item"]).to_pylist() == [{"line": 7, "item": 4}]
    assert found["srcport"].to_pylist() == [None]
    reasons = [
        (row["line"], row["item"], row["raw"], row["reason"]) for row in file.quarantine_rows
    ]
    assert reasons == [
        (5, 1, "one", "start is not a number: '2026-02-30 00:00:00'"),
        (5, 2, "two", "srcport is not a number: 'ssh'"),
        (6, 3, "three", "srcaddr cannot be 'x'"),
    ]


def test_invalid_utf_8_is_an_arrow_error() -> None:
    text = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    with pytest.raises(pa.ArrowInvalid):
        normalize.encode_text(pa.table({"a": text}))


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("2001:DB8:0:0:0::0A", "2001:db8::a"),
        ("2001:0db8:0000:0000:0000:0000:0000:000a", "2001:db8::a"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("::FFFF:a00:5", "10.0.0.5"),
        ("0:0:0:0:0:ffff:0a00:0005", "10.0.0.5"),
        ("::1.2.3.4", "::102:304"),
        ("2001:db8::a", "2001:db8::a"),
        ("10.0.0.5", "10.0.0.5"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ],
)
@pytest.mark.parametrize("others", [[], ["2001:DB8::a", "10.0.0.5", None]])
def test_an_address_has_one_spelling(written, canonical, others) -> None:
    rows = pa.table({"srcaddr": [*others, written], "pkt_dstaddr": [written, *others]})
    found = normalize.finish(normalize.encode_text(rows))
    spelled = ["2001:db8::a", "10.0.0.5", None][: len(others)]
    assert found["srcaddr"].to_pylist() == [*spelled, canonical]
    assert found["pkt_dstaddr"].to_pylist() == [canonical, *spelled]
    words = found["srcaddr"].combine_chunks().dictionary.to_pylist()
    assert len(words) == len(set(words))


def test_hosts_of_a_log_are_counted_once_however_spelled(tmp_path) -> None:
    spellings = ["::ffff:198.51.100.10", "198.51.100.10", "::FFFF:c633:640a"]
    lines = [LINE.replace(LINE.split()[3], spelling) for spelling in spellings]
    flows, bad, _ = read(tmp_path, "\n".join(lines))
    assert (set(flows["srcaddr"].to_pylist()), bad) == ({"198.51.100.10"}, [])
