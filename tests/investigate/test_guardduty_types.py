"""GuardDuty finding types: what they rest on, and which fits a finding."""

from __future__ import annotations

import pytest

from flowbench.detect.detectors import (
    beacon,
    brute_force,
    contact,
    dns,
    exfiltration,
    lateral_movement,
    mining,
    scan,
    service_abuse,
)
from flowbench.detect.finding import Traffic, make_finding
from flowbench.investigate.guardduty_types import find_sources, suggest_type
from tests.detect.examples import TRAFFIC

NOTHING = dict.fromkeys(
    "action_type api remote_addresses domains access_key_ids principal_names".split()
)


@pytest.mark.parametrize(
    ("type_", "values", "sources"),
    [
        ("Trojan:EC2/DropPoint", {"action_type": "NETWORK_CONNECTION"}, ("flow logs",)),
        ("Trojan:EC2/DropPoint", {"remote_addresses": ["192.0.2.1"]}, ("flow logs",)),
        ("Trojan:EC2/DropPoint!DNS", {}, ("DNS",)),
        ("Trojan:EC2/DNSDataExfiltration", {}, ("DNS",)),
        ("Impact:EC2/MaliciousDomainRequest.Custom", {}, ("DNS",)),
        ("Any:EC2/Other", {"domains": ["a.example"]}, ("DNS",)),
        ("Recon:IAMUser/TorIPCaller", {}, ("CloudTrail",)),
        ("Exfiltration:S3/MaliciousIPCaller", {}, ("CloudTrail",)),
        ("Backdoor:Runtime/C&CActivity.B!DNS", {}, ()),
        ("", {}, ()),
    ],
)
def test_what_a_type_rests_on(type_: str, values: dict, sources: tuple) -> None:
    found, rests_on = find_sources(NOTHING | {"type": type_} | values)
    assert found == sources
    assert bool(rests_on) == (not sources)


def finding(module, peer: str = "203.0.113.5", port: int = 443, **more):
    traffic: Traffic = TRAFFIC._replace(ports=(port,))
    given = {"severity": "high", "score": 0.5, "summary": "s", "caveats": ""} | more
    return make_finding(module.DETECTOR, "10.0.0.5", [peer], traffic, **given)


@pytest.mark.parametrize(
    ("given", "type_", "reason"),
    [
        (finding(contact, title="Indicator match (c2, tor)"), "TorClient", "Tor guard"),
        (finding(contact, title="Indicator match (scanner)"), "MaliciousIPCaller.Custom", "gave"),
        (finding(mining), "BitcoinTool.B", "as a pool"),
        (finding(mining, "2001:db8::5"), "BitcoinTool.B", "covers IPv6"),
        (finding(beacon), "C&CActivity.B", "GuardDuty's own lists"),
        (finding(brute_force, port=22), "SSHBruteForce", None),
        (finding(brute_force, port=3389), "RDPBruteForce", None),
        (finding(brute_force, port=5986), "WinRMBruteForce", None),
        (finding(brute_force, port=3306), None, None),
        (finding(scan), "Recon:EC2/Portscan", "one target"),
        (finding(scan, title="Host sweep"), "Impact:EC2/PortSweep", "public targets"),
        (finding(scan, title="Internet background scanning"), "PortProbeUnprotected", "open port"),
        (finding(exfiltration), "TrafficVolumeUnusual", "baseline"),
        (finding(dns), "DNSDataExfiltration", "Amazon's DNS resolver"),
        (finding(dns, title="Indicator domain resolved"), "MaliciousDomainRequest", "resolver"),
        (finding(dns, "2001:db8::5", title="External DNS resolver used"), "UnusualDNSRes", None),
        (finding(service_abuse, title="AWS credentials used from x"), "OutsideAWS", None),
        (finding(service_abuse), None, None),
        (finding(lateral_movement), None, None),
    ],
)
def test_the_type_that_would_fit(given, type_: str | None, reason: str | None) -> None:
    found, why = suggest_type(given)
    assert (found is None) == (type_ is None)
    assert (why is None) == (reason is None)
    assert (type_ or "") in (found or "")
    assert (reason or "") in (why or "")
