"""Filter expressions on the connections and records of a case."""

from __future__ import annotations

import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import where
from flowbench.investigate.where.fields import find_field
from flowbench.investigate.where.syntax import Comparison, Or
from tests.incident_case import dns_query
from tests.traffic import T0, connect, interface, make_case, reject

A, B, POOL, WEB = "10.0.0.5", "10.0.0.9", "198.51.100.77", "203.0.113.9"
HOSTILE = "x'; DROP TABLE flows; --\"<b>"
LIST = f"indicator,kind,feed\n{POOL},mining,pools\n{WEB},scanner,list\n"


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    records = [
        *connect(A, POOL, 3333, T0, seconds=7_200, out=5_000_000, window=600),
        *connect(A, B, 22, T0 + 3_600, source_port=40_001, protocol=6),
        *connect(A, B, 53, T0 + 7_200, source_port=40_002, protocol=17),
        reject(WEB, A, 3389, T0 + 90_000),
    ]
    tags = [{"Key": "env", "Value": "prod"}, {"Key": "cost center", "Value": HOSTILE}]
    listed = [
        interface(A, "a", TagSet=[{"Key": "Name", "Value": HOSTILE}, *tags], VpcId="vpc-1"),
        interface(B, "b", SubnetId="subnet-2", VpcId="vpc-1"),
    ]
    queries = [dns_query(T0 - 60, "eu.pool.example.", A)]
    queries[0]["answers"] = [{"Rdata": POOL, "Type": "A", "Class": "IN"}]
    folder = tmp_path_factory.mktemp("where")
    case = make_case(folder, records, interfaces=listed, indicators=LIST, json_lines=queries)
    assert case.connections.count().execute() == 4
    return case


@pytest.mark.parametrize(
    ("text", "connections", "records"),
    [
        ("", 4, 31),
        ("dport = 22", 1, 1),
        ("port = 22", 1, 2),
        ("sport >= 40001 and proto = tcp", 1, 1),
        ("dport in (50-60, 3389)", 2, 2),
        ("dport not in (50-60, 3389)", 2, 29),
        ("service = ssh or service = dns", 2, 2),
        ("service in (ssh, dns, rdp)", 3, 3),
        ("proto = udp", 1, 2),
        ("rejected", 1, 1),
        ("not rejected", 3, 30),
        ("rejected = no", 3, 30),
        ("rejected != no", 1, 1),
        ("dst.internal = no", 1, 13),
        ("action = reject", 1, 1),
        ("action != reject", 3, 30),
        ("bytes > 1MB", 1, 0),
        ("bytes <= 800", 1, 16),
        ("packets < 5", 1, 1),
        ("duration > 1h", 1, 0),
        ("duration = 59s", 3, 5),
        ("start < 2026-09-01T01:00", 1, 12),
        ("start >= 2026-09-02", 1, 1),
        ("start in 2026-09-01T02:00", 1, 4),
        ("start <= 2026-09-01", 3, 30),
        ("time = 2026-09-01T01", 2, 14),
        ("time > 2026-09-01", 1, 1),
        ("time < 2026-09-01T01:00:00", 1, 12),
        ("time >= 2026-09-01T02:00", 3, 5),
        ("time <= 2026-09-01T00", 1, 12),
        ("end > 2026-09-01", 1, 1),
        ("interface = eni-a", 4, 31),
        ("src.interface = eni-a", 3, 15),
        ("tag:env = prod", 4, 31),
        ("dst.tag:env", 1, 16),
        ("dst.tag:env != prod", 3, 15),
        ("tag:'cost center' ~ 'drop table'", 4, 31),
        ("dst.subnet = subnet-2", 2, 2),
        ("subnet", 2, 4),
        ("aws_service = rds", 0, 0),
        ("dst.internal", 3, 18),
        ("src.internal and not dst.internal", 1, 13),
        ("indicator", 2, 27),
        ("indicator = mining", 1, 26),
        ("src.indicator ~ SCAN", 1, 1),
        ("domain = pool.example", 1, 26),
        ("domain = EU.pool.example.", 1, 26),
        ("domain = ool.example", 0, 0),
        ("domain ~ ool.ex", 1, 26),
        ("country = DE", 0, 0),
        ("owner or cloud or cloud_service", 0, 0),
        ("name = web", 0, 0),
    ],
)
def test_what_matches(case: Case, text: str, connections: int, records: int) -> None:
    found = where.filter_connections(case, text).count().execute()
    assert (found, where.filter_flows(case, text).count().execute()) == (connections, records)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("answered", 3),
        ("not answered", 1),
        ("direction = internal", 2),
        ("direction in (inbound, outbound)", 2),
        ("bytes_out > 1MB", 1),
        ("bytes_in = 3kB and packets_out > 1 and packets_in > 1", 2),
        ("records = 1", 1),
        ("intermediate", 0),
    ],
)
def test_fields_of_connections_only(case: Case, text: str, count: int) -> None:
    assert where.filter_connections(case, text).count().execute() == count
    with pytest.raises(InputError, match=r"is a field of connections: flow records do not have it"):
        where.filter_flows(case, text)


def test_hostile_values_are_values(case: Case) -> None:
    expression = Comparison(where.parse("name").field, "=", (HOSTILE,))
    for known in (expression, where.format_filter(expression)):
        assert where.filter_connections(case, known).count().execute() == 4
        assert where.filter_flows(case, known).count().execute() == 31
    for text in ("' OR 1=1 --", "%", "_", "\\", "'); --", "prod' OR 'a'='a"):
        some = []
        for name in ("tag:env", "interface", "owner", "domain", f"tag:{text}"):
            some += [Comparison(find_field(name), operator, (text,)) for operator in ("=", "~")]
        found = where.filter_connections(case, where.format_filter(Or(tuple(some))))
        assert found.count().execute() == 0, text


def test_matches_and_their_negation_are_everything(case: Case) -> None:
    for text in ("country = DE", "tag:env = prod", "src.name ~ x", "dst.subnet = subnet-2"):
        for rows in (where.filter_connections, where.filter_flows):
            matching, others = (rows(case, t).count().execute() for t in (text, f"not {text}"))
            assert matching + others == rows(case, "").count().execute()


def test_matching_rows_can_be_streamed_and_ordered(case: Case) -> None:
    rows = where.filter_connections(case, "indicator = mining and tag:env = prod")
    streamed = case.stream(rows.order_by("first_seen")).read_all()
    assert streamed["responder"].to_pylist() == [POOL]


def test_a_table_can_be_given(case: Case) -> None:
    some = case.connections.filter(case.connections.service_port == 22)
    assert where.filter_connections(case, "proto = tcp", some).count().execute() == 1
    records = case.flows.filter(case.flows.dstport == 22)
    assert where.filter_flows(case, "proto = tcp", records).count().execute() == 1
