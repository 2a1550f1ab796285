"""Policy against recorded connections: violations with their lines, attempts, unused rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.detectors.segmentation import _build_findings, findings
from flowbench.errors import MissingFieldError
from flowbench.segmentation import evaluate, parse_policy
from flowbench.segmentation.evaluation import Evaluation
from flowbench.segmentation.results import CELLS
from tests.traffic import T0, Record, connect, interface, make_case, reject

WEB, WEB6, DB, NAT, WORLD = "10.0.0.5", "fd00::5", "10.0.1.4", "10.0.9.1", "192.0.2.99"
GROUPS = """
groups:
  web: {tags: {tier: web}}
  db: {subnets: subnet-db}
  office: {cidrs: [203.0.113.0/28, "2001:db8:1::/48"]}
"""
OWN = [
    interface(WEB, "a", TagSet=[{"Key": "tier", "Value": "web"}],
              Ipv6Addresses=[{"Ipv6Address": WEB6}]),
    interface(DB, "d", SubnetId="subnet-db", TagSet=[{"Key": "tier", "Value": "<b>web"}]),
    interface(NAT, "n", kind="nat_gateway"),
]  # fmt: skip


def judge(case: Case, rules: str, *, default: str = "allow", groups: str = GROUPS) -> Evaluation:
    text = f"default: {default}\n{groups}\nrules:\n{rules}"
    return evaluate(case, parse_policy(text, "p"))


def report(judged: Evaluation) -> list[dict[str, Any]]:
    found = findings(judged).to_pandas()
    assert list(found.columns) == detect.FINDINGS.columns
    assert found["finding_id"].is_unique
    for _, row in found.iterrows():
        assert len(judged.case.evidence_for(row)) > 0
    return found.to_dict("records")


def states(judged: Evaluation) -> list[tuple[str, int]]:
    rules = judged.rule_results()
    return list(zip(rules["state"], rules["connections"], strict=True))


FORBID = (
    "  - {from: web, to: db, ports: 5432, verdict: allow}\n  - {from: any, to: db, verdict: deny}"
)


def test_a_violation_leads_to_its_lines_and_to_no_others(tmp_path: Path) -> None:
    records = [
        *connect(WEB, DB, 5432, T0),
        *connect(WEB, DB, 22, T0 + 600, out=900, back=1_000),
        *connect(WEB, WORLD, 22, T0 + 600),
    ]
    judged = judge(make_case(tmp_path, records, interfaces=OWN), FORBID)
    (row,) = report(judged)
    assert (row["severity"], row["subject"], row["peer"]) == ("high", WEB, DB)
    assert (row["service_port"], row["protocol"], row["connections"]) == (22, 6, 1)
    assert (row["bytes_out"], row["bytes_in"], row["technique"]) == (900, 1_000, "T1021")
    assert row["summary"] == (
        f"{WEB} connected to {DB} 1 time on 22/tcp (ssh), 1 answered and 0 rejected; the rule 'any"
        " must not reach db' (line 10 of the policy) forbids it."
    )
    lines = judged.case.evidence_for(row)["line"].tolist()
    assert lines == [4, 5]  # the file's header is line 1


def test_a_rejected_attempt_is_low_and_no_violation(tmp_path: Path) -> None:
    records = [reject(WEB, DB, 22, T0 + n * 900) for n in range(3)]
    judged = judge(make_case(tmp_path, records, interfaces=OWN), FORBID)
    (row,) = report(judged)
    assert (row["severity"], row["connections"]) == ("low", 3)
    assert row["title"] == "Segmentation violation attempt, rejected"
    assert (
        f"{WEB} attempted 3 times to connect to {DB} on 22/tcp (ssh), always rejected"
        in row["summary"]
    )
    assert states(judged) == [("unused", 0), ("attempted", 3), ("unused", 0)]


def test_accepted_without_an_answer_is_medium(tmp_path: Path) -> None:
    lone = Record(WEB, DB, 40_000, 22, T0, T0 + 59, tcp_flags=2)
    (row,) = report(judge(make_case(tmp_path, [lone], interfaces=OWN), FORBID))
    assert (row["severity"], row["score"]) == ("medium", 0.7)


def test_accepted_and_rejected_are_two_findings(tmp_path: Path) -> None:
    other = interface("10.0.1.5", "e", SubnetId="subnet-db")
    records = [*connect(WEB, DB, 22, T0), reject(WEB, "10.0.1.5", 22, T0)]
    judged = judge(make_case(tmp_path, records, interfaces=[*OWN, other]), FORBID)
    assert [(r["severity"], r["peer"]) for r in report(judged)] == [
        ("high", DB), ("low", "10.0.1.5"),
    ]  # fmt: skip


def test_the_first_rule_that_fits_decides(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(WEB, DB, 5432, T0), interfaces=OWN)
    may, never = FORBID.splitlines()
    assert states(judge(case, f"{may}\n{never}")) == [
        ("used", 1), ("shadowed", 0), ("unused", 0),
    ]  # fmt: skip
    assert states(judge(case, f"{never}\n{may}")) == [
        ("violated", 1), ("shadowed", 0), ("unused", 0),
    ]  # fmt: skip


def test_rules_that_nothing_used_and_groups_of_nobody(tmp_path: Path) -> None:
    groups = GROUPS + "  ghosts: {tags: {tier: ghost}}\n"
    rules = FORBID + "\n  - {from: ghosts, to: web, verdict: allow}"
    case = make_case(tmp_path, connect(WEB, WORLD, 443, T0), interfaces=OWN)
    judged = judge(case, rules, groups=groups)
    assert states(judged) == [("unused", 0), ("compliant", 0), ("unused", 0), ("used", 1)]
    assert judged.empty_groups == ["office", "ghosts"]
    assert judged.rule_results()["line"].tolist()[:3] == [10, 11, 12]


def test_ports_and_protocols(tmp_path: Path) -> None:
    records = [
        *connect(WEB, DB, 8_000, T0),
        *connect(WEB, DB, 8_100, T0 + 600),
        *connect(WEB, DB, 8_101, T0 + 1_200),
        *connect(WEB, DB, 8_050, T0 + 1_800, protocol=17, tcp_flags=None),
    ]
    rules = "  - {from: web, to: db, ports: 8000-8100, protocols: tcp, verdict: deny}"
    found = report(judge(make_case(tmp_path, records, interfaces=OWN), rules))
    assert sorted(row["service_port"] for row in found) == [8_000, 8_100]


def test_ipv6_and_ipv4_are_judged_alike(tmp_path: Path) -> None:
    records = [*connect(WEB6, "2001:db8:1::9", 443, T0), *connect(WEB, "203.0.113.3", 443, T0)]
    records += [*connect(WEB6, "2001:db8:2::9", 443, T0), *connect(WEB, "203.0.113.99", 443, T0)]
    judged = judge(
        make_case(tmp_path, records, interfaces=OWN),
        "  - {from: web, to: office, verdict: allow}\n  - {from: web, to: external, verdict: deny}",
    )
    assert [(r["subject"], r["peer"], r["technique"]) for r in report(judged)] == [
        (WEB, "203.0.113.99", "T1071"), (WEB6, "2001:db8:2::9", "T1071"),
    ]  # fmt: skip
    assert states(judged)[:2] == [("used", 2), ("violated", 2)]


def test_from_an_external_address_the_subject_is_the_responder(tmp_path: Path) -> None:
    records = [r for n in (1, 2) for r in connect(f"192.0.2.{n}", WEB, 22, T0, out=100, back=700)]
    rules = "  - {from: external, to: internal, ports: 22, verdict: deny}"
    (row,) = report(judge(make_case(tmp_path, records, interfaces=OWN), rules))
    assert (row["subject"], list(row["peers"])) == (WEB, ["192.0.2.1", "192.0.2.2"])
    assert (row["bytes_out"], row["bytes_in"], row["technique"]) == (1_400, 200, "T1133")
    assert row["summary"].startswith(
        f"192.0.2.1, 192.0.2.2 connected to {WEB} 2 times on 22/tcp (ssh)"
    )


def test_deny_by_default_speaks_of_the_groups_only(tmp_path: Path) -> None:
    stranger = interface("10.0.7.7", "s")
    records = [
        *connect("10.0.7.7", WORLD, 443, T0),  # no group at either end
        *connect("10.0.7.7", DB, 5432, T0),
        *connect(WEB, DB, 5432, T0),
    ]
    case = make_case(tmp_path, records, interfaces=[*OWN, stranger])
    judged = judge(case, "  - {from: web, to: db, verdict: allow}", default="deny")
    (row,) = report(judged)
    assert (row["subject"], row["peer"]) == ("10.0.7.7", DB)
    assert row["summary"].endswith("no rule of the policy allows it.")
    assert states(judged) == [("used", 1), ("violated", 1)]


def test_the_nat_gateway_is_not_judged_for_its_client(tmp_path: Path) -> None:
    records = [*connect(WEB, WORLD, 443, T0), *connect(NAT, WORLD, 443, T0, source_port=50_000)]
    groups = "groups: {all: {cidrs: 10.0.0.0/8}}"
    judged = judge(
        make_case(tmp_path, records, interfaces=OWN),
        "  - {from: all, to: external, verdict: deny}", groups=groups,
    )  # fmt: skip
    assert [row["subject"] for row in report(judged)] == [WEB]


def test_an_address_given_anew_is_judged_by_who_held_it(tmp_path: Path) -> None:
    """One address, first a web server's, then another's: only the other one's talk is forbidden."""

    def item(name: str, at: str, status: str, tag: str) -> dict[str, Any]:
        return {
            "resourceType": "AWS::EC2::NetworkInterface", "resourceId": name,
            "configurationItemCaptureTime": at, "configurationItemStatus": status,
            "awsAccountId": "111122223333", "awsRegion": "eu-west-1",
            "configuration": None if status == "ResourceDeleted" else {
                "networkInterfaceId": name, "privateIpAddress": "10.0.0.8", "vpcId": "vpc-1",
                "subnetId": "subnet-1", "status": "in-use",
                "tagSet": [{"key": "tier", "value": tag}],
            },
        }  # fmt: skip

    items = [
        item("eni-1", "2026-08-31T00:00:00Z", "ResourceDiscovered", "web"),
        item("eni-1", "2026-09-01T06:00:00Z", "ResourceDeleted", "web"),
        item("eni-2", "2026-09-01T07:00:00Z", "ResourceDiscovered", "batch"),
    ]
    lines = [{"fileVersion": "1.0", "configSnapshotId": "x", "configurationItems": items}]
    hours = 3_600
    records = [
        *connect("10.0.0.8", DB, 5432, T0 + hours, interface_id="eni-1"),
        *connect("10.0.0.8", DB, 5432, T0 + 8 * hours, source_port=41_000, interface_id="eni-2"),
    ]
    case = make_case(tmp_path, records, interfaces=OWN[1:2], json_lines=lines)
    judged = judge(case, FORBID)
    assert judged.membership.changing == ["10.0.0.8"]
    (row,) = report(judged)
    assert row["connections"] == 1
    assert row["first_seen"] == pd.Timestamp("2026-09-01 08:00Z")
    assert states(judged)[:2] == [("used", 1), ("violated", 1)]


def test_many_ports_are_one_finding_and_much_is_cut_with_a_word(tmp_path: Path) -> None:
    records = [reject(WEB, DB, port, T0) for port in range(1_000, 1_030)]
    records += [reject(f"192.0.2.{n}", WEB, 23, T0) for n in range(1, 9)]
    rules = FORBID + "\n  - {from: external, to: web, verdict: deny}"
    judged = judge(make_case(tmp_path, records, interfaces=OWN), rules)
    found = _build_findings(judged, most_peers=5)
    scan, telnet = sorted(found, key=lambda f: f.subject != WEB or f.service_port is not None)
    assert (scan.service_port, scan.connections) == (None, 30)
    assert "on 30 ports (1000/tcp, " in scan.summary
    assert "on any of these ports" in scan.caveats
    assert (len(telnet.peers), telnet.connections) == (5, 8)
    assert "8 addresses (" in telnet.summary
    assert "Only the 5 addresses" in telnet.caveats
    whole = findings(judged).to_pandas()
    assert len(judged.case.evidence_for(whole[whole["service_port"].isna()].iloc[0])) == 30
    cut = _build_findings(judge(judged.case, rules), most_hosts=1)
    assert len(cut) == 2  # one of each rule and outcome


def test_group_by_group(tmp_path: Path) -> None:
    records = [
        *connect(WEB, DB, 5432, T0, out=10, back=20),
        *connect(WEB, DB, 22, T0),
        reject("203.0.113.9", DB, 22, T0),
        reject(WEB, "203.0.113.3", 80, T0),
        *connect("10.0.7.7", "10.0.7.8", 80, T0),
    ]
    cells = judge(make_case(tmp_path, records, interfaces=OWN), FORBID).cells()
    assert list(cells.columns) == CELLS.columns
    by_ends = cells.set_index(["initiator_group", "responder_group"])
    assert sorted(by_ends.index) == [("office", "db"), ("web", "db"), ("web", "office")]
    web = by_ends.loc["web", "db"]
    assert (web["verdict"], web["connections"], web["violations"]) == ("violated", 2, 1)
    assert web["ports"] == "22/tcp (ssh), 5432/tcp (postgresql)"
    assert by_ends.loc["office", "db"][["verdict", "attempts"]].tolist() == ["attempted", 1]
    assert by_ends.loc["web", "office"][["verdict", "rejected"]].tolist() == ["rejected", 1]


def test_the_same_evidence_gives_the_same_answer(tmp_path: Path) -> None:
    records = [
        r
        for n in range(9)
        for r in connect(WEB, DB, 22 + n % 3, T0 + n * 700, source_port=4_000 + n)
    ]
    one = judge(make_case(tmp_path / "1", records, interfaces=OWN), FORBID)
    two = judge(make_case(tmp_path / "2", reversed(records), interfaces=OWN), FORBID)
    assert findings(one) == findings(two)
    pd.testing.assert_frame_equal(one.cells(), two.cells())
    pd.testing.assert_frame_equal(one.rule_results(), two.rule_results())


# ---- with the case ------------------------------------------------------------------------


def test_detect_runs_it_only_with_a_policy(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(WEB, DB, 22, T0), interfaces=OWN)
    plan = detect.plan(case).set_index("detector")
    assert plan.loc["segmentation", "reason"] == "not run: the case has no policy"
    text = f"{GROUPS}\nrules:\n{FORBID}"
    case.set_policy("countries: {deny: [KP]}")
    case.set_policy(text)
    again = Case.open(case.path)
    assert again.policy == text
    assert detect.plan(again).set_index("detector").loc["segmentation", "runs"]
    (row,) = detect.run(again, only=["segmentation"]).to_pandas().to_dict("records")
    assert row["severity"] == "high"
    assert again.verify()["ok"].all()
    log = again.path / "custody.jsonl"
    log.write_text(log.read_text().replace("subnet-db", "subnet-xx"))
    assert not Case.open(case.path).verify()["ok"].all()


def test_a_log_without_ports_is_not_judged(tmp_path: Path) -> None:
    fields = ["srcaddr", "dstaddr", "start", "end", "bytes"]
    case = make_case(tmp_path, connect(WEB, DB, 22, T0), interfaces=OWN, fields=fields)
    with pytest.raises(MissingFieldError, match="no flow log of the case has dstport, protocol"):
        judge(case, FORBID)
    case.set_policy(f"{GROUPS}\nrules:\n{FORBID}")
    reason = detect.plan(case).set_index("detector").loc["segmentation", "reason"]
    assert reason == "not run: needs dstport, protocol"


def test_without_actions_in_the_logs_all_counts_as_accepted(tmp_path: Path) -> None:
    fields = ["srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end", "bytes"]
    case = make_case(tmp_path, [reject(WEB, DB, 22, T0)], interfaces=OWN, fields=fields)
    (row,) = report(judge(case, FORBID))
    assert row["severity"] == "medium"
    assert "The flow log format lacks `action`" in row["caveats"]


def test_nothing_seen(tmp_path: Path) -> None:
    silent = Record("-", "-", 0, 0, T0, T0 + 59, log_status="NODATA", action="-")
    case = make_case(tmp_path, [silent])
    assert case.connection_summaries.count().execute() == 0
    judged = judge(case, FORBID)
    assert report(judged) == []
    assert len(judged.cells()) == 0
    assert states(judged) == [("unused", 0), ("compliant", 0), ("unused", 0)]


def test_a_hostile_policy_name_stays_text(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(WEB, DB, 22, T0), interfaces=OWN)
    name = "'; DROP TABLE pairs; -- <script>"
    groups = GROUPS + f"  {json.dumps(name)}: {{addresses: {WEB}}}\n"
    rules = f"  - {{from: {json.dumps(name)}, to: db, verdict: deny, name: {json.dumps(name)}}}"
    (row,) = report(judge(case, rules, groups=groups))
    assert name in row["summary"]
