"""What to report about a host: its connections, related findings, and what led to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.playbooks import FACTS, list_facts
from tests.conftest import leave_few_detectors
from tests.incident_case import CALLER, DATABASE, HOST, POOL, WEB, make_incident_case


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("incident"))


@pytest.fixture(scope="module")
def findings(incident: Case) -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        leave_few_detectors(patch)
        return detect.run(incident, keep=False)


def test_facts_of_a_host(incident: Case, findings: Findings) -> None:
    facts = list_facts(incident, findings, HOST, [POOL])
    assert list(facts) == FACTS.columns
    assert facts["first_seen"].is_monotonic_increasing
    pool = facts[(facts["actor"] == HOST) & (facts["object"] == POOL)]
    own = incident.connections_of(HOST, POOL)
    (connections,) = pool[pool["activity"] == "Connections"].itertuples()
    assert connections.count == len(own)
    assert (connections.bytes_out, connections.bytes_in) == (
        own["bytes_out"].sum(),
        own["bytes_in"].sum(),
    )
    assert (connections.first_seen, connections.last_seen) == (
        own["first_seen"].min(),
        own["last_seen"].max(),
    )
    assert "3333/tcp (stratum)" in connections.detail
    assert "First accepted connection" not in set(pool["activity"])  # the same moment
    (finding,) = pool[pool["activity"].str.startswith("Indicator match")].itertuples()
    assert findings.by_id(finding.record)[0].bytes_out == finding.bytes_out
    assert {"Rejected internal connections", "RunInstances"} <= set(facts["activity"])
    assert facts.loc[facts["activity"] == "RunInstances", "detail"].str.contains(CALLER).any()
    assert facts["record"].str.contains(", line ").any()


def test_a_host_without_findings_has_its_connections(incident: Case, findings: Findings) -> None:
    facts = list_facts(incident, Findings(), HOST, [DATABASE])
    assert set(facts["actor"]) | set(facts["object"]) == {HOST, DATABASE}
    assert set(facts["activity"]) <= {"Internal connections", "Rejected internal connections"}
    assert list_facts(incident, findings, WEB, []).empty
    assert list_facts(incident, Findings(), HOST, []).empty


def test_findings_of_low_severity_lead_no_further(incident: Case, findings: Findings) -> None:
    low = Findings(replace(finding, severity="low") for finding in findings)
    facts = list_facts(incident, low, HOST, [POOL])
    assert "Connections" in set(facts["activity"])
    assert set(facts["activity"]) - {"Connections"} == {
        finding.title for finding in low if HOST in (finding.subject, *finding.peers)
    }
