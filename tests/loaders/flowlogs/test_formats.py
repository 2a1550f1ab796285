"""Record formats: headers, format strings, and the choice among formats."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flowbench.errors import InputError
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.schema import DEFAULT_FORMAT, TRANSIT_GATEWAY_FORMAT, VPC_FIELDS


@pytest.mark.parametrize("text", ["", "version srcaddr", "${srcaddr} x", "$${srcaddr} $x"])
def test_other_texts_are_rejected(text) -> None:
    with pytest.raises(InputError, match="flow log format"):
        record_formats.parse_format_string(text)


DEFAULT_LINE = (
    b"2 123456789012 eni-0a 198.51.100.23 10.0.1.10 51544 22 6 18 3120"
    b" 1788232200 1788232259 ACCEPT OK"
)


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        (b"version srcaddr dstaddr", ("version", "srcaddr", "dstaddr")),
        (b"\xef\xbb\xbfaccount-id interface_id\r", ("account_id", "interface_id")),
        (b"SRCADDR DSTADDR new-field", ("srcaddr", "dstaddr", "new_field")),
        (b"srcaddr dstaddr line item", ("srcaddr", "dstaddr", "field_line", "field_item")),
        (b"srcaddr dstaddr srcaddr", ("srcaddr", "dstaddr", "srcaddr@2")),
        (b"srcaddr dstaddr line LINE", ("srcaddr", "dstaddr", "field_line", "field_line@2")),
        (b"srcaddr one two three", None),
        (b"srcaddr", None),
        (b"srcaddr 10.0.0.1", None),
        (b"srcaddr \xff", None),
        (b"srcaddr " + b"x" * 64, None),
        (b"", None),
        (DEFAULT_LINE, None),
    ],
)
def test_headers(line, columns) -> None:
    header = record_formats.parse_header(line)
    assert (header and header.columns) == columns


def test_format_string_with_a_reserved_name() -> None:
    columns = record_formats.parse_format_string("${account-id} ${line} ${evidence-id}")
    assert columns == ("account_id", "field_line", "field_evidence_id")


def test_types_of_columns() -> None:
    record_format = record_formats.DEFAULT
    assert record_format.token_count == len(DEFAULT_FORMAT) == 14
    assert record_format.types["srcaddr"] == pa.string()
    assert record_format.types["srcport"] == record_format.types["start"] == pa.int64()
    narrow = record_format.narrow_types
    assert (narrow["protocol"], narrow["srcport"]) == (pa.uint8(), pa.uint16())
    assert (narrow["version"], narrow["bytes"]) == (pa.int32(), pa.int64())
    stamped = record_formats.RecordFormat(("srcaddr", "bytes"), has_timestamp=True)
    assert (stamped.token_count, stamped.numbers) == (3, [(2, "bytes")])


@pytest.mark.parametrize(
    ("old", "new", "mismatch"),
    [
        (b" OK", b"", "13 fields where the format has 14"),
        (b"51544", b"-1", "srcport is not a number: '-1'"),
        (b"51544", b"\xff", "srcport is not a number: '\\\\xff'"),
        (b"3120", b"9" * 19, f"bytes is not a number: '{'9' * 19}'"),
        (b"eni-0a", b"eni\0", "a NUL byte"),
        (b"eni-0a", b"eni\xff", "bytes that are not text (invalid UTF-8)"),
        (b"51544", b"-", None),
        (b"ACCEPT", b"MAYBE", None),  # possible for a record, but not likely one
    ],
)
def test_mismatches(old, new, mismatch) -> None:
    tokens = DEFAULT_LINE.replace(old, new).split()
    assert record_formats.DEFAULT.find_mismatch(tokens) == mismatch
    assert record_formats.DEFAULT.is_likely(tokens) == (new == b"-")


def test_choice_among_formats() -> None:
    custom = ("srcaddr", "dstaddr", "bytes")
    known = record_formats.known_formats((custom,))
    assert [record_format.columns for record_format in known[:3]] == [
        custom,
        DEFAULT_FORMAT,
        TRANSIT_GATEWAY_FORMAT,
    ]

    def choose(line: bytes) -> record_formats.RecordFormat | None:
        return record_formats.choose_format(line.split(), known)

    assert choose(DEFAULT_LINE) == record_formats.DEFAULT
    assert choose(b"10.0.0.1 10.0.0.2 7") == record_formats.RecordFormat(custom)
    stamped = choose(b"2026-09-01T03:10:00.000Z 10.0.0.1 10.0.0.2 7")
    assert stamped == record_formats.RecordFormat(custom, has_timestamp=True)
    assert choose(b"one two 7") is None
    assert choose(b"") is None
    mismatch = stamped.find_mismatch(b"1 10.0.0.1 10.0.0.2 7".split())
    assert mismatch == "no time before the record, where the other lines have one"


@pytest.mark.parametrize(("version", "count"), [(3, 21), (4, 25), (5, 29), (7, 39), (11, 54)])
def test_all_fields_up_to_a_version_are_known_by_their_order(version, count) -> None:
    more = b" vpc-0a subnet-0a i-0a 2 IPv4 198.51.100.23 10.0.1.10 us-east-1 use1-az1 - - - -"
    line = DEFAULT_LINE.replace(b"2 ", b"%d " % version, 1) + more + b" ingress -" + b" -" * 25
    tokens = line.split()[:count]
    chosen = record_formats.choose_format(tokens, record_formats.known_formats())
    assert chosen is not None
    assert chosen.columns == tuple(n for n, f in VPC_FIELDS.items() if f.version <= version)
    tokens[18] = b"web"  # of the field ``type``
    assert record_formats.choose_format(tokens, record_formats.known_formats()) is None
    alphabetical = [token for _, token in sorted(zip(VPC_FIELDS, line.split(), strict=False))]
    assert record_formats.choose_format(alphabetical, record_formats.known_formats()) is None


def test_a_format_string_of_terraform_and_a_field_that_it_names_twice() -> None:
    columns = record_formats.parse_format_string("$${srcaddr} $${account-id} $${account-id}")
    assert columns == ("srcaddr", "account_id", "account_id@2")
    record_format = record_formats.RecordFormat((*columns, "bytes", "bytes@2"))
    assert record_format.fields == ("srcaddr", "account_id", "bytes")
    assert [name for _, name in record_format.numbers] == ["bytes", "bytes@2"]
