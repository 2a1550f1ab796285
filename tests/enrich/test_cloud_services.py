"""Clouds and their services: the telling before the vague, the logs' own word, all kept."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.enrich import cloud_services


def entry(prefix: str, service: str, region: str = "us-east-1") -> dict[str, str]:
    name = "ipv6_prefix" if ":" in prefix else "ip_prefix"
    return {name: prefix, "service": service, "region": region, "network_border_group": region}


def listed(date: str, *entries: dict[str, str]) -> str:
    return json.dumps({
        "createDate": date,
        "prefixes": [e for e in entries if "ip_prefix" in e],
        "ipv6_prefixes": [e for e in entries if "ipv6_prefix" in e],
    })  # fmt: skip


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "old.json").write_text(
        listed("2020-01-01-00-00-00", entry("203.0.113.0/24", "CLOUDFRONT"))
    )
    (tmp_path / "new.json").write_text(listed(
        "2026-09-01-00-00-00",
        entry("198.51.100.0/24", "AMAZON"), entry("198.51.100.0/24", "EC2"),
        entry("198.51.100.128/25", "AMAZON"), entry("198.51.100.128/25", "S3", "eu-west-1"),
        entry("198.51.100.0/25", "AMAZON", "us-west-2"),
        entry("192.0.2.0/24", "AMAZON"), entry("192.0.2.0/28", "AMAZON", "GLOBAL"),
        entry("2001:db8::/32", "EC2"),
    ))  # fmt: skip
    (tmp_path / "google.json").write_text(json.dumps(
        {"syncToken": "1788220800000", "prefixes": [
            {"ipv4Prefix": "100.0.0.0/8", "service": "Google Cloud", "scope": "europe-west6"}]}
    ))  # fmt: skip
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "new.json", tmp_path / "old.json", tmp_path / "google.json")
    return case


def services_of(case: Case, *addresses: str, flows=None) -> dict[str, tuple]:
    rows = cloud_services.find_services(addresses, case.table("cloud_ranges"), flows).to_pylist()
    return {
        row["address"]: (
            row["cloud"], row["cloud_service"], row["cloud_services"], row["cloud_region"]
        )
        for row in rows
    }  # fmt: skip


def test_the_specific_service_is_first_and_all_are_kept(case) -> None:
    asked = ["198.51.100.200", "198.51.100.1", "192.0.2.5", "192.0.2.99", "2001:db8::1",
             "100.1.2.3", "203.0.113.9", "10.0.0.1"]  # fmt: skip
    assert services_of(case, *asked) == {
        "198.51.100.200": ("aws", "S3", ["S3", "EC2", "AMAZON"], "eu-west-1"),
        "198.51.100.1": ("aws", "EC2", ["EC2", "AMAZON"], "us-east-1"),
        "192.0.2.5": ("aws", "AMAZON", ["AMAZON"], "GLOBAL"),
        "192.0.2.99": ("aws", "AMAZON", ["AMAZON"], "us-east-1"),
        "2001:db8::1": ("aws", "EC2", ["EC2"], "us-east-1"),
        "100.1.2.3": ("google", "Google Cloud", ["Google Cloud"], "europe-west6"),
    }  # the list of 2020 is out of date: CloudFront has left 203.0.113.0/24


def test_the_list_is_named(case) -> None:
    (row,) = cloud_services.find_services(["192.0.2.5"], case.table("cloud_ranges")).to_pylist()
    source = case.evidence.set_index("file")["evidence_id"]["new.json"]
    assert row["cloud_source"] == f"aws ranges 2026-09-01 [{source}]"


def test_services_in_flow_logs(case, tmp_path) -> None:
    (tmp_path / "flows.log").write_text(
        "interface-id srcaddr dstaddr srcport dstport protocol start end pkt-srcaddr pkt-dstaddr"
        " pkt-src-aws-service pkt-dst-aws-service action log-status\n"
        "eni-a 10.0.0.5 10.0.0.9 40000 443 6 1788220800 1788220859 10.0.0.5 198.51.100.7"
        " - DYNAMODB ACCEPT OK\n"
    )
    logged = Case.create(tmp_path / "logged")
    logged.ingest(tmp_path / "flows.log")
    assert services_of(case, "198.51.100.7", "10.0.0.9", flows=logged.flows) == {
        "198.51.100.7": ("aws", "DYNAMODB", ["DYNAMODB", "EC2", "AMAZON"], "us-east-1"),
    }
    assert services_of(logged, "198.51.100.7", flows=logged.flows) == {
        "198.51.100.7": ("aws", "DYNAMODB", ["DYNAMODB"], None),
    }


def test_what_aws_published(tmp_path, samples) -> None:
    case = Case.create(tmp_path / "case")
    case.ingest(samples / "feeds/ip-ranges/aws-ip-ranges.json")
    assert services_of(case, "3.5.140.7", "52.94.5.1", "205.251.249.1", "8.8.8.8") == {
        "3.5.140.7": ("aws", "S3", ["S3", "EC2", "AMAZON"], "ap-northeast-2"),
        "52.94.5.1": ("aws", "DYNAMODB", ["DYNAMODB", "AMAZON"], "eu-west-1"),
        "205.251.249.1": ("aws", "CLOUDFRONT", ["CLOUDFRONT", "AMAZON"], "GLOBAL"),
    }


def test_a_case_without_lists_has_no_cloud(tmp_path) -> None:
    case = Case.create(tmp_path / "case")
    assert services_of(case, "198.51.100.200") == {}


def test_the_list_that_was_current_is_used(case) -> None:
    def at(day: str) -> list[str]:
        when = pd.Timestamp(day, tz="UTC")
        asked = ["198.51.100.200", "203.0.113.5"]
        rows = cloud_services.find_services(
            asked, case.table("cloud_ranges"), when=when
        ).to_pylist()
        return [row["cloud_service"] for row in rows]

    assert at("2026-09-02") == ["S3"]
    assert at("2026-08-31") == ["CLOUDFRONT"]  # published before, and not yet replaced
    assert at("2019-01-01") == ["CLOUDFRONT"]  # the first after it
