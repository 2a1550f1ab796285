"""Findings as OCSF Detection Findings (class 2004) of schema 1.5.0, one JSON object a line."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.text import is_address, split_zone
from flowbench.version import __version__

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding, Findings

SCHEMA = "1.5.0"
_CATEGORY, _CLASS, _CREATE = 2, 2004, 1
_SEVERITY = {"low": 2, "medium": 3, "high": 4, "critical": 5}
_IP_ADDRESS, _OTHER = 2, 99  # types of observables
_MOST_OBSERVABLES = 100


def to_jsonl(case: Case, findings: Findings) -> bytes:
    """Return all findings; suppressed ones have the status Suppressed."""
    lines = [_to_event(case, finding, suppressed=False) for finding in findings]
    lines += [_to_event(case, finding, suppressed=True) for finding in findings.suppressed]
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def _to_event(case: Case, finding: Finding, *, suppressed: bool) -> dict[str, Any]:
    names = dict.fromkeys([finding.subject, *finding.peers[:_MOST_OBSERVABLES]])
    return {
        "activity_id": _CREATE,
        "activity_name": "Create",
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "type_uid": _CLASS * 100 + _CREATE,
        "type_name": "Detection Finding: Create",
        "time": _milliseconds(finding.first_seen),
        "start_time": _milliseconds(finding.first_seen),
        "end_time": _milliseconds(finding.last_seen),
        "severity_id": _SEVERITY[finding.severity],
        "severity": finding.severity.capitalize(),
        "status_id": 3 if suppressed else 1,
        "status": "Suppressed" if suppressed else "New",
        "message": finding.summary,
        "is_alert": True,
        "count": finding.connections,
        "metadata": {
            "version": SCHEMA,
            "product": {"name": "flowbench", "vendor_name": "flowbench", "version": __version__},
            "uid": finding.finding_id,
            "labels": [f"case:{case.name}"],
        },
        "finding_info": {
            "uid": finding.finding_id,
            "title": finding.title,
            "desc": finding.summary,
            "types": [finding.detector],
            "first_seen_time": _milliseconds(finding.first_seen),
            "last_seen_time": _milliseconds(finding.last_seen),
            "attacks": [{"technique": {"uid": finding.technique}, "version": "18"}],
        },
        "observables": [_observable(name) for name in names],
        "unmapped": {"score": finding.score, "caveats": finding.caveats},
    }


def _observable(name: str) -> dict[str, Any]:
    type_id, kind = (_IP_ADDRESS, "IP Address") if is_address(name) else (_OTHER, "Other")
    return {"name": "endpoint", "type_id": type_id, "type": kind, "value": split_zone(name)[0]}


def _milliseconds(moment: datetime) -> int:
    return int(pd.Timestamp(moment).value // 1_000_000)
