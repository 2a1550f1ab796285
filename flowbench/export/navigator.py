"""The techniques of the findings as a layer for the ATT&CK Navigator (layer format 4.5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowbench.detect.finding import SEVERITIES

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding, Findings

ATTACK_VERSION = "18"  # of the technique ids that findings have
_SCORES = dict(zip(SEVERITIES, (25, 50, 75, 100), strict=True))
_COLOURS = {"low": "#c8d0d8", "medium": "#e8c96a", "high": "#e07a7d", "critical": "#a3304a"}


def to_layer(case: Case, findings: Findings) -> bytes:
    """Return a layer: each technique with the score and colour of its most severe finding."""
    by_technique: dict[str, list[Finding]] = {}
    for finding in findings:
        by_technique.setdefault(finding.technique, []).append(finding)
    layer = {
        "name": f"flowbench: {case.name}",
        "versions": {"attack": ATTACK_VERSION, "navigator": "5.1.0", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": "Findings of flowbench; the score is the severity of the most severe one.",
        "techniques": [_technique(name, some) for name, some in sorted(by_technique.items())],
        "gradient": {"colors": ["#ffffff", "#a3304a"], "minValue": 0, "maxValue": 100},
        "legendItems": [{"label": name, "color": colour} for name, colour in _COLOURS.items()],
    }
    return (json.dumps(layer, indent=2) + "\n").encode()


def _technique(technique: str, findings: list[Finding]) -> dict[str, Any]:
    severity = max((finding.severity for finding in findings), key=SEVERITIES.index)
    titles = dict.fromkeys(f"{finding.title} ({finding.subject})" for finding in findings)
    return {
        "techniqueID": technique,
        "score": _SCORES[severity],
        "color": _COLOURS[severity],
        "comment": "; ".join(titles)[:2_000],
        "enabled": True,
        "metadata": [{"name": "findings", "value": str(len(findings))}],
    }
