"""The columns of CSV lists: by header, and by the user's map."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench.errors import InputError
from flowbench.loaders.intel import list_columns
from flowbench.loaders.intel import lists as indicator_lists

FOREIGN = 'IP Address,"Threat, so called",Expires,confidence\n192.0.2.1,miner,2026-09-30,80\n'
MAP = ["indicator=ip address,valid_until=Expires", '"kind=Threat, so called"']


def mapped(text: str, words: list[str]) -> list:
    lines = enumerate(text.split("\n"), 1)
    return list(indicator_lists.read_lines(lines, "list", dict(list_columns.column_map(words))))


def test_columns_have_the_names_that_the_user_gives() -> None:
    (row,) = mapped(FOREIGN, MAP)
    assert (row["indicator"], row["kind"], row["line"]) == ("192.0.2.1", "mining", 2)
    assert row["valid_until"] == datetime(2026, 9, 30, 23, 59, 59, 999999, UTC)
    assert row["confidence"] == 80  # known by its own name
    columns = dict(list_columns.column_map(MAP))
    assert list_columns.has_mapped_columns(f"\ufeff# by us\n{FOREIGN}".encode(), columns)
    assert list_columns.has_mapped_columns(
        b"\xef\xbb\xbf# IP Address;Expires;Threat, so called\r\n", columns
    )
    assert not list_columns.has_mapped_columns(
        FOREIGN.replace("Expires", "Until").encode(), columns
    )
    assert not list_columns.has_mapped_columns(b'"\n\xff,,,\n', columns)


def test_a_map_wins_against_names() -> None:
    text = "ip,category,type\n192.0.2.1,shop,tor\n"
    (row,) = mapped(text, ["indicator=ip,kind=type,description=category"])
    assert (row["kind"], row["description"]) == ("tor", "shop")


def test_a_list_without_the_columns_is_read_by_its_names() -> None:
    (row,) = mapped("indicator,kind\n192.0.2.1,tor\n", MAP)
    assert (row["indicator"], row["kind"]) == ("192.0.2.1", "tor")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["indicator"], "not a map of columns: 'indicator'; give each of indicator, kind"),
        (["indicator="], "not a map"),
        (["indicator=a,colour=b"], "'colour=b'"),
        (["indicator=a,indicator=b"], "'indicator=b'"),
        (["kind=a"], "lacks the column of the indicator"),
    ],
)
def test_what_is_no_map(words: list[str], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        list_columns.column_map(words)


@pytest.mark.parametrize(
    ("line", "positions"),
    [
        ("indicator", {"indicator": 0}),
        ("fields\tindicator\tmeta.source", {"indicator": 0, "feed": 1}),
        ("First Seen;IP-Address|x;Dst_Port", None),
        ("first_seen;ip;dst port", {"valid_from": 0, "indicator": 1, "port": 2}),
        ("ip,name", None),  # an address alone heads many other tables
        ("ip,kind,bytes", None),  # traffic
        ('"ip,kind', None),
        ("", None),
    ],
)
def test_headers(line: str, positions: dict[str, int] | None) -> None:
    layout = list_columns.find_layout(line, {})
    assert (layout and layout.positions) == positions


def test_broken_csv_has_no_cells() -> None:
    assert list_columns.split_line('"a', ",") == []
    assert list_columns.split_line('a, "b,c"', ",") == ["a", "b,c"]
