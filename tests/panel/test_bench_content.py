"""What the hunting bench draws: bars and cells with the conditions that a click adds."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.connections import TABLE
from flowbench.investigate import where
from flowbench.investigate.crossfilter import ACTIVITY, COUNTRIES, HOSTS, SERVICES
from flowbench.panel.bench_content import (
    PAGE,
    activity_content,
    bar_content,
    describe_totals,
    row_content,
)
from flowbench.panel.bench_state import BenchState
from flowbench.schema import FLOWS

DAY = pd.Timestamp("2026-09-02", tz="UTC")
HOSTILE = "<b>web</b>\u202e"
SUMS = {"connections": 3, "rejected": 1, "bytes": 1_500}


def hours(count: int) -> pd.DataFrame:
    return ACTIVITY.frame(
        {
            "since": DAY + pd.Timedelta(hours=n),
            "until": DAY + pd.Timedelta(hours=n + 1),
            "connections": n,
            "rejected": 0,
            "bytes": 10 * n,
        }
        for n in range(count)
    )


def test_activity_and_the_brushed_period() -> None:
    drawn = activity_content(hours(4), BenchState())
    assert (drawn["first"], drawn["until"]) == (0, 4)
    assert drawn["title"] == "Connections by start, 1 hour a bar; the lower part of a bar: rejected"
    assert drawn["rows"][3] == {
        "label": "2026-09-02 03:00",
        "end": "2026-09-02 04:00",
        "value": 3,
        "rejected": 0,
        "text": "3 connections, 0 rejected, 30 B",
    }
    brushed = BenchState("", DAY + pd.Timedelta(hours=1), DAY + pd.Timedelta(hours=3), "bytes")
    drawn = activity_content(hours(4), brushed)
    assert (drawn["first"], drawn["until"], drawn["rows"][3]["value"]) == (1, 3, 30)
    nothing = activity_content(hours(0), BenchState())
    assert (nothing["rows"], nothing["title"]) == ([], "Connections by start")


def test_totals_are_a_sentence() -> None:
    brushed = BenchState("", DAY, DAY + pd.Timedelta(hours=3))
    assert describe_totals(SUMS, brushed) == (
        "3 connections, 1 rejected, 1.5 kB, starting 2026-09-02 00:00 to 2026-09-02 03:00 UTC."
    )


def test_a_long_name_is_cut_in_a_bar_but_not_in_its_title() -> None:
    host = {"address": "10.0.0.5", "name": "A" * 5_000, "internal": True, "indicators": 0} | SUMS
    none = {"services": SERVICES.frame([]), "countries": COUNTRIES.frame([])}
    hosts, *_ = bar_content({"hosts": HOSTS.frame([host]), **none}, BenchState())
    (item,) = hosts["items"]
    assert (len(item["label"]), item["label"][-2:]) == (80, "A…")
    assert len(item["title"]) > 5_000


def test_bars_say_what_a_click_adds() -> None:
    host = {"address": "10.0.0.5", "name": HOSTILE, "internal": True, "indicators": 2} | SUMS
    plain = {"address": "10.0.0.9%vpc-1", "internal": False, "indicators": 0} | SUMS
    https, unknown = {"service_port": 443, "protocol": 6}, {"service_port": 0, "protocol": None}
    tables = {
        "hosts": HOSTS.frame([host, plain]),
        "services": SERVICES.frame([https | SUMS, unknown | SUMS]),
        "countries": COUNTRIES.frame([{"country": "NL"} | SUMS]),
    }
    hosts, services, countries = bar_content(tables, BenchState(measure="bytes"))
    assert hosts["title"] == "Top talkers by bytes"
    assert hosts["items"][0] == {
        "label": "⚠ 10.0.0.5 (<b>web</b>\\u202e)",
        "title": "10.0.0.5, internal, 2 indicators, <b>web</b>\\u202e",
        "value": 1_500,
        "text": "1.5 kB",
        "condition": "ip = 10.0.0.5",
    }
    conditions = [
        item["condition"] for part in (hosts, services, countries) for item in part["items"]
    ]
    assert conditions == [
        "ip = 10.0.0.5",
        "ip = 10.0.0.9%vpc-1",
        "dport = 443 and proto = tcp",
        "dport = 0",
        "country = NL",
    ]
    assert all(where.parse(condition) for condition in conditions)


@pytest.mark.parametrize(
    ("rejected", "answered", "verdict", "condition"),
    [
        (True, False, "rejected", "rejected"),
        (False, True, "answered", "answered"),
        (False, False, "unanswered", "not rejected and not answered"),
    ],
)
def test_connections(rejected: bool, answered: bool, verdict: str, condition: str) -> None:
    row = {
        "initiator": "10.0.0.5",
        "responder": "203.0.113.9",
        "initiator_port": 40_001,
        "service_port": 443,
        "protocol": 6,
        "first_seen": DAY,
        "last_seen": DAY,
        "bytes_out": 12_345,
        "rejected": rejected,
        "answered": answered,
        "direction": "outbound",
    }
    drawn = row_content(TABLE.frame([row]), BenchState(), 10_000)
    (cells,) = drawn["rows"]
    shown = dict(zip(drawn["columns"], cells, strict=True))
    assert shown["Responder"] == {"text": "203.0.113.9", "condition": "dst = 203.0.113.9"}
    assert shown["Verdict"] == {"text": verdict, "condition": condition}
    assert shown["First seen (UTC)"]["text"] == "2026-09-02 00:00:00"
    assert (shown["Bytes out"]["text"], shown["Bytes in"]["text"]) == ("12,345", "")
    assert shown["Initiator port"]["text"] == "40001"
    assert all(where.parse(cell["condition"]) for cell in cells if cell["condition"])
    assert drawn["note"] == "Rows 1 to 1 by time."


def test_flow_records_without_traffic_have_no_pivot() -> None:
    rows = FLOWS.frame([{"start": DAY, "end": DAY, "interface_id": 'eni "x"', "line": 1_234}])
    drawn = row_content(rows, BenchState(rows="records"), 10_000)
    shown = dict(zip(drawn["columns"], drawn["rows"][0], strict=True))
    assert shown["Source"] == {"text": "", "condition": ""}
    assert shown["Interface"]["condition"] == 'interface = "eni \\"x\\""'
    assert shown["Line"]["text"] == "1234"


def test_pages() -> None:
    rows = TABLE.frame([{"service_port": 1, "protocol": 6}] * (PAGE + 1))
    first = row_content(rows, BenchState(), 10_000)
    assert (len(first["rows"]), first["has_earlier"], first["has_later"]) == (PAGE, False, True)
    last = row_content(rows, BenchState(page=1), 2 * PAGE)
    assert (last["has_earlier"], last["has_later"]) == (True, False)
    assert last["note"] == "Rows 26 to 50 by time; a narrower filter shows those that follow."


@pytest.mark.parametrize(
    ("state", "note"),
    [
        (BenchState(), "The case has no connection."),
        (BenchState("dport = 1", rows="records"), "No flow record matches."),
        (BenchState(since=DAY, until=DAY + pd.Timedelta(hours=1)), "No connection matches."),
    ],
)
def test_no_row(state: BenchState, note: str) -> None:
    assert row_content(TABLE.frame([]), state, 10)["note"] == note
