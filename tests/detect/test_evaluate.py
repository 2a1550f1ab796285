"""Detectors held against labels: what counts, which way, and what bad labels are told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from flowbench.case import Case
from flowbench.cli import main
from flowbench.detect import FINDINGS
from flowbench.detect.evaluate import COLUMNS, evaluate, load, merged, read_labels, score
from flowbench.errors import InputError
from flowbench.schema import DEFAULT_FORMAT, to_frame
from tests.traffic import T0, Record, connect, make_case, reject

HOST, C2, SITE = "10.0.0.5", "198.51.100.9", "203.0.113.200"


def labels(folder: Path, *rows: str, header: str = "src,dst,label,kind") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def found(*rows: tuple[str, str, list[str]]) -> pd.DataFrame:
    return FINDINGS.frame(
        {"detector": d, "subject": s, "peers": p, "evidence": "{}"} for d, s, p in rows
    )


def rated(folder: Path, findings: pd.DataFrame, *rows: str) -> dict[str, dict]:
    table = score(findings, read_labels(labels(folder, *rows)), ["beacon"])
    assert list(table.columns) == COLUMNS
    return table.set_index("kind").to_dict("index")


def test_caught_missed_and_accused_are_counted(tmp_path: Path) -> None:
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
    assert rows["beacon"]["false_benign"] == 1  # its finding with HOST is not the C2's doing


def test_a_target_is_not_accused_by_what_befell_it(tmp_path: Path) -> None:
    rows = rated(
        tmp_path, found(("beacon", C2, [HOST])), f"{C2},,malicious,scan", f"{HOST},,benign,server"
    )
    assert rows["scan"]["false_benign"] == 0


def test_malicious_outweighs_benign_for_the_same_pair(tmp_path: Path) -> None:
    rows = rated(
        tmp_path,
        found(("beacon", HOST, [C2])),
        f"{HOST},{C2},benign,browsing",
        f"{HOST},{C2},malicious,beacon",
    )
    assert rows["beacon"]["benign_pairs"] == 0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["10.0.0.5,10.0.0.6,evil,x"], "line 2: label 'evil' is none of malicious, benign"),
        (["10.0.0.5,10.0.0.6,benign,x", "ten,10.0.0.6,benign,x"], "line 3: src 'ten' is no addr"),
        ([",10.0.0.6,benign,x"], "line 2: src '' is no address: write an IPv4"),
        (["10.0.0.5,10.0.0.300,benign,x"], "line 2: dst '10.0.0.300' is no .* leave it empty"),
        (["10.0.0.5,10.0.0.6"], "line 2: nothing in column label, kind"),
        (['10.0.0.5,"10.0.0.6'], "line 2: .*mend the CSV"),
        (["10.0.0.5,10.0.0.6,unknown,x"], "labels no pair"),
    ],
)
def test_bad_labels_are_named_with_line_and_remedy(
    tmp_path: Path, rows: list[str], says: str
) -> None:
    path = labels(tmp_path, *rows)
    with pytest.raises(InputError, match=says) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_bad_files_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: no column label, kind: the first line must"):
        read_labels(labels(tmp_path, header="src,dst,verdict"))
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"src,dst,label,kind\n\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_labels(tmp_path / "binary.csv")


def test_other_columns_spaces_and_case_are_borne(tmp_path: Path) -> None:
    path = labels(tmp_path, f"7, {HOST} ,{C2}, Malicious ,", header="n, src,dst , label,kind")
    assert read_labels(path).kinds["malicious"] == {"malicious": {(HOST, C2)}}


def test_records_are_merged_into_longer_windows(tmp_path: Path) -> None:
    records = [
        *connect(HOST, C2, 443, T0, seconds=1_300, out=22_000, back=44_000),
        reject("198.18.0.1", HOST, 22, T0 + 120),
        Record(HOST, C2, 1, 2, T0 + 30, T0 + 2_000, bytes=7),  # longer than a window
    ]
    case = make_case(tmp_path, records, fields=[*DEFAULT_FORMAT, "tcp_flags"])
    long = to_frame(merged(case.flows, 600, case.fields).to_pyarrow())
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
    make_case(folder, records, fields=DEFAULT_FORMAT)
    return folder / "evidence"


def test_the_command_prints_the_measures_as_json_and_as_a_table(tmp_path: Path) -> None:
    logs = beacon(tmp_path)
    path = labels(logs, f"{HOST},{C2},malicious,beacon", f"{HOST},{SITE},benign,site")
    done = CliRunner().invoke(
        main, ["evaluate", str(logs), "--labels", str(path), "--format", "json"]
    )
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert all(list(row) == COLUMNS for row in rows)
    assert {
        "detector": "beacon", "kind": "beacon", "pairs": 1, "caught": 1, "recall": 1.0,
        "benign_pairs": 1, "false_benign": 0, "background_pairs": 0, "false_background": 0,
    } in rows  # fmt: skip
    assert "capture windows of 60 s (the logs' own)" in done.stderr
    assert "contact: not run: the case has no indicators" in done.stderr
    done = CliRunner().invoke(
        main, ["evaluate", str(logs), "--labels", str(path), "--window", "600"]
    )
    assert re.search(r"beacon\s+beacon\s+1\s+0\s+1\s+0", done.stdout)  # 5 min in 10 min windows
    assert "rows of harmless kinds that nobody accused are left out" in done.stderr
    assert "capture windows of 600 s (merged)" in done.stderr


def test_feeds_are_loaded_and_lesser_findings_left_out(tmp_path: Path) -> None:
    logs = beacon(tmp_path)
    path = labels(tmp_path, f"{HOST},{C2},malicious,beacon")
    feed = tmp_path / "feed.csv"
    feed.write_text(f"indicator,kind,feed\n{C2},c2,list\n")
    for feeds, least, caught in (([], "high", 0), ([feed], "high", 1)):
        table = evaluate([logs], path, feeds=feeds, least=least).table
        assert table.set_index("detector").loc["beacon", "caught"] == caught


def test_logs_without_records_are_refused(tmp_path: Path) -> None:
    path = labels(tmp_path, f"{HOST},{C2},malicious,beacon")
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
    case = load(tmp_path / "again", [logs], leave_out=tmp_path / "labels.csv", window=600)
    assert isinstance(case, Case)
    assert case.indicators.count().execute() == 1
    assert case.fields == set(DEFAULT_FORMAT)  # no field that the logs lacked
