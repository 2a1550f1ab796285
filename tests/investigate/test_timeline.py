"""The timeline: everything that matters, in one order, and nothing of what does not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.investigate import timeline
from tests.story import (
    CALLER,
    EXIT,
    HOST,
    INSTANCE,
    INTERFACE,
    KEY,
    MAKER,
    OFFICE,
    POOL,
    ROGUE,
    WEB,
    look_up,
    story,
)
from tests.traffic import T0, make_case, refused, talk

HOUR = 3600


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return story(tmp_path_factory.mktemp("timeline") / "story")


@pytest.fixture(scope="module")
def findings(case: Case) -> pd.DataFrame:
    return detect.run(case)


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def test_one_order_for_every_kind(case: Case, findings: pd.DataFrame) -> None:
    events = timeline.build(case, findings=findings)
    assert list(events.columns) == timeline.TABLE.columns
    assert events["time"].is_monotonic_increasing
    grave = findings[findings["severity"] == "high"]
    ids = {(row.detector, row.peer): row.finding_id for row in grave.itertuples()}
    at_once = sorted([ids["contact", POOL], ids["mining", POOL]])
    later = sorted([ids["beacon", EXIT], ids["contact", EXIT]])
    told = [(row.kind, row.ref if pd.notna(row.ref) else None) for row in events.itertuples()]
    assert told == [
        *(("api", ref) for ref in ("e1", "e2", "e3", "e4", "e5", "e6")),
        ("dns", None),
        *(("finding", ref) for ref in at_once),
        ("alert", "a1"),
        *(("finding", ref) for ref in later),
        ("api", "e8"),
    ]


def test_sentences_and_citations(case: Case, findings: pd.DataFrame) -> None:
    events = timeline.build(case, about=HOST, findings=findings)
    (dns,) = events[events["kind"] == "dns"].to_dict("records")
    assert dns["what"] == f"{HOST} looked up eu.pool.example and was given {POOL}, 3 times."
    assert (dns["time"], dns["until"], dns["line"]) == (at(0), at(4 * HOUR), 1)
    (alert,) = events[events["kind"] == "alert"].to_dict("records")
    assert alert["what"] == f"GuardDuty: CryptoCurrency:EC2/BitcoinTool.B with {POOL}, 4 times."
    assert (alert["severity"], alert["subject"], alert["peer"]) == ("high", HOST, POOL)
    stop = events[events["ref"] == "e8"].iloc[0]
    assert stop["what"] == f"bob called StopInstances on {INSTANCE} from {OFFICE}."
    assert (stop["principal"], stop["subject"]) == ("bob", HOST)
    cited = events[events["kind"] != "finding"]
    assert cited[["evidence_id", "line"]].notna().all().all()
    mining = events[events["what"].str.contains("mining pool client")].iloc[0]
    assert mining["until"] == at(6 * HOUR - 241)


def test_the_routine_of_others_is_left_out(case: Case, findings: pd.DataFrame) -> None:
    refs = set(timeline.build(case, about=HOST, findings=findings)["ref"].dropna())
    assert "e8" in refs  # somebody else changed the instance
    assert refs.isdisjoint({"e0", "e7", "e9"})  # somebody looked, or had other business


def test_about_an_address_holds_its_lesser_findings_too(case: Case, findings: pd.DataFrame) -> None:
    kinds = timeline.build(case, about=HOST, findings=findings)["what"].str.cat()
    assert "was refused 8 times" in kinds
    other = timeline.build(case, about=WEB, findings=findings)
    assert list(other["ref"]) == []


def test_two_answers_in_one_second_cite_one_line(tmp_path: Path) -> None:
    lines = [look_up(T0), look_up(T0), look_up(T0 - 1, name="b.pool.example.", host=WEB)]
    records = talk(HOST, POOL, 3333, T0, seconds=7 * HOUR)
    case = make_case(
        tmp_path, records, indicators=f"indicator,kind\n{POOL},mining\n", json_lines=lines
    )
    events = timeline.build(case)
    (dns,) = events[events["kind"] == "dns"].to_dict("records")
    assert (dns["line"], dns["item"]) == (1, 1)
    assert dns["what"].endswith("2 times.")


def test_notes_take_their_place(tmp_path: Path) -> None:
    case = make_case(tmp_path, talk(HOST, POOL, 443, T0))
    case.note("The owner was called", at=at(60), about=HOST)
    case.note("About another host", at=at(0), about=WEB)
    assert list(timeline.build(case)["what"]) == ["About another host", "The owner was called"]
    assert list(timeline.build(case, about=HOST)["what"]) == ["The owner was called"]


def test_lesser_findings_stand_when_there_are_no_grave_ones(tmp_path: Path) -> None:
    records = [
        refused(HOST, WEB, 3306, T0 + 900 * n, source_port=50_000 + n, interface_id="eni-w")
        for n in range(12)
    ]
    case = make_case(tmp_path, records)
    found = detect.run(case)
    assert set(found["severity"]) == {"medium"}
    assert list(timeline.build(case, findings=found)["kind"]) == ["finding"]
    assert timeline.indicators(case, found).empty


def test_what_was_attacked_inside_is_no_indicator(tmp_path: Path) -> None:
    records = [
        *talk(HOST, POOL, 3333, T0, seconds=7 * HOUR),
        *(refused(HOST, WEB, 1_000 + n, T0 + n, source_port=50_000 + n) for n in range(60)),
    ]
    case = make_case(tmp_path, records, indicators=f"indicator,kind\n{POOL},mining\n")
    found = detect.run(case)
    grave = found[found["severity"] == "high"]
    assert {"contact", "scan"} <= set(grave["detector"])
    assert WEB in set(grave["peer"])
    told = timeline.indicators(case, found)
    assert list(told.loc[told["type"] == "address", "indicator"]) == [HOST, POOL]


def test_an_empty_case(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "empty")
    found = detect.run(case)
    assert list(timeline.build(case).columns) == timeline.TABLE.columns
    assert timeline.build(case, about=HOST).empty
    assert list(timeline.indicators(case, found).columns) == timeline.INDICATORS.columns


def test_indicators_to_hand_over(case: Case, findings: pd.DataFrame) -> None:
    found = timeline.indicators(case, findings)
    rows = found[["type", "indicator", "first_seen", "last_seen"]]
    assert list(rows.itertuples(index=False, name=None)) == [
        ("access key", "AKIAEXAMPLEADA", at(-4 * HOUR), at(-4 * HOUR + 30)),
        ("access key", KEY, at(-4 * HOUR + 30), at(-HOUR + 90)),
        ("address", HOST, at(0), at(6 * HOUR - 181)),
        ("address", CALLER, at(-4 * HOUR), at(-HOUR + 90)),
        ("address", EXIT, at(60), at(6 * HOUR - 181)),
        ("address", POOL, at(0), at(6 * HOUR - 241)),
        ("domain", "eu.pool.example", at(0), at(4 * HOUR)),
        ("instance", INSTANCE, at(-HOUR + 60), at(6 * HOUR - 181)),
        ("interface", INTERFACE, at(-HOUR + 60), at(6 * HOUR - 181)),
        ("principal", MAKER, at(-4 * HOUR), at(-4 * HOUR + 30)),
        ("principal", ROGUE, at(-4 * HOUR), at(-HOUR + 90)),
    ]
    pool = found[found["indicator"] == POOL].iloc[0]
    assert (
        pool["role"]
        == "Sessions like a mining pool client's; Contact with a listed address (mining)"
    )
    assert pool["seen_by"] == HOST
    assert set(found["seen_by"]) == {HOST}
    key = found[found["indicator"] == KEY].iloc[0]
    assert (key["role"], key["evidence_id"]) == ("signed the call that started it", "event e5")


def test_the_same_case_the_same_timeline(case: Case, findings: pd.DataFrame) -> None:
    one, two = (timeline.build(case, findings=findings).to_csv() for _ in range(2))
    assert one == two
