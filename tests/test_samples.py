"""Real evidence, whole folders of it: what is read, and what is refused and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.detect.detectors import api_abuse, service_abuse
from flowbench.investigate import timeline

# Techniques whose calls name no object: a sign-in, and secrets chosen by a filter.
WITHOUT_OBJECT = ("console-login-without-mfa", "secretsmanager-batch-retrieve-secrets")


@pytest.fixture(scope="module")
def case(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    made = Case.create(tmp_path_factory.mktemp("samples") / "case")
    made.ingest(samples / "flowlogs", samples / "inventory", samples / "cloudtrail")
    return made


def refused(case: Case) -> dict[str, str]:
    rows = case.quarantine.to_pandas()
    return {f"{row.file}:{int(row.line)}": row.reason for row in rows.itertuples()}


def test_what_is_read(case) -> None:
    kinds = case.info().set_index("kind")[["files", "records"]]
    assert kinds.loc["cloudtrail"].tolist() == [36, 316]  # 35 techniques and one of lookup-events
    # Two of them Parquet, with 9 sound rows; of three subscriptions one is in AWS's format.
    assert kinds.loc["flow-logs"].tolist() == [12, 27]
    # 107 interfaces in 28 answers; 3 are byte for byte the same as others, 1 holds an error.
    assert kinds.loc["inventory"].tolist() == [24, 104]
    assert set(kinds.index) == {"cloudtrail", "documentation", "flow-logs", "inventory", "unknown"}


def test_what_is_refused_and_why(case) -> None:
    why = refused(case)
    assert why.pop("otel/vpc_flow_log_too_few_fields.log:2") == "13 fields where the format has 14"
    assert why.pop("otel/vpc_flow_log_too_many_fields.log:2") == (
        "15 fields where the format has 14"
    )
    assert why.pop("peer-string-ports.parquet:3") == "protocol cannot be '8080'"
    subscription = sorted(name for name in why if "_cw" in name)
    assert len(subscription) == 2  # the records of the third are in AWS's format
    for name, fields in zip(subscription, (27, 4), strict=True):
        assert why.pop(name).startswith(f"{fields} fields where the known formats have 14, ")
    (error,) = [name for name in why if name.endswith(".json:1")]  # a recorded refusal
    assert why.pop(error).startswith("JSON of no kind flowbench knows; its keys: ")
    # Licences and notes, which say who made the samples, are left alone.
    assert not why


def test_who_owns_the_interfaces(case) -> None:
    services = Counter(case.interfaces.service.to_pandas())
    assert services["efs"] == 15
    assert services["nat-gateway"] == 8
    assert services["rds"] == 7
    assert services["transit-gateway"] == 6


def test_no_secret_survives(case) -> None:
    events = case.api_events.to_pandas()
    assert len(events) == 316
    text = " ".join(events["request"].dropna()) + " ".join(events["response"].dropna())
    assert "[redacted]" in text
    kept = case.path / "tables" / "api_events"
    for path in kept.iterdir():
        assert b"IQoJb3JpZ2lu" not in path.read_bytes()  # how every session token begins


def test_records_without_inventory_still_become_connections(case) -> None:
    rows = case.connections.filter(case.connections.responder == "188.114.116.1").to_pandas()
    assert rows["initiator"].tolist() == ["172.31.39.167"]
    assert rows["service_port"].tolist() == [123]
    assert rows["direction"].tolist() == ["outbound"]
    host = case.connections.filter(case.connections.responder == "172.31.39.167")
    noise = host.filter(host.direction == "inbound").to_pandas()
    assert noise["rejected"].all()
    assert len(noise) == 8


def test_each_technique_is_found_and_in_the_timeline(case: Case) -> None:
    """Every recorded attack technique has a finding, and a row with principal and object."""
    evidence = case.evidence
    is_technique = evidence["file"].str.match(r"stratus/aws\..*\.json$")
    techniques = evidence[is_technique].set_index("evidence_id")["file"]
    assert len(techniques) == 35
    # Of all techniques at once there are more findings of low severity than a case reports.
    findings = Findings(api_abuse.find(case, most_low=99) + service_abuse.find(case, most_low=99))
    cited = {row for found in findings for row in case.evidence_for(found)["evidence_id"]}
    assert [file for key, file in techniques.items() if key not in cited] == []
    seen = with_objects(timeline.build(case, findings=findings))
    events = case.api_events
    for key, file in techniques.items():  # others are in the timeline of their principal
        if key in seen or any(name in file for name in WITHOUT_OBJECT):
            continue
        own = events.filter(events.evidence_id == key, events.principal_arn.notnull())
        arns = own.order_by("principal_arn").principal_arn.to_pyarrow().to_pylist()
        assert any(
            key in with_objects(timeline.build(case, f"principal:{arn}", findings))
            for arn in dict.fromkeys(arns)
        ), file


def with_objects(rows: pd.DataFrame) -> set[str]:
    """Return the evidence ids of the API events that have a principal and an object."""
    return set(rows.dropna(subset=["actor", "object"])["evidence_id"])
