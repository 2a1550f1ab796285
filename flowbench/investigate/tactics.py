"""ATT&CK tactics of API calls, by the rules of the detector api-abuse.

A call's name alone does not make it hostile: the tactic says what an intruder would call it for,
so that what a principal did can be read in the order of its weight.
"""

from __future__ import annotations

import re
from functools import cache

from flowbench.detect.api_matches import RULES
from flowbench.detect.api_requests import VERSION
from flowbench.detect.api_rule import (
    ACCESS,
    CREDENTIALS,
    DISCOVERY,
    ESCALATION,
    EVASION,
    EXECUTION,
    EXFILTRATION,
    IMPACT,
    MOVEMENT,
    PERSISTENCE,
)

OTHER = "Other"
COLLECTION = "Collection"
# Calls that no rule names, or only a rule about a part of them (failed sign-ins, foreign keys).
_NAMED: dict[str, tuple[str, str | None]] = {
    "PutObject": (OTHER, None),
    "CreateMultipartUpload": (OTHER, None),
    "ConsoleLogin": (ACCESS, "T1078.004"),
    "AssumeRole": (ESCALATION, "T1078.004"),
    "AssumeRoleWithSAML": (ESCALATION, "T1078.004"),
    "AssumeRoleWithWebIdentity": (ESCALATION, "T1078.004"),
    "GetSessionToken": (EVASION, "T1550.001"),
    "CreateInstanceProfile": (ESCALATION, "T1098.003"),
    "AddRoleToInstanceProfile": (ESCALATION, "T1098.003"),
    "GetObject": (COLLECTION, "T1530"),
    "SelectObjectContent": (COLLECTION, "T1530"),
    "GetSnapshotBlock": (COLLECTION, "T1530"),
    "CreateSnapshot": (EVASION, "T1578.001"),
    "CreateSnapshots": (EVASION, "T1578.001"),
    "CopySnapshot": (EVASION, "T1578.001"),
    "CopyObject": (COLLECTION, "T1530"),
}
# The weightiest first: what outlives the session, what widens it, what it learnt and concealed, and
# the data that it had access to.
ORDER = (
    PERSISTENCE,
    ESCALATION,
    DISCOVERY,
    EVASION,
    CREDENTIALS,
    COLLECTION,
    EXFILTRATION,
    MOVEMENT,
    EXECUTION,
    IMPACT,
    ACCESS,
    OTHER,
)


@cache
def _by_name() -> dict[str, tuple[str, str]]:
    """Tactic and technique of each event name: of the weightiest rule that names it."""
    found: dict[str, tuple[str, str]] = {}
    for rule in RULES:
        for name in rule.names:
            known = found.get(name)
            if known is None or ORDER.index(rule.tactic) < ORDER.index(known[0]):
                found[name] = rule.tactic, rule.technique
    return found


def classify(event_name: str, *, read_only: bool = False) -> tuple[str, str | None]:
    """Return the tactic and technique of an API call; calls that only read are discovery.

    Args:
        event_name: As in the event, with a version (…20150331v2) or without.
        read_only: Whether the call only reads.
    """
    name = re.sub(VERSION, "", event_name)
    if (known := _NAMED.get(name) or _by_name().get(name)) is not None:
        return known
    if read_only or name.startswith(("Describe", "List", "Get", "Head", "Lookup")):
        return DISCOVERY, None
    return OTHER, None


def rank(event_name: str, *, read_only: bool = False) -> int:
    """Return the place of a call's tactic in ORDER."""
    return ORDER.index(classify(event_name, read_only=read_only)[0])
