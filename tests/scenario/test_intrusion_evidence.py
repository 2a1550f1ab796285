"""DNS queries and API events of intrusions: what is planted, and its ordinary likeness."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flowbench.scenario import intrusions


@pytest.fixture(scope="module", params=[0, 4])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("evidence")
    intrusions.write(made, request.param, window=600)
    return made


def planted(folder: Path, kind: str) -> dict[str, Any]:
    facts = json.loads((folder / "answers.json").read_text())["planted"]
    (fact,) = [fact for fact in facts if fact["kind"] == kind]
    return dict(fact)


def queries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "dns.jsonl").read_text().splitlines()]


def test_a_tunnel_has_long_names_of_one_domain_and_one_host(folder: Path) -> None:
    fact = planted(folder, "dns-tunnel")
    own = [q for q in queries(folder) if q["query_name"].endswith(f".{fact['domain']}.")]
    assert {q["srcaddr"] for q in own} == {fact["src"]}
    assert len({q["query_name"] for q in own}) == len(own) == fact["queries"]
    shortest = min(len(q["query_name"]) - len(fact["domain"]) - 2 for q in own)
    assert shortest >= fact["name_bytes"] * 8 / 5
    assert all(len(label) <= 63 for q in own for label in q["query_name"].split("."))
    assert all(len(q["query_name"]) <= 254 for q in own)


def test_generated_domains_mostly_do_not_exist(folder: Path) -> None:
    fact = planted(folder, "dga")
    missing = Counter(q["srcaddr"] for q in queries(folder) if q["rcode"] == "NXDOMAIN")
    assert missing[fact["src"]] >= 0.9 * fact["domains"] * fact["bursts"]


def test_an_operator_calls_the_api_from_the_address_of_the_session(folder: Path) -> None:
    fact, session = planted(folder, "api-abuse"), planted(folder, "remote-access")
    events = json.loads((folder / "cloudtrail.json").read_text())["Records"]
    assert len({event["eventID"] for event in events}) == len(events) > 100
    own = [event for event in events if event["sourceIPAddress"] == session["src"]]
    assert [event["eventName"] for event in own if not event["readOnly"]] == fact["events"]
    assert {event["userIdentity"]["userName"] for event in own} == {fact["src"]}
    others = [event for event in events if event not in own]
    assert all(event["readOnly"] for event in others)


def test_ordinary_queries_have_names_of_their_host_and_of_no_domain(folder: Path) -> None:
    rows = queries(folder)
    suspicious = {planted(folder, kind)["src"] for kind in ("dns-tunnel", "dga")}
    ordinary = [row for row in rows if row["srcaddr"] not in suspicious]
    assert any(row["rcode"] == "NXDOMAIN" for row in ordinary)
    devices = {row["srcaddr"] for row in ordinary if ".telemetry.example" in row["query_name"]}
    assert len(devices) >= 4
