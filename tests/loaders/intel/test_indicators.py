"""Kinds of indicators by words, and ends of validity."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench.loaders.intel.indicators import (
    LEAST_SPECIFIC,
    TABLE,
    find_kind,
    normalize_kind,
    parse_end,
)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("tor-exit_nodes",), "tor"),
        (("C&C of the botnet",), "c2"),
        (("reputation of miners",), "mining"),  # the specific kind first
        ((None, "", "nothing", "Phishing kit", "tor"), "phishing"),  # the first text that has one
        (("storage", "doctor", "scandal?"), "scanner"),
        (("storage", "doctor"), None),
        ((), None),
    ],
)
def test_kinds_by_words(texts: tuple[str | None, ...], kind: str | None) -> None:
    assert find_kind(*texts) == kind


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ("botnet_cc", "c2"),
        (" White-List ", "allow"),
        ("allowlisted", "allow"),
        ("Intel::ADDR", None),
        ("N/A", None),
        (None, None),
        ("Card Skimming!", "card-skimming"),
        ("x" * 99, "x" * 40),
        ("---", None),
        ("Blocklist", LEAST_SPECIFIC),
    ],
)
def test_stated_kinds(stated: str | None, kind: str | None) -> None:
    assert normalize_kind(stated) == kind


def test_a_date_means_the_end_of_its_day() -> None:
    assert parse_end("2026-09-30") == datetime(2026, 9, 30, 23, 59, 59, 999999, UTC)
    assert parse_end("2026-09-30 00:00:00") == datetime(2026, 9, 30, tzinfo=UTC)
    assert parse_end("9999-12-31") == datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
    assert [parse_end(value) for value in ("soon", None, [], "2026-02-30")] == [None] * 4


def test_the_table_is_evidence() -> None:
    assert TABLE.columns[-2:] == ["evidence_id", "line"]
