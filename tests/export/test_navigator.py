"""The layer for the ATT&CK Navigator: its required fields, and a score for each technique."""

from __future__ import annotations

import json
import re

from flowbench.detect import Findings
from flowbench.export import navigator


def test_each_technique_once_with_the_highest_score(case, findings) -> None:
    layer = json.loads(navigator.to_layer(case, findings))
    assert layer["versions"] == {"attack": "18", "navigator": "5.1.0", "layer": "4.5"}
    assert layer["domain"] == "enterprise-attack"
    scores = {each["techniqueID"]: each["score"] for each in layer["techniques"]}
    assert len(scores) == len(layer["techniques"])
    assert set(scores) == {finding.technique for finding in findings}
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in scores)
    assert scores["T1496.001"] == 75
    assert all(re.fullmatch("#[0-9a-f]{6}", each["color"]) for each in layer["techniques"])


def test_no_findings(case) -> None:
    assert json.loads(navigator.to_layer(case, Findings()))["techniques"] == []
