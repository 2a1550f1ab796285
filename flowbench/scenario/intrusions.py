"""Generated intrusions amid ordinary periodic traffic, in networks of three forms.

Malicious: ``intrusion_kinds``, and DNS queries and API events in ``intrusion_evidence``. Ordinary:
``background`` and ``periodic_traffic``. By its seed, a network has private addresses, a public
range, or two VPCs with the same private addresses. ``intrusion_settings`` has the parameters.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from flowbench.scenario import bulk, incidents, intrusion_evidence
from flowbench.scenario.background import add_background
from flowbench.scenario.bulk import Traffic, Vpc
from flowbench.scenario.intrusion_kinds import INTRUSIONS, IntrusionScenario
from flowbench.scenario.intrusion_settings import SETTINGS
from flowbench.scenario.network import JsonObject
from flowbench.scenario.periodic_traffic import add_periodic_traffic
from flowbench.scenario.random_network import RandomNetwork, add_hosts

FIRST = incidents.FIRST
FORMS = ("private", "public", "overlapping")
OTHER_ACCOUNT = 444455556666
_VPCS = (Vpc(bulk.ACCOUNT, "vpc-0aaaaaaaaaaaaaaa1"), Vpc(OTHER_ACCOUNT, "vpc-0bbbbbbbbbbbbbbb2"))


def write(out: Path, seed: int, *, settings: str = "development", window: int = 60) -> int:
    """Write the flow logs of a network with intrusions, and return the number of records.

    The form of the network is that of ``seed`` modulo 3 in FORMS; flags and times as in
    ``incidents.write``, which has the arguments. In overlapping VPCs, accounts and interfaces tell
    hosts apart, and ``vpc-id`` where there are flags. labels.csv names addresses only.
    """
    scenario = _build(seed, settings)
    facts = [fact for intrusion in INTRUSIONS for fact in intrusion(scenario)]
    network = scenario.network
    vpcs = None
    if len(scenario.networks) == 2:
        first_of_other = scenario.networks[1].hosts[0]
        count = len(scenario.traffic.addresses)
        vpcs = {host: _VPCS[host >= first_of_other] for host in range(count)}
    out.mkdir(parents=True, exist_ok=True)
    records = bulk.write(
        scenario.traffic,
        out,
        first=FIRST,
        last=FIRST + network.span,
        window=window,
        flags=seed // 3 % 2 == 1,
        window_times=seed % 4 != 3,
        vpcs=vpcs,
    )
    incidents.write_labels(scenario.traffic, facts, out / "labels.csv")
    facts += _write_evidence(scenario, out, (seed, sorted(SETTINGS).index(settings)), facts)
    answers = {
        "scenario": f"intrusions, {settings}",
        "seed": seed,
        "window": window,
        "form": FORMS[seed % 3],
        "days": network.days,
        "flow_records": records,
        "planted": facts,
    }
    (out / "answers.json").write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    return records


def _write_evidence(
    scenario: IntrusionScenario, out: Path, seed: tuple[int, int], facts: list[JsonObject]
) -> list[JsonObject]:
    """Write DNS queries and API events, and return their facts."""
    network = scenario.network
    log = intrusion_evidence.DnsLog(network, _VPCS[0].vpc, seed)
    intrusion_evidence.add_ordinary_queries(log)
    tunnel, bot = log.rng.choice(scenario.free_hosts, 2, replace=False)
    tunnel_fact = intrusion_evidence.add_tunnel(log, int(tunnel), scenario.settings.tunnel_queries)
    bot_fact = intrusion_evidence.add_generated_domains(log, int(bot))
    log.write(out / "dns.jsonl")
    session = next(fact for fact in facts if fact["kind"] == "remote-access")
    operator, began = session["src"], float(session["began"])
    api_fact = intrusion_evidence.write_api_events(out, network, operator, began, seed)
    return [tunnel_fact, bot_fact, api_fact]


def _build(seed: int, name: str) -> IntrusionScenario:
    """Return a network with its ordinary traffic."""
    settings = SETTINGS[name]
    rng = np.random.default_rng([seed, sorted(SETTINGS).index(name), 19])
    traffic, form = Traffic(rng), FORMS[seed % 3]
    parameters = settings.network
    if form == "public":
        parameters = replace(parameters, internal_prefix=settings.public_prefix)
    days = int(rng.choice(parameters.days)) if form != "overlapping" else min(parameters.days)
    networks: list[RandomNetwork] = []
    for _ in range(2 if form == "overlapping" else 1):
        network = RandomNetwork(parameters, rng, traffic, FIRST, days)
        add_hosts(network, like=networks[0] if networks else None)
        add_background(network)
        add_periodic_traffic(network, settings)
        networks.append(network)
    free_hosts = list(networks[0].hosts[4:])
    return IntrusionScenario(settings, rng, traffic, networks, free_hosts)
