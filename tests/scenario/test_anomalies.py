"""Generated anomalies: the same seed gives the same bytes, and the evidence has the anomalies."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.scenario import anomalies


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unusual")
    anomalies.write(folder, 4, window=600)
    return folder


@pytest.fixture(scope="module")
def planted(incident: Path) -> pd.DataFrame:
    return pd.DataFrame(json.loads((incident / "answers.json").read_text())["planted"])


@pytest.fixture(scope="module")
def case(incident: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    case = Case.create(tmp_path_factory.mktemp("case") / "case")
    evidence = [p for p in incident.iterdir() if p.name not in ("answers.json", "labels.csv")]
    loaded = case.ingest(*sorted(evidence))
    assert loaded["quarantined"].sum() == 0
    return case


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, incident: Path) -> None:
    anomalies.write(tmp_path, 4, window=600)
    for path in incident.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_each_anomaly_is_on_its_own_host(planted: pd.DataFrame) -> None:
    assert planted["kind"].value_counts().to_dict() == {
        "spike": 3, "lateral-movement": 2, "service-abuse": 2, "rare-peer": 1, "geography": 1,
        "long-connection": 1, "blind-spot": 1,
    }  # fmt: skip
    assert planted["src"].is_unique


def test_anomalies_are_in_the_records(case: Case, planted: pd.DataFrame) -> None:
    facts = planted.set_index("kind")
    pairs = case.connection_summaries.to_pandas().set_index(["initiator", "responder"]).sort_index()
    begin, end = case.span
    for kind in ("rare-peer", "geography", "long-connection"):
        fact = facts.loc[kind]
        (row,) = pairs.loc[[(fact["src"], fact["dst"][0])]].to_dict("records")
        assert row["answered"] == row["connections"] > 0
        if kind != "long-connection":
            assert row["first_seen"] > begin + (end - begin) / 2
    rejected = next(f for f in planted.to_dict("records") if f.get("rejected") is True)
    attempted = pairs.loc[[(rejected["src"], peer) for peer in rejected["dst"]]]
    assert (attempted["rejected"] == attempted["connections"]).all()


def test_a_gap_has_no_records(case: Case, planted: pd.DataFrame) -> None:
    fact = planted[planted["kind"] == "blind-spot"].iloc[0]
    records = case.flows.filter(case.flows.interface_id == fact["src"])
    starts = records.order_by("start").to_pandas()
    longest = (starts["start"] - starts["end"].cummax().shift()).max()
    assert longest >= pd.Timedelta(minutes=fact["minutes"] - 1)


def test_the_evidence_beside_flow_logs_is_ingested(case: Case) -> None:
    kinds = set(case.evidence["kind"])
    assert {"flow-logs", "cloudtrail", "geography", "cloud-ranges"} <= kinds
    assert case.dns.count().execute() > 100
    assert case.interfaces.instance_id.nunique().execute() > 20
