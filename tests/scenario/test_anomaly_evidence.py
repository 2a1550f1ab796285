"""The evidence of anomalies beside their flow logs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from flowbench.scenario import anomaly_evidence, bulk
from flowbench.scenario.bulk import Traffic
from flowbench.scenario.incident_settings import DEVELOPMENT
from flowbench.scenario.random_network import RandomNetwork, add_hosts

START = 1_788_220_800


@pytest.fixture
def network() -> RandomNetwork:
    rng = np.random.default_rng(1)
    network = RandomNetwork(DEVELOPMENT, rng, Traffic(rng), START, 1)
    add_hosts(network)
    return network


def test_countries_are_of_whole_networks_with_eight_for_each_rare_one(tmp_path) -> None:
    anomaly_evidence.write_countries(tmp_path, "198.18", "198.19")
    lines = (tmp_path / "countries.csv").read_text().splitlines()
    rows = dict(line.split(",") for line in lines[1:])
    assert len(rows) == 512
    assert rows["198.18.0.0/24"] == "XA"
    assert [rows[f"198.19.{n}.0/24"] for n in (191, 192, 199, 200, 255)] == [
        "XC", "QM", "QM", "QN", "QT",
    ]  # fmt: skip


def test_cloud_ranges_have_the_agent_channels_alone(network, tmp_path) -> None:
    channel, other = network.external_address(), network.external_address()
    network.traffic.add("agent-channel", network.hosts[0], channel, 443, START)
    network.traffic.add("web", network.hosts[0], other, 443, START)
    anomaly_evidence.write_cloud_ranges(tmp_path, network)
    document = json.loads((tmp_path / "ip-ranges.json").read_text())
    address = network.traffic.addresses[channel]
    assert [(p["ip_prefix"], p["service"]) for p in document["prefixes"]] == [
        (f"{address}/32", "AMAZON"),
        (f"{address}/32", "SSM"),
    ]


def test_queries_events_and_inventory_name_the_same_instance(network, tmp_path) -> None:
    host = network.hosts[5]
    query = anomaly_evidence.dns_query(network, host, "s3", START + 60)
    event = anomaly_evidence.api_event(host, START + 60, "192.0.2.1")
    anomaly_evidence.write_inventory(tmp_path, network)
    interfaces = json.loads((tmp_path / "interfaces.json").read_text())["NetworkInterfaces"]
    (own,) = [i for i in interfaces if i["NetworkInterfaceId"] == bulk.interface(host)]
    instance = own["Attachment"]["InstanceId"]
    assert query["srcids"]["instance"] == instance
    assert query["srcaddr"] == own["PrivateIpAddress"]
    assert event["userIdentity"]["arn"].endswith(f"/{instance}")
    assert event["sourceIPAddress"] == "192.0.2.1"


def test_files_are_in_the_order_of_time(network, tmp_path) -> None:
    times = (START + 9, START + 1)
    queries = [anomaly_evidence.dns_query(network, network.hosts[5], "s3", t) for t in times]
    events = [anomaly_evidence.api_event(network.hosts[5], t, "192.0.2.1") for t in times]
    anomaly_evidence.write_dns(tmp_path, queries)
    anomaly_evidence.write_cloudtrail(tmp_path, events)
    lines = (tmp_path / "dns.jsonl").read_text().splitlines()
    stamps = [json.loads(line)["query_timestamp"] for line in lines]
    assert stamps == ["2026-09-01T00:00:01Z", "2026-09-01T00:00:09Z"]
    records = json.loads((tmp_path / "cloudtrail.json").read_text())["Records"]
    assert [record["eventTime"] for record in records] == stamps
