"""Route 53 Resolver query logs: which names an instance looked up, and what it was told.

Answers held in the instance's own cache are not logged again, and look-ups through any other
resolver (or DNS over HTTPS) never are: that a name is missing here proves nothing.
"""

from __future__ import annotations

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.loaders.values import address, brief, domain, items, pick, port, text, time

KIND = "dns"

TABLE = schema.Table.of(
    "dns",
    ("query_time", "time", "when the query was made"),
    ("name", "string", "name asked for, lower case, without the trailing dot"),
    ("query_type", "string", "A, AAAA, TXT, …"),
    ("rcode", "string", "NOERROR, NXDOMAIN, SERVFAIL, …"),
    ("answers", "strings", "addresses in the answer (A and AAAA)"),
    ("canonical_names", "strings", "names in the answer (CNAME), as `name`"),
    ("srcaddr", "string", "address that asked"),
    ("srcport", "int32", "its port"),
    ("instance_id", "string", "its instance; may also be a CloudShell, Lambda or Fargate host"),
    ("vpc_id", "string", "VPC that asked"),
    ("account_id", "string", "account of the VPC"),
    ("region", "string", "AWS region"),
    ("transport", "string", "UDP, TCP, …"),
    ("firewall_action", "string", "ALERT or BLOCK when DNS Firewall matched"),
    *schema.ORIGIN,
    schema.ITEM,
)

_MARKS = ("query_timestamp", "query_type", "query_class", "rcode", "srcaddr", "srcids")


def matches(value: object) -> list[object] | None:
    """The query log records in a JSON value, bare or listed, or None for anything else."""
    listed = value if isinstance(value, list) else [value]
    return listed if any(_is_query(element) for element in listed) else None


def to_row(record: object) -> dict[str, object]:
    """One query as a row of TABLE. Raises BadRecord without a name or a time."""
    if not isinstance(record, dict):
        raise BadRecord("not a DNS query: no JSON object")
    name = domain(record.get("query_name"))
    if name is None:
        raise BadRecord("no query_name")
    asked = record.get("query_timestamp")
    query_time = time(asked)
    if query_time is None:
        raise BadRecord(
            "no query_timestamp" if not asked else f"query_timestamp is not a time: {brief(asked)}"
        )
    answers = items(record.get("answers"))
    return {
        "query_time": query_time,
        "name": name,
        "query_type": text(record.get("query_type")),
        "rcode": text(record.get("rcode")),
        "answers": [
            found
            for answer in answers
            if _type(answer) in {"A", "AAAA"} and (found := address(pick(answer, "rdata")))
        ],
        "canonical_names": [
            found
            for answer in answers
            if _type(answer) == "CNAME" and (found := domain(pick(answer, "rdata")))
        ],
        "srcaddr": address(record.get("srcaddr")),
        "srcport": port(record.get("srcport")),
        "instance_id": text(pick(record, "srcids", "instance")),
        "vpc_id": text(record.get("vpc_id")),
        "account_id": text(record.get("account_id")),
        "region": text(record.get("region")),
        "transport": text(record.get("transport")),
        "firewall_action": text(record.get("firewall_rule_action")),
    }


def _is_query(value: object) -> bool:
    return isinstance(value, dict) and "query_name" in value and any(m in value for m in _MARKS)


def _type(answer: object) -> str | None:
    """The record type of an answer; the documentation and its sample spell the key differently."""
    return text(pick(answer, "type")) or text(pick(answer, "answer_type"))
