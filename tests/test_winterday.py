"""The story that must always work: everything planted is found, and nobody harmless is accused."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from flowbench import detect
from flowbench.investigate import attribution, graph, timeline


def test_all_evidence_is_read(winterday) -> None:
    assert winterday.quarantine.count().execute() == 0
    kinds = winterday.info().set_index("kind")["records"].to_dict()
    assert kinds == {
        "cloudtrail": 461,
        "dns": 1967,
        "flow-logs": 130_426,
        "guardduty": 6,
        "indicators": 28,
        "inventory": 42,
    }
    assert winterday.alerts.count().execute() == 4  # of the updates of one finding, the newest
    assert winterday.verify()["ok"].all()


def test_every_planted_fact_is_found(winterday_findings, answers) -> None:
    grave = winterday_findings.to_pandas().query("severity in ['high', 'critical']")
    found = {
        (row.detector, row.subject, row.peer if pd.notna(row.peer) else None, row.service_port)
        for row in grave.itertuples()
    }
    miner, pool, tor = answers["address"], answers["pool"], answers["tor"]
    assert {
        ("contact", miner, pool["address"], pool["port"]),
        ("contact", miner, tor["address"], tor["port"]),
        ("mining", miner, pool["address"], pool["port"]),
        ("beacon", miner, tor["address"], tor["port"]),
    } <= found
    (sideways,) = grave.query("detector == 'lateral-movement'").to_dict("records")
    assert sideways["subject"] == miner
    doors = answers["rejected"]["doors"]
    assert set(sideways["peers"]) == {door["address"] for door in doors}
    assert sideways["connections"] == answers["rejected"]["connections"]
    for door in doors:
        assert f"{door['service'].upper()}" in sideways["summary"]
        assert f"{door['address']} on {door['port']}" in sideways["summary"]


def test_nobody_harmless_is_accused(winterday_findings, answers) -> None:
    grave = winterday_findings.to_pandas().query("severity in ['high', 'critical']")
    assert set(grave["subject"]) == {answers["address"]}
    medium = set(winterday_findings.to_pandas().query("severity == 'medium'")["subject"])
    assert medium <= set(answers["suspicious_but_benign"])


@pytest.mark.parametrize("name", ["pool", "tor"])
def test_first_and_last_time_are_right_to_a_window(winterday_findings, answers, name) -> None:
    fact = answers[name]
    found = winterday_findings.to_pandas().query("peer == @fact['address']")
    for row in found[found["detector"] != "long-connection"].itertuples():  # that tells the longest
        assert abs((row.first_seen - pd.Timestamp(fact["first"])).total_seconds()) <= 61
        assert abs((row.last_seen - pd.Timestamp(fact["last"])).total_seconds()) <= 61
        assert row.connections == fact["connections"]


def test_the_period_is_right(winterday_findings, answers) -> None:
    (why,) = winterday_findings.to_pandas().query("detector == 'beacon' and severity == 'high'")["summary"]
    period = float(re.search(r"one every ([\d.]+) min", why).group(1))
    assert period == answers["tor"]["period_minutes"]


def test_every_finding_leads_to_lines_that_say_so(winterday, winterday_findings) -> None:
    from tests.conftest import ROOT
    from tests.scenario.test_winterday import content

    files: dict[str, list[str]] = {}
    for _, row in winterday_findings.to_pandas().iterrows():
        records = winterday.evidence_for(row)
        assert len(records) > 0
        for record in records.head(20).itertuples():
            if record.file not in files:
                path = ROOT / "data" / "winterday" / "evidence" / record.file
                files[record.file] = content(path).decode().splitlines()
            names = files[record.file][0].split(" ")
            line = dict(zip(names, files[record.file][record.line - 1].split(" "), strict=True))
            assert int(line["start"]) == record.start.timestamp()
            assert line["log-status"] == record.log_status
            if record.log_status == "OK":
                assert line["srcaddr"] == record.srcaddr
                assert line["dstaddr"] == record.dstaddr
                assert int(line["bytes"]) == record.bytes
                assert line["action"] == record.action


def test_the_trace_leads_to_the_rogue_user_and_cites_its_events(winterday, answers) -> None:
    trace = attribution.trace(winterday, answers["address"])
    ends = attribution.summary(trace)
    user = answers["user"]
    assert ends == {
        "address": answers["address"],
        "interface": answers["interface"],
        "instance": answers["instance"],
        "start": answers["run_instances_event"],
        "started_at": answers["started"].replace("Z", "+00:00"),
        "principal": user["arn"],
        "access_key": user["access_key"],
        "called_from": user["source_address"],
        "created_by": f"arn:aws:iam::{answers['account']}:user/{user['created_by']}",
    }
    deeds = trace[trace["step"] == "deed"]["value"].tolist()
    assert deeds.count("RunInstances") == 1  # the attempt that failed for its size
    assert {"GetCallerIdentity", "ListBuckets", "AuthorizeSecurityGroupIngress"} <= set(deeds)
    called = trace[trace["step"].isin(["start", "principal", "origin", "deed"])]
    events = winterday.api_events.to_pandas().set_index("event_id")
    for row in called.itertuples():
        event = events.loc[row.ref]
        assert (event["evidence_id"], event["line"], event["item"]) == (
            row.evidence_id,
            row.line,
            row.item,
        )
        assert event["event_time"] == row.time


def test_the_timeline_is_one_ordered_story(winterday, winterday_findings, answers) -> None:
    events = timeline.build(winterday, findings=winterday_findings)
    assert events["time"].is_monotonic_increasing
    assert set(events["kind"]) == {"finding", "api", "alert", "dns"}
    assert list(events.columns) == timeline.TABLE.columns
    calls = events.query("kind == 'api'")
    assert answers["run_instances_event"] in set(calls["ref"])
    assert (
        calls["what"]
        .iloc[-1]
        .endswith(f"StopInstances on {answers['instance']} from 198.51.100.40.")
    )
    assert set(calls["principal"]) == {
        answers["user"]["name"],
        answers["user"]["created_by"],
        "s.okafor",
    }
    assert set(events.query("kind == 'alert'")["ref"]) == set(answers["alerts"])
    again = timeline.build(winterday, about=answers["address"], findings=winterday_findings)
    assert set(events["ref"].dropna()) <= set(again["ref"].dropna())


def test_the_indicators_to_hand_over(winterday, winterday_findings, answers) -> None:
    found = timeline.indicators(winterday, winterday_findings)
    by_type = found.groupby("type")["indicator"].agg(set).to_dict()
    user = answers["user"]
    events = winterday.api_events
    made = events.filter(events.event_name == "CreateUser").to_pandas().iloc[0]
    assert made["principal_name"] == user["created_by"]
    assert by_type == {
        "access key": {user["access_key"], made["access_key_id"]},
        "address": {
            answers["address"],
            answers["pool"]["address"],
            answers["tor"]["address"],
            user["source_address"],
        },
        "domain": {answers["pool"]["names"][0]},
        "instance": {answers["instance"]},
        "interface": {answers["interface"]},
        "principal": {user["arn"], f"arn:aws:iam::{answers['account']}:user/{user['created_by']}"},
    }


def test_where_it_could_have_gone(winterday, answers) -> None:
    reach = graph.reachable(winterday, answers["address"], after=pd.Timestamp(answers["started"]))
    outside = {node for node, known in reach.nodes(data=True) if not known["internal"]}
    assert {answers["pool"]["address"], answers["tor"]["address"]} <= outside
    inside = set(reach) - outside
    assert inside == {answers["address"]}  # every door inside was shut


def test_the_same_evidence_gives_the_same_answers(winterday, winterday_findings, tmp_path) -> None:
    from flowbench.case import Case
    from tests.conftest import ROOT

    again = Case.create(tmp_path / "again")
    again.ingest(ROOT / "data" / "winterday" / "evidence")
    found = detect.run(again)
    assert found == winterday_findings
