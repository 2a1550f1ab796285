"""Which AWS services hosts use by look-ups, API calls and records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from flowbench.enrich import service_usage
from tests import traffic

T0 = datetime(2026, 9, 1, tzinfo=UTC)
HOST = "10.0.0.5"
SERVICES = {
    "sts.amazonaws.com": "sts",
    "iam.amazonaws.com": "iam",
    "route53.amazonaws.com": "route53",
    "bucket.s3.eu-west-1.amazonaws.com": "s3",
    "s3-us-west-2.amazonaws.com": "s3",
    "api.ecr.us-gov-west-1.amazonaws.com": "ecr",
    "lambda.us-east-1.api.aws": "lambda",
    "ec2.cn-north-1.amazonaws.com.cn": "ec2",
    # the API of a service, and the machines that customers have of it
    "rds.us-east-1.amazonaws.com": "rds",
    "billing.c9akciq32rgv.us-east-1.rds.amazonaws.com": None,
    "rds.c9akciq32rgv.us-east-1.rds.amazonaws.com": None,
    "es.eu-west-1.api.aws": "es",
    "search-logs-x1.eu-west-1.es.amazonaws.com": None,
    "fs-0a1b.efs.us-east-1.amazonaws.com": None,
    "front-1.elb.us-east-1.amazonaws.com": None,
    "ec2-198-51-100-4.compute-1.amazonaws.com": None,
    "vpce-0a-1b.sts.us-east-1.vpce.amazonaws.com": None,
    # no service at all
    "amazonaws.com": None,
    "example.com": None,
    "iam.amazonaws.com.evil.example": None,
    "notamazonaws.com": None,
}


def test_apis_are_recognised_by_their_names() -> None:
    columns = {
        "srcaddr": [HOST] * len(SERVICES),
        "name": [*SERVICES],
        "answers": [["203.0.113.50"]] * len(SERVICES),
        "query_time": [T0 + timedelta(seconds=n) for n in range(len(SERVICES))],
    }
    rows = (
        service_usage.services_looked_up(ibis.memtable(pa.table(columns)))
        .order_by("first")
        .to_pyarrow()
        .to_pylist()
    )
    found_services = {
        [*SERVICES][int((row["first"] - T0).total_seconds())]: row["service"] for row in rows
    }
    assert found_services == {name: service for name, service in SERVICES.items() if service}
    assert {(row["host"], *row["to"], row["last"] - row["first"]) for row in rows} == {
        (HOST, "203.0.113.50", timedelta(0))
    }


def test_calls_of_an_instance_belong_to_its_host() -> None:
    calls = pa.table(
        {
            "principal_name": ["web/i-0a", "web/i-0a", "web/i-0gone", "alice"],
            "event_source": ["rds.amazonaws.com", "rds.amazonaws.com"] + ["s3.amazonaws.com"] * 2,
            "event_time": [T0, T0 + timedelta(hours=1), T0, T0],
        }
    )
    held = pd.DataFrame({"instance_id": ["i-0a", None], "address": [HOST, "10.0.0.6"]})
    (row,) = service_usage.services_called(ibis.memtable(calls), held).to_dict("records")
    assert (row["host"], row["service"], row["n"], row["how"]) == (HOST, "rds", 2, "CloudTrail")
    assert (row["first"], row["last"]) == (T0, T0 + timedelta(hours=1))


@pytest.mark.parametrize(
    ("host", "direction", "expected"),
    [("10.0.0.5", None, True), ("147.32.80.9", "egress", True), ("147.32.80.9", None, False)],
)
def test_services_of_internal_hosts_in_records(tmp_path, host, direction, expected) -> None:
    fields = {"pkt_srcaddr": host, "pkt_dstaddr": "198.51.100.7", "flow_direction": direction}
    records = list(traffic.connect(host, "198.51.100.7", 443, traffic.T0, **fields))
    case = traffic.make_case(tmp_path, records)
    named = ibis.ifelse(case.flows.dstport == 443, "S3", None).cast("string")
    flows = case.flows.mutate(pkt_dst_aws_service=named)
    rows = service_usage.services_logged(flows, case.connection_summaries).to_pyarrow().to_pylist()
    found = [(row["host"], row["service"], row["to"]) for row in rows]
    assert found == ([(host, "s3", ["198.51.100.7"])] if expected else [])
