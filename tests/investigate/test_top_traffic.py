"""The largest sums of traffic."""

from __future__ import annotations

from datetime import date

import pytest

from flowbench.errors import InputError
from flowbench.investigate.top_traffic import rank_traffic
from tests.investigate.hunting_case import DATABASE, HOSTILE, MARKUP, OUT, POOL, WEB


def top(case, *by, columns=None, **options) -> list[tuple]:
    frame = rank_traffic(case, by, **options)
    return list(frame[columns or list(by)].itertuples(index=False, name=None))


def test_hosts_by_day(hunting_case) -> None:
    frame = rank_traffic(hunting_case, ["host", "host_name", "day"], most=3)
    assert list(frame) == [
        *("host", "host_name", "day", "bytes", "connections", "rejected", "answered"),
        *("bytes_sent", "bytes_received", "first_seen", "last_seen"),
    ]
    rows = frame[["host", "host_name", "day", "bytes_sent", "bytes_received"]]
    assert (
        rows.to_numpy().tolist()
        == [
            [WEB, "web", date(2026, 9, 2), 24_400, 1_310],
            [DATABASE, "db", date(2026, 9, 1), 1_600, 9_480],
            ["10.0.3.3", None, date(2026, 9, 1), 2_400, 9_000],
        ]
        or rows.isna().sum().sum() == 1
    )


def test_bursts_of_rejections(hunting_case) -> None:
    rows = top(
        hunting_case, "initiator", "hour_of_day", measure="rejected",
        columns=["initiator", "hour_of_day", "rejected"], most=1,
    )  # fmt: skip
    assert rows == [(HOSTILE, 2, 3)]


def test_ports_by_tag(hunting_case) -> None:
    by = ["initiator_tag:env", "service_port"]
    rows = top(hunting_case, *by, where="tag:env", measure="connections", columns=[*by, "rejected"])
    assert (MARKUP, 5432, 3) in rows
    assert ("prod", 443, 0) in rows


@pytest.mark.parametrize(
    ("by", "measure", "first"),
    [
        (["host"], "peers", (WEB, 3)),
        (["responder"], "initiators", (DATABASE, 2)),
        (["initiator"], "responders", (WEB, 2)),
        (["initiator"], "ports", (WEB, 2)),
        (["initiator"], "duration", (WEB, 7_259 + 2 * 59)),
        (["peer"], "bytes_received", (OUT, 15_210)),
        (["day"], "connections", (date(2026, 9, 1), 10)),
    ],
)
def test_measures(hunting_case, by, measure, first) -> None:
    assert top(hunting_case, *by, measure=measure, columns=[*by, measure])[0] == first


def test_nat_hops_count_only_if_asked_for(hunting_case) -> None:
    question = {"where": f"dst = {POOL}", "columns": ["connections", "bytes"]}
    assert top(hunting_case, "responder", **question) == [(1, 9_700)]
    assert top(hunting_case, "responder", nat_hops=True, **question) == [(2, 19_400)]


@pytest.mark.parametrize(
    ("by", "options", "message"),
    [
        ([], {}, "no column is given"),
        (["port"], {}, r"traffic has no column 'port'; the nearest: .*service_port"),
        (["initiator_tag"], {}, "no column 'initiator_tag'"),
        (["initiator_tags"], {}, "no column 'initiator_tags'"),
        (["host", "initiator_name"], {}, "host and initiator_name are columns of two views"),
        (["x\x1b"], {}, r"no column 'x\\x1b'"),
        (["day"], {"measure": "byte"}, "no measure is called 'byte'; the nearest: bytes"),
        (["day"], {"measure": "peers"}, "no measure is called 'peers'"),
        (["day"], {"most": 0}, "most=0: give a number of rows of at least 1"),
        (["day"], {"where": "dport ="}, "the filter is wrong"),
    ],
)
def test_what_cannot_be_summed(hunting_case, by, options, message) -> None:
    with pytest.raises(InputError, match=message):
        rank_traffic(hunting_case, by, **options)
