"""DShield's block list."""

from __future__ import annotations

from flowbench.loaders.intel import dshield


def test_dshield(load) -> None:
    rows, reasons = load(
        "# DShield.org Block List\nStart\tEnd\tNetblock\tAttacks\tName\tCountry\temail\n"
        "192.0.2.0\t192.0.2.255\t24\t352\tEXAMPLE\tUS\tabuse@example.net\n"
        "198.51.100.0\t198.51.100.255\t24\t9\nbroken\n"
    )
    assert rows == [
        {"indicator": "192.0.2.0/24", "type": "network", "kind": "scanner", "feed": "DShield",
         "description": "352 targets; EXAMPLE, US"},
        {"indicator": "198.51.100.0/24", "type": "network", "kind": "scanner", "feed": "DShield",
         "description": "9 targets"},
    ]  # fmt: skip
    assert len(reasons) == 1


def test_the_first_line_with_content_decides() -> None:
    line = b"192.0.2.0\t192.0.2.255\t24\t352\n"
    assert dshield.matches_head(b"# a comment\n\nStart\tEnd\tNetblock\n" + line)
    assert not dshield.matches_head(b"192.0.2.0\t192.0.2.255\n" + line)
    assert not dshield.matches_head(b"# only a comment\n")


def test_a_range_that_ends_before_it_starts_is_rejected() -> None:
    line = "192.0.2.9\t192.0.2.1\t24\t5"
    ((number, raw, reason),) = dshield.read_lines([(7, line)], "x")
    assert (number, raw) == (7, line)
    assert reason.startswith("a range that ends before it starts")
