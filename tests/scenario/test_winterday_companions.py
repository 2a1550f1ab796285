"""The evidence of the Winterday scenario beside flow logs and CloudTrail."""

from __future__ import annotations

import csv
import json
from typing import Any

from tests.scenario.conftest import DATA, content, queries, seconds


def test_the_pool_is_resolved_before_each_session_but_one(flows, answers) -> None:
    pool = answers["pool"]
    lookups = sorted(
        seconds(q["query_timestamp"])
        for q in queries()
        if q["query_name"].rstrip(".") in pool["names"]
    )
    opened = sorted(
        (int(f["start"]), int(f["end"]))
        for f in flows
        if f["dstaddr"] == pool["address"] and f["tcp-flags"] == "2"
    )
    assert len(opened) == pool["connections"]
    is_resolved = [any(start - 3 <= at <= end for at in lookups) for start, end in opened]
    assert is_resolved.count(False) == 1  # the pool named the address of one session itself
    assert len(lookups) == pool["connections"] - 1


def test_guardduty_findings_agree_with_flows_and_dns(flows, answers) -> None:
    export = next(DATA.glob("evidence/AWSLogs/*/GuardDuty/**/*.gz"))
    findings = [json.loads(line) for line in content(export).decode().splitlines()]
    assert {finding["id"] for finding in findings} == set(answers["guardduty_findings"])
    assert len(findings) == len(answers["guardduty_findings"]) + 1  # one has an update
    connections = {
        (f["srcaddr"], f["srcport"], f["dstaddr"], f["dstport"])
        for f in flows
        if f["interface-id"] == answers["interface"]
    }
    for finding in findings:
        action = finding["service"]["action"].get("networkConnectionAction")
        if action:
            remote = (action["remoteIpDetails"]["ipAddressV4"], action["remotePortDetails"]["port"])
            local = (action["localIpDetails"]["ipAddressV4"], action["localPortDetails"]["port"])
            assert tuple(map(str, (*local, *remote))) in connections
        else:
            lookups = [
                q["query_timestamp"]
                for q in queries()
                if q["query_name"] == action_domain(finding) + "."
                and q["query_timestamp"][:19] <= finding["service"]["eventLastSeen"][:19]
            ]
            assert len(lookups) == finding["service"]["count"]
            assert min(lookups)[:19] == finding["service"]["eventFirstSeen"][:19]
            assert max(lookups)[:19] == finding["service"]["eventLastSeen"][:19]
    printed = json.loads((DATA / "evidence/guardduty/get-findings.json").read_text())["Findings"]
    (probe,) = [f for f in printed if f["Type"].startswith("Recon:")]
    details = probe["Service"]["Action"]["PortProbeAction"]["PortProbeDetails"]
    accepted = {f["srcaddr"] for f in flows if f["dstport"] == "22" and f["action"] == "ACCEPT"}
    assert len(details) == probe["Service"]["Count"]
    assert {d["RemoteIpDetails"]["IpAddressV4"] for d in details} <= accepted


def action_domain(finding: dict[str, Any]) -> str:
    return finding["service"]["action"]["dnsRequestAction"]["domain"]


def test_feeds_have_the_indicators_of_the_incident_and_an_expired_one(answers) -> None:
    feeds = DATA / "evidence" / "feeds"
    assert answers["tor"]["address"] in (feeds / "tor-exits.txt").read_text().splitlines()
    pools = (feeds / "mining-pools.txt").read_text().splitlines()
    assert {answers["pool"]["address"], answers["pool"]["names"][1]} <= set(pools)
    rows = list(csv.DictReader((feeds / "indicators.csv").read_text().splitlines()))
    expired = [row["indicator"] for row in rows if row["valid_until"][:4] == "2025"]
    assert set(expired) <= set(answers["suspicious_but_benign"])
    assert len(expired) == 1


def test_the_inventory_has_the_instance_with_its_name(answers) -> None:
    path = DATA / "evidence/inventory/describe-network-interfaces.json"
    interfaces = json.loads(path.read_text())["NetworkInterfaces"]
    (own,) = [i for i in interfaces if i["NetworkInterfaceId"] == answers["interface"]]
    assert own["Association"]["PublicIp"] == answers["public_address"]
    assert own["Attachment"]["AttachTime"][:19] == answers["started"][:19]
    assert {"Key": "Name", "Value": "dev-batch-3"} in own["TagSet"]
