"""Network ACLs, a row per entry, from recorded describe-network-acls answers.

An ACL without entries is one row without a direction. These are the entries at the moment of the
answer: for entries added and removed again, see CloudTrail.
"""

from __future__ import annotations

from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import flag, items, pick, text

KIND = "network-acls"


def _protocol(value: object) -> str | None:
    protocol = text(value)
    return "all" if protocol == "-1" else protocol


def _direction(entry: object) -> str | None:
    is_egress = flag(pick(entry, "egress"))
    return None if is_egress is None else "egress" if is_egress else "ingress"


# ``Entry`` is an entry of the answer, empty in an ACL without entries.
TABLE = record_table(
    "network_acls",
    "a network ACL",
    Column("network_acl_id", "NetworkAclId", "acl-…", required=True),
    describe.NAME,
    describe.VPC_ID,
    describe.ACCOUNT_ID,
    Column("is_default", "IsDefault", "whether it is the default of its VPC", "bool"),
    Column("subnet_ids", "Associations[].SubnetId", "subnets that it applies to", "strings"),
    Column("direction", "Entry", "ingress or egress; null without entries", convert=_direction),
    Column("rule_number", "Entry.RuleNumber", "the lowest that matches decides", "int64"),
    Column("rule_action", "Entry.RuleAction", "allow or deny"),
    Column("protocol", "Entry.Protocol", "IANA number, or all", convert=_protocol),
    Column("from_port", "Entry.PortRange.From", "first port; null for all", "int32"),
    Column("to_port", "Entry.PortRange.To", "last port; null for all", "int32"),
    Column("icmp_type", "Entry.IcmpTypeCode.Type", "ICMP type; -1 for all", "int64"),
    Column("icmp_code", "Entry.IcmpTypeCode.Code", "ICMP code; -1 for all", "int64"),
    Column("cidr", "Entry.CidrBlock, Entry.Ipv6CidrBlock", "network of the other end"),
    describe.TAGS,
    describe.OBSERVED_AT,
)


def matches(value: object) -> list[object] | None:
    """Return the ACLs in an answer of describe-network-acls, or bare ones; None otherwise."""
    return describe.find_records(value, "networkAcls", "networkAclId", "entries", "associations")


def to_row(record: object) -> list[Row]:
    """Read the entries of an ACL. Raises BadRecord without a NetworkAclId."""
    if not isinstance(record, dict):
        raise BadRecord("not a network ACL: no JSON object")
    entries = [entry for entry in items(pick(record, "entries")) if isinstance(entry, dict)]
    return [TABLE.to_row(record | {"entry": entry}) for entry in entries or [{}]]
