"""GuardDuty finding types: which logs each rests on, and which would fit a finding of flowbench.

Source: Amazon GuardDuty User Guide, finding types (as of October 2026). Types that rest on VPC flow
logs cover no IPv6. Types that rest on DNS logs see queries to Amazon's resolver only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowbench.text import split_zone

if TYPE_CHECKING:
    from flowbench.detect import Finding

FLOW_LOGS, DNS, CLOUDTRAIL = "flow logs", "DNS", "CloudTrail"

SEQUENCE = "AttackSequence:"
_DNS_TYPES = (
    "Impact:EC2/AbusedDomainRequest.Reputation",
    "Impact:EC2/BitcoinDomainRequest.Reputation",
    "Impact:EC2/MaliciousDomainRequest.",
    "Impact:EC2/SuspiciousDomainRequest.Reputation",
    "Trojan:EC2/DGADomainRequest.",
    "Trojan:EC2/DNSDataExfiltration",
    "UnauthorizedAccess:EC2/MetadataDNSRebind",
)
# Resources whose types rest on what neither flow logs nor the loaders' other logs show.
_OTHER_LOGS = {
    "Runtime": "the agent of Runtime Monitoring, which sees processes and files",
    "Kubernetes": "EKS audit logs",
    "EKS": "EKS audit logs",
    "Container": "the agent of Runtime Monitoring, or scans of files",
    "ECS": "the agent of Runtime Monitoring, or scans of files",
    "RDS": "login activity of databases",
    "Lambda": "Lambda's own network logs, which VPC flow logs do not have",
    "Object": "scans of files in S3",
}
_FILE_TYPES = ("MaliciousFile", "SuspiciousFile")
_NETWORK_ACTIONS = ("NETWORK_CONNECTION", "PORT_PROBE")


def find_sources(alert: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return the data sources that show what a GuardDuty finding rests on.

    Args:
        alert: A row of Case.alerts.

    Returns:
        FLOW_LOGS, DNS and CLOUDTRAIL, those that apply; and without any, what it rests on.
    """
    type_, action = alert["type"], alert["action_type"]
    purpose, _, rest = type_.partition(":")
    resource, _, family = rest.partition("/")
    if type_.startswith(SEQUENCE):
        has = {
            FLOW_LOGS: alert["remote_addresses"],
            DNS: alert["domains"],
            CLOUDTRAIL: alert["access_key_ids"] or alert["principal_names"],
        }
        return tuple(
            name for name, values in has.items() if values
        ), "several kinds of logs, and names no address, domain or principal"
    if family.startswith(_FILE_TYPES):
        return (), "scans of files"
    if resource in _OTHER_LOGS:
        return (), _OTHER_LOGS[resource]
    if action == "DNS_REQUEST" or "!DNS" in type_ or type_.startswith(_DNS_TYPES):
        return (DNS,), ""
    if action == "AWS_API_CALL" or resource in ("IAMUser", "S3") or alert["api"]:
        return (CLOUDTRAIL,), ""
    if action in _NETWORK_ACTIONS or (resource == "EC2" and alert["remote_addresses"]):
        return (FLOW_LOGS,), ""
    if resource == "EC2" and alert["domains"]:
        return (DNS,), ""
    return (), f"what {purpose}:{resource} types of GuardDuty report"


_LOGIN_TYPES = {22: "SSH", 3389: "RDP", 5985: "WinRM", 5986: "WinRM"}
_CONTACT_TYPES = {
    "tor": ("UnauthorizedAccess:EC2/TorClient", "a Tor guard or authority that GuardDuty knows"),
    "mining": ("CryptoCurrency:EC2/BitcoinTool.B", "an address that GuardDuty knows as a pool"),
    "c2": ("Backdoor:EC2/C&CActivity.B", "an address on GuardDuty's own lists"),
}
_CUSTOM_TYPE = "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
_RESOLVER = "It rests on queries to Amazon's DNS resolver; other resolvers are not seen."
_DNS_TITLES = {
    "DNS tunnelling": ("Trojan:EC2/DNSDataExfiltration", _RESOLVER),
    "Algorithmically generated domains": ("Trojan:EC2/DGADomainRequest.B", _RESOLVER),
    "DNS rebinding to instance metadata": ("UnauthorizedAccess:EC2/MetadataDNSRebind", _RESOLVER),
    "Indicator domain": ("Impact:EC2/MaliciousDomainRequest.Custom", _RESOLVER),
    "External DNS resolver used": ("DefenseEvasion:EC2/UnusualDNSResolver", ""),
}


def suggest_type(finding: Finding) -> tuple[str | None, str | None]:
    """Return the GuardDuty type that would fit a finding, and why GuardDuty may not raise it.

    Both are None where the User Guide has no type for it, and the reason where it names none.
    """
    type_, reason = _suggest(finding)
    if type_ is None:
        return None, None
    if ":EC2/" in type_ and type_ not in [name for name, _ in _DNS_TITLES.values()]:
        ends = [split_zone(end)[0] for end in (finding.subject, *finding.peers)]
        if any(":" in end for end in ends):
            reason = "No type that rests on VPC flow logs covers IPv6."
    return type_, reason or None


def _suggest(finding: Finding) -> tuple[str | None, str]:
    title = finding.title
    match finding.detector:
        case "contact":
            kinds = title.partition("(")[2].removesuffix(")").split(", ")
            for kind, (type_, needed) in _CONTACT_TYPES.items():
                if kind in kinds:
                    return type_, f"It needs {needed}; the finding is from a list of this case."
            return _CUSTOM_TYPE, "It needs a list that the account's owner gave to GuardDuty."
        case "mining":
            return _CONTACT_TYPES["mining"][0], f"It needs {_CONTACT_TYPES['mining'][1]}."
        case "beacon":
            return _CONTACT_TYPES["c2"][0], f"It needs {_CONTACT_TYPES['c2'][1]}."
        case "brute-force" if name := _LOGIN_TYPES.get(finding.service_port or 0):
            return f"UnauthorizedAccess:EC2/{name}BruteForce", ""
        case "scan":
            return _suggest_scan(title)
        case "exfiltration":
            return "Behavior:EC2/TrafficVolumeUnusual", "It needs a baseline of the host."
        case "dns":
            return next(
                (t for name, t in _DNS_TITLES.items() if title.startswith(name)), (None, "")
            )
        case "service-abuse" if title.startswith("AWS credentials"):
            return "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", ""
    return None, ""


def _suggest_scan(title: str) -> tuple[str | None, str]:
    if title.startswith("Internet background scanning"):
        reason = "It needs an open port, and a scanner that is on GuardDuty's lists."
        return "Recon:EC2/PortProbeUnprotectedPort", reason
    if title.startswith("Port scan"):
        return "Recon:EC2/Portscan", "It needs an instance of the account that scans one target."
    return "Impact:EC2/PortSweep", "It counts public targets only."
