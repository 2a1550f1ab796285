"""New services lead to the look-ups and API calls that show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.detect.credential_use import read_assignments
from flowbench.detect.new_services import find_new_services
from tests.detect.detectors.test_service_abuse import (
    DAY,
    HOST,
    INSTANCE,
    INTERFACES,
    NAT,
    alive,
    call,
    look_up,
)
from tests.traffic import make_case


@pytest.mark.parametrize("service", ["iam", "organizations"])
def test_look_ups_and_calls_are_selected(tmp_path: Path, service: str) -> None:
    rows = [look_up(HOST, f"{service}.amazonaws.com", 3 * DAY + n) for n in range(2)]
    rows += [call(f"web/{INSTANCE}", NAT, 3 * DAY + n, "List", service=service) for n in range(3)]
    rows += [call(f"web/{INSTANCE}", NAT, 3 * DAY, "GetObject")]
    rows += [call(f"web/{INSTANCE}", NAT, 60, "GetObject")]  # known: used in the baseline
    case = make_case(tmp_path, alive(HOST), interfaces=INTERFACES, json_lines=rows)
    (new,) = find_new_services(case, read_assignments(case))
    assert (new.host, round(new.baseline / DAY)) == (HOST, 2)
    assert new.usage[["service", "how", "n"]].to_numpy().tolist() == [
        [service, "CloudTrail", 3],
        [service, "DNS", 2],
    ]
    assert len(new.api_events.event_ids) == 3
    assert (new.dns.domains, new.dns.clients) == ((f"{service}.amazonaws.com",), (HOST,))


def test_short_evidence_has_no_baseline(tmp_path: Path) -> None:
    case = make_case(tmp_path, alive(HOST)[:2], json_lines=[look_up(HOST, "iam.amazonaws.com", 9)])
    assert list(find_new_services(case, None)) == []
