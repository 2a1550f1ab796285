"""The trace of an address: an external one to its callers, a host to its instance's calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.investigate import attribution
from tests.incident_case import api_event, started
from tests.investigate.credentials import assumed, issued, session_event
from tests.traffic import T0, connect, make_case

KEY, INSTANCE = "ASIAHOST", "i-0aaaa1111"


def test_an_external_address_is_traced_to_who_called_from_it(credential_case: Case) -> None:
    trace = attribution.trace(credential_case, "203.0.113.99")
    assert (trace.of("address")[0].file, trace.of("address")[0].line) == ("flows.log", 4)
    assert [step.description for step in trace.of("caller")] == [
        "bob made 5 API calls from 203.0.113.99, at 2026-09-01 00:00 UTC, access key AKIABOB;"
        " 0 failed."
    ]
    (activity,) = trace.of("caller activity")
    assert activity.description.startswith("Collection (T1530): bob called GetObject 5x")
    (outcome,) = trace.of("outcome")
    assert outcome.description == (
        "Access key AKIABOB was deleted at 2026-09-01 00:00:50 UTC by mallory."
    )
    assert [step.value for step in trace.of("address in flows")] == ["203.0.113.99"]
    assert trace.gaps == ["No inventory lists an interface with 203.0.113.99."]


def test_a_caller_that_is_in_no_flow_log(credential_case: Case) -> None:
    trace = attribution.trace(credential_case, "203.0.113.98")
    assert trace.of("address")[0].event_id == "b1"
    assert trace.of("address in flows") == []
    assert [step.value for step in trace.of("caller")] == ["backdoor/x"]


@pytest.fixture(scope="module")
def host_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A host started by a role's session, whose own credentials were used from elsewhere."""
    stolen = f"web/{INSTANCE}"
    events = [
        api_event("r1", "CreateRole", T0 - 90, request={"roleName": "deploy"},
                  arn="arn:aws:iam::111122223333:user/ada", key="AKIAADA"),
        api_event("a1", "AssumeRole", T0 - 60, request=assumed("deploy", "ci"),
                  response=issued(KEY)),
        session_event("c1", "RunInstances", T0 - 30, "deploy/ci", KEY,
                      response=started(INSTANCE, "eni-a", "10.0.0.5")),
        *(session_event(f"s{n}", "ListBuckets", T0 + n, stolen, "ASIAOWN", read=True,
                        ip="198.51.100.200") for n in range(3)),
        api_event("t1", "TerminateInstances", T0 + 60,
                  request={"instancesSet": {"items": [{"instanceId": INSTANCE}]}}),
        api_event("k1", "UpdateAccessKey", T0 + 90, arn="arn:aws:iam::111122223333:user/bob",
                  key="AKIAADMIN", request={"userName": "eve", "accessKeyId": "AKIAEXAMPLEEVE",
                                            "status": "Inactive"}),
    ]  # fmt: skip
    records = [*connect("10.0.0.5", "203.0.113.50", 3333, T0, out=60_000, back=80_000)]
    folder: Path = tmp_path_factory.mktemp("host")
    return make_case(
        folder, records, json_lines=events, indicators="indicator,kind\n203.0.113.50,mining\n"
    )


def test_what_became_of_the_instance_and_of_the_key_behind_it(host_case: Case) -> None:
    trace = attribution.trace(host_case, "10.0.0.5")
    assert [step.event_id for step in trace.of("created by")] == ["a1", "r1"]
    outcomes = [step.description for step in trace.of("outcome")]
    assert outcomes == [
        f"RunInstances created {INSTANCE} at 2026-08-31 23:59:30 UTC; it was terminated at"
        " 2026-09-01 00:01:00 UTC by eve.",
        "CreateRole created deploy at 2026-08-31 23:58:30 UTC; no event in the evidence ends it.",
        "Access key AKIAEXAMPLEEVE was disabled at 2026-09-01 00:01:30 UTC by bob.",
    ]
    assert trace.value("created by") == "arn:aws:iam::111122223333:user/eve"


def test_calls_with_the_instances_credentials(host_case: Case) -> None:
    trace = attribution.trace(host_case, "10.0.0.5")
    (caller,) = trace.of("caller")
    assert caller.description == (
        f"web/{INSTANCE} made 3 API calls from 198.51.100.200, at 2026-09-01 00:00 UTC, access key"
        " ASIAOWN; 0 failed."
    )
    (subject,) = attribution.trace_subjects(
        host_case, detect.run(host_case, only=["contact"], keep=False)
    )
    assert subject.trace.of("caller") == []  # a report states these by its findings


def test_findings_about_the_host(host_case: Case) -> None:
    findings = detect.run(host_case, only=["contact"], keep=False)
    trace = attribution.trace(host_case, "10.0.0.5", findings=findings)
    (step,) = trace.of("finding")
    assert step.description.startswith("Indicator match (mining) (")
    assert (step.value, step.file, step.line) == (findings[0].finding_id, "flows.log", 2)
    peer = attribution.trace(host_case, "203.0.113.50", findings=findings)
    assert [step.value for step in peer.of("finding")] == [findings[0].finding_id]
    assert peer.of("caller") == []
