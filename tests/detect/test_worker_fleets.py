"""Workers that replace each other, and hosts that only look like them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.detect.detectors.common import HOUR, SAAS, irregular, periodic, run
from tests.traffic import T0, connect, make_case


@pytest.mark.parametrize(
    ("hours", "earlier", "severity"),
    # Workers; hosts that were there before; hosts that are there side by side.
    [(3, 0, "low"), (3, 2, "high"), (16, 0, "high")],
)
def test_short_lived_workers_of_one_deployment_are_low(
    tmp_path: Path, hours: float, earlier: int, severity: str
) -> None:
    records = list(irregular("10.0.0.99", "198.51.100.7", 900, hours=40))
    for n in range(1, 7):
        begin = n * 2 * HOUR
        calls = periodic(f"10.0.0.{n}", SAAS, 443, 300, seed=n, hours=hours)
        records += [replace(r, start=r.start + begin, end=r.end + begin) for r in calls]
        if earlier:
            records += connect(f"10.0.0.{n}", "10.0.9.9", 443, T0 + begin - earlier * HOUR + 60)
    found = run(make_case(tmp_path, records), "beacon")
    assert found["severity"].tolist() == [severity] * 6
    assert found["caveats"].str.contains("6 short-lived hosts").all() == (severity == "low")
