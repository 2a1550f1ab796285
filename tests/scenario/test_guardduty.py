"""GuardDuty findings in AWS's shapes."""

from __future__ import annotations

from flowbench.scenario import guardduty
from flowbench.scenario.network import build

TIME = 1_788_220_800


def test_a_finding_names_the_host_and_its_times() -> None:
    host = build()["dev-bastion-1"]
    action = guardduty.connection_action(host, "192.0.2.1", 3333, 40_000)
    finding = guardduty.guardduty_finding(
        host, "CryptoCurrency:EC2/BitcoinTool.B", 8.0, TIME, TIME + 60, 2, action,
        updated=TIME + 600, title="t", lists=("custom",),
    )  # fmt: skip
    details = finding["resource"]["instanceDetails"]
    assert details["instanceId"] == host.instance
    assert details["networkInterfaces"][0]["publicIp"] == host.public
    assert finding["service"]["eventFirstSeen"] == "2026-09-01T00:00:00.000Z"
    assert finding["service"]["additionalInfo"] == {"threatListName": "custom"}
    remote = finding["service"]["action"]["networkConnectionAction"]["remoteIpDetails"]
    assert remote["ipAddressV4"] == "192.0.2.1"


def test_the_same_kind_and_host_have_one_id() -> None:
    network = build()

    def finding_id(host: str, kind: str) -> str:
        finding = guardduty.guardduty_finding(
            network[host], kind, 2.0, TIME, TIME, 1, {}, updated=TIME, title="t"
        )
        return finding["id"]

    assert finding_id("dev-bastion-1", "a") == finding_id("dev-bastion-1", "a")
    ids = {finding_id(h, k) for h in ("dev-bastion-1", "dev-ci-1") for k in ("a", "b")}
    assert len(ids) == 4


def test_keys_are_capitalized_at_all_depths() -> None:
    assert guardduty.capitalize_keys({"aB": [{"c": "d"}], "e": 1}) == {"AB": [{"C": "d"}], "E": 1}
