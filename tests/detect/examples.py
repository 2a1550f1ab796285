"""A finding to compare, group, show and store in tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from flowbench.detect import Finding
from flowbench.detect.detectors import contact
from flowbench.detect.finding import Traffic, make_finding

AT = pd.Timestamp("2026-09-01 00:00:00", tz="UTC")


TRAFFIC = Traffic((443,), 6, AT, AT + pd.Timedelta("1h"), 3, 10, 20)


def example_finding(peers: Iterable[str] = ("203.0.113.5",), **more: Any) -> Finding:
    given: dict[str, Any] = {
        "severity": "high",
        "score": 0.5,
        "subject": "10.0.0.5",
        "summary": "because",
        "caveats": "",
    } | more
    traffic = TRAFFIC._replace(**{n: given.pop(n) for n in Traffic._fields if n in given})
    return make_finding(contact.DETECTOR, given.pop("subject"), peers, traffic, **given)
