"""Findings as phrases of a summary for a manager: what a host or principal did, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from flowbench.enrich.ports import label
from flowbench.text import format_bytes, format_count, format_duration, join_words, list_some

if TYPE_CHECKING:
    from flowbench.detect import Finding
    from flowbench.investigate.api_events import ApiEvent

_NAMED = 2  # peers in a phrase
_MOST_PHRASES = 5  # calls in a phrase
_NOTHING: Mapping[str, str] = {}


# What an API call does, with {} for its object; of others the name is given.
_CALLS = {
    "AddUserToGroup": "add {} to a group",
    "AssumeRole": "assume role {}",
    "AttachRolePolicy": "attach a policy to {}",
    "AttachUserPolicy": "attach a policy to {}",
    "AuthorizeSecurityGroupIngress": "open security group {}",
    "ConsoleLogin": "sign in to the console",
    "CreateAccessKey": "create an access key for {}",
    "CreateLoginProfile": "set a console password for {}",
    "CreateRole": "create role {}",
    "CreateUser": "create user {}",
    "DeleteFlowLogs": "delete flow logs {}",
    "DeleteTrail": "delete trail {}",
    "GetSecretValue": "read secret {}",
    "ModifyImageAttribute": "change the permissions of {}",
    "ModifySnapshotAttribute": "change the permissions of {}",
    "PutRolePolicy": "give {} a policy",
    "PutUserPolicy": "give {} a policy",
    "RunInstances": "launch {}",
    "StopInstances": "stop {}",
    "StopLogging": "stop trail {}",
    "TerminateInstances": "terminate {}",
    "UpdateLoginProfile": "change the console password of {}",
}
# What a finding is about, by detector or by the tactic in its title; the most severe first.
_TOPICS = {
    "mining": "crypto-mining traffic",
    "exfiltration": "unusual outbound data volume",
    "Impact: RunInstances": "launched instances",
    "Impact": "resources changed or destroyed",
    "Exfiltration": "resources shared outside the account",
    "Credential access": "access to secrets",
    "Collection": "collection of data",
    "remote-access": "remote access from external addresses",
    "service-abuse": "use of AWS credentials from an unexpected location",
    "Persistence": "new credentials",
    "Privilege escalation": "extended permissions",
    "Defense evasion": "weakened logging or protection",
    "lateral-movement": "connections to other internal hosts",
    "contact": "communication with addresses on indicator lists",
    "beacon": "regular connections to an external address",
    "dns": "suspicious DNS queries",
    "brute-force": "login brute force",
    "Initial access": "unusual sign-in",
    "scan": "scanning",
    "Discovery": "discovery of resources in the account",
}


def name_topics(findings: Iterable[Finding]) -> list[str]:
    """Return what findings are about, in a few words for a manager, the most severe first."""
    topics = {_topic(finding): finding.title.casefold() for finding in findings}
    order = {topic: number for number, topic in enumerate(_TOPICS)}
    ranked = sorted(topics, key=lambda topic: (order.get(topic, len(order)), topic))
    return list(dict.fromkeys(_TOPICS.get(topic, topics[topic]) for topic in ranked))


def _topic(finding: Finding) -> str:
    """A finding's key in _TOPICS: its title, or the tactic before the API call, or its detector."""
    if finding.detector != "api-abuse":
        return finding.detector
    return finding.title if finding.title in _TOPICS else finding.title.partition(":")[0]


def describe_calls(subject: str, events: Sequence[ApiEvent], origin: Sequence[str]) -> str:
    """State what a principal's credentials were used for; CloudTrail does not name the person.

    Args:
        subject: The principal.
        events: Its calls, in order of time. Of failed ones only those that never succeeded count.
        origin: The addresses that they came from.

    Returns:
        "The credentials of ada were used from 192.0.2.1 to create user eve (CreateUser)".
    """
    objects: dict[tuple[str, bool], dict[str, None]] = {}
    for event in events:
        found = objects.setdefault((event.event_name, event.error_code is not None), {})
        if named := event.target_user or event.object:
            is_role = event.event_name == "AssumeRole"  # whose phrase says 'role' already
            found[named.removeprefix("role/") if is_role else named] = None
    done = {name for name, failed in objects if not failed}
    phrases, names = [], []
    for (name, failed), found in objects.items():
        if failed and name in done:
            continue
        known, on = _CALLS.get(name), list_some(found, _NAMED)
        if failed:
            phrases.append(f"call {name}, which failed")
        elif known is not None and (on or "{}" not in known):
            phrases.append(known.replace("{}", on))
            names.append(name)
        else:
            phrases.append(f"call {name}{f' on {on}' if on else ''}")
    source = f" from {join_words(origin, _NAMED)}" if origin else ""
    calls = f" ({list_some(names)})" if names else ""
    text = join_words(phrases, _MOST_PHRASES)
    return f"The credentials of {subject} were used{source} to {text}{calls}"


def describe_finding(finding: Finding, listed: Mapping[str, str] = _NOTHING) -> str:
    """Return what a finding's subject did, without the subject: "sent 2 GB to 198.51.100.77".

    Args:
        finding: The finding.
        listed: What indicator lists have about peers, by address: 'tor'.
    """
    if (own := listed.get(finding.peer or "")) and finding.detector != "contact":
        peer = str(finding.peer)
        phrase = _PHRASES.get(finding.detector, _by_title)(finding)
        return phrase.replace(peer, f"{peer} (indicator list: {own})", 1)
    return _PHRASES.get(finding.detector, _by_title)(finding)


def _peers(finding: Finding) -> str:
    return join_words(finding.peers, _NAMED) or "several addresses"


def _service(finding: Finding) -> str:
    if not finding.service_port:
        return ""
    return f" on {label(finding.service_port, finding.protocol)}"


def _mining(finding: Finding) -> str:
    return f"exchanged crypto-mining traffic with {_peers(finding)}{_service(finding)}"


def _beacon(finding: Finding) -> str:
    """Name the mean interval between check-ins, from their number and period."""
    seconds = (finding.last_seen - finding.first_seen).total_seconds()
    interval = seconds / max(finding.connections - 1, 1)
    return f"connected to {_peers(finding)}{_service(finding)} every {format_duration(interval)}"


def _contact(finding: Finding) -> str:
    kinds = finding.title.partition("(")[2].rstrip(")")
    listed = f"indicator list: {kinds}" if kinds else "on an indicator list"
    return f"communicated with {_peers(finding)} ({listed})"


def _lateral(finding: Finding) -> str:
    count = format_count(finding.connections, "connection")
    services = format_count(max(len(finding.peers), 1), "internal host")
    if "eject" in finding.title:
        return f"attempted {count} to {services}, all of which were rejected"
    return f"opened {count} to {services} for the first time"


def _exfiltration(finding: Finding) -> str:
    return f"sent {format_bytes(finding.bytes_out)} to {_peers(finding)}"


def _remote_access(finding: Finding) -> str:
    return f"had an administrative session from {_peers(finding)}{_service(finding)}"


def _brute_force(finding: Finding) -> str:
    count = format_count(finding.connections, "login attempt")
    if finding.is_target:
        return f"received {count}{_service(finding)} from {_peers(finding)}"
    return f"made {count}{_service(finding)} at {_peers(finding)}"


def _scan(finding: Finding) -> str:
    return f"scanned {format_count(max(len(finding.peers), 1), 'address', 'addresses')}"


def _api(finding: Finding) -> str:
    calls = finding.title.partition(": ")[2] or finding.title
    origin = f" from {list_some(finding.peers, _NAMED)}" if finding.peers else ""
    return f"called {calls}{origin}"


def _by_title(finding: Finding) -> str:
    peers = f" ({_peers(finding)})" if finding.peers else ""
    return f"is the subject of “{finding.title}”{peers}"


_PHRASES: Mapping[str, Callable[[Finding], str]] = {
    "mining": _mining,
    "beacon": _beacon,
    "contact": _contact,
    "lateral-movement": _lateral,
    "exfiltration": _exfiltration,
    "remote-access": _remote_access,
    "brute-force": _brute_force,
    "scan": _scan,
    "api-abuse": _api,
}
