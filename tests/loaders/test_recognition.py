"""Recognition of files by their content, by the user's formats and columns, and by force."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from flowbench.errors import InputError
from flowbench.io.stream import EvidenceStream
from flowbench.loaders.base import File
from flowbench.loaders.recognition import read_records
from tests.loaders.flowlogs.test_text import CUSTOM, CUSTOM_LINE, HEADER, LINE


def recognised(
    folder: Path, data: str | bytes, name: str = "x", forced: str | None = None, **options: object
) -> tuple[str, dict[str, int], list[str]]:
    """Kind of a file, number of rows by table, and the reasons in its quarantine."""
    path = folder / "x"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    file = File(name, "unknown", EvidenceStream(path), **options)
    rows: dict[str, int] = {}
    for table, found in read_records(file, forced):
        rows[table] = rows.get(table, 0) + found.num_rows
    counts = {table: count for table, count in rows.items() if count}
    return file.kind, counts, [row["reason"] for row in file.quarantine_rows]


@pytest.mark.parametrize(
    ("data", "kind", "rows"),
    [
        (f"{HEADER}\n{LINE}\n", "flow-logs", {"flows": 1}),
        (LINE, "flow-logs", {"flows": 1}),
        (gzip.compress(LINE.encode(), mtime=0), "flow-logs", {"flows": 1}),
        ("srcaddr,dstaddr,start\n10.0.0.1,10.0.0.2,1788232200\n", "flow-logs", {"flows": 1}),
        ("192.0.2.1\n192.0.2.0/24\n", "indicators", {"indicators": 2}),
        (json.dumps({"message": LINE}), "flow-logs", {"flows": 1}),
        ("{}", "unknown", {}),
        ("", "empty", {}),
    ],
)
def test_kind_by_content_whatever_the_name(tmp_path, data, kind, rows) -> None:
    for name in ("x", "indicators.csv", "flow.parquet"):
        assert recognised(tmp_path, data, name)[:2] == (kind, rows)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"7z\xbc\xaf\x27\x1c\0\0", "a 7-Zip archive: unpack it and load the folder"),
        (b"Rar!\x1a\x07\0", "a RAR archive: unpack it and load the folder"),
        (b"\0\1\2\3", "binary data of no kind flowbench knows"),
        (b"some words of prose\n", "of no kind flowbench knows: not a flow log"),
        (b"\x1f\x8b\x08\0", "the gzip data ends early"),
        (b"", "the file is empty"),
    ],
)
def test_unrecognised_files_are_described(tmp_path, data, reason) -> None:
    _, rows, reasons = recognised(tmp_path, data)
    assert (rows, len(reasons)) == ({}, 1)
    assert reasons[0].startswith(reason)


def test_custom_format_needs_the_user_or_a_hint(tmp_path) -> None:
    kind, rows, reasons = recognised(tmp_path, CUSTOM_LINE)
    assert (kind, rows) == ("unknown", {})
    assert "give the format with --format-string" in reasons[0]
    kind, rows, _ = recognised(tmp_path, CUSTOM_LINE, formats=(CUSTOM,))
    assert (kind, rows) == ("flow-logs", {"flows": 1})


def test_columns_of_the_user_make_a_table_an_indicator_list(tmp_path) -> None:
    data = "Observed,Threat\n192.0.2.1,c2\n"
    columns = (("indicator", "Observed"), ("kind", "Threat"))
    kind, rows, _ = recognised(tmp_path, data, list_columns=columns)
    assert (kind, rows) == ("indicators", {"indicators": 1})
    other = (("indicator", "Address"),)
    _, _, reasons = recognised(tmp_path, "a b c\n", list_columns=other)
    assert reasons == ["has no header with the given columns: 'Address'"]


def test_columns_of_the_user_do_not_turn_a_flow_log_into_a_list(tmp_path) -> None:
    columns = (("indicator", "srcaddr"),)
    data = f"{HEADER}\n{LINE}\n"
    assert recognised(tmp_path, data, list_columns=columns)[:2] == ("flow-logs", {"flows": 1})
    forced = recognised(tmp_path, data, forced="flow-logs", list_columns=columns)
    assert forced[:2] == ("flow-logs", {"flows": 1})


def test_forced_kind_reads_what_its_readers_do_not_recognise(tmp_path) -> None:
    data = "words\n" * 100 + LINE
    assert recognised(tmp_path, data)[0] != "flow-logs"
    kind, rows, reasons = recognised(tmp_path, data, forced="flow-logs")
    assert (kind, rows, len(reasons)) == ("flow-logs", {"flows": 1}, 100)
    table = "srcaddr,dstaddr,start\n10.0.0.1,10.0.0.2,1788232200\n"
    assert recognised(tmp_path, table, forced="flow-logs")[:2] == ("flow-logs", {"flows": 1})
    assert recognised(tmp_path, LINE, forced="indicators")[0] == "indicators"


def test_unknown_forced_kind_names_the_kinds_of_text(tmp_path) -> None:
    with pytest.raises(InputError, match="there are: flow-logs, geography, indicators"):
        recognised(tmp_path, LINE, forced="cloudtrail")


def test_list_named_by_a_number_takes_the_names_of_its_folders(tmp_path) -> None:
    path = tmp_path / "x"
    path.write_text("192.0.2.1\n")
    for name, feed in (("tor/exits/7.txt", "tor exits 7"), ("a/tor-exits.v2.txt", "tor-exits")):
        file = File(name, "unknown", EvidenceStream(path))
        ((_, rows),) = read_records(file)
        assert rows["feed"].to_pylist() == [feed]


PROSE = "Permission is hereby granted, free of charge, to any person obtaining a copy\n"


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE",
        "feeds/README.md",
        "readme.txt",
        "LICENCE-MIT",
        "COPYING",
        "a/x.LICENSE",
        "NOTES.rst",
    ],
)
def test_documentation_beside_evidence_is_left_alone(tmp_path, name) -> None:
    assert recognised(tmp_path, PROSE, name) == ("documentation", {}, [])
    assert recognised(tmp_path, "192.0.2.1\n192.0.2.2\n", name) == ("documentation", {}, [])
    assert recognised(tmp_path, LINE, name)[:2] == ("flow-logs", {"flows": 1})  # by its content
    forced = recognised(tmp_path, "192.0.2.1\n", name, "indicators")
    assert forced[:2] == ("indicators", {"indicators": 1})
    assert recognised(tmp_path, b"\0\1", name)[2] == ["binary data of no kind flowbench knows"]


@pytest.mark.parametrize("name", ["license-list.csv.x.txt", "reading.txt", "mdx", "unlicense.json"])
def test_other_files_of_no_kind_are_named(tmp_path, name) -> None:
    reasons = recognised(tmp_path, PROSE, name)[2]
    assert bool(reasons) == (not name.startswith("license"))


SKIPPED = "eu-west-1 - - - 1788232200 - i-0a eni-0a SKIPDATA - - 1788232140 5"


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (f"{SKIPPED}\n", 13),
        (f"\n# of no format\n{SKIPPED}\n", 13),
        (SKIPPED.replace(" ", ",") + "\n", 13),
        (SKIPPED.replace(" ", "\t").replace("eu-west-1", "9/1/2026 3:10") + "\n", 14),
    ],
)
def test_the_hint_to_give_the_format(tmp_path, data, fields) -> None:
    (reason,) = recognised(tmp_path, data)[2]
    assert reason.startswith(f"looks like flow log records of {fields} fields in a custom format")
