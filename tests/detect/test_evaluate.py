"""Detectors measured on labelled pairs: what counts, in which direction, and on which records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.detect.evaluate import (
    COLUMNS,
    evaluate,
    list_errors,
    load_case,
    measure,
    merge_windows,
    recorded_pairs,
)
from flowbench.detect.labels import read_labels
from flowbench.errors import InputError
from flowbench.schema import DEFAULT_FORMAT, to_frame
from tests.detect.examples import example_finding
from tests.detect.test_labels import write_labels
from tests.traffic import T0, Record, connect, make_case, reject

HOST, C2, SITE = "10.0.0.5", "198.51.100.9", "203.0.113.200"


def found(*rows: tuple[str, str, list[str]]) -> Findings:
    return Findings(
        replace(example_finding(peers, subject=subject), detector=detector)
        for detector, subject, peers in rows
    )


def rated(folder: Path, findings: Findings, *rows: str) -> dict[str, dict]:
    table = measure(findings, read_labels(write_labels(folder, *rows)), ["beacon"])
    assert list(table.columns) == COLUMNS
    assert set(table["detector"]) == {"beacon", "any"}
    return table[table["detector"] == "beacon"].set_index("kind").to_dict("index")


def test_caught_missed_and_false_alarms_are_counted(tmp_path: Path) -> None:
    rows = rated(
        tmp_path,
        found(("beacon", HOST, [C2]), ("beacon", HOST, [SITE]), ("scan", HOST, ["10.0.0.9"])),
        f"{HOST},{C2},malicious,beacon",
        f"10.0.0.6,{C2},malicious,beacon",
        f"{HOST},{SITE},benign,agent",
        "10.0.0.7,203.0.113.201,benign,agent",
        f"{HOST},10.0.0.9,background,noise",
    )
    assert rows["beacon"] == {
        "detector": "beacon", "pairs": 2, "caught": 1, "recall": 0.5, "benign_pairs": 2,
        "false_benign": 1, "background_pairs": 1, "false_background": 0,
    }  # fmt: skip
    assert (rows["agent"]["benign_pairs"], rows["agent"]["false_benign"]) == (2, 1)
    assert (rows["noise"]["background_pairs"], rows["noise"]["benign_pairs"]) == (1, 0)
    assert pd.isna(rows["noise"]["recall"])


def test_direction_and_repetition_do_not_matter(tmp_path: Path) -> None:
    rows = rated(
        tmp_path,
        found(("beacon", HOST, [C2])),
        f"{C2},{HOST},malicious,beacon",
        f"{HOST},{C2},malicious,beacon",
    )
    assert (rows["beacon"]["pairs"], rows["beacon"]["caught"]) == (1, 1)


def test_an_empty_end_is_any_and_unknown_is_nothing(tmp_path: Path) -> None:
    rows = rated(
        tmp_path,
        found(("beacon", HOST, [C2, "10.0.0.8"])),
        f"{C2},,malicious,beacon",
        f"{HOST},10.0.0.8,unknown,odd",
        "10.0.0.8,,benign,server",
    )
    assert set(rows) == {"beacon", "server"}
    assert rows["beacon"]["recall"] == 1
    assert rows["beacon"]["false_benign"] == 1  # the finding with HOST does not concern C2


def test_the_target_of_a_malicious_pair_is_no_false_alarm(tmp_path: Path) -> None:
    rows = rated(
        tmp_path, found(("beacon", C2, [HOST])), f"{C2},,malicious,scan", f"{HOST},,benign,server"
    )
    assert rows["scan"]["false_benign"] == 0


def test_any_detector_counts_together(tmp_path: Path) -> None:
    findings = found(("beacon", HOST, [C2]), ("scan", "10.0.0.6", [SITE, "10.0.0.9"]))
    rows = [f"{HOST},{C2},malicious,c2", f"10.0.0.6,{SITE},malicious,c2",
            "10.0.0.6,10.0.0.9,benign,web"]  # fmt: skip
    labels = read_labels(write_labels(tmp_path, *rows))
    table = measure(findings, labels, ["scan", "beacon"]).set_index(["detector", "kind"])
    assert table["caught"].to_dict() == {
        ("any", "c2"): 2, ("any", "web"): 0, ("beacon", "c2"): 1, ("beacon", "web"): 0,
        ("scan", "c2"): 1, ("scan", "web"): 0,
    }  # fmt: skip
    assert table["false_benign"].unstack("detector").loc["c2"].to_dict() == {
        "any": 1, "beacon": 0, "scan": 1,
    }  # fmt: skip
    errors = [tuple(row) for row in list_errors(findings, labels, ["scan", "beacon"]).to_numpy()]
    assert errors == [
        ("any", "false alarm", "web", "10.0.0.6", "10.0.0.9"),
        ("beacon", "missed", "c2", "10.0.0.6", SITE),
        ("scan", "false alarm", "web", "10.0.0.6", "10.0.0.9"),
    ]


@pytest.mark.parametrize("subject", [HOST, f"{HOST}%vpc-0aaaaaaaaaaaaaaa1"])
def test_a_zone_is_no_part_of_a_labelled_address(tmp_path: Path, subject: str) -> None:
    rows = rated(tmp_path, found(("beacon", subject, [C2])), f"{HOST},{C2},malicious,beacon")
    assert rows["beacon"]["caught"] == 1


def test_pairs_are_those_of_records_and_of_packets(tmp_path: Path) -> None:
    nat = "10.0.9.9"
    records = [
        *connect(HOST, C2, 443, T0),
        Record(nat, SITE, 1, 443, T0, T0 + 59, pkt_srcaddr=HOST, pkt_dstaddr=SITE),
    ]
    fields = [*DEFAULT_FORMAT, "pkt_srcaddr", "pkt_dstaddr"]
    pairs = recorded_pairs(make_case(tmp_path, records, fields=fields))
    assert {pair for pair in pairs if pair[0]} == {(HOST, C2), (nat, SITE), (HOST, SITE)}
    assert {b for a, b in pairs if not a} == {HOST, C2, nat, SITE}
    plain = recorded_pairs(make_case(tmp_path / "v2", records, fields=DEFAULT_FORMAT))
    assert {pair for pair in plain if pair[0]} == {(HOST, C2), (nat, SITE)}


def test_pairs_without_a_record_do_not_count(tmp_path: Path) -> None:
    logs = beacon(tmp_path)
    path = write_labels(logs, f"{HOST},{C2},malicious,beacon", f"10.0.0.6,{C2},malicious,beacon")
    result = evaluate([logs], path)
    row = result.table.set_index(["detector", "kind"]).loc[("any", "beacon")]
    assert (result.absent, row["pairs"]) == (1, 1)


def test_malicious_outweighs_benign_for_the_same_pair(tmp_path: Path) -> None:
    rows = rated(
        tmp_path,
        found(("beacon", HOST, [C2])),
        f"{HOST},{C2},benign,browsing",
        f"{HOST},{C2},malicious,beacon",
    )
    assert rows["beacon"]["benign_pairs"] == 0


def test_records_are_merged_into_longer_windows(tmp_path: Path) -> None:
    records = [
        *connect(HOST, C2, 443, T0, seconds=1_300, out=22_000, back=44_000),
        reject("198.18.0.1", HOST, 22, T0 + 120),
        Record(HOST, C2, 1, 2, T0 + 30, T0 + 2_000, bytes=7),  # longer than a window
    ]
    case = make_case(tmp_path, records, fields=[*DEFAULT_FORMAT, "tcp_flags"])
    long = to_frame(merge_windows(case.flows, 600, case.fields).to_pyarrow())
    assert len(long) == 3 * 2 + 1 + 1
    sent = long[(long["srcaddr"] == HOST) & (long["dstport"] == 443)]
    assert sent["bytes"].tolist() == [10_000, 10_000, 2_000]
    assert sent["start"].tolist() == [T0, T0 + 600, T0 + 1_200]
    assert sent["end"].tolist() == [T0 + 599, T0 + 1_199, T0 + 1_799]
    assert sent["tcp_flags"].tolist() == [2, 0, 1]
    assert long[long["bytes"] == 7]["end"].tolist() == [T0 + 2_000]
    assert long["bytes"].sum() == sum(r.bytes for r in records)


def beacon(folder: Path) -> Path:
    records = [
        record
        for n in range(300)
        for record in connect(HOST, C2, 443, T0 + 300 * n, source_port=33_000 + n)
    ]
    records += connect(HOST, SITE, 443, T0)
    make_case(folder, records, fields=DEFAULT_FORMAT)
    return folder / "evidence"


def test_longer_windows_are_merged_and_measured(tmp_path: Path) -> None:
    logs = beacon(tmp_path)
    path = write_labels(logs, f"{HOST},{C2},malicious,beacon", f"{HOST},{SITE},benign,site")
    result = evaluate([logs], path)
    measures = result.table.set_index(["detector", "kind"]).loc[("beacon", "beacon")]
    assert measures[["pairs", "caught", "recall", "benign_pairs", "false_benign"]].tolist() == [
        *(1, 1, 1.0, 1, 0)
    ]
    assert (result.window, len(result.findings.of("beacon"))) == (60, 1)
    assert result.not_run["contact"] == "not run: the case has no indicators"
    merged = evaluate([logs], path, window=600)  # an interval of 5 min in windows of 10 min
    assert merged.table.set_index(["detector", "kind"]).loc[("beacon", "beacon"), "caught"] == 1
    assert merged.window == 600


def test_feeds_are_loaded_and_less_severe_findings_left_out(tmp_path: Path) -> None:
    logs = beacon(tmp_path)
    path = write_labels(tmp_path, f"{HOST},{C2},malicious,beacon")
    feed = tmp_path / "feed.csv"
    feed.write_text(f"indicator,kind,feed\n{C2},c2,list\n")
    for feeds, least, caught in (([], "high", 0), ([feed], "high", 1)):
        table = evaluate([logs], path, feeds=feeds, least=least).table
        assert table.set_index("detector").loc["beacon", "caught"] == caught


def test_logs_without_records_are_refused(tmp_path: Path) -> None:
    path = write_labels(tmp_path, f"{HOST},{C2},malicious,beacon")
    with pytest.raises(InputError, match="no files in"):
        evaluate([path], path)
    (tmp_path / "notes.txt").write_text("nothing\n")
    with pytest.raises(InputError, match="no flow records in"):
        evaluate([tmp_path], path)
    with pytest.raises(InputError, match="does not exist"):
        evaluate([tmp_path / "gone"], path)


def test_the_logs_may_be_merged_with_their_other_evidence(tmp_path: Path) -> None:
    logs = beacon(tmp_path)
    (logs / "list.csv").write_text(f"indicator,kind,feed\n{C2},c2,list\n")
    (tmp_path / "again").mkdir()
    case = load_case(tmp_path / "again", [logs], leave_out=tmp_path / "labels.csv", window=600)
    assert isinstance(case, Case)
    assert case.indicators.count().execute() == 1
    assert case.fields == set(DEFAULT_FORMAT)  # no field that the logs lacked
