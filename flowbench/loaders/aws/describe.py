"""What the answers of AWS's describe calls have in common: containers, tags, columns."""

from __future__ import annotations

from flowbench.loaders.aws.record import Column
from flowbench.loaders.values import items, pick, text

# Keys beside the list in an answer.
_ANSWER_KEYS = {"nextToken", "responseMetadata", "NextToken", "ResponseMetadata"}


def find_records(
    value: object, list_key: str, id_key: str, *other_keys: str
) -> list[object] | None:
    """Return the resources in an answer of a describe call, or None for anything else.

    The answer may be wrapped in ``data`` (recorded API calls), or be a bare list, or one bare
    resource.

    Args:
        value: any JSON value.
        list_key: the answer's key for the list.
        id_key: the key of a resource's id.
        other_keys: of these a resource has at least one; not needed in an answer of its own.
    """
    for answer in (value, pick(value, "data")):
        records = pick(answer, list_key)
        if not isinstance(records, list) or not isinstance(answer, dict):
            continue
        if len(answer.keys() - _ANSWER_KEYS) == 1:
            if not records or any(text(pick(record, id_key)) for record in records):
                return records
        elif any(has_keys(record, id_key, *other_keys) for record in records):
            return records
    records = value if isinstance(value, list) else [value]
    return records if any(has_keys(record, id_key, *other_keys) for record in records) else None


def has_keys(value: object, id_key: str, *other_keys: str) -> bool:
    """Whether a value is an object with an id and at least one of the other keys."""
    return bool(text(pick(value, id_key))) and any(pick(value, k) is not None for k in other_keys)


def read_tags(record: object) -> dict[str, str]:
    """Return the tags of a resource; a key without a value has an empty one."""
    read_tags = items(pick(record, "tagSet")) or items(pick(record, "tags"))
    pairs = ((text(pick(tag, "key")), text(pick(tag, "value")) or "") for tag in read_tags)
    return {key: value for key, value in pairs if key is not None}


def _tag_pairs(record: object) -> list[tuple[str, str]]:
    return list(read_tags(record).items())


def _name(record: object) -> str | None:
    return read_tags(record).get("Name") or None


NAME = Column("name", "@", "Name tag", convert=_name)
ACCOUNT_ID = Column("account_id", "OwnerId", "account that owns it")
VPC_ID = Column("vpc_id", "VpcId", "its VPC")
TAGS = Column("tags", "@", "all tags", "tags", _tag_pairs)
OBSERVED_AT = Column(
    "observed_at", None, "when AWS Config recorded this state; null from other evidence", "time"
)
