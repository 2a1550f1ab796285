"""The Winterday case: all that was planted is found, and no benign host has severe findings."""

from __future__ import annotations

import re
import shlex
import shutil

import nbformat
import pandas as pd
import pytest

from flowbench import detect, playbooks
from flowbench.case import Case
from flowbench.detect import history
from flowbench.investigate import attribution, graph, timeline
from flowbench.playbooks.parameters import set_parameters
from tests import documentation
from tests.cli.running import run
from tests.conftest import ROOT


def test_all_evidence_is_read(winterday) -> None:
    assert winterday.quarantine.count().execute() == 0
    kinds = winterday.info().set_index("kind")["records"].to_dict()
    assert kinds == {
        "cloudtrail": 461,
        "dns": 1967,
        "flow-logs": 130_395,
        "guardduty": 6,
        "indicators": 28,
        "inventory": 42,
    }
    assert winterday.alerts.count().execute() == 4  # of several updates of one finding, the latest
    assert winterday.verify()["ok"].all()


def test_every_planted_activity_is_detected(winterday_findings, answers) -> None:
    severe = winterday_findings.at_least("high")
    found = {(f.detector, f.subject, f.peer, f.service_port) for f in severe}
    miner, pool, tor = answers["address"], answers["pool"], answers["tor"]
    assert {
        ("contact", miner, pool["address"], pool["port"]),
        ("contact", miner, tor["address"], tor["port"]),
        ("mining", miner, pool["address"], pool["port"]),
        ("beacon", miner, tor["address"], tor["port"]),
        ("remote-access", miner, answers["session"]["address"], answers["session"]["port"]),
    } <= found
    (lateral,) = severe.of("lateral-movement")
    assert lateral.subject == miner
    targets = {label["dst"] for label in answers["labels"] if label["kind"] == "lateral-movement"}
    assert set(lateral.peers) == targets
    assert lateral.connections == 40
    assert "RDS" in lateral.summary
    assert "EFS" in lateral.summary


def test_no_benign_host_has_a_severe_finding(winterday_findings, answers) -> None:
    principals = {answers["user"]["name"], answers["user"]["created_by"]}
    severe = {f.subject for f in winterday_findings.at_least("high")}
    assert severe - principals == {answers["address"]}
    medium = {f.subject for f in winterday_findings if f.severity == "medium"}
    assert medium - principals <= set(answers["suspicious_but_benign"])


def test_the_operators_session_is_critical_and_the_offices_are_usual(
    winterday_findings, answers
) -> None:
    (operator,) = winterday_findings.of("remote-access")
    assert operator.peer == answers["session"]["address"]
    assert (operator.severity, operator.subject) == ("critical", answers["address"])
    users = f"{answers['user']['created_by']} and {answers['user']['name']} made"
    assert users in operator.summary
    assert list(operator.scores) == ["api_calls", "afterwards"]


@pytest.mark.parametrize("name", ["pool", "tor", "session"])
def test_first_and_last_times_are_accurate_to_a_window(winterday_findings, answers, name) -> None:
    planted = answers[name]
    found = [
        f
        for f in winterday_findings
        if f.peer == planted["address"] and f.subject == answers["address"]
    ]
    for finding in found:
        if finding.detector == "long-connection":  # reports the longest connection only
            continue
        assert abs((finding.first_seen - pd.Timestamp(planted["first_seen"])).total_seconds()) <= 61
        assert abs((finding.last_seen - pd.Timestamp(planted["last_seen"])).total_seconds()) <= 61
        assert finding.connections == planted["connections"]


def test_the_interval_of_the_beacon_is_reported(winterday_findings, answers) -> None:
    (beacon,) = winterday_findings.at_least("high").of("beacon")
    assert re.search(rf"\b{answers['tor']['interval_minutes']}(\.0)? min", beacon.summary)


def test_every_finding_cites_matching_lines(winterday, winterday_findings) -> None:
    from tests.conftest import ROOT
    from tests.scenario.test_winterday import content

    files: dict[str, list[str]] = {}
    for finding in winterday_findings:
        evidence = winterday.evidence_for(finding)
        assert len(evidence) > 0
        records = evidence[evidence["start"].notna()] if "start" in evidence else evidence[:0]
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


def test_the_trace_ends_at_the_rogue_user_and_cites_events(winterday, answers) -> None:
    trace = attribution.trace(winterday, answers["address"])
    user = answers["user"]
    assert trace.summary() == {
        "address": answers["address"],
        "interface": answers["interface"],
        "instance": answers["instance"],
        "creation_event": answers["run_instances_event"],
        "created_at": answers["started"].replace("Z", "+00:00"),
        "principal": user["arn"],
        "access_key": user["access_key"],
        "source_address": user["source_address"],
        "principal_created_by": f"arn:aws:iam::{answers['account']}:user/{user['created_by']}",
    }
    activity = [step.value for step in trace.of("principal activity")]
    assert activity.count("RunInstances") == 1  # the attempt that failed for its size
    assert "AuthorizeSecurityGroupIngress" in activity
    (reads,) = [step for step in trace.of("principal activity") if step.value is None]
    assert reads.description.startswith("Discovery: 8 read-only calls by svc-nightly-sync")
    events = winterday.api_events.to_pandas().set_index("event_id")
    called = set(events.loc[list(trace.activity_ids), "event_name"])
    assert {"GetCallerIdentity", "ListBuckets", "AuthorizeSecurityGroupIngress"} <= called
    for step in trace.of("creation", "principal", "created by", "principal activity"):
        event = events.loc[step.event_id]
        place = (event["evidence_id"], event["line"], event["item"])
        assert place == (step.evidence_id, step.line, step.item)
        assert event["event_time"] == step.time


def test_the_timeline_has_all_data_sources_in_order(winterday, winterday_findings, answers) -> None:
    events = timeline.build(winterday, findings=winterday_findings)
    assert events["time"].is_monotonic_increasing
    assert set(events["data_source"]) == {
        "flowbench",
        "flow logs",
        "CloudTrail",
        "GuardDuty",
        "DNS",
    }
    (session,) = events.query("activity == 'Administrative session'").to_dict("records")
    assert (session["actor"], session["object"]) == (
        answers["session"]["address"],
        answers["address"],
    )
    user = answers["user"]
    assert f"{user['created_by']}, {user['name']} called the AWS API" in session["detail"]
    assert list(events.columns) == timeline.TABLE.columns
    calls = events.query("data_source == 'CloudTrail'")
    assert answers["run_instances_event"] in set(calls["evidence"])
    assert (
        calls["detail"]
        .iloc[-1]
        .endswith(f"StopInstances on {answers['instance']} from 198.51.100.40.")
    )
    assert set(calls["actor"]) == {
        answers["user"]["name"],
        answers["user"]["created_by"],
        "s.okafor",
    }
    findings = events.query("data_source == 'GuardDuty'")
    assert set(findings["evidence"]) == set(answers["guardduty_findings"])
    again = timeline.build(winterday, about=answers["address"], findings=winterday_findings)
    assert set(events["evidence"].dropna()) <= set(again["evidence"].dropna())


def test_the_indicators_of_compromise(winterday, winterday_findings, answers) -> None:
    found = timeline.collect_indicators(winterday, winterday_findings)
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


def test_what_was_reachable(winterday, answers) -> None:
    reach = graph.reachable(winterday, answers["address"], after=pd.Timestamp(answers["started"]))
    external = {node for node, known in reach.nodes(data=True) if not known["internal"]}
    assert {answers["pool"]["address"], answers["tor"]["address"]} <= external
    assert set(reach) - external == {answers["address"]}  # every internal attempt was rejected


def test_the_same_evidence_gives_the_same_findings(winterday, winterday_findings, tmp_path) -> None:
    from flowbench.case import Case
    from tests.conftest import ROOT

    again = Case.create(tmp_path / "again")
    again.ingest(ROOT / "data" / "winterday" / "evidence")
    found = detect.run(again)
    assert found == winterday_findings


@pytest.mark.parametrize(("name", "peer"), [("crypto-mining", "pool"), ("beaconing", "tor")])
def test_playbooks_examine_the_instance(winterday, answers, name: str, peer: str) -> None:
    """Their cells run in this process: a kernel for each would take longer than they do."""
    notebook = nbformat.read(playbooks.find_playbook(name), as_version=4)
    set_parameters(notebook, {"case": str(winterday.path)})
    names: dict[str, object] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{name}: {cell.id}", "exec"), names)
    assert (names["host"], names["peer"]) == (answers["address"], answers[peer]["address"])


def test_the_first_case_of_the_documentation_is_this_one(
    winterday, winterday_findings, tmp_path, monkeypatch
) -> None:
    """What docs/first-case.md shows is what the command prints, on a copy that has the findings."""
    case = Case.open(shutil.copytree(winterday.path, tmp_path / "winterday"))
    history.keep(case, winterday_findings)
    monkeypatch.setenv("COLUMNS", "80")
    blocks = documentation.blocks(ROOT / "docs" / "first-case.md")
    shown = [
        each
        for language, text in blocks
        if language == "console"
        for each in documentation.split_console(text)
    ]
    assert len(shown) > 5
    for command, lines in shown:
        _, *words = shlex.split(command.replace("cases/winterday", str(case.path)))
        result = run(*words)
        assert result.exit_code == 0, command
        documentation.assert_shown(lines, result.output)
    (note,) = [t for _, t in blocks if t.startswith("flowbench note")]
    assert run(*shlex.split(note.replace("cases/winterday", str(case.path)))[1:]).exit_code == 0
