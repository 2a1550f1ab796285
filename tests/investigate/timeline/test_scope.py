"""What a timeline is about."""

from __future__ import annotations

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.investigate import pivot
from flowbench.investigate.timeline.scope import scope_of_case, scope_of_pivot
from tests.incident_case import EXIT, HOST, INSTANCE, KEY, POOL, WEB, make_incident_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("scope") / "incident")


@pytest.fixture(scope="module")
def findings(case: Case) -> Findings:
    return detect.run(case)


def test_a_case_follows_the_subjects_of_severe_findings(case: Case, findings: Findings) -> None:
    scope = scope_of_case(case, findings)
    assert HOST in scope.host_addresses
    assert WEB not in scope.addresses
    assert {f.subject for f in scope.findings} == {HOST}
    assert {f.severity for f in scope.findings} == {"high", "medium"}
    assert scope.instance_ids == {INSTANCE}
    assert not scope.is_whole


def test_without_severe_findings_it_is_whole(case: Case, findings: Findings) -> None:
    low = Findings(f for f in findings if f.severity in ("low", "medium"))
    scope = scope_of_case(case, low)
    assert scope.is_whole
    assert list(scope.findings) == list(low)
    assert scope.traces == ()


def test_internal_and_external_addresses(case: Case, findings: Findings) -> None:
    inside, outside = (
        scope_of_pivot(case, pivot.resolve(case, text), findings) for text in (HOST, POOL)
    )
    assert (inside.host_addresses, inside.external) == ({HOST}, frozenset())
    assert (outside.host_addresses, outside.external) == (frozenset(), {POOL})
    assert {f.peer for f in outside.findings} == {POOL}
    assert {POOL, EXIT} <= {f.peer for f in inside.findings}


def test_a_key_does_not_stand_for_its_user(case: Case, findings: Findings) -> None:
    scope = scope_of_pivot(case, pivot.resolve(case, KEY), findings)
    assert (scope.principals, scope.access_key_ids) == (frozenset(), {KEY})
    assert scope_of_pivot(case, pivot.resolve(case, "eve"), findings).principals == {"eve"}
