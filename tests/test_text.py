"""Text for people, and hostile text made safe to print."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench import text

FIRST = datetime(2026, 9, 2, 3, 9, 12, 999_999, tzinfo=UTC)
LAST = datetime(2026, 9, 3, 11, 18, 5, tzinfo=UTC)


def test_times_are_cut_not_rounded() -> None:
    assert text.format_date(FIRST) == "2026-09-02"
    assert text.format_time(FIRST) == "2026-09-02 03:09"
    assert text.format_time(FIRST, seconds=True) == "2026-09-02 03:09:12"
    assert text.format_utc(FIRST) == "2026-09-02 03:09 UTC"
    assert text.format_period(FIRST, LAST) == "2026-09-02 03:09 to 2026-09-03 11:18 UTC"
    assert text.format_period(FIRST, LAST, seconds=True).endswith("to 2026-09-03 11:18:05 UTC")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1.0 min"),
        (7_199, "120.0 min"),
        (7_200, "2.0 h"),
        (115_920, "32.2 h"),
        (172_800, "2.0 days"),
    ],
)
def test_durations_have_the_unit_of_their_size(seconds, expected) -> None:
    assert text.format_duration(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_250_000, "1.2 MB"), (3.4e12, "3400.0 GB")],
)
def test_bytes_are_counted_in_decimal_units(count, expected) -> None:
    assert text.format_bytes(count) == expected


def test_counts_agree_with_their_noun() -> None:
    assert text.format_count(1, "host") == "1 host"
    assert text.format_count(0, "host") == "0 hosts"
    assert text.format_count(1_024, "entry", "entries") == "1,024 entries"


def test_long_lists_end_with_the_number_of_the_rest() -> None:
    assert text.list_some([]) == ""
    assert text.list_some(range(5)) == "0, 1, 2, 3, 4"
    assert text.list_some(range(2_005), 1, separator="; ", rest="ports") == "0 and 2,004 ports"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10.0.0.1", True),
        ("2001:db8::1", True),
        ("::ffff:10.0.0.1", True),
        ("10.0.0.1/32", False),
        ("010.0.0.1", False),
        ("10.0.0", False),
        ("", False),
        ("internet", False),
    ],
)
def test_an_address_is_ipv4_or_ipv6_and_nothing_else(value, expected) -> None:
    assert text.is_address(value) is expected


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\x9b31m", "\\x9b31m"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u061cb", "a\\u061cb"),
        ("pay\u200bpal", "pay\\u200bpal"),
        ("\ufeffx\u2060\u00ad", "\\ufeffx\\u2060\\xad"),
        ("one\u2028two\u2029", "one\\u2028two\\u2029"),
        ("\U000e0041\U000e007f\U000e0101", "\\U000e0041\\U000e007f\\U000e0101"),
        ("\ufe0f\u3164\ud800", "\\ufe0f\\u3164\\ud800"),
        (None, "None"),
        ("ünï ☃ 東京 🦀 שלום", "ünï ☃ 東京 🦀 שלום"),
    ],
)
def test_control_and_direction_characters_are_shown_as_codes(hostile, shown) -> None:
    assert text.escape_controls(hostile) == shown


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ("a,b\r\nc,d\r\n", "a,b\nc,d\n"),
        ("a\x1b[2J,\u202e\n", "a\\x1b[2J,\\u202e\n"),
        ("over\rwritten\t\n", "over\\x0dwritten\\x09\n"),
        ("", ""),
    ],
)
def test_lines_for_a_terminal_keep_only_their_ends(lines, shown) -> None:
    assert text.escape_lines(lines) == shown


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("2001:DB8:0::A", "2001:db8::a"), ("::ffff:10.0.0.5", "10.0.0.5"), ("x", "x"), ("", "")],
)
def test_an_address_has_one_spelling(written, canonical) -> None:
    assert text.canonical_address(written) == canonical


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_gets_a_quote(start) -> None:
    assert text.escape_formula(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"


@pytest.mark.parametrize("value", ["10.0.0.1", "", -5, None])
def test_other_cells_stay_as_they_are(value) -> None:
    assert text.escape_formula(value) == value


def test_characters_that_no_table_holds_are_replaced() -> None:
    assert text.replace_unstorable("a\0b\udcff") == "a\ufffdb\ufffd"
    text.replace_unstorable("a\0b\udcff").encode()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.log", "plain.log"),
        (b"\xff.log".decode("utf-8", "surrogateescape"), "\\xff.log"),
        ("\ud800.log", "\\ud800.log"),
        ("a\0b", "a\\x00b"),
    ],
)
def test_file_names_that_are_not_utf8_become_text(name, shown) -> None:
    assert text.escape_undecodable(name) == shown


@pytest.mark.parametrize(
    ("value", "parts", "expected"),
    [
        ("10.0.0.5", ("10.0.0.5", None), True),
        ("10.0.0.5%vpc-0a1", ("10.0.0.5", "vpc-0a1"), True),
        ("fd00::5%111122223333", ("fd00::5", "111122223333"), True),
        ("10.0.0.5%", ("10.0.0.5", ""), False),
        ("10.0.0.5%a b", ("10.0.0.5", "a b"), False),
        ("db.example%vpc-0a1", ("db.example", "vpc-0a1"), False),
    ],
)
def test_addresses_with_a_zone(value, parts, expected) -> None:
    assert text.split_zone(value) == parts
    assert text.is_address(value) is expected


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more"),
    ],
)
def test_a_list_of_a_sentence(items, expected) -> None:
    assert text.join_words(items, 3) == expected


def test_a_list_of_parts_with_commas() -> None:
    assert text.join_words(["a, b", "c"], separator="; ") == "a, b; and c"


def test_messages_repeat_no_name_of_any_length() -> None:
    short = f"{'x' * 299}: no such file; give another"
    assert text.cut_message(short) == short
    cut = text.cut_message(f"'{'x' * 100_000}' is no address")
    assert cut == f"'{'x' * 99}… (100,002 characters) …{'x' * 49}' is no address"
    sentence = text.cut_message("word " * 9_000 + "the remedy")
    assert len(sentence) < 3_100
    assert sentence.endswith("word the remedy")
