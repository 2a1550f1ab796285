"""The clouds' lists of their own addresses: what they say, of which day, and what is wrong."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders import dispatch
from flowbench.loaders.geo import cloud_ranges


def rows(value: object) -> list[dict]:
    claimed = cloud_ranges.matches(value) or []
    return cloud_ranges.TABLE.rows(cloud_ranges.to_row(record) for record in claimed).to_pylist()


def test_what_aws_publishes(samples) -> None:
    path = samples / "feeds/ip-ranges/aws-ip-ranges.json"
    found = rows(json.loads(path.read_text()))
    assert len(found) == 8_971 + 4_373
    assert found[0] | {"evidence_id": None} == {
        "prefix": "3.4.12.4/32",
        "cloud": "aws",
        "service": "AMAZON",
        "region": "eu-west-1",
        "border_group": "eu-west-1",
        "published": datetime(2025, 7, 24, 20, 23, 14, tzinfo=UTC),
        "evidence_id": None,
        "line": None,
        "item": None,
    }
    services = Counter(row["service"] for row in found)
    assert services["S3"] > 100 < services["EC2"]
    assert services.most_common(1)[0][0] == "AMAZON"


def test_what_google_and_fastly_publish(samples) -> None:
    folder = samples / "feeds/ip-ranges"
    google = rows(json.loads((folder / "google-cloud-ip-ranges.json").read_text()))
    assert {(row["cloud"], row["service"]) for row in google} == {("google", "Google Cloud")}
    assert (google[0]["prefix"], google[0]["region"]) == ("34.1.208.0/20", "africa-south1")
    # Google writes its local time without saying so; the token is an epoch in milliseconds.
    assert google[0]["published"] == datetime(2025, 7, 25, 2, 16, 28, 780000, tzinfo=UTC)
    fastly = rows(json.loads((folder / "fastly-ip-ranges.json").read_text()))
    assert (len(fastly), fastly[-1]["prefix"], fastly[-1]["service"]) == (
        21, "2a04:4e42::/32", "FASTLY",
    )  # fmt: skip


def test_it_is_evidence_without_event_times(tmp_path) -> None:
    value = {"createDate": "2026-09-01-00-00-00", "prefixes": [
        {"ip_prefix": "198.51.100.7/24", "service": "S3", "region": "us-east-1"},
        {"ip_prefix": "oops", "service": "S3"}, "what", {"region": "x"}]}  # fmt: skip
    (tmp_path / "ip-ranges.json").write_text(json.dumps(value))
    evidence = dispatch.Evidence.of(tmp_path / "ip-ranges.json", "ip-ranges.json")
    found = dict(dispatch.read(evidence))
    assert (evidence.kind, evidence.first_seen) == ("cloud-ranges", None)
    assert found["cloud_ranges"]["prefix"].to_pylist() == ["198.51.100.0/24"]
    assert [(row["item"], row["reason"]) for row in found["quarantine"].to_pylist()] == [
        (2, "ip_prefix is not a network: 'oops'"),
        (3, "not a range: no JSON object"),
        (4, "no prefix"),
    ]


@pytest.mark.parametrize(
    "value",
    [[], {}, {"prefixes": []}, {"prefixes": ["10.0.0.0/8"]}, {"prefixes": [{"cidr": "x"}]},
     {"addresses": []}, 5, None, {"ipv6_prefixes": {}}],
)  # fmt: skip
def test_other_json_is_left_to_other_kinds(value) -> None:
    assert cloud_ranges.matches(value) is None


def test_a_number_is_no_network() -> None:
    for wrong in (7, None, [], "10.0.0.0/99"):
        with pytest.raises(BadRecord, match="is not a network"):
            cloud_ranges.to_row({"ip_prefix": wrong})
