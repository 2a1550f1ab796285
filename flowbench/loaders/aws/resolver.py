"""Route 53 Resolver query logs: the names that instances looked up, and the answers.

Rows of Athena have the answers and the ids of the source as text, in JSON or as Athena writes
structs. Names are also read as Microsoft Sentinel spells them (``QueryName``).

Answers from an instance's own cache are not logged again, and queries to another resolver (or DNS
over HTTPS) never are: a name that is missing here may still have been resolved.
"""

from __future__ import annotations

from functools import lru_cache

from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import address, domain, items, parse_json, parse_struct, pick, text

KIND = "dns"

_ADDRESSES = {"A", "AAAA"}


def _nested(record: object, key: str) -> object:
    """Return a nested value, also from its text in a row of a query."""
    value = pick(record, key)
    if not isinstance(value, str):
        return value
    parsed = parse_json(value)
    return parse_struct(value) if parsed is None else parsed


def _instance_id(record: object) -> str | None:
    ids = _nested(record, "srcids")
    return text(pick(ids[0] if isinstance(ids, list) and ids else ids, "instance"))


def _addresses(record: object) -> list[str]:
    data = (address(pick(each, "rdata")) for each in _answers(record, _ADDRESSES))
    return [value for value in data if value]


def _canonical_names(record: object) -> list[str]:
    data = (domain(pick(each, "rdata")) for each in _answers(record, {"CNAME"}))
    return [value for value in data if value]


def _text_length(record: object) -> int:
    others = [each for each in items(_nested(record, "answers")) if _type(each) not in _ADDRESSES]
    return sum(len(text(pick(each, "rdata")) or "") for each in others)


def _answers(record: object, types: set[str]) -> list[object]:
    """Return the answers of some record types."""
    return [each for each in items(_nested(record, "answers")) if _type(each) in types]


def _type(answer: object) -> str | None:
    """Return the record type of an answer, which AWS spells ``Type`` or ``answer_type``."""
    return text(pick(answer, "type")) or text(pick(answer, "answer_type"))


TABLE = record_table(
    "dns",
    "a DNS query",
    Column(
        "query_time",
        "query_timestamp, @timestamp",  # the latter in selections of Logs Insights
        "when the query was made",
        "time",
        required=True,
    ),
    Column(
        "name",
        "query_name",
        "domain name of the query, lower case, without the trailing dot",
        convert=domain,
        required=True,
    ),
    Column("query_type", "query_type", "A, AAAA, TXT, …"),
    Column("rcode", "rcode", "NOERROR, NXDOMAIN, SERVFAIL, …"),
    Column("answers", "@", "addresses in the answer (A and AAAA)", "strings", _addresses),
    Column("canonical_names", "@", "names in the answer (CNAME)", "strings", _canonical_names),
    Column(
        "text_length",
        "@",
        "characters in the answers that are no addresses (TXT, NULL, CNAME, MX, …)",
        "int64",
        _text_length,
    ),
    Column("srcaddr", "srcaddr", "address of the host that made the query", convert=address),
    Column("srcport", "srcport", "its port", "int32"),
    Column(
        "instance_id",
        "@",
        "its instance; also a CloudShell, Lambda or Fargate host",
        convert=_instance_id,
    ),
    Column("vpc_id", "vpc_id", "VPC of the query"),
    Column("account_id", "account_id", "account of the VPC"),
    Column("region", "region", "AWS region"),
    Column("transport", "transport", "UDP, TCP, …"),
    Column("firewall_action", "firewall_rule_action", "ALERT or BLOCK by DNS Firewall"),
)

_OTHER_KEYS = {"query_timestamp", "query_type", "query_class", "rcode", "srcaddr", "srcids"}
_SPELLINGS = {
    name.replace("_", ""): name
    for name in (
        *("query_name", *_OTHER_KEYS),
        *("answers", "srcport", "vpc_id", "account_id", "region", "transport"),
        "firewall_rule_action",
    )
}


def matches(value: object) -> list[object] | None:
    """Return the query log records in a JSON value, bare or listed; None for anything else."""
    records = value if isinstance(value, list) else [value]
    return records if any(_is_query(record) for record in records) else None


def to_row(record: object) -> Row:
    """Read one query. Raises BadRecord without a name or a time."""
    if isinstance(record, dict) and "query_name" not in record:
        names = _find_names(tuple(record))
        record = {names.get(name, name): value for name, value in record.items()}
    return TABLE.to_row(record)


def _is_query(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    names = value.keys() if "query_name" in value else set(_find_names(tuple(value)).values())
    return "query_name" in names and not names.isdisjoint(_OTHER_KEYS)


@lru_cache(maxsize=512)
def _find_names(keys: tuple[str, ...]) -> dict[str, str]:
    """Return the field of each key, compared by letters only."""
    letters = {key: key.lower().replace("_", "") for key in keys}
    return {key: _SPELLINGS[spelt] for key, spelt in letters.items() if spelt in _SPELLINGS}
