"""The timeline: what concerns the subjects, in order, with references to the evidence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.errors import InputError
from flowbench.investigate import timeline
from flowbench.investigate.filters import Filters
from tests.incident_case import (
    CALLER,
    EXIT,
    HOST,
    INSTANCE,
    INTERFACE,
    KEY,
    OFFICE,
    POOL,
    WEB,
    api_event,
    dns_query,
    make_incident_case,
    started,
)
from tests.traffic import T0, connect, interface, make_case, reject

HOUR = 3600


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("timeline") / "incident")


@pytest.fixture(scope="module")
def findings(case: Case) -> Findings:
    return detect.run(case)


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def test_all_data_sources_in_one_order(case: Case, findings: Findings) -> None:
    events = timeline.build(case, findings=findings)
    assert list(events.columns) == timeline.TABLE.columns
    assert events["time"].is_monotonic_increasing
    ids = {(f.detector, f.peer): f.finding_id for f in findings.at_least("high")}
    at_once = sorted([ids["contact", POOL], ids["mining", POOL]])
    later = sorted([ids["beacon", EXIT], ids["contact", EXIT]])
    (rejected,) = (f.finding_id for f in findings if f.detector == "lateral-movement")
    references = events["evidence"].astype(object).where(events["evidence"].notna(), None)
    assert list(zip(events["data_source"], references, strict=True)) == [
        *(("CloudTrail", ref) for ref in ("e1", "e2", "e3", "e4", "e5", "e6")),
        ("DNS", None),
        ("flow logs", None),  # first accepted connection to the pool
        *(("flowbench", ref) for ref in at_once),
        ("GuardDuty", "a1"),
        ("flow logs", None),  # first to the exit
        *(("flowbench", ref) for ref in later),
        ("flow logs", None),  # first to the database, rejected
        ("flowbench", rejected),  # of severity medium, about a subject of others
        ("flow logs", None),  # last to it
        ("flow logs", None),  # last to the pool
        ("flow logs", None),  # last to the exit
        ("CloudTrail", "e8"),
    ]


def test_activities_and_references(case: Case, findings: Findings) -> None:
    events = timeline.build(case, about=HOST, findings=findings)
    (dns,) = events[events["data_source"] == "DNS"].to_dict("records")
    assert dns["detail"] == f"{HOST} resolved eu.pool.example to {POOL} (3 queries)."
    assert (dns["time"], dns["end"], dns["line"]) == (at(0), at(4 * HOUR), 1)
    assert (dns["actor"], dns["object"], dns["count"]) == (HOST, "eu.pool.example", 3)
    (alert,) = events[events["data_source"] == "GuardDuty"].to_dict("records")
    assert alert["activity"] == "CryptoCurrency:EC2/BitcoinTool.B"
    assert alert["detail"] == (
        f"GuardDuty reported CryptoCurrency:EC2/BitcoinTool.B ({POOL}), count 4."
    )
    assert (alert["severity"], alert["actor"], alert["object"]) == ("high", HOST, POOL)
    stop = events[events["evidence"] == "e8"].iloc[0]
    assert (stop["actor"], stop["activity"], stop["object"]) == ("bob", "StopInstances", INSTANCE)
    assert stop["detail"] == f"bob called StopInstances on {INSTANCE} from {OFFICE}."
    cited = events[events["data_source"] != "flowbench"]
    assert cited[["evidence_id", "line"]].notna().all().all()
    mining = events[events["activity"] == "Crypto-mining traffic"].iloc[0]
    assert mining["end"] == at(6 * HOUR - 241)
    assert (mining["actor"], mining["object"], mining["technique"]) == (HOST, POOL, "T1496.001")


def test_read_only_calls_of_others_are_left_out(case: Case, findings: Findings) -> None:
    refs = set(timeline.build(case, about=HOST, findings=findings)["evidence"].dropna())
    assert "e8" in refs  # another principal changed the instance
    assert refs.isdisjoint({"e0", "e7", "e9"})  # read-only, or unrelated


def test_about_an_address_lists_lower_severities(case: Case, findings: Findings) -> None:
    references = timeline.build(case, about=HOST, findings=findings)["evidence"].dropna()
    assert references.str.startswith("lateral-movement-").sum() == 1
    other = timeline.build(case, about=WEB, findings=findings)
    assert {"Interface not logged", "RunInstances"} <= set(other["activity"])


def test_two_queries_in_one_second_cite_one_line(tmp_path: Path) -> None:
    lines = [dns_query(T0), dns_query(T0), dns_query(T0 - 1, name="b.pool.example.", host=WEB)]
    records = connect(HOST, POOL, 3333, T0, seconds=7 * HOUR)
    case = make_case(
        tmp_path, records, indicators=f"indicator,kind\n{POOL},mining\n", json_lines=lines
    )
    events = timeline.build(case)
    (dns,) = events[events["data_source"] == "DNS"].to_dict("records")
    assert (dns["line"], dns["item"]) == (1, 1)
    assert dns["detail"].endswith("(2 queries).")


def test_notes_in_order_of_time(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0))
    case.note("The owner was called", at=at(60), about=HOST)
    case.note("About another host", at=at(0), about=WEB)
    everything = timeline.build(case)
    assert list(everything["detail"]) == ["About another host", "The owner was called"]
    assert list(everything["object"]) == [WEB, HOST]
    assert list(timeline.build(case, about=HOST)["detail"]) == ["The owner was called"]


def test_a_finding_has_the_decision_about_it(tmp_path: Path) -> None:
    text = f"indicator,kind,feed\n{POOL},c2,x\n"
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0), indicators=text)
    (finding,) = detect.run(case, only=["contact"])
    case.decide(finding, "confirmed", "the owner knows nothing of it")
    events = timeline.build(case, findings=detect.run(case, only=["contact"]))
    (row,) = events[events["activity"] == finding.title].to_dict("records")
    assert row["detail"].startswith(f"{finding.summary} Decision: confirmed by ")
    assert row["detail"].endswith(": the owner knows nothing of it.")


def test_decisions_have_rows_of_their_own(tmp_path: Path) -> None:
    text = f"indicator,kind,feed\n{POOL},c2,x\n"
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0), indicators=text)
    (finding,) = detect.run(case, only=["contact"])
    case.decide(finding, "confirmed")
    case.decide(finding, "dismissed", "a test")
    findings = detect.run(case, only=["contact"])
    assert not findings
    for about in (None, HOST, POOL):
        rows = timeline.build(case, about, findings)
        rows = rows[rows["data_source"] == "notes"]
        assert rows["activity"].tolist() == ["Finding confirmed", "Finding dismissed"]
        assert set(rows["object"]) == set(rows["evidence"]) == {finding.finding_id}
    named = f"Finding {finding.finding_id} ({finding.title}, {HOST}) was dismissed by "
    assert rows["detail"].iloc[1].startswith(named)
    assert rows["detail"].iloc[1].endswith(": a test.")
    unknown = timeline.build(case, findings=Findings())
    assert unknown["detail"].iloc[0].startswith(f"Finding {finding.finding_id} was confirmed by ")
    assert timeline.build(case, "10.0.0.0/30", findings).empty


@pytest.mark.parametrize(("source", "target"), [(POOL, HOST), (WEB, HOST), (HOST, POOL)])
def test_a_source_of_login_attempts_is_the_actor(tmp_path: Path, source: str, target: str) -> None:
    """The subject of such a finding is the target, if the source is external."""
    records = [
        record
        for n in range(120)
        for record in connect(source, target, 22, T0 + 7 * n, source_port=30_000 + n)
    ]
    case = make_case(tmp_path, records)
    findings = detect.run(case, only=["brute-force"])
    rows = timeline.build(case, findings=findings)
    (row,) = rows[rows["data_source"] == "flowbench"].to_dict("records")
    assert (row["actor"], row["object"]) == (source, target)


def test_all_findings_without_any_of_high_severity(tmp_path: Path) -> None:
    records = [
        reject(HOST, WEB, 3306, T0 + 900 * n, source_port=50_000 + n, interface_id="eni-w")
        for n in range(12)
    ]
    case = make_case(tmp_path, records)
    found = detect.run(case)
    assert {finding.severity for finding in found} == {"medium"}
    rows = timeline.build(case, findings=found)
    assert list(rows["activity"]) == [
        "First rejected connection",
        "Rejected internal connection attempts",
        "Last connection",
    ]
    assert rows["detail"].iloc[-1].endswith("ended (rejected).")
    assert timeline.collect_indicators(case, found).empty


def test_an_empty_case(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "empty")
    found = detect.run(case)
    assert list(timeline.build(case).columns) == timeline.TABLE.columns
    assert timeline.build(case, about=HOST).empty
    assert list(timeline.collect_indicators(case, found).columns) == timeline.INDICATORS.columns


def test_the_same_case_the_same_timeline(case: Case, findings: Findings) -> None:
    one, two = (timeline.build(case, findings=findings).to_csv() for _ in range(2))
    assert one == two


def test_alerts_about_one_of_two_hosts_with_an_address(tmp_path: Path) -> None:
    address = "10.0.0.10"
    placed = [("eni-a", "i-a", "vpc-1"), ("eni-b", "i-b", "vpc-2")]
    listed = [
        interface(address, name[-1], VpcId=vpc, Attachment={"InstanceId": instance})
        for name, instance, vpc in placed
    ]
    alerts = [
        {
            "SchemaVersion": "2.0",
            "CreatedAt": "2026-09-01T00:00:00Z",
            "UpdatedAt": "2026-09-01T00:00:00Z",
            "Id": instance or "none",
            "Type": "Backdoor:EC2/C&CActivity.B",
            "Severity": 8,
            "AccountId": "111122223333",
            "Resource": {"InstanceDetails": {"InstanceId": instance}} if instance else {},
            "Service": {
                "Action": {"NetworkConnectionAction": {"LocalIpDetails": {"IpAddressV4": address}}},
                "EventFirstSeen": "2026-09-01T00:00:00Z",
                "EventLastSeen": "2026-09-01T00:00:00Z",
            },
        }
        for instance in ("i-a", "i-b", None)
    ]
    records = [
        record
        for name, _instance, _vpc in placed
        for record in connect(address, "203.0.113.7", 443, T0, interface_id=name)
    ]
    case = make_case(tmp_path, records, interfaces=listed, json_lines=[{"Findings": alerts}])
    rows = timeline.build(case, about=f"{address}%vpc-1", findings=Findings())
    shown = rows.loc[rows["data_source"] == "GuardDuty", ["evidence", "actor"]]
    assert sorted(shown.to_numpy().tolist()) == [["i-a", f"{address}%vpc-1"], ["none", address]]


REJECTED = (": failed (", "All were rejected", "rejected connections from", "(rejected)")


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(), lambda row: True),
        (Filters(since=at(3 * HOUR)), lambda row: (row["end"] or row["time"]) >= at(3 * HOUR)),
        (Filters(until=at(3 * HOUR)), lambda row: row["time"] < at(3 * HOUR)),
        (
            Filters(rejected=True),
            lambda row: any(text in row["detail"] for text in REJECTED),
        ),
    ],
)
def test_filters_choose_rows(case: Case, findings: Findings, filters: Filters, wanted) -> None:
    rows = timeline.build(case, findings=findings)
    rows["end"] = rows["end"].astype(object).where(rows["end"].notna(), None)
    expected = [row["detail"] for row in rows.to_dict("records") if wanted(row)]
    some = timeline.build(case, findings=findings, filters=filters)
    assert some["detail"].tolist() == expected
    assert expected


@pytest.mark.parametrize(
    ("filters", "sources"),
    [
        (Filters(peer=POOL), {"flowbench", "flow logs", "DNS", "GuardDuty"}),
        (Filters(peer=EXIT, ports=(443,)), {"flowbench", "flow logs"}),
        (Filters(peer=CALLER), {"CloudTrail"}),
        (Filters(peer="192.0.2.250"), set()),
        (Filters(ports=(1,)), set()),
    ],
)
def test_rows_of_a_peer_or_a_port(
    case: Case, findings: Findings, filters: Filters, sources: set[str]
) -> None:
    rows = timeline.build(case, findings=findings, filters=filters)
    assert set(rows["data_source"]) == sources


def activities(rows: pd.DataFrame, source: str) -> list[str]:
    return rows.loc[rows["data_source"] == source, "activity"].tolist()


def test_about_an_external_address(case: Case, findings: Findings) -> None:
    rows = timeline.build(case, POOL, findings)
    ids = {f.finding_id for f in findings if POOL in f.peers}
    assert set(rows.loc[rows["data_source"] == "flowbench", "evidence"]) == ids
    assert activities(rows, "GuardDuty") == ["CryptoCurrency:EC2/BitcoinTool.B"]
    assert activities(rows, "DNS") == ["DNS query"]
    (connections,) = rows[rows["activity"] == "Connections"].to_dict("records")
    assert (connections["actor"], connections["object"]) == (HOST, POOL)
    assert (connections["count"], connections["time"]) == (3, at(0))
    assert connections["detail"].startswith(
        f"{HOST} opened 3 connections to {POOL} on 3333/tcp (stratum) (3 accepted, 0 rejected): "
    )
    assert connections["line"] == 2
    assert set(rows["actor"]) == {HOST}


def test_about_the_address_of_a_caller(case: Case, findings: Findings) -> None:
    rows = timeline.build(case, CALLER, findings, unfold=True)
    calls = rows[rows["data_source"] == "CloudTrail"]
    assert list(calls["evidence"]) == ["e1", "e2", "e3", "e4", "e5", "e6"]
    assert list(calls["actor"]) == ["ada"] * 2 + ["eve"] * 4


@pytest.mark.parametrize("about", ["eve", "arn:aws:iam::111122223333:user/eve", KEY])
def test_about_a_principal_or_a_key(case: Case, findings: Findings, about: str) -> None:
    rows = timeline.build(case, about, findings)
    calls = rows[rows["data_source"] == "CloudTrail"]
    created = [] if about == KEY else ["e1"]
    assert list(calls["evidence"]) == [*created, "e2", "e3", "e4", "e5", "e6"]
    assert calls["line"].notna().all()


def test_about_a_domain_has_its_queries_and_connections(case: Case, findings: Findings) -> None:
    rows = timeline.build(case, "pool.example", findings)
    assert activities(rows, "DNS") == ["DNS query"]
    assert "Connections" in set(rows["activity"])
    assert POOL in set(rows["object"])


@pytest.mark.parametrize("about", [INSTANCE, INTERFACE, HOST])
def test_an_instance_and_its_interface_have_the_timeline_of_their_address(
    case: Case, findings: Findings, about: str
) -> None:
    rows = timeline.build(case, about, findings)
    assert {"e5", "e8"} <= set(rows["evidence"].dropna())
    assert {f.finding_id for f in findings if f.subject == HOST} <= set(rows["evidence"].dropna())


def test_a_network_of_external_addresses(case: Case, findings: Findings) -> None:
    rows = timeline.build(case, "203.0.113.0/24", findings)
    assert set(rows.loc[rows["activity"] == "Connections", "object"]) == {POOL}


def test_nonsense_is_refused(case: Case, findings: Findings) -> None:
    with pytest.raises(InputError, match="the nearest: eve"):
        timeline.build(case, "evee", findings)


def test_an_address_of_two_instances_in_turn(tmp_path: Path) -> None:
    """The rows of an instance are those of the time in which it had the address."""
    first, second = "i-0first", "i-0second"
    events = [
        api_event("r1", "RunInstances", T0, response=started(first, "eni-1", HOST)),
        api_event("t1", "TerminateInstances", T0 + HOUR, request=one_instance(first)),
        api_event("r2", "RunInstances", T0 + 2 * HOUR, response=started(second, "eni-2", HOST)),
    ]
    records = [
        *connect(HOST, POOL, 3333, T0 + 600, seconds=1_200, out=90_000, interface_id="eni-1"),
        *connect(HOST, EXIT, 443, T0 + 3 * HOUR, seconds=600, interface_id="eni-2"),
    ]
    listed = f"indicator,kind\n{POOL},mining\n{EXIT},tor\n"
    case = make_case(tmp_path, records, json_lines=events, indicators=listed)
    findings = detect.run(case, only=["contact"])
    for instance, peer in ((first, POOL), (second, EXIT)):
        rows = timeline.build(case, instance, findings)
        assert set(rows.loc[rows["data_source"] == "flowbench", "object"]) == {peer}
    both = timeline.build(case, HOST, findings)
    assert set(both.loc[both["data_source"] == "flowbench", "object"]) == {POOL, EXIT}


def one_instance(instance: str) -> dict[str, object]:
    return {"instancesSet": {"items": [{"instanceId": instance}]}}
